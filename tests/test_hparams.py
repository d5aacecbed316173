"""Every argument of every model is used: another value alone gives another model, and `hparams` says all of them."""

import inspect

import pytest
import torch
from torch import nn

from course_utils.experiments.nb01.next_word import NextWordModel
from course_utils.experiments.nb05.deep import DeepMLP
from course_utils.experiments.nb07.wires import RewiredSeq2Seq
from course_utils.experiments.nb14.set_baselines import DeepSets, ListMLP, RasterMLP
from course_utils.experiments.nb14.two_places import TwoPlaces
from course_utils.experiments.nb21.copying import Copier
from course_utils.experiments.nb22.masked_characters import MaskedCharacters
from course_utils.experiments.nb22.recall import Recall
from course_utils.experiments.nb24.long_range import LongRange
from course_utils.models.attention_tagger import AttentionTagger
from course_utils.models.embeddings import CBOW, SkipGram
from course_utils.models.language_model import CharLanguageModel
from course_utils.models.set_transformer import SetTransformer
from course_utils.models.tagger import Tagger
from course_utils.models.text_cnn import TextCNN
from course_utils.models.transformer_xl import TransformerXL
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.convolutional import ConvolutionalSeq2Seq
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq
from course_utils.seq2seq.transformer import Transformer

SOURCE = torch.tensor([[4, 5, 6, 7, 8, 9], [10, 11, 4, 5, 0, 0]])
IDS = SOURCE.clamp(min=4)  # without pads
TARGET = torch.tensor([[1, 4, 5, 6], [1, 7, 8, 9]])
SETS = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])


def translate(model):
    return model(SOURCE, TARGET)


def tag(model):
    return model(SOURCE)


def read(model):
    first, state = model(IDS)
    return torch.cat([first, model(IDS, state)[0]], 1)


def classify(model):
    return model(SETS, MASK)


PAIR = dict(source_size=12, target_size=12)
TRANSLATOR = dict(**PAIR, d_embedding=4, d_hidden=6)
HEADS = dict(d_model=8, n_heads=2, n_layers=1)
# model -> (how it is called, its arguments, {argument: another value, or (arguments without which it does nothing,
# another value)}); sizes that alone change the shapes of weights are among them, to be complete
MODELS = {
    FixedContextSeq2Seq: (translate, TRANSLATOR, dict(
        source_size=13, target_size=13, d_embedding=5, d_hidden=8, cell="lstm", context="every_step",
        reverse_source=True, n_layers=2, dropout=0.5)),
    AttentiveSeq2Seq: (translate, TRANSLATOR, dict(
        source_size=13, target_size=13, d_embedding=5, d_hidden=8, cell="lstm", attention="dot", dropout=0.5,
        input_feeding=True)),
    BahdanauSeq2Seq: (translate, dict(TRANSLATOR, d_attention=4, d_readout=4), dict(
        source_size=13, target_size=13, d_embedding=5, d_hidden=8, d_attention=5, d_readout=5, attention="general",
        dropout=0.5)),
    RewiredSeq2Seq: (translate, dict(TRANSLATOR, d_attention=4, d_readout=4, asks_after_reading=False,
                                     context_in_cell=True), dict(
        source_size=13, target_size=13, asks_after_reading=True, context_in_cell=False)),
    ConvolutionalSeq2Seq: (translate, dict(TRANSLATOR, n_encoder=1, n_decoder=1), dict(
        source_size=13, target_size=13, d_embedding=5, d_hidden=8, kernel_size=5, n_encoder=2, n_decoder=2,
        positions="target", attention="scaled_dot", max_length=50, weight_norm=False, dropout=0.5)),
    Transformer: (translate, dict(**PAIR, **HEADS), dict(
        source_size=13, target_size=13, d_model=10, n_heads=4, n_layers=2, d_ff=9, norm="post",
        positions="rotary", attention="dot", activation="gelu", max_length=(dict(positions="learned"), 50),
        tie="decoder", dropout=0.5)),
    AttentionTagger: (tag, dict(n_words=12, n_tags=5, **HEADS), dict(
        n_words=13, n_tags=6, d_model=10, n_heads=4, n_layers=2, d_ff=9, positions="alibi", causal=True,
        max_length=(dict(positions="learned"), 50), norm="post", dropout=0.5, equal=True)),
    Tagger: (tag, dict(kind="elman", n_words=12, n_tags=5, d_embedding=4, d_hidden=6), dict(
        kind="backward", n_words=13, n_tags=6, d_embedding=5, d_hidden=7, k=(dict(kind="window"), 2),
        decay=(dict(kind="jordan"), 0.5), dropout=0.5)),
    TextCNN: (tag, dict(n_words=12, n_classes=5, d_embedding=4, n_filters=6), dict(
        n_words=13, n_classes=6, d_embedding=5, n_filters=7, widths=({}, (1, 2)), dropout=0.5)),
    TransformerXL: (read, dict(vocabulary_size=12, **HEADS, memory=4), dict(
        vocabulary_size=13, d_model=10, n_heads=4, n_layers=2, d_ff=9, memory=2, norm="post", dropout=0.5)),
    CharLanguageModel: (read, dict(vocabulary_size=12, d_embedding=4, d_hidden=6), dict(
        vocabulary_size=13, d_embedding=5, d_hidden=7, cell="gru", n_layers=2)),
    SetTransformer: (classify, dict(d_element=3, n_classes=4, d_model=8, n_heads=2), dict(
        d_element=4, n_classes=5, d_model=10, n_heads=4, n_inducing=2, pool="mean")),
    DeepSets: (classify, dict(d_element=3, n_classes=4, d_model=8), dict(d_element=4, n_classes=5, d_model=9)),
    ListMLP: (classify, dict(d_element=3, n_classes=4, n_most=6, d_hidden=8), dict(
        d_element=4, n_classes=5, n_most=7, d_hidden=9)),
    RasterMLP: (classify, dict(n_classes=4, side=4, d_hidden=8), dict(n_classes=5, side=5, d_hidden=9)),
    NextWordModel: (lambda model: model(IDS[:, :3]), dict(vocabulary_size=12, d_embedding=4, d_hidden=5), dict(
        vocabulary_size=13, d_embedding=5, context=2, d_hidden=6, combine="sum", direct=True)),
    DeepMLP: (lambda model: model(SETS[:, 0]), dict(d_input=3, d_hidden=5, n_layers=2, n_classes=4), dict(
        d_input=4, d_hidden=6, n_layers=3, n_classes=5, norm="layer")),
    TwoPlaces: (lambda model: model(IDS - 4, IDS % 3), dict(n_words=8, d_model=8, n_heads=2), dict(
        n_words=9, d_model=10, n_heads=4, keys="words", readout="feed-forward")),
    Copier: (tag, dict(length=8, n_symbols=11, d_model=8), dict(
        length=9, n_symbols=12, rounds=1, n_buckets=(dict(rounds=1), 4), d_model=10, n_heads=4,
        seed=(dict(rounds=1), 3))),
    MaskedCharacters: (tag, dict(n_symbols=12, length=8, plug="linformer", size=3, **HEADS), dict(
        n_symbols=13, length=9, plug="linear", size=4, d_model=12, n_heads=4, n_layers=2)),
    Recall: (lambda model: model(IDS[:, :4] - 4), dict(n_pairs=4, d=5, kind="softmax", n_values=8), dict(
        n_pairs=5, d=6, kind="linear", n_values=9)),
    LongRange: (tag, dict(n_tokens=12, n_answers=4, longest=8, plug="window", settings={"window": 2}, **HEADS), dict(
        n_tokens=13, n_answers=5, longest=9, plug=(dict(settings=None), "strided"), settings={"window": 1}, each=True,
        causal=True, d_model=10, n_heads=4, n_layers=2)),
    SkipGram: (None, dict(n_words=12, d=4), dict(n_words=13, d=5)),
    CBOW: (None, dict(n_words=12, d=4), dict(n_words=13, d=5)),
}  # fmt: skip
ONLY_FIRST_WEIGHTS = {(DeepMLP, "init")}  # tests/test_normalisation.py holds them to their spreads
ONLY_IF_SET = {(AttentionTagger, "equal")}  # rows of the scoreboard were made before it was there
CASES = [(model, name) for model, (_, _, others) in MODELS.items() for name in others]


def build(model, arguments):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model(**arguments).double()


def answers(call, model):
    """In training mode, where dropout acts, from the same random numbers."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return call(model.train())


@pytest.fixture(autouse=True)
def in_float64(monkeypatch):
    monkeypatch.setattr(__name__ + ".SETS", SETS.double())


@pytest.mark.parametrize("model, name", CASES, ids=lambda x: getattr(x, "__name__", x))
def test_another_value_is_another_model(model, name):
    call, arguments, others = MODELS[model]
    needed, other = others[name] if isinstance(others[name], tuple) else ({}, others[name])
    arguments = {**arguments, **needed}
    one, changed = build(model, arguments), build(model, {**arguments, name: other})
    assert one.hparams.get(name) != changed.hparams[name] == other
    shapes = [{key: value.shape for key, value in m.state_dict().items()} for m in (one, changed)]
    if shapes[0] == shapes[1]:
        changed.load_state_dict(one.state_dict())
        got, before = answers(call, changed), answers(call, one)
        assert got.shape != before.shape or not torch.allclose(got, before, rtol=0, atol=1e-9), f"{name} does nothing"


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_hparams_say_all_and_build_the_same(model):
    call, arguments, others = MODELS[model]
    named = [p for p in inspect.signature(model).parameters.values() if p.kind is not p.VAR_KEYWORD]
    exempt = {name for m, name in ONLY_FIRST_WEIGHTS if m is model}
    assert {p.name for p in named} <= set(others) | exempt, "an argument that no test here changes"
    one = build(model, arguments)
    assert {p.name for p in named} <= set(one.hparams) | {name for m, name in ONLY_IF_SET if m is model}
    again = build(model, one.hparams)
    again.load_state_dict(one.state_dict())
    if call is not None:
        torch.testing.assert_close(answers(call, again), answers(call, one), rtol=0, atol=0)


def test_no_model_with_hparams_is_forgotten():
    def below(cls):
        return {cls}.union(*map(below, cls.__subclasses__()))

    ours = {c for c in below(nn.Module) if c.__module__.startswith("course_utils.") and "hparams" in _written(c)}
    elsewhere = {  # a contract, views of other models, and those of test_hierarchical, test_label_attention, test_nb10
        "Seq2Seq", "WithoutCache", "Continuation", "Tree", "HierarchicalAttention", "FlatAttention", "BagOfWords",
        "LabelAttention", "AttributeAttention",
    }  # fmt: skip
    assert {c for c in ours if not c.__name__.startswith("_") and c.__name__ not in elsewhere} <= set(MODELS)


def _written(cls):
    return inspect.getsource(cls) if "__init__" in vars(cls) else ""
