"""Predict by committing: a question that is answered only after the student has chosen.

    predict("Which word gets the largest weight?", ["the first", "the last"], answer="the last", because="It is …")
    predict("How large is the largest weight?", answer=0.73, tolerance=0.02, because="The softmax …")

Question, options and reason are Markdown with $math$. Where widgets run, the student chooses, presses Commit, and reads
the answer beside what she said; the first choice stands until the cell is run again. Everywhere else (GitHub, a printed
page, a notebook that was not run yet) the options are a list and the answer is folded. That still form is what the
notebook stores and what nbval compares. The cell's source holds the answer, too: it is folded (`source_hidden`, tag
`hide-input`), with `answer=` below the first line, which stays.
"""

import contextlib
import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import ipywidgets as w
import mistune
from IPython.display import display

_to_html = mistune.create_markdown(plugins=["math"])  # escapes raw HTML

# The radio buttons of ipywidgets 8 are not a group: the arrow keys do not move between them, so JupyterLab takes these
# keys and walks to another cell, and a screen reader does not hear what is chosen here. This names the group. Where a
# front end forbids inline scripts nothing is lost but that: Tab and Space still choose. (An empty <style> is what tells
# that it has entered the page; the buttons may come later, hence the listener.)
GROUPED = """<style onload="const box = this.closest('.widget-vbox'), group = () =>
box.querySelectorAll('.widget-radio-box').forEach(radios => {
  radios.setAttribute('role', 'radiogroup');
  radios.setAttribute('aria-labelledby', '%(name)s');
  radios.querySelectorAll('input').forEach(input => {
    input.name = '%(name)s';
    input.setAttribute('data-lm-suppress-shortcuts', 'true');
  });
}); group(); box.addEventListener('focusin', group)"></style>"""


def predict(
    question: str,
    options: Sequence[str] | None = None,
    *,
    answer: str | float,
    because: str,
    tolerance: float | None = None,
) -> None:
    """Display a question with `options`, of which `answer` is one, or one whose `answer` is a number and anything
    within `tolerance` of it counts (0 for what can be counted). `because` gives the reason in one or two sentences.

    ValueError or TypeError if the question cannot be answered as it stands.
    """
    if isinstance(options, str):
        raise TypeError(f"options={options!r}: give a list of options.")
    display(Prediction(Question(question, because, answer, None if options is None else tuple(options), tolerance)))


@dataclass(frozen=True)
class Question:
    """What is asked, and every text that is shown about it (Markdown)."""

    text: str
    because: str
    answer: str | float
    options: tuple[str, ...] | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        for name, words in (("question", self.text), ("because", self.because)):
            if not isinstance(words, str) or not words.strip():
                raise ValueError(f"{name}={words!r}: write a sentence.")
        if self.options is None:
            self._check_number()
        else:
            self._check_options()

    def _check_number(self) -> None:
        if isinstance(self.answer, str):
            raise ValueError(f"answer={self.answer!r} without options: give the options, or a number and a tolerance.")
        _finite("answer", self.answer)
        if self.tolerance is None:
            raise ValueError(f"answer={self.answer} without tolerance: say how far off still counts (0: not at all).")
        if _finite("tolerance", self.tolerance) < 0:
            raise ValueError(f"tolerance={self.tolerance}: a distance is 0 or more.")

    def _check_options(self) -> None:
        if self.tolerance is not None:
            raise ValueError(f"options and tolerance={self.tolerance}: give options, or a number with a tolerance.")
        for option in self.options:
            if not isinstance(option, str):
                raise TypeError(f"option {option!r}: write options as text.")
            if not option.strip() or "\n" in option:
                raise ValueError(f"option {option!r}: an option is one line of text.")
        if len(set(map(label, self.options))) < max(2, len(self.options)):
            raise ValueError(f"options={list(self.options)}: at least two are needed, all different.")
        if self.answer not in self.options:
            raise ValueError(f"answer={self.answer!r} is not among the options {list(self.options)}.")

    @property
    def lettered(self) -> bool:
        """Radio buttons can only show text: options with math are listed above them and chosen by letter."""
        return any('class="math"' in _to_html(option) for option in self.options or ())

    @property
    def labels(self) -> list[str]:
        """What stands beside each radio button."""
        if self.lettered:
            return [chr(ord("A") + k) for k in range(len(self.options))]
        return [label(option) for option in self.options]

    @property
    def listed(self) -> str:
        """The options as a list, or what counts as right."""
        if self.options is None:
            return "Your prediction is a number" + (f"; within {self.tolerance:g} counts as right." if self.tolerance
                                                    else ".")  # fmt: skip
        letters = [f"{letter}: " for letter in self.labels] if self.lettered else [""] * len(self.options)
        return "\n".join(f"- {letter}{option}" for letter, option in zip(letters, self.options, strict=True))

    @property
    def said_answer(self) -> str:
        return self.answer if self.options else f"{self.answer:.10g}"

    def is_right(self, choice: str | float) -> bool:
        if self.options:
            return choice == self.answer
        return abs(choice - self.answer) <= self.tolerance + 1e-9 * max(1.0, abs(self.answer))

    def reply(self, choice: str | float) -> str:
        """What the student reads after committing to `choice`."""
        said = f"**You said:** {choice if self.options else f'{choice:.10g}'}"
        if self.is_right(choice):
            near = "" if self.options or choice == self.answer else f" The answer is {self.said_answer}."
            return f"{said}  \n**That is right.**{near} {self.because}"
        return f"{said}  \n**The answer is:** {self.said_answer}\n\n{self.because}"

    @property
    def markdown(self) -> str:
        """The still form: options as a list, the answer folded."""
        folded = f"**The answer is:** {self.said_answer}\n\n{self.because}"
        return _safe(f"**Predict.** {self.text}\n\n{self.listed}\n\n") + (
            f"<details><summary>Answer</summary>\n\n{_safe(folded)}\n\n</details>"
        )

    @property
    def plain(self) -> str:
        """For a terminal: no answer, since nothing folds there."""
        return f"[predict] {self.text}\n{self.listed}"


class Prediction(w.VBox):
    """A Question with radio buttons or a field for a number, and a button that commits.

    Attributes for whoever tests: `choice` (the control), `button`, `committed` (what was said, or None), `error` (the
    sentence shown instead of an answer, or None); `controls`, `values` and `details` as an Explorer has them.
    """

    def __init__(self, question: Question) -> None:
        self.question, self.committed, self.error, self.details = question, None, None, ""
        texts = f"**Predict.** {question.text}"
        if question.options is None or question.lettered:
            texts += f"\n\n{question.listed}"
        asked = w.HTMLMath()
        name = f"predict-{asked.model_id}"
        asked.value = f'<div id="{name}">{_to_html(texts)}</div>'
        if question.options is None:
            self.choice = w.Text(description="Your prediction", placeholder="a number, then Commit",
                                 continuous_update=False, layout={"width": "320px"})  # fmt: skip
        else:
            asked.value += GROUPED % {"name": name}
            self.choice = w.RadioButtons(options=question.labels, index=None, description="Your prediction",
                                         layout={"width": "auto"})  # fmt: skip
        self.choice.style.description_width = "initial"
        self.controls = {"choice": self.choice}
        self.button = w.Button(description="Commit", tooltip="commit to your prediction and see the answer")
        self.button.on_click(lambda _: self.commit())
        self.choice.observe(lambda _: self._changed(), "value")
        self.said = w.HTMLMath()
        super().__init__([asked, self.choice, self.button, self.said])
        self.layout.border_left, self.layout.padding = "4px solid #0072B2", "2px 12px"

    @property
    def values(self) -> dict[str, Any]:
        return {"choice": self.choice.value}

    def commit(self) -> None:
        """Take the present choice, once, and show the answer; or say what is missing."""
        if self.committed is not None:
            return
        try:
            choice = self._chosen()
        except ValueError as error:
            self.error = str(error)
            self.said.value = f'<div role="alert">{html.escape(self.error)}</div>'
            return
        self.choice.disabled = self.button.disabled = True
        self._answer(choice)

    def _answer(self, choice: str | float) -> None:
        self.committed, self.error = choice, None
        self.said.value = f'<div role="alert">{_to_html(self.question.reply(choice))}</div>'

    def _changed(self) -> None:
        """A complaint about the last choice goes when there is a new one. After the commitment none can be made any
        more, but one may arrive: the browser holds quick changes back, and the button overtakes them. That is what the
        student had chosen, before the answer showed."""
        if self.committed is None:
            self.error, self.said.value = None, ""
            return
        with contextlib.suppress(ValueError):
            self._answer(self._chosen())

    def _chosen(self) -> str | float:
        if self.question.options is None:
            return read_number(self.choice.value)
        if self.choice.index is None:
            raise ValueError("Choose one of the options first.")
        return self.question.options[self.choice.index]

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        data = super()._repr_mimebundle_(**kwargs)
        if data is None:
            return None
        return data | {"text/markdown": self.question.markdown, "text/plain": self.question.plain}, {}


def label(option: str) -> str:
    """`option` without its Markdown: bold, code and italics become plain text."""
    return html.unescape(re.sub(r"<[^>]+>", "", _to_html(option))).strip()


def read_number(typed: str) -> float:
    """The number a student typed, or a ValueError with a sentence for her."""
    try:
        number = float(typed.strip().replace("−", "-"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        shown = typed.strip()[:30]
        raise ValueError(f"“{shown}” is not a number: write one like 0.5 or 12." if shown else "Type a number first.")
    return number


def _finite(name: str, number: Any) -> float:
    if isinstance(number, bool) or not isinstance(number, Real):
        raise TypeError(f"{name}={number!r}: give a number.")
    if not math.isfinite(number):
        raise ValueError(f"{name}={number}: give a finite number.")
    return number


def _safe(markdown: str) -> str:
    """<unk> outside code and math is a word of the course, not a tag."""
    return re.sub(r"(`[^`]*`|\$[^$]*\$)|<(?=[A-Za-z/!])", lambda found: found[1] or "&lt;", markdown)
