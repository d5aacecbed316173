"""The widgets of notebook 21: hashing points of a plane, and Sinkhorn's iterations."""

import math

import ipywidgets as w
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.attention.sinkhorn import sinkhorn
from course_utils.plots.buckets import lsh_view, sinkhorn_view
from course_utils.widgets.explorer import Explorer

# --- buckets on a plane -----------------------------------------------------------------------------------------------


def plane_rotation(n_buckets: int, degrees: float) -> Tensor:
    """R (2, b / 2): directions evenly over a half turn, all turned by an angle."""
    turns = math.radians(degrees) + math.pi * torch.arange(n_buckets // 2, dtype=torch.float64) / (n_buckets // 2)
    return torch.stack([turns.cos(), turns.sin()])


def hash_by(x: Tensor, R: Tensor) -> Tensor:
    """x (..., N, d), R (d, b / 2) -> (..., N): the argmax of [xR; -xR]."""
    turned = x @ R
    return torch.cat([turned, -turned], -1).argmax(-1)


def nearest_key(x: Tensor) -> Tensor:
    """(N, d) -> (N,): for each vector the other one with the largest cosine."""
    unit = torch.nn.functional.normalize(x, dim=-1)
    return (unit @ unit.T).fill_diagonal_(-2).argmax(-1)


def pairs_met(buckets: Tensor) -> Tensor:
    """(rounds, N) -> (rounds, N, N) bool: who shared a bucket in this round or one before; nobody meets himself."""
    same = (buckets.unsqueeze(-1) == buckets.unsqueeze(-2)).cumsum(0) > 0
    return same & ~torch.eye(buckets.shape[-1], dtype=torch.bool)


def recall_by_rounds(x: Tensor, buckets: Tensor) -> tuple[list[float], list[float]]:
    """For 1, 2, ... rounds: the share of vectors that met their nearest, and the share of all pairs that met."""
    met, N = pairs_met(buckets), len(x)
    recall = met[:, torch.arange(N), nearest_key(x)].double().mean(-1)
    return recall.tolist(), (met.double().sum((1, 2)) / (N * (N - 1))).tolist()


def plane_points(n: int = 24, clusters: int = 6, seed: int = 21) -> Tensor:
    """n points near the unit circle (n, 2), in clusters; 0 clusters: all around."""
    draws = torch.Generator().manual_seed(seed)
    centres = 2 * math.pi * torch.rand(clusters or n, generator=draws, dtype=torch.float64)
    clusters = len(centres)
    turns = centres.repeat(-(-n // clusters))[:n] + 0.16 * torch.randn(n, generator=draws, dtype=torch.float64)
    return torch.stack([turns.cos(), turns.sin()], -1) * (0.7 + 0.5 * torch.rand(n, 1, generator=draws))


def lsh_plane(rounds: int = 6, seed: int = 0) -> Explorer:
    """Turn the first round's directions, choose a round, how many buckets, and how the points lie: who meets the
    nearest point?"""
    kinds = {"all around": plane_points(clusters=0), "in clusters": plane_points()}
    others = 180 * torch.rand(rounds, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def draw(points: str, angle: int, shown: int, n_buckets: int) -> tuple[Figure, str]:
        x = kinds[points]
        angles = [angle, *others[1:].tolist()]
        rotations = [plane_rotation(n_buckets, a) for a in angles]
        buckets = torch.stack([hash_by(x, R) for R in rotations])
        recall, seen = recall_by_rounds(x, buckets)
        R = rotations[shown - 1]
        picture = lsh_view(x, buckets[shown - 1], torch.cat([R, -R], 1).T, nearest_key(x), recall, seen, shown)
        return picture, (f"{shown} of {rounds} rounds, {n_buckets} buckets: {recall[shown - 1]:.0%} of the points have "
                         f"met their nearest, {seen[shown - 1]:.0%} of all pairs have met.")  # fmt: skip

    return Explorer(
        draw, points=w.Dropdown(options=list(kinds), description="points"),
        angle=w.IntSlider(20, 0, 180, 5, description="first angle"),
        shown=w.IntSlider(1, 1, rounds, description="rounds"),
        n_buckets=w.SelectionSlider(options=(2, 4, 8, 16, 24), value=16, description="buckets"),
        alt="Points of a plane coloured by bucket, each joined to its nearest, with a thick line where both share a "
        "bucket; beside it the share of nearest points found and of pairs seen, by rounds.",
    )  # fmt: skip


# --- Sinkhorn ---------------------------------------------------------------------------------------------------------

LOGITS = ((2.0, 1.0, 0.2, 0.0), (1.8, 0.0, 1.5, 0.3), (1.9, 0.1, 0.0, 1.2), (0.5, 1.4, 0.4, 1.0))


def sinkhorn_slider(logits=LOGITS, most: int = 12) -> Explorer:
    """Iterations and temperature on a 4 x 4 table: rows always sum to 1 after one, columns nearly."""
    scores = torch.as_tensor(logits, dtype=torch.float64)

    def draw(iterations: int, temperature: float) -> tuple[Figure, str]:
        everywhere = torch.ones_like(scores, dtype=torch.bool)
        tables = [sinkhorn(scores / temperature, everywhere, k) for k in range(most + 1)]
        off = [float((table.sum(0) - 1).abs().max()) for table in tables]
        text = (f"iterations: {iterations}, temperature {temperature:g}: columns are off by at most "
                f"{off[iterations]:.2g}, the largest entry is {float(tables[iterations].max()):.2f}.")  # fmt: skip
        return sinkhorn_view(tables[iterations], off, iterations), text

    return Explorer(
        draw, iterations=w.IntSlider(1, 1, most, description="iterations"),
        temperature=w.SelectionSlider(options=(0.1, 0.25, 0.5, 1.0, 2.0), value=0.5, description="temperature"),
        alt="A table of four by four with the sums of its rows and columns, and how far the sums of the columns are "
        "from 1 after each iteration.",
    )  # fmt: skip
