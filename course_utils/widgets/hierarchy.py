"""The widget of notebook 11: a document with both levels of weights coloured, from which a sentence can be taken."""

from collections.abc import Sequence

import ipywidgets as w
import torch
from matplotlib.figure import Figure

from course_utils.corpora.document import Document
from course_utils.models.hierarchical import HierarchicalAttention, pad_documents
from course_utils.plots.hierarchy import Reading, document_map
from course_utils.text.vocabulary import Vocabulary
from course_utils.widgets.explorer import Explorer

COLOURS = {"a word's weight in its sentence": "words", "times the weight of the sentence": "both"}


@torch.no_grad()
def read(model: HierarchicalAttention, document: Document, words: Vocabulary, without: int | None = None):
    """Where the model looks (a Reading; a sentence left out has weight 0) and its probabilities (C,)."""
    ids = [words.encode(sentence) for sentence in document.sentences]
    kept = [k for k in range(len(ids)) if k != without]
    logits, of_words, of_sentences = model.eval().read(pad_documents([[ids[k] for k in kept]]))
    rows, shares = [[0.0] * len(sentence) for sentence in ids], [0.0] * len(ids)
    for place, k in enumerate(kept):
        rows[k], shares[k] = of_words[0, place, : len(ids[k])].tolist(), float(of_sentences[0, place])
    return Reading(document.sentences, rows, shares, document.gold, without), logits[0].softmax(-1)


def document_reader(
    model: HierarchicalAttention, documents: Sequence[Document], words: Vocabulary, classes: Sequence[str], *,
    at: int = 0, by: str = "words", most: int = 10,
) -> Explorer:  # fmt: skip
    """Choose a document and what colours its words; leave a sentence out, and see what the model says then."""
    if not documents or any(not document.sentences for document in documents):
        raise ValueError("a reader needs documents, each with at least one sentence.")
    longest = max(len(document.sentences) for document in documents)

    def draw(document: int, by: str, without: int) -> tuple[Figure, str]:
        chosen = documents[document]
        left_out = without - 1 if 0 < without <= len(chosen.sentences) and len(chosen.sentences) > 1 else None
        reading, shares = read(model, chosen, words, left_out)
        title = f"{chosen.group.replace('-', ' ') or 'document'}: {classes[chosen.label]}"
        figure = document_map(reading, by=COLOURS[by], most=most, title=title)
        said = ", ".join(f"{name} {share:.2f}" for name, share in zip(classes, shares.tolist(), strict=True))
        what = "with all sentences" if left_out is None else f"without sentence {left_out + 1}"
        return figure, f"The model says, {what}: {said}."

    alt = (
        "A document as text. A green bar before every sentence shows its weight, the green behind every word the "
        "word's weight; what is known to decide is framed."
    )
    names = [(f"{k}: {classes[document.label]}", k - 1) for k, document in enumerate(documents, 1)]
    return Explorer(
        draw, alt=alt,
        document=w.Dropdown(options=names, value=at, description="document"),
        by=w.Dropdown(options=list(COLOURS), value=next(said for said, kind in COLOURS.items() if kind == by),
                      description="a word's colour"),
        without=w.IntSlider(0, min=0, max=longest, description="leave out sentence (0: none)"),
    )  # fmt: skip
