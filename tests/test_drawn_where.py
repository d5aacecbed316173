"""The pictures of notebook 09 say the numbers that they were given. One test a function, of its name."""

import numpy as np
import pytest
from drawn import bars, ticks, written
from matplotlib.colors import to_hex
from pytest import approx

from course_utils.plots import architectures
from course_utils.plots.drawing import Arrow
from course_utils.plots.style import BLUE, ORANGE, PALE, VERMILLION
from course_utils.plots.where import Glance, Walk, place_curves, walk_view, window_view

WEIGHTS = np.array([0.02, 0.41, 0.3, 0.06])


def test_window_view():
    for centre, window, bell in ((None, 0, False), (1.0, 1, False), (1.4, 2, True)):
        (axes,) = window_view(Glance(tuple("abcd"), "vois", WEIGHTS, centre, window, bell)).axes
        shade = [patch for patch in axes.patches if to_hex(patch.get_facecolor()) == PALE.lower()]
        assert [bar.end for bar in bars(axes, upright=True) if bar.colour == BLUE.lower()] == approx(WEIGHTS)
        assert ticks(axes.xaxis) == dict(enumerate("abcd")) and written(axes) == ["0.41", "0.30", "0.06"]
        assert axes.get_title(loc="left") == "for “vois”: weights that sum to 0.79"
        assert len(shade) == (centre is not None) and len(axes.lines) == (centre is not None) + bell
        if centre is not None:
            left, right = shade[0].get_x(), shade[0].get_x() + shade[0].get_width()
            assert (left, right) == approx((max(centre - window, -0.6), min(centre + window, 3.6)))
            assert axes.lines[0].get_xdata()[0] == centre
        if bell:
            x, y = axes.lines[1].get_data()
            assert to_hex(axes.lines[1].get_color()) == ORANGE.lower()
            assert y == approx(np.exp(-((x - centre) ** 2) / (2 * (window / 2) ** 2))) and y.max() > 0.99
    with pytest.raises(ValueError, match="3 words and 4 weights"):
        window_view(Glance(tuple("abc"), "vois", WEIGHTS))


def test_walk_view():
    p, expected = np.array([[0.1, 0.9, 0.3], [0.2, 0.4, 0.8]]), np.array([[0.1, 0.81, 0.03], [0.0, 0.3, 0.4]])
    looked = [(0, 0, False), (0, 1, True), (1, 1, False)]
    grid, below = walk_view(Walk(tuple("abc"), ("un", "deux"), p, looked, expected)).axes
    cells = {(round(c.get_x() + 0.47), round(c.get_y() + 0.44)): c for c in grid.patches[:6]}
    colours = {at: to_hex(c.get_facecolor()) for at, c in cells.items()}
    assert colours == {(0, 0): PALE.lower(), (1, 0): BLUE.lower(), (2, 0): "#ffffff", (0, 1): "#ffffff",
                       (1, 1): PALE.lower(), (2, 1): "#ffffff"}  # fmt: skip
    said = {t.get_position(): t.get_text() for t in grid.texts}
    assert said == {(j, i): f"{p[i, j]:.2f}" for i in range(2) for j in range(3)}
    frame = grid.patches[6]
    assert to_hex(frame.get_edgecolor()) == VERMILLION.lower() and (round(frame.get_x() + 0.47), 1) == (1, 1)
    assert round(frame.get_y() + 0.44) == 1 and list(ticks(grid.yaxis).values()) == ["un", "deux"]
    assert list(ticks(grid.xaxis).values()) == list("abc") and grid.get_ylim() == (1.5, -0.5)
    assert [bar.end for bar in bars(below, upright=True)] == approx(expected[1])
    assert written(below) == ["0.30", "0.40"] and below.get_xlabel() == "expected for “deux”: 0.70 in all"
    with pytest.raises(ValueError, match="at least one look"):
        walk_view(Walk(tuple("abc"), ("un", "deux"), p, [], expected))


def test_place_curves():
    curves = {"D = 1": ([0, 1, 2, 3, 4], [0, 0.5, 0.9, 0.7, 0]), "D = 2": ([0, 2, 3], [0.1, 0.8, 0.6])}
    (axes,) = place_curves("chat", 2, curves).axes
    drawn = [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines if len(line.get_xdata()) > 2]
    assert drawn == [(list(x), list(y)) for x, y in curves.values()]
    assert {t.get_text(): t.xy for t in axes.texts} == {"D = 1": (3, 0.7), "D = 2": (3, 0.6)}
    assert axes.get_title(loc="left") == "the weight of “chat”, which stands at place 2"
    with pytest.raises(ValueError, match="3 curves"):
        place_curves("chat", 2, dict.fromkeys("abc", curves["D = 1"]))


def fans(figure) -> list[dict[float, float]]:
    """Of each of the three panels: where the thick green lines begin -> the weight that their thickness says."""
    found = [{}, {}, {}]
    for arrow in figure.findobj(Arrow):
        weight = (arrow.get_linewidth() - 0.8) / 6.2
        if arrow.target and arrow.get_linewidth() not in (1.5, 2.2):
            x = arrow.points[0][0]
            found[int(x // 2.67)][round(x % 2.67, 2)] = weight
    return found


def test_windows():
    scores = np.array([1.0, 2.0, 3.5, 0.0, 1.0])
    figure = architectures.windows("the black cat sees her".split(), scores, 1, 1.4, 1)
    said = [fan[x] for fan in fans(figure) for x in sorted(fan)]
    everywhere, near, some = (np.exp(scores[a:b]) / np.exp(scores[a:b]).sum() for a, b in ((0, 5), (0, 3), (1, 3)))
    some = some * np.exp(-((np.arange(1, 3) - 1.4) ** 2) / (2 * 0.5**2))
    assert said == approx([*everywhere, *near, *some])
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert [t for t in texts if "sum" in t] == [
        "weights sum to 1", "weights sum to 1", f"weights sum to {some.sum():.2f}"]  # fmt: skip
    assert texts.index("p = t = 1") < texts.index("p = 1.4")
    (bell,) = (line for line in figure.axes[0].lines if len(line.get_xdata()) > 10)
    state = next(t for t in figure.axes[0].texts[::-1] if t.get_text() == "h₁")
    assert bell.get_xdata()[bell.get_ydata().argmax()] == approx(state.get_position()[0] + 0.4 * 0.46, abs=0.03)


def test_choices():
    weights = [0.16, 0.74, 0.03, 0.07]
    figure = architectures.choices("black cat sees her".split(), weights, 3)
    soft, largest, drawn = fans(figure)
    assert [soft[x] for x in sorted(soft)] == approx(weights)
    xs = sorted(soft)
    for one, x in ((largest, xs[1]), (drawn, xs[3])):
        assert list(one) == [approx(x, abs=0.03)] and list(one.values()) == [approx(1)]
    cells = [t.get_text() for t in figure.axes[0].texts if t.get_text() in "01"]
    assert cells == list("01000001")
    dashed = [a for a in figure.findobj(Arrow) if a.get_linestyle() not in ("-", "solid")]
    assert len(dashed) == 3, "each way back to the weights"
