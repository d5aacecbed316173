"""Exercises of notebook 01, word embeddings. Tasks, hints and solutions stand in the checks' docstrings, mistakes in
the functions above each check; how they become cells: course_utils/exercises/checking.py."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge

# --- 01.1 one-hot times a matrix, without the one-hot -----------------------------------------------------------------


def rows_of(ids: Tensor, E: Tensor) -> Tensor:
    return torch.stack([torch.stack([E[i] for i in row]) for row in ids.tolist()])


def reads_columns(ids, E):
    """This takes columns: word i's vector is row i of E, which has one row a word."""
    return E.T[ids % E.shape[1]]


def starts_at_one(ids, E):
    """This is one row off: ids count from 0, and the word with id 0 owns the first row."""
    return E[ids - 1]


def one_per_sentence(ids, E):
    """This adds the vectors of a sentence up; every word keeps its own here, shape (B, T, d)."""
    return E[ids].sum(1)


def all_in_one_row(ids, E):
    """The sentences have run together: the shape of ids comes first and d after it, (B, T, d)."""
    return E[ids.flatten()]


def transposed(ids, E):
    """Sentences and places have changed sides: the result has the shape of ids, (B, T), and then d."""
    return E[ids.T]


def unit_rows(ids, E):
    """These vectors have been scaled to length 1; a product with a one-hot vector leaves a row as it is."""
    return F.normalize(E[ids], dim=-1)


MISTAKES_1 = [reads_columns, starts_at_one, one_per_sentence, all_in_one_row, transposed, unit_rows]


@exercise("01.1", "a product with a one-hot vector is a row, and a row need not be computed.")
def check_01_1(answer):
    """**Exercise 01.1 · ●○○○○ · 4 min** - one-hot times a matrix, without the one-hot

    Write `lookup(ids, E)`: `ids` (B, T) whole numbers, `E` (V, d) with one row a word. Return (B, T, d), what the
    one-hot vectors of these words times E would give, without making one-hot vectors and without `@`.

    Hint 1: which row of E is left when the vector in front has its 1 at place i?
    Hint 2: a tensor may be indexed by a tensor of any shape.
    Solution: E[ids]
    """
    rng = fresh()
    inputs = []
    for B, T, V, d in ((2, 3, 7, 4), (1, 1, 5, 2), (3, 2, 6, 6), (4, 5, 9, 3)):  # a one-hot table is (B, T, V)
        ids = torch.randint(0, V, (B, T), generator=rng)
        inputs.append((ids, 3 * torch.randn(V, d, generator=rng)))
    judge(answer, inputs, rows_of, MISTAKES_1, forbid=["F.one_hot", "`@`"],
          table=lambda ids, E: (*ids.shape, len(E)) if len(E) != E.shape[1] else ())  # fmt: skip


# --- 01.2 the gradient of a shared vector -----------------------------------------------------------------------------


def shared_gradient(ids: Tensor, upstream: Tensor, V: int) -> Tensor:
    out = torch.zeros(V, upstream.shape[1], dtype=upstream.dtype)
    for i, g in zip(ids.tolist(), upstream, strict=True):
        out[i] = out[i] + g
    return out


def last_place_wins(ids, upstream, V):
    """A word that occurs twice keeps only its last gradient here (as with `out[ids] += upstream`): the vector is one,
    so its gradients add up; use index_add_ or a loop."""
    out = torch.zeros(V, upstream.shape[1], dtype=upstream.dtype)
    for i, g in zip(ids.tolist(), upstream, strict=True):
        out[i] = g
    return out


def first_place_wins(ids, upstream, V):
    """A word that occurs twice keeps only its first gradient here; each place of the word adds its own."""
    out = torch.zeros(V, upstream.shape[1], dtype=upstream.dtype)
    for i, g in reversed(list(zip(ids.tolist(), upstream, strict=True))):
        out[i] = g
    return out


def averaged(ids, upstream, V):
    """This is the mean over the places of a word; the chain rule adds them up."""
    counts = torch.bincount(ids, minlength=V).clamp(min=1)
    return shared_gradient(ids, upstream, V) / counts[:, None]


def everyone_moves(ids, upstream, V):
    """Every word of the vocabulary gets a gradient here; words that do not stand in the context get exactly 0."""
    return upstream.sum(0).expand(V, -1).clone()


def places_not_words(ids, upstream, V):
    """This files gradients by place in the sentence; they belong to row ids[j], the word that stands at place j."""
    out = torch.zeros(V, upstream.shape[1], dtype=upstream.dtype)
    out[: len(upstream)] = upstream[:V]
    return out


MISTAKES_2 = [last_place_wins, first_place_wins, averaged, everyone_moves, places_not_words]


@exercise("01.2", "one vector a word: whatever is learnt at one place is known at every other.")
def check_01_2(answer):
    """**Exercise 01.2 · ●●○○○ · 8 min** - the gradient of a shared vector

    A model has looked up rows `ids` (C,) of E (V, d) and knows the gradient of its loss with respect to each looked-up
    row, `upstream` (C, d). Write `tied_gradient(ids, upstream, V)`: the gradient with respect to E, (V, d), by hand
    (no autograd). The same word may stand in `ids` several times.

    Hint 1: start from zeros (V, d). Where does the gradient of place j go? And if that row already holds one?
    Hint 2: a loop with `+=` on one row, or `zeros.index_add_(0, ids, upstream)`.
    Solution: torch.zeros(V, upstream.shape[1]).index_add_(0, ids, upstream)
    """
    rng = fresh()
    inputs = []
    for ids, V, d in (([2, 0, 2], 4, 3), ([1, 1, 1, 3], 6, 2), ([4, 2, 4, 2, 0], 5, 4), ([0], 3, 2)):
        inputs.append((torch.tensor(ids), torch.randn(len(ids), d, generator=rng), V))
    judge(answer, inputs, shared_gradient, MISTAKES_2, forbid=["autograd"])


# --- 01.3 the pairs of a window ---------------------------------------------------------------------------------------


def pairs_of(words: list, window: int) -> list:
    pairs = []
    for i, centre in enumerate(words):
        for j in range(max(0, i - window), min(len(words), i + window + 1)):
            if j != i:
                pairs.append((centre, words[j]))
    return pairs


def centre_with_itself(words, window):
    """Each word is paired with itself here: leave out the place j = i (but not an equal word at another place)."""
    return [(c, words[j]) for i, c in enumerate(words)
            for j in range(max(0, i - window), min(len(words), i + window + 1))]  # fmt: skip


def by_word_not_place(words, window):
    """This leaves out words that are equal to the centre: only the centre's own place is left out, not its namesake."""
    return [(c, o) for c, o in centre_with_itself(words, window) if c != o]


def right_side_only(words, window):
    """Only the words after the centre are paired: the window reaches to both sides."""
    return [(c, words[j]) for i, c in enumerate(words) for j in range(i + 1, min(len(words), i + window + 1))]


def left_side_only(words, window):
    """Only the words before the centre are paired: the window reaches to both sides."""
    return [(c, words[j]) for i, c in enumerate(words) for j in range(max(0, i - window), i)]


def one_too_few(words, window):
    """The right side ends one word early: `range` leaves its end out, so it must be i + window + 1."""
    return [(c, words[j]) for i, c in enumerate(words)
            for j in range(max(0, i - window), min(len(words), i + window)) if j != i]  # fmt: skip


def wraps_round(words, window):
    """At the beginning of the sentence the window reaches round to its end: negative places count from the back."""
    return [(c, words[j]) for i, c in enumerate(words)
            for j in range(i - window, min(len(words), i + window + 1)) if j != i]  # fmt: skip


def full_windows_only(words, window):
    """Words near the ends of the sentence are skipped: there the window is just cut off."""
    return [(words[i], words[j]) for i in range(window, len(words) - window)
            for j in range(i - window, i + window + 1) if j != i]  # fmt: skip


def context_first(words, window):
    """The pairs are the wrong way round: the centre comes first, then the context word."""
    return [(o, c) for c, o in pairs_of(words, window)]


MISTAKES_3 = [
    centre_with_itself, by_word_not_place, right_side_only, left_side_only, one_too_few, wraps_round,
    full_windows_only, context_first,
]  # fmt: skip


@exercise("01.3", "these pairs are all that skip-gram ever sees of a text.")
def check_01_3(answer):
    """**Exercise 01.3 · ●●○○○ · 8 min** - the pairs of a window

    Write `window_pairs(words, window)`: `words` is a list, `window` the number of places to *each* side. Return the
    list of pairs (centre, context): centres from left to right, and for each its context words from left to right.
    Near the ends the window is cut off.

    Hint 1: for the centre at place i, which places j come first and last? They must stay between 0 and len(words) - 1.
    Hint 2: `for j in range(max(0, i - window), min(len(words), i + window + 1))`, without j = i.
    Solution: [(words[i], words[j]) for i in range(len(words)) for j in range(max(0, i - window), min(len(words),
    i + window + 1)) if j != i]
    """
    rng = fresh()
    inputs = [(["the", "cat", "sees", "the", "dog", "."], 1), (["a", "b", "a", "a", "c", "b", "d"], 2)]
    for n, window in ((8, 3), (5, 2), (1, 2)):
        inputs.append(([f"w{k}" for k in torch.randint(0, 5, (n,), generator=rng).tolist()], window))
    judge(answer, inputs, pairs_of, MISTAKES_3)


# --- 01.4 the noise distribution --------------------------------------------------------------------------------------


def noise_of(counts: Tensor, power: float) -> Tensor:
    raised = counts.double() ** power
    return raised / raised.sum()


def without_power(counts, power):
    """This is the plain share of each word in the text: raise the counts to the power first."""
    return counts / counts.sum()


def not_normalised(counts, power):
    """These are the raised counts: divide by their sum, so that they are probabilities."""
    return counts.double() ** power


def raised_shares(counts, power):
    """The shares are raised *after* dividing, so they no longer sum to 1: divide once more, last."""
    return (counts / counts.sum()) ** power


def divided_by_the_text(counts, power):
    """This divides by the number of words in the text; divide by the sum of the *raised* counts."""
    return counts.double() ** power / counts.sum()


def uniform(counts, power):
    """Every word is drawn alike here; that would be power 0."""
    return torch.full((len(counts),), 1 / len(counts))


def through_softmax(counts, power):
    """This is a softmax, exponentials of the counts: the frequent word takes all. Divide the raised counts by their
    sum."""
    return (counts.double() ** power).softmax(0)


def inverse_power(counts, power):
    """The power is upside down: with 1 / power frequent words are drawn even more often than they stand in the text."""
    raised = counts.double() ** (1 / power)
    return raised / raised.sum()


MISTAKES_4 = [
    without_power, not_normalised, raised_shares, divided_by_the_text, uniform, through_softmax, inverse_power,
]  # fmt: skip


@exercise("01.4", "rare words are drawn more often than they stand in the text, frequent ones less.")
def check_01_4(answer):
    """**Exercise 01.4 · ●○○○○ · 5 min** - the noise distribution

    Write `noise(counts, power)`: `counts` (V,) how often each word stands in the text, `power` a number such as 0.75.
    Return (V,), the probability with which each word is drawn as a negative: proportional to count to that power.

    Hint 1: two steps: raise, then make it sum to 1.
    Hint 2: the sum to divide by is that of the raised counts.
    Solution: (counts**power) / (counts**power).sum()
    """
    rng = fresh()
    inputs = [(torch.tensor([1000, 100, 10, 1]), 0.75), (torch.tensor([1000, 100, 10, 1]), 0.5)]
    for V, power in ((6, 0.75), (3, 0.25), (9, 0.6)):
        inputs.append((torch.randint(1, 400, (V,), generator=rng), power))
    judge(answer, inputs, noise_of, MISTAKES_4)


# --- 01.5 negative sampling -------------------------------------------------------------------------------------------


def sgns(centre: Tensor, context: Tensor, negatives: Tensor) -> Tensor:
    agree = (centre * context).sum(-1)
    drawn = torch.einsum("bd,bkd->bk", centre, negatives)
    return (F.softplus(-agree) + F.softplus(drawn).sum(-1)).mean()


def _scores(centre, context, negatives):
    return (centre * context).sum(-1), (negatives @ centre.unsqueeze(-1)).squeeze(-1)


def no_minus_inside(centre, context, negatives):
    """The negatives are rewarded here for agreeing: their score takes a minus inside, log sigmoid(-u · v)."""
    agree, drawn = _scores(centre, context, negatives)
    return -(F.logsigmoid(agree) + F.logsigmoid(drawn).sum(-1)).mean()


def mean_over_negatives(centre, context, negatives):
    """This is the mean over the negatives; each of the K is a question of its own, so their losses add up."""
    agree, drawn = _scores(centre, context, negatives)
    return -(F.logsigmoid(agree) + F.logsigmoid(-drawn).mean(-1)).mean()


def summed_over_the_batch(centre, context, negatives):
    """This adds the pairs of the batch up; take their mean, so that the loss does not grow with the batch."""
    return sgns(centre, context, negatives) * len(centre)


def not_negated(centre, context, negatives):
    """This is what should be made large; a loss is to be made small, so it wants a minus in front."""
    return -sgns(centre, context, negatives)


def without_log(centre, context, negatives):
    """There is no logarithm: a loss of plain sigmoids hardly moves where the model is badly wrong."""
    agree, drawn = _scores(centre, context, negatives)
    return -(torch.sigmoid(agree) + torch.sigmoid(-drawn).sum(-1)).mean()


def overflows(centre, context, negatives):
    """With a score of -200 the sigmoid is exactly 0 and its logarithm infinite: F.logsigmoid does both in one go."""
    agree, drawn = _scores(centre, context, negatives)
    return -(torch.log(torch.sigmoid(agree)) + torch.log(torch.sigmoid(-drawn)).sum(-1)).mean()


def softmax_over_samples(centre, context, negatives):
    """This is a softmax over the context word and its negatives, one choice among K + 1; negative sampling asks K + 1
    separate yes-or-no questions."""
    agree, drawn = _scores(centre, context, negatives)
    return -torch.cat([agree.unsqueeze(-1), drawn], -1).log_softmax(-1)[:, 0].mean()


def context_meets_negatives(centre, context, negatives):
    """The negatives are compared with the context word here; both are to be compared with the centre."""
    agree, drawn = (centre * context).sum(-1), (negatives @ context.unsqueeze(-1)).squeeze(-1)
    return -(F.logsigmoid(agree) + F.logsigmoid(-drawn).sum(-1)).mean()


def forgets_the_negatives(centre, context, negatives):
    """The negatives do not count here: then all vectors may point the same way, and the loss is 0."""
    return -F.logsigmoid((centre * context).sum(-1)).mean()


MISTAKES_5 = [
    no_minus_inside, mean_over_negatives, summed_over_the_batch, not_negated, without_log, overflows,
    softmax_over_samples, context_meets_negatives, forgets_the_negatives,
]  # fmt: skip


@exercise("01.5", "one yes and K times no; the rest of the vocabulary is left in peace.")
def check_01_5(answer):
    """**Exercise 01.5 · ●●●○○ · 12 min** - the loss of negative sampling

    Write `sgns_loss(centre, context, negatives)`: `centre` (B, d) input vectors, `context` (B, d) and `negatives`
    (B, K, d) output vectors. Per pair: -log sigmoid(context · centre) - sum over k of log sigmoid(-negative_k ·
    centre). Return the mean over the batch, (). Scores may be as large as 200.

    Hint 1: the scores of the negatives are (B, K): `(negatives @ centre.unsqueeze(-1)).squeeze(-1)`.
    Hint 2: `F.logsigmoid` is there for large scores; a minus inside for the negatives, sum over K, mean over B.
    Solution: agree = (centre * context).sum(-1) / drawn = (negatives @ centre.unsqueeze(-1)).squeeze(-1) /
    return -(F.logsigmoid(agree) + F.logsigmoid(-drawn).sum(-1)).mean()
    """
    rng = fresh()
    inputs = []
    for B, K, d, scale in ((3, 2, 4, 0.5), (1, 5, 3, 1.0), (4, 3, 2, 0.2), (2, 2, 4, 10.0)):
        drawn = (torch.randn(B, *more, d, generator=rng) * scale for more in ((), (), (K,)))
        inputs.append(tuple(drawn))
    v = torch.tensor([[10.0, 10.0], [1.0, 0.0]])
    inputs.append((v, -v * torch.tensor([[1.0], [200.0]]), torch.stack([v, -v], 1)))  # scores of -200 and 200
    judge(answer, inputs, sgns, MISTAKES_5)


# --- 01.6 repair an analogy -------------------------------------------------------------------------------------------


def analogy_of(E: Tensor, a: int, b: int, c: int) -> int:
    U = E / E.norm(dim=1, keepdim=True)
    scores = U @ (U[b] - U[a] + U[c])
    return max((i for i in range(len(E)) if i not in (a, b, c)), key=lambda i: float(scores[i]))


def _best(scores: Tensor, *never: int) -> int:
    scores = scores.clone()
    scores[list(never)] = -torch.inf
    return int(scores.argmax())


def planted_analogy(E, a, b, c):
    """Its answers are mostly one of the three words asked with: which words must not be the answer?"""
    U = F.normalize(E, dim=1)
    return int((U @ (U[b] - U[a] + U[c])).argmax())


def excludes_only_c(E, a, b, c):
    """Only c is kept out here, and b is often nearest: none of the three query words can be the answer."""
    U = F.normalize(E, dim=1)
    return _best(U @ (U[b] - U[a] + U[c]), c)


def excludes_only_b_and_c(E, a, b, c):
    """b and c are kept out, a is not: none of the three query words can be the answer."""
    U = F.normalize(E, dim=1)
    return _best(U @ (U[b] - U[a] + U[c]), b, c)


def dot_products(E, a, b, c):
    """These are plain dot products, so long vectors win whatever their direction: scale every row to length 1."""
    return _best(E @ (E[b] - E[a] + E[c]), a, b, c)


def unequal_voices(E, a, b, c):
    """The three query vectors are added at their own lengths, and the longest has the loudest voice: 3CosAdd takes them
    at length 1 too."""
    return _best(F.normalize(E, dim=1) @ (E[b] - E[a] + E[c]), a, b, c)


def wrong_sign(E, a, b, c):
    """The signs are turned: "a is to b as c is to ?" leads from a to b, so it is c + b - a."""
    U = F.normalize(E, dim=1)
    return _best(U @ (U[a] - U[b] + U[c]), a, b, c)


def gives_the_score(E, a, b, c):
    """This is the largest cosine; asked is *which* word has it, its id."""
    U = F.normalize(E, dim=1)
    scores = U @ (U[b] - U[a] + U[c])
    scores[[a, b, c]] = -torch.inf
    return float(scores.max())


def farthest(E, a, b, c):
    """This finds the word that agrees least: a cosine is largest for the nearest word."""
    U = F.normalize(E, dim=1)
    return _best(-(U @ (U[b] - U[a] + U[c])), a, b, c)


MISTAKES_6 = [
    planted_analogy, excludes_only_c, excludes_only_b_and_c, dot_products, unequal_voices, wrong_sign, gives_the_score,
    farthest,
]  # fmt: skip


@exercise("01.6", "the nearest word that was not already in the question.")
def check_01_6(answer):
    """**Exercise 01.6 · ●●○○○ · 8 min** - repair an analogy

    "man is to king as woman is to ?" With this function the answer is *king*, and so it is, nearly always: one of the
    three words asked with. Repair `analogy(E, a, b, c)`: `E` (V, d) one row a word; a, b, c are ids. It returns the id
    of the best answer, by cosine. In the cell at first:

        def analogy(E, a, b, c):
            U = F.normalize(E, dim=1)
            return int((U @ (U[b] - U[a] + U[c])).argmax())

    Hint 1: which three words must never be the answer?
    Hint 2: before argmax, set their scores to something that cannot win: `scores[[a, b, c]] = -torch.inf`.
    Solution: U = F.normalize(E, dim=1) / scores = U @ (U[b] - U[a] + U[c]) / scores[[a, b, c]] = -torch.inf /
    return int(scores.argmax())
    """
    judge(answer, [_analogy_input(k, fresh()) for k in range(24)], analogy_of, MISTAKES_6,
          planted=planted_analogy)  # fmt: skip


def _analogy_input(k: int, rng: torch.Generator) -> tuple[Tensor, int, int, int]:
    """Vectors of unequal lengths; in some, the nearest word of all is a, b or c itself."""
    V, d = 12, (3, 4, 6)[k % 3]
    E = torch.randn(V, d, generator=rng)
    a, b, c = torch.randperm(V, generator=rng)[:3].tolist()
    if k % 4 == 1:
        E[c] = E[a] + 0.05 * torch.randn(d, generator=rng)  # then b is the nearest of all
    if k % 4 == 2:
        E[b] = E[c] - 0.3 * torch.randn(d, generator=rng)
    if k % 4 == 3:
        E[a] = 0.6 * E[b] / E[b].norm() + 0.6 * E[c] / E[c].norm()  # b - a + c points towards a
    return E * torch.rand(V, 1, generator=rng).add(0.2).mul(2), a, b, c


# --- what proves them -------------------------------------------------------------------------------------------------


def _embedding_layer(ids, E):
    return F.embedding(ids, E)


def _too_many(ids, E):
    return torch.stack([E[ids], E[ids]])


def _one_hot_first(ids, E):
    return F.one_hot(ids, len(E)).to(E) @ E


def _product(ids, E):
    return torch.eye(len(E))[ids] @ E


def _multiplied_by_hand(ids, E):
    return (torch.eye(len(E))[ids].unsqueeze(-1) * E).sum(-2)


def _by_backward(ids, upstream, V):
    E = torch.zeros(V, upstream.shape[1], requires_grad=True)
    (E[ids] * upstream).sum().backward()
    return E.grad


def _index_add(ids, upstream, V):
    return torch.zeros(V, upstream.shape[1]).index_add_(0, ids, upstream)


def _by_one_hot(ids, upstream, V):
    return F.one_hot(ids, V).to(upstream).T @ upstream


def _too_small(ids, upstream, V):
    return _index_add(ids, upstream, V)[: int(ids.max())]


def _slices(words, window):
    return [(c, o) for i, c in enumerate(words)
            for o in [*words[max(0, i - window) : i], *words[i + 1 : i + 1 + window]]]  # fmt: skip


def _sorted_pairs(words, window):
    return [list(pair) for pair in pairs_of(words, window)][::-1]


def _float_noise(counts, power):
    return (counts**power) / (counts**power).sum()


def _list_noise(counts, power):
    return noise_of(counts, power).tolist()


def _by_logsigmoid(centre, context, negatives):
    agree, drawn = _scores(centre, context, negatives)
    return -(F.logsigmoid(agree) + F.logsigmoid(-drawn).sum(-1)).mean()


def _by_cross_entropy(centre, context, negatives):
    agree, drawn = _scores(centre, context, negatives)
    scores = torch.cat([agree.unsqueeze(-1), drawn], -1)
    wanted = torch.zeros_like(scores)
    wanted[:, 0] = 1
    return F.binary_cross_entropy_with_logits(scores, wanted, reduction="sum") / len(centre)


def _every_pair(centre, context, negatives):
    agree, drawn = _scores(centre, context, negatives)
    return -(F.logsigmoid(agree) + F.logsigmoid(-drawn).sum(-1))


def _excludes(E, a, b, c):
    U = F.normalize(E, dim=1)
    return _best(U @ (U[b] - U[a] + U[c]), a, b, c)


def _by_sorting(E, a, b, c):
    U = F.normalize(E, dim=1)
    order = (U @ (U[b] - U[a] + U[c])).argsort(descending=True)
    return [i for i in order if i not in (a, b, c)][0]


CHECKS = {
    "01_1": Check(check_01_1, [rows_of, _embedding_layer],
                  [*gallery(MISTAKES_1), ("stacked twice", _too_many, "the result has shape"),
                   ("one-hot", _one_hot_first, "without F.one_hot"), ("a product", _product, "your function uses `@`"),
                   ("a table", _multiplied_by_hand, "the task allows no 2 x 3 x 7 table")]),
    "01_2": Check(check_01_2, [shared_gradient, _index_add, _by_one_hot],
                  [*gallery(MISTAKES_2), ("too few rows", _too_small, "the result has shape"),
                   ("autograd", _by_backward, "without autograd")]),
    "01_3": Check(check_01_3, [pairs_of, _slices],
                  [*gallery(MISTAKES_3), ("backwards", _sorted_pairs, "the result is wrong at entry 0")]),
    "01_4": Check(check_01_4, [noise_of, _float_noise],
                  [*gallery(MISTAKES_4), ("a list", _list_noise, "must be a tensor of shape")]),
    "01_5": Check(check_01_5, [sgns, _by_logsigmoid, _by_cross_entropy],
                  [*gallery(MISTAKES_5), ("no mean", _every_pair, "the result has shape")]),
    "01_6": Check(check_01_6, [analogy_of, _excludes, _by_sorting], gallery(MISTAKES_6), stub=planted_analogy),
}  # fmt: skip
