"""What every recipe shares: steps, means over runs, the report with its pictures."""

from types import SimpleNamespace

import numpy as np
import pytest

from devise import storage
from devise.metrics import spread
from devise.recipes.harness import Harness, by_row, curve, means_table, spreads, used, verdict
from devise.report import Published, Table

RUNS = [{"ridge": {"hit@1": 0.5, "hit@2": 0.75}, "chance": {"hit@1": 0.25, "hit@2": 0.5}},
        {"ridge": {"hit@1": 0.75, "hit@2": float("nan")}, "chance": {"hit@1": 0.25, "hit@2": 0.5}}]


def test_steps_are_counted_over_all_that_is_measured(tmp_path):
    steps = []
    harness = Harness(tmp_path, lambda *step: steps.append(step))
    harness.total = 3
    assert harness.each("ab", str.upper) == ["A", "B"] and harness.each([1], lambda one: one + 1) == [2]
    harness.step()  # one more than was expected
    assert steps == [(1, 3), (2, 3), (3, 3), (3, 3)]
    assert Harness(tmp_path).each([1, 2], lambda one: -one) == [-1, -2]


def test_means_are_over_the_runs_that_have_a_figure():
    found = by_row(RUNS)
    assert spreads(found["ridge"])["hit@1"] == spread([0.5, 0.75])
    assert (spreads(found["ridge"])["hit@2"].mean, spreads(found["ridge"])["hit@2"].n) == (0.75, 1)
    table = means_table("rule", found, ("hit@1", "hit@2", "hit@5"), extra={"chance": {"hit@1": "?"}}, caption="All.")
    assert table.columns == ("rule", "hit@1", "hit@2") and table.row("chance")["hit@1"] == "?"
    row = Published("theirs", {"hit@5": 0.9}, "a paper")
    assert means_table("rule", found, ("hit@1", "hit@5"), published=(row,)).columns == ("rule", "hit@1", "hit@5")
    drawn = curve(found, (1, 5))
    assert {name: {k: (value.mean, value.n) for k, value in values.items()} for name, values in drawn.items()} == {
        "ridge": {1: (0.625, 2)}, "chance": {1: (0.25, 2)}}
    assert drawn["ridge"][1].std == pytest.approx(np.std([run["hit@1"] for run in found["ridge"]], ddof=1))


def test_the_report_has_its_pictures_and_what_the_run_took(tmp_path):
    harness = Harness(tmp_path / "out")

    def plot(drawn, path, *, title):
        path.parent.mkdir()
        path.write_text(title + drawn)

    harness.draw("A line", "line.png", plot, "!", title="Line")
    report = harness.report("Ours", {"seeds": 2}, [Table(("a",), [("b",)]), None], ["noted"], trained=False)
    document = storage.read_json(tmp_path / "out" / "report.json")
    assert document | report.to_json() == document and list(document["facts"]) == ["seeds", "time (s)"]
    assert document["pictures"] == [{"caption": "A line", "file": "line.png"}] and len(document["tables"]) == 1
    assert (tmp_path / "out" / "line.png").read_text() == "Line!" and not report.trained


def test_network_and_words_are_named():
    backbone = {"name": "net", "layer": "top", "dim": 3, "weights": "none"}
    assert used(backbone) == {"backbone": "net, layer top, 3-d, weights none"}
    assert used(backbone, {"name": "tiny", "n": 1200, "dim": 5})["words"] == "tiny, 1,200 words, 5-d"


@pytest.mark.parametrize(("low", "high", "said"), [
    (0.01, 0.02, "better"), (-0.02, -0.01, "worse"), (-0.01, 0.01, "no difference shown"),
    (-1e-5, -1e-6, "no difference shown"), (1e-6, 0.01, "no difference shown"),  # printed as 0.00 points
    (np.nan, np.nan, "no difference shown")])
def test_what_is_printed_as_nothing_is_no_difference(low, high, said):
    assert verdict(SimpleNamespace(low=low, high=high)) == said
