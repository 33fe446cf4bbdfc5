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
    assert found.split.names == {"train": ("1", "2"), "validation": (), "test": ("9",), "unseen": ()}
    assert found.images.single == ("2",)
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
    write(tmp_path, "images.txt", "1 a.jpg", "", "1 b.jpg")
    with pytest.raises(ValueError, match="images.txt, line 3: 1 stands in line 1 already"):
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
    annotations[3]["class"] = 0  # would be the last name
    savemat(tmp_path / "cars_annos.mat", {"annotations": annotations[None],
                                          "class_names": np.array(["One", "Two"], object)[None]})
    with pytest.raises(ValueError, match="cars_annos.mat, annotation 2: the class is 98, expected 1 to 2"):
        cars196(tmp_path)
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


def cars_devkit(root, labels_in_devkit):
    """The devkit's layout: four pictures, whose halves are not those of retrieval."""
    files = {"devkit/cars_train_annos.mat": ("cars_train", [1, 196]),
             f"{'devkit/' if labels_in_devkit else ''}cars_test_annos_withlabels.mat": ("cars_test", [98, 99])}
    (root / "devkit").mkdir()
    for name, (folder, labels) in files.items():
        kind = [("bbox_x1", object), ("class", object), ("fname", object)]
        rows = np.array([(3, label, f"{number:05}.jpg") for number, label in enumerate(labels, start=1)], dtype=kind)
        savemat(root / name, {"annotations": rows[None]})
        draw(root, *(f"{folder}/{row['fname']}" for row in rows))
    savemat(root / "devkit" / "cars_meta.mat", {"class_names": np.array([f"Car {n}" for n in range(1, 197)], object)})


@pytest.mark.parametrize("labels_in_devkit", [True, False])
def test_cars196_from_its_devkit(tmp_path, labels_in_devkit):
    cars_devkit(tmp_path, labels_in_devkit)
    assert parts(cars196(tmp_path)) == {"train": ["cars_train/00001.jpg", "cars_test/00001.jpg"], "validation": [],
                                        "test": ["cars_train/00002.jpg", "cars_test/00002.jpg"]}
    assert cars196(tmp_path).images.label_names == ("Car 1", "Car 196", "Car 98", "Car 99")
    (tmp_path / "devkit" / "cars_meta.mat").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="cars_meta.mat is no annotation of Cars196"):
        cars196(tmp_path)


def test_cars196_of_one_picture_a_file(tmp_path):
    draw(tmp_path, "car_ims/000001.jpg", "car_ims/000002.jpg")
    rows = np.array([("car_ims/000001.jpg", 1), ("car_ims/000002.jpg", 2)],
                    dtype=[("relative_im_path", object), ("class", object)])
    savemat(tmp_path / "cars_annos.mat", {"annotations": rows[:1], "class_names": np.array(["One"], object)})
    with pytest.raises(ValueError, match="has 1 of the training and 0 of the test pictures"):
        cars196(tmp_path)


def test_in_shop_in_the_folders_that_its_archives_make(tmp_path):
    draw(tmp_path, *(f"Img/img/{name}.jpg" for name in "abc"))
    write(tmp_path, "Eval/list_eval_partition.txt", "3", "image_name item_id evaluation_status", "img/a.jpg 1 train",
          "img/b.jpg 2 query", "img/c.jpg 2 gallery")
    assert in_shop(tmp_path).images.paths == ("Img/img/a.jpg", "Img/img/b.jpg", "Img/img/c.jpg")


@pytest.mark.parametrize("place", ["../secret.jpg", "/etc/passwd", "a/../../b.jpg", "C:\\x.jpg", "..\\x.jpg"])
def test_a_list_does_not_lead_out_of_its_folder(tmp_path, place):
    draw(tmp_path, "secret.jpg", "set/a.jpg")
    root = tmp_path / "set"
    write(root, "Ebay_train.txt", "image_id class_id super_class_id path", f"1 1 1 {place}")
    write(root, "Ebay_test.txt", "image_id class_id super_class_id path", "2 2 1 a.jpg")
    with pytest.raises(ValueError, match="Ebay_train.txt, line 2: .* leads out of the set's folder"):
        online_products(root)


def test_a_picture_or_a_class_listed_on_both_sides_is_refused(products):
    head = "image_id class_id super_class_id path"
    write(products, "Ebay_test.txt", head, "4 1 3 sofa_final/3_0.JPG")
    with pytest.raises(ValueError, match="1 classes, such as '1', in both training and test"):
        online_products(products)
    write(products, "Ebay_test.txt", head, "4 9 3 chair_final/2_0.JPG")
    with pytest.raises(ValueError, match="name chair_final/2_0.JPG twice"):
        online_products(products)
    (products / "Ebay_test.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="Ebay_test.txt is no UTF-8 text"):
        online_products(products)
