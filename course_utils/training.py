"""The course's one training loop: for every model that keeps the sequence-to-sequence contract, and for any other
that brings its `objective` (taggers, language models, embeddings) and batches with `forever`, `state_dict`, `to`.

Taught in notebook 06. AdamW (Loshchilov and Hutter 2019), linear warm-up then linear decay, clipping by global norm
(Pascanu et al. 2013), teacher forcing (Williams and Zipser 1989) with a coin per token below 1 (scheduled sampling,
Bengio et al. 2015). A run can be interrupted and leaves a usable model; with a checkpoint it resumes bit for bit.
"""

from __future__ import annotations

import io
import math
import os
import signal
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.seq2seq.contract import Seq2Seq
from course_utils.seq2seq.sampling import draw
from course_utils.text.batches import Batch, Batches
from course_utils.text.vocabulary import BEGIN, PAD

FORMAT = "course_utils checkpoint 1"


@dataclass
class History:
    """What a training did, one entry an update. `grad_norm` is the global norm before clipping."""

    loss: list[float] = field(default_factory=list)  # nats a token, mean over the batch
    lr: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0  # of this process, over all calls when a checkpoint was resumed
    interrupted: bool = False  # the user stopped it
    message: str = ""  # how it ended, in one sentence

    @property
    def steps(self) -> list[int]:
        """1, 2, …: the abscissa for plots; the other lists have the same length."""
        return list(range(1, len(self.loss) + 1))

    def __len__(self) -> int:
        return len(self.loss)

    def as_dict(self) -> dict:
        """Plain lists and numbers, `steps` included; `History.from_dict` reads it back."""
        return {"steps": self.steps, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict) -> History:
        return cls(**{name: value for name, value in values.items() if name != "steps"})


def learning_rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """The rate of update `step` = 1 … `steps`: rises linearly, reaches `peak` at update `warmup`, then falls linearly
    and would be 0 at update `steps` + 1, so that no update is wasted."""
    warmup = max(warmup, 1)
    if step <= warmup:
        return peak * step / warmup
    return peak * (steps + 1 - step) / (steps + 1 - warmup)


def token_loss(logits: Tensor, target_out: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over the real tokens of the batch, in nats; pads do not count.

    logits (B, T, V), target_out (B, T) -> (). With `label_smoothing` e each target is 1 - e on the right word plus e
    spread over the whole vocabulary (Szegedy et al. 2016).
    """
    return F.cross_entropy(
        logits.flatten(0, 1), target_out.flatten(), ignore_index=PAD, label_smoothing=label_smoothing
    )


def mixed_forcing(
    model: Seq2Seq, batch: Batch, teacher_forcing: float, coins: torch.Generator, own_words: str = "argmax"
) -> Tensor:
    """Logits (B, T, V) when each input word is the right one with probability `teacher_forcing`, else the model's own.

    The coin is thrown anew for every token of every sentence; the first input is always BEGIN. "Its own" is the best
    word of the step before or, with own_words="drawn", one drawn from that step's probabilities (from `coins` too), PAD
    and BEGIN excepted as in decoding. No gradient flows through that choice (scheduled sampling, Bengio et al. 2015).
    """
    B, T = batch.target_in.shape
    forced = torch.rand(B, T, generator=coins).to(batch.source.device) < teacher_forcing  # (B, T)
    memory = model.encode(batch.source)
    state, token, logits = model.start(memory), batch.target_in[:, 0], []
    for t in range(T):
        if t:
            own = logits[-1].detach().clone()  # (B, V)
            own[:, [PAD, BEGIN]] = -math.inf
            own = own.argmax(-1) if own_words == "argmax" else draw(own.softmax(-1), coins)
            token = torch.where(forced[:, t], batch.target_in[:, t], own)  # (B,)
        step_logits, state, _ = model.step(token, state, memory)
        logits.append(step_logits)  # (B, V)
    return torch.stack(logits, dim=1)


def train(
    model: Seq2Seq,
    batches: Batches,
    *,
    steps: int,
    lr: float = 2e-3,
    warmup: int = 100,
    clip: float | None = 1.0,
    weight_decay: float = 0.01,
    label_smoothing: float = 0.0,
    teacher_forcing: float | Callable[[int], float] = 1.0,
    own_words: str = "argmax",
    objective: Callable[[nn.Module, Batch], Tensor] | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 200,
    progress: bool = True,
    max_seconds: float | None = None,
    stop_after: int | None = None,
    log_every: int = 10,
) -> History:
    """Train `model` for `steps` updates and leave it in evaluation mode.

    Arguments beyond the usual:
        lr, warmup: peak rate, and the update that reaches it (see `learning_rate`).
        clip: largest global gradient norm; None never clips.
        teacher_forcing: below 1 the decoder runs step by step with a coin per token (see `mixed_forcing`); slower. May
            be a schedule, called with the number of updates already made (see schedules.py): scheduled sampling.
        own_words: "argmax" or "drawn", what it reads where the coin falls the other way.
        objective: (model, batch) -> loss (), where the default, `token_loss` of model(batch.source, batch.target_in)
            against batch.target_out, does not fit; label_smoothing and teacher_forcing belong to the default.
        seed: of dropout and of the coins. Random numbers outside this call are neither used nor disturbed. The order
            of the data is the business of `batches`, which goes on from where it stands.
        checkpoint: a file, written every `checkpoint_every` updates and at the end. If it exists the run continues
            from it, and ends with the very same weights as a run that never stopped.
        max_seconds: CPU seconds of this call after which it stops and says so: a safety net, not a schedule.
        stop_after: stop after this many updates of the `steps` that the schedule is made for.
        progress: one bar that ends as one line; `log_every` updates between two moves of it.

    Interrupting (Ctrl-C, the stop button) returns the history so far with `interrupted` set; the model is usable. A
    checkpoint that is being written or read is finished first.
    Raises FloatingPointError when loss or gradient is not finite; the weights are then those before that update.
    ValueError: a setting or a batch that cannot be trained with, weights in half precision, gradients switched off.
    """
    settings = dict(
        steps=steps, lr=lr, warmup=warmup, clip=clip, weight_decay=weight_decay, label_smoothing=label_smoothing,
        teacher_forcing=repr(teacher_forcing) if callable(teacher_forcing) else teacher_forcing, own_words=own_words,
        seed=seed,
    )  # fmt: skip
    if objective is not None and (label_smoothing or teacher_forcing != 1):
        raise ValueError("an objective computes its loss itself: leave label_smoothing and teacher_forcing out.")
    _check_settings(batches=batches, checkpoint_every=checkpoint_every, stop_after=stop_after, **settings)
    coins = torch.Generator().manual_seed(seed)
    history, resumed_at, bar = History(), 0, None

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            parameters = [p for p in model.parameters() if p.requires_grad]
            _check_parameters(parameters)
            optimizer = _adamw(parameters, lr, weight_decay)
            device = parameters[0].device
            if checkpoint is not None and Path(checkpoint).exists():
                with _uninterrupted():
                    history = _resume(checkpoint, model, optimizer, batches, coins, settings)
            saved_seconds, resumed_at, started = history.cpu_seconds, len(history), time.process_time()
            stream = batches.forever()
            model.train()
            bar = _Bar(steps, log_every) if progress else None
            while len(history) < min(steps, stop_after or steps):
                batch = next(stream).to(device)
                _check_batch(batch)
                rate = learning_rate(len(history) + 1, steps, lr, warmup)
                share = teacher_forcing(len(history)) if callable(teacher_forcing) else teacher_forcing
                loss, norm = _update(
                    model, batch, optimizer, parameters, rate, share, coins, settings, objective, len(history) + 1
                )
                history.lr.append(rate)
                history.grad_norm.append(norm)
                history.loss.append(loss)  # last: its length counts the updates
                history.cpu_seconds = saved_seconds + time.process_time() - started
                if bar:
                    bar.move(history)
                late = max_seconds is not None and history.cpu_seconds - saved_seconds > max_seconds
                if checkpoint is not None and len(history) % checkpoint_every == 0 and not late:
                    _save(checkpoint, model, optimizer, batches, coins, settings, history)
                if late:
                    break
        except KeyboardInterrupt:
            del history.lr[len(history) :], history.grad_norm[len(history) :]
            history.interrupted = True
        except BaseException as error:
            if bar:
                bar.finish(f"Stopped at update {len(history) + 1} of {steps}: {type(error).__name__}.")
            raise
        finally:
            model.eval()
        history.message = _ending(history, steps, stop_after, max_seconds)
        moved = len(history) > resumed_at and not history.interrupted  # an interrupted update may be half done
        if checkpoint is not None and moved:
            try:
                _save(checkpoint, model, optimizer, batches, coins, settings, history)
            except KeyboardInterrupt:
                history.interrupted = True
                history.message = _ending(history, steps, stop_after, max_seconds)
    if bar:
        bar.finish(history.message)
    elif len(history) < min(steps, stop_after or steps):
        print(history.message)
    return history


def load_weights(model: Seq2Seq, checkpoint: str | os.PathLike) -> Seq2Seq:
    """Put the weights of a checkpoint that `train` wrote into `model`, in evaluation mode; returns the model."""
    _fill(model, _read(checkpoint), checkpoint)
    return model.eval()


def _update(model, batch, optimizer, parameters, rate, forced, coins, settings, objective, step) -> tuple[float, float]:
    """One update of the weights; returns the loss and the gradient's norm before clipping."""
    if not 0 <= forced <= 1:
        raise ValueError(f"teacher_forcing={forced} at update {step}: a probability lies between 0 and 1.")
    if objective is not None:
        loss = objective(model, batch)
    else:
        if forced < 1:
            logits = mixed_forcing(model, batch, forced, coins, settings["own_words"])
        else:
            logits = model(batch.source, batch.target_in)  # (B, T, V)
        loss = token_loss(logits, batch.target_out, settings["label_smoothing"])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    limit = math.inf if settings["clip"] is None else settings["clip"]
    norm = torch.nn.utils.clip_grad_norm_(parameters, limit).item()
    loss = loss.item()
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise FloatingPointError(
            f"update {step}: the loss is {loss} and the gradient's norm {norm}; the weights are still those of update "
            f"{step - 1}; try a lower lr (here {settings['lr']}), a longer warmup or stronger clipping."
        )
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return loss, norm


def _adamw(parameters: list[Tensor], lr: float, weight_decay: float) -> torch.optim.AdamW:
    try:
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)  # five times faster on a CPU
    except RuntimeError:  # a device or type without the fused kernel
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)


def _check_settings(
    *,
    batches,
    steps,
    lr,
    warmup,
    clip,
    weight_decay,
    label_smoothing,
    teacher_forcing,
    own_words,
    seed,
    checkpoint_every,
    stop_after,
) -> None:
    if not hasattr(batches, "forever"):
        raise TypeError(f"train needs Batches, or what offers forever() as they do, not {type(batches).__name__}.")
    checks = [
        (steps >= 1, f"steps={steps}: use 1 or more"),
        (lr > 0, f"lr={lr}: the peak rate must be positive"),
        (
            0 <= warmup <= steps,
            f"warmup={warmup} of steps={steps}: the rate would never reach its peak; shorten warmup",
        ),
        (clip is None or clip > 0, f"clip={clip}: the largest norm must be positive, or None for no clipping"),
        (weight_decay >= 0, f"weight_decay={weight_decay}: must not be negative"),
        (0 <= label_smoothing < 1, f"label_smoothing={label_smoothing}: must lie in 0 <= e < 1"),
        (
            isinstance(teacher_forcing, str) or 0 <= teacher_forcing <= 1,  # a schedule by its name, or a number
            f"teacher_forcing={teacher_forcing}: a probability lies between 0 and 1",
        ),
        (own_words in ("argmax", "drawn"), f"own_words={own_words!r}: 'argmax' or 'drawn'"),
        (checkpoint_every >= 1, f"checkpoint_every={checkpoint_every}: use 1 or more"),
        (stop_after is None or stop_after >= 1, f"stop_after={stop_after}: use 1 or more, or None"),
    ]
    for fine, sentence in checks:
        if not fine:
            raise ValueError(sentence + ".")


def _check_parameters(parameters: list[Tensor]) -> None:
    if not parameters:
        raise ValueError("the model has no parameter to train; has requires_grad been switched off everywhere?")
    if not torch.is_grad_enabled() or any(p.is_inference() for p in parameters):
        raise ValueError(
            "train needs gradients: call it outside torch.no_grad() and torch.inference_mode(), after "
            "torch.set_grad_enabled(True), with a model that was built there."
        )
    half = next((p.dtype for p in parameters if p.dtype.itemsize < 4), None)
    if half is not None:
        raise ValueError(
            f"the weights are {half}, where updates are lost in rounding: train model.float(), and halve it afterwards."
        )


def _check_batch(batch: Batch) -> None:
    if len(batch) == 0 or batch.n_tokens == 0:
        raise ValueError(f"an empty batch reached train (rows {batch.index}): it has no token to learn from.")


def _ending(history: History, steps: int, stop_after: int | None, max_seconds: float | None) -> str:
    recent = history.loss[-20:]
    loss = f"loss {sum(recent) / len(recent):.3f}" if recent else "no update made"
    figures = f"{len(history)} of {steps} steps, {history.cpu_seconds:.1f} CPU s, {loss}"
    if history.interrupted:
        return f"Interrupted: {figures}; the model is usable as it stands."
    if len(history) < min(steps, stop_after or steps):
        return f"Stopped after max_seconds={max_seconds:g} CPU s: {figures}."
    return f"Trained {figures}."


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def describe(model, tables: bool = False) -> str:
    """The model's class and constructor arguments, modules by their class name; with `tables`, dicts and lists in full.
    (Rows of the scoreboard name them by their class, too.)"""
    whole = str | int | float | bool | None | (dict | list | tuple if tables else None)
    hparams = getattr(model, "hparams", {})
    plain = {k: v if isinstance(v, whole) else type(v).__name__ for k, v in hparams.items()}
    return f"{type(model).__name__}({', '.join(f'{k}={v!r}' for k, v in plain.items())})"


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block has ended: torch's writer answers it with an error of its own, and a model that is
    being filled would be half of one run and half of another."""
    own = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(own):  # here it does not arrive anyway
        yield
        return
    pressed = []
    signal.signal(signal.SIGINT, lambda *arguments: pressed.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, own)
    if pressed:
        own(*pressed[0])


def _save(path, model, optimizer, batches, coins, settings, history) -> None:
    """Write to a neighbouring file, then rename: whoever reads `path` finds the old checkpoint or the new one. The
    neighbour's name is this call's alone, since another kernel may be writing the same checkpoint."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "format": FORMAT,
        "made_by": describe(model, tables=True),
        "settings": settings,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "batches": batches.state_dict(),
        "torch_rng": torch.get_rng_state(),
        "coins": coins.get_state(),
        "history": asdict(history),
    }
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    with _uninterrupted():
        try:
            with open(unfinished, "wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


def _read(path) -> dict:
    """Load a checkpoint without running any code that the file may hold (weights_only)."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a checkpoint is a file, name one inside it.")
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint {path}; check the name, or train first.")
    data = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # torch raises half a dozen kinds, according to where the damage sits
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is damaged or is no checkpoint of this course; delete it and train anew.")
    return content


def _fill(model, content: dict, path) -> None:
    mine = describe(model, tables=True)
    if content["made_by"] != mine:
        raise ValueError(f"{path} holds {content['made_by']}, not {mine}; build that model or use another file.")
    try:
        model.load_state_dict(content["model"])
    except RuntimeError:
        raise ValueError(
            f"the weights in {path} do not fit this {type(model).__name__}: names or shapes differ; use another file."
        ) from None


def _resume(path, model, optimizer, batches, coins, settings) -> History:
    content = _read(path)
    if content["settings"] != settings:
        old = content["settings"]
        change = ", ".join(f"{k}={old.get(k)} (here {v})" for k, v in settings.items() if old.get(k) != v)
        raise ValueError(f"{path} was trained with {change}; use the same settings, or another file.")
    batches.load_state_dict(content["batches"])  # refuses other data, before anything is changed
    _fill(model, content, path)
    optimizer.load_state_dict(content["optimizer"])
    torch.set_rng_state(content["torch_rng"])
    coins.set_state(content["coins"])
    return History.from_dict(content["history"])


# ---- the progress bar ------------------------------------------------------------------------------------------------


class _Bar:
    """In a notebook one ipywidgets bar that becomes one line of text at the end; in a terminal a line that is written
    over; elsewhere only the last line. Everything goes to stdout."""

    def __init__(self, steps: int, every: int):
        self.steps, self.every, self.drawn = steps, max(1, every), 0.0
        self.widget = self.handle = None
        self.terminal = False
        if _in_notebook():
            from IPython.display import display

            self.widget = _notebook_bar(steps)
            first = self.widget if self.widget is not None else {"text/plain": f"0 of {steps} steps"}
            self.handle = display(first, raw=self.widget is None, display_id=True)
        else:
            self.terminal = sys.stdout.isatty()

    def move(self, history: History) -> None:
        """Redraw every `every` updates, but at most ten times a second."""
        now = time.monotonic()
        if len(history) % self.every or now - self.drawn < 0.1:
            return
        self.drawn = now
        line = f"{len(history)} of {self.steps} steps, loss {history.loss[-1]:.3f}"
        if self.widget is not None:
            self.widget.children[0].value, self.widget.children[1].value = len(history), line
        elif self.handle is not None:
            self.handle.update({"text/plain": line}, raw=True)
        elif self.terminal:
            print(f"\r{line:<70}", end="", flush=True)

    def finish(self, line: str) -> None:
        if self.terminal:
            print(f"\r{'':<70}\r", end="")
        if self.handle is not None:
            self.handle.update({"text/plain": line}, raw=True)
            if self.widget is not None:
                self.widget.close()
        else:
            print(line)


def _in_notebook() -> bool:
    """Inside a Jupyter kernel? Asked without importing IPython where nobody has."""
    ipython = sys.modules.get("IPython")
    return getattr(ipython and ipython.get_ipython(), "kernel", None) is not None


def _notebook_bar(steps: int):
    try:
        import ipywidgets
    except ImportError:
        return None
    return ipywidgets.HBox([ipywidgets.IntProgress(min=0, max=steps), ipywidgets.Label(f"0 of {steps} steps")])
