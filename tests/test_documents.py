"""Documents: real scenes and their splits, documents with known evidence, attributes, sentence ends."""

from collections import Counter

import pytest

from course_utils.corpora import attributes, evidence, scenes
from course_utils.corpora.mini import load_split
from course_utils.corpora.plays import read_plays
from course_utils.text.sentences import by_rank, ends_of, split_sentences
from course_utils.text.vocabulary import tokenise


def test_scenes_are_the_beginnings_of_real_scenes():
    found = scenes.load_scenes()
    assert Counter(scenes.GENRES[d.label] for d in found) == {"comedies": 128, "histories": 240, "tragedies": 129}
    assert len({d.group for d in found}) == 25
    hamlet = [d for d in found if d.group == "hamlet"]
    assert hamlet[0].sentences[:2] == (("who's", "there", "?"), ("nay", ",", "answer", "me", ":", "stand", ",", "and",
                                                                    "unfold", "yourself", "."))  # fmt: skip
    assert not {"exeunt", "scene", "act"} & {s[0] for d in hamlet for s in d.sentences}
    assert all(1 <= len(d.sentences) <= 30 and all(1 <= len(s) <= 50 for s in d.sentences) for d in found)
    assert sum(len(s) for d in found for s in d.sentences) == pytest.approx(234_398, rel=1e-3)


@pytest.mark.parametrize("kind", ["plays", "scenes"])
def test_every_scene_is_tested_once_and_never_trained_on(kind):
    tested = []
    for fold in range(scenes.FOLDS):
        parts = scenes.scene_splits(fold, kind)
        assert sum(map(len, parts)) == 497 and all({d.label for d in part} == {0, 1, 2} for part in parts)
        ids = [{id(d) for d in part} for part in parts]
        assert not ids[0] & ids[1] and not ids[0] & ids[2] and not ids[1] & ids[2]
        plays = [{d.group for d in part} for part in parts]
        if kind == "plays":
            assert not plays[0] & plays[1] and not plays[0] & plays[2] and not plays[1] & plays[2]
        else:
            assert len(plays[0] & plays[2]) > 20
        tested += ids[2]
    assert len(tested) == len(set(tested)) == 497
    with pytest.raises(ValueError, match="'plays', 'scenes'"):
        scenes.scene_splits(0, "acts")
    with pytest.raises(ValueError, match="fold=5"):
        scenes.scene_splits(5)


def test_the_vocabulary_of_scenes_knows_no_word_of_few_plays():
    train = scenes.scene_splits(0)[0]
    words = scenes.scene_vocabulary(train)
    using = Counter(word for play in {d.group for d in train} for word in
                    {w for d in train if d.group == play for s in d.sentences for w in s})  # fmt: skip
    assert {w for w, n in using.items() if n >= 4} == set(words.words[4:])
    assert "hamlet" not in words and "king" in words


def test_the_evidence_is_in_one_sentence_and_the_bag_says_nothing():
    for split, n in evidence.SIZES.items():
        documents = evidence.evidence_documents(split)
        assert len(documents) == n and Counter(d.label for d in documents) == {k: n // 4 for k in range(4)}
        kinds = {word: t.kind for t in evidence.templates() for word in t.things}
        for d in documents:
            place, (person, thing) = d.gold
            assert [s for s in range(8) if "queen" in d.sentences[s]] == [place]
            assert d.sentences[place][person] == "queen" and kinds[d.sentences[place][thing]] == d.label
            assert len(d.sentences) == 8 and all(len(s) <= evidence.MOST_WORDS for s in d.sentences)
            assert not any(word == "" for s in d.sentences for word in s)
    assert 0.09 < Counter(d.gold[0] for d in documents)[0] / n < 0.16        # it stands anywhere


def made_of(sentence, templates):
    """The template that a sentence was made of."""
    return next(t for t in templates if len(t.words) == len(sentence) and sentence[t.thing] in t.things
                and t.filled(sentence[t.person], sentence[t.thing]) == sentence)  # fmt: skip


def test_every_document_names_every_kind_twice():
    for d in evidence.evidence_documents("valid", 40):
        kinds = Counter(made_of(sentence, evidence.templates()).kind for sentence in d.sentences)
        assert kinds == {0: 2, 1: 2, 2: 2, 3: 2}


def test_the_sentences_of_the_parts_are_different_ones_with_known_words():
    seen = [{made_of(s, evidence.templates()) for d in evidence.evidence_documents(split, 200) for s in d.sentences}
            for split in evidence.SIZES]  # fmt: skip
    assert not seen[0] & seen[2] and not seen[0] & seen[1] and not seen[1] & seen[2] and len(seen[2]) > 80
    words = evidence.evidence_vocabulary()
    documents = evidence.evidence_documents("test")
    assert all(d.sentences[d.gold[0]][k] in words for d in documents for k in d.gold[1])
    assert evidence.evidence_documents("test", 7) == evidence.evidence_documents("test")[:7]
    with pytest.raises(ValueError, match="use 1 to 500"):
        evidence.evidence_documents("valid", 501)
    with pytest.raises(ValueError, match="'train', 'valid', 'test'"):
        evidence.evidence_documents("dev")


def test_attributes_are_what_the_words_say():
    words = tuple("did the cows not eat the cakes near the house ?".split())
    assert attributes.has(words) == (1, 1, 1, 1, 1) and attributes.has(("we", "sing", ".")) == (0,) * 5
    assert attributes.evidence(words, "animal") == (2,) and attributes.evidence(words, "negated") == (3,)
    table = attributes.combinations()
    train, valid, test = map(attributes.combination_documents, ("train", "valid", "test"))
    for documents in (train, valid, test):
        assert all(attributes.has(d.sentences[0]) == tuple(table[d.label].tolist()) for d in documents)
    sentences = [{d.sentences[0] for d in part} for part in (train, valid, test)]
    assert not sentences[0] & sentences[1] and not sentences[0] & sentences[2] and not sentences[1] & sentences[2]
    counts = Counter(d.label for d in train)
    assert attributes.rare_classes() == sorted(k for k, n in counts.items() if n <= 10)
    assert len(table) == 23 and len(attributes.rare_classes()) == 7 and set(counts) == set(range(23))
    documents, labels = attributes.several_labels("valid")
    assert labels.shape == (len(valid), 5) and documents == valid


def test_hashes():
    for hashed in (scenes.scenes_hash, evidence.evidence_hash, attributes.attributes_hash):
        assert len(hashed()) == 12 and hashed() == hashed()


# ---- sentence ends ---------------------------------------------------------------------------------------------------


def test_the_token_that_ends_texts_is_found_where_the_second_most_frequent_is_not():
    speeches = [tokenise(s.partition(":\n")[2]) for s in read_plays()["macbeth"].split("\n\n") if s.strip()]
    assert list(ends_of(speeches, 0.05)) == [".", "?", "!"] and by_rank(speeches) == "."
    english, french = ([getattr(p, side) for p in load_split("valid")] for side in ("source", "target"))
    assert list(ends_of(english)) == [".", "?"] == list(ends_of(french))
    assert (by_rank(english, 1), by_rank(english, 2), by_rank(french, 1)) == ("the", ".", ".")


def test_cutting():
    text = "a b . c ? ! d . . e".split()
    assert split_sentences(text, [".", "?", "!"]) == [("a", "b", "."), ("c", "?", "!"), ("d", ".", "."), ("e",)]
    assert split_sentences(["a", "."], ".") == [("a", ".")] and split_sentences([], ".") == []
    assert sum(split_sentences(text, "!"), ()) == tuple(text)


def test_ends_and_ranks_by_hand():
    texts = [["a", "b", "."], ["b", "b", "?"], ["c", "."], []]
    assert ends_of(texts) == {".": 2 / 3, "?": 1 / 3} and ends_of(texts, 0.5) == {".": 2 / 3}
    assert [by_rank(texts, k) for k in (1, 2, 3)] == ["b", ".", "?"]
    for do, said in (
        (lambda: ends_of([[]]), "no text"), (lambda: ends_of(texts, 0), "share=0"),
        (lambda: by_rank(texts, 6), "5 different"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            do()
