import math

import numpy as np
import pytest

from devise.zeroshot import InnerProduct, NearestLabel, Softmax

RANDOM = np.random.default_rng(3)
VECTORS, EMBEDDINGS, LOGITS = (RANDOM.normal(size=shape) for shape in ((7, 5), (4, 5), (4, 7)))


def test_nearest_label_is_the_largest_cosine():
    ids, scores = NearestLabel(VECTORS).tag(EMBEDDINGS, k=7)
    for query, row, row_scores in zip(EMBEDDINGS, ids, scores, strict=True):
        cosines = [query @ vector / math.sqrt((query @ query) * (vector @ vector)) for vector in VECTORS]
        assert list(row) == sorted(range(7), key=lambda c: -cosines[c])
        np.testing.assert_allclose(row_scores, sorted(cosines, reverse=True), atol=1e-6)


def test_equal_candidates_keep_their_order():
    assert NearestLabel([[0, 1], [1, 0], [2, 0]]).tag([[3, 0]], k=3).ids.tolist() == [[1, 2, 0]]


def test_nearest_label_takes_x_through_a_head():
    head = RANDOM.normal(size=(3, 5))
    x = RANDOM.normal(size=(4, 3))
    np.testing.assert_allclose(NearestLabel(VECTORS, lambda rows: rows @ head).scores(x),
                               NearestLabel(VECTORS).scores(x @ head), atol=1e-6)


def test_a_zero_embedding_has_no_cosine_but_an_inner_product():
    with pytest.raises(ValueError, match="zero rows, the first is row 1"):
        NearestLabel(VECTORS).tag([[1] * 5, [0] * 5], k=1)
    assert InnerProduct(VECTORS).scores([[0] * 5]).tolist() == [[0.0] * 7]


def test_inner_product_is_the_cosine_times_the_length():
    lengths = np.sqrt([sum(value * value for value in row) for row in EMBEDDINGS])
    np.testing.assert_allclose(InnerProduct(VECTORS).scores(EMBEDDINGS),
                               NearestLabel(VECTORS).scores(EMBEDDINGS) * lengths[:, None], rtol=1e-5)


def test_softmax_scores_are_probabilities():
    ids, scores = Softmax().tag(LOGITS, k=7)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
    total = sum(math.exp(value) for value in LOGITS[0])
    assert scores[0, 0] == pytest.approx(math.exp(LOGITS[0, ids[0, 0]]) / total)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_softmax_of_large_logits_stays_finite():
    assert Softmax().tag([[1e4, 0.0]], k=2).scores.tolist() == [[1.0, 0.0]]


def test_softmax_refuses_what_the_contract_refuses():
    for k in (0, 8):
        with pytest.raises(ValueError, match="expected 1 to 7"):
            Softmax().tag(LOGITS, k=k)
    with pytest.raises(ValueError, match="logits hold NaN or infinity in 1 rows, the first is row 0"):
        Softmax().tag([[np.nan, 1.0]], k=1)


def test_softmax_in_small_blocks_is_softmax(monkeypatch):
    whole = Softmax().tag(LOGITS, k=3)
    monkeypatch.setattr("devise.zeroshot.rules.BLOCK_BYTES", 1)
    np.testing.assert_array_equal(Softmax().tag(LOGITS, k=3).ids, whole.ids)
