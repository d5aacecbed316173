"""Every line of the table of plugs is held to what the plug does: products, future, pads, neighbours."""

import copy
import functools
import itertools
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from course_utils.attention.table import COMPUTES, PLUGS, PlugFacts, efficient, make, rows
from course_utils.layers.multihead import MultiHeadAttention
from course_utils.proofs.models import PROOFS, check
from course_utils.proofs.tools import SIZES
from course_utils.seq2seq.transformer import Transformer

D_HEAD, HEADS, LONGEST = 4, 2, 192
SMALL = {  # settings with which 150 places are long: every part of the plug is at work
    "window": {"window": 5},
    "strided": {"stride": 7},
    "longformer": {"window": 5, "n_global": 3},
    "bigbird": {"window": 5, "n_global": 3, "n_random": 1},
    "reformer": {"n_buckets": 8, "rounds": 3, "window": 4},
    "routing": {"n_buckets": 5, "window": 4},
    "sinkhorn": {"block": 16},
    "performer": {"m": 8},
    "shaw": {"k": 5},
    "location": {"places": 40},
    "cosine_strength": {"strength": 3},
    "local_m": {"window": 5},
    "local_p": {"window": 5},
    "location_aware": {"filters": 3, "reach": 2},
}
SHARED = ("synthesizer_factorised_random", "transformer_xl")               # a table made once for all rows of a batch
MIXTURES = ("linformer", "local_p", "monotonic")                         # weights need not be shares of 1
JUMPS = ("hard", "monotonic", "local_p")                                 # choose a word or a window: so does rounding
NOT_SO = {("gradient_truth", "hard"): "straight-through gives soft attention's gradient, on purpose"}
TINY = SMALL | {"sinkhorn": {"block": 2}}  # for the proofs' sentences of up to 7 words
CAUSAL = [name for name, facts in PLUGS.items() if facts.causal]


def small(name, d_head=D_HEAD, n_heads=HEADS, seed=0, longest=LONGEST):
    """The plug with its small settings, in float64, evaluating (learnt parts moved off their first values)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        plug = make(name, d_head, n_heads, longest, **SMALL.get(name, {})).double().eval()
        for parameter in plug.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return plug


def vectors(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def qkv(N, B=1, seed=1):
    return [vectors(B, HEADS, N, D_HEAD, seed=seed + i) for i in range(3)]


# --- what the table says ----------------------------------------------------------------------------------------------


class Counter(TorchDispatchMode):
    """Multiply-adds of all matrix products that run, and the size of the largest tensor made."""

    def __init__(self):
        super().__init__()
        self.operations, self.largest = 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        name = function.__name__.split(".")[0]
        if name == "mv":
            self.operations += args[0].numel()
        elif name in ("mm", "bmm"):
            self.operations += args[0].numel() * args[1].shape[-1]
        elif name in ("addmm", "baddbmm"):
            self.operations += args[1].numel() * args[2].shape[-1]
        elif "scaled_dot_product" in name:
            q, k, v = args[:3]
            self.operations += q.shape[:-1].numel() * k.shape[-2] * (q.shape[-1] + v.shape[-1])
        elif name in ("einsum", "linear", "matmul", "dot", "convolution"):
            raise AssertionError(f"{name} is not counted: teach Counter to")
        tensors = out if isinstance(out, tuple | list) else (out,)
        made = [x.untyped_storage().nbytes() for x in tensors if torch.is_tensor(x) and not function.is_view]
        self.largest = max([self.largest, *made])
        return out


@torch.no_grad()
def counted(plug, N, B=1):
    inputs = qkv(N, B)
    with Counter() as counter:
        plug(*inputs)
    return counter


@pytest.mark.parametrize("name", PLUGS)
@pytest.mark.parametrize("N", [128, 150])
def test_operations_are_those_counted(name, N):
    facts = PLUGS[name]
    expected = facts.operations(N, D_HEAD, HEADS, **facts.settings | SMALL.get(name, {}))
    assert counted(small(name), N).operations == expected
    batch = counted(small(name), N, B=3).operations
    assert batch == 3 * expected or name in SHARED and expected < batch < 3 * expected


@pytest.mark.parametrize("name", PLUGS)
def test_growth_in_time_and_memory(name):
    facts = PLUGS[name]
    time = [facts.operations(N, 16, 4, **facts.settings) for N in (2**17, 2**18)]
    assert math.log2(time[1] / time[0]) == pytest.approx(facts.time, abs=0.05)
    plug = small(name, longest=2048)
    memory = [counted(plug, N).largest for N in (1024, 2048)]
    assert math.log2(memory[1] / memory[0]) == pytest.approx(facts.memory, abs=0.15)


@pytest.mark.parametrize("name", PLUGS)
def test_parameters_are_counted(name):
    facts = PLUGS[name]
    settings = facts.settings | SMALL.get(name, {})
    assert sum(p.numel() for p in small(name).parameters()) == facts.parameters(D_HEAD, HEADS, LONGEST, **settings)


def test_the_table_reads():
    table = rows(N=4096)
    assert [row["plug"] for row in table] == efficient()
    assert all(row["operations"] > 0 and row["source"] and row["lengths"] and row["computes"] in COMPUTES
               for row in table)  # fmt: skip
    assert set(SMALL) <= {name for name, facts in PLUGS.items() if facts.settings}


def test_bad_names_get_one_sentence():
    with pytest.raises(ValueError, match="unknown plug 'widow': one of additive, "):
        make("widow", 4, 2, 64)
    with pytest.raises(ValueError, match="window has no setting 'width'"):
        make("window", 4, 2, 64, width=3)
    with pytest.raises(ValueError, match="computes='nearly' is none of"):
        PlugFacts(**vars(PLUGS["window"]) | {"computes": "nearly"})


# --- what must not matter ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("need_weights", [False, True])
@torch.no_grad()
def test_the_past_does_not_know_the_future(name, need_weights):
    """By changing it: sorting, bucketing, top-k and detached maxima leak without a gradient."""
    plug = small(name)
    for seed in range(3):
        inputs = qkv(150, B=2, seed=10 * seed)
        mask = vectors(2, 150, seed=seed) > -1                            # pads anywhere
        before, *_ = plug(*inputs, causal=True, key_mask=mask, need_weights=need_weights)
        for t in (1, 40, 64, 101, 149):
            for scale in (1.0, 30.0):
                changed = [x.clone() for x in inputs]
                for i, x in enumerate(changed):
                    x[:, :, t:] = scale * vectors(*x[:, :, t:].shape, seed=100 + i)
                other = mask.clone()
                other[:, t:] = ~other[:, t:]
                after, *_ = plug(*changed, causal=True, key_mask=other, need_weights=need_weights)
                torch.testing.assert_close(after[:, :, :t], before[:, :, :t], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in PLUGS if name not in CAUSAL])
def test_who_cannot_be_causal_says_so(name):
    with pytest.raises(ValueError, match="causal"):
        small(name)(*qkv(20), causal=True)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", PLUGS)
def test_pads_change_nothing(name, causal):
    """More of them, other numbers in them, or none at all: real places, and their gradients, stay as they are."""
    if causal and name not in CAUSAL:
        return
    plug, N = small(name), 90
    inputs = [x.requires_grad_() for x in qkv(N, B=2)]
    expected, *_ = plug(*inputs, causal=causal)
    expected.square().sum().backward()
    gradients = [x.grad for x in inputs]
    for extra, scale in ((1, 1.0), (37, 1.0), (60, 50.0)):
        padded = [torch.cat([x.detach(), scale * vectors(2, HEADS, extra, D_HEAD, seed=i)], 2).requires_grad_()
                  for i, x in enumerate(inputs)]  # fmt: skip
        mask = (torch.arange(N + extra) < N).expand(2, -1)
        for need_weights in (False, True):
            got, weights, _ = plug(*padded, causal=causal, key_mask=mask, need_weights=need_weights)
            torch.testing.assert_close(got[:, :, :N], expected.detach(), rtol=0, atol=1e-10)
            assert got.isfinite().all()
            assert weights is None or (weights[..., N:] == 0).all()
            found = torch.autograd.grad(got[:, :, :N].square().sum(), padded, allow_unused=True)
            for got_grad, gradient in zip(found, gradients, strict=True):
                if gradient is None:
                    assert got_grad is None or (got_grad == 0).all()
                else:
                    torch.testing.assert_close(got_grad[:, :, :N], gradient, rtol=1e-8, atol=1e-10)
                    assert (got_grad[:, :, N:] == 0).all()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", PLUGS)
@torch.no_grad()
def test_neighbours_in_the_batch_change_nothing(name, causal):
    if causal and name not in CAUSAL:
        return
    plug, inputs = small(name), qkv(90, B=3)
    mask = torch.arange(90) < torch.tensor([[90], [31], [65]])
    together, *_ = plug(*inputs, causal=causal, key_mask=mask)
    for row, length in enumerate((90, 31, 65)):
        alone, *_ = plug(*(x[row : row + 1, :, :length] for x in inputs), causal=causal)
        torch.testing.assert_close(together[row, :, :length], alone[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", PLUGS)
@torch.no_grad()
def test_a_row_of_pads_is_finite_and_weightless(name, causal):
    if causal and name not in CAUSAL:
        return
    plug, mask = small(name), torch.tensor([[True], [False]]).expand(2, 70)
    for need_weights in (False, True):
        context, weights, _ = plug(*qkv(70, B=2), causal=causal, key_mask=mask, need_weights=need_weights)
        assert context.isfinite().all() and (context[1] == 0).all()
        assert weights is None or (weights[1] == 0).all()


@pytest.mark.parametrize("name", PLUGS)
def test_the_map_is_the_function(name):
    """Asked for weights, a plug gives the same context, and rows that sum to 1; an exact one, softmax on its pairs."""
    plug = small(name)
    for causal in (False, True) if name in CAUSAL else (False,):
        inputs = [x.requires_grad_() for x in qkv(90)]
        fast, none, _ = plug(*inputs, causal=causal)
        slow, weights, _ = plug(*inputs, causal=causal, need_weights=True)
        torch.testing.assert_close(slow, fast, rtol=0, atol=1e-10)
        assert none is None
        grads = [torch.autograd.grad(x.square().sum(), inputs, allow_unused=True) for x in (fast, slow)]
        for one, other in zip(*grads, strict=True):
            torch.testing.assert_close(*(torch.zeros(1) if x is None else x for x in (one, other)), atol=1e-9, rtol=0)
        if weights is None:
            continue
        assert weights.shape == (1, HEADS, 90, 90)
        if name not in MIXTURES:
            torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        if PLUGS[name].computes == "exact" and not list(plug.parameters()):
            q, k, v = inputs
            scores = (q @ k.transpose(-2, -1) / D_HEAD**0.5).masked_fill(weights == 0, -torch.inf)
            torch.testing.assert_close(scores.softmax(-1) @ v, fast, rtol=0, atol=1e-10)


# --- half precision ---------------------------------------------------------------------------------------------------

ROUNDING = {torch.float16: 0.01, torch.bfloat16: 0.08}                    # of contexts of size 1 to 4, measured x 2


def halved(name, dtype, autocast, N=150, scale=None):
    """(what the plug gives in half precision, what it gives in float32 on the same rounded vectors), call by call."""
    plug = small(name).float()
    full = copy.deepcopy(plug)
    if not autocast:
        plug = plug.to(dtype)
    inputs = [x.to(dtype) for x in qkv(N, B=2)]
    inputs[1][1, :, 0] = 0.0                                              # a pad is often a vector of zeros
    if scale is not None:
        inputs = [torch.full_like(x, scale) for x in inputs]
    mask = torch.arange(N) >= torch.tensor([[0], [1]])
    for causal, need_weights in itertools.product((False, True) if name in CAUSAL else (False,), (False, True)):
        options = dict(key_mask=mask, causal=causal, need_weights=need_weights)
        vectors = [x.clone().requires_grad_() for x in inputs]
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            got, *_ = plug(*vectors, **options)
        yield got.detach(), full(*(x.float() for x in inputs), **options)[0].detach()
        for grad in torch.autograd.grad(got.float().square().sum(), vectors, allow_unused=True):
            assert grad is None or grad.isfinite().all()


@functools.cache
def torch_can(dtype):
    """Told to use kernels for AVX2 alone, on a processor with AMX, torch packs bfloat16 for kernels it then lacks."""
    x = torch.ones(1, 1, 150, D_HEAD, dtype=dtype)
    try:
        return torch.nn.functional.scaled_dot_product_attention(x, x, x).isfinite().all()
    except RuntimeError:
        return False


@pytest.mark.parametrize("dtype, autocast", [(torch.float16, False), (torch.bfloat16, False), (torch.bfloat16, True)])
@pytest.mark.parametrize("name", [name for name in PLUGS if name not in JUMPS])
def test_half_precision_is_float32_to_rounding(name, dtype, autocast):
    if not torch_can(dtype):
        pytest.skip(f"torch itself cannot attend in {dtype} with ATEN_CPU_CAPABILITY set so on this processor")
    for got, expected in halved(name, dtype, autocast):
        assert got.dtype == dtype
        torch.testing.assert_close(got.float(), expected, rtol=0, atol=ROUNDING[dtype])


@pytest.mark.parametrize("name", [name for name in PLUGS if name != "local_p"])    # its gradient is itself too large
def test_large_numbers_in_float16(name):
    """Vectors of 40: products of two, summed over 150 words, are far beyond 65,504, the last number of float16."""
    for got, expected in halved(name, torch.float16, False, scale=40.0):
        torch.testing.assert_close(got.float(), expected, rtol=0.01, atol=0.01)


def test_half_precision_keeps_the_buckets():
    """Rotations, centroids and lots are not rounded: the same pairs are looked at as in float32."""
    x = qkv(150, B=2)[0].half()
    for name in ("reformer", "routing"):
        plug = small(name).float()
        expected = plug.buckets(x.float(), None)
        assert torch.equal(plug.half().buckets(x, None), expected)
    plug, real = make("bigbird", D_HEAD, HEADS, 40_000, n_random=3), torch.ones(1, 40_000, dtype=torch.bool)
    expected, _ = plug.draw(real, causal=False)
    assert torch.equal(plug.bfloat16().draw(real, causal=False)[0], expected)


# --- in the course's models -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLUGS)
def test_it_fits_multi_head_attention(name):
    layer = MultiHeadAttention(HEADS * D_HEAD, HEADS, attention=small(name).float())
    x = torch.randn(2, 70, HEADS * D_HEAD, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mask = torch.arange(70) < torch.tensor([[70], [33]])
    out, *_ = layer.train()(x, x, x, key_mask=mask, causal=name in CAUSAL)
    assert out.shape == x.shape
    out.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (*layer.parameters(), x))


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("proof", [name for name in PROOFS if name != "torch_equivalence"])
def test_a_transformer_with_it_passes_the_proofs(name, proof):
    if (proof, name) in NOT_SO:
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)  # with 0, a word of routing's changes its bucket within gradient_truth's step
        model = Transformer(
            **SIZES, d_model=HEADS * D_HEAD, n_heads=HEADS, n_layers=2, d_ff=12, activation="gelu",
            attention=lambda d: make(name, d, HEADS, 64, **TINY.get(name, {})),
        ).double()  # fmt: skip
    check(PROOFS[proof], model.eval())                                    # in training, routing's centroids move
