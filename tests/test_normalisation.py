"""Batch norm and layer norm equal torch's where torch has them; the digits, the deep network and the walks of 05."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.corpora import digits
from course_utils.experiments.nb05 import recipes as recipes05
from course_utils.experiments.nb05.deep import INITS, NORMS, DeepMLP, along_the_gradient, by_layer
from course_utils.layers.normalisation import BatchNorm, LayerNorm
from course_utils.training import train
from course_utils.widgets.normalisation import descend, quadratic, three_norms


@pytest.fixture
def x():
    """(B, T, D) float64, features of unequal scale."""
    draw = torch.Generator().manual_seed(0)
    return torch.randn(4, 5, 3, dtype=torch.float64, generator=draw) * torch.tensor([0.1, 1, 30]) + 2


@pytest.fixture
def mask():
    return torch.arange(5) < torch.tensor([5, 2, 1, 3]).unsqueeze(1)


def twins(d: int, **options) -> tuple[BatchNorm, nn.BatchNorm1d]:
    """The same γ, β in ours and torch's; options as torch's."""
    ours, theirs = BatchNorm(d, **options).double(), nn.BatchNorm1d(d, **options).double()
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.weight.copy_(torch.linspace(0.5, 2, d))
            layer.bias.copy_(torch.linspace(-1, 1, d))
    return ours, theirs


def outcome(layer, x, mask=None):
    """Output and gradients of x, γ, β for a loss in which every output counts differently."""
    leaf = x.clone().requires_grad_()
    layer.zero_grad()
    out = layer(leaf) if mask is None else layer(leaf, mask)
    (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
    return out.detach(), leaf.grad, layer.weight.grad, layer.bias.grad


def close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


# --- batch norm -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"momentum": 0.3, "eps": 0.2}, {"momentum": 1.0}, {"momentum": 0.0}])
def test_batch_norm_is_torchs(x, options):
    ours, theirs = twins(3, **options)
    for k in range(3):
        rows = (x + k).flatten(0, 1)[: 4 + k]  # (N, D)
        close(outcome(ours, rows), outcome(theirs, rows))
        close(ours.buffers(), theirs.buffers())
    ours.eval(), theirs.eval()
    before = [b.clone() for b in ours.buffers()]
    close(outcome(ours, x[0]), outcome(theirs, x[0]))
    close(outcome(ours, x[0, :1]), outcome(theirs, x[0, :1]))  # one row is enough now
    close(ours.buffers(), before)


def test_sequences_are_torchs_with_the_features_in_the_middle(x):
    ours, theirs = twins(3)
    for _ in range(2):
        torch.testing.assert_close(ours(x), theirs(x.transpose(1, 2)).transpose(1, 2))
    close(ours.buffers(), theirs.buffers())
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x.transpose(1, 2)).transpose(1, 2))


def test_with_a_mask_only_real_tokens_count(x, mask):
    ours, theirs = twins(3)
    spoilt = torch.where(mask.unsqueeze(-1), x, 1e6)
    for training in (True, False):
        ours.train(training), theirs.train(training)
        got, expected = ours(spoilt, mask), theirs(x[mask])
        torch.testing.assert_close(got[mask], expected)
        assert not got[~mask].any()
        close(ours.buffers(), theirs.buffers())
    longer = ours.train()(F.pad(spoilt, (0, 0, 0, 4)), F.pad(mask, (0, 4)))
    torch.testing.assert_close(longer[:, :5], ours(spoilt, mask))
    gradient = outcome(ours.train(), spoilt, mask)[1]
    assert gradient[mask].any(1).all() and not gradient[~mask].any()
    everything = torch.ones_like(mask)
    torch.testing.assert_close(ours(x, everything), ours(x))


def test_the_memory_keeps_the_unbiased_variance():
    layer, rows = BatchNorm(1, momentum=1.0).double(), torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    torch.testing.assert_close(layer(rows).flatten(), torch.tensor([-1.0, 1.0]).double(), rtol=0, atol=1e-4)
    assert (layer.running_mean.item(), layer.running_var.item()) == (1.0, 2.0)  # while it divided by a variance of 1
    assert not layer.running_var.requires_grad and layer.num_batches_tracked == 1


def test_it_can_undo_itself(x):
    layer, rows = BatchNorm(3).double(), x.flatten(0, 1)
    with torch.no_grad():
        layer.weight.copy_((rows.var(0, correction=0) + layer.eps).sqrt())
        layer.bias.copy_(rows.mean(0))
    torch.testing.assert_close(layer(rows), rows)


def test_state_dicts_fit(x):
    ours, theirs = twins(3)
    _ = theirs(x[0])
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours.eval()(x[1]), theirs.eval()(x[1]))
    nn.LayerNorm(3).load_state_dict(LayerNorm(3).state_dict())


def test_gradients_are_true(x, mask):
    layer = BatchNorm(3).double()
    assert torch.autograd.gradcheck(lambda t: layer(t, mask), x[:, :, :].clone().requires_grad_())
    assert torch.autograd.gradcheck(LayerNorm(3).double(), x[:2, :2].clone().requires_grad_())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: BatchNorm(3)(torch.zeros(1, 3)), "two rows or more, this batch has 1"),
        (lambda: BatchNorm(3)(torch.zeros(2, 2, 3), torch.zeros(2, 2, dtype=torch.bool)), "this batch has 0"),
        (lambda: BatchNorm(3)(torch.zeros(4, 2)), "normalises 3 features"),
        (lambda: BatchNorm(3)(torch.zeros(3)), "takes (N, D) or (B, T, D)"),
        (lambda: BatchNorm(3)(torch.zeros(2, 2, 2, 3)), "takes (N, D) or (B, T, D)"),
        (lambda: BatchNorm(3)(torch.zeros(2, 4, 3), torch.ones(2, 3, dtype=torch.bool)), "bool of shape (2, 4)"),
        (lambda: BatchNorm(3)(torch.zeros(2, 4, 3), torch.ones(2, 4)), "it is torch.float32"),
        (lambda: BatchNorm(0), "d_model"),
        (lambda: BatchNorm(3, momentum=1.5), "momentum=1.5"),
        (lambda: BatchNorm(3, eps=0.0), "eps=0.0"),
        (lambda: LayerNorm(3, eps=-1), "eps=-1"),
        (lambda: LayerNorm(4)(torch.zeros(2, 3)), "normalises 4 features"),
        (lambda: LayerNorm(4)(torch.tensor(1.0)), "normalises 4 features"),
    ],
)
def test_errors_at_the_door(call, said):
    with pytest.raises(ValueError) as error:
        call()
    assert said in str(error.value)


# --- layer norm -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_layer_norm_is_torchs(x, eps):
    ours, theirs = LayerNorm(3, eps).double(), nn.LayerNorm(3, eps).double()
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.weight.copy_(torch.tensor([0.5, 1.0, 3.0]))
            layer.bias.copy_(torch.tensor([1.0, 0.0, -2.0]))
    for shape in (x, x[0], x[0, 0]):
        close(outcome(ours, shape), outcome(theirs, shape))


def test_who_depends_on_whom(x, mask):
    """A neighbour changes batch norm's answer, pads too unless masked; nothing changes layer norm's."""
    first = three_norms(x, mask)
    neighbour, longer = x.clone(), F.pad(x, (0, 0, 0, 3))
    neighbour[1, 0] += 5
    for other, m, pads in ((neighbour, mask, False), (longer, F.pad(mask, (0, 3)), True)):
        batch, masked, layer = (
            (now - was).abs().max() for now, was in zip(three_norms(other, m).values(), first.values(), strict=True)
        )
        assert batch > 0.01 and layer == 0
        assert masked < 1e-9 if pads else masked > 0.01


# --- the digits -------------------------------------------------------------------------------------------------------


def test_the_digits():
    pixels, classes = digits.read_digits()
    assert pixels.shape == (1797, 64) and classes.shape == (1797,)
    assert (pixels.min(), pixels.max()) == (0, 16) and torch.equal(pixels, pixels.round())
    parts = [digits.load_split(name) for name in digits.SPLITS]
    assert [len(p) for p in parts] == [1197, 300, 300] and sum(p.n_tokens for p in parts) == 1797
    torch.testing.assert_close(torch.cat([p.pixels for p in parts]) * 16, pixels)
    assert all(len(p.classes.unique()) == 10 for p in parts)
    sklearn = pytest.importorskip("sklearn.datasets")
    theirs = sklearn.load_digits()
    assert np.array_equal(theirs.data, pixels.numpy()) and np.array_equal(theirs.target, classes.numpy())


def test_other_digits_are_refused(monkeypatch):
    monkeypatch.setattr(digits, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match="other digits"):
        digits.read_digits.__wrapped__()
    monkeypatch.setattr(digits.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
        digits.read_digits.__wrapped__()
    with pytest.raises(ValueError, match="no split 'all'"):
        digits.load_split("all")


def test_batches_of_digits_go_on_where_they_stood():
    whole = digits.DigitBatches(batch_size=500, seed=3)
    stream = whole.forever()
    seen = [next(stream) for _ in range(5)]
    assert all(len(b) == 500 and len(set(b.index)) == 500 for b in seen)
    assert not set(seen[0].index) & set(seen[1].index)  # one epoch
    assert seen[0].index != seen[2].index  # another order
    again = digits.DigitBatches(batch_size=500, seed=3)
    stream = again.forever()
    for _ in range(3):
        next(stream)
    resumed = digits.DigitBatches(batch_size=500, seed=3)
    resumed.load_state_dict(again.state_dict())
    assert next(resumed.forever()).index == seen[3].index
    train_set = digits.load_split("train")
    assert torch.equal(seen[0].to("cpu").pixels, train_set.pixels[list(seen[0].index)])
    with pytest.raises(ValueError, match="seed was 4"):
        resumed.load_state_dict(digits.DigitBatches(batch_size=500, seed=4).state_dict())
    with pytest.raises(ValueError, match="batch_size=0"):
        digits.DigitBatches(batch_size=0)


# --- the deep network and the walks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_the_deep_network(norm):
    torch.manual_seed(0)
    model = DeepMLP(64, 64, 6, 10, norm=norm, init="small").double()
    kinds = [[type(m) for m in block] for block in model.blocks]
    assert kinds == [[nn.Linear, type(NORMS[norm](2)), nn.ReLU]] * 6
    data = digits.load_split("valid")
    spreads, gradients = by_layer(model, lambda net: F.cross_entropy(net(data.pixels.double()), data.classes))
    assert len(spreads) == len(gradients) == 6 and not model.blocks[0]._forward_hooks
    if norm == "none":
        expected = 0.01 * math.sqrt(64 / 2)  # ReLU halves the second moment
        assert all(expected / 2 < b / a < 2 * expected for a, b in zip(spreads, spreads[1:], strict=False))
    else:
        assert all(0.2 < s < 2 for s in spreads)


def test_initialisations():
    torch.manual_seed(0)
    std = {i: DeepMLP(64, 200, 2, 10, init=i).blocks[1][0].weight.std().item() for i in INITS}
    assert std["small"] == pytest.approx(0.01, rel=0.05) and std["he"] == pytest.approx(0.1, rel=0.05)
    assert std["default"] == pytest.approx(1 / math.sqrt(3 * 200), rel=0.05)
    with pytest.raises(ValueError, match="norm='group'"):
        DeepMLP(64, 8, 2, 10, norm="group")
    with pytest.raises(ValueError, match="init='zero'"):
        DeepMLP(64, 8, 2, 10, init="zero")


def test_a_walk_on_a_known_bowl():
    """On ½ λ w² the gradient changes by λ times the distance, whatever the step."""
    model = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(3.0)
    walk = along_the_gradient(model, lambda net: 0.5 * 4 * net.weight.pow(2).sum(), (0.1, 0.25, 0.5))
    assert walk.smoothness == pytest.approx(4) and walk.start == pytest.approx(18)
    assert walk.distances == pytest.approx((1.2, 3.0, 6.0)) and walk.loss == pytest.approx((2 * 1.8**2, 0, 18))
    assert walk.variation == pytest.approx(18) and walk.cosine[0] == pytest.approx(1)
    assert walk.cosine[2] == pytest.approx(-1) and walk.change == pytest.approx((4.8, 12, 24))
    with torch.no_grad():
        model.weight.fill_(1.0)
    walk = along_the_gradient(model, lambda net: net.weight.pow(4).sum(), (0.1, 0.25))  # from 1 to 0.6, and to 0
    assert walk.smoothness == pytest.approx((4 - 4 * 0.6**3) / 0.4)  # the largest ratio: the second one is 4
    for steps in ((), (0.1, 0.0)):
        with pytest.raises(ValueError, match="steps="):
            along_the_gradient(model, lambda net: net.weight.sum(), steps)


def test_a_walk_leaves_nothing_behind():
    torch.manual_seed(0)
    model, data = DeepMLP(64, 16, 3, 10, norm="batch", init="he"), digits.load_split("valid")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    walk = along_the_gradient(model, lambda net: F.cross_entropy(net(data.pixels), data.classes), (0.01, 0.1))
    assert walk.loss[0] < walk.start  # down the gradient
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items()) and model.training


def test_every_rate_is_tried_and_the_best_kept(monkeypatch):
    monkeypatch.setattr(recipes05, "RATES", (1e-9, 3e-3, 2e-9))  # the best is neither first nor last
    run = recipes05.deep(0, norm="batch", init="he", n_layers=2, steps=40)
    history = run.fit(run.model, run.batches, progress=True, **run.training)
    scores = run.splits["test"](run.model, None)
    assert scores["valid_0.003"] > scores["valid_1e-09"] + 0.3 and scores["rate"] == 3e-3 and len(history) == 40
    assert recipes05.accuracy(run.model, "valid") == scores["valid_0.003"]
    alone = recipes05.deep(0, norm="batch", init="he", n_layers=2, steps=40)  # the same run by itself
    train(alone.model, alone.batches, lr=3e-3, objective=recipes05.digits_loss, progress=False, **alone.training)
    assert recipes05.accuracy(alone.model, "valid") == scores["valid_0.003"]


def test_walks_do_not_disturb_the_training():
    losses, ends = [], []
    for fit in (True, False):
        run = recipes05.smooth(0, norm="batch", n_layers=2, steps=45, lr=1e-3)
        if fit:
            history = run.fit(run.model, run.batches, progress=False, **run.training)
            scores = run.splits["train"](run.model, None)
        else:
            history = train(run.model, run.batches, objective=recipes05.digits_loss, progress=False, **run.training)
        losses.append(history.loss)
        ends.append(run.model.state_dict())
    assert losses[0] == losses[1] and all(torch.equal(v, ends[1][k]) for k, v in ends[0].items())
    assert {f"{w}_{k}" for w in ("early", "late") for k in ("variation", "beta", "cosine")} <= set(scores)


# --- the valley -------------------------------------------------------------------------------------------------------


def test_descent_is_stable_below_two_over_the_largest_curvature():
    features = np.random.default_rng(0).normal(size=(50, 2)) * [4, 0.3]
    hessian, minimum = quadratic(features, features @ [1.0, 2.0])
    np.testing.assert_allclose(minimum, [1, 2])
    np.testing.assert_allclose(hessian, features.T @ features / 50)
    bound = 2 / np.linalg.eigvalsh(hessian)[-1]
    near, far = (np.linalg.norm(descend(hessian, minimum, k * bound, 500)[-1] - minimum) for k in (0.99, 1.01))
    assert near < np.linalg.norm(minimum) < far
    path = descend(hessian, minimum, bound / 2, 3)
    assert path.shape == (4, 2) and not path[0].any()
    np.testing.assert_allclose(path[1], bound / 2 * hessian @ minimum)
