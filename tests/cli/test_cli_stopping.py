"""Ctrl-C: a real process gets a real signal, says how to go on, and the same command does."""

import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from devise import features

ROOT = Path(__file__).parents[2]
STEP = "a batch has gone through"
CHILD = f"""
import runpy, signal, sys, time
from devise import backbones, cli
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
network = runpy.run_path({str(ROOT / "tests/conftest.py")!r})["ThumbnailBackbone"]()
computed = network.features
def features(pictures):
    time.sleep(0.3)
    print({STEP!r}, file=sys.stderr, flush=True)
    return computed(pictures)
network.features = features
backbones.load, backbones.choose = lambda *args, **options: network, lambda: ("thumbnail", "it is small")
raise SystemExit(cli.main(sys.argv[1:]))
"""


@pytest.fixture
def many(tmp_path):
    """Pictures for six batches."""
    return runpy.run_path(str(ROOT / "tests/conftest.py"))["draw_pictures"](tmp_path / "many", n=45)


@pytest.fixture
def stop(home):
    """Runs a command in a process of its own, sends SIGINT after the second batch; (exit code, stdout, stderr)."""
    def run(*argv):
        child = subprocess.Popen([sys.executable, "-c", CHILD, *map(str, argv)], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        seen = []
        while sum(STEP in line for line in seen) < 2:
            seen.append(child.stderr.readline())
            assert seen[-1], "".join(seen)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
        return child.returncode, out, err
    return run


def test_extract_goes_on_with_the_rest(stop, many, tmp_path, answer, stub, make_backbone):
    code, out, err = stop("extract", many, "-o", tmp_path / "table")
    assert code == 130 and out == "" and "Traceback" not in err
    assert "devise: stopped (extract: " in err and "of 180 pictures); the pictures that went through" in err
    again = answer("extract", many, "-o", tmp_path / "table")
    assert again["n"] == 180 and 0 < again["computed"] < 180
    whole = answer("extract", many, "-o", tmp_path / "whole")
    assert whole["computed"] == 180
    np.testing.assert_array_equal(features.load(tmp_path / "table").matrix, features.load(tmp_path / "whole").matrix)


def test_train_goes_on_from_the_features(stop, many, words_file, tmp_path, answer, stub):
    argv = ["train", many, "--words", words_file, "--head", "ridge", "-o", tmp_path / "model"]
    code, _, err = stop(*argv)
    assert code == 130 and "the same command goes on from them" in err
    assert not (tmp_path / "model").exists()
    parts = list((tmp_path / "home").rglob("partial-*/parts/*.json"))
    assert sum(len(json.loads(part.read_text())["keys"]) for part in parts) >= 16  # the first batch
    assert answer(*argv)["seen"] == ["car", "cat", "dog", "horse"]
    assert not list((tmp_path / "home").rglob("partial-*"))


def test_an_index_stays_as_it_was(stop, many, model, index, tmp_path, answer, stub):
    before = {path: path.read_bytes() for path in index.rglob("*") if path.is_file()}
    code, _, err = stop("index", many, "--model", model, "--engine", "exact", "-o", index, "--overwrite")
    assert code == 130 and "an older index is as it was" in err
    assert {path: path.read_bytes() for path in index.rglob("*") if path.is_file()} == before
    assert answer("index", many, "--model", model, "--engine", "exact", "-o", index, "--overwrite")["n"] == 180
