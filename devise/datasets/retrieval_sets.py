"""The usual sets of image retrieval, in the layouts they are published in, with the splits that papers use.

None can be downloaded without its owners' page: Stanford Online Products (Song et al. 2016,
cvgl.stanford.edu), CUB-200-2011 (Wah et al. 2011, data.caltech.edu), Cars196 (Krause et al. 2013) and
In-Shop (Liu et al. 2016, DeepFashion). Unpack one and name its folder. The standard splits have no
validation part: half of the classes train, the others test.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devise.datasets.base import ImageSet, Skipped
from devise.datasets.class_splits import ClassSplit


@dataclass(frozen=True, eq=False)
class RetrievalSet:
    """Pictures, the standard split, and who asks and is asked where the set says so.

    Attributes:
        images: ImageSet; pictures that are listed and not on the disk are in `skipped`.
        split: ClassSplit with an empty validation part.
        queries, gallery: int64 rows of the test part, or None: each row asks all others.
    """

    images: ImageSet
    split: ClassSplit
    queries: np.ndarray | None = None
    gallery: np.ndarray | None = None


def online_products(root):
    """Stanford Online Products: 120,053 pictures of 22,634 products, split in Ebay_train and Ebay_test.txt.

    Each line holds `image_id class_id super_class_id path`, below a header.

    Args:
        root: the folder with the two files.
    Returns:
        RetrievalSet.
    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a line has not four columns, or nothing of a part is on the disk.
    """
    root, listed = Path(root), []
    for part in ("train", "test"):
        path = root / f"Ebay_{part}.txt"
        for number, line in _lines(path, start=2):
            cells = line.split()
            if len(cells) != 4:
                raise ValueError(f"{path}, line {number}: expected image_id class_id super_class_id path, got {line!r}")
            listed.append((cells[3], cells[1], part))
    return _gathered(root, listed)


def cub200(root):
    """CUB-200-2011: 11,788 pictures of 200 birds; the first 100 classes train, the last 100 test.

    Read from images.txt (`id path`), image_class_labels.txt (`id class`) and classes.txt (`class name`).

    Args:
        root: the folder with the three files and the folder `images`.
    """
    root = Path(root)
    paths, labels, names = (_numbered(root / name) for name in ("images.txt", "image_class_labels.txt", "classes.txt"))
    listed = []
    for number, path in paths.items():
        if number not in labels or labels[number] not in names:
            raise ValueError(f"{root / 'image_class_labels.txt'} has no class for picture {number}, {path}")
        label = labels[number]
        listed.append((f"images/{path}", names[label], "train" if int(label) <= 100 else "test"))
    return _gathered(root, listed)


def cars196(root):
    """Cars196: 16,185 pictures of 196 models; the first 98 classes train, the last 98 test.

    Read from cars_annos.mat: `annotations` with relative_im_path and class (from 1), and `class_names`.

    Args:
        root: the folder with cars_annos.mat and the folder car_ims.
    """
    from scipy.io import loadmat  # comes with gensim

    path = Path(root) / "cars_annos.mat"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: expected the folder of Cars196")
    try:
        document = loadmat(path, squeeze_me=True)
        names = [str(name) for name in np.atleast_1d(document["class_names"])]
        rows = [(str(row["relative_im_path"]), int(row["class"])) for row in np.atleast_1d(document["annotations"])]
        listed = [(place, names[label - 1], "train" if label <= 98 else "test") for place, label in rows]
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise ValueError(f"{path} is no annotation of Cars196 ({type(error).__name__}: {error}): expected annotations "
                         "with relative_im_path and class, and class_names") from error
    return _gathered(Path(root), listed)


def in_shop(root):
    """In-Shop: 52,712 pictures of 7,982 clothes; the test part has its own queries and gallery.

    Read from list_eval_partition.txt, a count, a header, and lines `image_name item_id train|query|gallery`.

    Args:
        root: the folder with the file, or with it in Eval/.
    """
    root = Path(root)
    path = next((place for place in (root / "list_eval_partition.txt", root / "Eval" / "list_eval_partition.txt")
                 if place.is_file()), root / "list_eval_partition.txt")
    listed = []
    for number, line in _lines(path, start=3):
        cells = line.split()
        if len(cells) != 3 or cells[2] not in ("train", "query", "gallery"):
            raise ValueError(f"{path}, line {number}: expected image_name item_id and train, query or gallery, "
                             f"got {line!r}")
        listed.append(tuple(cells))
    return _gathered(root, listed)


READERS = {"online-products": online_products, "cub200": cub200, "cars196": cars196, "in-shop": in_shop}


def _gathered(root, listed):
    """The set of (path, class, part) triples whose pictures are on the disk."""
    there = [item for item in listed if (root / item[0]).is_file()]
    skipped = [Skipped(path, "it is listed and not on this disk") for path, *_ in listed if not (root / path).is_file()]
    names = tuple(dict.fromkeys(name for _, name, _ in there))
    places = {name: label for label, name in enumerate(names)}
    labels = np.array([places[name] for _, name, _ in there], np.int64)
    parts = np.array([part for *_, part in there])
    train, test = np.flatnonzero(parts == "train"), np.flatnonzero(parts != "train")
    if not (len(train) and len(test)):
        raise ValueError(f"{root} has {len(train)} of the training and {len(test)} of the test pictures that its lists "
                         f"name: expected some of both; the first missing one is {skipped[0].path if skipped else '–'}")
    images = ImageSet(tuple(path for path, *_ in there), labels, names, root, tuple(skipped))
    counts = np.bincount(labels, minlength=len(names))
    classes = {part: tuple(names[label] for label in np.unique(labels[rows]))
               for part, rows in (("train", train), ("validation", train[:0]), ("test", test))}
    single = tuple(names[label] for label in np.flatnonzero(counts == 1))
    split = ClassSplit(train, train[:0], test, classes, single)
    if "query" not in parts:
        return RetrievalSet(images, split)
    return RetrievalSet(images, split, np.flatnonzero(parts == "query"), np.flatnonzero(parts == "gallery"))


def _lines(path, *, start):
    """(line number, line) from line `start` on; empty ones are passed over."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: expected the folder that holds the set's lists")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if number >= start and line.strip():
            yield number, line


def _numbered(path):
    """{number: rest of the line}."""
    found = {}
    for number, line in _lines(path, start=1):
        key, _, rest = line.strip().partition(" ")
        if not (key.isdigit() and rest):
            raise ValueError(f"{path}, line {number}: expected a number and a text, got {line!r}")
        found[key] = rest.strip()
    return found
