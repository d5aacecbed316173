"""Batch normalisation and layer normalisation, from scratch. Notebook 05; layer norm returns in notebooks 16-17.

Both centre and scale the features of x and then give the scale back to the model: y = γ x̂ + β. They differ in which
numbers share a mean. Parameters are named as torch's (`weight` is γ, `bias` is β), so that its state dicts fit.
"""

import torch
from torch import Tensor, nn

from course_utils.checks import check_widths


def standardised(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """x̂ = (x - μ) / √(σ² + ε), the shapes of mean and variance broadcast to x; ε stands inside the root."""
    return (x - mean) / torch.sqrt(variance + eps)


def real_rows(x: Tensor, mask: Tensor | None) -> Tensor:
    """What batch statistics are taken over: all rows of x (N, D) or (B, T, D), or those where mask (B, T) is True.

    Returns (n, D). ValueError where the shapes do not fit.
    """
    if x.ndim not in (2, 3):
        raise ValueError(f"batch norm takes (N, D) or (B, T, D), features last; this has shape {tuple(x.shape)}.")
    if mask is None:
        return x.flatten(0, -2)                                                         # (n, D)
    if mask.shape != x.shape[:-1] or mask.dtype != torch.bool:
        raise ValueError(
            f"the mask must be bool of shape {tuple(x.shape[:-1])}, True = a real token; it is {mask.dtype} of shape "
            f"{tuple(mask.shape)}."
        )
    return x[mask]                                                                      # (n, D)


class BatchNorm(nn.Module):
    """Each feature by its mean and variance over the batch (Ioffe and Szegedy 2015, algorithms 1 and 2).

    In training the statistics are the batch's own, and the running ones move a step towards them; in evaluation the
    running ones are used, so that an example's output no longer depends on its companions. Equal to nn.BatchNorm1d,
    which wants (B, D, T) and knows no mask: with `mask` the statistics are of real tokens only, and pads come out 0.
    """

    def __init__(self, d_model: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        """`momentum` is torch's: the share of the new batch, running ← (1 - m) running + m batch."""
        super().__init__()
        check_widths(d_model=d_model)
        if eps <= 0 or not 0 <= momentum <= 1:
            raise ValueError(f"eps={eps} must be positive, and momentum={momentum} a share between 0 and 1.")
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(d_model))                                 # γ
        self.bias = nn.Parameter(torch.zeros(d_model))                                  # β
        self.register_buffer("running_mean", torch.zeros(d_model))
        self.register_buffer("running_var", torch.ones(d_model))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (N, D) or (B, T, D), mask (B, T) bool | None -> the shape of x."""
        check_features(x, self.weight)
        rows = real_rows(x, mask)                                                       # (n, D)
        if self.training:
            mean, variance = self.batch_statistics(rows)
        else:
            mean, variance = self.running_mean, self.running_var
        y = self.weight * standardised(x, mean, variance, self.eps) + self.bias
        return y if mask is None else y.masked_fill(~mask.unsqueeze(-1), 0.0)

    def batch_statistics(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(n, D) -> mean and biased variance (D,) each, with which the batch is normalised; the running variance takes
        the unbiased one, n / (n - 1) times as large, as the estimate for data to come (algorithm 2, line 10)."""
        n = len(rows)
        if n < 2:
            raise ValueError(
                f"batch norm in training needs two rows or more, this batch has {n}: a single row is its own mean and "
                "would come out as β. Use larger batches, or call .eval() first."
            )
        mean, variance = rows.mean(0), rows.var(0, correction=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
            self.num_batches_tracked += 1
        return mean, variance

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, eps={self.eps}, momentum={self.momentum}"


class LayerNorm(nn.Module):
    """Each token by the mean and variance over its own features (Ba, Kiros and Hinton 2016, eq. 3 and 4), equal to
    nn.LayerNorm(d_model). No other token takes part, so there is nothing to keep running, and training and evaluation
    are the same. γ and β are per feature, shared by all tokens."""

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        check_widths(d_model=d_model)
        if eps <= 0:
            raise ValueError(f"eps={eps} must be positive.")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))                                 # γ
        self.bias = nn.Parameter(torch.zeros(d_model))                                  # β

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        check_features(x, self.weight)
        mean = x.mean(-1, keepdim=True)                                                 # (..., 1)
        variance = x.var(-1, correction=0, keepdim=True)                                # (..., 1)
        return self.weight * standardised(x, mean, variance, self.eps) + self.bias

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, eps={self.eps}"


def check_features(x: Tensor, weight: Tensor) -> None:
    """ValueError unless the last dimension of x is the d_model that the layer was made for."""
    if x.ndim < 1 or x.shape[-1] != len(weight):
        raise ValueError(
            f"this layer normalises {len(weight)} features in the last dimension; the input has shape "
            f"{tuple(x.shape)}. (nn.BatchNorm1d wants features in dimension 1; here they stay last.)"
        )
