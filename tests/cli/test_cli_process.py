"""The command as a process of its own: what reaches stdout, stderr and the shell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from devise import storage

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shell(home):
    """Runs `python -m devise` and gives the finished process."""
    def run(*argv, stdout=subprocess.PIPE, **environment):
        return subprocess.run([sys.executable, "-m", "devise", *map(str, argv)], stdout=stdout,
                              stderr=subprocess.PIPE, text=True, check=False,
                              env=os.environ | {"PYTHONPATH": str(ROOT)} | environment)
    return run


def test_exit_codes_reach_the_shell(shell, words_file):
    done = shell("words", words_file, "--near", "cat", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["near"]["cat"] and done.stderr == ""
    failed = shell("words", "nowhere.txt")
    assert failed.returncode == 1 and failed.stdout == "" and len(failed.stderr.splitlines()) == 1
    wrong = shell("wrods")
    assert wrong.returncode == 2 and wrong.stdout == "" and "did you mean words" in wrong.stderr
    debugged = shell("words", "nowhere.txt", "--debug")
    assert debugged.returncode == 1
    assert "Traceback" in debugged.stderr and "FileNotFoundError" in debugged.stderr


@pytest.mark.parametrize("argv", [["words", "WORDS", "--near", "cat", "--json"], ["train", "--help"]])
def test_a_reader_that_has_gone_is_no_error(argv, shell, words_file):
    argv = [words_file if word == "WORDS" else word for word in argv]
    read, write = os.pipe()
    os.close(read)  # as `| head -1` does, earlier
    done = shell(*argv, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_arrows_is_no_error(shell):
    done = shell("train", "--help", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "\\u2192 a model" in done.stdout


def test_the_bundled_set_trains_with_a_document_alone_on_stdout(shell, tmp_path):
    names = storage.read_json(storage.bundled("caltech37") / "features.json")["label_names"]
    vectors = np.random.default_rng(3).normal(size=(len(names), 20))
    (tmp_path / "words.txt").write_text("".join(f"{name} {' '.join(f'{value:.4f}' for value in vector)}\n"
                                                for name, vector in zip(names, vectors, strict=True)))
    done = shell("train", "caltech37", "--head", "ridge", "--words", tmp_path / "words.txt",
                 "-o", tmp_path / "model", "--json")
    assert done.returncode == 0 and done.stderr == ""
    document = json.loads(done.stdout)
    assert document["unseen"] == ["elephant", "flamingo", "helicopter", "lobster", "saxophone"]
    assert len(document["seen"]) == 32 and document["hit_at_k"]["test"]["seen"]["1"] > 0.8
