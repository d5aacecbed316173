"""Heads one by one: find them in a Transformer, switch some off, measure what each is worth. Notebook 14.

    output = Σ_h ξ_h head_h W_O^h,  ξ_h = 0 switches head h off         Michel, Levy, Neubig 2019, section 2.3

W_O^h are the columns of W_O that belong to head h, so a head is switched off by zeroing them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.layers.multihead import MultiHeadAttention
from course_utils.text.batches import Batch
from course_utils.text.vocabulary import PAD

KINDS = ("encoder", "decoder", "cross")


class Head(NamedTuple):
    """A place among the heads of a Transformer."""

    kind: str                                                             # one of KINDS; "decoder": its self-attention
    layer: int
    head: int

    def __str__(self) -> str:
        return f"{self.kind} {self.layer + 1}.{self.head + 1}"


def attentions(model: nn.Module) -> dict[tuple[str, int], MultiHeadAttention]:
    """(kind, layer) -> the layer, in reading order: encoder, decoder's own, cross."""
    found = {("encoder", i): block.attention for i, block in enumerate(model.encoder)}
    found |= {("decoder", i): block.self_attention for i, block in enumerate(model.decoder)}
    return found | {("cross", i): block.cross_attention for i, block in enumerate(model.decoder)}


def all_heads(model: nn.Module) -> list[Head]:
    return [Head(kind, i, h) for (kind, i), layer in attentions(model).items() for h in range(layer.n_heads)]


@contextmanager
def heads_off(layer: MultiHeadAttention, heads: Iterable[int]) -> Iterator[None]:
    """Inside, the given heads of `layer` add nothing: their columns of W_O are zero. Afterwards all is as before."""
    heads = sorted(set(heads))
    if any(not 0 <= h < layer.n_heads for h in heads):
        raise ValueError(f"heads {heads}: this layer has heads 0 to {layer.n_heads - 1}")
    weight = layer.out_proj.weight
    before = weight.detach().clone()
    try:
        with torch.no_grad():
            weight.unflatten(1, (layer.n_heads, layer.d_head))[:, heads] = 0.0                  # (D, H, d)
        yield
    finally:
        with torch.no_grad():
            weight.copy_(before)


@contextmanager
def without(model: nn.Module, heads: Iterable[Head]) -> Iterator[None]:
    """Inside, these heads of a Transformer are switched off."""
    layers, chosen = attentions(model), defaultdict(list)
    for kind, i, h in heads:
        if (kind, i) not in layers:
            raise ValueError(f"no {kind!r} attention in layer {i}: kinds are {', '.join(KINDS)}, layers begin with 0")
        chosen[kind, i].append(h)
    with ExitStack() as stack:
        for place, some in chosen.items():
            stack.enter_context(heads_off(layers[place], some))
        yield


@torch.no_grad()
def forced_loss(model: nn.Module, batches: Sequence[Batch]) -> float:
    """Mean -log p of the right next word, in nats a token, over all batches (teacher forcing)."""
    total, count = 0.0, 0
    for batch in batches:
        logits = model(batch.source, batch.target_in)                     # (B, T, V)
        total += F.cross_entropy(
            logits.flatten(0, 1), batch.target_out.flatten(), ignore_index=PAD, reduction="sum"
        ).item()
        count += batch.n_tokens
    return total / count


def loss_without_each(model: nn.Module, batches: Sequence[Batch]) -> dict[Head, float]:
    """The loss with this one head off, for every head."""
    return {head: _loss_without(model, batches, [head]) for head in all_heads(model)}


def loss_with_only(model: nn.Module, batches: Sequence[Batch]) -> dict[Head, float]:
    """The loss with this head left alone in its layer, all others of that one layer off (Michel 2019, section 3.3)."""
    found = {}
    for head in all_heads(model):
        others = [h for h in all_heads(model) if h[:2] == head[:2] and h != head]
        found[head] = _loss_without(model, batches, others)
    return found


def _loss_without(model: nn.Module, batches: Sequence[Batch], heads: Sequence[Head]) -> float:
    with without(model, heads):
        return forced_loss(model, batches)


def fold_projection(outer: Tensor, inner: Tensor) -> Tensor:
    """Two projections, one after the other, as one: outer (d, D), inner (D, D) -> (d, D).

    Lectures draw a head's query as q^{i,1} = W^{q,1} (W^q a^i); matrix products may be bracketed anew, so this is
    (W^{q,1} W^q) a^i.
    """
    if outer.ndim != 2 or inner.ndim != 2 or outer.shape[1] != inner.shape[0]:
        raise ValueError(f"outer {tuple(outer.shape)} and inner {tuple(inner.shape)}: the inner widths must agree")
    return outer @ inner
