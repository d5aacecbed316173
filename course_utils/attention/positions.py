"""Where a word stands: positions for networks that would otherwise see a bag of words. Notebooks 15 and 16.

    absolute   added to the word vectors, in encoder and decoder alike
      sinusoidal   PE(p, 2i) = sin(p / 10000^(2i/d)), PE(p, 2i+1) = cos(...)   Vaswani et al. 2017, section 3.5
      learned      a table with one vector a place, and an end                 Gehring et al. 2017
    relative   between a query and a key, inside self-attention only
      rotary       queries and keys are turned by their place                  Su et al. 2021 (RoPE), eq. 15
      shaw         a vector for each distance, added to the keys               Shaw et al. 2018, eq. 3-5: relative.py
      alibi        a penalty that grows with the distance                      Press et al. 2022: relative.py

In cross-attention no scheme acts: a place in the French sentence and one in the English sentence are not on one line,
so their distance means nothing; only what absolute positions put into the word vectors arrives there.
"""

import torch
from torch import Tensor, nn

from course_utils.checks import check_widths

LAYOUTS = ("interleaved", "halves")
BASE = 10_000.0


def frequencies(width: int, base: float = BASE) -> Tensor:
    """Angles a step of one place: base^(-2i/width) for i = 0 .. width/2 - 1, as (width/2,) float64.

    The exponent divides by width, as in the paper; tensor2tensor divides by width - 2, so that its longest wave is
    exactly 2π base.
    """
    if width < 2 or width % 2:
        raise ValueError(f"sines and cosines come in pairs, so the width must be even and positive, got {width}")
    return base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)


def check_layout(layout: str) -> None:
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}: one of {', '.join(map(repr, LAYOUTS))}")


def _woven(even: Tensor, odd: Tensor, layout: str) -> Tensor:
    """Two (..., w/2) -> (..., w): e0 o0 e1 o1 ... (interleaved), or e0 e1 ... o0 o1 ... (halves)."""
    return torch.stack([even, odd], -1).flatten(-2) if layout == "interleaved" else torch.cat([even, odd], -1)


def _unwoven(x: Tensor, layout: str) -> tuple[Tensor, Tensor]:
    return (x[..., 0::2], x[..., 1::2]) if layout == "interleaved" else x.chunk(2, -1)


class SinusoidalPositions(nn.Module):
    """A fixed vector for every place, without end. The two layouts are the same numbers in another order."""

    def __init__(self, d_model: int, layout: str = "interleaved", base: float = BASE) -> None:
        super().__init__()
        check_layout(layout)
        frequencies(d_model, base)                                        # refuses an odd width
        self.d_model, self.layout, self.base = d_model, layout, base

    def forward(self, where: Tensor) -> Tensor:
        """Places (T,) long -> (T, d_model) float64."""
        angles = where.unsqueeze(-1) * frequencies(self.d_model, self.base).to(where.device)    # (T, d_model / 2)
        return _woven(angles.sin(), angles.cos(), self.layout)


def shift_matrix(d_model: int, offset: float, layout: str = "interleaved", base: float = BASE) -> Tensor:
    """M (d_model, d_model) with PE(p + offset) = PE(p) M for every p: a turn of each sine-cosine pair. float64."""
    check_layout(layout)
    angles = frequencies(d_model, base) * offset                          # (d_model / 2,)
    order = torch.arange(d_model)
    sines, cosines = _unwoven(order, layout)                              # columns that hold sines, cosines
    matrix = torch.zeros(d_model, d_model, dtype=torch.float64)
    matrix[sines, sines] = matrix[cosines, cosines] = angles.cos()
    matrix[cosines, sines], matrix[sines, cosines] = angles.sin(), -angles.sin()
    return matrix


class LearnedPositions(nn.Module):
    """One vector a place, trained with the rest; a place beyond the table has none."""

    def __init__(self, max_length: int, d_model: int) -> None:
        super().__init__()
        check_widths(max_length=max_length, d_model=d_model)
        self.table = nn.Parameter(torch.empty(max_length, d_model).normal_(std=d_model**-0.5))

    def forward(self, where: Tensor) -> Tensor:
        """Places (T,) long -> (T, d_model)."""
        if int(where.max()) >= len(self.table):
            raise ValueError(
                f"there is no learned position for place {int(where.max())}: the table was made for max_length="
                f"{len(self.table)}; shorten the sentence or build the model with a longer table"
            )
        return self.table[where]


class RotaryPositions(nn.Module):
    """Turns pairs of a query's or key's entries by angles that grow with its place, so that q·k sees distances only.

    The layout decides which entries are a pair; with learnt projections both are as good, but weights trained with one
    do not fit the other.
    """

    def __init__(self, d_head: int, layout: str = "interleaved", base: float = BASE) -> None:
        super().__init__()
        check_layout(layout)
        frequencies(d_head, base)                                         # refuses an odd width
        self.d_head, self.layout, self.base = d_head, layout, base

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        """(B, ..., T, d), places (T,) -> the same shape."""
        angles = where.unsqueeze(-1) * frequencies(self.d_head, self.base).to(where.device)     # (T, d / 2)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        one, other = _unwoven(x, self.layout)                             # (B, ..., T, d / 2)
        return _woven(one * cos - other * sin, one * sin + other * cos, self.layout)
