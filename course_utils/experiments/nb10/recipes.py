"""Rows of notebook 10: beams on the interface of JupyterLab, and scheduled sampling before a forced mistake."""

from functools import partial

from torch import nn

from course_utils.corpora.mini import load_split, load_test_buckets
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb06.recipes import vocabularies
from course_utils.experiments.nb10.beams import catalogue, judged, scores, written
from course_utils.experiments.nb10.mistake import after_a_mistake
from course_utils.metrics import alignment_error_rate, evaluate, forced_alignment
from course_utils.schedules import InverseSigmoidDecay, LinearDecay
from course_utils.seeds import seed_everything
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.beam import by_length, gnmt
from course_utils.seq2seq.fixed_context import FixedContextSeq2Seq
from course_utils.text.batches import Batches
from course_utils.text.vocabulary import Vocabulary
from course_utils.training import History, train

# ---- beams on real text ----------------------------------------------------------------------------------------------

NORMS = {"sum": (0.0, by_length), "mean": (1.0, by_length), "gnmt": (0.6, gnmt)}
DECODED = {  # split -> widths and rankings
    "valid": [(k, ranked) for ranked in ("sum", "mean") for k in (1, 5, 20)],
    "test": [*((k, ranked) for ranked in ("sum", "mean") for k in (1, 2, 5, 20)), (5, "gnmt")],
}
EXACT = dict(widths=(1, 5, 20), max_steps=5000)  # on the first 50 test entries


def interface_beams(seed: int, *, steps: int, lr: float) -> Experiment:
    """Train on the catalogue; decode its held-out entries with beams of every width, and exactly. A split is
    `valid` or `test`, a width and how the sentences are ranked: test-05-mean."""
    seed_everything(seed)
    pairs, valid, test = catalogue()
    words = Vocabulary.build((p.source for p in pairs), 2), Vocabulary.build((p.target for p in pairs), 2)
    net = AttentiveSeq2Seq(*map(len, words), d_embedding=64, d_hidden=64)
    splits = {
        f"{name}-{k:02d}-{ranked}": partial(score_beam, words, some, k, ranked)
        for name, some in (("valid", valid), ("test", test))
        for k, ranked in DECODED[name]
    }
    splits["test-exact"] = partial(score_exact, words, test)
    batches = Batches(pairs, *words, batch_size=64, seed=seed)
    return Experiment(net, batches, {"seed": seed, "steps": steps, "lr": lr}, splits)


def score_beam(words, pairs, k: int, ranked: str, model: nn.Module, limit: int | None) -> dict[str, float]:
    pairs = pairs if limit is None else pairs[:8]  # a hardly trained model writes as long as it may
    return {"n": len(pairs), **scores(*written(model, pairs, words, k, *NORMS[ranked]), pairs)}


def score_exact(words, pairs, model: nn.Module, limit: int | None) -> dict[str, float]:
    if limit is None:
        return judged(model, pairs[:50], words, **EXACT)
    return judged(model, pairs[:3], words, widths=(1, 5), max_steps=200)


# ---- scheduled sampling, and a forced mistake ------------------------------------------------------------------------


def schedule(name: str, steps: int):
    """The share of right words in training, as a number or as a curve over `steps` updates: the line ends at a quarter,
    the inverse sigmoid near 0."""
    return {
        "teacher": 1.0,
        "linear": LinearDecay(drop=0.75 / steps, least=0.25),
        "inverse-sigmoid": InverseSigmoidDecay(steps / 8),
        "own-words": 0.0,
    }[name]


def forced_mistake(seed: int, *, forcing: str, steps: int, lr: float, model: str = "attentive") -> Experiment:
    """Train with one schedule on the course's corpus; score as always, and after a mistake."""
    seed_everything(seed)
    words = vocabularies()
    widths = dict(d_embedding=64, d_hidden=64)
    make = {"attentive": AttentiveSeq2Seq, "fixed": partial(FixedContextSeq2Seq, context="every_step")}[model]
    net = make(*map(len, words), **widths)
    splits = {"8-11": partial(score_mistake, words, load_test_buckets()["8-11"])}
    training = {"seed": seed, "steps": steps, "lr": lr, "forcing": forcing}
    batches = Batches(load_split("train"), *words, batch_size=32, seed=seed)
    return Experiment(net, batches, training, splits, fit_scheduled)


def fit_scheduled(model: nn.Module, batches, *, forcing: str, steps: int, **training) -> History:
    return train(model, batches, teacher_forcing=schedule(forcing, steps), steps=steps, **training)


def score_mistake(words, pairs, model: nn.Module, limit: int | None) -> dict[str, float]:
    pairs = pairs[:limit]
    found = evaluate(model, pairs, *words).as_dict()
    if hasattr(model, "attention"):
        found["aer"] = alignment_error_rate(forced_alignment(model, pairs, *words), pairs)
    for name, values in after_a_mistake(model, pairs, words).items():
        found |= {f"{name.replace(' ', '_')}_{distance}": value for distance, value in enumerate(values)}
    return found


# ---- the table -------------------------------------------------------------------------------------------------------

FORCED = dict(steps=1200, lr=6e-3)  # after 600 updates only one of three seeds had begun to align
FORCINGS = {
    **{name: {"forcing": name} for name in ("teacher", "linear", "inverse-sigmoid", "own-words")},
    "teacher-fixed": {"forcing": "teacher", "model": "fixed"},
}

RECIPES = [
    Recipe("10", "attentive", "interface-beams", partial(interface_beams, steps=600, lr=6e-3)),
    *(
        Recipe("10", name, "forced-mistake", partial(forced_mistake, **settings, **FORCED))
        for name, settings in FORCINGS.items()
    ),
]
