"""The widgets of notebook 22: the order of three matrices, the rank of maps, random features, a memory of n pairs."""

import time
from collections.abc import Mapping
from functools import lru_cache

import ipywidgets as w
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.attention.performer import PerformerAttention
from course_utils.plots.kernels import favor_view, product_orders, rank_view, recall_view
from course_utils.widgets.explorer import Explorer

LENGTHS, WIDTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096), (8, 16, 32, 64, 128, 256)


# --- the order of three matrices --------------------------------------------------------------------------------------


def order_operations(N: int, d: int) -> tuple[int, int]:
    """Multiply-adds of (Q Kᵀ) V and of Q (Kᵀ V), all three matrices (N, d)."""
    return 2 * N * N * d, 2 * N * d * d


@lru_cache(maxsize=256)
def order_seconds(N: int, d: int) -> tuple[float, float]:
    """CPU seconds of the two orders, the median of five calls (one thread; measured once for each N and d)."""
    draws = torch.Generator().manual_seed(0)
    Q, K, V = (torch.randn(N, d, generator=draws) for _ in range(3))

    def seconds(product) -> float:
        found = []
        for _ in range(1 if N * N * d > 2**27 else 5):
            start = time.process_time()
            for _ in range(repeats := max(1, 2**22 // (N * max(N, d) * d))):
                product()
            found.append((time.process_time() - start) / repeats)
        return float(np.median(found))

    return seconds(lambda: (Q @ K.T) @ V), seconds(lambda: Q @ (K.T @ V))


def order_slider(N: int = 1024, d: int = 64) -> Explorer:
    """Move N and d: the two orders of Q Kᵀ V, operations counted and timed."""

    def draw(N: int, d: int) -> tuple[Figure, str]:
        left, right = order_operations(N, d)
        cheaper = "both orders cost the same" if left == right else (
            f"{'Q (Kᵀ V)' if right < left else '(Q Kᵀ) V'} needs {max(left, right) / min(left, right):g} times fewer"
        )
        return product_orders(N, d, (left, right), order_seconds(N, d)), f"N = {N}, d = {d}: {cheaper} multiply-adds."

    return Explorer(
        draw, N=w.SelectionSlider(options=LENGTHS, value=N, description="length N"),
        d=w.SelectionSlider(options=WIDTHS, value=d, description="width d"),
        alt="The matrix made on the way in either order, N by N or d by d, and bars: multiply-adds and milliseconds of "
        "both orders.",
    )  # fmt: skip


# --- the rank of maps -------------------------------------------------------------------------------------------------


def rank_errors(maps: Tensor) -> Tensor:
    """maps (..., N, N) -> (..., N): the relative error (Frobenius) of the best approximation of rank 1 ... N."""
    energy = torch.linalg.svdvals(maps.double()).square()
    left = energy.flip(-1).cumsum(-1).flip(-1) - energy                   # what the singular values after k hold
    return (left.clamp_min(0) / energy.sum(-1, keepdim=True)).sqrt()


def best_of_rank(table: Tensor, k: int) -> Tensor:
    """(N, N) -> (N, N): its best approximation of rank k (Eckart and Young 1936)."""
    u, s, v = torch.linalg.svd(table.double())
    return u[:, :k] * s[:k] @ v[:k]


def rank_explorer(maps: Mapping[str, Tensor], k: int = 16) -> Explorer:
    """Choose a map and Linformer's k: what the best k mixtures of the values could keep of it."""
    tables = {name: table.detach().double() for name, table in maps.items()}
    errors = {name: rank_errors(table) for name, table in tables.items()}
    N = len(next(iter(tables.values())))
    ranks = [r for r in (1, 2, 4, 8, 16, 32, 64, 128, 256) if r < N]
    others = {name: [error[[r - 1 for r in ranks]].tolist()] for name, error in errors.items()}

    def draw(name: str, k: int) -> tuple[Figure, str]:
        curves = {name: others[name]} | {other: runs for other, runs in others.items() if other != name}
        error = float(errors[name][k - 1])
        said = f"{name}: with k = {k} of {N} the best approximation is off by {error:.0%}."
        return rank_view(tables[name], best_of_rank(tables[name], k), k, curves, ranks, name), said

    return Explorer(
        draw, name=w.Dropdown(options=list(tables), description="map"),
        k=w.SelectionSlider(options=ranks, value=k, description="rank k"),
        alt="An attention map, its best approximation of rank k, what is missing, and the error by rank of all maps.",
    )  # fmt: skip


# --- random features --------------------------------------------------------------------------------------------------

FEATURES = (4, 8, 16, 32, 64, 128, 256, 512)
SCALES = (0.25, 0.5, 0.75, 1.0, 1.5)
KINDS = ("positive, orthogonal", "positive, independent", "sine and cosine, orthogonal")


def directions(d: int, m: int, orthogonal: bool, seed: int) -> Tensor:
    """FAVOR+'s vectors w (d, m) as the package draws them, in double precision; torch's own generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        plug = PerformerAttention(d, m, orthogonal).double()
        plug.redraw()
    return plug.directions * d**0.25


def estimated_weights(Q: Tensor, K: Tensor, W: Tensor, kind: str = "positive") -> Tensor:
    """Softmax weights (N, N) of Q, K (N, d), estimated with the vectors W (d, m): rows are divided by their sums.

    "positive": exp(w·x - |x|²/2); "trig": exp(|x|²/2) [cos(w·x), sin(w·x)]; both with x = q d^(-1/4).
    """
    q, k = (x * x.shape[-1] ** -0.25 for x in (Q, K))
    q_norms, k_norms = (x.square().sum(-1, keepdim=True) / 2 for x in (q, k))
    if kind == "positive":
        table = (q @ W - q_norms).exp() @ (k @ W - k_norms).exp().T
    else:
        a, b = q @ W, k @ W
        table = q_norms.exp() * (a.cos() @ b.cos().T + a.sin() @ b.sin().T) * k_norms.exp().T
    return table / table.sum(-1, keepdim=True)


def relative_error(estimate: Tensor, exact: Tensor) -> float:
    """Frobenius norm of the difference over that of `exact`."""
    return float((estimate - exact).norm() / exact.norm())


def favor_explorer(N: int = 48, d: int = 16) -> Explorer:
    """Random queries and keys of a chosen size, m features: the softmax weights and their estimate."""
    draws = torch.Generator().manual_seed(22)
    Q, K = (torch.randn(N, d, generator=draws, dtype=torch.float64) for _ in range(2))

    def draw(m: int, scale: float, kind: str) -> tuple[Figure, str]:
        q, k = scale * Q, scale * K
        exact = (q @ k.T * d**-0.5).softmax(-1)
        W = directions(d, m, "orthogonal" in kind, seed=0)
        estimate = estimated_weights(q, k, W, "positive" if "positive" in kind else "trig")
        error = relative_error(estimate, exact)
        text = f"m = {m}, entries of size {scale:g}: the error is {error:.3g} times the size of the map."
        return favor_view(exact, estimate, f"error {error:.2g}"), text

    return Explorer(
        draw, m=w.SelectionSlider(options=FEATURES, value=64, description="features m"),
        scale=w.SelectionSlider(options=SCALES, value=0.5, description="size of the entries of q and k"),
        kind=w.Dropdown(options=KINDS, description="features"),
        alt="Softmax weights of random queries and keys as a map, their estimate from m random features, and every "
        "weight against its estimate.",
    )  # fmt: skip


# --- a memory of n pairs ----------------------------------------------------------------------------------------------

PAIRS = (2, 4, 8, 16, 32, 64, 128)
MEMORIES = ("outer products", "linear attention", "softmax attention")
N_VALUES = 16


def recalled(memory: str, n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """n random pairs are stored, then every key asks: (n, 16) how strongly each value comes back, (n,) the right one.

    Keys are random directions of d numbers, values one of 16 one-hot vectors. "linear attention" stores φ(k) = elu(k)
    + 1 of keys of length d; "softmax attention" looks at all n keys again, q·k multiplied by 20.
    """
    if memory not in MEMORIES:
        raise ValueError(f"unknown memory {memory!r}: one of {', '.join(map(repr, MEMORIES))}")
    draws = torch.Generator().manual_seed(1000 * seed + n)
    keys = torch.nn.functional.normalize(torch.randn(n, d, generator=draws, dtype=torch.float64), dim=-1)
    right = torch.randint(N_VALUES, (n,), generator=draws)
    values = torch.nn.functional.one_hot(right, N_VALUES).double()        # (n, 16)
    if memory == "softmax attention":
        return (20 * keys @ keys.T).softmax(-1) @ values, right
    if memory == "linear attention":
        features = torch.nn.functional.elu(d * keys) + 1
        return features @ (features.T @ values) / (features @ features.sum(0)).unsqueeze(1), right
    return keys @ (keys.T @ values), right                                # S = Σ k vᵀ, (d, 16)


@lru_cache(maxsize=256)
def share_recalled(memory: str, n: int, d: int, lines: int = 40) -> float:
    """The share of questions whose right value comes back strongest, over some random lines."""
    found = [recalled(memory, n, d, seed) for seed in range(max(4, lines * 8 // n))]
    return float(torch.cat([answers.argmax(-1) == right for answers, right in found]).double().mean())


def recall_slider(n: int = 8, d: int = 16) -> Explorer:
    """Store more and more pairs: a memory of fixed size loses them past about d, looking again does not."""

    def draw(n: int, d: int, memory: str) -> tuple[Figure, str]:
        answers, right = recalled(memory, n, d)
        curves = {name: [share_recalled(name, many, d) for many in PAIRS] for name in MEMORIES}
        kept = n * (d + N_VALUES) if memory == MEMORIES[2] else d * (N_VALUES + (memory == MEMORIES[1]))
        text = f"{n} pairs, d = {d}: {share_recalled(memory, n, d):.0%} found again; {kept:,} numbers are kept for it."
        return recall_view(answers[0], int(right[0]), PAIRS, curves, n, d, memory.capitalize()), text

    return Explorer(
        draw, n=w.SelectionSlider(options=PAIRS, value=n, description="pairs n"),
        d=w.SelectionSlider(options=(8, 16, 32), value=d, description="width d"),
        memory=w.Dropdown(options=MEMORIES, description="memory"),
        alt="Above, how strongly each of 16 values comes back for one question; below, the share of questions answered "
        "right by the number of pairs, for two memories of fixed size and for softmax attention.",
    )  # fmt: skip
