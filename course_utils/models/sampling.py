"""Text from a language model: draw the next symbol, let the model read it, draw again.

Taught in notebook 04; notebook 10 goes on with seq2seq/sampling.py, for any model, in batches, with top-k and top-p.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from course_utils.layers.recurrent import RecurrentState
from course_utils.models.language_model import CharLanguageModel
from course_utils.seq2seq.decoding import evaluating
from course_utils.seq2seq.sampling import temperature_probabilities
from course_utils.text.vocabulary import SPECIALS


def next_logits(model: CharLanguageModel, prompt: Sequence[int]) -> tuple[Tensor, RecurrentState]:
    """(logits (V,) of what follows `prompt`, the state after it); specials (PAD, BEGIN, END, UNK) are ruled out."""
    if not len(prompt):
        raise ValueError("an empty prompt: give the model at least one symbol to begin with, for instance a new line.")
    with evaluating(model):
        logits, state = model(torch.as_tensor(prompt, dtype=torch.long)[None])
    return _without_specials(logits[0, -1]), state


def sample(
    model: CharLanguageModel, prompt: Sequence[int], n: int, temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> list[int]:  # fmt: skip
    """`n` further ids, each drawn from softmax(logits / temperature) and read by the model before the next.

    `generator` makes the draws repeatable: the symbol is where a uniform number falls in the cumulated probabilities.
    """
    if n < 0:
        raise ValueError(f"n={n}: draw 0 symbols or more.")
    logits, state = next_logits(model, prompt)
    drawn: list[int] = []
    with evaluating(model):
        read = _reader(model, state)
        for u in torch.rand(n, generator=generator, dtype=torch.float64).tolist():
            cumulated = temperature_probabilities(logits.double(), temperature).cumsum(0)  # (V,)
            drawn.append(int(torch.searchsorted(cumulated, u * cumulated[-1])))
            logits = _without_specials(read(drawn[-1]))
    return drawn


STEPS = {nn.LSTM: torch.lstm_cell, nn.GRU: torch.gru_cell, nn.RNN: torch.rnn_tanh_cell}


def _reader(model: CharLanguageModel, state: RecurrentState) -> Callable[[int], Tensor]:
    """A function from the next id to the logits (V,) after it, which goes on from `state`: the model's own layers,
    without what they do for whole sequences (a third of the time for single symbols)."""
    rnn = model.recurrent.rnn
    step, layers = STEPS[type(rnn)], rnn.all_weights
    states = [h if state.cell is None else (h, c)
              for h, c in zip(state.hidden.unbind(1), (state.hidden if state.cell is None else state.cell).unbind(1),
                              strict=True)]  # fmt: skip

    def read(symbol: int) -> Tensor:
        x = model.embedding.weight[symbol : symbol + 1]                   # (1, d_embedding)
        for k, weights in enumerate(layers):
            states[k] = step(x, states[k], *weights)
            x = states[k] if state.cell is None else states[k][0]         # (1, d_hidden)
        return model.output(x)[0]

    return read


def _without_specials(logits: Tensor) -> Tensor:
    logits = logits.clone()
    logits[: len(SPECIALS)] = -math.inf
    return logits
