"""Whoever measures a model measures it in evaluation mode, whatever mode it was in, and leaves every part as it was."""

import pytest
import torch
from tiny_models import copy_task
from torch import nn

from course_utils.corpora.pair import Pair
from course_utils.experiments.nb05 import recipes as recipes05
from course_utils.experiments.nb05.deep import DeepMLP
from course_utils.metrics import evaluate, forced_attention
from course_utils.models.language_model import total_nll
from course_utils.models.sampling import next_logits, sample
from course_utils.models.tagger import Tagger, predict
from course_utils.models.transformer_xl import TransformerXL
from course_utils.proofs.models import build, modes_agree, prove
from course_utils.seq2seq.beam import beam_search, exact_search
from course_utils.seq2seq.decoding import evaluating, greedy
from course_utils.seq2seq.sampling import sample as draw_sentences
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import Vocabulary
from course_utils.widgets.tagging import states_and_probabilities

WORDS = Vocabulary(f"w{i}" for i in range(20))
SENTENCES = [Pair(tuple(f"w{i + j}" for j in range(5)), ("w0",) * 5) for i in range(8)]
TEXT = [4 + (7 * i) % 20 for i in range(200)]


def copier():
    model, _, pairs, *vocabularies = copy_task(dropout=0.5)
    return model, pairs, vocabularies


def tagger():
    return Tagger("elman", len(WORDS), len(WORDS), dropout=0.5)


def language_model():
    return TransformerXL(len(WORDS), d_model=8, n_heads=2, n_layers=2, memory=8, dropout=0.5)


def rng():
    return torch.Generator().manual_seed(0)


def translators(measure):
    model, pairs, vocabularies = copier()
    return model, lambda: measure(model, pairs[:20], vocabularies)


def of(model, measure):
    return model, lambda: measure(model)


MEASURES = {  # name -> (model, what is called)
    "greedy": lambda: translators(lambda m, pairs, v: greedy(m, make_batch(pairs, *v).source).log_prob.tolist()),
    "beam_search": lambda: translators(
        lambda m, pairs, v: beam_search(m, make_batch(pairs, *v).source, 3).score.tolist()
    ),
    "exact_search": lambda: translators(
        lambda m, pairs, v: exact_search(m, make_batch(pairs[:1], *v).source, max_steps=50)
    ),
    "draw a sentence": lambda: translators(
        lambda m, pairs, v: draw_sentences(m, make_batch(pairs, *v).source, generator=rng()).tokens.tolist()
    ),
    "evaluate": lambda: translators(lambda m, pairs, v: repr(evaluate(m, pairs, *v))),
    "forced_attention": lambda: translators(lambda m, pairs, v: [x.tolist() for x in forced_attention(m, pairs, *v)]),
    "predict": lambda: of(tagger(), lambda m: predict(m, SENTENCES, WORDS, WORDS)),
    "states_and_probabilities": lambda: of(
        tagger(), lambda m: [x.tolist() for x in states_and_probabilities(m, [4, 5, 6])]
    ),
    "total_nll": lambda: of(language_model(), lambda m: total_nll(m, TEXT, lanes=2)),
    "next_logits": lambda: of(language_model(), lambda m: next_logits(m, TEXT[:9])[0].tolist()),
    "sample": lambda: of(language_model(), lambda m: sample(m, TEXT[:9], 30, generator=rng())),
    "accuracy": lambda: of(DeepMLP(64, 16, 3, 10, norm="batch"), lambda m: recipes05.accuracy(m, "valid")),
}


def modes(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("name", MEASURES)
def test_the_mode_does_not_matter_and_is_restored(name):
    torch.manual_seed(0)
    model, measure = MEASURES[name]()
    model.eval()
    expected = measure()
    first = next(module for module in model.modules() if not list(module.children()))
    for mode in (True, False):
        model.train(mode)
        first.train(not mode)  # a mixture of modes
        before = modes(model)
        assert measure() == expected
        assert modes(model) == before and torch.is_grad_enabled()
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_modes_are_restored_after_an_error_too():
    model, before = nn.Sequential(nn.Linear(2, 2), nn.Dropout()), [True, False, True]
    model[0].eval()
    with pytest.raises(ZeroDivisionError), evaluating(model):
        assert modes(model) == [False] * 3 and not torch.is_grad_enabled()
        raise ZeroDivisionError
    assert modes(model) == before and torch.is_grad_enabled()


@pytest.mark.parametrize("proof", [modes_agree, lambda model: prove(model, ("learns_by_heart",))])
def test_a_proof_leaves_the_modes_alone(proof):
    model = build("attentive, GRU, general score").eval()
    model.dropout.train()
    before = modes(model)
    proof(model)
    assert modes(model) == before
