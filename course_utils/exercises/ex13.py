"""Exercises of notebook 13, self-attention. Tasks, hints and solutions stand in the checks' docstrings, mistakes in the
functions above each check; how they become cells: course_utils/exercises/checking.py."""

import torch
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge, judge_value

# --- 13.1 predict a spread --------------------------------------------------------------------------------------------

MISTAKES_1 = [
    (256, "this is the variance of q·k; asked for is the standard deviation, its root."),
    (8, "this leaves out that the entries of q have variance 4: each of the products has it too."),
    (32, "this multiplies √64 by the variance of a product; the root of that variance belongs there."),
    (128, "this adds up 64 standard deviations; of independent terms the variances add up."),
    (64, "this is the number of terms; how much does each contribute, and what adds up?"),
    (2, "this is the standard deviation of one product, there are 64 of them."),
    (4, "this is the variance of one product, there are 64 of them."),
    (1, "this is what dividing makes of it; asked for is the spread before any scale."),
    (0, "this is the mean of q·k; asked for is how far it spreads around that mean."),
    (320**0.5, "this adds the two variances within a product; of a product of independent numbers they multiply."),
    (320, "this adds the two variances within a product; they multiply, and then the root is to be taken."),
    (128**0.5, "this takes 2 for the variance of q's entries; 2 is their standard deviation, their variance is 4."),
    (1024, "this squares the 4, which is a variance already; and the root is still to be taken."),
    (0.5, "this divides by the spread of q·k; asked for is that spread itself."),
]  # fmt: skip


@exercise("13.1", "variances add up, and the root of the sum is the spread: what one would have to divide by.",
          function=False)  # fmt: skip
def check_13_1(answer):
    """**Exercise 13.1 · ●●○○○ · 4 min · in class** - predict a spread

    `my_spread`: q and k have 64 entries each, all independent with mean 0. The entries of q have variance 4, those of k
    variance 1. What is the *standard deviation* of q·k?

    Hint 1: the variance of a product of two independent numbers with mean 0 is the product of their variances.
    Hint 2: q·k is a sum of 64 such products; variances add up, and the standard deviation is the root.
    Solution: (64 * 4 * 1) ** 0.5
    """
    judge_value(answer, 16.0, MISTAKES_1)


# --- 13.2 another sentence answers ------------------------------------------------------------------------------------


def cross_attention(X: Tensor, Z: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor) -> Tensor:
    found = []
    for asking, answering in zip(X, Z, strict=True):
        rows = []
        for x in asking:
            q = W_q @ x
            scores = torch.stack([q @ (W_k @ z) for z in answering]) / len(q) ** 0.5
            rows.append(sum(a * (W_v @ z) for a, z in zip(scores.softmax(0), answering, strict=True)))
        found.append(torch.stack(rows))
    return torch.stack(found)


def _attend(Q, K, V, scale=None, dim=-1):
    scale = Q.shape[-1] ** -0.5 if scale is None else scale
    return (Q @ K.transpose(1, 2) * scale).softmax(dim) @ V


def not_scaled(X, Z, W_q, W_k, W_v):
    """The scale is missing: divide the scores by √d, or the softmax grows hard as d grows."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_v.T, 1.0)


def divided_by_d(X, Z, W_q, W_k, W_v):
    """This divides by d; the variance grows like d, so the scores are divided by its root."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_v.T, 1 / len(W_q))


def scaled_by_the_input(X, Z, W_q, W_k, W_v):
    """The scores are divided by the root of the inputs' width D; d is the width of q and k, the rows of W_q."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_v.T, X.shape[-1] ** -0.5)


def scaled_by_the_keys(X, Z, W_q, W_k, W_v):
    """The scores are divided by the root of how many keys there are; it is the root of d, the width of q and k."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_v.T, Z.shape[1] ** -0.5)


def multiplied(X, Z, W_q, W_k, W_v):
    """The scores are multiplied by √d; they must be divided by it."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_v.T, len(W_q) ** 0.5)


def scaled_afterwards(X, Z, W_q, W_k, W_v):
    """The weights are scaled after the softmax and no longer add up to 1: scale the scores, before it."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_v.T, 1.0) / len(W_q) ** 0.5


def over_the_queries(X, Z, W_q, W_k, W_v):
    """The softmax runs over the queries, so words compete for being looked at; it must run over the keys: dim=-1."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_v.T, dim=1)


def over_the_batch(X, Z, W_q, W_k, W_v):
    """The softmax runs over the sentences of the batch; it must run over the keys, the last dimension: dim=-1."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_v.T, dim=0)


def no_softmax(X, Z, W_q, W_k, W_v):
    """The scores are used as they are: a softmax makes weights of them that are positive and add up to 1."""
    return X @ W_q.T @ (Z @ W_k.T).transpose(1, 2) / len(W_q) ** 0.5 @ (Z @ W_v.T)


def roles_swapped(X, Z, W_q, W_k, W_v):
    """Z asks and X answers here: queries come from X, keys and values from Z."""
    return _attend(Z @ W_q.T, X @ W_k.T, X @ W_v.T)


def x_alone(X, Z, W_q, W_k, W_v):
    """Z is not used: this is self-attention of X. Keys and values come from Z."""
    return _attend(X @ W_q.T, X @ W_k.T, X @ W_v.T)


def z_alone(X, Z, W_q, W_k, W_v):
    """X is not used: this is self-attention of Z. The queries come from X."""
    return _attend(Z @ W_q.T, Z @ W_k.T, Z @ W_v.T)


def values_of_x(X, Z, W_q, W_k, W_v):
    """The values come from X here: who is looked at gives away its own value, so keys and values both come from Z."""
    return _attend(X @ W_q.T, Z @ W_k.T, X @ W_v.T)


def keys_of_x(X, Z, W_q, W_k, W_v):
    """The keys come from X here: who is looked at is compared by its own key, so keys and values both come from Z."""
    return _attend(X @ W_q.T, X @ W_k.T, Z @ W_v.T)


def values_are_inputs(X, Z, W_q, W_k, W_v):
    """The inputs Z themselves are mixed; what a word gives away is its value, Z @ W_v.T."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z)


def values_are_keys(X, Z, W_q, W_k, W_v):
    """The keys are mixed; a key is only compared, what is mixed are the values, Z @ W_v.T."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_k.T)


def matrices_swapped(X, Z, W_q, W_k, W_v):
    """W_q and W_k have changed places: the one who asks is projected with W_q, who is looked at with W_k."""
    return _attend(X @ W_k.T, Z @ W_q.T, Z @ W_v.T)


def nothing_is_projected(X, Z, W_q, W_k, W_v):
    """Nothing is projected here: queries, keys and values are three projections, with W_q, W_k and W_v."""
    return _attend(X, Z, Z)


def not_transposed(X, Z, W_q, W_k, W_v):
    """The matrices stand on the wrong side: for rows, W x is X @ W.T."""
    return _attend(X @ W_q, Z @ W_k, Z @ W_v)


def sentences_mixed(X, Z, W_q, W_k, W_v):
    """All sentences of the batch attend to one another here: keep the batch, transpose the last two dimensions only."""
    Q, K, V = X.flatten(0, 1) @ W_q.T, Z.flatten(0, 1) @ W_k.T, Z.flatten(0, 1) @ W_v.T
    return ((Q @ K.T / len(W_q) ** 0.5).softmax(-1) @ V).view(*X.shape[:2], -1)


def batch_transposed(X, Z, W_q, W_k, W_v):
    """The batch takes part in the transposition: turn the last two dimensions of the keys only, transpose(1, 2)."""
    return (X @ W_q.T @ (Z @ W_k.T).transpose(0, 1) / len(W_q) ** 0.5).softmax(-1) @ (Z @ W_v.T)


def all_transposed(X, Z, W_q, W_k, W_v):
    """`.T` turns all three dimensions of the keys, the batch too: turn the last two only, transpose(1, 2)."""
    return (X @ W_q.T @ (Z @ W_k.T).permute(2, 1, 0) / len(W_q) ** 0.5).softmax(-1) @ (Z @ W_v.T)


def scaled_by_the_values(X, Z, W_q, W_k, W_v):
    """The scores are divided by the root of e, the width of the values; d is the width of q and k, the rows of W_q."""
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_v.T, len(W_v) ** -0.5)


def sigmoid(X, Z, W_q, W_k, W_v):
    """A sigmoid looks at every score by itself, so the weights do not add up to 1: it must be a softmax."""
    return (X @ W_q.T @ (Z @ W_k.T).transpose(1, 2) / len(W_q) ** 0.5).sigmoid() @ (Z @ W_v.T)


def weights_only(X, Z, W_q, W_k, W_v):
    """These are the weights (B, T, S); what is asked for is what they mix, the weights times V."""
    return (X @ W_q.T @ (Z @ W_k.T).transpose(1, 2) / len(W_q) ** 0.5).softmax(-1)


MISTAKES_2 = [
    not_scaled, divided_by_d, scaled_by_the_input, scaled_by_the_keys, multiplied, scaled_afterwards, over_the_queries,
    over_the_batch, no_softmax, roles_swapped, x_alone, z_alone, values_of_x, keys_of_x, values_are_inputs,
    values_are_keys, matrices_swapped, nothing_is_projected, not_transposed, sentences_mixed,
    batch_transposed, all_transposed, scaled_by_the_values, sigmoid, weights_only,
]  # fmt: skip


@exercise("13.2", "one function: a sentence that asks, and a sentence that answers.")
def check_13_2(answer):
    """**Exercise 13.2 · ●●○○○ · 7 min · in class** - another sentence answers

    Write `my_cross_attention(X, Z, W_q, W_k, W_v)` for a batch: the words of `X` (B, T, D) ask, the words of `Z`
    (B, S, D) are looked at. `W_q`, `W_k` (d, D), `W_v` (e, D), and scores are divided by √d; returns (B, T, e). No
    loop, and without torch's scaled_dot_product_attention.

    Hint 1: which of Q, K, V comes from X? Only what asks; `Q = X @ W_q.T` has shape (B, T, d).
    Hint 2: the scores Q @ K.transpose(1, 2) are (B, T, S): divide by d ** 0.5, softmax over the last dimension, @ V.
    Solution: Q, K, V = X @ W_q.T, Z @ W_k.T, Z @ W_v.T; return (Q @ K.transpose(1, 2) / len(W_q) **
    0.5).softmax(-1) @ V
    """
    rng = fresh()
    inputs = []
    for B, T, S, D, d, e, size, dtype in (
        (2, 4, 4, 3, 3, 3, 1.0, torch.float32), (3, 3, 5, 4, 6, 2, 0.8, torch.float64),
        (1, 5, 2, 5, 5, 5, 1.0, torch.float32), (2, 2, 2, 2, 4, 3, 1.2, torch.float32),
        (3, 4, 4, 3, 2, 2, 0.7, torch.float64),
    ):  # fmt: skip
        shapes = ((B, T, D), (B, S, D), (d, D), (d, D), (e, D))
        inputs.append(tuple(size * torch.randn(shape, generator=rng, dtype=dtype) for shape in shapes))
    judge(answer, inputs, cross_attention, MISTAKES_2, forbid=("a loop", "scaled_dot_product_attention"))


# --- 13.3 the two masks in one ----------------------------------------------------------------------------------------


def may_attend(real: Tensor, T: int) -> Tensor:
    B, S = real.shape
    rows = [[[bool(real[b, s]) and s <= S - T + t for s in range(S)] for t in range(T)] for b in range(B)]
    return torch.tensor(rows)


def _lower(T, S, shift):
    return torch.ones(T, S, dtype=torch.bool).tril(shift)


def pads_allowed(real, T):
    """The pads may be looked at here: a key must be real as well."""
    return _lower(T, real.shape[1], real.shape[1] - T).expand(len(real), -1, -1)


def future_allowed(real, T):
    """The future may be looked at: query t must not see later keys."""
    return real.unsqueeze(1).expand(-1, T, -1)


def aligned_top_left(real, T):
    """Query 0 sees key 0 only, as if it stood at position 0: the T queries are the *last* T of the S positions."""
    return real.unsqueeze(1) & _lower(T, real.shape[1], 0)


def not_itself(real, T):
    """A word may look at itself; here it sees only those before it."""
    return real.unsqueeze(1) & _lower(T, real.shape[1], real.shape[1] - T - 1)


def one_ahead(real, T):
    """Every query sees one word too far: tril's diagonal is off by one."""
    return real.unsqueeze(1) & _lower(T, real.shape[1], real.shape[1] - T + 1)


def shifted_the_wrong_way(real, T):
    """The diagonal is shifted the wrong way: query 0 stands at position S - T and sees that many keys and its own."""
    return real.unsqueeze(1) & _lower(T, real.shape[1], T - real.shape[1])


def forbidden(real, T):
    """True means *forbidden* here, as in nn.MultiheadAttention; in this course True = may attend."""
    return ~may_attend(real, T)


def either(real, T):
    """A pair is allowed here if it passes one of the two masks; it must pass both: & instead of |."""
    return real.unsqueeze(1) | _lower(T, real.shape[1], real.shape[1] - T)


def one_of_the_two(real, T):
    """A pair is allowed here if it passes exactly one of the two masks (^ or !=); it must pass both: &."""
    return real.unsqueeze(1) ^ _lower(T, real.shape[1], real.shape[1] - T)


def upper_triangle(real, T):
    """This shows the future and hides the past: the lower triangle is the past, tril."""
    return real.unsqueeze(1) & torch.ones(T, real.shape[1], dtype=torch.bool).triu(real.shape[1] - T)


def strict_upper_triangle(real, T):
    """This shows the future and hides the past, the word itself too: tril instead of triu."""
    return real.unsqueeze(1) & torch.ones(T, real.shape[1], dtype=torch.bool).triu(real.shape[1] - T + 1)


def masks_the_queries(real, T):
    """The pads are hidden as queries (rows); hide them as keys, real.unsqueeze(1) and not unsqueeze(2)."""
    S = real.shape[1]
    return real[:, S - T :].unsqueeze(2) & _lower(T, S, S - T)


def masks_both(real, T):
    """The rows of pads are emptied as well; a pad's own output is simply not used, only its column is hidden."""
    S = real.shape[1]
    return real[:, S - T :].unsqueeze(2) & may_attend(real, T)


def pads_are_wanted(real, T):
    """Only pads may be looked at here: `real` is True on real words, so it needs no ~."""
    S = real.shape[1]
    return ~real.unsqueeze(1) & _lower(T, S, S - T)


def one_table(real, T):
    """There is one table for the whole batch here; every sentence has pads of its own: shape (B, T, S)."""
    S = real.shape[1]
    return real.all(0) & _lower(T, S, S - T)


def square_triangle(real, T):
    """The triangle is (T, T); there are S keys, so it must be (T, S)."""
    return real.unsqueeze(1) & torch.ones(T, T, dtype=torch.bool).tril()


def not_unsqueezed(real, T):
    """`real` (B, S) meets the triangle (T, S) row by row, sentence b with query b: make it (B, 1, S) first."""
    return real & _lower(T, real.shape[1], real.shape[1] - T)


def shifted_by_the_queries(real, T):
    """The diagonal is shifted by T - 1; query 0 stands at position S - T, whatever T is."""
    return real.unsqueeze(1) & _lower(T, real.shape[1], T - 1)


MISTAKES_3 = [
    pads_allowed, future_allowed, aligned_top_left, not_itself, one_ahead, shifted_the_wrong_way, forbidden, either,
    one_of_the_two, upper_triangle, strict_upper_triangle, masks_the_queries, masks_both, pads_are_wanted, one_table,
    square_triangle, not_unsqueezed, shifted_by_the_queries,
]  # fmt: skip


@exercise("13.3", "a real key, and none that is later: True = may attend.")
def check_13_3(answer):
    """**Exercise 13.3 · ●●●○○ · 10 min · at home** - both masks in one

    Write `my_mask(real, T)`: `real` (B, S) bool, True on real words (pads may stand anywhere). The T queries stand at
    the *last* T of the S positions (T = S when a sentence attends to itself, T < S when a decoder keeps old keys).
    Return (B, T, S) bool, True = may attend: the key is real and not later than the query.

    Hint 1: torch.ones(T, S, dtype=torch.bool).tril(k) is the lower triangle; query 0 stands at position S - T.
    Hint 2: a key mask is (B, 1, S), the triangle (T, S): combine them with &.
    Solution: S = real.shape[1]; return real.unsqueeze(1) & torch.ones(T, S, dtype=torch.bool).tril(S - T)
    """
    rng = fresh()
    inputs = []
    for B, S, T in ((2, 4, 4), (3, 5, 2), (1, 3, 1), (2, 5, 4), (2, 6, 3)):
        real = torch.rand(B, S, generator=rng) < 0.6
        real[0], real[-1, 1:3] = True, torch.tensor([False, True])  # pads in the middle of the last
        inputs.append((real, T))
    judge(answer, inputs, may_attend, MISTAKES_3)


# --- 13.4 repair a softmax --------------------------------------------------------------------------------------------


def _scores(query, key):
    return query @ key.transpose(1, 2) / query.shape[-1] ** 0.5


def _filled(scores, allowed):
    return scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)


def attended(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor) -> Tensor:
    rows = []
    for scores, values, row in zip(_scores(query, key), value, allowed, strict=True):
        weights = torch.zeros_like(scores)
        for t in range(len(scores)):
            if row[t].any():
                weights[t, row[t]] = scores[t, row[t]].softmax(0)
        rows.append(weights @ values)
    return torch.stack(rows)


def softmax_over_queries(query, key, value, allowed):
    """The softmax runs over the queries (dim=1): each key shares itself out among them. It must run over the keys,
    so that each query's weights add up to 1: dim=-1."""
    return _filled(_scores(query, key), allowed).softmax(1).masked_fill(~allowed, 0.0) @ value


def softmax_over_the_batch(query, key, value, allowed):
    """The softmax runs over the sentences of the batch now: the keys are the last dimension."""
    return _filled(_scores(query, key), allowed).softmax(0).masked_fill(~allowed, 0.0) @ value


def flat_softmax(query, key, value, allowed):
    """All pairs of a sentence share one softmax: every query needs one of its own, over its keys."""
    scores = _filled(_scores(query, key), allowed)
    return scores.flatten(1).softmax(-1).view_as(scores).masked_fill(~allowed, 0.0) @ value


def empty_rows_uniform(query, key, value, allowed):
    """A query without any key gets the mean of all values: set the weights of forbidden pairs to 0 after the softmax as
    well."""
    return _filled(_scores(query, key), allowed).softmax(-1) @ value


def empty_rows_nan(query, key, value, allowed):
    """A query without any key comes out as nan: -inf everywhere is 0 divided by 0. Its output is 0."""
    return _scores(query, key).masked_fill(~allowed, -torch.inf).softmax(-1) @ value


def hidden_afterwards(query, key, value, allowed):
    """Forbidden pairs are set to 0 after the softmax only, so the rest does not add up to 1: hide them before it."""
    return _scores(query, key).softmax(-1) * allowed @ value


def renormalised(query, key, value, allowed):
    """The weights are divided by their sum afterwards: where a forbidden key scores far higher than the others, these
    have already rounded to 0, and nothing is left to divide. Hide before the softmax."""
    weights = _scores(query, key).softmax(-1) * allowed
    return (weights / weights.sum(-1, keepdim=True)).nan_to_num() @ value


def renormalised_with_nan(query, key, value, allowed):
    """The weights are divided by their sum afterwards, and that sum may be 0: nan. Hide before the softmax, and set
    the weights of forbidden pairs to 0 after it."""
    weights = _scores(query, key).softmax(-1) * allowed
    return weights / weights.sum(-1, keepdim=True) @ value


def wrong_polarity(query, key, value, allowed):
    """This hides what may be attended to: True in `allowed` means may attend."""
    return _filled(_scores(query, key), ~allowed).softmax(-1).masked_fill(allowed, 0.0) @ value


def mask_forgotten(query, key, value, allowed):
    """The mask is not used: forbidden pairs must get weight 0."""
    return _scores(query, key).softmax(-1) @ value


def zero_scores(query, key, value, allowed):
    """A forbidden score is set to 0 here, which still gives it a weight, e⁰ = 1 before normalising: use a score far
    below all others, and set the weights to 0 afterwards."""
    return (_scores(query, key) * allowed).softmax(-1) @ value


def zero_scores_hidden(query, key, value, allowed):
    """A forbidden score is set to 0 before the softmax, where it still takes a share of e⁰ = 1: fill in a score far
    below all others instead."""
    return (_scores(query, key) * allowed).softmax(-1).masked_fill(~allowed, 0.0) @ value


def scale_lost(query, key, value, allowed):
    """The scale got lost in the repair: the scores are divided by √d."""
    return _filled(query @ key.transpose(1, 2), allowed).softmax(-1).masked_fill(~allowed, 0.0) @ value


def mildly_low(query, key, value, allowed):
    """The score filled in is not low enough: a forbidden key still takes a share of the softmax. Take the lowest number
    there is, torch.finfo(scores.dtype).min."""
    return _scores(query, key).masked_fill(~allowed, -10.0).softmax(-1).masked_fill(~allowed, 0.0) @ value


def hardly_low(query, key, value, allowed):
    """The score filled in is not low enough: real scores may lie below -100. Take the lowest number there is,
    torch.finfo(scores.dtype).min."""
    return _scores(query, key).masked_fill(~allowed, -100.0).softmax(-1).masked_fill(~allowed, 0.0) @ value


def divided_by_the_width(query, key, value, allowed):
    """The scores are divided by d now; it is the root of d."""
    scores = query @ key.transpose(1, 2) / query.shape[-1]
    return _filled(scores, allowed).softmax(-1).masked_fill(~allowed, 0.0) @ value


def divided_by_the_keys(query, key, value, allowed):
    """The scores are divided by the root of how many keys there are; it is the root of d, the width of a query."""
    scores = query @ key.transpose(1, 2) / key.shape[1] ** 0.5
    return _filled(scores, allowed).softmax(-1).masked_fill(~allowed, 0.0) @ value


MISTAKES_4 = [
    softmax_over_queries, softmax_over_the_batch, flat_softmax, empty_rows_uniform, empty_rows_nan, hidden_afterwards,
    renormalised, renormalised_with_nan, wrong_polarity, mask_forgotten, zero_scores, zero_scores_hidden, scale_lost,
    mildly_low, hardly_low, divided_by_the_width, divided_by_the_keys,
]  # fmt: skip


@exercise("13.4", "every query shares out one whole unit among its keys.")
def check_13_4(answer):
    """**Exercise 13.4 · ●●●○○ · 8 min · at home** - repair the attention

    `my_attend(query, key, value, allowed)` runs and has the right shape, but its maps look strange. `query` (B, T, d),
    `key` (B, S, d), `value` (B, S, e), `allowed` (B, T, S) bool, True = may attend; a query without any key gets 0, and
    a forbidden key has no influence, however high its score. Repair it:

        def my_attend(query, key, value, allowed):
            scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
            lowest = torch.finfo(scores.dtype).min
            weights = scores.masked_fill(~allowed, lowest).softmax(1).masked_fill(~allowed, 0.0)
            return weights @ value

    Hint 1: print the weights of a small case. Which sums are 1: those of the rows, or those of the columns?
    Hint 2: the scores are (B, T, S): batch, queries, keys.
    Solution: the same with .softmax(-1)
    """
    rng = fresh()
    inputs = []
    for B, T, S, d, e in ((2, 3, 4, 3, 2), (3, 4, 4, 2, 3), (2, 2, 5, 4, 4), (2, 3, 3, 3, 3)):
        allowed = torch.rand(B, T, S, generator=rng) < 0.6
        allowed[:, 0], allowed[:, -1, 0], allowed[0, 1] = True, True, False       # a full row and an empty one
        allowed[-1, 1, 1], allowed[-1, 1, 0] = True, False
        shapes = ((B, T, d), (B, S, d), (B, S, e))
        inputs.append((*(torch.randn(shape, generator=rng) for shape in shapes), allowed))
    query, key, value, allowed = (x.clone() for x in inputs[0])
    allowed[:, :, -1], allowed[:, :, 0] = False, True
    key[:, -1] = 200 * query[:, 0]  # forbidden, and far above all others
    inputs.append((query, key, value, allowed))
    low = query.abs() + 1
    inputs.append((low, -200 * low[:, :1].expand_as(key) + key / 100, value, allowed))  # real scores far below 0
    judge(answer, inputs, attended, MISTAKES_4, planted=softmax_over_queries)


# --- 13.5 four matrices that are two ----------------------------------------------------------------------------------


def two_matrices(W_q: Tensor, W_k: Tensor, W_v: Tensor, W_o: Tensor) -> tuple[Tensor, Tensor]:
    return torch.einsum("dm,dn->mn", W_q, W_k) / len(W_q) ** 0.5, torch.einsum("dm,nd->mn", W_v, W_o)


def _merged(W_q, W_k, W_v, W_o, scale=None):
    return W_q.T @ W_k * (len(W_q) ** -0.5 if scale is None else scale), W_v.T @ W_o.T


def first_not_scaled(W_q, W_k, W_v, W_o):
    """The scale is missing in M: the scores are X M Xᵀ with the division by √d inside."""
    return _merged(W_q, W_k, W_v, W_o, 1.0)


def first_divided_by_d(W_q, W_k, W_v, W_o):
    """M is divided by d; it is the root of d."""
    return _merged(W_q, W_k, W_v, W_o, 1 / len(W_q))


def first_divided_by_the_input(W_q, W_k, W_v, W_o):
    """M is divided by the root of D, the inputs' width; d is the width of a query, the rows of W_q."""
    return _merged(W_q, W_k, W_v, W_o, W_q.shape[1] ** -0.5)


def first_transposed(W_q, W_k, W_v, W_o):
    """M is transposed: as it stands, keys ask and queries are looked at. X M Xᵀ has the queries in its rows."""
    M, N = _merged(W_q, W_k, W_v, W_o)
    return M.T, N


def first_narrow(W_q, W_k, W_v, W_o):
    """M is W_q W_kᵀ here, a (d, d) matrix; two words x meet in x W_qᵀ W_k xᵀ, which is (D, D) in the middle."""
    return W_q @ W_k.T / len(W_q) ** 0.5, W_v.T @ W_o.T


def second_transposed(W_q, W_k, W_v, W_o):
    """N is transposed: with rows, the outputs are A X N, and x becomes x W_vᵀ first, then that times W_oᵀ."""
    M, N = _merged(W_q, W_k, W_v, W_o)
    return M, N.T


def second_narrow(W_q, W_k, W_v, W_o):
    """N is a (d, d) product of W_v and W_o here; X N needs D rows: W_vᵀ first, then W_oᵀ."""
    return _merged(W_q, W_k, W_v, W_o)[0], W_v @ W_o


def second_without_output(W_q, W_k, W_v, W_o):
    """W_o is not in N: it is applied after the mixing, and so belongs to what a word gives away."""
    return _merged(W_q, W_k, W_v, W_o)[0], W_v.T


def second_scaled(W_q, W_k, W_v, W_o):
    """N is divided by √d as well; the scale belongs to the scores alone."""
    M, N = _merged(W_q, W_k, W_v, W_o)
    return M, N / len(W_q) ** 0.5


def scale_in_the_second(W_q, W_k, W_v, W_o):
    """The scale stands in N; it belongs to the scores, and so to M."""
    return _merged(W_q, W_k, W_v, W_o, 1.0)[0], _merged(W_q, W_k, W_v, W_o)[1] / len(W_q) ** 0.5


def results_swapped(W_q, W_k, W_v, W_o):
    """The two results have changed places: M of the scores first, then N of the outputs."""
    return _merged(W_q, W_k, W_v, W_o)[::-1]


def both_transposed(W_q, W_k, W_v, W_o):
    """Both are transposed: this is the form for words as columns; here the words are rows of X."""
    M, N = _merged(W_q, W_k, W_v, W_o)
    return M.T, N.T


def values_in_the_first(W_q, W_k, W_v, W_o):
    """M is made of W_q and W_v; who looks at whom is decided by queries and keys, W_q and W_k."""
    return W_q.T @ W_v / len(W_q) ** 0.5, W_v.T @ W_o.T


def first_multiplied(W_q, W_k, W_v, W_o):
    """M is multiplied by √d; the scores are divided by it."""
    return _merged(W_q, W_k, W_v, W_o, len(W_q) ** 0.5)


def second_in_the_other_order(W_q, W_k, W_v, W_o):
    """The two factors of N stand in the wrong order: X meets W_vᵀ first, then W_oᵀ."""
    return _merged(W_q, W_k, W_v, W_o)[0], W_o.T @ W_v.T


def only_the_first(W_q, W_k, W_v, W_o):
    """Two matrices are asked for: return M, N."""
    return _merged(W_q, W_k, W_v, W_o)[0]


MISTAKES_5 = [
    first_not_scaled, first_divided_by_d, first_divided_by_the_input, first_transposed, first_narrow, second_transposed,
    second_narrow, second_without_output, second_scaled, scale_in_the_second, results_swapped, both_transposed,
    values_in_the_first, first_multiplied, second_in_the_other_order, only_the_first,
]  # fmt: skip


@exercise("13.5", "one matrix decides who looks at whom, the other what is given away.")
def check_13_5(answer):
    """**Exercise 13.5 · ●●●●○ · 10 min · at home** - four matrices that are two

    A layer with an output matrix computes A = softmax(Q Kᵀ / √d) and then A V W_oᵀ. Write
    `my_two_matrices(W_q, W_k, W_v, W_o)`, `W_q`, `W_k`, `W_v` (d, D), `W_o` (D, d), which returns two (D, D) matrices
    (M, N) such that for every X (T, D), one row per word, the scaled scores are X @ M @ X.T and the layer's output is
    A @ X @ N.

    Hint 1: put Q = X W_qᵀ and K = X W_kᵀ into Q Kᵀ / √d. What stands between X and Xᵀ?
    Hint 2: V W_oᵀ = X W_vᵀ W_oᵀ, and A does not care what it is multiplied with.
    Solution: return W_q.T @ W_k / len(W_q) ** 0.5, W_v.T @ W_o.T
    """
    rng = fresh()
    inputs = []
    for D, d, dtype in ((4, 2, torch.float32), (5, 3, torch.float64), (3, 3, torch.float32), (2, 5, torch.float64)):
        shapes = ((d, D), (d, D), (d, D), (D, d))
        inputs.append(tuple(torch.randn(shape, generator=rng, dtype=dtype) for shape in shapes))
    judge(answer, inputs, two_matrices, MISTAKES_5)


# --- 13.6 a test of symmetry ------------------------------------------------------------------------------------------

NEAR = 1e-4


def _near(one: Tensor, other: Tensor) -> bool:
    return bool(torch.allclose(one, other, rtol=0, atol=NEAR))


def follows(layer, x: Tensor, order: Tensor) -> bool:
    return _near(layer(x[order]), layer(x)[order])


def invariant_instead(layer, x, order):
    """This asks whether the output stays the same (invariant); asked is whether it is shuffled along: compare with
    layer(x)[order]."""
    return _near(layer(x[order]), layer(x))


def shuffled_back(layer, x, order):
    """The output is put into the opposite order: shuffle it by `order`, as the input was."""
    return _near(layer(x[order]), layer(x)[order.argsort()])


def to_the_last_bit(layer, x, order):
    """This demands equality to the last bit; sums in another order are rounded differently: allow 10⁻⁴."""
    return torch.equal(layer(x[order]), layer(x)[order])


def default_tolerance(layer, x, order):
    """torch.allclose allows 10⁻⁵ of a number and 10⁻⁸ beside it, which rounding in float32 exceeds: give it
    atol=1e-4."""
    return bool(torch.allclose(layer(x[order]), layer(x)[order]))


def generous_tolerance(layer, x, order):
    """The tolerance is too large: a layer that knows where a word stands by a hundredth is called blind to order."""
    return bool(torch.allclose(layer(x[order]), layer(x)[order], atol=0.1))


def sums_only(layer, x, order):
    """This compares sums over the words; a layer may keep those and still know where each word stood."""
    return _near(layer(x[order]).sum(0), layer(x).sum(0))


def input_not_shuffled(layer, x, order):
    """The layer never gets the shuffled input: layer(x[order]) is one side of the equation."""
    return layer(x).shape == x.shape and _near(layer(x)[order], x[order])


def last_word_only(layer, x, order):
    """Only the last word is looked at: all of them must be found again."""
    return _near(layer(x[order])[-1], layer(x)[order][-1])


def first_word_only(layer, x, order):
    """Only the first word is looked at: all of them must be found again."""
    return _near(layer(x[order])[0], layer(x)[order][0])


def signed_difference(layer, x, order):
    """The differences are taken with their sign, so that a negative one always passes: take their absolute value."""
    return bool((layer(x[order]) - layer(x)[order]).max() < NEAR)


def upside_down(layer, x, order):
    """The answer is the wrong way round: True if the output is shuffled along."""
    return not follows(layer, x, order)


def always_true(layer, x, order):
    """This says True whatever the layer does: compare layer(x[order]) with layer(x)[order]."""
    return True


def always_false(layer, x, order):
    """This says False whatever the layer does: compare layer(x[order]) with layer(x)[order]."""
    return False


def a_hundredth(layer, x, order):
    """A tolerance of a hundredth is too large: a layer may know where a word stands by just that. Allow 10⁻⁴."""
    return bool(torch.allclose(layer(x[order]), layer(x)[order], rtol=0, atol=0.02))


def outputs_only(layer, x, order):
    """The layer is asked once, and its output compared with itself: the input must be shuffled, layer(x[order])."""
    return _near(layer(x)[order], layer(x))


def first_number_only(layer, x, order):
    """Only the first number of each word is compared: a layer may know the positions in another one."""
    return _near(layer(x[order])[:, 0], layer(x)[order][:, 0])


MISTAKES_6 = [
    invariant_instead, shuffled_back, to_the_last_bit, default_tolerance, generous_tolerance, sums_only,
    input_not_shuffled, last_word_only, first_word_only, signed_difference, upside_down, always_true, always_false,
    a_hundredth, outputs_only, first_number_only,
]  # fmt: skip


@exercise("13.6", "shuffling before or after is the same: that is equivariance.")
def check_13_6(answer):
    """**Exercise 13.6 · ●●●●○ · 10 min · at home** - does the output follow the words?

    Write `my_is_equivariant(layer, x, order)`: `layer` turns (T, D) into (T, E), `x` (T, D) float, `order` (T,) a
    permutation. Return True if shuffling the words before the layer gives the same as shuffling its output, else False.
    Numbers that differ by less than 10⁻⁴ count as the same: that is rounding.

    Hint 1: the shuffled words are x[order]; two calls of the layer are needed.
    Hint 2: f(P x) = P f(x) for every word; torch.allclose has an argument atol.
    Solution: return torch.allclose(layer(x[order]), layer(x)[order], atol=1e-4)
    """
    rng = fresh()
    orders = [torch.tensor(some) for some in ([1, 2, 3, 0], [2, 0, 1, 4, 3], [1, 2, 0, 3], [0, 2, 1], [1, 0])]
    inputs = []
    for k, order in enumerate(orders):
        x = torch.randn(len(order), 3, generator=rng, dtype=(torch.float64, torch.float32)[k % 2])
        inputs += [(layer, x, order) for layer in _layers(x, rng)]
    judge(answer, inputs, follows, MISTAKES_6)


def _layers(given: Tensor, rng: torch.Generator) -> list:
    """Layers with and without the symmetry, and one that keeps it up to rounding."""
    T, dtype = len(given), given.dtype
    W = torch.randn(3, 3, generator=rng, dtype=dtype)
    places = torch.randn(T, 3, generator=rng, dtype=dtype)
    places = places - places.mean(0)                                          # sums over the words do not see it
    late = torch.ones(T, T, dtype=torch.bool).triu(1)
    steps = torch.arange(T, dtype=dtype).unsqueeze(1)

    def attention(x, hidden=None):
        scores = x @ W @ x.T
        return (scores if hidden is None else scores.masked_fill(hidden, -torch.inf)).softmax(-1) @ x

    return [
        attention,
        lambda x: attention(x, late),                                         # causal
        lambda x: x + places,
        lambda x: x.cumsum(0),
        lambda x: x.mean(0).expand(T, -1),
        lambda x: torch.tanh(x @ W),
        lambda x: x.roll(1, 0),
        lambda x: attention(x) + 1.5e-5 * steps,                              # as much as float32 may round
        lambda x: attention(x) - 0.01 * steps,                                # knows the positions, a little
        lambda x: attention(x)[:, :2],                                        # narrower than its input
        lambda x: torch.cat([attention(x)[:, :2], places[:, 2:]], 1),         # knows the positions in one number only
        lambda x: x.clone(),
        lambda x: -(x[0] - given[0]).abs().sum().expand(T, 1),                # another first word: only ever smaller
    ]


# --- what proves them -------------------------------------------------------------------------------------------------


def _matrices(X, Z, W_q, W_k, W_v):
    return _attend(X @ W_q.T, Z @ W_k.T, Z @ W_v.T)


def _by_einsum(X, Z, W_q, W_k, W_v):
    scores = torch.einsum("btm,dm,dn,bsn->bts", X, W_q, W_k, Z) / W_q.shape[0] ** 0.5
    return torch.einsum("bts,bsn,en->bte", scores.softmax(2), Z, W_v)


def _fused(X, Z, W_q, W_k, W_v):
    return torch.nn.functional.scaled_dot_product_attention(X @ W_q.T, Z @ W_k.T, Z @ W_v.T)


def _triangle(real, T):
    return real.unsqueeze(1) & _lower(T, real.shape[1], real.shape[1] - T)


def _repaired(query, key, value, allowed):
    return _filled(_scores(query, key), allowed).softmax(-1).masked_fill(~allowed, 0.0) @ value


def _as_floats(real, T):
    return may_attend(real, T).float()


def _a_map(layer, x, order):
    return layer(x[order]) == layer(x)[order]


CHECKS = {
    "13_1": Check(check_13_1, [16, 16.0, torch.tensor(16.0)], [(hint[:30], value, hint) for value, hint in MISTAKES_1]),
    "13_2": Check(check_13_2, [_matrices, _by_einsum],
                  [*gallery(MISTAKES_2), ("torch's kernel", _fused, "scaled_dot_product_attention"),
                   ("loops", cross_attention, "there is a loop")]),
    "13_3": Check(check_13_3, [may_attend, _triangle],
                  [*gallery(MISTAKES_3), ("floats", _as_floats, "numbers with a fraction")]),
    "13_4": Check(check_13_4, [attended, _repaired], gallery(MISTAKES_4), stub=softmax_over_queries),
    "13_5": Check(check_13_5, [two_matrices, _merged], gallery(MISTAKES_5)),
    "13_6": Check(check_13_6, [follows, lambda f, x, p: bool((f(x[p]) - f(x)[p]).abs().max() < 1e-4)],
                  [*gallery(MISTAKES_6), ("a map", _a_map, "the result is")]),
}  # fmt: skip
