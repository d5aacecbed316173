"""Exercises of notebook 02, recurrent networks. Tasks, hints and solutions stand in the checks' docstrings, mistakes in
the functions above each check; how they become cells: course_utils/exercises/checking.py."""

from collections import Counter, defaultdict

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge, lengths_mask
from course_utils.text.vocabulary import PAD

# --- 02.1 the mean over real tokens -----------------------------------------------------------------------------------


def token_mean(losses: Tensor, ids: Tensor) -> Tensor:
    mask = ids != PAD
    return losses[mask].sum() / mask.sum()


def pads_count(losses, ids):
    """This is the mean over all places, pads included: multiply or index by the mask first."""
    return losses.mean()


def divides_by_all(losses, ids):
    """The pads are left out of the sum but still counted below it: divide by the number of real tokens."""
    return (losses * (ids != PAD)).sum() / ids.numel()


def mean_of_rows(losses, ids):
    """This is a mean of sentence means: a word of a short sentence weighs more than one of a long sentence. Sum over
    the whole batch first, divide once."""
    mask = ids != PAD
    return ((losses * mask).sum(1) / mask.sum(1)).mean()


def only_pads(losses, ids):
    """This is the mean over the pads: the mask must be True on real tokens, ids != PAD."""
    mask = ids == PAD
    return losses[mask].sum() / mask.sum().clamp(min=1)


def divides_by_rows(losses, ids):
    """This divides by the number of sentences: the mean is per token."""
    return losses[ids != PAD].sum() / len(ids)


def one_number_a_row(losses, ids):
    """This gives a number for each sentence: asked is one number for the whole batch."""
    mask = ids != PAD
    return (losses * mask).sum(1) / mask.sum(1)


MISTAKES_1 = [pads_count, divides_by_all, mean_of_rows, only_pads, divides_by_rows, one_number_a_row]


@exercise("02.1", "every word counts once, no pad counts at all.")
def check_02_1(answer):
    """**Exercise 02.1 · ●●○○○ · 8 min** - the mask, and a mean that pads cannot move

    Write `masked_mean(losses, ids)`: `losses` (B, T) float holds a loss for every place, `ids` (B, T) long the words,
    with PAD (0) behind the shorter sentences. Return the mean loss over all real words of the batch, one number.

    Hint 1: the mask is `ids != PAD`; how many real words are there?
    Hint 2: `losses[mask]` takes the real places of all rows; a mask can be summed.
    Solution: mask = ids != PAD; return losses[mask].sum() / mask.sum()
    """
    rng = fresh()
    inputs = []
    for lengths, width in (([5, 1, 3], 5), ([2, 4, 1, 1], 6), ([1, 6], 7)):
        words = torch.randint(4, 50, (len(lengths), width), generator=rng)
        inputs.append((0.1 + torch.rand(words.shape, generator=rng), words * lengths_mask(lengths, width)))
    judge(answer, inputs, token_mean, MISTAKES_1)


# --- 02.2 the ceiling of a table --------------------------------------------------------------------------------------


def _counts(words, tags) -> dict[str, Counter]:
    counts: dict[str, Counter] = defaultdict(Counter)
    for word, tag in zip(words, tags, strict=True):
        counts[word][tag] += 1
    return counts


def best_table(words: list[str], tags: list[str]) -> float:
    return sum(max(c.values()) for c in _counts(words, tags).values()) / len(words)


def most_frequent_tag(words, tags):
    """This gives one tag to everything: each word may have its own most frequent tag."""
    return max(Counter(tags).values()) / len(tags)


def mean_over_types(words, tags):
    """This is a mean over different words: a word that occurs often must count as often."""
    counts = _counts(words, tags).values()
    return sum(max(c.values()) / c.total() for c in counts) / len(counts)


def ambiguous_all_wrong(words, tags):
    """This counts ambiguous words as wrong always: their most frequent tag is right sometimes."""
    return sum(c.total() for c in _counts(words, tags).values() if len(c) == 1) / len(words)


def last_tag_wins(words, tags):
    """This table holds the last tag seen of each word: the best one holds the most frequent."""
    table = dict(zip(words, tags, strict=True))
    return sum(table[w] == t for w, t in zip(words, tags, strict=True)) / len(words)


def first_tag_wins(words, tags):
    """This table holds the first tag seen of each word: the best one holds the most frequent."""
    table = dict(reversed(list(zip(words, tags, strict=True))))
    return sum(table[w] == t for w, t in zip(words, tags, strict=True)) / len(words)


def number_not_share(words, tags):
    """This is the number of right words: the accuracy is their share."""
    return float(sum(max(c.values()) for c in _counts(words, tags).values()))


MISTAKES_2 = [most_frequent_tag, mean_over_types, ambiguous_all_wrong, last_tag_wins, first_tag_wins, number_not_share]


@exercise("02.2", "no training can lift a model of single words above this.")
def check_02_2(answer):
    """**Exercise 02.2 · ●●○○○ · 10 min** - the ceiling

    Write `ceiling(words, tags)`: two lists of the same length, the words of a text and their tags. Return the largest
    accuracy (0 to 1) that a table word → tag can reach on this text.

    Hint 1: which tag would the best table hold for a word that is NOUN twice and VERB once?
    Hint 2: count the tags of each word: `counts = defaultdict(Counter)`, `counts[word][tag] += 1`.
    Solution: sum of max(c.values()) over all words' counters c, divided by len(words)
    """
    rng = fresh()
    text = [  # drawn words whose tags are skewed, and a head and a tail that fool whoever takes the first or last
        (f"w{w}", "NVAP"[min(int(3.4 * u * u) + w % 2, 3)])
        for w, u in zip((torch.rand(60, generator=rng) ** 2 * 9).int().tolist(), torch.rand(60, generator=rng).tolist(),
                        strict=True)
    ]  # fmt: skip
    inputs = [(["a"] * 6, list("PPNNNA")), (list("aabccc"), list("NVVAAN"))]  # no two mistakes agree on both
    for draw in (text, text[:25]):
        odd = [(f"x{k}", tag) for k in range(3) for tag in ("P", "N", "N", "N", "A")]
        words, tags = zip(*draw, *odd, strict=True)
        inputs.append((list(words), list(tags)))
    judge(answer, inputs, best_table, MISTAKES_2)


# --- 02.3 windows -----------------------------------------------------------------------------------------------------


def window_vectors(x: Tensor, k: int) -> Tensor:
    padded = F.pad(x, (0, 0, k, k))
    return torch.cat([padded[:, j : j + x.shape[1]] for j in range(2 * k + 1)], -1)


def goes_round(x, k):
    """Beyond the ends stand the words of the other end here, as torch.roll does it: there must be zeros."""
    return torch.cat([x.roll(k - j, 1) for j in range(2 * k + 1)], -1)


def right_first(x, k):
    """The neighbours stand in reverse order: the leftmost word's vector comes first."""
    padded = F.pad(x, (0, 0, k, k))
    return torch.cat([padded[:, j : j + x.shape[1]] for j in reversed(range(2 * k + 1))], -1)


def repeats_the_edge(x, k):
    """Beyond the ends the first and last words are repeated here: there must be zeros."""
    padded = torch.cat([x[:, :1].expand(-1, k, -1), x, x[:, -1:].expand(-1, k, -1)], 1)
    return torch.cat([padded[:, j : j + x.shape[1]] for j in range(2 * k + 1)], -1)


def left_only(x, k):
    """This looks to the left only: k words on each side make 2k + 1 vectors."""
    padded = F.pad(x, (0, 0, k, 0))
    return torch.cat([padded[:, j : j + x.shape[1]] for j in range(k + 1)], -1)


def sums_up(x, k):
    """This adds the vectors, and the sum forgets which word was where: put them side by side."""
    padded = F.pad(x, (0, 0, k, k))
    return sum(padded[:, j : j + x.shape[1]] for j in range(2 * k + 1))


def mixed_up(x, k):
    """The numbers are the right ones, but mixed: unfold puts the window last, so its two last dimensions must be
    swapped before they are flattened."""
    return F.pad(x, (0, 0, k, k)).unfold(1, 2 * k + 1, 1).flatten(2)


def one_to_the_left(x, k):
    """The window is shifted: its middle must be the word itself, not a neighbour."""
    padded = F.pad(x, (0, 0, k + 1, k))
    return torch.cat([padded[:, j : j + x.shape[1]] for j in range(2 * k + 1)], -1)


MISTAKES_3 = [goes_round, right_first, repeats_the_edge, left_only, sums_up, mixed_up, one_to_the_left]


@exercise("02.3", "each word brings its neighbours along, in their order.")
def check_02_3(answer):
    """**Exercise 02.3 · ●●●○○ · 12 min** - what a window reads

    Write `windows(x, k)`: `x` (B, T, D) holds a vector for each word. Return (B, T, (2k + 1) · D): for each word the
    vectors of the k words before it, its own and the k after it, side by side, leftmost first; zeros beyond the ends.

    Hint 1: with k rows of zeros on each side of x, word t's window is the places t … t + 2k of the padded x.
    Hint 2: `F.pad(x, (0, 0, k, k))`; cut 2k + 1 pieces of length T, the j-th from place j on, and torch.cat them.
    Solution: p = F.pad(x, (0, 0, k, k)); return torch.cat([p[:, j:j + x.shape[1]] for j in range(2 * k + 1)], -1)
    """
    rng = fresh()
    inputs = [(torch.randn(*shape, generator=rng), k) for shape, k in (((2, 5, 3), 1), ((1, 6, 2), 2), ((3, 4, 2), 3))]
    judge(answer, inputs, window_vectors, MISTAKES_3)


# --- 02.4 an Elman network over a sentence ----------------------------------------------------------------------------


def elman_states(x: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
    h, states = torch.zeros(len(b)), []
    for vector in x:
        h = torch.tanh(W @ vector + U @ h + b)
        states.append(h)
    return torch.stack(states)


def _elman(x, step, first=None) -> Tensor:
    h, states = first, []
    for vector in x:
        h = step(vector, h)
        states.append(h)
    return torch.stack(states)


def forgets(x, W, U, b):
    """Every step starts from zeros here: the state of one word must go into the next step."""
    return _elman(x, lambda v, h: torch.tanh(W @ v + b))


def no_tanh(x, W, U, b):
    """There is no tanh: without it the state can grow without end, and two steps are no more than one matrix."""
    return _elman(x, lambda v, h: W @ v + U @ h + b, torch.zeros(len(b)))


def tanh_too_early(x, W, U, b):
    """The tanh stands around the input only: it belongs around the whole sum W x + U h + b."""
    return _elman(x, lambda v, h: torch.tanh(W @ v + b) + U @ h, torch.zeros(len(b)))


def no_bias(x, W, U, b):
    """The bias b is missing: it is added at every step."""
    return _elman(x, lambda v, h: torch.tanh(W @ v + U @ h), torch.zeros(len(b)))


def transposed(x, W, U, b):
    """U is used the wrong way round: row i of U says what unit i takes from each old unit, so write U @ h."""
    return _elman(x, lambda v, h: torch.tanh(W @ v + h @ U + b), torch.zeros(len(b)))


def last_only(x, W, U, b):
    """This is the last state alone: return the state after every word, one row each."""
    return elman_states(x, W, U, b)[-1]


def state_before(x, W, U, b):
    """These are the states before each word, the zeros first: asked is the state after each word."""
    states = elman_states(x, W, U, b)
    return torch.cat([torch.zeros_like(states[:1]), states[:-1]])


MISTAKES_4 = [forgets, no_tanh, tanh_too_early, no_bias, transposed, last_only, state_before]


@exercise("02.4", "the same three weights at every word, and the state carries the past.")
def check_02_4(answer):
    """**Exercise 02.4 · ●●●○○ · 12 min** - an Elman network, word by word

    Write `elman(x, W, U, b)` for one sentence: `x` (T, d) holds its word vectors, `W` (D, d), `U` (D, D), `b` (D).
    Start from a state of D zeros and return the states after each word, (T, D), with h_t = tanh(W x_t + U h_{t-1} + b).
    `torch.nn.RNN` and `RNNCell` are not allowed: a loop.

    Hint 1: one variable h changes in the loop; a list collects what it was after each word.
    Hint 2: `h = torch.tanh(W @ x[t] + U @ h + b)`; at the end torch.stack(states).
    Solution: h, states = torch.zeros(len(b)), [] / for vector in x: h = torch.tanh(W @ vector + U @ h + b);
    states.append(h) / return torch.stack(states)
    """
    rng = fresh()
    inputs = []
    for T, d, D in ((4, 3, 2), (2, 2, 5), (6, 1, 3)):
        W, U, b, x = (torch.randn(shape, generator=rng) for shape in ((D, d), (D, D), (D,), (T, d)))
        inputs.append((x, 0.7 * W, 0.6 * U, 0.5 * b))
    judge(answer, inputs, elman_states, MISTAKES_4, forbid=["nn.RNN"])


# --- 02.5 repair: the memory runs over the pads -----------------------------------------------------------------------


def last_memory(x: Tensor, mask: Tensor, step) -> Tensor:
    h = torch.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        h = torch.where(mask[:, t, None], step(x[:, t], h), h)
    return h


def runs_over_pads(x, mask, step):
    """The mask is not used: the state of a short sentence goes on moving at every pad. Where the mask is False, the
    state must stay as it was."""
    h = torch.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        h = step(x[:, t], h)
    return h


def erases(x, mask, step):
    """Multiplying by the mask sets the state to zero at a pad, so a short sentence is forgotten: at a pad keep the old
    state."""
    h = torch.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        h = step(x[:, t], h) * mask[:, t, None]
    return h


def silences_the_input(x, mask, step):
    """The pad's vector is zero now, yet the state still moves: it is the step itself that must be left out at a pad."""
    return runs_over_pads(x * mask[:, :, None], mask, step)


def wrong_way_round(x, mask, step):
    """This steps at the pads and stands still at the words: True in the mask means a real word."""
    return last_memory(x, ~mask, step)


def shortest(x, mask, step):
    """This stops for all sentences where the shortest ends: each row goes on to its own last word."""
    h = torch.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        if not bool(mask[:, t].all()):
            continue
        h = step(x[:, t], h)
    return h


def longest(x, mask, step):
    """A step is left out only where all rows have a pad: each row has its own mask, so decide row by row with
    torch.where."""
    h = torch.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        if bool(mask[:, t].any()):
            h = step(x[:, t], h)
    return h


MISTAKES_5 = [erases, silences_the_input, wrong_way_round, shortest, longest, runs_over_pads]


def _steps(rng: torch.Generator, D: int):
    W, U = (torch.randn(D, D, generator=rng) for _ in range(2))
    return lambda x_t, h: torch.tanh(x_t @ W.T + h @ U.T + 0.3)


@exercise("02.5", "pads may stand before or behind a sentence: its memory does not move there.")
def check_02_5(answer):
    """**Exercise 02.5 · ●●●○○ · 10 min** - repair: a memory that runs over pads

    `final_memory(x, mask, step)` reads a batch: `x` (B, T, D) word vectors, `mask` (B, T) bool, True = a real word;
    pads may stand behind a sentence, or before it (when it is read backwards). `step(x_t, h)` gives the next state, all
    (B, D). Return each sentence's state after its own last word, (B, D). Repair it; the `...` marks the place.

    Hint 1: at time t some rows have a word and some a pad; which state should each of them have afterwards?
    Hint 2: `torch.where(condition, a, b)` chooses row by row; the condition needs the shape (B, 1): mask[:, t, None].
    Solution: h = torch.where(mask[:, t, None], step(x[:, t], h), h)
    """
    rng = fresh()
    inputs = []
    for lengths, width, before in (([3, 1, 4], 6, False), ([2, 5, 3], 6, True), ([1, 2], 4, False)):
        mask = lengths_mask(lengths, width)
        x = torch.randn(len(lengths), width, 3, generator=rng)
        inputs.append((x, mask.flip(1) if before else mask, _steps(rng, 3)))
    judge(answer, inputs, last_memory, MISTAKES_5, planted=runs_over_pads)


# --- 02.6 a Jordan network --------------------------------------------------------------------------------------------


def jordan_outputs(x: Tensor, W: Tensor, U: Tensor, b: Tensor, V: Tensor, c: Tensor) -> Tensor:
    y, outputs = torch.zeros(len(c)), []
    for vector in x:
        y = torch.softmax(V @ torch.tanh(W @ vector + U @ y + b) + c, 0)
        outputs.append(y)
    return torch.stack(outputs)


def _jordan(x, W, U, b, V, c, fed, shown=lambda z: torch.softmax(z, 0)) -> Tensor:
    back, outputs = torch.zeros(len(c)), []
    for vector in x:
        z = V @ torch.tanh(W @ vector + U @ back + b) + c
        back = fed(z, back)
        outputs.append(shown(z))
    return torch.stack(outputs)


def feeds_scores_back(x, W, U, b, V, c):
    """What is fed back is V h + c before the softmax: Jordan's network hears its output, the probabilities."""
    return _jordan(x, W, U, b, V, c, lambda z, _: z)


def feeds_the_winner_back(x, W, U, b, V, c):
    """What is fed back is 1 for the best label and 0 for the others: feed back the probabilities themselves, or no
    gradient flows."""
    return _jordan(x, W, U, b, V, c, lambda z, _: F.one_hot(z.argmax(), len(z)).float())


def never_listens(x, W, U, b, V, c):
    """Nothing is fed back: the output of one word must go into the next step."""
    return _jordan(x, W, U, b, V, c, lambda z, old: old)


def adds_up(x, W, U, b, V, c):
    """All outputs so far are added up here (a state that does not decay): asked is the last output alone."""
    return _jordan(x, W, U, b, V, c, lambda z, old: old + torch.softmax(z, 0))


def shows_scores(x, W, U, b, V, c):
    """These are the scores V h + c: the outputs are their softmax."""
    return _jordan(x, W, U, b, V, c, lambda z, _: torch.softmax(z, 0), lambda z: z)


def starts_uniform(x, W, U, b, V, c):
    """This begins as if all labels had been said equally before the first word: begin with zeros, nothing was said."""
    y, outputs = torch.full((len(c),), 1 / len(c)), []
    for vector in x:
        y = torch.softmax(V @ torch.tanh(W @ vector + U @ y + b) + c, 0)
        outputs.append(y)
    return torch.stack(outputs)


MISTAKES_6 = [feeds_scores_back, feeds_the_winner_back, never_listens, adds_up, shows_scores, starts_uniform]


@exercise("02.6", "it remembers what it said, and nothing else.")
def check_02_6(answer):
    """**Exercise 02.6 · ●●●●○ · 12 min** - a Jordan network, word by word

    Write `jordan(x, W, U, b, V, c)` for one sentence of T words: x (T, d), W (D, d), U (D, n), b (D), V (n, D), c (n).
    With y_0 = zeros: h_t = tanh(W x_t + U y_{t-1} + b), y_t = softmax(V h_t + c). Return all y_t, (T, n).

    Hint 1: it is the loop of 02.4, but what goes round is y, not h.
    Hint 2: `y = torch.softmax(V @ torch.tanh(W @ x[t] + U @ y + b) + c, 0)`.
    Solution: y, outputs = torch.zeros(len(c)), [] / for vector in x:
    y = torch.softmax(V @ torch.tanh(W @ vector + U @ y + b) + c, 0); outputs.append(y) / return torch.stack(outputs)
    """
    rng = fresh()
    inputs = []
    for T, d, D, n in ((4, 3, 4, 3), (3, 2, 5, 2), (5, 1, 3, 4)):
        shapes = ((T, d), (D, d), (D, n), (D,), (n, D), (n,))
        inputs.append(tuple(torch.randn(shape, generator=rng) for shape in shapes))
    judge(answer, inputs, jordan_outputs, MISTAKES_6)


# --- the gallery ------------------------------------------------------------------------------------------------------


def _elman_kernel(x, W, U, b):
    """The right numbers, by torch's own kernel."""
    rnn = torch.nn.RNN(x.shape[1], len(b))
    with torch.no_grad():
        for name, value in (("weight_ih_l0", W), ("weight_hh_l0", U), ("bias_ih_l0", b), ("bias_hh_l0", 0 * b)):
            getattr(rnn, name).copy_(value)
        return rnn(x)[0]


def _elman_cells(x, W, U, b):
    cell, h, states = torch.nn.RNNCell(x.shape[1], len(b)), torch.zeros(1, len(b)), []
    for vector in x:
        h = cell(vector[None], h)
        states.append(h[0])
    return torch.stack(states)


def _elman_backwards(x, W, U, b):
    """Right, with the past as rows."""
    h, states = torch.zeros(1, len(b)), []
    for t in range(len(x)):
        h = torch.tanh(x[t : t + 1] @ W.T + h @ U.T + b)
        states.append(h)
    return torch.cat(states)


def _windows_by_unfold(x, k):
    return F.pad(x, (0, 0, k, k)).unfold(1, 2 * k + 1, 1).transpose(2, 3).flatten(2)


def _mean_by_product(losses, ids):
    return float((losses * (ids != PAD)).sum()) / int((ids != PAD).sum())


CHECKS = {
    "02_1": Check(check_02_1, [token_mean, _mean_by_product], gallery(MISTAKES_1)),
    "02_2": Check(check_02_2, [best_table], gallery(MISTAKES_2)),
    "02_3": Check(check_02_3, [window_vectors, _windows_by_unfold], gallery(MISTAKES_3)),
    "02_4": Check(check_02_4, [elman_states, _elman_backwards],
                  [*gallery(MISTAKES_4), ("nn.RNN", _elman_kernel, "uses rnn_tanh;"),
                   ("RNNCell", _elman_cells, "uses rnn_tanh_cell")]),
    "02_5": Check(check_02_5, [last_memory], gallery(MISTAKES_5[:-1]), stub=runs_over_pads),
    "02_6": Check(check_02_6, [jordan_outputs], gallery(MISTAKES_6)),
}
