"""Convolution over time: windows, causal and dilated stacks, gates, k-gram filters. Notebook 12.

    convolution    o_t = Σ_{i<k} W_i x_{t-(k-1-i)d} + b         causal: the window ends at t; d is the dilation
    GLU            v([A B]) = A ⊗ σ(B)                           Dauphin et al. 2017; the first half is A
    gated block    h = √0.5 · (h + v(conv(h)))                   Gehring et al. 2017, section 3.2 and 3.5
    dilated block  o = ReLU(x + F(x)), F of two convolutions     Bai et al. 2018, eq. 2-3 (TCN)
    k-grams        max over time of ReLU(w · x_{i:i+k} + b)      Kim 2014, eq. 2-3 (TextCNN)

A stack of convolutions sees 1 + Σ (k - 1) d words: the sum over its layers, not their number (`receptive_field`).

First weights keep the size of what passes through (Gehring et al. 2017, section 3.5): N(0, gain · p / n) with n inputs
a unit, of which dropout keeps the share p; gain is 4 before a GLU (which makes a small input four times smaller in
variance), 2 before a ReLU, else 1; biases 0. With weight normalisation (Salimans and Kingma 2016), w = g v / ‖v‖, g
begins as ‖v‖, so that the layer begins as it would without. (Weights drawn after it is switched on have no effect:
that is how the first weights of the TCN's published code are lost.)
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm as normalised

from course_utils.checks import check_widths

PADDINGS: dict[str, str] = {                              # name -> which words the output at place t sees
    "causal": "t and before",
    "centred": "as many on both sides of t",
    "none": "t and after: no zeros are added, (k-1)d places fewer come out",
}
HALF = math.sqrt(0.5)


def scaled(layer: nn.Linear | nn.Conv1d, gain: float = 1.0, weight_norm: bool = False) -> nn.Module:
    """The layer with weights from N(0, gain / inputs of a unit), zero bias; then, if asked for, weight-normalised."""
    nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.weight[0].numel()))
    nn.init.zeros_(layer.bias)
    return normalised(layer) if weight_norm else layer


def joined(one: Tensor, other: Tensor) -> Tensor:
    """√0.5 (one + other): the sum of two independent inputs of variance 1 has variance 1 again."""
    return (one + other) * HALF


class Convolution(nn.Module):
    """One convolution over (B, T, d_in), words second and channels last, as everywhere in the course."""

    def __init__(
        self, d_in: int, d_out: int, kernel_size: int = 3, *, dilation: int = 1, padding: str = "causal",
        gain: float = 1.0, weight_norm: bool = False,
    ) -> None:
        super().__init__()
        check_widths(d_in=d_in, d_out=d_out, kernel_size=kernel_size, dilation=dilation)
        if padding not in PADDINGS:
            raise ValueError(f"unknown padding {padding!r}: one of {', '.join(map(repr, PADDINGS))}")
        self.reach = (kernel_size - 1) * dilation         # how far the first word of a window is from its last
        if padding == "centred" and self.reach % 2:
            raise ValueError(
                f"a window of kernel_size={kernel_size}, dilation={dilation} has no middle: use an odd kernel_size"
            )
        self.padding, half = padding, self.reach // 2
        self.sides = {"causal": (self.reach, 0), "centred": (half, half), "none": (0, 0)}[padding]
        self.conv = scaled(nn.Conv1d(d_in, d_out, kernel_size, dilation=dilation), gain, weight_norm)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, d_in), (B, T) bool True on real words -> (B, T, d_out); pads count as the zeros beyond the ends."""
        return self._slide(F.pad(without_pads(x, mask), (0, 0, *self.sides)))

    def start(self, n_rows: int) -> Tensor:
        """What stands before the first word: (B, (k-1)d, d_in) zeros."""
        return self.conv.bias.new_zeros(n_rows, self.reach, self.conv.in_channels)

    def step(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """The next words (B, T, d_in) after `before` -> outputs (B, T, d_out), and what the words after them need."""
        if self.padding != "causal":
            raise ValueError(f"padding={self.padding!r} looks at words to come: step by step needs padding='causal'")
        read = torch.cat([before, x], 1)                  # (B, (k-1)d + T, d_in)
        return self._slide(read), read[:, read.shape[1] - self.reach :]    # not [-reach:], which is all if reach is 0

    def _slide(self, x: Tensor) -> Tensor:
        if x.shape[1] <= self.reach:
            raise ValueError(f"a window spans {self.reach + 1} words and there are {x.shape[1]}: pad the sentence")
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


def without_pads(x: Tensor, mask: Tensor | None) -> Tensor:
    """(B, T, D) with zeros where the mask (B, T) is False, whatever stood there."""
    return x if mask is None else x.masked_fill(~mask.unsqueeze(-1), 0.0)


def receptive_field(*layers: nn.Module) -> int:
    """How many words one output sees through layers on top of each other: 1 + Σ (k - 1) d.

    Counts every `Convolution` inside as one above the other, so a layer beside another (a skip) must have kernel 1.
    """
    return 1 + sum(m.reach for layer in layers for m in layer.modules() if isinstance(m, Convolution))


def inputs_seen(layer: nn.Module, d_in: int, length: int, place: int) -> Tensor:
    """Which of `length` words the output at `place` depends on, by gradient: (T,) bool."""
    x = torch.randn(1, length, d_in, generator=torch.Generator().manual_seed(0)).to(next(layer.parameters()).dtype)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[0, place].square().sum(), x)
    return (gradient[0] != 0).any(-1)


class GatedBlock(nn.Module):
    """A convolution to twice the width, half of it the gate of the other half, and a residual connection.

    Dropout acts on the convolution's input. "centred" for encoders, "causal" for decoders.
    """

    def __init__(
        self, d_model: int, kernel_size: int = 3, padding: str = "causal", dropout: float = 0.0,
        weight_norm: bool = False,
    ) -> None:
        super().__init__()
        self.convolution = Convolution(
            d_model, 2 * d_model, kernel_size, padding=padding, gain=4 * (1 - dropout), weight_norm=weight_norm
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, D), (B, T) -> (B, T, D)."""
        return joined(F.glu(self.convolution(self.dropout(h), mask), -1), h)

    def step(self, h: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """The gated convolution of the next words, without the residual connection, and what the words after need."""
        wide, before = self.convolution.step(self.dropout(h), before)     # (B, T, 2D)
        return F.glu(wide, -1), before


class DilatedBlock(nn.Module):
    """Two causal convolutions of one dilation, each with ReLU and dropout of whole channels; ReLU(x + F(x)).

    Where the widths differ, a convolution of kernel 1 takes x to the new one.
    """

    def __init__(
        self, d_in: int, d_out: int, kernel_size: int = 2, dilation: int = 1, dropout: float = 0.0,
        weight_norm: bool = True,
    ) -> None:
        super().__init__()
        settings = dict(kernel_size=kernel_size, dilation=dilation, weight_norm=weight_norm)
        self.convolutions = nn.ModuleList(
            Convolution(width, d_out, gain=2 * keep, **settings) for width, keep in ((d_in, 1), (d_out, 1 - dropout))
        )
        self.dropout = nn.Dropout1d(dropout)              # spatial: a channel is dropped at all places or at none
        self.skip = nn.Identity() if d_in == d_out else Convolution(d_in, d_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d_in) -> (B, T, d_out)."""
        change = x
        for convolution in self.convolutions:
            change = self.dropout(F.relu(convolution(change)).transpose(1, 2)).transpose(1, 2)
        return F.relu(self.skip(x) + change)


class TCN(nn.Module):
    """Temporal convolutional network: dilated blocks of dilation 1, 2, 4 …, which see 1 + 2(k-1)(2^L - 1) words.

    Causal, so pads at the end of a row cannot reach its words.
    """

    def __init__(
        self, d_in: int, d_hidden: int, n_levels: int, kernel_size: int = 2, dropout: float = 0.0,
        weight_norm: bool = True,
    ) -> None:
        super().__init__()
        check_widths(n_levels=n_levels)
        self.blocks = nn.ModuleList(
            DilatedBlock(d_hidden if level else d_in, d_hidden, kernel_size, 2**level, dropout, weight_norm)
            for level in range(n_levels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d_in) -> (B, T, d_hidden)."""
        for block in self.blocks:
            x = block(x)
        return x


class KGramFilters(nn.Module):
    """For each width k, `n_filters` patterns of k words; of each only its best match in the sentence is kept.

    Where the match was is lost, and with it all order beyond the widest window.
    """

    def __init__(self, d_in: int, n_filters: int, widths: Sequence[int] = (3, 4, 5)) -> None:
        super().__init__()
        check_widths(n_filters=n_filters)
        if not widths:
            raise ValueError("widths is empty: give at least one, e.g. (3, 4, 5)")
        self.filters = nn.ModuleList(Convolution(d_in, n_filters, k, padding="none", gain=2.0) for k in widths)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, d_in), (B, T) bool True on real words -> (B, n_filters · len(widths)), the widths in their order."""
        return torch.cat([matches.amax(1) for matches in self.matches(x, mask)], -1)

    def matches(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """For each width k how well each window matches: (B, max(T, widest) - k + 1, n_filters), at least 0.

        A window with a pad in it matches nothing (0); but a sentence shorter than k has its first window, with zeros.
        """
        missing = max(0, max(f.reach for f in self.filters) + 1 - x.shape[1])
        x, mask = F.pad(without_pads(x, mask), (0, 0, 0, missing)), F.pad(mask, (0, missing))
        found = []
        for f in self.filters:
            real = mask.unfold(1, f.reach + 1, 1).all(-1)                 # (B, T - k + 1)
            real[:, 0] |= ~real.any(1)
            found.append(F.relu(f(x)).masked_fill(~real.unsqueeze(-1), 0.0))
        return found
