"""Exposure bias, measured: one wrong word is put into a translation, and the words after it are watched. Notebook 10.

Distance 0 is the word that follows the wrong one directly.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.corpora.pair import Pair
from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.decoding import device_of, evaluating
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import BEGIN, END, PAD, SPECIALS, Vocabulary

PLACE = 2  # the third word is replaced
REACH = 6  # so many words after it are watched


def after_a_mistake(
    model: Seq2Seq, pairs: Sequence[Pair], words: tuple[Vocabulary, Vocabulary], seed: int = 0
) -> dict[str, list[float]]:
    """Means over the pairs that are long enough, one per distance:

    `nll clean`, `nll mistake`: -log p of the right words, the right words before them but for the one mistake.
    `right clean`, `right mistake`: share of right words when the model goes on by itself (greedily) from there.
    """
    long = [pair for pair in pairs if len(pair.target) >= PLACE + 1 + REACH]
    if not long:
        raise ValueError(f"none of these {len(pairs)} pairs has {PLACE + 1 + REACH} target words: take longer ones.")
    batch = make_batch(long, *words).to(device_of(model))
    wrong = batch.target_in.clone()
    wrong[:, PLACE + 1] = other_words(batch.target_in[:, PLACE + 1], len(words[1]), seed)
    after = slice(PLACE + 1, PLACE + 1 + REACH)
    right = batch.target_out[:, after]  # (B, REACH)
    found = {}
    with evaluating(model):
        for name, target_in in (("clean", batch.target_in), ("mistake", wrong)):
            log_probs = model(batch.source, target_in)[:, after].log_softmax(-1)
            found[f"nll {name}"] = (-log_probs.gather(-1, right[..., None])[..., 0]).mean(0).tolist()
            own = goes_on(model, batch.source, target_in[:, : PLACE + 2], REACH)
            found[f"right {name}"] = (own == right).double().mean(0).tolist()
    return found


def other_words(ids: Tensor, size: int, seed: int) -> Tensor:
    """For each id (N,) another real word, all others alike likely."""
    drawn = torch.randint(len(SPECIALS), size - 1, ids.shape, generator=torch.Generator().manual_seed(seed))
    drawn = drawn.to(ids.device)
    return drawn + (drawn >= ids)


def goes_on(model: Seq2Seq, source: Tensor, target_in: Tensor, n: int) -> Tensor:
    """The `n` words (B, n) that the model writes after the given ones, (B, t), BEGIN first. After END: PAD."""
    memory = model.encode(source)
    state, said = model.start(memory), []
    for token in target_in.unbind(1):
        logits, state, _ = model.step(token, state, memory)
    ended = torch.zeros_like(source[:, 0], dtype=torch.bool)
    while True:
        logits = logits.clone()
        logits[:, [PAD, BEGIN]] = -torch.inf
        token = logits.argmax(-1).masked_fill(ended, PAD)  # (B,)
        said.append(token)
        if len(said) == n:
            return torch.stack(said, 1)
        ended = ended | (token == END)
        logits, state, _ = model.step(token, state, memory)
