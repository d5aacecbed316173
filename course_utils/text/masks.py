"""Boolean masks: True means "a real token" or "may attend", everywhere in the course. Taught in notebooks 02 and 13."""

import torch
from torch import Tensor

from course_utils.text.vocabulary import PAD


def padding_mask(ids: Tensor) -> Tensor:
    """(B, T) ids -> (B, T) bool, True on real tokens."""
    return ids != PAD


def causal_mask(T: int, S: int | None = None) -> Tensor:
    """(T, S) bool: query t may attend to key s only if s is not later. With S > T the queries are the last T of the
    S positions (keys kept from earlier steps), so query t stands at position S - T + t."""
    S = T if S is None else S
    if T < 1 or S < T:
        raise ValueError(f"causal_mask(T={T}, S={S}): needs 1 <= T <= S, the queries are the last T of S positions.")
    return torch.ones(T, S, dtype=torch.bool).tril(S - T)
