"""Exercises of notebook 14, multi-head attention. Tasks, hints and solutions stand in the checks' docstrings, mistakes
in the functions above each check; how they become cells: course_utils/exercises/checking.py."""

import math

import torch
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge


def randn(rng, *shape, scale=1.0):
    return scale * torch.randn(*shape, generator=rng)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One head of scaled dot-product attention: (..., T, d), (..., S, d), (..., S, d) -> (..., T, d)."""
    return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1) @ v


# --- 14.1 split -------------------------------------------------------------------------------------------------------


def split_of(x: Tensor, n_heads: int) -> Tensor:
    return torch.stack(x.chunk(n_heads, -1), 1)


def straight_reshape(x, n_heads):
    """The shape is right and the content is not: a straight reshape cuts the sentence, not the vectors, so a head gets
    whole words and no word is in all heads. First view as (B, T, H, d), then change the places of T and H."""
    B, T, D = x.shape
    return x.reshape(B, n_heads, T, D // n_heads)


def every_hth_number(x, n_heads):
    """Head 1 takes every H-th number here: a head's numbers stand next to each other, so view as (B, T, H, d), not as
    (B, T, d, H)."""
    B, T, D = x.shape
    return x.view(B, T, D // n_heads, n_heads).permute(0, 3, 1, 2)


def not_transposed(x, n_heads):
    """This is (B, T, H, d): cut rightly, but the heads must stand before the words, so that each head is a little
    sentence of its own."""
    return x.view(*x.shape[:2], n_heads, -1)


def heads_first(x, n_heads):
    """The heads have come before the batch: the batch stays dimension 0."""
    return split_of(x, n_heads).transpose(0, 1)


def sizes_swapped(x, n_heads):
    """H and d have changed places: these are d heads of width H."""
    B, T, D = x.shape
    return x.view(B, T, D // n_heads, n_heads).transpose(1, 2)


def heads_backwards(x, n_heads):
    """The heads come in reverse: head 1 has the first d numbers of every word."""
    return split_of(x, n_heads).flip(1)


MISTAKES_1 = [straight_reshape, every_hth_number, not_transposed, heads_first, sizes_swapped, heads_backwards]


@exercise("14.1", "every head is now a sentence of its own, with narrow words.")
def check_14_1(answer):
    """**Exercise 14.1 · ●●○○○ · 8 min** - split into heads

    Write `split_heads(x, n_heads)`: `x` (B, T, D) -> (B, H, T, d) with d = D / H. Head h gets numbers h·d ...
    (h+1)·d - 1 of *every* word. No loop is needed.

    Hint 1: `view` may cut the last dimension in two: (B, T, H, d). Which two dimensions must then change places?
    Hint 2: x.view(B, T, n_heads, -1) first, then `transpose`.
    Solution: x.view(*x.shape[:2], n_heads, -1).transpose(1, 2)
    """
    rng = fresh()
    sizes = ((2, 3, 8, 2), (3, 2, 12, 4), (1, 5, 6, 3), (2, 4, 6, 1))
    judge(answer, [(randn(rng, B, T, D), H) for B, T, D, H in sizes], split_of, MISTAKES_1)


# --- 14.2 merge -------------------------------------------------------------------------------------------------------


def merged_of(heads: Tensor) -> Tensor:
    return torch.cat(list(heads.unbind(1)), -1)


def reshaped_back(heads):
    """A straight reshape puts numbers of different words into one vector: bring the heads behind the words first,
    (B, T, H, d), then join the last two dimensions."""
    B, H, T, d = heads.shape
    return heads.reshape(B, T, H * d)


def averaged(heads):
    """The heads are averaged here: then one softmax would have done. They stand side by side, so the width is H·d."""
    return heads.mean(1)


def summed(heads):
    """The heads are summed here: which head said what is lost. They stand side by side, so the width is H·d."""
    return heads.sum(1)


def shuffled_like_cards(heads):
    """The heads are shuffled into each other like cards: number 1 of all heads, then number 2. A head's numbers must
    stay together."""
    B, H, T, d = heads.shape
    return heads.permute(0, 2, 3, 1).reshape(B, T, H * d)


def not_joined(heads):
    """This is (B, T, H, d), the right order: now join the last two dimensions."""
    return heads.transpose(1, 2)


def joined_along_the_words(heads):
    """The heads stand one after the other as more words: they must stand side by side, as wider words."""
    B, H, T, d = heads.shape
    return heads.reshape(B, H * T, d)


MISTAKES_2 = [reshaped_back, averaged, summed, shuffled_like_cards, not_joined, joined_along_the_words]


@exercise("14.2", "side by side again, and nothing has been mixed: that is left to W_O.")
def check_14_2(answer):
    """**Exercise 14.2 · ●●○○○ · 6 min** - merge the heads

    Write `merge_heads(heads)`, which undoes `split_heads`: (B, H, T, d) -> (B, T, H·d).

    Hint 1: the steps of splitting, backwards: first the places, then the shape.
    Hint 2: after a transpose the numbers do not lie in order any more; `flatten` or `reshape` copy, `view` refuses.
    Solution: heads.transpose(1, 2).flatten(2)
    """
    rng = fresh()
    sizes = ((2, 2, 3, 4), (3, 4, 2, 3), (1, 3, 5, 2))
    judge(answer, [(randn(rng, *shape),) for shape in sizes], merged_of, MISTAKES_2)


# --- 14.3 multi-head from one head ------------------------------------------------------------------------------------


def multi_head_of(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    q, k, v = (split_of(torch.einsum("ed,btd->bte", W, a), n_heads) for W, a in ((W_q, x), (W_k, z), (W_v, z)))
    heads = [attend(q[:, h], k[:, h], v[:, h]) for h in range(n_heads)]
    return torch.einsum("ed,btd->bte", W_o, torch.cat(heads, -1))


def _heads(x, z, W_q, W_k, W_v, n_heads, attend):
    q, k, v = (split_of(a @ W.T, n_heads) for a, W in ((x, W_q), (z, W_k), (z, W_v)))
    return [attend(q[:, h], k[:, h], v[:, h]) for h in range(n_heads)]


def one_wide_head(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    """This is one head of full width: cut the projections into n_heads pieces and attend with each piece apart."""
    return attend(x @ W_q.T, z @ W_k.T, z @ W_v.T) @ W_o.T


def without_w_o(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    """W_O is missing: without it no head's find could meet another's."""
    return torch.cat(_heads(x, z, W_q, W_k, W_v, n_heads, attend), -1)


def attends_to_itself(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    """Keys and values come from x here: the queries are x's, keys and values are z's."""
    return multi_head_of(x, x, W_q, W_k, W_v, W_o, n_heads, attend)


def values_from_x(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    """Queries come from z and keys and values from x: it is the other way round."""
    return multi_head_of(z, x, W_q, W_k, W_v, W_o, n_heads, attend)


def cut_before_projecting(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    """The input is cut before it is projected, so a head sees a slice of each word only. Every head reads the whole
    vector: project first, then cut."""
    parts = zip(*(split_of(a, n_heads).unbind(1) for a in (x, z, z)), strict=True)
    d = x.shape[-1] // n_heads
    heads = [
        attend(*(a @ W[h * d : (h + 1) * d, h * d : (h + 1) * d].T for a, W in zip(some, (W_q, W_k, W_v), strict=True)))
        for h, some in enumerate(parts)
    ]
    return torch.cat(heads, -1) @ W_o.T


def columns_for_rows(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    """The matrices stand on the wrong side: for rows, W q is x @ W.T, and head h has *rows* of W_Q, W_K and W_V."""
    return multi_head_of(x, z, W_q.T, W_k.T, W_v.T, W_o.T, n_heads, attend)


def averaged_heads(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    """The heads are averaged and repeated, not put side by side: torch.cat(heads, -1)."""
    heads = torch.stack(_heads(x, z, W_q, W_k, W_v, n_heads, attend)).mean(0)
    return heads.repeat(1, 1, n_heads) @ W_o.T


def first_head_only(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    """All heads take the first d numbers here: head h takes numbers h·d to (h+1)·d - 1."""
    return _heads(x, z, W_q, W_k, W_v, n_heads, attend)[0].repeat(1, 1, n_heads) @ W_o.T


MISTAKES_3 = [
    one_wide_head, without_w_o, attends_to_itself, values_from_x, cut_before_projecting, columns_for_rows,
    averaged_heads, first_head_only,
]  # fmt: skip


@exercise("14.3", "project, split, attend, concatenate, mix: that is all of section 3.2.2.")
def check_14_3(answer):
    """**Exercise 14.3 · ●●●○○ · 12 min** - many heads from one

    Write `multi_head(x, z, W_q, W_k, W_v, W_o, n_heads, attend)`. `attend(q, k, v)` is one head: (B, T, d), (B, S, d),
    (B, S, d) -> (B, T, d), scaling and softmax inside. `x` (B, T, D) asks, `z` (B, S, D) is looked at; the four
    matrices are (D, D), a row for each output, so that W q is `x @ W.T`. Returns (B, T, D). A loop over the heads is
    fine.

    Hint 1: project x and z with the whole matrices, then cut the last dimension: `q.chunk(n_heads, -1)`.
    Hint 2: heads = [attend(*head) for head in zip(q.chunk(H, -1), k.chunk(H, -1), v.chunk(H, -1))]; then concatenate,
    then W_O.
    Solution: torch.cat([attend(*h) for h in zip(...)], -1) @ W_o.T
    """
    rng = fresh()
    inputs = []
    for B, T, S, D, H in ((2, 3, 4, 8, 2), (1, 2, 5, 6, 3), (3, 4, 4, 8, 4), (2, 3, 3, 4, 2)):
        matrices = [randn(rng, D, D) for _ in range(4)]
        inputs.append((randn(rng, B, T, D), randn(rng, B, S, D), *matrices, H, attend))
    judge(answer, inputs, multi_head_of, MISTAKES_3)


# --- 14.4 repair the reshape ------------------------------------------------------------------------------------------


def heads_attend(q: Tensor, k: Tensor, v: Tensor, n_heads: int) -> Tensor:
    return merged_of(torch.stack([attend(*some) for some in zip(*(a.chunk(n_heads, -1) for a in (q, k, v)))], 1))  # noqa: B905


def _straight(x, n_heads):
    return x.reshape(len(x), n_heads, -1, x.shape[-1] // n_heads)


def reshaped_twice(q, k, v, n_heads):
    """Shapes fit everywhere, and yet a head holds a few whole words instead of a slice of every word. Nobody sees it,
    since the last reshape undoes the first."""
    return attend(*(_straight(x, n_heads) for x in (q, k, v))).reshape(q.shape)


def only_the_split_is_mended(q, k, v, n_heads):
    """The heads are cut rightly now, but put together by a straight reshape: numbers of different words end up in one
    vector. Undo the transpose before you join."""
    return attend(*(split_of(x, n_heads) for x in (q, k, v))).reshape(q.shape)


def only_the_merge_is_mended(q, k, v, n_heads):
    """The end is mended, the beginning is not: queries, keys and values are still cut by a straight reshape."""
    return merged_of(attend(*(_straight(x, n_heads) for x in (q, k, v))))


def values_forgotten(q, k, v, n_heads):
    """Queries and keys are cut rightly, the values are not: all three need the transpose."""
    return merged_of(attend(split_of(q, n_heads), split_of(k, n_heads), _straight(v, n_heads)))


def scaled_by_the_model(q, k, v, n_heads):
    """The scores are divided by the root of d_model: a head's dot product adds up d numbers only, so divide by the
    root of d = D / H."""
    return heads_attend(q / math.sqrt(n_heads), k, v, n_heads)


def softmax_over_the_queries(q, k, v, n_heads):
    """The softmax runs over the queries here: it must run over the keys, dim=-1."""
    q, k, v = (split_of(x, n_heads) for x in (q, k, v))
    return merged_of((q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-2) @ v)


def softmax_over_the_heads(q, k, v, n_heads):
    """The softmax runs over the heads here: heads do not compete, the keys of each head do, dim=-1."""
    q, k, v = (split_of(x, n_heads) for x in (q, k, v))
    return merged_of((q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(1) @ v)


MISTAKES_4 = [
    reshaped_twice, only_the_split_is_mended, only_the_merge_is_mended, values_forgotten, scaled_by_the_model,
    softmax_over_the_queries, softmax_over_the_heads,
]  # fmt: skip


@exercise("14.4", "view, then transpose; transpose, then flatten.")
def check_14_4(answer):
    """**Exercise 14.4 · ●●●○○ · 10 min** - repair the heads

    `q`, `k`, `v` are (B, T, D), projected already. This function runs, returns the right shape, and every head's
    weights sum to 1. It is wrong all the same. Repair it:

        def heads_attend(q, k, v, n_heads):
            B, T, D = q.shape
            q, k, v = (x.reshape(B, n_heads, T, D // n_heads) for x in (q, k, v))
            weights = (q @ k.transpose(-2, -1) / (D // n_heads) ** 0.5).softmax(-1)
            return (weights @ v).reshape(B, T, D)

    Hint 1: number the entries of one small q with `torch.arange(B * T * D).view(B, T, D)` and look at q[0, 0] after the
    reshape: whose numbers are they?
    Hint 2: there are two faults, one at the beginning, one at the end; your split_heads and merge_heads mend both.
    Solution: view and transpose in front; transpose and flatten behind
    """
    rng = fresh()
    sizes = ((2, 3, 8, 2), (1, 4, 6, 3), (3, 5, 8, 4), (2, 4, 4, 2))
    inputs = [(*(randn(rng, B, T, D, scale=2.0) for _ in range(3)), H) for B, T, D, H in sizes]
    judge(answer, inputs, heads_attend, MISTAKES_4, planted=reshaped_twice)


# --- 14.5 two projections are one -------------------------------------------------------------------------------------


def folded_of(W_q: Tensor, W_heads: Tensor) -> Tensor:
    return torch.einsum("hde,ef->hdf", W_heads, W_q).flatten(0, 1)


def wrong_order(W_q, W_heads):
    """The order is reversed: a^i meets W^q first, so W^q stands on the right, W^{q,h} W^q."""
    return torch.cat([W_q[: len(W)] @ W if len(W) != W_q.shape[0] else W_q @ W for W in W_heads])


def first_step_left_out(W_q, W_heads):
    """W^q is left out: the folded matrix does both steps."""
    return W_heads.flatten(0, 1)


def second_step_left_out(W_q, W_heads):
    """The heads' own matrices are left out: this is W^q alone, the same for every head."""
    return W_q.clone()


def added_up(W_q, W_heads):
    """The two matrices are added: one step *after* the other is a product."""
    return torch.cat([W + W_q[: len(W)] for W in W_heads])


def heads_added(W_q, W_heads):
    """The heads are added up: their rows stand one below the other, H·d rows in all."""
    return W_heads.sum(0) @ W_q


def left_stacked(W_q, W_heads):
    """This is (H, d, D), each head folded rightly: join heads and rows, (H·d, D), so that one product serves all."""
    return W_heads @ W_q


def w_q_transposed(W_q, W_heads):
    """W^q is transposed: no transpose is needed, W^{q,h} (W^q a) = (W^{q,h} W^q) a."""
    return (W_heads @ W_q.T).flatten(0, 1)


MISTAKES_5 = [
    first_step_left_out, second_step_left_out, added_up, heads_added, left_stacked, w_q_transposed, wrong_order,
]  # fmt: skip


@exercise("14.5", "two steps without anything between them are one matrix.")
def check_14_5(answer):
    """**Exercise 14.5 · ●●○○○ · 8 min** - two projections are one

    A lecture draws a head's query in two steps, q^{i,h} = W^{q,h} (W^q a^i). `W_q` is (D, D), `W_heads` (H, d, D), one
    matrix a head. Write `fold(W_q, W_heads)`: the one matrix (H·d, D) whose product with a^i gives the queries of all
    heads, head 1 first.

    Hint 1: a product of matrices may be bracketed anew: W^{q,h} (W^q a) = (W^{q,h} W^q) a.
    Hint 2: `@` multiplies all heads at once, (H, d, D) by (D, D); then put the heads' rows one below the other.
    Solution: (W_heads @ W_q).flatten(0, 1)
    """
    rng = fresh()
    sizes = ((2, 2, 4), (2, 3, 6), (3, 2, 6), (2, 1, 3))
    inputs = [(randn(rng, D, D), randn(rng, H, d, D)) for H, d, D in sizes]
    judge(answer, inputs, folded_of, MISTAKES_5)


# --- 14.6 switch a head off -------------------------------------------------------------------------------------------


def muted_of(W_o: Tensor, head: int, n_heads: int) -> Tensor:
    d = W_o.shape[1] // n_heads
    keep = (torch.arange(W_o.shape[1]) // d != head).to(W_o.dtype)
    return W_o * keep


def rows_for_columns(W_o, head, n_heads):
    """These are rows of W_O: rows are outputs. A head comes in through its *columns*."""
    return muted_of(W_o.T, head, n_heads).T


def next_head(W_o, head, n_heads):
    """This switches off the neighbour: heads are counted from 0, head h has columns h·d to (h+1)·d - 1."""
    return muted_of(W_o, (head - 1) % n_heads, n_heads)


def every_hth_column(W_o, head, n_heads):
    """Every H-th column is zeroed: a head's columns stand next to each other."""
    W = W_o.clone()
    W[:, head::n_heads] = 0
    return W


def one_column(W_o, head, n_heads):
    """One column is zeroed, but a head has d = D / H of them."""
    W = W_o.clone()
    W[:, head * (W.shape[1] // n_heads)] = 0
    return W


def column_of_that_number(W_o, head, n_heads):
    """Column number `head` is zeroed: the head's columns begin at head · d."""
    W = W_o.clone()
    W[:, head] = 0
    return W


def the_others_off(W_o, head, n_heads):
    """This keeps the head and switches off all others."""
    return W_o - muted_of(W_o, head, n_heads)


def head_removed(W_o, head, n_heads):
    """The columns are cut out, so the concatenated heads no longer fit: set them to zero, the shape stays."""
    d = W_o.shape[1] // n_heads
    return torch.cat([W_o[:, : head * d], W_o[:, (head + 1) * d :]], 1)


MISTAKES_6 = [
    rows_for_columns, next_head, every_hth_column, one_column, column_of_that_number, the_others_off, head_removed,
]  # fmt: skip


@exercise("14.6", "the head still looks, but nobody listens.")
def check_14_6(answer):
    """**Exercise 14.6 · ●●●○○ · 8 min** - switch a head off

    Write `mute(W_o, head, n_heads)`: a copy of W_O (D, D) with which the layer's output, `concatenated @ W_o.T`, no
    longer contains anything of head number `head` (counted from 0). All other heads stay as they are; `W_o` itself
    must not change.

    Hint 1: `concatenated` has head h in numbers h·d ... (h+1)·d - 1. Which entries of W_O are multiplied with them?
    Hint 2: W = W_o.clone(), then one slice of its columns becomes 0.
    Solution: W[:, head * d : (head + 1) * d] = 0
    """
    rng = fresh()
    sizes = ((8, 2, 1), (8, 4, 2), (6, 2, 0), (9, 3, 2), (6, 3, 1))
    judge(answer, [(randn(rng, D, D), head, H) for D, H, head in sizes], muted_of, MISTAKES_6)


# --- what proves them -------------------------------------------------------------------------------------------------


def _split(x, n_heads):
    return x.view(*x.shape[:2], n_heads, -1).transpose(1, 2)


def _merge(heads):
    return heads.transpose(1, 2).flatten(2)


def _multi_head(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    q, k, v = x @ W_q.T, z @ W_k.T, z @ W_v.T
    pieces = zip(*(a.chunk(n_heads, -1) for a in (q, k, v)), strict=True)
    return torch.cat([attend(*some) for some in pieces], -1) @ W_o.T


def _fast_multi_head(x, z, W_q, W_k, W_v, W_o, n_heads, attend):
    return _merge(attend(_split(x @ W_q.T, n_heads), _split(z @ W_k.T, n_heads), _split(z @ W_v.T, n_heads))) @ W_o.T


def _repaired(q, k, v, n_heads):
    return _merge(attend(*(_split(x, n_heads) for x in (q, k, v))))


def _mute(W_o, head, n_heads):
    d, W = W_o.shape[1] // n_heads, W_o.clone()
    W[:, head * d : (head + 1) * d] = 0
    return W


CHECKS = {
    "14_1": Check(check_14_1, [_split, split_of], gallery(MISTAKES_1)),
    "14_2": Check(check_14_2, [_merge, merged_of], gallery(MISTAKES_2)),
    "14_3": Check(check_14_3, [_multi_head, _fast_multi_head], gallery(MISTAKES_3)),
    "14_4": Check(
        check_14_4, [_repaired, heads_attend], gallery(m for m in MISTAKES_4 if m is not reshaped_twice),
        stub=reshaped_twice,
    ),
    "14_5": Check(check_14_5, [lambda W_q, W_heads: (W_heads @ W_q).flatten(0, 1), folded_of], gallery(MISTAKES_5)),
    "14_6": Check(check_14_6, [_mute, muted_of], gallery(MISTAKES_6)),
}  # fmt: skip
