"""Pictures in Parquet: rows, classes and bytes, read by row group."""

import pytest

from devise.distributed import from_parquet, is_parquet

pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
pytest.importorskip("fsspec")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    first = {"image": [{"bytes": b"zero"}, {"bytes": b"one"}, {"bytes": None}, {"bytes": b"three"}],
             "label": ["dog", "cat", None, "dog"]}
    parquet.write_table(pyarrow.table(first), tmp_path / "set/a.parquet", row_group_size=3)
    parquet.write_table(pyarrow.table({"image": [b"four"], "label": ["ant"]}), tmp_path / "set/b.parquet")
    (tmp_path / "set/README.md").write_text("a set")
    return tmp_path / "set"


def test_every_row_is_a_picture_with_its_class(folder):
    images = from_parquet(folder).images
    assert images.paths == tuple(f"{folder}/{row}" for row in ("a.parquet#0", "a.parquet#1", "a.parquet#2",
                                                               "a.parquet#3", "b.parquet#0"))
    assert [images.label_of(row) for row in range(5)] == ["dog", "cat", None, "dog", "ant"]
    assert from_parquet(folder / "b.parquet", label=None).images.labels.tolist() == [-1]


def test_several_files_and_folders_are_one_set(folder, tmp_path):
    (tmp_path / "more/data").mkdir(parents=True)
    parquet.write_table(pyarrow.table({"image": [b"five"], "label": ["cat"]}), tmp_path / "more/data/c.parquet")
    pictures = from_parquet([folder / "b.parquet", tmp_path / "more"])
    assert pictures.images.paths == (f"{folder}/b.parquet#0", f"{tmp_path}/more/data/c.parquet#0")
    assert [pictures.images.label_of(row) for row in range(2)] == ["ant", "cat"]
    with pictures.part([1, 0]).opened() as (images, missing):
        assert [images.file(place).read_bytes() for place in range(2)] == [b"five", b"four"] and not missing
    assert [is_parquet(place) for place in (folder, folder / "b.parquet", tmp_path / "more", tmp_path)] == [
        True, True, True, False]


def test_a_part_has_the_bytes_of_its_rows_across_files_and_groups(folder):
    with from_parquet(folder).part([4, 3, 2, 0]).opened() as (images, missing):
        assert [images.file(place).read_bytes() for place in (0, 1, 3)] == [b"four", b"three", b"zero"]
        assert missing == {2: "no picture in the column image"}


def test_a_changed_file_changes_the_stat_of_its_rows_only(folder):
    before = from_parquet(folder)
    parquet.write_table(pyarrow.table({"image": [b"other"], "label": ["ant"]}), folder / "b.parquet")
    after = from_parquet(folder)
    assert [before.stat(row) == after.stat(row) for row in range(5)] == [True] * 4 + [False]


def test_numbers_are_classes_too(folder):
    parquet.write_table(pyarrow.table({"image": [b"x", b"y"], "label": [10, 9]}), folder / "b.parquet")
    images = from_parquet(folder / "b.parquet").images
    assert [images.label_of(row) for row in range(2)] == ["10", "9"]


@pytest.mark.parametrize(("change", "message"), [
    (lambda folder: from_parquet(folder, image="picture"), "no column 'picture', but image, label"),
    (lambda folder: from_parquet(folder, label="class"), "no column 'class'"),
    (lambda folder: [file.unlink() for file in folder.glob("*.parquet")] and from_parquet(folder), "no file that ends"),
    (lambda folder: (folder / "c.parquet").write_text("x") and from_parquet(folder), "can't be read as Parquet"),
])
def test_what_is_no_such_set_is_refused_by_name(folder, change, message):
    with pytest.raises(ValueError, match=message):
        change(folder)
