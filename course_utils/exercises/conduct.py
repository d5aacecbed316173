"""What a student's function does besides giving a result; used by checking.py.

It may use what the task forbids (`forbidden`), read the notebook's variables (`globals_read`), or change what it was
given (`change`). And what a check must not do: depend on the session's settings, or leave others (`own_session`).
"""

import contextlib
import dis
import functools
import inspect
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from course_utils.exercises.differences import shown

# --- the session ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def own_session() -> Iterator[None]:
    """Inside: float32, gradients on, CPU, a seed of its own, no warnings. Afterwards everything is as it was before."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    states = random.getstate(), np.random.get_state()
    with (
        warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad(),
        torch.autocast("cpu", enabled=False), np.errstate(all="ignore"),
    ):  # fmt: skip
        warnings.simplefilter("ignore")
        torch.set_default_dtype(torch.float32)
        if device.type != "cpu":
            torch.set_default_device(None)
        torch.default_generator.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            if torch.get_default_device() != device:  # None, not "cpu": that would slow down every call of torch
                torch.set_default_device(None if device.type == "cpu" else device)
            random.setstate(states[0])
            np.random.set_state(states[1])


# --- prohibitions -----------------------------------------------------------------------------------------------------

_MATRIX_PRODUCTS = "__rmatmul__ matmul mm bmm mv einsum tensordot linear addmm dot inner chain_matmul"
FORBIDDEN = {  # what a task may forbid -> the functions by which torch does it
    "autograd": "backward grad jacobian hessian vjp jvp make_dual grad_and_value",
    "nn.LSTM": "lstm lstm_cell",
    "nn.GRU": "gru gru_cell",
    "nn.RNN": "rnn_tanh rnn_relu rnn_tanh_cell rnn_relu_cell",
    "F.layer_norm": "layer_norm native_layer_norm group_norm native_group_norm instance_norm",
    "F.batch_norm": "batch_norm native_batch_norm instance_norm",
    "scaled_dot_product_attention": "scaled_dot_product_attention multi_head_attention_forward",
    "clip_grad_norm_": "clip_grad_norm_ _clip_grads_with_norm_",
    "F.one_hot": "one_hot",
    "`@`": _MATRIX_PRODUCTS,
}
LOOPS, PACKAGE = "a loop", "the package's own version"
_OURS = str(Path(__file__).resolve().parent.parent)
_CHECKS = str(Path(__file__).resolve().parent)
_TORCH = str(Path(torch.__file__).resolve().parent)


class _Watch(TorchFunctionMode):
    """Writes down which of the named torch functions are called, and the first result that has all given sizes.

    A TorchDispatchMode would see more, but its first use imports sympy, which takes a second.
    """

    def __init__(self, names: dict[str, str], sizes: Sequence[int]):
        super().__init__()
        self.names, self.sizes = names, Counter(sizes)
        self.used: list[tuple[str, str]] = []
        self.table: tuple[int, ...] | None = None

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if (name := getattr(func, "__name__", "")) in self.names:
            self.used.append((name, self.names[name]))
        made = func(*args, **(kwargs or {}))
        if self.sizes and self.table is None and isinstance(made, Tensor) and not self.sizes - Counter(made.shape):
            self.table = tuple(made.shape)
        return made


@contextlib.contextmanager
def forbidden(names: Iterable[str] = (), table: Sequence[int] = ()) -> Iterator[list[str]]:
    """Collects, in the list it gives, one sentence for each forbidden thing that is used inside.

    `names`: keys of FORBIDDEN, any other torch function by its name, PACKAGE (nothing of course_utils may be called),
    or LOOPS, which is left to `loop_in`. `table`: sizes; no tensor may have all of them, such as (T, T).
    """
    functions = {f: n for n in names for f in FORBIDDEN.get(n, n.rpartition(".")[2]).split()}
    in_python = functions.keys() - set(_MATRIX_PRODUCTS.split())  # torch has helpers of its own called `inner`
    said: list[str] = []
    watch = _Watch(functions, table if table and min(table) > 1 else ())
    calls: list[tuple[str, str]] = []

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        if event != "call":
            return
        if code.co_name in in_python and code.co_filename.startswith(_TORCH):
            calls.append((code.co_name, functions[code.co_name]))
        elif PACKAGE in names and code.co_filename.startswith(_OURS) and not code.co_filename.startswith(_CHECKS):
            calls.append((f"{code.co_qualname} of course_utils", PACKAGE))

    with contextlib.ExitStack() as stack:
        if functions or watch.sizes:
            stack.enter_context(watch)
        if in_python or PACKAGE in names:
            stack.callback(sys.setprofile, sys.getprofile())
            sys.setprofile(profile)
        yield said
    for used, name in watch.used[:1] or calls[:1]:
        used = "`@`" if used.strip("_r") == "matmul" else used.lstrip("_")
        without = f"without {name}" if name == PACKAGE else "without it" if used == name else f"without {name}"
        said.append(f"your function uses {used}; this task is to be solved {without}.")
    if watch.table:
        sizes = " x ".join(map(str, table))
        said.append(f"your function makes a tensor of shape {watch.table}; the task allows no {sizes} table.")


def loop_in(function: Callable) -> str | None:
    """A sentence if there is a loop in the function or in a helper of the notebook that it calls.

    Comprehensions and `map` count; going through a few things that are written down, (W_q, W_k, W_v), does not.
    """
    for code, _ in codes(function):
        steps = [step.opname for step in dis.get_instructions(code)]
        fixed = ("BUILD_TUPLE", "BUILD_LIST", "LOAD_CONST")  # for W in (W_q, W_k, W_v): no loop over what is given
        over_many = any(step == "GET_ITER" and before not in fixed for before, step in pairwise(steps))
        endless = "FOR_ITER" not in steps and any("JUMP_BACKWARD" in step for step in steps)  # while
        if over_many or endless:
            return "there is a loop in your function (a comprehension is one too); this task is to be solved without."
        if "map" in code.co_names or "vectorize" in code.co_names:
            return "`map` is a loop too; this task is to be solved without one."
    return None


# --- reading a function -----------------------------------------------------------------------------------------------


def plain_function(function: Any) -> FunctionType | None:
    """The Python function behind a partial, a method, a decorated function or a module; None if there is none."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, torch.nn.Module):
        function = type(function).forward
    function = inspect.unwrap(getattr(function, "__func__", function)) if callable(function) else None
    return function if isinstance(function, FunctionType) else None


def codes(function: Any) -> list[tuple[CodeType, dict]]:
    """The code of a function with its globals, of what is defined in it, and of helpers from the same notebook."""
    found: list[tuple[CodeType, dict]] = []
    todo: list[Any] = [plain_function(function)]
    while todo:
        item = todo.pop()
        if item is None:
            continue
        code, names = (item.__code__, item.__globals__) if isinstance(item, FunctionType) else item
        if any(code is other for other, _ in found):
            continue
        found.append((code, names))
        todo += [(const, names) for const in code.co_consts if isinstance(const, CodeType)]
        cells = [_content(cell) for cell in getattr(item, "__closure__", None) or ()]
        used = [names[name] for name in code.co_names if name in names]
        todo += [f for f in cells + used if isinstance(f, FunctionType) and f.__globals__ is names]
    return found


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def fingerprint(function: Any) -> Any:
    """Equal for two functions with the same code, whatever their names, comments and places."""
    return [_mark(code) for code, _ in codes(function)[:1]] or repr(type(function))


def _mark(code: CodeType) -> tuple:
    consts = tuple(_mark(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return code.co_code, consts, code.co_names, code.co_varnames, code.co_freevars


_DATA = Tensor | int | float | str | list | tuple | dict | set | np.ndarray


def globals_read(function: Any) -> list[str]:
    """The notebook's variables that a function reads, as "`d` from the notebook (d = 2)"; constants such as PAD not."""
    read = {}
    for code, names in codes(function):
        for step in dis.get_instructions(code):
            name = step.argval
            if step.opname not in ("LOAD_GLOBAL", "LOAD_NAME") or name not in names:
                continue
            constant = name.isupper() and len(name.replace("_", "")) > 1 and not name[-1:].isdigit()
            if isinstance(names[name], _DATA) and not constant:
                read[name] = f"`{name}` from the notebook ({name} = {shown(names[name])})"
    return list(read.values())


def unused(function: Any) -> list[str]:
    """The parameters that a function never reads, in quotes."""
    if (plain := plain_function(function)) is None:
        return []
    code = plain.__code__
    read = {name for step in dis.get_instructions(code) if step.opname != "STORE_FAST" for name in _names(step.argval)}
    inner = {name for const in code.co_consts if isinstance(const, CodeType) for name in const.co_freevars}
    return [f"`{name}`" for name in code.co_varnames[: code.co_argcount] if name not in read | inner]


def _names(argval: Any) -> tuple:
    """The names an instruction speaks of: newer Pythons load two at once."""
    return argval if isinstance(argval, tuple) else (argval,) if isinstance(argval, str) else ()


# --- arguments --------------------------------------------------------------------------------------------------------


def copied(x: Any) -> Any:
    """Tensors and containers copied (a tensor that asks for gradients still does, as a leaf), functions as they are."""
    if isinstance(x, Tensor):
        return x.detach().clone().requires_grad_(x.requires_grad)
    if isinstance(x, tuple | list | set | frozenset):
        parts = [copied(part) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    if isinstance(x, dict):
        return {key: copied(value) for key, value in x.items()}
    return x


def change(before: Any, after: Any) -> str | None:
    """What a call did to an argument, in words after "changed its argument `x`"; None if it is untouched."""
    if isinstance(before, Tensor):
        if not isinstance(after, Tensor):
            return " in place"
        if before.shape != after.shape or before.dtype != after.dtype:
            return " in place (its shape or type)"
        if not torch.equal(before, after):  # nan differs from nan
            nan = before.is_floating_point() and torch.allclose(before, after, 0, 0, equal_nan=True)
            if not nan:
                return " in place"
        if before.requires_grad != after.requires_grad:
            how = "requires_grad_() was called on it" if after.requires_grad else "detach_() cuts the caller's gradient"
            return f" (not its numbers: {how})"
        if (after.grad is None) != (before.grad is None) or not after.is_leaf:
            return " (not its numbers: it holds a gradient now)"
        return None
    if isinstance(before, list | tuple):
        if len(before) != len(after):
            return " in place"
        return next((said for one, other in zip(before, after, strict=True) if (said := change(one, other))), None)
    if isinstance(before, dict):
        if before.keys() != after.keys():
            return " in place"
        return next((said for key in before if (said := change(before[key], after[key]))), None)
    if isinstance(before, set | int | float | str):
        return None if before == after or before != before else " in place"
    return None if before is after else " in place"
