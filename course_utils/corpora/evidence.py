"""Documents whose evidence is known: what has the queen to do with? Notebook 11.

Eight sentences of the course's corpus (CC0), each about one person and one thing. The things are of four kinds, two
sentences each, so that the bag of a document's words is the same for all classes: the class is the kind of thing in
*the* sentence whose person is the queen. A model must find this sentence and, in it, two words. Persons and things are
dealt out anew for every document (a thing by others of its sort: an apple by an egg); the sentences around them are
different ones in train, valid and test.
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
_SORTS = (  # kind, tags that a thing has (all of them), and one that it has not: things that may stand for each other
    (0, {"animal"}, ""), (1, {"food", "count"}, ""), (1, {"food", "mass"}, ""), (1, {"drink", "mass"}, ""),
    (2, {"written", "lengthy"}, "hardtask"), (2, {"read"}, ""), (3, {"place", "inside"}, ""),
)  # fmt: skip
_PEOPLE = frozenset(word for n in NOUNS if n.tags & {"human", "role", "kin"} for word in (n.en, n.en_plural))
_ONE = frozenset(n.en for n in NOUNS if n.tags & {"human", "role", "kin"})
_ROLES = tuple(n.en for n in NOUNS if "role" in n.tags and n.en not in (QUEEN, "actress"))  # "a" stands before all
_THIRD = frozenset("he she him her his hers himself herself it".split())  # whose person has another gender


class Template(NamedTuple):
    """A sentence with a place for a person and one for a thing."""

    words: tuple[str, ...]
    person: int
    thing: int
    kind: int
    things: tuple[str, ...]  # what may stand there

    def filled(self, person: str, thing: str) -> tuple[str, ...]:
        words = list(self.words)
        words[self.person], words[self.thing] = person, thing
        return tuple(words)


@cache
def _things() -> dict[str, tuple[int, tuple[str, ...]]]:
    """Word -> its kind, and the words of its sort and number."""
    found = {}
    for kind, tags, not_this in _SORTS:
        nouns = [n for n in NOUNS if tags <= n.tags and not_this not in n.tags]
        for forms in ([n.en for n in nouns], [n.en_plural for n in nouns if "mass" not in n.tags]):
            found |= {word: (kind, tuple(forms)) for word in forms}
    return found


@cache
def templates() -> tuple[Template, ...]:
    """The sentences of the corpus's training part, each once, that have one person and one thing of a known kind."""
    found: dict[tuple[str, ...], Template] = {}
    for pair in load_split("train"):
        words, tags = pair.source, pair.source_tags
        if len(words) > MOST_WORDS or _THIRD & set(words):
            continue
        its = [k for k, tag in enumerate(tags) if tag == "NOUN"]
        people = [k for k in its if words[k] in _PEOPLE]
        things = [k for k in its if words[k] not in _PEOPLE]
        if len(people) == len(things) == 1 and words[people[0]] in _ONE and words[things[0]] in _things():
            if words[people[0] - 1] == "an":
                continue
            kind, others = _things()[words[things[0]]]
            others = others if words[things[0] - 1] not in ("a", "an") else (words[things[0]],)
            template = Template(words, people[0], things[0], kind, others)
            found.setdefault(template.filled("", ""), template)
    return tuple(found.values())


def evidence_documents(split: str, n: int | None = None) -> list[Document]:
    """The first `n` documents of "train", "valid" or "test" (None: all). `gold`: the queen's sentence, and the places
    of the queen and of the thing in it."""
    if split not in SIZES:
        raise ValueError(f"unknown split {split!r}: one of {', '.join(map(repr, SIZES))}.")
    n = SIZES[split] if n is None else n
    if not 1 <= n <= SIZES[split]:
        raise ValueError(f"n={n}: use 1 to {SIZES[split]}.")
    mine = [_mine(kind, split) for kind in range(len(KINDS))]
    rng = random.Random(f"evidence {split}")
    return [_document(mine, k % len(KINDS), rng) for k in range(n)]


def _mine(kind: int, split: str) -> list[Template]:
    """The templates of one kind in one part. Valid and test name no thing that training cannot name."""
    parts: dict[str, list[Template]] = {name: [] for name in SIZES}
    for k, template in enumerate(t for t in templates() if t.kind == kind):
        parts[("train", "valid", "train", "test", "train")[k % 5]].append(template)
    known = {word for t in parts["train"] for word in t.things}
    return [t for t in parts[split] if known.issuperset(t.things)]


def _document(mine: list[list[Template]], label: int, rng: random.Random) -> Document:
    chosen = [template for some in mine for template in rng.sample(some, 2)]
    queens = 2 * label + rng.randrange(2)
    people = rng.choices(_ROLES, k=len(chosen))
    people[queens] = QUEEN
    order = rng.sample(range(len(chosen)), len(chosen))
    sentences = tuple(chosen[k].filled(people[k], rng.choice(chosen[k].things)) for k in order)
    return Document(sentences, label, gold=(order.index(queens), (chosen[queens].person, chosen[queens].thing)))


@cache
def evidence_vocabulary() -> Vocabulary:
    return Vocabulary.build(sentence for document in evidence_documents("train") for sentence in document.sentences)


def evidence_hash() -> str:
    """Twelve hex digits for the scoreboard: they change with the corpus and with every document."""
    said = repr((corpus_hash(), [evidence_documents(split) for split in SIZES]))
    return hashlib.sha256(said.encode()).hexdigest()[:12]
