"""Handwritten digits as sets: the inked pixels of the 8x8 pictures of digits.py, in no order. Notebook 14.

An element is (x, y, grey): x and y from -1 (left, top) to 1, grey from 1/16 to 1; white pixels are left out. The
1,797 pictures (UCI, Optical Recognition of Handwritten Digits, its test part) are split where they stand: the first
1,197 to train, 200 to choose, the last 400 to test.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.corpora.digits import read_digits

SPLITS = {"train": slice(0, 1197), "valid": slice(1197, 1397), "test": slice(1397, 1797)}
SIDE = 8


@dataclass
class DigitSets:
    """Sets of unequal size side by side: fillers (zeros, masked) stand behind the real elements."""

    elements: Tensor                                                      # (B, n, 3) float
    mask: Tensor                                                          # (B, n) bool, True on real elements
    labels: Tensor                                                        # (B,) long, 0 ... 9
    index: list[int]

    @property
    def n_tokens(self) -> int:
        """Things to predict: one a set."""
        return len(self.labels)

    def to(self, device: torch.device | str) -> "DigitSets":
        return DigitSets(self.elements.to(device), self.mask.to(device), self.labels.to(device), self.index)

    def take(self, rows: list[int]) -> "DigitSets":
        """Some of the sets, as wide as the largest of them."""
        mask = self.mask[rows]
        n = int(mask.sum(1).max())
        return DigitSets(self.elements[rows, :n], mask[:, :n], self.labels[rows], [self.index[i] for i in rows])

    def __len__(self) -> int:
        return len(self.labels)


def digits_hash() -> str:
    """Twelve hex digits that change with any pixel or label."""
    images, labels = read_digits()
    return hashlib.sha256(images.numpy().tobytes() + bytes(labels.tolist())).hexdigest()[:12]


def as_set(picture: Tensor) -> Tensor:
    """A picture (8, 8) of greys 0-16 -> its set (n, 3), row by row."""
    if picture.shape != (SIDE, SIDE):
        raise ValueError(f"a digit is a picture of 8 x 8 pixels, not {tuple(picture.shape)}")
    rows, columns = picture.nonzero(as_tuple=True)
    return torch.stack([columns / 3.5 - 1, rows / 3.5 - 1, picture[rows, columns] / 16], 1)


def load_digit_sets(split: str) -> DigitSets:
    """All sets of "train", "valid" or "test"."""
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}: one of {', '.join(map(repr, SPLITS))}")
    images, labels = (part[SPLITS[split]] for part in read_digits())
    sets = [as_set(picture.view(SIDE, SIDE)) for picture in images]
    elements = torch.nn.utils.rnn.pad_sequence(sets, batch_first=True)    # (N, n, 3)
    sizes = torch.tensor([len(some) for some in sets])
    return DigitSets(elements, torch.arange(elements.shape[1]) < sizes[:, None], labels, list(range(len(sets))))


def shuffled(sets: DigitSets, rng: torch.Generator) -> DigitSets:
    """The same sets, each written down in another random order; fillers stay behind."""
    keys = torch.rand(sets.mask.shape, generator=rng) + (~sets.mask).float() * 2                # fillers sort last
    order = keys.argsort(1)                                               # (B, n)
    return DigitSets(sets.elements.gather(1, order.unsqueeze(-1).expand(-1, -1, 3)), sets.mask, sets.labels, sets.index)


class SetBatches:
    """Batches without end, each epoch in a new order that depends on `seed` alone; sets written in random order too."""

    def __init__(self, sets: DigitSets, batch_size: int = 64, seed: int = 0, shuffle_elements: bool = True) -> None:
        if not 1 <= batch_size <= len(sets):
            raise ValueError(f"batch_size={batch_size}: use 1 to {len(sets)}, the number of sets")
        self.sets, self.batch_size, self.seed, self.shuffle_elements = sets, batch_size, seed, shuffle_elements
        self.drawn = 0

    def forever(self) -> Iterator[DigitSets]:
        a_epoch = len(self.sets) // self.batch_size                       # what is left over waits for the next epoch
        while True:
            epoch, place = divmod(self.drawn, a_epoch)
            order = torch.randperm(len(self.sets), generator=self._rng(epoch)).tolist()
            batch = self.sets.take(order[place * self.batch_size : (place + 1) * self.batch_size])
            self.drawn += 1
            yield shuffled(batch, self._rng(-self.drawn)) if self.shuffle_elements else batch

    def _rng(self, number: int) -> torch.Generator:
        return torch.Generator().manual_seed((1_000_003 * self.seed + number) % 2**63)

    def state_dict(self) -> dict:
        parts = (self.sets.elements, self.sets.mask, self.sets.labels)
        data = hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()[:12]
        return {"data": f"{data} seed={self.seed} {self.shuffle_elements}", "batch_size": self.batch_size,
                "drawn": self.drawn}  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
        if {**state, "drawn": self.drawn} != self.state_dict():
            raise ValueError("the saved order is of other sets, another seed or batch size: build the same batches")
        self.drawn = state["drawn"]
