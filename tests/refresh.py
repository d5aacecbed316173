"""Execute notebooks and store their outputs: the only way in which committed outputs are made.

    .venv/bin/python tests/refresh.py notebooks/06_*.ipynb            execute and store
    .venv/bin/python tests/refresh.py --check notebooks/*.ipynb       execute and compare with what is stored

Two refreshes give the same bytes, apart from cells tagged nbval-ignore-output: no times, no widget state, no dead
widget views (their picture and text stay), one metadata for all notebooks. Sources, tags and cell ids stay.
"""

import argparse
import copy
import os
import sys
from pathlib import Path

import nbformat
from kernels import surroundings
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT = ("tags", "jupyter", "jp-MarkdownHeadingCollapsed", "slideshow", "editable")  # metadata of a cell


def execute(notebook: nbformat.NotebookNode, folder: Path, timeout: int = 600, **variables: str):
    """A copy of `notebook`, executed in `folder` by this environment's kernel. CellExecutionError if a cell fails.
    `variables` are added to the kernel's environment."""
    notebook = copy.deepcopy(notebook)
    os.environ.update(surroundings())
    resources = {"metadata": {"path": str(folder)}}
    return NotebookClient(notebook, kernel_name="python3", timeout=timeout, record_timing=False, coalesce_streams=True,
                          resources=resources).execute(env={**os.environ, **variables})  # fmt: skip


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """`notebook` without what differs from run to run or machine to machine, in place."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({name: cell.metadata[name] for name in KEPT if name in cell.metadata})
        for output in cell.get("outputs", ()):
            if len(output.get("data", {})) > 1:  # a picture or a text beside the view of a widget that is no more
                output.data.pop(WIDGET, None)
    nbformat.validate(notebook)
    return notebook


def refreshed(path: Path, timeout: int = 600) -> str:
    """The text of the notebook file at `path` after executing it."""
    return nbformat.writes(tidy(execute(nbformat.read(path, as_version=4), path.parent, timeout))) + "\n"


def comparable(text: str) -> nbformat.NotebookNode:
    """The notebook without the outputs that may differ between two runs."""
    notebook = nbformat.reads(text, as_version=4)
    for cell in notebook.cells:
        if "nbval-ignore-output" in cell.metadata.get("tags", ()):
            cell.outputs = []
    return notebook


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a notebook differs")
    parser.add_argument("--timeout", type=int, default=600, help="seconds a cell may take (default 600)")
    given, wrong = parser.parse_args(arguments), 0
    for path in given.notebooks:
        old = path.read_text(encoding="utf-8")
        try:
            new = refreshed(path, given.timeout)
        except CellExecutionError as error:
            print(f"FAILED     {path}\n{error}")
            wrong += 1
            continue
        if not given.check:
            path.write_text(new, encoding="utf-8", newline="\n")
            print(f"refreshed  {path}")
        elif comparable(new) != comparable(old):
            pairs = zip(comparable(new).cells, comparable(old).cells, strict=True)
            cells = [number for number, (n, o) in enumerate(pairs, 1) if n != o]
            print(f"DIFFERS    {path}: " + (f"cells {cells} (counted from 1, text cells too)" if cells else "metadata"))
            wrong += 1
        else:
            print(f"the same   {path}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
