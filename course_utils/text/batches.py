"""Batches of padded sentences, and an endless stream of them in buckets of similar length. Taught in notebook 02."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.corpora.pair import Pair
from course_utils.text.masks import padding_mask
from course_utils.text.vocabulary import BEGIN, END, PAD, Vocabulary


@dataclass
class Batch:
    """Sentences of unequal length side by side, padded at the end with PAD.

    For a target y1 … yn the decoder reads `target_in` = BEGIN y1 … yn and must predict `target_out` = y1 … yn END.
    The source has no END: its own "." or "?" ends it. `index` says which rows of the data these are.
    """

    source: Tensor  # (B, S) long
    target_in: Tensor  # (B, T) long
    target_out: Tensor  # (B, T) long
    index: list[int]

    @property
    def source_mask(self) -> Tensor:
        """(B, S) bool, True on real tokens."""
        return padding_mask(self.source)

    @property
    def target_mask(self) -> Tensor:
        """(B, T) bool, True where `target_out` holds a real token (END is one)."""
        return padding_mask(self.target_out)

    @property
    def n_tokens(self) -> int:
        """Tokens to predict: the real ones of `target_out`, END included."""
        return int(self.target_mask.sum())

    def to(self, device: torch.device | str) -> "Batch":
        return Batch(self.source.to(device), self.target_in.to(device), self.target_out.to(device), self.index)

    def __len__(self) -> int:
        return self.source.shape[0]


def make_batch(
    pairs: Sequence[Pair], source_vocab: Vocabulary, target_vocab: Vocabulary, index: Sequence[int] | None = None
) -> Batch:
    """Encode and pad `pairs`, in their order. `index` (default 0, 1, …) is kept as `batch.index`."""
    sources, targets = _encode(pairs, source_vocab, target_vocab)
    return _collate(sources, targets, range(len(sources)) if index is None else index)


def _encode(pairs, source_vocab, target_vocab) -> tuple[list[list[int]], list[list[int]]]:
    for i, pair in enumerate(pairs):
        if not pair.source:
            raise ValueError(f"pair {i} has an empty source sentence; leave it out.")
    return [source_vocab.encode(p.source) for p in pairs], [target_vocab.encode(p.target) for p in pairs]


def _collate(sources: list[list[int]], targets: list[list[int]], index: Iterable[int]) -> Batch:
    index = list(index)
    if not sources:
        raise ValueError("an empty batch: no sentence pair was given.")
    if len(index) != len(sources):
        raise ValueError(f"{len(index)} index numbers for {len(sources)} sentence pairs; give one each.")
    return Batch(
        source=_pad(sources),
        target_in=_pad([[BEGIN, *ids] for ids in targets]),
        target_out=_pad([[*ids, END] for ids in targets]),
        index=index,
    )


def _pad(rows: list[list[int]]) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows], dtype=torch.long)  # (B, width)


class Batches:
    """Batches of sentences of like length, in an order that depends on `seed` alone and can be resumed.

    An epoch shuffles the pairs, cuts them into pools of 50 batches, sorts each pool by length, cuts it into batches and
    shuffles those: little padding, yet every epoch mixes the pairs anew. Each pair comes once an epoch; one batch may
    be smaller. `forever()` trains, `once()` evaluates.
    """

    POOL = 50  # batches that are sorted together

    def __init__(
        self,
        pairs: Sequence[Pair],
        source_vocab: Vocabulary,
        target_vocab: Vocabulary,
        batch_size: int = 128,
        seed: int = 0,
    ):
        if not len(pairs):
            raise ValueError("no sentence pairs to make batches of; is the split empty?")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: use 1 or more.")
        self.batch_size, self.seed = batch_size, seed
        self._sources, self._targets = _encode(pairs, source_vocab, target_vocab)
        self._epoch_start = torch.Generator().manual_seed(seed).get_state()  # randomness of the epoch in progress
        self._position = 0  # batches of this epoch already given out

    def __len__(self) -> int:
        """Batches in one epoch."""
        return -(-len(self._sources) // self.batch_size)

    def forever(self) -> Iterator[Batch]:
        """Batches without end, from where this object stands (see `state_dict`)."""
        while True:
            order, next_epoch = self._order()
            while self._position < len(order):
                rows = order[self._position]
                self._position += 1  # before the yield: a state saved now continues with the next batch
                yield self._take(rows)
            self._epoch_start, self._position = next_epoch, 0

    def once(self) -> Iterator[Batch]:
        """Every pair once, shortest first, always in the same order; `batch.index` leads back to the data.
        Does not move `forever()`."""
        rows = sorted(range(len(self._sources)), key=self._length)
        for start in range(0, len(rows), self.batch_size):
            yield self._take(rows[start : start + self.batch_size])

    def state_dict(self) -> dict:
        """Where `forever()` stands: with the same pairs it continues with the very next batch."""
        return {
            "data": self._fingerprint(),
            "batch_size": self.batch_size,
            "epoch_start": self._epoch_start,
            "position": self._position,
        }

    def load_state_dict(self, state: dict) -> None:
        if state["data"] != self._fingerprint() or state["batch_size"] != self.batch_size:
            raise ValueError(
                f"the saved order belongs to other pairs or another batch size ({state['batch_size']}, here "
                f"{self.batch_size}); build Batches from the same data, or start anew."
            )
        self._epoch_start, self._position = state["epoch_start"], state["position"]

    def _length(self, row: int) -> tuple[int, int]:
        return len(self._sources[row]), len(self._targets[row])

    def _take(self, rows: list[int]) -> Batch:
        return _collate([self._sources[i] for i in rows], [self._targets[i] for i in rows], rows)

    def _order(self) -> tuple[list[list[int]], Tensor]:
        """The epoch's batches as lists of rows, and the generator state with which the next epoch begins."""
        generator = torch.Generator()
        generator.set_state(self._epoch_start)
        shuffled = torch.randperm(len(self._sources), generator=generator).tolist()
        batches = []
        for start in range(0, len(shuffled), self.POOL * self.batch_size):
            pool = sorted(shuffled[start : start + self.POOL * self.batch_size], key=self._length)
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        order = torch.randperm(len(batches), generator=generator).tolist()
        return [batches[i] for i in order], generator.get_state()

    def _fingerprint(self) -> str:
        return hashlib.sha256(repr((self._sources, self._targets)).encode()).hexdigest()[:12]
