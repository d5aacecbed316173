"""claim: the course's one rule, one line with the numbers, and a failing cell when it is no longer true."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from course_utils.teaching.claims import ClaimFailed, claim

ATTENTION, VECTOR = [0.74, 0.75, 0.76], [0.05, 0.06, 0.04]


def said(capsys, measured, condition, **options):
    """The line that a claim prints, without its sentence; it did not fail."""
    capsys.readouterr()
    assert claim("It is so.", measured, condition, **options) is None
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and line.endswith("\n")
    verdict, sentence, numbers = line.strip().split(": ", 2)
    assert sentence == "It is so"
    return verdict, numbers


def test_the_line(capsys):
    claim("With attention more sentences come out right", {"attention": ATTENTION, "one vector": VECTOR},
          "attention > one vector", of=300)  # fmt: skip
    assert capsys.readouterr().out == (
        "Held: With attention more sentences come out right: attention 0.75 (0.74 0.75 0.76) > "
        "one vector 0.05 (0.05 0.06 0.04); standard error 0.03\n"
    )


@pytest.mark.parametrize(
    ("a", "b", "options", "sign"),
    [
        (ATTENTION, VECTOR, dict(of=300), ">"),
        (VECTOR, ATTENTION, dict(of=300), "<"),
        ([0.75, 0.77], [0.74, 0.76], dict(of=10**6), "~"),  # each seed is better than its twin, but they overlap
        ([0.77, 0.75], [0.74, 0.73], dict(of=10**6), ">"),
        ([0.75, 0.77], [0.75, 0.73], dict(of=10**6), "~"),  # two seeds meet
        ([0.76, 0.77], [0.74, 0.75], dict(of=300), "~"),  # two points of a hundred; the standard error is 2.5
        ([0.76, 0.77], [0.74, 0.75], dict(of=1000), ">"),  # and here 1.4
        ([0.76, 0.77], [0.74, 0.75], dict(error=0.021), "~"),
        ([0.76, 0.77], [0.74, 0.75], dict(error=0.019), ">"),
        ([0.9], [0.1, 0.2, 0.3], dict(of=100), ">"),  # unequal numbers of seeds
        ([1.0, 1.0], [0.99, 0.98], dict(of=100), ">"),  # the larger standard error counts: 0.012, not 0
        ([1.0, 1.0], [0.99, 0.98], dict(of=50), "~"),  # 0.017
        (3, 2, {}, ">"),
        (2, 2, {}, "~"),
        (0.1 + 0.2, 0.3, {}, "~"),  # rounding
        (1e-13, 0, {}, ">"),
        (-1, 1, {}, "<"),
    ],
)
def test_the_rule(capsys, a, b, options, sign):
    """Of above, below and not to be told apart exactly one holds, and turned round it is the mirror image."""
    for condition, found in (("a {} b", sign), ("b {} a", {"<": ">", ">": "<", "~": "~"}[sign])):
        for asked in "<>~":
            held = asked == found
            line = said(capsys, {"a": a, "b": b}, condition.format(asked), holds=held, **options)
            assert line[0] == ("Held" if held else "Did not hold")
            with pytest.raises(ClaimFailed):
                claim("It is so", {"a": a, "b": b}, condition.format(asked), holds=not held, **options)


def test_numbers_and_chains(capsys):
    measured = {"a": [0.4, 0.5], "b": 0.7}
    assert said(capsys, measured, "0.3 < a < b < 1") == ("Held", "0.3 < a 0.45 (0.40 0.50) < b 0.70 < 1")
    assert said(capsys, measured, "0.45 < a < 1", holds=False)[0] == "Did not hold"  # one seed is below
    assert said(capsys, measured, "b > a > 0.35", of=100)[0] == "Held"
    assert said(capsys, measured, "a > 0.39", of=20, holds=False)[1].endswith("is within the standard error)")
    assert said(capsys, {"error": 2e-16}, "error < 1e-12") == ("Held", "error is at most rounding, below 1e-12")
    assert said(capsys, {"error": 0.0}, "error < 1e-12") == ("Held", "error is at most rounding, below 1e-12")
    assert said(capsys, {"error": 2e-9}, "error < 1e-12", holds=False)[1].startswith("error 2e-09 < 1e-12")
    assert said(capsys, {"a": 0.1 + 0.2, "b": 0.3}, "a ~ b") == ("Held", "a 0.30 ~ b 0.30 (they are equal)")
    assert said(capsys, {"error": 2e-4}, "error < 1e-3") == ("Held", "error 0.0002 < 1e-3")
    assert said(capsys, {"0.5": 1.0}, "0.5 > 0.7") == ("Held", "0.5 1 > 0.7")  # a name comes before a number
    assert said(capsys, {"12-16": 1, "-3": 2}, "-2 < 12-16") == ("Held", "-2 < 12-16 1")


@pytest.mark.parametrize(
    ("a", "b", "condition", "numbers"),
    [
        (0.75123, 0.05321, "a > b", "a 0.75 > b 0.05"),
        (0.7512, 0.7498, "a > b", "a 0.751 > b 0.750"),
        ([0.7512, 0.8], [0.7498, 0.7], "a > b", "a 0.776 (0.751 0.800) > b 0.725 (0.750 0.700)"),  # the nearest seeds
        (1_048_576, 32_768, "a > b", "a 1,048,576 > b 32,768"),
        ([3, 4], [1, 2], "a > b", "a 3.5 (3 4) > b 1.5 (1 2)"),
        (123.456, 99.0, "a > b", "a 123.5 > b 99.0"),
        (12345.6, 99.0, "a > b", "a 12,346 > b 99"),
        (3.21e-5, 1.2e-4, "a < b", "a 3.2e-05 < b 0.00012"),
        ([0.501, 0.502], [0.501, 0.503], "a ~ b", "a 0.50 (0.50 0.50) ~ b 0.50 (0.50 0.50) (the seeds overlap)"),
    ],
)
def test_digits_tell_the_values_apart_and_are_no_more(capsys, a, b, condition, numbers):
    assert said(capsys, {"a": a, "b": b}, condition) == ("Held", numbers)


@pytest.mark.parametrize(
    ("a", "b", "sign", "options", "why"),
    [
        ([1.0, 3.0], [2.0], ">", {}, "the seeds overlap"),
        ([1.0, 3.0], [0.0, 0.5], "<", {}, "it is the other way round"),
        (1.0, 1.0, ">", {}, "they are equal"),
        (1.0, 2.0, "~", {}, "they differ"),
        ([0.51], [0.49], ">", dict(of=100), "the difference is within the standard error"),
    ],
)
def test_a_failure_says_why_in_one_sentence(capsys, a, b, sign, options, why):
    with pytest.raises(ClaimFailed) as failed:
        claim("A wins", {"a": a, "b": b}, f"a {sign} b", **options)
    assert issubclass(ClaimFailed, AssertionError)
    line = capsys.readouterr().out.strip()
    assert line.startswith("Did not hold: A wins: a ") and line.endswith(f"({why})")
    assert str(failed.value) == f"the notebook says that this claim holds, but it does not: {line[14:]}."


def test_a_null_result_that_turned_out_otherwise(capsys):
    with pytest.raises(ClaimFailed, match="says that this claim does not hold, but it does: A wins: a 2 > b 1"):
        claim("A wins", {"a": 2, "b": 1}, "a > b", holds=False)
    assert capsys.readouterr().out == "Held: A wins: a 2 > b 1\n"


def test_a_small_standard_error_is_not_zero(capsys):
    assert said(capsys, {"a": 0.9, "b": 0.1}, "a > b", error=0.0002)[1] == "a 0.90 > b 0.10; standard error 0.0002"


def test_tensors_arrays_and_generators(capsys):
    for values in (torch.tensor([1.0, 2.0]), np.array([1.0, 2.0]), (x for x in (1.0, 2.0)), (1, 2)):
        assert said(capsys, {"a": values}, "a > 0") == ("Held", "a 1.5 (1 2) > 0")
    for value in (torch.tensor(2.5), np.float32(2.5), 2.5, [2.5]):
        assert said(capsys, {"a": value}, "a > 0") == ("Held", "a 2.50 > 0")


def test_names_that_the_condition_does_not_use_are_not_printed(capsys):
    assert said(capsys, {"a": 1, "b": 2, "c": 3}, "a < b") == ("Held", "a 1 < b 2")


@pytest.mark.parametrize(
    ("measured", "condition", "options", "kind", "words"),
    [
        ({"a": 1}, "a > c", {}, ValueError, "'c' in the condition was not measured and is no number; measured: a"),
        ({"a": 1}, "a > nan", {}, ValueError, "'nan' in the condition"),
        ({"a": 1}, "a", {}, ValueError, "'a' is not 'A > B'"),
        ({"a": 1}, "a >", {}, ValueError, "is not 'A > B'"),
        ({"a": 1}, "a >= 0", {}, ValueError, "is not 'A > B'"),
        ({"a": 1}, "0 < a > -1", {}, ValueError, "is not 'A > B'"),
        ({"a": 1}, "a ~ 1 ~ 1", {}, ValueError, "is not 'A > B'"),
        ({"a": 1}, None, {}, ValueError, "is not 'A > B'"),
        ({"a": 1}, "1 > 0", {}, ValueError, "names nothing measured; measured: a"),
        ({}, "1 > 0", {}, ValueError, "measured: nothing"),
        ({"a": []}, "a > 0", {}, ValueError, "'a' holds no value"),
        ({"a": [0.5, float("nan")]}, "a > 0", {}, ValueError, "'a' holds nan"),
        ({"a": float("inf")}, "a > 0", {}, ValueError, "'a' holds inf"),
        ({"a": True}, "a > 0", {}, TypeError, "pass the number that decides"),
        ({"a": torch.tensor(True)}, "a > 0", {}, TypeError, "pass the number that decides"),
        ({"a": "0.5"}, "a > 0", {}, TypeError, "'a' holds '0.5'; pass a number"),
        ({"a": None}, "a > 0", {}, TypeError, "'a' holds None; pass a number"),
        ({"a": [[1.0, 2.0]]}, "a > 0", {}, TypeError, "'a' holds [1.0, 2.0]; pass a number"),
        ([1, 2], "a > 0", {}, TypeError, "measured is a list; pass a dict"),
        ({"a>b": 1}, "a>b > 0", {}, ValueError, "the name 'a>b'; a name is text without"),
        ({3: 1}, "3 > 0", {}, ValueError, "the name 3"),
        ({"a": 1}, "a > 0", dict(of=5, error=0.1), ValueError, "give one of them"),
        ({"a": 1}, "a > 0", dict(error=-1), ValueError, "error=-1"),
        ({"a": 1}, "a > 0", dict(error=float("nan")), ValueError, "error=nan"),
        ({"a": 1}, "a > 0", dict(of=0), ValueError, "of=0: it is the number of tested items"),
        ({"a": 74.0}, "a > 0", dict(of=300), ValueError, "shares from 0 to 1, not 74.0"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(capsys, measured, condition, options, kind, words):
    with pytest.raises(kind) as refused:
        claim("It is so", measured, condition, **options)
    assert words in str(refused.value) and "\n" not in str(refused.value) and not isinstance(refused.value, ClaimFailed)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("sentence", ["", " ", "two\nlines", None])
def test_a_claim_is_a_sentence(sentence):
    with pytest.raises(ValueError, match="one sentence on one line"):
        claim(sentence, {"a": 1}, "a > 0")


def test_it_fails_without_asserts_too():
    """python -O drops asserts."""
    code = "from course_utils.teaching.claims import claim; claim('One is two', {'one': 1}, 'one > 2')"
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "ClaimFailed" in done.stderr
    assert done.stdout == "Did not hold: One is two: one 1 > 2 (it is the other way round)\n"


def test_the_standard_error_is_that_of_each_comparison_and_the_largest_is_said(capsys):
    """In a chain every pair has its own; a number that was not measured has none, share or not."""
    measured = {"low": [0.10, 0.11], "middle": [0.50, 0.51], "high": [0.98, 0.99]}
    wide = 0.05  # sqrt(0.505 * 0.495 / 100)
    for condition in ("0.01 < low < middle", "high > middle > low", "low < middle < high", "high > 0.9 > middle"):
        assert said(capsys, measured, condition, of=100)[1].endswith(f"; standard error {wide:.2f}"), condition
    assert said(capsys, measured, "high > 0.9", of=100)[1].endswith("; standard error 0.01")
    assert said(capsys, {"high": 0.99}, "high > 0.975", of=100)[0] == "Held"  # 0.0099; that of 0.975 would be 0.0156
    assert said(capsys, {"high": 0.99}, "high < 40", of=100)[0] == "Held"  # a number beside shares is no share
    assert said(capsys, {"low": 0.02}, "low > 0.005", of=100)[0] == "Held"  # 0.014, not the 0.007 of the number
    assert said(capsys, {"low": 0.02}, "low > 0.007", of=100, holds=False)[0] == "Did not hold"
    assert said(capsys, {"a": 0.5, "b": 0.56, "c": 0.99}, "a < b < c", of=100)[0] == "Held"
    assert said(capsys, {"a": 0.5, "b": 0.54, "c": 0.99}, "a < b < c", of=100, holds=False)[0] == "Did not hold"


def test_exactly_the_standard_error_is_not_more_than_it(capsys):
    assert said(capsys, {"a": 0.75, "b": 0.5}, "a > b", error=0.25, holds=False)[1].endswith("standard error)")
    assert said(capsys, {"a": 0.75, "b": 0.5}, "a ~ b", error=0.25)[0] == "Held"
