"""What is drawn: temperature, top-k, top-p, and sentences from translators and language models."""

import math

import pytest
import torch
from tiny_models import Table

from course_utils.experiments.nb10.tree import SOURCE, TWO_STEPS, Tree
from course_utils.models.continuation import Continuation
from course_utils.models.language_model import CharLanguageModel
from course_utils.proofs.models import MODELS, build
from course_utils.proofs.tools import sample as proof_sample
from course_utils.seq2seq.beam import beam_search
from course_utils.seq2seq.decoding import greedy
from course_utils.seq2seq.sampling import draw, keep_top_k, keep_top_p, next_probabilities, sample
from course_utils.text.vocabulary import BEGIN, END, PAD, SPECIALS

BATCH = proof_sample()
A, B = 4, 5


def p(*values):
    return torch.tensor(values, dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def chi_squared(words, probabilities):
    """(sum of (observed - expected)² / expected, degrees of freedom)."""
    counts = torch.bincount(words, minlength=len(probabilities)).double()
    assert counts[probabilities == 0].sum() == 0
    there = probabilities > 0
    expected = len(words) * probabilities[there]
    return float(((counts[there] - expected) ** 2 / expected).sum()), int(there.sum()) - 1


# ---- probabilities ---------------------------------------------------------------------------------------------------


def test_the_word_that_crosses_p_is_kept():
    assert keep_top_p(p(0.4, 0.3, 0.2, 0.1), 0.75).tolist() == pytest.approx([4 / 9, 3 / 9, 2 / 9, 0])
    assert keep_top_p(p(0.4, 0.3, 0.2, 0.1), 0.3).tolist() == [1, 0, 0, 0]
    assert keep_top_p(p(0.4, 0.3, 0.2, 0.1), 1e-12).tolist() == [1, 0, 0, 0]  # p -> 0 is greedy, never nothing


def test_ties_are_counted():
    assert (keep_top_k(p(0.3, 0.2, 0.2, 0.2, 0.1), 2) > 0).tolist() == [True, True, False, False, False]
    assert (keep_top_p(p(0.25, 0.25, 0.25, 0.25), 0.6) > 0).sum() == 3
    assert (keep_top_k(torch.ones(3, 7) / 7, 4) > 0).sum(-1).tolist() == [4, 4, 4]


def test_nothing_changes_at_the_ends():
    logits = torch.randn(4, 9, generator=seeded(), dtype=torch.float64)
    plain = logits.softmax(-1)
    for options in ({}, {"temperature": 1.0}, {"top_k": 9}, {"top_k": 50}, {"top_p": 1.0}):
        torch.testing.assert_close(next_probabilities(logits, **options), plain)
    one = torch.nn.functional.one_hot(logits.argmax(-1), 9).double()
    for options in ({"temperature": 1e-4}, {"top_k": 1}, {"top_p": 1e-9}):
        torch.testing.assert_close(next_probabilities(logits, **options), one)
    tail = p(0.9, *[1e-20] * 5, 0.1)
    assert (keep_top_p(tail, 1.0) > 0).all()  # not cut by the rounding of the cumulated sum


def test_the_kept_mass_and_no_word_too_many():
    for seed in range(200):
        probabilities = torch.randn(12, generator=seeded(seed), dtype=torch.float64).mul(2).softmax(-1)
        share = 0.05 + 0.9 * float(torch.rand(1, generator=seeded(seed)))
        kept = keep_top_p(probabilities, share) > 0
        mass = probabilities[kept].sum()
        assert mass >= share > mass - probabilities[kept].min()
        assert not (~kept).any() or probabilities[kept].min() > probabilities[~kept].max()


def test_the_order_of_the_vocabulary_does_not_matter():
    logits, order = torch.randn(30, generator=seeded(), dtype=torch.float64), torch.randperm(30, generator=seeded(1))
    for options in ({"top_p": 0.7}, {"top_k": 5}, {"temperature": 0.5, "top_k": 9, "top_p": 0.8}):
        straight = next_probabilities(logits, **options)
        torch.testing.assert_close(next_probabilities(logits[order], **options), straight[order])


def test_temperature_comes_before_top_k_and_that_before_top_p():
    logits = p(2, 1.5, 1, 0.5, 0)
    assert (next_probabilities(logits, top_p=0.8) > 0).sum() == 3
    assert (next_probabilities(logits, 2.0, top_p=0.8) > 0).sum() == 4
    two = next_probabilities(logits, 1.0, top_k=2, top_p=0.6)  # of the two that are left the first has 0.62
    assert two.tolist() == [1, 0, 0, 0, 0] and (next_probabilities(logits, top_p=0.6) > 0).sum() == 2


def test_words_ruled_out_stay_out():
    logits = p(1, -math.inf, 0, -math.inf)
    for options in ({}, {"top_k": 3}, {"top_p": 0.999}, {"temperature": 100.0, "top_k": 4, "top_p": 1.0}):
        got = next_probabilities(logits, **options)
        assert got[[1, 3]].tolist() == [0, 0] and float(got.sum()) == pytest.approx(1)
    for wrong in (p(-math.inf, -math.inf), p(0, math.nan)):
        with pytest.raises(ValueError, match="no word to draw"):
            next_probabilities(wrong)


def test_impossible_settings_are_refused():
    for options, error in (({"top_k": 0}, "top_k=0"), ({"top_p": 0.0}, "top_p=0"), ({"top_p": 1.1}, "top_p=1.1"),
                           ({"temperature": 0.0}, "above 0")):  # fmt: skip
        with pytest.raises(ValueError, match=error):
            next_probabilities(p(1, 0), **options)


# ---- draws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"top_k": 4}, {"top_p": 0.8},
                                     {"temperature": 2.0, "top_k": 6, "top_p": 0.9}])  # fmt: skip
def test_words_are_drawn_as_often_as_they_should(options):
    logits = torch.randn(8, generator=seeded(3), dtype=torch.float64)
    probabilities = next_probabilities(logits, **options)
    drawn = draw(probabilities.expand(20_000, 8), seeded(5))
    statistic, degrees = chi_squared(drawn, probabilities)
    assert statistic < degrees + 4 * math.sqrt(2 * degrees)  # about 1 seed in 5,000 is beyond
    assert draw(probabilities.expand(50, 8), seeded(5)).equal(draw(probabilities.expand(50, 8), seeded(5)))


def test_impossible_words_are_never_drawn(monkeypatch):
    row = p(0, 0.5, 0, 0.5, 0)[None]
    for uniform, want in ((0.0, 1), (0.499999, 1), (0.5, 3), (1 - 2**-53, 3)):
        monkeypatch.setattr(torch, "rand", lambda *size, uniform=uniform, **options: p(uniform)[None])
        assert draw(row).tolist() == [want]


@pytest.mark.parametrize("options", [{"temperature": 1e-6}, {"top_k": 1}, {"top_p": 1e-9}])
@pytest.mark.parametrize("name", list(MODELS))
def test_at_its_end_a_sample_is_greedy(name, options):
    model = build(name)
    want, got = greedy(model, BATCH.source, 6), sample(model, BATCH.source, max_length=6, **options)
    assert got.tokens.equal(want.tokens) and got.ended.equal(want.ended) and got.log_prob.equal(want.log_prob)
    assert got.attention is want.attention or got.attention.equal(want.attention)


def test_sentences_are_drawn_as_often_as_they_should():
    tree, n = Tree(TWO_STEPS), 6000
    drawn = sample(tree, SOURCE.expand(n, 1), generator=seeded())
    sentences = ["ac", "ad", "ae", "bc", "bd"]
    said = torch.tensor([sentences.index("".join(tree.words.decode(row))) for row in drawn.tokens])
    want = p(0.24, 0.18, 0.18, 0.36, 0.04)
    statistic, degrees = chi_squared(said, want)
    assert statistic < degrees + 4 * math.sqrt(2 * degrees)
    torch.testing.assert_close(drawn.log_prob, want[said].log())
    assert drawn.ended.all() and (drawn.tokens == END).sum() == n


def test_log_prob_is_the_models_own():
    tree = Tree(TWO_STEPS)
    drawn = sample(tree, SOURCE.expand(20, 1), temperature=3.0, top_k=2, generator=seeded())
    said = ["".join(tree.words.decode(row)) for row in drawn.tokens]
    own = {"ac": 0.24, "ad": 0.18, "ae": 0.18, "bc": 0.36, "bd": 0.04}
    assert drawn.log_prob.exp().tolist() == pytest.approx([own[s] for s in said])


def test_caps_pads_and_begin():
    drawn = sample(Table(8, {4: [A], 5: [B, END]}, sure=40.0), torch.tensor([[4, 7], [5, 7]]), max_length=3)
    assert drawn.tokens.tolist() == [[A, A, A], [B, END, PAD]] and drawn.ended.tolist() == [False, True]
    flat = sample(Table(8, {4: [A]}, sure=0.0), torch.full((300, 1), 4), max_length=4, generator=seeded())
    assert not (flat.tokens == BEGIN).any()
    for row in flat.tokens.tolist():
        assert PAD not in row or END in row[: row.index(PAD)]
    with pytest.raises(ValueError, match="max_length=0"):
        sample(Table(8, {4: [A]}), torch.tensor([[4]]), max_length=0)


# ---- a language model ------------------------------------------------------------------------------------------------


def writer(cell="lstm"):
    torch.manual_seed(0)
    return Continuation(CharLanguageModel(12, d_embedding=5, d_hidden=9, cell=cell).double())


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_language_model_goes_on(cell):
    model, prompts = writer(cell), torch.tensor([[5, 6, 7], [8, 8, 9]])
    written = greedy(model, prompts, 10)
    assert written.tokens.shape == (2, 10) and not written.ended.any() and written.tokens.min() >= len(SPECIALS)
    for prompt, row in zip(prompts.tolist(), written.tokens.tolist(), strict=True):
        for n in range(10):
            logits = model.model(torch.tensor([prompt + row[:n]]))[0][0, -1]
            assert row[n] == int(logits[len(SPECIALS) :].argmax()) + len(SPECIALS)


def test_its_forward_call_agrees_with_its_steps():
    model, prompts = writer(), torch.tensor([[5, 6, 7], [8, 8, 9]])
    found = beam_search(model, prompts, 4, max_length=6).best
    target_in = torch.cat([torch.full((2, 1), BEGIN), found.tokens[:, :-1]], 1)
    with torch.no_grad():
        steps = model(prompts, target_in).log_softmax(-1).gather(-1, found.tokens[..., None])[..., 0]
    torch.testing.assert_close(steps.sum(1), found.log_prob)
    assert (found.log_prob >= greedy(model, prompts, 6).log_prob - 1e-9).all() and not found.ended.any()


def test_a_prompt_of_one_symbol_and_prompts_that_do_not_fit():
    model = writer()
    assert sample(model, torch.tensor([[5]]), max_length=4, generator=seeded()).tokens.shape == (1, 4)
    with pytest.raises(ValueError, match="one length"):
        model.encode(torch.tensor([[5, PAD]]))
