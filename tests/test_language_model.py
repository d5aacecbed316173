"""The language model: what is carried over chunks and what is not, perplexity, sampling, gradients by distance."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.experiments.nb04.gradient_flow import scaled_to_radius, state_gradients, tanh_gradients
from course_utils.layers.recurrent import CELLS, initialise_recurrent
from course_utils.models import play_model
from course_utils.models.language_model import (
    CharLanguageModel,
    Streams,
    detached,
    load_model,
    save_model,
    streams_loss,
    total_nll,
)
from course_utils.models.sampling import next_logits, sample, temperature_probabilities
from course_utils.plots.gradients import power_gradient, power_loss, power_path
from course_utils.seq2seq.sampling import next_probabilities
from course_utils.text.vocabulary import SPECIALS, Vocabulary
from course_utils.training import train

SIZE = 12


def ids(n: int = 401, seed: int = 0) -> torch.Tensor:
    return torch.randint(len(SPECIALS), SIZE, (n,), generator=torch.Generator().manual_seed(seed))


def model(cell: str = "lstm", n_layers: int = 1, seed: int = 0) -> CharLanguageModel:
    torch.manual_seed(seed)
    return CharLanguageModel(SIZE, 6, 10, cell, n_layers)


# --- the model --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n_layers", [1, 2])
def test_in_chunks_as_in_one_piece(cell, n_layers):
    net, text = model(cell, n_layers).double(), ids(40).reshape(4, 10)
    whole, _ = net(text)
    first, state = net(text[:, :3])
    second, _ = net(text[:, 3:], state)
    assert whole.shape == (4, 10, SIZE) and torch.allclose(torch.cat([first, second], 1), whole, atol=1e-12)


def test_the_future_is_not_seen():
    net, text = model().double(), ids(10)[None]
    other = text.clone()
    other[0, 6] = len(SPECIALS) + (other[0, 6] - len(SPECIALS) + 1) % (SIZE - len(SPECIALS))
    one, two = net(text)[0], net(other)[0]
    torch.testing.assert_close(one[:, :6], two[:, :6], rtol=0, atol=1e-12)
    assert not torch.allclose(one[:, 6], two[:, 6])


def test_what_it_refuses():
    with pytest.raises(ValueError, match="specials"):
        CharLanguageModel(4)
    with pytest.raises(ValueError, match="unknown cell"):
        CharLanguageModel(9, cell="elman")
    for wrong in (ids(5), ids(5)[:0][None]):
        with pytest.raises(ValueError, match="needed are"):
            model()(wrong)


# --- streams ----------------------------------------------------------------------------------------------------------


def test_lanes_and_chunks_hold_the_text_once():
    text = ids(403)
    streams = Streams(text, lanes=4, length=30)
    chunks = list(streams.once())
    assert len(chunks) == len(streams) == 4 and streams.per_lane == 100 and chunks[-1].inputs.shape == (4, 10)
    assert sum(chunk.n_tokens for chunk in chunks) == 400
    read, said = (torch.cat([getattr(c, side) for c in chunks], 1).flatten() for side in ("inputs", "targets"))
    assert torch.equal(read, text[:400]) and torch.equal(said, text[1:401]), "a target is one place later"
    for chunk in chunks:
        assert torch.equal(chunk.inputs[:, 0], text[chunk.index]) and len(chunk) == 4


def test_each_epoch_begins_with_an_empty_memory():
    streams, net, seen = Streams(ids(), 4, 50), model(), []
    for chunk, _ in zip(streams.forever(), range(5), strict=False):
        seen.append((chunk.index[0], streams.state is None))
        streams_loss(net, chunk)
    assert seen == [(0, True), (50, False), (0, True), (50, False), (0, True)]
    before = streams.state
    list(streams.once())
    assert streams.state is before


def test_the_state_goes_on_and_its_history_does_not():
    streams, net = Streams(ids(), 4, 20), model().double()
    stream = streams.forever()
    one, two = next(stream), next(stream)
    streams_loss(net, one)
    assert not any(part.requires_grad for part in streams.state)
    loss = streams_loss(net, two)
    expected, _ = net(torch.cat([one.inputs, two.inputs], 1))
    assert torch.allclose(loss, F.cross_entropy(expected[:, 20:].flatten(0, 1), two.targets.flatten()), atol=1e-12)
    loss.backward()  # the first chunk's graph was never freed: what arrives here must come from the second alone
    touched = {int(i) for i in net.embedding.weight.grad.abs().sum(1).nonzero()}
    assert touched == set(two.inputs.flatten().tolist())


def test_truncated_gradient_is_the_full_one_inside_and_zero_beyond():
    net, text = model("rnn").double(), ids(13)
    leaves = net.embedding(text[None]).detach().requires_grad_()
    full = torch.autograd.grad(net.recurrent(leaves)[0][0, -1].sum(), leaves)[0][0]
    _, state = net.recurrent(leaves[:, :8])
    cut = torch.autograd.grad(net.recurrent(leaves[:, 8:], detached(state))[0][0, -1].sum(), leaves)[0][0]
    assert torch.allclose(cut[8:], full[8:], atol=1e-14)
    assert (cut[:8] == 0).all() and (full[:8].norm(dim=1) > 0).all()


def test_a_resumed_run_ends_as_one_that_never_stopped(tmp_path):
    def run(checkpoint=None, stop_after=None):
        net, streams = model(), Streams(ids(), 4, 7)
        history = train(net, streams, steps=40, lr=1e-2, warmup=5, objective=streams_loss, progress=False,
                        checkpoint=checkpoint, checkpoint_every=6, stop_after=stop_after)  # fmt: skip
        return net, streams, history

    whole, place, losses = run()
    run(tmp_path / "c.pt", 20)
    resumed, again, history = run(tmp_path / "c.pt")
    assert history.loss == losses.loss and len(losses) == 40
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(place.state, again.state, strict=True))
    with pytest.raises(ValueError, match="another text"):
        Streams(ids(seed=1), 4, 7).load_state_dict(place.state_dict())
    with pytest.raises(ValueError, match="another text"):
        Streams(ids(), 4, 8).load_state_dict(place.state_dict())


@pytest.mark.parametrize(("n", "lanes", "length"), [(401, 0, 3), (401, 3, 0), (4, 4, 3), (0, 1, 1)])
def test_impossible_streams(n, lanes, length):
    with pytest.raises(ValueError, match="lanes"):
        Streams(ids(n), lanes, length)


def test_total_nll_counts_every_symbol_once():
    net, text = model().eval(), ids(1003)
    nll, n = total_nll(net, text, lanes=1)
    with torch.no_grad():
        want = F.cross_entropy(net(text[None, :-1])[0][0], text[1:], reduction="sum").item()
    assert n == 1002 and nll == pytest.approx(want, rel=1e-5)
    assert total_nll(net, text, lanes=4)[1] == 1000


def test_it_learns_a_rule():
    text = torch.tensor([4, 5, 6, 7, 8] * 80)
    net = model()
    train(net, Streams(text, 4, 20), steps=150, lr=2e-2, warmup=10, objective=streams_loss, progress=False)
    nll, n = total_nll(net, text, lanes=2)
    assert math.exp(nll / n) < 1.1 and sample(net, [4, 5], 4, 0.1) == [6, 7, 8, 4]


# --- sampling ---------------------------------------------------------------------------------------------------------


def test_temperature():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    one = temperature_probabilities(logits, 1.0)
    assert torch.allclose(one, torch.softmax(logits, -1))
    assert torch.allclose(temperature_probabilities(logits, 0.5), torch.softmax(2 * logits, -1))
    assert temperature_probabilities(logits, 1e-3)[0].tolist() == [1, 0, 0]
    assert torch.allclose(temperature_probabilities(logits, 1e6), torch.full_like(logits, 1 / 3), atol=1e-5)
    assert temperature_probabilities(torch.tensor([1e4, 0.0]), 0.01).tolist() == [1, 0]
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="above 0"):
            temperature_probabilities(logits, wrong)


def test_samples_follow_the_probabilities():
    net = model().double().eval()
    want = temperature_probabilities(next_logits(net, [5])[0], 0.8)
    drawn = [sample(net, [5], 1, 0.8, torch.Generator().manual_seed(k))[0] for k in range(1500)]
    shares = torch.bincount(torch.tensor(drawn), minlength=SIZE).double() / 1500
    assert (shares - want).abs().max() < 0.04 and want[: len(SPECIALS)].sum() == 0


def test_a_sample_reads_what_it_wrote():
    net = model("gru").double().eval()
    drawn = sample(net, [5, 6], 30, 1e-4, torch.Generator().manual_seed(0))
    text = [5, 6, *drawn]
    for k in range(2, len(text)):
        assert text[k] == next_logits(net, text[:k])[0].argmax()
    one, again, other = (sample(net, [5], 20, 1.5, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert one == again != other and not set(one) & set(range(len(SPECIALS)))
    assert sample(net, [5], 0) == []
    with pytest.raises(ValueError, match="empty prompt"):
        sample(net, [], 3)
    with pytest.raises(ValueError, match="n=-1"):
        sample(net, [5], -1)


def test_cut_samples_are_drawn_from_what_is_left():
    net = model().double().eval()
    for cut in (dict(top_k=2), dict(top_p=0.5), dict(top_k=3, top_p=0.6)):
        drawn = sample(net, [5, 6], 25, 1.2, torch.Generator().manual_seed(3), **cut)
        uniform = torch.rand(25, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        for k, u in enumerate(uniform):
            left = next_probabilities(next_logits(net, [5, 6, *drawn[:k]])[0], 1.2, **cut)
            assert drawn[k] == int((left.cumsum(0) <= u * left.sum()).sum()) and left[drawn[k]] > 0
    with pytest.raises(ValueError, match="top_k=0"):
        sample(net, [5], 3, top_k=0)


# --- the file that is shipped -----------------------------------------------------------------------------------------


def test_saving_and_loading(tmp_path):
    net, words = model("gru", 2), Vocabulary("abcdefgh")
    for name in ("one", "two"):
        save_model(tmp_path / f"{name}.npz", net, words)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again, vocabulary = load_model(tmp_path / "one.npz")
    assert vocabulary.words == words.words and again.hparams == net.hparams and not again.training
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert b.dtype == torch.float32 and torch.allclose(a, b, atol=1e-3) and torch.equal(a.half(), b.half())


def test_the_shipped_model_is_checked(tmp_path, monkeypatch):
    net, words = play_model.load_play_model()
    assert (net.hparams["cell"], net.hparams["d_hidden"], len(words.words)) == ("lstm", 256, 67)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="git checkout"):
        play_model.load_play_model()
    save_model(tmp_path / play_model.MODEL_FILE, model(), Vocabulary("abcdefgh"))
    with pytest.raises(ValueError, match="is not the model"):
        play_model.load_play_model()


def test_the_shipped_file_is_small_and_listed():
    path = Path(play_model.__file__).parents[2] / "data" / play_model.MODEL_FILE
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_size < 2_000_000 and digest == play_model.MODEL_SHA256
    assert f"`{digest}`" in (path.parent / "README.md").read_text(encoding="utf-8")


# --- gradients by distance --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_state_gradients_against_finite_differences(cell):
    torch.manual_seed(0)
    rnn = CELLS[cell](3, 4, batch_first=True, dtype=torch.float64)
    initialise_recurrent(rnn)
    inputs, direction = torch.randn(1, 6, 3, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    norms = state_gradients(rnn, inputs, direction)
    assert norms.shape == (6,) and norms[0] == pytest.approx(direction.norm().item())
    for back in (1, 3, 5):
        _, state = rnn(inputs[:, : 6 - back])
        parts = state if isinstance(state, tuple) else (state,)
        squares = 0.0
        for p in range(len(parts)):
            for unit in range(4):
                ends = []
                for step in (1e-6, -1e-6):
                    moved = [x.detach().clone() for x in parts]
                    moved[p][0, 0, unit] += step
                    start = tuple(moved) if isinstance(state, tuple) else moved[0]
                    ends.append((rnn(inputs[:, 6 - back :], start)[0][0, -1] * direction).sum().item())
                squares += ((ends[0] - ends[1]) / 2e-6) ** 2
        assert norms[back].item() == pytest.approx(math.sqrt(squares), rel=1e-5)


def test_the_loop_without_autograd_agrees():
    rnn = nn.RNN(5, 5, batch_first=True, bias=False, dtype=torch.float64)
    rnn.weight_ih_l0.data = torch.eye(5, dtype=torch.float64)
    inputs, direction = torch.randn(1, 9, 5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    by_loop = tanh_gradients(rnn.weight_hh_l0.detach(), inputs[0], direction)
    assert torch.allclose(by_loop, state_gradients(rnn, inputs, direction), atol=1e-12)
    W = 2 * torch.eye(5, dtype=torch.float64)
    linear = tanh_gradients(W, inputs[0], direction, linear=True)
    assert torch.allclose(linear, direction.norm() * 2.0 ** torch.arange(9).double())
    with pytest.raises(ValueError, match="one layer"):
        state_gradients(nn.RNN(5, 5, 2, batch_first=True), inputs, direction)


def test_spectral_radius():
    W = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.linalg.eigvals(scaled_to_radius(W, 1.3)).abs().max().item() == pytest.approx(1.3)
    with pytest.raises(ValueError, match="eigenvalue"):
        scaled_to_radius(torch.zeros(3, 3), 1.0)


# --- the cliff --------------------------------------------------------------------------------------------------------


def test_the_cliff_and_its_paths():
    for w, u, n in ((0.7, 1.3, 4), (1.1, 0.5, 20), (0.9, 1.0, 1)):
        p = torch.tensor([w, u], dtype=torch.float64, requires_grad=True)
        ((p[1] * p[0] ** n - 1) ** 2).backward()
        assert power_gradient(w, u, n) == pytest.approx(tuple(p.grad.tolist()))
    (start, end), norm = power_path(1.15, 1.0, n=20, rate=0.1, clip=1.0, steps=1)
    assert np.hypot(end[0] - start[0], end[1] - start[1]) == pytest.approx(0.1) and norm > 1000
    free, _ = power_path(1.15, 1.0, n=20, rate=0.1, clip=None, steps=5)
    assert abs(free[1][0]) > 100, "unclipped, the step flies away"
    gentle, same = power_path(0.9, 1.0, n=2, rate=0.1, clip=1.0, steps=3)
    assert gentle == power_path(0.9, 1.0, n=2, rate=0.1, clip=None, steps=3)[0] and same < 1
    assert power_loss(*gentle[-1], 2) < power_loss(0.9, 1.0, 2)
    assert len(power_path(1.5, 1.9, n=50, rate=1.0, clip=None, steps=30)[0]) == 2, "it stops once it is far away"
