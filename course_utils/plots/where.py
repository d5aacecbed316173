"""Pictures of where a decoder may look: a window that glides along the source, a walk that stops. Notebook 09."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from course_utils.plots.style import BLUE, GREY, NORMAL, ORANGE, PALE, SMALL, VERMILLION, ink, new_figure, styled


@dataclass(frozen=True)
class Glance:
    """One target word's look at the source."""

    source: Sequence[str]  # S
    target: str
    weights: np.ndarray  # (S,)
    centre: float | None = None  # the middle of the window; None: the whole sentence
    window: int = 0  # D, words on each side
    bell: bool = False  # the Gaussian of local-p


@dataclass(frozen=True)
class Walk:
    """How far a monotonic walk has come: the cells that it looked at, in their order."""

    source: Sequence[str]  # S
    target: Sequence[str]  # T
    p: np.ndarray  # (T, S), the chances to stop
    looked: Sequence[tuple[int, int, bool]]  # (target word, source word, did it stop there?)
    expected: np.ndarray  # (T, S), the expected alignment


@styled
def window_view(glance: Glance) -> Figure:
    """The weights of one target word as bars, its window shaded, and the Gaussian (orange) that multiplies them."""
    S = len(glance.source)
    if not 1 <= S <= 16 or S != len(glance.weights):
        raise ValueError(f"{S} words and {len(glance.weights)} weights: needed are equally many, 1 to 16.")
    tall, below = (3.9, 1.5) if S > 7 else (2.9, 0.5)  # upright words need more room
    figure = new_figure(8.0, tall)
    axes = figure.add_axes((0.09, below / tall, 0.89, 2.0 / tall))
    if glance.centre is not None:
        low, high = glance.centre - glance.window, glance.centre + glance.window
        axes.axvspan(max(low, -0.6), min(high, S - 0.4), color=PALE, zorder=0, lw=0)
        axes.axvline(glance.centre, color=ink(ORANGE), ls="--", lw=1.6)
        if glance.bell:
            x = np.linspace(max(low, -0.6), min(high, S - 0.4), 101)
            axes.plot(x, np.exp(-2 * ((x - glance.centre) / glance.window) ** 2), color=ORANGE)
    axes.bar(range(S), glance.weights, width=0.55, color=BLUE, edgecolor="black", lw=0.8)
    for j, weight in enumerate(glance.weights):
        if weight >= 0.05:
            axes.annotate(f"{weight:.2f}", (j, weight), (0, 3), textcoords="offset points", ha="center", fontsize=SMALL,
                          path_effects=[withStroke(linewidth=3, foreground="white")])
    axes.set(xlim=(-0.6, S - 0.4), ylim=(0, 1.16), ylabel="weight", yticks=(0, 0.5, 1))
    axes.set_xticks(range(S), list(glance.source), rotation=90 if S > 7 else 0)
    axes.set_title(f"for “{glance.target}”: weights that sum to {glance.weights.sum():.2f}", fontsize=NORMAL)
    return figure


@styled
def place_curves(word: str, place: int, curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """How the weight of one word, which stands at `place`, depends on the middle p of the window. `curves`: name ->
    (p, weight), at most two; each name stands at its curve's right flank."""
    if not 1 <= len(curves) <= 2:
        raise ValueError(f"{len(curves)} curves: one or two can be told apart.")
    figure = new_figure(8.0, 3.0)
    axes = figure.add_axes((0.09, 0.24, 0.89, 0.62))
    for (name, (x, y)), colour, style in zip(curves.items(), (BLUE, ORANGE), ("-", "--"), strict=False):
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        axes.plot(x, y, color=colour, ls=style)
        flank = int(np.flatnonzero((x >= place) & (y >= 0.3 * y.max()))[-1])
        inside = x[flank] < x.min() + 0.85 * (x.max() - x.min())  # else the name stands on the other side
        axes.annotate(name, (x[flank], y[flank]), (10 if inside else -10, 6), textcoords="offset points",
                      color=ink(colour), ha="left" if inside else "right")  # fmt: skip
    axes.axvline(place, color=GREY, lw=1.0, ls=":")
    axes.set(xlabel="p, the middle of the window", ylabel="weight", ylim=(-0.03, 1.05))
    axes.set_title(f"the weight of “{word}”, which stands at place {place}", fontsize=NORMAL)
    return figure


@styled
def walk_view(walk: Walk) -> Figure:
    """Target words below each other, source words side by side, the chance to stop in every cell. Grey: passed by;
    blue: stopped; a frame: where the walk is now. Below: the expected alignment of the present target word."""
    T, S = walk.p.shape
    if not (1 <= S <= 9 and 1 <= T <= 9 and walk.looked):
        raise ValueError(f"{T} and {S} words and {len(walk.looked)} looks: 1 to 9 words each, and at least one look.")
    high = 2.2 + 0.42 * T
    figure = new_figure(8.0, high)
    grid = figure.add_axes((0.2, 1.35 / high, 0.78, 0.42 * T / high))
    seen = {(i, j): stopped for i, j, stopped in walk.looked}
    for i in range(T):
        for j in range(S):
            stopped = seen.get((i, j))
            face = "white" if stopped is None else BLUE if stopped else PALE
            grid.add_patch(_cell(j, i, face))
            bold = "bold" if stopped is not None else "normal"
            grid.text(j, i, f"{walk.p[i, j]:.2f}", ha="center", va="center", fontsize=SMALL, fontweight=bold,
                      color="white" if stopped else "black" if stopped is False else GREY)  # fmt: skip
    now, at, _ = walk.looked[-1]
    grid.add_patch(_cell(at, now, "none", VERMILLION, 3.0))
    grid.set(xlim=(-0.5, S - 0.5), ylim=(T - 0.5, -0.5))
    grid.set_yticks(range(T), list(walk.target))
    grid.set_xticks(range(S), list(walk.source))
    grid.xaxis.tick_top()
    grid.tick_params(length=0)
    grid.set_xlabel("p, the chance to stop at each word", fontsize=NORMAL)
    grid.xaxis.set_label_position("top")
    grid.spines[:].set_visible(False)
    bars = figure.add_axes((0.2, 0.32 / high, 0.78, 0.62 / high))
    bars.bar(range(S), walk.expected[now], width=0.55, color=BLUE, edgecolor="black", lw=0.8)
    for j, weight in enumerate(walk.expected[now]):
        if weight >= 0.05:
            bars.annotate(f"{weight:.2f}", (j, weight), (0, 2), textcoords="offset points", ha="center", fontsize=SMALL)
    bars.set(xlim=(-0.5, S - 0.5), ylim=(0, 1.5), xticks=[], yticks=[])
    bars.spines["left"].set_visible(False)
    bars.set_xlabel(f"expected for “{walk.target[now]}”: {walk.expected[now].sum():.2f} in all", fontsize=NORMAL)
    return figure


def _cell(x: float, y: float, face: str, edge: str = GREY, lw: float = 0.8) -> Rectangle:
    return Rectangle((x - 0.47, y - 0.44), 0.94, 0.88, facecolor=face, edgecolor=edge, lw=lw)
