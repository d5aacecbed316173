"""Real English and its word tests: 106 articles of Wikipedia (on subjects with A, 430,000 words), WordSim-353 and the
analogy questions of Mikolov et al. (2013).

Taught in notebook 01. The three files lie in data/; data/README.md says whose they are (Wikipedia and its authors, CC
BY-SA; Finkelstein et al. 2002, CC BY; Mikolov et al. 2013, Apache-2.0) and how the first was made.
"""

import hashlib
from functools import cache

from course_utils.data_files import ANEW, data_folder, missing

ARTICLES, SIMILARITIES, ANALOGIES = "wikipedia.txt", "word_tests/wordsim353.tsv", "word_tests/questions-words.txt"
SHA256 = {
    ARTICLES: "469a8b1dd28894012e6e1fc35d8203dcabc52b388f688982471fe29907913906",
    SIMILARITIES: "f92a022fc2537793a15bc3a8c162ebcd74990e033a228bb6388cb71e4c0b1e1d",
    ANALOGIES: "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
}


def wikipedia_sentences() -> list[tuple[str, ...]]:
    """21,045 sentences of 3 words or more, 430,843 lower-case words, 31,595 different ones (8,324 seen five times).

    Reference lists, tables, formulas, numbers and punctuation were left out. A sentence never spans two paragraphs, so
    a window over a sentence never sees two articles. Raises FileNotFoundError or ValueError if the file is not there or
    not that one.
    """
    return list(_sentences(_read(ARTICLES)))


def word_similarities() -> list[tuple[str, str, float]]:
    """(word, word, score) of the 353 pairs of WordSim-353, lower-case; people's mean score from 0 to 10, where related
    words count as similar (coffee, cup)."""
    rows = [line.split("\t") for line in _read(SIMILARITIES).splitlines() if line and not line.startswith("#")]
    return [(a.lower(), b.lower(), float(score)) for a, b, score in rows]


def analogy_questions() -> dict[str, list[tuple[str, str, str, str]]]:
    """Category -> questions (a, b, c, d), lower-case: a is to b as c is to d; 19,544 in 14 categories."""
    questions: dict[str, list[tuple[str, str, str, str]]] = {}
    for line in _read(ANALOGIES).splitlines():
        if line.startswith(":"):
            questions[category := line[1:].strip()] = []
        else:
            a, b, c, d = line.lower().split()
            questions[category].append((a, b, c, d))
    return questions


def wikipedia_hash() -> str:
    """Twelve hex digits of the articles, for rows of the scoreboard; read from the constant, not from the file."""
    return SHA256[ARTICLES][:12]


def _read(name: str) -> str:
    """The text of a file in data/, checked."""
    path = data_folder() / name
    if not path.is_file():
        raise FileNotFoundError(missing(path))
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise ValueError(f"{path} is not the file that the course ships; {ANEW}.")
    return data.decode()


@cache
def _sentences(text: str) -> tuple[tuple[str, ...], ...]:
    """The sentences, article after article; the lines that name the articles are left out."""
    return tuple(tuple(line.split(" ")) for line in text.splitlines() if not line.startswith("#"))
