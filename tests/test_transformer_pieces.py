"""Notebook 16's parts: a Transformer without a piece, an alignment from every head, decoding without a cache."""

import pytest
import torch

from course_utils.experiments.nb16.head_links import head_links, head_maps
from course_utils.experiments.nb16.pieces import PIECES, take_away
from course_utils.experiments.nb16.uncached import WithoutCache
from course_utils.layers.blocks import Residual
from course_utils.metrics import forced_attention
from course_utils.proofs.tools import SIZES, sample
from course_utils.seq2seq.contract import take_rows
from course_utils.seq2seq.decoding import greedy
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.vocabulary import Vocabulary

WIDTHS = dict(**SIZES, d_model=8, n_heads=2, n_layers=2, d_ff=12)


def drawn(**options) -> Transformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Transformer(**WIDTHS, **options).double().eval()


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("piece", PIECES)
@torch.no_grad()
def test_every_piece_changes_what_is_said_and_can_be_decoded(piece, norm):
    batch, whole, part = sample(), drawn(norm=norm), take_away(drawn(norm=norm), piece)
    assert not torch.allclose(whole(batch.source, batch.target_in), part(batch.source, batch.target_in))
    assert greedy(part, batch.source, max_length=4).tokens.shape[1] <= 4


@torch.no_grad()
def test_what_each_missing_piece_was_for():
    batch = sample()
    source, target = batch.source[:1], batch.target_in[:1]
    later = target.clone()
    later[:, -1] = 4 + (later[:, -1] - 3) % (SIZES["target_size"] - 4)
    other = torch.where(source > 3, 4 + (source - 3) % (SIZES["source_size"] - 4), source)
    assert not torch.equal(other, source) and not torch.equal(later, target)

    def moves(piece, **change):
        model = take_away(drawn(), piece)
        call = {"source": source, "target_in": target}
        before, after = model(**call), model(**{**call, **change})
        return not torch.allclose(before[:, :-1], after[:, :-1])

    assert moves("mask", target_in=later)                                 # it sees what it is to guess
    assert not any(moves(piece, target_in=later) for piece in PIECES if piece != "mask")
    assert not moves("between", source=other)                             # it does not see what it translates
    assert all(moves(piece, source=other) for piece in PIECES if piece != "between")


@torch.no_grad()
def test_without_self_attention_a_word_does_not_know_its_sentence():
    ids = torch.tensor([[4, 5, 6], [7, 5, 6]])
    alone = take_away(drawn(), "within-X").encode(ids).encoded
    torch.testing.assert_close(alone[0, 1:], alone[1, 1:])
    model, read = take_away(drawn(), "within-Y"), sample()
    first, second = read.target_in[:1], read.target_in[:1].clone()
    second[:, 1] = 4 + (second[:, 1] - 3) % (SIZES["target_size"] - 4)
    torch.testing.assert_close(
        model(read.source[:1], first)[:, 2:], model(read.source[:1], second)[:, 2:]
    )


@torch.no_grad()
def test_without_positions_the_source_is_a_bag():
    model = take_away(drawn(), "positions")
    one, other = (model.encode(torch.tensor([ids])).encoded.sum(1) for ids in ([4, 5, 6], [6, 4, 5]))
    torch.testing.assert_close(one, other)


def test_without_norms_or_feed_forward_or_residuals():
    assert not any("norm" in name for name, _ in take_away(drawn(), "norms").named_parameters())
    model = take_away(drawn(), "feed-forward")
    batch = sample()
    model(batch.source, batch.target_in).sum().backward()
    assert all(block.feed_forward.inner.weight.grad is None for block in [*model.encoder, *model.decoder])
    x, change = torch.randn(2, 3, 8).double(), torch.randn(2, 3, 8).double()
    for norm in ("pre", "post"):
        cut = take_away(drawn(norm=norm), "residuals").encoder[0].residuals[0]
        assert isinstance(cut, Residual)
        torch.testing.assert_close(cut.after(x, change), change if norm == "pre" else cut.norm(change))


def test_an_unknown_piece_is_refused():
    with pytest.raises(ValueError, match="no piece 'wheels'.*'residuals'"):
        take_away(drawn(), "wheels")


def test_the_remaining_weights_are_those_of_the_whole_model():
    whole = drawn().state_dict()
    for piece in PIECES:
        for name, weight in take_away(drawn(), piece).state_dict().items():
            assert torch.equal(weight, whole[name.replace("plug.plug", "plug")])


# ---- alignments ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus():
    from course_utils.corpora.mini import load_split

    pairs = load_split("valid")[:6]
    words = Vocabulary.build(p.source for p in pairs), Vocabulary.build(p.target for p in pairs)
    torch.manual_seed(1)
    model = Transformer(len(words[0]), len(words[1]), d_model=8, n_heads=2, n_layers=3, d_ff=8).double().eval()
    return model, pairs, words


def test_the_mean_of_the_heads_is_the_contracts_attention(corpus):
    model, pairs, words = corpus
    for maps, mean, pair in zip(
        head_maps(model, pairs, *words, batch_size=4), forced_attention(model, pairs, *words), pairs, strict=True
    ):
        assert maps.shape == (3, 2, len(pair.target), len(pair.source))
        torch.testing.assert_close(maps[-1].mean(0), mean)


def test_links_are_the_largest_weights_of_each_head(corpus):
    model, pairs, words = corpus
    links = head_links(model, pairs, *words, batch_size=4)
    assert list(links) == [(i, h) for i in range(3) for h in range(2)]
    for maps, k in zip(head_maps(model, pairs, *words), range(6), strict=True):
        for (i, h), found in links.items():
            assert len(found[k]) == len(pairs[k].target)
            assert all(maps[i, h, t, s] == maps[i, h, t].max() for s, t in found[k])


# ---- no cache --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_without_a_cache_the_same_is_said():
    model, batch = drawn(), sample()
    long_way = WithoutCache(model)
    got, expected = greedy(long_way, batch.source), greedy(model, batch.source)
    assert torch.equal(got.tokens, expected.tokens)
    torch.testing.assert_close(got.attention, expected.attention)
    torch.testing.assert_close(long_way(batch.source, batch.target_in), model(batch.source, batch.target_in))


@torch.no_grad()
def test_its_state_is_the_prefix_and_rows_can_be_taken():
    model, batch = WithoutCache(drawn()), sample()
    memory = model.encode(batch.source)
    state, rows = model.start(memory), torch.tensor([1, 1, 0])
    for t in range(2):
        logits, state, attention = model.step(batch.target_in[:, t], state, memory)
    assert torch.equal(state.tokens, batch.target_in[:, :2]) and attention.shape == batch.source.shape
    token = batch.target_in[:, 2]
    whole = model.step(token, state, memory)[0]
    taken = model.step(token[rows], take_rows(state, rows), take_rows(memory, rows))[0]
    torch.testing.assert_close(taken, whole[rows])
