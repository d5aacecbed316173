"""Sparse plugs by place: banded equals masked dense, in outputs and gradients; who sees whom, pair by pair."""

import functools

import pytest
import torch
from plug_checks import (
    call,
    drawn,
    pads_do_not_matter,
    ragged,
    same,
    same_function,
    the_future_does_not_matter,
    vectors,
)

from course_utils.attention.global_tokens import BigBirdAttention, LongformerAttention
from course_utils.attention.windows import StridedAttention, WindowAttention, banded

D, H = 4, 2
PLUGS = {
    "window of 1": lambda: WindowAttention(1),
    "window of 5": lambda: WindowAttention(5),
    "window longer than the sentence": lambda: WindowAttention(500),
    "stride of 1": lambda: StridedAttention(1),
    "stride of 3": lambda: StridedAttention(3),
    "stride longer than the sentence": lambda: StridedAttention(200),
    "longformer": lambda: LongformerAttention(5, 3, D * H),
    "longformer, all global": lambda: LongformerAttention(2, 500, D * H),
    "bigbird": lambda: BigBirdAttention(5, 3, 2, longest=300, block=8),
    "bigbird, more random blocks than there are": lambda: BigBirdAttention(3, 1, 40, longest=300, block=16),
}


def sees(name, plug, i, j, N, causal, real):
    """May place i look at place j? From the papers' words, not from the code."""
    if not real[j] or causal and j > i:
        return False
    if name.startswith("window"):
        return abs(i - j) <= plug.window
    if name.startswith("stride"):
        return (i - j) % plug.stride == 0
    if abs(i - j) <= plug.window or i < plug.n_global or j < plug.n_global:
        return True
    return name.startswith("bigbird") and j // plug.block in lot(plug, i // plug.block, N, causal, tuple(real))


@functools.cache
def lot(plug, mine, N, causal, real):
    """The blocks of keys drawn by a block of queries: those with the best tickets of all that are allowed."""
    reach = -(-plug.window // plug.block)
    far = [
        b for b in range(-(-N // plug.block))
        if (mine - b if causal else abs(mine - b)) > reach and any(real[b * plug.block : (b + 1) * plug.block])
    ]  # fmt: skip
    return sorted(far, key=lambda b: -float(plug.lot[mine, b]))[: plug.n_random]


def dense(name, plug, q, k, v, mask, causal):
    """By a table of pairs and softmax; Longformer's global rows by their own matrices."""
    B, _, N, d = q.shape
    pairs = [[[sees(name, plug, i, j, N, causal, real) for j in range(N)] for i in range(N)] for real in mask.tolist()]
    pairs = torch.tensor(pairs).unsqueeze(1)                              # (B, 1, N, N)
    out = softmaxed(q, k, v, pairs)
    if name.startswith("longformer"):
        own = [
            (x.transpose(1, 2).reshape(B, N, H * d) @ m.weight.T).view(B, N, H, d).transpose(1, 2)
            for m, x in zip(plug.own, (q, k, v), strict=True)
        ]
        g = plug.n_global
        out = torch.cat([softmaxed(*own, pairs)[:, :, :g], out[:, :, g:]], 2)
    return out


def softmaxed(q, k, v, pairs):
    scores = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).masked_fill(~pairs, -torch.inf)
    weights = torch.where(pairs.any(-1, keepdim=True), scores, 0.0).softmax(-1).masked_fill(~pairs, 0.0)
    return weights @ v


def built(name):
    plug = drawn(PLUGS[name])
    for parameter in plug.parameters():                                   # they begin as identities
        parameter.data += 0.3 * vectors(*parameter.shape)
    return plug


@pytest.mark.parametrize("N", [1, 40, 64, 131])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", PLUGS)
def test_equals_dense_attention_under_its_pattern(name, causal, N):
    plug = built(name)
    for mask in (None, ragged(N)) if N in (40, 131) else (None,):
        real = torch.ones(3, N, dtype=torch.bool) if mask is None else mask
        same_function(
            lambda q, k, v, m=mask: plug(q, k, v, causal=causal, key_mask=m)[0],
            lambda q, k, v, m=real: dense(name, plug, q, k, v, m, causal),
            call(N, N), tuple(plug.parameters()),
        )  # fmt: skip


@pytest.mark.parametrize("name", PLUGS)
def test_future_pads_and_cached_keys(name):
    plug = built(name)
    the_future_does_not_matter(plug)
    for causal in (False, True):
        pads_do_not_matter(plug, causal)


@torch.no_grad()
def test_queries_over_cached_keys_positions_and_masks():
    q, k, v = call(40, 40)
    for plug in map(built, PLUGS):
        whole = plug(q, k, v, causal=True)[0]
        same(plug(q[:, :, -7:], k, v, causal=True)[0], whole[:, :, -7:], "the last 7 queries")
        where = torch.arange(40)
        same(plug(q, k, v, causal=True, positions=(where, where))[0], whole, "positions as they are")
        mask = torch.ones(40, 40, dtype=torch.bool).tril()
        same(plug(q, k, v, mask=mask)[0] if not isinstance(plug, BigBirdAttention) else whole, whole, "causal by mask")
    flat = WindowAttention(5)(*(x[:, 0] for x in (q, k, v)))[0]           # no heads: (B, N, d)
    same(flat, WindowAttention(5)(q, k, v)[0][:, 0])
    moved = torch.arange(40) + 100                                        # a window knows distances only
    same(WindowAttention(5)(q, k, v, positions=(moved, moved))[0], WindowAttention(5)(q, k, v)[0])
    assert WindowAttention(5)(q, k, vectors(3, 2, 40, 7))[0].shape == (3, 2, 40, 7)


def test_longformer_begins_with_the_same_matrices_everywhere():
    """So a fresh one is the plain union of window and global pairs; its own matrices move the global rows only."""
    plug, inputs = drawn(PLUGS["longformer"]), call(40, 40)
    pairs = plug.pattern(torch.arange(40), torch.arange(40), None, False).unsqueeze(0)
    before = plug(*inputs)[0]
    same(before, softmaxed(*inputs, pairs))
    after = built("longformer")(*inputs)[0]
    same(after[:, :, 3:], before[:, :, 3:])
    assert (after[:, :, :3] - before[:, :, :3]).abs().amax(-1).min() > 1e-3


def test_a_window_of_places_reaches_that_far_and_no_further():
    """w on each side; L layers reach L w."""
    for causal in (False, True):
        x = vectors(1, 1, 200, D).requires_grad_()
        y, plug = x, WindowAttention(7)
        for _ in range(3):
            y = plug(y, y, y, causal=causal)[0]
        reached = torch.autograd.grad(y[0, 0, 100].sum(), x)[0][0, 0].abs().sum(-1).nonzero().flatten()
        assert (int(reached.min()), int(reached.max())) == (100 - 21, 100 if causal else 100 + 21)


@torch.no_grad()
def test_bigbirds_lot_is_fixed_and_never_counts_a_pair_twice():
    plug = BigBirdAttention(5, 3, 2, longest=300, block=8)
    real = torch.ones(1, 200, dtype=torch.bool)
    index, chosen = plug.draw(real, False)
    assert chosen.all() and index.shape == (1, 25, 2)
    at = torch.arange(25).view(1, 25, 1)
    assert ((index - at).abs() > 1).all() and (index[..., 0] != index[..., 1]).all()
    early, picked = plug.draw(real, True)
    assert (early[picked] < at.expand_as(early)[picked] - 1).all() and not picked[0, :2].any()
    shorter, its_picked = plug.draw(real[:, :80], True)                   # a longer sentence draws the same for these
    assert torch.equal(early[:, :10][its_picked], shorter[its_picked]) and torch.equal(picked[:, :10], its_picked)
    other = BigBirdAttention(5, 3, 2, longest=300, block=8, seed=1)
    assert not torch.equal(other.draw(real, False)[0], index)


def test_banded_makes_no_table_of_all_pairs():
    """Gradients included: the greatest tensor grows with N, not N²."""
    N, kept = 4096, []
    inputs = [x.float().requires_grad_() for x in (vectors(1, 1, N, 2, seed=s) for s in (1, 2, 3))]
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        banded(*inputs, torch.ones(1, N, dtype=torch.bool), 8, 8).sum().backward()
    assert max(kept) < N * N / 50


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: WindowAttention(0), "window must be a positive whole number, got 0"),
        (lambda: StridedAttention(2.5), "stride must be a positive whole number, got 2.5"),
        (lambda: LongformerAttention(4, 0, 8), "n_global must be a positive whole number"),
        (lambda: LongformerAttention(4, 2, 9)(*[torch.zeros(1, 2, 5, 4)] * 3), "2 heads of width 4 do not make d_mo"),
        (lambda: BigBirdAttention(4, 2, 1, 20)(*[torch.zeros(1, 2, 90, 4)] * 3), "90 places are more than the lot"),
        (lambda: WindowAttention(4)(torch.zeros(1, 5, 4), *[torch.zeros(1, 5, 3)] * 2), "queries and keys of one w"),
    ],
)  # fmt: skip
def test_bad_settings_get_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_bigbird_refuses_places_it_has_no_lot_for():
    x, far = vectors(1, 2, 8, 4), torch.arange(8) + 50
    with pytest.raises(ValueError, match="count positions from 0"):
        BigBirdAttention(4, 2, 1, 64, block=4)(x, x, x, positions=(far, far))
