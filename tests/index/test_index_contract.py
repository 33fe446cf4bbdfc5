"""What holds for every engine, against a brute-force model. An engine whose package is absent is skipped."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import devise
from devise.errors import MissingDependency
from devise.index import engines, load, make
from devise.index.database import Database
from devise.index.sharded import Sharded

THOROUGH = {"annoy": {"search_k": 10**6}, "faiss": {"n_probes": 10**6},  # with which a small index finds all there is
            "hnswlib": {"search_depth": 1000}, "usearch": {"search_depth": 1000}, "milvus": {"search_depth": 1000},
            "lancedb": {"n_probes": 1000}, "sharded": {"parts": 3}}
UNEVEN = {"lancedb", "milvus"}  # a database adds up otherwise in rows that it has indexed than in fresh ones


@pytest.fixture(params=engines())
def new(request):
    """A maker of empty indexes of one engine."""
    def build(**options):
        return make(request.param, **THOROUGH.get(request.param, {}), **options)

    try:
        build()
    except MissingDependency as error:
        pytest.skip(str(error))
    return build


def vectors(n, dim=8, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def unit(rows):
    rows = np.asarray(rows, np.float32).astype(np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def brute_force(members, query, k, without=-1):
    """The ids and scores of a dict of vectors, all of them compared."""
    ids = np.array([member for member in members if member != without], np.int64)
    rows = unit(np.reshape([members[member] for member in ids.tolist()], (len(ids), len(query))))
    cosines = np.clip((rows * unit([query])[0].astype(np.float64)).sum(axis=1), -1, 1).astype(np.float32)
    best = np.lexsort((ids, -cosines))[:k]
    short = k - len(best)
    return ids[best].tolist() + [-1] * short, cosines[best].tolist() + [-np.inf] * short


def assert_like_brute_force(index, members, queries, k, exclude=None):
    hits = index.search(queries, k, exclude=exclude)
    assert hits.ids.dtype == np.int64 and hits.scores.dtype == np.float32
    for row, query in enumerate(queries):
        ids, scores = brute_force(members, query, k, -1 if exclude is None else exclude[row])
        assert hits.ids[row].tolist() == ids
        np.testing.assert_allclose(hits.scores[row], scores, atol=1e-6)


def test_best_first(new):
    rows, ids = vectors(200), np.random.default_rng(1).permutation(10**12 + np.arange(200))
    index = new().build(rows, ids)
    assert_like_brute_force(index, dict(zip(ids.tolist(), rows, strict=True)), vectors(30, seed=2), k=12)


@pytest.mark.parametrize("dim", [1, 2, 300])
def test_any_dim(new, dim):
    rows = vectors(60, dim)
    assert_like_brute_force(new().build(rows), dict(enumerate(rows)), vectors(5, dim, seed=2), k=7)


def test_default_ids_are_row_numbers(new):
    index = new().build(vectors(4))
    assert index.ids.tolist() == [0, 1, 2, 3] and len(index) == 4


def test_short_rows_are_padded(new):
    index = new().build(np.eye(3), ids=[5, 6, 7])
    hits = index.search([[0, 1, 0]], k=5, exclude=[7])
    assert hits.ids.tolist() == [[6, 5, -1, -1, -1]]
    assert hits.scores.tolist() == [[1, 0, -np.inf, -np.inf, -np.inf]]


def test_equal_rows_come_in_the_order_of_their_ids(new):
    rows = vectors(1003, dim=300)
    same = np.sort(np.random.default_rng(3).choice(1003, 30, replace=False))
    rows[same] = rows[same[0]]
    ids = np.random.default_rng(4).permutation(1003)
    queries = rows[same[0]] + 0.05 * vectors(64, dim=300, seed=5)
    hits = new().build(rows, ids).search(queries, k=7)  # the tie goes on past the seventh
    assert (hits.ids == np.sort(ids[same])[:7]).all()
    assert (hits.scores == hits.scores[:, :1]).all()


def test_scores_stay_within_one(new):
    rows = vectors(100, dim=77)
    hits = new().build(rows).search(np.vstack([rows, -rows]), k=100)
    assert hits.scores.max() == 1 and hits.scores.min() == -1


def test_length_does_not_matter(new):
    rows = vectors(50)
    plain = new().build(rows).search(rows, k=5)
    scaled = new().build(rows * 2.0**np.arange(-25, 25)[:, None]).search(rows * 1e-20, k=5)
    assert np.array_equal(plain.ids, scaled.ids)


def test_a_query_alone_and_in_a_batch(new):
    rows, queries = vectors(300), vectors(40, seed=1)
    index = new().build(rows)
    together = index.search(queries, k=9)
    for row in range(40):
        assert np.array_equal(index.search(queries[row:row + 1], k=9).ids[0], together.ids[row])


def test_exclusion_is_by_id_and_still_gives_k(new):
    rows = vectors(40)
    rows[20:] = rows[:20]  # a twin at rank one, so that leaving out the first rank would be wrong
    index = new().build(rows, np.arange(40) + 100)
    members = dict(enumerate(rows, start=100))
    exclude = np.where(np.arange(40) % 3, np.arange(40) + 100, -1)
    assert_like_brute_force(index, members, rows, 6, exclude)
    assert (index.search(rows, 39, exclude=np.arange(40) + 100).ids >= 0).all()
    assert (index.search(rows, 40, exclude=np.arange(40) + 100).ids[:, -1] == -1).all()
    assert_like_brute_force(index, members, rows[:2], 6, np.array([7, 8]))  # no members


@pytest.mark.parametrize("numbers", [0, 10**6])
def test_some_members_alone_are_found(new, numbers, monkeypatch):
    """Exactly, whether their rows are compared or the engine is asked deeper, an excluded one of them left out."""
    monkeypatch.setattr("devise.index.comparing.SOME_NUMBERS", numbers)
    matrix, queries = vectors(300), vectors(6, seed=1)
    matrix[100:140] = matrix[100]  # a tie, cut by the selection
    index = new().build(matrix)
    for among in (np.arange(0, 300, 2), [7], np.arange(90, 130), np.array([299, 3, 140, 3]), []):
        members = {member: matrix[member] for member in among}
        exclude = np.array([*among, 7, 90, 3, 100, 101, 5])[:6]
        for depth in (1, 12, 50):
            hits = index.search(queries, depth, exclude=exclude, among=np.asarray(among, np.int64))
            for row, query in enumerate(queries):
                ids, scores = brute_force(members, query, depth, exclude[row])
                assert hits.ids[row].tolist() == ids
                np.testing.assert_allclose(hits.scores[row], scores, atol=2e-6)
    with pytest.raises(KeyError, match="ids 300 are not in the index"):
        index.search(queries, 1, among=[5, 300])


@pytest.mark.parametrize("exclude", [[1], [[1, 2]], [0.0, 1.0], [-2, 0], 3])
def test_exclusion_is_one_id_a_query(new, exclude):
    with pytest.raises(ValueError, match="exclude"):
        new().build(np.eye(3)).search(np.eye(3)[:2], 1, exclude=exclude)


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_rows_without_a_direction_are_refused_by_id(new, value):
    rows = vectors(4)
    rows[2] = value
    with pytest.raises(ValueError, match="ids 12 are zero, NaN or infinite"):
        new().build(rows, [10, 11, 12, 13])
    index = new().build(vectors(4))
    with pytest.raises(ValueError, match="ids 12 are"):
        index.add(rows, [10, 11, 12, 13])
    with pytest.raises(ValueError, match="row 2"):
        index.search(rows, 1)
    assert len(index) == 4


@pytest.mark.parametrize("ids, message", [
    ([1, 2, 2], "ids 2 come more than once"), ([1, -5, 2], "ids -5 are out of range"),
    ([1, 2], "one id a vector"), ([1.0, 2.0, 3.0], "whole numbers"), ([[1], [2], [3]], "whole numbers"),
    ([True, False, True], "whole numbers"), (np.array([1, 2, 2**63], np.uint64), "out of range")])
def test_ids_are_whole_unique_and_not_negative(new, ids, message):
    with pytest.raises(ValueError, match=message):
        new().build(np.eye(3), ids)


@pytest.mark.parametrize("rows", [np.ones((2, 9)), np.ones(8), np.ones((2, 2, 4))])
def test_other_dims_are_refused(new, rows):
    index = new().build(vectors(4))
    with pytest.raises(ValueError, match="expected"):
        index.search(rows, 1)
    with pytest.raises(ValueError, match="expected"):
        index.add(rows, np.arange(len(rows)) + 50)
    assert len(index) == 4


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_one(new, k):
    with pytest.raises(ValueError, match="expected at least 1"):
        new().build(np.eye(3)).search(np.eye(3), k)


def test_no_queries(new):
    assert new().build(np.eye(3)).search(np.empty((0, 3)), 2).ids.shape == (0, 2)


def test_before_the_build(new, tmp_path):
    index = new()
    for use in (lambda: index.search(np.eye(3), 1), lambda: index.add(np.eye(3), [1, 2, 3]),
                lambda: index.save(tmp_path / "index"), index.recall):
        with pytest.raises(ValueError, match=r"not built yet: call build\(vectors, ids\) before"):
            use()
    assert len(index) == 0 and 3 not in index and not (tmp_path / "index").exists()
    with pytest.raises(ValueError, match="no vectors"):
        index.build(np.empty((0, 3)))


def test_emptied_and_filled_again(new, tmp_path):
    index = new().build(np.eye(3))
    index.remove([0, 1, 2])
    index.save(tmp_path)
    for either in (index, load(tmp_path)):
        assert len(either) == 0
        with pytest.raises(ValueError, match="the index is empty"):
            either.search(np.eye(3), 1)
        either.add([[0, 5, 5]], [9])
        assert either.search(np.eye(3), 2).ids.tolist() == [[9, -1]] * 3


def test_building_again_replaces_all(new):
    index = new().build(np.eye(3)).build(np.eye(2), [8, 9])
    assert index.ids.tolist() == [8, 9] and index.dim == 2
    assert index.search(np.eye(2), 3).ids.tolist() == [[8, 9, -1], [9, 8, -1]]


def test_members(new):
    index = new().build(np.eye(3), [30, 10, 20])
    assert 10 in index and 11 not in index
    np.testing.assert_array_equal(index.vectors([20, 30, 20]), np.eye(3)[[2, 0, 2]])
    assert index.vectors([]).shape == (0, 3)
    with pytest.raises(KeyError, match="ids 4, 5 are not in the index"):
        index.vectors([4, 10, 5])


def test_the_callers_arrays_are_not_held(new):
    rows, ids = vectors(20), np.arange(20)
    index = new().build(rows, ids)
    before = index.search(rows, 3)
    queries = rows.copy()
    rows[:], ids[:] = 1, 7
    index.vectors([3])[:] = 0
    index.ids[:] = 0
    after = index.search(queries, 3)
    assert np.array_equal(before.ids, after.ids)


def test_refused_changes_change_nothing(new):
    rows = vectors(10)
    index = new().build(rows)
    with pytest.raises(ValueError, match="ids 3 are in the index already"):
        index.add(vectors(2, seed=1), [50, 3])
    with pytest.raises(KeyError, match="ids 77, 78 are not in the index"):
        index.remove([1, 78, 77])
    with pytest.raises(ValueError, match="more than once"):
        index.remove([1, 1])
    assert_like_brute_force(index, dict(enumerate(rows)), rows, k=10)


@pytest.mark.parametrize("threshold", [4, 1000])
def test_any_sequence_of_changes_is_like_a_dict(new, threshold, tmp_path, monkeypatch):
    """Small whole numbers make many equal rows and many ties; a low threshold plants small segments, too."""
    monkeypatch.setattr("devise.index.segments.PLAIN_NUMBERS", threshold)
    random = np.random.default_rng(threshold)

    def draw(n):
        rows = random.integers(-1, 2, (n, 4)).astype(float)
        rows[~rows.any(axis=1)] = 1
        return rows

    rows = draw(20)
    index, members = new().build(rows), dict(enumerate(rows))
    if threshold == 4 and isinstance(index, Database):
        pytest.skip("it has no segments: the other threshold tests the same")
    for step in range(60):
        action = random.choice(["add", "remove", "replace", "reload", "search"])
        n = int(random.integers(1, 6))
        if action == "add":
            fresh = random.integers(10**6, 10**15, n).tolist()
            rows = draw(n)
            index.add(rows, fresh)
            members.update(zip(fresh, rows, strict=True))
        elif action in ("remove", "replace") and len(members) > n:
            gone = random.choice(list(members), n, replace=False)
            index.remove(gone)
            for member in gone.tolist():
                del members[member]
            if action == "replace":
                rows = draw(n)
                index.add(rows, gone)
                members.update(zip(gone.tolist(), rows, strict=True))
        elif action == "reload":
            index.save(tmp_path / "index", document={"step": step})
            index = load(tmp_path / "index")
            assert index.document == {"step": step}
        assert index.ids.tolist() == sorted(members)
        exclude = random.choice([-1, *members], 4)
        assert_like_brute_force(index, members, draw(4), int(random.integers(1, 30)), exclude)
    np.testing.assert_allclose(index.vectors(list(members)), unit(list(members.values())), atol=1e-7)


def test_two_builds_answer_alike_to_the_last_bit(new):
    rows, queries = vectors(500), vectors(50, seed=1)
    first, second = (new().build(rows).search(queries, 10) for _ in range(2))
    assert first.ids.tobytes() == second.ids.tobytes()
    if new().engine in UNEVEN:
        np.testing.assert_allclose(first.scores, second.scores, atol=1e-6)
    else:
        assert first.scores.tobytes() == second.scores.tobytes()


def contents(folder):
    """Every file below a folder: its bytes and when it was written."""
    return {path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in folder.rglob("*") if path.is_file()}


def test_what_asks_changes_nothing_and_nor_does_a_whole_of_several(new, tmp_path):
    rows = vectors(120)
    for name, half in (("left", rows[:60]), ("right", rows[60:])):
        new().build(half).save(tmp_path / "kept" / name)
    before = contents(tmp_path / "kept")
    left, right = parts = [load(tmp_path / "kept" / name) for name in ("left", "right")]
    whole = Sharded.join(parts, hidden=[3, 60, 61])
    whole.remove([5])
    whole.add(rows[:1], [500])
    for index in (left, right, whole):
        for k in (1, 7, 300):
            index.search(rows[:9], k, exclude=index.ids[:9])
        index.vectors(index.ids[::7])
        index.recall(k=3)
        list(index.blocks())
        _ = index.parameters, index.ids, 3 in index
    whole.save(tmp_path / "whole")
    assert contents(tmp_path / "kept") == before
    for half, index, name in ((rows[:60], left, "left"), (rows[60:], right, "right")):
        for either in (index, load(tmp_path / "kept" / name)):
            assert_like_brute_force(either, dict(enumerate(half)), rows[:5], k=60)
            np.testing.assert_allclose(either.vectors(np.arange(60)), unit(half), atol=1e-7)
    members = {row: rows[row] for row in range(120) if row not in (3, 5, 60, 61)} | {500: rows[0]}
    for either in (whole, load(tmp_path / "whole")):
        assert_like_brute_force(either, members, rows[:5], k=120)


@pytest.mark.parametrize("deep", [10_000, 20])
def test_hidden_members_take_no_place_among_the_k(new, deep, monkeypatch):
    monkeypatch.setattr("devise.index.sharded.DEEP", deep)
    rows = vectors(90)
    hidden = np.random.default_rng(5).permutation(90)[:80]
    whole = Sharded.join([new().build(rows[:40]), new().build(rows[40:])], hidden=hidden)
    members = {row: rows[row] for row in range(90) if row not in hidden}
    assert len(whole) == 10 and whole.ids.tolist() == list(members)
    assert_like_brute_force(whole, members, rows[:20], k=4)
    assert_like_brute_force(whole, members, rows[:20], k=11, exclude=np.arange(20))
    with pytest.raises(KeyError, match=f"ids {hidden[0]} are not in the index"):
        whole.vectors(hidden[:1])


def test_recall_of_a_thorough_index(new):
    index = new().build(vectors(300))
    assert index.recall(sample=50, k=5) == 1
    assert index.recall(k=1000) == 1  # deeper than there are members


READ = """
import json, sys, numpy
from devise.index import load
index = load(sys.argv[1], fingerprint="vgg16-ab12")
hits = index.search(numpy.load(sys.argv[2]), 9, exclude=numpy.arange(20))
print(json.dumps([hits.ids.tolist(), hits.scores.tolist(), len(index), index.dim, index.engine,
                  index.parameters, index.fingerprint, index.document]))
"""


def test_a_new_process_reads_what_was_saved(new, tmp_path):
    index = new(fingerprint="vgg16-ab12")
    if isinstance(index, Database):
        pytest.skip("test_index_database.py opens one of a place that lasts in a new process")
    index.build(vectors(200))
    index.add(vectors(5, seed=1), np.arange(5) + 1000)
    index.remove([3, 1001])
    index.save(tmp_path / "index", document={"note": "Übung"})
    np.save(tmp_path / "queries.npy", vectors(20, seed=2))
    output = subprocess.run([sys.executable, "-c", READ, tmp_path / "index", tmp_path / "queries.npy"],
                            cwd=Path(devise.__file__).parents[1], capture_output=True, check=True, text=True)
    hits = index.search(vectors(20, seed=2), 9, exclude=np.arange(20))
    read = json.loads(output.stdout)
    assert read == [hits.ids.tolist(), hits.scores.tolist(), 203, 8, index.engine, index.parameters, "vgg16-ab12",
                    {"note": "Übung"}]


def test_the_manifest_says_what_it_is(new, tmp_path):
    new(fingerprint="vgg16-ab12").build(vectors(20)).save(tmp_path)
    manifest = json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    engine = new().engine
    assert manifest["engine"] == engine and manifest["parameters"] == new().parameters
    assert (manifest["metric"], manifest["dim"], manifest["n"]) == ("cosine", 8, 20)
    assert manifest["fingerprint"] == "vgg16-ab12"


def test_saving_again_leaves_one_generation(new, tmp_path):
    index = new().build(vectors(20))
    index.save(tmp_path, document={"a": 1})
    before = {path.name for path in tmp_path.iterdir()}
    opened = load(tmp_path)
    index.remove([0])
    index.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == len(before)
    assert 0 in opened and opened.search(vectors(20), 1).ids.ravel().tolist() == list(range(20))
    assert 0 not in load(tmp_path) and load(tmp_path).document == {"a": 1}
    load(tmp_path).save(tmp_path)
    assert load(tmp_path).ids.tolist() == list(range(1, 20))


def test_an_index_whose_files_a_later_save_replaced_can_still_be_changed(new, tmp_path):
    rows = vectors(1200)
    index = new().build(rows)
    index.save(tmp_path)
    opened = load(tmp_path)
    index.remove([0])
    index.save(tmp_path)
    opened.add(vectors(1, seed=3), [5000])
    opened.remove([7])
    members = dict(enumerate(rows)) | {5000: vectors(1, seed=3)[0]}
    del members[7]
    assert_like_brute_force(opened, members, vectors(5, seed=4), k=400)
    assert opened.search(vectors(1, seed=3), 1).ids.tolist() == [[5000]]


HELD = """
import sys, numpy
from devise.index import load, make
make(sys.argv[2]).build(numpy.eye(512)).search(numpy.eye(512)[:1], 5)  # what the engine needs for itself

def held():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))

before = held()
index = load(sys.argv[1])
index.search(numpy.load(sys.argv[3]), 5)
print(held() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell mapped pages from others")
def test_a_saved_index_stays_on_the_disk_where_it_can(new, tmp_path):
    index = new()
    if index.engine in UNEVEN:
        pytest.skip("the process that opens it is the database itself")
    rows = vectors(2000, dim=512)
    index.build(rows)
    index.save(tmp_path / "index")
    np.save(tmp_path / "query.npy", rows[:1])
    output = subprocess.run([sys.executable, "-c", HELD, tmp_path / "index", index.engine, tmp_path / "query.npy"],
                            cwd=Path(devise.__file__).parents[1], capture_output=True, check=True, text=True)
    assert (int(output.stdout) * 1024 < rows.nbytes / 2) == index.can_map


def test_another_models_index_is_refused_by_name(new, tmp_path):
    new(fingerprint="vgg16-ab12").build(vectors(20)).save(tmp_path / "known")
    with pytest.raises(ValueError, match="built for model 'vgg16-ab12', not for 'lite0-cd34'"):
        load(tmp_path / "known", fingerprint="lite0-cd34")
    new().build(vectors(20)).save(tmp_path / "unknown")
    with pytest.raises(ValueError, match="built for model None"):
        load(tmp_path / "unknown", fingerprint="lite0-cd34")
    assert load(tmp_path / "unknown").fingerprint is None


def data_files(folder):
    return sorted(path for path in folder.iterdir() if path.name != "index.json" and path.stat().st_size)


@pytest.mark.parametrize("check", [True, False])
def test_a_cut_file_is_refused(new, tmp_path, check):
    new().build(vectors(50)).save(tmp_path)
    for path in data_files(tmp_path):
        whole = path.read_bytes()
        path.write_bytes(whole[:len(whole) // 2 + 1])
        with pytest.raises(ValueError, match="damaged"):
            load(tmp_path, check=check)
        path.write_bytes(whole)
    assert len(load(tmp_path)) == 50


def test_a_changed_byte_is_refused(new, tmp_path):
    new().build(vectors(50)).save(tmp_path)
    for path in data_files(tmp_path):
        whole = bytearray(path.read_bytes())
        whole[-1] ^= 1
        path.write_bytes(whole)
        with pytest.raises(ValueError, match=f"{path.name} is damaged"):
            load(tmp_path)
        whole[-1] ^= 1
        path.write_bytes(whole)


def test_a_missing_file_is_named(new, tmp_path):
    new().build(vectors(50)).save(tmp_path)
    for path in data_files(tmp_path):
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(FileNotFoundError, match=path.name):
            load(tmp_path)
        path.write_bytes(whole)


def test_a_damaged_manifest_is_refused(new, tmp_path):
    new().build(vectors(50)).save(tmp_path)
    manifest = json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    for key in ("engine", "dim", "n", "fingerprint"):
        (tmp_path / "index.json").write_text(json.dumps({**manifest, key: None} if key == "engine" else {
            name: value for name, value in manifest.items() if name != key}))
        with pytest.raises(ValueError, match="lacks|no index engine"):
            load(tmp_path)
    for told in ({"n": 49}, {"dim": 3}):
        (tmp_path / "index.json").write_text(json.dumps({**manifest, **told}))
        with pytest.raises(ValueError, match=f"{tmp_path.name}.* is damaged"):
            load(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        load(tmp_path)
