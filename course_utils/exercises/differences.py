"""What differs between an answer and what was wanted, in words; used by checking.py.

`difference` describes one pair, `told` lists the arguments for which it happened; how wrong answers are related to
right ones over all inputs: kinships.py.
"""

import inspect
import itertools
import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

RTOL, ATOL = 1e-4, 1e-5  # of a number, and of the largest one beside it


def _close(one: Tensor, other: Tensor) -> bool:
    """Equal up to rounding in float32, also where all numbers are small."""
    sizes = other[other.isfinite()].abs()
    largest = float(sizes.max()) if len(sizes) else 0.0
    return torch.allclose(one, other, RTOL, max(ATOL * min(1.0, largest), 3e-7), equal_nan=True)


@dataclass(frozen=True)
class Failed:
    """In place of an outcome: the function raised, or changed what it was given."""

    said: str
    kind: str  # the exception's name, by which two failures are compared


def same(one: Any, other: Any) -> bool:
    """Equal outcomes of two functions, mistakes (nan, exceptions) included."""
    if isinstance(one, Failed) or isinstance(other, Failed):
        return isinstance(one, Failed) and isinstance(other, Failed) and one.kind == other.kind
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape or one.dtype.is_floating_point != other.dtype.is_floating_point:
            return False
        return _close(one.detach().double(), other.detach().double())
    if is_number(one) and is_number(other):
        try:
            return _close(*(torch.tensor(float(x), dtype=torch.float64) for x in (one, other)))
        except OverflowError:  # a whole number beyond any float
            return False
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    try:
        return bool(one == other)
    except Exception:
        return False


def is_number(x: Any) -> bool:
    if isinstance(x, Tensor):
        return x.numel() == 1 and x.ndim == 0 and not x.is_complex()
    return isinstance(x, numbers.Real) and not isinstance(x, bool)


# --- one pair ---------------------------------------------------------------------------------------------------------


def difference(got: Any, want: Any, what: str = "the result") -> str | None:
    """None if `got` is what is wanted, else what is wrong with it, without a full stop.

    Numbers may be ints, floats or tensors of one number; float tensors of any precision; lists and tuples alike.
    """
    if isinstance(got, Failed):
        return got.said
    if got is None:
        return f"{what} is None; is a `return` missing?" if what == "the result" else f"{what} is None"
    if isinstance(want, Tensor):
        return _tensor_difference(got, want, what)
    if isinstance(want, bool) and not isinstance(got, bool | int | np.bool_) and not is_number(got):
        shape = f" of shape {tuple(got.shape)}" if isinstance(got, Tensor) else ""
        return f"{what} is a {type(got).__name__}{shape}; it must be True or False"
    if is_number(want):
        return _number_difference(got, want, what)
    if isinstance(want, set | frozenset):
        return _set_difference(got, set(want), what)
    if isinstance(want, tuple):
        if not isinstance(got, tuple | list) or len(got) != len(want):
            for k, part in enumerate(want):
                if k < len(ORDINALS) and isinstance(part, Tensor) and not difference(got, part):
                    return f"this is {ORDINALS[k]} alone; {what} must be {len(want)} things, in this order"
            many = f"{len(got)} of them" if isinstance(got, tuple | list) else f"a {type(got).__name__}"
            return f"{what} must be {len(want)} things, in this order, not {many}"
        parts = zip(got, want, itertools.chain(ORDINALS, itertools.repeat("a later result")), strict=False)
        return next((d for g, w, name in parts if (d := difference(g, w, name))), None)
    if isinstance(want, list):
        return _list_difference(got, want, what)
    return None if same(got, want) else f"{what} is {short(got)}, expected was {short(want)}"


ORDINALS = ("the first result", "the second result", "the third result")


def _tensor_difference(got: Any, want: Tensor, what: str) -> str | None:
    if not isinstance(got, Tensor):
        if want.ndim or not is_number(got):
            parts = got if isinstance(got, tuple | list) else ()
            for k, part in enumerate(parts[: len(ORDINALS)]):
                if isinstance(part, Tensor) and not _tensor_difference(part, want, what):
                    return f"{what} must be one tensor; here {ORDINALS[k]} of {len(parts)} is right, return it alone"
            return f"{what} must be a tensor of shape {tuple(want.shape)}, not a {type(got).__name__}"
        got = torch.tensor(float(got))
    if got.shape != want.shape:
        return f"{what} has shape {tuple(got.shape)}, expected was {tuple(want.shape)}"
    if kind(got) != kind(want):
        if kind(want) == "booleans" and bool((got.detach() == want).all()):
            return f"{what} is right but for its type: return True and False, not {kind(got)} ({got.dtype})"
        return f"{what} holds {kind(got)} ({got.dtype}), expected were {kind(want)}"
    exact = (lambda x: x.detach()) if kind(want) != kind(torch.ones(1)) else (lambda x: x.detach().double())
    got_is, want_is = exact(got), exact(want)
    got, want = got.detach().double(), want.detach().double()
    if bool(got.isnan().any()) and not bool(want.isnan().any()):
        return f"{what} contains nan"
    if _close(got, want):
        return None
    gap = (got - want).abs().nan_to_num(nan=0.0, posinf=1e30)  # inf - inf is nan: they agree
    at, flat = [], int(gap.argmax())
    for size in reversed(gap.shape):
        flat, k = divmod(flat, size)
        at.insert(0, k)
    place = f" at {at}" if at else ""
    one, other = apart(got_is[tuple(at)].item(), want_is[tuple(at)].item())
    return f"{what} is wrong, most of all{place}: {one} instead of {other}"


def kind(x: Tensor) -> str:
    if x.dtype == torch.bool:
        return "booleans"
    return "numbers with a fraction" if x.dtype.is_floating_point else "whole numbers"


def _number_difference(got: Any, want: float, what: str) -> str | None:
    if not is_number(got):
        shape = f" of shape {tuple(got.shape)}" if isinstance(got, Tensor) else ""
        return f"{what} must be one number, not a {type(got).__name__}{shape}"
    if same(got, want):
        return None
    one, other = apart(got, want)
    return f"{what} is {one}, expected was {other}"


def apart(one: Any, other: Any) -> tuple[str, str]:
    """Two different numbers in as few digits (4 or more) as tell them apart; whole numbers in full."""
    said = "", ""
    for digits in range(4, 18):
        said = plain(one, digits), plain(other, digits)
        if said[0] != said[1]:
            break
    return said


def plain(x: Any, digits: int) -> str:
    x = x.item() if isinstance(x, Tensor) else x
    if isinstance(x, bool):
        return str(x)
    try:
        value = float(x)
    except OverflowError:
        return "far too large"
    if not math.isfinite(value):
        return str(value)
    if abs(value) < 1e15 and value == int(value):
        return str(int(x))
    before = len(str(int(abs(value)))) if 1 <= abs(value) < 1e15 else 0
    return f"{value:.{max(digits, before)}g}"


def _list_difference(got: Any, want: list, what: str) -> str | None:
    got = got.tolist() if isinstance(got, Tensor) and got.ndim == 1 else got
    if not isinstance(got, list | tuple):
        return f"{what} must be a list, not a {type(got).__name__}"
    if len(got) == len(want) and all(_is_item(g, w) for g, w in zip(got, want, strict=True)):
        return None
    if len(got) != len(want):
        both = f"{short(list(got))} instead of {short(want)}"
        return f"{what} has {len(got)} entries, expected were {len(want)}: {both}"
    k = next(k for k, (g, w) in enumerate(zip(got, want, strict=True)) if not _is_item(g, w))
    numbers_ = is_number(got[k]) and is_number(want[k])
    one, other = apart(got[k], want[k]) if numbers_ else (short(got[k]), short(want[k]))
    return f"{what} is wrong at entry {k}: {one} instead of {other}"


def _is_item(got: Any, want: Any) -> bool:
    return same(got, want) and (isinstance(got, str) == isinstance(want, str))


def _set_difference(got: Any, want: set, what: str) -> str | None:
    if not isinstance(got, set | frozenset):
        return f"{what} must be a set, not a {type(got).__name__}"
    if got == want:
        return None
    extra, missing = list(got - want)[:1], list(want - got)[:1]
    return f"{what} " + (f"has {short(extra[0])} too many" if extra else f"lacks {short(missing[0])}")


def short(x: Any, width: int = 60) -> str:
    try:
        said = " ".join(repr(x).split())
    except Exception:
        said = f"a {type(x).__name__}"
    return said if len(said) <= width else said[: width - 3] + "..."


# --- the arguments ----------------------------------------------------------------------------------------------------


def parameters(function: Callable) -> list[str]:
    """The names of a function's parameters, as far as they can be known."""
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def told(names: Sequence[str], arguments: Sequence[Any]) -> str:
    """ "(for step = 3, x of shape (2, 3))", or an empty string where nothing can be told."""
    parts = []
    for k, argument in enumerate(arguments):
        name = names[k] if k < len(names) else f"argument {k + 1}"
        if isinstance(argument, Tensor) and argument.ndim:
            parts.append(f"{name} of shape {tuple(argument.shape)}")
        elif isinstance(argument, Tensor | numbers.Number | str | None):
            parts.append(f"{name} = {shown(argument)}")
        elif isinstance(argument, list | tuple | set | frozenset | dict):
            said = short(argument, 1000)
            few = len(said) <= 40 and "tensor" not in said
            parts.append(f"{name} = {said}" if few else f"{name} of {len(argument)} entries")
    said = ", ".join(parts)
    while len(said) > 150 and len(parts) > 1:
        parts.pop()
        said = ", ".join(parts) + ", ..."
    return f" (for {said})" if said else ""


def shown(x: Any) -> str:
    """A value in few characters: 3, 0.25, 'dot', a tensor of shape (2, 3)."""
    if isinstance(x, Tensor) and x.ndim:
        return f"a tensor of shape {tuple(x.shape)}"
    if isinstance(x, Tensor):
        x = x.item()
    return plain(x, 6) if isinstance(x, float) else short(x, 40)
