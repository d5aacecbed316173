"""Exercises of notebook 07, attention. Tasks, hints and solutions stand in the checks' docstrings, mistakes in the
functions above each check; how they become cells: course_utils/exercises/checking.py."""

import torch
from torch import Tensor, nn

from course_utils.exercises.checking import (
    Check,
    exercise,
    fresh,
    gallery,
    judge,
    judge_value,
    lengths_mask,
)

# --- 07.1 attention for a whole batch ---------------------------------------------------------------------------------


def attention_of(queries: Tensor, keys: Tensor, values: Tensor, W: Tensor, U: Tensor, v: Tensor):
    asked = torch.einsum("ad,btd->bta", W, queries)
    offered = torch.einsum("ad,bsd->bsa", U, keys)
    weights = torch.einsum("a,btsa->bts", v, torch.tanh(asked[:, :, None] + offered[:, None])).softmax(-1)
    return torch.einsum("bts,bsd->btd", weights, values), weights


def _sum(queries, keys, W, U):
    return (queries @ W.T).unsqueeze(2) + (keys @ U.T).unsqueeze(1)  # (B, T, S, A)


def _scores(queries, keys, W, U, v):
    return torch.tanh(_sum(queries, keys, W, U)) @ v


def _attend(scores, values, dim=-1):
    weights = scores.softmax(dim)
    return weights @ values, weights


def no_tanh(queries, keys, values, W, U, v):
    """There is no tanh: without it the query adds the same number to every score, and softmax takes no notice of it."""
    return _attend(_sum(queries, keys, W, U) @ v, values)


def tanh_outside(queries, keys, values, W, U, v):
    """tanh comes last here; it acts on the hidden units, before v weighs and adds them."""
    return _attend(torch.tanh(_sum(queries, keys, W, U) @ v), values)


def two_tanhs(queries, keys, values, W, U, v):
    """The query changes nothing here: it is missing, or has a tanh of its own, and then it adds the same number to the
    score of every key. First add W q and U k, then one tanh of the sum."""
    return _attend((torch.tanh(queries @ W.T).unsqueeze(2) + torch.tanh(keys @ U.T).unsqueeze(1)) @ v, values)


def sigmoid_units(queries, keys, values, W, U, v):
    """The hidden units go through a sigmoid here; the additive score has tanh."""
    return _attend(torch.sigmoid(_sum(queries, keys, W, U)) @ v, values)


def product_of_both(queries, keys, values, W, U, v):
    """W q and U k are multiplied here; the additive score adds them."""
    return _attend(torch.tanh((queries @ W.T).unsqueeze(2) * (keys @ U.T).unsqueeze(1)) @ v, values)


def relu_units(queries, keys, values, W, U, v):
    """The hidden units go through a relu here; the additive score has tanh."""
    return _attend(torch.relu(_sum(queries, keys, W, U)) @ v, values)


def difference_of_both(queries, keys, values, W, U, v):
    """U k is taken away from W q here; the additive score adds the two."""
    return _attend(torch.tanh((queries @ W.T).unsqueeze(2) - (keys @ U.T).unsqueeze(1)) @ v, values)


def dot_product(queries, keys, values, W, U, v):
    """This is a dot product of W q and U k; the additive score is v · tanh(W q + U k)."""
    return _attend((queries @ W.T) @ (keys @ U.T).transpose(1, 2), values)


def W_for_both(queries, keys, values, W, U, v):
    """W is used for the keys too; they have a matrix of their own, U."""
    return _attend(torch.tanh((queries @ W.T).unsqueeze(2) + (keys @ W.T).unsqueeze(1)) @ v, values)


def no_key(queries, keys, values, W, U, v):
    """The keys are missing in the score: every source word would get the same weight."""
    return _attend((torch.tanh(queries @ W.T) @ v).unsqueeze(2).expand(-1, -1, keys.shape[1]), values)


def mean_without_v(queries, keys, values, W, U, v):
    """The hidden units are averaged, and v is not used: each counts as much as its entry of v says."""
    return _attend(torch.tanh(_sum(queries, keys, W, U)).mean(-1), values)


def not_transposed(queries, keys, values, W, U, v):
    """W and U stand on the wrong side: for rows, W q is queries @ W.T."""
    return _attend(torch.tanh((queries @ W).unsqueeze(2) + (keys @ U).unsqueeze(1)) @ v, values)


def changed_places(queries, keys, values, W, U, v):
    """W and U have changed places: W belongs to the queries, U to the keys."""
    return attention_of(queries, keys, values, U, W, v)


def no_v(queries, keys, values, W, U, v):
    """The hidden units are simply added: each counts as much as its entry of v says."""
    return _attend(torch.tanh(_sum(queries, keys, W, U)).sum(-1), values)


def mean_of_units(queries, keys, values, W, U, v):
    """The weighted hidden units are averaged here; v · tanh(...) is their sum."""
    return _attend((torch.tanh(_sum(queries, keys, W, U)) * v).mean(-1), values)


def first_query(queries, keys, values, W, U, v):
    """Every target word gets the weights of the first query: each query asks for itself."""
    return _attend(_scores(queries[:, :1], keys, W, U, v).expand(-1, queries.shape[1], -1), values)


def values_as_keys(queries, keys, values, W, U, v):
    """The queries are compared with the values; they are compared with the keys, and the values are summed."""
    return _attend(_scores(queries, values, W, U, v), values)


def keys_summed(queries, keys, values, W, U, v):
    """The keys are summed here; keys are compared with the query, and the values are what the decoder gets."""
    return _attend(_scores(queries, keys, W, U, v), keys)


def over_the_queries(queries, keys, values, W, U, v):
    """This softmax is over the queries, so target words compete with each other; it must be over the keys: dim=-1."""
    return _attend(_scores(queries, keys, W, U, v), values, 1)


def over_the_batch(queries, keys, values, W, U, v):
    """This softmax is over the batch, so sentences compete with each other; it must be over the keys: dim=-1."""
    return _attend(_scores(queries, keys, W, U, v), values, 0)


def over_everything(queries, keys, values, W, U, v):
    """One softmax over the whole table: then all rows together sum to 1, but each row must."""
    scores = _scores(queries, keys, W, U, v)
    weights = scores.flatten(1).softmax(-1).view_as(scores)
    return weights @ values, weights


def scores_as_weights(queries, keys, values, W, U, v):
    """There is no softmax: these are the scores, which may be negative and need not sum to 1."""
    scores = _scores(queries, keys, W, U, v)
    return scores @ values, scores


def not_normalised(queries, keys, values, W, U, v):
    """exp(e) alone is not yet a softmax: divide by the sum over the keys, so that each row sums to 1."""
    weights = _scores(queries, keys, W, U, v).exp()
    return weights @ values, weights


def sigmoid_weights(queries, keys, values, W, U, v):
    """Each weight is a sigmoid of its own score here: a row need not sum to 1. A softmax lets the keys compete."""
    weights = _scores(queries, keys, W, U, v).sigmoid()
    return weights @ values, weights


def turned_sign(queries, keys, values, W, U, v):
    """The softmax has -α here, so the word with the lowest score gets the most: leave the sign."""
    return _attend(-_scores(queries, keys, W, U, v), values)


def one_hot_weights(queries, keys, values, W, U, v):
    """The largest weight is made 1 and the others 0: this is hard attention; the softmax keeps them all."""
    scores = _scores(queries, keys, W, U, v)
    weights = torch.nn.functional.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)
    return weights @ values, weights


def log_weights(queries, keys, values, W, U, v):
    """These weights are logarithms: softmax, not log_softmax."""
    weights = _scores(queries, keys, W, U, v).log_softmax(-1)
    return weights @ values, weights


def scaled_scores(queries, keys, values, W, U, v):
    """The scores are divided by √A here: that scale belongs to the dot product (notebook 13), not to the additive
    score."""
    return _attend(_scores(queries, keys, W, U, v) / len(v) ** 0.5, values)


def strongest_only(queries, keys, values, W, U, v):
    """This takes the value with the largest weight alone: soft attention adds all of them up."""
    weights = _scores(queries, keys, W, U, v).softmax(-1)
    return values.gather(1, weights.argmax(-1, keepdim=True).expand(-1, -1, values.shape[2])), weights


def plain_mean(queries, keys, values, W, U, v):
    """The context is the plain mean of the values: each counts as much as its weight."""
    weights = _scores(queries, keys, W, U, v).softmax(-1)
    return values.mean(1, keepdim=True).expand(-1, weights.shape[1], -1), weights


def divided_by_words(queries, keys, values, W, U, v):
    """The context is divided by the number of words once more: the weights sum to 1 already."""
    context, weights = attention_of(queries, keys, values, W, U, v)
    return context / values.shape[1], weights


def first_sentence(queries, keys, values, W, U, v):
    """Every sentence gets the values of the first one: the batch must go along."""
    weights = _scores(queries, keys, W, U, v).softmax(-1)
    return torch.einsum("bts,sd->btd", weights, values[0]), weights


def weights_turned(queries, keys, values, W, U, v):
    """The table of weights is transposed in the sum: each row of weights belongs to one target word, so add over the
    source words."""
    weights = _scores(queries, keys, W, U, v).softmax(-1)
    return weights.transpose(1, 2) @ values, weights


def gives_the_scores(queries, keys, values, W, U, v):
    """The contexts are right, but the second result are the scores; asked for are the weights, after the softmax."""
    return attention_of(queries, keys, values, W, U, v)[0], _scores(queries, keys, W, U, v)


def changed_results(queries, keys, values, W, U, v):
    """The two results have changed places: first the contexts, then the weights."""
    return attention_of(queries, keys, values, W, U, v)[::-1]


def context_alone(queries, keys, values, W, U, v):
    """These are the contexts alone; return two things, the contexts and the weights."""
    return attention_of(queries, keys, values, W, U, v)[0]


MISTAKES_1 = [
    no_tanh, tanh_outside, two_tanhs, sigmoid_units, relu_units, product_of_both, difference_of_both, dot_product,
    W_for_both, no_key, mean_without_v, not_transposed, changed_places, no_v, turned_sign, one_hot_weights,
    mean_of_units, first_query, values_as_keys, keys_summed, over_the_queries, over_the_batch,
    over_everything, scores_as_weights, not_normalised, sigmoid_weights, log_weights, scaled_scores, strongest_only,
    plain_mean, divided_by_words, first_sentence, weights_turned, gives_the_scores, changed_results, context_alone,
]  # fmt: skip


@exercise("07.1", "three lines, and the decoder may look back.")
def check_07_1(answer):
    """**Exercise 07.1 · ●●○○○ · 8 min** - attention for a whole batch

    Write `my_attention(queries, keys, values, W, U, v)` with the additive score: α_ij = v · tanh(W q_i + U k_j), a_i =
    softmax of α_i over the source words, C_i = Σ_j a_ij v_j. `queries` (B, T, Dq), `keys` (B, S, Dk), `values`
    (B, S, Dv), `W` (A, Dq), `U` (A, Dk), `v` (A,). Return the contexts (B, T, Dv) and the weights (B, T, S). The values
    need not be the keys; there are no pads.

    Hint 1: start from the three lines for one sentence. Which shapes have queries @ W.T and keys @ U.T, and where does
    each need a new dimension?
    Hint 2: (B, T, 1, A) + (B, 1, S, A) gives (B, T, S, A); `@ v` takes the last dimension away.
    Solution: weights = (torch.tanh((queries @ W.T).unsqueeze(2) + (keys @ U.T).unsqueeze(1)) @ v).softmax(-1);
    return weights @ values, weights
    """
    rng = fresh()
    inputs = []
    sizes = ((2, 3, 4, 4, 4, 4, 4, 2.0), (3, 2, 4, 2, 5, 3, 6, 1.0), (1, 1, 1, 3, 3, 2, 3, 2.0),
             (2, 3, 3, 3, 3, 3, 3, 1.0), (2, 2, 3, 2, 2, 2, 2, 0.1), (4, 3, 2, 3, 3, 3, 3, 3.0))  # fmt: skip
    for B, T, S, Dq, Dk, Dv, A, scale in sizes:
        shapes = ((B, T, Dq), (B, S, Dk), (B, S, Dv), (A, Dq), (A, Dk), (A,))
        inputs.append(tuple(scale * torch.randn(*shape, generator=rng) for shape in shapes))
    inputs.append(tuple(part.double() for part in inputs[1]))
    judge(answer, inputs, attention_of, MISTAKES_1)


# --- 07.2 repair Bahdanau's step --------------------------------------------------------------------------------------


def _masked(scores, mask):
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~mask, 0.0)


def _context(weights, states):
    return (weights.unsqueeze(1) @ states).squeeze(1)


def bahdanau_step(previous, word, states, mask, score, gru):
    weights = _masked(score(previous, states), mask)
    return gru(torch.cat([word, _context(weights, states)], -1), previous), weights


def moves_before_it_looks(previous, word, states, mask, score, gru):
    """The cell moves before it has looked, and the new state asks: in Bahdanau's step the previous state asks, and the
    context goes into the cell."""
    state = gru(torch.cat([word, torch.zeros_like(states[:, 0])], -1), previous)
    return state, _masked(score(state, states), mask)


def context_stays_out(previous, word, states, mask, score, gru):
    """The previous state asks, but what it found does not go into the cell: the second half of its input is the
    context."""
    state = gru(torch.cat([word, torch.zeros_like(states[:, 0])], -1), previous)
    return state, _masked(score(previous, states), mask)


def new_state_asks(previous, word, states, mask, score, gru):
    """The context goes into the cell now, but it is the new state that asks: α_ij compares s_{i-1}, the previous state,
    with h_j."""
    first = gru(torch.cat([word, torch.zeros_like(states[:, 0])], -1), previous)
    weights = _masked(score(first, states), mask)
    return gru(torch.cat([word, _context(weights, states)], -1), previous), weights


def moves_twice(previous, word, states, mask, score, gru):
    """The cell moves twice for one word: once without a context, then again from there. One move, from the previous
    state, with [word; context]."""
    first = gru(torch.cat([word, torch.zeros_like(states[:, 0])], -1), previous)
    weights = _masked(score(first, states), mask)
    return gru(torch.cat([word, _context(weights, states)], -1), first), weights


def asks_again(previous, word, states, mask, score, gru):
    """The state is right, but the weights are those of a second look, with the new state: return the weights that made
    the context."""
    state, _ = bahdanau_step(previous, word, states, mask, score, gru)
    return state, _masked(score(state, states), mask)


def context_first(previous, word, states, mask, score, gru):
    """Word and context have changed places in the cell's input: [word; context]."""
    weights = _masked(score(previous, states), mask)
    return gru(torch.cat([_context(weights, states), word], -1), previous), weights


def plain_mean_of_states(previous, word, states, mask, score, gru):
    """The context that goes in is the plain mean of the states: each state counts as much as its weight."""
    weights = _masked(score(previous, states), mask)
    return gru(torch.cat([word, states.mean(1)], -1), previous), weights


def strongest_state(previous, word, states, mask, score, gru):
    """The context is the one state with the largest weight: it must be the weighted sum of all."""
    weights = _masked(score(previous, states), mask)
    return gru(torch.cat([word, states[torch.arange(len(states)), weights.argmax(-1)]], -1), previous), weights


def no_mask_in_the_step(previous, word, states, mask, score, gru):
    """The pads are attended to: use the mask before the softmax."""
    weights = score(previous, states).softmax(-1)
    return gru(torch.cat([word, _context(weights, states)], -1), previous), weights


def masked_too_late(previous, word, states, mask, score, gru):
    """The mask comes after the softmax, so the weights of the real words do not sum to 1: use it before."""
    weights = score(previous, states).softmax(-1) * mask
    return gru(torch.cat([word, _context(weights, states)], -1), previous), weights


def mask_turned(previous, word, states, mask, score, gru):
    """The mask is turned round: this looks at the pads and hides the real words. True means a real word."""
    weights = _masked(score(previous, states), ~mask)
    return gru(torch.cat([word, _context(weights, states)], -1), previous), weights


def sum_of_states(previous, word, states, mask, score, gru):
    """The context that goes in is the plain sum of the states, pads included: multiply each state by its weight."""
    weights = _masked(score(previous, states), mask)
    return gru(torch.cat([word, states.sum(1)], -1), previous), weights


def last_state(previous, word, states, mask, score, gru):
    """The context that goes in is the last state alone, as in notebook 06: it must be the weighted sum of all."""
    weights = _masked(score(previous, states), mask)
    return gru(torch.cat([word, states[:, -1]], -1), previous), weights


def log_softmax_weights(previous, word, states, mask, score, gru):
    """These weights are logarithms: softmax, not log_softmax."""
    weights = score(previous, states).masked_fill(~mask, -1e9).log_softmax(-1)
    return gru(torch.cat([word, _context(weights, states)], -1), previous), weights


def softmax_over_sentences(previous, word, states, mask, score, gru):
    """The softmax runs over the sentences of the batch: it must run over the source words, dim=-1."""
    weights = score(previous, states).masked_fill(~mask, -1e9).softmax(0) * mask
    return gru(torch.cat([word, _context(weights, states)], -1), previous), weights


def no_softmax(previous, word, states, mask, score, gru):
    """These are scores, not weights: a masked softmax must come between them and the weighted sum."""
    weights = score(previous, states).masked_fill(~mask, 0.0)
    return gru(torch.cat([word, _context(weights, states)], -1), previous), weights


def starts_from_nothing(previous, word, states, mask, score, gru):
    """The cell starts from zeros here, not from the previous state: what was written so far would be forgotten."""
    weights = _masked(score(previous, states), mask)
    return gru(torch.cat([word, _context(weights, states)], -1), torch.zeros_like(previous)), weights


def no_word(previous, word, states, mask, score, gru):
    """The cell does not read the previous word: the first half of its input is the word's embedding."""
    weights = _masked(score(previous, states), mask)
    return gru(torch.cat([torch.zeros_like(word), _context(weights, states)], -1), previous), weights


def gives_the_context(previous, word, states, mask, score, gru):
    """The second result is the context here; asked for are the weights."""
    weights = _masked(score(previous, states), mask)
    context = _context(weights, states)
    return gru(torch.cat([word, context], -1), previous), context


def weights_first(previous, word, states, mask, score, gru):
    """The two results have changed places: first the new state, then the weights."""
    return bahdanau_step(previous, word, states, mask, score, gru)[::-1]


def gives_the_old_state(previous, word, states, mask, score, gru):
    """The state given back is the previous one; the cell's new state is asked for."""
    return previous, _masked(score(previous, states), mask)


def state_alone(previous, word, states, mask, score, gru):
    """This is the new state alone; return two things, the new state and the weights."""
    return bahdanau_step(previous, word, states, mask, score, gru)[0]


MISTAKES_2 = [
    moves_before_it_looks, context_stays_out, new_state_asks, moves_twice, asks_again, context_first,
    plain_mean_of_states, sum_of_states, last_state, strongest_state, no_mask_in_the_step, mask_turned,
    log_softmax_weights, masked_too_late, softmax_over_sentences, no_softmax,
    starts_from_nothing, no_word, gives_the_context, weights_first, gives_the_old_state, state_alone,
]  # fmt: skip


@exercise("07.2", "the previous state asks, the context goes into the cell.")
def check_07_2(answer):
    """**Exercise 07.2 · ●●●○○ · 9 min** - repair Bahdanau's step

    This step was meant to be Bahdanau's. `previous` (B, H) is s_{i-1}, `word` (B, E) the embedding of y_{i-1}, `states`
    (B, S, D) are the encoder's, `mask` (B, S) bool is True at real words. `score(query, keys)` gives (B, S), and
    `gru(input, state)` the new state; its input is [word; context], (B, E + D). Return the new state (B, H) and the
    weights (B, S). Repair it:

        def my_bahdanau_step(previous, word, states, mask, score, gru):
            state = gru(torch.cat([word, torch.zeros_like(states[:, 0])], -1), previous)
            weights = masked_softmax(score(state, states), mask)
            return state, weights

    Hint 1: which state asks in the left half of the drawing, and where does the context go?
    Hint 2: weights first, then the context (weights.unsqueeze(1) @ states).squeeze(1), then the cell.
    Solution: weights = masked_softmax(score(previous, states), mask); context = (weights.unsqueeze(1) @
    states).squeeze(1); return gru(torch.cat([word, context], -1), previous), weights
    """
    rng = fresh()
    inputs = []
    sizes = (([3, 2], 4, 5, 3, 3), ([4, 1, 2], 4, 3, 2, 4), ([2], 2, 4, 4, 2), ([3, 3], 3, 2, 2, 2),
             ([1, 3], 4, 3, 3, 3))  # fmt: skip
    for lengths, width, H, E, D in sizes:
        B = len(lengths)
        parts = [torch.randn(shape, generator=rng) for shape in ((B, H), (B, E), (B, width, D))]
        inputs.append((*parts, lengths_mask(lengths, width), random_score(H, D, rng), random_cell(E + D, H, rng)))
    judge(answer, inputs, bahdanau_step, MISTAKES_2, planted=moves_before_it_looks)


def random_score(H, D, rng):
    M = 2 * torch.randn(H, D, generator=rng)

    def score(query, keys):
        return torch.einsum("bh,hd,bsd->bs", query, M, keys)

    return score


def random_cell(n, H, rng):
    cell = nn.GRUCell(n, H)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))

    def gru(input, state):
        return cell(input, state).detach()

    return gru


# --- 07.3 predict a context -------------------------------------------------------------------------------------------

STATES = ((1.0, 0.0), (0.0, 2.0), (3.0, 1.0))  # h of "she", "sees", "him"
WEIGHTS = (0.1, 0.7, 0.2)

MISTAKES_3 = [
    ([3.0, 1.0], "this is what all of the weight on “him” would give; only half of it is moved."),
    ([0.7, 1.6], "this is the context as it was: half of every word's weight goes to “him”."),
    ([1.6, 1.9], "these weights add up to 1.3: what “him” is given is taken from the others, itself included."),
    ([2.2, 2.1], "these weights add up to 1.5: half of the weight is *moved*, so the old weights are halved first."),
    ([1.85 - 0.3, 1.3 - 0.1], "“him” has 0.5 here, but it also keeps half of its own 0.2: (0.05, 0.35, 0.6)."),
    ([1.6 / 1.3, 1.9 / 1.3], "this sets the weight of “him” to 0.5 and divides by the sum; steering halves the old "
     "weights and adds a half for “him”."),
    ([0.0625 + 1.5, 0.875 + 0.5], "“him” has exactly 0.5 here and the others share the rest; it also keeps half of its "
     "own 0.2: (0.05, 0.35, 0.6)."),
    ([1.75, 1.25], "half of the weight of “sees” was moved; every word gives up half of its own."),
    ([2.2, 1.1], "the 0.5 was taken from “sees” alone; every word gives up half of its own weight."),
    ([0.35, 1.8], "the weight went to “sees”: “him” is the third word."),
    ([0.85, 0.8], "the weight went to “she”: “him” is the third word."),
    ([4 / 3, 1.0], "this is the plain mean of the states: use the weights."),
    ([0.35, 0.8], "these are the halved old weights alone; the half that was moved must arrive at “him”."),
    ([0.05, 0.35, 0.6], "these are the new weights, and they are right; the context is the sum of the states, each "
     "multiplied by its weight."),
    ([1.3, 1.85], "the two numbers have changed places."),
]  # fmt: skip


@exercise("07.3", "the context moves half of the way from where it was to the state of “him”.", function=False)
def check_07_3(answer):
    """**Exercise 07.3 · ●●○○○ · 4 min** - predict a context

    "she sees him" has the states h = (1, 0), (0, 2), (3, 1) and, at some step, the weights a = (0.1, 0.7, 0.2). We
    steer: half of all the weight is moved to "him"; the other half stays distributed as it was. Which context C does
    the decoder get? A list of two numbers.

    Hint 1: the new weights are half of the old ones, and 0.5 more for "him".
    Hint 2: (0.05, 0.35, 0.6); multiply each state by its weight and add.
    Solution: [0.05 * 1 + 0.6 * 3, 0.35 * 2 + 0.6 * 1]
    """
    answer = list(answer) if isinstance(answer, tuple) else answer.tolist() if isinstance(answer, Tensor) else answer
    judge_value(answer, [1.85, 1.3], MISTAKES_3)


# --- 07.4 masked softmax ----------------------------------------------------------------------------------------------


def weights_of(scores: Tensor, mask: Tensor) -> Tensor:
    rows = []
    for e, real in zip(scores, mask, strict=True):
        row = torch.zeros_like(e)
        if real.any():
            row[real] = torch.softmax(e[real], 0)
        rows.append(row)
    return torch.stack(rows)


def no_mask(scores, mask):
    """There is no mask here, and the pads get weight: hide them before the softmax."""
    return scores.softmax(-1)


def over_the_sentences(scores, mask):
    """This softmax runs over the batch, so sentences compete with each other; it must run over the source words:
    dim=-1."""
    return scores.masked_fill(~mask, -1e9).softmax(0).masked_fill(~mask, 0.0)


def masked_afterwards(scores, mask):
    """The pads are set to zero after the softmax, so the rest does not add up to 1: hide them before it."""
    return scores.softmax(-1).masked_fill(~mask, 0.0)


def renormalised(scores, mask):
    """The softmax comes first, then the mask, then a division by what is left. Where a pad's score lies far above the
    real ones nothing is left to divide by: hide the pads *before* the softmax."""
    weights = scores.softmax(-1).masked_fill(~mask, 0.0)
    return torch.nan_to_num(weights / weights.sum(-1, keepdim=True))


def renormalised_with_a_floor(scores, mask):
    """Softmax first, then the mask, then a division by what is left, kept above a small floor. Where a pad's score lies
    far above the real ones, everything that is left is too small: hide the pads *before* the softmax."""
    weights = scores.softmax(-1).masked_fill(~mask, 0.0)
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)


def zero_scores(scores, mask):
    """The pads' scores are set to 0 here, and e to the power of 0 is 1: a hidden score must be as low as can be."""
    return scores.masked_fill(~mask, 0.0).softmax(-1)


def zero_scores_and_weights(scores, mask):
    """The pads' scores are set to 0 (or next to it) here, so they take their share in the softmax before they are
    removed. A hidden score must be as low as can be; of torch.finfo, that is .min, not .tiny."""
    return scores.masked_fill(~mask, 0.0).softmax(-1).masked_fill(~mask, 0.0)


def multiplied(scores, mask):
    """The scores are multiplied by the mask: a pad's score becomes 0, not low, and nan times 0 is still nan. Fill the
    hidden scores with the lowest number instead."""
    return (scores * mask).softmax(-1)


def multiplied_weights(scores, mask):
    """The weights are multiplied by the mask after a softmax that saw the pads: the rest does not add up to 1, and nan
    times 0 is still nan."""
    return scores.softmax(-1) * mask


def added_penalty(scores, mask):
    """A large number is taken away from the pads' scores; a nan or inf survives that. Replace these scores
    (masked_fill), do not shift them."""
    return (scores - 1e9 * (~mask)).softmax(-1).masked_fill(~mask, 0.0)


def uniform_when_empty(scores, mask):
    """A row of pads alone comes out uniform: its weights must all be 0. Set the pads' weights to 0 after the softmax as
    well."""
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)


def nan_when_empty(scores, mask):
    """A row of pads alone comes out as nan: with -inf everywhere softmax divides 0 by 0. Its weights must all be 0."""
    return scores.masked_fill(~mask, -torch.inf).softmax(-1)


def upside_down(scores, mask):
    """This hides the real words and keeps the pads: True in the mask means a real word."""
    return scores.masked_fill(mask, -1e9).softmax(-1).masked_fill(mask, 0.0)


def overflows(scores, mask):
    """Large scores overflow here, exp(100) is too large for a float32: take the largest score away first, or let
    softmax do it."""
    e = scores.masked_fill(~mask, 0.0).exp() * mask
    return e / e.sum(-1, keepdim=True).clamp(min=1e-30)


def not_low_enough(scores, mask):
    """Hidden scores are not low enough here: where the real ones are near -200, a fill of -100 wins over them."""
    return scores.masked_fill(~mask, -100.0).softmax(-1).masked_fill(~mask, 0.0)


def nearly_low_enough(scores, mask):
    """Hidden scores are not low enough here: where the real ones are near -20,000, a fill of -10,000 wins over them."""
    return scores.masked_fill(~mask, -1e4).softmax(-1).masked_fill(~mask, 0.0)


def sharpened(scores, mask):
    """The filled scores go through the softmax twice: once is enough."""
    return _masked(_masked(scores, mask), mask)


def logarithms(scores, mask):
    """These are logarithms: softmax, not log_softmax."""
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).log_softmax(-1).masked_fill(~mask, 0.0)


MISTAKES_4 = [
    no_mask, over_the_sentences, masked_afterwards, renormalised, renormalised_with_a_floor, zero_scores,
    zero_scores_and_weights, multiplied, multiplied_weights, added_penalty, uniform_when_empty, nan_when_empty,
    upside_down, overflows, not_low_enough, nearly_low_enough, sharpened, logarithms,
]  # fmt: skip


@exercise("07.4", "pads get exactly nothing, the rest adds up to 1, and a row of pads alone is defined.")
def check_07_4(answer):
    """**Exercise 07.4 · ●●●○○ · 10 min** - masked softmax

    Write `my_masked_softmax(scores, mask)`: `scores` (B, S) float, `mask` (B, S) bool, True = a real word. Return
    (B, S): softmax over the real words of each row, exactly 0 on pads; a row without any real word is all 0. Real
    scores may be large or very negative. At a pad, which may stand anywhere in its row, the score may be anything at
    all, even inf or nan.

    Hint 1: replace the hidden scores before the softmax, with something lower than any score can be.
    Hint 2: torch.finfo(scores.dtype).min is the lowest number; a row of nothing else becomes uniform, so set the pads
    to 0 afterwards too.
    Solution: scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~mask, 0.0)
    """
    rng = fresh()
    ragged, empty = lengths_mask([3, 1, 4], 5), lengths_mask([2, 0], 4)
    anywhere = torch.tensor([[False, True, True, False, True], [True, False, False, True, True], [False] * 4 + [True]])
    small = torch.randn(3, 5, generator=rng)
    wild = small.clone()
    wild[~anywhere] = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30, 0.0, torch.nan, torch.inf, 2.0])
    inputs = [
        (small, ragged), (torch.randn(2, 4, generator=rng), empty), (100 + 20 * small, ragged), (-200 + small, ragged),
        (torch.randn(1, 3, generator=rng), lengths_mask([3])), (torch.randn(2, 4, generator=rng), lengths_mask([4, 2])),
        (small, anywhere), (small + 500 * (~anywhere), anywhere), (-20_000 + small, anywhere), (wild, anywhere),
        (small.double(), ragged),
    ]  # fmt: skip
    judge(answer, inputs, weights_of, MISTAKES_4)


# --- 07.5 alignment error rate ----------------------------------------------------------------------------------------


def error_rate(links, sure, possible) -> float:
    total = len(links) + len(sure)
    return 1 - (len(links & sure) + len(links & possible)) / total if total else 0.0


def over_possible(links, sure, possible):
    """This divides by |A| + |P|: possible links may be left out without cost, so |A| + |S|."""
    total = len(links) + len(possible)
    return 1 - (len(links & sure) + len(links & possible)) / total if total else 0.0


def sure_twice(links, sure, possible):
    """Possible links get no credit here: a link outside S but in P is no error, its term is |A ∩ P|."""
    return 1 - 2 * len(links & sure) / max(1, len(links) + len(sure)) if links or sure else 0.0


def possible_twice(links, sure, possible):
    """|A ∩ P| is counted twice here, and |A ∩ S| not at all: one term each."""
    return 1 - 2 * len(links & possible) / (len(links) + len(sure)) if links or sure else 0.0


def possible_alone(links, sure, possible):
    """A sure link counts only once here: it is in S and also in P, so it counts in both terms, |A ∩ S| + |A ∩ P|."""
    return 1 - len(links & possible) / (len(links) + len(sure)) if links or sure else 0.0


def sure_alone(links, sure, possible):
    """|A ∩ P| is missing in the numerator: both terms are needed, |A ∩ S| + |A ∩ P|."""
    return 1 - len(links & sure) / (len(links) + len(sure)) if links or sure else 0.0


def halved(links, sure, possible):
    """This divides by 2 (|A| + |S|): the two terms above are already up to |A| + |S|."""
    return 1 - (len(links & sure) + len(links & possible)) / (2 * (len(links) + len(sure))) if links or sure else 0.0


def not_an_error(links, sure, possible):
    """This is the share that is right; the error rate is 1 minus it."""
    return 1 - error_rate(links, sure, possible)


def precision_only(links, sure, possible):
    """This asks only how many of the links are allowed: a map of one safe link would be perfect. |A ∩ S| and |S| see
    to it that the sure ones are found."""
    return 1 - len(links & possible) / len(links) if links else 0.0


def recall_only(links, sure, possible):
    """This asks only how many sure links were found: linking everything with everything would be perfect."""
    return 1 - len(links & sure) / len(sure) if sure else 0.0


def mean_of_both(links, sure, possible):
    """This averages the two rates; AER adds up the two numerators and the two denominators before it divides."""
    return (precision_only(links, sure, possible) + recall_only(links, sure, possible)) / 2


def jaccard(links, sure, possible):
    """This is one minus intersection over union: in AER each set is counted by itself, |A| + |S|."""
    return 1 - len(links & sure) / len(links | sure) if links | sure else 0.0


def over_the_union(links, sure, possible):
    """This divides by the size of the union of A and S; each set is counted by itself, |A| + |S|."""
    return 1 - (len(links & sure) + len(links & possible)) / len(links | sure) if links | sure else 0.0


def unions(links, sure, possible):
    """The unions are counted in the numerator: `|` is the union, `&` the intersection."""
    return 1 - (len(links | sure) + len(links | possible)) / (len(links) + len(sure)) if links or sure else 0.0


def divides_by_zero(links, sure, possible):
    """It is right but for one case: where there is nothing to link and nothing was linked the rate is 0, not a division
    by zero."""
    return 1 - (len(links & sure) + len(links & possible)) / (len(links) + len(sure))


def zero_without_sure(links, sure, possible):
    """Where no link is sure this says 0, but links were made, and those outside P are errors: only where A is empty too
    is the rate 0."""
    return error_rate(links, sure, possible) if sure else 0.0


def zero_without_links(links, sure, possible):
    """Where no link was made this says 0, but the sure links were all missed: only where S is empty too is the rate
    0."""
    return error_rate(links, sure, possible) if links else 0.0


def one_when_empty(links, sure, possible):
    """Where there is nothing to link and nothing was linked this says 1; nothing is wrong there, so the rate is 0."""
    return error_rate(links, sure, possible) if links or sure else 1.0


def percent(links, sure, possible):
    """This is in percent; the rate is a number between 0 and 1."""
    return 100 * error_rate(links, sure, possible)


MISTAKES_5 = [
    over_possible, sure_twice, possible_twice, possible_alone, sure_alone, halved, not_an_error,
    precision_only, recall_only, mean_of_both, jaccard, over_the_union, unions, divides_by_zero, zero_without_sure,
    zero_without_links, one_when_empty, percent,
]  # fmt: skip


@exercise("07.5", "sure links must be found, possible ones may be.")
def check_07_5(answer):
    """**Exercise 07.5 · ●●○○○ · 8 min** - the alignment error rate

    Write `my_aer(links, sure, possible)`: three sets of (source, target) pairs of one sentence, of which `possible`
    contains `sure`. AER = 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|), with A the links; 0.0 if A and S are both empty.

    Hint 1: `links & sure` is the intersection, len(...) its size.
    Hint 2: what happens when there is neither a link nor a sure one?
    Solution: total = len(links) + len(sure); return 1 - (len(links & sure) + len(links & possible)) / total if total
    else 0.0
    """
    rng = fresh()
    cases = [({(0, 0), (1, 2), (2, 1)}, {(0, 0), (2, 1)}, {(0, 0), (2, 1), (1, 2)}), (set(), set(), {(1, 1)}),
             (set(), {(0, 0)}, {(0, 0)}), ({(0, 0), (1, 1)}, {(0, 0)}, {(0, 0), (2, 2)}), (set(), set(), set()),
             ({(0, 0), (1, 1), (2, 2)}, set(), {(1, 1)}), ({(3, 3)}, set(), set())]  # fmt: skip
    cells = [(j, i) for j in range(5) for i in range(5)]
    for _ in range(4):
        order = torch.randperm(len(cells), generator=rng).tolist()
        n, k = (int(torch.randint(1, 6, (1,), generator=rng)) for _ in range(2))
        sure = {cells[x] for x in order[:n]}
        some = torch.randperm(n + k + 3, generator=rng).tolist()[: n + 2]
        cases.append(({cells[order[x]] for x in some}, sure, sure | {cells[x] for x in order[n : n + k]}))
    judge(answer, cases, error_rate, MISTAKES_5)


# --- 07.6 diagnose a map ----------------------------------------------------------------------------------------------

MAP_SOURCE = ("the", "black", "cat", "sees", "her", ".")
MAP_TARGET = ("le", "chat", "noir", "la", "voit", ".")
MAP_SURE = frozenset({(0, 0), (2, 1), (1, 2), (4, 3), (3, 4), (5, 5)})  # (source, target)
MAP_WEIGHTS = (  # one row per target word
    (0.36, 0.10, 0.48, 0.02, 0.02, 0.02),
    (0.02, 0.58, 0.34, 0.02, 0.02, 0.02),
    (0.02, 0.31, 0.57, 0.03, 0.05, 0.02),
    (0.02, 0.02, 0.04, 0.46, 0.42, 0.04),
    (0.02, 0.02, 0.02, 0.61, 0.09, 0.24),
    (0.02, 0.02, 0.02, 0.05, 0.04, 0.85),
)

MISTAKES_6 = [
    (["le", "chat", "noir", "la"], "these are all the rows that miss their frame. One of them, noir, looks back, at "
     "the source word of the target word before it."),
    (["noir"], "this row looks *back*, at the source word of the target word before it. Which ones look ahead?"),
    (["voit", "."], "these are the rows that look where their frame is; which ones look ahead?"),
    (["le", "chat"], "one row is missing: la is close (0.46 against 0.42), and it is the larger weight that counts."),
    (["chat", "la"], "the first row is missing: le looks at cat, and cat belongs to chat, the next target word."),
    (["le", "la"], "one is missing: chat looks at black, and black belongs to noir, the next target word."),
    (["chat", "noir", "voit"], "these are the words whose source word was looked at too early; asked for are the "
     "words that looked: the rows."),
    (["cat", "black", "sees"], "these are source words, the columns they looked at; asked for are the target words, "
     "the rows."),
    (["the", "cat", "her"], "these are source words; asked for are the target words, the names of the rows."),
    ([0, 1, 3], "the places are right; write the words."),
    ([1, 2, 4], "these are numbers counted from 1; write the words."),
    (["le"], "le is right, but there are more rows that look ahead: go on to the others."),
    (["la"], "la is right, but there are more rows that look ahead: go on to the others."),
    (["chat"], "chat is right, but there are more rows that look ahead: go on to the others."),
    (["le", "noir"], "le does look ahead, but noir looks back, and there are more rows than these two."),
    (["le", "chat", "la", "voit"], "voit looks at sees, inside its own frame, though it glances at the full stop "
     "(0.24); the largest weight counts."),
    (["le", "chat", "noir", "la", "voit", "."], "not all of them: two rows have their lightest cell in their frame."),
    ([], "some do: compare each row's lightest cell with the frame of the row *below* it."),
]  # fmt: skip


@exercise("07.6", "three rows look at the source word of the next target word: the mark of Bahdanau's step.",
          function=False)  # fmt: skip
def check_07_6(answer):
    """**Exercise 07.6 · ●●○○○ · 5 min** - diagnose a map

    The map above is that of a decoder with Bahdanau's step, made up for this exercise; the frames are the gold links.
    Which target words read ahead, that is, have their largest weight on the source word that belongs to the *next*
    target word? Write a list of target words.

    Hint 1: go row by row, and find the lightest cell. Is it inside the frame of this row?
    Hint 2: where it is not, look one row further down: is the frame of that row in the same column?
    Solution: ["le", "chat", "la"]
    """
    if isinstance(answer, tuple | set | frozenset | list) and all(isinstance(word, str) for word in answer):
        answer = [word for word in MAP_TARGET if word in answer] + [w for w in answer if w not in MAP_TARGET]
    judge_value(list(answer) if isinstance(answer, tuple) else answer, ["le", "chat", "la"], MISTAKES_6)


# --- what proves them -------------------------------------------------------------------------------------------------


def _loop_attention(queries, keys, values, W, U, v):
    contexts, maps = [], []
    for qs, ks, hs in zip(queries, keys, values, strict=True):
        rows = torch.stack([torch.stack([v @ torch.tanh(W @ q + U @ k) for k in ks]).softmax(0) for q in qs])
        maps.append(rows)
        contexts.append(rows @ hs)
    return torch.stack(contexts), torch.stack(maps)


def _one_line(queries, keys, values, W, U, v):
    weights = torch.tanh((queries @ W.T).unsqueeze(2) + (keys @ U.T).unsqueeze(1)).matmul(v).softmax(2)
    return [torch.bmm(weights, values), weights]


def _paired(queries, keys, values, W, U, v):
    return _attend(torch.tanh(queries @ W.T + keys @ U.T) @ v, values)


def _no_query(queries, keys, values, W, U, v):
    return _attend((torch.tanh(keys @ U.T) @ v).unsqueeze(1).expand(-1, queries.shape[1], -1), values)


def _in_place_attention(queries, keys, values, W, U, v):
    keys *= 2
    return attention_of(queries, keys / 2, values, W, U, v)


def _in_place_softmax(scores, mask):
    scores[~mask] = -1e30
    return torch.nan_to_num(scores.softmax(-1)) * mask


def _tiny_instead_of_lowest(scores, mask):
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).tiny).softmax(-1).masked_fill(~mask, 0.0)


def _where_softmax(scores, mask):
    low = torch.where(mask, scores, torch.tensor(-torch.inf, dtype=scores.dtype))
    return torch.nan_to_num(low.softmax(-1), nan=0.0)


def _own_exponentials(scores, mask):
    low = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    e = (low - low.amax(-1, keepdim=True)).exp().masked_fill(~mask, 0.0)
    return e / e.sum(-1, keepdim=True).clamp(min=1e-30)


def _loop_step(previous, word, states, mask, score, gru):
    e = score(query=previous, keys=states)
    a = torch.zeros_like(e)
    for b in range(len(e)):
        n = int(mask[b].sum())
        a[b, :n] = torch.softmax(e[b, :n], 0)
    c = sum(a[:, j, None] * states[:, j] for j in range(a.shape[1]))
    return [gru(input=torch.cat([word, c], 1), state=previous), a]


def _without_the_sure(links, sure, possible):
    return 1 - (len(links & sure) + len(links & (possible - sure))) / (len(links) + len(sure)) if links or sure else 0.0


def _as_percentage(links, sure, possible):
    return f"{error_rate(links, sure, possible):.0%}"


CHECKS = {
    "07_1": Check(check_07_1, [attention_of, _loop_attention, _one_line],
                  [*gallery(MISTAKES_1), ("no query", _no_query, "The query changes nothing here"),
                   ("queries and keys in pairs", _paired, "stopped with RuntimeError"),
                   ("in place", _in_place_attention, "changed its argument `keys` in place")]),
    "07_2": Check(check_07_2, [bahdanau_step, _loop_step], gallery(MISTAKES_2), stub=moves_before_it_looks),
    "07_3": Check(check_07_3, [[1.85, 1.3], (1.85, 1.3), torch.tensor([1.85, 1.3])],
                  [(hint[:30], value, hint) for value, hint in MISTAKES_3]),
    "07_4": Check(check_07_4, [weights_of, _masked, _where_softmax, _own_exponentials],
                  [*gallery(MISTAKES_4), ("in place", _in_place_softmax, "changed its argument `scores` in place"),
                   ("tiny", _tiny_instead_of_lowest, "that is .min, not .tiny")]),
    "07_5": Check(check_07_5, [error_rate], [*gallery(MISTAKES_5), 
                   ("sure links taken out of P", _without_the_sure, "A sure link counts only once here"),
                   ("a string", _as_percentage, "must be one number")]),
    "07_6": Check(check_07_6, [["le", "chat", "la"], ("le", "chat", "la"), {"la", "le", "chat"}],
                  [(hint[:30], value, hint) for value, hint in MISTAKES_6]),
}  # fmt: skip
