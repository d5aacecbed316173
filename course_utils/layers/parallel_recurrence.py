"""Recurrence with less waiting: the SRU, whose steps are elementwise, and the sliced RNN. Notebook 12.

    SRU    f_t = σ(W_f x_t + v_f ⊙ c_{t-1} + b_f)       c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ W x_t
           r_t = σ(W_r x_t + v_r ⊙ c_{t-1} + b_r)       h_t = r_t ⊙ c_t + (1 - r_t) ⊙ α x_t,  α = √(1 + 2 e^b)
           Lei et al. 2018; b is the bias that b_r begins with

No matrix meets c_{t-1}: the three products W x are made for all words at once, and each channel then runs by itself.
Time remains a loop, unless v = 0 (the first version of the paper): then c is linear in c_{t-1}, and `scan` needs
log2 T steps. In Python the loop costs more than the matrix products; the paper's speed is that of one fused kernel.

    sliced   Yu and Liu 2018: T words are cut into n pieces, these into n again, k times; one RNN reads all the shortest
             pieces at once, the next level's RNN reads the last states of n neighbours, until one state is left
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks import check_widths
from course_utils.layers.convolution import without_pads
from course_utils.layers.recurrent import Recurrent


class SRU(nn.Module):
    """One layer, as wide outside as inside. `recurrent_gates=False` leaves v out, and then no loop over time is left.

    First weights as in the authors' code: W from U(±√(3/D)), those of the gates √0.5 times as large, v from
    √0.5 · U(±√3), b_f zero, b_r `highway_bias`.
    """

    def __init__(self, d_model: int, recurrent_gates: bool = True, highway_bias: float = 0.0) -> None:
        super().__init__()
        check_widths(d_model=d_model)
        bound = math.sqrt(3 / d_model)
        self.W = nn.Parameter(torch.empty(3, d_model, d_model).uniform_(-bound, bound))    # candidate, forget, highway
        self.W.data[1:] *= math.sqrt(0.5)
        spread = math.sqrt(1.5)
        self.v = nn.Parameter(torch.empty(2, d_model).uniform_(-spread, spread)) if recurrent_gates else None
        self.b = nn.Parameter(torch.tensor([0.0, highway_bias]).unsqueeze(1).repeat(1, d_model))
        self.alpha = math.sqrt(1 + 2 * math.exp(highway_bias))

    def forward(self, x: Tensor, state: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T, D), c before the first word (B, D), (B, T) bool -> h (B, T, D), c after the last real word (B, D)."""
        candidate, forget, highway = torch.einsum("btd,ied->ibte", x, self.W)              # each (B, T, D)
        forget, highway = forget + self.b[0], highway + self.b[1]
        c = torch.zeros_like(x[:, 0]) if state is None else state
        mask = torch.ones_like(x[..., 0], dtype=torch.bool) if mask is None else mask
        if self.v is None:
            f = forget.sigmoid().masked_fill(~mask.unsqueeze(-1), 1.0)                     # a pad keeps c as it is
            cells, r = scan(f, (1 - f) * candidate, c), highway.sigmoid()
        else:
            cells, r = self._loop(candidate, forget, highway, c, mask)
        return r * cells + (1 - r) * self.alpha * x, cells[:, -1]

    def _loop(self, candidate: Tensor, forget: Tensor, highway: Tensor, c: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """All c_t and r_t, (B, T, D) each: sums and products of single numbers only."""
        cells, gates = [], []
        for t in range(candidate.shape[1]):
            f, r = (forget[:, t] + self.v[0] * c).sigmoid(), (highway[:, t] + self.v[1] * c).sigmoid()
            c = torch.where(mask[:, t : t + 1], f * c + (1 - f) * candidate[:, t], c)      # (B, D)
            cells.append(c)
            gates.append(r)
        return torch.stack(cells, 1), torch.stack(gates, 1)


def scan(f: Tensor, u: Tensor, start: Tensor) -> Tensor:
    """All c_t = f_t c_{t-1} + u_t from c_0 = start (B, D), in log2 T parallel steps: (B, T, D) twice -> (B, T, D).

    Two steps in a row are one step of the same form: f = f_2 f_1, u = f_2 u_1 + u_2. After round i every place stands
    for 2^i steps. (Division by the products of f, a shorter way, underflows after some hundred words.)
    """
    T, span = f.shape[1], 1
    u = torch.cat([u[:, :1] + f[:, :1] * start.unsqueeze(1), u[:, 1:]], 1)
    while span < T:
        u = u + f * F.pad(u, (0, 0, span, 0))[:, :T]
        f = f * F.pad(f, (0, 0, span, 0))[:, :T]
        span *= 2
    return u


class SlicedRNN(nn.Module):
    """A sequence of at most `length` words as one vector: `n_cuts` times in `n_pieces`, one RNN for each level.

    `length` belongs to the model, because it decides where the cuts are: a sentence is then read the same way whatever
    stands beside it in a batch. Shorter rows have pads at their end, which nothing reads.
    """

    def __init__(
        self, d_input: int, d_hidden: int, length: int, n_pieces: int = 8, n_cuts: int = 1, cell: str = "gru",
    ) -> None:
        super().__init__()
        check_widths(length=length, n_pieces=n_pieces, n_cuts=n_cuts)
        if length % n_pieces**n_cuts:
            more = -(-length // n_pieces**n_cuts) * n_pieces**n_cuts
            raise ValueError(f"length={length} cannot be cut into {n_pieces}^{n_cuts} equal pieces: use {more}")
        self.length, self.sizes = length, [length // n_pieces**n_cuts] + [n_pieces] * n_cuts
        self.levels = nn.ModuleList(
            Recurrent(cell, d_hidden if level else d_input, d_hidden) for level in range(n_cuts + 1)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, d_input), (B, T) bool, pads at the end only -> (B, d_hidden)."""
        if x.shape[1] > self.length:
            raise ValueError(f"{x.shape[1]} words, but the pieces were cut for length={self.length}: build it longer")
        lengths = x.new_full((len(x),), x.shape[1], dtype=torch.long) if mask is None else mask.sum(1)
        x = F.pad(without_pads(x, mask), (0, 0, 0, self.length - x.shape[1]))
        for size, rnn in zip(self.sizes, self.levels, strict=True):
            pieces = x.unflatten(1, (-1, size))                           # (B, n, size, D)
            starts = size * torch.arange(pieces.shape[1], device=x.device)
            words = (lengths.unsqueeze(1) - starts).clamp(0, size)        # (B, n) real words in each piece
            states = rnn(pieces.flatten(0, 1))[0].unflatten(0, words.shape)
            last = (words - 1).clamp(min=0)[..., None, None]              # no state after pads, no empty piece is read
            x = states.take_along_dim(last, 2).squeeze(2)                 # (B, n, d_hidden)
            lengths = (words > 0).sum(1)
        return x.squeeze(1)
