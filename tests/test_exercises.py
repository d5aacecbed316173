"""Every check of every exercise: right answers pass, each wrong one gets its own hint, and nothing ever escapes."""

import contextlib
import importlib
import inspect
import io
import pkgutil
import pydoc
import random
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from IPython.core import oinspect

import course_utils.exercises
import course_utils.seeds
from course_utils.exercises import checking, conduct, ex24
from course_utils.exercises.checking import TEXTS, Check, Hint, NotYet, Result, exercise, judge, judge_value
from course_utils.exercises.differences import difference

MODULES = [m.name for m in pkgutil.iter_modules(course_utils.exercises.__path__) if re.fullmatch(r"ex\d\d", m.name)]
CHECKS = {
    name: check
    for module in MODULES
    for name, check in importlib.import_module(f"course_utils.exercises.{module}").CHECKS.items()
}
WRONG = [pytest.param(name, entry, id=f"{name}-{entry[0]}") for name, c in CHECKS.items() for entry in c.wrong]


@pytest.fixture(autouse=True)
def no_memory(monkeypatch):
    monkeypatch.setattr(checking, "_untouched", {})  # of faults that were seen untouched


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
    for _ in range(2):  # inputs are drawn anew each time
        for answer in CHECKS[name].right:
            result = said(CHECKS[name].check, answer, capsys)
            assert result.passed and result, result.message


@pytest.mark.parametrize(("name", "entry"), WRONG)
def test_each_wrong_answer_gets_its_own_hint(name, entry, capsys):
    _, answer, fragment = entry
    for _ in range(2):
        result = said(CHECKS[name].check, answer, capsys)
        if checking.UNTOUCHED in result.message:  # the diagnosis comes after an attempt that does the same
            assert fragment not in result.message
            result = said(CHECKS[name].check, lambda *arguments: answer(*arguments), capsys)  # noqa: B023
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
    text = TEXTS[name.replace("_", ".")]
    number = name.replace("_", ".")
    assert re.match(rf"\*\*Exercise {number} · [●○]{{5}} · \d+ min(?: · in class| · at home)?\*\* - \S", text)
    for part in ("Hint 1: ", "Hint 2: ", "Solution: "):
        assert part in text
    assert CHECKS[name].check.number == number and CHECKS[name].check.__name__ == f"check_{name}"


@pytest.mark.parametrize("name", [n for n, c in CHECKS.items() if callable(c.right[0])])
def test_arguments_have_the_names_of_the_text(name, capsys, monkeypatch):
    """What judge calls the arguments, and by which names the functions among them may be called."""
    names, given = [], []
    ask, parameters = checking._ask, checking.parameters
    monkeypatch.setattr(checking, "parameters", lambda reference: names.append(parameters(reference)) or names[-1])
    monkeypatch.setattr(checking, "_ask", lambda f, arguments, n: given.append(arguments) or ask(f, arguments, n))
    assert CHECKS[name].check(CHECKS[name].right[0])
    text = TEXTS[name.replace("_", ".")].partition("Hint 1: ")[0]
    found = re.findall(r"(?:`|def )(\w+)\(([^`()]*)\)(?:`|:)", text)
    calls = [(f, [w.strip() for w in args.split(",")]) for f, args in found if args]
    whole = [args for f, args in calls if f not in names[0]]
    assert not whole or [n.strip("_") for n in names[0]] == whole[0]
    for parameter, value in zip(names[0], given[0], strict=True):
        if callable(value) and not isinstance(value, torch.nn.Module):
            for wanted in (args for f, args in calls if f == parameter and all(map(str.isidentifier, args))):
                inspect.signature(value).bind(**dict.fromkeys(wanted))


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


# --- what was there, is there: tests/exercises.txt, written by `python tests/test_exercises.py` -----------------------


def what_is_there() -> str:
    """Each check with the number of inputs that it asks about, each mistake with the beginning of its hint."""
    lines, asked = [], []
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        differ = checking.difference
        patch.setattr(checking, "difference", lambda *pair: asked.append(1) or differ(*pair))
        for name, check in CHECKS.items():
            asked.clear()
            check.check(check.right[0])
            lines.append(f"{name}: {len(asked)} inputs")
            lines += [f"{name} {label}: {' '.join(fragment.split()[:6])}" for label, _, fragment in check.wrong]
    return "\n".join(lines) + "\n"


def test_no_input_is_dropped_and_no_hint_exchanged():
    """Meant? Then write the file anew, and read the difference before it is committed."""
    expected = (Path(__file__).parent / "exercises.txt").read_text(encoding="utf-8")
    assert what_is_there() == expected


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


def double(x):
    return 2 * x


def half(x):
    """This halves."""
    return x / 2


def hint(answer, inputs, reference, *rest, **more) -> str:
    """What judge says of a wrong answer."""
    with pytest.raises((Hint, NotYet)) as error:
        judge(answer, inputs, reference, *rest, **more)
    return f"{type(error.value).__name__}: {error.value}"


def test_judging():
    inputs = [(torch.tensor([1.0, 2.0]),), (torch.tensor([3.0]),)]
    judge(lambda x: x + x, inputs, double, [half])
    for answer, said_ in (
        (lambda x: 0.5 * x, "Hint: This halves."), (lambda x: ..., "NotYet: replace the ..."),
        (lambda x: x * (2 if len(x) == 2 else 0.5), "Hint: the result is wrong, most of all at [0]: 1.5 instead of 6"),
    ):  # fmt: skip
        assert hint(answer, inputs, double, [half]).startswith(said_)
    assert inputs[0][0].tolist() == [1.0, 2.0], "the inputs are copied for each call"


@pytest.mark.parametrize("k", range(4))
def test_every_input_is_asked(k):
    inputs = [(torch.tensor([float(n)]),) for n in (1, 2, 3, 4)]
    assert "of shape (1,)" in hint(lambda x: double(x) + (x == k + 1), inputs, double)


def test_one_per_cent_is_too_much():
    for off in (1.002, 1.01):
        for x in (torch.tensor([3.0, 5.0]), 3.0, [3.0, 5.0]):
            def nearly(x, off=off):
                return [v * off for v in x] if isinstance(x, list) else x * off
            assert "Hint" in hint(nearly, [(x,)], lambda x: x), x
    judge(lambda x: x * 1.00001, [(torch.tensor([3.0, 5.0]),), (3.0,)], lambda x: x)  # float32 is allowed


@pytest.mark.parametrize("name", [n for n, c in CHECKS.items() if callable(c.right[0])])
def test_one_in_a_hundred_is_wrong_in_every_check(name, capsys):
    right, changed = CHECKS[name].right[0], []

    def off(x):
        if isinstance(x, torch.Tensor) and x.dtype.is_floating_point or isinstance(x, float):
            changed.append(bool((torch.as_tensor(x).nan_to_num(posinf=0, neginf=0).abs() > 1e-3).any()))
            return x * 1.002
        return type(x)(map(off, x)) if isinstance(x, tuple | list) else x

    class Off:  # no function whose code could be read
        def __call__(self, *arguments):
            return off(right(*arguments))

    result = said(CHECKS[name].check, Off(), capsys)
    assert result.passed != any(changed) or name in COARSE, result.message


COARSE = {"03_3"}  # weights of a counter, which is asked whether it counts


def test_an_untouched_fault_is_not_explained():
    inputs = [(torch.tensor([1.0, 2.0]),)]
    for _ in range(2):
        assert hint(half, inputs, double, [half], planted=half) == f"NotYet: {checking.UNTOUCHED}"
    assert hint(lambda x: x * 0.5, inputs, double, [half], planted=half) == "Hint: This halves."
    assert hint(half, inputs, double, [half], planted=half) == f"NotYet: {checking.UNTOUCHED}"


def _in_place(x):
    return x.mul_(2)


def _detaches(x):
    return 2 * x.detach_()


def _asks_for_gradients(x):
    x.requires_grad_()
    return 2 * x.detach()


def _leaves_a_gradient(x):
    (x * x).sum().backward()
    return 2 * x.detach()


def _grows_the_list(x):
    x.append(1.0)
    return 3.0


def _in_the_list(x):
    return float(x[0].mul_(2)) + float(x[1])


def _in_the_dictionary(x):
    x["b"] = 1
    return 3


@pytest.mark.parametrize(
    ("function", "x", "right", "fragment"),
    [
        (_in_place, torch.ones(2), double, "`x` in place"),
        (_detaches, torch.ones(2).requires_grad_(), double, "detach_"),
        (_asks_for_gradients, torch.ones(2), double, "requires_grad_"),
        (_leaves_a_gradient, torch.ones(2).requires_grad_(), double, "gradient now"),
        (_grows_the_list, [1.0, 2.0], lambda x: sum(x), "`x` in place"),
        (_in_the_list, [torch.ones(1), torch.ones(1)], lambda x: 3.0, "`x` in place"),
        (_in_the_dictionary, {"a": 3}, lambda x: 3, "`x` in place"),
    ],
)  # fmt: skip
def test_changed_arguments(function, x, right, fragment):
    before = repr(x)
    assert fragment in hint(function, [(x,)], right) and repr(x) == before
    judge(right, [(x,)], right)


def test_a_list_is_handed_over_anew():
    x = [1.0, 2.0]
    hint(_grows_the_list, [(x,), (x,)], lambda x: sum(x), [_grows_the_list])
    assert x == [1.0, 2.0]


def _by_backward(x):
    x = x.clone().requires_grad_()
    x.square().sum().backward()
    return x.grad


def _by_grad(x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(x.square().sum(), x)[0]


def _in_a_module(x):
    return x + torch.nn.LSTM(2, 3)(x[None])[0].sum() * 0 + x


def _helper(x):
    return torch.stack([2 * v for v in x])


def _loops(x):
    out = x.clone()
    for k in range(len(x)):
        out[k] = 2 * x[k]
    return out


def _while(x):
    out = x.clone()
    while torch.equal(out, x):
        out = 2 * x
    return out


FORBIDDEN = [  # (function, what is forbidden, what is said)
    (_by_backward, "autograd", "backward"), (_by_grad, "autograd", "without autograd"),
    (lambda x: torch.func.grad(lambda y: y.square().sum())(x), "autograd", "uses grad"),
    (lambda x: torch.autograd.functional.jacobian(lambda y: y.square().sum(), x), "autograd", "autograd"),
    (lambda x: 2 * x + 0 * torch.nn.functional.layer_norm(x, (2,)), "F.layer_norm", "uses layer_norm"),
    (lambda x: 2 * x + 0 * torch.nn.LayerNorm(2)(x), "F.layer_norm", "uses layer_norm"),
    (lambda x: 2 * x + 0 * torch.nn.GroupNorm(1, 2)(x), "F.layer_norm", "group_norm"),
    (lambda x: 2 * x + 0 * torch.nn.BatchNorm1d(2)(x), "F.batch_norm", "uses batch_norm"),
    (_in_a_module, "nn.LSTM", "without nn.LSTM"),
    (lambda x: 2 * x + 0 * torch.nn.LSTMCell(2, 3)(x)[0].sum(), "nn.LSTM", "lstm_cell"),
    (lambda x: 2 * x + 0 * torch.nn.RNN(2, 3)(x[None])[0].sum(), "nn.RNN", "rnn_tanh"),
    (lambda x: 2 * x + 0 * torch.nn.GRU(2, 3)(x[None])[0].sum(), "nn.GRU", "uses gru"),
    (lambda x: x @ (2 * torch.eye(2)), "`@`", "uses `@`"), (lambda x: x.matmul(2 * torch.eye(2)), "`@`", "uses `@`"),
    (lambda x: torch.einsum("ij,jk->ik", x, 2 * torch.eye(2)), "`@`", "uses einsum"),
    (lambda x: 2 * x + 0 * torch.nn.functional.scaled_dot_product_attention(x, x, x), "scaled_dot_product_attention",
     "without it"),
    (lambda x: 2 * x + 0 * torch.nn.MultiheadAttention(2, 1)(x, x, x)[0], "scaled_dot_product_attention", "head"),
    (lambda x: 2 * x + 0 * torch.nn.utils.clip_grad_norm_([x.clone()], 1), "clip_grad_norm_", "uses clip_grad_norm_"),
    (lambda x: 2 * x + 0 * torch.nn.functional.one_hot(x.long())[..., 0], "F.one_hot", "one_hot"),
    (lambda x: 2 * x + 0 * torch.cdist(x, x).sum(), "torch.cdist", "uses cdist"),
    (_loops, "a loop", "a loop"), (_helper, "a loop", "comprehension"), (lambda x: _helper(x), "a loop", "a loop"),
    (lambda x: torch.stack(list(map(double, x))), "a loop", "`map` is a loop"), (_while, "a loop", "a loop"),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(FORBIDDEN)))
def test_what_is_forbidden_is_seen(k):
    function, what, fragment = FORBIDDEN[k]
    inputs = [(torch.tensor([[1.0, 2.0], [0.0, 3.0], [1.0, 1.0]]),)]
    judge(function, inputs, double)  # right, if it were allowed
    before = sys.getprofile()
    assert fragment in hint(function, inputs, double, forbid=[what])
    assert sys.getprofile() is before
    assert fragment in hint(lambda x: function(x), inputs, half, forbid=[what]) or what == "a loop"
    judge(double, inputs, double, forbid=[*conduct.FORBIDDEN, "a loop"], table=lambda x: (3, 3))


def test_three_matrices_are_no_loop():
    def projected(x):
        q, k = (x @ W for W in (torch.eye(2), torch.eye(2)))
        for part in (q, k):
            x = x + part / 2
        return x

    judge(projected, [(torch.ones(3, 2),)], double, forbid=["a loop"])


def test_a_forbidden_table_is_seen():
    def attend(x):
        return (x @ x.T) @ x

    def by_sums(x):
        return x @ (x.T @ x)

    inputs = [(torch.randn(T, 2),) for T in (1, 7)]
    judge(attend, inputs, by_sums)
    judge(by_sums, inputs, by_sums, table=lambda x: (len(x), len(x)))
    assert "tensor of shape (7, 7); the task allows no 7 x 7 table" in hint(
        attend, inputs, by_sums, table=lambda x: (len(x), len(x))
    )


def test_the_packages_own_version_is_seen():
    inputs = [([0.5, 0.1],)]

    def peeks(x):
        course_utils.seeds.seed_everything(1)
        return sum(x)

    judge(peeks, inputs, lambda x: sum(x))
    told = hint(peeks, inputs, lambda x: sum(x), forbid=[conduct.PACKAGE])
    assert "seed_everything of course_utils; this task" in told


def test_a_helper_called_grad_is_no_autograd():
    def grad(x):
        return 2 * x

    judge(lambda x: grad(x), [(torch.ones(2),)], double, forbid=["autograd"])


d, W_q = 2, torch.ones(2)  # the notebook's, in the tests below


def test_a_variable_of_the_notebook_is_named():
    inputs = [(torch.randn(3, 4),)]
    told = hint(lambda x: x / d, inputs, lambda x: x / 4)
    assert "reads `d` from the notebook (d = 2), not from its arguments" in told and "(for x of shape (3, 4))" in told
    assert "`W_q` from the notebook (W_q = a tensor of shape (2,))" in hint(lambda x: x[:, :2] * W_q, inputs, double)
    judge(lambda x: x * d, inputs, double)  # right all the same: nothing to be said
    assert "notebook" not in hint(lambda x: x / len(FUNCTIONS), inputs, double)  # a constant by its name
    assert "stopped with TypeError" in hint(lambda x: x / d("x"), inputs, double)


def test_arguments_are_named():
    def rate(step, kind, smooth, words, x):
        return float(step)

    inputs = [(3, "dot", True, ["a", "b"], torch.ones(2, 3)), (0.25, "general", False, [0.0] * 40, torch.tensor(5.0))]
    first = hint(lambda *a: rate(*a) + (a[0] == 3), inputs, rate)
    second = hint(lambda *a: rate(*a) + (a[0] == 0.25), inputs, rate)
    assert first.endswith("(for step = 3, kind = 'dot', smooth = True, words = ['a', 'b'], x of shape (2, 3)).")
    assert second.endswith("(for step = 0.25, kind = 'general', smooth = False, words of 40 entries, x = 5).")


@pytest.mark.parametrize(
    ("got", "want", "fragment"),
    [
        (torch.tensor([1.0001, 0]), torch.tensor([1.00032, 0]), "1.0001 instead of 1.0003"),
        (torch.tensor(132412), torch.tensor(132490), "132412 instead of 132490"),
        (132412, 132490, "132412, expected was 132490"), (-1.8301, -1.8309, "-1.83, expected was -1.831"),
        (132412.7, 132491.4, "132413, expected was 132491"), (6.988e-4, 1.747e-7, "0.0006988, expected was 1.747e-07"),
        (torch.tensor([True]), torch.tensor([False]), "True instead of False"), (10**400, 1, "far too large"),
        (torch.tensor(2**40 + 1), torch.tensor(2**41), "1099511627777 instead of 2199023255552"),
    ],
)  # fmt: skip
def test_digits(got, want, fragment):
    assert fragment in difference(got, want)


def _rows(x):
    return x.softmax(-1)


def test_what_torch_advises_is_not_cut_off():
    inputs = [(torch.randn(3, 4),)]
    assert "Use .reshape(...) instead" in hint(lambda x: x.T.view(12), inputs, lambda x: x.T.reshape(12))


def test_kinships():
    inputs = [(torch.randn(n, n, dtype=torch.float64),) for n in (3, 4)]
    for wrong, fragment in {
        lambda x: -_rows(x): "wrong sign", lambda x: _rows(x).T: "columns are exchanged",
        lambda x: 1 - _rows(x): "1 minus",
        lambda x: x.sigmoid(): "do not add up to 1", lambda x: x.softmax(0): "the columns add",
        lambda x: _rows(x).roll(1, -1): "too far along the last", lambda x: _rows(x).flip(0): "first dimension is rev",
        lambda x: _rows(x) ** 2: "the square of", lambda x: _rows(x).log(): "the logarithm of",
        lambda x: _rows(x) + 1: "1 too large",
    }.items():  # fmt: skip
        assert fragment in hint(wrong, inputs, _rows)
    for wrong, fragment in ((lambda x: 4 * x, "2 times what"), (lambda x: 2 * x / len(x) ** 0.5, "depends on")):
        assert fragment in hint(wrong, inputs, double)
    assert "True and False are exchanged" in hint(lambda x: x <= 0, inputs, lambda x: x > 0)
    assert "stand in the wrong order" in hint(lambda x: (x, 2 * x), inputs, lambda x: (2 * x, x))
    assert "in the second result every number has the wrong sign" in hint(lambda x: (x, -x), inputs, lambda x: (x, x))
    for wrong, fragment in {
        lambda x: _rows(x).tanh(): "a tanh too many", lambda x: _rows(x).sum(0): "first dimension has been added up",
        lambda x: _rows(x)[-1]: "only the last entry of the first", lambda x: _rows(x).round(decimals=2): "rounded",
        lambda x: _rows(x)[None]: "the shape is (1, 3, 3), not (3, 3)", lambda x: (_rows(x), x): "return it alone",
        lambda x: x.softmax(-1).mean(0).expand_as(x): "all rows (the dimension before the last) come out the same",
    }.items():  # fmt: skip
        assert fragment in hint(wrong, inputs, _rows)
    assert "this is the second result alone" in hint(lambda x: 2 * x, inputs, lambda x: (x, 2 * x))
    assert "is a Tensor of shape (3,); it must be True or False" in hint(lambda x: x[0] > 0, inputs, lambda x: True)
    for wrong, fragment in {
        lambda x: x <= x: "every entry is True", lambda x: (x == x).tril(-1): "too few places, all of them on the diag",
        lambda x: (x == x).tril(1): "too many places, all of them above the diagonal",
        lambda x: (x == x).tril().triu(): "too few places, all of them below the diagonal",
        lambda x: (x == x).tril().int(): "right but for its type: return True and False, not whole numbers",
    }.items():  # fmt: skip
        assert fragment in hint(wrong, inputs, lambda x: (x == x).tril())
    assert "most of all" in hint(lambda x: 2 * x + (x == x.max()), inputs, double)  # no relation


def test_an_argument_that_is_never_read_is_named():
    inputs = [(torch.randn(3, 4), 2.0, torch.randn(4)), (torch.randn(2, 4), 0.5, torch.randn(4))]

    def affine(x, scale, bias):
        return x * scale + bias

    assert "never uses its argument `bias`: the result" in hint(lambda x, scale, bias: x * scale + 1.5, inputs, affine)
    inside = hint(lambda x, scale, bias: (lambda y: y + bias)(x * 3), inputs, affine)
    assert "argument `scale`" in inside and "`bias`" not in inside
    assert "never" not in hint(lambda *arguments: arguments[0] ** 3, inputs, affine)


def test_failing_in_another_way_is_no_mistake_of_the_gallery():
    def mistake(x):
        """Two things are not 3 wide."""
        return x @ torch.ones(3, 3)

    inputs = [(torch.randn(3, 4),), (torch.randn(2, 5),)]
    assert "not 3 wide" in hint(lambda x: torch.matmul(x, torch.ones(3, 3)), inputs, double, [mistake])
    assert "stopped with RuntimeError" in hint(lambda x: x + torch.ones(7), inputs, double, [mistake])


def test_a_check_leaves_the_session_as_it_was_and_is_deaf_to_it(capsys):
    def meddles(x):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.manual_seed(5), np.random.seed(5), random.seed(5)
        warnings.simplefilter("error")
        return 2 * x

    def needs_gradients(x):
        w = torch.ones(1, requires_grad=True)
        warnings.warn("not for the student", stacklevel=1)
        return 2 * x if (w * x).requires_grad and torch.zeros(1).dtype == torch.float32 else x

    @exercise("99.1", "doubled.")
    def check_99_1(answer):
        """**Exercise 99.1 · ●●●○○ · 8 min** - twice

        Write `twice(x)`.

        Hint 1: add.
        Hint 2: x + x.
        Solution: 2 * x
        """
        judge(answer, [(torch.ones(3),)], double)

    def state():
        return (torch.get_default_dtype(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(),
                torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate(),
                list(warnings.filters), sys.getprofile(), torch.is_autocast_enabled("cpu"))  # fmt: skip

    torch.manual_seed(77), np.random.seed(77), random.seed(77)
    for settings in (contextlib.nullcontext(), torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16)):
        for dtype, grad in ((torch.float32, True), (torch.float64, False)):
            with settings, warnings.catch_warnings():
                warnings.simplefilter("error")
                torch.set_default_dtype(dtype)
                torch.set_grad_enabled(grad and not torch.is_inference_mode_enabled())
                try:
                    before = state()
                    results = [said(check_99_1, answer, capsys) for answer in (meddles, needs_gradients, double, half)]
                    assert state() == before
                finally:
                    torch.set_default_dtype(torch.float32)
                    torch.set_grad_enabled(True)
            assert [bool(result) for result in results] == [True, True, True, False]


@pytest.mark.parametrize("name", CHECKS)
def test_whoever_asks_for_help_sees_the_task_and_no_solution(name):
    check = CHECKS[name].check
    seen = [inspect.getdoc(check), inspect.getsource(check), pydoc.render_doc(check), repr(check)]
    seen += [str(v) for k, v in inspect.getmembers(check) if k not in ("__globals__", "__builtins__")]
    seen += [oinspect.getdoc(check), oinspect.getsource(check)]
    solution = TEXTS[name.replace("_", ".")].partition("Solution: ")[2]
    for text in seen:
        assert "Solution: " not in text and "Hint 1: " not in text and solution not in text
    assert inspect.getdoc(check).startswith("**Exercise")


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


if __name__ == "__main__":
    (Path(__file__).parent / "exercises.txt").write_text(what_is_there(), encoding="utf-8")
