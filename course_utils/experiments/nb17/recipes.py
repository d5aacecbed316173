"""The runs of notebook 17: one thing changed at a time in the recipe of a small Transformer.

Chosen on `valid` with seed 10, which no row has. Every family has its base among its rows.
"""

import random
from collections import Counter
from functools import partial

import torch
from torch import nn

from course_utils.corpora.mini import load_split
from course_utils.corpora.pair import Pair
from course_utils.corpora.parallel import CATALOGUE_SHA256, hold_out, jupyterlab_french
from course_utils.corpora.pretrained import SHA256
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb01.recipes import NoBatches, as_it_comes
from course_utils.experiments.nb17.training_tips import average_weights, train_keeping, two_passes
from course_utils.metrics import bleu, evaluate, exact_match
from course_utils.models.pretrained_transformer import TWINS, prefers_right, pretrained_encoder, previous_piece, probe
from course_utils.seeds import seed_everything
from course_utils.seq2seq.decoding import translate
from course_utils.seq2seq.transformer import Transformer
from course_utils.text.batches import Batches, make_batch
from course_utils.text.subwords import BytePairEncoding
from course_utils.text.vocabulary import Vocabulary
from course_utils.training import History, token_loss, train

TEST = ("test_03_07", "test_08_11", "test_12_16")


def corpus(train_split: str = "train") -> tuple[list[Pair], tuple[Vocabulary, Vocabulary]]:
    """The pairs to train on, and the vocabularies of the whole training split."""
    pairs = load_split("train")
    words = Vocabulary.build(p.source for p in pairs), Vocabulary.build(p.target for p in pairs)
    return load_split(train_split), words


def mixed_test(n: int) -> list[Pair]:
    """The first `n` of each bucket of 3-16 words, one of each in turn."""
    return [pair for some in zip(*(load_split(name, n) for name in TEST), strict=True) for pair in some]


# ---- depth, norm and warm-up -----------------------------------------------------------------------------------------

SHORT = 7  # words; longer pairs are left out of this family, which has 12 blocks to train


def depth(seed: int, *, norm: str, warmup: int, lr: float, steps: int) -> Experiment:
    """Six blocks a side, on short sentences; scored by the loss of 200 sentences each, whatever happens."""
    seed_everything(seed)
    pairs, words = corpus()
    net = Transformer(len(words[0]), len(words[1]), d_model=64, n_heads=4, n_layers=6, d_ff=128, norm=norm)
    short = [p for p in pairs if len(p.source) <= SHORT]
    splits = {name: [p for p in some if len(p.source) <= SHORT][:200]
              for name, some in {"valid": load_split("valid"), "test": mixed_test(500)}.items()}  # fmt: skip
    training = {"seed": seed, "steps": steps, "lr": lr, "warmup": warmup}
    scorers = {name: partial(score, words, some) for name, some in splits.items()}
    return Experiment(net, Batches(short, *words, batch_size=16, seed=seed), training, scorers)


def score(words, pairs, model: nn.Module, limit: int | None) -> dict[str, float]:
    """The usual scores, the loss a token in nats, the mean probability of the right word and how often it is the best;
    and the same scores of the mean of checkpoints, where the run has kept some."""
    pairs = pairs[:limit]
    found = evaluate(model, pairs, *words).as_dict() | confidence(words, pairs, model)
    kept = getattr(model, "kept", [])
    if not kept:
        return found
    own = {name: value.clone() for name, value in model.state_dict().items()}
    for k in (2, 5, 10):
        model.load_state_dict(average_weights(kept[-k:]))
        some = evaluate(model, pairs, *words)
        found |= {f"exact_match_{k}": some.exact_match, f"perplexity_{k}": some.perplexity}
    model.load_state_dict(own)
    return found


@torch.no_grad()
def confidence(words, pairs, model: nn.Module) -> dict[str, float]:
    """Teacher-forced, over all target tokens: loss, probability of the right word, of the best one, and accuracy."""
    totals, n = dict.fromkeys(("loss", "p_right", "p_best", "next_word"), 0.0), 0
    for start in range(0, len(pairs), 100):
        batch = make_batch(pairs[start : start + 100], *words)
        logits, real = model(batch.source, batch.target_in), batch.target_mask
        p = logits.softmax(-1)  # (B, T, V)
        best, guess = p.max(-1)
        totals["loss"] += token_loss(logits, batch.target_out).item() * batch.n_tokens
        totals["p_right"] += p.gather(-1, batch.target_out.unsqueeze(-1)).squeeze(-1)[real].sum().item()
        totals["p_best"] += best[real].sum().item()
        totals["next_word"] += (guess == batch.target_out)[real].sum().item()
        n += batch.n_tokens
    return {name: total / n for name, total in totals.items()}


# ---- one small Transformer and its changes ---------------------------------------------------------------------------


def fit_keeping(model: nn.Module, batches, *, checkpoint=None, steps: int, **training) -> History:
    """`train_keeping`: ten checkpoints, the last at the end and the others 20 updates apart; never resumed."""
    keep = range(steps - 9 * min(20, steps // 10), steps + 1, min(20, steps // 10))
    history, model.kept = train_keeping(model, batches, steps=steps, keep=keep, **training)
    return history


def fit_two_passes(model: nn.Module, batches, *, checkpoint=None, **training) -> History:
    """`train`, never resumed: the objective's coins are in no checkpoint."""
    return train(model, batches, **training)


def small(
    seed: int, *, steps: int, lr: float = 5e-3, batch_size: int = 32, smoothing: float = 0.0, tie: str = "none",
    dropout: float = 0.0, train_split: str = "train", checkpoints: str = "none", least: float = 1.0, width: int = 64,
) -> Experiment:  # fmt: skip
    """Two blocks a side. `checkpoints`: "falling" or "flat" keeps ten, with that rate; `least` below 1 trains
    in two passes."""
    seed_everything(seed)
    pairs, words = corpus(train_split)
    net = Transformer(len(words[0]), len(words[1]), d_model=width, n_heads=4, n_layers=2, d_ff=4 * width, tie=tie,
                      dropout=dropout)  # fmt: skip
    training = {"seed": seed, "steps": steps, "lr": lr, "warmup": min(100, steps // 4)}
    fit = train
    if checkpoints != "none":
        fit, training["flat"] = fit_keeping, checkpoints == "flat"
    elif least < 1:
        fit = partial(fit_two_passes, objective=two_passes(steps, least, seed))
    if smoothing:
        training["label_smoothing"] = smoothing
    splits = {"valid": load_split("valid")[:300], "test": mixed_test(150)}
    scorers = {name: partial(score, words, some) for name, some in splits.items()}
    if least < 1 or checkpoints == "falling":
        scorers["test-slips"] = partial(score_slips, words, splits["test"])
    return Experiment(net, Batches(pairs, *words, batch_size=batch_size, seed=seed), training, scorers, fit)


def limited(seed: int, *, most: int, steps: int) -> Experiment:
    """The small Transformer, trained on pairs of up to `most` source words; scored on each bucket by itself."""
    seed_everything(seed)
    pairs, words = corpus()
    net = Transformer(len(words[0]), len(words[1]), d_model=64, n_heads=4, n_layers=2, d_ff=256)
    batches = Batches([p for p in pairs if len(p.source) <= most], *words, batch_size=32, seed=seed)
    scorers = {name: partial(score, words, load_split(name, 150)) for name in TEST}
    return Experiment(net, batches, {"seed": seed, "steps": steps, "lr": 5e-3, "warmup": 100}, scorers)


@torch.no_grad()
def score_slips(words, pairs, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Next-word accuracy on the words after a slip: one word of the target, drawn once for each pair, is replaced by
    another of the training set; "after_1" judges the very next word, "after_all" all that follow; "clean_..." the same
    places without the slip."""
    pairs = pairs[:limit]
    draw, right, n = random.Random(17), Counter(), Counter()
    for start in range(0, len(pairs), 100):
        batch = make_batch(pairs[start : start + 100], *words)
        slipped, after = batch.target_in.clone(), torch.zeros_like(batch.target_in, dtype=torch.bool)
        following = after.clone()
        for row, length in enumerate(batch.target_mask.sum(1).tolist()):
            place = draw.randrange(1, max(2, length - 1))  # a word, never BEGIN; at least END follows
            slipped[row, place] = draw.randrange(4, len(words[1]))
            after[row, place], following[row, place:length] = True, True
        for name, given in {"clean": batch.target_in, "slip": slipped}.items():
            hits = model(batch.source, given).argmax(-1) == batch.target_out
            for where, mask in {"1": after, "all": following}.items():
                right[f"{name}_{where}"] += int(hits[mask].sum())
                n[f"{name}_{where}"] += int(mask.sum())
    return {name: right[name] / n[name] for name in right}


# ---- words or pieces, on the messages of JupyterLab ------------------------------------------------------------------


def pieces(seed: int, *, merges: int, steps: int, dropout: float = 0.3, lr: float = 2e-3) -> Experiment:
    """French for JupyterLab's messages, in words (merges = 0) or in pieces of one byte-pair encoding for both sides."""
    seed_everything(seed)
    rest, test = hold_out(jupyterlab_french(), 200)
    pairs, valid = hold_out(rest, 200)
    code = None
    if merges:
        code = BytePairEncoding.learn(Counter(w for p in pairs for w in (*p.source, *p.target)), merges)
    cut = cut_pairs(pairs, code)
    words = Vocabulary.build(p.source for p in cut), Vocabulary.build(p.target for p in cut)
    known = Vocabulary.build(p.source for p in pairs)
    net = Transformer(len(words[0]), len(words[1]), d_model=96, n_heads=4, n_layers=2, d_ff=192, dropout=dropout)
    splits = {name: partial(score_pieces, words, code, known, some) for name, some in
              {"valid": valid, "test": test}.items()}  # fmt: skip
    training = {"seed": seed, "steps": steps, "lr": lr, "warmup": 100}
    return Experiment(net, Batches(cut, *words, batch_size=64, seed=seed), training, splits)


def cut_pairs(pairs: list[Pair], code: BytePairEncoding | None) -> list[Pair]:
    return pairs if code is None else [Pair(code.encode(p.source), code.encode(p.target)) for p in pairs]


def score_pieces(words, code, known, pairs, model: nn.Module, limit: int | None) -> dict[str, float]:
    """BLEU and exact match of whole words; nats per reference *word*, END counted; BLEU and exact match apart on
    sentences with a source word never seen in training."""
    pairs = pairs[:limit]
    cut = cut_pairs(pairs, code)
    said = translate(model, [p.source for p in cut], *words)
    said = said if code is None else [code.decode(some) for some in said]
    nats = confidence(words, cut, model)["loss"] * sum(len(p.target) + 1 for p in cut)
    unknown = [i for i, p in enumerate(pairs) if known.unknown(p.source)]
    found = {"nats_a_word": nats / sum(len(p.target) + 1 for p in pairs), "n_unknown": len(unknown)}
    for name, some in {"": range(len(pairs)), "_unknown": unknown}.items():
        outputs, references = [said[i] for i in some], [pairs[i].target for i in some]
        found[f"bleu{name}"] = bleu(outputs, references) if references else 0.0
        found[f"exact_match{name}"] = exact_match(outputs, references) if references else 0.0
        hits = sum((Counter(o) & Counter(r)).total() for o, r in zip(outputs, references, strict=True))
        found[f"words_met{name}"] = hits / max(1, sum(map(len, references)))
    source, target = (sum(words[k].encode(side).count(3) for side in sides)
                      for k, sides in enumerate(zip(*((p.source, p.target) for p in cut), strict=True)))  # fmt: skip
    return found | {"unk_source": source, "unk_target": target}


def catalogue_hash() -> str:
    return CATALOGUE_SHA256[:12]


# ---- a model that nobody trains here: the optional package -----------------------------------------------------------


def probed(seed: int) -> Experiment:
    """Nothing is trained: its row says 1 step, 0 seconds, loss 0. Needs the optional package."""
    scorers = {"previous": score_previous, "it": score_it, "twins": score_twins}
    return Experiment(pretrained_encoder(), NoBatches(), {"steps": 1}, scorers, as_it_comes)


def score_previous(model: nn.Module, limit: int | None) -> dict[str, float]:
    """Each head's weight on the piece before, mean over the sentences with the first ending."""
    sentences = [model.cut(twin.sentence(0)) for twin in TWINS[:limit]]
    return by_head("previous", torch.stack([previous_piece(model.maps(pieces)) for pieces in sentences]).mean(0))


def score_it(model: nn.Module, limit: int | None) -> dict[str, float]:
    """Weights from "it" to either noun of the first twin, with both endings, and in how many heads each is largest."""
    twin, found = TWINS[0], {}
    for ending in twin.endings:
        pieces = model.cut(f"{twin.beginning} {ending}.")
        for noun in twin.nouns:
            asked = probe(model.maps(pieces), pieces, "it", noun)
            found |= {f"largest_{ending}_{noun}": int(asked.best.sum())} | by_head(f"{ending}_{noun}", asked.weights)
    return found


def score_twins(model: nn.Module, limit: int | None) -> dict[str, float]:
    """In how many of the ten twins a head prefers the right noun with both endings, and with each."""
    right = torch.stack([prefers_right(model, twin) for twin in TWINS[:limit]])  # (n, 2, L, H)
    found = {f"right_{which}": right[:, k].double().mean().item() for k, which in enumerate(("first", "second"))}
    return found | {"n": len(right)} | by_head("both", right.all(1).sum(0))


def by_head(name: str, values: torch.Tensor) -> dict[str, float]:
    """(L, H) -> {"name_0_0": ...}"""
    return {f"{name}_{i}_{h}": value for i, row in enumerate(values.tolist()) for h, value in enumerate(row)}


def pretrained_hash() -> str:
    return SHA256["model.safetensors"][:12]


# ---- the table -------------------------------------------------------------------------------------------------------

RATES = {"post": 1e-3, "pre": 3e-3}  # the best of 3e-4, 5e-4, 1e-3, 3e-3 for post-norm
STEPS = 600
LOW = {"train_split": "train_low"}
SMALL = {  # task -> name -> what differs
    "recipe": {
        "base": {"checkpoints": "falling"},
        "flat-rate": {"checkpoints": "flat"},
        "smooth": {"smoothing": 0.1},
        "tied": {"tie": "decoder"},
        "two-passes": {"least": 0.5},
        "batch-016": {"batch_size": 16, "steps": 2 * STEPS},
        "batch-128": {"batch_size": 128, "steps": STEPS // 4},
        "batch-128-double-rate": {"batch_size": 128, "steps": STEPS // 4, "lr": 1e-2},
        "width-032": {"width": 32, "lr": 1e-2},  # of five rates the best on valid; for 64 and 128 of three
        "width-128": {"width": 128, "lr": 2.5e-3},
    },
    "low-data": {"dropout-0.0": LOW, "dropout-0.1": LOW | {"dropout": 0.1}},
}
RECIPES = [
    *(Recipe("17", name, task, partial(small, **({"steps": STEPS} | changes)))
      for task, some in SMALL.items() for name, changes in some.items()),
    *(Recipe("17", f"{norm}-{'warm-up' if warmup else 'cold'}", "depth-6",
             partial(depth, norm=norm, warmup=warmup, lr=lr, steps=500))
      for norm, lr in RATES.items() for warmup in (125, 0)),
    *(Recipe("17", f"{norm}-cold", "depth-6-lower", partial(depth, norm=norm, warmup=0, lr=lr / 3, steps=500))
      for norm, lr in RATES.items()),
    Recipe("17", "post-warm-up", "depth-6-patient", partial(depth, norm="post", warmup=250, lr=1e-3, steps=1000)),
    *(Recipe("17", f"up-to-{most:02d}", "length", partial(limited, most=most, steps=STEPS)) for most in (8, 16)),
    *(Recipe("17", name, "interface", partial(pieces, merges=merges, steps=500), corpus=catalogue_hash)
      for name, merges in {"words": 0, "pieces-1000": 1000}.items()),
    Recipe("17", "minilm", "pretrained", probed, seeds=(0,), corpus=pretrained_hash),
]  # fmt: skip
