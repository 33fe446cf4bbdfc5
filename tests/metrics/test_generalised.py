import numpy as np
import pytest

from devise.metrics.generalised import Generalised, generalised, per_class_top1, seen_unseen_curve

SEEN = np.array([True, True, True, False, False])


@pytest.fixture
def drawn():
    """60 pictures of five classes of different sizes, with scores that lean to the right class."""
    random = np.random.default_rng(4)
    labels = random.choice(5, 60, p=[0.35, 0.2, 0.15, 0.2, 0.1])
    scores = random.normal(size=(60, 5)) + 1.2 * np.eye(5)[labels] + 0.8 * SEEN
    return scores, labels


def calibrated(scores, labels, seen, gamma):
    """Seen and unseen accuracy at one γ, picture by picture, each class's mean first."""
    right = {label: [] for label in set(labels.tolist())}
    for row, label in zip(scores, labels.tolist(), strict=True):
        lowered = [score - gamma if is_seen else score for score, is_seen in zip(row, seen, strict=True)]
        right[label].append(lowered.index(max(lowered)) == label)
    means = {label: sum(values) / len(values) for label, values in right.items()}
    groups = [[mean for label, mean in means.items() if seen[label] == is_seen] for is_seen in (True, False)]
    return tuple(sum(group) / len(group) for group in groups)


def test_per_class_by_hand():
    # class 0: one of two right; class 1: one of one; class 2 has no pictures; the last has no label
    scores = [[3, 1, 2], [1, 3, 2], [1, 3, 2], [3, 2, 1]]
    mean = per_class_top1(scores, [0, 0, 1, -1])
    assert (mean.value, mean.n) == (0.75, 2)


@pytest.mark.parametrize("gamma", [-0.5, 0.0, 0.3, 1.7])
def test_generalised_is_the_loop(drawn, gamma):
    scores, labels = drawn
    s, u = calibrated(scores, labels, SEEN, gamma)
    found = generalised(scores, labels, SEEN, gamma=gamma)
    np.testing.assert_allclose(found, [u, s, 2 * u * s / (u + s)])


def test_without_calibration_it_is_top1_over_all(drawn):
    scores, labels = drawn
    kept = SEEN[labels]
    found = generalised(scores, labels, SEEN)
    assert found.seen == per_class_top1(scores[kept], labels[kept]).value
    assert found.unseen == per_class_top1(scores[~kept], labels[~kept]).value


def test_curve_against_a_fine_grid(drawn):
    scores, labels = drawn
    curve = seen_unseen_curve(scores, labels, SEEN)
    grid = np.linspace(curve.gammas[1] - 1, curve.gammas[-1] + 1, 4001)
    points = np.array([calibrated(scores.tolist(), labels, SEEN.tolist(), gamma) for gamma in grid.tolist()])
    holds = np.searchsorted(curve.gammas, grid, side="right") - 1
    np.testing.assert_allclose(curve.seen[holds], points[:, 0], atol=1e-12)
    np.testing.assert_allclose(curve.unseen[holds], points[:, 1], atol=1e-12)
    # a grid misses a step now and then, so its area is near and not the same
    assert curve.area == pytest.approx(np.trapezoid(points[:, 0], points[:, 1]), abs=2e-3)


def test_area_worked_out_by_hand():
    # margins, best seen less best unseen: seen pictures 0.5 and 0.1, unseen 0.3 and −0.2; in their own
    # group all are right
    scores = [[0.9, 0.0, 0.4], [0.0, 0.6, 0.5], [0.5, 0.0, 0.2], [0.1, 0.0, 0.3]]
    curve = seen_unseen_curve(scores, [0, 1, 2, 2], [True, True, False])
    np.testing.assert_allclose(curve.gammas, [-np.inf, -0.2, 0.1, 0.3, 0.5])
    # γ passes −0.2: half of the unseen pictures; 0.1: one seen class is lost; 0.3: all unseen; 0.5: no seen
    assert curve.unseen.tolist() == [0, 0.5, 0.5, 1, 1]
    assert curve.seen.tolist() == [1, 1, 0.5, 0.5, 0]
    assert curve.area == pytest.approx(0.5 * 1 + 0.5 * 0.5)


def test_pictures_with_one_margin_turn_together():
    scores = [[2, 1], [2, 1]]
    curve = seen_unseen_curve(scores, [0, 1], [True, False])
    assert curve.gammas.tolist() == [-np.inf, 1]
    assert (curve.seen.tolist(), curve.unseen.tolist(), curve.area) == ([1, 0], [0, 1], 0.5)


def test_ends_of_the_curve(drawn):
    scores, labels = drawn
    curve = seen_unseen_curve(scores, labels, SEEN)
    kept = SEEN[labels]
    among_seen = per_class_top1(scores[kept][:, SEEN], labels[kept]).value
    among_unseen = per_class_top1(scores[~kept][:, ~SEEN], labels[~kept] - 3).value
    assert (curve.unseen[0], curve.seen[-1]) == (0, 0)
    assert curve.seen[0] == pytest.approx(among_seen)
    assert curve.unseen[-1] == pytest.approx(among_unseen)
    assert (np.diff(curve.seen) <= 0).all() and (np.diff(curve.unseen) >= 0).all()
    assert curve.area <= among_seen * among_unseen + 1e-12


def test_area_does_not_mind_a_bias_and_the_order(drawn):
    scores, labels = drawn
    area = seen_unseen_curve(scores, labels, SEEN).area
    assert seen_unseen_curve(scores + 5 * SEEN, labels, SEEN).area == pytest.approx(area)
    order = np.random.default_rng(0).permutation(len(labels))
    assert seen_unseen_curve(scores[order], labels[order], SEEN).area == pytest.approx(area)


def test_a_point_of_the_curve_is_generalised_there(drawn):
    scores, labels = drawn
    curve = seen_unseen_curve(scores, labels, SEEN)
    for point in (3, 20, 40):
        gamma = (curve.gammas[point] + curve.gammas[point + 1]) / 2
        found = generalised(scores, labels, SEEN, gamma=gamma)
        np.testing.assert_allclose(found[:2], [curve.unseen[point], curve.seen[point]], atol=1e-12)


def test_no_label_is_left_out(drawn):
    scores, labels = drawn
    more = np.vstack([scores, scores[:7]]), np.append(labels, [-1] * 7)
    assert generalised(*more, SEEN) == generalised(scores, labels, SEEN)
    assert seen_unseen_curve(*more, SEEN).area == seen_unseen_curve(scores, labels, SEEN).area


def test_harmonic_mean_of_nothing_is_nothing():
    assert generalised([[2, 1], [2, 1]], [0, 1], [True, False]) == Generalised(0.0, 1.0, 0.0)


@pytest.mark.parametrize("seen", [[True, False, True, False], [False, True, False, True]])
def test_of_equal_scores_the_smaller_class_wins_seen_or_not(seen):
    """Whole numbers tie often, with a γ of one too: the same as top-1 over the lowered scores."""
    random = np.random.default_rng(0)
    scores, labels, seen = random.integers(0, 3, (400, 4)), random.integers(0, 4, 400), np.array(seen)
    for gamma in (0, 1, -1):
        found = generalised(scores, labels, seen, gamma=gamma)
        lowered, mine = scores - gamma * seen, seen[labels]
        assert found.seen == pytest.approx(per_class_top1(lowered[mine], labels[mine]).value)
        assert found.unseen == pytest.approx(per_class_top1(lowered[~mine], labels[~mine]).value)
    wins = [generalised([[1, 1], [1, 1]], [0, 1], [first, not first]) for first in (True, False)]
    assert [(found.seen, found.unseen) for found in wins] == [(1, 0), (0, 1)]


@pytest.mark.parametrize("change, message", [
    ({"seen": [True] * 5}, "5 of 5 classes are seen"),
    ({"seen": [1, 1, 1, 0, 0]}, "expected bool"),
    ({"labels": np.zeros(60, int)}, "60 of 60 labelled pictures are of seen classes"),
    ({"labels": np.full(60, 5)}, "labels run from 5 to 5"),
    ({"labels": np.zeros(60)}, "whole numbers"),
    ({"scores": np.full((60, 5), np.nan)}, "NaN or infinity"),
    ({"scores": np.zeros((59, 5))}, "expected .n, classes. and .n,."),
])
def test_what_is_refused(drawn, change, message):
    scores, labels = drawn
    given = {"scores": scores, "labels": labels, "seen": SEEN} | change
    for function in (generalised, seen_unseen_curve):
        with pytest.raises(ValueError, match=message):
            function(**given)
