"""What a language model writes when it is searched, and when it is drawn from. Notebook 10, section 5."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from course_utils.models.continuation import Continuation
from course_utils.seq2seq.decoding import Decoded, evaluating
from course_utils.text.vocabulary import BEGIN, Vocabulary


class Written(NamedTuple):
    """Means over the texts."""

    perplexity: float  # per symbol, under the model itself
    repeated: float  # share of the word 4-grams of a text that stood in it before
    variety: float  # different words per word
    texts: tuple[str, ...]


def written(writer: Continuation, prompts: Tensor, words: Vocabulary, how: Callable[..., Decoded]) -> Written:
    """Texts made by `how(writer, prompts)`: greedy, a beam's best, a sample."""
    made = how(writer, prompts)
    n = made.tokens.shape[1]
    texts = tuple("".join(words.words[i] for i in row) for row in made.tokens.tolist())
    return _described(float(made.log_prob.double().mean()) / n, texts)


def people(writer: Continuation, ids: Tensor, words: Vocabulary, prompt: int, n: int, texts: int) -> Written:
    """Pieces of a text `ids` by people, judged by the model in the same way: `prompt` symbols read, n judged."""
    starts = torch.linspace(0, len(ids) - prompt - n, texts).long().tolist()
    rows = torch.stack([ids[start : start + prompt + n] for start in starts])
    source, target = rows[:, :prompt], rows[:, prompt:]
    target_in = torch.cat([torch.full((texts, 1), BEGIN), target[:, :-1]], 1)
    with evaluating(writer):
        log_probs = writer(source, target_in).log_softmax(-1).gather(-1, target[..., None])
    texts_ = tuple("".join(words.words[i] for i in row) for row in target.tolist())
    return _described(float(log_probs.double().mean()), texts_)


def _described(mean_log_prob: float, texts: Sequence[str]) -> Written:
    many = len(texts)
    return Written(math.exp(-mean_log_prob), sum(map(repeated, texts)) / many, sum(map(variety, texts)) / many, texts)


def repeated(text: str, n: int = 4) -> float:
    """Share of the word n-grams that have stood in the text before; 0 for a text of fewer than n words."""
    parts = text.split()
    grams = [tuple(parts[i : i + n]) for i in range(len(parts) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def variety(text: str) -> float:
    """Different words per word."""
    parts = text.split()
    return len(set(parts)) / len(parts) if parts else 0.0
