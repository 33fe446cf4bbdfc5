import numpy as np
import pytest

from devise.zeroshot import NearestLabel, choose_threshold, coverage_curve

RANDOM = np.random.default_rng(19)
VECTORS, EMBEDDINGS = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(40, 4))
RULE = NearestLabel(VECTORS)
SCORES = RANDOM.integers(0, 8, 30) / 8  # with ties
RIGHT = RANDOM.random(30) < SCORES


def test_the_curve_is_that_of_every_threshold():
    curve = coverage_curve(SCORES, RIGHT)
    assert curve.thresholds.tolist() == sorted(set(SCORES.tolist()), reverse=True)
    for threshold, coverage, accuracy in zip(*curve, strict=True):
        tagged = [right for score, right in zip(SCORES, RIGHT, strict=True) if score >= threshold]
        assert coverage == pytest.approx(len(tagged) / 30)
        assert accuracy == pytest.approx(sum(tagged) / len(tagged))
    assert curve.coverage[-1] == 1


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 0.6, 0.7])
def test_the_threshold_is_the_lowest_that_is_accurate_enough(accuracy):
    enough = [t for t in set(SCORES.tolist()) if RIGHT[SCORES >= t].mean() >= accuracy]
    assert choose_threshold(SCORES, RIGHT, accuracy) == min(enough)


def test_the_chosen_threshold_keeps_its_word_in_a_rule():
    hits = RULE.tag(EMBEDDINGS, k=1)
    right = hits.scores[:, 0] + 0.3 * RANDOM.normal(size=40) > 0.7
    threshold = choose_threshold(hits.scores[:, 0], right, 0.8)
    tagged = hits.scores[:, 0] >= threshold
    assert 0 < tagged.sum() < 40 and right[tagged].mean() >= 0.8


def test_an_accuracy_out_of_reach_says_what_is_in_reach():
    with pytest.raises(ValueError, match="ask for 0.500 or less, which leaves a tag to 0.667 of"):
        choose_threshold([0.9, 0.8, 0.1], [False, True, False], 0.9)


@pytest.mark.parametrize("scores, right, message", [
    ([], np.zeros(0, bool), "n > 0"),
    ([np.nan], [True], "NaN or infinite"),
    ([[0.5]], [[True]], "one an image"),
    ([0.5], [1], r"expected bool \(1,\)"),
    ([0.5], [True, False], r"expected bool \(1,\)"),
])
def test_curves_of_nothing_are_refused(scores, right, message):
    with pytest.raises(ValueError, match=message):
        coverage_curve(scores, right)
