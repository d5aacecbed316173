"""No test can hang: whatever an item waits for, in set-up, run or tear-down, it fails and says so; the rest runs on."""

import ast
import os
import re
import signal
import sys
import threading
from pathlib import Path

import nbformat
import pytest
from limits import at_most, finished

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no alarm")

WAITING = r"subprocess\.(run|call|check_call|check_output)|\w+\.communicate"
HANGING = """
import subprocess, sys, threading, time
import pytest

@pytest.fixture
def stuck():
    time.sleep(60)

@pytest.fixture
def stuck_at_the_end():
    yield
    time.sleep(60)

def test_sleeps():
    time.sleep(60)

def test_waits_for_a_lock():
    threading.Event().wait()

def test_waits_for_a_program():
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])

def test_swallows_what_comes():
    for _ in range(60):
        try:
            time.sleep(1)
        except Exception:
            pass

def test_setting_up(stuck):
    pass

def test_tearing_down(stuck_at_the_end):
    pass

def test_is_quick():
    pass
"""


def test_an_item_that_hangs_fails_and_the_rest_runs_on(tmp_path):
    (tmp_path / "test_hanging.py").write_text(HANGING)
    cell = nbformat.v4.new_code_cell("import time\ntime.sleep(60)", execution_count=1)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "hanging.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-c", str(ROOT / "pyproject.toml"), "--rootdir",
               str(tmp_path), "-p", "no:cacheprovider", "--color=no", "-o", "test_limit=2", str(tmp_path)]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    report = finished(command, "tests that hang", seconds=200, cwd=tmp_path, env=env).stdout
    said = set(re.findall(r"no end after 2 s: (\w+ ?\w+) test_hanging\.py::test_(\w+)", report))
    run = ("sleeps", "waits_for_a_lock", "waits_for_a_program", "swallows_what_comes")
    others = {("setting up", "setting_up"), ("tearing down", "tearing_down")}
    assert said == {("running", name) for name in run} | others, report
    assert re.search(r"no end after 2 s: \w+ ?\w+ hanging\.ipynb", report), report
    assert re.search(r"\b2 passed\b", report), report  # the quick one, and the one whose tear-down hangs


def test_no_test_waits_for_a_program_without_a_limit():
    for path in Path(__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            called = re.fullmatch(WAITING, ast.unparse(node.func))
            limited = {keyword.arg for keyword in node.keywords} & {"timeout", None}  # None: **options
            assert limited or not called, f"{path.name}:{node.lineno} waits for ever: use limits.finished"


def test_a_program_that_hangs_is_named_and_what_it_said_is_shown():
    code = "print('I wait', flush=True); import time; time.sleep(60)"
    with pytest.raises(pytest.fail.Exception, match=r"waited 1 s for a sign: (?s:.*)I wait"):
        finished([sys.executable, "-c", code], "a sign", seconds=1)


def test_a_block_in_time_leaves_no_alarm_behind():
    with at_most(60, "nothing"):
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    found = []
    thread = threading.Thread(target=lambda: found.append(at_most(1, "a thread").__enter__()))
    thread.start()
    thread.join(10)
    assert found == [None]
