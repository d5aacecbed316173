"""The Set Transformer: attention over a set, whose order means nothing. Notebook 14; Lee et al. 2019.

    MAB(X, Y) = LN(H + rFF(H)),  H = LN(X + Multihead(X, Y, Y))            eq. 6, 7
    SAB(X) = MAB(X, X)                                                      eq. 8
    ISAB(X) = MAB(X, MAB(I, X)),  I: m learnt inducing points               eq. 9, 10
    PMA(Z) = MAB(S, rFF(Z)),  S: k learnt seeds                             eq. 11

SABs and ISABs turn with the set (equivariant), a PMA does not notice the order (invariant). An ISAB costs m n instead
of n². Elements that only fill up a batch are masked.
"""

import torch
from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.checks import check_widths
from course_utils.layers.blocks import FeedForward
from course_utils.layers.multihead import MultiHeadAttention


class MAB(nn.Module):
    """Multihead attention block: X looks at Y; residual and norm around both halves (post-norm, as in the paper)."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(d_model, n_heads)
        self.feed_forward = FeedForward(d_model, d_model)
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(2))

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (B, n, D), y (B, m, D), mask (B, m) True on real elements -> (B, n, D)."""
        h = self.norms[0](x + self.attention(x, y, y, key_mask=mask)[0])
        return self.norms[1](h + self.feed_forward(h))


class SAB(MAB):
    """Set attention block: every element looks at every element."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(x, x, mask)


class ISAB(nn.Module):
    """Induced set attention block: m learnt points look at the set, then the set looks at them."""

    def __init__(self, d_model: int, n_heads: int, n_inducing: int) -> None:
        super().__init__()
        self.inducing = _learnt(n_inducing=n_inducing, d_model=d_model)
        self.gather, self.spread = MAB(d_model, n_heads), MAB(d_model, n_heads)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        summary = self.gather(self.inducing.expand(len(x), -1, -1), x, mask)              # (B, m, D)
        return self.spread(x, summary)                                                    # (B, n, D)


class PMA(nn.Module):
    """Pooling by multihead attention: k learnt seeds look at the set; its order is gone."""

    def __init__(self, d_model: int, n_heads: int, n_seeds: int = 1) -> None:
        super().__init__()
        self.seeds = _learnt(n_seeds=n_seeds, d_model=d_model)
        self.block, self.feed_forward = MAB(d_model, n_heads), FeedForward(d_model, d_model)

    def forward(self, z: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, n, D) -> (B, k, D)."""
        return self.block(self.seeds.expand(len(z), -1, -1), self.feed_forward(z), mask)


class SetTransformer(nn.Module):
    """Classifies sets: two blocks (SAB, or ISAB with `n_inducing` points), one seed, one linear layer.

    `pool`: "attention" (PMA), or "mean" over the elements, the plain way to lose their order.
    """

    def __init__(
        self, d_element: int, n_classes: int, *, d_model: int = 32, n_heads: int = 4, n_inducing: int | None = None,
        pool: str = "attention",
    ) -> None:
        super().__init__()
        check_widths(d_element=d_element, n_classes=n_classes)
        if pool not in ("attention", "mean"):
            raise ValueError(f"unknown pool {pool!r}: one of 'attention', 'mean'")
        self.hparams = dict(d_element=d_element, n_classes=n_classes, d_model=d_model, n_heads=n_heads,
                            n_inducing=n_inducing, pool=pool)  # fmt: skip
        self.embed = xavier(nn.Linear(d_element, d_model))
        self.blocks = nn.ModuleList(
            SAB(d_model, n_heads) if n_inducing is None else ISAB(d_model, n_heads, n_inducing) for _ in range(2)
        )
        self.pool = PMA(d_model, n_heads) if pool == "attention" else None
        self.output = xavier(nn.Linear(d_model, n_classes))

    def forward(self, elements: Tensor, mask: Tensor | None = None) -> Tensor:
        """elements (B, n, d_element), mask (B, n) True on real elements -> logits (B, n_classes)."""
        mask = elements.new_ones(elements.shape[:2], dtype=torch.bool) if mask is None else mask
        if mask.shape != elements.shape[:2] or not bool(mask.any(1).all()):
            raise ValueError(f"mask must be {tuple(elements.shape[:2])}, with at least one real element in every set")
        x = self.embed(elements)
        for block in self.blocks:
            x = block(x, mask)                                                            # (B, n, D)
        if self.pool is not None:
            return self.output(self.pool(x, mask).squeeze(1))
        real = mask.unsqueeze(-1).to(x.dtype)
        return self.output((x * real).sum(1) / real.sum(1))


def _learnt(**sizes: int) -> nn.Parameter:
    """Points (1, n, D) that are learnt."""
    check_widths(**sizes)
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(tuple(sizes.values()))).unsqueeze(0))
