"""From text to numbers: tokens, and the vocabulary that numbers them. Taught in notebook 02.

Ids 0-3 are PAD, BEGIN, END, UNK everywhere in the course.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from torch import Tensor

PAD, BEGIN, END, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<begin>", "<end>", "<unk>")

# Tokens, tried in this order: an elided French word with its apostrophe, if a letter follows ("l'" of "l'eau"; but
# "aujourd'hui" begins with none of these); a number ("3.5", "10:30"); a word with inner apostrophes or hyphens
# ("don't", "est-ce"); any other single sign.
_TOKEN = re.compile(
    r"\b(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu)'(?=[^\W\d_])"
    r"|\d+(?:[.,:]\d+)*(?![^\W_])"
    r"|[^\W_]+(?:['-][^\W_]+)*"
    r"|[^\s]"
)
# Signs without ink (Unicode's default-ignorable code points, and control characters that are no space): soft hyphen,
# zero-width space and joiners, marks of direction, byte order mark … A word is the same without. A variation selector
# says how the sign before it is drawn ("©\ufe0f") and stays there, but not behind a letter or alone.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x91\x93-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]+"
)
_SELECTOR = re.compile(r"(?<![^\w\s])[\ufe00-\ufe0f]+")
# Signs that are typed, or came out of a wrong decoding (\x92), for an apostrophe; elsewhere some are quotation marks,
# accents or minutes of arc, so they count as one between two letters only.
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])[´`‘′‛＇ʻʹ՚\x92](?=[^\W\d_])")
_SAME = str.maketrans({"’": "'", "ʼ": "'", "\u2010": "-", "\u2011": "-", "﹣": "-", "－": "-"})  # anywhere
_CLOSING = frozenset(".,;:!?)]}…»”%")  # no space before these
_OPENING = frozenset("([{«“")  # no space after these


def tokenise(text: str) -> tuple[str, ...]:
    """Lower-case `text` and cut it into words and punctuation: "L'eau n'est pas là." -> l' eau n' est pas là .

    Typographic apostrophes and hyphens count as plain ones, signs without ink are dropped and accents are composed
    (NFC) first, so that the same word is always the same token, wherever it was typed.
    """
    if not isinstance(text, str):
        raise TypeError(f"tokenise needs a string, not {type(text).__name__}; tokens go to Vocabulary.encode.")
    text = _SELECTOR.sub("", _INVISIBLE.sub("", text))
    text = unicodedata.normalize("NFC", text).lower().translate(_SAME)
    return tuple(_TOKEN.findall(_APOSTROPHE.sub("'", text)))


def detokenise(tokens: Iterable[str]) -> str:
    """Join tokens to a line for reading: no space after an elision or an opening bracket, none before punctuation."""
    line, glue = "", True
    for token in tokens:
        line += token if glue or token in _CLOSING else " " + token
        glue = token in _OPENING or (len(token) > 1 and token.endswith("'"))
    return line


class Vocabulary:
    """The words a model knows, numbered. Ids 0-3 are the specials; `words[id]` is the word."""

    def __init__(self, words: Iterable[str]):
        """`words`: the real words in the order of their ids, from 4 on."""
        self.words: tuple[str, ...] = SPECIALS + tuple(words)
        self._ids = {word: i for i, word in enumerate(self.words) if i >= len(SPECIALS)}
        if len(self._ids) != len(self.words) - len(SPECIALS) or any(s in self._ids for s in SPECIALS):
            twice = [word for word, n in Counter(self.words).items() if n > 1]
            raise ValueError(f"a vocabulary lists each word once and no special; listed twice: {twice[:5]}.")

    @classmethod
    def build(cls, sentences: Iterable[Iterable[str]], min_count: int = 1, max_size: int | None = None) -> "Vocabulary":
        """Number the words of tokenised sentences, most frequent first, equal counts alphabetically.

        Words seen fewer than `min_count` times are left out (they read as `<unk>`); `max_size` bounds len(vocabulary),
        specials included. The names of the specials are never words: a "<unk>" that stands in a text stays unknown.
        """
        if min_count < 1:
            raise ValueError(f"min_count={min_count}: a word counts from its first appearance, use 1 or more.")
        if max_size is not None and max_size <= len(SPECIALS):
            raise ValueError(f"max_size={max_size} leaves no room beside the {len(SPECIALS)} specials.")
        counts: Counter[str] = Counter()
        for sentence in sentences:
            if isinstance(sentence, str):
                raise TypeError(f"Vocabulary.build needs tokens, not the string {sentence[:30]!r}; use tokenise first.")
            counts.update(sentence)
        words = sorted(
            (w for w, n in counts.items() if n >= min_count and w not in SPECIALS), key=lambda w: (-counts[w], w)
        )
        return cls(words if max_size is None else words[: max_size - len(SPECIALS)])

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Tokens to ids; a word outside the vocabulary becomes UNK. Neither BEGIN nor END is added."""
        if isinstance(tokens, str):
            raise TypeError(f"encode needs tokens, not the string {tokens[:30]!r}; use encode(tokenise(text)).")
        return [self._ids.get(token, UNK) for token in tokens]

    def decode(self, ids: Iterable[int] | Tensor, stop_at_end: bool = True) -> tuple[str, ...]:
        """Ids of one sentence to words, up to the first END, without PAD and BEGIN.

        `stop_at_end=False` names every id, specials included: what the model wrote, unabridged.
        """
        words = []
        for i in ids.tolist() if isinstance(ids, Tensor) else ids:
            if not isinstance(i, int) or not 0 <= i < len(self.words):
                raise ValueError(f"{i!r} is no id of this vocabulary; it has 0 to {len(self.words) - 1}.")
            if stop_at_end and i == END:
                break
            if not (stop_at_end and i in (PAD, BEGIN)):
                words.append(self.words[i])
        return tuple(words)

    def unknown(self, tokens: Iterable[str]) -> list[str]:
        """The tokens this vocabulary does not know, each once, in the order of the sentence."""
        return list(dict.fromkeys(token for token in tokens if token not in self._ids))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __repr__(self) -> str:
        return f"Vocabulary({len(self.words) - len(SPECIALS)} words + {len(SPECIALS)} specials)"
