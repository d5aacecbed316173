"""Where a hierarchical model looks: a document as text, its words and sentences coloured by weight. Notebook 11."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_utils.plots.drawing import fitted, text_size, tint
from course_utils.plots.style import (
    GREEN,
    GREY,
    LARGE,
    PALE,
    SMALL,
    VERMILLION,
    canvas_in_inches,
    ink,
    styled,
    text_on,
)

LEFT, RIGHT, LINE, GAP = 1.75, 7.9, 0.3, 0.12  # inches: where the text begins and ends; a line; between sentences
BAR = (0.62, 1.55)  # where the bars of the sentences begin and end


@dataclass(frozen=True)
class Reading:
    """A document and where a model looked in it."""

    sentences: Sequence[Sequence[str]]
    of_words: Sequence[Sequence[float]]  # one row of weights for each sentence
    of_sentences: Sequence[float]
    gold: tuple[int, tuple[int, ...]] | None = None  # the sentence that decides, and the words in it, if known
    without: int | None = None  # a sentence that was left out: it is crossed out


@styled
def document_map(reading: Reading, *, by: str = "words", most: int = 10, title: str = "") -> Figure:
    """The sentences as text, a bar with its weight before each. Words are the greener, the more they weigh: `by`
    "words" in their own sentence, "both" in the document (their weight times their sentence's).

    Of more than `most` sentences the heaviest are shown, in their order. What is known to decide is framed.
    """
    if by not in ("words", "both"):
        raise ValueError(f"by={by!r}: words are coloured by 'words' or by 'both' weights.")
    n = len(reading.sentences)
    if not n == len(reading.of_words) == len(reading.of_sentences) or n == 0:
        raise ValueError(f"{n} sentences need {n} weights and {n} rows of weights for their words, at least one.")
    weights = np.asarray(reading.of_sentences, dtype=float)
    chosen = sorted(np.argsort(-weights, kind="stable")[:most].tolist())
    lines = {s: _lines(reading.sentences[s]) for s in chosen}
    top = 0.45 if title else 0.1
    foot = 0.34 if len(chosen) < n else 0.06
    height = top + sum(len(lines[s]) * LINE + GAP for s in chosen) + foot
    figure, axes = canvas_in_inches(8.0, height)
    if title:
        axes.text(0.1, height - 0.25, title, fontsize=LARGE, va="center")
    shares = {s: np.asarray(reading.of_words[s], dtype=float) * (weights[s] if by == "both" else 1) for s in chosen}
    strongest = max((float(shares[s].max()) for s in chosen if len(shares[s])), default=0.0) or 1.0
    y = height - top
    for s in chosen:
        _bar(axes, s, float(weights[s]), y - LINE / 2, reading)
        _sentence(axes, reading, s, lines[s], shares[s] / strongest, y)
        y -= len(lines[s]) * LINE + GAP
    if len(chosen) < n:
        rest = 1 - weights[chosen].sum()
        more = n - len(chosen)
        said = f"… and {more} more {'sentence, which has' if more == 1 else 'sentences, which share'} {rest:.2f}"
        axes.text(LEFT, 0.18, said, fontsize=SMALL, va="center", color=GREY)
    return figure


def _lines(words: Sequence[str]) -> list[list[tuple[int, str, float]]]:
    """Words with their places and widths, broken into lines that fit."""
    lines, x = [[]], 0.0
    for k, word in enumerate(words):
        word = fitted(word, RIGHT - LEFT - 0.1)
        wide = text_size(word, SMALL)[0] + 0.09
        if x + wide > RIGHT - LEFT and lines[-1]:
            lines.append([])
            x = 0.0
        lines[-1].append((k, word, wide))
        x += wide
    return lines


def _bar(axes: Axes, s: int, weight: float, y: float, reading: Reading) -> None:
    axes.text(0.1, y, f"{weight:.2f}", fontsize=SMALL, va="center")
    wide = BAR[1] - BAR[0]
    axes.add_patch(Rectangle((BAR[0], y - 0.09), wide, 0.18, fc=PALE, lw=0))
    axes.add_patch(Rectangle((BAR[0], y - 0.09), wide * min(weight, 1.0), 0.18, fc=GREEN, lw=0))
    if reading.gold is not None and reading.gold[0] == s:
        axes.add_patch(Rectangle((BAR[0] - 0.03, y - 0.12), wide + 0.06, 0.24, fill=False, ec=ink(VERMILLION), lw=2.2))


def _sentence(axes: Axes, reading: Reading, s: int, lines, shares: np.ndarray, y: float) -> None:
    gold = reading.gold[1] if reading.gold is not None and reading.gold[0] == s else ()
    for line in lines:
        x = LEFT
        for k, word, wide in line:
            fill = tint(GREEN, float(shares[k]))
            axes.add_patch(Rectangle((x, y - LINE + 0.03), wide - 0.02, LINE - 0.06, fc=fill, lw=0))
            if k in gold:
                axes.add_patch(Rectangle((x, y - LINE + 0.03), wide - 0.02, LINE - 0.06, fill=False,
                                         ec=ink(VERMILLION), lw=2.2, zorder=4))  # fmt: skip
            axes.text(x + wide / 2 - 0.01, y - LINE / 2 - 0.34 * SMALL / 72, word, ha="center", va="baseline",
                      fontsize=SMALL, color=GREY if reading.without == s else text_on(fill))  # fmt: skip
            x += wide
        if reading.without == s:
            axes.plot([LEFT, x - 0.02], [y - LINE / 2] * 2, color="black", lw=1.6, zorder=5)
        y -= LINE
