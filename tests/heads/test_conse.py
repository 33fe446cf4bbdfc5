import math

import numpy as np
import pytest

from devise.heads import ConseHead
from devise.zeroshot import onto

RANDOM = np.random.default_rng(5)
VECTORS, LOGITS = RANDOM.normal(size=(8, 3)), 2 * RANDOM.normal(size=(6, 8))
UNIT = VECTORS / np.sqrt((VECTORS ** 2).sum(axis=1, keepdims=True))


def by_hand(logits, top, temperature=1.0, masked=()):
    """The embedding of one picture, class by class, as the paper writes it."""
    allowed = [c for c in range(8) if c not in masked]
    total = sum(math.exp(logits[c] / temperature) for c in allowed)
    probability = {c: math.exp(logits[c] / temperature) / total for c in allowed}
    chosen = sorted(allowed, key=lambda c: -probability[c])[:top]
    z = sum(probability[c] for c in chosen)
    return sum(probability[c] * UNIT[c] for c in chosen) / z


@pytest.mark.parametrize("top", [1, 3, 8, 1000])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_embeddings_are_the_papers_combination(top, temperature):
    conse = ConseHead.of_logits(VECTORS, top=top, temperature=temperature)
    expected = [by_hand(row, top, temperature) for row in LOGITS]
    np.testing.assert_allclose(conse.outputs(LOGITS), expected, atol=1e-6)


def test_masked_classes_are_as_if_the_classifier_had_none():
    mask = np.isin(np.arange(8), [1, 4, 6])
    conse = ConseHead.of_logits(VECTORS, top=4, mask=mask)
    expected = [by_hand(row, 4, masked=(1, 4, 6)) for row in LOGITS]
    np.testing.assert_allclose(conse.outputs(LOGITS), expected, atol=1e-6)
    rest = ConseHead.of_logits(VECTORS[~mask], top=4)
    np.testing.assert_allclose(rest.outputs(LOGITS[:, ~mask]), conse.outputs(LOGITS), atol=1e-6)


def test_a_masked_class_needs_no_vector():
    vectors = VECTORS.copy()
    vectors[2], vectors[5] = np.nan, 0
    mask = np.isin(np.arange(8), [2, 5])
    np.testing.assert_array_equal(ConseHead.of_logits(vectors, mask=mask).outputs(LOGITS),
                                  ConseHead.of_logits(VECTORS, mask=mask).outputs(LOGITS))
    with pytest.raises(ValueError, match="class vectors hold NaN"):
        ConseHead.of_logits(vectors)


def test_top_1_is_the_vector_of_the_most_probable_class():
    outputs = ConseHead.of_logits(VECTORS, top=1).outputs(LOGITS)
    np.testing.assert_allclose(outputs, UNIT[LOGITS.argmax(axis=1)], atol=1e-6)


def test_tags_are_ranked_by_cosine_with_the_combination():
    candidates = RANDOM.normal(size=(9, 3))
    ids = onto(ConseHead.of_logits(VECTORS, top=3), candidates).tag(LOGITS, k=9).ids
    for row, logits in zip(ids, LOGITS, strict=True):
        mixed = by_hand(logits, 3)
        cosines = [mixed @ c / math.sqrt((mixed @ mixed) * (c @ c)) for c in candidates]
        assert row.tolist() == sorted(range(9), key=lambda c: -cosines[c])


def test_large_logits_stay_finite():
    np.testing.assert_allclose(ConseHead.of_logits(VECTORS, top=8).outputs([[1e4] + [0] * 7]), UNIT[:1], atol=1e-6)


@pytest.mark.parametrize("options, message", [
    ({"top": 0}, "top is 0"),
    ({"temperature": 0}, "temperature is 0"),
    ({"temperature": np.nan}, "temperature is nan"),
    ({"mask": np.ones(8, bool)}, "all 8 classes"),
    ({"mask": np.zeros(7, bool)}, r"expected bool \(8,\)"),
    ({"mask": [0, 1] * 4}, r"expected bool \(8,\)"),
])
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ConseHead.of_logits(VECTORS, **options)


class Classifier:
    """A backbone's classifier alone: features (n, 6) to logits of ImageNet's 1,000 classes."""

    dim = 6
    kernel, bias = RANDOM.normal(size=(6, 1000)).astype(np.float32), RANDOM.normal(size=1000).astype(np.float32)

    def classify(self, features):
        return features @ self.kernel + self.bias


@pytest.fixture(scope="module")
def words():
    from devise.words import WordVectors

    names = ("fish", "tench", "shark", "cat", "dog", "car", "wagon", "tiger")
    return WordVectors(names, RANDOM.normal(size=(len(names), 5)).astype(np.float32), name="few")


@pytest.fixture(scope="module")
def head(words):
    return ConseHead.of(Classifier(), words, top=4)


def test_it_is_conse_on_the_classifiers_logits(head):
    features = RANDOM.normal(size=(7, 6)).astype(np.float32)
    vectors = head.vectors
    expected = ConseHead.of_logits(vectors, top=4).embed(Classifier().classify(features))
    np.testing.assert_allclose(head.embed(features), expected, atol=1e-4)
    assert 0 < (~head.used).sum() < 1000  # few classes have words that these words know
