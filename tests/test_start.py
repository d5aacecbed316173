"""start.py: what it refuses and in which words, which Python it goes on with, when it sets up, what it never
overwrites. uv and pip are played by stubs; a real set-up is what `python3 start.py test` has just done."""

import contextlib
import errno
import io
import os
import re
import shutil
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

import start

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 120  # seconds for a program that a test starts
TORCH = next(line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.startswith("torch=="))


def says(call, *arguments, **named) -> str:
    """The sentence with which `call` ends the program."""
    with pytest.raises(SystemExit) as end:
        call(*arguments, **named)
    sentence = str(end.value)
    assert sentence.strip() and "\n" not in sentence and "Traceback" not in sentence
    return sentence


# ----------------------------------------------------------------------------------------------- Python and computer


@pytest.mark.parametrize("python", start.PYTHONS)
def test_a_python_of_the_list_is_supported(python):
    assert start.wrong_python((*python, 0), "cpython", True, True) is None


@pytest.mark.parametrize(
    "computer",
    [("Linux", "x86_64", "glibc 2.36"), ("Linux", "aarch64", "glibc 2.28"), ("Darwin", "arm64", "14.5"),
     ("Darwin", "arm64", "26.1"), ("Windows", "AMD64", "")],
)  # fmt: skip
def test_a_computer_that_torch_has_packages_for(computer):
    assert start.wrong_machine(*computer) is None


FIRST, NEWEST = start.PYTHONS[0], start.PYTHONS[-1]


@pytest.mark.parametrize(
    ("given", "fault", "remedy"),
    [
        ((FIRST[0], FIRST[1] - 1, 14), f"this is cpython 3.{FIRST[1] - 1}", "start.py (Windows: py -3."),
        ((NEWEST[0], NEWEST[1] + 1, 0), f"this is cpython 3.{NEWEST[1] + 1}", f"python3.{NEWEST[1]} start.py"),
        ((2, 7, 18), "this is cpython 2.7", "python.org"),
        ((3, 11, 7, "pypy"), "this is pypy 3.11", "python.org"),
        ((3, 11, 7, "cpython", False), "(32-bit)", "(64-bit) is needed"),
        ((3, 11, 7, "cpython", True, False), "cannot make environments", "install python3-venv"),
    ],
)
def test_a_wrong_python(given, fault, remedy):
    python, (implementation, wide, has_pip) = given[:3], (*given[3:], *("cpython", True, True)[len(given) - 3 :])
    sentence = start.wrong_python(python, implementation, wide, has_pip)
    assert fault in sentence and remedy in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    ("computer", "fault", "remedy"),
    [
        (("Linux", "i686", "glibc 2.36"), "Linux on i686", "use 64-bit Linux"),
        (("Darwin", "x86_64", "14.5"), "Darwin on x86_64", "Binder or JupyterHub"),
        (("Darwin", "arm64", "13.6"), "macOS 13.6", "macOS 14 or later"),
        (("Windows", "ARM64", ""), "Windows on ARM64", "64-bit Windows"),
        (("FreeBSD", "amd64", ""), "FreeBSD on amd64", "use 64-bit Linux"),
        (("Linux", "x86_64", "glibc 2.17"), "glibc 2.17", "glibc 2.28 or later"),
        (("Linux", "x86_64", " "), "Linux with musl", "glibc 2.28 or later"),
    ],
)
def test_a_wrong_computer(computer, fault, remedy):
    sentence = start.wrong_machine(*computer)
    assert fault in sentence and remedy in sentence and "\n" not in sentence


def test_this_computer_is_supported():
    assert start.unsupported() is None


def test_an_old_python_can_read_the_file():
    """Down to 3.8 it must get as far as looking for another Python: no newer syntax."""
    import ast

    ast.parse((ROOT / "start.py").read_text(encoding="utf-8"), feature_version=(3, 8))


OLD = [Path.home() / f".pyenv/versions/{version}/bin/python" for version in ("3.8.18", "3.9.18", "3.10.13")]


@pytest.mark.parametrize("python", [path for path in OLD if path.exists()] or [None], ids=lambda p: p and p.parts[-3])
def test_an_old_python_that_is_here_can_run_it(python):
    if python is None:
        pytest.skip("no Python older than the course's lies under ~/.pyenv")
    code = "import start; print(start.unsupported()); next(start.other_pythons(), None)"
    done = subprocess.run([python, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert f"this is cpython {'.'.join(python.parts[-3].split('.')[:2])}" in done.stdout and not done.stderr


def test_the_sentences_name_the_pythons_of_the_list():
    """One list: who adds a Python to PYTHONS learns here where else it stands in words."""
    numbers = [f"3.{minor}" for _, minor in start.PYTHONS]
    words = f"Python {', '.join(numbers[:-1])} or {numbers[-1]}"
    assert start.WRONG_PYTHON.startswith(words)
    for name in ("README.md", "tests/handout.py"):
        if (ROOT / name).exists():
            assert words in (ROOT / name).read_text(encoding="utf-8"), f"{name} should say {words!r}"


# ----------------------------------------------------------------------------------------------------- another Python


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder and a PATH of one's own; what the real machine holds in /usr and /opt stays out."""
    for name in ("PYENV_ROOT", "CONDA_PREFIX", "MAMBA_ROOT_PREFIX", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(start, "FETCHED", tmp_path / ".python")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="the places of Linux and macOS")
def test_where_other_pythons_are_looked_for(home):
    version = f"3.{start.PYTHONS[1][1]}"
    places = [f"bin/python{version}", f".python/cpython-{version}.9-linux/bin/python{version}",
              f".local/share/uv/python/cpython-{version}.1-linux/bin/python{version}",
              f".pyenv/versions/{version}.2/bin/python{version}", f"miniforge3/envs/nlp/bin/python{version}",
              f"elsewhere/bin/python{version}"]  # fmt: skip
    for place in places:
        executable(home / place, "")
    (home / ".conda").mkdir()
    (home / ".conda/environments.txt").write_text(f"{home}/elsewhere\n{home}/gone\n")
    found = [Path(python) for python in start.other_pythons()]
    assert [path.relative_to(home).as_posix() for path in found if home in path.parents] == places
    first, second = (executable(home / f"bin/python3.{minor}", "") for _, minor in start.PYTHONS[:2])
    found = list(start.other_pythons())
    assert found.index(str(first)) < found.index(str(second)), "best tested first"


@pytest.mark.skipif(os.name == "nt", reason="shell scripts play the Pythons")
def test_only_a_python_that_can_run_the_course_is_usable(tmp_path):
    assert Path(start.usable(sys.executable)) == Path(sys.executable)
    assert start.usable(str(tmp_path / "gone")) is None
    assert start.usable(str(executable(tmp_path / "shim", "#!/bin/sh\necho 'pyenv: not found'; exit 127"))) is None
    assert start.usable(str(executable(tmp_path / "refuses", "#!/bin/sh\necho 'Python 3.11 is needed'"))) is None
    assert start.usable(str(executable(tmp_path / "loud", "#!/bin/sh\necho; echo /a; echo /b"))) is None


@pytest.mark.parametrize("python", [path for path in OLD if path.exists()] or [None], ids=lambda p: p and p.parts[-3])
def test_an_old_python_goes_on_with_another(python, tmp_path):
    """Really: an old Python runs start.py in a course of its own, which ends where setting up begins."""
    if python is None:
        pytest.skip("no Python older than the course's lies under ~/.pyenv")
    for name in ("start.py", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "wheels").mkdir()
    done = subprocess.run([python, "start.py", "--find-links", "wheels"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=LIMIT)  # fmt: skip
    assert "cannot run the course: going on with /" in done.stdout and done.stdout.count("\n") == 1
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "holds no packages" in done.stderr


@pytest.fixture
def elsewhere(monkeypatch):
    """No Python of the course on this computer, unless the test puts one there; what would run is kept."""
    self = types.SimpleNamespace(ran=[], here=[], fetched=None, machine=None)
    monkeypatch.setattr(start, "other_pythons", lambda: iter(self.here))
    monkeypatch.setattr(start, "usable", lambda python: None if python == "/old" else python)
    monkeypatch.setattr(start, "fetch_python", lambda: self.fetched)
    monkeypatch.setattr(start, "wrong_machine", lambda *_: self.machine)
    monkeypatch.setattr(start, "run", lambda command: self.ran.append(command) or 7)
    return self


def test_the_first_usable_python_goes_on_with_the_same_arguments(elsewhere, capsys):
    elsewhere.here = ["/old", "/a", "/b"]
    assert start.go_on_with_another_python("Python 3.9?", ["test", "-x"]) == 7
    assert elsewhere.ran == [["/a", str(ROOT / "start.py"), "test", "-x"]]
    said = capsys.readouterr().out
    assert said.endswith("going on with /a.\n") and said.count("\n") == 1


def test_a_python_is_fetched_only_if_none_is_here_and_one_could_help(elsewhere):
    elsewhere.fetched = "/uv"
    assert start.go_on_with_another_python("Python 3.9?", []) == 7 and elsewhere.ran[0][0] == "/uv"
    elsewhere.machine = "no packages for this computer"
    assert says(start.go_on_with_another_python, "no packages for this computer", []) == elsewhere.machine
    elsewhere.machine, elsewhere.fetched = None, None
    assert says(start.go_on_with_another_python, "Python 3.9?", []) == "Python 3.9?"


@pytest.mark.skipif(os.name == "nt", reason="a shell script plays uv")
def test_uv_fetches_a_python_into_the_folder_of_the_course(home, monkeypatch, capsys):
    version = "{}.{}".format(*start.PYTHONS[0])
    executable(home / "bin/uv", f"""#!/bin/sh
[ "$*" = "python install --quiet {version}" ] || exit 2
/bin/mkdir -p "$UV_PYTHON_INSTALL_DIR/cpython-{version}.1-x/bin"
/bin/ln -s {sys.executable} "$UV_PYTHON_INSTALL_DIR/cpython-{version}.1-x/bin/python3"
""")  # fmt: skip
    assert start.fetch_python() and start.FETCHED.exists()
    assert f"Python {version}, fetched by uv ..." in capsys.readouterr().out
    shutil.rmtree(start.FETCHED)
    executable(home / "bin/uv", "#!/bin/sh\n/bin/mkdir -p $UV_PYTHON_INSTALL_DIR/.temp; echo 'no way' >&2; exit 1")
    assert start.fetch_python() is None and not start.FETCHED.exists()


@pytest.mark.parametrize(
    ("folder", "words"),
    [("/home/a/2026:27", "has a ':' in its name"), ("/home/a/caf\udce9", "letters in its name that are not UTF-8")],
)
def test_folders_in_which_nothing_can_be_set_up(monkeypatch, folder, words):
    monkeypatch.setattr(start, "ROOT", Path(folder))
    monkeypatch.setattr(start.os, "pathsep", ":")
    for arguments in ([], ["test"], ["check"]):
        sentence = says(start.main, arguments)
        assert words in sentence and sentence.isprintable() and "rename it" in sentence
    assert start.misnamed("/home/ä/a course, 🙂 'quoted'") is None


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows do not let such folders be made")
@pytest.mark.parametrize("name", [b"a:b", b"caf\xe9"])
def test_such_folders_really(tmp_path, name):
    folder = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(folder)
    for file in ("start.py", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / file, folder + b"/" + file.encode())
    done = subprocess.run([sys.executable, "start.py"], cwd=folder, capture_output=True, timeout=LIMIT)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"rename it" in done.stderr and not done.stdout


def test_only_the_standard_library_is_imported():
    import ast

    tree = ast.walk(ast.parse((ROOT / "start.py").read_text(encoding="utf-8")))
    names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


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
        ("OSError: [Errno 122] Disk quota exceeded", None, "disk is full"),
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
def course(tmp_path, monkeypatch, capsys):
    """start.py in a course of its own, in a folder with a space; the environment, uv and pip are played: `course.asked`
    are the argument lists, `course.answers` what is complained of, in turn (uv itself always comes)."""
    root = tmp_path / "a course"
    root.mkdir()
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    self = types.SimpleNamespace(root=root, asked=[], answers=[], made=[], sticks=[])
    packages = root / ".venv" / ("Lib" if os.name == "nt" else "lib/python3.11") / "site-packages"
    self.origin = packages / "course_utils-0.1.0.dist-info/direct_url.json"
    self.said = lambda: capsys.readouterr().out
    monkeypatch.setattr(start, "ROOT", root)
    monkeypatch.setattr(start, "ENV", root / ".venv")
    monkeypatch.setattr(start, "PYTHON", root / ".venv/bin/python")

    def create(folder, **options):
        self.made.append(options)
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin/python").touch()
        (folder / "pyvenv.cfg").write_text(f"home = {tmp_path}\nversion = 3.11.7\n")
        self.origin.parent.mkdir(parents=True, exist_ok=True)
        self.origin.write_text('{"url": "file:///a%20course", "dir_info": {"editable": true}}')

    def fetch(*arguments, stick=None):
        assert not list((root / ".venv").glob("*.stamp")), "the stamps must go before anything is fetched"
        self.asked.append(arguments)
        self.sticks.append(stick)
        return self.answers.pop(0) if self.answers else None

    monkeypatch.setattr(start.venv, "create", create)
    monkeypatch.setattr(start, "pip", lambda *arguments, stick=None: None)
    monkeypatch.setattr(start, "fetch", fetch)
    monkeypatch.setattr(start, "half_made", lambda: not (root / ".venv/pyvenv.cfg").exists())
    monkeypatch.setattr(start.platform, "system", lambda: "Linux")
    monkeypatch.setattr(start.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=20e9))
    return self


def test_the_first_start_sets_up_and_the_next_knows_it(course):
    assert not start.ready("course")
    start.set_up("course")
    assert [arguments[-1] for arguments in course.asked] == [TORCH, "setuptools", "."]
    assert start.ready("course") and not start.ready("test")
    start.set_up("course", "test")  # adds to the same environment
    assert len(course.made) == 1 and course.asked[-1][-1] == ".[test]"
    assert start.ready("test") and start.ready("course") and not start.ready("course", "pretrained")
    start.set_up("course", "test", "pretrained")
    assert course.asked[-1][-1] == ".[test,pretrained]" and start.ready("course", "pretrained")


def test_one_part_of_another_make_is_not_ready(course):
    start.set_up("course", "test")
    (course.root / ".venv/test.stamp").write_text("of yesterday")
    assert start.ready("course") and not start.ready("test")
    assert not start.ready("course", "test") and not start.ready("test", "course")


def test_a_second_start_starts_no_python(course, monkeypatch):
    start.set_up("course")
    monkeypatch.setattr(start.subprocess, "run", None)
    monkeypatch.setattr(start, "ask_environment", None)
    monkeypatch.setattr(start, "run", lambda command: 5)
    monkeypatch.setattr(start, "copy_notebooks", lambda: [])
    assert start.main([]) == 5 and len(course.asked) == 3


@pytest.mark.parametrize("change", ["lock", "project", "python", "python gone", "home gone", "moved", "other"])
def test_what_the_environment_was_made_from_is_watched(course, change, monkeypatch):
    start.set_up("course")
    environment = course.root / ".venv"
    if change in ("lock", "project"):
        path = course.root / {"lock": "requirements.lock", "project": "pyproject.toml"}[change]
        path.write_text(path.read_text() + "# another\n")
    elif change == "python":
        (environment / "pyvenv.cfg").write_text(f"home = {course.root}\nversion = 3.12.1\n")
    elif change == "python gone":
        (environment / "bin/python").unlink()
    elif change == "home gone":  # where python is a launcher of its own, as on Windows
        (environment / "pyvenv.cfg").write_text("home = /gone\n")
        (environment / "course.stamp").write_text(start.fingerprint())
    elif change == "other":  # somebody installed another copy of the course with this environment's pip
        course.origin.write_text('{"url": "file:///another", "dir_info": {"editable": true}}')
    else:
        monkeypatch.setattr(start, "ROOT", shutil.copytree(course.root, course.root.parent / "moved"))
        monkeypatch.setattr(start, "ENV", start.ROOT / ".venv")
        monkeypatch.setattr(start, "PYTHON", start.ENV / "bin/python")
    assert not start.ready("course")


def test_an_interrupted_set_up_is_not_ready_and_is_gone_on_with(course):
    course.answers = [None, None, "ERROR: Connection reset by peer"]
    assert "connect to the network" in says(start.set_up, "course")
    assert not start.ready("course") and not list((course.root / ".venv").glob("*.stamp"))
    start.set_up("course")
    assert start.ready("course") and len(course.made) == 1, "it goes on in the same environment"


def test_progress_says_what_is_done_and_for_how_long(course):
    start.set_up("course")
    lines = course.said().splitlines()
    assert str(course.root) in lines[0] and "Python 3." in lines[0] and re.fullmatch(r"Ready after \d+ s\.", lines[-1])
    steps = [re.fullmatch(r"  (\S.*) \.\.\. \d+ s", line)[1] for line in lines[1:-1]]
    assert steps == ["an empty environment", "uv, which fetches the rest", TORCH, "everything else"]


def test_on_a_terminal_the_seconds_run(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", out := Terminal())
    wait = start.threading.Event.wait
    monkeypatch.setattr(start.threading.Event, "wait", lambda self, limit=None: wait(self, limit and limit / 100))
    with start.step("waiting"):
        for _ in range(500):  # 5 s at most
            if out.getvalue().count("\r") >= 3:
                break
            time.sleep(0.01)
    said = out.getvalue()
    assert said.count("\r  waiting ... 0 s") >= 3 and said.endswith(" s\n") and said.count("\n") == 1
    with contextlib.suppress(ValueError), start.step("failing"):
        raise ValueError
    assert out.getvalue().endswith(" s\n"), "what fails ends its line too"


LOCAL = ("--no-deps", "--no-index", TORCH)
CPU = ("--no-deps", "--index-url", "https://download.pytorch.org/whl/cpu", TORCH)
NONE = f"ERROR: No matching distribution found for {TORCH}"


@pytest.mark.parametrize(
    ("system", "answers", "asked"),
    [
        ("Linux", [], [LOCAL]),
        ("Linux", [NONE], [LOCAL, CPU]),
        ("Darwin", [NONE], [LOCAL, ("--no-deps", TORCH)]),
        ("Windows", [NONE], [LOCAL, ("--no-deps", TORCH)]),
        ("Linux", [NONE, UNREACHABLE], [LOCAL, CPU, ("--dry-run", "--no-deps", TORCH),
                                        ("--constraint", "requirements.lock", TORCH)]),
    ],
)  # fmt: skip
def test_torch_comes_from_this_computer_the_index_of_cpu_builds_or_a_mirror(course, system, answers, asked):
    course.answers = answers
    assert start.install_torch(TORCH, system) is None and course.asked == asked
    said = course.said()
    assert ("CUDA" in said) == (len(asked) == 4)
    if len(asked) == 4:  # one line: what it brings, how to avoid it
        (line,) = [line for line in said.splitlines() if "CUDA" in line]
        assert "up to 6 GB" in line and "PIP_FIND_LINKS" in line and TORCH in line


def test_cuda_is_not_announced_where_the_package_index_is_out_of_reach_too(course):
    course.answers = [NONE, UNREACHABLE, UNREACHABLE]
    assert "connect to the network" in says(start.set_up, "course")
    assert len(course.asked) == 3 and "CUDA" not in course.said()


def test_cuda_needs_more_room(course, monkeypatch):
    course.answers = [NONE, UNREACHABLE]
    monkeypatch.setattr(start.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=5e9))
    assert "needs about 9 GB" in says(start.set_up, "course") and "CUDA" not in course.said()


def test_a_stick_without_packages_or_without_the_right_ones(course, tmp_path):
    assert "holds no packages" in says(start.set_up, "course", stick=tmp_path)
    (tmp_path / "numpy-1.0-py3-none-any.whl").touch()
    course.answers = [NONE]
    assert f"{tmp_path} does not hold {TORCH}" in says(start.set_up, "course", stick=tmp_path)
    assert len(course.asked) == 1, "with a stick the network is not asked"
    start.set_up("course", stick=tmp_path)
    assert set(course.sticks) == {tmp_path}


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


def test_an_unsupported_python_makes_nothing_unless_all_is_ready(course, elsewhere, monkeypatch):
    monkeypatch.setattr(start, "unsupported", lambda: "Python 3.9?")
    assert says(start.main, []) == "Python 3.9?" and not course.made
    elsewhere.here = ["/a"]
    assert start.main(["--port", "8889"]) == 7 and not course.made
    assert elsewhere.ran == [["/a", str(course.root / "start.py"), "--port", "8889"]]
    start.set_up("course")
    monkeypatch.setattr(start, "copy_notebooks", lambda: [])
    assert start.main([]) == 7 and elsewhere.ran[-1][1:3] == ["-m", "jupyterlab"], "all is set up"


# ------------------------------------------------------------------------------------------------------- uv and pip

CONFIG = """:env:.default-timeout='180'
:env:.find-links='/wheels https://mirror/wheels'
download.timeout='1'
global.cert='/etc/ssl/own.crt'
global.constraint='/etc/c.txt'
global.extra-index-url='\\nhttps://mirror/b\\nfile:///c'
global.find-links='/other'
global.index-url='https://mirror/simple'
install.trusted-host='mirror'
global.timeout='9'
global.proxy='user:word@proxy:3128'
"""


def test_pip_s_settings_in_uv_s_words():
    """uv reads neither pip.conf nor PIP_*: a mirror, a proxy, a company's certificate would be lost."""
    assert start.uv_settings(CONFIG, {}) == {
        "UV_DEFAULT_INDEX": "https://mirror/simple", "UV_INDEX": "https://mirror/b file:///c",
        "UV_INDEX_STRATEGY": "unsafe-best-match", "UV_FIND_LINKS": "/wheels,https://mirror/wheels",
        "UV_CONSTRAINT": "/etc/c.txt", "UV_INSECURE_HOST": "mirror", "UV_HTTP_TIMEOUT": "180",
        "HTTP_PROXY": "http://user:word@proxy:3128", "HTTPS_PROXY": "http://user:word@proxy:3128",
        "SSL_CERT_FILE": "/etc/ssl/own.crt"}  # fmt: skip


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, {"UV_SYSTEM_CERTS": "true"}),
        ({"REQUESTS_CA_BUNDLE": "/a.pem"}, {"SSL_CERT_FILE": "/a.pem"}),
        ({"CURL_CA_BUNDLE": "/a.pem"}, {"SSL_CERT_FILE": "/a.pem"}),
        ({"REQUESTS_CA_BUNDLE": str(ROOT)}, {"SSL_CERT_DIR": str(ROOT)}),
        ({"REQUESTS_CA_BUNDLE": "/a.pem", "SSL_CERT_FILE": "/b.pem"}, {}),
    ],
)
def test_certificates(env, expected):
    assert start.uv_settings("", env) == expected


def test_what_is_said_to_uv_itself_stands():
    env = {"UV_DEFAULT_INDEX": "https://mine", "UV_HTTP_TIMEOUT": "5", "https_proxy": "http://p"}
    settings = start.uv_settings(CONFIG, env)
    assert not settings.keys() & env.keys() and "HTTPS_PROXY" not in settings and "HTTP_PROXY" in settings
    older = start.uv_settings(CONFIG, {"UV_INDEX_URL": "https://mine"})
    assert not {"UV_DEFAULT_INDEX", "UV_INDEX"} & older.keys()


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """uv and pip are scripts that write down how they are called; they fail where a file of their name says so."""
    monkeypatch.setattr(start, "ENV", tmp_path)
    for name, path in (("PYTHON", "python"), ("UV", "uv")):
        monkeypatch.setattr(start, name, executable(tmp_path / path, f"""#!/bin/sh
case "$*" in *"config list"*) echo "global.extra-index-url='https://extra'"; exit;; esac
echo "{path} $* [$UV_INDEX]" >> {tmp_path}/calls
echo "{path} complains" >&2
[ ! -e {tmp_path}/{path}.fails ]
"""))  # fmt: skip
    self = types.SimpleNamespace(folder=tmp_path)
    self.calls = lambda: [line for line in (tmp_path / "calls").read_text().splitlines()]
    self.tried = lambda: [line.split()[0] for line in self.calls()]
    return self


@pytest.mark.skipif(os.name == "nt", reason="shell scripts play uv and pip")
def test_uv_fetches_and_pip_helps_where_it_cannot(tools):
    assert start.fetch("numpy") is None and tools.tried() == ["uv"]
    assert tools.calls()[0].endswith("numpy [https://extra]") and "--python" in tools.calls()[0]
    assert "uv complains" in (tools.folder / "setup.log").read_text(), "setup.log is what a helper asks for"
    (tools.folder / "uv.fails").touch()
    assert start.fetch("numpy") is None and tools.tried() == ["uv", "uv", "python"]
    (tools.folder / "python.fails").touch()
    assert start.fetch("numpy") == "python complains\n"
    start.UV.unlink()
    assert start.fetch("numpy") == "python complains\n"
    assert tools.tried() == ["uv", "uv", "python", "uv", "python", "python"]


@pytest.mark.skipif(os.name == "nt", reason="shell scripts play uv and pip")
def test_where_one_index_is_named_no_other_comes_before_it(tools):
    """Else uv takes a CUDA build of torch from the extra index of pip's configuration."""
    for arguments, stick in ((CPU, None), (LOCAL, None), (["numpy"], tools.folder)):
        start.fetch(*arguments, stick=stick)
        assert tools.calls()[-1].endswith("[]"), arguments


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
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=LIMIT)
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
    assert start.pip("--no-deps", "pip") is None
    complaint = start.pip("--no-deps", "no-such-package", stick=tmp_path)
    assert "No matching distribution found for no-such-package" in complaint
    assert "does not hold no-such-package" in start.sentence(complaint, tmp_path)
    assert (tmp_path / "setup.log").exists()


def test_the_real_uv_takes_every_word_that_start_py_says_to_it(monkeypatch, tmp_path):
    """With what is installed already, and with a stick that is empty."""
    if not (uv := Path(sys.executable).with_name(start.UV.name)).exists():
        pytest.skip("pip set this environment up: there is no uv")
    monkeypatch.setattr(start, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(start, "UV", uv)
    monkeypatch.setattr(start, "ENV", tmp_path)
    monkeypatch.setattr(start, "pip", lambda *_, stick: "uv failed")
    (tmp_path / "none").mkdir()
    words = ("--dry-run", "--no-deps", "--no-index", "--constraint", str(ROOT / "requirements.lock"), TORCH)
    assert start.fetch(*words, stick=None) is None
    assert start.fetch("--no-deps", "no-such-package", stick=tmp_path / "none") == "uv failed"
    log = (tmp_path / "setup.log").read_text()
    assert "no-such-package was not found" in log and "unexpected argument" not in log


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
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")  # drops every assert of the notebooks
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # uv compiles nothing: every start would compile all of torch
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    env = start.course_environment()
    assert env["OMP_NUM_THREADS"] == "1" and env["JUPYTER_PREFER_ENV_PATH"] == env["PYTHONUTF8"] == "1"
    assert not {"PYTHONPATH", "PYTHONOPTIMIZE", "PYTHONDONTWRITEBYTECODE"} & env.keys()
    assert env["PATH"].split(os.pathsep)[0] == str(start.PYTHON.parent)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert start.course_environment()["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHOME", "PYTHONOPTIMIZE", "PYTHONDONTWRITEBYTECODE"])
def test_what_would_lead_the_environments_python_astray_is_not_inherited(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PYTHONWARNINGS", "default")  # the reader's own, harmless
    assert name not in start.course_environment() and start.course_environment()["PYTHONWARNINGS"] == "default"


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """What main would set up and run."""
    done = []
    monkeypatch.setattr(start, "set_up", lambda *parts, stick: done.append((*parts, stick)))
    monkeypatch.setattr(start, "run", lambda command: done.append(command[1:]) or 3)
    monkeypatch.setattr(start, "copy_notebooks", lambda: done.append("copied") or [])
    monkeypatch.setattr(start, "ask_environment", lambda: start.State("3.11.7", Path(), Path()))
    monkeypatch.setattr(start, "ready", lambda *_: False)
    monkeypatch.setattr(start, "unsupported", lambda: None)
    return done


def test_the_commands(ran, tmp_path):
    lab = ["-m", "jupyterlab", f"--ServerApp.root_dir={ROOT / 'my_notebooks'}"]
    for arguments, expected in [
        ([], [("course", None), "copied", lab]),
        (["--no-browser"], [("course", None), "copied", [*lab, "--no-browser"]]),
        (["--port", "8889"], [("course", None), "copied", [*lab, "--port", "8889"]]),
        (["lab", "--port", "8889", "--debug"], [("course", None), "copied", [*lab, "--port", "8889", "--debug"]]),
        (["--pretrained", "--port", "8889"], [("course", "pretrained", None), "copied", [*lab, "--port", "8889"]]),
        (["--find-links", str(tmp_path)], [("course", tmp_path), "copied", lab]),
        (["--find-links", str(tmp_path), "test", "-x"], [("course", "test", tmp_path), [*start.PYTEST, "-x"]]),
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


def test_a_mistyped_command():
    assert "no command 'chekc': it is one of lab, check, test, handout" in says(start.main, ["chekc"])


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
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
