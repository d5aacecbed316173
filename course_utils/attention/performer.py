"""FAVOR+: softmax attention as a kernel of random features, in linear time. Notebook 22; Choromanski et al. 2021.

    exp(q·k / sqrt(d)) = E_w[φ_w(q) φ_w(k)]     φ_w(x) = exp(w·x' - |x'|²/2) / sqrt(m)     x' = x d^(-1/4)
                                                                                            Lemma 1, section 2.3

m vectors w, drawn once: in blocks of d orthogonal ones, each of the length that a gaussian vector has (section 2.4).
The estimate is right on average; its spread falls as 1/sqrt(m) and grows exponentially with the lengths of q and k, so
that with queries and keys of unit variance no m up to 512 is usable (measured in notebook 22).

Numbers are kept in range in ways that cancel exactly: each query is divided by its own largest feature, all keys by one
number together, the largest of them all. Causal there is no key maximum, for it would tell the past about the future:
exponents are at most |w|²/2, about d/2. Keys so long that all their features underflow (in float32 |k|² > 170 sqrt(d))
are not seen.
"""

import torch
from torch import Tensor

from course_utils.attention.linear import LinearAttention
from course_utils.checks import check_widths


class PerformerAttention(LinearAttention):
    """Linear attention with m = `n_features` positive random features; `redraw()` draws others.

    The vectors w are shared by the heads and saved with the model.
    """

    def __init__(self, d_head: int, n_features: int = 256, orthogonal: bool = True) -> None:
        super().__init__()
        check_widths(d_head=d_head, n_features=n_features)
        self.orthogonal, self.widening = orthogonal, -(-n_features // d_head)
        self.register_buffer("directions", torch.empty(d_head, n_features))              # (d, m): w d^(-1/4)
        self.redraw()

    @torch.no_grad()
    def redraw(self) -> None:
        """New vectors w from torch's generator, as one does now and then in training."""
        d, m = self.directions.shape
        drawn = torch.randn(d, m, dtype=torch.float64)
        if self.orthogonal:
            q, r = torch.linalg.qr(torch.randn(-(-m // d), d, d, dtype=torch.float64))
            q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)     # without it LAPACK's q points to one side
            drawn = q.transpose(0, 1).flatten(1)[:, :m] * drawn.norm(dim=0)
        self.directions.copy_(drawn * d**-0.25)

    def query_features(self, query: Tensor) -> Tensor:
        """exp(w·q') up to a factor for each query, of which |q'|²/2 is a part."""
        exponents = self._along(query)
        return (exponents - exponents.detach().amax(-1, keepdim=True)).exp()

    def key_features(self, key: Tensor, real: Tensor | None, causal: bool) -> tuple[Tensor, Tensor | None]:
        exponents = self._along(key) - key.square().sum(-1, keepdim=True) * (0.5 * key.shape[-1] ** -0.5)
        if real is not None:
            exponents = exponents.masked_fill(~real, -torch.inf)
        if causal:
            return exponents.exp(), None
        top = exponents.detach().amax((-2, -1), keepdim=True).clamp_min(torch.finfo(key.dtype).min)
        return (exponents - top).exp(), top

    def _along(self, x: Tensor) -> Tensor:
        if x.shape[-1] != len(self.directions):
            raise ValueError(f"features were drawn for heads {len(self.directions)} wide, these are {x.shape[-1]}")
        return x @ self.directions.to(x.dtype)                            # (B, ..., T, m)
