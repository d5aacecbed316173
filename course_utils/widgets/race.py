"""The widgets of notebook 24: what plugs cost at a length, and what accuracy that buys."""

from collections.abc import Mapping, Sequence

import ipywidgets as w
from matplotlib.figure import Figure

from course_utils.attention.table import PLUGS, efficient
from course_utils.plots.race import Entry, cost_bars, trade_off
from course_utils.widgets.explorer import Explorer

LENGTHS = tuple(2**k for k in range(6, 17))
NAMES = {name: name.replace("_", " ") for name in PLUGS} | {
    "scaled_dot": "dense", "synthesizer_dense": "synth. dense", "synthesizer_random": "synth. random",
    "synthesizer_factorised_dense": "synth. fact. dense", "synthesizer_factorised_random": "synth. fact. random",
}  # fmt: skip


Settings = Mapping[str, Mapping[str, int]]                                # of each plug


def shares(N: int, d: int = 16, H: int = 4, settings: Settings | None = None) -> dict[str, float]:
    """{plug: multiply-adds as a multiple of dense attention's}: efficient plugs with the table's settings, or those
    given."""
    dense = PLUGS["scaled_dot"].operations(N, d, H)
    chosen = settings if settings is not None else dict.fromkeys(efficient(), {})
    return {name: PLUGS[name].operations(N, d, H, **PLUGS[name].settings | dict(some)) / dense
            for name, some in chosen.items()}  # fmt: skip


def cost_explorer(N: int = 1024, d: int = 16) -> Explorer:
    """Move the length and the width of a head: who needs fewer multiply-adds than dense attention?"""

    def draw(N: int, d: int) -> tuple[Figure, str]:
        found = {NAMES.get(name, name): share for name, share in shares(N, d).items() if name != "scaled_dot"}
        less = sum(share < 1 for share in found.values())
        figure = cost_bars(found, xlabel="multiply-adds, dense = 1", low=1e-4, high=40,
                           title=f"Counted at N = {N:,}, d = {d}")
        return figure, f"{less} of {len(found)} need fewer multiply-adds than dense attention."

    return Explorer(
        draw, N=w.SelectionSlider(options=LENGTHS, value=N, description="length N"),
        d=w.SelectionSlider(options=(16, 32, 64), value=d, description="width d of a head"),
        alt="A bar for each plug: how many multiply-adds it needs, as a multiple of dense attention's.",
    )  # fmt: skip


def trade_explorer(
    scores: Mapping[str, Mapping[str, Sequence[float]]], settings: Settings, task: str, N: int = 256,
) -> Explorer:  # fmt: skip
    """{task: {plug: one score a seed}} and the plugs' settings: the accuracy on a task against the cost at a length."""

    def draw(task: str, N: int) -> tuple[Figure, str]:
        cost = shares(N, settings=settings)
        means = {plug: sum(seeds) / len(seeds) for plug, seeds in scores[task].items()}
        entries = [Entry(NAMES[plug], cost[plug], mean) for plug, mean in means.items()]
        better = [e for e in entries if e.y >= max(means.values()) - 0.05]
        cheapest = min(better, key=lambda e: e.x)
        figure = trade_off(entries, xlabel="multiply-adds, dense = 1", ylabel="share right, mean of the seeds",
                           title=f"{task}, cost at N = {N:,}", reference=NAMES["scaled_dot"], xlim=(2e-4, 30),
                           ylim=(-0.05, 1.08))  # fmt: skip
        return figure, f"The cheapest within 0.05 of the best: {cheapest.name}, {cheapest.x:.2g} x dense."

    return Explorer(
        draw, task=w.Dropdown(options=list(scores), value=task, description="task"),
        N=w.SelectionSlider(options=LENGTHS, value=N, description="cost at length N"),
        alt="A circle for each plug: share of right answers on the task against multiply-adds at that length, as a "
        "multiple of dense attention's.",
    )  # fmt: skip
