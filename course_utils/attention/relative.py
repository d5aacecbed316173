"""Self-attention whose scores know how far apart two words are. Notebook 15. Both fit the socket and use `positions`.

    shaw    e_ij = q_i · (k_j + a^K_ij) / sqrt(d)     z_i = Σ_j w_ij (v_j + a^V_ij)     Shaw et al. 2018, eq. 3, 4
    alibi   e_ij = q_i · k_j / sqrt(d) - m_h |i - j|                                     Press, Smith, Lewis 2022

a_ij depends on the distance j - i only, cut off at ±k. ALiBi was made for decoders, where j <= i; without a causal mask
we take the distance in both directions, which cannot tell a sentence from its mirror image. Its slopes m_h are fixed:
2^(-8/H), 2^(-16/H), ... for H heads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.socket import Positions, allowed_pairs, check_socket, masked_softmax, places
from course_utils.checks import check_equal_widths, check_widths


class RelativeAttention(nn.Module):
    """Shaw's: a learnt vector for each distance from -k to k, shared by all heads, on keys and (if `values`) values."""

    def __init__(self, d_head: int, max_distance: int = 16, values: bool = True) -> None:
        super().__init__()
        check_widths(d_head=d_head, max_distance=max_distance)
        self.max_distance = max_distance
        self.key_table = nn.Parameter(torch.empty(2 * max_distance + 1, d_head).normal_(std=d_head**-0.5))
        self.value_table = nn.Parameter(torch.empty_like(self.key_table).normal_(std=d_head**-0.5)) if values else None

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False, state: None = None,
    ) -> tuple[Tensor, Tensor | None, None]:
        check_socket(query, key, value, key_mask, mask, positions)
        check_equal_widths(query, key)
        allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=mask, positions=positions)
        rows = self.distances(*(positions or places(query.shape[-2], key.shape[-2], query.device)))   # (T, S)
        by_distance = query @ self.key_table.T                            # (B, ..., T, 2k + 1)
        scores = query @ key.transpose(-2, -1) + by_distance.gather(-1, rows.expand(*query.shape[:-1], -1))
        weights = masked_softmax(scores * query.shape[-1] ** -0.5, allowed)             # (B, ..., T, S)
        context = weights @ value
        if self.value_table is not None:
            summed = weights.new_zeros(by_distance.shape)                 # weights of one distance, added up
            context = context + summed.scatter_add(-1, rows.expand_as(weights), weights) @ self.value_table
        return context, weights if need_weights else None, None

    def distances(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Places (T,), (S,) -> (T, S): the row of the tables for key place minus query place."""
        k = self.max_distance
        return (keys.unsqueeze(0) - queries.unsqueeze(1)).clamp(-k, k) + k


class AlibiAttention(nn.Module):
    """Scaled dot products, less a slope times the distance; each head has its own slope. No parameters."""

    def __init__(self, n_heads: int) -> None:
        super().__init__()
        check_widths(n_heads=n_heads)
        slopes = 2.0 ** (-8.0 * torch.arange(1, n_heads + 1, dtype=torch.float64) / n_heads)
        self.register_buffer("slopes", slopes.view(-1, 1, 1), persistent=False)         # (H, 1, 1)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False, state: None = None,
    ) -> tuple[Tensor, Tensor | None, None]:
        check_socket(query, key, value, key_mask, mask, positions)
        check_equal_widths(query, key)
        if query.ndim != 4 or query.shape[1] != len(self.slopes):
            raise ValueError(f"made for {len(self.slopes)} heads, (batch, heads, length, width); got {query.shape}")
        allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=mask, positions=positions)
        queries, keys = positions or places(query.shape[-2], key.shape[-2], query.device)
        distance = (keys.unsqueeze(0) - queries.unsqueeze(1)).abs()       # (T, S)
        bias = (-self.slopes * distance).to(query.dtype)                  # (H, T, S)
        if need_weights:
            scores = query * query.shape[-1] ** -0.5 @ key.transpose(-2, -1) + bias
            weights = masked_softmax(scores, allowed)                     # (B, H, T, S)
            return weights @ value, weights, None
        return _fused(query, key, value, bias, allowed), None, None


def _fused(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, allowed: Tensor | None) -> Tensor:
    if allowed is None:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias.expand(len(query), -1, -1, -1))
    empty = ~allowed.any(-1, keepdim=True)                                # see attention.py: rows without a key
    scores = bias.masked_fill(~(allowed | empty), torch.finfo(bias.dtype).min)
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=scores.expand(*query.shape[:-1], -1))
    return context.masked_fill(empty, 0.0)
