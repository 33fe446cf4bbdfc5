import json

import numpy as np
import pytest

from devise.bench import search
from devise.index import engines


def test_a_row_for_each_engine_and_size():
    seen = []
    document = search.run(sizes=[300, 600], dim=16, queries=40, progress=lambda *done: seen.append(done))
    measured = [name for name in engines() if name not in document["skipped"]]
    assert {(row["engine"], row["n"]) for row in document["rows"]} == {
        (name, n) for name in measured for n in (300, 600)}
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)] and len(seen) == 2 * len(measured)
    for row in document["rows"]:
        assert set(row) == {"engine", "n", "build_s", "bytes", "recall_at_10", "queries_per_second", "p50_ms",
                            "p99_ms"}
        assert 0.9 <= row["recall_at_10"] <= 1 and row["bytes"] > 300 * 16 * 4
        assert row["p50_ms"] <= row["p99_ms"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_ratios_are_to_exact_at_the_same_size():
    document = search.run(sizes=[300, 600], dim=16, queries=40)
    row_of = {(row["engine"], row["n"]): row for row in document["rows"]}
    assert "exact" not in document["ratios"]
    for engine, sizes in document["ratios"].items():
        for n, figures in sizes.items():
            for figure, ratio in figures.items():
                assert ratio == row_of[engine, int(n)][figure] / row_of["exact", int(n)][figure]


def test_the_vectors_are_as_stated():
    members, queries = search._clustered(5000, 50, 300, np.random.default_rng(0))
    for rows in (members, queries):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    cosines = np.sort(queries @ members.T, axis=1)
    # around one centre two unit vectors with noise of the centre's length have cosine 1 / 2
    assert cosines[:, -60].mean() == pytest.approx(0.5, abs=0.05) and abs(cosines[:, 2500].mean()) < 0.05


def test_an_engine_that_is_not_installed_is_skipped(monkeypatch):
    def make(name):
        raise search.MissingDependency(f"{name} is not installed")

    monkeypatch.setattr(search.indexes, "make", make)
    assert search._installed(["annoy"]) == (["exact"], {"annoy": "annoy is not installed"})
