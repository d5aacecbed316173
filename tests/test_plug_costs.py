"""Exponents and crossings by hand; the stored measurements are whole."""

import math

import pytest

from course_utils.attention.costs import break_even, curve, growth_exponent, measured

LENGTHS = (256, 512, 1024, 2048)


@pytest.mark.parametrize("power", [0, 1, 1.5, 2])
def test_the_exponent_of_a_power(power):
    assert growth_exponent(LENGTHS, [3 * N**power for N in LENGTHS]) == pytest.approx(power)


def test_the_exponent_hears_every_length():
    costs = [N**2.0 for N in LENGTHS]
    costs[1] *= 2
    assert growth_exponent(LENGTHS, costs) == pytest.approx(2 - 0.1)  # (-0.5 octaves · 1 octave up) / 5 octaves²


def test_where_two_powers_cross():
    dense, linear = [N**2 for N in LENGTHS], [700 * N for N in LENGTHS]
    assert break_even(LENGTHS, dense, linear) == pytest.approx(700)
    assert break_even(LENGTHS, dense, [N for N in LENGTHS]) == 256
    assert break_even(LENGTHS, dense, [5000 * N for N in LENGTHS]) is None
    assert break_even(LENGTHS, dense, [*linear[:3], dense[3]]) is None  # a draw is no lead


def test_only_the_last_crossing_counts():
    assert break_even(LENGTHS, [1, 1, 1, 1], [0.5, 2, 0.5, 2]) is None
    found = break_even(LENGTHS, [1, 1, 1, 1], [0.5, 2, 0.5, 0.5])
    assert found == pytest.approx(math.sqrt(512 * 1024))
    assert break_even(LENGTHS, [1, 1, 1, 1], [2, 0.5, 2, 0.5]) == pytest.approx(math.sqrt(1024 * 2048))


@pytest.mark.parametrize(
    ("lengths", "costs"), [((1, 2), (1,)), ((1,), (1,)), ((2, 1), (1, 1)), ((1, 1), (1, 1)), ((1, 2), (0, 1))]
)
def test_what_has_no_logarithm_or_order_is_refused(lengths, costs):
    with pytest.raises(ValueError, match="lengths"):
        growth_exponent(lengths, costs)
    with pytest.raises(ValueError, match="lengths"):
        break_even(lengths, costs, costs)


def test_the_stored_measurements_are_whole():
    rows = measured()["rows"]
    assert {row["kind"] for row in rows} == {"default", "tuned", "memory"} and "torch" in measured()["machine"]
    ours = {row["line"] for row in rows if row["side"] == "ours"}
    compared = {row["line"] for row in rows if row["side"] != "ours"}
    assert len(ours) >= 20 and len(compared) >= 8
    assert all(set(curve(line)) == {256, 512, 1024, 2048, 4096, 8192} for line in ours)
    for line in compared | {"SDPA", "SDPA, causal"}:
        assert all(set(curve(line, kind, d_head=d)) >= {4096, 8192} for kind in ("default", "tuned") for d in (16, 64))
    assert all(set(curve(line, "memory")) >= {4096, 8192} for line in ours)
    assert all(0 < row["f"] and 0 < row["fb"] for row in rows if row["kind"] != "memory")
    assert curve("no such line") == {}
    theirs = {"kind": "tuned", "line": "linear", "side": "fast-transformers", "d_head": 64, "N": 4096}
    (row,) = (row for row in rows if theirs.items() <= row.items())
    assert curve("linear", "tuned", d_head=64, side="fast-transformers")[4096] == row["fb"]
