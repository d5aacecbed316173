"""SRU against its equations one word at a time, its scan, and the sliced RNN against RNNs run piece by piece."""

import math

import pytest
import torch
from torch import nn

from course_utils.layers.parallel_recurrence import SRU, SlicedRNN, scan


def drawn(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().double()


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def word_by_word(sru, x, c):
    """Lei et al. 2018, one sentence (T, D)."""
    v, states = torch.zeros(2, len(c)).double() if sru.v is None else sru.v, []
    for word in x:
        f = torch.sigmoid(sru.W[1] @ word + v[0] * c + sru.b[0])
        r = torch.sigmoid(sru.W[2] @ word + v[1] * c + sru.b[1])
        c = f * c + (1 - f) * (sru.W[0] @ word)
        states.append(r * c + (1 - r) * math.sqrt(1 + 2 * math.exp(-0.5)) * word)
    return torch.stack(states), c


@pytest.mark.parametrize("recurrent_gates", [True, False])
@torch.no_grad()
def test_sru_is_its_equations(recurrent_gates):
    sru, x, start = drawn(lambda: SRU(5, recurrent_gates, -0.5)), randn(3, 9, 5), randn(3, 5, seed=1)
    lengths = [9, 4, 1]
    mask = torch.arange(9) < torch.tensor(lengths).unsqueeze(1)
    h, c = sru(x, start, mask)
    for row, n in enumerate(lengths):
        expected, last = word_by_word(sru, x[row, :n], start[row])
        torch.testing.assert_close(h[row, :n], expected)
        torch.testing.assert_close(c[row], last)
    halves, state = [], start
    for part in x.split((4, 5), 1):
        out, state = sru(part, state)
        halves.append(out)
    torch.testing.assert_close(torch.cat(halves, 1)[0], h[0])


@torch.no_grad()
def test_without_v_loop_and_scan_are_one():
    with_v, without = (drawn(lambda gates=gates: SRU(5, gates)) for gates in (True, False))
    with_v.v.zero_()
    without.W.copy_(with_v.W)
    x = randn(2, 13, 5)
    for a, b in zip(with_v(x), without(x), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize("T", [1, 2, 3, 8, 700])
@torch.no_grad()
def test_scan_is_the_loop(T):
    f, u, c = torch.rand(2, T, 3, generator=torch.Generator().manual_seed(0)).double() / 2, randn(2, T, 3), randn(2, 3)
    got, loop = scan(f, u, c), []
    for t in range(T):
        c = f[:, t] * c + u[:, t]
        loop.append(c)
    torch.testing.assert_close(got, torch.stack(loop, 1), rtol=0, atol=1e-13)
    assert T < 700 or not f.cumprod(1).all()              # the short cut by division would have failed here


def test_every_part_of_an_sru_learns():
    for gates in (True, False):
        sru = drawn(lambda gates=gates: SRU(5, gates))
        sru(randn(2, 6, 5))[0].square().sum().backward()
        assert all(bool(p.grad.abs().sum(-1).all()) for p in sru.parameters())


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@torch.no_grad()
def test_sliced_rnn_is_rnns_piece_by_piece(cell):
    sliced = drawn(lambda: SlicedRNN(3, 5, length=24, n_pieces=2, n_cuts=2, cell=cell))      # pieces of 6, then 2, 2
    x, lengths = randn(4, 20, 3), [20, 13, 6, 1]
    mask = torch.arange(20) < torch.tensor(lengths).unsqueeze(1)
    x[~mask] = torch.nan
    got = sliced(x, mask)
    for row, n in enumerate(lengths):
        level = list(x[row, :n])
        for size, rnn in zip((6, 2, 2), sliced.levels, strict=True):
            pieces = [torch.stack(level[i : i + size]) for i in range(0, len(level), size)]
            level = [rnn(piece.unsqueeze(0))[0][0, -1] for piece in pieces]
        assert len(level) == 1
        torch.testing.assert_close(got[row], level[0])
        torch.testing.assert_close(sliced(x[row : row + 1, :n]), got[row : row + 1])         # alone, without pads


class Linear(nn.Module):
    """h_t = W x_t + U h_{t-1}, in the place of a Recurrent."""

    def __init__(self, W, U):
        super().__init__()
        self.W, self.U = W, U

    def forward(self, x):
        h, states = torch.zeros(len(x), len(self.U)).double(), []
        for word in x.unbind(1):
            h = word @ self.W.T + h @ self.U.T
            states.append(h)
        return torch.stack(states, 1), None


@torch.no_grad()
def test_a_linear_rnn_can_be_sliced_without_loss():
    """The paper's "special case": upper W = I, upper U = the lower U to the power of a piece's length."""
    W, U, x = randn(4, 3), randn(4, 4, seed=1) / 4, randn(2, 12, 3)
    sliced = SlicedRNN(3, 4, length=12, n_pieces=3)
    sliced.levels = nn.ModuleList([Linear(W, U), Linear(torch.eye(4).double(), torch.linalg.matrix_power(U, 4))])
    torch.testing.assert_close(sliced(x), Linear(W, U)(x)[0][:, -1])


def test_refusals():
    with pytest.raises(ValueError, match="length=100 cannot be cut into 8\\^2 equal pieces: use 128"):
        SlicedRNN(3, 4, length=100, n_cuts=2)
    with pytest.raises(ValueError, match="9 words, but the pieces were cut for length=8"):
        SlicedRNN(3, 4, length=8)(torch.zeros(1, 9, 3))
