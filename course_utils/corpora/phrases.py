"""Noun phrases of the generated corpus: both languages are written together, so that every word knows its partner.

A synchronous grammar (Aho and Ullman 1969) rewrites two sentences by one derivation; gold alignments, tags and
agreements are what the derivation knows anyway. `Draft` holds one sentence in the making.
"""

import random
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate

from course_utils.corpora.lexicon import (
    ADJECTIVES,
    NOUNS,
    PARTS,
    PLACES,
    POSSESSIVES,
    PREPOSITIONS,
    PRONOUNS,
    WHO,
    Adjective,
    Noun,
)
from course_utils.corpora.morphology import agree


class Word:
    """A token in the making; compared by identity. `number` is set on English nouns and French adjectives."""

    __slots__ = ("text", "tag", "number")

    def __init__(self, text: str, tag: str, number: str = ""):
        self.text, self.tag, self.number = text, tag, number


@dataclass
class Phrase:
    """Words of both sides, and what agreement must know. `pronoun` is what English would call it; `head` is None
    for coordinations; `closed` phrases take no further modifier."""

    en: list[Word]
    fr: list[Word]
    nouns: tuple[Noun, ...] = ()
    head: Word | None = None
    person: int = 2
    gender: str = "m"
    number: str = "sg"
    pronoun: str = ""
    embeds: bool = False                                 # holds a clause

    @property
    def tags(self) -> frozenset[str]:
        """Tags that all its nouns share; a pronoun without antecedent is a grown person."""
        return frozenset.intersection(*(n.tags for n in self.nouns)) if self.nouns else frozenset(("human", "grown"))


@dataclass
class Draft:
    """One sentence in the making: links (Word, Word, sure), agreements (subject Word, verb Word), combinations."""

    rng: random.Random
    links: list[tuple[Word, Word, bool]] = field(default_factory=list)
    agreements: list[tuple[Word, Word]] = field(default_factory=list)
    combinations: list[tuple[str, str]] = field(default_factory=list)
    used: list[str] = field(default_factory=list)        # content lemmas: none comes twice
    later: bool = False                                  # past the first clause: "them" could mean its nouns
    described: list[tuple[str, str]] = field(default_factory=list)     # (noun, group of an adjective): none twice

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def pick(self, items: Sequence, weights: Sequence[float] | None = None):
        """One item; the only source of choice, so that seeds mean the same in every Python."""
        if weights is None:
            return items[int(self.rng.random() * len(items))]
        total = list(accumulate(weights))
        return items[min(bisect(total, self.rng.random() * total[-1]), len(items) - 1)]

    def pair(self, english: str, french: str, tag: str, french_tag: str = "") -> tuple[Word, Word]:
        """Two new words, surely linked."""
        en, fr = Word(english, tag), Word(french, french_tag or tag)
        self.links.append((en, fr, True))
        return en, fr

    def link(self, en: Word, fr: Word, sure: bool = False) -> None:
        self.links.append((en, fr, sure))


@cache
def nouns_with(tags: tuple[str, ...], number: str) -> tuple[tuple[Noun, ...], tuple[float, ...]]:
    """Nouns that carry one of `tags`, with their frequencies; "pl" leaves mass nouns out."""
    wanted = frozenset(tags)
    found = tuple(n for n in NOUNS if n.tags & wanted and not (number == "pl" and "mass" in n.tags))
    return found, tuple(n.weight for n in found)


def meaning(adjective: Adjective, tags: frozenset[str]) -> tuple[str, bool] | None:
    """French adjective and whether it comes before the noun, decided by what it describes; None: does not fit."""
    return next(((french, before) for fits, french, before in adjective.senses if fits & tags), None)


@cache
def adjectives_for(tags: frozenset[str], attributive: bool) -> tuple[tuple[Adjective, ...], tuple[float, ...]]:
    unfit = ("pred" if not tags & {"tall"} else "") if attributive else "attr"
    found = tuple(a for a in ADJECTIVES if meaning(a, tags) and (not a.use or a.use != unfit))
    return found, tuple(a.weight for a in found)


def pronoun_for(noun: Noun, number: str) -> str:
    """The English pronoun that would stand for it: people by the French gender (doctors are "he"), the rest "it"."""
    if number == "pl":
        return "they"
    return ("she" if noun.gender == "f" else "he") if noun.tags & frozenset(WHO) else "it"


def determiner(draft: Draft, noun: Noun, number: str, allowed: str, before: bool) -> tuple[list[Word], list[Word]]:
    """`allowed`: letters of t(he) i(ndefinite) p(ossessive) d(emonstrative) n(umeral), or "-" for a and any under
    negation, where French has de. `before`: an adjective precedes the French noun (de vieux livres)."""
    weights = {"t": 10.0, "i": 2.5, "p": 6.0 if "kin" in noun.tags else 2.5, "d": 1.6, "n": 0.6, "-": 1.0}
    kinds = [k for k in allowed if not (k == "n" and number == "sg") and not (k == "i" and "nosome" in noun.tags)
             and not (k == "p" and "human" in noun.tags)]
    if "kin" in noun.tags and "p" in kinds:
        kinds = ["p"]                                    # my sister; but the sister of the king
    kind = draft.pick(kinds, [weights[k] for k in kinds])
    slot = 2 if number == "pl" else 1 if noun.gender == "f" else 0
    mass = "mass" in noun.tags
    if kind == "-":
        en, fr = draft.pair("any" if number == "pl" or mass else "a", "de", "DET")
    elif kind == "t":
        en, fr = draft.pair("the", ("le", "la", "les")[slot], "DET")
    elif kind == "i" and mass:                           # du pain, de la soupe, de l' eau
        en, de = draft.pair("some", "de", "DET")
        fr = Word(("le", "la")[slot], "DET")
        draft.link(en, fr, True)
        return [en], [de, fr]
    elif kind == "i":
        en, fr = draft.pair("some" if number == "pl" else "a", ("un", "une", "de" if before else "des")[slot], "DET")
    elif kind == "p":
        english = draft.pick(tuple(POSSESSIVES), (6, 3, 4, 4, 2.5, 2.5))
        en, fr = draft.pair(english, POSSESSIVES[english][slot], "DET")
    elif kind == "d":
        word = draft.pick(("these", "those") if number == "pl" else ("this", "that"), (2, 1))
        en, fr = draft.pair(word, ("ce", "cette", "ces")[slot], "DET")
    else:
        en, fr = draft.pair(*draft.pick((("two", "deux"), ("three", "trois"))), "NUM")
    return [en], [fr]


def attributes(draft: Draft, noun: Noun, number: str, count: int) -> tuple[list[Word], list[Word], list[Word]]:
    """At most one adjective that stands before the French noun and one after it: (English, before, after)."""
    found, weights = adjectives_for(noun.tags, True)
    english, placed = [], {True: [], False: []}
    for _ in range(count if found and "kin" not in noun.tags else 0):
        adjective = draft.pick(found, weights)
        french, before = meaning(adjective, noun.tags)
        if placed[before] or adjective.en in draft.used or (noun.en, adjective.group) in draft.described:
            continue
        draft.described.append((noun.en, adjective.group))
        en, fr = draft.pair(adjective.en, agree(french, noun.gender, number), "ADJ")
        fr.number = number
        draft.used.append(adjective.en)
        draft.combinations.append((adjective.en, noun.en))
        placed[before].append(fr)
        english.insert(0 if before else len(english), en)
    return english, placed[True], placed[False]


def simple(draft: Draft, tags: Sequence[str], extra: int = 0, allowed: str = "tipdn", number: str = "") -> Phrase:
    """Determiner, adjectives, noun. `tags`: what the noun may be; `extra`: words of room for adjectives."""
    number = number or draft.pick(("sg", "pl"), (3, 2))
    found, weights = nouns_with(tuple(tags), number)
    if not found:
        number = "sg"
        found, weights = nouns_with(tuple(tags), number)
    noun = draft.pick(found, weights)
    if noun.tags & {"mass", "single"}:
        number = "sg"
    count = 0 if extra < 1 else draft.pick((0, 1, 2), (1, 4, 1 if extra > 1 else 0))
    adjectives, before, after = attributes(draft, noun, number, count)
    dets_en, dets_fr = determiner(draft, noun, number, allowed, bool(before))
    en, fr = draft.pair(noun.en if number == "sg" else noun.en_plural,
                        noun.fr if number == "sg" else noun.fr_plural, "NOUN")
    en.number = number
    draft.used.append("noun " + noun.en)
    return Phrase(dets_en + adjectives + [en], dets_fr + before + [fr] + after, (noun,), en, 2 if number == "sg" else 5,
                  noun.gender, number, pronoun_for(noun, number))


def pronoun(draft: Draft, english: str) -> Phrase:
    """A subject pronoun. "you" is vous and "they" is ils, both masculine plural; "it" comes from a noun instead."""
    _, french, _, _, person, gender, number = PRONOUNS[english]
    en, fr = draft.pair(english, french, "PRON")
    return Phrase([en], [fr], (), en, person, gender, number, english)


def referring(draft: Draft, antecedent: Phrase) -> Phrase:
    """The subject pronoun that stands for `antecedent`, in its French gender."""
    if not antecedent.nouns:
        return pronoun(draft, antecedent.pronoun)
    french = {"m": "il", "f": "elle"}[antecedent.gender] + ("s" if antecedent.number == "pl" else "")
    en, fr = draft.pair(antecedent.pronoun, french, "PRON")
    return Phrase([en], [fr], antecedent.nouns, en, antecedent.person, antecedent.gender, antecedent.number,
                  antecedent.pronoun)


def prepositional(draft: Draft, english: str, inner: Phrase) -> Phrase:
    """Preposition and noun phrase; all French words of the preposition belong to it (near: près sure, de possible)."""
    first, *rest = PREPOSITIONS[english]
    en, fr = draft.pair(english, first, "ADP", "ADV" if rest else "ADP")
    words = [fr]
    for text in rest:
        words.append(Word(text, "ADP"))
        draft.link(en, words[-1])
    return Phrase([en, *inner.en], [*words, *inner.fr], embeds=inner.embeds)


def place(draft: Draft, extra: int, tags: frozenset[str] = frozenset()) -> Phrase:
    """in the garden, near the old houses; `tags` of what is there: only small things and animals are on or under."""
    if tags & {"portable", "animal"} and "ridden" not in tags:
        english = draft.pick(tuple(PLACES), (4, 3, 3, 3, 2))
    else:
        english = draft.pick(("in", "near", "behind"), (4 if not tags & {"big", "place"} else 0, 3, 2))
    wanted = ("in", "inside") if english == "in" and "portable" in tags else (PLACES[english],)
    return prepositional(draft, english, simple(draft, wanted, extra, "tpd"))


def join(draft: Draft, parts: list[Phrase], conjunction: tuple[str, str] = ("and", "et")) -> tuple[list, list]:
    """a , b and c"""
    en, fr = list(parts[0].en), list(parts[0].fr)
    for k, part in enumerate(parts[1:], 2):
        english, french = conjunction if k == len(parts) else (",", ",")
        a, b = draft.pair(english, french, "CCONJ" if english != "," else "PUNCT")
        en, fr = en + [a, *part.en], fr + [b, *part.fr]
    return en, fr


def coordination(draft: Draft, tags: Sequence[str], extra: int, allowed: str = "tipd") -> Phrase:
    """Two or three simple phrases; plural, masculine if one of them is. No modifier may follow."""
    kind = draft.pick([t for t in tags if nouns_with((t,), "pl")[0]] or list(tags))
    count = 3 if extra >= 7 and draft.chance(0.4) else 2
    parts = [simple(draft, (kind,), (extra - 3 * count + 3) // count, allowed) for _ in range(count)]
    en, fr = join(draft, parts)
    gender = "f" if all(part.gender == "f" for part in parts) else "m"
    return Phrase(en, fr, tuple(p.nouns[0] for p in parts), None, 5, gender, "pl", "they")


def noun_phrase(draft: Draft, tags: Sequence[str], extra: int = 0, allowed: str = "tipdn",
                relative: Callable | None = None, alone: bool = True) -> Phrase:
    """A noun phrase of about 2 + `extra` English words: adjectives, an attractor or a relative clause.

    `relative(draft, phrase, extra)` writes the relative clause; None: none wanted. `alone`: coordination allowed.
    """
    if alone and extra >= 3 and draft.chance(0.18):
        return coordination(draft, tags, extra, allowed.replace("n", ""))
    kind = "none"
    if extra >= 2:
        near = 0 if extra < 3 else 3 if extra < 9 else 2
        clause = (3 if near else 0.3) if relative else 0
        weights = (3 if near else 0, near, clause, 1.5 if extra < 7 else 0.2)
        kind = draft.pick(("of", "place", "relative", "none"), weights)
    inside = {"of": 3, "place": 3, "relative": min(extra, 3)}.get(kind, 0)
    head_room = min(extra - inside, draft.pick((0, 1, 2), (3, 3, 1)) if inside else extra)
    head = simple(draft, tags, head_room, "t" if kind == "of" else allowed)
    noun, room = head.nouns[0], extra - inside - head_room
    if kind == "relative":
        return relative(draft, head, extra - head_room)
    if kind == "of":
        owner = () if "mass" in noun.tags else _owner_tags(noun)
        if not owner:
            return head
        inner = noun_phrase(draft, owner, min(room, 5), "tpd", relative if room >= 4 else None, alone=False)
        post = prepositional(draft, "of", inner)
    elif kind == "place":
        if not noun.tags & {"human", "role", "kin", "animal", "thing", "place"} or noun.tags & {"mass", "part"}:
            return head
        if noun.tags & frozenset(WHO) and draft.chance(0.3):
            post = prepositional(draft, "with", simple(draft, ("animal", "portable"), room, "tpd"))
        else:
            post = place(draft, room, noun.tags)
    else:
        return head
    head.en, head.fr, head.embeds = head.en + post.en, head.fr + post.fr, post.embeds
    return head


def _owner_tags(noun: Noun) -> tuple[str, ...]:
    """What may follow "of": the whole of a part, else a person."""
    if noun.en in PARTS and PARTS[noun.en] != ("none",):
        return PARTS[noun.en]
    if noun.tags & {"human", "place"} or noun.en in ("tree", "street"):
        return ()
    if noun.tags & {"role"} and "kinlike" not in noun.tags:
        return ()
    return ("role", "human", "kin")

