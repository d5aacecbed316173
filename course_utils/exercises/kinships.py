"""How wrong answers are related to the right ones, over all inputs: transposed, twice as large, one place off, ...

Used by checking.py where no planted mistake explains an answer; `kinship` names the relation, if there is one.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.differences import ORDINALS, Failed, difference, is_number, kind, plain, same

TURNS = {  # what makes the right result of the answer's -> what was done wrong
    "every number has the wrong sign": lambda x: -x,
    "rows and columns are exchanged": lambda x: x.transpose(-2, -1),
    "the first two dimensions are exchanged": lambda x: x.transpose(0, 1),
    "the order along the last dimension is reversed": lambda x: x.flip(-1),
    "the order along the first dimension is reversed": lambda x: x.flip(0),
    "the order along the second dimension is reversed": lambda x: x.flip(1),
    "everything stands one place too far along the last dimension": lambda x: x.roll(-1, -1),
    "everything stands one place too early along the last dimension": lambda x: x.roll(1, -1),
    "everything stands one place too far along the first dimension": lambda x: x.roll(-1, 0),
    "everything stands one place too early along the first dimension": lambda x: x.roll(1, 0),
    "this is 1 minus what is asked": lambda x: 1 - x,
    "every number is 1 too large": lambda x: x - 1,
    "every number is 1 too small": lambda x: x + 1,
    "every number is the square of what is asked": lambda x: x.sqrt(),
    "every number is the root of what is asked": lambda x: x.square(),
    "every number is one divided by what is asked": lambda x: 1 / x,
    "every number is the logarithm of what is asked": lambda x: x.exp(),
    "every number is e to the power of what is asked": lambda x: x.log(),
}
STEPS = {  # what was done to the right result -> how it is said
    "there is a tanh too many at the end": lambda x: x.tanh(),
    "there is a sigmoid too many at the end": lambda x: x.sigmoid(),
    "there is a softmax too many at the end": lambda x: x.softmax(-1),
    "negative numbers have become 0": lambda x: x.relu(),
    "negative numbers have lost their sign": lambda x: x.abs(),
    "the numbers have been rounded": lambda x: x.round(decimals=2),
    "the first dimension has been added up": lambda x: x.sum(0),
    "the second dimension has been added up": lambda x: x.sum(1),
    "the last dimension has been added up": lambda x: x.sum(-1),
    "this is the mean over the first dimension": lambda x: x.mean(0),
    "this is the mean over the second dimension": lambda x: x.mean(1),
    "this is the mean over the last dimension": lambda x: x.mean(-1),
    "only the first entry of the first dimension is there": lambda x: x[0],
    "only the last entry of the first dimension is there": lambda x: x[-1],
    "only the first entry of the second dimension is there": lambda x: x[:, 0],
    "only the last entry of the second dimension is there": lambda x: x[:, -1],
}


def kinship(gots: Sequence[Any], wants: Sequence[Any]) -> str | None:
    """How the wrong outcomes are related to the right ones, if one relation explains all of them; else None."""
    both = [(got, want) for got, want in zip(gots, wants, strict=True) if difference(got, want)]
    if not both or any(isinstance(got, Failed) for got, _ in both):
        return None
    if all(isinstance(want, tuple) for _, want in both):
        return _kinship_of_parts(*zip(*both, strict=True))
    pairs = [(_as_tensor(got), _as_tensor(want)) for got, want in both]
    if any(got is None or want is None or kind(got) != kind(want) for got, want in pairs):
        return None
    pairs = [(got.detach(), want.detach()) for got, want in pairs]
    if sum(want.numel() for _, want in pairs) < 2:
        return None
    masks = all(want.dtype == torch.bool for _, want in pairs)
    turns = TURNS
    if masks:
        turns = {"True and False are exchanged": torch.logical_not}
        turns |= {said: turn for said, turn in TURNS.items() if "number" not in said and "minus" not in said}
    for said, turn in turns.items():
        if all(_turned(turn, got, want) for got, want in pairs):
            return said
    for said, step in STEPS.items():
        if not masks and all(_turned(step, want, got) for got, want in pairs):
            return said
    if all(got.numel() == want.numel() and got.shape != want.shape for got, want in pairs):
        if all(same(got.flatten(), want.flatten()) for got, want in pairs):
            return f"the numbers are right, but the shape is {tuple(pairs[0][0].shape)}, not {tuple(pairs[0][1].shape)}"
    if masks:
        return _too_many_or_few(pairs)
    if all(want.dtype.is_floating_point for _, want in pairs):
        return _shares(pairs) or _factor(pairs) or _all_alike(pairs)
    return None


def _kinship_of_parts(gots: Sequence[Any], wants: Sequence[tuple]) -> str | None:
    n = len(wants[0])
    if any(not isinstance(got, tuple | list) or len(got) != n for got in gots) or any(len(w) != n for w in wants):
        return None
    if n == 2 and all(same(tuple(got[::-1]), want) for got, want in zip(gots, wants, strict=True)):
        return "the two results are right and stand in the wrong order"
    wrong = [k for k in range(n) if any(difference(g[k], w[k]) for g, w in zip(gots, wants, strict=True))]
    found = [kinship([got[k] for got in gots], [want[k] for want in wants]) for k in wrong[:3]]
    if not found or found[0] is None or len(set(found)) > 1:
        return None
    which = "in all results" if len(wrong) == n else f"in {ORDINALS[wrong[0]]}" if wrong[0] < 3 else "in a later result"
    return f"{which} {found[0]}"


def _as_tensor(x: Any) -> Tensor | None:
    if isinstance(x, Tensor):
        return None if x.is_complex() else x
    try:
        return torch.tensor(x, dtype=torch.float64) if is_number(x) else None
    except OverflowError:
        return None


def _turned(turn: Callable[[Tensor], Tensor], x: Tensor, other: Tensor) -> bool:
    try:
        x = turn(x if x.dtype == torch.bool else x.double())
        other = other if other.dtype == torch.bool else other.double()
        return x.shape == other.shape and same(x, other) and bool(x.isfinite().all())
    except Exception:  # e.g. no rows and columns to exchange
        return False


def _too_many_or_few(pairs: list[tuple[Tensor, Tensor]]) -> str | None:
    """Of masks: whether True stands in too many places or in too few, and where on the last two dimensions."""
    if any(got.shape != want.shape for got, want in pairs):
        return None
    if all(bool((got == got.flatten()[0]).all()) for got, _ in pairs) and sum(got.numel() for got, _ in pairs) > 3:
        value = bool(pairs[0][0].flatten()[0])
        return f"every entry is {value}" if all(bool(got.flatten()[0]) == value for got, _ in pairs) else None
    extra = [got & ~want for got, want in pairs]
    missing = [want & ~got for got, want in pairs]
    if any(e.any() for e in extra) == any(m.any() for m in missing):
        return None
    wrong, what = (extra, "many") if any(e.any() for e in extra) else (missing, "few")
    return f"True stands in too {what} places{_where(wrong)}"


def _where(wrong: list[Tensor]) -> str:
    """Of entries in the last two dimensions, whose diagonal ends in the lower right corner."""
    if any(w.ndim < 2 for w in wrong):
        return ""
    gap = torch.cat([w.nonzero() @ _last_minus_before(w.ndim) - (w.shape[-1] - w.shape[-2]) for w in wrong])
    sides = {"on": gap == 0, "above": gap > 0, "below": gap < 0}
    return next((f", all of them {side} the diagonal" for side, holds in sides.items() if bool(holds.all())), "")


def _last_minus_before(ndim: int) -> Tensor:
    return torch.tensor([0] * (ndim - 2) + [-1, 1])


def _shares(pairs: list[tuple[Tensor, Tensor]]) -> str | None:
    """Where the last dimension of the right result adds up to 1 and the answer's does not."""
    if any(want.ndim < 2 or got.shape != want.shape or not _sums_to_one(want, -1) for got, want in pairs):
        return None
    if all(_sums_to_one(got, -1) for got, _ in pairs):
        return None
    if all(_sums_to_one(got, -2) for got, _ in pairs):
        return "the columns add up to 1 where the rows should: the last dimension is the one to divide up"
    return "the rows (last dimension) do not add up to 1"


def _sums_to_one(x: Tensor, dim: int) -> bool:
    sums = x.double().sum(dim)
    return bool((((sums - 1).abs() < 1e-4) | (sums == 0)).all()) and bool((sums != 0).any())


def _factor(pairs: list[tuple[Tensor, Tensor]]) -> str | None:
    """One factor for all numbers, or one for each input."""
    factors = []
    for got, want in pairs:
        if got.shape != want.shape or not bool(got.isfinite().all() and want.isfinite().all()):
            return None
        got, want = got.double().flatten(), want.double().flatten()
        size = want.square().sum()
        factor = float((got * want).sum() / size) if size > 0 else 0.0
        if factor <= 0 or not same(got, factor * want):
            return None
        factors.append(factor)
    alike = max(factors) - min(factors) < 1e-3 * max(factors)
    if alike:
        return f"every number is {plain(factors[0], 4)} times what it should be"
    if all(want.numel() >= 3 for _, want in pairs):
        k = max(range(len(factors)), key=lambda k: abs(math.log(factors[k])))
        return f"all numbers are off by one factor, which depends on the input (here {plain(factors[k], 4)})"
    return None


def _all_alike(pairs: list[tuple[Tensor, Tensor]]) -> str | None:
    """All rows of the answer are the same, those of the right result are not."""
    if any(got.shape != want.shape or want.ndim < 2 for got, want in pairs):
        return None
    for dim, what in ((-2, "all rows (the dimension before the last)"), (-1, "all entries of a row")):
        many = [pair for pair in pairs if pair[1].shape[dim] > 1]
        if many and all(_constant(got, dim) and not _constant(want, dim) for got, want in many):
            return f"{what} come out the same, which they should not"
    return None


def _constant(x: Tensor, dim: int) -> bool:
    return same(x, x.narrow(dim, 0, 1).expand_as(x))
