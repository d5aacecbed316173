"""A small causal Transformer for the duplication task, whose attention can be changed after training. Notebook 21.

Kitaev et al. 2020, section 5: 0 w 0 w is read from left to right, the second w is foretold. One layer is enough: a
place has to find the place that stands one word's length before the next one. Queries and keys are one vector, for
"full" attention too (there one bucket holds everybody), so a model can be trained with one kind of attention and
evaluated with another: the plugs have no parameters of their own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.hashing import BucketAttention, HashAttention
from course_utils.attention.routing import ClusterAttention
from course_utils.checks import check_widths
from course_utils.corpora.long_tasks import Sequences
from course_utils.layers.blocks import EncoderBlock, FeedForward
from course_utils.layers.multihead import MultiHeadAttention

FULL = 0                                                                  # rounds of "full" attention: nothing is drawn


class Copier(nn.Module):
    """Ids -> logits, one causal layer. `rounds` of hashing, or FULL."""

    def __init__(
        self, length: int, n_symbols: int, rounds: int = FULL, n_buckets: int = 8, d_model: int = 64, n_heads: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_widths(length=length, n_symbols=n_symbols, n_buckets=n_buckets, d_model=d_model, n_heads=n_heads)
        self.hparams = dict(length=length, n_symbols=n_symbols, rounds=rounds, n_buckets=n_buckets, d_model=d_model,
                            n_heads=n_heads, seed=seed)  # fmt: skip
        self.words, self.places = nn.Embedding(n_symbols + 2, d_model), nn.Embedding(length, d_model)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=0.5)
        attention = MultiHeadAttention(d_model, n_heads, self.plug(rounds, seed))
        self.block = EncoderBlock(attention, FeedForward(d_model, 2 * d_model), "pre", 0.0)
        self.norm, self.output = nn.LayerNorm(d_model), nn.Linear(d_model, n_symbols + 2)

    def plug(self, rounds: int, seed: int) -> BucketAttention:
        """Full: one bucket, a window of the whole line. Else a word sees at most 2 N / n_buckets members of its own
        bucket before it, twice as many as a bucket has when all are alike."""
        set_ = self.hparams
        d_head, length = set_["d_model"] // set_["n_heads"], set_["length"]
        if rounds == FULL:
            return ClusterAttention(d_head, set_["n_heads"], 1, length, decay=1.0)
        return HashAttention(d_head, set_["n_buckets"], rounds, max(1, 2 * length // set_["n_buckets"]), seed=seed)

    def look_with(self, rounds: int, seed: int = 1) -> "Copier":
        """Change the attention of this very model, e.g. more rounds; directions are drawn anew. Returns self."""
        self.block.attention.plug = self.plug(rounds, seed).to(self.output.weight)
        return self

    def forward(self, ids: Tensor) -> Tensor:
        """(B, N) long -> (B, N, n_symbols + 2)."""
        x = self.words(ids) + self.places.weight[: ids.shape[1]]
        return self.output(self.norm(self.block(x, causal=True)[0]))


def copy_loss(model: Copier, batch: Sequences) -> Tensor:
    """Mean -log p of the second copy, in nats: an `objective` for `training.train`."""
    return F.cross_entropy(model(batch.source).flatten(0, 1), batch.answer.flatten(), ignore_index=0)


@torch.no_grad()
def copy_score(model: Copier, data: Sequences) -> float:
    """Share of the second copy's symbols foretold right; guessing gets 1 / n_symbols."""
    asked = data.answer != 0
    return float((model(data.source).argmax(-1) == data.answer)[asked].double().mean())
