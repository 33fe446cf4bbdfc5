"""The measured parts of docs/ are those of the reports that lie beside the program that writes them."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = "# a\n<!-- measured: {part} -->\nold\n<!-- end -->\nb\n"


@pytest.fixture(scope="module")
def measured():
    spec = importlib.util.spec_from_file_location("measured", ROOT / ".ci" / "measured.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_say_what_the_reports_say(measured):
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")]
    assert {name for page in pages for name in re.findall(r"<!-- measured: (\w+) -->", page)} == set(measured.PARTS)
    assert [measured.page(page, measured.known()) for page in pages] == pages


def test_counts_stand_in_the_page_as_the_fault_suite_told_them():
    """Each by a look at the JSON, without the program."""
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    counts = json.loads((ROOT / ".ci" / "measured" / "faults.json").read_text(encoding="utf-8"))
    kills = sum(told["kills"] for trial, told in counts.items() if trial.startswith("kill -9, "))
    assert f"| kills {kills:,}, " in page
    assert f"| files {counts['damaged pictures']['files']:,}, read " in page


def test_a_table_of_ratios_is_made_of_the_reports_that_are_there(measured):
    train = {"epochs": 60, "n": 1233, "ratios": {"over_fit": 2.7, "over_frozen_vgg16": 2059.4,
                                                 "large_batch_over_fit": 5.912,
                                                 "small": {"96": {"over_fit": 3.8, "over_fit_same_batch": 9.04}}}}
    text = measured.page(TEXT.format(part="speed"), {"train": train})
    assert "| 60 epochs of a head on 1,233 cached features | `fit` of Keras | 2.70 | train |\n" in text
    assert "| the same on 96 | `fit`; at our batch | 3.80; 9.04 | train |\n" in text
    assert "| each picture through VGG16 in each epoch | 2,059 | train |\n" in text
    served = {"clients": 9, "requests_per_second": 41.6, "rows": [
        {"asked": "text"}, {"asked": "all", "p50_ms": 12.3, "errors": 0, "requests": 2500, "alone_p50_ms": 3.14}]}
    text = measured.page(TEXT.format(part="speed"), {"serve": served})
    assert "at once: 42 requests/s, median answer 12 ms, 0 of 2,500 failed | – | – | serve |\n" in text
    assert "| one client alone: median answer 3.1 ms | – | – | serve |\n" in text


def test_trials_of_a_kind_are_summed_and_of_memory_the_most_counts(measured):
    counts = {"kill -9, extract": {"kills": 1200, "new": 1000}, "kill -9, train": {"kills": 300, "old": 9},
              "damaged pictures": {"files": 7, "peak_mb": 3}}
    text = measured.page(TEXT.format(part="reliability"), {"faults": counts})
    assert "| kill -9: extract, train | kills 1,500, new 1,000, old 9 |\n" in text
    assert "| damaged pictures | files 7, peak mb 3 |\n" in text
    assert text.startswith("# a\n") and text.endswith("<!-- end -->\nb\n") and "old\n" not in text.replace("old 9", "")
    assert measured.page(text, {"faults": counts}) == text


def test_reports_are_taken_over_by_the_name_of_their_folder(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "REPORTS", tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    (tmp_path / "bench" / "train").mkdir(parents=True)
    (tmp_path / "bench" / "train" / "report.json").write_text('{"bench": "train"}', encoding="utf-8")
    (tmp_path / "kept" / "faults.json").write_text('{"a": {"n": 0}, "c": {}, "b": {"n": 0}}', encoding="utf-8")
    (tmp_path / "faults.jsonl").write_text('{"b": {"n": 2}}\n{"a": {"n": 1}}\n', encoding="utf-8")
    measured.take(tmp_path / "bench")
    measured.take(tmp_path / "faults.jsonl")
    assert measured.known() == {"train": {"bench": "train"}, "faults": {"a": {"n": 1}, "b": {"n": 2}}}
    assert list(measured.known()["faults"]) == ["a", "b"]


@pytest.mark.parametrize(("value", "expected"), [(0.123, "0.12"), (9.96, "9.96"), (12.34, "12.3"), (1234.5, "1,234")])
def test_numbers_have_the_digits_that_say_something(measured, value, expected):
    assert measured._number(value) == expected
