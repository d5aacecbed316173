"""Notebook 10's own pieces: the tree, a forced mistake, what is said of beams, and the film of a beam."""

import math

import pytest
import torch
from tiny_models import Table, copy_task

from course_utils.corpora.pair import Pair
from course_utils.experiments.nb10 import loops
from course_utils.experiments.nb10.beams import judged, scores, written
from course_utils.experiments.nb10.loops import repeated, variety
from course_utils.experiments.nb10.mistake import PLACE, REACH, after_a_mistake, goes_on, other_words
from course_utils.experiments.nb10.tree import SOURCE, TWO_STEPS, Tree
from course_utils.models.continuation import Continuation
from course_utils.models.language_model import CharLanguageModel
from course_utils.seq2seq.beam import beam_search
from course_utils.seq2seq.decoding import greedy
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import BEGIN, END, SPECIALS, Vocabulary
from course_utils.training import train
from course_utils.widgets.decoding import beam_film


def trained():
    model, batches, pairs, *words = copy_task()
    train(model, batches, steps=60, warmup=10, lr=1e-2, progress=False)
    return model, pairs, tuple(words)


def test_other_words_are_others_and_all_of_them():
    ids = torch.full((3000,), 6)
    drawn = other_words(ids, 9, seed=0)
    assert set(drawn.tolist()) == {4, 5, 7, 8} and drawn.min() >= len(SPECIALS)
    assert other_words(ids, 9, seed=0).equal(drawn)


def test_it_goes_on_as_greedy_does():
    model, pairs, words = trained()
    source = make_batch(pairs[:20], *words).source
    whole = greedy(model, source, 6).tokens
    begin = torch.full((20, 1), BEGIN)
    with torch.no_grad():
        assert goes_on(model, source, begin, whole.shape[1]).equal(whole)
        after_two = goes_on(model, source, torch.cat([begin, whole[:, :2]], 1), whole.shape[1] - 2)
    running = ~(whole[:, :2] == END).any(1)
    assert after_two[running].equal(whole[running, 2:])


def test_only_the_mistake_differs():
    """A model that copies letter by letter: what it says after a wrong word is known."""
    model, pairs, words = trained()
    long = [Pair(("a",) * 9, ("A", "B", "C") * 3), Pair(("b",) * 4, ("B",) * 4)]
    found = after_a_mistake(model, long, words)
    assert set(found) == {"nll clean", "nll mistake", "right clean", "right mistake"}
    batch = make_batch(long[:1], *words)
    wrong = batch.target_in.clone()
    wrong[0, PLACE + 1] = other_words(batch.target_in[:, PLACE + 1], len(words[1]), 0)[0]
    with torch.no_grad():
        for name, target_in in (("clean", batch.target_in), ("mistake", wrong)):
            log_probs = model(batch.source, target_in)[0].log_softmax(-1)
            for distance in range(REACH):
                place = PLACE + 1 + distance
                want = -float(log_probs[place, batch.target_out[0, place]])
                assert found[f"nll {name}"][distance] == pytest.approx(want, rel=1e-5)
    with pytest.raises(ValueError, match="longer ones"):
        after_a_mistake(model, long[1:], words)


def test_what_is_said_of_sentences():
    pairs = [Pair(("a",), ("A", "B")), Pair(("b",), ("B", "B"))]
    got = scores([("A", "B"), ()], [-1.0, -3.0], pairs)
    assert got["length_ratio"] == 0.5 and got["log_prob"] == -2 and got["exact_match"] == 0.5 == got["empty"]


def test_beams_and_exact_search_on_a_trained_model():
    model, pairs, words = trained()
    said, sums = written(model, pairs[:30], words, 3, alpha=1.0)
    for pair, sentence, total in zip(pairs[:30], said, sums, strict=True):
        best = beam_search(model, make_batch([pair], *words).source, 3, alpha=1.0).best
        assert words[1].decode(best.tokens[0]) == sentence and float(best.log_prob) == pytest.approx(total, abs=1e-4)
    got = judged(model, pairs[:12], words, (1, 3), 2000)
    assert got["proven"] == 1 and 0 <= got["missed_by_3"] <= got["missed_by_1"] <= 1
    assert got["log_prob"] >= scores(*written(model, pairs[:12], words, 3), pairs[:12])["log_prob"] - 1e-5


def test_repetition_and_variety():
    assert repeated("a b c d e f") == 0 == repeated("a b c")
    assert repeated("a b c d a b c d a b c d") == pytest.approx(5 / 9)  # 9 groups, 4 different
    assert variety("a b a b") == 0.5 and variety("") == 0


def test_people_and_models_are_judged_alike():
    torch.manual_seed(0)
    letters = Vocabulary("abcdefgh")
    writer = Continuation(CharLanguageModel(len(letters), d_embedding=5, d_hidden=9))
    prompts = torch.tensor([[4, 5, 6]])
    made = loops.written(writer, prompts, letters, lambda m, p: greedy(m, p, 12))
    whole = torch.cat([prompts[0], torch.tensor(letters.encode(list(made.texts[0])))])
    again = loops.people(writer, whole, letters, prompt=3, n=12, texts=1)
    assert again.texts == made.texts and again.perplexity == pytest.approx(made.perplexity, rel=1e-5)


def test_the_film_of_the_tree():
    tree = Tree(TWO_STEPS)
    film = beam_film(tree, SOURCE, tree.words, 2, as_probability=True)
    first, second, third = film.steps
    assert [(g.word, g.said, g.kept) for g in first] == [("a", "0.6", True), ("b", "0.4", True)]
    assert {(g.parent, g.word) for g in second if g.kept} == {(0, "c"), (1, "c")} and len(second) == 5
    assert all(g.ended and g.kept for g in third)


def test_the_film_keeps_finished_sentences_and_their_places():
    model = Table(8, {4: [4, 5, END]}, sure=2.0)
    film = beam_film(model, torch.tensor([[4, 7, 7]]), Vocabulary("pqrs"), 3, keep=3)
    ended = 0
    for step in film.steps:
        kept = [grown for grown in step if grown.kept]
        assert len(kept) == 3 - ended
        ended += sum(grown.ended for grown in kept)
    assert math.isfinite(float(film.steps[0][0].said.replace("−", "-"))) and film.frames == 2 * len(film.steps)
