"""What somebody else put where we write stays: whatever its name, and whatever we are about to remove."""

import json
import os
import shutil
import time

import pytest

from devise import storage
from devise.storage import claims

HEX = "0123456789ab"
# names that sweeps of ours look at: generations, unfinished files, builds, other artefacts
NAMES = [f"a-{HEX}.bin", "a.bin", f".partial-{HEX}.bin", f".partial-{HEX}.journal", f"{HEX}/cat.png",
         f"{HEX}/raw/x.npy", f"partial-{HEX}/x.npy", "other.json", "notes.txt"]


def commit(folder, content, **options):
    with storage.Commit(folder, "thing", {"content": content}, **options) as writer:
        writer.file("a.bin").write_text(content)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put(path, text="mine", *, age=2 * claims.DAY):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_file_in_the_folder_of_an_artefact_stays(tmp_path, name):
    commit(tmp_path, "one")
    put(tmp_path / name)
    for content in ("two", "three", "two"):
        commit(tmp_path, content)
    assert (tmp_path / name).read_text() == "mine"
    assert len(contents(tmp_path)) == 3  # the manifest, its file and this


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(".")])
def test_a_folder_that_holds_foreign_files_only_is_refused(tmp_path, name):
    put(tmp_path / name)
    with pytest.raises(FileExistsError, match=f"holds files that devise did not write, such as {name}: name a new"):
        commit(tmp_path, "one")
    assert contents(tmp_path) == {name: b"mine"}


def test_a_folder_of_links_is_refused_too(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cats").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError, match="such as cats"):
        commit(tmp_path / "out", "one")


def test_a_hidden_file_is_no_obstacle(tmp_path):
    put(tmp_path / ".DS_Store")
    commit(tmp_path, "one")
    assert (tmp_path / ".DS_Store").read_text() == "mine"


@pytest.mark.parametrize("text", ['{"mine": 1}', "[1]", "{", "", '{"kind": "thing", "mine": 1}'])
def test_a_foreign_manifest_stays(tmp_path, text):
    with storage.Commit(tmp_path, "another", {}):
        pass
    put(tmp_path / "thing.json", text)
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="thing.json is no manifest that devise wrote, or it is damaged"):
            commit(tmp_path, "one", overwrite=overwrite)
    assert (tmp_path / "thing.json").read_text() == text and len(contents(tmp_path)) == 2


def test_an_old_generation_that_was_changed_stays(tmp_path):
    commit(tmp_path, "one")
    [path] = tmp_path.glob("a-*.bin")
    path.write_text("changed by hand")
    commit(tmp_path, "two")
    assert path.read_text() == "changed by hand" and storage.open_artefact(tmp_path, "thing")[0]["content"] == "two"


def test_a_linked_generation_is_not_followed(tmp_path):
    folder = tmp_path / "out"
    commit(folder, "one")
    [path] = folder.glob("a-*.bin")
    path.rename(tmp_path / "store")
    path.symlink_to(tmp_path / "store")
    commit(folder, "two")
    assert path.is_symlink() and (tmp_path / "store").read_text() == "one"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_has_the_name_of_a_new_file_stays(tmp_path, kind):
    commit(tmp_path / "first", "two")
    name = next((tmp_path / "first").glob("a-*.bin")).name
    folder = tmp_path / "out"
    commit(folder, "one")
    {"file": lambda path: put(path), "folder": lambda path: put(path / "x"),
     "link": lambda path: path.symlink_to(tmp_path / "nowhere")}[kind](folder / name)
    commit(folder, "two")
    document, paths = storage.open_artefact(folder, "thing")
    assert paths["a.bin"].read_text() == "two" and paths["a.bin"].name != name
    assert (folder / name).is_symlink() if kind == "link" else b"mine" in contents(folder).values()
    assert not (tmp_path / "nowhere").exists()


def test_a_manifest_that_names_a_foreign_file_does_not_give_it_away(tmp_path):
    commit(tmp_path / "out", "one")
    put(tmp_path / "secret")
    put(tmp_path / "out" / "holiday.jpg")
    manifest = storage.read_json(tmp_path / "out" / "thing.json")
    known = storage.digest(tmp_path / "secret")
    commit(tmp_path / "out" / "mine", "kept")
    manifest["files"] |= {"x": {"file": "../secret", "sha256": known}, "y": {"file": "holiday.jpg", "sha256": known}}
    manifest["folders"] = {"mine": {}}
    storage.write_json(tmp_path / "out" / "thing.json", manifest)
    commit(tmp_path / "out", "two")
    assert (tmp_path / "secret").read_text() == (tmp_path / "out" / "holiday.jpg").read_text() == "mine"
    assert storage.open_artefact(tmp_path / "out" / "mine", "thing")[0]["content"] == "kept"


def unfinished(folder):
    """What a writer leaves that is killed: a file on its way, and one that has its name already."""
    writer = storage.Commit(folder, "thing", {})
    path = writer.__enter__().file("a.bin")
    path.write_text("half")
    put(folder / "a-feed.bin", "named, but in no manifest")
    writer._journal.note("a-feed.bin", storage.digest(folder / "a-feed.bin"))
    writer._journal.close()
    return path


def test_what_a_killed_writer_left_goes_after_a_day(tmp_path):
    commit(tmp_path, "one")
    old = unfinished(tmp_path)
    put(old, "half")
    young = unfinished(tmp_path)
    commit(tmp_path, "two")
    assert not old.exists() and young.read_text() == "half" and not (tmp_path / "a-feed.bin").exists()
    put(young, "half")
    commit(tmp_path, "three")
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["a", "thing.json"]


def test_a_foreign_file_in_the_place_of_an_unfinished_one_stays(tmp_path):
    commit(tmp_path, "one")
    path = unfinished(tmp_path)
    path.rename(tmp_path / "kept")  # or the new file could get the inode of the old one
    put(path)
    put(tmp_path / "a-feed.bin")
    commit(tmp_path, "two")
    assert path.read_text() == (tmp_path / "a-feed.bin").read_text() == "mine"


@pytest.mark.parametrize("line", ['["../x", 1]', "nonsense", '["x"]', '{"x": 1}'])
def test_a_journal_of_somebody_elses_is_none(tmp_path, line):
    commit(tmp_path / "out", "one")
    put(tmp_path / "x")
    journal = tmp_path / "out" / f".partial-{HEX}.journal"
    journal.write_text(f"{json.dumps(claims.HEADER)}\n{line}\n")
    commit(tmp_path / "out", "two")
    assert journal.exists() and (tmp_path / "x").read_text() == "mine"


def built(folder, content):
    """An artefact with a folder of artefacts, as an index of pictures is."""
    with storage.Commit(folder, "whole", {}) as commit:
        build = commit.subfolder()
        with storage.Commit(build / "raw", "part", {}) as part:
            part.file("a.bin").write_text(content)
    return build


@pytest.mark.parametrize("name", ["mine.png", "raw/mine.png", "raw/a.bin", f"raw/a-{HEX}.bin", "mine/model.json"])
def test_a_foreign_file_in_an_old_build_stays(tmp_path, name):
    first = built(tmp_path, "one")
    put(first / name)
    second = built(tmp_path, "two")
    assert contents(first) == {name: b"mine"} and len(contents(second)) == 2
    assert built(tmp_path, "three").exists() and not second.exists()


def test_an_artefact_that_somebody_put_into_a_build_stays(tmp_path):
    first = built(tmp_path, "one")
    commit(first / "mine", "kept")
    built(tmp_path, "two")
    assert storage.open_artefact(first / "mine", "thing")[1]["a.bin"].read_text() == "kept"
    assert not (first / "raw").exists()


def test_a_build_that_was_exchanged_for_a_link_is_not_followed(tmp_path):
    first = built(tmp_path / "out", "one")
    shutil.move(first, tmp_path / "store")
    first.symlink_to(tmp_path / "store")
    before = contents(tmp_path / "store")
    built(tmp_path / "out", "two")
    assert contents(tmp_path / "store") == before and first.is_symlink()


def test_a_build_that_was_begun_goes_a_live_one_stays(tmp_path):
    built(tmp_path, "one")
    killed, live = storage.Commit(tmp_path, "whole", {}), storage.Commit(tmp_path, "whole", {})
    left, held = killed.__enter__().subfolder(), live.__enter__().subfolder()
    for build in (left, held):
        commit(build / "raw", "part")
    killed._locks.close()
    killed._journal.close()
    built(tmp_path, "two")
    assert not left.exists() and (held / "raw" / "thing.json").is_file()
    live.__exit__(None, None, None)
    assert held.exists() and len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


def test_an_error_removes_what_was_begun_and_nothing_else(tmp_path):
    built(tmp_path, "one")
    put(tmp_path / HEX / "cat.png")
    before = contents(tmp_path)
    with pytest.raises(RuntimeError), storage.Commit(tmp_path, "whole", {}) as writer:
        commit(writer.subfolder() / "raw", "two")
        writer.file("x").write_text("x")
        raise RuntimeError
    assert contents(tmp_path) == before


def test_other_content_is_replaced_where_that_is_said(tmp_path):
    def lost(document, paths):
        return f"the content {paths['a.bin'].read_text()}" if document["content"] == "one" else None

    commit(tmp_path, "one")
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match="holds a thing with other content, which would be lost: the content one. "
                                              "Name another folder, or allow it with --overwrite"):
        commit(tmp_path, "two", lost=lost)
    assert contents(tmp_path) == before
    commit(tmp_path, "two", lost=lost, overwrite=True)
    commit(tmp_path, "three", lost=lost)
    assert storage.open_artefact(tmp_path, "thing")[0]["content"] == "three"


def test_a_damaged_artefact_is_made_again(tmp_path):
    commit(tmp_path, "one")
    manifest = tmp_path / "thing.json"
    manifest.write_bytes(manifest.read_bytes()[:-9])
    commit(tmp_path, "two", lost=lambda document, paths: "all")
    assert storage.open_artefact(tmp_path, "thing")[0]["content"] == "two"


@pytest.mark.parametrize("name", ["report.json", "report.md"])
def test_a_foreign_report_stays(tmp_path, name):
    put(tmp_path / name, '{"title": "mine"}')
    with pytest.raises(FileExistsError, match=f"{name} is not as a report of devise left it"):
        storage.write_report(tmp_path, {"title": "one"}, {"report.md": "# one"})
    assert contents(tmp_path) == {name: b'{"title": "mine"}'}


def test_a_report_replaces_its_own_pages_and_no_changed_ones(tmp_path):
    for title in ("one", "two"):
        storage.write_report(tmp_path, {"title": title}, {"report.md": f"# {title}"}, overwrite=title == "two")
    assert (tmp_path / "report.md").read_text() == "# two"
    assert storage.read_json(tmp_path / "report.json")["title"] == "two"
    put(tmp_path / "report.md", "# two, with my remarks")
    with pytest.raises(FileExistsError, match="report.md is not as a report of devise left it"):
        storage.write_report(tmp_path, {"title": "three"}, {"report.md": "# three"}, overwrite=True)
    with pytest.raises(FileExistsError, match="another report, which would be lost: two.*overwrite=True"):
        storage.write_report(tmp_path, {"title": "three"}, {})
    assert storage.read_json(tmp_path / "report.json")["title"] == "two"
