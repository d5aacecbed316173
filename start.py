#!/usr/bin/env python3
"""Set the course up and open it (Linux, macOS, Windows; Python 3.11 to 3.13).

    python3 start.py                      JupyterLab on my_notebooks/, your own copy of the notebooks
    python3 start.py check                one OK or FAIL line per requirement: send it when you ask for help
    python3 start.py test [pytest args]   every test and every notebook
    python3 start.py handout [FOLDER]     the student edition (no solutions, no outputs), ready to be zipped

    --find-links FOLDER                   set up from the packages in FOLDER (a stick), without network
    --pretrained                          set up a pretrained model too (0.2 GB more), for the cells that can use one
"""
# Standard library only. Everything goes into .venv beside this file; the second start finds it ready.

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENV = ROOT / ".venv"
PYTHON = ENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"  # on Linux the ordinary torch brings gigabytes of CUDA
ROOM = 2.5e9  # bytes a first set-up needs: 1.6 GB stay, the rest is unpacking

PYTHONS = ((3, 11), (3, 12), (3, 13))
PYTEST = ("-m", "pytest", "-n", "2")  # two processes
MACHINES = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",), "Windows": ("AMD64",)}  # torch has packages for these
WRONG_PYTHON = ("Python 3.11, 3.12 or 3.13 (64-bit) is needed, this is {}: install one from python.org and start with "
                "it, for instance: python3.12 start.py (Windows: py -3.12 start.py).")
WRONG_MACHINE = ("PyTorch has no packages for {}: use 64-bit Linux, macOS 14 or later on Apple silicon, 64-bit "
                 "Windows, or a Binder or JupyterHub made from environment.yml.")
NO_VENV = ("This Python cannot make environments (venv, ensurepip): on Debian or Ubuntu install python3-venv "
           "(sudo apt install python3-venv), elsewhere use Python from python.org.")
FULL = "The disk is full: a first set-up needs about 2.5 GB in {}. Free some room and start again."
FOLDER = "The folder {} cannot be written to: copy the course to a folder of your own and start there."
LONG = "The path {} is too long for Windows: move the course to a short one, such as C:\\course."
NETWORK = ("The packages could not be fetched: connect to the network (and log in to it) and start again, or set up "
           "from a stick: python3 start.py --find-links FOLDER.")
NOT_ON_STICK = ("{} does not hold {} for this computer: fill it as README.md says, on the same kind of computer and "
                "with the same Python version.")
OTHER = "pip could not install the packages ({}): start again; if that does not help, ask for help with {}."


def unsupported(python=sys.version_info, implementation=sys.implementation.name, wide=sys.maxsize > 2**32,
                system: str | None = None, machine: str | None = None, release: str | None = None) -> str | None:
    """The sentence that says why this Python or computer cannot run the course; None if it can.
    `release` is that of macOS ("14.5") or, on Linux, of the C library ("glibc 2.36")."""
    system, machine = system or platform.system(), machine or platform.machine()
    if release is None:
        release = platform.mac_ver()[0] if system == "Darwin" else " ".join(platform.libc_ver())
    number = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    if implementation != "cpython" or tuple(python[:2]) not in PYTHONS or not wide:
        return WRONG_PYTHON.format(f"{implementation} {python[0]}.{python[1]} ({64 if wide else 32}-bit)")
    if machine not in MACHINES.get(system, ()):
        return WRONG_MACHINE.format(f"{system} on {machine}")
    if system == "Darwin" and number < (14,):
        return WRONG_MACHINE.format(f"macOS {release}")
    if system == "Linux" and not (release.startswith("glibc") and number >= (2, 28)):
        return WRONG_MACHINE.format(f"Linux with {release.strip() or 'musl'} (glibc 2.28 or later is needed)")
    return None


def sentence(complaint: str, stick: Path | None = None) -> str:
    """The one sentence for what pip wrote before it gave up."""
    missing = re.search(r"No matching distribution found for (\S+)", complaint)
    if re.search(r"No space left|not enough space on the disk|Errno 28\b", complaint):
        return FULL.format(ROOT)
    if re.search(r"Long Path support|path is too long", complaint):
        return LONG.format(ROOT)
    if re.search(r"Permission denied|Access is denied|Read-only file system", complaint):
        return FOLDER.format(ROOT)
    if missing and stick:
        return NOT_ON_STICK.format(stick, missing[1])
    if re.search(r"new connection|name resolution|getaddrinfo|unreachable|timed out|Max retries|ProxyError|SSLError|"
                 r"CERTIFICATE|[Cc]onnection (refused|aborted|reset|broken)|IncompleteRead|HTTP error", complaint):
        return NETWORK
    return OTHER.format((complaint.strip().splitlines() or ["it said nothing"])[-1], ENV / "setup.log")


# What the environment's Python says of itself: its version, its site-packages, course_utils' __init__.py (or "None").
State = namedtuple("State", "python packages course_utils")
ASK = ("import platform, sysconfig, importlib.util as u; s = u.find_spec('course_utils'); "
       "print(platform.python_version(), sysconfig.get_paths()['purelib'], s and s.origin, sep='\\n')")


def ask_environment() -> State | None:
    """None if there is no environment, or if it does not run, or runs another Python than the course can use."""
    command = [str(PYTHON), "-I", "-X", "utf8", "-c", ASK]
    try:
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None
    state = State(answer[0], Path(answer[1]), Path(answer[2]))
    return state if tuple(map(int, state.python.split(".")[:2])) in PYTHONS else None


def fingerprint(python: str) -> str:
    """What an environment is made from: the versions, the Python and the place. If it changes: set up again."""
    digest = hashlib.sha256(f"{python} {ROOT}".encode())
    for name in ("requirements.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def ready(*parts: str) -> bool:
    """Are these parts ("course", "test", "pretrained") complete, and do they use this folder's course_utils?"""
    stamps, state = [ENV / f"{part}.stamp" for part in parts], ask_environment()
    return (state is not None and all(s.exists() and s.read_text() == fingerprint(state.python) for s in stamps)
            and state.course_utils.resolve() == ROOT / "course_utils/__init__.py")


def half_made() -> bool:
    """Is there nothing that pip could go on from: no running Python, no pip, or a package copied only in part?"""
    state = ask_environment()
    if state is None or subprocess.run([PYTHON, "-I", "-m", "pip", "--version"], capture_output=True).returncode:
        return True
    return any(not (info / "RECORD").exists() for info in state.packages.glob("*.dist-info"))


def pip(*arguments: str, stick: Path | None = None) -> str | None:
    """`pip install` into the environment: None if it worked, else what pip complained of."""
    place = ["--no-index", "--find-links", str(stick)] if stick else []
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--log", str(ENV / "setup.log"), "install"]
    process = subprocess.Popen([*command, "--no-input", *place, *arguments], cwd=ROOT, stderr=subprocess.PIPE,
                               encoding="utf-8", errors="replace")
    complaint = process.communicate()[1]
    return complaint or "it said nothing" if process.returncode else None


def torch_attempts(lock: str, system: str, stick: Path | None = None) -> list[list[str]]:
    """Torch, the largest, comes before everything else: from this computer or the stick if it lies there, else from the
    network; on Linux from PyTorch's own index of CPU builds, because the ordinary package is a CUDA build there."""
    torch = re.search(r"^torch==\S+", lock, re.M)[0]
    network = ["--no-deps", *(["--index-url", TORCH_INDEX] if system == "Linux" else []), torch]
    return [["--quiet", "--no-deps", "--no-index", torch], *([] if stick else [network])]


def install(*parts: str, stick: Path | None = None) -> None:
    """Fill the environment. setuptools comes before the course: else an editable install asks the network for it."""
    lock, problem = (ROOT / "requirements.lock").read_text(encoding="utf-8"), None
    for attempt in torch_attempts(lock, platform.system(), stick):
        if not (problem := pip(*attempt, stick=stick)):
            break
    extras = ",".join(part for part in parts if part != "course")
    course = ["--no-build-isolation", "--editable", f".[{extras}]" if extras else "."]
    for arguments in (["setuptools"], course):
        problem = problem or pip("--quiet", "--constraint", "requirements.lock", *arguments, stick=stick)
    if problem:
        sys.exit(sentence(problem, stick))
    settings = ENV / "share/jupyter/lab/settings/overrides.json"  # no "would you like to receive news?" in class
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}')


def set_up(*parts: str, stick: Path | None = None) -> None:
    """Make .venv or bring it up to date, unless it is ready. Stamps go first, come last: interrupted, it is mended."""
    if ready(*parts):
        return
    if problem := unsupported():
        sys.exit(problem)
    if stick and not any(stick.glob("*.whl")):
        sys.exit(f"{stick} holds no packages (*.whl): name the folder that was filled as README.md says.")
    if not ENV.exists() and shutil.disk_usage(ROOT).free < ROOM:
        sys.exit(FULL.format(ROOT))
    print(f"Setting up {ENV}: once, a few minutes.", flush=True)
    for stamp in ENV.glob("*.stamp"):
        stamp.unlink()
    if half_made():
        try:
            venv.create(ENV, clear=True, with_pip=True, symlinks=os.name != "nt")
        except subprocess.CalledProcessError as error:
            sys.exit(FULL.format(ROOT) if b"No space left" in (error.output or b"") else NO_VENV)
    install(*parts, stick=stick)
    for part in parts:
        (ENV / f"{part}.stamp").write_text(fingerprint(ask_environment().python))


def copy_notebooks(source: Path = ROOT / "notebooks", mine: Path = ROOT / "my_notebooks") -> list[Path]:
    """Add to `mine` what it does not have yet, and say what. What is there is never touched, changed or not."""
    mine.mkdir(exist_ok=True)
    added = []
    for path in sorted(source.rglob("*")):
        target = mine / path.relative_to(source)
        if path.is_file() and ".ipynb_checkpoints" not in path.parts and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(target.name + ".part")  # never half a notebook
            shutil.copyfile(path, part)
            added.append(part.replace(target))
    return added


def lab_command(folder: Path, *arguments: str) -> list[str]:
    return [str(PYTHON), "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", *arguments]


def course_environment() -> dict[str, str]:
    """One torch thread; this environment's kernels and programs first; no modules from elsewhere; UTF-8 everywhere."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {"OMP_NUM_THREADS": "1", **env, "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONUTF8": "1",
            "PATH": f"{PYTHON.parent}{os.pathsep}{env.get('PATH', '')}"}


def run(command: list[str]) -> int:
    """Run to the end, give the exit status. Ctrl-C is the command's: JupyterLab asks whether to stop."""
    process = subprocess.Popen(command, cwd=ROOT, env=course_environment())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="lab", choices=("lab", "check", "test", "handout"))
    parser.add_argument("--find-links", metavar="FOLDER", type=lambda folder: Path(folder).resolve())
    parser.add_argument("--pretrained", action="store_true")
    given, rest = parser.parse_known_args(arguments)
    if given.what == "check":
        if ask_environment() is None:
            sys.exit("There is no environment yet, or it does not run: python3 start.py makes it.")
        return run([str(PYTHON), "-m", "course_utils.check_environment", *rest])
    if given.what != "lab" and not (ROOT / "tests").exists():
        sys.exit(f"This is the student edition: `{given.what}` works in the full course only.")
    set_up("course", *["test"] * (given.what != "lab"), *["pretrained"] * given.pretrained, stick=given.find_links)
    if given.what != "lab":
        return run([str(PYTHON), *(PYTEST if given.what == "test" else ["tests/handout.py"]), *rest])
    for path in copy_notebooks():
        print(f"Your copy: {path.relative_to(ROOT)}")
    return run(lab_command(ROOT / "my_notebooks", *rest))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("Interrupted: the next start goes on from here.")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        sys.exit((FULL if error.errno == errno.ENOSPC else FOLDER).format(ROOT))
