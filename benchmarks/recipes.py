"""The runs of the scoreboard: one function a model, one line a run. `benchmarks/scoreboard.py` trains them.

A function takes the seed and builds an untrained `Experiment`; what it names here or imports from the package goes
into the hash of its rows, so a change elsewhere leaves them fresh. Values given by `partial` must be plain.
"""

from functools import partial

from torch import nn

from benchmarks.experiment import Experiment, Recipe
from course_utils.corpora.mini import load_split, load_test_buckets
from course_utils.metrics import (
    alignment_error_rate,
    evaluate,
    forced_alignment,
    forced_attention,
    oracle_alignment_error_rate,
    sure_mass,
)
from course_utils.models.attentive import AttentiveSeq2Seq
from course_utils.seeds import seed_everything
from course_utils.text import Batches, Vocabulary

# ---- English to French, the course's own corpus ----------------------------------------------------------------------


def vocabularies() -> tuple[Vocabulary, Vocabulary]:
    train = load_split("train")
    return Vocabulary.build(p.source for p in train), Vocabulary.build(p.target for p in train)


def translation(
    model: nn.Module, seed: int, *, train: str = "train", attention: bool = False, **training
) -> Experiment:
    """Train `model` on a split of the corpus; score it on every test bucket. `training`: keywords of `train`."""
    words = vocabularies()
    buckets = load_test_buckets()

    def scorer(label):
        def score(model, limit):
            pairs = buckets[label][:limit]
            scores = evaluate(model, pairs, *words).as_dict()
            if attention:
                scores["aer"] = alignment_error_rate(forced_alignment(model, pairs, *words), pairs)
                scores["oracle_aer"] = oracle_alignment_error_rate(pairs)
                scores["sure_mass"] = sure_mass(forced_attention(model, pairs, *words), pairs)
            return scores

        return score

    batches = Batches(load_split(train), *words, batch_size=128, seed=seed)
    return Experiment(model, batches, {"seed": seed, **training}, {label: scorer(label) for label in buckets})


def attentive(seed: int, *, d_embedding: int = 128, d_hidden: int = 128, cell: str = "gru", **training) -> Experiment:
    seed_everything(seed)
    source, target = vocabularies()
    model = AttentiveSeq2Seq(len(source), len(target), d_embedding=d_embedding, d_hidden=d_hidden, cell=cell)
    return translation(model, seed, attention=True, **training)


RECIPES = [
    Recipe("07", "attentive", "mini-50-steps", partial(attentive, steps=50, warmup=10), seeds=(0,)),
]
