"""One encoder for every plug: the model of the race of long tasks. Notebook 24.

Tay et al. 2021 (Long Range Arena) put one Transformer around each way to attend and left the rest alone; so do we, at a
size that trains on a laptop. Pre-norm blocks, learnt positions. An answer is read off the mean over the real places
(ListOps, pixels) or off every place (retrieval, and duplication, which is causal).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.table import make
from course_utils.checks import check_widths
from course_utils.corpora.long_tasks import Sequences
from course_utils.layers.blocks import EncoderBlock, FeedForward
from course_utils.layers.multihead import MultiHeadAttention


class LongRange(nn.Module):
    """Ids (B, N), 0 on pads behind -> logits (B, n_answers), or (B, N, n_answers) if `each` place is to answer.

    `plug` is a name in the table of plugs, `settings` change its settings there.
    """

    def __init__(
        self, n_tokens: int, n_answers: int, longest: int, plug: str = "scaled_dot",
        settings: dict[str, int] | None = None, each: bool = False, causal: bool = False, d_model: int = 64,
        n_heads: int = 4, n_layers: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        check_widths(n_tokens=n_tokens, n_answers=n_answers, longest=longest, n_layers=n_layers)
        self.hparams = dict(n_tokens=n_tokens, n_answers=n_answers, longest=longest, plug=plug, settings=settings,
                            each=each, causal=causal, d_model=d_model, n_heads=n_heads, n_layers=n_layers)  # fmt: skip
        self.each, self.causal = each, causal
        self.words, self.places = nn.Embedding(n_tokens, d_model), nn.Embedding(longest, d_model)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=0.5)
        self.blocks = nn.ModuleList(
            EncoderBlock(
                MultiHeadAttention(
                    d_model, n_heads, make(plug, d_model // n_heads, n_heads, longest, **settings or {})
                ),
                FeedForward(d_model, 2 * d_model), "pre", 0.0,
            )
            for _ in range(n_layers)
        )  # fmt: skip
        self.norm, self.output = nn.LayerNorm(d_model), nn.Linear(d_model, n_answers)

    def forward(self, ids: Tensor) -> Tensor:
        x, real = self.words(ids) + self.places.weight[: ids.shape[1]], ids != 0      # (B, N, D), (B, N)
        mask = None if bool(real.all()) else real
        for block in self.blocks:
            x, _ = block(x, mask, causal=self.causal)
        x = self.norm(x)
        if not self.each:
            x = (x * real.unsqueeze(-1)).sum(1) / real.sum(1, keepdim=True)           # (B, D)
        return self.output(x)


def answer_loss(model: LongRange, batch: Sequences) -> Tensor:
    """Mean -log p of what is asked, in nats: an `objective` for `training.train`."""
    nothing_asked = 0 if model.each else -100                             # a class may be 0
    return F.cross_entropy(model(batch.source).flatten(0, -2), batch.answer.flatten(), ignore_index=nothing_asked)


@torch.no_grad()
def answer_score(model: LongRange, data: Sequences, batch_size: int = 50) -> dict[str, float]:
    """Share of right answers and their mean -log p in nats."""
    right, loss, asked = 0, 0.0, 0
    for start in range(0, len(data), batch_size):
        batch = data.rows(list(range(start, min(start + batch_size, len(data)))))
        counted = batch.answer != 0 if model.each else torch.ones_like(batch.answer, dtype=torch.bool)
        logits, answer = model(batch.source)[counted], batch.answer[counted]
        right += int((logits.argmax(-1) == answer).sum())
        loss += float(F.cross_entropy(logits, answer, reduction="sum"))
        asked += len(answer)
    return {"accuracy": right / asked, "loss": loss / asked}
