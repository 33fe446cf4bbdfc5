"""Reports: the same cells in text, Markdown, HTML and JSON; fractions for machines; nothing invented."""

import json
import re

import numpy as np
import pytest

from devise.metrics import spread
from devise.report import RANDOM, Published, Report, Table, escape, pairs

THEIRS = (Published("their test pictures", {2: 0.609, 3: 0.625}, "a repository", "table of its README"),
          Published("the paper, as they quote it", {2: 0.65}, "a paper", certain=False),
          Published("their other pictures", {3: 0.7}, "a repository", "table of its README"))
TABLE = Table(("over", 1, 2, 3), [("seen", 0.948, 0.97, None), ("words", spread([0.4, 0.6]), 0.5, 1500)],
              "Flat hit@k, in %.", ("One note.",), published=THEIRS)


def cells(markdown, head):
    """The cells of the table row that begins with `head`."""
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {head}"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.fixture
def report():
    return Report("Hybrid", {"backbone": "efficientnet_lite0", "seeds": (0, 1, 2), "pictures": 1233,
                             "training time (s)": 41.25812, "peak memory (MB)": None, "cached": True},
                  (TABLE,), ("3 files could not be read",), (("hit@k against k", "hit at k.png"),))


def test_the_four_renderings_hold_the_same_cells():
    expected = [["seen", "94.8", "97.0", "–"], ["words", "50.0 ± 14.1", "50.0", "1,500"],
                ["their test pictures [1]", "–", "60.9", "62.5"],
                ["the paper, as they quote it [2]", "–", "65.0 †", "–"], ["their other pictures [1]", "–", "–", "70.0"]]
    lines = TABLE.text().splitlines()
    assert [re.split(r" {2,}", line) for line in lines[2:7]] == expected
    assert [[cell.replace("\\", "") for cell in cells(TABLE.markdown(), row[0].split(" [")[0])]
            for row in expected] == expected
    found = re.findall(r"<td[^>]*>(.*?)</td>", TABLE.html())
    assert [found[place:place + 4] for place in range(0, len(found), 4)] == expected
    assert Table.by_name("over", {row["name"]: row["values"] for row in TABLE.to_json()["rows"]}).columns == (
        "over", "1", "2", "3")


def test_notes_sources_and_what_is_from_memory_stand_beneath_once_each():
    notes = ["One note.", "[1] a repository, table of its README; candidates: not stated.",
             "[2] a paper; candidates: not stated.", "† as recalled; check against the paper."]
    assert TABLE.text().splitlines()[7:] == notes
    assert TABLE.markdown().split("\n\n")[-1].replace("\\", "").split("  \n") == notes
    assert re.findall(r"<div[^>]*>(.*?)</div>", TABLE.html()) == notes
    assert "†" not in Table(("over", 2), (), published=THEIRS[:1]).text()


def test_json_holds_fractions_and_whole_rows_of_others():
    document = json.loads(json.dumps(TABLE.to_json(), allow_nan=False))
    assert document["rows"][0] == {"name": "seen", "values": {"1": 0.948, "2": 0.97}}
    assert document["rows"][1]["values"]["1"]["mean"] == 0.5 and document["head"] == "over"
    assert document["columns"] == ["1", "2", "3"]
    assert document["published"][1] == {
        "name": "the paper, as they quote it", "values": {"2": 0.65}, "source": "a paper", "table": "",
        "candidates": "not stated", "certain": False}


def test_figures_stand_to_the_right_and_text_to_the_left():
    table = Table(("over", "@1", "note"), [["seen", "97.4 %", "a"], ["words20000", "100.0 %", "bcd"]])
    assert table.text().splitlines() == ["over             @1  note",
                                         "seen         97.4 %  a",
                                         "words20000  100.0 %  bcd"]
    assert "| --- | ---: | --- |" in table.markdown()


def test_a_form_for_each_column():
    forms = {"score": "score", "share": "percent"}
    table = Table(("what", "time", "score", "share"), [("a", 0.25, 0.25, 0.25)], form=forms)
    assert table.text().splitlines()[1].split() == ["a", "0.25", "0.250", "25.0"]
    with pytest.raises(ValueError, match="form is 'x'"):
        Table(("a",), (), form={"a": "x"})


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"a row has 3 cells \(a, 1, 2\): expected 2, one for each of what, 1"):
        Table(("what", 1), [("a", 1, 2)])


def test_rows_are_found_by_name():
    table = Table.by_name("over", {"seen": {1: 0.5, 2: None}, "all": {2: 0.25}}, (2, 1))
    assert table.rows == (("seen", None, 0.5), ("all", 0.25, None))
    assert table.row("seen") == {1: 0.5} and table.row("all") == {2: 0.25}
    with pytest.raises(KeyError, match="there is no row 'x': expected one of seen, all"):
        table.row("x")


def test_the_page_holds_facts_tables_pictures_and_notes_in_this_order(report):
    page = report.markdown()
    places = [page.index(part) for part in ("# Hybrid", "| backbone |", "**Table 1.**", "## Pictures", "## Notes")]
    assert places == sorted(places)
    assert cells(page, "seeds")[1] == "0, 1, 2" and cells(page, "pictures")[1] == "1,233"
    assert cells(page, "training time")[1] == "41.3" and cells(page, "peak memory")[1] == "–"
    assert "![hit@k against k](hit%20at%20k.png)" in page


def test_every_row_of_a_table_has_as_many_cells_as_its_head(report):
    rows = [line for line in report.markdown().splitlines() if line.startswith("|")]
    widths = [len(re.split(r"(?<!\\)\|", row)) for row in rows]
    assert set(widths[:8]) == {4} and set(widths[8:]) == {6}


def test_text_has_facts_tables_and_notes(report):
    parts = report.text().split("\n\n")
    assert parts == ["Hybrid", pairs(report.facts), TABLE.text(), "- 3 files could not be read"] and str(
        report) == report.text()


def test_random_weights_are_marked_at_the_top_and_under_every_table(report):
    loud = Report(report.title, report.facts, report.tables * 2, trained=False)
    assert loud.markdown().count(RANDOM) == loud.text().count(RANDOM) == 3 and loud.to_json()["trained"] is False
    assert loud.markdown().index(RANDOM) < loud.markdown().index("| backbone |")
    assert RANDOM in loud.html() and RANDOM not in report.markdown() + report.text() + report.html()


def test_a_saved_report_is_the_same_document_each_time(report, tmp_path):
    path = report.save(tmp_path / "new" / "folder")
    assert path.read_text(encoding="utf-8") == report.markdown()
    document = json.loads((path.parent / "report.json").read_text(encoding="utf-8"))
    assert document == {"kind": "report", **report.to_json(), "files": document["files"]}
    assert document["facts"]["peak memory (MB)"] is None
    assert list(document) == ["kind", "title", "trained", "facts", "tables", "pictures", "notes", "files"]
    before = (path.read_bytes(), (path.parent / "report.json").read_bytes())
    report.save(path.parent)
    assert (path.read_bytes(), (path.parent / "report.json").read_bytes()) == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["report.json", "report.md"]


def test_numpy_figures_are_figures():
    table = Table(("row", "a", "b"), [("x", np.float64(0.5), np.float32(0.25))])
    assert json.loads(json.dumps(table.to_json()))["rows"][0]["values"] == {"a": 0.5, "b": 0.25}


@pytest.mark.parametrize("text, expected", [
    ("a|b", r"a\|b"), ("car_side", "car_side"), ("_init_", r"\_init\_"), ("two\nlines", "two lines"),
    ("`x` *y*", r"\`x\` \*y\*"), ("<b>[link](x)", r"\<b>\[link\](x)"), ("back\\slash", r"back\\slash")])
def test_names_can_not_break_a_table(text, expected):
    assert escape(text) == expected
    assert len(re.split(r"(?<!\\)\|", Table(("a", "b"), [(text, 1)]).markdown().splitlines()[-1])) == 4


def test_no_path_is_taken_apart_where_a_note_is_wrapped():
    path = "/" + "/".join(["holiday-pictures"] * 8)
    note = f"the sheet of what was found among all of these pictures is in {path}"
    lines = Report("Found", notes=[note]).text().split("\n")
    assert lines[2].startswith("- the sheet") and path in [line.strip() for line in lines]
