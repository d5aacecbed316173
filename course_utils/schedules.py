"""Scheduled sampling: how the share of right words that a decoder reads in training falls. Notebook 10.

A schedule is called with the number of updates already made and returns ε, the chance that an input word is the right
one; `train(…, teacher_forcing=schedule)` throws that coin for every token (Bengio et al. 2015, section 2.4). They are
frozen dataclasses, so that a checkpoint can note which one it was made with.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LinearDecay:
    """ε_i = max(least, start - drop · i)."""

    drop: float
    start: float = 1.0
    least: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.least <= self.start <= 1 and self.drop >= 0):
            raise ValueError(f"{self}: needed are 0 <= least <= start <= 1 and drop >= 0.")

    def __call__(self, update: int) -> float:
        return max(self.least, self.start - self.drop * update)


@dataclass(frozen=True)
class ExponentialDecay:
    """ε_i = k^i, k < 1."""

    k: float

    def __post_init__(self) -> None:
        if not 0 < self.k < 1:
            raise ValueError(f"{self}: needed is 0 < k < 1.")

    def __call__(self, update: int) -> float:
        return self.k**update


@dataclass(frozen=True)
class InverseSigmoidDecay:
    """ε_i = k / (k + exp(i / k)), k >= 1: k / (k + 1) at first, one half at i = k ln k."""

    k: float

    def __post_init__(self) -> None:
        if not self.k >= 1:
            raise ValueError(f"{self}: needed is k >= 1.")

    def __call__(self, update: int) -> float:
        x = update / self.k - math.log(self.k)  # ε = 1 / (1 + exp x); exp(-x) cannot overflow where x > 0
        return 1 / (1 + math.exp(x)) if x < 0 else math.exp(-x) / (1 + math.exp(-x))
