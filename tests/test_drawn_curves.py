"""Lines and bars say the numbers that they were given, under the right names. One test a function, of its name."""

import numpy as np
import pytest
from drawn import (
    bands,
    bars,
    bold,
    boxes,
    check_map,
    figure_texts,
    labels,
    lines,
    named_bars,
    place,
    points,
    row,
    ticks,
    written,
)
from matplotlib.colors import to_hex
from pytest import approx

from course_utils.experiments.nb16.pieces import PIECES
from course_utils.plots import (
    curves,
    embeddings,
    gates,
    gradients,
    heads,
    kernels,
    long_memory,
    normalisation,
    positions,
    race,
    self_attention,
    surface,
    tagging,
    training,
    transformer,
)
from course_utils.plots.curves import running_mean
from course_utils.plots.style import BLUE, GREY, PALE, SERIES, VERMILLION

FIRST, SECOND = [[0.1, 0.3, 0.8], [0.2, 0.5, 0.9], [0.6, 0.7, 0.7]], [[0.95, 0.85, 0.05]]
MEAN, MEDIAN = [0.3, 0.5, 0.8], [0.2, 0.5, 0.8]
BAND = [(0.1, 0.6), (0.3, 0.7), (0.7, 0.9)]  # smallest and largest of FIRST
TWO = {"first": FIRST, "second": SECOND}
BLUE_, GREY_, PALE_, VERMILLION_ = map(to_hex, (BLUE, GREY, PALE, VERMILLION))


def check_two(axes, x, first=MEDIAN, second=SECOND[0], **options):
    assert {name: (approx(x), approx(y)) for name, y in (("first", first), ("second", second))} == lines(
        axes, **options
    )


def check_band(axes, x, low_high=BAND, colour=SERIES[0]):
    found = bands(axes)[to_hex(colour)]
    assert [at for at, _, _ in found] == approx(x)
    assert [(low, high) for _, low, high in found] == [approx(pair) for pair in low_high]


def seeds(axes) -> dict[str, list[list[float]]]:
    """{colour: points x seeds} of the small dots beside a line."""
    found = {}
    for line in axes.lines:
        if line.get_linestyle() == "None" and line.get_markersize() < 5:
            found.setdefault(to_hex(line.get_color()), []).append(line.get_ydata().tolist())
    return found


# ---- curves ----------------------------------------------------------------------------------------------------------


def test_length_curve():
    axes, below = curves.length_curve({"up": TWO, "down": {"third": [[0.5, 0.25, np.nan]]}}, ["3-7", "8-11", "12"],
                                      score=["share", "rate"], low=[0, 0.2], trained=2).axes  # fmt: skip
    check_two(axes, [0, 1, 2], MEAN)
    assert seeds(axes) == {to_hex(SERIES[0]): FIRST}, "every seed a dot of its line's colour"
    assert lines(below)["third"][1] == [0.5, 0.25, approx(np.nan, nan_ok=True)]
    assert (labels(axes), labels(below)) == (("", "share", "up"), ("words in the source sentence", "rate", "down"))
    assert ticks(below.xaxis) == {0: "3-7", 1: "8-11", 2: "12"} and set(ticks(axes.xaxis).values()) == {""}
    assert axes.get_ylim()[0] < 0 and 0.15 < below.get_ylim()[0] < 0.2 and below.get_ylim()[1] > 1
    shade = axes.patches[0]
    assert (shade.get_x() + shade.get_width(), to_hex(shade.get_facecolor())) == (1.5, PALE_), "two trained buckets"
    assert "line: mean of 1-3 seeds; dots: the seeds" in figure_texts(axes.figure)
    assert labels(curves.length_curve(TWO, ["8", "12", "16"], xlabel="letters").axes[0])[0] == "letters"


def test_capacity_curve():
    (axes,) = curves.capacity_curve(TWO, [16, 32, 128], title="t").axes
    check_two(axes, [4, 5, 7], MEAN)
    assert seeds(axes) == {to_hex(SERIES[0]): FIRST}
    assert ticks(axes.xaxis) == {4: "16", 5: "32", 7: "128"}
    assert labels(axes) == ("numbers in C (hidden units)", "exact match", "t")


def test_bars_with_seeds():
    figure = curves.bars_with_seeds({"one": [0.2, 0.6], "two": [0.9], "three": [0.05, 0.1, 0.3]}, groups=[0, 2, 1])
    (axes,) = figure.axes
    assert named_bars(axes) == {"one": (0, approx(0.4)), "two": (0, 0.9), "three": (0, approx(0.15))}
    assert [bar.colour for bar in bars(axes)] == [to_hex(SERIES[k]) for k in (0, 2, 1)]
    dots = sorted((y, x) for x, y, _ in points(axes))
    assert dots == [(0, 0.2), (0, 0.6), (2, 0.05), (2, 0.1), (2, 0.3)], "each seed in its bar's row"
    said = {text.get_text(): tuple(text.xy) for text in axes.texts}
    assert said == {"0.40": (0.6, 0), "0.90": (0.9, 1), "0.15": (0.3, 2)}
    assert axes.yaxis_inverted() and axes.get_xlim() == (0, 1)
    (free,) = curves.bars_with_seeds({"one": [20.0]}, limit=None, digits=0, score="steps").axes
    assert free.get_xlim()[1] == 21 and written(free) == ["20"] and labels(free)[0] == "steps"


def test_loss_curve():
    steps, losses = np.arange(10, 610, 10), np.linspace(4, 1, 60) + 0.3 * np.sin(np.arange(60))
    axes, names = curves.loss_curve({"one": (steps, losses), "two": (steps, 2 * losses)}).axes
    check = lines(axes, names, turn=np.log10)
    for name, wanted in (("one", losses), ("two", 2 * losses)):
        assert check[name] == (approx(steps), approx(running_mean(wanted, 2)))
    thin = [line for line in axes.lines if line.get_linewidth() < 1]
    assert [line.get_ydata().tolist() for line in thin] == [approx(losses), approx(2 * losses)]
    assert running_mean([1, 2, 6, 3, 9], 1).tolist() == [1, 3, approx(11 / 3), 6, 6], "fewer near the ends"
    assert axes.get_yscale() == "log" and labels(axes)[:2] == ("step", "loss per token (nats)")
    low, high = axes.get_ylim()
    assert low < losses.min() and high > 2 * losses.max(), "the thin line is seen whole"


def test_steering_bars():
    (axes,) = curves.steering_bars({"le": 0.2, "la": 0.7, "un": 0.04}, {"le": 0.6, "la": 0.25, "du": 0.1}, most=3).axes
    words = [row(axes, k)[0] for k in range(3)]
    assert words == ["la", "le", "du"], "the largest of either first"
    found = [(round(bar.place), bar.colour, bar.end) for bar in bars(axes)]
    wanted = {"la": (0.7, 0.25), "le": (0.2, 0.6), "du": (0.0, 0.1)}
    assert found == [(k, colour, wanted[word][i]) for k, word in enumerate(words)
                     for i, colour in enumerate((PALE_, BLUE_))], "pale: before, blue: after, below it"  # fmt: skip
    above, under = (row(axes, -0.2)[-1], row(axes, 0.2)[-1])
    assert (above, under) == ("0.70 before", "0.25 after") and row(axes, 1.2) == ["0.60"]
    (one,) = curves.steering_bars({"le": 0.2, "la": 0.7}, title="t").axes
    assert [bar.end for bar in bars(one)] == [0.7, 0.2] and row(one, 0) == ["la", "0.70"] and labels(one)[2] == "t"


# ---- word vectors, memory, gradients ---------------------------------------------------------------------------------


def test_cosine_bars():
    figure = embeddings.cosine_bars([("four", 0.9), ("five", 0.4), ("x", -0.3)], asked=("five",), title="three")
    (axes,) = figure.axes
    assert [(bar.end if bar.end else bar.start) for bar in bars(axes)] == approx([0.9, 0.4, -0.3])
    assert [bar.hatch for bar in bars(axes)] == [None, "//", None]
    said = ["0.90", "0.40  in the question", "-0.30"]
    assert [row(axes, k) for k in range(3)] == [[w, s] for w, s in zip(("four", "five", "x"), said, strict=True)]
    assert axes.yaxis_inverted() and figure_texts(figure) == ["cosine", "three"] and axes.get_xlim()[1] == 1


def test_memory_lines():
    figure = gates.memory_lines({"first": [3, 1, 2], "second": [0.5, 5, np.nan]}, first=4, marks=[5], mark="reset",
                                xlabel="x", ylabel="y", title="t")  # fmt: skip
    (axes,) = figure.axes
    assert lines(axes) == {
        "first": ([4, 5, 6], [3, 1, 2]),
        "second": ([4, 5, 6], [0.5, 5, approx(np.nan, nan_ok=True)]),
    }
    assert [line.get_xdata() for line in axes.lines if line.get_linestyle() == ":" and len(line.get_xdata()) == 2] == [
        [5, 5]
    ]
    assert labels(axes) == ("x", "y", "t") and figure_texts(figure) == ["⋮ reset"]


def test_forgetting():
    f = 1 / (1 + np.exp(-2))
    gate, kept = gates.forgetting(2.0, most=10).axes
    assert points(gate, "o") == [(2.0, approx(f), BLUE_)] and gate.get_title(loc="left") == f"f = {f:.4f}"
    x, y = gate.lines[0].get_data()
    assert y == approx(1 / (1 + np.exp(-x)))
    assert kept.lines[0].get_ydata() == approx(f ** np.arange(11)) and list(kept.lines[0].get_xdata()) == list(
        range(11)
    )
    half = np.log(0.5) / np.log(f)
    assert points(kept, "o") == [(approx(half), 0.5, VERMILLION_)]
    assert labels(kept) == ("steps", "share of c left", f"half is gone after {half:.1f} steps")
    assert not points(gates.forgetting(7.0, most=10).axes[1], "o"), "the half-life lies beyond the picture"


def test_gradient_by_distance():
    runs = {"first": [[1, 0.1, 1e-4], [1, 1e-2, 1e-2], [1, 1e-3, 1e-3]], "second": [[1, 10, 1e3]]}
    (axes,) = gradients.gradient_by_distance(runs, title="t").axes
    check_two(axes, [0, 1, 2], [0, -2, -3], [0, 1, 3])
    check_band(axes, [0, 1, 2], [(0, 0), (-3, -1), (-4, -2)])
    assert labels(axes) == ("steps back from the loss", "gradient norm, 10 to the", "t")
    assert gradients.gradient_by_distance({"a": [[1, 1]]}, limits=(-3, 4)).axes[0].get_ylim() == (-3, 4)


def test_cliff():
    path = [(1.2, 0.5), (0.9, 0.8), (0.2, 7.0)]
    left, bar, cut = gradients.cliff(path, 3, title="t").axes
    w, u = np.linspace(0, 1.6, 161), np.linspace(0, 2, 101)
    loss = np.log10(np.clip((u[:, None] * w**3 - 1) ** 2, 1e-4, 1e8))
    check_map(left, loss[::-1], -4, 8)
    assert left.images[0].get_extent() == [0, 1.6, 0, 2]
    arrows = [(note.xyann, note.xy) for note in left.texts]
    edge = (0.9 - 0.7 * 1.2 / 6.2, 2.0)  # where the last step leaves the picture
    assert arrows == [((1.2, 0.5), (0.9, 0.8))] * 2 + [((0.9, 0.8), approx(edge))] * 2
    assert points(left, "o") == [(1.2, 0.5, VERMILLION_)] and labels(left) == ("w", "u", "t")
    assert cut.lines[0].get_ydata() == approx((0.5 * np.linspace(0, 1.6, 400) ** 3 - 1) ** 2)
    assert points(cut, "o") == [(1.2, approx((0.5 * 1.2**3 - 1) ** 2), VERMILLION_)]
    assert labels(cut) == ("w", "loss", "cut at u = 0.50") and bar.get_ylabel() == "loss, 10 to the"


def test_next_symbols():
    figure = gradients.next_symbols({"b": 0.1, " ": 0.6, "\n": 0.25, "a": 0.1}, "to be", " or\nnot", title="t", most=3)
    (axes,) = figure.axes
    assert named_bars(axes) == {"space": (0, 0.6), "new line": (0, 0.25), "a": (0, 0.1)}
    assert [row(axes, k) for k in range(3)] == [["0.60"], ["0.25"], ["0.10"]] and axes.yaxis_inverted()
    assert figure_texts(figure) == ["to be or\nnot"] and labels(axes)[2] == "t"


# ---- surfaces --------------------------------------------------------------------------------------------------------


def test_surface_with_paths():
    grid = np.array([[0.0, 1, 2], [3, 4, 9]])  # two rows, from the lowest y
    paths = {"long way": [[0.5, 1.5], [1, 1], [2, 1.2]], "other": [[0, 1], [3, 1]]}
    one = surface.Surface(grid, (0, 2), (1, 2), paths, (1.5, 1.25), xlabel="wx", ylabel="wy")
    two = surface.Surface(lambda x, y: x + 10 * y, (0, 1), (0, 1), {"other": [[0.2, 0.3], [0.4, 0.9]]})
    left, right, key = surface.surface_with_paths({"left": one, "right": two}, title="both").axes
    assert (labels(left), labels(right)) == (("wx", "wy", "left"), ("$w_1$", "$w_2$", "right"))
    named = {text.get_text(): next(line.get_color() for line in key.lines if line.get_ydata()[0] == y and
                                   line.get_xdata()[0] < x < line.get_xdata()[0] + 1)
             for text in key.texts for x, y in [text.get_position()]}  # fmt: skip

    def way(axes, name):
        coloured = [line for line in axes.lines if line.get_color() == named[name] and len(line.get_xdata()) > 1]
        starts = [dot[:2] for dot in points(axes, "o") if dot[2] == to_hex(named[name])]
        return [line.get_xydata().tolist() for line in coloured], starts

    assert list(named) == ["long way", "other"] and len(set(named.values())) == 2
    assert way(left, "long way") == ([paths["long way"]], [(0.5, 1.5)]) and way(left, "other")[1] == [(0, 1)]
    assert way(right, "other") == ([[[0.2, 0.3], [0.4, 0.9]]], [(0.2, 0.3)]) and way(right, "long way") == ([], [])
    assert points(left, "x") == [(1.5, 1.25, "#000000")] and not points(right, "x")
    assert [text.get_text() for text in left.texts] == ["the path leaves the picture"] and not right.texts
    assert (left.get_xlim(), left.get_ylim()) == ((0, 2), (1, 2))
    filled = left.collections[0]
    top = [k for k, path in enumerate(filled.get_paths()) if len(path.vertices) and path.contains_point((1.999, 1.999))]
    low = [k for k, path in enumerate(filled.get_paths()) if len(path.vertices) and path.contains_point((0.001, 1.001))]
    middle = [
        k for k, path in enumerate(filled.get_paths()) if len(path.vertices) and path.contains_point((0.01, 1.99))
    ]
    assert low[0] < middle[0] < top[0], "the grid's last row lies on top, its last column at the right"
    shades = [filled.get_facecolor()[k].sum() for k in (low[0], middle[0], top[0])]
    assert shades == sorted(shades), "low is dark"


def test_heights_are_even_in_the_root():
    assert surface.heights(np.array([[1.0, 5.0], [np.nan, np.inf]]), None) == approx(1 + 4 * np.linspace(0, 1, 15) ** 2)
    assert surface.heights(np.eye(2), [1, 3]).tolist() == [1, 3]


# ---- heads, kernels --------------------------------------------------------------------------------------------------


def test_head_costs():
    (axes,) = heads.head_costs({"encoder": [[0.1, 0.4], [0.2, 0.6]], "cross": [[1.0, 0.3]]}, title="t").axes
    assert ticks(axes.yaxis) == {0: "encoder", 1: "cross"} and axes.yaxis_inverted()
    found = [
        (line.get_color(), line.get_xdata(), line.get_ydata()) for line in axes.lines if line.get_marker() != "None"
    ]
    assert [(c, list(x)) for c, x, _ in found] == [
        (SERIES[0], [0.1, 0.4]), (SERIES[1], [0.2, 0.6]), (SERIES[0], [1.0, 0.3])
    ]  # fmt: skip
    assert [round(y[0]) for _, _, y in found] == [0, 0, 1] and found[0][2][0] < found[1][2][0]
    assert labels(axes) == ("extra loss with this head off (nats a word)", "", "t")


def test_error_curves():
    runs = {"first": [[100, 10, 1], [50, 1, 0.1], [20, 5, 0.01]], "second": [[0.5, 2, 4]]}
    (axes,) = kernels.error_curves(runs, (4, 8, 32), xlabel="m", title="t", at=8).axes
    check_two(axes, [2, 3, 5], np.log10([50, 5, 0.1]), np.log10([0.5, 2, 4]))
    check_band(axes, [2, 3, 5], [np.log10(pair) for pair in ((20, 100), (1, 10), (0.01, 1))])
    assert {x: said for x, said in ticks(axes.xaxis).items()} == {2: "4", 3: "8", 5: "32"}
    assert {round(y, 6): float(said) for y, said in ticks(axes.yaxis).items()} == {
        round(np.log10(v), 6): v for v in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
    }  # fmt: skip
    upright = [line.get_xdata() for line in axes.lines if line.get_linestyle() == "--" and line.get_color() == GREY]
    assert upright == [[3, 3]] and labels(axes) == ("m", "error", "t")
    (plain,) = kernels.error_curves(TWO, (4, 8, 32), xlabel="m", ylabel="e", log=False).axes
    check_two(plain, [2, 3, 5])
    check_band(plain, [2, 3, 5])


def test_product_orders():
    left, counts, times = kernels.product_orders(64, 16, (2_000_000, 500_000), (0.004, 0.0007)).axes
    big, small = left.patches
    assert big.get_width() == big.get_height() == approx(0.1 + 0.105 * 6) and small.get_width() == approx(
        0.1 + 0.105 * 4
    )
    for square, colour, name, order in ((big, to_hex(BLUE), "N × N:\n4,096\nnumbers", "(Q Kᵀ) V"),
                                        (small, to_hex("#E69F00"), "d × d:\n256\nnumbers", "Q (Kᵀ V)")):  # fmt: skip
        assert row(left, square.get_y() + square.get_height() / 2) == [order, name]
        assert to_hex(square.get_facecolor()) == colour
    for axes, title, wanted in ((counts, "multiply-adds (millions)", (2.0, 0.5)), (times, "milliseconds", (4.0, 0.7))):
        assert named_bars(axes) == {"(Q Kᵀ) V": (0, approx(wanted[0])), "Q (Kᵀ V)": (0, approx(wanted[1]))}
        assert [bar.colour for bar in bars(axes)] == [to_hex(BLUE), to_hex("#E69F00")]
        assert {text.xy[1]: float(text.get_text()) for text in axes.texts} == dict(enumerate(wanted))
        assert axes.get_title(loc="left") == title and axes.yaxis_inverted()


def test_recall_view():
    curves_ = {"outer": [1, 0.6, 0.1], "softmax": [1, 0.9, 0.8]}
    answer, below = kernels.recall_view([0.1, -0.4, 0.9, 0.3], 1, (2, 8, 64), curves_, 8, 32, "Linear").axes
    assert [(bar.place, bar.end, bar.colour) for bar in bars(answer, upright=True)] == [
        (0, 0.1, PALE_), (1, -0.4, VERMILLION_), (2, 0.9, PALE_), (3, 0.3, PALE_)
    ]  # fmt: skip
    assert labels(answer) == ("", "comes back", "Linear, 8 pairs in 32 dimensions: which value?")
    assert [text.xy[0] for text in answer.texts] == [1]
    assert lines(below) == {name: ([1, 3, 6], shares) for name, shares in curves_.items()}
    upright = [(line.get_xdata()[0], line.get_linewidth()) for line in below.lines if len(set(line.get_xdata())) == 1]
    assert upright == [(3, 1.2), (5, 6)], "n dashed, d broad"
    assert place(below, " n = d")[0] == 5 and ticks(below.xaxis) == {1: "2", 3: "8", 6: "64"}
    assert labels(below)[:2] == ("pairs n", "found again")


def test_measured_lines():
    (axes,) = long_memory.measured_lines(TWO, ["0", "8", "64"], xlabel="m", ylabel="p", title="t", marked="8").axes
    check_two(axes, [0, 1, 2])
    check_band(axes, [0, 1, 2])
    assert labels(axes) == ("m", "p", "t") and ticks(axes.xaxis) == {0: "0", 1: "8", 2: "64"}
    assert axes.lines[-1].get_xdata() == [1, 1]


# ---- normalisation, positions ----------------------------------------------------------------------------------------


def test_scale_by_layer():
    sizes = {"first": [[1, 1e-3, 1e-2], [1, 1e-2, 1e-4], [10, 1e-1, 1e-3]], "second": [[1, 1, 100]]}
    above, below = normalisation.scale_by_layer({"spread": sizes, "gradient": {"third": [[0.1, 1]]}}, title="t").axes
    check_two(above, [1, 2, 3], [0, -2, -3], [0, 0, 2])
    check_band(above, [1, 2, 3], [(0, 1), (-3, -1), (-4, -2)])
    assert lines(below) == {"third": ([1, 2], [-1, 0])}
    assert (labels(above), labels(below)) == (("", "spread", "t"), ("layer, counted from the input", "gradient", ""))
    assert ticks(above.yaxis)[-2.0] == "$10^{-2}$"


def test_beside_neighbours():
    rows = {"batch": ([0.5, -1.0], [0.75, 2.0]), "layer": ([0.1, 0.2], [0.1, 0.2])}
    figure = normalisation.beside_neighbours(["cat", "dog"], rows, title="t")
    batch, layer, key = figure.axes
    look = {to_hex(box.get_facecolor()): box.get_y() + box.get_height() / 2 for box in key.patches}
    assert list(look) == [PALE_, BLUE_] and written(key) == ["as first", "now"]
    assert [box.get_hatch() for box in key.patches] == ["//", None]
    assert place(key, "as first")[0] < key.patches[1].get_x() < place(key, "now")[0], "each name behind its colour"
    for axes, name, change in ((batch, "batch", "changed by 3.00"), (layer, "layer", "no change at all")):
        before, after = rows[name]
        found = [(round(bar.place), bar.colour, bar.hatch, bar.end) for bar in bars(axes, upright=True)]
        assert found == [(k, *look_, value) for k in range(2)
                         for look_, value in (((PALE_, "//"), before[k]), ((BLUE_, None), after[k]))]  # fmt: skip
        assert written(axes) == [name, change]
    assert ticks(layer.xaxis) == {0: "cat", 1: "dog"} and figure_texts(figure) == ["t"]
    assert batch.get_ylim() == layer.get_ylim() and batch.get_ylim()[1] == approx(2.3), "one scale for all rows"


def test_place_curve():
    figure = positions.place_curve(TWO, 4, 6, chance=0.125, title="t", score="s")
    (axes,) = figure.axes
    check_two(axes, [4, 5, 6])
    check_band(axes, [4, 5, 6])
    shade = axes.patches[0]
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (3.5, 5.5), "places 4 and 5 are below 6"
    assert [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"] == [0.125]
    assert labels(axes) == ("place in the line", "s", "t")


# ---- the race --------------------------------------------------------------------------------------------------------


def test_race_dots():
    scores = {"listops": {"dense": [0.3, 0.45], "window": [0.1]}, "pixels": {"dense": [0.8], "window": [0.7, 0.6]}}
    figure = race.race_dots(scores, {"listops": 0.2, "pixels": 0.15}, reference="dense", title="t")
    for axes, (task, found) in zip(figure.axes, scores.items(), strict=True):
        guess, dense, window = axes.lines
        assert axes.get_title() == task and guess.get_xdata()[0] == {"listops": 0.2, "pixels": 0.15}[task]
        for line, plug, colour, y in ((dense, "dense", VERMILLION, 0), (window, "window", BLUE, 1)):
            assert (list(line.get_xdata()), set(line.get_ydata())) == (found[plug], {y}) and line.get_color() == colour
        band = axes.patches[0]
        assert (band.get_x(), band.get_x() + band.get_width()) == approx((min(found["dense"]), max(found["dense"])))
    assert ticks(figure.axes[0].yaxis) == {0: "dense", 1: "window"} and figure.axes[0].yaxis_inverted()
    assert figure_texts(figure) == ["share right, one dot per seed", "t"]


def test_cost_bars():
    (axes,) = race.cost_bars({"half": 0.5, "twenty": 20.0, "tiny": 0.01}, xlabel="cost", low=1e-3, high=50).axes
    assert named_bars(axes) == {"twenty": (1, approx(20)), "half": (0.5, 1), "tiny": (0.01, approx(1))}
    assert [bar.colour for bar in bars(axes)] == [VERMILLION_, BLUE_, BLUE_], "dearer than dense is vermillion"
    assert {text.xy: text.get_text() for text in axes.texts} == {(20, 0): "20", (0.5, 1): "1/2", (0.01, 2): "1/100"}
    assert axes.get_xscale() == "log" and axes.get_xlim() == (1e-3, 50) and labels(axes)[0] == "cost"


def test_cost_curves():
    costs = {"first": {10: 1, 100: 100}, "second": {10: 2, 100: 20}}
    axes, names = race.cost_curves(costs, ylabel="ms", title="t").axes
    assert lines(axes, names, turn=np.log10) == {name: ([10, 100], list(c.values())) for name, c in costs.items()}
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log") and labels(axes)[:2] == ("length N", "ms")
    assert names.get_ylim() == approx(np.log10(axes.get_ylim())), "names stand at their lines"
    assert ticks(axes.xaxis) == {10: "10", 100: "100"}


def test_trade_off():
    entries = [race.Entry("a", 1, 0.5, 1), race.Entry("b", 10, 0.7, 4), race.Entry("c", 0.1, 0.9, 2)]
    (axes,) = race.trade_off(entries, xlabel="x", ylabel="y", title="t", reference="b").axes
    for entry, circle, name in zip(entries, axes.collections, (t for t in "abc"), strict=True):
        assert circle.get_offsets().tolist() == [[entry.x, entry.y]]
        assert to_hex(circle.get_facecolor()[0]) == (VERMILLION_ if name == "b" else BLUE_)
        note = next(text for text in axes.texts if text.get_text() == name)
        assert note.xy == approx(axes.transData.transform((entry.x, entry.y))), "a name is tied to its circle"
    sizes = [float(circle.get_sizes()[0]) for circle in axes.collections]
    assert sizes == approx([sizes[1] / 4, sizes[1], sizes[1] / 2]), "areas go with the size"
    assert labels(axes)[:2] == ("x", "y") and axes.get_xscale() == "log"


# ---- self-attention, tagging, training, the Transformer --------------------------------------------------------------


def test_reaching_gradients():
    plain, scaled = [np.array([1.0, 3.0, 8.0]), np.array([0.1, 0.2, 0.9])], [np.array([2.0, 4.0, 9.0]), np.full(3, 0.5)]
    figure = self_attention.reaching_gradients((4, 64), plain, scaled)
    for axes, name, sizes in zip(figure.axes, ("softmax(q · k)", "softmax(q · k / √d)"), (plain, scaled), strict=True):
        dots = [line.get_ydata().tolist() for line in axes.lines if line.get_color() == GREY]
        assert dots == [some.tolist() for some in sizes] and axes.get_title(loc="left") == name
        means = next(line for line in axes.lines if line.get_marker() == "s")
        medians = next(line for line in axes.lines if line.get_marker() == "o")
        assert means.get_ydata() == approx([some.mean() for some in sizes])
        assert medians.get_ydata() == approx([np.median(some) for some in sizes])
        assert ticks(axes.xaxis) == {0: "4", 1: "64"} and axes.get_yscale() == "log"
        assert place(axes, "mean")[1] == approx(3 * sizes[0].mean())
    assert labels(figure.axes[0])[:2] == ("width d of q and k", "size of the gradient at q")


def test_saturation():
    scores = np.array([1.0, -2.0, 6.0])
    above, below = self_attention.saturation(scores, 9).axes
    for axes, wide, name in ((above, 1, "softmax(q·k)"), (below, 3, "softmax(q·k / √9)")):
        e = np.sort(scores / wide)[::-1]
        weights = np.exp(e) / np.exp(e).sum()
        assert [bar.end for bar in bars(axes, upright=True)] == approx(weights)
        title = f"{name}: the scores spread by {e.std():.1f}, the largest weight is {weights.max():.2f}"
        assert axes.get_title(loc="left") == title and axes.get_ylim() == (0, 1) and axes.get_ylabel() == "weight"
    assert ticks(below.xaxis) == {1: "1", 2: "2", 3: "3"} and below.get_xlabel() == "the keys, best first"


def test_label_shares():
    (axes,) = tagging.label_shares({"her": {"DET": 2, "PRON": 6}, "that": {"SCONJ": 5}}, title="t").axes
    assert ticks(axes.yaxis) == {0: "her", 1: "that"} and axes.yaxis_inverted() and labels(axes)[2] == "t"
    assert sorted((bar.place, bar.start, bar.end) for bar in bars(axes)) == [(0, 0, 0.75), (0, 0.75, 1), (1, 0, 1)]
    said = {text.get_text(): text.get_position() for text in axes.texts}
    assert said == {"PRON 75%": (0.375, 0), "DET 25%": (0.875, 0), "SCONJ 100%": (0.5, 1)}


def test_gradient_by_block():
    norms = {"first": [0.01, 0.05, 0.2], "second": [0.3, 0.1, 0.04]}
    axes, names = training.gradient_by_block(norms, title="t").axes
    assert lines(axes, names, turn=np.log10) == {name: ([1, 2, 3], approx(v)) for name, v in norms.items()}
    assert (
        axes.get_yscale() == "log" and axes.get_ylim() == (0.003, 0.6) and ticks(axes.xaxis) == {1: "1", 2: "2", 3: "3"}
    )
    assert labels(axes) == ("block (1 reads the words)", "norm of the gradient", "t")


def test_rate_curves():
    rates = {"first": [0.1, 0.4, 0.2], "second": [0.3, 0.25]}
    (axes,) = training.rate_curves(rates, title="t").axes
    assert lines(axes) == {"first": ([1, 2, 3], rates["first"]), "second": ([1, 2], rates["second"])}
    assert labels(axes) == ("update", "learning rate", "t") and axes.get_ylim() == approx((0, 0.432))


def test_cost_lines():
    costs = {"first": [1.0, 2.0, 3.5], "second": [1.5, 4.0, 9.0]}
    (axes,) = transformer.cost_lines(costs, (8, 16, 40), xlabel="x", ylabel="y", title="t").axes
    assert lines(axes) == {name: ([8, 16, 40], values) for name, values in costs.items()}
    assert labels(axes) == ("x", "y", "t") and (axes.get_xlim()[0], axes.get_ylim()[0]) == (0, 0)


@pytest.mark.parametrize("piece", PIECES)
def test_piece_view(piece):
    diagram, curve = transformer.piece_view(piece, "what is said", FIRST, [[0.4, 0.2, 0.0], [0.3, 0.1, 0.0]],
                                            ("3-7", "8-11", "12"), trained=2).axes  # fmt: skip
    whole, without = curve.lines
    assert (whole.get_color(), without.get_color()) == (GREY, VERMILLION)
    assert whole.get_ydata() == approx(MEDIAN) and without.get_ydata() == approx([0.35, 0.15, 0.0])
    check_band(curve, [0, 1, 2], BAND, GREY)
    check_band(curve, [0, 1, 2], [(0.3, 0.4), (0.1, 0.2), (0, 0)], VERMILLION)
    key = {text.get_text(): text.get_color() for text in curve.texts}
    assert list(key) == ["● whole", "■ without"] and (whole.get_marker(), without.get_marker()) == ("o", "s")
    assert ticks(curve.xaxis) == {0: "3-7", 1: "8-11", 2: "12"} and labels(curve)[1] == "exact match"
    assert curve.patches[0].get_x() + curve.patches[0].get_width() == 1.5
    assert f"without {piece}" in written(diagram) and "what is said" in written(diagram)
    check_struck(diagram, piece)


X, Y = 0.6 + 1.55 / 2, 2.8 + 1.55 / 2  # the middles of the two columns
STRUCK = {  # piece -> the middles of its crosses
    "within-X": [(X, 1.75)], "within-Y": [(Y, 1.75)], "between": [(Y, 2.65)],
    "feed-forward": [(X, 2.65), (Y, 3.55)], "mask": [(Y, 1.75 + 0.115)],
    "positions": [(X + 0.48, 1.17), (Y + 0.48, 1.17)],
    "residuals": [(X + 0.935, 1.75), (X + 0.935, 2.65), (Y + 0.935, 1.75), (Y + 0.935, 2.65), (Y + 0.935, 3.55)],
    "norms": [(X, 1.46), (X, 2.36), (X, 3.25), (Y, 1.46), (Y, 2.36), (Y, 3.26), (Y, 4.15)],
}  # fmt: skip
NAMES = {"within-X": "self-attention", "within-Y": "masked\nself-attention", "between": "cross-attention"}


def check_struck(axes, piece):
    """A cross lies on the piece and on nothing else."""
    crosses = [line for line in axes.lines if line.get_color() == VERMILLION]
    found = sorted({(round(float(np.mean(line.get_xdata())), 4), round(float(np.mean(line.get_ydata())), 4))
                    for line in crosses})  # fmt: skip
    assert found == [approx(at, abs=0.01) for at in sorted(STRUCK[piece])]
    if piece in NAMES:
        assert place(axes, NAMES[piece]) == approx(found[0], abs=0.011)


def test_transformer_diagram():
    (axes,) = transformer.transformer_diagram().axes
    left, right = 0.6 + 1.55 / 2, 2.8 + 1.55 / 2
    columns = {left: [], right: []}
    for text in sorted(axes.texts, key=lambda t: t.get_position()[1]):
        at = [x for x in columns if abs(text.get_position()[0] - x) < 0.01]
        if at and text.get_text() != "+":
            columns[at[0]].append(text.get_text())
    assert columns[left] == ["English words", "embedding · √d", "self-attention", "feed-forward"]
    assert columns[right] == ["French words so far", "embedding · √d", "masked\nself-attention", "cross-attention",
                              "feed-forward", "output · softmax", "next French word"]  # fmt: skip
    colours = {name: next(to_hex(p.get_facecolor()) for p in axes.patches if hasattr(p, "get_boxstyle") and
                          abs(p.get_x() + p.get_width() / 2 - place_[0]) < 0.01 and
                          abs(p.get_y() + p.get_height() / 2 - place_[1]) < 0.03)
               for name, place_ in ((n, place(axes, n)) for n in ("self-attention", "masked\nself-attention",
                                                                  "cross-attention"))}  # fmt: skip
    key = {name: next(to_hex(box.colour) for box in boxes(axes) if box.x == approx(5.02) and
                      abs(box.y - place(axes, name)[1]) < 0.05)
           for name in ("within X", "within Y", "between")}  # fmt: skip
    assert list(colours.values()) == list(key.values()) and len(set(key.values())) == 3
    assert bold(axes) == ["within X", "within Y", "between"]
