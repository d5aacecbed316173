"""Every plug of the table, called in every way: a mask of pairs beside the others, positions, the state it gives back,
and what it is made of (nothing but its seed and what is saved with it)."""

import pytest
import torch
from test_plugs import CAUSAL, D_HEAD, HEADS, SMALL, qkv, small, vectors

from course_utils.attention.linear import KernelState
from course_utils.attention.positions import RotaryPositions, SinusoidalPositions
from course_utils.attention.relative import AlibiAttention
from course_utils.attention.table import PLUGS, make

N = 45
NO_MASK = {"linformer", "sinkhorn"}  # they mix keys before any pair could be forbidden
ONLY_LAST_PLACES = {"reformer", "routing", "sinkhorn", "linear", "performer", "transformer_xl"}
CALLS = [(name, causal) for name in PLUGS for causal in ((False, True) if name in CAUSAL else (False,))]


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


def some_pairs(seed=5):
    """(N, N) bool: two of three pairs, and every word itself."""
    return (vectors(N, N, seed=seed) > -0.4) | torch.eye(N, dtype=torch.bool)


def pads():
    mask = torch.ones(2, N, dtype=torch.bool)
    mask[1, 33:] = False
    return mask


@pytest.mark.parametrize("name, causal", CALLS)
@torch.no_grad()
def test_a_mask_of_pairs_is_kept_with_and_without_weights(name, causal):
    plug, inputs, mask = small(name), qkv(N, B=2), some_pairs()
    options = dict(causal=causal, key_mask=pads())
    if name in NO_MASK:
        with pytest.raises(ValueError, match="mask"):
            plug(*inputs, mask=mask, **options)
        return
    if name == "monotonic":
        return  # an untrained one stops at no word, with or without a mask: tests/test_where_to_look.py has its masks
    plain, masked = (plug(*inputs, mask=m, **options)[0] for m in (None, mask))
    assert not torch.allclose(plain, masked, atol=1e-3), "the mask changed nothing"
    context, weights, _ = plug(*inputs, mask=mask, need_weights=True, **options)
    close(masked, context)
    later = torch.ones(N, N, dtype=torch.bool).triu(1) if causal else ~mask
    for forbidden in (~mask, later, ~pads().unsqueeze(1).expand(2, N, N)):
        assert not weights[forbidden.expand(2, N, N).unsqueeze(1).expand_as(weights)].any()
    both = torch.stack([mask, some_pairs(seed=6)])  # a table for each row of the batch
    for row in range(2):
        alone = [x[row : row + 1] for x in inputs]
        for need_weights in (False, True):
            together = plug(*inputs, mask=both, need_weights=need_weights, **options)[0]
            options_alone = options | dict(key_mask=pads()[row : row + 1], need_weights=need_weights)
            close(together[row], plug(*alone, mask=both[row], **options_alone)[0][0])


@pytest.mark.parametrize("name", CAUSAL)
@torch.no_grad()
def test_causal_goes_by_the_places_of_the_call(name):
    """Eight queries in the middle of the keys see what they see when the later keys are not there."""
    plug, (q, k, v) = small(name), qkv(N, B=2)
    q, places = q[:, :, 20:28], (torch.arange(20, 28), torch.arange(N))
    if name in ONLY_LAST_PLACES:
        with pytest.raises(ValueError, match="the last of their places"):
            plug(q, k, v, causal=True, positions=places)
        return
    expected = plug(q, k[:, :, :28], v[:, :, :28], causal=True)[0]
    for need_weights in (False, True):
        close(plug(q, k, v, causal=True, positions=places, need_weights=need_weights)[0], expected)


@pytest.mark.parametrize("name", PLUGS)
@torch.no_grad()
def test_a_query_stands_where_the_call_says(name):
    """Eight queries, told where they stand, get what they get among all."""
    plug, (q, k, v) = small(name), qkv(N, B=2)
    call = dict(positions=(torch.arange(20, 28), torch.arange(N)), key_mask=pads())
    if name in ONLY_LAST_PLACES - {"linear", "performer"}:
        with pytest.raises(ValueError):
            plug(q[:, :, 20:28], k, v, **call)
        return
    if name == "location_aware":
        return  # a query waits for the weights of the one before it: one that is not there cannot be left out
    for need_weights in (False, True):
        whole = plug(q, k, v, key_mask=pads(), need_weights=need_weights)[0]
        close(plug(q[:, :, 20:28], k, v, need_weights=need_weights, **call)[0], whole[:, :, 20:28])


def leaves(state):
    return [] if state is None else [x for x in state if x is not None]


@pytest.mark.parametrize("name", CAUSAL)
@torch.no_grad()
def test_the_state_after_a_call_is_the_same_with_weights_and_serves_the_next(name):
    plug, inputs, options = small(name), qkv(N, B=2), dict(causal=True, key_mask=pads())
    states = [plug(*inputs, need_weights=need_weights, **options)[2] for need_weights in (False, True)]
    for one, other in zip(*map(leaves, states), strict=True):
        close(one, other)
    for state in filter(None, states):
        if isinstance(state, KernelState):  # continues behind the words it has seen
            q, k, v = (torch.cat([x, y], 2) for x, y in zip(inputs, qkv(9, B=2, seed=7), strict=True))
            real = torch.cat([pads(), torch.ones(2, 9, dtype=torch.bool)], 1)
            whole = plug(q, k, v, causal=True, key_mask=real)[0][:, :, N:]
            new = [x[:, :, N:] for x in (q, k, v)]
            close(plug(*new, causal=True, key_mask=real[:, N:], state=state)[0], whole)
        else:  # spares what is the same over the same keys
            for need_weights in (False, True):
                again = plug(*inputs, state=state, need_weights=need_weights, **options)[0]
                close(again, plug(*inputs, **options)[0])
        for rows in ([0], [0, 1, 1]):  # of two sentences: not for one, nor for three; whether all keys are new or not
            for n_queries in (N, N - 5):
                q, k, v = (x[rows] for x in inputs)
                with pytest.raises(ValueError, match="the state was made over keys"):
                    plug(q[:, :, -n_queries:], k, v, causal=True, state=state)


@pytest.mark.parametrize("name", PLUGS)
@torch.no_grad()
def test_what_is_not_saved_does_not_come_from_torchs_own_generator(name):
    """Made under two seeds, then filled with the same weights: the same plug."""
    made = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made.append(make(name, D_HEAD, HEADS, 640, **SMALL.get(name, {})).double().eval())
    made[1].load_state_dict(made[0].state_dict())
    inputs = qkv(640 if name == "bigbird" else 190)  # ten blocks to draw from
    for causal in (False, True) if name in CAUSAL else (False,):
        one, other = (plug(*inputs, causal=causal)[0] for plug in made)
        close(one, other)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@torch.no_grad()
def test_places_far_away_are_not_rounded(dtype):
    """Angles and distances are made in float64 and rounded last, so place 2,001 of half precision is not 2,000."""
    where = torch.arange(1990, 2010)
    x = vectors(1, 1, 20, 8).to(dtype)
    for layout in ("interleaved", "halves"):
        rotary = RotaryPositions(8, layout)
        torch.testing.assert_close(rotary(x, where).double(), rotary(x.double(), where), rtol=0.02, atol=0.02)
    assert SinusoidalPositions(8)(where).dtype == torch.float64
    alibi, inputs = AlibiAttention(HEADS), [vectors(1, HEADS, 20, 8, seed=s).to(dtype) for s in range(3)]
    for need_weights in (False, True):
        call = dict(causal=True, positions=(where, where), need_weights=need_weights)
        got, near = alibi(*inputs, **call)[0], alibi(*inputs, causal=True, need_weights=need_weights)[0]
        torch.testing.assert_close(got.float(), near.float(), rtol=0, atol=0.02)


@pytest.mark.parametrize("name", ["local_p", "monotonic", "location_aware"])
@torch.no_grad()
def test_a_state_of_other_sentences_is_refused_by_those_that_are_not_causal_too(name):
    plug, (q, k, v) = small(name), qkv(N, B=2)
    state = plug(q, k, v, key_mask=pads())[2]
    for rows in ([0], [0, 1, 1]):
        with pytest.raises(ValueError, match="the state was made over keys"):
            plug(q[rows], k[rows], v[rows], state=state)
