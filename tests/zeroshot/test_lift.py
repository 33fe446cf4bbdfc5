import math

import numpy as np
import pytest

from devise.zeroshot import Lift, kernel

RANDOM = np.random.default_rng(8)
CLASSES, WORDS, DIM = 7, 5, 3
VECTORS, CANDIDATES = RANDOM.normal(size=(CLASSES, DIM)), RANDOM.normal(size=(WORDS, DIM))
STEPS = RANDOM.integers(0, 12, (CLASSES, WORDS))
LOGITS = 2 * RANDOM.normal(size=(6, CLASSES))
MASK = np.isin(np.arange(CLASSES), [1, 4])


def near(c, w, a=2.5, b=0.5):
    """The kernel of one class and one word."""
    lengths = math.sqrt(sum(VECTORS[c] ** 2) * sum(CANDIDATES[w] ** 2))
    return math.exp(a * (sum(VECTORS[c] * CANDIDATES[w]) / lengths - 1) - b * STEPS[c, w])


def slow(logits, w, temperature=1.0, gamma=1.0, masked=()):
    """The score of one picture and one word, class by class."""
    used = [c for c in range(CLASSES) if c not in masked]
    total = sum(math.exp(logits[c] / temperature) for c in used)
    spoken = sum(math.exp(logits[c] / temperature) / total * near(c, w) for c in used)
    return math.log(spoken) - gamma * math.log(sum(near(c, w) for c in used) / len(used))


@pytest.mark.parametrize(("a", "b"), [(2.5, 0.5), (0, 1), (4, 0)])
def test_the_kernel_entry_by_entry(a, b):
    expected = [[near(c, w, a, b) for w in range(WORDS)] for c in range(CLASSES)]
    np.testing.assert_allclose(kernel(VECTORS, CANDIDATES, STEPS, a=a, b=b), expected, rtol=1e-5)


def test_the_kernel_in_parts_is_the_kernel(monkeypatch):
    whole = kernel(VECTORS, CANDIDATES, STEPS)
    monkeypatch.setattr("devise.zeroshot.rules.COLUMNS", 2)
    np.testing.assert_allclose(kernel(VECTORS, CANDIDATES, STEPS), whole, rtol=1e-6)


def test_a_class_without_a_vector_is_at_a_right_angle_to_all():
    np.testing.assert_allclose(kernel([[0, 0, 0]], CANDIDATES), [[math.exp(-2.5)] * WORDS], rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"gamma": 0.3, "temperature": 2.0}])
@pytest.mark.parametrize("masked", [(), (1, 4)])
def test_scores_are_those_of_a_slow_loop(options, masked):
    rule = Lift(kernel(VECTORS, CANDIDATES, STEPS), mask=MASK if masked else None, **options)
    expected = [[slow(row, w, masked=masked, **options) for w in range(WORDS)] for row in LOGITS]
    np.testing.assert_allclose(rule.scores(LOGITS), expected, atol=1e-5)


def test_masked_classes_are_as_if_there_were_none():
    near_all = kernel(VECTORS, CANDIDATES, STEPS)
    np.testing.assert_allclose(Lift(near_all, mask=MASK).scores(LOGITS),
                               Lift(near_all[~MASK]).scores(LOGITS[:, ~MASK]), atol=1e-5)


def test_what_is_far_from_every_class_alike_loses_nothing_by_it():
    """As words that are no nouns are: with gamma 1 a constant factor cancels out."""
    near_all = kernel(VECTORS, CANDIDATES)
    further = near_all * np.where(np.arange(WORDS) == 2, np.float32(1e-5), 1)
    np.testing.assert_allclose(Lift(further).scores(LOGITS), Lift(near_all).scores(LOGITS), atol=1e-4)


def test_no_guess_is_no_lift():
    scores = Lift(kernel(VECTORS, CANDIDATES, STEPS)).scores(np.zeros((1, CLASSES)))
    np.testing.assert_allclose(scores, np.zeros((1, WORDS)), atol=1e-6)


def test_large_logits_stay_finite():
    near_all = kernel(VECTORS, CANDIDATES, STEPS)
    scores = Lift(near_all).scores([[1e4] + [0] * (CLASSES - 1)])
    np.testing.assert_allclose(scores[0], np.log(near_all[0] / near_all.mean(axis=0)), atol=1e-5)


@pytest.mark.parametrize(("options", "message"), [
    ({"temperature": 0}, "temperature is 0"),
    ({"temperature": np.nan}, "temperature is nan"),
    ({"gamma": np.inf}, "gamma is inf"),
    ({"mask": np.ones(CLASSES, bool)}, "all 7 classes"),
    ({"mask": MASK[1:]}, r"expected bool \(7,\)"),
    ({"mask": MASK.astype(int)}, r"expected bool \(7,\)"),
])
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Lift(kernel(VECTORS, CANDIDATES), **options)


@pytest.mark.parametrize("bad", [0, -1])
def test_a_kernel_that_has_no_logarithm_is_refused(bad):
    near_all = kernel(VECTORS, CANDIDATES)
    near_all[1, 2] = bad
    with pytest.raises(ValueError, match="entries of 0 or less"):
        Lift(near_all)


@pytest.mark.parametrize(("changes", "message"), [
    ({"steps": STEPS.T}, r"steps have shape \(5, 7\): expected \(7, 5\)"),
    ({"a": -1}, "a is -1"),
    ({"b": np.nan}, "b is nan"),
    ({"candidate_vectors": CANDIDATES[:, 1:]}, "candidate vectors have 2 columns, expected 3"),
    ({"candidate_vectors": 0 * CANDIDATES}, "candidate vectors hold 5 zero rows"),
])
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        kernel(**{"class_vectors": VECTORS, "candidate_vectors": CANDIDATES} | changes)
