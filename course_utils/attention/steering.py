"""Looking into an attention plug, and moving its weights by hand. Notebook 07.

`RecordedAttention` is a plug around a plug that keeps what went through it. `uniform`, `permuted` and `forced` make
edits for `SteeredAttention`. `plugged` lends a model another plug for a while:

    with plugged(model, SteeredAttention(model.attention, uniform(batch.source_mask))):
        logits = model(batch.source, batch.target_in)

If shuffled weights served as well as the learnt ones, the map would tell nothing (Jain and Wallace 2019; Wiegreffe and
Pinter 2019 reply). In edits the batch comes first and heads, if any, between batch and target: (B, ..., T, S).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from course_utils.attention.socket import Plug, Positions
from course_utils.corpora.pair import Pair

Edit = Callable[[Tensor, Positions | None], Tensor]


class Record(NamedTuple):
    """One call of a plug; shapes as in the socket."""

    query: Tensor
    key: Tensor
    scores: Tensor | None                                                   # (B, ..., T, S) before masks and softmax
    weights: Tensor                                                         # (B, ..., T, S)
    context: Tensor                                                         # (B, ..., T, Dv)


class RecordedAttention(nn.Module):
    """A plug around a plug: `records` keeps every call. Scores are None where the plug has no `score`."""

    def __init__(self, plug: Plug) -> None:
        super().__init__()
        self.plug = plug
        self.records: list[Record] = []

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, need_weights: bool = False, **others: Any
    ) -> tuple[Tensor, Tensor | None, Any]:
        context, weights, state = self.plug(query, key, value, need_weights=True, **others)
        if weights is None:
            raise ValueError(f"{type(self.plug).__name__} has no map of weights, so there is nothing to show")
        score = getattr(_innermost(self.plug), "score", None)
        self.records.append(Record(query, key, None if score is None else score(query, key), weights, context))
        return context, weights if need_weights else None, state


def _innermost(plug: Plug) -> Plug:
    """The plug inside all wrappers."""
    while hasattr(plug, "plug"):
        plug = plug.plug
    return plug


@contextmanager
def plugged(model: nn.Module, plug: Plug) -> Iterator[nn.Module]:
    """`model` with `plug` as its `attention`, until the block ends."""
    if not hasattr(model, "attention"):
        raise ValueError(f"{type(model).__name__} has no attention to replace: it needs an attribute `attention`")
    own = model.attention
    model.attention = plug
    try:
        yield model
    finally:
        model.attention = own


def uniform(mask: Tensor) -> Edit:
    """Every real source word (mask (B, S), True = real) gets the same weight."""
    def edit(weights: Tensor, positions: Positions | None) -> Tensor:
        real = _beside(mask, weights).to(weights.dtype)                     # (B, ..., 1, S)
        return (real / real.sum(-1, keepdim=True).clamp(min=1)).expand_as(weights)

    return edit


def permuted(mask: Tensor, n_targets: int, seed: int = 0) -> Edit:
    """The learnt weights of each target word, shuffled among the real source words (mask (B, S), pads at the end).

    The shuffle depends on seed, row and target place only, so decoding by steps and in one call see the same one.
    """
    noise = torch.rand(len(mask), n_targets, mask.shape[1], generator=torch.Generator().manual_seed(seed))
    order = noise.to(mask.device).masked_fill(~mask.unsqueeze(1), torch.inf).argsort(-1)    # (B, n_targets, S)

    def edit(weights: Tensor, positions: Positions | None) -> Tensor:
        rows = _places(weights, positions) % n_targets
        return weights.gather(-1, _beside_targets(order[:, rows], weights).expand_as(weights))

    return edit


def forced(wanted: Tensor, amount: Tensor | float = 1.0) -> Edit:
    """(1 - amount) of the learnt weights + amount of `wanted` (B, n_targets, S); rows of `wanted` should sum to 1.

    `amount` is one number or (B, n_targets): 0 leaves a target word alone. Later targets than `wanted` has are left.
    """
    amount = torch.as_tensor(amount, dtype=wanted.dtype, device=wanted.device).expand(wanted.shape[:2])
    if bool((amount < 0).any()) or bool((amount > 1).any()):
        raise ValueError("amount must be between 0 (the learnt weights) and 1 (the wanted ones)")

    def edit(weights: Tensor, positions: Positions | None) -> Tensor:
        if wanted.shape[0] != weights.shape[0] or wanted.shape[-1] != weights.shape[-1]:
            raise ValueError(
                f"wanted weights are {tuple(wanted.shape)}, the model's {tuple(weights.shape)}: batch and source differ"
            )
        places = _places(weights, positions)
        rows = places.clamp(max=wanted.shape[1] - 1)
        share = (amount[:, rows] * (places < wanted.shape[1])).unsqueeze(-1)                # (B, T, 1)
        share, want = _beside_targets(share, weights), _beside_targets(wanted[:, rows], weights)
        return (1 - share) * weights + share * want.to(weights.dtype)

    return edit


def gold_weights(pairs: Sequence[Pair], n_sources: int, n_targets: int) -> tuple[Tensor, Tensor]:
    """The gold alignment as weights (B, n_targets, n_sources), and where it has a link (B, n_targets) float 0 or 1.

    Each target word shares its weight among its sure links, without one among its possible links; a word without any
    (and END) has none. For `forced(*gold_weights(...))`.
    """
    weights = torch.zeros(len(pairs), n_targets, n_sources)
    for b, pair in enumerate(pairs):
        for links in (pair.possible, pair.sure):                            # sure links overwrite possible ones
            for i in {i for _, i in links}:
                weights[b, i] = 0.0
            for j, i in links:
                weights[b, i, j] = 1.0
    total = weights.sum(-1)                                                 # (B, n_targets)
    return weights / total.clamp(min=1).unsqueeze(-1), (total > 0).float()


def _places(weights: Tensor, positions: Positions | None) -> Tensor:
    return torch.arange(weights.shape[-2], device=weights.device) if positions is None else positions[0]


def _beside(mask: Tensor, weights: Tensor) -> Tensor:
    """(B, S) -> (B, 1, ..., 1, S)."""
    return mask.view(mask.shape[0], *[1] * (weights.ndim - 2), mask.shape[-1])


def _beside_targets(rows: Tensor, weights: Tensor) -> Tensor:
    """(B, T, X) -> (B, 1, ..., T, X)."""
    return rows.view(rows.shape[0], *[1] * (weights.ndim - 3), *rows.shape[1:])


class SteeredAttention(nn.Module):
    """A plug around a plug whose weights are changed by hand before they are used: does the output follow?

    `edit(weights (B, ..., T, S), positions) -> weights` of the same shape; `positions` as the socket got them, so that
    an edit can find its target word while decoding step by step too. Notebook 07.
    """

    def __init__(self, plug: Plug, edit: Callable[[Tensor, Positions | None], Tensor]) -> None:
        super().__init__()
        self.plug, self.edit = plug, edit

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, positions: Positions | None = None,
        need_weights: bool = False, **others: Any,
    ) -> tuple[Tensor, Tensor | None, Any]:
        _, weights, state = self.plug(query, key, value, positions=positions, need_weights=True, **others)
        if weights is None:
            raise ValueError(f"{type(self.plug).__name__} has no map of weights, so it cannot be steered")
        edited = self.edit(weights, positions)
        if edited.shape != weights.shape:
            raise ValueError(f"edit must keep the weights' shape {tuple(weights.shape)}, it gave {tuple(edited.shape)}")
        return edited @ value, edited if need_weights else None, state
