"""What a check keeps to itself: every setting of the session, everything it hands to a student's function, and each
function that a task forbids."""

import ast
import contextlib
import pkgutil
import random
import re
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import course_utils.exercises
from course_utils.exercises.checking import Hint, exercise, judge, lengths_mask
from course_utils.exercises.conduct import FORBIDDEN, LOOPS, PACKAGE, change, copied, forbidden, loop_in, own_session

# --- the session ------------------------------------------------------------------------------------------------------


def profiler(*_):
    pass


@contextlib.contextmanager
def default_device(name):
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def profiled():
    before = sys.getprofile()
    sys.setprofile(profiler)
    try:
        yield
    finally:
        sys.setprofile(before)


@contextlib.contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SETTINGS = {  # what a student may have set before she asks a check
    "nothing": contextlib.nullcontext,
    "float64": lambda: default_dtype(torch.float64),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "another device": lambda: default_device("meta"),
    "numpy raises": lambda: np.errstate(all="raise"),
    "a profiler": profiled,
}


def state():
    return {
        "dtype": torch.get_default_dtype(), "device": torch.get_default_device(), "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(), "autocast": torch.is_autocast_enabled("cpu"),
        "numpy": np.geterr(), "profile": sys.getprofile(), "filters": list(warnings.filters),
        "numpy's generator": np.random.get_state()[1].tolist(), "python's": random.getstate(),
    }  # fmt: skip


def meddles(x):
    torch.set_default_dtype(torch.float16)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    np.seterr(all="raise"), np.random.seed(1), random.seed(1)
    sys.setprofile(None)
    return x @ x


def right(x):
    """Uses every setting: of another dtype, device, precision or strictness it would come out otherwise, or fail."""
    np.log(np.zeros(1))
    w = torch.eye(len(x), requires_grad=True)
    assert (w @ x).requires_grad and not (w @ x).is_inference()
    return (torch.eye(len(x)) @ x) @ x


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_the_checks_own_and_is_put_back(name, capsys):
    @exercise("99.2", "squared.")
    def check_99_2(answer):
        x = torch.tensor([[1.001, 2.003], [0.507, 1.009]])
        judge(answer, [(x,)], lambda x: x @ x, forbid=["autograd"], table=lambda x: (7, 7))

    with SETTINGS[name]():
        before = state()
        results = [check_99_2(answer) for answer in (meddles, right, lambda x: x * x)]
        assert state() == before
    assert [bool(result) for result in results] == [True, True, False], capsys.readouterr().out


def test_the_block_has_one_state_whatever_was_before():
    def inside():
        with own_session():
            return {k: v for k, v in state().items() if k not in ("filters", "profile")}, torch.rand(2).tolist()

    expected = inside()
    for setting in SETTINGS.values():
        with setting():
            assert inside() == expected


# --- what is handed over ----------------------------------------------------------------------------------------------

INNER = {
    "tensor": lambda: torch.ones(2), "list": lambda: [1, 2], "dict": lambda: {"a": 1}, "set": lambda: {1, 2},
    "array in a list": lambda: [torch.zeros(1)],
}  # fmt: skip
OUTER = {
    "alone": lambda x: x, "list": lambda x: [x], "tuple": lambda x: (x, 1), "dict": lambda x: {"k": x},
    "list of tuples": lambda x: [(x,)], "dict of lists": lambda x: {"k": [x]}, "tuple of dicts": lambda x: ({"k": x},),
    "a named tuple": lambda x: Two(x, 1),
}  # fmt: skip


class Two(NamedTuple):
    one: Any
    other: int


def innermost(x):
    while isinstance(x, list | tuple | dict) and (parts := list(x.values() if isinstance(x, dict) else x)):
        if not isinstance(parts[0], torch.Tensor | list | tuple | dict | set):
            break
        x = parts[0]
    return x


def spoil(x):
    if isinstance(x, torch.Tensor):
        x.add_(1)
    elif isinstance(x, dict):
        x["b"] = 2
    elif isinstance(x, set):
        x.add(3)
    else:
        x.append(3)


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("inner", INNER)
def test_nothing_that_is_handed_over_is_the_checks_own(inner, outer):
    """However deep it lies: a copy, which the student may spoil, and which is found to be spoilt."""
    original = OUTER[outer](INNER[inner]())
    before, given = repr(original), copied(original)
    assert repr(given) == before and change(original, given) is None and type(given) is type(original)
    spoil(innermost(given))
    assert repr(original) == before
    assert change(original, given)

    def spoils(x):
        spoil(innermost(x))
        return 0

    with pytest.raises(Hint, match="changed its argument `x`"):
        judge(spoils, [(original,)], lambda x: 0)
    assert repr(original) == before


def _retyped(x):
    x.data = x.data.long()


WAYS = {  # a tensor of ones changed without another number in it, or with
    "numbers": lambda x: x.mul_(2), "one number": lambda x: x.view(-1)[3:4].zero_(),
    "nan": lambda x: x.fill_(torch.nan),
    "shape": lambda x: x.unsqueeze_(0), "transposed": lambda x: x.t_(), "flat": lambda x: x.resize_(6),
    "type": _retyped, "asks for gradients": lambda x: x.requires_grad_(),
    "holds one": lambda x: setattr(x, "grad", torch.ones(2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_changing_a_tensor_is_seen(way):
    before, after = torch.ones(2, 3), torch.ones(2, 3)
    assert change(before, after) is None
    WAYS[way](after)
    assert change(before, after)
    assert change([0, before], [0, after]) and change({"k": (before,)}, {"k": (after,)})
    for number, other in ((1, 2), (1.5, 1.0), ("a", "b"), ({1}, {2}), ([1], [1, 1]), ({"a": 1}, {"b": 1})):
        assert change(number, number) is None and change(number, other)
    assert change(torch.tensor([torch.nan]), torch.tensor([torch.nan])) is change(float("nan"), float("nan")) is None


# --- what is forbidden ------------------------------------------------------------------------------------------------

X, T = torch.eye(2), torch.ones(2, 2)
SQUARE = (lambda x: x.square().sum(), X)


def leaf():
    return torch.ones(2, requires_grad=True)


USES = {  # (what is forbidden, the function of torch) -> one use
    **{("autograd", name): use for name, use in {
        "backward": lambda: leaf().sum().backward(),
        "grad": lambda: torch.func.grad(SQUARE[0])(X),
        "jacobian": lambda: torch.autograd.functional.jacobian(*SQUARE),
        "hessian": lambda: torch.func.hessian(SQUARE[0])(X),
        "vjp": lambda: torch.func.vjp(*SQUARE),
        "jvp": lambda: torch.func.jvp(SQUARE[0], (X,), (T,)),
        "make_dual": lambda: _dual(),
        "grad_and_value": lambda: torch.func.grad_and_value(SQUARE[0])(X),
    }.items()},
    **{("`@`", name): use for name, use in {
        "__rmatmul__": lambda: X.__rmatmul__(T), "matmul": lambda: X @ T,
        "mm": lambda: X.mm(T), "bmm": lambda: torch.bmm(X[None], T[None]), "mv": lambda: X.mv(T[0]),
        "einsum": lambda: torch.einsum("ij,jk->ik", X, T), "tensordot": lambda: torch.tensordot(X, T, 1),
        "linear": lambda: torch.nn.Linear(2, 2)(X), "addmm": lambda: torch.addmm(X, X, T),
        "dot": lambda: X[0].dot(T[0]), "inner": lambda: torch.inner(X, T),
        "chain_matmul": lambda: torch.chain_matmul(X, T),
    }.items()},
    **{("nn.LSTM", name): use for name, use in {
        "lstm": lambda: torch.nn.LSTM(2, 3)(X), "lstm_cell": lambda: torch.nn.LSTMCell(2, 3)(X)}.items()},
    **{("nn.GRU", name): use for name, use in {
        "gru": lambda: torch.nn.GRU(2, 3)(X), "gru_cell": lambda: torch.nn.GRUCell(2, 3)(X)}.items()},
    **{("nn.RNN", name): use for name, use in {
        "rnn_tanh": lambda: torch.nn.RNN(2, 3)(X), "rnn_tanh_cell": lambda: torch.nn.RNNCell(2, 3)(X),
        "rnn_relu": lambda: torch.nn.RNN(2, 3, nonlinearity="relu")(X),
        "rnn_relu_cell": lambda: torch.nn.RNNCell(2, 3, nonlinearity="relu")(X)}.items()},
    **{("F.layer_norm", name): use for name, use in {
        "layer_norm": lambda: F.layer_norm(X, (2,)), "native_layer_norm": lambda: torch.native_layer_norm(
            X, (2,), None, None, 1e-5), "group_norm": lambda: F.group_norm(X, 1),
        "native_group_norm": lambda: torch.native_group_norm(X[None], None, None, 1, 2, 2, 1, 1e-5),
        "instance_norm": lambda: F.instance_norm(torch.rand(1, 2, 3))}.items()},
    **{("F.batch_norm", name): use for name, use in {
        "batch_norm": lambda: torch.nn.BatchNorm1d(2)(X), "native_batch_norm": lambda: torch.native_batch_norm(
            X, None, None, None, None, True, 0.1, 1e-5),
        "instance_norm": lambda: torch.nn.InstanceNorm1d(2)(torch.rand(1, 2, 3))}.items()},
    ("scaled_dot_product_attention", "scaled_dot_product_attention"):
        lambda: F.scaled_dot_product_attention(X[None], X[None], X[None]),
    ("scaled_dot_product_attention", "multi_head_attention_forward"):
        lambda: torch.nn.MultiheadAttention(2, 1)(X, X, X),
    ("clip_grad_norm_", "clip_grad_norm_"): lambda: torch.nn.utils.clip_grad_norm_([leaf()], 1.0),
    ("clip_grad_norm_", "_clip_grads_with_norm_"): lambda: torch.nn.utils.clip_grads_with_norm_(
        [leaf()], 1.0, torch.ones(())),
    ("F.one_hot", "one_hot"): lambda: F.one_hot(torch.tensor([0, 1])),
}  # fmt: skip


def _dual():
    with torch.autograd.forward_ad.dual_level():
        torch.autograd.forward_ad.make_dual(X, T)


def test_every_function_that_is_forbidden_has_a_use_here():
    assert set(USES) == {(what, name) for what, names in FORBIDDEN.items() for name in names.split()}


@pytest.mark.parametrize("what, name", USES, ids=str)
def test_every_forbidden_function_is_noticed(what, name):
    """Allowed where another thing is forbidden; noticed where it is forbidden, this very function among the names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FORBIDDEN, what, name)
        with forbidden([what]) as said:
            USES[what, name]()
    assert said and "this task is to be solved without" in said[0]
    with forbidden(["torch.cdist"]) as said:
        USES[what, name]()
    assert not said


def _mapped(x):
    return torch.stack(list(map(torch.neg, x)))


def _vectorised(x):
    return torch.as_tensor(np.vectorize(abs)(x.numpy()))


@pytest.mark.parametrize("function", [_mapped, _vectorised, lambda x: [v for v in x], lambda x: sum(v for v in x)])
def test_every_loop_in_disguise_is_a_loop(function):
    assert "loop" in loop_in(function) or "without one" in loop_in(function)


def test_no_exercise_loses_a_prohibition():
    """A right answer passes without it, and so do most wrong ones: who forbids less must change this list."""
    found, modules = {}, [m.name for m in pkgutil.iter_modules(course_utils.exercises.__path__)]
    for module in filter(re.compile(r"ex\d\d").fullmatch, modules):
        path = Path(course_utils.exercises.__file__).with_name(f"{module}.py")
        for function in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(function, ast.FunctionDef) and function.name.startswith("check_"):
                for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                    given = {keyword.arg: keyword.value for keyword in call.keywords}
                    names = ast.literal_eval(given["forbid"]) if "forbid" in given else ()
                    found.setdefault(function.name[6:], set()).update(names, ["a table"] if "table" in given else [])
    assert {name: names for name, names in found.items() if names} == PROHIBITED


PROHIBITED = {
    "01_1": {"F.one_hot", "`@`", "a table"}, "01_2": {"autograd"}, "02_4": {"nn.RNN"}, "03_2": {"a loop", "nn.LSTM"},
    "04_2": {"autograd"}, "04_3": {"clip_grad_norm_"}, "05_2": {"F.batch_norm"}, "05_4": {"F.layer_norm"},
    "09_3": {"autograd"}, "11_1": {"a loop"},
    "13_2": {"a loop", "scaled_dot_product_attention"}, "20_1": {"a loop"}, "20_3": {"a table"},
    "22_3": {"a loop", "a table"}, "23_4": {"a loop"},
}  # fmt: skip

# --- inputs -----------------------------------------------------------------------------------------------------------


def test_a_mask_of_lengths():
    assert lengths_mask([2, 3, 1]).tolist() == [[True, True, False], [True] * 3, [True, False, False]]
    assert lengths_mask([1, 2], 4).tolist() == [[True, False, False, False], [True, True, False, False]]
    assert lengths_mask([2], 2).all() and {LOOPS, PACKAGE}.isdisjoint(FORBIDDEN)
