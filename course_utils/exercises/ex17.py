"""Exercises of notebook 17, training Transformers. Tasks, hints and solutions stand in the checks' docstrings, mistakes
in the functions above each check; how they become cells: course_utils/exercises/checking.py."""

import random

import torch
from torch import Tensor

from course_utils.exercises.checking import Check, Hint, exercise, fresh, gallery, judge

# --- 17.1 repair the pre-norm block -----------------------------------------------------------------------------------


def block_of(x, attend, feed, norm_1, norm_2):
    middle = attend(norm_1(x)) + x
    return feed(norm_2(middle)) + middle


def norm_on_the_stream(x, attend, feed, norm_1, norm_2):
    """The stream itself passes through a norm: x + f(norm(x)) was wanted, this adds to norm(x)."""
    h = norm_1(x)
    x = h + attend(h)
    h = norm_2(x)
    return h + feed(h)


def only_the_first_is_mended(x, attend, feed, norm_1, norm_2):
    """The attention is right now, the feed-forward still adds to the normed stream."""
    x = x + attend(norm_1(x))
    return norm_2(x) + feed(norm_2(x))


def post_norm(x, attend, feed, norm_1, norm_2):
    """This is post-norm, norm(x + f(x)), as in the paper of 2017. Here f reads norm(x) and the sum stays as it is."""
    x = norm_1(x + attend(x))
    return norm_2(x + feed(x))


def normed_changes(x, attend, feed, norm_1, norm_2):
    """The *change* is normed, x + norm(f(x)): the norm stands before f, not after."""
    x = x + norm_1(attend(x))
    return x + norm_2(feed(x))


def no_norms(x, attend, feed, norm_1, norm_2):
    """There is no norm any more: what attention and feed-forward read must be normed."""
    x = x + attend(x)
    return x + feed(x)


def feeds_on_the_old_stream(x, attend, feed, norm_1, norm_2):
    """The feed-forward reads the stream from before the attention: it must read what the attention has added to."""
    return x + attend(norm_1(x)) + feed(norm_2(x))


def stream_lost(x, attend, feed, norm_1, norm_2):
    """The residual is gone: nothing is added to x."""
    return feed(norm_2(attend(norm_1(x))))


def one_norm_for_both(x, attend, feed, norm_1, norm_2):
    """Both sublayers use norm_1: each has its own."""
    return block_of(x, attend, feed, norm_1, norm_1)


MISTAKES_1 = [norm_on_the_stream, only_the_first_is_mended, post_norm, normed_changes, no_norms,
              feeds_on_the_old_stream, stream_lost, one_norm_for_both]  # fmt: skip


@exercise("17.1", "a path from the last block to the first on which nothing is ever rescaled.")
def check_17_1(answer):
    """**Exercise 17.1 · ●●●○○ · 8 min** - repair the pre-norm block

    A block with pre-norm, copied from a project that had it wrong for a while (so did an early version of torch). All
    arguments but x (B, T, D) are functions (B, T, D) -> (B, T, D). Repair it:

        def block(x, attend, feed, norm_1, norm_2):
            x = norm_1(x)
            x = x + attend(x)
            x = norm_2(x)
            return x + feed(x)

    Hint 1: what does x hold when `attend`'s result is added to it? It should be the stream as it came.
    Hint 2: give what the sublayer reads a name of its own, or none at all: `x + attend(norm_1(x))`.
    Solution: x = x + attend(norm_1(x)); return x + feed(norm_2(x))
    """
    rng = fresh()
    inputs = []
    for B, T, D in ((2, 3, 4), (1, 2, 6)):
        A, F = (torch.randn(D, D, generator=rng) for _ in range(2))
        x = 3 * torch.randn(B, T, D, generator=rng) + 1
        inputs.append((x, _linear(A), _linear(F), _norm(1.0), _norm(2.0)))
    judge(answer, inputs, block_of, MISTAKES_1, planted=norm_on_the_stream)


def _linear(W):
    return lambda x: x @ W.T


def _norm(gain):
    return lambda x: gain * torch.nn.functional.layer_norm(x, x.shape[-1:])


# --- 17.2 the paper's rate --------------------------------------------------------------------------------------------


def rate_of(step: int, d_model: int, warmup: int) -> float:
    rising, falling = step / warmup**1.5, 1 / step**0.5
    return min(rising, falling) / d_model**0.5


def larger_of_both(step, d_model, warmup):
    """The larger of the two was taken: it explodes at the first step and never falls. The smaller one counts."""
    return d_model**-0.5 * max(step**-0.5, step * warmup**-1.5)


def width_left_out(step, d_model, warmup):
    """The factor d_model^-0.5 is missing: wider models take smaller steps."""
    return min(step**-0.5, step * warmup**-1.5)


def wider_is_faster(step, d_model, warmup):
    """d_model stands in the wrong place: it is d_model to the power of *minus* one half."""
    return d_model**0.5 * min(step**-0.5, step * warmup**-1.5)


def rises_to_one(step, d_model, warmup):
    """The rise is step/warmup here; it is step · warmup^-1.5, so that both branches meet at step = warmup."""
    return d_model**-0.5 * min(step**-0.5, step / warmup)


def one_step_late(step, d_model, warmup):
    """The step was counted from 0 here, and 1 was added: but `step` is 1 at the first update already."""
    return rate_of(step + 1, d_model, warmup)


def stays_at_the_top(step, d_model, warmup):
    """After the warm-up the rate stays where it is here; it must fall with the root of the step."""
    return rate_of(min(step, warmup), d_model, warmup)


def falls_in_a_line(step, d_model, warmup):
    """After the warm-up the rate falls like 1/step here: it falls like 1/√step."""
    return d_model**-0.5 * min(warmup**0.5 / step, step * warmup**-1.5)


MISTAKES_2 = [larger_of_both, width_left_out, wider_is_faster, rises_to_one, one_step_late, stays_at_the_top,
              falls_in_a_line]  # fmt: skip


@exercise("17.2", "the two branches meet at step = warmup, at 1/√(d_model · warmup).")
def check_17_2(answer):
    """**Exercise 17.2 · ●○○○○ · 5 min** - the rate of the paper

    Write `paper_rate(step, d_model, warmup)`, equation 3, for step = 1, 2, ...

    Hint 1: two branches, one rises in a line, one falls with the root; at every step the smaller one counts.
    Hint 2: d_model ** -0.5 * min(..., ...)
    Solution: d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
    """
    steps = ((1, 512, 4000), (2, 64, 10), (10, 64, 10), (11, 64, 10), (400, 128, 25), (3999, 512, 4000))
    judge(answer, steps, rate_of, MISTAKES_2)


# --- 17.3 smoothed targets --------------------------------------------------------------------------------------------


def targets_of(target: Tensor, K: int, e: float, spread: str) -> Tensor:
    q = torch.full((len(target), K), e / K if spread == "all" else e / (K - 2), dtype=torch.float64)
    for row, right in enumerate(target.tolist()):
        if spread == "others":
            q[row, 0] = q[row, right] = 0.0
        q[row, right] += 1 - e
    return q


def _rows(target, K, right, others, pad):
    q = torch.full((len(target), K), others, dtype=torch.float64)
    q[:, 0] = pad
    return q.scatter(1, target.unsqueeze(1), right)


def right_word_without_its_share(target, K, e, spread):
    """With "all" the right word gets its share of e as well, 1 - e + e/K: your row sums to less than 1."""
    return _rows(target, K, 1 - e, e / K, e / K) if spread == "all" else targets_of(target, K, e, spread)


def others_share_with_the_pad(target, K, e, spread):
    """With "others" PAD is never a target: it gets 0, and e is shared by K - 2 classes, not K - 1."""
    return _rows(target, K, 1 - e, e / (K - 1), e / (K - 1)) if spread == "others" else targets_of(target, K, e, spread)


def pad_emptied_too_late(target, K, e, spread):
    """With "others" the row sums to less than 1: PAD's share was cut off, but e must be divided by K - 2."""
    return _rows(target, K, 1 - e, e / (K - 1), 0.0) if spread == "others" else targets_of(target, K, e, spread)


def right_word_counted_twice(target, K, e, spread):
    """With "others" the right word gets 1 - e and nothing of e: it is not one of the others."""
    if spread == "all":
        return targets_of(target, K, e, spread)
    return _rows(target, K, 1 - e + e / (K - 2), e / (K - 2), 0.0)


def exchanged(target, K, e, spread):
    """The two definitions have changed places: "all" is torch's, e/K on every class, PAD and the right one included."""
    return targets_of(target, K, e, "others" if spread == "all" else "all")


def always_torch(target, K, e, spread):
    """Both times this is torch's definition: `spread="others"` leaves out PAD and the right word."""
    return targets_of(target, K, e, "all")


def not_smoothed(target, K, e, spread):
    """Nothing is smoothed here: these are the hard targets, 1 on the right word."""
    return targets_of(target, K, 0.0, spread)


def e_on_the_right_word(target, K, e, spread):
    """The right word gets e and the rest 1 - e: it is the other way round."""
    return targets_of(target, K, 1 - e, spread)


MISTAKES_3 = [right_word_without_its_share, others_share_with_the_pad, pad_emptied_too_late, right_word_counted_twice,
              exchanged, always_torch, not_smoothed, e_on_the_right_word]  # fmt: skip


@exercise("17.3", "every row sums to 1, in both definitions.")
def check_17_3(answer):
    """**Exercise 17.3 · ●●○○○ · 8 min** - smoothed targets, both definitions

    Write `smooth(target, K, e, spread)`: `target` (N,) ids of real words (never PAD = 0) -> (N, K) float64.
    `spread="all"`: 1 - e on the right word plus e/K on *every* class. `spread="others"`: 1 - e on the right word,
    e/(K - 2) on every class that is neither it nor PAD.

    Hint 1: `torch.full((len(target), K), share, dtype=torch.float64)`, then mend some entries.
    Hint 2: `q[torch.arange(len(target)), target]` are the entries of the right words.
    Solution: fill, add 1 - e (all); fill, set PAD to 0 and the right word to 1 - e (others)
    """
    rng = fresh()
    inputs = [(torch.randint(1, K, (N,), generator=rng), K, e, spread)
              for K, N, e in ((5, 3, 0.1), (9, 4, 0.3), (4, 2, 0.2)) for spread in ("all", "others")]  # fmt: skip
    judge(answer, inputs, targets_of, MISTAKES_3)


# --- 17.4 what is shared ----------------------------------------------------------------------------------------------


def counted_of(source, target, d, tie):
    tables = {"none": source * d + target * d + target * (d + 1), "decoder": (source + target) * d, "all": target * d}
    return tables[tie]


def bias_forgotten(source, target, d, tie):
    """The separate output layer has a bias too, one number a word."""
    return counted_of(source, target, d, tie) - (target if tie == "none" else 0)


def all_still_has_two(source, target, d, tie):
    """With "all" there is one table for three uses: both embeddings and the output layer."""
    return 2 * target * d if tie == "all" else counted_of(source, target, d, tie)


def decoder_shares_with_the_source(source, target, d, tie):
    """With "decoder" the *target's* embedding is the output layer; the source keeps its own table."""
    return source * d + target * (d + 1) if tie == "decoder" else counted_of(source, target, d, tie)


def output_left_out(source, target, d, tie):
    """Without sharing there are three tables: two embeddings and the output layer."""
    return (source + target) * d if tie == "none" else counted_of(source, target, d, tie)


def square_of_the_width(source, target, d, tie):
    """A table has words x d_model numbers; d_model does not come squared."""
    return counted_of(source, target, d, tie) * d


def words_only(source, target, d, tie):
    """Every word has d_model numbers, not one."""
    return counted_of(source, target, 1, tie)


MISTAKES_4 = [bias_forgotten, all_still_has_two, decoder_shares_with_the_source, output_left_out, square_of_the_width,
              words_only]  # fmt: skip


@exercise("17.4", "with one vocabulary for both languages two thirds of the numbers go.")
def check_17_4(answer):
    """**Exercise 17.4 · ●●○○○ · 6 min** - what sharing saves

    Write `vocabulary_parameters(source, target, d, tie)`: how many numbers a Transformer keeps in its two embeddings
    and its output layer, for vocabularies of `source` and `target` words and width `d`. `tie` is "none" (the output
    layer is an `nn.Linear` with bias), "decoder" or "all" (then `source == target`); a tied output layer has no bias.

    Hint 1: count the tables: three, two, one.
    Hint 2: nn.Linear(d, V) has V · d + V numbers.
    Solution: {"none": source*d + target*d + target*(d + 1), "decoder": (source + target)*d, "all": target*d}[tie]
    """
    inputs = [(383, 925, 64, "none"), (383, 925, 64, "decoder"), (1000, 1000, 32, "all"), (7, 5, 3, "none"),
              (7, 5, 3, "decoder"), (6, 6, 4, "all")]  # fmt: skip
    judge(answer, inputs, counted_of, MISTAKES_4)


# --- 17.5 the mean of checkpoints -------------------------------------------------------------------------------------


def mean_of(states):
    n, found = len(states), {}
    for name, value in states[-1].items():
        total = sum(state[name] for state in states)
        found[name] = total / n if value.is_floating_point() else value
    return found


def not_divided(states):
    """These are sums: divide by the number of checkpoints."""
    return {k: sum(s[k] for s in states) if v.is_floating_point() else v for k, v in states[-1].items()}


def halved_again_and_again(states):
    """Each checkpoint was averaged with the mean so far, half and half: the last one then weighs as much as all before
    together. All weigh the same."""
    found = dict(states[0])
    for state in states[1:]:
        found = {k: (found[k] + v) / 2 if v.is_floating_point() else v for k, v in state.items()}
    return found


def first_and_last(states):
    """Only the first and the last checkpoint were averaged."""
    return mean_of((states[0], states[-1]))


def the_last(states):
    """This is the last checkpoint, not the mean of all."""
    return dict(states[-1])


def counts_averaged(states):
    """The whole number was averaged as well: a count of updates is not a weight; take the last checkpoint's."""
    return {k: sum(s[k] for s in states) / len(states) for k in states[0]}


def counts_of_the_first(states):
    """The count of updates is the first checkpoint's; take the last one's."""
    return {k: v if v.is_floating_point() else states[0][k] for k, v in mean_of(states).items()}


def without_the_first(states):
    """The first checkpoint is missing from the mean."""
    return mean_of(states[1:])


MISTAKES_5 = [not_divided, halved_again_and_again, first_and_last, the_last, counts_averaged, counts_of_the_first,
              without_the_first]  # fmt: skip


def _in_order(function):
    """The dictionary that a function returns, as a tuple in the order of its names."""

    def ask(states):
        names = list(states[0])
        before = [{k: v.clone() for k, v in state.items()} for state in states]
        found = function(states)
        if found is ... or (isinstance(found, tuple) and any(part is ... for part in found)):
            return ...
        if any(not torch.equal(was[k], is_[k]) for was, is_ in zip(before, states, strict=True) for k in names):
            raise Hint("the checkpoints themselves were changed: `+=` writes into the tensor it begins with.")
        if not isinstance(found, dict):
            raise Hint(f"a checkpoint is a dictionary, and so is the mean of some; this is a {type(found).__name__}.")
        if set(found) != set(names):
            raise Hint(f"the names must be those of the checkpoints, {', '.join(names)}.")
        return tuple(found[name] for name in names)

    ask.__doc__ = function.__doc__
    return ask


@exercise("17.5", "one model again, and it costs nothing when it translates.")
def check_17_5(answer):
    """**Exercise 17.5 · ●●○○○ · 6 min** - average checkpoints

    Write `average(states)`: `states` is a tuple of checkpoints of one model, the oldest first; each is a dictionary
    {name: tensor}. Returns one dictionary with the same names: the mean of every weight; where a tensor holds whole
    numbers (a count of updates) the last checkpoint's.

    Hint 1: go over the names of one checkpoint and collect the tensors of that name from all.
    Hint 2: `torch.stack([...]).mean(0)`, if `tensor.is_floating_point()`.
    Solution: {name: torch.stack([s[name] for s in states]).mean(0) if value.is_floating_point() else value ...}
    """
    rng = fresh()
    inputs = []
    for n in (3, 4, 6):
        states = tuple(
            {"weight": torch.randn(2, 3, generator=rng), "updates": torch.tensor(20 * k + 5),
             "bias": torch.randn(2, generator=rng)} for k in range(n)
        )  # fmt: skip
        inputs.append((states,))
    judge(_in_order(answer), inputs, _in_order(mean_of), [_in_order(m) for m in MISTAKES_5])


# --- 17.6 one merge of byte-pair encoding -----------------------------------------------------------------------------


def merged_of(pieces: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    if len(pieces) < 2:
        return tuple(pieces)
    if tuple(pieces[:2]) == tuple(pair):
        return (pair[0] + pair[1], *merged_of(pieces[2:], pair))
    return (pieces[0], *merged_of(pieces[1:], pair))


def replaced_in_the_text(pieces, pair):
    """The text was searched, not the pieces: with pieces "xa", "b" the pair "a", "b" is not there, although "a b"
    stands in the text. Compare whole pieces."""
    return tuple(" ".join(pieces).replace(" ".join(pair), "".join(pair)).split(" "))


def first_place_only(pieces, pair):
    """Only the first place was joined: a merge joins the pair wherever it stands in the word."""
    for i in range(len(pieces) - 1):
        if tuple(pieces[i : i + 2]) == tuple(pair):
            return (*pieces[:i], pair[0] + pair[1], *pieces[i + 2 :])
    return tuple(pieces)


def either_order(pieces, pair):
    """The pair was joined the other way round too: "e" before "s" is another pair than "s" before "e"."""
    found, i = [], 0
    while i < len(pieces):
        joins = set(pieces[i : i + 2]) == set(pair) and len(pieces[i : i + 2]) == 2
        found.append(pieces[i] + pieces[i + 1] if joins else pieces[i])
        i += 1 + joins
    return tuple(found)


def one_piece_used_twice(pieces, pair):
    """A piece was used twice: of "a", "a", "a" the first two are joined, and then only one is left."""
    found = []
    for i, piece in enumerate(pieces):
        if tuple(pieces[i : i + 2]) == tuple(pair):
            found.append(pair[0] + pair[1])
        elif not (i and tuple(pieces[i - 1 : i + 1]) == tuple(pair)):
            found.append(piece)
    return tuple(found)


def from_right_to_left(pieces, pair):
    """The word was read from right to left: of "a", "a", "a" the *first* two are joined."""
    turned = merged_of(tuple(pieces[::-1]), (pair[1], pair[0]))
    return tuple(p if p in pieces and p != pair[1] + pair[0] else pair[0] + pair[1] for p in turned)[::-1]


def second_half_left(pieces, pair):
    """The second piece of the pair is still there after its place has been joined: jump over both."""
    return tuple(
        pair[0] + pair[1] if tuple(pieces[i : i + 2]) == tuple(pair) else p for i, p in enumerate(pieces)
    )  # fmt: skip


MISTAKES_6 = [replaced_in_the_text, first_place_only, either_order, one_piece_used_twice, from_right_to_left,
              second_half_left]  # fmt: skip


@exercise("17.6", "do this for the most frequent pair again and again, and you have Sennrich's algorithm 1.")
def check_17_6(answer):
    """**Exercise 17.6 · ●●○○○ · 8 min** - one merge

    Write `merge(pieces, pair)`: `pieces` is a word as a tuple of strings, ("l", "o", "w</w>"); wherever the two pieces
    of `pair` stand next to each other, in this order, they become one. From left to right, no piece used twice.
    Returns a tuple.

    Hint 1: walk with a `while` and an index that moves by 2 after a join and by 1 otherwise.
    Hint 2: `pieces[i : i + 2] == pair`, also at the end of the word.
    Solution: a while loop as in course_utils/text/subwords.py
    """
    words = ["lowest", "banana", "aaaa", "aaaaa", "eses", "x", "abab"]
    pairs = [("e", "s"), ("a", "n"), ("a", "a"), ("a", "a"), ("e", "s"), ("x", "y"), ("a", "b")]
    inputs = [(tuple(word), pair) for word, pair in zip(words, pairs, strict=True)]
    inputs += [(("xa", "b", "a", "b"), ("a", "b")), (("lo", "w", "lo", "w</w>"), ("lo", "w"))]
    draw = random.Random(fresh().initial_seed())
    inputs += [(tuple(draw.choice("ab") for _ in range(9)), ("a", "b")) for _ in range(3)]
    judge(answer, inputs, merged_of, MISTAKES_6)


# --- galleries --------------------------------------------------------------------------------------------------------


def solution_3(target, K, e, spread):
    q = torch.full((len(target), K), e / K if spread == "all" else e / (K - 2), dtype=torch.float64)
    right = torch.arange(len(target)), target
    if spread == "all":
        q[right] += 1 - e
    else:
        q[:, 0], q[right] = 0.0, 1 - e
    return q


def solution_6(pieces, pair):
    found, i = [], 0
    while i < len(pieces):
        joins = pieces[i : i + 2] == pair
        found.append(pair[0] + pair[1] if joins else pieces[i])
        i += 2 if joins else 1
    return tuple(found)


def solution_5(states):
    return {name: torch.stack([s[name] for s in states]).mean(0) if value.is_floating_point() else value
            for name, value in states[-1].items()}  # fmt: skip


def solution_1(x, attend, feed, norm_1, norm_2):
    x = x + attend(norm_1(x))
    return x + feed(norm_2(x))


CHECKS = {
    "17_1": Check(check_17_1, [block_of, solution_1], gallery(MISTAKES_1[1:]), stub=norm_on_the_stream),
    "17_2": Check(check_17_2, [rate_of, lambda s, d, w: d**-0.5 * min(s**-0.5, s * w**-1.5)], gallery(MISTAKES_2)),
    "17_3": Check(check_17_3, [targets_of, solution_3], gallery(MISTAKES_3)),
    "17_4": Check(check_17_4, [counted_of], gallery(MISTAKES_4)),
    "17_5": Check(check_17_5, [mean_of, solution_5], gallery(MISTAKES_5)),
    "17_6": Check(check_17_6, [merged_of, solution_6], gallery(MISTAKES_6)),
}
