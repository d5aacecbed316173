"""Every control of every widget moves the parameter that its label names, and the picture is drawn from the values that
stand on the controls now.

Nothing is drawn: the plot is replaced by one that keeps what it was asked to draw. WIDGETS has for each widget what its
controls are called and where they stand at first, and an oracle: from the values of the controls to the arguments of
the plot (all of them, titles too) and to what the line of text must say. A new widget fails here until it has an entry.
"""

import ast
import importlib
import inspect
import json
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import ipywidgets as w
import numpy as np
import pytest
import test_widgets as toys
import torch
from drawn import bars, points
from PIL import Image
from test_widgets import FIVE, FLOOD, FOUR, LETTERS, NOTES, PAIRS, READ, SOURCE, TARGET, THREE

from course_utils import plots, widgets
from course_utils.attention.sinkhorn import sinkhorn
from course_utils.experiments.nb04.gradient_flow import scaled_to_radius, tanh_gradients
from course_utils.experiments.nb14.heads import Head
from course_utils.experiments.nb15.image_heads import convolve_by_heads, filter_offsets, shift_heads
from course_utils.experiments.nb16.pieces import PIECES
from course_utils.experiments.nb23.reading import remembering, segment_losses
from course_utils.layers.normalisation import BatchNorm, LayerNorm
from course_utils.models.sampling import next_logits, sample
from course_utils.plots.gradients import power_path
from course_utils.plots.tagging import Memory
from course_utils.seq2seq.beam import beam_search
from course_utils.seq2seq.decoding import translate
from course_utils.text.vocabulary import SPECIALS, detokenise
from course_utils.widgets import (
    Explorer,
    SentencePicker,
    Stepper,
    ToggleGrid,
    buckets,
    decoding,
    embeddings,
    heads,
    hierarchy,
    kernels,
    long_memory,
    normalisation,
    positions,
    race,
    recipes,
    scores,
    seq2seq,
    sparse,
    tagging,
    traces,
    transformer,
    where,
)
from course_utils.widgets.traces import read_sentence

LINES = [" ".join(pair.source) for pair in PAIRS]


@dataclass
class Case:
    make: Callable[[], Explorer]
    plot: str  # "module.function", as the widget's module knows it
    controls: dict[str, tuple[str, object]]  # parameter -> (what is written at the control, its first value)
    oracle: Callable[..., tuple[dict, tuple[str, ...]]]  # values -> (arguments of the plot, parts of the text)
    labels: dict[str, list[tuple[str, object]]] = field(default_factory=dict)  # options that are called otherwise
    typed: dict[str, tuple[str, ...]] = field(default_factory=dict)  # texts for controls that take any
    follow: dict[str, dict[str, object]] = field(default_factory=dict)  # control -> others that begin anew with it
    instead: dict[str, Callable] = field(default_factory=dict)  # slow things, replaced by quick ones


# ---- oracles: what is to be drawn for these values -------------------------------------------------------------------


def _lsh(points, angle, shown, n_buckets):
    x = {"all around": buckets.plane_points(clusters=0), "in clusters": buckets.plane_points()}[points]
    turns = [
        angle,
        *(180 * torch.rand(3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).tolist()[1:],
    ]
    turned = [buckets.plane_rotation(n_buckets, a) for a in turns]
    hashed = torch.stack([buckets.hash_by(x, R) for R in turned])
    recall, seen = buckets.recall_by_rounds(x, hashed)
    ways = torch.cat([turned[shown - 1], -turned[shown - 1]], 1).T
    drawn = dict(points=x, labels=hashed[shown - 1], arrows=ways, nearest=buckets.nearest_key(x), recall=recall,
                 seen=seen, at=shown)  # fmt: skip
    return drawn, (
        f"{shown} of 3 rounds, {n_buckets} buckets: {recall[shown - 1]:.0%} of",
        f", {seen[shown - 1]:.0%} of",
    )


def _sinkhorn(iterations, temperature):
    scores = torch.tensor(buckets.LOGITS, dtype=torch.float64)
    tables = [sinkhorn(scores / temperature, torch.ones(4, 4, dtype=torch.bool), k) for k in range(5)]
    off = [float((t.sum(0) - 1).abs().max()) for t in tables]
    table = tables[iterations]
    return dict(table=table, columns=off, at=iterations), (
        f"iterations: {iterations}, temperature {temperature:g}", f"most {off[iterations]:.2g}", f"{table.max():.2f}.")


SPACES = {"one": toys.space(0), "two": toys.space(1)}


def _neighbours(text, word, k):
    found = SPACES[text].nearest(word.lower(), k)
    said = f"{word.lower()}: {', '.join(name for name, _ in found)}."
    return dict(neighbours=found, title=f"nearest to “{word.lower()}” in: {text}", rows=10), (said,)


def _arithmetic(text, question, a, b, c, excluded):
    vectors = SPACES[text]
    wanted = _unit(vectors, a) - _unit(vectors, b) + _unit(vectors, c)
    cosines = _units(vectors) @ wanted / wanted.norm()
    left = [k for k in cosines.argsort(descending=True).tolist() if not (excluded and vectors.words[k] in (a, b, c))][
        :5
    ]
    found = [(vectors.words[k], float(cosines[k])) for k in left]
    title = f"{a} − {b} + {c}" + ("" if excluded else ", its own words allowed")
    drawn = dict(neighbours=found, title=title, asked=(a, b, c), rows=5)
    return drawn, (f"{a} − {b} + {c} is nearest to {found[0][0]} in: {text}.",)


def _units(vectors):
    return vectors.vectors / vectors.vectors.norm(dim=1, keepdim=True)


def _unit(vectors, word):
    return _units(vectors)[vectors.words.index(word)]


COUNTS = torch.arange(40, 40 - len(SOURCE) + 4, -1)  # of SOURCE.words[4:]


def _draws(tokens):
    """Which words the thinning keeps, and the negatives for every place and neighbour, drawn from seed 0."""
    draws, words = torch.Generator().manual_seed(0), SOURCE.words[4:]
    chance = [min(1.0, math.sqrt(1e-3 / (float(COUNTS[words.index(t)]) / float(COUNTS.sum())))) for t in tokens]
    kept = [
        bool(u < p) for u, p in zip(torch.rand(len(tokens), generator=draws, dtype=torch.float64), chance, strict=True)
    ]
    shares = (COUNTS.double() ** 0.75 / (COUNTS.double() ** 0.75).sum()).cumsum(0)
    u = torch.rand(len(tokens), 8, 5, generator=draws, dtype=torch.float64)
    return kept, [[[words[int((shares < x).sum())] for x in some] for some in place] for place in u]


def _window(sentence, at, window, kind, subsample):
    tokens = tuple(sentence.split())
    kept, picks = _draws(tokens)
    stays = [k for k in range(len(tokens)) if kept[k] or not subsample]
    here = stays.index(at) if at in stays else None
    context = [] if here is None else stays[max(0, here - window) : here] + stays[here + 1 : here + 1 + window]
    if kind == "skip-gram":
        examples = [(tokens[at], tokens[j], tuple(picks[at][i])) for i, j in enumerate(context)]
    else:
        examples = [(" + ".join(tokens[j] for j in context), tokens[at], tuple(picks[at][0]))] if context else []
    dropped = [k for k in range(len(tokens)) if k not in stays]
    name = {"cbow": "CBOW"}.get(kind, kind)
    drawn = dict(words=tokens, centre=at, context=context, examples=examples, kind=kind, dropped=dropped, rows=8,
                 title=f"{name}, window {window}: “{tokens[at]}” is the centre")  # fmt: skip
    return drawn, (f"{len(examples)} example", f"{len(dropped)} of {len(tokens)} words thinned out.")


CALLED, ORDERS = NOTES[:, 0].tolist(), (NOTES[:, 1:] > 0).tolist()


def _hand(at, i=-5.0, f=5.0, o=-5.0, orders=ORDERS):
    """Notebook 03's unit worked out step by step, without the package."""

    def sigma(x):
        return 1 / (1 + math.exp(-x))

    c, steps = 0.0, {name: [] for name in ("before", *"ifgoch")}
    for x, (write, wipe, read) in zip(CALLED, orders, strict=True):
        before = [10 * write + i, -10 * wipe + f, x, 10 * read + o]
        gates_ = dict(i=sigma(before[0]), f=sigma(before[1]), g=math.tanh(before[2]), o=sigma(before[3]))
        c = gates_["f"] * c + gates_["i"] * gates_["g"]
        for name, v in dict(gates_, before=before, c=c, h=gates_["o"] * math.tanh(c)).items():
            steps[name].append(v)
    heard = [" ".join(n for n, on in zip(("write", "wipe", "read"), row, strict=True) if on) for row in orders]
    trace = plots.UnitTrace(called=CALLED, heard=heard, **steps)
    return dict(trace=trace, at=at), steps


def _doors(at, input_bias, forget_bias, output_bias):
    drawn, steps = _hand(at, input_bias, forget_bias, output_bias)
    old = steps["c"][at - 1] if at else 0.0
    return drawn, (f"step {at + 1}: c = f·c + i·g = {steps['f'][at]:.2f}·{old:.2f}".replace("-0.00", "0.00"),
                   f"= {steps['c'][at]:.2f};".replace("-0.00", "0.00"))  # fmt: skip


def _orders(orders, at):
    drawn, steps = _hand(at, orders=[list(column) for column in zip(*orders, strict=True)])
    return drawn, ("step by step: " + ", ".join(f"{h:.2f}".replace("-0.00", "0.00") for h in steps["h"]),)


def _forgetting(bias):
    f = 1 / (1 + math.exp(-bias))
    return dict(bias=bias), (f"f = σ({bias:g}) = {f:.4f}; after 10 steps {f**10:.3f}",)


HEADS = toys.transformer()


@lru_cache
def _said(model, tokens):
    return translate(model, [tokens], SOURCE, TARGET)[0]


def _head(sentence, kind, layer, head, off):
    tokens, remark = read_sentence(sentence, SOURCE)
    said = _said(HEADS, tokens)[:14]
    view = heads.look_at_head(HEADS, tokens, said, SOURCE, TARGET, Head(kind, layer, head), off)
    called = {"encoder": "Encoder's self-attention", "decoder": "Decoder's self-attention", "cross": "Cross-attention"}
    assert view.name == f"{called[kind]}, layer {layer + 1}, head {head + 1}" and (view.after is not None) == off
    return dict(view=view), ("Without this head" if off else f"It writes “{detokenise(said)}”.", remark)


def _split(at, heads_, straight):
    film = heads.split_film(heads_, straight)
    assert (film.n_heads, film.straight, film.heads[0].shape) == (heads_, straight, (heads_, 3, 4 // heads_))
    right = ("a colour a word", "W_Q, W_K and W_V", f"{heads_} head(s) of width {4 // heads_}", "weights of its own",
             "side by side again", "W_O mixes")  # fmt: skip
    wrong = {2: "a head holds words", 3: "between pieces of words", 4: "hides it"}
    return dict(film=film, stage=at), ((wrong if straight and heads_ > 1 and at in wrong else right)[at],)


def _favor(m, scale, kind):
    draws = torch.Generator().manual_seed(22)
    q, k = (scale * torch.randn(16, 8, generator=draws, dtype=torch.float64) for _ in range(2))
    exact = (q @ k.T / math.sqrt(8)).softmax(-1)
    W = kernels.directions(8, m, kind != "positive, independent", seed=0)
    found = kernels.estimated_weights(q, k, W, "trig" if kind.startswith("sine") else "positive")
    error = float((found - exact).norm() / exact.norm())
    return dict(exact=exact, estimate=found, said=f"error {error:.2g}"), (f"m = {m}, entries of size {scale:g}:",)


def _orders_of_products(N, d):
    first, second = 2 * N * N * d, 2 * N * d * d
    cheap = "both orders cost the same" if N == d else (
        f"{'Q (Kᵀ V)' if d < N else '(Q Kᵀ) V'} needs {max(N, d) / min(N, d):g} times fewer")
    return dict(N=N, d=d, operations=(first, second), seconds=(N + 0.5, d + 0.25)), (f"N = {N}, d = {d}: {cheap}",)


RANKED = {"eye": torch.eye(32), "ones": torch.ones(32, 32).tril(), "slope": torch.arange(1024.0).view(32, 32).cos()}


def _rank(name, k):
    def best(table, k):
        u, s, v = torch.linalg.svd(table.double())
        return u[:, :k] @ torch.diag(s[:k]) @ v[:k]

    def error(table, k):
        return float((table - best(table, k)).norm() / table.norm())

    ranks = [1, 2, 4, 8, 16]
    ordered = [name, *(other for other in RANKED if other != name)]
    curves = {other: [[error(RANKED[other], r) for r in ranks]] for other in ordered}
    drawn = dict(table=RANKED[name], best=best(RANKED[name], k), k=k, curves=curves, points=ranks, name=name)
    return drawn, (f"{name}: with k = {k} of 32", f"off by {error(RANKED[name], k):.0%}")


def _shared(memory, n, d, lines=40):  # instead of the measured share
    return (len(memory) + n / 1000) / (100 + d)


def _recall(n, d, memory):
    answers, right = kernels.recalled(memory, n, d)
    names = ("outer products", "linear attention", "softmax attention")
    curves = {name: [_shared(name, many, d) for many in (2, 4, 8, 16, 32, 64, 128)] for name in names}
    kept = dict(zip(names, (16 * d, 17 * d, n * (d + 16)), strict=True))[memory]
    drawn = dict(answer=answers[0], right=int(right[0]), pairs=(2, 4, 8, 16, 32, 64, 128), curves=curves, n=n, d=d,
                 name=memory.capitalize())  # fmt: skip
    return drawn, (f"{n} pairs, d = {d}: {_shared(memory, n, d):.0%} found again; {kept:,} numbers",)


READER = toys.a_reader()


def _losses(memory):
    with remembering(READER, memory):
        return segment_losses(READER, READ, 16, lanes=2)


LOSSES = {m: _losses(m) for m in (0, 4, 32)}


def _long(memory, character):
    letters = [LETTERS.words[i] for i in READ[17:81].tolist()]
    text = "".join(letter if len(letter) == 1 else "?" for letter in letters)
    chosen = character - 1
    losses = LOSSES[memory][0, 16:80].tolist()
    looks = chosen % 16 + 1 + memory
    earliest = chosen
    for _ in range(2):  # layers: each sees its own segment and the memory before it
        earliest = earliest // 16 * 16 - memory
    far = chosen - earliest + 1
    read = dict(text=text, losses=losses, segment=16, chosen=chosen, looks=looks, reaches=far, memories=(0, 4, 32),
                perplexities=[math.exp(LOSSES[m].mean()) for m in (0, 4, 32)], memory=memory)  # fmt: skip
    said = (f"memory {memory}: perplexity {math.exp(LOSSES[memory].mean()):.2f}; character {character} costs "
            f"{losses[chosen]:.2f} nats; one layer sees the {looks} before")  # fmt: skip
    return dict(read=read), (said,)


VECTORS = {word: torch.randn(4, generator=torch.Generator().manual_seed(i)).double()
           for i, word in enumerate(SOURCE.words)}  # fmt: skip


def _normed(other, loud, pads):
    mine = PAIRS[0].source
    T = max(len(mine), len(other)) + pads
    x, mask = torch.zeros(2, T, 4, dtype=torch.float64), torch.zeros(2, T, dtype=torch.bool)
    for b, (sentence, factor) in enumerate(((mine, 1), (other, loud))):
        for t, word in enumerate(sentence):
            x[b, t], mask[b, t] = factor * VECTORS[word], True
    batch, layer = BatchNorm(4).double(), LayerNorm(4).double()
    with torch.no_grad():
        found = {"batch norm": batch(x), "batch norm,\npads masked": batch(x, mask), "layer norm": layer(x)}
    return {name: some[0, : len(mine)] for name, some in found.items()}


def _batch(neighbour, loud, pads, feature):
    first, now = _normed(PAIRS[1].source, 1, 0), _normed(tuple(neighbour.lower().replace(".", " .").replace(
        "?", " ?").split()), loud, pads)  # fmt: skip
    rows = {name: (first[name][:, feature - 1], now[name][:, feature - 1]) for name in now}
    most = float((now["layer norm"] - first["layer norm"]).abs().max())
    title = f"your sentence, feature {feature} of 4"
    return dict(words=PAIRS[0].source, rows=rows, title=title), (f"layer norm: {f'{most:.2f}' if most else '0'}.",)


FEATURES, TARGETS = np.array([[4.0, 0], [9, 1], [7, 0], [12, 1]]), np.array([5.0, 9, 8, 11])


def _valley(scale, lr, normalise):
    x = (FEATURES - FEATURES.mean(0)) * [{"÷ 12 (dozens)": 1 / 12}.get(scale) or 1 / float(scale[2:]), 1]
    x, y = x / x.std(0) if normalise else x, TARGETS - TARGETS.mean()
    low = np.linalg.lstsq(x, y, rcond=None)[0]
    here, path = np.zeros(2), [np.zeros(2)]
    for _ in range(60):
        here = here - lr * x.T @ (x @ here - y) / 4
        path.append(here)

    def above(a, b):  # the loss over its smallest value
        def loss(a, b):
            return sum((row[0] * a + row[1] * b - t) ** 2 for row, t in zip(x, y, strict=True)) / 8

        return loss(a, b) - loss(*low)

    reach = 1.6 * abs(low).max()
    surface = SimpleNamespace(loss=above, x=(low[0] - reach, low[0] + reach), y=(low[1] - reach, low[1] + reach),
                              paths={"gradient descent": np.array(path)}, minimum=tuple(low),
                              xlabel="weight of “words”", ylabel="weight of “question”")  # fmt: skip
    title = "each feature divided by its deviation" if normalise else "features as they are"
    most = np.linalg.eigvalsh(x.T @ x / 4)[-1]
    return dict(surfaces=surface, title=title, equal=True), (f"stable rate {2 / most:.3g}. At rate {lr:g} ",)


IMAGE, KERNEL = torch.arange(20.0).view(4, 5).sin().double(), torch.arange(9.0).view(3, 3).double()


def _convolution(alpha, head):
    padded = torch.nn.functional.pad(IMAGE[None], (1, 1, 1, 1), mode="replicate")[0]
    wanted = sum(KERNEL[a, b] * padded[a : a + 4, b : b + 5] for a in range(3) for b in range(3))
    offsets = filter_offsets(3)
    weights = shift_heads(4, 5, offsets, alpha)[head - 1, 3 * 5 + 4].view(4, 5)
    got = convolve_by_heads(IMAGE[None], KERNEL[None, None], alpha)[0]
    drawn = dict(image=IMAGE, weights=weights, pixel=(3, 4), by_filter=wanted, by_heads=got, head=f"head {head}")
    looks = f"{int(offsets[head - 1][0]):+d}, {int(offsets[head - 1][1]):+d}"
    return drawn, (f"α = {alpha:g}: head {head} looks ({looks}) away", f"{float((got - wanted).abs().max()):.1e}.")


def _positions(d, base, layout, place, offset):
    waves = base ** (-np.arange(0, d, 2) / d)
    turns = np.arange(64)[:, None] * waves
    table = np.stack([np.sin(turns), np.cos(turns)], -1).reshape(64, d)
    table = table if layout == "interleaved" else np.concatenate([np.sin(turns), np.cos(turns)], 1)
    other = min(max(place + offset, 0), 63)
    drawn = dict(table=table.astype(np.float32), place=place, other=other)
    return drawn, (f"PE({place})·PE({other}) = ", f"{abs(other - place)} apart",
                   f"longest wave has {2 * np.pi / waves[-1]:,.1f} places")  # fmt: skip


def _rotary(m, n, both):
    q, k, angle = np.array([1.0, 0.0]), np.array([1.0, 1.0]), 0.5 * (m - n)
    product = float(q @ k * np.cos(angle) + (q[0] * k[1] - q[1] * k[0]) * np.sin(angle))
    drawn = dict(q=q, k=k, m=m + both, n=n + both, theta=0.5)
    return drawn, (f"places {m + both} and {n + both}, {m - n:+d} apart: q·k = {product:.2f}",)


def _costs(N, d):
    found = race.shares(N, d)
    found = {race.NAMES.get(name, name): share for name, share in found.items() if name != "scaled_dot"}
    drawn = dict(shares=found, xlabel="multiply-adds, dense = 1", low=1e-4, high=40,
                 title=f"Counted at N = {N:,}, d = {d}")  # fmt: skip
    return drawn, (f"{sum(v < 1 for v in found.values())} of {len(found)} need fewer",)


SCORES = {"pixels": {"scaled_dot": [0.9], "linear": [0.5, 0.6]}, "listops": {"scaled_dot": [0.3], "linear": [0.32]}}


def _trade(task, N):
    cost = {"linear": 17 / N}  # d (d + 1) of N d
    means = {plug: sum(seeds) / len(seeds) for plug, seeds in SCORES[task].items()}
    entries = [("dense", 1.0, means["scaled_dot"], 1.0), ("linear", cost["linear"], means["linear"], 1.0)]
    drawn = dict(entries=entries, xlabel="multiply-adds, dense = 1", ylabel="share right, mean of the seeds",
                 title=f"{task}, cost at N = {N:,}", reference="dense", xlim=(2e-4, 30),
                 ylim=(-0.05, 1.08))  # fmt: skip
    best = "dense, 1 x" if task == "pixels" else f"linear, {17 / N:.2g} x"
    return drawn, (f"best: {best} dense.",)


STACKS = ("encoder", "decoder")
NORMS = {norm: {n: {stack: [0.1 * (k + 1 + i + 3 * j) for k in range(n)] for i, stack in enumerate(STACKS)}
                for n in (2, 6)} for j, norm in enumerate(("pre", "post"))}  # fmt: skip


def _depth(depth, stack):
    lines = {"pre-norm": NORMS["pre"][depth][stack], "post-norm": NORMS["post"][depth][stack]}
    said = tuple(f"{name}: the first block gets {x[0] / x[-1]:.2g} times" for name, x in lines.items())
    return dict(norms=lines, title=f"{stack}, {depth} blocks, untrained"), said


MERGED = [  # "low" 5, "lower" 2, "newest" 6, "widest" 3, worked by hand
    ("characters only", "", "l o w·|l o w e r·|n e w e s t·|w i d e s t·"),
    ("merge 1: s + t·", "st</w>", "l o w·|l o w e r·|n e w e st·|w i d e st·"),
    ("merge 2: e + st·", "est</w>", "l o w·|l o w e r·|n e w est·|w i d est·"),
    ("merge 3: l + o", "lo", "lo w·|lo w e r·|n e w est·|w i d est·"),
]


def _merges(step):
    title, joined, said = MERGED[step]
    words = dict(zip((tuple(word.replace("·", "</w>").split()) for word in said.split("|")), (5, 2, 6, 3), strict=True))
    found = {}
    for pieces, often in words.items():
        for a, b in zip(pieces, pieces[1:], strict=False):
            found[a, b] = found.get((a, b), 0) + often
    order = sorted(found, key=lambda pair: (-found[pair], [-ord(c) for c in pair[0]]))
    pairs = [(" + ".join(pair), found[pair]) for pair in sorted(order, key=lambda p: (found[p], p), reverse=True)]
    many = sum(len(pieces) * often for pieces, often in words.items())
    kinds = len({piece for pieces in words for piece in pieces})
    return dict(words=words, joined=joined, pairs=pairs, title=title), (f"{kinds} kinds of pieces, {many} pieces",)


def _mask(mask):
    q, k = (FIVE @ W.T for W in THREE[:2])
    scores = (q @ k.T / math.sqrt(2)).double().masked_fill(~torch.tensor(mask), -torch.inf)
    weights = scores.softmax(-1).nan_to_num(0.0)
    drawn = dict(source=FLOOD, target=FLOOD, weights=weights, title="Weights: a row is one query, its keys are columns")
    return drawn, (f"{sum(map(sum, mask))} of 25 looks are allowed.",)


def _asks(query, x, y, kind):
    inputs = FIVE.double().clone()
    inputs[1, :2] = torch.tensor([x, y])
    q, k, v = (inputs @ W.double().T for W in THREE)
    if kind == "without weights":
        q = k = inputs
        v = inputs[:, :2]
    scores = k @ q[query] / (math.sqrt(2) if kind == "with weights, scaled" else 1)
    weights = scores.softmax(-1)
    formula = {"without weights": "x · x", "with weights": "q · k", "with weights, scaled": "q · k / √d"}[kind]
    step = dict(words=FLOOD, values=v, scores=scores, weights=weights, output=weights @ v, query=query, formula=formula)
    parts = " + ".join(f"{a:.2f} {word}" for a, word in zip(weights.tolist(), FLOOD, strict=True))
    return dict(step=step, names=("water", "money")), (f"output of “{FLOOD[query]}” = {parts} = (",)


def _width(d):
    draws = torch.Generator().manual_seed(0)
    query = torch.randn(1024, generator=draws, dtype=torch.float64)
    keys = torch.randn(16, 1024, generator=draws, dtype=torch.float64)
    scores = (keys[:, :d] @ query[:d]).numpy()

    def entropy(e):
        return float(torch.distributions.Categorical(logits=torch.tensor(e)).entropy())

    def gradient(scale):
        a = torch.tensor(scores * scale).softmax(0).numpy()
        return np.linalg.norm(scale * (np.diag(a) - np.outer(a, a)) @ keys[:, :d].numpy())

    said = (f"d = {d}: entropy {entropy(scores):.2f} without the scale, {entropy(scores / d**0.5):.2f} with it",
            f"at q {gradient(1):.2g} and {gradient(d**-0.5):.2g}.")  # fmt: skip
    return dict(scores=scores, d=d), said


ATTENTIVE, ONE_VECTOR = toys.attentive(), toys.fixed()


@lru_cache
def _followed(trace, model, tokens, name):
    return trace(model, tokens, SOURCE, TARGET, name)


def _film(sentence, at):
    tokens, remark = read_sentence(sentence, SOURCE)
    step = _followed(traces.trace_attention, ATTENTIVE, tokens, "It")[at // 6]
    stage = ("encoder states", "scores", "softmax", "weighted sum", "state", "word")[at % 6]
    return dict(step=step, stage=at % 6), (f"It, word {at // 6 + 1}, {stage}", remark)


def _fixed(sentence, at):
    tokens, remark = read_sentence(sentence, SOURCE)
    trace = _followed(traces.trace_fixed, ONE_VECTOR, tokens, "One vector")
    S = len(tokens)
    said = (
        f"read “{tokens[at]}”" if at < S else "C alone is left" if at == S else f"wrote “{trace.written[at - S - 1]}”"
    )
    return dict(trace=trace, frame=at), (f"One vector: {said}", remark)


@lru_cache
def _before(tokens):
    return traces.follow(ATTENTIVE, tokens, SOURCE, TARGET)


def _steer(sentence, step, word, amount):
    tokens, remark = read_sentence(sentence, SOURCE)
    moved = traces.steer(ATTENTIVE, tokens, SOURCE, TARGET, step=step - 1, word=word, amount=amount, name="Attentive",
                         before=_before(tokens))  # fmt: skip
    assert (moved.step, moved.word, moved.amount, moved.source) == (step - 1, word, amount, tokens)
    return dict(steered=moved), (f"Attentive, word {step}: with {amount:.0%} of the weight on “{tokens[word]}”", remark)


RUNGS = [PAIRS[2], PAIRS[1], PAIRS[0], PAIRS[3]]  # of 3, 5, 6 and 12 words; of two of one length the first


def _bottleneck(length):
    pair = RUNGS[length]
    said = {"one": _said(ONE_VECTOR, pair.source), "att": _said(ATTENTIVE, pair.source)}
    drawn = dict(source=pair.source, reference=pair.target, outputs=said, min_height=1.0)
    return drawn, (f"{len(pair.source)} source words; wrong words: one ",)


MAPS = {"even": torch.full((7, 7), 1 / 7), "own": torch.eye(7), "slope": torch.arange(49.0).view(7, 7) / 200}
SEVEN = "a cat that we see sees her".split()


def _layers(pattern: np.ndarray) -> np.ndarray:
    """After how many layers i knows of j; 99 for never."""
    found, known = np.full(pattern.shape, 99), np.eye(len(pattern), dtype=bool)
    for layer in range(len(pattern) + 1):
        found[known & (found == 99)] = layer
        known = known | (pattern.astype(int) @ known.astype(int) > 0)
    return found


def _looks(n, window, stride=0, n_global=0, n_random=0):
    pattern = np.zeros((n, n), dtype=bool)
    lot = torch.rand(n, n, generator=torch.Generator().manual_seed(0)).argsort(1, descending=True)
    for i, j in np.ndindex(n, n):
        pattern[i, j] = abs(i - j) <= window or min(i, j) < n_global or (stride and (i - j) % stride == 0)
        pattern[i, j] |= j in lot[i, :n_random]
    return pattern


def _painter(name, window, stride, n_random, n_global, painted):
    pattern = _looks(7, window, stride, n_global, n_random) | np.array(painted)
    steps, table = _layers(pattern), MAPS[name].double().numpy()
    kept = float((table * pattern).sum(1).mean())
    drawn = dict(
        pattern=pattern, weights=table, words=SEVEN, reached=[(steps <= k).mean() for k in range(1, 7)], kept=kept
    )
    return drawn, (f"{pattern.sum()} of 49 pairs;", f"{kept:.0%} of this map's mass is kept.",
                   "never meet" if steps.max() == 99 else f"takes {steps.max()} layers")  # fmt: skip


def _reach(window, layers, causal):
    pattern = _looks(21, window)
    steps = _layers(np.tril(pattern) if causal else pattern)[10]
    reach = np.array([steps <= k for k in range(layers + 1)])
    return dict(reach=reach, at=10, title="Who can change place 10?"), (
        f"w = {window}, L = {layers}: place 10 depends on {reach[-1].sum()} of 21 words",)


TAGGERS = {"one": toys.elman(), "other": toys.elman(2)}


def _memory(sentence, swap, by, at, model):
    tokens, remark = read_sentence(sentence, SOURCE)
    new = tokens if by == "(as it is)" else (*tokens[:swap], by, *tokens[swap + 1 :])
    (now, said), (then, said_then) = (tagging.states_and_probabilities(TAGGERS[model], SOURCE.encode(t))
                                      for t in (new, tokens))  # fmt: skip
    before = (None, None) if by == "(as it is)" else (then, said_then)
    labels = TARGET.words[4:]
    word = f"Word {at + 1}, “{new[at]}”: {labels[int(said[at].argmax())]} ({said[at].max():.2f})."
    moved = f"“{by}” for “{tokens[swap]}” the state has moved by {abs(now - then).mean(1)[at]:.2f}"
    shown = (word, remark) if by == "(as it is)" or at < swap else (word, moved, remark)
    return dict(memory=Memory(model, new, now, labels, said, swap, *before), at=at), shown


@np.errstate(over="ignore")  # far away the loss is beyond all numbers
def _cliff(n, start_w, start_u, rate, steps, clip):
    w_, u, path = start_w, start_u, [(start_w, start_u)]
    for _ in range(steps):
        error = 2 * (float(u) * float(w_) ** n - 1)
        slope = np.array([error * u * n * w_ ** (n - 1), error * w_**n])
        slope = slope / max(1.0, np.linalg.norm(slope)) if clip else slope
        w_, u = w_ - rate * slope[0], u - rate * slope[1]
        path.append((w_, u))
        if max(abs(w_), abs(u)) > 1e3:
            break
    how = "clipped to norm 1" if clip else "not clipped"
    norm = power_path(start_w, start_u, n=n, rate=rate, clip=None, steps=1)[1]
    before, after = ((u_ * v**n - 1) ** 2 for v, u_ in (path[0], path[-1]))
    return dict(places=path, n=n, title=f"n = {n}, {how}"), (
        f"start {norm:.3g}, {how}. After {len(path) - 1} step",
        f"w = {w_:.3g}, u = {u:.3g}, loss {before:.3g} → {after:.3g}.",
    )


def _radius(radius, size):
    found = {"tanh": [], "linear": []}
    for seed in range(2):
        rng = torch.Generator().manual_seed(seed)
        W, x = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((6, 6), (13, 6)))
        for name, runs in found.items():
            ones = torch.ones(6, dtype=torch.float64) / 6**0.5
            runs.append(tanh_gradients(scaled_to_radius(W, radius), size * x, ones, name == "linear"))
    title = f"spectral radius {radius:.2f}, inputs of size {size:.1f}"
    lines = {name: torch.stack(runs) for name, runs in found.items()}
    with np.errstate(divide="ignore"):  # inputs of size 0 and a small radius: nothing arrives
        ends = [f"{name} 10^{float(np.median(np.log10(runs[:, -1].numpy()))):.1f}" for name, runs in lines.items()]
    return dict(series=lines, limits=(-12, 12), title=title), (", ".join(ends),)


SPEAKER = toys.letters()


def _speaker(prompt, temperature, seed):
    ids = LETTERS.encode(list(prompt))
    p = (next_logits(SPEAKER, ids)[0].double() / temperature).softmax(-1)
    best = {LETTERS.words[i]: float(p[i]) for i in p.topk(12).indices.tolist()}
    said = "".join(LETTERS.words[i] for i in sample(SPEAKER, ids, 30, temperature, torch.Generator().manual_seed(seed)))
    bits = float(-(p * p.log2()).nansum())
    drawn = dict(probabilities=best, prompt=prompt, said=said, title=f"next, at {temperature:.2f}")
    return drawn, (f"{bits:.2f} bits at temperature {temperature:.2f}.",)


WHOLE = [[0.9, 0.5], [0.8, 0.4], [0.95, 0.6]]
WITHOUT = {piece: [[0.08 * k, 0.01 * k], [0.12 * k, 0.03 * k]] for k, piece in enumerate(PIECES)}  # two seeds


def _pieces(piece):
    drawn = dict(
        piece=piece, said=PIECES[piece], whole=WHOLE, without=WITHOUT[piece], buckets=("3-7", "8-11"), trained=1
    )
    k = list(PIECES).index(piece)
    return drawn, (f"3-7: {0.1 * k:.2f}, 8-11: {0.02 * k:.2f}.",)


@lru_cache
def _translated(tokens):
    return transformer.trace_transformer(HEADS, tokens, SOURCE, TARGET)


def _translation(sentence, layer, head, at):
    tokens, remark = read_sentence(sentence, SOURCE)
    film = _translated(tokens)
    weights = film.cross[layer - 1, head - 1, at]
    word, p = film.candidates[at][0]
    said = f"across at “{tokens[int(weights.argmax())]}” ({weights.max():.2f}) most."
    return dict(film=film, step=at, layer=layer - 1, head=head - 1), (f"Next word: “{word}” {p:.2f}", said, remark)


QUERY, KEYS = torch.tensor([1.0, 0.5]), torch.tensor([[2.0, 0.1], [-0.5, 1.5], [1.0, 2.5]])
COMPARE = {"dot": lambda q, k: k @ q, "distance": lambda q, k: -(k - q).norm(dim=1)}


def _scores(kind, factor, length):
    keys = KEYS.double() * torch.tensor([[1.0], [1.0], [length]]).double()
    found = factor * COMPARE[kind](QUERY.double(), keys)
    weights = found.softmax(0)
    name = kind if factor == 1 else f"{factor:g} × {kind}"
    step = dict(words=("a", "b", "c"), query=QUERY, keys=keys, scores=found, name=name)
    return dict(step=step), (f"{name}: the largest weight is {weights.max():.2f}, on “{'abc'[int(weights.argmax())]}”",)


@lru_cache
def _beam(tokens, k, alpha):
    source = torch.tensor([SOURCE.encode(tokens)])
    film = decoding.beam_film(ATTENTIVE, source, TARGET, k, keep=k)
    best = beam_search(ATTENTIVE, source, k, alpha=alpha).best
    return film, detokenise(TARGET.decode(best.tokens[0])), float(best.log_prob)


def _beams(sentence, k, alpha, at):
    tokens, remark = read_sentence(sentence, SOURCE, full_stop=False)
    film, said, total = _beam(tokens, k, alpha)
    line = f"in the end, with α = {alpha:g}: “{said}”, log p {total:.1f}"
    how = f"pruned to the {k} best" if at % 2 else "grown"
    return dict(film=film, at=at, line=line), (f"It, step {at // 2 + 1}: {how}. Chosen {line}.", remark)


def _cuts(prompt, seed, temperature, top_k, top_p):
    ids = LETTERS.encode(list(prompt))
    p = (next_logits(SPEAKER, ids)[0].double() / temperature).softmax(-1)
    order = p.argsort(descending=True)[:top_k]
    q = p[order] / p[order].sum()
    keep = order[(q.cumsum(0) - q < top_p) & (q > 0)]  # the fewest that reach top_p
    left = torch.zeros_like(p).index_copy_(0, keep, p[keep] / p[keep].sum())
    drawn = sample(SPEAKER, ids, 30, temperature, torch.Generator().manual_seed(seed), top_k=top_k, top_p=top_p)
    best = {LETTERS.words[i]: float(left[i]) for i in left.topk(12).indices.tolist()}
    wanted = dict(probabilities=best, prompt=prompt, said="".join(LETTERS.words[i] for i in drawn),
                  title=f"top-k {top_k}, top-p {top_p:g}")  # fmt: skip
    return wanted, (f"{len(keep)} symbol", f"the likeliest has {float(left.max()):.2f}.")


JUDGE = toys.sharp_reader()
TEXTS = (toys.Document((tuple("zz"),), 1),
         toys.Document((tuple("abc"), tuple("de")), 0, "x-y", (0, (1,))))  # fmt: skip


def _document(document, by, without):
    chosen = TEXTS[document]
    left_out = without - 1 if 0 < without <= len(chosen.sentences) and len(chosen.sentences) > 1 else None
    reading, (one, two) = hierarchy.read(JUDGE, chosen, LETTERS, left_out)
    titles = "document: two", "x y: one"
    what = "with all sentences" if left_out is None else f"without sentence {without}"
    kind = "words" if by == "a word's weight in its sentence" else "both"
    return dict(reading=reading, by=kind, most=10, title=titles[document]), (
        f"{what}: one {one:.2f}, two {two:.2f}.",)


GLANCES = torch.tensor([[1.0, 3.0, 0.5, 2.0], [0.0, -1.0, 2.0, 1.0], [4.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.5],
                        [1.0, 2.0, 3.0, 2.0]])  # fmt: skip
STOPS = torch.tensor([[0.2, 0.6, 0.9], [0.1, 0.3, 0.4], [0.8, 0.9, 0.7]])


def _glance(kind, t, centre, window):
    middle = {"global": None, "local-m": min(t, 3), "local-p": centre}[kind]
    inside = [s for s in range(4) if middle is None or abs(s - middle) <= window]
    e = [math.exp(GLANCES[t, s]) if s in inside else 0.0 for s in range(4)]
    a = [x / (sum(e) or 1) for x in e]
    if kind == "local-p":
        a = [x * math.exp(-((s - middle) ** 2) / (2 * (window / 2) ** 2)) for s, x in enumerate(a)]
    best = max(range(4), key=lambda s: a[s])
    glance = dict(source=tuple("abcd"), target="vwxyz"[t], weights=np.array(a), centre=middle,
                  window=window if kind != "global" else 0, bell=kind == "local-p")  # fmt: skip
    said = f"{kind}, “{'vwxyz'[t]}”: {a[best]:.2f} on “{'abcd'[best]}”; the weights sum to {sum(a):.2f}."
    return dict(glance=glance), (said,)


def _walks(way, step):
    coins = torch.rand(3, 3, generator=torch.Generator().manual_seed(way)) if way else torch.full((3, 3), 0.5)
    seen, at, reach, expected = [], 0, [1.0, 0.0, 0.0], []
    for i in range(3):
        while at < 3:
            seen.append((i, at, bool(STOPS[i, at] > coins[i, at])))
            if seen[-1][2]:
                break
            at += 1
        arrive, row = 0.0, []
        for j in range(3):
            arrive = arrive * (1 - float(STOPS[i, j - 1]) if j else 1.0) + reach[j]
            row.append(arrive * float(STOPS[i, j]))
        reach = row
        expected.append(row)
    seen = seen[: step + 1]
    i, j, stopped = seen[-1]
    how = "a coin" if way else "p > ½"
    said = f"stops at “{'abc'[j]}” ({how})" if stopped else f"passes “{'abc'[j]}” by"
    said += ": nothing is found any more." if not stopped and j == 2 else "."
    drawn = dict(source=tuple("abc"), target=tuple("xyz"), p=STOPS, looked=seen, expected=np.array(expected))
    return dict(walk=drawn), (f"For “{'xyz'[i]}”, look {len(seen)}: it {said}",)


# ---- the table -------------------------------------------------------------------------------------------------------

OWN = ("The platypus sleeps",)
EXPLORERS = toys.EXPLORERS
as_listed = [detokenise(pair.source) for pair in PAIRS]
BEGIN_ANEW = {"sentence": {"at": 0}}

WIDGETS: dict[str, Case] = {
    "buckets.lsh_plane": Case(
        EXPLORERS["buckets"], "lsh_view",
        dict(points=("points", "all around"), angle=("first angle", 20), shown=("rounds", 1),
             n_buckets=("buckets", 16)), _lsh),
    "buckets.sinkhorn_slider": Case(
        EXPLORERS["sinkhorn"], "sinkhorn_view", dict(iterations=("iterations", 1), temperature=("temperature", 0.5)),
        _sinkhorn),
    "decoding.beam_player": Case(
        lambda: decoding.beam_player(ATTENTIVE, SOURCE, TARGET, PAIRS[:2], "It", k=2, at=3), "beam_frame",
        dict(sentence=("sentence", as_listed[0]), k=("width k", 2), alpha=("α", 0.0), at=("step", 3)), _beams,
        typed={"sentence": OWN}, follow=dict(sentence=dict(at=0), k=dict(at=0))),
    "decoding.cutter": Case(
        lambda: decoding.cutter(SPEAKER, LETTERS, ["the cat ", "a dog\n"], n=30), "next_symbols",
        dict(prompt=("prompt", "the cat "), seed=("seed", 0), temperature=("temperature", 1.0),
             top_k=("top-k", len(LETTERS) - len(SPECIALS)), top_p=("top-p", 0.9)), _cuts,
        typed={"prompt": ("a dog\n",)}),
    "hierarchy.document_reader": Case(
        lambda: hierarchy.document_reader(JUDGE, TEXTS, LETTERS, ("one", "two")), "document_map",
        dict(document=("document", 0), by=("a word's colour", "a word's weight in its sentence"),
             without=("leave out sentence (0: none)", 0)), _document,
        labels=dict(document=[("1: two", 0), ("2: one", 1)])),
    "where.window_explorer": Case(
        lambda: where.window_explorer(tuple("abcd"), tuple("vwxyz"), GLANCES, at=1, centre=1.4), "window_view",
        dict(t=("target word t", 1), centre=("place p (local-p)", 1.4), window=("window D", 2),
             kind=("attention", "local-p")), _glance),
    "where.walk_player": Case(
        lambda: where.walk_player(tuple("abc"), tuple("xyz"), STOPS), "walk_view",
        dict(way=("draw (0: decoding)", 0), step=("look", 0)), _walks),
    "scores.score_explorer": Case(
        lambda: scores.score_explorer(("a", "b", "c"), QUERY, KEYS, COMPARE), "compared",
        dict(kind=("score", "dot"), factor=("factor before the softmax", 1.0),
             length=("length of the key of “c”", 1.0)), _scores),
    "embeddings.neighbour_explorer": Case(
        lambda: embeddings.neighbour_explorer(SPACES, ["cat", "dog"]), "cosine_bars",
        dict(text=("text read", "one"), word=("word", "cat"), k=("how many", 10)), _neighbours,
        typed={"word": ("Sees",)}),
    "embeddings.arithmetic_explorer": Case(
        lambda: embeddings.arithmetic_explorer(SPACES, [("cat", "dog", "the"), ("sees", "does", "not")]), "cosine_bars",
        dict(text=("text read", "one"), question=("question", ("cat", "dog", "the")), a=("", "cat"), b=("minus", "dog"),
             c=("plus", "the"), excluded=("leave the three words of the question out", True)),
        _arithmetic, labels={"question": [("cat − dog + the", ("cat", "dog", "the")),
                                          ("sees − does + not", ("sees", "does", "not"))]},
        typed=dict(a=("small",), b=("small",), c=("small",)), follow={"question": dict(a="sees", b="does", c="not")}),
    "embeddings.window_explorer": Case(
        lambda: embeddings.window_explorer(LINES[:3], SOURCE.words[4:], COUNTS), "window_step",
        dict(sentence=("sentence", LINES[0]), at=("centre", 0), window=("window", 2), kind=("", "skip-gram"),
             subsample=("thin out frequent words", False)),
        _window, follow=BEGIN_ANEW),
    "gates.door_player": Case(
        EXPLORERS["doors"], "lstm_unit",
        dict(at=("step", 0), input_bias=("bias of the input gate", -5.0), forget_bias=("bias of the forget gate", 5.0),
             output_bias=("bias of the output gate", -5.0)), _doors),
    "gates.order_player": Case(
        EXPLORERS["orders"], "lstm_unit",
        dict(orders=(["write", "wipe", "read"], tuple(map(tuple, (NOTES[:, 1:].T > 0).tolist()))), at=("step", 3)),
        _orders),
    "gates.forgetting_slider": Case(
        EXPLORERS["forgetting"], "forgetting", dict(bias=("what σ is given", 1.0)), _forgetting),
    "heads.head_explorer": Case(
        EXPLORERS["heads"], "head_view",
        dict(sentence=("sentence", as_listed[0]), kind=("which attention", "cross"), layer=("layer", 0),
             head=("head", 0), off=("switch this head off", False)), _head,
        labels=dict(kind=[("encoder's self-attention", "encoder"), ("decoder's self-attention", "decoder"),
                          ("cross-attention", "cross")], layer=[("1", 0), ("2", 1)], head=[("1", 0), ("2", 1)]),
        typed={"sentence": OWN}),
    "heads.split_player": Case(
        EXPLORERS["split"], "split_frame",
        dict(at=("step", 0), heads=("heads", 2), straight=("reshape straight to (H, T, d): the mistake", False)),
        lambda at, heads, straight: _split(at, heads, straight),
        labels={"heads": [("1 head", 1), ("2 heads", 2), ("4 heads", 4)]}),
    "kernels.order_slider": Case(
        EXPLORERS["order of products"], "product_orders", dict(N=("length N", 1024), d=("width d", 64)),
        _orders_of_products, instead={"order_seconds": lambda N, d: (N + 0.5, d + 0.25)}),
    "kernels.rank_explorer": Case(
        lambda: kernels.rank_explorer(RANKED, k=8), "rank_view", dict(name=("map", "eye"), k=("rank k", 8)), _rank),
    "kernels.favor_explorer": Case(
        EXPLORERS["random features"], "favor_view",
        dict(m=("features m", 64), scale=("size of the entries of q and k", 0.5),
             kind=("features", "positive, orthogonal")), _favor),
    "kernels.recall_slider": Case(
        EXPLORERS["recall"], "recall_view",
        dict(n=("pairs n", 8), d=("width d", 16), memory=("memory", "outer products")), _recall,
        instead={"share_recalled": _shared}),
    "long_memory.memory_explorer": Case(
        lambda: long_memory.memory_explorer(READER, LETTERS, READ, segment=16, rows=4, start=1, lanes=2,
                                            memories=(0, 4, 32)),
        "memory_view", dict(memory=("memory (characters)", 0), character=("chosen character", 50)), _long),
    "normalisation.neighbour_explorer": Case(
        lambda: normalisation.neighbour_explorer([p.source for p in PAIRS], VECTORS), "beside_neighbours",
        dict(neighbour=("neighbour", as_listed[1]), loud=("its vectors ×", 1.0), pads=("pads added", 0),
             feature=("feature shown", 1)), _batch),
    "normalisation.valley_explorer": Case(
        lambda: normalisation.valley_explorer(FEATURES, TARGETS, ("words", "question")), "surface_with_paths",
        dict(scale=("“words”", "× 1"), lr=("learning rate", 0.14), normalise=("normalise the features", False)),
        _valley),
    "positions.position_explorer": Case(
        EXPLORERS["positions"], "position_view",
        dict(d=("width d", 64), base=("base", 10_000), layout=("layout", "interleaved"), place=("place", 20),
             offset=("offset", 5)), _positions),
    "positions.rotary_turner": Case(
        lambda: positions.rotary_turner(FOUR[0], FOUR[2]), "turned_pairs",
        dict(m=("place of the query", 3), n=("place of the key", 1), both=("move both by", 0)), _rotary),
    "positions.convolution_slider": Case(
        lambda: positions.convolution_slider(IMAGE, KERNEL), "convolution_view",
        dict(alpha=("α: how sharply", 1), head=("head", 3)), _convolution),
    "race.cost_explorer": Case(
        EXPLORERS["costs"], "cost_bars", dict(N=("length N", 1024), d=("width d of a head", 16)), _costs),
    "race.trade_explorer": Case(
        lambda: race.trade_explorer(SCORES, {"scaled_dot": {}, "linear": {}}, "pixels"), "trade_off",
        dict(task=("task", "pixels"), N=("cost at length N", 256)), _trade),
    "recipes.depth_explorer": Case(
        lambda: recipes.depth_explorer(NORMS), "gradient_by_block",
        dict(depth=("blocks", 6), stack=("stack", "decoder")), _depth),
    "recipes.merge_player": Case(
        lambda: recipes.merge_player({"low": 5, "lower": 2, "newest": 6, "widest": 3}, 3), "merge_frame",
        dict(step=("merge", 0)), _merges),
    "self_attention.one_asks": Case(
        EXPLORERS["one asks"], "looking",
        dict(query=("who asks", 4), x=("river: water", 2.0), y=("river: money", 0.0),
             kind=("attention", "with weights")), _asks,
        labels={"query": [(f"{j + 1} {word}", j) for j, word in enumerate(FLOOD)]}),
    "self_attention.width_slider": Case(EXPLORERS["width"], "saturation", dict(d=("width d of q and k", 64)), _width),
    "self_attention.mask_painter": Case(
        EXPLORERS["mask painter"], "alignment_map",
        dict(mask=([f"{k} {word} asks" for k, word in enumerate(FLOOD, 1)],
                   tuple(tuple(j <= i for j in range(5)) for i in range(5)))), _mask),
    "seq2seq.attention_player": Case(
        EXPLORERS["attention player, attentive"], "attention_step",
        dict(sentence=("sentence", as_listed[0]), at=("step", 0)), _film, typed={"sentence": OWN},
        follow=BEGIN_ANEW),
    "seq2seq.fixed_context_player": Case(
        lambda: seq2seq.fixed_context_player(toys.fixed(), SOURCE, TARGET, PAIRS[:2], "One vector"), "seq2seq_unrolled",
        dict(sentence=("sentence", as_listed[0]), at=("step", 0)), _fixed, typed={"sentence": OWN}, follow=BEGIN_ANEW),
    "seq2seq.steering_widget": Case(
        lambda: seq2seq.steering_widget(ATTENTIVE, SOURCE, TARGET, PAIRS[:2], "Attentive", step=1, word=2, amount=0.75),
        "steering",
        dict(sentence=("sentence", as_listed[0]), step=("target word", 2), word=("put the weight on", 2),
             amount=("how much of it", 0.75)), _steer, typed={"sentence": OWN},
        follow={"sentence": dict(step=1, word=0)},
        labels={"word": [(f"{j + 1} {word}", j) for j, word in enumerate(PAIRS[0].source)]}),
    "seq2seq.bottleneck_explorer": Case(
        lambda: seq2seq.bottleneck_explorer({"one": ONE_VECTOR, "att": ATTENTIVE}, SOURCE, TARGET, PAIRS),
        "marked_translation", dict(length=("length", 0)), _bottleneck,
        labels={"length": [(f"{n} words", k) for k, n in enumerate((3, 5, 6, 12))]}),
    "sparse.pattern_painter": Case(
        lambda: sparse.pattern_painter(SEVEN, MAPS), "painted_map",
        dict(name=("map", "even"), window=("window w, each side", 1), stride=("stride (0: none)", 0),
             n_random=("random places a row", 0), n_global=("global tokens", 0),
             painted=([f"{k + 1} {word}" for k, word in enumerate(SEVEN)], ((False,) * 7,) * 7)), _painter),
    "sparse.reach_slider": Case(
        EXPLORERS["reach"], "reach_view",
        dict(window=("window w, each side", 2), layers=("layers L", 3), causal=("causal", False)), _reach),
    "tagging.memory_player": Case(
        lambda: tagging.memory_player(TAGGERS, SOURCE, TARGET, PAIRS[:2], replacements=("cats", "the"), at=2),
        "memory_strip",
        dict(sentence=("sentence", as_listed[0]), swap=("replace", 0), by=("by", "(as it is)"), at=("step", 2),
             model=("model", "one")), _memory, typed={"sentence": OWN},
        follow={"sentence": dict(swap=0, by="(as it is)", at=0)},
        labels={"swap": [(f"{j + 1} {word}", j) for j, word in enumerate(PAIRS[0].source)]}),
    "training.cliff_explorer": Case(
        EXPLORERS["cliff"], "cliff",
        dict(n=("n, steps in time", 20), start_w=("start: w", 1.15), start_u=("start: u", 1.0),
             rate=("learning rate", 0.1), steps=("updates", 1), clip=("clip the gradient to norm 1", False)), _cliff),
    "training.radius_explorer": Case(
        EXPLORERS["spectral radius"], "gradient_by_distance",
        dict(radius=("spectral radius", 0.9), size=("size of the inputs", 0.1)), _radius),
    "training.speaker": Case(
        EXPLORERS["speaker"], "next_symbols",
        dict(prompt=("prompt", "the cat "), temperature=("temperature", 0.7), seed=("seed", 0)), _speaker,
        typed={"prompt": ("a dog\n", "x")}),
    "transformer.piece_explorer": Case(
        lambda: transformer.piece_explorer(WHOLE, WITHOUT, ("3-7", "8-11"), trained=1), "piece_view",
        dict(piece=("without", "residuals")), _pieces),
    "transformer.transformer_player": Case(
        EXPLORERS["transformer"], "transformer_frame",
        dict(sentence=("sentence", as_listed[0]), layer=("layer", 2), head=("head", 1), at=("word", 0)), _translation,
        typed={"sentence": OWN}, follow=BEGIN_ANEW),
}  # fmt: skip


# ---- the machinery ---------------------------------------------------------------------------------------------------


def same(found, wanted, where: str = "") -> None:
    """Equal up to rounding, whatever holds the numbers; dictionaries in the same order, functions in their values. What
    is wanted as a dictionary may be an object of those fields; None in it: not compared."""
    if callable(wanted):
        a, b = np.meshgrid(np.linspace(-1, 2, 4), np.linspace(0.5, 3, 3))
        np.testing.assert_allclose(found(a, b), wanted(a, b), rtol=1e-6, err_msg=where)
    elif isinstance(wanted, Mapping) and is_dataclass(found):
        assert set(wanted) == {f.name for f in fields(found)}, where
        for name, value in wanted.items():
            if value is not None:
                same(getattr(found, name), value, f"{where}.{name}")
    elif is_dataclass(wanted):
        for f in fields(wanted):
            same(getattr(found, f.name), getattr(wanted, f.name), f"{where}.{f.name}")
    elif isinstance(wanted, SimpleNamespace):
        for name, value in vars(wanted).items():
            same(getattr(found, name), value, f"{where}.{name}")
    elif isinstance(wanted, Mapping):
        assert list(found) == list(wanted), f"{where}: {list(found)} instead of {list(wanted)}"
        for name, value in wanted.items():
            same(found[name], value, f"{where}[{name!r}]")
    elif wanted is None or isinstance(wanted, str | bool):
        assert found is wanted or found == wanted, f"{where}: {found!r} instead of {wanted!r}"
    elif isinstance(wanted, list | tuple) and not _numeric(wanted):
        assert len(found) == len(wanted), f"{where}: {found!r} instead of {wanted!r}"
        for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
            same(a, b, f"{where}[{k}]")
    else:
        one, other = (np.asarray(x, dtype=float) for x in (found, wanted))
        assert one.shape == other.shape, f"{where}: shape {one.shape} instead of {other.shape}"
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6, err_msg=where)


def _numeric(values) -> bool:
    try:
        return np.asarray(values, dtype=float).dtype == float
    except (TypeError, ValueError):
        return False


def stand_in(monkeypatch, name: str) -> tuple[Explorer, list[dict]]:
    """The widget, its plot replaced by one that keeps its arguments; and what it kept."""
    case, module = WIDGETS[name], importlib.import_module(f"course_utils.widgets.{name.split('.')[0]}")
    real, calls = getattr(module, case.plot), []
    blank = plots.new_figure(1.0, 1.0)

    def keep(*args, **kwargs):
        calls.append(dict(inspect.signature(real).bind(*args, **kwargs).arguments))
        return blank

    monkeypatch.setattr(module, case.plot, keep)
    for what, instead in case.instead.items():
        monkeypatch.setattr(module, what, instead)
    return case.make(), calls


def check(name: str, explorer: Explorer, calls: list[dict], what: str) -> None:
    """What is drawn and said now is what the values of the controls ask for."""
    assert explorer.error is None, f"{what}: {explorer.error}"
    drawn, said = WIDGETS[name].oracle(**explorer.values)
    asked = calls[-1]
    assert set(asked) == set(drawn), f"{what}: the plot got {sorted(asked)}, the oracle knows {sorted(drawn)}"
    for argument, wanted in drawn.items():
        same(asked[argument], wanted, f"{what}: {argument}")
    for part in said:
        assert part in explorer.text, f"{what}: {part!r} is missing in {explorer.text!r}"


def described(control) -> object:
    """What a student reads at the control."""
    if isinstance(control, Stepper):
        return control.slider.description
    if isinstance(control, SentencePicker):
        return control.list.description
    return list(control.rows) if isinstance(control, ToggleGrid) else control.description


def moves(control, typed: tuple[str, ...]) -> list[tuple[str, Callable[[], None], object]]:
    """(what, how, the value that it must then have): to a neighbour and far away, as a student would."""

    def put(target, name, value):
        return lambda: setattr(target, name, value)

    if isinstance(control, Stepper):
        end = control.steps - 1
        step = ("next", control.next.click, control.value + 1)
        back = ("back", control.back.click, control.value - 1)
        far = 0 if control.value == end else end
        return [step if control.value < end else back, (f"slide to {far}", put(control.slider, "value", far), far)]
    if isinstance(control, SentencePicker):
        second = control.list.options[1]
        return [("the second", put(control.list, "value", second), second),
                *((f"type {text!r}", put(control.text, "value", text), text) for text in typed)]  # fmt: skip
    if isinstance(control, ToggleGrid):
        found = []
        for i, j in ((0, len(control.columns) - 1), (len(control.rows) - 1, 1)):
            rows = [list(line) for line in control.value]
            rows[i][j] = not rows[i][j]
            found.append((f"button {i}, {j}", put(control.buttons[i][j], "value", rows[i][j]), tuple(map(tuple, rows))))
        return found
    if isinstance(control, w.Checkbox):
        return [("tick", put(control, "value", not control.value), not control.value)]
    if isinstance(control, w.Text | w.Combobox):
        return [(f"type {text!r}", put(control, "value", text), text) for text in typed]
    if hasattr(control, "index"):
        n = len(control.options)
        values = [option[1] if isinstance(option, tuple) else option for option in control._options_full]
        places = dict.fromkeys(k % n for k in (control.index + 1, control.index + 2, control.index - 1))
        return [(f"option {k}", put(control, "index", k), values[k]) for k in places if k != control.index]
    step = control.value + control.step
    near = step if step <= control.max else control.value - control.step
    far = control.max if control.value != control.max else control.min
    return [(f"to {v:g}", put(control, "value", v), v) for v in (near, far)]


# ---- the tests -------------------------------------------------------------------------------------------------------


def test_every_widget_has_a_case():
    found = set()
    for info in pkgutil.iter_modules(widgets.__path__):
        module = importlib.import_module(f"course_utils.widgets.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            made = inspect.signature(function).return_annotation
            if function.__module__ == module.__name__ and not name.startswith("_") and made is Explorer:
                found.add(f"{info.name}.{name}")
    assert found == set(WIDGETS), (
        "every function that makes an Explorer has its case here: labels, first values, oracle"
    )


@pytest.mark.parametrize("name", WIDGETS)
def test_labels_and_first_values(name, monkeypatch):
    explorer, calls = stand_in(monkeypatch, name)
    case = WIDGETS[name]
    assert list(explorer.controls) == list(case.controls)
    for parameter, (label, first) in case.controls.items():
        control = explorer.controls[parameter]
        assert described(control) == label, f"{parameter} is called {described(control)!r}"
        assert control.value == first, f"{parameter} stands at {control.value!r} at first"
        if hasattr(control, "_options_full"):
            renamed = [(text, value) for text, value in control._options_full if text != str(value)]
            assert renamed == case.labels.get(parameter, []), f"{parameter}: an option's name and its value"
    assert list(explorer.children[: len(case.controls)]) == list(explorer.controls.values())
    assert len(calls) >= 1
    check(name, explorer, calls, "at first")


@pytest.mark.parametrize("name", WIDGETS)
def test_each_control_alone(name, monkeypatch):
    """From where it stands at first, one control at a time, and back."""
    explorer, calls = stand_in(monkeypatch, name)
    case, first = WIDGETS[name], explorer.values
    for parameter, control in explorer.controls.items():
        for what, act, wanted in moves(control, case.typed.get(parameter, ())):
            before = len(calls)
            act()
            changed = {n: v for n, v in explorer.values.items() if v != first[n]}
            follow = {n: v for n, v in case.follow.get(parameter, {}).items() if v != first[n]}
            assert changed == {parameter: wanted} | follow, f"{parameter}, {what}: {changed} changed"
            assert len(calls) == before + 1, f"{parameter}, {what}: drawn {len(calls) - before} times"
            check(name, explorer, calls, f"{parameter}, {what}")
            with explorer.together():
                control.value = first[parameter]
                for other, value in first.items():
                    explorer.controls[other].value = value
            assert explorer.values == first
            check(name, explorer, calls, f"{parameter}, {what} and back")


@pytest.mark.parametrize("name", WIDGETS)
def test_moves_one_after_the_other(name, monkeypatch):
    """Nothing of an earlier setting stays: all controls moved in turn, forwards and backwards."""
    explorer, calls = stand_in(monkeypatch, name)
    case = WIDGETS[name]
    for parameter, control in [*explorer.controls.items(), *reversed(explorer.controls.items())]:
        what, act, _ = moves(control, case.typed.get(parameter, ()))[0]
        act()
        check(name, explorer, calls, f"after {parameter}, {what}, at {explorer.values}")


def test_the_picture_is_the_figure_that_was_asked_for():
    explorer = toys.plain()
    for n, text in ((3, "one two"), (5, "one two"), (5, "three"), (1, "three")):
        explorer.controls["n"].value, explorer.controls["text"].value = n, text
        figure, said = toys.line(n, text)
        shown, asked = (np.asarray(Image.open(BytesIO(png))) for png in (explorer.picture.value, plots.to_png(figure)))
        assert (shown == asked).all() and explorer.text == said
        still = explorer._repr_mimebundle_()[0]
        assert f"[n = {n}, text = {text}] {said}" in still["text/plain"], "what a reader without a kernel is told"


# ---- widgets that a notebook makes for itself ------------------------------------------------------------------------

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def cells(notebook: str) -> list[str]:
    found = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def own(notebook: str, draw: str, names: dict) -> tuple[Explorer, list]:
    """The Explorer over `draw` of this notebook, run with `names`; and the figures that it drew."""
    sources = cells(notebook)
    (defined,) = (s for s in sources if f"def {draw}(" in s)
    (made,) = (s for s in sources if f"Explorer({draw}," in s)
    names = {"plots": plots, "torch": torch, "w": w, "Explorer": Explorer, **names}
    exec(defined, names)
    real, drawn = names[draw], []

    def keep(**values):
        drawn.append(real(**values)[0])
        return drawn[-1], real(**values)[1]

    names[draw] = keep
    return eval(made, names), drawn


def test_notebooks_own_widgets_are_known():
    found = set()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for source in cells(path.stem):
            if "Explorer(" in source:
                tree = ast.parse(source)
                calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and
                         getattr(node.func, "id", getattr(node.func, "attr", "")) == "Explorer"]  # fmt: skip
                found |= {(path.stem[:2], ast.unparse(call.args[0])) for call in calls}
    assert found == {("02", "keep"), ("06", "draw_map")}, "a new one needs a test of its controls here"


def test_notebook_02_keeps_a_word():
    explorer, drawn = own("02_recurrent_networks", "keep", {"exact": lambda x: torch.tensor(x, dtype=torch.float64)})

    def expected(adjectives, self_weight):
        h = [math.tanh(4.5 - 1.5)]
        for _ in range(adjectives):
            h.append(math.tanh(1.5 + self_weight * h[-1] - 1.5))
        return h

    assert [described(c) for c in explorer.controls.values()] == ["adjectives", "weight of open on itself"]
    assert explorer.values == {"adjectives": 10, "self_weight": 1.5}
    for name, value in (("adjectives", 10), ("adjectives", 3), ("self_weight", 0.5), ("adjectives", 7)):
        explorer.controls[name].value = value
        heights = [bar.end for bar in bars(drawn[-1].axes[0], upright=True)]
        assert heights == pytest.approx(expected(**explorer.values))
        assert explorer.text.startswith(f"After {explorer.values['adjectives']} adjectives open = {heights[-1]:.3f}")


def test_notebook_06_writes_from_a_point():
    asked = []

    def write(context):
        asked.append(context.tolist())
        return ([0, 1],)

    names = {"regions": torch.tensor([[0, 0, 1], [0, 1, 1], [2, 2, 1]]), "KINDS": ["a END", "b END", "c END"],
             "AXIS": [-1.0, 0.0, 1.0], "WORDS": ["vu", "lu"], "write": write,
             "exact": lambda x: torch.tensor(x, dtype=torch.float64)}  # fmt: skip
    explorer, drawn = own("06_seq2seq_fixed_context", "draw_map", names)
    assert [described(c) for c in explorer.controls.values()] == ["first number", "second number"]
    assert explorer.values == {"who": 0.7, "what": 0.7}
    for name, value in (("who", 0.7), ("who", -0.2), ("what", 0.4), ("who", 1.0)):
        explorer.controls[name].value = value
        x, y = explorer.values.values()
        axes = drawn[-1].axes[0]
        assert asked[-1] == [x, y, 0] and points(axes, "o")[-1][:2] == (x, y)
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("first number of C", "second number of C")
        assert explorer.text == f"From C = ({x:.1f}, {y:.1f}, 0) the decoder writes: vu lu."
