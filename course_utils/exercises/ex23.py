"""Exercises of notebook 23, long memory. Tasks, hints and solutions stand in the checks' docstrings, mistakes in the
functions above each check; how they become cells: course_utils/exercises/checking.py."""

import torch
from torch import Tensor

from course_utils.exercises.checking import Check, Hint, exercise, fresh, gallery, hint_of, judge

# --- 23.1 the memory's update -----------------------------------------------------------------------------------------


def updated(memory: Tensor, hidden: Tensor, M: int) -> Tensor:
    seen = torch.cat([memory, hidden], 1).detach()
    return seen[:, max(0, seen.shape[1] - M) :]


def gradient_kept(memory, hidden, M):
    """The gradient still runs into the memory, and from there through all earlier segments: detach what is kept."""
    return updated(memory, hidden, M) + 0 * hidden.sum()


def first_kept(memory, hidden, M):
    """The oldest states are kept; a memory keeps the last M, those just before the next segment."""
    return torch.cat([memory, hidden], 1).detach()[:, :M]


def old_memory_lost(memory, hidden, M):
    """Only the segment just read is kept; where it is shorter than M, states of the old memory stay as well."""
    return hidden.detach()[:, max(0, hidden.shape[1] - M) :]


def wrong_order(memory, hidden, M):
    """The old memory has been put behind the segment: it came first, so cat([memory, hidden])."""
    seen = torch.cat([hidden, memory], 1).detach()
    return seen[:, max(0, seen.shape[1] - M) :]


def minus_zero(memory, hidden, M):
    """With M = 0 this keeps everything: [-0:] is [0:]. Begin the slice at max(0, length - M)."""
    return torch.cat([memory, hidden], 1).detach()[:, -M:]


def never_forgets(memory, hidden, M):
    """Nothing is ever dropped: the memory grows with the text. Keep the last M states."""
    return torch.cat([memory, hidden], 1).detach()


def whole_segments(memory, hidden, M):
    """The whole segment is kept, and M states before it: M counts all that is kept."""
    return torch.cat([memory[:, max(0, memory.shape[1] - M) :], hidden], 1).detach()


MISTAKES_1 = [
    gradient_kept, first_kept, old_memory_lost, wrong_order, minus_zero, never_forgets, whole_segments,
]  # fmt: skip


@exercise("23.1", "the last M states go on to the next segment, their history does not.")
def check_23_1(answer):
    """**Exercise 23.1 · ●●○○○ · 8 min** - what the next segment will find

    Write `update(memory, hidden, M)`: `memory` (B, m, D) are the states that a layer kept so far, `hidden` (B, T, D)
    those of the segment just read. Returns what it keeps for the next segment: the last M of all, without gradient,
    (B, min(M, m + T), D). m, T and M may be anything, M = 0 too.

    Hint 1: put them one after the other with torch.cat along dimension 1, oldest first.
    Hint 2: .detach() cuts the gradient. What is x[:, -M:] when M is 0?
    Solution: seen = torch.cat([memory, hidden], 1).detach(); return seen[:, max(0, seen.shape[1] - M):]
    """

    def asked(memory, hidden, M):
        kept = answer(memory, hidden, M)
        if isinstance(kept, Tensor) and kept.requires_grad:
            raise Hint(hint_of(gradient_kept))
        return kept

    rng, inputs = fresh(), []
    for B, m, T, M, D in ((2, 4, 3, 4, 2), (1, 2, 3, 4, 3), (3, 0, 3, 2, 2), (2, 3, 2, 0, 2), (2, 1, 2, 6, 1)):
        states = (torch.randn(B, n, D, generator=rng).requires_grad_() for n in (m, T))
        inputs.append((*states, M))
    judge(asked, inputs, updated, MISTAKES_1)


# --- 23.2 the causal mask with a memory -------------------------------------------------------------------------------


def memory_mask(T: int, M: int) -> Tensor:
    return torch.arange(M + T).unsqueeze(0) <= M + torch.arange(T).unsqueeze(1)


def diagonal_not_moved(T, M):
    """The first query sees one key, the oldest of the memory: the diagonal must begin at column M, tril(diagonal=M)."""
    return torch.ones(T, M + T).tril().bool()


def memory_hidden(T, M):
    """The memory is hidden: all of it lies in the past, so every query may see it."""
    return torch.cat([torch.zeros(T, M), torch.ones(T, T).tril()], 1).bool()


def own_place_hidden(T, M):
    """A query does not see its own place here; causal means "not later", and its own place is not later."""
    return torch.ones(T, M + T).tril(M - 1).bool()


def one_look_ahead(T, M):
    """Every query sees one key of the future: the first one sees M keys of the memory and its own."""
    return torch.ones(T, M + T).tril(M + 1).bool()


def everything_seen(T, M):
    """Every query sees the whole segment, later places too: those must be False."""
    return torch.ones(T, M + T).bool()


def memory_behind(T, M):
    """The memory stands behind the segment here: its M keys come first."""
    return torch.cat([torch.ones(T, T).tril(), torch.ones(T, M)], 1).bool()


def true_means_hidden(T, M):
    """True and False are the other way round: True = may attend, everywhere in the course."""
    return ~memory_mask(T, M)


MISTAKES_2 = [
    diagonal_not_moved, memory_hidden, own_place_hidden, one_look_ahead, everything_seen, memory_behind,
    true_means_hidden,
]  # fmt: skip


@exercise("23.2", "all of the memory, and the segment up to the query's own place.")
def check_23_2(answer):
    """**Exercise 23.2 · ●○○○○ · 6 min** - who may look at whom

    Write `memory_mask(T, M)`: T queries of a segment, whose keys are M states of the memory and then the T of the
    segment. Returns (T, M + T) bool, True = may attend. M may be 0.

    Hint 1: the first query sees M + 1 keys, each next one sees one more.
    Hint 2: torch.ones(rows, columns).tril(diagonal=...) moves the diagonal to the right.
    Solution: return torch.ones(T, M + T).tril(diagonal=M).bool()
    """
    judge(answer, [(3, 2), (4, 0), (2, 5), (5, 1), (1, 3)], memory_mask, MISTAKES_2)


# --- 23.3 positions that restart --------------------------------------------------------------------------------------


def distances(T: int, M: int) -> Tensor:
    return torch.arange(M, M + T).unsqueeze(1) - torch.arange(M + T).unsqueeze(0)


def places_restart(T, M):
    """The count begins anew in the segment, so the memory's word 0 and the segment's word 0 are equally far. Count on:
    the queries stand at M ... M + T - 1."""
    keys = torch.cat([torch.arange(M), torch.arange(T)])
    return torch.arange(T).unsqueeze(1) - keys.unsqueeze(0)


def queries_restart(T, M):
    """The keys are counted through, but the queries begin at 0: they are the last T of the places, from M on."""
    return torch.arange(T).unsqueeze(1) - torch.arange(M + T).unsqueeze(0)


def sign_turned(T, M):
    """This is j - i; asked is i - j, how far back the key lies: positive for the memory."""
    return -distances(T, M)


def without_sign(T, M):
    """Earlier and later keys get the same numbers: keep the sign of i - j."""
    return distances(T, M).abs()


def memory_backwards(T, M):
    """The memory is counted backwards: its first key is the oldest, so the farthest."""
    keys = torch.cat([torch.arange(M).flip(0), torch.arange(M, M + T)])
    return torch.arange(M, M + T).unsqueeze(1) - keys.unsqueeze(0)


def memory_negative_once_more(T, M):
    """The last word of the memory and the first of the segment are at the same place here: the memory ends at -1, not
    at 0, when the segment begins at 0."""
    keys = torch.cat([torch.arange(M) - M + 1, torch.arange(T)])
    return torch.arange(T).unsqueeze(1) - keys.unsqueeze(0)


MISTAKES_3 = [
    places_restart, queries_restart, sign_turned, without_sign, memory_backwards, memory_negative_once_more,
]  # fmt: skip


@exercise("23.3", "one line of places through memory and segment: every distance is the true one.")
def check_23_3(answer):
    """**Exercise 23.3 · ●●○○○ · 8 min** - repair: positions restart in each segment

    `distances(T, M)` returns (T, M + T) whole numbers: how many places key j lies before query i, i - j on one line
    that runs through memory (M keys) and segment (T keys); negative for later keys. This one gives the same distance
    to two different words. Repair it:

        def distances(T, M):
            keys = torch.cat([torch.arange(M), torch.arange(T)])
            queries = torch.arange(T)
            return queries.unsqueeze(1) - keys.unsqueeze(0)

    Hint 1: print distances(3, 3). Which number should stand in the upper left corner?
    Hint 2: the keys' places are 0 ... M + T - 1, and the queries are the last T of them.
    Solution: return torch.arange(M, M + T).unsqueeze(1) - torch.arange(M + T).unsqueeze(0)
    """
    judge(answer, [(3, 3), (4, 2), (2, 5), (3, 0), (1, 2)], distances, MISTAKES_3, planted=places_restart)


# --- 23.4 the shift ---------------------------------------------------------------------------------------------------


def shift(x: Tensor) -> Tensor:
    T, S = x.shape
    moved = torch.zeros_like(x)
    for i in range(T):
        for j in range(S - T + i + 1):
            moved[i, j] = x[i, S - 1 - (S - T + i - j)]
    return moved


def _shift_in_place(x, drop):
    T, S = x.shape
    return torch.cat([x.new_zeros(T, 1), x], 1).view(S + 1, T)[drop].reshape(T, S)


def not_shifted(x):
    """Every row is where it was: column j of row i still holds distance S - 1 - j, whichever query asks."""
    return x.tril(x.shape[1] - x.shape[0])


def rubbish_left(x):
    """The shift is right, but above the diagonal stand numbers that belong to other rows: later keys get 0, tril."""
    return _shift_in_place(x, slice(1, None))


def last_row_dropped(x):
    """The last row was dropped; it is the first one that has to go, with the first of the added zeros."""
    return _shift_in_place(x, slice(None, -1)).tril(x.shape[1] - x.shape[0])


def zero_behind(x):
    """The zero was added behind every row; it belongs in front, so that each row begins one later than that above."""
    T, S = x.shape
    return torch.cat([x, x.new_zeros(T, 1)], 1).view(S + 1, T)[1:].reshape(T, S).tril(S - T)


def shifted_the_other_way(x):
    """The rows are shifted by i, so the last one most: it needs no shift at all, and the first one T - 1."""
    T, S = x.shape
    moved = torch.zeros_like(x)
    for i in range(T):
        moved[i, : S - i] = x[i, i:]
    return moved.tril(S - T)


def square_only(x):
    """The diagonal is that of a square: with a memory, later keys begin at column S - T + i + 1, tril(S - T)."""
    return shift(x).tril()


MISTAKES_4 = [
    not_shifted, rubbish_left, last_row_dropped, zero_behind, shifted_the_other_way, square_only,
]  # fmt: skip


@exercise("23.4", "no index was made: the memory's own layout does the shift.")
def check_23_4(answer):
    """**Exercise 23.4 · ●●●○○ · 12 min** - the relative shift

    Write `shift(x)`: `x` (T, S) holds in row i the numbers of query i for the distances S - 1, S - 2, ..., 0. Returns
    (T, S) with the number for key j in column j: query i stands at place S - T + i, so the distance is S - T + i - j.
    Later keys (negative distances) get 0. Without a loop over rows.

    Hint 1: a column of zeros in front: torch.cat([x.new_zeros(T, 1), x], 1). Read as (S + 1, T) with .view.
    Hint 2: drop its first row, read the rest as (T, S). Clear what stands above the diagonal with .tril(S - T).
    Solution: T, S = x.shape; wide = torch.cat([x.new_zeros(T, 1), x], 1).view(S + 1, T)
    return wide[1:].reshape(T, S).tril(S - T)
    """
    rng = fresh()
    sizes = ((3, 5), (4, 4), (2, 6), (5, 7), (1, 3))
    judge(answer, [(0.5 + torch.rand(T, S, generator=rng),) for T, S in sizes], shift, MISTAKES_4, forbid=["a loop"])


# --- 23.5 how far back? -----------------------------------------------------------------------------------------------


def reach(n_layers: int, memory: int, segment: int, place: int) -> int:
    start = farthest = 0
    for _ in range(n_layers):
        farthest = start - memory
        start = farthest - farthest % segment
    return place - farthest


def one_layer_only(n_layers, memory, segment, place):
    """This is the reach of one layer; what the memory holds has itself been computed from a memory, layer by layer."""
    return place + memory


def place_forgotten(n_layers, memory, segment, place):
    """The way inside the segment is missing: from the query to the segment's beginning are `place` characters more."""
    return reach(n_layers, memory, segment, 0)


def segments_forgotten(n_layers, memory, segment, place):
    """Right when the memory is a multiple of the segment. Else the farthest state lies in the middle of a segment, and
    it has seen that segment's beginning, and the memory before it."""
    return place + n_layers * memory


def memory_and_segment(n_layers, memory, segment, place):
    """Every layer adds the memory; the segment is not added as well, since the memory begins where it begins."""
    return place + n_layers * (memory + segment)


def one_layer_missing(n_layers, memory, segment, place):
    """One layer too few: the first layer has a memory, too, that of the embeddings."""
    return reach(n_layers - 1, memory, segment, place) if n_layers > 1 else place


def whole_segments_remembered(n_layers, memory, segment, place):
    """The memory is rounded up to whole segments in every layer; the input's is not: there the farthest state is the
    end, nothing is seen before it."""
    return place + n_layers * -(-memory // segment) * segment


def multiplied(n_layers, memory, segment, place):
    """The reach grows by a sum, layer by layer, not by a product of all."""
    return place + memory**n_layers


MISTAKES_5 = [
    one_layer_only, place_forgotten, segments_forgotten, memory_and_segment, one_layer_missing,
    whole_segments_remembered, multiplied,
]  # fmt: skip


@exercise("23.5", "layers add up what no single one can see.")
def check_23_5(answer):
    """**Exercise 23.5 · ●●●○○ · 12 min** - reach after L layers

    Write `reach(n_layers, memory, segment, place)`: how many characters back can an output depend on? It stands at
    `place` (from 0) of its segment; each layer sees its segment and the `memory` places before it. A state in the
    memory was made when its own segment was read, which had a beginning and a memory of its own. Returns a whole
    number (0: only on itself); there are segments enough before it.

    Hint 1: call the segment's beginning 0. The last layer sees back to -memory. In which segment is that, and where
    does that segment begin?
    Hint 2: a loop over the layers: farthest = start - memory, then start = farthest // segment * segment.
    Solution: start = 0
    for _ in range(n_layers): farthest = start - memory; start = farthest // segment * segment
    return place - farthest
    """
    some = [(1, 3, 4, 2), (2, 4, 4, 1), (3, 6, 4, 3), (3, 3, 8, 0), (4, 10, 4, 2), (2, 5, 3, 1), (3, 8, 4, 3)]
    judge(answer, some, reach, MISTAKES_5)


# --- what proves the checks -------------------------------------------------------------------------------------------


def _right_update(memory, hidden, M):
    kept = torch.cat([memory, hidden], dim=1)
    return kept[:, kept.shape[1] - min(M, kept.shape[1]) :].detach()


def _right_mask(T, M):
    return torch.ones(T, M + T).tril(diagonal=M).bool()


def _right_distances(T, M):
    keys = torch.cat([torch.arange(-M, 0), torch.arange(T)])
    return torch.arange(T).unsqueeze(1) - keys.unsqueeze(0)


def _right_shift(x):
    T, S = x.shape
    return _shift_in_place(x, slice(1, None)).tril(S - T)


def _shift_by_gather(x):
    """Right, by an index."""
    T, S = x.shape
    distance = S - T + torch.arange(T).unsqueeze(1) - torch.arange(S)
    return x.gather(1, (S - 1 - distance).clamp(0, S - 1)) * (distance >= 0)


def _right_reach(n_layers, memory, segment, place):
    start = 0
    for _ in range(n_layers):
        farthest = start - memory
        start = farthest // segment * segment
    return place - farthest


CHECKS = {
    "23_1": Check(check_23_1, [updated, _right_update], gallery(MISTAKES_1)),
    "23_2": Check(check_23_2, [memory_mask, _right_mask], gallery(MISTAKES_2)),
    "23_3": Check(check_23_3, [distances, _right_distances], gallery(MISTAKES_3), stub=places_restart),
    "23_4": Check(check_23_4, [_right_shift, _shift_by_gather],
                  [*gallery(MISTAKES_4), ("a loop", shift, "there is a loop in your function")]),
    "23_5": Check(check_23_5, [reach, _right_reach], gallery(MISTAKES_5)),
}  # fmt: skip
