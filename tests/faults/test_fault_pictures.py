"""Damaged picture files and places that are no files: each a row or listed, within the limits."""

import json
import subprocess

CEILING = 3500  # MB; a picture of 100 million pixels with transparency takes 1,800, and three more may wait decoded


def run(program, *arguments):
    with program("pictures.py", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err[-3000:]
    return json.loads(out)


def test_damaged_pictures_are_rows_or_listed(program, tmp_path, size, count):
    files = size(300, 10_000)
    told = run(program, tmp_path, files, 0)
    assert told["files"] >= files and told["read"] + told["listed"] == told["files"]
    assert told["read"] > files / 20 and told["listed"] > files / 5, "the mutations are too mild or too wild"
    assert told["peak_mb"] < CEILING
    assert "30,000 x 30,000 pixels, more than 100,000,000" in told["reasons"]["refused.png"]
    told.pop("reasons")
    count("damaged pictures", **told, crashes=0, hangs=0, unlisted=0)


def test_places_that_are_no_pictures_are_listed_to_an_ordinary_user(program, tmp_path):
    """The administrator may read what is closed, and gives up that right first."""
    reasons = run(program, tmp_path, 20, 1, "ordinary")["reasons"]
    for name in ("loop.jpg", "a.jpg", "b.jpg"):
        assert "can't be opened" in reasons[name]
    assert reasons["nowhere.png"] == "no such file"
    assert reasons["pipe.jpg"] == reasons["socket.gif"] == reasons["zero.png"]
    assert "a pipe or a device" in reasons["pipe.jpg"]
    assert "Permission denied" in reasons["closed.jpg"] and "can't be read" in reasons["closed"]
    assert "not valid UTF-8" in reasons["caf\\udce9.jpg"]
    assert not {"new\nline.jpg", "ünï 🦩.jpg", "-rf.jpg"} & set(reasons)
