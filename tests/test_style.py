"""One style in modules, tests and notebooks: ruff's rules of pyproject.toml."""

import sys
from pathlib import Path

from limits import finished

ROOT = Path(__file__).resolve().parent.parent


def test_ruff_finds_nothing():
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", "."]
    found = finished(command, "ruff", cwd=ROOT)
    assert found.returncode == 0, found.stdout + found.stderr
