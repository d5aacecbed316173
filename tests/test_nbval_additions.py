"""What conftest.py adds to nbval, proven on tiny notebooks that are refreshed, then spoilt, then run by nbval."""

import base64
import io
import os
import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from limits import finished
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image, PngImagePlugin
from refresh import execute, tidy

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


GOOD = {
    "picture": [code(PICTURE)],
    "explorer": [code(PICTURE), code(EXPLORER)],
    "output_widget": [code(CAUGHT)],
    "ignored": [code("import random\nprint(random.random())", "nbval-ignore-output"), code("print(1)")],
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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Every good notebook and every spoilt one, run by one nbval: {name of the notebook: (failed items, report)}."""
    folder = tmp_path_factory.mktemp("nbval")
    good = {name: tidy(execute(new_notebook(cells=cells), folder)).cells for name, cells in GOOD.items()}
    picture, text = good["picture"], good["text"]
    spoilt = {
        "picture_6x6_pixels": changed(picture, 0, lambda o: repaint(o, 6)),
        "picture_encoded_anew": changed(picture, 0, lambda o: repaint(o, 0)),
        "picture_of_another_matplotlib": changed(picture, 0, lambda o: repaint(o, 60, "Matplotlib version1.0, x")),
        "picture_missing": changed(picture, 0, lambda o: o[0].data.pop("image/png")),
        "picture_alt": changed(picture, 0, lambda o: o[0].metadata["image/png"].update(alt="another pattern")),
        "text_changed": changed(text, 0, lambda o: say(o, "one", "two")),
        "predict_reason": changed(good["predict"], 0, lambda o: reason(o, "larger.", "smaller.")),
        "error_in_ignored": [code("1 / 0", "nbval-ignore-output"), *text],
        "nothing_compared": [new_code_cell("sum(range(10**6))", execution_count=None)],
        "only_ignored": good["ignored"][:1],
    }
    for name, cells in {**good, **spoilt}.items():
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    return nbval(folder, "-o", "notebook_floor=0.1")


def nbval(folder: Path, *options: str) -> dict[str, tuple[list[str], str]]:
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-c", str(ROOT / "pyproject.toml"), "--rootdir",
               str(folder), "-p", "no:cacheprovider", "--color=no", "-rfE", *options, str(folder)]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    report = finished(command, "nbval", seconds=600, cwd=folder, env=env).stdout
    failed = re.findall(r"^(?:FAILED|ERROR) (\w+)\.ipynb::(\S.*?)(?: - .*)?$", report, re.M)
    names = [path.stem for path in folder.glob("*.ipynb")]
    return {name: ([item for book, item in failed if book == name], report) for name in names}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_notebook_passes(run, name):
    failed, report = run[name]
    assert not failed, report


@pytest.mark.parametrize("name", ["picture_encoded_anew", "picture_of_another_matplotlib"])
def test_equal_pixels_and_other_fonts_pass(run, name):
    failed, report = run[name]
    assert not failed, report


@pytest.mark.parametrize(
    ("name", "item", "why"),
    [
        ("picture_6x6_pixels", "Cell 0", "0.030% of the pixels differ"),
        ("picture_missing", "Cell 0", "0 stored pictures, 1 now"),
        ("picture_alt", "Cell 0", "alt text 'another pattern' became 'a pattern'"),
        ("text_changed", "Cell 0", "two line"),
        ("predict_reason", "Cell 0", "It is smaller."),
        ("error_in_ignored", "Cell 0", "ZeroDivisionError"),
        ("nothing_compared", "cost", "this notebook proves nothing"),
        ("only_ignored", "cost", "this notebook proves nothing"),
    ],
)
def test_a_spoilt_notebook_fails(run, name, item, why):
    failed, report = run[name]
    assert failed == [item], report
    assert why in report


def test_the_cost_of_each_notebook_is_reported(run):
    report = run["text"][1]
    assert re.search(r"^text +\d+\.\d +ok +1/1$", report, re.M), report
    assert re.search(r"^ignored +\d+\.\d +ok +1/2$", report, re.M), report


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["-o", "notebook_budget=0.05"], "CPU seconds; the budget is 0, twice of it the limit"),
        (["-o", "notebook_floor=50"], "less than 50: this notebook computes nothing"),
    ],
)
def test_too_much_and_too_little_fail(tmp_path, options, why):
    cells = [code("print('one line')")]
    nbformat.write(tidy(execute(new_notebook(cells=cells), tmp_path)), tmp_path / "a.ipynb")
    failed, report = nbval(tmp_path, *options)["a"]
    assert failed == ["cost"] and why in report, report
