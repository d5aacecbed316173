"""Drawings of mechanisms: what is drawn is what was asked for, arrows touch what they name, stages grow."""

from collections import Counter
from functools import partial

import matplotlib as mpl
import numpy as np
import pytest
from legibility import check_legible, texts
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle

from course_utils import plots
from course_utils.plots import architectures, style
from course_utils.plots.architectures import (
    attention_decoder,
    choices,
    decoder_orders,
    hierarchy,
    masking,
    one_vector,
    recurrent_unrolled,
    scaled_dot_product,
    self_attention_steps,
    transformer_block,
    windows,
)
from course_utils.plots.drawing import ROLES, Arrow, Drawing, Node, fitted, number, sub, text_size, tint

SOURCE, TARGET = ["a", "red", "apple"], ["une", "pomme", "rouge", "<end>"]
LONG = ["the", "internationalisation", "does", "not", "see", "misunderstandings"]
X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])
Q, K, V = X @ [[1.0, 0.0], [0.0, 2.0]], X @ [[1.0, 0.0], [1.0, 1.0]], X @ [[2.0, 1.0], [0.0, -1.0]]
WORDS = "the dance is long".split()
WEIGHTS = [[0.8, 0.15, 0.05], [0.1, 0.2, 0.7], [0.05, 0.9, 0.05], [0.3, 0.3, 0.4]]

# name -> (how many stages, the function to draw with)
STAGED = {
    "unrolled": (2, partial(recurrent_unrolled, "the cat sleeps .".split(), ["DET", "NOUN", "VERB", "PUNCT"])),
    "unrolled, one": (2, partial(recurrent_unrolled, ["misunderstandings"])),
    "unrolled, five": (2, partial(recurrent_unrolled, LONG[:5])),
    "one vector": (3, partial(one_vector, SOURCE, TARGET)),
    "one vector, at the start": (3, partial(one_vector, LONG, TARGET[:2], every_step=False)),
    "one vector, long": (3, partial(one_vector, LONG[:2], LONG)),
    "one word": (3, partial(one_vector, ["a"], ["une"])),
    "luong": (6, partial(attention_decoder, SOURCE, TARGET, WEIGHTS, [-0.5, 0.2, 1.45])),
    "luong, first step": (6, partial(attention_decoder, LONG, TARGET, step=1)),
    "bahdanau": (6, partial(attention_decoder, SOURCE, TARGET, WEIGHTS, step=4, kind="bahdanau")),
    "bahdanau, long": (6, partial(attention_decoder, LONG, LONG, step=3, kind="bahdanau")),
    "one source word": (6, partial(attention_decoder, ["a"], ["une"], [1.0], step=1)),
    "both": (6, partial(attention_decoder, SOURCE, TARGET, WEIGHTS, kind="both")),
    "both, long": (6, partial(attention_decoder, LONG[1::2], LONG, step=3, kind="both")),
    "orders": (3, decoder_orders),
    "windows": (3, partial(windows, "the black cat sees her".split(), [1, 2, 4, 0, 1], 1, 1.4)),
    "windows, long": (3, partial(windows, LONG[:5], [0, 0, 0, 0, 0], 0, 0.0, 2)),
    "windows, at the end": (3, partial(windows, LONG[1:], [0, 9, 0, 1, 0], 4, 4.0, 1)),
    "windows, one word": (3, partial(windows, ["a"], [0], 0, 0.0, 3)),
    "choices": (3, partial(choices, "black cat sees her".split(), [0.16, 0.74, 0.03, 0.07], 0)),
    "choices, long": (3, partial(choices, LONG[:4], [0, 0, 0, 1], 3)),
    "choices, one word": (3, partial(choices, ["a"], [1.0], 0)),
    "self-attention": (4, partial(self_attention_steps, WORDS, X, asks=3)),
    "self-attention, empty": (4, partial(self_attention_steps, LONG[:5], asks=0)),
    "self-attention, wide": (4, partial(self_attention_steps, WORDS[:2], -np.ones((2, 3)) / 3, asks=1)),
    "projected": (5, partial(self_attention_steps, WORDS, X, Q, K, V, asks=1)),
    "projected, empty": (5, partial(self_attention_steps, LONG[:5], projections=True, asks=4)),
    "projected, one word": (5, partial(self_attention_steps, ["a"], projections=True)),
    "scaled": (6, scaled_dot_product),
    "hierarchy": (5, partial(hierarchy, [WORDS[:3]] * 3, [[0.2, 0.5, 0.3]] * 3, [0.1, 0.8, 0.1], "a text")),
    "hierarchy, symbols": (5, partial(hierarchy, [LONG[:3], LONG[3:4], LONG[4:]])),
    "hierarchy, one word": (5, partial(hierarchy, [["a"]], label="a comedy of errors")),
    "encoder block": (4, transformer_block),
    "decoder block": (5, partial(transformer_block, "decoder")),
}  # fmt: skip
# every stage has its things where the whole has them (test_stages_grow): the whole and a stage with a pale past will do
DRAWINGS = {f"{name}, stage {k}": partial(draw, stage=k)
            for name, (n, draw) in STAGED.items() for k in (n // 2 + 1, None)}  # fmt: skip
for kind in ("causal", "padding", "both"):
    DRAWINGS |= {f"mask {kind} {n}": partial(masking, n, kind) for n in (3, 8)}
    DRAWINGS[f"mask {kind}, words"] = partial(masking, LONG, kind)


def written(figure) -> Counter:
    return Counter(t.get_text() for t in figure.axes[0].texts)


def placed(figure) -> Counter:
    return Counter((t.get_text(), *t.get_position()) for t in figure.axes[0].texts)


def solid(figure) -> list:
    """What covers a line that runs below it: boxes, cells, circles."""
    kinds = FancyBboxPatch | Rectangle | Circle
    return [p for p in figure.axes[0].patches if isinstance(p, kinds) and p.get_zorder() >= 3]


def inches(figure, box):
    return box.transformed(figure.axes[0].transData.inverted())


def edges(figure) -> set[tuple[str, str]]:
    """(from, to) of all arrows between things with a label: the text at the centre of either."""
    figure.canvas.draw()
    places = [(t.get_text(), inches(figure, t.get_window_extent())) for t in figure.axes[0].texts]

    def label(node: Node | None) -> str | None:
        near = [said for said, box in places if node and abs((box.x0 + box.x1) / 2 - node.x) < 0.05
                and abs((box.y0 + box.y1) / 2 - node.y) < 0.08]  # fmt: skip
        return near[0] if near else None

    return {(label(a.source), label(a.target)) for a in figure.findobj(Arrow)}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_can_be_read(name):
    figure = DRAWINGS[name]()
    check_legible(figure)
    found = [(said, inches(figure, box)) for said, _, box in texts(figure)]
    for patch in solid(figure):
        edge = inches(figure, patch.get_window_extent())
        for said, box in found:
            across = min(box.x1 - edge.x0, edge.x1 - box.x0), min(box.y1 - edge.y0, edge.y1 - box.y0)  # of the overlap
            apart = across[0] < 0.03 or across[1] < 0.05
            inside = across[0] > box.width - 0.02 and across[1] > box.height - 0.02
            assert apart or inside, f"{said!r} is cut by the border of a box"
    for arrow in figure.findobj(Arrow):
        way = arrow.get_path().interpolated(20).vertices
        for said, box in found:
            hit = (way[:, 0] > box.x0 + 0.02) & (way[:, 0] < box.x1 - 0.02)
            hit &= (way[:, 1] > box.y0 + 0.04) & (way[:, 1] < box.y1 - 0.04)
            assert not hit.any(), f"an arrow {arrow.points} runs through {said!r}"


@pytest.mark.parametrize("name", STAGED)
def test_arrows_begin_and_end_at_borders_and_run_beneath_nothing(name):
    figure = STAGED[name][1]()
    figure.canvas.draw()
    arrows = figure.findobj(Arrow)
    still = [p for p in figure.axes[0].patches if not isinstance(p, Arrow | Polygon)]
    boxes = [inches(figure, p.get_window_extent()) for p in still]
    said = [inches(figure, box) for _, _, box in texts(figure)]
    covers = [(inches(figure, p.get_window_extent()), p) for p in solid(figure)]
    assert len(arrows) > 3
    for arrow in arrows:
        assert min(map(min, arrow.points)) >= 0, f"{arrow.points} leaves the picture"
        for node, place in ((arrow.source, arrow.points[0]), (arrow.target, arrow.points[-1])):
            if node is not None:
                assert node.border_distance(*place) < 1e-6, f"{arrow.points} does not touch its {node}"
            near = min(_gap(box, place) for box in (*boxes, *said))
            others = min(_way_gap(other.points, place) for other in arrows if other is not arrow)
            assert near < 0.11 or others < 0.02, f"{arrow.points} hangs in the air at {place}"
        ends = [node for node in (arrow.source, arrow.target) if node]
        way = arrow.get_path().interpolated(20).vertices
        for box, patch in covers:
            centre = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
            if any(node.cells or np.hypot(*(centre - (node.x, node.y))) < 0.02 for node in ends):
                continue
            if isinstance(patch, Circle):
                deep = np.hypot(*(way - centre).T) < patch.radius - 0.02
            else:
                deep = (np.abs(way - centre) < np.array([box.width, box.height]) / 2 - 0.02).all(1)
            assert not deep.any(), f"{arrow.points} runs beneath a box at {centre}"


def _gap(box, place) -> float:
    """From a place to the border of a box."""
    x, y = place
    across, up = abs(x - (box.x0 + box.x1) / 2) - box.width / 2, abs(y - (box.y0 + box.y1) / 2) - box.height / 2
    return float(np.hypot(max(across, 0), max(up, 0))) if max(across, up) > 0 else -max(across, up)


def _way_gap(points, place) -> float:
    """From a place to the straight pieces of an arrow."""
    gaps = []
    for a, b in zip(np.array(points[:-1]), np.array(points[1:]), strict=True):
        share = np.clip((place - a) @ (b - a) / max((b - a) @ (b - a), 1e-12), 0, 1)
        gaps.append(np.hypot(*(a + share * (b - a) - place)))
    return float(min(gaps))


@pytest.mark.parametrize("name", STAGED)
def test_stages_grow(name):
    n, draw = STAGED[name]
    stages = [draw(stage=k) for k in range(1, n + 1)]
    for before, after in zip(stages[:-1], stages[1:], strict=True):
        assert not placed(before) - placed(after), "a later stage has lost or moved something"
        assert len(after.axes[0].patches) > len(before.axes[0].patches), "a stage that adds nothing"
        assert tuple(before.get_size_inches()) == tuple(after.get_size_inches())
    whole = draw()
    assert placed(whole) == placed(stages[-1]) and len(whole.axes[0].patches) == len(stages[-1].axes[0].patches)
    first = [to_rgb(p.get_edgecolor()) for p in solid(stages[0])]
    later = [to_rgb(p.get_edgecolor()) for p in solid(stages[-1])][: len(first)]
    assert all(a <= b for a, b in zip(first, later, strict=True)) and first != later or not first, "the past is pale"
    for wrong in (0, n + 1, -1):
        with pytest.raises(ValueError, match=f"stage={wrong}"):
            draw(stage=wrong)


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("luong", ["apple", "s₂", "1.45", "0.7", "C₂", "pomme"]),
        ("bahdanau", ["apple", "query", "α₄₃", "0.4", "C₄", "s₄"]),
        ("self-attention", ["long", "α₄ⱼ = x₄ · xⱼ", "weights\na₄ⱼ\n(B, T, T)", "Σ"]),
        ("self-attention", ["long", "2", "0.64", "Σ"]),
        ("projected", ["dance", "q₂", "scores\nα₂ⱼ\n(B, T, T)", "0.31", "−0.85"]),
        ("one vector", ["h₃", "C", "s₄"]),
        ("scaled", ["V", "matmul  Q Kᵀ", "scale  ÷ √d", "mask", "softmax", "matmul  A V"]),
        ("decoder block", ["X  (B, T, D)", "masked self-attention", "cross-attention", "feed-forward", "× N"]),
    ],
)
def test_each_stage_brings_its_own(name, new):
    n, draw = STAGED[name]
    stages = [written(draw(stage=k)) for k in range(1, n + 1)]
    assert len(new) == n
    for k, said in enumerate(new):
        assert [said in stage for stage in stages] == [j >= k for j in range(n)], said


def test_one_vector_is_all_that_the_decoder_gets():
    found = edges(one_vector(SOURCE, TARGET))
    assert found == {
        ("a", "h₁"), ("red", "h₂"), ("apple", "h₃"), ("h₁", "h₂"), ("h₂", "h₃"), ("h₃", "C"),
        *{("C", f"s{sub(k)}") for k in (1, 2, 3, 4)}, *{(f"s{sub(k)}", f"s{sub(k + 1)}") for k in (1, 2, 3)},
        ("s₁", "une"), ("s₂", "pomme"), ("s₃", "rouge"), ("s₄", "<end>"),
        ("<begin>", "s₁"), ("une", "s₂"), ("pomme", "s₃"), ("rouge", "s₄"),
    }  # fmt: skip
    once = edges(one_vector(SOURCE, TARGET, every_step=False))
    assert found - once == {("C", "s₂"), ("C", "s₃"), ("C", "s₄")} and once < found


def test_who_asks_and_where_the_context_goes():
    ways = {kind: edges(attention_decoder(SOURCE, TARGET, WEIGHTS, kind=kind)) for kind in ("luong", "bahdanau")}
    both = "tanh W[s₂; C₂]"
    assert {("s₂", "query"), ("C₂", both), ("s₂", both), (both, "pomme")} <= ways["luong"]
    assert {("s₁", "query"), ("C₂", "s₂"), ("s₂", "pomme")} <= ways["bahdanau"]
    assert ("s₁", "query") not in ways["luong"] and ("s₂", "query") not in ways["bahdanau"]
    assert ("C₂", "s₂") not in ways["luong"]
    for found in ways.values():
        assert {("s₁", "s₂"), ("une", "s₂"), ("×", "C₂"), ("0.7", "×")} <= found
    together = edges(attention_decoder(SOURCE, TARGET, kind="both"))
    assert {("s₁", "query"), ("s₂", "query"), ("C₂", "s₂"), ("C₂", "[s₂; C₂]")} <= together


def test_the_numbers_of_the_step_are_written_and_set_the_fan():
    for step, row in enumerate(WEIGHTS, 1):
        figure = attention_decoder(SOURCE, TARGET, WEIGHTS, [-0.5, 0.25, 1.4], step=step)
        wanted = Counter(number(w) for w in (*row, -0.5, 0.25, 1.4))
        assert not wanted - written(figure)
        fan = [a for a in figure.findobj(Arrow) if a.target and a.source and a.source.round and not a.target.round]
        thick = [a.get_linewidth() for a in sorted(fan, key=lambda a: a.points[0])]
        assert np.argsort(thick, kind="stable").tolist() == np.argsort(row, kind="stable").tolist()
    assert not Counter(["α₂₁", "α₂₂", "α₂₃", "a₂₁", "a₂₂", "a₂₃"]) - written(attention_decoder(SOURCE, TARGET))


def test_self_attention_works_out_what_it_shows():
    said = written(self_attention_steps(WORDS, X, asks=3))
    scores = X @ X[3]
    share = np.exp(scores) / np.exp(scores).sum()
    assert not Counter(map(number, (*X.ravel(), *scores, *share, *(share @ X)))) - said
    assert {"α₄ⱼ = x₄ · xⱼ", "a₄ = softmax(α₄)", "o₄ = Σⱼ a₄ⱼ xⱼ"} <= set(said) and "q₄" not in said
    said = written(self_attention_steps(WORDS, X, Q, K, V, asks=1))
    scores = K @ Q[1] / np.sqrt(2)
    share = np.exp(scores) / np.exp(scores).sum()
    numbers = (*X.ravel(), *Q[1], *K.ravel(), *V.ravel(), *scores, *share, *(share @ V))
    assert not Counter(map(number, numbers)) - said
    assert {"q₂", "k₁", "k₄", "v₄", "α₂ⱼ = q₂ · kⱼ / √d", "o₂ = Σⱼ a₂ⱼ vⱼ"} <= set(said) and "q₁" not in said
    symbols = written(self_attention_steps(WORDS, projections=True))
    assert {"α₁₁", "α₁₄", "a₁₁", "a₁₄"} <= set(symbols)


@pytest.mark.parametrize("name", STAGED)
def test_shapes_stand_in_the_picture(name):
    if "both" in name or "unrolled" in name:
        return
    assert any("(B, " in said for said in written(STAGED[name][1]()))


def test_masks():
    def cells(figure, n):
        found = sorted(solid(figure)[: n * n], key=lambda p: (-round(p.get_y(), 6), p.get_x()))
        return np.array([to_rgb(p.get_facecolor()) == ROLES["attention"] for p in found]).reshape(n, n)

    causal, keys = np.tri(6, dtype=bool), np.arange(6) < 4
    assert (cells(masking(6, "causal"), 6) == causal).all()
    assert (cells(masking(6, "padding"), 6) == keys).all()
    assert (cells(masking(6, "both"), 6) == (causal & keys)).all()
    assert (cells(masking(["she", "sleeps"], "padding", pads=1), 3) == [True, True, False]).all()
    assert written(masking(6, "padding"))["<pad>"] == 4 and written(masking(6, "causal"))["−∞"] == 15 + 1


def test_blocks_and_chains():
    assert edges(scaled_dot_product()) >= {
        ("Q", "matmul  Q Kᵀ"), ("K", "matmul  Q Kᵀ"), ("matmul  Q Kᵀ", "scale  ÷ √d"), ("scale  ÷ √d", "mask"),
        ("mask", "softmax"), ("softmax", "matmul  A V"), ("V", "matmul  A V"),
    }  # fmt: skip
    encoder, decoder = edges(transformer_block()), edges(transformer_block("decoder"))
    assert {("norm", "self-attention"), ("self-attention", "+"), ("+", "norm"), (None, "+")} <= encoder
    assert ("encoder's output\n(B, S, D)", "cross-attention") in decoder
    assert written(transformer_block())["× N"] == 1 and "× N" not in written(transformer_block(stage=3))
    counts = written(transformer_block("decoder"))
    assert (counts["q"], counts["k"], counts["v"], counts["norm"], counts["+"]) == (2, 2, 2, 3, 3)
    chain = edges(recurrent_unrolled(["a", "b"], ["p", "q"]))
    assert chain >= {("a", "h₁"), ("h₁", "h₂"), ("h₂", "q"), ("h₀", "h₁"), ("h", "h")}


def test_roles_are_told_apart_in_grey_and_carry_their_text():
    roles = [ROLES[role] for role in ("plain", "encoder", "decoder", "attention", "output")]
    light = [116 * (1.05 / style.contrast_with_white(c) - 0.05) ** (1 / 3) - 16 for c in roles]  # CIE L*
    assert (-np.diff(light) >= 8).all(), light
    for fill in ROLES.values():
        assert _contrast(fill, style.text_on(fill)) >= 4.5
        for stage_fill in (tint(fill, 0.3),):
            assert _contrast(stage_fill, style.GREY) >= 3.5


def _contrast(a, b) -> float:
    one, other = sorted(1.05 / style.contrast_with_white(to_rgb(c)) for c in (a, b))
    return other / one


def test_primitives_fill_the_node_that_they_return():
    d = Drawing(8, 4)
    box, state = d.box(1, 1, 1.2, 0.5, "box"), d.state(3, 1, "h")
    sum_, row = d.operation(5, 1, "+"), d.vector(2, 3, [1.0, -0.5, "…"])
    column = d.vector(5, 3, 4, row=False)
    frame = d.block([box, state], "two things", times="× 6")
    figure = d.figure
    figure.canvas.draw()
    drawn = [inches(figure, p.get_window_extent()) for p in figure.axes[0].patches]
    for node in (box, state, sum_, *row.cells, *column.cells, frame):
        assert any(np.allclose((b.x0, b.y0, b.width, b.height), (*node.at(0, 0)[:2], node.wide, node.tall), atol=0.05)
                   for b in drawn), node  # fmt: skip
    assert (row.wide, column.tall) == pytest.approx((3 * 0.56, 4 * 0.24))
    assert [c.x for c in row.cells] == sorted(c.x for c in row.cells) and column.cells[0].y > column.cells[1].y
    assert frame.left.x < box.left.x and frame.right.x > state.right.x
    assert written(figure)["−0.5"] == written(figure)["two things"] == written(figure)["× 6"] == 1
    check_legible(figure)


def test_arrows_find_the_border_between_two_nodes():
    d = Drawing(8, 4)
    a, b, c = d.box(1, 1, 1, 0.5, "a"), d.box(4, 3, 1, 0.5, "b"), d.operation(6, 1, "+")
    for start, end in ((a, b), (a, c), (c, b), (b, c)):
        d.arrow(start, end, "said")
    d.arrow(a, c, via=[(1, 3.5), (6, 3.5)])
    for arrow in d.figure.findobj(Arrow):
        assert arrow.source.border_distance(*arrow.points[0]) < 1e-9
        assert arrow.target.border_distance(*arrow.points[-1]) < 1e-9
    assert d.figure.findobj(Arrow)[-1].points == [(1, 1.25), (1, 3.5), (6, 3.5), (6, pytest.approx(1.17))]
    tips = [p.get_xy()[0] for p in d.figure.findobj(Polygon)]
    assert np.allclose(tips, [a.points[-1] for a in d.figure.findobj(Arrow)])


def test_a_brace_points_to_the_left_of_its_way():
    d = Drawing(8, 3)
    for start, end, tip in (((1, 1), (3, 1), (2, 1.18)), ((6, 1), (4, 1), (5, 0.82)), ((7, 2.5), (7, 1.5), (7.18, 2))):
        d.brace(start, end, "all")
        path = d.figure.axes[0].patches[-1].get_path().vertices
        assert np.abs(path - tip).sum(1).min() < 1e-9
    check_legible(d.figure)


def test_parts_of_stages():
    d = Drawing(8, 3, stage=2)
    for part in (0, 1, 2, 3):
        d.part(part)
        d.box(1 + 1.5 * part, 1, 1, 0.5, f"part {part}", role="decoder")
    assert set(written(d.figure)) == {"part 0", "part 1", "part 2"}
    fills = [to_rgb(p.get_facecolor()) for p in solid(d.figure)]
    assert fills == [pytest.approx(c) for c in (ROLES["decoder"], tint(ROLES["decoder"], 0.3), ROLES["decoder"])]


def test_words():
    assert [number(v) for v in (1.0, -0.005, -1, 0.666, 2.5, 0.0)] == ["1", "−0.01", "−1", "0.67", "2.5", "0"]
    assert number(-0.001) == "0" and number(0.25, 1) == "0.2" and sub("i-1") == "ᵢ₋₁" and sub(12) == "₁₂"
    assert fitted("apple", 2.0) == "apple" and fitted("W" * 30, 0.5).endswith("…")
    assert text_size(fitted("misunderstandings", 0.6), 12)[0] <= 0.6
    with pytest.raises(ValueError, match="'far too long' needs"):
        Drawing(8, 3).box(1, 1, 0.5, 0.4, "far too long")


def test_the_same_call_gives_the_same_bytes():
    for name in ("luong, stage None", "projected, stage 3", "mask both 8"):
        first = plots.to_png(DRAWINGS[name]())
        with mpl.rc_context({"font.size": 30, "font.family": "serif", "axes.grid": True}):
            assert plots.to_png(DRAWINGS[name]()) == first


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: one_vector([], TARGET), "1 to 6 words"),
        (lambda: one_vector("a red apple", TARGET), "list of"),
        (lambda: one_vector(SOURCE, ["x"] * 7), "1 to 6 words"),
        (lambda: attention_decoder(SOURCE, TARGET, step=5), "step=5: there are 4"),
        (lambda: attention_decoder(SOURCE, TARGET, kind="dot"), "kind='dot'"),
        (lambda: attention_decoder(["x"] * 4, TARGET, kind="both"), "1 to 3 words"),
        (lambda: attention_decoder(SOURCE, TARGET, [0.5, 0.5]), r"weights of shape \(2,\)"),
        (lambda: attention_decoder(SOURCE, TARGET, scores=WEIGHTS[:1]), r"scores of shape \(1, 3\) at step 2"),
        (lambda: self_attention_steps(WORDS, asks=4), "asks=4"),
        (lambda: self_attention_steps(WORDS, X[:3]), r"inputs of shape \(3, 2\)"),
        (lambda: self_attention_steps(WORDS, X, keys=np.ones((4, 9))), r"keys of shape \(4, 9\)"),
        (lambda: recurrent_unrolled(WORDS, ["y"]), "1 outputs for 4 words"),
        (lambda: windows(WORDS, [1, 2, 3], 0, 0.0), "3 scores for 4 words"),
        (lambda: windows(WORDS, [1, 2, 3, 4], 1, 3.5), "centre=3.5"),
        (lambda: windows(LONG, [1] * 6, 1, 3.5), "1 to 5 words"),
        (lambda: choices(WORDS, [0.5, 0.5], 0), "4 words, 2 weights"),
        (lambda: choices(WORDS, [0.25] * 4, 4), "drawn=4"),
        (lambda: masking(6, "lower"), "kind='lower'"),
        (lambda: masking(9), "1 to 8 words"),
        (lambda: masking(2, "padding", pads=2), "at least one real word"),
        (lambda: transformer_block("both"), "kind='both'"),
        (lambda: architectures.check_stage(2.5, ("a", "b", "c")), "stage=2.5"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, said):
    with pytest.raises(ValueError, match=said):
        draw()
