"""Engines under a uri, where the database is kept; what holds for every engine is in the contract."""

import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path

import numpy as np
import pytest

import devise
from devise.index import load, make
from devise.index.sharded import Sharded


def clustered(n, dim=48, seed=0):
    random = np.random.default_rng(seed)
    centres = random.standard_normal((30, dim))
    return (centres[random.integers(0, 30, n)] + random.standard_normal((n, dim))).astype(np.float32)


def overlap(found, expected):
    return np.mean([len(set(left) & set(right)) / len(right)
                    for left, right in zip(found.tolist(), expected.tolist(), strict=True)])


THOROUGH = {"milvus": {"links": 16, "build_depth": 200, "search_depth": 300},
            "lancedb": {"n_probes": 1000, "refine": 50}}


def needs(engine):
    """Skip, and say so, where the packages of an engine are not installed."""
    for package in {"milvus": ("pymilvus", "milvus_lite"), "lancedb": ("lancedb",)}[engine]:
        pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.fixture(scope="module")
def bucket():
    """The uri of a bucket in an S3 server of this machine."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("REGION", "us-east-1"),
                            ("DEFAULT_REGION", "us-east-1"), ("ENDPOINT", address), ("ALLOW_HTTP", "true")):
            patch.setenv(f"AWS_{name}", value)
        urllib.request.urlopen(urllib.request.Request(f"{address}/pictures", method="PUT"))
        yield "s3://pictures/vectors"
    server.stop()


@pytest.fixture(params=["milvus in a file", "milvus on a server", "lancedb in a folder", "lancedb in a bucket"])
def database(request, tmp_path_factory):
    """An engine's name and a uri of the test's own; but the server is the one that MILVUS_URI names."""
    engine, _, place = request.param.partition(" ")
    needs(engine)
    if place == "on a server":
        if not os.environ.get("MILVUS_URI"):
            pytest.skip("MILVUS_URI names no server to test with")
        return engine, os.environ["MILVUS_URI"]
    if place == "in a bucket":
        return engine, f"{request.getfixturevalue('bucket')}/{uuid.uuid4().hex}"
    return engine, str(tmp_path_factory.mktemp(engine) / "pictures.db")


# for what is decided before the place is asked
on_this_disk = pytest.mark.parametrize("database", ["milvus in a file", "lancedb in a folder"], indirect=True)


@pytest.fixture
def new(database):
    """A maker of indexes in the database."""
    engine, uri = database
    return functools.partial(make, engine, uri=uri)


def collections(index):
    """The collections of the database; on a server those of other tests, too."""
    return set(index._collections())


def rows_of(index):
    """The keys of all that the database holds of an index."""
    return sorted(index._all_keys().tolist())


def leave(index):
    """Let another process have the database where only one can."""
    if index.engine == "milvus":
        index.close()


@pytest.mark.parametrize("engine", THOROUGH)
def test_ten_nearest_as_exact_through_batches_deletes_and_a_restart(engine, tmp_path, monkeypatch):
    needs(engine)
    monkeypatch.setattr("devise.index.database.BATCH", 700)
    monkeypatch.setattr("devise.index.lancedb.SCANNED", 1000)
    rows, queries = clustered(4000), clustered(50, seed=1)
    exact = make("exact").build(rows[:3500], np.arange(3500) + 10**12)
    index = make(engine, uri=str(tmp_path / "pictures.db"), **THOROUGH[engine])
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
    assert {path.name.split("-")[0] for path in (tmp_path / "index").iterdir()} == {"index.json", "ids", "keys"}
    leave(index)
    np.save(tmp_path / "queries.npy", queries)
    code = ("import sys, numpy; from devise.index import load; "
            "print(load(sys.argv[1]).search(numpy.load(sys.argv[2]), 10).ids.tolist())")
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / "index", tmp_path / "queries.npy"],
                         cwd=Path(devise.__file__).parents[1], capture_output=True, check=True, text=True)
    assert overlap(np.array(json.loads(ran.stdout)), expected) >= 0.99


def test_a_collection_of_somebody_else_is_left_alone(new, tmp_path):
    theirs = new(collection="theirs").build(np.eye(3))
    theirs.save(tmp_path)
    with pytest.raises(ValueError, match="the collection 'theirs' is in .* already"):
        new(collection="theirs").build(np.eye(4))
    opened = load(tmp_path)
    assert opened.search(np.eye(3), 1).ids.ravel().tolist() == [0, 1, 2]
    assert opened.build(np.eye(2)).search(np.eye(2), 1).ids.ravel().tolist() == [0, 1]
    assert load(tmp_path).search(np.eye(3), 1).ids.ravel().tolist() == [0, 1, 2]  # until the new one is saved
    opened.save(tmp_path)
    assert "theirs" not in collections(opened) and len(load(tmp_path)) == 2
    opened.drop()
    assert len(opened) == 0
    with pytest.raises(ValueError, match="has no collection 'devise_"):
        load(tmp_path)


def test_an_index_that_is_saved_elsewhere_leaves_the_first_as_it_is(new, tmp_path):
    rows = clustered(30)
    new().build(rows[:20]).save(tmp_path / "first")
    second = load(tmp_path / "first")
    second.add(rows[20:], np.arange(20, 30))
    second.remove([0])
    second.save(tmp_path / "second")
    first, second = (load(tmp_path / name) for name in ("first", "second"))
    assert first.collection != second.collection and [len(rows_of(each)) for each in (first, second)] == [20, 29]
    np.testing.assert_allclose(first.vectors(np.arange(20)), make("exact").build(rows[:20]).vectors(np.arange(20)),
                               atol=1e-6)
    assert first.search(rows[:20], 1).ids.ravel().tolist() == list(range(20))
    assert second.search(rows[1:], 1).ids.ravel().tolist() == list(range(1, 30))


@on_this_disk
def test_a_copy_of_several_blocks_is_whole(new, tmp_path, monkeypatch):
    rows = clustered(30)
    new().build(rows).save(tmp_path / "first")
    monkeypatch.setattr("devise.index.comparing.BLOCK_BYTES", 4 * 48 * 8)  # eight rows
    load(tmp_path / "first").save(tmp_path / "second")
    copy = load(tmp_path / "second")
    assert len(rows_of(copy)) == 30 and copy.search(rows, 1).ids.ravel().tolist() == list(range(30))


def test_what_was_added_or_removed_and_never_saved_changes_nothing(new, tmp_path):
    rows = clustered(12)
    new().build(rows[:10]).save(tmp_path)
    stopped = load(tmp_path)
    stopped.remove([3])
    stopped.add(rows[10:], [3, 11])
    again = load(tmp_path)
    assert len(again) == 10 and again.search(rows[:10], 1).ids.ravel().tolist() == list(range(10))
    again.add(rows[10:11], [11])  # the same id, and another row
    again.save(tmp_path)
    again = load(tmp_path)
    assert again.search(rows[10:11], 1).ids.tolist() == [[11]] and len(rows_of(again)) == 13
    told = f"2 rows of {again.collection} that the index does not name are deleted"
    assert told in again.repair(tmp_path)  # which also drops what other runs left on a server
    assert len(rows_of(again)) == 11 and again.repair(tmp_path) == []
    assert load(tmp_path).search(rows[:10], 1).ids.ravel().tolist() == list(range(10))


def test_two_copies_that_add_at_once_do_not_meet(new, tmp_path):
    rows = clustered(14)
    new().build(rows[:10]).save(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = load(tmp_path / "one"), load(tmp_path / "two")
    one.add(rows[10:12], [10, 11])
    assert two.repair(tmp_path / "two") == [] and len(rows_of(one)) == 12  # what it does not name is the first's
    two.add(rows[12:], [10, 11])
    two.save(tmp_path / "two")
    one.save(tmp_path / "one")
    for name, held in (("one", rows[:12]), ("two", rows[[*range(10), 12, 13]])):
        opened = load(tmp_path / name)
        assert opened.search(held, 1).ids.ravel().tolist() == list(range(12))
        assert len(rows_of(opened)) == 12


def test_an_index_whose_folder_was_moved_keeps_its_collection(database, new, tmp_path):
    new().build(np.eye(4)).save(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    moved = load(tmp_path / "there")
    name = moved.collection
    moved.remove([0])
    moved.save(tmp_path / "there")
    assert load(tmp_path / "there").collection == name and len(rows_of(moved)) == 3
    manifest = json.loads((tmp_path / "there/index.json").read_text(encoding="utf-8"))
    manifest["outside"].pop("version", None)
    assert manifest["outside"] == {"uri": database[1], "collection": name, "owner": {
        "host": platform.node(), "place": str(tmp_path / "there")}}


HALF = """
import os, sys, numpy
from devise.index import make
index = make(sys.argv[1], uri=sys.argv[2])
fill = index._insert
index._insert = lambda rows: (fill(rows), print(index.collection, flush=True), os._exit(9))
index.build(numpy.eye(4))
"""


@on_this_disk
def test_what_a_killed_build_left_is_dropped_by_repair(database, new, tmp_path):
    kept = new().build(np.eye(3))
    kept.save(tmp_path)
    unsaved = new().build(np.eye(3))
    leave(kept)
    ran = subprocess.run([sys.executable, "-c", HALF, *database], cwd=Path(devise.__file__).parents[1],
                         capture_output=True, text=True)
    assert ran.returncode == 9, ran.stderr
    half, kept = ran.stdout.strip(), load(tmp_path)
    assert {half, unsaved.collection, kept.collection} <= collections(kept)
    told = f"the collection {half}, left over by a build that was replaced or never saved, is dropped"
    assert told in kept.repair(tmp_path)
    assert {unsaved.collection, kept.collection} <= collections(kept) and half not in collections(kept)


def test_a_build_that_fails_leaves_no_collection(new, monkeypatch):
    index = new()
    before = collections(index)
    monkeypatch.setattr(index, "_settle_rows", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        index.build(np.eye(3))
    assert collections(index) == before


@pytest.mark.parametrize("engine", THOROUGH)
def test_opening_makes_no_database(engine, tmp_path):
    needs(engine)
    make(engine, uri=str(tmp_path / "db/pictures.db")).build(np.eye(3)).save(tmp_path / "index")
    manifest = tmp_path / "index/index.json"
    manifest.write_text(manifest.read_text().replace("/db/", "/gone/"))
    with pytest.raises(ValueError, match="gone/pictures.db has no collection"):
        load(tmp_path / "index")
    assert not (tmp_path / "gone").exists()


def test_what_another_process_added_is_passed_over_until_it_is_known(new, tmp_path):
    ours = new().build(np.eye(4))
    ours.save(tmp_path)
    load(tmp_path).add([[1, 1, 0, 0]], [9])
    hits = ours.search([[1, 1, 0, 0]], 2)
    assert hits.ids.tolist() == [[0, 1]]


@on_this_disk
def test_a_whole_of_several_changes_none_of_their_collections(new, tmp_path):
    parts = [new().build(clustered(20, seed=seed)) for seed in (0, 1)]
    before = [rows_of(part) for part in parts]
    whole = Sharded.join(parts, hidden=np.arange(20, 40))
    whole.remove([3])
    whole.add(clustered(1, seed=2), [99])
    assert whole.search(clustered(1, seed=2), 50).ids[0, 0] == 99
    assert [rows_of(part) for part in parts] == before and [len(rows) for rows in before] == [20, 20]


def test_who_opened_an_index_reads_on_while_another_changes_it(tmp_path):
    """A table has versions: a reader keeps the one that the manifest named."""
    needs("lancedb")
    rows = clustered(30)
    make("lancedb", uri=str(tmp_path / "db")).build(rows[:20]).save(tmp_path / "index")
    reader, writer = load(tmp_path / "index"), load(tmp_path / "index")
    writer.remove(np.arange(10))
    writer.add(rows[20:], np.arange(20, 30))
    writer.save(tmp_path / "index")
    assert len(rows_of(load(tmp_path / "index"))) == 20
    np.testing.assert_allclose(reader.vectors(np.arange(20)), make("exact").build(rows[:20]).vectors(np.arange(20)),
                               atol=1e-6)
    assert reader.search(rows[:20], 1).ids.ravel().tolist() == list(range(20))


def test_a_save_indexes_rows_when_they_are_many(tmp_path, monkeypatch):
    needs("lancedb")
    monkeypatch.setattr("devise.index.lancedb.SCANNED", 500)
    rows = clustered(1200)
    index = make("lancedb", uri=str(tmp_path / "db")).build(rows[:400])
    index.add(rows[400:1000], np.arange(400, 1000))
    index.save(tmp_path / "index")
    assert unindexed(index) == 0
    index.add(rows[1000:1050], np.arange(1000, 1050))
    index.save(tmp_path / "index")
    assert unindexed(index) == 50, "few rows wait"
    index.add(rows[1050:], np.arange(1050, 1200))
    index.save(tmp_path / "index")
    assert unindexed(index) == 0
    queries = rows[::8]
    assert overlap(load(tmp_path / "index").search(queries, 10).ids,
                   make("exact").build(rows).search(queries, 10).ids) > 0.98


def unindexed(index):
    """How many rows the inverted file lacks."""
    return next(found.num_unindexed_rows for found in index._table.list_indices() if found.columns == ["vector"])


def test_no_token_is_written(tmp_path):
    needs("milvus")
    index = make("milvus", uri=str(tmp_path / "pictures.db"), token="root:secret").build(np.eye(3))
    index.save(tmp_path / "index")
    assert not any(b"secret" in path.read_bytes() for path in (tmp_path / "index").iterdir())
    assert load(tmp_path / "index").parameters == index.parameters


@pytest.mark.parametrize("engine, options, message", [
    ("milvus", {"uri": "pictures"}, "expected http://host:19530, or a path that ends in .db"),
    ("milvus", {"links": 1}, "links is 1"), ("milvus", {"search_depth": 0}, "search_depth is 0"),
    *((engine, {"collection": "mine"}, "has no uri") for engine in THOROUGH),
    ("lancedb", {"n_probes": 0}, "n_probes is 0"), ("lancedb", {"refine": True}, "refine is True")])
def test_options_that_make_no_sense(engine, options, message):
    needs(engine)
    with pytest.raises(ValueError, match=message):
        make(engine, **options)


def test_more_than_milvus_answers_with(monkeypatch):
    needs("milvus")
    monkeypatch.setattr("devise.index.milvus.DEEPEST", 5)
    index = make("milvus").build(np.eye(8))
    assert (index.search(np.eye(8), 5).ids[:, 0] == np.arange(8)).all()
    with pytest.raises(ValueError, match="k is 6: Milvus answers with 5 at most"):
        index.search(np.eye(8), 6)
