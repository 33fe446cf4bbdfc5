"""Lift as a head: the cosines with its text side are the lifts that the rule over logits scores the logarithm of."""

import math

import numpy as np
import pytest

from devise.heads import LiftHead, lift_vectors
from devise.zeroshot import Lift

RANDOM = np.random.default_rng(8)
CLASSES, WORDS, WIDTH = 7, 5, 4
KERNEL, BIAS = RANDOM.normal(size=(WIDTH, CLASSES)).astype(np.float32), RANDOM.normal(size=CLASSES).astype(np.float32)
NEAR = RANDOM.uniform(0.01, 1, (CLASSES, WORDS))
FEATURES = 2 * RANDOM.normal(size=(9, WIDTH)).astype(np.float32)
MASK = np.isin(np.arange(CLASSES), [1, 4])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("mask", [None, MASK], ids=["all classes", "masked"])
def test_cosines_are_the_lifts_over_the_number_of_classes(temperature, mask):
    head = LiftHead(KERNEL, BIAS, temperature=temperature, mask=mask)
    words = lift_vectors(NEAR[head.used])
    scores = Lift(NEAR, temperature=temperature, mask=mask).scores(FEATURES @ KERNEL + BIAS)
    np.testing.assert_allclose(head.embed(FEATURES) @ words.T * head.used.sum(), np.exp(scores), rtol=1e-4)
    np.testing.assert_array_equal(np.argsort(-head.embed(FEATURES) @ words.T, axis=1), np.argsort(-scores, axis=1))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_gamma_takes_off_what_the_rule_takes_off(gamma):
    found = LiftHead(KERNEL, BIAS).embed(FEATURES) @ lift_vectors(NEAR, gamma=gamma).T * CLASSES
    np.testing.assert_allclose(np.log(found), Lift(NEAR, gamma=gamma).scores(FEATURES @ KERNEL + BIAS), atol=1e-4)


def test_an_embedding_by_hand():
    logits = (FEATURES @ KERNEL + BIAS)[0] / 2
    powers = [math.exp(value) if not masked else 0 for value, masked in zip(logits, MASK, strict=True)]
    p = [power / sum(powers) for power, masked in zip(powers, MASK, strict=True) if not masked]
    expected = [*p, math.sqrt(1 - sum(value ** 2 for value in p)), 0]
    np.testing.assert_allclose(LiftHead(KERNEL, BIAS, temperature=2.0, mask=MASK).outputs(FEATURES)[0], expected,
                               atol=1e-6)


def test_text_rows_are_unit_rows_by_hand():
    for row, column in zip(lift_vectors(NEAR), NEAR.T, strict=True):
        t = [value / (sum(column) / CLASSES) for value in column]
        expected = [*t, 0, math.sqrt(CLASSES ** 2 - sum(value ** 2 for value in t))]
        np.testing.assert_allclose(row * CLASSES, expected, rtol=1e-5)
        assert np.linalg.norm(row) == pytest.approx(1, abs=1e-6)


def test_a_sure_guess_and_no_guess_are_unit_rows():
    head = LiftHead(np.eye(CLASSES), np.zeros(CLASSES))
    np.testing.assert_allclose(head.embed([[1e4] + [0.0] * (CLASSES - 1)])[0], np.eye(CLASSES + 2)[0], atol=1e-6)
    np.testing.assert_allclose(head.outputs(np.zeros((1, CLASSES)))[0, :-2], 1 / CLASSES, atol=1e-6)


@pytest.mark.parametrize("bad", [0, -1])
def test_a_kernel_that_has_no_lift_is_refused(bad):
    broken = NEAR.copy()
    broken[1, 2] = bad
    with pytest.raises(ValueError, match="entries of 0 or less"):
        lift_vectors(broken)


def test_a_gamma_that_has_no_unit_rows_is_refused():
    with pytest.raises(ValueError, match="gamma is 9: expected less"):
        lift_vectors(np.full((2, 1), 0.01), gamma=9)


def test_it_is_made_of_a_backbones_classifier():
    class Classifier:
        dim = WIDTH

        def classify(self, features):
            return features @ KERNEL + BIAS

    np.testing.assert_allclose(LiftHead.of(Classifier(), mask=MASK).embed(FEATURES),
                               LiftHead(KERNEL, BIAS, mask=MASK).embed(FEATURES), atol=1e-5)


@pytest.mark.parametrize(("options", "message"), [
    ({"temperature": 0}, "temperature is 0"), ({"temperature": np.nan}, "temperature is nan"),
    ({"mask": np.ones(CLASSES, bool)}, "all 7 classes"), ({"mask": MASK[1:]}, r"expected bool \(7,\)"),
    ({"mask": MASK.astype(int)}, r"expected bool \(7,\)"), ({"bias": BIAS[1:]}, r"bias has shape \(6,\)"),
])
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LiftHead(**{"kernel": KERNEL, "bias": BIAS} | options)
