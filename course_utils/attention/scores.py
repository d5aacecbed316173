"""Attention scores: how well does a query agree with a key? Notebooks 07 and 08.

    additive     v · tanh(W q + U k)     Bahdanau, Cho, Bengio 2015, appendix A.1.2
    dot          q · k                   Luong, Pham, Manning 2015, eq. 8
    scaled dot   q · k / sqrt(d)         Vaswani et al. 2017, eq. 1
    general      q · W k                 Luong, Pham, Manning 2015, eq. 8

A score works in two halves: `project_key` sees the keys only, so a decoder does that part once a sentence;
`compare` is done for every query. Weights: Xavier uniform. No biases, as in the papers: one added to the keys of a
product gives all scores of a query the same extra term, which softmax takes away again.
"""

import math

import torch
from torch import Tensor, nn

from course_utils.checks import check_equal_widths, check_widths


class Score(nn.Module):
    """Base: the keys are used as they are. A subclass gives `compare` and may give the other two."""

    def project_key(self, key: Tensor) -> Tensor:
        """The part that depends on the keys only: (B, ..., S, Dk) -> (B, ..., S, anything)."""
        return key

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        """Scores of all pairs: (B, ..., T, Dq), (B, ..., S, ·) -> (B, ..., T, S)."""
        raise NotImplementedError(f"{type(self).__name__} must define compare(query, projected)")

    def dot_scale(self, query: Tensor) -> float | None:
        """c where compare(q, p) == c · (q · p), so that torch's fused kernel may be used; None where it is not so."""
        return None

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return self.compare(query, self.project_key(key))


class AdditiveScore(Score):
    """v · tanh(W q + U k): a hidden layer of `d_attention` units looks at both. Makes a (B, ..., T, S, d_attention)."""

    def __init__(self, d_query: int, d_key: int, d_attention: int) -> None:
        super().__init__()
        check_widths(d_query=d_query, d_key=d_key, d_attention=d_attention)
        self.W = xavier(nn.Linear(d_query, d_attention, bias=False))
        self.U = xavier(nn.Linear(d_key, d_attention, bias=False))
        self.v = nn.Parameter(torch.empty(d_attention).uniform_(-1, 1).div_(math.sqrt(d_attention)))

    def project_key(self, key: Tensor) -> Tensor:
        _check_built_for("key", key, self.U.in_features)
        return self.U(key)                                                        # (B, ..., S, d_attention)

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        _check_built_for("query", query, self.W.in_features)
        hidden = torch.tanh(self.W(query).unsqueeze(-2) + projected.unsqueeze(-3))    # (B, ..., T, S, d_attention)
        return hidden @ self.v                                                    # (B, ..., T, S)


class DotScore(Score):
    """q · k: no parameters, equal widths. In float16 it overflows at 65,504; `ScaledDotScore` scales before."""

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        check_equal_widths(query, projected)
        return query @ projected.transpose(-2, -1)

    def dot_scale(self, query: Tensor) -> float:
        return 1.0


class ScaledDotScore(Score):
    """q · k / sqrt(d), d the width of a query: keeps the variance of the scores at 1 when a network is new."""

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        check_equal_widths(query, projected)
        return (query * self.dot_scale(query)) @ projected.transpose(-2, -1)

    def dot_scale(self, query: Tensor) -> float:
        return query.shape[-1] ** -0.5


class GeneralScore(Score):
    """q · W k: a learnt matrix between the two, so widths may differ."""

    def __init__(self, d_query: int, d_key: int) -> None:
        super().__init__()
        check_widths(d_query=d_query, d_key=d_key)
        self.W = xavier(nn.Linear(d_key, d_query, bias=False))

    def project_key(self, key: Tensor) -> Tensor:
        _check_built_for("key", key, self.W.in_features)
        return self.W(key)                                                        # (B, ..., S, Dq)

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        _check_built_for("query", query, self.W.out_features)
        return query @ projected.transpose(-2, -1)

    def dot_scale(self, query: Tensor) -> float:
        _check_built_for("query", query, self.W.out_features)
        return 1.0


def xavier(linear: nn.Linear) -> nn.Linear:
    """The linear layer with Xavier-uniform weights and zero bias."""
    nn.init.xavier_uniform_(linear.weight)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
    return linear


def _check_built_for(name: str, vectors: Tensor, width: int) -> None:
    if vectors.shape[-1] != width:
        names = {"key": "keys", "query": "queries"}[name]
        raise ValueError(f"{names} are {vectors.shape[-1]} wide, this score was built for d_{name}={width}")
