"""unpack: what is harmless arrives, anything else is refused before a byte is written."""

import errno
import io
import random
import shutil
import stat
import tarfile
import zipfile
from collections import namedtuple

import pytest

from devise import storage
from devise.storage import archives

FILES = {"a.txt": b"first", "deep/er/b.txt": b"second", "deep/empty": b"", "späce é.txt": b"third"}
Usage = namedtuple("Usage", "total used free")


def make_zip(path, entries, compression=zipfile.ZIP_DEFLATED):
    """A zip of (name or ZipInfo, content) pairs."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content, compress_type=compression)
    return path


def member(name, kind=tarfile.REGTYPE, content=b"", link=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname = kind, len(content), link
    return entry, io.BytesIO(content)


def make_tar(path, members, mode="w:gz"):
    """A tar of what `member` gives."""
    with tarfile.open(path, mode) as archive:
        for entry, content in members:
            archive.addfile(entry, content)
    return path


def make(kind, path, files):
    if kind == "zip":
        return make_zip(path, files.items())
    members = [member(name, content=content) for name, content in files.items()]
    return make_tar(path, members, "w:gz" if kind == "tar.gz" else "w")


def content_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


def assert_refused(archive, match, **options):
    before = set(archive.parent.parent.rglob("*"))
    with pytest.raises(ValueError, match=match):
        storage.unpack(archive, archive.parent / "out", **options)
    assert set(archive.parent.parent.rglob("*")) == before, "something was written"


@pytest.fixture
def here(tmp_path):
    (tmp_path / "inner").mkdir()
    return tmp_path / "inner" / "archive"


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_what_was_packed_comes_out(here, kind):
    folder = storage.unpack(make(kind, here, FILES), here.parent / "new" / "out")
    assert content_of(folder) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_members_are_files_or_folders(here, kind):
    archive = make(kind, here, {**FILES, "deeper/no": b"no", "deep.txt": b"no"})
    assert content_of(storage.unpack(archive, here.parent / "out", members=["deep", "a.txt"])) == {
        name: FILES[name] for name in ("a.txt", "deep/er/b.txt", "deep/empty")}
    with pytest.raises(ValueError, match="no member 'de': it holds a.txt, deep/er/b.txt"):
        storage.unpack(archive, here.parent / "other", members=["de"])


def test_folders_dots_and_windows_attributes(here):
    make_tar(here, [member("./", tarfile.DIRTYPE), member("./d/", tarfile.DIRTYPE),
                    member("./d/x", content=b"x")])
    folder = storage.unpack(here, here.parent / "out")
    assert content_of(folder) == {"d/x": b"x"}
    info = zipfile.ZipInfo("w/x")
    info.create_system, info.external_attr = 0, 0x20
    folder = storage.unpack(make_zip(here, [("w/", b""), (info, b"y")]), here.parent / "two")
    assert content_of(folder) == {"w/x": b"y"}


def test_what_is_made_has_ordinary_permissions(here, tmp_path):
    entry, content = member("run", content=b"x")
    entry.mode = 0o7777
    folder = storage.unpack(make_tar(here, [(entry, content)]), here.parent / "out")
    (tmp_path / "plain").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    assert stat.S_IMODE((folder / "run").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert folder.stat().st_mode == (tmp_path / "folder").stat().st_mode


def test_an_existing_folder_is_left_alone(here):
    archive = make("zip", here, FILES)
    (here.parent / "out").mkdir()
    with pytest.raises(FileExistsError, match="remove it"):
        storage.unpack(archive, here.parent / "out")


def test_a_foreign_folder_of_the_name_stays(here):
    left = here.parent / ".out.unpacking"
    left.mkdir()
    (left / "old").write_bytes(b"old")
    assert content_of(storage.unpack(make("zip", here, FILES), here.parent / "out")) == FILES
    assert (left / "old").read_bytes() == b"old" and not list(here.parent.glob(".out.unpacking-*"))


OUTSIDE = ["../x", "a/../../x", "..", "a/..", "/etc/x", "//x", "C:/x", "c:x", "..\\x", "a\\b"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_out_of_the_folder(here, name):
    match = "refused: its entry .* (leaves|has an absolute)"
    assert_refused(make_zip(here, [("good", b"x"), (name, b"x")]), match)
    assert_refused(make_tar(here, [member("good", content=b"x"), member(name, content=b"x")]), match)
    assert_refused(make_tar(here, [member(name, tarfile.DIRTYPE)]), match)
    assert_refused(make_zip(here, [("good", b"x"), (name, b"x")]), match, members=["good"])


def test_a_name_with_a_nul(here):
    make_zip(here, [("evil_name", b"x")])
    here.write_bytes(here.read_bytes().replace(b"evil_name", b"evil\0name"))
    assert_refused(here, "NUL")
    entry, content = member("x", content=b"x")
    entry.pax_headers = {"path": "evil\0name"}
    assert_refused(make_tar(here, [(entry, content)], "w"), "NUL")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["../../secret", "/etc/passwd", "..", "nothing", "folder", "link"])
def test_a_link_to_anything_but_a_file_of_the_archive(here, kind, target):
    members = [member("folder/inside", content=b"x"), member("link", kind, link=target)]
    assert_refused(make_tar(here, members), "is a link to")


def test_a_file_written_through_a_link(here):
    members = [member("d", tarfile.SYMTYPE, link=".."), member("d/x", content=b"x")]
    assert_refused(make_tar(here, members), "is a link to")
    # lexically p/q, on a disk with links the parent of the folder
    members = [member("p/q/l", tarfile.SYMTYPE, link="../.."), member("m", tarfile.SYMTYPE, link="p/q/l/..")]
    assert_refused(make_tar(here, members), "is a link to")


def test_a_link_within_the_archive_becomes_a_copy(here):
    members = [member("s/soft", tarfile.SYMTYPE, link="../s/../a"), member("a", content=b"x"),
               member("s/hard", tarfile.LNKTYPE, link="a")]
    folder = storage.unpack(make_tar(here, members), here.parent / "out")
    assert content_of(folder) == {"a": b"x", "s/soft": b"x", "s/hard": b"x"}
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert (folder / "a").stat().st_nlink == 1


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device(here, kind):
    assert_refused(make_tar(here, [member("dev", kind)]), "is a device")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_device_in_a_zip(here, mode):
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, (mode | 0o777) << 16
    assert_refused(make_zip(here, [(info, b"../../secret")]), "is a link or a device")


def test_an_encrypted_zip(here):
    make_zip(here, [("x", b"x")], zipfile.ZIP_STORED)
    content = bytearray(here.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag in the central directory
    here.write_bytes(content)
    assert_refused(here, "is encrypted")


def test_a_bomb(here):
    zeros = bytes(2**20)
    with zipfile.ZipFile(here, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("zeros", "w") as file:
            for _ in range(70):
                file.write(zeros)
    assert_refused(here, "67.1 MB or .* decompression bomb")
    assert_refused(here, "1,000 bytes", max_bytes=1000, max_ratio=10**6)
    entry = tarfile.TarInfo("zeros")
    entry.size = 70 * len(zeros)
    make_tar(here, [(entry, io.BytesIO(zeros * 70))])
    assert_refused(here, "decompression bomb")
    folder = storage.unpack(here, here.parent / "out", max_ratio=2000)
    assert (folder / "zeros").stat().st_size == entry.size


def test_a_bomb_is_not_read_to_its_end(here):
    make_tar(here, [member("a", content=random.Random(0).randbytes(10**5)), member("b", content=b"x")])
    here.write_bytes(here.read_bytes()[:50_000])
    assert_refused(here, "damaged")
    assert_refused(here, "decompression bomb", max_bytes=1000)


def test_many_links_to_one_file_count_as_many_files(here):
    links = [member(f"l{row}", tarfile.LNKTYPE, link="a") for row in range(20)]
    make_tar(here, [member("a", content=bytes(1000)), *links])
    assert_refused(here, "decompression bomb", max_bytes=20_000)
    storage.unpack(here, here.parent / "out", max_bytes=21_000)


def test_too_many_entries(here, monkeypatch):
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    assert_refused(make("tar", here, FILES), "3 files")
    assert_refused(make("zip", here, FILES), "3 files")


def test_a_header_that_claims_to_be_huge(here):
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2**40
    here.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    assert_refused(here, "header of .* bytes is refused")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_damaged_archive(here, kind):
    make(kind, here, {"a": bytes(range(256)) * 400})
    whole = here.read_bytes()
    here.write_bytes(whole[:len(whole) // 2])
    assert_refused(here, "it is damaged, or no zip, tar or tar.gz")


def test_a_flipped_byte_leaves_no_half(here):
    make_zip(here, [("a", b"x" * 1000), ("b", b"y" * 1000)], zipfile.ZIP_STORED)
    here.write_bytes(here.read_bytes().replace(b"yyyy", b"yyyz", 1))
    assert_refused(here, "damaged")


@pytest.mark.parametrize("content", [b"", b"plain text\n" * 100, b"PK\3\4 not so", b"\x1f\x8b no"])
def test_no_archive(here, content):
    here.write_bytes(content)
    assert_refused(here, "no zip, tar or tar.gz")


def test_a_full_disk(here, monkeypatch):
    archive = make("zip", here, FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(100, 90, 10))
    with pytest.raises(OSError, match="16 bytes more are needed, 10 bytes free") as caught:
        storage.unpack(archive, here.parent / "out")
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()

    def fill(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", fill)
    with pytest.raises(OSError, match="Make room") as caught:
        storage.unpack(archive, here.parent / "out")
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in here.parent.iterdir()] == ["archive"]


def kill(monkeypatch, archive, out):
    """Unpack, and end as a kill does in the middle of the second file; returns what is left beside `out`."""
    copied = iter([False, True])

    def copy(source, target, block):
        target.write(source.read() if not next(copied) else b"half")
        target.flush()
        if target.tell() == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(archives.shutil, "copyfileobj", copy)
        killed.setattr(archives.shutil, "rmtree", lambda *path, **options: None)
        with pytest.raises(KeyboardInterrupt):
            storage.unpack(archive, out)
    left, = out.parent.glob(".out.unpacking-*")
    return left


def test_what_a_kill_left_is_removed_by_the_next(here, monkeypatch):
    archive, out = make("zip", here, FILES), here.parent / "out"
    left = kill(monkeypatch, archive, out)
    assert sum(path.is_file() for path in left.rglob("*")) == 3  # the journal, a whole file and a half
    storage.unpack(archive, out)
    assert content_of(out) == FILES and not left.exists() and set(here.parent.iterdir()) == {archive, out}


def test_of_what_a_kill_left_nothing_foreign_is_removed(here, monkeypatch):
    archive, out = make("zip", here, FILES), here.parent / "out"
    left = kill(monkeypatch, archive, out)
    (left / "out" / "mine.txt").write_text("mine")
    (left / "out" / "empty").touch()
    (left / "out" / "a.txt").unlink()
    (here.parent / "elsewhere").write_text("of somebody else")
    (left / "out" / "a.txt").symlink_to(here.parent / "elsewhere")
    foreign = here.parent / ".out.unpacking-abcdefgh"
    (foreign / "deep").mkdir(parents=True)
    (foreign / "deep" / "mine.txt").write_text("mine too")
    storage.unpack(archive, out)
    assert (left / "out" / "mine.txt").read_text() == "mine" and (left / "out" / "a.txt").is_symlink()
    assert (foreign / "deep" / "mine.txt").read_text() == "mine too" and content_of(out) == FILES
    assert {path.name for path in left.rglob("*")} == {archives.JOURNAL, "out", "mine.txt", "a.txt", "empty"}


def test_a_workplace_in_use_stays(here):
    archive, out = make("zip", here, FILES), here.parent / "out"
    with archives.workplace(out) as (work, note):
        (work / "busy").write_text("busy")
        note((work / "busy").stat().st_ino)
        storage.unpack(archive, out)
        assert (work / "busy").read_text() == "busy"
        nested = storage.unpack(archive, work / "0")
        noted = (work / archives.JOURNAL).read_text().split()
        assert {str(path.stat().st_ino) for path in nested.rglob("*") if path.is_file()} <= set(noted)
    assert set(here.parent.iterdir()) == {archive, out}


def test_one_member_is_one_member(here):
    assert content_of(storage.unpack(make("zip", here, FILES), here.parent / "out", members="a.txt")) == {
        "a.txt": b"first"}
