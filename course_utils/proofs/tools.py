"""What the proofs are made of: a small ragged batch, ways to disturb it, runs with fixed generators, comparisons.

See `course_utils/proofs/models.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.seq2seq.contract import Seq2Seq
from course_utils.text.vocabulary import BEGIN, END, PAD

TOLERANCE = 1e-11                                        # float64, so that "a tiny dependence on the future" shows
MOVED = 1e-9                                             # what counts as having moved
SIZES = dict(source_size=13, target_size=11)             # vocabularies of the proofs' sentences
FIRST_WORD = END + 1                                     # the first id that is neither PAD nor BEGIN nor END


class ProofFailed(AssertionError):
    """What was disturbed, and by how much the model moved."""


class Sample(NamedTuple):
    """A batch of random ids of ragged lengths."""

    source: Tensor                                       # (B, S)
    target_in: Tensor                                    # (B, T)
    target_out: Tensor                                   # (B, T)


def sample(seed: int = 0, source_lengths=(7, 3, 5, 1), target_lengths=(4, 6, 1, 5)) -> Sample:
    """Every sentence is made of real words; the longest source and the longest target are in different rows."""
    generator = torch.Generator().manual_seed(seed)

    def draw(lengths: tuple[int, ...], size: int) -> list[list[int]]:
        return [torch.randint(FIRST_WORD, size, (n,), generator=generator).tolist() for n in lengths]

    sources, targets = draw(source_lengths, SIZES["source_size"]), draw(target_lengths, SIZES["target_size"])
    return Sample(_pad(sources), _pad([[BEGIN, *words] for words in targets]), _pad([[*w, END] for w in targets]))


def _pad(rows: list[list[int]]) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def other_words(ids: Tensor, size: int) -> Tensor:
    """A different word in every place; specials and pads become words too."""
    return FIRST_WORD + (ids - FIRST_WORD + 1) % (size - FIRST_WORD)


def more_pads(ids: Tensor, n: int) -> Tensor:
    """(B, T) -> (B, T + n)."""
    return F.pad(ids, (0, n), value=PAD)


def seeded(call: Callable[[], Any]) -> Any:
    """The call's answer with torch's generator set to the same seed each time, and put back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return call()


def run(model: Seq2Seq, source: Tensor, target_in: Tensor) -> tuple[Tensor, Tensor | None]:
    """Logits (B, T, V) and attention (B, T, S) | None of one call."""
    return seeded(lambda: model(source, target_in, need_weights=True))


def step(model: Seq2Seq, token: Tensor, state: Any, memory: Any) -> tuple[Tensor, Any, Tensor | None]:
    return seeded(lambda: model.step(token, state, memory))


def walk(model: Seq2Seq, batch: Sample) -> tuple[Tensor, Tensor | None]:
    """The same as `run`, one word at a time."""
    memory = seeded(lambda: model.encode(batch.source))
    state, logits, maps = model.start(memory), [], []
    for token in batch.target_in.unbind(1):
        word_logits, state, attention = step(model, token, state, memory)
        logits.append(word_logits)
        maps.append(attention)
    return torch.stack(logits, 1), None if maps[0] is None else torch.stack(maps, 1)


def tables(model: nn.Module) -> list[nn.Embedding]:
    """The word embeddings: those of the size of a vocabulary."""
    return [m for m in model.modules() if isinstance(m, nn.Embedding) and m.num_embeddings in SIZES.values()]


def batch_first(name: str, tree: Any, n_rows: int) -> None:
    """Refuse a memory or state with a tensor whose first dimension is not the batch."""
    if isinstance(tree, Tensor):
        if tree.ndim == 0 or len(tree) != n_rows:
            raise ProofFailed(f"{name} holds a tensor {tuple(tree.shape)}, not with its {n_rows} rows first")
    elif tree is not None:
        for part in tree.values() if isinstance(tree, dict) else tree:
            batch_first(name, part, n_rows)


def same(got: Tensor, expected: Tensor, what: str) -> None:
    """Refuse a difference above TOLERANCE (or a NaN)."""
    if got.shape != expected.shape:
        raise ProofFailed(f"{what} (shapes {tuple(got.shape)} and {tuple(expected.shape)})")
    difference = float((got - expected).abs().max()) if got.numel() else 0.0
    if not difference <= TOLERANCE:
        raise ProofFailed(f"{what} (by {difference:.3g})")


def zero(got: Tensor, what: str) -> None:
    """Refuse anything but exact zeros."""
    if bool((got != 0).any()):
        raise ProofFailed(f"{what} (up to {float(got.abs().max()):.3g})")


def differ(got: Tensor, before: Tensor, what: str) -> None:
    """Refuse a row that stayed where it was."""
    if not float((got - before).abs().flatten(1).amax(1).min()) > MOVED:
        raise ProofFailed(what)


def moves(ways: Sequence[tuple[Tensor, Tensor]], loss: Callable[[], Tensor], step: float) -> float:
    """The slope of the loss along some parameters' directions together, by central differences. `ways`: (parameter,
    direction) each."""
    kept, values = [parameter.detach().clone() for parameter, _ in ways], []
    for sign in (step, -step, 0.0):
        with torch.no_grad():
            for (parameter, direction), old in zip(ways, kept, strict=True):
                parameter.copy_(old + sign * direction if sign else old)
        if sign:
            values.append(float(loss().detach()))
    return (values[0] - values[1]) / (2 * step)


def refuse_unfit(model: nn.Module) -> None:
    """Proofs compare numbers in float64: no dropout, no float32."""
    for name, module in model.named_modules():
        rate = module.p if isinstance(module, nn.Dropout) else getattr(module, "dropout", 0.0)
        if isinstance(rate, float) and rate > 0:
            raise ValueError(f"{name} drops {rate:g} of its units: build the model with dropout=0 for a proof")
    dtype = next(model.parameters()).dtype
    if dtype != torch.float64:
        raise ValueError(f"proofs compare in float64 and the model has {dtype}: use model.double()")
