"""Reading the scoreboard: the figures of runs too long for a notebook, one row a run and split.

A row says who made it and how to make it again:

    notebook, model, task, seed, split                            which figure this is
    steps, cpu_seconds, parameters, loss                          the training: updates, CPU seconds, last training loss
    scores                                                        name -> number on this split
    command, corpus_hash, code_hash, fingerprint                  see benchmarks/scoreboard.py, which writes the file

Nobody edits data/scoreboard.jsonl by hand. Notebooks read it with `values`, `rows`, `table` and `spread`.
"""

import json
from collections.abc import Iterable
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from course_utils.data_files import data_folder, missing

KEY = ("notebook", "model", "task", "seed", "split")
COMMAND = "python -m benchmarks.scoreboard"
RESULT = ("steps", "cpu_seconds", "parameters", "loss", "scores")
FIELDS = {*KEY, *RESULT, "command", "corpus_hash", "code_hash", "fingerprint"}


class Spread(NamedTuple):
    """One score over seeds."""

    mean: float
    min: float
    max: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if self.n == 1 else f"{self.mean:.2f} ({self.min:.2f}-{self.max:.2f})"


def path() -> Path:
    """data/scoreboard.jsonl beside the package, or in the folder that COURSE_DATA names."""
    return data_folder() / "scoreboard.jsonl"


def read(file: Path | str | None = None) -> list[dict[str, Any]]:
    """Every row of the scoreboard, in file order."""
    file = path() if file is None else Path(file)
    if not file.is_file():
        raise FileNotFoundError(missing(file, f"make the scoreboard with `{COMMAND}`"))
    board = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict) or set(row) != FIELDS:
            raise ValueError(
                f"{file}, line {number} is no row of the scoreboard (it is not edited by hand); remove the line and "
                f"run `{COMMAND}`."
            )
        board.append(row)
    return board


@lru_cache(maxsize=1)
def _read_once(file: Path, changed: int) -> list[dict[str, Any]]:
    """`read`, again only after the file has changed (nanoseconds): notebooks ask many times."""
    return read(file)


def rows(
    notebook: str | None = None,
    model: str | None = None,
    task: str | None = None,
    split: str | None = None,
    *,
    seed: int | None = None,
    file: Path | str | None = None,
) -> list[dict[str, Any]]:
    """The rows that match everything given, in file order. Raises LookupError if there is none: a misspelt name must
    not become an empty figure."""
    asked = {"notebook": notebook, "model": model, "task": task, "split": split, "seed": seed}
    asked = {name: value for name, value in asked.items() if value is not None}
    file = path() if file is None else Path(file)
    board = _read_once(file, file.stat().st_mtime_ns) if file.is_file() else read(file)
    found = [deepcopy(row) for row in board if all(row[name] == value for name, value in asked.items())]
    if not found:
        known = "; ".join(f"{name}: {', '.join(sorted({str(r[name]) for r in board}))}" for name in asked)
        wanted = ", ".join(f"{name}={value!r}" for name, value in asked.items())
        raise LookupError(f"the scoreboard has no row with {wanted}; it knows {known or 'no row at all'}.")
    return found


def values(score: str, **which: Any) -> list[float]:
    """One score of one model, task and split, one value per seed in the order of the seeds: what a claim is made of.

    `which` are those of `rows`: values("exact_match", model="attentive", task="45-seconds", split="12-16").
    """
    return _one_run(sorted(rows(**which), key=lambda row: row["seed"]), score)


def spread(found: Iterable[dict[str, Any]], score: str) -> Spread:
    """Mean, smallest and largest of one score over rows that differ in their seed only."""
    found = _one_run(list(found), score)
    return Spread(fmean(found), min(found), max(found), len(found))


def _one_run(found: list[dict[str, Any]], score: str) -> list[float]:
    """The score in each row; they must differ in their seed only."""
    if not found:
        raise ValueError("no rows to take the spread of.")
    runs = {tuple(row[name] for name in KEY if name != "seed") for row in found}
    if len(runs) > 1:
        names = "; ".join("/".join(map(str, run)) for run in sorted(runs)[:3])
        raise ValueError(f"a spread over seeds needs rows of one model, task and split, not of {names}; ask for one.")
    lacking = [row for row in found if score not in row["scores"]]
    if lacking:
        raise KeyError(f"no score {score!r} in this row; it has {', '.join(lacking[0]['scores'])}.")
    return [row["scores"][score] for row in found]


def by_split(score: str, splits: Iterable[str], **which: Any) -> list[list[float]]:
    """`values` on several splits, as seeds x splits: what a curve is made of."""
    return [list(run) for run in zip(*(values(score, split=split, **which) for split in splits), strict=True)]


def table(
    score: str, found: Iterable[dict[str, Any]], *, by: str = "model", across: str = "split"
) -> dict[str, dict[str, Spread]]:
    """Spreads of one score arranged as {row name: {column name: Spread}}, names in order of appearance.

    `found` comes from `rows`; `by` and `across` name two fields of KEY, all others but the seed must not vary.
    """
    cells: dict[str, dict[str, list]] = {}
    for row in found:
        cells.setdefault(row[by], {}).setdefault(row[across], []).append(row)
    return {name: {column: spread(some, score) for column, some in line.items()} for name, line in cells.items()}


def as_text(cells: dict[str, dict[str, Spread]]) -> str:
    """A `table` as aligned text: mean (smallest-largest) over seeds; "-" where there is no row."""
    columns = list(dict.fromkeys(column for line in cells.values() for column in line))
    grid = [["", *columns], *([name, *(str(line.get(c, "-")) for c in columns)] for name, line in cells.items())]
    widths = [max(len(row[i]) for row in grid) for i in range(len(grid[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in grid)
