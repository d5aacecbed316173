"""The sequence-to-sequence contract: what every translator of the course offers. Notebooks 06, 07, 10, 12 and 16.

    encode(source (B, S)) -> memory                          everything the decoder may know of the source
    start(memory) -> state                                   the decoder before its first word
    step(token (B,), state, memory) -> logits (B, V), state, attention (B, S) | None
    forward(source, target_in (B, T), need_weights=False)    teacher forcing, one call:
        -> logits (B, T, V), or (logits, attention (B, T, S) | None)

`source` holds ids padded with PAD at the end; masks are derived from it. The first token is BEGIN; logits at place i
are for the word after target_in[:, i]. Memory and state are NamedTuples of tensors with the batch first (None and
nesting allowed), so that `take_rows` reorders them for any model: that is all a beam search needs. One training loop,
one decoder, one set of scores and proofs serve every model that keeps this.
"""

from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks import check_widths
from course_utils.text.masks import padding_mask
from course_utils.text.vocabulary import PAD


class Seq2Seq(nn.Module):
    """Base class: keeps `hparams` (the constructor's arguments, plain data) and checks inputs at the door."""

    def __init__(self, **hparams: Any) -> None:
        super().__init__()
        self.hparams = hparams
        check_widths(source_size=hparams["source_size"], target_size=hparams["target_size"])
        if not 0.0 <= hparams.get("dropout", 0.0) < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {hparams['dropout']}")

    def encode(self, source: Tensor) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define encode(source)")

    def start(self, memory: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define start(memory)")

    def step(self, token: Tensor, state: Any, memory: Any) -> tuple[Tensor, Any, Tensor | None]:
        raise NotImplementedError(f"{type(self).__name__} must define step(token, state, memory)")

    def forward(self, source: Tensor, target_in: Tensor, need_weights: bool = False) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define forward(source, target_in, need_weights)")

    def check_source(self, source: Tensor) -> Tensor:
        """Refuse a malformed source; its padding mask (B, S)."""
        check_ids("source", source, 2, self.hparams["source_size"])
        mask = padding_mask(source)
        if not bool(mask[:, 0].all()):
            row = int((~mask[:, 0]).nonzero()[0])
            raise ValueError(
                f"source row {row} begins with PAD ({PAD}): a sentence needs at least one token and its pads come last"
            )
        if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            row = int((mask[:, 1:] & ~mask[:, :-1]).any(1).nonzero()[0])
            raise ValueError(f"source row {row} has a token after a PAD ({PAD}): pad at the end only")
        return mask

    def check_target(self, source: Tensor, target_in: Tensor) -> None:
        """Refuse a malformed `target_in` (B, T), or one for another batch."""
        check_ids("target_in", target_in, 2, self.hparams["target_size"])
        if len(target_in) != len(source):
            raise ValueError(f"{len(source)} source rows but {len(target_in)} target rows: they go in pairs")

    def check_token(self, token: Tensor) -> None:
        """Refuse a malformed `token` (B,)."""
        check_ids("token", token, 1, self.hparams["target_size"])


def check_ids(name: str, ids: Tensor, ndim: int, size: int) -> None:
    """Refuse what is not a non-empty long tensor of `ndim` dimensions with ids in [0, size)."""
    shape = "(batch, length)" if ndim == 2 else "(batch,)"
    if not isinstance(ids, Tensor) or ids.dtype != torch.long:
        got = ids.dtype if isinstance(ids, Tensor) else type(ids).__name__
        raise TypeError(f"{name} must be a tensor of token ids (torch.long), got {got}: use make_batch, or .long()")
    if ids.ndim != ndim:
        raise ValueError(f"{name} must have shape {shape}, got {tuple(ids.shape)}: use unsqueeze(0) for one sentence")
    if ids.numel() == 0:
        raise ValueError(f"{name} is empty, shape {tuple(ids.shape)}: give at least one row and one token")
    low, high = (int(x) for x in ids.aminmax())
    if low < 0 or high >= size:
        bad = low if low < 0 else high
        raise ValueError(f"{name} holds the id {bad}, this vocabulary has 0..{size - 1}: was another one used?")


def embedding(size: int, width: int) -> nn.Embedding:
    """Word vectors from N(0, 0.25²); PAD's is zero and stays so.

    torch's N(0, 1) slowed the attentive decoder down, N(0, 1/width) the fixed context: this served both.
    """
    check_widths(size=size, d_embedding=width)
    table = nn.Embedding(size, width, padding_idx=PAD)
    nn.init.normal_(table.weight, std=0.25)
    table.weight.data[PAD] = 0.0
    return table


def take_rows(tree: Any, rows: Tensor) -> Any:
    """Rows of a memory or a state, reordered or repeated: `rows` (N,) long, or (B,) bool to keep some.

    Walks through NamedTuples, tuples, lists and dicts of tensors with the batch first; None stays None.
    """
    if tree is None:
        return None
    if isinstance(tree, Tensor):
        return tree[rows]
    if isinstance(tree, dict):
        return {name: take_rows(part, rows) for name, part in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(take_rows(part, rows) for part in tree))
    if isinstance(tree, tuple | list):
        return type(tree)(take_rows(part, rows) for part in tree)
    raise TypeError(f"memory and state hold tensors, tuples, lists, dicts and None; got {type(tree).__name__}")
