"""ConvS2S beyond the proofs: what its state keeps, its maps, its refusals. (The proofs hold it as every model.)"""

import pytest
import torch

from course_utils.layers.convolution import receptive_field
from course_utils.proofs.models import build
from course_utils.proofs.tools import SIZES, sample
from course_utils.seq2seq.convolutional import ConvolutionalSeq2Seq

BATCH = sample()
WIDTHS = dict(**SIZES, d_embedding=5, d_hidden=6)


@torch.no_grad()
def test_the_state_does_not_grow():
    model = build("ConvS2S, width 5, plain weights").eval()
    memory = model.encode(BATCH.source)
    state = model.start(memory)
    for token in BATCH.target_in.unbind(1):
        _, state, _ = model.step(token, state, memory)
        assert [kept.shape for kept in state.before] == [(4, 4, 6)] * 2
    assert state.position.tolist() == [BATCH.target_in.shape[1]] * 4


@torch.no_grad()
def test_maps_are_those_of_each_layer():
    model = build("ConvS2S, both positions").eval()
    maps = model.maps(BATCH.source, BATCH.target_in)
    assert maps.shape == (2, *BATCH.target_in.shape, BATCH.source.shape[1])
    torch.testing.assert_close(maps.sum(-1), torch.ones_like(maps[..., 0]))
    torch.testing.assert_close(maps.mean(0), model(BATCH.source, BATCH.target_in, need_weights=True)[1])
    assert not torch.allclose(maps[0], maps[1])


@torch.no_grad()
def test_without_positions_it_sees_order_through_its_windows_alone():
    """Two sources with the same windows of the encoder's whole field, in another order, are the same to it."""
    model = build("ConvS2S, none positions").eval()
    assert receptive_field(model.encoder) == 5                            # two words on each side
    a = [4, 4, 4, 4, 5, 4, 4, 4, 4, 6, 4, 4, 4, 4]
    one, other = torch.tensor([a]), torch.tensor([a[::-1]])
    plain, told = (m(torch.cat([one, other]), BATCH.target_in[:1].repeat(2, 1))
                   for m in (model, build("ConvS2S, both positions").eval()))
    swapped = torch.tensor([[*a[:4], 6, *a[5:9], 5, *a[10:]]])
    same = model(swapped, BATCH.target_in[:1])
    torch.testing.assert_close(same[0], plain[0])
    assert torch.equal(one.flip(1), other) and not torch.allclose(told[0], told[1])


@torch.no_grad()
def test_the_decoder_sees_its_field_and_the_source():
    """With the source fixed, word 0 reaches the logits as far as the decoder's field goes, and no further."""
    model = ConvolutionalSeq2Seq(**WIDTHS, n_encoder=1, n_decoder=2).double().eval()
    field, words = receptive_field(model.decoder), torch.full((1, 9), 4)
    assert field == 5
    moved = words.clone()
    moved[0, 0] = 5
    source = BATCH.source[:1]
    change = (model(source, moved) - model(source, words)).abs().amax(-1)[0] > 1e-12
    assert change.tolist() == [True] * field + [False] * (9 - field)


@pytest.mark.parametrize("others, says", [
    (dict(kernel_size=4), "has no middle: use an odd kernel_size"),
    (dict(positions="learned"), "unknown positions 'learned': one of 'both'"),
    (dict(n_decoder=0), "n_decoder must be a positive whole number"),
    (dict(attention="doubt"), "unknown plug 'doubt'"),
    (dict(dropout=1.0), "dropout must be in"),
])  # fmt: skip
def test_refusals(others, says):
    with pytest.raises(ValueError, match=says):
        ConvolutionalSeq2Seq(**WIDTHS, **others)


def test_a_sentence_beyond_the_table_is_refused():
    with pytest.raises(ValueError, match="no learned position for place 6"):
        ConvolutionalSeq2Seq(**WIDTHS, max_length=6).encode(BATCH.source)
    ConvolutionalSeq2Seq(**WIDTHS, max_length=6, positions="target").encode(BATCH.source)
