"""Queries and galleries: nested, of the sizes asked for, and with a right answer for every query."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devise.datasets import galleries, query_gallery


def test_galleries_are_nested_and_hold_an_answer_for_each_query():
    labels = np.repeat(np.arange(20), 10)
    queries, gallery = np.arange(0, 100, 10), np.setdiff1d(np.arange(200), np.arange(0, 200, 10))
    for seed in range(5):
        drawn = galleries(labels, queries, gallery, [180, 10, 60], seed=seed)
        assert {size: len(rows) for size, rows in drawn.items()} == {180: 180, 10: 10, 60: 60}
        assert set(drawn[10]) < set(drawn[60]) < set(drawn[180]) == set(gallery)
        for rows in drawn.values():
            assert (np.diff(rows) > 0).all() and set(labels[queries]) <= set(labels[rows])
    assert galleries(labels, queries, gallery, [60], seed=0)[60].tolist() != drawn[60].tolist()
    for size in (9, 181):
        with pytest.raises(ValueError, match="expected 10, so that each query finds a right answer, to 180"):
            galleries(labels, queries, gallery, [size])


def test_a_query_is_no_answer_to_itself():
    labels = np.repeat(np.arange(12), 6)
    rows = np.arange(72)
    for seed in range(10):  # every row asks all others
        drawn = galleries(labels, rows, rows, [24, 30, 72], seed=seed)
        for ids in drawn.values():
            for row in rows:
                assert (labels[ids[ids != row]] == labels[row]).any()
    with pytest.raises(ValueError, match="expected 24, so that"):
        galleries(labels, rows, rows, [23])


def test_the_least_gallery_is_one_row_a_class_where_some_do_not_ask_and_two_where_all_do():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 3, -1, -1])
    queries, gallery = [0, 3, 4, 5, 7, 8], [1, 3, 4, 5, 6, 7, 9]
    for seed in range(10):
        # of class 0 row 1, of class 1 both, of class 2 row 6; nothing answers row 7 nor a row without a class
        least = galleries(labels, queries, gallery, [5], seed=seed)[5].tolist()
        assert least == [1, 3, 4, 6, 7]
    assert galleries(labels, [8], gallery, [1])[1].size == 1
    with pytest.raises(ValueError, match="expected 5, so that each query finds a right answer, to 7"):
        galleries(labels, queries, gallery, [4])


def test_galleries_of_rows_that_are_not_there_or_twice_are_refused():
    labels = np.array([0, 0, 1, 1])
    for queries, gallery, said in (([0], [1, 4], "gallery run from 1 to 4"), ([-1], [1, 2], "queries run from -1"),
                                   ([0], [1, 1, 3], "1 rows twice"), ([0.5], [1], "queries are float64"),
                                   (np.array([True]), [1], "queries are bool")):
        with pytest.raises(ValueError, match=said):
            galleries(labels, queries, gallery, [1])
    with pytest.raises(ValueError, match="a gallery of 0 was asked for"):
        galleries(labels, [], [0, 1], [0])
    with pytest.raises(ValueError, match=r"labels are float64 \(2,\)"):
        galleries([0.0, 1.0], [0], [1], [1])


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 30), min_size=2, max_size=8), unlabelled=st.integers(0, 3),
       queries=st.integers(1, 5), seed=st.integers(0, 9))
def test_query_gallery(counts, unlabelled, queries, seed):
    labels = np.concatenate([np.full(unlabelled, -1), np.repeat(np.arange(len(counts)), counts)])
    labels = np.random.default_rng(seed).permutation(labels)
    query, gallery = query_gallery(labels, seed=seed, queries=queries)
    assert sorted([*query, *gallery]) == np.flatnonzero(labels >= 0).tolist()
    for label, count in enumerate(counts):
        assert (labels[query] == label).sum() == min(queries, max(count - 1, 0))
    np.testing.assert_array_equal(query, query_gallery(labels, seed=seed, queries=queries)[0])


def test_query_gallery_needs_a_query():
    with pytest.raises(ValueError, match="queries is 0: expected 1 or more"):
        query_gallery([0, 0], queries=0)
