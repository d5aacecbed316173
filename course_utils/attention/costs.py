"""What each plug was measured to cost, and what follows from such measurements. Notebook 24.

`data/plug_costs.json` holds the rows of one run of benchmarks/efficient_attention.py (one layer with its projections,
four heads, batch 1, one thread; times are CPU milliseconds on the machine it names). Times differ from machine to
machine; their order, growth and crossings much less.
"""

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from course_utils.data_files import data_folder, missing


def path() -> Path:
    """data/plug_costs.json."""
    return data_folder() / "plug_costs.json"


def measured() -> dict[str, Any]:
    """The file: "machine" (in words), "date" and "rows". A row has line, side ("ours" or a package), d_head, N, kind,
    and f and fb, forward and forward + backward: milliseconds of kind "default" or "tuned", megabytes of "memory".
    Raises FileNotFoundError if there is no such file."""
    file = path()
    if not file.is_file():
        raise FileNotFoundError(missing(file))
    return _read(file)


@lru_cache(maxsize=1)
def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def curve(line: str, kind: str = "default", *, d_head: int = 16, side: str = "ours") -> dict[int, float]:
    """{N: milliseconds or megabytes, forward and backward} of one line of the benchmark; empty if not measured so."""
    wanted = {"line": line, "kind": kind, "d_head": d_head, "side": side}
    return {row["N"]: row["fb"] for row in measured()["rows"] if wanted.items() <= row.items()}


def growth_exponent(lengths: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of the least-squares line of log cost over log length: 1 is linear, 2 quadratic."""
    _check(lengths, costs)
    x, y = ([math.log(value) for value in values] for values in (lengths, costs))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def break_even(lengths: Sequence[float], dense: Sequence[float], other: Sequence[float]) -> float | None:
    """The length from which `other` costs less than `dense` at every longer one that was measured, between two
    lengths on straight lines of the logarithms; the first length if it always does, None if not even at the last."""
    _check(lengths, dense)
    _check(lengths, other)
    lead = [math.log(a / b) for a, b in zip(dense, other, strict=True)]  # above 0: `other` costs less
    if lead[-1] <= 0:
        return None
    behind = [i for i, value in enumerate(lead) if value <= 0]
    if not behind:
        return lengths[0]
    i = behind[-1]
    share = lead[i] / (lead[i] - lead[i + 1])
    return math.exp(math.log(lengths[i]) + share * math.log(lengths[i + 1] / lengths[i]))


def _check(lengths: Sequence[float], costs: Sequence[float]) -> None:
    if len(lengths) != len(costs) or len(lengths) < 2 or list(lengths) != sorted(set(lengths)):
        raise ValueError(f"{len(lengths)} lengths, {len(costs)} costs: two lengths or more, rising, a cost for each")
    if min(*lengths, *costs) <= 0:
        raise ValueError("lengths and costs are above 0: their logarithms are taken")
