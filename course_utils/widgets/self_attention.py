"""The widgets of notebook 13: one word asks the others, the width d of a softmax, a mask to paint."""

from collections.abc import Sequence

import ipywidgets as w
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.attention.dense import DenseAttention
from course_utils.attention.scores import DotScore, ScaledDotScore
from course_utils.plots.attention import alignment_map
from course_utils.plots.self_attention import Looking, looking, saturation
from course_utils.widgets.controls import ToggleGrid
from course_utils.widgets.explorer import Explorer

WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
KINDS = {"without weights": "x · x", "with weights": "q · k", "with weights, scaled": "q · k / √d"}
Matrices = tuple[Tensor, Tensor, Tensor]


def look(words: Sequence[str], inputs: Tensor, matrices: Matrices, query: int, kind: str) -> Looking:
    """All numbers of one query (from 0). inputs (S, D); matrices W_q, W_k (d, D) and W_v (2, D), so that q = W_q x;
    `kind` is one of KINDS. Without weights the values are the inputs, of which the first two entries are shown."""
    queries, keys, values = (inputs, inputs, inputs[:, :2]) if kind == "without weights" else (
        inputs @ W.T for W in matrices
    )  # fmt: skip
    score = ScaledDotScore() if kind == "with weights, scaled" else DotScore()
    output, weights, _ = DenseAttention(score)(queries[None], keys[None], values[None], need_weights=True)
    scores = score.compare(queries[None], keys[None])                         # (1, S, S)
    parts = (values, scores[0, query], weights[0, query], output[0, query])
    return Looking(words, *(part.detach().double().numpy() for part in parts), query, KINDS[kind])


def one_asks(words: Sequence[str], inputs: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor, names: tuple[str, str],
             *, query: int = 0, moved: int = 0) -> Explorer:  # fmt: skip
    """Choose who asks, change the first two entries (called `names`) of word `moved`, take scale or weights away."""
    inputs, matrices = inputs.double(), tuple(W.double() for W in (W_q, W_k, W_v))

    def draw(query: int, x: float, y: float, kind: str) -> tuple[Figure, str]:
        changed = inputs.clone()
        changed[moved, :2] = torch.tensor([x, y])
        step = look(words, changed, matrices, query, kind)
        parts = " + ".join(f"{weight:.2f} {word}" for word, weight in zip(words, step.weights, strict=True))
        x, y = (float(f"{number:.2f}") + 0.0 for number in step.output)      # no "-0.00"
        return looking(step, names=names), f"output of “{words[query]}” = {parts} = ({x:.2f}, {y:.2f})"

    first, second = (float(number) for number in inputs[moved, :2])
    alt = (
        "Left: the scores and, after the softmax, the weights that one word gives to every word. Right: the values as "
        "points in the plane, larger with their weight; the output lies inside the area that they span."
    )
    who = [(f"{j} {word}", j - 1) for j, word in enumerate(words, 1)]
    return Explorer(
        draw, alt=alt,
        query=w.Dropdown(options=who, value=query, description="who asks"),
        x=w.FloatSlider(first, min=-1, max=3, step=0.25, description=f"{words[moved]}: {names[0]}"),
        y=w.FloatSlider(second, min=-1, max=3, step=0.25, description=f"{words[moved]}: {names[1]}"),
        kind=w.Dropdown(options=list(KINDS), value="with weights", description="attention"),
    )  # fmt: skip


def width_slider(n_keys: int = 16, seed: int = 0, d: int = 64) -> Explorer:
    """One random query and `n_keys` random keys, of which the first d entries are used: softmax with and without √d."""
    draws = torch.Generator().manual_seed(seed)
    query = torch.randn(WIDTHS[-1], generator=draws, dtype=torch.float64)
    keys = torch.randn(n_keys, WIDTHS[-1], generator=draws, dtype=torch.float64)

    def draw(d: int) -> tuple[Figure, str]:
        k = keys[:, :d].numpy()
        scores = k @ query[:d].numpy()
        plain, scaled = ((entropy(e), at_query(e, k, c)) for e, c in ((scores, 1.0), (scores / d**0.5, d**-0.5)))
        most = np.log(n_keys)
        return saturation(scores, d), (
            f"d = {d}: entropy {plain[0]:.2f} without the scale, {scaled[0]:.2f} with it (uniform: {most:.2f} nats); "
            f"size of the gradient at q {plain[1]:.2g} and {scaled[1]:.2g}."
        )

    alt = "Weights of one query over its keys, sorted: above from q·k, below from q·k divided by the square root of d."
    return Explorer(draw, alt=alt, d=w.SelectionSlider(options=WIDTHS, value=d, description="width d of q and k"))


def mask_painter(words: Sequence[str], inputs: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> Explorer:
    """Paint who may look at whom (● = may attend): the weights of all queries, softmaxed over what is left."""
    S = len(inputs)
    queries, keys, values = ((inputs @ W.T).double()[None] for W in (W_q, W_k, W_v))    # (1, S, d)
    attend = DenseAttention(ScaledDotScore())

    def draw(mask: tuple[tuple[bool, ...], ...]) -> tuple[Figure, str]:
        allowed = torch.tensor(mask)
        _, weights, _ = attend(queries, keys, values, mask=allowed, need_weights=True)
        empty = [f"{i} {word}" for i, word in enumerate(words, 1) if not any(mask[i - 1])]
        said = f"{int(allowed.sum())} of {S * S} looks are allowed."
        if empty:
            said += f" Nothing to look at: the output of {', '.join(empty)} is zero."
        return alignment_map(words, words, weights[0], title="Weights: a row is one query, its keys are columns"), said

    on = torch.ones(S, S).tril().bool().tolist()
    grid = ToggleGrid([f"{k} {word} asks" for k, word in enumerate(words, 1)], list(words), on=on)
    alt = "The weights of every query over all keys as a map; forbidden pairs are exactly 0, a row without a key too."
    return Explorer(draw, alt=alt, mask=grid)


def entropy(scores: np.ndarray) -> float:
    """Entropy of softmax(scores) in nats: log S when all are alike, 0 when one takes all."""
    weights = _softmax(scores)
    return float(-(weights * np.log(np.maximum(weights, 1e-300))).sum())


def at_query(scores: np.ndarray, keys: np.ndarray, scale: float) -> float:
    """How much of a gradient arrives at q: the Frobenius norm of da/dq = scale · (diag(a) - a aᵀ) K, keys (S, d)."""
    weights = _softmax(scores)
    return float(np.linalg.norm(scale * (np.diag(weights) - np.outer(weights, weights)) @ keys))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(np.asarray(scores, dtype=float) - np.max(scores))
    return powers / powers.sum()
