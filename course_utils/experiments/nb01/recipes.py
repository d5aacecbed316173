"""The runs of notebook 01: next-word models, word2vec on our corpus and on real English, pretrained vectors."""

from collections import Counter
from functools import partial

from torch import nn

from course_utils.corpora import pretrained
from course_utils.corpora.mini import load_split, load_test_buckets
from course_utils.corpora.vectors import WordVectors, analogy_accuracy, label_agreement, similarity_correlation
from course_utils.corpora.wikipedia import (
    analogy_questions,
    wikipedia_hash,
    wikipedia_sentences,
    word_similarities,
)
from course_utils.experiments.experiment import Experiment, Recipe
from course_utils.experiments.nb01.next_word import (
    NextWordBatches,
    NextWordModel,
    next_word_loss,
    next_word_pairs,
    next_word_scores,
)
from course_utils.models.embeddings import word_vectors
from course_utils.models.word2vec import build_word2vec, fit_word2vec, updates
from course_utils.seeds import seed_everything
from course_utils.text.vocabulary import Vocabulary
from course_utils.training import History, train

# ---- the next word, on the course's corpus ---------------------------------------------------------------------------


def next_word(seed: int, *, context: int, combine: str, steps: int = 1000, lr: float = 5e-3) -> Experiment:
    """Train on the English side of "train"; score on "valid" and on all test buckets together."""
    seed_everything(seed)
    sentences = [pair.source for pair in load_split("train")]
    words = Vocabulary.build(sentences)
    model = NextWordModel(len(words), d_embedding=32, context=context, d_hidden=64, combine=combine)
    batches = NextWordBatches(*next_word_pairs(sentences, words, context), batch_size=256, seed=seed)
    test = [pair for pairs in load_test_buckets().values() for pair in pairs]
    scorers = {
        name: partial(score_next_word, words, context, [pair.source for pair in pairs])
        for name, pairs in {"valid": load_split("valid"), "test": test}.items()
    }
    fit = partial(train, objective=next_word_loss)
    return Experiment(model, batches, dict(seed=seed, steps=steps, lr=lr), scorers, fit)


def score_next_word(words, context, sentences, model: nn.Module, limit: int | None) -> dict[str, float]:
    return next_word_scores(model, *next_word_pairs(sentences[:limit], words, context))


# ---- word2vec --------------------------------------------------------------------------------------------------------


def course_word2vec(seed: int, *, kind: str, epochs: int = 4) -> Experiment:
    """On the English side of "train"; scored by the part of speech of a word's five nearest neighbours."""
    pairs = load_split("train")
    words, counts, model, batches = build_word2vec(
        [pair.source for pair in pairs], kind=kind, d=32, window=2, min_count=1, batch_size=256, noise=64, seed=seed
    )
    training = dict(seed=seed, steps=updates(batches, epochs), lr=2e-2)
    scorers = {"part-of-speech": partial(score_tags, words, counts, majority_tags(pairs))}
    return Experiment(model, batches, training, scorers, fit_word2vec)


def majority_tags(pairs) -> dict[str, str]:
    """Word -> the part of speech that it has most often."""
    seen: dict[str, Counter] = {}
    for pair in pairs:
        for word, tag in zip(pair.source, pair.source_tags, strict=True):
            seen.setdefault(word, Counter())[tag] += 1
    return {word: min(tags, key=lambda tag: (-tags[tag], tag)) for word, tags in seen.items()}


def score_tags(words, counts, labels, model: nn.Module, limit: int | None) -> dict[str, float]:
    vectors = word_vectors(words, counts, model)
    agreement, chance = label_agreement(vectors, labels, k=5)
    outputs, _ = label_agreement(vectors.outputs(), labels, k=5)
    return {"agreement": agreement, "chance": chance, "agreement_outputs": outputs, "words": len(vectors)}


def wikipedia_word2vec(seed: int, *, kind: str, epochs: int = 6) -> Experiment:
    """On real English with the settings that `train_word2vec` has by default; scored by people's similarity judgements
    and by analogies."""
    words, counts, model, batches = build_word2vec(wikipedia_sentences(), kind=kind, seed=seed)
    training = dict(seed=seed, steps=updates(batches, epochs), lr=2e-2)
    build = partial(word_vectors, words, counts)
    scorers = {"wordsim353": partial(score_similarity, build), "analogies": partial(score_analogies, build)}
    return Experiment(model, batches, training, scorers, fit_word2vec)


def score_similarity(build, model: nn.Module, limit: int | None) -> dict[str, float]:
    vectors, pairs = build(model), word_similarities()
    rho, covered, total = similarity_correlation(vectors, pairs)
    scores = {"rho": rho, "covered": covered, "total": total}
    if vectors.output_vectors is not None:
        scores["rho_outputs"] = similarity_correlation(vectors.outputs(), pairs).rho
    return scores


def score_analogies(build, model: nn.Module, limit: int | None) -> dict[str, float]:
    """Over all categories: the share of right answers, and the same when the query words may be the answer."""
    vectors, questions = build(model), analogy_questions()
    counted = {"right": analogy_accuracy(vectors, questions, limit)}
    counted["right_query_allowed"] = analogy_accuracy(vectors, questions, limit, exclude_query=False)
    covered = sum(a.covered for a in counted["right"].values())
    shares = {name: sum(a.right for a in found.values()) / covered for name, found in counted.items()}
    return shares | {"covered": covered, "total": sum(a.total for a in counted["right"].values())}


# ---- vectors that nobody trains here: the optional package -----------------------------------------------------------


class NoBatches:
    """Stands in for the batches of a model that is measured as it comes."""

    def state_dict(self) -> dict:
        return {"data": pretrained.SHA256["model.safetensors"][:12], "batch_size": 0}


def as_it_comes(model: nn.Module, batches: NoBatches, *, steps: int, **training) -> History:
    """No training: a history of zeros, as long as the scoreboard asks for."""
    return History(loss=[0.0] * steps, lr=[0.0] * steps, grad_norm=[0.0] * steps)


def measured_pretrained(seed: int) -> Experiment:
    """Nothing is trained: its row says 1 step, 0 seconds, loss 0. One split a category of analogy questions. Needs the
    optional package (`python3 start.py --pretrained`)."""
    vectors = pretrained.pretrained_vectors()
    model = nn.Embedding.from_pretrained(vectors.vectors)
    build = partial(as_vectors, vectors.words)
    scorers = {"wordsim353": partial(score_similarity, build), "analogies": partial(score_analogies, build)}
    scorers |= {name: partial(score_category, build, name) for name in analogy_questions()}
    return Experiment(model, NoBatches(), {"steps": 1}, scorers, as_it_comes)


def as_vectors(words, model: nn.Embedding) -> WordVectors:
    return WordVectors(words, model.weight.detach())


def score_category(build, category: str, model: nn.Module, limit: int | None) -> dict[str, float]:
    vectors, asked = build(model), {category: analogy_questions()[category]}
    found = analogy_accuracy(vectors, asked, limit)[category]
    allowed = analogy_accuracy(vectors, asked, limit, exclude_query=False)[category]
    return {
        "right": found.share, "right_query_allowed": allowed.share, "covered": found.covered, "total": found.total
    }  # fmt: skip


def pretrained_hash() -> str:
    return pretrained.SHA256["model.safetensors"][:12]


# ---- the table -------------------------------------------------------------------------------------------------------

NEXT_WORD = {
    "context-1": dict(context=1, combine="concatenate"),
    "context-3-concatenate": dict(context=3, combine="concatenate"),
    "context-3-sum": dict(context=3, combine="sum"),
}

RECIPES = [
    *(Recipe("01", name, "next-word", partial(next_word, **options)) for name, options in NEXT_WORD.items()),
    *(Recipe("01", kind, "course", partial(course_word2vec, kind=kind)) for kind in ("skip-gram", "cbow")),
    *(
        Recipe("01", kind, "wikipedia", partial(wikipedia_word2vec, kind=kind), corpus=wikipedia_hash)
        for kind in ("skip-gram", "cbow")
    ),
    Recipe("01", "minilm", "pretrained", measured_pretrained, seeds=(0,), corpus=pretrained_hash),
]
