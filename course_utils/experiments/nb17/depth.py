"""How much gradient every block of an untrained Transformer gets. Notebook 17; Xiong et al. 2020, section 3.3.

Their theorem 1, for the second matrix of the feed-forward in the last block, at initialisation: of order
d √(ln d) with post-norm, whatever the depth, and d √(ln d) / √L with pre-norm. What the other blocks get, they measure.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from course_utils.seq2seq.transformer import Transformer
from course_utils.text.batches import Batch
from course_utils.text.vocabulary import PAD

STACKS = ("encoder", "decoder")


def gradient_by_block(model: Transformer, batches: Iterable[Batch]) -> dict[str, Tensor]:
    """Norm of the gradient that the feed-forward's second matrix gets in every block, of the cross-entropy with the
    right words given: {"encoder": (L,), "decoder": (L,)}, mean over the batches. The model is left without gradients.
    """
    totals, n = {name: torch.zeros(len(getattr(model, name)), dtype=torch.float64) for name in STACKS}, 0
    for batch in batches:
        model.zero_grad(set_to_none=True)
        logits = model(batch.source, batch.target_in)  # (B, T, V)
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.target_out.flatten(), ignore_index=PAD).backward()
        for name in STACKS:
            norms = [block.feed_forward.outer.weight.grad.norm().double() for block in getattr(model, name)]
            totals[name] += torch.stack(norms)
        n += 1
    model.zero_grad(set_to_none=True)
    if not n:
        raise ValueError("no batch to take a gradient of.")
    return {name: total / n for name, total in totals.items()}


def at_initialisation(
    batches: Iterable[Batch], sizes: tuple[int, int], *, norm: str, n_layers: int, d_model: int = 32, seed: int = 0
) -> dict[str, Tensor]:
    """`gradient_by_block` of a new Transformer in float64, drawn with `seed`; no other random number is disturbed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Transformer(*sizes, d_model=d_model, n_heads=4, n_layers=n_layers, norm=norm, d_ff=2 * d_model)
    return gradient_by_block(model.double(), batches)
