"""The control without order, sentences or attention: a bag of words. Notebook 11."""

import torch
from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.checks import check_widths
from course_utils.models.hierarchical import checked_documents
from course_utils.text.vocabulary import PAD


class BagOfWords(nn.Module):
    """Logistic regression on which words a document has, as log(1 + count), of length 1."""

    def __init__(self, n_words: int, n_classes: int) -> None:
        super().__init__()
        check_widths(n_words=n_words, n_classes=n_classes)
        self.hparams = dict(n_words=n_words, n_classes=n_classes)
        self.output = xavier(nn.Linear(n_words, n_classes))

    def forward(self, documents: Tensor) -> Tensor:
        """documents (B, S, T) long -> logits (B, n_classes)."""
        checked_documents(documents)
        counts = torch.zeros(len(documents), self.output.in_features)
        ids = documents.flatten(1)
        counts.scatter_add_(1, ids, (ids != PAD).to(counts.dtype))                  # (B, n_words)
        bag = torch.log1p(counts)
        return self.output(bag / bag.norm(dim=1, keepdim=True).clamp(min=1e-9))
