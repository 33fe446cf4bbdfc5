"""The data file of published figures, against the paper's own arithmetic and the shape of its entries."""

import json
from importlib.resources import files

import pytest

from devise.recipes import hybrid, published
from devise.recipes.published import beside, count_of

DOCUMENT = json.loads(files("devise.recipes").joinpath("published.json").read_text(encoding="utf-8"))
ENTRIES = DOCUMENT["tables"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['paper']} {entry['data']}")
def test_each_entry_says_where_it_is_from_and_how_sure_it_is(entry):
    assert entry["source"] and entry["table"] and entry["metric"]
    assert entry["certainty"] in DOCUMENT["certainty"]
    assert set(entry.get("recalled", ())) <= set(entry["rows"])
    assert entry.get("candidates", "1K") in DOCUMENT["candidates"]
    for figures in entry["rows"].values():
        assert len(figures) == len(entry["columns"]) and all(0 <= figure <= 100 for figure in figures)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry['paper']} {entry['data']}")
def test_a_deeper_k_hits_no_less(entry):
    for name, figures in entry["rows"].items():
        hits = [figure for column, figure in zip(entry["columns"], figures, strict=True) if "hit@" in str(column)]
        assert hits == sorted(hits), name


@pytest.mark.parametrize("data", ["SUN", "CUB", "AWA1", "AWA2", "APY"])
def test_the_harmonic_means_are_those_of_u_and_s(data):
    rows = published.published("xian2018", data=data, recalled=True)
    assert [row.name for row in rows] == ["DeViSE", "ALE", "SJE", "ESZSL", "ConSE"]
    for row in rows:
        u, s = row.values["u"], row.values["s"]
        assert row.values["H"] == pytest.approx(2 * u * s / (u + s), abs=0.0015), row.name


def test_what_is_recalled_is_marked_so():
    certain = {(data, row.name): row.certain for data in ("SUN", "CUB", "AWA1", "AWA2", "APY")
               for row in published.published("xian2018", data=data, recalled=True)}
    assert {key for key, sure in certain.items() if not sure} == {("SUN", "ConSE"), ("AWA2", "ConSE"), ("APY", "ConSE")}
    assert not any(row.certain for paper in ("devise2013", "conse2014")
                   for row in published.published(paper, recalled=True))
    assert all(row.certain for row in published.published("hybrid"))


def test_what_is_recalled_is_given_on_demand_alone():
    assert published.published("devise2013") == () == beside("conse2014", "Table 1", "2-hop", 1549)
    assert [row.name for row in published.published("xian2018", data="SUN")] == ["DeViSE", "ALE", "SJE", "ESZSL"]
    sure, all_of_it = (published.published("flickr8k", data="frozen network", recalled=recalled)
                       for recalled in (False, True))
    assert len(sure) == len(all_of_it) == 11
    assert "image → text, median" not in sure[0].values and all_of_it[0].values["image → text, median"] == "28 †"
    assert sure[-1].values["image → text, median"] == 4 and sure[-1].values["image → text @1"] == 0.31


def test_figures_are_fractions_under_the_columns_of_the_paper():
    softmax = published.published("devise2013", "Table 1", recalled=True)[0]
    assert softmax.name == "softmax" and softmax.values["hit@1"] == 0.556 and softmax.values["hp@2"] == 0.452
    rows = {row.name: row.values for row in published.published("conse2014", candidates="2-hop +1K", recalled=True)}
    assert rows["ConSE(10)"] == {"hit@1": 0.003, "hit@2": 0.062, "hit@5": 0.17, "hit@10": 0.249, "hit@20": 0.335}
    assert rows["DeViSE"] == published.published("devise2013", candidates="2-hop +1K", recalled=True)[0].values


def test_rows_stand_beside_only_where_the_candidates_are_as_many():
    assert count_of("3-hop") == 7860
    for count, rows in ((1549, 4), (1548, 4), (1565, 0), (1500, 0), (37, 0)):
        assert len(beside("conse2014", "Table 1", "2-hop", count, recalled=True)) == rows


@pytest.mark.parametrize(("wanted", "said"), [
    ({"paper": "devise2014"}, "no figures with paper 'devise2014' are known: expected one of devise2013, conse2014"),
    ({"paper": "devise2013", "table": "Table 9"}, "expected one of Table 1, Table 2"),
    ({"paper": "xian2018", "data": "AwA"}, "expected one of SUN, CUB, AWA1, AWA2, APY"),
])
def test_what_is_not_there_is_named(wanted, said):
    with pytest.raises(KeyError, match=said):
        published.published(**wanted)


def test_the_hybrid_prints_the_reference_projects_rows():
    assert [row.values for row in hybrid.PUBLISHED["train"]] == [{2: 0.963, 3: 0.963}]
    assert [row.values for row in hybrid.PUBLISHED["test"]] == [{2: 0.609, 3: 0.625}, {2: 0.65, 3: 0.70}]
    assert {row.candidates for rows in hybrid.PUBLISHED.values() for row in rows} == {"not stated"}
