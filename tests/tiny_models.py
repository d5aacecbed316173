"""Two small models that keep the sequence-to-sequence contract, for tests of what stands above the models."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.corpora.pair import Pair
from course_utils.text.batches import Batches
from course_utils.text.vocabulary import END, PAD, Vocabulary


class TinyMemory(NamedTuple):
    annotations: Tensor  # (B, S, D)
    mask: Tensor  # (B, S)


class TinyState(NamedTuple):
    hidden: Tensor  # (B, D)


class TinyAttention(nn.Module):
    """Embeddings with positions as annotations, dot attention, a GRU cell: trains in a second."""

    def __init__(self, source_size: int, target_size: int, d: int = 24, dropout: float = 0.0, seed: int = 0):
        super().__init__()
        self.hparams = dict(source_size=source_size, target_size=target_size, d=d, dropout=dropout)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.source_embedding = nn.Embedding(source_size, d, padding_idx=PAD)
            self.position = nn.Embedding(40, d)
            self.target_embedding = nn.Embedding(target_size, d, padding_idx=PAD)
            self.cell = nn.GRUCell(d, d)
            self.output = nn.Linear(2 * d, target_size)
        self.dropout = nn.Dropout(dropout)

    def encode(self, source):
        return TinyMemory(self.source_embedding(source) + self.position.weight[: source.shape[1]], source != PAD)

    def start(self, memory):
        return TinyState(torch.zeros_like(memory.annotations[:, 0]))

    def step(self, token, state, memory):
        hidden = self.cell(self.dropout(self.target_embedding(token)), state.hidden)
        scores = torch.einsum("bd,bsd->bs", hidden, memory.annotations).masked_fill(~memory.mask, -torch.inf)
        weights = scores.softmax(-1)  # (B, S)
        context = torch.einsum("bs,bsd->bd", weights, memory.annotations)
        return self.output(torch.cat([hidden, context], -1)), TinyState(hidden), weights

    def forward(self, source, target_in, need_weights=False):
        memory = self.encode(source)
        state, logits, weights = self.start(memory), [], []
        for t in range(target_in.shape[1]):
            step_logits, state, step_weights = self.step(target_in[:, t], state, memory)
            logits.append(step_logits)
            weights.append(step_weights)
        logits = torch.stack(logits, 1)
        return (logits, torch.stack(weights, 1)) if need_weights else logits


class TableState(NamedTuple):
    position: Tensor  # (B,)


class Table(nn.Module):
    """Says a fixed answer, whatever it reads: `answers[first source id]` is a list of target ids, one a step (the last
    is repeated). Step t attends to source position t, or to the last. Each said id has logit `sure`, all others 0."""

    def __init__(self, target_size: int, answers: dict[int, list[int]], sure: float = 10.0):
        super().__init__()
        self.target_size, self.answers, self.sure = target_size, answers, nn.Parameter(torch.tensor(sure))
        self.hparams = dict(target_size=target_size)

    def encode(self, source):
        return TinyMemory(source[:, :, None], source != PAD)

    def start(self, memory):
        return TableState(torch.zeros(len(memory.mask), dtype=torch.long))

    def step(self, token, state, memory):
        said, where = [], []
        for source, position in zip(memory.annotations[:, :, 0].tolist(), state.position.tolist(), strict=True):
            answer = self.answers[source[0]]
            said.append(answer[min(position, len(answer) - 1)])
            where.append(min(position, sum(i != PAD for i in source) - 1))
        logits = self.sure * F.one_hot(torch.tensor(said), self.target_size)
        return logits, TableState(state.position + 1), F.one_hot(torch.tensor(where), memory.mask.shape[1]).float()

    forward = TinyAttention.forward


def copy_pairs(n: int = 120, words: int = 6, longest: int = 5, seed: int = 0) -> list[Pair]:
    """Sentences of random words to be copied, each word into its capital."""
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for _ in range(n):
        length = int(torch.randint(1, longest + 1, (1,), generator=generator))
        ids = torch.randint(words, (length,), generator=generator).tolist()
        diagonal = frozenset((i, i) for i in range(length))
        pairs.append(
            Pair(tuple("abcdefgh"[i] for i in ids), tuple("ABCDEFGH"[i] for i in ids), sure=diagonal, possible=diagonal)
        )
    return pairs


def copy_task(n: int = 120, batch_size: int = 16, seed: int = 0, **model_options):
    """(model, batches, pairs, source_vocab, target_vocab) of the copying task, untrained."""
    pairs = copy_pairs(n)
    source_vocab, target_vocab = Vocabulary.build(p.source for p in pairs), Vocabulary.build(p.target for p in pairs)
    model = TinyAttention(len(source_vocab), len(target_vocab), **model_options)
    return model, Batches(pairs, source_vocab, target_vocab, batch_size, seed), pairs, source_vocab, target_vocab


__all__ = ["END", "Table", "TinyAttention", "copy_pairs", "copy_task"]
