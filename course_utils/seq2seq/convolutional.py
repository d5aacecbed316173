"""ConvS2S: convolutions in encoder and decoder, attention in every decoder layer. Notebook 12; Gehring et al. 2017.

    encoder   z = W z_L, z_0 = W e, z_l = √0.5 (GLU(conv(z_{l-1})) + z_{l-1}), e = word + position; windows centred
    decoder   the same, windows causal, and after each GLU            (g: word + position of the target)
              d_i = √0.5 (W_d h_i + b_d + g_i)      a_ij = softmax_j(d_i · z_j)                          eq. 1
              c_i = √m Σ_j a_ij √0.5 (z_j + e_j)    h_i = √0.5 (h_i + W_c c_i), then the residual        eq. 2

Keys are the encoder's outputs, values these plus what went in: a word with its context, and the word itself. There is
no 1/√d. √m, m the number of source words, undoes what averaging m vectors does to their size (m √(1/m) in the paper).

The sum in d and that in the values are scaled as well, and c has a projection of its own, as in the authors' code.
Their encoder's gradient is divided by the number of attentions; with Adam, which does not see such a factor, we do not.

Training runs over all target words at once. Decoding keeps the last k - 1 inputs of every layer: a step costs one
window a layer, and never more, however long the sentence.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from course_utils.attention.positions import LearnedPositions
from course_utils.attention.socket import Plug
from course_utils.attention.table import make
from course_utils.checks import check_widths
from course_utils.layers.convolution import GatedBlock, joined, scaled, without_pads
from course_utils.seq2seq.attentive import positions as standing
from course_utils.seq2seq.contract import Seq2Seq
from course_utils.text.vocabulary import PAD

POSITIONS = ("both", "source", "target", "none")         # which side's words are told their place


class ConvolutionalMemory(NamedTuple):
    keys: Tensor                                                          # (B, S, d_embedding)
    values: Tensor                                                        # (B, S, d_embedding)
    mask: Tensor                                                          # (B, S) bool, True = a real token


class ConvolutionalState(NamedTuple):
    before: tuple[Tensor, ...]                                            # of each layer (B, k - 1, d_hidden)
    attention: tuple[Any, ...]                                            # what the plugs carry from step to step
    position: Tensor                                                      # (B,) long, words read so far; all rows alike


class ConvolutionalSeq2Seq(Seq2Seq):
    """`n_encoder` and `n_decoder` gated blocks of width d_hidden between words of width d_embedding.

    kernel_size   of all convolutions, odd: one output sees 1 + n (kernel_size - 1) words
    positions     a name in POSITIONS: learned, up to max_length on each side
    attention     a name in PLUGS, or a function that makes a plug from a width: one for each decoder layer, whose
                  queries and keys are d_embedding wide
    weight_norm   weight normalisation of every layer but the embeddings, as in the paper
    dropout       on words and positions, on the input of every convolution and before the output layer

    The contract's attention is the mean over the decoder's layers; `maps` gives each.
    """

    def __init__(
        self, source_size: int, target_size: int, *, d_embedding: int, d_hidden: int, kernel_size: int = 3,
        n_encoder: int = 3, n_decoder: int = 3, positions: str = "both",
        attention: str | Callable[[int], Plug] = "dot", max_length: int = 128, weight_norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            source_size=source_size, target_size=target_size, d_embedding=d_embedding, d_hidden=d_hidden,
            kernel_size=kernel_size, n_encoder=n_encoder, n_decoder=n_decoder, positions=positions,
            attention=attention, max_length=max_length, weight_norm=weight_norm, dropout=dropout,
        )
        check_widths(n_encoder=n_encoder, n_decoder=n_decoder)
        if positions not in POSITIONS:
            raise ValueError(f"unknown positions {positions!r}: one of {', '.join(map(repr, POSITIONS))}")

        def linear(d_in: int, d_out: int, keep: float = 1.0) -> nn.Module:
            return scaled(nn.Linear(d_in, d_out), keep, weight_norm)

        def block(padding: str) -> GatedBlock:
            return GatedBlock(d_hidden, kernel_size, padding, dropout, weight_norm)

        def plug() -> Plug:
            return make(attention, d_embedding) if isinstance(attention, str) else attention(d_embedding)

        keep = 1.0 - dropout
        self.source_embedding, self.target_embedding = (_words(n, d_embedding) for n in (source_size, target_size))
        self.source_positions = _places(max_length, d_embedding) if positions in ("both", "source") else None
        self.target_positions = _places(max_length, d_embedding) if positions in ("both", "target") else None
        self.encoder_in, self.encoder_out = linear(d_embedding, d_hidden, keep), linear(d_hidden, d_embedding)
        self.encoder = nn.ModuleList(block("centred") for _ in range(n_encoder))
        self.decoder_in, self.decoder_out = linear(d_embedding, d_hidden, keep), linear(d_hidden, d_embedding)
        self.decoder = nn.ModuleList(AttentiveBlock(
            block("causal"), linear(d_hidden, d_embedding), plug(), linear(d_embedding, d_hidden)
        ) for _ in range(n_decoder))
        self.output = linear(d_embedding, target_size, keep)
        self.dropout, self.output_dropout = nn.Dropout(dropout), nn.Dropout(dropout)

    def encode(self, source: Tensor) -> ConvolutionalMemory:
        mask = self.check_source(source)
        where = torch.arange(source.shape[1], device=source.device)
        e = self._embedded(self.source_embedding, self.source_positions, source, where)         # (B, S, E)
        z = self.encoder_in(e)                                            # (B, S, D)
        for block in self.encoder:
            z = block(z, mask)
        keys = self.encoder_out(z)                                        # (B, S, E)
        return ConvolutionalMemory(without_pads(keys, mask), without_pads(joined(keys, e), mask), mask)

    def start(self, memory: ConvolutionalMemory) -> ConvolutionalState:
        n = len(memory.mask)
        before = tuple(layer.block.convolution.start(n) for layer in self.decoder)
        return ConvolutionalState(before, (None,) * len(before), memory.mask.new_zeros(n, dtype=torch.long))

    def step(
        self, token: Tensor, state: ConvolutionalState, memory: ConvolutionalMemory
    ) -> tuple[Tensor, ConvolutionalState, Tensor | None]:
        self.check_token(token)
        logits, state, maps = self._decode(token.unsqueeze(1), state, memory, need_weights=True)
        weights = mean_map(maps)
        return logits.squeeze(1), state, None if weights is None else weights.squeeze(1)

    def forward(
        self, source: Tensor, target_in: Tensor, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor | None]:
        memory = self.encode(source)
        self.check_target(source, target_in)
        logits, _, maps = self._decode(target_in, self.start(memory), memory, need_weights)
        return (logits, mean_map(maps)) if need_weights else logits

    @torch.no_grad()
    def maps(self, source: Tensor, target_in: Tensor) -> Tensor:
        """Every decoder layer's weights while the target is read by teacher forcing: (L, B, T, S)."""
        memory = self.encode(source)
        self.check_target(source, target_in)
        return torch.stack(self._decode(target_in, self.start(memory), memory, need_weights=True)[2])

    def _decode(
        self, tokens: Tensor, state: ConvolutionalState, memory: ConvolutionalMemory, need_weights: bool
    ) -> tuple[Tensor, ConvolutionalState, list[Tensor | None]]:
        """(B, T) tokens, read after those that led to `state` -> logits (B, T, V), state, each layer's map."""
        stand = standing(state.position, tokens.shape[1], memory.mask.shape[1])
        g = self._embedded(self.target_embedding, self.target_positions, tokens, stand[0])      # (B, T, E)
        h, carried = self.decoder_in(g), []                               # (B, T, D)
        for layer, before, kept in zip(self.decoder, state.before, state.attention, strict=True):
            h, *new = layer(h, g, memory, before, kept, stand, need_weights)
            carried.append(new)
        before, kept, maps = (list(parts) for parts in zip(*carried, strict=True))
        logits = self.output(self.output_dropout(self.decoder_out(h)))    # (B, T, V)
        return logits, ConvolutionalState(tuple(before), tuple(kept), state.position + tokens.shape[1]), maps

    def _embedded(self, table: nn.Embedding, places: LearnedPositions | None, ids: Tensor, where: Tensor) -> Tensor:
        x = table(ids)
        return self.dropout(x if places is None else x + places(where))


class AttentiveBlock(nn.Module):
    """One decoder layer: a gated convolution, a look at the source, and the residual connection around both."""

    def __init__(self, block: GatedBlock, query: nn.Module, attention: Plug, context: nn.Module) -> None:
        super().__init__()
        self.block, self.query, self.attention, self.context = block, query, attention, context

    def forward(
        self, h: Tensor, g: Tensor, memory: ConvolutionalMemory, before: Tensor, kept: Any,
        stand: tuple[Tensor, Tensor], need_weights: bool,
    ) -> tuple[Tensor, Tensor, Any, Tensor | None]:
        """h (B, T, D), words g (B, T, E), after `before` (B, k-1, D) -> h, before, kept, weights (B, T, S) | None."""
        moved, before = self.block.step(h, before)                        # (B, T, D)
        c, weights, kept = self.attention(
            joined(self.query(moved), g), memory.keys, memory.values, key_mask=memory.mask, positions=stand,
            need_weights=need_weights, state=kept,
        )                                                                 # (B, T, E)
        c = c * memory.mask.sum(1).to(c).sqrt()[:, None, None]               # times √m
        return joined(joined(moved, self.context(c)), h), before, kept, weights


def mean_map(maps: list[Tensor | None]) -> Tensor | None:
    """The mean over layers of (B, T, S) weights; None if the plugs make none."""
    return None if maps[0] is None else torch.stack(maps).mean(0)


def _words(size: int, width: int) -> nn.Embedding:
    """Word vectors from N(0, 0.1²), as in the paper; PAD's is zero and stays so."""
    check_widths(size=size, d_embedding=width)
    table = nn.Embedding(size, width, padding_idx=PAD)
    nn.init.normal_(table.weight, std=0.1)
    table.weight.data[PAD] = 0.0
    return table


def _places(max_length: int, width: int) -> LearnedPositions:
    places = LearnedPositions(max_length, width)
    nn.init.normal_(places.table, std=0.1)
    return places
