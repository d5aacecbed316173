"""What hard attention may be trained for, in the course's attentive decoder without input feeding. Notebook 09.

There no context reaches the next state, so every word can be scored with each single source word as its context, and
three quantities that are easily confused can all be computed (a the weights, p_j the chance of the right word when the
context is h_j alone, p(Σ a h) when it is the mixture):

    soft      log p(Σ_j a_j h_j)      what soft attention is trained for
    expected  Σ_j a_j log p_j         what REINFORCE climbs: the bound L_s of Xu et al. 2015, eq. 10
    mixture   log Σ_j a_j p_j         the likelihood of "draw a word, then speak"; Wu, Shapiro, Cotterell 2018

By Jensen's inequality expected <= mixture; soft lies on no side of them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.attention.dense import DenseAttention
from course_utils.attention.hard import surrogate
from course_utils.attention.steering import RecordedAttention, plugged
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.text.batches import Batch


def each_word_alone(model: AttentiveSeq2Seq, batch: Batch) -> tuple[Tensor, Tensor]:
    """For every target word and every source word: log a_j, and log p_j of the right target word. (B, T, S) twice; the
    log weight of a pad is -inf. The attention must have a `score`."""
    if model.input_feeding:
        raise ValueError("with input feeding a context changes all later states: use a model without it")
    memory = model.encode(batch.source)
    states, _ = model.decoder(model.dropout(model.target_embedding(batch.target_in)), memory.initial)     # (B, T, H)
    scores = model.attention.score(states, memory.annotations)                     # (B, T, S)
    log_weights = scores.masked_fill(~memory.mask.unsqueeze(1), -torch.inf).log_softmax(-1)
    T, S = scores.shape[1:]
    pairs = [states.unsqueeze(2).expand(-1, -1, S, -1), memory.annotations.unsqueeze(1).expand(-1, T, -1, -1)]
    attentional = torch.tanh(model.combine(torch.cat(pairs, -1)))                   # (B, T, S, H)
    log_probs = model.output(model.dropout(attentional)).log_softmax(-1)            # (B, T, S, V)
    right = batch.target_out[..., None, None].expand(-1, -1, S, 1)
    return log_weights, log_probs.gather(-1, right).squeeze(-1)


def readings(model: AttentiveSeq2Seq, batch: Batch) -> dict[str, Tensor]:
    """The log-probability of every right word (B, T), its context being: the mixture of all source words ("soft"), the
    one with the largest weight ("largest"), one that is drawn ("expected" over draws; "mixture": the chance over draws,
    then its logarithm)."""
    log_weights, log_probs = each_word_alone(model, batch)
    with plugged(model, DenseAttention(model.attention.score)):
        soft = right_log_probs(model(batch.source, batch.target_in), batch)
    best = log_weights.argmax(-1, keepdim=True)
    return {
        "soft": soft, "largest": log_probs.gather(-1, best).squeeze(-1),
        "expected": (log_weights.exp() * log_probs).sum(-1), "mixture": (log_weights + log_probs).logsumexp(-1),
    }  # fmt: skip


def right_log_probs(logits: Tensor, batch: Batch) -> Tensor:
    """(B, T, V) -> (B, T)."""
    return -F.cross_entropy(logits.transpose(1, 2), batch.target_out, reduction="none")


def reinforce(model: AttentiveSeq2Seq, batch: Batch) -> Tensor:
    """Loss of one draw per target word. The model's attention is HardAttention(..., "sample"); if the model has a
    `baseline` (a RunningBaseline), that is subtracted from the reward, log p of the right word, where it multiplies the
    gradient of log p(s). A draw matters to its own word only, so no other word's reward is charged to it."""
    recorded = RecordedAttention(model.attention)
    with plugged(model, recorded):
        reward = right_log_probs(model(batch.source, batch.target_in), batch)       # (B, T)
    record, real = recorded.records[0], batch.target_mask
    log_prob = model.attention.log_prob(record.query, record.key, record.weights, key_mask=batch.source_mask)
    baseline = getattr(model, "baseline", None)
    known = 0.0 if baseline is None else baseline.update(reward[real])
    return -surrogate(reward[real], log_prob[real], known).mean()


def expected(model: AttentiveSeq2Seq, batch: Batch) -> Tensor:
    """What REINFORCE estimates, without drawing: S output layers per target word."""
    log_weights, log_probs = each_word_alone(model, batch)
    return -(log_weights.exp() * log_probs).sum(-1)[batch.target_mask].mean()


def mixture(model: AttentiveSeq2Seq, batch: Batch) -> Tensor:
    """The likelihood itself, all draws added up."""
    log_weights, log_probs = each_word_alone(model, batch)
    return -(log_weights + log_probs).logsumexp(-1)[batch.target_mask].mean()


OBJECTIVES = {"sampled": reinforce, "sampled-no-baseline": reinforce, "expected": expected, "mixture": mixture}
