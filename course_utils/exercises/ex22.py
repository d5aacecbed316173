"""Exercises of notebook 22, low rank and kernels. Tasks, hints and solutions stand in the checks' docstrings, mistakes
in the functions above each check; how they become cells: course_utils/exercises/checking.py.

Several mistakes are those of published code: a key maximum over the whole sequence in a causal FAVOR+ (its gradient
shows nothing), pads that are mixed into Linformer's keys."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge, lengths_mask

# --- 22.1 the cheaper order -------------------------------------------------------------------------------------------


def cheaper(Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, int]:
    (T, d), (S, e) = Q.shape, V.shape
    left, right = T * S * d + T * S * e, S * d * e + T * d * e
    return torch.einsum("td,sd,se->te", Q, K, V), min(left, right)


def always_the_table(Q, K, V):
    """This always makes the T x S table first; with many keys and few dimensions the other brackets are cheaper."""
    T, S = len(Q), len(K)
    return Q @ K.T @ V, T * S * Q.shape[1] + T * S * V.shape[1]


def always_the_state(Q, K, V):
    """This always makes the d x e matrix first; with few queries and keys the T x S table is cheaper."""
    S, e = V.shape
    return Q @ (K.T @ V), S * Q.shape[1] * e + len(Q) * Q.shape[1] * e


def dearer(Q, K, V):
    """This is the dearer of the two orders."""
    return Q @ K.T @ V, max(always_the_table(Q, K, V)[1], always_the_state(Q, K, V)[1])


def counted_twice(Q, K, V):
    """A multiply-add counts as one operation here, not as two."""
    return cheaper(Q, K, V)[0], 2 * cheaper(Q, K, V)[1]


def first_product_only(Q, K, V):
    """This counts the first of the two products only; the second one is made too."""
    (T, d), (S, e) = Q.shape, V.shape
    left, right = T * S * (d + e), (S + T) * d * e
    return Q @ K.T @ V, T * S * d if left < right else S * d * e


def as_many_queries_as_keys(Q, K, V):
    """The numbers of queries and keys may differ: K and V have S rows, Q has T."""
    (T, d), e = Q.shape, V.shape[1]
    return Q @ K.T @ V, min(T * T * d + T * T * e, 2 * T * d * e)


def one_width(Q, K, V):
    """Values may be wider or narrower than keys: e is the width of V, d that of Q and K."""
    (T, d), S = Q.shape, len(K)
    return Q @ K.T @ V, min(2 * T * S * d, (S + T) * d * d)


def with_softmax(Q, K, V):
    """There is no softmax in this exercise: with one, the brackets could not be moved."""
    return (Q @ K.T).softmax(-1) @ V, cheaper(Q, K, V)[1]


MISTAKES_1 = [
    always_the_table, always_the_state, dearer, counted_twice, first_product_only, as_many_queries_as_keys, one_width,
    with_softmax,
]  # fmt: skip


@exercise("22.1", "the same numbers, and you chose the price.")
def check_22_1(answer):
    """**Exercise 22.1 · ●●○○○ · 8 min** - the cheaper order

    Write `cheaper(Q, K, V)`: `Q` (T, d), `K` (S, d), `V` (S, e). Return the product Q Kᵀ V (T, e), no softmax, and the
    number of multiply-adds of the order that needs fewer. A product of (a, b) and (b, c) takes a·b·c of them.

    Hint 1: (Q Kᵀ) V: the table takes T·S·d, and the second product T·S·e.
    Hint 2: Q (Kᵀ V): the matrix Kᵀ V is (d, e) and takes S·d·e; what does Q times it take?
    Solution: (T, d), (S, e) = Q.shape, V.shape; left, right = T*S*d + T*S*e, S*d*e + T*d*e; return (Q @ K.T @ V, left)
    if left < right else (Q @ (K.T @ V), right)
    """
    rng = fresh()
    inputs = []
    for T, S, d, e in ((2, 3, 5, 4), (9, 8, 2, 3), (12, 7, 3, 2), (3, 10, 4, 6), (1, 4, 6, 5), (11, 2, 3, 7)):
        inputs.append(tuple(torch.randn(shape, generator=rng) for shape in ((T, d), (S, d), (S, e))))
    judge(answer, inputs, cheaper, MISTAKES_1)


# --- 22.2 Linformer and its pads --------------------------------------------------------------------------------------


def linformer(Q: Tensor, K: Tensor, V: Tensor, E: Tensor, F_: Tensor, real: Tensor) -> Tensor:
    rows = []
    for q, k, v, row in zip(Q, K, V, real, strict=True):
        keys, values = E[:, row] @ k[row], F_[:, row] @ v[row]
        rows.append((q @ keys.T / q.shape[-1] ** 0.5).softmax(-1) @ values)
    return torch.stack(rows)


def _mixtures(Q, keys, values):
    return (Q @ keys.transpose(1, 2) / Q.shape[-1] ** 0.5).softmax(-1) @ values


def _zeroed(x, real):
    return x * real.unsqueeze(-1)


def pads_mixed_in(Q, K, V, E, F_, real):
    """The pads go into the mixtures: what stands behind a sentence changes it. Set them to 0 before mixing."""
    return _mixtures(Q, E @ K, F_ @ V)


def keys_only(Q, K, V, E, F_, real):
    """The keys' pads are 0 now, those of the values are still mixed in."""
    return _mixtures(Q, E @ _zeroed(K, real), F_ @ V)


def values_only(Q, K, V, E, F_, real):
    """The values' pads are 0 now, those of the keys are still mixed in."""
    return _mixtures(Q, E @ K, F_ @ _zeroed(V, real))


def mask_on_the_mixtures(Q, K, V, E, F_, real):
    """The mask is laid over the k mixtures: a mixture is no word, it holds pads and words at once."""
    scores = Q @ (E @ K).transpose(1, 2) / Q.shape[-1] ** 0.5
    scores = scores.masked_fill(~real[:, : len(E)].unsqueeze(1), -torch.inf)
    return torch.nan_to_num(scores.softmax(-1)) @ (F_ @ V)


def very_negative(Q, K, V, E, F_, real):
    """The pads are filled with a very negative number, as scores are: mixed, it drowns everything. Here pads are 0."""
    pads = ~real.unsqueeze(-1)
    return _mixtures(Q, E @ K.masked_fill(pads, -1e4), F_ @ V.masked_fill(pads, -1e4))


def one_mixture_for_both(Q, K, V, E, F_, real):
    """Values are mixed by F, not by E: the two are different matrices here."""
    return _mixtures(Q, E @ _zeroed(K, real), E @ _zeroed(V, real))


def queries_zeroed(Q, K, V, E, F_, real):
    """The queries at pads are set to 0 instead; it is the pads' keys and values that must not be mixed in."""
    return _mixtures(_zeroed(Q, real), E @ K, F_ @ V)


MISTAKES_2 = [
    pads_mixed_in, keys_only, values_only, mask_on_the_mixtures, very_negative, one_mixture_for_both, queries_zeroed,
]  # fmt: skip


@exercise("22.2", "a pad of 0 adds nothing to any mixture.")
def check_22_2(answer):
    """**Exercise 22.2 · ●●●○○ · 8 min** - repair Linformer's pads

    `linformer(Q, K, V, E, F, real)`: `Q`, `K`, `V` (B, N, d), `E`, `F` (k, N), `real` (B, N) bool, True on real words.
    The outputs of real words change with what stands in the pads. Repair it:

        def linformer(Q, K, V, E, F, real):
            keys, values = E @ K, F @ V
            return (Q @ keys.transpose(1, 2) / Q.shape[-1] ** 0.5).softmax(-1) @ values

    Hint 1: a mask on the scores comes too late: there are k columns, and each holds all words.
    Hint 2: what must a pad be, so that adding it changes nothing?
    Solution: real = real.unsqueeze(-1); keys, values = E @ (K * real), F @ (V * real); the rest stays.
    """
    rng = fresh()
    inputs = []
    for lengths, N, k, d in (([4, 2], 4, 2, 3), ([5, 3, 1], 5, 3, 2), ([3, 6], 6, 4, 4)):
        real = lengths_mask(lengths, N)
        Q, K, V = (torch.randn(len(lengths), N, d, generator=rng) for _ in range(3))
        E, F_ = (torch.randn(k, N, generator=rng) for _ in range(2))
        inputs.append((Q, K, V, E, F_, real))
    judge(answer, inputs, linformer, MISTAKES_2, planted=pads_mixed_in)


# --- 22.3 causal by prefix sums ---------------------------------------------------------------------------------------


def causal_linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    table = torch.einsum("btm,bsm->bts", q, k).tril()
    return table @ v / table.sum(-1, keepdim=True)


def _outer(k, v):
    return k.unsqueeze(-1) * v.unsqueeze(-2)                              # (B, T, m, e)


def _read(q, sums):
    return (q.unsqueeze(-2) @ sums).squeeze(-2)


def no_normaliser(q, k, v):
    """The normaliser is missing: divide by φ(q_i)·Σ_(j ≤ i) φ(k_j), or weights do not add up to 1."""
    return _read(q, _outer(k, v).cumsum(1))


def normaliser_of_all(q, k, v):
    """The values are summed up to place i, the normaliser over the whole sentence: both sums stop at i."""
    return _read(q, _outer(k, v).cumsum(1)) / (q * k.sum(1, keepdim=True)).sum(-1, keepdim=True)


def sums_over_all(q, k, v):
    """This is not causal: a word's sums hold its future too. A running sum, cumsum, stops at the word itself."""
    return (q @ (k.transpose(1, 2) @ v)) / (q * k.sum(1, keepdim=True)).sum(-1, keepdim=True)


def leaves_itself_out(q, k, v):
    """A word must see itself as well: here its sums stop one word earlier (so that the first has nothing)."""
    sums, total = _outer(k, v).cumsum(1) - _outer(k, v), k.cumsum(1) - k
    return torch.nan_to_num(_read(q, sums) / (q * total).sum(-1, keepdim=True), posinf=0, neginf=0)


def backwards(q, k, v):
    """The sums run from the end: a word sees what follows it, not what came before."""
    sums, total = _outer(k, v).flip(1).cumsum(1).flip(1), k.flip(1).cumsum(1).flip(1)
    return _read(q, sums) / (q * total).sum(-1, keepdim=True)


def mean_instead(q, k, v):
    """This divides by the number of words so far; the normaliser depends on the query: φ(q_i)·Σ_(j ≤ i) φ(k_j)."""
    return _read(q, _outer(k, v).cumsum(1)) / torch.arange(1, q.shape[1] + 1).view(-1, 1)


def softmax_of_the_table(q, k, v):
    """A softmax over the table is another attention; here the kernels themselves are the weights, divided by a sum."""
    table = (q @ k.transpose(1, 2)).masked_fill(torch.ones(q.shape[1], k.shape[1]).triu(1).bool(), -torch.inf)
    return table.softmax(-1) @ v


def over_the_batch(q, k, v):
    """The running sum goes along dimension 0, from sentence to sentence: the words are dimension 1."""
    return _read(q, _outer(k, v).cumsum(0)) / (q * k.cumsum(0)).sum(-1, keepdim=True)


MISTAKES_3 = [
    no_normaliser, normaliser_of_all, sums_over_all, leaves_itself_out, backwards, mean_instead, softmax_of_the_table,
    over_the_batch,
]  # fmt: skip


@exercise("22.3", "no T x T table anywhere, and no word has seen its future.")
def check_22_3(answer):
    """**Exercise 22.3 · ●●●○○ · 12 min** - causal, by prefix sums

    Write `causal_linear(q, k, v)`: `q`, `k` (B, T, m) hold the features φ(q), φ(k), all positive; `v` (B, T, e). Return
    (B, T, e): for every i the sum of φ(q_i)·φ(k_j) v_j over j ≤ i, divided by the sum of φ(q_i)·φ(k_j) over j ≤ i. No
    T x T table, no loop: `cumsum`.

    Hint 1: the state after word i is Σ_(j ≤ i) φ(k_j) v_jᵀ: all T of them are (B, T, m, e),
    (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(1).
    Hint 2: the normaliser needs k.cumsum(1); with torch.einsum("btm,btme->bte", q, states) every query reads its own
    state.
    Solution: states = (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(1); total = (q * k.cumsum(1)).sum(-1, keepdim=True);
    return torch.einsum("btm,btme->bte", q, states) / total
    """
    rng = fresh()
    inputs = []
    for B, T, m, e in ((2, 4, 3, 2), (3, 6, 2, 4), (2, 1, 3, 3), (4, 7, 4, 4)):
        q, k = (torch.randn(B, T, m, generator=rng).exp() for _ in range(2))
        inputs.append((q, k, torch.randn(B, T, e, generator=rng)))
    judge(answer, inputs, causal_linear, MISTAKES_3, forbid=["a loop"],
          table=lambda q, k, v: (q.shape[1], q.shape[1]))  # fmt: skip


# --- 22.4 one step of the recurrent network ---------------------------------------------------------------------------


def step(q: Tensor, k: Tensor, v: Tensor, S: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    fq, fk = (torch.where(x > 0, x + 1, x.exp()) for x in (q, k))
    S, z = S + torch.einsum("bd,be->bde", fk, v), z + fk
    return torch.einsum("bd,bde->be", fq, S) / (fq * z).sum(-1, keepdim=True), S, z


def _step(q, k, v, S, z, phi=lambda x: F.elu(x) + 1, phi_q=None):
    fq, fk = (phi_q or phi)(q), phi(k)
    S, z = S + fk.unsqueeze(-1) * v.unsqueeze(-2), z + fk
    return (fq.unsqueeze(-2) @ S).squeeze(-2) / (fq * z).sum(-1, keepdim=True), S, z


def query_without_features(q, k, v, S, z):
    """The query goes through φ as well: both q and k become positive before they meet."""
    return _step(q, k, v, S, z, phi_q=lambda x: x)


def elu_alone(q, k, v, S, z):
    """φ(x) = elu(x) + 1: without the 1 features can be negative, and the normaliser can be 0."""
    return _step(q, k, v, S, z, phi=F.elu)


def relu_instead(q, k, v, S, z):
    """φ is elu(x) + 1 here; relu is another kernel, which forgets whatever is negative."""
    return _step(q, k, v, S, z, phi=F.relu)


def exp_instead(q, k, v, S, z):
    """φ is elu(x) + 1 here, not exp: above 0 it grows like x + 1."""
    return _step(q, k, v, S, z, phi=torch.exp)


def read_before_written(q, k, v, S, z):
    """The word reads before it has written: first add φ(k) vᵀ and φ(k), then ask, for a word sees itself."""
    fq = F.elu(q) + 1
    out = (fq.unsqueeze(-2) @ S).squeeze(-2) / (fq * z).sum(-1, keepdim=True)
    return out, *_step(q, k, v, S, z)[1:]


def overwritten(q, k, v, S, z):
    """The state is overwritten by the new word; it is a sum over all words so far: S + φ(k) vᵀ."""
    return _step(q, k, v, torch.zeros_like(S), torch.zeros_like(z))


def z_forgotten(q, k, v, S, z):
    """z is not carried on: it is the running sum of φ(k), as S is that of φ(k) vᵀ."""
    fq, fk = F.elu(q) + 1, F.elu(k) + 1
    S = S + fk.unsqueeze(-1) * v.unsqueeze(-2)
    return (fq.unsqueeze(-2) @ S).squeeze(-2) / (fq * fk).sum(-1, keepdim=True), S, fk


def not_divided(q, k, v, S, z):
    """The output is not divided by φ(q)·z: its weights would not add up to 1."""
    fq = F.elu(q) + 1
    _, S, z = _step(q, k, v, S, z)
    return (fq.unsqueeze(-2) @ S).squeeze(-2), S, z


MISTAKES_4 = [
    query_without_features, elu_alone, relu_instead, exp_instead, read_before_written, overwritten, z_forgotten,
    not_divided,
]  # fmt: skip


@exercise("22.4", "a Transformer layer that is a recurrent network, with a matrix for a state.")
def check_22_4(answer):
    """**Exercise 22.4 · ●●○○○ · 10 min** - one step of the recurrent network

    Write `step(q, k, v, S, z)`: `q`, `k` (B, d), `v` (B, e) of one new word, before φ; the state is `S` (B, d, e), the
    sum of φ(k_j) v_jᵀ so far, and `z` (B, d), the sum of φ(k_j). φ(x) = elu(x) + 1. Return the word's output (B, e),
    the new S and the new z.

    Hint 1: first the state: z + φ(k), and S + the outer product, φ(k).unsqueeze(-1) * v.unsqueeze(-2).
    Hint 2: then the output: φ(q) S, divided by φ(q)·z, with the new S and z.
    Solution: fq, fk = F.elu(q) + 1, F.elu(k) + 1; S = S + fk.unsqueeze(-1) * v.unsqueeze(-2); z = z + fk;
    return torch.einsum("bd,bde->be", fq, S) / (fq * z).sum(-1, keepdim=True), S, z
    """
    rng = fresh()
    inputs = []
    for B, d, e in ((2, 3, 2), (3, 2, 4), (1, 4, 4), (2, 3, 3)):
        shapes = ((B, d), (B, d), (B, e), (B, d, e))
        inputs.append((*(torch.randn(s, generator=rng) for s in shapes), 0.5 + torch.rand(B, d, generator=rng)))
    judge(answer, inputs, step, MISTAKES_4)


# --- 22.5 the positive features of the keys ---------------------------------------------------------------------------


def key_features(K: Tensor, W: Tensor) -> Tensor:
    scaled = K.double() / K.shape[1] ** 0.25
    exponents = torch.einsum("nd,md->nm", scaled, W.double()) - scaled.square().sum(1, keepdim=True) / 2
    return (exponents - exponents.max()).exp().to(K.dtype)


def _exponents(K, W, power=0.25, share=0.5):
    x = K / K.shape[1] ** power
    return x @ W.T - share * x.square().sum(1, keepdim=True)


def _topped(exponents):
    return (exponents - exponents.max()).exp()


def scale_forgotten(K, W):
    """d^(-1/4) is missing: q·k is to be divided by √d, so q and k each by the fourth root of d."""
    return _topped(_exponents(K, W, 0.0))


def root_of_d(K, W):
    """Keys are divided by √d here, and queries will be too: together that is d. Each gets the fourth root, d^(1/4)."""
    return _topped(_exponents(K, W, 0.5))


def norm_not_scaled(K, W):
    """|k'|² is that of the scaled key: here W meets the scaled one, and the norm is that of the other."""
    return _topped(K / K.shape[1] ** 0.25 @ W.T - K.square().sum(1, keepdim=True) / 2)


def own_maximum(K, W):
    """Every key is divided by a maximum of its own, which changes how keys compare: one number for all keys."""
    exponents = _exponents(K, W)
    return (exponents - exponents.amax(1, keepdim=True)).exp()


def maximum_of_each_feature(K, W):
    """Every feature is divided by a maximum of its own: one number for all keys and all features."""
    exponents = _exponents(K, W)
    return (exponents - exponents.amax(0, keepdim=True)).exp()


def norm_left_out(K, W):
    """|k'|²/2 is missing: without it the mean over W is exp(q·k) times exp(|k|²/2), long keys would win."""
    return _topped(_exponents(K, W, share=0.0))


def whole_norm(K, W):
    """Half of |k'|² is subtracted, not all of it."""
    return _topped(_exponents(K, W, share=1.0))


def norm_added(K, W):
    """|k'|²/2 is subtracted in the exponent, not added: E exp(w·x) is exp(+|x|²/2), and that is to be undone."""
    return _topped(_exponents(K, W, share=-0.5))


def no_stabiliser(K, W):
    """This is right but for the range: exp of a large number overflows. Subtract the largest exponent first."""
    return _exponents(K, W).exp()


def divided_too_late(K, W):
    """exp of a large number is inf, and inf / inf is nan: subtract the largest exponent before exp."""
    features = _exponents(K, W).exp()
    return features / features.max()


def trig(K, W):
    """cos is not positive: weights could be negative and a normaliser 0. The feature is exp(w·k' - |k'|²/2)."""
    return (K / K.shape[1] ** 0.25 @ W.T).cos()


MISTAKES_5 = [
    scale_forgotten, root_of_d, norm_not_scaled, own_maximum, maximum_of_each_feature, norm_left_out, whole_norm,
    norm_added, no_stabiliser, divided_too_late, trig,
]  # fmt: skip


@exercise("22.5", "positive, in range, and one divisor for all keys, which cancels.")
def check_22_5(answer):
    """**Exercise 22.5 · ●●●○○ · 10 min** - positive features, kept in range

    Write `key_features(K, W)` for FAVOR+ without a causal mask: `K` (N, d) keys, `W` (m, d) random vectors. Return
    (N, m): exp(w·k' - |k'|²/2) with k' = k d^(-1/4), all divided by the largest of these N·m numbers, without
    overflow: some keys are so long that exp alone gives inf. (1/√m cancels in the normaliser: leave it out.)

    Hint 1: work with the exponents, (N, m), and apply exp at the end.
    Hint 2: dividing by the largest is subtracting the largest exponent: exponents - exponents.max().
    Solution: x = K / K.shape[1] ** 0.25; exponents = x @ W.T - x.square().sum(1, keepdim=True) / 2;
    return (exponents - exponents.max()).exp()
    """
    rng = fresh()
    inputs = []
    for N, d, m, size in ((4, 3, 5, 1.0), (3, 4, 2, 0.7), (5, 2, 6, 1.5)):
        inputs.append((size * torch.randn(N, d, generator=rng), torch.randn(m, d, generator=rng)))
    long = torch.randn(3, 4, generator=rng)
    long = long + long.sign()                                              # no draw is tame
    inputs.append((long, 200 * torch.eye(4)[:2] * long[0].sign()))        # exponents of some hundreds
    judge(answer, inputs, key_features, MISTAKES_5)


# --- 22.6 repair a leak that no gradient shows ------------------------------------------------------------------------


def _favor(Q, K, V, W):
    x, y = (z / Q.shape[1] ** 0.25 for z in (Q, K))
    queries, keys = x @ W.T, y @ W.T - y.square().sum(1, keepdim=True) / 2
    return (queries - queries.amax(1, keepdim=True)).exp(), keys


def _causal(queries, keys, V):
    table = (queries @ keys.T).tril()
    return table @ V / table.sum(1, keepdim=True)


def causal_favor(Q: Tensor, K: Tensor, V: Tensor, W: Tensor) -> Tensor:
    queries, keys = _favor(*(x.double() for x in (Q, K, V, W)))
    rows = []
    for i, query in enumerate(queries):
        weights = keys[: i + 1].exp() @ query
        rows.append(weights / weights.sum() @ V[: i + 1].double())
    return torch.stack(rows).to(V.dtype)


def leaking_maximum(Q, K, V, W):
    """The largest exponent of *all* keys, later ones too, decides how much the added 1e-2 weighs: the past hears of the
    future. detach() hides it from the gradient, not from a perturbation."""
    queries, keys = _favor(Q, K, V, W)
    return _causal(queries, (keys - keys.detach().max()).exp() + 1e-2, V)


def maximum_of_the_prefix(Q, K, V, W):
    """Every key is divided by the maximum up to itself: no leak, but keys have different divisors now, and those do not
    cancel."""
    queries, keys = _favor(Q, K, V, W)
    return _causal(queries, (keys - keys.amax(1).cummax(0).values.unsqueeze(1)).exp(), V)


def maximum_of_each_key(Q, K, V, W):
    """Every key is divided by its own maximum: no leak, but the weights of different keys cannot be compared now."""
    queries, keys = _favor(Q, K, V, W)
    return _causal(queries, (keys - keys.amax(1, keepdim=True)).exp(), V)


def still_added(Q, K, V, W):
    """The maximum is gone, the added 1e-2 is still there: it gives every key a weight that softmax would not give."""
    queries, keys = _favor(Q, K, V, W)
    return _causal(queries, keys.exp() + 1e-2, V)


def norm_gone_too(Q, K, V, W):
    """With the maximum the |k'|²/2 went as well: that one belongs to the kernel, and keeps exponents small."""
    queries, _ = _favor(Q, K, V, W)
    return _causal(queries, (K / K.shape[1] ** 0.25 @ W.T).exp(), V)


def mask_gone_too(Q, K, V, W):
    """The causal mask (tril) is gone: now every word sees all of the future."""
    queries, keys = _favor(Q, K, V, W)
    table = queries @ keys.exp().T
    return table @ V / table.sum(1, keepdim=True)


MISTAKES_6 = [
    leaking_maximum, maximum_of_the_prefix, maximum_of_each_key, still_added, norm_gone_too, mask_gone_too,
]  # fmt: skip


@exercise("22.6", "the exponents are at most |w|²/2, so nothing needs a maximum, and nothing leaks.")
def check_22_6(answer):
    """**Exercise 22.6 · ●●●●○ · 12 min** - repair a leak that no gradient shows

    `causal_favor(Q, K, V, W)` is causal FAVOR+ for one head, `Q`, `K` (T, d), `V` (T, e), `W` (m, d). Its table is
    triangular and the gradient of an output with respect to later keys is exactly 0. And yet a later key changes
    earlier outputs. Repair it, so that the output is the ratio of the two sums of features, exactly:

        def causal_favor(Q, K, V, W):
            q, k = (x / Q.shape[1] ** 0.25 for x in (Q, K))
            q, k = q @ W.T, k @ W.T - k.square().sum(1, keepdim=True) / 2
            q = (q - q.amax(1, keepdim=True)).exp()
            k = (k - k.detach().max()).exp() + 1e-2
            table = (q @ k.T).tril()
            return table @ V / table.sum(1, keepdim=True)

    Hint 1: which number in it is made from all keys? Dividing all keys by it would cancel; what keeps it from
    cancelling?
    Hint 2: w·k' - |k'|²/2 is at most |w|²/2, whatever k is: do keys need a maximum at all?
    Solution: the same with k = k.exp()
    """
    rng = fresh()
    inputs = []
    for T, d, m, e in ((4, 3, 6, 2), (6, 2, 5, 3), (5, 4, 8, 4)):
        inputs.append(tuple(torch.randn(s, generator=rng) for s in ((T, d), (T, d), (T, e), (m, d))))
    judge(answer, inputs, causal_favor, MISTAKES_6, planted=leaking_maximum)


# --- what proves them -------------------------------------------------------------------------------------------------


def _by_price(Q, K, V):
    (T, d), (S, e) = Q.shape, V.shape
    left, right = T * S * d + T * S * e, S * d * e + T * d * e
    return (Q @ K.T @ V, left) if left < right else (Q @ (K.T @ V), right)


def _prefix_sums(q, k, v):
    states = (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(1)
    return torch.einsum("btm,btme->bte", q, states) / (q * k.cumsum(1)).sum(-1, keepdim=True)


def _running_sums(q, k, v):
    state, total, rows = 0, 0, []
    for i in range(q.shape[1]):
        state, total = state + k[:, i, :, None] * v[:, i, None], total + k[:, i]
        rows.append((q[:, i, :, None] * state).sum(1) / (q[:, i] * total).sum(1, keepdim=True))
    return torch.stack(rows, 1)


def _prefix_by_products(q, k, v):
    """Right, with the normaliser as a value of 1."""
    v = torch.cat([v, torch.ones_like(v[..., :1])], -1)
    sums = (q.unsqueeze(-1) * (k.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(1)).sum(-2)
    return sums[..., :-1] / sums[..., -1:]


def _features(K, W):
    x = K / K.shape[1] ** 0.25
    exponents = x @ W.T - x.square().sum(1, keepdim=True) / 2
    return (exponents - exponents.max()).exp()


def _no_maximum(Q, K, V, W):
    q, k = (x / Q.shape[1] ** 0.25 for x in (Q, K))
    q, k = q @ W.T, k @ W.T - k.square().sum(1, keepdim=True) / 2
    table = ((q - q.amax(1, keepdim=True)).exp() @ k.exp().T).tril()
    return table @ V / table.sum(1, keepdim=True)


def _pads_zero(Q, K, V, E, F_, real):
    return _mixtures(Q, E @ _zeroed(K, real), F_ @ _zeroed(V, real))


CHECKS = {
    "22_1": Check(check_22_1, [cheaper, _by_price], gallery(MISTAKES_1)),
    "22_2": Check(check_22_2, [linformer, _pads_zero], gallery(MISTAKES_2), stub=pads_mixed_in),
    "22_3": Check(check_22_3, [_prefix_sums, _prefix_by_products],
                  [*gallery(MISTAKES_3), ("a table", causal_linear, "the task allows no 4 x 4 table"),
                   ("a loop", _running_sums, "there is a loop in your function")]),
    "22_4": Check(check_22_4, [step, _step], gallery(MISTAKES_4)),
    "22_5": Check(check_22_5, [key_features, _features], gallery(MISTAKES_5)),
    "22_6": Check(check_22_6, [causal_favor, _no_maximum], gallery(MISTAKES_6), stub=leaking_maximum),
}  # fmt: skip
