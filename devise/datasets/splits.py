"""Which pictures train, which test, and which classes are never seen: drawn by seed, class by class."""

import hashlib
from dataclasses import dataclass

import numpy as np

from devise.errors import unknown

PARTS = ("train", "validation", "test", "unseen_rows")


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of each part, no row in two of them.

    Attributes:
        seen: names of the classes that are trained on.
        unseen: names of the classes kept for zero-shot figures.
        train: int64 row ids, ascending, of pictures of seen classes; so are validation and test.
        unseen_rows: int64 row ids of the pictures of unseen classes.
        seed: the seed it was drawn with.

    >>> parts = split([0, 0, 0, 0, 0, 1, 1], ("cat", "okapi"), unseen=["okapi"], validation=0)
    >>> parts.seen, parts.unseen, parts.unseen_rows.tolist()
    (('cat',), ('okapi',), [5, 6])
    """

    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    unseen_rows: np.ndarray
    seed: int

    def __post_init__(self):
        for name in PARTS:
            rows = np.array(getattr(self, name), dtype=np.int64)
            rows.setflags(write=False)
            object.__setattr__(self, name, rows)
        rows, times = np.unique(np.concatenate([getattr(self, name) for name in PARTS]), return_counts=True)
        if (times > 1).any():
            raise ValueError(f"row {rows[times > 1][0]} is in two parts of the split: expected one at most")
        both = set(self.seen) & set(self.unseen)
        if both:
            raise ValueError(f"classes both seen and unseen: {', '.join(sorted(both))}")

    def to_json(self, paths):
        """The split as a document that names every picture by its path.

        Args:
            paths: the path of each row.
        Raises:
            ValueError: if a path stands there twice: it could not be traced back to one row.
        """
        rows_by_path(paths)
        parts = {name: [paths[row] for row in getattr(self, name)] for name in PARTS}
        return {"seed": int(self.seed), "seen": list(self.seen), "unseen": list(self.unseen), **parts}

    @classmethod
    def from_json(cls, document, paths):
        """The split that `to_json` wrote, for the same pictures in any order.

        Pictures that the document does not name belong to no part.

        Raises:
            ValueError: if the document lacks a part, names a picture that is not among `paths`,
                or a path stands there twice.
        """
        lacking = [name for name in ("seed", "seen", "unseen", *PARTS) if name not in document]
        if lacking:
            raise ValueError(f"the split lacks {', '.join(lacking)}: it is damaged, split again")
        rows = rows_by_path(paths)
        missing = [path for name in PARTS for path in document[name] if path not in rows]
        if missing:
            raise ValueError(f"{len(missing)} pictures of the split are not among the {len(paths)} here, "
                             f"the first is {missing[0]!r}: load the folder that was split")
        parts = {name: [rows[path] for path in document[name]] for name in PARTS}
        return cls(tuple(document["seen"]), tuple(document["unseen"]), **parts, seed=document["seed"])


def split(labels, label_names, *, unseen=(), test=0.2, validation=0.1, seed=0):
    """Draw train, validation and test pictures of each seen class, and set unseen classes apart.

    A class's draw depends on the seed, its name and its own pictures only: adding another class
    does not change it. Rows without a class (-1) belong to no part, and classes without a picture
    are neither seen nor unseen.

    Args:
        labels: int (n,), positions in `label_names`, -1 for none.
        label_names: the classes.
        unseen: names of classes, or how many to draw.
        test: the share of each seen class; of 2 pictures or more at least one is test and one train.
        validation: the share of what is left for training.
        seed: an integer, 0 or more.
    Raises:
        ValueError: if a name is unknown or has no picture, no seen class is left, or a share is not
            in 0..1.

    >>> parts = split([0, 0, 0, 0, 0, 1, 1], ("cat", "okapi"), unseen=["okapi"], validation=0)
    >>> len(parts.train), len(parts.test), parts.unseen_rows.tolist()
    (4, 1, [5, 6])
    """
    for name, share in (("test", test), ("validation", validation)):
        if not 0 <= share < 1:
            raise ValueError(f"{name} is {share}: expected a share from 0 to below 1")
    labels = np.asarray(labels)
    if labels.size and labels.max() >= len(label_names):
        raise ValueError(f"label {labels.max()} names none of the {len(label_names)} classes")
    rows = {name: found for label, name in enumerate(label_names)
            if (found := np.flatnonzero(labels == label)).size}
    apart = unseen_names(unseen, rows, label_names, seed)
    seen = tuple(name for name in rows if name not in apart)
    if not seen:
        raise ValueError(f"no seen class is left: all {len(apart)} classes with pictures are unseen")
    parts = {"train": [], "validation": [], "test": []}
    for name in seen:
        drawn = generator(seed, "pictures", name).permutation(rows[name])
        n_test = _share(test, drawn.size)
        n_held = n_test + _share(validation, drawn.size - n_test, least=0)
        parts["test"].append(drawn[:n_test])
        parts["validation"].append(drawn[n_test:n_held])
        parts["train"].append(drawn[n_held:])
    parts = {name: np.sort(np.concatenate(chosen)) for name, chosen in parts.items()}
    unseen_rows = np.sort(np.concatenate([rows[name] for name in apart] or [[]]))
    return Split(seen, apart, **parts, unseen_rows=unseen_rows, seed=seed)


def query_gallery(labels, *, seed=0, queries=1):
    """Rows that ask and rows that are asked, for retrieval: some pictures of each class are queries.

    A class keeps one picture at least in the gallery, so that every query has a right answer there.

    Args:
        labels: int (n,); rows with -1 are in neither part.
        queries: how many of each class.
    Returns:
        query rows and gallery rows, int64, ascending.

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


def rows_by_path(paths):
    """{path: row}; ValueError where a path stands twice."""
    rows = {path: row for row, path in enumerate(paths)}
    if len(rows) < len(paths):
        raise ValueError(f"{len(paths) - len(rows)} paths stand twice: a split needs distinct paths")
    return rows


def unseen_names(unseen, rows, label_names, seed):
    """The names of the unseen classes, in the order of `label_names`."""
    if isinstance(unseen, (int, np.integer)):
        if not 0 <= unseen < len(rows):
            raise ValueError(f"unseen is {unseen}: expected 0 to {len(rows) - 1}, one class must be seen")
        ranks = {name: generator(seed, "unseen", name).random() for name in rows}
        wanted = set(sorted(rows, key=ranks.get)[:unseen])
    else:
        wanted = {unseen} if isinstance(unseen, str) else set(unseen)
    for name in sorted(wanted - set(rows)):
        if name in label_names:
            raise ValueError(f"the unseen class {name!r} has no picture here")
        raise ValueError(unknown("class", name, label_names))
    return tuple(name for name in rows if name in wanted)


def _share(share, n, least=1):
    """`share` of n pictures, rounded half up; `least` or more where one can be spared."""
    if not share:
        return 0
    return min(max(int(share * n + 0.5), least), n - 1)


def generator(seed, purpose, name):
    """Random numbers that depend on one class only; a hash of the name, as Python's own varies."""
    words = np.frombuffer(hashlib.sha256(f"{purpose} {name}".encode()).digest(), dtype="<u4")
    return np.random.default_rng([seed, *words.tolist()])
