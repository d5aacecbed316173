"""Runs of notebook 05: deep networks on the digits with and without normalisation, and how smooth their loss is.

Settings were fixed after one trial of each network on validation data: 20 layers of 64, batches of 64, 300 updates.
"""

import copy
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.corpora.digits import SHA256, DigitBatch, DigitBatches, load_split
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb05.deep import DeepMLP, along_the_gradient
from course_utils.seeds import seed_everything
from course_utils.seq2seq.decoding import evaluating
from course_utils.training import History, train

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
NORMS = ("none", "batch", "layer")
WALK = (0.01, 0.02, 0.04, 0.08)  # step sizes along the gradient
EVERY = 20  # updates between two walks


def digits_loss(model: nn.Module, batch: DigitBatch) -> torch.Tensor:
    return F.cross_entropy(model(batch.pixels), batch.classes)


def accuracy(model: nn.Module, split: str) -> float:
    """Share of right classes in evaluation mode."""
    data = load_split(split)
    with evaluating(model):
        return float((model(data.pixels).argmax(-1) == data.classes).float().mean())


# ---- the deep network, its rate chosen on validation data ------------------------------------------------------------


def deep(seed: int, *, norm: str, init: str, n_layers: int, steps: int) -> Experiment:
    """Train at every rate; the network with the best validation accuracy is the one that is scored."""
    seed_everything(seed)
    model = DeepMLP(64, 64, n_layers, 10, norm=norm, init=init)
    by_rate: dict[str, float] = {}
    return Experiment(
        model, DigitBatches(seed=seed), {"seed": seed, "steps": steps, "warmup": 30},
        {"test": partial(score_deep, by_rate)}, fit=partial(train_at_every_rate, by_rate),
    )  # fmt: skip


def train_at_every_rate(by_rate: dict, model, batches, *, checkpoint=None, progress=True, **training) -> History:
    """The best network's weights end up in `model`; `by_rate` gets every rate's validation accuracy. Too short for a
    checkpoint: an interrupted run begins anew. A run whose numbers overflow counts as wrong everywhere."""
    first, start, best, seconds = copy.deepcopy(model.state_dict()), batches.state_dict(), None, 0.0
    for rate in RATES:
        model.load_state_dict(first)
        batches.load_state_dict(start)
        try:
            history = train(model, batches, lr=rate, objective=digits_loss, progress=False, **training)
            share = accuracy(model, "valid")
        except FloatingPointError:
            history, share = None, 0.0
        by_rate[f"valid_{rate:g}"] = share
        if history is not None:
            seconds += history.cpu_seconds
            if best is None or share > best[0]:
                best = (share, history, copy.deepcopy(model.state_dict()))
    if best is None:
        raise FloatingPointError(f"the numbers overflowed at every rate of {RATES}.")
    model.load_state_dict(best[2])
    best[1].cpu_seconds = seconds
    return best[1]


def score_deep(by_rate: dict, model: nn.Module, limit: int | None) -> dict[str, float]:
    best = max(by_rate, key=by_rate.get)
    return {"accuracy": accuracy(model, "test"), "train_accuracy": accuracy(model, "train"),
            "rate": float(best.removeprefix("valid_")), **by_rate}  # fmt: skip


# ---- Santurkar's measurements ----------------------------------------------------------------------------------------


def smooth(seed: int, *, norm: str, n_layers: int, steps: int, lr: float) -> Experiment:
    """Train with the initialisation with which every network learns, and walk down the gradient now and then."""
    seed_everything(seed)
    model = DeepMLP(64, 64, n_layers, 10, norm=norm, init="he")
    walks: list[dict[str, float]] = []
    return Experiment(
        model, DigitBatches(seed=seed), {"seed": seed, "steps": steps, "warmup": 30, "lr": lr},
        {"train": partial(score_walks, walks)}, fit=partial(train_and_walk, walks),
    )  # fmt: skip


def train_and_walk(walks: list, model, batches, *, checkpoint=None, **training) -> History:
    """`train`, whose objective stops every `EVERY` updates to walk; not resumable, hence no checkpoint."""
    seen = 0

    def objective(model, batch):
        nonlocal seen
        if seen % EVERY == 0:
            walk = along_the_gradient(model, partial(digits_loss, batch=batch), WALK)
            walks.append({"loss": walk.start, "variation": walk.variation, "beta": walk.smoothness,
                          "cosine": walk.cosine[0], "gradient": walk.distances[0] / WALK[0]})  # fmt: skip
        seen += 1
        return digits_loss(model, batch)

    return train(model, batches, objective=objective, **training)


def score_walks(walks: list, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Medians over the walks of the first half and of the second half of the training."""
    half = max(1, len(walks) // 2)
    scores = {"accuracy": accuracy(model, "valid")}
    for name, part in (("early", walks[:half]), ("late", walks[-half:])):
        for key in ("loss", "variation", "beta", "cosine", "gradient"):
            scores[f"{name}_{key}"] = float(torch.tensor([w[key] for w in part]).median())
    return scores


def digits_hash() -> str:
    return SHA256[:12]


RECIPES = [
    Recipe("05", norm, f"deep-{init}", partial(deep, norm=norm, init=init, n_layers=20, steps=300), corpus=digits_hash)
    for init in ("small", "default", "he")
    for norm in NORMS
] + [
    Recipe("05", norm, f"smooth-{n}", partial(smooth, norm=norm, n_layers=n, steps=300, lr=1e-3), corpus=digits_hash)
    for n in (5, 20)
    for norm in NORMS
]  # fmt: skip
