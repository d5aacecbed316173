"""Synthesizer: attention weights without comparing queries with keys. Notebook 21; Tay et al. 2021.

    dense                B_i = W_2 relu(q_i) + b_2            a word alone says where it looks          eq. 2
    factorised dense     B_i = tile(A_i) * repeat(A'_i)       two short vectors, all their products     eq. 6
    random               B = R                                the same map for every sentence           eq. 4
    factorised random    B = R_1 R_2ᵀ                                                                   eq. 7

and C = softmax(B) V. The paper's W_1 x_i + b_1 is our query, for a head's query already is a projection of the word.
Keys are given by the socket and not looked at: a layer around this plug learns nothing in its key projection. A table
of T x S weights is made, so it saves the comparison, not the memory; and columns are places, so there is a longest
sentence. Here "random" means drawn once and then learnt (`fixed=True`: not learnt).
"""

import math

import torch
from torch import Tensor, nn

from course_utils.attention.linformer import span
from course_utils.attention.socket import Positions, allowed_pairs, check_socket, masked_softmax, places
from course_utils.checks import check_widths


class SynthesizerAttention(nn.Module):
    """Base: a subclass gives `logits`. Each head has its own."""

    def __init__(self, n_heads: int, max_length: int) -> None:
        super().__init__()
        check_widths(n_heads=n_heads, max_length=max_length)
        self.n_heads, self.max_length = n_heads, max_length

    def logits(self, query: Tensor, queries: slice, keys: slice) -> Tensor:
        """(B, H, T, d) and the places of queries and keys -> broadcasts to (B, H, T, S)."""
        raise NotImplementedError(f"{type(self).__name__} must define logits(query, queries, keys)")

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False, state: None = None,
    ) -> tuple[Tensor, Tensor | None, None]:
        check_socket(query, key, value, key_mask, mask, positions)
        if query.ndim != 4 or query.shape[1] != self.n_heads:
            raise ValueError(f"made for {self.n_heads} heads, (batch, heads, length, width); got {tuple(query.shape)}")
        where = positions or places(query.shape[-2], key.shape[-2], query.device)
        queries, keys = (span(found, self.max_length) for found in where)
        allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=mask, positions=positions)
        scores = self.logits(query, queries, keys).expand(*query.shape[:-1], -1)             # (B, H, T, S)
        weights = masked_softmax(scores, allowed)
        return weights @ value, weights if need_weights else None, None


class DenseSynthesizer(SynthesizerAttention):
    """B_i = W_2 relu(q_i) + b_2, with W_2 (d, longest) for each head."""

    def __init__(self, n_heads: int, d_head: int, max_length: int) -> None:
        super().__init__(n_heads, max_length)
        self.W, self.b = _affine(n_heads, d_head, max_length)

    def logits(self, query: Tensor, queries: slice, keys: slice) -> Tensor:
        return query.relu() @ self.W[..., keys] + self.b[..., keys]


class FactorisedDenseSynthesizer(SynthesizerAttention):
    """Two vectors of a and b numbers with a·b >= longest; place j looks at number j mod a of one, j // a of the other.

    a: about the root of `max_length` unless given. Were both repeated in the same way, only lcm(a, b) places would
    differ.
    """

    def __init__(self, n_heads: int, d_head: int, max_length: int, a: int | None = None) -> None:
        super().__init__(n_heads, max_length)
        self.a = math.isqrt(max_length) if a is None else a
        check_widths(a=self.a)
        self.W, self.b = _affine(n_heads, d_head, self.a)
        self.W_other, self.b_other = _affine(n_heads, d_head, -(-max_length // self.a))

    def logits(self, query: Tensor, queries: slice, keys: slice) -> Tensor:
        hidden, n = query.relu(), -(-keys.stop // self.a)
        one = hidden @ self.W + self.b                                    # (B, H, T, a)
        other = hidden @ self.W_other[..., :n] + self.b_other[..., :n]    # (B, H, T, n): as many as the words need
        return (other.unsqueeze(-1) * one.unsqueeze(-2)).flatten(-2)[..., keys]


class RandomSynthesizer(SynthesizerAttention):
    """R (H, longest, longest), the same for every sentence."""

    def __init__(self, n_heads: int, max_length: int, fixed: bool = False) -> None:
        super().__init__(n_heads, max_length)
        self.R = nn.Parameter(torch.randn(n_heads, max_length, max_length), requires_grad=not fixed)

    def logits(self, query: Tensor, queries: slice, keys: slice) -> Tensor:
        return self.R[:, queries, keys]


class FactorisedRandomSynthesizer(SynthesizerAttention):
    """R = R_1 R_2ᵀ, both (H, longest, k)."""

    def __init__(self, n_heads: int, max_length: int, k: int = 8) -> None:
        super().__init__(n_heads, max_length)
        check_widths(k=k)
        self.R_1, self.R_2 = (nn.Parameter(torch.randn(n_heads, max_length, k) * k**-0.25) for _ in range(2))

    def logits(self, query: Tensor, queries: slice, keys: slice) -> Tensor:
        return self.R_1[:, queries] @ self.R_2[:, keys].transpose(-2, -1)


def _affine(n_heads: int, d_in: int, d_out: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights (H, d_in, d_out) of one linear layer a head, Xavier by themselves, and biases (H, 1, d_out)."""
    weight = torch.empty(n_heads, d_in, d_out)
    for head in weight:
        nn.init.xavier_uniform_(head)
    return nn.Parameter(weight), nn.Parameter(torch.zeros(n_heads, 1, d_out))
