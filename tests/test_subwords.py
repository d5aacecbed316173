"""Byte-pair encoding: the same merges and pieces as the authors' program; nothing is lost; bad input."""

import io
from collections import Counter

import pytest
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from course_utils.corpora.mini import load_split
from course_utils.corpora.parallel import jupyterlab_french
from course_utils.text.subwords import BytePairEncoding

TEXTS = {
    "corpus": lambda: [pair.target for pair in load_split("train", 3000)],
    "interface": lambda: [side for pair in jupyterlab_french() for side in (pair.source, pair.target)],
    "repeats": lambda: [("aaaa", "aaa", "banana", "nanan", "ana", "a")] * 3 + [("low", "lower", "lowest")] * 2,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", list(TEXTS))
def test_the_authors_program_learns_the_same_merges_and_cuts_the_same_pieces(text):
    counts = Counter(word for sentence in TEXTS[text]() for word in sentence)
    ours = BytePairEncoding.learn(counts, 300)
    codes = io.StringIO()
    learn_bpe(io.StringIO("".join(f"{word} {n}\n" for word, n in counts.items())), codes, 300, is_dict=True)
    assert [" ".join(pair) for pair in ours.merges] == codes.getvalue().splitlines()[1:]
    theirs = BPE(io.StringIO(codes.getvalue()))
    for word in (*counts, "unseenword", "ça", "x"):
        assert list(ours.split(word)) == theirs.segment_tokens([word])


@pytest.mark.parametrize("n_merges", [0, 5, 10_000])
def test_nothing_is_lost(n_merges):
    sentences = TEXTS["interface"]()
    code = BytePairEncoding.learn(Counter(word for sentence in sentences for word in sentence), n_merges)
    assert len(code.merges) <= n_merges
    for sentence in sentences:
        assert code.decode(code.encode(sentence)) == sentence


def test_rare_pairs_are_left_apart():
    code = BytePairEncoding.learn({"abc": 1, "abd": 1}, 10)
    assert code.merges == (("a", "b"),) and code.split("abc") == ("ab@@", "c")
    assert BytePairEncoding.learn({"abc": 1}, 10, min_count=1).split("abc") == ("abc",)


def test_bad_input_gets_one_sentence():
    with pytest.raises(ValueError, match="n_merges=-1: use 0"):
        BytePairEncoding.learn({"a": 1}, -1)
    with pytest.raises(ValueError, match="is the text empty"):
        BytePairEncoding.learn({}, 5)
    with pytest.raises(ValueError, match="an empty word"):
        BytePairEncoding([]).split("")
