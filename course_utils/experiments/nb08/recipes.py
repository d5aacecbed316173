"""Rows of notebook 08: one translator with every score in it, and one score in four decoders, on 2,000 sentences.

Tasks "rate=…": one seed, three learning rates, scored on valid only: what RATES is chosen by. Task "low-data": the
chosen rate, three other seeds, on the test sentences of the trained lengths and on longer ones.
"""

from functools import partial

import torch
from torch import nn

from course_utils.corpora.mini import TEST_BUCKETS, load_split
from course_utils.corpora.pair import Pair
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb06.recipes import vocabularies
from course_utils.experiments.nb07.wires import RewiredSeq2Seq
from course_utils.metrics import alignment_error_rate, evaluate, forced_attention, sure_mass
from course_utils.seeds import seed_everything
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.text.batches import Batches

WIDTH, STEPS, BATCH = 128, 500, 64
SCORES = ("additive", "normed", "concat_as_run", "dot", "scaled_dot", "general", "key_value", "cosine",
          "cosine_strength", "location")  # fmt: skip
DECODERS = ("input_feeding", "bahdanau", "conditional_gru")  # Luong's without feeding is the row "general"
GRID = (4e-3, 8e-3, 16e-3)  # for decoders that read the context, or their own last words, a lower one too
RATES = {  # by the perplexity on valid of tasks "rate=…"
    "additive": 0.008, "bahdanau": 0.004, "concat_as_run": 0.008, "conditional_gru": 0.008, "cosine": 0.008,
    "cosine_strength": 0.008, "dot": 0.008, "general": 0.004, "input_feeding": 0.004, "key_value": 0.008,
    "location": 0.008, "normed": 0.008, "scaled_dot": 0.008,
}  # fmt: skip
SPLITS = {  # name -> (files, pairs of each)
    "valid": (("valid",), 300),
    "trained lengths": (tuple(TEST_BUCKETS.values())[:3], 200),  # 3-16 words
    "longer": (tuple(TEST_BUCKETS.values())[3:], 150),  # 17-30 words
}


def build_model(name: str, source_size: int, target_size: int) -> nn.Module:
    """One of SCORES in the now usual decoder, or one of DECODERS with its authors' score."""
    sizes = dict(d_embedding=WIDTH, d_hidden=WIDTH)
    if name in SCORES:
        return AttentiveSeq2Seq(source_size, target_size, **sizes, attention=name)
    if name == "input_feeding":
        return AttentiveSeq2Seq(source_size, target_size, **sizes, attention="general", input_feeding=True)
    sizes |= dict(d_attention=WIDTH, d_readout=WIDTH)
    if name == "bahdanau":
        return BahdanauSeq2Seq(source_size, target_size, **sizes)
    switches = dict(asks_after_reading=True, context_in_cell=True)
    return RewiredSeq2Seq(source_size, target_size, **switches, **sizes)


def translating(seed: int, *, model: str, lr: float, steps: int, splits: tuple[str, ...]) -> Experiment:
    """Train on 2,000 pairs of up to 16 words; score words and alignment."""
    seed_everything(seed)
    words = vocabularies()
    net = build_model(model, *map(len, words))
    batches = Batches(load_split("train_low"), *words, batch_size=BATCH, seed=seed)
    scorers = {name: partial(score, words, _mixed(*SPLITS[name])) for name in splits}
    return Experiment(net, batches, {"seed": seed, "steps": steps, "lr": lr}, scorers)


def _mixed(files: tuple[str, ...], limit: int) -> list[Pair]:
    """One of each in turn, so that the first few are of all lengths."""
    parts = [load_split(name, limit) for name in files]
    return [pair for some in zip(*parts, strict=True) for pair in some]


def score(words, pairs: list[Pair], model: nn.Module, limit: int | None) -> dict[str, float]:
    """The words; where the largest weight falls and how much weight lies on the right words; how large it is; and the
    key strength, of the score that learns one."""
    pairs = pairs[:limit]
    maps = forced_attention(model, pairs, *words)
    links = [{(i, j) for j, i in enumerate(weights.argmax(-1).tolist())} for weights in maps]
    scores = evaluate(model, pairs, *words).as_dict()
    scores["aer"] = alignment_error_rate(links, pairs)
    scores["sure_mass"] = sure_mass(maps, pairs)
    scores["largest"] = float(torch.cat([weights.amax(-1) for weights in maps]).mean())
    strength = getattr(getattr(model.attention, "score", None), "g", None)
    return scores if strength is None else scores | {"strength": strength.item()}


def _searches(name: str) -> list[Recipe]:
    build = partial(translating, model=name, steps=STEPS, splits=("valid",))
    grid = (2e-3, *GRID) if name in DECODERS else GRID
    return [Recipe("08", name, f"rate={lr:g}", partial(build, lr=lr), seeds=(3,)) for lr in grid]


RECIPES = [recipe for name in RATES for recipe in _searches(name)] + [
    Recipe("08", name, "low-data", partial(translating, model=name, lr=lr, steps=STEPS, splits=tuple(SPLITS)))
    for name, lr in RATES.items()
]
