"""Primitives from which every architecture of the course is drawn: boxes, states, vectors, arrows, fans, blocks.

A `Drawing` is a canvas whose unit is the inch, so that 12 pt stay 12 pt. Every primitive takes the *centre* of what it
draws and returns a `Node`, whose ports (`node.top`, `node.at(0.25, 1)`) are where arrows begin and end:

    drawing = Drawing(8, 3, stage=2)
    word = drawing.text(1, 0.4, "apple")
    state = drawing.state(1, 1.2, "h₁", role="encoder")
    drawing.arrow(word.top, state.bottom)
    drawing.part(2)                                    # whatever follows comes with stage 2
    drawing.arrow(state.right, drawing.box(4, 1.2, 1.6, 0.5, "softmax", role="attention").left)

Stages: what belongs to a later stage is left out (but keeps its place), what belongs to this stage is drawn strong,
what was there before is drawn pale. Without a stage everything is there, and strong. Colours say the part that a thing
plays (`ROLES`), the same in all drawings, and differ in lightness, so that a grey print can be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path
from matplotlib.textpath import TextToPath

from course_utils.plots.style import (
    GREEN,
    GREY,
    NORMAL,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    SMALL,
    canvas_in_inches,
    ink,
    text_on,
)


def tint(colour: str | tuple, share: float) -> tuple[float, float, float]:
    """`colour` mixed with white: `share` of it is left (1: all, 0: white)."""
    return tuple(float(1 - share * (1 - c)) for c in to_rgb(colour))


ROLES = {
    "plain": (1.0, 1.0, 1.0),  # words, operations
    "encoder": tint(SKY, 0.42),
    "decoder": tint(ORANGE, 0.75),
    "attention": tint(GREEN, 0.72),
    "output": ink(PURPLE),
    "query": tint(ORANGE, 0.75),  # in a decoder with attention the decoder asks and the encoder has the keys
    "key": tint(SKY, 0.42),
    "value": to_rgb(PALE),
}
STATE = (0.62, 0.42)  # inches: a state's width and height
CELL = (0.24, 0.24)  # a vector's cell without a number
NUMBER = (0.56, 0.28)  # a cell with one
PAST = 0.3  # share of its colour that a part of an earlier stage keeps
SIDES = {  # where an arrow's label stands
    "right": (0.09, 0, {"ha": "left", "va": "center"}),
    "left": (-0.09, 0, {"ha": "right", "va": "center"}),
    "above": (0, 0.06, {"va": "bottom"}),
    "below": (0, -0.06, {"va": "top"}),
}


class Port(NamedTuple):
    """A place on a node's border (or, without a node, anywhere)."""

    x: float
    y: float
    node: "Node | None" = None


@dataclass(frozen=True)
class Node:
    """Something drawn, as the rectangle (or circle) it fills; all numbers in inches. `cells`: those of a vector."""

    x: float  # its centre
    y: float
    wide: float
    tall: float
    round: bool = False  # a circle
    cells: tuple["Node", ...] = ()

    @property
    def top(self) -> Port:
        return self.at(0.5, 1)

    @property
    def bottom(self) -> Port:
        return self.at(0.5, 0)

    @property
    def left(self) -> Port:
        return self.at(0, 0.5)

    @property
    def right(self) -> Port:
        return self.at(1, 0.5)

    def at(self, u: float, v: float) -> Port:
        """The port at shares u of the width (from the left) and v of the height (from below)."""
        return Port(self.x + (u - 0.5) * self.wide, self.y + (v - 0.5) * self.tall, self)

    def towards(self, other: "Node | Port") -> Port:
        """Where the straight line from this centre to the other's leaves the border."""
        dx, dy = other.x - self.x, other.y - self.y
        if self.round:
            length = np.hypot(dx, dy)
            return Port(self.x + dx / length * self.wide / 2, self.y + dy / length * self.wide / 2, self)
        share = min(self.wide / 2 / abs(dx) if dx else np.inf, self.tall / 2 / abs(dy) if dy else np.inf)
        return Port(self.x + share * dx, self.y + share * dy, self)

    def border_distance(self, x: float, y: float) -> float:
        """How far a point is from the border (0: on it)."""
        if self.round:
            return abs(float(np.hypot(x - self.x, y - self.y)) - self.wide / 2)
        across, up = abs(x - self.x) - self.wide / 2, abs(y - self.y) - self.tall / 2
        return float(np.hypot(max(across, 0), max(up, 0))) if max(across, up) > 0 else float(-max(across, up))


class Arrow(PathPatch):
    """An arrow's line. It knows its corner points (inches) and the nodes that it ties together."""

    def __init__(self, points: Sequence[tuple], path: Path, **style) -> None:
        super().__init__(path, fill=False, capstyle="butt", joinstyle="round", **style)
        self.points = [(p[0], p[1]) for p in points]
        self.source, self.target = (getattr(p, "node", None) for p in (points[0], points[-1]))


class Drawing:
    """An empty canvas, `wide` x `tall` inches. `stage`: how far a drawing with stages has grown; None: to its end."""

    def __init__(self, wide: float, tall: float, stage: int | None = None) -> None:
        self.figure, self.axes = canvas_in_inches(wide, tall)
        self.wide, self.tall, self.stage, self.now = wide, tall, stage, 0

    def part(self, stage: int) -> None:
        """What is drawn from here on belongs to `stage`."""
        self.now = stage

    @property
    def there(self) -> bool:
        return self.stage is None or self.now <= self.stage

    @property
    def past(self) -> bool:
        """Is it there already, and something newer is what matters? (Part 0, the ground, stays as it is.)"""
        return self.stage is not None and 0 < self.now < self.stage

    def shade(self, colour) -> tuple[float, float, float]:
        """A fill or a line's colour, as strong as this part is now."""
        return tint(colour, PAST) if self.past else to_rgb(colour)

    def _words(self, x, y, said, colour="black", size=SMALL, **style) -> None:
        if not (self.there and said):
            return
        if not {"va", "rotation"} & set(style) and not {"\n", "$"} & set(said):  # neighbours stand on one line
            y, style["va"] = y - 0.34 * size / 72, "baseline"
        style = {"ha": "center", "va": "center", "linespacing": 1.15, "zorder": 5} | style
        self.axes.text(x, y, said, fontsize=size, color=GREY if self.past else colour, **style)

    def text(self, x: float, y: float, said: str, *, size: float = SMALL, ha: str = "center", colour="black",
             bold: bool = False, upright: bool = False) -> Node:  # fmt: skip
        """Words at (x, y), which is their centre or, with `ha`, the middle of their left or right side. `upright`:
        from below to above, centred."""
        weight = "bold" if bold else "normal"
        style = {"rotation": 90} if upright else {}
        self._words(x, y, said, colour, size, ha=ha, fontweight=weight, **style)
        wide, tall = text_size(said, size, weight)
        if upright:
            return Node(x, y, tall + 0.08, wide + 0.08)
        return Node(x + {"center": 0, "left": 0.5, "right": -0.5}[ha] * wide, y, wide + 0.08, tall + 0.08)

    def box(self, x: float, y: float, wide: float, tall: float, label: str = "", *, role: str = "plain",
            size: float = SMALL, upright: bool = False) -> Node:  # fmt: skip
        """A box with rounded corners and its label inside (`upright`: from below to above), coloured by its role."""
        self._fits(label, size, tall if upright else wide)
        node = Node(x, y, wide, tall)
        if self.there:
            fill = self.shade(ROLES[role])
            self.axes.add_patch(_rounded_box(node, 0.08, fc=fill, ec=self.shade("black"), lw=1.3, zorder=3))
            style = {"rotation": 90} if upright else {}
            self._words(x, y, label, text_on(fill), size, **style)
        return node

    def state(self, x: float, y: float, label: str, *, role: str = "encoder", wide: float = STATE[0]) -> Node:
        """A recurrent state: a box of one size in all drawings."""
        return self.box(x, y, wide, STATE[1], label, role=role, size=NORMAL)

    def operation(self, x: float, y: float, sign: str, *, role: str = "plain") -> Node:
        """A small circle with +, ×, Σ …"""
        if self.there:
            fill = self.shade(ROLES[role])
            self.axes.add_patch(Circle((x, y), 0.17, fc=fill, ec=self.shade("black"), lw=1.3, zorder=3))
            self._words(x, y, sign, text_on(fill), NORMAL, va="center")
        return Node(x, y, 0.34, 0.34, round=True)

    def vector(self, x: float, y: float, numbers: int | Sequence[float | str], *, role: str = "plain", row: bool = True,
               cell: tuple[float, float] | None = None, pitch: float | None = None) -> Node:  # fmt: skip
        """A vector as a row (or column) of cells: so many empty ones, or one with each number (or word) in it.

        `pitch`: from one cell's centre to the next one's (cells that stand apart, each under its own word).
        """
        said = [""] * numbers if isinstance(numbers, int) else [n if isinstance(n, str) else number(n) for n in numbers]
        wide, tall = cell or (NUMBER if any(said) else CELL)
        step = pitch or (wide if row else tall)
        away = step * (np.arange(len(said)) - (len(said) - 1) / 2)
        places = [(x + d, y) if row else (x, y - d) for d in away]
        fill = self.shade(ROLES[role])
        for (a, b), word in zip(places, said, strict=True):
            if self.there:
                self.axes.add_patch(Rectangle((a - wide / 2, b - tall / 2), wide, tall, fc=fill, ec=self.shade("black"),
                                              lw=1.1, zorder=3))  # fmt: skip
                self._words(a, b, word, text_on(fill))
            self._fits(word, SMALL, wide)
        span = step * (len(said) - 1)
        cells = tuple(Node(a, b, wide, tall) for a, b in places)
        return Node(x, y, wide + span * row, tall + span * (not row), cells=cells)

    def arrow(self, start: Port | Node | tuple, end: Port | Node | tuple, label: str = "", *, via: Sequence[tuple] = (),
              colour: str = "black", lw: float = 1.5, dashed: bool = False, head: bool = True, curved: bool = False,
              side: str = "right") -> None:  # fmt: skip
        """From port to port (or from node to node, straight), around the corners `via`. Its label stands at the middle
        of the longest straight piece, on one `side` (right, left, above, below). `curved`: leaves and arrives
        vertically, in an S."""
        if isinstance(start, Node):
            start = start.towards(_first(via, end))
        if isinstance(end, Node):
            end = end.towards(_first(list(via)[::-1], start))
        points = [start, *(Port(*p) for p in via), end]
        if not self.there:
            return
        places = np.array([(p[0], p[1]) for p in points])
        colour, ends = self.shade(colour), places.copy()
        if head:
            long = 0.1 + 0.016 * lw
            along = np.array([0.0, np.sign(ends[-1, 1] - ends[0, 1])]) if curved else ends[-1] - ends[-2]
            along = along / np.hypot(*along) * long
            aside = np.array([-along[1], along[0]]) * 0.42
            tip, base = places[-1], places[-1] - along
            self.axes.add_patch(Polygon([tip, base + aside, base - aside], fc=colour, lw=0, zorder=4))
            ends[-1] = base + 0.1 * along
        path = _s_curve(ends) if curved else _rounded(ends)
        dash = (0, (3, 1.6)) if dashed else "-"
        self.axes.add_patch(Arrow(points, path, ec=colour, lw=lw, linestyle=dash, zorder=2))
        if label:
            k = int(np.argmax(np.hypot(*(places[1:] - places[:-1]).T)))
            x, y = (places[k] + places[k + 1]) / 2
            dx, dy, style = SIDES[side]
            self._words(x + dx, y + dy, label, **style)

    def fan(
        self, starts: Sequence[Port | Node], end: Port | Node, weights: Sequence[float] | None = None, *,
        colour: str = GREEN,
    ) -> None:  # fmt: skip
        """Lines from many to one, as thick and as strong as their weights (0 … 1; None: all alike)."""
        shares = [0.3] * len(starts) if weights is None else [float(w) for w in weights]
        for start, share in sorted(zip(starts, shares, strict=True), key=lambda pair: pair[1]):
            strength = tint(colour, 0.3 + 0.7 * min(1.0, share) ** 0.5)
            self.arrow(start, end, colour=strength, lw=0.8 + 6.2 * share, head=False)

    def block(self, nodes: Sequence[Node], title: str = "", *, times: str = "", pad: float = 0.14,
              role: str | None = None) -> Node:  # fmt: skip
        """A rounded frame around things that belong together, its title on top, how often it is stacked (`× N`)
        at its upper right."""
        low_x, high_x = min(n.x - n.wide / 2 for n in nodes) - pad, max(n.x + n.wide / 2 for n in nodes) + pad
        low_y, high_y = min(n.y - n.tall / 2 for n in nodes) - pad, max(n.y + n.tall / 2 for n in nodes) + pad
        frame = Node((low_x + high_x) / 2, (low_y + high_y) / 2, high_x - low_x, high_y - low_y)
        if self.there:
            fill = "none" if role is None else tint(ROLES[role], 0.12 if self.past else 0.3)
            self.axes.add_patch(_rounded_box(frame, 0.12, fc=fill, ec=self.shade(GREY), lw=1.2, zorder=1))
        self._words(frame.x, high_y + 0.05, title, va="bottom", fontweight="bold")
        self._words(high_x + 0.12, high_y - 0.2, times, size=18, ha="left", fontweight="bold")
        return frame

    def brace(self, start: tuple[float, float], end: tuple[float, float], label: str = "") -> None:
        """A curly brace from `start` to `end`, its tip and label to the left of that way (walk right: it points up;
        walk left: down; walk down: to the right)."""
        if not self.there:
            return
        a, b = np.array(start, dtype=float), np.array(end, dtype=float)
        along = (b - a) / np.hypot(*(b - a))
        out = np.array([-along[1], along[0]])
        length, d = float(np.hypot(*(b - a))), 0.09
        steps = [(0, 0), (0, d), (d, d), (length / 2 - d, d), (length / 2, d), (length / 2, 2 * d), (length / 2, d),
                 (length / 2 + d, d), (length - d, d), (length, d), (length, 0)]  # fmt: skip
        C, L = Path.CURVE3, Path.LINETO
        codes = [Path.MOVETO, C, C, L, C, C, C, C, L, C, C]
        places = [a + s * along + o * out for s, o in steps]
        self.axes.add_patch(PathPatch(Path(places, codes), fill=False, ec=self.shade(GREY), lw=1.5, zorder=2))
        x, y = (a + b) / 2 + 2 * d * out + 0.06 * out
        ha = "center" if abs(out[0]) < 0.5 else ("left" if out[0] > 0 else "right")
        va = "center" if abs(out[1]) < 0.5 else ("bottom" if out[1] > 0 else "top")
        self._words(x, y, label, ha=ha, va=va)

    def _fits(self, label: str, size: float, wide: float) -> None:
        needed = text_size(label, size)[0] if label else 0
        if needed > wide:
            raise ValueError(f"{label!r} needs {needed:.2f} inches, its box has {wide:.2f}: shorten it (see `fitted`).")


@lru_cache(maxsize=4096)
@lru_cache(maxsize=4096)
def text_size(said: str, size: float, weight: str = "normal") -> tuple[float, float]:
    """Width and height in inches of (possibly several lines of) text in the course's font."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    lines = said.split("\n")
    wide = max(TextToPath().get_text_width_height_descent(line, font, ismath="$" in line)[0] for line in lines)
    return wide / 72, size * (1.0 + 1.35 * (len(lines) - 1)) / 72


def fitted(word: str, room: float, size: float = SMALL) -> str:
    """`word`, cut at its end with an ellipsis until it fits into `room` inches."""
    if text_size(word, size)[0] <= room:
        return word
    for n in range(len(word) - 1, 0, -1):
        if text_size(word[:n] + "…", size)[0] <= room:
            return word[:n] + "…"
    return "…"


def number(value: float, digits: int = 2) -> str:
    """Rounded, a true minus, no more zeros than needed: 0.67, −1, 2.5."""
    said = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if said == "-0" else said.replace("-", "−")


def sub(text: int | str) -> str:
    """As subscript letters (mathtext would take several times as long): sub("i−1") is "ᵢ₋₁"."""
    return str(text).translate(str.maketrans("0123456789ijkt-−+", "₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₜ₋₋₊"))


def _rounded_box(node: Node, radius: float, **style) -> FancyBboxPatch:
    r = min(radius, node.wide / 4, node.tall / 4)
    corner = (node.x - node.wide / 2 + r, node.y - node.tall / 2 + r)
    inner = node.wide - 2 * r, node.tall - 2 * r
    return FancyBboxPatch(corner, *inner, boxstyle=f"round,pad={r},rounding_size={r}", **style)


def _first(via: Sequence[tuple], otherwise: Port | Node | tuple) -> Port | Node:
    place = via[0] if len(via) else otherwise
    return place if isinstance(place, Node | Port) else Port(*place)


def _rounded(places: np.ndarray, radius: float = 0.1) -> Path:
    """A path through the points, its corners rounded."""
    vertices, codes = [places[0]], [Path.MOVETO]
    for before, at, after in zip(places[:-2], places[1:-1], places[2:], strict=True):
        to, away = before - at, after - at
        r = min(radius, np.hypot(*to) / 2, np.hypot(*away) / 2)
        vertices += [at + to / max(np.hypot(*to), 1e-9) * r, at, at + away / max(np.hypot(*away), 1e-9) * r]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*vertices, places[-1]], [*codes, Path.LINETO])


def _s_curve(places: np.ndarray) -> Path:
    a, b = places[0], places[-1]
    half = (b[1] - a[1]) / 2
    return Path([a, a + [0, half], b - [0, half], b], [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
