"""Beam and exact search: against greedy decoding, against trying everything, alone and in a batch, with every score."""

import itertools
import math
from functools import partial

import pytest
import torch
from tiny_models import Table, copy_task
from torch import nn

from course_utils.experiments.nb10.tree import SOURCE, TWO_STEPS, Prefix, Source, Tree
from course_utils.proofs.models import MODELS, build
from course_utils.proofs.tools import sample as proof_sample
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.beam import beam_search, by_length, exact_search, gnmt
from course_utils.seq2seq.decoding import greedy, length_cap
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import BEGIN, END, PAD
from course_utils.training import train

BATCH = proof_sample()
A, B, C = 4, 5, 6
FIRST = 4  # the first real word


class Forest(nn.Module):
    """Another random tree of probabilities for every first source id: every word has some after every prefix."""

    def __init__(self, words=3, spread=1.5):
        super().__init__()
        self.hparams = dict(source_size=1000, target_size=FIRST + words)
        self.words, self.spread, self.calls = words, spread, 0

    def encode(self, source):
        return Source(source)

    def start(self, memory):
        return Prefix(torch.zeros(len(memory.mask), 0, dtype=torch.long))

    def step(self, token, state, memory):
        self.calls += 1
        tokens = torch.cat([state.tokens, token[:, None]], 1)
        return torch.stack([self.logits(s, *t) for s, t in zip(memory.mask[:, 0].tolist(), tokens.tolist(),
                                                               strict=True)]), Prefix(tokens), None  # fmt: skip

    def logits(self, source, *prefix):
        seed = source
        for token in prefix:
            seed = (seed * 31 + token + 7) % 1_000_003
        drawn = torch.randn(FIRST + self.words, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return self.spread * drawn


def outcomes(model, source, cap):
    """Every (tokens, log p) that a decoder with this cap can write, the forbidden words left out."""
    size, found = model.hparams["target_size"], []
    words = [w for w in range(size) if w not in (PAD, BEGIN)]

    def visit(prefix, total):
        with torch.no_grad():
            logits = model(source, torch.tensor([[BEGIN, *prefix]]))[0, -1].log_softmax(-1)
        for word in words:
            sentence, sum_ = (*prefix, word), total + float(logits[word])
            if word == END or len(sentence) == cap:
                found.append((sentence, sum_))
            else:
                visit(sentence, sum_)

    Forest.forward = lambda self, source, target_in: self.logits(int(source[0, 0]), *target_in[0].tolist())[None, None]
    visit((), 0.0)
    return found


def words(row):
    return tuple(t for t in row.tolist() if t != PAD)


# ---- k = 1, k large --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("name", list(MODELS))
def test_a_beam_of_one_is_greedy(name, alpha):
    model = build(name)
    want, got = greedy(model, BATCH.source, 7), beam_search(model, BATCH.source, 1, alpha=alpha, max_length=7).best
    assert got.tokens.equal(want.tokens) and got.ended.equal(want.ended)
    torch.testing.assert_close(got.log_prob, want.log_prob, rtol=0, atol=1e-12)


@pytest.mark.parametrize("alpha, norm", [(0, by_length), (0.6, by_length), (1, by_length), (2.0, gnmt)])
def test_wide_enough_it_finds_the_best_of_all(alpha, norm):
    model, cap = Forest(), 3
    for source in range(15):
        all_ = outcomes(model, torch.tensor([[source]]), cap)
        assert sum(math.exp(p) for _, p in all_) < 1 + 1e-9
        rank = sorted(all_, key=lambda o: -o[1] / float(norm(torch.tensor(len(o[0])), alpha)))
        found = beam_search(model, torch.tensor([[source]]), len(all_), alpha=alpha, norm=norm, keep=7, max_length=cap)
        assert [words(row) for row in found.tokens[0]] == [sentence for sentence, _ in rank[:7]]
        torch.testing.assert_close(found.log_prob[0], torch.tensor([p for _, p in rank[:7]], dtype=torch.float64))
        assert found.ended[0].tolist() == [sentence[-1] == END for sentence, _ in rank[:7]]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_exact_search_finds_the_best_of_all(alpha):
    model, cap, missed = Forest(words=2), 4, 0
    for source in range(25):
        row = torch.tensor([[source]])
        best, total = max(outcomes(model, row, cap), key=lambda o: o[1] / len(o[0]) ** alpha)
        exact = exact_search(model, row, alpha=alpha, max_length=cap, beam=1)
        assert exact.tokens == best and exact.proven and exact.ended == (best[-1] == END)
        assert exact.log_prob == pytest.approx(total) and exact.score == pytest.approx(total / len(best) ** alpha)
        beam = beam_search(model, row, 2, alpha=alpha, max_length=cap)
        assert exact.score >= float(beam.score) - 1e-12
        missed += words(beam.tokens[0, 0]) != best
    assert missed  # else nothing was searched


def test_exact_search_says_when_it_gave_up():
    exact = exact_search(Forest(spread=0.1), torch.tensor([[5]]), alpha=1.0, max_length=8, beam=1, max_steps=20)
    assert exact.steps == 20 and not exact.proven
    with pytest.raises(ValueError, match="one sentence"):
        exact_search(Forest(), torch.tensor([[5], [6]]))


def test_the_tree_of_the_lecture():
    tree = Tree(TWO_STEPS)
    for found, sentence, probability in (
        (greedy(tree, SOURCE), ("a", "c"), 0.24),
        (beam_search(tree, SOURCE, 2).best, ("b", "c"), 0.36),
    ):
        assert tree.words.decode(found.tokens[0]) == sentence
        assert float(found.log_prob.exp()) == pytest.approx(probability)
    with pytest.raises(ValueError, match="1 together"):
        Tree({"": {"a": 0.8, "b": 0.3}})


# ---- the beam itself -------------------------------------------------------------------------------------------------


def test_the_first_step_has_one_live_row_and_all_answers_differ():
    trace = []
    found = beam_search(Forest(), torch.tensor([[3], [8]]), 4, keep=4, max_length=4, trace=trace)
    assert trace[0].tokens.shape == (2, 4, 1)
    for row in range(2):
        assert len(set(trace[0].tokens[row, :, 0].tolist())) == 4
        assert len({words(sentence) for sentence in found.tokens[row]}) == 4


def test_every_step_keeps_the_best_prefixes_and_all_that_ended():
    """Against a beam of Python lists."""
    model, k, cap = Forest(), 3, 4
    for source in range(12):
        trace, beam = [], [((), 0.0)]
        beam_search(model, torch.tensor([[source]]), k, keep=k, max_length=cap, trace=trace)
        for step in trace:
            done = [b for b in beam if b[0][-1:] == (END,)]
            grown = [((*prefix, w), total + float(model.logits(source, BEGIN, *prefix).log_softmax(-1)[w]))
                     for prefix, total in beam if prefix[-1:] != (END,)
                     for w in range(FIRST + 3) if w not in (PAD, BEGIN)]  # fmt: skip
            beam = done + sorted(grown, key=lambda b: -b[1])[: k - len(done)]
            there = step.log_prob[0] > -math.inf
            got = {words(tokens): float(p) for tokens, p in zip(step.tokens[0][there], step.log_prob[0][there],
                                                               strict=True)}  # fmt: skip
            assert got == pytest.approx(dict(beam))


@pytest.mark.parametrize("name", ["Cho, LSTM of 2 layers", "Bahdanau", "attentive, GRU, general score",
                                  "Transformer, rotary positions"])  # fmt: skip
def test_states_follow_their_prefixes(name):
    """Each log p is that of teacher forcing, for all sentences of the beam."""
    model = build(name)
    found = beam_search(model, BATCH.source, 5, keep=5, max_length=6)
    for k in range(5):
        tokens = found.tokens[:, k]
        target_in = torch.cat([torch.full((4, 1), BEGIN), tokens[:, :-1]], 1)
        with torch.no_grad():
            steps = model(BATCH.source, target_in).log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
        torch.testing.assert_close((steps * (tokens != PAD)).sum(1), found.log_prob[:, k], rtol=0, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"alpha": 1.0}, {"alpha": 0.6, "norm": gnmt, "coverage": 0.3, "keep": 3}])
@pytest.mark.parametrize("name", ["Bahdanau", "attentive, LSTM, additive score", "Transformer, sinusoidal positions"])
def test_alone_and_in_a_batch(name, options):
    model = build(name)
    together = beam_search(model, BATCH.source, 4, **options)
    for i, source in enumerate(BATCH.source):
        alone = beam_search(model, source[source != PAD][None], 4, **options)
        n = alone.tokens.shape[2]
        assert alone.tokens[0].equal(together.tokens[i, :, :n]) and (together.tokens[i, :, n:] == PAD).all()
        torch.testing.assert_close(alone.score[0], together.score[i], rtol=0, atol=1e-9)
    order = torch.tensor([2, 0, 3, 1])
    assert beam_search(model, BATCH.source[order], 4, **options).tokens.equal(together.tokens[order])


def test_a_trained_model_gains_and_its_mode_is_kept():
    model, batches, pairs, *vocabularies = copy_task(dropout=0.2)
    train(model, batches, steps=60, warmup=10, lr=1e-2, progress=False)
    source = make_batch(pairs[:40], *vocabularies).source
    one, five = greedy(model, source).log_prob, beam_search(model, source, 5).best.log_prob
    assert five.mean() > one.mean()
    model.train()
    model.dropout.eval()
    before = [m.training for m in model.modules()]
    again = beam_search(model, source, 5).best.log_prob
    assert again.equal(five) and not again.requires_grad and [m.training for m in model.modules()] == before


# ---- stopping and capping --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
def test_stopping_early_changes_nothing(alpha):
    """With keep = k nothing is given up while a live prefix could still be among the answers."""
    model, sources = Forest(words=4), torch.arange(30)[:, None]
    early, trace, whole = [], [], []
    one = beam_search(model, sources, 5, alpha=alpha, max_length=7, trace=early)
    all_ = beam_search(model, sources, 5, alpha=alpha, keep=5, max_length=7, trace=whole)
    assert one.tokens[:, 0].equal(all_.tokens[:, 0, : one.tokens.shape[2]])
    torch.testing.assert_close(one.score[:, 0], all_.score[:, 0])
    calls = model.calls
    beam_search(model, torch.tensor([[3]]), 5, alpha=alpha, max_length=7, trace=trace)
    assert model.calls - calls == len(trace)


def test_it_stops_once_nothing_can_be_better():
    model = Table(8, {4: [A, END]}, sure=6.0)
    trace = []
    beam_search(model, torch.tensor([[4]]), 3, max_length=50, trace=trace)
    assert len(trace) == 2


def test_the_cap_and_what_it_cuts():
    found = beam_search(Table(8, {4: [A], 5: [B, END]}), torch.tensor([[4, 7], [5, 7]]), 3, max_length=3)
    assert found.tokens.tolist() == [[[A, A, A]], [[B, END, PAD]]] and found.ended.tolist() == [[False], [True]]
    source = torch.tensor([[4, PAD, PAD], [4, 7, 7]])
    tokens = beam_search(Table(8, {4: [A]}), source, 2).best.tokens
    assert (tokens != PAD).sum(1).tolist() == length_cap(source).tolist() == [12, 16]


def test_what_is_cut_is_scored_over_the_tokens_it_has():
    tree = Tree({"": {"a": 0.5}, "a": {"b": 0.9}, "a b": {"c": 0.9}})
    two = beam_search(tree, SOURCE, 4, alpha=1.0, keep=3, max_length=2)
    assert [tree.words.decode(row) for row in two.tokens[0]] == [("a", "b"), (), ("a",)]
    assert two.ended[0].tolist() == [False, True, True]
    want = [math.log(0.45) / 2, math.log(0.5), math.log(0.05) / 2]
    assert two.score[0].tolist() == pytest.approx(want)


def test_fewer_sentences_than_places():
    found = beam_search(Tree(TWO_STEPS), SOURCE, 9, keep=7)
    assert found.log_prob[0].exp().tolist() == pytest.approx([0.36, 0.24, 0.18, 0.18, 0.04, 0, 0])
    assert found.tokens[0, 5:].eq(PAD).all() and not found.ended[0, 5:].any()
    assert not found.log_prob.isnan().any()


# ---- scores ----------------------------------------------------------------------------------------------------------


def test_end_is_counted_once():
    tree = Tree({"": {"a": 0.5}, "a": {"b": 1.0}})  # nothing: 0.5; a b: 0.5
    found = beam_search(tree, SOURCE, 3, alpha=1.0, keep=2)
    assert found.score[0].tolist() == pytest.approx([math.log(0.5) / 3, math.log(0.5)])
    found = beam_search(tree, SOURCE, 3, alpha=0.6, norm=gnmt, keep=2)
    assert found.score[0].tolist() == pytest.approx([math.log(0.5) / (8 / 6) ** 0.6, math.log(0.5)])


def test_more_alpha_never_shortens():
    model, sources = Forest(), torch.arange(40)[:, None]
    lengths = [(beam_search(model, sources, 300, alpha=a, max_length=4).tokens != PAD).sum(-1) for a in (0, 0.5, 1, 2)]
    for shorter, longer in itertools.pairwise(lengths):
        assert (longer >= shorter).all()
    assert lengths[-1].sum() > lengths[0].sum()


def test_coverage_by_hand():
    torch.manual_seed(0)
    model = AttentiveSeq2Seq(9, 8, d_embedding=6, d_hidden=8).double()
    source = torch.tensor([[4, 5, 6], [7, 8, PAD]])
    found = beam_search(model, source, 3, alpha=0.6, norm=gnmt, coverage=0.4, keep=3, max_length=4)
    for row, k in itertools.product(range(2), range(3)):
        sentence = words(found.tokens[row, k])
        with torch.no_grad():
            _, weights = model(source[row : row + 1], torch.tensor([[BEGIN, *sentence[:-1]]]), need_weights=True)
        seen = weights[0, :, : 3 - row].sum(0).clamp(max=1.0).log().sum()
        want = found.log_prob[row, k] / ((5 + len(sentence)) / 6) ** 0.6 + 0.4 * seen
        assert float(found.score[row, k]) == pytest.approx(float(want), abs=1e-9)
    never = Table(8, {4: [A, END]})  # looks at two places: the third is never seen, and log 0 is no answer
    assert beam_search(never, torch.tensor([[4, 7, 7]]), 2, coverage=0.2).score.isfinite().all()


@pytest.mark.parametrize(
    "options, error",
    [
        (dict(k=0), "k=0"),
        (dict(k=2, keep=3), "keep=3"),
        (dict(k=2, alpha=-1.0), "alpha=-1"),
        (dict(k=2, alpha=math.nan), "alpha=nan"),
        (dict(k=2, coverage=-1.0), "coverage=-1"),
        (dict(k=2, max_length=0), "max_length=0"),
    ],
)
def test_impossible_settings_are_refused(options, error):
    with pytest.raises(ValueError, match=error):
        beam_search(Table(8, {4: [A, END]}), torch.tensor([[4]]), **options)


def test_what_a_model_cannot_do_is_said():
    with pytest.raises(ValueError, match="no attention"):
        beam_search(Tree(TWO_STEPS), SOURCE, 2, coverage=0.2)
    with pytest.raises(ValueError, match="unsqueeze"):
        partial(beam_search, k=2)(Table(8, {4: [A]}), torch.tensor([4]))
