"""Makes data/wikipedia.txt: the running text of 106 articles, out of a small dump of the English Wikipedia of 2016.

    pip download --no-deps --only-binary=:all: --python-version 3.13 gensim==4.4.0
    python -m benchmarks.wikipedia_articles gensim-4.4.0-*.whl

The dump is test data that every wheel of gensim carries; nothing of gensim is installed or run. Templates, tables,
reference lists, formulas, pictures, headings, numbers and punctuation are left out, and so are pages that only point to
another one. What comes out is described in data/README.md and read by course_utils/corpora/wikipedia.py.
"""

import argparse
import bz2
import html
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from course_utils.corpora.wikipedia import ARTICLES
from course_utils.data_files import data_folder

DUMP = "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
REVISION = "https://en.wikipedia.org/w/index.php?oldid={}"
SHORTEST = 3  # words; what is shorter is a label, not a sentence

# Wiki markup, in the order in which it is taken away. Templates and tables nest: innermost first, until none is left.
_NOTE = re.compile(
    r"<!--.*?-->|<ref[^<>]*/>|<(ref|math|gallery|timeline|code|pre|sup|sub)\b[^<>]*>.*?</\1>", re.S | re.I
)
_INNERMOST = re.compile(r"\{\{[^{}]*\}\}|\{\|(?:(?!\{\||\|\}).)*\|\}", re.S)
_LAST_SECTIONS = re.compile(
    r"^==+ *(?:see also|notes?|references|further reading|external links|bibliography|footnotes|sources|citations|"
    r"works cited)\b.*?(?=^==[^=]|\Z)",
    re.M | re.I | re.S,
)
_PICTURE = re.compile(r"\[\[(?:file|image|category):(?:[^\[\]]|\[\[[^\[\]]*\]\])*\]\]", re.I)
_LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")  # [[page|shown]] -> shown
_ADDRESS = re.compile(r"\[\w+://\S*\s*([^\]]*)\]")
_TAG = re.compile(r"<[^<>]*>")
_SIGNS = re.compile(r"'''?|__\w+__|^[*#:;]+|^[=|!{].*$", re.M)  # bold, bullets, headings, table cells

_END = re.compile(r"(?<=[.!?])[\"”’')]*\s+(?=[\"“‘'(]*[A-Z0-9])|\n+")  # of a sentence or paragraph
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")  # letters, with one inner apostrophe; numbers are left out


def articles(dump: bytes) -> Iterator[tuple[str, str, list[str]]]:
    """(title, number of the revision, sentences) of every article of an uncompressed dump that has any."""
    for _, element in ElementTree.iterparse(io.BytesIO(dump)):
        if not element.tag.endswith("}page"):
            continue
        text = element.findtext("./{*}revision/{*}text") or ""
        title, revision = element.findtext("./{*}title"), element.findtext("./{*}revision/{*}id")
        element.clear()
        if not text.lower().startswith("#redirect") and (found := sentences(text)):
            yield title, revision, found


def sentences(markup: str) -> list[str]:
    """The sentences of an article in wiki markup: lower-case words separated by blanks. None spans two paragraphs."""
    words = (_WORD.findall(sentence.lower().replace("’", "'")) for sentence in _END.split(plain_text(markup)))
    return [" ".join(some) for some in words if len(some) >= SHORTEST]


def plain_text(markup: str) -> str:
    """The running text of an article in wiki markup: no templates, tables, notes, pictures, headings, last sections."""
    text = _NOTE.sub(" ", html.unescape(markup))
    while (less := _INNERMOST.sub(" ", text)) != text:
        text = less
    text = _PICTURE.sub("", _LAST_SECTIONS.sub("", text))
    text = _ADDRESS.sub(r"\1", _LINK.sub(r"\1", text))
    return _SIGNS.sub("", _TAG.sub(" ", text))


def written(dump: bytes) -> str:
    """The content of data/wikipedia.txt: for each article one line that names its revision, then its sentences."""
    lines = []
    for title, revision, found in articles(dump):
        lines += [f"# {title} · {REVISION.format(revision)}", *found]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    with zipfile.ZipFile(parser.parse_args().wheel) as wheel:
        text = written(bz2.decompress(wheel.read(DUMP)))
    path = data_folder() / ARTICLES
    path.write_bytes(text.encode())
    print(f"{path}: {text.count('# '):,} articles, {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main()
