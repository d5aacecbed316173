"""The student edition: no solutions, no outputs, stands on its own. It runs from top to bottom with nothing solved: in
the browser (tests/test_browser.py); where there is none, here."""

import sys
from pathlib import Path

import nbformat
import pytest
from handout import FILES, MARK, run, student_edition, write
from hygiene import Book, identities, machine, metadata
from kernels import BROWSER
from limits import finished
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

STUB = """
def answer():
    return ...
check_06_1 = lambda f: print("not yet" if f() is ... else "PASS")
check_06_1(answer)"""
SOLUTION = "# Solution (click the dots)\ndef answer():\n    return 42\ncheck_06_1(answer)"


def book(*cells) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_markdown_cell("# 06 · Can it?"), *cells], metadata={"widgets": {"state": {}}})


def code(source, *tags):
    outputs = [new_output("stream", text="42\n")]
    return new_code_cell(source, outputs=outputs, execution_count=1, metadata={"tags": list(tags)} if tags else {})


@pytest.fixture
def course(tmp_path):
    """A course of one notebook, in a folder whose name holds a space."""
    root = tmp_path / "the course"
    for name, text in {"course_utils/__init__.py": "", "course_utils/__pycache__/x.pyc": "", "data/README.md": "none",
                       "tests/secret.py": "", **{name: name for name in FILES}}.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "notebooks").mkdir()
    nbformat.write(book(code(STUB), code(SOLUTION, "solution")), root / "notebooks" / "06_can_it.ipynb")
    return root


def test_solutions_and_outputs_are_gone():
    full = book(code(STUB), code(SOLUTION, "solution"), code("print(42)", "nbval-ignore-output"))
    student = student_edition(full)
    assert [cell.source for cell in student.cells] == [full.cells[0].source, STUB, "print(42)"]
    assert all(not cell.outputs and cell.execution_count is None for cell in student.cells[1:])
    assert not list(metadata(Book("06", nbformat.writes(student), student)))
    assert full.cells[2].source == SOLUTION and full.cells[1].outputs, "the full notebook was changed"


def test_the_folder_stands_on_its_own(course):
    write(course / "out", course)
    names = {path.relative_to(course / "out").as_posix() for path in (course / "out").rglob("*") if path.is_file()}
    made = {MARK, "README.md", "notebooks/06_can_it.ipynb", "course_utils/__init__.py", "data/README.md"}
    assert names == {*made, *FILES}
    assert "- `06_can_it.ipynb`: Can it?" in (course / "out" / "README.md").read_text()


def test_written_again_it_keeps_what_students_made_and_nothing_old(course):
    write(course / "out", course)
    theirs, old = ("my_notebooks/06_can_it.ipynb", ".venv/pyvenv.cfg"), ("notebooks/old.ipynb", "course_utils/old.py")
    for name in (*theirs, *old):
        (course / "out" / name).parent.mkdir(exist_ok=True)
        (course / "out" / name).write_text("mine")
    write(course / "out", course)
    assert all((course / "out" / name).read_text() == "mine" for name in theirs)
    assert not any((course / "out" / name).exists() for name in old)


def test_a_folder_that_is_no_handout_is_never_touched(course):
    (course / "out/notebooks").mkdir(parents=True)
    (course / "out/notebooks/thesis.ipynb").write_text("years of work")
    with pytest.raises(SystemExit, match="is not a handout"):
        write(course / "out", course)
    assert [path.name for path in (course / "out").rglob("*")] == ["notebooks", "thesis.ipynb"]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([code(STUB), code(SOLUTION, "solution")], None),
        ([code(STUB), code(SOLUTION, "solution"), code("assert answer() == 42")], "AssertionError"),
        ([code(STUB.replace("not yet", "hm"))], "does not say 'not yet'"),
        ([code("import sys\nsys.modules['course_utils'] = sys\nsys.__file__ = 'elsewhere'")], "another course_utils"),
    ],
)
def test_a_notebook_that_needs_its_solutions_is_seen(course, cells, words):
    nbformat.write(book(*cells), course / "notebooks" / "06_can_it.ipynb")
    (path,) = write(course / "out", course)
    found = run(path)
    assert found is None if words is None else words in found


def test_start_py_says_that_the_student_edition_has_no_tests(course):
    (course / "start.py").write_text((ROOT / "start.py").read_text(encoding="utf-8"), encoding="utf-8")
    write(course / "out", course)
    for what in ("test", "handout"):
        done = finished([sys.executable, str(course / "out/start.py"), what], "start.py to refuse")
        assert done.returncode == 1 and "This is the student edition" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture(scope="session")
def edition(tmp_path_factory):
    """The notebooks of the student edition, by name."""
    return {path.name: path for path in write(tmp_path_factory.mktemp("handout") / "student edition")}


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_the_student_edition(path, edition):
    assert BROWSER or run(edition[path.name]) is None
    student = Book.read(edition[path.name])
    assert not [problem for check in (metadata, identities, machine) for problem in check(student)]
    assert "Solution (click the dots)" not in student.raw
