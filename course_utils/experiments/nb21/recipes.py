"""The runs of notebook 21: duplication, trained with full attention and with hashing, scored with other rounds."""

from functools import partial

import torch
from torch import nn

from course_utils.corpora.long_tasks import SequenceBatches, draw_duplication
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb21.copying import FULL, Copier, copy_loss, copy_score
from course_utils.seeds import seed_everything
from course_utils.training import train

LOOKED_WITH = {"full": FULL, "lsh-8": 8, "lsh-4": 4, "lsh-2": 2, "lsh-1": 1}


def duplication(seed: int, *, rounds: int, length: int, steps: int, n_symbols: int = 32) -> Experiment:
    """Train on 4,096 lines, score on fresh ones with every kind of attention (a split each)."""
    seed_everything(seed)
    lines = draw_duplication(4096, length, n_symbols, torch.Generator().manual_seed(seed))
    net = Copier(length, n_symbols, rounds, seed=100 + seed)  # evaluated with other directions, those of seed 1
    scorers = {name: partial(score_copies, several) for name, several in LOOKED_WITH.items()}
    training = {"seed": seed, "steps": steps, "lr": 5e-3, "warmup": 30}
    return Experiment(net, SequenceBatches(lines, 32, seed), training, scorers, partial(train, objective=copy_loss))


def score_copies(rounds: int, model: nn.Module, limit: int | None) -> dict[str, float]:
    """The share of symbols foretold, with new directions drawn."""
    settings = model.hparams
    fresh = draw_duplication(limit or 200, settings["length"], settings["n_symbols"], torch.Generator().manual_seed(22))
    return {"accuracy": copy_score(model.look_with(rounds), fresh)}


def generated() -> str:
    return "generated"


TRAINED = {"full": FULL, "lsh-1": 1, "lsh-2": 2, "lsh-4": 4}

RECIPES = [
    Recipe("21", name, "duplication-32", partial(duplication, rounds=rounds, length=32, steps=200), corpus=generated)
    for name, rounds in TRAINED.items()
]
