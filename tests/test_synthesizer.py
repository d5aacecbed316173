"""Synthesizers: weights that ask no key; dense, random, and both factorised."""

import plug_checks as checks
import pytest
import torch
from plug_checks import call, drawn, ragged, same, same_function, vectors

from course_utils.attention.synthesizer import (
    DenseSynthesizer,
    FactorisedDenseSynthesizer,
    FactorisedRandomSynthesizer,
    RandomSynthesizer,
    SynthesizerAttention,
)

N = 75                                                                    # the longest sentence here
KINDS = {
    "dense": lambda H=2, d=4: DenseSynthesizer(H, d, N),
    "factorised dense": lambda H=2, d=4: FactorisedDenseSynthesizer(H, d, N, a=3),        # 7 words use three of the b
    "random": lambda H=2, d=4: RandomSynthesizer(H, N),
    "factorised random": lambda H=2, d=4: FactorisedRandomSynthesizer(H, N, 3),
}
ASKS_THE_QUERY = [kind for kind in KINDS if "dense" in kind]


def logit(plug, q, b, h, i, j):
    """Tay et al. 2021, one pair at a time."""
    if isinstance(plug, RandomSynthesizer):
        return plug.R[h, i, j]
    if isinstance(plug, FactorisedRandomSynthesizer):
        return plug.R_1[h, i] @ plug.R_2[h, j]
    hidden = q[b, h, i].relu()
    if isinstance(plug, DenseSynthesizer):
        return hidden @ plug.W[h, :, j] + plug.b[h, 0, j]
    a = plug.a
    one, other = hidden @ plug.W[h] + plug.b[h, 0], hidden @ plug.W_other[h] + plug.b_other[h, 0]
    return one.repeat(len(other))[j] * other.repeat_interleave(a)[j]      # H_A tiles, H_B repeats


def formula(plug, q, v, real, causal):
    B, H, T, _ = q.shape
    S, context = v.shape[-2], []
    for b in range(B):
        for h in range(H):
            for i in range(T):
                seen = [j for j in range(S) if (real is None or real[b, j]) and not (causal and j > i + S - T)]
                place = i + S - T if S >= T else i
                if not seen:
                    context.append(0 * v[b, h].sum(0))
                    continue
                where = i if isinstance(plug, DenseSynthesizer | FactorisedDenseSynthesizer) else place
                weights = torch.stack([logit(plug, q, b, h, where, j) for j in seen]).softmax(0)
                context.append(weights @ v[b, h, seen])
    return torch.stack(context).view(B, H, T, -1)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("T", "S"), [(7, 7), (2, 7), (1, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_papers_function(kind, T, S, causal, masked):
    plug, real = drawn(KINDS[kind]), ragged(S) if masked else None
    q, k, v = call(T, S, d_value=3)
    same_function(
        lambda q, v: plug(q, k, v, key_mask=real, causal=causal)[0] + 0 * q.sum(),
        lambda q, v: formula(plug, q, v, real, causal) + 0 * q.sum(), (q, v), tuple(plug.parameters()),
    )


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_who_is_asked(kind):
    """No kind asks the keys; the dense kinds ask a place's own query, the random ones nobody."""
    plug, (q, k, v) = drawn(KINDS[kind]), call(20, 20)
    weights = plug(q, k, v, need_weights=True)[1]
    same(plug(q, 7 - k, v, need_weights=True)[1], weights)
    changed = q.clone()
    changed[..., 5, :] += vectors(4, seed=5)
    moved = (plug(changed, k, v, need_weights=True)[1] - weights).abs().amax((0, 1, 3)) > 1e-9
    assert moved.tolist() == [kind in ASKS_THE_QUERY and i == 5 for i in range(20)]
    if kind not in ASKS_THE_QUERY:
        same(weights, weights[:1].expand_as(weights))                     # every sentence has the same map
    assert not torch.allclose(weights[:, 0], weights[:, 1])               # heads have their own


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_every_place_has_its_own_number(kind):
    """Tiling both short vectors in the same way would repeat numbers after lcm(a, b) places."""
    q, k, v = call(N, N)
    weights = drawn(KINDS[kind])(q.abs(), k, v, need_weights=True)[1]
    row = weights[0, 0, 0].sort().values
    assert (row.diff() > 1e-12).all()
    same(weights.sum(-1), torch.ones_like(weights[..., 0]))


@pytest.mark.parametrize("length", [1, 2, 3, 16, 75, 100, 101])
def test_two_short_vectors_cover_the_length(length):
    plug = FactorisedDenseSynthesizer(1, 4, length)
    a, b = plug.W.shape[-1], plug.W_other.shape[-1]
    assert a * b >= length > a * (b - 1) and a + b <= 2 * length**0.5 + 2
    assert FactorisedDenseSynthesizer(1, 4, length, a=3).W_other.shape[-1] == -(-length // 3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_future_does_not_matter(kind):
    checks.the_future_does_not_matter(drawn(KINDS[kind]))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_pads_do_not_matter(kind, causal):
    checks.pads_do_not_matter(drawn(KINDS[kind]), causal)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_places(kind):
    """Words that stand at 10 .. 19 have the weights of those places in a longer sentence."""
    plug, (q, k, v), where = drawn(KINDS[kind]), call(20, 20), torch.arange(10, 20)
    late = torch.arange(20) >= 10
    expected = plug(q, k, v, key_mask=late.expand(3, -1), causal=True)[0][..., 10:, :]
    same(plug(q[..., 10:, :], k[..., 10:, :], v[..., 10:, :], causal=True, positions=(where, where))[0], expected)


def test_fixed_random_is_not_learnt_but_saved():
    plug = RandomSynthesizer(2, 5, fixed=True)
    assert [p.requires_grad for p in plug.parameters()] == [False] and list(plug.state_dict()) == ["R"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RandomSynthesizer(2, 5)(*[torch.zeros(1, 2, 6, 3)] * 3), "stands at place 5, .* before max_length=5"),
        (lambda: RandomSynthesizer(2, 5)(*[torch.zeros(1, 3, 4, 3)] * 3), "made for 2 heads"),
        (
            lambda: RandomSynthesizer(2, 5)(*[torch.zeros(1, 2, 2, 3)] * 3, positions=(torch.tensor([0, 2]),) * 2),
            "must stand at consecutive ones",
        ),
        (lambda: FactorisedRandomSynthesizer(2, 5, 0), "k must be a positive whole number"),
        (lambda: DenseSynthesizer(2, 4, 0), "max_length must be a positive whole number"),
        (lambda: FactorisedDenseSynthesizer(2, 4, 0), "max_length must be a positive whole number"),
    ],
)
def test_bad_settings_get_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_kind_without_logits_says_so():
    with pytest.raises(NotImplementedError, match="SynthesizerAttention must define logits"):
        SynthesizerAttention(2, 5)(*[torch.zeros(1, 2, 4, 3)] * 3)
