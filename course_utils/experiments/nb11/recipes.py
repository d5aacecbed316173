"""The runs of notebook 11: which words, in which sentences. Poolings compared where the evidence is known; scenes of
real plays, whole plays held out and not; label-wise attention; attributes for rare labels."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from course_utils.corpora.attributes import (
    ATTRIBUTES,
    attribute_vocabulary,
    attributes_hash,
    combination_documents,
    combinations,
    evidence,
    rare_classes,
    several_labels,
)
from course_utils.corpora.document import Document
from course_utils.corpora.evidence import KINDS, evidence_documents, evidence_hash, evidence_vocabulary
from course_utils.corpora.scenes import GENRES, scene_splits, scene_vocabulary, scenes_hash
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb11.bag import BagOfWords
from course_utils.experiments.nb11.faults import with_bounded_scores
from course_utils.experiments.nb11.looks import erased, mean_weights
from course_utils.models.hierarchical import (
    DocumentBatches,
    HierarchicalAttention,
    accuracy,
    class_loss,
)
from course_utils.models.label_attention import AttributeAttention, LabelAttention, attribute_loss, label_loss
from course_utils.seeds import seed_everything
from course_utils.text.vocabulary import Vocabulary
from course_utils.training import train

WIDTHS = dict(d_embedding=24, d_hidden=24, d_attention=24)

# ---- the evidence is known -------------------------------------------------------------------------------------------

EVIDENCE = {  # name on the scoreboard -> the model
    "han": dict(pooling=("attention", "attention")),
    "mean": dict(pooling=("mean", "mean")),
    "max": dict(pooling=("max", "max")),
    "gate": dict(pooling=("gate", "gate")),
    "no-gru": dict(pooling=("attention", "attention"), encoder=("none", "none")),  # who spreads the evidence?
    "bounded": dict(pooling=("attention", "attention")),  # with the fault of faults.BoundedPooling
    "bag": {},
}
RATE = dict.fromkeys(EVIDENCE, 1e-2) | {"bag": 3e-2}  # the best on valid of tasks "rate=…", mean of their seeds
GRID = (5e-3, 1e-2, 2e-2)
STEPS, LONGER = 250, {"no-gru": 1500}  # without GRUs an update costs a tenth, and many more are needed


def queen(seed: int, *, model: str, lr: float | None = None) -> Experiment:
    """What has the queen to do with? Scored with where the model looks, and with its sentences left out; with another
    rate than the model's own, on valid only."""
    seed_everything(seed)
    words = evidence_vocabulary()
    net = classifier(model, EVIDENCE[model], len(words), len(KINDS))
    splits = {name: partial(score_evidence, words, evidence_documents(name))
              for name in (("valid", "test") if lr is None else ("valid",))}  # fmt: skip
    training = {"seed": seed, "steps": LONGER.get(model, STEPS), "lr": lr or RATE[model], "warmup": 30}
    return Experiment(net, batches_of(evidence_documents("train"), words, 32, seed), training, splits, classes)


def classifier(name: str, options: dict, n_words: int, n_classes: int) -> nn.Module:
    if name == "bag":
        return BagOfWords(n_words, n_classes)
    net = HierarchicalAttention(n_words, n_classes, **WIDTHS, **options)
    return with_bounded_scores(net) if name == "bounded" else net


def batches_of(documents: Sequence[Document], words: Vocabulary, batch_size: int, seed: int = 0) -> DocumentBatches:
    return DocumentBatches([d.sentences for d in documents], [d.label for d in documents], words, batch_size, seed)


classes = partial(train, objective=class_loss)


def score_evidence(words, documents, model: nn.Module, limit: int | None) -> dict[str, float]:
    documents = documents[:limit]
    scores = {"accuracy": right(model, documents, words), "n": len(documents)}
    if isinstance(model, HierarchicalAttention):
        scores |= mean_weights(model, documents, words) | erased(model, documents[:400], words)
    return scores


def right(model: nn.Module, documents: Sequence[Document], words: Vocabulary) -> float:
    """Share of documents whose most probable class is right."""
    return accuracy(model, batches_of(documents, words, min(100, len(documents))))


# ---- scenes of real plays --------------------------------------------------------------------------------------------

# Some 300 scenes are too few to learn a GRU over words from: words are pooled as they are, a GRU reads the sentences.
SCENES = {
    "han": dict(pooling=("attention", "attention"), encoder=("none", "gru"), dropout=0.2),
    "mean": dict(pooling=("mean", "mean"), encoder=("none", "gru"), dropout=0.2),
    "bag": {},
}
SCENE_RATE, SCENE_STEPS = {"han": 1e-2, "mean": 1e-2, "bag": 3e-2}, {"han": 300, "mean": 300, "bag": 300}


def scenes(seed: int, *, model: str, kind: str) -> Experiment:
    """Comedy, history or tragedy? The seed is also the fold."""
    seed_everything(seed)
    train_, valid, test = scene_splits(seed, kind)
    words = scene_vocabulary(train_)
    net = classifier(model, SCENES[model], len(words), len(GENRES))
    splits = {name: partial(score_scenes, words, part, name == "test")
              for name, part in (("valid", valid), ("test", test))}  # fmt: skip
    training = {"seed": seed, "steps": SCENE_STEPS[model], "lr": SCENE_RATE[model], "warmup": 10}
    return Experiment(net, batches_of(train_, words, 16, seed), training, splits, classes)


def score_scenes(words, documents, erase: bool, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Accuracy; the accuracy of always saying the most frequent class; of HAN, what its heaviest sentence matters."""
    documents = documents[:limit]
    counts = [sum(d.label == k for d in documents) for k in range(len(GENRES))]
    scores = {"accuracy": right(model, documents, words), "most_frequent": max(counts) / len(documents),
              "n": len(documents)}  # fmt: skip
    if erase and isinstance(model, HierarchicalAttention):
        scores |= erased(model, documents, words)
    return scores


# ---- many labels, most of them rare ----------------------------------------------------------------------------------

LABEL_STEPS, ATTRIBUTE_STEPS = 400, 600


def labels(seed: int, *, shared: bool) -> Experiment:
    """Which attributes has the sentence? Every label with a query of its own, or one query for all (the control)."""
    seed_everything(seed)
    words = attribute_vocabulary()
    documents, gold = several_labels("train")
    net = LabelAttention(len(words), len(ATTRIBUTES), shared=shared)
    batches = DocumentBatches([d.sentences for d in documents], gold, words, 32, seed)
    training = {"seed": seed, "steps": LABEL_STEPS, "lr": 1e-2, "warmup": 20}
    splits = {name: partial(score_labels, words, name) for name in ("valid", "test")}
    return Experiment(net, batches, training, splits, partial(train, objective=label_loss))


@torch.no_grad()
def score_labels(words, split: str, model: LabelAttention, limit: int | None) -> dict[str, float]:
    """Exactly right sentences, and for each attribute that holds: F1, the weight on its evidence, and that weight with
    the words next to it, whose vectors have seen it."""
    documents, gold = several_labels(split)
    documents, gold = documents[:limit], gold[:limit]
    batches = DocumentBatches([d.sentences for d in documents], gold, words, len(documents))
    batch = next(batches.once())
    logits, weights = model.eval().read(batch.documents)
    said, true = logits > 0, gold > 0.5
    scores = {"exact": float((said == true).all(1).double().mean()), "n": len(documents)}
    for k, name in enumerate(ATTRIBUTES):
        found, both = int(said[:, k].sum() + true[:, k].sum()), int((said[:, k] & true[:, k]).sum())
        scores[f"f1_{name}"] = 2 * both / max(found, 1)
        for what, reach in (("weight", 0), ("near", 1)):
            on = [_on(weights[i, k, 0], evidence(d.sentences[0], name), reach)
                  for i, d in enumerate(documents) if true[i, k]]  # fmt: skip
            scores[f"{what}_{name}"] = sum(on) / max(len(on), 1)
    return scores


def _on(weights: Tensor, places: tuple[int, ...], reach: int) -> float:
    """The weight (T,) -> () of these places and of those at most `reach` away."""
    near = {k + step for k in places for step in range(-reach, reach + 1)}
    return float(sum(weights[k] for k in near if 0 <= k < len(weights)))


def rare(seed: int, *, alpha: float) -> Experiment:
    """One class per combination of attributes, most of them rare; alpha 0: attributes are not taught (the control)."""
    seed_everything(seed)
    words, table = attribute_vocabulary(), combinations()
    net = AttributeAttention(len(words), len(table), table.shape[1])
    training = {"seed": seed, "steps": ATTRIBUTE_STEPS, "lr": 1e-2, "warmup": 20}
    splits = {name: partial(score_rare, words, name) for name in ("valid", "test")}
    fit = partial(train, objective=partial(attribute_loss, table=table, alpha=alpha))
    return Experiment(net, batches_of(combination_documents("train"), words, 32, seed), training, splits, fit)


def score_rare(words, split: str, model: AttributeAttention, limit: int | None) -> dict[str, float]:
    """Mean accuracy over classes, of all and of the rare ones: of the label layer, and of the class whose attributes
    come nearest to what the queries say (`by_table`)."""
    documents = combination_documents(split)[:limit]
    batch = next(batches_of(documents, words, len(documents)).once())
    with torch.no_grad():
        logits, attributes, _ = model.eval().read(batch.documents)
    table = combinations().to(attributes.dtype)
    by_table = (attributes @ (2 * table - 1).T).argmax(-1)                   # largest likelihood, up to a constant
    scores: dict[str, float] = {"n": len(documents)}
    for name, said in (("", logits.argmax(-1)), ("_by_table", by_table)):
        found = _by_class(said, batch.labels)
        some = [found[k] for k in rare_classes() if k in found]
        scores[f"accuracy{name}"] = sum(found.values()) / len(found)
        scores[f"rare{name}"] = sum(some) / max(len(some), 1)
    return scores


def _by_class(said: Tensor, gold: Tensor) -> dict[int, float]:
    return {int(k): float((said[gold == k] == k).double().mean()) for k in gold.unique()}


RECIPES = [
    *[Recipe("11", name, "queen", partial(queen, model=name), corpus=evidence_hash) for name in EVIDENCE],
    *[Recipe("11", name, f"rate={lr:g}", partial(queen, model=name, lr=lr), (3, 4), evidence_hash)
      for name in EVIDENCE if name != "bag" for lr in GRID],
    *[Recipe("11", name, kind, partial(scenes, model=name, kind=kind), corpus=scenes_hash)
      for kind in ("plays", "scenes") for name in SCENES],
    *[Recipe("11", name, "labels", partial(labels, shared=shared), corpus=attributes_hash)
      for name, shared in (("own-query", False), ("one-query", True))],
    *[Recipe("11", name, "rare", partial(rare, alpha=alpha), corpus=attributes_hash)
      for name, alpha in (("attributes", 1.0), ("labels-only", 0.0))],
]  # fmt: skip
