"""Associative recall, the smallest task that asks a memory to hold n pairs. Notebook 22; after Schlag et al. 2021.

n keys, each with a value drawn anew for every line; then every key is asked for its value. Keys, questions and values
are learnt vectors of d numbers, the attention between them is any plug of the socket. Softmax attention keeps all n
pairs and looks again; linear attention has only its state, d x (d + 1) numbers, whatever n is. A sum of n outer
products gives every value back exactly if the keys are orthogonal, and no more than d vectors of d numbers are
(Schlag et al. 2021, section 4.1).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.dense import DenseAttention
from course_utils.attention.linear import LinearAttention
from course_utils.attention.scores import ScaledDotScore, xavier
from course_utils.checks import check_widths

KINDS = {"softmax": lambda: DenseAttention(ScaledDotScore()), "linear": LinearAttention}


@dataclass
class Pairs:
    """Lines of n pairs: the value that belongs to each of the n keys."""

    values: Tensor                                                        # (B, n) long, 0 ... n_values - 1
    index: list[int]

    @property
    def n_tokens(self) -> int:
        return self.values.numel()

    def to(self, device: torch.device | str) -> "Pairs":
        return Pairs(self.values.to(device), self.index)

    def __len__(self) -> int:
        return len(self.values)


class PairBatches:
    """Fresh lines without end; the same seed gives the same stream."""

    def __init__(self, n_pairs: int, n_values: int = 16, batch_size: int = 32, seed: int = 0) -> None:
        check_widths(n_pairs=n_pairs, n_values=n_values, batch_size=batch_size)
        self.n_pairs, self.n_values, self.batch_size, self.seed, self.drawn = n_pairs, n_values, batch_size, seed, 0

    def take(self, n: int, rng: torch.Generator) -> Pairs:
        return Pairs(torch.randint(self.n_values, (n, self.n_pairs), generator=rng), list(range(n)))

    def forever(self) -> Iterator[Pairs]:
        while True:
            rng = torch.Generator().manual_seed(1_000_003 * self.seed + self.drawn)
            self.drawn += 1
            yield self.take(self.batch_size, rng)

    def state_dict(self) -> dict:
        data = f"{self.n_pairs} pairs of {self.n_values} values, seed={self.seed}"
        return {"data": data, "batch_size": self.batch_size, "drawn": self.drawn}

    def load_state_dict(self, state: dict) -> None:
        if {**state, "drawn": self.drawn} != self.state_dict():
            raise ValueError(f"the saved order is of {state['data']}, batch {state['batch_size']}: build the same one")
        self.drawn = state["drawn"]


class Recall(nn.Module):
    """One attention between learnt questions, keys and values, one matrix that reads the value from the answer."""

    def __init__(self, n_pairs: int, d: int, kind: str, n_values: int = 16) -> None:
        super().__init__()
        check_widths(n_pairs=n_pairs, d=d, n_values=n_values)
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}: one of {', '.join(map(repr, KINDS))}")
        self.hparams = dict(n_pairs=n_pairs, d=d, kind=kind, n_values=n_values)
        self.keys, self.questions = (nn.Parameter(torch.randn(1, n_pairs, d)) for _ in range(2))
        self.values, self.attention = nn.Embedding(n_values, d), KINDS[kind]()
        self.output = xavier(nn.Linear(d, n_values))

    def forward(self, values: Tensor) -> Tensor:
        """values (B, n) long -> logits (B, n, n_values): the answers to all n questions."""
        keys, questions = (x.expand(len(values), -1, -1) for x in (self.keys, self.questions))     # (B, n, d)
        return self.output(self.attention(questions, keys, self.values(values))[0])


def recall_loss(model: Recall, batch: Pairs) -> Tensor:
    """Mean -log p of the right values, in nats: an `objective` for `training.train`."""
    return F.cross_entropy(model(batch.values).flatten(0, 1), batch.values.flatten())


@torch.no_grad()
def recall_score(model: Recall, batch: Pairs) -> float:
    """The share of questions answered right; guessing gets 1 / n_values."""
    return float((model(batch.values).argmax(-1) == batch.values).double().mean())
