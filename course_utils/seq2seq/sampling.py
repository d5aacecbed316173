"""From a trained model to one of its sentences: drawn, not searched. Notebook 10.

Temperature, then top-k (Fan et al. 2018), then top-p (Holtzman et al. 2020, "nucleus"), each on what the one before has
left: the usual order. `sample` draws from every model that keeps the sequence-to-sequence contract; a language model
does through `models.continuation`.
"""

import torch
from torch import Tensor

from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.decoding import Decoded, write


def temperature_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """softmax(logits / temperature) over the last dimension. Below 1 the likely becomes likelier, above 1 all come
    closer; towards 0 only the largest is left, towards infinity all are alike."""
    if not temperature > 0:
        raise ValueError(
            f"temperature={temperature:g}: it must be above 0; for always the likeliest symbol take a small one, 0.01."
        )
    return torch.softmax((logits - logits.amax(-1, keepdim=True)) / temperature, dim=-1)


def keep_top_k(probabilities: Tensor, k: int) -> Tensor:
    """The k largest of (..., V), renormalised, all others 0. Of equal ones at the edge the first are kept, so that k
    are left and no more; a probability of 0 is never kept."""
    if k < 1:
        raise ValueError(f"top_k={k}: at least one word must stay.")
    return _keep_first(probabilities, lambda ordered: torch.arange(ordered.shape[-1], device=ordered.device) < k)


def keep_top_p(probabilities: Tensor, p: float) -> Tensor:
    """The fewest words of (..., V), largest first, that together have `p` or more; renormalised, all others 0. The word
    that crosses p is kept: the first one always is."""
    if not 0 < p <= 1:
        raise ValueError(f"top_p={p:g}: a share between 0 (not included) and 1 (keep all).")
    if p == 1:
        return probabilities
    return _keep_first(probabilities, lambda ordered: ordered.cumsum(-1) - ordered < p)  # what stands before it


def _keep_first(probabilities: Tensor, kept) -> Tensor:
    """`kept` is asked with the probabilities in falling order; its answer goes back to where they stood."""
    ordered, places = probabilities.sort(dim=-1, descending=True, stable=True)
    ordered = ordered.masked_fill(~kept(ordered), 0.0)
    ordered = ordered / ordered.sum(-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(-1, places, ordered)


def next_probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """What the next word is drawn from: logits (..., V), -inf for words ruled out -> probabilities (..., V), double."""
    if bool(logits.isnan().any()) or bool((logits.amax(-1) == -torch.inf).any()):
        raise ValueError("logits with nan, or with nothing but -inf: there is no word to draw; what made them?")
    probabilities = temperature_probabilities(logits.double(), temperature)
    if top_k is not None:
        probabilities = keep_top_k(probabilities, top_k)
    return probabilities if top_p is None else keep_top_p(probabilities, top_p)


def draw(probabilities: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One word per row, (B, V) -> (B,): where a uniform number falls in the cumulated probabilities."""
    uniform = torch.rand(len(probabilities), 1, generator=generator, dtype=torch.float64).to(probabilities.device)
    cumulated = probabilities.double().cumsum(-1)  # (B, V)
    return (cumulated <= uniform * cumulated[:, -1:]).sum(-1)  # uniform < 1: never behind the last word that can come


def sample(
    model: Seq2Seq, source: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
    max_length: int | None = None, generator: torch.Generator | None = None,
) -> Decoded:  # fmt: skip
    """Draw one sentence for every row of source (B, S) long, PAD-padded; repeat a row to draw more.

    `log_prob` is the model's own, before temperature and cuts. `max_length` caps the tokens, END included; default
    `length_cap(source)`. PAD and BEGIN are never drawn. With the same `generator` the same sentences come again.
    """
    def choose(log_probs: Tensor) -> Tensor:
        return draw(next_probabilities(log_probs, temperature, top_k, top_p), generator)

    return write(model, source, choose, max_length)
