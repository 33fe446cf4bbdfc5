"""Splits: which images train, validate and test, and which classes are never seen."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from devise.datasets.base import whole_numbers
from devise.errors import unknown
from devise.spelling import meant

PARTS = ("train", "validation", "test", "unseen")
FEWEST = 3  # images of a part without classes


def _nothing():
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Split:
    """The rows and the classes of each part; no row is in two parts.

    Attributes:
        train, validation, test: int64 row ids, ascending.
        unseen_rows: int64 row ids, ascending, of the images of unseen classes.
        names: {"train", "validation", "test", "unseen": names of the classes that the part's images are
            of}; empty where there are no classes.
        seed: the seed it was drawn with.
    Raises:
        ValueError: if a row is in two parts, or an unseen class in another part.

    >>> parts = split([0, 0, 0, 0, 0, 1, 1], ("cat", "okapi"), unseen=["okapi"], validation=0)
    >>> parts.seen, parts.unseen, parts.unseen_rows.tolist()
    (('cat',), ('okapi',), [5, 6])
    """

    train: NDArray[np.int64] = field(default_factory=_nothing)
    validation: NDArray[np.int64] = field(default_factory=_nothing)
    test: NDArray[np.int64] = field(default_factory=_nothing)
    unseen_rows: NDArray[np.int64] = field(default_factory=_nothing)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self):
        for name in ("train", "validation", "test", "unseen_rows"):
            rows = np.sort(np.array(getattr(self, name), dtype=np.int64))
            rows.setflags(write=False)
            object.__setattr__(self, name, rows)
        object.__setattr__(self, "names", {part: tuple(self.names.get(part, ())) for part in PARTS})
        rows, times = np.unique(np.concatenate([self.rows(part) for part in PARTS]), return_counts=True)
        if (times > 1).any():
            raise ValueError(f"row {rows[times > 1][0]} is in two parts of the split: expected one at most")
        if both := set(self.unseen) & {name for part in PARTS[:3] for name in self.names[part]}:
            raise ValueError(f"classes both seen and unseen: {', '.join(sorted(both))}")

    @property
    def seen(self) -> tuple[str, ...]:
        """Names of the classes that are trained on."""
        return self.names["train"]

    @property
    def unseen(self) -> tuple[str, ...]:
        """Names of the classes kept for zero-shot figures."""
        return self.names["unseen"]

    @property
    def disjoint(self) -> bool:
        """Whether validation and test have classes, none of which is trained on."""
        held = {*self.names["validation"], *self.names["test"]}
        return bool(held) and held.isdisjoint(self.seen)

    def rows(self, part: str) -> NDArray[np.int64]:
        """The row ids of a part: "train", "validation", "test" or "unseen".

        Raises:
            ValueError: if there is no such part.
        """
        if part not in PARTS:
            raise ValueError(unknown("part", part, PARTS))
        return self.unseen_rows if part == "unseen" else getattr(self, part)

    def to_json(self, paths: Sequence[str]) -> dict:
        """The split as a document that names every image by its path.

        Args:
            paths: the path of each row.
        Raises:
            ValueError: if a path stands there twice: it could not be traced back to one row.
        """
        _rows_by_path(paths)
        return {"seed": int(self.seed), "names": {part: list(self.names[part]) for part in PARTS},
                "paths": {part: [paths[row] for row in self.rows(part)] for part in PARTS}}

    @classmethod
    def from_json(cls, document: Mapping, paths: Sequence[str]) -> Split:
        """The split that `to_json` wrote, for the same images in any order.

        Images that the document does not name belong to no part.

        Raises:
            ValueError: if the document lacks a part, names an image that is not among `paths`,
                or a path stands there twice.
        """
        lacking = [name for name in ("seed", "names", "paths") if name not in document]
        lacking += [f"the {key} of {part}" for key in ("names", "paths") if key in document
                    for part in PARTS if part not in document[key]]
        if lacking:
            raise ValueError(f"the split lacks {', '.join(lacking)}: it is damaged, split again")
        rows, told = _rows_by_path(paths), document["paths"]
        if missing := [path for part in PARTS for path in told[part] if path not in rows]:
            raise ValueError(f"{len(missing)} pictures of the split are not among the {len(paths)} here, "
                             f"the first is {missing[0]!r}: load the folder that was split")
        train, validation, test, apart = (np.array([rows[path] for path in told[part]], np.int64) for part in PARTS)
        return cls(train, validation, test, apart, document["names"], document["seed"])

    def among(self, paths: Sequence[str], kept: Sequence[str]) -> Split:
        """The split of the images that are left, such as those that could be read.

        Args:
            paths: the path of each row of this split.
            kept: the paths that are left, in their new order.
        Returns:
            Split of rows of `kept`; the names of the classes stay.

        >>> Split([0], [], [1, 2]).among(["a.jpg", "b.jpg", "c.jpg"], ["c.jpg", "a.jpg"]).test.tolist()
        [0]
        """
        there, document = set(kept), self.to_json(paths)
        left = {part: [path for path in told if path in there] for part, told in document["paths"].items()}
        return Split.from_json(document | {"paths": left}, kept)


def split(labels: ArrayLike, label_names: Sequence[str], *, unseen: int | str | Collection[str] = (),
          test: float = 0.2, validation: float = 0.1, seed: int = 0) -> Split:
    """Draw train, validation and test images of each seen class, and set unseen classes apart.

    A class's draw depends on the seed, its name and its own images only: adding another class
    does not change it. Rows without a class (-1) belong to no part, and classes without an image
    are neither seen nor unseen.

    Args:
        labels: int (n,), positions in `label_names`, -1 for none.
        label_names: the classes.
        unseen: names of classes, or how many to draw.
        test: the share of each seen class; of 2 images or more at least one is test and one train.
        validation: the share of what is left for training.
        seed: an integer, 0 or more.
    Raises:
        ValueError: if a name is unknown or has no image, no seen class is left, or a share is not
            in 0..1.

    >>> parts = split([0, 0, 0, 0, 0, 1, 1], ("cat", "okapi"), unseen=["okapi"], validation=0)
    >>> len(parts.train), len(parts.test), parts.unseen_rows.tolist()
    (4, 1, [5, 6])
    """
    _check_shares(test=test, validation=validation)
    rows, unseen = _rows_by_class(labels, label_names), _known(unseen, label_names)
    if isinstance(unseen, (int, np.integer)) and not 0 <= unseen < len(rows):
        raise ValueError(f"unseen is {unseen}: expected 0 to {len(rows) - 1}, one class must be seen")
    apart = _classes(unseen, rows, rows, label_names, seed, "unseen")
    seen = tuple(name for name in rows if name not in apart)
    if not seen:
        raise ValueError(f"no seen class is left: all {len(apart)} classes with pictures are unseen")
    parts: dict[str, list] = {part: [] for part in PARTS}
    for name in seen:
        drawn = generator(seed, "pictures", name).permutation(rows[name])
        n_test = _share(test, drawn.size)
        n_held = n_test + _share(validation, drawn.size - n_test, least=0)
        parts["test"].append(drawn[:n_test])
        parts["validation"].append(drawn[n_test:n_held])
        parts["train"].append(drawn[n_held:])
    parts["unseen"] = [rows[name] for name in apart]
    names = {"train": seen, "validation": seen if validation else (), "test": seen if test else (), "unseen": apart}
    return _split(parts, names, seed)


def split_classes(labels: ArrayLike, label_names: Sequence[str], *,
                  validation: int | float | str | Collection[str] = 0.2,
                  test: int | float | str | Collection[str] = 0.3, seed: int = 0) -> Split:
    """Draw the classes of validation and test, all others train: no class is in two parts.

    A class with one image has no other image to find: it trains. Rows without a class (-1) are in
    no part.

    Args:
        labels: int (n,), positions in `label_names`.
        label_names: the classes.
        validation: names of classes, how many to draw, or a share of the classes that are no test.
        test: names, how many, or a share of the classes with two images or more.
        seed: an integer, 0 or more.
    Raises:
        ValueError: if a name is unknown, has one image or is asked for twice, or fewer than two
            classes are left to train on.

    >>> parts = split_classes([0, 0, 1, 1, 2, 2, 3, 3], "abcd", validation=1, test=["b"])
    >>> parts.names["test"], parts.test.tolist(), len(parts.train), parts.disjoint
    (('b',), [2, 3], 4, True)
    """
    if twice := [name for name, times in Counter(label_names).items() if times > 1]:
        raise ValueError(f"the class name {twice[0]!r} stands twice: expected one name a class")
    rows = _rows_by_class(labels, label_names)
    validation, test = _known(validation, label_names), _known(test, label_names)
    many = {name: found for name, found in rows.items() if len(found) > 1}
    by_name = [asked if isinstance(asked, set) else set() for asked in (validation, test)]
    if lonely := (rows.keys() - many.keys()) & set.union(*by_name):
        raise ValueError(f"the class {min(lonely)!r} has one picture and so no other to find: leave it in training")
    free = [name for name in many if name not in by_name[0]]
    tested = _classes(test, free, many, label_names, seed, "test")
    if both := set(tested) & by_name[0]:
        raise ValueError(f"the class {min(both)!r} is asked for in validation and in test")
    apart = set(tested)
    left = {name: found for name, found in many.items() if name not in apart}
    held = _classes(validation, left, left, label_names, seed, "validation")
    apart.update(held)
    names = {"train": tuple(name for name in rows if name not in apart), "validation": held, "test": tested}
    if len(names["train"]) < 2:
        raise ValueError(f"{len(names['train'])} of {len(rows)} classes are left to train on: expected two or more")
    return _split({part: [rows[name] for name in chosen] for part, chosen in names.items()}, names, seed)


def split_rows(n: int, *, validation: float = 0.1, test: float = 0.1, seed: int = 0) -> Split:
    """Draw train, validation and test images that have no classes, such as those with captions.

    Args:
        n: how many images.
        validation, test: shares of them; of a share above 0 there are at least 3 images.
        seed: an integer, 0 or more.
    Raises:
        ValueError: if a share is not in 0..1, or fewer than 3 images are left to train on.

    >>> {part: len(split_rows(50).rows(part)) for part in ("train", "validation", "test")}
    {'train': 40, 'validation': 5, 'test': 5}
    """
    _check_shares(validation=validation, test=test)
    held = [max(FEWEST, round(share * n)) if share else 0 for share in (validation, test)]
    if n - sum(held) < FEWEST:
        raise ValueError(f"of {n} pictures {held[0]} are for validation and {held[1]} for the test, which leaves "
                         f"{max(0, n - sum(held))} to train on: bring more, or lower the shares")
    drawn = np.split(np.random.default_rng(seed).permutation(n), np.cumsum(held))
    return Split(drawn[2], drawn[0], drawn[1], seed=seed)


def draw_unseen(labels: ArrayLike, label_names: Sequence[str], n: int, *, unseen: int = 5, pictures: int = 10,
                test: float = 0.2, seed: int = 0) -> list[Split]:
    """Independent random draws of unseen classes: five classes say little, many draws of five say more.

    Draw i depends on `seed` and i alone. A draw's unseen images are as many of each class, so that a mean over images
    is one over classes too.

    Args:
        labels, label_names: as of `split`.
        n: how many draws.
        unseen: how many classes a draw keeps out.
        pictures: most images of each unseen class.
        test: the share of each seen class; of 2 rows or more at least one is test and one train.
    Raises:
        ValueError: if fewer than two classes would be seen, or an option is out of range.

    >>> drawn, = draw_unseen([0, 0, 1, 1, 2, 2], "abc", 1, unseen=1, pictures=1, seed=2)
    >>> drawn.unseen, drawn.unseen_rows, drawn.train, drawn.test
    (('c',), array([4]), array([0, 2]), array([1, 3]))
    """
    for name, value in (("n", n), ("unseen", unseen), ("pictures", pictures)):
        if value < 1:
            raise ValueError(f"{name} is {value}: expected 1 or more")
    _check_shares(test=test)
    rows = _rows_by_class(labels, label_names)
    if unseen > len(rows) - 2:
        raise ValueError(f"unseen is {unseen} of {len(rows)} classes: expected at most {len(rows) - 2}, so that "
                         "two are seen")
    classes, draws = list(rows), []
    for number in range(n):
        random = np.random.default_rng([seed, number])
        apart = [classes[place] for place in np.sort(random.choice(len(rows), unseen, replace=False))]
        seen = tuple(name for name in classes if name not in apart)
        mine = {name: random.permutation(found) for name, found in rows.items()}
        n_test = {name: min(max(1, round(test * len(mine[name]))), len(mine[name]) - 1) if test else 0 for name in seen}
        parts = {"train": [mine[name][n_test[name]:] for name in seen],
                 "test": [mine[name][:n_test[name]] for name in seen],
                 "validation": [], "unseen": [mine[name][:pictures] for name in apart]}
        draws.append(_split(parts, {"train": seen, "test": seen if test else (), "unseen": tuple(apart)}, seed))
    return draws


def generator(seed: int, purpose: str, name: str) -> np.random.Generator:
    """Random numbers of one class, by seed, purpose and name; hashed here, as Python's own hash varies."""
    words = np.frombuffer(hashlib.sha256(f"{purpose} {name}".encode()).digest(), dtype="<u4")
    return np.random.default_rng([seed, *words.tolist()])


def _check_shares(**shares):
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} is {share}: expected a share from 0 to below 1")


def _rows_by_path(paths):
    """{path: row}; ValueError where a path stands twice."""
    rows = {path: row for row, path in enumerate(paths)}
    if len(rows) < len(paths):
        raise ValueError(f"{len(paths) - len(rows)} paths stand twice: a split needs distinct paths")
    return rows


def _rows_by_class(labels, label_names):
    """{class: its rows, ascending} of the classes with images; in one pass, as a set may have 20,000 classes."""
    labels = whole_numbers(labels, "labels")
    if labels.size and labels.max() >= len(label_names):
        raise ValueError(f"label {labels.max()} names none of the {len(label_names)} classes")
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(len(label_names) + 1))
    return {name: order[start:end] for name, start, end in zip(label_names, bounds, bounds[1:], strict=False)
            if end > start}


def _known(asked, label_names):
    """A number or a share as it is; names as a set, each as the class is spelt."""
    if isinstance(asked, (int, float, np.number)):
        return asked
    return {meant(name, label_names) for name in ([asked] if isinstance(asked, str) else asked)}


def _classes(asked, names, rows, label_names, seed, part):
    """Names of the classes of a part in the order of `rows`, asked for as `_known` gives it, a share being of `names`.

    Each is drawn by a number of its own: adding a class moves one of them at most.
    """
    if isinstance(asked, set):
        for name in sorted(asked - set(rows)):
            if name in label_names:
                raise ValueError(f"the unseen class {name!r} has no picture here")
            raise ValueError(unknown("class", name, label_names))
        return tuple(name for name in rows if name in asked)
    count = asked
    if isinstance(asked, (float, np.floating)):
        if not 0 <= asked < 1:
            raise ValueError(f"{part} is {asked}: expected names, a count, or a share from 0 to below 1")
        count = int(asked * len(names) + 0.5)
    if not 0 <= count <= len(names):
        raise ValueError(f"{part} asks for {count} of {len(names)} classes with two pictures or more: expected "
                         f"0 to {len(names)}, or a share below 1")
    ranks = {name: generator(seed, part, name).random() for name in names}
    drawn = set(sorted(names, key=ranks.get)[:count])
    return tuple(name for name in rows if name in drawn)


def _share(share, n, least=1):
    """`share` of n images, rounded half up; `least` or more where one can be spared."""
    if not share:
        return 0
    return min(max(int(share * n + 0.5), least), n - 1)


def _split(parts, names, seed):
    """The Split of some arrays of rows a part."""
    rows = {part: np.concatenate([_nothing(), *found]) for part, found in parts.items()}
    return Split(rows["train"], rows["validation"], rows["test"], rows.get("unseen", _nothing()), names, seed)
