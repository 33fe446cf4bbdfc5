import contextlib
import json

import numpy as np
import pytest

from devise.bench import words as bench


class Here(contextlib.AbstractContextManager):
    """A worker in this process: that one of its own answers is tested where what it is asked fails."""

    def __init__(self, module):
        self.state = {}

    def ask(self, function, **values):
        return json.loads(json.dumps(getattr(bench, function)(self.state, **json.loads(json.dumps(values)))))

    def __exit__(self, *error):
        self.state.clear()


@pytest.fixture(scope="module")
def document():
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "Worker", Here)
        return bench.run(n=300, dim=8, rounds=1, progress=lambda *call: calls.append(call)) | {"calls": calls}


def rows_of(document):
    return {row["what"]: row for row in document["rows"]}


def test_the_report_has_its_shape(document):
    calls = document.pop("calls", None) or [(8, 8)]
    assert json.loads(json.dumps(document)) == document
    assert document["bench"] == "words" and document["input"]["words"] == 300 and document["input"]["dim"] == 8
    assert document["input"]["matrix_mib"] == 300 * 8 * 4 / 2**20 and "synthetic" in document["input"]["source"]
    assert all(row["seconds"] > 0 for row in document["rows"])
    assert all(row["peak_mib"] >= 0 for row in document["rows"][:4])
    assert calls[-1] == (8, 8)


def test_of_one_round_ratios_are_those_of_the_rows(document):
    seconds = {what: row["seconds"] for what, row in rows_of(document).items()}
    text, first, mapped, later, gensim, ours = (seconds[what] for what in [*bench.OPENINGS, *list(bench.ANSWERS)[:2]])
    ratios = {"conversion_over_text_load": text / first, "opening_over_text_load": text / later,
              "opening_over_gensim_mmap": mapped / later, "exact_over_most_similar": gensim / ours}
    if "annoy" not in document["skipped"]:
        ratios["annoy_over_exact"] = ours / seconds["Annoy over the same words"]
    assert document["ratios"] == pytest.approx(ratios)


def test_gensim_finds_what_we_find(document):
    rows = rows_of(document)
    assert rows["devise exact neighbours"]["recall_at_10"] == 1.0
    assert rows["gensim most_similar"]["recall_at_10"] > 0.98  # but for ties
    assert rows["devise exact neighbours"]["per_second"] == pytest.approx(
        bench.LOOK_UP / rows["devise exact neighbours"]["seconds"])


def test_recall_is_the_share_of_the_true_neighbours():
    assert bench._recall([["a", "b"], ["c", "x"]], [["b", "a"], ["c", "d"]]) == {"recall_at_10": 0.75}
    assert bench._recall(None, [["a"]]) == {}


def test_a_row_has_the_medians_of_its_rounds():
    results = [{"seconds": seconds, "peak_mib": 2 * seconds, "held_mib": None, "found": []} for seconds in (1, 2, 9)]
    assert bench._row("what", results, 10) == {"what": "what", "seconds": 2.0, "peak_mib": 4.0, "per_second": 5.0}


def test_the_text_is_in_clusters(tmp_path):
    lines = bench._synthetic(tmp_path / "words.txt", 400, 30).read_text().splitlines()
    vectors = np.array([line.split()[1:] for line in lines], float)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -1)
    assert lines[7].startswith("w7 ") and (scores.argmax(axis=1) % 4 == np.arange(400) % 4).mean() > 0.9


def test_the_picture_shows_openings_and_answers(document, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr("devise.plots.bar_plot", lambda groups, *rest, **more: drawn.update(groups), raising=False)
    bench.plot(document, tmp_path / "words.png")
    assert len(drawn["opening"]) == 4
    seconds = rows_of(document)["devise exact neighbours"]["seconds"]
    assert drawn["neighbours of one word"]["devise exact neighbours"] == pytest.approx(seconds / bench.LOOK_UP)


def test_a_given_file_is_measured_and_what_fails_is_named(tmp_path, monkeypatch):
    (tmp_path / "own.txt").write_text("a 1 2\n")
    assert bench._input(tmp_path / "own.txt", tmp_path, 9, 9)[0] == {"source": "the file own.txt", "bytes": 6}
    (tmp_path / "bad.txt").write_text("a 1 2\nb 3 x\n")
    monkeypatch.setattr(bench, "OPENINGS", {"ours": "conversion"})  # gensim takes a second to load
    with pytest.raises(RuntimeError, match="conversion failed: ValueError"):
        bench.run(path=tmp_path / "bad.txt", rounds=1)
