"""word2vec in one call: count the words, cut the windows, train with the course's loop, hand over the vectors.

Taught in notebook 01. The models, the loss and the batches stand in course_utils/models/embeddings.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from course_utils.corpora.vectors import WordVectors
from course_utils.models.embeddings import (
    CBOW,
    KINDS,
    SkipGram,
    WindowBatch,
    WindowBatches,
    count_words,
    negative_sampling_loss,
    word_vectors,
)
from course_utils.training import History, train


def negative_sampling(k: float) -> Callable[[SkipGram | CBOW, WindowBatch], Tensor]:
    """The `objective` for `train`: equation 4 of Mikolov 2013b with `k` noise words a pair."""

    def objective(model: SkipGram | CBOW, batch: WindowBatch) -> Tensor:
        positive, negative, mask = model(batch)
        return negative_sampling_loss(positive, negative, k, mask)

    return objective


def build_word2vec(
    sentences: Iterable[Sequence[str]],
    *,
    kind: str = "skip-gram",
    d: int = 64,
    window: int = 5,
    min_count: int = 5,
    subsample: float | None = 1e-3,
    batch_size: int = 1024,
    noise: int = 256,
    seed: int = 0,
) -> tuple[tuple[str, ...], Tensor, SkipGram | CBOW, WindowBatches]:
    """(words, their counts, the untrained model, its batches): what `train_word2vec` trains; arguments as there."""
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r}: use {' or '.join(map(repr, KINDS))}.")
    sentences = list(sentences)
    words, counts = count_words(sentences, min_count)
    batches = WindowBatches(
        sentences, words, counts, window=window, subsample=subsample, batch_size=batch_size, noise=noise, seed=seed
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = (SkipGram if kind == "skip-gram" else CBOW)(len(words), d)
    return words, counts, model, batches


def train_word2vec(
    sentences: Iterable[Sequence[str]],
    *,
    negatives: int = 5,
    epochs: float = 6,
    steps: int | None = None,
    lr: float = 2e-2,
    seed: int = 0,
    progress: bool = True,
    max_seconds: float | None = None,
    checkpoint: str | None = None,
    **settings,
) -> WordVectors:
    """Train word vectors on sentences (tuples of words) and return the input vectors, the output vectors beside them.

    On the 430,000 words of Wikipedia the settings given here take about 10 CPU s. Arguments:
        negatives: k of equation 4, the noise words a pair.
        epochs: how often the text is read, about (frequent words are thinned out at random); or `steps` updates.
        lr, seed, progress, max_seconds, checkpoint: as in `course_utils.training.train`.

    And those of `build_word2vec`:
        kind: "skip-gram" (a word predicts its neighbours) or "cbow" (the mean of its neighbours predicts the word).
        d: numbers a vector. window: the widest window, on each side.
        min_count: rarer words are left out. subsample: t of equation 5, or None.
        batch_size: centres an update. noise: noise words drawn an update and shared by its centres;
            too few of them for so many centres (64 for 1024) and rare words learn badly.
    """
    if negatives < 1:
        raise ValueError(f"negatives={negatives}: without noise words all vectors would become one; use 1 or more.")
    words, counts, model, batches = build_word2vec(sentences, seed=seed, **settings)
    steps = updates(batches, epochs) if steps is None else steps
    history = fit_word2vec(
        model, batches, steps=steps, lr=lr, seed=seed, negatives=negatives, progress=progress, max_seconds=max_seconds,
        checkpoint=checkpoint,
    )  # fmt: skip
    return word_vectors(words, counts, model, history)


def updates(batches: WindowBatches, epochs: float) -> int:
    """How many batches are about `epochs` readings of the text."""
    return max(1, round(epochs * len(batches)))


def fit_word2vec(
    model: SkipGram | CBOW, batches: WindowBatches, *, steps: int, lr: float, negatives: int = 5, **training
) -> History:
    """`train` with this loss, without weight decay (a rare word's vector would shrink while it waits) and clipping."""
    training = dict(warmup=min(20, steps), clip=None, weight_decay=0.0) | training
    return train(model, batches, steps=steps, lr=lr, objective=negative_sampling(negatives), **training)
