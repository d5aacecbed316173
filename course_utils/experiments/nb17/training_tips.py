"""What a Transformer's recipe adds to the training loop. Notebook 17.

The rate of Vaswani et al. 2017 (section 5.3); smoothed targets, in torch's form and in the one of Harvard's "Annotated
Transformer" (Szegedy et al. 2016, section 7); averaged checkpoints (Popel and Bojar 2018, section 4.10); scheduled
sampling without a loop, in two passes (Mihaylova and Martins 2019; Duckworth et al. 2019).
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from course_utils.text.batches import Batch
from course_utils.text.vocabulary import PAD
from course_utils.training import History, token_loss, train

SMOOTHINGS = ("all", "others")
Weights = dict[str, Tensor]


def paper_rate(step: int, d_model: int, warmup: int) -> float:
    """d_model^-0.5 · min(step^-0.5, step · warmup^-1.5), eq. 3 of Vaswani et al. 2017, for step = 1, 2, …"""
    if step < 1:
        raise ValueError(f"step={step}: the first update is step 1 (LambdaLR counts from 0: give it step + 1).")
    if warmup < 1 or d_model < 1:
        raise ValueError(f"d_model={d_model}, warmup={warmup}: both must be 1 or more.")
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


def smoothed_targets(target: Tensor, n_classes: int, e: float, spread: str = "all") -> Tensor:
    """(...) ids -> (..., K) target distributions; the rows of PAD are zero.

    "all"     (1 - e) on the right word and e/K on every one of the K classes, the right one and PAD included: Szegedy
              et al. 2016, and torch's `label_smoothing`
    "others"  1 - e on the right word, e/(K - 2) on every class but it and PAD: the Annotated Transformer
    """
    if spread not in SMOOTHINGS:
        raise ValueError(f"unknown spread {spread!r}: one of {', '.join(map(repr, SMOOTHINGS))}.")
    if not 0 <= e < 1 or n_classes < 3:
        raise ValueError(f"e={e}, n_classes={n_classes}: needed are 0 <= e < 1 and at least 3 classes.")
    right = nn.functional.one_hot(target, n_classes).to(torch.get_default_dtype())  # (..., K)
    if spread == "all":
        q = (1 - e) * right + e / n_classes
    else:
        q = torch.full_like(right, e / (n_classes - 2))
        q[..., PAD] = 0.0
        q = q * (1 - right) + (1 - e) * right
    return q * (target != PAD).unsqueeze(-1)


def average_weights(states: Sequence[Mapping[str, Tensor]]) -> Weights:
    """The mean of several checkpoints of one model, number by number; whole numbers are the last one's."""
    if not states:
        raise ValueError("no checkpoint to average.")
    if any(set(state) != set(states[0]) for state in states):
        raise ValueError("these checkpoints belong to different models: their weights have other names.")
    last = states[-1]
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value.clone()
        for name, value in last.items()
    }


def train_keeping(
    model: nn.Module, batches, *, steps: int, keep: Collection[int], label_smoothing: float = 0.0,
    flat: bool = False, **settings,
) -> tuple[History, list[Weights]]:  # fmt: skip
    """`train`, and the weights after each update whose number stands in `keep`. With `flat` the rate does not fall
    after the warm-up (it is that of a run 50 times as long)."""
    kept: list[Weights] = []
    calls = 0

    def objective(model: nn.Module, batch: Batch) -> Tensor:
        nonlocal calls
        if calls in keep:  # so many updates have been made
            kept.append(_copy(model))
        calls += 1
        return token_loss(model(batch.source, batch.target_in), batch.target_out, label_smoothing)

    schedule = {"steps": 50 * steps, "stop_after": steps} if flat else {"steps": steps}
    history = train(model, batches, objective=objective, **schedule, **settings)
    if steps in keep:
        kept.append(_copy(model))
    return history, kept


def _copy(model: nn.Module) -> Weights:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def mixed_input(target_in: Tensor, guesses: Tensor, forced: Tensor) -> Tensor:
    """What the second pass reads: the right words where `forced`, else the model's own of the step before.

    target_in (B, T) = BEGIN y1 … yn, guesses (B, T) for y1 … yn END, forced (B, T) bool -> (B, T). The guess for y1 is
    read at the place of y1, one to the right; BEGIN and the pads stay.
    """
    own = torch.cat([target_in[:, :1], guesses[:, :-1]], 1)
    stays = forced | (target_in == PAD)
    stays[:, 0] = True
    return torch.where(stays, target_in, own)


def two_passes(steps: int, least: float, seed: int) -> Callable[[nn.Module, Batch], Tensor]:
    """An objective for `train`: scheduled sampling in two passes.

    Pass 1 reads the right words and guesses all words at once (argmax, no gradient); pass 2 reads a mixture and is
    scored. The share of right words falls linearly from 1 to `least` over `steps` updates.
    """
    if not 0 <= least <= 1 or steps < 1:
        raise ValueError(f"least={least}, steps={steps}: needed are a share between 0 and 1, and 1 step or more.")
    coins, calls = torch.Generator().manual_seed(seed), 0

    def objective(model: nn.Module, batch: Batch) -> Tensor:
        nonlocal calls
        share = max(least, 1 - (1 - least) * calls / steps)
        calls += 1
        with torch.no_grad():
            guesses = model(batch.source, batch.target_in).argmax(-1)  # (B, T)
        forced = torch.rand(guesses.shape, generator=coins).to(guesses.device) < share
        return token_loss(model(batch.source, mixed_input(batch.target_in, guesses, forced)), batch.target_out)

    return objective
