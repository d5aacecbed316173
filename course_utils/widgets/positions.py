"""The widgets of notebook 15: a table of sines to look through, a pair that turns, heads that become a convolution."""

import ipywidgets as w
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.attention.positions import LAYOUTS, SinusoidalPositions, frequencies
from course_utils.experiments.nb15.image_heads import convolve_by_heads, filter_offsets, shift_heads
from course_utils.plots.positions import convolution_view, position_view, turned_pairs
from course_utils.widgets.explorer import Explorer

PLACES = 64
WIDTHS = (4, 8, 16, 32, 64, 128)
BASES = (10, 100, 1000, 10_000, 100_000)
ALPHAS = (0, 0.25, 0.5, 1, 2, 3, 5, 10, 20)


def position_explorer(d: int = 64) -> Explorer:
    """Width, base, layout, a place and an offset: the table of sines and the place's dot products with all others."""

    def draw(d: int, base: int, layout: str, place: int, offset: int) -> tuple[Figure, str]:
        where = torch.arange(PLACES)
        table = SinusoidalPositions(d, layout, base)(where)                   # (PLACES, d)
        other = min(max(place + offset, 0), PLACES - 1)
        product = float(table[place] @ table[other])
        longest = float(2 * np.pi / frequencies(d, base)[-1])
        said = f"PE({place})·PE({other}) = {product:.3f}, as at any two places {abs(other - place)} apart"
        return position_view(table.numpy(), place, other), f"{said}; the longest wave has {longest:,.1f} places."

    alt = (
        "Left: a table of sines and cosines, a row for each of 64 places, two places marked. Right: the dot products "
        "of the first marked place with every place, largest with itself."
    )
    return Explorer(
        draw, alt=alt,
        d=w.SelectionSlider(options=WIDTHS, value=d, description="width d"),
        base=w.SelectionSlider(options=BASES, value=10_000, description="base"),
        layout=w.Dropdown(options=LAYOUTS, description="layout"),
        place=w.IntSlider(20, 0, PLACES - 1, description="place"),
        offset=w.IntSlider(5, -20, 20, description="offset"),
    )  # fmt: skip


def rotary_turner(q: Tensor, k: Tensor, theta: float = 0.5) -> Explorer:
    """One pair of entries of a query and of a key, (2,) each, turned by their places; both can be moved together."""
    one, other = (np.asarray(v, dtype=float) for v in (q, k))
    if one.shape != (2,) or other.shape != (2,):
        raise ValueError(f"a pair has two entries, these have shapes {one.shape} and {other.shape}.")

    def draw(m: int, n: int, both: int) -> tuple[Figure, str]:
        figure = turned_pairs(one, other, m + both, n + both, theta)
        angle = (m - n) * theta
        aligned, crossed = one @ other, one[0] * other[1] - one[1] * other[0]
        product = aligned * np.cos(angle) + crossed * np.sin(angle)
        return figure, f"places {m + both} and {n + both}, {m - n:+d} apart: q·k = {product:.2f} after the turns."

    alt = (
        "A query and a key as arrows in the plane: left as they are, right each turned by its place times an angle; "
        "an arc marks the angle between them."
    )
    return Explorer(
        draw, alt=alt,
        m=w.IntSlider(3, 0, 12, description="place of the query"),
        n=w.IntSlider(1, 0, 12, description="place of the key"),
        both=w.IntSlider(0, 0, 12, description="move both by"),
    )  # fmt: skip


def convolution_slider(image: Tensor, kernel: Tensor, pixel: tuple[int, int] = (3, 4)) -> Explorer:
    """image (height, width), kernel (K, K): the sharper the heads (alpha), the nearer their sum to the convolution."""
    image, kernel = image.double(), kernel.double()
    height, width = image.shape
    side = kernel.shape[0] // 2
    offsets = filter_offsets(kernel.shape[0])
    wanted = F.conv2d(F.pad(image[None, None], (side,) * 4, mode="replicate"), kernel[None, None])[0, 0]
    here = pixel[0] * width + pixel[1]

    def draw(alpha: float, head: int) -> tuple[Figure, str]:
        got = convolve_by_heads(image[None], kernel[None, None], alpha)[0]
        weights = shift_heads(height, width, offsets[head - 1 : head], alpha)[0, here].view(height, width)
        error = float((got - wanted).abs().max())
        looks = ", ".join(f"{x:+d}" for x in offsets[head - 1].tolist())
        figure = convolution_view(image.numpy(), weights.numpy(), pixel, wanted.numpy(), got.numpy(),
                                  head=f"head {head}")  # fmt: skip
        return figure, (f"α = {alpha:g}: head {head} looks ({looks}) away and gives {float(weights.max()):.3f} to one "
                        f"pixel; largest error of the sum {error:.1e}.")  # fmt: skip

    alt = (
        "A digit of few pixels with one pixel marked, the weights of one head from there, and the output of a filter "
        "by convolution and by attention heads."
    )
    return Explorer(
        draw, alt=alt,
        alpha=w.SelectionSlider(options=ALPHAS, value=1, description="α: how sharply"),
        head=w.IntSlider(len(offsets) // 3, 1, len(offsets), description="head"),
    )  # fmt: skip
