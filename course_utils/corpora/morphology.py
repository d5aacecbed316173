"""English and French word forms of the generated corpus: plurals, agreement, conjugation, elision.

Only what the corpus needs, and that exactly: tests/test_french_verbs.py holds every verb form against a conjugation
package. Persons are numbered 0..5: I, thou (never used: "you" is "vous"), he, we, you, they.
"""

VOWELS = "aeiouyàâéèêëîïôûœ"
ASPIRATED = ("hibou", "hiboux")                          # h that blocks elision: le hibou, not l' hibou
ELISIONS = {"le": "l'", "la": "l'", "je": "j'", "me": "m'", "ne": "n'", "que": "qu'", "de": "d'"}
BEFORE_VOWEL = ELISIONS | {"ce": "cet", "ma": "mon", "sa": "son", "vieux": "vieil", "beau": "bel", "nouveau": "nouvel"}

_ENDINGS = {"present": "e es e ons ez ent", "re": "s s _ ons ez ent", "future": "ai as a ons ez ont",
            "imperfect": "ais ais ait ions iez aient"}
_PRESENT = {                                             # six persons, then future stem, past participle
    "être": "suis es est sommes êtes sont | ser été",
    "avoir": "ai as a avons avez ont | aur eu",
    "dormir": "dors dors dort dormons dormez dorment | dormir dormi",
    "partir": "pars pars part partons partez partent | partir parti",
    "sourire": "souris souris sourit sourions souriez sourient | sourir souri",
    "rire": "ris ris rit rions riez rient | rir ri",
    "voir": "vois vois voit voyons voyez voient | verr vu",
    "boire": "bois bois boit buvons buvez boivent | boir bu",
    "prendre": "prends prends prend prenons prenez prennent | prendr pris",
    "ouvrir": "ouvre ouvres ouvre ouvrons ouvrez ouvrent | ouvrir ouvert",
    "écrire": "écris écris écrit écrivons écrivez écrivent | écrir écrit",
    "connaître": "connais connais connaît connaissons connaissez connaissent | connaîtr connu",
    "savoir": "sais sais sait savons savez savent | saur su",
    "vouloir": "veux veux veut voulons voulez veulent | voudr voulu",
    "dire": "dis dis dit disons dites disent | dir dit",
}
_FEMININE = {"vieux": "vieille", "beau": "belle", "nouveau": "nouvelle", "blanc": "blanche", "bon": "bonne",
             "gros": "grosse", "long": "longue", "cher": "chère", "léger": "légère", "heureux": "heureuse",
             "dangereux": "dangereuse"}


def starts_with_vowel(word: str) -> bool:
    """True where French elides before `word`: a vowel or a mute h."""
    return word[0] in VOWELS or (word[0] == "h" and word not in ASPIRATED)


def french_plural(word: str) -> str:
    """Plural of a French noun or masculine adjective."""
    if word.endswith(("s", "x")):
        return word
    if word.endswith("al"):
        return word[:-2] + "aux"
    return word + ("x" if word.endswith("eau") or word == "hibou" else "s")


def english_plural(word: str) -> str:
    """Regular English plural."""
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def agree(adjective: str, gender: str, number: str) -> str:
    """The form of a French adjective or participle; gender "m" or "f", number "sg" or "pl"."""
    if adjective == "orange":                            # a fruit's name used as a colour never changes
        return adjective
    if gender == "f":
        feminine = _FEMININE.get(adjective, adjective if adjective.endswith("e") else adjective + "e")
        return feminine if number == "sg" else feminine + "s"
    return adjective if number == "sg" else french_plural(adjective)


def _stems(verb: str) -> tuple[str, str]:
    """The two stems of a regular -er verb: with a silent and with a spoken ending."""
    stem = verb[:-2]
    if verb == "acheter":
        return "achèt", stem
    return (stem[:-1] + "i" if verb.endswith("oyer") else stem), stem


def participle(verb: str) -> str:
    """Past participle, masculine singular."""
    if verb in _PRESENT:
        return _PRESENT[verb].split()[-1]
    return verb[:-2] + ("u" if verb.endswith("re") else "é")


def conjugate(verb: str, tense: str) -> tuple[str, ...]:
    """The six persons of a French verb in "present", "future" or "imperfect"."""
    if verb in _PRESENT:
        forms, rest = (part.split() for part in _PRESENT[verb].split("|"))
        future = rest[0]
    elif verb.endswith("er"):
        silent, spoken = _stems(verb)
        soft = "e" if spoken.endswith("g") else ""       # nous mangeons
        stems = (silent, silent, silent, spoken + soft, spoken, silent)
        forms = [s + e for s, e in zip(stems, _ENDINGS["present"].split(), strict=True)]
        future = silent + "er"
    elif verb.endswith("re"):
        forms = [verb[:-2] + e.strip("_") for e in _ENDINGS["re"].split()]
        future = verb[:-1]
    else:
        raise ValueError(f"no conjugation for {verb!r}: add its present, future stem and participle to _PRESENT")
    if tense == "present":
        return tuple(forms)
    if tense not in ("future", "imperfect"):
        raise ValueError(f"no tense {tense!r}: use 'present', 'future' or 'imperfect'")
    stem = future if tense == "future" else "ét" if verb == "être" else forms[3][:-3]
    return tuple(stem + ending for ending in _ENDINGS[tense].split())
