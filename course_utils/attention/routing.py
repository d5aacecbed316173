"""Attention among alike by clustering: the buckets are the nearest of learned centroids. Notebook 21.

Roy et al. 2021 (Routing Transformer), section 4. Queries and keys are one vector, as the paper has it for causal
models, and so it is the Reformer's attention (hashing.py) with other buckets: learned, not drawn. The centroids follow
the vectors by moving averages (online k-means), in training mode, after each call: attention's gradient does not reach
them. Each head has its own.

Where we differ: in the paper each centroid takes the k vectors nearest to it out of the whole sentence, so later words
push earlier ones out, and a causal model reads the future. Here each word goes to its nearest centroid, whoever else
is there, and looks at members at most `window` away (hashing.py).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.attention.hashing import BucketAttention
from course_utils.attention.socket import at_least_float32, without_autocast
from course_utils.checks import check_widths


class ClusterAttention(BucketAttention):
    """Buckets by centroids (H, n_buckets, d) of length 1; `decay` of the moving average, 1 to leave them alone.

    The centroids begin as random directions and are saved with the model.
    """

    def __init__(
        self, d_head: int, n_heads: int, n_buckets: int, window: int, block: int = 64, decay: float = 0.999,
        seed: int = 0,
    ) -> None:
        super().__init__(n_buckets, window, block)
        check_widths(d_head=d_head, n_heads=n_heads)
        if not 0 <= decay <= 1:
            raise ValueError(f"decay={decay} must lie between 0 (forget at once) and 1 (never move)")
        self.decay, generator = decay, torch.Generator().manual_seed(seed)
        self.register_buffer(
            "centroids", F.normalize(torch.randn(n_heads, n_buckets, d_head, generator=generator), dim=-1)
        )

    def assign(self, shared: Tensor) -> Tensor:
        if shared.shape[1::2] != self.centroids.shape[::2]:
            raise ValueError(
                f"made for {len(self.centroids)} heads of width {self.centroids.shape[2]}, got {tuple(shared.shape)}"
            )
        return (shared @ self.centroids.transpose(1, 2)).argmax(-1).unsqueeze(0)            # all of one length: nearest

    def buckets(self, shared: Tensor, key_mask: Tensor | None) -> Tensor:
        buckets = super().buckets(shared, key_mask)
        if self.training and self.decay < 1:
            with without_autocast(shared):
                self.follow(at_least_float32(shared), buckets[0])
        return buckets

    @torch.no_grad()
    def follow(self, shared: Tensor, buckets: Tensor) -> None:
        """Move each centroid towards the mean of its vectors, as long as 1; pads have no centroid."""
        member = F.one_hot(buckets, self.n_buckets + 1)[..., : self.n_buckets].to(shared.dtype)     # (B, H, N, buckets)
        sums = (member.transpose(2, 3) @ F.normalize(shared, dim=-1)).sum(0)                # (H, buckets, d)
        counts = member.sum((0, 2)).unsqueeze(-1)                                           # (H, buckets, 1)
        moved = F.normalize(self.decay * self.centroids + (1 - self.decay) * sums / counts.clamp(min=1), dim=-1)
        self.centroids.copy_(torch.where(counts > 0, moved, self.centroids))
