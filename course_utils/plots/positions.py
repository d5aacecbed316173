"""Pictures of positions: tables of sines, clocks, turned pairs, biases, accuracy place by place, heads that convolve.

Notebook 15. Places run downwards or to the right and are counted from 0; dimensions run to the right.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from course_utils.plots.curves import Runs
from course_utils.plots.style import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    LARGE,
    MAP,
    MARKERS,
    NORMAL,
    PALE,
    SERIES,
    SMALL,
    VERMILLION,
    ink,
    label_line_ends,
    new_figure,
    styled,
    text_on,
)

# ---- a table of positions --------------------------------------------------------------------------------------------


@styled
def position_view(table: np.ndarray, place: int, other: int | None = None, *, title: str = "") -> Figure:
    """Left the table (places, d), a row for each place; right the dot product of `place` with every place.

    The rows of `place` and of `other` are marked in both. ValueError for a place beyond the table.
    """
    table = np.asarray(table, dtype=float)
    marked = {place: VERMILLION} | ({} if other is None else {other: BLUE})
    if table.ndim != 2 or not all(0 <= p < len(table) for p in marked):
        raise ValueError(f"places {sorted(marked)} of a table of shape {table.shape}: there are 0 to {len(table) - 1}.")
    P, d = table.shape
    figure = new_figure(8.0, 4.3)
    axes = figure.add_axes((0.085, 0.14, 0.47, 0.74))
    axes.pcolormesh(np.arange(d + 1) - 0.5, np.arange(P + 1) - 0.5, table, cmap=MAP, vmin=-1, vmax=1)
    axes.set(xlim=(-0.5, d - 0.5), ylim=(P - 0.5, -0.5), xlabel="dimension", ylabel="place")
    axes.set_xticks([0, d - 1])
    axes.set_yticks(sorted({0, P - 1}))
    axes.set_title(title or f"{P} places, d = {d}", fontsize=NORMAL)
    bar = figure.add_axes((0.565, 0.14, 0.015, 0.74))
    bar.set_axis_off()
    bar.pcolormesh([0, 1], np.linspace(-1, 1, 65), np.linspace(-1, 1, 64)[:, None], cmap=MAP, vmin=-1, vmax=1)
    bar.set(xlim=(0, 1), ylim=(-1, 1))
    for mark, va in ((-1, "bottom"), (0, "center"), (1, "top")):
        bar.text(1.4, mark, f"{mark:g}".replace("-", "−"), ha="left", va=va, fontsize=SMALL)

    products = table @ table[place]
    lines = figure.add_axes((0.70, 0.14, 0.26, 0.74))
    lines.plot(products, np.arange(P), color=GREY, lw=1.5)
    lines.axvline(0, color=PALE, lw=1, zorder=0)
    low, high = min(0.0, float(products.min())), max(float(products.max()), 1e-9)
    lines.set(ylim=(P - 0.5, -0.5), xlim=(low - 0.08 * (high - low), high + 0.12 * (high - low)))
    lines.set_xticks([0, high], ["0", f"{high:.3g}"])
    lines.set_yticks(sorted({0, P - 1}))
    lines.set_xlabel("dot product")
    lines.set_title(f"place {place} with every place", fontsize=NORMAL)
    for p, colour in marked.items():
        for edge in (p - 0.5, p + 0.5):
            axes.axhline(edge, color="white", lw=2.6)
            axes.axhline(edge, color=colour, lw=1.4)
        lines.plot([products[p]], [p], "o", color=colour, ms=9, clip_on=False)
    return figure


@styled
def clocks(frequencies: Sequence[float], place: int, offset: int) -> Figure:
    """Each sine-cosine pair as a clock: its hand at `place` (dashed) and at `place + offset` (solid)."""
    frequencies = [float(w) for w in frequencies]
    if not 1 <= len(frequencies) <= 6:
        raise ValueError(f"{len(frequencies)} clocks: 1 to 6 can be drawn side by side.")
    n = len(frequencies)
    width = min(0.96 / n, 0.3)
    figure = new_figure(8.0, 8.0 * width + 1.0)
    high = 8.0 * width / (8.0 * width + 1.0)
    for i, w in enumerate(frequencies):
        axes = figure.add_axes((0.5 + (i - n / 2) * width, 0.42 / (8.0 * width + 1.0), width, high))
        axes.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35))
        axes.set_axis_off()
        axes.add_patch(Circle((0, 0), 1, fill=False, ec=GREY, lw=1.2))
        for p, dash, colour in ((place, (0, (2, 1.5)), GREY), (place + offset, "-", VERMILLION)):
            axes.plot([0, np.cos(w * p)], [0, np.sin(w * p)], ls=dash, color=colour, lw=2.4)
            axes.plot([np.cos(w * p)], [np.sin(w * p)], "o", color=colour, ms=7)
        axes.text(0, -1.2, f"{w:.3g} a place", ha="center", va="top", fontsize=SMALL)
        axes.text(0, 1.12, f"pair {i}", ha="center", va="bottom", fontsize=NORMAL)
    figure.text(0.02, 0.02, f"dashed: place {place}; solid: place {place + offset}; angles in radians",
                fontsize=SMALL, color=GREY)  # fmt: skip
    return figure


# ---- rotary ----------------------------------------------------------------------------------------------------------


@styled
def turned_pairs(q: np.ndarray, k: np.ndarray, m: int, n: int, theta: float) -> Figure:
    """A query and a key of two entries: as they are, and turned by their places m and n, theta a place."""
    figure = new_figure(8.0, 4.3)
    reach = 1.5 * max(float(np.hypot(*q)), float(np.hypot(*k)))
    sides = (("before: as they are", 0, 0, "q", "k"), (f"after: q turned {m}θ, k turned {n}θ", m, n, f"q at {m}",
                                                       f"k at {n}"))  # fmt: skip
    for left, (title, at_q, at_k, name_q, name_k) in zip((0.05, 0.54), sides, strict=True):
        axes = figure.add_axes((left, 0.08, 0.42, 0.42 * 8 / 4.3))
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.axhline(0, color=PALE, lw=1, zorder=0)
        axes.axvline(0, color=PALE, lw=1, zorder=0)
        axes.set_title(title, fontsize=NORMAL)
        turned_q, turned_k = turn(q, at_q * theta), turn(k, at_k * theta)
        _arc(axes, turned_k, turned_q, 0.3 * reach)
        apart = _angle(turned_k, turned_q)                                # names of near arrows go to either side
        aside = (0.2 if apart >= 0 else -0.2) * (abs(apart) < 0.6)
        _arrow(axes, turned_q, name_q, VERMILLION, reach, aside)
        _arrow(axes, turned_k, name_k, BLUE, reach, -aside)
        axes.text(-reach, -reach, f"q·k = {turned_q @ turned_k:.2f}", fontsize=LARGE, va="bottom")
    return figure


def turn(v: np.ndarray, angle: float) -> np.ndarray:
    """(2,) turned anticlockwise by `angle` radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.asarray(v, dtype=float)


def _arrow(axes: Axes, v: np.ndarray, name: str, colour: str, reach: float, aside: float) -> None:
    axes.add_patch(FancyArrowPatch((0, 0), v, arrowstyle="-|>,head_length=8,head_width=4", color=colour, lw=2.6,
                                   shrinkA=0, shrinkB=0))  # fmt: skip
    away = v / np.hypot(*v)
    at = v + 0.11 * reach * away + aside * reach * np.array([-away[1], away[0]])
    axes.text(*np.clip(at, -0.9 * reach, 0.9 * reach), name, color=ink(colour), ha="center", va="center")


def _arc(axes: Axes, start: np.ndarray, end: np.ndarray, radius: float) -> None:
    angles = np.arctan2(start[1], start[0]) + np.linspace(0, 1, 40) * _angle(start, end)
    axes.plot(radius * np.cos(angles), radius * np.sin(angles), color=GREEN, lw=2)


def _angle(start: np.ndarray, end: np.ndarray) -> float:
    """From one vector to the other, the short way, anticlockwise positive."""
    return float((np.arctan2(end[1], end[0]) - np.arctan2(start[1], start[0]) + np.pi) % (2 * np.pi) - np.pi)


# ---- maps side by side -----------------------------------------------------------------------------------------------


@styled
def small_maps(
    panels: Mapping[str, np.ndarray], *, xlabel: str = "", ylabel: str = "", values: bool = False,
    limits: tuple[float, float] | None = None,
) -> Figure:  # fmt: skip
    """Matrices beside each other on one scale: {title: (rows, columns)}, nan left white, numbers written if `values`.

    At most four; `limits` of the colours, by default the smallest and the largest entry of all.
    """
    arrays = {title: np.asarray(m, dtype=float) for title, m in panels.items()}
    if not 1 <= len(arrays) <= 4 or any(m.ndim != 2 for m in arrays.values()):
        raise ValueError(f"{len(arrays)} panels: 1 to 4 matrices can be drawn side by side.")
    low, high = limits or (min(np.nanmin(m) for m in arrays.values()), max(np.nanmax(m) for m in arrays.values()))
    high = high if high > low else low + 1.0
    n = len(arrays)
    side = min((7.3 - 0.25 * (n - 1)) / n, 4.4 if values else 3.2)
    height = side + 0.95
    figure = new_figure(8.0, height)
    for k, (title, m) in enumerate(arrays.items()):
        axes = figure.add_axes(((0.6 + k * (side + 0.25)) / 8, 0.5 / height, side / 8, side / height))
        rows, columns = m.shape
        axes.pcolormesh(np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5, m, cmap=MAP, vmin=low, vmax=high)
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
        axes.set_xticks([0, columns - 1] if columns > 1 else [0])
        axes.set_yticks(([0, rows - 1] if rows > 1 else [0]) if k == 0 else [])
        axes.set_title(title, fontsize=NORMAL)
        axes.set_xlabel(xlabel, labelpad=-6)
        if k == 0:
            axes.set_ylabel(ylabel, labelpad=-2)
        for (i, j), x in np.ndenumerate(m) if values else ():
            if not np.isnan(x):
                colour = text_on(colormaps[MAP]((x - low) / (high - low)))
                said = f"{round(x, 2):g}".replace("-", "−")
                axes.text(j, i, said, ha="center", va="center", fontsize=SMALL, color=colour)
    return figure


# ---- place by place --------------------------------------------------------------------------------------------------


@styled
def place_curve(series: Mapping[str, Runs], first: int, trained: int, *, title: str = "", score: str = "right",
                chance: float | None = None) -> Figure:  # fmt: skip
    """A score at each place of a line: {scheme: seeds x places}, the first place being `first` (from 0).

    Places below `trained` are shaded. Thick: the median over the seeds; band: smallest to largest.
    """
    if not 1 <= len(series) <= len(SERIES):
        raise ValueError(f"{len(series)} lines: 1 to {len(SERIES)} can be told apart in one figure.")
    arrays = {name: np.asarray(runs, dtype=float) for name, runs in series.items()}
    n = {runs.shape[-1] for runs in arrays.values()}
    if len(n) != 1 or any(runs.ndim != 2 for runs in arrays.values()):
        raise ValueError(f"lines of {sorted(n)} places: all need seeds x the same places.")
    places = first + np.arange(n.pop())
    figure = new_figure(8.0, 3.7)
    axes = figure.add_axes((0.095, 0.24, 0.72, 0.64))
    axes.set(xlim=(places[0] - 0.5, places[-1] + 0.5), ylim=(-0.03, 1.06))
    axes.axvspan(places[0] - 0.5, trained - 0.5, color=PALE, zorder=0)
    axes.text(places[0] - 0.2, 0.5, "places seen in training", color=GREY, fontsize=SMALL, va="center")
    if chance is not None:
        axes.axhline(chance, color=GREY, lw=1, ls=":")
    ends = []
    for i, (name, runs) in enumerate(arrays.items()):
        middle = np.median(runs, axis=0)
        axes.fill_between(places, runs.min(axis=0), runs.max(axis=0), color=SERIES[i], alpha=0.2, lw=0, zorder=2)
        axes.plot(places, middle, color=SERIES[i], ls=DASHES[i], marker=MARKERS[i], markevery=(i, 5), zorder=3 + i)
        ends.append((name, float(places[-1]), float(middle[-1]), SERIES[i]))
    axes.set(xlabel="place in the line", ylabel=score, title=title)
    label_line_ends(axes, ends)
    figure.text(0.01, 0.02, "line: median of the seeds; band: smallest to largest", fontsize=SMALL, color=GREY)
    return figure


# ---- attention as a convolution --------------------------------------------------------------------------------------


@styled
def convolution_view(image: np.ndarray, weights: np.ndarray, pixel: tuple[int, int], by_filter: np.ndarray,
                     by_heads: np.ndarray, *, head: str = "") -> Figure:  # fmt: skip
    """Four pictures of one size: the image with the asking pixel, where one head looks from there, and the filter's
    output by a convolution and by heads."""
    shapes = {np.asarray(m).shape for m in (image, weights, by_filter, by_heads)}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"four pictures of one size are needed, these have {sorted(shapes)}.")
    figure = new_figure(8.0, 2.75)
    most = max(float(np.abs(by_filter).max()), 1e-9)
    panels = (("the image", image, (0, np.max(image))), (f"{head or 'one head'} looks", weights, (0, 1)),
              ("convolution", by_filter, (-most, most)), ("heads, summed", by_heads, (-most, most)))  # fmt: skip
    for k, (title, m, (low, high)) in enumerate(panels):
        axes = figure.add_axes((0.015 + 0.247 * k, 0.04, 0.229, 0.229 * 8 / 2.75))
        axes.pcolormesh(np.asarray(m, dtype=float), cmap=MAP, vmin=low, vmax=high)
        axes.invert_yaxis()
        axes.set(xticks=[], yticks=[])
        axes.set_axis_off()
        axes.set_title(title, fontsize=NORMAL)
        if k < 2:
            for colour, size in (("white", 13), (VERMILLION, 9)):
                axes.plot([pixel[1] + 0.5], [pixel[0] + 0.5], "o", color=colour, ms=size)
    return figure
