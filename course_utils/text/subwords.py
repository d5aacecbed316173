"""Byte-pair encoding: words cut into pieces that a small vocabulary can hold. Notebook 17.

Sennrich, Haddow, Birch 2016, algorithm 1. Every word begins as its characters, the last one marked as the end of a
word; the most frequent pair of neighbours is joined, again and again. Rare words stay in pieces, frequent ones grow
whole, and no word is unknown as long as its characters are known. (Like the paper this joins characters; the "bytes" of
the name are those of Gage 1994.)
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

END_OF_WORD, GOES_ON = "</w>", "@@"  # inside the learner; at the end of a piece that is not the last of its word
Merge = tuple[str, str]


class BytePairEncoding:
    """A list of merges, in the order in which they were learnt; `split` applies them in that order."""

    def __init__(self, merges: Iterable[Merge]):
        self.merges: tuple[Merge, ...] = tuple(merges)
        self._rank = {pair: rank for rank, pair in enumerate(self.merges)}
        self._known: dict[str, tuple[str, ...]] = {}

    @classmethod
    def learn(cls, counts: Mapping[str, int], n_merges: int, min_count: int = 2) -> "BytePairEncoding":
        """Up to `n_merges` merges from {word: how often}; stops when no pair occurs `min_count` times.

        Equal counts: the pair that is last in alphabetical order, as in the authors' own program.
        """
        if n_merges < 0:
            raise ValueError(f"n_merges={n_merges}: use 0 (characters only) or more.")
        if not counts:
            raise ValueError("no words to learn merges from; is the text empty?")
        words = [_characters(word) for word in counts]
        often = list(counts.values())
        pairs, homes = Counter(), defaultdict(set)  # how often a pair occurs, and in which words
        for i, word in enumerate(words):
            _count(word, i, often[i], pairs, homes)
        merges = []
        while len(merges) < n_merges and pairs:
            best = max(pairs, key=lambda pair: (pairs[pair], pair))
            if pairs[best] < min_count:
                break
            merges.append(best)
            for i in sorted(homes.pop(best)):
                _count(words[i], i, -often[i], pairs, homes)
                words[i] = _join(words[i], best)
                _count(words[i], i, often[i], pairs, homes)
            del pairs[best]
        return cls(merges)

    def split(self, word: str) -> tuple[str, ...]:
        """The pieces of one word; all but the last end in "@@": ("low@@", "est")."""
        if not word:
            raise ValueError("an empty word cannot be split; leave it out.")
        if word not in self._known:
            pieces = _characters(word)
            while len(pieces) > 1:
                pair = min(zip(pieces, pieces[1:], strict=False), key=lambda p: self._rank.get(p, len(self._rank)))
                if pair not in self._rank:
                    break
                pieces = _join(pieces, pair)
            *begin, last = pieces
            self._known[word] = (*(piece + GOES_ON for piece in begin), last.removesuffix(END_OF_WORD))
        return self._known[word]

    def encode(self, tokens: Iterable[str]) -> tuple[str, ...]:
        """Tokens to pieces, for a Vocabulary of pieces."""
        return tuple(piece for token in tokens for piece in self.split(token))

    @staticmethod
    def decode(pieces: Iterable[str]) -> tuple[str, ...]:
        """Pieces to tokens: the inverse of `encode`."""
        words, begun = [], ""
        for piece in pieces:
            begun += piece.removesuffix(GOES_ON)
            if not piece.endswith(GOES_ON):
                words.append(begun)
                begun = ""
        return (*words, begun) if begun else tuple(words)


def _characters(word: str) -> tuple[str, ...]:
    return (*word[:-1], word[-1] + END_OF_WORD)


def _count(word: tuple[str, ...], i: int, times: int, pairs: Counter, homes: dict[Merge, set[int]]) -> None:
    """Add the pairs of word `i` to the counts, or with negative `times` take them away."""
    for pair in zip(word, word[1:], strict=False):
        pairs[pair] += times
        if pairs[pair] <= 0:
            del pairs[pair]
        if times > 0:
            homes[pair].add(i)
        else:
            homes[pair].discard(i)


def _join(word: tuple[str, ...], pair: Merge) -> tuple[str, ...]:
    """Every occurrence of the pair becomes one piece, from left to right."""
    joined, i = [], 0
    while i < len(word):
        if word[i : i + 2] == pair:
            joined.append(word[i] + word[i + 1])
            i += 2
        else:
            joined.append(word[i])
            i += 1
    return tuple(joined)
