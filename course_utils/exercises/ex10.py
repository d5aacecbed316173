"""Exercises of notebook 10, decoding. Tasks, hints and solutions stand in the checks' docstrings, mistakes in the
functions above each check (many of them are faults of public code); how they become cells:
course_utils/exercises/checking.py."""

import math

import torch
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge, judge_value

# --- 10.1 one step of a beam ------------------------------------------------------------------------------------------


def beam_step(totals: Tensor, log_probs: Tensor, k: int):
    grown = [
        (float(totals[parent] + log_probs[parent, word]), parent, word)
        for parent in range(log_probs.shape[0])
        for word in range(log_probs.shape[1])
    ]
    best = sorted(grown, key=lambda g: -g[0])[:k]
    new = torch.stack([totals[parent] + log_probs[parent, word] for _, parent, word in best])
    return new, torch.tensor([parent for _, parent, _ in best]), torch.tensor([word for *_, word in best])


def _best(table, k):
    """The k largest entries of a table (K, V), their rows and columns."""
    values, places = table.flatten().topk(k)
    return values, places // table.shape[1], places % table.shape[1]


def totals_forgotten(totals, log_probs, k):
    """The sums so far are left out: this keeps the likeliest single words, not the likeliest prefixes."""
    return _best(log_probs, k)


def probabilities_added(totals, log_probs, k):
    """The probabilities themselves are added here; along a prefix it is their logarithms that add up."""
    return _best(totals[:, None] + log_probs.exp(), k)


def logarithms_multiplied(totals, log_probs, k):
    """The two logarithms are multiplied here: probabilities multiply, and so their logarithms add."""
    return _best(totals[:, None] * log_probs, k)


def totals_by_word(totals, log_probs, k):
    """The sums so far are added along the words; they belong to the prefixes, one for each row: totals[:, None]."""
    rows, words = log_probs.shape
    spread = totals.repeat(words // rows + 1)[:words]
    return _best(spread[None] + log_probs, k)


def only_words_are_returned(totals, log_probs, k):
    """Places in the flattened table are no words: with V words, place p is the prefix p // V and the word p % V."""
    values, places = (totals[:, None] + log_probs).flatten().topk(k)
    return values, places // log_probs.shape[1], places


def divided_by_the_prefixes(totals, log_probs, k):
    """The place is divided by the number of prefixes here; a row of the table is as long as the vocabulary."""
    values, places = (totals[:, None] + log_probs).flatten().topk(k)
    return values, places // log_probs.shape[0], places % log_probs.shape[0]


def changed_places(totals, log_probs, k):
    """Prefixes and words have changed places: first the prefix that was extended, then the word."""
    values, rows, words = _best(totals[:, None] + log_probs, k)
    return values, words, rows


def a_fraction(totals, log_probs, k):
    """The prefix is a fraction here: / divides exactly, // gives whole numbers."""
    values, places = (totals[:, None] + log_probs).flatten().topk(k)
    return values, places / log_probs.shape[1], places % log_probs.shape[1]


def best_word_of_each_prefix(totals, log_probs, k):
    """Every prefix gets its own best word here, so none can die out and none can have two children: prefixes compete
    with each other, all words of all prefixes in one list."""
    table = totals[:, None] + log_probs
    values, words = table.max(1)
    values, rows = values.topk(min(k, len(values)))
    if len(rows) < k:
        rows, values = rows[torch.arange(k) % len(rows)], values[torch.arange(k) % len(values)]
    return values, rows, words[rows]


def children_of_the_best_prefix(totals, log_probs, k):
    """Only the best prefix is extended here; that is greedy search with k last words. All prefixes are extended."""
    parent = int(totals.argmax())
    values, words = (totals[parent] + log_probs[parent]).topk(min(k, log_probs.shape[1]))
    n = torch.arange(k) % len(values)
    return values[n], torch.full((k,), parent), words[n]


def the_worst(totals, log_probs, k):
    """These are the k worst. Logarithms of probabilities are negative; the best is the largest, nearest to 0."""
    values, rows, words = _best(-(totals[:, None] + log_probs), k)
    return -values, rows, words


def old_totals(totals, log_probs, k):
    """The new sums must hold the new word's log p too; these are the sums of the prefixes alone."""
    _, rows, words = _best(totals[:, None] + log_probs, k)
    return totals[rows], rows, words


def back_to_probabilities(totals, log_probs, k):
    """The sums are returned as probabilities here; keep the logarithms, or a long sentence becomes 0."""
    values, rows, words = _best(totals[:, None] + log_probs, k)
    return values.exp(), rows, words


def divided_by_two(totals, log_probs, k):
    """The new sums are means here. While the beam grows all prefixes are equally long: leave the sums as they are."""
    values, rows, words = _best((totals[:, None] + log_probs) / 2, k)
    return values, rows, words


MISTAKES_1 = [
    totals_forgotten, probabilities_added, logarithms_multiplied, totals_by_word, only_words_are_returned,
    divided_by_the_prefixes, changed_places, a_fraction, best_word_of_each_prefix, children_of_the_best_prefix,
    the_worst, old_totals, back_to_probabilities, divided_by_two,
]  # fmt: skip


def _steps():
    rng, made = fresh(), []
    for prefixes, words, k, dtype in ((3, 7, 3, torch.float64), (2, 5, 4, torch.float32), (4, 9, 2, torch.float64),
                                      (1, 6, 3, torch.float32), (5, 4, 5, torch.float64)):  # fmt: skip
        totals = -3 - torch.rand(prefixes, generator=rng, dtype=dtype)
        logits = 2 * torch.randn(prefixes, words, generator=rng, dtype=dtype)
        made.append((totals, logits.log_softmax(-1), k))
    totals, log_probs, k = made[0]
    made.append((torch.tensor([-1.0, -torch.inf, -torch.inf], dtype=torch.float64), log_probs, 3))  # the first step
    made.append((totals + torch.tensor([0.0, -50.0, -50.0], dtype=torch.float64), log_probs, k))
    return made


@exercise("10.1", "this is the heart of beam search; the first step is the same with one live prefix.")
def check_10_1(answer) -> None:
    """**Exercise 10.1 · ●●●○○ · 8 min · in class** - one step of a beam

    Write `my_beam_step(totals, log_probs, k)`. `totals` (K,) are the sums of log p of K prefixes (-inf: an empty
    place), `log_probs` (K, V) the log p of every next word after each of them. Return three tensors (k,), the best
    first: the new sums, the place of the prefix that was extended, and the word. K need not be k.

    Hint 1: Make the table of all K · V extended prefixes, (K, V), and let all of them compete.

    Hint 2: `flatten().topk(k)` gives places p in the flattened table; the row is p // V, the column p % V.

    Solution: new, places = (totals[:, None] + log_probs).flatten().topk(k); V = log_probs.shape[1];
        return new, places // V, places % V
    """
    judge(answer, _steps(), beam_step, MISTAKES_1)


# --- 10.2 the score of a finished sentence (repair) -------------------------------------------------------------------


def scores_of(log_probs: Tensor, tokens: Tensor, alpha: float, pad: int) -> Tensor:
    lengths = [sum(int(token) != pad for token in row) for row in tokens]
    return torch.stack([p / n**alpha for p, n in zip(log_probs, lengths, strict=True)])


def _lengths(tokens, pad):
    return (tokens != pad).sum(1)


def pads_counted(log_probs, tokens, alpha, pad):
    """Every sentence is divided by the same number, the width of the table: pads are no words, do not count them."""
    return log_probs / tokens.shape[1] ** alpha


def end_not_counted(log_probs, tokens, alpha, pad):
    """The end token is not counted here. Its log p is in the sum, so it belongs to the length too."""
    return log_probs / (_lengths(tokens, pad) - 1) ** alpha


def end_counted_twice(log_probs, tokens, alpha, pad):
    """The length is one too large: the end token stands in the table already, count it once."""
    return log_probs / (_lengths(tokens, pad) + 1) ** alpha


def multiplied(log_probs, tokens, alpha, pad):
    """The sum is multiplied by the length, which punishes long sentences twice: divide."""
    return log_probs * _lengths(tokens, pad) ** alpha


def alpha_ignored(log_probs, tokens, alpha, pad):
    """This is the mean of log p whatever α is: the length has to be raised to α first."""
    return log_probs / _lengths(tokens, pad)


def alpha_times_length(log_probs, tokens, alpha, pad):
    """The length is multiplied by α here; it is raised to the power α (α = 0 must give 1)."""
    return log_probs / (_lengths(tokens, pad) * alpha)


def alpha_on_everything(log_probs, tokens, alpha, pad):
    """α acts on the whole quotient here; only the length is raised to α."""
    return -((-log_probs / _lengths(tokens, pad)) ** alpha)


def no_division(log_probs, tokens, alpha, pad):
    """Nothing is divided here: this is right for α = 0 alone."""
    return log_probs + 0


def by_probability(log_probs, tokens, alpha, pad):
    """The probability is divided by the length here; divide its logarithm."""
    return log_probs.exp() / _lengths(tokens, pad) ** alpha


def by_another_pad(log_probs, tokens, alpha, pad):
    """The pads are not always 0: compare with the argument `pad`."""
    return log_probs / (tokens != 0).sum(1) ** alpha


def as_gnmt(log_probs, tokens, alpha, pad):
    """This is GNMT's divisor, ((5 + n) / 6)^α; asked is n^α."""
    return log_probs / ((5 + _lengths(tokens, pad)) / 6) ** alpha


def of_the_batch(log_probs, tokens, alpha, pad):
    """All tokens of the table are counted together: every sentence has its own length, sum over dim 1."""
    return log_probs / (tokens != pad).sum() ** alpha


MISTAKES_2 = [
    pads_counted, end_not_counted, end_counted_twice, multiplied, alpha_ignored, alpha_times_length,
    alpha_on_everything, no_division, by_probability, by_another_pad, as_gnmt, of_the_batch,
]  # fmt: skip


def _finished():
    made = []
    for log_probs, lengths, alpha, pad in (
        ((-2.0, -3.0, -3.9), (2, 4, 6), 1.0, 0), ((-1.0, -2.2, -4.5), (2, 5, 6), 0.0, 0),
        ((-1.2, -1.9, -3.6), (2, 4, 9), 0.5, 0), ((-0.9, -1.3, -3.3), (2, 3, 5), 1.0, 7),
        ((-6.0, -7.0, -8.4), (5, 6, 9), 2.0, 0), ((-3.0,), (4,), 0.7, 3),
    ):  # fmt: skip
        tokens = torch.full((len(lengths), max(lengths) + 1), pad)
        for row, n in zip(tokens, lengths, strict=True):
            row[: n - 1] = torch.arange(11, 10 + n)
            row[n - 1] = 2
        made.append((torch.tensor(log_probs, dtype=torch.float64), tokens, alpha, pad))
    return made


@exercise("10.2", "pads out, the end token in, and the sum divided by the length to the α.")
def check_10_2(answer) -> None:
    """**Exercise 10.2 · ●●○○○ · 5 min · in class** - repair the score of a sentence

    `my_scores(log_probs, tokens, alpha, pad)` should return the scores log p / n^α, (N,). `log_probs` (N,) are the
    sums, `tokens` (N, T) the sentences with their end token, filled up with `pad`; n counts the tokens of a sentence,
    the end token included. In this version α does not change which sentence is the best. Repair it.

    Hint 1: What is `tokens.shape[1]` for a short sentence, and what for a long one?

    Hint 2: `(tokens != pad).sum(1)` is (N,).

    Solution: return log_probs / (tokens != pad).sum(1) ** alpha
    """
    judge(answer, _finished(), scores_of, MISTAKES_2, planted=pads_counted)


# --- 10.3 top-p -------------------------------------------------------------------------------------------------------


def nucleus(probabilities: Tensor, p: float) -> Tensor:
    order = sorted(range(len(probabilities)), key=lambda i: -float(probabilities[i]))
    kept, mass = [], 0.0
    for i in order:
        if mass >= p:
            break
        kept.append(i)
        mass += float(probabilities[i])
    cut = torch.zeros_like(probabilities)
    cut[kept] = probabilities[kept]
    return cut / cut.sum()


def _sorted(probabilities):
    return probabilities.sort(descending=True)


def _back(probabilities, places, kept):
    cut = torch.zeros_like(probabilities)
    cut[places[kept]] = probabilities[places[kept]]
    return cut / cut.sum()


def crossing_word_dropped(probabilities, p):
    """The word with which the sum crosses p is dropped, so that less than p is left: it must stay."""
    ordered, places = _sorted(probabilities)
    return _back(probabilities, places, ordered.cumsum(0) <= p)


def crossing_word_dropped_but_one_kept(probabilities, p):
    """The word that crosses p is dropped unless it is the first: it must stay, for p is what has to be reached."""
    ordered, places = _sorted(probabilities)
    kept = ordered.cumsum(0) <= p
    kept[0] = True
    return _back(probabilities, places, kept)


def one_word_too_many(probabilities, p):
    """One word more is kept than is needed to reach p."""
    ordered, places = _sorted(probabilities)
    kept = torch.cat([torch.ones(1, dtype=torch.bool), ordered.cumsum(0)[:-1] < p])
    kept = torch.cat([torch.ones(1, dtype=torch.bool), kept[:-1]])
    return _back(probabilities, places, kept)


def not_put_back(probabilities, p):
    """The sorted probabilities are returned: each must go back to the place of its word."""
    ordered, _ = _sorted(probabilities)
    kept = ordered * (ordered.cumsum(0) - ordered < p)
    return kept / kept.sum()


def mask_not_put_back(probabilities, p):
    """The mask is in the order of the sorted words, the probabilities are not: bring them into one order."""
    ordered, _ = _sorted(probabilities)
    cut = probabilities * (ordered.cumsum(0) - ordered < p)
    return cut / cut.sum()


def not_renormalised(probabilities, p):
    """What is left does not sum to 1: divide by its sum."""
    ordered, places = _sorted(probabilities)
    kept = ordered.cumsum(0) - ordered < p
    return torch.zeros_like(probabilities).scatter(0, places[kept], ordered[kept])


def softmax_of_what_is_left(probabilities, p):
    """A softmax of probabilities flattens them: divide what is left by its sum."""
    ordered, places = _sorted(probabilities)
    kept = places[ordered.cumsum(0) - ordered < p]
    cut = torch.full_like(probabilities, -torch.inf)
    cut[kept] = probabilities[kept]
    return cut.softmax(0)


def a_threshold(probabilities, p):
    """Words with a probability of p or more are kept here; p is for their sum."""
    kept = probabilities >= p
    kept[probabilities.argmax()] = True
    cut = probabilities * kept
    return cut / cut.sum()


def in_the_order_of_the_vocabulary(probabilities, p):
    """The words are added up in the order of the vocabulary; begin with the likeliest."""
    kept = probabilities.cumsum(0) - probabilities < p
    cut = probabilities * kept
    return cut / cut.sum()


def the_least_likely_first(probabilities, p):
    """The sum begins with the least likely words here; it must begin with the likeliest."""
    ordered, places = probabilities.sort()
    return _back(probabilities, places, ordered.cumsum(0) - ordered < p)


def a_share_of_the_words(probabilities, p):
    """p is taken as a share of the number of words; it is a share of the probability."""
    _, places = _sorted(probabilities)
    return _back(probabilities, places, torch.arange(len(places)) < max(1, math.ceil(p * len(places))))


def relative_to_the_best(probabilities, p):
    """Each word is compared with the likeliest one here (that is min-p); top-p looks at the sum."""
    cut = probabilities * (probabilities >= p * probabilities.max())
    return cut / cut.sum()


MISTAKES_3 = [
    crossing_word_dropped, crossing_word_dropped_but_one_kept, one_word_too_many, not_put_back, mask_not_put_back,
    not_renormalised, softmax_of_what_is_left, a_threshold, in_the_order_of_the_vocabulary, the_least_likely_first,
    a_share_of_the_words, relative_to_the_best,
]  # fmt: skip


def _clouds():
    rng, made = fresh(), []
    for values, p in (([0.1, 0.4, 0.2, 0.3], 0.75), ([0.2, 0.1, 0.4, 0.3], 0.3), ([0.05, 0.9, 0.05], 0.5),
                      ([0.1, 0.2, 0.3, 0.4], 1e-9), ([0.25, 0.0, 0.45, 0.3, 0.0], 0.97),
                      ([0.13, 0.47, 0.06, 0.34], 0.77)):  # fmt: skip
        made.append((torch.tensor(values, dtype=torch.float64), p))
    for size, p in ((9, 0.63), (17, 0.88), (30, 0.35)):
        made.append((torch.randn(size, generator=rng).mul(1.5).softmax(0), p))
    return made


@exercise("10.3", "the smallest set that reaches p, with the word that crosses it.")
def check_10_3(answer) -> None:
    """**Exercise 10.3 · ●●●○○ · 6 min · in class** - top-p

    Write `my_top_p(probabilities, p)` for one distribution (V,): keep the fewest words, the likeliest first, that
    together have p or more; set all others to 0 and renormalise. Return (V,), every word in its own place. However
    small p is, one word stays.

    Hint 1: Sort, and ask for each word how much stands *before* it.

    Hint 2: `ordered.cumsum(0) - ordered < p` says which of the sorted words stay; `zeros.scatter(0, places, values)`
    brings values back to their places.

    Solution: ordered, places = probabilities.sort(descending=True);
        kept = ordered * (ordered.cumsum(0) - ordered < p);
        return torch.zeros_like(probabilities).scatter(0, places, kept / kept.sum())
    """
    judge(answer, _clouds(), nucleus, MISTAKES_3)


# --- 10.4 when may a beam stop? ---------------------------------------------------------------------------------------


def may_stop(finished: float, totals: Tensor, n: int, cap: int, alpha: float) -> bool:
    return all(float(total) / cap**alpha <= finished for total in totals)


def at_their_present_length(finished, totals, n, cap, alpha):
    """The live prefixes are scored at their present length; their scores may still rise, because the length that
    divides them grows. What can they reach at the most?"""
    return bool((totals / n**alpha <= finished).all())


def without_length(finished, totals, n, cap, alpha):
    """Sums of live prefixes are compared with a score that was divided by a length: compare like with like."""
    return bool((totals <= finished).all())


def one_more_word(finished, totals, n, cap, alpha):
    """This asks for the next step alone: a prefix may grow up to the cap."""
    return bool((totals / (n + 1) ** alpha <= finished).all())


def only_one_is_beaten(finished, totals, n, cap, alpha):
    """It is enough here that one live prefix is beaten: all of them must be."""
    return bool((totals / cap**alpha <= finished).any())


def always(finished, totals, n, cap, alpha):
    """The search stops here as soon as one sentence is finished; a live prefix may still become better."""
    return True


def at_the_cap_only(finished, totals, n, cap, alpha):
    """This goes on to the cap in any case; it may stop once no live prefix can win any more."""
    return n >= cap


def the_mean_decides(finished, totals, n, cap, alpha):
    """The mean of the live prefixes is compared here; the best one decides."""
    return bool(totals.mean() / cap**alpha <= finished)


def turned_round(finished, totals, n, cap, alpha):
    """This is the other way round: stop when the finished sentence is at least as good as all that may come."""
    return not may_stop(finished, totals, n, cap, alpha)


def alpha_taken_for_one(finished, totals, n, cap, alpha):
    """The sums are divided by the cap whatever α is: divide by the cap to the α."""
    return bool((totals / cap <= finished).all())


MISTAKES_4 = [
    at_their_present_length, without_length, one_more_word, only_one_is_beaten, always, at_the_cap_only,
    the_mean_decides, turned_round, alpha_taken_for_one,
]  # fmt: skip


def _searches():
    made = []
    for finished, totals, n, cap, alpha in (
        (-1.0, (-3.0, -6.0), 2, 10, 1.0),  # present -1.5: beaten; at the cap -.3: not
        (-1.0, (-3.3, -6.0), 3, 4, 1.0),  # present -1.1, next -.825 = cap: not
        (-0.5, (-9.0, -12.0), 3, 6, 1.0),  # cap -1.5: stop
        (-0.5, (-1.0, -40.0), 3, 6, 1.0),  # one is beaten, the other not
        (-0.5, (-6.1, -6.0), 2, 20, 1.0),  # next -2.0: beaten; cap -.3: not
        (-2.0, (-2.5, -3.0), 3, 8, 0.0),  # α = 0: stop
        (-2.0, (-1.5, -3.0), 3, 8, 0.0),
        (-2.0, (-torch.inf, -torch.inf), 3, 8, 0.5),  # nothing lives
        (-1.2, (-3.0, -3.5), 4, 4, 0.5),  # at the cap: -1.5, stop
        (-1.0, (-3.5, -4.5), 3, 9, 0.5),  # -1.17: stop; with α = 1 it would be -.39
        (-0.5, (-2.0, -3.1), 3, 6, 1.0),  # one is beaten, their mean is not
        (-1.0, (-4.0, -90.0), 3, 9, 1.0),  # -.44, but their mean -5.2
    ):
        made.append((finished, torch.tensor(totals), n, cap, alpha))
    return made


@exercise("10.4", "a bound that is never too low makes stopping early safe.")
def check_10_4(answer) -> None:
    """**Exercise 10.4 · ●●●○○ · 8 min · at home** - when may a beam stop?

    Write `my_stop(finished, totals, n, cap, alpha)`. `finished` is the best score, log p / length^α, of a finished
    sentence; `totals` (K,) are the sums of log p of the live prefixes (-inf: an empty place), which have `n` tokens
    each; no sentence may be longer than `cap`. Return True if no live prefix can end with a better score (equal is not
    better). α is 0 or more.

    Hint 1: A sum of log p can only fall. But what happens to the number by which it is divided?

    Hint 2: The most a prefix can hope for is to add words of probability 1 up to the cap.

    Solution: return bool((totals / cap**alpha <= finished).all())
    """
    judge(answer, _searches(), may_stop, MISTAKES_4)


# --- 10.5 the inverse sigmoid -----------------------------------------------------------------------------------------


def inverse_sigmoid(i: int, k: float) -> float:
    return float(torch.sigmoid(torch.tensor(math.log(k) - i / k, dtype=torch.float64)))


def as_printed(i, k):
    """For large i / k this stops with an OverflowError: exp(i / k) is larger than any float. Rewrite it so that the
    exponent is never positive."""
    return k / (k + math.exp(i / k))


def overflow_caught_as_one(i, k):
    """Where exp overflows, the share is 0 and not 1: then hardly any word is the right one."""
    try:
        return k / (k + math.exp(i / k))
    except OverflowError:
        return 1.0


def without_k_in_front(i, k):
    """k is missing before the exponential: this is 1 / (1 + exp(i / k)), one half at i = 0 already."""
    return 1 / (1 + math.exp(min(i / k, 700)))


def share_of_own_words(i, k):
    """This is 1 - ε, the share of the model's own words; ε is the share of the right ones, large at first."""
    return 1 - inverse_sigmoid(i, k)


def i_times_k(i, k):
    """i is multiplied by k in the exponent; it is divided."""
    return 1 / (1 + math.exp(min(i * k, 600)) / k)


def exponential_decay(i, k):
    """This falls exponentially from the first update; the inverse sigmoid stays high at first."""
    return math.exp(-i / k)


def clipped_too_early(i, k):
    """The exponent is cut off far too early: with i / k above the cut the share stays where it is."""
    return k / (k + math.exp(min(i / k, 5.0)))


def not_by_k(i, k):
    """The update is not divided by k in the exponent, so that ε falls within a few updates."""
    return k / (k + math.exp(min(i, 700)))


MISTAKES_5 = [
    as_printed, overflow_caught_as_one, without_k_in_front, share_of_own_words, i_times_k, exponential_decay,
    clipped_too_early, not_by_k,
]  # fmt: skip


def _updates():
    early = [(0, 100.0), (461, 100.0), (700, 100.0), (30, 5.0), (2, 5.0), (2, 1.0)]
    return [*early, (3549, 5.0), (100_000, 10.0), (1500, 100.0)]


@exercise("10.5", "the same curve, and no exponent that can overflow.")
def check_10_5(answer) -> None:
    """**Exercise 10.5 · ●●○○○ · 7 min · at home** - a schedule that does not crash

    The inverse sigmoid decay is ε = k / (k + exp(i / k)) at update `i`, with k ≥ 1. Write `my_share(i, k)` so that it
    returns this number (a float) for every i ≥ 0, also for i = 3549 and k = 5, where `math.exp` raises an
    OverflowError.

    Hint 1: Divide numerator and denominator by exp(i / k), or write ε as a sigmoid.

    Hint 2: k exp(-i / k) / (k exp(-i / k) + 1).

    Solution: small = k * math.exp(-i / k); return small / (small + 1)
    """
    judge(answer, _updates(), inverse_sigmoid, MISTAKES_5)


# --- 10.6 two bits ----------------------------------------------------------------------------------------------------

MISTAKES_6 = [
    (0.0, "0 would be teacher forcing, ε = 1; here half of the first bits that the model reads are its own."),
    (0.5, "One half would be ε = 0, where the second bit ignores the first; here half of the bits it reads are right."),
    (0.75, "This is how often the two bits agree; asked is how often they differ."),
    (1.0, "The two bits would always differ then; the model has seen data in which they never do."),
    (0.125, "Your ε is three quarters; here it is one half."),
    (0.375, "Your ε is one quarter; here it is one half."),
]


@exercise("10.6", "a quarter of its texts do not occur in the data, however long it trains.", function=False)
def check_10_6(answer) -> None:
    """**Exercise 10.6 · ●●●○○ · 8 min · at home** - two bits

    The data: the first bit is fair, the second is equal to the first. A model with all freedom is trained with
    scheduled sampling, its own bits drawn from its probabilities, until nothing improves any more. With ε = 1/2, in
    what share of the texts that it draws do the two bits differ? Give one number.

    Hint 1: Say that the model reads a 1. With probability ε it is the right bit, and the second bit is 1. Otherwise it
    is the model's own, which says nothing about the second bit.

    Hint 2: So q(x2 = 1 | reads 1) = ε + (1 - ε) / 2.

    Solution: (1 - 0.5) / 2
    """
    judge_value(answer, 0.25, MISTAKES_6)


# --- what proves them -------------------------------------------------------------------------------------------------


def _step_by_topk(totals, log_probs, k):
    return _best(totals[:, None] + log_probs, k)


def _step_by_sort(totals, log_probs, k):
    values, places = (totals.unsqueeze(1) + log_probs).view(-1).sort(descending=True)
    V = log_probs.shape[-1]
    return [values[:k], torch.div(places[:k], V, rounding_mode="floor"), places[:k].remainder(V)]


def _scores_by_sum(log_probs, tokens, alpha, pad):
    return log_probs / (tokens != pad).sum(1) ** alpha


def _top_p_by_scatter(probabilities, p):
    ordered, places = probabilities.sort(descending=True)
    kept = ordered * (ordered.cumsum(0) - ordered < p)
    return torch.zeros_like(probabilities).scatter(0, places, kept / kept.sum())


def _stop_by_max(finished, totals, n, cap, alpha):
    return totals.max().item() / cap**alpha <= finished


def _small_share(i, k):
    small = k * math.exp(-i / k)
    return small / (small + 1)


CHECKS = {
    "10_1": Check(check_10_1, [beam_step, _step_by_topk, _step_by_sort], gallery(MISTAKES_1)),
    "10_2": Check(check_10_2, [scores_of, _scores_by_sum], gallery(MISTAKES_2), stub=pads_counted),
    "10_3": Check(check_10_3, [nucleus, _top_p_by_scatter], gallery(MISTAKES_3)),
    "10_4": Check(check_10_4, [may_stop, _stop_by_max], gallery(MISTAKES_4)),
    "10_5": Check(check_10_5, [inverse_sigmoid, _small_share], gallery(MISTAKES_5)),
    "10_6": Check(check_10_6, [0.25, 1 / 4, torch.tensor(0.25)],
                  [(hint[:30], value, hint) for value, hint in MISTAKES_6]),
}  # fmt: skip
