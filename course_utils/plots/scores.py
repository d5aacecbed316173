"""Pictures of attention scores: a query among keys in the plane, what a score makes of them. Notebook 08."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_utils.plots.style import BLUE, GREY, NORMAL, ORANGE, PALE, SMALL, ink, new_figure, styled


@dataclass(frozen=True)
class Compared:
    """One query, its keys, and what one score says of them."""

    words: Sequence[str]  # S
    query: np.ndarray  # (2,)
    keys: np.ndarray  # (S, 2)
    scores: np.ndarray  # (S,)
    name: str  # of the score, with its factor

    @property
    def weights(self) -> np.ndarray:
        """Softmax of the scores, (S,)."""
        powers = np.exp(self.scores - self.scores.max())
        return powers / powers.sum()


@styled
def compared(step: Compared, *, reach: float = 4.0) -> Figure:
    """Left: the query (orange) and the keys as arrows in the plane, as far as `reach`. Right: their scores, and the
    weights after the softmax."""
    if not 1 <= len(step.words) == len(step.keys) == len(step.scores) <= 5:
        found = f"{len(step.words)} words, {len(step.keys)} keys and {len(step.scores)} scores"
        raise ValueError(f"{found}: needed are equally many, 1 to 5.")
    figure = new_figure(8.0, 3.9)
    plane = figure.add_axes((0.08, 0.15, 0.40, 0.80))
    plane.set(xlim=(-reach / 2, reach), ylim=(-reach / 4, 0.9 * reach), xlabel="first entry", ylabel="second entry")
    plane.axhline(0, color=PALE, lw=1, zorder=0)
    plane.axvline(0, color=PALE, lw=1, zorder=0)
    best = int(step.weights.argmax())
    for j, (word, key) in enumerate(zip(step.words, step.keys, strict=True)):
        past = float(step.query[0] * key[1] - step.query[1] * key[0]) > 0  # left of the query: named on its left
        _vector(plane, key, BLUE, 2.6 if j == best else 1.4, word, reach, "right" if past else "left")
    _vector(plane, step.query, ORANGE, 2.6, "query", reach)
    _bars(figure.add_axes((0.55, 0.60, 0.44, 0.30)), step.words, step.scores, f"scores: {step.name}", None)
    _bars(figure.add_axes((0.55, 0.13, 0.44, 0.30)), step.words, step.weights, "weights", 1.0)
    return figure


def _vector(axes: Axes, end: np.ndarray, colour: str, wide: float, name: str, reach: float, ha="left") -> None:
    low, high = np.array([-reach / 2, -reach / 4]), np.array([reach, 0.9 * reach])
    seen = np.clip(end, low + 0.02, high - 0.02)  # an arrow beyond the picture ends at its edge
    axes.annotate("", xy=seen, xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "lw": wide, "color": colour})
    room = 0.3 * reach  # of a name, on the side where it stands
    low, high = low + [room if ha == "right" else 0.15, 0.15], high - [room if ha == "left" else 0.15, 0.3]
    x, y = np.clip(seen + [0.05 if ha == "left" else -0.05, 0.1 if seen[1] >= 0 else -0.35], low, high)
    axes.text(x, y, name, ha=ha, va="bottom", fontsize=SMALL, color=ink(colour))


def _bars(axes: Axes, words: Sequence[str], values: np.ndarray, title: str, limit: float | None) -> None:
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    if limit is None:
        room = 0.3 * max(high - low, 1e-9)
        axes.set_ylim(low - (room if low < 0 else 0), high + room)
    else:
        axes.set_ylim(0, 1.25 * limit)
    best = int(values.argmax())
    axes.bar(range(len(words)), values, width=0.6, color=[BLUE if j == best else PALE for j in range(len(words))],
             edgecolor="black", lw=0.8)  # fmt: skip
    axes.axhline(0, color=GREY, lw=0.8)
    for j, value in enumerate(values):
        axes.annotate(f"{value:.2f}", (j, value), (0, 3 if value >= 0 else -3), textcoords="offset points", ha="center",
                      va="bottom" if value >= 0 else "top", fontsize=SMALL)  # fmt: skip
    axes.set_xticks(range(len(words)), list(words))
    axes.set_xlim(-0.6, len(words) - 0.4)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_title(title, fontsize=NORMAL)
