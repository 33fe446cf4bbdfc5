"""A folder of photographs from the command line: conditions, questions of several parts, tags written down."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from devise.cli.tag import write
from devise.model import Tag
from devise.search import Search


@pytest.fixture
def index(answer, model, picture_folder, tmp_path):
    """An index of pictures of which those of dogs have a date and a camera."""
    for path in (picture_folder / "dog").iterdir():
        block = Image.Exif()
        block.update({272: "Pixel 8", 306: f"2024:0{int(path.stem) + 1 if path.stem < '9' else 1}:01 12:00:00"})
        Image.open(path).save(path, exif=block)
    answer("index", picture_folder, "--model", model, "-o", tmp_path / "index")
    return tmp_path / "index"


def test_conditions_and_several_parts(answer, devise, index, picture_folder):
    search, where = Search.load(index), "taken>=2024-06 and camera~pixel"
    asked = ("search", index, "-k", 3, "--where", where)
    for question, expected in (
            (("--text", "cat -dog^2"), search.by_text({"cat": 1, "dog": -2}, 3, where=where)),
            (("--text", "cat", "--also", "car/1.png", "--also", "car/2.png"),
             search.by_text("cat", 3, also=["car/1.png", "car/2.png"], where=where)),
            (("--picture", "dog/6.png"), search.by_image("dog/6.png", 3, where=where)),
            (("--picture", "dog/6.png", "--also", "car/1.png", "--minus", "ocean"),
             search.by_change("dog/6.png", 3, also="car/1.png", minus="ocean", where=where))):
        [found] = answer(*asked, *question)["results"]
        assert [match["path"] for match in found["matches"]] == [match.path for match in expected.matches]
        assert found["where"] == {"condition": where, "selected": 4, "lacking": {"taken": 30, "camera": 30}}
        assert found.get("also", []) == list(expected.also)
    told = f"of 4 pictures where {where} (of the whole index 30 without taken, 30 without camera)"
    assert told in " ".join(devise(*asked, "--text", "cat").out.split())
    assert "of 0 pictures where folder=none: it holds for none" in " ".join(
        devise("search", index, "--text", "cat", "--where", "folder=none").out.split())
    assert "expected one argument; one that begins with a minus is written behind =, as --text=-people" in devise(
        "search", index, "--text", "-cat").err
    ran = devise("search", index, "--text", "cat", "--where", "takn>=2024")
    assert ran.code == 1 and "there is no field 'takn': did you mean taken; the fields are taken, camera" in ran.err
    ran = devise("search", index, "--text", "cat", "--minus", "dog")
    assert ran.code == 2 and 'write a text as "beach -people"' in ran.err


def test_tags_are_written_to_sidecars_and_the_pictures_stay(answer, devise, model, picture_folder):
    before = {path: path.read_bytes() for path in picture_folder.rglob("*.png")}
    (picture_folder / "cat/0.png.xmp").write_text("no sidecar")
    asked = ("tag", picture_folder / "cat", "--model", model, "-k", 2, "--write", "xmp")
    document = answer(*asked, code=1)
    assert {name: document["written"][name] for name in ("file", "written", "merged", "unchanged")} == {
        "file": None, "written": 9, "merged": 0, "unchanged": 0}
    [lost] = document["written"]["failed"]
    assert lost["path"] == "0.png" and "is no XML" in lost["reason"]
    assert (picture_folder / "cat/0.png.xmp").read_text() == "no sidecar"
    for picture in document["pictures"][1:]:
        content = (picture_folder / "cat" / f"{picture['path']}.xmp").read_text()
        assert all(f"<rdf:li>{tag['name']}</rdf:li>" in content for tag in picture["tags"])
    ran = devise(*asked)
    assert "can't tell which names are unsure: all of each picture are in its sidecar" in " ".join(ran.out.split())
    refused = devise(*asked[:-2], "--reject")
    assert refused.code == 1 and "can't tell which names are too unsure" in refused.err
    assert "sidecars: 0 written, 0 merged, 9 unchanged" in ran.out and "no sidecar of 0.png" in ran.out
    assert "9 merged" in devise(*asked[:-3], 4, "--write", "xmp").out
    assert {path: path.read_bytes() for path in picture_folder.rglob("*.png")} == before


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_tags_are_written_to_a_table_that_replaces_nothing(kind, answer, devise, model, picture_folder, tmp_path):
    asked = ("tag", picture_folder / "cat", "--model", model, "-k", 2, "--write")
    document = answer(*asked, kind)
    content = (tmp_path / "here" / f"tags.{kind}").read_text()
    rows = json.loads(content) if kind == "json" else list(csv.DictReader(content.splitlines()))
    assert [(row["picture"], int(row["rank"]), row["name"]) for row in rows] == [
        (picture["path"], rank, tag["name"]) for picture in document["pictures"]
        for rank, tag in enumerate(picture["tags"], start=1)]
    np.testing.assert_allclose([float(row["score"]) for row in rows], [
        tag["score"] for picture in document["pictures"] for tag in picture["tags"]], atol=1e-6)
    assert answer(*asked, f"tags.{kind}")["written"]["unchanged"] == 1
    place = tmp_path / f"mine.{kind}"
    place.write_text("mine")
    ran = devise(*asked, place)
    assert ran.code == 1 and "holds something else, which would be lost" in ran.err and place.read_text() == "mine"
    assert answer(*asked, place, "--overwrite")["written"]["written"] == 1 and place.read_text() == content


def test_weak_tags_are_not_written(picture_folder, tmp_path):
    from devise.datasets import open_images

    images, tagged = open_images(picture_folder / "cat/1.png"), [[Tag("cat", 0.9), Tag("moon", 0.1, weak=True)]]
    assert write("xmp", images, tagged)["written"] == 1
    content = (picture_folder / "cat/1.png.xmp").read_text()
    assert ">cat<" in content and "moon" not in content
    assert write("xmp", images, [tagged[0][1:]]) == {"file": None, "written": 0, "merged": 0, "unchanged": 0,
                                                     "unsure": 1, "failed": []}
    assert (picture_folder / "cat/1.png.xmp").read_text() == content
    write(tmp_path / "tags.csv", images, tagged)  # a table has a column for it
    assert [line.split(",")[2:] for line in (tmp_path / "tags.csv").read_text().splitlines()] == [
        ["name", "score", "weak"], ["cat", "0.9", "False"], ["moon", "0.1", "True"]]


@pytest.mark.parametrize(("options", "said"), [
    (("--write", "tags.txt"), "neither xmp nor the name of a table"), (("--overwrite",), "it is of --write FILE"),
    (("--write", "xmp", "--overwrite"), "of a sidecar nothing is lost")])
def test_what_can_not_be_written_is_said(options, said, devise, picture_folder):
    ran = devise("tag", picture_folder / "cat/0.png", *options)
    assert ran.code == 2 and said in " ".join(ran.err.split())


def test_nothing_is_written_beside_the_samples(devise):
    ran = devise("tag", "samples", "--write", "xmp")
    assert ran.code == 2 and "files of scikit-image" in ran.err


def test_sidecars_are_no_pictures(answer, model, picture_folder, tmp_path):
    devised = ("tag", picture_folder, "--model", model, "-k", 1, "--write", "xmp")
    assert answer(*devised)["written"]["written"] == 40
    shutil.copytree(picture_folder, tmp_path / "again")
    assert answer("index", tmp_path / "again", "--model", model, "-o", tmp_path / "index")["n"] == 40
