"""fetch, against a server that misbehaves in every way it can."""

import errno
import hashlib
import importlib
import io
import shutil
import socket
from collections import namedtuple

import numpy as np
import pytest

from devise import storage
from devise.storage import disk

fetching = importlib.import_module("devise.storage.fetch")  # by its name alone it is the function
CONTENT = np.random.default_rng(0).bytes(700_000)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def server(serve):
    return serve(CONTENT)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSE", 0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def part_of(path):
    return path.with_name(path.name + ".part")


def begun(path, content):
    """A download that an earlier call began, with the note by which it is known."""
    part_of(path).write_bytes(content)
    storage.write_json(part_of(path).with_name(path.name + ".part.json"),
                       {"kind": "part", "inode": part_of(path).stat().st_ino})


@pytest.mark.parametrize("checksum", [SHA256, MD5, SHA256.upper().replace("SHA256", "sha256"), None])
def test_a_file_arrives_whole(server, tmp_path, checksum):
    path = storage.fetch(server.url, tmp_path / "deep" / "file", checksum=checksum, size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_what_is_there_is_not_asked_for(server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert storage.fetch(server.url, path, checksum=SHA256) == path
    assert server.seen == []


def test_another_file_of_the_name_stays(server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="another file, or a damaged one, and is left as it is: move it away"):
        storage.fetch(server.url, path, checksum=SHA256)
    assert path.read_bytes() == b"mine" and server.seen == []


@pytest.mark.parametrize("name", ["file.part", "file.part.json"])
@pytest.mark.parametrize("checksum", [SHA256, None])
def test_a_foreign_part_stays(server, tmp_path, name, checksum):
    (tmp_path / name).write_bytes(b'{"mine": 1}')
    with pytest.raises(FileExistsError, match=f"{name} is not one that devise"):
        storage.fetch(server.url, tmp_path / "file", checksum=checksum)
    assert (tmp_path / name).read_bytes() == b'{"mine": 1}' and server.seen == []


def test_a_part_that_was_exchanged_stays(server, tmp_path):
    begun(tmp_path / "file", CONTENT[:99])
    part_of(tmp_path / "file").rename(tmp_path / "kept")  # or the new file could get the inode of the old one
    part_of(tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="file.part is not one that devise began"):
        storage.fetch(server.url, tmp_path / "file", checksum=SHA256)
    assert part_of(tmp_path / "file").read_bytes() == b"mine"


def test_a_linked_part_is_not_followed(server, tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    part_of(tmp_path / "file").symlink_to("mine")
    with pytest.raises(FileExistsError, match="file.part is not one that devise began"):
        storage.fetch(server.url, tmp_path / "file", checksum=SHA256)
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_progress_counts_to_the_total(server, tmp_path):
    seen = []
    storage.fetch(server.url, tmp_path / "file", checksum=SHA256,
                  progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen) and seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_cut_connection_is_taken_up_where_it_broke(server, tmp_path):
    server.cuts = [300_000, 250_000]
    path = storage.fetch(server.url, tmp_path / "file", checksum=SHA256)
    assert path.read_bytes() == CONTENT
    assert [request.get("Range") for request in server.seen] == [None, "bytes=300000-", "bytes=550000-"]
    assert [request.get("If-Range") for request in server.seen] == [None, '"one"', '"one"']


def test_the_next_call_asks_for_the_missing_bytes_only(server, tmp_path):
    server.cuts = [123_456, 0]
    path, seen = tmp_path / "file", []
    with pytest.raises(ConnectionError, match="0.1 MB that arrived are kept, the same call resumes"):
        storage.fetch(server.url, path, checksum=SHA256, retries=0)
    assert not path.exists() and part_of(path).read_bytes() == CONTENT[:123_456]
    server.seen.clear()
    storage.fetch(server.url, path, checksum=SHA256, progress=lambda done, total: seen.append(done))
    assert [request["Range"] for request in server.seen] == ["bytes=123456-"]
    assert path.read_bytes() == CONTENT and seen[0] > 123_456


def test_an_interrupt_keeps_what_arrived(server, tmp_path):
    def stop(done, total):
        if done > 100_000:
            raise KeyboardInterrupt

    path = tmp_path / "file"
    with pytest.raises(KeyboardInterrupt):
        storage.fetch(server.url, path, checksum=SHA256, progress=stop)
    kept = part_of(path).stat().st_size
    assert kept > 100_000
    storage.fetch(server.url, path, checksum=SHA256)
    assert server.seen[-1]["Range"] == f"bytes={kept}-" and path.read_bytes() == CONTENT


def test_a_finished_part_needs_no_second_download(server, tmp_path):
    path = tmp_path / "file"
    begun(path, CONTENT)
    storage.fetch(server.url, path, checksum=SHA256)  # without the size the server has to be asked
    assert [request["Range"] for request in server.seen] == [f"bytes={len(CONTENT)}-"]
    path.unlink()
    begun(path, CONTENT)
    storage.fetch(server.url, path, checksum=SHA256, size=len(CONTENT))
    assert len(server.seen) == 1 and path.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    path = tmp_path / "file"
    begun(path, CONTENT + b"more")
    assert storage.fetch(server.url, path, checksum=SHA256).read_bytes() == CONTENT


def test_without_a_checksum_a_later_call_begins_anew(server, tmp_path):
    path = tmp_path / "file"
    begun(path, b"something else")
    assert storage.fetch(server.url, path, checksum=None).read_bytes() == CONTENT
    assert "Range" not in server.seen[0]


def test_a_server_without_ranges_sends_the_whole_file_again(server, tmp_path):
    server.ranges, server.cuts = False, [300_000]
    assert storage.fetch(server.url, tmp_path / "file", checksum=SHA256).read_bytes() == CONTENT
    assert len(server.seen) == 2


def test_a_file_that_changes_between_two_requests_is_begun_anew(server, tmp_path):
    old, server.content, server.etag, server.cuts = server.content, bytes(len(CONTENT)), '"old"', [300_000]

    def change(done, total):
        server.content, server.etag = old, '"new"'

    path = storage.fetch(server.url, tmp_path / "file", checksum=SHA256, progress=change)
    assert path.read_bytes() == CONTENT
    assert server.seen[1]["If-Range"] == '"old"'


def test_a_weak_tag_is_not_relied_on(server, tmp_path):
    server.etag, server.modified, server.cuts = 'W/"one"', "Tue, 01 Mar 2022 10:00:00 GMT", [300_000]
    storage.fetch(server.url, tmp_path / "file", checksum=SHA256)
    assert server.seen[1]["If-Range"] == server.modified


def test_another_part_than_asked_for_is_not_glued_on(server, tmp_path):
    server.shift, server.cuts = 7, [300_000]
    assert storage.fetch(server.url, tmp_path / "file", checksum=SHA256).read_bytes() == CONTENT


def test_a_length_the_server_does_not_say(server, tmp_path):
    server.says_length, server.cuts = False, [300_000]
    path = storage.fetch(server.url, tmp_path / "file", checksum=SHA256, size=len(CONTENT))
    assert path.read_bytes() == CONTENT and server.seen[1]["Range"] == "bytes=300000-"


def test_a_wrong_checksum_names_both_and_leaves_nothing(server, tmp_path):
    expected = "sha256:" + "0" * 64
    with pytest.raises(ValueError, match=f"has {SHA256.replace(':', ' ')}, expected {'0' * 64}.*removed"):
        storage.fetch(server.url, tmp_path / "file", checksum=expected)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_size_is_told_before_the_download(server, tmp_path):
    with pytest.raises(ValueError, match="has 700,000 bytes, expected 700,001"):
        storage.fetch(server.url, tmp_path / "file", checksum=SHA256, size=len(CONTENT) + 1)
    assert list(tmp_path.iterdir()) == []


def test_a_stream_longer_than_expected_is_stopped(server, tmp_path):
    server.says_length, server.content, seen = False, CONTENT * 4, []
    with pytest.raises(ValueError, match="expected 700,000"):
        storage.fetch(server.url, tmp_path / "file", checksum=SHA256, size=len(CONTENT),
                      progress=lambda done, total: seen.append(done))
    assert max(seen) <= len(CONTENT) + fetching.BLOCK
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_says_so_once(server, tmp_path):
    server.statuses = [404]
    with pytest.raises(FileNotFoundError, match=f"no such file.*404.*\n.*{SHA256}.*then devise fetch x"):
        storage.fetch(server.url, tmp_path / "file", checksum=SHA256, by_hand="devise fetch x --from FILE")
    assert len(server.seen) == 1


def test_a_refusal_is_not_tried_again_and_a_busy_server_is(server, tmp_path):
    server.statuses = [403]
    with pytest.raises(OSError, match="HTTP 403"):
        storage.fetch(server.url, tmp_path / "file", checksum=SHA256)
    server.statuses = [503, 502]
    assert storage.fetch(server.url, tmp_path / "file", checksum=SHA256).read_bytes() == CONTENT
    assert len(server.seen) == 4


def test_it_gives_up_after_so_many_requests_that_brought_nothing(server, tmp_path):
    server.cuts = [1000] + [0] * 20
    with pytest.raises(ConnectionError, match="3 requests in a row brought nothing.*1,000 bytes"):
        storage.fetch(server.url, tmp_path / "file", checksum=SHA256, retries=2)
    assert len(server.seen) == 4


def test_no_network_says_how_to_bring_the_file_by_hand(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file"  # nobody listens there
    with pytest.raises(ConnectionError) as caught:
        storage.fetch(url, tmp_path / "file", checksum=SHA256, by_hand="devise fetch glove-6b --from FILE")
    message = str(caught.value)
    assert url in message and SHA256 in message and "devise fetch glove-6b --from FILE" in message
    assert "refused" in message and "Errno" not in message and message.count("\n") == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd", "data:,x", "http://",
                                 "http://a b/", "https:///x y"])
def test_other_addresses_are_refused(tmp_path, url):
    with pytest.raises(ValueError, match="http:// or https://"):
        storage.fetch(url, tmp_path / "file", checksum=SHA256)


@pytest.mark.parametrize("address, match", [("file:///etc/passwd", "not allowed"),
                                            ("ftp://127.0.0.1/x", "unknown url type: ftp")])
def test_a_redirect_to_another_scheme_is_refused(server, tmp_path, address, match):
    server.redirect = address
    with pytest.raises(OSError, match=match):
        storage.fetch(server.url, tmp_path / "file", checksum=None)
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_is_followed_with_its_range(server, tmp_path):
    server.redirect = server.url.replace("/file", "/other")
    begun(tmp_path / "file", CONTENT[:99])
    assert storage.fetch(server.url, tmp_path / "file", checksum=SHA256).read_bytes() == CONTENT
    assert [request["Range"] for request in server.seen] == ["bytes=99-"] * 2


@pytest.mark.parametrize("checksum", ["", "sha256:12", "crc32:" + "0" * 8, "0" * 64])
def test_a_checksum_of_another_form_is_refused_first(server, tmp_path, checksum):
    with pytest.raises(ValueError, match="expected sha256: and 64"):
        storage.fetch(server.url, tmp_path / "file", checksum=checksum)
    assert server.seen == []


def test_a_disk_too_small_is_told_before(server, tmp_path, monkeypatch):
    begun(tmp_path / "file", CONTENT[:200_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**6, 10**6, 1000))
    with pytest.raises(OSError, match="0.5 MB more are needed, 1,000 bytes free.*kept.*resumes") as caught:
        storage.fetch(server.url, tmp_path / "file", checksum=SHA256)
    assert caught.value.errno == errno.ENOSPC and "[Errno" not in str(caught.value)
    monkeypatch.undo()
    storage.fetch(server.url, tmp_path / "file", checksum=SHA256)
    assert [request["Range"] for request in server.seen] == ["bytes=200000-"] * 2


class FullDisk(io.FileIO):
    def write(self, block):
        if self.tell() + len(block) > 400_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(block)


def test_a_disk_that_fills_up_keeps_what_arrived(server, tmp_path, monkeypatch):
    path = tmp_path / "file"
    monkeypatch.setattr(fetching, "open", FullDisk, raising=False)
    with pytest.raises(OSError, match="MB more are needed.*it resumes") as caught:
        storage.fetch(server.url, path, checksum=SHA256)
    assert caught.value.errno == errno.ENOSPC and len(server.seen) == 1
    kept = part_of(path).stat().st_size
    assert 0 < kept <= 400_000 and disk.megabytes(len(CONTENT) - kept) in str(caught.value)
    monkeypatch.undo()
    storage.fetch(server.url, path, checksum=SHA256)
    assert server.seen[-1]["Range"] == f"bytes={kept}-" and path.read_bytes() == CONTENT
