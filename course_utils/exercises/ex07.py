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

# --- 07.1 the additive score ------------------------------------------------------------------------------------------


def scores_of(query: Tensor, keys: Tensor, W: Tensor, U: Tensor, v: Tensor) -> Tensor:
    asked = torch.einsum("ad,bd->ba", W, query)
    offered = torch.einsum("ad,bsd->bsa", U, keys)
    return torch.einsum("a,bsa->bs", v, torch.tanh(asked[:, None] + offered))


def _sum(query, keys, W, U):
    return (query @ W.T).unsqueeze(1) + keys @ U.T


def no_tanh(query, keys, W, U, v):
    """There is no tanh: without it the query adds the same number to every score, and softmax takes no notice of it."""
    return _sum(query, keys, W, U) @ v


def tanh_outside(query, keys, W, U, v):
    """tanh comes last here; it acts on the hidden units, before v weighs and adds them."""
    return torch.tanh(_sum(query, keys, W, U) @ v)


def two_tanhs(query, keys, W, U, v):
    """This is v · (tanh(W q) + tanh(U k)): add first, then one tanh, or query and key never meet."""
    return (torch.tanh(query @ W.T).unsqueeze(1) + torch.tanh(keys @ U.T)) @ v


def not_transposed(query, keys, W, U, v):
    """W and U stand on the wrong side: for rows, W q is query @ W.T."""
    return torch.tanh((query @ W).unsqueeze(1) + keys @ U) @ v


def changed_places(query, keys, W, U, v):
    """W and U have changed places: W belongs to the query, U to the keys."""
    return scores_of(query, keys, U, W, v)


def no_v(query, keys, W, U, v):
    """The hidden units are simply added: each counts as much as its entry of v says."""
    return torch.tanh(_sum(query, keys, W, U)).sum(-1)


def no_query(query, keys, W, U, v):
    """The query is missing: every decoder state would get the same scores."""
    return torch.tanh(keys @ U.T) @ v


def one_number_a_unit(query, keys, W, U, v):
    """v only weighs the hidden units here: add them up too, one score for each source word."""
    return torch.tanh(_sum(query, keys, W, U)) * v


MISTAKES_1 = [no_tanh, tanh_outside, two_tanhs, not_transposed, changed_places, no_v, no_query, one_number_a_unit]


@exercise("07.1", "a small network looks at query and key together.")
def check_07_1(answer):
    """**Exercise 07.1 · ●●○○○ · 10 min** - the additive score for a batch

    Write `additive_score(query, keys, W, U, v)`: e_j = v · tanh(W q + U k_j). `query` (B, Dq), `keys` (B, S, Dk), `W`
    (A, Dq), `U` (A, Dk), `v` (A,). Returns (B, S). Do not use the package's AdditiveScore.

    Hint 1: for rows, W q is `query @ W.T`. Which shapes have the two terms, and where does one need a new dimension?
    Hint 2: (B, 1, A) + (B, S, A) gives (B, S, A); `@ v` takes the last dimension away.
    Solution: torch.tanh((query @ W.T).unsqueeze(1) + keys @ U.T) @ v
    """
    rng = fresh()
    inputs = []
    sizes = ((2, 3, 4, 4, 4, 2.0), (3, 4, 2, 5, 3, 1.0), (1, 1, 3, 3, 3, 3.0), (2, 2, 2, 2, 2, 0.01))
    for B, S, Dq, Dk, A, scale in sizes:
        shapes = ((B, Dq), (B, S, Dk), (A, Dq), (A, Dk), (A,))
        inputs.append(tuple(scale * torch.randn(*shape, generator=rng) for shape in shapes))
    judge(answer, inputs, scores_of, MISTAKES_1)


# --- 07.2 masked softmax ----------------------------------------------------------------------------------------------


def weights_of(scores: Tensor, mask: Tensor) -> Tensor:
    rows = []
    for e, real in zip(scores, mask, strict=True):
        row = torch.zeros_like(e)
        if real.any():
            row[real] = torch.softmax(e[real], 0)
        rows.append(row)
    return torch.stack(rows)


def no_mask(scores, mask):
    """The pads get weight: hide them before the softmax."""
    return scores.softmax(-1)


def over_the_batch(scores, mask):
    """This softmax runs over the batch, so sentences compete with each other; it must run over the source words:
    dim=-1."""
    return scores.masked_fill(~mask, -1e9).softmax(0).masked_fill(~mask, 0.0)


def masked_afterwards(scores, mask):
    """The pads are set to zero after the softmax, so the rest does not add up to 1: hide them before it."""
    return scores.softmax(-1) * mask


def zero_scores(scores, mask):
    """The pads' scores are set to 0 here, and e to the power of 0 is 1: a hidden score must be as low as can be."""
    return (scores * mask).softmax(-1)


def uniform_when_empty(scores, mask):
    """A row of pads alone comes out uniform: its weights must all be 0. Set the pads' weights to 0 after the softmax as
    well."""
    return scores.masked_fill(~mask, -1e9).softmax(-1)


def nan_when_empty(scores, mask):
    """A row of pads alone comes out as nan: -inf everywhere is 0 divided by 0. Its weights must all be 0."""
    return scores.masked_fill(~mask, -torch.inf).softmax(-1)


def upside_down(scores, mask):
    """This hides the real words and keeps the pads: True in the mask means a real word."""
    return scores.masked_fill(mask, -1e9).softmax(-1).masked_fill(mask, 0.0)


def overflows(scores, mask):
    """Large scores overflow here, exp(100) is too large for a float32: take the largest score away first, or let
    softmax do it."""
    e = scores.exp() * mask
    return e / e.sum(-1, keepdim=True).clamp(min=1e-30)


def not_low_enough(scores, mask):
    """Hidden scores are not low enough here: where the real ones are near -200, a fill of -100 wins over them."""
    return scores.masked_fill(~mask, -100.0).softmax(-1).masked_fill(~mask, 0.0)


MISTAKES_2 = [
    no_mask, over_the_batch, masked_afterwards, zero_scores, uniform_when_empty, nan_when_empty, upside_down, overflows,
    not_low_enough,
]  # fmt: skip


@exercise("07.2", "pads get exactly nothing, the rest adds up to 1, and a row of pads alone is defined.")
def check_07_2(answer):
    """**Exercise 07.2 · ●●●○○ · 10 min** - masked softmax

    Write `masked_softmax(scores, mask)`: `scores` (B, S) float, `mask` (B, S) bool, True = a real word. Return (B, S):
    softmax over the real words of each row, exactly 0 on pads; a row without any real word is all 0. Scores may be
    large or very negative.

    Hint 1: fill the hidden scores before the softmax, with something lower than any score can be.
    Hint 2: torch.finfo(scores.dtype).min is the lowest number; a row of nothing else becomes uniform, so set the pads
    to 0 afterwards too.
    Solution: scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~mask, 0.0)
    """
    rng = fresh()
    ragged, empty = lengths_mask([3, 1, 4], 5), lengths_mask([2, 0], 4)
    small = torch.randn(3, 5, generator=rng)
    inputs = [
        (small, ragged), (torch.randn(2, 4, generator=rng), empty), (100 + 20 * small, ragged), (-200 + small, ragged),
        (torch.randn(1, 3, generator=rng), lengths_mask([3])), (torch.randn(2, 4, generator=rng), lengths_mask([4, 2])),
    ]  # fmt: skip
    judge(answer, inputs, weights_of, MISTAKES_2)


# --- 07.3 the context -------------------------------------------------------------------------------------------------


def contexts_of(weights: Tensor, values: Tensor) -> Tensor:
    B, T, _ = weights.shape
    rows = [(weights[b, i].unsqueeze(1) * values[b]).sum(0) for b in range(B) for i in range(T)]
    return torch.stack(rows).view(B, T, -1)


def plain_mean(weights, values):
    """This is the plain mean of the states: each counts as much as its weight."""
    return values.mean(1, keepdim=True).expand(-1, weights.shape[1], -1)


def wrong_axis(weights, values):
    """This adds over the target words: each row of weights belongs to one target word, add over the source."""
    return weights.transpose(1, 2) @ values


def strongest_only(weights, values):
    """This takes the state with the largest weight alone: soft attention adds all of them up."""
    return values.gather(1, weights.argmax(-1, keepdim=True).expand(-1, -1, values.shape[2]))


def divided_by_words(weights, values):
    """This divides by the number of words once more: the weights add up to 1 already."""
    return weights @ values / values.shape[1]


def first_sentence(weights, values):
    """Every sentence gets the states of the first one: the batch must go along."""
    return torch.einsum("bts,sd->btd", weights, values[0])


def not_summed(weights, values):
    """These are the weighted states, not yet added up over the source words."""
    return weights.unsqueeze(-1) * values.unsqueeze(1)


def shifted_by_one(weights, values):
    """Each weight meets the state of the neighbouring word: they are one place apart."""
    return weights @ values.roll(1, 1)


MISTAKES_3 = [plain_mean, wrong_axis, strongest_only, divided_by_words, first_sentence, not_summed, shifted_by_one]


@exercise("07.3", "one sum, and the decoder may look back.")
def check_07_3(answer):
    """**Exercise 07.3 · ●●○○○ · 8 min** - contexts for a whole batch

    Write `context(weights, values)`: C_i = Σ_j a_ij h_j. `weights` (B, T, S), `values` (B, S, D); returns (B, T, D).
    Loops are fine; one line is finer.

    Hint 1: for one sentence it is a matrix product, (T, S) by (S, D).
    Hint 2: `@` keeps the first dimension and multiplies the last two.
    Solution: weights @ values
    """
    rng = fresh()
    inputs = []
    for B, T, S, D in ((2, 3, 4, 5), (3, 4, 4, 2), (1, 1, 1, 3), (2, 4, 3, 3), (2, 3, 3, 3)):
        weights = (3 * torch.randn(B, T, S, generator=rng)).softmax(-1)
        inputs.append((weights, torch.randn(B, S, D, generator=rng)))
    judge(answer, inputs, contexts_of, MISTAKES_3)


# --- 07.4 repair Bahdanau's step --------------------------------------------------------------------------------------


def _masked(scores, mask):
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~mask, 0.0)


def _context(weights, annotations):
    return (weights.unsqueeze(1) @ annotations).squeeze(1)


def bahdanau_step(previous, word, annotations, mask, score, gru):
    weights = _masked(score(previous, annotations), mask)
    return gru(torch.cat([word, _context(weights, annotations)], -1), previous), weights


def moves_before_it_looks(previous, word, annotations, mask, score, gru):
    """The cell moves before it has looked, and the new state asks: in Bahdanau's step the previous state asks, and the
    context goes into the cell."""
    state = gru(torch.cat([word, torch.zeros_like(annotations[:, 0])], -1), previous)
    return state, _masked(score(state, annotations), mask)


def context_stays_out(previous, word, annotations, mask, score, gru):
    """The previous state asks, but what it found does not go into the cell: the second half of its input is the
    context."""
    state = gru(torch.cat([word, torch.zeros_like(annotations[:, 0])], -1), previous)
    return state, _masked(score(previous, annotations), mask)


def context_first(previous, word, annotations, mask, score, gru):
    """Word and context have changed places in the cell's input: [word; context]."""
    weights = _masked(score(previous, annotations), mask)
    return gru(torch.cat([_context(weights, annotations), word], -1), previous), weights


def no_mask_in_the_step(previous, word, annotations, mask, score, gru):
    """The pads are attended to: use the mask before the softmax."""
    weights = score(previous, annotations).softmax(-1)
    return gru(torch.cat([word, _context(weights, annotations)], -1), previous), weights


def softmax_over_sentences(previous, word, annotations, mask, score, gru):
    """The softmax runs over the sentences of the batch: it must run over the source words, dim=-1."""
    weights = score(previous, annotations).masked_fill(~mask, -1e9).softmax(0) * mask
    return gru(torch.cat([word, _context(weights, annotations)], -1), previous), weights


def context_is_the_state(previous, word, annotations, mask, score, gru):
    """The cell starts from zeros here, not from the previous state: what was written so far would be forgotten."""
    weights = _masked(score(previous, annotations), mask)
    return gru(torch.cat([word, _context(weights, annotations)], -1), torch.zeros_like(previous)), weights


def gives_the_context(previous, word, annotations, mask, score, gru):
    """The second result is the context here; asked for are the weights."""
    weights = _masked(score(previous, annotations), mask)
    context = _context(weights, annotations)
    return gru(torch.cat([word, context], -1), previous), context


MISTAKES_4 = [
    moves_before_it_looks, context_stays_out, context_first, no_mask_in_the_step, softmax_over_sentences,
    context_is_the_state, gives_the_context,
]  # fmt: skip


@exercise("07.4", "the previous state asks, the context goes into the cell.")
def check_07_4(answer):
    """**Exercise 07.4 · ●●●●○ · 12 min** - repair Bahdanau's step

    This step was meant to be Bahdanau's. `previous` (B, H) is s_{i-1}, `word` (B, E) the embedding of y_{i-1},
    `annotations` (B, S, D), `mask` (B, S) bool; `score(query, annotations)` gives (B, S) and `gru(input, state)` the
    new state, its input being [word; context] (B, E + D). Return the new state (B, H) and the weights (B, S). Repair:

        def bahdanau_step(previous, word, annotations, mask, score, gru):
            state = gru(torch.cat([word, torch.zeros_like(annotations[:, 0])], -1), previous)
            weights = masked_softmax(score(state, annotations), mask)
            return state, weights

    Hint 1: which state asks in the paper's e_ij = a(s_{i-1}, h_j)?
    Hint 2: weights first, then the context (weights.unsqueeze(1) @ annotations).squeeze(1), then the cell.
    Solution: weights = masked_softmax(score(previous, annotations), mask); context = (weights.unsqueeze(1) @
    annotations).squeeze(1); return gru(torch.cat([word, context], -1), previous), weights
    """
    rng = fresh()
    inputs = []
    sizes = (([3, 2], 4, 5, 3, 3), ([4, 1, 2], 4, 3, 2, 4), ([2], 2, 4, 4, 2), ([3, 3], 3, 2, 2, 2))
    for lengths, width, H, E, D in sizes:
        B = len(lengths)
        parts = [torch.randn(shape, generator=rng) for shape in ((B, H), (B, E), (B, width, D))]
        inputs.append((*parts, lengths_mask(lengths, width), _score(H, D, rng), _cell(E + D, H, rng)))
    judge(answer, inputs, bahdanau_step, MISTAKES_4, planted=moves_before_it_looks)


def _score(H, D, rng):
    M = 2 * torch.randn(H, D, generator=rng)
    return lambda query, annotations: torch.einsum("bh,hd,bsd->bs", query, M, annotations)


def _cell(n, H, rng):
    cell = nn.GRUCell(n, H)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
    return lambda input, state: cell(input, state).detach()


# --- 07.5 alignment error rate ----------------------------------------------------------------------------------------


def error_rate(links, sure, possible) -> float:
    total = len(links) + len(sure)
    return 1 - (len(links & sure) + len(links & possible)) / total if total else 0.0


def over_possible(links, sure, possible):
    """This divides by |A| + |P|: possible links may be left out without cost, so |A| + |S|."""
    return 1 - (len(links & sure) + len(links & possible)) / max(1, len(links) + len(possible))


def sure_twice(links, sure, possible):
    """Possible links get no credit here: a link outside S but in P is no error, its term is |A ∩ P|."""
    return 1 - 2 * len(links & sure) / max(1, len(links) + len(sure)) if links or sure else 0.0


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


def jaccard(links, sure, possible):
    """This is one minus intersection over union: in AER each set is counted by itself, |A| + |S|."""
    return 1 - len(links & sure) / len(links | sure) if links | sure else 0.0


def divides_by_zero(links, sure, possible):
    """It is right but for one case: where there is nothing to link and nothing was linked the rate is 0, not a division
    by zero."""
    return 1 - (len(links & sure) + len(links & possible)) / (len(links) + len(sure))


MISTAKES_5 = [over_possible, sure_twice, not_an_error, precision_only, recall_only, jaccard, divides_by_zero]


@exercise("07.5", "sure links must be found, possible ones may be.")
def check_07_5(answer):
    """**Exercise 07.5 · ●●●○○ · 10 min** - the alignment error rate

    Write `alignment_error_rate(links, sure, possible)`: three sets of (source, target) pairs of one sentence, of which
    `possible` contains `sure`. AER = 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|), with A the links; 0.0 if A and S are both
    empty.

    Hint 1: `links & sure` is the intersection, len(...) its size.
    Hint 2: what happens when there is neither a link nor a sure one?
    Solution: total = len(links) + len(sure); return 1 - (len(links & sure) + len(links & possible)) / total if total
    else 0.0
    """
    rng = fresh()
    cases = [({(0, 0), (1, 2), (2, 1)}, {(0, 0), (2, 1)}, {(0, 0), (2, 1), (1, 2)}), (set(), set(), {(1, 1)}),
             (set(), {(0, 0)}, {(0, 0)}), ({(0, 0), (1, 1)}, {(0, 0)}, {(0, 0), (2, 2)})]  # fmt: skip
    cells = [(j, i) for j in range(5) for i in range(5)]
    for _ in range(4):
        order = torch.randperm(len(cells), generator=rng).tolist()
        n, k = (int(torch.randint(1, 6, (1,), generator=rng)) for _ in range(2))
        sure = {cells[x] for x in order[:n]}
        some = torch.randperm(n + k + 3, generator=rng).tolist()[: n + 2]
        cases.append(({cells[order[x]] for x in some}, sure, sure | {cells[x] for x in order[n : n + k]}))
    judge(answer, cases, error_rate, MISTAKES_5)


# --- 07.6 read a map --------------------------------------------------------------------------------------------------

MAP_SOURCE = ("the", "black", "cat", "sees", "her", ".")
MAP_TARGET = ("le", "chat", "noir", "la", "voit", ".")
MAP_WEIGHTS = (  # one row a target word
    (0.72, 0.12, 0.10, 0.02, 0.02, 0.02),
    (0.05, 0.26, 0.62, 0.03, 0.02, 0.02),
    (0.03, 0.66, 0.25, 0.02, 0.02, 0.02),
    (0.08, 0.02, 0.03, 0.38, 0.45, 0.04),
    (0.02, 0.02, 0.06, 0.57, 0.31, 0.02),
    (0.02, 0.02, 0.02, 0.14, 0.05, 0.75),
)
_READ = [max(zip(row, MAP_SOURCE, strict=True))[1] for row in MAP_WEIGHTS]

MISTAKES_6 = [
    (list(MAP_SOURCE), "this follows the diagonal: French turns the order round twice. Look where each row is light."),
    (["le", "noir", "chat", "voit", "la", "."], "these are French words, so the columns were read: each *row* is a "
     "target word, name its source word."),
    (["black", "black", "cat", "sees", "sees", "sees"], "these are the second largest weights of the rows."),
    (["cat", "black", "her", "sees", ".", "."], "the rows are shifted by one: start with the first row, le."),
    (["the", "cat", "black", "sees", "sees", "."], "one row is wrong: la is close (0.45 against 0.38), and it is the "
     "larger weight that counts."),
    ([0, 2, 1, 4, 3, 5], "the places are right; write the words."),
]  # fmt: skip


@exercise("07.6", "two crossings: the adjective after its noun, the pronoun before its verb.", function=False)
def check_07_6(answer):
    """**Exercise 07.6 · ●○○○○ · 5 min** - read a map

    The map (MAP_WEIGHTS, drawn above with MAP_SOURCE and MAP_TARGET) belongs to "the black cat sees her ." → "le chat
    noir la voit .". For each target word, from top to bottom, write the source word it attends to most: a list of six
    words.

    Hint 1: go row by row, and look for the lightest cell.
    Hint 2: "la" looks at two words almost alike; the printed numbers decide.
    Solution: ["the", "cat", "black", "her", "sees", "."]
    """
    judge_value(list(answer) if isinstance(answer, tuple) else answer, _READ, MISTAKES_6)


# --- 07.7 predict a context -------------------------------------------------------------------------------------------

STATES = ((1.0, 0.0), (0.0, 2.0), (3.0, 1.0))  # h of "she", "sees", "him"
WEIGHTS = (0.1, 0.7, 0.2)

MISTAKES_7 = [
    ([3.0, 1.0], "this is what all of the weight on “him” would give; only half of it is moved."),
    ([0.7, 1.6], "this is the context as it was: half of every word's weight goes to “him”."),
    ([1.6, 1.9], "these weights add up to 1.3: what “him” is given is taken from the others."),
    ([1.6 / 1.3, 1.9 / 1.3], "this sets him's weight to 0.5 and rescales; steering keeps half of the old weights and "
     "adds half for “him”: (0.05, 0.35, 0.6)."),
    ([0.35, 1.8], "the weight went to “sees”: “him” is the third word."),
    ([4 / 3, 1.0], "this is the plain mean of the states: use the weights."),
]  # fmt: skip


@exercise("07.7", "the context moves half the way from where it was to the state of “him”.", function=False)
def check_07_7(answer):
    """**Exercise 07.7 · ●●○○○ · 6 min** - predict a context

    "she sees him" has the states h = (1, 0), (0, 2), (3, 1) and, at some step, the weights a = (0.1, 0.7, 0.2). We
    steer: half of the weight goes to "him", the rest stays as it was shared. Which context C does the decoder get? A
    list of two numbers.

    Hint 1: the new weights are half of the old ones, and 0.5 more for "him".
    Hint 2: (0.05, 0.35, 0.6); multiply each state by its weight and add.
    Solution: [0.05 * 1 + 0.6 * 3, 0.35 * 2 + 0.6 * 1]
    """
    answer = list(answer) if isinstance(answer, tuple) else answer.tolist() if isinstance(answer, Tensor) else answer
    judge_value(answer, [1.85, 1.3], MISTAKES_7)


# --- what proves them -------------------------------------------------------------------------------------------------


def _loop_score(query, keys, W, U, v):
    rows = [[v @ torch.tanh(W @ q + U @ k) for k in ks] for q, ks in zip(query, keys, strict=True)]
    return torch.stack([torch.stack(row) for row in rows])


def _einsum_wrong(weights, values):
    return torch.einsum("bij,bik->bjk", weights, values)


def _fast_softmax(scores, mask):
    return _masked(scores, mask)


def _in_place_softmax(scores, mask):
    scores[~mask] = -1e30
    return torch.nan_to_num(scores.softmax(-1)) * mask


def _loop_step(previous, word, annotations, mask, score, gru):
    e = score(previous, annotations)
    a = torch.zeros_like(e)
    for b in range(len(e)):
        n = int(mask[b].sum())
        a[b, :n] = torch.softmax(e[b, :n], 0)
    c = sum(a[:, j, None] * annotations[:, j] for j in range(a.shape[1]))
    return [gru(torch.cat([word, c], 1), previous), a]


def _state_alone(previous, word, annotations, mask, score, gru):
    return bahdanau_step(previous, word, annotations, mask, score, gru)[0]


def _as_percentage(links, sure, possible):
    return f"{error_rate(links, sure, possible):.0%}"


CHECKS = {
    "07_1": Check(check_07_1, [scores_of, _loop_score], gallery(MISTAKES_1)),
    "07_2": Check(check_07_2, [weights_of, _fast_softmax],
                  [*gallery(MISTAKES_2), ("in place", _in_place_softmax, "changed its argument `scores` in place")]),
    "07_3": Check(check_07_3, [contexts_of, torch.matmul],
                  [*gallery(MISTAKES_3), ("an einsum", _einsum_wrong, "This adds over the target")]),
    "07_4": Check(check_07_4, [bahdanau_step, _loop_step],
                  [*gallery(MISTAKES_4), ("the state alone", _state_alone, "must be 2 things")],
                  stub=moves_before_it_looks),
    "07_5": Check(check_07_5, [error_rate], [*gallery(MISTAKES_5), ("a string", _as_percentage, "must be one number")]),
    "07_6": Check(check_07_6, ["the cat black her sees .".split(), ("the", "cat", "black", "her", "sees", ".")],
                  [(hint[:30], value, hint) for value, hint in MISTAKES_6]),
    "07_7": Check(check_07_7, [[1.85, 1.3], (1.85, 1.3), torch.tensor([1.85, 1.3])],
                  [(hint[:30], value, hint) for value, hint in MISTAKES_7]),
}  # fmt: skip
