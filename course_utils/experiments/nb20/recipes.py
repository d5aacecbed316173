"""The runs of notebook 20: a tagger that sees everything, windows imposed on it afterwards, and taggers trained with a
window. "tags" are 300 updates, "long" 1,500: does the tagger that sees everything catch up?"""

from functools import partial

from torch import nn

from course_utils.attention.global_tokens import LongformerAttention
from course_utils.attention.socket import Plug
from course_utils.attention.windows import WindowAttention
from course_utils.corpora.mini import load_split
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.models.attention_tagger import AttentionTagger
from course_utils.models.tagger import LabelBatches, ambiguous_words, labelled, predict, tag_scores
from course_utils.seeds import seed_everything
from course_utils.text.vocabulary import Vocabulary

MODELS = {                                                                # name -> window on each side, global tokens
    "dense": None, "window-1": (1, 0), "window-2": (2, 0), "window-4": (4, 0), "window-8": (8, 0),
    "window-1-global": (1, 1),
}  # fmt: skip
WINDOWS = (1, 2, 4, 8)                                                    # imposed on the trained dense tagger
SHAPE = dict(d_model=64, n_heads=4, n_layers=2, positions="sinusoidal")
TEST = ("test_03_07", "test_08_11", "test_12_16")


def give(net: AttentionTagger, window: int, n_global: int) -> None:
    """Every layer of `net` looks through this pattern from now on."""
    for block in net.blocks:
        block.attention.plug = (
            LongformerAttention(window, n_global, block.attention.d_model) if n_global else WindowAttention(window)
        )


def tagging(seed: int, *, pattern: tuple[int, int] | None, steps: int = 300) -> Experiment:
    """Part-of-speech tags of the course's corpus, two layers of four heads."""
    seed_everything(seed)
    train = labelled(load_split("train"))
    words, tags = (Vocabulary.build(getattr(s, side) for s in train) for side in ("source", "target"))
    net = AttentionTagger(len(words), len(tags), **SHAPE)
    if pattern is not None:
        give(net, *pattern)
    parts = [labelled(load_split(part)) for part in TEST]
    mixed = [sentence for some in zip(*parts, strict=True) for sentence in some]
    score = partial(scores, words, tags, ambiguous_words(train), mixed, pattern is None)
    settings = {"seed": seed, "steps": steps, "lr": 3e-3}
    return Experiment(net, LabelBatches(train, words, tags, 64, seed), settings, {"test": score})


def scores(words, tags, ambiguous, sentences, impose: bool, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Accuracy on all words and on ambiguous ones; with `impose`, also through windows laid over the trained model."""
    sentences = sentences[:limit]

    def right() -> tuple[float, float, int]:
        found = tag_scores(predict(model, sentences, words, tags), sentences, ambiguous)
        return found.accuracy, found.accuracy_ambiguous, found.n

    accuracy, on_ambiguous, n = right()
    result = {"accuracy": accuracy, "accuracy_ambiguous": on_ambiguous, "n": n}
    if impose:
        own: list[Plug] = [block.attention.plug for block in model.blocks]
        for window in WINDOWS:
            give(model, window, 0)
            result[f"imposed_{window}"] = right()[1]
        for block, plug in zip(model.blocks, own, strict=True):
            block.attention.plug = plug
    return result


RECIPES = [
    *(Recipe("20", name, "tags", partial(tagging, pattern=pattern)) for name, pattern in MODELS.items()),
    Recipe("20", "dense", "long", partial(tagging, pattern=None, steps=1500)),
]
