"""Exercises of notebook 21, learned sparsity. Tasks, hints and solutions stand in the checks' docstrings, mistakes in
the functions above each check; how they become cells: course_utils/exercises/checking.py.

Several mistakes are those of published code: rounds combined by their mean, the number of chunks taken for their size,
values left where they were while keys are sorted."""

import torch
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge

# --- 21.1 the bucket of a vector --------------------------------------------------------------------------------------


def bucket_of(x: Tensor, R: Tensor) -> Tensor:
    return torch.cat([x @ R, -(x @ R)], dim=1).argmax(1)


def no_opposites(x, R):
    """Only the directions of R own a bucket here; their opposites, -xR, are the other half of the buckets."""
    return (x @ R).argmax(1)


def by_absolute_value(x, R):
    """A direction and its opposite are one bucket here: |xR| forgets the sign."""
    return (x @ R).abs().argmax(1)


def opposites_first(x, R):
    """The halves are exchanged: first xR, then -xR, or buckets have other numbers."""
    return torch.cat([-(x @ R), x @ R], 1).argmax(1)


def of_each_direction(x, R):
    """This finds a vector for each direction, not a direction for each vector: argmax over dimension 1."""
    return torch.cat([x @ R, -(x @ R)], 1).argmax(0)


def sign_bits(x, R):
    """This makes 2^(b/2) buckets of signs, another hash (by hyperplanes); here the largest entry decides."""
    return ((x @ R > 0).long() * 2 ** torch.arange(R.shape[1])).sum(1)


MISTAKES_1 = [no_opposites, by_absolute_value, opposites_first, of_each_direction, sign_bits]


@exercise("21.1", "one matrix product, and alike vectors meet.")
def check_21_1(answer):
    """**Exercise 21.1 · ●○○○○ · 6 min** - the bucket of a vector

    Write `bucket_of(x, R)`: `x` (N, d), `R` (d, b / 2). Return (N,) whole numbers 0 ... b - 1: the place of the largest
    entry of [xR; -xR].

    Hint 1: x @ R is (N, b / 2); its opposites stand behind it, torch.cat(..., dim=1).
    Hint 2: argmax over the b entries of each vector.
    Solution: return torch.cat([x @ R, -(x @ R)], dim=1).argmax(1)
    """
    rng = fresh()
    inputs = [tuple(torch.randn(s, generator=rng) for s in ((N, d), (d, half))) for N, d, half in
              ((9, 2, 2), (12, 3, 4), (7, 4, 3), (15, 2, 5))]  # fmt: skip
    judge(answer, inputs, bucket_of, MISTAKES_1)


# --- 21.2 buckets to chunks -------------------------------------------------------------------------------------------


def chunk_of(buckets: Tensor, size: int) -> Tensor:
    order = buckets.argsort(stable=True)
    chunks = torch.empty_like(buckets)
    chunks[order] = torch.arange(len(buckets)) // size
    return chunks


def _placed(order, chunks):
    found = torch.empty_like(order)
    found[order] = chunks
    return found


def chunk_count(buckets, size):
    """`size` is taken for the number of chunks; it is how many words a chunk has (a published package has this)."""
    N = len(buckets)
    return _placed(buckets.argsort(stable=True), torch.arange(N) // max(1, -(-N // size)))


def still_sorted(buckets, size):
    """These are the chunks of the sorted row; say for each word *in the order of the sentence* where it went."""
    return torch.arange(len(buckets)) // size


def looked_up_with_order(buckets, size):
    """chunks[order] reads where it must write: word order[r] has rank r, so ranks[order] = 0, 1, 2, ..."""
    return (torch.arange(len(buckets)) // size)[buckets.argsort(stable=True)]


def bucket_is_chunk(buckets, size):
    """These are the buckets; they have different sizes, chunks are cut from the sorted row, `size` words each."""
    return buckets.clone()


def rank_in_the_row(buckets, size):
    """These are the ranks in the sorted row; a chunk holds `size` ranks: divide by it, without the rest."""
    return buckets.argsort(stable=True).argsort()


def not_sorted(buckets, size):
    """The value of the bucket is divided by the size; it is the *rank* of the word in the sorted row that counts."""
    return buckets // size


def last_first(buckets, size):
    """The row is sorted from the last bucket to the first."""
    return _placed(buckets.argsort(stable=True, descending=True), torch.arange(len(buckets)) // size)


MISTAKES_2 = [
    chunk_count, looked_up_with_order, still_sorted, bucket_is_chunk, rank_in_the_row, not_sorted, last_first,
]  # fmt: skip


@exercise("21.2", "sorted, cut, and every word knows its chunk.")
def check_21_2(answer):
    """**Exercise 21.2 · ●●○○○ · 10 min** - buckets to chunks

    Write `chunk_of(buckets, size)`: `buckets` (N,) whole numbers. Sort the words by bucket (words of one bucket stay in
    the order of the sentence), cut the row into chunks of `size` words, and return (N,): the number of each word's
    chunk, words in the order of the sentence.

    Hint 1: order = buckets.argsort(stable=True) says which word stands at each rank.
    Hint 2: the word order[r] has rank r and lies in chunk r // size; order.argsort() gives the rank of every word.
    Solution: return buckets.argsort(stable=True).argsort() // size
    """
    rng = fresh()
    inputs = [(torch.randint(b, (N,), generator=rng), size) for N, b, size in
              ((12, 4, 2), (15, 5, 4), (20, 3, 3), (24, 8, 5), (18, 6, 7))]  # fmt: skip
    judge(answer, inputs, chunk_of, MISTAKES_2)


# --- 21.3 rounds by logsumexp -----------------------------------------------------------------------------------------


def combine(outputs: Tensor, totals: Tensor) -> Tensor:
    share = (totals - totals.logsumexp(0)).exp()
    return (share.unsqueeze(-1) * outputs).sum(0)


def mean_of_rounds(outputs, totals):
    """This is the mean of the rounds (a published package has it): a round that found little counts as one that found
    the nearest. Weigh each by exp of its log normaliser."""
    return outputs.mean(0)


def sum_of_rounds(outputs, totals):
    """The rounds are added with weight 1 each: attention weights would add up to the number of rounds."""
    return outputs.sum(0)


def best_round_only(outputs, totals):
    """This takes the round with the largest normaliser alone; the others found pairs too."""
    best = totals.argmax(0)
    return outputs[best, torch.arange(outputs.shape[1])]


def logs_as_weights(outputs, totals):
    """The totals are logarithms: take exp of them before weighing."""
    return (totals.unsqueeze(-1) * outputs).sum(0) / totals.sum(0).unsqueeze(-1)


def not_divided(outputs, totals):
    """The weights exp(total) are not divided by their sum over the rounds."""
    return (totals.exp().unsqueeze(-1) * outputs).sum(0)


def over_the_words(outputs, totals):
    """The weights add up to 1 over the words; it is the rounds, dimension 0, that must share."""
    return (totals.softmax(1).unsqueeze(-1) * outputs).sum(0)


def inverse(outputs, totals):
    """The weights are upside down: a round with a *large* normaliser counts most."""
    return ((-totals).softmax(0).unsqueeze(-1) * outputs).sum(0)


MISTAKES_3 = [
    mean_of_rounds, sum_of_rounds, best_round_only, logs_as_weights, not_divided, over_the_words, inverse,
]  # fmt: skip


@exercise("21.3", "as if there had been one softmax over all that was found.")
def check_21_3(answer):
    """**Exercise 21.3 · ●●●○○ · 10 min** - combine the rounds

    Write `combine(outputs, totals)`: `outputs` (rounds, N, e), each round's softmax attention; `totals` (rounds, N),
    the log of its normaliser, log Σ exp(score). Return (N, e): one softmax over everything that was found in any round
    (what was found twice counts twice).

    Hint 1: outputs · exp(totals) is the sum Σ exp(score) v of a round; these sums may be added.
    Hint 2: the weight of a round is exp(total - logsumexp of the totals over the rounds).
    Solution: return (totals.softmax(0).unsqueeze(-1) * outputs).sum(0)
    """
    rng = fresh()
    inputs = [(torch.randn(r, N, e, generator=rng), 2 * torch.randn(r, N, generator=rng)) for r, N, e in
              ((2, 4, 3), (3, 5, 2), (4, 2, 4))]  # fmt: skip
    judge(answer, inputs, combine, MISTAKES_3)


# --- 21.4 Sinkhorn in log space ---------------------------------------------------------------------------------------


def sinkhorn(logits: Tensor, iterations: int) -> Tensor:
    for _ in range(iterations):
        logits = logits - torch.logsumexp(logits, 0, keepdim=True)
        logits = logits - torch.logsumexp(logits, 1, keepdim=True)
    return torch.exp(logits)


def _alternate(logits, iterations, dims):
    for _ in range(iterations):
        for dim in dims:
            logits = logits.log_softmax(dim)
    return logits


def rows_only(logits, iterations):
    """Only rows are brought to 1: that is a softmax. Columns must be divided by their sums too."""
    return logits.softmax(1)


def columns_only(logits, iterations):
    """Only columns are brought to 1; rows must be as well."""
    return logits.softmax(0)


def rows_first(logits, iterations):
    """Rows come first and columns last here; asked for is the other order, so that rows sum to 1 exactly."""
    return _alternate(logits, iterations, (1, 0)).exp()


def still_logs(logits, iterations):
    """These are logarithms: exp is missing at the end."""
    return _alternate(logits, iterations, (0, 1))


def not_in_logs(logits, iterations):
    """exp comes first, and of large scores it is inf: nan. Stay in logarithms until the end."""
    table = logits.exp()
    for _ in range(iterations):
        table = table / table.sum(0)
        table = table / table.sum(1, keepdim=True)
    return table


def one_iteration(logits, iterations):
    """This is a single iteration, whatever is asked for."""
    return _alternate(logits, 1, (0, 1)).exp()


def softmax_of_softmax(logits, iterations):
    """A softmax of probabilities takes exp again and again: everything becomes uniform. Use log_softmax."""
    for _ in range(iterations):
        logits = logits.softmax(0).softmax(1)
    return logits


MISTAKES_4 = [
    rows_only, columns_only, rows_first, still_logs, not_in_logs, one_iteration, softmax_of_softmax,
]  # fmt: skip


@exercise("21.4", "rows sum to 1, columns nearly, and no number is too large.")
def check_21_4(answer):
    """**Exercise 21.4 · ●●○○○ · 8 min** - Sinkhorn's iterations

    Write `my_sinkhorn(logits, iterations)`: `logits` (n, n), some of them in the hundreds. In each iteration divide
    first every column of exp(logits) by its sum, then every row. Return the table (n, n).

    Hint 1: dividing is subtracting a logarithm: logits - torch.logsumexp(logits, dim, keepdim=True).
    Hint 2: columns sum over dimension 0, rows over dimension 1; exp only at the end.
    Solution: for _ in range(iterations): logits = logits.log_softmax(0).log_softmax(1); return logits.exp()
    """
    rng = fresh()
    inputs = [(scale * torch.randn(n, n, generator=rng), k) for n, k, scale in
              ((3, 2, 1.0), (4, 3, 2.0), (5, 4, 1.5), (4, 3, 300.0))]  # fmt: skip
    judge(answer, inputs, sinkhorn, MISTAKES_4)


# --- 21.5 values go with their keys -----------------------------------------------------------------------------------


def sorted_blocks(q: Tensor, k: Tensor, v: Tensor, R: Tensor) -> Tensor:
    keys, values = (torch.einsum("ij,jbd->ibd", R, x) for x in (k, v))
    return (q @ keys.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ values


def _look(q, keys, values):
    return (q @ keys.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ values


def _mix(R, x):
    return torch.einsum("ij,jbd->ibd", R, x)


def values_left_unsorted(q, k, v, R):
    """Keys have moved, values stayed: a weight found with one word fetches the value of another."""
    return _look(q, _mix(R, k), v)


def keys_left_unsorted(q, k, v, R):
    """Values have moved, keys stayed: both must be mixed by R."""
    return _look(q, k, _mix(R, v))


def keys_for_values(q, k, v, R):
    """The sorted keys serve as values (the fault of a published package): the words' values are never read."""
    return _look(q, _mix(R, k), _mix(R, k))


def columns_receive(q, k, v, R):
    """Rows of R receive: block i gets Σ_j R_ij (block j). This uses Rᵀ."""
    return _look(q, _mix(R.T, k), _mix(R.T, v))


def values_by_the_transpose(q, k, v, R):
    """Values are sorted by Rᵀ, keys by R: it must be the same sort."""
    return _look(q, _mix(R, k), _mix(R.T, v))


def queries_sorted_too(q, k, v, R):
    """The queries moved too; each block stays where it is and receives keys and values."""
    return _look(_mix(R, q), _mix(R, k), _mix(R, v))


MISTAKES_5 = [
    values_left_unsorted, keys_left_unsorted, keys_for_values, columns_receive, values_by_the_transpose,
    queries_sorted_too,
]  # fmt: skip


@exercise("21.5", "a value goes where its key goes.")
def check_21_5(answer):
    """**Exercise 21.5 · ●●○○○ · 8 min** - repair the sorted blocks

    `sorted_blocks(q, k, v, R)`: `q`, `k`, `v` (n, b, d), n blocks of b words; `R` (n, n), row i says how much of each
    block block i receives. It runs, but its outputs are wrong. Repair it:

        def sorted_blocks(q, k, v, R):
            keys = torch.einsum("ij,jbd->ibd", R, k)
            return (q @ keys.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v

    Hint 1: let R be a permutation: which words' keys does block i see, which words' values does it get?
    Hint 2: one sort for both.
    Solution: values = torch.einsum("ij,jbd->ibd", R, v), and this in the place of v.
    """
    rng = fresh()
    inputs = []
    for n, b, d in ((3, 2, 4), (4, 3, 2), (3, 3, 3)):
        q, k, v = (torch.randn(n, b, d, generator=rng) for _ in range(3))
        inputs.append((q, k, v, torch.randn(n, n, generator=rng).softmax(-1)))
    judge(answer, inputs, sorted_blocks, MISTAKES_5, planted=values_left_unsorted)


# --- 21.6 the past, by original place ---------------------------------------------------------------------------------


def may_look(query_places: Tensor, key_places: Tensor) -> Tensor:
    mask = key_places.unsqueeze(0) < query_places.unsqueeze(1)
    alone = ~mask.any(1, keepdim=True)
    return mask | (alone & (key_places.unsqueeze(0) == query_places.unsqueeze(1)))


def by_sorted_order(query_places, key_places):
    """This is a triangle over the *sorted* row: there a later word may stand before an earlier one. Compare places."""
    return torch.ones(len(query_places), len(key_places), dtype=torch.bool).tril()


def always_itself(query_places, key_places):
    """A word always sees itself here; with shared vectors it would look at nobody else. Only if it finds none."""
    return key_places.unsqueeze(0) <= query_places.unsqueeze(1)


def never_itself(query_places, key_places):
    """A word that finds nobody has nothing to look at: then, and only then, it looks at itself."""
    return key_places.unsqueeze(0) < query_places.unsqueeze(1)


def the_future(query_places, key_places):
    """This is the future: a key may be looked at if it stood *before* the query in the sentence."""
    return may_look(-query_places, -key_places)


def rows_are_keys(query_places, key_places):
    """Rows are queries, columns are keys; this is the other way round."""
    return may_look(query_places, key_places).T


def everybody_but_itself(query_places, key_places):
    """The future is not hidden at all; only the word itself is."""
    return key_places.unsqueeze(0) != query_places.unsqueeze(1)


MISTAKES_6 = [
    by_sorted_order, always_itself, never_itself, the_future, rows_are_keys, everybody_but_itself,
]  # fmt: skip


@exercise("21.6", "sorted or not, nobody sees what comes after.")
def check_21_6(answer):
    """**Exercise 21.6 · ●●●○○ · 10 min** - the past, by original place

    Write `may_look(query_places, key_places)`: after sorting, the words of a chunk (T,) and of the keys it looks at
    (S,) are given by their places in the sentence. Return (T, S) bool: True where the key stood before the query; a
    query that finds no such key may look at itself (the key of its own place), if that is among the keys.

    Hint 1: key_places.unsqueeze(0) < query_places.unsqueeze(1) compares all pairs.
    Hint 2: ~mask.any(1, keepdim=True) marks the rows that found nobody.
    Solution: past = key_places[None] < query_places[:, None]; itself = key_places[None] == query_places[:, None];
    return past | itself & ~past.any(1, keepdim=True)
    """
    rng = fresh()
    inputs = []
    for T, S in ((3, 6), (4, 8), (5, 7)):
        places = torch.randperm(2 * S, generator=rng)
        keys, alone = places[:S], places[:S].argmin()
        queries = torch.cat([keys[alone].view(1), keys[torch.arange(S) != alone][: T - 1]])
        inputs.append((queries[torch.randperm(T, generator=rng)], keys))
    judge(answer, inputs, may_look, MISTAKES_6)


# --- what proves them -------------------------------------------------------------------------------------------------


def _by_ranks(buckets, size):
    return buckets.argsort(stable=True).argsort() // size


def _shares(outputs, totals):
    return (totals.softmax(0).unsqueeze(-1) * outputs).sum(0)


def _log_softmax(logits, iterations):
    return _alternate(logits, iterations, (0, 1)).exp()


def _both_sorted(q, k, v, R):
    return _look(q, _mix(R, k), _mix(R, v))


def _past_or_itself(query_places, key_places):
    past, itself = key_places[None] < query_places[:, None], key_places[None] == query_places[:, None]
    return past | itself & ~past.any(1, keepdim=True)


CHECKS = {
    "21_1": Check(check_21_1, [bucket_of], gallery(MISTAKES_1)),
    "21_2": Check(check_21_2, [chunk_of, _by_ranks], gallery(MISTAKES_2)),
    "21_3": Check(check_21_3, [combine, _shares], gallery(MISTAKES_3)),
    "21_4": Check(check_21_4, [sinkhorn, _log_softmax], gallery(MISTAKES_4)),
    "21_5": Check(check_21_5, [sorted_blocks, _both_sorted], gallery(MISTAKES_5), stub=values_left_unsorted),
    "21_6": Check(check_21_6, [may_look, _past_or_itself], gallery(MISTAKES_6)),
}
