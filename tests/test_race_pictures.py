"""The pictures and widgets of notebook 24 show the numbers they are given. (test_plots.py: they can be read.)"""

import numpy as np
import pytest
from matplotlib.text import Text

from course_utils.attention.table import efficient
from course_utils.plots.race import Entry, cost_bars, cost_curves, pixel_reading, race_dots, trade_off
from course_utils.widgets import race


def test_a_dot_a_seed_in_the_row_of_its_plug():
    scores = {"listops": {"dense": [0.3, 0.4], "window": [0.1]}, "pixels": {"dense": [0.8]}}
    listops, pixels = race_dots(scores, {"listops": 0.2, "pixels": 0.1}, reference="dense").axes
    guess, dense, window = (line.get_xydata().tolist() for line in listops.lines)
    assert [x for x, _ in guess] == [0.2, 0.2] and dense == [[0.3, 0], [0.4, 0]] and window == [[0.1, 1]]
    assert len(pixels.lines[2].get_xdata()) == 0 and pixels.lines[0].get_xdata()[0] == 0.1
    assert [label.get_text() for label in listops.get_yticklabels()] == ["dense", "window"]
    band = listops.patches[0].get_extents().transformed(listops.transData.inverted())
    assert band.x0 == pytest.approx(0.3) and band.x1 == pytest.approx(0.4)
    with pytest.raises(ValueError, match="'dense'"):
        race_dots({"listops": {"window": [0.1]}}, {"listops": 0.2}, reference="dense")


def test_bars_run_from_dense_to_the_cost_and_say_it():
    (axes,) = cost_bars({"half": 0.5, "double": 2.0}, xlabel="cost").axes
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    assert ends == [(1, 2), (0.5, 1)] and [label.get_text() for label in axes.get_yticklabels()] == ["double", "half"]
    assert [text.get_text() for text in axes.texts] == ["2", "1/2"]


def test_curves_and_circles_stand_where_they_should():
    axes, names = cost_curves({"dense": {10: 1, 100: 100}, "linear": {10: 2, 100: 20}}, ylabel="ms").axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1, 100], [2, 20]]
    assert [text.get_text() for text in names.texts] == ["dense", "linear"]
    assert [text.xy[1] for text in names.texts] == pytest.approx([2, np.log10(20)])
    (axes,) = trade_off([Entry("a", 1, 0.5, 1), Entry("b", 10, 0.7, 4)], xlabel="x", ylabel="y").axes
    spots = [(*map(float, c.get_offsets()[0]), float(c.get_sizes()[0])) for c in axes.collections]
    assert [spot[:2] for spot in spots] == [(1, 0.5), (10, 0.7)] and spots[1][2] == pytest.approx(4 * spots[0][2])
    square, strip = pixel_reading(np.arange(16).reshape(4, 4)).axes
    assert square.images[0].get_array().tolist() == np.arange(16).reshape(4, 4).tolist()
    assert strip.images[0].get_array().tolist() == [list(range(16))]


def test_names_do_not_cover_each_other():
    entries = [Entry(f"plug number {k}", 1 + 0.02 * k, 0.5) for k in range(9)]
    figure = trade_off(entries, xlabel="x", ylabel="y", xlim=(0.01, 100), ylim=(0, 1))
    figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]  # without its line
    crossing = [(i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes[:i])
                if min(a.x1, b.x1) - max(a.x0, b.x0) > 3 and min(a.y1, b.y1) - max(a.y0, b.y0) > 3]  # fmt: skip
    assert len(boxes) == 9 and not crossing


def test_shares_are_those_of_the_table():
    found = race.shares(1024)
    assert list(found) == efficient() and found["scaled_dot"] == 1 and found["synthesizer_random"] == 0.5
    assert race.shares(1024, settings={"strided": {"stride": 8}}) == {"strided": 1 / 8}
    assert race.shares(4096)["window"] == race.shares(1024)["window"] / 4
    assert race.shares(1024, 64)["window"] == found["window"] and race.shares(1024, 64)["linear"] > 3 * found["linear"]


def test_the_widgets_say_who_saves():
    costs = race.cost_explorer(N=64)
    few = int(costs.text.split()[0])
    costs.controls["N"].value = 65536
    assert few < 7 and costs.text.startswith("13 of 15")
    scores = {"retrieval": {"scaled_dot": [1.0, 0.9], "linear": [0.5, 0.6]},
              "pixels": {"scaled_dot": [0.8], "linear": [0.78]}}  # fmt: skip
    trade = race.trade_explorer(scores, {"scaled_dot": {}, "linear": {}}, "retrieval")
    assert "dense, 1 x" in trade.text
    trade.controls["task"].value = "pixels"
    assert "best: linear, 0.066 x" in trade.text  # d (d + 1) of N d at N = 256
