"""The widgets of notebook 09: a window that glides along the source, and a walk that stops."""

from collections.abc import Sequence

import ipywidgets as w
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.attention.monotonic import first_key, walk
from course_utils.attention.socket import masked_softmax
from course_utils.plots.where import Glance, Walk, walk_view, window_view
from course_utils.widgets.controls import Stepper
from course_utils.widgets.explorer import Explorer

KINDS = ("global", "local-m", "local-p")


def window_explorer(
    source: Sequence[str], target: Sequence[str], scores: Tensor, *, at: int = 0, kind: str = "local-p",
    centre: float = 0.0, window: int = 2,
) -> Explorer:  # fmt: skip
    """Which words share the weight of target word t: all, those around t, or those around a place p that the hand of
    the student predicts. `scores` (T, S); `at` is the target word shown first."""
    S, scores = len(source), scores.double()
    if scores.shape != (len(target), S):
        raise ValueError(f"scores {tuple(scores.shape)} for {len(target)} target and {S} source words")

    def draw(t: int, centre: float, window: int, kind: str) -> tuple[Figure, str]:
        middle = {"global": None, "local-m": float(min(t, S - 1)), "local-p": centre}[kind]
        away = torch.arange(S, dtype=scores.dtype) - (middle or 0.0)
        weights = masked_softmax(scores[t], None if middle is None else away.abs() <= window)
        if kind == "local-p":
            weights = weights * torch.exp(-2 * (away / window).square())
        glance = Glance(source, target[t], weights.numpy(), middle, window if middle is not None else 0,
                        kind == "local-p")  # fmt: skip
        best, total = int(weights.argmax()), float(weights.sum())
        return window_view(glance), (
            f"{kind}, “{target[t]}”: {float(weights[best]):.2f} on “{source[best]}”; the weights sum to {total:.2f}."
        )

    alt = (
        "The weights of one target word as bars over the source words; the window around its middle is shaded, and "
        "with local-p a Gaussian curve stands over it."
    )
    return Explorer(
        draw, alt=alt,
        t=w.IntSlider(at, min=0, max=len(target) - 1, description="target word t"),
        centre=w.FloatSlider(centre, min=0, max=S - 1, step=0.1, description="place p (local-p)"),
        window=w.IntSlider(window, min=1, max=max(2, min(10, S)), description="window D"),
        kind=w.Dropdown(options=KINDS, value=kind, description="attention"),
    )  # fmt: skip


def looks(p: Tensor, draw: int) -> list[tuple[int, int, bool]]:
    """The cells that a walk over the chances `p` (T, S) looks at. draw = 0: it stops where p > 1/2, as in decoding;
    1, 2, ...: coins are thrown, other ones for each number."""
    T, S = p.shape
    coins = torch.full((T, S), 0.5, dtype=p.dtype)
    if draw:
        coins = torch.rand(T, S, generator=torch.Generator().manual_seed(draw)).to(p)
    found, j = [], 0
    for i in range(T):
        while j < S:
            stops = bool(p[i, j] > coins[i, j])
            found.append((i, j, stops))
            if stops:
                break
            j += 1
    return found


def walk_player(source: Sequence[str], target: Sequence[str], p: Tensor, *, at: int = 0, draws: int = 5) -> Explorer:
    """The walk of monotonic attention over the chances `p` (T, S), look by look; below it the expected alignment, which
    is what it does on average over all draws."""
    p, previous, rows = p.double(), first_key(p[0].double()), []
    for row in p:
        previous = walk(row, previous)
        rows.append(previous)
    expected, ways = torch.stack(rows).numpy(), [looks(p, draw) for draw in range(draws + 1)]

    def show(way: int, step: int) -> tuple[Figure, str]:
        seen = ways[way][: step + 1]
        i, j, stopped = seen[-1]
        how = "p > ½" if not way else "a coin"
        what = f"it stops at “{source[j]}” ({how})" if stopped else f"it passes “{source[j]}” by"
        if not stopped and j == len(source) - 1:
            what += ": nothing is found any more"
        figure = walk_view(Walk(source, target, p.numpy(), seen, expected))
        return figure, f"For “{target[i]}”, look {len(seen)}: {what}."

    stepper = Stepper(max(map(len, ways)), description="look")
    stepper.value = at
    alt = (
        "A table of target words and source words with the chance to stop in each cell; the cells that the walk has "
        "looked at are grey, those where it stopped blue. Below, the expected alignment of the present target word."
    )
    return Explorer(show, alt=alt, way=w.IntSlider(0, min=0, max=draws, description="draw (0: decoding)"),
                    step=stepper)  # fmt: skip
