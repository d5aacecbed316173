"""The floors of course_utils: a file imports from earlier lines of FLOORS, or from its own line without going round."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = (  # floor, files and folders of course_utils that stand side by side
    ("ground", {"checks", "data_files", "seeds", "corpora", "text", "plots"}),
    ("1, idea 1: one socket, many plugs", {"attention"}),
    ("1, above", {"layers"}),
    ("2, idea 2: one contract, every translator", {"seq2seq"}),
    ("3", {"training", "schedules", "metrics", "scoreboard"}),
    ("3, above", {"models"}),
    ("3, beside", {"proofs"}),
    ("4", {"experiments"}),
    ("4, above", {"widgets", "teaching"}),
    ("4, top", {"exercises"}),
    ("nobody imports it", {"check_environment"}),
)
RANK = {name: rank for rank, (_, names) in enumerate(FLOORS) for name in names}


def module(path: Path, root: Path) -> str:
    """course_utils.attention.scores; a package is its __init__."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, root: Path, modules: set[str]) -> set[str]:
    """Those of `modules` that a file imports, anywhere in it; `from course_utils import text` is course_utils.text."""
    here = module(path, root)
    package = here if path.name == "__init__.py" else here.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in modules else base for a in node.names}
    return (found & modules) - {here}


def faults(root: Path) -> list[str]:
    """What stands on the wrong floor under root/course_utils."""
    paths = {module(path, root): path for path in (root / "course_utils").rglob("*.py")}
    graph = {name: imports(path, root, set(paths)) for name, path in sorted(paths.items())}
    found = []
    for name, wanted in graph.items():
        if name == "course_utils":
            found += [f"course_utils/__init__.py imports {other}: it stays light" for other in wanted]
            continue
        part = name.split(".")[1]
        if part not in RANK:
            found.append(f"{name} has no floor: add it to FLOORS")
            continue
        for other in sorted(wanted - {"course_utils"}):
            if RANK.get(other.split(".")[1], 0) > RANK[part]:
                found.append(f"{name} imports {other}, which stands above it")
    try:
        TopologicalSorter({name: wanted - {"course_utils"} for name, wanted in graph.items()}).prepare()
    except CycleError as error:
        found.append(f"imports go round: {' -> '.join(error.args[1])}")
    for name, path in paths.items():
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        named = {node.module or "" for node in tree if isinstance(node, ast.ImportFrom)}
        if outside := {word for word in named if word.split(".")[0] in ("tests", "benchmarks")}:
            found.append(f"{name} imports {', '.join(outside)}, which is not shipped")
    return found


def test_every_file_stands_on_its_floor():
    assert not faults(ROOT)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"attention/scores.py": "from course_utils.seq2seq import attentive", "seq2seq/attentive.py": ""}, "above it"),
        ({"text.py": "def f():\n    from course_utils import widgets", "widgets/__init__.py": ""}, "above it"),
        ({"training.py": "from . import proofs", "proofs.py": ""}, "above it"),
        ({"layers/a.py": "from .b import x", "layers/b.py": "import course_utils.layers.a"}, "go round"),
        ({"__init__.py": "from course_utils.text import tokenise", "text.py": ""}, "stays light"),
        ({"tricks.py": ""}, "has no floor"),
        ({"metrics.py": "from benchmarks.scoreboard import rows"}, "not shipped"),
    ],
)
def test_each_fault_is_seen(tmp_path, files, words):
    for name in ("", "attention", "layers", "seq2seq", "widgets"):
        (tmp_path / "course_utils" / name).mkdir(exist_ok=True)
        (tmp_path / "course_utils" / name / "__init__.py").touch()
    assert not faults(tmp_path)
    for name, text in files.items():
        (tmp_path / "course_utils" / name).write_text(text)
    assert any(words in fault for fault in faults(tmp_path)), faults(tmp_path)


def test_a_floor_may_use_those_below_and_its_neighbours(tmp_path):
    (tmp_path / "course_utils").mkdir()
    for name, text in {"__init__": "", "text": "", "metrics": "from .training import train",
                       "training": "from course_utils import text"}.items():  # fmt: skip
        (tmp_path / "course_utils" / f"{name}.py").write_text(text)
    assert not faults(tmp_path)
