"""Two places, one softmax: the smallest task in which one head of attention is not enough. Notebook 14.

A line of words; one carries the mark "first", another the mark "second". One question is asked, and its single answer
vector must hold both marked words, in that order. The values are the words alone: a weighted sum of them does not
remember which of its words bore which mark. If the keys are the marks alone, the weights are the same for every line
and cannot tell it either; if the keys see the words too, the weights themselves can become a message.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.checks import check_widths
from course_utils.layers.blocks import FeedForward
from course_utils.layers.multihead import MultiHeadAttention

PLAIN, FIRST, SECOND = 0, 1, 2                                            # marks
READOUTS = ("linear", "feed-forward")
KEYS = ("marks", "words")


@dataclass
class PlacesBatch:
    """Lines of equal length, side by side."""

    words: Tensor                                                         # (B, n) long, 0 ... n_words - 1
    marks: Tensor                                                         # (B, n) long: PLAIN, FIRST or SECOND
    target: Tensor                                                        # (B, 2) long, the marked words in order
    index: list[int]

    @property
    def n_tokens(self) -> int:
        return self.target.numel()

    def to(self, device: torch.device | str) -> "PlacesBatch":
        return PlacesBatch(self.words.to(device), self.marks.to(device), self.target.to(device), self.index)

    def __len__(self) -> int:
        return len(self.words)


def draw_places(n: int, length: int, n_words: int, rng: torch.Generator) -> PlacesBatch:
    """`n` lines of `length` words out of `n_words`; the two marked words always differ, so their order matters."""
    if n < 1 or length < 2 or n_words < 2:
        raise ValueError(f"n={n}, length={length}, n_words={n_words}: at least 1 line, 2 places and 2 words are needed")
    words = torch.randint(n_words, (n, length), generator=rng)            # (n, length)
    places = torch.rand(n, length, generator=rng).topk(2).indices         # (n, 2), two different ones
    first = words.gather(1, places[:, :1])
    second = (first + torch.randint(1, n_words, (n, 1), generator=rng)) % n_words
    words = words.scatter(1, places[:, 1:], second)
    marks = torch.zeros_like(words).scatter(1, places, torch.tensor([[FIRST, SECOND]]).expand(n, 2))
    return PlacesBatch(words, marks, torch.cat([first, second], 1), list(range(n)))


class PlacesBatches:
    """An endless stream of fresh lines; the same seed gives the same stream."""

    def __init__(self, batch_size: int = 64, length: int = 8, n_words: int = 8, seed: int = 0) -> None:
        self.batch_size, self.length, self.n_words, self.seed, self.drawn = batch_size, length, n_words, seed, 0

    def forever(self) -> Iterator[PlacesBatch]:
        while True:
            rng = torch.Generator().manual_seed(1_000_003 * self.seed + self.drawn)
            self.drawn += 1
            yield draw_places(self.batch_size, self.length, self.n_words, rng)

    def state_dict(self) -> dict:
        data = f"places length={self.length} n_words={self.n_words} seed={self.seed}"
        return {"data": data, "batch_size": self.batch_size, "drawn": self.drawn}

    def load_state_dict(self, state: dict) -> None:
        if {**state, "drawn": self.drawn} != self.state_dict():
            raise ValueError(f"the saved order is of {state['data']}, batch {state['batch_size']}: build the same one")
        self.drawn = state["drawn"]


class TwoPlaces(nn.Module):
    """One learnt question asks the line once; from the answer (one vector) both words are read.

    `keys`: "marks", the question sees where, not what; "words", it sees word and mark, added as word and position are
    in a Transformer (the values then carry the mark as well).
    `readout`: "linear" reads the answer with one matrix; "feed-forward" puts a hidden layer before it, which may tell
    a larger share from a smaller one.
    """

    def __init__(self, n_words: int, d_model: int, n_heads: int, keys: str = "marks", readout: str = "linear") -> None:
        super().__init__()
        check_widths(n_words=n_words, d_model=d_model, n_heads=n_heads)
        if keys not in KEYS or readout not in READOUTS:
            raise ValueError(f"keys={keys!r}, readout={readout!r}: keys are one of {KEYS}, readout of {READOUTS}")
        self.hparams = dict(n_words=n_words, d_model=d_model, n_heads=n_heads, keys=keys, readout=readout)
        self.words, self.marks = nn.Embedding(n_words, d_model), nn.Embedding(3, d_model)
        self.question = nn.Parameter(torch.randn(1, 1, d_model))
        self.attention = MultiHeadAttention(d_model, n_heads)
        self.hidden = FeedForward(d_model, 4 * d_model) if readout == "feed-forward" else None
        self.output = xavier(nn.Linear(d_model, 2 * n_words))

    def forward(self, words: Tensor, marks: Tensor, need_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """words, marks (B, n) -> logits (B, 2, n_words); with `need_weights` also the maps (B, H, n)."""
        key, value = self.marks(marks), self.words(words)                 # (B, n, D)
        if self.hparams["keys"] == "words":
            key = value = key + value
        question = self.question.expand(len(words), -1, -1)               # (B, 1, D)
        answer, weights, _ = self.attention(question, key, value, need_weights=need_weights)
        answer = answer if self.hidden is None else answer + self.hidden(answer)
        logits = self.output(answer).view(len(words), 2, -1)              # (B, 1, 2 V) -> (B, 2, V)
        return (logits, weights.squeeze(2)) if need_weights else logits


def places_loss(model: TwoPlaces, batch: PlacesBatch) -> Tensor:
    """Mean cross-entropy over both words, in nats: an `objective` for `training.train`."""
    return F.cross_entropy(model(batch.words, batch.marks).flatten(0, 1), batch.target.flatten())


@torch.no_grad()
def places_scores(model: TwoPlaces, batch: PlacesBatch) -> dict[str, float]:
    """Shares of lines: "pair" both words in order, "first", "second", "set" both words in either order."""
    said = model(batch.words, batch.marks).argmax(-1)                     # (B, 2)
    right = said == batch.target
    swapped = said.flip(1) == batch.target
    found = {"pair": right.all(1), "first": right[:, 0], "second": right[:, 1], "set": right.all(1) | swapped.all(1)}
    return {name: float(share.float().mean()) for name, share in found.items()}
