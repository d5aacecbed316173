"""A tagger made of self-attention alone, with or without positions. Notebook 13, and notebook 15 again.

Every word looks at every word of its own sentence: queries, keys and values are three projections of the same vectors
(the encoder of Vaswani et al. 2017, section 3.1). Without positions the tags follow the words wherever they are put:
the tagger reads a bag. It is called as the taggers of tagger.py are, so their batches, scores and `predict` serve it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from course_utils.attention.dense import DenseAttention
from course_utils.attention.positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from course_utils.attention.scores import Score, xavier
from course_utils.checks import check_widths
from course_utils.corpora.pair import Pair
from course_utils.layers.blocks import EncoderBlock, FeedForward
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.models.tagger import TagScores, checked_mask, tag_scores
from course_utils.text.vocabulary import PAD

ADDED: dict[str, Callable[[int, int], nn.Module]] = {     # name -> positions added to the words, of (d_model, length)
    "sinusoidal": lambda d_model, length: SinusoidalPositions(d_model),
    "sinusoidal_halves": lambda d_model, length: SinusoidalPositions(d_model, "halves"),
    "learned": lambda d_model, length: LearnedPositions(length, d_model),
}
SCORED = ("shaw", "alibi")                                # plugs that see distances
POSITIONS = ("none", *ADDED, *SCORED, "rotary")           # the names of the Transformer's POSITIONS


class EqualScore(Score):
    """Every key scores 0, so that the softmax is a plain mean: the control without which nobody knows whether a model
    needs attention, or only the bag of the other words."""

    def compare(self, query: Tensor, projected: Tensor) -> Tensor:
        return query.new_zeros(*query.shape[:-1], projected.shape[-2])                # (B, ..., T, S)


class AttentionTagger(nn.Module):
    """One label a word, from `n_layers` encoder blocks.

    positions   "none": a bag of words; the others as in seq2seq/transformer.py
    causal      a word sees itself and the words before it only: then the order is not lost entirely
    max_length  longest sentence of "learned" positions
    norm        "pre" (then one more LayerNorm after the last block) or "post"
    equal       True: no word is looked at more than another (`EqualScore`); not with positions that act on scores
    """

    def __init__(
        self, n_words: int, n_tags: int, d_model: int = 64, n_heads: int = 1, n_layers: int = 1,
        d_ff: int | None = None, positions: str = "none", causal: bool = False, max_length: int = 64,
        norm: str = "pre", dropout: float = 0.0, equal: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        check_widths(n_words=n_words, n_tags=n_tags, d_model=d_model, n_heads=n_heads, n_layers=n_layers)
        if positions not in POSITIONS:
            raise ValueError(f"unknown positions {positions!r}: one of {', '.join(map(repr, POSITIONS))}.")
        if equal and positions in (*SCORED, "rotary"):
            raise ValueError(f"equal=True leaves no score for positions={positions!r} to act on: use \"none\".")
        d_ff = 2 * d_model if d_ff is None else d_ff
        self.hparams = dict(n_words=n_words, n_tags=n_tags, d_model=d_model, n_heads=n_heads, n_layers=n_layers,
                            d_ff=d_ff, positions=positions, causal=causal, max_length=max_length, norm=norm,
                            dropout=dropout, **({"equal": True} if equal else {}))  # fmt: skip
        self.causal = causal
        self.embedding = nn.Embedding(n_words, d_model, padding_idx=PAD)
        self.positions = ADDED[positions](d_model, max_length) if positions in ADDED else None
        self.blocks = nn.ModuleList(
            EncoderBlock(_attention(d_model, n_heads, positions, equal), FeedForward(d_model, d_ff, "relu", dropout),
                         norm, dropout)
            for _ in range(n_layers)
        )  # fmt: skip
        self.norm = nn.LayerNorm(d_model) if norm == "pre" else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.output = xavier(nn.Linear(d_model, n_tags))

    def forward(self, source: Tensor, target_in: Tensor | None = None) -> Tensor:
        """source (B, T) long -> logits (B, T, n_tags). `target_in` is not looked at: no label is given away.

        Pads have no influence on the logits of words; their own logits mean nothing.
        """
        return self.output(self._read(source, need_weights=False)[0])

    @torch.no_grad()
    def maps(self, source: Tensor) -> Tensor:
        """Who looks at whom: (L, B, H, T, T), a row is the word that looks."""
        return torch.stack(self._read(source, need_weights=True)[1])

    def _read(self, source: Tensor, need_weights: bool) -> tuple[Tensor, list[Tensor | None]]:
        mask = checked_mask(source)
        where = torch.arange(source.shape[1], device=source.device)
        x = self.embedding(source)                                            # (B, T, d_model)
        if self.positions is not None:
            x = x + self.positions(where).to(x.dtype)
        x, maps = self.dropout(x), []
        for block in self.blocks:
            x, weights = block(x, mask, (where, where), causal=self.causal, need_weights=need_weights)
            maps.append(weights)
        return self.norm(x), maps


def _attention(d_model: int, n_heads: int, positions: str, equal: bool) -> MultiHeadAttention:
    """The self-attention of one block; a width that the heads do not divide is refused there."""
    d_head = max(d_model // n_heads, 1)
    plug = DenseAttention(EqualScore()) if equal else positions if positions in SCORED else "scaled_dot"
    rotary = RotaryPositions(d_head) if positions == "rotary" else None
    return MultiHeadAttention(d_model, n_heads, plug, rotary=rotary)


def bag_ceiling(sentences: Sequence[Pair], ambiguous: Iterable[str]) -> TagScores:
    """The score on `sentences` that no tagger blind to order can exceed, whatever it was trained on.

    Such a tagger gives a word the same label wherever it stands, so the best it can do for all copies of a word in all
    sentences of the same words is their most frequent label (of equally frequent ones the first in the alphabet).
    """
    counts: dict[tuple, Counter[str]] = defaultdict(Counter)
    bags = [tuple(sorted(sentence.source)) for sentence in sentences]
    for bag, sentence in zip(bags, sentences, strict=True):
        for word, label in zip(sentence.source, sentence.target, strict=True):
            counts[bag, word][label] += 1
    best = {key: min(found, key=lambda label: (-found[label], label)) for key, found in counts.items()}
    said = [tuple(best[bag, word] for word in s.source) for bag, s in zip(bags, sentences, strict=True)]
    return tag_scores(said, sentences, ambiguous)
