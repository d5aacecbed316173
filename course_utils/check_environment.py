"""One OK or FAIL line per requirement of the course, each FAIL with its remedy: what to send when asking for help.

    python3 start.py check          (the same: python -m course_utils.check_environment, with the course's own Python)

Exit status 1 if a line fails. Nothing here imports what it checks before it has looked whether it is there.
"""

import ast
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata, util
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
AGAIN = "run: python3 start.py (it brings .venv up to date)"
MEMORY, DISK = 2e9, 5e8  # bytes that a notebook and JupyterLab want free


class Line(NamedTuple):
    ok: bool
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"OK    {self.what}" if self.ok else f"FAIL  {self.what}\n      -> {self.remedy}"


def pythons() -> list[int]:
    """The minor versions of Python 3 that pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    first, end = re.findall(r"3\.(\d+)", project["requires-python"])  # ">=3.11,<3.15"
    return list(range(int(first), int(end)))


def python(version: tuple[int, ...] = sys.version_info[:3], wide: bool = sys.maxsize > 2**32) -> Iterator[Line]:
    """One of those of the course, 64 bit."""
    ok = version[0] == 3 and version[1] in pythons() and wide
    name = f"Python {'.'.join(map(str, version))}, {'64' if wide else '32'}-bit, on {platform.platform()}"
    *some, last = (f"3.{minor}" for minor in pythons())
    yield Line(ok, name, f"install a 64-bit Python {', '.join(some)} or {last} from python.org, delete .venv, run it "
               "on start.py")  # fmt: skip


def asserts(optimize: int = sys.flags.optimize) -> Iterator[Line]:
    """The asserts of the notebooks are checked, not dropped."""
    what = "every assert is dropped (PYTHONOPTIMIZE, -O)" if optimize else "asserts are checked"
    yield Line(not optimize, what, "unset PYTHONOPTIMIZE and start Python without -O: else nobody checks the claims")


def environment(prefix: Path = Path(sys.prefix), installed: bool | None = None) -> Iterator[Line]:
    """This course's .venv, or an environment of one's own (conda, JupyterHub) into which the course was installed."""
    if installed is None:
        places = (d.locate_file("") for d in metadata.distributions() if d.metadata["Name"] == "course-utils")
        installed = any(prefix in Path(place).parents for place in places)  # not the folder that is worked in
    ok = prefix == ROOT / ".venv" or installed
    yield Line(ok, f"environment {prefix}", "run: python3 start.py check (the course's own Python must answer)")


def direct(lock: str) -> dict[str, str]:
    """{package: version} of the direct dependencies of the course: those the lock explains in its first part."""
    return dict(re.findall(r"^# .*\n([\w.-]+)==(\S+)", lock.split("# --- what only its tests")[0], re.M))


def allows(requirement: str, version: str) -> bool:
    """Does a line of pyproject.toml allow this version? Without `packaging` (JupyterLab brings it): no."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return False
    return Requirement(requirement).specifier.contains(version)


LOST = {  # what is not compared, or may come out otherwise, with another version than the one of the lock
    "matplotlib": "pictures are not compared with the stored ones",
    "torch": "trained results differ: run the tests with --nbval-lax, which compares no outputs",
    "numpy": "generated data and printed figures may differ: --nbval-lax",
    "scikit-learn": "projections to the plane may differ: --nbval-lax",
    "scipy": "printed figures may differ in their last digits: --nbval-lax",
    "ipywidgets": "the stored text of widgets may differ: --nbval-lax",
    "sacrebleu": "BLEU may differ from the scoreboard's",
}


def packages(lock: str | None = None, version: Callable[[str], str] = metadata.version) -> Iterator[Line]:
    """Every direct dependency: at the version of the lock, or at another one that pyproject.toml allows, with what that
    loses. start.py brings those of the lock."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8") if lock is None else lock
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ranges = {re.match(r"[\w.-]+", line)[0].lower(): line for line in project["dependencies"]}
    for name, wanted in direct(lock).items():
        try:
            found = version(name)
        except metadata.PackageNotFoundError:
            if name in ranges:  # the others are start.py's own tools
                yield Line(False, f"{name} is missing, {wanted} is needed", AGAIN)
            continue
        if found.split("+")[0] == wanted:  # 2.13.0+cpu is 2.13.0
            yield Line(True, f"{name} {found}")
        elif name not in ranges or allows(ranges[name], found):
            lost = LOST.get(name, "")
            yield Line(True, f"{name} {found} (tested most: {wanted}{'; ' * bool(lost)}{lost})")
        else:
            yield Line(False, f"{name} {found}, {wanted} is needed", AGAIN)


def torch_works() -> Iterator[Line]:
    """torch computes, with one thread."""
    try:
        import torch

        total, threads = (torch.arange(4.0) @ torch.ones(4)).item(), torch.get_num_threads()
    except Exception as error:  # a broken library fails in many ways
        yield Line(False, f"torch does not work: {type(error).__name__}: {error}",
                   f"delete the folder {ROOT / '.venv'}, then {AGAIN}; on Windows first install the Microsoft Visual "
                   "C++ Redistributable (x64)")  # fmt: skip
        return
    yield Line(total == 6 and threads == 1, f"torch computes with {threads} thread{'s' * (threads > 1)}",
               "unset OMP_NUM_THREADS or set it to 1: more threads make small models several times slower")  # fmt: skip


def own_package(where: str | None = None) -> Iterator[Line]:
    """A program started anywhere imports this folder's course_utils."""
    if where is None:
        code = "import importlib.util as u; s = u.find_spec('course_utils'); print(s.origin if s else '')"
        command = [sys.executable, "-I", "-X", "utf8", "-c", code]
        where = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tempfile.gettempdir()).stdout.strip()
    ok = bool(where) and Path(where).resolve() == ROOT / "course_utils" / "__init__.py"
    yield Line(ok, f"course_utils comes from {Path(where).parent if where else 'nowhere'}",
               f"it must come from {ROOT}: {AGAIN} in that folder")  # fmt: skip


def data(folder: Path = ROOT / "data") -> Iterator[Line]:
    """Every file that data/README.md lists is there, with its SHA-256."""
    listed, remedy = folder / "README.md", "get the folder data/ anew: git checkout -- data, or unpack the course again"
    text = listed.read_text(encoding="utf-8") if listed.exists() else ""
    rows, wrong = re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", text, re.M), []
    for name, wanted in rows:
        path = folder / name
        if not path.is_file():
            wrong.append(Line(False, f"data/{name} is missing", remedy))
        elif hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
            wrong.append(Line(False, f"data/{name} is not the file it was (SHA-256 differs)", remedy))
    yield from wrong
    if not rows:
        yield Line(False, f"{listed} is missing or lists no files", remedy)
    elif not wrong:
        yield Line(True, f"data: {len(rows)} files, each with its checksum")


def kernel(name: str = "python3") -> Iterator[Line]:
    """The kernel that JupyterLab starts for a notebook is this Python, and it imports this course_utils."""
    remedy = "open JupyterLab by: python3 start.py, not from another Jupyter; if that fails, delete .venv and try again"
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    try:
        from jupyter_client.manager import start_new_kernel

        begin = time.perf_counter()
        manager, client = start_new_kernel(
            kernel_name=name, startup_timeout=60, cwd=tempfile.gettempdir(), stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            reply = client.execute_interactive(
                "import sys, importlib.util as u; s = u.find_spec('course_utils')", timeout=60, store_history=False,
                user_expressions={"python": "sys.executable", "package": "s and s.origin"})  # fmt: skip
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        said = reply["content"]["user_expressions"]
        runs, package = (Path(ast.literal_eval(said[key]["data"]["text/plain"]) or "") for key in ("python", "package"))
    except Exception as error:  # no kernel, no answer, no permission: all the same to the student
        yield Line(False, f"the kernel {name!r} does not start: {type(error).__name__}: {error}", remedy)
        return
    ok = runs.parent == Path(sys.executable).parent and package.resolve() == ROOT / "course_utils" / "__init__.py"
    took = f" (started in {time.perf_counter() - begin:.1f} s)"
    wrong = f", which is not this course's: course_utils is {package}"
    yield Line(ok, f"kernel {name!r} runs {runs}{took if ok else wrong}", remedy)


def widgets(prefix: Path = Path(sys.prefix)) -> Iterator[Line]:
    """JupyterLab has the extension that shows sliders."""
    extension = prefix / "share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager/package.json"
    yield Line(extension.exists(), f"widget extension of JupyterLab{'' if extension.exists() else ' is not installed'}",
               f"without it sliders are text: delete the folder {ROOT / '.venv'}, then {AGAIN}")  # fmt: skip


def room(free: float | None = None, memory: float | None = None) -> Iterator[Line]:
    """Disk and memory."""
    free = shutil.disk_usage(ROOT).free if free is None else free
    yield Line(free > DISK, f"{free / 1e9:.1f} GB of disk are free", "free at least 0.5 GB")
    if memory is None and util.find_spec("psutil"):
        import psutil

        memory = psutil.virtual_memory().available
    if memory is not None:
        yield Line(memory > MEMORY, f"{memory / 1e9:.1f} GB of memory are free",
                   "close other programs: a notebook and JupyterLab want about 2 GB")  # fmt: skip


def writable(folder: Path = ROOT) -> Iterator[Line]:
    """Notebooks can be saved."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        yield Line(True, f"{folder} can be written to")
    except OSError as error:
        yield Line(False, f"{folder} cannot be written to ({error.strerror})", "copy the course to a folder of yours")


CHECKS = (python, asserts, environment, packages, torch_works, own_package, data, kernel, widgets, room, writable)


def main() -> int:
    failed = 0
    if not (ROOT / "pyproject.toml").is_file():
        print(Line(False, f"the course's files are not here: course_utils was installed alone, in {ROOT}",
                   "get a copy of the course and start it with: python3 start.py"))  # fmt: skip
        return 1
    for check in CHECKS:
        for line in check():
            print(line, flush=True)
            failed += not line.ok
    print(f"\n{failed} of these fail." if failed else "\nAll is well.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
