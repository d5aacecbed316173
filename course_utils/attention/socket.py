"""The attention socket: how every way of attending is called. Notebooks 07, 13 and all that follow.

    plug(query, key, value, *, key_mask=None, causal=False, mask=None, positions=None, need_weights=False, state=None)
        -> (context, weights | None, state | None)

    query (B, ..., T, Dq)   key (B, ..., S, Dk)   value (B, ..., S, Dv)   "..." are heads, or nothing
    key_mask   (B, S) bool               keys that exist (False: a pad)
    causal     bool                      a query sees keys at its own position and before
    mask       (T, S) or (B, T, S) bool  any other rule; costs T·S memory, so the two above have names of their own
    positions  ((T,), (S,)) long         where queries and keys stand; None: keys 0..S-1 and, when causal, the queries
                                         are the last T of those S places (one cached query sees every key)
    state      what the plug returned at the previous step, None at the first: over the same keys, projected keys or the
               previous alignment; of a linear plug, the sums over all keys so far, and then key and value are the new
               ones only. A NamedTuple of tensors with the batch first, so that beams can reorder it
    context    (B, ..., T, Dv)           weights (B, ..., T, S), None unless need_weights (and the plug has a map)

In boolean masks True = may attend, everywhere in the course. (`nn.MultiheadAttention` says the opposite.) Pads get
weight exactly 0. A query with nothing to attend to has weights 0 and context 0, with finite gradients.

In half precision (float16, bfloat16, or under autocast) a plug gives what it gives in float32, to rounding: sums over
all keys, normalisers and the choice of buckets are made in float32 (`at_least_float32`).

A plug starts with `check_socket(...)`, asks `allowed_pairs(...)` for what it may see, and refuses in one sentence
what it cannot do.
"""

from typing import Any, Protocol

import torch
from torch import Tensor

from course_utils.text.masks import causal_mask

Positions = tuple[Tensor, Tensor]


class Plug(Protocol):
    """Anything that fits the socket; usually an `nn.Module`."""

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, *, key_mask: Tensor | None = None, causal: bool = False,
        mask: Tensor | None = None, positions: Positions | None = None, need_weights: bool = False, state: Any = None,
    ) -> tuple[Tensor, Tensor | None, Any]: ...


def check_socket(
    query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor | None = None, mask: Tensor | None = None,
    positions: Positions | None = None,
) -> None:
    """Refuse, in one sentence with the remedy, what does not have the socket's shapes and types."""
    if query.ndim < 3 or not query.ndim == key.ndim == value.ndim:
        raise ValueError(
            f"query, key and value must have the same number of dimensions, at least 3 (batch, ..., length, width); "
            f"got {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}: add the missing one with unsqueeze"
        )
    batch, n_queries, n_keys = query.shape[0], query.shape[-2], key.shape[-2]
    if key.shape[0] != batch or value.shape[0] != batch:
        raise ValueError(
            f"batch sizes differ: query {batch}, key {key.shape[0]}, value {value.shape[0]}; the batch is dimension 0"
        )
    if value.shape[-2] != n_keys:
        raise ValueError(f"{n_keys} keys but {value.shape[-2]} values: every key needs its value")
    _check_mask("key_mask", key_mask, [(batch, n_keys)])
    _check_mask("mask", mask, [(n_queries, n_keys), (batch, n_queries, n_keys)])
    if positions is not None:
        shapes = tuple(positions[0].shape), tuple(positions[1].shape)
        if shapes != ((n_queries,), (n_keys,)):
            raise ValueError(f"positions must have shapes (({n_queries},), ({n_keys},)), queries first; got {shapes}")


def _check_mask(name: str, mask: Tensor | None, shapes: list[tuple[int, ...]]) -> None:
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise TypeError(f"{name} must be boolean with True = may attend, got {mask.dtype}: e.g. ids != PAD")
    if tuple(mask.shape) not in shapes:
        raise ValueError(f"{name} must have shape {' or '.join(map(str, shapes))}, got {tuple(mask.shape)}")


def allowed_pairs(
    query: Tensor, key: Tensor, *, key_mask: Tensor | None = None, causal: bool = False, mask: Tensor | None = None,
    positions: Positions | None = None,
) -> Tensor | None:
    """Which query may see which key: bool, broadcasts to (B, ..., T, S); None when everything may.

    With a key mask alone the answer stays (B, ..., 1, S): no T x S table is made.
    """
    heads = query.ndim - 3                                               # how many dimensions "..." stands for
    allowed = None
    if key_mask is not None:
        allowed = key_mask.view(key_mask.shape[0], *[1] * heads, 1, key_mask.shape[1])      # (B, ..., 1, S)
    if causal:
        allowed = _and(allowed, _causal(query.shape[-2], key.shape[-2], positions).to(query.device))
    if mask is not None:
        if mask.ndim == 3:
            mask = mask.view(mask.shape[0], *[1] * heads, *mask.shape[1:])                  # (B, ..., T, S)
        allowed = _and(allowed, mask)
    return allowed


def _causal(n_queries: int, n_keys: int, positions: Positions | None) -> Tensor:
    """(T, S) bool: True where the key's position is at or before the query's."""
    if positions is None:
        return causal_mask(n_queries, n_keys)
    queries, keys = positions
    return keys.unsqueeze(0) <= queries.unsqueeze(1)                     # (T, S)


def _and(one: Tensor | None, other: Tensor) -> Tensor:
    return other if one is None else one & other


def places(n_queries: int, n_keys: int, device: torch.device | str = "cpu") -> Positions:
    """The socket's default: keys stand at 0..S-1, the queries are the last T of those places."""
    keys = torch.arange(n_keys, device=device)
    return keys[n_keys - n_queries :] if n_queries <= n_keys else torch.arange(n_queries, device=device), keys


def at_least_float32(x: Tensor) -> Tensor:
    """`x`, in float32 if its type is narrower: for sums over a sentence, and for what is compared before it is used."""
    return x if x.dtype.itemsize >= 4 else x.float()


def without_autocast(x: Tensor) -> torch.autocast:
    """A block in which products keep their inputs' type; what is meant by `at_least_float32` stays so."""
    return torch.autocast(x.device.type, enabled=False)


def masked_softmax(scores: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Softmax over the keys (last dimension) that may be attended to; forbidden ones get exactly 0.

    scores (B, ..., T, S); allowed bool, broadcasts to it. A row without any allowed key is all 0, and so is its
    gradient. Forbidden scores become the least number of their type: -1e9 would overflow float16, and -inf make an
    empty row NaN; the second fill makes an empty row, uniform after the first, zero.
    """
    if allowed is None:
        return scores.softmax(-1)
    blocked = ~allowed
    return scores.masked_fill(blocked, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(blocked, 0.0)
