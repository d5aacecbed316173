"""The generated corpus: it is what the generator writes, says what data/README.md promises, and is French.

GOLDEN was written from knowledge of French before the grammar's output for these sentences was looked at. A sentence is
drawn from the real grammar: `Steered` only takes away the choices whose words the wanted sentence does not have.
"""

import hashlib
import random
import re
from collections import Counter

import pytest

from benchmarks.code_hash import code_hash
from course_utils.corpora import generate, grammar, mini
from course_utils.corpora.lexicon import POSSESSIVES, PREPOSITIONS, PRONOUNS, VERBS, Adjective, Noun, Verb
from course_utils.corpora.phrases import Draft

GOLDEN = """
he sleeps . = il dort .
i love the dog . = j' aime le chien .
she loves him . = elle l' aime .
he sees her . = il la voit .
he does not see her . = il ne la voit pas .
he saw her . = il l' a vue .
he did not see her . = il ne l' a pas vue .
we saw them . = nous les avons vus .
i will see you . = je vous verrai .
they watched us . = ils nous ont regardés .
the key falls . = la clé tombe .
the keys of the cabinet are old . = les clés du placard sont vieilles .
the key of the houses is small . = la clé des maisons est petite .
an old man sleeps . = un vieil homme dort .
the old men arrived . = les vieux hommes sont arrivés .
she arrived . = elle est arrivée .
the new hotel is quiet . = le nouvel hôtel est calme .
the beautiful tree is green . = le bel arbre est vert .
her uncle works . = son oncle travaille .
my idea is good . = mon idée est bonne .
this tree is big . = cet arbre est grand .
this owl is white . = ce hibou est blanc .
these islands are dangerous . = ces îles sont dangereuses .
the owl sees the bee . = le hibou voit l' abeille .
does he work ? = est-ce qu' il travaille ?
is the soup cold ? = est-ce que la soupe est froide ?
did the girl sing ? = est-ce que la fille a chanté ?
will you dance ? = est-ce que vous danserez ?
why does she laugh ? = pourquoi est-ce qu' elle rit ?
where did the boy sleep ? = où est-ce que le garçon a dormi ?
he eats some bread . = il mange du pain .
she drinks some water . = elle boit de l' eau .
they do not drink any coffee . = ils ne boivent pas de café .
she never eats any eggs . = elle ne mange jamais d' œufs .
he did not buy a car . = il n' a pas acheté de voiture .
we buy some old books . = nous achetons de vieux livres .
we bought some red books . = nous avons acheté des livres rouges .
she gives the key to the king . = elle donne la clé au roi .
she gave the letter to the children . = elle a donné la lettre aux enfants .
he gives her the book . = il lui donne le livre .
i showed them the picture . = je leur ai montré l' image .
he plays the piano . = il joue du piano .
she does not play the guitar . = elle ne joue pas de la guitare .
we answered the questions . = nous avons répondu aux questions .
i know this woman . = je connais cette femme .
i know that the woman sings . = je sais que la femme chante .
she leaves now . = elle part maintenant .
she left the city . = elle a quitté la ville .
they left yesterday . = ils sont partis hier .
the cook cooks . = le cuisinier cuisine .
the leaves fell . = les feuilles sont tombées .
she waters the plants . = elle arrose les plantes .
the light bag fell . = le sac léger est tombé .
the light is beautiful . = la lumière est belle .
the question is hard . = la question est difficile .
the hard bread is bad . = le pain dur est mauvais .
the short answer is interesting . = la réponse courte est intéressante .
the short girl sings . = la petite fille chante .
the letter that she wrote is long . = la lettre qu' elle a écrite est longue .
the boys who saw her sing . = les garçons qui l' ont vue chantent .
the woman that i know smiles . = la femme que je connais sourit .
she buys an apple and she eats it . = elle achète une pomme et elle la mange .
we found the keys and we sold them . = nous avons trouvé les clés et nous les avons vendues .
the boy and the girl are happy . = le garçon et la fille sont heureux .
the queen and the princess are tired . = la reine et la princesse sont fatiguées .
the girl sings and dances . = la fille chante et danse .
she works because he sleeps . = elle travaille parce qu' il dort .
the dog near the houses is black . = le chien près des maisons est noir .
the house was old . = la maison était vieille .
i was tired . = j' étais fatigué .
he loved the city . = il aimait la ville .
you are not tall . = vous n' êtes pas grands .
the orange bags are small . = les sacs orange sont petits .
he often works . = il travaille souvent .
she often sang . = elle a souvent chanté .
he always watches us . = il nous regarde toujours .
they work in the evening . = ils travaillent le soir .
she sings every day . = elle chante chaque jour .
in the garden , the birds sleep . = dans le jardin , les oiseaux dorment .
the sister of the teacher is happy . = la sœur du professeur est heureuse .
he cleaned the church . = il a nettoyé l' église .
the big cake is good . = le gros gâteau est bon .
the book is near the big window . = le livre est près de la grande fenêtre .
i never saw the old horses . = je n' ai jamais vu les vieux chevaux .
"""
PAIRS = [tuple(line.split(" = ")) for line in GOLDEN.strip().splitlines()]
PLACED = {"in", "on", "under", "near", "behind"}
JOINED = {"and", "but", "because"}
NEEDS = {                                                # a choice of the grammar -> words, one of which it brings
    "t": {"the"}, "i": {"a", "some"}, "p": set(POSSESSIVES), "d": {"this", "that", "these", "those"},
    "n": {"two", "three"}, "-": {"a", "any"}, "future": {"will"},
    "past": {v.en[2] for v in VERBS} | {"did", "was", "were"}, "part": {"morning", "evening"}, "of": {"of"},
    "clitic": {p[0] for p in PRONOUNS.values()}, "place": PLACED,
    "gift clitic": {p[0] for p in PRONOUNS.values()}, "gift": {"to"}, "relative": {"who", "that"},
    grammar.question: {"?"}, grammar.statement: {"."}, grammar.compound: JOINED, grammar.shared_subject: JOINED,
    grammar.referring_clauses: JOINED, grammar.reported: {"that"}, grammar.fronted: {","},
    grammar.list_of_clauses: {","},
} | {word: {word, row[0]} for word, row in PRONOUNS.items()} | {
    word: {word} for word in (*PREPOSITIONS, *POSSESSIVES, *JOINED, "this", "that", "these", "those", "now", "where",
                               "why", "morning", "evening", "two", "three", "not", "never", "often", "always", "here",
                               "yesterday", "tomorrow", "every")}
NEEDS["i"] = {"a", "some", "i", "me"}                    # the letter of determiner(), and the pronoun


class Refused(Exception):
    """This derivation cannot reach the wanted sentence."""


class Steered(Draft):
    """A draft that leaves out what the wanted English sentence has no word for; everything else is the grammar's."""

    wanted: frozenset[str] = frozenset()

    def fits(self, item) -> bool:
        if isinstance(item, Noun):
            return bool({item.en, item.en_plural} & self.wanted)
        if isinstance(item, Verb):
            return bool(set(item.en) & self.wanted)
        if isinstance(item, Adjective):
            return item.en in self.wanted
        if isinstance(item, tuple) and item and isinstance(item[0], str):
            item = item[0]
        return item not in NEEDS or bool(NEEDS[item] & self.wanted)

    def pick(self, items, weights=None):
        weights = weights or [1.0] * len(items)
        left = [(item, weight) for item, weight in zip(items, weights, strict=True) if self.fits(item)]
        if not any(weight for _, weight in left):
            raise Refused
        return super().pick([item for item, _ in left], [weight for _, weight in left])


def draw(monkeypatch, english: str, seed: int = 1, tries: int = 30_000):
    """The pair that the grammar has for an English sentence."""
    source, rng = tuple(english.split()), random.Random(seed)
    monkeypatch.setattr(Steered, "wanted", frozenset(w for w in source) | ({"a"} if "an" in source else set()))
    monkeypatch.setattr(grammar, "Draft", Steered)
    for _ in range(tries):
        try:
            made = grammar.sample(rng, max(3, len(source) - 2 + int(rng.random() * 5)))
        except Refused:
            continue
        if made is not None and made.pair.source == source:
            return made.pair
    raise AssertionError(f"the grammar did not write {english!r} in {tries} tries")


@pytest.fixture(scope="module")
def splits():
    return {name: mini.load_split(name) for name in mini.SPLITS}


@pytest.fixture(scope="module")
def everything(splits):
    return [pair for name, pairs in splits.items() if name != "train_low" for pair in pairs]


@pytest.mark.parametrize("english, french", PAIRS, ids=[english for english, _ in PAIRS])
def test_golden_sentences(monkeypatch, english, french):
    assert " ".join(draw(monkeypatch, english).target) == french


# Hashes of the generator's code and of its files when `python -m course_utils.corpora.generate --check` last agreed
PROVEN = "3f2ae2079252 edea6bfdb578"


def test_files_are_as_generated():
    """All 134,000 draws take half a minute: they are made only if the generator or a file is not what it was."""
    files = b"".join(path.read_bytes() for path in sorted(mini.folder().iterdir()))
    here = f"{code_hash(generate.make_files)} {hashlib.sha256(files).hexdigest()[:12]}"
    if here != PROVEN:
        assert generate.main(["--check"]) == 0
        pytest.fail(f'the files are as generated: write PROVEN = "{here}"')


def test_the_first_draws_are_in_the_files(monkeypatch, everything):
    class Enough(Exception):
        pass

    made, draw = [], generate.sample

    def few(rng, length):
        if len(made) == 6000:
            raise Enough
        made.append(draw(rng, length))
        return made[-1]

    monkeypatch.setattr(generate, "sample", few)
    with pytest.raises(Enough):
        generate.make_files()
    shipped = {pair.source: pair for pair in everything}
    found = [one.pair for one in made if one and one.pair.source in shipped]
    assert len(found) > 2000 and all(pair == shipped[pair.source] for pair in found)


def test_check_sees_a_changed_byte(monkeypatch, tmp_path):
    (tmp_path / "mini_en_fr").mkdir()
    for path in mini.folder().iterdir():
        (tmp_path / "mini_en_fr" / path.name).write_bytes(path.read_bytes())
    before = mini.corpus_hash()
    files = {path.name: path.read_bytes() for path in mini.folder().iterdir()}
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setattr(generate, "make_files", lambda: files)
    assert generate.main(["--check"]) == 0 and mini.corpus_hash() == before
    (tmp_path / "mini_en_fr" / "valid.tsv").write_bytes(files["valid.tsv"].replace(b"chien", b"chiem", 1))
    assert generate.main(["--check"]) == 1 and mini.corpus_hash() != before


def test_readme_lists_every_file_and_its_sum():
    text = (mini.folder().parent / "README.md").read_text(encoding="utf-8")
    for path in sorted(mini.folder().iterdir()):
        row = re.search(rf"\| `mini_en_fr/{path.name}` \| ([\d,]+) \| ([\d,]+) \| `([0-9a-f]+)` \|", text)
        assert row, f"{path.name} is not in data/README.md"
        content = path.read_bytes()
        assert row[3] == hashlib.sha256(content).hexdigest()
        assert b"\r" not in content and content.endswith(b"\n")
    assert mini.corpus_hash() in text, "data/README.md names another corpus hash"


def test_sizes_and_lengths(splits):
    for name, sizes in generate.SIZES.items():
        assert Counter(len(pair.source) for pair in splits[name]) == Counter(sizes)
    assert len(splits["train"]) == 20_000 and len(splits["valid"]) == 1_000
    for label, pairs in mini.load_test_buckets().items():
        low, high = map(int, label.split("-"))
        assert len(pairs) == 500 and all(low <= len(pair.source) <= high for pair in pairs)


def test_no_sentence_in_two_splits(splits):
    assert splits["train_low"] == splits["train"][:generate.TRAIN_LOW]
    sources = [pair.source for name, pairs in splits.items() if name != "train_low" for pair in pairs]
    assert len(sources) == len(set(sources))


def test_no_unknown_word_outside_train(splits):
    for side in ("source", "target"):
        count = Counter(word for pair in splits["train"] for word in set(getattr(pair, side)))
        rest = {word for name, pairs in splits.items() if not name.startswith("train") for pair in pairs
                for word in getattr(pair, side)}
        assert min(count[word] for word in rest) >= generate.MIN_COUNT


def test_held_out_combinations(splits):
    rows = [line.split("\t") for line in
            (mini.folder() / "held_out_combinations.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    assert [tuple(row[1:3]) for row in rows] == list(generate.HELD_OUT) and len(rows) >= 40
    assert all(int(row[3]) > 0 for row in rows)
    train = [" ".join(pair.source) for name in splits if name != "held_out" for pair in splits[name]]
    adjective_noun = [row for row in rows if row[0] == "adjective-noun"]
    assert 20 <= len(adjective_noun) < len(rows) - 19
    for _, adjective, noun, _ in adjective_noun:          # seen as strings too, not only by the grammar's word
        assert not any(re.search(rf"\b{adjective} {noun}s?\b", sentence) for sentence in train)
    for path in mini.folder().glob("*.tsv"):
        if path.name != "held_out_combinations.tsv":
            cells = [line.split("\t")[7] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
            assert all(cells) if path.name == "held_out.tsv" else not any(cells)


def test_one_source_has_one_target_tags_and_links():
    rng, seen, repeated = random.Random(99), {}, 0
    for _ in range(12_000):
        made = grammar.sample(rng, 3 + int(rng.random() * 4))      # short sentences repeat most
        if made is not None:
            repeated += made.pair.source in seen
            assert seen.setdefault(made.pair.source, made.pair) == made.pair
    assert repeated > 1_000


def test_annotation_is_in_range(everything):
    for pair in everything:
        assert len(pair.source) == len(pair.source_tags) and len(pair.target) == len(pair.target_tags)
        assert pair.sure <= pair.possible
        assert {i for i, _ in pair.possible} == set(range(len(pair.source))), pair     # no NULL on either side
        assert {j for _, j in pair.possible} == set(range(len(pair.target))), pair
        for agreement in pair.agreements:
            assert pair.source_tags[agreement.subject] in ("NOUN", "PRON")
            assert pair.source_tags[agreement.verb] in ("VERB", "AUX")
            assert all(agreement.subject < k < agreement.verb and pair.source_tags[k] == "NOUN"
                       for k in agreement.attractors)
        assert pair.source[-1] == pair.target[-1] and pair.source[-1] in (".", "?")
        assert all(word == word.lower() for word in pair.source + pair.target)


def test_lines_survive_reading_and_writing(everything):
    for pair in everything[:200] + everything[-200:]:
        assert mini.read_line(mini.write_line(pair) + "\n") == pair


WRONG_FRENCH = [
    (r"\b(le|la|je|me|ne|que|de) (?=[aeiouyàâéèêëîïôûœ]|h(?!iboux?\b))", "elision missing"),
    (r"\b(l|d|j|n|m|qu)' (?![aeiouyàâéèêëîïôûœ]|h(?!iboux?\b))", "elision too much"),
    (r"\b(de|à) les?\b", "contraction missing"),
    (r"\b(du|au|ce|beau|nouveau|un vieux) (homme|arbre|oiseau|œuf|oncle|enfant|ami|hôtel|étudiant|amour)\b",
     "prevocalic form"),
    (r"\b(ma|sa|cette vieil) (?=[aeiouéèêîœ]|h(?!ibou))", "possessive before a vowel"),
    (r"\b(cet|bel|vieil|nouvel) (?![aeiouéèêîôœ]|h(?!ibou))", "prevocalic form before a consonant"),
    (r"\bn[e'] (?!.*\b(pas|jamais)\b)", "half a negation"),
]


@pytest.mark.parametrize("pattern, name", WRONG_FRENCH, ids=[name for _, name in WRONG_FRENCH])
def test_no_wrong_french(everything, pattern, name):
    wrong = [" ".join(pair.target) for pair in everything if re.search(pattern, " ".join(pair.target))]
    assert not wrong, f"{name}: {wrong[:3]}"


@pytest.mark.parametrize("wrong, pattern", [
    ("je aime le chien .", 0), ("il voit la abeille .", 0), ("parce que il dort .", 0), ("le chien de enfant", 0),
    ("l' hibou dort .", 1), ("j' dors .", 1), ("la clé de le placard", 2), ("il répond à les questions", 2),
    ("du enfant", 3), ("le beau arbre", 3), ("sa amie", 4), ("cet garçon", 5), ("un vieil livre", 5),
    ("il n' aime la ville .", 6)])
def test_the_patterns_find_wrong_french(wrong, pattern):
    assert re.search(WRONG_FRENCH[pattern][0], wrong)


def test_indefinite_plural_before_an_adjective(everything):
    """de vieux livres, never des vieux livres, where English has some."""
    found = 0
    for pair in everything:
        for i, j in pair.sure:
            if pair.source[i] == "some" and pair.target_tags[j + 1] == "ADJ" and pair.target[j] in ("de", "des"):
                found += 1
                assert pair.target[j] == "de", pair
    assert found > 100


def test_ambiguous_words(everything):
    roles: dict[str, Counter] = {}
    for pair in everything:
        for word, tag in zip(pair.source, pair.source_tags, strict=True):
            roles.setdefault(word, Counter())[tag] += 1
    both = {word for word, tags in roles.items() if tags["NOUN"] >= 15 and tags["VERB"] >= 15}
    assert {"play", "walk", "dance", "watch", "visit", "answer", "help", "cook", "plant", "water", "leaves"} <= both
    assert len(both) >= 25
    assert min(roles["her"].values()) > 500 and set(roles["that"]) == {"DET", "PRON", "SCONJ"}


@pytest.mark.parametrize("english, first, second", [
    ("know", "sav", "conn"), ("leave", "part", "quitt"), ("hard", "dur", "difficile"), ("short", "petit", "court"),
    ("big", "gros", "grand"), ("light", "lumière", "lég")])
def test_words_with_two_translations(everything, english, first, second):
    found = Counter()
    for pair in everything:
        for i, j in pair.sure:
            if pair.source[i] == english:
                found[next((stem for stem in (first, second) if pair.target[j].startswith(stem)), "other")] += 1
    assert found[first] >= 30 and found[second] >= 30


def test_attractors_at_a_distance(splits):
    far = [a for pair in splits["train"] for a in pair.agreements if a.attractors and a.distance >= 3]
    assert len(far) >= 1_000 and sum(len(a.attractors) >= 2 for a in far) >= 50
    long = [a for name in ("test_17_22", "test_23_30") for pair in splits[name] for a in pair.agreements
            if a.attractors and a.distance >= 5]
    assert len(long) >= 150


@pytest.mark.parametrize("content, message", [
    ("", "line 1: the header"), ("a\tb\n", "line 1: the header"),
    ("\t".join(mini.COLUMNS) + "\na .\tb .\n", "line 2: 2 columns instead of 8"),
    ("\t".join(mini.COLUMNS) + "\na .\tb .\tX\tX X\t0-0\t\t\t\n", "line 2: not one tag a word"),
    ("\t".join(mini.COLUMNS) + "\na .\tb .\tX X\tX X\t0-7\t\t\t\n", "line 2: a link points outside"),
    (b"\xff\xfe", "is not UTF-8")])
def test_a_damaged_file_gets_one_sentence(tmp_path, content, message):
    path = tmp_path / "train.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as caught:
        mini.read_split(path)
    assert "course_utils.corpora.generate" in str(caught.value) and "\n" not in str(caught.value)


def test_wrong_questions_get_one_sentence(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="no split 'test': choose one of train"):
        mini.load_split("test")
    with pytest.raises(ValueError, match="limit is 0"):
        mini.load_split("valid", 0)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    for call in (lambda: mini.load_split("valid"), mini.corpus_hash):
        with pytest.raises(ValueError, match="no file .*(valid|train).tsv; .*course_utils.corpora.generate"):
            call()
