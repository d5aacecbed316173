"""The runs of notebook 14: two places and one softmax, how many heads at equal width, what each head is worth, sets."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.corpora.digit_sets import SetBatches, digits_hash, load_digit_sets, shuffled
from course_utils.corpora.mini import load_split
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb14.heads import forced_loss, loss_with_only, loss_without_each
from course_utils.experiments.nb14.set_baselines import DeepSets, ListMLP, RasterMLP, accuracy
from course_utils.experiments.nb14.two_places import PlacesBatches, TwoPlaces, draw_places, places_loss, places_scores
from course_utils.metrics import evaluate
from course_utils.models.set_transformer import SetTransformer
from course_utils.seeds import seed_everything
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.batches import Batches, make_batch
from course_utils.text.vocabulary import Vocabulary
from course_utils.training import train

# ---- two places, one softmax -----------------------------------------------------------------------------------------


N_WORDS = 8


def two_places(seed: int, *, n_heads: int, steps: int, keys: str = "marks", readout: str = "linear") -> Experiment:
    """One question, one answer vector, two marked words to be read from it; scored on 2,000 fresh lines."""
    seed_everything(seed)
    net = TwoPlaces(n_words=N_WORDS, d_model=16, n_heads=n_heads, keys=keys, readout=readout)
    training, fit = {"seed": seed, "steps": steps, "lr": 1e-2, "warmup": 50}, partial(train, objective=places_loss)
    batches = PlacesBatches(batch_size=64, n_words=N_WORDS, seed=seed)
    return Experiment(net, batches, training, {"fresh": score_places}, fit)


def score_places(model: nn.Module, limit: int | None) -> dict[str, float]:
    return places_scores(model, draw_places(limit or 2000, 8, N_WORDS, torch.Generator().manual_seed(14)))


# ---- heads on the corpus ---------------------------------------------------------------------------------------------


def heads(seed: int, *, d_model: int, n_heads: int, steps: int) -> Experiment:
    """One encoder and one decoder block on the course's corpus; scored on valid, with every head off, and alone."""
    seed_everything(seed)
    pairs, valid = load_split("train"), load_split("valid")
    words = Vocabulary.build(p.source for p in pairs), Vocabulary.build(p.target for p in pairs)
    net = Transformer(len(words[0]), len(words[1]), d_model=d_model, n_heads=n_heads, n_layers=1, d_ff=4 * d_model)
    batches = Batches(pairs, *words, batch_size=64, seed=seed)
    training = {"seed": seed, "steps": steps, "lr": 5e-3, "warmup": 50}
    return Experiment(net, batches, training, {"valid": partial(score_heads, words, valid)})


def score_heads(words, pairs, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Scores of the whole model; where there are 4 or 8 heads, the loss on the first 200 pairs with each off ("off_…")
    and with each alone in its layer ("only_…"), beside the loss there with all on ("loss_200")."""
    scores = evaluate(model, pairs[:limit], *words).as_dict()
    scores["loss"] = math.log(scores["perplexity"])
    if model.hparams["n_heads"] not in (4, 8):
        return scores
    some = [make_batch(pairs[:200][:limit][i : i + 50], *words) for i in range(0, min(200, limit or 200), 50)]
    scores["loss_200"] = forced_loss(model, some)
    for name, losses in {"off": loss_without_each(model, some), "only": loss_with_only(model, some)}.items():
        scores |= {f"{name}_{kind}_{layer}_{head}": loss for (kind, layer, head), loss in losses.items()}
    return scores


# ---- digits as sets --------------------------------------------------------------------------------------------------

SET_MODELS = {  # 22,000 parameters or nearly so, but for the induced points' second attention and the raster
    "sab": lambda: SetTransformer(3, 10, d_model=32, n_heads=4),
    "isab": lambda: SetTransformer(3, 10, d_model=32, n_heads=4, n_inducing=8),
    "sab-mean": lambda: SetTransformer(3, 10, d_model=40, n_heads=4, pool="mean"),
    "deep-sets": lambda: DeepSets(3, 10, d_model=72),
    "list-mlp": lambda: ListMLP(3, 10, n_most=64, d_hidden=108),
    "raster-mlp": lambda: RasterMLP(10, d_hidden=288),
}


def digit_sets(seed: int, *, model: str, steps: int) -> Experiment:
    """Which digit is this set of pixels? Every set is written in a new random order whenever it is shown."""
    seed_everything(seed)
    net = SET_MODELS[model]()
    batches = SetBatches(load_digit_sets("train"), batch_size=64, seed=seed)
    training, fit = {"seed": seed, "steps": steps, "lr": 3e-3, "warmup": 30}, partial(train, objective=set_loss)
    return Experiment(net, batches, training, {split: partial(score_sets, split) for split in ("valid", "test")}, fit)


def set_loss(model: nn.Module, batch) -> Tensor:
    return F.cross_entropy(model(batch.elements, batch.mask), batch.labels)


def score_sets(split: str, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Accuracy with the sets in random order, and row by row."""
    sets = load_digit_sets(split)
    rows = sets.take(list(range(min(limit or len(sets), len(sets)))))
    mixed = shuffled(rows, torch.Generator().manual_seed(14))
    return {"accuracy": accuracy(model, mixed.elements, mixed.mask, mixed.labels),
            "accuracy_row_by_row": accuracy(model, rows.elements, rows.mask, rows.labels)}  # fmt: skip


# ---- the table -------------------------------------------------------------------------------------------------------


def generated() -> str:
    return "generated"


def places(task: str, steps: int, **models: dict) -> list[Recipe]:
    return [Recipe("14", name.replace("_", "-"), task, partial(two_places, steps=steps, **settings), corpus=generated)
            for name, settings in models.items()]  # fmt: skip


def sets(task: str, **steps: int) -> list[Recipe]:
    return [Recipe("14", name.replace("_", "-"), task, partial(digit_sets, model=name.replace("_", "-"), steps=n),
                   corpus=digits_hash) for name, n in steps.items()]  # fmt: skip


COUNTS = (1, 2, 4, 8, 16)
ONE, TWO, FOUR = ({"n_heads": h} for h in (1, 2, 4))
FEED, SEES = {"readout": "feed-forward"}, {"keys": "words"}

RECIPES = [
    *places("two-places", 600, heads_1=ONE, heads_2=TWO, heads_4=FOUR),  # 1 and 2 heads in class, seed 0
    *places("two-places-long", 4000, heads_1=ONE, heads_1_feed=ONE | FEED),
    *places("two-places-words", 600, heads_1=ONE | SEES, heads_2=TWO | SEES),
    Recipe("14", "heads-4", "live", partial(heads, d_model=64, n_heads=4, steps=400)),  # in class too, seed 0
    *(Recipe("14", f"heads-{h:02d}", "width-32", partial(heads, d_model=32, n_heads=h, steps=700)) for h in COUNTS),
    *sets("sets-live", sab=250),  # in class, seed 0
    *sets("sets", sab=600, isab=600, sab_mean=600, deep_sets=600, list_mlp=600, raster_mlp=600),
    *sets("sets-equal-time", deep_sets=2400, list_mlp=4000, raster_mlp=4000),
]
