"""Writes that are whole or not there; what kills do to them is in test_kills."""

import errno
import json
import os
import stat
import threading

import pytest

from devise import storage


def test_a_file_appears_at_the_end(tmp_path):
    path = tmp_path / "deep" / "x.npy"
    with storage.atomic_path(path) as temporary:
        assert temporary.suffix == ".npy" and temporary.parent == path.parent
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == ["x.npy"]


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), storage.atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        with storage.Commit(tmp_path, "thing", {}) as commit:
            commit.file("a.bin").write_bytes(b"a")
        (tmp_path / "plain").write_bytes(b"")
        storage.write_json(tmp_path / "x.json", {})
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o666 & ~mask}


def test_threads_that_write_leave_the_umask_alone(tmp_path):
    mask = os.umask(0o027)
    try:
        def write(row):
            for number in range(30):
                storage.write_json(tmp_path / f"{row}.json", number)

        threads = [threading.Thread(target=write, args=(row,)) for row in range(4)]
        for thread in threads:
            thread.start()
        seen = set()
        while any(thread.is_alive() for thread in threads):
            (tmp_path / "probe").touch()
            seen.add(stat.S_IMODE((tmp_path / "probe").stat().st_mode))
            (tmp_path / "probe").unlink()
        assert seen == {0o640}
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(mask)


def test_json(tmp_path):
    path = tmp_path / "x.json"
    storage.write_json(path, {"né": [1, 2.5, None]})
    assert storage.read_json(path) == json.loads(path.read_text(encoding="utf-8")) == {"né": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        storage.write_json(path, {"x": float("nan")})
    assert storage.read_json(path) == {"né": [1, 2.5, None]}
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="x.json is not valid JSON.*make it again"):
        storage.read_json(path)


def test_a_commit_replaces_the_one_before(tmp_path):
    for number in (1, 2):
        with storage.Commit(tmp_path / "t", "thing", {"number": number}) as commit:
            for name in ("a.bin", "b.txt"):
                commit.file(name).write_text(f"{name} {number}")
        document, paths = storage.open_artefact(tmp_path / "t", "thing")
        assert document["number"] == number
        assert {name: path.read_text() for name, path in paths.items()} == {
            name: f"{name} {number}" for name in ("a.bin", "b.txt")}
    assert len(os.listdir(tmp_path / "t")) == 3


def test_an_error_in_a_commit_leaves_the_old_state(tmp_path):
    with storage.Commit(tmp_path, "thing", {"number": 1}) as commit:
        commit.file("a.bin").write_bytes(b"old")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(RuntimeError), storage.Commit(tmp_path, "thing", {"number": 2}) as commit:
        commit.file("a.bin").write_bytes(b"new")
        raise RuntimeError
    assert sorted(os.listdir(tmp_path)) == before


def test_a_full_disk_is_named_and_nothing_is_left_on_it(tmp_path):
    full, folder = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), tmp_path / "index"
    with pytest.raises(OSError, match=f"the disk of {folder} is full: .* kept: make room and run") as told, \
            storage.Commit(folder, "thing", {}) as commit:
        commit.file("a.bin").write_bytes(b"a")
        with storage.Commit(commit.subfolder() / "model", "part", {}):
            raise full
    assert told.value.errno == errno.ENOSPC and not os.listdir(tmp_path)
    with pytest.raises(OSError, match=f"the disk of {tmp_path} is full"), storage.atomic_path(tmp_path / "x"):
        raise full
    (tmp_path / "mine").mkdir()
    with pytest.raises(OSError, match="mine is full"), storage.Commit(tmp_path / "mine", "thing", {}):
        raise full
    assert os.listdir(tmp_path) == ["mine"], "a folder that was there stays"


def test_two_kinds_share_a_folder_and_a_file(tmp_path):
    for kind in ("one", "two"):
        with storage.Commit(tmp_path, kind, {}) as commit:
            commit.file("ids.npy").write_bytes(b"the same")
    with storage.Commit(tmp_path, "one", {}) as commit:
        commit.file("ids.npy").write_bytes(b"another")
    assert storage.open_artefact(tmp_path, "two")[1]["ids.npy"].read_bytes() == b"the same"
    assert storage.open_artefact(tmp_path, "one")[1]["ids.npy"].read_bytes() == b"another"


@pytest.mark.parametrize("name", ["ids[1].npy", "a*.bin", "plain", "x.tar.gz"])
def test_the_sweep_takes_names_literally(tmp_path, name):
    for content in (b"one", b"two"):
        with storage.Commit(tmp_path, "thing", {}) as commit:
            path = commit.file(name)
            assert commit.file(name) == path
            path.write_bytes(content)
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("key", ["kind", "format", "files", "folders"])
def test_a_document_may_not_take_the_manifests_keys(tmp_path, key):
    with pytest.raises(ValueError, match=f"has the key '{key}'"):
        storage.Commit(tmp_path, "thing", {key: "x"})


def test_what_is_no_artefact_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no thing: expected the file thing.json"):
        storage.open_artefact(tmp_path, "thing")
    with storage.Commit(tmp_path, "thing", {}) as commit:
        commit.file("a.bin").write_bytes(b"a")
    manifest = storage.read_json(tmp_path / "thing.json")
    for change, match in [({"kind": "other"}, "not a manifest of kind 'thing'"),
                          ({"format": 2}, "upgrade devise")]:
        storage.write_json(tmp_path / "thing.json", {**manifest, **change})
        with pytest.raises(ValueError, match=match):
            storage.open_artefact(tmp_path, "thing")
    storage.write_json(tmp_path / "thing.json", manifest)
    next(tmp_path.glob("a-*.bin")).unlink()
    with pytest.raises(FileNotFoundError, match="lacks .*a-.*bin: make the thing again"):
        storage.open_artefact(tmp_path, "thing")


def test_a_manifest_can_not_point_outside_its_folder(tmp_path):
    (tmp_path / "secret").write_text("secret")
    storage.write_json(tmp_path / "t" / "thing.json",
                       {"kind": "thing", "format": 1, "files": {"a": {"file": "../secret", "sha256": ""}}})
    with pytest.raises(FileNotFoundError, match="lacks"):
        storage.open_artefact(tmp_path / "t", "thing")


def test_digest(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert storage.digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert storage.digest(path, algorithm="md5") == "900150983cd24fb0d6963f7d28e17f72"


def test_a_file_is_taken_over_as_it_is(tmp_path):
    with storage.Commit(tmp_path, "note", {}) as commit:
        for name in ("kept.txt", "left.txt"):
            commit.file(name).write_text(name)
    before = storage.open_artefact(tmp_path, "note")[1]
    with storage.Commit(tmp_path, "note", {}) as commit:
        commit.keep("kept.txt")
        commit.keep("never.txt")
        commit.file("new.txt").write_text("new")
    after = storage.open_artefact(tmp_path, "note")[1]
    assert set(after) == {"kept.txt", "new.txt"} and after["kept.txt"] == before["kept.txt"]
    assert after["kept.txt"].read_text() == "kept.txt" and not before["left.txt"].exists()


def test_the_disk_that_is_full_is_named_and_not_that_of_a_block_around_it(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    with pytest.raises(OSError, match=f"the disk of {small} is full") as raised, storage.Commit(large, "note", {}):
        with storage.atomic_path(small / "x"):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert raised.value.errno == errno.ENOSPC and str(large) not in str(raised.value)
