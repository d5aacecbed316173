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

In a "repair" exercise cell (2) holds the faulty function instead of a stub; unchanged, it is "not yet" too, and the
diagnosis comes when something else has been tried.

To write a check: a reference (its parameters named as in the text), a list of *mistakes* (functions that make the
mistake; the docstring is the hint), a function that draws inputs, and one entry in the module's CHECKS with right
answers, wrong ones and what their hint says. What the task forbids goes into `judge(..., forbid=..., table=...)`.
tests/test_exercises.py proves every entry: right answers pass, each wrong one gets its own hint and no other.
The docstring of a check holds task, hints and solution; a student who asks for help sees the task alone.
"""

import functools
import inspect
import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.conduct import (
    LOOPS,
    change,
    copied,
    fingerprint,
    forbidden,
    globals_read,
    loop_in,
    own_session,
    unused,
)  # fmt: skip
from course_utils.exercises.differences import Failed, difference, parameters, same, short, told
from course_utils.exercises.kinships import kinship

log = logging.getLogger("course_utils.exercises")
log.addHandler(logging.NullHandler())


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
UNTOUCHED = "the fault is still there: find it, repair it, and run the cell again."
TEXTS: dict[str, str] = {}  # number -> task, hints and solution
_student: list[Any] = []  # the answer being checked, last; some checks wrap it before they ask it
_untouched: dict[Callable, Any] = {}  # planted fault -> fingerprint of the first answer that still had it


def exercise(number: str, done: str, *, function: bool = True) -> Callable[[Callable], Callable[[Any], Result]]:
    """Decorator for `check(answer)`, which returns to say "right" and raises Hint or NotYet otherwise.

    `done` is said to whoever passes. With `function=False` the answer is a value. Whatever happens inside, the
    decorated check prints one line and returns a Result; it runs under settings of its own and leaves the session's
    as they were. Its docstring is the task alone: hints and solution stay in TEXTS, and nothing leads there.
    """

    def decorate(check: Callable[[Any], None]) -> Callable[[Any], Result]:
        def run(answer: Any) -> Result:
            _student.append(answer)
            try:
                if answer is ... or answer is NotImplemented:
                    raise NotYet(STUB)
                if function and not callable(answer):
                    raise Hint(
                        f"check the function itself, not what it returns: {run.__name__}(your_function), without "
                        f"brackets after its name (this is a {type(answer).__name__})."
                    )
                with own_session():
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
            finally:
                _student.pop()
            print(result.message)
            return result

        TEXTS[number] = inspect.getdoc(check) or ""
        functools.update_wrapper(run, check)
        del run.__wrapped__  # or help() and ?? would show the source of the check
        run.__doc__ = TEXTS[number].partition("\nHint 1:")[0].strip()
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


def judge(
    answer: Callable, inputs: Sequence[tuple], reference: Callable, mistakes: Sequence[Callable] = (),
    planted: Callable | None = None, *, forbid: Sequence[str] = (), table: Callable | None = None,
) -> None:  # fmt: skip
    """Compare `answer` with `reference` on all `inputs` (tuples of arguments; they are copied for each call).

    If it is wrong, it is held against each mistake: the one that gives the same outcome on every input explains it. If
    none does: what it uses and must not, else a variable of the notebook that it reads, else how its outcomes are
    related to the right ones, else the first difference. `planted` is the fault that a "repair" exercise begins with;
    left as it is, it is "not yet".

    `forbid` names what even a right answer must not use: "a loop", "autograd", "nn.LSTM", ... (conduct.FORBIDDEN);
    `table(*arguments)` gives sizes such as (T, T) that no tensor may have together.
    """
    names = parameters(reference)
    outcomes, ruled_out = [], []
    for arguments in inputs:
        with own_session(), forbidden(forbid, table(*arguments) if table else ()) as used:
            outcomes.append(_ask(answer, arguments, names))
        ruled_out += used
    student = _student[-1] if _student else answer
    expected = [reference(*copied(arguments)) for arguments in inputs]
    differences = [difference(got, want) for got, want in zip(outcomes, expected, strict=True)]
    if LOOPS in forbid and (said := loop_in(student)):
        ruled_out.append(said)
    if not any(differences):
        if ruled_out:
            raise Hint(ruled_out[0])
        return
    for mistake in mistakes:
        if _explains(outcomes, (_ask(mistake, arguments, names) for arguments in inputs)):
            if mistake is planted and _is_untouched(planted, student):
                raise NotYet(UNTOUCHED)
            raise Hint(hint_of(mistake))
    if ruled_out:
        raise Hint(ruled_out[0])
    k = next(k for k, said in enumerate(differences) if said)
    where = told(names, inputs[k])
    if read := globals_read(student):
        raise Hint(f"your function reads {' and '.join(read[:2])}, not from its arguments: {differences[k]}{where}.")
    if (said := kinship(outcomes, expected)) is None and (left := unused(student)):
        raise Hint(f"your function never uses its argument {' and '.join(left)}: {differences[k]}{where}.")
    said = said or differences[k]
    raise Hint(said if said.endswith("?") else f"{said}{where}.")


def _explains(outcomes: list, others: Iterable) -> bool:
    """The same everywhere; two functions that fail on every input must fail with the same words."""
    alike = False
    for got, other in zip(outcomes, others, strict=True):
        if not same(got, other):
            return False
        alike = alike or not isinstance(got, Failed) or got.said == other.said
    return alike


def _is_untouched(planted: Callable, answer: Any) -> bool:
    """The first answer that still has the fault is taken for the one that the notebook came with."""
    mark = fingerprint(answer)
    return _untouched.setdefault(planted, mark) == mark


def _ask(function: Callable, arguments: tuple, names: Sequence[str]) -> Any:
    given = copied(arguments)
    outcome = _outcome(function, given)
    if isinstance(outcome, Failed):
        return outcome
    if outcome is ... or (isinstance(outcome, tuple) and any(part is ... for part in outcome)):
        raise NotYet(STUB)
    for k, (before, after) in enumerate(zip(arguments, given, strict=True)):
        if isinstance(before, Tensor | list | set | dict | tuple) and (how := change(before, after)):
            name = f"`{names[k]}`" if k < len(names) else f"number {k + 1}"
            return Failed(f"your function changed its argument {name}{how}; work on a copy", "changed")
    return outcome


def _outcome(function: Callable, given: tuple) -> Any:
    try:
        return function(*given)
    except (Hint, NotYet):
        raise
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines()
        said = lines[0] if lines else ""
        said = said if len(said) <= 180 else said[:180].rpartition(" ")[0] + " ..."
        what = type(error).__name__
        return Failed(f"your function stopped with {what}{f': {said}' if said else ''}".rstrip("."), what)


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
    raise Hint(f"{short(answer)} is not it; work it through by hand once more.")


# --- inputs -----------------------------------------------------------------------------------------------------------

_calls = itertools.count()


def fresh() -> torch.Generator:
    """A generator for this call of a check: another one each time, the same ones in every session."""
    return torch.Generator().manual_seed(1000 + next(_calls))


def lengths_mask(lengths: Sequence[int], width: int | None = None) -> Tensor:
    """(B, S) bool: row b has `lengths[b]` real tokens, then pads. S is `width`, or the longest."""
    width = max(lengths) if width is None else width
    return torch.arange(width) < torch.tensor(list(lengths)).unsqueeze(1)
