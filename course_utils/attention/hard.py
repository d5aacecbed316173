"""Hard attention: the context is one value, not a mixture. Notebook 09.

    argmax            the key with the largest weight; no gradient reaches the scores
    straight_through  the same, but backwards as if the weights had been soft (Bengio, Léonard, Courville 2013)
    sample            in training, a key drawn by the weights (Xu et al. 2015, section 4.1); the largest in evaluation

A draw has no gradient either. REINFORCE (Williams 1992) gives one that is right on average: with the reward
r = log p(y | s) of what was drawn,

    gradient of r  +  (r - b) · gradient of log p(s)                        Xu et al. 2015, eq. 12, without entropy

which is the gradient of `surrogate`. The baseline b changes nothing on average, but how far single draws are off.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.dense import DenseState, projected_keys
from course_utils.attention.scores import Score
from course_utils.attention.socket import Positions, allowed_pairs, at_least_float32, check_socket, masked_softmax

HOW = ("argmax", "straight_through", "sample")


class HardAttention(nn.Module):
    """Each query takes one of the keys that it may see; `weights` are a single 1. Of equal weights the first wins."""

    def __init__(self, score: Score, how: str = "straight_through") -> None:
        super().__init__()
        if how not in HOW:
            raise ValueError(f"unknown how={how!r}: one of {', '.join(map(repr, HOW))}")
        self.score, self.how = score, how

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False,
        state: DenseState | None = None,
    ) -> tuple[Tensor, Tensor | None, DenseState]:
        check_socket(query, key, value, key_mask, mask, positions)
        projected = projected_keys(self.score, key, state)
        allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=mask, positions=positions)
        soft = masked_softmax(at_least_float32(self.score.compare(query, projected)), allowed)      # (B, ..., T, S)
        weights = one_of(soft, draw=self.how == "sample" and self.training)
        if self.how == "straight_through":
            weights = weights + (soft - soft.detach())                              # adds 0, and its gradient
        weights = weights.to(value.dtype)
        return weights @ value, weights if need_weights else None, DenseState(projected)

    def log_prob(
        self, query: Tensor, key: Tensor, weights: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None,
    ) -> Tensor:
        """log p(s) of the keys that were taken, with its gradient to the scores: weights (B, ..., T, S) -> (B, ..., T).
        0 where a query had nothing to take. For `surrogate`."""
        allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=mask, positions=positions)
        scores = self.score(query, key)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        return (scores.log_softmax(-1) * weights.detach()).sum(-1)


def one_of(weights: Tensor, draw: bool = False) -> Tensor:
    """Weights (..., S) -> a single 1 in every row: at its largest weight, or drawn by them. A row of zeros stays so."""
    chances = weights.detach()
    if draw:                                                                        # log a + Gumbel noise: its argmax
        chances = chances.log() - torch.empty_like(chances).exponential_().log()    # is a draw from a
    chosen = F.one_hot(chances.argmax(-1), weights.shape[-1]).to(weights.dtype)
    return chosen * (weights.detach().amax(-1, keepdim=True) > 0)


def surrogate(reward: Tensor, log_prob: Tensor, baseline: Tensor | float = 0.0) -> Tensor:
    """To be maximised: its gradient is REINFORCE's, reward's own and (reward - baseline) times that of log_prob. All of
    one shape; as a number it means nothing."""
    return reward + (reward.detach() - baseline) * log_prob


class RunningBaseline(nn.Module):
    """b ← 0.9 b + 0.1 · the mean reward (Xu et al. 2015, section 4.1); `update` gives the b from before. A buffer: set
    as an attribute of a model, it is saved with it."""

    def __init__(self, keep: float = 0.9) -> None:
        super().__init__()
        if not 0.0 <= keep < 1.0:
            raise ValueError(f"keep={keep} must be at least 0 and below 1, the share of the old baseline that stays")
        self.keep = keep
        self.register_buffer("value", torch.zeros(()))

    def update(self, reward: Tensor) -> float:
        before = float(self.value)
        self.value.lerp_(reward.detach().mean().to(self.value), 1 - self.keep)
        return before
