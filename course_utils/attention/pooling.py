"""Pooling: many vectors become one, and a weight says what each of them gave. Notebook 11.

    mean         every vector weighs the same
    max          every feature is taken from the vector where it is largest: hard, bottom-up
    gate         σ(w · x + b) for each vector by itself, divided by their sum: bottom-up
    attention    softmax of the scores that a learnt query gives: top-down (Yang et al. 2016, eq. 5-7)

All are called pool(vectors (B, S, D), mask (B, S)) -> pooled (B, D), weights (B, S). Pads have weight 0; a row of pads
only is pooled to 0, with weights 0. `QueryAttention` is the last one with several learnt queries at once.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.dense import DenseAttention
from course_utils.attention.scores import DotScore, xavier
from course_utils.attention.socket import masked_softmax
from course_utils.checks import check_widths


class QueryAttention(nn.Module):
    """`n_queries` learnt vectors look at a row of vectors: one call of the socket, whose queries are parameters.

    With `d_attention` the keys are u = tanh(W h + b), as in Yang et al. 2016 (eq. 5); without it they are the vectors
    themselves, as in Mullenbach et al. 2018. The values are always the vectors: what is summed is h, not u. One query
    over tanh keys is the additive score of Bahdanau et al. 2015 with a constant query: W q is b, v is the query.
    """

    def __init__(self, d_model: int, d_attention: int | None = None, n_queries: int = 1) -> None:
        super().__init__()
        check_widths(d_model=d_model, n_queries=n_queries, d_attention=1 if d_attention is None else d_attention)
        self.key = None if d_attention is None else xavier(nn.Linear(d_model, d_attention))
        self.query = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_queries, d_attention or d_model)))
        self.attend = DenseAttention(DotScore())

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """vectors (B, S, D), mask (B, S) -> what every query finds (B, L, D), weights (B, L, S)."""
        check_pooled(vectors, mask)
        keys = vectors if self.key is None else torch.tanh(self.key(vectors))              # (B, S, d_attention)
        query = self.query.expand(len(vectors), -1, -1)                                    # (B, L, d_attention)
        context, weights, _ = self.attend(query, keys, vectors, key_mask=mask, need_weights=True)
        return context, weights


class AttentionPooling(nn.Module):
    """One learnt query looks at all vectors (see QueryAttention)."""

    def __init__(self, d_model: int, d_attention: int | None = None) -> None:
        super().__init__()
        self.look = QueryAttention(d_model, d_attention)

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        pooled, weights = self.look(vectors, mask)
        return pooled.squeeze(1), weights.squeeze(1)                                       # (B, D), (B, S)


class MeanPooling(nn.Module):
    """Every vector weighs the same: attention with the query 0."""

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        check_pooled(vectors, mask)
        weights = masked_softmax(torch.zeros_like(vectors[..., 0]), mask)                  # (B, S)
        return mixed(weights, vectors), weights


class MaxPooling(nn.Module):
    """The largest number of every feature. A vector's weight is the share of features that it wins (of equal ones the
    first vector wins)."""

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        check_pooled(vectors, mask)
        lowest = torch.finfo(vectors.dtype).min
        pooled, winner = vectors.masked_fill(~mask.unsqueeze(-1), lowest).max(1)           # (B, D), (B, D)
        weights = F.one_hot(winner, vectors.shape[1]).to(vectors.dtype).mean(1)            # (B, S)
        return pooled.masked_fill(~mask.any(1, keepdim=True), 0.0), weights * mask


class GatePooling(nn.Module):
    """Every vector says by itself, in a gate between 0 and 1, how much it is worth.

    Σ g x / Σ g is a softmax over log g: a score that cannot exceed 0, so that no vector can drown out another open one.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        check_widths(d_model=d_model)
        self.gate = xavier(nn.Linear(d_model, 1))

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        check_pooled(vectors, mask)
        weights = masked_softmax(F.logsigmoid(self.gate(vectors).squeeze(-1)), mask)       # (B, S)
        return mixed(weights, vectors), weights


POOLINGS: dict[str, Callable[[int, int | None], nn.Module]] = {  # name -> pooling of (d_model, d_attention)
    "mean": lambda d_model, d_attention: MeanPooling(),
    "max": lambda d_model, d_attention: MaxPooling(),
    "gate": lambda d_model, d_attention: GatePooling(d_model),
    "attention": AttentionPooling,
}


def make_pooling(name: str, d_model: int, d_attention: int | None = None) -> nn.Module:
    """One of POOLINGS by its name. ValueError for another one."""
    if name not in POOLINGS:
        raise ValueError(f"unknown pooling {name!r}: one of {', '.join(map(repr, POOLINGS))}")
    return POOLINGS[name](d_model, d_attention)


def mixed(weights: Tensor, vectors: Tensor) -> Tensor:
    """Σ_j a_j x_j: (B, S), (B, S, D) -> (B, D)."""
    return (weights.unsqueeze(1) @ vectors).squeeze(1)


def check_pooled(vectors: Tensor, mask: Tensor) -> None:
    """Refuse what is not a row of vectors with its mask."""
    if vectors.ndim != 3:
        raise ValueError(f"pooling takes vectors (B, S, D), got {tuple(vectors.shape)}: add the missing one")
    if mask.dtype != torch.bool or mask.shape != vectors.shape[:2]:
        raise ValueError(
            f"the mask must be bool {tuple(vectors.shape[:2])}, True on real vectors; got {mask.dtype} "
            f"{tuple(mask.shape)}: e.g. ids != PAD"
        )
