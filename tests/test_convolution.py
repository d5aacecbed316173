"""Convolutions against loops over windows and torch's own; what a stack sees; k-grams and what their maximum loses."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.layers.convolution import (
    TCN,
    Convolution,
    DilatedBlock,
    GatedBlock,
    KGramFilters,
    inputs_seen,
    receptive_field,
)
from course_utils.models.text_cnn import TextCNN


def drawn(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().double()


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def window_by_window(layer, x):
    """The formula: o_t = Σ_i W_i x_{t + i d - left} + b, zeros beyond the ends."""
    weight, bias, d = layer.conv.weight, layer.conv.bias, layer.conv.dilation[0]
    left, right = layer.sides
    out = []
    for t in range(len(x) + left + right - layer.reach):
        places = [(i, t + i * d - left) for i in range(weight.shape[2])]
        out.append(bias + sum(weight[:, :, i] @ x[p] for i, p in places if 0 <= p < len(x)))
    return torch.stack(out)


@pytest.mark.parametrize("padding, k, d", [
    *itertools.product(["causal", "none"], [1, 2, 3, 4], [1, 3]), *itertools.product(["centred"], [1, 3, 5], [1, 2]),
])
@torch.no_grad()
def test_convolution_is_a_loop_over_windows(padding, k, d):
    layer, x = drawn(lambda: Convolution(3, 4, k, dilation=d, padding=padding, weight_norm=k == 3)), randn(2, 11, 3)
    got = layer(x)
    torch.testing.assert_close(got, torch.stack([window_by_window(layer, row) for row in x]))
    if padding == "centred":
        same = F.conv1d(x.transpose(1, 2), layer.conv.weight, layer.conv.bias, padding="same", dilation=d)
        torch.testing.assert_close(got, same.transpose(1, 2))
    assert got.shape == (2, 11 - (layer.reach if padding == "none" else 0), 4)


@pytest.mark.parametrize("k, d", [(1, 1), (2, 1), (3, 4), (3, 20)])
@pytest.mark.parametrize("cuts", [(1,) * 9, (4, 1, 4), (9,)])
@torch.no_grad()
def test_by_steps_of_any_size_it_is_the_same(k, d, cuts):
    layer, x = drawn(lambda: Convolution(3, 4, k, dilation=d)), randn(2, 9, 3)
    before, found = layer.start(2), []
    for words in x.split(cuts, 1):
        out, before = layer.step(words, before)
        assert before.shape == (2, (k - 1) * d, 3)
        found.append(out)
    torch.testing.assert_close(torch.cat(found, 1), layer(x))


@torch.no_grad()
def test_pads_count_as_the_end():
    layer, x = drawn(lambda: Convolution(3, 4, 5, padding="centred")), randn(2, 6, 3)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    x[1, 4:] = torch.nan
    got = layer(x, mask)
    torch.testing.assert_close(got[1, :4], layer(x[1:, :4])[0])
    torch.testing.assert_close(got[0], layer(x[:1])[0])


@pytest.mark.parametrize("make, d_in, places", [
    (lambda: Convolution(4, 5, 3, dilation=2), 4, (0, 20, 39)),
    (lambda: nn.Sequential(*(GatedBlock(6, 3, "causal") for _ in range(4))), 6, (39,)),
    (lambda: nn.Sequential(*(GatedBlock(6, 5, "centred") for _ in range(3))), 6, (20,)),
    (lambda: TCN(4, 8, 3, 2), 4, (39,)),
    (lambda: TCN(4, 8, 3, 3), 4, (39,)),
    (lambda: TCN(4, 8, 2, 1), 4, (0, 39)),
])
def test_receptive_field_by_gradient(make, d_in, places):
    stack = drawn(make)
    field = receptive_field(stack)
    for place in places:
        seen = inputs_seen(stack, d_in, 40, place).nonzero().flatten().tolist()
        causal = not any(getattr(m, "padding", "") == "centred" for m in stack.modules())
        first = place - field + 1 if causal else place - field // 2
        last = place if causal else place + field // 2
        assert (seen[0], seen[-1]) == (max(first, 0), last) and set(seen) <= set(range(40))


def test_receptive_fields_of_the_papers():
    def layers(n, k):
        return nn.ModuleList(Convolution(1, 1, k) for _ in range(n))

    assert receptive_field(layers(6, 5)) == 25 and receptive_field(layers(5, 5)) == 21                # not 25
    assert receptive_field(layers(13, 3)) == 27 and receptive_field(layers(12, 3), layers(3, 1)) == 25
    for k, levels in ((2, 4), (3, 4), (3, 6)):                                                        # 31, 61, 253
        assert receptive_field(TCN(1, 1, levels, k)) == 1 + 2 * (k - 1) * (2**levels - 1)


@torch.no_grad()
def test_gated_block_is_its_formula():
    block, h = drawn(lambda: GatedBlock(4, 3, "centred")), randn(2, 5, 4)
    a, b = block.convolution(h).split(4, -1)
    torch.testing.assert_close(block(h), (h + a * torch.sigmoid(b)) * 0.5**0.5)
    torch.testing.assert_close((h + F.glu(torch.cat([a, b], -1))) * 0.5**0.5, block(h))
    assert not torch.allclose((h + b * torch.sigmoid(a)) * 0.5**0.5, block(h))


@pytest.mark.parametrize("size, becomes", [(0.01, 1.0), (1.0, 1.39)])
@torch.no_grad()
def test_what_a_gated_convolution_does_to_variance(size, becomes):
    """Gain 4 undoes the quarter that a GLU leaves, but that holds for small inputs only."""
    torch.manual_seed(0)
    block, x = GatedBlock(256, 3), size * torch.randn(4, 100, 256)
    gated, _ = block.step(x, block.convolution.start(4))
    assert float(gated[:, 2:].var()) / size**2 == pytest.approx(becomes, rel=0.08)
    assert float(block(x)[:, 2:].var()) / size**2 == pytest.approx((1 + becomes) / 2, rel=0.08)


@torch.no_grad()
def test_dilated_block_is_its_formula():
    block, x = drawn(lambda: DilatedBlock(3, 5, 2, dilation=2)), randn(2, 9, 3)
    first, second = block.convolutions
    expected = F.relu(F.linear(x, block.skip.conv.weight[:, :, 0], block.skip.conv.bias)
                      + F.relu(second(F.relu(first(x)))))
    torch.testing.assert_close(block(x), expected)
    assert first.conv.dilation == second.conv.dilation == (2,)
    assert isinstance(DilatedBlock(5, 5).skip, nn.Identity)


@torch.no_grad()
def test_dilated_blocks_drop_whole_channels():
    block = drawn(lambda: DilatedBlock(40, 40, dropout=0.5)).train()
    dropped = []
    block.dropout.register_forward_hook(lambda _, __, out: dropped.append(out))
    block(randn(1, 50, 40))
    for out in dropped:                                                   # (B, D, T): dead channels are dead everywhere
        assert 8 < int((out == 0).all(-1).sum()) < 34


@pytest.mark.parametrize("mode", [True, False])
@torch.no_grad()
def test_tcn_does_not_see_the_future(mode):
    tcn, x = drawn(lambda: TCN(3, 6, 3)).train(mode), randn(2, 20, 3)
    for t in range(1, 20):
        changed = torch.cat([x[:, :t], randn(2, 20 - t, 3, seed=1)], 1)
        torch.testing.assert_close(tcn(changed)[:, :t], tcn(x)[:, :t], rtol=0, atol=1e-12)
    assert not torch.allclose(tcn(changed)[:, -1], tcn(x)[:, -1])


@torch.no_grad()
def test_k_grams_by_hand():
    layer, x = drawn(lambda: KGramFilters(3, 4, (1, 2, 5))), randn(3, 6, 3)
    lengths = [6, 4, 2]
    mask = torch.arange(6) < torch.tensor(lengths).unsqueeze(1)
    x[~mask] = torch.nan
    expected = []
    for row, n in zip(x, lengths, strict=True):
        features = []
        for f in layer.filters:
            k = f.reach + 1
            words = torch.cat([row[:n], torch.zeros(max(0, k - n), 3)]).double()
            windows = [words[i : i + k] for i in range(len(words) - k + 1)]
            matches = [(f.conv.weight * window.T).sum((1, 2)) + f.conv.bias for window in windows]
            features.append(torch.stack(matches).amax(0).clamp(min=0))
        expected.append(torch.cat(features))
    torch.testing.assert_close(layer(x, mask), torch.stack(expected))
    torch.testing.assert_close(layer(x[2:, :2], mask[2:, :2])[0], expected[2])       # shorter than the widest window


@torch.no_grad()
def test_a_pad_cannot_win_the_maximum():
    """With a large bias a window of zeros would match best, if it counted."""
    layer = drawn(lambda: KGramFilters(3, 4, (2,)))
    layer.filters[0].conv.bias.fill_(5.0)
    layer.filters[0].conv.weight.copy_(-layer.filters[0].conv.weight.abs())
    x, mask = torch.ones(1, 5, 3).double(), torch.tensor([[True, True, True, False, False]])
    torch.testing.assert_close(layer(x, mask), layer(x[:, :3], mask[:, :3]))
    assert (layer(x, mask) < 5).all()


def test_sentences_with_the_same_bigrams_are_the_same():
    one, other = torch.tensor([[4, 5, 4, 6, 4]]), torch.tensor([[4, 6, 4, 5, 4]])              # a b a c a, a c a b a
    for widths, same in (((1, 2), True), ((1, 2, 3), False)):
        model = drawn(lambda widths=widths: TextCNN(8, 3, 5, 20, widths))
        assert torch.equal(model(one), model(other)) == same


@torch.no_grad()
def test_text_cnn_is_not_moved_by_pads_or_neighbours():
    model = drawn(lambda: TextCNN(12, 3))
    source = torch.tensor([[4, 5, 6, 7, 8, 9, 10], [6, 9, 0, 0, 0, 0, 0]])
    logits = model(source)
    model.embedding.weight[0] = 7.0
    torch.testing.assert_close(model(F.pad(source, (0, 3))), logits)
    torch.testing.assert_close(model(source[1:, :2])[0], logits[1])


@pytest.mark.parametrize("make, says", [
    (lambda: Convolution(3, 4, 2, padding="centred"), "has no middle: use an odd kernel_size"),
    (lambda: Convolution(3, 4, padding="same"), "unknown padding 'same'"),
    (lambda: Convolution(3, 4, 0), "kernel_size must be a positive whole number"),
    (lambda: Convolution(3, 4, padding="none")(torch.zeros(1, 2, 3)), "a window spans 3 words and there are 2"),
    (lambda: Convolution(3, 4, padding="centred").step(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)), "words to come"),
    (lambda: KGramFilters(3, 4, ()), "widths is empty"),
    (lambda: TCN(3, 4, 0), "n_levels must be"),
])
def test_refusals(make, says):
    with pytest.raises(ValueError, match=says):
        make()
