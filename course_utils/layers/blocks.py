"""The blocks of a Transformer: feed-forward, and attention and feed-forward in residual branches. Notebooks 16 and 17.

    post-norm   x = LayerNorm(x + f(x))         Vaswani et al. 2017, section 3.1
    pre-norm    x = x + f(LayerNorm(x))         then one more LayerNorm after the last block (Xiong et al. 2020)

A block is made of sublayers; each is one `Residual`, which alone knows where the norm stands.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.attention.socket import Positions
from course_utils.checks import check_widths
from course_utils.layers.multihead import KeyValues, MultiHeadAttention

NORMS = ("pre", "post")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class FeedForward(nn.Module):
    """max(0, x W_1 + b_1) W_2 + b_2 for every word by itself (Vaswani et al. 2017, eq. 2): two 1x1 convolutions."""

    def __init__(self, d_model: int, d_ff: int, activation: str = "relu", dropout: float = 0.0) -> None:
        super().__init__()
        check_widths(d_model=d_model, d_ff=d_ff)
        if activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {activation!r}: one of {', '.join(map(repr, ACTIVATIONS))}")
        self.activation = activation
        self.inner, self.outer = xavier(nn.Linear(d_model, d_ff)), xavier(nn.Linear(d_ff, d_model))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return self.outer(self.dropout(ACTIVATIONS[self.activation](self.inner(x))))


class Residual(nn.Module):
    """One branch around a sublayer, with its LayerNorm before or after."""

    def __init__(self, d_model: int, norm: str, dropout: float = 0.0) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"unknown norm {norm!r}: one of {', '.join(map(repr, NORMS))}")
        self.pre, self.norm, self.dropout = norm == "pre", nn.LayerNorm(d_model), nn.Dropout(dropout)

    def before(self, x: Tensor) -> Tensor:
        """What the sublayer reads."""
        return self.norm(x) if self.pre else x

    def after(self, x: Tensor, change: Tensor) -> Tensor:
        """The stream with the sublayer's change added."""
        x = x + self.dropout(change)
        return x if self.pre else self.norm(x)


class EncoderBlock(nn.Module):
    """Self-attention, then feed-forward."""

    def __init__(self, attention: MultiHeadAttention, feed_forward: FeedForward, norm: str, dropout: float) -> None:
        super().__init__()
        self.attention, self.feed_forward = attention, feed_forward
        self.residuals = nn.ModuleList(Residual(attention.d_model, norm, dropout) for _ in range(2))

    def forward(
        self, x: Tensor, mask: Tensor | None = None, positions: Positions | None = None, causal: bool = False,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """x (B, S, D), mask (B, S) True on real words -> (B, S, D), weights (B, H, S, S) | None."""
        attending, feeding = self.residuals
        h = attending.before(x)
        change, weights, _ = self.attention(
            h, h, h, key_mask=mask, causal=causal, positions=positions, need_weights=need_weights
        )
        x = attending.after(x, change)
        return feeding.after(x, self.feed_forward(feeding.before(x))), weights


class DecoderBlock(nn.Module):
    """Masked self-attention, cross-attention (queries from here, keys and values from the encoder), feed-forward."""

    def __init__(
        self, self_attention: MultiHeadAttention, cross_attention: MultiHeadAttention, feed_forward: FeedForward,
        norm: str, dropout: float,
    ) -> None:
        super().__init__()
        self.self_attention, self.cross_attention = self_attention, cross_attention
        self.feed_forward = feed_forward
        self.residuals = nn.ModuleList(Residual(self_attention.d_model, norm, dropout) for _ in range(3))

    def forward(
        self, y: Tensor, memory: KeyValues, memory_mask: Tensor, positions: Positions, cache: KeyValues | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, KeyValues, tuple[Tensor | None, Tensor | None]]:
        """y (B, T, D), the words after those in `cache` -> (B, T, D), keys and values of all so far, the two maps."""
        looking_back, crossing, feeding = self.residuals
        q, k, v = self.self_attention.project(looking_back.before(y), "qkv", positions[0])
        so_far = KeyValues(k, v) if cache is None else KeyValues(*map(_append, cache, (k, v)))
        change, own, _ = self.self_attention.attend(
            q, so_far, causal=True, positions=positions, need_weights=need_weights
        )
        y = looking_back.after(y, change)
        (q,) = self.cross_attention.project(crossing.before(y), "q")
        change, crossed, _ = self.cross_attention.attend(q, memory, key_mask=memory_mask, need_weights=need_weights)
        y = crossing.after(y, change)
        return feeding.after(y, self.feed_forward(feeding.before(y))), so_far, (own, crossed)


def _append(before: Tensor, new: Tensor) -> Tensor:
    return torch.cat([before, new], 2)                                    # (B, H, t + T, d)
