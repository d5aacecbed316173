"""The two simple recurrent cells, by hand, and the loop over time that reads padded batches. Notebook 02.

Elman 1990 hands the hidden units on to the next step, Jordan 1986 the outputs. Both are slow here, a Python loop over
time, and there to be read; `layers.recurrent.Recurrent("rnn")` is the fast Elman network.
"""

import torch
from torch import Tensor, nn

from course_utils.checks import check_widths


class ElmanCell(nn.Module):
    """h_t = tanh(W x_t + U h_{t-1} + b): the memory is what the hidden units were a step ago (Elman 1990, figure 2).

    Equal to nn.RNNCell, which has two biases that are added. Elman's units were logistic and began at 0.5; ours are
    tanh and begin at 0.
    """

    def __init__(self, d_input: int, d_hidden: int) -> None:
        super().__init__()
        check_widths(d_input=d_input, d_hidden=d_hidden)
        self.W = nn.Linear(d_input, d_hidden)                                  # holds b too
        self.U = nn.Linear(d_hidden, d_hidden, bias=False)
        nn.init.xavier_uniform_(self.W.weight)                                 # as layers.recurrent begins
        nn.init.orthogonal_(self.U.weight)
        nn.init.zeros_(self.W.bias)
        self.d_state = d_hidden

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """(B, d_input), (B, d_hidden) -> the next state (B, d_hidden), which is the output as well."""
        return torch.tanh(self.W(x) + self.U(h))


class JordanCell(nn.Module):
    """The memory is what the network *said*: its output probabilities, in state units that decay (Jordan 1986).

        h_t = tanh(W x_t + U s_t + b)        z_t = V h_t + c        y_t = softmax(z_t)
        s_{t+1} = decay * s_t + y_t          s_1 = 0

    so s_t = sum over k >= 1 of decay^(k-1) y_{t-k}. With decay 0 (here the default, and what textbooks draw) the state
    is the last output alone. Jordan's outputs were logistic units; ours are the probabilities of labels.
    """

    def __init__(self, d_input: int, d_hidden: int, d_output: int, decay: float = 0.0) -> None:
        super().__init__()
        check_widths(d_input=d_input, d_hidden=d_hidden, d_output=d_output)
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay}: the state units keep a share of themselves, 0 <= decay < 1.")
        self.W = nn.Linear(d_input, d_hidden)
        self.U = nn.Linear(d_output, d_hidden, bias=False)
        self.V = nn.Linear(d_hidden, d_output)
        for layer in (self.W, self.U, self.V):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.W.bias)
        nn.init.zeros_(self.V.bias)
        self.d_state, self.decay = d_output, decay

    def forward(self, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """(B, d_input), (B, d_output) -> logits z_t (B, d_output), the next state s_{t+1} (B, d_output)."""
        logits = self.V(torch.tanh(self.W(x) + self.U(s)))
        return logits, self.decay * s + torch.softmax(logits, -1)


def unroll(
    cell: nn.Module, inputs: Tensor, mask: Tensor | None = None, state: Tensor | None = None, backward: bool = False
) -> tuple[Tensor, Tensor]:
    """Run `cell` over time: (B, T, d_input) -> outputs (B, T, d_output), final state (B, d_state).

    `cell(x, state)` returns the new state (ElmanCell, nn.RNNCell, nn.GRUCell) or output and state (JordanCell).
    `mask` (B, T) bool, True = a real token: a pad leaves the state as it was and its output is 0, on whichever side
    the pads stand. So `backward=True`, which reads the last token first, begins at each row's own last word.
    """
    if inputs.dim() != 3 or inputs.shape[1] == 0:
        raise ValueError(f"unroll needs inputs (B, T, d_input) with T >= 1, not {tuple(inputs.shape)}.")
    if mask is not None and (mask.shape != inputs.shape[:2] or mask.dtype != torch.bool):
        raise ValueError(
            f"mask must be bool of shape {tuple(inputs.shape[:2])}, not {mask.dtype} of {tuple(mask.shape)}."
        )
    B, T, _ = inputs.shape
    if state is None:
        state = inputs.new_zeros(B, getattr(cell, "d_state", None) or cell.hidden_size)
    outputs: list[Tensor] = [state] * T
    for t in reversed(range(T)) if backward else range(T):
        made = cell(inputs[:, t], state)
        output, new = made if isinstance(made, tuple) else (made, made)
        if mask is not None:
            real = mask[:, t].unsqueeze(1)                                     # (B, 1)
            output, new = torch.where(real, output, 0.0), torch.where(real, new, state)
        outputs[t], state = output, new
    return torch.stack(outputs, dim=1), state
