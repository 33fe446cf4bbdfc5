"""Pictures with sentences about them, in the layouts of Flickr8k, Flickr30k and COCO, or a plain CSV."""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from devise.datasets.base import ImageSet, Skipped

PARTS = ("train", "dev", "test")
LISTS = {part: (f"{part}.txt", f"Flickr_8k.{part}Images.txt") for part in PARTS}
TOKENS = ("captions.token.txt", "Flickr8k.token.txt", "captions.txt", "results_20130124.token", "results.csv")
FOLDERS = ("images", "Flicker8k_Dataset", "Flickr8k_Dataset", "Images", "flickr30k_images", "flickr30k-images")


@dataclass(frozen=True, eq=False)
class Judgements:
    """What people said of pictures with sentences that need not be theirs; rows are aligned.

    Attributes:
        pictures: int64 (m,), rows of the pictures.
        captioned: int64 (m,), rows of the pictures that the captions were written for.
        captions: int64 (m,), which of that picture's captions, from 0.
        scores: float64 (m, r), a column a rater (experts, 1 to 4), or one with the share of yes (crowd).
        left_out: how many lines name a picture or caption that is not here.
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
    """Pictures with captions, the parts of the set, and people's judgements where there are any.

    Attributes:
        images: ImageSet with captions.
        parts: {"train", "dev", "test": int64 rows, ascending}; {} where there are no lists.
        expert, crowd: Judgements or None.
    """

    images: ImageSet
    parts: dict
    expert: Judgements | None = None
    crowd: Judgements | None = None


def read_captions(path):
    """The captions in a file, {file name: (sentence, …)} in the order of the file.

    Four layouts are known by their content: `name.jpg#0<TAB>sentence` (Flickr8k and Flickr30k token
    files), `image_name| comment_number| comment` (Flickr30k's CSV), JSON with "images" and
    "annotations" (COCO), and a CSV of picture and sentence with the header image,caption.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is in none of the layouts; a bad line is named by its number.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: expected a file of captions")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text ({error})") from error
    if text.lstrip().startswith("{"):
        pairs = _coco(path, text)
    else:
        lines = text.splitlines()
        first = lines[0].replace(" ", "").lower() if lines else ""
        if first.startswith("image_name|"):
            pairs = _delimited(path, lines[1:], "|", (0, 2))
        elif first in ("image,caption", "image_name,caption", "path,caption", "file,caption"):
            pairs = _csv(path, lines)
        else:
            pairs = _tokens(path, lines)
    found = {}
    for name, sentence in pairs:
        found.setdefault(name, []).append(" ".join(sentence.split()))
    if not found:
        raise ValueError(f"{path} holds no caption: expected lines such as 'name.jpg#0<TAB>sentence'")
    return {name: tuple(sentences) for name, sentences in found.items()}


def with_captions(images, captions):
    """An image set with its captions; what has none, or no picture, is listed in `skipped`.

    Args:
        images: ImageSet; a picture is known by its path, or by the last part of it.
        captions: {file name: sentences}, as `read_captions` gives them.
    Raises:
        ValueError: if no picture has a caption.

    >>> images = ImageSet(("1.jpg", "2.jpg"), [-1, -1], (), root=None)
    >>> [item.reason for item in with_captions(images, {"1.jpg": ("a cat",), "3.jpg": ("a dog",)}).skipped]
    ['it has no caption', 'it has captions and no picture']
    """
    told, kept, skipped, used = [], [], [], set()
    for row, path in enumerate(images.paths):
        name = path if path in captions else Path(path).name
        sentences = tuple(sentence for sentence in captions.get(name, ()) if sentence)
        used.add(name)
        if sentences:
            kept.append(row)
            told.append(sentences)
        else:
            skipped.append(Skipped(path, "its captions are empty" if name in captions else "it has no caption"))
    skipped += [Skipped(name, "it has captions and no picture") for name in captions if name not in used]
    if not kept:
        raise ValueError(f"none of {len(images)} pictures has a caption: the first picture is "
                         f"{images.paths[0] if len(images) else '(none)'!r}, the first caption is of "
                         f"{next(iter(captions), '(none)')!r}")
    chosen = images.subset(np.array(kept, np.int64))
    return replace(chosen, captions=tuple(told), skipped=(*images.skipped, *skipped))


def caption_set(root, captions=None, *, images=None):
    """A folder in Flickr8k's layout: pictures, a token file, lists of the parts, judgements.

    Args:
        root: the folder.
        captions: the file of captions; None looks for the usual names.
        images: ImageSet of the pictures; None reads the folder `images` (or another usual name).
    Returns:
        CaptionSet. Lines of judgements about pictures that are not here are counted.
    Raises:
        FileNotFoundError: if the folder, the pictures or the captions are not there.
        ValueError: if a file can't be understood, or a picture is in two parts.
    """
    from devise.datasets.folders import from_folder

    root = Path(root)
    if captions is None:
        captions = next((root / name for name in TOKENS if (root / name).is_file()), None)
        if captions is None:
            raise FileNotFoundError(f"{root} has none of {', '.join(TOKENS)}: name the file of captions")
    if images is None:
        folder = next((root / name for name in FOLDERS if (root / name).is_dir()), root)
        images = from_folder(folder)
    images = with_captions(images, read_captions(captions))
    rows = {Path(path).name: row for row, path in enumerate(images.paths)}
    parts, absent = _parts(root, rows)
    images = replace(images, skipped=(*images.skipped, *absent))
    return CaptionSet(images, parts, _judgements(root / "ExpertAnnotations.txt", rows, images.captions, slice(2, 5)),
                      _judgements(root / "CrowdFlowerAnnotations.txt", rows, images.captions, slice(2, 3)))


def _parts(root, rows):
    """({part: rows}, what the lists name and is not here)."""
    parts, absent, owner = {}, [], {}
    for part, names in LISTS.items():
        path = next((root / name for name in names if (root / name).is_file()), None)
        if path is None:
            continue
        listed = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        for name in listed:
            if owner.setdefault(name, part) != part:
                raise ValueError(f"{path} names {name}, which is in {owner[name]} already: expected disjoint parts")
        parts[part] = np.array(sorted({rows[name] for name in listed if name in rows}), np.int64)
        absent += [Skipped(name, f"{path.name} lists it and it is not here") for name in listed if name not in rows]
    return parts, absent


def _judgements(path, rows, captions, columns):
    """The Judgements in a file, or None where there is no such file."""
    if not path.is_file():
        return None
    found, left_out = [], 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        cells = line.split("\t")
        try:
            name, (owner, caption) = cells[0], cells[1].rsplit("#", 1)
            scores = [float(cell) for cell in cells[columns]]
            caption = int(caption)
        except (IndexError, ValueError):
            raise ValueError(f"{path}, line {number}: expected picture, caption and scores between tabs, "
                             f"got {line[:80]!r}") from None
        if name not in rows or owner not in rows or not 0 <= caption < len(captions[rows[owner]]):
            left_out += 1
            continue
        found.append((rows[name], rows[owner], caption, scores))
    pictures, captioned, numbers = (np.array([line[place] for line in found], np.int64) for place in range(3))
    return Judgements(pictures, captioned, numbers, np.array([line[3] for line in found], float), left_out)


def _tokens(path, lines):
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, tab, sentence = line.partition("\t")
        if not tab:
            raise ValueError(f"{path}, line {number}: expected 'name.jpg#0<TAB>sentence', got {line[:80]!r}")
        stem, mark, caption = name.rpartition("#")
        yield (stem if mark and caption.strip().isdigit() else name).strip(), sentence


def _delimited(path, lines, mark, columns):
    for number, line in enumerate(lines, start=2):
        cells = line.split(mark, 2)
        if len(cells) < 3:
            if line.strip():
                raise ValueError(f"{path}, line {number}: expected 'image_name| comment_number| comment', "
                                 f"got {line[:80]!r}")
            continue
        yield cells[columns[0]].strip(), cells[columns[1]]


def _csv(path, lines):
    for number, cells in enumerate(csv.reader(lines[1:]), start=2):
        if len(cells) != 2:
            raise ValueError(f"{path}, line {number}: {len(cells)} columns, expected image,caption")
        yield cells[0].strip(), cells[1]


def _coco(path, text):
    try:
        document = json.loads(text)
        names = {image["id"]: image["file_name"] for image in document["images"]}
        return [(names[item["image_id"]], item["caption"]) for item in document["annotations"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no captions file of COCO ({type(error).__name__}: {error}): expected images "
                         "with id and file_name, and annotations with image_id and caption") from error
