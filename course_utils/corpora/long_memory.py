"""A task that only memory solves: say at the end which symbol stood at the beginning, `gap` noise symbols earlier.

Used in notebook 04. One of 8 keys, `gap` symbols of noise from an alphabet of their own, a question mark; the answer is
the key. Guessing is right once in 8. It is the latching problem of Bengio, Simard and Frasconi (1994): one bit of news,
to be kept through noise; a kin of task 2 of Hochreiter and Schmidhuber (1997).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.text.vocabulary import SPECIALS, Vocabulary

KEYS, NOISE = tuple("ABCDEFGH"), tuple("abcdefgh")
SYMBOLS = Vocabulary((*KEYS, *NOISE, "?"))
FIRST_KEY, FIRST_NOISE, ASK = len(SPECIALS), len(SPECIALS) + len(KEYS), len(SYMBOLS.words) - 1
CHANCE = 1 / len(KEYS)


@dataclass
class Memories:
    """Sequences key, noise, question mark, and the keys to be said."""

    source: Tensor  # (B, gap + 2) long
    answer: Tensor  # (B,) long, ids of keys
    index: list[int]

    @property
    def n_tokens(self) -> int:
        return len(self.answer)

    def to(self, device: torch.device | str) -> "Memories":
        return Memories(self.source.to(device), self.answer.to(device), self.index)

    def __len__(self) -> int:
        return len(self.answer)


def draw_memories(n: int, gap: int, generator: torch.Generator) -> Memories:
    """`n` sequences with `gap` noise symbols between the key and the question."""
    if n < 1 or gap < 0:
        raise ValueError(f"n={n}, gap={gap}: draw 1 sequence or more, with a gap of 0 or more.")
    answer = torch.randint(FIRST_KEY, FIRST_NOISE, (n,), generator=generator)
    noise = torch.randint(FIRST_NOISE, ASK, (n, gap), generator=generator)
    source = torch.cat([answer[:, None], noise, torch.full((n, 1), ASK)], dim=1)  # (B, gap + 2)
    return Memories(source, answer, list(range(n)))


class MemoryBatches:
    """Fresh sequences for every update, never one twice but by chance; the order can be saved and resumed."""

    def __init__(self, gap: int, batch_size: int = 64, seed: int = 0) -> None:
        draw_memories(batch_size, gap, torch.Generator())  # complains of impossible sizes at once
        self.gap, self.batch_size = gap, batch_size
        self._generator = torch.Generator().manual_seed(seed)

    def forever(self) -> Iterator[Memories]:
        while True:
            yield draw_memories(self.batch_size, self.gap, self._generator)

    def state_dict(self) -> dict:
        return {"data": f"gap {self.gap}", "batch_size": self.batch_size, "generator": self._generator.get_state()}

    def load_state_dict(self, saved: dict) -> None:
        if (saved["data"], saved["batch_size"]) != (f"gap {self.gap}", self.batch_size):
            raise ValueError(f"the saved order belongs to {saved['data']}, {saved['batch_size']} a batch; start anew.")
        self._generator.set_state(saved["generator"])
