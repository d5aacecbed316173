"""Setting every control of a widget to its ends and to each of its options, as an impatient student would.

Used by tests/test_widgets.py, and on the widgets of a notebook after it has run.
"""

from typing import Any

import ipywidgets as w

from course_utils.widgets.controls import SentencePicker, Stepper, ToggleGrid
from course_utils.widgets.explorer import SORRY, Explorer

TYPED = ("", "   ", "?!", "platypus", "The platypus sees the kea and the emu", "the " * 29, "the " * 200, "x" * 3000,
         "l'été — c'est “là” … 42 <b>bold</b> $\\frac{1}{2}$ 你好")  # fmt: skip


def sweep(explorer: Explorer) -> list[str]:
    """Move every control as far as it goes, press every button, type nonsense; put everything back.

    Returns what went wrong, empty when nothing did: a picture that could not be drawn, an exception that escaped. A
    ValueError's sentence to the student is not wrong.
    """
    wrong: list[str] = []
    first = explorer.values
    for name, control in explorer.controls.items():
        for what, act in actions(control):
            try:
                act()
            except Exception as error:
                wrong.append(f"{name}: {what}: {type(error).__name__} escaped: {error}")
            if explorer.error == SORRY:
                wrong.append(f"{name}: {what}: {explorer.details.strip().splitlines()[-1]}")
        control.value = first[name]
    for name, control in explorer.controls.items():
        control.value = first[name]
    return wrong


def actions(control: w.Widget) -> list[tuple[str, Any]]:
    """(what, how) for everything a student can do to this control; for one of an unknown kind, a TypeError."""

    def put(value: Any, target: w.Widget = control) -> tuple[str, Any]:
        return f"value {str(value)[:40]!r}", lambda: setattr(target, "value", value)

    if isinstance(control, Stepper):
        presses = [("next", control.next.click), ("back", control.back.click)]
        places = sorted({*range(min(control.steps, 8)), control.steps // 2, control.steps - 1})
        return [*presses, *(put(k) for k in places), ("next at the end", control.next.click)]
    if isinstance(control, SentencePicker):
        return [put(text, control.text) for text in TYPED] + [put(o, control.list) for o in control.list.options]
    if isinstance(control, ToggleGrid):
        rows, columns = len(control.rows), len(control.columns)
        return [put(tuple((on,) * columns for _ in range(rows))) for on in (True, False)] + [
            put(not b.value, b) for line in control.buttons for b in line
        ]
    if isinstance(control, w.Text | w.Textarea):
        return [put(text) for text in TYPED]
    if isinstance(control, w.Checkbox | w.ToggleButton):
        return [put(True), put(False)]
    if hasattr(control, "options"):
        return [(f"option {k}", lambda k=k: setattr(control, "index", k)) for k in range(len(control.options))]
    if hasattr(control, "min") and hasattr(control, "max"):
        middle = (control.min + control.max) / 2
        return [put(control.min), put(control.max), put(type(control.value)(middle))]
    raise TypeError(f"sweep does not know how to move a {type(control).__name__}: teach it in `actions`.")
