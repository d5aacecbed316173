"""Gated recurrent cells, written to be read: LSTM and GRU, one step at a time. Notebook 03.

The papers write columns, W x + U h + b; here vectors are rows and a batch has many, x Wᵀ + h Uᵀ + b. The parameters of
all gates stand one above the other in W, U and b, in torch's order. These cells teach; `layers.recurrent` trains.

    LSTMCell   Hochreiter and Schmidhuber 1997 (input and output gate), Gers, Schmidhuber and Cummins 2000 (forget
               gate), Gers, Schraudolph and Schmidhuber 2002 (peepholes)
    GRUCell    Cho et al. 2014, eq. 5-8, reset before the recurrent product; or after it, as torch has it
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.checks import check_widths

LSTM_ORDER = ("i", "f", "g", "o")  # rows of W, U and b: input gate, forget gate, candidate, output gate
RESETS = ("before", "after")


class LSTMStep(NamedTuple):
    """Everything that one step of an LSTM computes, each (..., d_hidden)."""

    i: Tensor  # input gate: how much of the candidate comes in
    f: Tensor | None  # forget gate: how much of the old cell state is KEPT; None in the cell of 1997
    g: Tensor  # candidate, between -1 and 1
    o: Tensor  # output gate: how much of the cell state is shown
    c: Tensor  # new cell state
    h: Tensor  # new output


class LSTMCell(nn.Module):
    """One LSTM step:

        i = σ(W_i x + U_i h + b_i)      f = σ(W_f x + U_f h + b_f)      o = σ(W_o x + U_o h + b_o)
        g = tanh(W_g x + U_g h + b_g)   c' = f ⊙ c + i ⊙ g              h' = o ⊙ tanh(c')

    W (G d_hidden, d_input), U (G d_hidden, d_hidden), b (G d_hidden,) hold G = 4 sets in the order i, f, g, o. torch
    keeps two bias vectors and adds them; one does the same.

    peephole: i and f also look at the old c, o at the new one, each unit at its own: P (gates, d_hidden) in the order
        i, f, o holds diagonal weights, with nothing for the candidate. Full gradients flow (Gers cuts them off there).
    forget_gate: False is the cell of 1997, c' = c + i ⊙ g: three sets i, g, o.
    """

    def __init__(self, d_input: int, d_hidden: int, peephole: bool = False, forget_gate: bool = True) -> None:
        super().__init__()
        check_widths(d_input=d_input, d_hidden=d_hidden)
        self.d_input, self.d_hidden, self.forget_gate = d_input, d_hidden, forget_gate
        self.order = tuple(name for name in LSTM_ORDER if name != "f" or forget_gate)
        G = len(self.order)
        self.W = nn.Parameter(torch.empty(G * d_hidden, d_input))
        self.U = nn.Parameter(torch.empty(G * d_hidden, d_hidden))
        self.b = nn.Parameter(torch.empty(G * d_hidden))
        self.P = nn.Parameter(torch.empty(G - 1, d_hidden)) if peephole else None
        _initialise(self)

    def look(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> LSTMStep:
        """One step with all that happens inside: x (..., d_input), state (h, c) each (..., d_hidden) or None: zeros."""
        h, c = _states(x, state, 2, self.d_input, self.d_hidden)
        a = dict(zip(self.order, (x @ self.W.T + h @ self.U.T + self.b).chunk(len(self.order), dim=-1), strict=True))
        peep = {} if self.P is None else dict(zip((n for n in self.order if n != "g"), self.P, strict=True))
        i = torch.sigmoid(a["i"] + peep.get("i", 0) * c)
        f = torch.sigmoid(a["f"] + peep.get("f", 0) * c) if self.forget_gate else None
        g = torch.tanh(a["g"])
        c = i * g + (c if f is None else f * c)
        o = torch.sigmoid(a["o"] + peep.get("o", 0) * c)  # the new c
        return LSTMStep(i, f, g, o, c, o * torch.tanh(c))

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """One step: x (..., d_input), state (h, c) -> (h, c), each (..., d_hidden)."""
        step = self.look(x, state)
        return step.h, step.c

    @classmethod
    @torch.no_grad()
    def from_torch(cls, cell: nn.LSTMCell | nn.LSTM, layer: int = 0) -> "LSTMCell":
        """A cell with the weights of torch's cell, or of one (forward) layer of torch's LSTM."""
        W, U, b_ih, b_hh = _torch_weights(cell, (nn.LSTMCell, nn.LSTM), layer)
        own = cls(W.shape[1], U.shape[1]).to(W)
        for parameter, value in ((own.W, W), (own.U, U), (own.b, b_ih + b_hh)):
            parameter.copy_(value)
        return own


class GRUCell(nn.Module):
    """One GRU step; the update gate z stands on the OLD state, as in Cho 2014 and torch (Chung 2014 has 1 - z there):

        r = σ(W_r x + U_r h + b_r)      z = σ(W_z x + U_z h + b_z)      h' = z ⊙ h + (1 - z) ⊙ n
        n = tanh(W_n x + b_n + U_n (r ⊙ h))          reset="before" the product: Cho 2014, eq. 8 (there without biases)
        n = tanh(W_n x + b_n + r ⊙ (U_n h + q))      reset="after" the product: torch

    W (3 d_hidden, d_input), U (3 d_hidden, d_hidden), b (3 d_hidden,) in the order r, z, n; q (d_hidden,) only
    "after", where it is multiplied by r and so cannot be merged into b_n.
    """

    def __init__(self, d_input: int, d_hidden: int, reset: str = "before") -> None:
        super().__init__()
        check_widths(d_input=d_input, d_hidden=d_hidden)
        if reset not in RESETS:
            raise ValueError(f"reset={reset!r}: the reset gate acts 'before' the recurrent product or 'after' it.")
        self.d_input, self.d_hidden, self.reset = d_input, d_hidden, reset
        self.W = nn.Parameter(torch.empty(3 * d_hidden, d_input))
        self.U = nn.Parameter(torch.empty(3 * d_hidden, d_hidden))
        self.b = nn.Parameter(torch.empty(3 * d_hidden))
        self.q = nn.Parameter(torch.empty(d_hidden)) if reset == "after" else None
        _initialise(self)

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """One step: x (..., d_input), h (..., d_hidden) or None: zeros -> the new h (..., d_hidden)."""
        (h,) = _states(x, None if h is None else (h,), 1, self.d_input, self.d_hidden)
        U_r, U_z, U_n = self.U.chunk(3)
        a_r, a_z, a_n = (x @ self.W.T + self.b).chunk(3, dim=-1)
        r, z = torch.sigmoid(a_r + h @ U_r.T), torch.sigmoid(a_z + h @ U_z.T)
        past = (r * h) @ U_n.T if self.reset == "before" else r * (h @ U_n.T + self.q)
        return z * h + (1 - z) * torch.tanh(a_n + past)

    @classmethod
    @torch.no_grad()
    def from_torch(cls, cell: nn.GRUCell | nn.GRU, layer: int = 0, reset: str = "after") -> "GRUCell":
        """A cell with the weights of torch's. With reset="before" it is Cho's cell with them: torch's second bias of
        the candidate is then added outside of the reset, and the numbers are no longer torch's."""
        W, U, b_ih, b_hh = _torch_weights(cell, (nn.GRUCell, nn.GRU), layer)
        own = cls(W.shape[1], U.shape[1], reset).to(W)
        b, q = b_ih + b_hh, b_hh[-own.d_hidden :]
        if own.q is not None:
            b[-own.d_hidden :] -= q
            own.q.copy_(q)
        for parameter, value in ((own.W, W), (own.U, U), (own.b, b)):
            parameter.copy_(value)
        return own


def parameter_count(sets: int, d_input: int, d_hidden: int, biases: int = 1) -> int:
    """Numbers to learn in a cell of `sets` gates and candidates: 1 for Elman, 3 for a GRU, 4 for an LSTM. torch keeps
    `biases` = 2 vectors a set."""
    return sets * (d_hidden * d_input + d_hidden * d_hidden + biases * d_hidden)


def unroll(cell: LSTMCell, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None) -> LSTMStep:
    """All steps of a sequence: inputs (..., T, d_input) -> an LSTMStep whose tensors are (..., T, d_hidden)."""
    steps = []
    for x in inputs.unbind(-2):
        steps.append(cell.look(x, state))
        state = (steps[-1].h, steps[-1].c)
    return LSTMStep(*(None if parts[0] is None else torch.stack(parts, dim=-2) for parts in zip(*steps, strict=True)))


def _initialise(cell: nn.Module) -> None:
    """Gate by gate: W Xavier uniform, U orthogonal, biases and peepholes 0, an LSTM's forget bias 1 (Gers 2000)."""
    for parameter in (cell.b, getattr(cell, "P", None), getattr(cell, "q", None)):
        if parameter is not None:
            nn.init.zeros_(parameter)
    for W, U in zip(cell.W.data.split(cell.d_hidden), cell.U.data.split(cell.d_hidden), strict=True):
        nn.init.xavier_uniform_(W)
        nn.init.orthogonal_(U)
    if "f" in getattr(cell, "order", ()):
        cell.b.data[cell.d_hidden : 2 * cell.d_hidden] = 1.0


def _states(x: Tensor, state: tuple[Tensor, ...] | None, many: int, d_input: int, d_hidden: int) -> tuple[Tensor, ...]:
    """The state as `many` tensors (..., d_hidden) that fit x; zeros for None."""
    if x.shape[-1] != d_input:
        raise ValueError(f"x has {x.shape[-1]} numbers in its last dimension; this cell reads d_input={d_input}.")
    wanted = (*x.shape[:-1], d_hidden)
    if state is None:
        return (x.new_zeros(wanted),) * many
    if len(state) != many:
        raise ValueError(f"the state has {len(state)} parts; an LSTM needs (h, c).")
    for part in state:
        if part.shape != wanted:
            raise ValueError(f"a state of shape {tuple(part.shape)} does not fit x; needed is {wanted}.")
    return tuple(state)


def _torch_weights(cell: nn.Module, kinds: tuple[type, ...], layer: int) -> list[Tensor]:
    """weight_ih, weight_hh, bias_ih, bias_hh of torch's cell or of a layer; missing biases are zeros."""
    if not isinstance(cell, kinds):
        raise TypeError(f"from_torch copies from {' or '.join(k.__name__ for k in kinds)}, not {type(cell).__name__}.")
    if isinstance(cell, nn.LSTM) and cell.proj_size:
        raise ValueError(f"proj_size={cell.proj_size}: projected LSTMs are not covered here.")
    end = f"_l{layer}" if isinstance(cell, nn.RNNBase) else ""
    if not hasattr(cell, f"weight_ih{end}"):
        raise ValueError(f"layer={layer}: this {type(cell).__name__} has layers 0 to {cell.num_layers - 1}.")
    W, U = (getattr(cell, f"weight_{part}{end}") for part in ("ih", "hh"))
    biases = (getattr(cell, f"bias_{part}{end}") if cell.bias else W.new_zeros(len(W)) for part in ("ih", "hh"))
    return [W, U, *biases]
