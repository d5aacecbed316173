"""The package's own code on a notebook's page: the real source, so there is no second copy that could differ.

Lines are cut out of the file as it stands; comments, and with them the shapes, stay (a trailing one moves where the
right edge of the page would break it). nbval compares what is shown like any output: when the package changes, the
notebook must be refreshed.
"""

import ast
import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from typing import Any

Function = ast.FunctionDef | ast.AsyncFunctionDef
WIDTH = 88  # characters: what fits on a page of JupyterLab beside its side bar, 1,280 pixels wide
Shown = type | Callable[..., Any] | property


def show_source(*objects: Shown, docstrings: bool = False, doors: bool = False, folded: bool = False) -> None:
    """Display the source of classes, functions and methods of course_utils, one highlighted block each.

    Left out unless asked for: `docstrings`, and the `doors`, a function's checks of its input (statements that do
    nothing unless they raise, and calls of check_... or _check...). `folded=True` hides the code until it is clicked.
    Raises TypeError for what has no source (a model instead of its class), ValueError for what is not of course_utils.
    """
    from IPython.display import display

    if not objects:
        raise TypeError("show_source() needs something to show: a class, a function or a method of course_utils.")
    blocks = [source_of(shown, docstrings=docstrings, doors=doors) for shown in objects]
    page = "\n\n".join(map(_fenced, blocks))
    if folded:
        names = ", ".join(f"<code>{_function(shown).__qualname__}</code>" for shown in objects)
        page = f"<details><summary>The code of {names}</summary>\n\n{page}\n\n</details>"
    display({"text/markdown": page, "text/plain": "\n\n\n".join(blocks)}, raw=True)


def source_of(shown: Shown, *, docstrings: bool = False, doors: bool = False) -> str:
    """What `show_source` shows of one class, function or method; of a method, its class stands in a comment above."""
    found = _function(shown)
    module, name = getattr(found, "__module__", None) or "", getattr(found, "__qualname__", None)
    if name is None or not (inspect.isclass(found) or inspect.isroutine(found)):
        raise TypeError(
            f"{str(shown)[:40]!r} ({type(shown).__name__}) has no source: pass a class, a function or a method."
        )
    if module == "__main__":
        raise ValueError(f"{name} is defined in this notebook, so its code is on the page already.")
    if module.split(".")[0] != "course_utils":
        raise ValueError(f"{module}.{name} is not of course_utils: show_source shows the course's own code only.")
    try:
        text = textwrap.dedent(inspect.getsource(found))
    except (OSError, TypeError):
        raise ValueError(f"{module}.{name} was not written in a file of course_utils, so it has no source.") from None
    lines = text.splitlines()
    cut = {n for first, last in _cuts(ast.parse(text), lines, docstrings, doors) for n in range(first, last + 1)}
    kept = "\n".join(line for n, line in enumerate(lines, 1) if n not in cut).rstrip()
    return (f"# {name}\n" if "." in name else "") + _narrowed(kept)


def _function(shown: Any) -> Any:
    """A property's getter; a function without what decorators wrapped around it."""
    shown = shown.fget if isinstance(shown, property) else shown
    return inspect.unwrap(shown) if callable(shown) else shown


def _fenced(code: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}python\n{code}\n{fence}"


def _narrowed(code: str) -> str:
    """A trailing comment that reaches beyond WIDTH moves to the left or, if need be, onto a line above."""
    lines = code.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        row, column = token.start[0] - 1, token.start[1]
        before = lines[row][:column].rstrip() if token.type == tokenize.COMMENT else ""
        if before and len(lines[row]) > WIDTH:
            indent = before[: len(before) - len(before.lstrip())]
            short = f"{before}  {token.string}"
            lines[row] = short if len(short) <= WIDTH else f"{indent}{token.string}\n{before}"
    return "\n".join(lines)


def _cuts(tree: ast.AST, lines: list[str], docstrings: bool, doors: bool) -> Iterator[tuple[int, int]]:
    """First and last line (from 1) of every piece to leave out. A body is never emptied."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef | Function):
            continue
        described = not docstrings and ast.get_docstring(node, clean=False) is not None
        checks = [s for s in node.body if _only_checks(s)] if not doors and isinstance(node, Function) else []
        out = [*node.body[:described], *checks]
        if len(out) == len(node.body):  # a function that only checks, or a class that is only described
            out = node.body[:described] if checks else []
        for statement in out:
            first, last = statement.lineno, statement.end_lineno
            if not _alone(statement, lines):
                continue
            while lines[first - 2].lstrip().startswith("#"):  # a comment right above belongs to it
                first -= 1
            starts = all(earlier in out for earlier in node.body[: node.body.index(statement)])
            while (starts or not lines[first - 2].strip()) and last < len(lines) and not lines[last].strip():
                last += 1  # the blank lines below, unless they part two neighbours that stay
            yield first, last


def _only_checks(statement: ast.stmt) -> bool:
    """Whether a statement does nothing, unless it raises."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))):
            return name.startswith(("check_", "_check"))
        case ast.If(body=body, orelse=orelse):
            return all(_raises(block) or all(map(_only_checks, block)) for block in (body, orelse))
        case ast.For(body=body, orelse=[]):
            return all(map(_only_checks, body))
    return False


def _raises(block: list[ast.stmt]) -> bool:
    return bool(block) and isinstance(block[-1], ast.Raise)


def _alone(statement: ast.stmt, lines: list[str]) -> bool:
    """Whether no other code shares the statement's lines."""
    before = lines[statement.lineno - 1].encode()[: statement.col_offset]
    after = lines[statement.end_lineno - 1].encode()[statement.end_col_offset :].strip()
    return not before.strip() and (not after or after.startswith(b"#"))
