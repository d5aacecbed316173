"""Recording and steering a plug: the socket is kept, and edits do what they say."""

import pytest
import torch

from course_utils.attention.dense import DenseAttention
from course_utils.attention.scores import GeneralScore
from course_utils.attention.steering import (
    RecordedAttention,
    SteeredAttention,
    forced,
    gold_weights,
    permuted,
    plugged,
    uniform,
)
from course_utils.attention.table import make
from course_utils.corpora.pair import Pair
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq

MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.bool)
SOURCE = torch.tensor([[5, 6, 7, 8, 9], [6, 5, 9, 0, 0]])
TARGET_IN = torch.tensor([[1, 5, 6, 7], [1, 8, 0, 0]])


def models():
    torch.manual_seed(0)
    return [
        AttentiveSeq2Seq(12, 12, d_embedding=8, d_hidden=8).eval(),
        BahdanauSeq2Seq(12, 12, d_embedding=8, d_hidden=6, d_attention=6, d_readout=6).eval(),
    ]


def edits():
    gold, there = gold_weights(
        [Pair(("a",) * 5, ("b",) * 3, sure=frozenset({(4, 0)}), possible=frozenset({(4, 0), (2, 1)})),
         Pair(("a",) * 3, ("b",), sure=frozenset({(1, 0)}), possible=frozenset({(1, 0)}))], 5, 4,
    )  # fmt: skip
    return {"uniform": uniform(MASK), "permuted": permuted(MASK, 4), "gold": forced(gold, there)}


def by_steps(model):
    memory = model.encode(SOURCE)
    state, rows, logits = model.start(memory), [], []
    for token in TARGET_IN.unbind(1):
        said, state, weights = model.step(token, state, memory)
        logits.append(said)
        rows.append(weights)
    return torch.stack(logits, 1), torch.stack(rows, 1)


@pytest.mark.parametrize("model", models(), ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("name", list(edits()))
def test_steered_models_agree_in_one_call_and_by_steps(model, name):
    with torch.no_grad(), plugged(model, SteeredAttention(model.attention, edits()[name])):
        logits, weights = model(SOURCE, TARGET_IN, need_weights=True)
        stepped_logits, stepped = by_steps(model)
    torch.testing.assert_close(weights, stepped)
    torch.testing.assert_close(logits, stepped_logits)
    assert (weights[1, :, 3:] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4))


@pytest.mark.parametrize("model", models(), ids=lambda m: type(m).__name__)
def test_plugged_lends_and_returns(model):
    own = model.attention
    plain = model(SOURCE, TARGET_IN)
    with pytest.raises(RuntimeError, match="midway"), plugged(model, SteeredAttention(own, uniform(MASK))):
        assert not torch.allclose(model(SOURCE, TARGET_IN), plain)
        raise RuntimeError("midway")
    assert model.attention is own
    torch.testing.assert_close(model(SOURCE, TARGET_IN), plain)
    with pytest.raises(ValueError, match="no attention to replace"), plugged(torch.nn.Linear(2, 2), own):
        pass


@pytest.mark.parametrize("model", models(), ids=lambda m: type(m).__name__)
def test_a_record_holds_the_scores_behind_the_weights(model):
    recorded = RecordedAttention(model.attention)
    plain = model(SOURCE, TARGET_IN)
    with plugged(model, recorded):
        torch.testing.assert_close(model(SOURCE, TARGET_IN), plain)
    record = recorded.records[0]
    scores = record.scores.masked_fill(~MASK.unsqueeze(1), -torch.inf)
    torch.testing.assert_close(scores.softmax(-1), record.weights)
    torch.testing.assert_close(record.weights @ record.key, record.context)


def test_edits_say_what_they_do():
    weights = torch.tensor([[[0.5, 0.2, 0.1, 0.1, 0.1]], [[0.7, 0.2, 0.1, 0.0, 0.0]]])
    assert uniform(MASK)(weights, None)[1, 0].tolist() == pytest.approx([1 / 3] * 3 + [0, 0])
    shuffled = permuted(MASK, 3, seed=1)(weights, None)
    assert shuffled.sort(-1).values.tolist() == weights.sort(-1).values.tolist() and not torch.equal(shuffled, weights)
    wanted = torch.zeros(2, 1, 5)
    wanted[:, 0, 2] = 1
    assert forced(wanted)(weights, None)[:, 0, 2].tolist() == [1, 1]
    assert forced(wanted, 0.5)(weights, None)[1, 0].tolist() == pytest.approx([0.35, 0.1, 0.55, 0, 0])
    late = (torch.tensor([7]), torch.arange(5))
    torch.testing.assert_close(forced(wanted)(weights, late), weights)  # no wish for the 8th word: left alone


def test_edits_take_heads():
    weights = torch.rand(2, 3, 4, 5).masked_fill(~MASK[:, None, None], 0)
    weights = weights / weights.sum(-1, keepdim=True)
    for edit in edits().values():
        edited = edit(weights, None)
        assert edited.shape == weights.shape
        torch.testing.assert_close(edited.sum(-1), torch.ones(2, 3, 4))


def test_gold_weights_prefer_sure_links():
    sure = frozenset({(0, 0), (1, 0)})
    pair = Pair(("a", "b", "c"), ("x", "y", "z"), sure=sure, possible=sure | {(2, 0), (2, 1)})
    weights, there = gold_weights([pair], 3, 4)
    assert weights[0].tolist() == [[0.5, 0.5, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert there.tolist() == [[1, 1, 0, 0]]


def test_what_cannot_be_done_is_refused():
    with pytest.raises(ValueError, match="between 0"):
        forced(torch.ones(1, 1, 2), 1.5)
    with pytest.raises(ValueError, match="batch and source differ"):
        forced(torch.ones(1, 1, 2))(torch.ones(1, 1, 3), None)

    def no_map(query, key, value, **_):
        return query, None, None

    with pytest.raises(ValueError, match="nothing to show"):
        RecordedAttention(no_map)(torch.ones(1, 1, 2), torch.ones(1, 3, 2), torch.ones(1, 3, 2))


def test_wrappers_nest():
    plug = DenseAttention(GeneralScore(4, 4))
    query, key = torch.rand(2, 3, 4), torch.rand(2, 5, 4)
    recorded = RecordedAttention(SteeredAttention(plug, uniform(MASK)))
    context, weights, state = recorded(query, key, key, key_mask=MASK, need_weights=True)
    assert recorded.records[0].scores.shape == (2, 3, 5) and state is not None
    torch.testing.assert_close(context[1, 0], key[1, :3].mean(0))
    assert make(recorded, 4) is recorded and weights.shape == (2, 3, 5)
