"""Attention whose keys and values are two views of the encoder's states. Notebook 08.

    k_j = W_K h_j        v_j = W_V h_j        C_i = Σ_j a_ij v_j,   a_i = softmax of q_i · k_j

In Bahdanau's and Luong's models h_j is both: what is compared is also what is handed on. Here each job has a matrix of
its own, so that a state may be easy to find by one feature and report another (Miller et al. 2016; Daniluk et al. 2017
cut one vector into parts instead). Comparing q · W_K h_j alone is Luong's general score; with a matrix for the queries
too it is one head of notebook 14.
"""

from typing import NamedTuple

from torch import Tensor, nn

from course_utils.attention.dense import DenseAttention, DenseState, check_same_keys
from course_utils.attention.scores import DotScore, xavier
from course_utils.attention.socket import Positions
from course_utils.checks import check_widths


class KeyValueState(NamedTuple):
    """Keys and values, made once for a sentence."""

    dense: DenseState
    value: Tensor                                                           # (B, ..., S, d_value)


class KeyValueAttention(nn.Module):
    """Dense attention with dot products over W_K key and W_V value; the context is `d_value` wide."""

    def __init__(self, d_query: int, d_key: int, d_value: int) -> None:
        super().__init__()
        check_widths(d_query=d_query, d_key=d_key, d_value=d_value)
        self.W_K = xavier(nn.Linear(d_key, d_query, bias=False))
        self.W_V = xavier(nn.Linear(d_value, d_value, bias=False))
        self.dense = DenseAttention(DotScore())

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False,
        state: KeyValueState | None = None,
    ) -> tuple[Tensor, Tensor | None, KeyValueState]:
        if key.shape[-1] != self.W_K.in_features or value.shape[-1] != self.W_V.in_features:
            raise ValueError(
                f"keys are {key.shape[-1]} and values {value.shape[-1]} wide, this plug was built for "
                f"d_key={self.W_K.in_features} and d_value={self.W_V.in_features}"
            )
        if state is not None:
            check_same_keys(state.value, key)
        projected = self.W_K(key) if state is None else state.dense.projected    # (B, ..., S, Dq)
        values = self.W_V(value) if state is None else state.value               # (B, ..., S, Dv)
        context, weights, dense = self.dense(
            query, projected, values, key_mask=key_mask, causal=causal, mask=mask, positions=positions,
            need_weights=need_weights, state=None if state is None else state.dense,
        )
        return context, weights, KeyValueState(dense, values)
