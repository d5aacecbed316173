"""A plain deep network with or without normalisation, and what its loss looks like along the gradient. Notebook 05.

The network is a stack of Linear → norm → activation (Ioffe and Szegedy 2015, section 3.2: the normalisation stands
before the nonlinearity), deliberately without shortcuts, so that depth alone makes it hard to train. It is trained with
torch's kernels, which the notebook has shown equal to the course's own BatchNorm and LayerNorm.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_utils.checks import check_widths

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda _: nn.Identity(), "batch": nn.BatchNorm1d, "layer": nn.LayerNorm,
}  # fmt: skip
INITS = ("small", "default", "he")


class DeepMLP(nn.Module):
    """(B, d_input) -> logits (B, n_classes) through n_layers of Linear, norm, ReLU and a last Linear."""

    def __init__(
        self, d_input: int, d_hidden: int, n_layers: int, n_classes: int, *, norm: str = "none", init: str = "small"
    ) -> None:
        """`init`: "small" draws all weights from N(0, 0.01²), as AlexNet did in 2012; "default" is nn.Linear's own;
        "he" is N(0, 2 / fan-in), made for ReLU (He et al. 2015). Biases begin at 0, except under "default"."""
        super().__init__()
        check_widths(d_input=d_input, d_hidden=d_hidden, n_layers=n_layers, n_classes=n_classes)
        if norm not in NORMS or init not in INITS:
            raise ValueError(f"norm={norm!r} must be one of {', '.join(NORMS)}; init={init!r} of {', '.join(INITS)}.")
        self.hparams = {"d_input": d_input, "d_hidden": d_hidden, "n_layers": n_layers, "n_classes": n_classes,
                        "norm": norm, "init": init}  # fmt: skip
        widths = [d_input] + [d_hidden] * n_layers
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(a, b), NORMS[norm](b), nn.ReLU()) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.output = nn.Linear(d_hidden, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear) and init != "default":
                std = 0.01 if init == "small" else (2 / module.in_features) ** 0.5
                nn.init.normal_(module.weight, std=std)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)                                                  # (B, d_hidden)
        return self.output(x)                                             # (B, n_classes)


def by_layer(model: DeepMLP, loss: Callable[[nn.Module], Tensor]) -> tuple[list[float], list[float]]:
    """For every block, from the input up: the standard deviation of what leaves it, and the norm of its weight's
    gradient. `loss(model)` computes a scalar from one forward pass; the model's mode stays, its buffers may move."""
    spreads: list[float] = []

    def record(_, __, out: Tensor) -> None:
        spreads.append(float(out.detach().std()))

    hooks = [block.register_forward_hook(record) for block in model.blocks]
    try:
        weights = [block[0].weight for block in model.blocks]
        gradients = torch.autograd.grad(loss(model), weights)
    finally:
        for hook in hooks:
            hook.remove()
    return spreads, [float(g.norm()) for g in gradients]


@dataclass(frozen=True)
class AlongGradient:
    """What was met on a straight walk down the gradient: at each distance the loss, the change of the gradient
    ‖g' - g‖ (its "predictiveness"), and the cosine between g' and g, which knows no scale."""

    distances: tuple[float, ...]
    loss: tuple[float, ...]
    change: tuple[float, ...]
    cosine: tuple[float, ...]
    start: float

    @property
    def variation(self) -> float:
        """Highest minus lowest loss on the walk, the start included."""
        return max(self.start, *self.loss) - min(self.start, *self.loss)

    @property
    def smoothness(self) -> float:
        """The "effective β": the largest ‖g' - g‖ over the distance walked. The smaller, the smoother."""
        return max(c / d for c, d in zip(self.change, self.distances, strict=True))


def along_the_gradient(
    model: nn.Module, loss: Callable[[nn.Module], Tensor], steps: Sequence[float]
) -> AlongGradient:  # fmt: skip
    """Santurkar et al. 2018, figure 4: walk from the present weights w to w - η g for each η of `steps`, g the gradient
    of `loss(model)` at w, all weights together. Weights and buffers are as before afterwards."""
    if not steps or min(steps) <= 0:
        raise ValueError(f"steps={tuple(steps)}: at least one step size, all of them positive.")
    weights = [p for p in model.parameters() if p.requires_grad]
    kept = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def gradient() -> tuple[float, Tensor]:
        value = loss(model)
        return float(value.detach()), torch.cat([g.flatten() for g in torch.autograd.grad(value, weights)])

    before = [p.detach().clone() for p in weights]
    start, g = gradient()
    length = float(g.norm())
    found = []
    try:
        for eta in steps:
            moved = torch.cat([p.flatten() for p in before]) - eta * g
            _put(weights, moved)
            value, other = gradient()
            cosine = float(other @ g / (other.norm() * g.norm()).clamp_min(1e-30))
            found.append((eta * length, value, float((other - g).norm()), cosine))
    finally:
        model.load_state_dict(kept)
    distances, losses, change, cosine = zip(*found, strict=True)
    return AlongGradient(distances, losses, change, cosine, start)


@torch.no_grad()
def _put(weights: Sequence[nn.Parameter], flat: Tensor) -> None:
    start = 0
    for p in weights:
        p.copy_(flat[start : start + p.numel()].view_as(p))
        start += p.numel()
