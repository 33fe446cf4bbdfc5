import sys

import numpy as np
import pytest

from devise.errors import MissingDependency
from devise.index import load, make

annoy = pytest.importorskip("annoy", reason="annoy is not installed")


def clustered(n, dim=300, seed=0):
    """A hundred rows a centre, as far from it as it is from the origin."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((n // 100, dim)) / np.sqrt(dim)
    return centres[random.integers(0, len(centres), n)] + random.standard_normal((n, dim)) / np.sqrt(dim)


def test_recall_at_the_defaults_against_a_loop():
    rows = clustered(5000)
    index = make("annoy").build(rows)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    chosen = np.random.default_rng(0).choice(5000, 100, replace=False)
    found = index.search(rows[chosen], 10, exclude=chosen).ids
    right = 0
    for member, ids in zip(chosen, found, strict=True):
        cosines = unit @ unit[member]
        cosines[member] = -1
        right += len(set(np.argsort(-cosines)[:10].tolist()) & set(ids.tolist()))
    assert right / 1000 >= 0.95
    assert index.recall(sample=100) == pytest.approx(right / 1000, abs=0.02)


def test_the_two_knobs():
    rows = np.random.default_rng(0).standard_normal((3000, 50))  # without clusters: hard
    few, many, deep = (make("annoy", n_trees=trees, search_k=candidates).build(rows).recall(sample=200)
                       for trees, candidates in [(2, 30), (40, 600), (2, 10**6)])
    assert few < 0.5 < many < deep == 1


def test_k_are_found_with_the_fewest_candidates():
    rows = np.random.default_rng(0).standard_normal((2000, 20))
    index = make("annoy", n_trees=1, search_k=1).build(rows)
    assert (index.search(rows[:20], 500).ids >= 0).all()
    hits = index.search(rows[:3], 2000)
    assert (np.sort(hits.ids, axis=1) == np.arange(2000)).all()


def test_removed_neighbours_give_way_to_the_next():
    rows = np.random.default_rng(0).standard_normal((900, 10))
    index = make("annoy").build(rows)
    nearest = index.search(rows[:1], 400).ids[0]
    index.remove(nearest[:300])
    assert index.search(rows[:1], 100).ids[0].tolist() == nearest[300:].tolist()


def test_changes_are_kept_beside_the_forest_and_then_grown_into_it(monkeypatch):
    monkeypatch.setattr("devise.index.annoy.CHANGED_ROWS", 10)
    rows = np.random.default_rng(0).standard_normal((130, 10))
    index = make("annoy").build(rows[:100])
    forest = index._forest
    index.add(rows[100:106], np.arange(100, 106))
    index.remove([0, 1, 2, 3])
    assert index._forest is forest and len(index._added) == 6
    index.remove([4])
    assert index._forest is not forest and len(index._added) == 0
    assert index._forest.get_n_items() == len(index) == 101
    assert index.ids.tolist() == list(range(5, 106))


def test_one_added_row_grows_no_tree(monkeypatch):
    rows = np.random.default_rng(0).standard_normal((2001, 10))
    index = make("annoy").build(rows[:2000])
    monkeypatch.setattr(type(index), "_build", lambda *_: pytest.fail("the forest was grown anew"))
    index.add(rows[2000:], [2000])
    index.remove([7])
    assert index.search(rows[2000:], 1).ids.tolist() == [[2000]]
    assert index.search(rows[7:8], 1).ids.tolist() != [[7]]


def test_a_large_index_waits_for_a_tenth(monkeypatch):
    monkeypatch.setattr("devise.index.annoy.CHANGED_ROWS", 1)
    rows = np.random.default_rng(0).standard_normal((130, 10))
    index = make("annoy").build(rows[:100])
    forest = index._forest
    index.add(rows[100:110], np.arange(100, 110))
    assert index._forest is forest
    index.add(rows[110:111], [110])
    assert index._forest is not forest


def test_felled_to_the_last_and_planted_again(monkeypatch, tmp_path):
    monkeypatch.setattr("devise.index.annoy.CHANGED_ROWS", 10)
    index = make("annoy").build(np.eye(30))
    index.remove(np.arange(30))
    index.save(tmp_path)
    index = load(tmp_path)
    index.add(np.eye(30)[:3], [50, 51, 52])
    assert index._forest.get_n_items() == 3
    assert index.search(np.eye(30)[:2], 2).ids.tolist() == [[50, 51], [51, 50]]


def test_changes_are_saved_as_they_are(tmp_path):
    rows = np.random.default_rng(0).standard_normal((130, 10))
    index = make("annoy").build(rows[:100])
    index.add(rows[100:], np.arange(100, 130))
    index.remove([5, 110])
    index.save(tmp_path)
    for either in (index, load(tmp_path)):  # saving leaves the index in use
        assert len(either._added) == 29 and np.flatnonzero(either._felled).tolist() == [5]
        assert either.search(rows[[120]], 1).ids.tolist() == [[120]]
        assert not {5, 110} & set(either.search(rows, 128).ids.ravel().tolist())


def test_the_seed_makes_the_forest():
    rows = np.random.default_rng(0).standard_normal((2000, 30))
    options = {"n_trees": 1, "search_k": 1}
    one, same, other = (make("annoy", seed=seed, **options).build(rows).search(rows, 5).ids
                        for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize("options", [{"n_trees": 0}, {"n_trees": 2.5}, {"search_k": 0}, {"search_k": -2},
                                     {"seed": -1}, {"seed": 2**31}, {"n_jobs": 0}])
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .* expected a whole number"):
        make("annoy", **options)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "annoy", None)
    with pytest.raises(MissingDependency, match=r"pip install 'devise-vse\[annoy\]'.*C\+\+ compiler.*exact"):
        make("annoy")
