"""Images → features: decoded in threads, computed in batches, written as it goes, never twice."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from devise import storage
from devise.arrays import write_npy
from devise.backbones import Backbone, as_backbone, describe
from devise.datasets import ImageSet, Skipped, open_images
from devise.features.table import FeatureTable, as_type, contents_of, open_table, write

if TYPE_CHECKING:
    import keras

    from devise.datasets.opening import Images

BATCH = 16  # pictures that the network is given at once: what is read before its first work
AHEAD = 3 * BATCH  # pictures that are read before they are needed, and all that is held of them
SAME = ("backbone", "dtype", "n", "label_names", "root", "skipped")  # of a table that is not written again
PART_ROWS, PART_SECONDS = 256, 20  # what a kill may cost: one unwritten part


def default_folder(images: ImageSet, backbone: Backbone) -> Path:
    """Default folder of a feature table, by backbone and image folder.

    >>> default_folder(images, backbone).parent.name  # doctest: +SKIP
    'efficientnet_lite0-681c0c23f5bb'
    """
    place = str(Path(images.root or ".").resolve())
    return folders_of(backbone) / f"{Path(place).name}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def folders_of(backbone: Backbone) -> Path:
    """Where the default folders of a backbone's feature tables lie."""
    return storage.data_root() / "features" / f"{backbone.name}-{backbone.fingerprint[:12]}"


def compute(images: Images, backbone: str | Backbone | keras.Model = "auto", *, logits: bool = False,
            progress: Callable[[int, int], object] | None = None) -> FeatureTable:
    """Features of a few images, kept in memory.

    Args:
        images: what `open_images` takes.
        backbone: as in `extract`.
        logits: take the scores of the network's own classes in place of its features.
    Returns:
        FeatureTable with float32 (n, dim) of the readable pictures.
    Raises:
        ValueError: if none can be read, or the network has no classes.

    >>> from devise import backbones, datasets
    >>> compute(datasets.samples(), backbones.load("efficientnet_lite0")).matrix.shape  # doctest: +SKIP
    (14, 1280)
    """
    images, backbone = open_images(images), as_backbone(backbone)
    rows, vectors, failed = [], [], []
    network = backbone.logits if logits else backbone.features
    for done, row, value in forward(images, range(len(images)), backbone, network):
        if isinstance(value, str):
            failed.append(Skipped(images.paths[row], value))
        else:
            rows.append(row)
            vectors.append(value)
        if progress:
            progress(done, len(images))
    kept = _readable(images, rows, failed)
    return FeatureTable(np.stack(vectors), kept, describe(backbone), computed=len(rows))


def extract(images: Images | FeatureTable, backbone: str | Backbone | keras.Model = "auto",
            folder: str | os.PathLike | None = None, *, dtype: str = "float32", overwrite: bool = False,
            prune: bool = False, progress: Callable[[int, int], object] | None = None) -> FeatureTable:
    """The feature table of some images, computed or brought up to date.

    Memory stays bounded whatever the number of images. What a content gave is computed once: it is found
    again in the folder, and in all under the data root, when a picture was moved, copied or away for a while.
    When nothing changed nothing is written.

    Args:
        images: what `open_images` takes, or a FeatureTable, which is returned as it is.
        backbone: a name, "auto" (VGG16 where its weights are here, else EfficientNet-Lite0), a
            Backbone, or a Keras model of your own, see `devise.backbones.from_keras`.
        folder: where the table lies; by default under the data root, by backbone and folder, and a folder of its
            own for some of the pictures of a table that is there, or for other labels of them. Of images that
            are all in memory the table is, by default, in memory too.
        dtype: float32 or float16.
        overwrite: whether a table of other pictures may be replaced; their features are kept with it.
        prune: forget the features of pictures that the table no longer has.
        progress: callable (done, total), in pictures.
    Returns:
        FeatureTable, its rows in the order of `images`.
    Raises:
        ValueError: if the folder holds another backbone's features, or no image can be read.
        TypeError: if images or backbone are nothing of the kind.
        FileExistsError: if the folder is named and holds features of other pictures, or files of somebody else's.

    >>> table = extract("pictures", "efficientnet_lite0")  # doctest: +SKIP
    >>> table.matrix.shape, table.computed  # doctest: +SKIP
    ((1609, 1280), 1609)
    """
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype is {dtype!r}: expected 'float32' or 'float16'")
    if isinstance(images, FeatureTable):
        return images
    images, backbone = open_images(images), as_backbone(backbone)
    if not folder and (images.all_held or _nowhere(default_folder(images, backbone))):
        table = compute(images, backbone, progress=progress)
        return replace(table, matrix=as_type(table.matrix, dtype))
    named = bool(folder)
    folder, old = home(images, backbone, folder)
    storage.vacant(folder)
    keys, stats, failed = _content_keys(images, old[1] if old else [])
    if named and old and not overwrite:
        keep(folder, old, images, keys)
    partial = folder / f"partial-{backbone.fingerprint[:12]}"
    tabled = known_vectors(None, old, dtype)  # parts may be another process's, and gone in a moment
    found = _elsewhere({key for key in keys if key and key not in tabled}, folder, backbone, dtype)
    with contextlib.ExitStack() as work:
        if any(key and key not in tabled and key not in found for key in keys):
            work.enter_context(storage.alone(partial))
            old = table_of(folder, backbone)  # another process may have been at the same
        elif not partial.is_dir() or not work.enter_context(storage.alone(partial, wait=False)):
            partial = None  # the parts are another process's, which is at work on them
        if named or not old or not _harms(old, images):
            return _brought_up(images, backbone, folder, partial, old, (keys, stats, failed), found, dtype, prune,
                               progress)
    # a table of other pictures was made here meanwhile
    return extract(images, backbone, dtype=dtype, prune=prune, progress=progress)


def extract_some(images: Images, backbone: Backbone, *,
                 progress: Callable[[int, int], object] | None = None) -> FeatureTable:
    """The feature table of images that join others: those of no whole folder share one, beside the folder's own.

    What the shared table had before is kept behind these.

    >>> extract_some("cat.jpg", backbone).matrix.shape  # doctest: +SKIP
    (1, 1280)
    """
    images = open_images(images)
    folder = default_folder(images, backbone)
    folder = folder.with_name(f"{folder.name}-added")
    if images.sources or images.all_held or not storage.writable(folder):
        return extract(images, backbone, progress=progress)
    return extract(images, backbone, folder, overwrite=True, progress=progress)


def home(images: ImageSet, backbone: Backbone, folder: str | os.PathLike | None) -> tuple[Path, tuple | None]:
    """Where the table of some images lies, and what `table_of` gives of it.

    It is the default folder, or the first beside it whose table loses no picture that is still there, and no
    label, by these; one that is named in any case.
    """
    if folder:
        return Path(folder), table_of(Path(folder), backbone)
    place = default = default_folder(images, backbone)
    others = (default.with_name(f"{default.name}-{number}") for number in itertools.count(2))
    while (old := table_of(place, backbone)) and _harms(old, images):
        place = next(others)
    return place, old


def _harms(old, images):
    """Whether a table loses a picture that is still there, or a label, when it becomes the one of these images."""
    names = [*old[0]["label_names"], None]
    mine = {path: images.label_of(row) for row, path in enumerate(images.paths)}
    for record in old[1][:old[0]["n"]]:
        path, label = record["path"], names[record["label"]]
        if (mine[path] != label and label is not None) if path in mine else (
                images.root and os.path.lexists(images.root / path)):
            return True
    return False


def _elsewhere(keys, folder, backbone, dtype):
    """{content key: (matrix, row)} of those of some keys that other tables under the data root have."""
    found = {}
    for manifest in sorted(folders_of(backbone).glob("*/features.json")) if keys else ():
        if manifest.parent != folder:
            with contextlib.suppress(OSError, ValueError, LookupError):
                known = known_vectors(None, table_of(manifest.parent, backbone), dtype)
                found |= {key: known[key] for key in keys & known.keys()}
    return found


def _nowhere(folder):
    """Whether there is no table in a default folder, and it can't be written to, which a warning says."""
    if storage.writable(folder) or (folder / "features.json").is_file():
        return False
    warnings.warn(f"{folder} can't be written, so that the features are not kept: set DEVISE_HOME to a folder that can "
                  "be, or name one for them", stacklevel=3)
    return True


def table_of(folder: Path, backbone: Backbone) -> tuple | None:
    """The table in a folder as `open_table` gives it, None without one; ValueError if it is of another backbone."""
    old = open_table(folder) if (folder / "features.json").is_file() else None
    if old and old[0]["backbone"]["fingerprint"] != backbone.fingerprint:
        theirs = old[0]["backbone"]
        raise ValueError(f"{folder} holds features of {theirs['name']} ({theirs['fingerprint'][:12]}), not of "
                         f"{backbone.name} ({backbone.fingerprint[:12]}): name another folder, or remove this one")
    return old


def keep(folder: Path, old: tuple, images: ImageSet, keys: Sequence[str | None]) -> None:
    """Refuse to replace a table by one without pictures of it that are from elsewhere, in memory, or still there."""
    here, there = (Path(root).resolve() if root else None for root in (images.root, old[0]["root"]))
    same, known, mine = here is not None and here == there, set(keys), set(images.paths)
    lost = [record["path"] for record in old[1][:old[0]["n"]] if record["sha256"] not in known
            and not (same and (record["path"] in mine or not os.path.lexists(here / record["path"])))]
    if lost:
        raise FileExistsError(f"{folder} holds the table of {old[0]['root'] or 'other pictures'}: {len(lost):,} "
                              f"pictures, such as {lost[0]}, are not among these, and their rows would be lost. Name "
                              "another folder, or allow it with --overwrite (in Python overwrite=True)")


def _brought_up(images, backbone, folder, partial, old, contents, found, dtype, prune, progress):
    """The table with a row for each readable image, unknown ones computed."""
    keys, _, failed = contents
    known = known_vectors(partial, old, dtype) | found
    wanted = {}  # content key → its first row
    for row, key in enumerate(keys):
        if key and key not in known:
            wanted.setdefault(key, row)
    done_before, unread = len(images) - len(wanted), {}
    fresh, since = {}, time.monotonic()  # content key → vector, of those that are in no part yet
    try:
        for done, row, value in forward(images, list(wanted.values()), backbone, backbone.features):
            if isinstance(value, str):
                unread[keys[row]] = value
            else:
                fresh[keys[row]] = value
                if len(fresh) >= PART_ROWS or time.monotonic() - since > PART_SECONDS:
                    write_part(partial, list(fresh), np.stack(list(fresh.values())))
                    fresh, since = {}, time.monotonic()
            if progress:
                progress(done_before + done, len(images))
    finally:
        if fresh:
            write_part(partial, list(fresh), np.stack(list(fresh.values())))
    failed += [Skipped(images.paths[row], unread[key]) for row, key in enumerate(keys) if key in unread]
    return publish(images, backbone, folder, partial, old, contents, dtype, found=found, prune=prune,
                   computed=len(wanted) - len(unread))


def publish(images: ImageSet, backbone: Backbone, folder: Path, partial: Path | None, old: tuple | None,
            contents: tuple, dtype: str, *, computed: int, found: Mapping[str, tuple] = MappingProxyType({}),
            prune: bool = False) -> FeatureTable:
    """Write the feature table of the images whose vectors are known, where it changed, and remove the parts.

    Args:
        backbone: the network, or what `describe` says of one as attributes.
        partial: the folder of the parts, None where there are none of ours.
        old: what `table_of` gave.
        contents: the content keys of all rows, their (size, mtime_ns), and the Skipped without a vector.
        found: vectors of other tables, as `known_vectors` gives them.
    Raises:
        OSError: if a vector is neither known nor said to be missing; no picture is left out in silence.
    """
    keys, stats, failed = contents
    known, told = {**known_vectors(partial, old, dtype), **found}, {item.path for item in failed}
    rows = [row for row, key in enumerate(keys) if key in known]
    gone = [path for path, key in zip(images.paths, keys, strict=True) if key not in known and path not in told]
    if gone:
        raise OSError(f"{partial or folder}: features of {len(gone):,} pictures, such as {gone[0]}, were removed from "
                      "it meanwhile; the table is as it was. Run it again")
    kept = _readable(images, rows, failed)
    records = [{"path": images.paths[row], "label": int(images.labels[row]), "sha256": keys[row],
                "size": stats[row][0], "mtime_ns": stats[row][1]} for row in rows]
    document = {"backbone": describe(backbone), "dim": backbone.dim, "dtype": dtype, "n": len(rows),
                "root": str(images.root) if images.root else None, "label_names": list(images.label_names),
                "class_level": images.class_level, "sources": list(images.sources),
                "skipped": [list(item) for item in kept.skipped]}
    if old and not prune:
        here = {record["sha256"] for record in records}
        idle = {record["sha256"]: record for record in old[1] if record["sha256"] not in here}
        records += [record for key, record in idle.items() if key in known]
    if not old or old[1] != records or any(old[0][name] != document[name] for name in SAME):
        write(folder, document, records, [known[record["sha256"]] for record in records])
    if partial:
        storage.remove(partial)
    matrix = open_table(folder)[2][:len(rows)]
    return FeatureTable(matrix, kept, describe(backbone), folder, computed, contents_of(records[:len(rows)]))


def _content_keys(images, records):
    """The SHA-256 of each image, trusting a record whose path, size and time are unchanged."""
    trusted = {(record["path"], record["size"], record["mtime_ns"]): record["sha256"] for record in records}
    keys, stats, failed = [], [], []
    for row, path in enumerate(images.paths):
        try:
            held = images.held(row)
            if held is not None:
                stat, known = (held.nbytes, 0), None
            else:
                stat = storage.stamp(images.file(row))
                known = trusted.get((path, *stat))
            key = known or images.digest(row)
        except OSError as error:
            stat, key = (0, 0), None
            failed.append(Skipped(path, error.strerror or str(error)))
        keys.append(key)
        stats.append(stat)
    return keys, stats, failed


def forward(images: ImageSet, rows: Iterable[int], backbone: Backbone, network: Callable
            ) -> Iterator[tuple[int, int, np.ndarray | str]]:
    """Yields (pictures done, row, feature vector or the reason why there is none).

    Pictures are decoded in threads while the network works on those before them, in their order.
    """
    def prepared(row):
        try:
            return backbone.prepare(images.read(row))
        except (ValueError, OSError) as error:
            return str(error).removeprefix(f"{images.root and images.root / images.paths[row]}: ")

    waiting, done = iter(rows), 0
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        ahead = deque((row, pool.submit(prepared, row)) for row in itertools.islice(waiting, AHEAD))
        while ahead:
            batch = [ahead.popleft() for _ in range(min(BATCH, len(ahead)))]
            decoded = [future.result() for _, future in batch]
            ahead.extend((row, pool.submit(prepared, row)) for row in itertools.islice(waiting, len(batch)))
            pictures = [picture for picture in decoded if not isinstance(picture, str)]
            features = iter(network(np.stack(pictures)) if pictures else ())
            for (row, _), picture in zip(batch, decoded, strict=True):
                done += 1
                yield done, row, picture if isinstance(picture, str) else next(features)


def _readable(images, rows, failed):
    """The images that have features, with the others added to what was skipped."""
    if not rows:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in (*failed, *images.skipped)[:3])
        raise ValueError(f"none of {len(images)} pictures could be read ({reasons or 'no pictures were given'})")
    return replace(images.subset(np.array(rows, np.int64)), skipped=(*images.skipped, *failed))


def write_part(folder: Path, keys: Sequence[str], rows: np.ndarray, records: Sequence = ()) -> None:
    """Finished rows with their content keys, and what else is known of their pictures, as an artefact of their own."""
    # not in the folder itself: the extraction holds its lock
    with storage.Commit(folder / "parts", f"part-{uuid.uuid4().hex[:12]}",
                        {"keys": list(keys), "records": list(records)}) as commit:
        write_npy(commit.file("rows.npy"), rows)


def parts_of(folder: Path) -> Iterator[tuple[dict, Path]]:
    """(document, path of the rows) of every part that can be read; a damaged one is computed again."""
    for manifest in sorted((folder / "parts").glob("part-*.json")):
        with contextlib.suppress(OSError, ValueError, LookupError):
            document, paths = storage.open_artefact(manifest.parent, manifest.stem)
            yield document, paths["rows.npy"]


def known_vectors(partial: Path | None, old: tuple | None, dtype: str) -> dict[str, tuple]:
    """{content key: (matrix, row)} of every vector in the table, and in the parts where their folder is given."""
    if old and old[0]["dtype"] == "float16" and dtype == "float32":
        old = None  # half precision can't be turned back into single: such vectors are computed again
    known: dict[str, tuple] = {}
    for document, path in parts_of(partial) if partial else ():
        with contextlib.suppress(OSError, ValueError):  # damaged, too
            keys, matrix = document["keys"], np.load(path, mmap_mode="r", allow_pickle=False)
            if len(keys) == len(matrix):
                known |= {key: (matrix, row) for row, key in enumerate(keys)}
    if old:
        known |= {record["sha256"]: (old[2], row) for row, record in enumerate(old[1])}
    return known
