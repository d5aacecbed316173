"""Real documents: the scenes of 25 plays, which are comedies, histories or tragedies. Notebook 11.

Text and licence as in plays.py; the class is the folder that the package keeps a play in (its Roman plays, romances
and problem plays are left out, since scholars themselves do not agree on them). A document is the beginning of a scene,
without headings, speakers and stage directions. A scene resembles other scenes of its play in names and matter, so it
makes a great difference whether a split tears plays apart: `scene_splits` has both kinds.
"""

import hashlib
import random
import re
from functools import lru_cache

from course_utils.corpora.document import Document
from course_utils.corpora.plays import plain, raw_plays
from course_utils.text.sentences import split_sentences
from course_utils.text.vocabulary import Vocabulary, tokenise

GENRES = ("comedies", "histories", "tragedies")
LEAST_WORDS, MOST_SENTENCES, MOST_WORDS = 100, 30, 50
FOLDS = 5
ENDS = (".", "?", "!")
LEAST_PLAYS = 4  # a word that fewer training plays use reads as <unk>: most names of persons do

_SCENE = re.compile(r"^###? .*$", re.M)  # acts and scenes
_SPEAKER = re.compile(r"^.+:\n")


@lru_cache(maxsize=1)
def load_scenes() -> tuple[Document, ...]:
    """The scenes of at least LEAST_WORDS words, by play and in their order: their first MOST_SENTENCES sentences, each
    cut after MOST_WORDS words. `group` is the play."""
    found = []
    for play, (folder, markdown) in raw_plays().items():
        if folder in GENRES:
            for scene in _SCENE.split(markdown):
                sentences = sentences_of(plain(scene))
                if sum(map(len, sentences)) >= LEAST_WORDS:
                    first = tuple(sentence[:MOST_WORDS] for sentence in sentences[:MOST_SENTENCES])
                    found.append(Document(first, GENRES.index(folder), play))
    return tuple(found)


def sentences_of(text: str) -> list[tuple[str, ...]]:
    """The sentences of a text as plays.plain gives it; a speech ends one too, its speaker's name is left out."""
    speeches = (tokenise(_SPEAKER.sub("", speech)) for speech in text.split("\n\n"))
    return [sentence for speech in speeches for sentence in split_sentences(speech, ENDS)]


def scene_splits(fold: int, kind: str = "plays") -> tuple[list[Document], list[Document], list[Document]]:
    """Train, valid and test. Over the five folds every scene is tested once; valid is the fold after.

    kind    "plays": whole plays are held out. "scenes": scenes are dealt out at random, so that training has seen other
            scenes of every play that is tested
    """
    if fold not in range(FOLDS):
        raise ValueError(f"fold={fold}: one of 0 to {FOLDS - 1}.")
    if kind not in ("plays", "scenes"):
        raise ValueError(f"unknown kind {kind!r}: one of 'plays', 'scenes'.")
    parts: tuple[list[Document], ...] = ([], [], [])
    for document, its in zip(load_scenes(), _folds(kind), strict=True):
        parts[2 if its == fold else 1 if its == (fold + 1) % FOLDS else 0].append(document)
    return parts


def _folds(kind: str) -> list[int]:
    """The fold of every scene: dealt out like cards, genre by genre."""
    scenes, folds = load_scenes(), [0] * len(load_scenes())
    for genre in range(len(GENRES)):
        mine = [k for k, scene in enumerate(scenes) if scene.label == genre]
        if kind == "plays":
            plays = sorted({scenes[k].group for k in mine})
            for k in mine:
                folds[k] = (plays.index(scenes[k].group) + genre) % FOLDS
        else:
            random.Random(f"scenes {genre}").shuffle(mine)
            for place, k in enumerate(mine):
                folds[k] = place % FOLDS
    return folds


def scene_vocabulary(scenes: list[Document], least: int = LEAST_PLAYS) -> Vocabulary:
    """The words that occur in at least `least` plays of these scenes, most widely used first."""
    plays: dict[str, set[str]] = {}
    for scene in scenes:
        plays.setdefault(scene.group, set()).update(word for sentence in scene.sentences for word in sentence)
    return Vocabulary.build(map(sorted, plays.values()), min_count=least)


def scenes_hash() -> str:
    """Twelve hex digits for the scoreboard: they change with any word, class or fold."""
    said = repr((load_scenes(), _folds("plays"), _folds("scenes")))
    return hashlib.sha256(said.encode()).hexdigest()[:12]
