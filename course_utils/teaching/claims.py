"""A claim of a notebook: one line with its numbers, and a cell that fails when it is no longer true.

The one rule of the course, for "A > B" (A and B are a model's values, one per seed, or a plain number):

1. every seed of A lies above every seed of B (the seeds do not overlap), and
2. the mean of A lies above the mean of B by more than the standard error of the test set.

Which seed stands beside which does not matter, and the numbers of seeds may differ: seed 0 of two models has nothing in
common but its name. Three seeds against three do not overlap by chance in 1 of 10 comparisons, so many comparisons need
more. "A ~ B" (cannot be told apart) holds when neither "A > B" nor "A < B" does. A value without seeds is a single run
or an exact fact; without a standard error the second part asks only that the means differ, by more than rounding.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from statistics import fmean
from typing import Any, NamedTuple

Values = float | Iterable[float]
ROUNDING = 1e-9  # a relative difference as small as this is no difference
LAST_DIGITS = 1e-6  # below a bound as small as this only the processor's rounding is left, and no two round alike


class ClaimFailed(AssertionError):
    """What a notebook says is not what was measured."""


class Side(NamedTuple):
    """One side of a comparison."""

    name: str  # of a plain number: the number as it was written
    values: tuple[float, ...]
    measured: bool = True

    @property
    def mean(self) -> float:
        return fmean(self.values)


def claim(
    sentence: str,
    measured: Mapping[str, Values],
    condition: str,
    *,
    of: int | None = None,
    error: float | None = None,
    holds: bool = True,
) -> None:
    """Print one line: whether the claim held, the sentence, each mean with its seeds. Raise ClaimFailed if the outcome
    is not the one that the notebook asserts.

    `measured`: name -> a value, or one value per seed. `condition`: "A > B", "A < B", "A ~ B" (cannot be told apart) or
    a chain such as "0.5 < A < B"; A and B are names of `measured` or numbers. `of`: on how many items the values, which
    are shares, were tested: their standard error is sqrt(p (1 - p) / of), the larger one of the two compared. `error`:
    the standard error itself. Exact facts need neither; against a bound of 1e-6 or less the line names rounding and not
    its digits, which differ from processor to processor. `holds=False` asserts that the claim does not hold.
    Raises ValueError or TypeError for a condition, a name or a value that cannot be read.
    """
    if not isinstance(sentence, str) or not sentence.strip() or "\n" in sentence:
        raise ValueError(f"a claim is one sentence on one line, not {sentence!r}.")
    known = {name: Side(name, _numbers(name, values)) for name, values in _mapping(measured).items()}
    sides, signs = _parse(condition, known)
    errors = [_error(pair, of, error) for pair in zip(sides, sides[1:], strict=False)]
    links = list(zip(sides, signs, sides[1:], errors, strict=False))
    held, why = all(_holds(*link) for link in links), [reason for link in links if (reason := _reason(*link))]

    write = _writer(links)
    words = [_said(sides[0], write)]
    for sign, side in zip(signs, sides[1:], strict=True):
        words += [sign, _said(side, write)]
    line = " ".join(words)
    if held and signs == ["<"] and _is_rounding(*sides):
        line = f"{sides[0].name} is at most rounding, below {sides[1].name}"
    if given := max(errors):
        line += f"; standard error {_small(given, write)}"
    line = f"{sentence.strip().rstrip('.')}: {line}{f' ({why[0]})' if why else ''}"
    print(f"{'Held' if held else 'Did not hold'}: {line}")
    if held != holds:
        said, found = ("holds", "does not") if holds else ("does not hold", "does")
        raise ClaimFailed(f"the notebook says that this claim {said}, but it {found}: {line}.")


def _mapping(measured: Any) -> Mapping[str, Values]:
    if not isinstance(measured, Mapping):
        raise TypeError(f"measured is a {type(measured).__name__}; pass a dict: name -> value, or one value per seed.")
    for name in measured:
        if not isinstance(name, str) or not re.fullmatch(r"[^<>~=]*\w[^<>~=]*", name):
            raise ValueError(f"measured has the name {name!r}; a name is text without < > ~ =.")
    return {name.strip(): values for name, values in measured.items()}


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    values = values.tolist() if hasattr(values, "tolist") else values  # tensors and arrays
    if isinstance(values, str) or not isinstance(values, Iterable | int | float):
        raise TypeError(f"{name!r} holds {values!r}; pass a number, or one number per seed.")
    found = tuple(values) if isinstance(values, Iterable) else (values,)
    if not found:
        raise ValueError(f"{name!r} holds no value; pass a number, or one number per seed.")
    for value in found:
        if isinstance(value, bool):
            raise TypeError(f"{name!r} holds {value}; pass the number that decides, so that it can be printed.")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"{name!r} holds {value!r}; pass a number, or one number per seed.") from None
        if not math.isfinite(number):
            raise ValueError(f"{name!r} holds {number}, which is neither above nor below anything.")
    return tuple(map(float, found))


def _parse(condition: str, known: Mapping[str, Side]) -> tuple[list[Side], list[str]]:
    """The sides and the signs between them: "0.2 < A < B" -> three sides, ["<", "<"]."""
    parts = [part.strip() for part in re.split("([<>~])", condition)] if isinstance(condition, str) else []
    names, signs = parts[::2], parts[1::2]
    if not signs or len({*signs}) > 1 or ("~" in signs and len(signs) > 1) or "" in names or "=" in condition:
        raise ValueError(f"condition {condition!r} is not 'A > B', 'A < B', 'A ~ B' or a chain like '0.2 < A < B'.")
    sides = [known[name] if name in known else _number(name, known) for name in names]
    if not any(side.measured for side in sides):
        raise ValueError(f"condition {condition!r} names nothing measured; measured: {', '.join(known) or 'nothing'}.")
    return sides, signs


def _number(text: str, known: Mapping[str, Side]) -> Side:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} in the condition was not measured and is no number; measured: {', '.join(known)}.")
    return Side(text, (number,), measured=False)


def _error(pair: tuple[Side, Side], of: int | None, error: float | None) -> float:
    """The standard error that a difference must exceed."""
    if of is not None and error is not None:
        raise ValueError(f"of={of} and error={error} both say how large the standard error is: give one of them.")
    if error is not None:
        if not 0 <= error < math.inf:
            raise ValueError(f"error={error}: a standard error is a number from 0 on.")
        return float(error)
    if of is None:
        return 0.0
    if of < 1 or of != int(of):
        raise ValueError(f"of={of}: it is the number of tested items.")
    shares = [side for side in pair if side.measured]
    if wrong := [v for side in shares for v in side.values if not 0 <= v <= 1]:
        raise ValueError(f"with of={of} values are shares from 0 to 1, not {wrong[0]}; give error= for other values.")
    return max(math.sqrt(side.mean * (1 - side.mean) / of) for side in shares)


def _above(a: Side, b: Side, error: float) -> bool:
    """The rule of this module."""
    smallest = ROUNDING * max(abs(a.mean), abs(b.mean))
    return min(a.values) > max(b.values) and a.mean - b.mean > max(error, smallest)


def _holds(a: Side, sign: str, b: Side, error: float) -> bool:
    if sign == "~":
        return not _above(a, b, error) and not _above(b, a, error)
    return _above(a, b, error) if sign == ">" else _above(b, a, error)


def _reason(a: Side, sign: str, b: Side, error: float) -> str:
    """Why two sides count as equal, or why the comparison is not as claimed; "" where the numbers say it."""
    if _above(a, b, error) or _above(b, a, error):
        return "" if _holds(a, sign, b, error) else "they differ" if sign == "~" else "it is the other way round"
    overlap = max(min(a.values), min(b.values)) <= min(max(a.values), max(b.values))
    same = math.isclose(a.mean, b.mean, rel_tol=ROUNDING)
    if len(a.values) == len(b.values) == 1 and (overlap or same):
        return "they are equal"
    return "the seeds overlap" if overlap else "the difference is within the standard error"


# ------------------------------------------------------------------------------------------------------- in words


def _writer(links: list[tuple[Side, str, Side, float]]) -> Callable[[float], str]:
    """Numbers in as many digits as the comparison needs: means that differ, and seeds that decide, are told apart."""
    values = [value for a, _, b, _ in links for side in (a, b) if side.measured for value in side.values]
    pairs = [(a.mean, b.mean) for a, sign, b, error in links if sign != "~" or not _holds(a, sign, b, error)]
    for a, _, b, error in links:
        low, high = (b, a) if _above(a, b, error) else (a, b)
        pairs += [(max(low.values), min(high.values))] if _above(high, low, error) else []
    largest, smallest = max(map(abs, values)), min((abs(value) for value in values if value), default=1.0)
    if all(value == int(value) for value in values) and largest < 1e15:
        return lambda value: f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
    kind, first = ("f", 0 if largest >= 1000 else 1 if largest >= 100 else 2) if smallest >= 1e-3 else ("g", 2)
    for digits in range(first, 17):
        write = f"{{:,.{digits}{kind}}}".format
        if all(write(a) != write(b) for a, b in pairs if not math.isclose(a, b, rel_tol=ROUNDING)):
            break
    return write


def _said(side: Side, write: Callable[[float], str]) -> str:
    """'attention 0.75 (0.74 0.75 0.76)': the name, the mean and, where there are several, each seed."""
    if not side.measured:
        return side.name
    seeds = f" ({' '.join(map(write, side.values))})" if len(side.values) > 1 else ""
    return f"{side.name} {write(side.mean)}{seeds}"


def _is_rounding(small: Side, bound: Side) -> bool:
    return small.measured and not bound.measured and abs(bound.mean) <= LAST_DIGITS


def _small(value: float, write: Callable[[float], str]) -> str:
    written = write(value)
    return written if float(written.replace(",", "")) else f"{value:.1g}"
