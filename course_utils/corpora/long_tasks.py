"""Long sequences with an exact answer, for the race of efficient attention. Notebook 24.

    listops      [MAX 2 9 [MIN 4 7 ] 0 ] -> 9: a tree of operations on digits, read flat (Nangia and Bowman 2018, as
                 used in the Long Range Arena of Tay et al. 2021)
    retrieval    facts, each a key with its value in one word, scattered among filler words; behind them every key is
                 asked for, and its value is the answer
    pixels       a handwritten digit, 8 x 8 doubled to 16 x 16, read row by row as 256 greys (real pictures)
    duplication  0 w 0 w: a random word and once more itself, read from left to right; the second copy is predicted
                 (Kitaev et al. 2020, section 5)

Ids: 0 is the pad.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.corpora.digits import read_digits

OPERATORS = ("MAX", "MIN", "MED", "SM")                                    # SM: sum modulo 10
CLOSE = 1 + 10 + len(OPERATORS)                                            # ids: 0 pad, 1-10 digits, operators, "]"
LISTOPS_TOKENS, LISTOPS_CLASSES = CLOSE + 1, 10
PIXEL_TOKENS = 18                                                          # pad and greys 0-16
PICTURES = {"train": (0, 1197), "valid": (1197, 1497), "test": (1497, 1797)}


@dataclass
class Sequences:
    """source (B, N) long with pads behind; answer (B,) long classes or, of retrieval and duplication, (B, N)
    ids with 0 where nothing is asked."""

    source: Tensor
    answer: Tensor
    index: list[int]

    @property
    def n_tokens(self) -> int:
        """Things to predict."""
        return len(self.answer) if self.answer.ndim == 1 else int((self.answer != 0).sum())

    def to(self, device: torch.device | str) -> "Sequences":
        return Sequences(self.source.to(device), self.answer.to(device), self.index)

    def rows(self, rows: list[int]) -> "Sequences":
        """Some of them, without needless pads."""
        source = self.source[rows]
        longest = int((source != 0).sum(1).max())
        answer = self.answer[rows] if self.answer.ndim == 1 else self.answer[rows, :longest]
        return Sequences(source[:, :longest], answer, [self.index[i] for i in rows])

    def __len__(self) -> int:
        return len(self.source)


# ---- listops ---------------------------------------------------------------------------------------------------------


def evaluate_listops(tokens: list[int]) -> int:
    """The digit that a flat expression stands for; ValueError if it is no expression."""
    stack: list[list[int]] = [[]]
    for token in tokens:
        if token > 10 and token != CLOSE:
            stack.append([token])
        elif token != CLOSE:
            stack[-1].append(token - 1)
        elif len(stack) < 2 or len(stack[-1]) < 2:
            raise ValueError("a ] without an operator and at least one digit before it")
        else:
            operator, *values = stack.pop()
            stack[-1].append(_apply(OPERATORS[operator - 11], values))
    if len(stack) != 1 or len(stack[0]) != 1:
        raise ValueError("not one whole expression: an operator is left open, or more than one value remains")
    return stack[0][0]


def _apply(operator: str, values: list[int]) -> int:
    ordered = sorted(values)
    return {"MAX": ordered[-1], "MIN": ordered[0], "MED": ordered[(len(values) - 1) // 2],
            "SM": sum(values) % 10}[operator]  # fmt: skip


def draw_listops(n: int, lengths: tuple[int, int], generator: torch.Generator, depth: int = 4) -> Sequences:
    """`n` expressions of `lengths[0]` to `lengths[1]` tokens, operators nested up to `depth`, 2 to 8 arguments."""
    shortest, longest = lengths
    if n < 1 or not 4 <= shortest <= longest or depth < 1:
        raise ValueError(f"n={n}, lengths={lengths}, depth={depth}: at least 1, (4, 4) and 1 are needed")
    made: list[list[int]] = []
    while len(made) < n:
        draws = iter(torch.randint(2**31, (8 * longest,), generator=generator).tolist())
        try:
            tokens = _expression(draws, depth, longest)
        except StopIteration:
            continue
        if shortest <= len(tokens) <= longest:
            made.append(tokens)
    return _padded(made, torch.tensor([evaluate_listops(tokens) for tokens in made]))


def _expression(draws: Iterator[int], depth: int, room: int) -> list[int]:
    """An operator with its arguments; arguments are operators themselves, one time in three, while depth is left."""
    tokens = [11 + next(draws) % len(OPERATORS)]
    for _ in range(2 + next(draws) % 7):
        if depth > 1 and next(draws) % 3 == 0 and room - len(tokens) > 4:
            tokens += _expression(draws, depth - 1, room - len(tokens) - 1)
        else:
            tokens.append(1 + next(draws) % 10)
    return [*tokens, CLOSE]


def _padded(rows: list[list[int]], answer: Tensor) -> Sequences:
    source = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    return Sequences(source, answer, list(range(len(rows))))


# ---- retrieval, duplication, pixels ----------------------------------------------------------------------------------


def retrieval_tokens(n_keys: int, n_values: int) -> int:
    return 2 + n_keys + n_keys * n_values


def draw_retrieval(n: int, length: int, n_keys: int, n_values: int, generator: torch.Generator) -> Sequences:
    """`n` texts of `length` words: a fact for each of `n_keys` keys among fillers, then the keys in another order.

    Ids: 1 is the filler, 2 … n_keys + 1 ask for a key, the rest are the facts, key by key. Answers: value + 1.
    """
    text = length - n_keys
    if n < 1 or n_keys < 1 or n_values < 2 or text < n_keys:
        raise ValueError(f"length={length}, n_keys={n_keys}, n_values={n_values}: facts and questions need "
                         f"{2 * n_keys} places, and a value is one of 2 or more")  # fmt: skip
    where = torch.rand(n, text, generator=generator).argsort(1)[:, :n_keys]                      # of key 0, 1, …
    values = torch.randint(n_values, (n, n_keys), generator=generator)
    source = torch.ones(n, length, dtype=torch.long)
    source.scatter_(1, where, 2 + n_keys + torch.arange(n_keys) * n_values + values)
    asked = torch.rand(n, n_keys, generator=generator).argsort(1)
    source[:, text:] = 2 + asked
    answer = torch.zeros_like(source)
    answer[:, text:] = 1 + values.gather(1, asked)
    return Sequences(source, answer, list(range(n)))


def draw_duplication(n: int, length: int, n_symbols: int, generator: torch.Generator) -> Sequences:
    """`n` lines 0 w 0 w of `length` ids in all (even): 1 is the "0", symbols are 2 … n_symbols + 1.

    The model reads all but the last id and predicts, at each place of the second copy, the id that follows.
    """
    if n < 1 or length < 4 or length % 2 or n_symbols < 2:
        raise ValueError(f"length={length}, n_symbols={n_symbols}: use an even length from 4 on and 2 symbols")
    word = torch.randint(2, n_symbols + 2, (n, length // 2 - 1), generator=generator)
    half = torch.cat([torch.ones(n, 1, dtype=torch.long), word], 1)
    line = torch.cat([half, half], 1)                                                            # (n, length)
    answer = line[:, 1:].clone()
    answer[:, : length // 2] = 0                                          # nobody can foretell the first copy
    return Sequences(line[:, :-1], answer, list(range(n)))


@lru_cache(maxsize=3)
def pixel_sequences(split: str) -> Sequences:
    """All digits of "train" (1,197), "valid" or "test" (300 each): 256 greys 0-16 as ids 1-17, classes 0-9."""
    if split not in PICTURES:
        raise ValueError(f"no split {split!r}: one of {', '.join(map(repr, PICTURES))}")
    first, end = PICTURES[split]
    pixels, classes = read_digits()
    pictures = pixels[first:end].view(-1, 1, 8, 8)
    large = F.interpolate(pictures, size=16, mode="bilinear", align_corners=False).round()       # (n, 1, 16, 16)
    return Sequences(large.flatten(1).long() + 1, classes[first:end], list(range(end - first)))


class SequenceBatches:
    """Fixed sequences in shuffled batches without end, for `train`; what is left of an epoch waits for the next."""

    def __init__(self, data: Sequences, batch_size: int = 32, seed: int = 0) -> None:
        if not 1 <= batch_size <= len(data):
            raise ValueError(f"batch_size={batch_size}: use 1 to {len(data)}, the number of sequences")
        self.data, self.batch_size, self.seed, self.drawn = data, batch_size, seed, 0

    def forever(self) -> Iterator[Sequences]:
        an_epoch = len(self.data) // self.batch_size
        while True:
            epoch, place = divmod(self.drawn, an_epoch)
            draw = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
            order = torch.randperm(len(self.data), generator=draw)
            self.drawn += 1
            yield self.data.rows(order[place * self.batch_size : (place + 1) * self.batch_size].tolist())

    def state_dict(self) -> dict:
        digest = hashlib.sha256(self.data.source.numpy().tobytes() + self.data.answer.numpy().tobytes())
        data = f"{len(self.data)} sequences {digest.hexdigest()[:12]}, seed {self.seed}"
        return {"data": data, "batch_size": self.batch_size, "drawn": self.drawn}

    def load_state_dict(self, state: dict) -> None:
        if {**state, "drawn": self.drawn} != self.state_dict():
            raise ValueError(f"the saved order is of {state['data']}, batch {state['batch_size']}: build the same one")
        self.drawn = state["drawn"]
