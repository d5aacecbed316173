"""Every stream of batches that `train` may be given: its order follows from its seed, changes with the epoch, resumes
where it stood, and refuses a place that belongs to other data."""

import ast
import dataclasses
import itertools
from pathlib import Path

import pytest
import torch

import course_utils
from course_utils.corpora.digit_sets import DigitSets, SetBatches
from course_utils.corpora.digits import DigitBatches
from course_utils.corpora.long_memory import MemoryBatches
from course_utils.corpora.long_tasks import SequenceBatches, Sequences
from course_utils.corpora.pair import Pair
from course_utils.experiments.nb01.next_word import NextWordBatches
from course_utils.experiments.nb03.note_keeper import NoteBatches
from course_utils.experiments.nb14.two_places import PlacesBatches
from course_utils.experiments.nb21.fetching import Questions
from course_utils.experiments.nb22.masked_characters import WindowBatches as CharacterWindows
from course_utils.experiments.nb22.recall import PairBatches
from course_utils.models.embeddings import WindowBatches, count_words
from course_utils.models.language_model import Streams
from course_utils.models.tagger import LabelBatches
from course_utils.text.batches import Batches
from course_utils.text.vocabulary import Vocabulary

N = 60  # of sentences, sequences, sets; 6 or 7 batches of 9 an epoch


def ids(*shape, seed=0, low=1, high=50):
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


def sentences(data):
    pairs = [Pair((f"s{i}",) * (1 + i % 5), (f"t{i}",) * (1 + i % 5)) for i in range(N)]
    if data:  # one word of one target
        pairs[-1] = dataclasses.replace(pairs[-1], target=("t0", *pairs[-1].target[1:]))
    words = [Vocabulary.build(getattr(p, side) for p in pairs) for side in ("source", "target")]
    return pairs, *words


def word_windows(seed, data):
    text = [tuple(f"w{(7 * i + j) % 23}" for j in range(4)) for i in range(N - 2 * data)]
    return WindowBatches(text, *count_words(text), subsample=None, noise=4, batch_size=9, window=2, seed=seed)


def sequences(seed, data):
    source, answer = ids(N, 8), ids(N, seed=1)
    answer = answer.roll(1) if data else answer  # as many, and the same sum
    return SequenceBatches(Sequences(source, answer, list(range(N))), 9, seed)


def sets(seed, data):
    mask, labels = torch.ones(N, 4, dtype=torch.bool), ids(N, seed=1, low=0, high=10)
    return SetBatches(DigitSets(ids(N, 4, 3).float(), mask, labels.roll(data), list(range(N))), 9, seed)


def next_words(seed, data):
    return NextWordBatches(ids(N, 3), ids(N, seed=1).roll(data), 9, seed)


EPOCHS = {  # what reads the same data again and again; data = 1: a little of it is different
    "Batches": lambda seed, data=0: Batches(*sentences(data), batch_size=9, seed=seed),
    "LabelBatches": lambda seed, data=0: LabelBatches(*sentences(data), batch_size=9, seed=seed),
    "WindowBatches": lambda seed, data=0: word_windows(seed, data),
    "SequenceBatches": lambda seed, data=0: sequences(seed, data),
    "SetBatches": lambda seed, data=0: sets(seed, data),
    "NextWordBatches": lambda seed, data=0: next_words(seed, data),
    "DigitBatches": lambda seed, data=0: DigitBatches("valid" if data else "train", 150, seed),
}
ENDLESS = {  # what draws every batch anew
    "MemoryBatches": lambda seed, data=0: MemoryBatches(12 + data, 9, seed),
    "NoteBatches": lambda seed, data=0: NoteBatches(9, 12 + data, seed),
    "PlacesBatches": lambda seed, data=0: PlacesBatches(9, 8, 8 + data, seed),
    "Questions": lambda seed, data=0: Questions(8, 16 + data, 9, seed),
    "PairBatches": lambda seed, data=0: PairBatches(8, 16 + data, 9, seed),
    "nb22 WindowBatches": lambda seed, data=0: CharacterWindows(ids(400, seed=data), 20, 9, seed),
}
SEEDED = EPOCHS | ENDLESS
BY_TEXT = {"Streams", "DocumentBatches"}  # a text from its beginning to its end: no seed; documents: test_hierarchical


def content(batch):
    """Everything a batch holds, as plain values that can be compared."""
    values = (getattr(batch, field.name) for field in dataclasses.fields(batch))
    return tuple(repr(v.tolist()) if torch.is_tensor(v) else repr(v) for v in values if not isinstance(v, Streams))


def first(stream, n):
    return [content(batch) for batch in itertools.islice(stream.forever(), n)]


def test_no_stream_is_forgotten():
    found = set()
    for path in Path(course_utils.__file__).parent.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and any(getattr(part, "name", "") == "forever" for part in node.body):
                found.add(node.name)
    assert found == {name.split()[-1] for name in SEEDED} - {"LabelBatches"} | BY_TEXT


@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_is_an_order_and_another_seed_another(name):
    make = SEEDED[name]
    one = first(make(0), 20)
    torch.manual_seed(1)
    assert first(make(0), 20) == one, "and nothing but the seed decides"
    for seed in (1, 2, 17):
        other = first(make(seed), 20)
        shared = len(set(one) & set(other))
        assert not shared if name in ENDLESS else shared <= 4, f"seeds 0 and {seed} share {shared} of 20 batches"
    if name in ENDLESS:
        assert len(set(one)) == 20, "a batch came twice"


@pytest.mark.parametrize("name", EPOCHS)
def test_every_epoch_has_an_order_of_its_own(name):
    stream = EPOCHS[name](0)
    n = len(stream.data) // 150 if name == "DigitBatches" else len(stream) if hasattr(stream, "__len__") else N // 9
    seen = first(stream, 4 * n)
    epochs = [seen[k * n : (k + 1) * n] for k in range(4)]
    for one, other in itertools.combinations(epochs, 2):
        assert one != other, "the same order again"
        assert set(one) != set(other), "the same batches in another order"


@pytest.mark.parametrize("before", [1, 5, 8, 15])
@pytest.mark.parametrize("name", SEEDED)
def test_a_stream_goes_on_where_it_stood(name, before):
    whole, stopped, resumed = first(SEEDED[name](3), 24), SEEDED[name](3), SEEDED[name](3)
    first(stopped, before)
    resumed.load_state_dict(stopped.state_dict())
    assert first(resumed, 24 - before) == whole[before:]


@pytest.mark.parametrize("name", SEEDED)
def test_a_place_in_other_data_is_refused(name):
    """Data of the same size that differ a little; and for streams whose place says a number only, another seed."""
    make = SEEDED[name]
    state = make(0).state_dict()
    with pytest.raises(ValueError):
        make(0, 1).load_state_dict(state)
    if not {"epoch_start", "generator"} & state.keys():
        with pytest.raises(ValueError):
            make(1).load_state_dict(state)
