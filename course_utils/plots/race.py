"""Pictures of notebook 24: the race's results, what plugs cost, and both at once."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from course_utils.plots.style import (
    BLUE,
    DASHES,
    GREY,
    LARGE,
    MARKERS,
    PALE,
    SERIES,
    SMALL,
    VERMILLION,
    fixed,
    ink,
    label_line_ends,
    new_figure,
    styled,
)


@styled
def race_dots(
    scores: Mapping[str, Mapping[str, Sequence[float]]], guessing: Mapping[str, float], *, reference: str,
    title: str = "",
) -> Figure:  # fmt: skip
    """{task: {plug: one score a seed}}, a panel a task, a line a plug; a grey band where the `reference` lies, a dotted
    line at `guessing`. A plug that did not take part in a task has no dots there."""
    plugs = list(dict.fromkeys(plug for found in scores.values() for plug in found))
    if not plugs or scores.keys() != guessing.keys() or any(reference not in found for found in scores.values()):
        raise ValueError(f"every task needs scores of {reference!r} and what guessing gets: {list(scores)}, {guessing}")
    height = 1.35 + 0.36 * len(plugs)
    figure = new_figure(8.0, height)
    left, gap = 0.03 + 0.0113 * max(map(len, plugs)), 0.025
    width = (0.985 - left + gap) / len(scores) - gap
    for i, (task, found) in enumerate(scores.items()):
        axes = figure.add_axes((left + i * (width + gap), 0.62 / height, width, 0.36 * len(plugs) / height))
        axes.axvspan(min(found[reference]), max(found[reference]), color=PALE, lw=0, zorder=0)
        axes.axvline(guessing[task], color=GREY, ls=":", lw=1.5)
        for row, plug in enumerate(plugs):
            seeds = found.get(plug, [])
            axes.plot(seeds, [row] * len(seeds), "-o", color=BLUE if plug != reference else VERMILLION, ms=6, lw=2,
                      alpha=0.8)  # fmt: skip
        axes.set(xlim=(-0.05, 1.05), ylim=(len(plugs) - 0.5, -0.5), xticks=(0, 0.5, 1), yticks=range(len(plugs)))
        axes.set_xticklabels(("0", ".5", "1"))
        axes.set_yticklabels(plugs if i == 0 else [])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", color=PALE, lw=0.8)
        axes.set_title(task, fontsize=SMALL + 1, loc="center")
    figure.text(0.5 * (left + 0.985), 0.12 / height, "share right, one dot a seed", ha="center")
    figure.text(0.01, 1 - 0.33 / height, title, fontsize=LARGE)
    return figure


@styled
def cost_bars(
    shares: Mapping[str, float], *, xlabel: str, title: str = "", low: float = 1e-3, high: float = 10,
) -> Figure:  # fmt: skip
    """{plug: its cost as a multiple of dense attention's}, dearest first, on one logarithmic axis."""
    if not shares or min(shares.values()) <= 0:
        raise ValueError("needed is a cost above 0 for each plug, as a multiple of the dense one's.")
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    height = 1.3 + 0.36 * len(ordered)
    figure = new_figure(8.0, height)
    axes = figure.add_axes((0.30, 0.72 / height, 0.58, 0.36 * len(ordered) / height))
    fixed(axes)
    for i, (_, share) in enumerate(ordered):
        start, end = sorted((1.0, share))
        axes.barh(i, end - start, left=start, height=0.66, color=BLUE if share < 1 else VERMILLION, alpha=0.75)
        said = f"1/{1 / share:.3g}" if share < 0.995 else f"{share:.3g}"
        axes.annotate(said, (share, i), (-5 if share < 1 else 5, 0), textcoords="offset points", va="center",
                      ha="right" if share < 1 else "left")  # fmt: skip
    axes.axvline(1, color="black", lw=1)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlim=(low, high), ylim=(len(ordered) - 0.5, -0.5), xlabel=xlabel)
    axes.set_yticks(range(len(ordered)), [name for name, _ in ordered])
    axes.tick_params(axis="y", length=0)
    figure.text(0.01, 1 - 0.33 / height, title, fontsize=LARGE)
    return figure


@styled
def cost_curves(curves: Mapping[str, Mapping[int, float]], *, ylabel: str, title: str = "") -> Figure:
    """{name: {N: cost}}: both axes logarithmic, so that a power of N is a straight line and its exponent the slope."""
    if not curves or any(len(curve) < 2 or min(curve.values()) <= 0 for curve in curves.values()):
        raise ValueError("every curve needs costs above 0 at two lengths or more.")
    figure = new_figure(8.0, 4.8)
    axes = figure.add_axes((0.11, 0.14, 0.6, 0.74))
    lengths = sorted({N for curve in curves.values() for N in curve})
    for i, curve in enumerate(curves.values()):
        axes.plot(list(curve), list(curve.values()), color=SERIES[i % 7], marker=MARKERS[i % 7], ls=DASHES[i % 7],
                  clip_on=False)
    axes.set(xscale="log", yscale="log", xlim=(lengths[0], lengths[-1]), xlabel="length N", ylabel=ylabel)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(lengths, [f"{N:,}" for N in lengths])
    low, high = (np.log10(limit) for limit in axes.get_ylim())
    ends = [(name, lengths[-1], np.log10(c[max(c)]), SERIES[i % 7]) for i, (name, c) in enumerate(curves.items())]
    over = axes.figure.add_axes(axes.get_position(), frameon=False, xticks=[], yticks=[])  # labels: in logarithms
    over.set(xlim=axes.get_xlim(), ylim=(low, high))
    label_line_ends(over, ends)
    figure.text(0.02, 0.93, title, fontsize=LARGE)
    return figure


class Entry(NamedTuple):
    """A plug in a trade-off: how fast (or dear), how good, and what its circle's area stands for."""

    name: str
    x: float
    y: float
    size: float = 1.0


@styled
def trade_off(
    entries: Sequence[Entry], *, xlabel: str, ylabel: str, title: str = "", reference: str = "",
    xlim: tuple[float, float] | None = None, ylim: tuple[float, float] | None = None,
) -> Figure:  # fmt: skip
    """Circles with names; x is logarithmic, areas go with `size`. The `reference` is of another colour."""
    if not entries or min(min(e.x, e.size) for e in entries) <= 0:
        raise ValueError("every entry needs an x and a size above 0.")
    figure = new_figure(8.0, 4.8)
    axes = figure.add_axes((0.115, 0.14, 0.855, 0.74))
    xs, ys = [e.x for e in entries], [e.y for e in entries]
    room = 0.12 * (max(ys) - min(ys) or 1)
    axes.set_xscale("log")
    axes.set(xlim=xlim or (min(xs) / 1.6, max(xs) * 1.9), ylim=ylim or (min(ys) - room, max(ys) + room))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())                           # they would double the time of a redraw
    sizes = np.array([e.size for e in entries])
    areas = np.maximum(30, 700 * sizes / sizes.max()) if len(set(sizes)) > 1 else np.full(len(sizes), 70.0)
    for e, area in zip(entries, areas, strict=True):
        axes.scatter(e.x, e.y, s=area, color=VERMILLION if e.name == reference else BLUE, alpha=0.55, lw=0)
    _name(axes, entries, np.sqrt(areas / np.pi) * figure.dpi / 72)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.text(0.02, 0.93, title, fontsize=LARGE)
    return figure


def _name(axes: Axes, entries: Sequence[Entry], radii: np.ndarray) -> None:
    """A name beside each circle, the first place of several where it covers no other name and no circle's middle."""
    at = axes.transData.transform([(e.x, e.y) for e in entries])          # pixels
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in at]
    frame = axes.get_window_extent()
    for (x, y), e, radius in sorted(zip(at, entries, radii, strict=True), key=lambda item: -item[0][1]):
        wide, tall, far = 8.6 * len(e.name), 15, 0.7 * radius + 4
        places = [(x + dx + (-wide if dx < 0 else 0), y + dy - tall / 2) for dx, dy in (
            (radius + 4, 0), (-radius - 4, 0), (far, far), (far, -far), (-far, far), (-far, -far),
            *((side * 0.1, up * (radius + 9 + 16 * line)) for line in range(6) for up in (1, -1) for side in (1, -1)),
        )]  # fmt: skip
        boxes = [(a, b, a + wide, b + tall) for a, b in places]
        inside = [box for box in boxes if frame.x0 < box[0] and box[2] < frame.x1]
        free = [box for box in inside if not any(_cross(box, other) for other in taken)]
        box = (free or boxes)[0]
        taken.append(box)
        away = np.hypot(max(box[0] - x, x - box[2], 0), max(box[1] - y, y - box[3], 0))
        line = {"arrowstyle": "-", "color": GREY, "lw": 0.8} if away > radius + 8 else None
        axes.annotate(e.name, (x, y), (box[0], box[1] + 3), xycoords="figure pixels", textcoords="figure pixels",
                      color=ink(BLUE), fontsize=SMALL, arrowprops=line)  # fmt: skip


def _cross(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@styled
def pixel_reading(picture, *, title: str = "") -> Figure:
    """A picture (side, side) of greys, and below it the sequence that a model gets: its rows one after the other."""
    picture = np.asarray(picture, dtype=float)
    if picture.ndim != 2 or picture.shape[0] != picture.shape[1]:
        raise ValueError(f"a square picture is needed, not one of shape {picture.shape}")
    side = len(picture)
    figure = new_figure(8.0, 3.6)
    square = figure.add_axes((0.385, 0.3, 0.23, 0.51))
    strip = figure.add_axes((0.02, 0.12, 0.96, 0.09))
    square.imshow(picture, cmap="gray_r", vmin=0, vmax=16)
    strip.imshow(picture.reshape(1, -1), cmap="gray_r", vmin=0, vmax=16, aspect="auto")
    for row in range(1, side):
        strip.axvline(side * row - 0.5, color=BLUE, lw=0.6)
    square.set(xticks=[], yticks=[])
    strip.set_yticks([])
    strip.set_xticks((0, side - 0.5, side * side - 1), ("1", f"{side}", f"{side * side}"))
    figure.text(0.02, 0.9, title, fontsize=LARGE)
    return figure
