"""Every notebook keeps to hygiene.CHECKS; every check goes red on a notebook that breaks it; refreshing repeats."""

import json
import re
import subprocess
import sys
from pathlib import Path

import hygiene
import nbformat
import pytest
from hygiene import CHECKS, GUARD, OLD, Book, class_minutes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from refresh import METADATA, WIDGET, comparable, execute, main, refreshed, tidy

ROOT = Path(__file__).resolve().parent.parent
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_notebook(path):
    book = Book.read(path)
    assert not [f"{check.__name__}: {problem}" for check in CHECKS for problem in check(book)]


def test_the_table_of_the_readme_names_every_notebook():
    """25 rows; those without a file, and only those, are marked planned."""
    rows = re.findall(r"^\| (?:\[)?(\d\d_\w+)(.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert [name[:2] for name, _ in rows] == [f"{n:02}" for n in range(1, 26)]
    written = {name: rest.rstrip(" |").split("| ")[-1] for name, rest in rows if "planned" not in rest}
    assert {path.stem: class_minutes(Book.read(path)) for path in BOOKS} == written


def test_only_notebooks_that_are_there_are_first_editions():
    assert {path.stem for path in BOOKS} >= OLD


# --------------------------------------------------------------------------------------------- each check goes red


def text(source):
    return new_markdown_cell(source)


def code(source, *outputs, tags=(), **metadata):
    return new_code_cell(source, outputs=list(outputs), metadata={**({"tags": list(tags)} if tags else {}), **metadata})


def says(words, name="stdout"):
    return new_output("stream", name=name, text=words)


def picture(words, **metadata):
    return new_output("display_data", {"image/png": "aGVsbG8=", "text/plain": words}, metadata=metadata)


def listing(words):
    return new_output("display_data", {"text/markdown": f"```python\n{words}\n```", "text/plain": words})


def exercise(k, where):
    return [
        text(f"**Exercise 99.{k} · ●●○○○ · 10 min · {where}** - add\n\nWrite `add`."),
        code(f"def add(a, b):\n    return ...\ncheck_99_{k}(add)", says(f"99.{k} not yet: replace the ...\n")),
        text(
            "<details><summary>Hint 1</summary>Think.</details>\n\n<details><summary>Hint 2</summary>Use +.</details>"
        ),
        code(
            f"# Solution (click the dots)\ndef add(a, b):\n    return a + b\nassert check_99_{k}(add)",
            says(f"99.{k} passed: well added.\n"), tags=["solution"], jupyter={"source_hidden": True},
        ),  # fmt: skip
    ]


def good() -> nbformat.NotebookNode:
    times = "**In class: 26 min** · at home: 25 min · computing: about 40 s"
    cells = [
        text(f"# 99 · A notebook\n\nWhat is asked?\n\n**Objectives** one\n\n{times}\n\n**Prerequisites** none"),
        text("## 1 · A sum · 22 min\n\nTwo numbers become one."),
        code(f"{GUARD}\nimport torch\nfrom course_utils import plots, widgets\nprint(1)", says("1\n"),
             tags=["hide-input"], jupyter={"source_hidden": True}),
        text("![a sum of two numbers](sum.png)"),
        code("plots.show(figure, alt='A line that rises')", picture("[figure] A line that rises")),
        code("model = train(1)\nprint(model.loss)", says("loss 0.123\n"), tags=["nbval-ignore-output"]),
        code("claim('It has learnt', {'loss': model.loss}, 'loss < 1')", says("Held: It has learnt: loss 0.12 < 1\n")),
        code("widgets.bottleneck()", picture("<Explorer>", **{"image/png": {"alt": "the bottleneck by length"}})),
        *(cell for k in (1, 2) for cell in exercise(k, "in class")),
        text("## 2 · The code · 4 min"),
        code("show_source(Sum)", listing("class Sum:\n    a: int\n    b: int")),
        code("predict('What is 1 + 1?', ['1', '2'],\n        answer='2', because='...')", says("1\n2\n"),
             tags=["hide-input"], jupyter={"source_hidden": True}),
        text("# At home"),
        *(cell for k in (3, 4) for cell in exercise(k, "at home")),
        text("## What we measured"),
        code("claim('One is less', {'one': 1}, 'one < 2')", says("Held: One is less: one 1 < 2\n")),
        text("## Where we differ from the paper\n\n## Glossary\n\nattention | 注意力\n\n## References\n\n## Next"),
    ]
    for number, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
        cell.execution_count = number
    for number, cell in enumerate(cells):
        cell.id = f"c-{number:03}"
    return new_notebook(cells=cells, metadata=METADATA)


def problems(notebook) -> dict[str, list[str]]:
    book = Book("99_a_notebook", json.dumps(notebook), notebook)
    return {check.__name__: found for check in CHECKS if (found := list(check(book)))}


def test_a_good_notebook_has_no_problems():
    assert problems(good()) == {}


def set_source(place, source):
    return lambda cells: cells[place].update(source=source)


def replace(place, old, new):
    def change(cells):
        assert old in cells[place].source
        cells[place].source = cells[place].source.replace(old, new)

    return change


def set_outputs(place, *outputs):
    return lambda cells: cells[place].update(outputs=list(outputs))


def move(cells, place, to):
    cells.insert(to, cells.pop(place))


FAULTS = [  # the check that must speak, what is done to the cells of the good notebook, what it must say
    ("identities", lambda cells: cells[3].update(id="c-001"), "c-001"),
    ("size", set_source(3, "x" * 1_000_000 + "**Predict**"), "1,000,000 are allowed"),
    ("executed", lambda cells: cells[5].update(execution_count=None), "not executed"),
    ("outputs", set_outputs(2, new_output("error", ename="KeyError", evalue="", traceback=[])), "KeyError"),
    ("outputs", set_outputs(2, says("careful", "stderr")), "stderr: 'careful'"),
    ("outputs", set_outputs(2, new_output("display_data", {WIDGET: {}, "text/plain": "Bar(value=1)"})), "no more"),
    ("outputs", set_outputs(2, new_output("display_data", {"image/svg+xml": "<svg/>"})), "not a PNG"),
    ("shown", set_outputs(2), "no stored output"),
    ("shown", set_outputs(4), "no stored output"),
    *(("shown", set_outputs(place), "no stored output") for place in (6, 17, 18)),
    ("compared", lambda cells: [c.metadata.update(tags=["nbval-ignore-output"]) for c in cells[4:12]], "70%"),
    ("pictures", set_outputs(4, picture("<Figure size 640x480 with 1 Axes>")), "plots.show"),
    ("pictures", replace(3, "a sum of two numbers", " "), "alt text"),
    ("pictures", replace(3, "![a sum of two numbers](sum.png)", '<img src="sum.png">'), "alt text"),
    ("machine", set_outputs(2, says("saved in /home/anna/course\n")), "'/home/a'"),
    ("machine", replace(0, "asked?", r"C:\Users\anna"), "Users"),
    ("machine", set_outputs(2, says("<Thing at 0x7f12ab34cd>\n")), "0x7f12ab34cd"),
    ("known_tags", lambda cells: cells[2].metadata.update(tags=["nbval-ignore-outputs"]), "nbval-ignore-outputs"),
    ("known_tags", lambda cells: cells[2].metadata.update(tags=["nbval-skip"]), "nbval-skip"),
    ("no_nbval_comments", replace(2, "print(1)", "print(1)  # NBVAL_IGNORE_OUTPUT - random"), "comment"),
    ("semicolons", replace(2, "print(1)", "print(1);"), "assign to _"),
    ("length", replace(5, "train(1)", "train(1)\n" + "x = 1\n" * 13 + "y = 2"), "16 lines"),
    ("imports", replace(4, "plots.show", "import os\nplots.show"), "first code cell"),
    ("imports", replace(9, "    return ...", "    from math import pi\n    return ..."), "first code cell"),
    ("guarded", replace(2, "pip install", "pip3 install"), "lines of hygiene.GUARD"),
    ("guarded", lambda cells: cells[2].update(source="import torch\n" + cells[2].source), "lines of hygiene.GUARD"),
    ("guarded", lambda cells: cells[2].metadata.pop("jupyter"), "must be folded"),
    ("guarded", lambda cells: cells[2].metadata.pop("tags"), "must be folded"),
    ("asserted", replace(6, "claim(", "print("), "must claim"),
    ("asserted", lambda cells: move(cells, 6, 7), "must claim"),  # an output that is compared comes first
    ("exercises", lambda cells: cells.__delitem__(slice(20, 24)), "3 exercises; 4 to 6"),
    ("exercises", replace(8, "Exercise 99.1", "Exercise 99.7"), "99.7, 99.2"),
    ("exercises", replace(8, "Exercise 99.1", "Exercise 06.1"), "06.1, 99.2"),
    ("exercises", replace(8, " · 10 min", ""), "is not '**Exercise NN.k"),
    ("exercises", replace(8, "in class", "in bed"), "is not '**Exercise NN.k"),
    ("exercises", lambda cells: cells.__delitem__(11), "cell tagged 'solution' must follow"),
    ("exercises", replace(9, "check_99_1(add)", "check_99_2(add)"), "must call check_99_1("),
    ("exercises", set_outputs(9, says("99.1 passed\n")), "'not yet'"),
    ("exercises", replace(10, "Hint 2", "Hint"), "two folded hints"),
    ("exercises", replace(10, "<details>", ""), "two folded hints"),
    ("exercises", lambda cells: cells[11].metadata.pop("jupyter"), "must be folded"),
    ("exercises", replace(11, "# Solution (click the dots)", "# The solution"), "must be folded"),
    ("exercises", replace(11, "assert ", ""), "must assert that check_99_1("),
    ("exercises", lambda cells: cells[2].metadata.update(tags=["solution"]), "belongs to no exercise"),
    ("sections", replace(0, "# 99 · ", "# 98 · "), "title"),
    ("sections", replace(0, "Objectives", "Aims"), "'Objectives' is missing"),
    ("sections", replace(0, "Prerequisites", "Before"), "'Prerequisites' is missing"),
    ("sections", replace(-1, "Where we differ", "Where it differs"), "'Where we differ from the paper' is missing"),
    ("sections", replace(-1, "注意力", "-"), "Chinese"),
    ("sections", replace(-1, "## References", "## Books"), "'References' is missing"),
    ("sections", replace(-1, "## Next", "## Later"), "'Next' is missing"),
    ("sections", replace(-2, "claim(", "print("), "asserts nothing"),
    ("sections", replace(-3, "What we measured", "Numbers"), "'What we measured' is missing"),
    ("minutes", replace(0, "**In class: 26 min**", "In class: 26 min"), "has no line '**In class"),
    ("minutes", replace(0, "computing: about 40 s", "computing: 40 s"), "has no line '**In class"),
    ("minutes", replace(0, "In class: 26", "In class: 27"), "27 minutes in class, the sections of the core add up to"),
    ("minutes", replace(0, "at home: 25", "at home: 15"), "says 15 minutes at home, the exercises there take 20"),
    ("minutes", replace(1, "22 min", "61 min"), "takes 65 minutes, 60 are a class"),
    ("minutes", replace(1, "22 min", "19 min"), "takes 21 minutes or more"),
    ("minutes", replace(1, "Two numbers", "word " * 300), "takes 23 minutes or more: 307 words"),
    ("minutes", lambda cells: cells.insert(16, text("word " * 300)), "takes 23 minutes or more"),  # after an exercise
    ("minutes", replace(17, "Sum", "(\n" + "1,\n" * 61 + ")"), "takes 7 minutes or more: 0 words (150 a minute), 66"),
    ("minutes", set_outputs(17, listing("class Sum:\n" + "    a: int\n" * 50)), "takes 5 minutes or more"),
    ("minutes", replace(1, " · 22 min", ""), "is not '## n · Title · m min'"),
    ("minutes", replace(16, "## 2 · The code · 4 min", "## The code"), "is not '## n · Title · m min'"),
    ("minutes", replace(16, "## 2", "## 3"), "numbered 1, 3"),
    ("minutes", replace(19, "# At home", "## At home"), "'# At home' must stand once"),
    ("minutes", replace(8, "in class", "at home"), "99.1 is done in class"),
    ("minutes", replace(20, "at home", "in class"), "99.3 is done at home"),
    ("minutes", replace(20, " · at home", ""), "99.3 is done at home"),
    ("minutes", lambda cells: move(cells, 19, 11), "1 exercises in class"),
    ("minutes", lambda cells: move(cells, 19, 27), "4 exercises in class"),
    ("kit", replace(17, "show_source(", "show("), "show_source() of course_utils.teaching is not called"),
    ("kit", replace(18, "\n  ", " "), "cell 19 shows the answer of its prediction"),
    ("kit", lambda cells: cells[18].metadata.pop("jupyter"), "cell 19 shows the answer of its prediction"),
    ("kit", lambda cells: cells[18].metadata.pop("tags"), "cell 19 shows the answer of its prediction"),
    ("kit", replace(18, "predict(", "model.predict("), "predict() of course_utils.teaching is not called"),
    ("kit", lambda cells: [replace(n, "claim(", "show(")(cells) for n in (6, -2)], "claim() of course_utils.teaching"),
    ("kit", replace(4, "plots", "assert 1 < 2\nplots"), "cell 5 asserts before the reader's eyes"),
]


@pytest.mark.parametrize(("check", "spoil", "words"), FAULTS)
def test_each_fault_is_seen(check, spoil, words):
    notebook = good()
    spoil(notebook.cells)
    assert any(words in problem for problem in problems(notebook).get(check, [])), problems(notebook)


def test_what_a_claim_a_fold_or_an_exercise_holds_is_allowed():
    """A claim in the very cell that is not compared; an assert, any number of lines and words where they are not
    read in class."""
    notebook = good()
    cells = notebook.cells
    cells[5].source += "\nclaim('It has learnt', {'loss': model.loss}, 'loss < 1')"
    cells[6].source = "x = [\n" + "1,\n" * 12 + "]\nassert x"
    cells[6].metadata.update(tags=["hide-input"])
    cells[8].source += "word " * 900  # an exercise states its own minutes
    cells[9].source += "\nx = 1" * 10
    cells[2].source += f"\nfrom math import (\n{'    pi,' * 30}\n)\n" + "import torch\n" * 40
    cells[16].source += f"\n\n<details><summary>More</summary>{'word ' * 900}</details>\n\n"
    cells[17].outputs[0].data["text/markdown"] = f"<details><summary>The code</summary>{'x = 1' * 100}</details>"
    cells[17].outputs[0].data["text/plain"] = "x = 1\n" * 100
    assert problems(notebook) == {}


def test_a_first_edition_keeps_to_what_it_was_written_for(monkeypatch):
    monkeypatch.setattr(hygiene, "OLD", {"99_a_notebook"})
    notebook = good()
    cells = notebook.cells
    del cells[16:20]
    for cell in cells:
        cell.source = cell.source.replace(" · in class", "").replace(" · at home", "").replace("claim(", "assert (")
    for number, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
        cell.execution_count = number
    wanted = {"minutes in class": "Minutes in class: 75", "CPU minutes": "CPU minutes: 1", "a question": "**Predict**"}
    for words, line in wanted.items():
        assert any(words in problem for problem in problems(notebook)["sections"])
        cells[3].source += f"\n\n{line}"
    assert problems(notebook) == {}


@pytest.mark.parametrize("path", BOOKS[:1], ids=lambda path: path.stem)
def test_where_the_package_is_missing_the_first_cell_says_what_to_run(path, tmp_path):
    """In a Python that has the standard library alone, as a Colab has no course_utils. GUARD is the same everywhere."""
    (_, first), *_ = Book.read(path).code
    command = [sys.executable, "-I", "-S", "-c", first.source]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    kind, _, sentence = done.stderr.splitlines()[-1].partition(": ")
    assert done.returncode == 1 and kind == "ModuleNotFoundError"
    assert sentence.startswith("This notebook needs the rest of the course")
    assert "clone its repository" in sentence and "pip install --editable ." in sentence and "start.py" in sentence
    assert "No module named" not in done.stderr


def test_foreign_metadata_is_seen():
    for change in ({"widgets": {}}, {"kernelspec": {"name": "base"}}, {"language_info": {"version": "3.11.7"}}):
        notebook = good()
        notebook.metadata.update(change)
        assert "metadata" in problems(notebook)
    notebook = good()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = cell.source.replace("widgets", "w")
    assert "no widget" in problems(notebook)["sections"][0]


def test_every_check_has_a_fault():
    assert {check.__name__ for check in CHECKS} == {check for check, _, _ in FAULTS} | {"metadata"}


# -------------------------------------------------------------------------------------------------------- refreshing


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A short notebook with a figure, a widget, random numbers, a stream in bursts and a cell that always differs."""
    cells = [
        new_code_cell("import os, sys, time, torch\nimport ipywidgets as w\nfrom course_utils import plots, seeds"),
        new_code_cell("seeds.seed_everything(0)\nfor n in range(3):\n    print(n, torch.randn(2), flush=True)"),
        new_code_cell("figure = plots.new_figure(4, 3)\n_ = figure.add_subplot().plot(torch.randn(9).cumsum(0))\n"
                      "plots.show(figure, alt='A random walk of nine steps')"),
        new_code_cell("w.IntSlider(3)"),
        new_code_cell("print(time.time())", metadata={"tags": ["nbval-ignore-output"],
                                                      "execution": {"shell.execute_reply": "then"}}),
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("short") / "short.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"widgets": {}}), path)
    path.write_text(refreshed(path), encoding="utf-8", newline="\n")
    return path


def test_refreshing_twice_gives_the_same_file(short):
    first, second = short.read_text(encoding="utf-8"), refreshed(short)
    ignored = re.compile(r'"\d{10}\.\d+\\n"')
    assert first != second and ignored.sub("", first) == ignored.sub("", second)
    assert comparable(first) == comparable(second)


def test_refreshed_notebooks_are_clean(short):
    book = Book.read(short)
    clean = ("metadata", "identities", "executed", "outputs", "shown", "pictures", "machine")
    assert not [problem for check in CHECKS if check.__name__ in clean for problem in check(book)]
    assert "shell.execute_reply" not in book.raw and "IntSlider" in book.raw


def test_refresh_check_reports_what_differs(short, capsys):
    assert main(["--check", str(short)]) == 0
    notebook = nbformat.read(short, as_version=4)
    notebook.cells[1].outputs[0].text = "0 other numbers\n"
    nbformat.write(notebook, short)
    before = short.read_bytes()
    assert main(["--check", str(short)]) == 1
    assert "DIFFERS" in capsys.readouterr().out.splitlines()[-1] and short.read_bytes() == before


def test_a_failing_notebook_is_not_written(tmp_path, capsys):
    path = tmp_path / "broken.ipynb"
    nbformat.write(tidy(new_notebook(cells=[new_code_cell("1 / 0")])), path)
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out and path.read_bytes() == before


def test_execution_leaves_the_notebook_given_as_it_was():
    notebook = new_notebook(cells=[new_code_cell("print(1)")])
    assert execute(notebook, ROOT).cells[0].outputs and not notebook.cells[0].outputs
