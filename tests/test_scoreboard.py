"""The scoreboard: no row is stale; what makes one stale; the command that makes, resumes and mends rows; reading."""

import functools
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from limits import finished
from tiny_models import copy_task

from benchmarks import scoreboard as command
from benchmarks.code_hash import ROOT, canonical, code_hash
from course_utils import scoreboard
from course_utils.experiments.experiment import Experiment, Recipe, Run
from course_utils.experiments.recipes import RECIPES
from course_utils.metrics import evaluate
from course_utils.scoreboard import Spread, as_text, read, rows, spread, table, values

# ---- the real board --------------------------------------------------------------------------------------------------


def test_every_recipe_has_fresh_rows_and_every_row_a_recipe():
    runs, board = command.all_runs(RECIPES), command.load(scoreboard.path())
    complaints = [command.complaint(n, state) for n, state in command.states(runs, board).items() if state != "fresh"]
    complaints += [
        f"{n} has rows but no recipe: run `{scoreboard.COMMAND} --prune`." for n in command.orphans(runs, board)
    ]
    assert not complaints, "\n" + "\n".join(complaints)


# ---- the code hash ---------------------------------------------------------------------------------------------------

PROJECT = {
    "course_utils/__init__.py": "",
    "course_utils/text.py": "WORDS = 3\n",
    "course_utils/layers/__init__.py": "",
    "course_utils/attention/dense.py": "from course_utils import text\n\ndef attend(x):\n    return x + text.WORDS\n",
    "course_utils/layers/other.py": "Y = 1\n",
    "course_utils/models.py": (
        '"""Models."""\nimport torch\nfrom course_utils.attention.dense import attend\n\n\n'
        'class Model:\n    """Doc."""\n\n    def forward(self, x):\n        # why\n        return attend(x)\n'
    ),
    "benchmarks/__init__.py": "",
    "course_utils/experiments/recipes.py": (
        "from course_utils.layers import other\nfrom course_utils.models import Model\n\nSIZE = 8\nRATE = 1\n\n\n"
        "def helper(n):\n    return Model(), n, SIZE\n\n\n"
        "def one(seed, steps=10):\n    return helper(steps)\n\n\ndef two(seed):\n    return other.Y, RATE\n"
    ),
}


def recipe_function(name):
    def build(seed):
        raise AssertionError("hashing must not run the recipe")

    build.__name__ = build.__qualname__ = name
    build.__module__ = "course_utils.experiments.recipes"
    return build


def hashes(root, changes=()):
    """(hash of recipe one, hash of recipe two) in a small project with some text replaced."""
    files = dict(PROJECT)
    for name, old, new in changes:
        assert old in files[name]
        files[name] = files[name].replace(old, new)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return tuple(code_hash(recipe_function(name), root) for name in ("one", "two"))


@pytest.mark.parametrize(
    "change, moved",
    [
        # what does not count
        (("course_utils/models.py", "# why", "# because"), (False, False)),
        (("course_utils/models.py", '"""Doc."""', '"""More words."""'), (False, False)),
        (("course_utils/models.py", '"""Models."""\n', ""), (False, False)),
        (("course_utils/models.py", "return attend(x)", "return attend(\n            x,\n        )"), (False, False)),
        # the recipe, what it uses, and what those stand on
        (("course_utils/experiments/recipes.py", "steps=10", "steps=11"), (True, False)),
        (("course_utils/experiments/recipes.py", "SIZE = 8", "SIZE = 9"), (True, False)),
        (("course_utils/experiments/recipes.py", "Model(), n", "Model(), n + 1"), (True, False)),
        (("course_utils/experiments/recipes.py", "RATE = 1", "RATE = 2"), (False, True)),
        (("course_utils/models.py", "attend(x)", "attend(2 * x)"), (True, False)),
        (("course_utils/attention/dense.py", "x +", "x -"), (True, False)),
        (("course_utils/text.py", "3", "4"), (True, False)),  # three imports away
        (("course_utils/layers/other.py", "1", "2"), (False, True)),
        (("course_utils/text.py", "WORDS = 3", "WORDS = None"), (True, False)),
        (("course_utils/text.py", "WORDS = 3", "WORDS = 3.0"), (True, False)),
    ],
)
def test_the_code_hash_sees_what_a_recipe_stands_on_and_nothing_else(tmp_path, change, moved):
    before, after = hashes(tmp_path / "before"), hashes(tmp_path / "after", [change])
    assert tuple(a != b for a, b in zip(before, after, strict=True)) == moved


def test_the_code_hash_includes_values_given_by_partial(tmp_path):
    hashes(tmp_path)
    one = recipe_function("one")
    plain = {code_hash(functools.partial(one, steps=n), tmp_path) for n in (10, 11, "10", (10, None))}
    assert len(plain) == 4 and code_hash(one, tmp_path) not in plain
    with pytest.raises(TypeError, match="only numbers, strings"):
        code_hash(functools.partial(one, model=object()), tmp_path)
    with pytest.raises(TypeError, match="must be a named function"):
        code_hash(lambda seed: None, tmp_path)


def test_relative_imports_are_refused_not_missed(tmp_path):
    with pytest.raises(ValueError, match="relative import of 'text'"):
        hashes(
            tmp_path, [("course_utils/attention/dense.py", "from course_utils import text", "from .text import WORDS")]
        )


def test_the_real_recipes_are_hashed_through_the_package(monkeypatch):
    """The copying recipe stands on its model and the loop, not on another model or on plots."""
    from benchmarks import code_hash as module
    from course_utils.experiments.nb06.recipes import copying as recipe

    seen = []
    monkeypatch.setattr(module, "canonical", lambda tree: seen.append(tree) or canonical(tree))
    closure = module._closure
    found = []
    monkeypatch.setattr(module, "_closure", lambda *a: found.append(closure(*a)) or found[-1])
    code_hash(recipe)
    (modules,) = found
    assert {
        "course_utils.seq2seq.fixed_context",
        "course_utils.training",
        "course_utils.text.batches",
        "course_utils.metrics",
    } <= modules
    assert not {m for m in modules if "bahdanau" in m or "plots" in m or "widgets" in m or m.endswith("scoreboard")}


# ---- making, resuming and mending rows -------------------------------------------------------------------------------

LEARNING_RATE = 0.005


def copying(seed, steps=12):
    """A run of half a second: copy letters, scored on two splits."""
    model, batches, pairs, source_vocab, target_vocab = copy_task(seed=seed)

    def score(model, limit):
        return evaluate(model, pairs[:limit], source_vocab, target_vocab).as_dict()

    training = {"steps": steps, "warmup": 4, "lr": LEARNING_RATE, "seed": seed, "progress": False}
    return Experiment(model, batches, training, {"short": score, "long": score})


def table_of(*seeds, corpus="c0", **options):
    return [Recipe("06", "tiny", "copy", functools.partial(copying, **options), seeds, corpus=lambda: corpus)]


def board_of(root):
    return read(root / "data" / "scoreboard.jsonl")


def run(root, *arguments, recipes=None):
    return command.main(arguments, recipes=table_of(0, 1) if recipes is None else recipes, root=root)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A board of two seeds, made once."""
    root = tmp_path_factory.mktemp("board")
    assert run(root) == 0
    return root


@pytest.fixture
def board(made, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "scoreboard.jsonl").write_bytes((made / "data" / "scoreboard.jsonl").read_bytes())
    return tmp_path


def test_a_row_says_everything(made):
    found = board_of(made)
    assert [(r["seed"], r["split"]) for r in found] == [(0, "short"), (0, "long"), (1, "short"), (1, "long")]
    row = found[0]
    assert (row["notebook"], row["model"], row["task"], row["steps"]) == ("06", "tiny", "copy", 12)
    assert row["command"] == "python -m benchmarks.scoreboard --only 06/tiny/copy/0"
    assert row["corpus_hash"] == "c0" and len(row["code_hash"]) == 12 and row["cpu_seconds"] >= 0
    assert row["scores"]["n"] == 120 and row["parameters"] > 1000 and row["loss"] > 0
    assert row["fingerprint"]["settings"]["steps"] == 12 and len(row["fingerprint"]["losses"]) == 7
    assert row["fingerprint"]["scores"]["long"]["n"] == 64
    assert not list((made / ".checkpoints").iterdir())  # finished runs leave none


def test_fresh_runs_are_skipped_and_rows_are_reproducible(board, monkeypatch, capsys):
    before = (board / "data" / "scoreboard.jsonl").read_bytes()
    with monkeypatch.context() as m:
        m.setattr(command, "make_rows", None)
        assert run(board) == 0 and "every run is fresh" in capsys.readouterr().out
    assert run(board, "--retrain", "--only", "06/tiny/copy/1") == 0
    timeless = [[{k: v for k, v in json.loads(r).items() if k != "cpu_seconds"} for r in text.splitlines()]
                for text in (before, (board / "data" / "scoreboard.jsonl").read_bytes())]  # fmt: skip
    assert timeless[0] == timeless[1]


def test_list_and_stale(board, capsys):
    assert run(board, "--stale") == 0 and capsys.readouterr().out == "every run is fresh\n"
    recipes = table_of(0, 1, 2)
    assert run(board, "--list", recipes=recipes) == 0
    assert capsys.readouterr().out.split() == [
        "fresh",
        "06/tiny/copy/0",
        "fresh",
        "06/tiny/copy/1",
        "missing",
        "06/tiny/copy/2",
    ]
    assert run(board, "--stale", recipes=recipes) == 1 and capsys.readouterr().out.split() == [
        "missing",
        "06/tiny/copy/2",
    ]
    assert run(board, "--stale", recipes=table_of(0, corpus="c1")) == 1
    assert "stale (corpus)" in capsys.readouterr().out
    assert run(board, "--stale", "--only", "*/1", recipes=table_of(0, 1, steps=13)) == 1
    assert capsys.readouterr().out == "stale (code)    06/tiny/copy/1\n"
    with pytest.raises(SystemExit, match="no run matches 'nothing'"):
        run(board, "--list", "--only", "nothing")


def test_the_complaint_names_the_command_that_mends_it():
    assert command.complaint("07/a/b/0", "stale (corpus)").endswith(
        "`python -m benchmarks.scoreboard --only 07/a/b/0`."
    )
    assert "--only 07/a/b/0 --verify`" in command.complaint("07/a/b/0", "stale (code)")


def outdate(root):
    """Give every row the code hash of yesterday."""
    file = root / "data" / "scoreboard.jsonl"
    command.write(file, [{**row, "code_hash": "yesterday"} for row in read(file)])
    return file


def test_verify_mends_what_did_not_change(board, capsys):
    scores = [row["scores"] for row in board_of(board)]
    outdate(board)
    assert run(board, "--stale") == 1
    assert run(board, "--verify") == 0 and "06/tiny/copy/0: same." in capsys.readouterr().out
    assert run(board, "--stale") == 0
    assert [row["scores"] for row in board_of(board)] == scores
    assert run(board, "--verify") == 0 and "no row is stale because of the code" in capsys.readouterr().out


def test_verify_refuses_what_did_change(board, capsys, monkeypatch):
    outdate(board)
    for recipes, word in [(table_of(0, steps=24), "setting steps was 12, is 24"), (table_of(0), "losses were")]:
        if word == "losses were":
            monkeypatch.setattr(sys.modules[__name__], "LEARNING_RATE", 0.00501)
        assert run(board, "--verify", recipes=recipes) == 1
        out = capsys.readouterr().out
        assert word in out and "retrain: `python -m benchmarks.scoreboard --only 06/tiny/copy/0`" in out
    assert {row["code_hash"] for row in board_of(board)} == {"yesterday"}


def test_verify_sees_a_changed_score(board, capsys, monkeypatch):
    outdate(board)
    monkeypatch.setattr("course_utils.metrics.perplexity", lambda nll, n: 1.01 * nll)
    assert run(board, "--verify", "--only", "*/0") == 1
    assert "scores on short were" in capsys.readouterr().out


def test_fingerprints_agree_within_rounding_only(made):
    mark = board_of(made)[0]["fingerprint"]
    shift = lambda by: {**mark, "losses": [loss * (1 + by) for loss in mark["losses"]]}  # noqa: E731
    assert command.differences(mark, mark) == [] == command.differences(mark, shift(1e-6))
    assert command.differences(mark, shift(1e-3))
    lacking = {**mark, "scores": {"short": mark["scores"]["short"]}}
    assert command.differences(mark, lacking) and command.differences(lacking, mark)


def test_rows_of_recipes_that_are_gone(board, capsys):
    runs = command.all_runs(table_of(0))
    assert command.orphans(runs, board_of(board)) == ["06/tiny/copy/1"]
    assert run(board, "--prune", recipes=table_of(0)) == 0 and capsys.readouterr().out == "removed 06/tiny/copy/1\n"
    assert {row["seed"] for row in board_of(board)} == {0}


def test_an_interrupted_run_continues_and_gives_the_same_row(board, monkeypatch, capsys):
    from course_utils import training

    expected = board_of(board)
    update, calls = training._update, iter(range(1, 10**6))

    def pressed(*arguments):
        if next(calls) == command.MINIATURE_STEPS + 8:
            raise KeyboardInterrupt
        return update(*arguments)

    def every_five(seed):
        experiment = copying(seed)
        experiment.training["checkpoint_every"] = 5
        return experiment

    recipes = [Recipe("06", "tiny", "copy", copying, (0,), corpus=lambda: "c0")]
    monkeypatch.setattr(training, "_update", pressed)
    monkeypatch.setattr(Recipe, "build", property(lambda self: every_five), raising=False)
    monkeypatch.setattr(command, "code_hash", lambda build: "now")
    assert (
        run(board, "--retrain", recipes=recipes) == 130 and "the same command continues it" in capsys.readouterr().out
    )
    assert board_of(board) == expected  # nothing half done
    left = list((board / ".checkpoints").iterdir())
    assert len(left) == 1
    monkeypatch.setattr(training, "_update", update)
    assert run(board, "--retrain", recipes=recipes) == 0
    after = board_of(board)
    assert [row["scores"] for row in after] == [row["scores"] for row in expected] and after[0]["loss"] == expected[0][
        "loss"
    ]
    assert not list((board / ".checkpoints").iterdir())


def test_writing_is_atomic(board, monkeypatch):
    file = board / "data" / "scoreboard.jsonl"
    before = file.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        command.write(file, [])
    assert file.read_bytes() == before and len(list(file.parent.iterdir())) == 1


def test_two_processes_lose_no_row(board, monkeypatch):
    """Both read, both write: the second must see what the first wrote."""
    file, slow = board / "data" / "scoreboard.jsonl", command.load
    monkeypatch.setattr(command, "load", lambda path: (slow(path), time.sleep(0.1))[0])
    new = [Run(table_of(seed)[0], seed) for seed in (5, 6, 7)]
    rows = [[{**read(file)[0], "seed": one.seed}] for one in new]
    with ThreadPoolExecutor() as pool:
        list(pool.map(command.replace_rows, [file] * 3, new, rows))
    assert [row["seed"] for row in read(file)] == [0, 0, 1, 1, 5, 6, 7]
    assert not file.with_name(file.name + ".lock").exists()


def test_recipes_are_checked():
    with pytest.raises(ValueError, match="two recipes claim the run 06/tiny/copy/0"):
        command.all_runs(table_of(0) + table_of(0))
    with pytest.raises(ValueError, match="'a b' is no name"):
        Recipe("06", "a b", "copy", copying)
    with pytest.raises(ValueError, match="has no seed"):
        Recipe("06", "tiny", "copy", copying, seeds=())
    assert Run(table_of(3)[0], 3).name == "06/tiny/copy/3"


def test_the_command_line_works():
    words = [sys.executable, "-m", "benchmarks.scoreboard", "--list", "--only", "07/*"]  # all of them: the first test
    done = finished(words, "the list of runs", cwd=ROOT, check=True)
    assert len(done.stdout.splitlines()) == sum(len(recipe.seeds) for recipe in RECIPES if recipe.notebook == "07") > 1


# ---- reading ---------------------------------------------------------------------------------------------------------


def row_of(model, split, seed, value):
    row = dict.fromkeys(scoreboard.FIELDS, 0)
    return row | {"notebook": "06", "model": model, "task": "t", "split": split, "seed": seed, "scores": {"em": value}}


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "board.jsonl"
    values = [("rnn", "3-7", 0, 0.9), ("rnn", "3-7", 1, 0.7), ("rnn", "8-11", 0, 0.1), ("gru", "3-7", 0, 1.0)]
    file.write_text("".join(json.dumps(row_of(*v)) + "\n" for v in values))
    return file


def test_rows_filter_and_refuse_to_find_nothing(small):
    assert len(rows(file=small)) == 4 and len(rows(model="rnn", file=small)) == 3
    assert [r["seed"] for r in rows("06", "rnn", "t", "3-7", file=small)] == [0, 1]
    assert len(rows(seed=0, split="3-7", file=small)) == 2
    with pytest.raises(
        LookupError, match=r"no row with model='lstm', split='3-7'; it knows model: gru, rnn; split: 3-7, 8-11\."
    ):
        rows(model="lstm", split="3-7", file=small)


def test_rows_follow_the_file_and_are_the_callers_own(small):
    rows(file=small)[0]["scores"].clear()
    assert rows(file=small)[0]["scores"] == {"em": 0.9}
    small.write_text(json.dumps(row_of("rnn", "3-7", 0, 0.5)) + "\n")
    assert [row["scores"]["em"] for row in rows(file=small)] == [0.5]


def test_spread_and_table(small):
    found = rows(file=small)
    assert spread(found[:2], "em") == pytest.approx(Spread(0.8, 0.7, 0.9, 2))
    cells = table("em", found)
    assert list(cells) == ["rnn", "gru"] and cells["gru"] == {"3-7": Spread(1.0, 1.0, 1.0, 1)}
    assert as_text(cells) == "     3-7               8-11\nrnn  0.80 (0.70-0.90)  0.10\ngru  1.00              -"
    assert list(table("em", found, by="split", across="model")["3-7"]) == ["rnn", "gru"]
    with pytest.raises(ValueError, match="one model, task and split, not of 06/gru/t/3-7; 06/rnn/t/3-7"):
        spread(rows(split="3-7", file=small), "em")
    with pytest.raises(KeyError, match="no score 'bleu' in this row; it has em"):
        spread(found[:1], "bleu")
    with pytest.raises(ValueError, match="no rows"):
        spread([], "em")


def test_values_are_one_run_in_the_order_of_its_seeds(small):
    small.write_text("".join(json.dumps(row_of("rnn", "3-7", seed, seed / 10)) + "\n" for seed in (2, 10, 0)))
    assert values("em", model="rnn", split="3-7", file=small) == [0.0, 0.2, 1.0]
    with pytest.raises(LookupError, match="no row with model='lstm'"):
        values("em", model="lstm", file=small)
    with pytest.raises(KeyError, match="no score 'bleu'"):
        values("bleu", file=small)
    small.write_text(small.read_text() + json.dumps(row_of("gru", "3-7", 0, 0.5)) + "\n")
    with pytest.raises(ValueError, match="one model, task and split"):
        values("em", split="3-7", file=small)


def test_a_missing_or_damaged_file(tmp_path, small):
    with pytest.raises(
        FileNotFoundError, match="there is no file .*; make the scoreboard with `python -m benchmarks.scoreboard`"
    ):
        read(tmp_path / "none.jsonl")
    good = small.read_text()
    for line in ("{broken", '{"model": "rnn"}', "[]"):
        small.write_text(good + line + "\n")
        with pytest.raises(ValueError, match=r"board\.jsonl, line 5 is no row of the scoreboard"):
            read(small)


def test_where_the_board_lies(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    assert scoreboard.path() == Path(scoreboard.__file__).parents[1] / "data" / "scoreboard.jsonl"
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert scoreboard.path() == tmp_path / "scoreboard.jsonl"
