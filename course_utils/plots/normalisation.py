"""Pictures of notebook 05: which cells share a mean, scales through depth, one sentence before and after."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from course_utils.plots.style import (
    BLUE,
    DASHES,
    GREY,
    LARGE,
    MARKERS,
    PALE,
    SERIES,
    SKY,
    SMALL,
    canvas_in_inches,
    fixed,
    label_line_ends,
    new_figure,
    styled,
)  # fmt: skip

Tokens = Sequence[Sequence[str]]  # a batch, every row of one length, "" where a pad stands


@styled
def cells_together(tokens: Tokens, kinds: Mapping[str, np.ndarray]) -> Figure:
    """A padded batch of vectors, once for each kind of normalisation: {title: (B, T, D) bool}, True for the cells that
    share one mean and one variance. Every sentence is a block, its words the columns, the features the rows."""
    B, T = len(tokens), len(tokens[0])
    shapes = {np.asarray(chosen).shape[:2] for chosen in kinds.values()}
    if shapes != {(B, T)} or any(len(row) != T for row in tokens):
        raise ValueError(f"{B} x {T} tokens and cells of {sorted(shapes)}: the first two sizes must be the same.")
    D = next(iter(kinds.values())).shape[2]
    wide = (8.0 - 0.75) / len(kinds) - 0.2
    side, tall = wide / T, 0.26
    block = D * tall + 0.48
    height = 0.75 + B * block
    figure, axes = canvas_in_inches(8.0, height)
    for k, (title, chosen) in enumerate(kinds.items()):
        left = 0.75 + k * (wide + 0.2)
        axes.text(left + wide / 2, height - 0.2, title, ha="center", va="center", fontsize=LARGE)
        for b in range(B):
            top = height - 0.75 - b * block
            for t in range(T):
                x, word = left + t * side, tokens[b][t]
                axes.text(x + side / 2, top + 0.05, word or "pad", ha="center", fontsize=SMALL,
                          color="black" if word else GREY)  # fmt: skip
                for d in range(D):
                    look = {"fc": SKY, "ec": "black", "lw": 1.6} if chosen[b, t, d] else {"fc": "white", "ec": GREY}
                    hatch = None if word else "///"
                    axes.add_patch(Rectangle((x, top - (d + 1) * tall), side, tall, hatch=hatch, **look))
    for b in range(B):
        middle = height - 0.75 - b * block - D * tall / 2
        axes.text(0.42, middle, f"sentence {b + 1}", rotation=90, ha="center", va="center", fontsize=SMALL)
    axes.text(left + wide, 0.02, "rows of a block: features", ha="right", va="bottom", fontsize=SMALL, color=GREY)
    return figure


@styled
def scale_by_layer(panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], *, title: str = "") -> Figure:
    """Sizes layer by layer on a logarithmic scale: {y label: {name: seeds x layers}}, one panel below the other.

    Median over the seeds, the band from the smallest to the largest. A size of 0 is drawn at the lower edge.
    """
    height = 0.75 + 2.75 * len(panels)
    figure = new_figure(8.0, height)
    longest = max((len(name) for series in panels.values() for name in series), default=0)
    for k, (ylabel, series) in enumerate(panels.items()):
        axes = figure.add_axes((1.0 / 8, 1 - (2.65 + 2.75 * k) / height, (6.7 - 0.107 * longest) / 8, 2.25 / height))
        logs = {name: np.log10(np.maximum(np.asarray(runs, dtype=float), 1e-45)) for name, runs in series.items()}
        if any(v.ndim != 2 for v in logs.values()) or len(logs) > len(SERIES):
            raise ValueError("every line needs seeds x layers, and at most seven lines fit into a panel.")
        low, high = np.floor(min(v.min() for v in logs.values())), np.ceil(max(v.max() for v in logs.values()))
        axes.set(ylim=(low - 0.2, high + 0.2), ylabel=ylabel, title=title if k == 0 else "")
        ends = []
        for i, (name, runs) in enumerate(logs.items()):
            layers, middle = np.arange(1, runs.shape[1] + 1), np.median(runs, axis=0)
            axes.fill_between(layers, runs.min(0), runs.max(0), color=SERIES[i], alpha=0.22, lw=0)
            axes.plot(layers, middle, color=SERIES[i], ls=DASHES[i], marker=MARKERS[i], ms=5)
            ends.append((name, float(layers[-1]), float(middle[-1]), SERIES[i]))
        step = max(1, int(np.ceil((high - low) / 5)))
        ticks = np.arange(low, high + 1, step)
        axes.set_yticks(ticks, [f"$10^{{{int(t)}}}$" for t in ticks])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        label_line_ends(axes, ends)
    axes.set_xlabel("layer, counted from the input")
    return figure


@styled
def beside_neighbours(
    words: Sequence[str], rows: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str = "",
    names: tuple[str, str] = ("as first", "now"),
) -> Figure:  # fmt: skip
    """One number for each word of a sentence, twice: {title: (before (T,), after (T,))}, one row of paired bars each.
    Hatched grey is before, blue after; the largest change stands at the right."""
    T = len(words)
    longest = max(map(len, words))
    tilted = longest * 0.115 > 5.3 / T - 0.05
    height = 1.25 + 1.35 * len(rows) + (0.1 * longest - 0.1 if tilted else 0)
    figure = new_figure(8.0, height)
    most = max(1.0, *(abs(float(v)) for pair in rows.values() for part in pair for v in part)) * 1.15
    for k, (name, (before, after)) in enumerate(rows.items()):
        if len(before) != T or len(after) != T:
            raise ValueError(f"{name!r} has {len(before)} and {len(after)} numbers for {T} words.")
        axes = figure.add_axes((0.8 / 8, 1 - (1.95 + 1.35 * k) / height, 5.3 / 8, 1.0 / height))
        _pairs(axes, np.asarray(before, dtype=float), np.asarray(after, dtype=float), most)
        change = float(np.abs(np.asarray(after) - np.asarray(before)).max())
        axes.text(1.03, 0.66, name, transform=axes.transAxes, fontsize=SMALL + 1, va="center")
        said = "no change at all" if change == 0 else f"changed by {change:.2f}"
        axes.text(1.03, 0.32, said, transform=axes.transAxes, fontsize=SMALL, va="center", color=GREY)
        turn = {"rotation": 90} if tilted else {}
        axes.set_xticks(range(T), words if k == len(rows) - 1 else [""] * T, **turn)
        axes.set_yticks([-np.floor(most), 0, np.floor(most)])
    figure.text(0.1, 1 - 0.28 / height, title, fontsize=LARGE, va="center")
    key = figure.add_axes((0.8 / 8, 1 - 0.78 / height, 5.3 / 8, 0.25 / height))
    key.set(xlim=(0, 5.3), ylim=(0, 0.25))
    key.set_axis_off()
    for x, name, look in ((0.0, names[0], {"fc": PALE, "ec": GREY, "hatch": "//"}), (1.9, names[1], {"fc": BLUE})):
        key.add_patch(Rectangle((x, 0.05), 0.3, 0.16, **look))
        key.text(x + 0.4, 0.12, name, va="center", fontsize=SMALL)
    return figure


def _pairs(axes: Axes, before: np.ndarray, after: np.ndarray, most: float) -> None:
    at = np.arange(len(before))
    fixed(axes)
    axes.bar(at - 0.2, before, width=0.38, color=PALE, hatch="//", edgecolor=GREY, lw=0.8)
    axes.bar(at + 0.2, after, width=0.38, color=BLUE)
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xlim=(-0.6, len(before) - 0.4), ylim=(-most, most))
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", length=0)
