"""Attention to the own block and to one more, chosen by a learned sort of blocks. Notebook 21.

Tay et al. 2020 (Sparse Sinkhorn Attention), sections 3-4. A small net scores every pair of blocks from their mean
keys; Sinkhorn's iterations make of these scores a table R whose rows and columns sum to 1, a soft permutation; block i
attends to itself and to Σ_j R_ij (block j), keys *and* values mixed alike. What is learned is a sort of blocks, not of
pairs.

Causal: block i receives blocks before it only, judged by the keys up to its own first word; and the columns are brought
to 1 by running sums down the rows, since a plain column sum would tell early rows about late ones.

Where we differ: the net is one matrix, (mean key of i) W (mean key of j), so that any number of blocks will do (the
paper's has one output a block); both halves share one softmax; no Gumbel noise. Pads have no part in means, in R or in
mixed blocks: a slot real in part, m = Σ_j R_ij [slot real in j], counts m times, and is the mean of its real words.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.linear import check_last_places
from course_utils.attention.socket import Positions, at_least_float32, check_socket, masked_softmax
from course_utils.attention.windows import as_heads
from course_utils.checks import check_equal_widths, check_widths

NEVER = -1e9                                                              # log of a forbidden entry, finite


class SinkhornAttention(nn.Module):
    """Blocks of `block` words, sorted by `iterations` rounds of Sinkhorn's; sharper with a lower `temperature`.

    The matrix W is shared by all heads.
    """

    def __init__(self, d_head: int, block: int, iterations: int = 8, temperature: float = 0.75) -> None:
        super().__init__()
        check_widths(d_head=d_head, block=block, iterations=iterations)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} must be positive")
        self.block, self.iterations, self.temperature = block, iterations, temperature
        self.W = nn.Linear(d_head, d_head, bias=False)
        nn.init.xavier_uniform_(self.W.weight)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False, state: None = None,
    ) -> tuple[Tensor, Tensor | None, None]:
        check_socket(query, key, value, key_mask, mask, positions)
        check_equal_widths(query, key)
        check_last_places(query, key, positions)
        T, S = query.shape[-2], key.shape[-2]
        if mask is not None:
            raise ValueError("a mixed block has no single pairs to forbid: leave out mask, use key_mask or causal")
        if T != S and not causal:
            raise ValueError(f"{T} queries and {S} keys: a sort of blocks is for self-attention only")
        n = -(-S // self.block)
        fill, early = n * self.block - S, S - T                           # queries not asked for stand as zeros
        q, k, v = (
            F.pad(as_heads(x), (0, 0, front, fill)).unflatten(2, (n, self.block))
            for x, front in ((query, early), (key, 0), (value, 0))
        )                                                                 # (B, H, n, block, d)
        exists = None
        if key_mask is not None or fill:
            exists = key.new_ones(len(key), S, dtype=torch.bool) if key_mask is None else key_mask
            exists = F.pad(exists, (0, fill)).view(-1, 1, n, self.block).expand(k.shape[:4])
            k, v = (x.masked_fill(~exists.unsqueeze(-1), 0.0) for x in (k, v))
        R = self.sort(k, exists, causal)                                  # (B, H, n, n)
        context, weights = self.attend(q, k, v, exists, R, causal, need_weights)
        context = context.flatten(2, 3)[:, :, early:S].reshape(*query.shape[:-1], value.shape[-1])
        if weights is not None:
            weights = weights[:, :, early:S, :S].reshape(*query.shape[:-1], S)
        return context, weights, None

    def sort(self, key: Tensor, exists: Tensor | None, causal: bool) -> Tensor:
        """Keys (B, H, n, block, d), 0 at pads -> R (B, H, n, n): rows receive, columns are sent; 0 where forbidden."""
        exists = key.new_ones(key.shape[:4], dtype=torch.bool) if exists is None else exists
        held, sums = exists.sum(-1, keepdim=True), at_least_float32(key).sum(-2)            # (B, H, n, 1), (B, H, n, d)
        sent = sums / held.clamp(min=1)
        allowed = (held > 0).transpose(-2, -1) & (held > 0)               # blocks of pads neither send nor receive
        receiving = sent
        if causal:
            n = key.shape[2]
            seen = sums.cumsum(2) - sums + key[:, :, :, 0]                # all blocks before, and the own first word
            receiving = seen / (held.cumsum(2) - held + exists[..., :1]).clamp(min=1)
            allowed = (held > 0).transpose(-2, -1) & held.new_ones(n, n, dtype=torch.bool).tril(-1)
        receiving, sent = receiving.to(key.dtype), sent.to(key.dtype)
        logits = self.W(receiving) @ sent.transpose(-2, -1) / (key.shape[-1] ** 0.5 * self.temperature)
        return sinkhorn(at_least_float32(logits), allowed, self.iterations, causal).to(key.dtype)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, exists: Tensor | None, R: Tensor, causal: bool, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Blocks and R -> context (B, H, n, block, dv), weights (B, H, N, N) | None. exists None: no pads."""
        n, block, d = k.shape[2:]
        past = torch.arange(n, device=q.device).view(n, 1, 1) > 0         # causal: the first block receives nothing
        allowed = torch.cat([q.new_ones(n, block, block, dtype=torch.bool), past.expand(n, block, block)], -1)
        allowed[..., :block].tril_()
        if exists is None and not need_weights:
            mixed = (R @ torch.cat([k, v], -1).flatten(3)).unflatten(3, (block, -1))
            keys, values = torch.cat([k, mixed[..., :d]], 3), torch.cat([v, mixed[..., d:]], 3)
            inputs = (x.flatten(0, 1) for x in (q, keys, values))
            context = F.scaled_dot_product_attention(*inputs, attn_mask=allowed.unsqueeze(0) if causal else None)
            return context.unflatten(0, q.shape[:2]), None
        exists = q.new_ones(k.shape[:4], dtype=torch.bool) if exists is None else exists
        mixed = (R @ torch.cat([k, v, exists.unsqueeze(-1).to(k.dtype)], -1).flatten(3)).unflatten(3, (block, -1))
        m = mixed[..., -1]                                                # (B, H, n, block): how real a mixed slot is
        share = m.masked_fill(m == 0, 1.0)
        mixed = mixed / share.unsqueeze(-1)
        keys, values = torch.cat([k, mixed[..., :d]], 3), torch.cat([v, mixed[..., d:-1]], 3)   # (B, H, n, 2 block, .)
        there = torch.cat([exists, m > 0], -1).unsqueeze(3)               # (B, H, n, 1, 2 block)
        allowed = there & allowed if causal else there.expand(-1, -1, -1, block, -1)
        scores = q * d**-0.5 @ keys.transpose(-2, -1) + torch.cat([torch.zeros_like(m), share.log()], -1).unsqueeze(3)
        weights = masked_softmax(scores, allowed)                         # (B, H, n, block, 2 block)
        if not need_weights:
            return weights @ values, None
        own, received = weights.split(block, -1)                          # a slot's weight goes to its words
        spread = torch.einsum("bhips,bhij,bhjs->bhipjs", received / share.unsqueeze(3), R, exists.to(R.dtype))
        at = torch.arange(n, device=q.device)
        spread[:, :, at, :, at] = spread[:, :, at, :, at] + own.permute(2, 0, 1, 3, 4)
        return weights @ values, spread.flatten(4).flatten(2, 3)


def sinkhorn(logits: Tensor, allowed: Tensor, iterations: int, causal: bool = False) -> Tensor:
    """(..., n, n) -> rows sum to 1 (those with an allowed entry), columns nearly; in logs. Causal: see above."""
    logits = logits.masked_fill(~allowed, NEVER)
    for _ in range(iterations):
        columns = logits.logcumsumexp(-2) if causal else logits.logsumexp(-2, keepdim=True)
        logits = (logits - columns).masked_fill(~allowed, NEVER)
        logits = (logits - logits.logsumexp(-1, keepdim=True)).masked_fill(~allowed, NEVER)
    return logits.exp().masked_fill(~allowed, 0.0)
