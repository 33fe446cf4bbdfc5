"""bring and verify: a file that came by hand is checked as a fetched one is."""

import hashlib
import shutil
from collections import namedtuple

import numpy as np
import pytest

from devise import storage

CONTENT = np.random.default_rng(0).bytes(700_000)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
Usage = namedtuple("Usage", "total used free")


def test_bring_copies_what_is_right_and_keeps_the_source(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    path = storage.bring(source, tmp_path / "deep" / "file", checksum=MD5, size=len(CONTENT))
    assert path.read_bytes() == CONTENT == source.read_bytes()
    source.unlink()
    assert storage.bring(source, path, checksum=MD5) == path  # there already


def test_bring_refuses_what_is_wrong(tmp_path):
    source = tmp_path / "source"
    with pytest.raises(FileNotFoundError, match="no such file"):
        storage.bring(source, tmp_path / "file", checksum=SHA256)
    source.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match="source has 699,999 bytes, expected 700,000"):
        storage.bring(source, tmp_path / "file", checksum=SHA256, size=len(CONTENT))
    with pytest.raises(ValueError, match="source has sha256 .*, expected .*: it is another file"):
        storage.bring(source, tmp_path / "file", checksum=SHA256)
    assert [file.name for file in tmp_path.iterdir()] == ["source"]


def test_bring_on_a_full_disk(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**6, 10**6, 1000))
    with pytest.raises(OSError, match="0.7 MB more are needed"):
        storage.bring(source, tmp_path / "file", checksum=SHA256)
    assert not (tmp_path / "file").exists()


def test_verify(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    storage.verify(path, checksum=SHA256, size=len(CONTENT))
    with pytest.raises(ValueError, match="has md5"):
        storage.verify(path, checksum="md5:" + "0" * 32)
