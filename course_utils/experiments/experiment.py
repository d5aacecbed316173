"""What a recipe of the scoreboard is made of (see recipes.py beside it), and the name that a run goes by."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from course_utils.corpora.mini import corpus_hash
from course_utils.text.batches import Batches
from course_utils.training import History, train

Scorer = Callable[[nn.Module, int | None], Mapping[str, float]]  # (model, only so many pairs or None: all) -> scores


@dataclass
class Experiment:
    """One run, built and not yet trained."""

    model: nn.Module
    batches: Batches
    training: dict[str, Any]  # keywords of `fit`; "steps" is one of them, "warmup" may be
    splits: Mapping[str, Scorer]  # name of the split -> how the trained model is scored on it
    fit: Callable[..., History] = train  # called as fit(model, batches, checkpoint=…, progress=…, **training)


@dataclass(frozen=True)
class Recipe:
    """A line of the table: how to build the run of each seed. `build` is a function of an nbNN/recipes.py, or a
    functools.partial of one with plain values, called as build(seed)."""

    notebook: str
    model: str
    task: str
    build: Callable[[int], Experiment]
    seeds: tuple[int, ...] = (0, 1, 2)
    corpus: Callable[[], str] = field(default=corpus_hash)  # hash of the data; of generated data a constant

    def __post_init__(self):
        for name in (self.notebook, self.model, self.task):
            if not re.fullmatch(r"[\w.+=-]+", name):
                raise ValueError(f"{name!r} is no name for the scoreboard; use letters, digits and . + = - _ only.")
        if not self.seeds:
            raise ValueError(f"{self.notebook}/{self.model}/{self.task} has no seed; give at least one.")


@dataclass(frozen=True)
class Run:
    """A recipe with one of its seeds: what is trained, kept and named."""

    recipe: Recipe
    seed: int

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.recipe.notebook, self.recipe.model, self.recipe.task, self.seed

    @property
    def name(self) -> str:
        return "/".join(map(str, self.key))
