"""Each reader on a folder drawn in the layout that its set is published in."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from devise.datasets.retrieval_sets import READERS, cars196, cub200, in_shop, online_products


def draw(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / path)


def write(root, name, *lines):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("\n".join(lines) + "\n")


@pytest.fixture
def products(tmp_path):
    draw(tmp_path, "bicycle_final/1_0.JPG", "bicycle_final/1_1.JPG", "chair_final/2_0.JPG", "sofa_final/3_0.JPG",
         "sofa_final/3_1.JPG")
    write(tmp_path, "Ebay_train.txt", "image_id class_id super_class_id path", "1 1 1 bicycle_final/1_0.JPG",
          "2 1 1 bicycle_final/1_1.JPG", "3 2 2 chair_final/2_0.JPG")
    write(tmp_path, "Ebay_test.txt", "image_id class_id super_class_id path", "4 9 3 sofa_final/3_0.JPG",
          "5 9 3 sofa_final/3_1.JPG", "6 9 3 sofa_final/3_2.JPG")
    return tmp_path


def parts(found):
    return {part: [found.images.paths[row] for row in getattr(found.split, part)]
            for part in ("train", "validation", "test")}


def test_online_products(products):
    found = online_products(products)
    assert parts(found) == {
        "train": ["bicycle_final/1_0.JPG", "bicycle_final/1_1.JPG", "chair_final/2_0.JPG"], "validation": [],
        "test": ["sofa_final/3_0.JPG", "sofa_final/3_1.JPG"]}
    assert [found.images.label_of(row) for row in range(5)] == ["1", "1", "2", "9", "9"]
    assert found.split.names == {"train": ("1", "2"), "validation": (), "test": ("9",)} and found.split.single == ("2",)
    assert found.images.skipped == (("sofa_final/3_2.JPG", "it is listed and not on this disk"),)
    assert found.queries is None


def test_cub200(tmp_path):
    names = [f"{number:03}.Bird_{number}" for number in (1, 100, 101, 200)]
    paths = [f"{name}/{shot}.jpg" for name in names for shot in range(2)]
    draw(tmp_path, *(f"images/{path}" for path in paths))
    write(tmp_path, "images.txt", *(f"{number} {path}" for number, path in enumerate(paths, start=1)))
    labels = [f"{number} {int(path[:3])}" for number, path in enumerate(paths, start=1)]
    write(tmp_path, "image_class_labels.txt", *labels)
    write(tmp_path, "classes.txt", *(f"{int(name[:3])} {name}" for name in names))
    found = cub200(tmp_path)
    assert found.split.names["train"] == tuple(names[:2]) and found.split.names["test"] == tuple(names[2:])
    assert found.images.paths == tuple(f"images/{path}" for path in paths)
    write(tmp_path, "image_class_labels.txt", "1 1")
    with pytest.raises(ValueError, match="no class for picture 2"):
        cub200(tmp_path)
    write(tmp_path, "images.txt", "one path.jpg")
    with pytest.raises(ValueError, match="images.txt, line 1"):
        cub200(tmp_path)


def test_cars196(tmp_path):
    labels = [1, 98, 99, 196, 1]
    paths = [f"car_ims/{number:06}.jpg" for number in range(5)]
    draw(tmp_path, *paths)
    kind = [("relative_im_path", object), ("bbox_x1", object), ("class", object), ("test", object)]
    annotations = np.array([(path, 3, label, 0) for path, label in zip(paths, labels, strict=True)], dtype=kind)
    savemat(tmp_path / "cars_annos.mat", {"annotations": annotations[None],
                                          "class_names": np.array([f"Car {n}" for n in range(1, 197)], object)[None]})
    found = cars196(tmp_path)
    assert [found.images.label_of(row) for row in range(5)] == [f"Car {label}" for label in labels]
    assert (found.split.train.tolist(), found.split.test.tolist()) == ([0, 1, 4], [2, 3])
    savemat(tmp_path / "cars_annos.mat", {"something": 1})
    with pytest.raises(ValueError, match="no annotation of Cars196"):
        cars196(tmp_path)


@pytest.mark.parametrize("place", ["", "Eval/"])
def test_in_shop(tmp_path, place):
    rows = [("img/a/1.jpg", "id_1", "train"), ("img/a/2.jpg", "id_1", "train"), ("img/b/1.jpg", "id_7", "query"),
            ("img/b/2.jpg", "id_7", "gallery"), ("img/c/1.jpg", "id_8", "gallery")]
    draw(tmp_path, *(path for path, *_ in rows))
    name = f"{place}list_eval_partition.txt"
    write(tmp_path, name, "5", "image_name item_id evaluation_status", *("   ".join(row) for row in rows))
    found = in_shop(tmp_path)
    assert (found.split.train.tolist(), found.split.test.tolist()) == ([0, 1], [2, 3, 4])
    assert (found.queries.tolist(), found.gallery.tolist()) == ([2], [3, 4])
    write(tmp_path, name, "1", "image_name item_id evaluation_status", "img/a/1.jpg id_1 probe")
    with pytest.raises(ValueError, match="line 3: expected image_name item_id and train, query or gallery"):
        in_shop(tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_a_folder_without_the_lists_is_refused(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        READERS[name](tmp_path)


def test_bad_lines_and_missing_pictures_are_said(products):
    for path in (products / "sofa_final").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="3 of the training and 0 of the test"):
        online_products(products)
    write(products, "Ebay_train.txt", "image_id class_id super_class_id path", "1 1 bicycle_final/1_0.JPG")
    with pytest.raises(ValueError, match="Ebay_train.txt, line 2"):
        online_products(products)
