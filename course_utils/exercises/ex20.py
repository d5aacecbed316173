"""Exercises of notebook 20, sparse attention. Tasks, hints and solutions stand in the checks' docstrings, mistakes in
the functions above each check; how they become cells: course_utils/exercises/checking.py."""

import torch
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge

# --- 20.1 the window as a mask ----------------------------------------------------------------------------------------


def window_mask(N: int, w: int, causal: bool) -> Tensor:
    gap = torch.arange(N) - torch.arange(N).unsqueeze(1)                  # j - i
    return (gap.abs() <= w) & ((gap <= 0) | (not causal))


def _gap(N: int) -> Tensor:
    return torch.arange(N) - torch.arange(N).unsqueeze(1)


def w_in_total(N, w, causal):
    """Here w is the number of places on each side; this reads it as the width of the whole window."""
    return window_mask(N, w // 2, causal)


def one_short(N, w, causal):
    """The window ends one place too early: a place exactly w away is still seen."""
    return window_mask(N, w, causal) & (_gap(N).abs() < w)


def never_causal(N, w, causal):
    """causal=True is not obeyed: then no place may see a later one."""
    return window_mask(N, w, False)


def always_causal(N, w, causal):
    """Without causal, a window looks to both sides; this one always looks back only."""
    return window_mask(N, w, True)


def looks_ahead(N, w, causal):
    """Rows and columns are confused when causal: row i is the place that looks, and it may see columns j ≤ i."""
    return window_mask(N, w, causal).T


def blind_to_itself(N, w, causal):
    """A place must see itself as well: j = i is missing."""
    return window_mask(N, w, causal) & (_gap(N) != 0)


def wraps_round(N, w, causal):
    """This window wraps round: the first place sees the last. Beyond the edges there is nothing."""
    gap = _gap(N).remainder(N)
    near = (gap <= w) | (gap >= N - w)
    return near & (_gap(N) <= 0) if causal else near


MISTAKES_1 = [w_in_total, one_short, never_causal, always_causal, looks_ahead, blind_to_itself, wraps_round]


@exercise("20.1", "w places on each side, and none beyond the edges.")
def check_20_1(answer):
    """**Exercise 20.1 · ●○○○○ · 6 min** - the window as a mask

    Write `window_mask(N, w, causal)`: a (N, N) bool tensor, True where place i (row) looks at place j (column): at most
    `w` places away on either side, itself included; if `causal` is True, no later place. No loop.

    Hint 1: `torch.arange(N)` as a row minus the same as a column gives j - i for all pairs.
    Hint 2: two conditions: |j - i| ≤ w, and, when causal, j - i ≤ 0.
    Solution: gap = torch.arange(N) - torch.arange(N).unsqueeze(1); near = gap.abs() <= w; return near & (gap <= 0) if
    causal else near
    """
    inputs = [(9, 3, False), (9, 3, True), (7, 2, False), (8, 2, True), (11, 4, False)]
    judge(answer, inputs, window_mask, MISTAKES_1, forbid=["a loop"])


# --- 20.2 what a band costs -------------------------------------------------------------------------------------------


def band_operations(N: int, w: int, b: int, d: int, causal: bool) -> int:
    return 2 * -(-N // b) * b * (b + (1 if causal else 2) * w) * d


def dense_cost(N, w, b, d, causal):
    """This is what all N x N pairs cost: a mask computes them and throws them away, blocks do not."""
    return 2 * N * N * d


def window_pairs_only(N, w, b, d, causal):
    """This counts the pairs of the window alone. A block computes b x its whole band, then masks the corners."""
    return 2 * int(window_mask(N, w, causal).sum()) * d


def scores_only(N, w, b, d, causal):
    """This counts the scores; the weighted sums of the values take as many operations again."""
    return band_operations(N, w, b, d, causal) // 2


def last_block_lost(N, w, b, d, causal):
    """If b does not divide N, a last block is needed for the places left over."""
    return 2 * (N // b) * b * (b + (1 if causal else 2) * w) * d


def last_block_short(N, w, b, d, causal):
    """The last block is filled up with pads, and computed whole: count b queries for it too."""
    return 2 * N * (b + (1 if causal else 2) * w) * d


def one_sided(N, w, b, d, causal):
    """Without causal, the band reaches over both ends of the block: w before it and w after it."""
    return band_operations(N, w, b, d, True)


def two_sided(N, w, b, d, causal):
    """When causal, nothing after the block is needed: its band has b + w keys."""
    return band_operations(N, w, b, d, False)


def block_left_out(N, w, b, d, causal):
    """The band of a block holds the block's own keys too: b of them besides those beyond its ends."""
    return 2 * -(-N // b) * b * (1 if causal else 2) * w * d


MISTAKES_2 = [
    dense_cost, window_pairs_only, scores_only, last_block_lost, last_block_short, one_sided, two_sided, block_left_out,
]  # fmt: skip


@exercise("20.2", "linear in N, and you know the price of the corners.")
def check_20_2(answer):
    """**Exercise 20.2 · ●●○○○ · 8 min** - what a band costs

    Write `band_operations(N, w, b, d, causal)`: the multiply-adds of a banded window in blocks of `b` queries, head
    width `d`. Each block sees its own b keys and `w` on each side (causal: only those before); the last block is filled
    up with pads; what is computed and then masked has been computed. Count the scores and the weighted sums.

    Hint 1: how many blocks cover N places, if b need not divide N?
    Hint 2: one block: b queries times (b + 2w) keys times d for the scores, and the same for the sums.
    Solution: blocks = -(-N // b); keys = b + w if causal else b + 2 * w; return 2 * blocks * b * keys * d
    """
    inputs = [(20, 3, 4, 5, False), (20, 3, 4, 5, True), (22, 2, 5, 3, False), (23, 3, 4, 2, True), (64, 1, 8, 4, 0)]
    judge(answer, inputs, band_operations, MISTAKES_2)


# --- 20.3 blocks that wrap round --------------------------------------------------------------------------------------


def _band(N: int, w: int, b: int) -> tuple[Tensor, Tensor]:
    """Places of the keys of every block (n, b + 2w), some outside; which (n, b, b + 2w) are in the window."""
    keys = torch.arange(-w, b + w) + b * torch.arange(N // b).unsqueeze(1)
    queries = torch.arange(N).view(-1, b)
    return keys, (keys.unsqueeze(1) - queries.unsqueeze(2)).abs() <= w


def _attend(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
    scores = q.unflatten(0, (len(k), -1)) @ k.transpose(1, 2) / q.shape[1] ** 0.5
    return (scores.masked_fill(~allowed, -torch.inf).softmax(-1) @ v).flatten(0, 1)


def window_attention(q: Tensor, k: Tensor, v: Tensor, w: int, b: int) -> Tensor:
    scores = q @ k.T / q.shape[1] ** 0.5
    return scores.masked_fill(~window_mask(len(q), w, False), -torch.inf).softmax(-1) @ v


def edges_wrap_round(q, k, v, w, b):
    """Keys beyond an edge are taken from the other end: the first word looks at the last. They must be left out."""
    keys, near = _band(len(q), w, b)
    at = keys.remainder(len(q))
    return _attend(q, k[at], v[at], near)


def edges_repeated(q, k, v, w, b):
    """The first and the last word stand in for all places beyond the edges, and so count several times."""
    keys, near = _band(len(q), w, b)
    at = keys.clamp(0, len(q) - 1)
    return _attend(q, k[at], v[at], near)


def zeros_looked_at(q, k, v, w, b):
    """Beyond the edges stand zeros, but they are looked at: a score of 0 is not a weight of 0. Mask them as well."""
    keys, near = _band(len(q), w, b)
    at, exists = keys.clamp(0, len(q) - 1), ((keys >= 0) & (keys < len(q))).unsqueeze(-1)
    return _attend(q, k[at] * exists, v[at] * exists, near)


def whole_band(q, k, v, w, b):
    """Every query of a block sees the block's whole band: keep the condition that |i - j| is at most w."""
    keys, near = _band(len(q), w, b)
    at, exists = keys.clamp(0, len(q) - 1), (keys >= 0) & (keys < len(q))
    return _attend(q, k[at], v[at], exists.unsqueeze(1).expand_as(near))


def within_the_block(q, k, v, w, b):
    """The blocks no longer see their neighbours: a window crosses the edges of blocks, not those of the sentence."""
    keys, near = _band(len(q), w, b)
    own = torch.zeros_like(near)
    own[:, :, w : w + b] = True
    return _attend(q, k[keys.remainder(len(q))], v[keys.remainder(len(q))], near & own)


def half_window(q, k, v, w, b):
    """This window is w wide in total; it must be w on each side."""
    return window_attention(q, k, v, w // 2, b)


MISTAKES_3 = [edges_wrap_round, edges_repeated, zeros_looked_at, whole_band, within_the_block, half_window]


@exercise("20.3", "the blocks compute what the mask says, the edges included.")
def check_20_3(answer):
    """**Exercise 20.3 · ●●●○○ · 10 min** - repair the blocks

    `window_attention(q, k, v, w, b)`: one head, `q`, `k`, `v` (N, d), N a multiple of `b`; each place sees `w` places
    on each side. It works in blocks of `b` queries, but the first words see the last ones. Repair it (blocks stay):

        def window_attention(q, k, v, w, b):
            N, d = q.shape
            queries = torch.arange(N).view(-1, b)                              # (n, b)
            places = queries[:, :1] + torch.arange(-w, b + w)                  # (n, b + 2w)
            allowed = (places.unsqueeze(1) - queries.unsqueeze(2)).abs() <= w  # (n, b, b + 2w)
            keys, values = k[places % N], v[places % N]                        # (n, b + 2w, d)
            scores = q.view(-1, b, d) @ keys.transpose(1, 2) / d**0.5
            return (scores.masked_fill(~allowed, -torch.inf).softmax(-1) @ values).view(N, d)

    Hint 1: which entries of `places` are no places at all?
    Hint 2: `%` may stay, if what it fetched is never allowed.
    Solution: exists = (places >= 0) & (places < N); allowed = allowed & exists.unsqueeze(1); the rest stays.
    """
    rng = fresh()
    inputs = []
    for N, w, b, d in ((12, 2, 3, 4), (12, 3, 4, 2), (20, 3, 5, 3)):
        inputs.append((*(torch.randn(N, d, generator=rng) for _ in range(3)), w, b))
    judge(answer, inputs, window_attention, MISTAKES_3, planted=edges_wrap_round,
          table=lambda q, k, v, w, b: (len(q), len(q)))  # fmt: skip


# --- 20.4 reach -------------------------------------------------------------------------------------------------------


def reach(pattern: Tensor, L: int) -> Tensor:
    step = pattern | torch.eye(len(pattern), dtype=torch.bool)
    found = torch.eye(len(pattern), dtype=torch.bool)
    for _ in range(L):
        found = step.float() @ found.float() > 0
    return found


def _walks(pattern: Tensor, L: int) -> Tensor:
    return torch.linalg.matrix_power(pattern.float(), L)


def without_the_residual(pattern, L):
    """This asks for ways of exactly L looks. A residual stream keeps what is there: add the identity to the pattern."""
    return _walks(pattern, L) > 0


def one_look(pattern, L):
    """This is what one layer sees; each further layer sees what those have seen."""
    return reach(pattern, 1)


def a_layer_too_many(pattern, L):
    """This is one layer too many: L layers are L products, beginning at the identity."""
    return reach(pattern, L + 1)


def a_layer_too_few(pattern, L):
    """This is one layer too few: L layers are L products, beginning at the identity."""
    return reach(pattern, L - 1)


def other_way_round(pattern, L):
    """Rows and columns are swapped: row i says what place i can know, not who can know of it."""
    return reach(pattern, L).T


def number_of_ways(pattern, L):
    """These are numbers of ways; asked is whether there is one: bool."""
    return _walks(pattern | torch.eye(len(pattern), dtype=torch.bool), L)


MISTAKES_4 = [
    without_the_residual, one_look, a_layer_too_many, a_layer_too_few, other_way_round, number_of_ways,
]  # fmt: skip


@exercise("20.4", "a power of the pattern says how far information can travel.")
def check_20_4(answer):
    """**Exercise 20.4 · ●●○○○ · 8 min** - how far do L layers reach?

    Write `reach(pattern, L)`: `pattern` (N, N) bool, row i what place i looks at. Return (N, N) bool: True where the
    word at j can change the output at i after `L` layers. Each layer has a residual connection: a place keeps itself.

    Hint 1: two layers: i reaches j if it looks at some m that looks at j. That is a matrix product.
    Hint 2: L times: `step.float() @ found.float() > 0`, where `step` is the pattern and the identity.
    Solution: step = pattern | torch.eye(len(pattern), dtype=torch.bool); return
    torch.linalg.matrix_power(step.double(), L) > 0
    """
    rng = fresh()
    chain = torch.zeros(9, 9, dtype=torch.bool)
    chain[torch.arange(1, 9), torch.arange(8)] = True                     # each looks at the place before it only
    sparse = torch.rand(12, 12, generator=rng) < 0.1
    judge(answer, [(chain, 3), (chain, 5), (sparse, 2), (chain.T | chain, 2)], reach, MISTAKES_4)


# --- 20.5 global tokens -----------------------------------------------------------------------------------------------


def with_global(pattern: Tensor, places: list[int]) -> Tensor:
    found = pattern.clone()
    found[places] = True
    found[:, places] = True
    return found


def sees_all_only(pattern, places):
    """The global tokens see all, but nobody sees them: what they gather stays with them. Fill their columns too."""
    found = pattern.clone()
    found[places] = True
    return found


def seen_by_all_only(pattern, places):
    """All see the global tokens, but these see only their window: fill their rows too."""
    found = pattern.clone()
    found[:, places] = True
    return found


def the_first_places(pattern, places):
    """The first places are made global, as many as there are in the list; the list says which."""
    return with_global(pattern, list(range(len(places))))


def corners_only(pattern, places):
    """Only the pairs of two global tokens are added: a global token meets everybody."""
    found = pattern.clone()
    found[torch.tensor(places).unsqueeze(1), torch.tensor(places)] = True
    return found


def pattern_lost(pattern, places):
    """The pattern itself is lost: global tokens come on top of it."""
    return with_global(torch.zeros_like(pattern), places)


MISTAKES_5 = [sees_all_only, seen_by_all_only, the_first_places, corners_only, pattern_lost]


@exercise("20.5", "from anywhere to anywhere in two looks.")
def check_20_5(answer):
    """**Exercise 20.5 · ●●○○○ · 6 min** - global tokens, both ways

    Write `with_global(pattern, places)`: `pattern` (N, N) bool, `places` a list of places (ints). Return a new pattern
    in which those places look at everything and everything looks at them. Do not change `pattern` itself.

    Hint 1: a place that sees all is a full row; a place that all see is a full column.
    Hint 2: work on `pattern.clone()`; a list is an index: `found[places] = True`.
    Solution: found = pattern.clone(); found[places] = True; found[:, places] = True; return found
    """
    inputs = [(window_mask(9, 1, False), [4]), (window_mask(8, 2, False), [2, 6]), (window_mask(10, 0, False), [9])]
    judge(answer, inputs, with_global, MISTAKES_5)


# --- 20.6 random blocks -----------------------------------------------------------------------------------------------


def random_blocks(tickets: Tensor, r: int, b: int) -> Tensor:
    n = len(tickets)
    chosen = torch.zeros(n, n, dtype=torch.bool)
    for block in range(n):
        others = [k for k in range(n) if abs(k - block) > 1]
        chosen[block, sorted(others, key=lambda k: -float(tickets[block, k]))[:r]] = True
    return _spread(chosen, b)


def _spread(chosen: Tensor, b: int) -> Tensor:
    """(n, n) pairs of blocks -> (n b, n b) pairs of places."""
    return chosen.repeat_interleave(b, 0).repeat_interleave(b, 1)


def _winners(tickets: Tensor, r: int, b: int, dim: int = 1) -> Tensor:
    """Those with the largest tickets along `dim`, spread over places."""
    chosen = torch.zeros_like(tickets, dtype=torch.bool)
    return _spread(chosen.scatter(dim, tickets.topk(r, dim).indices, True), b)


def _far(tickets: Tensor) -> Tensor:
    return _gap(len(tickets)).abs() > 1


def neighbours_drawn(tickets, r, b):
    """A block may win itself or a neighbour here; the window sees those anyway: leave them out before drawing."""
    return _winners(tickets, r, b)


def itself_left_out_only(tickets, r, b):
    """Only the block itself is left out; its two neighbours lie in the window too."""
    return _winners(tickets.masked_fill(_gap(len(tickets)) == 0, -torch.inf), r, b)


def neighbours_hold_zero(tickets, r, b):
    """Blocks that may not win keep a ticket of 0, and 0 is larger than a negative ticket: give them -inf."""
    return _winners(tickets.masked_fill(~_far(tickets), 0.0), r, b)


def smallest_win(tickets, r, b):
    """The smallest tickets win here; asked for are the largest."""
    return _winners((-tickets).masked_fill(~_far(tickets), -torch.inf), r, b)


def keys_draw(tickets, r, b):
    """The columns draw: r blocks of queries for each block of keys. Row I belongs to block I of queries: it draws."""
    return _winners(tickets.masked_fill(~_far(tickets), -torch.inf), r, b, 0)


def both_ways(tickets, r, b):
    """Each drawn pair counts in both directions here. That I sees J does not let J see I; only global tokens do so."""
    found = random_blocks(tickets, r, b)
    return found | found.T


def one_lot_for_all(tickets, r, b):
    """All blocks draw with the tickets of the first row, so nearly all see the same ones: those would be global."""
    return _winners(tickets[:1].expand_as(tickets).masked_fill(~_far(tickets), -torch.inf), r, b)


def tiled(tickets, r, b):
    """The table of blocks is laid side by side b times; each of its entries must become a b x b square instead."""
    return random_blocks(tickets, r, 1).repeat(b, b)


MISTAKES_6 = [
    neighbours_drawn, itself_left_out_only, neighbours_hold_zero, smallest_win, keys_draw, both_ways, one_lot_for_all,
    tiled,
]  # fmt: skip


@exercise("20.6", "drawn by blocks, and nothing that the window sees already.")
def check_20_6(answer):
    """**Exercise 20.6 · ●●●○○ · 10 min** - BigBird's random blocks

    Write `random_blocks(tickets, r, b)`: n blocks of b places; `tickets` (n, n) numbers of any sign, row I the lots
    that block I of queries holds for each block of keys. It sees the `r` blocks with the largest tickets, itself and
    its two neighbours left out (the window sees those). Return the pattern (n b, n b) bool.

    Hint 1: give the blocks with |I - J| ≤ 1 a ticket of -inf, then take topk(r, 1).indices.
    Hint 2: a pair of blocks is b x b pairs of places: repeat_interleave(b, 0), and along dimension 1.
    Solution: gap = torch.arange(n) - torch.arange(n).unsqueeze(1); tickets = tickets.masked_fill(gap.abs() <= 1,
    -torch.inf); chosen = torch.zeros(n, n).scatter(1, tickets.topk(r, 1).indices, 1.0).bool(); return
    chosen.repeat_interleave(b, 0).repeat_interleave(b, 1)
    """
    rng = fresh()
    inputs = [(torch.randn(n, n, generator=rng), r, b) for n, r, b in ((6, 2, 3), (7, 3, 2), (8, 1, 4), (9, 2, 2))]
    judge(answer, inputs, random_blocks, MISTAKES_6)


def by_kron(tickets, r, b):
    chosen = torch.zeros_like(tickets)
    for block, row in enumerate(tickets.tolist()):
        others = [k for k in range(len(row)) if k not in (block - 1, block, block + 1)]
        for k in sorted(others, key=row.__getitem__)[len(others) - r :]:
            chosen[block, k] = 1
    return torch.kron(chosen, torch.ones(b, b)).bool()


def by_topk(tickets, r, b):
    return _winners(tickets.masked_fill(~_far(tickets), -torch.inf), r, b)


def by_difference(N, w, causal):
    gap = torch.arange(N).unsqueeze(1) - torch.arange(N)                  # i - j
    return (gap >= (0 if causal else -w)) & (gap <= w)


def _by_lists(N, w, causal):
    return torch.tensor([[abs(i - j) <= w and (j <= i or not causal) for j in range(N)] for i in range(N)])


def _blocks_by_slices(q, k, v, w, b):
    """Right, block after block."""
    rows = []
    for start in range(0, len(q), b):
        first, end = max(0, start - w), min(len(q), start + b + w)
        far = (torch.arange(start, start + b).unsqueeze(1) - torch.arange(first, end)).abs() > w
        scores = q[start : start + b] @ k[first:end].T / q.shape[1] ** 0.5
        rows.append(scores.masked_fill(far, -torch.inf).softmax(-1) @ v[first:end])
    return torch.cat(rows)


def by_power(pattern, L):
    step = (pattern | torch.eye(len(pattern), dtype=torch.bool)).double()
    return torch.linalg.matrix_power(step, L) > 0


def by_repaired_blocks(q, k, v, w, b):
    keys, near = _band(len(q), w, b)
    exists = ((keys >= 0) & (keys < len(q))).unsqueeze(1)
    at = keys.remainder(len(q))
    return _attend(q, k[at], v[at], near & exists)


def by_blocks(N, w, b, d, causal):
    total = 0
    for _ in range(0, N, b):
        total += b * (w + b + (0 if causal else w)) * d                   # scores
        total += b * (w + b + (0 if causal else w)) * d                   # sums
    return float(total)


def by_or(pattern, places):
    chosen = torch.tensor([k in places for k in range(len(pattern))])
    return pattern | chosen.unsqueeze(0) | chosen.unsqueeze(1)


CHECKS = {
    "20_1": Check(check_20_1, [window_mask, by_difference],
                  [*gallery(MISTAKES_1), ("lists", _by_lists, "there is a loop in your function")]),
    "20_2": Check(check_20_2, [band_operations, by_blocks], gallery(MISTAKES_2)),
    "20_3": Check(check_20_3, [by_repaired_blocks, _blocks_by_slices],
                  [*gallery(MISTAKES_3), ("no blocks", window_attention, "the task allows no 12 x 12 table")],
                  stub=edges_wrap_round),
    "20_4": Check(check_20_4, [reach, by_power], gallery(MISTAKES_4)),
    "20_5": Check(check_20_5, [with_global, by_or], gallery(MISTAKES_5)),
    "20_6": Check(check_20_6, [random_blocks, by_kron, by_topk], gallery(MISTAKES_6)),
}  # fmt: skip
