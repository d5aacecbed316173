"""Bahdanau's decoder with two of its wires as switches. Notebook 07, "One word ahead"; rows in recipes.py.

Two things set Bahdanau's step apart from Luong's: the state that asks has not read the previous word yet, and the
context goes into the cell. `RewiredSeq2Seq` turns each of them on and off and leaves all else alone:

    asks_after_reading  context_in_cell    q_i asks                 s_i is kept
    no                  yes                s_{i-1}                  GRU(s_{i-1}, [y_{i-1}; C_i])     Bahdanau 2015
    no                  no                 s_{i-1}                  GRU(s_{i-1}, y_{i-1})
    yes                 yes                GRU(s_{i-1}, y_{i-1})    GRU'(q_i, C_i)       conditional GRU, Sennrich 2017
    yes                 no                 GRU(s_{i-1}, y_{i-1})    q_i                              Luong's order

Always C_i = attention(q_i, encoder states) and logits = readout(q_i, y_{i-1}, C_i). (The conditional GRU of Nematus
gives the readout s_i; here it gets q_i, so that nothing but the two wires differs.)
"""

import torch
from torch import Tensor, nn

from course_utils.layers.recurrent import initialise_recurrent
from course_utils.seq2seq.attentive import positions
from course_utils.seq2seq.bahdanau import BahdanauMemory, BahdanauSeq2Seq, BahdanauState


class RewiredSeq2Seq(BahdanauSeq2Seq):
    """`widths` as for BahdanauSeq2Seq; with the two switches as in the paper it computes the same."""

    def __init__(
        self, source_size: int, target_size: int, *, asks_after_reading: bool, context_in_cell: bool, **widths: int
    ) -> None:
        super().__init__(source_size, target_size, **widths)
        self.hparams |= {"asks_after_reading": asks_after_reading, "context_in_cell": context_in_cell}
        self.asks_after_reading, self.context_in_cell = asks_after_reading, context_in_cell
        E, H = widths["d_embedding"], widths["d_hidden"]
        self.reader = _gru(E, H) if asks_after_reading else None
        inputs = E * (not asks_after_reading) + 2 * H * context_in_cell
        self.cell = _gru(inputs, H) if inputs else None

    def start(self, memory: BahdanauMemory) -> BahdanauState:
        backward = memory.annotations[:, 0, self.bridge.in_features :]    # (B, H), h←_1
        zero = memory.mask.new_zeros(len(memory.mask), dtype=torch.long)
        return BahdanauState(torch.tanh(self.bridge(backward)), None, zero)

    def step(
        self, token: Tensor, state: BahdanauState, memory: BahdanauMemory
    ) -> tuple[Tensor, BahdanauState, Tensor | None]:
        self.check_token(token)
        word = self.dropout(self.target_embedding(token))                 # (B, E)
        query, context, weights, after = self._one_step(word, state, memory)
        return self.readout(query, word, context), after, weights

    def forward(
        self, source: Tensor, target_in: Tensor, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        memory = self.encode(source)
        self.check_target(source, target_in)
        state, made = self.start(memory), []
        embedded = self.dropout(self.target_embedding(target_in))         # (B, T, E)
        for word in embedded.unbind(1):
            *three, state = self._one_step(word, state, memory)
            made.append(three)
        queries, contexts, weights = (torch.stack(part, 1) for part in zip(*made, strict=True))
        logits = self.readout(queries, embedded, contexts)                # (B, T, V)
        return (logits, weights) if need_weights else logits              # (B, T, S)

    def _one_step(
        self, word: Tensor, state: BahdanauState, memory: BahdanauMemory
    ) -> tuple[Tensor, Tensor, Tensor, BahdanauState]:
        """Word y_{i-1} (B, E) -> query (B, H), context (B, 2H), weights (B, S), the state after it."""
        query = self.reader(word, state.hidden) if self.asks_after_reading else state.hidden
        context, weights, carried = self.attention(
            query.unsqueeze(1), memory.annotations, memory.annotations, key_mask=memory.mask, need_weights=True,
            positions=positions(state.position, 1, memory.mask.shape[1]), state=state.attention,
        )                                                                 # (B, 1, 2H), (B, 1, S)
        context, weights = context.squeeze(1), weights.squeeze(1)
        inputs = [] if self.asks_after_reading else [word]
        inputs += [context] if self.context_in_cell else []
        hidden = self.cell(torch.cat(inputs, -1), query) if inputs else query
        return query, context, weights, BahdanauState(hidden, carried, state.position + 1)


def _gru(n_inputs: int, n_units: int) -> nn.GRUCell:
    cell = nn.GRUCell(n_inputs, n_units)
    initialise_recurrent(cell)
    return cell
