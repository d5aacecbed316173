"""Heat maps, cells and points show the numbers that they were given, each in its place. One test a function, of its
name; all numbers of a map differ, and no map is square where it need not be."""

import numpy as np
from drawn import (
    arrows,
    bars,
    boxes,
    check_map,
    collections,
    figure_texts,
    grid,
    image,
    labels,
    lines,
    place,
    points,
    row,
    ticks,
    value,
    written,
)
from matplotlib.colors import to_hex, to_rgb
from pytest import approx

from course_utils.plots import (
    attention,
    buckets,
    gates,
    heads,
    kernels,
    long_memory,
    normalisation,
    positions,
    race,
    sparse,
    tagging,
    training,
    transformer,
)
from course_utils.plots.style import BLUE, GREY, ORANGE, PALE, SERIES, SKY, VERMILLION

BLUE_, GREY_, ORANGE_, PALE_, SKY_, VERMILLION_ = map(to_hex, (BLUE, GREY, ORANGE, PALE, SKY, VERMILLION))
WEIGHTS = np.array([[0.62, 0.3, 0.08], [0.01, 0.17, 0.82]])  # two words look at three
SOURCE, TARGET = ("un", "deux", "trois"), ("one", "two")


def table(*shape: int) -> np.ndarray:
    """Different numbers between 0 and 1."""
    return (np.arange(np.prod(shape)).reshape(shape) * 7 % np.prod(shape) + 0.5) / np.prod(shape)


def check_words(axes, above, beside):
    """`above` over the columns, `beside` at the left of the rows of a map whose cells are one unit."""
    for j, word in enumerate(above):
        x, y = place(axes, word)
        assert x == j and y < -0.5
    for i, word in enumerate(beside):
        x, y = place(axes, word)
        assert y == i and x < -0.5


# ---- attention -------------------------------------------------------------------------------------------------------


def test_alignment_map():
    figure = attention.alignment_map(SOURCE, TARGET, WEIGHTS, {(0, 0)}, {(0, 0), (2, 1)}, title="t")
    axes, bar = figure.axes
    check_map(axes, WEIGHTS)
    check_words(axes, SOURCE, TARGET)
    assert grid(axes, 2, 3) == [[".62", ".30", ".08"], ["", ".17", ".82"]]
    frames = [(box.x, box.y, p.get_linestyle()) for box, p in zip(boxes(axes), axes.patches, strict=True)
              if to_hex(box.edge) == VERMILLION_]  # fmt: skip
    assert [(x, y) for x, y, _ in frames] == [approx((0, 0)), approx((2, 1))]
    assert [str(style) for _, _, style in frames] == ["-", "(0, (2.2, 1.4))"], "sure solid, possible dashed"
    key = [(box.get_x(), str(box.get_linestyle())) for box in figure.artists]
    assert [style for _, style in sorted(key)] == ["-", "(0, (2.2, 1.4))"], "as in the words beside them"
    check_map(bar, np.linspace(0, 1, 64)[::-1, None])
    assert place(bar, "0")[1] == 0 and place(bar, "1")[1] == 1
    assert figure_texts(figure) == ["gold link, sure", "gold link, possible", "t"]


def test_head_maps():
    weights = table(3, 2, 4)
    figure = heads.head_maps(("a", "b", "c", "d"), TARGET, weights, title="t")
    for axes, some in zip(figure.axes, weights, strict=True):
        check_map(axes, some)
        check_words(axes, "abcd", TARGET if axes is figure.axes[0] else ())
    names = {text.get_text(): text.get_position()[0] for text in figure.texts}
    assert list(names) == ["head 1", "head 2", "head 3", "t"]
    assert [names[f"head {h + 1}"] for h in range(3)] == [approx(axes.get_position().x0) for axes in figure.axes]


def test_head_view():
    before, after = (0.9, 0.2, 0.35), (0.15, 0.25, 0.05)
    view = heads.HeadView("a head", SOURCE, TARGET, WEIGHTS, ("one", "two", "two"), before, after)
    axes, chart = heads.head_view(view).axes
    check_map(axes, WEIGHTS)
    check_words(axes, SOURCE, TARGET)
    found = [(round(bar.place), bar.colour, bar.end) for bar in bars(chart)]
    assert found == [(k, colour, pair[k]) for k in range(3) for colour, pair in ((PALE_, before), (BLUE_, after))]
    assert [row(chart, k, within=0.05)[0] for k in range(3)] == ["one", "two", "two"]
    said = [[row(chart, k - 0.2)[-1], row(chart, k + 0.2)[-1]] for k in range(3)]
    assert said == [["0.90 on", "0.15 off"], ["0.20", "0.25"], ["0.35", "0.05"]], "pale: on, blue: off"
    assert chart.get_ylim()[0] > chart.get_ylim()[1] and figure_texts(axes.figure) == [
        "a head",
        "probability of its word",
    ]
    alone = heads.head_view(heads.HeadView("a head", SOURCE, TARGET, WEIGHTS, ("one",), (0.9,), None)).axes[1]
    assert [bar.end for bar in bars(alone)] == [0.9] and written(alone) == ["0.90", "one"]


def test_transformer_frame():
    S, T, L, H = 3, 4, 2, 2
    film = transformer.TransformerFilm(
        SOURCE, ("<begin>", "a", "b", "c"), ("a", "b", "c", "<end>"), table(L, H, S, S), 1 - table(L, H, T, T),
        table(L, H, T, S) ** 2, tuple((("x" + w, 0.6 + 0.01 * k), ("y" + w, 0.2)) for k, w in enumerate("abcd")),
    )  # fmt: skip
    step, layer, head = 1, 1, 0
    figure = transformer.transformer_frame(film, step, layer, head)
    encoder, decoder, cross, chart = figure.axes
    check_map(encoder, film.encoder[layer, head])
    seen = film.decoder[layer, head].copy()
    seen[np.triu_indices(T, 1)] = np.nan
    seen[step + 1 :] = np.nan
    check_map(decoder, seen)
    between = film.cross[layer, head].copy()
    between[step + 1 :] = np.nan
    check_map(cross, between)
    def words(axes, upright):  # a word may name a column and a row
        coordinate = (lambda t: t.get_position()[0]) if upright else (lambda t: t.get_position()[1])
        found = [t for t in axes.texts if (t.get_rotation() == 90) == upright]
        return [t.get_text() for t in sorted(found, key=coordinate)]

    for axes, some in ((encoder, SOURCE), (decoder, film.read)):
        assert words(axes, True) == words(axes, False) == list(some)
    assert words(cross, False) == ["a", "b"], "what is written up to this step"
    for axes in (decoder, cross):
        frame = boxes(axes)[-1]
        assert (frame.y, frame.tall, to_hex(frame.edge)) == (step, 1, VERMILLION_)
    assert len(boxes(encoder)) == 1, "no step there"
    assert [row(chart, 0), row(chart, 1)] == [["xb", "0.61"], ["yb", "0.20"]]
    assert [bar.end for bar in bars(chart)] == [0.61, 0.2]
    title, *names = figure.texts
    assert title.get_text() == "layer 2, head 1, word 2: reads “a”, writes “b”"
    for name, axes in zip(names, (encoder, decoder, cross), strict=True):
        spot, (x, y) = axes.get_position(), name.get_position()
        assert name.get_text() == {encoder: "within X", decoder: "within Y", cross: "between"}[axes]
        others = [o.get_position() for o in (encoder, decoder, cross)]
        between_ = [o for o in others if spot.y1 < o.y1 <= y and abs(o.x0 - x) < 0.01]
        assert x == approx(spot.x0) and y > spot.y1 and not between_, "its own map lies below a name"


# ---- gates, tagging --------------------------------------------------------------------------------------------------


def test_gate_strips():
    groups = {"forget gate": table(3, 5), "input": 1 - table(2, 5)}
    figure = gates.gate_strips(groups, marks=[2, 4], mark="told", title="t")
    forget, other, bar = figure.axes
    for axes, (name, some) in zip((forget, other), groups.items(), strict=True):
        check_map(axes, some)
        assert name in written(axes) and axes.get_xlim() == (0.5, 5.5)
    marks = [text.get_position()[0] for text in forget.texts if text.get_text() == "▼"]
    assert marks == [2, 4] and "▼" not in written(other) and figure_texts(figure) == ["t", "▼ told"]
    assert ticks(other.xaxis) == {1: "1", 5: "5"} and bar.get_ylim() == (0, 1)


def test_memory_strip():
    words, names = ("her", "old", "map"), ("NOUN", "DET", "VERB")
    states, old = 2 * table(3, 4) - 1, 0.5 - table(3, 4)
    now = np.array([[0.1, 0.7, 0.2], [0.55, 0.05, 0.4], [0.8, 0.15, 0.05]])
    then = np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.1, 0.2, 0.7]])
    memory = tagging.Memory("a model", words, states, names, now, 1, old, then)
    strip, change, chart = tagging.memory_strip(memory, 1).axes
    shown = image(strip)
    assert shown.values == approx(np.where(np.arange(3) <= 1, states.T, np.nan), nan_ok=True)
    assert (shown.low, shown.high) == (-1, 1), "dark -1, bright +1"
    above, below = ([(t.get_text(), t.xy[0]) for t in strip.texts if t.xy[1] == k] for k in (1, 0))
    assert above == [("her", 0), ("old", 1), ("map", 2)] and below == [("DET", 0), ("NOUN", 1)]
    changed = {t.get_text(): (to_hex(t.get_color()), t.get_fontweight()) for t in strip.texts if t.xy[1] == 0}
    assert changed == {"DET": (VERMILLION_, "bold"), "NOUN": ("#000000", "normal")}, "her label was another before"
    assert {t.get_text() for t in strip.texts if to_hex(t.get_color()) == VERMILLION_} == {"old", "DET"}
    frame = strip.lines[-1].get_xdata()
    assert (frame.min(), frame.max()) == (0.5, 1.5) and strip.lines[-1].get_color() == VERMILLION
    moved = np.abs(states - old).mean(1)
    assert [(bar.place, bar.end) for bar in bars(change, upright=True)] == [(t, approx(moved[t])) for t in (0, 1)]
    assert written(change) == [f"{moved[t]:.2f}" for t in (0, 1)]
    filled = [(round(bar.place), bar.end) for bar in bars(chart)]
    hollow = [(p.get_y() + p.get_height() / 2, p.get_width()) for p in chart.patches if not p.get_facecolor()[3]]
    assert filled == [(0, 0.55), (1, 0.4), (2, 0.05)], "the present word's labels, the most probable first"
    assert hollow == [(0, 0.5), (1, approx(0.3)), (2, 0.2)]
    assert [row(chart, k) for k in range(3)] == [
        ["NOUN", "0.55 (was 0.50)"], ["VERB", "0.40 (was 0.30)"], ["DET", "0.05 (was 0.20)"]
    ]  # fmt: skip
    untouched = tagging.memory_strip(tagging.Memory("a model", words, states, names, now, 2), 0).axes
    assert written(untouched[1]) == ["replace word 3 by another to see how far that reaches"]
    assert row(untouched[2], 0) == ["DET", "0.70"] and strip.figure.texts[0].get_text() == "a model"


# ---- heads -----------------------------------------------------------------------------------------------------------


def test_digit_as_set():
    picture = np.arange(64).reshape(8, 8) * 5 % 64
    elements = np.array([[-1, -0.5, 0.25], [0.3, 1.0, 1.0], [0.9, -0.9, 0.5]])
    weights = [[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]
    figure = heads.digit_as_set(picture, elements, weights, names=["one"], title="t")
    axes = figure.axes
    assert image(axes[0]).values == approx(picture) and image(axes[0]).cmap == "Greys"
    sizes = [elements[:, 2], *(np.array(some) / max(some) for some in weights)]
    for some, size in zip(axes[1:], sizes, strict=True):
        (dots,) = some.collections
        assert np.asarray(dots.get_offsets()) == approx(elements[:, :2]) and some.yaxis_inverted()
        assert np.asarray(dots.get_sizes() / dots.get_sizes().max()) == approx(size)
    assert [some.get_title() or some.get_title(loc="left") for some in axes] == ["picture", "as a set", "one", "head 2"]


def test_head_grid():
    (axes,) = training.head_grid(table(2, 3), marked=[(1, 2)], title="t").axes
    check_map(axes, table(2, 3))
    assert grid(axes, 2, 3) == [[f"{v:.2f}"[1:] for v in some] for some in table(2, 3)]
    assert [place(axes, f"{h}")[0] for h in range(3)] == [0, 1, 2]
    assert [place(axes, f"layer {i}")[1] for i in range(2)] == [0, 1]
    assert {(box.x, box.y) for box in boxes(axes)} == {(2, 1)}
    check_map(training.head_grid(9 * table(2, 3), most=12, digits=0).axes[0], 9 * table(2, 3), 0, 12)


# ---- kernels ---------------------------------------------------------------------------------------------------------


def test_square_maps():
    maps = [table(3, 3), 0.4 * table(4, 4) ** 2]
    figure = kernels.square_maps(maps, ["one", "two"], title="t")
    for axes, some, name in zip(figure.axes, maps, ("one", "two"), strict=True):
        check_map(axes, np.sqrt(some), 0, np.sqrt(some.max()))
        assert axes.get_title(loc="left") == name and written(axes) == [f"largest {some.max():.2f}"]


def test_rank_view():
    exact, best = table(4, 4), table(4, 4).T * 0.9
    curves = {"own": [[0.8, 0.3, 0.1]], "other": [[0.9, 0.6, 0.5]]}
    figure = kernels.rank_view(exact, best, 8, curves, (4, 8, 16), "own")
    most = exact.max()
    wanted = (("own", exact), ("best of rank 8", best), ("what is missing", abs(exact - best)))
    for axes, (name, some) in zip(figure.axes, wanted, strict=False):
        check_map(axes, np.sqrt(np.clip(some, 0, most)), 0, np.sqrt(most))
        assert axes.get_title(loc="left") == name
    below = figure.axes[3]
    assert lines(below) == {name: ([2, 3, 4], runs[0]) for name, runs in curves.items()}
    assert [
        line.get_xdata()[0] for line in below.lines if line.get_linestyle() == "--" and line.get_color() == GREY
    ] == [3]
    assert labels(below)[:2] == ("rank k", "relative error")


def test_favor_view():
    exact, estimate = table(3, 3), table(3, 3).T * 0.8
    first, second, cloud = kernels.favor_view(exact, estimate, "error 0.5").axes
    for axes, name, some in ((first, "softmax", exact), (second, "estimated", estimate)):
        check_map(axes, np.sqrt(np.clip(some, 0, exact.max())), 0, np.sqrt(exact.max()))
        assert axes.get_title(loc="left") == name
    diagonal, dots = cloud.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
    assert sorted(map(tuple, dots.get_xydata())) == sorted(zip(exact.ravel(), estimate.ravel(), strict=True))
    assert labels(cloud)[::2] == ("weight (estimate upwards)", "error 0.5")


# ---- long memory -----------------------------------------------------------------------------------------------------


def test_reach_grid():
    used = np.array([[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]], dtype=bool)
    (axes,) = long_memory.reach_grid(used, 2, title="t").axes
    cells = sorted(boxes(axes), key=lambda b: (round(b.y, 4), b.x))
    colours = [[to_hex(b.colour) for b in cells[4 * k : 4 * k + 4]] for k in range(3)]
    assert colours == [[PALE_, BLUE_, BLUE_, BLUE_], [PALE_, PALE_, BLUE_, BLUE_], [PALE_, PALE_, PALE_, VERMILLION_]]
    for k, name in enumerate(("input", "layer 1", "layer 2")):
        assert place(axes, name)[1] == approx(cells[4 * k].y), "the input below"
    middles = [place(axes, f"segment {s + 1}")[0] for s in range(2)]
    assert cells[0].x < middles[0] < cells[2].x - 0.3 < middles[1] < cells[3].x + 0.3
    away = np.diff([cell.x for cell in cells[:4]])
    assert away[0] == approx(away[2]) and away[1] == approx(away[0] + 0.16), "segments are kept apart"


def test_shift_panels():
    (axes,) = long_memory.shift_panels(2, 3).axes
    first, second, third = ("1. one zero in front", "2. cut anew", "3. first row dropped, cut back")
    said = written(axes)
    between = [said[said.index(a) + 1 : said.index(b)] for a, b in ((first, second), (second, third))]
    assert between == ["0 2 1 0 0 2 1 0".split(), "0 2 1 0 0 2 1 0".split()]
    assert said[said.index(third) + 1 : -1] == "1 0 0 2 1 0".split()
    hatched = [bool(box.hatch) for box in boxes(axes)]
    assert hatched == [False] * 8 + [True] * 2 + [False] * 6 + [False, False, True, False, False, False]
    tint = [to_hex(box.colour) for box in boxes(axes)][:8]
    assert tint[:4] == tint[:1] * 4 and tint[4:] == tint[4:5] * 4 and tint[0] != tint[4], "a colour a query"


def test_memory_view():
    losses = [0.5, 4.5, 1.0, 3.0, 2.0, 0.0, 4.0, 1.5]
    read = long_memory.Read("abcdefgh", losses, 4, 5, 3, 4, (0, 8, 32), (9.0, 7.5, 6.0), 8)
    text, key, curve = long_memory.memory_view(read).axes
    cells = boxes(collections(text)[0])
    assert [5 * (1 - value(cell.colour)) for cell in cells] == approx(losses, abs=0.03), "dark is dear"
    assert [cell.x for cell in cells[:4]] == sorted(cell.x for cell in cells[:4]) == [c.x for c in cells[4:]]
    assert cells[0].y > cells[4].y
    frame = boxes(text)[0]
    assert (frame.x, frame.y) == approx((cells[5].x, cells[5].y))
    assert curve.lines[0].get_ydata().tolist() == [9.0, 7.5, 6.0] and list(curve.lines[1].get_xdata()) == [1]
    assert ticks(curve.xaxis) == {0: "0", 1: "8", 2: "32"} and written(curve) == ["7.50"]
    assert labels(curve)[:2] == ("memory (characters)", "perplexity")
    assert "memory 8: what each character costs" in written(text)
    rail = {line.get_color(): line for line in key.lines}
    assert place(key, "one layer sees these")[1] == rail[VERMILLION].get_ydata()[0]
    assert place(key, "all layers reach these")[1] == rail[GREY].get_ydata()[0]
    ramp = image(key).values if key.images[0].get_array().ndim == 2 else key.images[0].get_array()[0]
    assert value(ramp[0]) == 1 and value(ramp[-1]) == 0 and place(key, "0")[0] < place(key, "5 nats")[0]
    spans = {}
    for line in text.lines:
        spans.setdefault(line.get_color(), []).append((round(line.get_ydata()[0], 3), *np.round(line.get_xdata(), 3)))
    wide = cells[1].x - cells[0].x
    left = [cell.x - wide / 2 for cell in cells]
    rows = [cells[0].y - 0.13 - 0.045, cells[4].y - 0.13 - 0.045]

    def rail_of(first, last):  # both rails go from the earliest place to the one before the chosen one
        return [(approx(rows[a // 4], abs=1e-3), approx(left[a], abs=1e-3), approx(left[b] + wide, abs=1e-3))
                for a, b in ((first, 3), (4, last))]  # fmt: skip

    assert spans == {VERMILLION: rail_of(2, 4), GREY: rail_of(1, 4)}


# ---- normalisation ---------------------------------------------------------------------------------------------------


def test_cells_together():
    chosen = np.zeros((2, 3, 2), dtype=bool)
    chosen[0, 1, 0] = chosen[1, 2, 1] = chosen[1, 0, 0] = True
    words = (("the", "cat", "sat"), ("go", "on", ""))
    (axes,) = normalisation.cells_together(words, {"one": chosen, "other": ~chosen}).axes
    cells = boxes(axes)
    assert len(cells) == 24
    xs = sorted({round(cell.x, 3) for cell in cells})
    ys = sorted({round(cell.y, 3) for cell in cells}, reverse=True)
    assert (len(xs), len(ys)) == (6, 4)
    found = np.zeros((2, 2, 3, 2), dtype=bool)  # kind, sentence, word, feature
    for cell in cells:
        j, i = xs.index(round(cell.x, 3)), ys.index(round(cell.y, 3))
        found[j // 3, i // 2, j % 3, i % 2] = to_hex(cell.colour) == SKY_
        assert (cell.hatch == "///") == (i // 2 == 1 and j % 3 == 2), "the pad is hatched"
    assert (found[0] == chosen).all() and (found[1] == ~chosen).all()
    for k, name in enumerate(("one", "other")):
        assert xs[3 * k] <= place(axes, name)[0] <= xs[3 * k + 2]
    for b, some in enumerate(words):
        for t, word in enumerate(some):
            spots = [t_.get_position() for t_ in axes.texts if t_.get_text() == (word or "pad")]
            assert [round(x, 3) for x, _ in spots] == [xs[t], xs[3 + t]] and all(y > ys[2 * b] for _, y in spots)
    assert [place(axes, f"sentence {b + 1}")[1] for b in range(2)] == approx(
        [np.mean(ys[:2]), np.mean(ys[2:])], abs=0.01
    )


# ---- positions -------------------------------------------------------------------------------------------------------


def test_position_view():
    sines = 2 * table(4, 3) - 1
    left, bar, right = positions.position_view(sines, 1, 3).axes
    check_map(left, sines, -1, 1)
    assert labels(left) == ("dimension", "place", "4 places, d = 3")
    products = sines @ sines[1]
    line, _, *dots = right.lines
    assert (line.get_xdata(), line.get_ydata()) == (approx(products), approx(np.arange(4))) and right.yaxis_inverted()
    assert points(right, "o") == [(approx(products[1]), 1, VERMILLION_), (approx(products[3]), 3, BLUE_)]
    edges = sorted(
        (line.get_ydata()[0], to_hex(line.get_color())) for line in left.lines if line.get_color() != "white"
    )
    assert edges == [(0.5, VERMILLION_), (1.5, VERMILLION_), (2.5, BLUE_), (3.5, BLUE_)]
    assert labels(right)[::2] == ("dot product", "place 1 with every place")
    check_map(bar, np.linspace(-1, 1, 64)[::-1, None], -1, 1)
    assert [place(bar, said)[1] for said in ("−1", "0", "1")] == [-1, 0, 1]


def test_small_maps():
    one, other = table(2, 3), np.array([[0.2, -0.4], [np.nan, 0.3]])
    first, second = positions.small_maps({"one": one, "other": other}, xlabel="x", ylabel="y", values=True).axes
    check_map(first, one, -0.4, one.max())
    check_map(second, other, -0.4, one.max())
    assert grid(first, 2, 3) == [[f"{round(v, 2):g}" for v in some] for some in one]
    assert grid(second, 2, 2) == [["0.2", "−0.4"], ["", "0.3"]]
    assert labels(first) == ("x", "y", "one") and labels(second) == ("x", "", "other")
    assert (ticks(first.xaxis), ticks(first.yaxis)) == ({0: "0", 2: "2"}, {0: "0", 1: "1"})
    check_map(positions.small_maps({"one": one}, limits=(-2, 3)).axes[0], one, -2, 3)


def test_convolution_view():
    picture, weights, by_filter, by_heads = table(3, 4), table(3, 4) ** 2, table(3, 4) - 0.9, 0.6 - table(3, 4)
    axes = positions.convolution_view(picture, weights, (2, 1), by_filter, by_heads, head="head 4").axes
    most = abs(by_filter).max()
    for some, name, wanted, low, high in zip(
        axes, ("the image", "head 4 looks", "convolution", "heads, summed"), (picture, weights, by_filter, by_heads),
        (0, 0, -most, -most), (picture.max(), 1, most, most), strict=True,
    ):  # fmt: skip
        check_map(some, wanted, low, high)
        assert some.get_title(loc="left") == name
    assert [points(some, "o")[-1][:2] if some.lines else None for some in axes] == [(1.5, 2.5), (1.5, 2.5), None, None]


# ---- sparse ----------------------------------------------------------------------------------------------------------

PATTERN = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1]], dtype=bool)


def seen_cells(axes, colour: str) -> list[list[bool]]:
    """Which cells of a picture of colours have this one, from above to below."""
    assert axes.images[0].origin == "upper" and axes.yaxis_inverted() and not axes.xaxis_inverted()
    return [[to_hex(cell) == colour for cell in some] for some in axes.images[0].get_array()]


def test_pattern_panels():
    figure = sparse.pattern_panels({"one": PATTERN, "other": ~PATTERN}, title="t")
    for axes, some, name, said in zip(figure.axes, (PATTERN, ~PATTERN), ("one", "other"),
                                      ("5 pairs, 56%", "4 pairs, 44%"), strict=True):  # fmt: skip
        assert seen_cells(axes, BLUE_) == some.tolist() and seen_cells(axes, PALE_) == (~some).tolist()
        assert axes.get_title(loc="left") == name and written(axes) == [said]


def test_reach_view():
    reach = np.array([[0, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 0]], dtype=bool)  # the last layer first
    (axes,) = sparse.reach_view(reach, 2, title="t").axes
    for level, some in enumerate(reach[::-1]):
        cells = [b for b in sorted(boxes(collections(axes)[0])) if abs(b.y - level) < 0.01]
        chosen = VERMILLION_ if level == 2 else BLUE_
        assert [(cell.x, to_hex(cell.colour)) for cell in cells] == [
            (approx(j), chosen if x else PALE_) for j, x in enumerate(some)
        ]  # fmt: skip
        many = int(some.sum())
        assert row(axes, level) == [f"layer {level}" if level else "words", f"{many} place{'s' * (many > 1)}"]
    assert place(axes, "2")[0] == 2 and not axes.yaxis_inverted() and labels(axes)[2] == "t"


def test_painted_map():
    weights = np.array([[0.9, 0.1, 0.005], [0.3, 0.5, 0.2], [0.15, 0.25, 0.6]])
    figure = sparse.painted_map(PATTERN, weights, ("a", "b", "c"), [0.5, 0.75, 1.0], 0.64)
    axes, pairs, mass, reached = figure.axes
    colours = axes.images[0].get_array()
    for i, j in np.ndindex(3, 3):
        if PATTERN[i, j]:
            assert value(colours[i, j]) == approx(np.sqrt(weights[i, j] / 0.9), abs=0.005)
        else:
            assert to_hex(colours[i, j]) == PALE_
    (dots,) = axes.collections
    lost = {tuple(at): size for at, size in zip(dots.get_offsets().tolist(), dots.get_sizes(), strict=True)}
    assert lost == {(1, 0): approx(0.1 * 3200 / 3), (2, 1): approx(0.2 * 3200 / 3), (0, 2): approx(0.15 * 3200 / 3)}
    for k, word in enumerate("abc"):
        spots = sorted(t.get_position() for t in axes.texts if t.get_text() == word)
        assert [spots[0][1], spots[1][0]] == [k, k]
    for some, name, share, colour in ((pairs, "pairs looked at", 5 / 9, BLUE_), (mass, "mass kept", 0.64, ORANGE_)):
        assert [(bar.end, bar.colour) for bar in bars(some)] == [(1, PALE_), (approx(share), colour)]
        assert some.get_title(loc="left") == name and written(some) == [f"{share:.0%}"]
    assert [(bar.place, bar.end) for bar in bars(reached, upright=True)] == [
        (approx(k + 1), share) for k, share in enumerate((0.5, 0.75, 1.0))
    ]  # fmt: skip
    assert labels(reached)[::2] == ("layers", "pairs reached")


def test_pixel_panels():
    picture, one = table(2, 3), np.array([[1, 0, 0], [0, 1, 1]], dtype=bool)
    figure = sparse.pixel_panels(picture, (0, 2), {"one": one, "other": ~one})
    for axes, some, name in zip(figure.axes, (one, ~one), ("one", "other"), strict=True):
        shown = np.asarray(axes.images[0].get_array())
        grey = 1 - 0.75 * picture / picture.max()
        tinted = 0.35 * grey[..., None] + 0.65 * np.array(to_rgb(ORANGE))
        assert shown == approx(np.where(some[..., None], tinted, grey[..., None]))
        assert points(axes, "s") == [(2, 0, VERMILLION_)] and written(axes) == ["3 pixels"]
        assert axes.get_title(loc="left") == name and axes.yaxis_inverted()


# ---- buckets ---------------------------------------------------------------------------------------------------------

POINTS = np.array([[1.0, 0.2], [0.9, 0.5], [-0.2, 0.8], [-0.7, -0.3]])


def bucket_of(axes) -> dict[tuple[float, float], tuple[str, str]]:
    return {(float(x), float(y)): (to_hex(line.get_color()), line.get_marker()) for line in axes.lines
            if line.get_linestyle() == "None" for x, y in line.get_xydata()}  # fmt: skip


def test_plane_buckets():
    labelled = [[0, 0, 1, 2], [3, 0, 7, 3]]
    directions = [[[1, 0], [0, 0.5]], [[-1, 0.25]]]
    figure = buckets.plane_buckets(POINTS, labelled, ["one", "two"], directions, title="t")
    for axes, some, ways, name in zip(figure.axes, labelled, directions, ("one", "two"), strict=True):
        looks = bucket_of(axes)
        assert set(looks) == {tuple(p) for p in POINTS}
        assert [looks[tuple(p)][0] for p in POINTS] == [to_hex(SERIES[label % 7]) for label in some]
        full = {line.get_fillstyle() for line in axes.lines if to_hex(line.get_color()) == to_hex(SERIES[0])}
        assert full == ({"full"} if name == "one" else {"full", "none"}), (
            "bucket 7 has bucket 0's colour, but is hollow"
        )
        assert arrows(axes) == [((0, 0), tuple(way)) for way in ways] and axes.get_title(loc="left") == name


def test_lsh_view():
    recall, seen = [0.25, 0.5, 1.0], [0.1, 0.3, 0.7]
    ways = [[1, 0], [0, 0.5]]
    plane, axes = buckets.lsh_view(POINTS, [0, 1, 1, 1], ways, [1, 0, 3, 2], recall, seen, 2).axes
    joins = [(line.get_xydata().tolist(), line.get_color(), line.get_linewidth()) for line in plane.lines
             if line.get_linestyle() != "None"]  # fmt: skip
    assert joins == [([POINTS[i].tolist(), POINTS[j].tolist()], "black" if met else VERMILLION, 2 if met else 1)
                     for i, j, met in ((0, 1, False), (1, 0, False), (2, 3, True), (3, 2, True))]  # fmt: skip
    assert [bucket_of(plane)[tuple(p)][0] for p in POINTS] == [to_hex(SERIES[k]) for k in (0, 1, 1, 1)]
    assert arrows(plane) == [((0, 0), tuple(way)) for way in ways]
    assert plane.get_title(loc="left") == "round 2: arrows own buckets"
    assert lines(axes) == {"nearest found": ([1, 2, 3], recall), "pairs seen": ([1, 2, 3], seen)}
    assert [p[:2] for p in points(axes)] == [(2, 0.5), (2, 0.3)] and labels(axes) == ("rounds", "", "share")


def test_sinkhorn_view():
    numbers, off = 1.3 * table(3, 3), [3.0, 0.2, 0.04]
    figure = buckets.sinkhorn_view(numbers, off, 1)
    axes, right = figure.axes
    check_map(axes, numbers, 0, max(1, numbers.max()))
    assert grid(axes, 3, 3) == [[f"{v:.2f}" for v in some] for some in numbers]
    assert [row(axes, i)[-1] for i in range(3)] == [f"{v:.2f}" for v in numbers.sum(1)], "sums of rows at their right"
    assert row(axes, -0.75) == [f"{v:.2f}" for v in numbers.sum(0)]
    assert right.lines[0].get_ydata().tolist() == off and list(right.lines[0].get_xdata()) == [0, 1, 2]
    assert points(right)[-1][:2] == (1, 0.2) and right.get_yscale() == "log"
    assert figure_texts(figure) == ["iterations: 1; sums outside"] and right.get_xlabel() == "iterations"


# ---- the race --------------------------------------------------------------------------------------------------------


def test_pixel_reading():
    picture = np.arange(9).reshape(3, 3) * 5 % 9
    figure = race.pixel_reading(picture, title="t")
    square, strip = figure.axes
    check_map(square, picture, 0, 16, "gray_r")
    check_map(strip, [picture.ravel()], 0, 16, "gray_r")
    assert [line.get_xdata()[0] for line in strip.lines] == [2.5, 5.5], "where the picture's rows end"
    assert ticks(strip.xaxis) == {0: "1", 2.5: "3", 8: "9"} and figure_texts(figure) == ["t"]


