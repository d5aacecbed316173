"""Local attention: a window of 2D + 1 source words. Notebook 09; Luong, Pham, Manning 2015, section 3.2.

    local-m   p_t = t                                      softmax over the window
    local-p   p_t = (S - 1) sigmoid(v · tanh(W_p q_t))     softmax over the window, times exp(-(s - p_t)²/2σ²), σ = D/2

Places are counted from 0 and S is the number of words of the sentence (its pads left out), so p_t lies between the
first word and the last, as in the authors' code; in the paper it is S sigmoid(...). The weights of local-p are not made
to sum to 1 again. Only the Gaussian carries a gradient to v and W_p. Where a local-m window would lie beyond the end of
the source it stays at the last word (their code does so, the paper does not say).

All scores are computed and those outside are masked: on sentences of 30 words nothing is saved by less. What a window
saves on long texts is notebook 20's.
"""

import torch
from torch import Tensor, nn

from course_utils.attention.dense import DenseAttention, DenseState, projected_keys
from course_utils.attention.scores import Score, xavier
from course_utils.attention.socket import (
    Positions,
    allowed_pairs,
    at_least_float32,
    check_socket,
    masked_softmax,
    places,
)
from course_utils.checks import check_widths


class LocalMonotonicAttention(nn.Module):
    """local-m: the t-th query looks at the keys from t - window to t + window."""

    def __init__(self, score: Score, window: int) -> None:
        super().__init__()
        check_widths(window=window)
        self.dense, self.window = DenseAttention(score), window

    @property
    def score(self) -> Score:
        return self.dense.score

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False,
        state: DenseState | None = None,
    ) -> tuple[Tensor, Tensor | None, DenseState]:
        check_socket(query, key, value, key_mask, mask, positions)
        queries, keys = positions or places(query.shape[-2], key.shape[-2], query.device)
        centre = queries.unsqueeze(0)                                               # (1, T)
        if not causal:                                                              # nobody may know the end there
            centre = centre.minimum(last_place(key_mask, keys))                     # (1 or B, T)
        near = (keys - centre.unsqueeze(-1)).abs() <= self.window                   # (1 or B, T, S)
        near = near.expand(len(query), -1, -1)
        return self.dense(
            query, key, value, key_mask=key_mask, causal=causal, mask=near if mask is None else near & mask,
            positions=positions, need_weights=need_weights, state=state,
        )


class LocalPredictiveAttention(nn.Module):
    """local-p: every query says where its window is, and words weigh less the further they stand from its middle."""

    def __init__(self, score: Score, window: int, d_query: int) -> None:
        super().__init__()
        check_widths(window=window, d_query=d_query)
        self.score, self.window = score, window
        self.W_p = xavier(nn.Linear(d_query, d_query, bias=False))
        self.v = xavier(nn.Linear(d_query, 1, bias=False))

    def centre(self, query: Tensor, last: Tensor) -> Tensor:
        """p_t, a real number: queries (B, ..., T, Dq), the last word's place (B or 1, 1) -> (B, ..., T, 1)."""
        share = torch.sigmoid(at_least_float32(self.v(torch.tanh(self.W_p(query)))))
        return share * last.view(-1, *[1] * (query.ndim - 1))

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False,
        state: DenseState | None = None,
    ) -> tuple[Tensor, Tensor | None, DenseState]:
        check_socket(query, key, value, key_mask, mask, positions)
        if causal:
            raise ValueError("local-p puts its window at a share of the whole source's length, so it cannot be causal")
        projected = projected_keys(self.score, key, state)
        allowed = allowed_pairs(query, key, key_mask=key_mask, mask=mask)
        _, keys = positions or places(query.shape[-2], key.shape[-2], query.device)
        away = keys - self.centre(query, last_place(key_mask, keys))                # (B, ..., T, S), s - p_t
        near = away.abs() <= self.window
        weights = masked_softmax(self.score.compare(query, projected), near if allowed is None else near & allowed)
        weights = weights * torch.exp(-2 * (away / self.window).square()).to(weights.dtype)      # σ = D/2
        return weights @ value, weights if need_weights else None, DenseState(projected)


def last_place(key_mask: Tensor | None, keys: Tensor) -> Tensor:
    """Where the last real key stands: (B, S) bool and places (S,) -> (B, 1); (1, 1) without a mask."""
    if key_mask is None:
        return keys.max().view(1, 1)
    return keys.masked_fill(~key_mask, 0).amax(1, keepdim=True)
