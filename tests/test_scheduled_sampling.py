"""Scheduled sampling: the three schedules, and what `train` does with them."""

import math

import pytest
import torch
from tiny_models import copy_task

from course_utils.schedules import ExponentialDecay, InverseSigmoidDecay, LinearDecay
from course_utils.seq2seq.decoding import greedy
from course_utils.text.batches import Batch
from course_utils.text.vocabulary import BEGIN, END, PAD
from course_utils.training import mixed_forcing, token_loss, train

QUICK = dict(steps=12, warmup=4, progress=False)


def run(**options):
    model, batches, *_ = copy_task(dropout=0.2)
    history = train(model, batches, **{**QUICK, **options})
    return torch.cat([p.detach().flatten() for p in model.parameters()]), history


# ---- the three curves ------------------------------------------------------------------------------------------------


def test_the_curves():
    linear = LinearDecay(drop=0.01, start=0.9, least=0.25)
    assert [linear(i) for i in (0, 10, 65, 1000)] == pytest.approx([0.9, 0.8, 0.25, 0.25])
    assert [ExponentialDecay(0.9)(i) for i in (0, 1, 20)] == pytest.approx([1, 0.9, 0.9**20])
    sigmoid = InverseSigmoidDecay(100)
    for i in (0, 100, 600):
        assert sigmoid(i) == pytest.approx(100 / (100 + math.exp(i / 100)))
    assert sigmoid(0) == pytest.approx(100 / 101) and InverseSigmoidDecay(1)(0) == 0.5
    half = 100 * math.log(100)
    assert sigmoid(math.floor(half)) > 0.5 > sigmoid(math.ceil(half)) and round(half) == 461


def test_the_inverse_sigmoid_does_not_overflow():
    with pytest.raises(OverflowError):
        math.exp(3549 / 5)  # the formula as it is printed
    assert 0 < InverseSigmoidDecay(5)(3549) < 1e-300 and InverseSigmoidDecay(1)(10**6) == 0


@pytest.mark.parametrize("schedule", [LinearDecay(1e-3), ExponentialDecay(0.99), InverseSigmoidDecay(50)])
def test_they_only_fall_and_stay_probabilities(schedule):
    shares = [schedule(i) for i in range(3000)]
    assert shares == sorted(shares, reverse=True) and 0 <= shares[-1] < 0.01 and shares[0] <= 1


@pytest.mark.parametrize(
    "made",
    [
        lambda: LinearDecay(-0.1),
        lambda: LinearDecay(0.1, start=1.2),
        lambda: LinearDecay(0.1, start=0.3, least=0.5),
        lambda: ExponentialDecay(1.0),
        lambda: ExponentialDecay(0.0),
        lambda: InverseSigmoidDecay(0.5),
    ],
)
def test_impossible_curves_are_refused(made):
    with pytest.raises(ValueError, match="needed"):
        made()


# ---- in training -----------------------------------------------------------------------------------------------------


def test_all_right_words_are_teacher_forcing_bit_for_bit():
    plain, history = run()
    scheduled, same = run(teacher_forcing=LinearDecay(drop=0.0))
    assert scheduled.equal(plain) and same.loss == history.loss
    assert not run(teacher_forcing=LinearDecay(drop=0.1))[0].equal(plain)


def test_each_update_asks_the_schedule(monkeypatch):
    asked, thrown = [], []
    monkeypatch.setattr(
        "course_utils.training.mixed_forcing",
        lambda model, batch, share, *rest: thrown.append(share) or mixed_forcing(model, batch, share, *rest),
    )
    run(teacher_forcing=lambda i: asked.append(i) or (1.0 if i < 5 else 0.3))
    assert asked == list(range(12)) and thrown == [0.3] * 7


@pytest.mark.parametrize("own_words", ["argmax", "drawn"])
def test_a_resumed_schedule_equals_one_that_never_stopped(tmp_path, own_words):
    schedule, file = LinearDecay(drop=0.08), tmp_path / "run.pt"
    whole, history = run(teacher_forcing=schedule, own_words=own_words)
    run(teacher_forcing=schedule, own_words=own_words, checkpoint=file, stop_after=5)
    resumed, again = run(teacher_forcing=schedule, own_words=own_words, checkpoint=file)
    assert resumed.equal(whole) and again.loss == history.loss
    for other in (dict(teacher_forcing=LinearDecay(drop=0.07), own_words=own_words), dict(own_words=own_words)):
        with pytest.raises(ValueError, match="LinearDecay"):
            run(**other, checkpoint=file)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"1\.5 at update 1"):
        run(teacher_forcing=lambda i: 1.5)
    with pytest.raises(ValueError, match="own_words='best'"):
        run(own_words="best")


# ---- the inputs ------------------------------------------------------------------------------------------------------


def fed(model, batch, share, own_words="argmax", seed=0):
    """What the decoder read, (B, T)."""
    read, step = [], model.step
    model.step = lambda token, state, memory: read.append(token) or step(token, state, memory)
    try:
        logits = mixed_forcing(model, batch, share, torch.Generator().manual_seed(seed), own_words)
    finally:
        del model.step
    return torch.stack(read, 1), logits


def task():
    model, batches, *_ = copy_task()
    train(model, batches, steps=60, warmup=10, lr=1e-2, progress=False)
    model.zero_grad()
    return model, next(batches.forever())


def test_without_right_words_the_inputs_are_those_of_greedy_decoding():
    model, batch = task()
    read, _ = fed(model, batch, 0.0)
    own = greedy(model, batch.source, read.shape[1]).tokens
    assert (read[:, 0] == BEGIN).all()
    for row, said in zip(read[:, 1:].tolist(), own.tolist(), strict=True):
        n = said.index(END) if END in said else len(said)
        assert row[: n + 1] == said[: len(row)][: n + 1]  # up to END, behind which greedy is silent


def test_begin_is_always_right_and_pad_is_no_word():
    model, batch = task()
    with torch.no_grad():
        model.output.bias[[PAD, BEGIN]] += 50.0
    for own_words in ("argmax", "drawn"):
        read, _ = fed(model, batch, 0.0, own_words)
        assert (read[:, 0] == BEGIN).all() and not ((read[:, 1:] == PAD) | (read[:, 1:] == BEGIN)).any()


def test_the_gradient_is_that_of_the_own_words_as_data():
    model, batch = task()
    read, logits = fed(model, batch, 0.4)
    token_loss(logits, batch.target_out).backward()
    through = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    as_data = Batch(batch.source, read, batch.target_out, batch.index)
    token_loss(model(as_data.source, as_data.target_in), batch.target_out).backward()
    assert not read.equal(batch.target_in)
    for got, p in zip(through, (p for p in model.parameters() if p.grad is not None), strict=True):
        torch.testing.assert_close(got, p.grad)


def test_drawn_words_follow_the_probabilities():
    model, batch = task()
    with torch.no_grad():
        model.output.weight *= 0.2  # unsure
    rows = torch.zeros(4000, dtype=torch.long)
    many = Batch(batch.source[rows], batch.target_in[rows, :2], batch.target_out[rows, :2], [0] * 4000)
    read, logits = fed(model, many, 0.0, "drawn")
    want = logits[0, 0].detach().clone()
    want[[PAD, BEGIN]] = -math.inf
    want = want.softmax(-1)
    shares = torch.bincount(read[:, 1], minlength=len(want)) / 4000
    assert (shares - want).abs().max() < 0.04 and want.max() < 0.9


def test_the_coins_of_rows_and_of_neighbouring_tokens_are_independent():
    model, batch = task()
    rows = torch.zeros(2000, dtype=torch.long)
    wrong = torch.full((2000, 4), 3)
    wrong[:, 0] = BEGIN
    read, _ = fed(model, Batch(batch.source[rows], wrong, wrong, [0] * 2000), 0.5)
    coins = (read[:, 1:] == 3).double() - 0.5
    assert coins.mean(0).abs().max() < 0.04
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert (coins[:, a] * coins[:, b]).mean().abs() < 0.02
    assert (coins[:-1] * coins[1:]).mean().abs() < 0.01
