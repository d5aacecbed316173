"""Lines of random symbols in which only the order counts: what stood three places before, and what stands third.

Notebook 15. Every place has a label, so a tagger can learn them; no symbol says anything about another, so whoever does
not know places is left with guessing. "back" asks for a distance, "third" for a place counted from the beginning.
"""

import random
from collections.abc import Iterable

from course_utils.corpora.pair import Pair

SYMBOLS = tuple("abcdefgh")
NOTHING = "-"  # what stood before the beginning of the line
BACK = 3
TASKS = ("back", "third")


def order_lines(task: str, n: int, lengths: Iterable[int], seed: int) -> list[Pair]:
    """`n` lines, each with a label for every symbol.

    back    the symbol BACK places before, NOTHING for the first BACK places
    third   the third symbol of the line, for every place

    Lengths are drawn evenly from `lengths`, symbols evenly from SYMBOLS. ValueError for another task or a
    length below BACK.
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}: one of {', '.join(map(repr, TASKS))}.")
    lengths = list(lengths)
    if not lengths or min(lengths) < BACK:
        raise ValueError(f"lengths={lengths}: a line has {BACK} symbols or more.")
    draw, lines = random.Random(seed), []
    for _ in range(n):
        length = lengths[int(draw.random() * len(lengths))]
        line = tuple(SYMBOLS[int(draw.random() * len(SYMBOLS))] for _ in range(length))
        lines.append(Pair(line, (line[2],) * length if task == "third" else ((NOTHING,) * BACK + line)[:length]))
    return lines
