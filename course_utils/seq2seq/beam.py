"""From a trained model to the most probable sentence: beam search, and exact search to judge it by. Notebook 10.

Beam search keeps the k best prefixes and extends them all by one word per step (Graves 2012; Sutskever et al. 2014).
A sentence that has said END keeps its place, so the beam narrows as sentences end (Bahdanau et al. 2015, in their
code). What is searched is the sum of log p; what is chosen among the sentences found is

    score = sum log p / norm(n) + β Σ_j log min(Σ_i a_ij, 1)        n tokens, END counted once

with norm(n) = n^α, or ((5 + n) / 6)^α and the coverage term of Wu et al. 2016 (GNMT, eq. 14). The more α, the longer
the choice. A sentence that the cap cut is scored as it stands, over the tokens it has: together with all sentences that
end by the cap these outcomes have probability 1, so that they can be compared; `ended` tells which is which.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from course_utils.seq2seq.contract import Seq2Seq, check_ids, take_rows
from course_utils.seq2seq.decoding import Decoded, evaluating, length_cap
from course_utils.text.masks import padding_mask
from course_utils.text.vocabulary import BEGIN, END, PAD

Norm = Callable[[Tensor, float], Tensor]  # (numbers of tokens, α) -> what sums of log p are divided by


def by_length(n: Tensor, alpha: float) -> Tensor:
    """n^α: 1 for α = 0, the mean of log p for α = 1."""
    return n.double() ** alpha


def gnmt(n: Tensor, alpha: float) -> Tensor:
    """((5 + n) / 6)^α, which is milder with short sentences (Wu et al. 2016, eq. 14)."""
    return ((5 + n.double()) / 6) ** alpha


class Beam(NamedTuple):
    """The K places of every row's beam after t steps."""

    tokens: Tensor  # (B, K, t) long, PAD behind END
    log_prob: Tensor  # (B, K) sum over the tokens, END included; -inf in an empty place
    live: Tensor  # (B, K) bool, True = goes on
    parent: Tensor  # (B, K) long, which place of the step before it grew from
    seen: Tensor | None  # (B, K, S) attention summed over the tokens; None for a model without


class Beams(NamedTuple):
    """The `keep` sentences with the best scores, best first. Where there are fewer: only PAD, and -inf."""

    tokens: Tensor  # (B, keep, T) long, up to and including END; after it PAD
    ended: Tensor  # (B, keep) bool, False where the cap cut the sentence short
    log_prob: Tensor  # (B, keep) sum over the sentence, END included
    score: Tensor  # (B, keep) double, what they are ordered by

    @property
    def best(self) -> Decoded:
        """The first of each row, as `greedy` returns it."""
        tokens = self.tokens[:, 0]
        longest = int((tokens != PAD).sum(1).max())
        return Decoded(tokens[:, :longest], self.ended[:, 0], None, self.log_prob[:, 0])


def beam_search(
    model: Seq2Seq, source: Tensor, k: int, *, alpha: float = 0.0, norm: Norm = by_length, coverage: float = 0.0,
    keep: int = 1, max_length: int | None = None, trace: list[Beam] | None = None,
) -> Beams:  # fmt: skip
    """The best sentences that a beam of width `k` finds; with k = 1 it is `greedy`, wide enough it is exact.

    source (B, S) long, PAD-padded. `alpha` and `norm`, `coverage` (β) and `keep` as in this module's docstring;
    `max_length` caps the tokens, END included, default `length_cap(source)`. `trace` gets the beam after every step.
    A row's search stops when no live prefix can beat its `keep`-th best finished sentence any more: a sum of log p only
    falls, so a prefix can at best reach sum / norm(cap). Raises ValueError for impossible settings, and for `coverage`
    with a model that has no attention.
    """
    caps = _checked(source, max_length, alpha, coverage)
    if not 1 <= keep <= k:
        raise ValueError(f"k={k}, keep={keep}: a beam needs 1 place or more, and keeps 1 to k sentences.")
    real = padding_mask(source)[:, None]  # (B, 1, S)
    with evaluating(model):
        memory = model.encode(source)
        rows = torch.arange(len(source), device=source.device).repeat_interleave(k)
        state, memory = take_rows(model.start(memory), rows), take_rows(memory, rows)
        beam = _first_beam(source, k)
        while beam.live.any():
            beam, state = grow(model, beam, state, memory)
            beam = beam._replace(live=beam.live & (beam.tokens.shape[2] < caps)[:, None])
            if trace is not None:
                trace.append(beam)
            scores = _scores(beam, real, alpha, norm, coverage)
            beam = _give_up(beam, scores, keep, norm(caps, alpha))
    scores, best = scores.masked_fill(beam.log_prob == -torch.inf, -torch.inf).topk(keep)  # (B, keep)
    tokens = _take(beam.tokens, best).masked_fill((scores == -torch.inf)[..., None], PAD)
    tokens = tokens[..., : int((tokens != PAD).sum(-1).max())]
    return Beams(tokens, (tokens == END).any(-1), _take(beam.log_prob, best), scores)


def grow(model: Seq2Seq, beam: Beam, state: Any, memory: Any) -> tuple[Beam, Any]:
    """One step: every live prefix is extended by every word, and the K best of all survive. Sentences that no longer go
    on keep their places. `state` and `memory` have B · K rows."""
    B, K, t = beam.tokens.shape
    token = beam.tokens[:, :, -1] if t else torch.full_like(beam.parent, BEGIN)  # (B, K)
    logits, state, attention = model.step(token.flatten(), state, memory)  # (B·K, V)
    log_probs = logits.log_softmax(-1).unflatten(0, (B, K))  # (B, K, V)
    log_probs[..., [PAD, BEGIN]] = -torch.inf
    grown = (beam.log_prob[..., None] + log_probs).masked_fill(~beam.live[..., None], -torch.inf)
    grown[..., PAD] = beam.log_prob.masked_fill(beam.live, -torch.inf)  # one that stays says PAD, with probability 1
    order = grown.clone()
    order[..., PAD] = torch.where(order[..., PAD] > -torch.inf, torch.inf, -torch.inf)  # … and is never pushed out
    best = order.flatten(1).topk(K).indices  # (B, K)
    parent, said = best // log_probs.shape[2], best % log_probs.shape[2]
    log_prob = grown.flatten(1).gather(1, best)
    live = beam.live.gather(1, parent) & (said != END) & (log_prob > -torch.inf)
    tokens = torch.cat([_take(beam.tokens, parent), said[..., None]], -1)  # (B, K, t + 1)
    seen = None
    if attention is not None:
        new = attention.unflatten(0, (B, K)) * beam.live[..., None]  # (B, K, S)
        seen = _take(new if beam.seen is None else beam.seen + new, parent)
    rows = torch.arange(B, device=parent.device)[:, None] * K + parent
    return Beam(tokens, log_prob, live, parent, seen), take_rows(state, rows.flatten())


def _first_beam(source: Tensor, k: int) -> Beam:
    """The empty sentence, in one place only: in all k the first step would make k copies of every word."""
    none = source.new_zeros(len(source), k)
    log_prob = torch.full(none.shape, -torch.inf, device=source.device)
    log_prob[:, 0] = 0.0
    return Beam(source.new_zeros(len(source), k, 0), log_prob, log_prob == 0, none, None)


def _scores(beam: Beam, real: Tensor, alpha: float, norm: Norm, coverage: float) -> Tensor:
    """(B, K) double."""
    scores = beam.log_prob.double() / norm((beam.tokens != PAD).sum(-1).clamp(min=1), alpha)
    if not coverage:
        return scores
    if beam.seen is None:
        raise ValueError(f"coverage={coverage:g} needs to know where the model looked; this model has no attention.")
    seen = beam.seen.double().clamp(torch.finfo(beam.seen.dtype).tiny, 1.0)  # a word never seen: not log 0 = -inf
    return scores + coverage * (seen.log() * real).sum(-1)


def _give_up(beam: Beam, scores: Tensor, keep: int, largest_norm: Tensor) -> Beam:
    """Empty the live places of those rows whose `keep`-th best finished sentence can no longer be beaten."""
    done = ~beam.live & (beam.log_prob > -torch.inf)
    finished = scores.masked_fill(~done, -torch.inf).topk(keep).values[:, -1]  # (B,)
    hope = (beam.log_prob.double() / largest_norm[:, None]).masked_fill(~beam.live, -torch.inf).amax(1)  # (B,)
    lost = beam.live & ((finished >= hope) & (finished > -torch.inf))[:, None]
    return beam._replace(live=beam.live & ~lost, log_prob=beam.log_prob.masked_fill(lost, -torch.inf))


def _take(values: Tensor, places: Tensor) -> Tensor:
    """values (B, K, ...), places (B, N) -> (B, N, ...)."""
    return values[torch.arange(len(places), device=places.device)[:, None], places]


def _checked(source: Tensor, max_length: int | None, alpha: float, coverage: float) -> Tensor:
    """Refuse impossible settings; the cap of every row (B,)."""
    if max_length is not None and max_length < 1:
        raise ValueError(f"max_length={max_length}: at least one token must be allowed.")
    if not (alpha >= 0 and coverage >= 0):
        raise ValueError(f"alpha={alpha:g}, coverage={coverage:g}: both are 0 or more; 0 turns them off.")
    check_ids("source", source, 2, torch.iinfo(torch.long).max)
    return length_cap(source) if max_length is None else source.new_full((len(source),), max_length)


# ---- exact search ----------------------------------------------------------------------------------------------------


class Exact(NamedTuple):
    """The best sentence of all, or the best found before `max_steps` ran out."""

    tokens: tuple[int, ...]  # END included
    ended: bool  # False: cut by the cap
    log_prob: float
    score: float
    proven: bool  # nothing better can exist
    steps: int  # calls of the model


@torch.no_grad()
def exact_search(
    model: Seq2Seq, source: Tensor, *, alpha: float = 0.0, norm: Norm = by_length, max_length: int | None = None,
    beam: int = 10, max_steps: int = 10_000,
) -> Exact:  # fmt: skip
    """Depth-first search through all sentences for the best score (Stahlberg and Byrne 2019), source (1, S).

    It starts from the best that `beam_search` finds and leaves every prefix that cannot beat the best so far: a sum of
    log p only falls, so a prefix reaches at most sum / norm(cap). Likelier words are tried first. May take as long as
    there are sentences; after `max_steps` calls of the model it stops, and `proven` is False.
    """
    if source.ndim == 2 and len(source) != 1:
        raise ValueError(f"{len(source)} source rows: exact search takes one sentence, (1, S).")
    found = beam_search(model, source, beam, alpha=alpha, norm=norm, max_length=max_length)
    tokens = tuple(found.best.tokens[0].tolist())
    best = Exact(tokens, bool(found.ended[0, 0]), float(found.log_prob[0, 0]), float(found.score[0, 0]), False, 0)
    cap = int(_checked(source, max_length, alpha, 0.0)[0])
    norms = [float("nan"), *norm(torch.arange(1, cap + 1), alpha).tolist()]  # norms[n]
    steps = 0
    with evaluating(model):
        memory = model.encode(source)
        waiting = [((), 0.0, model.start(memory))]  # prefixes: tokens, sum of log p, state before the last token
        while waiting and steps < max_steps:
            prefix, total, state = waiting.pop()
            if total / norms[cap] <= best.score:
                continue
            token = source.new_tensor([prefix[-1] if prefix else BEGIN])
            logits, state, _ = model.step(token, state, memory)
            steps += 1
            log_probs = logits[0].double().log_softmax(-1)
            log_probs[[PAD, BEGIN]] = -torch.inf
            totals, n = total + log_probs, len(prefix) + 1
            last = END if n < cap else int(totals.argmax())
            if (score := float(totals[last]) / norms[n]) > best.score:
                best = Exact((*prefix, last), last == END, float(totals[last]), score, False, 0)
            if n < cap:
                totals[END] = -torch.inf
                hopeful = (totals / norms[cap] > best.score).nonzero()[:, 0]
                hopeful = hopeful[totals[hopeful].argsort()]  # the likeliest last, which is taken first
                waiting += [((*prefix, int(word)), float(totals[word]), state) for word in hopeful]
    return best._replace(proven=not waiting, steps=steps)
