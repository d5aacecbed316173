"""The runs of notebook 15: every scheme of positions where only the order counts, on the corpus, and for tagging."""

from functools import partial

from torch import nn

from course_utils.corpora.mini import load_split, load_test_buckets
from course_utils.corpora.order import BACK, NOTHING, SYMBOLS, order_lines
from course_utils.corpora.pair import Pair
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb13.recipes import BUCKETS, _mixed, score
from course_utils.metrics import evaluate
from course_utils.models.attention_tagger import AttentionTagger
from course_utils.models.tagger import LabelBatches, ambiguous_words, labelled, predict
from course_utils.seeds import seed_everything
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.batches import Batches
from course_utils.text.vocabulary import Vocabulary

SCHEMES = ("none", "sinusoidal", "learned", "shaw", "rotary", "alibi")

# ---- only the order counts -------------------------------------------------------------------------------------------

TRAINED = range(4, 17)
LENGTHS = (16, 24, 32)


def order(seed: int, *, task: str, positions: str, causal: bool, steps: int) -> Experiment:
    """Lines of 4-16 random symbols; scored on 400 fresh ones of 16, 24 and 32. The learned table has 64 places."""
    seed_everything(seed)
    words, labels = Vocabulary(SYMBOLS), Vocabulary((NOTHING, *SYMBOLS))
    shape = dict(d_model=64, n_heads=4, n_layers=2, positions=positions, causal=causal, max_length=64)
    net = AttentionTagger(len(words), len(labels), **shape)
    batches = LabelBatches(order_lines(task, 20_000, TRAINED, 100 + seed), words, labels, 64, seed)
    tests = {f"length-{n}": order_lines(task, 400, [n], 15) for n in LENGTHS}
    scorers = {name: partial(score_order, words, labels, lines) for name, lines in tests.items()}
    return Experiment(net, batches, {"seed": seed, "steps": steps, "lr": 3e-3}, scorers)


def score_order(words, labels, lines: list[Pair], model: nn.Module, limit: int | None) -> dict[str, float]:
    """Share of right labels from the fourth place on, over all of them and at each place, counted from 0."""
    lines = lines[:limit]
    said = predict(model, lines, words, labels)
    places = range(BACK, len(lines[0].source))
    right = {p: sum(own[p] == line.target[p] for own, line in zip(said, lines, strict=True)) for p in places}
    by_place = {f"place_{p:02d}": n / len(lines) for p, n in right.items()}
    return {"accuracy": sum(right.values()) / len(lines) / len(places), **by_place}


# ---- English to French -----------------------------------------------------------------------------------------------


def corpus(seed: int, *, positions: str, steps: int) -> Experiment:
    """A Transformer on the course's corpus, as in notebook 16 but for the steps; scored on 200 pairs of each bucket."""
    seed_everything(seed)
    pairs = load_split("train")
    words = Vocabulary.build(p.source for p in pairs), Vocabulary.build(p.target for p in pairs)
    widths = dict(d_model=128, n_heads=4, n_layers=2, d_ff=256)
    net = Transformer(len(words[0]), len(words[1]), **widths, positions=positions)
    scorers = {name: partial(score_corpus, words, some) for name, some in load_test_buckets().items()}
    batches = Batches(pairs, *words, batch_size=32, seed=seed)
    return Experiment(net, batches, {"seed": seed, "steps": steps, "lr": 3e-3}, scorers)


def score_corpus(words, pairs: list[Pair], model: nn.Module, limit: int | None) -> dict[str, float]:
    return evaluate(model, pairs[: limit or 200], *words).as_dict()


# ---- part-of-speech tags ---------------------------------------------------------------------------------------------


def tagging(seed: int, *, positions: str, steps: int) -> Experiment:
    """Notebook 13's taggers, batches and scores, but with positions."""
    seed_everything(seed)
    train = labelled(load_split("train"))
    words, tags = (Vocabulary.build(getattr(s, side) for s in train) for side in ("source", "target"))
    net = AttentionTagger(len(words), len(tags), d_model=64, n_layers=1, n_heads=1, positions=positions)
    training = {"seed": seed, "steps": steps, "lr": 3e-3}
    scorers = {
        name: partial(score, words, tags, ambiguous_words(train), _mixed([labelled(load_split(p)) for p in parts]))
        for name, parts in BUCKETS.items()
    }
    return Experiment(net, LabelBatches(train, words, tags, 64, seed), training, scorers)


# ---- the table -------------------------------------------------------------------------------------------------------


def generated() -> str:
    return "generated"


def orders(task: str, steps: int, names: tuple[str, ...] = SCHEMES, causal: bool = False) -> list[Recipe]:
    board = f"{task}-causal" if causal else task
    return [
        Recipe("15", name, board, partial(order, task=task, positions=name, causal=causal, steps=steps),
               corpus=generated)
        for name in names
    ]  # fmt: skip


RECIPES = [
    *orders("back", 500),  # rotary in class too, seed 0
    *orders("back", 500, causal=True),
    *orders("third", 300),
    *(Recipe("15", f"{name}-1x1", "tags-live", partial(tagging, positions=name, steps=600))
      for name in SCHEMES[1:]),  # sinusoidal in class, seed 0; none: notebook 13's rows
    *(Recipe("15", name, "corpus", partial(corpus, positions=name, steps=900)) for name in SCHEMES),
]  # fmt: skip
