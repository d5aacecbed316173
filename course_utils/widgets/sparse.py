"""The widgets of notebook 20: the pattern painter, and how far a window reaches through layers.

A pattern is (N, N) bool: row i, column j says whether place i looks at place j.
"""

from collections.abc import Mapping, Sequence

import ipywidgets as w
import torch
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.plots.sparse import painted_map, reach_view
from course_utils.widgets.controls import ToggleGrid
from course_utils.widgets.explorer import Explorer

LAYERS = 6                                                                # as far as the painter looks


def pattern_of(N: int, window: int = 0, stride: int = 0, n_global: int = 0, n_random: int = 0, seed: int = 0) -> Tensor:
    """The union of a window (each side), every `stride`-th place (0: none), the first `n_global` places as global
    tokens, both ways, and `n_random` places drawn for each row from `seed`. (N, N) bool; a place sees itself always."""
    i, j = torch.arange(N).unsqueeze(1), torch.arange(N)
    found = ((j - i).abs() <= window) | (i < n_global) | (j < n_global)
    if stride:
        found = found | ((j - i) % stride == 0)
    if n_random:
        lot = torch.rand(N, N, generator=torch.Generator().manual_seed(seed))
        found = found | torch.zeros_like(found).scatter_(1, lot.topk(min(n_random, N), 1).indices, True)
    return found


def hops(pattern: Tensor) -> Tensor:
    """(N, N) bool -> (N, N) float: after how many layers place i can know of place j; 0 for itself (the residual
    stream keeps it), inf where no number of layers suffices."""
    n = len(pattern)
    reached = torch.eye(n, dtype=torch.bool)
    found = torch.full((n, n), torch.inf).masked_fill(reached, 0.0)
    for layers in range(1, n):
        further = (pattern.float() @ reached.float() > 0) | reached
        if torch.equal(further, reached):
            break
        found[further & ~reached] = layers
        reached = further
    return found


def mass_kept(maps: Tensor, pattern: Tensor) -> Tensor:
    """Weights (..., N, N), rows sum to 1 -> (...): the share of the mass that lies on the pattern, mean of rows."""
    return (maps * pattern).sum(-1).mean(-1)


def pattern_painter(
    words: Sequence[str], maps: Mapping[str, Tensor], window: int = 1, stride: int = 0, n_global: int = 0,
    n_random: int = 0,
) -> Explorer:  # fmt: skip
    """Choose or paint the pairs that are looked at: their cost, their reach, what they lose of a trained map (N, N)."""
    n = len(words)
    tables = {name: table.detach().double() for name, table in maps.items()}

    def draw(name: str, window: int, stride: int, n_global: int, n_random: int, painted) -> tuple[Figure, str]:
        pattern = pattern_of(n, window, stride, n_global, n_random) | torch.tensor(painted)
        steps, kept = hops(pattern), float(mass_kept(tables[name], pattern))
        reached = [float((steps <= layers).float().mean()) for layers in range(1, LAYERS + 1)]
        longest = float(steps.max())
        way = "some pairs never meet" if longest == float("inf") else f"the longest way takes {longest:.0f} layers"
        said = f"{int(pattern.sum())} of {n * n} pairs; {way}; {kept:.0%} of this map's mass is kept."
        return painted_map(pattern, tables[name], words, reached, kept), said

    rows = [f"{k + 1} {word}" for k, word in enumerate(words)]
    alt = (
        "A trained map under a pattern: pairs looked at are coloured by weight, of the others a dot shows the weight "
        "lost. Beside it the share of pairs, of mass, and the pairs reached after one to six layers."
    )
    return Explorer(
        draw, alt=alt,
        name=w.Dropdown(options=list(tables), description="map"),
        window=w.IntSlider(window, 0, n - 1, description="window w, each side"),
        stride=w.IntSlider(stride, 0, n - 1, description="stride (0: none)"),
        n_random=w.IntSlider(n_random, 0, 4, description="random places a row"),
        n_global=w.IntSlider(n_global, 0, 3, description="global tokens"),
        painted=ToggleGrid(rows, [str(k + 1) for k in range(n)]),
    )  # fmt: skip


def reach_slider(N: int = 41, window: int = 2, layers: int = 3) -> Explorer:
    """Move the window and the number of layers: which words can change the place in the middle."""
    at = N // 2

    def draw(window: int, layers: int, causal: bool) -> tuple[Figure, str]:
        pattern = pattern_of(N, window)
        if causal:
            pattern = pattern.tril()
        steps = hops(pattern)[at]
        reach = torch.stack([steps <= level for level in range(layers + 1)])
        said = f"w = {window}, L = {layers}: place {at} depends on {int(reach[-1].sum())} of {N} words"
        wanted = 1 + (1 if causal else 2) * window * layers
        said += f", 1 + {'' if causal else '2'}wL = {wanted}." if wanted <= N else ", the edges cut the rest off."
        return reach_view(reach, at, title=f"Who can change place {at}?"), said

    return Explorer(
        draw, window=w.IntSlider(window, 1, 6, description="window w, each side"),
        layers=w.IntSlider(layers, 1, 6, description="layers L"), causal=w.Checkbox(False, description="causal"),
        alt="A pyramid of places: one in the last layer, below it those that it depends on in each layer, down to the "
        "words.",
    )  # fmt: skip
