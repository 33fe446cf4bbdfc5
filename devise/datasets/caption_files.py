"""Files of captions, in the layouts of Flickr8k, Flickr30k and COCO, or a plain CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

LAYOUTS = ("tokens", "flickr30k", "csv", "coco")
PICTURE, SENTENCE = ("image", "image_name", "path", "file", "filename"), ("caption", "comment", "sentence")
TOKEN = "'name.jpg#0<TAB>sentence'"
COMMENT = re.compile(r"\s*(.+?)\s*\|\s*(\d{1,9})\s*(?:\|\s*|\s)(.*)")  # the published file lacks the second bar once


def read_captions(path: str | os.PathLike, *, layout: str | None = None) -> dict[str, tuple[str, ...]]:
    """The captions in a file, {file name: (sentence, …)}, by their numbers where it has any.

    Args:
        path: the file, UTF-8.
        layout: "tokens", `name.jpg#0<TAB>sentence` (Flickr8k, Flickr30k); "flickr30k",
            `image_name| comment_number| comment`; "coco", JSON with "images" and "annotations"; "csv",
            with columns for picture and sentence. None tells them by their content; a CSV is known by
            its header, as `image,caption`.
    Returns:
        dict. An empty sentence stays, so that the number of a caption is its place.
    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is in none of the layouts; a bad line is named by its number.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
    ...     _ = file.write("a.jpg#0\\ta dog runs .\\na.jpg#1\\ta running dog .\\n")
    ...     file.flush()
    ...     read_captions(file.name)
    {'a.jpg': ('a dog runs .', 'a running dog .')}
    """
    path = Path(path)
    if layout not in (None, *LAYOUTS):
        raise ValueError(f"layout is {layout!r}: expected one of {', '.join(LAYOUTS)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: expected a file of captions")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text ({error})") from error
    found: dict[str, list] = {}
    for name, number, sentence in READERS[layout or _layout(text)](path, text):
        told = found.setdefault(name, [])
        told.append((len(told) if number is None else number, " ".join(sentence.split())))
    if not found:
        raise ValueError(f"{path} holds no caption: expected lines such as {TOKEN}")
    return {name: tuple(sentence for _, sentence in sorted(told, key=lambda pair: pair[0]))
            for name, told in found.items()}


def _layout(text):
    """The layout that the first characters tell."""
    first = text.partition("\n")[0]
    if text.lstrip().startswith("{"):
        return "coco"
    if re.match(r"\s*image_name\s*\|", first, re.IGNORECASE):
        return "flickr30k"
    return "csv" if _columns(next(csv.reader([first]), [])) else "tokens"


def _columns(header):
    """(column of the picture, column of the sentence) that a header names, or None."""
    names = [name.strip().lower() for name in header]
    places = [next((place for place, name in enumerate(names) if name in known), None)
              for known in (PICTURE, SENTENCE)]
    return None if None in places else tuple(places)


def _lines(text):
    """(number, line) of the lines that hold something; a sentence may hold Unicode's own line ends."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")


def _tokens(path, text):
    for number, line in _lines(text):
        name, tab, sentence = line.partition("\t")
        stem, mark, place = map(str.strip, name.rpartition("#"))
        numbered = mark and place.isdecimal() and len(place) < 10
        name = (stem if numbered else name).strip()
        if not (tab and name):
            raise ValueError(f"{path}, line {number}: expected {TOKEN}, got {line[:80]!r}")
        yield name, int(place) if numbered else None, sentence


def _flickr30k(path, text):
    for number, line in _lines(text):
        if number == 1 and line.lower().startswith("image_name"):
            continue
        found = COMMENT.fullmatch(line)
        if not found:
            raise ValueError(f"{path}, line {number}: expected 'image_name| comment_number| comment', "
                             f"got {line[:80]!r}")
        name, place, sentence = found.groups()
        yield name, int(place), sentence


def _csv(path, text):
    rows = csv.reader(io.StringIO(text, newline=""))
    columns, width = None, None
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if width is None:
            columns, width = _columns(cells) or (0, 1), len(cells)
            if _columns(cells):
                continue
        if len(cells) != width or width < 2 or not cells[columns[0]].strip():
            raise ValueError(f"{path}, line {rows.line_num}: {len(cells)} columns, expected {width}, among them a "
                             "picture and a sentence")
        yield cells[columns[0]].strip(), None, cells[columns[1]]


def _coco(path, text):
    try:
        document = json.loads(text)
        names = {image["id"]: image["file_name"] for image in document["images"]}
        told = [(names.get(item["image_id"], f"image id {item['image_id']}"), item["caption"])
                for item in document["annotations"]]
        if strange := next((pair for pair in told if not all(isinstance(part, str) for part in pair)), None):
            raise TypeError(f"the caption of {strange[0]} is {strange[1]!r}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no captions file of COCO ({type(error).__name__}: {error}): expected images "
                         "with id and file_name, and annotations with image_id and caption") from error
    return [(name, None, sentence) for name, sentence in told]


READERS = {"tokens": _tokens, "flickr30k": _flickr30k, "csv": _csv, "coco": _coco}
