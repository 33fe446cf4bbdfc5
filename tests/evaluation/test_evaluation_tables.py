"""Tables of evaluations: the caption says the metric, the sizes, the seeds and the candidates."""

import numpy as np
import pytest

from devise.evaluation import Evaluation, ExactTags, exact_table, gallery_table, hit_table, retrieve
from devise.report import Published

PUBLISHED = (Published("their test pictures", {2: 0.609, 3: 0.625}, "a repository", "table of its README"),)


def run(first, n=316):
    figures = {"seen": {1: first, 2: 0.97}, "words20000": {1: 0.935, 2: 0.95, 20: 1.0}}
    candidates = {"seen": {"count": 32, "ks_left_out": [50]},
                  "words20000": {"count": 20003, "added": ["dollar bill", "a|b", "car_side"]}}
    return Evaluation({"test": figures}, {"test": n}, candidates, {"test": {"seen": 4}})


def test_a_hit_table_states_metric_sizes_seeds_and_candidates():
    caption = hit_table(run(0.948), "test").caption
    for part in ("Flat hit@k", "in %", "316 test pictures", "one seed", "seen = 32 labels",
                 "too few for k = 50", "words20000 = the first 20,000 words and the labels",
                 "dollar bill, a|b, car_side",
                 "4 pictures without an answer in seen"):
        assert part in caption
    caption = hit_table([run(0.94, 300), run(0.96, 1316)], "test").caption
    assert "300 to 1,316 test pictures" in caption and "2 seeds, mean ± standard deviation" in caption


def test_a_hit_table_has_a_row_for_each_set_of_candidates():
    table = hit_table([run(0.94), run(0.96)], "test", published=PUBLISHED)
    assert table.columns == ("candidates, k =", 1, 2, 3, 20) and table.published == PUBLISHED
    assert [row[0] for row in table.rows] == ["seen", "words20000"]
    assert table.row("seen")[1].mean == pytest.approx(0.95) and table.row("seen")[1].n == 2
    assert hit_table(run(0.9481), "test").row("seen") == {1: 0.9481, 2: 0.97}


def test_exact_tags_become_a_table_of_counts():
    exact = ExactTags(16, 50, 10, "words20000", {"elephant": (9, 10), "lobster": (7, 40)})
    table = exact_table(exact)
    assert table.rows == (("elephant", 9, 10), ("lobster", 7, 40), ("all", 16, 50))
    assert "first 10" in table.caption and "words20000" in table.caption


def test_a_part_that_was_not_measured_is_an_error():
    with pytest.raises(KeyError, match="'unseen' was not measured: expected one of test"):
        hit_table(run(0.9), "unseen")


def test_galleries_by_size():
    embeddings, labels = np.random.default_rng(0).standard_normal((60, 5)), np.append(np.arange(59) % 6, 9)
    sizes = {size: retrieve(embeddings, labels, queries=np.arange(6), gallery=np.arange(6, 6 + size), ks=(1,))
             for size in (12, 53)}
    table = gallery_table({"raw": sizes})
    assert table.columns[1:] == ("hit@1, gallery 12", "MAP@R, gallery 12", "hit@1, gallery 53", "MAP@R, gallery 53")
    assert table.row("raw")["MAP@R, gallery 53"] == sizes[53].means()["map_at_r"]
    assert "6 pictures" in table.caption
    for nothing in ({}, {"raw": {}}):
        with pytest.raises(ValueError, match="nothing to print"):
            gallery_table(nothing)
