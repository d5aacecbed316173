"""check_environment: the lines of this computer, and every way in which each of them fails, with its remedy."""

import hashlib
import json
import os
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest
from limits import finished

from course_utils import check_environment as check

ROOT = Path(__file__).resolve().parent.parent


def only(lines):
    (line,) = lines
    return line


def test_here_all_is_well():
    command = [sys.executable, "-m", "course_utils.check_environment"]
    done = finished(command, "the check of the environment", cwd=ROOT)
    lines = done.stdout.splitlines()
    failing = [line for line in lines if line.startswith("FAIL") and "memory" not in line]  # a CI machine may be busy
    assert not failing and "Traceback" not in done.stderr, done.stdout + done.stderr
    assert sum(line.startswith("OK") for line in lines) >= 15
    assert done.returncode == (0 if lines[-1] == "All is well." else 1)


@pytest.mark.parametrize(
    ("lines", "what", "remedy"),
    [
        (check.python((3, 10, 2)), "Python 3.10.2", "64-bit Python 3.11, 3.12"),
        (check.python((3, 99, 0)), "Python 3.99.0", "64-bit Python 3.11, 3.12"),
        (check.python((4, 11, 0)), "Python 4.11.0", "64-bit Python 3.11, 3.12"),
        (check.python((3, 12, 1), wide=False), "32-bit", "64-bit"),
        (check.asserts(1), "every assert is dropped", "unset PYTHONOPTIMIZE"),
        (check.environment(Path("/usr"), installed=False), "environment", "python3 start.py check"),
        (check.own_package(""), "nowhere", "it must come from"),
        (check.own_package("/elsewhere/course_utils/__init__.py"), "elsewhere", "python3 start.py"),
        (check.widgets(Path("/nowhere")), "is not installed", "delete the folder"),
        (check.kernel("no-such-kernel"), "'no-such-kernel' does not start", "python3 start.py"),
        (check.writable(Path("/nowhere")), "cannot be written to", "folder of yours"),
    ],
)
def test_a_failing_line_names_the_fault_and_the_remedy(lines, what, remedy):
    line = only(lines)
    assert not line.ok and what in line.what and remedy in line.remedy
    assert str(line).startswith("FAIL  ") and "\n      -> " in str(line)


def test_an_environment_of_ones_own_is_one_too():
    assert only(check.environment(Path("/opt/conda"), installed=True)).ok
    assert only(check.environment(ROOT / ".venv", installed=False)).ok


def test_packages_are_compared_with_the_lock_and_the_ranges():
    def version(name):
        if name in ("numpy", "uv"):
            raise metadata.PackageNotFoundError
        return {"torch": "2.13.0+cpu", "matplotlib": "3.10.9", "pillow": "13.1.0"}.get(name, "1.0")

    names = {"torch": "2.13.0", "numpy": "2.4.6", "matplotlib": "3.11.2", "pillow": "13.0.0", "scipy": "1.17.1",
             "setuptools": "84.2.1", "uv": "0.13.9"}  # fmt: skip
    lock = "".join(f"# why\n{name}=={wanted}\n" for name, wanted in names.items())
    lock += "# --- what only its tests\n# d\npytest==9"
    torch, numpy, matplotlib, pillow, scipy, setuptools = check.packages(lock, version)  # no line for a missing uv
    assert torch == (True, "torch 2.13.0+cpu", "")
    assert not numpy.ok and numpy.what == "numpy is missing, 2.4.6 is needed" and "start.py" in numpy.remedy
    assert matplotlib.ok and "3.10.9 (tested most: 3.11.2; pictures are not compared" in matplotlib.what
    assert pillow.ok and pillow.what == "pillow 13.1.0 (tested most: 13.0.0)"
    assert not scipy.ok and "scipy 1.0, 1.17.1 is needed" in scipy.what and setuptools.ok


def test_without_packaging_only_the_lock_is_allowed(monkeypatch):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert not check.allows("torch>=2", "2.1")


def test_every_direct_dependency_has_a_line():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.match(r"[\w.-]+", line)[0].lower() for line in project["dependencies"]} | {"setuptools", "uv"}
    assert set(check.direct((ROOT / "requirements.lock").read_text(encoding="utf-8"))) == names


def test_more_than_one_thread_fails():
    code = "from course_utils import check_environment as c; print(*c.torch_works())"
    env = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = finished([sys.executable, "-c", code], "the check of torch", cwd=ROOT, env=env)
    assert done.stdout.startswith("FAIL  torch computes with 2 threads") and "OMP_NUM_THREADS" in done.stdout


def test_an_optimised_python_and_a_broken_torch_fail_in_one_line_and_the_rest_still_answers(tmp_path):
    """Also in `course_utils/__init__.py`, which must let the check speak. (Both at once: -O would compile all of the
    real torch anew.)"""
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch_cpu.so: cannot open shared object file')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-O", "-m", "course_utils.check_environment"]
    done = finished(command, "the check of the environment", cwd=ROOT, env=env)
    assert "FAIL  every assert is dropped" in done.stdout
    assert done.returncode == 1 and "FAIL  torch does not work: ImportError: libtorch_cpu.so" in done.stdout
    assert "OK    data" in done.stdout and "Traceback" not in done.stderr


def test_data_files_are_checked(tmp_path):
    good = hashlib.sha256(b"pairs\n").hexdigest()
    assert "lists no files" in only(check.data(tmp_path)).what
    (tmp_path / "README.md").write_text("".join(f"| `mini/{name}.tsv` | 1 | `{good}` |\n" for name in "ab"))
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "a.tsv").write_bytes(b"pairs\n")
    missing = only(check.data(tmp_path))
    assert not missing.ok and missing.what == "data/mini/b.tsv is missing" and "git checkout" in missing.remedy
    (tmp_path / "mini" / "b.tsv").write_bytes(b"pairs\r\n")
    assert only(check.data(tmp_path)).what.startswith("data/mini/b.tsv is not the file it was")
    (tmp_path / "mini" / "b.tsv").write_bytes(b"pairs\n")
    assert only(check.data(tmp_path)) == (True, "data: 2 files, each with its checksum", "")


def test_room():
    assert all(line.ok for line in check.room(free=9e9, memory=9e9))
    disk, memory = check.room(free=1e8, memory=1e9)
    assert not disk.ok and "0.1 GB of disk" in disk.what and not memory.ok and "1.0 GB of memory" in memory.what


def test_a_foreign_kernel_is_seen(tmp_path, monkeypatch):
    """A kernel 'python3' that another program registered for the user, with another Python, shadows ours."""
    other = tmp_path / "other" / "bin"
    finished([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "other")], "venv", check=True)
    python = next(path for path in (other / "python", tmp_path / "other/Scripts/python.exe") if path.exists())
    packages = next(path for path in (tmp_path / "other").rglob("site-packages"))
    (packages / "ours.pth").write_text(next(p for p in sys.path if p.endswith("site-packages")))
    spec = tmp_path / "kernels" / "stray"
    spec.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "stray", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    line = only(check.kernel("stray"))
    assert not line.ok and "not this course's" in line.what and str(python.parent) in line.what
    shutil.rmtree(tmp_path / "other")
    assert "does not start" in only(check.kernel("stray")).what
