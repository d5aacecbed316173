"""The note board of notebook 03: what is drawn, what is scored, and that training can be resumed."""

import itertools

import pytest
import torch

from course_utils.experiments.nb03.note_keeper import NoteBatches, NoteKeeper, draw_notes, squared_error, unexplained
from course_utils.training import train


def notes(n=50, length=40, seed=0):
    return draw_notes(n, length, torch.Generator().manual_seed(seed))


def test_the_board_shows_the_last_written_number():
    batch = notes()
    for inputs, target, age in zip(batch.inputs.tolist(), batch.target.tolist(), batch.age.tolist(), strict=True):
        board, since = None, 0
        for (value, write), shown, steps in zip(inputs, target, age, strict=True):
            since = 0 if write else since + 1
            board = value if write else board
            assert write in (0, 1) and -1 <= value <= 1 and (shown, steps) == (board, since)


def test_one_step_in_ten_writes():
    batch = notes(500)
    assert bool((batch.inputs[:, 0, 1] == 1).all())
    assert 0.08 < batch.inputs[:, 1:, 1].mean() < 0.12
    assert batch.n_tokens == 500 * 40 and len(batch) == 500


def test_batches_differ_and_can_be_taken_up_again():
    stream = NoteBatches(batch_size=4, length=6, seed=3)
    first = list(itertools.islice(stream.forever(), 5))
    assert not torch.equal(first[0].inputs, first[1].inputs)
    other = NoteBatches(batch_size=4, length=6, seed=3)
    assert not torch.equal(next(NoteBatches(4, 6, seed=4).forever()).inputs, first[0].inputs)
    next(other.forever())
    other.load_state_dict({**other.state_dict(), "drawn": 3})
    assert torch.equal(next(other.forever()).inputs, first[3].inputs)
    with pytest.raises(ValueError, match="this stream is"):
        NoteBatches(batch_size=5, length=6, seed=3).load_state_dict(other.state_dict())


def test_scores():
    batch = notes()

    def silent(inputs):
        return torch.zeros(inputs.shape[:2])

    assert unexplained(silent, batch) == pytest.approx(1.0)
    assert unexplained(lambda inputs: batch.target, batch) == 0
    assert squared_error(silent, notes(2000)) == pytest.approx(1 / 3, rel=0.05)

    def right_when_new(inputs):
        return torch.where(batch.age < 2, batch.target, 0)

    assert unexplained(right_when_new, batch, 0, 1) == 0
    assert unexplained(right_when_new, batch, 2, 9) == pytest.approx(1.0)
    assert unexplained(right_when_new, batch, 0, 2) > 0.1  # both ends count
    with pytest.raises(ValueError, match="age 99"):
        unexplained(silent, batch, 99, 100)
    with pytest.raises(ValueError, match="length=0"):
        notes(length=0)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_it_trains(cell):
    torch.manual_seed(0)
    model = NoteKeeper(cell, 6)
    history = train(model, NoteBatches(16, 10), steps=30, lr=1e-2, warmup=5, objective=squared_error, progress=False)
    assert sum(history.loss[-5:]) < sum(history.loss[:5])
    assert model(notes(3, 7).inputs).shape == (3, 7)
