"""The Transformer: encoder and decoder without recurrence. Notebooks 16 and 17; Vaswani et al. 2017.

Training runs over all target words at once, masked causally; decoding one word at a time keeps every layer's keys and
values (`TransformerState`), so that a step costs one word, not the whole prefix. Both are the same function, and keep
the sequence-to-sequence contract of seq2seq.py.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from course_utils.attention.scores import xavier
from course_utils.attention.socket import Plug
from course_utils.attention.table import make
from course_utils.checks import check_widths
from course_utils.layers.blocks import DecoderBlock, EncoderBlock, FeedForward
from course_utils.layers.multihead import KeyValues, MultiHeadAttention
from course_utils.seq2seq.contract import Seq2Seq
from course_utils.text.vocabulary import PAD

POSITIONS: dict[str, str] = {        # name -> what it does; none of them acts in cross-attention (see positions.py)
    "none": "nothing: the encoder sees a bag of words",
    "sinusoidal": "added to the word vectors of encoder and decoder, interleaved",
    "sinusoidal_halves": "the same, sines first",
    "learned": "added to the word vectors of encoder and decoder, up to max_length",
    "shaw": "distance vectors on keys and values of both self-attentions",
    "rotary": "turns queries and keys of both self-attentions",
    "alibi": "a penalty on the distance in both self-attentions; only for scaled dot products",
}
TIES = ("none", "decoder", "all")


class TransformerMemory(NamedTuple):
    """What the decoder knows of the source."""

    encoded: Tensor                                                       # (B, S, D)
    mask: Tensor                                                          # (B, S) bool, True = a real token
    layers: tuple[KeyValues, ...]                                         # for each decoder block: (B, H, S, d) twice


class TransformerState(NamedTuple):
    """What the decoder keeps of the words it has read."""

    caches: tuple[KeyValues | None, ...]                                  # for each block: (B, H, t, d) twice
    position: Tensor                                                      # (B,) long, words read so far; all rows alike


class Maps(NamedTuple):
    """All attention weights of one call, layers first."""

    encoder: Tensor                                                       # (L, B, H, S, S)
    decoder: Tensor                                                       # (L, B, H, T, T)
    cross: Tensor                                                         # (L, B, H, T, S)


class Transformer(Seq2Seq):
    """Encoder-decoder with `n_layers` blocks each.

    norm        "pre" or "post" (blocks.py); with "pre" both stacks end in one more LayerNorm
    positions   a name in POSITIONS
    attention   plug of the self-attentions (a name in PLUGS, or a function that makes one from a head's width); a plug
                with a column for each position gets max_length of them; the
                cross-attention is always a scaled dot product. shaw and alibi are plugs themselves.
    tie         "decoder": the target embedding is also the output layer (Press and Wolf 2017); "all": the source's
                too, which needs one vocabulary for both (Vaswani et al. 2017, section 3.4)
    dropout     on the sum of embedding and position, on every sublayer's output and inside the feed-forward

    The contract's attention is the mean over the heads of the last block's cross-attention; `maps` gives all.
    """

    def __init__(
        self, source_size: int, target_size: int, *, d_model: int, n_heads: int = 4, n_layers: int = 2,
        d_ff: int | None = None, norm: str = "pre", positions: str = "sinusoidal",
        attention: str | Callable[[int], Plug] = "scaled_dot", activation: str = "relu", max_length: int = 128,
        tie: str = "none", dropout: float = 0.0,
    ) -> None:
        d_ff = 4 * d_model if d_ff is None else d_ff
        super().__init__(
            source_size=source_size, target_size=target_size, d_model=d_model, n_heads=n_heads, n_layers=n_layers,
            d_ff=d_ff, norm=norm, positions=positions, attention=attention, activation=activation,
            max_length=max_length, tie=tie, dropout=dropout,
        )
        check_widths(n_layers=n_layers)
        _check_choices(positions, tie, attention, source_size, target_size)
        heads = dict(d_model=d_model, n_heads=n_heads)

        def own() -> MultiHeadAttention:
            rotary = RotaryPositions(d_model // n_heads) if positions == "rotary" else None
            plug = _plug(positions, attention, max_length, **heads)
            return MultiHeadAttention(**heads, attention=plug, rotary=rotary)

        def feed() -> FeedForward:
            return FeedForward(d_model, d_ff, activation, dropout)

        self.source_embedding = word_vectors(source_size, d_model)
        self.target_embedding = self.source_embedding if tie == "all" else word_vectors(target_size, d_model)
        self.positions = _added(positions, d_model, max_length)
        self.encoder = nn.ModuleList(EncoderBlock(own(), feed(), norm, dropout) for _ in range(n_layers))
        self.decoder = nn.ModuleList(
            DecoderBlock(own(), MultiHeadAttention(**heads), feed(), norm, dropout) for _ in range(n_layers)
        )
        self.encoder_norm, self.decoder_norm = (
            nn.LayerNorm(d_model) if norm == "pre" else nn.Identity() for _ in range(2)
        )
        self.output = xavier(nn.Linear(d_model, target_size)) if tie == "none" else None
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor) -> TransformerMemory:
        return self._encode(source, need_weights=False)[0]

    def start(self, memory: TransformerMemory) -> TransformerState:
        return TransformerState((None,) * len(self.decoder), memory.mask.new_zeros(len(memory.mask), dtype=torch.long))

    def step(
        self, token: Tensor, state: TransformerState, memory: TransformerMemory
    ) -> tuple[Tensor, TransformerState, Tensor]:
        self.check_token(token)
        logits, state, _, cross = self._decode(token.unsqueeze(1), state, memory, need_weights=True)
        return logits.squeeze(1), state, cross[-1].mean(1).squeeze(1)

    def forward(self, source: Tensor, target_in: Tensor, need_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        memory = self.encode(source)
        self.check_target(source, target_in)
        logits, _, _, cross = self._decode(target_in, self.start(memory), memory, need_weights)
        return (logits, cross[-1].mean(1)) if need_weights else logits

    @torch.no_grad()
    def maps(self, source: Tensor, target_in: Tensor) -> Maps:
        """Every head's weights while the target is read by teacher forcing."""
        memory, encoder = self._encode(source, need_weights=True)
        self.check_target(source, target_in)
        _, _, decoder, cross = self._decode(target_in, self.start(memory), memory, need_weights=True)
        return Maps(torch.stack(encoder), torch.stack(decoder), torch.stack(cross))

    def _encode(self, source: Tensor, need_weights: bool) -> tuple[TransformerMemory, list[Tensor | None]]:
        mask = self.check_source(source)
        where = torch.arange(source.shape[1], device=source.device)
        x, maps = self._embedded(self.source_embedding, source, where), []
        for block in self.encoder:
            x, weights = block(x, mask, (where, where), need_weights=need_weights)              # (B, S, D)
            maps.append(weights)
        x = self.encoder_norm(x)
        layers = tuple(KeyValues(*block.cross_attention.project(x, "kv")) for block in self.decoder)
        return TransformerMemory(x, mask, layers), maps

    def _decode(
        self, tokens: Tensor, state: TransformerState, memory: TransformerMemory, need_weights: bool
    ) -> tuple[Tensor, TransformerState, list[Tensor | None], list[Tensor | None]]:
        """(B, T) tokens, read after those that led to `state` -> logits (B, T, V), state, maps of both attentions."""
        after = state.position + tokens.shape[1]
        keys = torch.arange(int(after[0]), device=tokens.device)
        queries = keys[len(keys) - tokens.shape[1] :]
        y, caches, maps = self._embedded(self.target_embedding, tokens, queries), [], []
        for block, keys_values, cache in zip(self.decoder, memory.layers, state.caches, strict=True):
            y, cache, weights = block(y, keys_values, memory.mask, (queries, keys), cache, need_weights)
            caches.append(cache)
            maps.append(weights)
        logits = self._logits(self.decoder_norm(y))                       # (B, T, V)
        own, cross = (list(found) for found in zip(*maps, strict=True))
        return logits, TransformerState(tuple(caches), after), own, cross

    def _embedded(self, table: nn.Embedding, ids: Tensor, where: Tensor) -> Tensor:
        x = table(ids) * math.sqrt(self.hparams["d_model"])               # (B, T, D), entries of size 1
        if self.positions is not None:
            x = x + self.positions(where).to(x.dtype)
        return self.dropout(x)

    def _logits(self, y: Tensor) -> Tensor:
        if self.output is not None:
            return self.output(y)
        weight = self.target_embedding.weight                             # tied: but nothing is learnt about PAD
        return F.linear(y, weight.masked_fill(torch.arange(len(weight), device=y.device).unsqueeze(1) == PAD, 0.0))


def word_vectors(size: int, d_model: int) -> nn.Embedding:
    """Word vectors from N(0, 1/d_model), so that times sqrt(d_model) they have entries of size 1; PAD's is zero."""
    check_widths(size=size, d_model=d_model)
    table = nn.Embedding(size, d_model, padding_idx=PAD)
    nn.init.normal_(table.weight, std=d_model**-0.5)
    table.weight.data[PAD] = 0.0
    return table


def _added(positions: str, d_model: int, max_length: int) -> nn.Module | None:
    """The module whose vectors are added to the words, if this scheme has one."""
    if positions == "learned":
        return LearnedPositions(max_length, d_model)
    layouts = {"sinusoidal": "interleaved", "sinusoidal_halves": "halves"}
    return SinusoidalPositions(d_model, layouts[positions]) if positions in layouts else None


def _plug(
    positions: str, attention: str | Callable[[int], Plug], longest: int, d_model: int, n_heads: int
) -> Plug:
    """A new plug for one self-attention; shaw and alibi are plugs themselves."""
    name = positions if positions in ("shaw", "alibi") else attention
    return make(name, d_model // n_heads, n_heads, longest) if isinstance(name, str) else name(d_model // n_heads)


def _check_choices(positions: str, tie: str, attention, source_size: int, target_size: int) -> None:
    if positions not in POSITIONS:
        raise ValueError(f"unknown positions {positions!r}: one of {', '.join(map(repr, POSITIONS))}")
    if positions in ("shaw", "alibi") and attention != "scaled_dot":
        raise ValueError(f"positions={positions!r} brings its own scores: leave attention at 'scaled_dot'")
    if tie not in TIES:
        raise ValueError(f"unknown tie {tie!r}: one of {', '.join(map(repr, TIES))}")
    if tie == "all" and source_size != target_size:
        raise ValueError(
            f"tie='all' needs one vocabulary for both languages, these have {source_size} and {target_size} words: "
            f"build it over both, or use tie='decoder'"
        )
