"""The runs of notebook 12: ConvS2S on the course's corpus, with and without positions; a TCN on 04's memory task.

A draft: not in experiments/recipes.py yet, no row has been trained. RATE, BATCH_SIZE and the number of updates are
those of notebook 16's rows and are still to be chosen on valid (`SETTINGS` is the grid), as are the TCN's.
"""

import itertools
from functools import partial

from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.corpora.long_memory import SYMBOLS, MemoryBatches
from course_utils.corpora.mini import load_split, load_test_buckets
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb04.recipes import GAPS, answer_loss, score_memory
from course_utils.experiments.nb06.recipes import vocabularies
from course_utils.layers.convolution import TCN
from course_utils.metrics import alignment_error_rate, evaluate, forced_alignment
from course_utils.seeds import seed_everything
from course_utils.seq2seq.contract import embedding
from course_utils.seq2seq.convolutional import POSITIONS, ConvolutionalSeq2Seq
from course_utils.text.batches import Batches
from course_utils.training import train as fit

# ---- English to French -----------------------------------------------------------------------------------------------

SIZES = dict(d_embedding=128, d_hidden=128, kernel_size=3, n_encoder=3, n_decoder=3)
RATE, BATCH_SIZE = 3e-3, 32
SETTINGS = [  # to be compared on valid at equal CPU seconds
    dict(lr=lr, batch_size=size, weight_norm=norm)
    for lr, size, norm in itertools.product((1e-3, 2e-3, 3e-3, 4e-3), (32, 64), (True, False))
]


def translator(
    seed: int, *, steps: int, train: str = "train", lr: float = RATE, batch_size: int = BATCH_SIZE, **options
) -> Experiment:
    """Train ConvS2S on a split of the corpus; score it on valid, every test bucket and held-out combinations."""
    seed_everything(seed)
    words = vocabularies()
    net = ConvolutionalSeq2Seq(*map(len, words), **{**SIZES, **options})
    splits = {"valid": load_split("valid"), **load_test_buckets(), "held-out": load_split("held_out")}
    scorers = {name: partial(score, words, pairs) for name, pairs in splits.items()}
    batches = Batches(load_split(train), *words, batch_size=batch_size, seed=seed)
    return Experiment(net, batches, {"seed": seed, "steps": steps, "lr": lr}, scorers)


def score(words, pairs, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Translations, and the alignment error of the mean of all decoder layers' maps."""
    pairs = pairs[:limit]
    scores = evaluate(model, pairs, *words).as_dict()
    scores["aer"] = alignment_error_rate(forced_alignment(model, pairs, *words), pairs)
    return scores


# ---- the long-memory task --------------------------------------------------------------------------------------------

LEVELS, KERNEL, UNITS = 6, 3, 24  # sees 253 words, more than the longest gap; about as many weights as 04's networks


class TCNReader(nn.Module):
    """Words, TCN, logits; answers as 04's language models do, with a state that is None."""

    def __init__(self, n_words: int, d_hidden: int, n_levels: int, kernel_size: int) -> None:
        super().__init__()
        self.embedding = embedding(n_words, 16)
        self.body = TCN(16, d_hidden, n_levels, kernel_size)
        self.output = xavier(nn.Linear(d_hidden, n_words))

    def forward(self, ids: Tensor) -> tuple[Tensor, None]:
        """(B, T) long -> logits (B, T, n_words), None."""
        return self.output(self.body(self.embedding(ids))), None


def memory(seed: int, *, gap: int, steps: int, n_levels: int = LEVELS, lr: float = 3e-3) -> Experiment:
    """Notebook 04's task for a TCN; with fewer levels its field ends before the gap does."""
    seed_everything(seed)
    model = TCNReader(len(SYMBOLS.words), UNITS, n_levels, KERNEL)
    training = {"seed": seed, "steps": steps, "lr": lr, "warmup": 50}
    scorers = {f"gap-{gap:03d}": partial(score_memory, gap)}
    return Experiment(model, MemoryBatches(gap, seed=seed), training, scorers, partial(fit, objective=answer_loss))


# ---- the table -------------------------------------------------------------------------------------------------------

SHORT, EQUAL_TIME = 450, 1200


def runs(task: str, steps: int, name: str = "convs2s", **options) -> Recipe:
    return Recipe("12", name, task, partial(translator, steps=steps, **options))


RECIPES = [
    runs("live", SHORT),
    runs("45-seconds", EQUAL_TIME),
    runs("low-data", EQUAL_TIME, train="train_low"),
    *(runs("positions", EQUAL_TIME, f"positions-{name}", positions=name) for name in POSITIONS if name != "both"),
    *(Recipe("12", "tcn", f"memory-{gap:03d}", partial(memory, gap=gap, steps=600), corpus=str) for gap in GAPS),
    Recipe("12", "tcn-4-levels", "memory-100", partial(memory, gap=100, steps=600, n_levels=4), corpus=str),
]
