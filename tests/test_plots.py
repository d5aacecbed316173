"""Every figure draws at every size, and can be read: large text, nothing cut off or written over, no colour alone."""

import base64
import importlib
import inspect
import json
import pkgutil

import matplotlib as mpl
import numpy as np
import pytest
from legibility import check_legible
from matplotlib import style as mpl_style
from matplotlib.colors import to_rgb

from course_utils import plots
from course_utils.experiments.nb16.pieces import PIECES
from course_utils.plots import buckets as bucket_plots
from course_utils.plots import hierarchy, long_memory, positions, race, self_attention, sparse, style, transformer
from course_utils.plots import kernels as kernel_plots
from course_utils.plots import scores as score_plots
from course_utils.plots import training as recipe
from course_utils.plots.attention import STAGES, AttentionStep
from course_utils.plots.beam import BeamFilm, Grown, beam_frame, beam_widths, by_distance, share_curves
from course_utils.plots.heads import SPLIT_STAGES, HeadView
from course_utils.plots.normalisation import beside_neighbours, cells_together, scale_by_layer
from course_utils.plots.steering import Steered
from course_utils.plots.style import NORMAL, VERMILLION, canvas_in_inches, to_png, word
from course_utils.plots.tagging import Memory
from course_utils.plots.translation import Unrolled
from course_utils.plots.where import Glance, Walk, place_curves, walk_view, window_view
from course_utils.training import History
from course_utils.widgets.heads import split_film

WORDS = ("the", "black", "cat", "of", "the", "neighbour", "does", "not", "see", "the", "small", "international") * 3
BUCKETS = ("3-7", "8-11", "12-16", "17-22", "23-30")


def words(n: int) -> tuple[str, ...]:
    return WORDS[:n]


def vectors(*shape: int) -> np.ndarray:
    return np.tanh(np.random.default_rng(0).normal(size=shape))


def weights(*shape: int) -> np.ndarray:
    w = np.random.default_rng(1).random(shape) ** 8
    return w / w.sum(-1, keepdims=True)


def attention(n: int, scores: bool = True) -> AttentionStep:
    return AttentionStep(
        model="Bahdanau 2015", source=words(n), written=words(n)[1:], annotations=vectors(n, 40), query=vectors(40),
        scores=8 * vectors(n) if scores else None, weights=weights(n), context=vectors(40), state=vectors(40),
        words=(("international", 0.9), ("le", 0.1), ("la", 0.0), ("<end>", 0.0)),
        captions=("The query is the previous state sᵢ₋₁; αᵢⱼ = v · tanh(W sᵢ₋₁ + U hⱼ).",) * 6,
        labels=("query sᵢ₋₁", "context Cᵢ", "tanh(W[sᵢ; Cᵢ])"),
    )  # fmt: skip


def unrolled(n: int, every_step: bool = True) -> Unrolled:
    return Unrolled(
        model="Fixed context", read=words(n), states=vectors(n, 40), context=vectors(200), written=(*words(n), "<end>"),
        decoder_states=vectors(n + 1, 40), probabilities=(0.5,) * (n + 1), every_step=every_step,
    )  # fmt: skip


def steered(n: int) -> Steered:
    before, after = {"le": 0.9, "la": 0.05, "international": 0.05}, {"le": 0.2, "la": 0.8, "international": 0.0}
    return Steered(
        model="Attentive decoder", source=words(n), step=0, word=n - 1, amount=0.5, written=(words(n), words(n)[:-1]),
        weights=(weights(n), weights(n)), words=(before, after),
    )  # fmt: skip


def memory(n: int, swapped: int | None = None) -> Memory:
    labels = ("NOUN", "VERB", "PUNCT", "SCONJ", "DET")
    now, old = weights(n, 5), weights(n, 5)[::-1]
    before = () if swapped is None else (swapped, -vectors(n, 64), old)
    return Memory("Elman network", words(n), vectors(n, 64), labels, now, *before)


def runs(low: float, high: float, points: int = 5, seeds: int = 3) -> list[list[float]]:
    return [np.linspace(high, low, points) + 0.01 * seed for seed in range(seeds)]


def figures():
    """name -> a function that draws it."""
    models = {"fixed context": runs(0.0, 0.8), "attention": runs(0.7, 1.0), "Cho 2014": runs(0.0, 0.7)}
    seven = {f"model {k}": runs(0.0, 0.1 * k) for k in range(7)}
    gap = {"fixed context": [[0.5, 0.4, np.nan, np.nan, np.nan]], "attention": [[np.nan] * 5]}
    history = (np.arange(1, 301), 4 * np.exp(-np.arange(300) / 80) + 0.1)
    yield from {
        "lengths": lambda: plots.length_curve(models, BUCKETS, trained=3, title="A title"),
        "rows of two kinds": lambda: plots.length_curve(
            {"sentences": models, "words": models}, BUCKETS, score=("exact match", "rate per word"), low=(0, 0.5)),
        "bars in groups": lambda: plots.bars_with_seeds({"a": [0.5, 0.6], "b": [0.2]}, groups=[0, 1]),
        "lengths in rows": lambda: plots.length_curve({"Equal time": models, "Converged": models}, BUCKETS, trained=3),
        "seven lines, all ending at 0": lambda: plots.length_curve(seven, BUCKETS),
        "gaps": lambda: plots.length_curve(gap, BUCKETS, trained=5),
        "one bucket": lambda: plots.length_curve({"attention": [[0.5]]}, ["3-7"]),
        "capacity": lambda: plots.capacity_curve({"8 tokens": runs(1, 0.2, 6)}, [16, 32, 64, 128, 256, 512]),
        "bars": lambda: plots.bars_with_seeds({"Sutskever, source reversed": [0.5, 0.6], "Cho": [0.0]}, title="T"),
        "bars on two lines": lambda: plots.bars_with_seeds({"Sutskever\nreversed": [1.0, 1.0], "C": [0]}, limit=None),
        "loss": lambda: plots.loss_curve({"attention": history, "fixed context": history}),
        "one loss": lambda: plots.loss_curve(History(loss=[3.0, 2.0, 1.5])),
        "loss, one step": lambda: plots.loss_curve({"attention": ([1], [3.0])}),
        "word bars": lambda: plots.steering_bars({"le": 0.9, "la": 0.1}, {"le": 0.1, "les": 0.9}),
        "word bars, one side": lambda: plots.steering_bars({"le": 1.0}),
        "marked": lambda: plots.marked_translation(words(30), words(33), {"fixed": words(12), "none": ()}, title="T"),
        "marked, no reference": lambda: plots.marked_translation(words(1), None, {"fixed": words(1)}),
        "marked, a word longer than the line": lambda: plots.marked_translation(("x" * 200,), None, {"f": words(2)}),
    }.items()
    shares = {"her": {"DET": 4, "PRON": 5}, "neighbours": {"X": 1}, "that": {"A": 5, "SCONJ": 50, "PRON": 30, "D": 1}}
    yield "label shares", lambda: plots.label_shares(shares, title="Shares")
    for n in (1, 2, 9, 16, 30):
        links = {(0, 0), (n - 1, 0)}
        both = (links, links | {(0, n - 1)})
        yield f"map {n}", lambda n=n, both=both: plots.alignment_map(words(n), words(n), weights(n, n), *both)
        yield f"steering {n}", lambda n=n: plots.steering(steered(n))
        for k in sorted({0, n // 2, n - 1}):
            yield f"memory {n}, word {k}", lambda n=n, k=k: plots.memory_strip(memory(n), k)
            yield f"memory {n}, word {k}, swap", lambda n=n, k=k: plots.memory_strip(memory(n, swapped=n // 3), k)
        for k in range(len(STAGES)):
            yield f"step {n}, {STAGES[k]}", lambda n=n, k=k: plots.attention_step(attention(n), k)
        for k in sorted({0, n - 1, n, n + 1, 2 * n + 1}):
            yield f"unrolled {n}, frame {k}", lambda n=n, k=k: plots.seq2seq_unrolled(unrolled(n), k)
    for n in (1, 6, 60):
        some = tuple(f"{word}{k}" for k, word in enumerate(WORDS * 2))[:n]
        groups = {"first": some[: n // 2], "second, longer": some[n // 2 : n - 2]}
        yield f"word map {n}", lambda n=n, s=some, g=groups: plots.word_map(vectors(n, 2), s, g, title="A map")
    long = ("internationalisation", "misunderstandings", "a")
    yield "word map, long names", lambda: plots.word_map([[1, 0], [0, 0.5], [1, 1]], long, {"first": long[:1]})
    nearest = [("four", 0.93), ("internationalisation and more", 0.7), ("x", -0.3)]
    yield "cosines", lambda: plots.cosine_bars(nearest, title="three", asked=("four",), rows=8)
    yield "one cosine", lambda: plots.cosine_bars([("four", 1.0)])
    noise = ("international", "neighbour", "the", "black", "cat")
    for n, at in ((1, 0), (9, 0), (9, 4), (9, 8)):
        near = [j for j in range(max(0, at - 4), min(n, at + 5)) if j != at]
        lines = [(words(n)[at], words(n)[j], noise) for j in near]
        yield f"window {n}, {at}", lambda n=n, at=at, near=near, lines=lines: plots.window_step(
            words(n), at, near, lines, kind="skip-gram", dropped=(2,), title="skip-gram, window 4")
    yield "window, cbow", lambda: plots.window_step(
        words(7), 3, (1, 2, 4, 5), [("black + cat + the + neighbour", "of", noise)], kind="cbow", title="cbow")
    tasks = [("N → 1", "statement or question?", words(5), ("question",)), ("N → M", "translation", words(3), words(5))]
    yield "task shapes", lambda: plots.task_shapes(tasks)
    yield "step without scores", lambda: plots.attention_step(attention(5, scores=False), 5)
    yield "unrolled, Sutskever", lambda: plots.seq2seq_unrolled(unrolled(5, every_step=False), 11)
    yield "map of pads", lambda: plots.alignment_map(words(4), words(3), np.zeros((3, 4)))
    yield "map, wide", lambda: plots.alignment_map(words(30), words(2), weights(2, 30), title="Wide")
    yield "map, wide letters", lambda: plots.alignment_map(words(2), ("pomme", "mammouth"), weights(2, 2))


def surface_figures():
    def valley(x, y):
        return 0.5 * (x**2 + 25 * y**2)

    walk = np.stack([np.linspace(-1.5, 0, 60), 3 * np.cos(np.arange(60)) * np.linspace(1, 0, 60)], 1)
    steps = {"clipped": walk[::6], "not clipped": np.array([[0.5, 1], [-9e300, 1], [np.inf, np.nan]])}
    grid = np.array([[1.0, 2, np.nan], [3, 4, np.inf]])
    panel = plots.Surface(valley, (-2, 2), (-2, 2), {"gradient descent": walk}, (0, 0))
    other = plots.Surface(grid, (0, 1), (0, 1), {f"path {k}": [[0.1 * k, 0.5]] for k in range(6)})
    yield "surface", lambda: plots.surface_with_paths(panel, title="A valley")
    yield "surfaces", lambda: plots.surface_with_paths({"raw": panel, "a grid": other}, title="Two", equal=True)
    cliff = plots.Surface(valley, (-2, 2), (-1, 1), steps, xlabel="w", ylabel="b")
    yield "surface, left", lambda: plots.surface_with_paths(cliff, levels=[0, 1, 5, 20])
    yield "surface, flat", lambda: plots.surface_with_paths(plots.Surface(np.ones((2, 2)), (0, 1), (0, 1)))


def gate_figures():
    """Notebook 03."""
    for T in (1, 4, 9):
        trace = plots.UnitTrace(
            called=[-0.9, 1, 0.35] * 3, heard=["write wipe", "read", ""] * 3, before=[[-17.25, 5, -9.9, 17.5]] * T,
            i=[0.0] * T, f=[1.0] * T, g=[-1.0] * T, o=[0.5] * T, c=[-12.34] * T, h=[-0.001] * T, start=-3,
        )  # fmt: skip
        for at in {0, T - 1}:
            yield f"unit {T}, step {at}", lambda trace=trace, at=at: plots.lstm_unit(trace, at)
    for bias in (-4, 0, 7):
        yield f"forgetting {bias}", lambda bias=bias: plots.forgetting(bias)
    gates = {"forget gate": weights(8, 30), "input": weights(1, 30)}
    yield "gates", lambda: plots.gate_strips(gates, marks=[1, 15, 30], mark="told to write", title="An LSTM")
    seven = {f"w = {k}": 0.1 * k ** np.arange(41) for k in np.linspace(0.3, 0.9, 7)}
    yield "seven memories", lambda: plots.memory_lines(seven, title="Fading", ylabel="h", marks=[0, 20], mark="reset")
    yield "two memories", lambda: plots.memory_lines({"one": [1, np.nan], "other": [3, 2]}, first=1)


def normalisation_figures():
    table = (("the", "cat", "sleeps", "."), ("it", "eats", ".", ""), ("go", ".", "", ""))
    cells = np.zeros((3, 4, 4), bool)
    cells[:, :, 1] = True
    sizes = {name: 10.0 ** (-power * np.arange(20)[None] + np.zeros((3, 1))) for name, power in
             (("no norm", 2.5), ("batch norm", 0.0), ("layer norm", 0.01))}  # fmt: skip
    kinds = {"batch norm": cells, "with a mask": cells, "layer norm": ~cells}
    yield "cells", lambda: cells_together(table, kinds)
    yield "cells, one kind", lambda: cells_together(table, {"batch norm": cells})
    yield "scales", lambda: scale_by_layer({"spread of the outputs": sizes, "gradient": sizes}, title="A title")
    yield "scales, nothing left", lambda: scale_by_layer({"gradient": {"none": [[1.0, 0.0]]}})
    for n in (1, 5, 9):
        rows = {name: (vectors(n), k * vectors(n)) for k, name in enumerate(("batch\nnorm", "layer norm"))}
        yield f"neighbours {n}", lambda n=n, rows=rows: beside_neighbours(WORDS[:n], rows, title="Your sentence")


def gradient_figures():
    down = {"RNN": runs(1e-9, 1.0, 61), "LSTM, forget bias 4": runs(1.0, 3.0, 61), "GRU": [[0.0] * 61]}
    yield "gradients", lambda: plots.gradient_by_distance(down, title="Before training, five seeds")
    yield "gradients, limits", lambda: plots.gradient_by_distance({"tanh": [[1e20] * 9], "l": [[1]]}, limits=(-12, 12))
    paths = {1: [(0.05, 0.1)], 20: [(1.15, 1.0), (-874.0, -49.0)], 50: [(1.5, 1.9), (1.4, 1.9), (1.3, 1)]}
    for n, places in paths.items():
        yield f"cliff {n}", lambda n=n, places=places: plots.cliff(places, n, title=f"n = {n}, clipped to norm 1")
    likely = {" ": 0.5, "\n": 0.25, **{letter: 0.01 for letter in "abcdefghij"}}
    yield "next symbols", lambda: plots.next_symbols(likely, "HAMLET:\nTo be ", "or $ not " * 60, title="next, at 0.70")
    yield "next symbol, certain", lambda: plots.next_symbols({"a": 1.0}, "\n", "")
    yield "next symbols, one line", lambda: plots.next_symbols(likely, "x" * 60, "W" * 280)


FIGURES = dict(figures()) | dict(surface_figures()) | dict(gate_figures()) | dict(normalisation_figures())
FIGURES |= dict(gradient_figures())
def head_figures():
    costs = {"encoder": [[0.1, 0.2, 0.0], [0.3, 0.1, -0.01]], "decoder's own": [[0.5, 0.6, 0.7]], "cross": [[1.0]]}
    yield "head costs", lambda: plots.head_costs(costs, title="What a head is worth")
    for n, T, H in ((1, 1, 1), (5, 6, 4), (9, 10, 4), (13, 15, 8)):
        yield f"head maps {n}", lambda n=n, T=T, H=H: plots.head_maps(words(n), words(T), weights(H, T, n), title="T")
        for off in (False, True):
            for read in (n, T):
                view = HeadView("Cross-attention, layer 1, head 2", words(read), words(T), weights(T, read), words(T),
                                (0.5,) * T, (1.0,) * T if off else None)  # fmt: skip
                yield f"head {n}, {off}, {read}", lambda view=view: plots.head_view(view)
    for heads in (1, 2, 4):
        for stage in range(len(SPLIT_STAGES)):
            film = split_film(heads, straight=heads == 2 and stage % 2 == 0)
            yield f"split {heads}, {stage}", lambda film=film, stage=stage: plots.split_frame(film, stage)
    picture = np.eye(8) * 16
    dots = np.stack([np.linspace(-1, 1, 8), np.linspace(-1, 1, 8), np.ones(8)], 1)
    yield "digit", lambda: plots.digit_as_set(picture, dots)
    yield "digit, weights", lambda: plots.digit_as_set(picture, dots, weights(4, 8), title="Who looks where")


FIGURES |= dict(head_figures())


def recipe_figures():
    for depth in (1, 2, 12):
        norms = {"pre-norm": [0.1] * depth, "post-norm": list(np.geomspace(0.001, 0.9, depth))}
        yield f"gradient by block {depth}", lambda norms=norms: recipe.gradient_by_block(norms, title="decoder")
    rates = {"the paper's": [0.001 * min(n, 40 / n) for n in range(1, 400)], "this course's": [0.01] * 300}
    yield "rates", lambda: recipe.rate_curves(rates, title="Two schedules")
    for L, H in ((1, 1), (6, 12), (12, 16)):
        yield f"head grid {L}", lambda L=L, H=H: recipe.head_grid(weights(L, H), marked=[(L - 1, 0)], title="Who")
    yield "head grid, counts", lambda: recipe.head_grid(np.eye(6, 12) * 10, most=10, digits=0, title="Twins")
    spelt = {("n", "e", "w", "est</w>"): 6, (*"internati", "o</w>"): 12, ("l",): 1}
    pairs = [("e + w", 6), ("internationa + lly</w>", 5), ("l + o", 4), ("a + b", 3), ("c + d", 2), ("e + f", 1)]
    yield "merges", lambda: recipe.merge_frame(spelt, "est</w>", pairs, title="merge 2: es + t")
    yield "merges, done", lambda: recipe.merge_frame({("low</w>",): 2}, "", [], title="characters only")


FIGURES |= dict(recipe_figures())


def self_attention_figures():
    for n, start, end in ((2, 0, 1), (9, 2, 8), (16, 0, 15), (12, 5, 6)):
        yield f"path {n}", lambda n=n, s=start, e=end: self_attention.path_lengths(words(n), s, e)
    planes = [[[1.0, 0], [0, 1], [1, 1], [-1, 1]], [[2.0, 0], [1, 0], [0, 0], [0, 0]], [[1.0, 1]] * 4, [[9.0, 9]] * 4]
    for query, scores in enumerate(([0.7, 0.7, 1.4, 0.0], [-3.0, 0.1, 2.0, -0.5], [0.0] * 4, [9.0, -9.0, 0.0, 1.0])):
        share, plane = np.exp(scores) / np.exp(scores).sum(), np.array(planes[query])
        step = self_attention.Looking(words(4), plane, np.array(scores), share, share @ plane, query, "q · k")
        yield f"looking {query}", lambda step=step: self_attention.looking(step, names=("water", "money"))
    sizes = [10.0 ** np.linspace(-7, 1, 200) for _ in range(3)]
    yield "gradients", lambda: self_attention.reaching_gradients((4, 64, 1024), sizes, [0.3 + 0.01 * s for s in sizes])
    for d in (1, 64, 1024):
        yield f"saturation {d}", lambda d=d: self_attention.saturation(d**0.5 * vectors(16), d)


FIGURES |= dict(self_attention_figures())


def score_figures():
    """Notebook 08."""
    far = np.array([[-9.0, 0.5], [0.5, 1.5], [30.0, 1.0], [0.0, 0.0], [1.0, -8.0]])
    for n, scores in ((3, [0.0, 3.5, 5.0]), (5, [-300.0, 4.0, 2.0, 0.0, 1.0]), (1, [-2.0])):
        step = score_plots.Compared(words(n), np.array([1.0, 2.0]), far[:n], np.array(scores), "20 × scaled dot")
        yield f"scores {n}", lambda step=step: score_plots.compared(step)


FIGURES |= dict(score_figures())


def document_figures():
    for n, T, by, most in ((1, 1, "words", 10), (8, 9, "both", 10), (30, 40, "words", 6)):
        read = hierarchy.Reading([words(T)] * n, weights(n, T), weights(1, n)[0], gold=(0, (0,)), without=n - 1)
        yield f"document {n}", lambda r=read, b=by, m=most: hierarchy.document_map(r, by=b, most=m, title="A text")
    nothing = hierarchy.Reading([words(3)] * 2, [[0.0] * 3] * 2, [0.0, 0.0])
    yield "document, nothing", lambda: hierarchy.document_map(nothing)


FIGURES |= dict(document_figures())


def where_figures():
    """Notebook 09."""
    for n, centre, window, bell in ((1, None, 0, False), (9, 3.0, 2, False), (16, 14.6, 10, True), (7, 0.0, 1, True)):
        glance = Glance(words(n), "international", weights(n), centre, window, bell)
        yield f"window of attention {n}", lambda glance=glance: window_view(glance)
    hills = {"D = 1": ([0, 1, 2, 3, 4], [0, 0.2, 0.9, 0.3, 0]), "D = 10": ([0, 2, 4], [0.2, 0.8, 0.3])}
    yield "curves of a place", lambda: place_curves("internationalisation", 2, hills)
    for T, S in ((1, 1), (4, 5), (9, 9)):
        looked = [(0, j, j == S - 1) for j in range(S)]
        walked = Walk(words(S)[:S], words(T), weights(T, S), looked, weights(T, S))
        yield f"walk {T}, {S}", lambda walked=walked: walk_view(walked)


FIGURES |= dict(where_figures())


def bucket_figures():
    """Notebook 21."""
    points = np.array([[1.0, 0.2], [0.9, 0.5], [-0.2, 1.0], [-1.0, -0.3]])
    arrows = [[1, 0], [0, 1], [-1, 0], [0, -1]]
    labels = [[0, 0, 1, 2], [3, 0, 7, 12]]
    yield "plane buckets", lambda: plots.plane_buckets(points, labels, ["drawn", "learned"], [arrows, arrows])
    yield "plane buckets, titled", lambda: plots.plane_buckets(points, labels[:1], ["drawn"], title="Buckets")
    for at in (1, 3):
        yield f"lsh {at}", lambda at=at: bucket_plots.lsh_view(
            points, labels[0], arrows, [1, 0, 1, 2], [0.2, 0.5, 1.0], [0.1, 0.2, 0.9], at)
    yield "sinkhorn", lambda: bucket_plots.sinkhorn_view(np.full((4, 4), 0.25), [10.0, 0.1, 0.0], 2)


FIGURES |= dict(bucket_figures())


def kernel_figures():
    """Notebook 22."""
    for N, d in ((32, 256), (1024, 64), (4096, 8)):
        yield f"orders {N}, {d}", lambda N=N, d=d: kernel_plots.product_orders(
            N, d, (2 * N * N * d, 2 * N * d * d), (0.123456, 1e-6))
    for n in (1, 3, 5):
        names = [f"layer {k + 1}, head 1" for k in range(n)]
        yield f"square maps {n}", lambda n=n, s=names: plots.square_maps(list(weights(n, 64, 64)), s, title="Maps")
    errors = {"layer 1, trained": [[0.9, 0.5, 0.1]] * 3, "gaussian": [[0.8, 0.6, 0.2], [0.9, 0.7, 0.1]]}
    for log in (True, False):
        yield f"error curves {log}", lambda log=log: plots.error_curves(
            errors | {"trig": [[200, 0.3, 0.01]]}, (4, 8, 16), xlabel="rank", title="Errors", log=log, at=8)
    m = weights(32, 32)
    yield "rank", lambda: kernel_plots.rank_view(m, m / 2, 8, errors, (4, 8, 16), "layer 1, head 1")
    yield "favor", lambda: kernel_plots.favor_view(m, 3 * m - 0.1, "error 1.2e+03")
    memories = ("softmax attention", "linear attention", "outer products")
    curves = {name: [1, 1 - 0.4 * k, 0.1 * k] for k, name in enumerate(memories)}
    for right in (0, 8, 15):
        yield f"recall {right}", lambda right=right: kernel_plots.recall_view(
            vectors(16), right, (2, 16, 128), curves, 16, 8, "Linear attention")


FIGURES |= dict(kernel_figures())


def race_figures():
    """Notebook 24."""
    plugs = ("dense", "window", "longformer", "synth. fact. random")
    scores = {task: {p: [0.9 - 0.2 * k, 0.85 - 0.2 * k] for k, p in enumerate(plugs)} for task in ("listops", "pixels")}
    del scores["pixels"]["window"]
    yield "race", lambda: race.race_dots(scores, dict.fromkeys(scores, 0.1), reference="dense", title="The race")
    shares = {p: 3.0 / 10**k for k, p in enumerate(plugs)}
    yield "cost bars", lambda: race.cost_bars(shares, xlabel="multiply-adds, dense = 1", title="Counted")
    costs = {p: {N: (k + 1) * N**2 / 1000 for N in (1024, 2048, 8192)} for k, p in enumerate(plugs)}
    yield "cost curves", lambda: race.cost_curves(costs, ylabel="CPU milliseconds", title="Measured")
    for name, near in (("apart", 0.1), ("near", 0.01)):
        entries = [race.Entry(p, 1 + near * k, 0.5 + near * k, 1 + k) for k, p in enumerate(plugs)]
        yield f"trade-off {name}", lambda entries=entries: race.trade_off(
            entries, xlabel="speed", ylabel="score", title="Trade-off", reference="dense")
    yield "pixel reading", lambda: race.pixel_reading(np.arange(16).reshape(4, 4), title="A picture, row by row")


FIGURES |= dict(race_figures())


def long_memory_figures():
    runs = {"trained with 64": [[9, 7.5, 7.3], [9.1, 7.6, 7.4]], "without": [[8.5, 8.0, 8.2]] * 3}
    yield "lines", lambda: long_memory.measured_lines(runs, ["0", "32", "256"], xlabel="m", ylabel="p", marked="32")
    flat = {"flat": [[1.5] * 32]}
    yield "flat line", lambda: long_memory.measured_lines(flat, words(32), xlabel="x", ylabel="y", every=8, title="T")
    for levels, n, segment in ((2, 4, 4), (4, 20, 4), (4, 24, 6)):
        used = np.tri(levels, n, dtype=bool)
        yield f"reach {n}", lambda u=used, s=segment: long_memory.reach_grid(u, s, title="What it depends on")
    for T, S in ((2, 2), (3, 6), (4, 7), (2, 5)):
        yield f"shift {T}, {S}", lambda T=T, S=S: long_memory.shift_panels(T, S)
    for chosen, memory in ((0, 0), (40, 8), (95, 256)):
        read = long_memory.Read("to be or\nnot to " * 6, [0.1, 2.0, 6.0] * 32, 32, chosen, 1 + chosen % 32 + memory,
                                chosen + 3 * memory, (0, 8, 256), (9.0, 7.5, 7.4), memory)  # fmt: skip
        yield f"memory {memory}", lambda read=read: long_memory.memory_view(read)


FIGURES |= dict(long_memory_figures())


def sparse_figures():
    for n in (1, 3, 5):
        panels = {f"pattern number {k}": np.tri(24, 24, k, dtype=bool) for k in range(n)}
        yield f"patterns {n}", lambda p=panels: sparse.pattern_panels(p, title="Patterns" if len(p) > 1 else "")
    for levels, n in ((2, 9), (7, 41)):
        reach = np.abs(np.arange(n) - n // 2) <= 2 * np.arange(levels)[:, None]
        yield f"pyramid {levels}", lambda r=reach, n=n: sparse.reach_view(r, n // 2, title="Who can change it?")
    for n in (1, 4, 10, 16):
        yield f"painted {n}", lambda n=n: sparse.painted_map(np.eye(n), weights(n, n), words(n), [0.1] * 6, 1.0)
    for n in (1, 3, 4):
        seen = {f"way number {k}": np.eye(8, dtype=bool) for k in range(n)}
        yield f"pixels {n}", lambda seen=seen: sparse.pixel_panels(np.tri(8), (4, 7), seen)


FIGURES |= dict(sparse_figures())
def position_figures():
    for n, d in ((1, 2), (16, 4), (64, 64)):
        yield f"positions {n}", lambda n=n, d=d: positions.position_view(vectors(n, d), 0, n - 1, title="A table")
    for n in (1, 4, 6):
        yield f"clocks {n}", lambda n=n: positions.clocks([10.0**-k for k in range(n)], 3, 2)
    for k, (m, n) in enumerate(((0, 0), (3, 1), (24, 12), (1, 12))):
        q, key = np.array([1.0, 0.5]), np.array([0.5, 1.0]) * (1 + k)
        yield f"turned pairs {k}", lambda q=q, key=key, m=m, n=n: positions.turned_pairs(q, key, m, n, 0.5)
    for n in (1, 4):
        panels = {f"head {k}": vectors(8, 8) for k in range(n)}
        yield f"small maps {n}", lambda p=panels, n=n: positions.small_maps(p, xlabel="k", ylabel="q", values=n == 1)
    yield "a flat map", lambda: positions.small_maps({"flat": [[1.0]]})
    schemes = {f"scheme {k}": runs(0.1 * k, 1.0, 29) for k in range(6)}
    yield "places", lambda: positions.place_curve(schemes, 3, 16, chance=0.125, title="Place by place")
    four = vectors(4, 8, 8)
    yield "convolution", lambda: positions.convolution_view(four[0], abs(four[1]), (3, 4), *four[2:], head="head 9")


FIGURES |= dict(position_figures())


def beam_figures():
    def film(steps: int, k: int) -> BeamFilm:
        first = tuple(Grown(WORDS[j], 0, "−2.3", j < k) for j in range(3))
        later = tuple(Grown(WORDS[j], parent, "−12.3", j == 0, parent == 0) for parent in range(k) for j in range(3))
        return BeamFilm(k, (first, *[later] * (steps - 1)))

    for k, steps in ((1, 1), (2, 2), (3, 9)):
        played = film(steps, k)
        for at in sorted({0, 1, 2 * steps - 2, 2 * steps - 1}):
            yield f"beam of {k}, {steps} steps, frame {at}", lambda f=played, at=at: beam_frame(f, at, "a line")
    panels = {"length ratio": {"α = 0": runs(0.7, 1.0, 4), "α = 1": runs(0.9, 1.0, 4)},
              "mean log p": {"α = 0": runs(-6, -10, 4)}, "BLEU": {"α = 0": runs(14, 15, 4)}}  # fmt: skip
    yield "beam widths", lambda: beam_widths(panels, (1, 2, 5, 20))
    costs = {"teacher forcing": runs(0, 3, 6), "linear": runs(0, 1, 6)}
    yield "cost of a mistake", lambda: by_distance(costs, ylabel="cost in nats")
    yield "schedules", lambda: share_curves({"linear": np.linspace(1, 0, 50), "sigmoid": np.linspace(1, 0.01, 50) ** 3})


FIGURES |= dict(beam_figures())


def transformer_figures():
    yield "transformer", transformer.transformer_diagram
    for piece, said in PIECES.items():
        yield f"without {piece}", lambda p=piece, s=said: transformer.piece_view(
            p, s, runs(0.0, 0.9), runs(0.0, 0.5), BUCKETS, trained=3
        )
    for n, T, step in ((1, 1, 0), (6, 7, 0), (6, 7, 6), (11, 13, 12), (11, 13, 5), (2, 13, 3), (11, 2, 1)):
        film = transformer.TransformerFilm(
            words(n), words(T), words(T), weights(2, 4, n, n), weights(2, 4, T, T), weights(2, 4, T, n),
            ((("international", 1.0), ("le", 0.5), ("a", 0.0)),) * T,
        )
        yield f"translation {n}, {T}, {step}", lambda f=film, s=step: transformer.transformer_frame(f, s, 1, 3)
    costs = {"with the cache": [1.0, 2.0, 3.0], "without": [1.0, 4.0, 900.0]}
    yield "costs", lambda: transformer.cost_lines(costs, (8, 16, 32), xlabel="words", ylabel="CPU ms", title="Costs")


FIGURES |= dict(transformer_figures())


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_read(name):
    check_legible(FIGURES[name]())


@pytest.mark.parametrize("name", ["lengths", "map 9", "step 9, word", "unrolled 9, frame 10", "steering 9", "marked"])
def test_the_same_data_gives_the_same_bytes(name):
    first = plots.to_png(FIGURES[name]())
    assert plots.to_png(FIGURES[name]()) == first and b"Matplotlib version" in first[:200]


OWN = {  # a user's matplotlibrc
    "text.usetex": True, "font.size": 30, "font.family": "serif", "axes.grid": True, "axes.labelcolor": "white",
    "image.cmap": "jet", "image.origin": "lower", "lines.marker": "o", "lines.dashed_pattern": (9.0, 9.0),
    "xtick.direction": "in", "xtick.labelbottom": False, "axes.unicode_minus": False, "axes.xmargin": 0.3,
    "patch.edgecolor": "red", "patch.force_edgecolor": True, "scatter.edgecolors": "red", "figure.autolayout": True,
    "legend.frameon": False, "path.sketch": (5, 100, 2), "text.parse_math": False, "text.antialiased": False,
    "axes.formatter.use_mathtext": True, "hatch.color": "red", "errorbar.capsize": 9, "axes3d.grid": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "name", ["lengths in rows", "loss", "map 9", "step 9, word", "steering 9", "bars", "marked", "word map 6"]
)
def test_the_users_settings_do_not_reach_the_figures(name):
    first = plots.to_png(FIGURES[name]())
    with mpl.rc_context():
        mpl_style.use("dark_background")
        mpl.rcParams.update(OWN)
        before = dict(mpl.rcParams)
        assert plots.to_png(FIGURES[name]()) == first
        assert dict(mpl.rcParams) == before, "and are as they were"


def test_every_function_that_makes_a_figure_is_styled():
    for info in pkgutil.iter_modules(plots.__path__):
        module = importlib.import_module(f"course_utils.plots.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            made = str(inspect.signature(function).return_annotation)
            if function.__module__ == module.__name__ and not name.startswith("_") and "Figure" in made:
                assert hasattr(function, "__wrapped__"), f"{info.name}.{name} makes a figure without @styled"


def test_no_colour_stands_alone():
    assert len(set(style.SERIES)) == len(set(style.MARKERS)) == len(set(map(str, style.DASHES))) == 7
    okabe_ito = {"#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
    assert set(style.SERIES) <= okabe_ito
    lightness = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b, _ in mpl.colormaps[style.MAP](np.linspace(0, 1, 32))]
    assert all(np.diff(lightness) > 0), "the heat map must be readable in grey"


def test_ink_is_readable_on_white():
    for colour in style.SERIES:
        assert style.contrast_with_white(style.ink(colour)) >= 4.5
    assert style.contrast_with_white(to_rgb("black")) == pytest.approx(21)
    assert (style.text_on((0, 0, 0.2, 1)), style.text_on((1, 1, 0.5, 1))) == ("white", "black")


@pytest.mark.parametrize(
    ("wanted", "placed"),
    [([], []), ([0.5], [0.5]), ([0, 1], [0, 1]), ([0.5, 0.5], [0.45, 0.55]), ([0, 0, 0], [0, 0.1, 0.2]),
     ([1, 1, 0.05, 0], [0.9, 1, 0.1, 0]), ([0.5] * 20, list(np.linspace(0, 1, 20)))],
)  # fmt: skip
def test_labels_are_spread(wanted, placed):
    assert style.spread(wanted, 0.1, 0, 1) == pytest.approx(placed)


def test_a_word_is_drawn_like_text():
    def drawn(write):
        figure, axes = canvas_in_inches(4.0, 1.0)
        write(axes)
        return to_png(figure)

    ours = drawn(lambda axes: word(axes, 0.4, 0.5, "à la (pomme)", NORMAL, VERMILLION))
    assert ours == drawn(lambda axes: axes.text(0.4, 0.5, "à la (pomme)", fontsize=NORMAL, color=VERMILLION))
    assert ours != drawn(lambda axes: None)


def test_show_carries_its_alt_text(capsys):
    from IPython.core.formatters import format_display_data  # noqa: F401  (IPython is there)
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    InteractiveShell.instance()
    try:
        with capture_output() as caught:
            plots.show(FIGURES["word bars, one side"](), alt="The word le is\n certain.")
    finally:
        InteractiveShell.clear_instance()
    (output,) = caught.outputs
    assert output.data["text/plain"] == "[figure] The word le is certain."
    assert output.metadata == {"image/png": {"alt": "The word le is certain."}}
    assert base64.b64decode(output.data["image/png"])[:4] == b"\x89PNG"
    json.dumps(output.data)
    for bad in ("", "loss", None):
        with pytest.raises(ValueError, match="say in a sentence"):
            plots.show(FIGURES["word bars, one side"](), alt=bad)


def test_wrong_shapes_are_refused():
    for draw, said in {
        "too many lines": (lambda: plots.length_curve({str(k): [[0.0]] for k in range(8)}, ["3-7"]), "at most 7"),
        "seeds": (lambda: plots.length_curve({"a": [0.0, 1.0]}, ["3-7", "8-11"]), "seeds x 2 points"),
        "trained": (lambda: plots.length_curve({"a": [[0.0]]}, ["3-7"], trained=2), "trained=2"),
        "scores": (lambda: plots.length_curve({"a": [[0.0]]}, ["3-7"], score=("b", "c")), "one per row"),
        "groups": (lambda: plots.bars_with_seeds({"a": [0.0]}, groups=[0, 1]), "one number per bar"),
        "map": (lambda: plots.alignment_map(words(2), words(3), weights(2, 3)), "(2, 3)"),
        "memory lines": (lambda: long_memory.measured_lines({"a": [[1, 2]]}, ["0"], xlabel="", ylabel=""), "seeds x 1"),
        "reach": (lambda: long_memory.reach_grid(np.ones((2, 5)), 2), "segments of equal length"),
        "shift": (lambda: long_memory.shift_panels(5, 6), "5 queries and 6 keys"),
        "pattern": (lambda: sparse.pattern_panels({"a": np.ones((2, 3))}), "(2, 3): needed is (N, N)"),
        "no pattern": (lambda: sparse.pattern_panels({}), "0 patterns"),
        "pyramid": (lambda: sparse.reach_view(np.ones((2, 5)), 5), "at=5"),
        "painted": (lambda: sparse.painted_map(np.eye(3), weights(2, 3), words(3), [1], 1), "(2, 3), 3 words"),
        "pixels": (lambda: sparse.pixel_panels(np.ones((2, 2)), (0, 0), {}), "0 panels"),
        "read": (lambda: long_memory.memory_view(long_memory.Read("abc", [1.0] * 3, 2, 0, 1, 1, (0,), (9.0,), 0)),
                 "segments of 2"),
        "no block": (lambda: recipe.gradient_by_block({"a": [], "b": []}), "at least one"),
        "blocks differ": (lambda: recipe.gradient_by_block({"a": [1], "b": [1, 2]}), "same number of blocks"),
        "head grid": (lambda: recipe.head_grid([1, 2]), "layers x heads"),
        "long word": (lambda: recipe.merge_frame({tuple("abcdefghijklmnop"): 1}), "too long for the picture"),
        "head maps": (lambda: plots.head_maps(words(2), words(3), weights(2, 2, 3)), "heads x 3 target x 2 source"),
        "head costs": (lambda: plots.head_costs({"encoder": []}), "at least one head"),
        "orders": (lambda: kernel_plots.product_orders(8, 4, (1, 2), (1,)), "one of each for each"),
        "square maps": (lambda: plots.square_maps([np.eye(2)], ["a", "b"]), "1 maps and 2 names"),
        "errors": (lambda: plots.error_curves({"a": [[1, 2]]}, (4, 8, 16), xlabel="k"), "runs x 3 points"),
        "no errors": (lambda: plots.error_curves({}, (4, 8), xlabel="k"), "0 lines"),
        "stage of the split": (lambda: plots.split_frame(split_film(2), 6), "stage=6"),
        "empty map": (lambda: plots.alignment_map((), (), np.zeros((0, 0))), "0 target"),
        "stage": (lambda: plots.attention_step(attention(2), 6), "stage=6"),
        "frame": (lambda: plots.seq2seq_unrolled(unrolled(2), 6), "frame=6"),
        "no shares": (lambda: plots.label_shares({}), "at least one word"),
        "reader": (lambda: plots.memory_strip(memory(3), 3), "at=3 of 3"),
        "bars": (lambda: plots.bars_with_seeds({"a": []}), "at least one number"),
        "losses": (lambda: plots.loss_curve({"a": ([1, 2], [0.5])}), "2 steps and 1 losses"),
        "memories": (lambda: plots.memory_lines({"a": [1, 2], "b": [1]}), "of equal length"),
        "strips": (lambda: plots.gate_strips({"a": [1, 2]}), "units x the same steps"),
        "unit": (lambda: plots.lstm_unit(plots.UnitTrace(*[[0.0]] * 9), 1), "at=1"),
        "surface path": (lambda: plots.surface_with_paths(plots.Surface(np.eye(2), (0, 1), (0, 1), {"a": [1]})), "'a'"),
        "surface limits": (lambda: plots.surface_with_paths(plots.Surface(np.eye(2), (1, 0), (0, 1))), "must rise"),
        "surface levels": (lambda: plots.surface_with_paths(plots.Surface(np.eye(2), (0, 1), (0, 1)), levels=[1, 0]),
                           "rising heights"),
        "surface nan": (lambda: plots.surface_with_paths(plots.Surface(np.full((2, 2), np.nan), (0, 1), (0, 1))),
                        "nowhere finite"),
        "surface shape": (lambda: plots.surface_with_paths(plots.Surface(lambda x, y: x[0], (0, 1), (0, 1))),
                          "point by point"),
        "no surface": (lambda: plots.surface_with_paths({}), "0 surfaces"),
        "place": (lambda: positions.position_view(vectors(4, 4), 4), "there are 0 to 3"),
        "no clock": (lambda: positions.clocks([], 0, 1), "0 clocks"),
        "maps": (lambda: positions.small_maps({str(k): vectors(2, 2) for k in range(5)}), "5 panels"),
        "place lines": (lambda: positions.place_curve({"a": [[1.0]], "b": [[1.0, 2.0]]}, 0, 1), "the same places"),
        "too many schemes": (lambda: positions.place_curve({}, 0, 1), "0 lines"),
        "four pictures": (lambda: positions.convolution_view(*vectors(2, 3, 3), (0, 0), vectors(3, 3), vectors(2, 2)),
                          "of one size"),
    }.values():
        with pytest.raises(ValueError) as error:
            draw()
        assert said in str(error.value)


def test_marking_finds_the_longest_common_part():
    assert plots.mark_words("a b c d".split(), "a x c d d".split()) == [
        ("a", True), ("x", False), ("c", True), ("d", True), ("d", False)
    ]  # fmt: skip
    assert plots.mark_words([], ["a"]) == [("a", False)] and plots.mark_words(["a"], []) == []


def test_lines_and_bars_show_the_mean():
    line = plots.length_curve({"a": [[0.0, 1.0], [0.0, 0.4], [0.9, 0.4]]}, ["3-7", "8-11"]).axes[0].lines[-1]
    assert line.get_ydata().tolist() == pytest.approx([0.3, 0.6])
    bar = plots.bars_with_seeds({"a": [0.0, 0.0, 0.9]}).axes[0].patches[0]
    assert bar.get_width() == pytest.approx(0.3)


def test_a_map_prints_what_is_above_five_hundredths():
    figure = plots.alignment_map(["a", "b", "c"], ["d"], [[0.05, 0.06, 0.998]])
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {".06", "1"} <= texts and ".05" not in texts
