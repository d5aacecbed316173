"""The one table of plugs: every way of attending, by name. All notebooks from 07 on.

A row says how a plug is built for the place where it will stand, and what it claims: what it computes, whether it can
be causal, which lengths it takes, what it costs. RNN decoders, multi-head attention, the Transformer, the race and the
benchmark all take their plugs from here; tests/test_plugs.py holds every row to what the plug really does: products
counted while it runs, causality by changing the future, pads, neighbours in the batch, parameters counted, growth.

    make("window", d_query, n_heads, longest, window=32) -> a new plug

Operations are multiply-adds of matrix products (projections, scores, weighted sums) of one row of the batch, all heads
together, forward only, not causal; softmax, sorting and moving data are not counted, and what is computed
and then masked has been computed. Growth is the exponent of N at fixed settings: of the operations (`time`), and
of the largest tensor made (`memory`), both for large N.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from course_utils.attention.dense import DenseAttention
from course_utils.attention.global_tokens import BigBirdAttention, LongformerAttention
from course_utils.attention.hard import HardAttention
from course_utils.attention.hashing import HashAttention, factors
from course_utils.attention.key_value import KeyValueAttention
from course_utils.attention.linear import LinearAttention
from course_utils.attention.linformer import LinformerAttention
from course_utils.attention.local import LocalMonotonicAttention, LocalPredictiveAttention
from course_utils.attention.location_aware import LocationAwareAttention
from course_utils.attention.monotonic import MonotonicAttention
from course_utils.attention.performer import PerformerAttention
from course_utils.attention.relative import AlibiAttention, RelativeAttention
from course_utils.attention.routing import ClusterAttention
from course_utils.attention.scores import (
    AdditiveScore,
    ConcatAsRunScore,
    ConcatScore,
    CosineScore,
    DotScore,
    GeneralScore,
    LocationScore,
    NormedScore,
    ScaledDotScore,
)
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


class Place(NamedTuple):
    """Where a plug will stand: what it may need to be built."""

    d_query: int                             # width of a query, in multi-head attention of one head
    d_key: int                               # width of a key
    n_heads: int = 1
    longest: int | None = None               # the greatest length to come, None where nobody can say
    d_attention: int | None = None           # hidden units of a score that has some; None: as many as d_query


@dataclass(frozen=True)
class PlugFacts:
    """One row. Numbers are functions of N, the width d of a head, H heads and the plug's settings."""

    make: Callable[..., Plug]                # (Place, **settings) -> new plug
    settings: dict[str, int]                 # those of the table; other values may be given to the functions
    computes: str                            # a key of COMPUTES
    causal: bool                             # False: refuses causal=True in one sentence
    lengths: str                             # which N it takes
    parameters: Callable[..., int]           # (d, H, longest, **settings) -> learnt numbers of its own
    operations: Callable[..., int]           # (N, d, H, **settings) -> multiply-adds, see above
    time: float                              # exponent of N in `operations`
    memory: float                            # exponent of N in the largest tensor (without need_weights)
    source: str                              # paper, and how we differ
    taught: str                              # notebook
    unequal: bool = False                    # True: queries and keys may have different widths

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


def dense_score(N: int, d: int, H: int) -> int:
    """All scores as dot products, and the weighted sums."""
    return 2 * N * N * d * H


def general_score(N: int, d: int, H: int) -> int:
    """Keys projected, and the dot products and weighted sums."""
    return N * d * d * H + dense_score(N, d, H)


def additive_score(N: int, d: int, H: int) -> int:
    """Queries and keys projected, a hidden layer read out for every pair, and the weighted sums."""
    return 2 * N * d * d * H + 2 * N * N * d * H


PLUGS: dict[str, PlugFacts] = {
    "additive": PlugFacts(
        make=lambda p: DenseAttention(AdditiveScore(p.d_query, p.d_key, p.d_attention or p.d_query)), settings={},
        computes="other", causal=True, lengths="any", parameters=lambda d, H, longest: 2 * d * d + d,
        operations=additive_score, time=2, memory=2,
        source="Bahdanau et al. 2015, appendix A.1.2; a hidden layer for every pair", taught="07", unequal=True,
    ),
    "dot": PlugFacts(
        make=lambda p: DenseAttention(DotScore()), settings={}, computes="other", causal=True, lengths="any",
        parameters=none, operations=dense_score, time=2, memory=1, source="Luong et al. 2015, section 3.1",
        taught="07",
    ),
    "general": PlugFacts(
        make=lambda p: DenseAttention(GeneralScore(p.d_query, p.d_key)), settings={}, computes="other", causal=True,
        lengths="any", parameters=lambda d, H, longest: d * d,
        operations=general_score, time=2, memory=1,
        source="Luong et al. 2015, section 3.1; one matrix for all heads", taught="07", unequal=True,
    ),
    "scaled_dot": PlugFacts(
        make=lambda p: DenseAttention(ScaledDotScore()), settings={}, computes="exact", causal=True,
        lengths="any", parameters=none, operations=dense_score, time=2, memory=1,
        source="Vaswani et al. 2017, eq. 1; torch's fused kernel keeps no N x N table, unless a mask is given",
        taught="13",
    ),
    "normed": PlugFacts(
        make=lambda p: DenseAttention(NormedScore(p.d_query, p.d_key, p.d_attention or p.d_query)), settings={},
        computes="other", causal=True, lengths="any", parameters=lambda d, H, longest: 2 * d * d + 2 * d + 1,
        operations=additive_score, time=2, memory=2,
        source="TensorFlow's normed Bahdanau, after Salimans and Kingma 2016", taught="08", unequal=True,
    ),
    "concat": PlugFacts(
        make=lambda p: DenseAttention(ConcatScore(p.d_query, p.d_key, p.d_attention or p.d_query)), settings={},
        computes="other", causal=True, lengths="any", parameters=lambda d, H, longest: 2 * d * d + d,
        operations=additive_score, time=2, memory=2, source="Luong et al. 2015, section 3.1; additive in one matrix",
        taught="08", unequal=True,
    ),
    "concat_as_run": PlugFacts(
        make=lambda p: DenseAttention(ConcatAsRunScore(p.d_query, p.d_key)), settings={}, computes="other",
        causal=True, lengths="any", parameters=lambda d, H, longest: d * d + d,
        operations=general_score, time=2, memory=2,
        source="Luong et al. 2015, footnote 15 and their code: no matrix for the key", taught="08", unequal=True,
    ),
    "cosine": PlugFacts(
        make=lambda p: DenseAttention(CosineScore()), settings={}, computes="other", causal=True, lengths="any",
        parameters=none, operations=dense_score, time=2, memory=2,
        source="Graves et al. 2014, section 3.3.1, with key strength 1", taught="08",
    ),
    "cosine_strength": PlugFacts(
        make=lambda p, strength: DenseAttention(CosineScore(strength)), settings={"strength": 10}, computes="other",
        causal=True, lengths="any", parameters=lambda d, H, longest, strength: 1,
        operations=lambda N, d, H, strength: dense_score(N, d, H), time=2, memory=2,
        source="Graves et al. 2014, section 3.3.1; the key strength is one learnt number, begun at `strength`",
        taught="08",
    ),
    "location": PlugFacts(
        make=lambda p, places: DenseAttention(LocationScore(p.d_query, places)), settings={"places": 32},
        computes="other", causal=True, lengths="any", parameters=lambda d, H, longest, places: d * places,
        operations=lambda N, d, H, places: N * d * places * H + N * N * d * H, time=2, memory=2,
        source="Luong et al. 2015, section 3.1; words beyond the first `places` get no weight", taught="08",
        unequal=True,
    ),
    "key_value": PlugFacts(
        make=lambda p: KeyValueAttention(p.d_query, p.d_key, p.d_key), settings={}, computes="other", causal=True,
        lengths="any", parameters=lambda d, H, longest: 2 * d * d,
        operations=lambda N, d, H: 2 * N * d * d * H + 2 * N * N * d * H, time=2, memory=1,
        source="keys and values by two matrices: Miller et al. 2016; values as wide as keys", taught="08", unequal=True,
    ),
    "local_m": PlugFacts(
        make=lambda p, window: LocalMonotonicAttention(GeneralScore(p.d_query, p.d_key), window),
        settings={"window": 10}, computes="other", causal=True, lengths="any",
        parameters=lambda d, H, longest, window: d * d, operations=lambda N, d, H, window: general_score(N, d, H),
        time=2, memory=2, source="Luong et al. 2015, section 3.2; `window` words on each side, the others masked",
        taught="09", unequal=True,
    ),
    "local_p": PlugFacts(
        make=lambda p, window: LocalPredictiveAttention(GeneralScore(p.d_query, p.d_key), window, p.d_query),
        settings={"window": 10}, computes="other", causal=False, lengths="any",
        parameters=lambda d, H, longest, window: 2 * d * d + d,
        operations=lambda N, d, H, window: general_score(N, d, H) + N * (d * d + d) * H, time=2, memory=2,
        source="Luong et al. 2015, eq. 9-10; the place between first and last word, as in their code", taught="09",
        unequal=True,
    ),
    "hard": PlugFacts(
        make=lambda p: HardAttention(GeneralScore(p.d_query, p.d_key)), settings={}, computes="other", causal=True,
        lengths="any", parameters=lambda d, H, longest: d * d, operations=general_score, time=2, memory=2,
        source="Xu et al. 2015, section 4.1, by argmax; gradient by straight-through, Bengio et al. 2013",
        taught="09", unequal=True,
    ),
    "monotonic": PlugFacts(
        make=lambda p: MonotonicAttention(p.d_query, p.d_key, p.d_attention or p.d_query), settings={},
        computes="other", causal=False, lengths="any", parameters=lambda d, H, longest: 2 * d * d + 2 * d + 2,
        operations=additive_score, time=2, memory=2,
        source="Raffel et al. 2017; counted as it decodes, all energies computed; in training N^3 more", taught="09",
        unequal=True,
    ),
    "location_aware": PlugFacts(
        make=lambda p, filters, reach: LocationAwareAttention(
            p.d_query, p.d_key, p.d_attention or p.d_query, filters=filters, reach=reach
        ),
        settings={"filters": 5, "reach": 5}, computes="other", causal=False, lengths="any",
        parameters=lambda d, H, longest, filters, reach: 2 * d * d + 2 * d + filters * (2 * reach + 1 + d),
        operations=lambda N, d, H, filters, reach: additive_score(N, d, H) + N * N * filters * (2 * reach + 1 + d) * H,
        time=2, memory=1, source="Chorowski et al. 2015, eq. 8-9; a query waits for the weights of the one before",
        taught="09", unequal=True,
    ),
    "shaw": PlugFacts(
        make=lambda p, k: RelativeAttention(p.d_query, k), settings={"k": 16}, computes="other", causal=True,
        lengths="any", parameters=lambda d, H, longest, k: 2 * (2 * k + 1) * d,
        operations=lambda N, d, H, k: 2 * N * N * d * H + 2 * N * (2 * k + 1) * d * H, time=2, memory=2,
        source="Shaw et al. 2018, eq. 3-4; distances cut off at k places", taught="15",
    ),
    "alibi": PlugFacts(
        make=lambda p: AlibiAttention(p.n_heads), settings={}, computes="other", causal=True, lengths="any",
        parameters=none, operations=dense_score, time=2, memory=2,
        source="Press et al. 2022; a fixed slope for each head", taught="15",
    ),
    "window": PlugFacts(
        make=lambda p, window: WindowAttention(window), settings={"window": 128}, computes="exact",
        causal=True, lengths="any", parameters=none, operations=banded, time=1, memory=1,
        source="Parmar et al. 2018; Beltagy et al. 2020 without global tokens. 128 places on each side",
        taught="20",
    ),
    "strided": PlugFacts(
        make=lambda p, stride: StridedAttention(stride), settings={"stride": 64}, computes="exact",
        causal=True, lengths="any", parameters=none,
        operations=lambda N, d, H, stride: 2 * stride * blocks(N, stride) ** 2 * d * H, time=2, memory=1,
        source="Child et al. 2019, the strided half of their pattern; N^1.5 if the stride grows as the root of N",
        taught="20",
    ),
    "longformer": PlugFacts(
        make=lambda p, window, n_global: LongformerAttention(window, n_global, p.d_query * p.n_heads),
        settings={"window": 128, "n_global": 16}, computes="exact", causal=True, lengths="any",
        parameters=lambda d, H, longest, **_: 3 * (d * H) ** 2,
        operations=lambda N, d, H, window, n_global: banded(N, d, H, window, min(n_global, N))
        + 2 * min(n_global, N) * N * d * H + (min(n_global, N) + 2 * N) * (d * H) ** 2,
        time=1, memory=1, source="Beltagy et al. 2020; own matrices of the global rows act on projected words",
        taught="20",
    ),
    "bigbird": PlugFacts(
        make=lambda p, window, n_global, n_random: BigBirdAttention(window, n_global, n_random, p.longest),
        settings={"window": 64, "n_global": 16, "n_random": 3}, computes="exact", causal=True, lengths="up to longest",
        parameters=none,
        operations=lambda N, d, H, window, n_global, n_random: 2 * min(n_global, N) * N * d * H
        + banded(N, d, H, window, min(n_global, N) + BLOCK * min(n_random, blocks(N, BLOCK))),
        time=1, memory=1, source="Zaheer et al. 2020; the window counts places, not blocks; heads share the lot",
        taught="20",
    ),
    "reformer": PlugFacts(
        make=lambda p, n_buckets, rounds, window: HashAttention(p.d_query, n_buckets, rounds, window),
        settings={"n_buckets": 64, "rounds": 4, "window": 32}, computes="approximate", causal=True, lengths="any",
        parameters=none,
        operations=lambda N, d, H, n_buckets, rounds, window: rounds * bucketed(N, d, H, window)
        + N * d * H * rounds * sum(factor // 2 for factor in factors(n_buckets)),
        time=1, memory=1, source="Kitaev et al. 2020, of shared queries and keys; N log N for sorting is not counted",
        taught="21",
    ),
    "routing": PlugFacts(
        make=lambda p, n_buckets, window: ClusterAttention(p.d_query, p.n_heads, n_buckets, window),
        settings={"n_buckets": 64, "window": 64}, computes="approximate", causal=True, lengths="any", parameters=none,
        operations=lambda N, d, H, n_buckets, window: bucketed(N, d, H, window) + N * d * H * n_buckets,
        time=1, memory=1, source="Roy et al. 2021, of shared queries and keys; centroids move in training, no gradient",
        taught="21",
    ),
    "sinkhorn": PlugFacts(
        make=lambda p, block: SinkhornAttention(p.d_query, block), settings={"block": 64}, computes="other",
        causal=True, lengths="any", parameters=lambda d, H, longest, **_: d * d, operations=sorted_blocks,
        time=2, memory=1, source="Tay et al. 2020; mixing blocks costs N^2 / block, felt beyond N = 2 block^2",
        taught="21",
    ),
    "linformer": PlugFacts(
        make=lambda p, k: LinformerAttention(p.longest, k), settings={"k": 64}, computes="other",
        causal=False, lengths="up to `longest`: E and F have a column for each place",
        parameters=lambda d, H, longest, k: 2 * k * longest, operations=lambda N, d, H, k: 4 * N * k * d * H,
        time=1, memory=1, source="Wang et al. 2020, eq. 7; k learnt mixtures of keys, with E = F = I dense attention",
        taught="22",
    ),
    "linear": PlugFacts(
        make=lambda p: LinearAttention(), settings={}, computes="other", causal=True, lengths="any",
        parameters=none, operations=lambda N, d, H: 2 * N * d * (d + 1) * H, time=1, memory=1,
        source="Katharopoulos et al. 2020, eq. 5-7; causal it is a recurrent network, with a table for every 32 words",
        taught="22",
    ),
    "performer": PlugFacts(
        make=lambda p, m: PerformerAttention(p.d_query, m), settings={"m": 256}, computes="approximate",
        causal=True, lengths="any", parameters=none,
        operations=lambda N, d, H, m: 2 * N * m * (2 * d + 1) * H, time=1, memory=1,
        source="Choromanski et al. 2021, Lemma 1 and section 2.4; no key maximum when causal",
        taught="22",
    ),
    "synthesizer_dense": PlugFacts(
        make=lambda p: DenseSynthesizer(p.n_heads, p.d_query, p.longest), settings={}, computes="other", causal=True,
        lengths="up to `longest`", parameters=lambda d, H, longest: H * (d + 1) * longest,
        operations=lambda N, d, H: 2 * N * N * d * H, time=2, memory=2,
        source="Tay et al. 2021, eq. 2; W_1 is the head's query projection",
        taught="21",
    ),
    "synthesizer_factorised_dense": PlugFacts(
        make=lambda p, a: FactorisedDenseSynthesizer(p.n_heads, p.d_query, p.longest, a), settings={"a": 32},
        computes="other", causal=True, lengths="up to `longest`",
        parameters=lambda d, H, longest, a: H * (d + 1) * (a + blocks(longest, a)),
        operations=lambda N, d, H, a: N * d * H * (N + a + blocks(N, a)), time=2, memory=2,
        source="Tay et al. 2021, eq. 6; vectors of a and N / a numbers",
        taught="21",
    ),
    "synthesizer_random": PlugFacts(
        make=lambda p: RandomSynthesizer(p.n_heads, p.longest), settings={}, computes="other", causal=True,
        lengths="up to `longest`", parameters=lambda d, H, longest: H * longest * longest,
        operations=lambda N, d, H: N * N * d * H, time=2, memory=2,
        source="Tay et al. 2021, eq. 4; the same map for every sentence",
        taught="21",
    ),
    "synthesizer_factorised_random": PlugFacts(
        make=lambda p, k: FactorisedRandomSynthesizer(p.n_heads, p.longest, k), settings={"k": 8}, computes="other",
        causal=True, lengths="up to `longest`", parameters=lambda d, H, longest, k: 2 * H * longest * k,
        operations=lambda N, d, H, k: N * N * (d + k) * H, time=2, memory=2, source="Tay et al. 2021, eq. 7",
        taught="21",
    ),
    "transformer_xl": PlugFacts(
        make=lambda p: XLAttention(p.n_heads, p.d_query), settings={}, computes="other", causal=True, lengths="any",
        parameters=lambda d, H, longest: 2 * H * d + (H * d) ** 2,
        operations=lambda N, d, H: 4 * N * N * d * H + 2 * N * (H * d) ** 2, time=2, memory=2,
        source="Dai et al. 2019, section 3.3; quadratic in a segment, linear in a text cut into segments",
        taught="23",
    ),
}


def make(
    attention: Plug | str, d_query: int, n_heads: int = 1, longest: int | None = None, *, d_key: int | None = None,
    d_attention: int | None = None, **settings: int,
) -> Plug:
    """A new plug by its name in PLUGS, with the table's settings but for those given; a plug itself, unchanged.

    `d_key` is d_query unless given; see `Place` for the rest. ValueError: an unknown name or setting, widths that the
    plug cannot compare, a length that it must know.
    """
    if not isinstance(attention, str):
        return attention
    if attention not in PLUGS:
        raise ValueError(f"unknown plug {attention!r}: one of {', '.join(PLUGS)}, or a plug of your own")
    facts = PLUGS[attention]
    if unknown := sorted(settings.keys() - facts.settings.keys()):
        raise ValueError(
            f"{attention} has no setting {unknown[0]!r}: its settings are {sorted(facts.settings) or 'none'}"
        )
    place = Place(d_query, d_query if d_key is None else d_key, n_heads, longest, d_attention)
    if place.d_key != d_query and not facts.unequal:
        able = [name for name, other in PLUGS.items() if other.unequal]
        raise ValueError(
            f"{attention} needs queries and keys of one width, got {d_query} and {d_key}: use {' or '.join(able)}, or "
            f"project one of them"
        )
    if longest is None and facts.lengths != "any":
        raise ValueError(f"{attention} takes lengths {facts.lengths}; say which: longest=the greatest length to come")
    return facts.make(place, **facts.settings | settings)


def plug_name(attention: Plug | str) -> str:
    """How a checkpoint calls this plug: plain text."""
    if isinstance(attention, str):
        return attention
    score = getattr(attention, "score", None)
    return type(attention).__name__ + (f"({type(score).__name__})" if score is not None else "")


def efficient() -> list[str]:
    """Dense attention and the variants of Part IV, in the table's order."""
    return [name for name, facts in PLUGS.items() if name == "scaled_dot" or facts.taught >= "20"]


def rows(N: int = 1024, d_head: int = 16, n_heads: int = 4) -> list[dict[str, Any]]:
    """The efficient plugs and dense attention at one length, one dictionary per plug: for notebook 24."""
    dense = PLUGS["scaled_dot"].operations(N, d_head, n_heads)
    found = []
    for name in efficient():
        facts = PLUGS[name]
        operations = facts.operations(N, d_head, n_heads, **facts.settings)
        found.append({
            "plug": name, "settings": facts.settings, "computes": facts.computes, "causal": facts.causal,
            "lengths": facts.lengths, "extra parameters": facts.parameters(d_head, n_heads, N, **facts.settings),
            "operations": operations, "share of dense": operations / dense, "time": f"N^{facts.time:g}",
            "memory": f"N^{facts.memory:g}", "source": facts.source,
        })  # fmt: skip
    return found
