"""Text files about images: which class each has, and lists of lines and columns."""

from __future__ import annotations

import csv
import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from devise import storage
from devise.datasets.base import composed

PATH_COLUMNS = ("path", "file", "filename", "image")
LABEL_COLUMNS = ("label", "class", "category")


def read_text(path: str | os.PathLike, expected: str) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        FileNotFoundError: if there is none; tells what was expected.
        ValueError: if it is no such text.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} does not exist: expected {expected}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text ({error})") from error


def filled_lines(text: str) -> list[tuple[int, str]]:
    """(number from 1, line) of the lines that hold something; a sentence may hold Unicode's own line ends."""
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def read_labels(source: str | os.PathLike | Mapping | Sequence, root: Path) -> list[tuple[str, str | None]]:
    """The entries of a mapping or a label file, as (path as spelled there, class or None)."""
    if not isinstance(source, (str, os.PathLike, Mapping)):
        raise ValueError(f"labels of a folder are {reprlib.repr(source)}: expected {{path: class}}, or a label file")
    if isinstance(source, Mapping):
        pairs = source.items()
    else:
        file = next((file for file in (Path(source), root / source) if os.path.isfile(file)), None)
        if file is None:
            raise FileNotFoundError(f"there is no label file {source}, neither there nor in {root}")
        pairs = _json_pairs(file) if file.suffix.lower() == ".json" else _csv_pairs(file)
    said_by = "the labels" if isinstance(source, Mapping) else source
    return [_entry(path, label, said_by) for path, label in pairs]


def _entry(path, label, said_by):
    """A path and its class, None for none, as a mapping or a label file says them."""
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"{said_by} name the picture {reprlib.repr(path)}: expected a path")
    if label is None or label == "":
        return os.fspath(path), None
    if isinstance(label, bool) or not isinstance(label, (str, int)):
        raise ValueError(f"{said_by} give {reprlib.repr(path)} the label {reprlib.repr(label)}: expected one class "
                         "name")
    return os.fspath(path), composed(str(label).strip()) or None


def _json_pairs(file):
    document = storage.read_json(file)
    if isinstance(document, dict):
        return list(document.items())
    if isinstance(document, list) and all(isinstance(entry, dict) for entry in document):
        return [tuple(_column(entry, names, file) for names in (PATH_COLUMNS, LABEL_COLUMNS)) for entry in document]
    raise ValueError(f'{file} holds neither {{path: class}} nor a list of {{"path": …, "label": …}}')


def _column(entry, names, file):
    for name in names:
        if name in entry:
            return entry[name]
    raise ValueError(f"{file} has an entry {entry}: expected one of the keys {', '.join(names)}")


def _csv_pairs(file):
    try:
        with open(file, encoding="utf-8-sig", newline="") as text:  # Excel begins a file with a mark
            rows = [(number, row) for number, row in enumerate(csv.reader(text), 1) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} is not UTF-8 text in columns ({error}): save it as CSV, UTF-8") from error
    named = columns_of(rows[0][1], PATH_COLUMNS, LABEL_COLUMNS) if rows else None
    path_column, label_column = named or (0, 1)
    rows = rows[1:] if named else rows
    for number, row in rows:
        if len(row) <= max(path_column, label_column):
            raise ValueError(f"{file} has too few columns in row {number}: expected path,label, came {row}")
    return [(row[path_column], row[label_column]) for _, row in rows]


def columns_of(header: Sequence[str], *names: Sequence[str]) -> tuple[int, ...] | None:
    """The columns of a table, each known by several names; None where the header, if it is one, lacks one of them.

    >>> columns_of(["Class", "File"], ("path", "file"), ("label", "class")), columns_of(["a.jpg", "cat"], ("path",))
    ((1, 0), None)
    """
    cells = [cell.strip().lower() for cell in header]
    found = [next((cells.index(name) for name in known if name in cells), None) for known in names]
    return None if None in found else tuple(place for place in found if place is not None)


def by_label(entries: Iterable[tuple[str, str | None]], files: Iterable[str], root: Path) -> tuple[dict, dict]:
    """The classes of the files that label entries mean, and why some entries mean none."""
    known = {composed(path): path for path in files} | {path: path for path in files}
    classes: dict[str, str | None] = {}
    missing = {}
    for entry, label in entries:
        path = _find(entry, known, root)
        if path is None:
            missing[entry] = "in the label file, but there is no such file"
        elif classes.setdefault(path, label) != label:
            raise ValueError(f"{path} is labelled {classes[path]!r} and {label!r}: expected one class")
    return classes, missing


def _find(entry, known, root):
    """The file that a path means; label files come from systems that spell é or / another way."""
    for spelling in (entry, entry.replace("\\", "/")):
        path = Path(os.path.relpath(os.path.join(root, spelling), root)).as_posix()
        if path in known or composed(path) in known:
            return known.get(path) or known[composed(path)]
        if not path.startswith("../") and os.path.isfile(root / path):  # in a folder that is not entered unasked
            return path
    return None
