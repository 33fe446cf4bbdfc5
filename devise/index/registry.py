"""Engines by name: an engine is a file of this folder that holds a class of the same name.

`exact.py` holds `Exact`; a new engine is one new file, and no line anywhere else.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devise.errors import MissingDependency, pip_line, unknown
from devise.storage import inside, read_artefact

if TYPE_CHECKING:
    from devise.index.base import Index

# Both by `devise bench index`. Comparing every row reads them all, 4 · n · dim bytes a query: 30 million numbers are
# 120 MB, 9 ms on two idle cores. At 100,000 × 300 a query took 1.9 ms in usearch (recall@10 .993), 1.1 in hnswlib
# (.995), 6.0 in faiss (.996); annoy found .93 in 6.0. usearch is before hnswlib since it is mapped, not read, and
# comes as a wheel.
EXACT_NUMBERS = 30_000_000
PREFERRED = ("usearch", "hnswlib", "faiss", "annoy")
# the files here that are no engines
OTHERS = {"approximate", "base", "comparing", "database", "members", "registry", "segments"}


def engines() -> tuple[str, ...]:
    """The names that `make` knows, whether their packages are installed or not.

    >>> "exact" in engines()
    True
    """
    files = {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])}
    return tuple(sorted(files - OTHERS))


def make(engine: str, **options: object) -> Index:
    """An empty index of this engine.

    Args:
        engine: one of `engines()`.
        options: the engine's own, and `fingerprint`.
    Raises:
        ValueError: for an unknown engine; the message has the near spellings.
        TypeError: for an option that the engine hasn't.
        MissingDependency: if the engine's package is not installed.

    >>> len(make("exact").build([[3, 4], [1, 0]]))
    2
    """
    if engine not in engines():
        raise ValueError(unknown("index engine", engine, engines()))
    kind = _kind(engine)
    known = _options(kind)
    strange = sorted(set(options) - set(known))
    if strange:
        raise TypeError(f"{engine} has no option {', '.join(strange)}: expected {', '.join(known)}")
    return kind(**options)


def choose(n: int, dim: int, *, options: Sequence[str] = ()) -> tuple[str, str]:
    """The engine that suits so many vectors: exact while that is fast, then the best that is installed.

    Args:
        n: how many vectors.
        dim: of the vectors.
        options: names of options that the engine shall have.
    Returns:
        The name, and the reason in words.
    Raises:
        TypeError: if no engine has these options.
        MissingDependency: if none of those that have them is installed.

    >>> choose(1000, 300)
    ('exact', '1,000 × 300 numbers are compared in a moment')
    """
    if not options and n * dim <= EXACT_NUMBERS:
        return "exact", f"{n:,} × {dim:,} numbers are compared in a moment"
    missing = []
    for engine in PREFERRED:
        if not set(options) <= set(_options(_kind(engine))):
            continue
        try:
            make(engine)
        except MissingDependency as error:
            missing.append(error)
        else:
            return engine, (f"it has {', '.join(options)}" if options else
                            f"{n:,} × {dim:,} numbers take long to compare, and of {', '.join(PREFERRED)} it is the "
                            "first that is installed")
    if options and not missing:
        raise TypeError(f"no engine has the options {', '.join(options)}: name the engine, see devise.index.engines()")
    if options:
        raise missing[0]
    return "exact", (f"{n:,} × {dim:,} numbers take long to compare, but no other engine is installed: "
                     f"{pip_line(PREFERRED[0])}")


def outside(document: Mapping[str, Any]) -> dict | None:
    """What a saved index has outside its folder, by its manifest; None where it is all there.

    >>> outside({"engine": "milvus", "outside": {"collection": "devise_shared_1a2b"}})
    {'engine': 'milvus', 'collection': 'devise_shared_1a2b'}
    """
    return {"engine": document["engine"], **document["outside"]} if document.get("outside") else None


def discard(record: dict, folder: str | Path) -> None:
    """Drop what an index had outside its folder, as `outside` gave it, where it is that folder's own.

    Args:
        folder: of the index, or its home; what is another folder's, of which it may be a copy, stays as it is.
    Raises:
        ConnectionError: if the database does not answer.

    >>> discard({"engine": "milvus", "uri": "pictures.db", "collection": "a", "owner": {}}, "index")  # doctest: +SKIP
    """
    _kind(record["engine"]).discard(record, folder)


def _kind(engine):
    return getattr(importlib.import_module(f"devise.index.{engine}"), engine.capitalize())


def _options(kind):
    return list(inspect.signature(kind).parameters)


def load(folder: str | Path, *, fingerprint: str | None = None, check: bool = True) -> Index:
    """The index that `Index.save` wrote, of the engine that the folder names.

    Args:
        fingerprint: of the model whose vectors will be searched; None takes any.
        check: compare files with their digests, but for those that lie there as they were written. A damaged tree
            could crash the process, so leave it on for folders that have travelled.
    Raises:
        FileNotFoundError: if there is no index, or a file of it is gone.
        ValueError: if a file is damaged, or the index was built for another model.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make("exact").build([[3, 4], [1, 0]]).save(folder)
    ...     load(folder).search([[1, 0]], k=1).ids
    array([[1]])
    """
    return read_artefact(folder, "index", partial(_restored, folder, fingerprint), check=None if check else ())


def loaded(document: Mapping[str, Any], files: Mapping[str, Path], part: str, folder: str | Path) -> Index:
    """An index that was `stored` as a part of an artefact.

    Args:
        document: the artefact's manifest, which has what the part says under "indexes".
        files: {name: path} of the artefact in `folder`.

    >>> document, files = storage.open_artefact("index", "search")  # doctest: +SKIP
    >>> len(loaded(document, files, "shared", "index"))  # doctest: +SKIP
    110
    """
    told = {"document": {}, **document["indexes"][part], "files": inside(document["files"], part)}
    return _restored(folder, None, told, inside(files, part))


def _restored(folder, fingerprint, document, paths):
    """The index that a manifest tells of, {name: path} being its files; ValueError if it can't be, or is another's."""
    lacks = {"engine", "parameters", "dim", "n", "fingerprint", "document"} - set(document)
    if lacks:
        raise ValueError(f"the manifest in {folder} lacks {', '.join(sorted(lacks))}: build the index again")
    made_for = document["fingerprint"]
    if fingerprint is not None and fingerprint != made_for:
        raise ValueError(f"the index in {folder} was built for model {made_for!r}, not for {fingerprint!r}: "
                         "build it again with this model, or load the model it was built for")
    index = make(document["engine"], fingerprint=made_for, **document["parameters"])
    try:
        digests = {name: entry["sha256"] for name, entry in document["files"].items()}
        index.restore({**document, "digests": digests}, paths)
    except (KeyError, OSError, EOFError, ValueError) as error:
        raise ValueError(f"the index in {folder} is damaged ({error}): build it again") from error
    return index
