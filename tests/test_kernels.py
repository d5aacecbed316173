"""What notebook 22 is made of: hidden characters, associative recall, the numbers behind its widgets."""

import itertools

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from course_utils.attention.performer import PerformerAttention
from course_utils.experiments.nb22.masked_characters import (
    HIDDEN,
    SHARE,
    SIZES,
    MaskedCharacters,
    WindowBatches,
    hidden_loss,
    hidden_scores,
)
from course_utils.experiments.nb22.recall import KINDS, PairBatches, Recall, recall_loss, recall_score
from course_utils.plots import kernels as pictures
from course_utils.plots.style import VERMILLION
from course_utils.training import train
from course_utils.widgets import kernels

TEXT = torch.arange(4, 34).repeat(40)                                     # thirty symbols over and over
N = 12


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def model(plug="dense", size=6):
    torch.manual_seed(0)
    return MaskedCharacters(34, N, plug, size, d_model=16, n_heads=2).double()


# --- hidden characters ------------------------------------------------------------------------------------------------


def test_windows_come_from_the_text_and_hide_their_share():
    windows = WindowBatches(TEXT, 50).take(200, torch.Generator().manual_seed(1))
    for row, start in zip(windows.ids, windows.index, strict=True):
        assert torch.equal(row, TEXT[start : start + 50])
    assert windows.hidden.double().mean().item() == pytest.approx(SHARE, abs=0.01)
    assert bool((windows.source[windows.hidden] == HIDDEN).all()) and len(windows) == 200
    assert torch.equal(windows.source[~windows.hidden], windows.ids[~windows.hidden])
    assert windows.n_tokens == int(windows.hidden.sum()) and min(windows.index) >= 0
    assert max(windows.index) == len(TEXT) - 50 or max(windows.index) > 0.9 * len(TEXT)


@pytest.mark.parametrize("make", [lambda s: WindowBatches(TEXT, N, 3, s), lambda s: PairBatches(5, 4, 3, s)])
def test_streams_repeat_and_resume(make):
    def seen(batches, n):
        some = itertools.islice(batches.forever(), n)
        return torch.stack([b.ids * 100 + b.hidden if hasattr(b, "ids") else b.values for b in some])

    first = seen(make(1), 4)
    assert torch.equal(seen(make(1), 4), first) and not torch.equal(seen(make(2), 4), first)
    one, other = make(1), make(1)
    seen(one, 2)
    other.load_state_dict(one.state_dict())
    assert torch.equal(seen(other, 2), first[2:])
    with pytest.raises(ValueError, match="build the same one"):
        make(2).load_state_dict(one.state_dict())


def test_what_windows_refuse():
    for length in (1, len(TEXT) + 1):
        with pytest.raises(ValueError, match=f"length={length}"):
            WindowBatches(TEXT, length)
    assert WindowBatches(TEXT, len(TEXT)).take(1, torch.Generator()).index == [0]
    with pytest.raises(ValueError, match="unknown plug 'sparse'"):
        MaskedCharacters(34, N, "sparse")
    with pytest.raises(ValueError, match="unknown kind 'hard'"):
        Recall(4, 4, "hard")


@pytest.mark.parametrize("plug", SIZES)
def test_every_character_is_read_with_both_sides(plug):
    net, ids = model(plug), TEXT[None, :N]
    with torch.no_grad():
        before = net(ids)
        for place in (0, N - 1):
            changed = ids.clone()
            changed[0, place] = 33
            assert (net(changed) - before)[0].abs().amax(-1).min() > 1e-12    # every place notices
    assert before.shape == (1, N, 34)


def test_projections_are_what_the_plugs_get():
    net, ids = model(), TEXT[None, :N]
    got = []
    for block in net.blocks:
        block.attention.plug.register_forward_hook(lambda _, inputs, __: got.append(inputs))
    net(ids)
    for inputs, projected in zip(tuple(got), net.projections(ids), strict=True):
        assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(inputs, projected, strict=True))


def test_loss_and_scores_count_hidden_characters_only():
    net, windows = model(), WindowBatches(TEXT, N).take(8, torch.Generator().manual_seed(1))
    log_p = net(windows.source).log_softmax(-1)
    total, right, n = 0.0, 0, 0
    for b, i in windows.hidden.nonzero().tolist():
        total -= log_p[b, i, windows.ids[b, i]].item()
        right += int(log_p[b, i].argmax() == windows.ids[b, i])
        n += 1
    assert hidden_loss(net, windows).item() == pytest.approx(total / n)
    assert hidden_scores(net, windows) == pytest.approx({"n": n, "accuracy": right / n, "loss": total / n})


def test_it_learns_to_count():
    torch.manual_seed(0)
    net = MaskedCharacters(34, N, d_model=32, n_heads=2, n_layers=1)
    train(net, WindowBatches(TEXT, N, 32), steps=150, lr=1e-2, warmup=10, seed=0, objective=hidden_loss, progress=False)
    test = WindowBatches(TEXT, N).take(64, torch.Generator().manual_seed(9))
    assert hidden_scores(net, test)["accuracy"] > 0.6


# --- associative recall -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_recall_asks_for_every_value(kind):
    torch.manual_seed(0)
    net = Recall(3, 4, kind, n_values=5).double()
    lines = PairBatches(3, 5).take(6, torch.Generator().manual_seed(0))
    logits = net(lines.values)
    assert logits.shape == (6, 3, 5) and int(lines.values.max()) == 4 and int(lines.values.min()) == 0
    losses = [-logits[b, i].log_softmax(-1)[lines.values[b, i]] for b in range(6) for i in range(3)]
    assert recall_loss(net, lines).item() == pytest.approx(sum(losses).item() / 18)
    swapped = lines.values.clone()
    swapped[:, 0] = (swapped[:, 0] + 1) % 5
    assert not torch.allclose(net(swapped)[:, 2], logits[:, 2])           # one context of all pairs
    perfect = torch.nn.functional.one_hot(lines.values, 5).double()
    assert recall_score(lambda _: perfect, lines) == 1.0
    assert recall_score(lambda _: perfect.flip(-1), lines) == (lines.values == 2).double().mean()


def test_linear_attention_forgets_what_softmax_keeps():
    scores = {}
    for kind, n in (("linear", 8), ("linear", 32), ("softmax", 32)):
        torch.manual_seed(0)
        net, lines = Recall(n, 8, kind), PairBatches(n)
        train(net, lines, steps=300, lr=2e-2, warmup=10, seed=0, objective=recall_loss, progress=False)
        scores[kind, n] = recall_score(net, lines.take(100, torch.Generator().manual_seed(1)))
    assert scores["linear", 8] > 0.85 and scores["linear", 32] < 0.7 and scores["softmax", 32] > 0.9


# --- the numbers behind the widgets -----------------------------------------------------------------------------------


def test_operations_of_both_orders():
    assert kernels.order_operations(5, 3) == (5 * 3 * 5 + 5 * 5 * 3, 3 * 5 * 3 + 5 * 3 * 3)
    assert kernels.order_operations(7, 7)[0] == kernels.order_operations(7, 7)[1]
    once = kernels.order_seconds(32, 8)
    assert min(once) >= 0 and kernels.order_seconds(32, 8) is once, "measured once, so that a picture stays the same"


def test_rank_errors_are_those_of_the_best_approximation():
    maps = normal(2, 6, 6).softmax(-1)
    errors = kernels.rank_errors(maps)
    assert errors.shape == (2, 6) and errors[:, -1].abs().max() < 1e-7
    for k in range(1, 6):
        best = kernels.best_of_rank(maps[0], k)
        assert torch.linalg.matrix_rank(best) == k
        assert float((maps[0] - best).norm() / maps[0].norm()) == pytest.approx(errors[0, k - 1].item())
    assert kernels.rank_errors(torch.eye(8))[3].item() == pytest.approx(0.5**0.5)
    assert kernels.rank_errors(torch.full((8, 8), 1 / 8))[0].item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("orthogonal", [True, False])
def test_directions_are_the_package_s(orthogonal):
    state = torch.random.get_rng_state()
    W = kernels.directions(4, 10, orthogonal, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state), "torch's own generator is left alone"
    assert W.shape == (4, 10) and torch.equal(W, kernels.directions(4, 10, orthogonal, seed=3))
    products = W[:, :4].T @ W[:, :4]
    assert (torch.allclose(products, products.diag().diag(), atol=1e-10)) == orthogonal
    many = kernels.directions(4, 4000, orthogonal, seed=0)
    assert many.square().mean().item() == pytest.approx(1, abs=0.05)


def test_estimates_are_the_package_s_and_right_on_average():
    q, k, values = 0.5 * normal(9, 4, seed=1), 0.5 * normal(9, 4, seed=2), normal(9, 4, seed=3)
    W = kernels.directions(4, 16, True, 0)
    plug = PerformerAttention(4, 16).double()
    plug.directions.copy_(W * 4**-0.25)
    assert torch.allclose(kernels.estimated_weights(q, k, W) @ values, plug(q[None], k[None], values[None])[0][0])
    exact = (q @ k.T / 2).softmax(-1)
    many = kernels.directions(4, 20_000, True, 0)
    for kind in ("positive", "trig"):
        found = kernels.estimated_weights(q, k, many, kind)
        assert torch.allclose(found.sum(-1), torch.ones(9, dtype=torch.float64))
        assert kernels.relative_error(found, exact) < 0.05
    assert kernels.relative_error(exact + 0.1 * exact, exact) == pytest.approx(0.1)


def test_memories():
    for memory in kernels.MEMORIES:
        answers, right = kernels.recalled(memory, 2, 32)
        assert answers.shape == (2, 16) and torch.equal(answers.argmax(-1), right)
        shares = [kernels.share_recalled(memory, n, 8) for n in kernels.PAIRS]
        assert shares == sorted(shares, reverse=True) and shares[0] > 0.85
        assert (shares[-1] > 0.95) == (memory == "softmax attention")
    soft, _ = kernels.recalled("softmax attention", 5, 8)
    linear, _ = kernels.recalled("linear attention", 5, 8)
    for some in (soft, linear):
        assert np.allclose(some.sum(-1), 1) and some.min() >= 0
    with pytest.raises(ValueError, match="unknown memory 'cache'"):
        kernels.recalled("cache", 2, 8)


def test_what_the_lines_say():
    order = kernels.order_slider()
    assert order.text == "N = 1024, d = 64: Q (Kᵀ V) needs 16 times fewer multiply-adds."
    order.controls["N"].value = 64
    assert "both orders cost the same" in order.text
    order.controls["N"].value = 32
    assert "(Q Kᵀ) V needs 2 times fewer" in order.text
    maps = {"uniform": torch.full((16, 16), 1 / 16), "next": torch.eye(16).roll(-1, 1)}
    ranks = kernels.rank_explorer(maps, k=4)
    assert ranks.text == "uniform: with k = 4 of 16 the best approximation is off by 0%."
    ranks.controls["name"].value = "next"
    assert ranks.text.endswith("off by 87%.")                              # sqrt(1 - 4 / 16)
    kept = kernels.recall_slider()
    assert "256 numbers" in kept.text                                     # 16 x 16
    kept.controls["memory"].value = "linear attention"
    assert "272 numbers" in kept.text                                     # and 16 for z
    kept.controls["memory"].value = "softmax attention"
    assert "256 numbers" in kept.text and kept.text.startswith("8 pairs, d = 16: 100%")     # 8 x (16 + 16)


# --- the numbers in the pictures --------------------------------------------------------------------------------------


def shown(image):
    """The weights behind a picture of their roots."""
    return np.asarray(image.get_array(), dtype=float) ** 2


def test_bars_of_both_orders():
    left, *bars = pictures.product_orders(1024, 64, (2_000_000, 500_000), (0.004, 0.001)).axes
    assert [[bar.get_width() for bar in axes.patches] for axes in bars] == [
        pytest.approx([2, 0.5]), pytest.approx([4, 1])
    ]
    made = {text.get_text() for text in left.texts}
    assert {"N × N:\n1,048,576\nnumbers", "d × d:\n4,096\nnumbers"} <= made
    big, small = (patch.get_width() for patch in left.patches)
    assert big - small == pytest.approx(0.105 * 4)                        # 1024 / 64 is 2 to the 4th


@pytest.mark.parametrize("log", [True, False])
def test_curves_are_medians_with_all_runs_in_the_band(log):
    runs = [[0.9, 0.5, 0.1], [0.8, 0.6, 0.3], [0.1, 0.7, 0.2]]
    axes = pictures.error_curves({"one": runs}, (4, 8, 16), xlabel="k", log=log, at=8).axes[0]
    turned = np.log10(runs) if log else np.asarray(runs)
    assert axes.lines[0].get_xdata() == pytest.approx([2, 3, 4])
    assert axes.lines[0].get_ydata() == pytest.approx(np.median(turned, 0))
    band = axes.collections[0].get_paths()[0].vertices
    for x, some in zip((2, 3, 4), turned.T, strict=True):
        heights = band[band[:, 0] == x, 1]
        assert heights.min() == pytest.approx(some.min()) and heights.max() == pytest.approx(some.max())
    assert [3.0, 3.0] in [list(line.get_xdata()) for line in axes.lines], "`at` stands at its own point"


def test_maps_and_what_is_missing():
    table, best = np.array([[0.5, 0.5], [0.1, 0.9]]), np.array([[0.4, 0.6], [0.1, 0.9]])
    (axes,) = pictures.square_maps([table], ["head"]).axes
    assert shown(axes.images[0]) == pytest.approx(table) and "largest 0.90" in [t.get_text() for t in axes.texts]
    first, second, third, curve = pictures.rank_view(table, best, 1, {"head": [[0.5, 0.1]]}, (1, 2), "head").axes
    for axes, weights in ((first, table), (second, best), (third, abs(table - best))):
        assert shown(axes.images[0]) == pytest.approx(weights)
        assert axes.images[0].get_clim() == pytest.approx((0, 0.9**0.5)), "one scale for all three"
    assert list(curve.lines[0].get_ydata()) == [0.5, 0.1]


def test_every_weight_against_its_estimate():
    exact, estimate = np.array([[0.5, 0.3], [0.4, 0.6]]), np.array([[0.45, 0.35], [9.0, -9.0]])
    softmax, estimated, points = pictures.favor_view(exact, estimate, "error 2").axes
    assert shown(softmax.images[0]) == pytest.approx(exact)
    assert shown(estimated.images[0]) == pytest.approx(np.clip(estimate, 0, 0.6))
    dots = points.lines[1]
    assert list(dots.get_xdata()) == [0.5, 0.3, 0.4, 0.6]
    assert dots.get_ydata() == pytest.approx([0.45, 0.35, 0.78, -0.234]), "what lies outside stands at the edge"


@pytest.mark.parametrize("right", [0, 2, 3])
def test_the_right_value_is_coloured(right):
    curves = {"outer products": [1.0, 0.8, 0.3], "softmax attention": [1.0, 1.0, 1.0]}
    bars, lines = pictures.recall_view([0.5, -0.1, 0.2, 0.1], right, (2, 8, 32), curves, 8, 16, "Outer products").axes
    assert [bar.get_height() for bar in bars.patches] == [0.5, -0.1, 0.2, 0.1]
    coloured = [k for k, bar in enumerate(bars.patches) if bar.get_facecolor() == to_rgba(VERMILLION)]
    assert coloured == [right]
    assert list(lines.lines[0].get_ydata()) == [1.0, 0.8, 0.3]
    upright = [line.get_xdata()[0] for line in lines.lines[2:]]
    assert upright == [3.0, 4.0], "n = 8, then d = 16"
