"""What conftest.py adds to nbval, proven on tiny notebooks that are refreshed, then spoilt, then run by nbval."""

import base64
import io
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from limits import finished
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image, PngImagePlugin
from refresh import execute, tidy

import conftest

ROOT = Path(__file__).resolve().parent.parent

PICTURE = """
import base64, io
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
figure = Figure(figsize=(4, 3)); FigureCanvasAgg(figure)
figure.add_subplot().imshow([[i * j % 7 for i in range(32)] for j in range(32)])
out = io.BytesIO(); figure.canvas.print_png(out)
data = {"image/png": base64.b64encode(out.getvalue()).decode(), "text/plain": "[figure] a pattern"}
display(data, metadata={"image/png": {"alt": "a pattern"}}, raw=True)
"""
EXPLORER = """
import ipywidgets as w
class Explorer(w.VBox):
    def __init__(self):
        self.slider, self.picture, self.note = w.IntSlider(1), w.Image(value=out.getvalue()), w.HTML("<b>1</b>")
        super().__init__([self.slider, self.note, self.picture])
    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, **data, "text/plain": f"[n={self.slider.value}] a pattern"}
Explorer()
"""
CAUGHT = """
import ipywidgets as w
caught = w.Output()
with caught:
    print("inside")
print("outside")
w.interact(lambda n: print("n is", n), n=(0, 3))
caught
"""
PREDICT = """
from course_utils.teaching.predict import predict
predict("Which is larger?", ["$a$", "$b$"], answer="$a$", because="It is larger.")
"""


def code(source: str, *tags: str) -> nbformat.NotebookNode:
    return new_code_cell(source.strip(), metadata={"tags": list(tags)} if tags else {})


IGNORED = "nbval-ignore-output"
GOOD = {
    "picture": [code(PICTURE)],
    "explorer": [code(PICTURE), code(EXPLORER)],
    "output_widget": [code(CAUGHT)],
    "ignored": [code("import random\nprint(random.random())", IGNORED), code("print(1)")],
    "predict": [code(PREDICT)],
    "text": [code("print('one line')\n1 + 1")],
}


def changed(cells: list, number: int, edit) -> list:
    """`cells` with `edit` applied to the outputs of one of them."""
    notebook = nbformat.from_dict(new_notebook(cells=[nbformat.from_dict(cell) for cell in cells]))
    edit(notebook.cells[number].outputs)
    return notebook.cells


def repaint(outputs: list, pixels: int, software: str | None = None) -> None:
    """Paint a square of the stored picture red, as another run might; perhaps as another matplotlib."""
    old = Image.open(io.BytesIO(base64.b64decode(outputs[0].data["image/png"])))
    values = np.asarray(old.convert("RGBA")).copy()
    values[10 : 10 + pixels, 10 : 10 + pixels] = (255, 0, 0, 255)
    info, out = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text("Software", software or old.info["Software"])
    Image.fromarray(values).save(out, "png", pnginfo=info)
    outputs[0].data["image/png"] = base64.b64encode(out.getvalue()).decode()


def say(outputs: list, old: str, new: str) -> None:
    outputs[0].text = outputs[0].text.replace(old, new)


def reason(outputs: list, old: str, new: str) -> None:
    outputs[0].data["text/markdown"] = outputs[0].data["text/markdown"].replace(old, new)


SPOILT = {  # what is done to a good cell: (whose, how, what the report then says; None: it must pass all the same)
    "picture_encoded_anew": ("picture", lambda o: repaint(o, 0), None),
    "picture_of_another_matplotlib": ("picture", lambda o: repaint(o, 60, "Matplotlib version1.0, x"), None),
    "picture_6x6_pixels": ("picture", lambda o: repaint(o, 6), "0.030% of the pixels differ"),
    "picture_missing": ("picture", lambda o: o[0].data.pop("image/png"), "0 stored pictures, 1 now"),
    "picture_alt": ("picture", lambda o: o[0].metadata["image/png"].update(alt="another pattern"),
                    "alt text 'another pattern' became 'a pattern'"),
    "text_changed": ("text", lambda o: say(o, "one", "two"), "two line"),
    "predict_reason": ("predict", lambda o: reason(o, "larger.", "smaller."), "It is smaller."),
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(failed items of each notebook, report) of one nbval for all: a notebook of the good cells, one of the spoilt
    ones (a kernel for each of them would cost a second), and those that fail as a whole."""
    folder = tmp_path_factory.mktemp("nbval")
    done = iter(tidy(execute(new_notebook(cells=sum(GOOD.values(), [])), folder)).cells)
    good = {name: [next(done) for _ in GOOD[name]] for name in GOOD}
    spoilt = [changed(good[whose], 0, how)[0] for whose, how, _ in SPOILT.values()] + [code("1 / 0", IGNORED)]
    spoilt += changed(good["text"], 0, lambda o: None)
    for number, cell in enumerate(spoilt):
        cell.id = f"spoilt-{number}"
    for name, cells in {
        "good": sum(good.values(), []),
        "spoilt": spoilt,
        "nothing_compared": [new_code_cell("sum(range(10**6))", execution_count=None)],
        "only_ignored": good["ignored"][:1],
    }.items():
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    return nbval(folder, "-o", "notebook_floor=0.1")


def nbval(folder: Path, *options: str) -> tuple[dict[str, list[str]], str]:
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-c", str(ROOT / "pyproject.toml"), "--rootdir",
               str(folder), "-p", "no:cacheprovider", "--color=no", "-rfE", *options, str(folder)]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    report = finished(command, "nbval", seconds=600, cwd=folder, env=env).stdout
    failed = re.findall(r"^(?:FAILED|ERROR) (\w+)\.ipynb::(\S.*?)(?: - .*)?$", report, re.M)
    names = [path.stem for path in folder.glob("*.ipynb")]
    return {name: [item for book, item in failed if book == name] for name in names}, report


def test_good_notebooks_pass(run):
    failed, report = run
    assert not failed["good"], report


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_cell_fails_and_equal_pixels_and_other_fonts_pass(run, name):
    failed, report = run
    why = SPOILT[name][2]
    assert (f"Cell {list(SPOILT).index(name)}" in failed["spoilt"]) == (why is not None), report
    assert why is None or why in report


def test_an_error_in_an_ignored_cell_fails_and_what_comes_after_it_is_compared(run):
    failed, report = run
    assert failed["spoilt"][-1] == f"Cell {len(SPOILT)}" and "ZeroDivisionError" in report, report


@pytest.mark.parametrize("name", ["nothing_compared", "only_ignored"])
def test_a_notebook_that_proves_nothing_fails(run, name):
    failed, report = run
    assert failed[name] == ["cost"] and report.count("this notebook proves nothing") >= 2, report


def test_the_cost_of_each_notebook_is_reported(run):
    assert re.search(r"^good +\d+\.\d +ok +7/8$", run[1], re.M), run[1]
    assert re.search(r"^only_ignored +\d+\.\d +ok +0/1$", run[1], re.M), run[1]


def test_what_takes_long_comes_first():
    files = [f"tests/{conftest.ALONE[0]}::x", "notebooks/06.ipynb", "tests/test_widgets.py", "tests/test_order.py"]
    assert [conftest.cost(file) for file in files] == [3, 2, 1, 0]
    assert all((ROOT / "tests" / name).exists() for name in conftest.ALONE + conftest.SLOW)


def test_idle_time_is_said():
    def ran(process: str, start: float, stop: float) -> SimpleNamespace:
        node = SimpleNamespace(gateway=SimpleNamespace(id=process))
        return SimpleNamespace(node=node, start=start, stop=stop, duration=stop - start)

    reports = [ran("gw1", 101, 103), ran("gw0", 100, 104), ran("gw0", 104, 110)]
    assert conftest.idle(reports) == "10 s of tests; idle: gw0 0 s, gw1 8 s" and conftest.idle([object()]) == ""


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["-o", "notebook_budget=0.05"], "CPU seconds; the budget is 0, twice of it the limit"),
        (["-o", "notebook_floor=50"], "less than 50: this notebook computes nothing"),
    ],
)
def test_too_much_and_too_little_fail(tmp_path, options, why):
    cell = new_code_cell("print('one line')", execution_count=1, outputs=[new_output("stream", text="one line\n")])
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    failed, report = nbval(tmp_path, *options)
    assert failed["a"] == ["cost"] and why in report, report
