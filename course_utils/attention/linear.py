"""Linear attention: a kernel replaces softmax, and the order of the products does the rest. Notebook 22.

    a_ij = φ(q_i)·φ(k_j) / Σ_l φ(q_i)·φ(k_l)      φ(x) = elu(x) + 1      Katharopoulos et al. 2020, eq. 4, 5, 7
    C_i  = φ(q_i) Σ_j φ(k_j) v_jᵀ / (φ(q_i)·Σ_j φ(k_j))                  the same, without a T x S table

It does not approximate softmax: it is another function. Causal, the sums run over j <= i, so it is a recurrent network
whose state is a matrix (eq. 16-20). Three forms of the same numbers: the table (`need_weights=True` or a `mask`),
chunks (a table inside each, a running sum between them), and one word at a time with the state handed on.
`course_utils/attention/performer.py` puts other features into the same sums.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.socket import Positions, allowed_pairs, at_least_float32, check_socket, without_autocast
from course_utils.checks import check_equal_widths

CHUNK = 64                                                                # words that share a table; 32 if d < 64
CACHED = 2**19                                                            # features made at once: 2 MB in float32


class KernelState(NamedTuple):
    """All that a causal kernel attention remembers of the keys so far; the next call brings only the new ones."""

    sums: Tensor                                                          # (B, ..., m, d + 1): Σ φ(k_j) [v_jᵀ, 1]


class LinearAttention(nn.Module):
    """No parameters. A subclass with other features overrides `query_features` and `key_features`.

    `state` is for causal calls: with it, key and value are the words after those in the state (not all so far), and a
    step costs the same however long the prefix. Queries and keys are taken a segment at a time, so that their features
    stay in the processor's cache.
    """

    widening = 1                                                          # features m / width d

    def query_features(self, query: Tensor) -> Tensor:
        """(B, ..., T, d) -> (B, ..., T, m), not negative; a factor of its own for each query cancels."""
        return F.elu(query) + 1

    def key_features(self, key: Tensor, real: Tensor | None, causal: bool) -> tuple[Tensor, Tensor | None]:
        """(B, ..., S, d) -> (B, ..., S, m) and the logarithm, (B, ..., 1, 1), of what they were divided by, if by any.

        `real` (B, ..., S, 1) bool is False at pads. Causal, a key's features must not depend on other keys.
        """
        return F.elu(key) + 1, None

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False,
        state: KernelState | None = None,
    ) -> tuple[Tensor, Tensor | None, KernelState | None]:
        check_socket(query, key, value, key_mask, mask, positions)
        check_equal_widths(query, key)
        if causal:
            check_last_places(query, key, positions)
        if state is not None and (not causal or need_weights or mask is not None):
            raise ValueError("a state continues causal calls only, without need_weights or mask: pass state=None")
        if state is not None and state.sums.shape[:-2] != key.shape[:-2]:
            raise ValueError(
                f"the state was made over keys {tuple(state.sums.shape[:-2])}, these are {tuple(key.shape[:-2])}: pass "
                f"state=None when the sentences have changed, take_rows(state, rows) when only the rows have"
            )
        with without_autocast(query):                                     # sums over all keys: at least float32
            context, weights, after = self._attend(
                *(at_least_float32(x) for x in (query, key, value)), key_mask, causal, mask, need_weights, state
            )
        return context.to(value.dtype), None if weights is None else weights.to(value.dtype), after

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor | None, causal: bool, mask: Tensor | None,
        need_weights: bool, state: KernelState | None,
    ) -> tuple[Tensor, Tensor | None, KernelState | None]:
        """Which of the three forms: `forward` after its checks."""
        real = None if key_mask is None else key_mask.view(len(key_mask), *[1] * (key.ndim - 3), -1, 1)
        if need_weights or mask is not None:
            allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=mask)
            context, weights = self._by_table(query, key, value, real, causal, allowed)
            after = KernelState(self._sums(key, value, real, causal)) if causal and mask is None else None
            return context, weights if need_weights else None, after
        if causal:
            context, sums = self._causal(query, key, value, real, None if state is None else state.sums)
            return context, None, KernelState(sums)
        sums = self._sums(key, value, real, causal)
        return torch.cat([divided(self.query_features(q) @ sums) for (q,) in self._segments(query)], -2), None, None

    def _by_table(
        self, query: Tensor, key: Tensor, value: Tensor, real: Tensor | None, causal: bool, allowed: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Context and the weights (B, ..., T, S) of all pairs."""
        table = self.query_features(query) @ self.key_features(key, real, causal)[0].transpose(-2, -1)
        table = table if allowed is None else table.masked_fill(~allowed, 0.0)
        total = table.sum(-1, keepdim=True)
        weights = table / total.masked_fill(total == 0, 1.0)
        return weights @ value, weights

    def _causal(
        self, query: Tensor, key: Tensor, value: Tensor, real: Tensor | None, past: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Context, and the sums after the last key; keys that stand before all queries are summed first."""
        n = [key.shape[-2] - query.shape[-2], query.shape[-2]]
        if n[0]:
            (older, key), (values, value) = key.split(n, -2), value.split(n, -2)
            seen, real = (None, None) if real is None else real.split(n, -2)
            sums = self._sums(older, values, seen, causal=True)
            past = sums if past is None else past + sums
        out = []
        for q, k, v, r in self._segments(query, key, value, real):
            product, past = chunked(self.query_features(q), self.key_features(k, r, True)[0], with_ones(v, r), past)
            out.append(divided(product))
        return torch.cat(out, -2), past

    def _sums(self, key: Tensor, value: Tensor, real: Tensor | None, causal: bool) -> Tensor:
        """Σ φ(k_j) [v_jᵀ, 1] over the real keys, (B, ..., m, d + 1); all of it divided by one number if not causal."""
        sums, tops = [], []
        for k, v, r in self._segments(key, value, real):
            features, top = self.key_features(k, r, causal)
            sums.append(features.transpose(-2, -1) @ with_ones(v, r))
            tops.append(top)
        if tops[0] is None or len(tops) == 1:
            return sum(sums)
        top = torch.stack(tops)                                           # segments were divided by different numbers
        return (torch.stack(sums) * (top - top.amax(0)).exp()).sum(0)

    def _segments(self, first: Tensor, *others: Tensor | None) -> Iterator[tuple[Tensor | None, ...]]:
        """Pieces (B, ..., n, ·) of all of them, side by side; n words have as many features as stay in the cache."""
        n = max(CHUNK, CACHED // (first[..., :1, :].numel() * self.widening) // CHUNK * CHUNK)
        pieces = first.split(n, -2)
        return zip(pieces, *([None] * len(pieces) if x is None else x.split(n, -2) for x in others), strict=True)


def with_ones(value: Tensor, real: Tensor | None) -> Tensor:
    """(B, ..., S, d) -> (B, ..., S, d + 1): a column of ones, to sum weights like values; rows of pads are 0."""
    value = F.pad(value, (0, 1), value=1.0)
    return value if real is None else value.masked_fill(~real, 0.0)


def divided(sums: Tensor) -> Tensor:
    """(B, ..., T, d + 1) -> (B, ..., T, d): the sums of values by the sums of weights, 0 where there were no keys."""
    context, total = sums.split([sums.shape[-1] - 1, 1], -1)
    return context / total.masked_fill(total == 0, 1.0)


def chunked(query: Tensor, key: Tensor, value: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
    """Σ_{j <= i} (q_i·k_j) v_j for every i, and Σ k_j v_jᵀ over all: features (B, ..., n, m), values (B, ..., n, e).

    `past` (B, ..., m, e) is what the sums begin with. A running sum from chunk to chunk, a table inside each.
    """
    n = query.shape[-2]
    size = min(n, CHUNK if query.shape[-1] >= CHUNK else CHUNK // 2)
    q, k, v = (F.pad(x, (0, 0, 0, -n % size)).unflatten(-2, (-1, size)) for x in (query, key, value))
    sums = k.transpose(-2, -1) @ v                                        # (B, ..., chunks, m, e)
    past = torch.zeros_like(sums[..., 0, :, :]) if past is None else past
    sums = torch.cat([past.unsqueeze(-3), sums], -3).cumsum(-3)           # before each chunk, and after the last
    before, after = sums.split([sums.shape[-3] - 1, 1], -3)
    out = q @ before + (q @ k.transpose(-2, -1)).tril() @ v               # (B, ..., chunks, size, e)
    return out.flatten(-3, -2)[..., :n, :], after.squeeze(-3)


def check_last_places(query: Tensor, key: Tensor, positions: Positions | None) -> None:
    """Refuse queries that do not stand at the last places of consecutive keys: prefix sums and shifts need that."""
    n_queries, n_keys = query.shape[-2], key.shape[-2]
    if n_queries > n_keys:
        raise ValueError(f"{n_queries} queries and {n_keys} keys: here every query stands at the place of a key")
    if positions is not None:
        queries, keys = positions
        if not (torch.equal(queries, keys[n_keys - n_queries :]) and bool((keys.diff() == 1).all())):
            raise ValueError(
                "this attention needs consecutive keys and queries at the last of their places, in order; "
                "sort them so, or leave positions=None"
            )
