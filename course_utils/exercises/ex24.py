"""Exercises of notebook 24, the race. Tasks, hints and solutions stand in the checks' docstrings, mistakes in the
functions above each check; how they become cells: course_utils/exercises/checking.py.

The attentions of 24.5 leak as published code does: a maximum over all keys, sorting, a choice among all keys."""

import functools
import math
import statistics
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.corpora.long_tasks import CLOSE, OPERATORS, draw_listops, evaluate_listops
from course_utils.exercises.checking import Check, Hint, exercise, fresh, gallery, judge

# --- 24.1 what it costs -----------------------------------------------------------------------------------------------


def operations(N: int, d: int, H: int, kind: str, r: int) -> int:
    pairs = sum(min(N - 1, i + r) - max(0, i - r) + 1 for i in range(N)) if kind == "window" else N * N
    return 2 * N * d * (d + 1) * H if kind == "linear" else 2 * pairs * d * H


def one_product_only(N, d, H, kind, r):
    """This counts one of the two products: there are the scores (or the state), and then the sums of values."""
    return operations(N, d, H, kind, r) // 2


def heads_forgotten(N, d, H, kind, r):
    """This is one head; there are H of them, each of width d."""
    return operations(N, d, 1, kind, r)


def counted_twice(N, d, H, kind, r):
    """A multiplication with its addition counts once here, as one multiply-add."""
    return 2 * operations(N, d, H, kind, r)


def edges_not_counted_off(N, d, H, kind, r):
    """At both ends of the text a window is cut off: not all places see 2r + 1."""
    return 2 * N * (2 * r + 1) * d * H if kind == "window" else operations(N, d, H, kind, r)


def one_edge_only(N, d, H, kind, r):
    """The window is cut off at both ends of the text; here only one end is counted off."""
    pairs = sum(i + r - max(0, i - r) + 1 for i in range(N))
    return 2 * pairs * d * H if kind == "window" else operations(N, d, H, kind, r)


def window_beyond_the_text(N, d, H, kind, r):
    """This is right while the window is shorter than the text. Where r is larger than N - 1, all N·N pairs are seen."""
    pairs = N * (2 * r + 1) - r * (r + 1)
    return 2 * pairs * d * H if kind == "window" else operations(N, d, H, kind, r)


def r_in_total(N, d, H, kind, r):
    """r is the number of places on each side; this reads it as the width of the whole window."""
    return operations(N, d, H, kind, r // 2)


def blind_to_itself(N, d, H, kind, r):
    """In a window a place sees itself as well: r on the left, r on the right, and the one in the middle."""
    return operations(N, d, H, kind, r) - (2 * N * d * H if kind == "window" else 0)


def looks_back_only(N, d, H, kind, r):
    """This window looks back only; nothing is causal here, r places follow as well."""
    pairs = sum(i - max(0, i - r) + 1 for i in range(N))
    return 2 * pairs * d * H if kind == "window" else operations(N, d, H, kind, r)


def masked_table(N, d, H, kind, r):
    """This window costs what dense attention costs, as if all pairs were computed and most masked. Count those seen."""
    return operations(N, d, H, "dense" if kind == "window" else kind, r)


def linear_with_a_table(N, d, H, kind, r):
    """Linear attention makes no N x N table: first φ(K)ᵀ V for the whole text, then φ(Q) times it."""
    return operations(N, d, H, "dense" if kind == "linear" else kind, r)


def no_column_of_ones(N, d, H, kind, r):
    """The normaliser is missing: with a column of ones behind the values, linear attention is d + 1 wide."""
    return 2 * N * d * d * H if kind == "linear" else operations(N, d, H, kind, r)


MISTAKES_1 = [
    one_product_only, heads_forgotten, counted_twice, edges_not_counted_off, one_edge_only, window_beyond_the_text,
    r_in_total, blind_to_itself, looks_back_only, masked_table, linear_with_a_table, no_column_of_ones,
]  # fmt: skip


@exercise("24.1", "you know the bill before anybody runs.")
def check_24_1(answer):
    """**Exercise 24.1 · ●●○○○ · 8 min** - the bill, counted

    Write `operations(N, d, H, kind, r)`: the multiply-adds of the two matrix products, for one text of `N` places and
    `H` heads of width `d`, not causal. `kind` is "dense"; "window": each place sees `r` places on each side and itself,
    count the pairs exactly, edges too; or "linear": φ(K)ᵀ V and then φ(Q) times it, where φ is d wide and the values
    have one more column, of ones, whose sums are the normaliser. A product of (a, b) and (b, c) takes a·b·c.

    Hint 1: dense: the scores take N·N·d for each head, and the weighted sums as many again.
    Hint 2: window: place i sees from max(0, i - r) to min(N - 1, i + r); linear: (d, N) times (N, d + 1), then (N, d)
    times (d, d + 1).
    Solution: pairs = N * N, or for a window sum(min(N - 1, i + r) - max(0, i - r) + 1 for i in range(N)); return
    2 * N * d * (d + 1) * H if kind == "linear" else 2 * pairs * d * H
    """
    sizes, kinds = ((9, 4, 3, 2), (20, 5, 2, 5)), ("dense", "window", "linear")
    inputs = [(N, d, H, kind, r) for kind in kinds for N, d, H, r in sizes]
    judge(answer, [*inputs, (6, 3, 2, "window", 8), (7, 2, 5, "window", 6)], operations, MISTAKES_1)


# --- 24.2 the exponent ------------------------------------------------------------------------------------------------


def _slope(x: list[float], y: list[float]) -> float:
    a, b = statistics.fmean(x), statistics.fmean(y)
    return sum((s - a) * (t - b) for s, t in zip(x, y, strict=True)) / sum((s - a) ** 2 for s in x)


def _logs(values: list[float], base: float = math.e) -> list[float]:
    return [math.log(value, base) for value in values]


def growth_exponent(lengths: list[int], seconds: list[float]) -> float:
    return _slope(_logs(lengths), _logs(seconds))


def no_logs(lengths, seconds):
    """This is a slope in seconds per place. Of seconds = c·N^p the logarithm is a line, and p its slope."""
    return _slope(lengths, seconds)


def log_of_seconds_only(lengths, seconds):
    """The lengths need a logarithm too: log seconds = log c + p · log N."""
    return _slope(lengths, _logs(seconds))


def log_of_lengths_only(lengths, seconds):
    """The seconds need a logarithm too: log seconds = log c + p · log N."""
    return _slope(_logs(lengths), seconds)


def log10_over_log2(lengths, seconds):
    """Two kinds of logarithm are mixed, base 2 for lengths and base 10 for seconds: any base, but the same for both."""
    return _slope(_logs(lengths, 2), _logs(seconds, 10))


def log2_over_log10(lengths, seconds):
    """Two kinds of logarithm are mixed, base 10 for lengths and base 2 for seconds: use one base for both."""
    return _slope(_logs(lengths, 10), _logs(seconds, 2))


def end_points_only(lengths, seconds):
    """This looks at the first and the last length only; the line of least squares listens to all of them."""
    return math.log(seconds[-1] / seconds[0]) / math.log(lengths[-1] / lengths[0])


def mean_of_the_steps(lengths, seconds):
    """The mean of the slopes between neighbours is another number: in it short steps weigh as much as long ones."""
    x, y = _logs(lengths), _logs(seconds)
    return statistics.fmean((y[k + 1] - y[k]) / (x[k + 1] - x[k]) for k in range(len(x) - 1))


def intercept(lengths, seconds):
    """This is the line's height at log N = 0, its intercept; asked is its slope."""
    x, y = _logs(lengths), _logs(seconds)
    return statistics.fmean(y) - _slope(x, y) * statistics.fmean(x)


def axes_swapped(lengths, seconds):
    """The axes are swapped: seconds are explained by lengths, not lengths by seconds."""
    return _slope(_logs(seconds), _logs(lengths))


def through_the_origin(lengths, seconds):
    """This line is forced through the origin: one place would have to take one second. Subtract both means first."""
    x, y = _logs(lengths), _logs(seconds)
    return sum(s * t for s, t in zip(x, y, strict=True)) / sum(s * s for s in x)


def correlation(lengths, seconds):
    """This is a correlation, near 1 for any growth: divide by the squares of the lengths' logs alone."""
    return statistics.correlation(_logs(lengths), _logs(seconds))


MISTAKES_2 = [
    no_logs, log_of_seconds_only, log_of_lengths_only, log10_over_log2, log2_over_log10, end_points_only,
    mean_of_the_steps, intercept, axes_swapped, through_the_origin, correlation,
]  # fmt: skip


@exercise("24.2", "one number for a whole column of seconds.")
def check_24_2(answer):
    """**Exercise 24.2 · ●●○○○ · 8 min** - the exponent of growth

    Write `growth_exponent(lengths, seconds)`: two lists of equal size, `seconds[i]` measured at `lengths[i]`. If
    seconds = c · N^p, then log seconds = log c + p · log N. Return p: the slope of the line of least squares through
    the points (log length, log seconds), all of them.

    Hint 1: the slope is Σ (x - mean x)(y - mean y) / Σ (x - mean x)².
    Hint 2: x and y are both logarithms, to the same base; `torch.tensor(lengths).log()` takes a whole list.
    Solution: x, y = torch.tensor(lengths).log(), torch.tensor(seconds).log(); x, y = x - x.mean(), y - y.mean();
    return float((x * y).sum() / (x * x).sum())
    """
    rng = fresh()
    inputs = []
    for lengths, p, bend in (([256, 512, 1024, 2048, 4096], 2, 0.3), ([100, 300, 500, 2000, 2500, 9000], 1, -0.4),
                             ([512, 1024, 4096, 8192], 1.5, 0.2)):  # fmt: skip
        noise = (0.1 * torch.randn(len(lengths), generator=rng)).tolist()
        noise[1] += bend
        inputs.append((lengths, [2e-6 * N**p * math.exp(e) for N, e in zip(lengths, noise, strict=True)]))
    judge(answer, inputs, growth_exponent, MISTAKES_2)


# --- 24.3 from which length? ------------------------------------------------------------------------------------------


def _gains(dense: list[float], other: list[float]) -> list[float]:
    return [math.log(a / b) for a, b in zip(dense, other, strict=True)]


def _between(lengths: list[int], gains: list[float], i: int) -> float:
    """Where the straight line of the gains through lengths i and i + 1, on a log scale, is 0."""
    share = -gains[i] / (gains[i + 1] - gains[i])
    return lengths[i] * (lengths[i + 1] / lengths[i]) ** share


def break_even(lengths: list[int], dense: list[float], other: list[float]) -> float | None:
    gains = _gains(dense, other)
    slower = [i for i, gain in enumerate(gains) if gain <= 0]
    if not slower:
        return lengths[0]
    return None if slower[-1] == len(lengths) - 1 else _between(lengths, gains, slower[-1])


def first_crossing(lengths, dense, other):
    """This is the first crossing; later the other one falls behind again. Asked is from where it *stays* faster."""
    gains = _gains(dense, other)
    if gains[0] > 0:
        return lengths[0]
    first = next((i for i, gain in enumerate(gains) if gain > 0), None)
    return None if first is None else _between(lengths, gains, first - 1)


def stays_or_first(lengths, dense, other):
    """It is None only if the other one is never faster; it is None as well if it is not faster at the last length."""
    found = break_even(lengths, dense, other)
    return first_crossing(lengths, dense, other) if found is None else found


def straight_seconds(lengths, dense, other):
    """These are straight lines in seconds and places; here lines are straight on log scales, both of them."""
    if break_even(lengths, dense, other) in (None, lengths[0]):
        return break_even(lengths, dense, other)
    gains = [a - b for a, b in zip(dense, other, strict=True)]
    i = max(i for i, gain in enumerate(gains) if gain <= 0)
    return lengths[i] - gains[i] / (gains[i + 1] - gains[i]) * (lengths[i + 1] - lengths[i])


def lengths_without_log(lengths, dense, other):
    """The seconds have their logarithm, the lengths between two measurements do not: interpolate log N, then exp."""
    if break_even(lengths, dense, other) in (None, lengths[0]):
        return break_even(lengths, dense, other)
    gains = _gains(dense, other)
    i = max(i for i, gain in enumerate(gains) if gain <= 0)
    return lengths[i] - gains[i] / (gains[i + 1] - gains[i]) * (lengths[i + 1] - lengths[i])


def no_interpolation(lengths, dense, other):
    """This is the first length measured at which it is faster; the crossing lies between two lengths, find it."""
    found = break_even(lengths, dense, other)
    return None if found is None else next(length for length in lengths if length >= found)


def smallest_difference(lengths, dense, other):
    """The length at which the seconds differ least is often the shortest, where all is quick; look for a crossing."""
    return min(zip(lengths, dense, other, strict=True), key=lambda row: abs(row[1] - row[2]))[0]


def extrapolates(lengths, dense, other):
    """Where it is not faster at the last length nothing was measured that says when it will be: None, no guess."""
    found = break_even(lengths, dense, other)
    return _between(lengths, _gains(dense, other), len(lengths) - 2) if found is None else found


def last_for_never(lengths, dense, other):
    """At the last length it is not faster, and yet that length is returned: it is None then."""
    found = break_even(lengths, dense, other)
    return lengths[-1] if found is None else found


def extrapolates_below(lengths, dense, other):
    """If it is faster everywhere, the answer is the first length; what happens below was not measured."""
    gains = _gains(dense, other)
    return _between(lengths, gains, 0) if min(gains) > 0 else break_even(lengths, dense, other)


def none_for_everywhere(lengths, dense, other):
    """If it is faster everywhere there is no crossing, but there is an answer: the first length."""
    return None if min(_gains(dense, other)) > 0 else break_even(lengths, dense, other)


def faster_everywhere_or_never(lengths, dense, other):
    """It need not be faster from the first length on: find where it begins to stay faster, up to the last one."""
    return lengths[0] if min(_gains(dense, other)) > 0 else None


def dense_is_faster(lengths, dense, other):
    """The two are swapped: this finds from where *dense* attention stays faster."""
    return break_even(lengths, other, dense)


def always_none(lengths, dense, other):
    """This is None for all measurements, also where there is a break-even; is a `return` missing?"""
    return None


MISTAKES_3 = [
    first_crossing, stays_or_first, straight_seconds, lengths_without_log, no_interpolation, smallest_difference,
    extrapolates, last_for_never, extrapolates_below, none_for_everywhere, faster_everywhere_or_never, dense_is_faster,
    always_none,
]  # fmt: skip

NEVER = type("None", (), {"__repr__": lambda self: "None"})()


def _never(function: Callable) -> Callable:
    """`function` with NEVER for None, which `judge` takes for a missing return."""

    @functools.wraps(function)
    def asked(*arguments):
        found = function(*arguments)
        return NEVER if found is None else found

    return asked


@exercise("24.3", "no promise beyond what was measured.")
def check_24_3(answer):
    """**Exercise 24.3 · ●●●○○ · 12 min** - from which length?

    Write `break_even(lengths, dense, other)`: three lists, seconds of `dense` and of an `other` attention at growing
    `lengths`. Return the shortest length from which `other` is faster and *stays* faster up to the last length. It lies
    between two lengths: there both seconds are straight lines in log length and log seconds. If `other` is faster
    everywhere, return the first length; if it is not faster at the last one, None.

    Hint 1: with gain = log(dense / other), look for the last length at which the gain is not positive.
    Hint 2: between lengths i and i + 1 the gain is 0 at the share -gain[i] / (gain[i + 1] - gain[i]) of the way from
    log lengths[i] to log lengths[i + 1].
    Solution: gains = [math.log(a / b) for a, b in zip(dense, other)]; slower = [i for i, gain in enumerate(gains) if
    gain <= 0]; if not slower: return lengths[0]; i = slower[-1]; if i == len(lengths) - 1: return None; share =
    -gains[i] / (gains[i + 1] - gains[i]); return lengths[i] * (lengths[i + 1] / lengths[i]) ** share
    """
    rng = fresh()
    lengths = [256, 512, 1024, 3072, 8192]
    inputs = []
    for ratios in ((0.3, 0.7, 1.6, 3, 9), (0.5, 1.4, 0.8, 2.5, 6), (1.3, 0.9, 0.6, 0.8, 1.7), (1.2, 1.5, 2.5, 4, 8),
                   (0.4, 1.3, 1.2, 1.05, 0.9), (0.1, 0.2, 0.3, 0.5, 0.8)):  # fmt: skip
        speed = 0.5 + torch.rand(1, generator=rng).item()
        dense = [speed * 1e-8 * N**2 for N in lengths]
        inputs.append((lengths, dense, [d / ratio for d, ratio in zip(dense, ratios, strict=True)]))
    judge(_never(answer), inputs, _never(break_even), [_never(mistake) for mistake in MISTAKES_3])


# --- 24.4 who has won? ------------------------------------------------------------------------------------------------


def verdict(a: list[float], b: list[float]) -> str:
    if min(a) > max(b):
        return "a"
    return "b" if min(b) > max(a) else "not distinguishable"


def _said(a_wins: bool, b_wins: bool) -> str:
    return "a" if a_wins else "b" if b_wins else "not distinguishable"


def means_only(a, b):
    """This compares means and forgets the seeds: another draw of them, and the other one wins."""
    return _said(statistics.fmean(a) > statistics.fmean(b), statistics.fmean(b) > statistics.fmean(a))


def medians_only(a, b):
    """This compares medians and forgets how far seeds lie apart: the ranges may overlap."""
    return _said(statistics.median(a) > statistics.median(b), statistics.median(b) > statistics.median(a))


def best_seeds(a, b):
    """This compares the best seed of each: whoever tries more seeds wins."""
    return _said(max(a) > max(b), max(b) > max(a))


def worst_seeds(a, b):
    """This compares the worst seed of each; to win, the worst seed must beat the other one's best."""
    return _said(min(a) > min(b), min(b) > min(a))


def standard_error_of_one(a, b):
    """The difference of means is held against the standard error of `a` alone; asked are the ranges of both."""
    gap, error = statistics.fmean(a) - statistics.fmean(b), statistics.stdev(a) / len(a) ** 0.5
    return _said(gap > error, -gap > error)


def deviations_overlap(a, b):
    """These intervals are mean ± standard deviation; here they go from the smallest to the largest score."""
    (m, s), (n, t) = ((statistics.fmean(x), statistics.stdev(x)) for x in (a, b))
    return _said(m - s > n + t, n - t > m + s)


def mean_outside(a, b):
    """It is not enough that one's mean lies outside the other's range: the ranges themselves must not meet."""
    return _said(min(a) > statistics.fmean(b), min(b) > statistics.fmean(a))


def seed_by_seed(a, b):
    """Seeds are not pairs: seed 0 of `a` and seed 0 of `b` have nothing in common. Each of `a` meets each of `b`."""
    pairs = list(zip(a, b, strict=False))
    return _said(all(x > y for x, y in pairs), all(x < y for x, y in pairs))


def lower_is_better(a, b):
    """The winner is the one with the *larger* scores: these are accuracies."""
    return _said(max(a) < min(b), max(b) < min(a))


def touching_is_enough(a, b):
    """Ranges that touch in one point overlap: equal scores distinguish nobody."""
    return _said(min(a) >= max(b), min(b) >= max(a))


def touching_for_b(a, b):
    """Where `b` touches `a` from above nobody has won, as little as the other way round: `>`, not `>=`."""
    return _said(min(a) > max(b), min(b) >= max(a))


def only_a_can_win(a, b):
    """`b` may win as well: its smallest score above the largest of `a`."""
    return _said(min(a) > max(b), False)


def sorted_already(a, b):
    """Seeds come in any order: the first score is not the smallest, the last is not the largest."""
    return _said(a[0] > b[-1], b[0] > a[-1])


MISTAKES_4 = [
    means_only, medians_only, best_seeds, worst_seeds, standard_error_of_one, deviations_overlap, mean_outside,
    seed_by_seed, lower_is_better, touching_is_enough, touching_for_b, only_a_can_win, sorted_already,
]  # fmt: skip


@exercise("24.4", "and most of the time nobody has.")
def check_24_4(answer):
    """**Exercise 24.4 · ●●○○○ · 6 min** - who has won?

    Write `verdict(a, b)`: two lists of accuracies, one for each seed, in any order; they may differ in number. Each
    gives an interval, from its smallest score to its largest. Return "a" or "b", whichever interval lies wholly above
    the other, or "not distinguishable" if they overlap. To touch is to overlap.

    Hint 1: `a` has won if even its worst seed is better than the best one of `b`.
    Hint 2: `min(a) > max(b)`, the same the other way round, and in all other cases nobody.
    Solution: if min(a) > max(b): return "a"; return "b" if min(b) > max(a) else "not distinguishable"
    """
    rng = fresh()
    inputs = []
    for a, b in (
        ([0.71, 0.80, 0.75], [0.55, 0.62, 0.70]), ([0.41, 0.37, 0.45], [0.60, 0.51, 0.48, 0.55]),
        ([0.70, 0.90, 0.72], [0.69, 0.50, 0.68]), ([0.70, 0.80, 0.80, 0.80, 0.80], [0.50, 0.50, 0.50, 0.50, 0.71]),
        ([0.60, 0.63, 0.66], [0.60, 0.55, 0.52]), ([0.50, 0.54, 0.58], [0.64, 0.58, 0.66]),
        ([0.52, 0.60, 0.70], [0.51, 0.55, 0.65]), ([0.30, 0.32, 0.34], [0.31, 0.35, 0.33]),
        ([0.66, 0.48, 0.58], [0.50, 0.64, 0.47]), ([0.69, 0.50, 0.68], [0.90, 0.72, 0.70]),
        ([0.61, 0.60, 0.95], [0.70, 0.71, 0.64]), ([0.90, 0.40, 0.41], [0.60, 0.62, 0.64]),
        ([0.52, 0.50, 0.54], [0.90, 0.30, 0.60]), ([0.70, 0.50, 0.72, 0.71], [0.52, 0.60, 0.55]),
    ):  # fmt: skip
        shift = 0.1 * torch.rand(1, generator=rng).item()
        inputs.append(([x + shift for x in a], [x + shift for x in b]))
    judge(answer, inputs, verdict, MISTAKES_4)


# --- 24.5 does it leak? -----------------------------------------------------------------------------------------------
#
# Attentions of (B, H, N, d); all claim to be causal. Their docstrings are said to whoever judges them wrongly.


def _earlier(N: int) -> Tensor:
    return torch.ones(N, N, dtype=torch.bool).tril()


def _masked(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5                 # (B, H, N, N)
    return scores.masked_fill(~allowed, -torch.inf).softmax(-1) @ v


def _normalised(queries: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    table = (queries @ keys.transpose(-2, -1)).tril()                      # (B, H, N, N)
    return table @ v / table.sum(-1, keepdim=True)


def honest(q, k, v):
    """softmax attention with a triangular mask"""
    return _masked(q, k, v, _earlier(q.shape[-2]))


def honest_window(q, k, v):
    """a window of the five places before each place"""
    return _masked(q, k, v, _earlier(q.shape[-2]).triu(-5))


def honest_linear(q, k, v):
    """causal linear attention, by running sums"""
    queries, keys = F.elu(q) + 1, F.elu(k) + 1
    sums = (keys.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(-3)               # (B, H, N, d, d)
    total = (queries * keys.cumsum(-2)).sum(-1, keepdim=True)
    return (queries.unsqueeze(-2) @ sums).squeeze(-2) / total


def honest_but_rounded(q, k, v):
    """softmax attention with a triangular mask, whose sums are rounded otherwise each time, by 1e-6"""
    found = honest(q, k, v)
    phase = 1e3 * float((q.detach() + 2 * k.detach() + 3 * v.detach()).double().sum())
    return found + 1e-6 * torch.sin(torch.arange(found.numel()).double() + phase).view_as(found).to(found)


def without_a_mask(q, k, v):
    """softmax attention without any mask"""
    return _masked(q, k, v, _earlier(q.shape[-2]) | True)


def one_place_too_far(q, k, v):
    """a triangular mask that is off by one: each place sees the next"""
    N = q.shape[-2]
    return _masked(q, k, v, torch.ones(N, N, dtype=torch.bool).tril(1))


def within_its_block(q, k, v):
    """a mask of blocks of 16: each place sees its own block to the end"""
    block = torch.arange(q.shape[-2]) // 16
    return _masked(q, k, v, block <= block.unsqueeze(1))


def twice_as_far(q, k, v):
    """a triangular mask, and place i also sees place 2i"""
    place = torch.arange(q.shape[-2])
    return _masked(q, k, v, _earlier(len(place)) | (place == 2 * place.unsqueeze(1)))


def forty_ahead(q, k, v):
    """a triangular mask, and each place also sees the one 40 places ahead"""
    place = torch.arange(q.shape[-2])
    return _masked(q, k, v, _earlier(len(place)) | (place == place.unsqueeze(1) + 40))


def masked_after_softmax(q, k, v):
    """the mask comes after the softmax: values do not leak, but all keys are in the normaliser"""
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1).tril() @ v


def values_centred(q, k, v):
    """the mean of all values is taken off first: only values leak"""
    return honest(q, k, v - v.mean(-2, keepdim=True))


def largest_query(q, k, v):
    """features of queries, divided by a maximum over all queries, detached, and then 1e-2 added"""
    return _normalised((q - q.detach().amax((-2, -1), keepdim=True)).exp() + 1e-2, k.clamp(-9, 9).exp(), v)


def largest_key(q, k, v):
    """features of keys, divided by a maximum over all keys, detached, and then 1e-2 added"""
    queries = (q - q.amax(-1, keepdim=True)).exp()
    return _normalised(queries, (k - k.detach().amax((-2, -1), keepdim=True)).exp() + 1e-2, v)


def sorted_keys(q, k, v):
    """all places sorted by their keys and cut into groups of 8; each place sees earlier ones of its group"""
    group = k[..., 0].argsort(-1).argsort(-1) // 8                        # (B, H, N)
    return _masked(q, k, v, (group.unsqueeze(-1) == group.unsqueeze(-2)) & _earlier(q.shape[-2]))


def longest_keys(q, k, v):
    """each place sees itself and those earlier keys that are among the longest quarter of the whole text"""
    N = q.shape[-2]
    sizes = k.detach().norm(dim=-1)                                       # (B, H, N)
    chosen = sizes >= sizes.topk(max(1, N // 4), -1).values[..., -1:]
    return _masked(q, k, v, (chosen.unsqueeze(-2) & _earlier(N)) | torch.eye(N, dtype=torch.bool))


def only_if_large(q, k, v):
    """scores are divided by the largest number among all keys, but only if that is above 40"""
    return honest(q / (k.detach().abs().amax((-2, -1), keepdim=True) / 40).clamp_min(1), k, v)


HONEST = [honest, honest_window, honest_linear, honest_but_rounded]
LEAKING = [
    without_a_mask, one_place_too_far, within_its_block, twice_as_far, forty_ahead, masked_after_softmax,
    values_centred, largest_query, largest_key, sorted_keys, longest_keys, only_if_large,
]  # fmt: skip


@functools.cache
def _moved(
    attend: Callable, cuts: tuple[int, ...] = (), what: str = "qkv", size: float = 100.0, N: int = 64,
    last_only: bool = False,
) -> float:  # fmt: skip
    """The largest change of an output before a cut (1, 6, 11, … or `cuts`), when `what` behind it is changed."""
    rng = torch.Generator().manual_seed(24)
    inputs = torch.randn(3, 1, 2, N, 8, generator=rng)                    # queries, keys, values
    before, largest = attend(*inputs), 0.0
    for cut in cuts or range(1, N, 5):
        changed, new = inputs.clone(), size * torch.randn(inputs.shape, generator=rng)
        for row in ("qkv".index(letter) for letter in what):
            first = N - 1 if last_only else cut
            changed[row, :, :, first:] = new[row, :, :, first:]
        largest = max(largest, float((attend(*changed) - before)[:, :, :cut].abs().max()))
        if largest > 1e-3:
            break
    return largest


def leaks(attend: Callable) -> bool:
    return _moved(attend) > 1e-4


def by_gradient(attend):
    """This asks the gradient. Sorting, a threshold and a detached maximum have none, and leak all the same: change the
    later inputs and compare."""
    rng = torch.Generator().manual_seed(24)
    q, k, v = (torch.randn(1, 2, 64, 8, generator=rng, requires_grad=True) for _ in range(3))
    out = attend(q, k, v)
    for cut in range(1, 64, 5):
        found = torch.autograd.grad(out[:, :, :cut].square().sum(), (q, k, v), retain_graph=True, allow_unused=True)
        if any(g is not None and float(g[:, :, cut:].abs().max()) > 1e-6 for g in found):
            return True
    return False


def values_only(attend):
    """Only the later values are changed: what leaks through keys or queries is not seen. Change all three."""
    return _moved(attend, what="v") > 1e-4


def keys_only(attend):
    """Only the later keys are changed: what leaks through values or queries is not seen. Change all three."""
    return _moved(attend, what="k") > 1e-4


def queries_spared(attend):
    """Later keys and values are changed, later queries are not: one of these attentions leaks through them alone."""
    return _moved(attend, what="kv") > 1e-4


def a_little_at_the_end(attend):
    """The last place is changed a little and the first one watched: most leaks are elsewhere, or need a larger push."""
    return _moved(attend, cuts=(1,), size=0.01, last_only=True) > 1e-4


def last_place_only(attend):
    """Only the last place is changed, and one of these attentions never looks at that. Change all places behind t."""
    return _moved(attend, cuts=(63,), last_only=True) > 1e-4


def one_cut_in_the_middle(attend):
    """This cuts once, in the middle. A leak may stop right there, at the end of a block: try every place t."""
    return _moved(attend, cuts=(32,)) > 1e-4


def first_place_only(attend):
    """Only the output at the first place is compared; other places see the future too: compare all before t."""
    return _moved(attend, cuts=(1,)) > 1e-4


def small_changes_only(attend):
    """The change is as small as the inputs: one of these attentions leaks only when a number is large, such as 100."""
    return _moved(attend, size=1.0) > 1e-4


def short_texts_only(attend):
    """These texts are too short: one of the attentions looks 40 places ahead. Take N = 64."""
    return _moved(attend, N=16) > 1e-4


def exact_equality(attend):
    """It accuses an attention that differs by rounding only, 1e-6: compare with a tolerance, such as 1e-4 (the default
    of torch.allclose, atol=1e-8, is too strict near 0)."""
    return _moved(attend) > 0


def accuses_all(attend):
    """It accuses all of them, honest ones too. Compare outputs *before* the changed places only, and without nan, for
    0 times nan is nan."""
    return True


def accuses_nobody(attend):
    """It accuses nobody, not even an attention without a mask: are later inputs really changed, and the two outputs two
    different tensors?"""
    return False


def turned_round(attend):
    """This is the wrong way round: True means that it leaks."""
    return not leaks(attend)


MISTAKES_5 = [
    by_gradient, values_only, keys_only, queries_spared, a_little_at_the_end, last_place_only, one_cut_in_the_middle,
    first_place_only, small_changes_only, short_texts_only, exact_equality, accuses_all, accuses_nobody, turned_round,
]  # fmt: skip


@exercise("24.5", "whoever wants to race as causal must pass this first.")
def check_24_5(answer):
    """**Exercise 24.5 · ●●●●○ · 12 min** - does it leak?

    Write `leaks(attend)`: `attend(q, k, v)` takes three tensors (B, H, N, d) and returns (B, H, N, d), and claims to be
    causal. Return True if other queries, keys or values at places t, t + 1, … change an output before t, whatever t
    is; False if not. Choose inputs of your own, with N = 64. Some leaks have gradient 0, some need numbers like 100,
    and a difference of 1e-6 is rounding, not a leak.

    Hint 1: run it once; then, for each t, on copies in which everything from t on is replaced; compare `[:, :, :t]`.
    Hint 2: `changed[:, :, :, t:] = 100 * torch.randn(3, B, H, N - t, d)` replaces all three at once, if they are
    stacked; a tolerance of 1e-4 forgives rounding.
    Solution: inputs = torch.randn(3, 1, 2, 64, 8); before = attend(*inputs); for t in range(1, 64): changed =
    inputs.clone(); changed[:, :, :, t:] = 100 * torch.randn(3, 1, 2, 64 - t, 8); after = attend(*changed); if (after -
    before)[:, :, :t].abs().max() > 1e-4: return True; and at the end return False
    """
    asked = [(attend,) for attend in HONEST + LEAKING]
    try:
        judge(answer, asked, _truth, MISTAKES_5)
    except Hint as hint:
        if str(hint) in {said for _, _, said in gallery(MISTAKES_5)}:
            raise
    else:
        return
    for arguments in asked:
        try:
            judge(answer, [arguments], _truth)
        except Hint as hint:
            raise Hint(f"{hint} It was asked about this one: {arguments[0].__doc__}.") from None
    raise Hint("asked twice about the same attentions, it says different things: are its changes large enough?")


def _truth(attend: Callable) -> bool:
    return attend in LEAKING


# --- 24.6 the judge of ListOps ----------------------------------------------------------------------------------------


def evaluate(text: str) -> int:
    return evaluate_listops([_id(token) for token in text.split()])


def _id(token: str) -> int:
    if token == "]":
        return CLOSE
    return 11 + OPERATORS.index(token[1:]) if token[0] == "[" else 1 + int(token)


def _text(tokens: list[int]) -> str:
    return " ".join("]" if t == CLOSE else f"[{OPERATORS[t - 11]}" if t > 10 else str(t - 1) for t in tokens if t)


def _evaluate(text, closes=-1, middle=lambda x: sorted(x)[(len(x) - 1) // 2], total=lambda x: sum(x) % 10):
    stack = [[]]
    for token in text.split():
        if token[0] == "[":
            stack.append([token[1:]])
        elif token != "]":
            stack[-1].append(int(token))
        else:
            op, *x = stack.pop(closes)
            stack[-1].append({"MAX": max(x), "MIN": min(x), "MED": middle(x), "SM": total(x)}[op])
    return stack[0][0]


def _upper(x):
    return sorted(x)[len(x) // 2]


def three_faults(text):
    """There are three. Try "[MED 1 2 8 9 ]", which is 2, "[SM 7 8 ]", which is 5, and "[MIN 7 [MAX 2 9 ] 8 ]": 7."""
    return _evaluate(text, 1, _upper, sum)


def brackets_left(text):
    """MED and SM are right. But "]" still closes the bracket opened first; it belongs to the one opened last."""
    return _evaluate(text, 1)


def median_left(text):
    """Brackets and SM are right. Of an even number of values MED still takes the upper of the two in the middle."""
    return _evaluate(text, -1, _upper)


def sum_left(text):
    """Brackets and MED are right. SM still is the whole sum: all values are digits, so it is taken modulo 10."""
    return _evaluate(text, -1, total=sum)


def brackets_and_median_left(text):
    """SM is right now. MED of an even number of values is not yet, nor is the bracket that "]" closes."""
    return _evaluate(text, 1, _upper)


def brackets_and_sum_left(text):
    """MED is right now. SM is not yet a digit, and "]" does not close the bracket it should."""
    return _evaluate(text, 1, total=sum)


def median_and_sum_left(text):
    """The brackets are right now. "[MED 1 2 8 9 ]" must be 2 and "[SM 7 8 ]" must be 5."""
    return _evaluate(text, -1, _upper, sum)


def flat(text):
    """Nesting is lost: all digits go to the first operator. What stands in inner brackets is worked out first."""
    digits = " ".join(token for token in text.split() if token.isdigit())
    return _evaluate(f"{text.split()[0]} {digits} ]")


def modulo_at_the_end(text):
    """The last result is taken modulo 10, but an inner SM of 12 goes on as 12, and wins every MAX."""
    return _evaluate(text, total=sum) % 10


def mean_of_the_middle(text):
    """MED of an even number of values is the lower of the two in the middle, not their mean: results are digits."""
    return _evaluate(text, middle=statistics.median)


def unsorted_median(text):
    """MED takes the middle of the values as they stand; they must be sorted first."""
    return _evaluate(text, middle=lambda x: x[(len(x) - 1) // 2])


def modulo_9(text):
    """SM is the sum modulo 10: there are ten digits, and 9 stays 9."""
    return _evaluate(text, total=lambda x: sum(x) % 9)


MISTAKES_6 = [
    three_faults, brackets_left, median_left, sum_left, brackets_and_median_left, brackets_and_sum_left,
    median_and_sum_left, flat, modulo_at_the_end, mean_of_the_middle, unsorted_median, modulo_9,
]  # fmt: skip

TEXTS = [
    "[MED 1 2 8 9 ]", "[MED 7 1 4 ]", "[SM 7 8 ]", "[SM 4 5 ]", "[MIN 7 [MAX 2 9 ] 8 ]", "[MAX 2 9 [MIN 4 7 ] 0 ]",
    "[MAX 3 [SM 6 6 ] 1 ]", "[SM [MED 9 0 6 2 ] [MAX 5 8 ] [SM 9 9 ] ]",
]  # fmt: skip


@exercise("24.6", "now the race has a judge to be trusted.")
def check_24_6(answer):
    """**Exercise 24.6 · ●●●○○ · 10 min** - repair the judge

    `evaluate(text)` works out an expression of ListOps, tokens between spaces: "[MAX 2 9 [MIN 4 7 ] 0 ]" is 9. MED is
    the median, of an even number of values the lower of the two in the middle; SM is the sum modulo 10. Three faults
    are planted. Repair it:

        def evaluate(text):
            stack = [[]]
            for token in text.split():
                if token[0] == "[":
                    stack.append([token[1:]])
                elif token != "]":
                    stack[-1].append(int(token))
                else:
                    op, *x = stack.pop(1)
                    stack[-1].append({"MAX": max(x), "MIN": min(x), "MED": sorted(x)[len(x) // 2], "SM": sum(x)}[op])
            return stack[0][0]

    Hint 1: a "]" belongs to the bracket opened last; which one does `stack.pop(1)` take?
    Hint 2: of four sorted values the lower middle one is number 1, of five number 2: (len(x) - 1) // 2.
    Solution: stack.pop(), sorted(x)[(len(x) - 1) // 2], sum(x) % 10; the rest stays.
    """
    drawn = draw_listops(12, (8, 30), fresh(), depth=3).source.tolist()
    judge(answer, [(text,) for text in TEXTS + list(map(_text, drawn))], evaluate, MISTAKES_6, planted=three_faults)


# --- what proves them -------------------------------------------------------------------------------------------------


def _by_formula(N, d, H, kind, r):
    r = min(r, N - 1)
    pairs = {"dense": N * N, "window": N * (2 * r + 1) - r * (r + 1), "linear": N * (d + 1)}[kind]
    return 2.0 * pairs * d * H


def _by_polyfit(lengths, seconds):
    return np.polyfit(np.log2(lengths), np.log2(seconds), 1)[0]


def _backwards(lengths, dense, other):
    logs = [[math.log10(x) for x in row] for row in (lengths, dense, other)]
    if other[-1] >= dense[-1]:
        return None
    points = list(zip(*logs, strict=True))
    for (n, a, b), (m, c, e) in zip(points[-2::-1], points[:0:-1], strict=True):
        if b >= a:
            return 10 ** (n + (m - n) * (b - a) / (b - a + c - e))
    return float(lengths[0])


def _each_against_each(a, b):
    if all(x > y for x in a for y in b):
        return "a"
    return "b" if all(y > x for x in a for y in b) else "not distinguishable"


def _by_replacement(attend):
    inputs = torch.randn(3, 1, 2, 64, 8)
    before = attend(*inputs)
    for t in range(1, 64):
        changed = inputs.clone()
        changed[:, :, :, t:] = 100 * torch.randn(3, 1, 2, 64 - t, 8)
        after = attend(*changed)
        if (after - before)[:, :, :t].abs().max() > 1e-4:
            return True
    return False


def _by_addition(attend):
    q, k, v = (torch.randn(2, 1, 80, 4, dtype=torch.float64) for _ in range(3))
    before = attend(q, k, v)
    for t in range(1, 80):
        late = (torch.arange(80) >= t).view(-1, 1) * 500 * torch.rand(80, 4)
        if not torch.allclose(before[:, :, :t], attend(q + late, k - late, v + late)[:, :, :t], atol=1e-5):
            return True
    return False


CHECKS = {
    "24_1": Check(check_24_1, [operations, _by_formula], gallery(MISTAKES_1)),
    "24_2": Check(check_24_2, [growth_exponent, _by_polyfit], gallery(MISTAKES_2)),
    "24_3": Check(check_24_3, [break_even, _backwards], gallery(MISTAKES_3)),
    "24_4": Check(check_24_4, [verdict, _each_against_each], gallery(MISTAKES_4)),
    "24_5": Check(check_24_5, [leaks, _by_replacement, _by_addition], gallery(MISTAKES_5)),
    "24_6": Check(check_24_6, [evaluate, _evaluate], gallery(MISTAKES_6), stub=three_faults),
}
