"""Recurrent layers on padded batches: torch's RNN, GRU and LSTM, packed, with batch-first states. Notebooks 02-07.

Packing matters: without it the "final" state of a short sentence has also run over its pads, and a backward layer
starts on them. torch's GRU applies the reset gate after the recurrent product (Cho et al. 2014 before it), and its LSTM
has two bias vectors.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from course_utils.checks import check_widths

CELLS: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentState(NamedTuple):
    """States of all layers, batch first; of a bidirectional layer [forward; backward], D = 2 d_hidden."""

    hidden: Tensor                                                        # (B, L, D)
    cell: Tensor | None = None                                            # (B, L, D), LSTM only


class Recurrent(nn.Module):
    """n layers of tanh RNN, GRU or LSTM over (B, T, d_input); see `initialise_recurrent` for the first weights."""

    def __init__(
        self, cell: str, d_input: int, d_hidden: int, n_layers: int = 1, bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_widths(d_input=d_input, d_hidden=d_hidden, n_layers=n_layers)
        if cell not in CELLS:
            raise ValueError(f"unknown cell {cell!r}: one of {', '.join(map(repr, CELLS))}")
        between = dropout if n_layers > 1 else 0.0                        # torch drops between layers only
        self.rnn = CELLS[cell](
            d_input, d_hidden, n_layers, batch_first=True, bidirectional=bidirectional, dropout=between
        )
        initialise_recurrent(self.rnn)

    def forward(
        self, inputs: Tensor, state: RecurrentState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """(B, T, d_input) -> outputs of the top layer (B, T, D), final state.

        With `lengths` (B,) the sequences are packed: outputs at pads are 0 and "final" means at the last real token.
        """
        initial = None if state is None else self._for_torch(state)
        if lengths is None:
            outputs, final = self.rnn(inputs, initial)                    # (B, T, D)
        else:
            packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
            packed, final = self.rnn(packed, initial)
            outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
        return outputs, self._from_torch(final)

    def _for_torch(self, state: RecurrentState) -> Tensor | tuple[Tensor, Tensor]:
        """(B, L, D) -> torch's (L, B, D). For decoders, which are unidirectional."""
        hidden = state.hidden.transpose(0, 1).contiguous()
        return hidden if state.cell is None else (hidden, state.cell.transpose(0, 1).contiguous())

    def _from_torch(self, final: Tensor | tuple[Tensor, Tensor]) -> RecurrentState:
        """torch's (L · directions, B, d_hidden) -> (B, L, D)."""
        parts = final if isinstance(final, tuple) else (final,)
        directions = 2 if self.rnn.bidirectional else 1
        return RecurrentState(*(p.unflatten(0, (-1, directions)).permute(2, 0, 1, 3).flatten(2) for p in parts))


def initialise_recurrent(rnn: nn.RNNBase | nn.RNNCellBase) -> None:
    """Input weights Xavier uniform and recurrent weights orthogonal, gate by gate; biases 0, an LSTM's forget gate 1.

    The forget bias is set in one of torch's two bias vectors only: they are added.
    """
    for name, parameter in rnn.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
            if isinstance(rnn, nn.LSTM) and name.startswith("bias_ih"):
                parameter.data[rnn.hidden_size : 2 * rnn.hidden_size] = 1.0    # torch's order: i, f, g, o
            continue
        for gate in parameter.data.split(rnn.hidden_size):
            (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)


def reverse_by_length(ids: Tensor, lengths: Tensor) -> Tensor:
    """Each row's first `length` entries in reverse, its pads where they were: (B, S), (B,) -> (B, S)."""
    places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)      # (B, S)
    return ids.gather(1, (lengths.unsqueeze(1) - 1 - places) % ids.shape[1])   # past the end: pads
