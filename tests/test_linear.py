"""Linear attention: table, chunks and recurrence are one function, and it is the paper's."""

import plug_checks as checks
import pytest
import torch
from plug_checks import call, drawn, ragged, same, same_function, vectors

from course_utils.attention import linear
from course_utils.attention.linear import KernelState, LinearAttention, chunked
from course_utils.attention.performer import PerformerAttention
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.seq2seq.contract import take_rows

LENGTHS = [(70, 70), (33, 133), (1, 7), (3, 3), (130, 130)]


@pytest.fixture(autouse=True, params=["one segment", "many segments"])
def segments(request, monkeypatch):
    """Every test also with segments as short as they can be."""
    if request.param == "many segments":
        monkeypatch.setattr(linear, "CACHED", 1)


def formula(q, k, v, real=None, causal=False):
    """Katharopoulos et al. 2020, eq. 4, pair by pair over a table."""
    phi = [torch.where(x > 0, x + 1, x.clamp(max=0).exp()) for x in (q, k)]
    table = (phi[0].unsqueeze(-2) * phi[1].unsqueeze(-3)).sum(-1)
    allowed = torch.ones_like(table, dtype=torch.bool)
    if causal:
        allowed = allowed.tril(k.shape[-2] - q.shape[-2])
    if real is not None:
        allowed = allowed & real[:, None, None]
    table = torch.where(allowed, table, torch.zeros_like(table))
    total = table.sum(-1, keepdim=True)
    return torch.where(total > 0, table / total.clamp_min(1e-300), torch.zeros_like(table)) @ v


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("T", "S"), [*LENGTHS, (9, 5)])
def test_every_form_is_the_papers_function(T, S, causal, masked):
    if causal and T > S:
        return
    plug, real = LinearAttention(), ragged(S) if masked else None
    inputs = call(T, S, d_value=3)

    def form(**options):
        return lambda q, k, v: plug(q, k, v, key_mask=real, causal=causal, **options)[0]

    same_function(form(), lambda q, k, v: formula(q, k, v, real, causal), inputs)
    same_function(form(need_weights=True), lambda q, k, v: formula(q, k, v, real, causal), inputs)


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("masked", [False, True])
def test_recurrent_equals_parallel_in_gradients_too(size, masked):
    plug, T = LinearAttention(), 67
    real = ragged(T) if masked else torch.ones(3, T, dtype=torch.bool)

    def walk(q, k, v):
        state, outs = None, []
        for parts in zip(*(x.split(size, -2) for x in (q, k, v)), real.split(size, 1), strict=True):
            out, _, state = plug(*parts[:3], key_mask=parts[3], causal=True, state=state)
            outs.append(out)
        return torch.cat(outs, -2)

    same_function(walk, lambda q, k, v: plug(q, k, v, key_mask=real, causal=True)[0], call(T, T))


def test_the_state_is_the_sums_and_every_form_returns_it():
    plug, (q, k, v) = LinearAttention(), call(67, 67, d_value=3)
    features = torch.nn.functional.elu(k) + 1
    expected = features.transpose(-2, -1) @ torch.cat([v, torch.ones_like(v[..., :1])], -1)
    for options in ({}, {"need_weights": True}):
        state = plug(q, k, v, causal=True, **options)[2]
        assert isinstance(state, KernelState) and state.sums.shape == (3, 2, 4, 4)    # whatever the length
        same(state.sums, expected)
    state = plug(q[..., -2:, :], k, v, causal=True)[2]                    # 65 keys come along before the queries
    same(state.sums, expected)
    assert plug(q, k, v)[2] is None


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("make", [LinearAttention, lambda: PerformerAttention(4, 8)])
def test_a_state_goes_on_when_older_keys_come_along(make, masked):
    """Keys 0-29 are in the state, 30-44 come with the call, before its queries: context and state count all three."""
    plug, (q, k, v) = drawn(make), call(70, 70)
    real = ragged(70) if masked else None
    whole, _, end = plug(q, k, v, key_mask=real, causal=True)
    before, after = (slice(0, 30), slice(30, 70))
    masks = [None if real is None else real[:, part] for part in (before, after)]
    _, _, state = plug(*(x[..., before, :] for x in (q, k, v)), key_mask=masks[0], causal=True)
    kept = state.sums.clone()
    out, _, last = plug(q[..., 45:, :], k[..., after, :], v[..., after, :], key_mask=masks[1], causal=True, state=state)
    same(out, whole[..., 45:, :])
    same(last.sums, end.sums)
    same(state.sums, kept, "the state that was handed in is changed")


def test_a_layer_decodes_with_the_state_and_beams_reorder_it():
    layer = drawn(lambda: MultiHeadAttention(8, 2, LinearAttention()))
    x, rows, state = vectors(3, 9, 8), torch.tensor([2, 0, 0]), None
    whole = layer(x, x, x, causal=True)[0]
    for t in range(4):
        now = x[:, t : t + 1]
        out, _, state = layer(now, now, now, causal=True, state=state)
        same(out, whole[:, t : t + 1])
    state = take_rows(state, rows)
    for t in range(4, 9):
        now = x[rows, t : t + 1]
        out, _, state = layer(now, now, now, causal=True, state=state)
        same(out, whole[rows, t : t + 1])


def test_weights_are_those_of_the_context_and_pads_get_none():
    q, k, v = call(20, 20)
    real = ragged(20)
    for causal in (False, True):
        out, weights, _ = LinearAttention()(q, k, v, key_mask=real, causal=causal, need_weights=True)
        same(weights @ v, out)
        assert (weights >= 0).all() and (weights.transpose(-2, -1)[~real[:, None, :].expand(-1, 2, -1)] == 0).all()
        sums = weights.sum(-1)
        assert ((sums - 1).abs().minimum(sums.abs()) < 1e-12).all() and (sums[0] > 0).all() and (sums[2] == 0).all()
        if causal:
            assert (weights.triu(1) == 0).all()


def test_a_mask_of_pairs_is_kept():
    q, k, v = call(20, 20)
    plug, band = LinearAttention(), torch.ones(20, 20, dtype=torch.bool).tril()
    same(plug(q, k, v, mask=band)[0], plug(q, k, v, causal=True)[0])
    same(plug(q, k, v, mask=band.triu(-3), causal=True)[0][..., :4, :], plug(q, k, v, causal=True)[0][..., :4, :])


def test_the_future_does_not_matter():
    checks.the_future_does_not_matter(LinearAttention(), T=140)
    checks.the_future_does_not_matter(LinearAttention(), T=140, need_weights=True)


@pytest.mark.parametrize("causal", [False, True])
def test_pads_do_not_matter(causal):
    checks.pads_do_not_matter(LinearAttention(), causal)


def test_chunked_sums_begin_with_the_past():
    q, k, v = vectors(2, 50, 3), vectors(2, 50, 3, seed=2), vectors(2, 50, 5, seed=3)
    past = vectors(2, 3, 5, seed=4)
    out, after = chunked(q, k, v, past)
    sums = past.clone()
    for i in range(50):
        sums = sums + k[:, i, :, None] * v[:, i, None, :]
        same(out[:, i], (q[:, i, None] @ sums).squeeze(1))
    same(after, sums)


def test_very_negative_queries_and_keys_stay_finite():
    """In float32 elu(-20) + 1 is exactly 0: nothing to attend to, so 0, not NaN."""
    q, k, v = (x.float().requires_grad_() for x in call(9, 9))
    for causal in (False, True):
        out = LinearAttention()(q - 200, k - 200, v, causal=causal)[0]
        assert (out == 0).all()
        assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.sum(), (q, k, v)))


def test_what_it_cannot_do_gets_one_sentence():
    plug, (q, k, v) = LinearAttention(), call(4, 4)
    state = plug(q, k, v, causal=True)[2]
    for options in ({}, {"causal": True, "need_weights": True}):
        with pytest.raises(ValueError, match="a state continues causal calls only"):
            plug(q, k, v, state=state, **options)
    with pytest.raises(ValueError, match="5 queries and 4 keys: here every query stands at the place of a key"):
        plug(call(5, 4)[0], k, v, causal=True)
    backwards = torch.arange(4).flip(0)
    with pytest.raises(ValueError, match="needs consecutive keys"):
        plug(q, k, v, causal=True, positions=(backwards, backwards))
    places = torch.arange(4) + 10
    same(plug(q, k, v, causal=True, positions=(places, places))[0], plug(q, k, v, causal=True)[0])
    with pytest.raises(ValueError, match="needs queries and keys of one width"):
        plug(q, vectors(3, 2, 4, 5), v)
