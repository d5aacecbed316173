"""The picture of a steered attention: weights, word probabilities and translations, before and after. Notebook 07."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils.plots.attention import LETTER, draw_words
from course_utils.plots.curves import draw_probability_bars
from course_utils.plots.style import BLUE, GREY, LARGE, PALE, SMALL, canvas_in_inches, styled
from course_utils.plots.translation import LINE, mark_words, typeset, wrap


@dataclass(frozen=True)
class Steered:
    """One target word, its attention moved by hand. Pairs are (as the model does, with the weight moved)."""

    model: str
    source: tuple[str, ...]
    step: int  # the target word, from 0
    word: int  # the source word that got the weight, from 0
    amount: float  # how much of the weight, 0 … 1
    written: tuple[tuple[str, ...], tuple[str, ...]]  # the two translations, without END
    weights: tuple[np.ndarray, np.ndarray]  # (S,) each, at that step
    words: tuple[Mapping[str, float], Mapping[str, float]]  # probabilities of the best words, at that step

    @property
    def said(self) -> tuple[str, str]:
        """The word that the step writes, before and after."""
        return tuple(max(sorted(p), key=p.get) for p in self.words)


@styled
def steering(steered: Steered, *, most: int = 5) -> Figure:
    """Above the weights over the source, in the middle the next word's probabilities, below both translations."""
    S = len(steered.source)
    left, right = 1.1, 7.9
    column = min(0.85, (right - left) / S)
    longest = max(map(len, steered.source)) * LETTER
    tilted = longest > column - 0.05
    words_high = min(1.25, 0.1 + longest) if tilted else 0.28
    numbers = 0.25 if column > 0.47 else 0.45
    texts = [wrap(marked, LINE - 9) for marked in (
        [(w, True) for w in steered.written[0]], mark_words(*steered.written),
    )]  # fmt: skip
    lines = max(map(len, texts))  # each translation gets the room of the longer one
    y_bars = 0.4 + 2 * (0.27 * lines + 0.08)
    y_weights = y_bars + 0.4 * most + 0.5 + numbers
    height = y_weights + 0.75 + words_high + 0.5
    figure, axes = canvas_in_inches(8.0, height)
    moved = f"{steered.amount:.0%} of the weight on “{steered.source[steered.word]}”"
    axes.text(0.1, height - 0.27, f"{steered.model}, word {steered.step + 1}: {moved}", fontsize=LARGE, va="center")
    x = left + column * (np.arange(S) + 0.5)
    draw_words(axes, x, y_weights + 0.72, steered.source, tilted)
    axes.text(left - 0.1, y_weights + 0.3, "weights", ha="right", va="center", fontsize=SMALL)
    _paired_bars(axes, x, y_weights, column, steered)

    axes.text(0.1, y_bars + 0.4 * most + 0.2, "the next word", fontsize=SMALL, color=GREY, va="center")
    inner = figure.add_axes((1.6 / 8, y_bars / height, 6.0 / 8, 0.4 * most / height))
    before, after = steered.words
    best = sorted(before, key=lambda w: (-max(before[w], after[w]), w))[:most]
    draw_probability_bars(inner, best, before, after, names=("as it was", "moved"))
    y = y_bars - 0.42
    for name, text in zip(("as it was", "moved"), texts, strict=True):
        axes.text(0.1, y, name, fontsize=SMALL, color=GREY, va="baseline")
        for k, line in enumerate(text):
            typeset(axes, line or [("(nothing)", False)], y - 0.27 * k, x=1.1)
        y -= 0.27 * lines + 0.08
    return figure


def _paired_bars(axes: Axes, x: np.ndarray, y: float, column: float, steered: Steered) -> None:
    high, half = 0.62, column * 0.38
    before, after = steered.weights
    axes.bar(x - half / 2, before * high, width=half * 0.95, bottom=y, color=PALE, hatch="//", edgecolor=GREY, lw=0.8)
    axes.bar(x + half / 2, after * high, width=half * 0.95, bottom=y, color=BLUE)
    axes.plot([x[0] - column / 2, x[-1] + column / 2], [y, y], color=GREY, lw=0.8)
    for k, (place, v) in enumerate(zip(x, after, strict=True)):
        weight = "bold" if k == steered.word else "normal"
        axes.text(place, y - 0.05, f"{v:.2f}", ha="center", va="top", fontsize=SMALL, fontweight=weight,
                  rotation=0 if column > 0.47 else 90)  # fmt: skip
