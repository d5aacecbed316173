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


def python(version: tuple[int, ...] = sys.version_info[:3], wide: bool = sys.maxsize > 2**32) -> Iterator[Line]:
    """3.11 to 3.13, 64 bit, and the course's own environment."""
    ok = (3, 11) <= tuple(version[:2]) <= (3, 13) and wide
    name = f"Python {'.'.join(map(str, version))}, {'64' if wide else '32'}-bit, on {platform.platform()}"
    yield Line(ok, name, "install a 64-bit Python 3.11, 3.12 or 3.13 from python.org, delete .venv, run it on start.py")


def environment(prefix: Path = Path(sys.prefix), conda: str | None = None) -> Iterator[Line]:
    """This course's .venv, or a conda environment."""
    conda = conda or os.environ.get("CONDA_PREFIX")
    ok = prefix == ROOT / ".venv" or (conda is not None and prefix == Path(conda))
    yield Line(ok, f"environment {prefix}", "run: python3 start.py check (the course's own Python must answer)")


def direct(lock: str) -> dict[str, str]:
    """{package: version} of the direct dependencies of the course: those the lock explains in its first part."""
    return dict(re.findall(r"^# .*\n([\w.-]+)==(\S+)", lock.split("# --- what only its tests")[0], re.M))


def packages(lock: str | None = None, version: Callable[[str], str] = metadata.version) -> Iterator[Line]:
    """Every direct dependency, at the version of the lock."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8") if lock is None else lock
    for name, wanted in direct(lock).items():
        try:
            found = version(name)
        except metadata.PackageNotFoundError:
            yield Line(False, f"{name} is missing, {wanted} is needed", AGAIN)
            continue
        ok = found.split("+")[0] == wanted  # 2.13.0+cpu is 2.13.0
        yield Line(ok, f"{name} {found}" + ("" if ok else f", {wanted} is needed"), AGAIN)


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


CHECKS = (python, environment, packages, torch_works, own_package, data, kernel, widgets, room, writable)


def main() -> int:
    failed = 0
    for check in CHECKS:
        for line in check():
            print(line, flush=True)
            failed += not line.ok
    print(f"\n{failed} of these fail." if failed else "\nAll is well.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
