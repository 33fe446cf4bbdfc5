"""Milvus Lite under a uri, where the database is kept; what holds for every engine is in the contract."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import devise
from devise.index import load, make
from devise.index.sharded import Sharded

pytest.importorskip("pymilvus", reason="pymilvus is not installed")
pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")


def clustered(n, dim=48, seed=0):
    random = np.random.default_rng(seed)
    centres = random.standard_normal((30, dim))
    return (centres[random.integers(0, 30, n)] + random.standard_normal((n, dim))).astype(np.float32)


def overlap(found, expected):
    return np.mean([len(set(left) & set(right)) / len(right)
                    for left, right in zip(found.tolist(), expected.tolist(), strict=True)])


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return str(tmp_path_factory.mktemp("milvus") / "pictures.db")


def test_ten_nearest_as_exact_through_batches_deletes_and_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr("devise.index.milvus.BATCH", 700)
    rows, queries = clustered(4000), clustered(50, seed=1)
    exact = make("exact").build(rows[:3500], np.arange(3500) + 10**12)
    index = make("milvus", uri=str(tmp_path / "pictures.db"), links=16, build_depth=200, search_depth=300)
    index.build(rows[:3500], np.arange(3500) + 10**12)
    assert overlap(index.search(queries, 10).ids, exact.search(queries, 10).ids) >= 0.99
    gone = np.unique(exact.search(queries, 4).ids)
    for either in (index, exact):
        either.remove(gone)
        either.add(rows[3500:], np.arange(500))
    expected = exact.search(queries, 10).ids
    found = index.search(queries, 10)
    assert overlap(found.ids, expected) >= 0.99 and not np.isin(found.ids, gone).any()
    np.testing.assert_allclose(found.scores, exact.search(queries, 10).scores, atol=1e-5)

    index.save(tmp_path / "index")
    assert {path.name.split("-")[0] for path in (tmp_path / "index").iterdir()} == {"index.json", "ids"}
    index.close()
    np.save(tmp_path / "queries.npy", queries)
    code = ("import sys, numpy; from devise.index import load; "
            "print(load(sys.argv[1]).search(numpy.load(sys.argv[2]), 10).ids.tolist())")
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / "index", tmp_path / "queries.npy"],
                         cwd=Path(devise.__file__).parents[1], capture_output=True, check=True, text=True)
    assert overlap(np.array(json.loads(ran.stdout)), expected) >= 0.99


def test_a_collection_of_somebody_else_is_left_alone(database, tmp_path):
    theirs = make("milvus", uri=database, collection="theirs").build(np.eye(3))
    theirs.save(tmp_path)
    with pytest.raises(ValueError, match="the collection 'theirs' is in .*pictures.db already"):
        make("milvus", uri=database, collection="theirs").build(np.eye(4))
    opened = load(tmp_path)
    assert opened.search(np.eye(3), 1).ids.ravel().tolist() == [0, 1, 2]
    assert opened.build(np.eye(2)).search(np.eye(2), 1).ids.ravel().tolist() == [0, 1]  # its own may be replaced
    with pytest.raises(ValueError, match="'theirs' has 2 rows, the folder 3 ids"):
        load(tmp_path)
    opened.drop()
    assert len(opened) == 0
    with pytest.raises(ValueError, match="has no collection 'theirs'"):
        load(tmp_path)


def test_what_another_process_added_is_passed_over_until_it_is_known(database, tmp_path):
    ours = make("milvus", uri=database).build(np.eye(4))
    ours.save(tmp_path)
    load(tmp_path).add([[1, 1, 0, 0]], [9])
    hits = ours.search([[1, 1, 0, 0]], 2)
    assert hits.ids.tolist() == [[0, 1]]


def rows_of(index):
    """All that the database holds of an index."""
    found = index._client.query(index.collection, filter="id >= 0", output_fields=["id", "vector"])
    return sorted((row["id"], tuple(map(float, row["vector"]))) for row in found)


def test_a_whole_of_several_changes_none_of_their_collections(database, tmp_path):
    parts = [make("milvus", uri=database).build(clustered(20, seed=seed)) for seed in (0, 1)]
    before = [rows_of(part) for part in parts]
    whole = Sharded.join(parts, hidden=np.arange(20, 40))
    whole.remove([3])
    whole.add(clustered(1, seed=2), [99])
    assert whole.search(clustered(1, seed=2), 50).ids[0, 0] == 99
    assert [rows_of(part) for part in parts] == before and [len(rows) for rows in before] == [20, 20]


def test_no_token_is_written(database, tmp_path):
    index = make("milvus", uri=database, token="root:secret").build(np.eye(3))
    index.save(tmp_path)
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.iterdir())
    assert load(tmp_path).parameters == index.parameters


@pytest.mark.parametrize("options, message", [
    ({"uri": "pictures"}, "expected http://host:19530, or a path that ends in .db"),
    ({"collection": "mine"}, "has no uri"), ({"links": 1}, "links is 1"), ({"search_depth": 0}, "search_depth is 0")])
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        make("milvus", **options)


def test_more_than_milvus_answers_with(monkeypatch):
    monkeypatch.setattr("devise.index.milvus.DEEPEST", 5)
    index = make("milvus").build(np.eye(8))
    assert (index.search(np.eye(8), 5).ids[:, 0] == np.arange(8)).all()
    with pytest.raises(ValueError, match="k is 6: Milvus answers with 5 at most"):
        index.search(np.eye(8), 6)
