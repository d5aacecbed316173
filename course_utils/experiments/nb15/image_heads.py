"""Self-attention on the pixels of an image that *can be* a convolution. Notebook 15; Cordonnier et al. 2020, theorem 1.

Head h of K·K heads looks Δ_h away. With the relative position δ = place of the key - place of the query, in rows and
columns, its scores are linear in r_δ = (‖δ‖², δ_1, δ_2), the paper's quadratic encoding (eq. 9):

    score = v_h · r_δ,   v_h = -α (1, -2Δ_1, -2Δ_2)        = -α (‖δ - Δ_h‖² - ‖Δ_h‖²)

The last term is alike for all keys, so softmax drops it: for large α the head looks at one pixel, and the sum of the
heads, each through its own slice of the filter, is the convolution. At the border it looks at the nearest pixel there
is, as a convolution does whose image is continued by its outermost pixels (padding mode "replicate").
"""

import torch
from torch import Tensor


def pixel_places(height: int, width: int) -> Tensor:
    """(height · width, 2) long: row and column of each pixel, row by row."""
    if height < 1 or width < 1:
        raise ValueError(f"an image of {height} x {width} pixels has none: both must be 1 or more")
    return torch.cartesian_prod(torch.arange(height), torch.arange(width))


def filter_offsets(size: int) -> Tensor:
    """(size², 2) long: where the weights of a size x size filter look, in the order of the filter's entries."""
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a filter of {size} x {size} has no middle: its size must be odd")
    side = torch.arange(size) - size // 2
    return torch.cartesian_prod(side, side)


def quadratic_encoding(places: Tensor) -> Tensor:
    """Places (N, 2) -> r_δ for every query and key, (N, N, 3) float64."""
    delta = (places.unsqueeze(0) - places.unsqueeze(1)).double()          # key minus query: (N, N, 2)
    return torch.cat([delta.square().sum(-1, keepdim=True), delta], -1)


def shift_heads(height: int, width: int, offsets: Tensor, alpha: float) -> Tensor:
    """Weights (H, N, N) of heads that look `offsets` (H, 2) away, softly for small alpha. float64."""
    if alpha < 0:
        raise ValueError(f"alpha={alpha}: below 0 a head would look everywhere but where it should")
    offsets = offsets.double()
    v = -alpha * torch.cat([torch.ones(len(offsets), 1, dtype=torch.float64), -2 * offsets], 1)     # (H, 3)
    scores = quadratic_encoding(pixel_places(height, width)) @ v.T        # (N, N, H)
    return scores.permute(2, 0, 1).softmax(-1)


def convolve_by_heads(image: Tensor, kernel: Tensor, alpha: float) -> Tensor:
    """image (C, height, width), kernel (O, C, K, K) -> (O, height, width): one head for each entry of the kernel.

    The values are the pixels themselves; head h's slice of W_O is the kernel's entry h. For alpha -> ∞ this is
    `conv2d` of the image continued by its outermost pixels.
    """
    if image.ndim != 3 or kernel.ndim != 4 or kernel.shape[1] != len(image) or kernel.shape[2] != kernel.shape[3]:
        raise ValueError(
            f"needed are an image (C, height, width) and a kernel (O, C, K, K), got {tuple(image.shape)} and "
            f"{tuple(kernel.shape)}"
        )
    C, height, width = image.shape
    weights = shift_heads(height, width, filter_offsets(kernel.shape[-1]), alpha).to(image.dtype)
    values = image.reshape(C, -1).T                                       # (N, C)
    out_parts = kernel.flatten(2).permute(2, 1, 0)                        # (H, C, O), W_O cut into heads
    return (weights @ values @ out_parts).sum(0).T.reshape(-1, height, width)
