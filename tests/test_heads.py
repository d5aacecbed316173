"""Heads one by one: switched off and on again; two places and one softmax."""

import pytest
import torch

from course_utils.experiments.nb14.heads import (
    KINDS,
    Head,
    all_heads,
    attentions,
    fold_projection,
    forced_loss,
    heads_off,
    loss_with_only,
    loss_without_each,
    without,
)
from course_utils.experiments.nb14.two_places import (
    FIRST,
    PLAIN,
    SECOND,
    PlacesBatches,
    TwoPlaces,
    draw_places,
    places_loss,
    places_scores,
)
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.batches import Batch
from course_utils.training import token_loss, train

B, T, D, H = 3, 5, 12, 3


def layer():
    torch.manual_seed(0)
    return MultiHeadAttention(D, H).double()


def transformer(n_layers=2, n_heads=2):
    torch.manual_seed(0)
    return Transformer(9, 11, d_model=8, n_heads=n_heads, n_layers=n_layers).eval()


def batch():
    ids = torch.randint(4, 9, (B, T), generator=torch.Generator().manual_seed(1))
    target = torch.cat([torch.ones(B, 1, dtype=torch.long), ids], 1)
    source = ids.clone()
    source[0, 3:] = 0
    out = torch.cat([ids, torch.full((B, 1), 2)], 1)
    out[0, 4:] = 0
    return Batch(source, target, out, list(range(B)))


@torch.no_grad()
@pytest.mark.parametrize("off", [[0], [2], [0, 1], [0, 1, 2], []])
def test_a_head_that_is_off_adds_nothing(off):
    mha, x = layer(), torch.randn(B, T, D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    q, k, v = mha.project(x, "qkv")
    context, _, _ = mha.plug(q, k, v)                                     # (B, H, T, d)
    keep = torch.tensor([h not in off for h in range(H)]).view(1, H, 1, 1)
    expected = mha.out_proj((context * keep).transpose(1, 2).flatten(2))
    before = mha.out_proj.weight.clone()
    with heads_off(mha, off):
        torch.testing.assert_close(mha(x, x, x)[0], expected)
    assert torch.equal(mha.out_proj.weight, before)


def test_heads_come_back_even_after_an_error():
    mha = layer()
    before = mha.out_proj.weight.detach().clone()
    with pytest.raises(ZeroDivisionError), heads_off(mha, [1]):
        assert not torch.equal(mha.out_proj.weight, before)
        raise ZeroDivisionError
    assert torch.equal(mha.out_proj.weight, before) and mha.out_proj.weight.requires_grad
    with pytest.raises(ValueError, match="heads 0 to 2"), heads_off(mha, [3]):
        pass


def test_all_heads_of_a_transformer_are_found_in_order():
    model = transformer()
    heads = all_heads(model)
    assert len(heads) == 2 * 2 * 3 and len(set(heads)) == 12
    assert [kind for kind, _ in attentions(model)] == [k for k in KINDS for _ in range(2)]
    assert heads[0] == ("encoder", 0, 0) and heads[-1] == ("cross", 1, 1) and str(heads[-1]) == "cross 2.2"
    assert attentions(model)["decoder", 1] is model.decoder[1].self_attention
    with pytest.raises(ValueError, match="no 'cross' attention in layer 2"), without(model, [Head("cross", 2, 0)]):
        pass


@torch.no_grad()
def test_losses_without_heads():
    model, some = transformer(), batch()
    whole = forced_loss(model, [some])
    assert whole == pytest.approx(float(token_loss(model(some.source, some.target_in), some.target_out)), abs=1e-5)
    halves = [Batch(some.source[r], some.target_in[r], some.target_out[r], r) for r in ([0], [1, 2])]
    assert forced_loss(model, halves) == pytest.approx(whole, abs=1e-5)   # by words, not by batches
    each, alone = loss_without_each(model, [some]), loss_with_only(model, [some])
    assert list(each) == list(alone) == all_heads(model)
    for head in all_heads(model):
        twin = Head(head.kind, head.layer, 1 - head.head)
        assert alone[head] == pytest.approx(each[twin])                   # of two heads, one alone is the other off
        assert each[head] != pytest.approx(whole, abs=1e-7)
        with without(model, [head]):
            assert forced_loss(model, [some]) == pytest.approx(each[head])
    with without(model, all_heads(model)):
        assert forced_loss(model, [some]) not in (whole, *each.values())
    assert forced_loss(model, [some]) == whole                            # and all is as before


def test_two_projections_fold_into_one():
    outer, inner, a = (torch.randn(*s, dtype=torch.float64) for s in ((2, 4), (4, 4), (4,)))
    torch.testing.assert_close(fold_projection(outer, inner) @ a, outer @ (inner @ a))
    with pytest.raises(ValueError, match="inner widths"):
        fold_projection(outer, inner[:3])


# --- two places -------------------------------------------------------------------------------------------------------


def test_lines_are_what_they_should_be():
    lines = draw_places(500, 6, 5, torch.Generator().manual_seed(0))
    assert lines.words.shape == lines.marks.shape == (500, 6) and lines.target.shape == (500, 2)
    for mark, column in ((FIRST, 0), (SECOND, 1)):
        assert torch.equal((lines.marks == mark).sum(1), torch.ones(500, dtype=torch.long))
        assert torch.equal(lines.words[lines.marks == mark], lines.target[:, column])
    assert bool((lines.target[:, 0] != lines.target[:, 1]).all()) and set(lines.marks.unique().tolist()) == {0, 1, 2}
    first, second = ((lines.marks == mark).float().argmax(1) for mark in (FIRST, SECOND))
    assert 0.4 < float((first < second).float().mean()) < 0.6            # either may stand in front
    assert PLAIN == 0 and lines.n_tokens == 1000 and len(lines.to("cpu")) == 500
    with pytest.raises(ValueError, match="length=1"):
        draw_places(1, 1, 5, torch.Generator())


def test_batches_of_lines_resume():
    batches = PlacesBatches(4, seed=2)
    stream = batches.forever()
    first = next(stream)
    state = batches.state_dict()
    second = next(stream)
    assert not torch.equal(first.words, second.words)
    again = PlacesBatches(4, seed=2)
    again.load_state_dict(state)
    assert torch.equal(next(again.forever()).words, second.words)
    with pytest.raises(ValueError, match="build the same"):
        PlacesBatches(4, seed=3).load_state_dict(state)


@pytest.mark.parametrize("keys", ["marks", "words"])
def test_one_head_with_equal_weights_cannot_know_the_order(keys):
    torch.manual_seed(0)
    model, line = TwoPlaces(5, 4, 1, keys), draw_places(50, 6, 5, torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.attention.in_proj.weight[:8] = 0                            # all scores equal: a plain average
    swapped = torch.tensor([PLAIN, SECOND, FIRST])[line.marks]
    assert torch.allclose(model(line.words, line.marks), model(line.words, swapped), atol=1e-5)


@pytest.mark.parametrize(("keys", "readout"), [("marks", "linear"), ("marks", "feed-forward"), ("words", "linear")])
def test_the_model_and_its_scores(keys, readout):
    torch.manual_seed(0)
    model, line = TwoPlaces(5, 8, 2, keys, readout), draw_places(40, 6, 5, torch.Generator().manual_seed(0))
    logits, weights = model(line.words, line.marks, need_weights=True)
    assert logits.shape == (40, 2, 5) and weights.shape == (40, 2, 6)
    assert torch.allclose(weights.sum(-1), torch.ones(40, 2))
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(model(line.words[:, order], line.marks[:, order]), logits, atol=1e-5)  # marks, not places
    nll = -logits.log_softmax(-1)[torch.arange(40)[:, None], torch.arange(2), line.target].mean()
    assert places_loss(model, line).item() == pytest.approx(nll.item(), abs=1e-5)

    class Oracle(torch.nn.Module):
        def __init__(self, flip):
            super().__init__()
            self.flip = flip

        def forward(self, words, marks):
            said = line.target.flip(1) if self.flip else line.target
            return torch.nn.functional.one_hot(said, 5).float()

    assert set(places_scores(Oracle(False), line).values()) == {1.0}
    assert places_scores(Oracle(True), line) == {"pair": 0.0, "first": 0.0, "second": 0.0, "set": 1.0}
    with pytest.raises(ValueError, match="readout"):
        TwoPlaces(5, 8, 2, "marks", "cubic")
    same = torch.allclose(weights.sort(-1).values, weights[:1].sort(-1).values)
    assert same == (keys == "marks")                                      # what the keys see, the weights can say
    with torch.no_grad():
        model.attention.in_proj.weight[:16] = 0                               # equal weights: only the values differ
    unmarked = model(line.words, torch.full_like(line.marks, PLAIN))
    assert torch.allclose(model(line.words, line.marks), unmarked, atol=1e-6) == (keys == "marks")


def test_two_heads_learn_what_one_cannot():
    pair = {}
    for n_heads in (1, 2):
        torch.manual_seed(0)
        model = TwoPlaces(4, 8, n_heads)
        train(model, PlacesBatches(64, 4, 4), steps=250, lr=2e-2, warmup=20, objective=places_loss, progress=False)
        pair[n_heads] = places_scores(model, draw_places(500, 4, 4, torch.Generator().manual_seed(9)))["pair"]
    assert pair[2] > 0.95 > 0.85 > pair[1]
