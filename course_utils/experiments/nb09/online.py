"""Translating while the sentence is still being heard. Notebook 09.

Monotonic attention looks at no word right of its stop. That makes a translator online only if nothing else has seen
those words: the course's encoder reads in both directions, and its decoder starts from the final state.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.layers.recurrent import Recurrent, RecurrentState
from course_utils.seq2seq.attentive import AttentiveMemory, AttentiveSeq2Seq
from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.decoding import device_of, evaluating
from course_utils.text.vocabulary import BEGIN, END, PAD, Vocabulary


class OneWaySeq2Seq(AttentiveSeq2Seq):
    """AttentiveSeq2Seq whose encoder reads from left to right only and whose decoder starts from zeros, so that no
    state has seen a word to its right. A GRU, without input feeding."""

    def __init__(self, source_size: int, target_size: int, *, d_embedding: int, d_hidden: int, **others) -> None:
        super().__init__(source_size, target_size, d_embedding=d_embedding, d_hidden=d_hidden, **others)
        self.encoder = Recurrent("gru", d_embedding, d_hidden)

    def encode(self, source: Tensor) -> AttentiveMemory:
        mask = self.check_source(source)
        annotations, final = self.encoder(self.dropout(self.source_embedding(source)), lengths=mask.sum(1))
        return AttentiveMemory(annotations, mask, RecurrentState(torch.zeros_like(final.hidden)))


def said_so_far(
    model: Seq2Seq, words: Sequence[str], source_vocab: Vocabulary, target_vocab: Vocabulary
) -> list[list[str]]:
    """What the model has written after hearing the first 1, 2, ... words of a sentence. It waits where its attention
    finds nothing among the words heard so far (a row of zeros); with the last word it waits no longer.

    Online means: every entry begins with the one before it.
    """
    if not words:
        raise ValueError("an empty sentence: give at least one word")
    ids, found = torch.tensor([source_vocab.encode(words)], device=device_of(model)), []
    with evaluating(model):
        for n in range(1, len(words) + 1):
            memory = model.encode(ids[:, :n])
            state, token, said = model.start(memory), ids.new_full((1,), BEGIN), []
            while len(said) < 2 * len(words) + 10:
                logits, state, weights = model.step(token, state, memory)
                if n < len(words) and not weights.any():
                    break
                logits[:, [PAD, BEGIN]] = -torch.inf
                token = logits.argmax(-1)
                if int(token) == END:
                    break
                said.append(target_vocab.words[int(token)])
            found.append(said)
    return found
