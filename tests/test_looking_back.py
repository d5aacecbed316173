"""What notebook 07 alone needs: Bahdanau's step rewired, where a decoder looks, rates per word, kinds of mistakes."""

import itertools
import math

import pytest
import torch

from course_utils import metrics, scoreboard
from course_utils.corpora.mini import load_split
from course_utils.corpora.pair import Pair
from course_utils.experiments.nb07 import looks, mistakes
from course_utils.experiments.nb07.wires import RewiredSeq2Seq
from course_utils.proofs.tools import sample
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.text.vocabulary import Vocabulary
from course_utils.widgets import seq2seq as players

BATCH = sample()
WIDTHS = dict(d_embedding=5, d_hidden=4, d_attention=3, d_readout=6)
SIZES = (int(BATCH.source.max()) + 1, int(max(BATCH.target_in.max(), BATCH.target_out.max())) + 1)
PAIR = Pair(
    ("the", "black", "cat", "sees", "her"), ("le", "chat", "noir", "la", "voit"),
    ("DET", "ADJ", "NOUN", "VERB", "PRON"),
    ("DET", "NOUN", "ADJ", "PRON", "VERB"), frozenset({(0, 0), (2, 1), (1, 2), (4, 3), (3, 4)}),
    frozenset({(0, 0), (2, 1), (1, 2), (4, 3), (3, 4), (0, 1)}),
)  # fmt: skip


def rewired(reads: bool, feeds: bool) -> RewiredSeq2Seq:
    torch.manual_seed(0)
    return RewiredSeq2Seq(*SIZES, asks_after_reading=reads, context_in_cell=feeds, **WIDTHS).double().eval()


def test_with_the_papers_wires_it_is_bahdanaus_decoder():
    ours, theirs = rewired(False, True), BahdanauSeq2Seq(*SIZES, **WIDTHS).double().eval()
    ours.load_state_dict(theirs.state_dict())
    for one, other in zip(*(m(BATCH.source, BATCH.target_in, need_weights=True) for m in (ours, theirs)), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("wires", list(itertools.product((False, True), repeat=2)))
def test_step_by_step_equals_parallel(wires):
    model = rewired(*wires)
    logits, weights = model(BATCH.source, BATCH.target_in, need_weights=True)
    memory = model.encode(BATCH.source)
    state = model.start(memory)
    for i, token in enumerate(BATCH.target_in.unbind(1)):
        stepped, state, looked = model.step(token, state, memory)
        torch.testing.assert_close(stepped, logits[:, i])
        torch.testing.assert_close(looked, weights[:, i])


@pytest.mark.parametrize("wires", list(itertools.product((False, True), repeat=2)))
def test_the_two_wires_do_what_they_are_called(wires):
    reads, feeds = wires
    model = rewired(*wires)
    other = BATCH.target_in.clone()
    other[:, 1] = 4 + (other[:, 1] - 3) % (SIZES[1] - 4)  # another word y_1, read by step 1
    (_, a), (_, b) = (model(BATCH.source, t, need_weights=True) for t in (BATCH.target_in, other))
    assert torch.equal(a[:, 0], b[:, 0])
    assert torch.equal(a[:, 1], b[:, 1]) != reads  # only a query that has read y_1 looks elsewhere
    memory = model.encode(BATCH.source)
    moved = memory._replace(annotations=memory.annotations.roll(1, -1))
    states = [model.step(BATCH.target_in[:, 0], model.start(memory), m)[1].hidden for m in (memory, moved)]
    assert torch.equal(*states) != feeds  # only then does the context reach the state


def test_looks_are_sorted():
    maps = torch.zeros(5, 5)
    for i, j in enumerate((2, 1, 2, 4, 0)):  # le: next's; chat: next's; noir: previous's; la: own; voit: elsewhere
        maps[i, j] = 1.0
    found = metrics.looks([maps], [PAIR])
    assert found == {"own": 0.2, "next": 0.4, "previous": 0.2, "elsewhere": 0.2}
    maps[1] = torch.tensor([1.0, 0, 0, 0, 0])  # a possible link is no miss
    assert metrics.looks([maps], [PAIR])["own"] == 0.4
    with pytest.raises(ValueError, match="sure link"):
        metrics.looks([maps], [Pair(PAIR.source, PAIR.target)])


def test_own_looks_by_part():
    maps = torch.eye(5)[[0, 2, 1, 4, 0]]  # all own but the last
    assert looks.own_by_part([maps], [PAIR], parts=5) == [1, 1, 1, 1, 0]
    with pytest.raises(ValueError, match="fewer parts"):
        looks.own_by_part([maps], [PAIR], parts=9)


@pytest.mark.parametrize("rate", [0.3, 0.9, 0.995, 1.0])
def test_a_rate_per_word_comes_back(rate):
    lengths = [3, 5, 9, 14]
    share = sum(rate**n for n in lengths) / 4
    assert metrics.rate_per_word(share, lengths) == pytest.approx(rate, abs=1e-9)
    assert metrics.rate_per_word(rate**7, [7]) == pytest.approx(rate, abs=1e-9)


def test_a_rate_needs_something_right():
    assert math.isnan(metrics.rate_per_word(0.0, [3]))
    for share, lengths in ((1.1, [3]), (0.5, []), (0.5, [3, 0])):
        with pytest.raises(ValueError):
            metrics.rate_per_word(share, lengths)


def test_sharp_rows():
    assert looks.sharp([torch.tensor([[0.95, 0.05], [0.5, 0.5]]), torch.tensor([[1.0], [1.0]])]) == 0.75


def test_rivals():
    two = Pair(("a", "cat", "sees", "dogs"), ("un", "chat", "voit", "chiens"), ("DET", "NOUN", "VERB", "NOUN"),
               ("DET", "NOUN", "VERB", "NOUN"), frozenset({(0, 0), (1, 1), (2, 2), (3, 3)}),
               frozenset({(0, 0), (1, 1), (2, 2), (3, 3)}))  # fmt: skip
    assert looks.rival(two, "NOUN") == (1, 3, "chiens") and looks.rival(two, "VERB") == (1, 2, "voit")
    assert looks.rival(PAIR, "NOUN") is None and looks.rival(PAIR, "ADJ") == (1, 1, "noir")


def test_steering_over_many_sentences():
    pairs = load_split("train", 60)
    words = Vocabulary.build(p.source for p in pairs), Vocabulary.build(p.target for p in pairs)
    model = AttentiveSeq2Seq(*map(len, words), d_embedding=8, d_hidden=8)
    own = model.attention
    n, shares = looks.steered(model, pairs, *words, "NOUN")
    assert 0 < n < 60 and model.attention is own and all(0 <= share <= 1 for share in shares.values())
    with pytest.raises(ValueError, match="no sentence"):
        looks.steered(model, pairs, *words, "XYZ")


def test_kinds_of_mistakes():
    known = mistakes.meanings(load_split("train"))
    assert mistakes.kind("petits", "petites", known) == mistakes.kind("j'", "je", known) == mistakes.FORM
    assert mistakes.kind("chat", "chien", known) == mistakes.OTHER == mistakes.kind("chat", "xyz", known)
    said = [("le", "chien", "noire", "la", "voit"), ("le", "chat")]
    assert mistakes.mistakes(said, [PAIR, PAIR], known) == [
        ("chat", "chien", mistakes.OTHER), ("noir", "noire", mistakes.FORM)
    ]  # fmt: skip


def test_a_score_by_split():
    found = scoreboard.by_split("exact_match", ["3-7", "12-16"], model="attentive", task="45-seconds")
    assert [len(run) for run in found] == [2, 2, 2] and all(a > b for a, b in found)
    with pytest.raises(LookupError, match="'none'"):
        scoreboard.by_split("exact_match", ["3-7", "none"], model="attentive", task="45-seconds")


def test_a_player_opens_on_any_frame():
    pairs = [PAIR]
    words = Vocabulary.build([PAIR.source]), Vocabulary.build([PAIR.target])
    model = AttentiveSeq2Seq(*map(len, words), d_embedding=4, d_hidden=4)
    player = players.attention_player(model, *words, pairs, "It", at=2)
    assert player.values["at"] == 2 and "softmax" in player.text and player.error is None
