"""How a language model reads a long text, and what each character costs it. Notebook 23.

Three ways: in segments that know nothing of each other, in segments with the state of the one before (the recurrent
model of notebook 04, or Transformer-XL, Dai et al. 2019), and with exactly so many characters before the one to be
predicted (Al-Rfou et al. 2019 read like that). The last measures how far back a model really looks: Khandelwal et al.
2018 cut or shuffle what lies beyond and call the length from which that no longer matters the effective context.

A model is called as `model(ids, state) -> (logits, state)`; all losses are -log p in nats.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.models.language_model import Streams


@contextmanager
def remembering(model: nn.Module, memory: int) -> Iterator[nn.Module]:
    """A TransformerXL with another length of memory, for as long as the block lasts."""
    if memory < 0:
        raise ValueError(f"memory={memory}: a memory holds 0 words or more.")
    before, model.memory = model.memory, memory
    try:
        yield model
    finally:
        model.memory = before


@torch.no_grad()
def segment_losses(model: nn.Module, ids: Sequence[int] | Tensor, segment: int, *, lanes: int = 16,
                   carry: bool = True) -> Tensor:  # fmt: skip
    """(lanes, n) the loss of every character, read `segment` at a time; n is a multiple of `segment`, the rest is left.

    The text is cut into `lanes` pieces that are read side by side, each from an empty memory. With `carry=False` the
    state is thrown away after every segment.
    """
    found, state = [], None
    streams = Streams(ids, lanes, segment)
    if streams.per_lane < segment:
        raise ValueError(f"{len(ids)} symbols do not fill one segment of {segment} in {lanes} lanes: use fewer lanes.")
    for chunk in streams.once():
        if chunk.inputs.shape[1] < segment:
            break
        logits, state = model(chunk.inputs, state if carry else None)     # (lanes, segment, V)
        found.append(F.cross_entropy(logits.transpose(1, 2), chunk.targets, reduction="none"))
    return torch.cat(found, 1)


def by_place(losses: Tensor, segment: int) -> Tensor:
    """(lanes, n) -> (segment,): the mean loss at each place of a segment."""
    return losses.unflatten(1, (-1, segment)).mean((0, 1))


@torch.no_grad()
def context_losses(model: nn.Module, ids: Tensor, places: Sequence[int], context: int, *, keep: int | None = None,
                   space: int | None = None, seed: int = 0, at_once: int = 128) -> Tensor:  # fmt: skip
    """(n,) the loss of the character at each of `places` (n of them), given the `context` characters before it.

    With `keep`, only the last `keep` of these stand as they are: the words before (between two `space`) are shuffled.
    """
    if context < 1 or min(places) < context:
        raise ValueError(f"context={context}: every place needs so many characters before it, and at least one.")
    if keep is not None and (space is None or not 0 <= keep <= context):
        raise ValueError(f"keep={keep}: it counts from 0 to context={context}, and needs the id of the `space`.")
    draws, found = torch.Generator().manual_seed(seed), []
    for start in range(0, len(places), at_once):
        some = torch.as_tensor(places[start : start + at_once])
        windows = ids[some.unsqueeze(1) + torch.arange(-context, 0)]      # (some, context)
        if keep is not None:
            far = context - keep
            shuffled = [torch.cat([_words_shuffled(window[:far], space, draws), window[far:]]) for window in windows]
            windows = torch.stack(shuffled)
        logits, _ = model(windows)                                        # (some, context, V)
        found.append(F.cross_entropy(logits[:, -1], ids[some], reduction="none"))
    return torch.cat(found)


def _words_shuffled(ids: Tensor, space: int, draws: torch.Generator) -> Tensor:
    """The same ids, words in another order. The spaces stay between words, so that the length stays."""
    cuts = (ids == space).nonzero().flatten().tolist()
    starts, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, len(ids)]
    words = [ids[start:end] for start, end in zip(starts, ends, strict=True)]
    order = torch.randperm(len(words), generator=draws).tolist()
    parts = [part for j in order for part in (ids.new_tensor([space]), words[j])]
    return torch.cat(parts[1:])


def effective_context(losses: dict[int, float], tolerance: float = 0.01) -> int:
    """{context: mean loss} -> the shortest context whose loss is within `tolerance` nats of that of the longest."""
    if not losses:
        raise ValueError("no losses: measure with at least one length of context.")
    longest = losses[max(losses)]
    return min(context for context, loss in losses.items() if loss <= longest + tolerance)


def reach(n_layers: int, memory: int, segment: int, place: int = 0) -> int:
    """How many characters before the one at `place` (from 0) of a segment its output can depend on, beyond itself.

    A layer sees its own segment and the `memory` places before it. The state at the farthest of these was made in an
    earlier segment, whose own beginning lies farther back. With `memory` a multiple of `segment`: place + L · memory.
    """
    if n_layers < 1 or memory < 0 or not 0 <= place < segment:
        raise ValueError(f"n_layers={n_layers}, memory={memory}, place={place} of {segment}: none of these fits.")
    start, farthest = 0, 0                                                # of the segment looked from, relative to it
    for _ in range(n_layers):
        farthest = start - memory
        start = farthest // segment * segment                             # where the segment of that state began
    return place - farthest
