"""What notebook 09 counts: how far a word looks from its own place, and whether what was said is taken back."""

import pytest
import torch
from pytest import approx

from course_utils.attention.local import LocalMonotonicAttention
from course_utils.attention.steering import plugged
from course_utils.corpora import mini
from course_utils.corpora.pair import Pair
from course_utils.experiments.nb09 import looks
from course_utils.metrics import evaluate
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.text.vocabulary import Vocabulary

PAIRS = [Pair(("the", "blue", "menu"), ("le", "menu", "bleu"), sure=frozenset({(0, 0), (1, 2), (2, 1)})),
         Pair(("open", "it", "in", "the", "notebook"), ("notebook", "open", "5555", "it"), sure=frozenset({(4, 0)}))]


def test_distances():
    assert looks.distances(PAIRS) == [0, 1, -1, -4]
    assert [looks.within([0, 1, -1, -4], D) for D in (0, 1, 3, 4)] == [0.25, 0.75, 0.75, 1]
    with pytest.raises(ValueError, match="no distances"):
        looks.within([], 2)


def test_twins():
    assert looks.twins(PAIRS) == [(PAIRS[0], 2, 1), (PAIRS[1], 4, 0), (PAIRS[1], 0, 1)]
    assert looks.twins(PAIRS, least=5) == [(PAIRS[1], 4, 0)] and len(looks.twins(PAIRS, least=2)) == 4
    twice = Pair(("menu", "of", "menu"), ("menu",))
    assert looks.twins([twice, Pair(("menu", "menu"), ("menu", "menu"))]) == []


def test_surprise():
    pairs = mini.load_split("valid", 12)
    words = Vocabulary.build(p.source for p in pairs), Vocabulary.build(p.target for p in pairs)
    torch.manual_seed(0)
    model = AttentiveSeq2Seq(*map(len, words), d_embedding=8, d_hidden=8)
    whole = looks.surprise(model, pairs, words)
    assert whole == approx(evaluate(model, pairs, *words).perplexity, rel=1e-4)
    with plugged(model, LocalMonotonicAttention(model.attention.score, 1)):
        assert looks.surprise(model, pairs, words) != approx(whole, rel=1e-4)


def test_takes_back():
    assert not looks.takes_back([[], ["le"], ["le"], ["le", "chat"]])
    assert looks.takes_back([["la"], ["le"]]) and looks.takes_back([["le", "chat"], ["le"]])
