"""Transformer-XL: a language model that reads segment by segment and remembers. Notebook 23; Dai et al. 2019.

    h~ = [stop-gradient(m^{l-1}); h^{l-1}]      q = h^{l-1} W_Q      k, v = h~ W_K, h~ W_V       section 3.2

Each layer remembers what it was given for the last `memory` words, without gradient. A layer adds `memory` words of
reach, so L layers reach L · memory back; read in one piece or in segments, or a word at a time, the numbers are the
same as long as the memory holds all before. The state has the shape of notebook 04's, so `Streams`, `streams_loss` and
`total_nll` of language_model.py train and measure this model too.
"""

import math

import torch
from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.attention.xl import XLAttention
from course_utils.checks import check_widths
from course_utils.layers.blocks import FeedForward, Residual
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.layers.recurrent import RecurrentState
from course_utils.text.vocabulary import SPECIALS


class XLBlock(nn.Module):
    """Causal self-attention over memory and segment, then feed-forward."""

    def __init__(self, d_model: int, n_heads: int, d_ff: int, norm: str, dropout: float) -> None:
        super().__init__()
        check_widths(d_model=d_model, n_heads=n_heads)
        self.attention = MultiHeadAttention(d_model, n_heads, XLAttention(n_heads, d_model // n_heads))
        self.feed_forward = FeedForward(d_model, d_ff, dropout=dropout)
        self.residuals = nn.ModuleList(Residual(d_model, norm, dropout) for _ in range(2))

    def forward(self, x: Tensor, memory: Tensor, need_weights: bool = False) -> tuple[Tensor, Tensor | None]:
        """x (B, T, D) after memory (B, M, D) -> (B, T, D), weights (B, H, T, M + T) | None."""
        attending, feeding = self.residuals
        known = attending.before(torch.cat([memory, x], 1))               # (B, M + T, D)
        change, weights, _ = self.attention(
            known[:, memory.shape[1] :], known, known, causal=True, need_weights=need_weights
        )
        x = attending.after(x, change)
        return feeding.after(x, self.feed_forward(feeding.before(x))), weights


class TransformerXL(nn.Module):
    """Ids to the logits of the id that follows. `memory` words of every layer's input are kept; change it at will."""

    def __init__(
        self, vocabulary_size: int, d_model: int = 128, n_heads: int = 4, n_layers: int = 4, d_ff: int | None = None,
        memory: int = 64, norm: str = "pre", dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if vocabulary_size <= len(SPECIALS):
            raise ValueError(f"vocabulary_size={vocabulary_size} leaves no room beside the {len(SPECIALS)} specials.")
        check_widths(d_model=d_model, n_layers=n_layers)
        if memory < 0:
            raise ValueError(f"memory={memory}: use 0 or more words.")
        self.hparams = dict(
            vocabulary_size=vocabulary_size, d_model=d_model, n_heads=n_heads, n_layers=n_layers, d_ff=d_ff,
            memory=memory, norm=norm, dropout=dropout,
        )
        self.memory = memory
        self.embedding = nn.Embedding(vocabulary_size, d_model)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)
        self.blocks = nn.ModuleList(
            XLBlock(d_model, n_heads, d_ff or 4 * d_model, norm, dropout) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(d_model) if norm == "pre" else nn.Identity()
        self.output = xavier(nn.Linear(d_model, vocabulary_size))
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, state: RecurrentState | None = None) -> tuple[Tensor, RecurrentState]:
        """ids (B, T), the state left by the words before (None: nothing) -> logits (B, T, V), the state to go on with.

        `state.hidden` is (B, L, M, D): for each layer its input at the last M words, M <= memory.
        """
        logits, state, _ = self.read(ids, state)
        return logits, state

    def read(
        self, ids: Tensor, state: RecurrentState | None = None, need_weights: bool = False
    ) -> tuple[Tensor, RecurrentState, list[Tensor | None]]:
        """The same, and every layer's weights (B, H, T, M + T) if asked for."""
        if ids.ndim != 2 or 0 in ids.shape:
            raise ValueError(f"ids of shape {tuple(ids.shape)}: needed are (B, T), at least one id each.")
        x = self.dropout(self.embedding(ids) * math.sqrt(self.embedding.embedding_dim))       # (B, T, D)
        kept = x.new_zeros(len(x), len(self.blocks), 0, x.shape[-1]) if state is None else state.hidden
        if kept.shape[:2] != (len(x), len(self.blocks)):
            raise ValueError(
                f"a memory of {kept.shape[1]} layers and {kept.shape[0]} rows does not fit {len(self.blocks)} layers "
                f"and {len(x)} rows; pass state=None at the beginning of a text."
            )
        given, maps = [], []
        for block, memory in zip(self.blocks, kept.unbind(1), strict=True):
            given.append(x.detach())
            x, weights = block(x, memory, need_weights)
            maps.append(weights)
        seen = torch.cat([kept, torch.stack(given, 1)], 2)                # (B, L, M + T, D)
        state = RecurrentState(seen[:, :, max(0, seen.shape[2] - self.memory) :])
        return self.output(self.norm(x)), state, maps
