import keras
import numpy as np
import pytest

from devise.losses import Cosine, cosine_loss


def by_loop(labels, embeddings, label_vectors):
    total = 0.0
    for label, embedding in zip(labels, embeddings, strict=True):
        vector = label_vectors[label]
        total += 1 - embedding @ vector / (np.sqrt(embedding @ embedding) * np.sqrt(vector @ vector))
    return total / len(labels)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.integers(0, 5, 12), 3 * rng.standard_normal((12, 7)), 2 * rng.standard_normal((5, 7))


def test_equals_a_loop_over_rows(batch):
    assert float(cosine_loss(*batch)) == pytest.approx(by_loop(*batch), abs=1e-6)
    assert float(Cosine(batch[2])(*batch[:2])) == pytest.approx(by_loop(*batch), abs=1e-6)


@pytest.mark.parametrize(("embedding", "expected"), [([0.0, 4.0], 0), ([5.0, 0.0], 1), ([0.0, -1.0], 2)])
def test_is_0_along_1_across_and_2_against_the_label_vector(embedding, expected):
    assert float(Cosine([[1.0, 0.0], [0.0, 1.0]])([1], [embedding])) == pytest.approx(expected, abs=1e-6)


def test_lengths_do_not_matter(batch):
    labels, embeddings, vectors = batch
    longer = cosine_loss(labels, 100 * embeddings, 0.01 * vectors)
    assert float(longer) == pytest.approx(float(cosine_loss(*batch)), abs=1e-6)


def test_gradient_equals_finite_differences(batch, gradient, differences):
    labels, embeddings, vectors = batch
    numeric = differences(lambda changed: by_loop(labels, changed, vectors), embeddings)
    np.testing.assert_allclose(gradient(Cosine(vectors), labels, embeddings), numeric, atol=1e-6)


def test_gradient_is_across_the_embedding(batch, gradient):
    labels, embeddings, vectors = batch
    slopes = gradient(Cosine(vectors), labels, embeddings)
    np.testing.assert_allclose((slopes * embeddings).sum(axis=1), 0, atol=1e-6)


def test_a_zero_embedding_has_cosine_0_and_a_finite_gradient(gradient):
    loss = Cosine([[1.0, 0.0]])
    assert float(loss([0], [[0.0, 0.0]])) == 1
    assert np.isfinite(gradient(loss, [0], np.zeros((1, 2)))).all()


def test_tensors_serve_as_well_as_arrays(batch):
    labels, embeddings, vectors = batch
    tensors = keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(embeddings, "float32")
    assert float(Cosine(vectors)(*tensors)) == pytest.approx(by_loop(*batch), abs=1e-6)


@pytest.mark.parametrize(("vectors", "message"), [
    ([[1.0, 0.0], [0.0, 0.0]], "label vectors hold 1 zero rows, the first is row 1"),
    ([[1.0, np.nan]], "label vectors hold NaN or infinity"),
    ([1.0, 2.0], "label vectors have shape"),
])
def test_label_vectors_without_a_direction_are_refused(vectors, message):
    with pytest.raises(ValueError, match=message):
        Cosine(vectors)
