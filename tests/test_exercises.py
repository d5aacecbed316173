"""Every check of every exercise: right answers pass, each wrong one gets its own hint, and nothing ever escapes."""

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest
import torch

import course_utils.exercises
from course_utils.exercises import checking, ex24
from course_utils.exercises.checking import Check, Hint, NotYet, Result, difference, exercise, judge, judge_value

MODULES = [m.name for m in pkgutil.iter_modules(course_utils.exercises.__path__) if re.fullmatch(r"ex\d\d", m.name)]
CHECKS = {
    name: check
    for module in MODULES
    for name, check in importlib.import_module(f"course_utils.exercises.{module}").CHECKS.items()
}
WRONG = [pytest.param(name, entry, id=f"{name}-{entry[0]}") for name, c in CHECKS.items() for entry in c.wrong]


def said(check, answer, capsys) -> Result:
    """The result of a check; it printed exactly its own one line."""
    capsys.readouterr()
    result = check(answer)
    out, err = capsys.readouterr()
    assert out == result.message + "\n" and out.count("\n") == 1 and err == ""
    assert isinstance(result, Result) and "Traceback" not in out and "report it" not in out, out
    assert re.match(r"\d\d\.\d (passed|not yet|look again): \S", out) and len(out) < 400, out
    assert out.rstrip()[-1] in ".!?)", out
    return result


def test_the_modules_are_there():
    assert {"ex06", "ex07"} <= set(MODULES)
    for module in MODULES:
        coding = [c for n, c in CHECKS.items() if n.startswith(module[2:]) and callable(c.right[0])]
        assert len(coding) >= 4, f"{module} has {len(coding)} coding exercises"


@pytest.mark.parametrize("name", CHECKS)
def test_right_answers_pass(name, capsys):
    for _ in range(4):  # inputs are drawn anew each time
        for answer in CHECKS[name].right:
            result = said(CHECKS[name].check, answer, capsys)
            assert result.passed and result, result.message


@pytest.mark.parametrize(("name", "entry"), WRONG)
def test_each_wrong_answer_gets_its_own_hint(name, entry, capsys):
    _, answer, fragment = entry
    for _ in range(4):
        result = said(CHECKS[name].check, answer, capsys)
        assert not result.passed and fragment in result.message, result.message
        for other, _, theirs in CHECKS[name].wrong:
            same = theirs in fragment or fragment in theirs
            assert same or theirs not in result.message, f"{entry[0]} is taken for {other}"


@pytest.mark.parametrize("name", CHECKS)
def test_the_gallery_is_large_enough(name):
    fragments = [fragment for _, _, fragment in CHECKS[name].wrong]
    assert len(set(fragments)) == len(fragments) >= 4 and min(map(len, fragments)) > 8


@pytest.mark.parametrize("name", CHECKS)
def test_an_untouched_cell_is_not_yet(name, capsys):
    check = CHECKS[name]
    function = callable(check.right[0])
    stubs = [..., check.stub] + ([lambda *_: ..., lambda *_: (..., ...)] if function else [])
    for stub in stubs:
        result = said(check.check, stub, capsys)
        assert not result.passed and " not yet: " in result.message


def _raises(*_):
    raise KeyError("a\nb\nc")


def _exits(*_):
    raise SystemExit(3)


def _recurses(*args):
    return _recurses(*args)


class _Odd:
    shape = "none"

    def __eq__(self, other):
        raise RuntimeError("cannot be compared")

    def __repr__(self):
        raise RuntimeError("cannot be shown")

    __hash__ = None


FUNCTIONS = {
    "None": lambda *_: None, "a string": lambda *_: "seven", "a wrong shape": lambda *_: torch.zeros(1, 1, 1, 1, 1),
    "integers": lambda *_: torch.zeros(2, 3, dtype=torch.long), "raises": _raises, "exits": _exits,
    "too few arguments": lambda: 0, "complex": lambda *_: torch.zeros((), dtype=torch.complex64),
    "endless recursion": _recurses, "nan": lambda *_: torch.tensor(float("nan")), "odd": lambda *_: _Odd(),
    "numpy": lambda *_: np.zeros(3), "a pair of None": lambda *_: (None, None),
    "a generator": lambda *_: (x for x in ()), "a set": lambda *_: {1},
    "a list of lists": lambda *_: [[1], [2]], "a class": dict, "a module": torch.nn.Identity(),
    "True": lambda *_: True, "inf": lambda *_: torch.full((2, 2), torch.inf), "empty": lambda *_: torch.zeros(0),
}  # fmt: skip
VALUES = {
    "None": None, "a string": "seven", "nan": float("nan"), "a list": [1, 2, 3], "a tensor": torch.zeros(2, 2),
    "True": True, "an empty list": [], "a dict": {}, "a function": lambda: 0, "odd": _Odd(), "numpy": np.zeros(2),
    "complex": 1j, "huge": 10**400, "mixed": [None, "x", 3.0, ...],
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_nonsense_gets_one_sentence(name, capsys):
    nonsense = FUNCTIONS if callable(CHECKS[name].right[0]) else {}
    for what, answer in (nonsense | VALUES).items():
        result = said(CHECKS[name].check, answer, capsys)
        assert not result.passed, what


def test_what_is_said_of_nonsense(capsys):
    check = CHECKS["06_1"].check
    for what, fragment in {
        "None": "is a `return` missing", "a string": "must be a tensor of shape", "raises": "stopped with KeyError",
        "exits": "stopped with SystemExit", "too few arguments": "stopped with TypeError", "a wrong shape": "has shape",
        "endless recursion": "RecursionError", "numpy": "not a ndarray",
    }.items():  # fmt: skip
        assert fragment in said(check, FUNCTIONS[what], capsys).message, what
    assert "check the function itself" in said(check, torch.zeros(3), capsys).message


@pytest.mark.parametrize("name", [n for n, c in CHECKS.items() if not callable(c.right[0])])
def test_a_wrong_value_is_not_told_the_right_one(name, capsys):
    answers = [str(right).strip("[]()") for right in CHECKS[name].right]
    for answer in [*VALUES.values(), *(entry[1] for entry in CHECKS[name].wrong), 0.123, [0.5] * 2, ["x"] * 6]:
        message = said(CHECKS[name].check, answer, capsys).message
        assert not any(right in message for right in answers), message


@pytest.mark.parametrize("name", CHECKS)
def test_the_task_is_written_down(name):
    text = inspect.getdoc(CHECKS[name].check)
    number = name.replace("_", ".")
    assert re.match(rf"\*\*Exercise {number} · [●○]{{5}} · \d+ min\*\* - \S", text)
    for part in ("Hint 1: ", "Hint 2: ", "Solution: "):
        assert part in text
    assert CHECKS[name].check.number == number and CHECKS[name].check.__name__ == f"check_{name}"


def test_a_result_is_shown_once():
    result = Result(True, "06.1 passed: fine.")
    assert result._ipython_display_() is None  # the sentence was printed; Jupyter adds nothing


def test_a_fault_of_the_check_itself_is_no_traceback(capsys):
    @exercise("99.1", "never.")
    def check_99_1(answer):
        raise ZeroDivisionError("ours")

    result = check_99_1(lambda: 0)
    assert not result.passed and "please report it" in result.message and "ours" not in capsys.readouterr().out


def test_the_attentions_of_24_5_are_what_they_are_said_to_be():
    def moved(attend, what: str = "qkv", size: float = 100.0, N: int = 48) -> float:
        torch.manual_seed(1)
        inputs, largest = torch.randn(3, 2, 3, N, 4, dtype=torch.float64), 0.0
        for t in range(1, N):
            changed = inputs.clone()
            for row in ("qkv".index(letter) for letter in what):
                changed[row, ..., t:, :] = size * torch.randn(2, 3, N - t, 4)
            largest = max(largest, float((attend(*inputs) - attend(*changed))[..., :t, :].abs().max()))
        return largest

    assert all(moved(attend) <= 2.1e-6 for attend in ex24.HONEST) and moved(ex24.honest_but_rounded) > 1e-6
    assert all(moved(attend) > 1e-2 for attend in ex24.LEAKING)
    assert moved(ex24.masked_after_softmax, "qv") < 1e-9 and moved(ex24.values_centred, "qk") < 1e-9
    assert moved(ex24.largest_query, "kv") < 1e-9 and moved(ex24.only_if_large, size=5.0) < 1e-9
    assert moved(ex24.forty_ahead, N=40) < 1e-9
    for attend in (ex24.largest_query, ex24.largest_key, ex24.sorted_keys, ex24.longest_keys, ex24.only_if_large):
        inputs = torch.randn(3, 1, 1, 64, 4, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(attend(*inputs)[:, :, :20].square().sum(), inputs)
        assert float(gradient[..., 20:, :].abs().max()) == 0.0 < float(gradient.abs().max()), attend.__name__


def test_where_24_3_and_24_4_draw_the_line():
    assert ex24.break_even([100, 400], [1.0, 4.0], [2.0, 2.0]) == pytest.approx(200)  # half way on a log scale
    assert ex24.break_even([100, 400], [2.0, 4.0], [2.0, 2.0]) == 100  # as fast is not faster: faster from there on
    assert ex24.break_even([100, 400], [1.0, 2.0], [0.5, 2.0]) is None
    assert ex24.break_even([1, 2, 4, 8], [1, 1, 1, 1], [0.5, 2, 2, 0.5]) == pytest.approx(2**2.5)
    assert [ex24.verdict([2.0, 3.0], b) for b in ([1.0], [1.0, 2.0], [3.0], [4.0, 3.1])] == [
        "a", "not distinguishable", "not distinguishable", "b",
    ]  # fmt: skip


# --- the framework ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("got", "want", "fragment"),
    [
        (torch.ones(2), torch.ones(2), None), (torch.ones(2).double(), torch.ones(2), None),
        (torch.ones(2, requires_grad=True), torch.ones(2), None), (3, torch.tensor(3.0), None),
        (torch.ones(2, dtype=torch.long), torch.ones(2), "whole numbers"), (torch.ones(3), torch.ones(2), "shape (3,)"),
        (torch.tensor([1.0, torch.nan]), torch.ones(2), "nan"), ([1.0], torch.ones(1), "a list"),
        (torch.tensor([1.0, 2.0]), torch.ones(2), "at [1]: 2 inst"), (10**400, 1.0, "far too large"),
        (torch.ones(2, dtype=torch.bool), torch.ones(2, dtype=torch.long), "booleans"),
        (torch.tensor(2.0), 2.0, None), (2, 2.0, None), (2.00001, 2.0, None), (2.1, 2.0, "2.1, expected was 2"),
        (True, 1.0, "not a bool"), ("2", 2.0, "not a str"), (torch.ones(1, 1), 1.0, "of shape (1, 1)"),
        ([1, 2], [1, 2], None), (torch.tensor([1, 2]), [1, 2], None), ((1, 2), [1, 2], None), ([1], [1, 2], "1 ent"),
        ([1, 3], [1, 2], "entry 1: 3"), ([torch.tensor(1), 2], [1, 2], None), (3, [1], "must be a list"),
        ([torch.ones(2), 1], (torch.ones(2), 1), None), ((torch.ones(2), 2), (torch.ones(2), 1), "the second result"),
        ((torch.ones(2),), (torch.ones(2), 1), "2 things"), ({1}, {1}, None), (frozenset({1}), {1}, None),
        ({1, 2}, {1}, "2 too many"), (set(), {1}, "lacks 1"), ([1], {1}, "must be a set"), ("a", "a", None),
        ("b", "a", "is 'b', expected was 'a'"), (None, 1.0, "return"), (torch.tensor(torch.inf), torch.ones(()), "inf"),
    ],
)  # fmt: skip
def test_differences_are_said(got, want, fragment):
    found = difference(got, want)
    assert found is None if fragment is None else fragment in found


def test_judging():
    def double(x):
        return 2 * x

    def half(x):
        """This halves."""
        return x / 2

    def late(x):
        return x.mul_(2)

    inputs = [(torch.tensor([1.0, 2.0]),), (torch.tensor([3.0]),)]
    judge(lambda x: x + x, inputs, double, [half])
    for answer, kind, fragment in (
        (lambda x: 0.5 * x, Hint, "This halves."), (late, Hint, "argument number 1 in place"),
        (lambda x: ..., NotYet, "..."),
        (lambda x: x * (2 if len(x) == 2 else 0.5), Hint, "arguments of shape (1,)"),
    ):  # fmt: skip
        with pytest.raises(kind) as error:
            judge(answer, inputs, double, [half])
        assert fragment in str(error.value)
    with pytest.raises(NotYet, match="planted. This halves."):
        judge(half, inputs, double, [half], planted=half)
    assert inputs[0][0].tolist() == [1.0, 2.0], "the inputs are copied for each call"


def test_judging_values():
    judge_value(5, 5.0, [(4, "one more")])
    for value, fragment in ((4, "one more"), (7, "7 is not it"), ("x", "must be one number")):
        with pytest.raises(Hint) as error:
            judge_value(value, 5.0, [(4, "one more")])
        assert fragment in str(error.value)


def test_fresh_inputs_differ_from_call_to_call():
    draws = [torch.rand(1, generator=checking.fresh()).item() for _ in range(3)]
    assert len(set(draws)) == 3
    assert isinstance(next(iter(CHECKS.values())), Check)
