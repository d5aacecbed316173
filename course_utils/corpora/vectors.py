"""Words with a vector each, and what can be asked of them: neighbours, analogies, agreement with people and labels.

Taught in notebook 01. Where the vectors come from does not matter here: `course_utils.models.word2vec` trains them,
`course_utils.corpora.pretrained` reads them from a package. Similarity is the cosine throughout.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Found = list[tuple[str, float]]  # words with their cosines, best first


@dataclass(eq=False)
class WordVectors:
    """`vectors` (V, d): row i belongs to `words[i]`, the most frequent word first where counts are known.

    After word2vec `vectors` are the *input* vectors, the ones everybody uses; `output_vectors` (V, d), kept beside
    them, are those that stood in the softmax's place. `history` is that of the training.
    """

    words: Sequence[str]
    vectors: Tensor
    output_vectors: Tensor | None = None
    counts: Tensor | None = None  # (V,) long
    history: Any = None

    def __post_init__(self) -> None:
        self.words, self.vectors = tuple(self.words), torch.as_tensor(self.vectors)
        if self.vectors.ndim != 2 or len(self.words) != self.vectors.shape[0]:
            raise ValueError(f"{len(self.words)} words need as many rows, not vectors of {tuple(self.vectors.shape)}.")
        self._rows = {word: row for row, word in enumerate(self.words)}
        if len(self._rows) != len(self.words):
            raise ValueError("a word stands twice in the list; each may have one vector only.")

    @cached_property
    def unit(self) -> Tensor:
        """(V, d), every row of length 1: a dot product is then the cosine."""
        return F.normalize(self.vectors, dim=-1)

    def outputs(self) -> WordVectors:
        """The output vectors as WordVectors of their own, to compare."""
        if self.output_vectors is None:
            raise ValueError("these vectors came without output vectors; only word2vec's own training keeps them.")
        return WordVectors(self.words, self.output_vectors, counts=self.counts)

    def row(self, word: str) -> int:
        """The row of a word; ValueError for an unknown one, with words spelt alike."""
        if word not in self._rows:
            alike = difflib.get_close_matches(word, self.words, 3)
            hint = f"did you mean {' or '.join(map(repr, alike))}?" if alike else "no known word is spelt alike."
            raise ValueError(f"the word {word!r} has no vector (it was never seen, or too rarely); {hint}")
        return self._rows[word]

    def vector(self, word: str) -> Tensor:
        """(d,), the vector of a word as it was trained, not normalised."""
        return self.vectors[self.row(word)]

    def similarity(self, a: str, b: str) -> float:
        """The cosine between two words, -1 to 1."""
        return float(self.unit[self.row(a)] @ self.unit[self.row(b)])

    def nearest(self, query: str | Tensor, k: int = 10, exclude: Iterable[str] = ()) -> Found:
        """The `k` words with the largest cosine to a word (itself left out) or to a vector (d,); words of `exclude`
        that are unknown do no harm."""
        if k < 1:
            raise ValueError(f"k={k}: ask for 1 neighbour or more.")
        exclude = {exclude} if isinstance(exclude, str) else set(exclude)
        if isinstance(query, str):
            direction = self.unit[self.row(query)]
            exclude.add(query)
        else:
            if query.shape != self.vectors.shape[1:]:
                d = self.vectors.shape[1]
                raise ValueError(f"the vector has shape {tuple(query.shape)}; here a vector has {d} numbers.")
            direction = F.normalize(query.to(self.unit), dim=-1)
        cosines = self.unit @ direction  # (V,)
        cosines[[self._rows[word] for word in exclude if word in self._rows]] = -torch.inf
        best = cosines.topk(min(k, len(self.words)))
        return [(self.words[i], c) for c, i in zip(best.values.tolist(), best.indices.tolist(), strict=True) if c > -2]

    def offset(self, a: str, b: str, c: str) -> Tensor:
        """(d,), where "a is to b as c is to ..." points: unit(b) - unit(a) + unit(c)."""
        rows = self.unit[[self.row(word) for word in (a, b, c)]]  # (3, d)
        return rows[1] - rows[0] + rows[2]

    def analogy(self, a: str, b: str, c: str, k: int = 5, exclude_query: bool = True) -> Found:
        """a is to b as c is to ...: the `k` words nearest to b - a + c in unit vectors (Mikolov, Yih and Zweig 2013;
        named 3CosAdd by Levy and Goldberg 2014). ("man", "king", "woman") asks for queen.

        The three words of the question are left out, as everywhere in the literature; `exclude_query=False` shows what
        happens else.
        """
        return self.nearest(self.offset(a, b, c), k, exclude=(a, b, c) if exclude_query else ())

    def __contains__(self, word: object) -> bool:
        return word in self._rows

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"WordVectors({len(self.words)} words of {self.vectors.shape[1]} numbers)"


class Correlation(NamedTuple):
    rho: float  # Spearman's rank correlation
    covered: int  # pairs of which both words have a vector: rho is over these
    total: int


def similarity_correlation(vectors: WordVectors, pairs: Sequence[tuple[str, str, float]]) -> Correlation:
    """Do the cosines rank the pairs as people do? `pairs` as `word_similarities` gives them; 3 of them or more."""
    from scipy.stats import spearmanr  # half a second of CPU time; only here

    known = [(a, b, score) for a, b, score in pairs if a in vectors and b in vectors]
    if len(known) < 3:
        raise ValueError(f"only {len(known)} of {len(pairs)} pairs have both their vectors; a correlation needs 3.")
    cosines = [vectors.similarity(a, b) for a, b, _ in known]
    rho = spearmanr(cosines, [score for *_, score in known]).statistic
    return Correlation(float(rho), len(known), len(pairs))


class Accuracy(NamedTuple):
    right: int
    covered: int  # questions of which all four words have a vector
    total: int

    @property
    def share(self) -> float:
        """Right answers among the covered questions; nan if there are none."""
        return self.right / self.covered if self.covered else float("nan")


def analogy_accuracy(
    vectors: WordVectors,
    questions: Mapping[str, Sequence[tuple[str, str, str, str]]],
    limit: int | None = None,
    exclude_query: bool = True,
) -> dict[str, Accuracy]:
    """Category -> how often 3CosAdd's first word is the right one. `limit`: the first so many questions of each."""
    found = {}
    for category, asked in questions.items():
        asked = asked[:limit]
        known = [q for q in asked if all(word in vectors for word in q)]
        right = 0
        for start in range(0, len(known), 256):
            rows = torch.tensor([[vectors.row(word) for word in q] for q in known[start : start + 256]])  # (n, 4)
            a, b, c = vectors.unit[rows[:, :3]].unbind(1)  # (n, d) each
            scores = (b - a + c) @ vectors.unit.T  # (n, V); its length does not change the order
            if exclude_query:
                scores.scatter_(1, rows[:, :3], -torch.inf)
            right += int((scores.argmax(1) == rows[:, 3]).sum())
        found[category] = Accuracy(right, len(known), len(asked))
    return found


def label_agreement(vectors: WordVectors, labels: Mapping[str, str], k: int = 5) -> tuple[float, float]:
    """(share of a word's `k` nearest labelled words that carry its label, the same share by chance), over all words
    with a vector and a label: do parts of speech, or meanings, lie together?"""
    words = [word for word in vectors.words if word in labels]
    if len(words) <= k:
        raise ValueError(f"{len(words)} words have both a vector and a label; with k={k} more than {k} are needed.")
    names = {label: i for i, label in enumerate(sorted({labels[word] for word in words}))}
    label = torch.tensor([names[labels[word]] for word in words])  # (n,)
    unit = vectors.unit[[vectors.row(word) for word in words]]  # (n, d)
    cosines = (unit @ unit.T).fill_diagonal_(-torch.inf)
    same = label[cosines.topk(k).indices] == label.unsqueeze(1)  # (n, k)
    sizes = torch.bincount(label).double()
    chance = (sizes * (sizes - 1)).sum() / (len(words) * (len(words) - 1))
    return float(same.double().mean()), float(chance)
