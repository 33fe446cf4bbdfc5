import math

import numpy as np
import pytest

from devise.zeroshot import CSLS, NearestLabel

RANDOM = np.random.default_rng(17)
VECTORS, QUERIES, REFERENCE = (RANDOM.normal(size=(n, 4)) for n in (6, 5, 30))
RULE = NearestLabel(VECTORS)


class LeavesOut(NearestLabel):
    def __init__(self):
        super().__init__(VECTORS)

    def compare(self, rows):
        scores = super().compare(rows)
        return np.where(scores > 0, scores, np.float32(-np.inf))


def cosine(a, b):
    return a @ b / math.sqrt((a @ a) * (b @ b))


def mean_of_largest(values, k):
    return np.mean(sorted(values, reverse=True)[:k])


@pytest.mark.parametrize("neighbours", [1, 3, 10, 100])
def test_csls_is_the_papers_formula(neighbours):
    scores = CSLS(RULE, REFERENCE, neighbours).scores(QUERIES)
    for row, query in zip(scores, QUERIES, strict=True):
        own = mean_of_largest([cosine(query, c) for c in VECTORS], neighbours)
        others = [mean_of_largest([cosine(x, c) for x in REFERENCE], neighbours) for c in VECTORS]
        expected = [2 * cosine(query, c) - own - other for c, other in zip(VECTORS, others, strict=True)]
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_a_hub_loses_its_tags_and_the_right_ones_win():
    """All pictures lean towards the candidate 0, a little more than towards their own."""
    labels = np.arange(240) % 8
    pictures = np.eye(8)[labels] + 1.15 * np.eye(8)[0] + 0.02 * RANDOM.normal(size=(240, 8))
    plain = NearestLabel(np.eye(8))
    assert (plain.tag(pictures, k=1).ids == 0).all()
    corrected = CSLS(plain, pictures[:100]).tag(pictures[100:], k=1).ids[:, 0]
    assert (corrected == labels[100:]).mean() > 0.95


def test_the_reference_is_measured_in_blocks(monkeypatch):
    whole = CSLS(RULE, REFERENCE).scores(QUERIES)
    monkeypatch.setattr("devise.zeroshot.rules.BLOCK_BYTES", 4 * 6 * 7)
    np.testing.assert_allclose(CSLS(RULE, REFERENCE).scores(QUERIES), whole, atol=1e-5)


def test_no_reference_and_a_rule_that_leaves_candidates_out_are_refused():
    with pytest.raises(ValueError, match="no reference images"):
        CSLS(RULE, REFERENCE[:0])
    with pytest.raises(ValueError, match="leaves candidates out"):
        CSLS(LeavesOut(), REFERENCE)


def test_options_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="neighbours is 0"):
        CSLS(RULE, REFERENCE, neighbours=0)
