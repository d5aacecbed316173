"""The training loop: schedule, clipping, loss, coin, checkpoints, interruption, the one line it prints."""

import itertools
import math
import os
import pickle
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from limits import finished
from tiny_models import TinyAttention, copy_task
from torch import nn

from course_utils import training
from course_utils.text.batches import Batch, Batches
from course_utils.text.vocabulary import BEGIN, PAD
from course_utils.training import History, learning_rate, load_weights, mixed_forcing, token_loss, train

pytestmark = pytest.mark.filterwarnings("error:::course_utils")  # a warning would be stderr in a notebook
QUICK = dict(steps=12, warmup=4, progress=False)


def weights_of(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def run(tmp_path=None, seed=0, dropout=0.0, **options):
    """Train a fresh model on fresh batches; returns (history, weights, model)."""
    model, batches, *_ = copy_task(dropout=dropout)
    checkpoint = tmp_path / "run.pt" if tmp_path else None
    history = train(model, batches, **{**QUICK, "seed": seed, "checkpoint": checkpoint, **options})
    return history, weights_of(model), model


# ---- what one update does --------------------------------------------------------------------------------------------


def test_rate_rises_to_the_peak_then_falls_to_zero():
    rates = [learning_rate(step, 10, 1.0, 4) for step in range(1, 11)]
    assert rates == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7])
    assert learning_rate(1, 5, 1.0, 0) == 1.0 and learning_rate(6, 5, 1.0, 0) == 0.0


def test_each_batch_gives_one_update_at_the_scheduled_rate(monkeypatch):
    """The fault of annotated-transformer's run_epoch: updates and schedule steps out of count."""
    used, read = [], []
    step, forever = torch.optim.AdamW.step, Batches.forever
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: used.append(self.param_groups[0]["lr"]) or step(self))
    monkeypatch.setattr(Batches, "forever", lambda self: (read.append(b) or b for b in forever(self)))
    history, *_ = run(lr=0.5e-3)
    assert used == [learning_rate(k, 12, 0.5e-3, 4) for k in range(1, 13)] == history.lr
    assert len(read) == 12 == len(history) == len(history.loss) == len(history.grad_norm) and history.steps[-1] == 12


def test_clipping_is_by_global_norm(monkeypatch):
    seen = []
    step = torch.optim.AdamW.step

    def spy(self):
        seen.append(torch.cat([p.grad.flatten() for p in self.param_groups[0]["params"]]))
        return step(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    free, *_ = run(steps=1, warmup=1, clip=None)
    clipped, *_ = run(steps=1, warmup=1, clip=0.01)
    gradient, shortened = seen
    assert free.grad_norm == clipped.grad_norm == pytest.approx([float(gradient.norm())])
    assert float(shortened.norm()) == pytest.approx(0.01, rel=1e-3)
    assert F.cosine_similarity(shortened, gradient, dim=0) > 0.99999  # shorter, not turned


def test_loss_is_the_mean_over_real_tokens_and_ignores_pads():
    logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.tensor([[4, 5, 2], [6, 2, PAD]])
    by_hand = [-logits[b, t].log_softmax(-1)[target[b, t]] for b, t in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]]
    loss = token_loss(logits, target)
    assert float(loss) == pytest.approx(float(sum(by_hand)) / 5, abs=1e-12)
    wider = torch.cat([logits, 100 * torch.ones(2, 4, 7, dtype=torch.float64)], 1)
    assert float(token_loss(wider, F.pad(target, (0, 4), value=PAD))) == pytest.approx(float(loss), abs=1e-12)
    smooth = [0.9 * nll + 0.1 * -logits[b, t].log_softmax(-1).mean() for nll, (b, t) in
              zip(by_hand, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)], strict=True)]  # fmt: skip
    assert float(token_loss(logits, target, 0.1)) == pytest.approx(float(sum(smooth)) / 5, abs=1e-12)


def test_training_learns_to_copy():
    history, _, model = run(steps=300, warmup=10, lr=1e-2)
    assert history.loss[0] > 2 and sum(history.loss[-10:]) / 10 < 0.2
    assert not model.training


@pytest.mark.parametrize("setting", [
    dict(lr=1e-3), dict(warmup=1), dict(clip=0.1), dict(clip=None), dict(weight_decay=0.3), dict(weight_decay=0.0),
    dict(label_smoothing=0.2), dict(teacher_forcing=0.5), dict(seed=1), dict(steps=13),
], ids=str)  # fmt: skip
def test_every_setting_is_used(setting):
    """Each alone, with a value that is not torch's default, leads to other weights; named as it is, to the same."""
    usual = dict(QUICK, lr=2e-3, clip=1.0, weight_decay=0.01, label_smoothing=0.0, teacher_forcing=1.0, seed=0)
    (name,) = setting
    plain = run(dropout=0.3)[1]
    assert torch.equal(run(dropout=0.3, **{name: usual[name]})[1], plain)
    assert not torch.allclose(run(dropout=0.3, **setting)[1], plain, rtol=0, atol=1e-6)


def test_the_optimizer_is_adamw_with_this_decay():
    """Torch's own AdamW with the same gradients, step by step; its decay is by the rate of the step."""
    model, batches, *_ = copy_task()
    other, stream, *_ = copy_task()
    optimizer = torch.optim.AdamW(other.parameters(), lr=1.0, weight_decay=0.3)
    for step, batch in enumerate(itertools.islice(stream.forever(), 5), 1):
        optimizer.zero_grad()
        token_loss(other(batch.source, batch.target_in), batch.target_out).backward()
        torch.nn.utils.clip_grad_norm_(other.parameters(), 0.5)
        optimizer.param_groups[0]["lr"] = learning_rate(step, 5, 1e-2, 2)
        optimizer.step()
    train(model, batches, steps=5, warmup=2, lr=1e-2, weight_decay=0.3, clip=0.5, progress=False)
    torch.testing.assert_close(weights_of(model), weights_of(other), rtol=0, atol=1e-5)


# ---- teacher forcing -------------------------------------------------------------------------------------------------


class Echo(nn.Module):
    """Writes down what it is fed; always says word 6."""

    def __init__(self):
        super().__init__()
        self.fed = []

    def encode(self, source):
        return source

    def start(self, memory):
        return None

    def step(self, token, state, memory):
        self.fed.append(token)
        return F.one_hot(torch.full_like(token, 6), 8).float(), None, None


def fed_at(ratio, B=400, T=5, seed=0):
    batch = Batch(torch.full((B, 2), 4), torch.full((B, T), 5), torch.full((B, T), 5), list(range(B)))
    batch.target_in[:, 0] = BEGIN
    echo = Echo()
    mixed_forcing(echo, batch, ratio, torch.Generator().manual_seed(seed))
    return torch.stack(echo.fed, 1)  # (B, T): BEGIN, then 5 where forced, 6 where its own


def test_the_coin_is_thrown_for_each_token():
    fed = fed_at(0.7)
    assert (fed[:, 0] == BEGIN).all() and set(fed[:, 1:].unique().tolist()) == {5, 6}
    forced = (fed[:, 1:] == 5).float()
    assert abs(float(forced.mean()) - 0.7) < 0.04
    rows, columns = forced.mean(1), forced.mean(0)
    assert len(rows.unique()) == 5  # not one coin a sentence (rows 0 or 1) …
    assert columns.min() > 0.6 and columns.max() < 0.8  # … nor one a step (columns 0 or 1)


def test_the_coin_has_its_own_generator_and_its_ends_are_exact():
    torch.manual_seed(1)
    one = fed_at(0.5)
    torch.manual_seed(2)
    assert fed_at(0.5).equal(one) and not fed_at(0.5, seed=1).equal(one)
    assert (fed_at(1.0)[:, 1:] == 5).all() and (fed_at(0.0)[:, 1:] == 6).all()


def test_an_objective_replaces_the_translation_loss(tmp_path):
    """The same loss as an objective gives the same weights; a quarter of it a quarter of the gradient."""
    def quarter(model, batch):
        return token_loss(model(batch.source, batch.target_in), batch.target_out) / 4

    plain, wanted, _ = run(clip=None)
    same, got, _ = run(clip=None, objective=lambda model, batch: 4 * quarter(model, batch))
    torch.testing.assert_close(got, wanted)
    assert same.loss == pytest.approx(plain.loss)
    history, *_ = run(tmp_path, clip=None, objective=quarter)
    assert history.grad_norm[0] == pytest.approx(plain.grad_norm[0] / 4, rel=1e-5)
    for other in ({"label_smoothing": 0.1}, {"teacher_forcing": 0.5}):
        with pytest.raises(ValueError, match="leave label_smoothing and teacher_forcing out"):
            run(objective=quarter, **other)


def test_full_forcing_step_by_step_equals_the_forward_call():
    model, batches, *_ = copy_task()
    batch = next(batches.forever())
    stepwise = mixed_forcing(model, batch, 1.0, torch.Generator())
    torch.testing.assert_close(stepwise, model(batch.source, batch.target_in))


def test_less_forcing_trains_too():
    history, *_ = run(steps=200, warmup=10, lr=1e-2, teacher_forcing=0.5)
    assert sum(history.loss[-5:]) / 5 < 0.3


# ---- seeds, checkpoints ----------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_run_and_leaves_other_randomness_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = run(dropout=0.3, teacher_forcing=0.5)
    assert torch.rand(3).equal(expected)
    second = run(dropout=0.3, teacher_forcing=0.5)
    other = run(dropout=0.3, teacher_forcing=0.5, seed=1)
    assert first[1].equal(second[1]) and first[0].loss == second[0].loss
    assert not first[1].equal(other[1])


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "teacher_forcing": 0.5, "label_smoothing": 0.1}])
@pytest.mark.parametrize("stop", [5, 9])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, options, stop):
    whole, weights, _ = run(**options)
    part, *_ = run(tmp_path, stop_after=stop, **options)
    assert part.loss == whole.loss[:stop]
    history, resumed, model = run(tmp_path, **options)  # a fresh model and fresh batches, as after a restart
    assert resumed.equal(weights)
    assert history.loss == whole.loss and history.lr == whole.lr and history.grad_norm == whole.grad_norm
    assert history.cpu_seconds > part.cpu_seconds and not model.training


def test_a_run_killed_between_checkpoints_resumes_from_the_last(tmp_path, monkeypatch):
    _, weights, _ = run()
    update, calls = training._update, itertools.count(1)

    def killed(*arguments):
        if next(calls) == 8:
            raise SystemExit
        return update(*arguments)

    monkeypatch.setattr(training, "_update", killed)
    with pytest.raises(SystemExit):
        run(tmp_path, checkpoint_every=3)
    monkeypatch.undo()
    assert len(torch.load(tmp_path / "run.pt")["history"]["loss"]) == 6
    assert run(tmp_path)[1].equal(weights)


def test_a_finished_run_is_only_read(tmp_path):
    _, weights, _ = run(tmp_path)
    before = (tmp_path / "run.pt").read_bytes()
    history, again, _ = run(tmp_path)
    assert again.equal(weights) and len(history) == 12 and (tmp_path / "run.pt").read_bytes() == before
    model, *_ = copy_task(seed=3)
    assert weights_of(load_weights(model, tmp_path / "run.pt")).equal(weights) and not model.training
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]  # no unfinished file is left


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    run(tmp_path, stop_after=4)
    before = (tmp_path / "run.pt").read_bytes()

    def full_disk(content, file):
        file.write(b"half a file")
        raise OSError(28, "No space left on device")

    def killed(*_):
        raise OSError("killed while renaming")

    with monkeypatch.context() as m, pytest.raises(OSError, match="No space"):
        m.setattr(torch, "save", full_disk)
        run(tmp_path)
    with monkeypatch.context() as m, pytest.raises(OSError, match="killed while renaming"):
        m.setattr("os.replace", killed)
        run(tmp_path)
    assert (tmp_path / "run.pt").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


class Harmful:
    def __reduce__(self):
        return (print, ("this code must not run",))


def test_damaged_and_foreign_files_get_one_sentence(tmp_path, capsys):
    run(tmp_path)
    good = (tmp_path / "run.pt").read_bytes()
    contents = {
        "cut": good[: len(good) // 2],
        "empty": b"",
        "text": b"not a checkpoint\n",
        "pickle": pickle.dumps(Harmful()),
        "flipped": good[:200] + bytes(50) + good[250:],
    }
    for content in contents.values():
        (tmp_path / "run.pt").write_bytes(content)
        with pytest.raises(ValueError, match=r"run\.pt is damaged or is no checkpoint of this course; delete it"):
            run(tmp_path)
    for foreign in ({"state": torch.ones(2)}, torch.ones(2), [Harmful()]):
        torch.save(foreign, tmp_path / "run.pt")
        with pytest.raises(ValueError, match="damaged or is no checkpoint"):
            run(tmp_path)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        train(*copy_task()[:2], **QUICK, checkpoint=tmp_path)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_weights(copy_task()[0], tmp_path / "none.pt")


def test_checkpoints_of_another_model_data_or_setting_are_refused(tmp_path):
    run(tmp_path, stop_after=5)
    path = tmp_path / "run.pt"
    _, batches, _, source_vocab, target_vocab = copy_task()
    wider = TinyAttention(len(source_vocab), len(target_vocab), d=32)
    with pytest.raises(ValueError, match=r"holds TinyAttention\(.*d=24.*, not TinyAttention\(.*d=32"):
        train(wider, batches, **QUICK, checkpoint=path)
    wider.hparams["d"] = 24  # a model that lies about itself is found out by its shapes
    with pytest.raises(ValueError, match="do not fit this TinyAttention"):
        train(wider, copy_task()[1], **QUICK, checkpoint=path)
    with pytest.raises(ValueError, match=r"trained with lr=0\.002 \(here 0\.1\)"):
        run(tmp_path, lr=0.1)
    model, other, *_ = copy_task(n=119)
    with pytest.raises(ValueError, match="other pairs"):
        train(model, other, **QUICK, checkpoint=path)


# ---- ways to end -----------------------------------------------------------------------------------------------------


def interrupting(batches, after):
    """`batches` whose reader presses Ctrl-C."""
    forever = batches.forever

    def stream():
        for i, batch in enumerate(forever()):
            if i == after:
                raise KeyboardInterrupt
            yield batch

    batches.forever = stream
    return batches


def test_an_interrupt_leaves_a_usable_model(tmp_path, capsys):
    model, batches, *_ = copy_task(dropout=0.5)
    history = train(model, interrupting(batches, 7), **QUICK, checkpoint=tmp_path / "run.pt", checkpoint_every=5)
    assert history.interrupted and len(history) == 7 == len(history.lr) == len(history.grad_norm)
    assert not model.training and all(p.isfinite().all() for p in model.parameters())
    printed = capsys.readouterr()
    assert printed.out.startswith("Interrupted: 7 of 12 steps") and printed.err == "" and printed.out.count("\n") == 1
    history, weights, _ = run(tmp_path, dropout=0.5)  # and the next call continues from the last checkpoint
    assert not history.interrupted and weights.equal(run(dropout=0.5)[1])


class PressedWhileAppending(list):
    def append(self, value):
        if len(self) == 3:
            raise KeyboardInterrupt
        super().append(value)


@pytest.fixture
def listens_to_ctrl_c():
    """A run in the background (`nohup … &`) starts with SIGINT ignored, and Python then leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


no_signal = pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process alone")


@no_signal
@pytest.mark.parametrize("write", [1, 2, 3])  # after updates 5 and 10, and at the end
def test_an_interrupt_during_a_checkpoint_write(write, tmp_path, monkeypatch, capsys, listens_to_ctrl_c):
    """The file is finished first: torch's writer would answer Ctrl-C with an error of its own."""
    save, calls = torch.save, itertools.count(1)

    class Pressed:
        def __init__(self, file):
            self.file, self.flush, self.presses = file, file.flush, next(calls) == write

        def write(self, data):
            if self.presses:
                os.kill(os.getpid(), signal.SIGINT)
            self.presses = False
            return self.file.write(data)

    monkeypatch.setattr(torch, "save", lambda content, file: save(content, Pressed(file)))
    try:
        history, weights, model = run(tmp_path, checkpoint_every=5, progress=True)
    except KeyboardInterrupt:
        pytest.fail("Ctrl-C came out of train instead of the history")
    monkeypatch.undo()
    n = (5, 10, 12)[write - 1]
    assert history.interrupted and len(history) == n == len(history.lr) and not model.training
    assert capsys.readouterr().out.startswith(f"Interrupted: {n} of 12 steps")
    assert weights_of(load_weights(copy_task()[0], tmp_path / "run.pt")).equal(weights)
    assert run(tmp_path)[1].equal(run()[1]) and [p.name for p in tmp_path.iterdir()] == ["run.pt"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@no_signal
def test_an_interrupt_while_a_checkpoint_is_read(tmp_path, monkeypatch, listens_to_ctrl_c):
    """The model is that of the checkpoint, not half of it."""
    part, weights, _ = run(tmp_path, stop_after=5)
    fill = training._fill
    monkeypatch.setattr(training, "_fill", lambda *them: os.kill(os.getpid(), signal.SIGINT) or fill(*them))
    history, now, _ = run(tmp_path)
    assert history.interrupted and now.equal(weights)


@pytest.mark.parametrize("own", [signal.SIG_IGN, lambda *_: None])
def test_whoever_handles_ctrl_c_otherwise_keeps_doing_so(own, tmp_path, listens_to_ctrl_c):
    signal.signal(signal.SIGINT, own)
    history, *_ = run(tmp_path)
    assert not history.interrupted and signal.getsignal(signal.SIGINT) is own


def test_a_thread_writes_checkpoints_too(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(run, tmp_path).result(timeout=60)[0]) == 12


def test_two_kernels_may_write_one_checkpoint(tmp_path, monkeypatch):
    """While one writes, the other comes, writes and renames."""
    save, calls = torch.save, itertools.count(1)

    def overtaken(content, file):
        if next(calls) == 1:
            run(tmp_path, stop_after=3)
        save(content, file)

    monkeypatch.setattr(torch, "save", overtaken)
    _, weights, _ = run(tmp_path, stop_after=4)
    assert weights_of(load_weights(copy_task()[0], tmp_path / "run.pt")).equal(weights)
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


@no_signal
def test_a_real_signal_even_while_torch_still_loads(tmp_path):
    """Ctrl-C one moment after the start: in a fresh process the first optimizer takes a second to import."""
    for delay in (0.5, 4):
        code = (
            f"import sys, os, signal, threading; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "from tiny_models import copy_task; from course_utils.training import train\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in a background run, and inherited
            "model, batches, *_ = copy_task()\n"
            f"threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
            "history = train(model, batches, steps=10**6, warmup=10)\n"
            "assert history.interrupted and not model.training\n"
        )
        done = finished([sys.executable, "-c", code], "Ctrl-C to stop a training", seconds=120)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        assert done.stdout.startswith("Interrupted: ") and done.stdout.count("\n") == 1


@pytest.mark.parametrize("where", ["backward", "optimizer", "schedule", "history"])
def test_an_interrupt_anywhere_in_an_update(where, monkeypatch):
    if where == "history":
        monkeypatch.setattr(training, "History", lambda: History(loss=PressedWhileAppending()))
    target, name = {
        "history": (training, "_ending"),
        "backward": (torch.Tensor, "backward"),
        "optimizer": (torch.optim.AdamW, "step"),
        "schedule": (training, "learning_rate"),
    }[where]
    real, calls = getattr(target, name), itertools.count(1)

    def pressed(*arguments, **options):
        if next(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(target, name, pressed)
    history, weights, model = run()
    assert history.interrupted and len(history.loss) == 3 == len(history.lr) == len(history.grad_norm)
    assert weights.isfinite().all() and not model.training


def test_max_seconds_is_a_safety_stop_that_says_so(capsys, tmp_path, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(training.time, "process_time", lambda: next(clock) / 100)  # a slow machine makes the same steps
    history, *_ = run(tmp_path, steps=10**6, max_seconds=0.2)
    assert 0.2 < history.cpu_seconds < 0.25 and not history.interrupted and len(history) >= 10
    assert capsys.readouterr().out.startswith("Stopped after max_seconds=0.2 CPU s: ")
    more, *_ = run(tmp_path, steps=10**6, max_seconds=0.2)  # a new call has its own seconds
    assert len(more) >= 2 * len(history) - 1 and more.loss[: len(history)] == history.loss


@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_what_is_not_finite_stops_the_run_before_the_weights_are_spoilt(poison, capsys):
    model, batches, *_ = copy_task()
    if poison == "loss":
        model.output.bias.data[5] = math.nan
    else:
        model.output.weight.register_hook(lambda gradient: gradient * math.inf)
    before = weights_of(model)
    with pytest.raises(FloatingPointError, match="update 1: the loss is .* try a lower lr"):
        train(model, batches, **{**QUICK, "progress": True})
    assert torch.equal(weights_of(model).nan_to_num(), before.nan_to_num()) and not model.training
    assert capsys.readouterr() == ("Stopped at update 1 of 12: FloatingPointError.\n", "")


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(steps=0, warmup=0), "steps=0"),
        (dict(lr=0.0), "lr=0.0"),
        (dict(warmup=13), "warmup=13 of steps=12"),
        (dict(warmup=-1), "warmup=-1"),
        (dict(clip=0), "clip=0"),
        (dict(weight_decay=-1), "weight_decay=-1"),
        (dict(label_smoothing=1), "label_smoothing=1"),
        (dict(teacher_forcing=1.5), "teacher_forcing=1.5"),
        (dict(checkpoint_every=0), "checkpoint_every=0"),
        (dict(stop_after=0), "stop_after=0"),
    ],
)
def test_settings_are_checked_at_the_door(wrong, message):
    with pytest.raises(ValueError, match=message):
        run(**wrong)


def test_other_wrong_arguments():
    model, batches, *_ = copy_task()
    with pytest.raises(TypeError, match="train needs Batches"):
        train(model, [1, 2], **QUICK)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter to train"):
        train(model, batches, **QUICK)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_half_precision_are_refused(dtype):
    model, batches, *_ = copy_task()
    model.output.to(dtype)  # one layer is enough
    with pytest.raises(ValueError, match=rf"the weights are {dtype}, where .* train model\.float\(\)"):
        train(model, batches, **QUICK)


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_without_gradients_one_sentence(without):
    model, batches, *_ = copy_task()
    with without(), pytest.raises(ValueError, match=r"train needs gradients: call it outside torch\.no_grad"):
        train(model, batches, **QUICK)
    with without():
        model, batches, *_ = copy_task()
    if without is torch.inference_mode:  # such weights never get a gradient
        with pytest.raises(ValueError, match="train needs gradients"):
            train(model, batches, **QUICK)
    else:
        assert len(train(model, batches, **QUICK)) == 12


@pytest.mark.parametrize("shape", [(0, 3), (2, 3)])
def test_an_empty_batch_is_refused(shape):
    model, batches, *_ = copy_task()
    pads = torch.zeros(shape, dtype=torch.long)
    batches.forever = lambda: iter([Batch(pads, pads, pads, [])])
    with pytest.raises(ValueError, match="an empty batch reached train"):
        train(model, batches, **QUICK)


# ---- what is seen ----------------------------------------------------------------------------------------------------


def test_outside_a_notebook_one_line_and_no_stderr(capsys):
    history, *_ = run(progress=True)
    printed = capsys.readouterr()
    assert printed.err == "" and printed.out == history.message + "\n"
    assert printed.out.startswith("Trained 12 of 12 steps, ")
    run(progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_the_line_move(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    ticks = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    history, *_ = run(progress=True, log_every=5)
    out = capsys.readouterr().out
    assert out.count("\r5 of 12 steps, loss ") == 1 and out.count("\r10 of 12 steps") == 1
    assert out.endswith("\r" + history.message + "\n")


NOTEBOOK = """
import sys; sys.path.insert(0, {tests!r})
{before}
from tiny_models import copy_task
from course_utils.training import train
model, batches, *_ = copy_task()
history = train(model, batches, steps=30, warmup=4, log_every=1)
"""


@pytest.mark.parametrize("before", ["", "sys.modules['ipywidgets'] = None  # as if it were not installed"])
def test_in_a_notebook_the_bar_ends_as_one_line_of_text(before):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    code = NOTEBOOK.format(tests=str(Path(__file__).parent), before=before)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(book, kernel_name="python3", timeout=120).execute()
    (output,) = book.cells[0].outputs
    assert output.output_type == "display_data" and list(output.data) == ["text/plain"]
    assert output.data["text/plain"].startswith("Trained 30 of 30 steps, ")


def test_history_goes_through_a_dict():
    history, *_ = run()
    values = history.as_dict()
    assert values["steps"] == list(range(1, 13)) and History.from_dict(values) == history


def test_a_resumed_run_has_seconds_of_its_own(tmp_path, monkeypatch):
    """Played: every update takes a second. Two calls of three seconds make twice as many updates as one."""
    clock = itertools.count()
    monkeypatch.setattr(training.time, "process_time", lambda: float(next(clock)))
    first, *_ = run(tmp_path, steps=100, warmup=1, max_seconds=3)
    second, *_ = run(tmp_path, steps=100, warmup=1, max_seconds=3)
    assert (len(first), len(second)) == (4, 8) and second.cpu_seconds == 2 * first.cpu_seconds


def test_a_checkpoint_is_of_one_model_with_all_its_settings(tmp_path):
    """Also those that are tables or lists, and change no shape."""
    for other in ({"window": 4}, {"window": 2, "block": 8}, {}):
        model, batches, *_ = copy_task()
        model.hparams["settings"] = {"window": 2}
        checkpoint = tmp_path / f"{len(other)}{other.get('window')}.pt"
        train(model, batches, **QUICK, checkpoint=checkpoint, stop_after=3)
        again, same, *_ = copy_task()
        again.hparams["settings"] = {"window": 2}
        train(again, same, **QUICK, checkpoint=checkpoint, stop_after=4)
        again.hparams["settings"] = other
        with pytest.raises(ValueError, match="'window': 2"):
            load_weights(again, checkpoint)
        with pytest.raises(ValueError, match="build that model or use another file"):
            train(again, copy_task()[1], **QUICK, checkpoint=checkpoint)
