"""The runs of notebook 16: the Transformer on the course's corpus, whole and without each of its pieces."""

from functools import partial

from torch import nn

from course_utils.corpora.mini import load_split, load_test_buckets
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb16.head_links import head_links
from course_utils.experiments.nb16.pieces import PIECES, take_away
from course_utils.metrics import alignment_error_rate, evaluate, forced_alignment, oracle_alignment_error_rate
from course_utils.seeds import seed_everything
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.batches import Batches
from course_utils.text.vocabulary import Vocabulary

# Chosen on valid: of rates 2e-3 to 4e-3, batches of 32 and 64, d_ff 256 and 512 these were best after 45 CPU seconds.
SIZES = dict(d_model=128, n_heads=4, n_layers=2, d_ff=256)
RATE, BATCH_SIZE = 3e-3, 32


def translator(
    seed: int, *, steps: int, train: str = "train", dropout: float = 0.0, without: str | None = None
) -> Experiment:
    """Train a Transformer on a split of the corpus; score it on valid, every test bucket and held-out combinations."""
    seed_everything(seed)
    all_pairs = load_split("train")
    words = Vocabulary.build(p.source for p in all_pairs), Vocabulary.build(p.target for p in all_pairs)
    net = Transformer(len(words[0]), len(words[1]), **SIZES, dropout=dropout)
    if without is not None:
        take_away(net, without)
    splits = {"valid": load_split("valid"), **load_test_buckets(), "held-out": load_split("held_out")}
    scorers = {name: partial(score, words, pairs) for name, pairs in splits.items()}
    batches = Batches(load_split(train), *words, batch_size=BATCH_SIZE, seed=seed)
    return Experiment(net, batches, {"seed": seed, "steps": steps, "lr": RATE}, scorers)


def score(words, pairs, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Translations; alignment error of every cross-attention head ("aer_<layer>_<head>", from 0), of the contract's
    attention, which is the mean over the last layer's heads ("aer_mean"), and of the best links there are."""
    pairs = pairs[:limit]
    scores = evaluate(model, pairs, *words).as_dict()
    for (layer, head), links in head_links(model, pairs, *words).items():
        scores[f"aer_{layer}_{head}"] = alignment_error_rate(links, pairs)
    scores["aer_mean"] = alignment_error_rate(forced_alignment(model, pairs, *words), pairs)
    scores["oracle_aer"] = oracle_alignment_error_rate(pairs)
    return scores


def runs(task: str, steps: int, name: str = "transformer", **options) -> Recipe:
    return Recipe("16", name, task, partial(translator, steps=steps, **options))


SHORT, EQUAL_TIME = 450, 1200  # updates: in class about 20 CPU seconds; 45-60, as the translators of 06 and 07 had

RECIPES = [
    runs("live", SHORT),  # what notebook 16 trains in class, seed 0; the pieces are taken from this one
    runs("45-seconds", EQUAL_TIME),
    runs("low-data", EQUAL_TIME, train="train_low"),
    *(runs("pieces", SHORT, f"no-{piece}", without=piece) for piece in PIECES),
    runs("converged", 4 * EQUAL_TIME),
]
