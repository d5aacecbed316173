"""Lines in which only the order counts: labels right, chance without it."""

from collections import Counter

import pytest

from course_utils.corpora.order import BACK, NOTHING, SYMBOLS, order_lines


def test_labels():
    for line in order_lines("back", 50, range(3, 9), 0):
        expected = [NOTHING] * BACK + list(line.source)
        assert line.target == tuple(expected[: len(line.source)])
        assert all(line.target[p] == line.source[p - 3] for p in range(3, len(line.source)))
    for line in order_lines("third", 50, range(3, 9), 0):
        assert set(line.target) == {line.source[2]} and len(line.target) == len(line.source)


def test_all_lengths_and_symbols_evenly_and_by_the_seed():
    lines = order_lines("back", 4000, range(4, 17), 1)
    lengths = Counter(len(line.source) for line in lines)
    assert set(lengths) == set(range(4, 17)) and max(lengths.values()) < 1.4 * min(lengths.values())
    symbols = Counter(s for line in lines for s in line.source)
    assert set(symbols) == set(SYMBOLS) and max(symbols.values()) < 1.1 * min(symbols.values())
    assert lines == order_lines("back", 4000, range(4, 17), 1) != order_lines("back", 4000, range(4, 17), 2)


def test_refusals():
    with pytest.raises(ValueError, match="unknown task 'sort': one of 'back', 'third'"):
        order_lines("sort", 1, [4], 0)
    for lengths in ([], [2, 5]):
        with pytest.raises(ValueError, match="a line has 3 symbols or more"):
            order_lines("back", 1, lengths, 0)
