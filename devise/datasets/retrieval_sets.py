"""Queries and galleries of image retrieval: drawn from any images, and those of the published benchmarks.

Benchmarks are read in the layouts they are published in, with the standard splits, which have no
validation part: half of the classes train, the others test. `devise fetch cub200` brings CUB-200-2011
(Wah et al. 2011). The others are to be had of their owners' pages: Stanford Online Products (Song et al.
2016, cvgl.stanford.edu), Cars196 (Krause et al. 2013) and In-Shop (Liu et al. 2016, DeepFashion); unpack
one and name its folder.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.datasets.base import ImageSet, Skipped, whole_numbers
from devise.datasets.lists import filled_lines, read_text
from devise.datasets.splits import Split, generator


def query_gallery(labels: ArrayLike, *, seed: int = 0, queries: int = 1) -> tuple[NDArray, NDArray]:
    """Query rows and gallery rows for retrieval: some images of each class, and the others.

    A class keeps one image at least in the gallery, so that every query has a right answer there.

    Args:
        labels: int (n,); rows with -1 are in neither part.
        queries: how many of each class.
    Returns:
        query rows and gallery rows, int64, ascending.
    Raises:
        ValueError: if `queries` is below 1.

    >>> query, gallery = query_gallery([0, 0, 0, 1])
    >>> len(query), len(gallery)
    (1, 3)
    """
    if queries < 1:
        raise ValueError(f"queries is {queries}: expected 1 or more of each class")
    labels = np.asarray(labels)
    asks = np.zeros(labels.shape, dtype=bool)
    for label in np.unique(labels[labels >= 0]):
        drawn = generator(seed, "queries", str(label)).permutation(np.flatnonzero(labels == label))
        asks[drawn[:min(queries, drawn.size - 1)]] = True
    return np.flatnonzero(asks), np.flatnonzero((labels >= 0) & ~asks)


def galleries(labels: ArrayLike, queries: ArrayLike, gallery: ArrayLike, sizes: Sequence[int], *,
              seed: int = 0) -> dict[int, NDArray[np.int64]]:
    """Galleries of stated sizes, drawn from one.

    A small gallery flatters, so that a figure names its size. A smaller one lies within a larger one,
    and each holds a right answer for every query that has one in the whole. A row is no answer to
    itself: where all of a class ask, two of it are held.

    Args:
        labels: int (n,), below 0 for rows without a class, which have no right answer.
        queries: int64 row ids of the queries.
        gallery: int64 row ids to draw from.
        sizes: how many rows.
        seed: an integer, 0 or more.
    Returns:
        {size: int64 row ids, ascending}.
    Raises:
        ValueError: if a size is larger than the gallery, or too small to hold the answers; if a row is
            not there, or in the gallery twice.

    >>> {size: len(rows) for size, rows in galleries([0, 0, 1, 1, 1], [0, 2], [1, 3, 4], [2, 3]).items()}
    {2: 2, 3: 3}
    """
    labels, queries, gallery = (whole_numbers(values, name) for values, name in (
        (labels, "labels"), (queries, "queries"), (gallery, "gallery")))
    for rows, name in ((queries, "queries"), (gallery, "gallery")):
        if rows.size and not 0 <= rows.min() <= rows.max() < len(labels):
            raise ValueError(f"{name} run from {rows.min()} to {rows.max()}: expected rows 0 to {len(labels) - 1}")
    if twice := len(gallery) - len(np.unique(gallery)):
        raise ValueError(f"the gallery has {twice} rows twice: expected each once")
    order = np.random.default_rng(seed).permutation(gallery)
    classes, asks = labels[order], np.isin(order, queries)
    places = np.lexsort((asks, classes))  # in each class first those that do not ask
    places = places[np.isin(classes[places], labels[queries]) & (classes[places] >= 0)]
    start = np.flatnonzero(np.diff(classes[places], prepend=-1))
    rank = np.arange(len(places)) - np.repeat(start, np.diff(start, append=len(places)))
    second = (rank == 1) & np.roll(asks[places], 1)
    answers = np.sort(places[(rank == 0) | second])
    order = np.concatenate([order[answers], np.delete(order, answers)])
    for size in sizes:
        if not max(1, len(answers)) <= size <= len(gallery):
            raise ValueError(f"a gallery of {size} was asked for: expected {len(answers)}, so that each query finds a "
                             f"right answer, to {len(gallery)}, all there are")
    return {int(size): np.sort(order[:size]) for size in sizes}


@dataclass(frozen=True, eq=False)
class RetrievalSet:
    """A retrieval benchmark: images, the standard split, and queries and gallery where it has its own.

    Attributes:
        images: ImageSet; pictures that are listed and not on the disk are in `skipped`.
        split: Split whose validation part is empty.
        queries, gallery: int64 rows of the test part, or None: each row asks all others.
    """

    images: ImageSet
    split: Split
    queries: np.ndarray | None = None
    gallery: np.ndarray | None = None


def online_products(root: str | os.PathLike) -> RetrievalSet:
    """Stanford Online Products: 120,053 pictures of 22,634 products, split in Ebay_train.txt and Ebay_test.txt.

    Each line holds `image_id class_id super_class_id path`, below a header.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a line has not four columns or leads out of the folder, a picture or a class is
            listed for both parts, or nothing of a part is on the disk.
    """
    root, listed = Path(root), []
    for part in ("train", "test"):
        path = root / f"Ebay_{part}.txt"
        for number, line in _lines(path, start=2):
            cells = line.split()
            if len(cells) != 4:
                raise ValueError(f"{path}, line {number}: expected image_id class_id super_class_id path, got {line!r}")
            listed.append((_inside(cells[3], f"{path}, line {number}"), cells[1], part))
    return _gathered(root, listed)


def cub200(root: str | os.PathLike) -> RetrievalSet:
    """CUB-200-2011: 11,788 pictures of 200 birds; the first 100 classes train, the last 100 test.

    Read from `images`, images.txt (`id path`), image_class_labels.txt (`id class`) and classes.txt (`class name`).
    """
    root = Path(root)
    paths, labels, names = (_numbered(root / name) for name in ("images.txt", "image_class_labels.txt", "classes.txt"))
    listed = []
    for number, path in paths.items():
        if number not in labels or labels[number] not in names:
            raise ValueError(f"{root / 'image_class_labels.txt'} has no class for picture {number}, {path}")
        label, path = labels[number], _inside(path, root / "images.txt")
        listed.append((f"images/{path}", names[label], "train" if int(label) <= 100 else "test"))
    return _gathered(root, listed)


def cars196(root: str | os.PathLike) -> RetrievalSet:
    """Cars196: 16,185 pictures of 196 models; the first 98 classes train, the last 98 test.

    Read from cars_annos.mat (`annotations` with relative_im_path and class from 1, and `class_names`) beside car_ims,
    or from devkit (cars_train_annos.mat, cars_test_annos_withlabels.mat, cars_meta.mat), cars_train and cars_test,
    whose own halves divide the pictures of each class and are not those of retrieval.
    """
    root = Path(root)
    whole = root / "cars_annos.mat"
    if whole.is_file() or not (root / "devkit").is_dir():
        meta, sources = whole, [(whole, "relative_im_path", "")]
    else:
        test = "cars_test_annos_withlabels.mat"
        meta = root / "devkit" / "cars_meta.mat"
        sources = [(root / "devkit" / "cars_train_annos.mat", "fname", "cars_train/"),
                   (root / test if (root / test).is_file() else root / "devkit" / test, "fname", "cars_test/")]
    names = [str(name) for name in _matlab(meta, "class_names")]
    listed = []
    for path, field, folder in sources:
        for number, row in enumerate(_matlab(path, "annotations", field, "class"), start=1):
            label, where = int(row["class"]), f"{path}, annotation {number}"
            if not 1 <= label <= len(names):
                raise ValueError(f"{where}: the class is {label}, expected 1 to {len(names)}")
            place = folder + _inside(str(row[field]), where)
            listed.append((place, names[label - 1], "train" if label <= 98 else "test"))
    return _gathered(root, listed)


def in_shop(root: str | os.PathLike) -> RetrievalSet:
    """In-Shop: 52,712 pictures of 7,982 clothes; the test part has its own queries and gallery.

    Read from list_eval_partition.txt, a count, a header, and lines `image_name item_id train|query|gallery`; it may lie
    in Eval/ and the pictures in Img/, as the archive has them.
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
        place = _inside(cells[0], f"{path}, line {number}")
        moved = not os.path.isfile(root / place) and os.path.isfile(root / "Img" / place)
        listed.append((f"Img/{place}" if moved else place, *cells[1:]))
    return _gathered(root, listed)


READERS = {"online-products": online_products, "cub200": cub200, "cars196": cars196, "in-shop": in_shop}


def _gathered(root, listed):
    """The set of (path, class, part) triples whose pictures are on the disk."""
    if twice := [path for path, times in Counter(path for path, *_ in listed).items() if times > 1]:
        raise ValueError(f"the lists in {root} name {twice[0]} twice: expected each picture once")
    sides = [{name for _, name, part in listed if (part == "train") == side} for side in (True, False)]
    if both := sorted(sides[0] & sides[1]):
        raise ValueError(f"the lists in {root} have {len(both)} classes, such as {both[0]!r}, in both training and "
                         "test: expected each in one")
    there = [item for item in listed if os.path.isfile(root / item[0])]
    skipped = [Skipped(path, "it is listed and not on this disk") for path, *_ in listed
               if not os.path.isfile(root / path)]
    names = tuple(dict.fromkeys(name for _, name, _ in there))
    places = {name: label for label, name in enumerate(names)}
    labels = np.array([places[name] for _, name, _ in there], np.int64)
    parts = np.array([part for *_, part in there])
    train, test = np.flatnonzero(parts == "train"), np.flatnonzero(parts != "train")
    if not (len(train) and len(test)):
        raise ValueError(f"{root} has {len(train)} of the training and {len(test)} of the test pictures that its lists "
                         f"name: expected some of both; the first missing one is {skipped[0].path if skipped else '–'}")
    images = ImageSet(tuple(path for path, *_ in there), labels, names, root, tuple(skipped))
    classes = {part: tuple(names[label] for label in np.unique(labels[rows]))
               for part, rows in (("train", train), ("test", test))}
    split = Split(train, test=test, names=classes)
    if "query" not in parts:
        return RetrievalSet(images, split)
    return RetrievalSet(images, split, np.flatnonzero(parts == "query"), np.flatnonzero(parts == "gallery"))


def _lines(path, *, start):
    """(line number, line) from line `start` on; empty ones are passed over."""
    lines = filled_lines(read_text(path, "the folder that holds the set's lists"))
    return [(number, line) for number, line in lines if number >= start]


def _numbered(path):
    """{number: rest of the line}."""
    found, seen = {}, {}
    for number, line in _lines(path, start=1):
        key, _, rest = line.strip().partition(" ")
        if not (key.isdigit() and rest):
            raise ValueError(f"{path}, line {number}: expected a number and a text, got {line!r}")
        if key in found:
            raise ValueError(f"{path}, line {number}: {key} stands in line {seen[key]} already")
        found[key], seen[key] = rest.strip(), number
    return found


def _inside(place, where):
    """A path that a list names, if it stays in the set's folder."""
    if "\\" in place or place.startswith("/") or ".." in place.split("/"):
        raise ValueError(f"{where}: {place!r} leads out of the set's folder")
    return place


def _matlab(path, name, *fields):
    """The rows of a variable of a MATLAB file, which have these fields."""
    from scipy.io import loadmat  # comes with gensim
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: expected the folder of Cars196")
    try:
        rows = np.atleast_1d(loadmat(path, squeeze_me=True, variable_names=[name])[name])
        for row in rows if fields else ():
            str(row[fields[0]]), int(row["class"])
    except (KeyError, ValueError, IndexError, TypeError, NotImplementedError, MatReadError) as error:
        raise ValueError(f"{path} is no annotation of Cars196 ({type(error).__name__}: {error}): expected "
                         f"{' with '.join([name, *fields[:1]])}{' and class' if fields else ''}") from error
    return rows
