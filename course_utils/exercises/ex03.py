"""Exercises of notebook 03, gated cells. Tasks, hints and solutions stand in the checks' docstrings, mistakes in the
functions above each check; how they become cells: course_utils/exercises/checking.py."""

import torch
from torch import Tensor, sigmoid, tanh

from course_utils.exercises.checking import Check, Hint, exercise, fresh, gallery, judge


def _draw(rng: torch.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=rng)


# --- 03.1 one step, the gates given -----------------------------------------------------------------------------------


def updated(c, i, f, g, o):
    c = f * c + i * g
    return c, o * tanh(c)


def misread_forget(c, i, f, g, o):
    """The forget gate is read the wrong way round here: near 1 it KEEPS the old c, so c is multiplied by f itself."""
    return updated(c, i, 1 - f, g, o)


def always_writes(c, i, f, g, o):
    """The candidate comes in without passing its door: multiply g by the input gate."""
    return updated(c, torch.ones_like(i), f, g, o)


def doors_swapped(c, i, f, g, o):
    """Two doors have changed places: f is for the old c, i is for the candidate g."""
    return updated(c, f, i, g, o)


def shows_the_old(c, i, f, g, o):
    """This shows the old cell state; the output is made of the new one."""
    return f * c + i * g, o * tanh(c)


def no_tanh(c, i, f, g, o):
    """The output here is o times c itself; c may grow large, so it passes tanh on the way out."""
    c = f * c + i * g
    return c, o * c


def squashed_memory(c, i, f, g, o):
    """The tanh has got into the memory: only what is shown is squashed, c itself goes on as it is."""
    c = tanh(f * c + i * g)
    return c, o * c


def h_first(c, i, f, g, o):
    """These are the right numbers in the other order: first c, then h."""
    return updated(c, i, f, g, o)[::-1]


MISTAKES_1 = [misread_forget, always_writes, doors_swapped, shows_the_old, no_tanh, squashed_memory, h_first]


@exercise("03.1", "keep by f, add by i, show by o.")
def check_03_1(answer):
    """**Exercise 03.1 · ●○○○○ · 5 min** - one step, the gates given

    Write `update(c, i, f, g, o)`: the old cell state, the three gates and the candidate, all of one shape. Return the
    new cell state and the new output, (c, h).

    Hint 1: what is kept of the old c? What comes in? The new c is the sum of the two.
    Hint 2: the output is the new c, squashed by tanh, as far as the door o is open.
    Solution: c = f * c + i * g / return c, o * torch.tanh(c)
    """
    rng = fresh()
    shapes = [(3,), (4, 5), (1,), (2, 3, 2)]
    inputs = [(_draw(rng, *s, scale=2.0), *(torch.rand(*s, generator=rng) for _ in range(2)),
               tanh(_draw(rng, *s)), torch.rand(*s, generator=rng)) for s in shapes]  # fmt: skip
    judge(answer, inputs, updated, MISTAKES_1)


# --- 03.2 the whole cell from torch's weights -------------------------------------------------------------------------


def lstm(x, h, c, W, U, b):
    i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=-1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


def _permuted(order):
    def cell(x, h, c, W, U, b):
        parts = dict(zip(order, (x @ W.T + h @ U.T + b).chunk(4, dim=-1), strict=True))
        c = sigmoid(parts["f"]) * c + sigmoid(parts["i"]) * tanh(parts["g"])
        return sigmoid(parts["o"]) * tanh(c), c

    return cell


def order_ifog(x, h, c, W, U, b):
    """Candidate and output gate have changed places: torch's order is i, f, g, o."""
    return _permuted("ifog")(x, h, c, W, U, b)


def order_figo(x, h, c, W, U, b):
    """Input and forget gate have changed places: torch's order is i, f, g, o."""
    return _permuted("figo")(x, h, c, W, U, b)


def order_igfo(x, h, c, W, U, b):
    """Forget gate and candidate have changed places: torch's order is i, f, g, o."""
    return _permuted("igfo")(x, h, c, W, U, b)


def sigmoid_candidate(x, h, c, W, U, b):
    """The candidate is squashed by a sigmoid here: it is no gate, it may be negative, so tanh."""
    i, f, g, o = sigmoid(x @ W.T + h @ U.T + b).chunk(4, dim=-1)
    c = f * c + i * g
    return o * tanh(c), c


def raw_candidate(x, h, c, W, U, b):
    """The candidate comes in as it is: it passes tanh first."""
    i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=-1)
    c = sigmoid(f) * c + sigmoid(i) * g
    return sigmoid(o) * tanh(c), c


def unsquashed_output(x, h, c, W, U, b):
    """The output gate multiplies c itself: it multiplies tanh(c)."""
    i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=-1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * c, c


def no_memory_of_h(x, h, c, W, U, b):
    """The gates look at x alone: h @ U.T is missing."""
    return lstm(x, torch.zeros_like(h), c, W, U, b)


def no_bias(x, h, c, W, U, b):
    """The bias b is missing."""
    return lstm(x, h, c, W, U, torch.zeros_like(b))


def c_first(x, h, c, W, U, b):
    """These are the right numbers in the other order: torch returns h first, then c."""
    return lstm(x, h, c, W, U, b)[::-1]


MISTAKES_2 = [
    order_ifog, order_figo, order_igfo, sigmoid_candidate, raw_candidate, unsquashed_output, no_memory_of_h, no_bias,
    c_first,
]  # fmt: skip


@exercise("03.2", "this is the whole LSTM, and it reads torch's weights.")
def check_03_2(answer):
    """**Exercise 03.2 · ●●●○○ · 12 min** - the whole cell from torch's stacked weights

    Write `lstm_step(x, h, c, W, U, b)`: x (B, d_in), h and c (B, d), W (4 d, d_in), U (4 d, d), b (4 d,) with the four
    sets one above the other in torch's order i, f, g, o. Return (h, c), each (B, d). No nn.LSTM, no loop over gates.

    Hint 1: one matrix product each for x and h makes all four pre-activations at once, (B, 4 d); `chunk` cuts them.
    Hint 2: three of the four parts pass a sigmoid, the candidate passes tanh; then it is exercise 03.1.
    Solution: i, f, g, o = (x @ W.T + h @ U.T + b).chunk(4, dim=-1) / c = torch.sigmoid(f) * c + torch.sigmoid(i) *
    torch.tanh(g) / return torch.sigmoid(o) * torch.tanh(c), c
    """
    rng = fresh()
    inputs = []
    for B, d_in, d in ((2, 3, 4), (1, 1, 1), (5, 2, 3), (3, 6, 2)):
        shapes = ((B, d_in), (B, d), (B, d), (4 * d, d_in), (4 * d, d), (4 * d,))
        inputs.append(tuple(_draw(rng, *s, scale=1.5 if k == 2 else 0.8) for k, s in enumerate(shapes)))
    judge(answer, inputs, lstm, MISTAKES_2, forbid=["nn.LSTM", "a loop"])


# --- 03.3 weights by hand: a counter ----------------------------------------------------------------------------------


def counting():
    W = torch.tensor([[20.0, 0.0], [0.0, -20.0], [0.0, 0.0], [0.0, 0.0]])
    return W, torch.tensor([-10.0, 10.0, 10.0, 10.0])


def _counting(change):
    W, b = counting()
    change(W, b)
    return W, b


def soft_doors():
    """shut the input gate when nothing happens"""
    return _counting(lambda W, b: (W.mul_(0.2), b.mul_(0.2)))


def small_candidate():
    """one event adds"""
    return _counting(lambda W, b: b[2].fill_(1.0))


def forgets():
    """after 40 quiet steps"""
    return _counting(lambda W, b: (W[1].neg_(), b[1].neg_()))


def never_resets():
    """a reset leaves"""
    return _counting(lambda W, b: W[1].zero_())


def event_wipes():
    """the second event"""
    return _counting(lambda W, b: W[1, 0].fill_(-20.0))


def reset_shuts_the_input():
    """in the same step as a reset"""
    return _counting(lambda W, b: W[0, 1].fill_(-20.0))


MISTAKES_3 = [soft_doors, small_candidate, forgets, never_resets, event_wipes, reset_shuts_the_input]


def _cell_states(W: Tensor, b: Tensor, stream: Tensor) -> Tensor:
    """The cell state after each step of (T, 2) inputs (event, reset), U = 0: (T,)."""
    i, f, g, _ = (stream @ W.T + b).unbind(-1)
    c, states = torch.zeros((), dtype=W.dtype), []
    for t in range(len(stream)):
        c = sigmoid(f[t]) * c + sigmoid(i[t]) * tanh(g[t])
        states.append(c)
    return torch.stack(states)


def true_counts(stream: Tensor) -> Tensor:
    count, counts = 0, []
    for event, reset in stream.long().tolist():
        count = event + (0 if reset else count)
        counts.append(float(count))
    return torch.tensor(counts)


def _weights_of(answer) -> tuple[Tensor, Tensor]:
    """The student's (W, b) in float64, or a Hint."""
    if not isinstance(answer, tuple | list) or len(answer) != 2 or not all(isinstance(p, Tensor) for p in answer):
        raise Hint("return two tensors, W and b.")
    W, b = answer
    if W.shape != (4, 2) or b.shape != (4,):
        raise Hint(f"W has shape {tuple(W.shape)} and b {tuple(b.shape)}; needed are (4, 2) and (4,): rows i, f, g, o.")
    if W.is_complex() or b.is_complex() or not bool(W.isfinite().all() and b.isfinite().all()):
        raise Hint("W and b must hold ordinary finite numbers.")
    return W.detach().double(), b.detach().double()


def _examine(W: Tensor, b: Tensor) -> None:
    """One short stream for each thing that the counter must do, the simplest first."""
    quiet, event, reset, both = (0, 0), (1, 0), (0, 1), (1, 1)

    def last(*stream):
        return _cell_states(W, b, torch.tensor(stream, dtype=W.dtype))[-1].item()

    if abs(c := last(*[quiet] * 40)) > 0.1:
        raise Hint(f"40 steps without any event bring c to {c:.2f}: shut the input gate when nothing happens.")
    if abs((c := last(event)) - 1) > 0.1:
        raise Hint(f"one event adds {c:.2f} to c, not 1: input gate and candidate must both be near 1 then.")
    if not 0.9 < (c := last(event, *[quiet] * 40)) < 1.1:
        raise Hint(f"c is 1, and after 40 quiet steps {c:.2f} of it is left: the forget gate must stay near 1 to keep.")
    if abs((c := last(event, event)) - 2) > 0.1:
        raise Hint(f"the second event brings c to {c:.2f} instead of 2: an event must not touch the forget gate.")
    if abs(c := last(event, event, reset)) > 0.1:
        raise Hint(f"a reset leaves c at {c:.2f}: the forget gate must be near 0 at that step.")
    if abs((c := last(event, event, both)) - 1) > 0.1:
        raise Hint(f"an event in the same step as a reset must count: c is {c:.2f} there instead of 1.")


@exercise("03.3", "it counts, it keeps, it starts anew when it is told to.")
def check_03_3(answer):
    """**Exercise 03.3 · ●●●○○ · 12 min** - set the weights by hand: a counter

    One LSTM unit reads two inputs at every step, x = (event, reset), each 0 or 1. Write `counter_weights()`: it returns
    W (4, 2) and b (4,), rows in the order i, f, g, o, so that its cell state c counts the events since the last reset.
    An event in the same step as a reset is the first of the new count. U is zero, c begins at 0.

    Hint 1: which gate must open at an event and only then? Which must shut at a reset and only then? What must always
        be 1?
    Hint 2: σ(10) is 0.99995 and σ(-10) is 0.00005: a bias of ±10, and a weight of ±20 where an input must turn it over.
    Solution: W = torch.tensor([[20.0, 0.0], [0.0, -20.0], [0.0, 0.0], [0.0, 0.0]]) / return W, torch.tensor([-10.0,
    10.0, 10.0, 10.0])
    """

    def counts(stream):
        weights = answer()
        if weights is ... or (isinstance(weights, tuple) and any(part is ... for part in weights)):
            return ...
        W, b = _weights_of(weights)
        _examine(W, b)
        c = _cell_states(W, b, stream.double())
        return torch.where((c - c.round()).abs() < 0.3, c.round(), c).float()

    rng = fresh()
    inputs = [((torch.rand(T, 2, generator=rng) < torch.tensor([0.4, 0.15])).float(),) for T in (12, 30, 60)]
    judge(counts, inputs, true_counts)


# --- 03.4 the forget bias in torch's two vectors ----------------------------------------------------------------------


def forget_biased(bias_ih, bias_hh, value):
    d = len(bias_ih) // 4
    bias_ih, bias_hh = bias_ih.clone(), bias_hh.clone()
    bias_ih[d : 2 * d], bias_hh[d : 2 * d] = value, 0
    return bias_ih, bias_hh


def _setting(block, change):
    """A function that changes block number `block` of both vectors by `change(ih, hh, value)`."""

    def setter(bias_ih, bias_hh, value):
        d = len(bias_ih) // 4
        bias_ih, bias_hh = bias_ih.clone(), bias_hh.clone()
        part = slice(block * d, (block + 1) * d)
        bias_ih[part], bias_hh[part] = change(bias_ih[part], bias_hh[part], value)
        return bias_ih, bias_hh

    return setter


def set_in_both(bias_ih, bias_hh, value):
    """Both vectors got the value: they are added, so the gate's bias is twice of what was wanted."""
    return _setting(1, lambda ih, hh, v: (v, v))(bias_ih, bias_hh, value)


def other_left_as_it_was(bias_ih, bias_hh, value):
    """One vector is set, the other still holds its old numbers, and they are added: clear that part of it."""
    return _setting(1, lambda ih, hh, v: (v, hh))(bias_ih, bias_hh, value)


def added(bias_ih, bias_hh, value):
    """The value came on top of what was there: the old numbers of the forget gate must go."""
    return _setting(1, lambda ih, hh, v: (ih + v, hh))(bias_ih, bias_hh, value)


def input_gate_instead(bias_ih, bias_hh, value):
    """This is the first quarter, the input gate's: the order is i, f, g, o."""
    return _setting(0, lambda ih, hh, v: (v, 0))(bias_ih, bias_hh, value)


def candidate_instead(bias_ih, bias_hh, value):
    """This is the third quarter, the candidate's: the order is i, f, g, o."""
    return _setting(2, lambda ih, hh, v: (v, 0))(bias_ih, bias_hh, value)


def everywhere(bias_ih, bias_hh, value):
    """All four sets got the value: only the forget gate's quarter is meant."""
    return torch.full_like(bias_ih, value), torch.zeros_like(bias_hh)


def clears_the_rest(bias_ih, bias_hh, value):
    """The other three quarters have been cleared: leave them as they were."""
    d = len(bias_ih) // 4
    new = torch.zeros_like(bias_ih)
    new[d : 2 * d] = value
    return new, torch.zeros_like(bias_hh)


MISTAKES_4 = [
    set_in_both, other_left_as_it_was, added, input_gate_instead, candidate_instead, everywhere, clears_the_rest,
]  # fmt: skip


@exercise("03.4", "the two vectors add up to the value you wanted, once.")
def check_03_4(answer):
    """**Exercise 03.4 · ●●○○○ · 8 min** - the forget bias in torch's two vectors

    Write `set_forget_bias(bias_ih, bias_hh, value)`: torch's two bias vectors of an LSTM, each (4 d,), in the order i,
    f, g, o. Return new ones (bias_ih, bias_hh) so that the forget gate's bias is exactly `value`, whatever was there
    before, and everything else is as it was.

    Hint 1: the pre-activation holds bias_ih + bias_hh. Which entries belong to the forget gate?
    Hint 2: work on clones; in the quarter d to 2 d put the value into one of them and 0 into the other.
    Solution: d = len(bias_ih) // 4 / bias_ih, bias_hh = bias_ih.clone(), bias_hh.clone() / bias_ih[d : 2 * d] = value /
    bias_hh[d : 2 * d] = 0 / return bias_ih, bias_hh
    """

    def total(function):
        def asked(bias_ih, bias_hh, value):
            both = function(bias_ih, bias_hh, value)
            if both is ... or (isinstance(both, tuple) and any(part is ... for part in both)):
                return ...
            if not isinstance(both, tuple | list) or len(both) != 2 or not all(isinstance(p, Tensor) for p in both):
                raise Hint("return two tensors, bias_ih and bias_hh.")
            if any(part.shape != bias_ih.shape or part.is_complex() for part in both):
                raise Hint(f"each of the two must keep its shape {tuple(bias_ih.shape)}.")
            return both[0] + both[1]

        return asked

    def named(mistake):
        asked = total(mistake)
        asked.__doc__, asked.__name__ = mistake.__doc__, mistake.__name__
        return asked

    rng = fresh()
    inputs = [(_draw(rng, 4 * d), _draw(rng, 4 * d), value) for d, value in ((3, 1.0), (1, 0.5), (5, 2.0))]
    judge(total(answer), inputs, total(forget_biased), [named(m) for m in MISTAKES_4])


# --- 03.5 repair the peephole -----------------------------------------------------------------------------------------


def _peeping(see_i="old", see_f="old", see_g=None, see_o="new", rows=(0, 1, 2), outside=False):
    """An LSTM step whose gates look at "old", "new" or "squashed" cell states, or at none."""

    def step(x, h, c, W, U, b, P):
        a_i, a_f, a_g, a_o = (x @ W.T + h @ U.T + b).chunk(4, dim=-1)
        seen = {"old": c, None: torch.zeros_like(c)}
        i, f = (sigmoid(a + P[k] * seen[what]) for a, k, what in ((a_i, rows[0], see_i), (a_f, rows[1], see_f)))
        c = f * c + i * tanh(a_g + P[0] * seen[see_g])
        seen |= {"new": c, "squashed": tanh(c)}
        o = sigmoid(a_o) + P[rows[2]] * c if outside else sigmoid(a_o + P[rows[2]] * seen[see_o])
        return o * tanh(c), c

    return step


def peephole(x, h, c, W, U, b, P):
    return _peeping()(x, h, c, W, U, b, P)


def planted_peephole(x, h, c, W, U, b, P):
    """At which moment does the output gate look into the cell? It must see what it is about to show."""
    return _peeping(see_o="old")(x, h, c, W, U, b, P)


def blind_output(x, h, c, W, U, b, P):
    """Now the output gate looks at no cell state at all: P[2] times the new c belongs inside its sigmoid."""
    return _peeping(see_o=None)(x, h, c, W, U, b, P)


def squashed_peephole(x, h, c, W, U, b, P):
    """The output gate looks at tanh(c) here; a peephole sees the cell state itself."""
    return _peeping(see_o="squashed")(x, h, c, W, U, b, P)


def peephole_outside(x, h, c, W, U, b, P):
    """The peephole is added behind the sigmoid, so the gate leaves 0 to 1: it belongs inside."""
    return _peeping(outside=True)(x, h, c, W, U, b, P)


def candidate_peeps(x, h, c, W, U, b, P):
    """The candidate has got a peephole too: only the three gates have one."""
    return _peeping(see_g="old")(x, h, c, W, U, b, P)


def wrong_row(x, h, c, W, U, b, P):
    """The output gate has taken another gate's peephole weights: the rows of P are i, f, o."""
    return _peeping(rows=(0, 1, 1))(x, h, c, W, U, b, P)


def others_blinded(x, h, c, W, U, b, P):
    """The peepholes of i and f are lost: they look at the old c, as before."""
    return _peeping(see_i=None, see_f=None)(x, h, c, W, U, b, P)


MISTAKES_5 = [
    planted_peephole, blind_output, squashed_peephole, peephole_outside, candidate_peeps, wrong_row, others_blinded,
]  # fmt: skip


@exercise("03.5", "i and f decide by what was there, o by what is there now.")
def check_03_5(answer):
    """**Exercise 03.5 · ●●○○○ · 8 min** - repair the peephole

    A peephole LSTM whose metronome always ticks one step late. `P` (3, d) holds the peephole weights of i, f and o; the
    other arguments are those of 03.2. Repair `peephole_step` so that it is the cell of Gers 2002. In the cell at first:

        def peephole_step(x, h, c, W, U, b, P):
            a_i, a_f, a_g, a_o = (x @ W.T + h @ U.T + b).chunk(4, dim=-1)
            i, f, o = torch.sigmoid(a_i + P[0] * c), torch.sigmoid(a_f + P[1] * c), torch.sigmoid(a_o + P[2] * c)
            c = f * c + i * torch.tanh(a_g)
            return o * torch.tanh(c), c

    Hint 1: in which order do the three gates and the new c come about? Which of the gates can wait for it?
    Hint 2: compute o after c.
    Solution: compute i and f; then c = f * c + i * torch.tanh(a_g); then o = torch.sigmoid(a_o + P[2] * c).
    """
    rng = fresh()
    inputs = []
    for B, d_in, d in ((2, 3, 4), (3, 1, 2), (1, 2, 1)):
        shapes = ((B, d_in), (B, d), (B, d), (4 * d, d_in), (4 * d, d), (4 * d,), (3, d))
        inputs.append(tuple(_draw(rng, *s) for s in shapes))
    judge(answer, inputs, peephole, MISTAKES_5, planted=planted_peephole)


# --- 03.6 Cho's GRU ---------------------------------------------------------------------------------------------------


def gru(x, h, W, U, b):
    (a_r, a_z, a_n), (U_r, U_z, U_n) = (x @ W.T + b).chunk(3, dim=-1), U.chunk(3)
    r, z = sigmoid(a_r + h @ U_r.T), sigmoid(a_z + h @ U_z.T)
    return z * h + (1 - z) * tanh(a_n + (r * h) @ U_n.T)


def _gru(new, mix, order="rzn"):
    """A GRU step with its own candidate new(a_n, r, h, U_n) and mixture mix(z, h, n)."""

    def step(x, h, W, U, b):
        a = dict(zip(order, (x @ W.T + b).chunk(3, dim=-1), strict=True))
        M = dict(zip(order, U.chunk(3), strict=True))
        r, z = (sigmoid(a[k] + h @ M[k].T) for k in "rz")
        return mix(z, h, new(a["n"], r, h, M["n"]))

    return step


def _before(a, r, h, U):
    return tanh(a + (r * h) @ U.T)


def _old_by_z(z, h, n):
    return z * h + (1 - z) * n


def reset_after(x, h, W, U, b):
    """This resets after the recurrent product, as torch does; Cho's reset gate multiplies h before it."""
    return _gru(lambda a, r, h, U: tanh(a + r * (h @ U.T)), _old_by_z)(x, h, W, U, b)


def chungs_z(x, h, W, U, b):
    """Here z stands on the new candidate, as in Chung 2014; with Cho it stands on the old state."""
    return _gru(_before, lambda z, h, n: (1 - z) * h + z * n)(x, h, W, U, b)


def reset_on_the_candidate(x, h, W, U, b):
    """The reset gate multiplies the finished candidate here: it belongs inside, on h alone."""
    return _gru(lambda a, r, h, U: r * tanh(a + h @ U.T), _old_by_z)(x, h, W, U, b)


def no_reset(x, h, W, U, b):
    """The reset gate is computed and never used: the candidate sees r * h."""
    return _gru(lambda a, r, h, U: tanh(a + h @ U.T), _old_by_z)(x, h, W, U, b)


def no_old_state(x, h, W, U, b):
    """The candidate is written as it is: the new state is a mixture of the old one and the candidate."""
    return _gru(_before, lambda z, h, n: n)(x, h, W, U, b)


def order_zrn(x, h, W, U, b):
    """Reset and update gate have changed places: the order is r, z, n."""
    return _gru(_before, _old_by_z, "zrn")(x, h, W, U, b)


def added_like_an_lstm(x, h, W, U, b):
    """The candidate comes in fully here: what z keeps of the old state and what comes in share one door, 1 - z."""
    return _gru(_before, lambda z, h, n: z * h + n)(x, h, W, U, b)


MISTAKES_6 = [reset_after, chungs_z, reset_on_the_candidate, no_reset, no_old_state, order_zrn, added_like_an_lstm]


@exercise("03.6", "Cho's GRU: reset before the product, z on the old state.")
def check_03_6(answer):
    """**Exercise 03.6 · ●●●○○ · 10 min** - the GRU of 2014

    Write `gru_step(x, h, W, U, b)` as in Cho 2014: x (B, d_in), h (B, d), W (3 d, d_in), U (3 d, d), b (3 d,) in the
    order r, z, n. The reset gate multiplies h before the recurrent product. Return the new h (B, d).

    Hint 1: two of the three recurrent products see h, the third sees r * h: do not make them all at once.
    Hint 2: U.chunk(3) gives U_r, U_z, U_n; the new state is z * h + (1 - z) * n.
    Solution: U_r, U_z, U_n = U.chunk(3) / a_r, a_z, a_n = (x @ W.T + b).chunk(3, dim=-1) / r, z = torch.sigmoid(a_r + h
    @ U_r.T), torch.sigmoid(a_z + h @ U_z.T) / return z * h + (1 - z) * torch.tanh(a_n + (r * h) @ U_n.T)
    """
    rng = fresh()
    inputs = []
    for B, d_in, d in ((2, 3, 4), (3, 2, 3), (4, 1, 2)):
        shapes = ((B, d_in), (B, d), (3 * d, d_in), (3 * d, d), (3 * d,))
        inputs.append(tuple(_draw(rng, *s) for s in shapes))
    judge(answer, inputs, gru, MISTAKES_6)


# --- what proves them -------------------------------------------------------------------------------------------------


def _cell_by_gate(x, h, c, W, U, b):
    """The right numbers by a loop over the gates, in float64."""
    d = h.shape[-1]
    x, h, c, W, U, b = (p.double() for p in (x, h, c, W, U, b))
    a = [x @ W[k * d : (k + 1) * d].T + h @ U[k * d : (k + 1) * d].T + b[k * d : (k + 1) * d] for k in range(4)]
    c = torch.sigmoid(a[1]) * c + torch.sigmoid(a[0]) * torch.tanh(a[2])
    return torch.sigmoid(a[3]) * torch.tanh(c), c


def _cell_in_columns(x, h, c, W, U, b):
    """Right, with a word as a column."""
    i, f, g, o = (W @ x.T + U @ h.T + b[:, None]).view(4, -1, len(x))
    c = f.sigmoid() * c.T + i.sigmoid() * g.tanh()
    return (o.sigmoid() * c.tanh()).T, c.T


def _torchs_cell(x, h, c, W, U, b):
    cell = torch.nn.LSTMCell(x.shape[1], h.shape[1])
    cell.load_state_dict({"weight_ih": W, "weight_hh": U, "bias_ih": b, "bias_hh": 0 * b})
    return cell(x, (h, c))


def _open_door_counting():
    """Another right counter: the input gate always open, and the candidate is 1 at events, else 0."""
    W = torch.tensor([[0, 0], [0, -30], [15, 0], [0, 0]])
    return W, torch.tensor([15, 15, 0, 0])


def _transposed_weights():
    W, b = counting()
    return W.T, b


def _in_two_halves(bias_ih, bias_hh, value):
    return _setting(1, lambda ih, hh, v: (v / 2, v / 2))(bias_ih, bias_hh, value)


def _in_place_bias(bias_ih, bias_hh, value):
    d = len(bias_ih) // 4
    bias_ih[d : 2 * d], bias_hh[d : 2 * d] = value, 0
    return bias_ih, bias_hh


def _one_vector(bias_ih, bias_hh, value):
    return forget_biased(bias_ih, bias_hh, value)[0]


def _columns(x, h, W, U, b):
    """The papers' column form."""
    d = h.shape[-1]
    x, h, b = x.T, h.T, b[:, None]
    r = sigmoid(W[:d] @ x + U[:d] @ h + b[:d])
    z = sigmoid(W[d : 2 * d] @ x + U[d : 2 * d] @ h + b[d : 2 * d])
    n = tanh(W[2 * d :] @ x + U[2 * d :] @ (r * h) + b[2 * d :])
    return (z * h + (1 - z) * n).T


CHECKS = {
    "03_1": Check(check_03_1, [updated, lambda c, i, f, g, o: [f * c + i * g, o * tanh(f * c + i * g)]],
                  gallery(MISTAKES_1)),
    "03_2": Check(check_03_2, [lstm, _cell_in_columns],
                  [*gallery(MISTAKES_2), ("a loop", _cell_by_gate, "there is a loop in your function"),
                   ("torch's cell", _torchs_cell, "without nn.LSTM")]),
    "03_3": Check(check_03_3, [counting, _open_door_counting],
                  [*gallery(MISTAKES_3), ("transposed", _transposed_weights, "W has shape (2, 4)")]),
    "03_4": Check(check_03_4, [forget_biased, _in_two_halves],
                  [*gallery(MISTAKES_4), ("in place", _in_place_bias, "in place; work on a copy"),
                   ("one of the two", _one_vector, "return two tensors, bias_ih and")]),
    "03_5": Check(check_03_5, [peephole], gallery(MISTAKES_5), stub=planted_peephole),
    "03_6": Check(check_03_6, [gru, _columns], gallery(MISTAKES_6)),
}  # fmt: skip
