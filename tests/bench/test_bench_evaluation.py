import json

import pytest

from devise.bench import evaluation


def test_every_way_is_measured_and_the_naive_one_agrees():
    seen = []
    document = evaluation.run(n=600, dim=16, words=900, queries=200, naive_bytes=16 * 400**2,
                              progress=lambda *done: seen.append(done))
    whole, products, ours, naive, words = document["rows"]
    assert (whole["gallery"], products["gallery"], ours["gallery"], naive["gallery"]) == (600, 600, 400, 400)
    assert (words["queries"], words["gallery"]) == (200, 900) and 0.1 < words["hit_at_1"] <= 1
    assert document["largest_difference"] < 1e-6
    for name in ("hit_at_1", "recall_at_10", "map_at_r"):
        assert ours[name] == pytest.approx(naive[name]) and 0 < ours[name] < 1
    assert document["ratios"]["naive_time"] == naive["seconds"] / ours["seconds"]
    assert document["naive_would_need_gib"] == 16 * 600**2 / 2**30
    assert document["ceiling_mib"] == 600 * 16 * 4 / 2**20 + 3 * 64
    assert seen == [(done, 5) for done in range(6)]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="n is 5 in classes of 10"):
        evaluation.run(n=5)
