"""Relative attention with a memory of earlier segments. Notebook 23; Dai et al. 2019, section 3.3.

    e_ij = (q_i + u)·k_j + (q_i + v)·(W_R r_{i-j})        weights = softmax(e / sqrt(d))

r are sinusoids of the distance i - j; u and v stand for the query's own place: a word far back is as far from every
query. Queries stand at the last places of the keys, so keys of a memory simply come first: distances do not need to
know where a segment began. `course_utils/models/transformer_xl.py` keeps that memory.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.linear import check_last_places
from course_utils.attention.positions import SinusoidalPositions
from course_utils.attention.scores import xavier
from course_utils.attention.socket import Positions, allowed_pairs, check_socket, masked_softmax
from course_utils.checks import check_equal_widths, check_widths


class XLAttention(nn.Module):
    """u, v (H, 1, d) and W_R (D -> D = H d) for one layer (the paper ties u and v over layers). r has width D."""

    def __init__(self, n_heads: int, d_head: int) -> None:
        super().__init__()
        check_widths(n_heads=n_heads, d_head=d_head)
        self.n_heads, width = n_heads, n_heads * d_head
        self.u, self.v = (nn.Parameter(torch.empty(n_heads, 1, d_head).normal_(std=d_head**-0.5)) for _ in range(2))
        self.sinusoids = SinusoidalPositions(width, "halves")
        self.W_R = xavier(nn.Linear(width, width, bias=False))

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False, state: None = None,
    ) -> tuple[Tensor, Tensor | None, None]:
        check_socket(query, key, value, key_mask, mask, positions)
        check_equal_widths(query, key)
        check_last_places(query, key, positions)
        if query.ndim != 4 or query.shape[1] != self.n_heads:
            raise ValueError(f"made for {self.n_heads} heads, (batch, heads, length, width); got {tuple(query.shape)}")
        allowed = allowed_pairs(query, key, key_mask=key_mask, causal=causal, mask=mask, positions=positions)
        n, scale = query.shape[-2], query.shape[-1] ** -0.5
        far = self.far(n, key.shape[-2], causal).to(query)                # (distances, D)
        far = self.W_R(far).unflatten(-1, (self.n_heads, -1)).transpose(0, 1)                 # (H, distances, d)
        by_distance = ((query + self.v) * scale) @ far.transpose(-2, -1)  # (B, H, T, distances)
        if causal:
            by_distance = F.pad(by_distance, (0, n))                      # later keys: any number, they are forbidden
        scores = ((query + self.u) * scale) @ key.transpose(-2, -1) + shifted(by_distance)
        weights = masked_softmax(scores, allowed)                         # (B, H, T, S)
        return weights @ value, weights if need_weights else None, None

    def far(self, n_queries: int, n_keys: int, causal: bool) -> Tensor:
        """Sinusoids of the distances from n_keys - 1 down to 0, or down to -n_queries: (distances, D) float64."""
        return self.sinusoids(torch.arange(n_keys - 1, -1 if causal else -n_queries - 1, -1))


def shifted(by_distance: Tensor) -> Tensor:
    """(..., T, S + T), column c for distance S - 1 - c -> (..., T, S), column j for key j.

    Row i has to begin at column T - 1 - i. Read flat and cut into rows one number shorter, each row begins one earlier
    than the row above (the trick of appendix B; no index is made).
    """
    n, columns = by_distance.shape[-2:]
    return by_distance.flatten(-2)[..., n - 1 : -1].unflatten(-1, (n, columns - 1))[..., : columns - n]
