"""The runs of notebook 04: remembering over gaps, and language models of characters on real plays."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.corpora.long_memory import SYMBOLS, MemoryBatches, draw_memories
from course_utils.corpora.plays import load_text, play_vocabulary, plays_hash
from course_utils.data_files import data_folder
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.metrics import perplexity
from course_utils.models.language_model import CharLanguageModel, Streams, save_model, streams_loss, total_nll
from course_utils.models.play_model import MODEL_FILE
from course_utils.seeds import seed_everything
from course_utils.training import train

# ---- the long-memory task --------------------------------------------------------------------------------------------

GAPS = (10, 20, 50, 100, 200)
UNITS = {"rnn": 131, "gru": 74, "lstm": 64}  # near equal numbers of parameters: 22,627, 22,335, 22,693


def memory_model(cell: str, forget_bias: float = 1.0) -> CharLanguageModel:
    """A small network for the task; `forget_bias` (of an LSTM) is what its forget gates start from."""
    model = CharLanguageModel(len(SYMBOLS.words), d_embedding=16, d_hidden=UNITS[cell], cell=cell)
    if cell == "lstm":
        H = UNITS[cell]
        model.recurrent.rnn.bias_ih_l0.data[H : 2 * H] = forget_bias  # torch's order: i, f, g, o; its other bias is 0
    return model


def answer_loss(model: nn.Module, batch) -> torch.Tensor:
    """-log p of the key, after the question mark alone; what the model says before does not count."""
    logits, _ = model(batch.source)  # (B, gap + 2, V)
    return F.cross_entropy(logits[:, -1], batch.answer)


def score_memory(gap: int, model: nn.Module, limit: int | None) -> dict[str, float]:
    test = draw_memories(1000 if limit is None else limit, gap, torch.Generator().manual_seed(99))
    with torch.no_grad():
        logits = model(test.source)[0][:, -1]
    right = (logits.argmax(-1) == test.answer).double().mean().item()
    return {"n": len(test), "accuracy": right, "loss": F.cross_entropy(logits, test.answer).item()}


def memory(seed: int, *, cell: str, gap: int, steps: int, lr: float = 3e-3, forget_bias: float = 1.0) -> Experiment:
    """Train on fresh sequences with one gap, score on 1,000 others with the same gap."""
    seed_everything(seed)
    model = memory_model(cell, forget_bias)
    training = {"seed": seed, "steps": steps, "lr": lr, "warmup": 50}
    scorers = {f"gap-{gap:03d}": partial(score_memory, gap)}
    fit = partial(train, objective=answer_loss)
    return Experiment(model, MemoryBatches(gap, seed=seed), training, scorers, fit)


def memory_far(seed: int, **options) -> Experiment:
    """`memory` over long gaps: there gradients shrink below 1e-38, and a processor takes many times longer for such
    numbers unless they are flushed to 0, as here (from now on in this process)."""
    torch.set_flush_denormal(True)
    return memory(seed, **options)


# ---- plays -----------------------------------------------------------------------------------------------------------


def read_ids(split: str) -> torch.Tensor:
    return torch.tensor(play_vocabulary().encode(list(load_text(split))))


def score_text(split: str, model: nn.Module, limit: int | None) -> dict[str, float]:
    ids = read_ids(split)
    nll, n = total_nll(model, ids if limit is None else ids[: 100 * limit])
    return {"n": n, "perplexity": perplexity(nll, n), "loss": nll / n}


def plays(
    seed: int, *, cell: str, d_hidden: int, steps: int, lr: float, length: int = 64, keep: bool = False
) -> Experiment:
    """Train on 33 plays, score on those held out. With `keep` the weights of a full run go to data/."""
    seed_everything(seed)
    words = play_vocabulary()
    model = CharLanguageModel(len(words.words), d_embedding=32, d_hidden=d_hidden, cell=cell)
    streams = Streams(read_ids("train"), lanes=32, length=length)
    training = {"seed": seed, "steps": steps, "lr": lr, "warmup": min(100, steps // 4)}
    scorers = {split: partial(score_text, split) for split in ("valid", "test")}
    return Experiment(model, streams, training, scorers, fit=train_and_keep if keep else train_on_streams)


def train_on_streams(model, batches, **training):
    return train(model, batches, objective=streams_loss, **training)


def train_and_keep(model, batches, *, checkpoint=None, **training):
    """`train_on_streams`, and after a full run (which has a checkpoint, the miniature has none) the file of the model
    that the course ships."""
    history = train_on_streams(model, batches, checkpoint=checkpoint, **training)
    if checkpoint is not None and len(history) == training["steps"]:
        save_model(data_folder() / MODEL_FILE, model, play_vocabulary())
    return history


# ---- the table -------------------------------------------------------------------------------------------------------

MEMORY_KINDS = {  # name -> cell, and where an LSTM's forget gates start: sigmoid(1) = 0.73, sigmoid(4) = 0.98
    "rnn": dict(cell="rnn"),
    "gru": dict(cell="gru"),
    "lstm": dict(cell="lstm"),
    "lstm-forget-4": dict(cell="lstm", forget_bias=4.0),
}
# 3e-3 suited GRU and LSTM better than 1e-3 in one trial each at a gap of 50; the RNN failed alike with both.
LM = {"rnn": 256, "gru": 149, "lstm": 128}  # near equal numbers of parameters
LIVE = dict(steps=700, lr=5e-3)  # what notebook 04 trains in class, seed 0 of the LSTM


def memories(kinds, gaps, steps: int, task: str, build=memory) -> list[Recipe]:
    return [
        Recipe("04", kind, f"{task}-{gap:03d}", partial(build, **options, gap=gap, steps=steps), corpus=str)
        for kind, options in kinds.items()
        for gap in gaps
    ]


RECIPES = [
    *memories(MEMORY_KINDS, GAPS[:-2], 600, "memory"),
    *memories(MEMORY_KINDS, GAPS[-2:], 600, "memory", build=memory_far),
    *memories({"lstm-forget-0": dict(cell="lstm", forget_bias=0.0)}, (20,), 600, "memory"),
    *memories({"rnn": MEMORY_KINDS["rnn"]}, (20,), 2400, "memory-long"),
    *memories({"lstm": MEMORY_KINDS["lstm"]}, (50,), 2400, "memory-long"),
    *(
        Recipe("04", cell, "plays-live", partial(plays, cell=cell, d_hidden=units, **LIVE), corpus=plays_hash)
        for cell, units in LM.items()
    ),
    Recipe(
        "04", "lstm-256", "plays", partial(plays, cell="lstm", d_hidden=256, steps=5000, lr=3e-3, keep=True), (0,),
        plays_hash,
    ),
]  # fmt: skip
