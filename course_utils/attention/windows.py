"""Sparse attention by place: the pairs that are looked at are fixed before the data come. Notebook 20.

    window      |i - j| <= w: w places on *each* side (others mean the total)      Luong 2015; Parmar et al. 2018
    strided     i - j a multiple of s                                              Child et al. 2019, section 4.2
    longformer, bigbird: the window and more, in global_tokens.py

With causal=True each keeps those pairs with j <= i. All are exact: softmax over the pairs of `pattern`, and nothing
else. What makes them fast is `banded`: blocks of queries, each beside the few keys that they may see, in one call of
torch's fused kernel (with its mask in 4 dimensions: with 3 it is slow), which gives a row without keys 0, as we do. A
map of weights, a mask of pairs, or a few queries over cached keys take the plain way, by table.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.socket import Positions, allowed_pairs, check_socket, masked_softmax, places
from course_utils.checks import check_equal_widths, check_widths

BLOCK = 64                                                                # queries that share one band of keys


class PatternAttention(nn.Module):
    """Scaled dot products on the pairs of a pattern. A subclass gives `pattern` and `fast`; both mean the same."""

    def pattern(self, queries: Tensor, keys: Tensor, real: Tensor, causal: bool) -> Tensor:
        """Places (T,), (S,), real keys (B or 1, S) -> (T, S) or (B, T, S) bool; pads and future are left out later."""
        raise NotImplementedError(f"{type(self).__name__} must define pattern(queries, keys, real, causal)")

    def fast(self, query: Tensor, key: Tensor, value: Tensor, real: Tensor, causal: bool) -> Tensor:
        """(B, H, N, d) three times, real keys (B or 1, N) -> context (B, H, N, d); never a table of N x N."""
        raise NotImplementedError(f"{type(self).__name__} must define fast(query, key, value, real, causal)")

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False, state: None = None,
    ) -> tuple[Tensor, Tensor | None, None]:
        check_socket(query, key, value, key_mask, mask, positions)
        check_equal_widths(query, key)
        real = key_mask if key_mask is not None else key.new_ones(1, key.shape[-2], dtype=torch.bool)
        if not need_weights and mask is None and in_place(query, key, positions):
            heads = (as_heads(x) for x in (query, key, value))            # (B, H, N, d)
            return self.fast(*heads, real, causal).reshape(*query.shape[:-1], value.shape[-1]), None, None
        where = positions or places(query.shape[-2], key.shape[-2], query.device)
        pairs = self.pattern(*where, real, causal)
        pairs = pairs if mask is None else pairs & mask
        allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=pairs.expand(
            *((len(query),) if pairs.ndim == 3 else ()), *pairs.shape[-2:]), positions=where)  # fmt: skip
        context, weights = self.by_table(query, key, value, allowed, where[0])
        return context, weights if need_weights else None, None

    def by_table(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """Context and weights (B, ..., T, S) by the definition; `at` (T,) says where the queries stand."""
        weights = masked_softmax(query * query.shape[-1] ** -0.5 @ key.transpose(-2, -1), allowed)
        return weights @ value, weights


def in_place(query: Tensor, key: Tensor, positions: Positions | None) -> bool:
    """Do queries and keys both stand at 0, 1, ..., N - 1?"""
    n = query.shape[-2]
    home = torch.arange(n, device=query.device)
    return n == key.shape[-2] and (positions is None or all(torch.equal(at, home) for at in positions))


def as_heads(x: Tensor) -> Tensor:
    """(B, ..., N, d) -> (B, H, N, d): whatever stands between batch and length is one dimension of heads."""
    return x.unsqueeze(1) if x.ndim == 3 else x.flatten(1, -3)


def banded(
    query: Tensor, key: Tensor, value: Tensor, real: Tensor, before: int, after: int, block: int = BLOCK,
    extra: tuple[Tensor, Tensor, Tensor] | None = None,
) -> Tensor:
    """Attention of each place i to places i - before .. i + after, in blocks. (B, H, N, d) -> (B, H, N, d).

    real (B or 1, N): keys that exist. extra: keys and values (B, n, H, E, d) that each of the n blocks sees besides,
    and which of them exist, (B or 1, n, 1, E). The multiply-adds are those of n · block · (width + E) pairs.
    """
    B, H, N, _ = query.shape
    n = -(-N // block)
    fill, width = n * block - N, block + before + after
    near = F.pad(real, (before, after + fill)).unfold(1, width, block)    # (B or 1, n, width): exists
    step = torch.arange(width, device=query.device) - torch.arange(block, device=query.device).unsqueeze(1)
    allowed = near.unsqueeze(2) & ((step >= 0) & (step <= before + after))                  # (B or 1, n, block, width)
    key, value = (
        F.pad(x, (0, 0, before, after + fill)).unfold(2, width, block).permute(0, 2, 1, 4, 3) for x in (key, value)
    )                                                                     # (B, n, H, width, d), still views
    if extra is not None:
        key, value = torch.cat([key, extra[0]], 3), torch.cat([value, extra[1]], 3)
        allowed = torch.cat([allowed, extra[2].expand(len(allowed), n, block, -1)], 3)
    query = F.pad(query, (0, 0, 0, fill)).unflatten(2, (n, block)).transpose(1, 2)          # (B, n, H, block, d)
    allowed = allowed.expand(B, -1, -1, -1).flatten(0, 1).unsqueeze(1)    # (B n, 1, block, width)
    context = F.scaled_dot_product_attention(*(x.flatten(0, 1) for x in (query, key, value)), attn_mask=allowed)
    return context.unflatten(0, (B, n)).transpose(1, 2).flatten(2, 3)[:, :, :N]


class WindowAttention(PatternAttention):
    """The `window` places on each side, and its own; causal: those before, and its own. No parameters."""

    def __init__(self, window: int) -> None:
        super().__init__()
        check_widths(window=window)
        self.window = window

    def pattern(self, queries: Tensor, keys: Tensor, real: Tensor, causal: bool) -> Tensor:
        return (keys - queries.unsqueeze(1)).abs() <= self.window

    def fast(self, query: Tensor, key: Tensor, value: Tensor, real: Tensor, causal: bool) -> Tensor:
        return banded(query, key, value, real, self.window, 0 if causal else self.window)


class StridedAttention(PatternAttention):
    """Every `stride`-th place, counted from its own. N² / stride pairs; with stride = sqrt(N) that is N sqrt(N).

    Places of different remainders never meet: use it beside a window, in another head or layer, as the paper does.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        check_widths(stride=stride)
        self.stride = stride

    def pattern(self, queries: Tensor, keys: Tensor, real: Tensor, causal: bool) -> Tensor:
        return (keys - queries.unsqueeze(1)) % self.stride == 0

    def fast(self, query: Tensor, key: Tensor, value: Tensor, real: Tensor, causal: bool) -> Tensor:
        B, H, N, _ = query.shape
        n = -(-N // self.stride)
        fill = n * self.stride - N
        query, key, value = (
            F.pad(x, (0, 0, 0, fill)).unflatten(2, (n, self.stride)).permute(0, 3, 1, 2, 4).flatten(0, 1)
            for x in (query, key, value)
        )                                                                 # (B stride, H, n, d): a remainder each
        allowed = F.pad(real, (0, fill)).view(-1, n, self.stride).transpose(1, 2).unsqueeze(2)  # (B or 1, stride, 1, n)
        if causal:
            allowed = allowed & allowed.new_ones(n, n).tril()
        allowed = allowed.expand(B, -1, -1, -1).flatten(0, 1).unsqueeze(1)
        context = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        return context.unflatten(0, (B, self.stride)).permute(0, 2, 3, 1, 4).flatten(2, 3)[:, :, :N]
