"""What every notebook of the course keeps to, as functions from a notebook to the sentences that say what is wrong.

design.md and notebook-style.md say why; test_notebook_hygiene.py applies all of CHECKS to every notebook and shows each
of them red on a notebook spoilt on purpose.
"""

import ast
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from refresh import METADATA, WIDGET

MOST_BYTES, MOST_LINES, LEAST_COMPARED = 1_000_000, 15, 0.7
TAGS = {"nbval-ignore-output", "raises-exception", "solution", "hide-input", "hide-cell"}
FOLD = "# Solution (click the dots)"
GUARD = """\
# What this notebook uses (click the dots)
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    raise ModuleNotFoundError(
        "This notebook needs the rest of the course: download or clone its repository, run `pip install --editable .` "
        "in that folder and restart the kernel (in class, or without network: start the course by `python3 start.py`)."
    )
"""  # the first lines of every notebook, for Colab, Kaggle and whoever was sent the file alone
EXERCISE = re.compile(r"^\*\*Exercise (\d\d)\.(\d+) · ●*○* · (\d+) min(?: · (in class|at home))?\*\*", re.M)
TITLE = re.compile(r"^\*\*In class: (\d+) min\*\* · at home: (\d+) min · computing: about \d+ s$", re.M)
CORE = re.compile(r"## (\d+) · \S.* · (\d+) min")
MOST_MINUTES, WORDS_A_MINUTE, LINES_A_MINUTE = 60, 150, 10
OLD = {  # first editions: not yet cut into core and at home. A second edition leaves this set, and it must run empty
    "01_word_embeddings", "02_recurrent_networks", "03_lstm", "04_training_recurrent_networks", "05_normalization",
    "06_seq2seq_fixed_context", "14_multi_head_attention",
    "15_positional_encoding", "16_transformer", "17_training_transformers", "20_sparse_attention",
    "21_learned_sparsity", "22_low_rank_and_kernels", "23_long_memory", "24_the_race",
}  # fmt: skip
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


def to_read(cell: nbformat.NotebookNode) -> list[str]:
    """The lines of a code cell, without its imports."""
    skipped = [s for s in statements(cell) if isinstance(s, ast.Import | ast.ImportFrom)]
    numbers = {n for s in skipped for n in range(s.lineno, s.end_lineno + 1)}
    return [line for n, line in enumerate(cell.source.rstrip().splitlines(), 1) if n not in numbers]


def folded(cell: nbformat.NotebookNode) -> bool:
    """Whether JupyterLab and Jupyter Book show no more of a code cell than dots, until they are clicked."""
    return "hide-input" in tags(cell) and bool(cell.metadata.get("jupyter", {}).get("source_hidden"))


def calls(cell: nbformat.NotebookNode) -> set[str]:
    """What a code cell calls, as it is written there: {"claim", "model.step"}."""
    nodes = (node for statement in statements(cell) for node in ast.walk(statement))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


def asserts(cell: nbformat.NotebookNode) -> bool:
    """Whether a code cell fails by itself when a claim is no longer true."""
    nodes = (node for statement in statements(cell) for node in ast.walk(statement))
    return "claim" in calls(cell) or any(isinstance(node, ast.Assert) for node in nodes)


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
        done = [s.value.func for s in statements(cell) if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
        names = {ast.unparse(function).split(".")[-1] for function in done}
        if not cell.outputs and names & {"print", "show", "display", "show_source", "predict", "claim"}:
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
    for place, cell in book.code:
        if (lines := len(to_read(cell))) > MOST_LINES:
            yield f"cell {place} has {lines} lines of code, {MOST_LINES} are allowed: two cells, or the package"


def imports(book: Book) -> Iterator[str]:
    for place, cell in book.code[1:]:
        nodes = (node for statement in statements(cell) for node in ast.walk(statement))
        if any(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes):
            yield f"cell {place} imports: imports stand in the first code cell"


def guarded(book: Book) -> Iterator[str]:
    """Where the package is missing, the first code cell says in one sentence what to run; others need not see it."""
    place, first = book.code[0]
    if not first.source.startswith(GUARD):
        yield f"cell {place} must begin with the lines of hygiene.GUARD: the sentence for whoever lacks the package"
    if not folded(first):
        yield f"cell {place} must be folded (source_hidden, tag hide-input): it holds nothing but what is used"


def asserted(book: Book) -> Iterator[str]:
    """What cannot be compared as text is followed by a claim that is asserted: in the cell itself, or at the latest in
    the next cell that is compared."""
    cells = book.code
    for index, (place, cell) in enumerate(cells):
        if "nbval-ignore-output" in tags(cell):
            strict = (n for n, (_, c) in enumerate(cells) if n > index and "nbval-ignore-output" not in tags(c))
            if not any(asserts(c) for _, c in cells[index : next(strict, len(cells)) + 1]):
                yield f"cell {place} is not compared (nbval-ignore-output); it or the next cell that is must claim()"


# --------------------------------------------------------------------------------------------- exercises and sections


def exercises(book: Book) -> Iterator[str]:
    """Rating line and task; stub and check in one cell; hints; folded solution."""
    starts = [i for i, c in enumerate(book.cells) if c.cell_type == "markdown" and EXERCISE.search(c.source)]
    for wrong in (c for c in book.cells if c.cell_type == "markdown" and "**Exercise " in c.source):
        if len(EXERCISE.findall(wrong.source)) != wrong.source.count("**Exercise "):
            first = wrong.source.strip().splitlines()[0]
            yield f"{first!r} is not '**Exercise NN.k · ●●○○○ · 10 min · in class** - title'"
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
        if not re.search(rf"^(#+ |#+ \d+ · |\*\*){heading}", prose, re.M):
            yield f"the section {heading!r} is missing"
    patterns = {"a glossary with Chinese terms": r"(#+ |\*\*)Glossary(.|\n)*[\u4e00-\u9fff]"}
    if book.name in OLD:
        patterns |= {
            "minutes in class": r"[Mm]inutes in class",
            "CPU minutes": r"CPU minutes",
            "a question to predict, in bold": r"\*\*[^*\n]*[Pp]redict",
        }
    for words, pattern in patterns.items():
        if not re.search(pattern, prose):
            yield f"{words}: not found"
    if not any(re.search(r"\bcourse_utils\.widgets\b|\bimport widgets\b|\bwidgets\b", c.source) for _, c in book.code):
        yield "no widget of course_utils.widgets is used"
    measured = [i for i, c in enumerate(book.cells) if re.search(r"^#+ (\d+ · )?What we measured", c.source, re.M)]
    if measured and not any(asserts(c) for c in book.cells[measured[0] :] if c.cell_type == "code"):
        yield "'What we measured' asserts nothing"


# ------------------------------------------------------------------------------------------- one class, and the kit


@dataclass
class Part:
    """What stands between two headings of the first or second level."""

    heading: str
    words: int = 0  # of text to be read; what is folded is not
    lines: int = 0  # of code to be read: visible cells and the package's code on the page, not the exercises
    exercises: list[re.Match] = field(default_factory=list)  # of EXERCISE

    @property
    def least(self) -> float:
        """Minutes that this part takes in class, at least."""
        return self.words / WORDS_A_MINUTE + self.lines / LINES_A_MINUTE + sum(int(e[3]) for e in self.exercises)


def parts(book: Book) -> list[Part]:
    """The notebook in parts, the first one being the title block. An exercise, from its rating line to its solution,
    counts with its own minutes only."""
    found, working, fenced = [Part("")], False, False
    for cell in book.cells:
        if cell.cell_type == "markdown":
            for line in re.sub(r"<details>.*?</details>", "", cell.source, flags=re.S).splitlines():
                fenced ^= line.startswith("```")
                if re.match("##? ", line) and not fenced and cell is not book.cells[0]:
                    found.append(Part(line.strip()))
                    working = False
                elif exercise := EXERCISE.match(line):
                    found[-1].exercises.append(exercise)
                    working = True
                elif not working:
                    found[-1].words += len(line.split())
        elif working:
            working = "solution" not in tags(cell)
        elif cell.cell_type == "code" and "hide-cell" not in tags(cell):
            seen = [] if "hide-input" in tags(cell) else to_read(cell)
            for output in cell.outputs:
                if output.get("data", {}).get("text/markdown", "").startswith("```"):
                    seen += output.data["text/plain"].splitlines()
            found[-1].lines += sum(bool(line.strip()) for line in seen)
    return found


def class_minutes(book: Book) -> str:
    """The minutes in class that the notebook states, as README.md must have them."""
    said = re.search(r"[Mm]inutes in class\W+(\d+)", book.prose) if book.name in OLD else TITLE.search(book.prose)
    return said[1] if said else "none"


def minutes(book: Book) -> Iterator[str]:
    """A class that fits: a core of at most an hour whose sections say their minutes, and a part for at home."""
    if book.name in OLD:
        return
    found = parts(book)
    headings = [part.heading for part in found]
    if headings.count("# At home") != 1:
        yield "the heading '# At home' must stand once: what is above it is the class, at most an hour"
        return
    core, home = found[1 : headings.index("# At home")], found[headings.index("# At home") :]
    numbers, total = [], 0
    for part in core:
        if not (said := CORE.fullmatch(part.heading)):
            yield f"{part.heading!r} stands in the core and is not '## n · Title · m min'"
            continue
        numbers, total = [*numbers, int(said[1])], total + int(said[2])
        if int(said[2]) + 0.5 < part.least:
            yield (
                f"{part.heading!r} takes {math.ceil(part.least - 0.5)} minutes or more: {part.words} words "
                f"({WORDS_A_MINUTE} a minute), {part.lines} lines of code ({LINES_A_MINUTE} a minute) and "
                f"{sum(int(e[3]) for e in part.exercises)} minutes of exercises"
            )
    if numbers != list(range(1, len(core) + 1)):
        yield f"sections of the core are numbered {', '.join(map(str, numbers))}, not 1, 2, ..."
    if title := TITLE.search(book.cells[0].source):
        if int(title[1]) != total:
            yield f"the title says {title[1]} minutes in class, the sections of the core add up to {total}"
        if int(title[2]) < (least := sum(int(e[3]) for part in home for e in part.exercises)):
            yield f"the title says {title[2]} minutes at home, the exercises there take {least}"
    else:
        yield "the title cell has no line '**In class: 60 min** · at home: 45 min · computing: about 40 s'"
    if total > MOST_MINUTES:
        yield f"the core takes {total} minutes, {MOST_MINUTES} are a class: move a section below '# At home'"
    for where, some in (("in class", [*found[:1], *core]), ("at home", home)):
        for exercise in (e for part in some for e in part.exercises if e[4] != where):
            yield f"exercise {exercise[1]}.{exercise[2]} is done {where}: its rating line must end in '· {where}**'"
    if not 2 <= (n := sum(len(part.exercises) for part in core)) <= 3:
        yield f"{n} exercises in class; 2 or 3 are wanted"


def kit(book: Book) -> Iterator[str]:
    """The code is on the page, predictions are committed to, and a claim is a line with its number."""
    if book.name in OLD:
        return
    used = set().union(*(calls(cell) for _, cell in book.code))
    for name, purpose in {
        "show_source": "the code that the notebook is about must be on the page",
        "predict": "a prediction must be one that the student commits to",
        "claim": "what is claimed must be measured",
    }.items():
        if name not in used:
            yield f"{name}() of course_utils.teaching is not called: {purpose}"
    for place, cell in book.code:
        nodes = (node for statement in statements(cell) for node in ast.walk(statement))
        if not tags(cell) & {"solution", "hide-input", "hide-cell"} and any(isinstance(n, ast.Assert) for n in nodes):
            yield f"cell {place} asserts before the reader's eyes: claim(sentence, measured, condition) says it"
        if "predict" in calls(cell) and (not folded(cell) or "answer=" in cell.source.strip().splitlines()[0]):
            yield (f"cell {place} shows the answer of its prediction: fold it (source_hidden, tag hide-input), with "
                   "answer= below the first line, which stays visible")  # fmt: skip


CHECKS: tuple[Callable[[Book], Iterator[str]], ...] = (
    metadata, identities, size, executed, outputs, shown, compared, pictures, machine, known_tags, no_nbval_comments,
    semicolons, length, imports, guarded, asserted, exercises, sections, minutes, kit,
)  # fmt: skip
