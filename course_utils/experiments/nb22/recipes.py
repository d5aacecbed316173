"""The runs of notebook 22: an encoder that fills in hidden characters, around three plugs, and associative recall."""

from functools import partial

import torch
from torch import nn

from course_utils.corpora.plays import load_text, play_vocabulary, plays_hash
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb22.masked_characters import MaskedCharacters, WindowBatches, hidden_loss, hidden_scores
from course_utils.experiments.nb22.recall import PairBatches, Recall, recall_loss, recall_score
from course_utils.seeds import seed_everything
from course_utils.training import train

# ---- hidden characters of plays --------------------------------------------------------------------------------------

LENGTH = 128  # characters a window


def hidden(seed: int, *, plug: str, steps: int, size: int = 32) -> Experiment:
    """Train on windows of 33 plays, score on 64 windows of each of the other splits."""
    seed_everything(seed)
    vocabulary = play_vocabulary()
    net = MaskedCharacters(len(vocabulary), LENGTH, plug, size)
    batches = WindowBatches(ids("train"), LENGTH, 16, seed)
    scorers = {split: partial(score_hidden, split) for split in ("valid", "test")}
    training = {"seed": seed, "steps": steps, "lr": 5e-3, "warmup": 50}
    return Experiment(net, batches, training, scorers, partial(train, objective=hidden_loss))


def ids(split: str) -> torch.Tensor:
    return torch.tensor(play_vocabulary().encode(list(load_text(split))))


def score_hidden(split: str, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Accuracy and loss on the hidden characters; of dense maps also the median over all heads and 8 windows, in each
    layer, of the rank that leaves 1 % of a map's squared singular values (an error of 10 %), "rank_0", "rank_1"."""
    windows = WindowBatches(ids(split), LENGTH).take(limit or 64, torch.Generator().manual_seed(22))
    scores = hidden_scores(model, windows)
    if model.hparams["plug"] == "dense":
        for layer, (q, k, _) in enumerate(model.projections(windows.source[:8])):
            maps = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1).double()  # (8, H, N, N)
            energy = torch.linalg.svdvals(maps).square()
            left = 1 - energy.cumsum(-1) / energy.sum(-1, keepdim=True)
            scores[f"rank_{layer}"] = float(1 + (left > 0.01).sum(-1).double().median())
    return scores


# ---- associative recall ----------------------------------------------------------------------------------------------


def recall(seed: int, *, kind: str, d: int, n: int) -> Experiment:
    """n pairs through one attention of width d, scored on 500 fresh lines."""
    seed_everything(seed)
    batches, net = PairBatches(n, seed=seed), Recall(n, d, kind)
    training = {"seed": seed, "steps": 400, "lr": 2e-2, "warmup": 20}
    return Experiment(net, batches, training, {"fresh": score_recall}, partial(train, objective=recall_loss))


def score_recall(model: nn.Module, limit: int | None) -> dict[str, float]:
    batches = PairBatches(model.hparams["n_pairs"], model.hparams["n_values"])
    return {"accuracy": recall_score(model, batches.take(limit or 500, torch.Generator().manual_seed(22)))}


# ---- the table -------------------------------------------------------------------------------------------------------


def generated() -> str:
    return "generated"


PLUGS = {"dense": {"plug": "dense"}, "linear": {"plug": "linear"}, "linformer-64": {"plug": "linformer", "size": 64}}
PAIRS = {8: (4, 8, 16, 32), 16: (8, 16, 32, 64), 32: (16, 32, 64, 128)}  # d -> n: d/2, d, 2d, 4d

RECIPES = [
    *(Recipe("22", name, "hidden-live", partial(hidden, steps=300, **plug), corpus=plays_hash)  # dense: in class
      for name, plug in PLUGS.items()),
    *(Recipe("22", name, "hidden-long", partial(hidden, steps=1200, **plug), corpus=plays_hash)
      for name, plug in PLUGS.items()),
    *(Recipe("22", f"{kind}-{d:02d}", f"recall-{n:03d}", partial(recall, kind=kind, d=d, n=n), corpus=generated)
      for d, several in PAIRS.items() for kind, n in (*(("linear", n) for n in several), ("softmax", several[-1]))),
]  # fmt: skip
