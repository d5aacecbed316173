"""start.py: what it refuses and in which words, when it sets up, what it never overwrites. pip is played by a stub;
a real set-up is what `python3 start.py test` has just done."""

import errno
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import start

ROOT = Path(__file__).resolve().parent.parent
HERE = dict(python=(3, 11, 7), implementation="cpython", wide=True, system="Linux", machine="x86_64",
            release="glibc 2.36")  # fmt: skip
MAC = {"system": "Darwin", "machine": "arm64"}


def says(call, *arguments, **named) -> str:
    """The sentence with which `call` ends the program."""
    with pytest.raises(SystemExit) as end:
        call(*arguments, **named)
    sentence = str(end.value)
    assert sentence.strip() and "\n" not in sentence and "Traceback" not in sentence
    return sentence


# ----------------------------------------------------------------------------------------------- Python and computer


@pytest.mark.parametrize(
    "given",
    [{}, {"python": (3, 12, 0)}, {"python": (3, 13, 9)}, {"machine": "aarch64", "release": "glibc 2.28"},
     {**MAC, "release": "14.5"}, {**MAC, "release": "26.1"}, {"system": "Windows", "machine": "AMD64", "release": ""}],
)  # fmt: skip
def test_supported(given):
    assert start.unsupported(**{**HERE, **given}) is None


@pytest.mark.parametrize(
    ("given", "fault", "remedy"),
    [
        ({"python": (3, 10, 14)}, "this is cpython 3.10", "python3.12 start.py"),
        ({"python": (3, 14, 0)}, "this is cpython 3.14", "py -3.12 start.py"),
        ({"implementation": "pypy"}, "this is pypy 3.11", "python.org"),
        ({"wide": False}, "(32-bit)", "3.13 (64-bit) is needed"),
        ({"machine": "i686"}, "Linux on i686", "use 64-bit Linux"),
        ({"system": "Darwin", "machine": "x86_64", "release": "14.5"}, "Darwin on x86_64", "Binder or JupyterHub"),
        ({**MAC, "release": "13.6"}, "macOS 13.6", "macOS 14 or later"),
        ({"system": "Windows", "machine": "ARM64", "release": ""}, "Windows on ARM64", "64-bit Windows"),
        ({"system": "FreeBSD", "machine": "amd64"}, "FreeBSD on amd64", "use 64-bit Linux"),
        ({"release": "glibc 2.17"}, "glibc 2.17", "glibc 2.28 or later"),
        ({"release": " "}, "Linux with musl", "glibc 2.28 or later"),
    ],
)
def test_unsupported(given, fault, remedy):
    sentence = start.unsupported(**{**HERE, **given})
    assert fault in sentence and remedy in sentence and "\n" not in sentence


def test_this_computer_is_supported():
    assert start.unsupported() is None


def test_an_old_python_can_read_the_file():
    """Down to 3.8 it must get as far as its sentence: no newer syntax."""
    import ast

    ast.parse((ROOT / "start.py").read_text(encoding="utf-8"), feature_version=(3, 8))


def test_only_the_standard_library_is_imported():
    import ast

    tree = ast.walk(ast.parse((ROOT / "start.py").read_text(encoding="utf-8")))
    names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    assert names <= sys.stdlib_module_names


# -------------------------------------------------------------------------------------------------- pip's complaints

STICK = Path("/media/stick")
UNREACHABLE = """
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(<pip._vendor.urllib3.connection>:
Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/setuptools/
ERROR: Could not find a version that satisfies the requirement setuptools==84.2.1 (from versions: none)
ERROR: No matching distribution found for setuptools==84.2.1
"""


@pytest.mark.parametrize(
    ("complaint", "stick", "words"),
    [
        ("ERROR: Could not install packages: OSError: [Errno 28] No space left on device", None, "disk is full"),
        ("OSError: [WinError 112] There is not enough space on the disk", STICK, "disk is full"),
        ("OSError: [Errno 13] Permission denied: '/course/.venv/lib'", None, "cannot be written to"),
        ("PermissionError: [WinError 5] Access is denied", None, "cannot be written to"),
        ("HINT: ... since this system does not have Windows Long Path support enabled.", None, "C:\\course"),
        (UNREACHABLE, None, "connect to the network"),
        ("socket.gaierror: [Errno 11001] getaddrinfo failed", None, "--find-links FOLDER"),
        ("SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))", None, "connect to the network"),
        ("ReadTimeoutError: HTTPSConnectionPool(host='x', port=443): Read timed out.", None, "connect to the network"),
        ("ERROR: No matching distribution found for torch==2.13.0", STICK, "stick does not hold torch==2.13.0"),
        ("ERROR: No matching distribution found for torch==2.13.0", None, "No matching distribution found for torch"),
        ("warning\nERROR: something nobody thought of", None, "(ERROR: something nobody thought of)"),
        ("", None, "it said nothing"),
    ],
)
def test_one_sentence_for_what_pip_says(complaint, stick, words):
    sentence = start.sentence(complaint, stick)
    assert words in sentence and "\n" not in sentence
    assert "setup.log" in sentence or not words.startswith(("(", "No", "it"))


# ------------------------------------------------------------------------------------------------------- setting up


@pytest.fixture
def course(tmp_path, monkeypatch):
    """start.py in a course of its own, in a folder with a space; the environment and pip are played: `course.pips` are
    pip's argument lists, `course.answers` what it complains of, in turn."""
    root = tmp_path / "a course"
    (root / "course_utils").mkdir(parents=True)
    (root / "course_utils" / "__init__.py").touch()
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    self = types.SimpleNamespace(root=root, pips=[], answers=[], made=[], state=None)
    monkeypatch.setattr(start, "ROOT", root)
    monkeypatch.setattr(start, "ENV", root / ".venv")

    def create(folder, **options):
        self.made.append(options)
        folder.mkdir(exist_ok=True)
        self.state = start.State("3.11.7", folder / "site-packages", root / "course_utils/__init__.py")

    def pip(*arguments, stick=None):
        assert not list((root / ".venv").glob("*.stamp")), "the stamps must go before pip begins"
        self.pips.append((arguments, stick))
        return self.answers.pop(0) if self.answers else None

    monkeypatch.setattr(start.venv, "create", create)
    monkeypatch.setattr(start, "pip", pip)
    monkeypatch.setattr(start, "ask_environment", lambda: self.state)
    monkeypatch.setattr(start, "half_made", lambda: self.state is None)
    monkeypatch.setattr(start.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=9e9))
    return self


def test_the_first_start_sets_up_and_the_second_does_nothing(course):
    start.set_up("course")
    assert [arguments[-1] for arguments, _ in course.pips] == ["torch==2.13.0", "setuptools", "."]
    assert start.ready("course") and not start.ready("test")
    start.set_up("course")
    assert len(course.made) == 1 and len(course.pips) == 3
    start.set_up("course", "test")  # adds to the same environment
    assert len(course.made) == 1 and course.pips[-1][0][-1] == ".[test]"
    assert start.ready("test") and start.ready("course") and not start.ready("course", "pretrained")
    start.set_up("course", "test", "pretrained")
    assert course.pips[-1][0][-1] == ".[test,pretrained]" and start.ready("course", "pretrained")


@pytest.mark.parametrize("change", ["lock", "project", "python", "moved"])
def test_what_the_environment_was_made_from_is_watched(course, change):
    start.set_up("course")
    if change in ("lock", "project"):
        path = course.root / {"lock": "requirements.lock", "project": "pyproject.toml"}[change]
        path.write_text(path.read_text() + "# another\n")
    elif change == "python":
        course.state = course.state._replace(python="3.11.9")
    else:
        course.state = course.state._replace(course_utils=Path("/elsewhere/course_utils/__init__.py"))
    assert not start.ready("course")


def test_an_interrupted_set_up_is_not_ready_and_is_gone_on_with(course):
    course.answers = [None, None, "ERROR: Connection reset by peer"]
    assert "connect to the network" in says(start.set_up, "course")
    assert not start.ready("course") and not list((course.root / ".venv").glob("*.stamp"))
    start.set_up("course")
    assert start.ready("course") and len(course.made) == 1, "pip goes on in the same environment"


def test_torch_comes_from_this_computer_or_from_the_index_of_cpu_builds():
    lock = "# why\ntorch==2.13.0\ntorchvision==9\n"
    local = ["--quiet", "--no-deps", "--no-index", "torch==2.13.0"]
    linux = ["--no-deps", "--index-url", "https://download.pytorch.org/whl/cpu", "torch==2.13.0"]
    assert start.torch_attempts(lock, "Linux") == [local, linux]
    assert start.torch_attempts(lock, "Darwin") == start.torch_attempts(lock, "Windows") == [
        local, ["--no-deps", "torch==2.13.0"]]  # fmt: skip
    assert start.torch_attempts(lock, "Linux", STICK) == [local]


def test_without_the_cpu_build_nothing_else_is_fetched(course):
    """Else pip would bring torch's CUDA build along with the rest."""
    course.answers = ["ERROR: No matching distribution found for torch==2.13.0", UNREACHABLE]
    assert "connect to the network" in says(start.set_up, "course")
    assert len(course.pips) == 2


def test_a_stick_without_packages_or_without_the_right_ones(course, tmp_path):
    assert "holds no packages" in says(start.set_up, "course", stick=tmp_path)
    (tmp_path / "numpy-1.0-py3-none-any.whl").touch()
    course.answers = ["ERROR: No matching distribution found for torch==2.13.0"]
    assert f"{tmp_path} does not hold torch==2.13.0" in says(start.set_up, "course", stick=tmp_path)
    start.set_up("course", stick=tmp_path)
    assert all(stick == tmp_path for _, stick in course.pips)


def test_a_full_disk_is_said_before_anything_is_made(course, monkeypatch):
    monkeypatch.setattr(start.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1e9))
    assert "disk is full" in says(start.set_up, "course")
    assert not course.made and not (course.root / ".venv").exists()


@pytest.mark.parametrize(("output", "words"), [(b"No space left on device", "disk is full"), (b"", "python3-venv")])
def test_python_without_venv(course, monkeypatch, output, words):
    def fail(*_, **__):
        raise subprocess.CalledProcessError(1, "ensurepip", output)

    monkeypatch.setattr(start.venv, "create", fail)
    assert words in says(start.set_up, "course")


def test_an_unsupported_python_stops_before_anything_is_made(course, monkeypatch):
    monkeypatch.setattr(start, "unsupported", lambda: "Python 3.11, 3.12 or 3.13 is needed.")
    assert says(start.set_up, "course") == "Python 3.11, 3.12 or 3.13 is needed."
    assert not course.made


# ----------------------------------------------------------------------------------- the real environment, the real pip


def test_the_environment_of_this_run_is_ready():
    if start.ask_environment() is None:
        pytest.skip("these tests run outside .venv")
    assert start.half_made() is False
    assert Path(start.ask_environment().course_utils) == ROOT / "course_utils" / "__init__.py"


def test_a_half_made_environment_is_seen(tmp_path, monkeypatch):
    environment = tmp_path / "e"
    monkeypatch.setattr(start, "PYTHON", environment / start.PYTHON.relative_to(start.ENV))
    assert start.ask_environment() is None and start.half_made(), "none at all"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    packages = start.ask_environment().packages
    assert start.half_made(), "no pip"
    (packages / "pip").mkdir()
    (packages / "pip" / "__main__.py").touch()
    assert not start.half_made()
    (packages / "numpy-2.4.6.dist-info").mkdir()
    assert start.half_made(), "a package that was copied in part has no RECORD"
    (packages / "numpy-2.4.6.dist-info" / "RECORD").touch()
    assert not start.half_made()
    start.PYTHON.unlink()
    assert start.half_made(), "the Python it was made with is gone"


def test_pip_reports_what_it_complained_of(monkeypatch, tmp_path):
    monkeypatch.setattr(start, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(start, "ENV", tmp_path)
    assert start.pip("--quiet", "--no-deps", "pip") is None
    complaint = start.pip("--quiet", "--no-deps", "no-such-package", stick=tmp_path)
    assert "No matching distribution found for no-such-package" in complaint
    assert "does not hold no-such-package" in start.sentence(complaint, tmp_path)
    assert (tmp_path / "setup.log").exists()


# ------------------------------------------------------------------------------------------------------ what it opens


def test_my_notebooks_are_never_overwritten(tmp_path):
    source, mine = tmp_path / "notebooks", tmp_path / "my notebooks"
    (source / ".ipynb_checkpoints").mkdir(parents=True)
    (source / "figures").mkdir()
    for name in ("06.ipynb", "figures/map.png", ".ipynb_checkpoints/06.ipynb"):
        (source / name).write_text("the course's")
    assert start.copy_notebooks(source, mine) == [mine / "06.ipynb", mine / "figures/map.png"]
    (mine / "06.ipynb").write_text("a student's work")
    (source / "06.ipynb").write_text("the course's, improved")
    (source / "07.ipynb").write_text("new after git pull")
    assert start.copy_notebooks(source, mine) == [mine / "07.ipynb"]
    assert (mine / "06.ipynb").read_text() == "a student's work"
    assert (mine / "07.ipynb").read_text() == "new after git pull"
    assert not list(mine.rglob("*.part")) and start.copy_notebooks(source, mine) == []


def test_what_programs_inherit(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/lib")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    env = start.course_environment()
    assert env["OMP_NUM_THREADS"] == "1" and env["JUPYTER_PREFER_ENV_PATH"] == env["PYTHONUTF8"] == "1"
    assert "PYTHONPATH" not in env
    assert env["PATH"].split(os.pathsep)[0] == str(start.PYTHON.parent)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert start.course_environment()["OMP_NUM_THREADS"] == "2"


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """What main would set up and run."""
    done = []
    monkeypatch.setattr(start, "set_up", lambda *parts, stick: done.append((*parts, stick)))
    monkeypatch.setattr(start, "run", lambda command: done.append(command[1:]) or 3)
    monkeypatch.setattr(start, "copy_notebooks", lambda: done.append("copied") or [])
    monkeypatch.setattr(start, "ask_environment", lambda: start.State("3.11.7", Path(), Path()))
    return done


def test_the_commands(ran, tmp_path):
    lab = ["-m", "jupyterlab", f"--ServerApp.root_dir={ROOT / 'my_notebooks'}"]
    for arguments, expected in [
        ([], [("course", None), "copied", lab]),
        (["--no-browser"], [("course", None), "copied", [*lab, "--no-browser"]]),
        (["--find-links", str(tmp_path)], [("course", tmp_path), "copied", lab]),
        (["test", "-k", "floors", "tests"], [("course", "test", None), [*start.PYTEST, "-k", "floors", "tests"]]),
        (["test", "--nbval-lax"], [("course", "test", None), [*start.PYTEST, "--nbval-lax"]]),
        (["test", "--find-links", str(tmp_path)], [("course", "test", tmp_path), [*start.PYTEST]]),
        (["handout", "out"], [("course", "test", None), ["tests/handout.py", "out"]]),
        (["--pretrained"], [("course", "pretrained", None), "copied", lab]),
        (["test", "--pretrained", "tests"], [("course", "test", "pretrained", None), [*start.PYTEST, "tests"]]),
        (["check"], [["-m", "course_utils.check_environment"]]),
    ]:
        ran.clear()
        assert start.main(arguments) == 3 and ran == expected


def test_check_without_an_environment(monkeypatch):
    monkeypatch.setattr(start, "ask_environment", lambda: None)
    assert "python3 start.py makes it" in says(start.main, ["check"])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be written to"),
        (OSError(errno.EROFS, "Read-only file system"), "cannot be written to"),
        (KeyboardInterrupt(), "the next start goes on from here"),
    ],
)
def test_errors_of_the_system_become_one_sentence(monkeypatch, tmp_path, error, words):
    """Run as a program in a course of its own, where making the environment fails."""
    for name in ("start.py", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    code = f"""
import errno, runpy, shutil, sys, types, venv
def fail(*_, **__): raise {type(error).__name__}{error.args}
venv.create = fail
shutil.disk_usage = lambda _: types.SimpleNamespace(free=9e9)
sys.argv = ["start.py"]
runpy.run_path("start.py", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
