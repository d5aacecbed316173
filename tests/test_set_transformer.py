"""Sets: blocks turn with the set or do not notice its order; fillers do nothing; formulas; bad input."""

import pytest
import torch
from torch import nn

from course_utils.models.set_transformer import ISAB, MAB, PMA, SAB, SetTransformer

B, N, D, H = 3, 6, 8, 2
REAL = torch.arange(N) < torch.tensor([[4], [6], [1]])


def drawn(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().double()


def elements(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MODELS = {
    "SAB": lambda: SetTransformer(3, 5, d_model=D, n_heads=H),
    "ISAB": lambda: SetTransformer(3, 5, d_model=D, n_heads=H, n_inducing=4),
    "mean": lambda: SetTransformer(3, 5, d_model=D, n_heads=H, pool="mean"),
}


@pytest.mark.parametrize("name", list(MODELS))
@torch.no_grad()
def test_order_fillers_and_neighbours_do_not_matter(name):
    model, x = drawn(MODELS[name]), elements(B, N, 3)
    logits = model(x, REAL)
    order = torch.tensor([5, 2, 0, 4, 1, 3])
    torch.testing.assert_close(model(x[:, order], REAL[:, order]), logits)
    other = torch.where(REAL.unsqueeze(-1), x, torch.full_like(x, 7.0))
    torch.testing.assert_close(model(other, REAL), logits)
    for row, n in enumerate((4, 6, 1)):
        torch.testing.assert_close(model(x[row : row + 1, :n])[0], logits[row])
        changed = x.clone()
        changed[row, 0] += 1
        moved = model(changed, REAL)
        assert not torch.allclose(moved[row], logits[row])                # every element counts
        others = [r for r in range(B) if r != row]
        torch.testing.assert_close(moved[others], logits[others], rtol=0, atol=1e-12)


@pytest.mark.parametrize("block", [lambda: SAB(D, H), lambda: ISAB(D, H, 3)])
@torch.no_grad()
def test_blocks_turn_with_the_set(block):
    block, x, order = drawn(block), elements(B, N, D), torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order])


@torch.no_grad()
def test_formulas_of_the_paper():
    mab, x, y = drawn(lambda: MAB(D, H)), elements(B, N, D), elements(B, 4, D, seed=2)
    attention = nn.MultiheadAttention(D, H, batch_first=True).double()
    mine = mab.attention.state_dict()
    attention.load_state_dict({
        "in_proj_weight": mine["in_proj.weight"], "in_proj_bias": mine["in_proj.bias"],
        "out_proj.weight": mine["out_proj.weight"], "out_proj.bias": mine["out_proj.bias"],
    })  # fmt: skip
    h = mab.norms[0](x + attention(x, y, y)[0])
    feed = mab.feed_forward
    torch.testing.assert_close(mab(x, y), mab.norms[1](h + feed.outer(feed.inner(h).relu())))
    sab, isab, pma = drawn(lambda: SAB(D, H)), drawn(lambda: ISAB(D, H, 3)), drawn(lambda: PMA(D, H, 2))
    torch.testing.assert_close(sab(x), MAB.forward(sab, x, x))
    torch.testing.assert_close(isab(x), isab.spread(x, isab.gather(isab.inducing.expand(B, -1, -1), x)))
    torch.testing.assert_close(pma(x), pma.block(pma.seeds.expand(B, -1, -1), pma.feed_forward(x)))
    assert pma(x).shape == (B, 2, D) and isab.inducing.shape == (1, 3, D)


def test_every_parameter_learns():
    model = drawn(MODELS["ISAB"])
    model(elements(B, N, 3), REAL).square().sum().backward()
    assert all(p.grad is not None and float(p.grad.abs().max()) > 1e-12 for p in model.parameters())


def test_bad_sets_and_models():
    model = SetTransformer(3, 5)
    with pytest.raises(ValueError, match="at least one real element in every set"):
        model(torch.zeros(2, 4, 3), torch.tensor([[True] * 4, [False] * 4]))
    with pytest.raises(ValueError, match="unknown pool 'max': one of 'attention', 'mean'"):
        SetTransformer(3, 5, pool="max")
    with pytest.raises(ValueError, match="n_inducing must be a positive whole number"):
        SetTransformer(3, 5, n_inducing=0)
