"""The synchronous grammar of the generated corpus: sentences (clauses: clauses.py; noun phrases: phrases.py).

`sample(rng, room)` writes one English sentence of about `room` tokens together with its French one, tags, gold links
and agreements. Everything French needs is in the English string or fixed by a rule of data/README.md, so that a
source has exactly one target. Notebooks 06 to 18 translate these sentences.
"""

import random
from dataclasses import dataclass

from course_utils.corpora.clauses import (
    SUBORDINATE,
    adjunct,
    clause,
    pick_tense,
    pick_verb,
    predicate,
    subject_phrase,
    verb_group,
)
from course_utils.corpora.lexicon import PRONOUNS
from course_utils.corpora.morphology import BEFORE_VOWEL, starts_with_vowel
from course_utils.corpora.pair import Agreement, Pair
from course_utils.corpora.phrases import Draft, Phrase, Word, join, referring, simple

CONTRACTIONS = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A pair, and its combinations: (adjective, noun) and (verb, object noun) by English lemma."""

    pair: Pair
    combinations: frozenset[tuple[str, str]]


def joined(draft: Draft, first, second, kind: str):
    """Two clauses with and, but or because."""
    if kind == "because":
        because, parce, que = Word("because", "SCONJ"), Word("parce", "SCONJ"), Word("que", "SCONJ")
        draft.link(because, parce, True)
        draft.link(because, que, True)
        return first[0] + [because] + second[0], first[1] + [parce, que] + second[1]
    return join(draft, [Phrase(*first), Phrase(*second)], {"and": ("and", "et"), "but": ("but", "mais")}[kind])


def statement(draft: Draft, room: int):
    return clause(draft, room, tuple(PRONOUNS))


def compound(draft: Draft, room: int):
    """Two clauses; the second has no pronoun that would need an antecedent."""
    tense = pick_tense(draft) if draft.chance(0.7) else ""
    half = int(room * (0.35 + 0.3 * draft.rng.random()))
    first = clause(draft, half, tuple(PRONOUNS), tense=tense)
    draft.later = True
    second = clause(draft, room - half - 1, tense=tense) if first else None
    return joined(draft, first[:2], second[:2], draft.pick(("and", "but", "because"), (4, 2, 2))) if second else None


def list_of_clauses(draft: Draft, room: int):
    """A , B and C"""
    tense = pick_tense(draft)
    parts = []
    for k in range(3):
        parts.append(clause(draft, room // 3 - 1, SUBORDINATE if k else tuple(PRONOUNS), tense=tense))
        draft.later = True
    return join(draft, [Phrase(*part[:2]) for part in parts]) if all(parts) else None


def shared_subject(draft: Draft, room: int):
    """The boy sees the dog and smiles: the second verb is far from its subject."""
    tense = draft.pick(("present", "past"))
    half = int(room * (0.5 + 0.2 * draft.rng.random()))
    subject = subject_phrase(draft, max(half - 5, 0), tuple(PRONOUNS), 0.2, False)
    first = predicate(draft, subject, tense, max(half - len(subject.en) - 1, 0), plain=True)
    draft.later = True
    second = predicate(draft, subject, tense, max(room - half - 2, 0), plain=True) if first else None
    if not second or first.embeds:
        return None
    en, fr = join(draft, [Phrase(first.en, first.fr), Phrase(second.en, second.fr)],
                  draft.pick((("and", "et"), ("but", "mais")), (4, 1)))
    return subject.en + en, subject.fr + fr


def referring_clauses(draft: Draft, room: int):
    """The girl buys an apple and she eats it: pronouns take their French gender from the first clause."""
    tense = draft.pick(("present", "past", "future"), (5, 4, 1))
    kind = draft.pick(("and", "but", "because"), (5, 2, 2))
    if draft.chance(0.45):
        first = clause(draft, room - 4 - int(draft.rng.random() * 4), tense=tense, plain=True)
        if first is None or not first[2].nouns or any(w.number for w in first[0][len(first[2].en):]):
            return None                                  # no other noun may compete for the pronoun
        subject, draft.later = referring(draft, first[2]), True
        second = predicate(draft, subject, tense, max(room - len(first[0]) - 3, 1))
        return joined(draft, first[:2], (subject.en + second.en, subject.fr + second.fr), kind) if second else None
    subject = subject_phrase(draft, max(room - 10, 0), SUBORDINATE, 0.35, False)
    verb = pick_verb(draft, "object", subject.tags, stative=False)
    if verb is None:
        return None
    found = simple(draft, tuple(sorted(verb.objects)), max(room - len(subject.en) - 7, 0), "tipd")
    other = pick_verb(draft, "object", subject.tags, found.tags, stative=tense != "past" or kind == "because")
    if other is None or found.pronoun == subject.pronoun:
        return None
    group = verb_group(draft, subject, verb, tense)
    again = referring(draft, subject)
    english = {"it": "it", "they": "them", "he": "him", "she": "her"}[found.pronoun]
    french = "les" if found.number == "pl" else {"m": "le", "f": "la"}[found.gender]
    negation = "not" if kind == "but" or draft.chance(0.1) else ""
    last = verb_group(draft, again, other, tense, clitic=draft.pair(english, french, "PRON"),
                      agrees=(found.gender, found.number), negation=negation)
    draft.combinations += [(v.en[0], found.nouns[0].en) for v in (verb, other)]
    return joined(draft, (subject.en + group.en + found.en, subject.fr + group.fr + found.fr),
                  (again.en + last.en, again.fr + last.fr), kind)


def reported(draft: Draft, room: int):
    """The king knows that ...: savoir, where a noun phrase would take connaître."""
    subject = subject_phrase(draft, max(room - 9, 0) // 2, tuple(PRONOUNS), 0.4, False)
    verb = pick_verb(draft, "clause", subject.tags)
    if verb is None:
        return None
    group = verb_group(draft, subject, verb, "present")
    en, fr = draft.pair("that", "que", "SCONJ")
    draft.later = True
    inner = clause(draft, room - len(subject.en) - 2)
    return (subject.en + group.en + [en] + inner[0], subject.fr + group.fr + [fr] + inner[1]) if inner else None


def fronted(draft: Draft, room: int):
    """In the garden , the boy sings"""
    tense = pick_tense(draft)
    first = adjunct(draft, tense, 3 if room < 12 else 4, frozenset(), timed=True)
    main = clause(draft, room - len(first.en) - 1, tuple(PRONOUNS), tense=tense) if first.en[0].text != "here" else None
    if main is None:
        return None
    return join(draft, [Phrase(first.en, first.fr), Phrase(*main[:2])], (",", ","))


def question(draft: Draft, room: int):
    asked = draft.pick(("", "where", "why"), (6, 1, 1))
    found = clause(draft, room - bool(asked), tuple(PRONOUNS), question=True, asked=asked)
    return found[:2] if found else None


def sample(rng: random.Random, room: int) -> Sample | None:
    """One sentence of about `room` tokens with its last mark; None where the draft went wrong (try again)."""
    draft = Draft(rng)
    kinds = {statement: 6.0, question: 1.6 if room <= 14 else 0.4, compound: 0.25 * room if room >= 6 else 0,
             shared_subject: 1.0 if room >= 6 else 0, referring_clauses: 2.2 if 8 <= room <= 18 else 0,
             reported: 1.0 if room >= 7 else 0, fronted: 0.8 if room >= 7 else 0,
             list_of_clauses: 2.0 if room >= 16 else 0}
    kind = draft.pick(list(kinds), list(kinds.values()))
    made = kind(draft, room - 1)
    if made is None or len(set(draft.used)) < len(draft.used):
        return None
    last = draft.pair("?" if kind is question else ".", "?" if kind is question else ".", "PUNCT")
    return finish(draft, made[0] + [last[0]], made[1] + [last[1]])


def finish(draft: Draft, english: list[Word], french: list[Word]) -> Sample | None:
    """Contraction, elision, a/an; words become indices. None for "that that"."""
    for k, word in enumerate(english[:-1]):
        following = english[k + 1].text
        if word.text == "a" and following[0] in "aeiou":
            word.text = "an"
        if word.text == "that" and following == "that":
            return None
    links, words, k = list(draft.links), [], 0
    while k < len(french):
        word = french[k]
        pair = (word.text, french[k + 1].text) if k + 1 < len(french) else ("", "")
        vowel_after = k + 2 < len(french) and starts_with_vowel(french[k + 2].text)
        if pair in CONTRACTIONS and french[k + 1].tag == "DET" and not (pair[1] == "le" and vowel_after):
            merged = Word(CONTRACTIONS[pair], word.tag)
            links += [(en, merged, sure) for en, fr, sure in draft.links if fr is word or fr is french[k + 1]]
            word, k = merged, k + 1
        elif k + 1 < len(french) and starts_with_vowel(french[k + 1].text) and not _blocked(word, french[k + 1]):
            word.text = BEFORE_VOWEL.get(word.text, word.text)
        words.append(word)
        k += 1
    rows, columns = {id(w): i for i, w in enumerate(english)}, {id(w): j for j, w in enumerate(words)}
    found = [(rows[id(e)], columns[id(f)], sure) for e, f, sure in links if id(e) in rows and id(f) in columns]
    sure = frozenset((i, j) for i, j, is_sure in found if is_sure)
    agreements = []
    for subject, verb in draft.agreements:
        if id(subject) in rows and id(verb) in rows:
            i, j = rows[id(subject)], rows[id(verb)]
            number = subject.number or ("sg" if subject.text in ("i", "he", "she", "it") else "pl")
            between = tuple(k for k in range(i + 1, j) if english[k].number and english[k].number != number)
            agreements.append(Agreement(i, j, between))
    return Sample(Pair(tuple(w.text for w in english), tuple(w.text for w in words), tuple(w.tag for w in english),
                       tuple(w.tag for w in words), sure, frozenset((i, j) for i, j, _ in found),
                       tuple(sorted(agreements, key=lambda a: (a.verb, a.subject)))), frozenset(draft.combinations))


def _blocked(word: Word, following: Word) -> bool:
    """An adjective takes its prevocalic form only before its singular noun: un vieil ami, but vieux et lourd."""
    return word.tag == "ADJ" and (following.tag != "NOUN" or word.number == "pl")
