"""Exercises of notebook 11, hierarchical attention. Tasks, hints and solutions stand in the docstrings, mistakes
in the functions above each check; how they become cells: course_utils/exercises/checking.py. Several mistakes are those
of public code."""

import math
from collections import Counter

import torch
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge, judge_value, lengths_mask

# --- 11.1 attention pooling -------------------------------------------------------------------------------------------


def pooled(H: Tensor, mask: Tensor, W: Tensor, b: Tensor, u: Tensor) -> Tensor:
    rows = []
    for h, real in zip(H, mask, strict=True):
        if not real.any():
            rows.append(torch.zeros_like(h[0]))
            continue
        h = h[real]
        scores = torch.stack([u @ torch.tanh(W @ x + b) for x in h])
        rows.append(sum(a * x for a, x in zip(scores.softmax(0), h, strict=True)))
    return torch.stack(rows)


def _scores_1(H, W, b, u):
    return torch.tanh(H @ W.T + b) @ u                                          # (B, T)


def _softmax(scores, mask):
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~mask, 0.0)


def _sum(weights, H):
    return (weights.unsqueeze(1) @ H).squeeze(1)


def sums_the_keys(H, mask, W, b, u):
    """The sum runs over tanh(W h + b); those are only compared with u. What is summed are the words' vectors h."""
    return _sum(_softmax(_scores_1(H, W, b, u), mask), torch.tanh(H @ W.T + b))


def bounded_score(H, mask, W, b, u):
    """The scores go through a second tanh, so none can be far ahead of the others and the weights stay flat: tanh
    belongs to W h + b only."""
    return _sum(_softmax(torch.tanh(_scores_1(H, W, b, u)), mask), H)


def tanh_on_the_score_only(H, mask, W, b, u):
    """tanh is on the score and not on W h + b: it belongs inside, before the product with u."""
    return _sum(_softmax(torch.tanh((H @ W.T + b) @ u), mask), H)


def no_tanh(H, mask, W, b, u):
    """The tanh is missing: u is compared with tanh(W h + b)."""
    return _sum(_softmax((H @ W.T + b) @ u, mask), H)


def no_bias(H, mask, W, b, u):
    """The bias b is missing, or outside the tanh, where it gives every word the same extra score: it belongs inside."""
    return _sum(_softmax(torch.tanh(H @ W.T) @ u, mask), H)


def compared_directly(H, mask, W, b, u):
    """u is compared with h itself here; it is compared with tanh(W h + b)."""
    return _sum(_softmax(H @ u, mask), H)


def mask_forgotten(H, mask, W, b, u):
    """The pads take part: their scores must not reach the softmax."""
    return _sum(_scores_1(H, W, b, u).softmax(-1), H)


def hidden_afterwards(H, mask, W, b, u):
    """The pads' weights are set to 0 after the softmax only, so the rest does not sum to 1: hide the scores before."""
    return _sum(_scores_1(H, W, b, u).softmax(-1) * mask, H)


def zero_scores(H, mask, W, b, u):
    """A pad's score is set to 0, and e⁰ = 1 is a weight too: use a number below all scores."""
    return _sum((_scores_1(H, W, b, u) * mask).softmax(-1) * mask, H)


def pads_zeroed(H, mask, W, b, u):
    """The pads' vectors are set to 0 and then take part: tanh(b) · u is a score like any other. Hide the scores."""
    H = H * mask.unsqueeze(-1)
    return _sum(_scores_1(H, W, b, u).softmax(-1), H)


def wrong_polarity(H, mask, W, b, u):
    """This looks at the pads and hides the words: True in the mask is a real word."""
    return _sum(_softmax(_scores_1(H, W, b, u), ~mask), H)


def over_the_batch(H, mask, W, b, u):
    """The softmax runs over the sentences of the batch; it must run over the words of each: dim=-1 of (B, T)."""
    scores = _scores_1(H, W, b, u).masked_fill(~mask, torch.finfo(H.dtype).min)
    return _sum(scores.softmax(0).masked_fill(~mask, 0.0), H)


def whole_batch(H, mask, W, b, u):
    """All words of the batch share one softmax, so a sentence depends on its neighbours: one softmax per sentence."""
    scores = _scores_1(H, W, b, u).masked_fill(~mask, torch.finfo(H.dtype).min)
    return _sum(scores.flatten().softmax(0).view_as(scores).masked_fill(~mask, 0.0), H)


def a_softmax_over_one(H, mask, W, b, u):
    """The softmax runs over an axis of size 1, where it always says 1: keep the scores (B, T) and take dim=-1."""
    weights = _scores_1(H, W, b, u).unsqueeze(-1).softmax(-1).squeeze(-1)
    return _sum(weights * mask, H)


def over_the_features(H, mask, W, b, u):
    """The softmax runs over the features of a word; there is one weight per word, and the words share it out."""
    return ((torch.tanh(H @ W.T + b) * u).softmax(-1) * mask.unsqueeze(-1) * H).sum(1)


def shifted_by_the_batch(H, mask, W, b, u):
    """The largest score of the whole *batch* is taken away before the exponential; a sentence far below it has only
    zeros left and becomes nan. Take away its own largest score, or use softmax."""
    scores = _scores_1(H, W, b, u)
    powers = torch.exp(scores - scores.max()) * mask
    return _sum(powers / powers.sum(1, keepdim=True), H)


def not_shifted(H, mask, W, b, u):
    """torch.exp of a large score is inf, and inf / inf is nan: use softmax, which subtracts the largest score first."""
    powers = torch.exp(_scores_1(H, W, b, u)) * mask
    return _sum(powers / powers.sum(1, keepdim=True), H)


def empty_is_nan(H, mask, W, b, u):
    """A row of pads only becomes nan: with -inf everywhere the softmax divides 0 by 0. Its result is 0."""
    return _sum(_scores_1(H, W, b, u).masked_fill(~mask, -torch.inf).softmax(-1), H)


def empty_is_a_mean(H, mask, W, b, u):
    """A row of pads only gets their mean; its result is 0: set the weights of pads to 0 after the softmax as well."""
    return _sum(_scores_1(H, W, b, u).masked_fill(~mask, torch.finfo(H.dtype).min).softmax(-1), H)


def scaled(H, mask, W, b, u):
    """The scores are divided by a root of the width; this score has no scale."""
    return _sum(_softmax(_scores_1(H, W, b, u) / len(u) ** 0.5, mask), H)


def transposed(H, mask, W, b, u):
    """W stands on the wrong side: for rows, W h is H @ W.T."""
    return _sum(_softmax(torch.tanh(H @ W + b) @ u, mask), H)


def mean_of_the_weighted(H, mask, W, b, u):
    """The weighted vectors are averaged; the weights sum to 1 already, so sum them up."""
    return (_softmax(_scores_1(H, W, b, u), mask).unsqueeze(-1) * H).mean(1)


def weights_only(H, mask, W, b, u):
    """These are the weights (B, T); asked for is what they mix, one vector per sentence."""
    return _softmax(_scores_1(H, W, b, u), mask)


def not_summed(H, mask, W, b, u):
    """Every word's vector is weighted but they are not summed: one vector per sentence, (B, D)."""
    return _softmax(_scores_1(H, W, b, u), mask).unsqueeze(-1) * H


def a_sigmoid(H, mask, W, b, u):
    """A sigmoid gives every word a gate of its own, and the weights do not sum to 1: it must be a softmax."""
    return _sum(_scores_1(H, W, b, u).sigmoid() * mask, H)


MISTAKES_1 = [
    sums_the_keys, bounded_score, tanh_on_the_score_only, no_tanh, no_bias, compared_directly, mask_forgotten,
    hidden_afterwards, zero_scores, pads_zeroed, wrong_polarity, over_the_batch, whole_batch, a_softmax_over_one,
    over_the_features, shifted_by_the_batch, not_shifted, empty_is_nan, empty_is_a_mean, scaled, transposed,
    mean_of_the_weighted, weights_only, not_summed, a_sigmoid,
]  # fmt: skip


@exercise("11.1", "the query is a parameter, and what is summed are the words themselves.")
def check_11_1(answer):
    """**Exercise 11.1 · ●●○○○ · 7 min · in class** - attention pooling for a batch

    Write `my_pooling(H, mask, W, b, u)`: `H` (B, T, D) the words' vectors, `mask` (B, T) bool, True on real words, `W`
    (D, D), `b` (D,), `u` (D,) the learnt query. The score of a word is u · tanh(W h + b). Return one vector per
    sentence, (B, D); a sentence of pads only gives 0, and a pad has no influence, whatever stands there. No loop.

    Hint 1: `torch.tanh(H @ W.T + b) @ u` are the scores (B, T). What must the pads' scores be before the softmax?
    Hint 2: fill in torch.finfo(H.dtype).min, softmax over the last dimension, set the pads' weights to 0, then
    (weights.unsqueeze(1) @ H).squeeze(1).
    Solution: see the notebook
    """
    rng = fresh()
    inputs = []
    for lengths, T, D, size, dtype in (
        ((3, 5, 1), 5, 4, 1.0, torch.float32), ((2, 2), 4, 3, 2.0, torch.float64), ((3,), 3, 2, 1.5, torch.float32),
        ((4, 0, 2), 4, 4, 1.0, torch.float64),
    ):  # fmt: skip
        H, W = size * torch.randn(len(lengths), T, D, generator=rng, dtype=dtype), torch.randn(D, D, generator=rng)
        b, u = torch.randn(2, D, generator=rng)
        inputs.append((H, lengths_mask(lengths, T), W.to(dtype), b.to(dtype), 2 * u.to(dtype)))
    inputs[0][1][0] = torch.tensor([False, True, False, True, True])            # pads in front, too
    H = torch.tensor([[[3.0, 0.0], [0.0, 3.0]], [[-3.0, 0.0], [-3.0, -0.1]]])
    far = torch.tensor([[1.0, 0.0], [0.0, 0.1]]), torch.tensor([0.1, 0.2]), torch.tensor([200.0, 1.0])
    inputs.append((H, torch.ones(2, 2, dtype=torch.bool), *far))                # sentences whose scores are far apart
    judge(answer, inputs, pooled, MISTAKES_1, forbid=("a loop",))


# --- 11.2 the largest weight ------------------------------------------------------------------------------------------

_E = math.e
MISTAKES_2 = [
    (1.0, "a weight of 1 needs a score far ahead of all others; here no score is more than 2 above another."),
    (0.1, "this is the weight if all scores are equal; the word in question may have 1 and the others -1."),
    (_E / (_E + 9), "this leaves the others at 0, one below; they can go down to -1, two below."),
    (_E**2 / (_E**2 + 10), "there are ten words in all, so nine others and not ten."),
    (_E**2, "this is how much larger it is than another weight; asked for is the weight itself."),
    (_E / 10, "the softmax divides by the sum of all ten exponentials, not by their number."),
    (2 / 11, "these are shares of the scores; a softmax shares out their exponentials."),
    (_E ** (-1) / (_E ** (-1) + 9 * _E), "this is the smallest weight that a word can get."),
    (1 / 9, "the nine others do not vanish, and the word counts itself: the softmax is over ten."),
    (_E**2 / 9, "the sum in the denominator holds the word itself as well."),
]  # fmt: skip


@exercise("11.2", "e² : 9. In a document of 100 words it would be 0.07: a bounded score cannot single out a word.",
          function=False)  # fmt: skip
def check_11_2(answer):
    """**Exercise 11.2 · ●●○○○ · 3 min · in class** - the largest possible weight

    `my_largest`: a much-used program sends the *score* through a tanh as well, so every score lies between -1 and 1. A
    sentence has ten words. What is the largest weight that the softmax can give to one of them? (Two digits will do.)

    Hint 1: the best case for the word: its own score is 1, and the nine others have -1.
    Hint 2: a softmax is e to the score, divided by the sum over all ten.
    Solution: math.e / (math.e + 9 / math.e)
    """
    if isinstance(answer, float) and abs(answer - _E / (_E + 9 / _E)) < 0.006:
        return
    judge_value(answer, _E / (_E + 9 / _E), MISTAKES_2)


# --- 11.3 the same again, one level up --------------------------------------------------------------------------------


def document(H: Tensor, mask: Tensor, pool_words, pool_sentences) -> Tensor:
    found = []
    for sentences, real in zip(H, mask, strict=True):
        there = [s for s in range(len(sentences)) if real[s].any()]
        if not there:
            found.append(torch.zeros_like(H[0, 0, 0]))
            continue
        vectors = torch.cat([pool_words(sentences[s : s + 1, real[s]], real[s : s + 1, real[s]]) for s in there])
        found.append(pool_sentences(vectors.unsqueeze(0), torch.ones(1, len(there), dtype=torch.bool))[0])
    return torch.stack(found)


def _by_words(H, mask, pool):
    return pool(H.flatten(0, 1), mask.flatten(0, 1)).view(*H.shape[:2], -1)     # (B, S, D)


def all_words_at_once(H, mask, pool_words, pool_sentences):
    """All words of the document are pooled at once: pool the words of each sentence first, then
    what comes out."""
    return pool_words(H.flatten(1, 2), mask.flatten(1, 2))


def pads_are_sentences(H, mask, pool_words, pool_sentences):
    """Rows of pads count as sentences: the second mask is True where a sentence has at least one real word."""
    return pool_sentences(_by_words(H, mask, pool_words), torch.ones_like(mask[..., 0]))


def complete_sentences_only(H, mask, pool_words, pool_sentences):
    """Only sentences without any pad count: a sentence is real if *any* of its words is, .any(-1)."""
    return pool_sentences(_by_words(H, mask, pool_words), mask.all(-1))


def first_words_mask(H, mask, pool_words, pool_sentences):
    """The mask of the sentences is that of their first word; a pad may stand in front: .any(-1)."""
    return pool_sentences(_by_words(H, mask, pool_words), mask[..., 0])


def any_over_sentences(H, mask, pool_words, pool_sentences):
    """`any` ran over the sentences, dimension 1; it must run over the words of each, the last one."""
    return pool_sentences(_by_words(H, mask, pool_words), mask.any(1))


def words_not_masked(H, mask, pool_words, pool_sentences):
    """The pads in the sentences are pooled as if they were words: pass the words' mask on."""
    return pool_sentences(_by_words(H, torch.ones_like(mask), pool_words), mask.any(-1))


def nothing_masked(H, mask, pool_words, pool_sentences):
    """Neither level is masked."""
    return pool_sentences(_by_words(H, torch.ones_like(mask), pool_words), torch.ones_like(mask[..., 0]))


def poolings_swapped(H, mask, pool_words, pool_sentences):
    """The two poolings have changed places: pool_words pools the words of a sentence, pool_sentences what comes out."""
    return document(H, mask, pool_sentences, pool_words)


def one_pooling_twice(H, mask, pool_words, pool_sentences):
    """pool_words is used on both levels; the sentences have a pooling (and a query) of their own."""
    return document(H, mask, pool_words, pool_words)


def the_other_twice(H, mask, pool_words, pool_sentences):
    """pool_sentences is used on both levels; the words have a pooling (and a query) of their own."""
    return document(H, mask, pool_sentences, pool_sentences)


def sentences_torn(H, mask, pool_words, pool_sentences):
    """The rows are in the wrong order after pooling: (B, S) must be flattened and unflattened in the same order."""
    return pool_sentences(
        pool_words(H.flatten(0, 1), mask.flatten(0, 1)).view(H.shape[1], H.shape[0], -1).transpose(0, 1), mask.any(-1)
    )


def turned_first(H, mask, pool_words, pool_sentences):
    """Words with the same place in different sentences are pooled: dimension 2 holds the words of a sentence."""
    H, mask = H.transpose(1, 2), mask.transpose(1, 2)
    return pool_sentences(_by_words(H, mask, pool_words), mask.any(-1))


def documents_mixed(H, mask, pool_words, pool_sentences):
    """The sentences of all documents end up in one: keep the batch, (B, S, D)."""
    return pool_sentences(_by_words(H, mask, pool_words).flatten(0, 1)[None], mask.any(-1).flatten()[None]).expand(
        len(H), -1
    )


def sentences_only(H, mask, pool_words, pool_sentences):
    """These are the sentences' vectors (B, S, D); asked for is one vector per document."""
    return _by_words(H, mask, pool_words)


def last_sentence(H, mask, pool_words, pool_sentences):
    """This is the last sentence's vector: the sentences are pooled as the words were."""
    return _by_words(H, mask, pool_words)[:, -1]


def plain_mean(H, mask, pool_words, pool_sentences):
    """The sentences are averaged; they are pooled by pool_sentences."""
    return _by_words(H, mask, pool_words).mean(1)


MISTAKES_3 = [
    all_words_at_once, pads_are_sentences, complete_sentences_only, first_words_mask, any_over_sentences,
    words_not_masked, nothing_masked, poolings_swapped, one_pooling_twice, the_other_twice, sentences_torn,
    turned_first, documents_mixed, sentences_only, last_sentence, plain_mean,
]  # fmt: skip


def _pooling(W, b, u):
    def pool(vectors: Tensor, mask: Tensor) -> Tensor:
        weights = _softmax(torch.tanh(vectors @ W.T + b) @ u, mask)
        return _sum(weights, vectors.masked_fill(~mask.unsqueeze(-1), 0.0))

    return pool


@exercise("11.3", "the same function twice: words make sentences, sentences make the document.")
def check_11_3(answer):
    """**Exercise 11.3 · ●●●○○ · 10 min · at home** - the same again, one level up

    Write `my_document(H, mask, pool_words, pool_sentences)`: `H` (B, S, T, D) holds the words' vectors of B documents
    of S sentences of T words, `mask` (B, S, T) bool, True on real words (pads may stand anywhere; a sentence of
    pads only does not exist). Both poolings are called as pool(vectors (N, K, D), mask (N, K)) and return (N, D).
    Return one vector per document, (B, D).

    Hint 1: make (B · S, T, D) of the documents, so that every sentence is one row, and pool the words.
    Hint 2: .view(B, S, D) turns the result back; a sentence exists where mask.any(-1).
    Solution: see the notebook
    """
    rng = fresh()
    inputs = []
    for B, S, T, D in ((2, 3, 4, 3), (3, 3, 3, 4), (1, 2, 5, 2), (2, 4, 2, 4)):
        mask = torch.rand(B, S, T, generator=rng) < 0.6
        mask[0, 0], mask[0, 1, 0], mask[0, 1, 1] = True, False, True            # full; a pad in front
        mask[-1, -1] = False                                                    # one that does not exist
        mask[-1, 0, -1] = True
        parts = torch.randn(2, D + 2, D, generator=rng)
        pools = [_pooling(p[:D], p[D], 2 * p[D + 1]) for p in parts]
        inputs.append((torch.randn(B, S, T, D, generator=rng), mask, *pools))
    judge(answer, inputs, document, MISTAKES_3)


# --- 11.4 is it the evidence? -----------------------------------------------------------------------------------------


def effects(score, sentences: list) -> list:
    before = float(score(list(sentences)))
    return [before - float(score([s for j, s in enumerate(sentences) if j != k])) for k in range(len(sentences))]


def the_other_sign(score, sentences):
    """The sign is turned round: a sentence that the class depends on should have a positive effect, before - after."""
    return [-e for e in effects(score, sentences)]


def what_is_left(score, sentences):
    """These are the scores without each sentence; the effect is how far each lies below the score of the whole."""
    return [float(score([*sentences[:k], *sentences[k + 1 :]])) for k in range(len(sentences))]


def each_alone(score, sentences):
    """This scores every sentence alone; leave one out, and keep all others."""
    return [float(score([sentence])) for sentence in sentences]


def before_minus_alone(score, sentences):
    """This compares the whole with each sentence alone; leave one out, and keep all others."""
    return [float(score(list(sentences))) - float(score([sentence])) for sentence in sentences]


def by_content(score, sentences):
    """A sentence that occurs twice is taken out twice: leave out by place, not by what it says."""
    before = float(score(list(sentences)))
    return [before - float(score([s for s in sentences if s != one])) for one in sentences]


def all_before(score, sentences):
    """Everything behind the sentence is left out as well: keep what stands before and behind it."""
    before = float(score(list(sentences)))
    return [before - float(score(list(sentences[:k]))) for k in range(len(sentences))]


def all_behind(score, sentences):
    """Everything before the sentence is left out as well: keep what stands before and behind it."""
    before = float(score(list(sentences)))
    return [before - float(score(list(sentences[k + 1 :]))) for k in range(len(sentences))]


def one_too_far(score, sentences):
    """It leaves out the sentence after the one it should: the places are off by one."""
    found = effects(score, sentences)
    return [*found[1:], found[0]]


def one_after_another(score, sentences):
    """The sentences are taken out one after another and not put back: each is left out of the whole document."""
    found, left = [], list(sentences)
    while left:
        before = float(score(list(left)))
        left = left[1:]
        found.append(before - float(score(list(left))) if left else before)
    return found


def relative(score, sentences):
    """The effects are divided by the score of the whole; asked for is the difference."""
    before = float(score(list(sentences)))
    return [e / before for e in effects(score, sentences)]


def normalised(score, sentences):
    """The effects are divided by their sum; asked for are the differences as they are."""
    found = effects(score, sentences)
    return [e / sum(found) for e in found]


def never_negative(score, sentences):
    """Negative effects are cut off at 0; a sentence that speaks against the class has a negative one."""
    return [max(0.0, e) for e in effects(score, sentences)]


def absolute(score, sentences):
    """The signs are lost: a sentence that speaks against the class has a negative effect."""
    return [abs(e) for e in effects(score, sentences)]


def emptied(score, sentences):
    """The sentence is emptied but stays in its place; take it out of the list."""
    before = float(score(list(sentences)))
    rest = ([*sentences[:k], (), *sentences[k + 1 :]] for k in range(len(sentences)))
    return [before - float(score(some)) for some in rest]


def the_largest(score, sentences):
    """This is only the place of the largest effect; asked for is the effect of every sentence."""
    found = effects(score, sentences)
    return found.index(max(found))


MISTAKES_4 = [
    the_other_sign, what_is_left, each_alone, before_minus_alone, by_content, all_before, all_behind, one_too_far,
    one_after_another, relative, normalised, never_negative, absolute, emptied, the_largest,
]  # fmt: skip


class _Score:
    """A "model" for the check: what a sentence is worth depends on its words, its place and how many there are."""

    def __init__(self, worth: dict[str, float]) -> None:
        self.worth = worth

    def __call__(self, sentences: list) -> float:
        found = sum(self.worth.get(word, 0.0) * (1 + 0.1 * k) for k, s in enumerate(sentences) for word in s)
        return 0.5 + found / (1 + 0.2 * len(sentences))


@exercise("11.4", "what happens without it: the question that no map of weights answers.")
def check_11_4(answer):
    """**Exercise 11.4 · ●●●○○ · 8 min · at home** - what if the sentence were not there?

    Write `my_effects(score, sentences)`: `sentences` is a list of sentences (tuples of words), and `score(sentences)` a
    model's probability of one class for such a list. Return a list with one number per sentence: how much the
    probability falls when this sentence is left out (negative where it rises).

    Hint 1: the document without sentence k is sentences[:k] + sentences[k + 1:].
    Hint 2: score the whole once, then each document that lacks one sentence; before minus after.
    Solution: see the notebook
    """
    some = [("the", "queen", "eats"), ("a", "cow"), ("he", "reads", "the", "letter"), ("a", "cow"), ("we", "sing")]
    worth = {"queen": 0.3, "cow": -0.12, "letter": 0.2, "sing": 0.05, "we": 0.01, "eats": 0.07}
    inputs = [(_Score(worth), some), (_Score({**worth, "he": -0.4}), some[:3]), (_Score(worth), some[1:]),
              (_Score(worth), [*some[::-1], ("queen",)])]  # fmt: skip
    judge(answer, inputs, effects, MISTAKES_4)


# --- 11.5 repair: where does each label look? -------------------------------------------------------------------------


def label_logits(H: Tensor, mask: Tensor, U: Tensor, beta: Tensor, b: Tensor) -> Tensor:
    rows = []
    for h, real in zip(H, mask, strict=True):
        h = h[real]
        rows.append(torch.stack([beta[k] @ ((h @ U[k]).softmax(0) @ h) + b[k] for k in range(len(U))]))
    return torch.stack(rows)


def _look(H, mask, U):
    scores = U @ H.transpose(1, 2)                                              # (B, L, N)
    return scores.masked_fill(~mask.unsqueeze(1), torch.finfo(H.dtype).min)


def labels_compete(H, mask, U, beta, b):
    """The softmax runs over the labels (dim=1), so the labels compete for every word; each label has a softmax of its
    own over the words: dim=-1."""
    return ((_look(H, mask, U).softmax(1) @ H) * beta).sum(-1) + b


def documents_compete(H, mask, U, beta, b):
    """The softmax runs over the documents of the batch now: it must run over the words, the last dimension."""
    return ((_look(H, mask, U).softmax(0) @ H) * beta).sum(-1) + b


def labels_and_words_compete(H, mask, U, beta, b):
    """All labels share one softmax: each needs its own, over the words."""
    scores = _look(H, mask, U)
    return ((scores.flatten(1).softmax(-1).view_as(scores) @ H) * beta).sum(-1) + b


def mask_lost(H, mask, U, beta, b):
    """The mask got lost in the repair: pads take part."""
    return (((U @ H.transpose(1, 2)).softmax(-1) @ H) * beta).sum(-1) + b


def scale_added(H, mask, U, beta, b):
    """The scores are divided by the root of the width; this attention has no scale."""
    return (((U @ H.transpose(1, 2) / H.shape[-1] ** 0.5).masked_fill(~mask.unsqueeze(1), -1e30).softmax(-1) @ H)
            * beta).sum(-1) + b  # fmt: skip


def bias_lost(H, mask, U, beta, b):
    """The bias got lost in the repair."""
    return ((_look(H, mask, U).softmax(-1) @ H) * beta).sum(-1)


def every_beta(H, mask, U, beta, b):
    """What a label found is judged by all weight vectors and added up; label l has beta[l] alone."""
    return (_look(H, mask, U).softmax(-1) @ H @ beta.T).sum(-1) + b


def first_beta(H, mask, U, beta, b):
    """What every label found is judged by the first label's weights; label l has beta[l]."""
    return _look(H, mask, U).softmax(-1) @ H @ beta[0] + b


def one_mean_for_all(H, mask, U, beta, b):
    """All labels judge the mean of what they found; label l judges its own find."""
    return (_look(H, mask, U).softmax(-1) @ H).mean(1) @ beta.T + b


def probabilities(H, mask, U, beta, b):
    """These are probabilities; asked for are the logits, before the sigmoid."""
    return torch.sigmoid(((_look(H, mask, U).softmax(-1) @ H) * beta).sum(-1) + b)


def beta_looks(H, mask, U, beta, b):
    """beta looks and U judges: U holds the queries, beta the judges."""
    return ((_look(H, mask, beta).softmax(-1) @ H) * U).sum(-1) + b


def sigmoids_look(H, mask, U, beta, b):
    """A sigmoid gives every word a weight of its own, and they do not sum to 1: it must be a softmax over the words."""
    return (((_look(H, mask, U).sigmoid() * mask.unsqueeze(1)) @ H) * beta).sum(-1) + b


def keys_with_tanh(H, mask, U, beta, b):
    """The keys go through a tanh; this attention compares U with H as it is."""
    return ((_look(torch.tanh(H), mask, U).softmax(-1) @ H) * beta).sum(-1) + b


MISTAKES_5 = [
    labels_compete, documents_compete, labels_and_words_compete, mask_lost, scale_added, bias_lost, every_beta,
    first_beta, one_mean_for_all, probabilities, beta_looks, sigmoids_look, keys_with_tanh,
]  # fmt: skip


@exercise("11.5", "every label shares out one whole unit among the words, whatever the other labels do.")
def check_11_5(answer):
    """**Exercise 11.5 · ●●●○○ · 8 min · at home** - repair the label-wise attention

    `my_labels(H, mask, U, beta, b)` runs and has the right shape, but a label that shares its evidence with another one
    is never found. `H` (B, N, D), `mask` (B, N) bool, every document has a real word; `U`, `beta` (L, D), `b` (L,).
    Label l attends with query U[l] over the words, without a scale, and judges what it found: beta[l] · v_l + b[l].
    Return the logits (B, L). Repair it:

        def my_labels(H, mask, U, beta, b):
            scores = U @ H.transpose(1, 2)
            scores = scores.masked_fill(~mask.unsqueeze(1), torch.finfo(H.dtype).min)
            found = scores.softmax(1) @ H
            return (found * beta).sum(-1) + b

    Hint 1: the scores are (B, L, N): documents, labels, words. Who shares out what?
    Hint 2: each row of a label must sum to 1 over the words.
    Solution: the same with .softmax(-1)
    """
    rng = fresh()
    inputs = []
    for lengths, N, D, L in (((4, 2), 4, 3, 3), ((3, 5, 1), 5, 4, 2), ((3,), 3, 3, 3), ((2, 3, 3), 4, 2, 4)):
        H = torch.randn(len(lengths), N, D, generator=rng)
        U, beta = 1.5 * torch.randn(2, L, D, generator=rng)
        inputs.append((H, lengths_mask(lengths, N), U, beta, torch.randn(L, generator=rng)))
    judge(answer, inputs, label_logits, MISTAKES_5, planted=labels_compete)


# --- 11.6 sentence ends without the alphabet --------------------------------------------------------------------------


def ends(texts: list, share: float) -> set:
    last = Counter(text[-1] for text in texts if text)
    return {token for token, n in last.items() if n >= share * sum(last.values())}


def second_most_frequent(texts, share):
    """This is the second most frequent token. That rule was made for Chinese with its letters replaced; in English it
    is often "the". Count only what stands at the end of a text."""
    counts = Counter(token for text in texts for token in text)
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    return set(ranked[1:2])


def frequent_anywhere(texts, share):
    """This counts tokens anywhere in the texts; only the last one of each text tells where sentences end."""
    counts = Counter(token for text in texts for token in text)
    return {token for token, n in counts.items() if n >= share * counts.total()}


def first_tokens(texts, share):
    """These are the tokens that *begin* texts: text[-1] is the last one."""
    first = Counter(text[0] for text in texts if text)
    return {token for token, n in first.items() if n >= share * first.total()}


def out_of_all_tokens(texts, share):
    """The share is taken of all tokens; it is a share of the texts."""
    last = Counter(text[-1] for text in texts if text)
    return {token for token, n in last.items() if n >= share * sum(map(len, texts))}


def more_than(texts, share):
    """A token that ends exactly this share of the texts counts as well: *at least*, >=."""
    last = Counter(text[-1] for text in texts if text)
    return {token for token, n in last.items() if n > share * last.total()}


def empty_ones_counted(texts, share):
    """Empty texts have no end; the share is one of the texts that are not empty."""
    last = Counter(text[-1] for text in texts if text)
    return {token for token, n in last.items() if n >= share * len(texts)}


def the_most_frequent_only(texts, share):
    """Only the most frequent end is returned; all tokens that reach the share are asked for ("?" and "!" too)."""
    return {Counter(text[-1] for text in texts if text).most_common(1)[0][0]}


def every_last_token(texts, share):
    """Every token that ever ends a text is returned; it must end at least `share` of them."""
    return {text[-1] for text in texts if text}


def hardly_ever_inside(texts, share):
    """The share is that of the token's own occurrences; it is a share of the texts."""
    last, all_of = Counter(text[-1] for text in texts if text), Counter(token for text in texts for token in text)
    return {token for token in last if last[token] >= share * all_of[token]}


def by_position(texts, share):
    """The tokens are compared by how late they stand on average; count how many texts each of them ends."""
    places: dict = {}
    for text in texts:
        for k, token in enumerate(text):
            places.setdefault(token, []).append((k + 1) / len(text))
    return {token for token, some in places.items() if sum(some) / len(some) >= 1 - share}


def known_marks(texts, share):
    """This looks for ".", "?" and "!"; nobody knows the alphabet, the marks may be any tokens."""
    return {".", "?", "!"} & {text[-1] for text in texts if text}


def stops_at_empty(texts, share):
    """An empty text has no last token: leave it out."""
    last = Counter(text[-1] for text in texts)
    return {token for token, n in last.items() if n >= share * last.total()}


MISTAKES_6 = [
    second_most_frequent, frequent_anywhere, first_tokens, out_of_all_tokens, more_than, empty_ones_counted,
    the_most_frequent_only, every_last_token, hardly_ever_inside, by_position, known_marks, stops_at_empty,
]  # fmt: skip


@exercise("11.6", "what texts end with ends sentences, in any alphabet.")
def check_11_6(answer):
    """**Exercise 11.6 · ●●○○○ · 6 min · at home** - sentence ends without the alphabet

    Write `my_ends(texts, share)`: `texts` is a list of texts, each a list of tokens (any tokens: nobody knows the
    alphabet; a text may be empty, and then it has no end). Return the set of tokens that end at least the share `share`
    of the texts that are not empty.

    Hint 1: count text[-1] over all texts that are not empty; collections.Counter does it.
    Hint 2: compare each count with share * (how many ends there are).
    Solution: see the notebook
    """
    rng = fresh()

    def drawn(n: int, words: str, marks: str, chances: list[float]) -> list[list[str]]:
        found = []
        for k in range(n):
            some = [words[int(i)] for i in torch.randint(len(words), (2 + k % 4,), generator=rng)]
            found.append([*some, marks[int(torch.multinomial(torch.tensor(chances), 1, generator=rng))]])
        return found

    inputs = [
        (drawn(40, "aabcdef,,", ".?!", [0.7, 0.2, 0.1]), 0.05),
        ([*drawn(18, "口日月山", "丶丨", [0.7, 0.3]), [], ["口"], []], 0.1),
        ([["x", "y"], ["y", "x"], ["x", "z", "y"], ["z"], [], ["z", "z", "q"]], 0.4),
        ([["a", "b", "."], ["a", "a", "."], ["b", ".", "?"], ["a", "?", "a", "a", "a", "."]], 0.25),
    ]
    judge(answer, inputs, ends, MISTAKES_6)


# --- what proves the checks -------------------------------------------------------------------------------------------


def _matrices(H, mask, W, b, u):
    return _sum(_softmax(_scores_1(H, W, b, u), mask), H)


def _two_levels(H, mask, pool_words, pool_sentences):
    B, S, T, D = H.shape
    sentences = pool_words(H.reshape(B * S, T, D), mask.reshape(B * S, T)).view(B, S, D)
    return pool_sentences(sentences, mask.any(-1))


def _without(score, sentences):
    before = score(sentences)
    return [before - score(sentences[:k] + sentences[k + 1 :]) for k in range(len(sentences))]


def _repaired(H, mask, U, beta, b):
    return ((_look(H, mask, U).softmax(-1) @ H) * beta).sum(-1) + b


def _counted(texts, share):
    last = [text[-1] for text in texts if len(text)]
    return {token for token in last if last.count(token) / len(last) >= share}


CHECKS = {
    "11_1": Check(check_11_1, [_matrices], [*gallery(MISTAKES_1), ("loops", pooled, "there is a loop")]),
    "11_2": Check(check_11_2, [_E / (_E + 9 / _E), 0.45, torch.tensor(_E / (_E + 9 / _E))],
                  [(f"{k} {hint[:24]}", value, hint) for k, (value, hint) in enumerate(MISTAKES_2)]),
    "11_3": Check(check_11_3, [document, _two_levels], gallery(MISTAKES_3)),
    "11_4": Check(check_11_4, [effects, _without], gallery(MISTAKES_4)),
    "11_5": Check(check_11_5, [label_logits, _repaired], gallery(MISTAKES_5), stub=labels_compete),
    "11_6": Check(check_11_6, [ends, _counted], gallery(MISTAKES_6)),
}  # fmt: skip
