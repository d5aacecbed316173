"""How an exercise of the course is checked: one printed sentence, never a traceback.

In a notebook an exercise is four cells. `check_06_1` comes from `course_utils.exercises.ex06`, whose docstrings hold
every task with its rating, shapes and the two hints.

(1) markdown                **Exercise 06.1 · ●●○○○ · 8 min** - the state at the last real word
                            Write `last_real_state(states, mask)`. `states` (B, S, D) float, `mask` (B, S) bool ...

(2) code                    def last_real_state(states, mask):
                                return ...

                            check_06_1(last_real_state)

    whose stored output is  06.1 not yet: replace the ... by your answer.

(3) markdown                <details><summary>Hint 1</summary> How many real words has each row? </details>
                            <details><summary>Hint 2</summary> Index rows and columns together. </details>

(4) code, tagged `solution` and `hide-input`, metadata {"jupyter": {"source_hidden": true}}; the first line is all that
    JupyterLab shows of a folded cell. A name of its own: a student's answer is not overwritten, nothing depends on it.

                            # Solution (click the dots)
                            def solution_06_1(states, mask):
                                return states[torch.arange(len(states)), mask.sum(1) - 1]

                            assert check_06_1(solution_06_1)

    whose stored output is  06.1 passed: ...

In a "repair" exercise cell (2) holds the faulty function instead of a stub; unchanged, it is "not yet" too.

To write a check: a reference, a list of *mistakes* (functions that make the mistake; the docstring is the hint), a
function that draws inputs, and one entry in the module's CHECKS with right answers, wrong ones and what their hint
says. tests/test_exercises.py proves every entry: right answers pass, each wrong one gets its own hint and no other.
"""

import copy
import functools
import itertools
import logging
import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger("course_utils.exercises")
log.addHandler(logging.NullHandler())

RTOL, ATOL = 1e-4, 1e-5


@dataclass(frozen=True)
class Result:
    """What a check found. True if passed. Jupyter shows nothing more of it: the sentence has been printed."""

    passed: bool
    message: str

    def __bool__(self) -> bool:
        return self.passed

    def _ipython_display_(self) -> None:
        pass


class Hint(Exception):
    """Raised inside a check: the answer is wrong, and this is what to say."""


class NotYet(Exception):
    """Raised inside a check: there is no answer so far."""


STUB = "replace the ... by your answer."


def exercise(number: str, done: str, *, function: bool = True) -> Callable[[Callable], Callable[[Any], Result]]:
    """Decorator for `check(answer)`, which returns to say "right" and raises Hint or NotYet otherwise.

    `done` is said to whoever passes. With `function=False` the answer is a value. Whatever happens inside, the
    decorated check prints one line and returns a Result.
    """

    def decorate(check: Callable[[Any], None]) -> Callable[[Any], Result]:
        @functools.wraps(check)
        def run(answer: Any) -> Result:
            try:
                if answer is ... or answer is NotImplemented:
                    raise NotYet(STUB)
                if function and not callable(answer):
                    raise Hint(
                        f"check the function itself, not what it returns: {run.__name__}(your_function), without "
                        f"brackets after its name (this is a {type(answer).__name__})."
                    )
                check(answer)
                result = Result(True, f"{number} passed: {done}")
            except NotYet as so_far:
                result = Result(False, f"{number} not yet: {so_far}")
            except Hint as hint:
                result = Result(False, f"{number} look again: {hint}")
            except Exception as error:
                log.exception("in the check of exercise %s", number)
                said = f"the check itself stumbled over this answer ({type(error).__name__}); please report it."
                result = Result(False, f"{number} look again: {said}")
            print(result.message)
            return result

        run.number = number
        return run

    return decorate


@dataclass(frozen=True)
class Check:
    """One line of a module's CHECKS: what proves the check."""

    check: Callable[[Any], Result]
    right: Sequence[Any]
    wrong: Sequence[tuple[str, Any, str]]  # (name, answer, a part of the hint that only this mistake gets)
    stub: Any = ...  # what the notebook's cell holds at first; `...` stands for a function that returns it too


def gallery(mistakes: Iterable[Callable]) -> list[tuple[str, Any, str]]:
    """The mistakes that a check knows, as entries of `wrong`."""
    return [(mistake.__name__.replace("_", " ").strip(), mistake, hint_of(mistake)) for mistake in mistakes]


def hint_of(mistake: Callable) -> str:
    return " ".join((mistake.__doc__ or "").split())


# --- asking a student's function --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failed:
    """In place of an outcome: the function raised, or changed what it was given."""

    said: str
    kind: str  # the exception's name, by which two failures are compared


def judge(
    answer: Callable, inputs: Sequence[tuple], reference: Callable, mistakes: Sequence[Callable] = (),
    planted: Callable | None = None,
) -> None:  # fmt: skip
    """Compare `answer` with `reference` on all `inputs` (tuples of arguments; they are copied for each call).

    If it is wrong, it is held against each mistake: the one that gives the same outcome on every input explains it. If
    none does, the first difference is described. `planted` is the fault that a "repair" exercise begins with.
    """
    outcomes = [_ask(answer, arguments) for arguments in inputs]
    expected = [reference(*_copied(arguments)) for arguments in inputs]
    wrong = [
        (difference(got, want), arguments)
        for got, want, arguments in zip(outcomes, expected, inputs, strict=True)
        if difference(got, want)
    ]
    if not wrong:
        return
    for mistake in mistakes:
        if all(_same(got, _ask(mistake, arguments)) for got, arguments in zip(outcomes, inputs, strict=True)):
            if mistake is planted:
                raise NotYet(f"this is still the fault that was planted. {hint_of(mistake)}")
            raise Hint(hint_of(mistake))
    said, arguments = wrong[0]
    shapes = ", ".join(str(tuple(a.shape)) for a in arguments if isinstance(a, Tensor))
    said += f" (arguments of shape {shapes})" if shapes else ""
    raise Hint(said if said.endswith("?") else said + ".")


def _ask(function: Callable, arguments: tuple) -> Any:
    given = _copied(arguments)
    try:
        outcome = function(*given)
    except (Hint, NotYet):
        raise
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines()
        said = f": {lines[0][:120]}" if lines else ""
        return Failed(f"your function stopped with {type(error).__name__}{said}", type(error).__name__)
    if outcome is ... or (isinstance(outcome, tuple) and any(part is ... for part in outcome)):
        raise NotYet(STUB)
    for k, (before, after) in enumerate(zip(arguments, given, strict=True)):
        if isinstance(before, Tensor | list | set | dict) and not _same(before, after):
            return Failed(f"your function changed its argument number {k + 1} in place; work on a copy", "changed")
    return outcome


def _copied(x: Any) -> Any:
    """Tensors and containers copied, functions as they are."""
    if isinstance(x, Tensor):
        return x.clone()
    if isinstance(x, tuple):
        return tuple(_copied(part) for part in x)
    return copy.deepcopy(x) if isinstance(x, list | dict | set) else x


def _same(one: Any, other: Any) -> bool:
    """Equal outcomes of two functions, mistakes (nan, exceptions) included."""
    if isinstance(one, Failed) or isinstance(other, Failed):
        return isinstance(one, Failed) and isinstance(other, Failed) and one.kind == other.kind
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape or one.dtype.is_floating_point != other.dtype.is_floating_point:
            return False
        return torch.allclose(one.detach().double(), other.detach().double(), RTOL, ATOL, equal_nan=True)
    if _is_number(one) and _is_number(other):
        try:
            return math.isclose(one, other, rel_tol=RTOL, abs_tol=ATOL) or (math.isnan(one) and math.isnan(other))
        except OverflowError:  # a whole number beyond any float
            return False
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    try:
        return bool(one == other)
    except Exception:
        return False


def _is_number(x: Any) -> bool:
    if isinstance(x, Tensor):
        return x.numel() == 1 and x.ndim == 0 and not x.is_complex()
    return isinstance(x, numbers.Real) and not isinstance(x, bool)


# --- saying what differs ----------------------------------------------------------------------------------------------


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
    if _is_number(want):
        return _number_difference(got, want, what)
    if isinstance(want, set | frozenset):
        return _set_difference(got, set(want), what)
    if isinstance(want, tuple):
        if not isinstance(got, tuple | list) or len(got) != len(want):
            many = f"{len(got)} of them" if isinstance(got, tuple | list) else f"a {type(got).__name__}"
            return f"{what} must be {len(want)} things, in this order, not {many}"
        names = ("the first result", "the second result", "the third result")
        parts = zip(got, want, itertools.chain(names, itertools.repeat("a later result")), strict=False)
        return next((d for g, w, name in parts if (d := difference(g, w, name))), None)
    if isinstance(want, list):
        return _list_difference(got, want, what)
    return None if _same(got, want) else f"{what} is {_short(got)}, expected was {_short(want)}"


def _tensor_difference(got: Any, want: Tensor, what: str) -> str | None:
    if not isinstance(got, Tensor):
        if want.ndim or not _is_number(got):
            return f"{what} must be a tensor of shape {tuple(want.shape)}, not a {type(got).__name__}"
        got = torch.tensor(float(got))
    if got.shape != want.shape:
        return f"{what} has shape {tuple(got.shape)}, expected was {tuple(want.shape)}"
    if _kind(got) != _kind(want):
        return f"{what} holds {_kind(got)} ({got.dtype}), expected were {_kind(want)}"
    got, want = got.detach().double(), want.double()
    if bool(got.isnan().any()) and not bool(want.isnan().any()):
        return f"{what} contains nan"
    if torch.allclose(got, want, RTOL, ATOL):
        return None
    gap = (got - want).abs().nan_to_num(posinf=1e30)
    at = tuple(int(i) for i in torch.unravel_index(gap.argmax(), gap.shape))
    place = f" at {list(at)}" if at else ""
    return f"{what} is wrong, most of all{place}: {got[at]:.4g} instead of {want[at]:.4g}"


def _kind(x: Tensor) -> str:
    if x.dtype == torch.bool:
        return "booleans"
    return "numbers with a fraction" if x.dtype.is_floating_point else "whole numbers"


def _number_difference(got: Any, want: float, what: str) -> str | None:
    if not _is_number(got):
        shape = f" of shape {tuple(got.shape)}" if isinstance(got, Tensor) else ""
        return f"{what} must be one number, not a {type(got).__name__}{shape}"
    if _same(got, want):
        return None
    return f"{what} is {_plain(got)}, expected was {_plain(want)}"


def _plain(x: Any) -> str:
    try:
        return f"{float(x):.4g}"
    except OverflowError:
        return "far too large"


def _list_difference(got: Any, want: list, what: str) -> str | None:
    got = got.tolist() if isinstance(got, Tensor) and got.ndim == 1 else got
    if not isinstance(got, list | tuple):
        return f"{what} must be a list, not a {type(got).__name__}"
    if len(got) == len(want) and all(_is_item(g, w) for g, w in zip(got, want, strict=True)):
        return None
    if len(got) != len(want):
        both = f"{_short(list(got))} instead of {_short(want)}"
        return f"{what} has {len(got)} entries, expected were {len(want)}: {both}"
    k = next(k for k, (g, w) in enumerate(zip(got, want, strict=True)) if not _is_item(g, w))
    return f"{what} is wrong at entry {k}: {_short(got[k])} instead of {_short(want[k])}"


def _is_item(got: Any, want: Any) -> bool:
    return _same(got, want) and (isinstance(got, str) == isinstance(want, str))


def _set_difference(got: Any, want: set, what: str) -> str | None:
    if not isinstance(got, set | frozenset):
        return f"{what} must be a set, not a {type(got).__name__}"
    if got == want:
        return None
    extra, missing = list(got - want)[:1], list(want - got)[:1]
    return f"{what} " + (f"has {_short(extra[0])} too many" if extra else f"lacks {_short(missing[0])}")


def _short(x: Any) -> str:
    try:
        said = " ".join(repr(x).split())
    except Exception:
        said = f"a {type(x).__name__}"
    return said if len(said) <= 60 else said[:57] + "..."


# --- values -----------------------------------------------------------------------------------------------------------


def judge_value(answer: Any, want: Any, mistakes: Sequence[tuple[Any, str]] = ()) -> None:
    """For predictions and readings: `mistakes` are (wrong value, hint). The right answer is never told."""
    wrong = difference(answer, want, "the answer")
    if not wrong:
        return
    for value, hint in mistakes:
        if not difference(answer, value):
            raise Hint(hint)
    if "must be" in wrong or answer is None:
        raise Hint(f"{wrong}.")
    if isinstance(want, list | tuple) and len(answer) != len(want):
        raise Hint(f"the answer has {len(answer)} entries, needed are {len(want)}.")
    raise Hint(f"{_short(answer)} is not it; work it through by hand once more.")


# --- inputs -----------------------------------------------------------------------------------------------------------

_calls = itertools.count()


def fresh() -> torch.Generator:
    """A generator for this call of a check: another one each time, the same ones in every session."""
    return torch.Generator().manual_seed(1000 + next(_calls))


def lengths_mask(lengths: Sequence[int], width: int | None = None) -> Tensor:
    """(B, S) bool: row b has `lengths[b]` real tokens, then pads. S is `width`, or the longest."""
    width = max(lengths) if width is None else width
    return torch.arange(width) < torch.tensor(list(lengths)).unsqueeze(1)
