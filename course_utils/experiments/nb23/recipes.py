"""The runs of notebook 23: Transformer-XL on real plays, with a memory and without, beside notebook 04's LSTM."""

from functools import partial

import torch
from torch import nn

from course_utils.corpora.plays import load_text, play_vocabulary, plays_hash
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb23.reading import by_place, remembering, segment_losses
from course_utils.metrics import perplexity
from course_utils.models.language_model import CharLanguageModel, Streams, streams_loss
from course_utils.models.transformer_xl import TransformerXL
from course_utils.seeds import seed_everything
from course_utils.training import train

SEGMENT, READ = 32, 20_000  # characters a segment, and of the test plays
MEMORIES = (0, 32, 64, 128, 256)
# Chosen on valid with seed 0, in runs of about 15 CPU s: widths 64, 96 and 128 and 2 or 3 layers were alike, what
# counts are updates; so the small one. The LSTM has notebook 04's settings. Steps: 14 s of CPU time (8 without memory).
XL = dict(d_model=64, n_heads=4, n_layers=3, d_ff=128)
STEPS = {"xl-64": 300, "xl-0": 300, "lstm": 600}


def plays(seed: int, *, model: str, steps: int) -> Experiment:
    """Train on 33 plays, score on the beginning of those held out. "xl-64" has a memory of 64 characters."""
    seed_everything(seed)
    words = play_vocabulary()
    ids = torch.tensor(words.encode(list(load_text("train"))))
    if model == "lstm":
        net, streams = CharLanguageModel(len(words.words), 32, 128, "lstm"), Streams(ids, lanes=32, length=64)
    else:
        net = TransformerXL(len(words.words), **XL, memory=int(model.removeprefix("xl-")))
        streams = Streams(ids, lanes=16, length=SEGMENT)
    training = {"seed": seed, "steps": steps, "lr": 5e-3, "warmup": min(100, steps // 4)}
    return Experiment(net, streams, training, {"test": score_reading}, fit=train_on_streams)


def train_on_streams(model, batches, **training):
    return train(model, batches, objective=streams_loss, **training)


def held_out() -> torch.Tensor:
    return torch.tensor(play_vocabulary().encode(list(load_text("test")[: READ + 1])))


def score_reading(model: nn.Module, limit: int | None) -> dict[str, float]:
    """Perplexity as trained, with other memories (of the LSTM: with its state thrown away), and the loss by place."""
    ids = held_out() if limit is None else held_out()[: 100 * limit]
    losses = segment_losses(model, ids, SEGMENT)
    found = {"n": losses.numel(), "perplexity": perplexity(losses.sum().item(), losses.numel())}
    for place, loss in enumerate(by_place(losses, SEGMENT).tolist(), 1):
        found[f"place_{place:02d}"] = loss
    if isinstance(model, CharLanguageModel):
        found["memory_000"] = segment_losses(model, ids, SEGMENT, carry=False).mean().exp().item()
        return found
    for memory in MEMORIES:
        with remembering(model, memory):
            found[f"memory_{memory:03d}"] = segment_losses(model, ids, SEGMENT).mean().exp().item()
    return found


RECIPES = [
    Recipe("23", model, "live", partial(plays, model=model, steps=steps), corpus=plays_hash)
    for model, steps in STEPS.items()
]
