"""Pictures of attention: the alignment map, and one decoding step drawn stage by stage. Notebooks 07 and on.

Symbols as in the notebooks: h_j the encoder states (annotations), α_ij the scores, a_ij the weights, C_i the context,
s_i the decoder's state, y_i the word written at step i. Subscripts are Unicode letters: mathtext would double the time
a frame takes, and alt texts can carry them too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from course_utils.plots.style import (
    BLUE,
    GREY,
    LARGE,
    MAP,
    NORMAL,
    PALE,
    SMALL,
    VERMILLION,
    canvas_in_inches,
    new_figure,
    styled,
    text_on,
)

FRAME = VERMILLION  # what is looked at now, and gold links
LETTER = 0.095  # inches a letter of 12 pt takes, generously


@styled
def alignment_map(
    source: Sequence[str], target: Sequence[str], weights, gold_sure: Iterable[tuple[int, int]] | None = None,
    gold_possible: Iterable[tuple[int, int]] | None = None, *, title: str = "", values: bool | None = None,
) -> Figure:  # fmt: skip
    """The weights (T, S) as a map: source words from left to right, target words from top to bottom.

    Gold links (source index, target index) are outlined: sure ones solid, merely possible ones dashed. Weights above
    .05 are printed if the words are few (`values` decides otherwise); the figure grows with the words.
    """
    weights = np.asarray(weights, dtype=float)
    if weights.shape != (len(target), len(source)) or not weights.size:
        raise ValueError(
            f"weights have shape {weights.shape}, but there are {len(target)} target and {len(source)} source words; "
            f"needed is (target words, source words), without pads."
        )
    T, S = weights.shape
    values = max(S, T) <= 12 if values is None else values
    cell = round(min(0.55, max(0.25, 6.0 / S)), 2)
    left, top = round(_word_room(target), 2), _word_room(source)
    head = 0.45 if title else 0.1
    links = gold_sure is not None or gold_possible is not None
    foot = 0.45 if links else 0.15
    width, height = max(8.0, left + S * cell + 1.1), head + top + T * cell + foot
    figure = new_figure(width, height)
    axes = figure.add_axes((left / width, foot / height, S * cell / width, T * cell / height))
    axes.set_axis_off()  # words are plain texts: matplotlib's ticks take longer than all the rest
    axes.pcolormesh(np.arange(S + 1) - 0.5, np.arange(T + 1) - 0.5, weights, cmap=MAP, vmin=0, vmax=1)
    axes.set(xlim=(-0.5, S - 0.5), ylim=(T - 0.5, -0.5))
    size, gap = (NORMAL if cell > 0.3 else SMALL), 0.5 + 0.07 / cell
    for j, word in enumerate(source):
        axes.text(j, -gap, word, rotation=90, ha="center", va="bottom", fontsize=size)
    for i, word in enumerate(target):
        axes.text(-gap, i, word, ha="right", va="center", fontsize=size)
    if values:
        for i, j in np.argwhere(weights > 0.05):
            colour = text_on(colormaps[MAP](weights[i, j]))
            axes.text(j, i, _weight_text(weights[i, j]), ha="center", va="center", fontsize=SMALL, color=colour)
    _outline_links(axes, set(gold_sure or ()), set(gold_possible or ()), 2.4 if cell > 0.4 else 1.6)
    if links:
        _explain_links(figure, bool(gold_sure), bool(set(gold_possible or ()) - set(gold_sure or ())))
    bar = figure.add_axes(((left + S * cell + 0.2) / width, foot / height, 0.16 / width, T * cell / height))
    bar.set_axis_off()
    bar.pcolormesh([0, 1], np.linspace(0, 1, 65), np.linspace(0, 1, 64)[:, None], cmap=MAP, vmin=0, vmax=1)
    bar.set(xlim=(0, 1), ylim=(0, 1))
    for mark in (0, 1) if T * cell < 1.5 else (0, 0.5, 1):
        va = {0: "bottom", 1: "top"}.get(mark, "center")
        bar.text(1.5, mark, f"{mark:g}", ha="left", va=va, fontsize=SMALL)
    if title:
        figure.text(0.1 / width, 1 - 0.33 / height, title, fontsize=LARGE)
    return figure


def _word_room(words: Sequence[str]) -> float:
    return 0.35 + LETTER * max(map(len, words))


def _weight_text(w: float) -> str:
    """Short enough for a small cell: ".97", "1"."""
    return "1" if w >= 0.995 else f"{w:.2f}".lstrip("0")


def _outline_links(axes: Axes, sure: set[tuple[int, int]], possible: set[tuple[int, int]], thin: float) -> None:
    """White under vermillion, so that the outline is seen on dark and on light cells."""
    for j, i in sorted(sure | possible):
        style = "-" if (j, i) in sure else (0, (2.2, 1.4))
        for colour, thick, dash in (("white", 2 * thin, "-"), (FRAME, thin, style)):
            axes.add_patch(
                Rectangle((j - 0.44, i - 0.44), 0.88, 0.88, fill=False, ec=colour, lw=thick, ls=dash, zorder=4)
            )


def _explain_links(figure: Figure, sure: bool, possible: bool) -> None:
    width, height = figure.get_size_inches()
    x = 0.25
    for there, style, said in ((sure, "-", "gold link, sure"), (possible, (0, (2.2, 1.4)), "gold link, possible")):
        if there:
            box = Rectangle((x / width, 0.12 / height), 0.2 / width, 0.2 / height, fill=False, ec=FRAME, lw=2.4)
            box.set(linestyle=style, transform=figure.transFigure)
            figure.add_artist(box)
            figure.text((x + 0.3) / width, 0.15 / height, said, fontsize=SMALL)
            x += 0.6 + LETTER * len(said)


STAGES = ("encoder states", "scores", "softmax", "weighted sum", "state", "word")


@dataclass(frozen=True)
class AttentionStep:
    """One step of an attentive decoder, every number it made. Vectors are plain sequences of numbers."""

    model: str  # its name, shown on every frame
    source: tuple[str, ...]
    written: tuple[str, ...]  # the words before this step
    annotations: np.ndarray  # (S, D) encoder states h_j
    query: np.ndarray  # (D,) the decoder's state that asks
    scores: np.ndarray | None  # (S,) before the softmax; None where the plug has none
    weights: np.ndarray  # (S,) after it
    context: np.ndarray  # (D,) the weighted sum
    state: np.ndarray  # (D,) what the step makes of it
    words: tuple[tuple[str, float], ...]  # the most probable words and their probabilities, best first
    captions: tuple[str, ...]  # a sentence for each of STAGES
    labels: tuple[str, str, str] = ("query", "Cᵢ", "state")  # names of query, context, state


@styled
def attention_step(step: AttentionStep, stage: int, *, units: int = 6) -> Figure:
    """Frame `stage` (0 … 5, see STAGES) of a step: what is computed now is framed, what comes later is not drawn yet.

    Of every vector the first `units` numbers are shown as colours (dark: -1, light: 1).
    """
    if not 0 <= stage < len(STAGES):
        raise ValueError(f"stage={stage}: there are {len(STAGES)}, 0 to {len(STAGES) - 1}: {', '.join(STAGES)}.")
    left, right = 1.25, 7.9
    column = min(0.85, (right - left) / len(step.source))
    tilted = max(len(w) for w in step.source) * LETTER > column - 0.05
    words_high = min(1.25, 0.1 + LETTER * max(len(w) for w in step.source)) if tilted else 0.28
    numbers_high = 0.25 if column > 0.47 else 0.48
    bands, height = _bands(words_high, numbers_high)
    figure, axes = canvas_in_inches(8.0, height)
    x = left + column * (np.arange(len(step.source)) + 0.5)

    axes.text(0.1, height - 0.27, f"{step.model} · word {len(step.written) + 1}", fontsize=LARGE, va="center")
    _stage_names(axes, stage, height - 0.62)
    axes.text(0.1, height - 0.98, step.captions[stage], fontsize=SMALL, va="center")

    _frame(axes, bands[STAGES[min(stage, 3)] if stage < 3 else "boxes"], stage)
    low, high = bands["encoder states"]
    draw_words(axes, x, high - words_high - 0.02, step.source, tilted)
    fade = np.clip(step.weights / max(step.weights.max(), 1e-9), 0.12, 1) if stage == 3 else None
    draw_strips(axes, x, low + 0.04, step.annotations[:, :units], min(0.3, column * 0.7), 0.085, fade)
    axes.text(left - 0.1, low + 0.3, "states hⱼ", ha="right", va="center", fontsize=SMALL)
    if stage >= 1:
        _bars(axes, x, bands["scores"], step.scores, column, numbers_high, "scores αᵢⱼ", left, signed=True)
    if stage >= 2:
        _bars(axes, x, bands["softmax"], step.weights, column, numbers_high, "weights aᵢⱼ", left)
    _boxes(axes, step, stage, bands["boxes"], units)
    axes.text(0.1, 0.2, "written so far:", fontsize=SMALL, va="center", color=GREY)
    shown = [*step.written, *([step.words[0][0]] if stage == 5 and step.words else [])]
    axes.text(1.45, 0.2, tail(" ".join(shown) or "(nothing yet)", 62), fontsize=NORMAL, va="center")
    return figure


def _bands(words_high: float, numbers_high: float) -> tuple[dict[str, tuple[float, float]], float]:
    """(low, high) of each part in inches, from the bottom up, and the height of all."""
    heights = {
        "boxes": 1.45, "softmax": 0.5 + numbers_high, "scores": 0.5 + numbers_high, "encoder states": words_high + 0.65,
    }  # fmt: skip
    bands, y = {}, 0.45
    for name, high in heights.items():
        bands[name] = (y, y + high)
        y += high + 0.08
    return bands, y + 1.12


def _stage_names(axes: Axes, stage: int, y: float) -> None:
    """The six stages in a row, the present one on colour."""
    x = 0.1
    for k, name in enumerate(STAGES):
        wide = 0.16 + 1.13 * LETTER * len(name)  # room for bold
        if k == stage:
            axes.add_patch(
                FancyBboxPatch((x, y - 0.13), wide, 0.26, boxstyle="round,pad=0,rounding_size=0.06", fc=FRAME, lw=0)
            )
        colour = "white" if k == stage else ("black" if k < stage else GREY)
        axes.text(x + wide / 2, y, name, ha="center", va="center", fontsize=SMALL, color=colour,
                  fontweight="bold" if k == stage else "normal")  # fmt: skip
        x += wide
        if k < len(STAGES) - 1:
            axes.text(x + 0.12, y, "→", ha="center", va="center", fontsize=SMALL, color=GREY)
            x += 0.24


def _frame(axes: Axes, band: tuple[float, float], stage: int) -> None:
    low, high = band
    x, wide = (0.05, 7.9) if stage < 3 else {3: (2.0, 1.95), 4: (3.95, 1.95), 5: (5.9, 2.05)}[stage]
    axes.add_patch(Rectangle((x, low), wide, high - low, fill=False, ec=FRAME, lw=2.5, zorder=5))


def draw_words(axes: Axes, x: np.ndarray, y: float, words: Sequence[str], tilted: bool) -> None:
    for place, word in zip(x, words, strict=True):
        axes.text(place, y, word, ha="center", va="bottom", fontsize=SMALL, rotation=90 if tilted else 0)


def draw_strips(axes: Axes, x, y: float, vectors: np.ndarray, wide: float, cell: float, fade=None) -> None:
    """Each vector a column of coloured cells, its first number on top; `fade` (0 … 1 a vector) makes it pale."""
    vectors = np.atleast_2d(vectors)
    n = vectors.shape[1]
    cells = [
        Rectangle((place - wide / 2, y + (n - 1 - k) * cell), wide, cell) for place in x for k in range(n)
    ]
    colours = colormaps[MAP](np.clip((vectors.ravel() + 1) / 2, 0, 1))
    if fade is not None:
        colours[:, 3] = np.repeat(fade, n)
    axes.add_collection(PatchCollection(cells, facecolors=colours, edgecolors="white", linewidths=0.6), autolim=False)


def _bars(axes, x, band, values, column, numbers_high, label, left, signed=False) -> None:
    """Bars over their numbers. Signed bars hang from a line in the middle."""
    low, high = band
    bottom, room = low + numbers_high, high - low - numbers_high - 0.05
    axes.text(left - 0.1, bottom + room / 2, label, ha="right", va="center", fontsize=SMALL)
    if values is None:
        axes.text(left, bottom + room / 2, "this kind of attention has no scores to show", fontsize=SMALL, va="center")
        return
    values = np.asarray(values, dtype=float)
    most = max(float(np.abs(values).max()), 1e-9) if signed else 1.0
    zero = bottom + (room / 2 if signed and values.min() < 0 else 0)
    scale = (room / 2 if signed and values.min() < 0 else room) / most
    bars = [Rectangle((p - column * 0.36, min(zero, zero + v * scale)), column * 0.72, abs(v) * scale)
            for p, v in zip(x, values, strict=True)]  # fmt: skip
    axes.add_collection(PatchCollection(bars, facecolors=BLUE), autolim=False)
    axes.plot([x[0] - column / 2, x[-1] + column / 2], [zero, zero], color=GREY, lw=0.8)
    largest = int(values.argmax())
    for k, (p, v) in enumerate(zip(x, values, strict=True)):
        said = f"{v:.1f}" if signed else f"{v:.2f}"
        axes.text(p, bottom - 0.05, said, ha="center", va="top", fontsize=SMALL, rotation=0 if column > 0.47 else 90,
                  fontweight="bold" if k == largest else "normal")  # fmt: skip


def _boxes(axes: Axes, step: AttentionStep, stage: int, band: tuple[float, float], units: int) -> None:
    """Query, context, state and word, from left to right, as far as they exist."""
    low, high = band
    vectors = ((0.05, step.query, step.labels[0], 0), (2.0, step.context, step.labels[1], 3),
               (3.95, step.state, step.labels[2], 4))  # fmt: skip
    for x, vector, label, since in vectors:
        axes.add_patch(Rectangle((x, low), 1.95, high - low, fill=False, ec=PALE, lw=1.2))
        axes.text(x + 0.1, high - 0.2, label, fontsize=SMALL, va="center", color="black" if stage >= since else GREY)
        if stage >= since:
            draw_strips(axes, [x + 0.25], low + 0.12, np.asarray(vector)[:units], 0.26, 0.15)
            said = "\n".join(f"{v:.2f}" for v in np.asarray(vector)[:units])
            axes.text(x + 1.02, low + 0.57, said, fontsize=SMALL, va="center", ha="right", linespacing=0.86)
            axes.text(x + 1.85, low + 0.18, f"of {len(vector)}", fontsize=SMALL, va="center", ha="right", color=GREY)
    axes.add_patch(Rectangle((5.9, low), 2.05, high - low, fill=False, ec=PALE, lw=1.2))
    axes.text(6.0, high - 0.2, "next word yᵢ", fontsize=SMALL, va="center", color="black" if stage == 5 else GREY)
    if stage == 5:
        for k, (word, p) in enumerate(step.words[:4]):
            y = high - 0.52 - 0.245 * k
            axes.add_patch(Rectangle((6.0, y - 0.1), 1.85 * p, 0.2, fc=BLUE, alpha=0.35, lw=0))
            axes.text(6.04, y, f"{tail(word, 12)}", fontsize=SMALL, va="center")
            axes.text(7.87, y, f"{p:.2f}", fontsize=SMALL, va="center", ha="right")


def tail(text: str, most: int) -> str:
    """The last `most` letters, with an ellipsis if something was cut."""
    return text if len(text) <= most else "…" + text[-(most - 1) :]
