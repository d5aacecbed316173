"""The runs of notebook 02: five kinds of tagger on the course's part-of-speech tags and on real pinyin syllables."""

from functools import partial

from torch import nn

from course_utils.corpora.mini import load_split
from course_utils.corpora.pair import Pair
from course_utils.corpora.syllables import SHA256, load_syllable_splits, without_tone
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.models.tagger import (
    LabelBatches,
    Tagger,
    ambiguous_words,
    label_counts,
    labelled,
    look_up,
    majority_table,
    per_word_ceiling,
    predict,
    tag_scores,
)
from course_utils.seeds import seed_everything
from course_utils.text.vocabulary import Vocabulary

# Chosen on valid with seed 0, the same for all kinds. A rate of 3e-3 (elman, jordan, bidirectional), dropout of 0.3
# (syllables, all kinds) and a window of 4 (tags) were tried and no better. Each run takes 5-15 CPU seconds.
KINDS = {  # name on the scoreboard -> arguments of Tagger
    "word": dict(kind="word"),
    **{f"window-{k}": dict(kind="window", k=k) for k in (1, 2, 3)},
    "elman": dict(kind="elman"),
    "backward": dict(kind="backward"),
    "jordan": dict(kind="jordan"),
    "jordan-decay": dict(kind="jordan", decay=0.5),
    "bidirectional": dict(kind="bidirectional"),
}
TAGS = dict(d_embedding=32, d_hidden=64, batch_size=64)
SYLLABLES = dict(d_embedding=64, d_hidden=128, batch_size=32)


def experiment(
    seed: int, train: list[Pair], tests: dict[str, list[Pair]], apart: dict[str, frozenset[str]], *, steps: int,
    batch_size: int, **model,
) -> Experiment:  # fmt: skip
    """Train a tagger on `train`; score it on `tests`, and on the words of each set of `apart` alone."""
    seed_everything(seed)
    words, tags = (Vocabulary.build(getattr(s, side) for s in train) for side in ("source", "target"))
    net = Tagger(n_words=len(words), n_tags=len(tags), **model)
    table = majority_table(train)
    scorers = {name: partial(score, words, tags, table, apart, some) for name, some in tests.items()}
    batches = LabelBatches(train, words, tags, batch_size, seed)
    return Experiment(net, batches, {"seed": seed, "steps": steps, "lr": 5e-3}, scorers)


def score(words, tags, table, apart, sentences, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Of the model, of the table learnt on train ("table"), and of the best table for these very sentences
    ("ceiling"): accuracy over all words and on the ambiguous ones; of the model on the other sets as well."""
    sentences = sentences[:limit]
    said, looked_up, ambiguous = predict(model, sentences, words, tags), look_up(table, sentences), apart["ambiguous"]
    whole = tag_scores(said, sentences, ambiguous)
    found = {"accuracy": whole.accuracy, "n": whole.n}
    for name, some in apart.items():
        scores = tag_scores(said, sentences, some)
        found |= {f"accuracy_{name}": scores.accuracy_ambiguous if scores.n_ambiguous else 0.0}
        found |= {f"n_{name}": scores.n_ambiguous}
    for name, scores in {
        "table": tag_scores(looked_up, sentences, ambiguous), "ceiling": per_word_ceiling(sentences, ambiguous)
    }.items():  # fmt: skip
        found |= {name: scores.accuracy, f"{name}_ambiguous": scores.accuracy_ambiguous}
    known = [(a, b) for s, t in zip(said, looked_up, strict=True) for a, b in zip(s, t, strict=True) if b != "<unk>"]
    return found | {"as_table": sum(a == b for a, b in known) / len(known), "n_unknown": whole.n - len(known)}


def tagging(seed: int, **settings) -> Experiment:
    """Part-of-speech tags of the course's corpus; "test" has the lengths of training, "long" 17-30 words."""
    train = labelled(load_split("train"))
    buckets = {"test": ("test_03_07", "test_08_11", "test_12_16"), "long": ("test_17_22", "test_23_30")}
    tests = {name: _mixed([labelled(load_split(part)) for part in parts]) for name, parts in buckets.items()}
    apart = {"ambiguous": ambiguous_words(train), "her": frozenset({"her"}), "that": frozenset({"that"})}
    return experiment(seed, train, tests, apart, **settings)


def _mixed(parts: list[list[Pair]]) -> list[Pair]:
    """One of each in turn, so that the first few are of all lengths."""
    return [sentence for some in zip(*parts, strict=True) for sentence in some]


def syllables(seed: int, **settings) -> Experiment:
    """Pinyin syllables of Chinese characters; "sounds" are characters whose readings differ in more than the tone."""
    train, _, test = load_syllable_splits()
    counts = label_counts(train)
    sounds = frozenset(c for c, labels in counts.items() if len({without_tone(label) for label in labels}) > 1)
    return experiment(seed, train, {"test": test}, {"ambiguous": ambiguous_words(train), "sounds": sounds}, **settings)


def syllables_hash() -> str:
    return SHA256[:12]


def runs(task: str, names: tuple[str, ...], steps: int) -> list[Recipe]:
    return [Recipe("02", n, task, partial(tagging, **TAGS, **KINDS[n], steps=steps)) for n in names]


RECIPES = [
    *runs("live", ("word", "elman", "bidirectional"), 600),  # what notebook 02 trains in class, with seed 0
    *runs("tags", tuple(KINDS), 1500),
    *(
        Recipe("02", n, "syllables", partial(syllables, **SYLLABLES, **KINDS[n], steps=1000), corpus=syllables_hash)
        for n in ("word", "window-1", "window-2", "elman", "backward", "jordan", "bidirectional")
    ),
]
