"""From a trained model to sentences: greedy decoding, for every model that keeps the sequence-to-sequence contract.

Taught in notebook 06. Beam search and sampling (notebook 10) stand on the same three calls, `encode`, `start`, `step`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.seq2seq.contract import Seq2Seq, check_ids
from course_utils.text.masks import padding_mask
from course_utils.text.vocabulary import BEGIN, END, PAD, Vocabulary, tokenise


class Decoded(NamedTuple):
    """What a decoder wrote. T is the longest output of the batch."""

    tokens: Tensor  # (B, T) long, up to and including END; after it PAD
    ended: Tensor  # (B,) bool, False where the cap cut the sentence short
    attention: Tensor | None  # (B, T, S), zero after END; None for a model without attention
    log_prob: Tensor  # (B,) of the whole output, END included


@contextmanager
def keeping_modes(model: nn.Module) -> Iterator[None]:
    """Whatever the block does: afterwards every part of the model is in the mode (training or not) it was in."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside the block; afterwards every part is in the mode it was in."""
    with keeping_modes(model), torch.no_grad():
        model.eval()
        yield


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights lie."""
    weight = next(model.parameters(), None)
    return torch.device("cpu") if weight is None else weight.device


def length_cap(source: Tensor) -> Tensor:
    """(B, S) -> (B,) the default cap, 2 × source words + 10. A row's cap does not depend on its neighbours."""
    return 2 * padding_mask(source).sum(1) + 10


def greedy(model: Seq2Seq, source: Tensor, max_length: int | None = None) -> Decoded:
    """Take the most probable word at each step, until every sentence has said END or reached its cap.

    source (B, S) long, PAD-padded. `max_length` caps the tokens, END included; default `length_cap(source)`. PAD and
    BEGIN are never chosen. The mode of the model is restored.
    """
    return write(model, source, lambda log_probs: log_probs.argmax(-1), max_length)


def write(
    model: Seq2Seq, source: Tensor, choose: Callable[[Tensor], Tensor], max_length: int | None = None
) -> Decoded:
    """Write word by word: `choose` takes log p of the next word, (B, V), PAD and BEGIN at -inf, to a word of every
    row, (B,). `log_prob` is the model's own, whatever is chosen. Otherwise as `greedy`, which chooses the largest."""
    if max_length is not None and max_length < 1:
        raise ValueError(f"max_length={max_length}: at least one token must be allowed.")
    check_ids("source", source, 2, torch.iinfo(torch.long).max)
    caps = length_cap(source) if max_length is None else torch.full((len(source),), max_length, device=source.device)
    tokens, attentions = [], []
    with evaluating(model):
        memory = model.encode(source)
        state = model.start(memory)
        token = torch.full_like(source[:, 0], BEGIN)  # (B,)
        running, ended = torch.ones_like(token, dtype=torch.bool), torch.zeros_like(token, dtype=torch.bool)
        log_prob = 0.0
        while running.any():
            logits, state, attention = model.step(token, state, memory)  # (B, V), …, (B, S) | None
            log_probs = logits.log_softmax(-1)
            choosable = log_probs.clone()
            choosable[:, [PAD, BEGIN]] = -torch.inf
            token = choose(choosable).masked_fill(~running, PAD)  # (B,)
            log_prob = log_prob + log_probs.gather(1, token[:, None])[:, 0].masked_fill(~running, 0.0)
            tokens.append(token)
            if attention is not None:
                attentions.append(attention.masked_fill(~running[:, None], 0.0))
            ended = ended | (token == END)
            running = running & ~ended & (len(tokens) < caps)
    stacked = torch.stack(attentions, 1) if attentions else None  # (B, T, S)
    return Decoded(torch.stack(tokens, 1), ended, stacked, log_prob)


def translate(
    model: Seq2Seq,
    sentences: Sequence[str | Sequence[str]],
    source_vocab: Vocabulary,
    target_vocab: Vocabulary,
    *,
    batch_size: int = 256,
    max_length: int | None = None,
) -> list[tuple[str, ...]]:
    """Translate sentences, plain strings or tokens, greedily; the answers come in the order of the questions.

    Words outside the vocabulary reach the model as `<unk>`; ask `source_vocab.unknown(tokens)` to tell a student.
    """
    if isinstance(sentences, str):
        raise TypeError(f"translate needs a list of sentences, not one string; use [{sentences[:30]!r}].")
    encoded = []
    for number, sentence in enumerate(sentences):
        tokens = tokenise(sentence) if isinstance(sentence, str) else sentence
        if not tokens:
            raise ValueError(f"sentence {number} is empty; there is nothing to translate.")
        encoded.append(source_vocab.encode(tokens))
    answers: list[tuple[str, ...]] = [()] * len(encoded)
    by_length = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))  # little padding
    for start in range(0, len(by_length), batch_size):
        rows = by_length[start : start + batch_size]
        width = len(encoded[rows[-1]])
        source = torch.tensor([encoded[i] + [PAD] * (width - len(encoded[i])) for i in rows], device=device_of(model))
        for i, ids in zip(rows, greedy(model, source, max_length).tokens, strict=True):
            answers[i] = target_vocab.decode(ids)
    return answers
