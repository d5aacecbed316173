"""Measurements as lines and bars, always with every seed: scores by length, by capacity, comparisons, training losses.

A score comes as a list of runs, one per seed; a run is one number (bars) or one number per point (lines). Lines and
bars show the mean over the seeds, and every seed is a dot.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from course_utils.plots.style import (
    BLUE,
    DASHES,
    GREY,
    MARKERS,
    PALE,
    SERIES,
    SMALL,
    fixed,
    label_line_ends,
    new_figure,
    styled,
)  # fmt: skip

Runs = Sequence[Sequence[float]]  # seeds x points


@styled
def length_curve(
    series: Mapping[str, Runs] | Mapping[str, Mapping[str, Runs]], buckets: Sequence[str], *,
    trained: int | None = None, score: str | Sequence[str] = "exact match", title: str = "",
    low: float | Sequence[float] = 0.0, xlabel: str = "words in the source sentence",
) -> Figure:  # fmt: skip
    """Score by source length: {model: seeds x buckets}, or {row title: {model: ...}} for rows one above the other.

    `buckets` are the labels, shortest first ("3-7", ...). The first `trained` of them hold the lengths seen in
    training: they are shaded. Scores are shares, drawn from `low` to 1; nan leaves a gap. `score` and `low`: one for
    all rows, or one per row.
    """
    rows = series if all(isinstance(s, Mapping) for s in series.values()) else {title: series}
    if trained is not None and not 0 <= trained <= len(buckets):
        raise ValueError(f"trained={trained}: how many of the {len(buckets)} buckets were trained on?")
    scores = [score] * len(rows) if isinstance(score, str) else list(score)
    lows = [low] * len(rows) if isinstance(low, int | float) else list(low)
    if len(scores) != len(rows) or len(lows) != len(rows):
        raise ValueError(f"{len(rows)} rows, but score={score!r} and low={low!r}: give one for all, or one per row.")
    height = 0.7 + 3.0 * len(rows)
    figure = new_figure(8.0, height)
    width = _width_beside(name for models in rows.values() for name in models)
    for i, (name, models) in enumerate(rows.items()):
        axes = figure.add_axes((0.76 / 8, 1 - (2.8 + 3.0 * i) / height, width / 8, 2.4 / height))
        axes.set_xlim(-0.3, len(buckets) - 0.7)
        room = 1 - lows[i]
        axes.set_ylim(lows[i] - 0.03 * room, 1 + 0.05 * room)
        if trained:
            axes.axvspan(-0.3, trained - 0.5, color=PALE, zorder=0)
            axes.text(-0.22, lows[i] + 0.03 * room, "lengths seen in training", color=GREY, fontsize=SMALL, va="bottom")
        _lines(axes, np.arange(len(buckets)), models)
        axes.set_xticks(range(len(buckets)), buckets if i == len(rows) - 1 else [""] * len(buckets))
        axes.set_ylabel(scores[i])
        axes.set_title(name)
    axes.set_xlabel(xlabel)
    _say_seeds(figure, [runs for models in rows.values() for runs in models.values()])
    return figure


@styled
def capacity_curve(
    series: Mapping[str, Runs], units: Sequence[int], *, score: str = "exact match",
    xlabel: str = "numbers in C (hidden units)", title: str = "",
) -> Figure:  # fmt: skip
    """Score against the size of the context vector: {task or model: seeds x units}; `units` on a doubling scale."""
    figure = new_figure(8.0, 4.2)
    axes = figure.add_axes((0.76 / 8, 0.95 / 4.2, _width_beside(series) / 8, 2.85 / 4.2))
    places = np.log2(np.asarray(units, dtype=float))
    axes.set_xlim(places[0] - 0.2, places[-1] + 0.2)
    axes.set_ylim(-0.03, 1.05)
    _lines(axes, places, series)
    axes.set_xticks(places, [f"{u:g}" for u in units])
    axes.set(xlabel=xlabel, ylabel=score, title=title)
    _say_seeds(figure, series.values())
    return figure


def _width_beside(names: Iterable[str]) -> float:
    """Inches left for the plot when these names stand at its right."""
    return max(3.5, 6.85 - 0.107 * max((len(name) for name in names), default=0))


def _say_seeds(figure: Figure, all_runs: Iterable[Runs]) -> None:
    n = {len(runs) for runs in all_runs}
    many = f"{min(n)}" if len(n) == 1 else f"{min(n)}-{max(n)}"
    if max(n) > 1:
        figure.text(
            0.76 / 8, 0.08 / figure.get_figheight(), f"line: mean of {many} seeds; dots: the seeds",
            color=GREY, fontsize=SMALL,
        )  # fmt: skip


def _lines(axes: Axes, x: np.ndarray, series: Mapping[str, Runs]) -> None:
    if len(series) > len(SERIES):
        raise ValueError(f"{len(series)} lines cannot be told apart; draw at most {len(SERIES)} in one figure.")
    ends = []
    for i, (name, runs) in enumerate(series.items()):
        runs = np.asarray(runs, dtype=float)
        if runs.ndim != 2 or runs.shape[1] != len(x):
            raise ValueError(f"{name!r} has shape {runs.shape}; needed are seeds x {len(x)} points.")
        middle = runs.mean(axis=0)  # nan where a seed has none
        if len(runs) > 1:  # beside the line's own marker, so that both are seen
            axes.plot(x + 0.05, runs.T, "o", color=SERIES[i], ms=3.5, alpha=0.7, zorder=2)
        axes.plot(x, middle, color=SERIES[i], marker=MARKERS[i], ls=DASHES[i], zorder=3 + i)
        real = np.flatnonzero(~np.isnan(middle))
        if len(real):
            ends.append((name, float(x[real[-1]]), float(middle[real[-1]]), SERIES[i]))
    label_line_ends(axes, ends)


@styled
def bars_with_seeds(
    values: Mapping[str, Sequence[float]], *, score: str = "exact match", title: str = "", limit: float | None = 1.0,
    digits: int = 2, groups: Sequence[int] | None = None,
) -> Figure:  # fmt: skip
    """One bar for each name, as long as the mean over its seeds; each seed is a dot, the mean stands beside.

    Names are written out in full at the left; a line break in a name is kept. `limit` ends the axis (None: by itself).
    All bars have one colour, unless `groups` (a number per bar, from 0) says which belong together.
    """
    if not values or any(len(v) == 0 for v in values.values()):
        raise ValueError(f"every bar needs at least one number; got {dict(values)!r}.")
    groups = [0] * len(values) if groups is None else list(groups)
    if len(groups) != len(values):
        raise ValueError(f"{len(values)} bars, but groups={groups}: give one number per bar.")
    lines = max(name.count("\n") + 1 for name in values)
    row = max(0.42, 0.22 * lines + 0.1)
    height = 1.25 + row * len(values)
    figure = new_figure(8.0, height)
    left = min(0.45, 0.03 + 0.0125 * max(len(part) for name in values for part in name.split("\n")))
    axes = figure.add_axes((left, 0.72 / height, 0.88 - left, row * len(values) / height))
    most = max(max(map(float, v)) for v in values.values())
    right = limit if limit is not None else most * 1.05
    fixed(axes)
    for i, seeds in enumerate(values.values()):
        seeds = np.asarray(seeds, dtype=float)
        middle = float(np.mean(seeds))
        axes.barh(i, middle, height=0.62, color=SERIES[groups[i]], alpha=0.45, edgecolor="black", lw=0.8)
        if len(seeds) > 1:
            axes.plot(seeds, [i] * len(seeds), "o", color="black", ms=5, zorder=3)
        axes.annotate(f"{middle:.{digits}f}", (seeds.max(), i), (9, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xlim(0, right)
    axes.set(xlabel=score, title=title)
    axes.tick_params(axis="y", length=0, labelsize=SMALL + 1)
    return figure


@styled
def loss_curve(
    histories: Mapping[str, object] | object, *, ylabel: str = "loss per token (nats)",
    title: str = "", xlabel: str = "step",
) -> Figure:  # fmt: skip
    """Training losses, thin as measured and thick as a running mean, on a logarithmic scale.

    {name: history}, or one history alone: what `train` returns (`.steps` and `.loss`), or the pair of those lists.
    """
    histories = histories if isinstance(histories, Mapping) else {"loss": histories}
    figure = new_figure(8.0, 3.8)
    axes = figure.add_axes((0.85 / 8, 0.17, _width_beside(histories) / 8, 0.73))
    ends, lowest, highest = [], np.inf, -np.inf
    for i, (name, history) in enumerate(histories.items()):
        steps, losses = history if isinstance(history, tuple) else (history.steps, history.loss)
        steps, losses = np.asarray(steps, dtype=float), np.asarray(losses, dtype=float)
        if len(steps) != len(losses) or len(steps) == 0:
            raise ValueError(f"{name!r} has {len(steps)} steps and {len(losses)} losses; both must be equal and not 0.")
        smooth = running_mean(losses, len(losses) // 30)
        axes.plot(steps, losses, color=SERIES[i], lw=0.8, alpha=0.45)
        axes.plot(steps, smooth, color=SERIES[i], ls=DASHES[i])
        ends.append((name, steps[-1], float(np.log10(max(smooth[-1], 1e-6))), SERIES[i]))
        lowest, highest = min(lowest, losses.min()), max(highest, losses.max())
    axes.set_ylim(max(lowest, 1e-6) * 0.8, highest * 1.25)
    axes.set_xlim(left=0)
    # a logarithmic axis with plain numbers; the labels are placed in its units
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    _label_log_ends(axes, ends)
    return figure


def running_mean(values: Sequence[float], width: int) -> np.ndarray:
    """Mean of the values around each point, `width` to either side (fewer near the ends; alike at the steep start)."""
    total = np.cumsum(np.concatenate([[0.0], np.asarray(values, dtype=float)]))
    here = np.arange(len(total) - 1)
    first = np.maximum(0, here - width)
    last = np.minimum(len(here) - 1, here + np.minimum(width, here))
    return (total[last + 1] - total[first]) / (last + 1 - first)


def _label_log_ends(axes: Axes, ends: list[tuple[str, float, float, str]]) -> None:
    """`label_line_ends` for a logarithmic axis: a transparent linear axes over it carries the labels."""
    over = axes.figure.add_axes(axes.get_position(), sharex=axes)
    over.set_axis_off()
    over.patch.set_visible(False)
    over.set_ylim(*np.log10(axes.get_ylim()))
    label_line_ends(over, ends)


@styled
def steering_bars(
    before: Mapping[str, float], after: Mapping[str, float] | None = None, *,
    names: tuple[str, str] = ("before", "after"), most: int = 6, title: str = "",
) -> Figure:  # fmt: skip
    """Word probabilities, the largest first; with `after`, two bars a word: what steering the attention changed."""
    words = sorted({*before, *(after or {})}, key=lambda w: (-max(before.get(w, 0), (after or {}).get(w, 0)), w))[:most]
    height = 1.0 + (0.62 if after else 0.4) * len(words)
    figure = new_figure(8.0, height)
    axes = figure.add_axes((0.2, 0.3 / height, 0.7, 1 - 0.85 / height))
    draw_probability_bars(axes, words, before, after, names=names)
    axes.set_title(title)
    return figure


def draw_probability_bars(axes, words, before, after=None, *, names=("before", "after")) -> None:
    """Into `axes`, for `words` from top to bottom: grey hatched bars before, blue after."""
    both = [(before, PALE, "//", GREY)] + ([(after, BLUE, None, BLUE)] if after is not None else [])
    thick = 0.8 / len(both)
    rows = np.arange(len(words))
    fixed(axes)
    for k, (values, colour, hatch, edge) in enumerate(both):
        y, p = rows + (k - (len(both) - 1) / 2) * thick, [float(values.get(word, 0.0)) for word in words]
        axes.barh(y, p, height=thick * 0.92, color=colour, hatch=hatch, edgecolor=edge, lw=0.8)
        for i in rows:
            said = f"{p[i]:.2f}" + (f" {names[k]}" if i == 0 and len(both) > 1 else "")
            axes.text(p[i] + 0.015, y[i], said, va="center", fontsize=SMALL, color="black" if k else GREY)
    for i, word in enumerate(words):
        axes.text(-0.01, i, word, ha="right", va="center")
    axes.set_yticks([])
    axes.set_ylim(max(len(words), 1) - 0.5, -0.5)
    axes.set_xlim(0, 1.18)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
