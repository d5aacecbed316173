"""Controls made of several widgets. Each has one `value` and works with the keyboard: Tab, Enter, arrow keys."""

from collections.abc import Sequence

import ipywidgets as w
from traitlets import Int, TraitError, Tuple, Unicode, validate


class Stepper(w.HBox):
    """◀ ▶ and a slider: one click, one step. `value` runs from 0 to steps - 1; `set_steps` begins anew."""

    value = Int(0)

    def __init__(self, steps: int, description: str = "step") -> None:
        if steps < 1:
            raise ValueError(f"steps={steps}: a player needs at least one frame.")
        self.steps = steps
        self.back = w.Button(description="◀ Back", tooltip="one step back", layout=w.Layout(width="90px"))
        self.next = w.Button(description="Next ▶", tooltip="one step on", layout=w.Layout(width="90px"))
        self.slider = w.IntSlider(
            0, 0, steps - 1, description=description, readout=False, style={"description_width": "initial"}
        )
        self.count = w.Label()
        self.back.on_click(lambda _: self._move(-1))
        self.next.on_click(lambda _: self._move(+1))
        self.slider.observe(lambda change: self.set_trait("value", change.new), "value")
        super().__init__([self.back, self.next, self.slider, self.count])
        self.observe(lambda _: self._refresh(), "value")
        self._refresh()

    def set_steps(self, steps: int) -> None:
        """Another film: `steps` frames, from the first."""
        if steps < 1:
            raise ValueError(f"steps={steps}: a player needs at least one frame.")
        self.value = 0
        self.steps, self.slider.max = steps, steps - 1
        self._refresh()

    def _move(self, by: int) -> None:
        self.value = min(max(self.value + by, 0), self.steps - 1)

    @validate("value")
    def _within(self, proposal):
        return min(max(proposal["value"], 0), self.steps - 1)

    def _refresh(self) -> None:
        self.slider.value = self.value
        self.back.disabled, self.next.disabled = self.value == 0, self.value == self.steps - 1
        self.count.value = f"{self.value + 1} / {self.steps}"


class SentencePicker(w.VBox):
    """A list of sentences, and a line to type one's own (Enter takes it). `value` is the sentence as text."""

    OWN = "(your own, below)"
    value = Unicode("")

    def __init__(self, sentences: Sequence[str], description: str = "sentence") -> None:
        if not sentences:
            raise ValueError("a SentencePicker needs at least one sentence for its list.")
        wide = w.Layout(width="780px")
        style = {"description_width": "80px"}
        self.list = w.Dropdown(options=[*sentences, self.OWN], description=description, layout=wide, style=style)
        self.text = w.Text(
            description="or type", placeholder="a sentence of your own, then Enter", continuous_update=False,
            layout=wide, style=style,
        )  # fmt: skip
        self.list.observe(self._listed, "value")
        self.text.observe(self._typed, "value")
        self._quiet = False
        super().__init__([self.list, self.text])
        self.value = sentences[0]

    def _listed(self, change) -> None:
        if self._quiet or change.new == self.OWN:
            return
        self._quiet = True
        self.text.value = ""
        self._quiet = False
        self.value = change.new

    def _typed(self, change) -> None:
        if self._quiet:
            return
        self._quiet = True
        self.list.value = self.OWN
        self._quiet = False
        self.value = change.new


class ToggleGrid(w.VBox):
    """Rows and columns of buttons, on or off: masks, alignments. `value` is a tuple of rows of bools."""

    value = Tuple()

    def __init__(self, rows: Sequence[str], columns: Sequence[str], on: Sequence[Sequence[bool]] | None = None) -> None:
        if not rows or not columns or len(rows) * len(columns) > 400:
            raise ValueError(f"{len(rows)} x {len(columns)} buttons: a grid has 1 to 400 of them.")
        self.rows, self.columns, self._quiet = tuple(rows), tuple(columns), False
        cell, head = w.Layout(width="58px", margin="1px"), w.Layout(width="90px")
        self.buttons = [
            [w.ToggleButton(layout=cell, tooltip=f"{row}, {column}") for column in columns] for row in rows
        ]
        for line in self.buttons:
            for button in line:
                button.observe(self._clicked, "value")
        top = w.HBox([w.Label("", layout=head), *(w.Label(c, layout=cell) for c in columns)])
        lines = [w.HBox([w.Label(r, layout=head), *line]) for r, line in zip(rows, self.buttons, strict=True)]
        super().__init__([top, *lines])
        self.observe(lambda _: self._refresh(), "value")
        self.value = tuple((False,) * len(columns) for _ in rows) if on is None else tuple(map(tuple, on))

    @validate("value")
    def _shaped(self, proposal):
        value = tuple(tuple(bool(x) for x in row) for row in proposal["value"])
        if len(value) != len(self.rows) or any(len(row) != len(self.columns) for row in value):
            raise TraitError(f"the grid has {len(self.rows)} rows of {len(self.columns)} buttons.")
        return value

    def _clicked(self, _change) -> None:
        if not self._quiet:
            self.value = tuple(tuple(b.value for b in line) for line in self.buttons)

    def _refresh(self) -> None:
        self._quiet = True
        for line, row in zip(self.buttons, self.value, strict=True):
            for button, on in zip(line, row, strict=True):
                button.value, button.description = on, "●" if on else "·"
        self._quiet = False
