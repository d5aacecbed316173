"""Real sentence pairs, read from files or from an installed package, as the same `Pair`s as the generated corpus.

Used in notebook 07 ("the same model on real sentences"). Nothing is downloaded: a path is given by the reader of the
course, the JupyterLab catalogue arrives with pip. A file that is not what it should be gets one sentence that names
file, line and remedy.
"""

import hashlib
import importlib.util
import os
import random
import re
import struct
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from course_utils.corpora.pair import Pair
from course_utils.text.vocabulary import tokenise

CATALOGUE = "jupyterlab-language-pack-fr-FR"  # the pip package, and the version that the course was measured on
CATALOGUE_VERSION = "4.5.post3"
CATALOGUE_SHA256 = "f7e623c45661e9119a3bdd148ded394863f1ad7d924155890682e29437d2fb28"


def read_tsv(path: str | os.PathLike, limit: int | None = None) -> list[Pair]:
    """Pairs from lines "English<TAB>French", as Anki's files of Tatoeba sentences have them; a third column (the
    attribution) is not read. `limit`: the first so many lines. Raises ValueError or OSError, naming file and line."""
    pairs = []
    for number, line in _lines(path, limit):
        columns = line.split("\t")
        if len(columns) not in (2, 3):
            raise ValueError(
                f"{path}, line {number}: {_count(len(columns), 'column')} instead of 2 (English, French) or 3 (and an "
                "attribution); separate them by one tab, or remove the line."
            )
        source, target = tokenise(columns[0]), tokenise(columns[1])
        for tokens, name in ((source, "English"), (target, "French")):
            if not tokens:
                raise ValueError(f"{path}, line {number}: the {name} sentence is empty; complete or remove the line.")
        pairs.append(Pair(source, target))
    return pairs


def read_paired(source_path: str | os.PathLike, target_path: str | os.PathLike, limit: int | None = None) -> list[Pair]:
    """Pairs from two files with a sentence a line, line n of one translating line n of the other (Multi30k).
    `limit`: the first so many lines. Raises ValueError or OSError, naming file and line."""
    pairs = []
    for source, target in zip_longest(_lines(source_path, limit), _lines(target_path, limit)):
        if source is None or target is None:
            shorter, longer = (source_path, target_path) if source is None else (target_path, source_path)
            raise ValueError(
                f"{longer} goes on at line {len(pairs) + 1} where {shorter} has ended; line n of one must translate "
                "line n of the other: complete the shorter file or shorten the longer."
            )
        tokens = tokenise(source[1]), tokenise(target[1])
        for path, found in zip((source_path, target_path), tokens, strict=True):
            if not found:
                raise ValueError(f"{path}, line {source[0]} is empty; remove this line from both files.")
        pairs.append(Pair(*tokens))
    return pairs


def jupyterlab_french() -> list[Pair]:
    """The French of JupyterLab's own menus and messages: 2,224 pairs of 2-15 English words, each English text once.

    Read from the catalogues of the pip package jupyterlab-language-pack-fr-FR (BSD-3-Clause, Project Jupyter
    contributors) without importing it. Texts with placeholders or markup are left out. Raises ModuleNotFoundError
    without the package and ValueError if it holds other text than the course was measured on.
    """
    remedy = f"pip install '{CATALOGUE}=={CATALOGUE_VERSION}'"
    package = importlib.util.find_spec(CATALOGUE.replace("-", "_"))
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {CATALOGUE} is not installed; {remedy}.")
    folder = Path(package.submodule_search_locations[0], "locale", "fr_FR", "LC_MESSAGES")
    french: dict[str, str] = {}
    for file in sorted(folder.glob("*.mo"), key=lambda file: file.name):
        try:
            messages = list(_messages(file.read_bytes()))
        except (struct.error, KeyError, UnicodeDecodeError):
            raise ValueError(f"{file} is no gettext catalogue; {remedy} --force-reinstall.") from None
        for english, translation in messages:
            if _is_plain(english, translation):
                french.setdefault(english, translation)
    text = "".join(f"{english}\t{translation}\n" for english, translation in french.items())
    if hashlib.sha256(text.encode()).hexdigest() != CATALOGUE_SHA256:
        raise ValueError(
            f"{CATALOGUE} holds other text than version {CATALOGUE_VERSION}, which the course uses; {remedy}."
        )
    pairs: dict[tuple[str, ...], Pair] = {}
    for english, translation in french.items():  # texts that differ in capitals only are the same sentence here
        pairs.setdefault(tokenise(english), Pair(tokenise(english), tokenise(translation)))
    return list(pairs.values())


def hold_out(pairs: Sequence[Pair], n: int, seed: int = 0) -> tuple[list[Pair], list[Pair]]:
    """(the rest, about `n` pairs to test on), drawn by `seed`. Pairs that share their source sentence stay together
    (Tatoeba gives "Go." three translations), so that no test sentence is seen in training."""
    if not 0 < n < len(pairs):
        raise ValueError(f"n={n} of {len(pairs)} pairs cannot be held out; use 1 to {len(pairs) - 1}.")
    sources = sorted({pair.source for pair in pairs})
    random.Random(seed).shuffle(sources)
    members: dict[tuple[str, ...], list[int]] = {}
    for row, pair in enumerate(pairs):
        members.setdefault(pair.source, []).append(row)
    held: set[int] = set()
    for source in sources:
        if len(held) >= n:
            break
        held.update(members[source])
    return (
        [pair for row, pair in enumerate(pairs) if row not in held],
        [pair for row, pair in enumerate(pairs) if row in held],
    )


def _lines(path: str | os.PathLike, limit: int | None) -> Iterator[tuple[int, str]]:
    """(number, text) of each line of a UTF-8 file, with its end, which no tokeniser minds. Only \\n ends a line: the
    other signs at which str.splitlines cuts do occur inside real sentences."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit={limit}: read 1 line or more, or None for all.")
    if Path(path).is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it.")
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {path}; check the path (it is relative to {Path.cwd()}).")
    number = 0
    with open(path, "rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}, line {number}: byte {error.start + 1} is not UTF-8; save the file with encoding UTF-8."
                ) from None
            if "\0" in line:
                raise ValueError(
                    f"{path}, line {number} holds a zero byte: not UTF-8 text; save it with encoding UTF-8."
                )
            yield number, line
            if number == limit:
                return
    if number == 0:
        raise ValueError(f"{path} is empty; give a file with one sentence or pair a line.")


def _messages(data: bytes) -> Iterator[tuple[str, str]]:
    """(original, translation) of a gettext .mo file: two tables of (length, offset), as the GNU gettext manual
    describes them. A context before \\4 and plural forms after \\0 are cut off."""
    order = {0x950412DE: "<", 0xDE120495: ">"}[struct.unpack("<I", data[:4])[0]]
    n, originals, translations = struct.unpack(f"{order}3I", data[8:20])

    def entry(table: int, i: int) -> str:
        length, offset = struct.unpack_from(f"{order}2I", data, table + 8 * i)
        return data[offset : offset + length].decode().split("\0")[0]

    for i in range(n):
        yield entry(originals, i).split("\4")[-1], entry(translations, i)


def _is_plain(english: str, french: str) -> bool:
    """A translated text of 2-15 words without placeholders, markup, code or addresses?"""
    odd = re.search(r"[%{}<>\\$_|`\n]|https?:", english + french)
    return bool(french) and french != english and 2 <= len(english.split()) <= 15 and odd is None


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
