"""The numbers in the pictures of notebook 23 are those that were given."""

import math

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from course_utils.experiments.nb23.reading import remembering, segment_losses
from course_utils.models.transformer_xl import TransformerXL
from course_utils.plots import long_memory
from course_utils.plots.style import BLUE, VERMILLION
from course_utils.text.vocabulary import Vocabulary
from course_utils.widgets import long_memory as widget


def coloured(patches, colour):
    return sum(patch.get_facecolor() == to_rgba(colour) for patch in patches)


def test_lines_are_medians_with_all_seeds_in_the_band():
    runs = [[9.0, 5.0, 1.0], [8.0, 6.0, 3.0], [1.0, 7.0, 2.0]]
    (axes,) = long_memory.measured_lines({"a": runs}, ["0", "8", "64"], xlabel="m", ylabel="p", marked="64").axes
    assert list(axes.lines[0].get_xdata()) == [0, 1, 2] and list(axes.lines[0].get_ydata()) == [8.0, 6.0, 2.0]
    band = axes.collections[0].get_paths()[0].vertices
    assert {tuple(v) for v in band} >= {(0.0, 1.0), (0.0, 9.0), (1.0, 5.0), (2.0, 3.0)}
    assert axes.lines[1].get_xdata()[0] == 2


def test_names_of_points_are_thinned():
    names = [str(k) for k in range(1, 10)]
    (axes,) = long_memory.measured_lines({"a": [list(range(9))]}, names, xlabel="", ylabel="", every=4).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "5", "9"]


def test_what_the_output_depends_on():
    used = np.zeros((3, 8), dtype=bool)
    used[2, 7] = used[1, 3:] = used[0, 1:] = True
    (axes,) = long_memory.reach_grid(used, 4).axes
    assert len(axes.patches) == 24
    assert coloured(axes.patches, BLUE) == 5 + 7 and coloured(axes.patches, VERMILLION) == 1
    lowest = sorted(axes.patches, key=lambda p: (p.get_y(), p.get_x()))[:8]
    assert [p.get_facecolor() == to_rgba(BLUE) for p in lowest] == [False] + [True] * 7, "the input stands below"


@pytest.mark.parametrize(("T", "S"), [(3, 6), (2, 2), (4, 7)])
def test_after_the_shift_every_number_is_in_its_column(T, S):
    (axes,) = long_memory.shift_panels(T, S).axes
    texts = [text.get_text() for text in axes.texts]
    last = texts.index("3. first row dropped, cut back") + 1
    final, patches = np.reshape(texts[last : last + T * S], (T, S)), axes.patches[-T * S :]
    hatched = np.reshape([bool(patch.get_hatch()) for patch in patches], (T, S))
    for i in range(T):
        for j in range(S):
            assert hatched[i, j] == (j > S - T + i), "hatched: later keys"
            assert hatched[i, j] or final[i, j] == str(S - T + i - j), "the distance from query i to key j"
    assert sum(bool(patch.get_hatch()) for patch in axes.patches) == T + int(hatched.sum()), "and the dropped row"


def read(**changed):
    given = dict(text="abcdefgh" * 3, losses=[0.0, 5.0] * 12, segment=8, chosen=12, looks=5, reaches=9,
                 memories=(0, 4, 16), perplexities=(9.0, 8.0, 7.5), memory=4)  # fmt: skip
    return long_memory.memory_view(long_memory.Read(**{**given, **changed})).axes


def lengths(lines):
    """Characters that stand over the rails: a rail may go on in the next row."""
    wide = 7.6 / 8
    return round(sum(np.ptp(line.get_xdata()) for line in lines) / wide)


def test_rails_are_as_long_as_what_is_seen():
    text, *_ = read()
    looks = [line for line in text.lines if line.get_color() == VERMILLION]
    assert lengths(looks) == 5 and lengths(set(text.lines) - set(looks)) == 9
    assert len(looks) == 2, "characters 8 to 12 stand in two rows"
    none, *_ = read(chosen=0)
    assert not none.lines
    most, *_ = read(chosen=3, looks=50, reaches=60)
    assert lengths(most.lines) == 3 + 3, "nothing stands before the text"


def test_cells_and_the_curve():
    text, legend, curve = read()
    colours = text.collections[0].get_facecolors()
    assert len(colours) == 24 and len({tuple(c) for c in colours[::2]}) == len({tuple(c) for c in colours[1::2]}) == 1
    assert colours[0][:3].sum() > colours[1][:3].sum(), "dear is dark"
    assert list(curve.lines[0].get_ydata()) == [9.0, 8.0, 7.5]
    assert (list(curve.lines[1].get_xdata()), list(curve.lines[1].get_ydata())) == ([1], [8.0])
    assert "8.00" in [note.get_text() for note in curve.texts]
    assert "memory 4: what each character costs" in [t.get_text() for t in text.texts]


def test_the_widget_shows_the_letters_that_were_predicted(monkeypatch):
    shown = []
    monkeypatch.setattr(widget, "memory_view", lambda read: shown.append(read) or long_memory.memory_view(read))
    text = "the cat sees the dog .\na dog sleeps\n" * 12
    words = Vocabulary(sorted(set(text)))
    torch.manual_seed(0)
    model, ids = TransformerXL(len(words), 8, 2, 2, 8).eval(), torch.tensor(words.encode(list(text)))
    explorer = widget.memory_explorer(model, words, ids, segment=8, rows=3, start=2, lanes=2, memories=(0, 8))
    explorer.controls["memory"].value = 8
    for read, memory in zip(shown, (0, 8), strict=True):
        with remembering(model, memory):
            losses = segment_losses(model, ids, 8, lanes=2)
        assert read.memory == memory and read.text == text[17:41], "24 letters, each after the one that it follows"
        assert (read.looks, read.reaches) == (2 + memory, 2 + 2 * memory), "the second of a segment, two layers"
        assert read.losses == pytest.approx(losses[0, 16:40].tolist())
        assert read.perplexities[read.memories.index(memory)] == pytest.approx(math.exp(losses.mean()))
