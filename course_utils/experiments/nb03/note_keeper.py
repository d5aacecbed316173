"""The note board: the smallest task in which somebody must decide what is remembered. Notebook 03.

At every step somebody calls out a number, and sometimes says "write". A board shows the number that was written last;
the network must say at every step what stands there. All other numbers are noise, and noise it hears all the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_utils.layers.recurrent import Recurrent

WRITES = 0.1  # share of the steps at which "write" is said


@dataclass
class NoteBatch:
    """Sequences of equal length, side by side."""

    inputs: Tensor  # (B, T, 2): the number called out, between -1 and 1; 1 if "write" is said, else 0
    target: Tensor  # (B, T): the number on the board
    age: Tensor  # (B, T) long: steps since it was written
    index: list[int]

    @property
    def n_tokens(self) -> int:
        return self.target.numel()

    def to(self, device: torch.device | str) -> "NoteBatch":
        return NoteBatch(self.inputs.to(device), self.target.to(device), self.age.to(device), self.index)

    def __len__(self) -> int:
        return len(self.inputs)


def draw_notes(n: int, length: int, rng: torch.Generator) -> NoteBatch:
    """`n` sequences of `length` steps. The first step writes; numbers are uniform between -1 and 1."""
    if n < 1 or length < 1:
        raise ValueError(f"n={n}, length={length}: both must be at least 1.")
    value = torch.rand(n, length, generator=rng) * 2 - 1  # (n, T)
    write = torch.rand(n, length, generator=rng) < WRITES  # (n, T)
    write[:, 0] = True
    steps = torch.arange(length).expand(n, length)
    last = torch.where(write, steps, 0).cummax(dim=1).values  # (n, T): the step that wrote what stands there now
    return NoteBatch(torch.stack([value, write.float()], -1), value.gather(1, last), steps - last, list(range(n)))


class NoteBatches:
    """An endless stream of fresh batches; the same seed gives the same stream."""

    def __init__(self, batch_size: int = 64, length: int = 30, seed: int = 0) -> None:
        self.batch_size, self.length, self.seed, self.drawn = batch_size, length, seed, 0

    def forever(self) -> Iterator[NoteBatch]:
        while True:
            rng = torch.Generator().manual_seed(1_000_003 * self.seed + self.drawn)
            self.drawn += 1
            yield draw_notes(self.batch_size, self.length, rng)

    def state_dict(self) -> dict:
        data = f"notes of {self.length} steps, {WRITES:g} of them written"
        return {"batch_size": self.batch_size, "data": data, "seed": self.seed, "drawn": self.drawn}

    def load_state_dict(self, state: dict) -> None:
        mine = self.state_dict()
        if any(state[name] != mine[name] for name in ("batch_size", "data", "seed")):
            raise ValueError(f"this stream is {mine}, the stored one was {state}.")
        self.drawn = state["drawn"]


class NoteKeeper(nn.Module):
    """A recurrent layer and one linear unit that says what stands on the board: (B, T, 2) -> (B, T)."""

    def __init__(self, cell: str, d_hidden: int) -> None:
        super().__init__()
        self.recurrent = Recurrent(cell, 2, d_hidden)
        self.say = nn.Linear(d_hidden, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        states, _ = self.recurrent(inputs)  # (B, T, d_hidden)
        return self.say(states).squeeze(-1)


def squared_error(model: nn.Module, batch: NoteBatch) -> Tensor:
    """The objective: mean squared error over all steps. Always saying 0 costs 1/3."""
    return (model(batch.inputs) - batch.target).square().mean()


@torch.no_grad()
def unexplained(model: nn.Module, batch: NoteBatch, low: int = 0, high: int = 10**9) -> float:
    """Squared error at notes of age `low` to `high`, as a share of what always saying 0 would cost: 0 is perfect, 1 as
    bad as knowing nothing."""
    there = (batch.age >= low) & (batch.age <= high)
    if not there.any():
        raise ValueError(f"no note of age {low} to {high} in this batch: take longer sequences.")
    error = (model(batch.inputs) - batch.target)[there].square().sum()
    return float(error / batch.target[there].square().sum())
