"""Galleries of stated sizes, against draws made by hand."""

import json

import numpy as np
import pytest

from devise.datasets import galleries, query_gallery
from devise.evaluation import evaluate_galleries, gallery_table, pool, retrieve


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    labels = np.append(np.repeat(np.arange(6), 9), [-1, -1, 7])
    return random.standard_normal((8, 5))[labels] + 0.8 * random.standard_normal((57, 5)), labels


def test_each_draw_is_a_retrieval_of_one_query_a_class(rows):
    embeddings, labels = rows
    found = evaluate_galleries({"all": embeddings, "half": embeddings[:, :2]}, labels, [6, 20, 48, 5, 1000], ks=(1, 3),
                               draws=3, seed=4)
    assert (found.smallest, found.largest, found.left_out, found.draws) == (6, 48, (5, 1000), 3)
    assert list(found.runs["all"]) == [6, 20, 48]
    hits = []
    for draw in range(3):
        asking, others = query_gallery(labels[:54], seed=4 + draw)
        for query in asking:
            gallery = galleries(labels, asking, others, [20], seed=4 + draw)[20]
            hit = retrieve(embeddings[:, :2], labels, queries=[query], gallery=gallery, ks=(1,)).hit_at_k[1]
            hits.append(float(hit[0]))
    run = found.runs["half"][20]
    assert run.gallery == 20 and run.n == 18 and run.undefined == 0
    assert run.hit_at_k[1].tolist() == hits


def test_the_document_and_the_table(rows):
    found = evaluate_galleries({"raw": rows[0]}, rows[1], [10], ks=(1,), draws=2)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert list(document["sizes"]) == ["10", "48"] and document["sizes"]["10"]["raw"]["gallery"] == 10
    assert "12 pictures" in gallery_table(found.runs).caption


def test_only_some_rows_take_part(rows):
    found = evaluate_galleries({"raw": rows[0]}, rows[1], [3], rows=np.arange(27), ks=(1,), draws=1)
    assert (found.smallest, found.largest) == (3, 24)
    with pytest.raises(ValueError, match="none of 2 classes has two pictures"):
        evaluate_galleries({"raw": rows[0]}, rows[1], [3], rows=[0, 9])


def test_pooled_means_are_those_of_all_queries(rows):
    embeddings, labels = rows
    one = retrieve(embeddings, labels, queries=np.arange(22, 32), gallery=np.arange(20, 50), ks=(1, 5))
    two = retrieve(embeddings, labels, queries=np.arange(0, 40, 8), gallery=np.arange(24, 54), ks=(1, 5))
    both = pool([one, two])
    assert both.n == 15 and both.gallery == 30 and both.undefined == 3
    for k in (1, 5):
        expected = np.nanmean([*one.recall_at_k[k], *two.recall_at_k[k]])
        assert both.means()["recall_at_k"][k] == pytest.approx(expected)
    np.testing.assert_array_equal(both.queries[10:], np.arange(0, 40, 8))
    with pytest.raises(ValueError, match=r"2 runs have galleries of \[30, 31\]"):
        pool([one, retrieve(embeddings, labels, queries=[0], gallery=np.arange(20, 51), ks=(1, 5))])
    with pytest.raises(ValueError, match="0 runs"):
        pool([])
