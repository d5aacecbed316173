"""Exercises of notebook 05, normalisation. Tasks, hints and solutions stand in the checks' docstrings, mistakes in the
functions above each check; how they become cells: course_utils/exercises/checking.py."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge, lengths_mask

EPS = 1e-5

# --- 05.1 standardise without looking at the test set -----------------------------------------------------------------


def standardised_pair(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    mean, std = train.mean(0), train.std(0, correction=0)
    return (train - mean) / std, (test - mean) / std


def test_by_itself(train, test):
    """The test set is standardised by its own statistics here: it must go through the very map that training used, or
    the same sentence would mean two things."""
    return standardised_pair(train, train)[0], standardised_pair(test, test)[0]


def all_together(train, test):
    """Mean and deviation are taken over training and test data together: that is a leak, the test set has been looked
    at."""
    both = torch.cat([train, test])
    return standardised_pair(both, train)[1], standardised_pair(both, test)[1]


def each_row(train, test):
    """This standardises every row by itself, over its features; the statistics run over the rows: dim 0."""
    return tuple((x - x.mean(1, keepdim=True)) / x.std(1, correction=0, keepdim=True) for x in (train, test))


def one_number(train, test):
    """There is one mean and one deviation for all features here; each feature has its own unit, so each needs its
    own."""
    mean, std = train.mean(), train.std(correction=0)
    return (train - mean) / std, (test - mean) / std


def by_variance(train, test):
    """This divides by the variance; its root, the standard deviation, has the unit of the feature."""
    mean, variance = train.mean(0), train.var(0, correction=0)
    return (train - mean) / variance, (test - mean) / variance


def only_centred(train, test):
    """This only subtracts the mean: the scales are as unequal as they were."""
    return train - train.mean(0), test - train.mean(0)


def only_scaled(train, test):
    """This only divides by the deviation: the mean is not 0 yet."""
    std = train.std(0, correction=0)
    return train / std, test / std


def min_to_max(train, test):
    """This squeezes each feature between its least and its greatest value; asked are mean 0 and deviation 1."""
    low, high = train.min(0).values, train.max(0).values
    return (train - low) / (high - low), (test - low) / (high - low)


def bessel(train, test):
    """The deviation here divides by N - 1; asked is the one that divides by N (correction=0)."""
    mean, std = train.mean(0), train.std(0)
    return (train - mean) / std, (test - mean) / std


MISTAKES_1 = [
    test_by_itself, all_together, each_row, one_number, by_variance, only_centred, only_scaled, min_to_max, bessel,
]  # fmt: skip


@exercise("05.1", "one map for both, and the test set had no say in it.")
def check_05_1(answer):
    """**Exercise 05.1 · ●○○○○ · 6 min** - standardise, and do not look at the test set

    Write `standardise(train, test)`: `train` (N, D) and `test` (M, D) float. Return both, (N, D) and (M, D), so that
    every feature of the training rows has mean 0 and standard deviation 1 (dividing by N, not N - 1).

    Hint 1: a mean over the rows is `train.mean(0)`; and the deviation?
    Hint 2: a model is used on one sentence at a time: whose mean can it subtract then?
    Solution: mean, std = train.mean(0), train.std(0, correction=0); return (train - mean) / std, (test - mean) / std
    """
    rng = fresh()
    inputs = []
    for n, m, d in ((5, 3, 2), (8, 4, 3), (4, 6, 5)):
        scale = torch.tensor([0.5, 20.0, 3.0, 100.0, 1.0])[:d]
        train, test = (scale * (torch.randn(k, d, generator=rng) + 2) for k in (n, m))
        inputs.append((train, test + scale))
    judge(answer, inputs, standardised_pair, MISTAKES_1)


# --- 05.2 a training step of batch norm -------------------------------------------------------------------------------


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    mean, variance = x.mean(0), x.var(0, correction=0)
    return gamma * (x - mean) / torch.sqrt(variance + eps) + beta


def over_features(x, gamma, beta, eps):
    """The statistics here run over the features of one row: that is layer norm. Batch norm's run over the batch."""
    mean, variance = x.mean(1, keepdim=True), x.var(1, correction=0, keepdim=True)
    return gamma * (x - mean) / torch.sqrt(variance + eps) + beta


def unbiased_inside(x, gamma, beta, eps):
    """This normalises with the variance that divides by N - 1; in the batch itself it is N (correction=0)."""
    return gamma * (x - x.mean(0)) / torch.sqrt(x.var(0) + eps) + beta


def eps_outside(x, gamma, beta, eps):
    """eps is added to the deviation here; it belongs to the variance, inside the root."""
    return gamma * (x - x.mean(0)) / (x.std(0, correction=0) + eps) + beta


def no_eps(x, gamma, beta, eps):
    """eps is missing: add it to the variance, inside the root."""
    return gamma * (x - x.mean(0)) / x.std(0, correction=0) + beta


def no_root(x, gamma, beta, eps):
    """This divides by the variance: its root is missing."""
    return gamma * (x - x.mean(0)) / (x.var(0, correction=0) + eps) + beta


def forgets_gamma_beta(x, gamma, beta, eps):
    """gamma and beta are missing: they belong to batch norm, without them it could not undo itself."""
    return (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + eps)


def shift_first(x, gamma, beta, eps):
    """Here beta is multiplied by gamma too: scale first, then shift."""
    return gamma * ((x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + eps) + beta)


def swapped(x, gamma, beta, eps):
    """gamma and beta have changed places: gamma multiplies, beta is added."""
    return batch_norm(x, beta, gamma, eps)


def whole_tensor(x, gamma, beta, eps):
    """One mean and one variance for the whole tensor: each feature needs its own, over dim 0."""
    return gamma * (x - x.mean()) / torch.sqrt(x.var(correction=0) + eps) + beta


MISTAKES_2 = [
    over_features, unbiased_inside, eps_outside, no_eps, no_root, forgets_gamma_beta, shift_first, swapped,
    whole_tensor,
]  # fmt: skip


@exercise("05.2", "algorithm 1 of the paper, in one line.")
def check_05_2(answer):
    """**Exercise 05.2 · ●●○○○ · 8 min** - batch norm, in training

    Write `my_batch_norm(x, gamma, beta, eps)`: `x` (N, D), `gamma` and `beta` (D,), `eps` a float that is not small
    here, so that its place can be seen. Return γ (x - μ) / √(σ² + ε) + β with the batch's own μ and biased σ². Use
    neither nn.BatchNorm1d nor F.batch_norm.

    Hint 1: which dimension disappears when you average over the batch?
    Hint 2: `x.var(0, correction=0)` divides by N.
    Solution: gamma * (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + eps) + beta
    """
    rng = fresh()
    inputs = []
    for n, d, eps in ((4, 2, 0.1), (3, 5, 0.5), (6, 3, 0.02)):
        x = torch.randn(n, d, generator=rng) * torch.linspace(0.3, 2, d) + torch.linspace(-1, 3, d)
        gamma, beta = torch.rand(d, generator=rng) + 0.5, torch.randn(d, generator=rng)
        inputs.append((x, gamma, beta, eps))
    judge(answer, inputs, batch_norm, MISTAKES_2, forbid=["F.batch_norm"])


# --- 05.3 the running statistics --------------------------------------------------------------------------------------


def moved(running_mean: Tensor, running_var: Tensor, x: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    return running_mean.lerp(x.mean(0), momentum), running_var.lerp(x.var(0), momentum)


def biased_kept(mean, variance, x, momentum):
    """The running variance must take the unbiased estimate (divide by N - 1): it speaks of data still to come."""
    new = (1 - momentum) * variance + momentum * x.var(0, correction=0)
    return moved(mean, variance, x, momentum)[0], new


def momentum_of_the_old(mean, variance, x, momentum):
    """Here momentum is the share of the old statistics; in torch it is the share of the new batch."""
    return moved(mean, variance, x, 1 - momentum)


def keeps_deviation(mean, variance, x, momentum):
    """The second statistic is the variance, not its root."""
    return moved(mean, variance, x, momentum)[0], (1 - momentum) * variance + momentum * x.std(0)


def replaced(mean, variance, x, momentum):
    """This forgets the old statistics altogether: the batch's own replace them."""
    return x.mean(0), x.var(0)


def added(mean, variance, x, momentum):
    """The old statistics keep their full weight here, so they grow without end: multiply them by 1 - momentum."""
    return mean + momentum * x.mean(0), variance + momentum * x.var(0)


def over_rows(mean, variance, x, momentum):
    """There is one number for the whole batch here; each feature has its own mean and variance, over dim 0."""
    return (1 - momentum) * mean + momentum * x.mean(), (1 - momentum) * variance + momentum * x.var()


def around_running_mean(mean, variance, x, momentum):
    """The variance is measured around the running mean here; it is the batch's variance, around the batch's mean."""
    new = ((x - mean) ** 2).sum(0) / (len(x) - 1)
    return moved(mean, variance, x, momentum)[0], (1 - momentum) * variance + momentum * new


def exchanged(mean, variance, x, momentum):
    """The two results have changed places: mean first, then variance."""
    return moved(mean, variance, x, momentum)[::-1]


MISTAKES_3 = [
    biased_kept, momentum_of_the_old, keeps_deviation, replaced, added, over_rows, around_running_mean, exchanged,
]  # fmt: skip


@exercise("05.3", "so torch's buffers move.")
def check_05_3(answer):
    """**Exercise 05.3 · ●●○○○ · 8 min** - what evaluation will use

    Write `update_running(running_mean, running_var, x, momentum)`: the statistics (D,) so far and a training batch `x`
    (N, D). Return the new pair as torch's BatchNorm1d keeps it; the arguments themselves must not change.

    Hint 1: `momentum` is the share of the new batch; what share have the old statistics?
    Hint 2: torch normalises with one variance and keeps the other; `x.var(0)` divides by N - 1.
    Solution: m = momentum; return (1 - m) * running_mean + m * x.mean(0), (1 - m) * running_var + m * x.var(0)
    """
    rng = fresh()
    inputs = []
    for n, d, momentum in ((2, 3, 0.1), (4, 2, 0.25), (3, 5, 0.9)):
        mean, variance = torch.randn(d, generator=rng), torch.rand(d, generator=rng) * 3 + 0.2
        inputs.append((mean, variance, 2 * torch.randn(n, d, generator=rng) + 3, momentum))
    judge(answer, inputs, moved, MISTAKES_3)


# --- 05.4 layer norm --------------------------------------------------------------------------------------------------


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, correction=0, keepdim=True)
    return gamma * (x - mean) / torch.sqrt(variance + eps) + beta


def _over(x, gamma, beta, eps, dims):
    mean, variance = x.mean(dims, keepdim=True), x.var(dims, correction=0, keepdim=True)
    return gamma * (x - mean) / torch.sqrt(variance + eps) + beta


def whole_sentence(x, gamma, beta, eps):
    """The statistics run over a whole sentence, all its tokens together; layer norm takes each token by itself: dim=-1
    alone, as nn.LayerNorm(D) does and nn.LayerNorm((T, D)) does not."""
    return _over(x, gamma, beta, eps, (1, 2))


def over_time(x, gamma, beta, eps):
    """The statistics run over time, feature by feature (instance norm); a token's own features are dim=-1."""
    return _over(x, gamma, beta, eps, (1,))


def over_batch_and_time(x, gamma, beta, eps):
    """The statistics run over batch and time: that is batch norm, whose output depends on the neighbours."""
    return _over(x, gamma, beta, eps, (0, 1))


def over_batch(x, gamma, beta, eps):
    """The statistics run over the batch, place by place: the neighbours take part. Layer norm needs dim=-1."""
    return _over(x, gamma, beta, eps, (0,))


def unbiased_layer(x, gamma, beta, eps):
    """The variance divides by D - 1 here; in layer norm it is D (correction=0)."""
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True)
    return gamma * (x - mean) / torch.sqrt(variance + eps) + beta


def eps_beside(x, gamma, beta, eps):
    """eps is added to the deviation here; it stands inside the root, with the variance."""
    mean, std = x.mean(-1, keepdim=True), x.std(-1, correction=0, keepdim=True)
    return gamma * (x - mean) / (std + eps) + beta


def mean_and_residual(x, gamma, beta, eps):
    """Only the mean is taken away; layer norm also divides by the standard deviation (not "mean and residual")."""
    return gamma * (x - x.mean(-1, keepdim=True)) + beta


def root_mean_square(x, gamma, beta, eps):
    """The mean is not taken away here: this is the root mean square norm, a younger relative."""
    return gamma * x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) + beta


def without_parameters(x, gamma, beta, eps):
    """gamma and beta are missing; they are per feature, and all tokens share them."""
    return F.layer_norm(x, x.shape[-1:], eps=eps)


MISTAKES_4 = [
    whole_sentence, over_time, over_batch_and_time, over_batch, unbiased_layer, eps_beside, mean_and_residual,
    root_mean_square, without_parameters,
]  # fmt: skip


@exercise("05.4", "each token by itself: no neighbour, no pad can change it.")
def check_05_4(answer):
    """**Exercise 05.4 · ●●○○○ · 8 min** - layer norm, over the right axis

    Write `my_layer_norm(x, gamma, beta, eps)`: `x` (B, T, D), `gamma` and `beta` (D,). Return the same shape: every
    token centred and scaled over its own D features (biased variance, eps inside the root), then γ and β. Use neither
    nn.LayerNorm nor F.layer_norm.

    Hint 1: one token is x[b, t]: D numbers, one mean.
    Hint 2: `keepdim=True` leaves (B, T, 1), which fits under (B, T, D).
    Solution: mean, var = x.mean(-1, keepdim=True), x.var(-1, correction=0, keepdim=True);
    return gamma * (x - mean) / torch.sqrt(var + eps) + beta
    """
    rng = fresh()
    inputs = []
    for b, t, d, eps in ((2, 3, 4, 0.1), (3, 2, 5, 0.5), (4, 5, 3, 0.02)):
        x = torch.randn(b, t, d, generator=rng) * torch.linspace(0.5, 2, d) + torch.linspace(-1, 2, d)
        gamma, beta = torch.rand(d, generator=rng) + 0.5, torch.randn(d, generator=rng)
        inputs.append((x, gamma, beta, eps))
    judge(answer, inputs, layer_norm, MISTAKES_4, forbid=["F.layer_norm"])


# --- 05.5 batch statistics of padded sentences ------------------------------------------------------------------------


def masked_statistics(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    real = x[mask]
    return real.mean(0), real.var(0, correction=0)


def counts_the_pads(x, mask):
    """The pads take part here: leave them out with the mask."""
    return x.mean((0, 1)), x.var((0, 1), correction=0)


def divided_by_all(x, mask):
    """The pads add nothing to the sums, but the sums are still divided by B times T: count the real tokens."""
    kept = x * mask.unsqueeze(-1)
    n = mask.numel()
    mean = kept.sum((0, 1)) / n
    return mean, (((x - mean) * mask.unsqueeze(-1)) ** 2).sum((0, 1)) / n


def zeros_have_a_variance(x, mask):
    """The mean is right. In the variance the pads, set to 0, still lie a whole mean away from it: mask the differences
    too."""
    kept, n = x * mask.unsqueeze(-1), mask.sum()
    mean = kept.sum((0, 1)) / n
    return mean, ((kept - mean) ** 2).sum((0, 1)) / n


def sentence_by_sentence(x, mask):
    """This averages the sentences' own statistics: a short sentence weighs as much as a long one, and the spread
    between sentences is lost."""
    means = torch.stack([row[m].mean(0) for row, m in zip(x, mask, strict=True)])
    variances = torch.stack([row[m].var(0, correction=0) for row, m in zip(x, mask, strict=True)])
    return means.mean(0), variances.mean(0)


def only_the_pads(x, mask):
    """These are the statistics of the pads: True in the mask means a real token."""
    return masked_statistics(x, ~mask)


def bessel_again(x, mask):
    """The variance divides by n - 1 here; for normalising the batch itself it is n (correction=0)."""
    return x[mask].mean(0), x[mask].var(0)


def one_for_all(x, mask):
    """There is one mean and one variance for all features here; keep the last dimension."""
    return x[mask].mean().expand(x.shape[-1]), x[mask].var(correction=0).expand(x.shape[-1])


def deviation(x, mask):
    """The second result is the standard deviation here; asked is the variance."""
    return x[mask].mean(0), x[mask].std(0, correction=0)


MISTAKES_5 = [
    counts_the_pads, divided_by_all, zeros_have_a_variance, sentence_by_sentence, only_the_pads, bessel_again,
    one_for_all, deviation,
]  # fmt: skip


@exercise("05.5", "however many pads follow, the statistics stay.")
def check_05_5(answer):
    """**Exercise 05.5 · ●●●○○ · 10 min** - batch statistics without the pads

    Write `masked_statistics(x, mask)`: `x` (B, T, D) float with anything at all at the pads, `mask` (B, T) bool, True =
    a real token. Return mean and biased variance (D,) of each feature over the real tokens of the whole batch.

    Hint 1: what shape has `x[mask]`?
    Hint 2: once the pads are gone it is the batch norm of exercise 05.2.
    Solution: real = x[mask]; return real.mean(0), real.var(0, correction=0)
    """
    rng = fresh()
    inputs = []
    for lengths, width, d in (([3, 1, 5], 6, 2), ([2, 4], 5, 4), ([1, 2, 2, 6], 7, 3)):
        x = torch.randn(len(lengths), width, d, generator=rng) + torch.linspace(1, 4, d)
        mask = lengths_mask(lengths, width)
        x = x + 2.0 * torch.tensor(lengths)[:, None, None].float()  # short and long sentences differ
        inputs.append((torch.where(mask.unsqueeze(-1), x, -7.0 + torch.randn(x.shape, generator=rng)), mask))
    judge(answer, inputs, masked_statistics, MISTAKES_5)


# --- 05.6 repair: evaluation ------------------------------------------------------------------------------------------


def normalised(x: Tensor, running_mean: Tensor, running_var: Tensor, training: bool) -> Tensor:
    if training:
        mean, variance = x.mean(0), x.var(0, correction=0)
    else:
        mean, variance = running_mean, running_var
    return (x - mean) / torch.sqrt(variance + EPS)


def planted_norm(x, running_mean, running_var, training):
    """Give it a batch of one in evaluation: what can come out? Who asks for `training` here?"""
    return (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + EPS)


def always_running(x, running_mean, running_var, training):
    """Now training uses the running statistics too; there the batch's own are wanted."""
    return normalised(x, running_mean, running_var, False)


def wrong_way_round(x, running_mean, running_var, training):
    """This is the wrong way round: the batch's own statistics belong to training, the running ones to evaluation."""
    return normalised(x, running_mean, running_var, not training)


def only_the_mean(x, running_mean, running_var, training):
    """In evaluation the mean is the running one, the variance is still the batch's."""
    mean = x.mean(0) if training else running_mean
    return (x - mean) / torch.sqrt(x.var(0, correction=0) + EPS)


def only_the_variance(x, running_mean, running_var, training):
    """In evaluation the variance is the running one, the mean is still the batch's."""
    variance = x.var(0, correction=0) if training else running_var
    return (x - x.mean(0)) / torch.sqrt(variance + EPS)


def variance_as_deviation(x, running_mean, running_var, training):
    """In evaluation this divides by the running variance itself: its root is missing."""
    if training:
        return normalised(x, running_mean, running_var, True)
    return (x - running_mean) / (running_var + EPS)


def nothing_in_evaluation(x, running_mean, running_var, training):
    """In evaluation this leaves x as it is: the layers above have learnt from normalised inputs, so it must be
    normalised here too."""
    return normalised(x, running_mean, running_var, True) if training else x.clone()


MISTAKES_6 = [
    planted_norm, always_running, wrong_way_round, only_the_mean, only_the_variance, variance_as_deviation,
    nothing_in_evaluation,
]  # fmt: skip


@exercise("05.6", "a sentence now gets the same answer alone and in company.")
def check_05_6(answer):
    """**Exercise 05.6 · ●●●○○ · 8 min** - repair: fine in training, nonsense in use

    The model trained well. In use it gets one sentence at a time and answers the same for all of them. `x` (N, D),
    running statistics (D,), `training` a bool. Repair `normalise(x, running_mean, running_var, training)`; eps is
    1e-5. In the cell at first:

        def normalise(x, running_mean, running_var, training):
            return (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + 1e-5)

    Hint 1: what are mean and variance of a batch of one?
    Hint 2: the running statistics were collected for exactly this; `training` says when.
    Solution: choose (x.mean(0), x.var(0, correction=0)) if training else (running_mean, running_var), then normalise.
    """
    rng = fresh()
    inputs = []
    for n, d, training in ((5, 2, True), (1, 3, False), (4, 3, False), (3, 4, True), (6, 2, False)):
        mean, variance = torch.randn(d, generator=rng) * 2, torch.rand(d, generator=rng) * 3 + 0.3
        inputs.append((3 * torch.randn(n, d, generator=rng) + 1, mean, variance, training))
    judge(answer, inputs, normalised, MISTAKES_6, planted=planted_norm)


# --- what proves them -------------------------------------------------------------------------------------------------


def _by_loop(train, test):
    mean = sum(train) / len(train)
    std = (sum((row - mean) ** 2 for row in train) / len(train)) ** 0.5
    return torch.stack([(row - mean) / std for row in train]), torch.stack([(row - mean) / std for row in test])


def _with_torch(x, gamma, beta, eps):
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)


def _by_moments(x, gamma, beta, eps):
    """Right, by E[x²] - E[x]²."""
    mean, squares = x.double().mean(0), x.double().square().mean(0)
    return (x - mean) * torch.rsqrt(squares - mean**2 + eps) * gamma + beta


def _layer_with_torch(x, gamma, beta, eps):
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


def _one_group(x, gamma, beta, eps):
    return F.group_norm(x.flatten(0, 1), 1, gamma, beta, eps).view_as(x)


def _in_place(mean, variance, x, momentum):
    mean.lerp_(x.mean(0), momentum)
    variance.lerp_(x.var(0), momentum)
    return mean, variance


def _with_lerp(mean, variance, x, momentum):
    return mean.lerp(x.mean(0), momentum), variance.lerp(x.var(0), momentum)


def _token_loop(x, gamma, beta, eps):
    out = torch.empty_like(x)
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            token = x[b, t]
            centred = token - sum(token) / len(token)
            out[b, t] = gamma * centred / torch.sqrt((centred**2).mean() + eps) + beta
    return out


def _masked_sums(x, mask):
    keep = mask.unsqueeze(-1)
    n = mask.sum()
    mean = (x * keep).sum((0, 1)) / n
    return mean, (((x - mean) ** 2) * keep).sum((0, 1)) / n


def _torch_in_both_modes(x, running_mean, running_var, training):
    return F.batch_norm(x, running_mean.clone(), running_var.clone(), training=training, eps=EPS)


CHECKS = {
    "05_1": Check(check_05_1, [standardised_pair, _by_loop], gallery(MISTAKES_1)),
    "05_2": Check(check_05_2, [batch_norm, _by_moments],
                  [*gallery(MISTAKES_2), ("torch's own", _with_torch, "uses batch_norm")]),
    "05_3": Check(check_05_3, [moved, _with_lerp],
                  [*gallery(MISTAKES_3), ("in place", _in_place, "in place; work on a copy")]),
    "05_4": Check(check_05_4, [layer_norm, _token_loop],
                  [*gallery(MISTAKES_4), ("torch's own", _layer_with_torch, "uses layer_norm"),
                   ("one group", _one_group, "uses group_norm")]),
    "05_5": Check(check_05_5, [masked_statistics, _masked_sums], gallery(MISTAKES_5)),
    "05_6": Check(check_05_6, [normalised, _torch_in_both_modes], gallery(MISTAKES_6), stub=planted_norm),
}  # fmt: skip
