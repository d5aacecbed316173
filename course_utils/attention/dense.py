"""Dense attention, the first plug of the socket, and the table of all plugs. Notebooks 07, 08 and 13.

C_i = Σ_j a_ij v_j with a_i = softmax over the keys of score(q_i, k_j): Bahdanau, Cho, Bengio 2015, eq. 5-6;
Vaswani et al. 2017, eq. 1. How a plug is called, with all shapes, stands in `course_utils/attention/socket.py`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.scores import AdditiveScore, DotScore, GeneralScore, ScaledDotScore, Score
from course_utils.attention.socket import Plug, Positions, allowed_pairs, check_socket, masked_softmax
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
        projected = self._projected(key, state)
        allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=mask, positions=positions)
        scale = None if need_weights else self.score.dot_scale(query)
        if scale is not None:
            return _fused(query, projected, value, allowed, scale), None, DenseState(projected)
        weights = masked_softmax(self.score.compare(query, projected), allowed)     # (B, ..., T, S)
        return weights @ value, weights if need_weights else None, DenseState(projected)

    def _projected(self, key: Tensor, state: DenseState | None) -> Tensor:
        if state is None:
            return self.score.project_key(key)
        if state.projected.shape[:-1] != key.shape[:-1]:
            raise ValueError(
                f"the state was made over keys {tuple(state.projected.shape[:-1])}, these are {tuple(key.shape[:-1])}: "
                f"pass state=None when the keys have changed, take_rows(state, rows) when only the rows have"
            )
        return state.projected


def _fused(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None, scale: float) -> Tensor:
    """scaled_dot_product_attention with our masks (not its `is_causal`, which is aligned top-left when T != S)."""
    check_equal_widths(query, key)
    if allowed is None:
        return F.scaled_dot_product_attention(query, key, value, scale=scale)
    empty = ~allowed.any(-1, keepdim=True)                                  # rows without a key: let them see all, ...
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed | empty, scale=scale)
    return context.masked_fill(empty, 0.0)                                  # ... then drop it: no NaN either way


class SteeredAttention(nn.Module):
    """A plug around a plug whose weights are changed by hand before they are used: does the output follow?

    `edit(weights (B, ..., T, S), positions) -> weights` of the same shape; `positions` as the socket got them, so that
    an edit can find its target word while decoding step by step too. Notebook 07.
    """

    def __init__(self, plug: Plug, edit: Callable[[Tensor, Positions | None], Tensor]) -> None:
        super().__init__()
        self.plug, self.edit = plug, edit

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, positions: Positions | None = None,
        need_weights: bool = False, **others: Any,
    ) -> tuple[Tensor, Tensor | None, Any]:
        _, weights, state = self.plug(query, key, value, positions=positions, need_weights=True, **others)
        if weights is None:
            raise ValueError(f"{type(self.plug).__name__} has no map of weights, so it cannot be steered")
        edited = self.edit(weights, positions)
        if edited.shape != weights.shape:
            raise ValueError(f"edit must keep the weights' shape {tuple(weights.shape)}, it gave {tuple(edited.shape)}")
        return edited @ value, edited if need_weights else None, state


PLUGS: dict[str, Callable[[int, int, int], Plug]] = {       # name -> factory(d_query, d_key, d_attention)
    "additive": lambda d_query, d_key, d_attention: DenseAttention(AdditiveScore(d_query, d_key, d_attention)),
    "dot": lambda d_query, d_key, d_attention: DenseAttention(DotScore()),
    "scaled_dot": lambda d_query, d_key, d_attention: DenseAttention(ScaledDotScore()),
    "general": lambda d_query, d_key, d_attention: DenseAttention(GeneralScore(d_query, d_key)),
}


def make_plug(attention: Plug | str, d_query: int, d_key: int, d_attention: int) -> Plug:
    """A plug from its name in PLUGS (or the plug itself, unchanged)."""
    if not isinstance(attention, str):
        return attention
    if attention not in PLUGS:
        raise ValueError(f"unknown attention {attention!r}: one of {', '.join(PLUGS)}, or a plug of your own")
    return PLUGS[attention](d_query, d_key, d_attention)


def plug_name(attention: Plug | str) -> str:
    """How a checkpoint calls this plug: plain text."""
    if isinstance(attention, str):
        return attention
    score = getattr(attention, "score", None)
    return type(attention).__name__ + (f"({type(score).__name__})" if score is not None else "")
