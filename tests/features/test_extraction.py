import contextlib
import shutil
import time

import numpy as np
import pytest

from devise import features
from devise.datasets import ImageSet, from_folder, read_image
from devise.features import extraction


def by_hand(images, backbone):
    """One picture at a time, without batches, threads or files."""
    return np.stack([backbone.features(backbone.prepare(read_image(images.file(row)))[None])[0]
                     for row in range(len(images))])


def test_rows_are_the_pictures_features_in_order(picture_folder, backbone, tmp_path):
    images = from_folder(picture_folder)
    table = features.extract(images, backbone, tmp_path / "table")
    np.testing.assert_allclose(table.matrix, by_hand(images, backbone), rtol=1e-5)
    assert table.images.paths == images.paths
    assert table.computed == len(images) == 40


def test_a_second_run_computes_nothing_and_writes_nothing(picture_folder, backbone, tmp_path):
    images, folder = from_folder(picture_folder), tmp_path / "table"
    features.extract(images, backbone, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    backbone.calls = 0
    assert features.extract(images, backbone, folder).computed == 0
    assert backbone.calls == 0
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_new_pictures_are_computed_and_gone_ones_pruned(picture_folder, backbone, tmp_path):
    folder = tmp_path / "table"
    features.extract(from_folder(picture_folder), backbone, folder)
    (picture_folder / "cat/3.png").unlink()
    shutil.copy(picture_folder / "dog/0.png", picture_folder / "dog/copy.png")  # known content, new name
    new = read_image(picture_folder / "car/1.png")[::-1]
    from PIL import Image
    Image.fromarray(new).save(picture_folder / "car/new.png")
    images = from_folder(picture_folder)
    backbone.calls = 0
    table = features.extract(images, backbone, folder)
    assert table.computed == backbone.calls == 1
    assert "cat/3.png" not in table.images.paths and len(table) == 41
    np.testing.assert_allclose(table.matrix, by_hand(images, backbone), rtol=1e-5)
    np.testing.assert_allclose(features.load(folder).matrix, table.matrix)


def test_a_changed_picture_under_the_same_name_is_computed_again(picture_folder, backbone, tmp_path):
    folder = tmp_path / "table"
    features.extract(from_folder(picture_folder), backbone, folder)
    shutil.copy(picture_folder / "dog/0.png", picture_folder / "cat/0.png")
    images = from_folder(picture_folder)
    np.testing.assert_allclose(features.extract(images, backbone, folder).matrix, by_hand(images, backbone), rtol=1e-5)


def test_an_interrupted_run_resumes(picture_folder, backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "BATCH", 4)
    monkeypatch.setattr(extraction, "PART_ROWS", 4)
    images, folder = from_folder(picture_folder), tmp_path / "table"

    def stop(done, total):
        if done == 22:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features.extract(images, backbone, folder, progress=stop)
    assert not (folder / "features.json").exists()
    table = features.extract(images, backbone, folder)
    assert table.computed == 40 - 22
    np.testing.assert_allclose(table.matrix, by_hand(images, backbone), rtol=1e-5)
    assert not list(folder.glob("partial*"))


def test_a_damaged_part_is_computed_again(picture_folder, backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "PART_ROWS", 8)
    images, folder = from_folder(picture_folder), tmp_path / "table"

    def stop(done, total):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features.extract(images, backbone, folder, progress=stop)
    part = next(folder.glob("partial*/parts/*.npy"))
    lost = len(np.load(part))
    part.write_bytes(part.read_bytes()[:100])
    assert features.extract(images, backbone, folder).computed == 40 - 20 + lost


def test_unreadable_pictures_are_listed_with_their_reason(picture_folder, backbone, tmp_path):
    whole = (picture_folder / "cat/0.png").read_bytes()
    (picture_folder / "cat/truncated.png").write_bytes(whole[:-200])
    images = from_folder(picture_folder)
    table = features.extract(images, backbone, tmp_path / "table")
    assert len(table) == 40
    assert [item.path for item in table.images.skipped] == ["cat/truncated.png"]
    assert "truncated" in table.images.skipped[0].reason
    assert features.load(tmp_path / "table").images.skipped == table.images.skipped


def test_no_readable_picture_is_an_error(tmp_path, backbone, picture_folder):
    for path in picture_folder.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match="none of"):
        features.extract(from_folder(picture_folder), backbone, tmp_path / "table")


def test_another_backbone_is_refused_by_name(picture_folder, make_backbone, tmp_path):
    images = from_folder(picture_folder)
    features.extract(images, make_backbone(0), tmp_path / "table")
    with pytest.raises(ValueError, match="holds features of thumbnail .* name another folder"):
        features.extract(images, make_backbone(1), tmp_path / "table")


def test_half_precision_and_back(picture_folder, backbone, tmp_path):
    images = from_folder(picture_folder)
    half = features.extract(images, backbone, tmp_path / "table", dtype="float16")
    assert half.matrix.dtype == np.float16
    single = features.extract(images, backbone, tmp_path / "table")
    assert single.computed == 40  # a half can't be turned back into a single
    np.testing.assert_allclose(single.matrix, by_hand(images, backbone), rtol=1e-5)


def test_values_out_of_half_precision_are_refused(picture_folder, backbone, tmp_path):
    backbone.matrix *= 1e6
    with pytest.raises(ValueError, match="float16.*float32"):
        features.extract(from_folder(picture_folder), backbone, tmp_path / "table", dtype="float16")
    assert not (tmp_path / "table/features.json").exists()


def test_compute_keeps_in_memory_what_extract_writes(picture_folder, backbone, tmp_path):
    images = from_folder(picture_folder)
    np.testing.assert_array_equal(features.compute(images, backbone).matrix,
                                  features.extract(images, backbone, tmp_path / "table").matrix)


def test_logits_come_from_the_classifier(picture_folder, backbone):
    images = from_folder(picture_folder).subset([0, 11, 22])
    table = features.compute(images, backbone, logits=True)
    assert table.matrix.shape == (3, 3)
    for row in range(3):
        prepared = backbone.prepare(read_image(images.file(row)))
        np.testing.assert_allclose(table.matrix[row], prepared.reshape(-1, 3).mean(axis=0), rtol=1e-5)


def test_progress_counts_every_picture_once(picture_folder, backbone, tmp_path):
    seen = []
    features.extract(from_folder(picture_folder), backbone, tmp_path / "table",
                     progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 40) for done in range(1, 41)]


def test_a_damaged_table_says_so(picture_folder, backbone, tmp_path):
    folder = tmp_path / "table"
    features.extract(from_folder(picture_folder), backbone, folder)
    matrix = next(folder.glob("features-*.npy"))
    matrix.write_bytes(matrix.read_bytes()[:500])
    with pytest.raises(ValueError, match="extract again"):
        features.load(folder)
    with pytest.raises(FileNotFoundError, match="holds no features"):
        features.load(tmp_path)


def test_default_folder_is_one_a_backbone_and_place(make_backbone, tmp_path, monkeypatch, picture_folder):
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))
    images = from_folder(picture_folder)
    first, other = (features.default_folder(images, make_backbone(seed)) for seed in (0, 1))
    assert first != other
    assert first.is_relative_to(tmp_path / "home/data/features")
    assert features.extract(images, make_backbone(0)).folder == first


def test_no_more_is_read_ahead_than_stated_and_the_order_is_kept(picture_folder, backbone, monkeypatch):
    """The network waits in its first call for reading that goes on, and counts in each what has been read."""
    images, read, seen = from_folder(picture_folder), [], []
    expected, forward = by_hand(images, backbone), backbone.features
    monkeypatch.setattr(extraction, "BATCH", 4)
    monkeypatch.setattr(extraction, "AHEAD", 8)
    monkeypatch.setattr(ImageSet, "read", lambda images, row: read.append(row) or read_image(images.file(row)))

    def waiting(pictures):
        deadline = time.monotonic() + 30
        while not seen and len(read) < 12 and time.monotonic() < deadline:
            time.sleep(0.001)
        seen.append((len(read), len(pictures)))
        return forward(pictures)

    backbone.features = waiting
    table = features.compute(images, backbone)
    np.testing.assert_allclose(table.matrix, expected, rtol=1e-5)
    assert table.images.paths == images.paths and [n for _, n in seen] == [4] * 10
    assert all(done <= 4 * number + 8 for number, (done, _) in enumerate(seen, start=1)), "too much is held"
    assert seen[0][0] == 12, "nothing is read while the network works"


def test_parts_of_a_process_that_ends_meanwhile_are_not_counted_on(picture_folder, backbone, tmp_path, monkeypatch):
    """Every vector waits in a part; its process publishes elsewhere and removes it while we wait for our turn."""
    images, folder = from_folder(picture_folder), tmp_path / "table"
    partial, alone = folder / f"partial-{backbone.fingerprint[:12]}", extraction.storage.alone
    keys = [extraction.storage.digest(images.file(row)) for row in range(len(images))]
    extraction.write_part(partial, keys, by_hand(images, backbone))

    @contextlib.contextmanager
    def waited(place):
        shutil.rmtree(partial)
        with alone(place):
            yield

    monkeypatch.setattr(extraction.storage, "alone", waited)
    table = features.extract(images, backbone, folder)
    assert table.images.paths == images.paths and table.computed == len(images)


def test_what_has_nothing_to_compute_leaves_the_parts_of_a_process_at_work(picture_folder, backbone, tmp_path):
    images, folder = from_folder(picture_folder), tmp_path / "table"
    features.extract(images.subset(range(8)), backbone, folder)
    partial = folder / f"partial-{backbone.fingerprint[:12]}"
    with extraction.storage.alone(partial):  # another process, which computes the others
        extraction.write_part(partial, ["0" * 64], np.ones((1, backbone.dim), np.float32))
        assert features.extract(images.subset(range(8)), backbone, folder).computed == 0
        assert "0" * 64 in extraction.known_vectors(partial, None, "float32")
    assert features.extract(images.subset(range(8)), backbone, folder).computed == 0
    assert not partial.exists(), "parts that nobody works on stay"


def test_features_that_vanish_before_they_are_published_leave_no_picture_out(picture_folder, backbone, tmp_path,
                                                                             monkeypatch):
    images, folder = from_folder(picture_folder), tmp_path / "table"
    features.extract(images.subset(range(8)), backbone, folder)
    monkeypatch.setattr(extraction, "write_part", lambda *part: None)
    with pytest.raises(OSError, match=r"features of 32 pictures, such as .*Run it again"):
        features.extract(images, backbone, folder)
    assert features.load(folder).images.paths == images.paths[:8]


@pytest.fixture
def computed(backbone, tmp_path, monkeypatch):
    """How many pictures of an ImageSet go through the network where no folder is named."""
    monkeypatch.setenv("DEVISE_HOME", str(tmp_path / "home"))

    def count(images, **options):
        return features.extract(images, backbone, **options).computed

    return count


def test_some_pictures_of_a_folder_leave_its_table_as_it_is(picture_folder, computed, backbone):
    assert computed(picture_folder) == 40
    whole = features.extract(picture_folder, backbone)
    few = features.extract([picture_folder / "cat/0.png", picture_folder / "dog/0.png"], backbone)
    assert few.computed == 0 and len(few) == 2 and few.folder != whole.folder
    rows = [whole.images.paths.index(path) for path in few.images.paths]
    np.testing.assert_array_equal(few.matrix, whole.matrix[rows])
    again = features.load(whole.folder)
    assert again.images.paths == whole.images.paths and computed(picture_folder) == 0


def test_other_labels_of_the_same_pictures_have_a_table_of_their_own(picture_folder, computed, backbone, tmp_path):
    first = features.extract(picture_folder, backbone)
    named = {path: "animal" if "c" in path else "other" for path in first.images.paths}
    second = features.extract(from_folder(picture_folder, labels=named), backbone)
    assert second.computed == 0 and second.folder != first.folder
    assert features.load(first.folder).images.label_names == first.images.label_names
    assert features.extract(picture_folder, backbone).folder == first.folder


def test_a_moved_or_copied_folder_is_not_computed_again(picture_folder, computed, tmp_path):
    assert computed(picture_folder) == 40
    shutil.copytree(picture_folder, tmp_path / "copy")
    assert computed(tmp_path / "copy") == 0
    picture_folder.rename(tmp_path / "moved")
    (tmp_path / "moved/cat/0.png").rename(tmp_path / "moved/dog/other.png")
    assert computed(tmp_path / "moved") == 0


def test_pictures_that_come_back_are_not_computed_again_until_they_are_pruned(picture_folder, computed, tmp_path,
                                                                             backbone):
    assert computed(picture_folder) == 40
    (picture_folder / "cat").rename(tmp_path / "away")
    table = features.extract(picture_folder, backbone)
    assert len(table) == 30 == len(features.load(table.folder)) and table.computed == 0
    (tmp_path / "away").rename(picture_folder / "cat")
    back = features.extract(picture_folder, backbone)
    assert len(back) == 40 and back.computed == 0
    np.testing.assert_allclose(back.matrix, by_hand(back.images, backbone), rtol=1e-5)
    (picture_folder / "cat").rename(tmp_path / "away")
    assert computed(picture_folder, prune=True) == 0
    (tmp_path / "away").rename(picture_folder / "cat")
    assert computed(picture_folder) == 10


def test_a_named_table_is_not_replaced_by_some_of_its_pictures_unasked(picture_folder, backbone, tmp_path):
    whole = features.extract(picture_folder, backbone, tmp_path / "table")
    with pytest.raises(FileExistsError, match=r"38 pictures, such as .* are not among these"):
        features.extract(whole.images.subset([0, 1]), backbone, tmp_path / "table")
    assert len(features.load(tmp_path / "table")) == 40
    few = features.extract(whole.images.subset([0, 1]), backbone, tmp_path / "table", overwrite=True)
    assert len(few) == 2 and features.extract(picture_folder, backbone, tmp_path / "table").computed == 0


def test_images_in_memory_give_the_features_of_their_files(picture_folder, backbone, tmp_path):
    files = from_folder(picture_folder)
    pixels = [files.read(row) for row in range(len(files))]
    table = features.extract(pixels, backbone)
    np.testing.assert_array_equal(table.matrix, by_hand(files, backbone))
    assert table.folder is None and table.images.paths[:2] == ("image-0", "image-1")
    half = features.extract(pixels[:3], backbone, dtype="float16").matrix
    np.testing.assert_array_equal(half, table.matrix[:3].astype(np.float16))
    mixed = features.extract([pixels[5], files.file(5), files.file(7)], backbone, tmp_path / "table")
    np.testing.assert_array_equal(mixed.matrix, table.matrix[[5, 5, 7]])
    backbone.calls = 0
    again = features.extract([pixels[5], files.file(5), files.file(7)], backbone, tmp_path / "table")
    assert backbone.calls == 0 and again.images.paths[0] == "image-0"
    changed = features.extract([pixels[6], files.file(5), files.file(7)], backbone, tmp_path / "table")
    np.testing.assert_array_equal(changed.matrix, table.matrix[[6, 5, 7]])


def test_whatever_holds_images_is_extracted_and_a_table_stays_as_it_is(picture_folder, backbone, monkeypatch, tmp_path):
    whole = features.extract(str(picture_folder), backbone, tmp_path / "table")
    assert whole.images.label_names == ("car", "cat", "dog", "horse") and len(whole) == 40
    assert features.extract(whole, "no such network") is whole
    monkeypatch.setattr(extraction, "as_backbone", {"auto": backbone, "mine": backbone}.__getitem__)
    one = features.extract(picture_folder / "cat/1.png", folder=tmp_path / "one")
    np.testing.assert_array_equal(one.matrix, whole.matrix[[whole.images.paths.index("cat/1.png")]])
    np.testing.assert_array_equal(features.compute([picture_folder / "cat/1.png"], "mine").matrix, one.matrix)


@pytest.mark.parametrize("given", [3, None, {"a": 1}])
def test_what_is_no_image_or_no_backbone_is_told(given, backbone, picture_folder):
    with pytest.raises(TypeError, match="expected the path of a file or a folder, a PIL image"):
        features.extract(given, backbone)
    with pytest.raises(TypeError, match="backbone is .*: expected 'auto'"):
        features.extract(picture_folder, given)


def test_pictures_in_memory_replace_no_others(picture_folder, backbone, tmp_path):
    """They have no folder in common, so that nothing says that the new ones stand for the old."""
    files = from_folder(picture_folder)
    pixels = [files.read(row) for row in range(5)]
    first = features.extract(pixels[:3], backbone, tmp_path / "table")
    with pytest.raises(FileExistsError, match="1 pictures, such as image-0, are not among these"):
        features.extract(pixels[1:], backbone, tmp_path / "table")
    np.testing.assert_array_equal(features.load(tmp_path / "table").matrix, first.matrix)
    assert len(features.extract(pixels, backbone, tmp_path / "table")) == 5
    assert len(features.extract(pixels[1:], backbone, tmp_path / "table", overwrite=True)) == 4
