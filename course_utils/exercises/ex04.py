"""Exercises of notebook 04, training recurrent networks. Tasks, hints and solutions stand in the checks' docstrings,
mistakes in the functions above each check; how they become cells: course_utils/exercises/checking.py."""

import math

import torch
from torch import Tensor

from course_utils.exercises.checking import Check, exercise, fresh, gallery, judge

# --- 04.1 a forget gate for a distance --------------------------------------------------------------------------------


def bias_for(steps: int) -> float:
    kept = 0.5 ** (1 / steps)
    return math.log(kept / (1 - kept))


def gate_itself(steps):
    """This is what the gate must be open, 0.5 to the power 1 / steps; asked is the bias whose sigmoid that is."""
    return 0.5 ** (1 / steps)


def log_only(steps):
    """This is the logarithm of the gate; the inverse of the sigmoid is log(p / (1 - p))."""
    return math.log(0.5) / steps


def turned_over(steps):
    """The sign is turned: log((1 - p) / p) makes a gate that forgets."""
    return -bias_for(steps)


def evenly(steps):
    """This gate loses the same *amount* at each step, 1 - 0.5 / steps; what is left is a product, p to the power
    steps."""
    kept = 1 - 0.5 / steps
    return math.log(kept / (1 - kept)) if steps > 1 else math.log(3)


def times_steps(steps):
    """This takes 0.5 to the power of the steps: that is what a gate of 0.5 leaves. Here the power of the steps must
    *give* 0.5, so take the root."""
    kept = 0.5**steps
    return math.log(kept) - math.log1p(-kept)


def e_fold(steps):
    """This leaves 1 / e after so many steps, asked is one half."""
    kept = math.exp(-1 / steps)
    return math.log(kept / (1 - kept))


MISTAKES_1 = [gate_itself, log_only, turned_over, evenly, times_steps, e_fold]


@exercise("04.1", "memory that should last ten times longer needs a bias about 2.3 higher.")
def check_04_1(answer):
    """**Exercise 04.1 · ●●○○○ · 8 min** - a forget gate for a distance

    A forget gate that stands at p = sigmoid(b) leaves the share p^steps of the cell after so many steps (nothing new
    coming in). Write `forget_bias(steps)`: the b with which one half is left after `steps` steps, an int of 2 or more.

    Hint 1: which p has p^steps = 0.5?
    Hint 2: the inverse of the sigmoid is log(p / (1 - p)).
    Solution: p = 0.5 ** (1 / steps); return math.log(p / (1 - p))
    """
    judge(answer, [(steps,) for steps in (2, 3, 10, 50, 200)], bias_for, MISTAKES_1)


# --- 04.2 the gradient of u · wⁿ --------------------------------------------------------------------------------------


def power_gradient(w: float, u: float, n: int) -> tuple[float, float]:
    error = 2 * (u * w**n - 1)
    return error * u * n * w ** (n - 1), error * w**n


def forgets_n(w, u, n):
    """The factor n is missing in the first part: w stands in the product n times, and each of them counts."""
    error = 2 * (u * w**n - 1)
    return error * u * w ** (n - 1), error * w**n


def power_stays(w, u, n):
    """The first part keeps the power n: differentiating w to the n leaves the power n - 1."""
    error = 2 * (u * w**n - 1)
    return error * u * n * w**n, error * w**n


def no_chain(w, u, n):
    """This is the gradient of y = u · w to the n alone: the square around y - 1 brings the factor 2 (y - 1)."""
    return u * n * w ** (n - 1), w**n


def no_two(w, u, n):
    """Everything is half as large as it should be: the square has the derivative 2 (y - 1)."""
    error = u * w**n - 1
    return error * u * n * w ** (n - 1), error * w**n


def swapped_parts(w, u, n):
    """These are the right two, in the wrong order: first the part for w, then the part for u."""
    return power_gradient(w, u, n)[::-1]


def forgets_u(w, u, n):
    """The first part lacks the factor u, which multiplies every w."""
    error = 2 * (u * w**n - 1)
    return error * n * w ** (n - 1), error * w**n


def descends(w, u, n):
    """Both signs are turned: this is the direction of descent, asked is the gradient."""
    dw, du = power_gradient(w, u, n)
    return -dw, -du


MISTAKES_2 = [forgets_n, power_stays, no_chain, no_two, swapped_parts, forgets_u, descends]


@exercise("04.2", "the factor n wⁿ⁻¹ is all there is to vanishing and exploding.")
def check_04_2(answer):
    """**Exercise 04.2 · ●●○○○ · 8 min** - the gradient by hand

    Write `gradient(w, u, n)`: for the loss E = (u wⁿ - 1)² the pair (dE/dw, dE/du), as two numbers. `w`, `u` floats,
    `n` an int of 1 or more. Without autograd.

    Hint 1: call y = u wⁿ. What is dE/dy, and what are dy/dw and dy/du?
    Hint 2: dE/dy = 2 (y - 1) multiplies both; dy/dw = u n wⁿ⁻¹.
    Solution: error = 2 * (u * w**n - 1); return error * u * n * w ** (n - 1), error * w**n
    """
    rng = fresh()
    inputs = [(0.9, 1.5, 3), (1.1, 0.7, 8), (0.5, 2.0, 1), (1.3, -0.4, 2)]
    inputs += [(0.6 + float(torch.rand((), generator=rng)), 0.3 + float(torch.rand((), generator=rng)), 5)]
    judge(answer, inputs, power_gradient, MISTAKES_2, forbid=["autograd"])


# --- 04.3 clipping by the global norm ---------------------------------------------------------------------------------


def global_norm(gradients: list[Tensor]) -> float:
    return math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradients))


def _scaled(gradients, factor):
    return [g * factor for g in gradients]


def clip_globally(gradients: list[Tensor], most: float) -> list[Tensor]:
    norm = global_norm(gradients)
    return _scaled(gradients, most / norm if norm > most else 1.0)


def each_by_itself(gradients, most):
    """Here each tensor is shortened by itself, so the direction of the step changes: one norm over all of them
    together, one factor for all."""
    return [clip_globally([g], most)[0] for g in gradients]


def each_number(gradients, most):
    """This cuts every number to the range from -most to most, which turns the direction: multiply all by one factor."""
    return [g.clamp(-most, most) for g in gradients]


def always_scaled(gradients, most):
    """This gives short gradients the norm `most` too, so it makes them longer: only what is longer than `most` is
    touched."""
    return _scaled(gradients, most / max(global_norm(gradients), 1e-12))


def norms_added(gradients, most):
    """The norms of the tensors are added here: the global norm is the root of the sum of all squares."""
    norm = sum(float(g.double().norm()) for g in gradients)
    return _scaled(gradients, most / norm if norm > most else 1.0)


def no_root(gradients, most):
    """The root is missing: the norm is the root of the sum of squares."""
    norm = global_norm(gradients) ** 2
    return _scaled(gradients, most / norm if norm > most else 1.0)


def largest_number(gradients, most):
    """This compares the largest single number with `most`: the norm counts them all, the root of the sum of squares."""
    norm = max(float(g.abs().max()) for g in gradients)
    return _scaled(gradients, most / norm if norm > most else 1.0)


def to_length_one(gradients, most):
    """This shortens to norm 1, whatever `most` is."""
    norm = global_norm(gradients)
    return _scaled(gradients, 1 / norm if norm > most else 1.0)


MISTAKES_3 = [each_by_itself, each_number, always_scaled, norms_added, no_root, largest_number, to_length_one]


@exercise("04.3", "one norm, one factor: the step gets shorter and keeps its direction.")
def check_04_3(answer):
    """**Exercise 04.3 · ●●○○○ · 10 min** - clip by the global norm

    Write `clip(gradients, most)`: `gradients` is a list of tensors of any shapes, `most` a float. If the norm of all
    their numbers together is larger than `most`, return them shortened to that norm, in a new list; else as they are.
    Not with clip_grad_norm_, and without changing the argument.

    Hint 1: the global norm is the root of the sum of the squares of *all* numbers in all tensors.
    Hint 2: one factor for all of them: most / norm, but never above 1.
    Solution: norm = sum((g**2).sum() for g in gradients) ** 0.5; return [g * min(1, most / norm) for g in gradients]
    """
    rng = fresh()
    inputs = []
    for size, most in ((3.0, 1.0), (0.01, 1.0), (0.5, 2.5), (4.0, 0.3)):
        shapes = ((2, 3), (4,), (1, 2, 2))
        inputs.append(([size * torch.randn(s, generator=rng) for s in shapes], most))
    inputs += [([torch.tensor([3.0]), torch.tensor([[0.1, -0.2]])], 1.5), ([torch.tensor([0.6, 0.8])], 2.0)]
    judge(answer, inputs, clip_globally, MISTAKES_3, forbid=["clip_grad_norm_"])


# --- 04.4 cut the history at the chunk's end --------------------------------------------------------------------------


def _in_chunks(W: Tensor, inputs: Tensor, length: int, *, between=None, within=None, keep=False) -> Tensor:
    W = W.clone().requires_grad_()
    h = torch.zeros(len(W), dtype=W.dtype)
    for chunk in inputs.split(length):
        loss = torch.zeros((), dtype=W.dtype)
        for x in chunk:
            h = torch.tanh(W @ h + x)
            loss = loss + h.sum()
            h = within(h) if within else h
        loss.backward(retain_graph=keep)
        h = between(h) if between else h
    return W.grad


def truncated_gradient(W: Tensor, inputs: Tensor, length: int) -> Tensor:
    return _in_chunks(W, inputs, length, between=Tensor.detach)


def no_detach(W, inputs, length):
    """The second chunk's backward runs on into the first, whose graph is freed: cut the state's history between
    chunks."""
    return _in_chunks(W, inputs, length)


def state_forgotten(W, inputs, length):
    """Here every chunk begins with an empty memory: keep the *numbers* of h and cut only its history."""
    return _in_chunks(W, inputs, length, between=torch.zeros_like)


def detached_each_step(W, inputs, length):
    """The history is cut at every step, so nothing flows back inside a chunk either: cut once a chunk."""
    return _in_chunks(W, inputs, length, within=Tensor.detach)


def graph_kept(W, inputs, length):
    """Keeping the graph silences the error and runs back to the beginning of the text, at every chunk farther: slower
    and slower, and not truncated."""
    return _in_chunks(W, inputs, length, keep=True)


def last_chunk_only(W, inputs, length):
    """This is the gradient of the last chunk alone: those of all chunks add up in W.grad."""
    W = W.clone().requires_grad_()
    h = torch.zeros(len(W), dtype=W.dtype)
    for chunk in inputs.split(length):
        W.grad, h, loss = None, h.detach(), 0
        for x in chunk:
            h = torch.tanh(W @ h + x)
            loss = loss + h.sum()
        loss.backward()
    return W.grad


MISTAKES_4 = [no_detach, state_forgotten, detached_each_step, graph_kept, last_chunk_only]


@exercise("04.4", "the memory goes on, the gradient stops at the chunk's beginning.")
def check_04_4(answer):
    """**Exercise 04.4 · ●●●○○ · 8 min** - repair: one line is missing

    `gradient_in_chunks(W, inputs, length)` trains an Elman network in chunks; its loss is the sum of all states. `W`
    (D, D), `inputs` (T, D). From the second chunk on it stops with a RuntimeError. Repair it: the next chunk must begin
    with the *numbers* of the last state and without its history. Returns W.grad (D, D), summed over the chunks.

    Hint 1: what does h remember besides its numbers?
    Hint 2: h.detach() is the same vector without its history; it returns it, h itself stays as it is.
    Solution: after loss.backward(): h = h.detach()
    """
    rng = fresh()
    inputs = []
    for D, T, length in ((3, 8, 4), (2, 7, 3), (4, 5, 1), (3, 6, 6)):
        W = torch.randn(D, D, generator=rng, dtype=torch.float64) * 0.6
        inputs.append((W, torch.randn(T, D, generator=rng, dtype=torch.float64), length))
    judge(answer, inputs, truncated_gradient, MISTAKES_4, planted=no_detach)


# --- 04.5 perplexity of batches of unequal size -----------------------------------------------------------------------


def _total(losses, counts):
    return sum(loss * n for loss, n in zip(losses, counts, strict=True))


def perplexity(losses: list[float], counts: list[int]) -> float:
    return math.exp(_total(losses, counts) / sum(counts))


def mean_of_means(losses, counts):
    """This is exp of the mean of the means: a batch of 3 tokens weighs as much as one of 3,000. Weigh by the counts."""
    return math.exp(sum(losses) / len(losses))


def mean_of_perplexities(losses, counts):
    """This is a mean of the perplexities of the batches; take exp once, at the very end."""
    return sum(math.exp(loss) for loss in losses) / len(losses)


def weighted_perplexities(losses, counts):
    """The weights are right, but exp comes too early: average the losses, then take exp once."""
    return sum(math.exp(loss) * n for loss, n in zip(losses, counts, strict=True)) / sum(counts)


def not_multiplied(losses, counts):
    """The losses are means already: multiply each by its count before dividing by all tokens."""
    return math.exp(sum(losses) / sum(counts))


def mean_loss(losses, counts):
    """This is the mean loss in nats; the perplexity is exp of it."""
    return _total(losses, counts) / sum(counts)


def power_of_two(losses, counts):
    """This is a power of 2, which belongs to losses in bits; these are nats (torch's cross_entropy), so take exp."""
    return 2 ** (_total(losses, counts) / sum(counts))


MISTAKES_5 = [mean_of_means, mean_of_perplexities, weighted_perplexities, not_multiplied, mean_loss, power_of_two]


@exercise("04.5", "every token counts once, wherever the text was cut.")
def check_04_5(answer):
    """**Exercise 04.5 · ●●○○○ · 6 min** - perplexity of batches of unequal size

    Write `perplexity(losses, counts)`: `losses` are the mean losses of batches in nats, `counts` their numbers of
    tokens, two lists of equal length. Returns the perplexity of the whole text, one number.

    Hint 1: how large is the loss of all tokens together?
    Hint 2: exp(sum of loss times count / sum of counts).
    Solution: math.exp(sum(l * n for l, n in zip(losses, counts)) / sum(counts))
    """
    rng = fresh()
    inputs: list[tuple] = [([1.0, 3.0], [3000, 3]), ([0.5, 2.0, 1.5], [10, 40, 7]), ([2.5], [12])]
    losses = (1 + torch.rand(4, generator=rng, dtype=torch.float64)).tolist()
    inputs.append((losses, torch.randint(1, 90, (4,), generator=rng).tolist()))
    judge(answer, inputs, perplexity, MISTAKES_5)


# --- 04.6 temperature -------------------------------------------------------------------------------------------------


def soften(logits: Tensor, temperature: float) -> Tensor:
    return torch.softmax(logits / temperature, dim=-1)


def multiplied(logits, temperature):
    """The logits are multiplied by the temperature: a high one would make the model more certain. Divide."""
    return torch.softmax(logits * temperature, dim=-1)


def after_the_softmax(logits, temperature):
    """Dividing the probabilities and making them add up to 1 again undoes itself: divide the logits, before the
    softmax."""
    return torch.softmax(logits, dim=-1)


def not_normalised(logits, temperature):
    """These do not add up to 1: divide the logits, before the softmax."""
    return torch.softmax(logits, dim=-1) / temperature


def wrong_dimension(logits, temperature):
    """The softmax runs over the rows, so each row does not add up to 1: dim=-1."""
    return torch.softmax(logits / temperature, dim=0)


def overflows(logits, temperature):
    """Right in spirit, but exp overflows for large logits and low temperatures: subtract the largest first, or let
    torch.softmax do it."""
    e = torch.exp(logits / temperature)
    return e / e.sum(-1, keepdim=True)


def logits_only(logits, temperature):
    """The logits are divided, and the softmax is still to come."""
    return logits / temperature


MISTAKES_6 = [multiplied, after_the_softmax, not_normalised, wrong_dimension, overflows, logits_only]


@exercise("04.6", "0.01 always says the likeliest, 100 throws dice.")
def check_04_6(answer):
    """**Exercise 04.6 · ●●○○○ · 6 min** - temperature

    Write `soften(logits, temperature)`: `logits` (B, V) float, `temperature` a float above 0. Returns the probabilities
    (B, V) from which the next symbol is drawn: the softmax of the logits divided by the temperature, also where the
    logits are large and the temperature is low.

    Hint 1: divide before the softmax. After it, the division would be undone by making the sum 1.
    Hint 2: torch.softmax(..., dim=-1) subtracts the largest by itself.
    Solution: torch.softmax(logits / temperature, dim=-1)
    """
    rng = fresh()
    inputs = [(2 * torch.randn(3, 5, generator=rng), t) for t in (0.5, 1.7, 1.0)]
    inputs += [(torch.tensor([[800.0, 790.0, 0.0], [-900.0, -901.0, -902.0]]), 2.0), (torch.tensor([[1.0, 2.0]]), 0.01)]
    judge(answer, inputs, soften, MISTAKES_6)


# --- what proves the checks -------------------------------------------------------------------------------------------


def _clip_solution(gradients, most):
    norm = sum((g**2).sum() for g in gradients) ** 0.5
    return [g * min(1, most / norm) for g in gradients]


def _clip_by_torch(gradients, most):
    copies = [torch.zeros_like(g).requires_grad_() for g in gradients]
    for copy, g in zip(copies, gradients, strict=True):
        copy.grad = g.clone()
    torch.nn.utils.clip_grad_norm_(copies, most)
    return [copy.grad for copy in copies]


def _gradient_by_torch(w, u, n):
    w, u = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (w, u))
    return tuple(float(g) for g in torch.autograd.grad((u * w**n - 1) ** 2, (w, u)))


def _bias_solution(steps):
    p = 0.5 ** (1 / steps)
    return torch.logit(torch.tensor(p, dtype=torch.float64))


CHECKS = {
    "04_1": Check(check_04_1, [bias_for, _bias_solution], gallery(MISTAKES_1)),
    "04_2": Check(check_04_2, [power_gradient],
                  [*gallery(MISTAKES_2), ("autograd", _gradient_by_torch, "without autograd")]),
    "04_3": Check(check_04_3, [clip_globally, _clip_solution],
                  [*gallery(MISTAKES_3), ("torch's own", _clip_by_torch, "uses clip_grad_norm_")]),
    "04_4": Check(check_04_4, [truncated_gradient], gallery(MISTAKES_4), stub=no_detach),
    "04_5": Check(check_04_5, [perplexity], gallery(MISTAKES_5)),
    "04_6": Check(check_04_6, [soften], gallery(MISTAKES_6)),
}
