"""Makes data/scoreboard.jsonl: trains what the notebooks have no time for. One command, resumable.

    python -m benchmarks.scoreboard                  train every run that is missing or stale
    python -m benchmarks.scoreboard --list           the state of every run
    python -m benchmarks.scoreboard --stale          the runs that are not fresh; exit status 1 if there is one
    python -m benchmarks.scoreboard --verify         mend stale rows without training, where that is honest
    python -m benchmarks.scoreboard --retrain        train again even what is fresh
    python -m benchmarks.scoreboard --prune          remove the rows of recipes that are gone
    … --only PATTERN                                 of all that: runs whose name matches, e.g. 07/attentive or */0

A run is notebook/model/task/seed; its settings stand in recipes.py. It is fresh if its rows carry the hash of today's
corpus and of today's code (code_hash.py: comments and docstrings do not count), else stale. Interrupted runs continue
from .checkpoints/; rows are written after each run, in one go.

`--verify` is for code that grew without changing what these runs do. Every row keeps a fingerprint: the run's settings,
losses of a miniature of it (60 updates, warm-up and decay included) and what every split's scores are after it on 64
sentences. If today's code gives the same again, the rows get today's hash; if not, the run must be trained. Scores of a
hardly trained model see little of some changes (exact match is 0 before and after), so after changing what a score
*means* use `--retrain`.
"""

import argparse
import contextlib
import fnmatch
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.code_hash import ROOT, code_hash
from course_utils import scoreboard
from course_utils.experiments.experiment import Experiment, Recipe, Run
from course_utils.scoreboard import COMMAND
from course_utils.training import describe

MINIATURE_STEPS, MINIATURE_PAIRS = 60, 64
RELATIVE, ABSOLUTE = 1e-4, 1e-5  # how far a replayed number may be off: rounding on another machine, nothing more
SHOWN_LOSSES = (1, 2, 5, 10, 20, 40, 60)


# ---- runs and their state --------------------------------------------------------------------------------------------


def all_runs(recipes: Iterable[Recipe]) -> list[Run]:
    runs = [Run(recipe, seed) for recipe in recipes for seed in recipe.seeds]
    names = [run.name for run in runs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two recipes claim the run {min(twice)}; give one of them another task name.")
    return runs


def choose(runs: list[Run], pattern: str | None) -> list[Run]:
    """The runs whose name matches: a glob, or the beginning or middle of a name."""
    if pattern is None:
        return runs
    chosen = [run for run in runs if fnmatch.fnmatch(run.name, pattern) or pattern in run.name]
    if not chosen:
        raise SystemExit(f"no run matches {pattern!r}; `{COMMAND} --list` names them all.")
    return chosen


def key_of(row: dict[str, Any]) -> tuple[str, str, str, int]:
    return row["notebook"], row["model"], row["task"], row["seed"]


def states(runs: Sequence[Run], board: list[dict[str, Any]]) -> dict[str, str]:
    """Name of the run -> "fresh", "missing", "stale (code)" or "stale (corpus)"."""
    by_key: dict[tuple, list[dict]] = {}
    for row in board:
        by_key.setdefault(key_of(row), []).append(row)
    recipes = {id(run.recipe): run.recipe for run in runs}  # each of them hashed once, not once for every seed
    hashes = {key: (recipe.corpus(), code_hash(recipe.build)) for key, recipe in recipes.items()}
    result = {}
    for run in runs:
        corpus, code = hashes[id(run.recipe)]
        mine = by_key.get(run.key, [])
        if not mine:
            result[run.name] = "missing"
        elif any(row["corpus_hash"] != corpus for row in mine):
            result[run.name] = "stale (corpus)"
        else:
            result[run.name] = "fresh" if all(row["code_hash"] == code for row in mine) else "stale (code)"
    return result


def orphans(runs: Iterable[Run], board: list[dict[str, Any]]) -> list[str]:
    """Names of runs that have rows but no recipe."""
    keys = {run.key for run in runs}
    return sorted({"/".join(map(str, key_of(row))) for row in board if key_of(row) not in keys})


def complaint(name: str, state: str) -> str:
    """What is wrong with a run that is not fresh, and the command that mends it."""
    mend = f"{COMMAND} --only {name}"
    if state == "stale (code)":
        return f"{name} is {state}: run `{mend} --verify`, and if the result changed `{mend}`."
    return f"{name} is {state}: run `{mend}`."


# ---- the file --------------------------------------------------------------------------------------------------------


def load(file: Path) -> list[dict[str, Any]]:
    return scoreboard.read(file) if file.exists() else []


def write(file: Path, board: list[dict[str, Any]]) -> None:
    """Write the whole file beside the old one, then rename: it is never half written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(file.name + ".tmp")
    try:
        unfinished.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in board), encoding="utf-8")
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def alone_with(file: Path) -> Iterator[None]:
    """Hold `file` against another process of this command; a lock that lies for ten seconds was left by a dead one."""
    lock, waited = file.with_name(file.name + ".lock"), 0.0
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            lock.touch(exist_ok=False)
            break
        except FileExistsError:
            if waited > 10:
                lock.unlink(missing_ok=True)
            time.sleep(0.05)
            waited += 0.05
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def replace_rows(file: Path, run: Run, new: list[dict[str, Any]]) -> None:
    """Put `new` in place of the run's rows; the file is read again, since another process may have added to it."""
    with alone_with(file):
        board = [row for row in load(file) if key_of(row) != run.key] + new
        board.sort(key=lambda row: key_of(row))  # stable: splits stay in the order of the recipe
        write(file, board)


# ---- making rows -----------------------------------------------------------------------------------------------------


def make_rows(run: Run, checkpoints: Path) -> list[dict[str, Any]]:
    """Train the run, or continue it, and score it: one row a split."""
    code, corpus = code_hash(run.recipe.build), run.recipe.corpus()
    marks = fingerprint(run)  # before the long training, so that a recipe that cannot be scored says so at once
    experiment = run.recipe.build(run.seed)
    checkpoint = checkpoints / f"{run.name.replace('/', '_')}_{code}_{corpus}.pt"
    history = experiment.fit(experiment.model, experiment.batches, checkpoint=checkpoint, **experiment.training)
    if len(history) < experiment.training["steps"]:
        raise KeyboardInterrupt
    shared = {
        "notebook": run.recipe.notebook,
        "model": run.recipe.model,
        "task": run.recipe.task,
        "seed": run.seed,
    }
    result = {
        "steps": len(history),
        "cpu_seconds": round(history.cpu_seconds, 1),
        "parameters": sum(p.numel() for p in experiment.model.parameters()),
        "loss": _rounded(sum(history.loss[-20:]) / len(history.loss[-20:])),
    }
    proof = {
        "command": f"{COMMAND} --only {run.name}",
        "corpus_hash": corpus,
        "code_hash": code,
        "fingerprint": marks,
    }
    rows = [
        {**shared, "split": split, **result, "scores": _numbers(score(experiment.model, None)), **proof}
        for split, score in experiment.splits.items()
    ]
    checkpoint.unlink(missing_ok=True)
    return rows


def fingerprint(run: Run) -> dict[str, Any]:
    """The run's settings, and what a miniature of it gives."""
    experiment = run.recipe.build(run.seed)
    settings = _settings(experiment)
    small = {k: v for k, v in experiment.training.items() if k not in ("max_seconds", "progress")}
    small |= {"steps": MINIATURE_STEPS, "warmup": min(small.get("warmup", 10), 10), "progress": False}
    history = experiment.fit(experiment.model, experiment.batches, checkpoint=None, **small)
    scores = {split: _numbers(score(experiment.model, MINIATURE_PAIRS)) for split, score in experiment.splits.items()}
    return {
        "settings": settings,
        "torch": torch.__version__,
        "losses": [_rounded(history.loss[step - 1]) for step in SHOWN_LOSSES],
        "scores": scores,
    }


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What two fingerprints disagree about, in words; empty if nothing."""
    found = []
    if old["settings"] != new["settings"]:
        names = sorted({*old["settings"], *new["settings"]})
        found += [
            f"setting {name} was {old['settings'].get(name)}, is {new['settings'].get(name)}"
            for name in names
            if old["settings"].get(name) != new["settings"].get(name)
        ]
    if not _close(old["losses"], new["losses"]):
        found.append(f"losses were {old['losses']}, are {new['losses']}")
    for split in sorted({*old["scores"], *new["scores"]}):
        before, after = old["scores"].get(split, {}), new["scores"].get(split, {})
        if set(before) != set(after) or not _close(before.values(), [after[name] for name in before]):
            found.append(f"scores on {split} were {before}, are {after}")
    if found and old["torch"] != new["torch"]:
        found.append(f"torch was {old['torch']}, is {new['torch']}")
    return found


def verify(run: Run, file: Path) -> list[str]:
    """Replay the run's miniature with today's code. If nothing differs the rows get today's code hash; returns the
    differences."""
    mine = [row for row in load(file) if key_of(row) == run.key]
    new = fingerprint(run)
    found = [line for row in mine[:1] for line in differences(row["fingerprint"], new)]
    missing = set(new["scores"]) ^ {row["split"] for row in mine}
    found += [f"split {split} was added or taken away" for split in sorted(missing)]
    if not found:
        code = code_hash(run.recipe.build)
        replace_rows(file, run, [{**row, "code_hash": code} for row in mine])
    return found


def _settings(experiment: Experiment) -> dict[str, Any]:
    """All that the miniature cannot see: the full length, the size of the data."""
    training = {k: v for k, v in experiment.training.items() if k not in ("progress", "max_seconds", "log_every")}
    order = experiment.batches.state_dict()
    return {
        **training,
        "model": describe(experiment.model),
        "batch_size": order["batch_size"],
        "data": order["data"],
    }


def _close(old: Iterable[float], new: Iterable[float]) -> bool:
    pairs = zip(old, new, strict=True)
    return all(a == b or a != a and b != b or math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE) for a, b in pairs)


def _numbers(scores: dict[str, Any]) -> dict[str, float | int]:
    return {name: _rounded(value) for name, value in scores.items()}


def _rounded(value: float | int) -> float | int:
    """Seven significant digits: what float32 knows."""
    return value if isinstance(value, int) else float(f"{float(value):.7g}")


# ---- the command -----------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None, recipes: Sequence[Recipe] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description="Make, list or mend the rows of the scoreboard.")
    parser.add_argument("--only", metavar="PATTERN", help="runs whose name matches, e.g. 07/attentive or '*/0'")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="show the state of every run")
    what.add_argument("--stale", action="store_true", help="show the runs that are not fresh; exit status 1 if any")
    what.add_argument("--verify", action="store_true", help="give stale rows today's hash where a replay agrees")
    what.add_argument("--retrain", action="store_true", help="train again even what is fresh")
    what.add_argument("--prune", action="store_true", help="remove the rows of recipes that are gone")
    options = parser.parse_args(arguments)
    if recipes is None:
        from course_utils.experiments.recipes import RECIPES as recipes
    file = scoreboard.path() if root == ROOT else root / "data" / "scoreboard.jsonl"
    everything = all_runs(recipes)
    runs = choose(everything, options.only)
    board = load(file)
    state = states(runs, board)
    if options.prune:
        keys = {run.key for run in everything}
        with alone_with(file):  # read again: another process may have added rows meanwhile
            board = load(file)
            write(file, [row for row in board if key_of(row) in keys])
        gone = orphans(everything, board)
        print("\n".join(f"removed {name}" for name in gone) or "nothing to remove")
        return 0
    if options.list or options.stale:
        shown = {name: s for name, s in state.items() if options.list or s != "fresh"}
        print("\n".join(f"{s:15} {name}" for name, s in shown.items()) or "every run is fresh")
        return int(options.stale and bool(shown))
    if options.verify:
        return _verify_all([run for run in runs if state[run.name] == "stale (code)"], file)
    todo = runs if options.retrain else [run for run in runs if state[run.name] != "fresh"]
    return _train_all(todo, file, root / ".checkpoints")


def _verify_all(runs: list[Run], file: Path) -> int:
    failed = 0
    for run in runs:
        try:
            found = verify(run, file)
            said = "; ".join(found) + f"; retrain: `{COMMAND} --only {run.name}`." if found else "same."
        except ImportError as missing:  # an optional package: the other runs are verified all the same
            found = said = str(missing)
        failed += bool(found)
        print(f"{run.name}: {said}", flush=True)
    if not runs:
        print("no row is stale because of the code")
    return int(failed > 0)


def _train_all(runs: list[Run], file: Path, checkpoints: Path) -> int:
    for number, run in enumerate(runs, 1):
        print(f"[{number}/{len(runs)}] {run.name}", flush=True)
        try:
            rows = make_rows(run, checkpoints)
        except KeyboardInterrupt:
            print(f"stopped during {run.name}; the same command continues it.")
            return 130
        replace_rows(file, run, rows)
        for row in rows:
            print("   ", row["split"], *(f"{name} {value:.4g}" for name, value in row["scores"].items()), flush=True)
    if not runs:
        print("every run is fresh")
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
