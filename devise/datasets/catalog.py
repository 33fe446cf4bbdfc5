"""Data sets and weights that can be fetched: address, size, checksum and licence of each."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devise import storage
from devise.errors import unknown
from devise.storage.archives import workplace
from devise.storage.claims import put
from devise.storage.disk import replace
from devise.storage.fetch import discard


@dataclass(frozen=True)
class Entry:
    """A set that can be fetched."""

    name: str  # how to ask for it
    what: str  # in one line
    url: str  # of the file at its source
    size: int  # of that file, in bytes
    checksum: str | None  # "sha256:…" or "md5:…"
    established: str  # who published the size and the checksum
    licence: str
    root: str  # "data" or "pretrained", the folder it goes to
    target: str  # what lies there in the end; {dim} stands for the chosen dim
    inside: tuple[str, ...] = ()  # the way from the file to the target: a member of it, then a member of that
    left_out: tuple[str, ...] = ()  # folders of the target that are no part of the set
    dims: tuple[int, ...] = ()  # to choose from; the last is the usual one


ENTRIES = {entry.name: entry for entry in (
    Entry(
        name="caltech101",
        what="Caltech-101, 8,677 pictures of 101 classes (Fei-Fei, Fergus and Perona 2004)",
        url="https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
        size=137_414_764,
        checksum="sha256:331234750fc7f77520e50d9565e8b6907b03565e30320da1401130db08c61f91",
        established="size and sha256: tensorflow-datasets, datasets/caltech101/checksums.tsv; torchvision, "
                    "datasets/caltech.py, gives md5 3138e1922a9193bfa496528edbbc45d0",
        licence="CC BY 4.0",
        root="data",
        target="caltech101",
        inside=("caltech-101/101_ObjectCategories.tar.gz", "101_ObjectCategories"),
        left_out=("BACKGROUND_Google",),  # 467 pictures of no class
    ),
    Entry(
        name="cub200",
        what="CUB-200-2011, 11,788 pictures of 200 species of birds (Wah et al. 2011)",
        url="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
        size=1_150_585_339,
        checksum="md5:97eceeb196236b17998738112f37df78",
        established="md5: TDeVries/cub2011_dataset and Avalanche's CUB200, which name the same file; size: fastai, "
                    "data/external.py; no sha256 is published",
        licence="for non-commercial research and education",
        root="data",
        target="cub200",
        inside=("CUB_200_2011",),
    ),
    Entry(
        name="glove-6b",
        what="GloVe vectors of 400,000 words, from Wikipedia 2014 and Gigaword 5 (Pennington et al. 2014)",
        url="https://nlp.stanford.edu/data/glove.6B.zip",
        size=862_182_613,
        checksum="sha256:617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
        established="sha256: torchtext, experimental/vectors.py, and Embeddings.jl, src/glove.jl; size: the "
                    "download that Keras' example pretrained_word_embeddings shows",
        licence="PDDL 1.0",
        root="pretrained",
        target="glove.6B.{dim}d.txt",
        inside=("glove.6B.{dim}d.txt",),
        dims=(50, 100, 200, 300),
    ),
    Entry(
        name="vgg16",
        what="VGG16 with its classifier, ImageNet weights for Keras (Simonyan and Zisserman 2015)",
        url="https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
            "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        size=553_467_096,
        checksum="md5:64373286793e3c8b2b4e3219cbf3544b",
        established="md5: Keras, applications/vgg16.py, which publishes no sha256; size: what Keras shows "
                    "as it downloads the file",
        licence="CC BY, Visual Geometry Group, University of Oxford",
        root="pretrained",
        target="vgg16_weights_tf_dim_ordering_tf_kernels.h5",
    ),
)}


def entries() -> tuple[Entry, ...]:
    """Every known set, as a tuple of `Entry`.

    >>> [entry.name for entry in entries()]
    ['caltech101', 'cub200', 'glove-6b', 'vgg16']
    """
    return tuple(ENTRIES.values())


def fetch(name: str, *, dim: int | None = None, source: str | os.PathLike | None = None,
          root: str | os.PathLike | None = None, url: str | None = None,
          progress: Callable[[int, int | None], object] | None = None) -> Path:
    """Fetch a known set, or leave it as it is where it is on this disk already.

    caltech101 becomes `data/caltech101/<class>/*.jpg`, cub200 the folder `data/cub200` that its reader
    takes, glove-6b `pretrained/glove.6B.<dim>d.txt`, vgg16 its file in `pretrained/`. Of an archive only
    that is kept.

    Args:
        name: one of `entries()`.
        dim: for glove-6b, 50, 100, 200 or 300 (the default).
        source: the set's file, brought by hand; it is checked and stays where it is.
        root: the folder of `data/` and `pretrained/`, None for `storage.home()`.
        url: another address of the same file; size and checksum stay.
        progress: called as progress(done, total) with the downloaded bytes.
    Returns:
        Path of the folder or file.
    Raises:
        ValueError: if the name or dim is unknown, or the file is a wrong or a hostile one.
        FileNotFoundError: if the source or the address leads to no file.
        ConnectionError: if there is no network, or it broke too often.
        OSError: if the disk is full.
    """
    if name not in ENTRIES:
        raise ValueError(unknown("set", name, ENTRIES))
    entry = ENTRIES[name]
    dim = _dim(entry, dim)
    place = (Path(root) if root else storage.home()) / entry.root
    target = place / entry.target.format(dim=dim)
    if entry.inside and target.exists():
        return target
    place.mkdir(parents=True, exist_ok=True)
    check: dict[str, Any] = {"checksum": entry.checksum, "size": entry.size}
    if source and not entry.inside:
        return storage.bring(source, target, **check)
    if source:
        storage.verify(source, **check)
        return _open_up(entry, Path(source), target, dim)
    by_hand = f"devise fetch {name}{f' --dim {dim}' if dim else ''} --from FILE"
    arrived = place / ".download" / Path(entry.url).name if entry.inside else target
    storage.fetch(url or entry.url, arrived, **check, progress=progress, by_hand=by_hand,
                  passing=bool(entry.inside))
    if entry.inside:
        _open_up(entry, arrived, target, dim)
        discard(arrived)  # unless somebody brought it
        with contextlib.suppress(OSError):  # another set may be on its way
            arrived.parent.rmdir()
    return target


def _dim(entry, dim):
    """The chosen dim, the usual one for None; None where there is no choice."""
    if dim is not None and dim not in entry.dims:
        raise ValueError(f"{entry.name} has no dim {dim}: expected " +
                         (", ".join(map(str, entry.dims)) if entry.dims else "none, it comes in one form"))
    return dim or (entry.dims[-1] if entry.dims else None)


def _open_up(entry, archive, target, dim):
    """Put what the entry keeps of an archive in its place, in one step at the end."""
    with workplace(target) as (work, _):
        found = archive
        for level, member in enumerate(entry.inside):
            member = member.format(dim=dim)
            found = storage.unpack(found, work / str(level), members=[member]) / member
        for name in entry.left_out:
            shutil.rmtree(found / name, ignore_errors=True)
        if found.is_file():
            put(found, target)
        else:
            replace(found, target)  # a folder takes the place of an empty one at most
    return target
