"""What every generated task draws (all its symbols, at every place), what every split and loader hands out, and where
the tensors of a batch go."""

import dataclasses
import inspect
import itertools

import pytest
import torch
from test_streams import SEEDED, ids

from course_utils.corpora import digit_sets, digits, long_tasks, mini, order, parallel, plays, syllables, wikipedia
from course_utils.corpora.long_memory import ASK, FIRST_KEY, draw_memories
from course_utils.experiments.nb03.note_keeper import WRITES, draw_notes
from course_utils.experiments.nb14.two_places import draw_places
from course_utils.experiments.nb21.fetching import draw_questions
from course_utils.experiments.nb22.masked_characters import SHARE
from course_utils.experiments.nb22.masked_characters import WindowBatches as CharacterWindows
from course_utils.experiments.nb22.recall import PairBatches
from course_utils.models.language_model import Streams
from course_utils.text.vocabulary import detokenise, tokenise

N = 3000


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def order_ids():
    lines = order.order_lines("back", N, [9], 0)
    return torch.tensor([[order.SYMBOLS.index(symbol) for symbol in line.source] for line in lines])


DRAWS = {  # name -> (ids (N, places), the ids that each place takes, all alike), as the docstrings promise
    "retrieval, questions": lambda: (long_tasks.draw_retrieval(N, 12, 4, 3, rng()).source[:, 8:], range(2, 6)),
    "retrieval, texts": lambda: (long_tasks.draw_retrieval(N, 12, 4, 3, rng()).source[:, :8], {1, *range(6, 18)}),
    "retrieval, answers": lambda: (long_tasks.draw_retrieval(N, 12, 4, 3, rng()).answer[:, 8:], range(1, 4)),
    "duplication": lambda: (long_tasks.draw_duplication(N, 12, 6, rng()).source[:, 1:6], range(2, 8)),
    "memories, key": lambda: (draw_memories(N, 5, rng()).source[:, :1], range(FIRST_KEY, FIRST_KEY + 8)),
    "memories, noise": lambda: (draw_memories(N, 5, rng()).source[:, 1:-1], range(ASK - 8, ASK)),
    "places, words": lambda: (draw_places(N, 6, 5, rng()).words, range(5)),
    "places, marks": lambda: (draw_places(N, 6, 5, rng()).marks, range(3)),
    "places, answers": lambda: (draw_places(N, 6, 5, rng()).target, range(5)),
    "questions, keys": lambda: (draw_questions(N, 4, 5, rng()).source[:, ::2], range(1, 5)),
    "questions, values": lambda: (draw_questions(N, 4, 5, rng()).source[:, 1::2], range(5, 10)),
    "questions, answers": lambda: (draw_questions(N, 4, 5, rng()).answer[:, None], range(5)),
    "pairs": lambda: (PairBatches(6, 5).take(N, rng()).values, range(5)),
    "order": lambda: (order_ids(), range(8)),
    "windows, hidden": lambda: (CharacterWindows(ids(400), 20).take(N, rng()).hidden.long(), range(2)),
    "windows, first place": lambda: (torch.tensor([CharacterWindows(ids(24), 20).take(N, rng()).index]).T, range(5)),
    "notes, written": lambda: (draw_notes(N, 9, rng()).inputs[:, 1:, 1].long(), range(2)),
}
WEIGHTS = {  # where they are not alike: name -> {id: its share of all}
    "retrieval, texts": {1: 0.5}, "windows, hidden": {0: 1 - SHARE, 1: SHARE},
    "notes, written": {0: 1 - WRITES, 1: WRITES}, "places, marks": {0: 4 / 6, 1: 1 / 6, 2: 1 / 6},
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_every_symbol_comes_as_often_as_promised_at_every_place(name):
    drawn, wanted = DRAWS[name]()
    wanted, weights = sorted(wanted), WEIGHTS.get(name, {})
    rest = (1 - sum(weights.values())) / max(1, len(wanted) - len(weights))
    for column in drawn.unbind(1):
        assert sorted(set(column.tolist())) == wanted
        for symbol in wanted:
            share = weights.get(symbol, rest)
            off = (share * (1 - share) / N) ** 0.5  # the standard error
            assert abs(float((column == symbol).double().mean()) - share) < 5 * off, f"{symbol} at one of the places"


def test_listops_draw_every_operator_digit_and_depth():
    drawn = long_tasks.draw_listops(400, (8, 40), rng(), depth=3)
    counts = torch.bincount(drawn.source.flatten(), minlength=long_tasks.LISTOPS_TOKENS)[1:]
    operators, digits_ = counts[10:14].double(), counts[:10].double()
    for some in (operators, digits_):
        assert float(some.min()) > 0.75 * float(some.mean())
    assert sorted(set(drawn.answer.tolist())) == list(range(10))


WHERE = {  # what stands where says nothing: pairs of places that must come in both orders, each half of the time
    "retrieval, two facts": lambda: [
        [[row.index(w) for w in row if w >= 6 and (w - 6) // 3 == key][0] for key in (0, 1)]
        for row in long_tasks.draw_retrieval(400, 12, 4, 3, rng()).source.tolist()],
    "retrieval, two questions": lambda: [
        [row.index(2), row.index(3)] for row in long_tasks.draw_retrieval(400, 12, 4, 3, rng()).source.tolist()],
    "places, two marks": lambda: [
        [row.index(1), row.index(2)] for row in draw_places(400, 6, 5, rng()).marks.tolist()],
    "questions, two keys": lambda: [
        [row[:-1:2].index(1), row[:-1:2].index(2)] for row in draw_questions(400, 4, 5, rng()).source.tolist()],
}  # fmt: skip


@pytest.mark.parametrize("name", WHERE)
def test_the_order_gives_nothing_away(name):
    pairs = WHERE[name]()
    assert 0.4 < sum(first < second for first, second in pairs) / len(pairs) < 0.6
    assert len({first for first, _ in pairs}) >= 4


def test_the_asked_key_stands_anywhere():
    rows = draw_questions(800, 4, 5, rng()).source.tolist()
    found = torch.bincount(torch.tensor([row[:-1:2].index(row[-1]) for row in rows]), minlength=4)
    assert int(found.min()) > 150


# --- splits and loaders -----------------------------------------------------------------------------------------------

CUTS = {  # splits that are stretches of one list of 1,797 pictures
    "digits": digits.SPLITS,
    "pixels": long_tasks.PICTURES,
    "sets": {name: (part.start, part.stop) for name, part in digit_sets.SPLITS.items()},
}


@pytest.mark.parametrize("name", CUTS)
def test_splits_share_nothing_and_lose_nothing(name):
    cuts = CUTS[name]
    assert list(cuts) == ["train", "valid", "test"]
    assert list(itertools.chain(*(range(*cut) for cut in cuts.values()))) == list(range(1797))
    assert cuts["train"] == digits.SPLITS["train"], "all three train on the same pictures"


def test_the_pictures_of_a_split_are_those_of_its_cut():
    pixels, classes = digits.read_digits()
    for split, (first, end) in long_tasks.PICTURES.items():
        assert long_tasks.pixel_sequences(split).answer.equal(classes[first:end])
    for split, (first, end) in digits.SPLITS.items():
        assert digits.load_split(split).classes.equal(classes[first:end])
        assert (digits.load_split(split).pixels * 16).equal(pixels[first:end])


LISTS = {  # loaders that remember what they have read
    "load_split": lambda: mini.load_split("valid", 20),
    "load_split, whole": lambda: mini.load_split("test_03_07"),
    "load_test_buckets": lambda: mini.load_test_buckets(5)["3-7"],
    "load_syllables": syllables.load_syllables,
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_the_callers_own(name):
    first = LISTS[name]()
    before = list(first)
    first.clear()
    assert LISTS[name]() == before


def written(path, lines):
    path.write_text("".join(lines), encoding="utf-8")
    return path


LIMITED = {  # readers that take a limit -> limit -> what they give of ten lines
    "load_split": lambda folder: lambda n: mini.load_split("valid", n),
    "read_split": lambda folder: lambda n: mini.read_split(mini.folder() / "valid.tsv", n),
    "load_test_buckets": lambda folder: lambda n: mini.load_test_buckets(n)["8-11"],
    "read_tsv": lambda folder: lambda n: parallel.read_tsv(
        written(folder / "a", [f"word {i} .\tmot {i} .\n" for i in range(300)]), n),
    "read_paired": lambda folder: lambda n: parallel.read_paired(
        written(folder / "en", [f"word {i} .\n" for i in range(300)]),
        written(folder / "fr", [f"mot {i} .\n" for i in range(300)]), n),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_is_the_number_of_what_comes_first(name, tmp_path):
    read = LIMITED[name](tmp_path)
    whole = read(None)
    for n in (1, 2, 150, 300):
        assert read(n) == whole[:n] and len(read(n)) == n


def test_no_reader_with_a_limit_is_forgotten():
    found = {
        name for module in (mini, parallel, plays, syllables, wikipedia, digits, order)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if "limit" in inspect.signature(function).parameters and not name.startswith("_")
    }  # fmt: skip
    assert found == set(LIMITED)


# --- batches that move ------------------------------------------------------------------------------------------------

BATCHES = {name: lambda name=name: next(SEEDED[name](0).forever()) for name in SEEDED}
BATCHES["Streams"] = lambda: next(Streams(ids(90), lanes=3, length=10).forever())


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_moves_with_everything_in_it(name):
    """To the device "meta", which every torch has: a tensor left behind would meet the model's on another device."""
    batch = BATCHES[name]()
    moved = batch.to("meta")
    assert type(moved) is type(batch)
    for field in dataclasses.fields(batch):
        before, after = getattr(batch, field.name), getattr(moved, field.name)
        if isinstance(before, torch.Tensor):
            assert after.device.type == "meta" and before.device.type == "cpu", f"{field.name} stayed behind"
            assert after.shape == before.shape and after.dtype == before.dtype
        else:
            assert after is before or after == before


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["the dogs ' owner sleeps .", "‘ so ' he says", "l' eau ' x", "rock ' n ' roll"])
def test_an_apostrophe_alone_is_no_elision(line):
    """Only a word that ends in one leans on the next; alone it is a sign of its own, and stays one."""
    tokens = tuple(line.split())
    assert " ' " in detokenise(tokens) and tokenise(detokenise(tokens)) == tokens
