"""The attention socket, the scores and the dense plug, against loops over single numbers in float64."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.attention.dense import DenseAttention
from course_utils.attention.scores import AdditiveScore, DotScore, GeneralScore, ScaledDotScore, Score
from course_utils.attention.socket import allowed_pairs, masked_softmax
from course_utils.attention.steering import SteeredAttention
from course_utils.attention.table import make, plug_name
from course_utils.layers.readout import MaxoutReadout, maxout
from course_utils.seq2seq.contract import take_rows

B, T, S, DV = 3, 4, 5, 2
SCORES = ["additive", "dot", "scaled_dot", "general"]
KEY_MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], dtype=torch.bool)
LAST_TWO = torch.arange(S) >= S - 2                      # (S,): a rule under which rows 1 and 2 see nothing real


def drawn(*shape, seed=0, requires_grad=True):
    generator = torch.Generator().manual_seed(seed + 17 * len(shape) + shape[-1])
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_(requires_grad)


def plug_of(name, d_query=4, d_key=4):
    torch.manual_seed(0)
    return make(name, d_query, d_key=d_key, d_attention=6).double()


def by_hand(name, score, q, k):
    """One score from one query and one key, number by number."""
    score = copy.deepcopy(score).requires_grad_(False)
    if name == "additive":
        hidden = [math.tanh(sum(score.W.weight[a, i] * q[i] for i in range(len(q)))
                            + sum(score.U.weight[a, i] * k[i] for i in range(len(k)))) for a in range(len(score.v))]
        return float(sum(score.v[a] * h for a, h in enumerate(hidden)))
    if name == "general":
        return float(sum(q[i] * score.W.weight[i, j] * k[j] for i in range(len(q)) for j in range(len(k))))
    return float(sum(q[i] * k[i] for i in range(len(q)))) / (math.sqrt(len(q)) if name == "scaled_dot" else 1.0)


@torch.no_grad()
def naive(name, plug, query, key, value, may):
    """Context and weights by loops; `may(b, t, s)` says whether a query may see a key."""
    context, weights = torch.zeros(B, T, DV).double(), torch.zeros(B, T, S).double()
    for b in range(B):
        for t in range(T):
            keys = [s for s in range(S) if may(b, t, s)]
            exps = {s: math.exp(by_hand(name, plug.score, query[b, t], key[b, s])) for s in keys}
            for s in keys:
                weights[b, t, s] = exps[s] / sum(exps.values())
                context[b, t] += weights[b, t, s] * value[b, s]
    return context, weights


def inputs(d_query=4, d_key=4, heads=()):
    return drawn(B, *heads, T, d_query), drawn(B, *heads, S, d_key, seed=1), drawn(B, *heads, S, DV, seed=2)


TABLE = torch.tensor([[1, 0, 1, 0, 1], [0, 1, 0, 0, 1], [0, 0, 1, 1, 1], [1, 1, 0, 0, 0]], dtype=torch.bool)
TABLES = torch.stack([TABLE, TABLE.flip(0), TABLE.roll(1, 1)])
PLACES = torch.tensor([0, 3, 1, 9]), torch.tensor([4, 0, 1, 2, 8])
RULES = {  # socket arguments -> the same rule for one pair
    "nothing": ({}, lambda b, t, s: True),
    "key mask": ({"key_mask": KEY_MASK}, lambda b, t, s: KEY_MASK[b, s]),
    "causal, one query earlier than keys": ({"causal": True}, lambda b, t, s: s <= t + S - T),
    "causal with positions": (
        {"causal": True, "positions": PLACES}, lambda b, t, s: PLACES[1][s] <= PLACES[0][t]),
    "positions without causal": ({"positions": PLACES}, lambda b, t, s: True),
    "one table": ({"mask": TABLE}, lambda b, t, s: TABLE[t, s]),
    "a table a row": ({"mask": TABLES}, lambda b, t, s: TABLES[b, t, s]),
    "all together": (
        {"key_mask": KEY_MASK, "causal": True, "mask": TABLES},
        lambda b, t, s: KEY_MASK[b, s] and s <= t + S - T and TABLES[b, t, s]),
}


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("name", SCORES)
def test_plug_equals_loops(name, rule):
    arguments, may = RULES[rule]
    plug, (query, key, value) = plug_of(name), inputs()
    expected_context, expected_weights = naive(name, plug, query, key, value, may)
    context, weights, _ = plug(query, key, value, need_weights=True, **arguments)
    torch.testing.assert_close(weights, expected_weights, rtol=0, atol=1e-12)
    torch.testing.assert_close(context, expected_context, rtol=0, atol=1e-12)
    assert (weights[expected_weights == 0] == 0).all(), "forbidden pairs get exactly zero"


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("name", SCORES)
def test_without_weights_the_same_context_and_gradients(name, rule):
    plug, arguments = plug_of(name), RULES[rule][0]
    results = []
    for need_weights in (True, False):
        query, key, value = inputs()
        context, weights, _ = plug(query, key, value, need_weights=need_weights, **arguments)
        assert (weights is not None) == need_weights
        results.append([context, *torch.autograd.grad((context * drawn(B, T, DV, seed=5)).sum(), [query, key, value])])
    for with_map, fast in zip(*results, strict=True):
        torch.testing.assert_close(fast, with_map, rtol=0, atol=1e-12)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("name", SCORES)
def test_gradients_equal_finite_differences(name, need_weights):
    plug = plug_of(name)

    def attend(query, key, value):
        return plug(query, key, value, key_mask=KEY_MASK, mask=TABLE, need_weights=need_weights)[0]

    assert torch.autograd.gradcheck(attend, inputs(), eps=1e-6, atol=1e-8)


@pytest.mark.parametrize("name, d_key", [("additive", 7), ("general", 7), ("dot", 4), ("scaled_dot", 4)])
def test_score_values_and_gradients_of_parameters(name, d_key):
    widths = 4, d_key
    score, (query, key, _) = plug_of(name, *widths).score, inputs(*widths)
    got = score(query, key)
    expected = [[[by_hand(name, score, q, k) for k in keys] for q in queries]
                for queries, keys in zip(query.tolist(), key.tolist(), strict=True)]
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    assert torch.equal(got, score.compare(query, score.project_key(key)))
    for parameter in score.parameters():
        direction = torch.randn_like(parameter)
        told = (torch.autograd.grad(score(query, key).sum(), parameter)[0] * direction).sum()
        ends = []
        for sign in (1, -2):
            with torch.no_grad():
                parameter += sign * 1e-6 * direction
                ends.append(score(query, key).sum())
        torch.testing.assert_close(told, (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name, scale", [("dot", 1.0), ("scaled_dot", None)])
def test_dot_products_equal_torch(name, scale):
    query, key, value = inputs()
    expected = F.scaled_dot_product_attention(
        query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1), attn_mask=KEY_MASK[:, None, None], scale=scale
    ).squeeze(1)
    for need_weights in (True, False):
        got = plug_of(name)(query, key, value, key_mask=KEY_MASK, need_weights=need_weights)[0]
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def test_equals_multihead_attention_with_the_opposite_polarity():
    """nn.MultiheadAttention of one head with identity projections; True = forbidden there."""
    theirs = nn.MultiheadAttention(4, 1, bias=False, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.eye(4).repeat(3, 1))
        theirs.out_proj.weight.copy_(torch.eye(4))
    query, key = drawn(B, T, 4), drawn(B, S, 4, seed=1)
    expected, expected_weights = theirs(query, key, key, key_padding_mask=~KEY_MASK)
    context, weights, _ = plug_of("scaled_dot")(query, key, key, key_mask=KEY_MASK, need_weights=True)
    torch.testing.assert_close(context, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(weights, expected_weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("name", SCORES)
def test_a_query_with_nothing_to_see_is_zero_with_finite_gradients(name, need_weights):
    plug, (query, key, value) = plug_of(name), inputs()
    mask = LAST_TWO.expand(T, S)                         # with the key mask, rows 1 and 2 are left with nothing
    context, weights, _ = plug(query, key, value, key_mask=KEY_MASK, mask=mask, need_weights=need_weights)
    assert (context[1:] == 0).all() and (context[0] != 0).all()
    if need_weights:
        assert (weights[1:] == 0).all()
        torch.testing.assert_close(weights[0].sum(-1), torch.ones(T).double())
    gradients = torch.autograd.grad(context.square().sum() + context.sum(), [query, key, value, *plug.parameters()])
    assert all(g.isfinite().all() for g in gradients)
    assert all((g[1:] == 0).all() for g in gradients[:3]) and (gradients[2][0] != 0).any()


def test_the_fused_kernel_never_sees_an_empty_row(monkeypatch):
    """What a kernel makes of one depends on device and version: 0, NaN, or NaN in the gradient only."""
    kernel, seen = F.scaled_dot_product_attention, []

    def spy(*tensors, attn_mask=None, **others):
        seen.append(bool(attn_mask.any(-1).all()))
        return kernel(*tensors, attn_mask=attn_mask, **others)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    context = plug_of("general")(*inputs(), key_mask=KEY_MASK, mask=LAST_TWO.expand(T, S))[0]
    assert seen == [True] and (context[1:] == 0).all()


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("name", SCORES)
def test_what_stands_at_pads_does_not_matter(name, need_weights):
    plug, (query, key, value) = plug_of(name), inputs()
    before = plug(query, key, value, key_mask=KEY_MASK, need_weights=need_weights)[0]
    pads = ~KEY_MASK.unsqueeze(-1)
    after = plug(query, key.masked_fill(pads, 1e3), value.masked_fill(pads, -1e3), key_mask=KEY_MASK,
                 need_weights=need_weights)[0]
    torch.testing.assert_close(after, before, rtol=0, atol=1e-12)


def test_masks_say_true_for_may_attend():
    only_second = torch.zeros(B, S, dtype=torch.bool)
    only_second[:, 1] = True
    query, key, value = inputs()
    context, weights, _ = plug_of("dot")(query, key, value, key_mask=only_second, need_weights=True)
    torch.testing.assert_close(context, value[:, 1:2].expand(B, T, DV))
    assert (weights[..., 1] == 1).all()


def test_causal_with_a_cached_past():
    """One query after S keys sees them all; torch's own is_causal would show it only the first."""
    query, key, value = inputs()
    plug = plug_of("scaled_dot")
    last = plug(query[:, -1:], key, value, causal=True, need_weights=True)[1]
    assert (last > 0).all()
    whole = plug(query, key, value, causal=True)[0]
    for t in range(T):
        seen = S - T + t + 1
        alone = plug(query[:, t : t + 1], key[:, :seen], value[:, :seen], causal=True)[0]
        torch.testing.assert_close(alone[:, 0], whole[:, t], rtol=0, atol=1e-12)
    placed = plug(query, key, value, causal=True, positions=(torch.arange(T), torch.arange(S)), need_weights=True)[1]
    assert (placed[:, 0, 0] == 1).all() and (placed[:, 0, 1:] == 0).all()
    with pytest.raises(ValueError, match="1 <= T <= S"):
        plug(key, query, query, causal=True)


@pytest.mark.parametrize("name", SCORES)
def test_heads_are_attended_one_by_one(name):
    plug, (query, key, value) = plug_of(name), inputs(heads=(2, 3))
    arguments = dict(key_mask=KEY_MASK, mask=TABLES, causal=True)
    for need_weights in (True, False):
        context, weights, state = plug(query, key, value, need_weights=need_weights, **arguments)
        assert context.shape == (B, 2, 3, T, DV) and state.projected.shape[:4] == (B, 2, 3, S)
        for h in range(2):
            for g in range(3):
                one, one_weights, _ = plug(query[:, h, g], key[:, h, g], value[:, h, g], need_weights=True, **arguments)
                torch.testing.assert_close(context[:, h, g], one, rtol=0, atol=1e-12)
                if need_weights:
                    torch.testing.assert_close(weights[:, h, g], one_weights, rtol=0, atol=1e-12)


def test_a_key_mask_alone_makes_no_table():
    query, key, _ = inputs(heads=(2,))
    assert allowed_pairs(query, key, key_mask=KEY_MASK).shape == (B, 1, 1, S)
    assert allowed_pairs(query, key) is None


@pytest.mark.parametrize("name", SCORES)
def test_state_kept_equals_state_made_anew(name):
    plug, (query, key, value) = plug_of(name), inputs()
    whole = plug(query, key, value, key_mask=KEY_MASK, need_weights=True)
    state, rows = None, torch.tensor([2, 0, 0])
    for t in range(T):
        one = query[:, t : t + 1]
        context, weights, state = plug(one, key, value, key_mask=KEY_MASK, need_weights=True, state=state)
        torch.testing.assert_close(context[:, 0], whole[0][:, t], rtol=0, atol=1e-12)
        torch.testing.assert_close(weights[:, 0], whole[1][:, t], rtol=0, atol=1e-12)
    assert torch.equal(state.projected, plug.score.project_key(key))
    moved = plug(query[rows], key[rows], value[rows], key_mask=KEY_MASK[rows], state=take_rows(state, rows))[0]
    torch.testing.assert_close(moved, whole[0][rows], rtol=0, atol=1e-12)


def test_keys_are_projected_once_a_sentence(monkeypatch):
    calls, project = [], GeneralScore.project_key
    monkeypatch.setattr(GeneralScore, "project_key", lambda self, key: calls.append(1) or project(self, key))
    plug, (query, key, value), state = plug_of("general"), inputs(), None
    for t in range(T):
        state = plug(query[:, t : t + 1], key, value, state=state)[2]
    assert len(calls) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("name", SCORES)
def test_half_precision_neither_overflows_nor_fills_empty_rows(name, need_weights, dtype):
    plug = plug_of(name).to(dtype)
    query, key, value = (20 * x.detach().to(dtype) for x in inputs())
    query, key, value = (x.requires_grad_() for x in (query, key, value))
    context, weights, _ = plug(
        query, key, value, key_mask=KEY_MASK, mask=LAST_TWO.expand(T, S), need_weights=need_weights
    )
    assert context.dtype == dtype and context.isfinite().all() and (context[1:] == 0).all() and (context[0] != 0).any()
    assert weights is None or weights.dtype == dtype and (weights[1:] == 0).all()
    assert all(g.isfinite().all() for g in torch.autograd.grad(context.float().sum(), [query, key, value]))


def test_scaled_dot_scales_before_it_multiplies():
    """q · k is 100,000, beyond float16; q · k / sqrt(d) is not."""
    query = torch.full((1, 1, 1024), 10.0, dtype=torch.float16)
    assert ScaledDotScore()(query, query).item() == 3200.0
    assert DotScore()(query, query).item() == math.inf


def test_great_scores_are_safe():
    scores = torch.tensor([[1e30, -1e30, 1e30], [-3e38, -3e38, 3e38]])
    weights = masked_softmax(scores, torch.tensor([[True, True, True], [True, True, False]]))
    assert weights.tolist() == [[0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]
    assert masked_softmax(scores).isfinite().all()


def test_a_score_of_ones_own_needs_one_method():
    class Distance(Score):
        def compare(self, query, projected):
            return -torch.cdist(query, projected)

    query, key, value = inputs()
    context, weights, _ = DenseAttention(Distance())(query, key, value, need_weights=True)
    torch.testing.assert_close(context, (-torch.cdist(query, key)).softmax(-1) @ value)
    with pytest.raises(NotImplementedError, match="Score must define compare"):
        DenseAttention(Score())(query, key, value)


def test_steering_replaces_the_weights():
    query, key, value = inputs()
    plug = plug_of("general")
    uniform = SteeredAttention(plug, lambda weights, positions: torch.full_like(weights, 1 / S))
    context, weights, state = uniform(query, key, value)
    torch.testing.assert_close(context, value.mean(1, keepdim=True).expand(B, T, DV))
    assert weights is None and torch.equal(state.projected, plug.score.project_key(key))
    with pytest.raises(ValueError, match=r"keep the weights' shape \(3, 4, 5\), it gave \(3, 4\)"):
        SteeredAttention(plug, lambda weights, positions: weights.sum(-1))(query, key, value)
    with pytest.raises(ValueError, match="has no map of weights, so it cannot be steered"):
        SteeredAttention(lambda q, k, v, **_: (q, None, None), lambda w, p: w)(query, key, value)


def test_maxout_takes_the_greater_neighbour():
    assert maxout(torch.tensor([[1.0, 3, -2, -5], [4, 0, 0, 0]])).tolist() == [[3, -2], [4, 0]]
    assert maxout(torch.tensor([1.0, 3, 5]), 3).tolist() == [5]
    with pytest.raises(ValueError, match="width divisible by 2, got 3"):
        maxout(torch.ones(2, 3))
    readout = MaxoutReadout(4, 3, 2, 5, 11)
    assert readout.features.weight.shape == (10, 9) and readout.words.weight.shape == (11, 5)


def test_names_of_plugs():
    plug = make("general", 4, d_key=6, d_attention=3)
    assert plug.score.W.weight.shape == (4, 6) and make(plug, 1) is plug
    assert plug_name("general") == "general" and plug_name(plug) == "DenseAttention(GeneralScore)"
    with pytest.raises(ValueError, match="unknown plug 'soft': one of additive, dot, general, scaled_dot"):
        make("soft", 4)


Q, K, V = (x.detach() for x in inputs())
WRONG = {
    "two dimensions": (dict(query=Q[0]), ValueError, "same number of dimensions, at least 3"),
    "batches differ": (dict(key=K[:2], value=V[:2]), ValueError, "batch sizes differ: query 3, key 2"),
    "a value is missing": (dict(value=V[:, :-1]), ValueError, "5 keys but 4 values"),
    "float mask": (dict(key_mask=KEY_MASK.float()), TypeError, "key_mask must be boolean with True = may attend"),
    "mask of queries": (dict(key_mask=torch.ones(B, T).bool()), ValueError, r"key_mask must have shape \(3, 5\)"),
    "mask transposed": (dict(mask=TABLE.T), ValueError, r"mask must have shape \(4, 5\) or \(3, 4, 5\), got \(5, 4\)"),
    "positions swapped": (dict(positions=PLACES[::-1]), ValueError, r"positions must have shapes \(\(4,\), \(5,\)\)"),
    "another sentence's state": (dict(state=(K[:, :3],)), ValueError, "pass state=None when the keys have changed"),
    "widths differ": (dict(query=Q[..., :3]), ValueError, "one width, got 3 and 4: use the general or the additive"),
}


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("case", list(WRONG))
def test_the_door_refuses_with_a_remedy(case, need_weights):
    arguments, error, sentence = WRONG[case]
    plug = plug_of("dot")
    if "state" in arguments:
        arguments = {"state": plug(Q, arguments["state"][0], V[:, :3])[2]}
    with pytest.raises(error, match=sentence):
        plug(**{**dict(query=Q, key=K, value=V), **arguments}, need_weights=need_weights)


@pytest.mark.parametrize("width", [0, -1, 2.5, True, "4"])
def test_widths_must_be_positive_whole_numbers(width):
    for score in (lambda: AdditiveScore(4, 4, width), lambda: GeneralScore(width, 4)):
        with pytest.raises(ValueError, match="must be a positive whole number"):
            score()


def test_scores_refuse_other_widths():
    query, key, value = inputs(4, 7)
    for name in ("additive", "general"):
        plug = plug_of(name, 4, 7)
        with pytest.raises(ValueError, match="keys are 4 wide, this score was built for d_key=7"):
            plug(query, query, query)
        with pytest.raises(ValueError, match="queries are 7 wide, this score was built for d_query=4"):
            plug(key, key, value)
