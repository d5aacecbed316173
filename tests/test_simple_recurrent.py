"""Elman's and Jordan's cells against torch, against independent loops and by hand; pads leave the memory alone."""

import math

import pytest
import torch
from torch import nn

from course_utils.layers.recurrent import Recurrent
from course_utils.layers.simple_recurrent import ElmanCell, JordanCell, unroll


def elman_and_torch(d_input: int = 3, d_hidden: int = 4) -> tuple[ElmanCell, nn.RNNCell]:
    """The same weights in both; torch's b is the sum of two biases."""
    torch.manual_seed(0)
    ours, theirs = ElmanCell(d_input, d_hidden).double(), nn.RNNCell(d_input, d_hidden).double()
    with torch.no_grad():
        ours.W.weight.copy_(theirs.weight_ih)
        ours.U.weight.copy_(theirs.weight_hh)
        ours.W.bias.copy_(theirs.bias_ih + theirs.bias_hh)
    return ours, theirs


def ragged(*lengths: int, width: int | None = None) -> torch.Tensor:
    return torch.arange(width or max(lengths)) < torch.tensor(lengths).unsqueeze(1)


def test_elman_is_torch_s_rnn_cell_in_values_and_gradients():
    ours, theirs = elman_and_torch()
    x, h = torch.randn(5, 3).double(), torch.randn(5, 4).double()
    grads = []
    for cell in (ours, theirs):
        xs, hs = x.clone().requires_grad_(), h.clone().requires_grad_()
        out = cell(xs, hs)
        out.square().sum().backward()
        grads.append((out, xs.grad, hs.grad))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)
    pairs = (
        (ours.W.weight, theirs.weight_ih), (ours.U.weight, theirs.weight_hh), (ours.W.bias, theirs.bias_ih),
        (ours.W.bias, theirs.bias_hh),
    )  # fmt: skip
    for a, b in pairs:
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-13)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_unrolled_elman_is_the_packed_kernel(bidirectional):
    torch.manual_seed(0)
    kernel = Recurrent("rnn", 3, 4, bidirectional=bidirectional).double()
    x, mask = torch.randn(3, 6, 3).double(), ragged(6, 2, 4)
    wanted, final = kernel(x, lengths=mask.sum(1))
    outputs, finals = [], []
    for suffix in ("", "_reverse")[: 2 if bidirectional else 1]:
        cell = ElmanCell(3, 4).double()
        with torch.no_grad():
            cell.W.weight.copy_(getattr(kernel.rnn, f"weight_ih_l0{suffix}"))
            cell.U.weight.copy_(getattr(kernel.rnn, f"weight_hh_l0{suffix}"))
        out, last = unroll(cell, x, mask, backward=bool(suffix))
        outputs.append(out)
        finals.append(last)
    torch.testing.assert_close(torch.cat(outputs, -1), wanted, rtol=0, atol=1e-13)
    torch.testing.assert_close(torch.cat(finals, -1), final.hidden[:, 0], rtol=0, atol=1e-13)


def test_elman_by_hand():
    cell = ElmanCell(1, 2).double()
    with torch.no_grad():
        cell.W.weight.copy_(torch.tensor([[1.0], [0.0]]))
        cell.W.bias.copy_(torch.tensor([0.0, 0.5]))
        cell.U.weight.copy_(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
    states, last = unroll(cell, torch.tensor([[[1.0], [0.0]]]).double())
    one = math.tanh(1.0)
    torch.testing.assert_close(
        states, torch.tensor([[[one, math.tanh(0.5)], [0.0, math.tanh(2 * one + 0.5)]]], dtype=torch.float64)
    )
    assert torch.equal(last, states[:, -1])


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_jordan_against_a_loop_over_single_numbers(decay):
    """An independent form: the state as the sum over all earlier outputs, weighted by decay^(k-1) (Jordan 1986)."""
    torch.manual_seed(1)
    cell = JordanCell(3, 4, 2, decay).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    x = torch.randn(1, 5, 3).double()
    W, b, U, V, c = (
        p.tolist() for p in (cell.W.weight, cell.W.bias, cell.U.weight, cell.V.weight, cell.V.bias)
    )
    said: list[list[float]] = []
    for t in range(5):
        s = [sum(decay ** (k - 1) * said[t - k][j] for k in range(1, t + 1)) for j in range(2)]
        h = [
            math.tanh(b[i] + sum(W[i][j] * float(x[0, t, j]) for j in range(3)) + sum(U[i][j] * s[j] for j in range(2)))
            for i in range(4)
        ]
        z = [c[i] + sum(V[i][j] * h[j] for j in range(4)) for i in range(2)]
        said.append([math.exp(value) / sum(map(math.exp, z)) for value in z])
        torch.testing.assert_close(
            unroll(cell, x[:, : t + 1])[0][0, t], torch.tensor(z, dtype=torch.float64), rtol=0, atol=1e-12
        )
    last = [sum(decay ** (k - 1) * said[5 - k][j] for k in range(1, 6)) for j in range(2)]
    torch.testing.assert_close(unroll(cell, x)[1][0], torch.tensor(last, dtype=torch.float64), rtol=0, atol=1e-12)


def test_jordan_remembers_what_it_said_and_nothing_else():
    """Two different pasts with the same outputs are the same past; an Elman cell tells them apart."""
    torch.manual_seed(0)
    jordan, elman = JordanCell(2, 4, 3), ElmanCell(2, 4)
    with torch.no_grad():
        jordan.V.weight.zero_()  # it says the same, whatever it reads
        jordan.V.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    one, other = torch.randn(1, 3, 2), torch.randn(1, 3, 2)
    other[:, -1] = one[:, -1]
    torch.testing.assert_close(unroll(jordan, one)[1], unroll(jordan, other)[1])
    assert not torch.allclose(unroll(elman, one)[1], unroll(elman, other)[1])


CELLS = {
    "elman": lambda: ElmanCell(3, 4),
    "jordan": lambda: JordanCell(3, 4, 5),
    "jordan, decay": lambda: JordanCell(3, 4, 5, decay=0.7),
    "nn.GRUCell": lambda: nn.GRUCell(3, 4),
}


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_pads_and_neighbours_change_nothing(name, backward):
    torch.manual_seed(0)
    cell = CELLS[name]()
    rows = [torch.randn(n, 3) for n in (4, 1, 6)]
    x = torch.full((3, 8, 3), float("nan"))  # a pad that is read shows
    for row, values in zip(x, rows, strict=True):
        row[: len(values)] = values
    outputs, final = unroll(cell, x, ragged(4, 1, 6, width=8), backward=backward)
    for i, values in enumerate(rows):
        alone, last = unroll(cell, values.unsqueeze(0), backward=backward)
        torch.testing.assert_close(outputs[i, : len(values)], alone[0])
        torch.testing.assert_close(final[i], last[0])
        assert torch.equal(outputs[i, len(values) :], torch.zeros(8 - len(values), outputs.shape[-1]))


def test_pads_at_the_left_change_nothing_either():
    torch.manual_seed(0)
    cell, x = ElmanCell(3, 4), torch.randn(1, 5, 3)
    mask = torch.tensor([[False, False, True, True, False]])
    torch.testing.assert_close(unroll(cell, x, mask)[1], unroll(cell, x[:, 2:4])[1])


def test_the_state_carries_on():
    torch.manual_seed(0)
    cell, x = JordanCell(3, 4, 5, decay=0.5), torch.randn(2, 6, 3)
    whole, last = unroll(cell, x)
    _, middle = unroll(cell, x[:, :2])
    rest, end = unroll(cell, x[:, 2:], state=middle)
    torch.testing.assert_close(rest, whole[:, 2:])
    torch.testing.assert_close(end, last)


def test_wrong_arguments_are_refused():
    for do, said in {
        "width": (lambda: ElmanCell(0, 4), "d_input"),
        "decay": (lambda: JordanCell(3, 4, 5, decay=1.0), "decay=1.0"),
        "no time": (lambda: unroll(ElmanCell(3, 4), torch.zeros(2, 3)), "(2, 3)"),
        "mask": (lambda: unroll(ElmanCell(3, 4), torch.zeros(2, 3, 3), torch.ones(2, 3)), "bool"),
    }.values():
        with pytest.raises(ValueError) as error:
            do()
        assert said in str(error.value)
