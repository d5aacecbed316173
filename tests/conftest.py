"""The student edition runs beside the full one: its execution starts with the session, in a process of its own, and
test_handout.py looks at the result at the end. The browser test comes when that process is (nearly) done."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LATE = {"test_browser.py": 1, "test_handout.py": 2}  # after the notebooks


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LATE.get(item.path.name, 0))


class Handout:
    """`tests/handout.py FOLDER --run report.json`, in the background."""

    def __init__(self, folder: Path):
        self.folder, self.report, self.log = folder / "student edition", folder / "report.json", folder / "log.txt"
        command = [sys.executable, Path(__file__).parent / "handout.py", self.folder, "--run", self.report]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT)

    def result(self) -> dict[str, str | None]:
        """{notebook file: None, or what went wrong}, when all have run."""
        self.process.wait(1800)
        assert self.process.returncode == 0, self.log.read_text()
        return json.loads(self.report.read_text(encoding="utf-8"))


HANDOUT = pytest.StashKey[Handout]()


def pytest_collection_finish(session):
    wanted = any("handout" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly:
        folder = session.config._tmp_path_factory.mktemp("handout")
        session.config.stash[HANDOUT] = Handout(folder)


def pytest_unconfigure(config):
    if (handout := config.stash.get(HANDOUT, None)) and handout.process.poll() is None:
        handout.process.terminate()


@pytest.fixture(scope="session")
def handout(pytestconfig) -> Handout:
    return pytestconfig.stash[HANDOUT]
