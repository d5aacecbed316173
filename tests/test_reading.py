"""How a language model reads a text, notebook 23: by segments, with a memory, with so many characters before."""

import pytest
import torch
import torch.nn.functional as F

from course_utils.experiments.nb23.reading import (
    by_place,
    context_losses,
    effective_context,
    reach,
    remembering,
    segment_losses,
)
from course_utils.models.language_model import CharLanguageModel, total_nll
from course_utils.models.transformer_xl import TransformerXL

V = 12


def xl(n_layers: int = 2, memory: int = 8, seed: int = 0) -> TransformerXL:
    torch.manual_seed(seed)
    return TransformerXL(V, d_model=8, n_heads=2, n_layers=n_layers, d_ff=8, memory=memory).double().eval()


def lstm() -> CharLanguageModel:
    torch.manual_seed(0)
    return CharLanguageModel(V, 6, 8).double()


def text(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(4, V, (n,), generator=torch.Generator().manual_seed(seed))


def test_a_memory_is_changed_for_a_while():
    model = xl(memory=8)
    with remembering(model, 3) as same:
        assert same is model and model.memory == 3
    assert model.memory == 8
    with pytest.raises(RuntimeError), remembering(model, 2):
        raise RuntimeError
    assert model.memory == 8
    with pytest.raises(ValueError, match="memory=-1"), remembering(model, -1):
        pass


@pytest.mark.parametrize("model", [xl(memory=40), lstm()])
def test_carried_segments_are_the_uncut_text(model):
    ids = text(2 * 24 + 1)
    losses = segment_losses(model, ids, 6, lanes=2)
    assert losses.shape == (2, 24)
    for lane, some in enumerate((ids[:25], ids[24:49])):
        with torch.no_grad():
            logits, _ = model(some[None, :24])
        torch.testing.assert_close(losses[lane], F.cross_entropy(logits[0], some[1:], reduction="none"))


@pytest.mark.parametrize("model", [xl(memory=40), lstm()])
def test_thrown_away_every_segment_is_read_alone(model):
    ids = text(2 * 24 + 1)
    losses = segment_losses(model, ids, 6, lanes=2, carry=False)
    with torch.no_grad():
        logits, _ = model(ids[30:36][None])                               # the second segment of the second lane
    torch.testing.assert_close(losses[1, 6:12], F.cross_entropy(logits[0], ids[31:37], reduction="none"))
    assert not torch.allclose(losses, segment_losses(model, ids, 6, lanes=2))


def test_without_a_memory_nothing_is_carried():
    model, ids = xl(), text(61)
    with remembering(model, 0):
        torch.testing.assert_close(
            segment_losses(model, ids, 6, lanes=2), segment_losses(model, ids, 6, lanes=2, carry=False)
        )


def test_the_sum_is_that_of_notebook_04():
    model, ids = lstm(), text(4 * 64 + 1)
    nll, n = total_nll(model, ids, lanes=4)
    losses = segment_losses(model, ids, 16, lanes=4)
    assert losses.numel() == n and losses.sum().item() == pytest.approx(nll)


def test_places_of_a_segment():
    losses = torch.arange(24.0).view(2, 12)
    assert by_place(losses, 4).tolist() == [10.0, 11.0, 12.0, 13.0]       # of 0, 4, 8, 12, 16, 20: 10, and so on


def test_an_unfinished_segment_is_left_out():
    assert segment_losses(lstm(), text(2 * 23 + 1), 6, lanes=2).shape == (2, 18)
    with pytest.raises(ValueError, match="fewer lanes"):
        segment_losses(lstm(), text(20), 12, lanes=2)


@pytest.mark.parametrize("model", [xl(), lstm()])
def test_exactly_so_many_characters_of_context(model):
    ids = text(50)
    places = [20, 33, 49]
    losses = context_losses(model, ids, places, 5, at_once=2)
    for place, loss in zip(places, losses, strict=True):
        with torch.no_grad():
            logits, _ = model(ids[place - 5 : place][None])
        torch.testing.assert_close(loss, F.cross_entropy(logits[0, -1], ids[place]))
    far = ids.clone()
    far[:15] = text(15, seed=1)
    torch.testing.assert_close(context_losses(model, far, places, 5), losses, rtol=0, atol=1e-12)  # another batch size
    near = ids.clone()
    near[15] = 4 + (near[15] - 3) % (V - 4)
    moved = (context_losses(model, near, places, 5) - losses).abs() > 1e-9
    assert moved.tolist() == [True, False, False]


def test_only_the_far_words_are_shuffled():
    seen = []

    def listener(windows):
        seen.append(windows)
        return torch.zeros(*windows.shape, V), None

    ids = torch.tensor([5, 6, 4, 7, 4, 8, 9, 10, 4, 11, 5, 4, 6, 7, 8, 9])  # 4 is the space
    context_losses(listener, ids, [15], 15, keep=4, space=4, seed=1)
    window = seen[0][0]
    assert window[-4:].tolist() == ids[11:15].tolist()
    assert sorted(window.tolist()) == sorted(ids[:15].tolist()) and not torch.equal(window, ids[:15])

    def words(x):
        return sorted(" ".join(map(str, x)).split(" 4 "))

    assert words(window[:11].tolist()) == words(ids[:11].tolist())
    context_losses(listener, ids, [15], 15, keep=15, space=4)
    assert torch.equal(seen[1][0], ids[:15])


def test_context_is_checked():
    for places, context, more in (([3], 4, {}), ([9], 0, {}), ([9], 4, {"keep": 2}), ([9], 4, {"keep": 5, "space": 4})):
        with pytest.raises(ValueError):
            context_losses(lstm(), text(20), places, context, **more)


def test_effective_context():
    assert effective_context({1: 3.0, 4: 2.0, 16: 1.505, 64: 1.5}) == 16
    assert effective_context({1: 3.0, 4: 2.0, 16: 1.505, 64: 1.5}, tolerance=0.001) == 64
    assert effective_context({1: 3.0, 4: 1.4, 16: 1.6}) == 4
    with pytest.raises(ValueError):
        effective_context({})


@pytest.mark.parametrize(
    ("n_layers", "memory", "segment"),
    [(1, 4, 4), (2, 4, 4), (3, 4, 4), (2, 8, 4), (2, 0, 4), (2, 2, 4), (3, 2, 4), (2, 6, 4), (2, 5, 2), (1, 3, 1)],
)
def test_the_reach_is_what_a_change_reaches(n_layers, memory, segment):
    N = 24
    model, ids = xl(n_layers, memory, seed=3), text(N)
    rows = torch.cat([ids[None], ids.repeat(N, 1)])
    rows[range(1, N + 1), range(N)] = 4 + (rows[range(1, N + 1), range(N)] - 3) % (V - 4)
    for place in range(segment):
        state, last = None, N - segment + place
        for start in range(0, N, segment):
            with torch.no_grad():
                logits, state = model(rows[:, start : start + segment], state)
        noticed = (logits[1:, place] - logits[0, place]).abs().amax(-1) > 1e-12
        assert last - int(noticed.nonzero()[0]) == reach(n_layers, memory, segment, place)


def test_a_reach_of_nothing_is_refused():
    for wrong in ((0, 4, 4, 0), (1, -1, 4, 0), (1, 4, 4, 4), (1, 4, 4, -1)):
        with pytest.raises(ValueError, match="fits"):
            reach(*wrong)
