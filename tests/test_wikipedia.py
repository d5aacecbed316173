"""The Wikipedia sentences and the word tests: what comes out, what is left out, and what a wrong file is told."""

import importlib.util

import pytest
from limits import finished

from course_utils.corpora import wikipedia
from course_utils.corpora.wikipedia import analogy_questions, plain_text, wikipedia_sentences, word_similarities


def test_the_sentences_are_real_english_of_the_stated_size():
    sentences = wikipedia_sentences()
    assert (len(sentences), sum(map(len, sentences))) == (21_045, 430_843)
    assert min(map(len, sentences)) == wikipedia.SHORTEST
    words = {word for sentence in sentences for word in sentence}
    assert len(words) == 31_595 and {"anarchism", "lincoln's", "für"} <= words
    assert all(word == word.lower() and not any(sign in word for sign in "0123456789[]{}|<>=_ ") for word in words)
    first = " ".join(sentences[0])
    assert first.startswith("anarchism is a political philosophy that advocates self governed societies")


def test_sentences_are_remembered_but_a_caller_cannot_spoil_them():
    first = wikipedia_sentences()
    first.clear()
    assert len(wikipedia_sentences()) == 21_045
    assert wikipedia_sentences()[0] is wikipedia_sentences()[0]


def page(title, text):
    return f"<page><title>{title}</title><revision><text>{text}</text></revision></page>"


def test_no_sentence_spans_two_articles_paragraphs_or_sentences():
    import bz2

    pages = page("A", "One two three\nfour five six. Seven eight nine! Not mr. smith") + page("B", "ten eleven twelve")
    pages += page("C", "#REDIRECT [[A]] a b c")
    dump = f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">{pages}</mediawiki>'
    assert wikipedia._sentences(bz2.compress(dump.encode())) == (
        ("one", "two", "three"), ("four", "five", "six"), ("seven", "eight", "nine"), ("not", "mr", "smith"),
        ("ten", "eleven", "twelve"),
    )  # fmt: skip


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


def test_word_tests():
    wordsim, simlex = word_similarities(), word_similarities("simlex999")
    assert len(wordsim) == 353 and wordsim[1] == ("tiger", "cat", 7.35)
    assert len(simlex) == 999 and simlex[0] == ("old", "new", 1.58)
    assert all(0 <= score <= 10 and a == a.lower() for a, _, score in wordsim + simlex)
    with pytest.raises(ValueError, match="no word test 'men': use 'wordsim353' or 'simlex999'"):
        word_similarities("men")


def test_analogy_questions():
    questions = analogy_questions()
    assert len(questions) == 14 and sum(map(len, questions.values())) == 19_544
    assert questions["capital-common-countries"][0] == ("athens", "greece", "baghdad", "iraq")
    assert ("boy", "girl", "king", "queen") in questions["family"]


def test_a_missing_or_changed_package_gets_one_sentence(monkeypatch, tmp_path):
    with monkeypatch.context() as m:
        m.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ModuleNotFoundError, match=r"gensim is not installed; pip install 'gensim==4\.4\.0'\."):
            wikipedia_sentences()
    with monkeypatch.context() as m:
        m.setitem(wikipedia.SHA256, wikipedia.DUMP, "0" * 64)
        with pytest.raises(ValueError, match=r"shortened\.bz2 is not the file of gensim 4\.4\.0.*; pip install"):
            wikipedia_sentences()
    monkeypatch.setitem(wikipedia.SIMILARITIES, "wordsim353", "gone.tsv")
    with pytest.raises(ValueError, match=r"gensim lacks its file gone\.tsv"):
        word_similarities()


def test_gensim_itself_is_not_imported():
    import sys

    code = "import sys; from course_utils.corpora import wikipedia as w; w.word_similarities(); print(*sys.modules)"
    done = finished([sys.executable, "-c", code], "the similarities to be read", check=True)
    assert "course_utils.corpora.wikipedia" in done.stdout.split() and "gensim" not in done.stdout.split()
