"""Sequence to sequence through one vector: C = F(x_1 ... x_m), y_i = G(C, y_<i). Notebook 06.

F is the encoder, C its final state; G is the decoder with its softmax. Two places for C:

    "initial_state"   Sutskever, Vinyals, Le 2014: the decoder starts from the encoder's final state and never sees it
                      again. They reversed the source (`reverse_source=True`), and used four layers of LSTM.
    "every_step"      Cho et al. 2014: s_0 = tanh(V C); C also enters the recurrent cell at every step, and the maxout
                      readout: t' = O_s s_i + O_y E y_{i-1} + O_c C. Differences from the paper: C is the final state
                      itself, not tanh of a matrix times it; torch's GRU resets after the recurrent product.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.layers.readout import MaxoutReadout
from course_utils.layers.recurrent import Recurrent, RecurrentState, reverse_by_length
from course_utils.seq2seq.contract import Seq2Seq, embedding

CONTEXTS = ("initial_state", "every_step")


class FixedMemory(NamedTuple):
    """All that is left of the source."""

    context: Tensor                                                       # (B, H), C: final state of the top layer
    initial: RecurrentState                                               # the decoder's first state


class FixedContextSeq2Seq(Seq2Seq):
    """Recurrent encoder and decoder joined by a fixed context C. There is no attention: it is None wherever asked for.

    Dropout acts on embeddings, between layers and before the output layer.
    """

    def __init__(
        self, source_size: int, target_size: int, *, d_embedding: int, d_hidden: int, cell: str = "gru",
        context: str = "initial_state", reverse_source: bool = False, n_layers: int = 1, dropout: float = 0.0,
    ) -> None:
        super().__init__(
            source_size=source_size, target_size=target_size, d_embedding=d_embedding, d_hidden=d_hidden, cell=cell,
            context=context, reverse_source=reverse_source, n_layers=n_layers, dropout=dropout,
        )
        if context not in CONTEXTS:
            raise ValueError(f"unknown context {context!r}: one of {', '.join(map(repr, CONTEXTS))}")
        self.reverse_source, self.every_step = reverse_source, context == "every_step"
        self.source_embedding = embedding(source_size, d_embedding)
        self.target_embedding = embedding(target_size, d_embedding)
        self.encoder = Recurrent(cell, d_embedding, d_hidden, n_layers, dropout=dropout)
        d_input = d_embedding + (d_hidden if self.every_step else 0)
        self.decoder = Recurrent(cell, d_input, d_hidden, n_layers, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        if self.every_step:
            self.bridge = xavier(nn.Linear(d_hidden, (2 if cell == "lstm" else 1) * n_layers * d_hidden))
            self.readout = MaxoutReadout(d_hidden, d_embedding, d_hidden, max(1, d_hidden // 2), target_size, dropout)
        else:
            self.output = xavier(nn.Linear(d_hidden, target_size))

    def encode(self, source: Tensor) -> FixedMemory:
        """(B, S) -> C, and the decoder's first state made from it."""
        lengths = self.check_source(source).sum(1)                        # (B,)
        if self.reverse_source:
            source = reverse_by_length(source, lengths)
        _, final = self.encoder(self.dropout(self.source_embedding(source)), lengths=lengths)
        context = final.hidden[:, -1]                                     # (B, H)
        return FixedMemory(context, self._bridged(context) if self.every_step else final)

    def start(self, memory: FixedMemory) -> RecurrentState:
        return memory.initial

    def step(
        self, token: Tensor, state: RecurrentState, memory: FixedMemory
    ) -> tuple[Tensor, RecurrentState, None]:
        self.check_token(token)
        logits, state = self._decode(token.unsqueeze(1), state, memory)
        return logits.squeeze(1), state, None                             # (B, V)

    def forward(
        self, source: Tensor, target_in: Tensor, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, None]:
        memory = self.encode(source)
        self.check_target(source, target_in)
        logits, _ = self._decode(target_in, self.start(memory), memory)
        return (logits, None) if need_weights else logits

    def _decode(
        self, tokens: Tensor, state: RecurrentState, memory: FixedMemory
    ) -> tuple[Tensor, RecurrentState]:
        """(B, T) tokens -> logits (B, T, V), in one call of the kernel."""
        embedded = self.dropout(self.target_embedding(tokens))            # (B, T, E)
        if not self.every_step:
            states, state = self.decoder(embedded, state)                 # (B, T, H)
            return self.output(self.dropout(states)), state
        context = memory.context.unsqueeze(1).expand(-1, tokens.shape[1], -1)           # (B, T, H)
        states, state = self.decoder(torch.cat([embedded, context], -1), state)         # (B, T, H)
        return self.readout(states, embedded, context), state

    def _bridged(self, context: Tensor) -> RecurrentState:
        """s_0 = tanh(V C) for every layer, and for an LSTM's cells too: (B, H) -> (B, L, H)."""
        parts = torch.tanh(self.bridge(context)).view(len(context), -1, self.decoder.rnn.num_layers, context.shape[1])
        return RecurrentState(*parts.unbind(1))
