"""What the three models are, beyond what the proofs show: where the context goes, first weights, packing, the door."""

import json

import pytest
import torch
from torch import nn

from course_utils.attention.table import make
from course_utils.layers.recurrent import Recurrent, RecurrentState, reverse_by_length
from course_utils.proofs.models import MODELS, build
from course_utils.proofs.tools import SIZES, sample
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.contract import Seq2Seq, embedding, take_rows
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq
from course_utils.text.vocabulary import PAD
from course_utils.training import token_loss

WIDTHS = dict(**SIZES, d_embedding=5, d_hidden=8)
BATCH = sample()


def drawn(make, seed=0):
    torch.manual_seed(seed)
    return make().double()


# --- fixed context: Sutskever and Cho ---------------------------------------------------------------------------------

@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("context", ["initial_state", "every_step"])
@torch.no_grad()
def test_where_the_context_goes(context, cell):
    model = drawn(lambda: FixedContextSeq2Seq(**WIDTHS, context=context, cell=cell, n_layers=2))
    memory = model.encode(BATCH.source)
    state, token = model.start(memory), BATCH.target_in[:, 0]
    logits, after, attention = model.step(token, state, memory)
    other = memory._replace(context=memory.context + 1)
    moved, moved_state, _ = model.step(token, state, other)
    every_step = context == "every_step"
    assert torch.equal(moved, logits) != every_step
    assert torch.equal(moved_state.hidden, after.hidden) != every_step, "Cho's C enters the cell, not the output alone"
    assert attention is None and (state.cell is None) == (cell != "lstm")
    if every_step:
        first = torch.tanh(model.bridge(memory.context))                  # s_0 = tanh(V C)
        torch.testing.assert_close(torch.cat([part.flatten(1) for part in state if part is not None], 1), first)
    else:
        assert torch.equal(state.hidden[:, -1], memory.context)


@torch.no_grad()
def test_cho_reads_the_context_in_the_output_too():
    model = drawn(lambda: FixedContextSeq2Seq(**WIDTHS, context="every_step"))
    memory, token = model.encode(BATCH.source), BATCH.target_in[:, 0]
    before = model.step(token, model.start(memory), memory)
    model.decoder.rnn.weight_ih_l0[:, 5:] = 0.0                           # the cell no longer sees C
    deaf, other = model.step(token, model.start(memory), memory), memory._replace(context=memory.context + 1)
    moved = model.step(token, model.start(memory), other)
    assert not torch.equal(before[1].hidden, deaf[1].hidden)
    torch.testing.assert_close(moved[1].hidden, deaf[1].hidden, rtol=0, atol=1e-12)
    assert not torch.allclose(moved[0], deaf[0])


@torch.no_grad()
def test_source_reversal_reverses_the_source_only():
    """A model that reverses equals one that does not, given reversed sentences, with the target as it is."""
    reverses = drawn(lambda: FixedContextSeq2Seq(**WIDTHS, reverse_source=True))
    plain = FixedContextSeq2Seq(**WIDTHS).double()
    plain.load_state_dict(reverses.state_dict())
    by_hand = torch.tensor([row[row != PAD].flip(0).tolist() + row[row == PAD].tolist() for row in BATCH.source])
    assert torch.equal(reverse_by_length(BATCH.source, (BATCH.source != PAD).sum(1)), by_hand)
    torch.testing.assert_close(reverses(BATCH.source, BATCH.target_in), plain(by_hand, BATCH.target_in))
    assert not torch.allclose(plain(BATCH.source, BATCH.target_in), plain(by_hand, BATCH.target_in))


# --- recurrent layers -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@torch.no_grad()
def test_packed_layers_end_at_the_last_real_word(cell):
    layers = drawn(lambda: Recurrent(cell, 3, 4, n_layers=2, bidirectional=True))
    inputs, lengths = torch.randn(3, 6, 3).double(), torch.tensor([2, 6, 1])
    outputs, final = layers(inputs, lengths=lengths)
    assert outputs.shape == (3, 6, 8) and final.hidden.shape == (3, 2, 8) and (final.cell is None) == (cell != "lstm")
    for row, n in enumerate(lengths.tolist()):
        alone, (alone_final, *_) = layers(inputs[row : row + 1, :n])
        torch.testing.assert_close(outputs[row, :n], alone[0])
        torch.testing.assert_close(final.hidden[row], alone_final[0])
        assert (outputs[row, n:] == 0).all()
        torch.testing.assert_close(final.hidden[row, 1, :4], alone[0, -1, :4])      # forward ends at the last word,
        torch.testing.assert_close(final.hidden[row, 1, 4:], alone[0, 0, 4:])       # backward at the first


@pytest.mark.parametrize("cell, kind", [("rnn", nn.RNN), ("gru", nn.GRU), ("lstm", nn.LSTM)])
@torch.no_grad()
def test_first_weights(cell, kind):
    rnn = drawn(lambda: Recurrent(cell, 3, 4, n_layers=2)).rnn
    assert isinstance(rnn, kind)
    for layer in range(2):
        for gate in getattr(rnn, f"weight_hh_l{layer}").split(4):
            torch.testing.assert_close(gate @ gate.T, torch.eye(4).double(), rtol=0, atol=1e-6)
        bias = getattr(rnn, f"bias_ih_l{layer}") + getattr(rnn, f"bias_hh_l{layer}")
        assert bias.tolist() == {"rnn": [0] * 4, "gru": [0] * 12, "lstm": [0] * 4 + [1] * 4 + [0] * 8}[cell]


def test_word_vectors_start_small_and_pad_stays_zero():
    table = embedding(500, 64)
    assert 0.24 < float(table.weight[1:].detach().std()) < 0.26 and (table.weight[PAD] == 0).all()
    table(torch.tensor([PAD, 5, PAD])).sum().backward()
    assert (table.weight.grad[PAD] == 0).all() and (table.weight.grad[5] == 1).all()
    model = build("attentive, GRU, general score")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    token_loss(model(BATCH.source, BATCH.target_in), BATCH.target_out).backward()
    optimizer.step()
    assert (model.source_embedding.weight[PAD] == 0).all() and (model.target_embedding.weight[PAD] == 0).all()


# --- all models -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", list(MODELS))
def test_shapes_and_state(name):
    model = build(name)
    (B, S), T, V = BATCH.source.shape, BATCH.target_in.shape[1], SIZES["target_size"]
    assert model(BATCH.source, BATCH.target_in).shape == (B, T, V)
    logits, attention = model(BATCH.source, BATCH.target_in, need_weights=True)
    assert logits.shape == (B, T, V) and (attention is None or attention.shape == (B, T, S))
    memory = model.encode(BATCH.source)
    logits, state, weights = model.step(BATCH.target_in[:, 0], model.start(memory), memory)
    assert logits.shape == (B, V) and (weights is None) == (attention is None)
    assert weights is None or weights.shape == (B, S)
    assert type(state) is type(model.start(memory))


@pytest.mark.parametrize("name", list(MODELS))
def test_learns_a_batch_by_heart(name):
    model = build(name).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.03, fused=True)
    losses = []
    for _ in range(120):
        loss = token_loss(model(BATCH.source, BATCH.target_in), BATCH.target_out)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if losses[-1] < 0.1:
            break
    assert losses[0] > 2.0 and losses[-1] < 0.1


@pytest.mark.parametrize("name", list(MODELS))
def test_hparams_are_plain_and_rebuild_the_model(name):
    model = build(name)
    again = type(model)(**json.loads(json.dumps(model.hparams)))
    assert again.hparams == model.hparams
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


def test_hparams_name_the_plug():
    assert AttentiveSeq2Seq(**WIDTHS).hparams["attention"] == "general"
    own = AttentiveSeq2Seq(**WIDTHS, attention=make("additive", 8, d_attention=3))
    assert own.hparams["attention"] == "DenseAttention(AdditiveScore)"
    with pytest.raises(ValueError, match="unknown plug 'DenseAttention"):
        AttentiveSeq2Seq(**own.hparams)


@pytest.mark.parametrize("name", ["additive", "dot", "scaled_dot", "general"])
def test_every_plug_of_the_table_fits_the_attentive_model(name):
    model = AttentiveSeq2Seq(**WIDTHS, attention=name)
    assert model(BATCH.source, BATCH.target_in, need_weights=True)[1].shape == (4, 7, 7)


@pytest.mark.parametrize("kind, more", [
    (FixedContextSeq2Seq, {}), (FixedContextSeq2Seq, {"context": "every_step"}), (AttentiveSeq2Seq, {}),
    (BahdanauSeq2Seq, {"d_attention": 4, "d_readout": 4}),
])
@torch.no_grad()
def test_dropout_acts_in_training_only(kind, more):
    model = kind(**WIDTHS, **more, dropout=0.5)
    draws = [model.train()(BATCH.source, BATCH.target_in) for _ in range(2)]
    assert not torch.equal(*draws)
    model.eval()
    assert torch.equal(model(BATCH.source, BATCH.target_in), model(BATCH.source, BATCH.target_in))


@pytest.mark.parametrize("kind, more, last", [
    (FixedContextSeq2Seq, {}, 8), (FixedContextSeq2Seq, {"context": "every_step"}, 4), (AttentiveSeq2Seq, {}, 8),
    (BahdanauSeq2Seq, {"d_attention": 4, "d_readout": 3}, 3),
])
@torch.no_grad()
def test_dropout_acts_on_both_embeddings_and_before_the_output(kind, more, last):
    model, dropped = kind(**WIDTHS, **more, dropout=0.5), []
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda module, inputs, output: dropped.append(tuple(output.shape)))
    model(BATCH.source, BATCH.target_in)
    assert dropped == [(*BATCH.source.shape, 5), (*BATCH.target_in.shape, 5), (*BATCH.target_in.shape, last)]


def test_dropout_between_layers_only_without_a_warning(recwarn):
    assert FixedContextSeq2Seq(**WIDTHS, dropout=0.2).encoder.rnn.dropout == 0.0
    assert FixedContextSeq2Seq(**WIDTHS, dropout=0.2, n_layers=2).decoder.rnn.dropout == 0.2
    assert not recwarn.list


# --- the door ---------------------------------------------------------------------------------------------------------

def changed(ids, place, value):
    ids = ids.clone()
    ids[place] = value
    return ids


BAD_BATCHES = {
    "unknown source word": (dict(source=changed(BATCH.source, (0, 1), 13)), ValueError, "source holds the id 13"),
    "negative id": (dict(source=changed(BATCH.source, (1, 0), -1)), ValueError, "source holds the id -1"),
    "unknown target word": (dict(target_in=changed(BATCH.target_in, (0, 1), 11)), ValueError, "target_in holds"),
    "only pads": (dict(source=changed(BATCH.source, 2, PAD)), ValueError, "source row 2 begins with PAD"),
    "pads before words": (dict(source=BATCH.source.flip(1)), ValueError, "source row 1 begins with PAD"),
    "a pad inside": (dict(source=changed(BATCH.source, (1, 1), PAD)), ValueError, "source row 1 has a token after"),
    "no rows": (dict(source=BATCH.source[:0], target_in=BATCH.target_in[:0]), ValueError, r"is empty, shape \(0, "),
    "no words": (dict(target_in=BATCH.target_in[:, :0]), ValueError, r"target_in is empty, shape \(4, 0\)"),
    "one sentence without batch": (dict(source=BATCH.source[0]), ValueError, r"source must have shape \(batch, "),
    "rows do not pair": (dict(target_in=BATCH.target_in[:3]), ValueError, "4 source rows but 3 target rows"),
    "floats": (dict(source=BATCH.source.float()), TypeError, "got torch.float32: use make_batch"),
    "int32": (dict(target_in=BATCH.target_in.int()), TypeError, "got torch.int32: use make_batch, or .long()"),
    "a list": (dict(source=BATCH.source.tolist()), TypeError, "got list: use make_batch"),
}


@pytest.mark.parametrize("case", list(BAD_BATCHES))
@pytest.mark.parametrize("name", ["Sutskever, GRU", "Bahdanau", "attentive, GRU, general score"])
def test_bad_batches_are_refused_with_a_remedy(name, case):
    arguments, error, sentence = BAD_BATCHES[case]
    with pytest.raises(error, match=sentence):
        build(name)(**{**dict(source=BATCH.source, target_in=BATCH.target_in), **arguments})


@pytest.mark.parametrize("name", ["Sutskever, GRU", "Bahdanau", "attentive, GRU, general score"])
def test_bad_steps_are_refused(name):
    model = build(name)
    memory = model.encode(BATCH.source)
    with pytest.raises(ValueError, match="token holds the id 11, this vocabulary has 0..10"):
        model.step(torch.tensor([1, 2, 3, 11]), model.start(memory), memory)
    with pytest.raises(ValueError, match=r"token must have shape \(batch,\), got \(4, 1\)"):
        model.step(BATCH.target_in[:, :1], model.start(memory), memory)
    with pytest.raises(ValueError, match="begins with PAD"):
        model.encode(torch.zeros(2, 3, dtype=torch.long))


BAD_MODELS = {
    "odd width": (lambda: AttentiveSeq2Seq(**{**WIDTHS, "d_hidden": 7}), "d_hidden=7 is odd, .* use 8"),
    "unknown cell": (lambda: AttentiveSeq2Seq(**WIDTHS, cell="elman"), "unknown cell 'elman': one of 'rnn', 'gru'"),
    "unknown cell, fixed": (lambda: FixedContextSeq2Seq(**WIDTHS, cell="GRU"), "unknown cell 'GRU'"),
    "unknown context": (lambda: FixedContextSeq2Seq(**WIDTHS, context="cho"), "one of 'initial_state', 'every_step'"),
    "unknown attention": (lambda: AttentiveSeq2Seq(**WIDTHS, attention="soft"), "unknown plug 'soft'"),
    "no layers": (lambda: FixedContextSeq2Seq(**WIDTHS, n_layers=0), "n_layers must be a positive whole number, got 0"),
    "dropout 1": (lambda: FixedContextSeq2Seq(**WIDTHS, dropout=1.0), r"dropout must be in \[0, 1\), got 1.0"),
    "no vocabulary": (lambda: AttentiveSeq2Seq(**{**WIDTHS, "target_size": 0}), "target_size must be a positive"),
    "width of text": (lambda: FixedContextSeq2Seq(**{**WIDTHS, "d_embedding": "5"}), "d_embedding must be a positive"),
}


@pytest.mark.parametrize("case", list(BAD_MODELS))
def test_bad_models_are_refused_with_a_remedy(case):
    make, sentence = BAD_MODELS[case]
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_dot_score_does_not_fit_bahdanau_and_says_why():
    with pytest.raises(ValueError, match="of one width, got 8 and 16: use additive or general"):
        BahdanauSeq2Seq(**WIDTHS, d_attention=4, d_readout=4, attention="dot")


def test_the_base_names_what_is_missing():
    model = Seq2Seq(**SIZES)
    for call, name in ((lambda: model.encode(None), "encode"), (lambda: model.start(None), "start"),
                       (lambda: model.step(None, None, None), "step"), (lambda: model(None, None), "forward")):
        with pytest.raises(NotImplementedError, match=f"Seq2Seq must define {name}"):
            call()


# --- take_rows --------------------------------------------------------------------------------------------------------

def test_take_rows_walks_through_everything():
    numbers = torch.arange(6).view(3, 2)
    tree = {"a": RecurrentState(numbers, None), "b": [numbers[:, 0], (numbers, None)], "c": None}
    taken = take_rows(tree, torch.tensor([2, 0, 0, 1]))
    assert taken["a"].hidden.tolist() == [[4, 5], [0, 1], [0, 1], [2, 3]] and taken["a"].cell is None
    assert isinstance(taken["a"], RecurrentState) and taken["b"][0].tolist() == [4, 0, 0, 2]
    assert isinstance(taken["b"][1], tuple) and taken["b"][1][1] is None and taken["c"] is None
    assert take_rows(numbers, torch.tensor([True, False, True])).tolist() == [[0, 1], [4, 5]]
    with pytest.raises(TypeError, match="got int"):
        take_rows([numbers, 3], torch.tensor([0]))
