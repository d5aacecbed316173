"""Multi-head attention around any plug of the socket. Notebooks 14 and 16; Vaswani et al. 2017, section 3.2.2.

    head_i = plug(X W_Q^i, Z W_K^i, Z W_V^i)        output = [head_1; ...; head_H] W_O

A multi-head layer is called like a plug itself (socket.py), with one more dimension of weights. Its parameters lie as
those of `nn.MultiheadAttention`: one matrix [W_Q; W_K; W_V], whose rows are cut into heads after the projection.
"""

from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.positions import RotaryPositions
from course_utils.attention.scores import xavier
from course_utils.attention.socket import Plug, Positions, places
from course_utils.attention.table import make
from course_utils.checks import check_widths


class KeyValues(NamedTuple):
    """Keys and values, projected and cut into heads: what a decoder keeps instead of computing it again."""

    key: Tensor                                                           # (B, H, S, d)
    value: Tensor                                                         # (B, H, S, d)


class MultiHeadAttention(nn.Module):
    """H heads of width d = d_model / H, each with its own three projections, mixed by W_O.

    `attention`: a plug, or a name in PLUGS. It gets queries, keys and values as (B, H, T, d), so one additive score is
    shared by all heads. `rotary` turns queries and keys by where they stand (see positions.py).
    """

    def __init__(
        self, d_model: int, n_heads: int, attention: Plug | str = "scaled_dot", bias: bool = True,
        rotary: RotaryPositions | None = None,
    ) -> None:
        super().__init__()
        check_widths(d_model=d_model, n_heads=n_heads)
        if d_model % n_heads:
            near = max(h for h in range(1, n_heads) if d_model % h == 0)
            raise ValueError(f"d_model={d_model} cannot be cut into n_heads={n_heads} equal heads: use {near} heads")
        self.d_model, self.n_heads, self.d_head = d_model, n_heads, d_model // n_heads
        self.plug = make(attention, self.d_head, n_heads)
        self.rotary = rotary
        self.in_proj = nn.Linear(d_model, 3 * d_model, bias=bias)
        for part in self.in_proj.weight.data.split(d_model):              # each projection by itself, not as one matrix
            nn.init.xavier_uniform_(part)
        self.out_proj = xavier(nn.Linear(d_model, d_model, bias=bias))
        if bias:
            nn.init.zeros_(self.in_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False, state: Any = None,
    ) -> tuple[Tensor, Tensor | None, Any]:
        """(B, T, D), (B, S, D), (B, S, D) -> output (B, T, D), weights (B, H, T, S) | None, the plug's state."""
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.ndim != 3 or x.shape[-1] != self.d_model:
                raise ValueError(f"{name} must be (batch, length, d_model={self.d_model}), got {tuple(x.shape)}")
        where = positions or places(query.shape[1], key.shape[1], query.device)
        if query is key is value:
            q, k, v = self.project(query, "qkv", where[0])
        else:
            (q,) = self.project(query, "q", where[0])
            k, v = self.project(key, "kv", where[1]) if key is value else (
                self.project(key, "k", where[1]) + self.project(value, "v")
            )
        return self.attend(
            q, KeyValues(k, v), key_mask=key_mask, causal=causal, mask=mask, positions=positions,
            need_weights=need_weights, state=state,
        )

    def project(self, x: Tensor, parts: str, where: Tensor | None = None) -> tuple[Tensor, ...]:
        """(B, T, D) -> one (B, H, T, d) for each letter of `parts`: "q", "k", "v", "kv" or "qkv".

        `where` (T,) says where the words stand; only rotary positions use it.
        """
        first, last = "qkv".index(parts[0]) * self.d_model, ("qkv".index(parts[-1]) + 1) * self.d_model
        bias = None if self.in_proj.bias is None else self.in_proj.bias[first:last]
        projected = F.linear(x, self.in_proj.weight[first:last], bias)                          # (B, T, n D)
        heads = projected.unflatten(-1, (len(parts), self.n_heads, self.d_head))                # (B, T, n, H, d)
        found = heads.permute(2, 0, 3, 1, 4).unbind(0)                                          # n times (B, H, T, d)
        if self.rotary is None:
            return found
        return tuple(x if part == "v" else self.rotary(x, where) for part, x in zip(parts, found, strict=True))

    def attend(
        self, query: Tensor, keys_values: KeyValues, **call: Any,
    ) -> tuple[Tensor, Tensor | None, Any]:
        """Projected queries (B, H, T, d) look at projected keys: output (B, T, D), weights (B, H, T, S) | None, state.

        `call`: the socket's keywords, which the plug gets as they are.
        """
        context, weights, state = self.plug(query, *keys_values, **call)
        return self.out_proj(context.transpose(1, 2).flatten(2)), weights, state
