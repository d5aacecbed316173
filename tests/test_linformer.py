"""Linformer: mixtures over length, no future to hide, an end to the sentence."""

import plug_checks as checks
import pytest
import torch
from plug_checks import call, drawn, ragged, same, same_function, vectors

from course_utils.attention.linformer import LinformerAttention, mixed
from course_utils.attention.table import make
from course_utils.layers.multihead import MultiHeadAttention


def formula(plug, q, k, v, real=None):
    """Wang et al. 2020, eq. 7, one mixture at a time, pads left out of the sums."""
    kept = torch.ones(len(k), k.shape[-2], dtype=torch.bool) if real is None else real
    keys, values = [], []
    for E_row, F_row in zip(plug.E, plug.F, strict=True):
        for row, x, found in ((E_row, k, keys), (F_row, v, values)):
            real_x = torch.where(kept[:, None, :, None], x, 0.0)
            found.append(sum(row[j] * real_x[..., j, :] for j in range(x.shape[-2])))
    keys, values = torch.stack(keys, -2), torch.stack(values, -2)
    return (q @ keys.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1) @ values


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("T", "S"), [(12, 12), (5, 9), (9, 5), (1, 1)])
def test_it_is_the_papers_function(T, S, masked, shared):
    plug, real = drawn(lambda: LinformerAttention(12, 6, shared)), ragged(S) if masked else None
    for need_weights in (False, True):
        same_function(
            lambda q, k, v, w=need_weights: plug(q, k, v, key_mask=real, need_weights=w)[0],
            lambda q, k, v: formula(plug, q, k, v, real), call(T, S, d_value=3), tuple(plug.parameters()),
        )


def test_with_the_identity_it_is_dense_attention():
    plug, (q, k, v) = drawn(lambda: LinformerAttention(12, 12)), call(12, 12)
    with torch.no_grad():
        plug.E.copy_(torch.eye(12)), plug.F.copy_(torch.eye(12))
    same(plug(q, k, v)[0], make("scaled_dot", 4)(q, k, v)[0])


def test_more_mixtures_come_closer():
    """Means of neighbours, of keys that change slowly: the error falls with k, to 0 where k = N."""
    n, errors = 64, []
    q, k = vectors(1, 1, n, 8), vectors(1, 1, n, 8, seed=2).cumsum(-2) / 4
    v = vectors(1, 1, n, 8, seed=3).cumsum(-2)
    dense = make("scaled_dot", 8)(q, k, v)[0]
    for size in (4, 8, 16, 32, 64):
        plug = drawn(lambda: LinformerAttention(n, size))                 # noqa: B023
        pooled = torch.eye(size).repeat_interleave(n // size, 1) * size / n
        with torch.no_grad():
            plug.E.copy_(pooled), plug.F.copy_(pooled)
        errors.append(((plug(q, k, v)[0] - dense).norm() / dense.norm()).item())
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-10 < errors[-2], errors


def test_weights_make_the_context_and_pads_get_none():
    plug, (q, k, v), real = drawn(lambda: LinformerAttention(12, 6)), call(12, 12), ragged(12)
    out, weights, state = plug(q, k, v, key_mask=real, need_weights=True)
    same(weights @ v, out)
    assert weights.shape == (3, 2, 12, 12) and state is None and plug(q, k, v)[1] is None
    assert (weights.transpose(-2, -1)[~real[:, None].expand(-1, 2, -1)] == 0).all()


def test_pads_do_not_matter():
    checks.pads_do_not_matter(drawn(lambda: LinformerAttention(45, 6)))


def test_a_neighbour_in_the_batch_does_not_matter():
    plug, (q, k, v), real = drawn(lambda: LinformerAttention(12, 6)), call(12, 12), ragged(12)
    whole = plug(q, k, v, key_mask=real)[0]
    for row in range(3):
        one = slice(row, row + 1)
        same(plug(q[one], k[one], v[one], key_mask=real[one])[0], whole[one])


def test_keys_use_the_columns_of_their_places():
    plug, (q, k, v) = drawn(lambda: LinformerAttention(12, 6)), call(5, 5)
    where = torch.arange(5) + 3
    before = [torch.cat([torch.zeros(3, 2, 3, 4).double(), x], -2) for x in (k, v)]
    same(plug(q, k, v, positions=(where, where))[0], plug(q, *before)[0])


def test_heads_are_mixed_each_by_itself_in_any_layout():
    E, x = vectors(4, 7), vectors(3, 7, 2, 5).transpose(1, 2)             # (B, H, S, d), laid out as a layer does
    same(mixed(E, x), E @ x)
    same(mixed(E, x[:, 0]), E @ x[:, 0])


def test_inside_a_layer():
    layer, x = drawn(lambda: MultiHeadAttention(8, 2, LinformerAttention(9, 4))), vectors(3, 9, 8)
    out, weights, _ = layer(x, x, x, key_mask=ragged(9), need_weights=True)
    same(layer(x, x, x, key_mask=ragged(9))[0], out)
    assert weights.shape == (3, 2, 9, 9)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda plug, x: plug(x, x, x, causal=True), "Linformer cannot be causal: every mixture holds all keys"),
        (lambda plug, x: plug(x, x, x, mask=torch.ones(9, 9).bool()), "Linformer cannot be given a mask of pairs"),
        (lambda plug, x: plug(x, *[x.repeat(1, 2, 1)] * 2), "stands at place 17, .* before max_length=9"),
        (lambda plug, x: plug(x, x, x, positions=(torch.arange(0, 18, 2),) * 2), "must stand at consecutive ones"),
        (lambda plug, x: LinformerAttention(9, 0), "k must be a positive whole number"),
    ],
)
def test_what_it_cannot_do_gets_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make(drawn(lambda: LinformerAttention(9, 4)), vectors(2, 9, 4))
