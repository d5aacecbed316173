"""Where a hierarchical model looks, and what happens when a sentence is taken away. Notebook 11."""

from collections.abc import Sequence

import torch

from course_utils.corpora.document import Document
from course_utils.models.hierarchical import HierarchicalAttention, pad_documents
from course_utils.text.vocabulary import Vocabulary


def encoded(documents: Sequence[Document], words: Vocabulary) -> list[list[list[int]]]:
    return [[words.encode(sentence) for sentence in document.sentences] for document in documents]


@torch.no_grad()
def mean_weights(
    model: HierarchicalAttention, documents: Sequence[Document], words: Vocabulary
) -> dict[str, float]:
    """Means over documents with known evidence: the weight of the sentence that decides, how often it is the heaviest,
    and in it the weights of the person and of the thing, beside an equal share."""
    model.eval()
    found = []
    for start in range(0, len(documents), 200):
        some = documents[start : start + 200]
        of_words, of_sentences = model.maps(pad_documents(encoded(some, words)))
        for k, document in enumerate(some):
            s, (person, thing) = document.gold
            row = of_words[k, s]
            found.append([of_sentences[k, s], of_sentences[k].argmax() == s, row[person], row[thing],
                          1 / len(document.sentences[s])])  # fmt: skip
    names = ("sentence", "sentence_first", "person", "thing", "equal_share")
    return dict(zip(names, torch.tensor(found).double().mean(0).tolist(), strict=True))


@torch.no_grad()
def without_each(model: torch.nn.Module, sentences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (C,) of the whole document, and (S, C) of the document without each of its sentences."""
    model.eval()
    rest = [[s for j, s in enumerate(sentences) if j != k] for k in range(len(sentences))]
    found = model(pad_documents([sentences, *rest])).softmax(-1)
    return found[0], found[1:]


@torch.no_grad()
def erased(model: HierarchicalAttention, documents: Sequence[Document], words: Vocabulary) -> dict[str, float]:
    """Does the prediction change without the heaviest sentence, without the lightest, without any one of them? Shares
    of documents of two sentences or more; `rank_agrees`: the heaviest sentence is also the one whose absence lowers
    the predicted class most."""
    model.eval()
    found = []
    for ids in encoded(documents, words):
        if len(ids) < 2:
            continue
        before, after = without_each(model, ids)
        weights = model.maps(pad_documents([ids]))[1][0]
        said = before.argmax()
        changes = after.argmax(-1) != said
        drop = before[said] - after[:, said]
        found.append([changes[weights.argmax()], changes[weights.argmin()], changes.double().mean(),
                      drop.argmax() == weights.argmax(), weights.max()])  # fmt: skip
    names = ("flips_heaviest", "flips_lightest", "flips_any", "rank_agrees", "largest_weight")
    return dict(zip(names, torch.tensor(found).double().mean(0).tolist(), strict=True))
