"""Real sentence pairs, read from files or from an installed package, as the same `Pair`s as the generated corpus.

Used in notebook 07 ("the same model on real sentences"). Nothing is downloaded: a path is given by the reader of the
course, the JupyterLab catalogue arrives with pip. A file that is not what it should be gets one sentence that names
file, line and remedy.
"""

import bz2
import gzip
import hashlib
import html
import importlib.util
import lzma
import os
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from course_utils.corpora.pair import Pair
from course_utils.text.vocabulary import tokenise

CATALOGUE = "jupyterlab-language-pack-fr-FR"  # the pip package, and the version that the course was measured on
CATALOGUE_VERSION = "4.5.post3"
CATALOGUE_SHA256 = "f7e623c45661e9119a3bdd148ded394863f1ad7d924155890682e29437d2fb28"


PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}  # how the file begins -> how to open it
ARCHIVES = {
    b"PK\x03\x04": "a zip archive", b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a rar archive",
    b"(\xb5/\xfd": "packed with zstd", b"%PDF": "a PDF", b"\xd0\xcf\x11\xe0": "an office document",
    b"{\\rtf": "rich text",
}  # fmt: skip
FORMATS = (  # how a line of what is no plain text begins
    (re.compile(r"\s*<(\?xml|!doctype|[a-z][\w.:-]*(\s+[\w.:-]+\s*=|\s*/?>))", re.I), "XML or HTML (such as TMX)"),
    (re.compile(r"\s*[\[{]\s*([\[{\"]|$)"), "JSON"),
    (re.compile(r'msg(id|str) "'), "a gettext catalogue"),
    (re.compile(r"\d\d:\d\d:\d\d[,.]\d\d\d --> "), "subtitles with times"),
)
ENGLISH = {"english", "en", "eng", "source", "src", "sentence", "text"}  # names of columns, in a first line
FRENCH = {"french", "fr", "fra", "fre", "target", "tgt", "trg", "translation"}
OTHERS = {"", "id", "attribution", "licence", "license", "score"}
NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d+)?\s*")
ENTITY = re.compile(r"&(?:amp|apos|quot|lt|gt|#\d+);")  # as Moses and the web write signs


def read_tsv(path: str | os.PathLike, limit: int | None = None) -> list[Pair]:
    """Pairs from lines "English<TAB>French", as Anki's files of Tatoeba sentences have them; a third column (the
    attribution) is not read. Tatoeba's own "number, English, number, French" is read too; a first line of column names
    and empty lines at the end are passed over. The file may be packed (gzip, bzip2, xz).

    `limit`: the first so many lines. Raises ValueError or OSError, naming file, line and remedy.
    """
    pairs, columns, gap, quoted = [], None, None, 0
    for number, line in _lines(path, limit):
        cells, where = line.rstrip("\r\n").split("\t"), f"{path}, line {number}"
        if not any(map(_tokens, cells)):
            gap = gap or where
            continue
        if gap:
            raise ValueError(f"{gap} is empty; remove it.")
        if columns is None:
            if _are_names(cells, where):
                continue
            columns = _columns(cells, where)
        if not columns[1] < len(cells) <= columns[1] + 2:
            raise ValueError(f"{where}: {_count(len(cells), 'column')} instead of {_remedy(columns, line)}.")
        sentences = [cells[column].strip() for column in columns]
        for sentence, name in zip(sentences, ("English", "French"), strict=True):
            if not _tokens(sentence):
                raise ValueError(f"{where}: the {name} sentence is empty; complete or remove the line.")
            if re.fullmatch(r'".*"".*"', sentence):
                raise ValueError(f"{where}: quotation marks are doubled; save the file without marks around cells.")
        quoted += all(len(s) > 1 and s[0] == s[-1] == '"' for s in sentences)
        pairs.append(Pair(*map(_tokens, sentences)))
    if not pairs:
        raise ValueError(f"{path} is empty; give a file with one sentence or pair a line.")
    if quoted == len(pairs) > 1:
        raise ValueError(f"{path}: every sentence stands in quotation marks; save the file without marks around cells.")
    return pairs


def read_paired(source_path: str | os.PathLike, target_path: str | os.PathLike, limit: int | None = None) -> list[Pair]:
    """Pairs from two files with a sentence a line, line n of one translating line n of the other (Multi30k; OPUS calls
    it "Moses"). Empty lines at the end are passed over. The files may be packed (gzip, bzip2, xz).

    `limit`: the first so many lines. Raises ValueError or OSError, naming file, line and remedy.
    """
    paths = source_path, target_path
    if Path(source_path).resolve() == Path(target_path).resolve():
        raise ValueError(f"{source_path} was given twice; name the file of each language.")
    pairs, gap = [], None
    for number, lines in enumerate(zip_longest(*(_lines(path, limit) for path in paths)), 1):
        tokens = [line and _tokens(line[1]) for line in lines]  # None: this file has ended
        if not any(tokens):
            gap = gap or f"{source_path}, line {number}"
            continue
        if None in tokens:
            shorter, longer = paths if tokens[0] is None else paths[::-1]
            raise ValueError(
                f"{longer} goes on at line {number} where {shorter} has ended; line n of one must translate line n of "
                "the other: complete the shorter file or shorten the longer."
            )
        for path, (_, line), found in zip(paths, lines, tokens, strict=True):
            if not found:
                gap = gap or f"{path}, line {number}"
            if "\t" in line.strip():
                raise ValueError(f"{path}, line {number} holds a tab; a file with both languages is for read_tsv.")
        if gap:
            raise ValueError(f"{gap} is empty; remove this line from both files.")
        pairs.append(Pair(*tokens))
    if not pairs:
        raise ValueError(f"{source_path} is empty; give a file with one sentence or pair a line.")
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


def _tokens(text: str) -> tuple[str, ...]:
    return tokenise(ENTITY.sub(lambda entity: html.unescape(entity[0]), text))


def _are_names(cells: list[str], where: str) -> bool:
    """Is this first line "English, French", not a pair of sentences?"""
    names = [cell.strip(' "').lower() for cell in cells]
    if not (set(names) <= ENGLISH | FRENCH | OTHERS and ENGLISH & set(names) and FRENCH & set(names)):
        return False
    if min(names.index(name) for name in FRENCH & set(names)) < min(names.index(name) for name in ENGLISH & set(names)):
        raise ValueError(f"{where}: the French column stands first; put the English one before it.")
    return True


def _columns(cells: list[str], where: str) -> tuple[int, int]:
    """Where the English and the French sentence stand, by the first line that has some."""
    numbers = [NUMBER.fullmatch(cell) is not None for cell in cells]
    if len(cells) in (4, 5) and numbers[:4] == [True, False, True, False]:
        return 1, 3
    if len(cells) in (2, 3) and any(numbers[:2]) and cells[0].strip() != cells[1].strip():
        raise ValueError(
            f"{where}: column {1 + numbers.index(True)} holds a number where a sentence should be; keep two columns, "
            "the English and the French sentence."
        )
    return 0, 1


def _remedy(columns: tuple[int, int], line: str) -> str:
    if columns == (1, 3):
        return "4 (number, English, number, French) as above"
    wanted = "2 (English, French) or 3 (and an attribution)"
    for sign in ("|||", ";", ","):
        if "\t" not in line and sign in line:
            return f"{wanted}; if {sign} separates them, save the file with tabs, without quotation marks around cells"
    return f"{wanted}; separate them by one tab, or remove the line"


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
    for number, raw in enumerate(_unpacked(path), 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}, line {number}: byte {error.start + 1} is not UTF-8; save the file with encoding UTF-8."
            ) from None
        if "\0" in line:
            raise ValueError(f"{path}, line {number} holds a zero byte: not UTF-8 text; save it with encoding UTF-8.")
        if "\r" in line.rstrip("\r\n"):
            raise ValueError(f"{path}, line {number} holds a carriage return; save the file with line ends \\n.")
        for pattern, kind in FORMATS if number <= 20 else ():
            if pattern.match(line):
                raise ValueError(
                    f"{path}, line {number} is {kind}, not a plain sentence; export two columns with a tab between, or "
                    "a file for each language."
                )
        yield number, line
        if number == limit:
            return
    if number == 0:
        raise ValueError(f"{path} is empty; give a file with one sentence or pair a line.")


def _unpacked(path: str | os.PathLike) -> Iterator[bytes]:
    """The lines of a file, packed or not; an archive is refused, with what it holds."""
    with open(path, "rb") as file:
        head = file.read(512)
    opener = next((opener for sign, opener in PACKED.items() if head.startswith(sign)), open)
    number = 0
    try:
        with opener(path, "rb") as file:
            head = file.read(512)
            kind = next((kind for sign, kind in ARCHIVES.items() if head.startswith(sign)), None)
            if kind or head[257:262] == b"ustar":
                raise ValueError(f"{path} is {kind or 'a tar archive'}; take the plain text out{_inside(path)}.")
            file.seek(0)
            for line in file:
                number += 1
                yield line
    except (EOFError, OSError, zlib.error, lzma.LZMAError):
        if opener is open:
            raise
        raise ValueError(f"{path} is damaged: it can be unpacked up to line {number} only; fetch it again.") from None


def _inside(path: str | os.PathLike) -> str:
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as archive:
        return f" (it holds {', '.join(archive.namelist()[:6])}) and name that file"


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
