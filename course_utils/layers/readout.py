"""Readouts: from a decoder's state to scores of words. Notebooks 06 (Cho) and 07 (Bahdanau).

t' = O_s s + O_y E y_{i-1} + O_c c,   t = max of neighbouring pairs of t',   logits = W_o t

Cho et al. 2014, appendix A.1.2 (s is the current state); Bahdanau, Cho, Bengio 2015, appendix A.2.2 (s is s_{i-1}).
"""

import torch
from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.checks import check_widths


def maxout(features: Tensor, pool: int = 2) -> Tensor:
    """The greatest of each `pool` neighbours: (..., pool·d) -> (..., d). Goodfellow et al. 2013."""
    if features.shape[-1] % pool:
        raise ValueError(f"maxout over {pool} needs a width divisible by {pool}, got {features.shape[-1]}")
    return features.unflatten(-1, (-1, pool)).amax(-1)


class MaxoutReadout(nn.Module):
    """Maxout over state, previous word and context, then one linear layer. Weights: Xavier; biases: zero.

    The three matrices O_s, O_y, O_c stand side by side in one, which is the same sum in one product.
    """

    def __init__(
        self, d_state: int, d_embedding: int, d_context: int, d_readout: int, target_size: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_widths(d_state=d_state, d_embedding=d_embedding, d_context=d_context, d_readout=d_readout)
        self.features = xavier(nn.Linear(d_state + d_embedding + d_context, 2 * d_readout))
        self.dropout = nn.Dropout(dropout)
        self.words = xavier(nn.Linear(d_readout, target_size))

    def forward(self, state: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        """(..., d_state), (..., d_embedding), (..., d_context) -> (..., V). Dropout acts on t."""
        features = self.features(torch.cat([state, embedded, context], -1))        # (..., 2·d_readout)
        return self.words(self.dropout(maxout(features)))                               # (..., V)
