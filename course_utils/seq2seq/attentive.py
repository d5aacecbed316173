"""The now usual attentive decoder: look back with the current state, then speak. Notebook 07.

    h_i = RNN(h_{i-1}, E y_{i-1})      C_i = attention(query h_i, keys and values the annotations)
    output = W_o tanh(W [h_i; C_i])                                       Luong, Pham, Manning 2015, eq. 5-6

The states do not depend on the contexts, so the whole target runs through the kernel once and all its queries attend
in one call: this trains several times faster than Bahdanau's decoder. From Luong's paper it differs in a bidirectional
encoder of half the width each way (so that queries and keys are equally wide), and in its input feeding being a choice:

    h_i = RNN(h_{i-1}, [E y_{i-1}; h~_{i-1}]),  h~_i = tanh(W [h_i; C_i]),  h~_0 = 0                 section 3.3

With it a state depends on the contexts before it, so the target is read word by word, in training too. Notebook 08.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from course_utils.attention.scores import xavier
from course_utils.attention.socket import Plug
from course_utils.attention.table import make, plug_name
from course_utils.layers.recurrent import Recurrent, RecurrentState
from course_utils.seq2seq.contract import Seq2Seq, embedding


class AttentiveMemory(NamedTuple):
    annotations: Tensor                                                   # (B, S, H), 0 on pads
    mask: Tensor                                                          # (B, S) bool, True = a real token
    initial: RecurrentState                                               # the decoder's first state


class AttentiveState(NamedTuple):
    recurrent: RecurrentState
    attention: Any                                                        # whatever the plug carries from step to step
    position: Tensor                                                      # (B,) long, words read so far; all rows alike
    fed: Tensor | None = None                                             # (B, H), h~ of the last word; input feeding


class AttentiveSeq2Seq(Seq2Seq):
    """Bidirectional encoder, one-layer decoder, any plug of the attention socket between them.

    `attention`: a plug, a name in PLUGS, or None for the general score. Queries and keys are `d_hidden` wide.
    The decoder starts from the encoder's two final states side by side. Dropout acts on embeddings and on the
    attentional vector tanh(W [h; C]) on its way to the output; what `input_feeding` hands on is not dropped.
    """

    def __init__(
        self, source_size: int, target_size: int, *, d_embedding: int, d_hidden: int, cell: str = "gru",
        attention: Plug | str | None = None, dropout: float = 0.0, input_feeding: bool = False,
    ) -> None:
        attention = "general" if attention is None else attention
        super().__init__(
            source_size=source_size, target_size=target_size, d_embedding=d_embedding, d_hidden=d_hidden, cell=cell,
            attention=plug_name(attention), dropout=dropout, input_feeding=input_feeding,
        )
        if d_hidden % 2:
            raise ValueError(f"d_hidden={d_hidden} is odd, each encoder direction takes half: use {d_hidden + 1}")
        self.source_embedding = embedding(source_size, d_embedding)
        self.target_embedding = embedding(target_size, d_embedding)
        self.encoder = Recurrent(cell, d_embedding, d_hidden // 2, bidirectional=True)
        self.input_feeding = input_feeding
        self.decoder = Recurrent(cell, d_embedding + d_hidden * input_feeding, d_hidden)
        self.attention = make(attention, d_hidden)
        self.combine = xavier(nn.Linear(2 * d_hidden, d_hidden))
        self.output = xavier(nn.Linear(d_hidden, target_size))
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor) -> AttentiveMemory:
        mask = self.check_source(source)
        annotations, final = self.encoder(self.dropout(self.source_embedding(source)), lengths=mask.sum(1))
        return AttentiveMemory(annotations, mask, final)                  # (B, S, H)

    def start(self, memory: AttentiveMemory) -> AttentiveState:
        fed = torch.zeros_like(memory.initial.hidden[:, -1]) if self.input_feeding else None          # (B, H)
        return AttentiveState(memory.initial, None, memory.mask.new_zeros(len(memory.mask), dtype=torch.long), fed)

    def step(
        self, token: Tensor, state: AttentiveState, memory: AttentiveMemory
    ) -> tuple[Tensor, AttentiveState, Tensor | None]:
        self.check_token(token)
        logits, weights, state = self._decode(token.unsqueeze(1), state, memory, need_weights=True)
        return logits.squeeze(1), state, None if weights is None else weights.squeeze(1)

    def forward(
        self, source: Tensor, target_in: Tensor, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor | None]:
        memory = self.encode(source)
        self.check_target(source, target_in)
        decode = self._word_by_word if self.input_feeding else self._decode
        logits, weights, _ = decode(target_in, self.start(memory), memory, need_weights)
        return (logits, weights) if need_weights else logits

    def _word_by_word(
        self, tokens: Tensor, state: AttentiveState, memory: AttentiveMemory, need_weights: bool
    ) -> tuple[Tensor, Tensor | None, AttentiveState]:
        """As `_decode`, one word after the other: each waits for the context of the one before."""
        logits, maps = [], []
        for token in tokens.split(1, dim=1):                              # (B, 1)
            word_logits, weights, state = self._decode(token, state, memory, need_weights)
            logits.append(word_logits)
            maps.append(weights)
        return torch.cat(logits, 1), None if maps[0] is None else torch.cat(maps, 1), state

    def _decode(
        self, tokens: Tensor, state: AttentiveState, memory: AttentiveMemory, need_weights: bool
    ) -> tuple[Tensor, Tensor | None, AttentiveState]:
        """(B, T) tokens, read after those that led to `state` -> logits (B, T, V), weights (B, T, S), state."""
        inputs = self.dropout(self.target_embedding(tokens))              # (B, T, E)
        if self.input_feeding:                                            # T is 1 then
            inputs = torch.cat([inputs, state.fed.unsqueeze(1)], -1)      # (B, 1, E + H)
        states, recurrent = self.decoder(inputs, state.recurrent)         # (B, T, H)
        context, weights, carried = self.attention(
            states, memory.annotations, memory.annotations, key_mask=memory.mask,
            positions=positions(state.position, tokens.shape[1], memory.mask.shape[1]),
            need_weights=need_weights, state=state.attention,
        )                                                                 # (B, T, H), (B, T, S)
        attentional = torch.tanh(self.combine(torch.cat([states, context], -1)))        # (B, T, H)
        logits = self.output(self.dropout(attentional))                   # (B, T, V)
        fed = attentional[:, -1] if self.input_feeding else None
        return logits, weights, AttentiveState(recurrent, carried, state.position + tokens.shape[1], fed)


def positions(position: Tensor, n_queries: int, n_keys: int) -> tuple[Tensor, Tensor]:
    """Where the next `n_queries` target words and all source words stand, for plugs whose scores use it."""
    queries = position[0] + torch.arange(n_queries, device=position.device)
    return queries, torch.arange(n_keys, device=position.device)
