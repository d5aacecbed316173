"""Milliseconds of CPU from a moved control to a new picture: python -m benchmarks.widgets [notebooks/05_*.ipynb ...]

Each notebook is executed (seconds to a minute each), and then every control of every widget that it made is moved, one
after the other, over its whole range: what a student's hand does. The aim: a median of at most 50 ms a widget, no move
above 100. CPU time of the process, since other work on the machine lengthens the wall clock; the browser adds 30 to
40 ms (key press to changed pixels 65 ms where the kernel takes 27).
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ipywidgets as w
import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from course_utils.widgets import Explorer, SentencePicker, Stepper, ToggleGrid

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
MEDIAN, WORST = 50, 100  # ms
MOST = 16  # moves of one control
LIMIT = 1800  # seconds a notebook may take, on a busy machine


def spread(n: int, most: int = MOST) -> list[int]:
    """At most `most` of the indices 0 ... n - 1, evenly, the last one included."""
    return sorted({round(k * (n - 1) / max(min(n, most) - 1, 1)) for k in range(min(n, most))})


def moves(control: w.Widget, words: tuple[str, ...] = ()) -> list[Callable[[], None]]:
    """Setting `control` to one value after the other; for a control of an unknown kind, a TypeError. `words`: what may
    be typed into a field."""

    def put(name: str, value, target: w.Widget = control) -> Callable[[], None]:
        return lambda: setattr(target, name, value)

    if isinstance(control, Stepper):
        return [put("value", k) for k in spread(control.steps)]
    if isinstance(control, SentencePicker):
        return moves(control.list)[:-1]  # the last one says that a sentence may be typed
    if isinstance(control, ToggleGrid):
        buttons = [button for line in control.buttons for button in line]
        return [put("value", not buttons[k].value, buttons[k]) for k in spread(len(buttons))]
    if isinstance(control, w.Text):
        return [put("value", word) for word in getattr(control, "options", ()) or words]
    if isinstance(control, w.Checkbox | w.ToggleButton):
        return [put("value", not control.value), put("value", control.value)]
    if hasattr(control, "options"):
        return [put("index", k) for k in spread(len(control.options))]
    if hasattr(control, "step"):
        steps = round((control.max - control.min) / control.step)
        return [put("value", control.min + k * control.step) for k in spread(steps + 1)]
    raise TypeError(f"the benchmark does not know how to move a {type(control).__name__}: teach it in `moves`.")


def times(explorer: Explorer) -> Iterator[tuple[str, float]]:
    """(control, CPU ms) of every move that led to another picture; everything is put back where it stood."""
    first = explorer.values
    words = tuple(value for name, value in first.items() if isinstance(explorer.controls[name], w.Text))
    for name, control in explorer.controls.items():
        for move in moves(control, words):
            before = explorer.values
            start = time.process_time()
            move()
            spent = 1000 * (time.process_time() - start)
            if explorer.values != before and explorer.error is None:
                yield name, spent
        for other, value in first.items():  # one control may have changed others, so that the order counts
            explorer.controls[other].value = value


def widgets_of(path: Path) -> list[Explorer]:
    """The widgets that the notebook at `path` makes when it is executed here."""
    made: list[Explorer] = []
    begin = Explorer.__init__

    def noted(self, *args, **kwargs) -> None:
        begin(self, *args, **kwargs)
        made.append(self)

    os.chdir(path.parent)
    shell = InteractiveShell.instance()
    Explorer.__init__ = noted
    try:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                with capture_output():
                    result = shell.run_cell(cell.source, store_history=True)
                result.raise_error()
    finally:
        Explorer.__init__ = begin
    return made


def table(path: Path) -> None:
    """Print a line for each widget of one notebook."""
    for explorer in widgets_of(path):
        name = explorer._draw.__qualname__.split(".")[0]  # the function that makes the widget
        found = list(times(explorer))
        spent = [ms for _, ms in found]
        slow, worst = max(found, key=lambda one: one[1])
        median = statistics.median(spent)
        over = "  over" if median > MEDIAN or worst > WORST else ""
        print(f"{path.stem[:2]}   {name:22} {len(spent):5}   {median:6.0f} {worst:6.0f}   {slow}{over}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(NOTEBOOKS.glob("*.ipynb")))
    given = [path.resolve() for path in parser.parse_args().notebooks]
    if len(given) == 1:
        return table(given[0])
    print(f"     {'widget':22} moves   median    max   the slowest control (ms of CPU)", flush=True)
    for path in given:  # a process each, as in Jupyter
        try:
            subprocess.run([sys.executable, "-m", "benchmarks.widgets", str(path)], timeout=LIMIT, check=True,
                           cwd=NOTEBOOKS.parent)  # fmt: skip
        except subprocess.SubprocessError as error:
            print(f"{path.stem[:2]}   not measured: {error}", flush=True)


if __name__ == "__main__":
    main()
