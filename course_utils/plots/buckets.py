"""Pictures of notebook 21: points in buckets, recall by rounds, a table on its way to rows and columns of sum 1."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from course_utils.plots.style import (
    BLUE,
    GREY,
    LARGE,
    MAP,
    MARKERS,
    PALE,
    SERIES,
    SMALL,
    VERMILLION,
    label_line_ends,
    line,
    new_figure,
    styled,
    text_on,
)

FILLS = ("full", "none", "left", "top")                                   # 28 looks: seven colours, four of each


@styled
def plane_buckets(
    points, labels: Sequence[Sequence[int]], names: Sequence[str], arrows: Sequence | None = None, *, title: str = "",
) -> Figure:  # fmt: skip
    """Points (N, 2) once for each labelling, coloured by bucket; `arrows`: for each labelling, directions (b, 2)."""
    points = np.asarray(points, dtype=float)
    if not labels or len(labels) != len(names) or any(len(some) != len(points) for some in labels):
        raise ValueError(f"{len(names)} names, {len(labels)} labellings: needed is one name each, and a label a point.")
    side = min(3.2, 7.8 / len(labels) - 0.15)
    height = side + (1.1 if title else 0.6)
    figure = new_figure(8.0, height)
    for k, (some, name) in enumerate(zip(labels, names, strict=True)):
        axes = figure.add_axes(((0.1 + k * (side + 0.2)) / 8, 0.1 / height, side / 8, side / height))
        _plane(axes, points, some, None if arrows is None else arrows[k])
        axes.set_title(name, fontsize=SMALL)
    if title:
        figure.text(0.1 / 8, 1 - 0.32 / height, title, fontsize=LARGE)
    return figure


def _plane(axes: Axes, points: np.ndarray, labels: Sequence[int], arrows) -> None:
    reach = 1.12 * float(np.abs(points).max())
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.add_patch(Circle((0, 0), 1, fill=False, ec=PALE, lw=1.5))
    for x, y in [] if arrows is None else np.asarray(arrows, dtype=float):
        axes.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.2})
    labels = np.asarray(labels)
    for label in np.unique(labels):
        x, y = points[labels == label].T
        colour, fill = SERIES[label % 7], FILLS[label // 7 % len(FILLS)]
        axes.plot(x, y, ls="", marker=MARKERS[label % 7], ms=8 if label >= 14 else 7, mew=1.5, color=colour,
                  fillstyle=fill, mfc="white" if fill == "none" else colour, mfcalt="white")  # fmt: skip


@styled
def lsh_view(points, labels, arrows, nearest, recall: Sequence[float], seen: Sequence[float], at: int) -> Figure:
    """The plane of the round `at`, nearest pairs joined (thick where it finds them); recall and pairs seen by rounds.

    `recall[r - 1]`: share of points whose nearest shares a bucket in at least one of r rounds.
    """
    points, labels, rounds = np.asarray(points, dtype=float), np.asarray(labels), np.arange(1, len(recall) + 1)
    if not 1 <= at <= len(recall) or len(seen) != len(recall):
        raise ValueError(f"round {at} of {len(recall)}, {len(seen)} shares of pairs: one of both for each round.")
    figure = new_figure(8.0, 4.0)
    plane = figure.add_axes((0.01, 0.04, 0.44, 0.86))
    for i, j in enumerate(np.asarray(nearest)):
        met = labels[i] == labels[j]
        line(plane, *points[[i, j]].T, color="black" if met else VERMILLION, lw=2 if met else 1, ls="-" if met else ":")
    _plane(plane, points, labels, arrows)
    plane.set_title(f"round {at}: arrows own buckets", fontsize=SMALL)
    axes = figure.add_axes((0.54, 0.15, 0.27, 0.7))
    for values, colour, marker in ((recall, BLUE, "o"), (seen, VERMILLION, "s")):
        axes.plot(rounds, values, color=colour, marker=marker, ls="-" if marker == "o" else "--")
        axes.plot(at, values[at - 1], marker=marker, ms=13, mfc="none", mec="black", ls="")
    axes.set(ylim=(0, 1.05), xticks=rounds, xlabel="rounds", title="share")
    ends = (("nearest found", recall, BLUE), ("pairs seen", seen, VERMILLION))
    label_line_ends(axes, [(name, rounds[-1], values[-1], colour) for name, values, colour in ends])
    return figure


@styled
def sinkhorn_view(table, columns: Sequence[float], at: int) -> Figure:
    """A table with its numbers and sums; beside it, how far the columns' sums are from 1 after each iteration."""
    table = np.asarray(table, dtype=float)
    n = len(table)
    figure = new_figure(8.0, 4.0)
    axes = figure.add_axes((0.03, 0.03, 0.42, 0.78))
    most = max(1.0, float(table.max()))
    image = axes.imshow(table, cmap=MAP, vmin=0, vmax=most)
    for i in range(n):
        for j in range(n):
            colour = text_on(image.cmap(image.norm(table[i, j])))
            axes.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center", color=colour, fontsize=SMALL)
        axes.text(n - 0.35, i, f"{table[i].sum():.2f}", va="center", fontsize=SMALL, color=GREY)
        axes.text(i, -0.75, f"{table[:, i].sum():.2f}", ha="center", fontsize=SMALL, color=GREY)
    axes.set(xticks=[], yticks=[])
    figure.text(0.03, 0.935, f"iterations: {at}; sums outside", fontsize=LARGE)
    right = figure.add_axes((0.65, 0.17, 0.31, 0.65))
    right.semilogy(range(len(columns)), np.maximum(columns, 1e-9), color=BLUE, marker="o", ms=5)
    right.plot(at, max(columns[at], 1e-9), marker="o", ms=13, mfc="none", mec="black", ls="")
    right.set(xlabel="iterations", title="a column's sum\nis off by at most")
    return figure
