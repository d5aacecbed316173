"""Widgets: `explorer` (the one pattern), `controls`, and the players of each part of the course."""

from course_utils.widgets.controls import SentencePicker, Stepper, ToggleGrid
from course_utils.widgets.explorer import Explorer

__all__ = ["Explorer", "SentencePicker", "Stepper", "ToggleGrid"]
