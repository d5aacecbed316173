"""Gradients that vanish and explode, as pictures: by distance, as an error surface with a step on it, and what a
language model would say next. Notebook 04."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils.plots.style import (
    BLUE,
    DASHES,
    GREY,
    MAP,
    PALE,
    SERIES,
    SMALL,
    VERMILLION,
    fixed,
    label_line_ends,
    new_figure,
    styled,
)

LOWEST, HIGHEST = -12.0, 12.0  # powers of ten that are drawn


@styled
def gradient_by_distance(
    series: Mapping[str, Sequence[Sequence[float]]], *, title: str = "", limits: tuple[float, float] | None = None,
    ylabel: str = "gradient norm, 10 to the", xlabel: str = "steps back from the loss",
) -> Figure:  # fmt: skip
    """Gradient norms by distance: {name: seeds x distances}, entry d of a run at distance d; powers of ten upwards.

    The line is the median over the seeds, the band goes from the smallest to the largest. `limits`: powers of ten.
    """
    if not series or len(series) > len(SERIES):
        raise ValueError(f"{len(series)} lines: draw 1 to {len(SERIES)} in one figure.")
    figure = new_figure(8.0, 4.2)
    widest = max(map(len, series))
    axes = figure.add_axes((0.105, 0.15, min(0.86, 0.875 - 0.0135 * widest), 0.74))
    ends = []
    for i, (name, runs) in enumerate(series.items()):
        runs = np.log10(np.clip(np.atleast_2d(np.asarray(runs, dtype=float)), 10**LOWEST, 10**HIGHEST))
        distances, middle = np.arange(runs.shape[1]), np.median(runs, axis=0)
        if len(runs) > 1:
            axes.fill_between(distances, runs.min(axis=0), runs.max(axis=0), color=SERIES[i], alpha=0.22, lw=0)
        axes.plot(distances, middle, color=SERIES[i], ls=DASHES[i])
        ends.append((name, float(distances[-1]), float(middle[-1]), SERIES[i]))
    if limits:
        axes.set_ylim(*limits)
        ends = [(name, x, float(np.clip(y, *limits)), colour) for name, x, y, colour in ends]
    axes.set_xlim(left=0)
    axes.margins(x=0)
    axes.axhline(0, color=GREY, lw=0.8, zorder=0)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    label_line_ends(axes, ends)
    return figure


# ---- the error surface of u · wⁿ -------------------------------------------------------------------------------------

W_RANGE, U_RANGE = (0.0, 1.6), (0.0, 2.0)


def power_loss(w, u, n: int):
    """(u wⁿ - 1)²: a linear unit read u at the beginning and multiplied it by w for n steps; it should say 1. Numbers
    or arrays; inf where it is beyond all numbers."""
    with np.errstate(over="ignore"):
        return (u * np.power(w, n, dtype=float) - 1) ** 2


def power_gradient(w: float, u: float, n: int) -> tuple[float, float]:
    """(d/dw, d/du) of `power_loss`."""
    error = 2 * (u * w**n - 1)
    return error * u * n * w ** (n - 1), error * w**n


def power_path(
    w: float, u: float, *, n: int, rate: float, clip: float | None, steps: int
) -> tuple[list[tuple[float, float]], float]:
    """(the places of gradient descent, start included; the gradient's norm at the start). With `clip` a longer gradient
    is shortened to that norm, both parts by the same factor. It stops once it is a thousand units away."""
    places, first = [(w, u)], float(np.hypot(*power_gradient(w, u, n)))
    for _ in range(steps):
        dw, du = power_gradient(w, u, n)
        norm = float(np.hypot(dw, du))
        factor = clip / norm if clip is not None and norm > clip else 1.0
        w, u = w - rate * factor * dw, u - rate * factor * du
        places.append((w, u))
        if abs(w) > 1e3 or abs(u) > 1e3:
            break
    return places, first


@styled
def cliff(places: Sequence[tuple[float, float]], n: int, title: str = "") -> Figure:
    """Left the surface of `power_loss` over (w, u) with a path on it, right the cut through its first place."""
    figure = new_figure(8.0, 4.3)
    left = figure.add_axes((0.1, 0.15, 0.42, 0.74), xlabel="w", ylabel="u")
    w, u = np.linspace(*W_RANGE, 161), np.linspace(*U_RANGE, 101)
    loss = np.log10(np.clip(power_loss(w[None], u[:, None], n), 1e-4, 1e8))
    shown = left.imshow(
        loss, origin="lower", extent=(*W_RANGE, *U_RANGE), aspect="auto", cmap=MAP, vmin=-4, vmax=8,
        interpolation="bilinear",
    )  # fmt: skip
    left.contour(w, u, loss, levels=[-2, -1, 1, 2, 3, 4, 6], colors="white", linewidths=0.6, linestyles="solid")
    _path(left, places)
    left.set(xlim=W_RANGE, ylim=U_RANGE, title=title)
    bar = figure.colorbar(shown, cax=figure.add_axes((0.535, 0.15, 0.018, 0.74)), ticks=[-4, -2, 0, 2, 4, 6, 8])
    bar.set_label("loss, 10 to the", labelpad=1)
    _cut(figure.add_axes((0.72, 0.15, 0.26, 0.74)), places[0], n)
    return figure


def _path(axes: Axes, places: Sequence[tuple[float, float]]) -> None:
    for (w0, u0), (w1, u1) in zip(places, places[1:], strict=False):
        arrow = {"arrowstyle": "-|>", "color": "white", "lw": 4.0, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 15}
        end = _within(w0, u0, w1, u1)
        for style in (arrow, arrow | {"color": VERMILLION, "lw": 2.0, "mutation_scale": 13}):
            axes.annotate("", end, (w0, u0), arrowprops=style, annotation_clip=False)
        if end != (w1, u1):
            break
    axes.plot(*places[0], "o", color=VERMILLION, mec="white", mew=1.5, ms=10, zorder=5)


def _within(w0: float, u0: float, w1: float, u1: float) -> tuple[float, float]:
    """Where the straight line from the first place to the second leaves the picture, or the second place."""
    share = 1.0
    for start, end, (low, high) in ((w0, w1, W_RANGE), (u0, u1, U_RANGE)):
        if end != start and not low <= end <= high:
            share = min(share, max(0.0, ((low if end < low else high) - start) / (end - start)))
    return (w1, u1) if share == 1.0 else (w0 + share * (w1 - w0), u0 + share * (u1 - u0))


def _cut(axes: Axes, place: tuple[float, float], n: int) -> None:
    w = np.linspace(*W_RANGE, 400)
    axes.plot(w, power_loss(w, place[1], n), color=BLUE)
    height = min(power_loss(*place, n), 11.6)  # beyond the picture: at its upper edge
    axes.plot(place[0], height, "o", color=VERMILLION, mec="white", mew=1.5, ms=10, zorder=5, clip_on=False)
    axes.set(xlim=W_RANGE, ylim=(-0.3, 12), xlabel="w", title=f"cut at u = {place[1]:.2f}")
    axes.set_ylabel("loss", labelpad=2)


# ---- what is said next -----------------------------------------------------------------------------------------------

NAMES = {" ": "space", "\n": "new line"}


@styled
def next_symbols(
    probabilities: Mapping[str, float], prompt: str, said: str, *, most: int = 12, title: str = "", wrap: int = 46
) -> Figure:  # fmt: skip
    """Left the likeliest symbols after `prompt`, right the prompt and what was drawn after it."""
    figure = new_figure(8.0, 4.6)
    best = sorted(probabilities, key=lambda s: (-probabilities[s], s))[:most]
    axes = figure.add_axes((0.105, 0.04, 0.26, 0.82), title=title)
    values = [probabilities[symbol] for symbol in best]
    fixed(axes)
    axes.barh(range(len(best)), values, color=BLUE, alpha=0.55, edgecolor="black", lw=0.8)
    for i, value in enumerate(values):
        axes.text(value + 0.02, i, f"{value:.2f}", va="center", fontsize=SMALL)
    axes.set_yticks(range(len(best)), [NAMES.get(symbol, symbol) for symbol in best])
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(most - 0.5, -0.5), xlim=(0, 1.28), xticks=[])
    axes.spines["bottom"].set_visible(False)
    lines = [part for line in (prompt + said).split("\n") for part in (textwrap.wrap(line, wrap) or [""])]
    text = "\n".join(lines[:20]).replace("$", r"\$")
    figure.text(0.42, 0.93, text, va="top", family="DejaVu Sans Mono", fontsize=SMALL, linespacing=1.15,
                bbox={"facecolor": "white", "edgecolor": PALE, "pad": 6})  # fmt: skip
    return figure
