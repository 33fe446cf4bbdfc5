"""Zero-shot benchmarks of Xian et al. 2018, in the files they are published as: features, attributes, splits.

A set is a folder with `res101.mat` (features (d, n), one column a picture, and labels) and
`att_splits.mat` (attributes, class names, and the proposed splits). Both count from 1, as MATLAB does;
here everything counts from 0.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NAMES = ("SUN", "CUB", "AWA1", "AWA2", "APY")
FEATURES, SPLITS = "res101.mat", "att_splits.mat"
LOCATIONS = ("train_loc", "val_loc", "trainval_loc", "test_seen_loc", "test_unseen_loc")


@dataclass(frozen=True, eq=False)
class AttributeSet:
    """Features of pictures, attributes of their classes, and the proposed splits.

    Attributes:
        name: the folder's.
        class_names: (C,).
        attributes: float32 (C, a), one row a class, as the set has them: of length 1.
        train, validation: int64 rows of `trainval`, ascending, with no class in common: for choices.
        trainval: rows to learn from; test_seen: other pictures of these classes.
        test_unseen: rows of the classes that are never learned from.
        features: float32 (n, d), or None where only the splits were read.
        labels: int64 (n,), rows of `class_names`, or None.
    """

    name: str
    class_names: tuple[str, ...]
    attributes: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    trainval: np.ndarray
    test_seen: np.ndarray
    test_unseen: np.ndarray
    features: np.ndarray | None = None
    labels: np.ndarray | None = None

    @property
    def seen(self) -> NDArray[np.bool_]:
        """bool (C,), the classes with pictures in `trainval`."""
        seen = np.zeros(len(self.class_names), bool)
        seen[np.asarray(self.labels)[self.trainval]] = True
        return seen


def present(root: str | os.PathLike) -> tuple[str, ...]:
    """The benchmarks whose folders lie under `root`, in the order of NAMES.

    Raises:
        FileNotFoundError: if there is none.
    """
    found = tuple(name for name in NAMES if (Path(root) / name).is_dir())
    if not found:
        raise FileNotFoundError(f"{root} has none of the folders {', '.join(NAMES)}: expected the folder that the "
                                "published archive (xlsa17) unpacks its data to, with res101.mat and att_splits.mat "
                                "in each")
    return found


def read_set(folder: str | os.PathLike) -> AttributeSet:
    """Features, read as float32, attributes and splits of one benchmark, from its res101.mat and att_splits.mat.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if one is damaged or of another format, shapes don't fit, features or attributes
            hold NaN, or a class is on both sides of a split.
    """
    folder = Path(folder)
    splits = read_splits(folder)
    path = folder / FEATURES
    found = _read(path, ("features", "labels"))
    features = np.asarray(found["features"])
    if features.ndim != 2 or features.dtype.kind not in "fiu":
        raise ValueError(f"{path}: features are {features.dtype} {features.shape}: expected numbers (d, n), one "
                         "column a picture")
    features = np.ascontiguousarray(features.T, np.float32)
    if not np.isfinite(features).all():
        bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
        raise ValueError(f"{path}: features hold NaN or infinity in {bad.size} pictures, the first is column {bad[0]}")
    labels = _whole(found["labels"], path, "labels", len(splits.class_names))
    if len(labels) != len(features):
        raise ValueError(f"{path}: {len(features)} columns of features but {len(labels)} labels: expected one each")
    last = max(int(getattr(splits, part).max()) for part in ("trainval", "test_seen", "test_unseen"))
    if last >= len(labels):
        raise ValueError(f"{folder / SPLITS} names picture {last + 1} of {len(labels)}: take both files from the "
                         "same set")
    _check_classes(splits, labels, folder)
    return AttributeSet(**{**vars(splits), "features": features, "labels": labels})


def read_splits(folder: str | os.PathLike) -> AttributeSet:
    """Attributes, class names and splits alone, from att_splits.mat.

    `train` and `validation` are the file's train_loc and val_loc without the pictures of test_seen_loc,
    which both have: a choice made on those would have seen the test.

    Raises:
        FileNotFoundError, ValueError: as `read_set`.
    """
    folder = Path(folder)
    path = folder / SPLITS
    found = _read(path, (*LOCATIONS, "att", "allclasses_names"))
    names = tuple(str(np.asarray(cell).item()) for cell in np.ravel(found["allclasses_names"]))
    attributes = np.asarray(found["att"])
    if attributes.ndim != 2 or attributes.shape[1] != len(names) or attributes.dtype.kind not in "fiu":
        raise ValueError(f"{path}: att is {attributes.dtype} {attributes.shape}: expected numbers (a, {len(names)}), "
                         "one column a class")
    if not np.isfinite(attributes).all():
        raise ValueError(f"{path}: att holds NaN or infinity")
    rows = {name: _whole(found[name], path, name) for name in LOCATIONS}
    trainval, test_seen, unseen = (rows[name] for name in LOCATIONS[2:])
    for first, second in ((0, 1), (2, 3), (2, 4), (3, 4)):
        shared = np.intersect1d(rows[LOCATIONS[first]], rows[LOCATIONS[second]])
        if shared.size:
            raise ValueError(f"{path}: picture {shared[0] + 1} is in both {LOCATIONS[first]} and {LOCATIONS[second]}: "
                             "it is damaged, or not one of the proposed splits")
    train, validation = (np.intersect1d(rows[name], trainval) for name in LOCATIONS[:2])
    for name, part in (("train_loc", train), ("val_loc", validation)):
        if not part.size:
            raise ValueError(f"{path}: no picture of {name} is in trainval_loc: there is nothing to choose by")
    attributes = np.ascontiguousarray(attributes.T, np.float32)
    return AttributeSet(folder.resolve().name, names, attributes, train, validation, np.sort(trainval),
                        np.sort(test_seen), np.sort(unseen))


def _read(path, names):
    """Some variables of a MATLAB file."""
    from scipy.io import loadmat  # SciPy comes with gensim

    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: expected a set as Xian et al. 2018 publish it, a folder with "
                                f"{FEATURES} and {SPLITS}")
    try:
        found = loadmat(path, variable_names=names)
    except NotImplementedError as error:
        raise ValueError(f"{path} is a MATLAB 7.3 file: save it as version 7 (save -v7), as it is published") from error
    except Exception as error:  # damaged bytes make SciPy's reader raise nearly anything
        raise ValueError(f"{path} can't be read as a MATLAB file ({error}): it is damaged or another one") from error
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"{path} lacks {', '.join(missing)}: expected {', '.join(names)}")
    return found


def _whole(values, path, name, most=None):
    """Numbers that count from 1 as int64 that count from 0, none twice where they are rows."""
    values = np.ravel(values)
    if values.dtype.kind not in "fiu" or not values.size or not (values == np.round(values)).all():
        raise ValueError(f"{path}: {name} are {values.dtype} {values.shape}: expected whole numbers from 1")
    values = values.astype(np.int64) - 1
    if values.min() < 0 or (most is not None and values.max() >= most):
        raise ValueError(f"{path}: {name} run from {values.min() + 1} to {values.max() + 1}: expected 1 to "
                         f"{'the number of pictures' if most is None else most}")
    if most is None and np.unique(values).size < values.size:
        raise ValueError(f"{path}: {name} names a picture twice")
    return values


def _check_classes(splits, labels, folder):
    """Refuse splits whose classes are not apart, or test pictures of classes that were not learned from."""
    classes = {part: set(labels[getattr(splits, part)].tolist())
               for part in ("train", "validation", "trainval", "test_seen", "test_unseen")}
    for first, second in (("trainval", "test_unseen"), ("train", "validation")):
        if shared := sorted(classes[first] & classes[second]):
            raise ValueError(f"{folder}: class {splits.class_names[shared[0]]!r} has pictures in both {first} and "
                             f"{second}: labels and splits are not of the same set")
    if strange := sorted(classes["test_seen"] - classes["trainval"]):
        raise ValueError(f"{folder}: class {splits.class_names[strange[0]]!r} has pictures in test_seen and none in "
                         "trainval: labels and splits are not of the same set")
