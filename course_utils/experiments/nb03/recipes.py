"""The scoreboard's runs of notebook 03: an Elman network, a GRU and an LSTM keep the note board. About 400 numbers to
learn each; trained on 30 steps, scored by how long ago the note was written, also beyond those 30 steps."""

from functools import partial

import torch

from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb03.note_keeper import NoteBatches, NoteKeeper, draw_notes, squared_error, unexplained
from course_utils.seeds import seed_everything
from course_utils.training import train

WIDTHS = {"rnn": 17, "gru": 10, "lstm": 8}
AGES = {"age-0-5": (0, 5), "age-6-29": (6, 29), "age-30-90": (30, 90)}


def notes(seed: int, *, cell: str) -> Experiment:
    """Keep the note board; the share of the notes' variance that is left unexplained, by their age."""
    seed_everything(seed)
    model = NoteKeeper(cell, WIDTHS[cell])
    scorers = {name: partial(score_notes, *ages) for name, ages in AGES.items()}
    training = {"steps": 500, "lr": 1e-2, "warmup": 50, "weight_decay": 0.0, "seed": seed}
    fit = partial(train, objective=squared_error)
    return Experiment(model, NoteBatches(seed=seed), training, scorers, fit)


def score_notes(low: int, high: int, model: NoteKeeper, limit: int | None) -> dict[str, float]:
    test = draw_notes(limit or 500, 200, torch.Generator().manual_seed(2026))
    return {"unexplained": unexplained(model, test, low, high)}


RECIPES = [Recipe("03", cell, "notes", partial(notes, cell=cell), corpus=str) for cell in WIDTHS]
