"""Exercises of notebook 09, where to look. Tasks, hints and solutions stand in the checks' docstrings, mistakes in the
functions above each check; how they become cells: course_utils/exercises/checking.py. Many of the mistakes are those of
public code: a Gaussian on the scores, a product that is not exclusive, a division by products that vanish, an alignment
that is carried into the next sentence.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge, lengths_mask

# --- 09.1 local-p -----------------------------------------------------------------------------------------------------


def local_p_of(scores: Tensor, centre: Tensor, window: int, mask: Tensor) -> Tensor:
    rows = torch.zeros_like(scores)
    for b in range(len(scores)):
        near = [s for s in range(scores.shape[1]) if mask[b, s] and abs(s - float(centre[b])) <= window]
        for s, weight in zip(near, scores[b, near].softmax(0), strict=True):
            rows[b, s] = weight * torch.exp(-2 * (s - centre[b]) ** 2 / window**2)
    return rows


def _away(scores, centre):
    return torch.arange(scores.shape[1]) - centre.unsqueeze(-1)


def _inside(scores, centre, window, mask):
    return mask & (_away(scores, centre).abs() <= window)


def _over(scores, allowed):
    return scores.masked_fill(~allowed, -torch.inf).softmax(-1).nan_to_num()


def _bell(scores, centre, sigma):
    return torch.exp(-_away(scores, centre).square() / (2 * sigma**2))


def bell_on_the_scores(scores, centre, window, mask):
    """The Gaussian multiplies the scores, before the softmax: a negative score far from the centre is pulled up
    towards 0, and gains weight. It multiplies the weights."""
    return _over(scores * _bell(scores, centre, window / 2), _inside(scores, centre, window, mask))


def summing_to_one(scores, centre, window, mask):
    """The weights sum to 1 here. Those of local-p do not: what the Gaussian takes away is not given back."""
    weights = local_p_of(scores, centre, window, mask)
    return weights / weights.sum(-1, keepdim=True)


def softmax_over_all(scores, centre, window, mask):
    """The softmax runs over the whole sentence, and the window cuts it afterwards. Let only the words of the window
    share the weight."""
    return _over(scores, mask) * _inside(scores, centre, window, mask) * _bell(scores, centre, window / 2)


def no_window(scores, centre, window, mask):
    """Words outside the window have weight too, if little: the Gaussian alone does not end anywhere."""
    return _over(scores, mask) * _bell(scores, centre, window / 2)


def no_bell(scores, centre, window, mask):
    """The window is right, but all its words count alike: the Gaussian is missing."""
    return _over(scores, _inside(scores, centre, window, mask))


def sigma_is_the_window(scores, centre, window, mask):
    """The Gaussian is too wide: its σ is half the window, D/2."""
    return _over(scores, _inside(scores, centre, window, mask)) * _bell(scores, centre, window)


def two_forgotten(scores, centre, window, mask):
    """The Gaussian is too narrow: in its exponent the square is divided by 2σ², here by σ²."""
    return _over(scores, _inside(scores, centre, window, mask)) * _bell(scores, centre, window / 2 / 2**0.5)


def no_square(scores, centre, window, mask):
    """The distance is not squared in the exponent: this is a tent with a long tail, not a Gaussian."""
    sigma = window / 2
    bell = torch.exp(-_away(scores, centre).abs() / (2 * sigma**2))
    return _over(scores, _inside(scores, centre, window, mask)) * bell


def rounded_centre(scores, centre, window, mask):
    """The centre has been rounded to a whole word. It is a real number, and only so does it have a gradient."""
    return local_p_of(scores, centre.round(), window, mask)


def rounded_down_centre(scores, centre, window, mask):
    """The centre has been rounded down to a whole word: it is a real number, in the window and in the Gaussian."""
    return local_p_of(scores, centre.floor(), window, mask)


def half_the_window(scores, centre, window, mask):
    """The window reaches only D/2 to each side: it is D words to the left and D to the right."""
    return _over(scores, _inside(scores, centre, window / 2, mask)) * _bell(scores, centre, window / 2)


def without_the_edge(scores, centre, window, mask):
    """A word exactly D away from the centre belongs to the window: <=, not <."""
    near = mask & (_away(scores, centre).abs() < window)
    return _over(scores, near) * _bell(scores, centre, window / 2)


def pads_in_the_window(scores, centre, window, mask):
    """Pads inside the window take part: the mask is not used."""
    return local_p_of(scores, centre, window, torch.ones_like(mask))


def bell_alone(scores, centre, window, mask):
    """This is the Gaussian alone: what the query thinks of the words of its window, their scores, is not in it."""
    return _inside(scores, centre, window, mask) * _bell(scores, centre, window / 2)


def normal_density(scores, centre, window, mask):
    """The Gaussian here is a density, divided by σ√(2π). It should be 1 at the centre."""
    return local_p_of(scores, centre, window, mask) / (window / 2 * (2 * torch.pi) ** 0.5)


MISTAKES_1 = [
    bell_on_the_scores, summing_to_one, softmax_over_all, no_window, no_bell, sigma_is_the_window, two_forgotten,
    no_square, rounded_centre, rounded_down_centre, half_the_window, without_the_edge, pads_in_the_window, bell_alone,
    normal_density,
]  # fmt: skip


@exercise("09.1", "the window shares the weight, and the Gaussian takes its part away.")
def check_09_1(answer):
    """**Exercise 09.1 · ●●○○○ · 7 min · in class** - the weights of local-p

    Write `my_local_p(scores, centre, window, mask)`: `scores` (B, S), `centre` (B,) the real-valued place p of each
    query, `window` the number D, `mask` (B, S) bool, True at real words. A softmax over the real words with
    |s - p| <= D, then times exp(-(s - p)² / 2σ²) with σ = D/2. Words outside get weight 0. Nothing is made to sum to 1
    again. There is always a real word in the window. Return (B, S).

    Hint 1: `torch.arange(S) - centre.unsqueeze(-1)` holds s - p of every word. Which words may the softmax see?
    Hint 2: with σ = D/2 the exponent is -2 ((s - p) / D)². It multiplies after the softmax.
    Solution: away = torch.arange(scores.shape[1]) - centre.unsqueeze(-1); inside = mask & (away.abs() <= window);
    return masked_softmax(scores, inside) * torch.exp(-2 * (away / window) ** 2)
    """
    rng = fresh()
    inputs = []
    for lengths, width, window, centres in (([9, 6], 9, 2, [4.3, 5.0]), ([5, 3, 4], 6, 3, [0.6, 1.7, 3.0]),
                                            ([7], 7, 1, [3.0]), ([1, 8], 8, 4, [0.0, 6.8])):  # fmt: skip
        scores = 2 * torch.randn(len(lengths), width, generator=rng) - 1
        inputs.append((scores, torch.tensor(centres), window, lengths_mask(lengths, width)))
    inputs.append((inputs[0][0].double(), inputs[0][1].double(), 2, inputs[0][3]))
    inputs.append((torch.tensor([[-4.0, -1.0, -2.0, -5.0]]), torch.tensor([1.4]), 2, lengths_mask([4])))
    judge(answer, inputs, local_p_of, MISTAKES_1)


# --- 09.2 two objectives ----------------------------------------------------------------------------------------------


def objectives_of(weights: Tensor, log_probs: Tensor) -> tuple[Tensor, Tensor]:
    counted = torch.where(weights > 0, log_probs, torch.zeros_like(log_probs))
    largest = log_probs.masked_fill(weights == 0, -torch.inf).amax(-1, keepdim=True)
    return (weights * counted).sum(-1), (weights * (log_probs - largest).exp()).sum(-1).log() + largest.squeeze(-1)


def exchanged(weights, log_probs):
    """The two results have changed places: first the mean of the logarithms, then the logarithm of the mean."""
    return objectives_of(weights, log_probs)[::-1]


def chances_added(weights, log_probs):
    """The second result is the mean chance itself; its logarithm is asked."""
    mean, log_mean = objectives_of(weights, log_probs)
    return mean, log_mean.exp()


def vanishing(weights, log_probs):
    """Where all chances are as small as e^-200, float32 makes 0 of them, and the logarithm of 0 is -inf. Stay with the
    logarithms: `logsumexp`."""
    return objectives_of(weights, log_probs)[0], (weights * log_probs.exp()).sum(-1).log()


def nothing_times_infinity(weights, log_probs):
    """0 times -inf is nan: a source word of weight 0 is never drawn, so its log-probability must not count."""
    return (weights * log_probs).sum(-1), objectives_of(weights, log_probs)[1]


def plain_means(weights, log_probs):
    """Both are plain means over the source words: weigh them."""
    equal = torch.full_like(weights, 1 / weights.shape[-1])
    return objectives_of(equal, log_probs)


def sums_of_chances(weights, log_probs):
    """The weights are missing in the second result: log of the sum of a_j p_j."""
    return objectives_of(weights, log_probs)[0], log_probs.logsumexp(-1)


def twice_the_mean(weights, log_probs):
    """Both results are the mean of the logarithms; the second is the logarithm of the mean."""
    return (objectives_of(weights, log_probs)[0],) * 2


def twice_the_log(weights, log_probs):
    """Both results are the logarithm of the mean chance; the first is the mean of the logarithms."""
    return (objectives_of(weights, log_probs)[1],) * 2


def as_losses(weights, log_probs):
    """These are losses, with a minus. Asked are the objectives, which are never above 0."""
    return tuple(-x for x in objectives_of(weights, log_probs))


def best_word_alone(weights, log_probs):
    """The first result takes the source word of the largest weight alone. A draw may take any of them: the mean."""
    best = weights.argmax(-1, keepdim=True)
    return log_probs.gather(-1, best).squeeze(-1), objectives_of(weights, log_probs)[1]


def weights_again(weights, log_probs):
    """The weights go through a softmax here; they are weights already."""
    return objectives_of(weights.softmax(-1), log_probs)


def over_the_targets(weights, log_probs):
    """Everything is added up over the target words too; each word of them has its own two numbers."""
    return tuple(x.sum(-1) for x in objectives_of(weights, log_probs))


def log_weights_in_both(weights, log_probs):
    """In the first result the logarithms of the weights are averaged along: only those of the chances."""
    mean, log_mean = objectives_of(weights, log_probs)
    return mean + torch.where(weights > 0, weights * weights.clamp(min=1e-30).log(), 0.0).sum(-1), log_mean


MISTAKES_2 = [
    exchanged, chances_added, vanishing, nothing_times_infinity, plain_means, sums_of_chances, twice_the_mean,
    twice_the_log, as_losses, best_word_alone, weights_again, over_the_targets, log_weights_in_both,
]  # fmt: skip


@exercise("09.2", "the mean of the logarithms is never above the logarithm of the mean.")
def check_09_2(answer):
    """**Exercise 09.2 · ●●○○○ · 5 min · in class** - two objectives of one drawing

    Write `my_objectives(weights, log_probs)`: `weights` (B, T, S), rows that sum to 1; `log_probs` (B, T, S), the
    log-probability of the right target word if source word j alone is its context. Return two tensors (B, T): the mean
    of the log-probability over draws, Σ_j a_j log p_j, and the log of the mean probability, log Σ_j a_j p_j. A
    weight may be 0 and then its log p_j even -inf; log-probabilities may be as small as -200.

    Hint 1: a word of weight 0 is never drawn; make its log-probability a harmless number before you multiply.
    Hint 2: log Σ a p = logsumexp of log a + log p, which never leaves the logarithms.
    Solution: mean = (weights * log_probs.masked_fill(weights == 0, 0)).sum(-1);
    return mean, (weights.log() + log_probs).logsumexp(-1)
    """
    rng = fresh()
    inputs = []
    for B, T, S, size in ((2, 3, 4, 1.0), (1, 2, 2, 3.0), (3, 1, 5, 2.0), (1, 1, 1, 1.0)):
        weights = (2 * torch.randn(B, T, S, generator=rng)).softmax(-1)
        inputs.append((weights, -size * torch.rand(B, T, S, generator=rng) - 0.05))
    holes = inputs[0][0].clone()
    holes[0, 0, 1] = 0.0
    impossible = inputs[0][1].clone()
    impossible[0, 0, 1] = -torch.inf
    inputs.append((holes / holes.sum(-1, keepdim=True), impossible))
    inputs.append((inputs[1][0], inputs[1][1] - 195.0))
    inputs.append(tuple(x.double() for x in inputs[2]))
    judge(answer, inputs, objectives_of, MISTAKES_2)


# --- 09.3 REINFORCE ---------------------------------------------------------------------------------------------------


def reinforce_of(scores: Tensor, drawn: Tensor, reward: Tensor, baseline: float) -> Tensor:
    rows = []
    for e, s, r in zip(scores, drawn.tolist(), reward, strict=True):
        away = -e.softmax(0)
        away[s] += 1
        rows.append((r - baseline) * away)
    return torch.stack(rows)


def _chosen(scores, drawn):
    return F.one_hot(drawn, scores.shape[-1]).to(scores.dtype)


def largest_instead(scores, drawn, reward, baseline):
    """This raises the word of the largest weight, not the one that was drawn. Such a rule follows no gradient: the
    reward belongs to the draw."""
    return reinforce_of(scores, scores.argmax(-1), reward, baseline)


def downhill(scores, drawn, reward, baseline):
    """The sign is turned: this is what a loss would have. A reward above the baseline must raise the drawn score."""
    return -reinforce_of(scores, drawn, reward, baseline)


def no_baseline(scores, drawn, reward, baseline):
    """The baseline is not used: the reward counts by how far it lies above the baseline."""
    return reinforce_of(scores, drawn, reward, 0.0)


def baseline_added(scores, drawn, reward, baseline):
    """The baseline is added to the reward; subtract it."""
    return reinforce_of(scores, drawn, reward, -baseline)


def drawn_score_only(scores, drawn, reward, baseline):
    """Only the drawn score gets a gradient. What it gains, all others lose: the weights sum to 1."""
    return (reward - baseline).unsqueeze(-1) * _chosen(scores, drawn)


def of_the_chance(scores, drawn, reward, baseline):
    """This is the gradient of p(s), not of log p(s): it has p(s) as a factor, and rare draws count twice too little."""
    chance = scores.softmax(-1).gather(-1, drawn.unsqueeze(-1))
    return chance * reinforce_of(scores, drawn, reward, baseline)


def divided_by_the_chance(scores, drawn, reward, baseline):
    """This is divided by p(s) once more; the logarithm has done so already."""
    chance = scores.softmax(-1).gather(-1, drawn.unsqueeze(-1))
    return reinforce_of(scores, drawn, reward, baseline) / chance


def scores_for_weights(scores, drawn, reward, baseline):
    """From the one-hot vector the scores are subtracted; it must be the weights, their softmax."""
    return (reward - baseline).unsqueeze(-1) * (_chosen(scores, drawn) - scores)


def averaged(scores, drawn, reward, baseline):
    """This is one gradient, the mean over the draws; each draw has its own row."""
    return reinforce_of(scores, drawn, reward, baseline).mean(0)


def own_baseline(scores, drawn, reward, baseline):
    """The mean of these rewards serves as the baseline; the one given, `baseline`, is not used."""
    return reinforce_of(scores, drawn, reward, float(reward.mean()))


def reward_alone(scores, drawn, reward, baseline):
    """The baseline is subtracted from the gradient, not from the reward."""
    return reinforce_of(scores, drawn, reward, 0.0) - baseline


def ratio(scores, drawn, reward, baseline):
    """The reward is divided by the baseline; it is a difference, r - b."""
    return reinforce_of(scores, drawn, reward / baseline, 0.0)


def soft_gradient(scores, drawn, reward, baseline):
    """What was drawn is not used: the gradient is that of its log-probability."""
    return (reward - baseline).unsqueeze(-1) * (1 - scores.softmax(-1)) * scores.softmax(-1)


MISTAKES_3 = [
    largest_instead, downhill, no_baseline, baseline_added, drawn_score_only, of_the_chance, divided_by_the_chance,
    scores_for_weights, averaged, own_baseline, reward_alone, ratio, soft_gradient,
]  # fmt: skip


@exercise("09.3", "right on average, for any baseline.")
def check_09_3(answer):
    """**Exercise 09.3 · ●●●○○ · 8 min · in class** - REINFORCE for the scores

    Write `my_reinforce(scores, drawn, reward, baseline)`: `scores` (N, S) of N queries, `drawn` (N,) long, the source
    word that each drew by the softmax of its scores, `reward` (N,), the log-probability of the right word after that
    draw, `baseline` a number b. Return (N, S): for each query (r - b) times the gradient of log p(drawn) with respect
    to its scores. By hand: no autograd.

    Hint 1: log p(s) = e_s - log Σ_j exp(e_j). What is its derivative by e_s, and by another score?
    Hint 2: one-hot of the drawn word, minus the softmax.
    Solution: chosen = F.one_hot(drawn, scores.shape[1]); return (reward - baseline).unsqueeze(1) * (chosen -
    scores.softmax(1))
    """
    rng = fresh()
    inputs = []
    for N, S, baseline in ((3, 4, -1.5), (2, 2, 0.4), (1, 5, -3.0), (5, 3, -0.7)):
        scores = 1.5 * torch.randn(N, S, generator=rng)
        drawn = torch.randint(S, (N,), generator=rng)
        drawn[0] = scores[0].argmin()
        inputs.append((scores, drawn, -3 * torch.rand(N, generator=rng), baseline))
    inputs.append((inputs[0][0].double(), inputs[0][1], inputs[0][2].double(), 2.0))
    judge(answer, inputs, reinforce_of, MISTAKES_3, forbid=["autograd"])


# --- 09.4 the expected alignment of a walk ----------------------------------------------------------------------------


def walk_of(p: Tensor, previous: Tensor) -> Tensor:
    rows = []
    for chances, start in zip(p.tolist(), previous.tolist(), strict=True):
        here, row = 0.0, []
        for j, stops in enumerate(chances):
            here = here * (1 - chances[j - 1] if j else 1.0) + start[j]
            row.append(stops * here)
        rows.append(row)
    return torch.tensor(rows, dtype=p.dtype)


def _walk(p, previous, keep):
    here, row = torch.zeros_like(p[:, 0]), []
    for j in range(p.shape[1]):
        here = here * keep(j) + previous[:, j]
        row.append(p[:, j] * here)
    return torch.stack(row, 1)


def own_chance_to_go_on(p, previous):
    """The chance to arrive at word j uses 1 - p_j. Whoever arrives has not stopped at the word *before* it, which is
    1 - p_{j-1}."""
    return _walk(p, previous, lambda j: 1 - p[:, j])


def division(p, previous):
    """Short sentences are right, but the division by a cumulative product fails where that has become 0: after a
    p of 1, or after a few dozen words. Add step by step instead."""
    passed = torch.cat([torch.ones_like(p[:, :1]), (1 - p).cumprod(1)[:, :-1]], 1)
    return p * passed * (previous / passed.clamp(min=1e-10)).cumsum(1)


def inclusive_product(p, previous):
    """The cumulative product includes the word itself: to stop at j one must have passed those *before* j."""
    passed = (1 - p).cumprod(1)
    return p * passed * (previous / passed.clamp(min=1e-10)).cumsum(1)


def from_the_first_word(p, previous):
    """Every walk begins at the first word here; it begins where the last one stopped, `previous`."""
    start = torch.zeros_like(previous)
    start[:, 0] = 1.0
    return walk_of(p, start)


def from_the_likeliest(p, previous):
    """The walk begins at the likeliest place alone; all places where the last one may have stopped must be added up."""
    return walk_of(p, F.one_hot(previous.argmax(1), p.shape[1]).to(p.dtype))


def one_further(p, previous):
    """The walk begins one word after the last stop; it may stop at the same word again."""
    return walk_of(p, F.pad(previous, (1, 0))[:, :-1])


def made_to_sum_to_one(p, previous):
    """The rows are made to sum to 1. What is missing is the chance to find nothing, and belongs to no word."""
    found = walk_of(p, previous)
    return found / found.sum(1, keepdim=True).clamp(min=1e-9)


def arrives_only(p, previous):
    """This is the chance to arrive at a word, not yet to stop there."""
    here, row = torch.zeros_like(p[:, 0]), []
    for j in range(p.shape[1]):
        here = here * (1 - p[:, j - 1] if j else 1.0) + previous[:, j]
        row.append(here)
    return torch.stack(row, 1)


def passes_by(p, previous):
    """This is the chance to pass a word by, 1 - p_j in place of p_j."""
    return arrives_only(p, previous) * (1 - p)


def never_passes(p, previous):
    """Nobody walks here: p_j times the chance that the last stop was j. Add those who come from further left."""
    return p * previous


def leftover_on_the_last(p, previous):
    """Whoever finds nothing is put on the last word; he finds nothing, and the row sums to less than 1."""
    found = walk_of(p, previous)
    found[:, -1] += previous.sum(1) - found.sum(1)
    return found


def nobody_lost(p, previous):
    """Those who stop go on all the same: a walker who has stopped at a word is not there to arrive at the next."""
    return p * previous.cumsum(1)


MISTAKES_4 = [
    own_chance_to_go_on, division, inclusive_product, from_the_first_word, from_the_likeliest, one_further,
    made_to_sum_to_one, arrives_only, passes_by, never_passes, leftover_on_the_last, nobody_lost,
]  # fmt: skip


@exercise("09.4", "every way to get there has been counted, and nothing is divided by 0.")
def check_09_4(answer):
    """**Exercise 09.4 · ●●●○○ · 8 min · at home** - the expected alignment of a walk

    Write `my_walk(p, previous)`: `p` (B, S), the chance to stop at each word on arriving there; `previous` (B, S), the
    chances that the last walk stopped at each word. A walk begins where the last one stopped, stops at word j with
    chance p_j, else goes on to j + 1; beyond the last word it has found nothing. Return (B, S), the chance to stop at
    each word. A p may be 0 or 1 and a sentence 60 words long.

    Hint 1: keep one number, the chance to arrive at word j: those who begin there, and those who arrived at j - 1 and
    did not stop.
    Hint 2: arrive_j = arrive_{j-1} (1 - p_{j-1}) + previous_j, and the result is p_j · arrive_j.
    Solution: rows, here = [], torch.zeros_like(p[:, 0]); for j in range(p.shape[1]): here = here + previous[:, j];
    rows.append(p[:, j] * here); here = here * (1 - p[:, j]); after the loop torch.stack(rows, 1)
    """
    rng = fresh()
    inputs = []
    for B, S in ((2, 4), (1, 6), (3, 2), (2, 1)):
        previous = torch.rand(B, S, generator=rng)
        inputs.append((torch.rand(B, S, generator=rng), 0.9 * previous / previous.sum(1, keepdim=True)))
    inputs.append((torch.tensor([[0.3, 1.0, 0.5, 0.0, 0.8], [0.0, 0.6, 1.0, 0.7, 1.0]]),
                   torch.tensor([[0.1, 0.2, 0.4, 0.2, 0.1], [0.5, 0.0, 0.0, 0.5, 0.0]])))  # fmt: skip
    late = torch.zeros(1, 60)
    late[0, 30:32] = 0.5
    inputs.append((torch.full((1, 60), 0.9), late))
    inputs.append(tuple(x.double() for x in inputs[0]))
    judge(answer, inputs, walk_of, MISTAKES_4)


# --- 09.5 the walk itself ---------------------------------------------------------------------------------------------


def stops_of(p: Tensor) -> list[int]:
    place, found = 0, []
    for row in p.tolist():
        while 0 <= place < len(row) and not row[place] > 0.5:
            place += 1
        place = place if 0 <= place < len(row) else -1
        found.append(place)
    return found


def _stops(p, *, start=0, step=0, at_least=False, lost="for ever"):
    found, place = [], start
    for row in p.tolist():
        later = [j for j in range(place, len(row)) if row[j] > 0.5 or (at_least and row[j] == 0.5)]
        if later:
            found.append(later[0])
            place = later[0] + step
        elif lost == "last word":
            found.append(len(row) - 1)
            place = len(row) - 1
        elif lost == "no step":
            found.append(-1)
        elif lost == "place":
            found.append(max(place, 0))
        else:
            found.append(-1)
            place = len(row)
    return found


def afresh(p):
    """Every query begins at the first word again. It begins where the one before stopped: that is what makes it
    monotonic."""
    return [_stops(row.unsqueeze(0))[0] for row in p]


def next_word_first(p):
    """A query begins one word after the last stop; it may stop at the same word once more."""
    return _stops(p, step=1)


def half_is_enough(p):
    """Exactly 0.5 is no stop: p > 0.5."""
    return _stops(p, at_least=True)


def takes_up_again(p):
    """After a query that found nothing the next one takes up at the last stop here. Whoever finds nothing is past the
    end, and so are all later ones."""
    return _stops(p, lost="no step")


def rests_on_the_last(p):
    """Who finds nothing stands on the last word here; that is -1."""
    return _stops(p, lost="last word")


def rests_where_it_was(p):
    """Who finds nothing stays at its last stop here; that is -1, for it and for all later queries."""
    return _stops(p, lost="place")


def likeliest(p):
    """This takes the word with the largest p in the whole row. The walk takes the *first* with p > 0.5, from the last
    stop on."""
    return p.argmax(1).tolist()


def likeliest_from_there(p):
    """From the last stop on this takes the largest p; the walk stops at the *first* that is above 0.5, and cannot know
    what comes later."""
    found, place = [], 0
    for row in p:
        ahead = row[place:] if place >= 0 else row[:0]
        place = place + int(ahead.argmax()) if len(ahead) and float(ahead.max()) > 0.5 else -1
        found.append(place)
    return found


def counted_from_one(p):
    """Words are counted from 1 here; the first one is 0."""
    return [place + 1 if place >= 0 else -1 for place in stops_of(p)]


def from_the_second(p):
    """The first query begins at the second word; it begins at the first."""
    return _stops(p, start=1)


def all_that_stop(p):
    """Each query gives all words that it could stop at; it stops at the first and looks no further."""
    return [[j for j, x in enumerate(row) if x > 0.5] for row in p.tolist()]


MISTAKES_5 = [
    afresh, next_word_first, half_is_enough, takes_up_again, rests_on_the_last, rests_where_it_was, likeliest,
    likeliest_from_there, counted_from_one, from_the_second, all_that_stop,
]  # fmt: skip


@exercise("09.5", "never back, and never a word further than needed.")
def check_09_5(answer):
    """**Exercise 09.5 · ●●○○○ · 6 min · at home** - where the walk stops

    Write `my_stops(p)`: `p` (T, S), row i holds the chances of the i-th query to stop at each source word. In decoding
    it stops at the first word with p > 0.5, counted from the place where the query before stopped (that word too); the
    first query begins at word 0. Return a list of T places, -1 for a query that finds nothing: it is past the end then,
    and so are all that follow.

    Hint 1: one variable, the place, lives on from query to query.
    Hint 2: `while place < S and p[i, place] <= 0.5: place += 1`, without setting place back.
    Solution: place, found = 0, []; for row in p: while place < len(row) and row[place] <= 0.5: place += 1; then
    found.append(place if place < len(row) else -1), and at the end return found
    """
    rng = fresh()
    inputs = [(torch.tensor([[0.1, 0.9, 0.2, 0.7], [0.8, 0.6, 0.9, 0.1], [0.9, 0.1, 0.5, 0.99], [0.7, 0.9, 0.9, 0.2],
                             [0.9, 0.9, 0.9, 0.9]]),),
              (torch.tensor([[0.5, 0.6], [0.5, 0.5], [0.9, 0.9]]),), (torch.tensor([[0.2], [0.9]]),),
              (torch.tensor([[0.9, 0.1, 0.2], [0.6, 0.1, 0.7], [0.1, 0.8, 0.9]]),),
              (torch.tensor([[0.1, 0.7, 0.2, 0.3], [0.9, 0.4, 0.1, 0.2], [0.1, 0.9, 0.8, 0.1]]),)]  # fmt: skip
    inputs += [(torch.rand(T, S, generator=rng),) for T, S in ((6, 9), (4, 5))]
    inputs.append((0.75 * torch.rand(5, 12, generator=rng).double(),))
    judge(answer, inputs, stops_of, MISTAKES_5)


# --- 09.6 repair a hybrid ---------------------------------------------------------------------------------------------


def hybrid_of(content: Tensor, kernel: Tensor, strength: float) -> Tensor:
    B, T, S = content.shape
    reach, rows = len(kernel) // 2, torch.zeros_like(content)
    for b in range(B):
        previous = [1.0] + [0.0] * (S - 1)
        for t in range(T):
            f = [sum(float(kernel[k]) * previous[j + k - reach] for k in range(len(kernel)) if 0 <= j + k - reach < S)
                 for j in range(S)]  # fmt: skip
            rows[b, t] = (content[b, t] + strength * torch.tensor(f, dtype=content.dtype)).softmax(0)
            previous = rows[b, t].tolist()
    return rows


def _hybrid(content, kernel, strength, *, start="first", see=lambda x: x, keep=lambda old, new: new, reset=True,
            pad=None):  # fmt: skip
    B, T, S = content.shape
    out, reach = torch.zeros_like(content), len(kernel) // 2
    previous = None
    for b in range(B):
        if previous is None or reset:
            previous = torch.full((S,), {"first": 0.0, "zeros": 0.0, "uniform": 1 / S}[start], dtype=content.dtype)
            if start == "first":
                previous[0] = 1.0
        for t in range(T):
            wide = torch.cat([previous[-reach:], previous, previous[:reach]]) if pad == "round" else (
                F.pad(previous, pad or (reach, reach)))  # fmt: skip
            f = wide[: S + 2 * reach].unfold(0, len(kernel), 1) @ kernel
            scores = content[b, t] + strength * f
            out[b, t] = scores.softmax(0)
            previous = keep(previous, see(scores))
    return out


def _soft(scores):
    return scores.softmax(0)


def carried_over(content, kernel, strength):
    """Alone each sentence is right; after another it is not. Its first query sees where the *last sentence* ended: the
    alignment must start afresh, all on the first word."""
    return _hybrid(content, kernel, strength, see=_soft, reset=False)


def starts_from_zeros(content, kernel, strength):
    """The first query of a sentence finds an alignment of zeros; it starts with all weight on the first word."""
    return _hybrid(content, kernel, strength, see=_soft, start="zeros")


def starts_uniform(content, kernel, strength):
    """The first query finds equal weights everywhere; it starts with all weight on the first word."""
    return _hybrid(content, kernel, strength, see=_soft, start="uniform")


def added_up(content, kernel, strength):
    """The filter runs over the sum of all earlier weights. That came later, in Tacotron 2; here it sees the weights of
    the query before."""
    return _hybrid(content, kernel, strength, see=_soft, keep=lambda old, new: old + new)


def scores_handed_on(content, kernel, strength):
    """What is handed on are the scores; the next query should see the weights, after the softmax."""
    return _hybrid(content, kernel, strength)


def kernel_turned(content, kernel, strength):
    """The kernel is turned round: its first number belongs to the word furthest to the *left*."""
    return _hybrid(content, kernel.flip(0), strength, see=_soft)


def round_the_end(content, kernel, strength):
    """The window runs round the end, so that the first word sees the last. Beyond the sentence there are zeros."""
    return _hybrid(content, kernel, strength, see=_soft, pad="round")


def looks_back_only(content, kernel, strength):
    """The window ends at the word itself; it reaches as far to the right as to the left."""
    reach = len(kernel) // 2
    return _hybrid(content, kernel, strength, see=_soft, pad=(2 * reach, 0))


def never_moves(content, kernel, strength):
    """Every query sees the first alignment again; it must see the weights of the query before."""
    return _hybrid(content, kernel, strength, keep=lambda old, new: old, see=_soft)


def no_content(content, kernel, strength):
    """The content is gone: the scores are the filter's alone."""
    return _hybrid(torch.zeros_like(content), kernel, strength, see=_soft)


def no_filter(content, kernel, strength):
    """The filter is not there: this is the softmax of the content alone."""
    return content.softmax(-1)


def no_strength(content, kernel, strength):
    """The strength does not multiply what the filter gives."""
    return _hybrid(content, kernel, 1.0, see=_soft)


MISTAKES_6 = [
    carried_over, starts_from_zeros, starts_uniform, added_up, scores_handed_on, kernel_turned, round_the_end,
    looks_back_only, never_moves, no_content, no_filter, no_strength,
]  # fmt: skip


@exercise("09.6", "each sentence starts afresh, and among equal letters the place decides.")
def check_09_6(answer):
    """**Exercise 09.6 · ●●●○○ · 7 min · at home** - repair a hybrid

    Content scores and, added to them, what a filter finds in the weights of the query before: `content` (B, T, S),
    `kernel` (2r + 1,), `strength` a number. f_j is the sum of kernel_k times the previous weight of word j + k - r,
    zeros beyond the sentence; the weights are softmax(content + strength · f). Before its first query each sentence of
    the batch has all weight on its first word. Return (B, T, S). This code is right for the first sentence of a batch
    and wrong for the others, a fault found in several ports of Chorowski's model. Repair it:

        def my_hybrid(content, kernel, strength):
            B, T, S = content.shape
            rows, r = torch.zeros_like(content), len(kernel) // 2
            previous = torch.zeros_like(content[0, 0])
            previous[0] = 1.0
            for b in range(B):
                for t in range(T):
                    f = F.pad(previous, (r, r)).unfold(0, 2 * r + 1, 1) @ kernel
                    previous = (content[b, t] + strength * f).softmax(0)
                    rows[b, t] = previous
            return rows

    Hint 1: compare the second sentence in this batch with the same sentence alone. Which variable knows of the first?
    Hint 2: where would you have to set `previous` so that every sentence begins with all weight on its first word?
    Solution: move the two lines that set previous into the loop over b
    """
    rng = fresh()
    inputs = []
    for B, T, S, n, strength in ((3, 3, 5, 3, 2.0), (2, 4, 4, 5, 3.0), (1, 3, 6, 3, 1.5), (2, 1, 3, 1, 4.0)):
        kernel = 2 * torch.randn(n, generator=rng)
        inputs.append((torch.randn(B, T, S, generator=rng), kernel, strength))
    inputs.append((torch.zeros(2, 5, 7), torch.tensor([3.0, 0.0, -1.0]), 2.0))
    inputs.append((inputs[0][0].double(), inputs[0][1].double(), 2.0))
    judge(answer, inputs, hybrid_of, MISTAKES_6, planted=carried_over)


# --- other right answers ----------------------------------------------------------------------------------------------


def _local_p_at_once(scores, centre, window, mask):
    return _over(scores, _inside(scores, centre, window, mask)) * _bell(scores, centre, window / 2)


def _local_p_by_exp(scores, centre, window, mask):
    e = scores.exp() * _inside(scores, centre, window, mask)
    return e / e.sum(-1, keepdim=True) * torch.exp(-2 * (_away(scores, centre) / window) ** 2)


def _objectives_by_nan(weights, log_probs):
    mean = torch.nan_to_num(weights * log_probs).sum(-1)
    return [mean, torch.logsumexp(weights.log() + log_probs, dim=2)]


def _objectives_by_loops(weights, log_probs):
    means = [[sum(a * lp for a, lp in zip(r, s, strict=True) if a > 0) for r, s in zip(u, v, strict=True)]
             for u, v in zip(weights, log_probs, strict=True)]  # fmt: skip
    logs = [[torch.stack([a.log() + lp for a, lp in zip(r, s, strict=True) if a > 0]).logsumexp(0)
             for r, s in zip(u, v, strict=True)] for u, v in zip(weights, log_probs, strict=True)]  # fmt: skip
    return tuple(torch.stack([torch.stack(row) for row in rows]) for rows in (means, logs))


def _reinforce_at_once(scores, drawn, reward, baseline):
    return (reward - baseline).unsqueeze(-1) * (_chosen(scores, drawn) - scores.softmax(-1))


def _reinforce_indexed(scores, drawn, reward, baseline):
    out = -torch.softmax(scores, 1)
    out[torch.arange(len(out)), drawn] += 1.0
    return out * (reward - baseline)[:, None]


def _walk_by_logs(p, previous):
    passed = torch.log1p(-p.double().clamp(max=1 - 1e-15)).cumsum(-1)
    before = F.pad(passed, (1, 0))[:, :-1]
    between = (before.unsqueeze(2) - before.unsqueeze(1)).masked_fill(
        torch.ones(p.shape[1], p.shape[1], dtype=torch.bool).triu(1), -torch.inf
    )
    return (p * (between.exp() @ previous.double().unsqueeze(-1)).squeeze(-1)).to(p.dtype)


def _walk_as_told(p, previous):
    rows, here = [], torch.zeros_like(p[:, 0])
    for j in range(p.shape[1]):
        here = here + previous[:, j]
        rows.append(p[:, j] * here)
        here = here * (1 - p[:, j])
    return torch.stack(rows, 1)


def _stops_by_index(p):
    return _stops(p)


def _hybrid_right(content, kernel, strength):
    return _hybrid(content, kernel, strength, see=_soft)


def _hybrid_by_conv(content, kernel, strength):
    previous = torch.zeros_like(content[:, 0])
    previous[:, 0] = 1.0
    rows = []
    for t in range(content.shape[1]):
        f = F.conv1d(previous.unsqueeze(1), kernel.view(1, 1, -1), padding=len(kernel) // 2).squeeze(1)
        previous = (content[:, t] + strength * f).softmax(-1)
        rows.append(previous)
    return torch.stack(rows, 1)


CHECKS = {
    "09_1": Check(check_09_1, [local_p_of, _local_p_at_once, _local_p_by_exp], gallery(MISTAKES_1)),
    "09_2": Check(check_09_2, [objectives_of, _objectives_by_nan, _objectives_by_loops], gallery(MISTAKES_2)),
    "09_3": Check(check_09_3, [reinforce_of, _reinforce_at_once, _reinforce_indexed], gallery(MISTAKES_3)),
    "09_4": Check(check_09_4, [walk_of, _walk_as_told, _walk_by_logs], gallery(MISTAKES_4)),
    "09_5": Check(check_09_5, [stops_of, _stops_by_index], gallery(MISTAKES_5)),
    "09_6": Check(check_09_6, [_hybrid_right, hybrid_of, _hybrid_by_conv], gallery(MISTAKES_6), stub=carried_over),
}  # fmt: skip
