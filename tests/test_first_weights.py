"""How every layer begins: the scale of each projection by itself, recurrent weights orthogonal, biases zero."""

import math

import pytest
import torch
from torch import nn

from course_utils.attention.key_value import KeyValueAttention
from course_utils.attention.linformer import LinformerAttention
from course_utils.attention.local import LocalPredictiveAttention
from course_utils.attention.location_aware import LocationAwareAttention
from course_utils.attention.positions import LearnedPositions
from course_utils.attention.relative import RelativeAttention
from course_utils.attention.scores import (
    AdditiveScore,
    ConcatAsRunScore,
    ConcatScore,
    GeneralScore,
    LocationScore,
    NormedScore,
)
from course_utils.attention.sinkhorn import SinkhornAttention
from course_utils.attention.synthesizer import (
    DenseSynthesizer,
    FactorisedDenseSynthesizer,
    FactorisedRandomSynthesizer,
    RandomSynthesizer,
)
from course_utils.attention.xl import XLAttention
from course_utils.layers.blocks import FeedForward
from course_utils.layers.convolution import Convolution, DilatedBlock, GatedBlock, KGramFilters
from course_utils.layers.gated_cells import GRUCell, LSTMCell
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.layers.parallel_recurrence import SRU
from course_utils.layers.readout import MaxoutReadout
from course_utils.layers.recurrent import Recurrent
from course_utils.layers.simple_recurrent import ElmanCell, JordanCell
from course_utils.models.transformer_xl import TransformerXL
from course_utils.seq2seq.contract import embedding
from course_utils.seq2seq.convolutional import ConvolutionalSeq2Seq
from course_utils.seq2seq.transformer import word_vectors
from course_utils.text.vocabulary import PAD


def drawn(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


def xavier_std(weight):
    """Of U(-a, a) with a = sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010)."""
    return math.sqrt(2 / sum(weight.shape))


def recurrent_parts(cell, kind):
    rnn = drawn(lambda: Recurrent(cell, 90, 100, n_layers=2)).rnn
    return [gate for layer in range(2) for gate in getattr(rnn, f"weight_{kind}_l{layer}").split(100)]


XAVIER = {  # every matrix that is a projection of its own
    "multi-head Q, K, V": lambda: drawn(lambda: MultiHeadAttention(128, 4)).in_proj.weight.split(128),
    "multi-head O": lambda: [drawn(lambda: MultiHeadAttention(128, 4)).out_proj.weight],
    "feed-forward": lambda: [getattr(drawn(lambda: FeedForward(64, 256)), name).weight for name in ("inner", "outer")],
    "additive": lambda: [getattr(drawn(lambda: AdditiveScore(60, 120, 90)), name).weight for name in "WU"],
    "general": lambda: [drawn(lambda: GeneralScore(60, 120)).W.weight],
    "normed": lambda: [getattr(drawn(lambda: NormedScore(60, 120, 90)), name).weight for name in "WU"],
    "concat": lambda: [drawn(lambda: ConcatScore(60, 120, 90)).W.weight],
    "concat as run": lambda: [drawn(lambda: ConcatAsRunScore(60, 120)).W.weight],
    "location": lambda: [drawn(lambda: LocationScore(60, 120)).W.weight],
    "keys and values": lambda: [getattr(drawn(lambda: KeyValueAttention(60, 120, 90)), f"W_{name}").weight
                                for name in "KV"],
    "local-p": lambda: [drawn(lambda: LocalPredictiveAttention(GeneralScore(60, 60), 5, 100)).W_p.weight],
    "location-aware": lambda: [part.weight for part in (drawn(lambda: LocationAwareAttention(
        60, 60, 90, filters=100, reach=60)).F, drawn(lambda: LocationAwareAttention(
            60, 60, 90, filters=100, reach=60)).U)],
    "sinkhorn": lambda: [drawn(lambda: SinkhornAttention(100, 4)).W.weight],
    "linformer": lambda: [getattr(drawn(lambda: LinformerAttention(300, 50)), name) for name in "EF"],
    "synthesizer, a head": lambda: drawn(lambda: DenseSynthesizer(4, 40, 200)).W,
    "synthesizer, factors": lambda: [*drawn(lambda: FactorisedDenseSynthesizer(4, 90, 6400)).W,
                                     *drawn(lambda: FactorisedDenseSynthesizer(4, 90, 6400)).W_other],
    "transformer-xl distances": lambda: [drawn(lambda: XLAttention(4, 32)).W_R.weight],
    "readout": lambda: [part.weight for part in drawn(lambda: MaxoutReadout(50, 40, 60, 45, 200)).children()
                        if isinstance(part, nn.Linear)],
    "Elman": lambda: [drawn(lambda: ElmanCell(90, 100)).W.weight],
    "Jordan": lambda: [getattr(drawn(lambda: JordanCell(90, 100, 80)), name).weight for name in "WUV"],
    "own LSTM, a gate": lambda: drawn(lambda: LSTMCell(90, 100)).W.split(100),
    "own GRU, a gate": lambda: drawn(lambda: GRUCell(90, 100)).W.split(100),
    **{f"{cell}, a gate": lambda cell=cell: recurrent_parts(cell, "ih") for cell in ("rnn", "gru", "lstm")},
}  # fmt: skip


@pytest.mark.parametrize("name", XAVIER)
@torch.no_grad()
def test_each_projection_is_xavier_by_itself(name):
    parts = list(XAVIER[name]())
    for weight in parts:
        wide = math.sqrt(3) * xavier_std(weight)
        assert float(weight.std()) == pytest.approx(xavier_std(weight), rel=0.05)
        assert 0.97 * wide < float(weight.abs().max()) <= wide * (1 + 1e-6), "uniform, up to its edge"
        assert abs(float(weight.mean())) < 0.1 * wide
    same_shape = [(a, b) for i, a in enumerate(parts) for b in parts[:i] if a.shape == b.shape]
    assert not any(torch.equal(a, b) for a, b in same_shape), "two projections begin alike"


def convs2s():
    return drawn(lambda: ConvolutionalSeq2Seq(500, 400, d_embedding=60, d_hidden=80, dropout=0.2, n_encoder=1,
                                              n_decoder=1, max_length=300))  # fmt: skip


NORMAL = {  # tensors from N(0, std²)
    "words of the RNN models": lambda: (drawn(lambda: embedding(500, 64)).weight[1:], 0.25),
    "words of the Transformer": lambda: (drawn(lambda: word_vectors(500, 64)).weight[1:], 64**-0.5),
    "words of Transformer-XL": lambda: (drawn(lambda: TransformerXL(500, 64)).embedding.weight, 64**-0.5),
    "learned positions": lambda: (drawn(lambda: LearnedPositions(200, 64)).table, 64**-0.5),
    "shaw, keys": lambda: (drawn(lambda: RelativeAttention(64, 60)).key_table, 64**-0.5),
    "shaw, values": lambda: (drawn(lambda: RelativeAttention(64, 60)).value_table, 64**-0.5),
    "transformer-xl u": lambda: (drawn(lambda: XLAttention(32, 64)).u, 64**-0.5),
    "transformer-xl v": lambda: (drawn(lambda: XLAttention(32, 64)).v, 64**-0.5),
    "words of ConvS2S": lambda: (convs2s().target_embedding.weight[1:], 0.1),
    "positions of ConvS2S": lambda: (convs2s().source_positions.table, 0.1),
    "ConvS2S, before a GLU": lambda: (convs2s().decoder[0].block.convolution.conv.weight, math.sqrt(4 * 0.8 / 240)),
    "ConvS2S, words in": lambda: (convs2s().encoder_in.weight, math.sqrt(0.8 / 60)),
    "ConvS2S, words out": lambda: (convs2s().output.weight, math.sqrt(0.8 / 60)),
    "ConvS2S, queries": lambda: (convs2s().decoder[0].query.weight, math.sqrt(1 / 80)),
    "ConvS2S, contexts": lambda: (convs2s().decoder[0].context.weight, math.sqrt(1 / 60)),
    "convolution": lambda: (drawn(lambda: Convolution(40, 50, 3)).conv.weight, math.sqrt(1 / 120)),
    "gated block": lambda: (drawn(lambda: GatedBlock(40)).convolution.conv.weight, math.sqrt(4 / 120)),
    "dilated block": lambda: (drawn(lambda: DilatedBlock(40, 40, 3, dropout=0.5)).convolutions[1].conv.weight,
                              math.sqrt(2 * 0.5 / 120)),
    "k-grams": lambda: (drawn(lambda: KGramFilters(40, 50, (4,))).filters[0].conv.weight, math.sqrt(2 / 160)),
    "random synthesizer": lambda: (drawn(lambda: RandomSynthesizer(2, 60)).R, 1.0),
    "random synthesizer, factors": lambda: (drawn(lambda: FactorisedRandomSynthesizer(4, 200, 16)).R_1, 16**-0.25),
}  # fmt: skip


@pytest.mark.parametrize("name", NORMAL)
@torch.no_grad()
def test_each_table_has_its_spread(name):
    table, std = NORMAL[name]()
    assert float(table.std()) == pytest.approx(std, rel=0.06) and abs(float(table.mean())) < 0.1 * std
    assert float(table.abs().max()) > 2.5 * std, "normal, not uniform"


@torch.no_grad()
def test_weight_normalised_layers_begin_as_they_would_without():
    plain, normal = (drawn(lambda w=w: Convolution(6, 8, 3, weight_norm=w)) for w in (False, True))
    torch.testing.assert_close(normal.conv.weight, plain.conv.weight)
    gains, directions = normal.conv.parametrizations.weight.original0, normal.conv.parametrizations.weight.original1
    torch.testing.assert_close(gains.flatten(), directions.flatten(1).norm(dim=1))
    directions.mul_(3.0)  # only the direction counts
    torch.testing.assert_close(normal.conv.weight, plain.conv.weight)
    gains.mul_(2.0)
    torch.testing.assert_close(normal.conv.weight, 2 * plain.conv.weight)


@torch.no_grad()
def test_sru_begins_as_published():
    sru = drawn(lambda: SRU(200, highway_bias=-1.0))
    for weight, wide in (*zip(sru.W, math.sqrt(3 / 200) * torch.tensor([1, 0.5**0.5, 0.5**0.5]), strict=True),
                         (sru.v, math.sqrt(1.5))):
        assert 0.97 * wide < float(weight.abs().max()) <= wide * (1 + 1e-6)
    assert not sru.b[0].any() and (sru.b[1] == -1).all()
    assert sru.alpha == pytest.approx(math.sqrt(1 + 2 / math.e)) and SRU(4).alpha == pytest.approx(math.sqrt(3))


@torch.no_grad()
def test_pad_is_zero_in_every_table_of_words():
    model = ConvolutionalSeq2Seq(9, 9, d_embedding=4, d_hidden=4)
    for table in (embedding(9, 4), word_vectors(9, 4), model.source_embedding, model.target_embedding):
        assert not table.weight[PAD].any() and table.padding_idx == PAD


@pytest.mark.parametrize("make", [
    lambda: MultiHeadAttention(8, 2), lambda: FeedForward(8, 16), lambda: MaxoutReadout(4, 4, 4, 3, 9),
    lambda: ElmanCell(3, 4), lambda: JordanCell(3, 4, 5), lambda: DenseSynthesizer(2, 4, 9), lambda: GRUCell(3, 4),
    lambda: ConvolutionalSeq2Seq(9, 9, d_embedding=4, d_hidden=4), lambda: KGramFilters(4, 5), lambda: SRU(4),
])  # fmt: skip
def test_biases_begin_at_zero(make):
    biases = [p for name, p in make().named_parameters() if name.split(".")[-1] in ("bias", "b", "b_other")]
    assert biases and not any(bool(p.any()) for p in biases)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", ElmanCell, LSTMCell, GRUCell])
@torch.no_grad()
def test_recurrent_weights_are_orthogonal_gate_by_gate(cell):
    if isinstance(cell, str):
        gates = recurrent_parts(cell, "hh")
    else:
        U = drawn(lambda: cell(90, 100)).U
        gates = (U.weight if isinstance(U, nn.Linear) else U).split(100)
    for gate in gates:
        torch.testing.assert_close(gate @ gate.T, torch.eye(100), rtol=0, atol=1e-4)
