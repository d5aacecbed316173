"""One table of all efficient plugs: what each computes, what it costs, what it cannot do. Notebooks 20-24.

A plug's facts are data, written once, here. tests/test_plugs.py holds every line to what the plug really does: products
counted while it runs, causality by changing the future, pads, neighbours in the batch, parameters counted, growth.

    FACTS["window"].make(d_head, n_heads, longest, **settings) -> a plug for MultiHeadAttention and Transformer

Operations are multiply-adds of matrix products (projections, scores, weighted sums) of one row of the batch, all heads
together, forward only, not causal; softmax, sorting and moving data are not counted, and what is computed
and then masked has been computed. Growth is the exponent of N at fixed settings: of the operations (`time`), and
of the largest tensor made (`memory`), both for large N.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from course_utils.attention.dense import DenseAttention
from course_utils.attention.global_tokens import BigBirdAttention, LongformerAttention
from course_utils.attention.hashing import HashAttention, factors
from course_utils.attention.linear import LinearAttention
from course_utils.attention.linformer import LinformerAttention
from course_utils.attention.performer import PerformerAttention
from course_utils.attention.routing import ClusterAttention
from course_utils.attention.scores import ScaledDotScore
from course_utils.attention.sinkhorn import SinkhornAttention
from course_utils.attention.socket import Plug
from course_utils.attention.synthesizer import (
    DenseSynthesizer,
    FactorisedDenseSynthesizer,
    FactorisedRandomSynthesizer,
    RandomSynthesizer,
)
from course_utils.attention.windows import BLOCK, StridedAttention, WindowAttention
from course_utils.attention.xl import XLAttention

COMPUTES = {
    "exact": "softmax attention on the pairs of its pattern, to rounding",
    "approximate": "comes closer to dense softmax attention as a setting of its own grows",
    "other": "a function of its own",
}


@dataclass(frozen=True)
class PlugFacts:
    """What one plug claims. Numbers are functions of N, the width d of a head, H heads and the plug's settings."""

    make: Callable[..., Plug]                # (d, H, longest, **settings) -> new plug; longest: greatest N to come
    settings: dict[str, int]                 # those of the table; other values may be given to the functions
    computes: str                            # a key of COMPUTES
    causal: bool                             # False: refuses causal=True in one sentence
    lengths: str                             # which N it takes
    parameters: Callable[..., int]           # (d, H, longest, **settings) -> learnt numbers of its own
    operations: Callable[..., int]           # (N, d, H, **settings) -> multiply-adds, see above
    time: float                              # exponent of N in `operations`
    memory: float                            # exponent of N in the largest tensor (without need_weights)
    source: str                              # paper, and how we differ

    def __post_init__(self) -> None:
        if self.computes not in COMPUTES:
            raise ValueError(f"computes={self.computes!r} is none of {', '.join(map(repr, COMPUTES))}")


def none(*_: int, **__: int) -> int:
    """The parameters of a plug that has none."""
    return 0


def blocks(N: int, size: int) -> int:
    """How many blocks of `size` cover N."""
    return -(-N // size)


def banded(N: int, d: int, H: int, window: int, extra: int = 0, block: int = BLOCK) -> int:
    """Every block of queries with its band of keys and `extra` more: scores, and sums of values."""
    return 2 * blocks(N, block) * block * (block + 2 * window + extra) * d * H


def bucketed(N: int, d: int, H: int, window: int, block: int = BLOCK) -> int:
    """One round of buckets, banded; the values' last column counts the weights."""
    return blocks(N, block) * block * (block + 2 * window) * (2 * d + 1) * H


def sorted_blocks(N: int, d: int, H: int, block: int) -> int:
    """The net's scores of blocks; keys and values (and whether they are real, if some are not) mixed; attention."""
    n, wide = blocks(N, block), 2 * d + (N % block > 0)
    return H * (n * d * d + n * n * d + n * n * block * wide + n * block * 2 * block * 2 * d)


FACTS: dict[str, PlugFacts] = {
    "scaled_dot": PlugFacts(
        make=lambda d, H, longest: DenseAttention(ScaledDotScore()), settings={}, computes="exact", causal=True,
        lengths="any", parameters=none, operations=lambda N, d, H: 2 * N * N * d * H, time=2, memory=1,
        source="Vaswani et al. 2017, eq. 1; torch's fused kernel keeps no N x N table, unless a mask is given",
    ),
    "window": PlugFacts(
        make=lambda d, H, longest, window: WindowAttention(window), settings={"window": 128}, computes="exact",
        causal=True, lengths="any", parameters=none, operations=banded, time=1, memory=1,
        source="Parmar et al. 2018; Beltagy et al. 2020 without global tokens. 128 places on each side",
    ),
    "strided": PlugFacts(
        make=lambda d, H, longest, stride: StridedAttention(stride), settings={"stride": 64}, computes="exact",
        causal=True, lengths="any", parameters=none,
        operations=lambda N, d, H, stride: 2 * stride * blocks(N, stride) ** 2 * d * H, time=2, memory=1,
        source="Child et al. 2019, the strided half of their pattern; N^1.5 if the stride grows as the root of N",
    ),
    "longformer": PlugFacts(
        make=lambda d, H, longest, window, n_global: LongformerAttention(window, n_global, d * H),
        settings={"window": 128, "n_global": 16}, computes="exact", causal=True, lengths="any",
        parameters=lambda d, H, longest, **_: 3 * (d * H) ** 2,
        operations=lambda N, d, H, window, n_global: banded(N, d, H, window, min(n_global, N))
        + 2 * min(n_global, N) * N * d * H + (min(n_global, N) + 2 * N) * (d * H) ** 2,
        time=1, memory=1, source="Beltagy et al. 2020; own matrices of the global rows act on projected words",
    ),
    "bigbird": PlugFacts(
        make=lambda d, H, longest, window, n_global, n_random: BigBirdAttention(window, n_global, n_random, longest),
        settings={"window": 64, "n_global": 16, "n_random": 3}, computes="exact", causal=True, lengths="up to longest",
        parameters=none,
        operations=lambda N, d, H, window, n_global, n_random: 2 * min(n_global, N) * N * d * H
        + banded(N, d, H, window, min(n_global, N) + BLOCK * min(n_random, blocks(N, BLOCK))),
        time=1, memory=1, source="Zaheer et al. 2020; the window counts places, not blocks; heads share the lot",
    ),
    "reformer": PlugFacts(
        make=lambda d, H, longest, n_buckets, rounds, window: HashAttention(d, n_buckets, rounds, window),
        settings={"n_buckets": 64, "rounds": 4, "window": 32}, computes="approximate", causal=True, lengths="any",
        parameters=none,
        operations=lambda N, d, H, n_buckets, rounds, window: rounds * bucketed(N, d, H, window)
        + N * d * H * rounds * sum(factor // 2 for factor in factors(n_buckets)),
        time=1, memory=1, source="Kitaev et al. 2020, of shared queries and keys; N log N for sorting is not counted",
    ),
    "routing": PlugFacts(
        make=lambda d, H, longest, n_buckets, window: ClusterAttention(d, H, n_buckets, window),
        settings={"n_buckets": 64, "window": 64}, computes="approximate", causal=True, lengths="any", parameters=none,
        operations=lambda N, d, H, n_buckets, window: bucketed(N, d, H, window) + N * d * H * n_buckets,
        time=1, memory=1, source="Roy et al. 2021, of shared queries and keys; centroids move in training, no gradient",
    ),
    "sinkhorn": PlugFacts(
        make=lambda d, H, longest, block: SinkhornAttention(d, block), settings={"block": 64}, computes="other",
        causal=True, lengths="any", parameters=lambda d, H, longest, **_: d * d, operations=sorted_blocks,
        time=2, memory=1, source="Tay et al. 2020; mixing blocks costs N^2 / block, felt beyond N = 2 block^2",
    ),
    "linformer": PlugFacts(
        make=lambda d, H, longest, k: LinformerAttention(longest, k), settings={"k": 64}, computes="other",
        causal=False, lengths="up to `longest`: E and F have a column for each place",
        parameters=lambda d, H, longest, k: 2 * k * longest, operations=lambda N, d, H, k: 4 * N * k * d * H,
        time=1, memory=1, source="Wang et al. 2020, eq. 7; k learnt mixtures of keys, with E = F = I dense attention",
    ),
    "linear": PlugFacts(
        make=lambda d, H, longest: LinearAttention(), settings={}, computes="other", causal=True, lengths="any",
        parameters=none, operations=lambda N, d, H: 2 * N * d * (d + 1) * H, time=1, memory=1,
        source="Katharopoulos et al. 2020, eq. 5-7; causal it is a recurrent network, with a table for every 32 words",
    ),
    "performer": PlugFacts(
        make=lambda d, H, longest, m: PerformerAttention(d, m), settings={"m": 256}, computes="approximate",
        causal=True, lengths="any", parameters=none,
        operations=lambda N, d, H, m: 2 * N * m * (2 * d + 1) * H, time=1, memory=1,
        source="Choromanski et al. 2021, Lemma 1 and section 2.4; no key maximum when causal",
    ),
    "synthesizer_dense": PlugFacts(
        make=lambda d, H, longest: DenseSynthesizer(H, d, longest), settings={}, computes="other", causal=True,
        lengths="up to `longest`", parameters=lambda d, H, longest: H * (d + 1) * longest,
        operations=lambda N, d, H: 2 * N * N * d * H, time=2, memory=2,
        source="Tay et al. 2021, eq. 2; W_1 is the head's query projection",
    ),
    "synthesizer_factorised_dense": PlugFacts(
        make=lambda d, H, longest, a: FactorisedDenseSynthesizer(H, d, longest, a), settings={"a": 32},
        computes="other", causal=True, lengths="up to `longest`",
        parameters=lambda d, H, longest, a: H * (d + 1) * (a + blocks(longest, a)),
        operations=lambda N, d, H, a: N * d * H * (N + a + blocks(N, a)), time=2, memory=2,
        source="Tay et al. 2021, eq. 6; vectors of a and N / a numbers",
    ),
    "synthesizer_random": PlugFacts(
        make=lambda d, H, longest: RandomSynthesizer(H, longest), settings={}, computes="other", causal=True,
        lengths="up to `longest`", parameters=lambda d, H, longest: H * longest * longest,
        operations=lambda N, d, H: N * N * d * H, time=2, memory=2,
        source="Tay et al. 2021, eq. 4; the same map for every sentence",
    ),
    "synthesizer_factorised_random": PlugFacts(
        make=lambda d, H, longest, k: FactorisedRandomSynthesizer(H, longest, k), settings={"k": 8}, computes="other",
        causal=True, lengths="up to `longest`", parameters=lambda d, H, longest, k: 2 * H * longest * k,
        operations=lambda N, d, H, k: N * N * (d + k) * H, time=2, memory=2, source="Tay et al. 2021, eq. 7",
    ),
    "transformer_xl": PlugFacts(
        make=lambda d, H, longest: XLAttention(H, d), settings={}, computes="other", causal=True, lengths="any",
        parameters=lambda d, H, longest: 2 * H * d + (H * d) ** 2,
        operations=lambda N, d, H: 4 * N * N * d * H + 2 * N * (H * d) ** 2, time=2, memory=2,
        source="Dai et al. 2019, section 3.3; quadratic in a segment, linear in a text cut into segments",
    ),
}


def make(name: str, d_head: int, n_heads: int, longest: int, **settings: int) -> Plug:
    """A new plug by its name in FACTS, with the table's settings but for those given."""
    if name not in FACTS:
        raise ValueError(f"unknown plug {name!r}: one of {', '.join(FACTS)}")
    facts = FACTS[name]
    if unknown := sorted(settings.keys() - facts.settings.keys()):
        raise ValueError(f"{name} has no setting {unknown[0]!r}: its settings are {sorted(facts.settings) or 'none'}")
    return facts.make(d_head, n_heads, longest, **facts.settings | settings)


def rows(N: int = 1024, d_head: int = 16, n_heads: int = 4) -> list[dict[str, Any]]:
    """The table, one dictionary a plug, at one length: for notebook 24 and for reading."""
    dense = FACTS["scaled_dot"].operations(N, d_head, n_heads)
    found = []
    for name, facts in FACTS.items():
        operations = facts.operations(N, d_head, n_heads, **facts.settings)
        found.append({
            "plug": name, "settings": facts.settings, "computes": facts.computes, "causal": facts.causal,
            "lengths": facts.lengths, "extra parameters": facts.parameters(d_head, n_heads, N, **facts.settings),
            "operations": operations, "share of dense": operations / dense, "time": f"N^{facts.time:g}",
            "memory": f"N^{facts.memory:g}", "source": facts.source,
        })  # fmt: skip
    return found
