"""Reports: percent and dashes for readers, fractions and nulls for machines, nothing invented."""

import json
import re

import numpy as np
import pytest

from devise.evaluation import (
    Evaluation,
    ExactTags,
    Example,
    Published,
    Report,
    Table,
    combine,
    exact_table,
    hit_table,
)
from devise.evaluation.report import RANDOM
from devise.evaluation.tables import escape
from devise.metrics import spread

PUBLISHED = (Published("their test pictures", {2: 0.609, 3: 0.625}, "a repository", "table of its README"),
             Published("the paper, as they quote it", {2: 0.65}, "a paper", certain=False))


def run(first, n=316):
    figures = {"seen": {1: first, 2: 0.97}, "words20000": {1: 0.935, 2: 0.95, 20: 1.0}}
    candidates = {"seen": {"count": 32, "ks_left_out": [50]},
                  "words20000": {"count": 20003, "added": ["dollar bill", "a|b", "car_side"]}}
    return Evaluation({"test": figures}, {"test": n}, candidates, {"test": {"seen": 4}})


def cells(markdown, head):
    """The cells of the table row that begins with `head`."""
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {head}"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_a_hit_table_states_metric_sizes_seeds_and_candidates():
    caption = hit_table(run(0.948), "test").caption
    for part in ("Flat hit@k", "in %", "316 test pictures", "one seed", "seen = 32 labels",
                 "too few for k = 50", "words20000 = 20,003: 20,000 words", "dollar bill, a|b, car_side",
                 "4 pictures without an answer in seen"):
        assert part in caption
    combined = combine([run(0.94, 300), run(0.96, 1316)])
    caption = hit_table(combined, "test").caption
    assert "300 to 1,316 test pictures" in caption and "2 seeds, mean ± standard deviation" in caption


def test_markdown_has_percent_with_one_decimal_and_the_spread():
    page = hit_table(combine([run(0.94), run(0.96)]), "test").to_markdown()
    assert cells(page, "candidates") == ["candidates, k =", "1", "2", "20"]
    assert cells(page, "seen") == ["seen", "95.0 ± 1.4", "97.0 ± 0.0", "–"]
    assert cells(page, "words20000")[1:] == ["93.5 ± 0.0", "95.0 ± 0.0", "100.0 ± 0.0"]
    single = hit_table(combine([run(0.9481)]), "test").to_markdown()
    assert cells(single, "seen") == ["seen", "94.8", "97.0", "–"]


def test_published_rows_stand_beside_with_their_source_and_the_recalled_ones_marked():
    table = hit_table(run(0.948), "test", published=PUBLISHED)
    page = table.to_markdown()
    assert cells(page, "*their test pictures*") == ["*their test pictures* [1]", "–", "60.9", "62.5", "–"]
    assert cells(page, "*the paper") == ["*the paper, as they quote it* [2]", "–", "65.0 †", "–", "–"]
    assert "[1] a repository, table of its README; candidates: not stated." in page
    assert page.count("† as recalled; check against the paper") == 1
    assert "†" not in hit_table(run(0.948), "test", published=PUBLISHED[:1]).to_markdown()
    document = table.to_json()
    assert document["published"][1] == {
        "name": "the paper, as they quote it", "values": {"2": 0.65}, "source": "a paper", "table": "",
        "candidates": "not stated", "certain": False}
    assert document["rows"][0] == {"name": "seen", "values": {"1": 0.948, "2": 0.97}}


def test_what_was_not_measured_is_a_dash_and_null():
    table = Table("caption", ("a", "b", "c", "d"), {"row": {"a": None, "b": float("nan"), "c": 0.0}})
    assert cells(table.to_markdown(), "row") == ["row", "–", "–", "0.0", "–"]
    assert table.to_json()["rows"][0]["values"] == {"a": None, "b": None, "c": 0.0}


def test_numpy_figures_are_figures():
    table = Table("caption", ("a", "b"), {"row": {"a": np.float64(0.5), "b": np.float32(0.25)}})
    assert cells(table.to_markdown(), "row") == ["row", "50.0", "25.0"]
    assert json.loads(json.dumps(table.to_json()))["rows"][0]["values"] == {"a": 0.5, "b": 0.25}
    assert cells(Report("title", {"pictures": np.int64(1233)}).to_markdown(), "pictures")[1] == "1,233"


def test_columns_of_figures_are_aligned_to_the_right():
    page = Table("caption", ("figure", "text"), {"x": {"figure": 0.5, "text": "half"}}).to_markdown()
    assert "| --- | ---: | --- |" in page


@pytest.fixture
def report():
    return Report("Hybrid", {"backbone": "efficientnet_lite0", "seeds": (0, 1, 2), "pictures": 1233,
                             "training time (s)": 41.25812, "peak memory (MB)": None, "cached": True},
                  tables=(hit_table(run(0.948), "test", published=PUBLISHED),),
                  examples=(Example("a b/img|1.jpg", "car_side", (("car", 0.81), ("bus", 0.6)), ("car",)),
                            Example("cat.jpg", None, (("cat", 0.5),))),
                  pictures=(("hit@k against k", "hit at k.png"),), notes=("3 files could not be read",))


def test_the_page_holds_facts_tables_tags_pictures_and_notes_in_this_order(report):
    page = report.to_markdown()
    order = ["# Hybrid", "| backbone |", "**Table 1.**", "## Tags", "## Pictures", "## Notes"]
    places = [page.index(part) for part in order]
    assert places == sorted(places)
    assert cells(page, "seeds")[1] == "0, 1, 2"
    assert cells(page, "pictures")[1] == "1,233"
    assert cells(page, "training time")[1] == "41.26"
    assert cells(page, "peak memory")[1] == "–"
    assert cells(page, r"a b/img\|1.jpg") == [r"a b/img\|1.jpg", "car_side", "**car** 0.810, bus 0.600"]
    assert cells(page, "cat.jpg")[1] == "–"
    assert "![hit@k against k](hit%20at%20k.png)" in page


def test_every_row_of_a_table_has_as_many_cells_as_its_head(report):
    rows = [line for line in report.to_markdown().splitlines() if line.startswith("|")]
    widths = [len(re.split(r"(?<!\\)\|", row)) for row in rows]
    assert set(widths[:8]) == {4} and set(widths[8:14]) == {7} and set(widths[14:]) == {5}


def test_random_weights_are_marked_at_the_top_and_under_every_table(report):
    loud = Report(report.title, report.facts, trained=False, tables=report.tables * 2)
    assert loud.to_markdown().count(RANDOM) == 3 and loud.to_json()["trained"] is False
    assert loud.to_markdown().index(RANDOM) < loud.to_markdown().index("| backbone |")
    assert RANDOM not in report.to_markdown()


def test_a_saved_report_is_the_same_document_each_time(report, tmp_path):
    path = report.save(tmp_path / "new" / "folder")
    assert path.read_text(encoding="utf-8") == report.to_markdown()
    document = json.loads((path.parent / "report.json").read_text(encoding="utf-8"))
    assert document == report.to_json()
    assert document["facts"]["peak memory (MB)"] is None
    assert document["examples"][0]["tags"][0] == {"word": "car", "score": 0.81}
    assert list(document) == ["title", "trained", "facts", "tables", "examples", "pictures", "notes"]
    before = (path.read_bytes(), (path.parent / "report.json").read_bytes())
    report.save(path.parent)
    assert (path.read_bytes(), (path.parent / "report.json").read_bytes()) == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["report.json", "report.md"]


def test_exact_tags_become_a_table_of_counts():
    exact = ExactTags(16, 50, 10, "words20000", {"elephant": (9, 10), "lobster": (7, 40)})
    page = exact_table(exact).to_markdown()
    assert cells(page, "elephant") == ["elephant", "9", "10"]
    assert cells(page, "all") == ["all", "16", "50"]
    assert "first 10" in page and "words20000" in page


def test_a_part_that_was_not_measured_is_an_error():
    with pytest.raises(KeyError, match="'unseen' was not measured: expected one of test"):
        hit_table(run(0.9), "unseen")


@pytest.mark.parametrize("text, expected", [
    ("a|b", r"a\|b"), ("car_side", "car_side"), ("_init_", r"\_init\_"), ("two\nlines", "two lines"),
    ("`x` *y*", r"\`x\` \*y\*"), ("<b>[link](x)", r"\<b>\[link\](x)"), ("back\\slash", r"back\\slash")])
def test_names_can_not_break_a_table(text, expected):
    assert escape(text) == expected


def test_text_and_counts_in_a_table_are_left_as_they_are():
    table = Table("caption", ("n", "head"), {"row": {"n": 1500, "head": "ridge|mlp"}})
    assert cells(table.to_markdown(), "row") == ["row", "1,500", r"ridge\|mlp"]


def test_a_deviation_that_is_undefined_is_not_printed():
    table = Table("caption", ("a",), {"row": {"a": spread([0.5])}})
    assert cells(table.to_markdown(), "row") == ["row", "50.0"]
    assert table.to_json()["rows"][0]["values"]["a"]["std"] is None
