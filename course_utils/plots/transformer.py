"""Pictures of notebook 16: the Transformer as a diagram, a piece taken away, a translation step by step, costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from course_utils.plots.attention import FRAME, LETTER
from course_utils.plots.curves import draw_probability_bars
from course_utils.plots.style import (
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
    SKY,
    SMALL,
    VERMILLION,
    canvas_in_inches,
    ink,
    label_line_ends,
    line,
    new_figure,
    styled,
)

# --- the diagram ------------------------------------------------------------------------------------------------------

TINTS = {"within-X": SKY, "within-Y": ORANGE, "between": GREEN, "feed-forward": PALE}
ENCODER = (("within-X", "self-attention", 1.75), ("feed-forward", "feed-forward", 2.65))
DECODER = (("within-Y", "masked\nself-attention", 1.75), ("between", "cross-attention", 2.65),
           ("feed-forward", "feed-forward", 3.55))  # fmt: skip
LEFT, RIGHT, WIDE, TALL = 0.6, 2.8, 1.55, 0.44  # inches: where the columns begin, the size of a box
NOTES = (
    ("within-X", "within X", "every English word asks\nall English words"),
    ("within-Y", "within Y", "every French word asks those\nalready written, and itself"),
    ("between", "between", "every French word asks all\nEnglish words: queries from Y,\nkeys and values from X"),
)


@styled
def transformer_diagram() -> Figure:
    """Encoder and decoder (pre-norm), bottom to top, with its three attentions named beside it."""
    figure, axes = canvas_in_inches(8.0, 5.4)
    _diagram(axes, None)
    for k, (piece, name, said) in enumerate(NOTES):
        y = 4.3 - 1.25 * k
        axes.add_patch(Rectangle((4.9, y - 0.12), 0.24, 0.24, fc=TINTS[piece], ec="black", lw=0.8))
        axes.text(5.25, y - 0.01, name, fontsize=NORMAL, weight="bold", va="center_baseline")
        axes.text(5.25, y - 0.2, said, fontsize=SMALL, va="top")
    axes.add_patch(Circle((5.02, 0.65), 0.1, fc="white", ec="black", lw=1.2))
    axes.text(5.02, 0.645, "+", ha="center", va="center_baseline", fontsize=SMALL)
    axes.text(5.25, 0.74, "residual: what came, plus\nwhat the sublayer adds", fontsize=SMALL, va="top")
    return figure


@styled
def piece_view(
    piece: str, said: str, whole: Sequence[Sequence[float]], without: Sequence[Sequence[float]],
    buckets: Sequence[str], *, trained: int | None = None,
) -> Figure:  # fmt: skip
    """The diagram with `piece` struck out, and what is left of the exact match (seeds x buckets each)."""
    figure, axes = canvas_in_inches(8.0, 5.4)
    _diagram(axes, piece)
    axes.text(4.9, 5.1, f"without {piece}", fontsize=LARGE, va="center")
    axes.text(4.9, 4.83, "\n".join(wrap(said, 31)), fontsize=SMALL, va="top", color=GREY)
    curve = figure.add_axes((5.55 / 8, 1.05 / 5.4, 2.35 / 8, 2.8 / 5.4))
    x = np.arange(len(buckets))
    if trained:
        curve.axvspan(-0.3, trained - 0.5, color=PALE, zorder=0)
    for k, (name, runs) in enumerate((("whole", whole), ("without", without))):
        runs = np.asarray(runs, dtype=float)
        colour = (GREY, VERMILLION)[k]
        curve.fill_between(x, runs.min(0), runs.max(0), color=colour, alpha=0.25, lw=0)
        curve.plot(x, np.median(runs, 0), color=colour, marker=MARKERS[k], ls=DASHES[k], zorder=3)
        curve.text(0.98, 0.95 - 0.1 * k, f"{'●■'[k]} {name}", color=ink(colour), ha="right", va="center",
                   transform=curve.transAxes)  # fmt: skip
    curve.set(xlim=(-0.3, len(x) - 0.7), ylim=(-0.03, 1.05), ylabel="exact match", xlabel="words in the sentence")
    curve.set_xticks(x, buckets, rotation=40)
    return figure


def _diagram(axes: Axes, missing: str | None) -> None:
    """Both columns in the left 4.6 inches of `axes`; what `missing` names is struck out."""
    for left, below in ((LEFT, "English words"), (RIGHT, "French words so far")):
        axes.text(left + WIDE / 2, 0.12, below, ha="center", va="center", fontsize=SMALL)
        _box(axes, left, 0.52, "embedding · √d", "white")
        _arrow(axes, left, 0.22, 0.3)
        sum_at = 1.17
        _plus(axes, left, sum_at, False)
        line(axes, [left + WIDE / 2] * 2, [0.74, sum_at - 0.1], color="black", lw=1.2)
        axes.text(left + WIDE / 2 + 0.16, sum_at, "position", va="center", fontsize=SMALL,
                  color=VERMILLION if missing == "positions" else "black")  # fmt: skip
        if missing == "positions":
            _strike(axes, left + WIDE / 2 + 0.12, sum_at - 0.11, 0.72, 0.22)
    tops = []
    for left, stack in ((LEFT, ENCODER), (RIGHT, DECODER)):
        came = 1.27
        for piece, label, y in stack:
            _sublayer(axes, left, came, y, piece, label, missing)
            came = y + TALL / 2 + 0.21
        tops.append(came)
        _strip(axes, left, came + 0.17, "norm", missing == "norms")
    line(axes, [LEFT + WIDE / 2] * 2, [tops[0], tops[0] + 0.09], color="black", lw=1.2)
    line(axes, [RIGHT + WIDE / 2] * 2, [tops[1], tops[1] + 0.09], color="black", lw=1.2)
    top, x = tops[0] + 0.25, LEFT + WIDE / 2
    over, to = top + 0.25, RIGHT - 0.42
    cross = DECODER[1][2]
    colour = PALE if missing == "between" else "black"
    line(axes, [x, x, to, to], [top, over, over, cross], color=colour, lw=1.6)
    axes.annotate("", (RIGHT, cross), (to - 0.01, cross), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6})
    axes.text(to + 0.05, over, "k, v", ha="left", va="center", fontsize=SMALL, color=colour)
    end = tops[1] + 0.25
    line(axes, [RIGHT + WIDE / 2] * 2, [end, end + 0.08], color="black", lw=1.2)
    _box(axes, RIGHT, end + 0.28, "output · softmax", "white", tall=0.38)
    axes.text(RIGHT + WIDE / 2, end + 0.62, "next French word", ha="center", va="center", fontsize=SMALL)


def _sublayer(axes: Axes, left: float, came: float, y: float, piece: str, label: str, missing: str | None) -> None:
    """One branch: a norm, the sublayer, and the sum with what came past it."""
    x, gone = left + WIDE / 2, missing == piece
    at = y + TALL / 2 + 0.11
    line(axes, [x, x], [came, at - 0.1], color="black", lw=1.2)
    _strip(axes, left, y - TALL / 2 - 0.07, "", missing == "norms")
    _box(axes, left, y, label, TINTS[piece])
    past = left + WIDE + 0.16
    cut = missing == "residuals"
    line(axes, [x, past, past, x + 0.1], [came + 0.02, came + 0.02, at, at], color=PALE if cut else "black", lw=1.2)
    _plus(axes, left, at, cut)
    if cut:
        _strike(axes, past - 0.08, y - 0.1, 0.16, 0.2)
    if gone:
        _strike(axes, left, y - TALL / 2, WIDE, TALL)
    if missing == "mask" and piece == "within-Y":
        _strike(axes, x - 0.38, y + 0.02, 0.76, 0.19)


def _box(axes: Axes, left: float, y: float, label: str, colour: str, tall: float = TALL) -> None:
    axes.add_patch(FancyBboxPatch((left + 0.04, y - tall / 2 + 0.04), WIDE - 0.08, tall - 0.08, fc=colour, ec="black",
                                  boxstyle="round,pad=0.04", lw=1, zorder=2))  # fmt: skip
    axes.text(left + WIDE / 2, y - 0.01, label, ha="center", va="center", fontsize=SMALL, linespacing=0.95, zorder=3)


def _strip(axes: Axes, left: float, y: float, label: str, struck: bool) -> None:
    axes.add_patch(Rectangle((left, y - 0.05), WIDE, 0.1, fc="white" if struck else "#BBBBBB", ec=GREY, lw=0.8,
                             ls=":" if struck else "-", zorder=2))  # fmt: skip
    if label:
        axes.text(left - 0.04, y, label, ha="right", va="center", fontsize=SMALL,
                  color=VERMILLION if struck else GREY)  # fmt: skip
    if struck:
        _strike(axes, left + WIDE / 2 - 0.1, y - 0.05, 0.2, 0.1)


def _plus(axes: Axes, left: float, y: float, struck: bool) -> None:
    axes.add_patch(Circle((left + WIDE / 2, y), 0.1, fc="white", ec=PALE if struck else "black", lw=1.2, zorder=2))
    axes.text(left + WIDE / 2, y - 0.005, "+", ha="center", va="center_baseline", fontsize=SMALL, zorder=3,
              color=PALE if struck else "black")  # fmt: skip


def _arrow(axes: Axes, left: float, low: float, high: float) -> None:
    line(axes, [left + WIDE / 2] * 2, [low, high], color="black", lw=1.2)


def _strike(axes: Axes, left: float, low: float, wide: float, tall: float) -> None:
    for y0, y1 in ((low, low + tall), (low + tall, low)):
        line(axes, [left, left + wide], [y0, y1], color="white", lw=4.0, zorder=5)
        line(axes, [left, left + wide], [y0, y1], color=VERMILLION, lw=2.2, zorder=6)


# --- a translation, step by step --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TransformerFilm:
    """All weights of one greedy translation; `written` ends with END, `read` begins with BEGIN, both have T words."""

    source: tuple[str, ...]
    read: tuple[str, ...]
    written: tuple[str, ...]
    encoder: np.ndarray  # (L, H, S, S)
    decoder: np.ndarray  # (L, H, T, T)
    cross: np.ndarray  # (L, H, T, S)
    candidates: tuple[tuple[tuple[str, float], ...], ...]  # for each step the most probable words, best first

    def __post_init__(self) -> None:
        S, T = len(self.source), len(self.written)
        shapes = [m.shape[2:] for m in (self.encoder, self.decoder, self.cross)]
        if len(self.read) != T or len(self.candidates) != T or shapes != [(S, S), (T, T), (T, S)]:
            raise ValueError(f"maps of shapes {shapes} do not fit {S} words read and {T} written (END included).")


@styled
def transformer_frame(film: TransformerFilm, step: int, layer: int, head: int) -> Figure:
    """Step 0 ... T - 1 of the translation, seen by one head of each attention. English words are columns at the right,
    French words rows below: within X above, within Y at the left, between where the two meet. Rows of steps to come
    are empty, this step's is framed; at its right stands what is written then."""
    S, T = len(film.source), len(film.written)
    if not 0 <= step < T:
        raise ValueError(f"step={step}: this translation has steps 0 to {T - 1}, the last writes its end.")
    english, french, said = (0.2 + LETTER * max(map(len, words)) for words in (film.source, film.read, film.written))
    cell = float(np.clip((7.75 - english - french - said) / (S + T), 0.2, 0.3))
    before = 0.25 + 1.1 * LETTER * max(len(word) for some in film.candidates for word, _ in some)
    x = french, max(french + T * cell, before + 2.0) + english            # left ends of the two columns of maps
    width = max(8.0, x[1] + S * cell + said)
    y = T * cell + 0.1, T * cell + 0.42 + S * cell                        # upper ends of the two rows, from below
    top = y[0] + 0.3 + LETTER * max(map(len, film.read))                  # where "within Y" stands
    over = max(english, top + 1.35 - y[1])
    height = y[1] + over + 0.7
    figure = new_figure(width, height)
    figure.text(0.1 / width, 1 - 0.3 / height, f"layer {layer + 1}, head {head + 1}, word {step + 1}: reads "
                f"“{film.read[step]}”, writes “{film.written[step]}”", fontsize=LARGE)  # fmt: skip
    seen, cross = (table[layer, head].astype(float).copy() for table in (film.decoder, film.cross))
    seen[np.triu_indices(T, 1)] = np.nan                                  # forbidden, not nothing
    seen[step + 1 :], cross[step + 1 :] = np.nan, np.nan
    later = [i > step for i in range(T)]
    _table(figure, (x[1], y[1]), film.encoder[layer, head], film.source, film.source, cell)
    _table(figure, (x[0], y[0]), seen, film.read, film.read, cell, step, later)
    axes = _table(figure, (x[1], y[0]), cross, (), (), cell, step)
    for i, word in enumerate(film.written[: step + 1]):
        axes.text(S - 0.5 + 0.06 / cell, i, word, ha="left", va="center", fontsize=SMALL,
                  color=ink(FRAME) if i == step else "black")  # fmt: skip
    for name, at in (("within X", (x[1], y[1] + english + 0.1)), ("within Y", (x[0], top)),
                     ("between", (x[1], y[0] + 0.09))):  # fmt: skip
        figure.text(at[0] / width, at[1] / height, name, fontsize=NORMAL, color=GREY)
    bars = figure.add_axes((before / width, (top + 0.3) / height, 1.9 / width, 0.95 / height))
    best = dict(film.candidates[step])
    draw_probability_bars(bars, list(best), best)
    bars.set_axis_off()
    return figure


def _table(
    figure: Figure, corner: tuple[float, float], weights: np.ndarray, above: Sequence[str], beside: Sequence[str],
    cell: float, step: int | None = None, later: Sequence[bool] = (),
) -> Axes:  # fmt: skip
    """A heat map whose upper left corner stands at `corner` (inches); nan is left pale, row `step` framed, words of
    steps to come are grey."""
    n, m = weights.shape
    width, height = figure.get_size_inches()
    axes = figure.add_axes((corner[0] / width, (corner[1] - n * cell) / height, m * cell / width, n * cell / height))
    axes.set_axis_off()
    axes.add_patch(Rectangle((-0.5, -0.5), m, n, fc=PALE, ec="none"))
    axes.pcolormesh(np.arange(m + 1) - 0.5, np.arange(n + 1) - 0.5, np.ma.masked_invalid(weights), cmap=MAP, vmin=0,
                    vmax=1)  # fmt: skip
    axes.set(xlim=(-0.5, m - 0.5), ylim=(n - 0.5, -0.5))
    grey = [GREY if k < len(later) and later[k] else "black" for k in range(max(n, m))]
    for j, word in enumerate(above):
        axes.text(j, -0.5 - 0.06 / cell, word, rotation=90, ha="center", va="bottom", fontsize=SMALL, color=grey[j])
    for i, word in enumerate(beside):
        axes.text(-0.5 - 0.06 / cell, i, word, ha="right", va="center", fontsize=SMALL, color=grey[i])
    if step is not None:
        axes.add_patch(Rectangle((-0.5, step - 0.5), m, 1, fill=False, ec=FRAME, lw=2.4, clip_on=False))
    return axes


# --- costs ------------------------------------------------------------------------------------------------------------


@styled
def cost_lines(
    series: Mapping[str, Sequence[float]], x: Sequence[float], *, xlabel: str, ylabel: str, title: str = "",
) -> Figure:  # fmt: skip
    """Costs that grow: {name: one number for each x}, both axes from 0."""
    if not series or any(len(v) != len(x) for v in series.values()):
        raise ValueError(f"every line needs one number for each of the {len(x)} places.")
    figure = new_figure(8.0, 3.9)
    room = 0.3 + LETTER * 1.1 * max(map(len, series))
    axes = figure.add_axes((0.85 / 8, 0.65 / 3.9, (7.0 - room) / 8, 2.75 / 3.9))
    axes.set(xlim=(0, max(x) * 1.03), ylim=(0, 1.08 * max(max(v) for v in series.values())))
    ends = []
    for k, (name, values) in enumerate(series.items()):
        axes.plot(x, values, color=SERIES[k], marker=MARKERS[k], ls=DASHES[k])
        ends.append((name, float(x[-1]), float(values[-1]), SERIES[k]))
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    label_line_ends(axes, ends)
    return figure
