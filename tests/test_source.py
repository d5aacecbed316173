"""show_source: the package's own lines, without what was asked to be left out, and nobody else's."""

import ast
import importlib
import inspect
import pkgutil
import textwrap

import pytest
from torch import nn

import course_utils
from course_utils.teaching import source
from course_utils.teaching.source import show_source, source_of

LESSON = '''
"""A file of the package."""
import functools


class Sum(Base):
    """Adds.

    # not a comment
    """

    names = ("a", "b")

    def __init__(self, a: int, b: int, *, longest: int = 3,
                 signed: bool = False) -> None:
        """Takes two."""
        # both are wanted
        super().__init__()
        check_numbers(a, b)
        if longest < 1:
            raise ValueError(f"longest={longest}")
        elif not signed:
            message = "no sign"
            raise ValueError(message)
        self.a, self.b = a, b

    @property
    def total(self):
        return self.a + self.b                                  # (B, T)

    @wrapped
    def add(self, other):
        """Adds more."""

        # the door
        self._check(other)  # twice
        for part in other:
            self._check(part)

        found = check_sum(other)

        if found is None:
            return 0
        if found < 0:
            raise ValueError("negative")

        # what comes out
        return found  # (B,)

    def check(self):
        """Checks."""
        check_numbers(self.a)

    def nothing(self):
        """Only described."""

    def short(self): """Short."""; return 1


def check_numbers(*x):
    """Refuse."""
    if x is None:
        raise ValueError("none")


def outer(x):
    if x < 0: raise ValueError(x)
    def inner(y):
        """Inside."""
        check_numbers(y)
        return y
    while x:
        if x < 0:
            raise ValueError(x)
        x -= 1
    return inner(x)
'''

BARE = """
class Sum(Base):
    names = ("a", "b")

    def __init__(self, a: int, b: int, *, longest: int = 3,
                 signed: bool = False) -> None:
        # both are wanted
        super().__init__()
        self.a, self.b = a, b

    @property
    def total(self):
        return self.a + self.b                                  # (B, T)

    @wrapped
    def add(self, other):
        found = check_sum(other)

        if found is None:
            return 0

        # what comes out
        return found  # (B,)

    def check(self):
        check_numbers(self.a)

    def nothing(self):
        \"\"\"Only described.\"\"\"

    def short(self): \"\"\"Short.\"\"\"; return 1
""".strip()


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """LESSON as a module of course_utils."""
    (tmp_path / "lesson.py").write_text(
        "import functools\nclass Base: pass\ndef wrapped(f):\n    @functools.wraps(f)\n    def g(*a):\n"
        f"        return f(*a)\n    return g\n{LESSON}",
        encoding="utf-8",
    )
    monkeypatch.setattr(course_utils, "__path__", [*course_utils.__path__, str(tmp_path)])
    monkeypatch.delitem(importlib.sys.modules, "course_utils.lesson", raising=False)
    yield importlib.import_module("course_utils.lesson")
    del importlib.sys.modules["course_utils.lesson"], course_utils.lesson


def test_the_class_without_docstrings_and_checks(lesson):
    assert source_of(lesson.Sum) == BARE


def test_both_on_request(lesson):
    whole = source_of(lesson.Sum, docstrings=True, doors=True)
    assert whole == textwrap.dedent(inspect.getsource(lesson.Sum)).rstrip()
    described = source_of(lesson.Sum, docstrings=True)
    assert described.count('"""') == 12 and "# not a comment" in described and "raise" not in described
    checked = source_of(lesson.Sum, doors=True)
    assert checked.count("raise ") == 3 and "# the door\n        self._check(other)  # twice\n" in checked
    assert '"""Adds' not in checked


def test_a_comment_at_the_right_edge_moves():
    """To the left where that is enough, else above; never what only looks like one."""
    fits, text = f"x = 1{' ' * 74}# (B, T)", f'x = "{"y" * 90}  # no comment"'
    code = f"{fits}\n{fits} or more\nif {'y' * 80}:    # (B, T)\n    f(\n        {'y' * 80},  # (B, T)\n    )\n{text}"
    assert source._narrowed(code) == (
        f"{fits}\nx = 1  # (B, T) or more\n# (B, T)\nif {'y' * 80}:\n    f(\n"
        f"        # (B, T)\n        {'y' * 80},\n    )\n{text}"
    )


def test_parts_say_what_they_belong_to(lesson):
    assert source_of(lesson.Sum.total) == (
        "# Sum.total\n@property\ndef total(self):\n    return self.a + self.b                                  # (B, T)"
    )
    for method in (lesson.Sum.add, lesson.Sum(1, 2, signed=True).add):
        assert source_of(method).startswith("# Sum.add\n@wrapped\ndef add(self, other):\n    found = ")


def test_functions(lesson):
    assert source_of(lesson.check_numbers) == (
        'def check_numbers(*x):\n    if x is None:\n        raise ValueError("none")'
    )
    found = source_of(lesson.outer)
    assert found.splitlines()[:3] == ["def outer(x):", "    def inner(y):", "        return y"]
    assert found.count("raise") == 1  # the one in the loop is no door


@pytest.fixture
def displayed(monkeypatch):
    calls = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: calls.append((data, options)))
    return calls


def test_one_output_as_markdown_and_as_text(lesson, displayed):
    assert show_source(lesson.Sum.total, lesson.check_numbers) is None
    ((data, options),) = displayed
    assert options == {"raw": True} and set(data) == {"text/markdown", "text/plain"}
    first, second = source_of(lesson.Sum.total), source_of(lesson.check_numbers)
    assert data["text/markdown"] == f"```python\n{first}\n```\n\n```python\n{second}\n```"
    assert data["text/plain"] == f"{first}\n\n\n{second}"


def test_folded(lesson, displayed):
    show_source(lesson.Sum, lesson.Sum.total, folded=True, doors=True)
    page = displayed[0][0]["text/markdown"]
    names = "<code>Sum</code>, <code>Sum.total</code>"
    assert page.startswith(f"<details><summary>The code of {names}</summary>\n\n```python\nclass Sum")
    assert page.endswith("```\n\n</details>")
    assert "<details>" not in displayed[0][0]["text/plain"]


def test_a_fence_in_the_code_does_not_end_the_block():
    assert source._fenced("x = '```'") == "````python\nx = '```'\n````"


@pytest.mark.parametrize(
    ("shown", "kind", "words"),
    [
        (nn.Linear, ValueError, "torch.nn.modules.linear.Linear is not of course_utils"),
        (len, ValueError, "builtins.len is not of course_utils"),
        (lambda x: x, ValueError, "is not of course_utils"),
        ("DenseAttention", TypeError, "'DenseAttention' (str) has no source: pass a class"),
        (nn.Linear(1, 1), TypeError, "(Linear) has no source: pass a class"),
        (ast, TypeError, "(module) has no source"),
    ],
)
def test_refusals(shown, kind, words):
    with pytest.raises(kind) as refused:
        show_source(shown)
    assert words in str(refused.value) and str(refused.value).count("\n") == 0


def test_a_notebooks_own_function_is_on_the_page_already():
    def mine():
        pass

    mine.__module__, mine.__qualname__ = "__main__", "mine"
    with pytest.raises(ValueError, match="mine is defined in this notebook, so its code is on the page already"):
        show_source(mine)


def test_nothing_to_show():
    with pytest.raises(TypeError, match="needs something to show"):
        show_source()


def test_a_class_made_while_running_has_no_source():
    made = type("Made", (), {"__module__": "course_utils.made"})
    with pytest.raises(ValueError, match="course_utils.made.Made was not written in a file"):
        show_source(made)


def everything():
    """Every class and function of the package, as (name, object)."""
    for info in pkgutil.walk_packages(course_utils.__path__, "course_utils."):
        module = importlib.import_module(info.name)
        for name, thing in vars(module).items():
            if (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__ == info.name:
                if thing.__name__ == name:  # not a lambda, nor what was made by namedtuple
                    yield f"{info.name}.{name}", thing


def test_whatever_is_cut_out_of_the_package_is_still_python_and_does_the_same():
    """Cut code parses; with its docstrings it is the whole code without statements that only check."""
    seen = 0
    for name, thing in everything():
        try:
            bare = ast.parse(source_of(thing))
        except ValueError as refusal:
            assert "was not written in a file" in str(refusal), name
            continue
        whole = ast.parse(source_of(thing, docstrings=True, doors=True))
        for tree in (bare, whole):
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    kept = [s for s in node.body if not _described(s) and not source._only_checks(s)]
                    node.body = kept or [ast.Pass()]
        assert ast.dump(bare) == ast.dump(whole), name
        seen += 1
    assert seen > 300


def _described(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@pytest.mark.parametrize(
    ("statement", "door"),
    [
        ("check_widths(d=d)", True), ("self.check_source(x)", True), ("_check(x)", True), ("self._check_ids(x)", True),
        ("checks.check_equal(x)", True), ("checkpoint(x)", False), ("checked(x)", False), ("self.recheck_(x)", False),
        ("unchecked(x)", False), ("mask = check_source(x)", False), ("return check_source(x)", False),
        ("await_check(x)", False), ("if x:\n    raise ValueError", True), ("if x:\n    checkpoint(x)", False),
        ("if x:\n    check_x(x)\nelse:\n    raise ValueError", True), ("if x:\n    raise ValueError\nelse:\n    y = 1",
        False), ("for y in x:\n    check_x(y)", True), ("for y in x:\n    check_x(y)\nelse:\n    z = 1", False),
        ("for y in x:\n    use(y)", False), ("while x:\n    check_x(x)", False), ("raise ValueError", False),
        ("if x:\n    y = 1\n    raise ValueError", True), ("if x:\n    return 1", False),
    ],
)  # fmt: skip
def test_what_is_a_door(statement, door):
    (node,) = ast.parse(f"def f():\n{textwrap.indent(statement, '    ')}").body[0].body
    assert source._only_checks(node) == door
