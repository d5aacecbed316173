"""Bahdanau, Cho, Bengio 2015: the first attentive translator, step by step as in the paper. Notebook 07.

    h_j = [h→_j; h←_j]                                   annotations, section 3.2
    s_0 = tanh(W_s h←_1)                                 appendix A.2.2
    α_ij = v · tanh(W s_{i-1} + U h_j)                   the query is the *previous* state, A.1.2
    C_i = Σ_j softmax(α_i)_j h_j                         eq. 5-6
    s_i = GRU(s_{i-1}, [E y_{i-1}; C_i])                 the context goes into the cell
    logits = W_o maxout(U_o s_{i-1} + V_o E y_{i-1} + C_o C_i)            A.2.2

Differences: torch's GRU applies the reset gate after the recurrent product, and swaps the names z and 1 - z; layers
have biases, which the paper omits; first weights are those of the rest of the course, not N(0, 0.01²).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.attention.socket import Plug
from course_utils.attention.table import make, plug_name
from course_utils.layers.readout import MaxoutReadout
from course_utils.layers.recurrent import Recurrent, initialise_recurrent
from course_utils.seq2seq.attentive import positions
from course_utils.seq2seq.contract import Seq2Seq, embedding


class BahdanauMemory(NamedTuple):
    annotations: Tensor                                                   # (B, S, 2H), 0 on pads
    mask: Tensor                                                          # (B, S) bool, True = a real token


class BahdanauState(NamedTuple):
    hidden: Tensor                                                        # (B, H), s_{i-1}
    attention: Any                                                        # the plug's: projected annotations
    position: Tensor                                                      # (B,) long, words read so far; all rows alike


class BahdanauSeq2Seq(Seq2Seq):
    """RNNsearch. `d_hidden` units in each direction of the encoder and in the decoder, `d_attention` in the score's
    hidden layer, `d_readout` maxout units. `attention`: a plug, a name in PLUGS, or None for the additive score; keys
    are 2 d_hidden wide, queries d_hidden. Dropout acts on embeddings and after maxout."""

    def __init__(
        self, source_size: int, target_size: int, *, d_embedding: int, d_hidden: int, d_attention: int, d_readout: int,
        attention: Plug | str | None = None, dropout: float = 0.0,
    ) -> None:
        attention = "additive" if attention is None else attention
        super().__init__(
            source_size=source_size, target_size=target_size, d_embedding=d_embedding, d_hidden=d_hidden,
            d_attention=d_attention, d_readout=d_readout, attention=plug_name(attention), dropout=dropout,
        )
        self.source_embedding = embedding(source_size, d_embedding)
        self.target_embedding = embedding(target_size, d_embedding)
        self.encoder = Recurrent("gru", d_embedding, d_hidden, bidirectional=True)
        self.bridge = xavier(nn.Linear(d_hidden, d_hidden))
        self.attention = make(attention, d_hidden, d_key=2 * d_hidden, d_attention=d_attention)
        self.cell = nn.GRUCell(d_embedding + 2 * d_hidden, d_hidden)
        initialise_recurrent(self.cell)
        self.readout = MaxoutReadout(d_hidden, d_embedding, 2 * d_hidden, d_readout, target_size, dropout)
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor) -> BahdanauMemory:
        mask = self.check_source(source)
        annotations, _ = self.encoder(self.dropout(self.source_embedding(source)), lengths=mask.sum(1))
        return BahdanauMemory(annotations, mask)                          # (B, S, 2H)

    def start(self, memory: BahdanauMemory) -> BahdanauState:
        backward = memory.annotations[:, 0, self.cell.hidden_size :]      # (B, H), h←_1
        zero = memory.mask.new_zeros(len(memory.mask), dtype=torch.long)
        return BahdanauState(torch.tanh(self.bridge(backward)), None, zero)

    def step(
        self, token: Tensor, state: BahdanauState, memory: BahdanauMemory
    ) -> tuple[Tensor, BahdanauState, Tensor | None]:
        self.check_token(token)
        embedded = self.dropout(self.target_embedding(token))             # (B, E)
        context, weights, after = self._look_and_move(embedded, state, memory, need_weights=True)
        return self.readout(state.hidden, embedded, context), after, weights

    def forward(
        self, source: Tensor, target_in: Tensor, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor | None]:
        memory = self.encode(source)
        self.check_target(source, target_in)
        state = self.start(memory)
        embedded = self.dropout(self.target_embedding(target_in))         # (B, T, E)
        states, contexts, maps = [], [], []
        for word in embedded.unbind(1):                                   # (B, E)
            states.append(state.hidden)
            context, weights, state = self._look_and_move(word, state, memory, need_weights)
            contexts.append(context)
            maps.append(weights)
        logits = self.readout(torch.stack(states, 1), embedded, torch.stack(contexts, 1))      # (B, T, V)
        if not need_weights:
            return logits
        return logits, None if maps[0] is None else torch.stack(maps, 1)  # (B, T, S)

    def _look_and_move(
        self, embedded: Tensor, state: BahdanauState, memory: BahdanauMemory, need_weights: bool
    ) -> tuple[Tensor, Tensor | None, BahdanauState]:
        """One word read: context C_i (B, 2H), weights (B, S), the state after it."""
        context, weights, carried = self.attention(
            state.hidden.unsqueeze(1), memory.annotations, memory.annotations, key_mask=memory.mask,
            positions=positions(state.position, 1, memory.mask.shape[1]),
            need_weights=need_weights, state=state.attention,
        )                                                                 # (B, 1, 2H), (B, 1, S)
        context, weights = context.squeeze(1), None if weights is None else weights.squeeze(1)
        hidden = self.cell(torch.cat([embedded, context], -1), state.hidden)            # (B, H)
        return context, weights, BahdanauState(hidden, carried, state.position + 1)
