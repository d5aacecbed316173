"""What the course ships in data/ is found beside the package or where COURSE_DATA says; a wheel says what it lacks."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import data_files, scoreboard
from course_utils.attention import costs
from course_utils.corpora import mini, wikipedia
from course_utils.experiments.nb13 import real_sentence
from course_utils.models import play_model

ROOT = Path(__file__).resolve().parent.parent
READERS = {"scoreboard": scoreboard.read, "costs": costs.measured, "model": play_model.load_play_model,
           "bank": real_sentence.load_real_sentences,
           "articles": wikipedia.wikipedia_sentences, "similarities": wikipedia.word_similarities,
           "analogies": wikipedia.analogy_questions,
           "corpus": mini.corpus_hash, "split": lambda: mini.load_split("valid")}  # fmt: skip


def test_beside_the_package_or_where_course_data_says(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    assert data_files.data_folder() == ROOT / "data" == data_files.BESIDE
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert data_files.data_folder() == tmp_path
    assert {scoreboard.path().parent, costs.path().parent, mini.folder().parent} == {tmp_path}


def test_costs_are_read_from_course_data(monkeypatch, tmp_path):
    (tmp_path / "plug_costs.json").write_text('{"machine": "mine", "rows": []}')
    before = costs.measured()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert costs.measured()["machine"] == "mine" != before["machine"] and costs.curve("SDPA") == {}


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_one_sentence(monkeypatch, tmp_path, name):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises((FileNotFoundError, ValueError), match=f"there is no file {tmp_path}.*; .*\\.$") as caught:
        READERS[name]()
    assert "installed without" not in str(caught.value)


@pytest.mark.parametrize("name", READERS)
def test_without_the_folder_the_sentence_says_how_to_have_it(monkeypatch, tmp_path, name):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setattr(data_files, "BESIDE", tmp_path / "data")
    with pytest.raises((FileNotFoundError, ValueError), match="installed without the course's data") as caught:
        READERS[name]()
    sentence = str(caught.value)
    assert "COURSE_DATA" in sentence and "--editable" in sentence and "\n" not in sentence
    assert "git checkout" not in sentence and "benchmarks" not in sentence and "generate" not in sentence


def test_no_file_finds_data_in_a_way_of_its_own():
    for path in (ROOT / "course_utils").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name not in ("data_files.py", "check_environment.py"):
            assert '/ "data"' not in text and "environ.get(\"COURSE_DATA\"" not in text, f"{path}: use data_folder()"


def test_a_wheel(tmp_path):
    """Really: the package alone, as `pip install .` lays it, far from the course."""
    shutil.copytree(ROOT / "course_utils", tmp_path / "course_utils", ignore=shutil.ignore_patterns("__pycache__"))
    code = """
import course_utils
from course_utils.attention import costs
from course_utils.corpora import mini
for call in (costs.measured, lambda: mini.load_split("valid")):
    try:
        call()
    except (FileNotFoundError, ValueError) as error:
        print(error)
"""
    here = {"cwd": tmp_path, "env": {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}, "timeout": 120}
    done = subprocess.run([sys.executable, "-c", code], **here, capture_output=True, text=True)
    assert done.stdout.count("installed without the course's data") == 2, done.stdout + done.stderr
    command = [sys.executable, "-m", "course_utils.check_environment"]
    done = subprocess.run(command, **here, capture_output=True, text=True)
    assert "Traceback" not in done.stderr and done.returncode == 1, done.stderr
    assert "FAIL  the course's files are not here" in done.stdout
