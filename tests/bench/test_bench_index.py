import json

import numpy as np
import pytest

from devise.bench import engines, index
from devise.bench.worker import Worker
from devise.errors import MissingDependency


def test_every_engine_is_measured_in_processes_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "ROUNDS", 2)
    monkeypatch.setattr(index, "SHARING", 2)
    names = index._installed(["usearch"])[0]
    seen = []
    document = index.run(n=1500, dim=16, engines=names, queries=30, jobs=1, progress=lambda *done: seen.append(done))
    assert [(row["vectors"], row["engine"], row["n"]) for row in document["rows"]] == [
        ("1,500 drawn", name, 1500) for name in names]
    assert seen == [(done, len(seen) - 1) for done in range(len(seen))] and len(seen) == 3 * len(names) + 1
    for row in document["rows"]:
        assert 0.9 <= row["recall_at_10"] <= 1 and row["disk_mib"] > 1500 * 16 * 4 / 2**20
        assert 0 < row["p50_ms"] <= row["p99_ms"] and row["resident_mib"] > (row["each_of_2_mib"] or 1) > 0
    exact = document["rows"][0]
    for row in document["rows"][1:]:
        ratios = document["ratios"]["1,500 drawn"][row["engine"]]
        assert ratios == {"single": exact["p50_ms"] / row["p50_ms"],
                          "batched": row["batched_per_s"] / exact["batched_per_s"]}
    assert {point["engine"] for point in document["curve"]} == set(names)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    index.plot(document, tmp_path / "index.png")
    assert (tmp_path / "index.png").stat().st_size


def test_recall_is_the_share_of_the_true_nearest(tmp_path):
    index.draw(tmp_path, 400, 20, 8, seed=0)
    members, queries = (np.load(tmp_path / name) for name in ("members.npy", "queries.npy"))
    engines.build({}, engine="exact", folder=tmp_path, jobs=1)
    state = {}
    engines.open_index(state, engine="exact", folder=tmp_path, k=5)
    own = engines.recall(state, least=None)
    assert own["recall"] == 1
    np.testing.assert_allclose(own["least"], np.sort(queries @ members.T, axis=1)[:, -5], atol=1e-6)
    state["index"].remove(np.arange(0, 400, 2))  # half of the answers are gone
    odd = [np.isin(np.argsort(-cosines)[:5] % 2, 1).sum() for cosines in queries @ members.T]
    assert engines.recall(state, least=own["least"])["recall"] == sum(odd) / 100


def test_the_drawn_vectors_are_as_stated(tmp_path):
    index.draw(tmp_path, 5000, 50, 300, seed=0)
    members, queries = np.load(tmp_path / "members.npy"), np.load(tmp_path / "queries.npy")
    for rows in (members, queries):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    cosines = np.sort(queries @ members.T, axis=1)
    # a hundred members a centre: with noise of the centre's length two of one centre have cosine 1 / 2
    assert cosines[:, -60].mean() == pytest.approx(0.5, abs=0.06) and abs(cosines[:, 2500].mean()) < 0.05
    variance = np.sort(np.linalg.eigvalsh(np.cov(members.T)))[::-1]
    assert variance.sum()**2 / (variance**2).sum() < 40  # of 300


def test_words_are_taken_as_they_come_less_the_queries(tmp_path, monkeypatch):
    matrix = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    matrix[7] = 0
    monkeypatch.setattr(index, "open_words", lambda name: type("Words", (), {"matrix": matrix}))
    assert index.take_words(tmp_path, "any", 10, 0) == (49, 4)
    both = np.vstack([np.load(tmp_path / "members.npy"), np.load(tmp_path / "queries.npy")])
    assert len(both) == 59 and (np.unique(both, axis=0) == np.unique(np.delete(matrix, 7, axis=0), axis=0)).all()


def test_an_engine_that_is_not_installed_is_skipped(monkeypatch):
    def make(name):
        raise MissingDependency(f"{name} is not installed")

    monkeypatch.setattr(index.indexes, "make", make)
    assert index._installed(["annoy"]) == (["exact"], {"annoy": "annoy is not installed"})


def test_a_worker_keeps_its_state_and_says_what_broke():
    with Worker("tests_of_no_module") as worker, pytest.raises(RuntimeError, match="held failed: .*tests_of_no_module"):
        worker.ask("held")
    with Worker("devise.bench.engines") as worker:
        assert worker.ask("held")["resident_mib"] > 5
        with pytest.raises(RuntimeError, match="KeyError"):
            worker.ask("search")
