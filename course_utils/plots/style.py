"""How every figure of the course looks: colours, sizes, text, and how it reaches the page.

Figures are plain matplotlib `Figure` objects without pyplot: nothing to close, nothing shown twice. Colours are those
of Okabe and Ito (2008), told apart also by most colour-blind eyes; lines differ in marker and dash as well, so that a
grey print can be read. Text is 12 pt or more at 8 inches: readable from the last row.
"""

import base64
import functools
import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis, Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from PIL import Image

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)
GREY, PALE = "#666666", "#E8E8E8"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, BLACK, SKY)  # one series after the other
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
MAP = "cividis"  # heat maps: even steps of lightness, also in grey

SMALL, NORMAL, LARGE = 12, 13, 15
STYLE = {
    "font.family": "DejaVu Sans", "font.size": NORMAL, "axes.titlesize": LARGE, "axes.labelsize": NORMAL,
    "xtick.labelsize": SMALL, "ytick.labelsize": SMALL, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": False, "lines.linewidth": 2.0, "lines.markersize": 7, "figure.dpi": 100, "savefig.dpi": 100,
    "axes.titlelocation": "left", "mathtext.fontset": "dejavusans", "hatch.linewidth": 0.8,
    "axes.titley": 1.0,  # else it is found by measuring all tick labels, a fifth of a redraw; none stand on top here
}  # fmt: skip


@functools.cache
def _settings() -> dict:
    """Every setting of matplotlib: its own defaults, then STYLE. The backend is left alone."""
    settings = mpl.RcParams({k: v for k, v in mpl.rcParamsDefault.items() if not k.startswith("backend")})
    settings.update(STYLE)
    return dict(settings)


_styled = False  # inside a block of house_style


@contextmanager
def house_style() -> Iterator[None]:
    """The course's settings and nothing of what a style, a matplotlibrc or `rcParams` has set, until the block ends.
    A block inside a block changes nothing."""
    global _styled
    if _styled:
        yield
        return
    before = dict.copy(mpl.rcParams)
    before.pop("backend", None)  # matplotlib may have chosen one by then
    dict.update(mpl.rcParams, _settings())  # they are checked: rcParams.update would check 300 values a figure
    _styled = True
    try:
        yield
    finally:
        _styled = False
        dict.update(mpl.rcParams, before)


def styled(draw: Callable) -> Callable:
    """Decorator: `draw` runs under the course's style, whatever the notebook has set before."""

    @functools.wraps(draw)
    def wrapped(*args, **kwargs):
        with house_style():
            return draw(*args, **kwargs)

    return wrapped


@functools.lru_cache(maxsize=4096)
def _inked(
    text: str, font: FontProperties, dpi: float, angle: float, x: float, y: float, ismath: bool, smooth: bool
) -> tuple[np.ndarray, int, int]:
    """How much ink `text` leaves on each pixel (rows, columns; 0 ... 255) if it begins at (x, y) of a pixel, both in
    [0, 1) and y downwards, and where the lower left corner of these pixels lies from there."""
    wide, high, below = RendererAgg(1, 1, dpi).get_text_width_height_descent(text, font, ismath)
    far = math.ceil(wide + high) + 8
    left, top, right, bottom = (8, math.ceil(high - below) + 8, far, math.ceil(below) + 8) if angle == 0 else (far,) * 4
    paper = RendererAgg(left + right, top + bottom, dpi)
    gc = paper.new_gc()
    gc.set_antialiased(smooth)
    RendererAgg.draw_text(paper, gc, left + x, top + y, text, font, angle, ismath)
    ink = np.asarray(paper.buffer_rgba())[:, :, 3]
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        return np.zeros((1, 1), np.uint8), 0, 0
    ink = np.ascontiguousarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return ink, int(columns[0]) - left, int(rows[-1]) + 1 - top


class Renderer(RendererAgg):
    """Writes a text as a stamp that is cut when the text is first met: matplotlib sets it letter by letter each time,
    a third of a redraw."""

    def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        column, row = math.floor(x), math.floor(y)
        stamp, right, down = _inked(
            s, prop.copy(), self.dpi, angle, x - column, y - row, bool(ismath), gc.get_antialiased()
        )
        self._renderer.draw_text_image(stamp, column + right, row + down, 0, gc)


@functools.lru_cache(maxsize=4)
def _renderer(width: int, height: int, dpi: float) -> Renderer:
    return Renderer(width, height, dpi)


class Canvas(FigureCanvasAgg):
    """Figures of one size share a drawing surface, and with it what matplotlib has learnt about the widths of words:
    a redraw saves a tenth of its time. Whoever wants the pixels takes them right after `draw()`, as `to_png` does."""

    def get_renderer(self) -> RendererAgg:
        width, height = self.get_width_height(physical=True)
        self.renderer = _renderer(width, height, self.figure.dpi)
        return self.renderer


def _like_the_first(first: Tick, new: Tick) -> None:
    """Under the course's style a new tick is like the first but for the outline to which its line of a grid is clipped;
    whoever draws the figure without that style gets a copy."""
    if _styled:
        Artist.update_from(new.gridline, first.gridline)
    else:
        Axis._copy_tick_props(new.axes.xaxis, first, new)


class Page(Figure):
    """A figure whose axes work out their own outline once: each thing drawn is clipped to it and asks. New ticks are as
    `tick_params` says, without all properties of the first one copied once more (a tenth of a redraw)."""

    def add_axes(self, *args, **kwargs) -> Axes:
        axes = super().add_axes(*args, **kwargs)
        outline = axes.patch.get_transform()
        axes.patch.get_transform = lambda: outline
        axes.xaxis._copy_tick_props = axes.yaxis._copy_tick_props = _like_the_first
        return axes


@styled
def new_figure(width: float = 8.0, height: float = 4.5, dpi: int = 100, layout: str | None = None) -> Figure:
    """An empty figure, sizes in inches, that can draw itself. `layout="constrained"` makes room for labels by itself
    (and costs about 60 ms; widgets set their margins by hand)."""
    figure = Page(figsize=(width, height), dpi=dpi, layout=layout)
    Canvas(figure)
    return figure


@styled
def canvas_in_inches(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one invisible axes whose unit is the inch, origin at the lower left: for drawn diagrams."""
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    fixed(axes)
    return figure, axes


def fixed(axes: Axes) -> None:
    """The limits of `axes` are set by hand: what is drawn from here on is not measured in search of them (a sixth of
    the time of a chart of bars)."""
    axes._update_patch_limits = axes._update_line_limits = lambda _: None


def line(axes: Axes, x: Sequence[float], y: Sequence[float], **look) -> None:
    """`axes.plot` for one line within limits that are set by hand, in a quarter of its time."""
    axes.add_artist(Line2D(x, y, **look))


def to_png(figure: Figure, *, quick: bool = False) -> bytes:
    """The figure as a PNG: the same figure gives the same bytes. The file names its matplotlib version, so that a
    comparison knows whether equal pixels can be expected.

    `quick`: for a picture that is thrown away after it was drawn, a widget's. The pixels are the same, the file is a
    little larger, and the figure is not to be changed any more.
    """
    if quick:
        for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
            if not axis.label.get_text():
                axis.set_label_coords(0.5, 0.0)  # else all tick labels are measured once more, to place no word
    with house_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a typed letter that DejaVu lacks: a box
        figure.canvas.draw()
    return png(figure.canvas.buffer_rgba(), level=1 if quick else 6)


def png(pixels: np.ndarray, level: int = 6) -> bytes:
    """(height, width, 4), opaque -> PNG without an alpha channel. Rows are not filtered, as Pillow would filter them:
    for lines and letters on white that is quicker, and smaller too."""
    height, width, _ = np.shape(pixels)
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with the number of its filter
    rgb = Image.frombuffer("RGBA", (width, height), pixels, "raw", "RGBA", 0, 1).convert("RGB")
    rows[:, 1:] = np.asarray(rgb).reshape(height, -1)
    chunks = [
        (b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)),
        (b"tEXt", f"Software\0Matplotlib version{mpl.__version__}, via Pillow".encode()),
        (b"IDAT", zlib.compress(rows, level)),
        (b"IEND", b""),
    ]
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
             for kind, data in chunks]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def packed(picture: bytes) -> bytes:
    """A quick PNG as the file that `to_png` makes without haste."""
    return png(np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA")))


def checked_alt(alt: str) -> str:
    """`alt` on one line, or a ValueError: a figure without words is lost to whoever cannot see it."""
    if not isinstance(alt, str) or len(alt.split()) < 3:
        raise ValueError(f"alt={alt!r}: say in a sentence what the figure shows, for those who cannot see it.")
    return " ".join(alt.split())


def image_bundle(png: bytes, alt: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """(data, metadata) of a Jupyter output: the picture, with `alt` both as its text form (what nbval compares, what a
    terminal shows) and as `metadata["image/png"]["alt"]`. nbconvert's pages read the latter; JupyterLab 4.6 does not
    read it, its `<img>` stays without alt, so the notebook's text says what is to be seen as well."""
    alt = checked_alt(alt)
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": f"[figure] {alt}"}
    return data, {"image/png": {"alt": alt}}


def show(figure: Figure, alt: str) -> None:
    """Display `figure` in the notebook. `alt` says in one or two sentences what is to be seen; keep trained numbers
    out of it unless the cell is tagged `nbval-ignore-output`."""
    from IPython.display import display

    data, metadata = image_bundle(to_png(figure), alt)
    display(data, metadata=metadata, raw=True)


def ink(colour: str) -> tuple[float, float, float]:
    """`colour` darkened until text of it on white has a contrast of 4.5 : 1 (WCAG 2, level AA)."""
    rgb = np.array(to_rgb(colour))
    while contrast_with_white(rgb) < 4.5:
        rgb = rgb * 0.96
    return tuple(float(c) for c in rgb)


def contrast_with_white(rgb: Sequence[float]) -> float:
    """Contrast ratio of a colour on white, 1 to 21 (WCAG 2 relative luminance)."""
    rgb = np.asarray(rgb, dtype=float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return 1.05 / (float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)


def text_on(rgba: Sequence[float]) -> str:
    """Black or white, whichever reads better on this colour."""
    return "white" if contrast_with_white(rgba[:3]) > 4.5 else "black"


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move numbers apart until neighbours are `gap` apart, as little as possible, within [low, high].

    If they cannot all fit, they are spaced evenly over the whole range.
    """
    n = len(wanted)
    if n == 0:
        return []
    order = np.argsort(wanted, kind="stable")
    if (n - 1) * gap >= high - low:
        placed = np.linspace(low, high, n) if n > 1 else np.array([(low + high) / 2])
    else:
        placed = np.clip(np.asarray(wanted, dtype=float)[order], low, high)
        groups = [[float(p), 1] for p in placed]  # [mean wanted place, labels]: touching groups merge
        i = 1
        while i < len(groups):
            (a, na), (b, nb) = groups[i - 1], groups[i]
            if b - a < gap * (na + nb) / 2:
                centre = (a * na + b * nb) / (na + nb)
                half = gap * (na + nb - 1) / 2
                groups[i - 1 : i + 1] = [[min(max(centre, low + half), high - half), na + nb]]
                i = max(1, i - 1)
            else:
                i += 1
        placed = np.concatenate([c + gap * (np.arange(k) - (k - 1) / 2) for c, k in groups])
    result = np.empty(n)
    result[order] = placed
    return [float(r) for r in result]


def label_line_ends(axes: Axes, labels: Sequence[tuple[str, float, float, str]]) -> None:
    """Write each name at the right end of its line instead of in a legend; names that would overlap are moved apart
    and tied to their line. `labels`: (name, x end, y end, colour). Call when the y limits stand."""
    low, high = axes.get_ylim()
    inches = axes.get_position().height * axes.figure.get_figheight()
    gap = (high - low) * (NORMAL * 1.25 / 72) / inches  # one line of text, in data units
    places = spread([y for _, _, y, _ in labels], gap, low + gap / 2, high - gap / 2)
    right = axes.get_xlim()[1]
    width = right - axes.get_xlim()[0]
    for (name, x, y, colour), place in zip(labels, places, strict=True):
        axes.annotate(
            name, xy=(x, y), xytext=(right + 0.02 * width, place), color=ink(colour), va="center", ha="left",
            fontsize=NORMAL, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 1, "shrinkA": 1, "shrinkB": 5, "relpos": (0, 0.5)},
        )  # fmt: skip
