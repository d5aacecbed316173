"""Sparse attention with shortcuts: a window, and a few pairs that make every path short. Notebook 20.

    longformer  window, and g global tokens that see all and are seen by all       Beltagy et al. 2020, section 3.1
    bigbird     window, g global tokens, and r blocks drawn at random              Zaheer et al. 2020, section 2

The global tokens are the first g places. What is said in windows.py holds here too: exact, causal if asked.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.windows import BLOCK, PatternAttention, as_heads, banded
from course_utils.checks import check_widths


class LongformerAttention(PatternAttention):
    """A window, and global tokens whose rows have projections of their own.

    The paper makes the global rows' queries, keys and values from the words by three more matrices D x D, which begin
    as copies of the other three. A plug sees projected words: its own three matrices, on all heads together, begin as
    identities. As a product with W_Q, W_K, W_V they reach the same matrices (where those can be inverted).
    """

    def __init__(self, window: int, n_global: int, d_model: int) -> None:
        super().__init__()
        check_widths(window=window, n_global=n_global, d_model=d_model)
        self.window, self.n_global = window, n_global
        self.own = nn.ModuleList(nn.Linear(d_model, d_model, bias=False) for _ in "qkv")
        for linear in self.own:
            nn.init.eye_(linear.weight)

    def pattern(self, queries: Tensor, keys: Tensor, real: Tensor, causal: bool) -> Tensor:
        return near_or_global(queries, keys, self.window, self.n_global)

    def fast(self, query: Tensor, key: Tensor, value: Tensor, real: Tensor, causal: bool) -> Tensor:
        rows = self.projected(query[:, :, : self.n_global], key, value)
        return banded_and_global(query, key, value, real, causal, self.window, self.n_global, rows)

    def by_table(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        local = super().by_table(query, key, value, allowed, at)
        own = super().by_table(*self.projected(query, key, value), allowed, at)
        is_global = (at < self.n_global).unsqueeze(1)                     # (T, 1)
        return tuple(torch.where(is_global, one, other) for one, other in zip(own, local, strict=True))

    def projected(self, *parts: Tensor) -> list[Tensor]:
        """Query, key and value (B, ..., N, d), each through its own matrix, all heads mixed."""
        found = []
        for linear, x in zip(self.own, parts, strict=True):
            heads = as_heads(x)                                           # (B, H, N, d)
            if heads.shape[1] * heads.shape[3] != linear.in_features:
                raise ValueError(
                    f"{heads.shape[1]} heads of width {heads.shape[3]} do not make d_model={linear.in_features}: "
                    f"build LongformerAttention with d_model={heads.shape[1] * heads.shape[3]}"
                )
            mixed = linear(heads.transpose(1, 2).flatten(2))              # (B, N, D)
            found.append(mixed.unflatten(2, heads.shape[1::2]).transpose(1, 2).reshape(x.shape))
        return found


class BigBirdAttention(PatternAttention):
    """A window, global tokens, and for each block of queries `n_random` blocks of keys. No parameters.

    The lot is drawn once, for `longest` places, from `seed`; all heads share it (the paper's have one each). A block
    takes the winners among the blocks with a real key that its window does not touch; causal: those before. So pads
    change nothing, and a causal choice does not know how long the sentence will be.
    """

    def __init__(
        self, window: int, n_global: int, n_random: int, longest: int, block: int = BLOCK, seed: int = 0
    ) -> None:
        super().__init__()
        check_widths(window=window, n_global=n_global, n_random=n_random, longest=longest, block=block)
        self.window, self.n_global, self.n_random, self.block = window, n_global, n_random, block
        n = -(-longest // block)
        lot = torch.rand(n, n, generator=torch.Generator().manual_seed(seed))
        lot = lot.argsort(-1).argsort(-1)                                 # ranks are whole numbers: half keeps them
        self.register_buffer("lot", lot, persistent=False)                # (blocks of queries, blocks of keys)

    def pattern(self, queries: Tensor, keys: Tensor, real: Tensor, causal: bool) -> Tensor:
        if max(int(queries.max()), int(keys.max())) >= real.shape[1]:
            raise ValueError(f"BigBird's blocks are drawn for places 0 to {real.shape[1] - 1}: count positions from 0")
        index, chosen = self.draw(real, causal)
        n = index.shape[1]
        blocks = torch.zeros(len(index), n, n, dtype=torch.bool, device=real.device).scatter_(2, index, chosen)
        random = blocks[:, queries // self.block][:, :, keys // self.block]                 # (B or 1, T, S)
        return random | near_or_global(queries, keys, self.window, self.n_global)

    def draw(self, real: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
        """(B or 1, N) -> for each block of queries, blocks of keys and whether they count: twice (B or 1, n, r)."""
        exists = self.blocks(real.unsqueeze(-1)).any(2).squeeze(-1)       # (B or 1, n): holds a real key
        n, reach = exists.shape[1], -(-self.window // self.block)
        if n > len(self.lot):
            raise ValueError(f"{real.shape[1]} places are more than the lot was drawn for: build with a larger longest")
        at = torch.arange(n, device=real.device)
        gap = at - at.unsqueeze(1)                                        # block of keys minus block of queries
        far = gap < -reach if causal else gap.abs() > reach
        tickets = self.lot[:n, :n].masked_fill(~(far & exists.unsqueeze(1)), -1)            # (B or 1, n, n)
        best = tickets.topk(min(self.n_random, n), -1)
        return best.indices, best.values >= 0

    def blocks(self, x: Tensor) -> Tensor:
        """(..., N, d) -> (..., n, block, d)."""
        n = -(-x.shape[-2] // self.block)
        return F.pad(x, (0, 0, 0, n * self.block - x.shape[-2])).unflatten(-2, (n, self.block))

    def fast(self, query: Tensor, key: Tensor, value: Tensor, real: Tensor, causal: bool) -> Tensor:
        (index, chosen), B = self.draw(real, causal), len(query)
        n, r = index.shape[1:]
        beyond = self.blocks(_beyond(real, self.n_global).unsqueeze(-1)).squeeze(-1)        # (B or 1, n, block)
        at = index + n * torch.arange(len(index), device=index.device).view(-1, 1, 1)
        exists = (beyond.flatten(0, 1)[at] & chosen.unsqueeze(-1)).flatten(2).unsqueeze(2)  # (B or 1, n, 1, r block)
        at = (index + n * torch.arange(B, device=index.device).view(-1, 1, 1)).flatten()    # for all B rows
        drawn = (self.blocks(x).transpose(1, 2).flatten(0, 1).index_select(0, at) for x in (key, value))
        drawn = [x.unflatten(0, (B, n, r)).transpose(2, 3).flatten(3, 4) for x in drawn]    # (B, n, H, r block, d)
        return banded_and_global(
            query, key, value, real, causal, self.window, self.n_global,
            (query[:, :, : self.n_global], key, value), self.block, [*drawn, exists],
        )


def near_or_global(queries: Tensor, keys: Tensor, window: int, n_global: int) -> Tensor:
    """Places (T,), (S,) -> (T, S)."""
    queries = queries.unsqueeze(1)
    return ((keys - queries).abs() <= window) | (keys < n_global) | (queries < n_global)


def banded_and_global(
    query: Tensor, key: Tensor, value: Tensor, real: Tensor, causal: bool, window: int, n_global: int,
    rows: list[Tensor], block: int = BLOCK, drawn: list[Tensor] | None = None,
) -> Tensor:
    """Rows of the global tokens (their queries, all keys, all values) by one call; the others banded, with the global
    keys and those `drawn` beside every block. (B, H, N, d) -> (B, H, N, d)."""
    N, g = query.shape[2], min(n_global, query.shape[2])
    n = -(-N // block)
    extra = [x[:, :, :g].unsqueeze(1).expand(-1, n, -1, -1, -1) for x in (key, value)]      # (B, n, H, g, d)
    extra.append(real[:, :g].view(-1, 1, 1, g).expand(-1, n, -1, -1))                       # (B or 1, n, 1, g)
    if drawn is not None:
        extra = [torch.cat(pair, 3) for pair in zip(extra, drawn, strict=True)]
    context = banded(query, key, value, _beyond(real, g), window, 0 if causal else window, block, extra)
    seen = real.view(-1, 1, 1, N)
    if causal:
        seen = seen & seen.new_ones(g, N).tril()
    return torch.cat([F.scaled_dot_product_attention(*rows, attn_mask=seen), context[:, :, g:]], 2)


def _beyond(real: Tensor, n_global: int) -> Tensor:
    """Real keys that are not global: those stand beside every block already, and count once."""
    return real & (torch.arange(real.shape[1], device=real.device) >= n_global)
