"""The words of the generated English-French corpus: one table a word class, in order of falling frequency.

The tags after a noun say what may be done with it (a letter can be written, a door opened), so that sentences make
sense. Notebooks see these words from 01 to 25; a new word is one new line here (then regenerate: see data/README.md).
"""

from dataclasses import dataclass

from course_utils.corpora.morphology import conjugate, english_plural, french_plural, participle


@dataclass(frozen=True, slots=True)
class Noun:
    """Both languages' forms; `tags` rule what combines with it. Mass nouns have no plural."""

    en: str
    en_plural: str
    fr: str
    fr_plural: str
    gender: str
    tags: frozenset[str]
    weight: float


@dataclass(frozen=True, slots=True)
class Adjective:
    """`senses`: (tags of the noun, French adjective, stands before the noun) in order; the first that fits holds."""

    en: str
    senses: tuple[tuple[frozenset[str], str, bool], ...]
    group: str                                           # one noun takes one adjective of a group
    state: bool                                          # passing (tired), so it can be "now" or "never"
    use: str                                             # "attr": not after be; "pred": only there, and for trees
    weight: float


@dataclass(frozen=True, slots=True)
class Verb:
    """`frame`: what follows; `subjects`, `objects`: tags, one of which the noun must carry."""

    en: tuple[str, str, str]                             # base, third person, past
    fr: str
    frame: str
    subjects: frozenset[str]
    objects: frozenset[str]
    weight: float
    stative: bool = False                                # its past is the imperfect: savait, aimait
    etre: bool = False                                   # its compound past takes être

    def french(self, tense: str, person: int) -> str:
        """A simple form; `person` 0..5."""
        return conjugate(self.fr, tense)[person]

    @property
    def participle(self) -> str:
        return participle(self.fr)


_NOUNS = """
man/men homme m human grown
woman/women femme f human grown
boy garçon m human
girl fille f human
child/children enfant m human
teacher professeur m role stature
friend ami m role kinlike
doctor médecin m role stature
queen reine f role stature
neighbour voisin m role stature kinlike
king roi m role stature
actress actrice f role stature
cook cuisinier m role stature
student étudiant m role stature
gardener jardinier m role stature
princess princesse f role stature
guide guide m role stature
sister sœur f kin
brother frère m kin
mother mère f kin single
father père m kin single
uncle oncle m kin
dog chien m animal
cat chat m animal
bird oiseau m animal
horse cheval m animal ridden
cow vache f animal ridden
mouse/mice souris f animal
owl hibou m animal
bee abeille f animal
apple pomme f food count colour
cake gâteau m food count dear
orange orange f food count
egg œuf m food count
bread pain m food mass hard
soup soupe f food mass warm
water eau f drink mass warm
coffee café m drink mass warm dear
tea thé m drink mass warm
drink boisson f drink warm
book livre m thing portable written read dear
key clé f thing portable
letter lettre f thing portable written lengthy answered
table table f thing top under big hard near furniture dear
door porte f thing openable near part big
flower fleur f thing portable plant dear
box boîte f thing portable openable in lockable
car voiture f thing inside near lockable doored big dear colour
chair chaise f thing top under hard furniture dear
window fenêtre f thing openable near part big
tree arbre m thing under near plant big leafy tall
bag sac m thing portable openable in dear
bed lit m thing top under hard furniture big dear
watch montre f thing portable dear
hat chapeau m thing portable dear
leaf/leaves feuille f thing portable
boat bateau m thing inside big near dear colour
cabinet placard m thing openable in lockable furniture doored big
picture image f thing portable
plant plante f thing plant near leafy portable
newspaper journal m thing portable read
piano piano m thing instrument big dear colour
guitar guitare f thing instrument portable dear
house maison f place building inside near warm colour dear
garden jardin m place inside near watered
city ville f place inside near
school école f place building inside near openable
church église f place building inside near openable
park parc m place inside near
room chambre f place inside warm lockable
hotel hôtel m place building inside near dear
castle château m place building inside near
kitchen cuisine f place inside warm
museum musée m place building inside near openable
shop magasin m place building inside near openable
island île f place near
street rue f place inside lengthy
bridge pont m place top under near lengthy
story histoire f text written lengthy heard
song chanson f text written lengthy heard
question question f text hardtask answered heard
answer réponse f text written lengthy heard hardtask
play pièce f text written lengthy seen
dance danse f event lengthy seen hardtask
walk promenade f event lengthy
dream rêve m event lengthy
visit visite f event lengthy
idea idée f text
help aide f feature mass nosome wanted
light lumière f feature seen
love amour m feature mass nosome wanted
smile sourire m feature seen
work travail m feature mass nosome hardtask
"""

_ADJECTIVES = """
old grown role kin animal thing place text read = vieux <
small animal thing place count = petit <
big animal count = gros < ; big place = grand <
red portable furniture part colour = rouge
happy human role kin animal = heureux ! state
new thing place text = nouveau < attr
young human role kin animal = jeune <
good food drink role text event hardtask read = bon <
white animal portable furniture part colour = blanc
tired human role kin animal = fatigué ! state
beautiful human role animal thing place text event feature = beau <
black animal portable furniture part colour = noir
heavy portable furniture part instrument = lourd
light portable furniture instrument = léger
green portable furniture part colour tall = vert
clean furniture place part openable colour = propre ! state
long lengthy = long <
short human stature kin = petit < ; lengthy = court
sad human role kin animal written = triste ! state
hard hardtask = difficile ; hard = dur
expensive dear = cher
open openable = ouvert ! state
pretty thing place animal text = joli <
bad food drink role text event = mauvais <
cold warm = froid ! state
warm warm = chaud ! state
blue portable furniture part colour = bleu
tall human role kin tall = grand < pred
strong human role kin animal = fort
famous human role text place = célèbre
interesting text event hardtask read place = intéressant
rich human role kin = riche
quiet human role kin animal place = calme ! state
orange portable furniture part = orange
french human role text read = français
dangerous animal place = dangereux
funny human role kin text = drôle
"""

_GROUPS = tuple(line.split() for line in """
old young new
small big tall short long
red green blue white black orange
good bad interesting
happy sad
cold warm
heavy light
beautiful pretty
clean open
""".strip().splitlines())

# base third past French frame: subjects > objects. Frames: none, object, gift (to somebody), clause,
# answer (répondre à), instrument (jouer de). "who" = a person, "live" = a person or an animal.
_VERBS = """
sing sings sang chanter none: who
sleep sleeps slept dormir none: live
dance dances danced danser none: who
walk walks walked marcher none: live
arrive arrives arrived arriver+ none: live
work works worked travailler none: who
play plays played jouer none: live
smile smiles smiled sourire none: who
leave leaves left partir+ none: live
dream dreams dreamed rêver none: who
cook cooks cooked cuisiner none: who
fall falls fell tomber+ none: live portable
answer answers answered répondre none: who
stay stays stayed rester+ none: live
laugh laughs laughed rire none: who
swim swims swam nager none: who
see sees saw voir object: live > human role kin animal thing place seen
love loves loved aimer- object: who > human role kin animal food drink place text event seen
watch watches watched regarder object: live > human role kin animal seen read
buy buys bought acheter object: who > thing food drink
eat eats ate manger object: live > food
find finds found trouver object: who > animal portable
know knows knew connaître- object: who > human role kin place text
help helps helped aider object: who > human role kin
open opens opened ouvrir object: who > openable
visit visits visited visiter object: who > place
write writes wrote écrire object: who > written
hear hears heard entendre object: live > human role kin animal heard
take takes took prendre object: who > portable
want wants wanted vouloir- object: who > thing food drink wanted
drink drinks drank boire object: who > drink
draw draws drew dessiner object: who > human role animal thing place
meet meets met rencontrer object: who > human role kin
close closes closed fermer object: who > openable
leave leaves left quitter object: who > place
carry carries carried porter object: who > portable food
water waters watered arroser object: who > plant watered
plant plants planted planter object: who > plant
clean cleans cleaned nettoyer object: who > furniture place big
guide guides guided guider object: who > human role ridden
sell sells sold vendre object: who > thing food drink ridden
give gives gave donner gift: who > portable food
show shows showed montrer gift: who > portable animal place
answer answers answered répondre answer: who > answered
play plays played jouer instrument: who > instrument
know knows knew savoir clause: who
say says said dire clause: who
think thinks thought penser clause: who
"""

WHO, LIVE = ("human", "role", "kin"), ("human", "role", "kin", "animal")
PREPOSITIONS = {"in": ("dans",), "on": ("sur",), "under": ("sous",), "near": ("près", "de"),
                "behind": ("derrière",), "with": ("avec",), "for": ("pour",), "of": ("de",), "to": ("à",)}
PLACES = {"in": "inside", "on": "top", "under": "under", "near": "near", "behind": "near"}     # tag a place needs
NO_PLACE = ("leave", "want", "love", "know", "give", "show")             # no "here", no place after these verbs
FOR = ("sing", "dance", "work", "play", "cook", "buy", "open", "write", "draw", "carry", "clean", "close")
PARTS = {"key": ("lockable", "building", "openable"), "door": ("building", "doored"), "leaf": ("leafy",),
         "window": ("building",), "garden": ("building",), "kitchen": ("building",), "room": ("building",),
         "picture": ("place", "animal"), "teacher": ("none",), "street": ("none",), "light": ("building",)}
POSSESSIVES = {"my": ("mon", "ma", "mes"), "your": ("votre", "votre", "vos"), "his": ("son", "sa", "ses"),
               "her": ("son", "sa", "ses"), "our": ("notre", "notre", "nos"), "their": ("leur", "leur", "leurs")}
# English subject, object, French subject, direct object, indirect object, person 0..5, gender, number
PRONOUNS = {"i": ("me", "je", "me", "me", 0, "m", "sg"), "you": ("you", "vous", "vous", "vous", 4, "m", "pl"),
            "he": ("him", "il", "le", "lui", 2, "m", "sg"), "she": ("her", "elle", "la", "lui", 2, "f", "sg"),
            "we": ("us", "nous", "nous", "nous", 3, "m", "pl"), "they": ("them", "ils", "les", "leur", 5, "m", "pl")}


def _weight(rank: int, power: float = 0.6) -> float:
    return (rank + 4.0) ** -power                        # moderately skewed: rank 0 about four times rank 40


def _tags(words: str) -> frozenset[str]:
    expand = {"who": WHO, "live": LIVE}
    return frozenset(tag for word in words.split() for tag in expand.get(word, (word,)))


def _nouns() -> tuple[Noun, ...]:
    made, rank = [], {}
    for en, fr, gender, *tags in (line.split() for line in _NOUNS.strip().splitlines()):
        single, _, plural = en.partition("/")
        rank[tags[0]] = rank.get(tags[0], -1) + 1        # frequency falls within each kind
        made.append(Noun(single, plural or english_plural(single), fr, french_plural(fr), gender, frozenset(tags),
                         _weight(rank[tags[0]])))
    return tuple(made)


def _adjectives() -> tuple[Adjective, ...]:
    made = []
    for rank, line in enumerate(_ADJECTIVES.strip().splitlines()):
        en, _, rest = line.partition(" ")
        senses = []
        for sense in rest.split(";"):
            tags, _, french = sense.partition("=")
            senses.append((frozenset(tags.split()), french.split()[0], "<" in french))
        group = next((g[0] for g in _GROUPS if en in g), en)
        made.append(Adjective(en, tuple(senses), group, "state" in line.split(),
                              next((use for use in ("attr", "pred") if use in line.split()), ""), _weight(rank)))
    return tuple(made)


def _verbs() -> tuple[Verb, ...]:
    made, rank = [], {}
    for line in _VERBS.strip().splitlines():
        head, _, tail = line.partition(":")
        base, third, past, french, frame = head.split()
        subjects, _, objects = tail.partition(">")
        rank[frame] = rank.get(frame, -1) + 1
        made.append(Verb((base, third, past), french.strip("+-"), frame, _tags(subjects), _tags(objects),
                         _weight(rank[frame], 0.4), "-" in french, "+" in french))
    return tuple(made)


NOUNS, ADJECTIVES, VERBS = _nouns(), _adjectives(), _verbs()
BE = Verb(("be", "is", "was"), "être", "copula", frozenset(), frozenset(), 1.0, stative=True)
FUNCTION_WORDS = tuple("""
the a some any this that two three my your his her our their i you he she it we they and but because who not never
often always very will do be in on under near behind with for of to yesterday tomorrow now here every day morning
evening why where . ? ,""".split())
