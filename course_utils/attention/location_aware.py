"""Hybrid attention: what a key says, and where we looked last. Notebook 09; Chorowski et al. 2015.

    e_ij = w · tanh(W q_i + V k_j + U f_ij + b)        f_i = F * a_{i-1}        eq. 8-9

F holds `filters` filters over 2 reach + 1 neighbouring weights of the query before: a convolution, written here as one
linear map of every window. With U = 0 this is the additive score (with a bias). Among equal words only f tells which
comes next. The first query finds all weight on the first key. The alignment belongs to the state of a sentence: a beam
reorders it, and a new sentence starts afresh.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.dense import projected_keys
from course_utils.attention.monotonic import first_key
from course_utils.attention.scores import AdditiveScore, xavier
from course_utils.attention.socket import Positions, allowed_pairs, check_socket, masked_softmax
from course_utils.checks import check_widths


class LocationAwareState(NamedTuple):
    """What the next query needs."""

    projected: Tensor                                                       # (B, ..., S, d_attention)
    previous: Tensor                                                        # (B, ..., S), the last query's weights


class LocationAwareAttention(nn.Module):
    """Soft attention whose scores see the weights of the query before."""

    def __init__(self, d_query: int, d_key: int, d_attention: int, *, filters: int, reach: int) -> None:
        super().__init__()
        check_widths(filters=filters, reach=reach)
        self.content = AdditiveScore(d_query, d_key, d_attention)               # W, V (its U) and w (its v)
        self.F = xavier(nn.Linear(2 * reach + 1, filters, bias=False))
        self.U = xavier(nn.Linear(filters, d_attention))                        # its bias is b
        self.reach = reach

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False,
        state: LocationAwareState | None = None,
    ) -> tuple[Tensor, Tensor | None, LocationAwareState]:
        check_socket(query, key, value, key_mask, mask, positions)
        if causal:
            raise ValueError("location-aware attention walks along a source that is there already: it cannot be causal")
        projected = projected_keys(self.content, key, state)
        allowed = allowed_pairs(query, key, key_mask=key_mask, mask=mask)
        if allowed is not None:
            allowed = allowed.expand(*query.shape[:-1], key.shape[-2])              # (B, ..., T, S)
        previous = first_key(key[..., 0]) if state is None else state.previous
        contexts, maps = [], []
        for t in range(query.shape[-2]):
            may = None if allowed is None else allowed[..., t : t + 1, :]
            keys = projected + self.U(self.windows(previous))                       # (B, ..., S, d_attention)
            weights = masked_softmax(self.content.compare(query[..., t : t + 1, :], keys), may)      # (B, ..., 1, S)
            contexts.append(weights @ value)
            maps.append(weights if need_weights else None)
            previous = weights.squeeze(-2)
        context, state = torch.cat(contexts, -2), LocationAwareState(projected, previous)
        return context, torch.cat(maps, -2) if need_weights else None, state

    def windows(self, previous: Tensor) -> Tensor:
        """f: weights (B, ..., S) -> (B, ..., S, filters)."""
        padded = F.pad(previous, (self.reach, self.reach))
        return self.F(padded.unfold(-1, 2 * self.reach + 1, 1))
