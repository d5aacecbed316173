"""Positions: the papers' formulas, shifts as linear maps, layouts, rotary scores that see distances only."""

import math

import pytest
import torch

from course_utils.attention.positions import (
    LearnedPositions,
    RotaryPositions,
    SinusoidalPositions,
    frequencies,
    shift_matrix,
)
from course_utils.attention.socket import places

LAYOUTS = ["interleaved", "halves"]


def test_sinusoids_by_the_papers_formula():
    table = SinusoidalPositions(6)(torch.arange(50))
    for p in range(50):
        for i in range(3):
            angle = p / 10000 ** (2 * i / 6)
            assert table[p, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-12)
            assert table[p, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-12)


def test_halves_are_the_same_numbers_in_another_order():
    one, other = (SinusoidalPositions(8, layout)(torch.arange(20)) for layout in LAYOUTS)
    assert torch.equal(one[:, [0, 2, 4, 6, 1, 3, 5, 7]], other)
    torch.testing.assert_close(one @ one.T, other @ other.T)


def test_every_place_has_norm_half_the_width_and_is_unique():
    table = SinusoidalPositions(64)(torch.arange(2000))
    torch.testing.assert_close(table.square().sum(1), torch.full((2000,), 32.0, dtype=torch.float64))
    assert (torch.cdist(table, table) + 9 * torch.eye(2000)).min() > 0.3


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("offset", [1, -3, 40])
def test_a_shift_is_one_linear_map(layout, offset):
    positions, where = SinusoidalPositions(16, layout), torch.arange(60, 200)
    torch.testing.assert_close(positions(where) @ shift_matrix(16, offset, layout), positions(where + offset))


def test_the_longest_wave_is_the_papers_not_tensor2tensors():
    assert 1 / frequencies(64)[-1].item() == pytest.approx(7498.94, abs=0.01)
    assert frequencies(64)[0].item() == 1.0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rotary_scores_see_distances_only(layout):
    turn, generator = RotaryPositions(8, layout), torch.Generator().manual_seed(0)
    q, k = (torch.randn(2, 3, 9, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    where = torch.arange(9)
    near = turn(q, where) @ turn(k, where).mT
    torch.testing.assert_close(turn(q, where + 500) @ turn(k, where + 500).mT, near)
    assert not torch.allclose(turn(q, where + 1) @ turn(k, where).mT, near)
    torch.testing.assert_close(turn(q, where).norm(dim=-1), q.norm(dim=-1))
    torch.testing.assert_close(turn(q, 0 * where), q)


def test_rotary_layouts_pair_other_entries():
    """The same turn, but of other pairs: weights trained with one do not fit the other."""
    x, where = torch.arange(8.0, dtype=torch.float64).expand(1, 3, 8), torch.arange(3)
    one, other = (RotaryPositions(8, layout)(x, where) for layout in LAYOUTS)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    assert not torch.allclose(one[..., order], other)
    torch.testing.assert_close(RotaryPositions(8, "halves")(x[..., order], where), one[..., order])


def test_learned_positions_end():
    positions = LearnedPositions(5, 4)
    assert positions(torch.tensor([4, 0])).shape == (2, 4)
    with pytest.raises(ValueError, match="no learned position for place 5.*max_length=5.*longer table"):
        positions(torch.arange(6))


def test_default_places():
    queries, keys = places(2, 5)
    assert queries.tolist() == [3, 4] and keys.tolist() == [0, 1, 2, 3, 4]
    assert [p.tolist() for p in places(3, 2)] == [[0, 1, 2], [0, 1]]


@pytest.mark.parametrize("make", [lambda: SinusoidalPositions(7), lambda: RotaryPositions(0), lambda: frequencies(1)])
def test_odd_widths_are_refused(make):
    with pytest.raises(ValueError, match="must be even and positive"):
        make()


def test_unknown_layouts_are_refused():
    for make in (SinusoidalPositions, RotaryPositions, lambda d, layout: shift_matrix(d, 1, layout)):
        with pytest.raises(ValueError, match="unknown layout 'mixed': one of 'interleaved', 'halves'"):
            make(8, "mixed")
