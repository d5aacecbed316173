"""A translator whose probabilities are written down by hand, prefix by prefix: the trees of notebook 10."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.text.vocabulary import END, PAD, Vocabulary

TWO_STEPS = {"": {"a": 0.6, "b": 0.4}, "a": {"c": 0.4, "d": 0.3, "e": 0.3}, "b": {"c": 0.9, "d": 0.1}}
SOURCE = torch.tensor([[4]])  # any sentence will do: a tree does not read it


class Prefix(NamedTuple):
    tokens: Tensor  # (B, t) long, what has been written, BEGIN first


class Source(NamedTuple):
    mask: Tensor  # (B, S)


class Tree(nn.Module):
    """Keeps the sequence-to-sequence contract. `tree`: prefix, its words separated by spaces, -> {word: probability};
    what is missing to 1 goes to END, and so does all of it after a prefix that is not listed."""

    def __init__(self, tree: Mapping[str, Mapping[str, float]]) -> None:
        super().__init__()
        self.words = Vocabulary(sorted({word for branch in tree.values() for word in branch}))
        self.tree = {tuple(self.words.encode(prefix.split())): dict(branch) for prefix, branch in tree.items()}
        for prefix, branch in tree.items():
            if min(branch.values()) < 0 or sum(branch.values()) > 1 + 1e-9:
                raise ValueError(f"after {prefix!r} the probabilities are {branch}: 0 or more each, 1 together.")
        self.hparams = dict(source_size=5, target_size=len(self.words))

    def encode(self, source: Tensor) -> Source:
        return Source(source != PAD)

    def start(self, memory: Source) -> Prefix:
        return Prefix(torch.zeros(len(memory.mask), 0, dtype=torch.long))

    def step(self, token: Tensor, state: Prefix, memory: Source) -> tuple[Tensor, Prefix, None]:
        tokens = torch.cat([state.tokens, token[:, None]], 1)
        return torch.stack([self._logits(row[1:]) for row in tokens.tolist()]), Prefix(tokens), None

    def forward(self, source: Tensor, target_in: Tensor, need_weights: bool = False):
        state, logits = self.start(self.encode(source)), []
        for token in target_in.unbind(1):
            step, state, _ = self.step(token, state, self.encode(source))
            logits.append(step)
        return (torch.stack(logits, 1), None) if need_weights else torch.stack(logits, 1)

    def _logits(self, prefix: Iterable[int]) -> Tensor:
        branch = self.tree.get(tuple(prefix), {})
        logits = torch.full((len(self.words),), -math.inf, dtype=torch.float64)
        for word, probability in branch.items():
            logits[self.words.encode([word])[0]] = math.log(probability) if probability else -math.inf
        left = 1 - sum(branch.values())
        if left > 1e-9:
            logits[END] = math.log(left)
        return logits
