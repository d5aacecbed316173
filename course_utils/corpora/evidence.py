"""Documents whose evidence is known: what has the queen to do with? Notebook 11.

Eight sentences of the course's corpus (CC0), each about one person and one thing. The things are of four kinds, two
sentences each, so that the bag of a document's words is the same for all classes: the class is the kind of thing in
*the* sentence whose person is the queen. A model must find this sentence and, in it, two words. The sentences of train,
valid and test are different ones; the persons are dealt out anew for every document.
"""

import hashlib
import random
from functools import cache
from typing import NamedTuple

from course_utils.corpora.document import Document
from course_utils.corpora.lexicon import NOUNS
from course_utils.corpora.mini import corpus_hash, load_split
from course_utils.text.vocabulary import Vocabulary

KINDS = ("an animal", "food", "a text", "a place")
QUEEN = "queen"
SIZES = {"train": 3000, "valid": 500, "test": 1000}
MOST_WORDS = 12
_BY_TAG = (("animal", 0), ("food", 1), ("drink", 1), ("read", 2), ("written", 2), ("furniture", 3), ("place", 3))
_PEOPLE = frozenset(word for n in NOUNS if n.tags & {"human", "role", "kin"} for word in (n.en, n.en_plural))
_ROLES = tuple(n.en for n in NOUNS if "role" in n.tags and n.en not in (QUEEN, "actress"))  # "a" stands before all
_THIRD = frozenset("he she him her his hers himself herself it".split())  # whose person has another gender


class Template(NamedTuple):
    """A sentence with a place for a person."""

    words: tuple[str, ...]
    person: int
    thing: int  # where its one thing stands
    kind: int


@cache
def templates() -> tuple[Template, ...]:
    """The sentences of the corpus's training part, each once, that have one person and one thing of a known kind."""
    kinds = {w: kind for tag, kind in _BY_TAG for n in NOUNS if tag in n.tags for w in (n.en, n.en_plural)}
    found: dict[tuple[str, ...], Template] = {}
    for pair in load_split("train"):
        words, tags = pair.source, pair.source_tags
        if len(words) > MOST_WORDS or _THIRD & set(words):
            continue
        its = [k for k, tag in enumerate(tags) if tag == "NOUN"]
        people = [k for k in its if words[k] in _PEOPLE]
        things = [k for k in its if words[k] not in _PEOPLE]
        if len(people) == len(things) == 1 and words[people[0]] in (*_ROLES, QUEEN) and words[things[0]] in kinds:
            pattern = (*words[: people[0]], "", *words[people[0] + 1 :])
            found.setdefault(pattern, Template(words, people[0], things[0], kinds[words[things[0]]]))
    return tuple(found.values())


def evidence_documents(split: str, n: int | None = None) -> list[Document]:
    """The first `n` documents of "train", "valid" or "test" (None: all). `gold`: the queen's sentence, and the places of
    the queen and of the thing in it."""
    if split not in SIZES:
        raise ValueError(f"unknown split {split!r}: one of {', '.join(map(repr, SIZES))}.")
    n = SIZES[split] if n is None else n
    if not 1 <= n <= SIZES[split]:
        raise ValueError(f"n={n}: use 1 to {SIZES[split]}.")
    mine = [[t for k, t in enumerate(_of(kind)) if _part(k) == split] for kind in range(len(KINDS))]
    rng = random.Random(f"evidence {split}")
    return [_document(mine, k % len(KINDS), rng) for k in range(n)]


def _of(kind: int) -> list[Template]:
    return [template for template in templates() if template.kind == kind]


def _part(k: int) -> str:
    return ("train", "valid", "train", "test", "train")[k % 5]


def _document(mine: list[list[Template]], label: int, rng: random.Random) -> Document:
    chosen = [template for some in mine for template in rng.sample(some, 2)]
    queens = 2 * label + rng.randrange(2)
    people = rng.choices(_ROLES, k=len(chosen))
    people[queens] = QUEEN
    order = rng.sample(range(len(chosen)), len(chosen))
    sentences = tuple((*t.words[: t.person], people[k], *t.words[t.person + 1 :]) for k in order for t in [chosen[k]])
    return Document(sentences, label, gold=(order.index(queens), (chosen[queens].person, chosen[queens].thing)))


@cache
def evidence_vocabulary() -> Vocabulary:
    return Vocabulary.build(sentence for document in evidence_documents("train") for sentence in document.sentences)


def evidence_hash() -> str:
    """Twelve hex digits for the scoreboard: they change with the corpus and with every document."""
    said = repr((corpus_hash(), [evidence_documents(split) for split in SIZES]))
    return hashlib.sha256(said.encode()).hexdigest()[:12]
