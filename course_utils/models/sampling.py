"""Text from a language model: draw the next symbol, let the model read it, draw again.

Taught in notebook 04; notebook 10 goes on with seq2seq/sampling.py, for any model, in batches, with top-k and top-p.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
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
    temperature_probabilities(logits, temperature)  # refuses one that is not above 0
    scores, read = _numbers(logits), _reader(model, state)
    drawn: list[int] = []
    for u in torch.rand(n, generator=generator, dtype=torch.float64).tolist():
        cumulated = np.exp((scores - scores.max()) / temperature).cumsum()  # (V,), as `temperature_probabilities`
        drawn.append(int(cumulated.searchsorted(u * cumulated[-1])))
        scores = read(drawn[-1])
        scores[: len(SPECIALS)] = -np.inf
    return drawn


def _reader(model: CharLanguageModel, state: RecurrentState) -> Callable[[int], np.ndarray]:
    """A function from the next id to the scores (V,) after it, which goes on from `state`: the model's own formulas in
    NumPy, since for single symbols torch spends more time on calls than on numbers (three quarters)."""
    if not hasattr(model, "recurrent"):
        return _stepper(model, state)
    rnn = model.recurrent.rnn
    step, layers = STEPS[type(rnn)], [[_numbers(w) for w in weights] for weights in rnn.all_weights]
    states = [_numbers(h) for h in state.hidden[0]]                       # (H,) each
    cells = [_numbers(c) for c in (state.hidden if state.cell is None else state.cell)[0]]
    readout, bias = _numbers(model.output.weight), _numbers(model.output.bias)
    embedded = _numbers(model.embedding.weight) @ layers[0][0].T + layers[0][2]  # (V, gates x H): all symbols' inputs

    def read(symbol: int) -> np.ndarray:
        inputs = embedded[symbol]
        for k, (W, U, b, c) in enumerate(layers):
            inputs = inputs if k == 0 else W @ states[k - 1] + b
            states[k], cells[k] = step(inputs, U @ states[k] + c, states[k], cells[k])
        return readout @ states[-1] + bias

    return read


def _stepper(model: nn.Module, state) -> Callable[[int], np.ndarray]:
    """The same of any other language model, by its own call."""

    def read(symbol: int) -> np.ndarray:
        nonlocal state
        with evaluating(model):
            logits, state = model(torch.tensor([[symbol]], device=next(model.parameters()).device), state)
        return _numbers(logits[0, -1])

    return read


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)                                   # exp would overflow


def _lstm(x: np.ndarray, h: np.ndarray, _: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    i, f, g, o = (x + h).reshape(4, -1)
    cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(cell), cell


def _gru(x: np.ndarray, h: np.ndarray, before: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    (r, z, n), (hr, hz, hn) = x.reshape(3, -1), h.reshape(3, -1)
    z = _sigmoid(z + hz)
    return (1 - z) * np.tanh(n + _sigmoid(r + hr) * hn) + z * before, cell


def _elman(x: np.ndarray, h: np.ndarray, _: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.tanh(x + h), cell


STEPS = {nn.LSTM: _lstm, nn.GRU: _gru, nn.RNN: _elman}  # (inputs, U h + c, h, cell) -> (h, cell)


def _without_specials(logits: Tensor) -> Tensor:
    logits = logits.clone()
    logits[: len(SPECIALS)] = -math.inf
    return logits
