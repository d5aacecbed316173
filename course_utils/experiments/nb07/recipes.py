"""Rows of notebook 07's experiment on where Bahdanau's decoder looks: his step with two wires as switches, three seeds.
(Its other rows stand with notebook 06's, in nb06/recipes.py.)"""

from functools import partial

from torch import nn

from course_utils.corpora.mini import load_split, load_test_buckets
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb06.recipes import vocabularies
from course_utils.experiments.nb07.wires import RewiredSeq2Seq
from course_utils.metrics import alignment_error_rate, evaluate, forced_alignment, forced_attention, looks, sure_mass
from course_utils.seeds import seed_everything
from course_utils.text.batches import Batches

WIDTHS = dict(d_embedding=128, d_hidden=128, d_attention=128, d_readout=128)
WIRES = {  # name of the row -> the two switches
    "bahdanau": dict(asks_after_reading=False, context_in_cell=True),
    "no-context-in-cell": dict(asks_after_reading=False, context_in_cell=False),
    "conditional-gru": dict(asks_after_reading=True, context_in_cell=True),
}
STEPS, RATE, BATCH = 700, 4e-3, 64  # those of the rows 07/bahdanau/45-seconds


def rewired(seed: int, *, asks_after_reading: bool, context_in_cell: bool) -> Experiment:
    """Train one wiring on the course's corpus; score its words, and where it looks while it writes the right ones."""
    seed_everything(seed)
    words = vocabularies()
    switches = dict(asks_after_reading=asks_after_reading, context_in_cell=context_in_cell)
    net = RewiredSeq2Seq(*map(len, words), **switches, **WIDTHS)
    splits = {name: partial(score_looks, words, pairs) for name, pairs in load_test_buckets().items()}
    batches = Batches(load_split("train"), *words, batch_size=BATCH, seed=seed)
    return Experiment(net, batches, {"seed": seed, "steps": STEPS, "lr": RATE}, splits)


def score_looks(words, pairs, model: nn.Module, limit: int | None) -> dict[str, float]:
    pairs = pairs[:limit]
    maps = forced_attention(model, pairs, *words)
    scores = evaluate(model, pairs, *words).as_dict()
    scores["aer"] = alignment_error_rate(forced_alignment(model, pairs, *words), pairs)
    scores["sure_mass"] = sure_mass(maps, pairs)
    return scores | {f"looks_{where}": n for where, n in looks(maps, pairs).items()}


RECIPES = [Recipe("07", name, "wires", partial(rewired, **switches)) for name, switches in WIRES.items()]
