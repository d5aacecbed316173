"""The plugs of notebook 09, against loops and brute force: local, hard, monotonic, location-aware."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from plug_checks import call, drawn, pads_do_not_matter, ragged, same, vectors

from course_utils.attention.dense import DenseAttention
from course_utils.attention.hard import HardAttention, RunningBaseline, one_of, surrogate
from course_utils.attention.local import LocalMonotonicAttention, LocalPredictiveAttention
from course_utils.attention.location_aware import LocationAwareAttention
from course_utils.attention.monotonic import MonotonicAttention, first_key, stop_at, walk
from course_utils.attention.scores import DotScore, GeneralScore
from course_utils.attention.steering import RecordedAttention
from course_utils.attention.table import make
from course_utils.proofs.models import PROOFS, check
from course_utils.proofs.tools import SIZES, run, sample, seeded
from course_utils.proofs.tools import walk as step_by_step
from course_utils.seq2seq.attentive import AttentiveSeq2Seq
from course_utils.seq2seq.bahdanau import BahdanauSeq2Seq
from course_utils.seq2seq.contract import take_rows

T, S, D = 5, 9, 4
PLACES = torch.arange(T), torch.arange(S)


def inputs(T=T, S=S, B=3):
    return vectors(B, T, D), vectors(B, S, D, seed=2), vectors(B, S, D, seed=3)


# --- in the course's decoders -----------------------------------------------------------------------------------------

PLUGS = {
    "local_m": lambda q, k: make("local_m", q, d_key=k, window=2),
    "local_p": lambda q, k: make("local_p", q, d_key=k, window=3),
    "hard": lambda q, k: make("hard", q, d_key=k),
    "argmax": lambda q, k: HardAttention(GeneralScore(q, k), "argmax"),
    "monotonic, expected": lambda q, k: MonotonicAttention(q, k, 5, noise=0.0, hard=False, bias=0.0),
    "monotonic, hard": lambda q, k: MonotonicAttention(q, k, 5, hard=True, bias=0.5),
    "location_aware": lambda q, k: make("location_aware", q, d_key=k, d_attention=5, filters=3, reach=2),
}
DECODERS = {
    "Luong": lambda plug: AttentiveSeq2Seq(**SIZES, d_embedding=5, d_hidden=8, attention=plug(8, 8)),
    "Luong, input feeding": lambda plug: AttentiveSeq2Seq(
        **SIZES, d_embedding=5, d_hidden=8, attention=plug(8, 8), input_feeding=True
    ),
    "Bahdanau": lambda plug: BahdanauSeq2Seq(
        **SIZES, d_embedding=5, d_hidden=6, d_attention=5, d_readout=4, attention=plug(6, 12)
    ),
}
JUMP = "a chosen place moves in jumps: it has no gradient, or that of soft attention"
LESS = "weights do not sum to 1, on purpose"
NOT_SO = {
    **{(proof, name): JUMP for name in ("argmax", "monotonic, hard") for proof in ("gradient_flow", "gradient_truth")},
    ("gradient_truth", "hard"): JUMP, ("attention_rows", "local_p"): LESS, ("attention_rows", "monotonic, hard"): LESS,
    ("attention_rows", "monotonic, expected"): LESS,
}  # fmt: skip
APART = ("torch_equivalence", "survives_saving")                         # need equations, and a plug by name


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", PLUGS)
def test_the_proofs_hold_in_every_decoder(name, decoder):
    model = drawn(lambda: DECODERS[decoder](PLUGS[name]))
    for proof in PROOFS:
        if proof not in APART and (proof, name) not in NOT_SO and not (proof, name) == ("every_word_counts", "argmax"):
            for training in (False, True):
                check(PROOFS[proof], model.train(training))


@pytest.mark.parametrize("name", ["local_m", "local_p", "hard", "monotonic", "location_aware", "key_value", "location"])
def test_a_model_with_it_survives_saving(name):
    names = dict(**SIZES, d_embedding=5, attention=name)
    for build in (
        lambda: AttentiveSeq2Seq(**names, d_hidden=8),
        lambda: BahdanauSeq2Seq(**names, d_hidden=6, d_attention=5, d_readout=4),
    ):
        check(PROOFS["survives_saving"], drawn(build).eval())


@pytest.mark.parametrize("name", PLUGS)
def test_pads_and_empty_rows(name):
    pads_do_not_matter(drawn(lambda: PLUGS[name](D, D)).eval())


@pytest.mark.parametrize("name", ["local_p", "monotonic, hard", "location_aware"])
def test_who_cannot_be_causal(name):
    with pytest.raises(ValueError, match="cannot be causal"):
        drawn(lambda: PLUGS[name](D, D))(*inputs(), causal=True)


# --- local ------------------------------------------------------------------------------------------------------------


def local_m_by_hand(plug, q, k, v, length, D):
    contexts, maps = [], []
    for t in range(len(q)):
        centre = min(t, length - 1)
        window = [s for s in range(length) if abs(s - centre) <= D]
        weights = torch.zeros(len(k), dtype=torch.float64)
        weights[window] = torch.stack([plug.score(q[t : t + 1], k[s : s + 1])[0, 0] for s in window]).softmax(0)
        maps.append(weights)
        contexts.append(weights @ v)
    return torch.stack(contexts), torch.stack(maps)


@pytest.mark.parametrize("window", [1, 2, 20])
@pytest.mark.parametrize("queries", [5, 13])
@torch.no_grad()
def test_local_m_equals_loops(window, queries):
    """Longer targets than sources too: the window stays at the last word."""
    plug, (q, k, v) = drawn(lambda: LocalMonotonicAttention(GeneralScore(D, D), window)), inputs(T=queries)
    lengths, places = (9, 4, 1), (torch.arange(queries), torch.arange(S))
    mask = torch.arange(S) < torch.tensor(lengths).unsqueeze(1)
    context, weights, _ = plug(q, k, v, key_mask=mask, positions=places, need_weights=True)
    for b, length in enumerate(lengths):
        expected = local_m_by_hand(plug, q[b], k[b], v[b], length, window)
        same(context[b], expected[0])
        same(weights[b], expected[1])
    assert window < S or torch.equal(weights, plug.dense(q, k, v, key_mask=mask, need_weights=True)[1])
    later = plug(q[:, 3:], k, v, key_mask=mask, positions=(places[0][3:], places[1]))[0]
    same(later, context[:, 3:], "a cached decoder says where its query stands")
    own = torch.ones(queries, S, dtype=torch.bool).triu(1)
    both = plug(q, k, v, key_mask=mask, mask=own, positions=places, need_weights=True)[1]
    assert (both[:, ~own] == 0).all() and (both[weights == 0] == 0).all()


@torch.no_grad()
def test_local_p_equals_loops():
    window = 3
    plug, (q, k, v) = drawn(lambda: LocalPredictiveAttention(GeneralScore(D, D), window, D)), inputs()
    lengths = (9, 4, 1)
    mask = torch.arange(S) < torch.tensor(lengths).unsqueeze(1)
    context, weights, _ = plug(q, k, v, key_mask=mask, positions=PLACES, need_weights=True)
    for b, length in enumerate(lengths):
        for t in range(T):
            p = (length - 1) * torch.sigmoid(plug.v.weight[0] @ torch.tanh(plug.W_p.weight @ q[b, t]))
            near = [s for s in range(length) if abs(s - p) <= window]
            a = torch.stack([plug.score(q[b, t : t + 1], k[b, s : s + 1])[0, 0] for s in near]).softmax(0)
            expected = torch.zeros(S, dtype=torch.float64)
            for s, weight in zip(near, a, strict=True):
                expected[s] = weight * torch.exp(-((s - p) ** 2) / (2 * (window / 2) ** 2))
            same(weights[b, t], expected)
            same(context[b, t], expected @ v[b])


def test_local_p_is_not_renormalised_and_global_when_wide():
    q, k, v = inputs()
    plug = drawn(lambda: LocalPredictiveAttention(GeneralScore(D, D), 3, D))
    total = plug(q, k, v, positions=PLACES, need_weights=True)[1].sum(-1)
    assert ((0.1 < total) & (total < 0.99)).all()
    wide = drawn(lambda: LocalPredictiveAttention(GeneralScore(D, D), 10**7, D))
    same(wide(q, k, v, positions=PLACES)[0], DenseAttention(wide.score)(q, k, v)[0])


def test_the_gradient_of_the_place():
    """Through the Gaussian alone; finite differences agree where no word crosses the edge of the window."""
    q, k, v = inputs()
    plug = drawn(lambda: LocalPredictiveAttention(DotScore(), 3, D))

    def out(weight):
        return torch.func.functional_call(plug, {"W_p.weight": weight}, (q, k, v), {"positions": PLACES})[0]

    assert torch.autograd.gradcheck(out, (plug.W_p.weight,), eps=1e-7, atol=1e-5)
    gradient = torch.autograd.grad(out(plug.W_p.weight).sum(), plug.W_p.weight)[0]
    assert gradient.abs().max() > 1e-3


# --- hard -------------------------------------------------------------------------------------------------------------


def test_hard_takes_the_largest():
    q, k, v = inputs()
    real = ragged(S)
    for how in ("argmax", "straight_through", "sample"):
        plug = HardAttention(DotScore(), how).eval()
        context, weights, _ = plug(q, k, v, key_mask=real, need_weights=True)
        soft = DenseAttention(DotScore())(q, k, v, key_mask=real, need_weights=True)[1]
        best = soft.argmax(-1)
        expected = F.one_hot(best, S).double() * (soft.sum(-1, keepdim=True) > 0)
        assert torch.equal(weights, expected) and torch.equal(context, expected @ v)
    peaked = HardAttention(DotScore(), "argmax")(1000 * q, k, v)[0]
    same(peaked, DenseAttention(DotScore())(1e6 * q, k, v)[0])
    assert one_of(torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])).tolist() == [[1, 0, 0], [0, 0, 0]]


def test_the_gradients_of_hard_attention():
    """argmax: none to the scores; straight-through: exactly that of soft attention, at the hard context."""
    q, k, v = (x.requires_grad_() for x in inputs())
    direction = vectors(3, T, D, seed=5)
    grads = {how: torch.autograd.grad((HardAttention(DotScore(), how)(q, k, v)[0] * direction).sum(), (q, v),
                                      allow_unused=True) for how in ("argmax", "straight_through")}  # fmt: skip
    soft = torch.autograd.grad((DenseAttention(DotScore())(q, k, v, need_weights=True)[0] * direction).sum(), q)[0]
    assert grads["argmax"][0] is None
    same(grads["straight_through"][0], soft)
    same(grads["straight_through"][1], grads["argmax"][1])


def test_draws_follow_the_weights():
    torch.manual_seed(0)
    weights = torch.tensor([0.5, 0.3, 0.2, 0.0]).expand(40_000, 4)
    counts = one_of(weights, draw=True).sum(0)
    assert counts[3] == 0
    expected = 40_000 * weights[0, :3]
    chi = float(((counts[:3] - expected) ** 2 / expected).sum())
    assert chi < 13.8                                                      # two degrees of freedom, one in a thousand
    assert (one_of(torch.zeros(5, 3), draw=True) == 0).all()


def test_sampling_in_training_only():
    q, k, v = inputs()
    plug = HardAttention(DotScore(), "sample").train()
    torch.manual_seed(0)
    one, other = plug(q, k, v)[0], plug(q, k, v)[0]
    assert not torch.equal(one, other) and torch.equal(plug.eval()(q, k, v)[0], plug(q, k, v)[0])


def test_reinforce_is_right_on_average_and_the_baseline_steadies_it():
    torch.manual_seed(0)
    scores = torch.tensor([0.3, -0.5, 1.0, 0.0], dtype=torch.float64, requires_grad=True)
    rewards = torch.tensor([-3.0, -1.0, -2.5, -0.2], dtype=torch.float64)
    exact = torch.autograd.grad((scores.softmax(0) * rewards).sum(), scores)[0]
    n = 50_000
    chosen = one_of(scores.softmax(0).detach().expand(n, 4), draw=True)
    spread = {}
    for name, baseline in {"none": 0.0, "mean": float(scores.softmax(0) @ rewards), "bad": -6.0}.items():
        rows = scores.detach().expand(n, 4).clone().requires_grad_()
        log_prob = (rows.log_softmax(-1) * chosen).sum(-1)
        single = torch.autograd.grad(surrogate(chosen @ rewards, log_prob, baseline).sum(), rows)[0]
        torch.testing.assert_close(single.mean(0), exact, rtol=0, atol=0.03)
        spread[name] = float(single.var(0).sum())
    assert spread["mean"] < spread["none"] < spread["bad"]
    own = torch.tensor(2.0, requires_grad=True)                            # the reward has a gradient of its own
    assert torch.autograd.grad(surrogate(own**2, torch.tensor(-1.0), 0.5), own)[0] == 4
    wrong = F.one_hot(scores.argmax(), 4) - scores.softmax(0)              # argmax instead of a draw: no gradient of it
    assert ((wrong * rewards[2] - exact).abs() > 0.3).any()


def test_log_prob_of_what_was_taken():
    q, k, v = inputs()
    real = ragged(S)
    plug = drawn(lambda: HardAttention(GeneralScore(D, D), "sample")).train()
    recorded = RecordedAttention(plug)
    torch.manual_seed(0)
    recorded(q, k, v, key_mask=real)
    record = recorded.records[0]
    got = plug.log_prob(record.query, record.key, record.weights, key_mask=real)
    soft = DenseAttention(plug.score)(q, k, v, key_mask=real, need_weights=True)[1]
    same(got[:2], (soft[:2] * record.weights[:2]).sum(-1).log())
    assert (got[2] == 0).all() and got.requires_grad


def test_the_running_baseline():
    baseline = RunningBaseline()
    assert baseline.update(torch.tensor([2.0, 4.0])) == 0.0 and baseline.update(torch.tensor(1.0)) == pytest.approx(0.3)
    assert baseline.value == pytest.approx(0.37)
    for keep in (1.0, -0.1):
        with pytest.raises(ValueError, match="share of the old baseline"):
            RunningBaseline(keep)
    with pytest.raises(ValueError, match="unknown how='soft': one of 'argmax'"):
        HardAttention(DotScore(), "soft")


# --- monotonic --------------------------------------------------------------------------------------------------------


def recursion(p, previous):
    """Raffel et al. 2017, eq. 9-10, number by number."""
    out, q = [], 0.0
    for j in range(len(p)):
        q = (1 - (p[j - 1] if j else 0.0)) * q + previous[j]
        out.append(p[j] * q)
    return out


def brute_force(p):
    """The chance of every place at every step, summed over all 2^(T·S) outcomes of the coins."""
    T, S = len(p), len(p[0])
    weights = [[0.0] * S for _ in range(T)]
    for coins in itertools.product((0, 1), repeat=T * S):
        chance, start = 1.0, 0
        for i, coin in enumerate(coins):
            chance *= p[i // S][i % S] if coin else 1 - p[i // S][i % S]
        for t in range(T):
            stop = next((j for j in range(start, S) if coins[t * S + j]), None) if start is not None else None
            if stop is not None:
                weights[t][stop] += chance
            start = stop                                                   # None: nothing found, now and ever after
    return weights


def test_the_walk_is_the_recursion_and_the_brute_force():
    p = torch.rand(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    previous, maps = first_key(p[0]), []
    for row in p:
        same(walk(row, previous), torch.tensor(recursion(row.tolist(), previous.tolist()), dtype=torch.float64))
        previous = walk(row, previous)
        maps.append(previous)
    same(torch.stack(maps), torch.tensor(brute_force(p.tolist()), dtype=torch.float64))
    known = walk(torch.tensor([0.3, 0.6, 0.2, 0.9], dtype=torch.float64), first_key(torch.zeros(4).double()))
    torch.testing.assert_close(known, torch.tensor([0.3, 0.42, 0.056, 0.2016], dtype=torch.float64))


@pytest.mark.parametrize("p", [0.9, 0.99, 1.0, 0.5, 0.0])
def test_the_walk_survives_where_the_division_does_not(p):
    """From place 30 of 60: the form with a division by cumulative products gives 1e-20 instead of 1."""
    previous = F.one_hot(torch.tensor(30), 60).double()
    rows = torch.full((60,), p, dtype=torch.float64)
    got = walk(rows, previous)
    expected = torch.tensor(recursion(rows.tolist(), previous.tolist()), dtype=torch.float64)
    torch.testing.assert_close(got, expected, atol=1e-8, rtol=0)
    single = walk(rows.float(), previous.float())
    torch.testing.assert_close(single.double(), got, atol=1e-5, rtol=0)
    if p > 0.5:
        passed = torch.cat([torch.ones(1).double(), (1 - rows).cumprod(0)[:-1]])
        divided = rows * passed * (previous / passed.clamp(min=1e-10)).cumsum(0)
        assert float(divided.sum()) < 1e-9
    rows.requires_grad_()
    assert torch.autograd.grad(walk(rows, previous).square().sum(), rows)[0].isfinite().all()


def test_hard_stops_are_the_walk_of_sure_coins():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        p = (torch.rand(6, generator=generator) < 0.4).double()
        previous = F.one_hot(torch.randint(6, (), generator=generator), 6).double()
        expected = torch.tensor(recursion(p.tolist(), previous.tolist()), dtype=torch.float64)
        assert torch.equal(stop_at(p, previous), expected)
    assert (stop_at(torch.ones(4), torch.zeros(4)) == 0).all(), "who found nothing never finds anything again"


def test_monotonic_plug_walks_on():
    q, k, v = inputs(T=7)
    soft = drawn(lambda: MonotonicAttention(D, D, 6, noise=0.0, bias=0.0, hard=False))
    real = torch.arange(S) < torch.tensor([[9], [5], [1]])
    context, weights, state = soft(q, k, v, key_mask=real, need_weights=True)
    energy = soft.energy(q, k) + soft.r
    for b in range(3):
        previous = [1.0] + [0.0] * (S - 1)
        for t in range(7):
            previous = recursion((torch.sigmoid(energy[b, t]) * real[b]).tolist(), previous)
            same(weights[b, t], torch.tensor(previous, dtype=torch.float64))
    totals, places = weights.sum(-1), weights.cumsum(-1)
    assert (totals <= 1 + 1e-9).all() and (totals[:, 1:] <= totals[:, :-1] + 1e-9).all()
    assert (places[:, 1:] <= places[:, :-1] + 1e-9).all(), "no weight ever moves back"
    assert torch.equal(context, weights @ v) and torch.equal(state.previous, weights[:, -1])
    rows = torch.tensor([2, 0])
    half = soft(q[:, :4], k, v, key_mask=real)[2]
    moved = soft(q[rows, 4:], k[rows], v[rows], key_mask=real[rows], state=take_rows(half, rows), need_weights=True)
    same(moved[1], weights[rows, 4:])
    hard = drawn(lambda: MonotonicAttention(D, D, 6, bias=0.0)).eval()
    decoded = hard(q, k, v, key_mask=real, need_weights=True)[1]
    assert set(decoded.unique().tolist()) <= {0.0, 1.0} and decoded.any()


def test_noise_in_training_only_and_hard_by_mode():
    q, k, v = inputs()
    plug = drawn(lambda: MonotonicAttention(D, D, 6)).train()
    torch.manual_seed(0)
    one, other = (plug(q, k, v, need_weights=True)[1] for _ in range(2))
    assert not torch.equal(one, other)
    plug.hard = False                                                      # soft evaluation has no noise either
    assert torch.equal(*(plug.eval()(q, k, v, need_weights=True)[1] for _ in range(2)))
    plug.hard, plug.noise = None, 0.0
    plug.train()
    quiet = plug(q, k, v, need_weights=True)[1]
    assert torch.equal(quiet, plug(q, k, v, need_weights=True)[1]) and ((0 < quiet) & (quiet < 1)).any()
    assert set(plug.eval()(q, k, v, need_weights=True)[1].unique().tolist()) <= {0.0, 1.0}
    with pytest.raises(ValueError, match="noise=-1 is a standard deviation"):
        MonotonicAttention(D, D, 6, noise=-1)


def test_hard_monotonic_attention_is_online():
    """What stands right of the stop does not matter: the word could be said before it arrives."""
    q, k, v = inputs(T=1)
    plug = drawn(lambda: MonotonicAttention(D, D, 6, bias=0.3)).eval()
    context, weights, _ = plug(q, k, v, need_weights=True)
    for b in range(3):
        if weights[b].any():
            stop = int(weights[b, 0].argmax()) + 1
            cut = [x[b : b + 1, :stop] for x in (k, v)]
            same(plug(q[b : b + 1], *cut)[0], context[b : b + 1])
    assert weights.any()


# --- location-aware ---------------------------------------------------------------------------------------------------


def hybrid():
    return drawn(lambda: LocationAwareAttention(D, D, 6, filters=3, reach=2))


@torch.no_grad()
def test_location_aware_equals_loops():
    plug, (q, k, v) = hybrid(), inputs()
    real = torch.arange(S) < torch.tensor([[9], [5], [1]])
    context, weights, _ = plug(q, k, v, key_mask=real, need_weights=True)
    w, W, V, U, b = plug.content.v, plug.content.W.weight, plug.content.U.weight, plug.U.weight, plug.U.bias
    for row, length in enumerate((9, 5, 1)):
        previous = [1.0] + [0.0] * (S - 1)
        for t in range(T):
            scores = []
            for j in range(length):
                window = [previous[i] if 0 <= i < S else 0.0 for i in range(j - 2, j + 3)]
                f = plug.F.weight @ torch.tensor(window, dtype=torch.float64)
                scores.append(w @ torch.tanh(W @ q[row, t] + V @ k[row, j] + U @ f + b))
            previous = torch.stack(scores).softmax(0).tolist() + [0.0] * (S - length)
            same(weights[row, t], torch.tensor(previous, dtype=torch.float64))
            same(context[row, t], weights[row, t] @ v[row])


@torch.no_grad()
def test_the_filters_are_a_convolution():
    plug, a = hybrid(), vectors(2, S).softmax(-1)
    conv = F.conv1d(a.unsqueeze(1), plug.F.weight.unsqueeze(1), padding=2).transpose(1, 2)
    same(plug.windows(a), conv)
    later = F.pad(a, (3, 0))[:, :S]                                         # the same hill, three places on
    same(plug.windows(later)[:, 5 : S - 2], plug.windows(a)[:, 2 : S - 5], "away from the ends")


def test_without_the_filters_it_is_additive():
    plug, (q, k, v) = hybrid(), inputs()
    with torch.no_grad():
        plug.U.weight.zero_()
    same(plug(q, k, v)[0], DenseAttention(plug.content)(q, k, v)[0])


def test_among_equal_words_only_the_hybrid_chooses():
    plug, (q, k, v) = hybrid(), inputs()
    k = k[:, :1].expand(-1, S, -1)
    uniform = DenseAttention(plug.content)(q, k, v, need_weights=True)[1]
    same(uniform, torch.full_like(uniform, 1 / S))
    assert float((plug(q, k, v, need_weights=True)[1] - 1 / S).detach().abs().max()) > 1e-3


@pytest.mark.parametrize("name", ["location_aware", "monotonic, expected"])
@torch.no_grad()
def test_a_new_sentence_starts_afresh(name):
    """Two sentences one after the other, and each alone."""
    model, batch = drawn(lambda: DECODERS["Bahdanau"](PLUGS[name])).eval(), sample()
    alone = seeded(lambda: step_by_step(model, batch))[0]
    step_by_step(model, sample(1))
    same(step_by_step(model, batch)[0], alone)
    same(run(model, batch.source, batch.target_in)[0], alone)


def test_call_has_heads():
    """Two heads at once are each head alone."""
    for name in PLUGS:
        plug = drawn(lambda name=name: PLUGS[name](D, D)).eval()
        q, k, v = call(6, 8)
        both = plug(q, k, v, need_weights=True)
        for h in range(2):
            one = plug(q[:, h], k[:, h], v[:, h], need_weights=True)
            same(both[0][:, h], one[0])
            same(both[1][:, h], one[1])
