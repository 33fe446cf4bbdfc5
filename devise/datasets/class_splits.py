"""Splits whose parts share no class, and galleries of a size that is stated: retrieval of what was never trained on."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from devise.datasets.splits import generator, rows_by_path, unseen_names

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class ClassSplit:
    """Rows and classes of each part; no class is in two of them.

    Attributes:
        train, validation, test: int64 row ids, ascending.
        names: {part: class names, in the order of the label table}.
        single: classes with one picture: with no other to find they are neither validation nor test.
        seed: the seed it was drawn with.

    Raises:
        ValueError: if a row or a class is in two parts.

    >>> parts = class_split([0, 0, 1, 1, 2, 2, 3, 3], "abcd", validation=1, test=["b"])
    >>> parts.names["test"], parts.test.tolist()
    (('b',), [2, 3])
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    names: dict
    single: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self):
        for part in PARTS:
            rows = np.array(getattr(self, part), dtype=np.int64)
            rows.setflags(write=False)
            object.__setattr__(self, part, rows)
        for what, values in (("row", [getattr(self, part).tolist() for part in PARTS]),
                             ("class", [self.names[part] for part in PARTS])):
            flat = [value for part in values for value in part]
            if len(set(flat)) < len(flat):
                twice = next(value for value in flat if flat.count(value) > 1)
                raise ValueError(f"{what} {twice!r} is in two parts of the split: expected one at most")

    def to_json(self, paths):
        """The split as a document that names every picture by its path.

        Raises:
            ValueError: if a path stands there twice.
        """
        rows_by_path(paths)
        parts = {part: [paths[row] for row in getattr(self, part)] for part in PARTS}
        return {"seed": int(self.seed), "names": {part: list(self.names[part]) for part in PARTS},
                "single": list(self.single), **parts}

    @classmethod
    def from_json(cls, document, paths):
        """The split that `to_json` wrote, for the same pictures in any order.

        Raises:
            ValueError: if the document lacks a part, or names a picture that is not among `paths`.
        """
        lacking = [name for name in ("seed", "names", "single", *PARTS) if name not in document]
        if lacking:
            raise ValueError(f"the split lacks {', '.join(lacking)}: it is damaged, split again")
        if nameless := [part for part in PARTS if part not in document["names"]]:
            raise ValueError(f"the split lacks the names of {', '.join(nameless)}: it is damaged, split again")
        rows = rows_by_path(paths)
        missing = [path for part in PARTS for path in document[part] if path not in rows]
        if missing:
            raise ValueError(f"{len(missing)} pictures of the split are not among the {len(paths)} here, "
                             f"the first is {missing[0]!r}: load the folder that was split")
        parts = {part: np.sort([rows[path] for path in document[part]]) for part in PARTS}
        names = {part: tuple(document["names"][part]) for part in PARTS}
        return cls(**parts, names=names, single=tuple(document["single"]), seed=document["seed"])


    def among(self, paths, kept):
        """The split of the pictures that are left, such as those that could be read.

        Args:
            paths: the path of each row of this split.
            kept: the paths that are left, in their new order.
        Returns:
            ClassSplit of rows of `kept`; the names of the classes stay.

        >>> whole = ClassSplit([0], [], [1, 2], {"train": ("a",), "validation": (), "test": ("b", "c")})
        >>> whole.among(["a/1", "b/1", "c/1"], ["c/1", "a/1"]).test.tolist()
        [0]
        """
        there, document = set(kept), self.to_json(paths)
        return ClassSplit.from_json(document | {part: [path for path in document[part] if path in there]
                                                for part in PARTS}, kept)


def class_split(labels, label_names, *, validation=0.2, test=0.3, seed=0):
    """Draw the classes of validation and test; all others train.

    A class with one picture has no other picture to find: it trains, and is listed. Rows without a
    class (-1) are in no part.

    Args:
        labels: int (n,), positions in `label_names`.
        validation: names of classes, how many to draw, or a share of the classes that are no test.
        test: names, how many, or a share of the classes with two pictures or more.
        seed: an integer, 0 or more.
    Returns:
        ClassSplit.
    Raises:
        ValueError: if a name is unknown, has one picture or is asked for twice, or fewer than two
            classes are left to train on.

    >>> parts = class_split([0, 0, 1, 1, 2, 2, 3, 3], "abcd", validation=1, test=["b"])
    >>> parts.names["test"], parts.test.tolist(), len(parts.train)
    (('b',), [2, 3], 4)
    """
    labels = _whole(labels, "labels")
    if labels.size and labels.max() >= len(label_names):
        raise ValueError(f"label {labels.max()} names none of the {len(label_names)} classes")
    if twice := [name for name, times in Counter(label_names).items() if times > 1]:
        raise ValueError(f"the class name {twice[0]!r} stands twice: expected one name a class")
    order = np.argsort(labels, kind="stable")  # one pass, as a set may have 20,000 classes
    bounds = np.searchsorted(labels[order], np.arange(len(label_names) + 1))
    rows = {name: order[start:end] for name, start, end in zip(label_names, bounds, bounds[1:], strict=False)
            if end > start}
    single = tuple(name for name, found in rows.items() if len(found) == 1)
    for asked in (validation, test):
        lonely = set(single) & _named(asked)
        if lonely:
            raise ValueError(f"the class {min(lonely)!r} has one picture and so no other to find: leave it in training")
    many = {name: found for name, found in rows.items() if len(found) > 1}
    free = {name: found for name, found in many.items() if name not in _named(validation)}
    tested = _draw(test, free, many, label_names, seed, "test")
    left = {name: found for name, found in many.items() if name not in tested}
    if both := set(tested) & _named(validation):
        raise ValueError(f"the class {min(both)!r} is asked for in validation and in test")
    held = _draw(validation, left, left, label_names, seed, "validation")
    names = {"train": tuple(name for name in rows if name not in {*tested, *held}), "validation": held, "test": tested}
    if len(names["train"]) < 2:
        raise ValueError(f"{len(names['train'])} of {len(rows)} classes are left to train on: expected two or more")
    parts = {part: np.sort(np.concatenate([rows[name] for name in chosen] or [np.empty(0, np.int64)]))
             for part, chosen in names.items()}
    return ClassSplit(**parts, names=names, single=single, seed=seed)


def galleries(labels, queries, gallery, sizes, *, seed=0):
    """Galleries of stated sizes, drawn from one: a small gallery flatters, so a figure names its size.

    A smaller one lies within a larger one, and each holds a right answer for every query that has
    one in the whole. A row is no answer to itself: where all of a class ask, two of it are held.

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
    labels = _whole(labels, "labels")
    queries, gallery = (_rows(rows, name, len(labels)) for rows, name in ((queries, "queries"), (gallery, "gallery")))
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


def _whole(labels, name):
    """Labels, or row ids, as an array of whole numbers (n,)."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size and labels.dtype.kind not in "iu":
        raise ValueError(f"{name} are {labels.dtype} {labels.shape}: expected whole numbers (n,)")
    return labels.astype(np.int64)


def _rows(rows, name, n):
    rows = _whole(rows, name)
    if rows.size and not 0 <= rows.min() <= rows.max() < n:
        raise ValueError(f"{name} run from {rows.min()} to {rows.max()}: expected rows 0 to {n - 1}")
    return rows


def _named(asked):
    """The names among what was asked for; a number or a share names none."""
    if isinstance(asked, (int, float, np.number)):
        return set()
    return {asked} if isinstance(asked, str) else set(asked)


def _draw(asked, rows, known, label_names, seed, purpose):
    """Names of classes, in the order of `rows`."""
    if names := _named(asked):
        return unseen_names(names, known, label_names, seed)
    if not isinstance(asked, (int, float, np.number)):
        return ()
    count = asked
    if isinstance(asked, (float, np.floating)):
        if not 0 <= asked < 1:
            raise ValueError(f"{purpose} is {asked}: expected names, a count, or a share from 0 to below 1")
        count = int(asked * len(rows) + 0.5)
    if not 0 <= count <= len(rows):
        raise ValueError(f"{purpose} asks for {count} of {len(rows)} classes with two pictures or more: expected "
                         f"0 to {len(rows)}, or a share below 1")
    ranks = {name: generator(seed, purpose, name).random() for name in rows}
    chosen = set(sorted(rows, key=ranks.get)[:count])
    return tuple(name for name in rows if name in chosen)
