"""How good is a translation, and how good an alignment? Taught in notebooks 06 (scores) and 07 (alignments).

BLEU is Papineni et al. 2002 as sacrebleu computes it (Post 2018); the alignment error rate is Och and Ney 2003.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.corpora.pair import Pair
from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.decoding import device_of, evaluating, greedy
from course_utils.text.batches import Batches
from course_utils.text.vocabulary import PAD, Vocabulary

Links = Iterable[tuple[int, int]]
BLEU_SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:none|smooth:exp"  # on the course's own lower-case tokens, 0 to 100


@dataclass(frozen=True)
class Scores:
    """Of `n` sentences. All but the perplexity judge the model's own greedy output (free-running)."""

    n: int
    exact_match: float  # share of sentences right in every word and ended by END
    token_accuracy: float  # share of reference tokens, END included, found at the very same place of the output
    bleu: float  # corpus BLEU, 0 to 100, see BLEU_SIGNATURE
    perplexity: float  # teacher-forced, a token, END included

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def evaluate(
    model: Seq2Seq, pairs: Sequence[Pair], source_vocab: Vocabulary, target_vocab: Vocabulary, batch_size: int = 256
) -> Scores:
    """All scores of `model` on `pairs`. A reference word that the vocabulary lacks cannot be met."""
    outputs: list[list[str]] = [[] for _ in pairs]
    nll, n_tokens = 0.0, 0
    for batch in _batches(model, pairs, source_vocab, target_vocab, batch_size):
        with evaluating(model):
            logits = model(batch.source, batch.target_in)
        nll += token_nll(logits, batch.target_out)
        n_tokens += batch.n_tokens
        decoded = greedy(model, batch.source)
        for row, ids, ended in zip(batch.index, decoded.tokens, decoded.ended.tolist(), strict=True):
            outputs[row] = [*target_vocab.decode(ids), *(["<end>"] if ended else [])]
    references = [[*pair.target, "<end>"] for pair in pairs]
    return Scores(
        n=len(pairs),
        exact_match=exact_match(outputs, references),
        token_accuracy=token_accuracy(outputs, references),
        bleu=bleu([_without_end(o) for o in outputs], [pair.target for pair in pairs]),
        perplexity=perplexity(nll, n_tokens),
    )


def by_bucket(
    model: Seq2Seq,
    buckets: Mapping[str, Sequence[Pair]],
    source_vocab: Vocabulary,
    target_vocab: Vocabulary,
    batch_size: int = 256,
) -> dict[str, Scores]:
    """Scores for each bucket, for instance of `load_test_buckets()`: {"3-7": Scores, "8-11": Scores, …}."""
    return {label: evaluate(model, pairs, source_vocab, target_vocab, batch_size) for label, pairs in buckets.items()}


def token_nll(logits: Tensor, target_out: Tensor) -> float:
    """Sum of -log p over the real tokens. logits (B, T, V), target_out (B, T)."""
    return F.cross_entropy(logits.flatten(0, 1), target_out.flatten(), ignore_index=PAD, reduction="sum").item()


def perplexity(nll: float, n_tokens: int) -> float:
    """exp(sum of all -log p / number of all tokens). A mean of batch means would weigh tokens of small batches more,
    and a mean of batch perplexities is larger still."""
    if n_tokens < 1:
        raise ValueError(f"perplexity over n_tokens={n_tokens}: there must be a token to predict.")
    mean = nll / n_tokens
    return math.exp(mean) if mean < 700 else math.inf


def exact_match(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Share of outputs equal to their reference in every token."""
    _check_lengths(outputs, references)
    return sum(list(o) == list(r) for o, r in zip(outputs, references, strict=True)) / len(references)


def token_accuracy(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Share of all reference tokens that the output has at the same place. A word left out early costs all that
    follow, which is why this is lower than the teacher-forced accuracy that other courses report."""
    _check_lengths(outputs, references)
    right = sum(a == b for o, r in zip(outputs, references, strict=True) for a, b in zip(o, r, strict=False))
    return right / sum(map(len, references))


def bleu(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU (0 to 100) of tokenised sentences with one reference each, by sacrebleu, signature BLEU_SIGNATURE.

    The tokens are the course's own (tok:none), so the figure compares models of this course, not published systems.
    """
    from sacrebleu.metrics import BLEU

    _check_lengths(outputs, references)
    metric = BLEU(tokenize="none", force=True)  # force: do not warn that the text is tokenised already
    return metric.corpus_score([" ".join(o) for o in outputs], [[" ".join(r) for r in references]]).score


# ---- alignments ------------------------------------------------------------------------------------------------------


def forced_attention(
    model: Seq2Seq, pairs: Sequence[Pair], source_vocab: Vocabulary, target_vocab: Vocabulary, batch_size: int = 256
) -> list[Tensor]:
    """The attention of each pair under its right target (teacher forcing): a (target words, source words) tensor.

    The row of END is left out. One forward call a batch. Raises ValueError for a model without attention.
    """
    maps: list[Tensor] = [torch.empty(0)] * len(pairs)
    for batch in _batches(model, pairs, source_vocab, target_vocab, batch_size):
        with evaluating(model):
            _, attention = model(batch.source, batch.target_in, need_weights=True)  # (B, T, S)
        if attention is None:
            raise ValueError(f"{type(model).__name__} has no attention to read an alignment from; use another model.")
        for row, weights in zip(batch.index, attention, strict=True):
            maps[row] = weights[: len(pairs[row].target), : len(pairs[row].source)]
    return maps


def forced_alignment(
    model: Seq2Seq, pairs: Sequence[Pair], source_vocab: Vocabulary, target_vocab: Vocabulary, batch_size: int = 256
) -> list[set[tuple[int, int]]]:
    """One link (source index, target index) for each target word but END: the source word with the largest weight."""
    maps = forced_attention(model, pairs, source_vocab, target_vocab, batch_size)
    return [{(i, j) for j, i in enumerate(weights.argmax(-1).tolist())} for weights in maps]


def alignment_error_rate(links: Sequence[Links], pairs: Sequence[Pair]) -> float:
    """AER = 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|), summed over the corpus (Och and Ney 2003, eq. for AER).

    `links` A, one set a pair; the gold links S (sure) and P (possible, contains S) are those of `pairs`. 0 is best.
    """
    _check_gold(pairs)
    if len(links) != len(pairs):
        raise ValueError(f"{len(links)} alignments for {len(pairs)} pairs; give one set of links a pair.")
    met = asked = 0
    for pair_links, pair in zip(links, pairs, strict=True):
        found, possible = set(pair_links), pair.possible | pair.sure
        outside = [(i, j) for i, j in found if not (0 <= i < len(pair.source) and 0 <= j < len(pair.target))]
        if outside:
            raise ValueError(f"link {outside[0]} points outside {pair.source} / {pair.target}; it is (source, target).")
        met += len(found & pair.sure) + len(found & possible)
        asked += len(found) + len(pair.sure)
    return 1 - met / asked


def oracle_alignment_error_rate(pairs: Sequence[Pair]) -> float:
    """The best AER that one link for every target word can reach: what an argmax over attention is held against.

    Word j's best link meets S and P (2), only P (1) or, if gold leaves j without any, nothing (0); |A| is fixed.
    """
    _check_gold(pairs)
    links = []
    for pair in pairs:
        best = {j: (0, j) for j in range(len(pair.target))}
        best |= {j: (i, j) for i, j in sorted(pair.possible)}
        best |= {j: (i, j) for i, j in sorted(pair.sure)}
        links.append(set(best.values()))
    return alignment_error_rate(links, pairs)


def sure_mass(maps: Sequence[Tensor], pairs: Sequence[Pair]) -> float:
    """Mean weight that lies on sure links, over the target words that have one: 1 if attention is the alignment.

    `maps`: of `forced_attention`. Unlike AER it sees how sharp the weights are, not only where the largest is.
    """
    _check_gold(pairs)
    total, words = 0.0, 0
    for weights, pair in zip(maps, pairs, strict=True):
        if pair.sure:
            rows, columns = zip(*((j, i) for i, j in pair.sure), strict=True)
            total += weights[list(rows), list(columns)].sum().item()
            words += len(set(rows))
    return total / words


def looks(maps: Sequence[Tensor], pairs: Sequence[Pair]) -> dict[str, float]:
    """Where the largest weight of each target word falls, as shares of the target words that have a sure link.

    "own": a source word linked to it, surely or possibly. Else "next" or "previous": a source word surely linked to the
    target word after or before it. Else "elsewhere". `maps`: of `forced_attention`. (A source word that belongs to both
    neighbours counts as "next".)
    """
    _check_gold(pairs)
    count = {"own": 0, "next": 0, "previous": 0, "elsewhere": 0}
    for weights, pair in zip(maps, pairs, strict=True):
        for i in {i for _, i in pair.sure}:
            j = int(weights[i].argmax())
            wanted = (("own", (j, i) in pair.possible | pair.sure), ("next", (j, i + 1) in pair.sure),
                      ("previous", (j, i - 1) in pair.sure), ("elsewhere", True))  # fmt: skip
            count[next(where for where, there in wanted if there)] += 1
    total = sum(count.values())
    return {where: n / total for where, n in count.items()}


def rate_per_word(share: float, lengths: Sequence[int]) -> float:
    """The chance r of getting one word right under which `share` of sentences of these `lengths` (words, END included)
    would be right in every word: the mean of r^length equals `share`.

    It treats all words as equally hard and their errors as independent. nan where no sentence at all is right: then
    no rate can be told from it.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share={share} must be between 0 and 1: a share of sentences.")
    if not len(lengths) or min(lengths) < 1:
        raise ValueError("lengths must be positive and at least one: words of each sentence, END included.")
    if share == 0.0:
        return math.nan
    low, high = 0.0, 1.0
    for _ in range(50):  # bisection: the mean of r^length rises with r
        middle = (low + high) / 2
        below = sum(middle**n for n in lengths) / len(lengths) < share
        low, high = (middle, high) if below else (low, middle)
    return high


def _batches(model, pairs, source_vocab, target_vocab, batch_size):
    return (batch.to(device_of(model)) for batch in Batches(pairs, source_vocab, target_vocab, batch_size).once())


def _without_end(tokens: list[str]) -> list[str]:
    return tokens[:-1] if tokens and tokens[-1] == "<end>" else tokens


def _check_lengths(outputs, references) -> None:
    if len(outputs) != len(references):
        raise ValueError(f"{len(outputs)} outputs for {len(references)} references; give one each.")
    if not len(references):
        raise ValueError("no sentence to score; is the split empty?")


def _check_gold(pairs: Sequence[Pair]) -> None:
    if not any(pair.sure for pair in pairs):
        raise ValueError(f"none of the {len(pairs)} pairs has a sure link; gold alignments come with the mini corpus.")
