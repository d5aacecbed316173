"""Digits as sets: nothing lost but the order, fillers behind, batches that resume; the baselines they are held to."""

import pytest
import torch

from course_utils.corpora.digit_sets import (
    SPLITS,
    SetBatches,
    as_set,
    digits_hash,
    load_digit_sets,
    shuffled,
)
from course_utils.corpora.digits import read_digits
from course_utils.experiments.nb14.set_baselines import DeepSets, ListMLP, RasterMLP, accuracy, n_parameters, raster
from course_utils.models.set_transformer import SetTransformer


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def as_rows(sets, i):
    return sorted(tuple(round(v, 4) for v in row) for row in sets.elements[i][sets.mask[i]].tolist())


def test_the_splits_share_no_picture_and_lose_none():
    sizes = {split: len(load_digit_sets(split)) for split in SPLITS}
    assert sizes == {"train": 1197, "valid": 200, "test": 400} and sum(sizes.values()) == 1797
    places = [i for part in SPLITS.values() for i in range(1797)[part]]
    assert places == list(range(1797))
    assert digits_hash() == digits_hash() and len(digits_hash()) == 12
    labels = torch.cat([load_digit_sets(split).labels for split in SPLITS])
    assert torch.equal(labels, read_digits()[1]) and labels.unique().tolist() == list(range(10))
    with pytest.raises(ValueError, match="'dev'"):
        load_digit_sets("dev")


def test_a_set_holds_the_picture():
    picture = torch.zeros(8, 8)
    picture[0, 7], picture[7, 0], picture[3, 4] = 16, 1, 8
    assert torch.allclose(as_set(picture), torch.tensor([[1, -1, 1], [1 / 7, -1 / 7, 0.5], [-1, 1, 1 / 16]]))
    sets = load_digit_sets("valid")
    pictures = raster(sets.elements, sets.mask)  # nothing was lost
    assert torch.allclose(pictures * 16, read_digits()[0][SPLITS["valid"]].view(-1, 8, 8), atol=1e-5)
    assert not sets.elements[~sets.mask].any() and int(sets.mask.sum(1).max()) == sets.mask.shape[1]
    with pytest.raises(ValueError, match="8 x 8"):
        as_set(torch.zeros(7, 8))


def test_shuffling_changes_the_order_and_nothing_else():
    sets = load_digit_sets("valid").take(list(range(20)))
    mixed = shuffled(sets, rng())
    assert torch.equal(mixed.mask, sets.mask) and torch.equal(mixed.labels, sets.labels)
    assert not mixed.elements[~mixed.mask].any()
    assert all(as_rows(sets, i) == as_rows(mixed, i) for i in range(20))
    assert not torch.equal(mixed.elements, sets.elements)
    assert not torch.equal(shuffled(sets, rng(1)).elements, mixed.elements)


def test_taking_rows_keeps_their_names_and_drops_needless_fillers():
    sets = load_digit_sets("train").take([5, 3]).take([1])
    assert sets.index == [3] and sets.n_tokens == len(sets) == 1 and bool(sets.mask.all())
    assert sets.to("cpu").index == [3]


def test_batches_resume_and_every_epoch_shows_each_set_once():
    sets = load_digit_sets("train").take(list(range(100)))
    batches = SetBatches(sets, batch_size=20, seed=3)
    stream = batches.forever()
    first = [next(stream) for _ in range(5)]
    assert sorted(i for b in first for i in b.index) == list(range(100))
    state = batches.state_dict()
    sixth = next(stream)
    again = SetBatches(sets, batch_size=20, seed=3)
    again.load_state_dict(state)
    assert torch.equal(next(again.forever()).elements, sixth.elements)
    assert sixth.index != first[0].index
    plain = next(SetBatches(sets, batch_size=20, seed=3, shuffle_elements=False).forever())
    assert plain.index == first[0].index and not torch.equal(plain.elements, first[0].elements)
    for other in (SetBatches(sets, 20, seed=4), SetBatches(sets, 10, seed=3), SetBatches(sets.take([0] * 40), 20, 3)):
        with pytest.raises(ValueError, match="same batches"):
            other.load_state_dict(state)
    with pytest.raises(ValueError, match="batch_size=101"):
        SetBatches(sets, batch_size=101)


MODELS = {"deep": lambda: DeepSets(3, 10), "raster": lambda: RasterMLP(10), "list": lambda: ListMLP(3, 10, 64)}


@pytest.mark.parametrize("name", MODELS)
def test_who_minds_the_order(name):
    torch.manual_seed(0)
    model, sets = MODELS[name]().double(), load_digit_sets("valid").take(list(range(30)))
    sets.elements = sets.elements.double()
    mixed = shuffled(sets, rng())
    with torch.no_grad():
        same = torch.allclose(model(sets.elements, sets.mask), model(mixed.elements, mixed.mask))
        assert same == (name != "list")
        wide, mask = (torch.nn.functional.pad(*some) for some in ((sets.elements, (0, 0, 0, 3), "constant", 9.0),
                                                                  (sets.mask, (0, 3))))  # fmt: skip
        assert torch.allclose(model(wide, mask), model(sets.elements, sets.mask))  # fillers do nothing
    assert model(sets.elements, sets.mask).shape == (30, 10)
    assert 0 <= accuracy(model, sets.elements, sets.mask, sets.labels) <= 0.5


def test_baselines_have_the_size_of_the_set_transformer():
    wanted = n_parameters(SetTransformer(3, 10, d_model=32, n_heads=4))
    for model in (DeepSets(3, 10, d_model=72), ListMLP(3, 10, 64, 108), RasterMLP(10, d_hidden=288),
                  SetTransformer(3, 10, d_model=40, n_heads=4, pool="mean")):  # fmt: skip
        assert abs(n_parameters(model) / wanted - 1) < 0.07, n_parameters(model)
    with pytest.raises(ValueError, match="65 elements"):
        ListMLP(3, 10, 64)(torch.zeros(1, 65, 3), torch.ones(1, 65, dtype=torch.bool))
