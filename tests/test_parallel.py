"""Readers of real parallel text: what they read, and the one sentence for each thing that can be wrong."""

import bz2
import gettext
import gzip
import importlib.util
import io
import lzma
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from limits import finished

from course_utils.corpora import parallel
from course_utils.corpora.pair import Pair
from course_utils.corpora.parallel import hold_out, jupyterlab_french, read_paired, read_tsv
from course_utils.text.batches import make_batch
from course_utils.text.vocabulary import Vocabulary

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
real_files = pytest.mark.skipif(not REAL.is_dir(), reason=f"real text to test with is not here ({REAL})")


@pytest.fixture
def write(tmp_path):
    def to(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and text.endswith(".")


# ---- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("third", ["", "\tCC-BY 2.0 (France), 12 & 34"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_tab_separated(write, end, third, bom):
    path = write(
        "pairs.tsv", bom + f"Go.{third}".replace("Go.", "Go.\tVa !") + end + f"I'm here.\tJ’y suis.{third}{end}"
    )
    expected = [Pair(("go", "."), ("va", "!")), Pair(("i'm", "here", "."), ("j'", "y", "suis", "."))]
    assert read_tsv(path) == expected == read_tsv(str(path))
    assert read_tsv(path, limit=1) == expected[:1]


def test_paired_files(write):
    english = write("a.en", "A man\u2028sleeps.\nTwo dogs run\n")  # U+2028 does not end a line, \n does
    french = write("a.fr", "Un homme dort.\nDeux chiens courent")  # the last line may lack its end
    pairs = read_paired(english, french)
    assert [p.source for p in pairs] == [("a", "man", "sleeps", "."), ("two", "dogs", "run")]
    assert [p.target for p in pairs] == [("un", "homme", "dort", "."), ("deux", "chiens", "courent")]
    assert read_paired(english, french, limit=1) == pairs[:1]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files(write, pack):
    """By their content: a browser may have taken the ending off, or the file be unpacked and have kept it."""
    text = b"Go.\tVa !\nRun!\tCours !\n"
    expected = [Pair(("go", "."), ("va", "!")), Pair(("run", "!"), ("cours", "!"))]
    for name in ("pairs.tsv.gz", "pairs.tsv"):
        assert read_tsv(write(name, pack(text))) == read_tsv(write("plain.gz", text)) == expected
        assert read_tsv(write(name, pack(text)), limit=1) == expected[:1]
    files = write("a.en.gz", pack(b"Go.\nRun!\n")), write("a.fr", "Va !\nCours !\n")
    assert read_paired(*files) == expected


GO = Pair(("go", "."), ("va", "!"))


@pytest.mark.parametrize(
    "content",
    [
        "Go.\tVa !\n\n",
        "Go.\tVa !\n\r\n\t\n \t\t\n\ufeff\n",  # lines that a spreadsheet or an editor leaves at the end
        "\ufeffEnglish\tFrench\nGo.\tVa !\n",
        '"en"\t"fr"\tattribution\nGo.\tVa !\tCC-BY\n',
        "1277\tGo.\t3081\tVa !\n",  # Tatoeba's sentence pairs
        "id\tenglish\tid\tfrench\n1277\tGo.\t3081\tVa !\tCC-BY\n",
        "\ufeffGo.\tVa\u202f!\t0.93\n",
        '"Go."\t"Va !"\n'.replace('"', "&#8203;"),  # an entity is the sign it names
    ],
)
def test_other_shapes_of_the_same_pair(write, content):
    assert read_tsv(write("pairs.tsv", content)) == [GO]


def test_a_pair_is_no_header_and_a_number_may_be_a_sentence(write):
    content = "Sentence.\tPhrase.\nEnglish\tAnglais\nSource\tSource\n1984\t1984\n"
    assert [p.source for p in read_tsv(write("pairs.tsv", content))] == [
        ("sentence", "."), ("english",), ("source",), ("1984",)
    ]  # fmt: skip
    assert read_tsv(write("pairs.tsv", "In 1984\tEn 1984\n17\tDix-sept\n"))[1].source == ("17",)


def test_entities_of_moses_are_the_signs_they_name(write):
    path = write("pairs.tsv", "don&apos;t say &quot; R&D &amp; AT&T &quot;\tl&apos;eau\n")
    assert read_tsv(path) == [Pair(tuple("don't say \" r & d & at & t \"".split()), ("l'", "eau"))]


def test_empty_lines_at_the_end_of_paired_files(write):
    for more in ("\n", "\n\n \n"):
        assert read_paired(write("a.en", "Go.\n" + more), write("a.fr", "Va !\n")) == [GO]
        assert read_paired(write("a.en", "Go.\n" + more), write("a.fr", "Va !" + more)) == [GO]


def test_a_limit_reads_no_further(write):
    path = write("pairs.tsv", "a\tb\nc\td\nbroken\n")
    assert len(read_tsv(path, limit=2)) == 2


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content, message",
    [
        ("a\tb\nno tab here\n", r"pairs\.tsv, line 2: 1 column instead of 2"),
        ("a\tb\n\nc\td\n", r"pairs\.tsv, line 2 is empty; remove it"),
        ("a\tb\n\u200b\t\xad\nc\td\n", r"pairs\.tsv, line 2 is empty; remove it"),  # signs without ink
        ("a\tb\n\u2060\tc\n", r"pairs\.tsv, line 2: the English sentence is empty"),
        ("Go.\ta\tVa !\tb\n", r"pairs\.tsv, line 1: 4 columns instead of 2"),
        ("a\tb\nen\tfr\tc\td\n", r"pairs\.tsv, line 2: 4 columns instead of 2"),
        ("1\tGo.\t2\tVa !\nGo.\tVa !\n", r"line 2: 2 columns instead of 4 \(number, English, number, French\)"),
        ("1276\teng\tLet's try!\n", r"line 1: column 1 holds a number where a sentence should be"),  # all of Tatoeba
        ("1276\t3080\n", r"line 1: column 1 holds a number"),  # its links
        ("1.0842\tGo.\tVa !\n", r"line 1: column 1 holds a number"),  # mined pairs with their score (CCMatrix)
        ("Go.\t1158250\tVa !\n", r"line 1: column 2 holds a number"),
        ("English,French\nGo.,Va !\n", r"line 1: 1 column .* if , separates them, save the file with tabs"),
        ("Go.;Va !\n", r"line 1: 1 column .* if ; separates them"),
        ("Go . ||| Va !\n", r"line 1: 1 column .* if \|\|\| separates them"),
        ('"He said ""no""."\tNon.\n', r"line 1: quotation marks are doubled"),
        ('"Go."\t"Va !"\n"Run!"\t"Cours !"\n', r"pairs\.tsv: every sentence stands in quotation marks"),
        ("French\tEnglish\nVa !\tGo.\n", r"line 1: the French column stands first"),
        ("English\tFrench\n", r"pairs\.tsv is empty"),
        ("\n\n\t\n", r"pairs\.tsv is empty"),
        ("Go.\tVa !\rRun!\tCours !\r", r"line 1 holds a carriage return"),  # line ends of old Macintoshes
        ('<?xml version="1.0"?>\n<tmx version="1.4">\n', r"line 1 is XML or HTML \(such as TMX\), not a plain"),
        ('<srcset setid="newstest2014" srclang="any">\n', r"line 1 is XML or HTML"),  # WMT
        ('{"translation": {"en": "Go.", "fr": "Va !"}}\n', r"line 1 is JSON"),
        ("[\n", r"line 1 is JSON"),
        ('msgid "Go"\nmsgstr "Va"\n', r"line 1 is a gettext catalogue"),
        ("a\tb\n\tc\n", r"pairs\.tsv, line 2: the English sentence is empty"),
        ("a\tb\nc\t \tCC-BY\n", r"pairs\.tsv, line 2: the French sentence is empty"),
        ("a\tb\nthe café\tle café\n".encode("latin-1"), r"pairs\.tsv, line 2: byte 8 is not UTF-8; save .* UTF-8"),
        ("a\tb\n".encode("utf-16"), r"pairs\.tsv, line 1: byte 1 is not UTF-8"),
        ("a\tb\n".encode("utf-16-le"), r"pairs\.tsv, line 1 holds a zero byte"),
        ("", r"pairs\.tsv is empty"),
    ],
)
def test_bad_tab_separated_files(write, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read_tsv(write("pairs.tsv", content))
    assert one_sentence(error)


@pytest.mark.parametrize(
    "english, french, message",
    [
        ("a\nb\nc\n", "x\ny\n", r"a\.en goes on at line 3 where .*a\.fr has ended"),
        ("a\nb\n", "x\ny\nz\n", r"a\.fr goes on at line 3 where .*a\.en has ended"),
        ("a\nb\n", "x\n\n", r"a\.fr, line 2 is empty; remove this line from both"),
        ("a\n \n", "x\ny\n", r"a\.en, line 2 is empty; remove this line from both"),
        ("a\n", "é\n".encode("latin-1"), r"a\.fr, line 1: byte 1 is not UTF-8"),
        ("", "x\n", r"a\.en is empty; give a file"),
        ("a\n", "", r"a\.fr is empty; give a file"),
    ],
)
def test_bad_paired_files(write, english, french, message):
    with pytest.raises(ValueError, match=message) as error:
        read_paired(write("a.en", english), write("a.fr", french))
    assert one_sentence(error)


@pytest.mark.parametrize(
    "english, french, message",
    [
        ("Go.\tVa !\n", "x\n", r"a\.en, line 1 holds a tab; a file with both languages is for read_tsv"),
        ("a\n\nc\n", "x\n\nz\n", r"a\.en, line 2 is empty; remove this line from both"),
        ("a\nb\n", "x\n\u200b\n", r"a\.fr, line 2 is empty; remove this line from both"),
        ("a\rb\r", "x\ry\r", r"a\.en, line 1 holds a carriage return"),
        ("<DOC>\na\n", "<DOC>\nx\n", r"a\.en, line 1 is XML or HTML"),
        ("1\n00:00:01,000 --> 00:00:02,000\n", "1\n2\n", r"a\.en, line 2 is subtitles with times"),
    ],
)
def test_other_formats_are_not_taken_for_paired_files(write, english, french, message):
    with pytest.raises(ValueError, match=message) as error:
        read_paired(write("a.en", english), write("a.fr", french))
    assert one_sentence(error)


def test_one_file_twice(write):
    path = write("a.en", "a\n")
    with pytest.raises(ValueError, match=r"a\.en was given twice") as error:
        read_paired(path, path.parent / "." / "a.en")
    assert one_sentence(error)


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return out.getvalue()


def tarred():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:bz2") as archive:
        archive.addfile(tarfile.TarInfo("links.csv"))
    return out.getvalue()


@pytest.mark.parametrize(
    "content, message",
    [
        (zipped(fra_txt="Go.\tVa !\n", about_txt="x"), r"is a zip archive; take .* out \(it holds fra\.txt, "),
        (zipped(), r"line 1 holds a zero byte"),
        (tarred(), r"is a tar archive; take the plain text out\."),
        (b"7z\xbc\xaf\x27\x1c", r"is a 7z archive"),
        (b"(\xb5/\xfd\x04", r"is packed with zstd"),
        (b"%PDF-1.7\n", r"is a PDF"),
        (gzip.compress(b"Go.\tVa !\n" * 99, mtime=0)[:-9], r"is damaged: it can be unpacked up to line \d+ only"),
        (b"\x1f\x8b\x08 no gzip at all", r"is damaged: it can be unpacked up to line 0 only"),
        (b"BZh9 no bzip2", r"is damaged"),
        (b"\xfd7zXZ\x00 no xz", r"is damaged"),
    ],
)
def test_archives_and_damaged_files(write, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read_tsv(write("pairs.bin", content))
    assert one_sentence(error)


def test_missing_files_and_folders(write, tmp_path):
    good = write("a.en", "a\n")
    for read in (read_tsv, lambda path: read_paired(good, path), lambda path: read_paired(path, good)):
        with pytest.raises(FileNotFoundError, match="there is no file .*nowhere.txt; check the path") as error:
            read(tmp_path / "nowhere.txt")
        assert one_sentence(error)
        with pytest.raises(IsADirectoryError, match="is a folder; name a file in it") as error:
            read(tmp_path)
        assert one_sentence(error)
    with pytest.raises(ValueError, match="limit=0"):
        read_tsv(good, limit=0)


# ---- held-out pairs --------------------------------------------------------------------------------------------------


def test_hold_out_keeps_translations_of_one_sentence_together():
    pairs = [Pair((f"s{i // 3}",), (f"t{i}",)) for i in range(90)]  # three translations each
    train, test = hold_out(pairs, 10, seed=1)
    assert len(test) == 12 and sorted(train + test, key=pairs.index) == pairs
    assert not {p.source for p in train} & {p.source for p in test}
    assert hold_out(pairs, 10, seed=1) == (train, test) != hold_out(pairs, 10, seed=2)
    assert train == [p for p in pairs if p in train]  # in the order of the file
    for n in (0, 90):
        with pytest.raises(ValueError, match=f"n={n} of 90"):
            hold_out(pairs, n)


# ---- the JupyterLab catalogue ----------------------------------------------------------------------------------------


def test_the_catalogue():
    pairs = jupyterlab_french()
    assert len(pairs) == 2224 == len({p.source for p in pairs})
    assert all(p.source and p.target for p in pairs)
    by_source = {" ".join(p.source): " ".join(p.target) for p in pairs}
    assert by_source["enable scrolling for outputs"] == "activer le défilement pour les sorties"


def test_the_catalogue_as_the_standard_library_reads_it():
    package = importlib.util.find_spec("jupyterlab_language_pack_fr_FR").submodule_search_locations[0]
    for file in sorted(Path(package, "locale", "fr_FR", "LC_MESSAGES").glob("*.mo")):
        with open(file, "rb") as opened:
            catalogue = gettext.GNUTranslations(
                opened
            )._catalog  # a plural is found under (text, 0), a context before \4
        expected = {(k[0] if isinstance(k, tuple) else k, v) for k, v in catalogue.items() if not (k and k[-1] == 1)}
        read = {(english, french) for english, french in parallel._messages(file.read_bytes())}
        assert read == {(english.split("\4")[-1], french) for english, french in expected}


def test_the_catalogue_is_read_without_importing_its_package():
    code = (
        "import sys; from course_utils.corpora.parallel import jupyterlab_french; jupyterlab_french();"
        "assert not [m for m in sys.modules if 'jupyter' in m], sys.modules"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = finished([sys.executable, "-c", code], "the catalogue to be read", env=env)
    assert done.returncode == 0, done.stderr


def test_a_missing_or_different_catalogue(monkeypatch, tmp_path):
    with (
        monkeypatch.context() as m,
        pytest.raises(ValueError, match="holds other text than version 4.5.post3") as error,
    ):
        m.setattr(parallel, "CATALOGUE_SHA256", "0" * 64)
        jupyterlab_french()
    assert one_sentence(error)
    with monkeypatch.context() as m, pytest.raises(ModuleNotFoundError, match="not installed; pip install '") as error:
        m.setattr(parallel, "CATALOGUE", "no-such-language-pack")
        jupyterlab_french()
    assert one_sentence(error)
    package = tmp_path / "broken_language_pack" / "locale" / "fr_FR" / "LC_MESSAGES"
    package.mkdir(parents=True)
    (package / "x.mo").write_bytes(b"not a catalogue at all")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(parallel, "CATALOGUE", "broken-language-pack")
    with pytest.raises(ValueError, match="x.mo is no gettext catalogue; pip install") as error:
        jupyterlab_french()
    assert one_sentence(error)


# ---- the real files --------------------------------------------------------------------------------------------------


@real_files
def test_tatoeba():
    pairs = read_tsv(REAL / "tatoeba-en-fr" / "eng-fra.txt")
    assert len(pairs) == 5000 and pairs[0] == Pair(("go", "."), ("va", "!"))
    assert len({p.source for p in pairs}) < len(pairs)  # a sentence may have several translations
    assert not any("attribution" in p.target for p in pairs)


@real_files
def test_multi30k():
    folder = REAL / "multi30k-en-fr"
    sizes = {"train": 29000, "val": 1014, "test": 1000}
    for split, n in sizes.items():
        pairs = read_paired(folder / f"{split}.en", folder / f"{split}.fr")
        assert len(pairs) == n
    assert pairs[0].source[:3] == ("a", "man", "in")
    vocabularies = Vocabulary.build(p.source for p in pairs), Vocabulary.build((p.target for p in pairs), min_count=2)
    batch = make_batch(pairs[:64], *vocabularies)
    assert batch.source.shape[0] == 64 and (batch.target_in == 3).any()  # rare words read as <unk>
