"""Code that knows nothing but the contract decodes with every model: greedily, by beams, and with other plugs.

Only `encode`, `start`, `step`, `forward` and `take_rows` are used here.
"""

import itertools
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from course_utils.attention.socket import allowed_pairs, check_socket, masked_softmax
from course_utils.proofs.models import MODELS, build, prove
from course_utils.proofs.tools import SIZES, sample
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.contract import take_rows
from course_utils.seq2seq.convolutional import ConvolutionalSeq2Seq
from course_utils.text.vocabulary import BEGIN, END

BATCH = sample()
V = SIZES["target_size"]


@torch.no_grad()
def greedy(model, source, length):
    """(B, length) tokens; nothing stops."""
    memory = model.encode(source)
    state, token, words = model.start(memory), torch.full((len(source),), BEGIN), []
    for _ in range(length):
        logits, state, _ = model.step(token, state, memory)
        token = logits.argmax(-1)
        words.append(token)
    return torch.stack(words, 1)


@torch.no_grad()
def beam(model, source, length, width):
    """Best `width` hypotheses of each row, ended ones kept: tokens (B, width, length), log-probabilities (B, width)."""
    B = len(source)
    memory = model.encode(source)
    state = model.start(memory)
    rows = torch.arange(B).repeat_interleave(width)                       # every row `width` times
    memory, state = take_rows(memory, rows), take_rows(state, rows)
    scores = torch.full((B, width), -torch.inf, dtype=torch.float64)
    scores[:, 0] = 0.0
    words = torch.full((B, width, 0), END)
    token, ended = torch.full((B * width,), BEGIN), torch.zeros(B, width, dtype=torch.bool)
    for _ in range(length):
        logits, state, _ = model.step(token, state, memory)
        steps = logits.log_softmax(-1).view(B, width, V)
        only_end = torch.full((V,), -torch.inf, dtype=torch.float64)
        only_end[END] = 0.0
        total = scores.unsqueeze(-1) + torch.where(ended.unsqueeze(-1), only_end, steps)
        scores, best = total.flatten(1).topk(width)                       # (B, width)
        parent, said = best // V, best % V
        words = torch.cat([words.gather(1, parent.unsqueeze(-1).expand_as(words)), said.unsqueeze(-1)], -1)
        ended, token = ended.gather(1, parent) | (said == END), said.flatten()
        rows = (torch.arange(B).unsqueeze(1) * width + parent).flatten()
        memory, state = take_rows(memory, rows), take_rows(state, rows)
    return words, scores


@torch.no_grad()
def score(model, source, words):
    """Log-probability of each row's words up to END, by teacher forcing."""
    target_in = torch.cat([torch.full((len(words), 1), BEGIN), words[:, :-1]], 1)
    steps = model(source, target_in).log_softmax(-1).gather(-1, words.unsqueeze(-1)).squeeze(-1)
    before_end = ((words == END).cumsum(1) - (words == END).long()) == 0
    return (steps * before_end).sum(1)


@pytest.mark.parametrize("name", list(MODELS))
def test_greedy_says_what_forward_says(name):
    model = build(name).eval()
    words = greedy(model, BATCH.source, 6)
    assert len(words.unique()) > 1
    target_in = torch.cat([torch.full((len(words), 1), BEGIN), words[:, :-1]], 1)
    logits = model(BATCH.source, target_in)                                # in one call: other roundings than by steps
    torch.testing.assert_close(logits.gather(-1, words.unsqueeze(-1)).squeeze(-1), logits.amax(-1))


@pytest.mark.parametrize("name", list(MODELS))
def test_beams_carry_their_own_scores(name):
    model = build(name).eval()
    words, scores = beam(model, BATCH.source, 5, width=4)
    for k in range(4):
        torch.testing.assert_close(scores[:, k], score(model, BATCH.source, words[:, k]), rtol=0, atol=1e-10)
    assert (scores[:, :-1] >= scores[:, 1:]).all()


@pytest.mark.parametrize("name", list(MODELS))
def test_a_beam_wide_enough_finds_the_best_of_all(name):
    model, length = build(name).eval(), 3
    source = BATCH.source[1:3]
    best = score_of_best(model, source, length)
    _, scores = beam(model, source, length, width=V ** (length - 1))
    torch.testing.assert_close(scores[:, 0], best, rtol=0, atol=1e-10)
    assert (beam(model, source, length, width=1)[1][:, 0] <= best + 1e-12).all()


def score_of_best(model, source, length):
    """By trying every sentence."""
    sentences = torch.tensor(list(itertools.product(range(V), repeat=length)))
    rows = torch.arange(len(source)).repeat_interleave(len(sentences))
    return score(model, source[rows], sentences.repeat(len(source), 1)).view(len(source), -1).amax(1)


@pytest.mark.parametrize("name", list(MODELS))
def test_rows_may_leave_when_they_have_ended(name):
    """A boolean mask keeps the sentences that still speak; they go on undisturbed."""
    model = build(name).eval()
    whole, keep = greedy(model, BATCH.source, 4), torch.tensor([True, False, True, False])
    memory = model.encode(BATCH.source)
    state, token = model.start(memory), torch.full((4,), BEGIN)
    for _ in range(2):
        logits, state, _ = model.step(token, state, memory)
        token = logits.argmax(-1)
    memory, state, token = take_rows(memory, keep), take_rows(state, keep), token[keep]
    for t in (2, 3):
        logits, state, _ = model.step(token, state, memory)
        token = whole[keep][:, t]                                         # of a larger batch: other roundings
        torch.testing.assert_close(logits.gather(-1, token.unsqueeze(-1)).squeeze(-1), logits.amax(-1))


# --- plugs that later notebooks bring: what they need, the socket and the contract carry ------------------------------

class Alignment(NamedTuple):
    previous: Tensor                                                      # (B, 1, S), the last weights


class FollowsItself(nn.Module):
    """Location-aware, as in notebook 09: the score looks at the previous weights: a loop inside."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.W, self.follow = nn.Linear(d, d, bias=False), nn.Parameter(torch.tensor([0.5, -1.0, 2.0]))

    def forward(self, query, key, value, *, key_mask=None, causal=False, mask=None, positions=None,
                need_weights=False, state=None):
        check_socket(query, key, value, key_mask, mask, positions)
        allowed = allowed_pairs(query[:, :1], key, key_mask=key_mask)
        previous = torch.zeros_like(key[:, None, :, 0]) if state is None else state.previous
        maps = []
        for t in range(query.shape[-2]):
            near = nn.functional.conv1d(previous, self.follow.view(1, 1, 3), padding=1)        # (B, 1, S)
            previous = masked_softmax(self.W(query[:, t : t + 1]) @ key.transpose(1, 2) + near, allowed)
            maps.append(previous)
        weights = torch.cat(maps, 1)
        return weights @ value, weights if need_weights else None, Alignment(previous)


class NearTheDiagonal(nn.Module):
    """Local-m, as in notebook 09: looks at the source words around the target word's own place. Keeps no state."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.W = nn.Linear(d, d, bias=False)

    def forward(self, query, key, value, *, key_mask=None, causal=False, mask=None, positions=None,
                need_weights=False, state=None):
        queries, keys = positions
        window = (queries.unsqueeze(1) - keys.unsqueeze(0)).abs() <= 2                          # (T, S)
        allowed = allowed_pairs(query, key, key_mask=key_mask, mask=window)
        weights = masked_softmax(self.W(query) @ key.transpose(1, 2), allowed)
        return weights @ value, weights if need_weights else None, None


class NoMap(nn.Module):
    """Linear attention, as in notebook 22: never makes a map, so weights are None when asked for."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.W = nn.Linear(d, d, bias=False)

    def forward(self, query, key, value, *, key_mask=None, causal=False, mask=None, positions=None,
                need_weights=False, state=None):
        q, k = nn.functional.elu(self.W(query)) + 1, (nn.functional.elu(key) + 1) * key_mask.unsqueeze(-1)
        return (q @ (k.transpose(1, 2) @ value)) / (q @ k.sum(1).unsqueeze(-1)), None, None


@pytest.mark.parametrize("plug, leave_out", [
    (FollowsItself, ()),
    (NearTheDiagonal, ("attention_rows", "every_word_counts")),          # far words have no window, by its nature
    (NoMap, ("attention_rows",)),
])
@pytest.mark.parametrize("kind", ["attentive", "Bahdanau", "ConvS2S"])
def test_other_plugs_keep_the_contract(plug, leave_out, kind):
    """`survives_saving` needs a name in PLUGS, `torch_equivalence` equations: a plug gets both in its notebook."""
    torch.manual_seed(0)
    if kind == "attentive":
        model = AttentiveSeq2Seq(**SIZES, d_embedding=5, d_hidden=8, attention=plug(8))
    elif kind == "ConvS2S":
        model = ConvolutionalSeq2Seq(**SIZES, d_embedding=6, d_hidden=8, n_encoder=2, n_decoder=2, attention=plug)
    else:
        widths = dict(d_embedding=5, d_hidden=8, d_attention=4, d_readout=4)
        model = BahdanauSeq2Seq(**SIZES, **widths, attention=Doubled(plug))
    prove(model.double(), leave_out=("survives_saving", "torch_equivalence", *leave_out))
    words, scores = beam(model.eval(), BATCH.source, 4, width=3)
    torch.testing.assert_close(scores[:, 1], score(model, BATCH.source, words[:, 1]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith(("attentive", "Bahdanau"))])
@torch.no_grad()
def test_plugs_are_told_where_queries_and_keys_stand(name, monkeypatch):
    model, told = build(name), []
    attend = model.attention.forward

    def spy(*tensors, positions, **others):
        told.append((positions[0].tolist(), positions[1].tolist()))
        return attend(*tensors, positions=positions, **others)

    monkeypatch.setattr(model.attention, "forward", spy)
    greedy(model, BATCH.source, 3)
    by_steps, keys = list(told), list(range(BATCH.source.shape[1]))
    assert by_steps == [([t], keys) for t in range(3)]
    told.clear()
    model(BATCH.source, BATCH.target_in)
    assert sum((queries for queries, _ in told), []) == list(range(BATCH.target_in.shape[1]))


class Doubled(nn.Module):
    """Bahdanau's keys are twice as wide as its queries: widens them."""

    def __init__(self, plug) -> None:
        super().__init__()
        self.widen, self.plug = nn.Linear(8, 16, bias=False), plug(16)

    def forward(self, query, key, value, **others):
        return self.plug(self.widen(query), key, value, **others)
