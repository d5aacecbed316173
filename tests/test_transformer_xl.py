"""Transformer-XL: the shift, the formula, and a memory that makes segments one text."""

import copy

import plug_checks as checks
import pytest
import torch
from plug_checks import call, drawn, ragged, same, same_function, vectors

from course_utils.attention.socket import masked_softmax
from course_utils.attention.xl import XLAttention, shifted
from course_utils.models.language_model import Streams, streams_loss, total_nll
from course_utils.models.transformer_xl import TransformerXL
from course_utils.seq2seq.contract import take_rows


def formula(plug, q, k, v, real=None, causal=False):
    """Dai et al. 2019, section 3.3, terms (a) + (c) and (b) + (d), one pair at a time."""
    (B, H, T, d), S = q.shape, k.shape[-2]
    rows = []
    for i in range(T):
        for j in range(S):
            r = plug.W_R(plug.sinusoids(torch.tensor([i + S - T - j]))).view(H, d)
            own = ((q[:, :, i] + plug.u[:, 0]) * k[:, :, j]).sum(-1) + ((q[:, :, i] + plug.v[:, 0]) * r).sum(-1)
            rows.append(own / d**0.5)
    scores = torch.stack(rows, -1).view(B, H, T, S)
    allowed = torch.ones(B, 1, T, S, dtype=torch.bool)
    allowed = allowed.tril(S - T) if causal else allowed
    return masked_softmax(scores, allowed if real is None else allowed & real[:, None, None]) @ v


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("T", "S"), [(7, 7), (2, 9), (1, 5), (1, 1)])
def test_it_is_the_papers_function(T, S, causal, masked):
    plug, real = drawn(lambda: XLAttention(2, 4)), ragged(S) if masked else None
    same_function(
        lambda q, k, v: plug(q, k, v, key_mask=real, causal=causal)[0],
        lambda q, k, v: formula(plug, q, k, v, real, causal), call(T, S, d_value=3), tuple(plug.parameters()),
    )


@pytest.mark.parametrize(("T", "S"), [(1, 1), (1, 6), (5, 5), (3, 8)])
def test_the_shift_is_a_gather(T, S):
    x = vectors(2, 2, T, S + T)
    i, j = torch.arange(T).unsqueeze(1), torch.arange(S)
    columns = S - 1 - (i + S - T - j)                                     # distance S - 1 - c stands in column c
    same(shifted(x), x.gather(-1, columns.expand(2, 2, T, S)))


def test_only_distances_count():
    plug, (q, k, v) = drawn(lambda: XLAttention(2, 4)), call(5, 9)
    keys = torch.arange(9) + 1000
    for causal in (False, True):
        same(plug(q, k, v, causal=causal, positions=(keys[4:], keys))[0], plug(q, k, v, causal=causal)[0])


def test_the_future_does_not_matter():
    checks.the_future_does_not_matter(drawn(lambda: XLAttention(2, 4)))


@pytest.mark.parametrize("causal", [False, True])
def test_pads_do_not_matter(causal):
    checks.pads_do_not_matter(drawn(lambda: XLAttention(2, 4)), causal)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda plug, x: plug(x[:, :1], x[:, :1], x[:, :1]), "made for 2 heads"),
        (lambda plug, x: plug(x, x[:, :, :3], x[:, :, :3]), "every query stands at the place of a key"),
        (lambda plug, x: plug(x, x, x, positions=(torch.arange(0, 8, 2),) * 2), "needs consecutive keys"),
        (lambda plug, x: XLAttention(2, 0), "d_head must be a positive whole number"),
    ],
)
def test_what_it_cannot_do_gets_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make(drawn(lambda: XLAttention(2, 4)), vectors(1, 2, 4, 4))


# --- the language model -----------------------------------------------------------------------------------------------


def small(**options):
    return drawn(lambda: TransformerXL(11, **dict(d_model=8, n_heads=2, n_layers=3, memory=40) | options))


def words(n, rows=2, seed=0):
    return torch.randint(4, 11, (rows, n), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("size", [1, 4, 13])
def test_segments_with_memory_are_the_whole_text(size, norm):
    model, ids = small(norm=norm), words(30)
    whole, _ = model(ids)
    state, logits = None, []
    for segment in ids.split(size, 1):
        out, state = model(segment, state)
        logits.append(out)
    same(torch.cat(logits, 1), whole)
    assert state.hidden.shape == (2, 3, 30, 8) and state.cell is None


@torch.no_grad()
def test_without_memory_a_segment_stands_alone():
    model, ids = small(memory=0), words(12)
    _, state = model(ids[:, :6])
    assert state.hidden.shape == (2, 3, 0, 8)
    same(model(ids[:, 6:], state)[0], model(ids[:, 6:])[0])


@torch.no_grad()
@pytest.mark.parametrize("memory", [1, 2, 4])
def test_reach_is_layers_times_memory(memory):
    """Word by word: the word L · memory back still counts, the one before it no more."""
    model, ids, last = small(memory=memory), words(20), 19

    def read(ids):
        state = None
        for word in ids.split(1, 1):
            logits, state = model(word, state)
        return logits

    before, reach = read(ids), 3 * memory
    for back in range(1, 16):
        changed = ids.clone()
        changed[:, last - back] = 4 + (changed[:, last - back] - 3) % 7
        assert (float((read(changed) - before).abs().max()) > 1e-12) == (back <= reach), back


@torch.no_grad()
def test_memory_can_be_changed_after_training():
    model, ids = small(memory=2), words(20)
    model.memory = 50
    _, state = model(ids[:, :12])
    same(model(ids[:, 12:], state)[0], model(ids)[0][:, 12:])


def test_no_gradient_goes_into_the_memory():
    model, ids = small(), words(12)
    logits, state = model(ids[:, :6])
    assert logits.requires_grad and not state.hidden.requires_grad
    hidden = state.hidden.clone().requires_grad_()
    logits, _ = model(ids[:, 6:], state._replace(hidden=hidden))
    logits.sum().backward()
    assert (model.embedding.weight.grad[ids[:, 6:].unique()] != 0).any()
    only_before = [w for w in range(11) if w in ids[:, :6] and w not in ids[:, 6:]]
    assert only_before and (model.embedding.weight.grad[only_before] == 0).all()
    assert (hidden.grad != 0).any()                                       # it is used, though never made by a gradient


@torch.no_grad()
def test_rows_are_independent_and_can_be_taken():
    model, ids, rows = small(), words(14, rows=3), torch.tensor([2, 0, 0])
    whole, _ = model(ids)
    _, state = model(ids[:, :8])
    same(model(ids[rows, 8:], take_rows(state, rows))[0], whole[rows, 8:])
    same(model(ids[1:2])[0], whole[1:2])


@torch.no_grad()
def test_words_to_come_do_not_matter():
    model, ids = small(), words(14)
    whole, _, maps = model.read(ids, need_weights=True)
    changed = ids.clone()
    changed[:, 9:] = 4 + (changed[:, 9:] - 3) % 7
    same(model(changed)[0][:, :9], whole[:, :9])
    assert len(maps) == 3 and all((m.triu(1) == 0).all() for m in maps)
    _, state = model(ids[:, :8])
    assert model.read(ids[:, 8:], state, need_weights=True)[2][0].shape == (2, 2, 6, 14)


def test_the_course_s_text_streams_train_it_and_go_on_after_a_break():
    """A repeating text: the loss falls; a run taken up from its saved place takes the same next step."""
    text = list(range(4, 11)) * 60
    torch.manual_seed(0)
    model = TransformerXL(11, d_model=16, n_heads=2, n_layers=2, memory=8)
    streams = Streams(text, lanes=4, length=8)
    optimiser, losses = torch.optim.Adam(model.parameters(), 0.01), []
    for step, chunk in zip(range(40), streams.forever(), strict=False):
        if step == 30:
            kept = copy.deepcopy(model.state_dict()), streams.state_dict(), chunk
        loss = streams_loss(model, chunk)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.1 < 1.5 < losses[0]
    nll, n = total_nll(model.eval(), text, lanes=2)
    assert nll / n < 0.2 and n == 418
    weights, place, chunk = kept
    again, twin = Streams(text, lanes=4, length=8), TransformerXL(**model.hparams)
    twin.load_state_dict(weights)
    again.load_state_dict(place)
    chunk.streams = again
    assert again.state.hidden.shape[2] == 8
    assert streams_loss(twin, chunk).item() == losses[30]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TransformerXL(4), "leaves no room"),
        (lambda: TransformerXL(11, d_model=10, n_heads=4), "cannot be cut into n_heads=4 equal heads"),
        (lambda: TransformerXL(11, memory=-1), "memory=-1: use 0 or more words"),
        (lambda: small()(torch.zeros(3, dtype=torch.long)), "needed are"),
        (lambda: small()(words(3), small(n_layers=2)(words(3))[1]), "a memory of 2 layers and 2 rows"),
        (lambda: small()(words(3), small()(words(3, rows=4))[1]), "a memory of 3 layers and 4 rows"),
    ],
)
def test_bad_models_and_inputs_get_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()
