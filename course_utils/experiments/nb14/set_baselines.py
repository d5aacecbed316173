"""What the Set Transformer is held against, called like it: `model(elements, mask) -> logits`. Notebook 14.

    DeepSets     every element by itself, then the mean (Zaheer et al. 2017); rFF + mean pooling in Lee et al. 2019
    ListMLP      the elements one after the other as one long vector: an order is needed where none is
    RasterMLP    the pixels put back in their places, 64 numbers: what an ordinary network would be given
"""

import torch
from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.checks import check_widths
from course_utils.layers.blocks import FeedForward


class DeepSets(nn.Module):
    """φ on every element, mean over the set, ρ on the mean: no element sees another."""

    def __init__(self, d_element: int, n_classes: int, d_model: int = 84) -> None:
        super().__init__()
        check_widths(d_element=d_element, n_classes=n_classes, d_model=d_model)
        self.hparams = dict(d_element=d_element, n_classes=n_classes, d_model=d_model)
        widths = (d_element, d_model, d_model, d_model)
        steps = [m for a, b in zip(widths, widths[1:], strict=False) for m in (xavier(nn.Linear(a, b)), nn.ReLU())]
        self.phi, self.rho = nn.Sequential(*steps), FeedForward(d_model, d_model)
        self.output = xavier(nn.Linear(d_model, n_classes))

    def forward(self, elements: Tensor, mask: Tensor) -> Tensor:
        """elements (B, n, d_element), mask (B, n) True on real elements -> (B, n_classes)."""
        real = mask.unsqueeze(-1).to(elements.dtype)                      # (B, n, 1)
        mean = (self.phi(elements) * real).sum(1) / real.sum(1)           # (B, D)
        return self.output(self.rho(mean))


class ListMLP(nn.Module):
    """Reads element 1, element 2, ... through weights of their own, as if the set were a list of n_most."""

    def __init__(self, d_element: int, n_classes: int, n_most: int, d_hidden: int = 128) -> None:
        super().__init__()
        check_widths(d_element=d_element, n_classes=n_classes, n_most=n_most, d_hidden=d_hidden)
        self.hparams = dict(d_element=d_element, n_classes=n_classes, n_most=n_most, d_hidden=d_hidden)
        self.layers = FeedForward(n_most * d_element, d_hidden)
        self.layers.outer = xavier(nn.Linear(d_hidden, n_classes))

    def forward(self, elements: Tensor, mask: Tensor) -> Tensor:
        missing = self.hparams["n_most"] - elements.shape[1]
        if missing < 0:
            raise ValueError(f"a set of {elements.shape[1]} elements, but this network reads {self.hparams['n_most']}")
        elements = elements.masked_fill(~mask.unsqueeze(-1), 0.0)
        return self.layers(nn.functional.pad(elements, (0, 0, 0, missing)).flatten(1))


class RasterMLP(nn.Module):
    """Puts (x, y, grey) back into the picture and reads its pixels, each through weights of its own."""

    def __init__(self, n_classes: int, side: int = 8, d_hidden: int = 128) -> None:
        super().__init__()
        check_widths(n_classes=n_classes, side=side, d_hidden=d_hidden)
        self.hparams = dict(n_classes=n_classes, side=side, d_hidden=d_hidden)
        self.layers = FeedForward(side * side, d_hidden)
        self.layers.outer = xavier(nn.Linear(d_hidden, n_classes))

    def forward(self, elements: Tensor, mask: Tensor) -> Tensor:
        return self.layers(raster(elements, mask, self.hparams["side"]).flatten(1))


def raster(elements: Tensor, mask: Tensor, side: int = 8) -> Tensor:
    """(B, n, 3) sets of (x, y, grey), x and y from -1 to 1 -> pictures (B, side, side), rows from top to bottom."""
    elements = elements.masked_fill(~mask.unsqueeze(-1), 0.0)             # fillers: no grey, anywhere
    places = ((elements[..., :2] + 1) * (side - 1) / 2).round().long()    # (B, n, 2): column, row
    flat = places[..., 1] * side + places[..., 0]
    picture = elements.new_zeros(len(elements), side * side).scatter_add(1, flat, elements[..., 2])
    return picture.view(-1, side, side)


def n_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@torch.no_grad()
def accuracy(model: nn.Module, elements: Tensor, mask: Tensor, labels: Tensor) -> float:
    return float((model(elements, mask).argmax(-1) == labels).float().mean())
