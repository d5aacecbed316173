"""A beam that grows and is pruned, step by step, and curves of what beams and samplers do. Notebook 10."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from course_utils.plots.drawing import ROLES, Drawing, Node, fitted
from course_utils.plots.style import GREY, SERIES, SMALL, label_line_ends, new_figure, styled, text_on

COLUMNS, ROWS = 5, 9  # steps and prefixes that fit on a picture
WIDE = 1.3  # inches: a prefix's box


@dataclass(frozen=True)
class Grown:
    """One word after one prefix."""

    word: str
    parent: int  # which of the kept ones of the step before (0 at the first step)
    said: str  # its number, as it is written on the picture
    kept: bool
    ended: bool = False  # it is the end token: a sentence is finished


@dataclass(frozen=True)
class BeamFilm:
    """Every step of a beam search: all that were looked at, grouped by parent, and which of them survived."""

    k: int
    steps: tuple[tuple[Grown, ...], ...]

    @property
    def frames(self) -> int:
        """Two per step: grown, then pruned."""
        return 2 * len(self.steps)


@styled
def beam_frame(film: BeamFilm, at: int, line: str = "") -> Figure:
    """Frame `at`: step at // 2, grown (even) or pruned (odd). At most the last five steps are drawn. `line` stands
    below."""
    if not 0 <= at < film.frames:
        raise ValueError(f"frame {at}: this film has the frames 0 to {film.frames - 1}.")
    now, pruned = divmod(at, 2)
    first = max(0, now - COLUMNS + 1)
    rows = max(3, min(ROWS, max(len(step) for step in film.steps)))
    low = 0.4 if line else 0.1
    d = Drawing(8.0, 0.5 + low + 0.42 * rows)
    d.text(0.05, 0.17, fitted(line, 7.8) if line else "", ha="left")
    pitch = 7.9 / min(COLUMNS, max(3, len(film.steps)))
    parents: list[Node] = []
    for column, t in enumerate(range(first, now + 1)):
        x = 0.05 + WIDE / 2 + pitch * column
        d.text(x, d.tall - 0.22, f"step {t + 1}", bold=t == now)
        shown = film.steps[t][:ROWS] if t == now else [grown for grown in film.steps[t] if grown.kept]
        ys = low + 0.42 * (rows / 2 + (len(shown) - 1) / 2 - np.arange(len(shown)))
        nodes = []
        for grown, y in zip(shown, ys, strict=True):
            decided = pruned or t < now
            role = "plain" if not (decided and grown.kept) else "output" if grown.ended else "decoder"
            lost = decided and not grown.kept
            nodes.append(_prefix(d, x, float(y), grown, role, lost))
            if parents:
                d.arrow(parents[grown.parent].right, nodes[-1].left, head=False, lw=0.9 if lost else 1.7,
                        colour=GREY if lost else "black", dashed=lost)  # fmt: skip
        parents = nodes
    return d.figure


def _prefix(d: Drawing, x: float, y: float, grown: Grown, role: str, lost: bool) -> Node:
    """The last word of a prefix, and the prefix's number."""
    node = d.box(x, y, WIDE, 0.33, role=role)
    ink = GREY if lost else text_on(d.shade(ROLES[role]))
    d.text(node.left.x + 0.06, y, fitted(grown.word, WIDE - 0.66), ha="left", colour=ink)
    d.text(node.right.x - 0.06, y, grown.said, ha="right", colour=ink)
    return node


@styled
def beam_widths(
    panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], widths: Sequence[int], *, title: str = ""
) -> Figure:
    """One panel per score, side by side: {score: {ranking: seeds x widths}} against the width of the beam. Lines are
    means, dots are seeds; the names stand in the first panel."""
    figure = new_figure(8.0, 3.7)
    room = 7.6 / len(panels)
    for k, (score, series) in enumerate(panels.items()):
        axes = figure.add_axes(((0.62 + room * k) / 8, 0.17, (room - 0.8) / 8, 0.66), title=score)
        for i, (name, runs) in enumerate(series.items()):
            runs = np.asarray(runs, dtype=float)
            axes.plot(range(len(widths)), runs.mean(0), color=SERIES[i], ls=("-", "--", ":")[i], label=name, zorder=3)
            for run in runs:
                axes.plot(range(len(widths)), run, ".", color=SERIES[i], ms=7, alpha=0.6, zorder=2)
        axes.set_xticks(range(len(widths)), [str(width) for width in widths])
        axes.set_xlabel("width of the beam")
        axes.margins(x=0.08, y=0.12)
        if k == 0:
            axes.legend(loc="best", fontsize=SMALL, frameon=False)
    if title:
        figure.suptitle(title, x=0.02, ha="left")
    return figure


@styled
def by_distance(
    series: Mapping[str, Sequence[Sequence[float]]], *, ylabel: str, title: str = "", xlabel: str = "words after it"
) -> Figure:
    """{name: seeds x distances}: what a mistake does to the word 0, 1, 2, … after it. Lines are means, dots seeds."""
    figure = new_figure(8.0, 3.9)
    axes = figure.add_axes((0.09, 0.16, 0.62, 0.72), title=title)
    ends = []
    for i, (name, runs) in enumerate(series.items()):
        runs = np.asarray(runs, dtype=float)
        x = np.arange(runs.shape[1])
        axes.plot(x, runs.mean(0), color=SERIES[i], ls=("-", "--", "-.", ":")[i % 4], zorder=3)
        for run in runs:
            axes.plot(x, run, ".", color=SERIES[i], ms=7, alpha=0.6)
        ends.append((name, float(x[-1]), float(runs.mean(0)[-1]), SERIES[i]))
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xlabel=xlabel, ylabel=ylabel, xticks=x)
    label_line_ends(axes, ends)
    return figure


@styled
def share_curves(curves: Mapping[str, Sequence[float]], *, title: str = "") -> Figure:
    """Schedules: the share of right words against the update."""
    figure = new_figure(8.0, 3.5)
    axes = figure.add_axes((0.09, 0.18, 0.66, 0.7), title=title)
    ends = []
    for i, (name, values) in enumerate(curves.items()):
        axes.plot(range(len(values)), values, color=SERIES[i], ls=("-", "--", "-.", ":")[i % 4])
        ends.append((name, len(values) - 1.0, float(values[-1]), SERIES[i]))
    axes.set(xlabel="update", ylabel="share of right words ε", ylim=(-0.03, 1.05))
    label_line_ends(axes, ends)
    return figure
