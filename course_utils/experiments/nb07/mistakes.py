"""What a translator gets wrong, word by word: the right word in a wrong form, or another word. Notebook 07, section 4.

The corpus gives the answer itself: two French words are forms of one word if its gold alignment links both to the same
English word somewhere (*petits* and *petites* to *small*, *je* and *j'* to *i*).
"""

from collections.abc import Iterable, Mapping, Sequence

from course_utils.corpora.pair import Pair

FORM, OTHER = "another form of the right word", "another word"


def meanings(pairs: Iterable[Pair]) -> dict[str, set[str]]:
    """Each target word with the source words that it is surely linked to, anywhere in `pairs`."""
    found: dict[str, set[str]] = {}
    for pair in pairs:
        for j, i in pair.sure:
            found.setdefault(pair.target[i], set()).add(pair.source[j])
    return found


def wrong_words(said: Sequence[str], wanted: Sequence[str]) -> list[tuple[str, str]]:
    """(wanted, said) where the two differ, word by word. Only translations of the right length can be compared so: the
    others give none."""
    if len(said) != len(wanted):
        return []
    return [(right, wrong) for right, wrong in zip(wanted, said, strict=True) if right != wrong]


def kind(right: str, wrong: str, known: Mapping[str, set[str]]) -> str:
    """FORM if both words translate one English word, else OTHER. `known`: of `meanings`."""
    return FORM if known.get(right, set()) & known.get(wrong, set()) else OTHER


def mistakes(
    outputs: Sequence[Sequence[str]], pairs: Sequence[Pair], known: Mapping[str, set[str]]
) -> list[tuple[str, str, str]]:
    """(wanted, said, kind) of every wrong word in `outputs`, the translations of `pairs`."""
    found = [w for said, pair in zip(outputs, pairs, strict=True) for w in wrong_words(said, pair.target)]
    return [(right, wrong, kind(right, wrong, known)) for right, wrong in found]
