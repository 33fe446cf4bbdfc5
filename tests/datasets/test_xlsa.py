"""Sets of the attribute benchmarks: drawn ones in MATLAB's format, and the real splits where they are."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from devise.datasets.xlsa import NAMES, present, read_set, read_splits

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "xlsa17"
PER_CLASS, CLASSES = 6, 7  # classes 0, 1, 2 train, 3, 4 validation, 5, 6 unseen


def drawn(**changes):
    """The variables of a small set, ({of res101.mat}, {of att_splits.mat}), some of them changed."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), PER_CLASS)
    rows = np.arange(len(labels))
    tested = (labels < 5) & (rows % PER_CLASS == 0)
    attributes = random.random((4, CLASSES))
    one = {"features": random.random((3, len(labels))), "labels": labels[:, None] + 1.0}
    two = {"att": attributes / np.linalg.norm(attributes, axis=0), "allclasses_names":
           np.array([[f"class+{label}"] for label in range(CLASSES)], object)}
    parts = {"train_loc": labels < 3, "val_loc": (labels >= 3) & (labels < 5), "trainval_loc": (labels < 5) & ~tested,
             "test_seen_loc": tested, "test_unseen_loc": labels >= 5}
    two |= {name: random.permutation(rows[part])[:, None].astype(np.uint16) + 1 for name, part in parts.items()}
    for name, value in changes.items():
        (one if name in one else two)[name] = value
    return one, two


@pytest.fixture
def folder(tmp_path):
    """Writes a small set, changed as asked, and gives its folder."""
    def write(**changes):
        place = tmp_path / "SUN"
        place.mkdir(exist_ok=True)
        for name, variables in zip(("res101.mat", "att_splits.mat"), drawn(**changes), strict=True):
            savemat(place / name, {key: value for key, value in variables.items() if value is not None})
        return place
    return write


def test_a_set_is_read_as_it_was_drawn(folder):
    (one, two), found = drawn(), read_set(folder())
    np.testing.assert_array_equal(found.features, one["features"].T.astype(np.float32))
    np.testing.assert_array_equal(found.labels, np.repeat(np.arange(CLASSES), PER_CLASS))
    np.testing.assert_allclose(found.attributes, two["att"].T, rtol=1e-6)
    assert found.name == "SUN" and found.class_names[3] == "class+3"
    assert found.features.dtype == np.float32 and found.features.flags.c_contiguous
    assert found.seen.tolist() == [True] * 5 + [False] * 2


def test_rows_count_from_0_and_choices_see_no_test_picture(folder):
    found = read_set(folder())
    for row in range(CLASSES * PER_CLASS):
        label, tested = row // PER_CLASS, row // PER_CLASS < 5 and row % PER_CLASS == 0
        assert (row in found.train) == (label < 3 and not tested)
        assert (row in found.validation) == (3 <= label < 5 and not tested)
        assert (row in found.trainval) == (label < 5 and not tested)
        assert (row in found.test_seen) == tested and (row in found.test_unseen) == (label >= 5)
    assert (np.diff(found.trainval) > 0).all()


def changed(name, place, value):
    """One entry of a variable of the small set changed."""
    one, two = drawn()
    array = (one if name in one else two)[name].astype(float)
    array.flat[place] = value
    return {name: array}


@pytest.mark.parametrize(("changes", "said"), [
    ({"features": None}, "res101.mat lacks features"),
    ({"trainval_loc": None}, "att_splits.mat lacks trainval_loc"),
    ({"features": np.zeros((3, 41))}, "41 columns of features but 42 labels"),
    ({"features": np.zeros((2, 3, 42))}, r"features are float64 \(2, 3, 42\)"),
    (changed("features", 5, np.nan), "features hold NaN or infinity in 1 pictures, the first is column 5"),
    (changed("att", 0, np.inf), "att holds NaN or infinity"),
    ({"att": np.zeros((4, 6))}, r"att is float64 \(4, 6\): expected numbers \(a, 7\)"),
    (changed("labels", 0, 8), "labels run from 1 to 8: expected 1 to 7"),
    (changed("labels", 0, 0), "labels run from 0 to 7"),
    (changed("labels", 0, 1.5), "expected whole numbers from 1"),
    (changed("labels", 1, 6), "class 'class[+]5' has pictures in both trainval and test_unseen"),
    (changed("labels", 1, 4), "class 'class[+]3' has pictures in both train and validation"),
    (changed("trainval_loc", 0, 0), "trainval_loc run from 0"),
    (changed("test_unseen_loc", 0, 99), "names picture 99 of 42"),
    ({"test_seen_loc": np.array([[2], [8]])}, "picture 2 is in both trainval_loc and test_seen_loc"),
    ({"test_seen_loc": np.array([[1], [1]])}, "test_seen_loc names a picture twice"),
    ({"val_loc": np.array([[1]])}, "picture 1 is in both train_loc and val_loc"),
    ({"val_loc": np.array([[19]])}, "no picture of val_loc is in trainval_loc"),
])
def test_bad_files_are_refused_with_the_reason(folder, changes, said):
    with pytest.raises(ValueError, match=said):
        read_set(folder(**changes))


def test_what_is_missing_or_no_matlab_file_is_named(folder, tmp_path):
    place = folder()
    (place / "res101.mat").write_bytes(b"not a MATLAB file at all" * 20)
    with pytest.raises(ValueError, match="res101.mat can't be read as a MATLAB file"):
        read_set(place)
    (place / "res101.mat").unlink()
    with pytest.raises(FileNotFoundError, match="res101.mat does not exist"):
        read_set(place)
    with pytest.raises(FileNotFoundError, match="has none of the folders SUN, CUB, AWA1, AWA2, APY"):
        present(tmp_path / "elsewhere")
    (tmp_path / "AWA2").mkdir()
    assert present(tmp_path) == ("SUN", "AWA2")


def test_a_cut_file_is_an_error_of_its_own(folder):
    place = folder()
    whole = (place / "res101.mat").read_bytes()
    for size in (0, 60, 200, len(whole) // 2, len(whole) - 8):
        (place / "res101.mat").write_bytes(whole[:size])
        with pytest.raises(ValueError, match="res101.mat"):
            read_set(place)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the published splits in ../shared/data/xlsa17")
@pytest.mark.parametrize(("name", "classes", "attributes", "sizes"), [
    ("SUN", 717, 102, (9280, 1040, 10320, 2580, 1440)),
    ("AWA2", 50, 85, (16187, 7340, 23527, 5882, 7913)),
])
def test_the_published_splits_are_read(name, classes, attributes, sizes):
    found = read_splits(REAL / name)
    assert name in NAMES and len(found.class_names) == classes and found.attributes.shape == (classes, attributes)
    assert tuple(map(len, (found.train, found.validation, found.trainval, found.test_seen, found.test_unseen))) == sizes
    np.testing.assert_allclose(np.linalg.norm(found.attributes, axis=1), 1, atol=1e-5)
    if name == "SUN":  # 20 pictures a class, in the order of the classes
        assert set(found.trainval // 20).isdisjoint((found.test_unseen // 20).tolist())
        assert len(set((found.test_unseen // 20).tolist())) == 72
