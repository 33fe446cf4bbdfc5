"""Pictures → features by many workers: dealt out in shards, each kept as it comes, none computed twice.

Each worker loads the network once, and turns the parts of the pictures that it is given into features.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from threading import Lock
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from devise import backbones, features, storage
from devise.backbones.base import Backbone
from devise.datasets import ImageSet, Skipped, read_image
from devise.distributed import ray
from devise.distributed.sources import Fetched, OnDisk, Part
from devise.features.extraction import forward, home, keep, known_vectors, parts_of, publish, table_of, write_part

THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
SHARD_ROWS = 512  # what a killed worker has to do again; VGG16's features of as many take 8 MB


def extract(pictures: ImageSet | Fetched, load_backbone: Callable[[], Backbone],
            folder: str | os.PathLike | None = None, *, workers: int = 2, address: str | None = None, threads: int = 1,
            gpus: float = 0, dtype: str = "float32", shard_rows: int = SHARD_ROWS,
            overwrite: bool = False, progress: Callable[[int, int], None] | None = None) -> features.FeatureTable:
    """The feature table of a set of pictures, as `devise.features.extract` gives it, by several workers.

    Each worker loads the network once. It reads its pictures where they lie and sends the vectors
    back through Ray's object store, so that only this process needs the table's folder. A shard is on
    disk as soon as it is done: a run that was stopped goes on there, here or by `features.extract`.
    What a worker had at hand when it was killed, or its node, is done by another one.

    Args:
        pictures: an ImageSet on a disk that all workers see under the same path, or what `from_url` or
            `from_parquet` gave.
        load_backbone: a function without arguments that loads the network,
            `functools.partial(backbones.load, "vgg16")`; each worker calls it.
        folder: of the table; by default as for `features.extract`.
        workers: how many.
        address: of a Ray cluster, "auto" or "ray://host:10001", by default what RAY_ADDRESS says; without either,
            or with "local", Ray is started on this machine, for this call, on the loopback interface.
        threads: processors of each worker, and threads of its arithmetic.
        gpus: GPUs of each worker; a fraction lets several share one.
        dtype: float32 or float16.
        shard_rows: pictures that are dealt out at a time.
        overwrite: whether the features of other pictures, from another folder, may be lost.
        progress: callable (done, total), in pictures.
    Returns:
        FeatureTable, its rows in the order of the pictures.
    Raises:
        ValueError: if the folder holds another backbone's features, no picture can be read, workers have
            different networks, or a node can't read what this machine can, or reads another content; the message
            names the node.
        ChildProcessError: if workers keep dying over a shard, or none can be begun; the message names its
            pictures and the nodes.
        FileExistsError: if the folder holds features of other pictures, or files of somebody else's.
        MissingDependency: if Ray is not installed.

    >>> from functools import partial
    >>> from devise import backbones, datasets
    >>> load = partial(backbones.load, "efficientnet_lite0")
    >>> table = extract(datasets.from_folder("pictures"), load, "features", workers=2)  # doctest: +SKIP
    """
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype is {dtype!r}: expected 'float32' or 'float16'")
    if shard_rows < 1 or workers < 1:
        raise ValueError(f"shard_rows is {shard_rows} and workers is {workers}: expected 1 or more")
    dealt = OnDisk(pictures) if isinstance(pictures, ImageSet) else pictures
    with ray.crew(Worker, load_backbone, threads, hello="describe", agree=_same, workers=workers, address=address,
                  cpus=threads, gpus=gpus) as crew:
        backbone: Any = SimpleNamespace(**crew.gather()[0])
        folder = home(dealt.images, backbone, folder)[0]
        partial = folder / f"partial-{backbone.fingerprint[:12]}"
        storage.vacant(folder)
        with storage.alone(partial):
            return _deal(crew, dealt, backbone, folder, partial, dtype=dtype, shard_rows=shard_rows,
                         overwrite=overwrite, progress=progress)


def _same(first, other, node):
    """Refuse a worker whose network is not that of the first."""
    if other["fingerprint"] != first["fingerprint"]:
        raise ValueError(f"workers have different networks, {first['name']} ({first['fingerprint'][:12]}) and, on "
                         f"{node}, {other['name']} ({other['fingerprint'][:12]}): give all machines the same weights")


def _deal(crew, pictures, backbone, folder, partial, *, dtype, shard_rows, overwrite, progress):
    """Deal out what no table and no part has, keep each shard as it comes, and publish the table."""
    images, old, stats, failed = pictures.images, table_of(folder, backbone), [], {}
    for row in range(len(images)):
        try:
            stats.append(pictures.stat(row))
        except OSError as error:
            stats.append((0, 0))
            failed[row] = error.strerror or str(error)
    records = [record for document, _ in parts_of(partial) for record in document.get("records", ())]
    trusted = {(record["path"], record["size"], record["mtime_ns"]): record["sha256"]
               for record in [*(old[1] if old else []), *records]}
    known = known_vectors(partial, old, dtype)
    keys = [trusted.get((path, *stat)) for path, stat in zip(images.paths, stats, strict=True)]
    keys = [key if key in known else None for key in keys]
    wanted = [row for row, key in enumerate(keys) if key is None and row not in failed]
    shards = [wanted[start:start + shard_rows] for start in range(0, len(wanted), shard_rows)]
    done, computed = len(images) - len(wanted), 0
    for number, shard, node in crew.map("extract", (pictures.part(rows) for rows in shards), name=_named):
        rows = shards[number]
        _refuse_another_disk(pictures, rows, shard, node)
        failed |= {rows[place]: reason for place, reason in shard.reasons.items()}
        found = [(rows[place], shard.keys[place]) for place in shard.places.tolist()]
        if found:  # which pictures a part is of comes last in it, and makes it count
            write_part(partial, [key for _, key in found], shard.vectors,
                       [{"path": images.paths[row], "sha256": key, "size": stats[row][0], "mtime_ns": stats[row][1]}
                        for row, key in found])
        for row, key in found:
            keys[row] = key
        computed, done = computed + len(found), done + len(rows)
        if progress:
            progress(done, len(images))
    if old and not overwrite:
        keep(folder, old, images, keys)
    skipped = [Skipped(images.paths[row], failed[row]) for row in sorted(failed)]
    return publish(images, backbone, folder, partial, old, (keys, stats, skipped), dtype, computed=computed)


def _refuse_another_disk(pictures, rows, shard, node):
    """Refuse a node that can't read what this machine can, or reads another content under the same path."""
    places = sorted(shard.reasons)  # only what can be read nowhere is skipped
    lost = unread(pictures.part([rows[place] for place in places])) if places else ()
    seen = [place for number, place in enumerate(places) if number not in lost]
    if seen:
        path, reason = pictures.images.paths[rows[seen[0]]], shard.reasons[seen[0]]
        raise ValueError(f"the worker on {node} can't read {len(seen)} of {len(rows)} pictures that can be read "
                         f"here, such as {path} ({reason}): let every node see the same pictures under the same "
                         "path, or leave that node out; the same call goes on behind what is done")
    for place in shard.places.tolist() if isinstance(pictures, OnDisk) else ():
        with contextlib.suppress(OSError):  # it went away since
            if pictures.images.digest(rows[place]) != shard.keys[place]:
                raise ValueError(f"the worker on {node} read another content of {pictures.images.paths[rows[place]]} "
                                 "than lies here: let every node see the same pictures under the same path, and "
                                 "change none meanwhile; the same call goes on behind what is done")


def _named(part):
    """A part in a message."""
    return f"{part.paths[0]} … {part.paths[-1]}" if len(part.paths) > 1 else part.paths[0]


class Shard(NamedTuple):
    """What became of a part."""

    keys: list  # the sha256 of each picture's content, None where it could not be had
    places: np.ndarray  # int (m,), which pictures have a vector
    vectors: np.ndarray  # float32 (m, dim), theirs
    reasons: dict  # {place: why it has none} of all others


class Worker:
    """A network, and the loop that pictures pass through; several threads may call it.

    Args:
        load_backbone: a function that loads the network, such as a `functools.partial` of `backbones.load`.
        threads: of the network's arithmetic; set before TensorFlow is imported, else without effect.
    """

    def __init__(self, load_backbone, threads=1):
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
        self._backbone, self._turn = load_backbone(), Lock()

    def describe(self):
        """What the network is, as a feature table records it."""
        return backbones.describe(self._backbone)

    def extract(self, part):
        """The Shard of a Part. One part is fetched while another one is computed."""
        with part.opened() as (images, reasons):
            keys, places, vectors = [None] * len(images), [], []
            for place in range(len(images)):
                if place not in reasons:
                    try:
                        keys[place] = storage.digest(images.file(place))
                    except OSError as error:
                        reasons[place] = error.strerror or str(error)
            there = [place for place in range(len(images)) if place not in reasons]
            with self._turn:
                for _, place, value in forward(images, there, self._backbone, self._backbone.features):
                    if isinstance(value, str):
                        reasons[place] = value
                    else:
                        places.append(place)
                        vectors.append(value)
        rows = np.array(vectors, np.float32).reshape(len(places), self._backbone.dim)
        return Shard(keys, np.array(places, np.int64), rows, reasons)


def unread(part: Part) -> dict[int, str]:
    """{place: why} of the pictures of a part that this machine can't read."""
    with part.opened() as (images, reasons):
        for place in range(len(images)):
            if place not in reasons:
                try:
                    read_image(images.file(place))
                except (ValueError, OSError) as error:
                    reasons[place] = str(error).removeprefix(f"{images.file(place)}: ")
        return reasons
