"""A reference answer that shares a student's mistake would call it right: so each check is asked about two right
answers that were written apart. Most modules bring both in their CHECKS; here are the second ones of the others."""

import math
from collections import Counter

import pytest
import torch
from test_exercises import CHECKS
from torch import nn


def ceiling(words, tags):
    best = {}
    for (word, _), n in Counter(zip(words, tags, strict=True)).items():
        best[word] = max(best.get(word, 0), n)
    return sum(best.values()) / len(tags)


def final_memory(x, mask, step):
    """Row by row, real words only."""
    rows = []
    for vectors, real in zip(x, mask, strict=True):
        h = torch.zeros(1, x.shape[2])
        for vector in vectors[real]:
            h = step(vector[None], h)
        rows.append(h[0])
    return torch.stack(rows)


def jordan(x, W, U, b, V, c):
    y, said = c * 0, []
    for t in range(len(x)):
        scores = torch.tanh(x[t] @ W.T + y @ U.T + b) @ V.T + c
        y = scores.exp() / scores.exp().sum()
        said.append(y.tolist())
    return torch.tensor(said)


def peephole_step(x, h, c, W, U, b, P):
    """Gate by gate, unit by unit."""
    d = c.shape[1]
    new_h, new_c = torch.zeros_like(c), torch.zeros_like(c)
    for row in range(len(x)):
        for k in range(d):
            i, f, g, o = (float(W[k + n * d] @ x[row] + U[k + n * d] @ h[row] + b[k + n * d]) for n in range(4))
            old = float(c[row, k])
            i, f = (1 / (1 + math.exp(-(a + float(P[n, k]) * old))) for n, a in enumerate((i, f)))
            now = f * old + i * math.tanh(g)
            new_c[row, k] = now
            new_h[row, k] = math.tanh(now) / (1 + math.exp(-(o + float(P[2, k]) * now)))
    return new_h, new_c


def power_gradient(w, u, n):
    """By differences of the loss (u w^n - 1)^2, so small that they are exact to seven digits."""
    def loss(w, u):
        return (u * w**n - 1) ** 2

    e = 1e-6
    slope_w = (8 * (loss(w + e, u) - loss(w - e, u)) - loss(w + 2 * e, u) + loss(w - 2 * e, u)) / (12 * e)
    return slope_w, (loss(w, u + e) - loss(w, u - e)) / (2 * e)


def gradient_in_chunks(W, inputs, length):
    """One call of backward for all chunks."""
    W = W.clone().requires_grad_()
    h, total = W.new_zeros(len(W)), 0.0
    for t, x in enumerate(inputs):
        h = torch.tanh(W @ (h.detach() if t % length == 0 else h) + x)
        total = total + h.sum()
    return torch.autograd.grad(total, W)[0]


def perplexity(losses, counts):
    return math.prod(math.exp(loss * n / sum(counts)) for loss, n in zip(losses, counts, strict=True))


def with_temperature(logits, temperature):
    powers = torch.exp((logits - logits.max(-1, keepdim=True).values) / temperature)
    return powers / powers.sum(-1, keepdim=True)


def my_aer(links, sure, possible):
    met = sum((link in sure) + (link in possible) for link in links)
    return 1 - met / (len(links) + len(sure)) if links or sure else 0.0


def decoder_block(y, memory, look_back, cross, feed):
    looked = y + look_back(v=y, k=y, q=y)
    crossed = looked + cross(v=memory, k=memory, q=looked)
    return crossed + feed(crossed)


def vocabulary_parameters(source, target, d, tie):
    """Counted on the modules themselves."""
    modules = [nn.Embedding(target, d), nn.Embedding(source, d), nn.Linear(d, target)]
    kept = {"none": modules, "decoder": modules[:2], "all": modules[:1]}[tie]
    return sum(p.numel() for module in kept for p in module.parameters())


def bucket_of(x, R):
    """The nearest of the directions r_1 ... r_b/2 and their opposites."""
    directions = [*R.T, *(-R.T)]
    return torch.tensor([max(range(len(directions)), key=lambda k: float(v @ directions[k])) for v in x])


SECOND = {
    "02_2": ceiling, "02_5": final_memory, "02_6": jordan, "03_5": peephole_step, "04_2": power_gradient,
    "04_4": gradient_in_chunks, "04_5": perplexity, "04_6": with_temperature, "07_5": my_aer, "16_3": decoder_block,
    "17_4": vocabulary_parameters, "21_1": bucket_of,
}  # fmt: skip


@pytest.mark.parametrize("name", SECOND)
def test_an_answer_written_apart_is_right_too(name):
    for _ in range(3):
        result = CHECKS[name].check(SECOND[name])
        assert result, result.message


def test_every_check_is_asked_about_two_right_answers():
    alone = {name for name, check in CHECKS.items() if callable(check.right[0]) and len(check.right) < 2}
    assert alone <= set(SECOND) | {"11_1"}, f"no second answer: {sorted(alone - set(SECOND))}"
