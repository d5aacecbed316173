"""The Transformer: equal to nn.Transformer with copied weights, blocks, maps, ties, refusals. Leaks, pads, neighbours
and decoding with the cache are proven for every kind of it in test_proofs.py."""

import pytest
import torch
from torch import nn

from course_utils.layers.blocks import FeedForward, Residual
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.proofs.tools import SIZES, sample
from course_utils.seq2seq.decoding import greedy
from course_utils.seq2seq.transformer import POSITIONS, Transformer
from course_utils.text.vocabulary import PAD

D, H = 8, 2
WIDTHS = dict(**SIZES, d_model=D, n_heads=H, n_layers=2, d_ff=12)


def drawn(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().double()


def jolt(module):
    """Norms and biases start at 1 and 0, where mistakes hide."""
    generator = torch.Generator().manual_seed(5)
    for p in module.parameters():
        if p.ndim == 1:
            p.data += 0.3 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return module


def attention_of(ours: MultiHeadAttention) -> dict:
    return {"in_proj_weight": ours.in_proj.weight, "in_proj_bias": ours.in_proj.bias,
            "out_proj.weight": ours.out_proj.weight, "out_proj.bias": ours.out_proj.bias}  # fmt: skip


def layer_of(block) -> dict:
    """The block's parameters under torch's names."""
    crossing = hasattr(block, "cross_attention")
    parts = {"self_attn": attention_of(block.self_attention if crossing else block.attention)}
    if crossing:
        parts["multihead_attn"] = attention_of(block.cross_attention)
    parts["linear1"], parts["linear2"] = (dict(m.named_parameters()) for m in
                                          (block.feed_forward.inner, block.feed_forward.outer))  # fmt: skip
    for i, residual in enumerate(block.residuals, 1):
        parts[f"norm{i}"] = dict(residual.norm.named_parameters())
    return {f"{part}.{name}": p.detach().clone() for part, own in parts.items() for name, p in own.items()}


def torchs(model: Transformer) -> nn.Transformer:
    """nn.Transformer with our weights. It would end both stacks in a norm, post-norm too, so we build the stacks."""
    first = model.hparams["norm"] == "pre"
    options = dict(dim_feedforward=12, dropout=0.0, batch_first=True, norm_first=first)
    final = nn.LayerNorm(D) if first else None
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(D, H, **options), 2, final, enable_nested_tensor=False)
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(D, H, **options), 2, nn.LayerNorm(D) if first else None)
    theirs = nn.Transformer(D, H, custom_encoder=encoder, custom_decoder=decoder, batch_first=True).double()
    for ours, stack in ((model.encoder, encoder), (model.decoder, decoder)):
        for block, layer in zip(ours, stack.layers, strict=True):
            layer.load_state_dict(layer_of(block))
    if first:
        encoder.norm.load_state_dict(model.encoder_norm.state_dict())
        decoder.norm.load_state_dict(model.decoder_norm.state_dict())
    return theirs.train()                                                 # evaluation takes a path with nested tensors


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_equal_to_nn_transformer_in_values_and_gradients(norm):
    model = jolt(drawn(lambda: Transformer(**WIDTHS, norm=norm)))
    theirs, batch = torchs(model), sample()
    source_where, target_where = (torch.arange(part.shape[1]) for part in batch[:2])
    x = (model.source_embedding(batch.source) * D**0.5 + model.positions(source_where)).detach().requires_grad_()
    y = (model.target_embedding(batch.target_in) * D**0.5 + model.positions(target_where)).detach().requires_grad_()
    pads = batch.source == PAD
    later = ~torch.ones(len(target_where), len(target_where), dtype=torch.bool).tril()
    expected = model.output(theirs(x, y, tgt_mask=later, src_key_padding_mask=pads, memory_key_padding_mask=pads))
    got = model(batch.source, batch.target_in)
    torch.testing.assert_close(got, expected)
    real = batch.target_out != PAD
    got[real].square().sum().backward()
    expected[real].square().sum().backward()
    for ours, stack in ((model.encoder, theirs.encoder), (model.decoder, theirs.decoder)):
        for block, layer in zip(ours, stack.layers, strict=True):
            attention = block.attention if hasattr(block, "attention") else block.self_attention
            torch.testing.assert_close(attention.in_proj.weight.grad, layer.self_attn.in_proj_weight.grad)
            torch.testing.assert_close(block.feed_forward.inner.weight.grad, layer.linear1.weight.grad)
            last_norm = layer.norm2 if stack is theirs.encoder else layer.norm3
            torch.testing.assert_close(block.residuals[-1].norm.weight.grad, last_norm.weight.grad)
    sides = (model.source_embedding, batch.source, x), (model.target_embedding, batch.target_in, y)
    for table, ids, upstream in sides:
        words = torch.zeros_like(table.weight).index_add(0, ids.flatten(), upstream.grad.flatten(0, 1) * D**0.5)
        words[PAD] = 0.0
        torch.testing.assert_close(table.weight.grad, words)


def test_feed_forward_is_two_convolutions_of_width_1():
    feed, x = drawn(lambda: FeedForward(6, 10)), torch.randn(2, 5, 6).double()
    hidden = nn.functional.conv1d(x.mT, feed.inner.weight.unsqueeze(-1), feed.inner.bias).relu()
    out = nn.functional.conv1d(hidden, feed.outer.weight.unsqueeze(-1), feed.outer.bias)
    torch.testing.assert_close(out.mT, feed(x))


def test_where_the_norm_stands():
    x, change = torch.randn(2, 3, 6), torch.randn(2, 3, 6)
    pre, post = Residual(6, "pre"), Residual(6, "post")
    torch.testing.assert_close(pre.before(x), pre.norm(x))
    torch.testing.assert_close(pre.after(x, change), x + change)          # not norm(x) + change
    assert post.before(x) is x
    torch.testing.assert_close(post.after(x, change), post.norm(x + change))


@torch.no_grad()
def test_maps_are_those_of_every_layer_and_head():
    model, batch = drawn(lambda: Transformer(**WIDTHS)), sample()
    maps = model.maps(batch.source, batch.target_in)
    B, S, T = *batch.source.shape, batch.target_in.shape[1]
    assert [tuple(m.shape) for m in maps] == [(2, B, H, S, S), (2, B, H, T, T), (2, B, H, T, S)]
    pads = batch.source == PAD
    for m, hidden in ((maps.encoder, pads), (maps.cross, pads)):
        assert (m.masked_select(hidden[None, :, None, None, :].expand_as(m)) == 0).all()
    assert (maps.decoder.triu(1) == 0).all()
    torch.testing.assert_close(model(batch.source, batch.target_in, need_weights=True)[1], maps.cross[-1].mean(1))


@pytest.mark.parametrize("positions", list(POSITIONS))
@torch.no_grad()
def test_words_and_their_order(positions):
    """Every scheme tells two sentences of the same words apart, no positions do not; and ALiBi in an encoder, which
    knows distances without directions, cannot tell a sentence from its mirror image."""
    model = drawn(lambda: Transformer(**WIDTHS, positions=positions))
    sentence, swapped, mirrored = (
        model.encode(torch.tensor([ids])).encoded.sum(1) for ids in ([4, 5, 6], [5, 4, 6], [6, 5, 4])
    )
    assert torch.allclose(sentence, swapped) == (positions == "none")
    assert torch.allclose(sentence, mirrored) == (positions in ("none", "alibi"))


def test_ties():
    plain, decoder, both = (Transformer(**{**WIDTHS, "source_size": 11}, tie=tie) for tie in ("none", "decoder", "all"))
    sizes = [sum(p.numel() for p in model.parameters()) for model in (plain, decoder, both)]
    assert sizes[0] - sizes[1] == 11 * D + 11 and sizes[1] - sizes[2] == 11 * D      # the output's bias goes too
    assert both.source_embedding is both.target_embedding
    logits = decoder(torch.tensor([[4]]), torch.tensor([[4]]))
    assert logits[..., PAD].abs().max() == 0                              # PAD is no word


@torch.no_grad()
def test_greedy_decoding_uses_the_cache_and_finds_what_the_whole_prefix_finds():
    model, batch = drawn(lambda: Transformer(**WIDTHS)).eval(), sample()
    memory = model.encode(batch.source)
    state, token = model.start(memory), batch.target_in[:, 0]
    for t in range(5):
        logits, state, _ = model.step(token, state, memory)
        assert state.caches[0].key.shape[2] == t + 1 and state.position.tolist() == [t + 1] * 4
        token = logits.argmax(-1)
    assert len(greedy(model, batch.source).tokens) == 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_heads": 3}, "d_model=8 cannot be cut into n_heads=3"),
        ({"norm": "both"}, "unknown norm 'both': one of 'pre', 'post'"),
        ({"positions": "rope"}, "unknown positions 'rope': one of 'none', 'sinusoidal'"),
        ({"positions": "alibi", "attention": "additive"}, "brings its own scores: leave attention at 'scaled_dot'"),
        ({"tie": "all"}, "needs one vocabulary for both languages, these have 13 and 11 words"),
        ({"tie": "output"}, "unknown tie 'output'"),
        ({"activation": "tanh"}, "unknown activation 'tanh': one of 'relu', 'gelu'"),
        ({"n_layers": 0}, "n_layers must be a positive whole number"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
    ],
)
def test_bad_models_get_one_sentence(options, says):
    with pytest.raises(ValueError, match=says):
        Transformer(**{**WIDTHS, **options})


def test_a_sentence_longer_than_the_learned_table():
    model = Transformer(**WIDTHS, positions="learned", max_length=4)
    with pytest.raises(ValueError, match="max_length=4"):
        model(torch.full((1, 5), 4), torch.full((1, 2), 4))
