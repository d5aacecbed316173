"""How far from its own place a word looks, counted in the corpus and in real text. Notebook 09."""

from collections.abc import Iterable, Sequence

from course_utils.corpora.pair import Pair
from course_utils.experiments.nb09.objectives import right_log_probs
from course_utils.metrics import perplexity
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.decoding import evaluating
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import Vocabulary


def distances(pairs: Iterable[Pair]) -> list[int]:
    """Place of the target word minus place of its source word, for every sure link of the gold alignments."""
    return [i - j for pair in pairs for j, i in sorted(pair.sure)]


def twins(pairs: Iterable[Pair], least: int = 4) -> list[tuple[Pair, int, int]]:
    """(pair, source place, target place) of the words of at least so many letters that are spelt alike in both
    languages and stand once in either sentence: links that need no gold alignment."""
    return [
        (pair, pair.source.index(word), i)
        for pair in pairs
        for i, word in enumerate(pair.target)
        if word.isalpha() and len(word) >= least and pair.source.count(word) == pair.target.count(word) == 1
    ]


def within(found: Sequence[int], window: int) -> float:
    """The share of distances that a window of `window` words on either side holds."""
    if not found:
        raise ValueError("no distances: give pairs that have links")
    return sum(abs(x) <= window for x in found) / len(found)


def surprise(model: AttentiveSeq2Seq, pairs: Sequence[Pair], words: tuple[Vocabulary, Vocabulary]) -> float:
    """Perplexity of `model` on `pairs`, as one batch, with the attention that it has now."""
    batch = make_batch(pairs, *words)
    with evaluating(model):
        found = right_log_probs(model(batch.source, batch.target_in), batch)
    return perplexity(-float(found[batch.target_mask].sum()), batch.n_tokens)


def takes_back(said: Sequence[Sequence[str]]) -> bool:
    """Whether something that was written after fewer words of the source is not there any more (online.said_so_far)."""
    return any(list(later[: len(before)]) != list(before) for before, later in zip(said[:-1], said[1:], strict=True))
