"""Multi-head attention: equal to torch's, any plug inside, the heads' cut; relative plugs in the socket."""

import pytest
import torch
from torch import nn

from course_utils.attention.positions import RotaryPositions
from course_utils.attention.relative import AlibiAttention, RelativeAttention
from course_utils.attention.socket import places
from course_utils.layers.multihead import KeyValues, MultiHeadAttention

B, T, S, D, H = 3, 5, 7, 12, 3


def drawn(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().double()


def vectors(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair(n_heads, bias=True):
    """Ours and torch's, the same weights."""
    ours = drawn(lambda: MultiHeadAttention(D, n_heads, bias=bias))
    theirs = nn.MultiheadAttention(D, n_heads, bias=bias, batch_first=True).double()
    if bias:
        nn.init.normal_(ours.in_proj.bias)
        nn.init.normal_(ours.out_proj.bias)
    names = {"in_proj_weight": "in_proj.weight", "in_proj_bias": "in_proj.bias", "out_proj.weight": "out_proj.weight",
             "out_proj.bias": "out_proj.bias"}  # fmt: skip
    state = ours.state_dict()
    theirs.load_state_dict({name: state[mine].clone() for name, mine in names.items() if mine in state})
    return ours, theirs


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["self", "causal", "cross", "cross, other values"])
@pytest.mark.parametrize("n_heads", [1, 3, 12])
def test_equal_to_torch_in_values_and_gradients(n_heads, kind, bias, need_weights):
    ours, theirs = pair(n_heads, bias)
    x, z, v = vectors(B, T, D), vectors(B, S, D, seed=2), vectors(B, S, D, seed=3)
    given = {"cross": (x, z, z), "cross, other values": (x, z, v)}.get(kind, (x, x, x))
    mask = torch.arange(given[1].shape[1]) < torch.tensor([[4], [2], [5]])                # ragged; no row is empty
    causal = kind == "causal"
    leaves = [[part.clone().requires_grad_() for part in (x, z, v)] for _ in range(2)]
    inputs = [tuple(own[[part is x, part is z, part is v].index(True)] for part in given) for own in leaves]
    out, weights, _ = ours(*inputs[0], key_mask=mask, causal=causal, need_weights=need_weights)
    forbidden = ~torch.ones(T, T, dtype=torch.bool).tril() if causal else None
    expected, their_weights = theirs(
        *inputs[1], key_padding_mask=~mask, attn_mask=forbidden, need_weights=True, average_attn_weights=False
    )
    torch.testing.assert_close(out, expected)
    assert (weights is None) == (not need_weights)
    if need_weights:
        torch.testing.assert_close(weights, their_weights)
    out.square().sum().backward()
    expected.square().sum().backward()
    for one, other in zip(*leaves, strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    torch.testing.assert_close(ours.in_proj.weight.grad, theirs.in_proj_weight.grad)
    torch.testing.assert_close(ours.out_proj.weight.grad, theirs.out_proj.weight.grad)
    if bias:
        torch.testing.assert_close(ours.in_proj.bias.grad, theirs.in_proj_bias.grad)


def test_a_query_without_keys_gets_the_output_bias_only():
    """torch's layer gives NaN there."""
    ours, _ = pair(3)
    x, mask = vectors(2, T, D), torch.tensor([[True] * T, [False] * T])
    for need_weights in (True, False):
        out, weights, _ = ours(x, x, x, key_mask=mask, need_weights=need_weights)
        torch.testing.assert_close(out[1], ours.out_proj.bias.expand(T, D))
        assert weights is None or (weights[1] == 0).all()


@pytest.mark.parametrize("name", ["additive", "dot", "scaled_dot", "general"])
def test_any_plug_works_inside(name):
    """Each head is the plug on the head's own slice."""
    layer = drawn(lambda: MultiHeadAttention(D, H, attention=name))
    x, mask = vectors(B, T, D), torch.arange(T) < torch.tensor([[3], [5], [1]])
    out, weights, _ = layer(x, x, x, key_mask=mask, causal=True, need_weights=True)
    d, contexts = D // H, []
    for h in range(H):
        q, k, v = (x @ w[h * d : (h + 1) * d].T + b[h * d : (h + 1) * d] for w, b in zip(
            layer.in_proj.weight.chunk(3), layer.in_proj.bias.chunk(3), strict=True))  # fmt: skip
        context, own, _ = layer.plug(q, k, v, key_mask=mask, causal=True, need_weights=True)
        torch.testing.assert_close(weights[:, h], own)
        contexts.append(context)
    torch.testing.assert_close(out, layer.out_proj(torch.cat(contexts, -1)))
    fast, none, _ = layer(x, x, x, key_mask=mask, causal=True)
    torch.testing.assert_close(fast, out)
    assert none is None


def test_cached_keys_and_values_equal_projecting_again():
    layer = drawn(lambda: MultiHeadAttention(D, H))
    x = vectors(B, T, D)
    whole, *_ = layer(x, x, x, causal=True)
    kept = None
    for t in range(T):
        q, k, v = layer.project(x[:, t : t + 1], "qkv")
        new = KeyValues(k, v)
        kept = new if kept is None else KeyValues(*(torch.cat(pair, 2) for pair in zip(kept, new, strict=True)))
        out, *_ = layer.attend(q, kept, causal=True)
        torch.testing.assert_close(out[:, 0], whole[:, t])


# --- relative plugs ---------------------------------------------------------------------------------------------------


def plain(plug, q, k, v, allowed, bias):
    """By the formulas, one pair at a time; `bias(h, i, j, q)` is added to q·k / sqrt(d)."""
    B, H, T, d = q.shape
    weights, context = torch.zeros(B, H, T, k.shape[2], dtype=q.dtype), torch.zeros_like(q)
    for b in range(B):
        for h in range(H):
            for i in range(T):
                seen = [j for j in range(k.shape[2]) if allowed[b, i, j]]
                if not seen:
                    continue
                scores = torch.stack([q[b, h, i] @ k[b, h, j] / d**0.5 + bias(h, i, j, q[b, h, i]) for j in seen])
                for j, w in zip(seen, scores.softmax(0), strict=True):
                    weights[b, h, i, j] = w
                    extra = plug.value_table[_row(plug, i, j)] if isinstance(plug, RelativeAttention) else 0
                    context[b, h, i] += w * (v[b, h, j] + extra)
    return context, weights


def _row(plug, i, j):
    return min(max(j - i, -plug.max_distance), plug.max_distance) + plug.max_distance


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kind", ["shaw", "alibi"])
@torch.no_grad()
def test_relative_plugs_follow_their_formulas(kind, causal):
    plug = drawn(lambda: RelativeAttention(4, max_distance=2) if kind == "shaw" else AlibiAttention(3))
    q, k, v = (vectors(2, 3, 6, 4, seed=s) for s in (1, 2, 3))
    mask = torch.arange(6) < torch.tensor([[4], [6]])
    mask[1, 0] = False                                                    # with causal: a first query without keys
    allowed = mask.unsqueeze(1).expand(2, 6, 6) & (torch.ones(6, 6, dtype=torch.bool).tril() if causal else True)
    bias = {
        "shaw": lambda h, i, j, q: q @ plug.key_table[_row(plug, i, j)] / 2,
        "alibi": lambda h, i, j, q: -(2 ** (-8 * (h + 1) / 3)) * abs(i - j),
    }[kind]
    context, weights = plain(plug, q, k, v, allowed, bias)
    got, got_weights, _ = plug(q, k, v, key_mask=mask, causal=causal, need_weights=True)
    torch.testing.assert_close(got, context)
    torch.testing.assert_close(got_weights, weights)
    fast, none, _ = plug(q, k, v, key_mask=mask, causal=causal)
    torch.testing.assert_close(fast, context)
    assert none is None
    moved = places(6, 6)[0] + 100                                         # only distances count
    torch.testing.assert_close(plug(q, k, v, key_mask=mask, causal=causal, positions=(moved, moved))[0], context)
    last, *_ = plug(q[:, :, -1:], k, v, key_mask=mask, causal=causal)     # one cached query stands at the last place
    torch.testing.assert_close(last, context[:, :, -1:])


def test_alibi_slopes_are_the_papers():
    assert AlibiAttention(8).slopes.flatten().tolist() == [2.0**-i for i in range(1, 9)]
    with pytest.raises(ValueError, match="made for 8 heads"):
        AlibiAttention(8)(*[vectors(1, 4, 3, 2)] * 3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MultiHeadAttention(12, 5), "d_model=12 cannot be cut into n_heads=5 equal heads: use 4 heads"),
        (lambda: MultiHeadAttention(12, 0), "n_heads must be a positive whole number"),
        (lambda: MultiHeadAttention(12, 3, attention="soft"), "unknown plug 'soft'"),
        (lambda: MultiHeadAttention(12, 3)(*[torch.zeros(1, 2, 10)] * 3), r"query must be \(batch, .*d_model=12\)"),
        (lambda: MultiHeadAttention(6, 2, rotary=RotaryPositions(3)), "the width must be even and positive, got 3"),
    ],
)
def test_bad_layers_and_inputs_get_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()
