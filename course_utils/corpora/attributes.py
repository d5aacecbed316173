"""Sentences of the course's corpus with what they are about: many labels, most of them rare. Notebook 11.

Every sentence has some of ATTRIBUTES, and each has its words, so that the evidence for it is known. Two tasks are made
of that: `several_labels`, where any attributes may hold together (multi-label), and `combinations`, where one class
stands for each combination (negated question about food ...). The combinations follow Zipf: a few are everywhere, most
are rare, as charges in court or codes in medicine are.
"""

import hashlib
import random
from collections import defaultdict
from functools import cache

import torch
from torch import Tensor

from course_utils.corpora.document import Document
from course_utils.corpora.lexicon import NOUNS
from course_utils.corpora.mini import corpus_hash, load_split
from course_utils.text.vocabulary import Vocabulary


def _nouns(*tags: str) -> frozenset[str]:
    return frozenset(word for n in NOUNS if n.tags & set(tags) for word in (n.en, n.en_plural))


ATTRIBUTES: dict[str, frozenset[str]] = {  # name -> the words by which a sentence has it
    "negated": frozenset({"not", "never", "no"}),
    "question": frozenset({"?"}),
    "animal": _nouns("animal"),
    "food": _nouns("food", "drink"),
    "place": _nouns("place"),
}
RARE = 10  # a combination with at most so many training sentences counts as rare
TRAIN, A_CLASS, LEAST = 2000, 40, 12  # training sentences; of each class to valid and to test at most, at least


def has(words: tuple[str, ...]) -> tuple[int, ...]:
    """0 or 1 for every attribute, in the order of ATTRIBUTES."""
    return tuple(int(bool(its & set(words))) for its in ATTRIBUTES.values())


def evidence(words: tuple[str, ...], attribute: str) -> tuple[int, ...]:
    """The places of the words that give a sentence this attribute."""
    return tuple(k for k, word in enumerate(words) if word in ATTRIBUTES[attribute])


@cache
def _parts() -> tuple[tuple[tuple[int, ...], ...], dict[str, list[tuple[str, ...]]]]:
    """The classes (their attributes), and the sentences of each part. The first TRAIN sentences are training, as they
    come; valid and test take equally many of each class from the others. Classes too rare for that are left out."""
    sentences = list(dict.fromkeys(pair.source for pair in load_split("train")))
    by_class: dict[tuple[int, ...], list] = defaultdict(list)
    for words in sentences[TRAIN:]:
        by_class[has(words)].append(words)
    seen = {has(words) for words in sentences[:TRAIN]}
    classes = sorted(c for c, some in by_class.items() if len(some) >= LEAST and c in seen)
    parts = {"train": [words for words in sentences[:TRAIN] if has(words) in classes], "valid": [], "test": []}
    for its in classes:
        half = min(A_CLASS, len(by_class[its]) // 2)
        parts["valid"] += by_class[its][:half]
        parts["test"] += by_class[its][half : 2 * half]
    for part in ("valid", "test"):
        random.Random(part).shuffle(parts[part])
    return tuple(classes), parts


def combinations() -> Tensor:
    """What is annotated per class, not per sentence: (C, K) of 0 and 1, one row per class."""
    return torch.tensor(_parts()[0])


def combination_documents(split: str) -> list[Document]:
    """Sentences of "train", "valid" or "test" as documents; the class is the row of `combinations`."""
    classes, parts = _parts()
    if split not in parts:
        raise ValueError(f"unknown split {split!r}: one of {', '.join(map(repr, parts))}.")
    number = {its: k for k, its in enumerate(classes)}
    return [Document((words,), number[has(words)]) for words in parts[split]]


def rare_classes() -> list[int]:
    """The classes with at most RARE training sentences."""
    labels = [document.label for document in combination_documents("train")]
    return [k for k in range(len(_parts()[0])) if labels.count(k) <= RARE]


def several_labels(split: str) -> tuple[list[Document], Tensor]:
    """The same sentences, and which attributes each of them has: (N, K) of 0 and 1, for multi-label training."""
    documents = combination_documents(split)
    return documents, torch.tensor([has(document.sentences[0]) for document in documents]).float()


@cache
def attribute_vocabulary() -> Vocabulary:
    return Vocabulary.build(document.sentences[0] for document in combination_documents("train"))


def attributes_hash() -> str:
    """Twelve hex digits for the scoreboard: they change with the corpus, the attributes and the parts."""
    said = repr((corpus_hash(), {name: sorted(words) for name, words in ATTRIBUTES.items()}, _parts()))
    return hashlib.sha256(said.encode()).hexdigest()[:12]
