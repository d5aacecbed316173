"""The runs of notebook 13: taggers made of self-attention that do not see the order, their control with equal weights,
and two taggers of notebook 02."""

from functools import partial

from torch import nn

from course_utils.corpora.mini import load_split
from course_utils.corpora.pair import Pair
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.models.attention_tagger import AttentionTagger, bag_ceiling
from course_utils.models.tagger import (
    LabelBatches,
    Tagger,
    ambiguous_words,
    labelled,
    per_word_ceiling,
    predict,
    tag_scores,
)
from course_utils.seeds import seed_everything
from course_utils.text.vocabulary import Vocabulary

# Name on the scoreboard -> arguments of AttentionTagger or, where there is a kind, of notebook 02's Tagger. The rate of
# the former was set once, to 3e-3; on valid, with seed 0, dropout of 0.2 (2x4) was no better.
SELF = dict(d_model=64, positions="none")
MODELS = {
    "attention-1x1": dict(**SELF, n_layers=1, n_heads=1),  # layers x heads
    "attention-2x1": dict(**SELF, n_layers=2, n_heads=1),
    "equal-1x1": dict(**SELF, n_layers=1, n_heads=1, equal=True),  # the control: own word and mean of the sentence
    "equal-2x1": dict(**SELF, n_layers=2, n_heads=1, equal=True),
    "attention-2x4": dict(**SELF, n_layers=2, n_heads=4),
    "attention-2x4-causal": dict(**SELF, n_layers=2, n_heads=4, causal=True),
    "word": dict(kind="word", d_embedding=32, d_hidden=64),
    "bidirectional": dict(kind="bidirectional", d_embedding=32, d_hidden=64),
}
RATE = {"word": 5e-3, "bidirectional": 5e-3}  # notebook 02's; 3e-3 for self-attention
BUCKETS = {"test": ("test_03_07", "test_08_11", "test_12_16"), "long": ("test_17_22", "test_23_30")}


def tagging(seed: int, *, model: str, steps: int) -> Experiment:
    """Part-of-speech tags of the course's corpus; "test" has the lengths of training, "long" 17-30 words."""
    seed_everything(seed)
    train = labelled(load_split("train"))
    words, tags = (Vocabulary.build(getattr(s, side) for s in train) for side in ("source", "target"))
    kind = Tagger if "kind" in MODELS[model] else AttentionTagger
    net = kind(n_words=len(words), n_tags=len(tags), **MODELS[model])
    scorers = {
        name: partial(score, words, tags, ambiguous_words(train), _mixed([labelled(load_split(p)) for p in parts]))
        for name, parts in BUCKETS.items()
    }
    settings = {"seed": seed, "steps": steps, "lr": RATE.get(model, 3e-3)}
    return Experiment(net, LabelBatches(train, words, tags, 64, seed), settings, scorers)


def _mixed(parts: list[list[Pair]]) -> list[Pair]:
    """One of each in turn, so that the first few are of all lengths."""
    return [sentence for some in zip(*parts, strict=True) for sentence in some]


def score(words, tags, ambiguous, sentences, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Accuracy over all words, on the ambiguous ones and on two of them alone; what a table of words and what a bag of
    words could reach at most on these very sentences."""
    sentences = sentences[:limit]
    said = predict(model, sentences, words, tags)
    whole = tag_scores(said, sentences, ambiguous)
    found = {"accuracy": whole.accuracy, "accuracy_ambiguous": whole.accuracy_ambiguous, "n": whole.n,
             "n_ambiguous": whole.n_ambiguous}  # fmt: skip
    for word in ("her", "that"):
        scores = tag_scores(said, sentences, {word})
        found[f"accuracy_{word}"] = scores.accuracy_ambiguous if scores.n_ambiguous else 0.0
    for name, ceiling in {"word": per_word_ceiling, "bag": bag_ceiling}.items():
        found[f"{name}_ceiling"] = ceiling(sentences, ambiguous).accuracy_ambiguous
    return found


def runs(task: str, names: tuple[str, ...], steps: int) -> list[Recipe]:
    return [Recipe("13", name, task, partial(tagging, model=name, steps=steps)) for name in names]


RECIPES = [
    *runs("live", ("attention-1x1", "equal-1x1"), 600),  # what notebook 13 trains, with seed 0
    *runs("tags", tuple(MODELS), 1500),
    *runs("long", ("attention-2x4",), 4500),  # is it only a matter of training?
]
