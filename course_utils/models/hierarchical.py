"""Documents of sentences of words, and what classifies them: hierarchical attention networks. Notebook 11.

A document is ids (S, T): one row per sentence, PAD behind its words and rows of PAD behind its sentences. Yang et al.
2016 (NAACL), eq. 1-11, read it on two levels that are built alike:

    words        h_it = BiGRU(x_it)      s_i = Σ_t a_it h_it       a_i = softmax_t(u_it · u_w),  u = tanh(W h + b)
    sentences    h_i  = BiGRU(s_i)       v   = Σ_i a_i h_i         a   = softmax_i(u_i · u_s)
    class        p = softmax(W_c v + b_c)

Masks are not mentioned there. Here pads of both kinds have no influence: they are taken out before they are read.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.attention.pooling import make_pooling
from course_utils.attention.scores import xavier
from course_utils.checks import check_widths
from course_utils.layers.recurrent import Recurrent
from course_utils.text.masks import padding_mask
from course_utils.text.vocabulary import PAD, Vocabulary

# ---- models ----------------------------------------------------------------------------------------------------------


class Level(nn.Module):
    """One level of the hierarchy: a BiGRU reads a row of vectors, a pooling makes one of them.

    encoder    "gru", or "none": the vectors are pooled as they are
    pooling    a name of POOLINGS
    """

    def __init__(
        self, d_input: int, d_hidden: int, d_attention: int, pooling: str = "attention", encoder: str = "gru"
    ) -> None:
        super().__init__()
        if encoder not in ("gru", "none"):
            raise ValueError(f"unknown encoder {encoder!r}: one of 'gru', 'none'")
        self.encoder = Recurrent("gru", d_input, d_hidden, bidirectional=True) if encoder == "gru" else None
        self.width = 2 * d_hidden if encoder == "gru" else d_input
        self.pool = make_pooling(pooling, self.width, d_attention)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, T, d_input), mask (N, T) -> (N, width), weights (N, T). Pads may stand anywhere; they are skipped."""
        x, front = pads_behind(x, mask)
        if self.encoder is not None and len(x):                                     # torch packs no empty batch
            x, _ = self.encoder(x, lengths=front.sum(1).clamp(min=1))               # (N, T, width); nor an empty row
        elif not len(x):
            x = x.new_zeros(*front.shape, self.width)
        pooled, found = self.pool(x, front)
        weights = found.new_zeros(found.shape)
        weights[mask] = found[front]
        return pooled, weights


def pads_behind(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, T, D) with what is real moved to the front of its row and zeros behind it, and the mask of that."""
    front = torch.arange(mask.shape[1], device=mask.device) < mask.sum(1, keepdim=True)    # (N, T)
    moved = x.new_zeros(x.shape)
    moved[front] = x[mask]                                                   # both go row by row, in order
    return moved, front


class HierarchicalAttention(nn.Module):
    """HAN: words -> sentence vectors -> document vector -> class.

    pooling, encoder    of (words, sentences); "mean" for both is HAN's control without attention
    """

    def __init__(
        self, n_words: int, n_classes: int, d_embedding: int = 32, d_hidden: int = 32, d_attention: int = 32,
        pooling: tuple[str, str] = ("attention", "attention"), encoder: tuple[str, str] = ("gru", "gru"),
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        check_widths(n_words=n_words, n_classes=n_classes, d_embedding=d_embedding, d_hidden=d_hidden,
                     d_attention=d_attention)  # fmt: skip
        self.hparams = dict(n_words=n_words, n_classes=n_classes, d_embedding=d_embedding, d_hidden=d_hidden,
                            d_attention=d_attention, pooling="+".join(pooling), encoder="+".join(encoder),
                            dropout=dropout)  # fmt: skip
        self.embedding = nn.Embedding(n_words, d_embedding, padding_idx=PAD)
        self.words = Level(d_embedding, d_hidden, d_attention, pooling[0], encoder[0])
        self.sentences = Level(self.words.width, d_hidden, d_attention, pooling[1], encoder[1])
        self.dropout = nn.Dropout(dropout)
        self.output = xavier(nn.Linear(self.sentences.width, n_classes))

    def forward(self, documents: Tensor) -> Tensor:
        """documents (B, S, T) long -> logits (B, n_classes)."""
        return self.read(documents)[0]

    def read(self, documents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """documents (B, S, T) -> logits (B, C), word weights (B, S, T), sentence weights (B, S).

        The words' weights sum to 1 in every sentence, the sentences' in every document. An empty sentence is skipped.
        """
        real = checked_documents(documents)                                         # (B, S, T)
        there = real.any(-1)                                                        # (B, S)
        x = self.dropout(self.embedding(documents[there]))                          # (n, T, d): all sentences at once
        vectors, of_words = self.words(x, real[there])                              # (n, D), (n, T)
        rows = vectors.new_zeros(*there.shape, self.words.width)
        rows[there] = vectors                                                       # (B, S, D)
        document, of_sentences = self.sentences(self.dropout(rows), there)          # (B, D'), (B, S)
        word_weights = of_words.new_zeros(real.shape)
        word_weights[there] = of_words
        return self.output(self.dropout(document)), word_weights, of_sentences

    @torch.no_grad()
    def maps(self, documents: Tensor) -> tuple[Tensor, Tensor]:
        """Where it looks: weights of the words in their sentences (B, S, T), of the sentences (B, S)."""
        return self.read(documents)[1:]


class FlatAttention(nn.Module):
    """The control without a hierarchy: the document is one row of words, read by one BiGRU and pooled once."""

    def __init__(
        self, n_words: int, n_classes: int, d_embedding: int = 32, d_hidden: int = 32, d_attention: int = 32,
        pooling: str = "attention", encoder: str = "gru", dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        check_widths(n_words=n_words, n_classes=n_classes, d_embedding=d_embedding, d_hidden=d_hidden,
                     d_attention=d_attention)  # fmt: skip
        self.hparams = dict(n_words=n_words, n_classes=n_classes, d_embedding=d_embedding, d_hidden=d_hidden,
                            d_attention=d_attention, pooling=pooling, encoder=encoder, dropout=dropout)  # fmt: skip
        self.embedding = nn.Embedding(n_words, d_embedding, padding_idx=PAD)
        self.words = Level(d_embedding, d_hidden, d_attention, pooling, encoder)
        self.dropout = nn.Dropout(dropout)
        self.output = xavier(nn.Linear(self.words.width, n_classes))

    def forward(self, documents: Tensor) -> Tensor:
        """documents (B, S, T) long -> logits (B, n_classes). Where a sentence ends is not seen."""
        return self.read(documents)[0]

    def read(self, documents: Tensor) -> tuple[Tensor, Tensor]:
        """documents (B, S, T) -> logits (B, C), word weights (B, S, T), which sum to 1 in every document."""
        real = checked_documents(documents).flatten(1)                              # (B, S T)
        longest = max(1, int(real.sum(1).max()))
        words, front = pads_behind(documents.flatten(1).unsqueeze(-1), real)
        words, front = words[:, :longest, 0], front[:, :longest]
        document, found = self.words(self.dropout(self.embedding(words)), front)    # (B, D), (B, longest)
        weights = found.new_zeros(real.shape)
        weights[real] = found[front]
        return self.output(self.dropout(document)), weights.view(documents.shape)


def checked_documents(documents: Tensor) -> Tensor:
    """The mask (B, S, T) of a batch of documents, or a ValueError."""
    if documents.dim() != 3 or documents.is_floating_point():
        kind = f"{documents.dtype} {tuple(documents.shape)}"
        raise ValueError(f"documents must be ids of shape (B, sentences, words), not {kind}.")
    return padding_mask(documents)


# ---- documents and their batches -------------------------------------------------------------------------------------


@dataclass
class DocumentBatch:
    """Documents side by side: PAD behind a sentence's words, rows of PAD behind a document's sentences."""

    documents: Tensor                                                     # (B, S, T) long
    labels: Tensor                                                        # (B,) long, or (B, L) float: several at once
    index: list[int]

    @property
    def n_tokens(self) -> int:
        """Things to predict: one per document."""
        return len(self.labels)

    def to(self, device: torch.device | str) -> "DocumentBatch":
        return DocumentBatch(self.documents.to(device), self.labels.to(device), self.index)

    def __len__(self) -> int:
        return len(self.labels)


def pad_documents(documents: Sequence[Sequence[Sequence[int]]]) -> Tensor:
    """Documents as lists of sentences of ids -> (B, S, T)."""
    if not len(documents):
        raise ValueError("an empty batch: no document was given.")
    S = max([1, *map(len, documents)])
    T = max([1, *(len(sentence) for document in documents for sentence in document)])
    ids = torch.full((len(documents), S, T), PAD)
    for b, document in enumerate(documents):
        for s, sentence in enumerate(document):
            ids[b, s, : len(sentence)] = torch.tensor(sentence, dtype=torch.long)
    return ids


class DocumentBatches:
    """Batches of documents, each epoch in a new order that depends on `seed` alone; `once` keeps their order.

    documents    sequences of sentences, which are sequences of words
    labels       one whole number per document, or one row of 0 and 1 per document
    """

    def __init__(
        self, documents: Sequence, labels: Sequence, words: Vocabulary, batch_size: int = 32, seed: int = 0
    ) -> None:
        if len(documents) != len(labels):
            raise ValueError(f"{len(documents)} documents and {len(labels)} labels: one each is needed.")
        if not 1 <= batch_size <= len(documents):
            raise ValueError(f"batch_size={batch_size}: use 1 to {len(documents)}, the number of documents.")
        self.batch_size, self.seed, self.drawn = batch_size, seed, 0
        self._ids = [[words.encode(sentence) for sentence in document] for document in documents]
        self._labels = torch.as_tensor(labels)

    def forever(self) -> Iterator[DocumentBatch]:
        an_epoch = len(self._ids) // self.batch_size                      # what is left over waits for the next epoch
        while True:
            epoch, place = divmod(self.drawn, an_epoch)
            order = torch.randperm(len(self._ids), generator=self._rng(epoch)).tolist()
            self.drawn += 1
            yield self._take(order[place * self.batch_size : (place + 1) * self.batch_size])

    def once(self) -> Iterator[DocumentBatch]:
        for start in range(0, len(self._ids), self.batch_size):
            yield self._take(list(range(start, min(start + self.batch_size, len(self._ids)))))

    def _take(self, rows: list[int]) -> DocumentBatch:
        return DocumentBatch(pad_documents([self._ids[i] for i in rows]), self._labels[rows], rows)

    def _rng(self, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed((1_000_003 * self.seed + epoch) % 2**63)

    def state_dict(self) -> dict:
        data = hashlib.sha256(repr((self._ids, self._labels.tolist())).encode()).hexdigest()[:12]
        return {"data": f"{data} seed={self.seed}", "batch_size": self.batch_size, "drawn": self.drawn}

    def load_state_dict(self, state: dict) -> None:
        if {**state, "drawn": self.drawn} != self.state_dict():
            raise ValueError("the saved order is of other documents, another seed or batch size: build the same ones.")
        self.drawn = state["drawn"]


# ---- loss and scores -------------------------------------------------------------------------------------------------


def class_loss(model: nn.Module, batch: DocumentBatch) -> Tensor:
    """Mean cross-entropy of the classes: an `objective` of training.train."""
    return F.cross_entropy(model(batch.documents), batch.labels)


@torch.no_grad()
def classify(model: nn.Module, batches: DocumentBatches) -> tuple[Tensor, Tensor]:
    """Logits (N, C) and labels (N,) of all documents, in their order. The model is left in evaluation mode."""
    model.eval()
    found = [(model(batch.documents), batch.labels) for batch in batches.once()]
    return torch.cat([logits for logits, _ in found]), torch.cat([labels for _, labels in found])


def accuracy(model: nn.Module, batches: DocumentBatches) -> float:
    """Share of documents whose most probable class is right."""
    logits, labels = classify(model, batches)
    return float((logits.argmax(-1) == labels).double().mean())
