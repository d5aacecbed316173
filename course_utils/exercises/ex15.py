"""Exercises of notebook 15, positions. Tasks, hints and solutions stand in the checks' docstrings, mistakes in the
functions above each check; how they become cells: course_utils/exercises/checking.py."""

import math

import torch
from torch import Tensor

from course_utils.attention.positions import SinusoidalPositions
from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge

# --- 15.1 a table of sines --------------------------------------------------------------------------------------------


def sine_table(n_places: int, d: int) -> Tensor:
    rows = []
    for p in range(n_places):
        angles = [p / 10000 ** (2 * i / d) for i in range(d // 2)]
        rows.append([f(angle) for angle in angles for f in (math.sin, math.cos)])
    return torch.tensor(rows, dtype=torch.float64)


def _woven(angles: Tensor) -> Tensor:
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


def _angles(places: Tensor, exponents: Tensor) -> Tensor:
    return places.double().unsqueeze(-1) * 10000.0**-exponents


def _halves_of(d: int) -> Tensor:
    return torch.arange(0, d, 2, dtype=torch.float64)


def sines_first(n_places, d):
    """All sines stand before all cosines: the numbers of tensor2tensor's layout; the paper, and this task, put them in
    turn: sin, cos, sin, cos, ..."""
    angles = _angles(torch.arange(n_places), _halves_of(d) / d)
    return torch.cat([angles.sin(), angles.cos()], -1)


def exponent_i_over_d(n_places, d):
    """The exponent is i/d here; for the pair i it is 2i/d, so that the last pair comes near 1."""
    return _woven(_angles(torch.arange(n_places), _halves_of(d) / 2 / d))


def own_angle_each(n_places, d):
    """Each dimension has an angle of its own; the sine and the cosine of one pair share one: that makes it a clock."""
    angles = _angles(torch.arange(n_places), torch.arange(d, dtype=torch.float64) / d)
    return torch.where(torch.arange(d) % 2 == 0, angles.sin(), angles.cos())


def tensor2tensor(n_places, d):
    """This divides by d - 2, as tensor2tensor's code does; the paper's formula divides by d."""
    return _woven(_angles(torch.arange(n_places), _halves_of(d) / (d - 2)))


def starts_at_one(n_places, d):
    """The first row is place 1; places are counted from 0, whose sines are 0 and whose cosines are 1."""
    return _woven(_angles(torch.arange(1, n_places + 1), _halves_of(d) / d))


def cosine_first(n_places, d):
    """Sine and cosine have changed places: dimension 2i holds the sine, 2i + 1 the cosine."""
    angles = _angles(torch.arange(n_places), _halves_of(d) / d)
    return torch.stack([angles.cos(), angles.sin()], -1).flatten(-2)


def times_the_power(n_places, d):
    """The place is multiplied by 10000^(2i/d): the hands get faster and faster; it is divided by it."""
    return _woven(_angles(torch.arange(n_places), -_halves_of(d) / d))


MISTAKES_1 = [
    sines_first, exponent_i_over_d, own_angle_each, tensor2tensor, starts_at_one, cosine_first, times_the_power,
]  # fmt: skip


@exercise("15.1", "one clock for each pair, the first fast and the last slow.")
def check_15_1(answer):
    """**Exercise 15.1 · ●○○○○ · 8 min** - the table of sines

    Write `my_table(n_places, d)`: the sinusoidal positions of places 0 to n_places - 1, (n_places, d) float, d even:
    PE(p, 2i) = sin(p / 10000^(2i/d)), PE(p, 2i+1) = cos(p / 10000^(2i/d)). Loops are fine.

    Hint 1: i runs from 0 to d/2 - 1; sine and cosine of one i have the same angle and stand side by side.
    Hint 2: torch.stack([angles.sin(), angles.cos()], -1).flatten(-2) weaves two (P, d/2) into (P, d).
    Solution: angles = torch.arange(n_places).unsqueeze(1) / 10000 ** (torch.arange(0, d, 2) / d); then hint 2
    """
    more = 3 + int(torch.randint(6, (1,), generator=fresh()))
    judge(answer, [(5, 4), (3, 6), (more, 8), (1, 4), (40, 10)], sine_table, MISTAKES_1)


# --- 15.2 the shift as a matrix ---------------------------------------------------------------------------------------


def shift(d: int, k: int) -> Tensor:
    matrix = torch.zeros(d, d, dtype=torch.float64)
    for i in range(d // 2):
        angle = k / 10000 ** (2 * i / d)
        s, c = 2 * i, 2 * i + 1                                           # rows and columns of the sine, the cosine
        matrix[s, s] = matrix[c, c] = math.cos(angle)
        matrix[c, s], matrix[s, c] = math.sin(angle), -math.sin(angle)
    return matrix


def _blocks(angles: Tensor, low: int = 1, high: int = -1) -> Tensor:
    """2x2 blocks [[cos, high sin], [low sin, cos]] along the diagonal."""
    return torch.block_diag(*(torch.tensor([[a.cos(), high * a.sin()], [low * a.sin(), a.cos()]]) for a in angles))


def _turns(d: int, k: float) -> Tensor:
    return k * 10000.0 ** (-_halves_of(d) / d)


def shifts_back(d, k):
    """This is the transposed matrix, which shifts by -k: rows are multiplied from the left, PE(p) M, so the column
    of the sine takes sin(p) cos(k) + cos(p) sin(k)."""
    return _blocks(_turns(d, k), -1, 1)


def one_speed(d, k):
    """All pairs are turned by the angle k; pair i goes slower, by k / 10000^(2i/d)."""
    return _blocks(torch.full((d // 2,), float(k), dtype=torch.float64))


def always_one(d, k):
    """The offset is not used: this is the shift by one place; the angles must be multiplied by k."""
    return _blocks(_turns(d, 1))


def no_minus(d, k):
    """Both sines have the same sign: that is no turn. cos(p + k) = cos p cos k - sin p sin k has a minus."""
    return _blocks(_turns(d, k), 1, 1)


def diagonal_only(d, k):
    """Sine and cosine of a pair are not mixed: the sine after the shift needs the cosine before it."""
    return _blocks(_turns(d, k), 0, 0)


def blocks_of_halves(d, k):
    """This is the matrix for sines first, cosines after; here they stand in turn, so each 2 x 2 block lies on the
    diagonal."""
    order = torch.cat([torch.arange(0, d, 2), torch.arange(1, d, 2)])
    return _blocks(_turns(d, k))[order][:, order]


def slower_and_slower(d, k):
    """The angle of pair i is k · 10000^(2i/d) here: divide by that power."""
    return _blocks(k * 10000.0 ** (_halves_of(d) / d))


MISTAKES_2 = [shifts_back, one_speed, always_one, no_minus, diagonal_only, blocks_of_halves, slower_and_slower]


@exercise("15.2", "one matrix for all places: each clock is turned on by its own angle.")
def check_15_2(answer):
    """**Exercise 15.2 · ●●○○○ · 10 min** - the shift as a matrix

    Write `my_shift(d, k)`: the matrix M (d, d) with PE(p + k) = PE(p) M for every place p; PE(p) is a row of the table
    of exercise 15.1 (sine and cosine in turn). Addition theorems: sin(a + b) = sin a cos b + cos a sin b,
    cos(a + b) = cos a cos b - sin a sin b.

    Hint 1: only the two entries of one pair mix: M has d/2 blocks of 2 x 2 on its diagonal, zeros elsewhere.
    Hint 2: with the angle k / 10000^(2i/d), the column of the sine holds cos above sin, the next one -sin above cos.
    Solution: blocks [[cos, -sin], [sin, cos]] put together with torch.block_diag
    """
    more = 3 + int(torch.randint(20, (1,), generator=fresh()))
    judge(answer, [(4, 2), (6, 3), (8, -2), (4, more), (2, 5)], shift, MISTAKES_2)


# --- 15.3 which row of the table --------------------------------------------------------------------------------------


def rows_by_distance(T: int, k: int) -> Tensor:
    return torch.tensor([[min(max(j - i, -k), k) + k for j in range(T)] for i in range(T)])


def _distance(T: int) -> Tensor:
    where = torch.arange(T)
    return where.unsqueeze(0) - where.unsqueeze(1)


def query_minus_key(T, k):
    """The sign is turned round: the distance is the key's place minus the query's, j - i."""
    return (-_distance(T)).clamp(-k, k) + k


def never_cut_off(T, k):
    """Distances beyond k are not cut off: the table has 2k + 1 rows, numbers 0 to 2k."""
    return _distance(T) + k


def negative_rows(T, k):
    """These are the cut-off distances, from -k to k; a table has no negative rows: add k."""
    return _distance(T).clamp(-k, k)


def without_direction(T, k):
    """Before and after share a row here: Shaw's distances have a sign, 2k + 1 rows and not k + 1."""
    return _distance(T).abs().clamp(max=k)


def only_far_ahead(T, k):
    """Only distances above k are cut off; those below -k are too."""
    return _distance(T).clamp(max=k) + k


def cut_too_early(T, k):
    """The distance k itself is cut off to k - 1: it has a row of its own."""
    return _distance(T).clamp(1 - k, k - 1) + k


def cut_after_the_shift(T, k):
    """k is added before cutting off at ±k: then everything ahead falls into one row. Cut off first, then add k."""
    return (_distance(T) + k).clamp(-k, k)


MISTAKES_3 = [
    query_minus_key, never_cut_off, negative_rows, without_direction, only_far_ahead, cut_too_early,
    cut_after_the_shift,
]  # fmt: skip


@exercise("15.3", "far is far: all distances beyond k share a vector.")
def check_15_3(answer):
    """**Exercise 15.3 · ●●○○○ · 8 min** - which vector for which pair?

    Shaw's relative positions have a table of 2k + 1 vectors, for the distances -k to k. Write `my_rows(T, k)`: (T, T)
    long, entry [i, j] the row (0 to 2k) for query i and key j: the distance is j - i, cut off at -k and k.

    Hint 1: where.unsqueeze(0) - where.unsqueeze(1) with where = torch.arange(T) holds j - i.
    Hint 2: clamp(-k, k) cuts off; the distance -k belongs to row 0.
    Solution: (where.unsqueeze(0) - where.unsqueeze(1)).clamp(-k, k) + k
    """
    more = 4 + int(torch.randint(4, (1,), generator=fresh()))
    judge(answer, [(5, 2), (6, 3), (3, 1), (more, 2), (2, 4)], rows_by_distance, MISTAKES_3)


# --- 15.4 turning pairs -----------------------------------------------------------------------------------------------


def rotated(x: Tensor, places: Tensor) -> Tensor:
    rows = []
    for vector, p in zip(x.tolist(), places.tolist(), strict=True):
        row = []
        for i in range(len(vector) // 2):
            angle, (a, b) = p / 10000 ** (2 * i / len(vector)), vector[2 * i : 2 * i + 2]
            row += [a * math.cos(angle) - b * math.sin(angle), a * math.sin(angle) + b * math.cos(angle)]
        rows.append(row)
    return torch.tensor(rows, dtype=x.dtype)


def _turned(x: Tensor, angles: Tensor, low: int = 1, high: int = -1) -> Tensor:
    a, b, cos, sin = x[:, 0::2], x[:, 1::2], angles.cos(), angles.sin()
    return torch.stack([a * cos + high * b * sin, low * a * sin + b * cos], -1).flatten(1)


def _by_place(x: Tensor, places: Tensor) -> Tensor:
    return places.double().unsqueeze(1) * 10000.0 ** (-_halves_of(x.shape[1]) / x.shape[1])


def pairs_of_halves(x, places):
    """Entry i is paired with entry i + d/2 here; in this task pairs are neighbours, 0 with 1, 2 with 3."""
    angles, (a, b) = _by_place(x, places), x.chunk(2, 1)
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], 1)


def clockwise(x, places):
    """The pairs are turned the other way, by minus the angle: the first entry gets a cos - b sin."""
    return _turned(x, _by_place(x, places), -1, 1)


def same_angle_everywhere(x, places):
    """All pairs are turned by p itself; pair i is turned by p / 10000^(2i/d)."""
    return _turned(x, places.double().unsqueeze(1).expand(-1, x.shape[1] // 2))


def places_not_used(x, places):
    """The rows are taken to stand at 0, 1, 2, ...; where they stand says `places`."""
    return _turned(x, _by_place(x, torch.arange(len(x))))


def stretched(x, places):
    """Both products with the sine have the same sign: that is no turn, it changes the length of the pair."""
    return _turned(x, _by_place(x, places), 1, 1)


def added(x, places):
    """The sines are added to x; rotary positions turn the pairs of x and add nothing."""
    return x + _woven(_by_place(x, places))


def half_the_exponent(x, places):
    """The exponent is i/d; it is 2i/d for pair i."""
    angles = places.double().unsqueeze(1) * 10000.0 ** (-_halves_of(x.shape[1]) / 2 / x.shape[1])
    return _turned(x, angles)


def from_one(x, places):
    """Everything is turned by one place too much: place 0 is not turned at all."""
    return _turned(x, _by_place(x, places + 1))


MISTAKES_4 = [
    pairs_of_halves, clockwise, same_angle_everywhere, places_not_used, stretched, added, half_the_exponent, from_one,
]  # fmt: skip


@exercise("15.4", "lengths stay, angles between places are all that is left.")
def check_15_4(answer):
    """**Exercise 15.4 · ●●●○○ · 10 min** - turn the pairs

    Write `my_rotate(x, places)`: `x` (T, d) float, queries or keys of one head, `places` (T,) long, where they stand.
    The pair (x[t, 2i], x[t, 2i+1]) is turned anticlockwise by the angle places[t] / 10000^(2i/d). Returns (T, d).

    Hint 1: with a = x[:, 0::2] and b = x[:, 1::2], a turn by α gives a cos α - b sin α and a sin α + b cos α.
    Hint 2: the angles are (T, d/2): places.unsqueeze(1) * 10000 ** (-torch.arange(0, d, 2) / d).
    Solution: torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(1)
    """
    rng = fresh()
    inputs = []
    for T, d, where in ((3, 4, [0, 1, 2]), (4, 6, [5, 2, 0, 9]), (2, 8, [30, 7]), (3, 2, [1, 1, 4])):
        inputs.append((torch.randn(T, d, generator=rng), torch.tensor(where)))
    judge(answer, inputs, rotated, MISTAKES_4)


# --- 15.5 a penalty for distance --------------------------------------------------------------------------------------


def alibi(n_heads: int, T: int) -> Tensor:
    slopes = [2 ** (-8 * h / n_heads) for h in range(1, n_heads + 1)]
    return torch.tensor([[[-m * abs(i - j) for j in range(T)] for i in range(T)] for m in slopes], dtype=torch.float64)


def _sloped(slopes: Tensor, distance: Tensor) -> Tensor:
    return -slopes.double().view(-1, 1, 1) * distance


def _slopes(n_heads: int) -> Tensor:
    return 2.0 ** (-8 * torch.arange(1, n_heads + 1, dtype=torch.float64) / n_heads)


def a_reward(n_heads, T):
    """Far keys are rewarded: the bias is negative, minus the slope times the distance."""
    return -_sloped(_slopes(n_heads), _distance(T).abs())


def slopes_of_eight_heads(n_heads, T):
    """The slopes are 1/2, 1/4, 1/8, ..., which is right for 8 heads only; for H heads head h has 2^(-8h/H)."""
    return _sloped(2.0 ** -torch.arange(1, n_heads + 1), _distance(T).abs())


def first_slope_is_one(n_heads, T):
    """Heads are counted from 0 here, so the first slope is 1; it is 2^(-8/H), h runs from 1 to H."""
    return _sloped(2.0 ** (-8 * torch.arange(n_heads, dtype=torch.float64) / n_heads), _distance(T).abs())


def signed_distance(n_heads, T):
    """The distance has a sign: keys before the query would be rewarded. Without a causal mask both directions count."""
    return _sloped(_slopes(n_heads), _distance(T))


def squared_distance(n_heads, T):
    """The penalty grows with the square of the distance; ALiBi's grows linearly: its name says so."""
    return _sloped(_slopes(n_heads), _distance(T) ** 2)


def one_slope(n_heads, T):
    """All heads have the same slope; each has its own, from steep to nearly flat."""
    return _sloped(_slopes(n_heads)[:1].expand(n_heads), _distance(T).abs())


def flat_first(n_heads, T):
    """The slopes stand in the opposite order: the first head is the steepest."""
    return _sloped(_slopes(n_heads).flip(0), _distance(T).abs())


def over_the_heads(n_heads, T):
    """Slope 1/H, 2/H, ...: the slopes are powers, each a fixed fraction of the one before: 2^(-8h/H)."""
    return _sloped(torch.arange(1, n_heads + 1) / n_heads, _distance(T).abs())


MISTAKES_5 = [
    a_reward, slopes_of_eight_heads, first_slope_is_one, signed_distance, squared_distance, one_slope, flat_first,
    over_the_heads,
]  # fmt: skip


@exercise("15.5", "no parameters, and each head has its own horizon.")
def check_15_5(answer):
    """**Exercise 15.5 · ●●○○○ · 8 min** - a penalty for distance

    Write `my_alibi(n_heads, T)`: (n_heads, T, T) float, what ALiBi adds to the scores of query i and key j in head
    h = 1 ... H: -m_h |i - j| with the slope m_h = 2^(-8h/H). No mask.

    Hint 1: the distances are (T, T), the slopes (H,): view the slopes as (H, 1, 1).
    Hint 2: 2.0 ** (-8 * torch.arange(1, n_heads + 1) / n_heads) are the slopes.
    Solution: -slopes.view(-1, 1, 1) * (where.unsqueeze(0) - where.unsqueeze(1)).abs()
    """
    more = 3 + int(torch.randint(3, (1,), generator=fresh()))
    judge(answer, [(4, 3), (2, 5), (3, more), (16, 2)], alibi, MISTAKES_5)


# --- 15.6 repair a decoder --------------------------------------------------------------------------------------------


def with_places(words: Tensor, n_read: int) -> Tensor:
    table = sine_table(n_read + words.shape[1], words.shape[2])
    return torch.stack([torch.stack([x + table[n_read + t] for t, x in enumerate(row)]) for row in words])


def _at(words: Tensor, where: Tensor) -> Tensor:
    return words + SinusoidalPositions(words.shape[-1])(where).to(words.dtype)


def always_the_first(words, n_read):
    """Read one by one, every word is taken to stand at place 0: n_read words stand before it."""
    return _at(words, torch.arange(words.shape[1]))


def one_too_far(words, n_read):
    """The words stand one place too far: after n_read words the next one stands at place n_read, as the first at 0."""
    return _at(words, torch.arange(words.shape[1]) + n_read + 1)


def one_too_near(words, n_read):
    """The words stand one place too early: the last word read stands at n_read - 1, the next one at n_read."""
    return _at(words, (torch.arange(words.shape[1]) + n_read - 1).clamp(min=0))


def all_in_one_place(words, n_read):
    """All words of this call get the place n_read; they stand at n_read, n_read + 1, and so on."""
    return _at(words, torch.full((words.shape[1],), n_read))


def position_twice(words, n_read):
    """Two positions are added; PE(n_read) + PE(t) is not PE(n_read + t): add the places, not the vectors."""
    T = words.shape[1]
    return _at(_at(words, torch.arange(T)), torch.full((T,), n_read))


def words_lost(words, n_read):
    """Only the positions are returned; they are added to the words' vectors."""
    return _at(torch.zeros_like(words), torch.arange(words.shape[1]) + n_read)


def counted_back(words, n_read):
    """The words of this call are numbered from the last to the first: their places rise."""
    return _at(words, torch.arange(words.shape[1]).flip(0) + n_read)


MISTAKES_6 = [
    always_the_first, one_too_far, one_too_near, all_in_one_place, position_twice, words_lost, counted_back,
]  # fmt: skip


@exercise("15.6", "word by word or all at once, a word stands where it stands.")
def check_15_6(answer):
    """**Exercise 15.6 · ●●●○○ · 8 min** - repair a decoder

    In training a decoder reads all target words in one call; in decoding it reads them one by one, and this function
    makes nonsense of its translations. `words` (B, T, D) are the vectors of the T words read in this call, after
    `n_read` words read before. Repair it:

        def placed(words, n_read):
            where = torch.arange(words.shape[1])
            return words + SinusoidalPositions(words.shape[2])(where)

    Hint 1: in training n_read = 0 and all is well; at the third step of decoding T = 1 and n_read = 2.
    Hint 2: the words of this call stand at n_read, n_read + 1, ..., n_read + T - 1.
    Solution: where = n_read + torch.arange(words.shape[1])
    """
    rng = fresh()
    sizes = ((2, 3, 4, 0), (1, 1, 6, 2), (3, 1, 4, 7), (2, 3, 4, 5), (2, 2, 8, 1))
    inputs = [(torch.randn(B, T, D, generator=rng), n_read) for B, T, D, n_read in sizes]
    judge(answer, inputs, with_places, MISTAKES_6, planted=always_the_first)


# --- what proves them -------------------------------------------------------------------------------------------------


def _whole_table(n_places, d):
    return _woven(_angles(torch.arange(n_places), _halves_of(d) / d))


def _in_float32(n_places, d):
    return SinusoidalPositions(d)(torch.arange(n_places)).float()


def _by_blocks(d, k):
    return _blocks(_turns(d, k))


def _all_turned(x, places):
    return _turned(x, _by_place(x, places))


def _cut(T, k):
    return _distance(T).clamp(-k, k) + k


def _as_floats(T, k):
    return _cut(T, k).float()


def _all_heads(n_heads, T):
    return _sloped(_slopes(n_heads), _distance(T).abs())


def _repaired(words, n_read):
    return _at(words, n_read + torch.arange(words.shape[1]))


CHECKS = {
    "15_1": Check(check_15_1, [sine_table, _whole_table, _in_float32], gallery(MISTAKES_1)),
    "15_2": Check(check_15_2, [shift, _by_blocks], gallery(MISTAKES_2)),
    "15_3": Check(check_15_3, [rows_by_distance, _cut],
                  [*gallery(MISTAKES_3), ("floats", _as_floats, "numbers with a fraction")]),
    "15_4": Check(check_15_4, [rotated, _all_turned], gallery(MISTAKES_4)),
    "15_5": Check(check_15_5, [alibi, _all_heads], gallery(MISTAKES_5)),
    "15_6": Check(check_15_6, [with_places, _repaired], gallery(MISTAKES_6), stub=always_the_first),
}  # fmt: skip
