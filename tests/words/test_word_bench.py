import json

import pytest

from devise.bench import words as bench
from devise.bench.machine import machine, memory


def test_the_report_has_its_shape(tmp_path):
    calls = []
    report = bench.run(n=300, dim=8, progress=lambda *call: calls.append(call))
    assert json.loads(json.dumps(report)) == report
    assert list(report) == ["bench", "input", "rows", "ratios", "machine"] and report["bench"] == "words"
    assert report["input"]["words"] == 300 and report["input"]["dim"] == 8
    assert "synthetic" in report["input"]["source"]
    assert len(report["rows"]) == 4 and all(row["seconds"] > 0 and row["mib"] >= 0 for row in report["rows"])
    gensim, conversion, opening, _ = (row["seconds"] for row in report["rows"])
    assert report["ratios"] == pytest.approx({"conversion_speedup": gensim / conversion,
                                              "opening_speedup": gensim / opening})
    assert calls[-1] == (4, 4)


def test_a_given_file_is_measured_and_what_fails_is_named(tmp_path):
    (tmp_path / "own.txt").write_text("a 1 2\nb 3 4\n")
    assert bench.run(path=tmp_path / "own.txt")["input"]["source"] == "the file own.txt"
    (tmp_path / "bad.txt").write_text("a 1 2\nb 3 x\n")
    with pytest.raises(RuntimeError, match="failed: ValueError"):
        bench.run(path=tmp_path / "bad.txt")


def test_facts_do_not_name_the_machine():
    import platform

    assert platform.node() not in json.dumps(machine())
    assert machine()["cpus"] >= 1


def test_memory_grows_with_what_is_held():
    _, before = memory()
    held = bytearray(b"x") * (before + 2**26)
    now, peak = memory()
    assert peak >= now > 0 and peak >= len(held)
