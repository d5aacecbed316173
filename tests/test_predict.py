"""Predictions: the answer shows only after a commitment, and folded where no widget runs. The browser test does it with
the keyboard in JupyterLab."""

import math
import re
from pathlib import Path

import ipywidgets as w
import nbformat
import numpy as np
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook
from refresh import METADATA, WIDGET, refreshed

from course_utils.teaching.predict import Prediction, Question, label, predict, read_number
from course_utils.widgets.sweep import actions, sweep

WHY = "Because all scores are equal, as $e^0 = 1$ says."
PLAIN = Question("Which word of *this* one?", WHY, "all the same", ("the first", "the last", "all the same"))
MATHS = Question("How does it grow with $d$?", WHY, "$\\sqrt{d}$", ("$\\sqrt{d}$", "$d$"))
NUMBER = Question("How large is it?", WHY, 0.73, tolerance=0.02)
EXACT = Question("How many parameters?", WHY, 1200, tolerance=0)
ALL = {"plain": PLAIN, "maths": MATHS, "number": NUMBER, "exact": EXACT}


def shown(prediction: Prediction) -> str:
    """Everything the student can see now."""
    return " ".join(child.value for child in prediction.children if isinstance(child, w.HTML | w.HTMLMath))


# ---------------------------------------------------------------------------------------------- what is asked, in words


@pytest.mark.parametrize("name", ALL)
def test_the_still_form_folds_the_answer_and_lists_the_options(name):
    question = ALL[name]
    open_part, folded = question.markdown.split("<details><summary>Answer</summary>\n\n")
    assert folded.endswith("\n\n</details>") and WHY in folded and question.said_answer in folded
    assert question.text in open_part and WHY not in open_part
    for option in question.options or ():
        assert re.search(rf"^- (. ?: )?{re.escape(option)}$", open_part, re.M)
    assert question.options or question.said_answer not in open_part
    assert WHY not in question.plain and question.text in question.plain and question.listed in question.plain


def test_options_with_math_are_chosen_by_letter():
    assert MATHS.lettered and MATHS.labels == ["A", "B"] and MATHS.listed == "- A: $\\sqrt{d}$\n- B: $d$"
    code = Question("Which?", WHY, "`dim=-1`", ("`dim=-1`", "**<unk>** & $5"))
    assert not code.lettered and code.labels == ["dim=-1", "<unk> & $5"]
    assert label("*a* `b_1` c_1 'q'") == "a b_1 c_1 'q'"


def test_words_in_angle_brackets_are_no_tags():
    question = Question("Is <unk> or `<pad>` masked if $a <b$?", WHY, "<end>", ("<end>", "no"))
    assert "Is &lt;unk> or `<pad>` masked if $a <b$?" in question.markdown and "- &lt;end>" in question.markdown
    assert "<unk>" not in shown(Prediction(question)) and "&lt;unk&gt;" in shown(Prediction(question))


@pytest.mark.parametrize(
    ("question", "choice", "right"),
    [(PLAIN, "the last", False), (PLAIN, "all the same", True), (NUMBER, 0.75, True), (NUMBER, 0.71, True),
     (NUMBER, 0.7501, False), (NUMBER, 0.73, True), (EXACT, 1200.0, True), (EXACT, 1201.0, False)],
)  # fmt: skip
def test_the_reply_says_what_was_said_what_is_right_and_why(question, choice, right):
    reply = question.reply(choice)
    assert f"**You said:** {choice if question.options else f'{choice:g}'}" in reply and WHY in reply
    assert ("That is right" in reply) == right == question.is_right(choice)
    assert f"**The answer is:** {question.said_answer}" in reply or right
    assert "wrong" not in reply.lower()
    if right and not question.options:
        assert ("The answer is 0.73." in reply) == (choice not in (0.73, 1200))


@pytest.mark.parametrize("typed", ["0.5", " .5 ", "5e-1", "+0.50"])
def test_a_number_is_read(typed):
    assert read_number(typed) == 0.5 and read_number("−2") == -2


@pytest.mark.parametrize("typed", ["0,5", "half", "nan", "inf", "1e999", "1/2", "50 %", "x" * 3000])
def test_what_is_no_number_is_told(typed):
    with pytest.raises(ValueError, match=r"is not a number: write one like 0\.5 or 12\.$") as caught:
        read_number(typed)
    assert len(str(caught.value)) < 90


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (dict(options=["a", "b"], answer="c"), ValueError, "answer='c' is not among the options"),
        (dict(options=["a", "b"], answer=1), ValueError, "not among the options"),
        (dict(options=["a", "b"], answer="a", tolerance=0.1), ValueError, "give options, or a number with"),
        (dict(options=["a"], answer="a"), ValueError, "at least two"),
        (dict(options=[], answer="a"), ValueError, "at least two"),
        (dict(options=["a", "b", "*a*"], answer="b"), ValueError, "all different"),
        (dict(options=["a", "b", " "], answer="b"), ValueError, "one line of text"),
        (dict(options=["a", "b\nc"], answer="a"), ValueError, "one line of text"),
        (dict(options="ab", answer="a"), TypeError, "give a list of options"),
        (dict(options=["a", 2], answer="a"), TypeError, "option 2: write"),
        (dict(answer=0.5), ValueError, "answer=0.5 without tolerance"),
        (dict(answer="a"), ValueError, "without options"),
        (dict(answer=True, tolerance=0.1), TypeError, "answer=True: give a number"),
        (dict(answer=None, tolerance=0.1), TypeError, "answer=None: give a number"),
        (dict(answer=math.nan, tolerance=0.1), ValueError, "finite"),
        (dict(answer=0.5, tolerance=-1), ValueError, "0 or more"),
        (dict(answer=0.5, tolerance="0.1"), TypeError, "tolerance='0.1': give a number"),
        (dict(answer=0.5, tolerance=0.1, because=" "), ValueError, "because=' ': write a sentence"),
        (dict(answer=0.5, tolerance=0.1, question=""), ValueError, "question='': write a sentence"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(given, error, words):
    given = {"question": "What?", "because": WHY, **given}
    with pytest.raises(error, match=re.escape(words)) as caught:
        predict(given.pop("question"), **given)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_are_numbers():
    assert Question("What?", WHY, np.float32(0.5), tolerance=np.float64(0.1)).said_answer == "0.5"


# -------------------------------------------------------------------------------------------------------- the live form


@pytest.mark.parametrize("name", ALL)
def test_the_answer_shows_only_after_the_commitment(name):
    prediction = Prediction(ALL[name])
    assert isinstance(prediction.choice, w.RadioButtons if ALL[name].options else w.Text)
    assert "e^0" not in shown(prediction) and "answer" not in shown(prediction)
    for what, act in actions(prediction.choice):
        act()
        assert "e^0" not in shown(prediction), f"{what} alone has shown the answer"


@pytest.mark.parametrize("name", ALL)
def test_sweep(name):
    """Whatever is chosen or typed, nothing escapes; committing gives the answer or one sentence."""
    assert sweep(Prediction(ALL[name])) == []
    n = len(actions(Prediction(ALL[name]).choice))
    replies = set()
    for k in range(n):
        prediction = Prediction(ALL[name])
        actions(prediction.choice)[k][1]()
        prediction.button.click()
        assert (prediction.committed is None) == (prediction.error is not None)
        assert ("e^0" in shown(prediction)) == (prediction.committed is not None)
        replies.add(prediction.said.value)
    assert not ALL[name].options or len(replies) == n == len(ALL[name].options)


def test_committing_without_a_choice_asks_for_one_and_can_be_mended():
    prediction = Prediction(PLAIN)
    prediction.button.click()
    assert prediction.error == "Choose one of the options first." and prediction.error in shown(prediction)
    assert not prediction.choice.disabled
    prediction.choice.index = 1
    assert prediction.error is None and "first" not in shown(prediction)
    prediction.button.click()
    assert prediction.error is None and prediction.committed == "the last"
    number = Prediction(NUMBER)
    number.button.click()
    assert number.error == "Type a number first."
    number.choice.value = "<b>half</b>"
    number.button.click()
    assert "“&lt;b&gt;half&lt;/b&gt;” is not a number" in shown(number)


def test_the_first_choice_stands():
    prediction = Prediction(PLAIN)
    prediction.choice.set_state({"index": 0})  # what a browser sends
    prediction.button.click()
    before = shown(prediction)
    assert prediction.choice.disabled and prediction.button.disabled
    assert "<strong>You said:</strong> the first" in before
    prediction.button.click()
    prediction.commit()
    assert prediction.committed == "the first" and shown(prediction) == before


def test_a_choice_that_the_button_overtook_counts():
    """The controls are disabled before the answer shows, so it was made without knowing."""
    prediction, sent = Prediction(PLAIN), []
    prediction.choice.observe(lambda _: sent.append("disabled"), "disabled")
    prediction.said.observe(lambda _: sent.append("answer"), "value")
    prediction.choice.set_state({"index": 0})
    prediction.button.click()
    assert sent == ["disabled", "answer"]
    prediction.choice.set_state({"index": 1})
    assert prediction.committed == "the last" and "<strong>You said:</strong> the last" in shown(prediction)
    number = Prediction(NUMBER)
    number.choice.value = "0.7"
    number.button.click()
    number.choice.value = "0.7x"
    number.button.click()
    assert number.committed == 0.7 and number.error is None


def test_enter_in_the_field_does_not_commit():
    """It reaches the kernel before the number does."""
    prediction = Prediction(NUMBER)
    prediction.choice._handle_custom_msg({"event": "submit"}, [])  # what a browser sends
    assert prediction.committed is None and prediction.error is None
    assert not prediction.choice.continuous_update


def test_letters_stand_for_their_options():
    prediction = Prediction(MATHS)
    prediction.choice.value = "B"
    prediction.button.click()
    assert prediction.committed == "$d$" and '<span class="math">\\(\\sqrt{d}\\)</span>' in prediction.said.value


def test_a_screen_reader_hears_group_and_answer():
    one, other = Prediction(PLAIN), Prediction(PLAIN)
    names = [re.search(r'<div id="([^"]+)">', p.children[0].value)[1] for p in (one, other)]
    assert names[0] != names[1] and f"'aria-labelledby', '{names[0]}'" in one.children[0].value
    one.button.click()
    assert one.said.value.startswith('<div role="alert">')
    assert one.choice.description and one.button.description == "Commit"


# ---------------------------------------------------------------------------------------- on the page, without a kernel


def test_the_bundle_holds_the_widget_and_the_still_form():
    data, _ = Prediction(PLAIN)._repr_mimebundle_()
    assert set(data) == {WIDGET, "text/markdown", "text/plain"}
    assert (data["text/markdown"], data["text/plain"]) == (PLAIN.markdown, PLAIN.plain)
    committed = Prediction(PLAIN)
    committed.choice.index = 1
    committed.commit()
    assert committed._repr_mimebundle_()[0]["text/markdown"] == PLAIN.markdown


def test_a_notebook_stores_the_still_form_and_prints_it(tmp_path):
    """Refreshed twice the bytes are the same, without state; the page folds the answer. (test_nbval_additions.py: nbval
    compares it.)"""
    source = f"predict({PLAIN.text!r}, {PLAIN.options!r}, answer={PLAIN.answer!r}, because={WHY!r})"
    cells = [new_code_cell(f"from course_utils.teaching.predict import predict\nnothing = {source}\nprint(nothing)")]
    path = Path(tmp_path / "a.ipynb")
    nbformat.write(new_notebook(cells=cells, metadata=METADATA), path)
    text = refreshed(path)
    assert refreshed(path) == text
    notebook = nbformat.reads(text, as_version=4)
    asked, printed = notebook.cells[0].outputs
    assert asked.data == {"text/markdown": PLAIN.markdown, "text/plain": PLAIN.plain} and printed.text == "None\n"
    assert "widgets" not in notebook.metadata
    page, _ = HTMLExporter().from_notebook_node(notebook)
    inside = re.search(r"<details>\s*<summary>Answer</summary>(.*?)</details>", page, re.S)[1]
    assert "<strong>The answer is:</strong> all the same" in inside and "$e^0 = 1$" in inside
    assert "<li>the first</li>" in page.split("<details>")[0]
