import json

import pytest

from devise.cli.recipe import BENCHMARKS
from devise.cli.signatures import signature
from devise.datasets import ImageSet


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_takes_what_the_command_passes(name):
    assert {"progress", "n"} <= set(signature(f"devise.bench.{name}:run").parameters)


def test_options_reach_the_benchmark_under_its_own_names(devise, monkeypatch, picture_folder):
    from devise.bench import extract, index

    asked = {}

    def fake(**options):
        asked.update(options)
        rows = [{"what": "ours", "per_second": 1234.5}, {"what": "theirs", "seconds": 2}]
        ratios = {"speed": 12.345, "annoy": {"1000": {"build_s": 0.5}}}
        return {"bench": "fake", "rows": rows, "ratios": ratios}

    monkeypatch.setattr(extract, "run", lambda *, backbone=None, images=None, n=1, progress=None:
                        fake(backbone=backbone, images=images, n=n))
    ran = devise("bench", "extract", "--images", picture_folder, "--backbone", "vgg16", "-n", 3)
    assert ran.code == 0 and (asked["backbone"], asked["n"]) == ("vgg16", 3)
    assert isinstance(asked["images"], ImageSet) and len(asked["images"]) == 40
    lines = [line.split() for line in ran.out.splitlines()]
    for line in (["what", "per", "second", "seconds"], ["ours", "1,234", "–"], ["theirs", "–", "2"], ["ratio"],
                 ["speed", "12.3", "×"], ["annoy,", "1000,", "build", "s", "0.5", "×"]):
        assert line in lines

    monkeypatch.setattr(index, "run", lambda *, n=None, dim=0, engines=None, progress=None:
                        fake(n=n, dim=dim, engines=engines))
    assert devise("bench", "index", "-n", "500", "--dim", "8", "--engines", "faiss,annoy").code == 0
    assert (asked["n"], asked["dim"], asked["engines"]) == (500, 8, ("faiss", "annoy"))


def test_a_folder_gets_the_document_the_tables_and_the_picture(answer, devise, monkeypatch, tmp_path):
    from devise.bench import index, words

    rows = [{"what": "a|b", "per_second": 1234.5}, {"what": "theirs", "seconds": 2}]
    document = {"bench": "words", "rows": rows, "ratios": {"speed": 12.345}, "seed": 3, "threads": {"cores": 2}}
    drawn = []

    def plot(found, path):
        drawn.append((found, path))
        path.write_bytes(b"picture")

    monkeypatch.setattr(words, "run", lambda *, n=1, progress=None: document)
    monkeypatch.setattr(words, "plot", plot, raising=False)
    printed = answer("bench", "words", "-o", tmp_path / "out")
    written = json.loads((tmp_path / "out/report.json").read_text("utf-8"))
    assert written["kind"] == "report" and list(written["files"]) == ["table.md"]
    told = {name: value for name, value in written.items() if name not in ("kind", "files")}
    assert told.items() <= printed.items()
    assert drawn == [(told, tmp_path / "out/words.png")]
    assert answer("bench", "words", "-o", tmp_path / "out")["options"] == {}
    ran = devise("bench", "words", "-n", 2, "-o", tmp_path / "out")
    assert ran.code == 1 and "the report of another run, which would be lost: words, -n not given." in ran.err
    assert answer("bench", "words", "-n", 2, "-o", tmp_path / "out", "--overwrite")["options"] == {"n": 2}
    page = (tmp_path / "out/table.md").read_text("utf-8")
    for line in ("| what | per second | seconds |", "| --- | ---: | ---: |", "| a\\|b | 1,234 | – |",
                 "| speed | 12.3 × |", "![devise bench words](words.png)"):
        assert line in page.splitlines()
    assert "| seed | 3 |" in page and "cores 2" in page and printed["machine"]["system"] in page

    monkeypatch.setattr(index, "run", lambda *, n=1, progress=None: {**document, "bench": "index"})
    monkeypatch.delattr(index, "plot", raising=False)
    ran = devise("bench", "index", "-o", tmp_path / "plain")
    assert ran.code == 0 and "report.json, table.md are in" in ran.out
    assert sorted(path.name for path in (tmp_path / "plain").iterdir()) == ["report.json", "table.md"]
