"""What public code calls attention and is something else, kept to be measured beside the real thing. Notebook 11."""

import torch
from torch import Tensor, nn

from course_utils.attention.pooling import AttentionPooling, check_pooled, mixed
from course_utils.attention.scores import xavier
from course_utils.attention.socket import masked_softmax
from course_utils.models.hierarchical import HierarchicalAttention


class FCAttention(nn.Module):
    """A fully connected layer over *time* with a softmax, multiplied onto its input, as in a block that was copied into
    many repositories (keras-attention, until 2020): for each feature, the vector of its values at all `length` places
    goes through one matrix (length x length). `one_map`: all features share the mean of their maps."""

    def __init__(self, length: int, one_map: bool = False) -> None:
        super().__init__()
        self.over_time, self.one_map = xavier(nn.Linear(length, length)), one_map

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, length, D) -> x times its maps (B, length, D), the maps (B, length, D)."""
        if x.shape[1] != self.over_time.in_features:
            raise ValueError(f"built for {self.over_time.in_features} places, got {x.shape[1]}: pad or cut.")
        weights = self.over_time(x.transpose(1, 2)).softmax(-1).transpose(1, 2)    # (B, T, D), each feature sums to 1
        if self.one_map:
            weights = weights.mean(-1, keepdim=True).expand_as(x)
        return x * weights, weights


class BoundedPooling(AttentionPooling):
    """The score goes through a second tanh, so all scores lie between -1 and 1 (a fault of public code)."""

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        check_pooled(vectors, mask)
        scores = torch.tanh(self.look.key(vectors)) @ self.look.query[0]           # (B, S)
        weights = masked_softmax(torch.tanh(scores), mask)
        return mixed(weights, vectors), weights


def with_bounded_scores(model: HierarchicalAttention) -> HierarchicalAttention:
    """The same model and the same first weights, with that fault on both levels."""
    for level in (model.words, model.sentences):
        if type(level.pool) is not AttentionPooling or level.pool.look.key is None:
            raise TypeError(f"only attention over tanh keys has this fault, not {type(level.pool).__name__}.")
        level.pool.__class__ = BoundedPooling
    return model
