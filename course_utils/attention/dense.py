"""Dense attention, the first plug of the socket. Notebooks 07, 08 and 13.

C_i = Σ_j a_ij v_j with a_i = softmax over the keys of score(q_i, k_j): Bahdanau, Cho, Bengio 2015, eq. 5-6;
Vaswani et al. 2017, eq. 1. How a plug is called, with all shapes, stands in `course_utils/attention/socket.py`.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.scores import Score
from course_utils.attention.socket import Positions, allowed_pairs, check_socket, masked_softmax
from course_utils.checks import check_equal_widths


class DenseState(NamedTuple):
    """What need not be computed again while the keys stay the same."""

    projected: Tensor                                                       # (B, ..., S, width of the score's keys)


class DenseAttention(nn.Module):
    """Every query looks at every key it may see, softly.

    `weights` are asked for by `need_weights=True`; without them, scores that are dot products run in torch's fused
    kernel (same numbers up to rounding, no T x S table kept).
    """

    def __init__(self, score: Score) -> None:
        super().__init__()
        self.score = score

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False,
        state: DenseState | None = None,
    ) -> tuple[Tensor, Tensor | None, DenseState]:
        check_socket(query, key, value, key_mask, mask, positions)
        projected = projected_keys(self.score, key, state)
        allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=mask, positions=positions)
        scale = None if need_weights else self.score.dot_scale(query)
        if scale is not None:
            return _fused(query, projected, value, allowed, scale), None, DenseState(projected)
        weights = masked_softmax(self.score.compare(query, projected), allowed)     # (B, ..., T, S)
        return weights @ value, weights if need_weights else None, DenseState(projected)


def projected_keys(score: Score, key: Tensor, state) -> Tensor:
    """The keys as the score wants them: made anew, or those that a state over the same keys has carried."""
    if state is None:
        return score.project_key(key)
    check_same_keys(state.projected, key)
    return state.projected


def check_same_keys(carried: Tensor, key: Tensor) -> None:
    """Refuse what a state has carried, (B, ..., S, any), if it was made over other keys than these, (B, ..., S, Dk)."""
    if carried.shape[:-1] != key.shape[:-1]:
        raise ValueError(
            f"the state was made over keys {tuple(carried.shape[:-1])}, these are {tuple(key.shape[:-1])}: "
            f"pass state=None when the keys have changed, take_rows(state, rows) when only the rows have"
        )


def _fused(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None, scale: float) -> Tensor:
    """scaled_dot_product_attention with our masks (not its `is_causal`, which is aligned top-left when T != S)."""
    check_equal_widths(query, key)
    if allowed is None:
        return F.scaled_dot_product_attention(query, key, value, scale=scale)
    empty = ~allowed.any(-1, keepdim=True)                                  # rows without a key: let them see all, ...
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed | empty, scale=scale)
    return context.masked_fill(empty, 0.0)                                  # ... then drop it: no NaN either way
