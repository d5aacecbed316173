"""The widgets of notebook 13: four vectors that attend to themselves, the width d of a softmax, a mask to paint."""

import ipywidgets as w
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.attention.dense import DenseAttention
from course_utils.attention.scores import DotScore, ScaledDotScore
from course_utils.plots.attention import alignment_map
from course_utils.plots.self_attention import UPPER, Looking, looking, saturation
from course_utils.widgets.controls import ToggleGrid
from course_utils.widgets.explorer import Explorer

WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def look(inputs: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor, query: int, scaled: bool = True) -> Looking:
    """All numbers of one query. inputs (S, 2), the matrices (2, 2): q = W_q a, and so on; `query` from 0."""
    queries, keys, values = (inputs @ W.T for W in (W_q, W_k, W_v))           # (S, 2)
    score = ScaledDotScore() if scaled else DotScore()
    attend = DenseAttention(score)
    output, weights, _ = attend(queries[None], keys[None], values[None], need_weights=True)
    scores = score.compare(queries[None], keys[None])                         # (1, S, S)
    parts = (inputs, values, scores[0, query], weights[0, query], output[0, query])
    return Looking(*(part.detach().double().numpy() for part in parts), query, scaled)


def four_vectors(inputs: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> Explorer:
    """Choose who asks, move the last vector, take the scale away: scores, weights and the output follow."""
    inputs = inputs.double()
    last = len(inputs)

    def draw(query: int, x: float, y: float, scaled: bool) -> tuple[Figure, str]:
        moved = inputs.clone()
        moved[-1] = torch.tensor([x, y])
        step = look(moved, W_q.double(), W_k.double(), W_v.double(), query - 1, scaled)
        parts = " + ".join(f"{weight:.2f} v{UPPER[j]}" for j, weight in enumerate(step.weights))
        x, y = (float(f"{number:.2f}") + 0.0 for number in step.output)      # no "-0.00"
        return looking(step), f"b{UPPER[query - 1]} = {parts} = ({x:.2f}, {y:.2f})"

    first, second = (float(number) for number in inputs[-1])
    alt = (
        "Left: the four input vectors in the plane, the asking one coloured. Middle: its scores and, after the "
        "softmax, its weights. Right: the four values, as thick as their weights, and the output among them."
    )
    return Explorer(
        draw, alt=alt,
        query=w.IntSlider(1, 1, last, description="who asks: i"),
        x=w.FloatSlider(first, min=-1.5, max=1.5, step=0.25, description=f"a{UPPER[last - 1]}, first entry"),
        y=w.FloatSlider(second, min=-1.5, max=1.5, step=0.25, description=f"a{UPPER[last - 1]}, second entry"),
        scaled=w.Checkbox(True, description="divide the scores by √d"),
    )  # fmt: skip


def width_slider(n_keys: int = 16, seed: int = 0, d: int = 64) -> Explorer:
    """One random query and `n_keys` random keys, of which the first d entries are used: softmax with and without √d."""
    draws = torch.Generator().manual_seed(seed)
    query = torch.randn(WIDTHS[-1], generator=draws, dtype=torch.float64)
    keys = torch.randn(n_keys, WIDTHS[-1], generator=draws, dtype=torch.float64)

    def draw(d: int) -> tuple[Figure, str]:
        scores = (keys[:, :d] @ query[:d]).numpy()
        plain, scaled = ((entropy(e), steepness(e)) for e in (scores, scores / d**0.5))
        most = np.log(n_keys)
        return saturation(scores, d), (
            f"d = {d}: entropy {plain[0]:.2f} without the scale, {scaled[0]:.2f} with it (uniform: {most:.2f} nats); "
            f"gradient through the softmax {plain[1]:.2f} and {scaled[1]:.2f}."
        )

    alt = "Weights of one query over its keys, sorted: above from q·k, below from q·k divided by the square root of d."
    return Explorer(draw, alt=alt, d=w.SelectionSlider(options=WIDTHS, value=d, description="width d of q and k"))


def mask_painter(inputs: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> Explorer:
    """Paint who may look at whom (● = may attend): the weights of all queries, softmaxed over what is left."""
    S = len(inputs)
    queries, keys, values = ((inputs @ W.T).double()[None] for W in (W_q, W_k, W_v))    # (1, S, 2)
    attend = DenseAttention(ScaledDotScore())
    names = [f"a{UPPER[j]}" for j in range(S)]

    def draw(mask: tuple[tuple[bool, ...], ...]) -> tuple[Figure, str]:
        allowed = torch.tensor(mask)
        _, weights, _ = attend(queries, keys, values, mask=allowed, need_weights=True)
        empty = [f"b{UPPER[i]}" for i in range(S) if not any(mask[i])]
        said = f"{int(allowed.sum())} of {S * S} looks are allowed."
        if empty:
            said += f" Nothing to look at: {', '.join(empty)} {'is' if len(empty) == 1 else 'are'} zero."
        return alignment_map(names, names, weights[0], title="Weights: a row is one query, its keys are columns"), said

    on = torch.ones(S, S).tril().bool().tolist()
    grid = ToggleGrid([f"query {k + 1}" for k in range(S)], [f"key {k + 1}" for k in range(S)], on=on)
    alt = "The weights of every query over all keys as a map; forbidden pairs are exactly 0, a row without a key too."
    return Explorer(draw, alt=alt, mask=grid)


def entropy(scores: np.ndarray) -> float:
    """Entropy of softmax(scores) in nats: log S when all are alike, 0 when one takes all."""
    weights = _softmax(scores)
    return float(-(weights * np.log(np.maximum(weights, 1e-300))).sum())


def steepness(scores: np.ndarray) -> float:
    """How much of a gradient comes through: the Frobenius norm of the softmax's Jacobian, diag(w) - w wᵀ."""
    weights = _softmax(scores)
    return float(np.linalg.norm(np.diag(weights) - np.outer(weights, weights)))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(np.asarray(scores, dtype=float) - np.max(scores))
    return powers / powers.sum()
