"""Word vectors by prediction: skip-gram and continuous bag of words with negative sampling, and their batches.

Taught in notebook 01. Mikolov et al. 2013a (arXiv:1301.3781) is the two models, 2013b (NeurIPS: "Distributed
Representations of Words and Phrases and their Compositionality") negative sampling, its equation 4, and subsampling,
its equation 5. Every word has two vectors: v, the *input* vector, and v', the *output* vector. `train_word2vec` in
course_utils/models/word2vec.py puts all together.

Two things differ from the paper and save most of the time. The noise words are drawn once a batch and shared by all
its words, instead of k new ones for every pair, and the sum over them is weighted so that its expectation is that of
equation 4: far more noise words are seen by each pair, but the same ones by all pairs of a batch. And a noise word may
happen to be the right word (the C code draws again): that is what the expectation in equation 4 says.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.corpora.vectors import WordVectors

KINDS = ("skip-gram", "cbow")
BLOCK = 16  # centres that are scored together


def count_words(sentences: Iterable[Sequence[str]], min_count: int = 1) -> tuple[tuple[str, ...], Tensor]:
    """(words, counts (V,) long): those seen `min_count` times or more, most frequent first, then by the alphabet."""
    counts: Counter[str] = Counter()
    for sentence in sentences:
        if isinstance(sentence, str):
            raise TypeError(f"a sentence is a tuple of words, not the string {sentence[:30]!r}; use tokenise first.")
        counts.update(sentence)
    words = tuple(sorted((w for w, n in counts.items() if n >= min_count), key=lambda w: (-counts[w], w)))
    if len(words) < 2:
        raise ValueError(f"{len(words)} words appear {min_count} times or more; give more text or a lower min_count.")
    return words, torch.tensor([counts[w] for w in words])


def noise_distribution(counts: Tensor, power: float = 0.75) -> Tensor:
    """(V,) float64: count^power, made to sum to 1. power 1 is the words' own frequency, 0 the uniform distribution;
    3/4 was best in Mikolov 2013b and makes rare words a little likelier."""
    weights = counts.double() ** power
    if counts.ndim != 1 or not bool((counts >= 0).all()) or weights.sum() <= 0:
        raise ValueError("counts must be a row of numbers that are not negative, at least one of them positive.")
    return weights / weights.sum()


def keep_probability(counts: Tensor, t: float | None = 1e-3) -> Tensor:
    """(V,) float64: the chance that a word stays when frequent words are thinned out; t None keeps all.

    Mikolov 2013b, equation 5, discards with probability 1 - sqrt(t/f), f the share of the word in the text, so
    min(1, sqrt(t/f)) stays. The C code of word2vec (and gensim) keeps sqrt(t/f) + t/f, a little more.
    """
    if t is None:
        return torch.ones(len(counts), dtype=torch.float64)
    if t <= 0:
        raise ValueError(f"t={t}: the threshold is a share of the text such as 1e-3, or None to keep every word.")
    return (t * counts.sum() / counts.double()).sqrt().clamp(max=1.0)


def negative_sampling_loss(positive: Tensor, negative: Tensor, k: float, mask: Tensor | None = None) -> Tensor:
    """Mikolov 2013b, equation 4, with its sign changed, averaged over the pairs -> ().

    positive (B, C): scores v'_o . v of the pairs, those that exist where `mask` (B, C) is True. negative (B, K):
    scores of each row with K noise words. Every pair of a row counts `k` noise words, estimated from all K:
    -log s(positive) - k/K sum log s(-negative). With K = k this is equation 4 to the letter.
    """
    if mask is None:
        mask = torch.ones_like(positive, dtype=torch.bool)
    pairs = mask.sum(1).to(positive.dtype)  # (B,)
    right = (F.softplus(-positive) * mask).sum()  # softplus(-x) = -log s(x)
    noise = (F.softplus(negative).sum(1) * pairs).sum() * (k / negative.shape[1])
    return (right + noise) / pairs.sum()


class _TwoVectors(nn.Module):
    """An input and an output vector for each of V words; the first start small and random, the second at 0."""

    def __init__(self, n_words: int, d: int = 64):
        super().__init__()
        if n_words < 2 or d < 1:
            raise ValueError(f"n_words={n_words}, d={d}: use 2 words or more, of 1 number or more.")
        self.hparams = dict(n_words=n_words, d=d)
        self.input, self.output = nn.Embedding(n_words, d), nn.Embedding(n_words, d)
        nn.init.uniform_(self.input.weight, -0.5 / d, 0.5 / d)
        nn.init.zeros_(self.output.weight)


class SkipGram(_TwoVectors):
    """A word predicts each word around it: input vector of the centre, output vectors of the others."""

    def forward(self, batch: WindowBatch) -> tuple[Tensor, Tensor, Tensor]:
        """(positive (B, C), negative (B, K), mask (B, C)), what `negative_sampling_loss` asks for."""
        v = self.input(batch.centres)  # (B, d)
        if batch.stretch is not None:
            return *self._in_blocks(v, batch), batch.mask
        positive = torch.einsum("bd,bcd->bc", v, self.output(batch.contexts))  # (B, C)
        return positive, v @ self.output(batch.negatives).T, batch.mask

    def _in_blocks(self, v: Tensor, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """The same scores, twice as fast: 16 centres in a row share most of their neighbours, so the vectors
        of a block are fetched once, all its dot products are one matrix product, and the band in it is kept."""
        B, C = batch.mask.shape
        n = -(-B // BLOCK)
        stretch = F.pad(batch.stretch, (0, n * BLOCK - B)).unfold(0, BLOCK + C, BLOCK)  # (n, BLOCK + C) ids
        rows = self.output(torch.cat([stretch.flatten(), batch.negatives]))
        around, noise = rows[: stretch.numel()].view(n, BLOCK + C, -1), rows[stretch.numel() :]
        centres = F.pad(v, (0, 0, 0, n * BLOCK - B)).view(n, BLOCK, -1)
        scores = centres @ around.transpose(1, 2)  # (n, BLOCK, BLOCK + C)
        offsets = torch.arange(C, device=v.device)
        band = torch.arange(BLOCK, device=v.device).unsqueeze(1) + offsets + (offsets >= C // 2)  # without the centre
        positive = scores.gather(2, band.expand(n, -1, -1)).flatten(0, 1)[:B]  # (B, C)
        return positive, v @ noise.T


class CBOW(_TwoVectors):
    """The words around predict the word: the mean of their input vectors, output vector of the centre."""

    def forward(self, batch: WindowBatch) -> tuple[Tensor, Tensor, Tensor]:
        """(positive (B, 1), negative (B, K), mask (B, 1)), what `negative_sampling_loss` asks for."""
        vectors = self.input(batch.contexts)  # (B, C, d)
        weights = batch.mask.to(vectors.dtype)
        h = torch.einsum("bc,bcd->bd", weights / weights.sum(1, keepdim=True), vectors)  # (B, d)
        positive = (h * self.output(batch.centres)).sum(1, keepdim=True)  # (B, 1)
        return positive, h @ self.output(batch.negatives).T, batch.mask.any(1, keepdim=True)


@dataclass
class WindowBatch:
    """B words with the words around each, and K noise words that all share."""

    centres: Tensor  # (B,) long
    contexts: Tensor  # (B, C) long; where mask is False: 0, and without meaning
    mask: Tensor  # (B, C) bool
    negatives: Tensor  # (K,) long
    index: list[int]  # [number of the batch in its epoch]
    stretch: Tensor | None = None  # (C/2 + B + C/2,) long: the centres stand in it in a row, with what is around them

    @property
    def n_tokens(self) -> int:
        """Pairs of a word and a word in its window."""
        return int(self.mask.sum())

    def to(self, device: torch.device | str) -> WindowBatch:
        tensors = (self.centres, self.contexts, self.mask, self.negatives)
        stretch = None if self.stretch is None else self.stretch.to(device)
        return WindowBatch(*(x.to(device) for x in tensors), self.index, stretch)

    def __len__(self) -> int:
        return len(self.centres)


class WindowBatches:
    """Every word of the text as a centre once an epoch, in an order that depends on `seed` alone and can be resumed.

    An epoch shuffles the sentences, thins out frequent words (`keep_probability`; distances count what is left),
    draws for every centre its own window of 1 to `window` words on each side, as the paper does (near words so count
    more), and its noise words. Windows end where the sentence ends. Words outside `words` are left out first.
    """

    def __init__(
        self,
        sentences: Iterable[Sequence[str]],
        words: Sequence[str],
        counts: Tensor,
        *,
        window: int = 5,
        subsample: float | None = 1e-3,
        batch_size: int = 1024,
        noise: int = 256,
        power: float = 0.75,
        seed: int = 0,
    ):
        if window < 1 or batch_size < 1 or noise < 1:
            raise ValueError(f"window={window}, batch_size={batch_size}, noise={noise}: each must be 1 or more.")
        self.window, self.batch_size, self.noise, self.seed = window, batch_size, noise, seed
        rows = {word: row for row, word in enumerate(words)}
        encoded = [[rows[w] for w in sentence if w in rows] for sentence in sentences]
        self._ids = torch.tensor([row for sentence in encoded for row in sentence], dtype=torch.long)  # (N,)
        self._lengths = torch.tensor([len(sentence) for sentence in encoded if sentence], dtype=torch.long)
        if not len(self._lengths) or int(self._lengths.max()) < 2:
            raise ValueError("no sentence has two known words, so there is nothing to predict; give longer sentences.")
        self._keep = keep_probability(counts, subsample).float()
        self._cumulative = noise_distribution(counts, power).cumsum(0)
        self._epoch_start = torch.Generator().manual_seed(seed).get_state()
        self._position = 0

    def __len__(self) -> int:
        """Batches in one epoch, about: thinning out is random."""
        return max(1, round(float(self._keep[self._ids].sum()) / self.batch_size))

    def forever(self) -> Iterator[WindowBatch]:
        """Batches without end, from where this object stands (see `state_dict`)."""
        while True:
            batches, next_epoch = self._epoch()
            while self._position < len(batches):
                start, self._position = self._position, self._position + 1  # before the yield, so that it can be saved
                yield batches[start]
            self._epoch_start, self._position = next_epoch, 0

    def state_dict(self) -> dict:
        """Where `forever()` stands: with the same text it continues with the very next batch."""
        return {
            "data": self._fingerprint(),
            "batch_size": self.batch_size,
            "epoch_start": self._epoch_start,
            "position": self._position,
        }

    def load_state_dict(self, state: dict) -> None:
        if state["data"] != self._fingerprint() or state["batch_size"] != self.batch_size:
            raise ValueError("the saved order belongs to other text or settings; build WindowBatches from the same.")
        self._epoch_start, self._position = state["epoch_start"], state["position"]

    def _epoch(self) -> tuple[_Epoch, Tensor]:
        generator = torch.Generator()
        generator.set_state(self._epoch_start)
        order = torch.randperm(len(self._lengths), generator=generator)
        starts = (self._lengths.cumsum(0) - self._lengths)[order]
        lengths = self._lengths[order]
        ends = lengths.cumsum(0)
        within = torch.arange(len(self._ids)) - (ends - lengths).repeat_interleave(lengths)
        ids = self._ids[starts.repeat_interleave(lengths) + within]  # (N,), sentences in their new order
        sentence = torch.arange(len(lengths)).repeat_interleave(lengths)
        kept = torch.rand(len(ids), generator=generator) < self._keep[ids]
        kept &= torch.bincount(sentence[kept], minlength=len(lengths))[sentence] > 1  # alone in its sentence: no pair
        ids, sentence = ids[kept], sentence[kept]
        if not len(ids):
            raise ValueError("thinning out left no two words in any sentence; raise subsample, or use None.")
        reach = torch.randint(1, self.window + 1, (len(ids),), generator=generator)
        n = -(-len(ids) // self.batch_size)
        draws = torch.rand(n, self.noise, generator=generator, dtype=torch.float64)
        noise = torch.searchsorted(self._cumulative, draws).clamp(max=len(self._cumulative) - 1)
        return _Epoch(ids, sentence, reach, noise, self.window, self.batch_size), generator.get_state()

    def _fingerprint(self) -> str:
        content = (self._ids.tolist(), self._lengths.tolist(), self.window, self.noise, self._keep.tolist())
        return hashlib.sha256(repr((content, self._cumulative.tolist())).encode()).hexdigest()[:12]


@dataclass
class _Epoch:
    """The words of one epoch in a row; a batch is cut out when it is asked for."""

    ids: Tensor  # (N,)
    sentence: Tensor  # (N,) which sentence a word belongs to
    reach: Tensor  # (N,) its window
    noise: Tensor  # (batches, K)
    window: int
    batch_size: int

    def __len__(self) -> int:
        return len(self.noise)

    def __getitem__(self, number: int) -> WindowBatch:
        here = torch.arange(number * self.batch_size, min((number + 1) * self.batch_size, len(self.ids)))  # (B,)
        steps = torch.cat([torch.arange(-self.window, 0), torch.arange(1, self.window + 1)])  # (C,)
        there = here.unsqueeze(1) + steps  # (B, C)
        last = len(self.ids) - 1
        inside = there.clamp(0, last)
        mask = (there == inside) & (self.sentence[inside] == self.sentence[here].unsqueeze(1))
        mask &= steps.abs() <= self.reach[here].unsqueeze(1)
        stretch = self.ids[torch.arange(int(here[0]) - self.window, int(here[-1]) + self.window + 1).clamp(0, last)]
        return WindowBatch(self.ids[here], self.ids[inside] * mask, mask, self.noise[number], [number], stretch)


def word_vectors(words: Sequence[str], counts: Tensor, model: SkipGram | CBOW, history=None) -> WordVectors:
    """The vectors of a trained model with their words: input vectors in `vectors`, output vectors beside."""
    tables = (table.weight.detach().cpu().clone() for table in (model.input, model.output))
    return WordVectors(words, *tables, counts=counts, history=history)
