"""The pictures of notebook 11 say the numbers that they were given. One test a function, of its name."""

import numpy as np
import pytest
from drawn import boxes, place, row, written
from matplotlib.colors import to_rgb
from pytest import approx

from course_utils.plots import architectures
from course_utils.plots import hierarchy as pages
from course_utils.plots.drawing import tint
from course_utils.plots.style import GREEN

TEXT = (("a", "big", "cat"), ("it", "sleeps"), ("no", "dogs", "here"))
OF_WORDS, OF_SENTENCES = ([0.2, 0.5, 0.3], [0.9, 0.1], [0.4, 0.15, 0.45]), [0.25, 0.05, 0.7]


def test_hierarchy():
    (axes,) = architectures.hierarchy(TEXT, OF_WORDS, OF_SENTENCES, "a play").axes
    said = written(axes)
    assert "a play" in said and [place(axes, word)[1] for word in ("a", "cat", "here")] == [approx(0.16, abs=0.1)] * 3
    for sentence, weights in zip(TEXT, OF_WORDS, strict=True):
        for word, weight in zip(sentence, weights, strict=True):
            above = [text for text in axes.texts if abs(text.get_position()[0] - place(axes, word)[0]) < 0.01]
            numbers = [float(t.get_text()) for t in above if 1.4 < t.get_position()[1] < 1.8]
            assert numbers == [approx(weight, abs=0.051)], word  # written with one digit
    low, high = place(axes, "a")[0], place(axes, "here")[0]
    at = sorted((*text.get_position(), text.get_text()) for text in axes.texts)
    assert [float(said) for x, y, said in at if 3.9 < y < 4.2 and low <= x <= high] == OF_SENTENCES


@pytest.mark.parametrize("by", ["words", "both"])
def test_document_map(by):
    reading = pages.Reading(TEXT, OF_WORDS, OF_SENTENCES, gold=(2, (1,)), without=1)
    (axes,) = pages.document_map(reading, by=by, title="A page").axes
    found = boxes(axes)
    shares = [np.array(r) * (s if by == "both" else 1) for r, s in zip(OF_WORDS, OF_SENTENCES, strict=True)]
    strongest = max(float(s.max()) for s in shares)
    for k, sentence in enumerate(TEXT):
        y = place(axes, sentence[0])[1]
        assert row(axes, y, within=0.1) == [f"{OF_SENTENCES[k]:.2f}", *sentence], "its weight, then its words"
        bars = [b for b in found if abs(b.y - y) < 0.1 and abs(b.tall - 0.18) < 1e-6 and b.colour[:3] == approx(
            to_rgb(GREEN))]  # fmt: skip
        assert [b.wide / (pages.BAR[1] - pages.BAR[0]) for b in bars] == [approx(OF_SENTENCES[k])]
        for word, share in zip(sentence, shares[k], strict=True):
            x = place(axes, word)[0]
            behind = [b for b in found if abs(b.x - x) < 0.05 and abs(b.y - y) < 0.1 and b.tall > 0.2]
            assert behind[0].colour[:3] == approx(tint(GREEN, share / strongest)), word
            assert len(behind) == (2 if word == "dogs" else 1), "what decides is framed"
    (line,) = axes.lines  # what was left out is crossed out
    assert line.get_ydata()[0] == approx(place(axes, "it")[1], abs=0.1)
    assert "A page" in written(axes)


def test_document_map_shows_the_heaviest_in_their_order():
    (axes,) = pages.document_map(pages.Reading(TEXT, OF_WORDS, OF_SENTENCES), most=2).axes
    said = written(axes)
    assert said.index("big") < said.index("dogs") and "sleeps" not in said
    assert "… and 1 more sentence, which has 0.05" in said
