"""Attention among alike: the data decide, by buckets, which pairs are looked at. Notebook 21.

    hashing     bucket = argmax of random rotations: alike vectors share one, likely     Kitaev et al. 2020 (Reformer)
    clustering  bucket = the nearest of learned centroids                                 routing.py

Queries and keys are one vector ("shared QK"): the key projection x_i serves as query as it is and as key with length 1,
so score_ij = x_i · x_j / |x_j|, as in the authors' code; the socket's `query` is not read, W_Q lies idle. A word looks
at itself only where it finds nobody else. Several rounds of buckets are combined by their normalisers (logsumexp): a
pair found in c rounds counts c times, softmax over j of score_ij + log c_ij.

Where we differ: the paper sorts all words by bucket and cuts the row into chunks, so one more word, even a later one,
moves all the edges. Here a word looks at those of its own bucket that stand at most `window` members away in the
order of the sentence. That depends on nothing else: pads (a last bucket of their own) and the future change nothing.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.linear import check_last_places
from course_utils.attention.socket import (
    Positions,
    allowed_pairs,
    at_least_float32,
    check_socket,
    masked_softmax,
    without_autocast,
)
from course_utils.attention.windows import as_heads
from course_utils.checks import check_widths

ALONE = -5e4                                                              # a word's score with itself; float16 holds it


class BucketAttention(nn.Module):
    """Each word looks at its nearest fellows in its bucket. A subclass gives `assign`; buckets are 0 .. n_buckets - 1.

    window: how many members before (and, unless causal, after) a word, in its bucket. block: as in `banded`.
    """

    def __init__(self, n_buckets: int, window: int, block: int = 64) -> None:
        super().__init__()
        check_widths(n_buckets=n_buckets, window=window, block=block)
        self.n_buckets, self.window, self.block = n_buckets, window, block

    def _apply(self, fn, recurse=True):
        """`.half()` leaves the buffers, by which buckets are cut, in float32: rounded they would cut others."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, now in self._buffers.items():
            if now.dtype.itemsize < 4:
                self._buffers[name] = before[name].float().to(now.device)
        return self

    def assign(self, shared: Tensor) -> Tensor:
        """(B, H, N, d) -> (rounds, B, H, N) long, from each vector alone; at least float32."""
        raise NotImplementedError(f"{type(self).__name__} must define assign(shared)")

    def buckets(self, shared: Tensor, key_mask: Tensor | None) -> Tensor:
        """The same, with pads in bucket `n_buckets`."""
        with torch.no_grad(), without_autocast(shared):                   # rounded, a word would change its bucket
            buckets = self.assign(at_least_float32(shared))
        return buckets if key_mask is None else buckets.masked_fill(~key_mask.unsqueeze(1), self.n_buckets)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False, state: None = None,
    ) -> tuple[Tensor, Tensor | None, None]:
        check_socket(query, key, value, key_mask, mask, positions)
        check_last_places(query, key, positions)
        T, S = query.shape[-2], key.shape[-2]
        if T != S and not causal:
            raise ValueError(f"{T} queries and {S} keys: shared queries and keys are for self-attention only")
        x, v = as_heads(key), as_heads(value)
        k, buckets = unit(x), self.buckets(x, key_mask)
        if T == S and mask is None and not need_weights:
            context = self.by_blocks(x, k, v, buckets, causal)
            return context.reshape(*query.shape[:-1], value.shape[-1]), None, None
        counts = self.pairs(buckets, causal)[..., S - T :, :].to(x.dtype)                   # (B, H, T, S)
        allowed = allowed_pairs(x, x, mask=mask)
        counts = counts if allowed is None else counts * allowed
        scores = x[:, :, S - T :] @ k.transpose(-2, -1)
        scores = scores.masked_fill(torch.eye(S, dtype=torch.bool, device=x.device)[S - T :], ALONE)
        weights = masked_softmax(scores + counts.clamp(min=1).log(), counts > 0).view(*query.shape[:-1], S)
        return weights @ value, weights if need_weights else None, None

    def pairs(self, buckets: Tensor, causal: bool) -> Tensor:
        """(rounds, B, H, N) -> (B, H, N, N): in how many rounds a query (row) finds a key. The definition."""
        counts = torch.zeros(*buckets.shape[1:], buckets.shape[-1], device=buckets.device)
        for bucket in buckets:
            same = (bucket.unsqueeze(-1) == bucket.unsqueeze(-2)) & (bucket < self.n_buckets).unsqueeze(-1)
            rank = same.tril(-1).sum(-1)                                  # (B, H, N): members before
            back = rank.unsqueeze(-1) - rank.unsqueeze(-2)
            counts += same & (back <= self.window) & (back >= (0 if causal else -self.window))
        return counts

    def by_blocks(self, x: Tensor, k: Tensor, v: Tensor, buckets: Tensor, causal: bool) -> Tensor:
        """The same function, banded in the order of buckets; one round at a time keeps what is made small."""
        B, H, N, d = x.shape
        rows = torch.cat([x, k, v, torch.ones_like(v[..., :1])], -1).flatten(0, 2)          # (B H N, 2d + dv + 1)
        start = N * torch.arange(B * H, device=x.device).unsqueeze(1)
        found = []
        for bucket in buckets.flatten(1, 2):                              # (B H, N)
            bucket, order = bucket.sort(stable=True)                      # in a bucket, the order of the sentence
            sorted_rows = rows.index_select(0, (order + start).flatten()).view(B * H, N, -1)
            sums = self.banded(*sorted_rows.split([d, d, v.shape[-1] + 1], -1), bucket.int(), causal)
            found.append(sums.flatten(0, 1).index_select(0, (order.argsort() + start).flatten()))
        sums = torch.stack(found)                                         # (rounds, B H N, dv + 2)
        top = sums[..., -1:].detach()
        sums = (sums[..., :-1] * (top - top.amax(0)).exp2()).sum(0)        # each round by its normaliser
        total = sums[..., -1:]
        return (sums[..., :-1] / total.masked_fill(total == 0, 1.0)).view(B, H, N, -1)

    def banded(self, q: Tensor, k: Tensor, v: Tensor, bucket: Tensor, causal: bool) -> Tensor:
        """Sorted rows (B H, N, ·) -> (B H, N, dv + 2): sums of 2^(score - m) v, v ending in a 1, and m.

        Scores are counted in powers of 2: torch's exp2 is 20 times faster than its exp where most scores are -inf.
        """
        N, before, after = q.shape[1], self.window, 0 if causal else self.window
        n = -(-N // self.block)
        fill, width = n * self.block - N, self.block + before + after
        k, v = (F.pad(x, (0, 0, before, after + fill)).unfold(1, width, self.block) for x in (k, v))
        mine = F.pad(bucket, (0, fill), value=-2).view(-1, n, self.block, 1)
        theirs = bucket.masked_fill(bucket == self.n_buckets, -1)
        theirs = F.pad(theirs, (before, after + fill), value=-1).unfold(1, width, self.block).unsqueeze(2)
        step = torch.arange(width, device=q.device) - torch.arange(self.block, device=q.device).unsqueeze(1)
        band = (step >= 0) & (step <= before + after)
        bias = q.new_zeros(()).masked_fill(~band, -torch.inf).masked_fill(step == before, ALONE)
        bias = bias.where(mine == theirs, -torch.inf).flatten(0, 1)       # (B H n, block, width)
        q = F.pad(q * math.log2(math.e), (0, 0, 0, fill)).reshape(-1, self.block, q.shape[-1])
        scores = torch.baddbmm(bias, q, k.flatten(0, 1))
        m = scores.detach().amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)
        sums = (scores - m).exp2_() @ v.flatten(0, 1).transpose(-2, -1)
        return torch.cat([sums, m], -1).view(len(bucket), n * self.block, -1)[:, :N]


def unit(x: Tensor) -> Tensor:
    """(..., d) -> the same directions, of length 1; 0 stays 0 (in float16 too, which does not hold normalize's eps)."""
    return F.normalize(at_least_float32(x), dim=-1).to(x.dtype)


class HashAttention(BucketAttention):
    """Locality-sensitive hashing: which of +-r_1 .. +-r_b a vector points to most. The rotations are drawn once.

    n_buckets is the product of two even numbers where it can be: two small hashes instead of one, since a rotation
    to n_buckets directions costs N d n_buckets, which at n_buckets ~ N is the square again.
    """

    def __init__(
        self, d_head: int, n_buckets: int, rounds: int, window: int, block: int = 64, seed: int = 0
    ) -> None:
        super().__init__(n_buckets, window, block)
        check_widths(d_head=d_head, rounds=rounds)
        if n_buckets % 2:
            raise ValueError(f"n_buckets={n_buckets} must be even: a direction and its opposite are two buckets")
        self.rounds, self.halves = rounds, [size // 2 for size in factors(n_buckets)]
        rotation = torch.randn(rounds, d_head, sum(self.halves), generator=torch.Generator().manual_seed(seed))
        if sum(self.halves) <= d_head:                                    # at right angles all buckets are used alike
            rotation = torch.linalg.qr(rotation).Q
        self.register_buffer("rotation", rotation.transpose(0, 1).contiguous(), persistent=False)

    def assign(self, shared: Tensor) -> Tensor:
        turned = (shared @ self.rotation.flatten(1)).unflatten(-1, self.rotation.shape[1:])
        buckets = 0
        for part in turned.split(self.halves, -1):                        # (B, H, N, rounds, size / 2)
            buckets = buckets * 2 * part.shape[-1] + torch.cat([part, -part], -1).argmax(-1)
        return buckets.movedim(-1, 0)                                     # (rounds, B, H, N)


def factors(n_buckets: int) -> tuple[int, ...]:
    """The most equal two even factors of a number, or the number itself: 48 -> 6, 8."""
    for first in range(math.isqrt(n_buckets), 1, -1):
        if n_buckets % first == 0 and first % 2 == 0 and n_buckets // first % 2 == 0:
            return first, n_buckets // first
    return (n_buckets,)
