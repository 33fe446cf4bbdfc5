"""Retrieval figures against a full sort and the metrics of single rows."""

import json
import math
import tracemalloc

import numpy as np
import pytest

from devise.evaluation import clustering_nmi, retrieval, retrieve
from devise.evaluation.retrieval import AT_K, WHOLE, right_ranks
from devise.index import make
from devise.metrics import ranking


def clustered(n, classes, dim=8, seed=0, noise=1.0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    rows = random.standard_normal((classes, dim))[labels] + noise * random.standard_normal((n, dim))
    return rows.astype(np.float32), labels


def slow(rows, labels, queries, gallery, ks):
    """{figure: list over the queries} by a full sort of every row, in float64."""
    unit = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    figures = {name: [] for name in (*((name, k) for name in AT_K for k in ks), *WHOLE)}
    for query in queries:
        members = sorted(row for row in gallery if row != query)
        order = sorted(members, key=lambda row: (-(unit[row] @ unit[query]), row))
        right = [labels[query] >= 0 and labels[row] == labels[query] for row in order]
        there = sum(right)
        relevant, count = np.array([right + [False] * (len(rows) - len(right))]), np.array([there])
        for k in ks:
            values = {"hit_at_k": ranking.hit_at_k(relevant, k), "precision_at_k": ranking.precision_at_k(relevant, k),
                      "recall_at_k": ranking.recall_at_k(relevant, k, n_relevant=count),
                      "ceiling_at_k": [min(k, there) / k]}
            for name, value in values.items():
                figures[name, k].append(value[0] if there else math.nan)
        figures["r_precision"].append(ranking.r_precision(relevant, n_relevant=count)[0])
        figures["map_at_r"].append(ranking.map_at_r(relevant, n_relevant=count)[0])
    return figures


def check(found, figures, ks, rtol=1e-7):
    for k in ks:
        for name in AT_K:
            np.testing.assert_allclose(getattr(found, name)[k], figures[name, k], rtol, err_msg=f"{name} {k}")
    for name in WHOLE:
        np.testing.assert_allclose(getattr(found, name), figures[name], rtol, err_msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_every_row_asks_all_others(seed):
    rows, labels = clustered(120, 9, seed=seed)
    labels[:4] = -1
    labels[4] = 77  # the only one of its class
    ks = (1, 5, 20, 119)
    found = retrieve(rows, labels, ks=ks, block_bytes=120 * 4 * 7)
    check(found, slow(rows, labels, range(120), range(120), ks), ks)
    assert found.n == 120 and found.undefined == 5 and found.gallery == 120
    assert np.isnan(found.map_at_r[:5]).all() and not np.isnan(found.map_at_r[5:]).any()


def test_queries_and_gallery_that_overlap_in_part():
    rows, labels = clustered(90, 6)
    random = np.random.default_rng(1)
    queries, gallery = random.permutation(90)[:40], random.permutation(90)[:60]
    assert len(np.intersect1d(queries, gallery)) > 10
    found = retrieve(rows, labels, queries=queries, gallery=gallery, ks=(1, 10, 60, 1000))
    check(found, slow(rows, labels, queries, gallery, (1, 10, 60)), (1, 10, 60))
    assert found.ks == (1, 10, 60) and found.ks_left_out == (1000,)
    np.testing.assert_array_equal(found.queries, queries)
    np.testing.assert_array_equal(found.labels, labels[queries])


def test_copies_of_a_picture_tie_and_the_smaller_id_goes_first():
    rows, labels = clustered(60, 4, dim=64)
    rows[30:50] = rows[10:30]
    labels[30:50] = np.random.default_rng(0).integers(0, 4, 20)
    whole = retrieve(rows, labels, ks=(1, 2, 10))
    check(whole, slow(rows, labels, range(60), range(60), (1, 2, 10)), (1, 2, 10))
    shuffled = retrieve(rows, labels, gallery=np.random.default_rng(2).permutation(60), ks=(1, 2, 10))
    np.testing.assert_array_equal(shuffled.map_at_r, whole.map_at_r)


def test_a_space_where_all_rows_are_one():
    found = retrieve(np.ones((40, 3)), np.arange(40) % 2, ks=(1, 2))
    # all tie, so row 0 and then row 1 come first, for row 0 the rows 1 and 2
    np.testing.assert_array_equal(found.hit_at_k[1], [0, 0] + [1, 0] * 19)
    np.testing.assert_array_equal(found.hit_at_k[2], [1, 0] + [1, 1] * 19)


def test_one_large_class_is_exact_and_no_matrix_is_held():
    rows, labels = clustered(3000, 2, dim=4, noise=3)
    labels[:40] = np.arange(2, 42) // 2 + 1
    tracemalloc.start()
    found = retrieve(rows, labels, queries=np.arange(0, 3000, 50), ks=(1, 10), block_bytes=2**18)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.n_relevant.max() > 1400
    # among so many rows of dim 4 some cosines are equal in float32 and not in float64
    check(found, slow(rows, labels, range(0, 3000, 50), range(3000), (1, 10)), (1, 10), rtol=1e-4)
    assert peak < 3000**2 * 4 / 20


def test_the_figures_do_not_hang_on_the_blocks():
    rows, labels = clustered(200, 10, dim=32)
    rows[150:] = rows[:50]
    whole, small = retrieve(rows, labels, ks=(1, 10)), retrieve(rows, labels, ks=(1, 10), block_bytes=1)
    for name in WHOLE:
        np.testing.assert_array_equal(getattr(whole, name), getattr(small, name))


def test_repeated_rows_have_the_same_figures_in_every_block_and_those_of_the_index():
    """Sixty places, each held by up to eight rows of several classes, among them copies of other lengths."""
    random = np.random.default_rng(5)
    places, which = random.standard_normal((60, 200)).astype(np.float32), random.integers(0, 60, 480)
    rows, labels = places[which] * random.choice([1, 2, 4], 480)[:, None], random.integers(0, 4, 480)
    figures = [retrieve(rows, labels, ks=(1, 5), block_bytes=size) for size in (1, 4 * 480 * 7, 2**24)]
    for other in figures[1:]:
        for name in WHOLE:
            np.testing.assert_array_equal(getattr(figures[0], name), getattr(other, name))
        for k in (1, 5):
            np.testing.assert_array_equal(figures[0].hit_at_k[k], other.hit_at_k[k])
    ids = make("exact").build(rows).search(rows, 6).ids
    others = np.array([[one for one in found if one != query][:5] for query, found in enumerate(ids.tolist())])
    np.testing.assert_array_equal(figures[0].hit_at_k[1], labels[others[:, 0]] == labels)
    np.testing.assert_array_equal(figures[0].precision_at_k[5], (labels[others] == labels[:, None]).mean(axis=1))
    check(figures[0], slow(rows, labels, range(480), range(480), (1, 5)), (1, 5))


def test_near_ties_go_by_float64():
    """A right and a wrong column 3e-8 apart, which the scores at hand have the other way round."""
    scores = np.array([0.5, 0.5 + 1e-7, 0.2, 0.9], np.float32)
    true = np.array([0.5 + 2e-7, 0.5, 0.2, 0.9], np.float32)
    assert right_ranks(scores, np.array([0]), 4, lambda columns: true[columns]).tolist() == [2]
    assert right_ranks(scores, np.array([1, 2]), 4, lambda columns: true[columns]).tolist() == [3, 4]
    asked = []
    right_ranks(np.linspace(0, 1, 50, dtype=np.float32), np.array([7]), 50, lambda columns: asked.append(columns))
    assert asked == []


def test_nmi_finds_far_clusters_and_leaves_rows_without_a_label_out():
    labels = np.repeat(np.arange(9), 20)
    rows = 100 * np.eye(9)[labels] + np.random.default_rng(0).standard_normal((180, 9))
    assert clustering_nmi(rows, labels) == pytest.approx(1)
    assert clustering_nmi(np.concatenate([rows, rows[:2]]), np.append(labels, [-1, -1])) == pytest.approx(1)
    assert clustering_nmi(rows, np.arange(180) % 9) < 0.2
    with pytest.raises(ValueError, match="no embedding has a label"):
        clustering_nmi(np.eye(2), [-1, -1])


def test_ranks_by_hand():
    scores = np.array([0.3, 0.9, 0.3, -np.inf, 0.5, 0.3], np.float32)
    for right, expected in [([1], [1]), ([0], [3]), ([2], [4]), ([5], [5]), ([2, 4], [2, 4]), ([0, 2, 5], [3, 4, 5])]:
        assert right_ranks(scores, np.array(right), 6, scores.__getitem__).tolist() == expected


@pytest.mark.parametrize("ties", [False, True])
def test_a_bound_on_the_scores_loses_no_rank_down_to_the_depth(ties):
    random = np.random.default_rng(0)
    for depth in (1, 10, 200, 3000):
        scores = random.standard_normal(40_000).astype(np.float32)
        scores = np.round(scores, 3) if ties else scores
        right = np.sort(random.choice(40_000, 300, replace=False))
        scores[right] += 1
        expected = np.flatnonzero(np.isin(np.argsort(-scores, kind="stable"), right)) + 1
        got = right_ranks(scores, right, depth, scores.__getitem__)
        assert got[got <= depth].tolist() == expected[expected <= depth].tolist() and (depth < 10 or len(got) > 5)


def test_a_bound_from_a_sample_that_misleads_is_not_taken():
    scores = np.linspace(0, 1, 64_000, dtype=np.float32)[::-1].copy()
    scores[::retrieval.STRIDE] += 5  # the sample holds the best scores alone
    right = np.arange(1, 64_000, 2000)
    expected = np.flatnonzero(np.isin(np.argsort(-scores, kind="stable"), right)) + 1
    got = right_ranks(scores, right, 2500, lambda columns: scores[columns])
    assert got[got <= 2500].tolist() == expected[expected <= 2500].tolist() != []


def test_means_over_queries_and_the_document():
    rows = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.9, 0.05], [5, 5]])
    labels = np.array([0, 0, 0, 1, 1, 2])
    found = retrieve(rows, labels, ks=(1, 50))
    hits = found.hit_at_k[1]
    assert found.means()["hit_at_k"] == {1: pytest.approx(np.mean(hits[:5]))}
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["undefined"] == 1 and document["n"] == 6 and document["ks_left_out"] == [50]
    assert document["map_at_r"] == found.means()["map_at_r"]
    assert document["hit_at_k"] == {"1": found.means()["hit_at_k"][1]}
    alone = retrieve(rows[-2:], [0, 1], ks=(1,)).to_json()
    assert alone["map_at_r"] is None and alone["undefined"] == 2


@pytest.mark.parametrize("labels, options, message", [
    ([0, 0], {}, r"expected integers \(3,\)"), ([0.0, 1.0, 0.0], {}, "expected integers"),
    ([0, -2, 0], {}, "-1 for no label"), ([0, 0, 0], {"queries": [3]}, "queries run from 3 to 3"),
    ([0, 0, 0], {"gallery": [0, 0]}, "gallery hold 1 ids twice"), ([0, 0, 0], {"gallery": []}, "gallery is empty"),
    ([0, 0, 0], {"ks": (0,)}, "depths of 1 and more"), ([0, 0, 0], {"gallery": [True, False, True]}, "row ids")])
def test_bad_input(labels, options, message):
    with pytest.raises(ValueError, match=message):
        retrieve(np.eye(3), labels, **options)


@pytest.mark.parametrize("bad, message", [(np.nan, "NaN or infinity in 1 rows"), (0.0, "1 zero rows")])
def test_rows_without_a_direction_are_refused(bad, message):
    rows = np.ones((4, 2))
    rows[2] = bad
    with pytest.raises(ValueError, match=message):
        retrieve(rows, [0, 0, 1, 1])


def test_progress_counts_queries():
    seen = []
    retrieve(*clustered(50, 3), block_bytes=50 * 4 * 20, progress=lambda *done: seen.append(done))
    assert seen == [(20, 50), (40, 50), (50, 50)]
