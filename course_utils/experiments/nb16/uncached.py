"""A Transformer that keeps no keys and values: each new word reads the whole prefix again. Notebook 16.

It writes the same words, only more slowly: T steps read 1 + 2 + ... + T words instead of T. It keeps the contract of
seq2seq.py, so the course's decoders run it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.transformer import Transformer, TransformerMemory


class Prefix(NamedTuple):
    """What the decoder keeps: the words, and nothing that it has found out about them."""

    tokens: Tensor                                                        # (B, t) long


class WithoutCache(Seq2Seq):
    """The same weights as `model`, decoded the long way."""

    def __init__(self, model: Transformer) -> None:
        super().__init__(**model.hparams)
        self.model = model

    def encode(self, source: Tensor) -> TransformerMemory:
        return self.model.encode(source)

    def start(self, memory: TransformerMemory) -> Prefix:
        return Prefix(memory.mask.new_zeros((len(memory.mask), 0), dtype=torch.long))

    def step(self, token: Tensor, state: Prefix, memory: TransformerMemory) -> tuple[Tensor, Prefix, Tensor]:
        self.check_token(token)
        tokens = torch.cat([state.tokens, token.unsqueeze(1)], 1)         # (B, t + 1)
        logits, _, _, cross = self.model._decode(tokens, self.model.start(memory), memory, need_weights=True)
        return logits[:, -1], Prefix(tokens), cross[-1].mean(1)[:, -1]

    def forward(self, source: Tensor, target_in: Tensor, need_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        return self.model(source, target_in, need_weights)
