import sys

import numpy as np
import pytest

from devise.errors import MissingDependency
from devise.index import make

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


def test_the_seed_makes_the_forest():
    rows = np.random.default_rng(0).standard_normal((2000, 30))
    options = {"n_trees": 1, "search_k": 1}
    one, same, other = (make("annoy", seed=seed, **options).build(rows).search(rows, 5).ids
                        for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize("options", [{"n_trees": 0}, {"n_trees": 2.5}, {"search_k": 0}, {"search_k": -1},
                                     {"seed": -1}, {"seed": 2**31}, {"n_jobs": 0}])
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .* expected a whole number"):
        make("annoy", **options)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "annoy", None)
    with pytest.raises(MissingDependency, match=r"pip install 'devise-vse\[annoy\]'.*C\+\+ compiler.*exact"):
        make("annoy")
