"""Clustering: buckets are the nearest centroids, which follow their vectors in training and otherwise stand still."""

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
from test_hashing import shared_dense

from course_utils.attention.routing import ClusterAttention


def built(n_buckets=5, window=3, **settings):
    return drawn(lambda: ClusterAttention(4, 2, n_buckets, window, 8, **settings))


def by_clusters(plug, x, v, real, causal):
    """Word by word: its centroid, its fellows, softmax. x (B, H, N, d)."""
    context = torch.zeros_like(v)
    for b, h in torch.cartesian_prod(*map(torch.arange, x.shape[:2])).tolist():
        members = {}
        for i in range(x.shape[2]):
            if real[b, i]:
                distances = [float((F.normalize(x[b, h, i], dim=0) - c).detach().norm()) for c in plug.centroids[h]]
                members.setdefault(distances.index(min(distances)), []).append(i)
        for cluster in members.values():
            for rank, i in enumerate(cluster):
                seen = cluster[max(0, rank - plug.window) : rank + 1 + (0 if causal else plug.window)]
                others = [j for j in seen if j != i] or [i]
                scores = torch.stack([x[b, h, i] @ F.normalize(x[b, h, j], dim=0) for j in others])
                context[b, h, i] = scores.softmax(0) @ v[b, h, others]
    return context


@pytest.mark.parametrize("causal", [False, True])
def test_equals_its_definition(causal):
    plug, N = built().eval(), 21
    _, k, v = call(N, N)
    for mask in (torch.ones(3, N, dtype=torch.bool), ragged(N)):
        same_function(
            lambda k, v, m=mask: plug(k, k, v, causal=causal, key_mask=m)[0],
            lambda k, v, m=mask: by_clusters(plug, k, v, m, causal), (k, v),
        )  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
def test_one_cluster_is_dense_attention(causal):
    plug, (_, k, v) = built(n_buckets=1, window=500).eval(), call(90, 90)
    same_function(lambda k, v: plug(k, k, v, causal=causal)[0], lambda k, v: shared_dense(k, v, causal), (k, v))


def test_a_wider_window_errs_less():
    plug_error, (_, k, v) = [], call(200, 200, B=1)
    exact = shared_dense(k, v, False)
    for n_buckets in (8, 4, 2, 1):
        plug_error.append(float((built(n_buckets, window=200).eval()(k, k, v)[0] - exact).norm() / exact.norm()))
    assert plug_error == sorted(plug_error, reverse=True) and plug_error[-1] < 1e-10 < 0.1 < plug_error[0]


def test_future_pads_and_cached_keys():
    the_future_does_not_matter(built().eval())
    for causal in (False, True):
        pads_do_not_matter(built().eval(), causal)


@torch.no_grad()
def test_centroids_follow_in_training_only_and_after_the_call():
    _, k, v = call(60, 60)
    plug, still = built(), built().eval()
    before = plug.centroids.clone()
    same(plug(k, k, v)[0], still(k, k, v)[0], "the first call does not know that it trains")
    assert not torch.equal(plug.centroids, before) and torch.equal(still.centroids, before)
    torch.testing.assert_close(plug.centroids.norm(dim=-1), torch.ones(2, 5, dtype=torch.float64))
    frozen = built(decay=1.0)
    frozen(k, k, v)
    assert torch.equal(frozen.centroids, before) and "centroids" in frozen.state_dict()


@torch.no_grad()
def test_pads_do_not_pull_and_a_centroid_without_words_stays():
    _, k, v = call(60, 60)
    mask = ragged(60)
    plug, other = built(decay=0.5), built(decay=0.5)
    plug(k, k, v, key_mask=mask)
    noise = k.masked_fill(~mask[:, None, :, None], 99.0)
    other(noise, noise, v, key_mask=mask)
    same(plug.centroids, other.centroids, "pads pulled a centroid")
    lonely, before = built(n_buckets=64, decay=0.5), built(n_buckets=64).centroids
    used = lonely.buckets(k[:1, :, :1], None)[0, 0]                       # one word a head
    same(lonely.centroids[0, torch.arange(64) != used[0]], before[0, torch.arange(64) != used[0]])
    assert not torch.equal(lonely.centroids[0, used[0]], before[0, used[0]])


@torch.no_grad()
def test_centroids_find_the_clusters():
    directions = F.normalize(vectors(4, 4, seed=3), dim=-1)
    x = directions[torch.arange(400) % 4].expand(1, 2, -1, -1) + 0.05 * vectors(1, 2, 400, 4)
    plug = built(n_buckets=8, decay=0.9)

    def nearness():
        return float((F.normalize(x, dim=-1) @ plug.centroids.transpose(1, 2)).amax(-1).mean())

    before = nearness()
    for _ in range(50):
        plug(x, x, x)
    assert nearness() > max(before, 0.9)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ClusterAttention(4, 2, 5, 3, decay=1.5), "decay=1.5 must lie between 0"),
        (lambda: ClusterAttention(4, 0, 5, 3), "n_heads must be a positive whole number"),
        (lambda: built()(*[vectors(1, 3, 6, 4)] * 3), "made for 2 heads of width 4"),
    ],
)
def test_bad_settings_get_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()
