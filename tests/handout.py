"""Write the student edition: `python3 start.py handout [FOLDER]`, by default handout/ beside start.py.

A folder that stands on its own and can be zipped: the notebooks without solutions and outputs, course_utils, data,
start.py and what it installs from. What students or you made in it (my_notebooks/, .venv/) stays when it is written
again. A folder that is not a handout is never touched.
"""

import argparse
import copy
import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError
from nbconvert.preprocessors import ClearOutputPreprocessor, TagRemovePreprocessor
from refresh import execute, tidy

ROOT = Path(__file__).resolve().parent.parent
MARK = ".attention-course-handout"  # says that the folder is ours
FOLDERS = ("course_utils", "data")
FILES = ("start.py", "requirements.lock", "pyproject.toml", "environment.yml", "LICENSE")
README = """# The attention course, student edition

You need Python 3.11, 3.12, 3.13 or 3.14 (64-bit) on Linux, macOS 14 or later (Apple silicon) or Windows (there write
`py` instead of `python3`).

    python3 start.py

sets everything up in this folder (once: a minute, about 2.5 GB, and the network; from your instructor's stick:
`python3 start.py --find-links FOLDER`) and opens JupyterLab on `my_notebooks/`, your own copy of `notebooks/`. It is
never overwritten. To begin a notebook afresh, rename or delete your copy of it and start again.

If something does not work, send the output of

    python3 start.py check

## The notebooks

{notebooks}

Licence: code MIT, text and figures CC BY 4.0, data CC0 but for three files of others (see LICENSE).
"""


def student_edition(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without solutions, outputs and execution counts."""
    notebook, _ = TagRemovePreprocessor(remove_cell_tags={"solution"}, enabled=True)(copy.deepcopy(notebook), {})
    notebook, _ = ClearOutputPreprocessor(enabled=True)(notebook, {})
    return tidy(notebook)


def title(notebook: nbformat.NotebookNode) -> str:
    """Its first heading, without number: "06 · Can one vector carry a sentence?" gives the question."""
    headings = (cell.source.splitlines()[0] for cell in notebook.cells if cell.source.startswith("# "))
    return next(headings, "").lstrip("# ").rpartition("·")[2].strip()


def write(target: Path, root: Path = ROOT) -> list[Path]:
    """Write the student edition of the course in `root` to `target`; the paths of its notebooks."""
    if target.exists() and any(target.iterdir()) and not (target / MARK).exists():
        sys.exit(f"{target} exists and is not a handout: nothing was written. Name another folder or remove it.")
    target.mkdir(parents=True, exist_ok=True)
    (target / MARK).write_text("Written by `python3 start.py handout`, which may replace all but what students made.\n")
    for name in ("notebooks", *FOLDERS):
        shutil.rmtree(target / name, ignore_errors=True)
    (target / "notebooks").mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", ".checkpoints", ".DS_Store")
    for name in FOLDERS:
        shutil.copytree(root / name, target / name, ignore=unwanted)
    for name in FILES:
        shutil.copy(root / name, target / name)
    lines, written = [], []
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = student_edition(nbformat.read(path, as_version=4))
        nbformat.write(notebook, target / "notebooks" / path.name)
        lines.append(f"- `{path.name}`: {title(notebook)}")
        written.append(target / "notebooks" / path.name)
    (target / "README.md").write_text(README.format(notebooks="\n".join(lines)), encoding="utf-8")
    return written


def run(path: Path) -> str | None:
    """Execute one notebook of the handout with the handout's own course_utils; None, or what went wrong."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("import course_utils\nprint(course_utils.__file__)"))
    try:
        done = execute(notebook, path.parent, PYTHONPATH=str(path.parents[1]))
    except CellExecutionError as error:
        return str(error)
    if not (where := done.cells[-1].outputs[0].text).startswith(str(path.parents[1])):
        return f"the handout used another course_utils: {where}"
    said = ((cell.source, "".join(o.get("text", "") for o in cell.outputs)) for cell in done.cells if "outputs" in cell)
    return next(filter(None, (silent_stub(source, text) for source, text in said)), None)


def silent_stub(source: str, said: str) -> str | None:
    """What is wrong if this cell hands an untouched stub to its check and prints `said`; None if nothing is."""
    if re.search(r"\bcheck_\d\d_\d+\(", source) and "not yet" not in said:
        return f"an untouched exercise does not say 'not yet':\n{source}"
    return None


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="start.py handout", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "handout")
    given = parser.parse_args(arguments)
    written = write(given.folder.resolve())
    print(f"The student edition of {len(written)} notebooks is in {given.folder}: zip that folder.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
