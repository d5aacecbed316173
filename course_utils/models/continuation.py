"""A language model that goes on with a text, seen through the sequence-to-sequence contract. Notebook 10.

The source is the text so far, the target what follows. So greedy decoding, beams and sampling, which know the contract
and nothing else, write with a language model too.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.layers.recurrent import RecurrentState
from course_utils.models.language_model import CharLanguageModel
from course_utils.seq2seq.contract import check_ids
from course_utils.text.vocabulary import BEGIN, PAD, SPECIALS


class Prompt(NamedTuple):
    """What has been read."""

    last: Tensor  # (B,) long, its last symbol
    state: RecurrentState | None  # after all symbols before that one; None if there is none


class Reading(NamedTuple):
    """The language model between two symbols. Two steps from None are never taken: the first leaves a state."""

    recurrent: RecurrentState | None


class Continuation(nn.Module):
    """`model` as a translator from a text to its continuation. It has no END: only the cap stops it."""

    def __init__(self, model: CharLanguageModel) -> None:
        super().__init__()
        size = model.hparams["vocabulary_size"]
        self.model, self.hparams = model, dict(source_size=size, target_size=size)

    def encode(self, source: Tensor) -> Prompt:
        """source (B, S): prompts of one length, for a language model has no pads."""
        check_ids("source", source, 2, self.hparams["source_size"])
        if bool((source == PAD).any()):
            raise ValueError(f"a prompt with PAD ({PAD}): give prompts of one length, or one at a time.")
        state = self.model(source[:, :-1])[1] if source.shape[1] > 1 else None
        return Prompt(source[:, -1], state)

    def start(self, memory: Prompt) -> Reading:
        return Reading(memory.state)

    def step(self, token: Tensor, state: Reading, memory: Prompt) -> tuple[Tensor, Reading, None]:
        """For BEGIN the model reads the prompt's last symbol."""
        token = torch.where(token == BEGIN, memory.last, token)
        logits, recurrent = self.model(token[:, None], state.recurrent)
        return _without_specials(logits[:, 0]), Reading(recurrent), None

    def forward(self, source: Tensor, target_in: Tensor, need_weights: bool = False) -> Tensor | tuple[Tensor, None]:
        memory = self.encode(source)
        read = torch.cat([memory.last[:, None], target_in[:, 1:]], 1)
        logits = _without_specials(self.model(read, memory.state)[0])  # (B, T, V)
        return (logits, None) if need_weights else logits


def _without_specials(logits: Tensor) -> Tensor:
    return logits.index_fill(-1, torch.arange(len(SPECIALS), device=logits.device), -math.inf)
