"""What a hash or fingerprint stands for: each part of it alone, changed a little, gives another one."""

import random

import numpy as np
import pytest
import torch
from test_scoreboard import PROJECT, hashes

from benchmarks import scoreboard as command
from course_utils.corpora import digit_sets, digits, mini, plays, syllables
from course_utils.corpora.long_tasks import SequenceBatches, Sequences
from course_utils.seeds import seed_everything

MODELS, RECIPES = "course_utils/models.py", "course_utils/experiments/recipes.py"
FORMS = {  # a way to stand on something -> (what is written first, what then changes, does recipe one change?)
    "a module imported inside a method": (
        [(MODELS, "return attend(x)", "from course_utils.layers import other\n        return attend(x) + other.Y")],
        ("course_utils/layers/other.py", "1", "2")),
    "a module imported inside the recipe": (
        [(RECIPES, "    return helper(steps)", "    import course_utils.layers.other\n"
          "    return helper(steps), course_utils.layers.other.Y")],
        ("course_utils/layers/other.py", "1", "2")),
    "a module imported under another name": (
        [(MODELS, "import torch\n", "import course_utils.layers.other as o\n"),
         (MODELS, "attend(x)", "attend(x) + o.Y")],
        ("course_utils/layers/other.py", "1", "2")),
    "a constant that is added to": (
        [(RECIPES, "SIZE = 8", "SIZE = 8\nSIZE += 1")], (RECIPES, "SIZE += 1", "SIZE += 2")),
    "a constant with a type": ([(RECIPES, "SIZE = 8", "SIZE: int = 8")], (RECIPES, "SIZE: int = 8", "SIZE: int = 9")),
    "one of two constants": (
        [(RECIPES, "SIZE = 8", "SIZE, REST = 8, 9")], (RECIPES, "SIZE, REST = 8", "SIZE, REST = 7")),
    "a decorator": (
        [(RECIPES, "def helper(n)", "def twice(f):\n    return f\n\n\n@twice\ndef helper(n)")],
        (RECIPES, "    return f\n", "    return f and f\n")),
    "a base class": (
        [(MODELS, "class Model:", "class Base:\n    W = 1\n\n\nclass Model(Base):")], (MODELS, "W = 1", "W = 2")),
    "a default value": ([(RECIPES, "def helper(n)", "def helper(n, k=RATE)")], (RECIPES, "RATE = 1", "RATE = 2")),
    "the keyword of a call": (
        [(MODELS, "attend(x)", "attend(x, scale=1)")], (MODELS, "attend(x, scale=1)", "attend(x, shift=1)")),
    "the order of arguments": ([], (MODELS, "def forward(self, x)", "def forward(x, self)")),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_whatever_a_recipe_stands_on_is_in_its_code_hash(tmp_path, form):
    written, change = FORMS[form]
    before = hashes(tmp_path / "before", written)
    assert hashes(tmp_path / "again", written) == before
    after = hashes(tmp_path / "after", [*written, change])
    assert before[0] != after[0], "the recipe stands on this, and its hash does not know"
    assert set(PROJECT) >= {name for name, _, _ in [*written, change]}


def test_the_hash_of_the_digits_knows_pixels_and_labels(monkeypatch):
    pixels, labels = digits.read_digits()
    before = digit_sets.digits_hash()
    for k, part in enumerate((pixels, labels)):
        changed = part.clone()
        changed.view(-1)[-1] += 1
        monkeypatch.setattr(digit_sets, "read_digits", lambda k=k, changed=changed: (
            (changed, labels) if k == 0 else (pixels, changed)))  # fmt: skip
        assert digit_sets.digits_hash() != before
        monkeypatch.undo()
    assert digit_sets.digits_hash() == before


def test_the_hash_of_the_plays_knows_every_split_and_what_is_rare(monkeypatch):
    texts = dict(train="aa", valid="b", test="c")
    monkeypatch.setattr(plays, "load_text", texts.__getitem__)
    found = {plays.plays_hash()}
    for split in texts:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(texts, split, texts[split] + "x")
            found.add(plays.plays_hash())
    monkeypatch.setattr(plays, "RARE", plays.RARE + 1)
    assert len(found | {plays.plays_hash()}) == 5


def test_the_hash_of_the_corpus_knows_every_split(monkeypatch, tmp_path):
    monkeypatch.setattr(mini, "folder", lambda: tmp_path)
    for name in mini.SPLITS:
        (tmp_path / f"{name}.tsv").write_text(name)
    found = {mini.corpus_hash()}
    for name in mini.SPLITS:
        (tmp_path / f"{name}.tsv").write_text(name + " ")
        found.add(mini.corpus_hash())
        (tmp_path / f"{name}.tsv").write_text(name)
    assert len(found) == len(mini.SPLITS) + 1


def test_the_hash_of_the_syllables_knows_both_sides():
    rows = [("你", "ni3"), ("好", "hao3")]
    others = [[("您", "ni3"), rows[1]], [rows[0], ("好", "hao4")], rows[::-1], rows[:1]]
    assert len({syllables.syllables_hash(some) for some in (rows, *others)}) == 5


@pytest.mark.parametrize("part", ["source", "answer"])
def test_a_stream_of_sequences_knows_questions_and_answers(part):
    data = Sequences(torch.ones(6, 4, dtype=torch.long), torch.ones(6, dtype=torch.long), list(range(6)))
    before = SequenceBatches(data, 2).state_dict()
    getattr(data, part).view(-1)[-1] += 1
    assert SequenceBatches(data, 2).state_dict() != before


def test_a_seed_is_where_all_randomness_begins():
    """Python's, NumPy's and torch's generators, and one of its own; and it is another place for another seed."""
    def drawn(seed):
        own = seed_everything(seed)
        return [random.random(), float(np.random.rand()), float(torch.rand(1)), float(torch.rand(1, generator=own))]

    first, again, other = drawn(3), drawn(3), drawn(4)
    assert first == again and all(a != b for a, b in zip(first, other, strict=True))
    own = seed_everything(3)
    torch.rand(5)  # what else is drawn does not move it
    assert float(torch.rand(1, generator=own)) == first[3]


@pytest.mark.parametrize(
    ("value", "stored"),
    [(0.123456789, 0.1234568), (123456789.0, 123456800.0), (1e-9 / 3, 3.333333e-10), (7, 7), (123456789, 123456789),
     (0.5, 0.5), (-2.00000049, -2.0)],
)  # fmt: skip
def test_a_row_keeps_seven_digits(value, stored):
    """What float32 knows; whole numbers are kept whole."""
    assert command._rounded(value) == stored and type(command._rounded(value)) is type(value)
    assert command._numbers({"score": value}) == {"score": stored}


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [(1.0, 1.00009, True), (1.0, 1.00012, False), (1e6, 1.00009e6, True), (1e6, 1.00012e6, False), (0.0, 9e-6, True),
     (0.0, 1.2e-5, False), (float("nan"), float("nan"), True), (float("nan"), 1.0, False), (1, 1, True)],
)  # fmt: skip
def test_a_replay_may_differ_by_rounding_only(old, new, same):
    assert command._close([2.0, old], [2.0, new]) == command._close([new], [old]) == same
