"""Can a figure be read? Used by the tests of pictures."""

import itertools

from matplotlib.text import Text


def texts(figure) -> list[tuple[str, float, object]]:
    """(text, size, box in pixels) of everything written."""
    figure.draw_without_rendering()  # lays everything out, but paints nothing: the same boxes in half the time
    renderer = figure.canvas.get_renderer()
    found = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    for axes in figure.axes:  # ticks outside the limits are objects, but are not drawn
        if not axes.axison:
            found = [t for t in found if t.axes is not axes or t in axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            drawn = {label for tick in axis._update_ticks() for label in (tick.label1, tick.label2)}
            found = [t for t in found if t in drawn or not _is_tick(t, axis)]
    return [(t.get_text(), t.get_fontsize(), Text.get_window_extent(t, renderer)) for t in found]


def _is_tick(text, axis) -> bool:
    return any(text in (tick.label1, tick.label2) for tick in (*axis.majorTicks, *axis.minorTicks))


def check_legible(figure) -> None:
    """Wide enough; every text at least 12 pt, inside the picture, and none over another."""
    width, height = figure.get_size_inches() * figure.dpi
    assert width >= 700
    written = texts(figure)
    for text, size, box in written:
        assert size >= 12, f"{text!r} is set in {size} pt"
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{text!r} leaves the picture: {box}"
    for (one, _, a), (other, _, b) in itertools.combinations(written, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide < 2.5 or high < 5, f"{one!r} is written over {other!r} by {wide:.0f} x {high:.0f} pixels"
