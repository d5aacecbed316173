"""Controls above one picture: the widget pattern of the whole course.

    Explorer(draw, alt="...", layer=IntSlider(0, 0, 3))         draw(layer=0) -> Figure, or (Figure, a line of text)

`draw` is a pure function; the Explorer redraws its one picture whenever a control changes: nothing flickers, no figures
pile up. The first frame needs no click and is stored in the notebook as a plain PNG with its text, so that GitHub, a
printed page and strict nbval have something to show and to compare. Any ipywidget with a `value` is a control, those
of `course_utils.widgets.controls` too.
"""

import gc
import html
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets as w
from matplotlib.figure import Figure

from course_utils.plots.style import checked_alt, image_bundle, packed, to_png

log = logging.getLogger("course_utils.widgets")
log.addHandler(logging.NullHandler())  # `logging.basicConfig()` in a notebook shows what is logged here

# An ipywidgets Image cannot have an alt attribute, so screen readers find the alt text in a line that is not seen.
HIDDEN = '<span style="position:absolute; width:1px; height:1px; clip-path:inset(50%)">Picture: {}</span>'
SORRY = "This setting could not be drawn: change a control to go on."


class Explorer(w.VBox):
    """Attributes for whoever tests or teaches: `controls`, `picture` (an Image), `text` (the line under the controls),
    `error` (the sentence shown instead, or None) and `details` (the traceback behind it)."""

    def __init__(self, draw: Callable[..., Figure | tuple[Figure, str]], *, alt: str, **controls: w.Widget) -> None:
        """`alt` says what the picture shows, for those who cannot see it; the line of text carries the numbers.

        An error in the first frame is raised (it is the notebook's); later ones become one sentence for the student:
        a ValueError's own words, or SORRY.
        """
        self._draw, self.alt, self.controls = draw, checked_alt(alt), controls
        self.picture = w.Image(format="png")  # no tooltip: JupyterLab 4.6 cannot show an Image that has one
        self.note = w.HTML()
        self.text, self.error, self.details = "", None, ""
        self._waiting, self._drawn = 0, None  # open `together` blocks; the values of the present picture
        for control in controls.values():
            if hasattr(control, "style") and hasattr(control.style, "description_width"):
                control.style.description_width = "initial"
            control.observe(self._changed, "value")
        spoken = w.HTML(HIDDEN.format(html.escape(self.alt)), layout=w.Layout(height="0px", margin="0px"))
        super().__init__([*controls.values(), self.note, self.picture, spoken])
        self._show()

    @property
    def values(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.controls.items()}

    @contextmanager
    def together(self):
        """Change several controls inside, redraw once afterwards."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
        self._changed()

    def _show(self) -> None:
        values = self.values
        drawn = self._draw(**values)
        figure, text = drawn if isinstance(drawn, tuple) else (drawn, "")
        png = to_png(figure, quick=True)
        width = f"{figure.get_figwidth() * figure.dpi:.0f}px"
        self.picture.layout.width = width  # else the picture stretches to the page
        self.picture.value = png
        self._drawn = values
        self.text, self.error, self.details = text, None, ""
        self.note.value = html.escape(text)

    def _changed(self, _change: Any = None) -> None:
        if self._waiting or (self.error is None and self.values == self._drawn):
            return
        try:
            with _uncollected():
                self._show()
        except Exception as error:
            self.error = _sentence(error)
            self.details = traceback.format_exc()
            self.note.value = f"<b>{html.escape(self.error)}</b>"
            log.exception("while drawing %s", self.values)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        data = super()._repr_mimebundle_(**kwargs)
        if data is None:
            return None
        still, metadata = image_bundle(packed(bytes(self.picture.value)), self.alt)
        at = ", ".join(f"{name} = {_short(value)}" for name, value in self.values.items())
        still["text/plain"] += f" [{at}] {self.error or self.text}".rstrip()
        return data | still, metadata


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: it would look through all that a notebook holds (a third of a second) while a
    student waits. What a redraw leaves behind is young and goes at the first collection afterwards."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _sentence(error: Exception) -> str:
    """A ValueError speaks for itself (its first line); anything else is our mistake."""
    lines = str(error).strip().splitlines()
    return lines[0] if isinstance(error, ValueError) and lines else SORRY


def _short(value: Any) -> str:
    said = f"{value:g}" if isinstance(value, float) else str(value)
    return said if len(said) <= 60 else said[:59] + "…"
