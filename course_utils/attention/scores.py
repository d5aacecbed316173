"""Attention scores: how well does a query agree with a key? Notebooks 07 and 08.

    additive     v · tanh(W q + U k)               Bahdanau, Cho, Bengio 2015, appendix A.1.2
    normed       g v/|v| · tanh(W q + U k + b)     "normed Bahdanau" of TensorFlow; Salimans and Kingma 2016
    concat       v · tanh(W [q; k])                Luong, Pham, Manning 2015, section 3.1: additive with one matrix
    as run       v · tanh(W q + k)                 the same in Luong's own code: the part of the key is the identity
    dot          q · k                             Luong et al. 2015, section 3.1
    scaled dot   q · k / sqrt(d)                   Vaswani et al. 2017, eq. 1
    general      q · W k                           Luong et al. 2015, section 3.1
    cosine       g q · k / |q||k|                  Graves, Wayne, Danihelka 2014, section 3.3.1; g = 1, or learnt
    location     (W q)_j, no key at all            Luong et al. 2015, section 3.1

A score works in two halves: `project_key` sees the keys only, so a decoder does that part once a sentence;
`compare` is done for every query. Weights: Xavier uniform. No biases, as in the papers: one added to the keys of a
product gives all scores of a query the same extra term, which softmax takes away again. (Inside tanh it does not.)
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.socket import at_least_float32
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
        self.v = _readout(d_attention)

    def project_key(self, key: Tensor) -> Tensor:
        _check_built_for("key", key, self.U.in_features)
        return self.U(key)                                                        # (B, ..., S, d_attention)

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        _check_built_for("query", query, self.W.in_features)
        return torch.tanh(_pairs(self.W(query), projected)) @ self.v              # (B, ..., T, S)


class NormedScore(Score):
    """g v/|v| · tanh(W q + U k + b): additive, with the length g of v apart from its direction and a bias b. A new one
    is flat: g begins at sqrt(1/d_attention), b at 0."""

    def __init__(self, d_query: int, d_key: int, d_attention: int) -> None:
        super().__init__()
        check_widths(d_query=d_query, d_key=d_key, d_attention=d_attention)
        self.W = xavier(nn.Linear(d_query, d_attention, bias=False))
        self.U = xavier(nn.Linear(d_key, d_attention, bias=False))
        self.v = _readout(d_attention)
        self.g = nn.Parameter(torch.tensor(d_attention**-0.5))
        self.b = nn.Parameter(torch.zeros(d_attention))

    def project_key(self, key: Tensor) -> Tensor:
        _check_built_for("key", key, self.U.in_features)
        return self.U(key)                                                        # (B, ..., S, d_attention)

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        _check_built_for("query", query, self.W.in_features)
        hidden = torch.tanh(_pairs(self.W(query) + self.b, projected))            # (B, ..., T, S, d_attention)
        return hidden @ (self.g * self.v / self.v.norm())                         # (B, ..., T, S)


class ConcatScore(Score):
    """v · tanh(W [q; k]): since W = [W_q W_k], this is the additive score with its two matrices drawn as one."""

    def __init__(self, d_query: int, d_key: int, d_attention: int) -> None:
        super().__init__()
        check_widths(d_query=d_query, d_key=d_key, d_attention=d_attention)
        self.d_query = d_query
        self.W = xavier(nn.Linear(d_query + d_key, d_attention, bias=False))
        self.v = _readout(d_attention)

    def project_key(self, key: Tensor) -> Tensor:
        _check_built_for("key", key, self.W.in_features - self.d_query)
        return F.linear(key, self.W.weight[:, self.d_query :])                    # (B, ..., S, d_attention)

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        _check_built_for("query", query, self.d_query)
        asked = F.linear(query, self.W.weight[:, : self.d_query])                 # (B, ..., T, d_attention)
        return torch.tanh(_pairs(asked, projected)) @ self.v                      # (B, ..., T, S)


class ConcatAsRunScore(Score):
    """v · tanh(W q + k): what Luong's code ran under the name concat. The key gets no matrix (footnote 15 suspects it
    of the bad results), so the hidden layer is as wide as a key."""

    def __init__(self, d_query: int, d_key: int) -> None:
        super().__init__()
        check_widths(d_query=d_query, d_key=d_key)
        self.W = xavier(nn.Linear(d_query, d_key, bias=False))
        self.v = _readout(d_key)

    def project_key(self, key: Tensor) -> Tensor:
        _check_built_for("key", key, len(self.v))
        return key

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        _check_built_for("query", query, self.W.in_features)
        return torch.tanh(_pairs(self.W(query), projected)) @ self.v              # (B, ..., T, S)


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


class CosineScore(Score):
    """g cos(q, k), from -g to g whatever the lengths of the two: g is 1 and fixed, or a learnt `strength`.

    Graves et al. call g the key strength and let the network choose it anew for every query; here it is one number.
    A vector of zeros has cosine 0 with everything.
    """

    def __init__(self, strength: float | None = None) -> None:
        super().__init__()
        if strength is not None and not strength > 0:
            raise ValueError(f"strength={strength} must be above 0, for instance 10; None leaves the plain cosine")
        self.g = None if strength is None else nn.Parameter(torch.tensor(float(strength)))

    def project_key(self, key: Tensor) -> Tensor:
        return _unit(key)                                                         # (B, ..., S, Dk), length 1

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        check_equal_widths(query, projected)
        cosine = _unit(query) @ projected.transpose(-2, -1)                       # (B, ..., T, S)
        return cosine if self.g is None else self.g * cosine


class LocationScore(Score):
    """(W q)_j: where to look is said by the query alone, for the first `places` source words. What stands there plays
    no part. A shorter sentence uses the first of the scores (footnote 6); words beyond the table get no weight."""

    def __init__(self, d_query: int, places: int) -> None:
        super().__init__()
        check_widths(d_query=d_query, places=places)
        self.W = xavier(nn.Linear(d_query, places, bias=False))

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        _check_built_for("query", query, self.W.in_features)
        n_keys, places = projected.shape[-2], self.W.out_features
        scores = self.W(query)[..., :n_keys]                                      # (B, ..., T, min(S, places))
        return F.pad(scores, (0, max(0, n_keys - places)), value=-math.inf)       # (B, ..., T, S)


def _pairs(query: Tensor, key: Tensor) -> Tensor:
    """Every query with every key, added: (B, ..., T, d), (B, ..., S, d) -> (B, ..., T, S, d)."""
    return query.unsqueeze(-2) + key.unsqueeze(-3)


def _unit(x: Tensor) -> Tensor:
    """`x` with length 1; zeros stay zeros."""
    return F.normalize(at_least_float32(x), dim=-1, eps=1e-6).to(x.dtype)


def _readout(width: int) -> nn.Parameter:
    """v of the additive scores: uniform between ±1/sqrt(width)."""
    return nn.Parameter(torch.empty(width).uniform_(-1, 1).div_(math.sqrt(width)))


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
