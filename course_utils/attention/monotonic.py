"""Monotonic attention: read on from where the last word was found. Notebook 09; Raffel et al. 2017.

    e_ij = g v/|v| · tanh(W q_i + U k_j + b) + r        p_ij = sigmoid(e_ij + noise)

The i-th query starts at the key where the one before it stopped, and stops at key j with chance p_ij, else goes on.
Training uses the expected alignment of that walk (eq. 9-10), decoding the walk itself with p_ij > 1/2 as "stop":

    a_ij = p_ij q_ij        q_ij = (1 - p_i,j-1) q_i,j-1 + a_i-1,j        a_0 = all on the first key

A row of weights may sum to less than 1: the rest is the chance to find nothing. Who finds nothing is past the end, and
so are all later queries. What is printed as a division by cumulative products breaks when they vanish; `walk` takes
differences of logarithms, none of which is above 0.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.attention.dense import projected_keys
from course_utils.attention.scores import NormedScore
from course_utils.attention.socket import Positions, allowed_pairs, at_least_float32, check_socket


class MonotonicState(NamedTuple):
    """What the next query needs."""

    projected: Tensor                                                       # (B, ..., S, d_attention)
    previous: Tensor                                                        # (B, ..., S), the last query's weights


class MonotonicAttention(nn.Module):
    """`noise` is the standard deviation of what is added to e in training, which pushes p towards 0 and 1; `r` begins
    at `bias`, below 0 so that a new model does not stop at every first word. `hard`: None means in evaluation."""

    def __init__(
        self, d_query: int, d_key: int, d_attention: int, *, noise: float = 1.0, bias: float = -2.0,
        hard: bool | None = None,
    ) -> None:
        super().__init__()
        if noise < 0:
            raise ValueError(f"noise={noise} is a standard deviation: 0 for none, or above")
        self.energy = NormedScore(d_query, d_key, d_attention)
        self.r = nn.Parameter(torch.tensor(float(bias)))
        self.noise, self.hard = noise, hard

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False,
        state: MonotonicState | None = None,
    ) -> tuple[Tensor, Tensor | None, MonotonicState]:
        check_socket(query, key, value, key_mask, mask, positions)
        if causal:
            raise ValueError("monotonic attention walks along a source that is there already, so it cannot be causal")
        projected = projected_keys(self.energy, key, state)
        allowed = allowed_pairs(query, key, key_mask=key_mask, mask=mask)
        energy = at_least_float32(self.energy.compare(query, projected)) + self.r
        stops = self.stops(energy, allowed)                                         # (B, ..., T, S)
        previous = first_key(stops[..., 0, :]) if state is None else state.previous
        take, rows = stop_at if self._is_hard() else walk, []
        for row in stops.unbind(-2):                                                # (B, ..., S)
            previous = take(row, previous)
            rows.append(previous)
        weights = torch.stack(rows, -2).to(value.dtype)                             # (B, ..., T, S)
        return weights @ value, weights if need_weights else None, MonotonicState(projected, previous)

    def stops(self, energy: Tensor, allowed: Tensor | None) -> Tensor:
        """p of every pair, 0 where the query may not stop: numbers in training, 0 or 1 when hard."""
        if self._is_hard():
            p = (energy > 0).to(energy.dtype)
        else:
            noisy = self.training and self.noise > 0
            p = torch.sigmoid(energy + self.noise * torch.randn_like(energy) if noisy else energy)
        return p if allowed is None else p * allowed

    def _is_hard(self) -> bool:
        return not self.training if self.hard is None else self.hard


def first_key(like: Tensor) -> Tensor:
    """All weight on the first of S keys: a_0, shaped as `like` (..., S)."""
    start = torch.zeros_like(like)
    start[..., 0] = 1.0
    return start


def walk(p: Tensor, previous: Tensor) -> Tensor:
    """The expected alignment of one query: p (..., S), previous (..., S) -> (..., S).

    a_j = p_j Σ_{k <= j} previous_k Π_{k <= l < j} (1 - p_l), every product as the exponential of a sum of logarithms.
    """
    passed = torch.log1p(-p.clamp(max=1 - 1e-7 if p.dtype == torch.float32 else 1 - 1e-15)).cumsum(-1)    # up to l
    before = torch.cat([torch.zeros_like(passed[..., :1]), passed[..., :-1]], -1)   # up to l - 1
    between = before.unsqueeze(-1) - before.unsqueeze(-2)                           # (..., j, k), <= 0 for k <= j
    later = torch.ones_like(between, dtype=torch.bool).triu(1)                      # k > j
    reach = between.masked_fill(later, -torch.inf).exp() @ previous.unsqueeze(-1)   # (..., j, 1)
    return p * reach.squeeze(-1)


def stop_at(p: Tensor, previous: Tensor) -> Tensor:
    """The same for p of 0 and 1, exactly: a 1 at the first stop from the previous place on, zeros if there is none."""
    open_ = (previous.cumsum(-1) > 0) & (p > 0)                                     # (..., S)
    return (open_ & (open_.cumsum(-1) == 1)).to(p.dtype)
