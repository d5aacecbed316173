"""The tasks of the race: answers are right, splits and shapes are as told, nothing that gives an answer away."""

import pytest
import torch

from course_utils.corpora.digits import read_digits
from course_utils.corpora.long_tasks import (
    CLOSE,
    SequenceBatches,
    draw_duplication,
    draw_listops,
    draw_retrieval,
    evaluate_listops,
    pixel_sequences,
    retrieval_tokens,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def spell(text):
    """"[MAX 2 9 ]" -> ids."""
    ids = {"[MAX": 11, "[MIN": 12, "[MED": 13, "[SM": 14, "]": CLOSE, **{str(d): d + 1 for d in range(10)}}
    return [ids[token] for token in text.split()]


@pytest.mark.parametrize(
    ("text", "value"),
    [("[MAX 2 9 [MIN 4 7 ] 0 ]", 9), ("[SM 9 9 [SM 1 1 ] ]", 0), ("[MED 1 9 2 ]", 2), ("[MIN [MAX 3 5 ] 8 ]", 5),
     ("[MED 4 1 9 2 ]", 2)],
)  # fmt: skip
def test_expressions_by_hand(text, value):
    assert evaluate_listops(spell(text)) == value


@pytest.mark.parametrize("text", ["[MAX 2 9", "2 9 ]", "[MAX ]", "[MAX 1 2 ] 3"])
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ValueError, match="operator|expression"):
        evaluate_listops(spell(text))


def recursive(tokens):
    """Another way to the value: from the inside out, by text and Python's eval."""
    functions = {"MAX": max, "MIN": min, "SM": lambda *a: sum(a) % 10, "MED": lambda *a: sorted(a)[(len(a) - 1) // 2]}
    names = ["MAX(", "MIN(", "MED(", "SM("]
    text = "".join(f"{t - 1}," if t <= 10 else ")," if t == CLOSE else names[t - 11] for t in tokens)
    return eval(text.rstrip(","), {}, functions)  # noqa: S307


def test_listops_are_well_formed_within_their_lengths_and_of_all_values():
    drawn = draw_listops(300, (30, 80), rng(), depth=4)
    lengths = (drawn.source != 0).sum(1)
    assert 30 <= int(lengths.min()) and int(lengths.max()) <= 80
    assert all(recursive([t for t in row.tolist() if t]) == answer.item() for row, answer in
               zip(drawn.source, drawn.answer, strict=True))  # fmt: skip
    share = torch.bincount(drawn.answer, minlength=10) / 300
    assert 0.02 < share.min() and share.max() < 0.25  # no value is nearly always right
    steps = (drawn.source > 10).long() - 2 * (drawn.source == CLOSE).long()  # an operator opens a level, ] closes it
    assert int(steps.cumsum(1).max()) == 4


def test_retrieval_asks_for_a_key_that_is_there_once():
    drawn = draw_retrieval(50, length=40, n_keys=12, n_values=7, generator=rng())
    assert drawn.source.shape == drawn.answer.shape == (50, 40) and drawn.n_tokens == 50 * 12
    for row, answer in zip(drawn.source.tolist(), drawn.answer.tolist(), strict=True):
        table = dict(divmod(word - 14, 7) for word in row[:28] if word != 1)  # 1 filler, 12 questions, then facts
        assert len(table) == 12 and row[:28].count(1) == 16
        assert sorted(row[28:]) == list(range(2, 14)) and not any(answer[:28])
        assert [table[word - 2] + 1 for word in row[28:]] == answer[28:]
    assert set(drawn.answer.flatten().tolist()) == set(range(8))
    assert int(drawn.source.max()) < retrieval_tokens(12, 7)


def test_duplication_asks_for_the_second_copy_only():
    drawn = draw_duplication(20, length=16, n_symbols=9, generator=rng())
    assert drawn.source.shape == drawn.answer.shape == (20, 15)
    assert not drawn.answer[:, :8].any() and bool((drawn.answer[:, 8:] > 1).all())
    assert torch.equal(drawn.answer[:, 8:], drawn.source[:, 1:8])  # seven symbols, as they were the first time
    assert drawn.n_tokens == 20 * 7


def test_pixels_are_the_pictures():
    train, test = pixel_sequences("train"), pixel_sequences("test")
    assert train.source.shape == (1197, 256) and test.source.shape == (300, 256)
    assert int(test.source.min()) == 1 and int(test.source.max()) == 17
    halved = (test.source - 1).view(-1, 8, 2, 8, 2).float().mean((2, 4))
    here = (halved - read_digits()[0][1497:].view(-1, 8, 8)).abs().mean()
    assert here < 1.2 < 3 < (halved - read_digits()[0][1496:-1].view(-1, 8, 8)).abs().mean()  # of 16 greys; blurred
    with pytest.raises(ValueError, match="'dev'"):
        pixel_sequences("dev")


def test_the_same_seed_draws_the_same():
    for draw in (
        lambda g: draw_listops(5, (10, 40), g), lambda g: draw_retrieval(5, 24, 9, 3, g),
        lambda g: draw_duplication(5, 10, 4, g),
    ):  # fmt: skip
        assert torch.equal(draw(rng(1)).source, draw(rng(1)).source)
        assert not torch.equal(draw(rng(1)).source[:, :10], draw(rng(2)).source[:, :10])


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="depth"):
        draw_listops(1, (3, 8), rng())
    with pytest.raises(ValueError, match="18 places"):
        draw_retrieval(1, 17, 9, 3, rng())
    with pytest.raises(ValueError, match="even"):
        draw_duplication(1, 9, 4, rng())


def test_batches_show_everything_once_an_epoch_and_resume():
    data = draw_listops(40, (10, 60), rng())
    batches = SequenceBatches(data, batch_size=10, seed=1)
    stream = batches.forever()
    first = [next(stream) for _ in range(4)]
    assert sorted(i for b in first for i in b.index) == list(range(40))
    assert all(bool((b.source[:, -1] != 0).any()) for b in first)  # no needless pads
    state, fifth = batches.state_dict(), next(stream)
    again = SequenceBatches(data, batch_size=10, seed=1)
    again.load_state_dict(state)
    assert torch.equal(next(again.forever()).source, fifth.source)
    with pytest.raises(ValueError, match="build the same"):
        SequenceBatches(data, batch_size=10, seed=2).load_state_dict(state)
