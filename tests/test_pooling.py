"""Pooling: equal to the formulas and to one another in special cases; pads, order, gradients, bad input."""

import pytest
import torch

from course_utils.attention.pooling import (
    POOLINGS,
    AttentionPooling,
    GatePooling,
    MaxPooling,
    MeanPooling,
    QueryAttention,
    make_pooling,
)
from course_utils.attention.scores import AdditiveScore

B, S, D, A = 3, 5, 4, 3
REAL = torch.tensor([[True, True, True, False, False], [True] * 5, [False, True, False, True, False]])


def drawn(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().double()


def vectors(*shape, seed=1):
    return torch.randn(*(shape or (B, S, D)), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


EVERY = {name: lambda name=name: drawn(lambda: make_pooling(name, D, A)) for name in POOLINGS} | {
    "attention, keys are the vectors": lambda: drawn(lambda: AttentionPooling(D))
}


@pytest.mark.parametrize("name", EVERY)
@torch.no_grad()
def test_pads_neighbours_and_order_do_not_matter(name):
    pool, x = EVERY[name](), vectors()
    pooled, weights = pool(x, REAL)
    assert pooled.shape == (B, D) and weights.shape == (B, S) and not weights[~REAL].any()
    torch.testing.assert_close(weights.sum(1), torch.ones(B, dtype=torch.float64))
    for wild in (7.0, -1e6, float("inf")):
        torch.testing.assert_close(pool(x.masked_fill(~REAL.unsqueeze(-1), min(wild, 1e6)), REAL)[0], pooled)
    for row in range(B):
        alone, own = pool(x[row : row + 1, REAL[row]], REAL[row : row + 1, REAL[row]])
        torch.testing.assert_close(alone[0], pooled[row])
        torch.testing.assert_close(own[0], weights[row, REAL[row]])
    order = torch.tensor([3, 0, 4, 2, 1])
    turned, its = pool(x[:, order], REAL[:, order])
    torch.testing.assert_close(turned, pooled)
    torch.testing.assert_close(its, weights[:, order])


@pytest.mark.parametrize("name", EVERY)
def test_nothing_to_pool_is_zero_and_has_a_gradient(name):
    pool, x = EVERY[name](), vectors().requires_grad_()
    empty = REAL.clone()
    empty[1] = False
    pooled, weights = pool(x, empty)
    assert not pooled[1].any() and not weights[1].any()
    pooled.square().sum().backward()
    assert x.grad.isfinite().all() and not x.grad[~empty].any() and x.grad[0, :3].abs().min() >= 0
    assert all(p.grad.isfinite().all() and p.grad.any() for n, p in pool.named_parameters() if n != "gate.bias")


@pytest.mark.parametrize("name", EVERY)
def test_one_vector_is_itself(name):
    x = vectors(2, 1, D)
    pooled, weights = EVERY[name]()(x, torch.ones(2, 1, dtype=torch.bool))
    torch.testing.assert_close(pooled, x[:, 0])
    assert torch.equal(weights.detach(), torch.ones(2, 1, dtype=torch.float64))


@torch.no_grad()
def test_attention_by_brute_force():
    """Loop over words and sum h, not u: eq. 5-7 of the paper."""
    pool, x = EVERY["attention"](), vectors()
    W, b, u = pool.look.key.weight, pool.look.key.bias.normal_(), pool.look.query[0]
    pooled, weights = pool(x, REAL)
    for row in range(B):
        powers = [float(torch.exp(torch.tanh(W @ h + b) @ u)) if real else 0.0
                  for h, real in zip(x[row], REAL[row], strict=True)]  # fmt: skip
        a = torch.tensor(powers, dtype=torch.float64) / sum(powers)
        torch.testing.assert_close(weights[row], a)
        torch.testing.assert_close(pooled[row], sum(a[t] * x[row, t] for t in range(S)))


@torch.no_grad()
def test_a_query_over_tanh_keys_is_bahdanaus_score_with_a_constant_query():
    look = drawn(lambda: QueryAttention(D, A))
    score = AdditiveScore(1, D, A).double()
    score.U.weight.copy_(look.key.weight)
    score.W.weight.copy_(look.key.bias.normal_().unsqueeze(1))
    score.v.copy_(look.query[0])
    x, everyone = vectors(), torch.ones(B, S, dtype=torch.bool)
    expected = score(torch.ones(B, 1, 1, dtype=torch.float64), x).softmax(-1)
    torch.testing.assert_close(look(x, everyone)[1], expected, rtol=0, atol=1e-14)


@torch.no_grad()
def test_a_query_of_zeros_is_the_mean_and_so_are_equal_gates():
    attention, gate, x = EVERY["attention"](), EVERY["gate"](), vectors()
    attention.look.query.zero_()
    gate.gate.weight.zero_()
    mean, weights = MeanPooling()(x, REAL)
    torch.testing.assert_close(mean[0], x[0, :3].mean(0))
    for pool in (attention, gate):
        found, its = pool(x, REAL)
        torch.testing.assert_close(found, mean)
        torch.testing.assert_close(its, weights)


@torch.no_grad()
def test_gates_by_brute_force_and_none_is_louder_than_open():
    pool, x = EVERY["gate"](), vectors()
    g = torch.sigmoid(pool.gate(x)) * REAL.unsqueeze(-1)                      # (B, S, 1)
    torch.testing.assert_close(pool(x, REAL)[0], (g * x).sum(1) / g.sum(1))
    pool.gate.bias.fill_(50.0)                                                # all open, however far apart the scores
    torch.testing.assert_close(pool(10 * x, REAL)[0], MeanPooling()(10 * x, REAL)[0], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_max_by_brute_force_with_its_winners():
    x = vectors()
    x[0, 3:] = 9.0                                                            # pads larger than all
    x[1] = -1 - x[1].abs()                                                    # below any pad filled with 0
    pooled, weights = MaxPooling()(x, REAL)
    for row in range(B):
        mine = x[row, REAL[row]]
        torch.testing.assert_close(pooled[row], mine.max(0).values)
        wins = [float((mine.argmax(0) == t).double().mean()) for t in range(len(mine))]
        torch.testing.assert_close(weights[row, REAL[row]], torch.tensor(wins, dtype=torch.float64))


@torch.no_grad()
def test_one_high_score_takes_all():
    """No second tanh on the score (a fault of public code): a weight may come close to 1, in 100 words too."""
    pool = drawn(lambda: AttentionPooling(D))
    x = torch.zeros(1, 100, D, dtype=torch.float64)
    x[0, 42] = 20 * pool.look.query[0] / pool.look.query.square().sum()       # a score of 20
    assert pool(x, torch.ones(1, 100, dtype=torch.bool))[1][0, 42] > 0.99


@torch.no_grad()
def test_several_queries_are_one_after_the_other():
    look, x = drawn(lambda: QueryAttention(D, A, n_queries=3)), vectors()
    context, weights = look(x, REAL)
    assert context.shape == (B, 3, D) and weights.shape == (B, 3, S)
    for k in range(3):
        one = drawn(lambda: QueryAttention(D, A))
        one.key.load_state_dict(look.key.state_dict())
        one.query.copy_(look.query[k : k + 1])
        torch.testing.assert_close(one(x, REAL)[0][:, 0], context[:, k])


def test_wrong_arguments_are_refused():
    x = vectors()
    for do, said in {
        "name": (lambda: make_pooling("sum", D, A), "'mean', 'max', 'gate', 'attention'"),
        "width": (lambda: QueryAttention(D, 0), "d_attention must be"),
        "queries": (lambda: QueryAttention(D, A, 0), "n_queries must be"),
        "shape": (lambda: MeanPooling()(x[0], REAL), r"(B, S, D), got (5, 4)"),
        "mask": (lambda: MaxPooling()(x, REAL[:, :4]), "bool (3, 5)"),
        "type": (lambda: GatePooling(D).double()(x, REAL.float()), "torch.float32"),
    }.values():
        with pytest.raises(ValueError) as error:
            do()
        assert said in str(error.value), said
