"""FAVOR+: the estimate is unbiased, its error falls with m, the stabilisers cancel, and the causal form keeps time."""

import plug_checks as checks
import pytest
import torch
from plug_checks import call, drawn, ragged, same, same_function, vectors

from course_utils.attention import linear
from course_utils.attention.performer import PerformerAttention


@pytest.fixture(params=["one segment", "many segments"])
def segments(request, monkeypatch):
    if request.param == "many segments":
        monkeypatch.setattr(linear, "CACHED", 1)


def formula(plug, q, k, v, real=None, causal=False):
    """Choromanski et al. 2021, Lemma 1 without any stabiliser: kernel of all pairs, then divided by its sum."""
    w = plug.directions.T                                                 # (m, d), has the factor d^(-1/4) in it
    d = q.shape[-1]
    phi = [((x.unsqueeze(-2) * w).sum(-1) - x.square().sum(-1, keepdim=True) / (2 * d**0.5)).exp() for x in (q, k)]
    table = (phi[0].unsqueeze(-2) * phi[1].unsqueeze(-3)).sum(-1) / len(w)
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
@pytest.mark.parametrize(("T", "S"), [(70, 70), (33, 133), (1, 7)])
def test_every_form_is_the_kernel_of_its_features(segments, T, S, causal, masked):
    plug, real = drawn(lambda: PerformerAttention(4, 10)), ragged(S) if masked else None
    for options in ({}, {"need_weights": True}):
        same_function(
            lambda q, k, v, options=options: plug(q, k, v, key_mask=real, causal=causal, **options)[0],
            lambda q, k, v: formula(plug, q, k, v, real, causal),
            call(T, S, d_value=3),
        )


def test_recurrent_equals_parallel_in_gradients_too():
    plug = drawn(lambda: PerformerAttention(4, 10))

    def walk(q, k, v):
        state, outs = None, []
        for parts in zip(*(x.split(3, -2) for x in (q, k, v)), strict=True):
            out, _, state = plug(*parts, causal=True, state=state)
            outs.append(out)
        return torch.cat(outs, -2)

    same_function(walk, lambda q, k, v: plug(q, k, v, causal=True)[0], call(20, 20))


@pytest.mark.parametrize("orthogonal", [True, False])
def test_the_kernel_is_unbiased(orthogonal):
    """The mean over 60,000 blocks is exp(q·k / sqrt(d)), to 5 standard errors, for q and k in many directions."""
    d, blocks = 3, 60_000
    plug = drawn(lambda: PerformerAttention(d, d * blocks, orthogonal))
    axes = torch.eye(d, dtype=torch.float64)
    points = torch.cat([axes, -axes, vectors(4, d, scale=0.5)])
    raised = (points @ plug.directions - points.square().sum(-1, keepdim=True) / (2 * d**0.5)).exp()
    products = (raised.unsqueeze(0) * raised.unsqueeze(1)).unflatten(-1, (blocks, d)).mean(-1)     # one a block
    error = products.std(-1) / blocks**0.5
    assert ((products.mean(-1) - (points @ points.T / d**0.5).exp()).abs() < 5 * error + 1e-12).all()


def test_directions_are_orthogonal_in_blocks_with_lengths_of_gaussian_vectors():
    d, n = 8, 500
    directions = drawn(lambda: PerformerAttention(d, d * n)).directions * d**0.25
    blocks = directions.T.unflatten(0, (n, d))                            # (n, d, d), a direction a row
    gram = blocks @ blocks.transpose(-2, -1)
    assert (gram - torch.diag_embed(gram.diagonal(dim1=-2, dim2=-1))).abs().max() < 1e-6 * d      # drawn in float32
    lengths = gram.diagonal(dim1=-2, dim2=-1)                             # chi-squared with d degrees of freedom
    assert abs(lengths.mean() - d) < 4 * (2 * d / (n * d)) ** 0.5 and abs(lengths.var() / (2 * d) - 1) < 0.15
    assert drawn(lambda: PerformerAttention(8, 20)).directions.shape == (8, 20)       # m need not be a multiple of d


def relative_error(m, scale, orthogonal=True, repeats=9):
    """Median over draws of |A' - A| / |A|, A the softmax weights of gaussian queries and keys."""
    q, k = vectors(1, 128, 16, scale=scale), vectors(1, 128, 16, scale=scale, seed=2)
    exact = (q @ k.transpose(-2, -1) / 4).softmax(-1)
    plugs = [drawn(lambda: PerformerAttention(16, m, orthogonal), seed) for seed in range(repeats)]
    found = [(plug(q, k, k, need_weights=True)[1] - exact).norm() / exact.norm() for plug in plugs]
    return float(torch.stack(found).median())


def test_the_error_falls_with_m_as_the_paper_says():
    """About as 1/sqrt(m) at half scale; but at unit scale no m up to 512 is usable."""
    errors = {m: relative_error(m, 0.5) for m in (16, 64, 256, 1024)}
    for m in (16, 64, 256):
        assert 1.4 < errors[m] / errors[4 * m] < 2.8, errors
    assert errors[256] < relative_error(256, 0.5, orthogonal=False) * 1.05
    assert relative_error(512, 1.0) > 0.7
    assert relative_error(256, 0.1) < 0.02


def test_with_many_features_it_is_dense_attention():
    q, k, v = call(30, 30, scale=0.4)
    real = ragged(30)
    plug = drawn(lambda: PerformerAttention(4, 40_000))
    for causal in (False, True):
        table = (q @ k.transpose(-2, -1) / 2).masked_fill(~real[:, None, None], -1e30)
        if causal:
            table = table.masked_fill(~torch.ones(30, 30, dtype=torch.bool).tril(), -1e30)
        out = plug(q, k, v, key_mask=real, causal=causal)[0]
        exact = table.softmax(-1) @ v
        assert (out - exact)[0].norm() < 0.04 * exact[0].norm()           # d^(-1/4) left out: 0.3
        seen = (2 if causal else 1)
        assert (out - exact)[1][:, seen:].norm() < 0.04 * exact[1][:, seen:].norm()


def test_long_queries_and_keys_stay_in_range():
    """Without the stabilisers their features would be infinite or all zero in float32."""
    plug = drawn(lambda: PerformerAttention(4, 16)).float()
    q, k, v = (x.float().requires_grad_() for x in call(150, 150, scale=30))
    out = plug(q, k, v)[0]
    assert torch.isfinite(out).all() and (out.abs().amax(-1) > 0).all()
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.square().sum(), (q, k, v)))
    lost = plug(q, k, v, causal=True)[0]                                  # defined, as the module says
    assert torch.isfinite(lost).all()


def test_pads_have_no_part_in_the_key_maximum(segments):
    """Real keys whose features are all tiny, beside pads whose features are 1."""
    plug, (q, k, v) = drawn(lambda: PerformerAttention(4, 16)), call(150, 150)
    k, real = 60 + k, torch.arange(150).expand(3, -1) < 100
    padded = k.masked_fill(~real[:, None, :, None], 0.0)
    same(plug(q, padded, v, key_mask=real)[0], plug(q, k[..., :100, :], v[..., :100, :])[0])


def test_one_number_for_all_keys_whatever_the_segments(monkeypatch):
    plug, (q, k, v) = drawn(lambda: PerformerAttention(4, 16)), call(200, 200, scale=3)
    whole = plug(q, k, v)[0]
    monkeypatch.setattr(linear, "CACHED", 1)
    same(plug(q, k, v)[0], whole)
    same(plug(q, k.flip(-2), v.flip(-2))[0], whole)


@pytest.mark.parametrize("causal", [False, True])
def test_pads_do_not_matter(segments, causal):
    checks.pads_do_not_matter(drawn(lambda: PerformerAttention(4, 10)), causal, S=140)


@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_the_future_does_not_matter(segments, scale):
    """Neither through a maximum over keys or queries, nor through the segments' bounds."""
    plug = drawn(lambda: PerformerAttention(4, 10))
    checks.the_future_does_not_matter(plug, T=140, scale=scale)
    checks.the_future_does_not_matter(plug, T=140, scale=scale, need_weights=True)


def test_redraw_and_saving():
    plug = drawn(lambda: PerformerAttention(4, 10))
    before, inputs = plug.directions.clone(), call(6, 6)
    out = plug(*inputs)[0]
    plug.redraw()
    assert not torch.equal(plug.directions, before) and plug.directions.dtype == torch.float64
    other = drawn(lambda: PerformerAttention(4, 10), seed=5)
    plug.load_state_dict({"directions": before})
    other.load_state_dict(plug.state_dict())
    same(other(*inputs)[0], out)
    assert not list(plug.parameters())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PerformerAttention(4, 0), "n_features must be a positive whole number"),
        (lambda: PerformerAttention(4, 8)(*[torch.zeros(1, 3, 5)] * 3), "features were drawn for heads 4 wide, these"),
    ],
)
def test_bad_settings_get_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()
