"""Pictures of a Transformer's recipe: gradients by block, rates, all heads of a model at once, byte-pair merges.
Notebook 17."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator

from course_utils.plots.curves import _label_log_ends, _width_beside
from course_utils.plots.style import (
    BLUE,
    DASHES,
    GREY,
    LARGE,
    MAP,
    MARKERS,
    NORMAL,
    PALE,
    SERIES,
    SMALL,
    VERMILLION,
    canvas_in_inches,
    label_line_ends,
    new_figure,
    styled,
    text_on,
)

NORM_LIMITS = 0.003, 0.6


@styled
def gradient_by_block(norms: Mapping[str, Sequence[float]], *, title: str = "") -> Figure:
    """Gradient norms from the first block to the last, {name: (L,)}, on a logarithmic scale that stays the same while a
    slider moves."""
    depths = {len(values) for values in norms.values()}
    if len(depths) != 1 or 0 in depths:
        raise ValueError(f"every line needs the same number of blocks, at least one; these have {sorted(depths)}.")
    (depth,) = depths
    figure = new_figure(8.0, 3.9)
    axes = figure.add_axes((0.95 / 8, 0.17, (_width_beside(norms) - 0.15) / 8, 0.71))
    axes.set_xlim(0.8, max(depth, 2) + 0.2)
    axes.set_ylim(*NORM_LIMITS)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator([0.003, 0.01, 0.03, 0.1, 0.3]))
    axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=PALE)
    ends, blocks = [], np.arange(1, depth + 1)
    for i, (name, values) in enumerate(norms.items()):
        values = np.clip(np.asarray(values, dtype=float), *NORM_LIMITS)
        axes.plot(blocks, values, color=SERIES[i], marker=MARKERS[i], ls=DASHES[i])
        ends.append((name, depth, float(np.log10(values[-1])), SERIES[i]))
    axes.set_xticks(blocks)
    axes.set(xlabel="block (1 reads the words)", ylabel="norm of the gradient", title=title)
    _label_log_ends(axes, ends)
    return figure


@styled
def rate_curves(rates: Mapping[str, Sequence[float]], *, title: str = "") -> Figure:
    """Learning rates, one number an update from update 1 on."""
    figure = new_figure(8.0, 3.4)
    axes = figure.add_axes((1.0 / 8, 0.18, (_width_beside(rates) - 0.2) / 8, 0.68))
    ends, most = [], 0.0
    for i, (name, values) in enumerate(rates.items()):
        values = np.asarray(values, dtype=float)
        axes.plot(np.arange(1, len(values) + 1), values, color=SERIES[i], ls=DASHES[i])
        ends.append((name, float(len(values)), float(values[-1]), SERIES[i]))
        most = max(most, float(values.max()))
    axes.set_ylim(0, 1.08 * most)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
    axes.set(xlabel="update", ylabel="learning rate", title=title)
    label_line_ends(axes, ends)
    return figure


@styled
def head_grid(
    weights, *, marked: Sequence[tuple[int, int]] = (), title: str = "", most: float = 1.0, digits: int = 2
) -> Figure:
    """One number for each head of each layer, (L, H), as a map with its values; `marked` heads are outlined."""
    weights = np.asarray(weights, dtype=float)
    if weights.ndim != 2 or not weights.size:
        raise ValueError(f"head_grid draws layers x heads; this has shape {weights.shape}.")
    L, H = weights.shape
    cell, left, head = 0.52, 0.95, 0.95
    width, height = max(8.0, left + H * cell + 0.3), head + L * cell + 0.15
    figure = new_figure(width, height)
    axes = figure.add_axes((left / width, 0.15 / height, H * cell / width, L * cell / height))
    axes.set_axis_off()
    axes.pcolormesh(np.arange(H + 1) - 0.5, np.arange(L + 1) - 0.5, weights, cmap=MAP, vmin=0, vmax=most)
    axes.set(xlim=(-0.5, H - 0.5), ylim=(L - 0.5, -0.5))
    for (i, h), value in np.ndenumerate(weights):
        said = f"{value:.{digits}f}"
        said = said.removeprefix("0") if digits and said.startswith("0.") else said
        colour = text_on(colormaps[MAP](min(value / most, 1.0)))
        axes.text(h, i, said, ha="center", va="center", fontsize=SMALL, color=colour)
    for i, h in marked:
        axes.add_patch(Rectangle((h - 0.46, i - 0.46), 0.92, 0.92, fill=False, ec="white", lw=4, zorder=4))
        axes.add_patch(Rectangle((h - 0.46, i - 0.46), 0.92, 0.92, fill=False, ec=VERMILLION, lw=2.4, zorder=5))
    for h in range(H):
        axes.text(h, -0.62, f"{h}", ha="center", va="bottom", fontsize=SMALL)
    for i in range(L):
        axes.text(-0.65, i, f"layer {i}", ha="right", va="center", fontsize=SMALL)
    figure.text((left - 0.1) / width, 1 - (head - 0.28) / height, "head", fontsize=SMALL, ha="right", va="bottom")
    figure.text(0.1 / width, 1 - 0.33 / height, title, fontsize=LARGE)
    return figure


@styled
def merge_frame(
    words: Mapping[tuple[str, ...], int], joined: str = "", pairs: Sequence[tuple[str, int]] = (), *, title: str = ""
) -> Figure:
    """Words as pieces, each with how often it occurs, the pieces equal to `joined` in colour; beside them the pairs
    that are most frequent now."""
    height = 0.9 + 0.52 * max(len(words), 5)
    figure, axes = canvas_in_inches(8.0, height)
    axes.text(0.1, height - 0.33, title, fontsize=LARGE, va="center")
    for row, (pieces, often) in enumerate(words.items()):
        y, x = height - 1.0 - 0.52 * row, 0.75
        axes.text(0.5, y, f"{often}×", ha="right", va="center", fontsize=NORMAL)
        for piece in pieces:
            said = piece.replace("</w>", "·")
            wide = 0.2 + 0.13 * len(said)
            new = piece == joined
            box = Rectangle((x, y - 0.19), wide, 0.38, fc=BLUE if new else PALE, ec=GREY, lw=1)
            axes.add_patch(box)
            axes.text(x + wide / 2, y, said, ha="center", va="center", color="white" if new else "black",
                      family="DejaVu Sans Mono")  # fmt: skip
            x += wide + 0.07
        if x > 5.1:
            raise ValueError(f"{''.join(pieces)!r} is too long for the picture: words of up to ten letters.")
    axes.text(5.2, height - 0.62, "most frequent pairs now", fontsize=SMALL, color=GREY, va="center")
    for row, (pair, often) in enumerate(pairs[:5]):
        y = height - 1.0 - 0.42 * row
        axes.text(5.2, y, f"{often}×", va="center", fontsize=NORMAL)
        axes.text(5.8, y, pair.replace("</w>", "·"), va="center", family="DejaVu Sans Mono",
                  weight="bold" if row == 0 else "normal")  # fmt: skip
    return figure
