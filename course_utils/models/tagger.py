"""Sequence labelling, N words in and N labels out: taggers, their batches, their scores and the per-word ceiling.

Taught in notebook 02. A labelled sentence is a `Pair` whose target has one label a word (`labelled` makes them of the
course's corpus). All taggers have one call, `model(source) -> logits (B, T, n_tags)`, so that `training.train` serves
them: `LabelBatches` carry the labels in `target_out`, and pads do not count.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from course_utils.checks import check_widths
from course_utils.corpora.pair import Pair
from course_utils.layers.recurrent import Recurrent, reverse_by_length
from course_utils.layers.simple_recurrent import JordanCell, unroll
from course_utils.seq2seq.decoding import evaluating
from course_utils.text.batches import Batch, Batches
from course_utils.text.masks import padding_mask
from course_utils.text.vocabulary import BEGIN, PAD, Vocabulary

KINDS = ("word", "window", "elman", "backward", "jordan", "bidirectional")

# ---- models ----------------------------------------------------------------------------------------------------------


class Tagger(nn.Module):
    """One label a word. `kind` says what a label may depend on:

    "word"           the word itself, through a fully connected layer
    "window"         the 2k + 1 words around it, side by side in the same layer
    "elman"          the words up to it, in the state of a tanh RNN (Elman 1990)
    "backward"       the words from it on: an Elman RNN that reads from the last word to the first
    "jordan"         the words up to it, as far as the labels given to them tell (Jordan 1986; see JordanCell)
    "bidirectional"  all words: one Elman RNN in each direction (Schuster and Paliwal 1997), each of d_hidden units
    """

    def __init__(
        self, kind: str, n_words: int, n_tags: int, d_embedding: int = 32, d_hidden: int = 64, k: int = 1,
        decay: float = 0.0, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"no tagger of kind {kind!r}: choose one of {', '.join(map(repr, KINDS))}.")
        check_widths(n_words=n_words, n_tags=n_tags, d_embedding=d_embedding, d_hidden=d_hidden)
        check_window(k)
        self.kind, self.k = kind, k if kind == "window" else 0
        self.hparams = dict(kind=kind, n_words=n_words, n_tags=n_tags, d_embedding=d_embedding, d_hidden=d_hidden,
                            k=self.k, decay=decay if kind == "jordan" else 0.0, dropout=dropout)  # fmt: skip
        self.embedding = nn.Embedding(n_words, d_embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        if kind in ("word", "window"):
            self.body = nn.Linear((2 * self.k + 1) * d_embedding, d_hidden)
        elif kind == "jordan":
            self.body = JordanCell(d_embedding, d_hidden, n_tags, decay)      # has its output layer inside
        else:
            self.body = Recurrent("rnn", d_embedding, d_hidden, bidirectional=kind == "bidirectional")
        if kind != "jordan":
            self.output = nn.Linear(d_hidden * (2 if kind == "bidirectional" else 1), n_tags)

    def forward(self, source: Tensor, target_in: Tensor | None = None) -> Tensor:
        """source (B, T) long -> logits (B, T, n_tags). `target_in` is not looked at: no label is given away.

        Pads have no influence on the logits of words; their own logits mean nothing.
        """
        mask = checked_mask(source)
        x = self.dropout(self.embedding(source))                              # (B, T, d_embedding)
        if self.kind == "jordan":
            return unroll(self.body, x, mask)[0]
        return self.output(self.dropout(self.features(x, mask)))              # (B, T, n_tags)

    def features(self, x: Tensor, mask: Tensor) -> Tensor:
        """What the output layer reads: (B, T, d_embedding), (B, T) bool -> (B, T, D); for an RNN its states."""
        if self.kind in ("word", "window"):
            return torch.tanh(self.body(windows(x, mask, self.k)))
        lengths = mask.sum(1)
        if self.kind != "backward":
            return self.body(x, lengths=lengths)[0]
        places = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])    # (B, T)
        turned = reverse_by_length(places, lengths).unsqueeze(-1)             # words in reverse, then pads
        return self.body(x.take_along_dim(turned, 1), lengths=lengths)[0].take_along_dim(turned, 1)


def windows(x: Tensor, mask: Tensor, k: int) -> Tensor:
    """The vectors of the 2k + 1 words around each word, side by side, leftmost first: (B, T, D) -> (B, T, (2k+1) D).

    Beyond the ends of a sentence stand zeros, and pads are beyond its end.
    """
    check_window(k)
    x = F.pad(x * mask.unsqueeze(-1), (0, 0, k, k))                           # (B, k + T + k, D)
    return x.unfold(1, 2 * k + 1, 1).transpose(2, 3).flatten(2)               # (B, T, D, 2k+1) -> (B, T, (2k+1) D)


def check_window(k: int) -> None:
    if not isinstance(k, int) or k < 0:
        raise ValueError(f"k={k!r}: a window has k words on each side, 0 or more.")


def checked_mask(source: Tensor) -> Tensor:
    """The padding mask of (B, T) ids whose rows begin with a word and end with pads, or a ValueError."""
    if source.dim() != 2:
        raise ValueError(f"source must be ids of shape (B, T), not {tuple(source.shape)}.")
    mask = padding_mask(source)
    if not bool(mask[:, 0].all()):
        raise ValueError("a sentence without a word: every row of source must begin with one.")
    if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
        raise ValueError("a word stands after a pad: pads belong at the end of a row.")
    return mask


def predict(
    model: nn.Module, sentences: Sequence[Pair], words: Vocabulary, tags: Vocabulary, batch_size: int = 256
) -> list[tuple[str, ...]]:
    """The most probable label of every word of every sentence, in their order. The model's mode is restored."""
    found: list[tuple[str, ...]] = [()] * len(sentences)
    with evaluating(model):
        for batch in LabelBatches(sentences, words, tags, batch_size).once():
            best = model(batch.source).argmax(-1)                             # (B, T)
            for row, ids, n in zip(batch.index, best.tolist(), batch.source_mask.sum(1).tolist(), strict=True):
                found[row] = tags.decode(ids[:n], stop_at_end=False)
    return found


# ---- batches ---------------------------------------------------------------------------------------------------------


def labelled(pairs: Iterable[Pair]) -> list[Pair]:
    """Sentences of the course's corpus with their part-of-speech tags in the place of the translation."""
    return [Pair(pair.source, pair.source_tags) for pair in pairs]


class LabelBatches(Batches):
    """Batches of labelled sentences: `target_out` is their labels, as wide as `source`, without END.

    Order, epochs, `forever`, `once` and states are those of Batches. `target_in` is BEGIN and the labels of the words
    before, as everywhere; our taggers do not read it.
    """

    def __init__(
        self, sentences: Sequence[Pair], words: Vocabulary, tags: Vocabulary, batch_size: int = 64, seed: int = 0
    ) -> None:
        for i, sentence in enumerate(sentences):
            if len(sentence.source) != len(sentence.target):
                raise ValueError(
                    f"sentence {i} has {len(sentence.source)} words and {len(sentence.target)} labels; each word "
                    "needs one (of the corpus's pairs, `labelled` makes labelled sentences)."
                )
        super().__init__(sentences, words, tags, batch_size, seed)

    def _take(self, rows: list[int]) -> Batch:
        source, labels, before = (
            pad_sequence([torch.tensor(ids) for ids in some], batch_first=True, padding_value=PAD)  # (B, T)
            for some in (
                [self._sources[i] for i in rows],
                [self._targets[i] for i in rows],
                [[BEGIN, *self._targets[i][:-1]] for i in rows],
            )
        )
        return Batch(source=source, target_in=before, target_out=labels, index=rows)


# ---- scores, and what no model of single words can beat --------------------------------------------------------------


@dataclass(frozen=True)
class TagScores:
    """Shares of words with the right label. `accuracy_ambiguous` is nan where no ambiguous word occurs."""

    accuracy: float
    accuracy_ambiguous: float
    n: int
    n_ambiguous: int

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def label_counts(sentences: Iterable[Pair]) -> dict[str, Counter[str]]:
    """word -> how often it has which label."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        for word, label in zip(sentence.source, sentence.target, strict=True):
            counts[word][label] += 1
    return dict(counts)


def ambiguous_words(sentences: Iterable[Pair]) -> frozenset[str]:
    """The words that occur with two labels or more."""
    return frozenset(word for word, counts in label_counts(sentences).items() if len(counts) > 1)


def majority_table(sentences: Iterable[Pair]) -> dict[str, str]:
    """word -> its most frequent label; of equally frequent ones the first in the alphabet."""
    return {w: min(counts, key=lambda label: (-counts[label], label)) for w, counts in label_counts(sentences).items()}


def look_up(table: Mapping[str, str], sentences: Iterable[Pair], unknown: str = "<unk>") -> list[tuple[str, ...]]:
    """Label every word by the table; a word that it lacks gets `unknown`."""
    return [tuple(table.get(word, unknown) for word in sentence.source) for sentence in sentences]


def tag_scores(predicted: Sequence[Sequence[str]], sentences: Sequence[Pair], ambiguous: Iterable[str]) -> TagScores:
    """Score labels against the sentences' own; words of `ambiguous` are also counted apart."""
    ambiguous, right, n = frozenset(ambiguous), Counter(), Counter()
    if len(predicted) != len(sentences):
        raise ValueError(f"{len(predicted)} labelled sentences to be held against {len(sentences)}.")
    for labels, sentence in zip(predicted, sentences, strict=True):
        if len(labels) != len(sentence.source):
            raise ValueError(f"{len(labels)} labels for the {len(sentence.source)} words of {sentence.source[:8]}.")
        for word, label, gold in zip(sentence.source, labels, sentence.target, strict=True):
            n[word in ambiguous] += 1
            right[word in ambiguous] += label == gold
    share = right[True] / n[True] if n[True] else float("nan")
    return TagScores((right[True] + right[False]) / max(n.total(), 1), share, n.total(), n[True])


def per_word_ceiling(sentences: Sequence[Pair], ambiguous: Iterable[str]) -> TagScores:
    """The score on `sentences` that no model of single words can exceed, whatever it was trained on: a label that
    depends on the word alone is a table, and the best table for these sentences is their own majority."""
    return tag_scores(look_up(majority_table(sentences), sentences), sentences, ambiguous)
