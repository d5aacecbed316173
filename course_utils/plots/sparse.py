"""Pictures of notebook 20: which pairs are looked at, how far layers reach, what a pattern loses of a trained map."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_utils.plots.style import (
    BLUE,
    GREY,
    LARGE,
    MAP,
    NORMAL,
    ORANGE,
    PALE,
    SMALL,
    VERMILLION,
    line,
    new_figure,
    styled,
)


def _square(pattern, what: str) -> np.ndarray:
    pattern = np.asarray(pattern, dtype=bool)
    if pattern.ndim != 2 or pattern.shape[0] != pattern.shape[1] or not pattern.size:
        raise ValueError(f"{what} has shape {pattern.shape}: needed is (N, N), a row for each place that looks.")
    return pattern


def _cells(axes: Axes, colours: np.ndarray) -> None:
    """(N, N, 3) as squares with thin white lines between, row 0 on top."""
    n = len(colours)
    axes.imshow(colours, interpolation="nearest", aspect="equal")
    for at in np.arange(n + 1) - 0.5:
        line(axes, [-0.5, n - 0.5], [at, at], color="white", lw=0.6)
        line(axes, [at, at], [-0.5, n - 0.5], color="white", lw=0.6)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5))
    axes.spines[:].set_visible(False)


@styled
def pattern_panels(patterns: Mapping[str, Sequence], *, title: str = "") -> Figure:
    """Patterns (N, N) bool side by side: a row is a place that looks, dark what it looks at. How many stands below."""
    if not 1 <= len(patterns) <= 5:
        raise ValueError(f"{len(patterns)} patterns: 1 to 5 fit side by side.")
    side = min(2.7, 7.8 / len(patterns) - 0.15)
    height = side + (1.15 if title else 0.75)
    figure = new_figure(8.0, height)
    for k, (name, pattern) in enumerate(patterns.items()):
        pattern = _square(pattern, name)
        axes = figure.add_axes(((0.1 + k * (side + 0.15)) / 8, 0.38 / height, side / 8, side / height))
        colours = np.where(pattern[:, :, None], mpl.colors.to_rgb(BLUE), mpl.colors.to_rgb(PALE))
        _cells(axes, colours)
        axes.set_title(name, fontsize=SMALL)
        axes.text(0, -0.03, f"{pattern.sum()} pairs, {pattern.mean():.0%}", transform=axes.transAxes, fontsize=SMALL,
                  va="top", color=GREY)  # fmt: skip
    if title:
        figure.text(0.1 / 8, 1 - 0.3 / height, title, fontsize=LARGE)
    return figure


@styled
def reach_view(reach, at: int, *, title: str = "") -> Figure:
    """A pyramid with place `at` of the last layer on top, and below what it depends on. reach (L + 1, N) bool: row k
    holds the places that it depends on k layers further down."""
    reach = np.asarray(reach, dtype=bool)
    if reach.ndim != 2 or not 0 <= at < reach.shape[1]:
        raise ValueError(f"reach of shape {reach.shape}, at={at}: needed are layers x places, and one of the places.")
    levels, n = reach.shape
    height = 0.85 + 0.42 * levels
    figure = new_figure(8.0, height)
    axes = figure.add_axes((0.13, 0.4 / height, 0.7, 0.42 * levels / height))
    cells, colours = [], []
    for level, seen in enumerate(reach[::-1]):                            # words first, the last layer on top
        chosen = VERMILLION if level == levels - 1 else BLUE
        cells += [Rectangle((place - 0.41, level - 0.4), 0.82, 0.8) for place in range(n)]
        colours += [chosen if x else PALE for x in seen]
        axes.text(-0.9, level, f"layer {level}" if level else "words", ha="right", va="center", fontsize=SMALL)
        many = int(seen.sum())
        axes.text(n, level, f"{many} place{'s' * (many != 1)}", va="center", fontsize=SMALL, color=GREY)
    axes.add_collection(PatchCollection(cells, facecolors=colours), autolim=False)
    axes.set(xlim=(-0.6, n - 0.4), ylim=(-0.5, levels - 0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.text(at, -0.6, f"{at}", ha="center", va="top", fontsize=SMALL, color=GREY)
    axes.set_title(title)
    return figure


@styled
def painted_map(pattern, weights, words: Sequence[str], reached: Sequence[float], kept: float) -> Figure:
    """A map under a pattern. Left: weights of the pairs looked at; of the others, a dot as large as the weight lost.
    Right: the share of pairs looked at, of the mass kept, and of all pairs reached after 1, 2, ... layers."""
    pattern, weights = _square(pattern, "the pattern"), np.asarray(weights, dtype=float)
    n = len(pattern)
    if weights.shape != pattern.shape or len(words) != n or not len(reached):
        raise ValueError(
            f"weights of shape {weights.shape}, {len(words)} words, {len(reached)} layers: needed are weights of shape "
            f"{pattern.shape}, {n} words and at least one layer."
        )
    figure = new_figure(8.0, 5.4)
    axes = figure.add_axes((0.16, 0.03, 0.48, 0.48 * 8 / 5.4))
    shade = mpl.colormaps[MAP](np.sqrt(weights / max(weights.max(), 1e-12)))[:, :, :3]
    _cells(axes, np.where(pattern[:, :, None], shade, mpl.colors.to_rgb(PALE)))
    i, j = np.nonzero(~pattern & (weights > 0.01))
    axes.scatter(j, i, s=weights[i, j] * (3200 / n), color=VERMILLION, lw=0)
    for k, word in enumerate(words):
        axes.text(-0.5 - 0.02 * n, k, word, ha="right", va="center", fontsize=SMALL)
        axes.text(k, -0.5 - 0.02 * n, word, ha="center", va="bottom", rotation=90, fontsize=SMALL)
    share = pattern.mean()
    for k, (name, value, colour) in enumerate((("pairs looked at", share, BLUE), ("mass kept", kept, ORANGE))):
        axes = figure.add_axes((0.68, 0.8 - 0.17 * k, 0.21, 0.06))
        axes.barh([0], [1], color=PALE, height=1)
        axes.barh([0], [value], color=colour, height=1)
        axes.set(xlim=(0, 1), ylim=(-0.5, 0.5), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_title(name, fontsize=NORMAL)
        axes.text(1.04, 0, f"{value:.0%}", va="center", fontsize=NORMAL)
    axes = figure.add_axes((0.72, 0.15, 0.23, 0.33))
    axes.bar(np.arange(1, len(reached) + 1), reached, color=BLUE, width=0.7)
    axes.set(ylim=(0, 1.03), yticks=[0, 0.5, 1], xticks=np.arange(1, len(reached) + 1), xlabel="layers")
    axes.set_title("pairs reached", fontsize=NORMAL)
    return figure


@styled
def pixel_panels(image, at: tuple[int, int], seen: Mapping[str, Sequence]) -> Figure:
    """A picture (H, W), and for each way of looking the pixels (H, W) bool that the pixel `at` = (row, column) sees."""
    image = np.asarray(image, dtype=float)
    if image.ndim != 2 or not 1 <= len(seen) <= 4 or any(np.shape(s) != image.shape for s in seen.values()):
        raise ValueError(f"a picture of shape {image.shape} and {len(seen)} panels: needed are 1 to 4 of that shape.")
    n = len(seen)
    side = min(3.2, 7.8 / n - 0.15)
    height = side + 0.75
    figure = new_figure(8.0, height)
    grey = np.repeat((1 - 0.75 * image / max(image.max(), 1e-12))[:, :, None], 3, 2)
    for k, (name, some) in enumerate(seen.items()):
        some = np.asarray(some, dtype=bool)
        axes = figure.add_axes(((0.1 + k * (side + 0.15)) / 8, 0.38 / height, side / 8, side / height))
        tint = np.array(mpl.colors.to_rgb(ORANGE))
        axes.imshow(np.where(some[:, :, None], 0.35 * grey + 0.65 * tint, grey), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=SMALL)
        axes.plot(at[1], at[0], marker="s", color=VERMILLION, ms=3.5 * side + 3, mec="black")
        axes.text(0, -0.03, f"{some.sum()} pixels", transform=axes.transAxes, fontsize=SMALL, va="top", color=GREY)
    return figure
