"""One holder of a folder at a time, and readers that ask again when a commit came in between."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devise import storage

ROOT = Path(__file__).parents[2]


def test_a_lock_ends_with_the_block_and_survives_the_removal_of_its_folder(tmp_path):
    folder = tmp_path / "a"
    with storage.alone(folder) as mine:
        assert mine
        with storage.alone(folder, wait=False) as other:
            assert not other
        folder.rmdir()
        with storage.alone(folder, wait=False) as anew:  # another folder of the same name
            assert anew
    with storage.alone(folder, wait=False) as mine:
        assert mine


def test_a_lock_ends_with_its_process(tmp_path):
    code = (f"import sys, time; from devise import storage\nwith storage.alone({str(tmp_path / 'a')!r}):\n"
            "    print('held', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
                          stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with storage.alone(tmp_path / "a", wait=False) as mine:
            assert not mine
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with storage.alone(tmp_path / "a", wait=False) as mine:
        assert mine


def commit(folder, number):
    with storage.Commit(folder, "thing", {"number": number}) as writer:
        writer.file("a.txt").write_text(str(number))


def test_an_artefact_replaced_while_it_is_read_is_read_again(tmp_path):
    commit(tmp_path, 0)
    seen = []

    def read(document, paths):
        seen.append(document["number"])
        if document["number"] < 2:  # another process commits between the manifest and the file
            commit(tmp_path, document["number"] + 1)
        return paths["a.txt"].read_text()

    assert storage.read_artefact(tmp_path, "thing", read) == "2"
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("read", [lambda document, paths: document["none"], lambda document, paths: document + 1,
                                  lambda document, paths: int("x"), lambda document, paths: document.none])
def test_what_a_reader_stumbles_over_is_an_error_that_names_the_folder(tmp_path, read):
    commit(tmp_path, 0)
    with pytest.raises(ValueError, match=rf"the thing in {tmp_path} is damaged .*make it again"):
        storage.read_artefact(tmp_path, "thing", read)


def test_files_are_compared_with_their_digests_where_asked(tmp_path):
    commit(tmp_path, 0)
    next(tmp_path.glob("a-*.txt")).write_text("1")
    assert storage.read_artefact(tmp_path, "thing", lambda document, paths: 7) == 7
    with pytest.raises(ValueError, match="its content is not what was saved"):
        storage.read_artefact(tmp_path, "thing", lambda document, paths: 7, check=["a.txt"])


def test_a_commit_waits_for_another(tmp_path):
    """What a commit has renamed is not swept by another before its manifest names it."""
    script = (f"from devise import storage\nwith storage.Commit({str(tmp_path)!r}, 'thing', {{}}) as writer:\n"
              "    writer.file('a.txt').write_text('1')\n    print('ready', flush=True)")
    with storage.alone(tmp_path), subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                                                   env={**os.environ, "PYTHONPATH": str(ROOT)}) as writer:
        assert writer.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(timeout=0.2)
        assert not (tmp_path / "thing.json").exists()
        writer.kill()


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "\udcff".encode("utf-8", "surrogatepass")])
def test_json_that_is_too_deep_or_no_text(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match="a.json is not valid JSON"):
        storage.read_json(path)


def test_names_that_are_no_utf8_survive_json(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    storage.write_json(tmp_path / "a.json", {"name": name, "é": "é"})
    assert storage.read_json(tmp_path / "a.json") == {"name": name, "é": "é"}
    assert "é".encode() in (tmp_path / "a.json").read_bytes()
