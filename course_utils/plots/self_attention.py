"""Pictures of self-attention: how far two words are apart, one word that asks, a softmax that saturates. Notebook 13.

Symbols as there: xⱼ the inputs, qᵢ, kⱼ, vⱼ their three projections, αᵢⱼ the scores, aᵢⱼ the weights, oᵢ the output.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from course_utils.plots.style import (
    BLUE,
    GREEN,
    GREY,
    LARGE,
    NORMAL,
    PALE,
    SMALL,
    VERMILLION,
    canvas_in_inches,
    fixed,
    ink,
    new_figure,
    styled,
)

# ---- how far is it from one word to another? -------------------------------------------------------------------------


@styled
def path_lengths(words: Sequence[str], start: int, end: int) -> Figure:
    """The way of word `start` to word `end` (places from 0): through every state of an RNN, and by one look.

    The states between the two are steps of the chain; of the looks of word `end` only the one at `start` is heavy.
    """
    n = len(words)
    if not 0 <= start < end < n:
        raise ValueError(f"start={start}, end={end}: two places of the {n} words are needed, the earlier one first.")
    wide = 7.7 / n
    tilted = max(map(len, words)) * 0.1 > wide - 0.04
    room = 0.15 + 0.1 * max(map(len, words)) if tilted else 0.3
    height = 3.55 + 2 * room
    figure, axes = canvas_in_inches(8.0, height)
    x = 0.15 + wide * (np.arange(n) + 0.5)

    steps = end - start
    top = height - 0.3
    axes.text(0.15, top, "A chain (RNN)", fontsize=LARGE, va="center")
    said = f"{steps} step{'s' * (steps > 1)} from “{words[start]}” to “{words[end]}”"
    axes.text(7.85, top, said, ha="right", va="center", color=ink(VERMILLION))
    row = top - 0.62
    _states(axes, x, row, wide, range(start, end + 1))
    for j in range(n - 1):
        colour, thick = (VERMILLION, 2.6) if start <= j < end else (GREY, 1.0)
        _arrow(axes, (x[j] + wide * 0.3, row), (x[j + 1] - wide * 0.3, row), colour, thick)
    _words(axes, x, row - 0.3, words, tilted, (start, end))

    top = row - 0.3 - room - 0.3
    axes.text(0.15, top, "Self-attention", fontsize=LARGE, va="center")
    axes.text(7.85, top, f"1 step: “{words[end]}” looks at every word", ha="right", va="center", color=ink(VERMILLION))
    row = 0.3 + room
    for j in [*(k for k in range(n) if k != start), start]:
        _look(axes, x[end], x[j], row + 0.2, top - row - 0.55, n * wide, j == start, j == end)
    _states(axes, x, row, wide, (start, end))
    _words(axes, x, row - 0.3, words, tilted, (start, end))
    return figure


def _states(axes: Axes, x: np.ndarray, y: float, wide: float, on) -> None:
    for j, place in enumerate(x):
        axes.add_patch(FancyBboxPatch(
            (place - 0.26 * wide, y - 0.14), 0.52 * wide, 0.28, boxstyle="round,pad=0,rounding_size=0.05", zorder=3,
            fc="#F7D9C8" if j in on else PALE, ec=VERMILLION if j in on else GREY, lw=1.6 if j in on else 1.0,
        ))  # fmt: skip


def _words(axes: Axes, x: np.ndarray, y: float, words: Sequence[str], tilted: bool, bold: tuple[int, int]) -> None:
    for j, (place, word) in enumerate(zip(x, words, strict=True)):
        axes.text(place, y + 0.05, word, ha="center", va="top", fontsize=SMALL, rotation=90 if tilted else 0,
                  fontweight="bold" if j in bold else "normal")  # fmt: skip


def _arrow(axes: Axes, a: tuple[float, float], b: tuple[float, float], colour: str, thick: float, bend: float = 0.0):
    style = "-|>,head_length=5,head_width=2.5"
    axes.add_patch(FancyArrowPatch(a, b, arrowstyle=style, color=colour, lw=thick, shrinkA=0, shrinkB=0, zorder=2,
                                   connectionstyle=f"arc3,rad={bend}"))  # fmt: skip


def _look(axes: Axes, here: float, there: float, y: float, most: float, span: float, heavy: bool, itself: bool) -> None:
    """An arc from one word over the others to another, higher the further; the look at itself is not drawn."""
    colour, thick = (VERMILLION, 2.8) if heavy else (GREY, 1.0)
    if itself:
        return
    t = np.linspace(0, np.pi, 60)
    high = min(most, max(0.16, most * abs(there - here) / span * 1.15))
    middle, half = (here + there) / 2, (here - there) / 2
    axes.plot(middle + half * np.cos(t), y + high * np.sin(t), color=colour, lw=thick, zorder=2 if heavy else 1)
    if heavy:
        _arrow(axes, (there, y + 0.12), (there, y), colour, thick)


# ---- one word asks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Looking:
    """One query at work: all numbers of oᵢ = Σ aᵢⱼ vⱼ, whose values are points in a plane."""

    words: Sequence[str]  # S
    values: np.ndarray  # (S, 2) vⱼ
    scores: np.ndarray  # (S,) αᵢⱼ
    weights: np.ndarray  # (S,) aᵢⱼ
    output: np.ndarray  # (2,) oᵢ
    query: int  # i, from 0
    formula: str  # how the scores were made


@styled
def looking(step: Looking, *, names: tuple[str, str] = ("first entry", "second entry"), reach: float = 3.0) -> Figure:
    """Scores, weights and the output of one query: the output lies among the values, drawn to each by its weight.

    The plane, whose axes are called `names`, shows -reach/3 … reach; a vector beyond is cut off at the edge. The pale
    area is everything that some choice of weights could give: the hull of the values.
    """
    figure = new_figure(8.0, 4.3)
    i, S = step.query, len(step.words)
    bars = figure.add_axes((0.01, 0.02, 0.53, 0.95))
    bars.set(xlim=(0, S), ylim=(0, 1))
    bars.set_axis_off()
    _numbers(bars, step.scores, 0.63, 0.25, f"scores: {step.formula}", signed=True)
    _numbers(bars, step.weights, 0.17, 0.25, f"weights of “{step.words[i]}”: softmax", signed=False)
    for j, word in enumerate(step.words):
        bars.text(j + 0.5, 0.0, word, ha="center", va="bottom", fontsize=SMALL,
                  fontweight="bold" if j == i else "normal")  # fmt: skip

    plane = figure.add_axes((0.62, 0.15, 0.37, 0.37 * 8 / 4.3))
    low = -reach / 3
    plane.set(xlim=(low, reach), ylim=(low, reach), xticks=range(int(low), int(reach) + 1), xlabel=names[0],
              yticks=range(int(low), int(reach) + 1), ylabel=names[1])  # fmt: skip
    plane.axhline(0, color=PALE, lw=1, zorder=0)
    plane.axvline(0, color=PALE, lw=1, zorder=0)
    plane.set_title("values, and the output (diamond)", fontsize=NORMAL)
    hull = _hull(np.clip(step.values, low, reach))
    plane.fill(*hull.T, color=BLUE, alpha=0.12, zorder=0.5)
    plane.plot(*np.vstack([hull, hull[:1]]).T, color=BLUE, lw=1, alpha=0.6, zorder=0.6)
    output = np.clip(step.output, low, reach)
    for j, v in enumerate(np.clip(step.values, low, reach)):
        share = float(step.weights[j])
        plane.plot(*np.stack([output, v]).T, color=GREY, lw=0.5 + 5 * share, zorder=1)
        plane.plot(*v, "o", color=BLUE, ms=5 + 12 * share**0.5, zorder=2)
    there: dict[tuple[float, float], dict[str, None]] = {}  # a point -> the words that stand on it, each once
    for word, (x, y) in zip(step.words, np.clip(step.values, low, reach), strict=True):
        there.setdefault((x, y), {})[word] = None
    for (x, y), same in there.items():
        y += (-0.28 if y <= 0 or y > 0.8 * reach else 0.28) * reach / 3
        side = "right" if x > 0.8 * reach else "left" if x < 0.8 * low else "center"
        plane.text(x, y, ", ".join(same), ha=side, va="center", fontsize=SMALL, zorder=4)
    plane.plot(*output, "D", color=VERMILLION, ms=11, mec="black", zorder=5)
    return figure


def _hull(points: np.ndarray) -> np.ndarray:
    """Corners of the convex hull of (N, 2) points, counterclockwise (Andrew's monotone chain)."""
    points = np.unique(points, axis=0)
    if len(points) < 3:
        return points

    def chain(some: np.ndarray) -> list[np.ndarray]:
        kept: list[np.ndarray] = []
        for p in some:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], p) <= 0:
                kept.pop()
            kept.append(p)
        return kept[:-1]

    return np.array([*chain(points), *chain(points[::-1])])


def _turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """Positive if a, b, c turn left."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _numbers(axes: Axes, values: np.ndarray, low: float, high: float, title: str, signed: bool) -> None:
    """Bars with their numbers below, between `low` and `low + high` of an axes one unit high."""
    axes.text(0, low + high + 0.04, title, va="bottom", fontsize=NORMAL)
    most = max(float(np.abs(values).max()), 1e-9) if signed else 1.0
    split = signed and values.min() < 0
    zero, scale = (low + high / 2, high / 2 / most) if split else (low, high / most)
    bars = [Rectangle((j + 0.14, min(zero, zero + v * scale)), 0.72, abs(v) * scale) for j, v in enumerate(values)]
    axes.add_collection(PatchCollection(bars, facecolors=BLUE), autolim=False)
    axes.plot([0, len(values)], [zero, zero], color=GREY, lw=0.8)
    for j, v in enumerate(values):
        axes.text(j + 0.5, low - 0.015, f"{v:.2f}", ha="center", va="top", fontsize=SMALL,
                  fontweight="bold" if j == int(values.argmax()) else "normal")  # fmt: skip


# ---- a softmax that saturates ----------------------------------------------------------------------------------------


@styled
def reaching_gradients(widths: Sequence[int], plain: Sequence[np.ndarray], scaled: Sequence[np.ndarray]) -> Figure:
    """How large a gradient reaches a query, (N,) sizes for each width d: mean, median and each of (some) draws, without
    the scale on the left and with it on the right. Both axes are logarithmic; sizes below 10⁻⁵ are drawn there."""
    figure = new_figure(8.0, 4.3)
    kinds = (("softmax(q · k)", plain, VERMILLION), ("softmax(q · k / √d)", scaled, GREEN))
    for k, (name, sizes, colour) in enumerate(kinds):
        axes = figure.add_axes((0.11 + 0.46 * k, 0.16, 0.42, 0.72))
        for j, found in enumerate(sizes):
            some = np.maximum(np.asarray(found, dtype=float)[:150], 1e-5)
            spread = 0.28 * (np.arange(len(some)) / len(some) - 0.5)
            axes.plot(j + spread, some, ".", color=GREY, ms=3, alpha=0.5, zorder=1)
        means, medians = ([float(f(x)) for x in sizes] for f in (np.mean, np.median))
        axes.plot(range(len(widths)), means, "s-", color=colour, ms=8, lw=2, zorder=3)
        axes.plot(range(len(widths)), np.maximum(medians, 1e-5), "o--", color="black", ms=8, lw=2, zorder=3)
        axes.set(yscale="log", ylim=(6e-6, 60), xlim=(-0.5, len(widths) - 0.5), xlabel="width d of q and k")
        axes.set_xticks(range(len(widths)), [str(d) for d in widths])
        axes.set_title(name, fontsize=NORMAL)
        axes.text(-0.3, 3 * means[0], "mean", color=ink(colour), va="bottom")
        right = (len(widths) - 1.35, max(medians[-1], 2e-5)) if k == 0 else (len(widths) - 1, medians[-1] / 4)
        axes.text(*right, "median", ha="right", va="center")
        if k == 0:
            axes.set_ylabel("size of the gradient at q")
        else:
            axes.set_yticklabels([])
    return figure


@styled
def saturation(scores: np.ndarray, d: int) -> Figure:
    """The weights that one query gives its keys, from q·k (S,) as it is and from q·k / √d; every key is one bar."""
    figure = new_figure(8.0, 4.2)
    order = np.argsort(-np.asarray(scores, dtype=float), kind="stable")
    kinds = (("softmax(q·k)", 1.0, VERMILLION), (f"softmax(q·k / √{d})", d**0.5, GREEN))
    for k, (name, divisor, colour) in enumerate(kinds):
        e = np.asarray(scores, dtype=float)[order] / divisor
        weights = np.exp(e - e.max())
        weights /= weights.sum()
        axes = figure.add_axes((0.10, 0.60 - 0.46 * k, 0.87, 0.29))
        fixed(axes)
        axes.bar(np.arange(1, len(e) + 1), weights, color=colour, alpha=0.8, edgecolor="black", lw=0.6)
        axes.set(xlim=(0.3, len(e) + 0.7), ylim=(0, 1.0), yticks=[0, 0.5, 1])
        axes.set_xticks(range(1, len(e) + 1), [""] * len(e) if k == 0 else [str(j) for j in range(1, len(e) + 1)])
        axes.set_title(f"{name}: the scores spread by {e.std():.1f}, the largest weight is {weights.max():.2f}",
                       fontsize=NORMAL)  # fmt: skip
        axes.set_ylabel("weight")
    axes.set_xlabel("the keys, best first")
    return figure
