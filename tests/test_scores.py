"""The scores of notebook 08 by loops over single numbers, equal to each other where theory says so; key apart from
value; input feeding."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from plug_checks import drawn, pads_do_not_matter, ragged, same, same_function, vectors
from torch import nn

from course_utils.attention.dense import DenseAttention
from course_utils.attention.key_value import KeyValueAttention
from course_utils.attention.scores import (
    AdditiveScore,
    ConcatAsRunScore,
    ConcatScore,
    CosineScore,
    DotScore,
    GeneralScore,
    LocationScore,
    NormedScore,
)
from course_utils.attention.table import make
from course_utils.corpora.pair import Pair
from course_utils.experiments.nb08 import new_model
from course_utils.experiments.nb08.new_model import costs, sizes
from course_utils.proofs.tools import SIZES, sample
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.contract import take_rows
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import Vocabulary

T, S, DQ, DK, DA = 3, 5, 4, 6, 7
Q, K, K_EQUAL, V = vectors(2, T, DQ), vectors(2, S, DK, seed=2), vectors(2, S, DQ, seed=3), vectors(2, S, 2, seed=4)


def by_hand(score, q, k):
    """One score, number by number: q and k are lists."""
    score = copy.deepcopy(score).requires_grad_(False)
    def line(weights, x):
        return sum(float(w) * x[i] for i, w in enumerate(weights))

    name = type(score).__name__
    if name == "CosineScore":
        size = math.sqrt(sum(x * x for x in q) * sum(x * x for x in k))
        return (1.0 if score.g is None else float(score.g)) * sum(a * b for a, b in zip(q, k, strict=True)) / size
    if name == "ConcatScore":
        hidden = [math.tanh(line(row, [*q, *k])) for row in score.W.weight]
    elif name == "ConcatAsRunScore":
        hidden = [math.tanh(line(row, q) + k[a]) for a, row in enumerate(score.W.weight)]
    else:
        hidden = [math.tanh(line(w, q) + line(u, k) + float(b))
                  for w, u, b in zip(score.W.weight, score.U.weight, score.b, strict=True)]  # fmt: skip
    long = math.sqrt(sum(float(v) ** 2 for v in score.v)) / float(score.g) if name == "NormedScore" else 1.0
    return sum(float(v) / long * h for v, h in zip(score.v, hidden, strict=True))


@pytest.mark.parametrize("make_score, keys", [
    (lambda: CosineScore(), K_EQUAL), (lambda: CosineScore(10), K_EQUAL), (lambda: ConcatScore(DQ, DK, DA), K),
    (lambda: ConcatAsRunScore(DQ, DK), K), (lambda: NormedScore(DQ, DK, DA), K),
])  # fmt: skip
def test_scores_equal_loops(make_score, keys):
    score = drawn(make_score)
    for parameter in score.parameters():
        parameter.data += 0.3 * vectors(1, *parameter.shape, seed=8)[0]
    expected = [[[by_hand(score, q, k) for k in row] for q in rows]
                for rows, row in zip(Q.tolist(), keys.tolist(), strict=True)]  # fmt: skip
    same(score(Q, keys), torch.tensor(expected, dtype=torch.float64))
    assert torch.equal(score(Q, keys), score.compare(Q, score.project_key(keys)))


def parameters_from(score, **values):
    with torch.no_grad():
        for name, value in values.items():
            score.get_parameter(name).copy_(value)
    return score


def test_concat_is_additive_with_one_matrix():
    additive, concat = drawn(lambda: AdditiveScore(DQ, DK, DA)), drawn(lambda: ConcatScore(DQ, DK, DA))
    parameters_from(concat, **{"W.weight": torch.cat([additive.W.weight, additive.U.weight], 1), "v": additive.v})
    same_function(additive, concat, (Q, K))


def test_as_run_is_concat_with_the_identity_for_the_key():
    as_run, concat = drawn(lambda: ConcatAsRunScore(DQ, DK)), drawn(lambda: ConcatScore(DQ, DK, DK))
    whole = torch.cat([as_run.W.weight, torch.eye(DK, dtype=torch.float64)], 1)
    same_function(as_run, parameters_from(concat, **{"W.weight": whole, "v": as_run.v}), (Q, K))


def test_normed_is_additive_when_the_length_is_given_back():
    additive, normed = drawn(lambda: AdditiveScore(DQ, DK, DA)), drawn(lambda: NormedScore(DQ, DK, DA))
    assert float(normed.g) == pytest.approx(DA**-0.5) and not normed.b.any()
    parameters_from(normed, **{"W.weight": additive.W.weight, "U.weight": additive.U.weight, "v": 3 * additive.v,
                               "g": additive.v.norm()})  # fmt: skip
    same_function(additive, normed, (Q, K))


def test_general_with_the_identity_is_dot_and_cosine_of_unit_vectors_too():
    general = parameters_from(drawn(lambda: GeneralScore(DQ, DQ)), **{"W.weight": torch.eye(DQ)})
    same(general(Q, K_EQUAL), DotScore()(Q, K_EQUAL))
    unit = [F.normalize(x, dim=-1) for x in (Q, K_EQUAL)]
    same(CosineScore()(*unit), DotScore()(*unit))


@pytest.mark.parametrize("strength", [None, 10])
def test_cosine_does_not_see_lengths(strength):
    score = CosineScore(strength).double()
    same(score(100 * Q, 0.01 * K_EQUAL), score(Q, K_EQUAL))
    zero = torch.zeros(1, 1, DQ, dtype=torch.float64, requires_grad=True)
    scores = score(zero, zero)
    assert scores.item() == 0 and torch.autograd.grad(scores.sum(), zero)[0].isfinite().all()
    for dtype in (torch.float16, torch.bfloat16):
        x = torch.zeros(1, 2, DQ, dtype=dtype)
        assert (score.to(dtype)(x, x) == 0).all()


@pytest.mark.parametrize("n", [4, 8, 16, 32])
def test_the_largest_weight_of_a_plain_cosine(n):
    """The key itself among its opposites: e / (e + (n - 1) / e)."""
    query = vectors(1, 1, DQ)
    key = torch.cat([query, -query.expand(1, n - 1, DQ)], 1)
    weights = DenseAttention(CosineScore())(query, key, key, need_weights=True)[1]
    assert float(weights[0, 0, 0]) == pytest.approx(math.e / (math.e + (n - 1) / math.e))


def test_location_looks_at_no_key():
    score = drawn(lambda: LocationScore(DQ, S))
    same(score(Q, K), score(Q, vectors(2, S, DK, seed=9)))
    assert torch.equal(score(Q, K), score.W(Q)) and torch.equal(score(Q, K[:, :2]), score.W(Q)[..., :2])
    longer = torch.cat([K, K], 1)
    plug = DenseAttention(score)
    value = vectors(2, 2 * S, 2)
    context, weights, _ = plug(Q, longer, value, need_weights=True)
    assert (weights[..., S:] == 0).all() and torch.equal(plug(Q, longer, value)[0], context)
    same(weights[..., :S], score.W(Q).softmax(-1))
    beyond = (torch.arange(2 * S) >= S).expand(2, -1)                      # all that is real lies beyond the table
    grads = torch.autograd.grad(plug(Q, longer, value, key_mask=beyond)[0].sum(), list(score.parameters()))
    assert (plug(Q, longer, value, key_mask=beyond)[0] == 0).all() and grads[0].isfinite().all()


@pytest.mark.parametrize("name", ["additive", "normed", "concat", "concat_as_run", "dot", "scaled_dot", "general",
                                  "cosine", "cosine_strength", "key_value"])  # fmt: skip
def test_keys_may_come_in_any_order(name):
    plug, order = drawn(lambda: make(name, DQ)), torch.tensor([3, 0, 4, 1, 2])
    value = vectors(2, S, DQ, seed=4)
    context, weights, _ = plug(Q, K_EQUAL, value, need_weights=True)
    shuffled = plug(Q, K_EQUAL[:, order], value[:, order], need_weights=True)
    same(shuffled[0], context)
    same(shuffled[1], weights[..., order])
    only_values = plug(Q, K_EQUAL, value[:, order], need_weights=True)
    same(only_values[1], weights)
    assert float((only_values[0] - context).detach().abs().max()) > 1e-3
    one = plug(Q, K_EQUAL[:, :1], value[:, :1], need_weights=True)[1]
    assert (one == 1).all()
    alike = plug(Q, K_EQUAL[:, :1].expand(-1, S, -1), value, need_weights=True)[1]
    same(alike, torch.full_like(alike, 1 / S))


def test_without_tanh_the_query_cancels():
    """practical-pytorch's concat: v · W [q; k] is a part of q plus a part of k."""
    score = drawn(lambda: ConcatScore(DQ, DK, DA))
    bare = (score.v @ score.W.weight).detach()
    scores = (Q @ bare[:DQ]).unsqueeze(-1) + (K @ bare[DQ:]).unsqueeze(-2)
    weights = scores.softmax(-1)
    same(weights, weights[:, :1].expand_as(weights), "every query has the same weights")
    learnt = score(Q, K).softmax(-1)
    assert float((learnt - learnt[:, :1]).detach().abs().max()) > 0.01


# --- keys apart from values -------------------------------------------------------------------------------------------


def test_key_value_is_general_over_projected_values():
    plug = drawn(lambda: KeyValueAttention(DQ, DK, 2))
    general = DenseAttention(parameters_from(drawn(lambda: GeneralScore(DQ, DK)), **{"W.weight": plug.W_K.weight}))
    real = ragged(S)[:2]
    for need_weights in (True, False):
        context, weights, state = plug(Q, K, V, key_mask=real, need_weights=need_weights)
        expected = general(Q, K, plug.W_V(V), key_mask=real, need_weights=need_weights)
        same(context, expected[0])
        assert weights is None or torch.equal(weights, expected[1])
        again = plug(Q, K, V, key_mask=real, need_weights=need_weights, state=state)
        same(again[0], context)
        rows = torch.tensor([1, 1])
        same(plug(Q[rows], K[rows], V[rows], key_mask=real[rows], state=take_rows(state, rows))[0], context[rows])
    pads_do_not_matter(drawn(lambda: KeyValueAttention(4, 4, 4)))
    with pytest.raises(ValueError, match="keys are 4 and values 2 wide, this plug was built for d_key=6 and d_value=2"):
        plug(Q, K_EQUAL, V)


def test_keys_and_values_are_projected_once_a_sentence(monkeypatch):
    plug, calls, linear = drawn(lambda: KeyValueAttention(DQ, DK, 2)), [], nn.Linear.forward
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: calls.append(1) or linear(self, x))
    state = None
    for t in range(T):
        state = plug(Q[:, t : t + 1], K, V, state=state)[2]
    assert len(calls) == 2


# --- a new model's scores ---------------------------------------------------------------------------------------------


def test_the_sizes_of_a_new_models_scores():
    """Two sentences, by loops; the pads and the sentence of one word play no part in the spread."""
    pairs = [Pair(tuple(s.split()), tuple(t.split())) for s, t in (("a b c", "A B"), ("b", "B B C"))]
    words = Vocabulary.build(p.source for p in pairs), Vocabulary.build(p.target for p in pairs)
    model = drawn(lambda: AttentiveSeq2Seq(*map(len, words), d_embedding=5, d_hidden=8, attention="dot"))
    found = sizes(model, pairs, *words)
    queries, keys, spreads, largest, equal = [], [], [], [], []
    for pair in pairs:
        batch = make_batch([pair], *words)
        memory = model.encode(batch.source)
        state, h = model.start(memory), memory.annotations[0]
        keys += h.flatten().tolist()
        for token in batch.target_in[0]:
            _, state, weights = model.step(token.view(1), state, memory)
            q = state.recurrent.hidden[0, -1]
            queries += q.tolist()
            largest.append(float(weights.max()))
            equal.append(1 / len(h))
            spreads += [float((h @ q).std())] if len(h) > 1 else []
    expected = {"query": np.std(queries, ddof=1), "key": np.std(keys, ddof=1), "scores": np.mean(spreads),
                "largest": np.mean(largest), "equal": np.mean(equal)}  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_costs_of_a_new_model(monkeypatch):
    """The median of the rounds, of the attention and of the step apart; the models take turns; no gradient is left."""
    pairs = [Pair(("a", "b"), ("A",)), Pair(("b",), ("B", "A"))]
    words = Vocabulary.build(p.source for p in pairs), Vocabulary.build(p.target for p in pairs)
    models = {name: AttentiveSeq2Seq(*map(len, words), d_embedding=4, d_hidden=4, attention=name)
              for name in ("dot", "additive")}  # fmt: skip
    seconds, turns = iter([0.0, 0.001, 0.004, 0.0, 0.01, 0.05, 0.0, 0.003, 0.005, 0.0, 0.02, 0.03, 0.0, 0.002, 0.012,
                           0.0, 0.04, 0.08]), []  # fmt: skip
    monkeypatch.setattr(new_model.time, "process_time", lambda: next(seconds))
    for name, model in models.items():
        model.register_forward_hook(lambda *_, name=name: turns.append(name))
    assert costs(models, make_batch(pairs, *words), rounds=3) == {
        "dot": pytest.approx((2, 3)), "additive": pytest.approx((20, 40))}  # fmt: skip
    assert turns == ["dot", "additive"] * 3
    assert all(p.grad is None for model in models.values() for p in model.parameters())
    with pytest.raises(ValueError, match="rounds=0 must be 1 or more"):
        costs(models, make_batch(pairs, *words), rounds=0)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_plug, sentence", [
    (lambda: CosineScore(0), "strength=0 must be above 0"),
    (lambda: CosineScore(-3), "strength=-3 must be above 0"),
    (lambda: LocationScore(4, 0), "places must be a positive whole number, got 0"),
    (lambda: NormedScore(4, 4, 0), "d_attention must be"),
    (lambda: ConcatScore(0, 4, 4), "d_query must be"),
    (lambda: ConcatAsRunScore(4, 0), "d_key must be"),
    (lambda: KeyValueAttention(4, 4, 0), "d_value must be"),
    (lambda: drawn(lambda: ConcatScore(DQ, DK, DA))(K, K), "queries are 6 wide, this score was built for d_query=4"),
    (lambda: ConcatScore(DQ, DK, DA)(Q, Q), "keys are 4 wide, this score was built for d_key=6"),
    (lambda: ConcatAsRunScore(DQ, DK)(Q, Q), "keys are 4 wide, this score was built for d_key=6"),
    (lambda: drawn(lambda: LocationScore(DQ, S))(K, K), "queries are 6 wide, this score was built for d_query=4"),
    (lambda: CosineScore()(Q, K), "one width, got 4 and 6"),
])  # fmt: skip
def test_the_door(make_plug, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_plug()


# --- input feeding ----------------------------------------------------------------------------------------------------


def small(**options):
    return drawn(lambda: AttentiveSeq2Seq(**SIZES, d_embedding=5, d_hidden=8, **options)).eval()


class Nudged(nn.Module):
    """A plug whose context at one call is moved."""

    def __init__(self, plug, call):
        super().__init__()
        self.plug, self.call, self.calls = plug, call, 0

    def forward(self, *args, **kwargs):
        context, weights, state = self.plug(*args, **kwargs)
        self.calls += 1
        return context + 1.0 * (self.calls == self.call), weights, state


@pytest.mark.parametrize("feeding", [False, True])
@torch.no_grad()
def test_a_context_is_heard_by_the_next_word_with_input_feeding_only(feeding):
    model, batch = small(input_feeding=feeding), sample()

    def walk(nudge):
        attention, model.attention = model.attention, Nudged(model.attention, nudge)
        memory = model.encode(batch.source)
        state, logits = model.start(memory), []
        for token in batch.target_in.unbind(1):
            word, state, _ = model.step(token, state, memory)
            logits.append(word)
        model.attention = attention
        return torch.stack(logits, 1)

    moved = (walk(2) - walk(0)).abs().amax((0, 2)) > 1e-9
    assert moved.tolist() == [False, True] + [feeding] * (batch.target_in.shape[1] - 2)


@torch.no_grad()
def test_input_feeding_by_hand():
    """Two words, by the paper's equations with torch's GRU."""
    model, batch = small(input_feeding=True), sample()
    memory = model.encode(batch.source)
    fed, hidden = torch.zeros(len(batch.source), 8, dtype=torch.float64), memory.initial.hidden.transpose(0, 1)
    for t in range(2):
        word = torch.cat([model.target_embedding(batch.target_in[:, t]), fed], -1)
        out, hidden = model.decoder.rnn(word.unsqueeze(1), hidden.contiguous())
        scores = (out @ model.attention.score.W(memory.annotations).transpose(1, 2)).squeeze(1)
        weights = scores.masked_fill(~memory.mask, -torch.inf).softmax(-1)
        context = (weights.unsqueeze(1) @ memory.annotations).squeeze(1)
        fed = torch.tanh(model.combine(torch.cat([out.squeeze(1), context], -1)))
        same(model(batch.source, batch.target_in)[:, t], model.output(fed))
    assert model.decoder.rnn.input_size == 5 + 8 and small().start(small().encode(batch.source)).fed is None


def test_dropout_leaves_what_is_fed():
    model, batch = small(input_feeding=True, dropout=0.5).train(), sample()
    memory = model.encode(batch.source)
    state = model.step(batch.target_in[:, 0], model.start(memory), memory)[1]
    assert (state.fed != 0).all()
