"""tf-idf of captions, against the formula worked out by hand and against what it must not depend on."""

import json
import math

import numpy as np
import pytest

from devise.words.sentences import Tfidf, empty, latent

CAPTIONS = [("A brown dog runs.", "the DOG, a dog"), ("a cat sleeps", "cat on a mat"), ("The dog and the cat",)]


def by_hand(captions, stop):
    """[{term: weight}] by loops: counts times 1 + ln((1 + n) / (1 + df)), divided by the length."""
    counts = []
    for sentences in captions:
        counts.append({})
        for token in " ".join(sentences).lower().replace(",", " ").replace(".", " ").split():
            if token not in stop and len(token) > 1:
                counts[-1][token] = counts[-1].get(token, 0) + 1
    rows, n = [], len(captions)
    for row in counts:
        weights = {term: count * (1 + math.log((1 + n) / (1 + sum(term in other for other in counts))))
                   for term, count in row.items()}
        length = math.sqrt(sum(weight**2 for weight in weights.values()))
        rows.append({term: weight / length for term, weight in weights.items()})
    return rows


def test_weights_are_those_of_the_formula_over_pictures():
    terms = Tfidf().fit(CAPTIONS)
    rows = terms.pictures(CAPTIONS)
    for row, expected in zip(rows.toarray(), by_hand(CAPTIONS, {"the", "and", "on", "a"}), strict=True):
        found = {term: weight for term, weight in zip(terms.terms, row.tolist(), strict=True) if weight}
        assert found == pytest.approx(expected, rel=1e-5)
    assert rows.dtype == np.float32 and rows.format == "csr"


def test_the_order_and_the_split_of_a_pictures_captions_mean_nothing():
    terms = Tfidf().fit(CAPTIONS)
    one = terms.pictures([("a dog runs", "a brown dog")]).toarray()
    assert one == pytest.approx(terms.pictures([("a brown dog", "a dog runs")]).toarray())
    assert one == pytest.approx(terms.texts(["a brown dog a dog runs"]).toarray())


def test_a_text_without_a_known_term_has_an_empty_row_that_is_found():
    rows = Tfidf().fit(CAPTIONS).texts(["a dog", "the xylophone", "", "cat"])
    assert empty(rows).tolist() == [1, 2]
    assert np.diff(rows.indptr).tolist() == [1, 0, 0, 1]
    assert Tfidf().fit(CAPTIONS).pictures([]).shape == (0, 6)
    assert Tfidf().fit(CAPTIONS).cut("The cat, a hovercraft!") == ["cat", "hovercraft"]


def test_all_but_the_most_frequent_terms_can_be_left_out():
    assert Tfidf(max_terms=1).fit([*CAPTIONS, ("dog",)]).terms == ("dog",)


def test_terms_come_back_from_json_with_the_same_weights():
    terms = Tfidf().fit(CAPTIONS)
    again = Tfidf.from_json(json.loads(json.dumps(terms.to_json())))
    assert again.terms == terms.terms
    assert again.pictures(CAPTIONS).toarray() == pytest.approx(terms.pictures(CAPTIONS).toarray())


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="no term is left of the captions of 2 images"):
        Tfidf().fit([("the", "of the"), ("and",)])
    with pytest.raises(ValueError, match="a str where an image's sentences are expected"):
        Tfidf().fit(["a dog runs"])
    with pytest.raises(ValueError, match="call fit with the captions of the training images"):
        Tfidf().texts(["dog"])


def test_latent_columns_keep_the_inner_products_as_well_as_any_can():
    random = np.random.default_rng(2)
    captions = [(" ".join(f"term{term}" for term in random.integers(0, 30, 12)),) for _ in range(40)]
    rows = Tfidf().fit(captions).pictures(captions)
    dense = rows.toarray()
    left, values, _ = np.linalg.svd(dense, full_matrices=False)
    for dim in (3, 29):
        best = left[:, :dim] * values[:dim]  # Eckart and Young: no other columns come closer
        best /= np.linalg.norm(best, axis=1, keepdims=True)
        found = latent(rows, [rows[:25], rows[25:]], dim)
        assert found.shape == (40, dim) and found.dtype == np.float32
        np.testing.assert_allclose(found @ found.T, best @ best.T, atol=0.02)


def test_latent_rows_without_a_term_stay_zero_and_columns_are_no_more_than_there_can_be():
    terms = Tfidf().fit(CAPTIONS)
    found = latent(terms.pictures(CAPTIONS), [terms.pictures(CAPTIONS), terms.texts(["xylophone"])], 100)
    assert found.shape == (4, 3)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 1, 0], abs=1e-5)
    again = latent(terms.pictures(CAPTIONS), [terms.pictures(CAPTIONS)], 100)
    np.testing.assert_array_equal(again, found[:3])
