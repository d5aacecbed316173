"""Clauses of the generated corpus: verbs with all that belongs to them, predicates, relative clauses, questions.

Both languages are written together (phrases.py has noun phrases, grammar.py sentences). Where French needs more than
the English clause says, the rule is in data/README.md.
"""

from dataclasses import dataclass, replace

from course_utils.corpora.lexicon import BE, FOR, NO_PLACE, PRONOUNS, VERBS, WHO, Verb
from course_utils.corpora.morphology import agree, conjugate
from course_utils.corpora.phrases import (
    Draft,
    Phrase,
    Word,
    adjectives_for,
    join,
    meaning,
    noun_phrase,
    place,
    prepositional,
    pronoun,
    simple,
)

SUBORDINATE = ("i", "you", "he", "she", "we")            # pronouns that need no antecedent to be put into French
OTHER = ("thing", "place", "text", "event", "feature", "food", "drink")


@dataclass
class Predicate:
    """`front`: the auxiliary that a question puts before the subject."""

    front: list[Word]
    en: list[Word]
    fr: list[Word]
    embeds: bool = False


def pick_tense(draft: Draft) -> str:
    return draft.pick(("present", "past", "future"), (4, 3, 2.5))


def pick_verb(draft: Draft, frame: str, subject: frozenset[str], objects: frozenset[str] | None = None,
              stative: bool = True) -> Verb | None:
    """A verb of `frame` for this subject; `objects`: tags of a given object; `stative`: such verbs allowed."""
    found = [v for v in VERBS if v.frame == frame and v.subjects & subject and (objects is None or v.objects & objects)
             and (stative or not v.stative)]
    return draft.pick(found, [v.weight for v in found]) if found else None


def verb_group(draft: Draft, subject: Phrase, verb: Verb, tense: str, *, negation: str = "", adverb: str = "",
               clitic: tuple[Word, Word] | None = None, agrees: tuple[str, str] = ("m", "sg"),
               question: bool = False) -> Predicate:
    """Both verbs with auxiliary, negation, adverb and clitic object. `agrees`: gender and number of a direct object
    that stands before a participle with avoir; with être the subject decides."""
    base, third, past = verb.en
    lexical = Word(base, "AUX" if verb is BE else "VERB")
    finite = Word("will", "AUX") if tense == "future" else lexical
    if verb is BE and tense == "present":
        lexical.text = {0: "am", 2: "is"}.get(subject.person, "are")
    elif verb is BE and tense == "past":
        lexical.text = "was" if subject.person in (0, 2) else "were"
    elif tense != "future" and (question or negation == "not"):
        finite = Word("did" if tense == "past" else "does" if subject.person == 2 else "do", "AUX")
    elif tense != "future":
        lexical.text = past if tense == "past" else third if subject.person == 2 else base
    if subject.head is not None:
        draft.agreements.append((subject.head, finite))

    compound = tense == "past" and not verb.stative
    tag = "AUX" if verb is BE or compound else "VERB"
    if compound:
        gender_number = (subject.gender, subject.number) if verb.etre else agrees
        conjugated = Word(conjugate("être" if verb.etre else "avoir", "present")[subject.person], tag)
        parts = [Word(agree(verb.participle, *gender_number), "VERB")]
        draft.link(lexical, parts[0], True)
        draft.link(lexical, conjugated)
    else:
        conjugated = Word(verb.french("imperfect" if tense == "past" else tense, subject.person), tag)
        parts = []
        draft.link(lexical, conjugated, True)
    if finite is not lexical:
        draft.link(finite, conjugated)

    middle_en, middle_fr, before = [], [], []
    if negation:
        en, fr = draft.pair(negation, "pas" if negation == "not" else "jamais", "PART" if negation == "not" else "ADV",
                            "ADV")
        before = [Word("ne", "ADV")]
        draft.link(en, before[0])
        middle_en, middle_fr = [en], [fr]
    if adverb:
        en, fr = draft.pair(adverb, {"often": "souvent", "always": "toujours"}[adverb], "ADV")
        middle_en, middle_fr = [*middle_en, en], [*middle_fr, fr]
    objects_en, objects_fr = ([clitic[0]], [clitic[1]]) if clitic else ([], [])
    if question:
        front, english = [finite], [*middle_en, *([lexical] if finite is not lexical else [])]
    elif finite is not lexical:
        front, english = [], [finite, *middle_en, lexical]
    else:
        front, english = [], [lexical, *middle_en] if verb is BE else [*middle_en, lexical]
    if verb is not BE:
        draft.used.append("verb " + base)
    return Predicate(front, english + objects_en, before + objects_fr + [conjugated, *middle_fr, *parts])


def clitic_object(draft: Draft, subject: Phrase, allowed: tuple[str, ...], dative: bool = False):
    """(words, gender and number) of an object pronoun that differs in person from the subject."""
    same = {"i": ("i", "we"), "we": ("i", "we"), "you": ("you",)}.get(subject.pronoun, ())
    english = draft.pick([p for p in allowed if p not in same])
    object_en, _, direct, indirect, _, gender, number = PRONOUNS[english]
    return draft.pair(object_en, indirect if dative else direct, "PRON"), (gender, number)


def adjunct(draft: Draft, tense: str, room: int, tags: frozenset[str], *, timed: bool = True, placed: bool = True,
            daily: bool = True, people: tuple[str, ...] = ()) -> Phrase | None:
    """now, here, every day, in the morning, near the garden, with my sister: at most about `room` words.

    `tags` of the subject; `daily`: "every day" allowed; `people`: prepositions that may bring in a person.
    """
    choices = [("here", 1.0)] if placed and "here" not in draft.used else []
    if timed:
        choices.append(({"present": "now", "past": "yesterday", "future": "tomorrow"}[tense], 1.5))
        if room >= 2 and tense == "present" and daily:
            choices.append(("every", 1.5))
        if room >= 3:
            choices.append(("part", 1.0))
    if room >= 3:
        choices += [("place", 6.0)] * placed + [("people", 1.5)] * bool(people)
    kind = draft.pick([c for c, _ in choices], [w for _, w in choices]) if choices else None
    if kind is None:
        return None
    draft.used.append("here" if kind in ("here", "place") else "people" if kind == "people" else "time")
    if kind == "place":
        return place(draft, room - 3, tags)
    if kind == "people":
        return prepositional(draft, draft.pick(people), simple(draft, WHO, room - 3, "tpd"))
    if kind == "every":
        (a, b), (c, d) = draft.pair("every", "chaque", "DET"), draft.pair("day", "jour", "NOUN")
        c.number = "sg"
        return Phrase([a, c], [b, d])
    if kind == "part":
        inn = Word("in", "ADP")
        (a, b), (c, d) = draft.pair("the", "le", "DET"), draft.pair(
            *draft.pick((("morning", "matin"), ("evening", "soir"))), "NOUN")
        c.number = "sg"
        draft.link(inn, b)
        return Phrase([inn, a, c], [b, d])
    french = {"now": "maintenant", "yesterday": "hier", "tomorrow": "demain", "here": "ici"}[kind]
    en, fr = draft.pair(kind, french, "ADV")
    return Phrase([en], [fr])


def predicate(draft: Draft, subject: Phrase, tense: str, extra: int, *, question: bool = False, plain: bool = False,
              embedded: bool = False, where: bool = False) -> Predicate | None:
    """A verb and what follows it, `extra` words long beside the verb. `plain`: no negation, no clause inside;
    `embedded`: in a subordinate clause; `where`: the question asks for the place."""
    alive, human = bool(subject.tags & {"animal", *WHO}), bool(subject.tags & frozenset(WHO))
    frames = {"none": 2.0 if alive or "portable" in subject.tags else 0.0,
              "adjective": (1.2 if alive else 4.0) if extra >= 1 else 0,
              "object": 5.0 * alive if extra >= 2 else 0, "clitic": 2.5 * alive if extra >= 1 else 0,
              "gift": 1.0 * human if extra >= 5 else 0, "gift clitic": 0.6 * human if extra >= 3 else 0,
              "answer": 0.4 * human if extra >= 2 else 0, "instrument": 0.5 * human if extra >= 2 else 0,
              "place": (0.5 if alive else 1.0) * bool(subject.tags & {"thing", "animal", *WHO}) if extra >= 3 else 0}
    if subject.en and subject.en[0].text in ("a", "some") or "part" in subject.tags:
        frames["place"] = 0                              # not: some soup is cold
    if subject.en and subject.en[0].text in ("a", "some"):
        frames["adjective"] = 0
    if where:
        frames = {f: w for f, w in frames.items() if f in ("none", "object")}
    if not any(frames.values()):
        return None
    frame = draft.pick(list(frames), list(frames.values()))
    negation = draft.pick(("", "not", "never"), (8, 2, 0.6)) if not (plain or question) else ""
    adverb = ""
    if not negation and not where and extra >= 1 and draft.chance(0.12) and frame not in ("adjective", "place"):
        adverb = "often" if tense == "past" else draft.pick(("often", "always"))
    extra -= bool(negation) + (negation == "not" and tense == "present") + bool(adverb)
    relative = None if plain or negation or embedded else relative_clause
    allowed = draft.pick(("-", "tpd"), (2, 3)) if negation else "tipdn"
    kept: dict = dict(negation=negation, adverb=adverb, question=question)
    if frame in ("adjective", "place"):
        return copula(draft, subject, tense, max(extra, 1), negation, question, frame == "place")

    verb_frame = {"clitic": "object", "gift clitic": "gift"}.get(frame, frame)
    verb = pick_verb(draft, verb_frame, subject.tags, frozenset(WHO) if frame == "clitic" else None)
    if verb is None or (verb.en[0] == "stay" and extra < 1) or (where and verb.en[0] in NO_PLACE) \
            or (plain and tense == "past" and verb.stative):
        return None
    if negation == "never" and (verb.fr == "connaître" or (verb.stative and tense == "past")):
        return None
    if (verb.stative and verb.en[0] != "want") or verb.fr == "quitter":      # not: he loves some bread
        allowed = "tpd"
    rest: list[Phrase] = []
    people = SUBORDINATE if embedded or draft.later else tuple(PRONOUNS)
    if frame == "clitic":
        words, agrees = clitic_object(draft, subject, people)
        group = verb_group(draft, subject, verb, tense, clitic=words, agrees=agrees, **kept)
        extra -= 1
    elif frame == "gift clitic":
        words, _ = clitic_object(draft, subject, people, dative=True)
        group = verb_group(draft, subject, verb, tense, clitic=words, **kept)
        extra -= 1
    else:
        group = verb_group(draft, subject, verb, tense, **kept)
    if frame in ("object", "gift", "gift clitic"):
        inner = max(extra - 2 - 3 * (frame == "gift"), 0)
        inner = int(draft.rng.random() * (inner + 1)) if inner >= 3 and draft.chance(0.5) else inner
        found = noun_phrase(draft, tuple(sorted(verb.objects)), inner, allowed, relative if frame == "object" else None,
                            alone=frame == "object" and not negation) if "-" not in allowed else \
            simple(draft, tuple(sorted(verb.objects)), min(inner, 1), "-")
        draft.combinations += [(verb.en[0], noun.en) for noun in found.nouns]
        rest.append(found)
    elif frame in ("answer", "instrument"):
        found = simple(draft, tuple(sorted(verb.objects)), min(extra - 2, 2), "tpd" if frame == "answer" else "tp",
                       "" if frame == "answer" else "sg")
        draft.combinations.append((verb.en[0], found.nouns[0].en))
        preposition = Word("à" if frame == "answer" else "de", "ADP")
        lexical = next(w for w in reversed(group.en) if w.tag == "VERB")
        draft.link(lexical, preposition)
        rest.append(Phrase(found.en, [preposition, *found.fr]))
    if frame == "gift":
        room = extra - sum(len(p.en) for p in rest) - 3
        rest.append(prepositional(draft, "to", simple(draft, WHO, max(room, 0), "tpd")))
    used = sum(len(p.en) for p in rest)
    wanted = draft.chance(0.5 if extra - used == 1 else 0.85) or verb.en[0] == "stay"
    if extra - used >= 1 and wanted and not where and not any(p.embeds for p in rest) and not verb.stative:
        company = ("with", "for") if verb.en[0] in FOR else () if verb.en[0] == "fall" else ("with",)
        company = company if human and not plain else ()
        more = adjunct(draft, tense, extra - used, subject.tags, people=company,
                       timed=not (adverb or embedded or negation == "never"), daily=not negation,
                       placed=verb.en[0] not in NO_PLACE)
        rest += [more] if more else []
    if verb.en[0] == "stay" and "here" not in draft.used:
        return None
    for phrase in rest:
        group.en, group.fr, group.embeds = group.en + phrase.en, group.fr + phrase.fr, group.embeds or phrase.embeds
    return group


def copula(draft: Draft, subject: Phrase, tense: str, extra: int, negation: str, question: bool,
           located: bool) -> Predicate | None:
    """is (very) old, is old and heavy, is in the garden"""
    parts: list = []
    state = False
    if located:
        negation = "not" if negation else ""
        where = place(draft, extra - 3, subject.tags)
        draft.used.append("here")
        parts.append((where.en, where.fr))
    else:
        found, weights = adjectives_for(subject.tags, False)
        for _ in range(2 if extra >= 3 and not negation and draft.chance(0.5) else 1):
            adjective = draft.pick(found, weights)
            french, _ = meaning(adjective, subject.tags)
            keys = [(noun.en, adjective.group) for noun in subject.nouns] or [(subject.pronoun, adjective.group)]
            known = adjective.en in draft.used or any(key in draft.described for key in keys)
            if known or (negation == "never" and not adjective.state):
                return None
            state = adjective.state
            draft.used.append(adjective.en)
            draft.described += keys
            draft.combinations += [(adjective.en, noun.en) for noun in subject.nouns]
            en, fr = draft.pair(adjective.en, agree(french, subject.gender, subject.number), "ADJ")
            very = [draft.pair("very", "très", "ADV")] if extra >= 2 and not parts and draft.chance(0.25) else []
            parts.append(([v for v, _ in very] + [en], [v for _, v in very] + [fr]))
    group = verb_group(draft, subject, BE, tense, negation=negation, question=question)
    en, fr = join(draft, [Phrase(*part) for part in parts]) if len(parts) > 1 else parts[0]
    group.en, group.fr = group.en + en, group.fr + fr
    if (state or located) and len(parts) == 1 and negation != "never" and extra - len(en) >= 1 and draft.chance(0.6):
        more = adjunct(draft, tense, extra - len(en), subject.tags, daily=not negation)
        if more:
            group.en, group.fr = group.en + more.en, group.fr + more.fr
    return group


def relative_clause(draft: Draft, head: Phrase, extra: int) -> Phrase:
    """the boy who sings -> qui; the letter that she wrote -> que, with the participle agreeing; `extra` with who."""
    noun, tense = head.nouns[0], pick_tense(draft)
    verb = pick_verb(draft, "object", frozenset(WHO), noun.tags)
    if verb is None or draft.chance(0.5):
        en, fr = draft.pair("who" if noun.tags & frozenset(WHO) else "that", "qui", "PRON")
        inner = predicate(draft, replace(head, en=[], fr=[]), tense, extra - 2, embedded=True)
        if inner is None:
            draft.used += ["refused"] * 2
            return head
        words_en, words_fr = inner.en, inner.fr
    else:
        tense = draft.pick(("present", "past", "future"), (3, 4, 1.5))
        en, fr = draft.pair("that", "que", "PRON")
        subject = pronoun(draft, draft.pick(SUBORDINATE)) if extra < 4 or draft.chance(0.3) else \
            simple(draft, WHO, min(extra - 4, 1), "tipd")
        inner = verb_group(draft, subject, verb, tense, agrees=(head.gender, head.number),
                           negation="not" if extra >= 6 and draft.chance(0.15) else "")
        draft.combinations.append((verb.en[0], noun.en))
        words_en, words_fr = subject.en + inner.en, subject.fr + inner.fr
    return replace(head, en=[*head.en, en, *words_en], fr=[*head.fr, fr, *words_fr], embeds=True)


def subject_phrase(draft: Draft, extra: int, pronouns: tuple[str, ...], p_pronoun: float, question: bool) -> Phrase:
    """A pronoun, or a noun phrase: people, animals, or things (then only "be" and "fall" can follow)."""
    if draft.chance(p_pronoun):
        return pronoun(draft, draft.pick(pronouns))
    tags = draft.pick((WHO, ("animal",), OTHER), (6, 2, 3))
    allowed = "tpd" if tags is OTHER else "tipd"         # not: some soup is cold
    return noun_phrase(draft, tags, extra, allowed, None if question else relative_clause)


def clause(draft: Draft, room: int, pronouns: tuple[str, ...] = SUBORDINATE, *, tense: str = "", question: bool = False,
           plain: bool = False, asked: str = "") -> tuple[list[Word], list[Word], Phrase] | None:
    """Subject and predicate in about `room` words: (English, French, subject)."""
    extra = max(room - 3, 0)
    p_pronoun = 1.0 if room < 3 else (0.5 if room < 6 else 0.3 if room < 9 else 0.12)
    share = int(extra * draft.pick((0.0, 0.4, 0.7, 0.9), (3, 2, 2, 2)) + draft.rng.random())
    subject = subject_phrase(draft, share, pronouns, p_pronoun, question)
    tense = tense or pick_tense(draft)
    found = predicate(draft, subject, tense, max(room - len(subject.en) - 1 - (question and tense != "past"), 0),
                      question=question, plain=plain, where=bool(asked))
    if found is None:
        return None
    if not question:
        return subject.en + found.en, subject.fr + found.fr, subject
    est_ce, que = Word("est-ce", "PART"), Word("que", "SCONJ")
    for word in (est_ce, que):
        draft.link(found.front[0], word)
    asked_pair = [draft.pair(asked, {"where": "où", "why": "pourquoi"}[asked], "ADV")] if asked else []
    return ([a for a, _ in asked_pair] + found.front + subject.en + found.en,
            [b for _, b in asked_pair] + [est_ce, que] + subject.fr + found.fr, subject)
