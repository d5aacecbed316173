"""The generated English-French corpus on disk: its splits, and the reader and writer of their tab-separated format.

Rules, counts, check sums and licence (CC0) stand in data/README.md; grammar.py wrote it, generate.py writes it again.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from course_utils.corpora.pair import Agreement, Pair
from course_utils.data_files import data_folder, missing

TEST_BUCKETS = {"3-7": "test_03_07", "8-11": "test_08_11", "12-16": "test_12_16", "17-22": "test_17_22",
                "23-30": "test_23_30"}
SPLITS = ("train", "train_low", "valid", *TEST_BUCKETS.values(), "held_out")
COLUMNS = ("source", "target", "source_tags", "target_tags", "sure", "possible", "agreements", "held_out")


def folder() -> Path:
    """Where the split files lie: data/mini_en_fr beside the package, or under the folder that COURSE_DATA names."""
    return data_folder() / "mini_en_fr"


def write_line(pair: Pair, held_out: Iterable[str] = ()) -> str:
    """One line of a split file, without its line end. `possible` holds only the links that are not sure."""
    links = [" ".join(f"{i}-{j}" for i, j in sorted(some)) for some in (pair.sure, pair.possible - pair.sure)]
    agreements = " ".join(f"{a.subject}-{a.verb}" + ("!" + ",".join(map(str, a.attractors)) if a.attractors else "")
                          for a in pair.agreements)
    return "\t".join((" ".join(pair.source), " ".join(pair.target), " ".join(pair.source_tags),
                      " ".join(pair.target_tags), *links, agreements, ", ".join(held_out)))


def _links(text: str) -> frozenset[tuple[int, int]]:
    return frozenset((int(i), int(j)) for i, j in (link.split("-") for link in text.split()))


def _agreement(text: str) -> Agreement:
    ends, _, attractors = text.partition("!")
    subject, verb = ends.split("-")
    return Agreement(int(subject), int(verb), tuple(int(k) for k in attractors.split(",") if k))


def read_line(line: str) -> Pair:
    """The pair that `write_line` wrote. ValueError for a malformed line."""
    cells = line.rstrip("\n").split("\t")
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{len(cells)} columns instead of {len(COLUMNS)}")
    source, target, source_tags, target_tags = (tuple(cell.split(" ")) for cell in cells[:4])
    sure = _links(cells[4])
    pair = Pair(source, target, source_tags, target_tags, sure, sure | _links(cells[5]),
                tuple(_agreement(a) for a in cells[6].split()))
    if len(source) != len(source_tags) or len(target) != len(target_tags):
        raise ValueError("not one tag a word")
    if any(not (0 <= i < len(source) and 0 <= j < len(target)) for i, j in pair.possible):
        raise ValueError("a link points outside the sentence")
    return pair


def read_split(path: Path | str, limit: int | None = None) -> list[Pair]:
    """The first `limit` pairs of a split file (None: all). ValueError names file, line and remedy."""
    path, pairs = Path(path), []
    remedy = "write it again with `python -m course_utils.corpora.generate`"
    if not path.is_file():
        raise ValueError(missing(path, f"{remedy}, or set COURSE_DATA to the folder that holds mini_en_fr"))
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}): {remedy}") from None
    if lines[0].split("\t") != list(COLUMNS):
        raise ValueError(f"{path}, line 1: the header is not {' '.join(COLUMNS)!r}: {remedy}")
    for number, line in enumerate(lines[1:-1] if lines[-1] == "" else lines[1:], 2):
        if limit is not None and len(pairs) >= limit:
            break
        try:
            pairs.append(read_line(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}: {remedy}") from None
    return pairs


@cache
def _split(path: Path, limit: int | None) -> tuple[Pair, ...]:
    return tuple(read_split(path, limit))


def load_split(name: str, limit: int | None = None) -> list[Pair]:
    """A split by name, in file order (shuffled once, when written); lengths count every token, the last mark too."""
    if name not in SPLITS:
        raise ValueError(f"no split {name!r}: choose one of {', '.join(SPLITS)}")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise ValueError(f"limit is {limit!r}: give a positive whole number of pairs, or None for all")
    return list(_split(folder() / f"{name}.tsv", limit))


def load_test_buckets(limit: int | None = None) -> dict[str, list[Pair]]:
    """The test sentences by number of source tokens: {"3-7": [...], "8-11": ..., "23-30": ...}."""
    return {label: load_split(name, limit) for label, name in TEST_BUCKETS.items()}


def corpus_hash() -> str:
    """Twelve hex digits that change with any byte of any split; the scoreboard's rows carry it."""
    digest = hashlib.sha256()
    for name in SPLITS:
        path = folder() / f"{name}.tsv"
        if not path.is_file():
            raise ValueError(missing(path, "write it with `python -m course_utils.corpora.generate`"))
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
