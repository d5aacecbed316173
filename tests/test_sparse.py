"""What notebook 20 is made of: patterns, the ways through their layers, mass kept, taggers that see a window."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from drawn import boxes, collections

from course_utils.attention.global_tokens import LongformerAttention
from course_utils.attention.windows import StridedAttention, WindowAttention
from course_utils.experiments.nb20 import recipes as recipes20
from course_utils.models.attention_tagger import AttentionTagger
from course_utils.plots.sparse import painted_map, pattern_panels, pixel_panels, reach_view
from course_utils.plots.style import BLUE, PALE, VERMILLION
from course_utils.widgets import sparse
from course_utils.widgets.sparse import hops, mass_kept, pattern_of, pattern_painter, reach_slider


def plug_pattern(plug, n):
    places = torch.arange(n)
    return plug.pattern(places, places, torch.ones(1, n, dtype=torch.bool), False)


@pytest.mark.parametrize("n", [1, 5, 12])
def test_patterns_are_those_of_the_plugs(n):
    assert torch.equal(pattern_of(n, 2), plug_pattern(WindowAttention(2), n))
    assert torch.equal(pattern_of(n, 0, 3), plug_pattern(StridedAttention(3), n))
    assert torch.equal(pattern_of(n, 1, n_global=2), plug_pattern(LongformerAttention(1, 2, 4), n))


def test_random_places_are_drawn_once():
    plain, one, again = pattern_of(20), pattern_of(20, n_random=3), pattern_of(20, n_random=3)
    assert torch.equal(one, again) and not torch.equal(one, pattern_of(20, n_random=3, seed=1))
    added = (one & ~plain).sum(1)
    assert bool(((added == 3) | (added == 2)).all()), "three a row, of which one may be the place itself"
    assert bool(pattern_of(4, n_random=9).all())


def test_hops_by_walking():
    pattern = torch.rand(9, 9, generator=torch.Generator().manual_seed(0)) < 0.2
    found = hops(pattern)
    for start in range(9):
        known, layers = {start}, 0
        while True:
            assert {j for j in range(9) if found[start, j] <= layers} == known
            further = known | {j for i in known for j in range(9) if pattern[i, j]}
            if further == known:
                break
            known, layers = further, layers + 1
        assert all(found[start, j] == torch.inf for j in range(9) if j not in known)


def test_hops_of_known_patterns():
    assert hops(pattern_of(30, 2))[0, 29] == 15 and hops(pattern_of(30, 1, n_global=1)).max() == 2
    assert hops(pattern_of(30, 0, 4)).max() == torch.inf
    causal = hops(pattern_of(10, 1).tril())
    assert causal[9, 0] == 9 and causal[0, 9] == torch.inf
    assert hops(torch.zeros(1, 1, dtype=torch.bool)).item() == 0


def test_mass_kept():
    even = torch.full((2, 3, 8, 8), 1 / 8)
    assert mass_kept(even, pattern_of(8, 1)).shape == (2, 3)
    assert mass_kept(even, pattern_of(8, 1))[0, 0].item() == pytest.approx(22 / 64)
    assert mass_kept(torch.eye(8), pattern_of(8)).item() == 1


def test_what_the_widgets_say():
    painter = pattern_painter("a b c d e f".split(), {"even": torch.full((6, 6), 1 / 6)}, window=1)
    assert painter.text == "16 of 36 pairs; the longest way takes 5 layers; 44% of this map's mass is kept."
    rows = [[False] * 6 for _ in range(6)]
    rows[0][5] = True
    painter.controls["painted"].value = rows
    assert painter.text.startswith("17 of 36 pairs; the longest way takes 5 layers")
    painter.controls["window"].value = 0
    assert "some pairs never meet" in painter.text and painter.text.startswith("7 of 36")
    slider = reach_slider(21, window=2, layers=3)
    assert slider.text == "w = 2, L = 3: place 10 depends on 13 of 21 words, 1 + 2wL = 13."
    slider.controls["causal"].value = True
    assert slider.text.endswith("depends on 7 of 21 words, 1 + wL = 7.")
    with slider.together():
        slider.controls["window"].value, slider.controls["layers"].value = 6, 6
    assert slider.text.endswith("the edges cut the rest off.")


def rgb(colour):
    return tuple(round(x, 4) for x in mpl.colors.to_rgb(colour))


def test_rows_look_at_columns_in_the_pictures():
    pattern, weights = np.eye(4, dtype=bool), np.full((4, 4), 0.001)
    pattern[0, 3], weights[0, 3], weights[2, 1] = True, 0.9, 0.5
    panel = pattern_panels({"a": pattern}).axes[0].images[0].get_array()
    assert rgb(panel[0, 3]) == rgb(BLUE) and rgb(panel[3, 0]) == rgb(PALE)
    figure = painted_map(pattern, weights, "a b c d".split(), [0.3, 0.6], 0.25)
    cells, dots = figure.axes[0].images[0].get_array(), figure.axes[0].collections[0]
    assert rgb(cells[3, 0]) == rgb(PALE) != rgb(cells[0, 3]), "weights are shown where the pattern looks"
    assert dots.get_offsets().tolist() == [[1, 2]], "a dot at column 1, row 2: the one large weight that is lost"
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "31%" in shown and "25%" in shown
    assert [bar.get_height() for bar in figure.axes[-1].patches] == [0.3, 0.6]


def test_a_pyramid_stands_on_its_words():
    reach = np.zeros((3, 7), dtype=bool)
    reach[0, 3], reach[1, 2:5], reach[2, 1:6] = True, True, True
    axes = reach_view(reach, 3).axes[0]
    lit = {}
    bars = [bar for some in collections(axes) for bar in boxes(some)]
    for bar in bars:
        if rgb(bar.colour[:3]) != rgb(PALE):
            lit.setdefault(round(bar.y), []).append(round(bar.x))
    assert lit == {0: [1, 2, 3, 4, 5], 1: [2, 3, 4], 2: [3]}
    assert [bar for bar in bars if rgb(bar.colour[:3]) == rgb(VERMILLION)][0].y - bars[0].tall / 2 > 1
    assert [text.get_text() for text in axes.texts][:2] == ["words", "5 places"]


def test_pixels_are_rows_and_columns():
    seen = np.zeros((5, 5), dtype=bool)
    seen[4, 0] = True
    axes = pixel_panels(np.zeros((5, 5)), (3, 1), {"a": seen}).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[1, 3]], "row 3, column 1"
    tinted = axes.images[0].get_array()
    assert tuple(tinted[4, 0]) != tuple(tinted[0, 4]) and axes.texts[0].get_text() == "1 pixels"


def test_mass_is_that_of_rows():
    maps = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    pattern = torch.tensor([[True, True], [True, False]])
    assert mass_kept(maps, pattern).item() == 0.5
    assert mass_kept(torch.stack([maps, maps]), pattern).tolist() == [0.5, 0.5]


def test_the_painter_counts_pairs_by_layers(monkeypatch):
    drawn = []
    monkeypatch.setattr(sparse, "painted_map", lambda *given: drawn.append(given) or painted_map(*given))
    pattern_painter("a b c d".split(), {"even": torch.full((4, 4), 0.25)}, window=1)
    assert drawn[0][3] == pytest.approx([10 / 16, 14 / 16, 1, 1, 1, 1]) and drawn[0][4] == pytest.approx(10 / 16)


@pytest.mark.parametrize(("window", "n_global", "reached"), [(1, 0, 2), (2, 0, 4), (1, 1, 9)])
def test_a_tagger_sees_its_pattern_only(window, n_global, reached):
    torch.manual_seed(0)
    net = AttentionTagger(12, 4, d_model=8, n_heads=2, n_layers=2, positions="sinusoidal")
    recipes20.give(net, window, n_global)
    net = net.double().eval()
    ids = torch.arange(2, 12).unsqueeze(0)
    other = ids.clone()
    other[0, 9] = 2
    with torch.no_grad():
        moved = (net(ids) != net(other)).any(-1)[0]
    assert moved.nonzero().flatten().tolist() == list(range(9 - reached, 10))


def test_imposing_leaves_the_tagger_as_it_was():
    experiment = recipes20.tagging(0, pattern=None)
    own = [block.attention.plug for block in experiment.model.blocks]
    found = experiment.splits["test"](experiment.model, 6)
    assert {f"imposed_{w}" for w in recipes20.WINDOWS} < set(found)
    assert [block.attention.plug for block in experiment.model.blocks] == own
