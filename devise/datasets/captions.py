"""Images with captions, in the layouts of Flickr8k, Flickr30k and COCO or a plain CSV, and human ratings of both."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from devise.datasets.base import ImageSet, Skipped
from devise.datasets.folders import from_folder
from devise.datasets.lists import columns_of, filled_lines, read_text
from devise.datasets.splits import Split

LISTS = {"train": ("train.txt", "Flickr_8k.trainImages.txt"),
         "validation": ("validation.txt", "dev.txt", "Flickr_8k.devImages.txt"),
         "test": ("test.txt", "Flickr_8k.testImages.txt")}
TOKENS = ("captions.token.txt", "Flickr8k.token.txt", "captions.txt", "results_20130124.token", "results.csv")
TEXTS = ("Flickr8k_text",)  # where the published archive has them
EXPERT, CROWD = ("ExpertAnnotations.txt",), ("CrowdFlowerAnnotations.txt",)
FOLDERS = ("images", "Flicker8k_Dataset", "Flickr8k_Dataset", "Images", "flickr30k_images", "flickr30k-images")
PICTURE, SENTENCE = ("image", "image_name", "path", "file", "filename"), ("caption", "comment", "sentence")
TOKEN = "'name.jpg#0<TAB>sentence'"
COMMENT = re.compile(r"\s*(.+?)\s*\|\s*(\d{1,9})\s*(?:\|\s*|\s)(.*)")  # the published file lacks the second bar once


@dataclass(frozen=True, eq=False)
class Judgements:
    """Human ratings of pairs of an image and a caption, which need not be its own; rows are aligned.

    Attributes:
        pictures: int64 (m,), rows of the pictures.
        captioned: int64 (m,), rows of the pictures that the captions were written for.
        captions: int64 (m,), which of that picture's captions, from 0.
        scores: float64 (m, r), a column a rater (experts, 1 to 4), or one with the share of yes (crowd).
        left_out: how many lines name a picture or caption that is not here.

    >>> said = Judgements(np.array([0]), np.array([1]), np.array([2]), np.array([[1.0, 2.0, 1.0]]))
    >>> said.scores.mean(axis=1).round(2)
    array([1.33])
    """

    pictures: np.ndarray
    captioned: np.ndarray
    captions: np.ndarray
    scores: np.ndarray
    left_out: int = 0

    def __len__(self):
        return len(self.pictures)


@dataclass(frozen=True, eq=False)
class CaptionSet:
    """Images with captions, the set's own split, and people's judgements where there are any.

    Attributes:
        images: ImageSet with captions.
        split: Split, a part without a list is empty; None where there are no lists.
        expert, crowd: Judgements or None.

    >>> images = ImageSet(("a.jpg",), [-1], (), None, captions=(("a dog", "a running dog"),))
    >>> CaptionSet(images, Split([0])).images.captions[0][1]
    'a running dog'
    """

    images: ImageSet
    split: Split | None = None
    expert: Judgements | None = None
    crowd: Judgements | None = None


def with_captions(images: ImageSet, captions: Mapping[str, Sequence[str]]) -> ImageSet:
    """An image set with captions; images without, and captions of no image, are listed in `skipped`.

    Args:
        images: ImageSet; a picture is known by its path, or by the last part of it.
        captions: {file name: sentences}, as `read_captions` gives them.
    Raises:
        ValueError: if no picture has a caption, or captions fit two pictures.

    >>> images = ImageSet(("1.jpg", "2.jpg"), [-1, -1], (), root=None)
    >>> [item.reason for item in with_captions(images, {"1.jpg": ("a cat",), "3.jpg": ("a dog",)}).skipped]
    ['it has no caption', 'it has captions and no picture']
    """
    names = [path if path in captions else Path(path).name for path in images.paths]
    fitting: dict[str, list] = {}
    for path, name in zip(images.paths, names, strict=True):
        fitting.setdefault(name, []).append(path)
    for name in captions:
        if len(paths := fitting.get(name, ())) > 1:
            raise ValueError(f"the captions of {name!r} fit more than one picture, "
                             f"{next(path for path in paths if path != name)!r} among them: name pictures by their "
                             "paths in the file of captions")
    told, kept, skipped = [], [], []
    for row, (path, name) in enumerate(zip(images.paths, names, strict=True)):
        sentences = captions.get(name, ())
        full = tuple(sentence for sentence in sentences if sentence)
        if full:
            kept.append(row)
            told.append(full)
        if len(full) < len(sentences) or not full:
            skipped.append(Skipped(path, "it has no caption" if not sentences else "its captions are empty" if not full
                                   else f"{len(sentences) - len(full)} of its {len(sentences)} captions are empty"))
    skipped += [Skipped(name, "it has captions and no picture") for name in captions
                if name not in fitting]
    if not kept:
        raise ValueError(f"none of {len(images)} pictures has a caption: the first picture is "
                         f"{images.paths[0] if len(images) else '(none)'!r}, the first caption is of "
                         f"{next(iter(captions), '(none)')!r}")
    chosen = images.subset(np.array(kept, np.int64))
    return replace(chosen, captions=tuple(told), skipped=(*images.skipped, *skipped))


def caption_set(root: str | os.PathLike, captions: str | os.PathLike | None = None, *,
                images: ImageSet | None = None) -> CaptionSet:
    """The image set of a folder in Flickr8k's layout: images, captions, lists of train, dev and test, ratings.

    Args:
        root: the folder.
        captions: the file of captions; None looks for the usual names.
        images: ImageSet of the pictures; None reads the folder `images` (or another usual name).
    Returns:
        CaptionSet. Lines of judgements about pictures that are not here are counted.
    Raises:
        FileNotFoundError: if the folder, the pictures or the captions are not there.
        ValueError: if a file can't be understood, or a picture is in two parts.

    >>> flickr = caption_set("flickr8k")  # doctest: +SKIP
    >>> len(flickr.images), len(flickr.split.test)  # doctest: +SKIP
    (8091, 1000)
    """
    root = Path(root)
    places = [root, *(root / name for name in TEXTS if (root / name).is_dir())]
    if captions is None:
        captions = _first(places, TOKENS)
        if captions is None:
            raise FileNotFoundError(f"{root} has none of {', '.join(TOKENS)}: name the file of captions")
    if images is None:
        folder = next((root / name for name in FOLDERS if (root / name).is_dir()), root)
        images = from_folder(folder)
    told = read_captions(captions)
    images = with_captions(images, told)
    rows = {Path(path).name: row for row, path in enumerate(images.paths)}
    known = {Path(item.path).name for item in images.skipped}
    split, absent = _listed(places, rows, known)
    sentences = [told.get(path) or told[Path(path).name] for path in images.paths]
    images = replace(images, skipped=(*images.skipped, *absent))
    return CaptionSet(images, split, _judgements(_first(places, EXPERT), rows, sentences, slice(0, 3), (1, 4)),
                      _judgements(_first(places, CROWD), rows, sentences, slice(0, 1), (0, 1)))


def _first(folders, names):
    """The first of these files that is there, or None."""
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def _listed(folders, rows, known):
    """(the Split that the lists tell or None, what they name that is neither here nor known to be left out)."""
    parts, absent, owner = {}, {}, {}
    for part, names in LISTS.items():
        path = _first(folders, names)
        if path is None:
            continue
        listed = [line.strip() for _, line in filled_lines(read_text(path, "a list of pictures"))]
        for name in listed:
            if owner.setdefault(name, part) != part:
                raise ValueError(f"{path} names {name}, which is in {owner[name]} already: expected disjoint parts")
            if name not in rows and name not in known:
                absent.setdefault(name, Skipped(name, f"{path.name} lists it and it is not here"))
        parts[part] = list({rows[name] for name in listed if name in rows})
    return Split(**parts) if parts else None, absent.values()


def _judgements(path, rows, sentences, columns, limits):
    """The Judgements in a file of pictures, captions and three numbers, or None; a caption's number is its place."""
    if path is None:
        return None
    found, left_out = [], 0
    for number, line in filled_lines(read_text(path, "judgements")):
        try:
            name, caption, *numbers = line.split("\t")
            owner, caption = caption.rsplit("#", 1)
            caption, scores = int(caption), [float(cell) for cell in numbers][columns]
            if len(numbers) != 3 or not all(limits[0] <= score <= limits[1] for score in scores):
                raise ValueError
        except ValueError:
            raise ValueError(f"{path}, line {number}: expected picture, caption and 3 numbers between tabs, scores "
                             f"from {limits[0]} to {limits[1]}, got {line[:80]!r}") from None
        told = sentences[rows[owner]] if name in rows and owner in rows else ()
        if not (0 <= caption < len(told) and told[caption]):
            left_out += 1
            continue
        found.append((rows[name], rows[owner], sum(map(bool, told[:caption])), scores))
    pictures, captioned, numbers = (np.array([line[place] for line in found], np.int64) for place in range(3))
    scores = np.array([line[3] for line in found], float).reshape(len(found), columns.stop)
    return Judgements(pictures, captioned, numbers, scores, left_out)


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
    if layout not in (None, *READERS):
        raise ValueError(f"layout is {layout!r}: expected one of {', '.join(READERS)}")
    text = read_text(path, "a file of captions")
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
    return "csv" if columns_of(next(csv.reader([first]), []), PICTURE, SENTENCE) else "tokens"


def _tokens(path, text):
    for number, line in filled_lines(text):
        name, tab, sentence = line.partition("\t")
        stem, mark, place = map(str.strip, name.rpartition("#"))
        numbered = mark and place.isdecimal() and len(place) < 10
        name = (stem if numbered else name).strip()
        if not (tab and name):
            raise ValueError(f"{path}, line {number}: expected {TOKEN}, got {line[:80]!r}")
        yield name, int(place) if numbered else None, sentence


def _flickr30k(path, text):
    for number, line in filled_lines(text):
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
    places, width = None, None
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if width is None:
            named = columns_of(cells, PICTURE, SENTENCE)
            places, width = named or (0, 1), len(cells)
            if named:
                continue
        if len(cells) != width or width < 2 or not cells[places[0]].strip():
            raise ValueError(f"{path}, line {rows.line_num}: {len(cells)} columns, expected {width}, among them a "
                             "picture and a sentence")
        yield cells[places[0]].strip(), None, cells[places[1]]


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
