"""What notebook 21 is made of: duplication, fetching by content, the numbers behind its widgets."""

import itertools

import numpy as np
import pytest
import torch

from course_utils import plots
from course_utils.attention.dense import DenseAttention
from course_utils.attention.scores import ScaledDotScore
from course_utils.attention.synthesizer import RandomSynthesizer
from course_utils.corpora.long_tasks import SequenceBatches, draw_duplication
from course_utils.experiments.nb21.copying import FULL, Copier, copy_loss, copy_score
from course_utils.experiments.nb21.fetching import Fetcher, Questions, draw_questions, fetch_loss, fetch_score
from course_utils.plots.buckets import lsh_view, sinkhorn_view
from course_utils.training import train
from course_utils.widgets import buckets


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def copier(rounds=FULL):
    torch.manual_seed(0)
    return Copier(12, 5, rounds, n_buckets=4, d_model=16)


# --- duplication ------------------------------------------------------------------------------------------------------


def test_the_same_model_looks_with_another_attention():
    model, data = copier(), draw_duplication(4, 12, 5, rng())
    full = model(data.source)
    before = {name: value.clone() for name, value in model.named_parameters()}
    assert not torch.allclose(model.look_with(1)(data.source), full)
    assert torch.equal(model.look_with(FULL)(data.source), full)
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
    assert not torch.equal(model.plug(1, seed=0).rotation, model.plug(1, seed=1).rotation)


@pytest.mark.parametrize("rounds", [FULL, 2])
def test_a_copier_sees_the_past_only(rounds):
    model, ids = copier(rounds), draw_duplication(3, 12, 5, rng()).source
    changed = ids.clone()
    changed[:, 7:] = 2 + (changed[:, 7:] - 1) % 5
    assert torch.allclose(model(ids)[:, :7], model(changed)[:, :7], atol=1e-5)
    assert not torch.allclose(model(ids)[:, 7:], model(changed)[:, 7:], atol=1e-3)


def test_loss_and_score_ask_for_the_second_copy():
    model, data = copier(), draw_duplication(6, 12, 5, rng())
    asked = data.answer != 0
    logits = model(data.source)
    wanted = -logits.log_softmax(-1)[asked].gather(1, data.answer[asked].unsqueeze(1)).mean()
    assert torch.allclose(copy_loss(model, data), wanted)
    assert copy_score(model, data) == (logits.argmax(-1)[asked] == data.answer[asked]).double().mean()


def test_a_copier_learns():
    model, lines = copier(), SequenceBatches(draw_duplication(256, 12, 5, rng()), 32, 0)
    train(model, lines, steps=120, lr=1e-2, warmup=10, seed=0, objective=copy_loss, progress=False)
    assert copy_score(model, draw_duplication(50, 12, 5, rng(1))) > 0.8


# --- fetching by content ----------------------------------------------------------------------------------------------


def test_a_question_has_its_answer_in_the_line():
    data = draw_questions(40, 5, 7, rng())
    assert data.source.shape == (40, 11) and data.answer.shape == (40,)
    for line, answer in zip(data.source.tolist(), data.answer.tolist(), strict=True):
        pairs = dict(zip(line[:-1:2], line[1::2], strict=True))
        assert sorted(pairs) == [1, 2, 3, 4, 5] and all(6 <= value < 13 for value in pairs.values())
        assert pairs[line[-1]] - 6 == answer
    assert len({tuple(line[:-1:2]) for line in data.source.tolist()}) > 20, "any order"
    assert len(set(data.source[:, -1].tolist())) == 5 and len(set(data.answer.tolist())) == 7
    with pytest.raises(ValueError, match="n_values=1: at least"):
        draw_questions(3, 2, 1, rng())


def test_fetching_needs_a_comparison():
    scores = []
    for plug in (DenseAttention(ScaledDotScore()), RandomSynthesizer(1, 5)):
        torch.manual_seed(0)
        model, lines = Fetcher(plug, n_pairs=4), Questions(n_pairs=4)
        train(model, lines, steps=200, lr=1e-2, warmup=20, seed=0, objective=fetch_loss, progress=False)
        scores.append(fetch_score(model, lines.take(300, rng(5))))
    assert scores[0] > 0.9 > 0.6 > scores[1]


def test_questions_go_on_where_they_stopped():
    one, other = Questions(), Questions()
    list(itertools.islice(one.forever(), 3))
    other.load_state_dict(one.state_dict())
    assert torch.equal(next(one.forever()).source, next(other.forever()).source)
    assert not torch.equal(next(Questions(seed=1).forever()).source, next(Questions().forever()).source)


# --- the numbers behind the widgets -----------------------------------------------------------------------------------


def test_hash_on_the_plane():
    R = buckets.plane_rotation(4, 0)
    x = torch.tensor([[3, 0.1], [0.1, 1], [-1, 0.1], [0.1, -2]], dtype=torch.float64)
    assert buckets.hash_by(x, R).tolist() == [0, 1, 2, 3]
    assert buckets.hash_by(x, buckets.plane_rotation(4, 90)).tolist() == [3, 0, 1, 2]


def test_recall_counts_the_nearest_and_all_pairs():
    x = torch.tensor([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], dtype=torch.float64)
    assert buckets.nearest_key(x).tolist() == [1, 0, 3, 2]
    recall, seen = buckets.recall_by_rounds(x, torch.tensor([[0, 0, 1, 2], [0, 1, 2, 2], [0, 1, 2, 3]]))
    assert recall == [0.5, 1.0, 1.0] and seen == pytest.approx([1 / 6, 1 / 3, 1 / 3])
    assert not buckets.pairs_met(torch.zeros(1, 4))[0].diagonal().any(), "nobody meets himself"


def test_points_of_the_plane():
    together, around = buckets.plane_points(48, 6), buckets.plane_points(48, 0)
    assert together.shape == around.shape == (48, 2)

    def gaps(points):
        turns = torch.atan2(points[:, 1], points[:, 0]).sort().values
        return turns.diff().sort(descending=True).values

    assert gaps(together)[:4].min() > 0.3, "empty parts between the clusters"
    assert gaps(around)[4:].max() < gaps(together)[3]
    assert bool(((together.norm(dim=1) > 0.69) & (together.norm(dim=1) < 1.21)).all())


def test_many_buckets_look_different():
    points = np.stack([np.cos(np.arange(28)), np.sin(np.arange(28))], 1)
    figure = plots.plane_buckets(points, [list(range(28))], ["all"])
    looks = {(line.get_marker(), line.get_fillstyle(), line.get_color()) for line in figure.axes[0].lines}
    assert len(looks) == 28


def test_widgets_say_what_they_show():
    plane = buckets.lsh_plane(rounds=2)
    first = plane.text
    plane.controls["shown"].value = 2
    assert plane.error is None and plane.text != first and plane.text.startswith("2 of 2 rounds, 16 buckets")
    around = plane.text
    plane.controls["points"].value = "in clusters"
    assert plane.error is None and plane.text != around
    with plane.together():
        plane.controls["shown"].value, plane.controls["n_buckets"].value = 1, 2
    few = plane.text
    plane.controls["angle"].value = 90
    assert few.startswith("1 of 2 rounds, 2 buckets") and plane.text != few, "the first round turns"
    table = buckets.sinkhorn_slider(most=6)
    table.controls["iterations"].value = 6
    assert table.error is None
    assert table.text.startswith("iterations: 6, temperature 0.5: columns are off by at most 0.00")


def test_pairs_that_met_are_thick():
    points = np.array([[1, 0], [0.9, 0.1], [0, 1], [-1, 0]])
    figure = lsh_view(points, [0, 0, 1, 2], None, [1, 0, 3, 2], [0.5, 0.6], [0.1, 0.2], 2)
    widths = [line.get_linewidth() for line in figure.axes[0].lines[:4]]
    assert widths == [2, 2, 1, 1]
    rings = [line.get_xydata().tolist() for line in figure.axes[1].lines if line.get_markersize() == 13]
    assert rings == [[[2, 0.6]], [[2, 0.2]]]


def test_sums_stand_beside_the_table():
    figure = sinkhorn_view([[0.1, 0.7], [0.4, 0.3]], [1.0, 0.5], 1)
    beside = [t.get_text() for t in figure.axes[0].texts if t.get_position()[0] > 1.2]
    above = [t.get_text() for t in figure.axes[0].texts if t.get_position()[1] < -0.5]
    assert beside == ["0.80", "0.70"] and above == ["0.50", "1.00"]
    table = buckets.sinkhorn_slider(most=6)
    soft = float(table.text.split()[-1][:-1])
    table.controls["temperature"].value = 0.1
    assert float(table.text.split()[-1][:-1]) > soft, "a low temperature is sharper"


def test_pictures_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="a label a point"):
        plots.plane_buckets(np.zeros((3, 2)), [[0, 1]], ["one"])
    with pytest.raises(ValueError, match="round 3 of 2"):
        lsh_view(np.ones((2, 2)), [0, 1], None, [1, 0], [0, 1], [0, 1], 3)
