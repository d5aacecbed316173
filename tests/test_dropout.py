"""Dropout in every model that has a `dropout`: each of its places acts in training, none in evaluation."""

import pytest
import torch
from torch import nn

from course_utils.layers.blocks import FeedForward, Residual
from course_utils.layers.convolution import TCN, GatedBlock
from course_utils.layers.readout import MaxoutReadout
from course_utils.layers.recurrent import CELLS, Recurrent
from course_utils.models.attention_tagger import AttentionTagger
from course_utils.models.tagger import KINDS, Tagger
from course_utils.models.text_cnn import TextCNN
from course_utils.models.transformer_xl import TransformerXL
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.convolutional import ConvolutionalSeq2Seq
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq
from course_utils.seq2seq.transformer import Transformer

V, WIDTHS = 12, dict(d_embedding=5, d_hidden=8)
SOURCE = torch.tensor([[4, 5, 6, 7, 8], [9, 10, 11, 4, 5]])
TARGET_IN = torch.tensor([[1, 4, 5, 6], [1, 7, 8, 9]])
TAGGER = dict(d_model=8, n_heads=2, n_layers=2)


def translate(model):
    return model(SOURCE, TARGET_IN)


def read(model):
    return model(SOURCE)[0]  # logits, state


def tag(model):
    return model(SOURCE)


MODELS = {  # name -> (dropout -> model, how it is called, how many places drop)
    "fixed context": (lambda p: FixedContextSeq2Seq(V, V, **WIDTHS, dropout=p), translate, 1),
    "attentive": (lambda p: AttentiveSeq2Seq(V, V, **WIDTHS, dropout=p), translate, 1),
    "bahdanau": (lambda p: BahdanauSeq2Seq(V, V, **WIDTHS, d_attention=4, d_readout=4, dropout=p), translate, 2),
    "convolutional": (
        lambda p: ConvolutionalSeq2Seq(V, V, **WIDTHS, n_encoder=2, n_decoder=2, dropout=p), translate, 1 + 4 + 1),
    "text cnn": (lambda p: TextCNN(V, V, dropout=p), tag, 1),
    "transformer, pre": (lambda p: Transformer(V, V, **TAGGER, norm="pre", dropout=p), translate, 1 + 2 * (3 + 4)),
    "transformer, post": (lambda p: Transformer(V, V, **TAGGER, norm="post", dropout=p), translate, 1 + 2 * (3 + 4)),
    "transformer, learned": (lambda p: Transformer(V, V, **TAGGER, positions="learned", dropout=p), translate, 15),
    "attention tagger": (lambda p: AttentionTagger(V, V, **TAGGER, positions="learned", dropout=p), tag, 1 + 2 * 3),
    "transformer-xl": (lambda p: TransformerXL(V, **TAGGER, memory=4, dropout=p), read, 1 + 2 * 3),
    "transformer-xl, post": (lambda p: TransformerXL(V, **TAGGER, memory=4, norm="post", dropout=p), read, 1 + 2 * 3),
    **{f"tagger, {kind}": (lambda p, kind=kind: Tagger(kind, V, V, dropout=p), tag, 1) for kind in KINDS},
}


def build(name, p):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MODELS[name][0](p).double()


def places(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Dropout)}


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_in_evaluation_nothing_is_dropped(name):
    call, without = MODELS[name][1], build(name, 0.0)
    expected, model = call(without), build(name, 0.5)
    model.load_state_dict(without.state_dict())  # ConvS2S begins with smaller weights where more is dropped
    assert not torch.allclose(call(model.train()), expected)
    for _ in range(2):
        torch.testing.assert_close(call(model.eval()), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(call(without.train()), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_every_place_drops_in_training(name):
    """One place at a time: with it alone, the output moves; and there are as many places as there should be."""
    call, model = MODELS[name][1], build(name, 0.0).train()
    expected, found = call(model), places(model)
    assert len(found) == MODELS[name][2]
    for place, module in found.items():
        module.p = 0.9
        assert not torch.allclose(call(model), expected), f"{place} drops nothing"
        module.p = 0.0
        torch.testing.assert_close(call(model), expected, rtol=0, atol=1e-12)
    with_some = places(build(name, 0.3))
    assert {module.p for module in with_some.values()} == {0.3}


CALLS = {"fixed context": 3, "attentive": 3, "bahdanau": 3}  # both embeddings, before the output
CALLS |= {name: places + 1 for name, (_, _, places) in MODELS.items() if name.startswith("transformer,")}  # both sides
CALLS["convolutional"] = 1 + 1 + 4 + 1
CALLS |= {f"tagger, {kind}": 1 if kind == "jordan" else 2 for kind in KINDS}


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_nothing_is_dropped_twice(name):
    model, calls = build(name, 0.3).train(), []
    for module in places(model).values():
        module.register_forward_hook(lambda *_: calls.append(1))
    MODELS[name][1](model)
    assert len(calls) == CALLS.get(name, MODELS[name][2])


class Nothing(nn.Module):
    """Everything is dropped."""

    def forward(self, x):
        return torch.zeros_like(x)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
@torch.no_grad()
def test_the_sum_of_word_and_position_is_dropped(positions):
    """Neither words alone, nor before the position is added: with all of it gone, no word and no place is left."""
    models = Transformer(V, V, **TAGGER, positions=positions), AttentionTagger(V, V, **TAGGER, positions=positions)
    for model, call in zip(models, (translate, tag), strict=True):
        model.eval().dropout = Nothing()
        logits = call(model)
        torch.testing.assert_close(logits, logits[:1, :1].expand_as(logits))


@pytest.mark.parametrize("norm", ["pre", "post"])
@torch.no_grad()
def test_a_branch_drops_its_change_and_not_the_stream(norm):
    torch.manual_seed(0)
    x, change, branch = torch.randn(2, 3, 8), torch.randn(2, 3, 8), Residual(8, norm, 0.5)
    branch.dropout = Nothing()
    torch.testing.assert_close(branch.after(x, change), x if norm == "pre" else branch.norm(x))
    feed = FeedForward(8, 16, dropout=0.5)
    feed.dropout = Nothing()
    torch.testing.assert_close(feed(x), feed.outer.bias.expand_as(x))


X = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
LAYERS = {  # every layer that takes `dropout` itself: dropout -> what it gives for X
    **{f"{cell}, between layers": lambda p, cell=cell: (Recurrent(cell, 8, 6, 2, dropout=p), lambda m: m(X)[0])
       for cell in CELLS},
    "bidirectional, between layers": lambda p: (
        Recurrent("gru", 8, 6, 2, bidirectional=True, dropout=p), lambda m: m(X, lengths=torch.tensor([5, 3, 1]))[0]),
    "gated convolution": lambda p: (GatedBlock(8, dropout=p), lambda m: m(X)),
    "dilated convolutions": lambda p: (TCN(8, 6, 2, dropout=p), lambda m: m(X)),
    "feed-forward": lambda p: (FeedForward(8, 16, dropout=p), lambda m: m(X)),
    "residual": lambda p: (Residual(8, "pre", p), lambda m: m.after(X, X)),
    "readout": lambda p: (MaxoutReadout(8, 8, 8, 6, 9, p), lambda m: m(X, X, X)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_a_layer_drops_by_itself(name):
    """In training two calls differ, in evaluation they do not; and without dropout both modes are the same."""
    layer, call = LAYERS[name](0.5)
    assert not torch.allclose(call(layer.train()), call(layer.train()))
    torch.testing.assert_close(call(layer.eval()), call(layer.eval()), rtol=0, atol=0)
    layer, call = LAYERS[name](0.0)
    torch.testing.assert_close(call(layer.train()), call(layer.eval()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_deep_models_drop_between_their_layers(part):
    model = FixedContextSeq2Seq(V, V, **WIDTHS, n_layers=2, dropout=0.3)
    assert getattr(model, part).rnn.dropout == 0.3


def by_steps(model):
    memory = model.encode(SOURCE)
    state, logits = model.start(memory), []
    for token in TARGET_IN.unbind(1):
        step_logits, state, _ = model.step(token, state, memory)
        logits.append(step_logits)
    return torch.stack(logits, 1)


@pytest.mark.parametrize("name", [name for name, (_, call, _) in MODELS.items() if call is translate])
@torch.no_grad()
def test_word_by_word_as_much_is_dropped_as_in_one_call(name):
    """Scheduled sampling trains step by step: as many numbers go through each place as with the whole target."""
    model, seen = build(name, 0.3).train(), {}
    for place, module in places(model).items():
        module.register_forward_hook(
            lambda _, __, out, place=place: seen.__setitem__(place, seen.get(place, 0) + out.numel())
        )
    counts = []
    for call in (translate, by_steps):
        seen.clear()
        assert call(model).isfinite().all()
        counts.append(dict(seen))
    assert counts[0] == counts[1] and len(counts[0]) == MODELS[name][2]
