"""The Wikipedia sentences and the word tests: what comes out, what was left out, and what a wrong file is told."""

import re

import pytest

from benchmarks.wikipedia_articles import REVISION, articles, plain_text, written
from course_utils.corpora import wikipedia
from course_utils.corpora.wikipedia import analogy_questions, wikipedia_sentences, word_similarities
from course_utils.data_files import data_folder


def test_the_sentences_are_real_english_of_the_stated_size():
    sentences = wikipedia_sentences()
    assert (len(sentences), sum(map(len, sentences))) == (21_045, 430_843)
    assert min(map(len, sentences)) == 3
    words = {word for sentence in sentences for word in sentence}
    assert len(words) == 31_595 and {"anarchism", "lincoln's", "für"} <= words
    assert all(word == word.lower() and not any(sign in word for sign in "0123456789[]{}|<>=_# ") for word in words)
    first = " ".join(sentences[0])
    assert first.startswith("anarchism is a political philosophy that advocates self governed societies")


def test_every_article_names_its_revision():
    lines = (data_folder() / wikipedia.ARTICLES).read_text(encoding="utf-8").splitlines()
    named = [line for line in lines if line.startswith("#")]
    assert len(named) == len(set(named)) == 106 and lines[0] in named
    assert all(re.fullmatch(rf"# \w.* · {re.escape(REVISION.format(''))}\d+", line) for line in named)


def test_sentences_are_remembered_but_a_caller_cannot_spoil_them():
    first = wikipedia_sentences()
    first.clear()
    assert len(wikipedia_sentences()) == 21_045
    assert wikipedia_sentences()[0] is wikipedia_sentences()[0]


def page(title, number, text):
    return f"<page><title>{title}</title><revision><id>{number}</id><text>{text}</text></revision></page>"


PAGES = "".join([
    page("A", 1, "One two three\nfour five six. Seven eight nine! Not mr. smith"), page("B", 2, "ten eleven twelve"),
    page("C", 3, "#REDIRECT [[A]] a b c"), page("D", 4, "too short"),
])  # fmt: skip
SMALL = f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">{PAGES}</mediawiki>'.encode()


def test_no_sentence_spans_two_articles_paragraphs_or_sentences():
    assert list(articles(SMALL)) == [
        ("A", "1", ["one two three", "four five six", "seven eight nine", "not mr smith"]),
        ("B", "2", ["ten eleven twelve"]),
    ]


def test_what_is_written_is_read_again():
    text = written(SMALL)
    assert text.startswith(f"# A · {REVISION.format(1)}\none two three\n") and text.endswith("twelve\n")
    found = [" ".join(sentence) for sentence in wikipedia._sentences(text)]
    assert found == [sentence for *_, some in articles(SMALL) for sentence in some]


@pytest.mark.parametrize(
    "markup, text",
    [
        ("a {{box|{{inner|x}} y}} b", "a   b"),
        ("a [[page|shown]] and [[other]] b", "a shown and other b"),
        ("a<ref name=x>Smith 1999</ref> b<ref name=x/> c", "a  b  c"),
        ("[[File:x.jpg|thumb|a [[cat]] sits]]on it", "on it"),
        ("'''Bold''' and ''slanted''", "Bold and slanted"),
        ("[http://x.org the site] is", "the site is"),
        ("text\n{| class=x\n|-\n| cell {| in | |} \n|}\nmore", "text\n \nmore"),
        ("== Life ==\nborn\n== References ==\n* Smith\n== Legacy ==\nkept", "\nborn\n\nkept"),
        ("x <!-- no --> y <math>a^2</math> z", "x   y   z"),
        ("a &amp;lt; b<br/>c", "a &lt; b c"),
    ],
)
def test_markup_goes_and_text_stays(markup, text):
    assert plain_text(markup).split() == text.split()


def test_word_similarities():
    pairs = word_similarities()
    assert len(pairs) == 353 and pairs[1] == ("tiger", "cat", 7.35)
    assert all(0 <= score <= 10 and a == a.lower() for a, _, score in pairs)


def test_analogy_questions():
    questions = analogy_questions()
    assert len(questions) == 14 and sum(map(len, questions.values())) == 19_544
    assert questions["capital-common-countries"][0] == ("athens", "greece", "baghdad", "iraq")
    assert ("boy", "girl", "king", "queen") in questions["family"]


@pytest.mark.parametrize("read", [wikipedia_sentences, word_similarities, analogy_questions])
def test_a_changed_file_gets_one_sentence(read, monkeypatch, tmp_path):
    for name in wikipedia.SHA256:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((data_folder() / name).read_bytes().replace(b"a", b"b", 1))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"is not the file that the course ships; get the folder data/ anew.*\.$"):
        read()
