"""The pictures of notebooks 08 and 10 say the numbers that they were given. One test a function, of its name."""

import numpy as np
from drawn import arrows, bars, labels, lines, place, row, ticks, written
from matplotlib.colors import to_hex, to_rgb
from pytest import approx
from test_drawing import edges

from course_utils.plots import architectures, beam, scores
from course_utils.plots.drawing import ROLES, Arrow
from course_utils.plots.style import BLUE, ORANGE, PALE, SERIES

BLUE_, ORANGE_, PALE_ = map(to_hex, (BLUE, ORANGE, PALE))
RUNS = {"first": [[0.1, 0.4, 0.8], [0.3, 0.5, 0.9]], "second": [[0.6, 0.2, 0.05], [0.7, 0.3, 0.15]]}


def test_decoder_orders():
    whole = edges(architectures.decoder_orders())
    assert {("sᵢ₋₁", "attention"), ("GRU", "attention"), ("sᵢ", "attention"), ("attention", "GRU")} <= whole
    figure = architectures.decoder_orders()
    asks = sorted((a.points[0][0], a.points[-1][0]) for a in figure.findobj(Arrow) if a.get_linewidth() == 2.2)
    gives = sorted((a.points[0][0], a.points[-1][0]) for a in figure.findobj(Arrow) if a.get_linewidth() == 2.4)
    titles = sorted(t.get_position()[0] for t in figure.axes[0].texts if t.get_fontweight() == "bold")
    names = [t.get_text().split(":")[0] for t in sorted(figure.axes[0].texts, key=lambda t: t.get_position()[0])
             if t.get_fontweight() == "bold"]  # fmt: skip
    assert names == ["Bahdanau", "Luong", "conditional GRU"] and len(asks) == len(gives) == 3
    assert [start - left for (start, _), left in zip(asks, titles, strict=True)] == [
        approx(x, abs=0.2) for x in (0.34, 2.2, 0.99)], "the old state, the new one, the first cell"  # fmt: skip


def test_compared():
    step = scores.Compared(("a", "b", "c"), np.array([1.0, 0.5]), np.array([[2.0, 0.1], [-0.5, 1.5], [1.0, 2.5]]),
                           np.array([0.5, -1.0, 2.0]), "a score")  # fmt: skip
    plane, above, below = scores.compared(step).axes
    ways = [(start, approx(tuple(end))) for start, end in zip([(0, 0)] * 4, [*step.keys, step.query], strict=True)]
    assert arrows(plane) == ways
    for name, end, colour in (("a", step.keys[0], BLUE), ("b", step.keys[1], BLUE), ("query", step.query, ORANGE)):
        assert np.abs(np.array(place(plane, name)) - end).max() < 0.4, name
        note = next(t for t in plane.texts if not t.get_text() and t.xy == approx(tuple(end)))
        assert to_hex(note.arrow_patch.get_edgecolor()) == to_hex(colour)
    weights = np.exp(step.scores) / np.exp(step.scores).sum()
    for axes, values, title in ((above, step.scores, "scores: a score"), (below, weights, "weights")):
        assert [bar.end for bar in bars(axes, upright=True)] == approx(values)
        assert [bar.colour for bar in bars(axes, upright=True)] == [PALE_, PALE_, BLUE_]
        assert {t.xy: t.get_text() for t in axes.texts} == {(j, v): f"{v:.2f}" for j, v in enumerate(values)}
        assert ticks(axes.xaxis) == {0: "a", 1: "b", 2: "c"} and labels(axes)[2] == title


FILM = beam.BeamFilm(2, (
    (beam.Grown("one", 0, "-0.5", True), beam.Grown("two", 0, "-1.1", True), beam.Grown("no", 0, "-3", False)),
    (beam.Grown("red", 0, "-0.9", False), beam.Grown("<end>", 1, "-1.3", True, True),
     beam.Grown("big", 1, "-1.7", True)),
))  # fmt: skip


def test_beam_frame():
    for at in range(4):
        (axes,) = beam.beam_frame(FILM, at, "what stands below").axes
        now, pruned = divmod(at, 2)
        said = written(axes)
        assert "what stands below" in said and ("step 2" in said) == (now == 1)
        for t in range(now + 1):
            for grown in FILM.steps[t]:
                there = t == now or grown.kept
                assert (grown.word in said) == there
                if there:
                    x, y = place(axes, grown.word)
                    assert grown.said in row(axes, y), f"{grown.word}: its number stands beside it"
                    box = next(p for p in axes.patches if hasattr(p, "get_boxstyle") and -0.1 < x - p.get_x() < 0.3
                               and abs(p.get_y() + p.get_height() / 2 - y) < 0.1)  # fmt: skip
                    decided = grown.kept and (pruned or t < now)
                    role = "output" if decided and grown.ended else "decoder" if decided else "plain"
                    assert box.get_facecolor()[:3] == approx(to_rgb(ROLES[role])), grown.word
        joins = [(a.points[0], a.points[-1]) for a in axes.figure.findobj(Arrow)]
        wanted = [] if not now else [(FILM.steps[0][g.parent].word, g.word) for g in FILM.steps[1]]
        assert len(joins) == len(wanted)
        for (start, end), (parent, child) in zip(joins, wanted, strict=True):
            assert abs(start[1] - place(axes, parent)[1]) < 0.1 and abs(end[1] - place(axes, child)[1]) < 0.1


def test_beam_widths():
    first, second = beam.beam_widths({"one": RUNS, "two": {"third": [[1, 2, 4]]}}, (1, 4, 16), title="t").axes
    named = {text.get_text(): handle.get_color() for text, handle in
             zip(first.get_legend().get_texts(), first.get_legend().legend_handles, strict=True)}  # fmt: skip
    assert named == {"first": SERIES[0], "second": SERIES[1]}
    for axes, series in ((first, RUNS), (second, {"third": [[1, 2, 4]]})):
        for i, runs in enumerate(series.values()):
            mine = [line.get_ydata().tolist() for line in axes.lines if line.get_color() == SERIES[i]]
            assert mine == [approx(np.mean(runs, 0)), *runs]
        assert ticks(axes.xaxis) == {0: "1", 1: "4", 2: "16"} and axes.get_xlabel() == "width of the beam"
    assert (labels(first)[2], labels(second)[2]) == ("one", "two")


def test_by_distance():
    (axes,) = beam.by_distance(RUNS, ylabel="y", title="t").axes
    assert lines(axes) == {name: ([0, 1, 2], approx(np.mean(runs, 0))) for name, runs in RUNS.items()}
    dots = [line.get_ydata().tolist() for line in axes.lines if line.get_marker() == "."]
    assert dots == [*RUNS["first"], *RUNS["second"]] and labels(axes) == ("words after it", "y", "t")


def test_share_curves():
    (axes,) = beam.share_curves({"first": [1, 0.7, 0.2], "second": [0.9, 0.8]}, title="t").axes
    assert lines(axes) == {"first": ([0, 1, 2], [1, 0.7, 0.2]), "second": ([0, 1], [0.9, 0.8])}
    assert labels(axes) == ("update", "share of right words ε", "t")
