"""Sorted blocks: values go with their keys, rows and columns sum to 1, a causal sort does not know what comes."""

import pytest
import torch
from plug_checks import (
    call,
    drawn,
    pads_do_not_matter,
    ragged,
    same,
    same_function,
    the_future_does_not_matter,
    vectors,
)

from course_utils.attention.sinkhorn import SinkhornAttention, sinkhorn


def built(block=8, **settings):
    return drawn(lambda: SinkhornAttention(4, block, **settings))


def sorted_table(plug, k, real, n, causal):
    """R (n, n) of one head, entry by entry. k (N, d), real (N,)."""
    b, scale, never = plug.block, k.shape[1] ** 0.5 * plug.temperature, k.new_tensor(-1e9)

    def mean(places):
        places = [i for i in places if i < len(k) and real[i]]
        return sum(k[i] for i in places) / len(places) if places else torch.zeros_like(k[0])

    held = [any(i < len(k) and real[i] for i in range(j * b, j * b + b)) for j in range(n)]
    sent = [mean(range(j * b, j * b + b)) for j in range(n)]
    to = [mean(range(i * b + 1)) for i in range(n)] if causal else sent
    may = [[held[j] and (j < i if causal else held[i]) for j in range(n)] for i in range(n)]
    logs = [[plug.W.weight @ to[i] @ sent[j] / scale if may[i][j] else never for j in range(n)] for i in range(n)]
    for _ in range(plug.iterations):
        logs = [[logs[i][j] - torch.stack([logs[r][j] for r in range(i + 1 if causal else n)]).logsumexp(0)
                 if may[i][j] else logs[i][j] for j in range(n)] for i in range(n)]  # fmt: skip
        logs = [[x - torch.stack(row).logsumexp(0) if ok else x for x, ok in zip(row, oks, strict=True)]
                for row, oks in zip(logs, may, strict=True)]  # fmt: skip
    return [[logs[i][j].exp() if may[i][j] else k.new_zeros(()) for j in range(n)] for i in range(n)]


def word_by_word(plug, q, k, v, real, causal):
    """(B, H, N, d): the own block's words, and the mixed ones: each the mean of the real words sent to its slot."""
    B, H, N, d = q.shape
    b, n, context = plug.block, -(-N // plug.block), torch.zeros_like(v)
    for row, h in torch.cartesian_prod(torch.arange(B), torch.arange(H)).tolist():
        keys, values, here = k[row, h], v[row, h], real[row].tolist()
        R = sorted_table(plug, keys, here, n, causal)
        for i in range(N):
            own = [j for j in range(i // b * b, i // b * b + b) if j < N and here[j] and (j <= i or not causal)]
            scores, found = [q[row, h, i] @ keys[j] / d**0.5 for j in own], [values[j] for j in own]
            for slot in range(b):
                senders = [j for j in range(n) if j * b + slot < N and here[j * b + slot] and R[i // b][j] > 0]
                if senders:
                    m = sum(R[i // b][j] for j in senders)
                    key, value = (sum(R[i // b][j] * x[j * b + slot] for j in senders) / m for x in (keys, values))
                    scores.append(q[row, h, i] @ key / d**0.5 + m.log())
                    found.append(value)
            if scores:
                context[row, h, i] = torch.stack(scores).softmax(0) @ torch.stack(found)
    return context


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("N", [9, 11])
def test_equals_its_definition(N, causal, masked):
    plug = built(block=3, iterations=2)
    mask = ragged(N) if masked else None
    same_function(
        lambda q, k, v: plug(q, k, v, causal=causal, key_mask=mask)[0],
        lambda q, k, v: word_by_word(plug, q, k, v, torch.ones(3, N) > 0 if mask is None else mask, causal),
        call(N, N), tuple(plug.parameters()),
    )  # fmt: skip


def test_future_pads_and_cached_keys():
    the_future_does_not_matter(built())
    the_future_does_not_matter(built(), scale=5.0)
    for causal in (False, True):
        pads_do_not_matter(built(), causal)


@torch.no_grad()
def test_a_hard_sort_attends_to_one_other_block_keys_and_values_alike():
    """Blocks that point in four directions, W that turns each to the next: block i sees itself and block i + 1."""
    plug, n, b = built(block=8, iterations=30, temperature=0.05), 4, 8
    plug.W.weight.copy_(torch.eye(4).roll(1, 0))
    k = 3 * torch.eye(4, dtype=torch.float64).repeat_interleave(b, 0).view(1, 1, n * b, 4)
    k = k + 0.1 * vectors(1, 1, n * b, 4)
    q, v = vectors(1, 1, n * b, 4, seed=2), vectors(1, 1, n * b, 4, seed=3)
    R = plug.sort(k.unflatten(2, (n, b)), None, False)[0, 0]
    same(R, torch.eye(4, dtype=torch.float64).roll(1, 1))
    context = plug(q, k, v)[0][0, 0]
    for i in range(n):
        seen = [*range(i * b, i * b + b), *(((i + 1) % n) * b + s for s in range(b))]
        rows = slice(i * b, i * b + b)
        same(context[rows], (q[0, 0, rows] @ k[0, 0, seen].T / 2).softmax(-1) @ v[0, 0, seen])


def test_values_outside_the_own_block_matter():
    """sinkhorn-transformer 0.11.4 sorts its keys in place of its values: this gradient is 0 there."""
    q, k, v = call(32, 32, B=1)
    v.requires_grad_()
    gradient = torch.autograd.grad(built()(q, k, v)[0][0, 0, :8].sum(), v)[0][0, 0]
    assert gradient[8:].abs().amax(-1).min() > 1e-6
    weights = built()(q, k, v, need_weights=True)[1]
    same(weights[0, 0, :8].sum(0).unsqueeze(-1).expand(32, 4), gradient)


@torch.no_grad()
def test_iterations_bring_columns_to_one_and_keep_rows():
    logits, free = 3 * vectors(2, 6, 6), torch.ones(6, 6, dtype=torch.bool)
    off = []
    for iterations in (1, 4, 16, 64):
        R = sinkhorn(logits, free, iterations)
        same(R.sum(-1), torch.ones(2, 6, dtype=torch.float64))
        off.append(float((R.sum(-2) - 1).abs().max()))
    assert off == sorted(off, reverse=True) and off[-1] < 1e-6 < 0.05 < off[0]
    before = torch.ones(6, 6, dtype=torch.bool).tril(-1)
    R = sinkhorn(logits, before, 8, causal=True)
    assert (R[:, ~before] == 0).all()
    same(R.sum(-1), torch.tensor([0.0, 1, 1, 1, 1, 1], dtype=torch.float64).expand(2, 6))
    changed = logits.clone()
    changed[:, 4:] += 10 * vectors(2, 2, 6, seed=2)
    same(sinkhorn(changed, before, 8, causal=True)[:, :4], R[:, :4], "early rows know late ones")
    huge = sinkhorn(1e4 * logits, free, 8)
    assert huge.isfinite().all()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SinkhornAttention(4, 0), "block must be a positive whole number"),
        (lambda: SinkhornAttention(4, 8, temperature=0.0), "temperature=0.0 must be positive"),
        (lambda: built()(*call(6, 6), mask=torch.ones(6, 6, dtype=torch.bool)), "no single pairs to forbid"),
        (lambda: built()(*call(4, 9)), "4 queries and 9 keys: a sort of blocks"),
    ],
)
def test_bad_settings_get_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()
