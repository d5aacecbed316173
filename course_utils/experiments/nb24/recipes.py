"""The runs of notebook 24: one small Transformer around each plug, on four long tasks.

Settings belong to the task, not to the plug: a rate found in one to three short trials of dense attention, and as many
updates as it needs to be well beyond its first progress. Nobody else had a search of his own.
"""

from functools import partial

import torch
from torch import nn

from course_utils.corpora.digit_sets import digits_hash
from course_utils.corpora.long_tasks import (
    LISTOPS_CLASSES,
    LISTOPS_TOKENS,
    PIXEL_TOKENS,
    SequenceBatches,
    Sequences,
    draw_duplication,
    draw_listops,
    draw_retrieval,
    pixel_sequences,
    retrieval_tokens,
)
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb24.long_range import LongRange, answer_loss, answer_score
from course_utils.seeds import seed_everything
from course_utils.training import train

KEYS, VALUES, SYMBOLS = 32, 4, 16
MODEL = {  # what the model needs to know of a task; "longest" is in tokens
    "listops": dict(n_tokens=LISTOPS_TOKENS, n_answers=LISTOPS_CLASSES, longest=200),
    "retrieval": dict(n_tokens=retrieval_tokens(KEYS, VALUES), n_answers=VALUES + 1, longest=128, each=True),
    "pixels": dict(n_tokens=PIXEL_TOKENS, n_answers=10, longest=256),
    "duplication": dict(n_tokens=SYMBOLS + 2, n_answers=SYMBOLS + 2, longest=128, each=True, causal=True),
}
TRAINING = {
    "listops": dict(steps=300, batch_size=32, lr=3e-3),
    "retrieval": dict(steps=500, batch_size=32, lr=5e-3),
    "pixels": dict(steps=300, batch_size=16, lr=5e-3),
    "duplication": dict(steps=400, batch_size=32, lr=5e-3),
}
N_TRAIN = 10_000
N_SCORED = {"listops": 1000, "retrieval": 200, "duplication": 200}        # of pixels all 300
PLUGS = {  # name in the table of plugs -> its settings at these lengths
    "scaled_dot": {},
    "window": {"window": 16},
    "strided": {"stride": 8},
    "longformer": {"window": 16, "n_global": 8},
    "bigbird": {"window": 8, "n_global": 8, "n_random": 1},
    "reformer": {"n_buckets": 8, "rounds": 2, "window": 16},
    "routing": {"n_buckets": 8, "window": 16},
    "sinkhorn": {"block": 16},
    "linformer": {"k": 32},
    "linear": {},
    "performer": {"m": 64},
    "synthesizer_dense": {},
}


def sequences(task: str, split: str) -> Sequences:
    """The same for all runs. Pixels have real splits; the other tasks draw theirs."""
    if task == "pixels":
        return pixel_sequences(split)
    draw = torch.Generator().manual_seed(("train", "valid", "test").index(split))
    n, longest = N_TRAIN if split == "train" else N_SCORED[task], MODEL[task]["longest"]
    if task == "listops":
        return draw_listops(n, (64, longest), draw)
    if task == "retrieval":
        return draw_retrieval(n, longest, KEYS, VALUES, draw)
    return draw_duplication(n, longest, SYMBOLS, draw)


def race(seed: int, *, task: str, plug: str, steps: int, batch_size: int, lr: float) -> Experiment:
    """Train on one task, score on its test sequences and on those of valid."""
    seed_everything(seed)
    net = LongRange(**MODEL[task], plug=plug, settings=PLUGS[plug])
    batches = SequenceBatches(sequences(task, "train"), batch_size, seed)
    training = {"seed": seed, "steps": steps, "lr": lr, "warmup": 50}
    scorers = {split: partial(score, task, split) for split in ("valid", "test")}
    return Experiment(net, batches, training, scorers, partial(train, objective=answer_loss))


def score(task: str, split: str, model: nn.Module, limit: int | None) -> dict[str, float]:
    data = sequences(task, split)
    return answer_score(model, data.rows(list(range(min(limit or len(data), len(data))))))


def generated() -> str:
    return "generated"


RECIPES = [
    *(Recipe("24", plug, task, partial(race, task=task, plug=plug, **settings),
             corpus=digits_hash if task == "pixels" else generated)
      for task, settings in TRAINING.items() for plug in PLUGS if (plug, task) != ("linformer", "duplication")),
    *(Recipe("24", plug, "retrieval-patient", partial(race, task="retrieval", plug=plug, **TRAINING["retrieval"]
             | {"steps": 1500}), (0,), generated)
      for plug in ("longformer", "linformer", "linear")),
    *(Recipe("24", plug, "duplication-live", partial(race, task="duplication", plug=plug, **TRAINING["duplication"]
             | {"steps": 150}), corpus=generated) for plug in ("scaled_dot", "window")),
]  # fmt: skip
