"""Many labels, each with a query of its own. Notebook 11.

Mullenbach et al. 2018 (CAML), eq. 1-4: a convolution reads the words, every label l looks for its own evidence, and a
weight vector of its own judges what it found: α_l = softmax(H u_l), v_l = Σ_n α_ln h_n, ŷ_l = σ(β_l · v_l + b_l).
Hu et al. 2018: labels that are rare share attributes with frequent ones, so a few attributes look (softmax over
tanh(W h) · u_i) and are learnt too: L = L_label + α Σ_i CE(attribute i), where it applies.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.pooling import MaxPooling, QueryAttention
from course_utils.attention.scores import xavier
from course_utils.checks import check_widths
from course_utils.layers.recurrent import Recurrent
from course_utils.models.hierarchical import DocumentBatch, checked_documents, pads_behind
from course_utils.text.vocabulary import PAD

NOT_APPLICABLE = -1  # in a table of attributes: whether the label has it cannot be said


class LabelAttention(nn.Module):
    """One query per label (`shared`: one for all, the control). Called on documents like HAN; sentence ends are not
    seen."""

    def __init__(
        self, n_words: int, n_labels: int, d_embedding: int = 32, d_hidden: int = 32, width: int = 3,
        shared: bool = False,
    ) -> None:
        super().__init__()
        check_widths(n_words=n_words, n_labels=n_labels, d_embedding=d_embedding, d_hidden=d_hidden)
        if width < 1 or width % 2 == 0:
            raise ValueError(f"width={width}: an odd number of words, so that there is one vector per word.")
        self.hparams = dict(n_words=n_words, n_labels=n_labels, d_embedding=d_embedding, d_hidden=d_hidden, width=width,
                            shared=shared)  # fmt: skip
        self.embedding = nn.Embedding(n_words, d_embedding, padding_idx=PAD)
        self.convolution = nn.Conv1d(d_embedding, d_hidden, width, padding=width // 2)
        nn.init.xavier_uniform_(self.convolution.weight)
        nn.init.zeros_(self.convolution.bias)
        self.look = QueryAttention(d_hidden, n_queries=1 if shared else n_labels)
        self.output = xavier(nn.Linear(d_hidden, n_labels))                        # row l is β_l

    def forward(self, documents: Tensor) -> Tensor:
        """documents (B, S, T) long -> logits (B, L), one decision per label."""
        return self.read(documents)[0]

    def read(self, documents: Tensor) -> tuple[Tensor, Tensor]:
        """documents (B, S, T) -> logits (B, L), weights (B, L, S, T): where each label looks."""
        x, front, real = one_row(self.embedding, documents)                         # (B, N, d), (B, N)
        h = torch.tanh(self.convolution(x.transpose(1, 2))).transpose(1, 2)         # (B, N, D)
        found, weights = self.look(h, front)                                        # (B, L or 1, D), (B, L or 1, N)
        logits = (found * self.output.weight).sum(-1) + self.output.bias            # (B, L)
        return logits, in_place(weights, front, real).expand(-1, logits.shape[1], -1, -1)


class AttributeAttention(nn.Module):
    """A label from the text's maxima and from what `n_attributes` queries find.

    `read` gives a logit for every attribute too: what `attribute_loss` trains with the table of labels.
    """

    def __init__(
        self, n_words: int, n_labels: int, n_attributes: int, d_embedding: int = 32, d_hidden: int = 32,
    ) -> None:
        super().__init__()
        check_widths(n_words=n_words, n_labels=n_labels, n_attributes=n_attributes, d_embedding=d_embedding)
        self.hparams = dict(n_words=n_words, n_labels=n_labels, n_attributes=n_attributes, d_embedding=d_embedding,
                            d_hidden=d_hidden)  # fmt: skip
        self.embedding = nn.Embedding(n_words, d_embedding, padding_idx=PAD)
        self.encoder = Recurrent("lstm", d_embedding, d_hidden)
        self.whole = MaxPooling()
        self.look = QueryAttention(d_hidden, d_hidden, n_queries=n_attributes)      # W shared, u_i its own
        self.attribute = xavier(nn.Linear(d_hidden, n_attributes))                  # row i is attribute i's
        self.output = xavier(nn.Linear(2 * d_hidden, n_labels))

    def forward(self, documents: Tensor) -> Tensor:
        """documents (B, S, T) long -> logits (B, n_labels)."""
        return self.read(documents)[0]

    def read(self, documents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """documents (B, S, T) -> logits (B, C), attribute logits (B, K), weights (B, K, S, T)."""
        x, front, real = one_row(self.embedding, documents)                         # (B, N, d), (B, N)
        h, _ = self.encoder(x, lengths=front.sum(1).clamp(min=1))                   # (B, N, D)
        found, weights = self.look(h, front)                                        # (B, K, D), (B, K, N)
        attributes = (found * self.attribute.weight).sum(-1) + self.attribute.bias  # (B, K)
        both = torch.cat([self.whole(h, front)[0], found.mean(1)], -1)              # (B, 2 D): e and r
        return self.output(both), attributes, in_place(weights, front, real)


def one_row(embedding: nn.Embedding, documents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """documents (B, S, T) as one row of words each: vectors (B, N, d), their mask, and the mask (B, S, T)."""
    real = checked_documents(documents)
    words, front = pads_behind(documents.flatten(1).unsqueeze(-1), real.flatten(1))
    longest = max(1, int(front.sum(1).max()))
    words, front = words[:, :longest, 0], front[:, :longest]
    return embedding(words) * front.unsqueeze(-1), front, real


def in_place(weights: Tensor, front: Tensor, real: Tensor) -> Tensor:
    """Weights (B, L, N) over such rows, back where the words stand: (B, L, S, T)."""
    back = weights.new_zeros(*real.shape, weights.shape[1])
    back[real] = weights.transpose(1, 2)[front]
    return back.permute(0, 3, 1, 2)


def label_loss(model: nn.Module, batch: DocumentBatch) -> Tensor:
    """Mean binary cross-entropy over documents and labels: batch.labels (B, L) of 0 and 1."""
    logits = model(batch.documents)
    return F.binary_cross_entropy_with_logits(logits, batch.labels.to(logits.dtype))


def attribute_loss(model: AttributeAttention, batch: DocumentBatch, table: Tensor, alpha: float = 1.0) -> Tensor:
    """Cross-entropy of the label plus α times that of the attributes, summed over those that apply to it.

    table (C, K): 1, 0 or NOT_APPLICABLE for each label and attribute.
    """
    logits, attributes, _ = model.read(batch.documents)
    loss = F.cross_entropy(logits, batch.labels)
    if alpha == 0:
        return loss
    gold = table[batch.labels]                                                       # (B, K)
    each = F.binary_cross_entropy_with_logits(attributes, gold.clamp(min=0).to(attributes.dtype), reduction="none")
    return loss + alpha * (each * (gold != NOT_APPLICABLE)).sum(1).mean()
