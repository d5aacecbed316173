"""A sentence's class from its k-grams: TextCNN. Notebook 12; Kim 2014.

Convolutions of a few widths over the word vectors, the maximum over time of each filter, one linear layer. Kim pads
short sentences; here a window never has a pad in it unless the sentence is shorter than the window.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.checks import check_widths
from course_utils.layers.convolution import KGramFilters
from course_utils.models.tagger import checked_mask
from course_utils.seq2seq.contract import embedding


class TextCNN(nn.Module):
    """One class for each sentence. Dropout acts on the vector of maxima."""

    def __init__(
        self, n_words: int, n_classes: int, d_embedding: int = 32, n_filters: int = 32,
        widths: Sequence[int] = (3, 4, 5), dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_widths(n_words=n_words, n_classes=n_classes)
        self.hparams = dict(n_words=n_words, n_classes=n_classes, d_embedding=d_embedding, n_filters=n_filters,
                            widths=tuple(widths), dropout=dropout)  # fmt: skip
        self.embedding = embedding(n_words, d_embedding)
        self.filters = KGramFilters(d_embedding, n_filters, widths)
        self.dropout = nn.Dropout(dropout)
        self.output = xavier(nn.Linear(n_filters * len(widths), n_classes))

    def forward(self, source: Tensor) -> Tensor:
        """source (B, T) long, pads at the end -> logits (B, n_classes)."""
        mask = checked_mask(source)
        return self.output(self.dropout(self.filters(self.embedding(source), mask)))
