#!/usr/bin/env python3
"""Set the course up and open it (Linux, macOS, Windows).

    python3 start.py [JupyterLab's args]  JupyterLab on my_notebooks/, your own copy of the notebooks
    python3 start.py check                one OK or FAIL line per requirement: send it when you ask for help
    python3 start.py test [pytest args]   every test and every notebook
    python3 start.py handout [FOLDER]     the student edition (no solutions, no outputs), ready to be zipped

    --find-links FOLDER                   set up from the packages in FOLDER (a stick), without network
    --pretrained                          set up a pretrained model too (0.2 GB more), for the cells that can use one
"""
# Standard library only, in words that Python 3.8 understands: it must get as far as looking for another Python.
# Everything goes into .venv beside this file; the second start finds it ready.

from __future__ import annotations

import argparse
import ast
import contextlib
import errno
import glob
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections import namedtuple
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENV = ROOT / ".venv"
WINDOWS = os.name == "nt"
PYTHON, UV = (ENV / (f"Scripts/{name}.exe" if WINDOWS else f"bin/{name}") for name in ("python", "uv"))
FETCHED = ROOT / ".python"  # where uv puts a Python, if none that the course can use is on the computer
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"  # on Linux the ordinary torch brings gigabytes of CUDA
ROOM, CUDA_ROOM = 2.5, 9  # GB that a first set-up needs: 1.6 (with CUDA 6) stay, the rest is unpacking

PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))  # best tested first; pyproject.toml and the READMEs say the same
COMMANDS = ("lab", "check", "test", "handout")
PYTEST = ("-m", "pytest", "-n", "2", "--durations", "10")  # two processes; the slowest ten are named
MACHINES = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",), "Windows": ("AMD64",)}  # torch has packages for these
*SOME, LAST = ("{}.{}".format(*version) for version in PYTHONS)
WRONG_PYTHON = (f"Python {', '.join(SOME)} or {LAST} (64-bit) is needed, this is {{}}, and no other was found here or "
                f"could be fetched: install one from python.org and start with it, for instance: python{LAST} start.py "
                f"(Windows: py -{LAST} start.py).")
WRONG_MACHINE = ("PyTorch has no packages for {}: use 64-bit Linux, macOS 14 or later on Apple silicon, 64-bit "
                 "Windows, or a Binder or JupyterHub made from environment.yml.")
NO_VENV = ("This Python cannot make environments (venv, ensurepip): on Debian or Ubuntu install python3-venv "
           "(sudo apt install python3-venv), elsewhere use Python from python.org.")
FULL = "The disk is full: a first set-up needs about {} GB in {}. Free some room and start again."
FOLDER = "The folder {} cannot be written to: copy the course to a folder of your own and start there."
LONG = "The path {} is too long for Windows: move the course to a short one, such as C:\\course."
NETWORK = ("The packages could not be fetched: connect to the network (and log in to it) and start again, or set up "
           "from a stick: python3 start.py --find-links FOLDER.")
NOT_ON_STICK = ("{} does not hold {} for this computer: fill it as README.md says, on the same kind of computer and "
                "with the same Python version.")
COLON = ("The folder {} has a {!r} in its name, which no Python environment can have: rename it, or move the course "
         "elsewhere, and start again.")
NOT_UTF8 = ("The folder {} has letters in its name that are not UTF-8, which JupyterLab cannot read: rename it, or "
            "move the course elsewhere, and start again.")
CUDA = ("PyTorch's own index (download.pytorch.org) does not answer: the ordinary {0} of your package index comes "
        "instead. On most Linux computers that is up to 6 GB of CUDA, which the course does not use; to avoid it, "
        "press Ctrl-C, put the wheel of {0}+cpu for this Python in a FOLDER, and start with PIP_FIND_LINKS=FOLDER set.")
OTHER = "pip could not install the packages ({}): start again; if that does not help, ask for help with {}."


def wrong_machine(system: str, machine: str, release: str | None = None) -> str | None:
    """The sentence that says why no Python can run the course on this computer; None if one can. `release` is that of
    macOS ("14.5") or, on Linux, of the C library ("glibc 2.36")."""
    if release is None:
        release = platform.mac_ver()[0] if system == "Darwin" else " ".join(platform.libc_ver())
    number = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    if machine not in MACHINES.get(system, ()):
        return WRONG_MACHINE.format(f"{system} on {machine}")
    if system == "Darwin" and number < (14,):
        return WRONG_MACHINE.format(f"macOS {release}")
    if system == "Linux" and not (release.startswith("glibc") and number >= (2, 28)):
        return WRONG_MACHINE.format(f"Linux with {release.strip() or 'musl'} (glibc 2.28 or later is needed)")
    return None


def wrong_python(python=sys.version_info, implementation=sys.implementation.name, wide=sys.maxsize > 2**32,
                 has_pip: bool | None = None) -> str | None:
    """The sentence that says why this Python cannot run the course; None if it can. `has_pip`: it has ensurepip."""
    if implementation != "cpython" or tuple(python[:2]) not in PYTHONS or not wide:
        return WRONG_PYTHON.format(f"{implementation} {python[0]}.{python[1]} ({64 if wide else 32}-bit)")
    has_pip = importlib.util.find_spec("ensurepip") is not None if has_pip is None else has_pip
    return None if has_pip else NO_VENV


def unsupported() -> str | None:
    """Why this Python on this computer cannot run the course; None if it can."""
    return wrong_machine(platform.system(), platform.machine()) or wrong_python()


def misnamed(folder: str) -> str | None:
    """The sentence that says why the course cannot lie in a folder of this name; None if it can."""
    if os.pathsep in folder:
        return COLON.format(folder, os.pathsep)
    try:
        folder.encode("utf-8")
    except UnicodeEncodeError:
        return NOT_UTF8.format(folder.encode("utf-8", "backslashreplace").decode())
    return None


def sentence(complaint: str, stick: Path | None = None) -> str:
    """The one sentence for what pip wrote before it gave up."""
    missing = re.search(r"No matching distribution found for (\S+)", complaint)
    if re.search(r"No space left|not enough space on the disk|[Dd]isk quota exceeded|Errno (28|122)\b", complaint):
        return FULL.format(ROOM, ROOT)
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


# ------------------------------------------------------------------------------------------- another Python, if need be


def other_pythons() -> Iterator[str]:
    """Commands that may start a Python of the course, best tested first: of each version what the system calls by its
    name, then what start.py fetched, and what uv, pyenv, conda, Homebrew and python.org have put aside."""
    env, home = os.environ, Path(os.path.expanduser("~"))  # Path.home() fails for a user without a name
    conda = [Path(env[name]) for name in ("CONDA_PREFIX", "MAMBA_ROOT_PREFIX") if name in env]
    conda += [place / name for place in (home, Path("/opt")) for name in ("miniforge3", "miniconda3", "anaconda3")]
    conda += [folder / "envs/*" for folder in conda]
    with contextlib.suppress(OSError, UnicodeError):
        conda += map(Path, (home / ".conda/environments.txt").read_text(encoding="utf-8").splitlines())
    if WINDOWS:
        uv, pyenv, others = env.get("APPDATA", home), env.get("PYENV", home / ".pyenv/pyenv-win"), ()
    else:
        uv, pyenv = env.get("XDG_DATA_HOME", home / ".local/share"), env.get("PYENV_ROOT", home / ".pyenv")
        others = ("/opt/homebrew", "/usr/local", "/usr", "/Library/Frameworks/Python.framework/Versions/{}")
    for name in map("{0[0]}.{0[1]}".format, PYTHONS):
        if found := shutil.which(f"python{name}"):
            yield found
        if WINDOWS and shutil.which("py"):
            yield f"py -{name}"
        managed = [Path(folder, f"cpython-{name}.*") for folder in (FETCHED, Path(uv, "uv/python"))]
        for folder in (*managed, Path(pyenv, f"versions/{name}.*"), *conda, *(Path(o.format(name)) for o in others)):
            yield from sorted(glob.glob(str(folder / ("python.exe" if WINDOWS else f"bin/python{name}"))), reverse=True)


def usable(python: str) -> str | None:
    """The path of the Python that this command starts, if the course can use it; it is asked by its own start.py."""
    command = ["py", python[3:]] if python.startswith("py -") else [python]
    code = "import runpy, sys; print(runpy.run_path(sys.argv[1])['unsupported']() or '\\n' + sys.executable)"
    try:
        answer = subprocess.run([*command, "-I", "-X", "utf8", "-c", code, __file__], stdin=subprocess.DEVNULL,
                                capture_output=True, encoding="utf-8", errors="replace", timeout=30)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = answer.stdout.splitlines()
    return lines[1] if answer.returncode == 0 and len(lines) == 2 and not lines[0] else None


def fetch_python() -> str | None:
    """A Python that uv fetches into .python beside this file; None if it cannot be had."""
    version = "{}.{}".format(*PYTHONS[0])
    env = {**course_environment(), "UV_PYTHON_INSTALL_DIR": str(FETCHED), "UV_PYTHON_INSTALL_BIN": "0",
           "UV_PYTHON_INSTALL_REGISTRY": "0"}  # fmt: skip
    with step(f"Python {version}, fetched by uv"), tempfile.TemporaryDirectory() as folder:
        uv = shutil.which("uv")
        if not uv:
            pip = [sys.executable, "-m", "pip", "install", "--no-input", "--retries", "1", "--target", folder, "uv"]
            subprocess.run(pip, capture_output=True, env={**env, "PIP_USER": "0"})
            uv = next(iter(glob.glob(f"{folder}/*/uv{'.exe' * WINDOWS}")), None)
        if uv:
            env.update(uv_settings("", env))
            subprocess.run([uv, "python", "install", "--quiet", version], capture_output=True, env=env)
    found = map(usable, glob.glob(str(FETCHED / "*" / ("python.exe" if WINDOWS else "bin/python3"))))
    python = next(filter(None, found), None)
    if python is None:
        shutil.rmtree(FETCHED, ignore_errors=True)
    return python


def go_on_with_another_python(problem: str, arguments: list[str]) -> int:
    """Run start.py again with a Python that the course can use; if there is none, end with `problem`."""
    python = next(filter(None, map(usable, other_pythons())), None)
    if python is None and not wrong_machine(platform.system(), platform.machine()):
        python = fetch_python()
    if python is None:
        sys.exit(problem)
    print(f"Python {platform.python_version()} cannot run the course: going on with {python}.", flush=True)
    return run([python, str(ROOT / "start.py"), *arguments])


# ------------------------------------------------------------------------------------------------ what is there already

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


def fingerprint() -> str:
    """What an environment is made from: the versions, the Python, the place and where its course_utils came from. If it
    changes: set up again."""
    origin = ENV.glob(f"{'Lib' if WINDOWS else 'lib/python*'}/site-packages/course_utils-*.dist-info/direct_url.json")
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (ROOT / "requirements.lock", ROOT / "pyproject.toml", ENV / "pyvenv.cfg", *sorted(origin)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def ready(*parts: str) -> bool:
    """Are these parts ("course", "test", "pretrained") complete, for this folder? Read from files alone: no Python is
    started, so that a second start takes no time. Whether the Python that made it is still there is looked up too."""
    try:
        home = re.search(r"^home *= *(.*)$", (ENV / "pyvenv.cfg").read_text(encoding="utf-8"), re.M)
        stamps = [(ENV / f"{part}.stamp").read_text() for part in parts]
    except (OSError, UnicodeError):
        return False
    return (PYTHON.exists() and home is not None and Path(home[1]).exists()
            and all(stamp == fingerprint() for stamp in stamps))  # fmt: skip


def half_made() -> bool:
    """Is there nothing that pip could go on from: no running Python, no pip, or a package copied only in part?"""
    state = ask_environment()
    if state is None or subprocess.run([PYTHON, "-I", "-m", "pip", "--version"], capture_output=True).returncode:
        return True
    return any(not (info / "RECORD").exists() for info in state.packages.glob("*.dist-info"))


# --------------------------------------------------------------------------------------------------------- setting up


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """One line that says what is being done and how long it has taken; on a terminal the seconds run."""
    begin, over = time.monotonic(), threading.Event()

    def say(end: str = "") -> None:
        print(f"\r  {what} ... {time.monotonic() - begin:.0f} s", end=end, flush=True)

    def count() -> None:
        while not over.wait(1):
            say()

    print(f"  {what} ...", end="", flush=True)
    counting = threading.Thread(target=count, daemon=True) if sys.stdout.isatty() else None
    if counting:
        counting.start()
    try:
        yield
    finally:
        over.set()
        if counting:
            counting.join()
            say("\n")
        else:
            print(f" {time.monotonic() - begin:.0f} s", flush=True)


def uv_settings(config: str, env: Mapping[str, str]) -> dict[str, str]:
    """What `pip config list` says, in uv's words, since uv reads none of pip's files and variables. What `env` says to
    uv itself stands."""
    said, rank = {}, {"global": 0, "install": 1, ":env:": 2}
    for _, name, value in sorted(re.findall(r"^(global|install|:env:)\.([\w-]+)=(.*)$", config, re.M),
                                       key=lambda line: rank[line[0]]):  # fmt: skip
        said[name.replace("default-timeout", "timeout")] = " ".join(ast.literal_eval(value).split())
    settings = {}
    for theirs, name in (("index-url", "UV_DEFAULT_INDEX"), ("extra-index-url", "UV_INDEX"),
                         ("constraint", "UV_CONSTRAINT"), ("trusted-host", "UV_INSECURE_HOST"),
                         ("no-index", "UV_NO_INDEX"), ("timeout", "UV_HTTP_TIMEOUT"),
                         ("client-cert", "SSL_CLIENT_CERT")):  # fmt: skip
        if said.get(theirs):
            settings[name] = said[theirs]
    if said.get("find-links"):
        settings["UV_FIND_LINKS"] = said["find-links"].replace(" ", ",")
    if said.get("extra-index-url"):
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip does: the best version of all indexes
    if proxy := said.get("proxy"):
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        settings.update({name: proxy for name in ("HTTP_PROXY", "HTTPS_PROXY") if not env.get(name.lower())})
    certificates = said.get("cert") or env.get("REQUESTS_CA_BUNDLE") or env.get("CURL_CA_BUNDLE")
    if certificates:
        settings["SSL_CERT_DIR" if os.path.isdir(certificates) else "SSL_CERT_FILE"] = certificates
    else:
        settings["UV_SYSTEM_CERTS"] = "true"
    if env.get("UV_INDEX_URL") or env.get("UV_EXTRA_INDEX_URL"):  # the older words for the same
        settings = {name: value for name, value in settings.items() if not name.endswith("_INDEX")}
    return {name: value for name, value in settings.items() if not env.get(name)}


def uv_environment(*arguments: str) -> dict[str, str]:
    """pip's settings for uv. Where a command names its own index, or none, the others must not come before it."""
    config = subprocess.run([str(PYTHON), "-m", "pip", "config", "list"], capture_output=True, encoding="utf-8",
                            errors="replace", env=course_environment()).stdout  # fmt: skip
    env = course_environment()
    env.update(uv_settings(config, env))
    if "--no-index" in arguments or "--index-url" in arguments:
        others = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
        env = {name: value for name, value in env.items() if name not in others}
    return env


def pip(*arguments: str, stick: Path | None = None) -> str | None:
    """`pip install` into the environment: None if it worked, else what pip complained of."""
    place = ["--no-index", "--find-links", str(stick)] if stick else []
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--log", str(ENV / "setup.log"), "install",
               "--quiet", "--progress-bar", "off", "--no-input"]  # fmt: skip
    env = {**course_environment(), "PIP_USER": "0"}
    done = subprocess.run([*command, *place, *arguments], cwd=ROOT, env=env,
                          stderr=subprocess.PIPE, encoding="utf-8", errors="replace")  # fmt: skip
    return done.stderr or "it said nothing" if done.returncode else None


def fetch(*arguments: str, stick: Path | None = None) -> str | None:
    """The same with uv, which takes a quarter of the time; if there is no uv, or it fails, with pip."""
    if UV.exists():
        place = ["--no-index", "--find-links", str(stick)] if stick else []
        command = [str(UV), "pip", "install", "--python", str(PYTHON), "--no-progress", *place, *arguments]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                              errors="replace", env=uv_environment(*place, *arguments))  # fmt: skip
        with open(ENV / "setup.log", "a", encoding="utf-8") as log:
            log.write(f"\n{' '.join(command)}\n{done.stdout}")
        if not done.returncode:
            return None
    return pip(*(["--retries", "1"] if TORCH_INDEX in arguments else []), *arguments, stick=stick)


def install_torch(torch: str, system: str, stick: Path | None = None) -> str | None:
    """Torch, the largest, comes before everything else: from this computer or the stick if it lies there; else from the
    network, on Linux from PyTorch's own index of CPU builds, because the ordinary package is a CUDA build there. Where
    only a mirror of the package index can be reached, the ordinary one must do. None, or what was complained of."""
    with step(torch):
        problem = fetch("--no-deps", "--no-index", torch, stick=stick)
        if problem and not stick:
            problem = fetch("--no-deps", *(["--index-url", TORCH_INDEX] if system == "Linux" else []), torch)
    if not problem or stick or system != "Linux":
        return problem
    with step(f"{torch} on the package index"):
        if fetch("--dry-run", "--no-deps", torch):
            return problem
    if shutil.disk_usage(ROOT).free < CUDA_ROOM * 1e9:
        sys.exit(FULL.format(CUDA_ROOM, ROOT))
    print(CUDA.format(torch), flush=True)
    with step(f"{torch}, ordinary"):
        return fetch("--constraint", "requirements.lock", torch)


def install(*parts: str, stick: Path | None = None) -> None:
    """Fill the environment. setuptools comes before the course: else an editable install asks the network for it."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    with step("uv, which fetches the rest"):
        pip("--constraint", "requirements.lock", "--retries", "1", "uv", stick=stick)  # without it pip does it all
    problem = install_torch(re.search(r"^torch==\S+", lock, re.M)[0], platform.system(), stick)
    extras = ",".join(part for part in parts if part != "course")
    course = ["--no-build-isolation", "--editable", f".[{extras}]" if extras else "."]
    if not problem:
        with step("everything else"):
            for arguments in (["setuptools"], course):
                problem = problem or fetch("--constraint", "requirements.lock", *arguments, stick=stick)
    if problem:
        sys.exit(sentence(problem, stick))
    settings = ENV / "share/jupyter/lab/settings/overrides.json"  # no "would you like to receive news?" in class
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}')


def set_up(*parts: str, stick: Path | None = None) -> None:
    """Make .venv or bring it up to date. Stamps go first, come last: interrupted, it is mended by the next start."""
    if stick and not any(stick.glob("*.whl")):
        sys.exit(f"{stick} holds no packages (*.whl): name the folder that was filled as README.md says.")
    if not ENV.exists() and shutil.disk_usage(ROOT).free < ROOM * 1e9:
        sys.exit(FULL.format(ROOM, ROOT))
    begin = time.monotonic()
    print(f"Setting up {ENV} with Python {platform.python_version()}, once:", flush=True)
    for stamp in ENV.glob("*.stamp"):
        stamp.unlink()
    if half_made():
        try:
            with step("an empty environment"):
                venv.create(ENV, clear=True, with_pip=True, symlinks=not WINDOWS)
        except subprocess.CalledProcessError as error:
            sys.exit(FULL.format(ROOM, ROOT) if b"No space left" in (error.output or b"") else NO_VENV)
    install(*parts, stick=stick)
    for part in parts:
        (ENV / f"{part}.stamp").write_text(fingerprint())
    print(f"Ready after {time.monotonic() - begin:.0f} s.", flush=True)


# ----------------------------------------------------------------------------------------------------- what it opens


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
    """One torch thread; this environment's kernels and programs first; no modules from elsewhere; every assert is
    checked; what was compiled is kept; UTF-8 everywhere."""
    unwanted = ("PYTHONPATH", "PYTHONHOME", "PYTHONOPTIMIZE", "PYTHONDONTWRITEBYTECODE")
    env = {name: value for name, value in os.environ.items() if name not in unwanted}
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
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False, usage="start.py [COMMAND] [options]",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--find-links", metavar="FOLDER", type=lambda folder: Path(folder).resolve())
    parser.add_argument("--pretrained", action="store_true")
    given, rest = parser.parse_known_args(arguments)  # the rest is JupyterLab's or pytest's
    what = rest.pop(0) if rest and not rest[0].startswith("-") else "lab"
    if what not in COMMANDS:
        sys.exit(f"There is no command {what!r}: it is one of {', '.join(COMMANDS)}, or none (JupyterLab).")
    if problem := misnamed(str(ROOT)):
        sys.exit(problem)
    if what == "check":
        if ask_environment() is None:
            sys.exit("There is no environment yet, or it does not run: python3 start.py makes it.")
        return run([str(PYTHON), "-m", "course_utils.check_environment", *rest])
    if what != "lab" and not (ROOT / "tests").exists():
        sys.exit(f"This is the student edition: `{what}` works in the full course only.")
    parts = ["course", *["test"] * (what != "lab"), *["pretrained"] * given.pretrained]
    if not ready(*parts):
        if problem := unsupported():
            return go_on_with_another_python(problem, arguments)
        set_up(*parts, stick=given.find_links)
    if what != "lab":
        return run([str(PYTHON), *(PYTEST if what == "test" else ["tests/handout.py"]), *rest])
    for path in copy_notebooks():
        print(f"Your copy: {path.relative_to(ROOT)}")
    return run(lab_command(ROOT / "my_notebooks", *rest))


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a folder's name may have letters that the terminal has not
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("Interrupted: the next start goes on from here.")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        sys.exit(FULL.format(ROOM, ROOT) if error.errno in (errno.ENOSPC, errno.EDQUOT) else FOLDER.format(ROOT))
