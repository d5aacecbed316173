"""Where does a sentence end? Splitting a text whose alphabet nobody knows. Notebook 11.

`ends_of` needs texts that end where a sentence ends, and no more: the marks are the tokens that texts end with.
`by_rank` is the rule that goes round for anonymised Chinese: the most frequent token is the comma, the second one the
full stop. It counts tokens of that language, and of others it need not hold.
"""

from collections import Counter
from collections.abc import Iterable, Sequence


def ends_of(texts: Iterable[Sequence[str]], share: float = 0.02) -> dict[str, float]:
    """Tokens that end at least `share` of the texts, with their shares, most frequent first."""
    last = Counter(text[-1] for text in texts if text)
    if not last:
        raise ValueError("no text to look at the end of: give at least one that is not empty.")
    if not 0 < share <= 1:
        raise ValueError(f"share={share}: a share lies above 0 and up to 1.")
    total = last.total()
    ranked = sorted(last.items(), key=lambda item: (-item[1], item[0]))
    return {token: n / total for token, n in ranked if n >= share * total}


def by_rank(texts: Iterable[Sequence[str]], rank: int = 2) -> str:
    """The token of that rank by frequency over all texts (of equally frequent ones the first in the alphabet)."""
    counts = Counter(token for text in texts for token in text)
    if not 1 <= rank <= len(counts):
        raise ValueError(f"rank={rank}: these texts have {len(counts)} different tokens.")
    return sorted(counts, key=lambda token: (-counts[token], token))[rank - 1]


def split_sentences(tokens: Sequence[str], ends: Iterable[str]) -> list[tuple[str, ...]]:
    """Cut behind every token of `ends`; several in a row ("?!") end one sentence. What is left over is the last one."""
    ends, found, start = frozenset(ends), [], 0
    for k, token in enumerate(tokens):
        if token in ends and not (k + 1 < len(tokens) and tokens[k + 1] in ends):
            found.append(tuple(tokens[start : k + 1]))
            start = k + 1
    return [*found, tuple(tokens[start:])] if start < len(tokens) else found
