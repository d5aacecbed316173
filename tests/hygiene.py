"""What every notebook of the course keeps to, as functions from a notebook to the sentences that say what is wrong.

design.md and notebook-style.md say why; test_notebook_hygiene.py applies all of CHECKS to every notebook and shows each
of them red on a notebook spoilt on purpose.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from refresh import METADATA, WIDGET

MOST_BYTES, MOST_LINES, LEAST_COMPARED = 1_000_000, 15, 0.7
TAGS = {"nbval-ignore-output", "raises-exception", "solution", "hide-input", "hide-cell"}
FOLD = "# Solution (click the dots)"
EXERCISE = re.compile(r"^\*\*Exercise (\d\d)\.(\d+) · ●*○* · \d+ min\*\*", re.M)
HEADINGS = ("Objectives", "Prerequisites", "What we measured", "Where we differ from the paper", "Glossary",
            "References", "Next")  # fmt: skip
MACHINE = re.compile(r"(?<![\w.])/(home|Users|tmp|root|work|private|opt|mnt)/\w|\b[A-Z]:\\Users|\b0x[0-9a-f]{6,}")


@dataclass(frozen=True)
class Book:
    """A notebook file, read once."""

    name: str  # 06_seq2seq_fixed_context
    raw: str
    notebook: nbformat.NotebookNode

    @classmethod
    def read(cls, path: Path) -> "Book":
        raw = path.read_text(encoding="utf-8")
        return cls(path.stem, raw, nbformat.reads(raw, as_version=4))

    @property
    def number(self) -> str:
        return self.name[:2]

    @property
    def cells(self) -> list[nbformat.NotebookNode]:
        return self.notebook.cells

    @property
    def code(self) -> list[tuple[int, nbformat.NotebookNode]]:
        """(place, cell) of every code cell that holds something; places count all cells from 1, as JupyterLab shows."""
        return [(n, c) for n, c in enumerate(self.cells, 1) if c.cell_type == "code" and c.source.strip()]

    @property
    def prose(self) -> str:
        return "\n\n".join(c.source for c in self.cells if c.cell_type == "markdown")


def tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", ()))


def statements(cell: nbformat.NotebookNode) -> list[ast.stmt]:
    """The statements of a code cell; magics become calls."""
    return ast.parse(TransformerManager().transform_cell(cell.source)).body


def texts(cell: nbformat.NotebookNode) -> Iterator[str]:
    """Source and textual outputs of a cell; pictures are left out, since base64 spells anything."""
    yield cell.source
    for output in cell.get("outputs", ()):
        yield output.get("text", "")
        yield from (str(value) for kind, value in output.get("data", {}).items() if not kind.startswith("image/"))


# ------------------------------------------------------------------------------------------- the file and its outputs


def metadata(book: Book) -> Iterator[str]:
    if book.notebook.metadata != METADATA:
        yield f"its metadata is not {METADATA}: make it with tests/refresh.py"
    if (book.notebook.nbformat, book.notebook.nbformat_minor) < (4, 5):
        yield f"format {book.notebook.nbformat}.{book.notebook.nbformat_minor}, 4.5 is the first with cell ids"


def identities(book: Book) -> Iterator[str]:
    ids = [cell.get("id") for cell in json.loads(book.raw)["cells"]]  # nbformat mends what it reads
    if twice := {name for name in ids if ids.count(name) > 1}:
        yield f"cell ids are used twice: {', '.join(map(str, sorted(twice, key=str)))}"


def size(book: Book) -> Iterator[str]:
    if len(book.raw.encode()) > MOST_BYTES:
        yield f"{len(book.raw.encode()):,} bytes, {MOST_BYTES:,} are allowed: fewer or smaller pictures"


def executed(book: Book) -> Iterator[str]:
    counts = [cell.execution_count for _, cell in book.code]
    if counts != list(range(1, len(counts) + 1)):
        yield "not executed from top to bottom: nbval would not compare all of it; tests/refresh.py"


def outputs(book: Book) -> Iterator[str]:
    for place, cell in book.code:
        for output in cell.outputs:
            data = output.get("data", {})
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                yield f"cell {place} stores an error ({output.ename})"
            if output.output_type == "stream" and output.name == "stderr":
                yield f"cell {place} writes to stderr: {output.text.strip()[:60]!r}"
            if WIDGET in data:
                yield f"cell {place} stores the view of a widget that is no more: tests/refresh.py"
            if "image/svg+xml" in data or "image/jpeg" in data:
                yield f"cell {place} stores a picture that is not a PNG: nbval compares it badly"


def shown(book: Book) -> Iterator[str]:
    """A cell that prints or shows has stored what it prints."""
    for place, cell in book.code:
        calls = (s.value.func for s in statements(cell) if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call))
        names = {ast.unparse(function).split(".")[-1] for function in calls}
        if not cell.outputs and names & {"print", "show", "display"}:
            yield f"cell {place} prints but has no stored output: tests/refresh.py"


def compared(book: Book) -> Iterator[str]:
    cells = [cell for _, cell in book.code if cell.outputs]
    strict = [cell for cell in cells if "nbval-ignore-output" not in tags(cell)]
    if len(strict) < LEAST_COMPARED * len(cells):
        yield f"only {len(strict)} of {len(cells)} outputs are compared by nbval, {LEAST_COMPARED:.0%} are wanted"


def pictures(book: Book) -> Iterator[str]:
    for place, cell in enumerate(book.cells, 1):
        for output in cell.get("outputs", ()):
            data, about = output.get("data", {}), output.get("metadata", {})
            text = data.get("text/plain", "")
            words = text if not text.startswith("<") else about.get("image/png", {}).get("alt", "")
            if "image/png" in data and len(words.split()) < 3:
                yield f"cell {place} shows a picture without alt text: plots.show(figure, alt=...)"
        if cell.cell_type == "markdown" and re.search(r"!\[\s*\]\(|<img(?![^>]*\balt=)", cell.source):
            yield f"cell {place} shows a picture without alt text"


def machine(book: Book) -> Iterator[str]:
    for place, cell in enumerate(book.cells, 1):
        if found := next(filter(None, map(MACHINE.search, texts(cell))), None):
            yield f"cell {place} holds a path or an address of somebody's machine: {found.group()!r}"


# ------------------------------------------------------------------------------------------------------ code cells


def known_tags(book: Book) -> Iterator[str]:
    for place, cell in enumerate(book.cells, 1):
        if unknown := tags(cell) - TAGS:
            yield f"cell {place} has the tag {', '.join(sorted(unknown))}; known are {', '.join(sorted(TAGS))}"


def no_nbval_comments(book: Book) -> Iterator[str]:
    for place, cell in book.code:
        if re.search(r"#\s*(PYTEST_VALIDATE|NBVAL)_", cell.source):
            yield f"cell {place} speaks to nbval in a comment, which is ignored when misspelt: use a cell tag"


def semicolons(book: Book) -> Iterator[str]:
    for place, cell in book.code:
        if cell.source.rstrip().endswith(";"):
            yield f"cell {place} ends in ';', which hides nothing from nbval: assign to _ instead"


def length(book: Book) -> Iterator[str]:
    for place, cell in book.code[1:]:  # the first one imports
        if (lines := len(cell.source.strip().splitlines())) > MOST_LINES:
            yield f"cell {place} has {lines} lines of code, {MOST_LINES} are allowed: two cells, or the package"


def imports(book: Book) -> Iterator[str]:
    for place, cell in book.code[1:]:
        nodes = (node for statement in statements(cell) for node in ast.walk(statement))
        if any(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes):
            yield f"cell {place} imports: imports stand in the first code cell"


def asserted(book: Book) -> Iterator[str]:
    """What cannot be compared as text is followed by a claim that is asserted."""
    cells = book.code
    for index, (place, cell) in enumerate(cells):
        if "nbval-ignore-output" in tags(cell):
            following = (c for _, c in cells[index + 1 :] if "nbval-ignore-output" not in tags(c))
            after = next(following, None)
            if after is None or not any(isinstance(s, ast.Assert) for n in statements(after) for s in ast.walk(n)):
                yield f"cell {place} is not compared (nbval-ignore-output); the next cell that is must assert its claim"


# --------------------------------------------------------------------------------------------- exercises and sections


def exercises(book: Book) -> Iterator[str]:
    """Rating line and task; stub and check in one cell; hints; folded solution."""
    starts = [i for i, c in enumerate(book.cells) if c.cell_type == "markdown" and EXERCISE.search(c.source)]
    for wrong in (c for c in book.cells if c.cell_type == "markdown" and "**Exercise " in c.source):
        if len(EXERCISE.findall(wrong.source)) != wrong.source.count("**Exercise "):
            yield f"{wrong.source.strip().splitlines()[0]!r} is not '**Exercise NN.k · ●●○○○ · 10 min** - title'"
    numbers = [EXERCISE.search(book.cells[i].source).group(1, 2) for i in starts]
    if numbers != [(book.number, str(k)) for k in range(1, len(starts) + 1)]:
        yield f"exercises are numbered {', '.join(map('.'.join, numbers))}, not {book.number}.1, {book.number}.2, ..."
    if not 4 <= len(starts) <= 6:
        yield f"{len(starts)} exercises; 4 to 6 are wanted"
    solved = set()
    for start, (number, k), end in zip(starts, numbers, [*starts[1:], len(book.cells)], strict=True):
        cells = list(enumerate(book.cells[start:end], start + 1))
        code = [(place, cell) for place, cell in cells if cell.cell_type == "code"][:2]
        check, name = f"check_{number}_{k}(", f"exercise {number}.{k}"
        if len(code) < 2 or ["solution" in tags(cell) for _, cell in code] != [False, True]:
            yield f"{name}: a stub cell and then a cell tagged 'solution' must follow"
            continue
        (first, stub), (last, solution) = code
        solved.add(last)
        if check not in stub.source:
            yield f"{name}: the stub (cell {first}) must call {check}...)"
        if not any("not yet" in output.get("text", "") for output in stub.outputs):
            yield f"{name}: the untouched stub (cell {first}) must print 'not yet'"
        hints = "\n".join(c.source for place, c in cells if first < place < last and c.cell_type == "markdown")
        if hints.count("<details>") < 2 or not all(f"Hint {n}" in hints for n in (1, 2)):
            yield f"{name}: two folded hints (<details><summary>Hint 1</summary> ...) must stand before the solution"
        if not solution.source.startswith(FOLD + "\n") or not solution.metadata.get("jupyter", {}).get("source_hidden"):
            yield f"{name}: the solution (cell {last}) must be folded (source_hidden) and begin with {FOLD!r}"
        if check not in solution.source or "assert" not in solution.source:
            yield f"{name}: the solution (cell {last}) must assert that {check}...) passes"
    for place, cell in book.code:
        if "solution" in tags(cell) and place not in solved:
            yield f"cell {place} is tagged 'solution' but belongs to no exercise"


def sections(book: Book) -> Iterator[str]:
    """What the course map asks of every notebook."""
    prose = book.prose
    if not prose.startswith(f"# {book.number} · "):
        yield f"the title must begin with '# {book.number} · '"
    for heading in HEADINGS:
        if not re.search(rf"^(#+ |\*\*){heading}", prose, re.M):
            yield f"the section {heading!r} is missing"
    for words, pattern in {
        "minutes in class": r"[Mm]inutes in class",
        "CPU minutes": r"CPU minutes",
        "a question to predict, in bold": r"\*\*[^*\n]*[Pp]redict",
        "a glossary with Chinese terms": r"(#+ |\*\*)Glossary(.|\n)*[\u4e00-\u9fff]",
    }.items():
        if not re.search(pattern, prose):
            yield f"{words}: not found"
    if not any(re.search(r"\bcourse_utils\.widgets\b|\bimport widgets\b|\bwidgets\b", c.source) for _, c in book.code):
        yield "no widget of course_utils.widgets is used"
    measured = [i for i, c in enumerate(book.cells) if re.search(r"^#+ What we measured", c.source, re.M)]
    if measured and not any("assert" in c.source for c in book.cells[measured[0] :] if c.cell_type == "code"):
        yield "'What we measured' asserts nothing"


CHECKS: tuple[Callable[[Book], Iterator[str]], ...] = (
    metadata, identities, size, executed, outputs, shown, compared, pictures, machine, known_tags, no_nbval_comments,
    semicolons, length, imports, asserted, exercises, sections,
)  # fmt: skip
