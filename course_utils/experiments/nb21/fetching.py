"""The smallest task that needs a comparison: fetch the value that stands beside the asked key. Notebook 21.

n pairs in any order, each one token (key + value), then a key alone; the answer is its value. Where it stands says
nothing: whoever does not compare the question with the keys can only guess one of the values.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.corpora.long_tasks import Sequences


def draw_questions(n: int, n_pairs: int, n_values: int, generator: torch.Generator) -> Sequences:
    """`n` lines of `n_pairs` pairs (different keys, any values), then one of the keys: 2 n_pairs + 1 ids.

    Ids: 1 … n_pairs are keys, the next n_values values. answer (n,) long, values counted from 0.
    """
    if n < 1 or n_pairs < 1 or n_values < 2:
        raise ValueError(f"n={n}, n_pairs={n_pairs}, n_values={n_values}: at least a line, a pair and 2 values")
    keys = torch.rand(n, n_pairs, generator=generator).argsort(1) + 1                            # (n, pairs)
    values = torch.randint(n_values, (n, n_pairs), generator=generator)
    asked = torch.randint(n_pairs, (n, 1), generator=generator)
    pairs = torch.stack([keys, values + n_pairs + 1], -1).flatten(1)                             # k v k v ...
    return Sequences(torch.cat([pairs, keys.gather(1, asked)], 1), values.gather(1, asked)[:, 0], list(range(n)))


class Questions:
    """Fresh lines without end, for `train`."""

    def __init__(self, n_pairs: int = 8, n_values: int = 16, batch_size: int = 64, seed: int = 0) -> None:
        self.n_pairs, self.n_values, self.batch_size, self.seed, self.drawn = n_pairs, n_values, batch_size, seed, 0

    def take(self, n: int, draws: torch.Generator) -> Sequences:
        return draw_questions(n, self.n_pairs, self.n_values, draws)

    def forever(self) -> Iterator[Sequences]:
        while True:
            self.drawn += 1
            yield self.take(self.batch_size, torch.Generator().manual_seed(1_000_003 * self.seed + self.drawn))

    def state_dict(self) -> dict:
        data = f"{self.n_pairs} pairs of {self.n_values} values, seed={self.seed}"
        return {"data": data, "batch_size": self.batch_size, "drawn": self.drawn}

    def load_state_dict(self, state: dict) -> None:
        if {**state, "drawn": self.drawn} != self.state_dict():
            raise ValueError(f"the saved order is of {state['data']}, batch {state['batch_size']}: build the same one")
        self.drawn = state["drawn"]


class Fetcher(nn.Module):
    """One head of any plug, width d; the last word's output is read."""

    def __init__(self, plug: nn.Module, n_pairs: int = 8, n_values: int = 16, d: int = 32) -> None:
        super().__init__()
        self.n_keys, self.plug = n_pairs, plug
        self.words = nn.Embedding(1 + n_pairs + n_values, d)
        self.query, self.key, self.value = (nn.Linear(d, d) for _ in range(3))
        self.output = nn.Linear(d, n_values)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, 2 n + 1) ids, k v k v … k -> (B, n_values)."""
        words = self.words(ids)
        x = torch.cat([words[:, :-1:2] + words[:, 1::2], words[:, -1:]], 1).unsqueeze(1)        # (B, 1, n + 1, d)
        found = self.plug(self.query(x), self.key(x), self.value(x))[0]
        return self.output(found[:, 0, -1])


def fetch_loss(model: Fetcher, batch: Sequences) -> Tensor:
    """Mean -log p of the right values, in nats."""
    return F.cross_entropy(model(batch.source), batch.answer)


@torch.no_grad()
def fetch_score(model: Fetcher, batch: Sequences) -> float:
    """The share of questions answered right."""
    return float((model(batch.source).argmax(-1) == batch.answer).double().mean())
