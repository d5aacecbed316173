"""The model of the race: every plug fits in, pads and the future stay out, the scores are what they say."""

import ast
import json
import math
from pathlib import Path

import pytest
import torch

from course_utils.attention.table import PLUGS as TABLE
from course_utils.corpora.long_tasks import Sequences
from course_utils.experiments.nb24.long_range import LongRange, answer_loss, answer_score
from course_utils.experiments.nb24.recipes import PLUGS

SMALL = {
    "window": {"window": 2}, "strided": {"stride": 3}, "longformer": {"window": 2, "n_global": 2},
    "bigbird": {"window": 2, "n_global": 2, "n_random": 1}, "reformer": {"n_buckets": 2, "rounds": 2, "window": 4},
    "routing": {"n_buckets": 2, "window": 4}, "sinkhorn": {"block": 4}, "linformer": {"k": 3}, "performer": {"m": 8},
    "synthesizer_factorised_dense": {"a": 4}, "synthesizer_factorised_random": {"k": 2},
}  # fmt: skip


def model(plug="scaled_dot", **changes):
    torch.manual_seed(0)
    settings = dict(n_tokens=9, n_answers=5, longest=12, plug=plug, settings=SMALL.get(plug), d_model=16, n_heads=2)
    return LongRange(**settings | changes).double().eval()


def ids(n=3, length=12):
    return torch.randint(1, 9, (n, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("plug", TABLE)
def test_every_plug_answers_and_learns(plug):
    net, source = model(plug), ids()
    logits = net(source)
    assert logits.shape == (3, 5)
    logits.square().sum().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert plug == "monotonic" or all("plug" in name for name in silent), silent  # untrained it stops at no word


@pytest.mark.parametrize("plug", TABLE)
def test_pads_and_neighbours_change_nothing(plug):
    net, source = model(plug), ids()
    source[1, 7:] = 0
    assert torch.allclose(net(source)[1], net(source[1:2, :7])[0]), "a pad or a neighbour is heard"


@pytest.mark.parametrize("plug", [name for name, facts in TABLE.items() if facts.causal])
def test_nothing_comes_back_from_the_future(plug):
    net, source = model(plug, each=True, causal=True), ids()
    later = source.clone()
    later[:, 8:] = 1 + later[:, 8:] % 8
    with torch.no_grad():
        moved = (net(source) - net(later)).abs().amax((0, 2))
    assert moved[:8].max() < 1e-9 < moved[8]
    with torch.no_grad():
        assert (model(plug, each=True)(source) - model(plug, each=True)(later))[:, :8].abs().max() > 1e-9 or plug in (
            "strided", "reformer", "routing")  # fmt: skip


def test_what_cannot_be_causal_says_so():
    with pytest.raises(ValueError, match="causal"):
        model("linformer", each=True, causal=True)(ids())


def test_the_answer_is_read_off_the_mean_of_real_places():
    net, each = model(), model(each=True)
    source = ids()
    source[0, 5:] = 0
    each.load_state_dict(net.state_dict())
    assert torch.allclose(net(source)[0], each(source)[0, :5].mean(0))  # the output layer is linear


def test_loss_and_score_by_hand():
    class Fixed(torch.nn.Module):
        each = True

        def forward(self, source):
            return torch.tensor([[[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [0.0, 9.0, 0.0]]]).repeat(len(source), 1, 1)

    data = Sequences(torch.ones(2, 3, dtype=torch.long), torch.tensor([[0, 2, 2], [0, 2, 0]]), [0, 1])
    found = answer_score(Fixed(), data, batch_size=1)
    right, wrong = math.log(1 + 2 * math.exp(-9)), 9 + math.log(1 + 2 * math.exp(-9))
    assert found["accuracy"] == 2 / 3  # of three questions; the first column asks nothing
    assert found["loss"] == pytest.approx((2 * right + wrong) / 3, rel=1e-5)
    assert float(answer_loss(Fixed(), data)) == pytest.approx(found["loss"], rel=1e-5)

    class Classes(Fixed):
        each = False

        def forward(self, source):
            return torch.tensor([[9.0, 0.0]]).repeat(len(source), 1)

    classes = Sequences(torch.ones(4, 3, dtype=torch.long), torch.tensor([0, 0, 0, 1]), [0, 1, 2, 3])
    assert answer_score(Classes(), classes)["accuracy"] == 0.75  # class 0 is a class
    assert float(answer_loss(Classes(), classes)) == pytest.approx(9 / 4, rel=1e-3)


def test_unknown_plugs_and_sizes_are_refused():
    with pytest.raises(ValueError, match="unknown plug 'flash'"):
        model("flash")
    with pytest.raises(ValueError, match="n_layers"):
        model(n_layers=0)


def test_the_notebook_shows_the_settings_of_the_race():
    notebook = Path(__file__).resolve().parent.parent / "notebooks" / "24_the_race.ipynb"
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    (source,) = ("".join(cell["source"]) for cell in cells if cell["id"] == "24-model")
    (shown,) = (node.value for node in ast.parse(source).body
                if isinstance(node, ast.Assign) and node.targets[0].id == "RACE")  # fmt: skip
    assert ast.literal_eval(shown) == PLUGS
