"""Taggers: what a label may depend on, pads and neighbours; label batches; scores and the per-word ceiling."""

import itertools
import math

import pytest
import torch

from course_utils.corpora.mini import load_split
from course_utils.corpora.pair import Pair
from course_utils.layers.simple_recurrent import ElmanCell, unroll
from course_utils.models.tagger import (
    KINDS,
    LabelBatches,
    Tagger,
    ambiguous_words,
    label_counts,
    labelled,
    look_up,
    majority_table,
    per_word_ceiling,
    predict,
    tag_scores,
    windows,
)
from course_utils.text.vocabulary import BEGIN, PAD, UNK, Vocabulary
from course_utils.training import token_loss, train

SENTENCES = [
    Pair(tuple(words.split()), tuple(tags.split()))
    for words, tags in (
        ("the cook sleeps .", "DET NOUN VERB PUNCT"),
        ("they cook the fish .", "PRON VERB DET NOUN PUNCT"),
        ("we see her .", "PRON VERB PRON PUNCT"),
        ("we see her fish .", "PRON VERB DET NOUN PUNCT"),
        ("fish sleeps .", "NOUN VERB PUNCT"),
        ("the fish of the cook sleeps and they see her .",
         "DET NOUN ADP DET NOUN VERB CCONJ PRON VERB PRON PUNCT"),
    )
]  # fmt: skip
WORDS, TAGS = (Vocabulary.build(getattr(s, side) for s in SENTENCES) for side in ("source", "target"))


def tagger(kind: str, **options) -> Tagger:
    torch.manual_seed(0)
    return Tagger(kind, len(WORDS), len(TAGS), **(dict(d_embedding=6, d_hidden=8, k=1) | options)).eval()


def ids(*rows: list[int]) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


# --- models -----------------------------------------------------------------------------------------------------------

SEES = {  # which of nine words the label of word 4 may depend on
    "word": {4}, "window": {2, 3, 4, 5, 6}, "elman": set(range(5)), "jordan": set(range(5)),
    "backward": set(range(4, 9)),
    "bidirectional": set(range(9)),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_label_depends_on(kind):
    model = tagger(kind, k=2).double()
    first = torch.tensor([[4, 5, 6, 7, 8, 9, 10, 11, 12]])
    before, seen = model(first)[0, 4], set()
    for place in range(9):
        other = first.clone()
        other[0, place] = 13
        if not torch.allclose(model(other)[0, 4], before, rtol=0, atol=1e-12):
            seen.add(place)
    assert seen == SEES[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_pads_and_neighbours_change_nothing(kind):
    model, rows = tagger(kind), [[4, 5, 6, 7, 8], [9], [10, 11, 4]]
    together = model(ids(*rows, [5] * 9))
    for row, logits in zip(rows, together, strict=False):
        torch.testing.assert_close(logits[: len(row)], model(torch.tensor([row]))[0])


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_target_in_is_not_looked_at(kind):
    model, source = tagger(kind), ids([4, 5, 6], [7, 8])
    logits = model(source, ids([BEGIN, 4, 5], [BEGIN, 6]))
    assert logits.shape == (2, 3, len(TAGS)) and torch.equal(logits, model(source))
    assert torch.equal(logits, model(source, torch.zeros(2, 3, dtype=torch.long)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains(kind):
    model = tagger(kind, d_embedding=12, d_hidden=16)
    history = train(model, LabelBatches(SENTENCES, WORDS, TAGS, 3), steps=150, lr=0.02, warmup=10, progress=False)
    scores = tag_scores(predict(model, SENTENCES, WORDS, TAGS), SENTENCES, ambiguous_words(SENTENCES))
    ceiling = per_word_ceiling(SENTENCES, ambiguous_words(SENTENCES))
    if kind == "word":
        assert scores.accuracy == ceiling.accuracy < 1 and history.loss[-1] > 0.02
    elif kind in ("window", "backward", "bidirectional"):
        assert scores.accuracy == 1 and scores.accuracy_ambiguous == 1
    else:  # "we see her" ends or goes on: from the left nobody knows
        assert ceiling.accuracy < scores.accuracy < 1


def test_the_elman_tagger_is_our_own_cell():
    model = tagger("elman").double()
    cell, rnn = ElmanCell(6, 8).double(), model.body.rnn
    with torch.no_grad():
        cell.W.weight.copy_(rnn.weight_ih_l0)
        cell.U.weight.copy_(rnn.weight_hh_l0)
        cell.W.bias.copy_(rnn.bias_ih_l0 + rnn.bias_hh_l0)
    source = ids([4, 5, 6, 7], [8, 9])
    states = unroll(cell, model.embedding(source), source != PAD)[0]
    torch.testing.assert_close(model(source), model.output(states), rtol=0, atol=1e-12)


def test_backward_is_the_backward_half_of_our_own_loop():
    model = tagger("backward").double()
    cell, rnn = ElmanCell(6, 8).double(), model.body.rnn
    with torch.no_grad():
        cell.W.weight.copy_(rnn.weight_ih_l0)
        cell.U.weight.copy_(rnn.weight_hh_l0)
        cell.W.bias.copy_(rnn.bias_ih_l0 + rnn.bias_hh_l0)
    source = ids([4, 5, 6, 7], [8, 9])
    states = unroll(cell, model.embedding(source), source != PAD, backward=True)[0]
    made = model(source)[source != PAD]
    torch.testing.assert_close(made, model.output(states)[source != PAD], rtol=0, atol=1e-12)


def test_windows_by_hand():
    x = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], [[4.0, 40.0], [5.0, 50.0], [9.0, 90.0]]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    made = windows(x, mask, 1)
    assert made.shape == (2, 3, 6)
    assert made[0].tolist() == [[0, 0, 1, 10, 2, 20], [1, 10, 2, 20, 3, 30], [2, 20, 3, 30, 0, 0]]
    assert made[1, :2].tolist() == [[0, 0, 4, 40, 5, 50], [4, 40, 5, 50, 0, 0]]
    assert torch.equal(windows(x, mask, 0), x * mask.unsqueeze(-1))
    wide = windows(x, mask, 5)
    assert wide.shape == (2, 3, 22) and wide[0, 0, 10:16].tolist() == [1, 10, 2, 20, 3, 30]


def test_parameters_grow_with_the_window():
    sizes = [sum(p.numel() for p in tagger("window", k=k).parameters()) for k in range(4)]
    assert sizes[0] == sum(p.numel() for p in tagger("word", k=9).parameters())
    assert [b - a for a, b in itertools.pairwise(sizes)] == [2 * 6 * 8] * 3


# --- batches ----------------------------------------------------------------------------------------------------------


def test_label_batches():
    batches = LabelBatches(SENTENCES, WORDS, TAGS, batch_size=2, seed=3)
    seen = []
    for batch in batches.once():
        seen += batch.index
        assert batch.source.shape == batch.target_in.shape == batch.target_out.shape
        assert torch.equal(batch.source == PAD, batch.target_out == PAD)
        assert batch.n_tokens == sum(len(SENTENCES[i].source) for i in batch.index)
        for i, source, labels, before in zip(batch.index, batch.source, batch.target_out, batch.target_in, strict=True):
            n = len(SENTENCES[i].source)
            assert WORDS.decode(source) == SENTENCES[i].source and TAGS.decode(labels) == SENTENCES[i].target
            assert before[:n].tolist() == [BEGIN, *labels[: n - 1].tolist()] and not before[n:].any()
    assert sorted(seen) == list(range(6))
    stream = batches.forever()
    first = [next(stream).index for _ in range(2)]
    state = batches.state_dict()
    following = [next(stream).index for _ in range(5)]
    other = LabelBatches(SENTENCES, WORDS, TAGS, batch_size=2, seed=9)
    other.load_state_dict(state)
    again = other.forever()
    assert [next(again).index for _ in range(5)] == following and first != following[:2]


def test_pads_neither_cost_nor_earn():
    model = tagger("elman")
    short, both = (
        next(LabelBatches(some, WORDS, TAGS, batch_size=2).once()) for some in (SENTENCES[4:5], SENTENCES[4:])
    )
    alone = token_loss(model(short.source), short.target_out)
    padded = torch.nn.functional.pad(short.source, (0, 7)), torch.nn.functional.pad(short.target_out, (0, 7))
    torch.testing.assert_close(token_loss(model(padded[0]), padded[1]), alone)
    assert not torch.isclose(token_loss(model(both.source), both.target_out), alone)


def test_wrong_arguments_are_refused():
    uneven = [Pair(("a", "b"), ("X",))]
    for do, said in {
        "kind": (lambda: tagger("lstm"), "'word', 'window'"),
        "window": (lambda: tagger("window", k=-1), "k=-1"),
        "width": (lambda: tagger("word", d_hidden=0), "d_hidden"),
        "labels": (lambda: LabelBatches(uneven, WORDS, TAGS), "2 words and 1 labels"),
        "pairs of the corpus": (lambda: LabelBatches(load_split("valid", 5), WORDS, TAGS), "`labelled`"),
        "empty": (lambda: LabelBatches([], WORDS, TAGS), "no sentence"),
        "empty row": (lambda: tagger("word")(torch.tensor([[PAD, PAD]])), "without a word"),
        "gap": (lambda: tagger("word")(torch.tensor([[4, PAD, 5]])), "after a pad"),
        "one row": (lambda: tagger("word")(torch.tensor([4, 5])), "(2,)"),
        "scores": (lambda: tag_scores([("X",)], SENTENCES, ()), "1 labelled"),
        "score": (lambda: tag_scores([("X",)], SENTENCES[:1], ()), "1 labels for the 4"),
    }.values():
        with pytest.raises(ValueError) as error:
            do()
        assert said in str(error.value), said


# --- scores -----------------------------------------------------------------------------------------------------------


def test_counts_and_tables():
    assert dict(label_counts(SENTENCES)["fish"]) == {"NOUN": 4} and ambiguous_words(SENTENCES) == {"cook", "her"}
    table = majority_table(SENTENCES)
    assert table["cook"] == "NOUN" and table["her"] == "PRON"  # 2 of 3 each
    tied = [Pair(("a", "a"), ("Y", "X"))]
    assert majority_table(tied) == {"a": "X"}
    assert look_up(table, [Pair(("her", "dogs"), ("X", "X"))]) == [("PRON", "<unk>")]


def test_scores_by_hand():
    sentences = [Pair(("a", "b"), ("X", "Y")), Pair(("b", "c"), ("Z", "X"))]
    scores = tag_scores([("X", "Y"), ("Y", "Y")], sentences, {"b"})
    assert (scores.accuracy, scores.accuracy_ambiguous, scores.n, scores.n_ambiguous) == (0.5, 0.5, 4, 2)
    assert math.isnan(tag_scores([("X", "Y"), ("Y", "Y")], sentences, ()).accuracy_ambiguous)


def test_an_unknown_word_cannot_be_right_by_the_label_unk():
    sentences = [Pair(("zebra",), ("NEW",))]
    model = tagger("word")
    with torch.no_grad():
        model.output.bias[UNK] = 100.0  # it says <unk>, and the label is unknown to the vocabulary too
    assert predict(model, sentences, WORDS, TAGS) == [("<unk>",)]
    assert tag_scores(predict(model, sentences, WORDS, TAGS), sentences, ()).accuracy == 0


def test_the_ceiling_is_the_best_of_all_tables():
    sentences = [SENTENCES[i] for i in (0, 1, 2, 3)]
    words = sorted({w for s in sentences for w in s.source})
    known = label_counts(sentences)
    best = max(
        tag_scores(look_up(dict(zip(words, choice, strict=True)), sentences), sentences, ()).accuracy
        for choice in itertools.product(*(sorted(known[w]) for w in words))
    )
    assert per_word_ceiling(sentences, ()).accuracy == best < 1


def test_the_corpus_has_the_ambiguity_that_its_description_states():
    train_sentences = labelled(load_split("train"))
    ambiguous = ambiguous_words(train_sentences)
    assert len(ambiguous) == 35 and {"her", "that", "cook", "watch"} <= ambiguous
    scores = per_word_ceiling(train_sentences, ambiguous)
    assert (scores.n, scores.n_ambiguous) == (202_884, 15_883)
    assert scores.accuracy == pytest.approx(0.97553, abs=1e-5)


def test_predictions_come_back_in_order():
    model = tagger("bidirectional")
    together = predict(model, SENTENCES, WORDS, TAGS, batch_size=2)
    assert together == [predict(model, [s], WORDS, TAGS)[0] for s in SENTENCES]
    model.train()
    predict(model, SENTENCES, WORDS, TAGS)
    assert model.training


@pytest.mark.parametrize("label", range(len(TAGS)))
def test_every_word_gets_a_label_whatever_it_is(label):
    """A hardly trained tagger may say PAD, BEGIN or END: its answer is as long as the sentence all the same."""
    model = Tagger("word", len(WORDS), len(TAGS))
    with torch.no_grad():
        model.output.bias[label] = 1e6
    said = predict(model, SENTENCES, WORDS, TAGS)
    assert said == [(TAGS.words[label],) * len(sentence.source) for sentence in SENTENCES]
