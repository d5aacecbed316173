"""Exercises of notebook 16, the Transformer. Tasks, hints and solutions stand in the checks' docstrings, mistakes in
the functions above each check; how they become cells: course_utils/exercises/checking.py."""

import math

import torch
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge


def randn(rng, *shape, scale=1.0):
    return scale * torch.randn(*shape, generator=rng)


# --- 16.1 where the norm stands ---------------------------------------------------------------------------------------


def sublayer_of(x, f, norm, kind):
    return x + f(norm(x)) if kind == "pre" else norm(x + f(x))


def norm_on_the_bypass(x, f, norm, kind):
    """With "pre" the stream itself must stay untouched: x + f(norm(x)), not norm(x) + f(norm(x)); a clean bypass from
    the first block to the last is what pre-norm is for."""
    return norm(x) + f(norm(x)) if kind == "pre" else norm(x + f(x))


def kinds_swapped(x, f, norm, kind):
    """The two kinds have changed places: "pre" normalises what f reads, "post" the sum that goes on."""
    return sublayer_of(x, f, norm, "post" if kind == "pre" else "pre")


def without_residual(x, f, norm, kind):
    """What came in is lost: both kinds add f's answer to x, nothing replaces it."""
    return f(norm(x)) if kind == "pre" else norm(f(x))


def norm_of_the_change(x, f, norm, kind):
    """With "post" the norm is taken of the sum, norm(x + f(x)); here it is taken of the change alone and x goes past
    it."""
    return x + f(norm(x)) if kind == "pre" else x + norm(f(x))


def normed_twice(x, f, norm, kind):
    """One norm a sublayer is enough: with "post", f reads x as it is."""
    return x + f(norm(x)) if kind == "pre" else norm(x + f(norm(x)))


MISTAKES_1 = [norm_on_the_bypass, kinds_swapped, without_residual, norm_of_the_change, normed_twice]


def _tanh(x):
    return torch.tanh(2 * x + 1)


def _layer_norm(x):
    return torch.nn.functional.layer_norm(x, x.shape[-1:])


@exercise("16.1", "one branch, two places for its norm; every block is made of these.")
def check_16_1(answer):
    """**Exercise 16.1 · ●○○○○ · 6 min** - a residual branch

    Write `sublayer(x, f, norm, kind)`: the residual connection around a sublayer `f`, with `norm` in front of it
    (`kind` is "pre") or after the sum (`kind` is "post"). `f` and `norm` are functions from (B, T, D) to (B, T, D).

    Hint 1: post-norm is the paper's LayerNorm(x + Sublayer(x)).
    Hint 2: pre-norm normalises only what f reads; x itself goes past.
    Solution: x + f(norm(x)) if kind == "pre" else norm(x + f(x))
    """
    rng = fresh()
    inputs = [(randn(rng, B, T, D) + 0.5, _tanh, _layer_norm, kind)
              for B, T, D in ((2, 3, 4), (1, 5, 6)) for kind in ("pre", "post")]  # fmt: skip
    judge(answer, inputs, sublayer_of, MISTAKES_1)


# --- 16.2 counting parameters -----------------------------------------------------------------------------------------


def parameters_of(d_model: int, d_ff: int) -> int:
    return 4 * d_model**2 + 4 * d_model + 2 * d_model * d_ff + d_ff + d_model + 4 * d_model


def without_biases(d_model, d_ff):
    """The biases are missing: every projection has one number more for each output."""
    return 4 * d_model**2 + 2 * d_model * d_ff + 4 * d_model


def without_norms(d_model, d_ff):
    """The two LayerNorms are missing: each has a gain and a shift for every one of the d_model numbers."""
    return 4 * d_model**2 + 4 * d_model + 2 * d_model * d_ff + d_ff + d_model


def one_norm(d_model, d_ff):
    """Of the norms only half is counted: there are two LayerNorms, one a sublayer, each with a gain and a shift."""
    return parameters_of(d_model, d_ff) - 2 * d_model


def three_projections(d_model, d_ff):
    """W_O is missing: besides queries, keys and values there is the matrix that mixes the heads."""
    return parameters_of(d_model, d_ff) - d_model**2 - d_model


def one_way(d_model, d_ff):
    """The feed-forward network is counted one way only: it goes up to d_ff and down again to d_model."""
    return parameters_of(d_model, d_ff) - d_model * d_ff - d_model


def decoder_block(d_model, d_ff):
    """This is a decoder block: an encoder block has no cross-attention."""
    return parameters_of(d_model, d_ff) + 4 * d_model**2 + 6 * d_model


def always_four_times(d_model, d_ff):
    """This holds for d_ff = 4 d_model only; the function is given d_ff."""
    return parameters_of(d_model, 4 * d_model)


MISTAKES_2 = [without_biases, without_norms, one_norm, three_projections, one_way, decoder_block, always_four_times]


@exercise("16.2", "about 12 d² with d_ff = 4 d, and the number of heads does not come into it.")
def check_16_2(answer):
    """**Exercise 16.2 · ●●○○○ · 8 min** - how large is an encoder block?

    Write `block_parameters(d_model, d_ff)`: the number of trained numbers of one encoder block, biases and LayerNorms
    included. Multi-head attention has four projections of d_model × d_model.

    Hint 1: a matrix from m to n numbers with its bias has m·n + n.
    Hint 2: 4 (d² + d) for attention, d·d_ff + d_ff + d_ff·d + d for the feed-forward network, 2 · 2d for the norms.
    Solution: 4 * (d_model**2 + d_model) + 2 * d_model * d_ff + d_ff + d_model + 4 * d_model
    """
    judge(answer, [(128, 256), (64, 256), (10, 7), (512, 2048)], parameters_of, MISTAKES_2)


# --- 16.3 repair: a decoder block -------------------------------------------------------------------------------------


def block_of(y, memory, look_back, cross, feed):
    y = y + look_back(y, y, y)
    y = y + cross(y, memory, memory)
    return y + feed(y)


def nothing_from_the_encoder(y, memory, look_back, cross, feed):
    """Keys and values come from the decoder itself, so it translates a sentence that it never sees: it would become a
    language model. Who is asked, and what do they answer with?"""
    y = y + look_back(y, y, y)
    y = y + cross(y, y, y)
    return y + feed(y)


def encoder_asks(y, memory, look_back, cross, feed):
    """Here the encoder asks and the decoder answers, so there is a result for every English word where one for every
    French word is needed: the queries come from y."""
    y = y + look_back(y, y, y)
    y = y + cross(memory, y, y)
    return y + feed(y)


def keys_only(y, memory, look_back, cross, feed):
    """Only the keys come from the encoder: it is looked at, and then something else is fetched. The values come from
    where the keys come from."""
    y = y + look_back(y, y, y)
    y = y + cross(y, memory, y)
    return y + feed(y)


def cross_first(y, memory, look_back, cross, feed):
    """The order is changed: a word first looks back at its own sentence, then across, then it is fed forward."""
    y = y + cross(y, memory, memory)
    y = y + look_back(y, y, y)
    return y + feed(y)


def old_queries(y, memory, look_back, cross, feed):
    """The cross-attention is asked with what came into the block: it must be asked with what looking back has made of
    it."""
    seen = y + look_back(y, y, y)
    seen = seen + cross(y, memory, memory)
    return seen + feed(seen)


def one_residual_lost(y, memory, look_back, cross, feed):
    """A residual is missing: what cross-attention fetches is added to y, it does not replace it."""
    y = y + look_back(y, y, y)
    y = cross(y, memory, memory)
    return y + feed(y)


MISTAKES_3 = [nothing_from_the_encoder, encoder_asks, keys_only, cross_first, old_queries, one_residual_lost]


def _attend(query, key, value, causal):
    scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
    return scores.softmax(-1) @ value


def _feed(y):
    return _tanh(y)


def _look_back(q, k, v):
    return _attend(1.5 * q, k, v, True)


def _cross(q, k, v):
    return _attend(q, 2 * k, 0.7 * v, False)


@exercise("16.3", "queries from the decoder, keys and values from the encoder.")
def check_16_3(answer):
    """**Exercise 16.3 · ●●○○○ · 8 min** - repair a decoder block

    Its loss falls, and it writes fluent French that has nothing to do with the English. `decoder_block(y, memory,
    look_back, cross, feed)`: `y` (B, T, D) are the French
    words, `memory` (B, S, D) the encoder's words; `look_back(q, k, v)`, `cross(q, k, v)` and `feed(y)` are the three
    sublayers (norms left out). Find the mistake and return (B, T, D).

    Hint 1: which of the two languages does this block never look at?
    Hint 2: in cross-attention the decoder asks; the encoder is looked at and answers.
    Solution: y = y + look_back(y, y, y); y = y + cross(y, memory, memory); return y + feed(y)
    """
    rng = fresh()
    inputs = [(randn(rng, B, T, D), randn(rng, B, S, D), _look_back, _cross, _feed)
              for B, T, S, D in ((2, 3, 5, 4), (1, 4, 4, 6), (2, 5, 2, 4))]  # fmt: skip
    judge(answer, inputs, block_of, MISTAKES_3, planted=nothing_from_the_encoder)


# --- 16.4 a causal mask with words in the cache -----------------------------------------------------------------------


def mask_of(n_cached: int, n_new: int) -> Tensor:
    keys = torch.arange(n_cached + n_new)
    return keys <= keys[n_cached:].unsqueeze(1)


def aligned_at_the_top_left(n_cached, n_new):
    """The triangle begins at the first key, as if the new words stood at place 0: the words in the cache are older, all
    of them may be seen. (torch's `is_causal=True` does exactly this.)"""
    return torch.ones(n_new, n_cached + n_new, dtype=torch.bool).tril()


def not_itself(n_cached, n_new):
    """A word may look at itself: it was read before the next one is written."""
    return torch.ones(n_new, n_cached + n_new, dtype=torch.bool).tril(n_cached - 1)


def turned_round(n_cached, n_new):
    """True and False have changed places: in this course True means may look."""
    return ~mask_of(n_cached, n_new)


def everything(n_cached, n_new):
    """Every word sees all of them here: among the new words the later ones must stay hidden."""
    return torch.ones(n_new, n_cached + n_new, dtype=torch.bool)


def new_words_only(n_cached, n_new):
    """The columns of the cached words are missing: a new word looks at those before it, too, so there are n_cached +
    n_new columns."""
    return torch.ones(n_new, n_new, dtype=torch.bool).tril()


def forgets_the_cache(n_cached, n_new):
    """The cached words are hidden here: what is already written may be seen by all new words."""
    return torch.cat([torch.zeros(n_new, n_cached), torch.ones(n_new, n_new).tril()], 1).bool()


def one_too_many(n_cached, n_new):
    """The triangle reaches one word too far: every new word sees its successor."""
    return torch.ones(n_new, n_cached + n_new, dtype=torch.bool).tril(n_cached + 1)


MISTAKES_4 = [aligned_at_the_top_left, not_itself, turned_round, everything, new_words_only, forgets_the_cache,
              one_too_many]  # fmt: skip


@exercise("16.4", "the triangle is aligned at the lower right: the last word sees everything.")
def check_16_4(answer):
    """**Exercise 16.4 · ●●○○○ · 8 min** - a causal mask beside a cache

    Write `causal_mask(n_cached, n_new)`: `n_cached` words were read before, `n_new` are read now, together. Return
    (n_new, n_cached + n_new) bool, True = may look: each new word at all cached ones, at the new ones before it, and at
    itself.

    Hint 1: new word i stands at place n_cached + i, and may look at every key whose place is not later.
    Hint 2: `torch.ones(...).tril(diagonal)` can move its diagonal.
    Solution: torch.ones(n_new, n_cached + n_new, dtype=torch.bool).tril(n_cached)
    """
    judge(answer, [(3, 2), (0, 4), (5, 1), (1, 3), (2, 5)], mask_of, MISTAKES_4)


# --- 16.5 one step with a cache ---------------------------------------------------------------------------------------


def step_of(x, cache, W_q, W_k, W_v):
    q, k, v = (x @ W.T for W in (W_q, W_k, W_v))
    keys, values = k.unsqueeze(1), v.unsqueeze(1)
    if cache is not None:
        keys, values = torch.cat([cache[0], keys], 1), torch.cat([cache[1], values], 1)
    weights = (torch.einsum("bd,btd->bt", q, keys) / math.sqrt(q.shape[-1])).softmax(-1)
    return torch.einsum("bt,btd->bd", weights, values), keys, values


def does_not_see_itself(x, cache, W_q, W_k, W_v):
    """The new word looks at the cache as it was before: its own key and value must be added first, it may look at
    itself."""
    found, keys, values = step_of(x, cache, W_q, W_k, W_v)
    if cache is None:
        return torch.zeros_like(found), keys, values
    weights = (torch.einsum("bd,btd->bt", x @ W_q.T, cache[0]) / math.sqrt(found.shape[-1])).softmax(-1)
    return torch.einsum("bt,btd->bd", weights, cache[1]), keys, values


def forgets(x, cache, W_q, W_k, W_v):
    """The old keys and values are gone: the new word sees itself alone. Append to the cache instead of replacing it."""
    return step_of(x, None, W_q, W_k, W_v)


def cache_not_grown(x, cache, W_q, W_k, W_v):
    """The context is right, the cache that is returned lacks the new word: the next step will not see it."""
    found, keys, values = step_of(x, cache, W_q, W_k, W_v)
    return (found, keys, values) if cache is None else (found, *cache)


def put_in_front(x, cache, W_q, W_k, W_v):
    """The new word stands in front of the old ones: a softmax does not mind, but the next reader of the cache does (a
    mask, positions). Append it at the end."""
    found, keys, values = step_of(x, cache, W_q, W_k, W_v)
    return found, keys.roll(1, 1), values.roll(1, 1)


def without_scale(x, cache, W_q, W_k, W_v):
    """The division by √d is missing."""
    return step_of(x, cache, W_q * math.sqrt(W_q.shape[0]), W_k, W_v)


def keys_as_values(x, cache, W_q, W_k, W_v):
    """Values are keys here: W_v is never used, and the sum runs over the keys."""
    return step_of(x, None if cache is None else (cache[0], cache[0]), W_q, W_k, W_k)


def transposed_weights(x, cache, W_q, W_k, W_v):
    """The matrices are used the wrong way round: a row for each number that comes out, so W x is `x @ W.T`."""
    return step_of(x, cache, W_q.T, W_k.T, W_v.T)


MISTAKES_5 = [does_not_see_itself, forgets, cache_not_grown, put_in_front, without_scale, keys_as_values,
              transposed_weights]  # fmt: skip


@exercise("16.5", "one new query, one new key and value; the rest was there already.")
def check_16_5(answer):
    """**Exercise 16.5 · ●●●○○ · 12 min** - one decoding step with a cache

    Write `step(x, cache, W_q, W_k, W_v)`, one head. `x` (B, D) is the word just read, `cache` is None before the first
    word, else a pair (keys, values), each (B, t, D), of the words before it; the matrices are (D, D), a row for each
    output. Return three things: the context (B, D), and the keys and values with the new word at their end
    (B, t + 1, D). The word may look at itself.

    Hint 1: project x three times; `k.unsqueeze(1)` is (B, 1, D) and fits at the end of the cached keys.
    Hint 2: scores are (q.unsqueeze(1) * keys).sum(-1) / √D, (B, t + 1); the context is their softmax times the values.
    Solution: see the notebook: three projections, two `torch.cat`, one softmax.
    """
    rng = fresh()
    inputs = []
    for B, t, D in ((2, 3, 4), (1, 0, 6), (3, 5, 4)):
        cache = (randn(rng, B, t, D), randn(rng, B, t, D)) if t else None
        inputs.append((randn(rng, B, D), cache, *(randn(rng, D, D) for _ in range(3))))
    judge(answer, inputs, step_of, MISTAKES_5)


# --- 16.6 what a cache saves ------------------------------------------------------------------------------------------


def work_of(T: int, cached: bool) -> tuple[int, int]:
    steps = range(1, T + 1)
    return (T, sum(steps)) if cached else (sum(steps), sum(t * t for t in steps))


def whole_square(T, cached):
    """With a cache no query asks twice: in step t one query meets t keys, so there are 1 + 2 + ... + T scores, not
    T²."""
    return (T, T * T) if cached else work_of(T, False)


def square_of_words(T, cached):
    """Without a cache step t reads a prefix of t words, not of T: 1 + 2 + ... + T words in all."""
    return work_of(T, True) if cached else (T * T, T**3)


def swapped(T, cached):
    """Words and scores have changed places: first the words read, then the scores."""
    return work_of(T, cached)[::-1]


def cache_the_other_way(T, cached):
    """With and without a cache have changed places."""
    return work_of(T, not cached)


def last_query_only(T, cached):
    """Without a cache every word of the prefix asks again, not only the last: the layers above need them all. Step t
    computes t queries against t keys."""
    return work_of(T, True) if cached else (T * (T + 1) // 2, T * (T + 1) // 2)


def counted_from_zero(T, cached):
    """One step is missing: the first step reads one word (BEGIN), the last reads T."""
    return work_of(T - 1, cached)


def once_over(T, cached):
    """That is one pass over the finished sentence, as in training: without a cache a decoder makes such a pass in every
    step, over a prefix one word longer each time."""
    return work_of(T, True) if cached else (T, T * T)


MISTAKES_6 = [whole_square, square_of_words, swapped, cache_the_other_way, last_query_only, counted_from_zero,
              once_over]  # fmt: skip


@exercise("16.6", "words grow as T instead of T²/2, scores as T²/2 instead of T³/3.")
def check_16_6(answer):
    """**Exercise 16.6 · ●●●○○ · 10 min** - what a cache saves

    A decoder writes T words, one a step. Write `decoding_work(T, cached)`, which returns (words, scores) of one layer
    and one head over all T steps: how many word vectors go through the projections, and how many products of a query
    with a key the self-attention computes. Without a cache step t runs over the whole prefix of t words, and computes
    the full square of t × t scores (the mask only hides half of them).

    Hint 1: write down steps 1, 2 and 3 for both, then add up.
    Hint 2: with a cache step t projects 1 word and computes t scores; without, t words and t · t scores.
    Solution: sums over t in range(1, T + 1)
    """
    judge(answer, [(T, cached) for T in (1, 4, 10, 37) for cached in (True, False)], work_of, MISTAKES_6)


def _sublayer(x, f, norm, kind):
    return x + f(norm(x)) if kind == "pre" else norm(x + f(x))


def _block_parameters(d_model, d_ff):
    return 4 * (d_model**2 + d_model) + 2 * d_model * d_ff + d_ff + d_model + 4 * d_model


def _mask(n_cached, n_new):
    return torch.ones(n_new, n_cached + n_new, dtype=torch.bool).tril(n_cached)


def _step(x, cache, W_q, W_k, W_v):
    q, k, v = x @ W_q.T, (x @ W_k.T).unsqueeze(1), (x @ W_v.T).unsqueeze(1)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 1), torch.cat([cache[1], v], 1)
    weights = ((q.unsqueeze(1) * k).sum(-1) / math.sqrt(x.shape[-1])).softmax(-1)
    return (weights.unsqueeze(-1) * v).sum(1), k, v


def _work(T, cached):
    if cached:
        return T, T * (T + 1) // 2
    return T * (T + 1) // 2, T * (T + 1) * (2 * T + 1) // 6


CHECKS = {
    "16_1": Check(check_16_1, [_sublayer, sublayer_of], gallery(MISTAKES_1)),
    "16_2": Check(check_16_2, [_block_parameters, parameters_of], gallery(MISTAKES_2)),
    "16_3": Check(
        check_16_3, [block_of], gallery(m for m in MISTAKES_3 if m is not nothing_from_the_encoder),
        stub=nothing_from_the_encoder,
    ),
    "16_4": Check(check_16_4, [_mask, mask_of], gallery(MISTAKES_4)),
    "16_5": Check(check_16_5, [_step, step_of], gallery(MISTAKES_5)),
    "16_6": Check(check_16_6, [_work, work_of], gallery(MISTAKES_6)),
}  # fmt: skip
