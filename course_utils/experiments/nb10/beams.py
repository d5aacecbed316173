"""What beams of several widths write, and how exact search judges them. Notebook 10, section 4."""

from collections.abc import Sequence

import torch

from course_utils.corpora.pair import Pair
from course_utils.corpora.parallel import hold_out, jupyterlab_french
from course_utils.metrics import bleu, exact_match
from course_utils.seq2seq.beam import Norm, beam_search, by_length, exact_search
from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.decoding import device_of
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import Vocabulary

LONG = 4  # English words that an entry has at least: shorter ones leave a beam little to do


def catalogue() -> tuple[list[Pair], list[Pair], list[Pair]]:
    """(training, valid, test) of JupyterLab's French: the 200 test entries are those of notebook 07, and 200 more are
    taken from the rest to choose on. Valid and test keep their entries of `LONG` words and more, 100 of each."""
    rest, test = hold_out(jupyterlab_french(), 200)
    train, valid = hold_out(rest, 200, seed=1)
    return train, *([pair for pair in some if len(pair.source) >= LONG][:100] for some in (valid, test))


def written(
    model: Seq2Seq, pairs: Sequence[Pair], words: tuple[Vocabulary, Vocabulary], k: int, alpha: float = 0.0,
    norm: Norm = by_length,
) -> tuple[list[tuple[str, ...]], list[float]]:  # fmt: skip
    """The best sentence that a beam of width k finds for each source, and its sum of log p."""
    said: list[tuple[str, ...]] = [()] * len(pairs)
    sums = [0.0] * len(pairs)
    by_words = sorted(range(len(pairs)), key=lambda row: len(pairs[row].source))  # little padding
    for start in range(0, len(pairs), 25):
        rows = by_words[start : start + 25]
        source = make_batch([pairs[row] for row in rows], *words).source.to(device_of(model))
        best = beam_search(model, source, k, alpha=alpha, norm=norm).best
        for row, ids, total in zip(rows, best.tokens, best.log_prob.tolist(), strict=True):
            said[row], sums[row] = words[1].decode(ids), total
    return said, sums


def scores(said: Sequence[Sequence[str]], sums: Sequence[float], pairs: Sequence[Pair]) -> dict[str, float]:
    """`length_ratio`: words written per word of the reference; `log_prob`: mean sum of log p of a sentence."""
    references = [pair.target for pair in pairs]
    return {
        "length_ratio": sum(map(len, said)) / sum(map(len, references)),
        "log_prob": sum(sums) / len(sums),
        "bleu": bleu(said, references),
        "exact_match": exact_match(said, references),
        "empty": sum(not words for words in said) / len(said),
    }


def judged(
    model: Seq2Seq, pairs: Sequence[Pair], words: tuple[Vocabulary, Vocabulary], widths: Sequence[int], max_steps: int
) -> dict[str, float]:
    """Exact search on every sentence, and the share of its answers that beams of these widths have missed. `proven`:
    the share of sentences whose search came to its end; the others do not count in anything else. `length_ratio_k`: of
    the beam of width k, on the same sentences."""
    best, missed, proven = [], dict.fromkeys(widths, 0), []
    by_beam: dict[int, list[tuple[str, ...]]] = {k: [] for k in widths}
    for pair in pairs:
        source = make_batch([pair], *words).source.to(device_of(model))
        found = exact_search(model, source, beam=max(widths), max_steps=max_steps)
        if found.proven:
            best.append(found)
            proven.append(pair)
            for k in widths:
                tokens = beam_search(model, source, k).best.tokens[0]
                by_beam[k].append(words[1].decode(tokens))
                missed[k] += tuple(tokens.tolist()) != found.tokens
    if not proven:
        return {"n": len(pairs), "proven": 0.0}
    n = len(proven)
    wanted = sum(len(pair.target) for pair in proven)
    said = [words[1].decode(torch.tensor(found.tokens)) for found in best]
    return {"n": len(pairs), "proven": n / len(pairs), "steps": sum(found.steps for found in best) / n,
            **scores(said, [found.log_prob for found in best], proven),
            **{f"missed_by_{k}": count / n for k, count in missed.items()},
            **{f"length_ratio_{k}": sum(map(len, by_beam[k])) / wanted for k in widths}}  # fmt: skip
