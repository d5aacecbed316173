"""Pictures of notebook 22: two orders of three matrices, the rank of maps, random features, a memory of n pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_utils.plots.style import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    LARGE,
    MAP,
    MARKERS,
    NORMAL,
    ORANGE,
    PALE,
    SERIES,
    SMALL,
    VERMILLION,
    label_line_ends,
    new_figure,
    styled,
)

ORDERS = ("(Q Kᵀ) V", "Q (Kᵀ V)")


@styled
def product_orders(N: int, d: int, operations: Sequence[int], seconds: Sequence[float]) -> Figure:
    """What stands in the middle of Q Kᵀ V in either order, and what that costs: multiply-adds and measured seconds.

    Sides are drawn on a logarithmic scale, bars on a straight one.
    """
    if len(operations) != 2 or len(seconds) != 2:
        raise ValueError(f"{len(operations)} counts and {len(seconds)} times: one of each for each of the two orders.")
    figure = new_figure(8.0, 4.3)
    left = figure.add_axes((0, 0, 0.42, 1))
    left.set(xlim=(0, 3.36), ylim=(0, 4.3))
    left.set_axis_off()
    left.text(0.2, 4.05, "What is made on the way", fontsize=LARGE, va="center")
    for k, (n, name, colour) in enumerate(((N, "N × N", BLUE), (d, "d × d", ORANGE))):
        side, middle = 0.1 + 0.105 * np.log2(n), 2.75 - 1.8 * k
        left.add_patch(Rectangle((1.25, middle - side / 2), side, side, fc=colour, alpha=0.55, ec="black"))
        left.text(0.2, middle, ORDERS[k], va="center")
        left.text(1.4 + side, middle, f"{name}:\n{n * n:,}\nnumbers", va="center", fontsize=SMALL)
    kinds = (("multiply-adds (millions)", [n / 1e6 for n in operations]), ("milliseconds", [1e3 * s for s in seconds]))
    for k, (name, values) in enumerate(kinds):
        axes = figure.add_axes((0.58, 0.56 - 0.47 * k, 0.26, 0.3))
        axes.barh([0, 1], values, color=[BLUE, ORANGE], alpha=0.55, edgecolor="black", lw=0.8, height=0.66)
        axes.set(ylim=(1.6, -0.6), xticks=[], xlim=(0, max(values) * 1.02), title=name)
        axes.set_yticks([0, 1], ORDERS)
        axes.tick_params(axis="y", length=0)
        axes.spines["bottom"].set_visible(False)
        for i, value in enumerate(values):
            said = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
            axes.annotate(said, (value, i), (6, 0), textcoords="offset points", va="center", fontsize=SMALL)
    return figure


@styled
def square_maps(maps: Sequence, names: Sequence[str], *, title: str = "") -> Figure:
    """Maps (N, N) side by side, each on a scale of its own from 0 to its largest weight, which stands below it."""
    maps = [np.asarray(m, dtype=float) for m in maps]
    if not maps or len(maps) != len(names) or any(m.ndim != 2 for m in maps):
        raise ValueError(f"{len(maps)} maps and {len(names)} names: needed is a name for each map, maps of two axes.")
    side = min(2.4, 7.8 / len(maps) - 0.12)
    height = side + (1.15 if title else 0.75)
    figure = new_figure(8.0, height)
    for k, (some, name) in enumerate(zip(maps, names, strict=True)):
        axes = figure.add_axes(((0.1 + k * (side + 0.12)) / 8, 0.38 / height, side / 8, side / height))
        _heat(axes, some)
        axes.set_title(name, fontsize=SMALL)
        axes.text(0, -0.04, f"largest {some.max():.2f}", transform=axes.transAxes, fontsize=SMALL, va="top", color=GREY)
    if title:
        figure.text(0.1 / 8, 1 - 0.3 / height, title, fontsize=LARGE)
    return figure


def _heat(axes: Axes, table: np.ndarray, most: float | None = None) -> None:
    """Brightness goes with the root of a weight, so that small ones can be seen."""
    most = max(float(table.max()), 1e-12) if most is None else most
    axes.imshow(np.sqrt(np.clip(table, 0, most)), cmap=MAP, vmin=0, vmax=most**0.5, interpolation="nearest",
                aspect="auto")  # fmt: skip
    axes.set(xticks=[], yticks=[])


@styled
def error_curves(
    series: Mapping[str, Sequence[Sequence[float]]], points: Sequence[int], *, xlabel: str, ylabel: str = "error",
    title: str = "", log: bool = True, at: int | None = None,
) -> Figure:  # fmt: skip
    """{name: runs x points} over a doubling scale: the median of the runs, a band from smallest to largest. On a
    logarithmic scale (`log`) a line at 1 says where the error is as large as what it should be; `at` marks a point."""
    figure = new_figure(8.0, 4.2)
    widest = max(map(len, series), default=0)
    axes = figure.add_axes((0.1, 0.18, max(0.4, 0.85 - 0.0135 * widest), 0.7))
    draw_error_curves(axes, series, points, log=log, at=at)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return figure


def draw_error_curves(axes: Axes, series: Mapping, points: Sequence[int], *, log: bool, at: int | None = None) -> None:
    """Into `axes`, with the names at the right ends; on a logarithmic scale the axis itself is in powers of ten."""
    if not series or len(series) > len(SERIES):
        raise ValueError(f"{len(series)} lines: 1 to {len(SERIES)} can be told apart in one figure.")
    x = np.log2(np.asarray(points, dtype=float))
    turn = np.log10 if log else np.asarray
    ends, lowest, highest = [], np.inf, -np.inf
    for i, (name, runs) in enumerate(series.items()):
        runs = np.asarray(runs, dtype=float)
        if runs.ndim != 2 or runs.shape[1] != len(x):
            raise ValueError(f"{name!r} has shape {runs.shape}; needed are runs x {len(x)} points.")
        runs = turn(np.maximum(runs, 1e-6))
        middle = np.median(runs, axis=0)
        if len(runs) > 1:
            axes.fill_between(x, runs.min(0), runs.max(0), color=SERIES[i], alpha=0.18, lw=0)
        axes.plot(x, middle, color=SERIES[i], ls=DASHES[i], marker=MARKERS[i] if len(x) < 20 else None)
        ends.append((name, float(x[-1]), float(middle[-1]), SERIES[i]))
        lowest, highest = min(lowest, runs.min()), max(highest, runs.max())
    room = 0.06 * max(highest - lowest, 0.1)
    axes.set(xlim=(x[0] - 0.15, x[-1] + 0.15), ylim=(lowest - room if log else -0.03, highest + room))
    ticks = [p for p in points if float(np.log2(p)).is_integer()]
    axes.set_xticks(np.log2(ticks), [f"{p:g}" for p in ticks])
    if log:
        values = [v for v in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000) if lowest <= np.log10(v) <= highest]
        axes.set_yticks(np.log10(values), [f"{v:g}" for v in values])
        if lowest < 0 < highest:
            axes.axhline(0, color=GREY, lw=1, zorder=0)
    if at is not None:
        axes.axvline(np.log2(at), color=GREY, lw=1.2, ls="--", zorder=1)
    label_line_ends(axes, ends)


@styled
def rank_view(
    table, best, k: int, curves: Mapping[str, Sequence[Sequence[float]]], points: Sequence[int], name: str,
) -> Figure:  # fmt: skip
    """A map, its best approximation of rank k, and the errors by rank of this map (first line) and of others."""
    table, best = np.asarray(table, dtype=float), np.asarray(best, dtype=float)
    figure = new_figure(8.0, 5.6)
    pictures = ((table, name), (best, f"best of rank {k}"), (np.abs(table - best), "what is missing"))
    for i, (some, said) in enumerate(pictures):
        axes = figure.add_axes((0.03 + 0.33 * i, 0.52, 0.28, 0.4))
        _heat(axes, some, float(table.max()))
        axes.set_title(said, fontsize=NORMAL)
    axes = figure.add_axes((0.1, 0.1, 0.58, 0.34))
    draw_error_curves(axes, curves, points, log=False, at=k)
    axes.set(xlabel="rank k", ylabel="relative error", ylim=(-0.03, 1.03))
    return figure


@styled
def favor_view(exact, estimate, said: str) -> Figure:
    """Softmax weights and their estimate as maps, and every weight against its estimate: on the line is right."""
    exact, estimate = np.asarray(exact, dtype=float), np.asarray(estimate, dtype=float)
    figure = new_figure(8.0, 2.9)
    most = float(exact.max())
    for i, (some, name) in enumerate(((exact, "softmax"), (estimate, "estimated"))):
        axes = figure.add_axes((0.02 + 0.3 * i, 0.06, 0.27, 0.27 * 8 / 2.9))
        _heat(axes, some, most)
        axes.set_title(name, fontsize=NORMAL)
    axes = figure.add_axes((0.705, 0.2, 0.275, 0.27 * 8 / 2.9 - 0.14))
    top = most * 1.3
    axes.plot([0, top], [0, top], color=GREY, lw=1)
    axes.plot(exact.ravel(), np.clip(estimate.ravel(), -0.3 * top, top), ".", color=VERMILLION, ms=3, alpha=0.5)
    axes.set(xlim=(0, top), ylim=(-0.3 * top, top), title=said, xlabel="weight (estimate upwards)")
    axes.title.set_fontsize(NORMAL)
    axes.locator_params(nbins=4)
    return figure


@styled
def recall_view(
    answer, right: int, pairs: Sequence[int], curves: Mapping[str, Sequence[float]], n: int, d: int, name: str,
) -> Figure:  # fmt: skip
    """One question: how strongly each value comes back, the right one coloured. Below: the share of questions answered
    right by the number of pairs, for every memory."""
    answer = np.asarray(answer, dtype=float)
    figure = new_figure(8.0, 5.4)
    axes = figure.add_axes((0.1, 0.63, 0.86, 0.28))
    colours = [VERMILLION if j == right else PALE for j in range(len(answer))]
    axes.bar(np.arange(len(answer)), answer, color=colours, edgecolor="black", lw=0.7)
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xticks=[], xlim=(-0.7, len(answer) - 0.3), ylabel="comes back")
    axes.set_title(f"{name}, {n} pairs in {d} dimensions: which value?")
    side = "left" if right == 0 else "right" if right == len(answer) - 1 else "center"
    axes.annotate("asked for", (right + {"left": -0.4, "center": 0, "right": 0.4}[side], max(answer[right], 0)), (0, 3),
                  textcoords="offset points", ha=side, fontsize=SMALL, color=VERMILLION)  # fmt: skip
    axes.set_ylim(top=max(float(answer.max()), 0.1) * 1.25)
    axes = figure.add_axes((0.1, 0.12, 0.64, 0.38))
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlim(np.log2(pairs[0]) - 0.1, np.log2(pairs[-1]) + 0.1)
    ends = []
    for i, (kind, shares) in enumerate(curves.items()):
        axes.plot(np.log2(pairs), shares, color=SERIES[i], ls=DASHES[i], marker=MARKERS[i])
        ends.append((kind, float(np.log2(pairs[-1])), float(shares[-1]), SERIES[i]))
    axes.axvline(np.log2(n), color=GREY, lw=1.2, ls="--", zorder=0)
    axes.axvline(np.log2(d), color=GREEN, lw=6, alpha=0.25, zorder=0)
    axes.text(np.log2(d), 0.02, " n = d", color=GREY, fontsize=SMALL)
    axes.set_xticks(np.log2(pairs), [f"{p:g}" for p in pairs])
    axes.set(xlabel="pairs n", ylabel="found again")
    label_line_ends(axes, ends)
    return figure
