"""Rows of notebook 09: one translator that looks everywhere, in a window, at one word, or from left to right, on 2,000
sentences; and strings over three letters, copied.

Tasks "rate=…": one seed, four learning rates, scored on valid only: what RATES is chosen by. Task "low-data": the
chosen rate, three other seeds, on the test sentences of the trained lengths and on longer ones. Task "strings": copies.
"""

from functools import partial

from torch import nn

from course_utils.attention.dense import DenseAttention
from course_utils.attention.hard import HardAttention, RunningBaseline
from course_utils.attention.monotonic import MonotonicAttention
from course_utils.attention.scores import GeneralScore
from course_utils.attention.steering import plugged
from course_utils.attention.table import make
from course_utils.corpora.mini import TEST_BUCKETS, load_split
from course_utils.corpora.pair import Pair
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb06.recipes import vocabularies
from course_utils.experiments.nb09.copying import KINDS, LETTERS, TESTED, TRAINED, copied, copier, strings
from course_utils.experiments.nb09.objectives import OBJECTIVES, readings
from course_utils.experiments.nb09.online import OneWaySeq2Seq
from course_utils.metrics import alignment_error_rate, evaluate, forced_attention, perplexity, sure_mass
from course_utils.seeds import seed_everything
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.decoding import evaluating
from course_utils.text.batches import Batches, make_batch
from course_utils.text.vocabulary import Vocabulary
from course_utils.training import train

WIDTH, STEPS, BATCH = 128, 500, 64  # as in notebook 08
WINDOWS = {"local-m2": ("local_m", 2), "local-m4": ("local_m", 4), "local-p2": ("local_p", 2),
           "local-p4": ("local_p", 4)}  # fmt: skip
NOISES = {"monotonic-0": 0.0, "monotonic-1": 1.0, "monotonic-2": 2.0}
ONE_WAY = {"one-way": None, "one-way-monotonic": 1.0}
MODELS = ("global", *WINDOWS, "straight-through", *OBJECTIVES, *NOISES, *ONE_WAY)
GRID = (2e-3, 4e-3, 8e-3, 16e-3)
COSTLY = {"expected": (4e-3, 8e-3), "mixture": (4e-3,)}  # ten times the work of the others: one seed, fewer rates
RATES = {  # by the perplexity on valid of tasks "rate=…"
    "global": 4e-3, "local-m2": 8e-3, "local-m4": 8e-3, "local-p2": 8e-3, "local-p4": 4e-3, "straight-through": 4e-3,
    "sampled": 4e-3, "sampled-no-baseline": 8e-3, "expected": 8e-3, "mixture": 4e-3, "monotonic-0": 8e-3,
    "monotonic-1": 8e-3, "monotonic-2": 8e-3, "one-way": 8e-3, "one-way-monotonic": 8e-3,
}  # fmt: skip
SPLITS = {  # name -> (files, pairs of each)
    "valid": (("valid",), 300),
    "trained lengths": (tuple(TEST_BUCKETS.values())[:3], 200),  # 3-16 words
    "longer": (tuple(TEST_BUCKETS.values())[3:], 150),  # 17-30 words
}


def build_model(name: str, source_size: int, target_size: int) -> AttentiveSeq2Seq:
    """One of MODELS, all with the general score but for the monotonic ones, which have their own."""
    sizes = dict(d_embedding=WIDTH, d_hidden=WIDTH)
    if name in ONE_WAY:
        noise = ONE_WAY[name]
        plug = "general" if noise is None else MonotonicAttention(WIDTH, WIDTH, WIDTH, noise=noise)
        return OneWaySeq2Seq(source_size, target_size, **sizes, attention=plug)
    plug = "general"
    if name in WINDOWS:
        kind, window = WINDOWS[name]
        plug = make(kind, WIDTH, window=window)
    elif name in NOISES:
        plug = MonotonicAttention(WIDTH, WIDTH, WIDTH, noise=NOISES[name])
    elif name != "global":
        plug = HardAttention(GeneralScore(WIDTH, WIDTH), "straight_through" if name not in OBJECTIVES else "sample")
    model = AttentiveSeq2Seq(source_size, target_size, **sizes, attention=plug)
    if name == "sampled":
        model.baseline = RunningBaseline()
    return model


def translating(seed: int, *, model: str, lr: float, steps: int, splits: tuple[str, ...]) -> Experiment:
    """Train on 2,000 pairs of up to 16 words; score words, alignment, and other ways to read the same weights."""
    seed_everything(seed)
    words = vocabularies()
    net = build_model(model, *map(len, words))
    batches = Batches(load_split("train_low"), *words, batch_size=BATCH, seed=seed)
    scorers = {name: partial(score, words, _one_of_each(*SPLITS[name])) for name in splits}
    fit = partial(train, objective=OBJECTIVES[model]) if model in OBJECTIVES else train
    return Experiment(net, batches, {"seed": seed, "steps": steps, "lr": lr}, scorers, fit)


def _one_of_each(files: tuple[str, ...], limit: int) -> list[Pair]:
    """One pair of each file in turn, so that the first few are of all lengths."""
    parts = [load_split(name, limit) for name in files]
    return [pair for some in zip(*parts, strict=True) for pair in some]


def score(words, pairs: list[Pair], model: AttentiveSeq2Seq, limit: int | None) -> dict[str, float]:
    """Words and alignment as the model decodes; then the perplexity of the same weights read otherwise: "soft",
    "largest", "expected", "mixture" (objectives.readings), or "walk", the expected alignment of a monotonic model."""
    pairs = pairs[:limit]
    scores = looked(words, pairs, model)
    plug = model.attention
    if isinstance(plug, MonotonicAttention):
        scores |= {"r": float(plug.r), "walk": _walked(words, pairs, model)}
    elif isinstance(plug, DenseAttention | HardAttention):
        scores |= _read(words, pairs, model)
    if isinstance(plug, DenseAttention):
        with plugged(model, HardAttention(plug.score, "argmax")):
            scores |= {f"hard_{name}": value for name, value in looked(words, pairs, model).items() if name != "n"}
    return scores


def looked(words, pairs: list[Pair], model: nn.Module) -> dict[str, float]:
    """Words, alignment error rate, weight on the right words, and weight in all (1 but for local-p and monotonic)."""
    maps = forced_attention(model, pairs, *words)
    links = [{(i, j) for j, i in enumerate(weights.argmax(-1).tolist())} for weights in maps]
    scores = evaluate(model, pairs, *words).as_dict()
    scores["aer"], scores["sure_mass"] = alignment_error_rate(links, pairs), sure_mass(maps, pairs)
    scores["weight"] = sum(float(weights.sum()) for weights in maps) / sum(map(len, maps))
    return scores


def _read(words, pairs: list[Pair], model: AttentiveSeq2Seq) -> dict[str, float]:
    total, n_tokens = {}, 0
    for start in range(0, len(pairs), 100):
        batch = make_batch(pairs[start : start + 100], *words)
        with evaluating(model):
            found = readings(model, batch)
        total = {name: total.get(name, 0.0) - float(x[batch.target_mask].sum()) for name, x in found.items()}
        n_tokens += batch.n_tokens
    return {name: perplexity(nll, n_tokens) for name, nll in total.items()}


def _walked(words, pairs: list[Pair], model: AttentiveSeq2Seq) -> float:
    plug, own = model.attention, model.attention.hard
    plug.hard = False
    try:
        return evaluate(model, pairs, *words).perplexity
    finally:
        plug.hard = own


# ---- strings over three letters --------------------------------------------------------------------------------------


def copying(seed: int, *, kind: str, steps: int) -> Experiment:
    """Copy strings of 1-12 letters, then of up to 36; a split for each length."""
    seed_everything(seed)
    words = Vocabulary(LETTERS)
    batches = Batches(strings(4000, TRAINED, seed=1000 + seed), words, words, batch_size=32, seed=seed)
    splits = {f"length-{n:02d}": partial(score_copies, n) for n in TESTED}
    return Experiment(copier(kind, words), batches, {"seed": seed, "steps": steps, "lr": 1e-2}, splits)


def score_copies(length: int, model: nn.Module, limit: int | None) -> dict[str, float]:
    return copied(model, strings(limit or 200, (length,), seed=length), Vocabulary(LETTERS))


def generated() -> str:
    return "generated"


# ---- the table -------------------------------------------------------------------------------------------------------


def _searches(name: str) -> list[Recipe]:
    build = partial(translating, model=name, steps=STEPS, splits=("valid",))
    rates = COSTLY.get(name, GRID)
    return [Recipe("09", name, f"rate={lr:g}", partial(build, lr=lr), seeds=(3,)) for lr in rates]


RECIPES = [recipe for name in MODELS for recipe in _searches(name)] + [
    Recipe("09", name, "low-data", partial(translating, model=name, lr=lr, steps=STEPS, splits=tuple(SPLITS)))
    for name, lr in RATES.items() if name not in COSTLY
] + [
    Recipe("09", kind, "strings", partial(copying, kind=kind, steps=600), seeds=(0, 1, 2, 3, 4), corpus=generated)
    for kind in KINDS
]  # fmt: skip
