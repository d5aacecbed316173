"""A word is predicted from the words before it, and the word vectors are what is learned on the way.

Taught in notebook 01. Bengio, Ducharme, Vincent and Jauvin 2003 ("A Neural Probabilistic Language Model"), equation 1
and the paragraph before it: y = b + W x + U tanh(d + H x), where x holds the vectors of the previous words, all taken
from one matrix C. W, the direct connections, is optional in the paper and off here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.text.vocabulary import BEGIN, END, UNK, Vocabulary

COMBINE = ("concatenate", "sum")


class NextWordModel(nn.Module):
    """Scores for the next word from the `context` words before it.

    Every position takes its vector from the same matrix: a word has *one* vector (tied weights). What happens next
    decides about order. "concatenate", as in the paper, puts the vectors side by side, so that H has its own columns
    for each position and order is kept; "sum" adds them up, and order is forgotten.
    """

    def __init__(
        self,
        vocabulary_size: int,
        d_embedding: int = 32,
        context: int = 3,
        d_hidden: int = 64,
        combine: str = "concatenate",
        direct: bool = False,
    ):
        super().__init__()
        if combine not in COMBINE:
            raise ValueError(f"combine={combine!r}: use {' or '.join(map(repr, COMBINE))}.")
        if min(vocabulary_size, d_embedding, context, d_hidden) < 1:
            raise ValueError("vocabulary_size, d_embedding, context and d_hidden must each be 1 or more.")
        self.hparams = dict(
            vocabulary_size=vocabulary_size, d_embedding=d_embedding, context=context, d_hidden=d_hidden,
            combine=combine, direct=direct,
        )  # fmt: skip
        self.context, self.combine = context, combine
        width = context * d_embedding if combine == "concatenate" else d_embedding
        self.embedding = nn.Embedding(vocabulary_size, d_embedding)  # C
        self.hidden = nn.Linear(width, d_hidden)  # H, d
        self.output = nn.Linear(d_hidden, vocabulary_size)  # U, b
        self.direct = nn.Linear(width, vocabulary_size, bias=False) if direct else None  # W

    def features(self, contexts: Tensor) -> Tensor:
        """contexts (B, n) long, oldest word first -> x (B, n d) concatenated or (B, d) summed."""
        if contexts.ndim != 2 or contexts.shape[1] != self.context:
            raise ValueError(f"contexts have shape {tuple(contexts.shape)}; this model needs (B, {self.context}).")
        vectors = self.embedding(contexts)  # (B, n, d)
        return vectors.flatten(1) if self.combine == "concatenate" else vectors.sum(1)

    def forward(self, contexts: Tensor) -> Tensor:
        """contexts (B, n) long -> logits (B, V)."""
        x = self.features(contexts)
        logits = self.output(torch.tanh(self.hidden(x)))  # (B, V)
        return logits if self.direct is None else logits + self.direct(x)


def next_word_pairs(
    sentences: Iterable[Sequence[str]], vocabulary: Vocabulary, context: int
) -> tuple[Tensor, Tensor]:
    """(contexts (N, n), targets (N,)) long: every word of every sentence, END too, with the n words before it; where
    the sentence has fewer, BEGIN stands in for them."""
    if context < 1:
        raise ValueError(f"context={context}: use 1 previous word or more.")
    contexts, targets = [], []
    for sentence in sentences:
        ids = [BEGIN] * context + vocabulary.encode(sentence) + [END]
        for i in range(context, len(ids)):
            contexts.append(ids[i - context : i])
            targets.append(ids[i])
    if not targets:
        raise ValueError("there is no sentence to predict; is the list empty?")
    return torch.tensor(contexts), torch.tensor(targets)


@dataclass
class NextWordBatch:
    contexts: Tensor  # (B, n) long
    targets: Tensor  # (B,) long
    index: list[int]

    @property
    def n_tokens(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device | str) -> NextWordBatch:
        return NextWordBatch(self.contexts.to(device), self.targets.to(device), self.index)

    def __len__(self) -> int:
        return len(self.targets)


class NextWordBatches:
    """Shuffled batches of `next_word_pairs`, each pair once an epoch, in an order that can be resumed."""

    def __init__(self, contexts: Tensor, targets: Tensor, batch_size: int = 512, seed: int = 0):
        if len(contexts) != len(targets) or not len(targets):
            raise ValueError(f"{len(contexts)} contexts and {len(targets)} targets: give as many of each, 1 or more.")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: use 1 or more.")
        self.contexts, self.targets, self.batch_size, self.seed = contexts, targets, batch_size, seed
        self._epoch_start = torch.Generator().manual_seed(seed).get_state()
        self._position = 0

    def __len__(self) -> int:
        """Batches in one epoch."""
        return -(-len(self.targets) // self.batch_size)

    def forever(self) -> Iterator[NextWordBatch]:
        """Batches without end, from where this object stands."""
        while True:
            generator = torch.Generator()
            generator.set_state(self._epoch_start)
            parts = torch.randperm(len(self.targets), generator=generator).split(self.batch_size)
            while self._position < len(parts):
                rows = parts[self._position]
                self._position += 1  # before the yield: a state saved now continues with the next batch
                yield NextWordBatch(self.contexts[rows], self.targets[rows], rows.tolist())
            self._epoch_start, self._position = generator.get_state(), 0

    def state_dict(self) -> dict:
        return {
            "data": hashlib.sha256(self.contexts.numpy().tobytes() + self.targets.numpy().tobytes()).hexdigest()[:12],
            "batch_size": self.batch_size,
            "epoch_start": self._epoch_start,
            "position": self._position,
        }

    def load_state_dict(self, state: dict) -> None:
        mine = self.state_dict()
        if any(state[name] != mine[name] for name in ("data", "batch_size")):
            raise ValueError("the saved order belongs to other pairs or another batch size; build the batches anew.")
        self._epoch_start, self._position = state["epoch_start"], state["position"]


def next_word_loss(model: NextWordModel, batch: NextWordBatch) -> Tensor:
    """The `objective` for `train`: mean cross-entropy of the next word, in nats -> ()."""
    return F.cross_entropy(model(batch.contexts), batch.targets)


@torch.no_grad()
def next_word_scores(model: NextWordModel, contexts: Tensor, targets: Tensor) -> dict[str, float]:
    """perplexity = exp(mean negative log-likelihood), accuracy of the likeliest word, over targets the vocabulary
    knows; n of them."""
    known = targets != UNK
    contexts, targets = contexts[known], targets[known]
    nll, right = 0.0, 0
    for rows in torch.arange(len(targets)).split(4096):
        logits = model(contexts[rows])
        nll += float(F.cross_entropy(logits, targets[rows], reduction="sum"))
        right += int((logits.argmax(-1) == targets[rows]).sum())
    return {"perplexity": math.exp(nll / len(targets)), "accuracy": right / len(targets), "n": len(targets)}
