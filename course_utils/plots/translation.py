"""Pictures of the fixed context and of whole translations: the unrolled encoder and decoder, and marked words.

Notebook 06: C = F(x_1 … x_m), y_i = G(C, y_<i). Whatever the decoder knows of the sentence went through C.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from course_utils.plots.attention import LETTER, draw_strips, draw_words, tail
from course_utils.plots.style import (
    GREY,
    LARGE,
    NORMAL,
    PALE,
    SMALL,
    VERMILLION,
    canvas_in_inches,
    ink,
    styled,
)


@dataclass(frozen=True)
class Unrolled:
    """One sentence through a fixed-context model. Words stand in the order in which they are read and written."""

    model: str
    read: tuple[str, ...]  # the source, as the encoder reads it (reversed, if it does so)
    states: np.ndarray  # (S, D) the encoder after each word
    context: np.ndarray  # (D,) C
    written: tuple[str, ...]  # the target, its end included
    decoder_states: np.ndarray  # (T, D)
    probabilities: tuple[float, ...]  # of each written word
    every_step: bool  # does C enter at every step (Cho), or only at the start (Sutskever)?

    @property
    def frames(self) -> int:
        return len(self.read) + 1 + len(self.written)


@styled
def seq2seq_unrolled(trace: Unrolled, frame: int, *, units: int = 6) -> Figure:
    """Frame 0 … S-1: the encoder has read that many words and one; frame S: C alone; then one written word a frame.

    Of every vector the first `units` numbers are shown as colours (dark: -1, light: 1).
    """
    if not 0 <= frame < trace.frames:
        raise ValueError(f"frame={frame}: this sentence has {trace.frames} frames, 0 to {trace.frames - 1}.")
    S, T = len(trace.read), len(trace.written)
    n_read, n_written = min(S, frame + 1), max(0, frame - S)
    left, right = 0.95, 7.9
    columns = [min(0.85, (right - left) / n) for n in (S, T)]
    longest = [max(map(len, words)) * LETTER for words in (trace.read, trace.written)]
    tilts = [long > column - 0.06 for long, column in zip(longest, columns, strict=True)]
    rooms = [min(1.25, 0.1 + long) if tilted else 0.28 for long, tilted in zip(longest, tilts, strict=True)]
    numbers = 0.25 if columns[1] > 0.47 else 0.5
    y_decoder = 0.15 + rooms[1] + numbers  # of the strips' lower edge
    y_c = y_decoder + 0.55 + 0.45
    y_encoder = y_c + 1.02 + 0.4
    height = y_encoder + 0.55 + rooms[0] + 0.85
    figure, axes = canvas_in_inches(8.0, height)
    axes.text(0.1, height - 0.27, trace.model, fontsize=LARGE, va="center")
    axes.text(0.1, height - 0.6, _caption(trace, frame), fontsize=SMALL, va="center")

    xs = [left + c * (np.arange(n) + 0.5) for c, n in zip(columns, (S, T), strict=True)]
    axes.text(left - 0.1, y_encoder + 0.25, "encoder", ha="right", va="center", fontsize=SMALL)
    draw_words(axes, xs[0], y_encoder + 0.57, trace.read, tilts[0])
    wide = [min(0.3, c * 0.65) for c in columns]
    draw_strips(axes, xs[0][:n_read], y_encoder, trace.states[:n_read, :units], wide[0], 0.085)
    _hops(axes, xs[0][:n_read], y_encoder + 0.25, wide[0])
    _context_box(axes, trace.context, y_c, frame >= S, frame == S, units)
    if n_read == S:
        last = float(xs[0][-1])
        _arrow(axes, (last, y_encoder - 0.03), (last, y_c + 1.05), VERMILLION if frame == S else GREY)

    axes.text(left - 0.1, y_decoder + 0.25, "decoder", ha="right", va="center", fontsize=SMALL)
    if n_written:
        x = xs[1][:n_written]
        for k, place in enumerate(x):
            if trace.every_step or k == 0:
                now = trace.every_step and k == n_written - 1 or n_written == 1
                _arrow(axes, (place, y_c - 0.02), (place, y_decoder + 0.54), VERMILLION if now else GREY)
        draw_strips(axes, x, y_decoder, trace.decoder_states[:n_written, :units], wide[1], 0.085)
        _hops(axes, x, y_decoder + 0.25, wide[1])
        for place, p in zip(x, trace.probabilities, strict=False):
            axes.text(place, y_decoder - 0.05, f"{p:.2f}", ha="center", va="top", fontsize=SMALL, color=GREY,
                      rotation=0 if columns[1] > 0.47 else 90)  # fmt: skip
        for k, (place, word) in enumerate(zip(x, trace.written, strict=False)):
            weight = "bold" if k == n_written - 1 else "normal"
            axes.text(place, y_decoder - numbers - 0.03, word, ha="center", va="top", fontsize=SMALL,
                      rotation=90 if tilts[1] else 0, fontweight=weight)  # fmt: skip
    return figure


def _caption(trace: Unrolled, frame: int) -> str:
    S, D = len(trace.read), len(trace.context)
    if frame < S:
        return f"Reading word {frame + 1} of {S}: “{trace.read[frame]}” changes the encoder's state of {D} numbers."
    if frame == S:
        return f"All that is kept of {S} word{'s' * (S > 1)}: C, the last state, {D} numbers. The rest is forgotten."
    word = trace.written[frame - S - 1]
    how = "C enters at every step" if trace.every_step else "C was the first state, no more"
    return f"Writing “{tail(word, 14)}” with its probability below the state ({how})."


def _context_box(axes: Axes, context: np.ndarray, y: float, there: bool, now: bool, units: int) -> None:
    """C as a strip of up to 66 of its numbers, the first ones written out."""
    axes.add_patch(Rectangle((0.95, y), 6.95, 1.02, fill=False, ec=VERMILLION if now else PALE, lw=2.5 if now else 1.2))
    axes.text(0.85, y + 0.5, "C", ha="right", va="center", fontsize=LARGE, color="black" if there else GREY)
    if not there:
        return
    shown = context[:66]
    draw_strips(axes, 1.1 + 0.1 * np.arange(len(shown)), y + 0.5, shown[:, None], 0.1, 0.42)
    said = "  ".join(f"{v:.2f}" for v in context[:units]) + f"  …   {len(context)} numbers, {len(shown)} drawn"
    axes.text(1.05, y + 0.23, said, fontsize=SMALL, va="center")


def _hops(axes: Axes, x: np.ndarray, y: float, wide: float) -> None:
    """Short lines from state to state."""
    for a, b in zip(x[:-1], x[1:], strict=True):
        axes.plot([a + wide / 2, b - wide / 2], [y, y], color=GREY, lw=1.2)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=13, color=colour, lw=1.8,
                                   shrinkA=0, shrinkB=0))  # fmt: skip


def mark_words(reference: Sequence[str], output: Sequence[str]) -> list[tuple[str, bool]]:
    """(word, is it right?) for each word of `output`: right are those of a longest common subsequence."""
    R, N = len(reference), len(output)
    common = np.zeros((R + 1, N + 1), dtype=int)  # [i, j]: its length for reference[i:] and output[j:]
    for i in range(R - 1, -1, -1):
        for j in range(N - 1, -1, -1):
            same = reference[i] == output[j]
            common[i, j] = common[i + 1, j + 1] + 1 if same else max(common[i + 1, j], common[i, j + 1])
    i, marked = 0, []
    for j, word in enumerate(output):
        while i < R and reference[i] != word and common[i + 1, j] == common[i, j]:
            i += 1  # this reference word is missing
        ok = i < R and reference[i] == word
        marked.append((word, ok))
        i += ok
    return marked


@styled
def marked_translation(
    source: Sequence[str], reference: Sequence[str] | None, outputs: Mapping[str, Sequence[str]], *,
    title: str = "", min_height: float = 0.0,
) -> Figure:  # fmt: skip
    """Source, reference and each model's translation as text; words that are not in the reference's place are
    coloured *and* underlined. Without a reference nothing is marked."""
    lines: list[list[tuple[str, bool]] | str] = []  # a heading, or words with their mark
    lines += [f"source, {len(source)} words", *wrap([(w, True) for w in source])]
    if reference is not None:
        lines += ["reference", *wrap([(w, True) for w in reference])]
    for name, output in outputs.items():
        marked = [(w, True) for w in output] if reference is None else mark_words(reference, output)
        wrong = sum(not ok for _, ok in marked)
        missing = 0 if reference is None else len(reference) - (len(marked) - wrong)
        tally = "" if reference is None else f": {wrong} wrong, {missing} of {len(reference)} missing"
        lines += [name + tally, *wrap(marked or [("(nothing)", False)])]
    steps = [0.34 if isinstance(line, str) else 0.27 for line in lines]
    height = max(min_height, 0.25 + (0.35 if title else 0) + sum(steps))
    figure, axes = canvas_in_inches(8.0, height)
    y = height - 0.05
    if title:
        axes.text(0.1, y - 0.22, title, fontsize=LARGE, va="center")
        y -= 0.4
    for line, step in zip(lines, steps, strict=True):
        y -= step
        if isinstance(line, str):
            axes.text(0.1, y, line, fontsize=SMALL, color=GREY, va="baseline")
        else:
            typeset(axes, line, y)
    return figure


MONO = NORMAL * 0.602 / 72  # inches a letter of DejaVu Sans Mono is wide
LINE = int((8.0 - 0.45) / MONO)


def wrap(words: list[tuple[str, bool]], width: int = LINE) -> list[list[tuple[str, bool]]]:
    """Marked words broken into lines of at most `width` letters."""
    lines, used = [[]], 0
    for word, ok in words:
        word = tail(word, width)
        if used and used + len(word) > width:
            lines.append([])
            used = 0
        lines[-1].append((word, ok))
        used += len(word) + 1
    return lines


def typeset(axes: Axes, words: list[tuple[str, bool]], y: float, x: float = 0.25) -> None:
    """One line of monospaced words, wrong ones bold, coloured and underlined."""
    for word, ok in words:
        axes.text(x, y, word, family="DejaVu Sans Mono", fontsize=NORMAL, color="black" if ok else ink(VERMILLION),
                  fontweight="normal" if ok else "bold")  # fmt: skip
        if not ok:
            axes.plot([x, x + len(word) * MONO], [y - 0.05] * 2, color=VERMILLION, lw=2)
        x += (len(word) + 1) * MONO
