"""Reformer's attention: the paper's equations round by round; nothing of pads or the future in the buckets' order."""

import math

import pytest
import torch
import torch.nn.functional as F
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

from course_utils.attention.hashing import HashAttention, factors


def built(n_buckets=8, rounds=3, window=3, block=8, d=4):
    return drawn(lambda: HashAttention(d, n_buckets, rounds, window, block))


def bucket_of(plug, x, round_):
    """One vector's bucket, by the words of the paper: which of +-r_1 .. +-r_b it points to most."""
    found = 0
    for rotation in plug.rotation[:, round_].split(plug.halves, 1):
        turned = [float(x.detach() @ r) for r in rotation.T]
        directions = turned + [-t for t in turned]
        found = found * len(directions) + directions.index(max(directions))
    return found


def by_rounds(plug, x, v, real, causal):
    """Kitaev et al., section 3: softmax in each round, rounds weighted by e^(their logsumexp less the whole's).

    x (B, H, N, d), v (B, H, N, dv), real (B, N) -> (B, H, N, dv)."""
    context = torch.zeros_like(v)
    for b, h in torch.cartesian_prod(*map(torch.arange, x.shape[:2])).tolist():
        alive, outs = [i for i in range(x.shape[2]) if real[b, i]], {}
        for round_ in range(plug.rounds):
            members = {}
            for i in alive:
                members.setdefault(bucket_of(plug, x[b, h, i], round_), []).append(i)
            for bucket in members.values():
                for rank, i in enumerate(bucket):
                    seen = bucket[max(0, rank - plug.window) : rank + 1 + (0 if causal else plug.window)]
                    scores = torch.stack([
                        x[b, h, i] @ x[b, h, j] / x[b, h, j].norm() if j != i else x.new_tensor(-5e4) for j in seen
                    ])  # fmt: skip
                    outs.setdefault(i, []).append((scores.logsumexp(0), scores.softmax(0) @ v[b, h, seen]))
        for i, found in outs.items():
            parts = torch.stack([z for z, _ in found]).softmax(0)
            context[b, h, i] = sum(part * o for part, (_, o) in zip(parts, found, strict=True))
    return context


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n_buckets", [2, 8])
def test_equals_the_papers_rounds(n_buckets, causal, masked):
    plug, N = built(n_buckets), 21
    mask = ragged(N) if masked else None
    _, k, v = call(N, N)
    same_function(
        lambda k, v: plug(k, k, v, causal=causal, key_mask=mask)[0],
        lambda k, v: by_rounds(plug, k, v, torch.ones(3, N) if mask is None else mask, causal), (k, v),
    )  # fmt: skip


def test_future_pads_and_cached_keys():
    the_future_does_not_matter(built())
    for causal in (False, True):
        pads_do_not_matter(built(), causal)


def shared_dense(x, v, causal):
    scores = x @ F.normalize(x, dim=-1).transpose(-2, -1)
    N = x.shape[2]
    scores = scores.masked_fill(torch.eye(N, dtype=torch.bool), -5e4)
    if causal:
        scores = scores.masked_fill(~torch.ones(N, N, dtype=torch.bool).tril(), -torch.inf)
    return scores.softmax(-1) @ v


@pytest.mark.parametrize("causal", [False, True])
def test_one_bucket_is_dense_attention_of_shared_queries_and_keys(causal):
    """Also with several rounds: what every round finds is not counted as more than what none misses."""
    base, N = vectors(4, seed=5), 90
    x = 3 * base + 0.02 * vectors(2, 2, N, 4)                             # all point nearly the same way
    plug = built(n_buckets=2, rounds=4, window=N)
    assert all((bucket == bucket[..., :1]).all() for bucket in plug.assign(x))
    same_function(
        lambda x, v: plug(x, x, v, causal=causal)[0], lambda x, v: shared_dense(x, v, causal),
        (x, vectors(2, 2, N, 3, seed=2)),
    )  # fmt: skip


@torch.no_grad()
def test_large_scores_stay_finite_in_float32():
    x, v = vectors(1, 2, 60, 4, scale=400.0), vectors(1, 2, 60, 4, seed=2)
    exact, plug = built()(x, x, v)[0], built().float()
    got = plug(x.float(), x.float(), v.float())[0]
    assert got.isfinite().all() and (got - exact).abs().median() < 1e-4


@torch.no_grad()
def test_a_word_looks_at_itself_only_where_it_is_alone():
    x, v = vectors(1, 1, 50, 4), vectors(1, 1, 50, 4, seed=2)
    context, weights, _ = built()(x, x, v, need_weights=True)
    own = weights[0, 0].diagonal()
    assert set(own.unique().tolist()) <= {0.0, 1.0}
    first, weights, _ = built()(x, x, v, causal=True, need_weights=True)
    assert weights[0, 0, 0, 0] == 1
    same(first[0, 0, 0], v[0, 0, 0])


@torch.no_grad()
def recall_and_error(rounds, n_buckets=16, window=32, N=256, d=16):
    """Share of words whose nearest key is found, and the error of the output, on points in 32 clusters; 4 heads."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(32, d, generator=generator, dtype=torch.float64)
    x = 2 * centres[torch.randint(32, (1, 4, N), generator=generator)] + 0.6 * vectors(1, 4, N, d)
    v = vectors(1, 4, N, d, seed=3)
    plug = drawn(lambda: HashAttention(d, n_buckets, rounds, window))
    found = plug.pairs(plug.buckets(x, None), False) > 0
    scores = x @ F.normalize(x, dim=-1).transpose(-2, -1)
    nearest = scores.masked_fill(torch.eye(N, dtype=torch.bool), -1e9).argmax(-1)
    exact = shared_dense(x, v, False)
    error = (plug(x, x, v)[0] - exact).norm() / exact.norm()
    return float(found.gather(-1, nearest.unsqueeze(-1)).double().mean()), float(error)


def test_more_rounds_find_more_and_err_less():
    measured = [recall_and_error(rounds) for rounds in (1, 2, 4, 8)]
    recall, error = map(list, zip(*measured, strict=True))
    assert recall == sorted(recall) and error == sorted(error, reverse=True), measured
    assert recall[3] > 0.95 > 0.8 > recall[0] and error[3] < 0.6 * error[0], measured


@torch.no_grad()
def test_buckets_go_by_direction_and_are_used_evenly():
    plug, x = built(n_buckets=64, rounds=2, d=16), vectors(1, 1, 20_000, 16)
    assert torch.equal(plug.assign(x), plug.assign(8 * x))                # by a power of 2: no rounding moves a word
    assert not torch.equal(*plug.assign(x)), "two rounds draw the same rotations"
    share = torch.stack([bucket.flatten().bincount(minlength=64) for bucket in plug.assign(x)]) / 20_000
    assert share.min() > 0.7 / 64 and share.max() < 1.4 / 64, share
    assert not torch.equal(HashAttention(16, 64, 2, 3, seed=1).rotation, HashAttention(16, 64, 2, 3).rotation)


def test_two_small_hashes_instead_of_a_great_one():
    assert [factors(n) for n in (2, 4, 6, 8, 16, 48, 64, 128)] == [(2,), (2, 2), (6,), (2, 4), (4, 4), (6, 8), (8, 8),
                                                                   (8, 16)]  # fmt: skip
    for n in range(2, 200, 2):
        assert math.prod(factors(n)) == n and all(f % 2 == 0 for f in factors(n))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: HashAttention(4, 7, 1, 3), "n_buckets=7 must be even: a direction and its opposite"),
        (lambda: HashAttention(4, 8, 0, 3), "rounds must be a positive whole number, got 0"),
        (lambda: built()(vectors(1, 2, 3, 4), *[vectors(1, 2, 9, 4)] * 2), "3 queries and 9 keys: shared queries"),
        (lambda: built()(vectors(1, 2, 9, 4), *[vectors(1, 2, 3, 4)] * 2, causal=True), "9 queries and 3 keys"),
    ],
)
def test_bad_settings_get_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()
