"""Numbers as people read them: one form for each kind, and a dash for what is undefined."""

import json
import math

import numpy as np
import pytest

from devise.figures import FORMS, Comparison, as_json, number, one_line, percent, score
from devise.metrics import spread

GAIN = Comparison(0.031, -0.004, 0.0664, 0.08, 200)
NONE = Comparison(math.nan, math.nan, math.nan, math.nan, 0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [None, "", " ", [], {}, math.nan, math.inf, np.float32("nan"), NONE])
def test_what_is_undefined_is_a_dash_in_every_form(value, form):
    assert number(value, form) == "–"


@pytest.mark.parametrize("form", FORMS)
def test_counts_and_text_are_the_same_in_every_form(form):
    assert [number(value, form) for value in (1500, np.int64(-1500), True, "ridge", ("a", 2), {"a": 2})] == [
        "1,500", "−1,500", "yes", "ridge", "a, 2", "a 2"]


@pytest.mark.parametrize("value, expected", [
    (0.5, ("50.0", "0.5", "0.500")), (np.float32(0.25), ("25.0", "0.25", "0.250")),
    (-0.12345, ("−12.3", "−0.123", "−0.123")), (41.25812, ("4125.8", "41.3", "41.258")),
    (1e-7, ("0.0", "1e-07", "0.000")), (-1e-5, ("0.0", "−1e-05", "0.000")), (-0.0, ("0.0", "0", "0.000")),
     (123456.7, ("12345670.0", "123,457", "123456.700"))])
def test_fractions_by_form(value, expected):
    assert (number(value, "percent"), number(value, "plain"), number(value, "score")) == expected
    assert number(value, "interval") == expected[0]


def test_a_spread_has_its_deviation_or_its_interval():
    three = spread([0.4, 0.5, 0.6])
    assert number(three, "percent") == "50.0 ± 10.0" and number(three, "interval") == "50.0 (25.2–74.8)"
    assert number(three) == "0.5 ± 0.1" and number(three, "score") == "0.500 ± 0.100"
    assert number(spread([0.5]), "percent") == number(spread([0.5]), "interval") == "50.0", "one run has neither"
    assert number(spread([0.0, 0.1]), "interval") == "5.0 (0.0–68.5)", "a share is not below 0"
    assert number(spread([0.9, 1.0]), "interval") == "95.0 (31.5–100.0)", "nor above 1"


def test_a_comparison_is_in_points_with_its_interval():
    assert number(GAIN, "percent") == number(GAIN, "interval") == "+3.10 (−0.40 to +6.64)"
    assert number(GAIN) == "+0.031 (−0.004 to +0.066)"
    assert number(GAIN._replace(low=math.nan, high=math.nan), "percent") == "+3.10"


def test_percent_and_score_stand_alone():
    assert (percent(0.9741), percent(1), percent(None), percent(math.nan)) == ("97.4 %", "100.0 %", "–", "–")
    assert (score(0.83125), score(-1), score(None)) == ("0.831", "−1.000", "–")


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="form is 'roman': expected one of percent, interval, plain, score"):
        number(1.0, "roman")


def test_text_can_not_move_the_cursor():
    assert one_line("a\x1b[2Jb\nc\td\u202e") == "a�[2Jb c d�"


def test_json_has_whole_values_and_nulls():
    document = as_json({1: GAIN, "none": NONE, "list": (np.float32(0.5), np.int64(3), True, None, math.inf)})
    assert json.loads(json.dumps(document, allow_nan=False)) == {
        "1": {"difference": 0.031, "low": -0.004, "high": 0.0664, "p": 0.08, "n": 200},
        "none": {"difference": None, "low": None, "high": None, "p": None, "n": 0},
        "list": [0.5, 3, True, None, None]}
