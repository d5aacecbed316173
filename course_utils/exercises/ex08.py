"""Exercises of notebook 08, attention scores. Tasks, hints and solutions stand in the checks' docstrings, mistakes in
the functions above each check; how they become cells: course_utils/exercises/checking.py. The planted faults of 08.4
and 08.6 are those of public code: a translation tutorial's concat without tanh, and a softmax without its maximum."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.checking import Check, Hint, exercise, fresh, gallery, judge, judge_value, lengths_mask
from course_utils.exercises.ex07 import random_cell, random_score

# --- 08.1 cosine with a strength --------------------------------------------------------------------------------------


def cosine_of(queries: Tensor, keys: Tensor, strength: float) -> Tensor:
    def unit(x):
        length = x.pow(2).sum(-1, keepdim=True).sqrt()
        return torch.where(length > 0, x / length.clamp(min=1e-30), torch.zeros_like(x))

    return strength * torch.einsum("btd,bsd->bts", unit(queries), unit(keys))


def _length(x, dim=-1):
    return x.norm(dim=dim, keepdim=True).clamp(min=1e-12)


def _dot(queries, keys):
    return queries @ keys.transpose(1, 2)


def plain_dot(queries, keys, strength):
    """This is the dot product, times the strength: it grows with the lengths of query and key. Divide both of them by
    their lengths."""
    return strength * _dot(queries, keys)


def dot_without_strength(queries, keys, strength):
    """This is the plain dot product: neither the lengths nor the strength are in it."""
    return _dot(queries, keys)


def keys_only(queries, keys, strength):
    """Only the keys have length 1 here: a longer query still gets larger scores."""
    return strength * _dot(queries, keys / _length(keys))


def queries_only(queries, keys, strength):
    """Only the queries have length 1 here: a longer key still wins more often."""
    return strength * _dot(queries / _length(queries), keys)


def squared_lengths(queries, keys, strength):
    """The vectors are divided by their squared lengths: the length is the root of the sum of squares."""
    return strength * _dot(queries / _length(queries).square(), keys / _length(keys).square())


def added_up_lengths(queries, keys, strength):
    """The length here is the sum of the absolute entries; it is the root of the sum of their squares."""
    return strength * _dot(F.normalize(queries, p=1, dim=-1), F.normalize(keys, p=1, dim=-1))


def over_the_words(queries, keys, strength):
    """The lengths are taken over the words of the sentence (dim=1): a vector's length runs over its own entries,
    dim=-1."""
    return strength * _dot(F.normalize(queries, dim=1), F.normalize(keys, dim=1))


def one_length_for_all(queries, keys, strength):
    """One length for the whole tensor: every query and every key has its own."""
    return strength * _dot(queries, keys) / (queries.norm() * keys.norm())


def strength_divides(queries, keys, strength):
    """The strength divides here. A larger strength must make the scores larger: multiply."""
    return cosine_of(queries, keys, 1.0) / strength


def no_strength(queries, keys, strength):
    """This is the plain cosine: the strength is missing, or it multiplies a vector before that is brought to length 1,
    which takes it away again."""
    return cosine_of(queries, keys, 1.0)


def strength_added(queries, keys, strength):
    """The strength is added here, which changes no weight: softmax does not see what all scores have in common."""
    return cosine_of(queries, keys, 1.0) + strength


def divided_by_root_d(queries, keys, strength):
    """There is a √d too many: the cosine has no need of it, it lies between -1 and 1 at any width."""
    return cosine_of(queries, keys, strength) / queries.shape[-1] ** 0.5


def angle(queries, keys, strength):
    """This is the angle; the cosine itself is asked, which is large where the angle is small."""
    return strength * cosine_of(queries, keys, 1.0).clamp(-1, 1).arccos()


def already_weights(queries, keys, strength):
    """These are weights: the softmax comes later, asked are the scores."""
    return cosine_of(queries, keys, strength).softmax(-1)


def nan_at_zeros(queries, keys, strength):
    """A vector of zeros gives nan, 0 divided by 0: its score must be 0. Keep the length above a tiny number before you
    divide."""
    return strength * _dot(queries / queries.norm(dim=-1, keepdim=True), keys / keys.norm(dim=-1, keepdim=True))


def length_plus_one(queries, keys, strength):
    """1 is added to the lengths against a division by 0; that changes every score. Use something tiny, or a clamp."""
    return strength * _dot(queries / (1 + queries.norm(dim=-1, keepdim=True)),
                           keys / (1 + keys.norm(dim=-1, keepdim=True)))  # fmt: skip


def only_positive(queries, keys, strength):
    """Negative cosines have become 0: a key that points the other way has a negative score."""
    return cosine_of(queries, keys, strength).relu()


MISTAKES_1 = [
    plain_dot, dot_without_strength, keys_only, queries_only, squared_lengths, added_up_lengths, over_the_words,
    one_length_for_all, strength_divides, no_strength, strength_added, divided_by_root_d, angle, already_weights,
    nan_at_zeros, length_plus_one, only_positive,
]  # fmt: skip


@exercise("08.1", "direction counts, length does not.")
def check_08_1(answer):
    """**Exercise 08.1 · ●●○○○ · 6 min** - the cosine with a strength

    Write `my_cosine(queries, keys, strength)`: `queries` (B, T, D), `keys` (B, S, D), `strength` a number. Return the
    scores (B, T, S), strength · q·k / (|q||k|). A vector of zeros, query or key, has score 0 with everything. Vectors
    may be short or long.

    Hint 1: bring every vector to length 1 first; then the cosine is a dot product. Which dimension is its length taken
    over?
    Hint 2: `torch.nn.functional.normalize(x, dim=-1)` divides by the length and leaves zeros alone.
    Solution: strength * F.normalize(queries, dim=-1) @ F.normalize(keys, dim=-1).transpose(1, 2)
    """
    rng = fresh()
    inputs = []
    for B, T, S, D, size, strength in ((2, 3, 4, 4, 1.0, 10.0), (1, 2, 5, 2, 30.0, 3.0), (3, 2, 2, 6, 0.02, 1.5),
                                       (2, 1, 3, 5, 2.0, 0.5), (2, 3, 2, 3, 1.0, 4.0)):  # fmt: skip
        parts = [size * torch.randn(B, n, D, generator=rng) * (1 + torch.arange(n).view(1, n, 1)) for n in (T, S)]
        inputs.append((*parts, strength))
    inputs[0][1][0, 2] = 0.0
    inputs[1][0][0, 1] = 0.0
    inputs.append(tuple(part.double() if isinstance(part, Tensor) else part for part in inputs[2]))
    judge(answer, inputs, cosine_of, MISTAKES_1)


# --- 08.2 how strong must a cosine be? --------------------------------------------------------------------------------

STRENGTH = 0.5 * math.log(0.9 / 0.1 * 15)
MISTAKES_2 = [
    (math.log(135), "this is the distance between the best score and the others, which is 2g: they lie at g and -g."),
    (0.5 * math.log(9), "this would do if there were one other word; there are 15, each with a weight of its own."),
    (math.log(9), "this forgets that there are 15 other words, and that the two scores are 2g apart."),
    (0.5 * math.log(144), "there are 16 words, so 15 *others*."),
    (135.0, "this is e to the power of 2g: take the logarithm, and half of it."),
    (67.5, "this is half of 135, but 135 is e to the power of 2g: take the logarithm first."),
    (0.5 * math.log10(135), "this logarithm is to the base 10; the softmax has e."),
    (0.5 * math.log(13.5), "0.9 is a share of the whole: the others have 0.1 together, so the ratio is 9, not 0.9."),
    (math.log(0.9), "this is the logarithm of the weight alone: the others share the rest, and they stand in the sum."),
    (0.5 * math.log(0.9 / 0.1 / 15), "the 15 other words are on the wrong side: the more there are, the stronger g "
     "must be."),
]  # fmt: skip


@exercise("08.2", "a cosine that may grow to ±2.5 is sharp enough for a sentence.", function=False)
def check_08_2(answer):
    """**Exercise 08.2 · ●●○○○ · 4 min** - how strong must a cosine be?

    A sentence has 16 words. The right key points exactly where the query points, and the 15 others exactly the other
    way: the best case there is. With the score g · cos(q, k), how large must g be for the right word to get the weight
    0.9? A number, to two decimals.

    Hint 1: the scores are g and, 15 times, -g. Write the largest weight as a fraction, and divide by e to the power g.
    Hint 2: 1 / (1 + 15 e^(-2g)) = 0.9.
    Solution: 0.5 * math.log(9 * 15)
    """
    if isinstance(answer, Tensor) and answer.numel() == 1:
        answer = answer.item()
    if isinstance(answer, int | float) and not isinstance(answer, bool) and math.isfinite(_float(answer)):
        answer = float(answer)
        if abs(answer - STRENGTH) < 0.006:
            return
        for value, hint in MISTAKES_2:
            if abs(answer - value) < 0.006:
                raise Hint(hint)
    judge_value(answer, STRENGTH, MISTAKES_2)


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


# --- 08.3 input feeding -----------------------------------------------------------------------------------------------


def _masked(scores, mask):
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~mask, 0.0)


def _context(weights, states):
    return (weights.unsqueeze(1) @ states).squeeze(1)


def feeding_step(word, fed, state, states, mask, score, gru, W_c):
    state = gru(torch.cat([word, fed], -1), state)
    context = _context(_masked(score(state, states), mask), states)
    return torch.tanh(torch.cat([state, context], -1) @ W_c.T), state


def _finish(state, states, mask, score, W_c, asks=None):
    context = _context(_masked(score(state if asks is None else asks, states), mask), states)
    return torch.tanh(torch.cat([state, context], -1) @ W_c.T)


def nothing_fed(word, fed, state, states, mask, score, gru, W_c):
    """Nothing is fed: the second half of the cell's input is `fed`, the attentional vector of the word before."""
    state = gru(torch.cat([word, torch.zeros_like(fed)], -1), state)
    return _finish(state, states, mask, score, W_c), state


def state_fed(word, fed, state, states, mask, score, gru, W_c):
    """The cell is fed its own old state; what is fed is the attentional vector, `fed`."""
    state = gru(torch.cat([word, state], -1), state)
    return _finish(state, states, mask, score, W_c), state


def fed_first(word, fed, state, states, mask, score, gru, W_c):
    """Word and fed vector have changed places in the cell's input: [word; fed]."""
    state = gru(torch.cat([fed, word], -1), state)
    return _finish(state, states, mask, score, W_c), state


def fed_as_state(word, fed, state, states, mask, score, gru, W_c):
    """The fed vector has replaced the cell's state here: it is an input, beside the word; the state goes on."""
    state = gru(torch.cat([word, fed], -1), fed)
    return _finish(state, states, mask, score, W_c), state


def old_state_asks(word, fed, state, states, mask, score, gru, W_c):
    """The previous state asks, as in Bahdanau's decoder. In Luong's the new state does, which has read the word."""
    new = gru(torch.cat([word, fed], -1), state)
    return _finish(new, states, mask, score, W_c, asks=state), new


def fed_asks(word, fed, state, states, mask, score, gru, W_c):
    """The fed vector asks here; the query is the new state."""
    new = gru(torch.cat([word, fed], -1), state)
    return _finish(new, states, mask, score, W_c, asks=fed), new


def old_state_speaks(word, fed, state, states, mask, score, gru, W_c):
    """The context is right, but it is joined with the *previous* state: tanh(W_c [s; C]) has the new one."""
    new = gru(torch.cat([word, fed], -1), state)
    context = _context(_masked(score(new, states), mask), states)
    return torch.tanh(torch.cat([state, context], -1) @ W_c.T), new


def context_first(word, fed, state, states, mask, score, gru, W_c):
    """State and context have changed places under W_c: [s; C]."""
    state = gru(torch.cat([word, fed], -1), state)
    context = _context(_masked(score(state, states), mask), states)
    return torch.tanh(torch.cat([context, state], -1) @ W_c.T), state


def no_last_tanh(word, fed, state, states, mask, score, gru, W_c):
    """The tanh of the attentional vector is missing."""
    state = gru(torch.cat([word, fed], -1), state)
    context = _context(_masked(score(state, states), mask), states)
    return torch.cat([state, context], -1) @ W_c.T, state


def pads_too(word, fed, state, states, mask, score, gru, W_c):
    """The pads get weight: the mask is not used."""
    state = gru(torch.cat([word, fed], -1), state)
    context = _context(score(state, states).softmax(-1), states)
    return torch.tanh(torch.cat([state, context], -1) @ W_c.T), state


def plain_mean(word, fed, state, states, mask, score, gru, W_c):
    """The context is the plain mean of the states of real words; weigh them by the softmax of the scores."""
    state = gru(torch.cat([word, fed], -1), state)
    context = _context(mask / mask.sum(-1, keepdim=True), states)
    return torch.tanh(torch.cat([state, context], -1) @ W_c.T), state


def gives_the_context(word, fed, state, states, mask, score, gru, W_c):
    """The first result is the context; asked is tanh(W_c [s; C])."""
    state = gru(torch.cat([word, fed], -1), state)
    return _context(_masked(score(state, states), mask), states), state


def vector_as_state(word, fed, state, states, mask, score, gru, W_c):
    """The attentional vector is returned twice; the second result is the cell's new state."""
    vector, _ = feeding_step(word, fed, state, states, mask, score, gru, W_c)
    return vector, vector


def changed_results(word, fed, state, states, mask, score, gru, W_c):
    """The two results have changed places: first the attentional vector, then the state."""
    return feeding_step(word, fed, state, states, mask, score, gru, W_c)[::-1]


def vector_alone(word, fed, state, states, mask, score, gru, W_c):
    """This is the attentional vector alone; return two things, the vector and the new state."""
    return feeding_step(word, fed, state, states, mask, score, gru, W_c)[0]


MISTAKES_3 = [
    nothing_fed, state_fed, fed_first, fed_as_state, old_state_asks, fed_asks, old_state_speaks, context_first,
    no_last_tanh, pads_too, plain_mean, gives_the_context, vector_as_state, changed_results, vector_alone,
]  # fmt: skip


@exercise("08.3", "what was read at one word is there when the next one is chosen.")
def check_08_3(answer):
    """**Exercise 08.3 · ●●●○○ · 8 min** - a step with input feeding

    Write `my_feeding_step(word, fed, state, states, mask, score, gru, W_c)`, one step of Luong's decoder with input
    feeding: `word` (B, H) the embedding of y_{i-1}, `fed` (B, H) the attentional vector of the step before, `state`
    (B, H) the cell's old state, `states` (B, S, H) the encoder's, `mask` (B, S) bool, True at real words.
    `score(query, keys)` gives (B, S); `gru(input, state)` the new state, its input is [word; fed]. The attentional
    vector is tanh(W_c [s; C]), `W_c` (H, 2H). Return it (B, H), and the new state (B, H).

    Hint 1: first the cell moves, then its new state asks, then state and context are joined.
    Hint 2: `masked_softmax(score(state, states), mask)` gives the weights, `(weights.unsqueeze(1) @ states).squeeze(1)`
    the context.
    Solution: state = gru(torch.cat([word, fed], -1), state); context = (masked_softmax(score(state, states),
    mask).unsqueeze(1) @ states).squeeze(1); return torch.tanh(torch.cat([state, context], -1) @ W_c.T), state
    """
    rng = fresh()
    inputs = []
    for lengths, width, H in (([3, 2], 4, 3), ([1, 4, 2], 4, 2), ([2], 3, 4), ([3, 3], 3, 3)):
        B = len(lengths)
        word, fed, state = (torch.randn(B, H, generator=rng) for _ in range(3))
        states, W_c = torch.randn(B, width, H, generator=rng), torch.randn(H, 2 * H, generator=rng)
        mask = lengths_mask(lengths, width)
        inputs.append((word, fed, state, states, mask, random_score(H, H, rng), random_cell(2 * H, H, rng), W_c))
    judge(answer, inputs, feeding_step, MISTAKES_3)


# --- 08.4 repair concat -----------------------------------------------------------------------------------------------


def concat_of(queries: Tensor, keys: Tensor, W: Tensor, v: Tensor) -> Tensor:
    D = queries.shape[-1]
    hidden = torch.einsum("ad,btd->bta", W[:, :D], queries).unsqueeze(2) + torch.einsum(
        "ad,bsd->bsa", W[:, D:], keys
    ).unsqueeze(1)
    return (hidden.tanh() @ v).softmax(-1)


def _both(queries, keys):
    T, S = queries.shape[1], keys.shape[1]
    return torch.cat([queries.unsqueeze(2).expand(-1, -1, S, -1), keys.unsqueeze(1).expand(-1, T, -1, -1)], -1)


def no_tanh(queries, keys, W, v):
    """Two different queries get the same weights here. Without a tanh the score is a part of the query plus a part of
    the key, and what the query adds to all scores alike, softmax takes away: where does the bend belong?"""
    return (_both(queries, keys) @ W.T @ v).softmax(-1)


def tanh_of_the_score(queries, keys, W, v):
    """The tanh comes last here, over the finished score; it belongs to the hidden units, between W and v."""
    return (_both(queries, keys) @ W.T @ v).tanh().softmax(-1)


def tanh_of_the_inputs(queries, keys, W, v):
    """The tanh comes first here, over [q; k]: W and v are still one linear map after it, and the query cancels."""
    return (_both(queries, keys).tanh() @ W.T @ v).softmax(-1)


def relu_units(queries, keys, W, v):
    """A relu brings the query back, but it is not Luong's score: he has tanh."""
    return ((_both(queries, keys) @ W.T).relu() @ v).softmax(-1)


def sigmoid_units(queries, keys, W, v):
    """A sigmoid brings the query back, but it is not Luong's score: he has tanh."""
    return ((_both(queries, keys) @ W.T).sigmoid() @ v).softmax(-1)


def tanh_of_the_weights(queries, keys, W, v):
    """The tanh bends the weights, after the softmax: they no longer sum to 1. It belongs between W and v."""
    return (_both(queries, keys) @ W.T @ v).softmax(-1).tanh()


def without_v(queries, keys, W, v):
    """The hidden units are added up; v, which says how much each of them counts, is missing."""
    return ((_both(queries, keys) @ W.T).tanh().sum(-1)).softmax(-1)


def key_first(queries, keys, W, v):
    """The tanh is right, but here the key stands first: W was made for [q; k]."""
    return ((torch.cat(_both(queries, keys).split([queries.shape[-1], keys.shape[-1]], -1)[::-1], -1) @ W.T).tanh()
            @ v).softmax(-1)  # fmt: skip


def over_the_queries(queries, keys, W, v):
    """The tanh is right, but this softmax is over the queries, so the rows do not sum to 1: dim=-1."""
    return ((_both(queries, keys) @ W.T).tanh() @ v).softmax(1)


def over_one_number(queries, keys, W, v):
    """All weights are 1: this softmax runs over a dimension of size 1. It belongs over the keys."""
    return ((_both(queries, keys) @ W.T).tanh() @ v).unsqueeze(-1).softmax(-1).squeeze(-1)


def no_softmax(queries, keys, W, v):
    """These are the scores; the function returns weights, so keep the softmax."""
    return (_both(queries, keys) @ W.T).tanh() @ v


def a_tanh_each(queries, keys, W, v):
    """Query and key have a tanh each here, and are added after it: then the query's part is again the same for all
    keys. One tanh over the sum."""
    D = queries.shape[-1]
    return ((queries @ W[:, :D].T).tanh().unsqueeze(2) @ v + (keys @ W[:, D:].T).tanh().unsqueeze(1) @ v).softmax(-1)


def as_luong_ran_it(queries, keys, W, v):
    """The key has no matrix here, as in Luong's own code; asked is the score as he writes it, W [q; k]."""
    D = queries.shape[-1]
    if W.shape[0] != keys.shape[-1]:
        return concat_of(queries, keys, W, v)
    return (((queries @ W[:, :D].T).unsqueeze(2) + keys.unsqueeze(1)).tanh() @ v).softmax(-1)


MISTAKES_4 = [
    no_tanh, tanh_of_the_score, tanh_of_the_inputs, relu_units, sigmoid_units, tanh_of_the_weights, without_v,
    key_first, over_the_queries, over_one_number, no_softmax, a_tanh_each, as_luong_ran_it,
]  # fmt: skip


@exercise("08.4", "with a bend between W and v, different queries get different weights.")
def check_08_4(answer):
    """**Exercise 08.4 · ●●●○○ · 6 min** - repair a concat score

    This code is modelled on a well-known tutorial. Its users reported that the decoder looks at the same word all the
    time. `queries` (B, T, Dq), `keys` (B, S, Dk), `W` (A, Dq + Dk), `v` (A,). It should return the weights (B, T, S) of
    Luong's concat score, v · tanh(W [q; k]). Repair it:

        def my_concat(queries, keys, W, v):
            T, S = queries.shape[1], keys.shape[1]
            q = queries.unsqueeze(2).expand(-1, -1, S, -1)
            k = keys.unsqueeze(1).expand(-1, T, -1, -1)
            scores = torch.cat([q, k], -1) @ W.T @ v
            return scores.softmax(-1)

    Hint 1: print the weights of two queries. What do you see, and which part of the score can softmax not see?
    Hint 2: v · W [q; k] = (part of q) + (part of k). Compare with the formula: what is missing between W and v?
    Solution: scores = torch.tanh(torch.cat([q, k], -1) @ W.T) @ v
    """
    rng = fresh()
    inputs = []
    for B, T, S, Dq, Dk, A in ((2, 3, 4, 3, 5, 6), (1, 2, 2, 4, 4, 4), (3, 4, 3, 2, 2, 2), (2, 2, 5, 3, 3, 3),
                               (1, 3, 1, 2, 4, 4)):  # fmt: skip
        inputs.append(tuple(torch.randn(*shape, generator=rng)
                            for shape in ((B, T, Dq), (B, S, Dk), (A, Dq + Dk), (A,))))  # fmt: skip
    inputs.append(tuple(2 * part.double() for part in inputs[0]))
    judge(answer, inputs, concat_of, MISTAKES_4, planted=no_tanh)


# --- 08.5 the location score ------------------------------------------------------------------------------------------


def location_of(queries: Tensor, W: Tensor, n_words: int) -> Tensor:
    known = min(n_words, len(W))
    weights = queries.new_zeros(*queries.shape[:2], n_words)
    weights[..., :known] = torch.einsum("pd,btd->btp", W[:known], queries).softmax(-1)
    return weights


def softmax_before_the_cut(queries, W, n_words):
    """The softmax runs over the whole table, and is cut afterwards: in a short sentence the weights no longer sum
    to 1. Cut the scores first."""
    known = min(n_words, len(W))
    return F.pad((queries @ W.T).softmax(-1)[..., :known], (0, n_words - known))


def zero_scores_beyond(queries, W, n_words):
    """A word beyond the table gets the score 0 here, and so a weight. It must get no weight at all."""
    known = min(n_words, len(W))
    return F.pad((queries @ W.T)[..., :known], (0, n_words - known)).softmax(-1)


def last_of_the_table(queries, W, n_words):
    """A short sentence takes the *last* rows of the table here; its first word belongs to the first row."""
    known = min(n_words, len(W))
    return F.pad((queries @ W[len(W) - known :].T).softmax(-1), (0, n_words - known))


def table_alone(queries, W, n_words):
    """The weights are as many as the table has places, not as many as the sentence has words."""
    return (queries @ W.T).softmax(-1)


def cut_only(queries, W, n_words):
    """A sentence longer than the table gets too few weights: fill up with zeros to n_words."""
    return (queries @ W.T)[..., :n_words].softmax(-1)


def locations_over_queries(queries, W, n_words):
    """This softmax is over the queries; each query shares its weight among the words: dim=-1."""
    known = min(n_words, len(W))
    return F.pad((queries @ W[:known].T).softmax(1), (0, n_words - known))


def scores_alone(queries, W, n_words):
    """These are scores, they do not sum to 1: the softmax is missing."""
    known = min(n_words, len(W))
    return F.pad(queries @ W[:known].T, (0, n_words - known))


def beyond_shares_with_the_last(queries, W, n_words):
    """Words beyond the table share the table's last place here; they must get no weight."""
    places = torch.arange(n_words).clamp(max=len(W) - 1)
    return (queries @ W.T)[..., places].softmax(-1)


def round_and_round(queries, W, n_words):
    """Beyond the table it begins anew, as if word P + 1 were the first; such a word must get no weight."""
    return (queries @ W.T)[..., torch.arange(n_words) % len(W)].softmax(-1)


def scaled_location(queries, W, n_words):
    """There is a √d here, which belongs to the scaled dot product."""
    return location_of(queries / queries.shape[-1] ** 0.5, W, n_words)


MISTAKES_5 = [
    softmax_before_the_cut, zero_scores_beyond, last_of_the_table, table_alone, cut_only, locations_over_queries,
    scores_alone, beyond_shares_with_the_last, round_and_round, scaled_location,
]  # fmt: skip


@exercise("08.5", "a query that knows by itself where to look, as far as its table reaches.")
def check_08_5(answer):
    """**Exercise 08.5 · ●●○○○ · 8 min** - attention without keys

    Write `my_location(queries, W, n_words)`, the weights of the location score: `queries` (B, T, D), `W` (P, D) has a
    row for each of the first P places, `n_words` is the length S of the sentence, the same for the whole batch. Return
    (B, T, S), rows that sum to 1. Where S < P use the first S places; where S > P the words beyond get weight 0.

    Hint 1: `queries @ W.T` are the scores of all P places. Which of them does this sentence have?
    Hint 2: cut before the softmax; `torch.nn.functional.pad(weights, (0, n))` appends n zeros.
    Solution: known = min(n_words, len(W)); return F.pad((queries @ W[:known].T).softmax(-1), (0, n_words - known))
    """
    rng = fresh()
    inputs = []
    for B, T, D, P, S in ((2, 3, 4, 5, 5), (1, 2, 3, 6, 2), (3, 2, 2, 3, 7), (2, 4, 5, 4, 1), (1, 1, 2, 1, 3)):
        inputs.append((torch.randn(B, T, D, generator=rng), torch.randn(P, D, generator=rng), S))
    inputs.append((inputs[1][0].double(), inputs[1][1].double(), 4))
    judge(answer, inputs, location_of, MISTAKES_5)


# --- 08.6 repair a softmax --------------------------------------------------------------------------------------------


def safe_weights(scores: Tensor, mask: Tensor) -> Tensor:
    rows = []
    for e, real in zip(scores, mask, strict=True):
        row = torch.zeros_like(e)
        row[real] = e[real].softmax(0)
        rows.append(row)
    return torch.stack(rows)


def exponentials(scores, mask):
    """Some scores are in the hundreds, and e to the power of 89 is too large for a float32. Adding one number to all
    scores of a row changes no weight: which number makes the largest score harmless?"""
    e = scores.exp() * mask
    return e / e.sum(-1, keepdim=True)


def pads_are_zero(scores, mask):
    """The scores of the pads are set to 0 before the maximum is taken. Where all real scores lie far below 0 the
    maximum is a pad's, and every real weight becomes 0: the maximum of the *real* scores."""
    kept = scores.masked_fill(~mask, 0.0)
    e = (kept - kept.amax(-1, keepdim=True)).exp() * mask
    return torch.nan_to_num(e / e.sum(-1, keepdim=True))


def largest_of_all(scores, mask):
    """The maximum is taken over the pads too. Where a pad's score lies far above the real ones, nothing real is left
    after the exponential: the maximum of the *real* scores."""
    e = (scores - scores.amax(-1, keepdim=True)).exp() * mask
    return torch.nan_to_num(e / e.sum(-1, keepdim=True))


def largest_of_the_batch(scores, mask):
    """One maximum for the whole batch: a sentence whose scores all lie far below it vanishes. Each row has its own."""
    kept = scores.masked_fill(~mask, -torch.inf)
    e = (kept - kept.max()).exp()
    return torch.nan_to_num(e / e.sum(-1, keepdim=True))


def clamped(scores, mask):
    """The scores are cut off at 80: two scores above that get the same weight, though they differ."""
    e = scores.clamp(max=80).exp() * mask
    return torch.nan_to_num(e / e.sum(-1, keepdim=True))


def tiny_added(scores, mask):
    """A small number in the denominator saves from dividing by 0, not from e to the power of 200: the numerator is
    infinite already."""
    e = scores.exp() * mask
    return e / (e.sum(-1, keepdim=True) + 1e-9)


def infinities_replaced(scores, mask):
    """nan has been replaced afterwards: it is gone, but the weights are still wrong. Keep the exponentials finite in
    the first place."""
    e = scores.exp() * mask
    return torch.nan_to_num(e / e.sum(-1, keepdim=True))


def smallest_taken_away(scores, mask):
    """The *smallest* score is taken away, which makes all exponents positive: the largest, so that none is."""
    e = (scores - scores.masked_fill(~mask, torch.inf).amin(-1, keepdim=True)).exp() * mask
    return torch.nan_to_num(e / e.sum(-1, keepdim=True))


def divided_by_the_largest(scores, mask):
    """The scores are *divided* by the largest: that changes their distances, and so the weights. Subtract it."""
    top = scores.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True)
    e = (scores / top).exp() * mask
    return torch.nan_to_num(e / e.sum(-1, keepdim=True))


def no_mask_left(scores, mask):
    """The overflow is gone, and the mask with it: pads must get weight 0."""
    return scores.softmax(-1)


def masked_after(scores, mask):
    """The overflow is gone, but the pads are taken out after the softmax, so the rest does not sum to 1."""
    return scores.softmax(-1) * mask


MISTAKES_6 = [
    exponentials, pads_are_zero, largest_of_all, largest_of_the_batch, clamped, tiny_added, infinities_replaced,
    smallest_taken_away, divided_by_the_largest, no_mask_left, masked_after,
]  # fmt: skip


@exercise("08.6", "no score is too large, or too far below 0.")
def check_08_6(answer):
    """**Exercise 08.6 · ●●●○○ · 7 min** - repair a softmax

    A score without a bound asks for a softmax that can stand it. This one is how several early programs wrote it.
    `scores` (B, S) float, `mask` (B, S) bool, True = a real word; every row has one. Return the weights (B, S), 0 on
    pads. Scores may be hundreds above or below 0, those of pads anything finite. Repair it:

        def my_weights(scores, mask):
            e = scores.exp() * mask
            return e / e.sum(-1, keepdim=True)

    Hint 1: what is e to the power of 200? And what changes if the same number is taken from every score of a row?
    Hint 2: take away the largest score of the row, but of its real words only.
    Solution: real = scores.masked_fill(~mask, -torch.inf); e = (real - real.amax(-1, keepdim=True)).exp(); return e /
    e.sum(-1, keepdim=True)
    """
    rng = fresh()
    inputs = []
    for shift, pad in ((0.0, 0.0), (250.0, 240.0), (-300.0, 5.0), (20.0, 900.0), (-40.0, -500.0)):
        scores, mask = 2 * torch.randn(3, 5, generator=rng) + shift, lengths_mask([5, 3, 1])
        scores[2] = scores[2] - 2 * shift + 7  # the rows of a batch lie far apart
        scores = torch.where(mask, scores, torch.tensor(pad))
        scores[0] = scores[0] + torch.tensor([0.0, 1.0, 2.0, -1.0, -200.0 if shift > 100 else 0.5])
        inputs.append((scores, mask))
    inputs.append((inputs[2][0].flip(1).double(), inputs[2][1].flip(1)))
    judge(answer, inputs, safe_weights, MISTAKES_6, planted=exponentials)


# --- what proves them -------------------------------------------------------------------------------------------------


def _cosine_similarity(queries, keys, strength):
    return strength * F.cosine_similarity(queries.unsqueeze(2), keys.unsqueeze(1), dim=-1)


def _normalised(queries, keys, strength):
    return strength * F.normalize(queries, dim=-1) @ F.normalize(keys, dim=-1).transpose(1, 2)


def _pairwise(queries, keys, strength):
    return strength * F.cosine_similarity(queries, keys, dim=-1)


def _turned(queries, keys, strength):
    return _normalised(queries, keys, strength).transpose(1, 2)


def _in_place_cosine(queries, keys, strength):
    queries /= _length(queries)
    return strength * _dot(queries, keys / _length(keys))


def _one_line_concat(queries, keys, W, v):
    return (torch.tanh(_both(queries, keys) @ W.T) @ v).softmax(dim=-1)


def _loop_concat(queries, keys, W, v):
    return torch.stack([
        torch.stack([torch.stack([v @ torch.tanh(W @ torch.cat([q, k])) for k in ks]).softmax(0) for q in qs])
        for qs, ks in zip(queries, keys, strict=True)
    ])  # fmt: skip


def _loop_feeding(word, fed, state, states, mask, score, gru, W_c):
    state = gru(input=torch.cat([word, fed], 1), state=state)
    e = score(query=state, keys=states)
    rows = [F.pad(row[: int(m.sum())].softmax(0), (0, int((~m).sum()))) for row, m in zip(e, mask, strict=True)]
    a = torch.stack(rows)
    return [torch.tanh(torch.cat([state, torch.einsum("bs,bsh->bh", a, states)], 1) @ W_c.T), state]


def _location_by_inf(queries, W, n_words):
    scores = (queries @ W.T)[..., :n_words]
    return F.pad(scores, (0, n_words - scores.shape[-1]), value=-torch.inf).softmax(-1)


def _location_renormalised(queries, W, n_words):
    known = min(n_words, len(W))
    weights = (queries @ W.T).softmax(-1)[..., :known]
    return F.pad(weights / weights.sum(-1, keepdim=True), (0, n_words - known))


def _one_softmax(scores, mask):
    return scores.masked_fill(~mask, -torch.inf).softmax(-1)


def _by_logsumexp(scores, mask):
    real = scores.masked_fill(~mask, -torch.inf)
    return (real - real.logsumexp(-1, keepdim=True)).exp()


CHECKS = {
    "08_1": Check(check_08_1, [cosine_of, _cosine_similarity, _normalised],
                  [*gallery(MISTAKES_1), ("in pairs", _pairwise, "stopped with RuntimeError"),
                   ("turned", _turned, "rows and columns are exchanged"),
                   ("in place", _in_place_cosine, "changed its argument `queries` in place")]),
    "08_2": Check(check_08_2, [STRENGTH, 2.45, torch.tensor(2.4526)],
                  [(hint[:30], value, hint) for value, hint in MISTAKES_2]),
    "08_3": Check(check_08_3, [feeding_step, _loop_feeding], gallery(MISTAKES_3)),
    "08_4": Check(check_08_4, [concat_of, _one_line_concat, _loop_concat], gallery(MISTAKES_4), stub=no_tanh),
    "08_5": Check(check_08_5, [location_of, _location_by_inf, _location_renormalised], gallery(MISTAKES_5)),
    "08_6": Check(check_08_6, [safe_weights, _one_softmax, _by_logsumexp], gallery(MISTAKES_6), stub=exponentials),
}  # fmt: skip
