"""Diagrams say what they were given, each number in its place; and every public plot has a test of what it draws.

One test a function, of its name. A new function of course_utils/plots/ that returns a Figure fails here until it has
one, in one of the files test_drawn_*.py.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path

import numpy as np
from drawn import arrows, bars, bold, boxes, collections, hulls, place, points, row, strips, value, written
from matplotlib.colors import to_hex
from pytest import approx

from course_utils import plots
from course_utils.plots import (
    architectures,
    attention,
    embeddings,
    gates,
    heads,
    positions,
    self_attention,
    training,
    translation,
)
from course_utils.plots.drawing import number
from course_utils.plots.steering import Steered, steering
from course_utils.plots.style import BLUE, GREY, PALE, SERIES, VERMILLION, ink
from course_utils.widgets.heads import split_film

BLUE_, GREY_, PALE_, VERMILLION_ = map(to_hex, (BLUE, GREY, PALE, VERMILLION))
SOURCE = ("un", "deux", "trois")
INDRAWING = {  # their arrows and words are tested in test_drawing.py
    "masking", "one_vector", "recurrent_unrolled", "scaled_dot_product", "transformer_block",
}  # fmt: skip
TOOLS = {"canvas_in_inches", "new_figure"}  # empty


def public_plots() -> dict[str, str]:
    """{name: module} of every public function that makes a figure."""
    found = {}
    for info in pkgutil.iter_modules(plots.__path__):
        module = importlib.import_module(f"course_utils.plots.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            made = str(inspect.signature(function).return_annotation)
            if function.__module__ == module.__name__ and not name.startswith("_") and "Figure" in made:
                assert name not in found, f"{name} is in two modules: name its test after both"
                found[name] = info.name
    return found


def test_every_plot_has_a_test_of_what_it_draws():
    tests = {}
    for path in sorted(Path(__file__).parent.glob("test_drawn_*.py")):
        for name, test in inspect.getmembers(importlib.import_module(path.stem), inspect.isfunction):
            if name.startswith("test_"):
                assert name not in tests, f"{name} stands in two files"
                tests[name] = test
    for name, module in public_plots().items():
        if name in INDRAWING | TOOLS:
            continue
        test = tests.get(f"test_{name}")
        assert test and name in test.__code__.co_names, (
            f"course_utils/plots/{module}.py: {name} has no test_{name} that draws it and reads its numbers back: "
            "write one beside those of test_drawn_*.py, with the readers of drawn.py."
        )
    assert set(public_plots()) > INDRAWING | TOOLS


def strip_at(axes, x: float, y: float) -> list[float]:
    """The numbers of the column of coloured cells at x that is nearest to y."""
    found = []
    for some in collections(axes):
        if to_hex(some.get_facecolors()[0]) != BLUE_:
            middle = np.mean([box.y for box in boxes(some)])
            found += [(abs(middle - y), values) for at, values in strips(some).items() if abs(at - x) < 0.06]
    away, values = min(found)
    assert away < 0.5, f"no coloured cells at ({x:.2f}, {y:.2f})"
    return values


# ---- attention, translation, steering --------------------------------------------------------------------------------

STEP = attention.AttentionStep(
    model="a model", source=SOURCE, written=("one",),
    annotations=np.array([[0.9, -0.8], [0.1, 0.3], [-0.4, 0.6]]), query=np.array([0.5, -0.9]),
    scores=np.array([1.5, -2.0, 0.5]), weights=np.array([0.7, 0.05, 0.25]), context=np.array([0.4, 0.2]),
    state=np.array([-0.2, 0.75]), words=(("two", 0.6), ("too", 0.25), ("to", 0.1), ("tw", 0.02)),
    captions=tuple(f"caption {k}" for k in range(6)), labels=("my query", "my context", "my state"),
)  # fmt: skip


def test_attention_step():
    for stage, name in enumerate(attention.STAGES):
        (axes,) = attention.attention_step(STEP, stage, units=2).axes
        said = written(axes)
        assert f"caption {stage}" in said and sum(text.startswith("caption") for text in said) == 1
        assert name in bold(axes) and "a model · word 2" in said
        xs = [place(axes, word)[0] for word in SOURCE]
        states = place(axes, "states hⱼ")[1]
        for x, vector in zip(xs, STEP.annotations, strict=True):
            assert strip_at(axes, x, states) == approx(vector, abs=0.01)
        (_, low), wide, high = max(((p.get_xy(), p.get_width(), p.get_height()) for p in axes.patches if
                                    hasattr(p, "get_xy") and to_hex(p.get_edgecolor()) == VERMILLION_ and
                                    not p.get_facecolor()[3]), key=lambda frame: frame[1])  # fmt: skip
        now = ("states hⱼ", "scores αᵢⱼ", "weights aᵢⱼ", "my context", "my state", "next word yᵢ")[stage]
        assert low < place(axes, now)[1] < low + high, "the frame lies on what is computed now"
        for label, since, values, digits in (("scores αᵢⱼ", 1, STEP.scores, 1), ("weights aᵢⱼ", 2, STEP.weights, 2)):
            assert (label in said) == (stage >= since)
            if stage >= since:
                y = place(axes, label)[1]
                band = min((c for c in collections(axes) if to_hex(c.get_facecolors()[0]) == BLUE_),
                           key=lambda c: abs(np.mean([b.y for b in boxes(c)]) - y))  # fmt: skip
                tall = np.array(hulls(band))
                assert tall / tall[0] == approx(abs(values) / abs(values[0])), label
                numbers = [[f"{v:.{digits}f}" for v in values]]
                under = {round(t.get_position()[1], 3) for t in axes.texts if y - 0.6 < t.get_position()[1] < y}
                assert [line for at in under if len(line := row(axes, at, within=0.001)) == 3] == numbers
                assert numbers[0][0] in bold(axes), "the largest"
        for label, since, vector in (("my query", 0, STEP.query), ("my context", 3, STEP.context),
                                     ("my state", 4, STEP.state)):  # fmt: skip
            x, y = place(axes, label)
            assert ("\n".join(f"{v:.2f}" for v in vector) in said) == (stage >= since)
            if stage >= since:
                assert strip_at(axes, x + 0.15, y - 0.9) == approx(vector, abs=0.01), label
        best = [[t.get_text() for t in axes.texts if t.get_text() == w] for w, _ in STEP.words]
        assert all(map(bool, best)) == (stage == 5)
        if stage == 5:
            for word, p in STEP.words:
                y = place(axes, word)[1]
                assert row(axes, y)[-1] == f"{p:.2f}" and any(
                    b.y == approx(y) and b.wide == approx(1.85 * p) for b in boxes(axes) if to_hex(b.colour) == BLUE_)
        assert ("one two" if stage == 5 else "one") in said
    fade = next(c for c in collections(attention.attention_step(STEP, 3, units=2).axes[0])).get_facecolors()[:, 3]
    assert fade.tolist() == approx([1, 1, 0.12, 0.12, 0.25 / 0.7, 0.25 / 0.7]), "as strong as their weight"
    none = attention.attention_step(attention.AttentionStep(**{**STEP.__dict__, "scores": None}), 1).axes[0]
    assert "this kind of attention has no scores to show" in written(none)


def test_seq2seq_unrolled():
    trace = translation.Unrolled(
        "a model", SOURCE, np.array([[0.9, -0.8], [0.1, 0.3], [-0.4, 0.6]]), np.array([-0.4, 0.6]), ("one", "two"),
        np.array([[0.7, 0.2], [-0.9, 0.5]]), (0.75, 0.5), every_step=True,
    )  # fmt: skip
    for frame in range(trace.frames):
        (axes,) = translation.seq2seq_unrolled(trace, frame, units=2).axes
        said = written(axes)
        n_read, n_written = min(3, frame + 1), max(0, frame - 3)
        xs, y = [place(axes, word)[0] for word in SOURCE], place(axes, "encoder")[1]
        for k, x in enumerate(xs):
            if k < n_read:
                assert strip_at(axes, x, y) == approx(trace.states[k], abs=0.01)
        drawn = strips(collections(axes)[0])
        assert len(drawn) == n_read, "what has been read, no more"
        assert sum("-0.40  0.60" in text for text in said) == (frame >= 3)
        if frame >= 3:
            y_c = place(axes, "C")[1]
            (shown,) = (c for c in collections(axes) if len({round(b.y, 4) for b in boxes(c)}) == 1)
            numbers = [one for _, (one,) in sorted(strips(shown).items())]
            assert numbers == approx(trace.context, abs=0.01) and abs(boxes(shown)[0].y - y_c) < 0.3, "C as colours"
        assert [word in said for word in ("one", "two")] == [n_written > 0, n_written > 1]
        for k in range(n_written):
            x = place(axes, trace.written[k])[0]
            assert strip_at(axes, x, place(axes, "decoder")[1]) == approx(trace.decoder_states[k], abs=0.01)
            assert place(axes, f"{trace.probabilities[k]:.2f}")[0] == approx(x)
        downwards = [(start, end) for start, end in arrows(axes) if start[0] == approx(end[0])]
        assert len(downwards) == (frame >= 2) + n_written, "C enters at every step"
        caption = ("Reading word 1 of 3: “un”", "Reading word 2 of 3: “deux”", "Reading word 3 of 3: “trois”",
                   "All that is kept of 3 words", "Writing “one”", "Writing “two”")[frame]  # fmt: skip
        assert sum(text.startswith(caption) for text in said) == 1
    once = translation.Unrolled(**{**trace.__dict__, "every_step": False})
    assert len(arrows(translation.seq2seq_unrolled(once, 5).axes[0])) == 2, "C enters at the start alone"


def typeset(axes) -> list[tuple[str, bool]]:
    """(word, is it marked as wrong: bold, coloured and underlined) of monospaced words, as they are read."""
    words = [t for t in axes.texts if t.get_fontfamily() == ["DejaVu Sans Mono"]]
    found = []
    for text in sorted(words, key=lambda t: (-t.get_position()[1], t.get_position()[0])):
        x, y = text.get_position()
        under = any(line.get_color() == VERMILLION and line.get_xdata()[0] == approx(x) and
                    line.get_ydata()[0] == approx(y - 0.05) for line in axes.lines)  # fmt: skip
        marks = {text.get_fontweight() == "bold", to_hex(text.get_color()) == to_hex(ink(VERMILLION)), under}
        assert len(marks) == 1, f"{text.get_text()!r} is marked by half"
        found.append((text.get_text(), marks.pop()))
    return found


def test_marked_translation():
    figure = translation.marked_translation(SOURCE, ("one", "two", "three"), {"first": ("one", "too", "three"),
                                            "second": ("two",)}, title="t")  # fmt: skip
    (axes,) = figure.axes
    right = [(word, False) for word in (*SOURCE, "one", "two", "three")]
    assert typeset(axes) == [*right, ("one", False), ("too", True), ("three", False), ("two", False)]
    heads_ = [text.get_text() for text in axes.texts if to_hex(text.get_color()) == GREY_]
    assert heads_ == [
        "source, 3 words",
        "reference",
        "first: 1 wrong, 1 of 3 missing",
        "second: 0 wrong, 2 of 3 missing",
    ]
    ys = [place(axes, said)[1] for said in (*heads_, "too")]
    assert ys[:4] == sorted(ys[:4], reverse=True) and ys[2] > ys[4] > ys[3], "a translation below its name"
    assert not any(marked for _, marked in typeset(translation.marked_translation(SOURCE, None, {"a": ("x",)}).axes[0]))


def test_steering():
    before, after = np.array([0.7, 0.1, 0.2]), np.array([0.35, 0.05, 0.6])
    steered = Steered(
        "a model", SOURCE, 1, 2, 0.5, (("one", "two"), ("one", "three")), (before, after),
        ({"two": 0.8, "three": 0.15, "too": 0.05}, {"two": 0.3, "three": 0.6, "too": 0.1}),
    )  # fmt: skip
    axes, inner = steering(steered, most=3).axes
    assert "a model, word 2: 50% of the weight on “trois”" in written(axes)
    found = bars(axes, upright=True)
    tall = [bar.end - bar.start for bar in found]
    assert [bar.colour for bar in found] == [PALE_, BLUE_] * 3 and [bar.hatch for bar in found] == ["//", None] * 3
    assert [t / tall[0] for t in tall] == approx([v / 0.7 for pair in zip(before, after, strict=True) for v in pair])
    xs = [place(axes, word)[0] for word in SOURCE]
    assert all(found[2 * k].place < x < found[2 * k + 1].place for k, x in enumerate(xs))
    base = found[0].start
    numbers = [t for t in axes.texts if abs(t.get_position()[1] - (base - 0.05)) < 0.001]
    assert [t.get_text() for t in sorted(numbers, key=lambda t: t.get_position()[0])] == ["0.35", "0.05", "0.60"]
    assert bold(axes) == ["0.60", "three"], "the word that gets the weight, and the word that differs"
    assert [row(inner, k)[0] for k in range(3)] == ["two", "three", "too"]
    assert [(bar.colour, bar.end) for bar in bars(inner)] == [
        (PALE_, 0.8), (BLUE_, 0.3), (PALE_, 0.15), (BLUE_, 0.6), (PALE_, 0.05), (BLUE_, 0.1)
    ]  # fmt: skip
    assert (row(inner, -0.2)[-1], row(inner, 0.2)[-1]) == ("0.80 as it was", "0.30 moved")
    was, moved = place(axes, "as it was")[1], place(axes, "moved")[1]
    assert typeset(axes) == [("one", False), ("two", False), ("one", False), ("three", True)]
    assert place(axes, "two")[1] == was > place(axes, "three")[1] == moved
    assert steered.said == ("two", "three")


# ---- gates -----------------------------------------------------------------------------------------------------------


def test_lstm_unit():
    trace = gates.UnitTrace(
        called=[0.5, -0.25], heard=["write", "wipe read"], before=[[1.1, 2.2, 3.3, 4.4], [5.5, -6.6, 0.7, -0.8]],
        i=[0.11, 0.91], f=[0.22, 0.32], g=[0.43, -0.53], o=[0.64, 0.74], c=[0.85, -0.95], h=[0.06, -0.17], start=0.39,
    )  # fmt: skip
    for at in (0, 1):
        (axes,) = gates.lstm_unit(trace, at).axes
        i, f, g, o, c, h = (getattr(trace, name)[at] for name in "ifgoch")
        old = trace.c[0] if at else trace.start
        for said in (f"old c\n{old:.2f}", f"new c\n{c:.2f}", f"h\n{h:.2f}", f"candidate g\n{g:.2f}"):
            place(axes, said)
        for name, v, k in (("forget f", f, 1), ("input i", i, 0), ("output o", o, 3)):
            x, y = place(axes, f"{name}\n{v:.2f}")
            assert place(axes, f"σ({trace.before[at][k]:.1f})")[0] == x, name
            face = min((p for p in axes.patches if hasattr(p, "get_boxstyle")),
                       key=lambda p: abs(p.get_x() + p.get_width() / 2 - x) + abs(p.get_y() + p.get_height() / 2 - y))
            assert value(face.get_facecolor()) == approx(v, abs=0.005), name
        candidate = place(axes, f"candidate g\n{g:.2f}")[0]
        assert place(axes, f"tanh({trace.before[at][2]:.1f})")[0] == candidate
        kept, new = place(axes, f"{f * old:.2f}")[0], place(axes, f"{i * g:.2f}")[0]
        assert place(axes, f"forget f\n{f:.2f}")[0] < kept < new < place(axes, f"new c\n{c:.2f}")[0]
        assert f"step {at + 1}" in written(axes)
        says = ("write", "wipe and read")[at]
        assert f"called out: {trace.called[at]:g}     told to: {says}" in written(axes)
        columns = [place(axes, f"{v:g}") for v in trace.called]
        assert columns[0][0] < columns[1][0]
        for name, letter in (("input i", "i"), ("forget f", "f"), ("output o", "o"), ("cell c", "c"), ("shown h", "h")):
            shown = row(axes, place(axes, name)[1], within=0.001)[1:]
            assert shown == [f"{v:.2f}" for v in getattr(trace, letter)[: at + 1]], "a step to come shows nothing yet"
        coloured = boxes(collections(axes)[-1])
        assert [value(b.colour) for b in coloured] == approx(
            [getattr(trace, name)[t] for t in range(at + 1) for name in "ifo"], abs=0.005)  # fmt: skip
        assert [t for t in axes.texts if t.get_text() == "write"][-1].get_position()[0] == columns[0][0]
        frame = boxes(axes)[-1]
        assert frame.x == approx(columns[at][0]) and to_hex(frame.edge) == VERMILLION_


# ---- word vectors ----------------------------------------------------------------------------------------------------


def test_word_map():
    given = np.array([[0.0, 0.0], [4.0, 1.0], [1.0, 3.0], [2.0, 2.0]])
    (axes,) = embeddings.word_map(
        given, ("a", "bb", "ccc", "dd"), {"first": ["ccc", "a"], "second": ["bb"]}, title="t"
    ).axes
    shown = {name: (np.array(place(axes, name))) for name in ("a", "bb", "ccc", "dd")}
    dots = [(np.array(p), line.get_color(), line.get_marker()) for line in axes.lines if line.get_linestyle() == "None"
            and line.get_markersize() == 5 for p in line.get_xydata()]  # fmt: skip
    assert len(dots) == 4
    low, span = given.min(0), np.ptp(given, axis=0)
    places = {tuple(np.round((p - [0.55, 0.3]) / [6.6, 5.6 - 1.35] * span + low, 6)): (colour, marker, p)
              for p, colour, marker in dots}  # fmt: skip
    for name, point, group in (("a", given[0], 0), ("bb", given[1], 1), ("ccc", given[2], 0), ("dd", given[3], None)):
        colour, marker, at = places[tuple(point)]
        wanted = (GREY, ".") if group is None else (SERIES[group], ("o", "s")[group])
        assert (colour, marker) == wanted and np.abs(shown[name] - at).max() < 0.5, f"{name} stands at its point"
    key = {line.get_ydata()[0]: line for line in axes.lines if line.get_markersize() == 8}
    assert key and all(y == place(axes, "first")[1] for y in key)
    heads_ = sorted(
        (line.get_xdata()[0], to_hex(line.get_color())) for line in axes.lines if line.get_markersize() == 8
    )
    assert [colour for _, colour in heads_] == [to_hex(SERIES[0]), to_hex(SERIES[1])]
    assert heads_[0][0] < place(axes, "first")[0] < heads_[1][0] < place(axes, "second")[0]


def test_window_step():
    words = ("the", "old", "dog", "sees", "it")
    examples = [("dog", "old", ("n1", "n2")), ("dog", "sees", ("n3", "n4"))]
    (axes,) = embeddings.window_step(words, 2, (1, 3), examples, kind="skip-gram", dropped=(0,), title="t").axes
    where = {
        word: max((t.get_position() for t in axes.texts if t.get_text() == word), key=lambda p: p[1]) for word in words
    }
    fills = {word: to_hex(next(p for p in axes.patches if hasattr(p, "get_boxstyle") and
                               abs(p.get_x() + p.get_width() / 2 - where[word][0]) < 0.01).get_facecolor())
             for word in words}  # fmt: skip
    assert list(fills.values()) == ["#ffffff", "#cfe3f2", VERMILLION_, "#cfe3f2", "#ffffff"]
    assert bold(axes) == ["dog"]
    ways = [(approx(where[a][0]), approx(where[b][0])) for a, b in (("dog", "old"), ("dog", "sees"))]
    assert [(start[0], end[0]) for start, end in arrows(axes)] == ways
    crossed = [line.get_xdata() for line in axes.lines]
    assert len(crossed) == 1 and crossed[0][0] < where["the"][0] < crossed[0][1]
    top = place(axes, "given")[1]
    table = [row(axes, top - 0.33 - 0.3 * k) for k in range(2)]
    assert table == [["dog", "old", "n1   n2"], ["dog", "sees", "n3   n4"]]
    assert row(axes, top) == ["given", "asked for", "and not"]
    back = arrows(embeddings.window_step(words, 2, (1, 3), [("old + sees", "dog", ("n",))], kind="cbow").axes[0])
    assert [(a[0], b[0]) for a, b in back] == [pair[::-1] for pair in ways], "to the centre"


def test_task_shapes():
    tasks = [("N → 1", "one name", ("a", "b"), ("x",)), ("N → M", "other name", ("c", "d", "e"), ("y", "z"))]
    (axes,) = embeddings.task_shapes(tasks).axes
    for shape, name, given, out in tasks:
        heights = [place(axes, said)[1] for said in (out[0], shape, name, given[0])]
        assert heights == sorted(heights, reverse=True), "in from below, out above"
        for words in (given, out):
            assert row(axes, place(axes, words[0])[1]) == list(words)
        for word, rises in [(w, True) for w in (*given, *out)]:
            x, y = place(axes, word)
            near = [b[1] > a[1] for a, b in arrows(axes) if a[0] == approx(x) and abs((a[1] + b[1]) / 2 - y) < 0.4]
            assert near == [rises]


# ---- heads, positions ------------------------------------------------------------------------------------------------


def cells_of(axes) -> dict[tuple[float, float], tuple[str, str]]:
    """{(x, y) of a cell's centre: (its number, its colour)}"""
    said = {(round(t.get_position()[0], 3), round(t.get_position()[1], 3)): t.get_text() for t in axes.texts}
    return {(round(b.x, 3), round(b.y, 3)): (said[round(b.x, 3), round(b.y, 3)], to_hex(b.colour, keep_alpha=True))
            for b in boxes(axes) if (round(b.x, 3), round(b.y, 3)) in said and b.colour[3]}  # fmt: skip


def tables(axes) -> list[list[list[tuple[str, str]]]]:
    """Tables of cells, from left to right (tables below each other are one), row by row."""
    cells = cells_of(axes)
    groups: list[list[float]] = []
    for x in sorted({x for x, _ in cells}):
        if groups and x - groups[-1][-1] < 0.7:
            groups[-1].append(x)
        else:
            groups.append([x])
    found = []
    for xs in groups:
        ys = sorted({y for x, y in cells if x in xs}, reverse=True)
        found.append([[cells[x, y] for x in xs if (x, y) in cells] for y in ys])
    return found


def said_by(numbers) -> list[list[str]]:
    return [[heads._short(v) for v in some] for some in np.asarray(numbers)]


def test_split_frame():
    for straight in (False, True):
        film = split_film(2, straight=straight)
        H, T, d = film.heads[0].shape
        wanted = {
            0: [film.x], 1: list(film.projected), 2: [cut.reshape(H * T, d) for cut in film.heads],
            3: [film.weights.reshape(H * T, T), film.found.reshape(H * T, d)],
            4: [film.found.reshape(H * T, d), film.concatenated], 5: [film.concatenated, film.output],
        }  # fmt: skip
        inks = [to_hex((*heads._rgb(colour), 0.3), keep_alpha=True) for colour in heads.INKS]
        whole, cut = [[w] * 4 for w in range(T)], film.owner.reshape(H * T, d).tolist()
        side = (film.owner.reshape(T, 4) if straight else film.owner.swapaxes(0, 1).reshape(T, 4)).tolist()
        owners = {0: [whole], 1: [whole] * 3, 2: [cut] * 3, 3: [None, cut], 4: [cut, side], 5: [whole, whole]}
        for stage, numbers in wanted.items():
            (axes,) = heads.split_frame(film, stage).axes
            shown = tables(axes)
            assert [[[said for said, _ in some] for some in t] for t in shown] == [said_by(n) for n in numbers], stage
            for t, owner, some in zip(shown, owners[stage], numbers, strict=True):
                for i, line in enumerate(t):
                    for j, (_, colour) in enumerate(line):
                        grey = (0, 0, 0, 0.28 * abs(some[i][j]))  # of a weight
                        wanted_ = to_hex(grey, keep_alpha=True) if owner is None else inks[owner[i][j]]
                        assert colour == wanted_, "its word's colour"
            assert bold(axes) == [heads.SPLIT_STAGES[stage]] and written(axes)[6].startswith(f"{stage + 1} · ")
            assert ("2 heads of width 2" + ", reshaped straight" * straight) in written(axes)
    names = written(heads.split_frame(split_film(2), 1).axes[0])
    assert [n for n in names if "W_" in n] == ["queries W_Q x", "keys W_K x", "values W_V x"]


def test_clocks():
    figure = positions.clocks([0.5, 0.1], 3, 2)
    for i, (axes, w) in enumerate(zip(figure.axes, (0.5, 0.1), strict=True)):
        hands = [line for line in axes.lines if len(line.get_xdata()) == 2]
        for line, p, dashed in zip(hands, (3, 5), (True, False), strict=True):
            assert line.get_xydata()[1] == approx([np.cos(w * p), np.sin(w * p)]) and line.is_dashed() == dashed
        assert [p[:2] for p in points(axes)] == [approx((np.cos(w * p), np.sin(w * p))) for p in (3, 5)]
        assert f"pair {i}" in written(axes) and f"{w:.3g} a place" in written(axes)
    assert figure.texts[0].get_text() == "dashed: place 3; solid: place 5; angles in radians"


def turned(v, angle):
    return v[0] * np.cos(angle) - v[1] * np.sin(angle), v[0] * np.sin(angle) + v[1] * np.cos(angle)


def test_turned_pairs():
    q, k, m, n, theta = np.array([1.0, 0.3]), np.array([0.2, 1.4]), 3, 1, 0.4
    figure = positions.turned_pairs(q, k, m, n, theta)
    for axes, at, names in zip(figure.axes, ((0, 0), (m, n)), (("q", "k"), ("q at 3", "k at 1")), strict=True):
        tips = [turned(v, p * theta) for v, p in zip((q, k), at, strict=True)]
        assert [end for _, end in arrows(axes)] == [approx(tip) for tip in tips]
        assert [to_hex(p.get_edgecolor()) for p in axes.patches] == [VERMILLION_, BLUE_]
        for name, colour, tip in zip(names, (VERMILLION, BLUE), tips, strict=True):
            text = next(t for t in axes.texts if t.get_text() == name)
            assert (
                to_hex(text.get_color()) == to_hex(ink(colour))
                and np.hypot(*(np.array(tip) - text.get_position())) < 0.5
            )
        assert f"q·k = {np.dot(*tips):.2f}" in written(axes)
        arc = next(line for line in axes.lines if len(line.get_xdata()) == 40).get_xydata()
        ends = [np.arctan2(*p[::-1]) for p in (arc[0], arc[-1])]
        assert ends == approx([np.arctan2(*tips[1][::-1]), np.arctan2(*tips[0][::-1])])
    assert figure.axes[1].get_title(loc="left") == "after: q turned 3θ, k turned 1θ"


# ---- self-attention --------------------------------------------------------------------------------------------------


def test_path_lengths():
    words = ("a", "b", "c", "d", "e")
    (axes,) = self_attention.path_lengths(words, 1, 3).axes
    assert "2 steps from “b” to “d”" in written(axes) and "1 step: “d” looks at every word" in written(axes)
    xs = [t.get_position()[0] for t in axes.texts if t.get_text() in words][:5]
    chain = [(a, b, p) for (a, b), p in ((p._posA_posB, p) for p in axes.patches if hasattr(p, "_posA_posB"))
             if a[1] == b[1]]  # fmt: skip
    hot = [xs[0] < a[0] < b[0] < xs[4] and to_hex(p.get_edgecolor()) == VERMILLION_ for a, b, p in chain]
    assert hot == [False, True, True, False], "only the steps between the two"
    looks = [line for line in axes.lines]
    heavy = [line for line in looks if line.get_color() == VERMILLION]
    assert len(looks) == 4 and [(round(line.get_xdata()[0], 4), round(line.get_xdata()[-1], 4)) for line in heavy] == [
        (round(xs[3], 4), round(xs[1], 4))
    ]  # fmt: skip
    assert sorted(round(line.get_xdata()[-1], 4) for line in looks) == [round(xs[k], 4) for k in (0, 1, 2, 4)]
    states = [p for p in axes.patches if hasattr(p, "get_boxstyle")]
    lit = [to_hex(p.get_edgecolor()) == VERMILLION_ for p in states]
    assert lit == [False, True, True, True, False, False, True, False, True, False]
    assert bold(axes) == ["b", "d", "b", "d"]


def test_looking():
    values, scores = np.array([[1.0, 0.2], [0.3, 2.0], [2.5, 2.4]]), np.array([0.5, -1.0, 1.5])
    weights = np.array([0.25, 0.05, 0.7])
    step = self_attention.Looking(SOURCE, values, scores, weights, weights @ values, 1, "q · k")
    left, plane = self_attention.looking(step, names=("water", "money")).axes
    above, below = collections(left)
    for found, numbers, title in ((above, scores, "scores: q · k"), (below, weights, "weights of “deux”: softmax")):
        tall = np.array(hulls(found))
        assert tall / tall[0] == approx(abs(numbers) / abs(numbers[0]))
        base = min(b.y - b.tall / 2 for b in boxes(found))
        assert place(left, title)[1] > base
        rows = {round(t.get_position()[1], 3) for t in left.texts}
        assert [f"{v:.2f}" for v in numbers] in [row(left, y, within=0.001) for y in rows if y < place(left, title)[1]]
    signs = [b.y > np.mean([c.y for c in boxes(above)]) for b in sorted(boxes(above), key=lambda b: b.x)]
    assert (
        signs == [True, False, True] and place(left, "scores: q · k")[1] > place(left, "weights of “deux”: softmax")[1]
    )
    assert place(left, "0.50")[1] > place(left, "0.25")[1], "each row below its own bars"
    assert [left.texts[-3 + j].get_text() for j in range(3)] == list(SOURCE) and "deux" in bold(left)
    assert {t for t in bold(left)} == {"1.50", "0.70", "deux"}
    dots = [(tuple(line.get_xydata()[0]), line.get_markersize()) for line in plane.lines if line.get_marker() == "o"]
    assert dots == [(tuple(v), approx(5 + 12 * a**0.5)) for v, a in zip(values, weights, strict=True)]
    assert [tuple(line.get_xydata()[0]) for line in plane.lines if line.get_marker() == "D"] == [
        approx(weights @ values)
    ]
    ties = [line for line in plane.lines if line.get_color() == GREY and len(line.get_xdata()) == 2]
    assert [(line.get_xydata().tolist(), line.get_linewidth()) for line in ties] == [
        ([approx(weights @ values), v.tolist()], approx(0.5 + 5 * a)) for v, a in zip(values, weights, strict=True)
    ]  # fmt: skip
    for word, v in zip(SOURCE, values, strict=True):
        assert np.abs(np.array(place(plane, word)) - v).max() <= 0.3
    assert (plane.get_xlabel(), plane.get_ylabel()) == ("water", "money") and plane.get_xlim() == (-1, 3)
    assert {tuple(p) for p in plane.patches[0].get_xy()} == {tuple(v) for v in values}, "the hull of the values"


# ---- merges ----------------------------------------------------------------------------------------------------------


def test_merge_frame():
    words = {("w", "o", "w</w>"): 5, ("n", "ew", "w</w>"): 2}
    pairs = [("w + o", 5), ("o + w</w>", 4)]
    (axes,) = training.merge_frame(words, "w</w>", pairs, title="t").axes
    pieces = [(to_hex(b.colour), place_[0]) for b, place_ in zip(boxes(axes), [
        [t.get_text() for t in axes.texts if t.get_position() == approx((b.x, b.y))] for b in boxes(axes)
    ], strict=True)]  # fmt: skip
    assert [said for _, said in pieces] == ["w", "o", "w·", "n", "ew", "w·"]
    assert [colour == BLUE_ for colour, _ in pieces] == [False, False, True, False, False, True]
    for k, often in enumerate(("5×", "2×")):
        y = boxes(axes)[3 * k].y
        assert row(axes, y, within=0.001)[0] == often
    y = place(axes, "w + o")[1]
    assert row(axes, y, within=0.001)[-2:] == ["5×", "w + o"]
    assert row(axes, place(axes, "o + w·")[1], within=0.001)[-2:] == ["4×", "o + w·"] and place(axes, "o + w·")[1] < y


# ---- architectures: numbers in their places --------------------------------------------------------------------------


def near(axes, x: float, y: float) -> str:
    """What is written at (x, y)."""
    return min(axes.texts, key=lambda t: abs(t.get_position()[0] - x) + abs(t.get_position()[1] - y)).get_text()


def test_attention_decoder():
    weights, scores = [[0.1, 0.2, 0.7], [0.6, 0.35, 0.05]], [[1.1, -0.5, 2.5], [0.9, 1.9, -0.3]]
    for kind in ("luong", "bahdanau"):
        figure = architectures.attention_decoder(SOURCE, ("one", "two"), weights, scores, step=2, kind=kind)
        (axes,) = figure.axes
        xs = [place(axes, word)[0] for word in SOURCE]
        for heading, numbers in (("scores\n(B, S)", scores[1]), ("weights\n(B, S)", weights[1])):
            y = place(axes, heading)[1]
            assert [near(axes, x, y - 0.06) for x in xs] == [number(v) for v in numbers], heading
        fan = [p for p in axes.patches if hasattr(p, "points") and len({round(q[0], 2) for q in p.points}) > 1
               and p.target is not None and p.source is not None and p.source.round and not p.target.round]  # fmt: skip
        thick = {round(p.points[0][0], 2): p.get_linewidth() for p in fan}
        assert [thick[round(x, 2)] for x in xs] == approx([0.8 + 6.2 * w for w in weights[1]]), "as thick as its weight"


def test_self_attention_steps():
    X = np.array([[1.0, 0.5], [0.25, 2.0], [-1.0, 0.75]])
    (axes,) = architectures.self_attention_steps(SOURCE, X, asks=1).axes
    scores = X @ X[1]
    weights = np.exp(scores) / np.exp(scores).sum()
    columns = [place(axes, said)[0] for said in ("scores\nα₂ⱼ\n(B, T, T)", "weights\na₂ⱼ\n(B, T, T)")]
    for j, word in enumerate(SOURCE):
        y = place(axes, word)[1]
        assert [near(axes, x, y) for x in columns] == [number(scores[j]), number(weights[j])]
        inputs = [t.get_text() for t in sorted(axes.texts, key=lambda t: t.get_position()[0])
                  if abs(t.get_position()[1] - y) < 0.08 and abs(t.get_position()[0] - 1.75) < 0.5]  # fmt: skip
        assert inputs == [number(v) for v in X[j]]
    Q, K, V = X * 2, X[::-1] + 0.5, X - 3
    (axes,) = architectures.self_attention_steps(SOURCE, X, Q, K, V, asks=2).axes
    for name, vector in (("q₃", Q[2]), *((f"k{s}", v) for s, v in zip("₁₂₃", K, strict=True)),
                         *((f"v{s}", v) for s, v in zip("₁₂₃", V, strict=True))):  # fmt: skip
        x, y = place(axes, name)
        beside = [t.get_text() for t in sorted(axes.texts, key=lambda t: t.get_position()[0])
                  if abs(t.get_position()[1] - y) < 0.05 and x < t.get_position()[0] < x + 1.3]  # fmt: skip
        assert beside == [number(v) for v in vector], name
