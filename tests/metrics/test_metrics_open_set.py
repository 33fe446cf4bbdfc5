"""Thresholds: exact with ties, and against counts of pairs."""

import math

import numpy as np
import pytest

from devise.metrics import equal_error_rate, roc, threshold_at, true_accept_rate


@pytest.fixture(params=range(4))
def pairs(request):
    """Scores with many ties; the genuine ones are higher by a step or two."""
    random = np.random.default_rng(request.param)
    same = random.random(300) < 0.3
    return (random.integers(0, 12, 300) + request.param * same) / 12, same


def test_the_area_is_the_chance_that_a_genuine_score_is_the_higher(pairs):
    scores, same = pairs
    higher = [(one > other) + (one == other) / 2 for one in scores[same] for other in scores[~same]]
    curve = roc(scores, same)
    assert curve.area == pytest.approx(np.mean(higher))
    assert curve.thresholds.tolist() == [math.inf, *sorted(set(scores.tolist()), reverse=True)]


def test_every_point_is_what_its_threshold_does(pairs):
    scores, same = pairs
    for threshold, false, true in zip(*roc(scores, same)[:3], strict=True):
        accepted = [score >= threshold for score in scores]
        assert false == pytest.approx(np.mean([a for a, s in zip(accepted, same, strict=True) if not s]))
        assert true == pytest.approx(np.mean([a for a, s in zip(accepted, same, strict=True) if s]))


def test_equal_error_rate_lies_on_the_curve(pairs):
    curve, rate = roc(*pairs), equal_error_rate(*pairs)
    assert np.interp(rate, curve.false_accept_rate, curve.true_accept_rate) == pytest.approx(1 - rate, abs=1e-9) or (
        rate in curve.false_accept_rate)  # on an upright step any true rate of the step


@pytest.mark.parametrize("scores, same, expected", [
    ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.0), ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 1.0),
    ([0.5, 0.5, 0.5], [1, 0, 0], 0.5), ([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1, 1, 0, 1, 0, 0], 1 / 3),
    ([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0], 0.25)])
def test_equal_error_rate_by_hand(scores, same, expected):
    assert equal_error_rate(scores, np.array(same, bool)) == pytest.approx(expected)


@pytest.mark.parametrize("rate", [0, 0.01, 0.1, 0.29, 0.5, 0.999, 1])
def test_the_threshold_is_the_lowest_that_keeps_the_rate(pairs, rate):
    impostors = pairs[0][~pairs[1]]
    threshold = threshold_at(impostors, rate)
    assert (impostors >= threshold).mean() <= rate
    below = [score for score in impostors if score < threshold]
    if below:
        assert (impostors >= max(below)).mean() > rate


def test_a_share_that_is_not_exact_in_binary():
    scores = np.arange(100.0)
    assert (scores >= threshold_at(scores, 0.29)).sum() == 29
    assert threshold_at(scores, 1) == -math.inf
    assert not (scores >= threshold_at(scores, 0)).any()


def test_true_accepts_at_that_threshold(pairs):
    scores, same = pairs
    for rate in (0, 0.05, 0.5):
        threshold = threshold_at(scores[~same], rate)
        assert true_accept_rate(scores, same, rate) == np.mean([score >= threshold for score in scores[same]])


def test_bad_input():
    for function in (roc, equal_error_rate, lambda *pairs: true_accept_rate(*pairs, 0.1)):
        with pytest.raises(ValueError, match="2 of 2 pairs are genuine"):
            function([0.1, 0.2], np.array([True, True]))
        with pytest.raises(ValueError, match="1 scores are NaN"):
            function([0.1, np.nan], np.array([True, False]))
        with pytest.raises(ValueError, match="a bool a pair"):
            function([0.1, 0.2], [1, 0])
    with pytest.raises(ValueError, match="one or more, none NaN"):
        threshold_at([], 0.1)
    with pytest.raises(ValueError, match="false_accept_rate is 1.5"):
        threshold_at([0.1], 1.5)
