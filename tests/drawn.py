"""What a figure shows, read back: names with their lines and bars, maps as they are seen, colours as numbers, words in
their places. Used by tests of pictures (legibility.py asks whether they can be read, this what they say)."""

import itertools
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import PatchCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.text import Annotation
from pytest import approx

from course_utils.plots.style import MAP, ink


def lines(axes, names=None, turn=lambda y: y) -> dict[str, tuple[list[float], list[float]]]:
    """{name: (x, y)}: the name is that which stands at a line's end in the line's colour (see `label_line_ends`).

    `names`: the axes that hold the names, where it is another (a logarithmic axis), and `turn` what y is there.
    """
    found, ends = {}, []
    for note in (names or axes).texts:
        if not isinstance(note, Annotation) or note.get_anncoords() != "data" or not note.get_text():
            continue
        fits = []
        for line in axes.lines:
            x, y = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
            real = np.flatnonzero(~np.isnan(y))
            same_colour = to_hex(ink(line.get_color())) == to_hex(note.get_color())
            if len(real) and same_colour and np.allclose(note.xy, (x[real[-1]], turn(y[real[-1]]))):
                fits.append((x.tolist(), y.tolist()))
        assert len(fits) == 1, f"{note.get_text()!r} stands at the end of {len(fits)} lines of its colour"
        assert note.get_text() not in found, f"two lines are called {note.get_text()!r}"
        found[note.get_text()] = fits[0]
        ends.append((note.xy[1], note.get_position()[1], note.get_text()))
    for (low, under, one), (high, over, other) in itertools.pairwise(sorted(ends)):
        assert low == high or under < over, f"{one!r} stands above {other!r}, but its line ends below"
    return found


def heights(axes, *others, **options) -> dict[str, list[float]]:
    """{name: y} of `lines`."""
    return {name: y for name, (_, y) in lines(axes, *others, **options).items()}


def bands(axes) -> dict[str, list[tuple[float, float, float]]]:
    """{colour: (x, low, high) from left to right} of everything drawn with `fill_between`."""
    found = {}
    for band in axes.collections:
        if isinstance(band, PolyCollection):
            points = band.get_paths()[0].vertices
            across = sorted(set(points[:, 0].tolist()))
            ends = [(x, points[points[:, 0] == x][:, 1]) for x in across]
            found[to_hex(band.get_facecolor()[0])] = [(x, float(y.min()), float(y.max())) for x, y in ends]
    return found


class Bar(NamedTuple):
    """From `start` to `end`, at `place` of the other axis."""

    place: float
    start: float
    end: float
    colour: str
    hatch: str | None


def bars(axes, *, upright: bool = False) -> list[Bar]:
    """Filled bars by their place: lying ones from above to below (place rises), upright ones from left to right."""
    found = []
    for bar in axes.patches:
        if isinstance(bar, Rectangle) and bar.get_facecolor()[3] and bar.get_transform() != axes.transAxes:
            (x, y), wide, tall = bar.get_xy(), bar.get_width(), bar.get_height()
            place, start, far = (x + wide / 2, y, tall) if upright else (y + tall / 2, x, wide)
            found.append(Bar(float(place), float(start), float(start + far), to_hex(bar.get_facecolor()),
                             bar.get_hatch()))  # fmt: skip
    return sorted(found, key=lambda bar: round(bar.place, 6))


def ticks(axis) -> dict[float, str]:
    """{place: what is written there}."""
    return dict(zip((float(at) for at in axis.get_ticklocs()), (t.get_text() for t in axis.get_ticklabels()),
                    strict=True))  # fmt: skip


def named_bars(axes, *, upright: bool = False) -> dict[str, tuple[float, float]]:
    """{tick label: (start, end)} where every bar stands at a tick."""
    names = ticks(axes.xaxis if upright else axes.yaxis)
    return {names[round(bar.place, 6)]: (bar.start, bar.end) for bar in bars(axes, upright=upright)}


class Map(NamedTuple):
    values: np.ndarray  # as it is seen: the first row on top, the first column at the left; nan where nothing is
    low: float
    high: float
    cmap: str


def image(axes, k: int = 0) -> Map:
    """The k-th heat map of these axes."""
    meshes = [c for c in axes.collections if isinstance(c, QuadMesh)]
    shown = [*axes.images, *meshes][k]
    if isinstance(shown, QuadMesh):
        corners = shown.get_coordinates()
        first, last = corners[0, 0], corners[-1, -1]
        values = shown.get_array().reshape(corners.shape[0] - 1, corners.shape[1] - 1)
    else:
        left, right, bottom, top = shown.get_extent()
        first, last = ((left, top), (right, bottom)) if shown.origin == "upper" else ((left, bottom), (right, top))
        values = shown.get_array()
    values = np.ma.filled(np.ma.asarray(values).astype(float), np.nan)
    (x0, y0), (x1, y1) = axes.transData.transform([first, last])
    values = values[::-1] if y0 < y1 else values
    values = values[:, ::-1] if x0 > x1 else values
    return Map(values, *shown.get_clim(), shown.get_cmap().name)


def check_map(axes, values, low=0.0, high=1.0, cmap: str = MAP, k: int = 0) -> None:
    """These values, seen from above to below and from left to right, on colours from `low` to `high`."""
    shown = image(axes, k)
    assert shown.values == approx(np.asarray(values, dtype=float), nan_ok=True)
    assert (shown.low, shown.high, shown.cmap) == (approx(low), approx(high), cmap)


def value(colour, cmap: str = MAP) -> float:
    """The number (0 ... 1) that a colour of a heat map stands for, within 1/255."""
    table = colormaps[cmap](np.linspace(0, 1, 256))[:, :3]
    far = np.abs(table - np.asarray(colour, dtype=float)[:3]).sum(1)
    assert far.min() < 0.01, f"{to_hex(colour)} is no colour of {cmap}"
    return float(far.argmin() / 255)


def written(axes) -> list[str]:
    """Everything written into these axes (not their title, ticks and names)."""
    return [text.get_text() for text in axes.texts if text.get_text()]


def place(axes, said: str) -> tuple[float, float]:
    """Where it is written, once."""
    found = [text.get_position() for text in axes.texts if text.get_text() == said]
    assert len(found) == 1, f"{said!r} is written {len(found)} times: {written(axes)}"
    return tuple(map(float, found[0]))


def row(axes, y: float, *, within: float = 0.02) -> list[str]:
    """What is written at this height, from left to right."""
    found = [t for t in axes.texts if abs(t.get_position()[1] - y) <= within and t.get_text()]
    return [t.get_text() for t in sorted(found, key=lambda t: t.get_position()[0])]


def grid(axes, rows: int, columns: int) -> list[list[str]]:
    """What is written in the middles of a map's cells: row by row, "" where nothing is."""
    at = {(round(float(x), 3), round(float(y), 3)): text.get_text()
          for text in axes.texts for x, y in [text.get_position()]}  # fmt: skip
    return [[at.get((j, i), "") for j in range(columns)] for i in range(rows)]


def bold(axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_fontweight() == "bold"]


class Box(NamedTuple):
    x: float  # its centre
    y: float
    wide: float
    tall: float
    colour: tuple[float, float, float, float]
    edge: tuple[float, float, float, float]
    hatch: str | None = None


def boxes(drawn) -> list[Box]:
    """Rectangles of axes, or of one collection of patches, in the order in which they were drawn."""
    if isinstance(drawn, PatchCollection):
        faces, edges = drawn.get_facecolors(), drawn.get_edgecolors()
        found = []
        for k, path in enumerate(drawn.get_paths()):
            edge = tuple(edges[k % len(edges)]) if len(edges) else (0.0, 0.0, 0.0, 0.0)
            (x0, y0), (x1, y1) = path.vertices.min(0), path.vertices.max(0)
            found.append(Box((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, tuple(faces[k % len(faces)]), edge))
        return found
    return [Box(p.get_x() + p.get_width() / 2, p.get_y() + p.get_height() / 2, p.get_width(), p.get_height(),
                p.get_facecolor(), p.get_edgecolor(), p.get_hatch())
            for p in drawn.patches if isinstance(p, Rectangle)]  # fmt: skip


def collections(axes) -> list[PatchCollection]:
    return [c for c in axes.collections if isinstance(c, PatchCollection)]


def strips(collection, low: float = -1.0, high: float = 1.0) -> dict[float, list[float]]:
    """{x: numbers from above to below} of columns of coloured cells (`draw_strips`)."""
    found: dict[float, list[tuple[float, float]]] = {}
    for box in boxes(collection):
        found.setdefault(round(box.x, 4), []).append((box.y, low + value(box.colour) * (high - low)))
    return {x: [number for _, number in sorted(cells, reverse=True)] for x, cells in found.items()}


def hulls(collection) -> list[float]:
    """Heights of upright bars of a collection, from left to right."""
    return [box.tall for box in sorted(boxes(collection), key=lambda box: box.x)]


def arrows(axes) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """(start, end) of arrows: patches, and annotations without a text."""
    found = [p._posA_posB for p in axes.patches if isinstance(p, FancyArrowPatch)]
    found += [(note.get_position(), note.xy) for note in axes.texts if isinstance(note, Annotation) and not
              note.get_text()]  # fmt: skip
    return [tuple(tuple(float(v) for v in end) for end in ends) for ends in found]


def points(axes, marker: str | None = None) -> list[tuple[float, float, str]]:
    """(x, y, colour) of every point drawn without a line."""
    return [(float(x), float(y), to_hex(line.get_color())) for line in axes.lines
            if line.get_linestyle() in ("None", "none", "") or len(line.get_xdata()) == 1
            if marker is None or line.get_marker() == marker
            for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]  # fmt: skip


def labels(axes) -> tuple[str, str, str]:
    """(name of the x axis, of the y axis, title)."""
    return axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left") or axes.get_title()


def figure_texts(figure) -> list[str]:
    return [text.get_text() for text in figure.texts if text.get_text()]
