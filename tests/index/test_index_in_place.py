"""The engines that change in place, at a size where they are approximate."""

import subprocess
import sys

import numpy as np
import pytest

from devise.errors import MissingDependency
from devise.index import load, make

ENGINES = ("faiss", "hnswlib", "usearch")
WEAK = {"faiss": {"n_cells": 60, "n_probes": 1}, "hnswlib": {"search_depth": 1, "links": 4, "build_depth": 20},
        "usearch": {"search_depth": 1, "links": 4, "build_depth": 20}}


@pytest.fixture(params=ENGINES)
def engine(request):
    try:
        make(request.param)
    except MissingDependency as error:
        pytest.skip(str(error))
    return request.param


def clustered(n, dim=40, seed=0):
    random = np.random.default_rng(seed)
    centres = random.standard_normal((40, dim)) / np.sqrt(dim)
    return (centres[random.integers(0, 40, n)] + random.standard_normal((n, dim)) / np.sqrt(dim)).astype(np.float32)


def share_found(members, queries, ids):
    """The share of the true ten nearest that are among the ids; members is {id: row}."""
    names, rows = np.array(list(members)), np.array(list(members.values()), np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    right = 0
    for query, found in zip(queries, ids, strict=True):
        right += len(set(names[np.argsort(-(rows @ query))[:10]].tolist()) & set(found.tolist()))
    return right / (10 * len(queries))


def test_recall_stays_through_changes_and_the_disk(engine, tmp_path):
    rows = clustered(4000)
    members = {10 * place: row for place, row in enumerate(rows[:3000])}
    index = make(engine).build(rows[:3000], 10 * np.arange(3000))
    queries = rows[3500:3600]
    assert share_found(members, queries, index.search(queries, 10).ids) >= 0.95
    gone = index.search(queries, 5).ids
    gone = np.unique(gone)
    index.remove(gone)
    index.add(rows[3000:3500], np.arange(3000, 3500) * 10)
    index.add(rows[:1], [7])
    members = {name: row for name, row in members.items() if name not in set(gone.tolist())}
    members |= {10 * place: rows[place] for place in range(3000, 3500)} | {7: rows[0]}
    hits = index.search(queries, 10)
    assert not np.isin(hits.ids, gone).any() and share_found(members, queries, hits.ids) >= 0.95
    index.save(tmp_path / "index")
    again = load(tmp_path / "index")
    np.testing.assert_array_equal(again.search(queries, 10).ids, hits.ids)
    again.add(rows[3600:3700], np.arange(50_000, 50_100))
    again.remove([7])
    members = {name: row for name, row in members.items() if name != 7}
    members |= {50_000 + place: rows[3600 + place] for place in range(100)}
    assert share_found(members, queries, again.search(queries, 10).ids) >= 0.95
    np.testing.assert_array_equal(load(tmp_path / "index").search(queries, 10).ids, hits.ids)


def test_the_knobs_buy_recall(engine):
    rows = np.random.default_rng(0).standard_normal((2500, 40)).astype(np.float32)  # without clusters: hard
    weak, usual = make(engine, **WEAK[engine]).build(rows), make(engine).build(rows)
    assert weak.recall(sample=200) + 0.1 < usual.recall(sample=200)


def test_many_equal_rows_come_in_the_order_of_their_ids(engine):
    rows = clustered(3000)
    rows[1000:1200] = rows[0]
    index = make(engine).build(rows)
    assert index.search(rows[:1], 5).ids.tolist() == [[0, 1000, 1001, 1002, 1003]]


def test_a_saved_index_serves_other_processes(engine, tmp_path):
    rows = clustered(3000)
    index = make(engine).build(rows)
    index.save(tmp_path / "index")
    code = ("import numpy as np, sys; from devise.index import load; "
            "print(*load(sys.argv[1]).search(np.load(sys.argv[2]), 3).ids.ravel())")
    np.save(tmp_path / "queries.npy", rows[:4])
    asked = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "index", tmp_path / "queries.npy"],
                              stdout=subprocess.PIPE, text=True) for _ in range(2)]
    expected = index.search(rows[:4], 3).ids.ravel().tolist()
    assert [[int(item) for item in process.communicate()[0].split()] for process in asked] == [expected] * 2


@pytest.mark.parametrize("option", ["n_jobs", "links"])
def test_options_that_are_no_numbers_are_refused(engine, option):
    if engine == "faiss" and option == "links":
        option = "n_cells"
    with pytest.raises(ValueError, match=f"{option} is 0"):
        make(engine, **{option: 0})


def test_the_depth_is_the_one_that_finds_enough(engine, tmp_path):
    rows = np.random.default_rng(0).standard_normal((2500, 40)).astype(np.float32)  # without clusters: hard
    options = {"links": 4, "build_depth": 20} if engine != "faiss" else {"n_cells": 60}
    depths = []
    for target in (0.5, 0.97):
        index = make(engine, recall=target, **options).build(rows)
        assert index.measured.recall >= target and index.measured.knob in index.looks
        asked = clustered(100, seed=3)
        assert share_found(dict(enumerate(rows)), asked, index.search(asked, 10).ids) > target - 0.15
        index.save(tmp_path / f"{target}")
        assert load(tmp_path / f"{target}")._segments[0].depth == index.measured.value
        depths.append(index.measured.value)
    assert depths[0] < depths[1]
    assert make(engine, **{index.knob: 7}).build(rows).measured is None
    with pytest.raises(ValueError, match="recall is 2: expected a share"):
        make(engine, recall=2)


def test_what_is_promised_is_found_with_standard_errors_to_spare(engine, monkeypatch):
    rows = np.random.default_rng(0).standard_normal((2500, 40)).astype(np.float32)
    options = {"links": 4, "build_depth": 20} if engine != "faiss" else {"n_cells": 60}
    depths = []
    for errors in (0, 20):
        monkeypatch.setattr("devise.index.approximate.SURE", errors)
        depths.append(make(engine, recall=0.6, **options).build(rows).measured.value)
    assert depths[0] < depths[1]
