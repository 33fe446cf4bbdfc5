"""Writes that are there whole or not at all, for single files and for folders of several.

An artefact is a folder with one manifest `<kind>.json`, which names the data files beside it.
Data files carry a digest in their names and are never changed; replacing the manifest is the one
step that makes a new state visible, so a reader finds the old state or the new one.
"""

import contextlib
import glob
import hashlib
import json
import os
import time
from pathlib import Path

from devise.storage.locks import alone

FORMAT = 1
OWN = {"kind", "format", "files"}  # what Commit writes into a manifest beside the document
DAY = 24 * 60 * 60
STUMBLES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, EOFError, MemoryError)


@contextlib.contextmanager
def atomic_path(path):
    """A temporary path beside `path` that takes its place when the block ends without an error.

    >>> with atomic_path("/tmp/devise-doctest.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> Path("/tmp/devise-doctest.txt").read_text()
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path.parent, path.suffix)
    try:
        yield temporary
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace(temporary, path):
    """Put a finished file or folder in the place of `path`, on the same disk, for good."""
    _flush(temporary)
    os.replace(temporary, path)
    _flush(Path(path).parent)


def write_json(path, document):
    """`document` as indented UTF-8 JSON, atomically; NaN is refused, since JSON has none.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(f"{folder}/a.json", {"seeds": 5})
    ...     Path(folder, "a.json").read_text()
    '{\\n  "seeds": 5\\n}\\n'
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        # a path that is not UTF-8 holds surrogates; "\\udcff" is what JSON calls one
        temporary.write_bytes((text + "\n").encode("utf-8", "backslashreplace"))


def read_json(path):
    """The document in a JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON, or nested too deep.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(f"{folder}/a.json", {"seeds": 5})
    ...     read_json(f"{folder}/a.json")
    {'seeds': 5}
    """
    content = Path(path).read_bytes()
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}): it is damaged, make it again") from error


class Commit:
    """Collects the files of an artefact and makes them visible in one step.

    Used as a context manager: `with Commit(folder, "index", document) as commit:` and inside it
    `commit.file("ids.npy")` gives a temporary path to write to. Leaving the block renames every
    file to a name with its digest, writes the manifest, and removes what no manifest names.
    Any number of processes may read the folder meanwhile; of several that commit the last one counts.

    Raises:
        ValueError: if the document has a key that the manifest needs for itself.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Commit(folder, "note", {"by": "me"}) as commit:
    ...         _ = commit.file("note.txt").write_text("whole")
    ...     document, paths = open_artefact(folder, "note")
    ...     document["by"], paths["note.txt"].read_text()
    ('me', 'whole')
    """

    def __init__(self, folder, kind, document):
        if taken := OWN & set(document):
            raise ValueError(f"the document of a {kind} has the key {sorted(taken)[0]!r}, which its "
                             "manifest uses itself: choose another name")
        self.folder, self.kind, self.document = Path(folder), kind, dict(document)
        self._temporary = {}

    def file(self, name):
        """A path to write the data file `name` to."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if name not in self._temporary:
            self._temporary[name] = _temporary(self.folder, os.path.splitext(name)[1])
        return self._temporary[name]

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind, error, trace):
        try:
            if error is None:
                with alone(self.folder):  # or another's sweep could take what our manifest is about to name
                    self._publish()
        finally:
            for path in self._temporary.values():
                path.unlink(missing_ok=True)

    def _publish(self):
        files = {}
        for name, temporary in self._temporary.items():
            stem, suffix = os.path.splitext(name)
            checksum = digest(temporary)
            files[name] = {"file": f"{stem}-{checksum[:12]}{suffix}", "sha256": checksum}
            replace(temporary, self.folder / files[name]["file"])
        manifest = {"kind": self.kind, "format": FORMAT, **self.document, "files": files}
        write_json(self.folder / f"{self.kind}.json", manifest)
        _sweep(self.folder, set(self._temporary))


def open_artefact(folder, kind):
    """The manifest of an artefact and the paths of its files.

    A commit that ends between this call and the opening of a path may have removed the file:
    `read_artefact` then asks again.

    Returns:
        document dict, and {name: Path}.
    Raises:
        FileNotFoundError: if the folder holds no such artefact, or a file of it is gone.
        ValueError: if its manifest is of another kind or of a later format.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Commit(folder, "note", {}) as commit:
    ...         _ = commit.file("note.txt").write_text("whole")
    ...     list(open_artefact(folder, "note")[1])
    ['note.txt']
    """
    folder = Path(folder)
    manifest = folder / f"{kind}.json"
    if not manifest.is_file():
        raise FileNotFoundError(f"{folder} holds no {kind}: expected the file {manifest.name} in it")
    seen = None
    while True:
        document = read_json(manifest)
        paths = _paths(manifest, document, kind)
        gone = [str(path) for path in paths.values() if not path.is_file()]
        if not gone:
            return document, paths
        if document == seen:  # else a writer has swept between our two reads: look at the new state
            raise FileNotFoundError(f"{folder} lacks {', '.join(gone)}: make the {kind} again")
        seen = document


def read_artefact(folder, kind, read, *, check=()):
    """What `read(document, paths)` makes of an artefact, called again where a commit came in between.

    Args:
        read: gets what `open_artefact` returns. Whatever it stumbles over in a damaged artefact, a
            key that is missing or a value of another type, becomes a ValueError.
        check: the names of files to be compared with their digests first, where they are there.
    Raises:
        FileNotFoundError, ValueError: as `open_artefact`; or if the artefact can't be read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Commit(folder, "note", {}) as commit:
    ...         _ = commit.file("note.txt").write_text("whole")
    ...     read_artefact(folder, "note", lambda document, paths: paths["note.txt"].read_text(), check=["note.txt"])
    'whole'
    """
    while True:
        document, paths = open_artefact(folder, kind)
        try:
            for name in paths.keys() & set(check):
                if digest(paths[name]) != document["files"][name]["sha256"]:
                    raise ValueError(f"{paths[name]} is damaged, its content is not what was saved: make it again")
            return read(document, paths)
        except (OSError, *STUMBLES) as error:
            if open_artefact(folder, kind)[0] != document:
                continue  # another process has put a new state in its place
            if isinstance(error, OSError) or isinstance(error, ValueError) and str(folder) in str(error):
                raise
            detail = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise ValueError(f"the {kind} in {folder} is damaged or of another devise ({detail}): "
                             "make it again") from error


def digest(path, *, algorithm="sha256"):
    """The hex digest of a file's content, read in blocks.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     digest(file.name)[:12]
    'e3b0c44298fc'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _paths(manifest, document, kind):
    """The files that a manifest names, all of them beside it."""
    files = document.get("files") if isinstance(document, dict) and document.get("kind") == kind else None
    entries = files.values() if isinstance(files, dict) else [None]
    if not all(isinstance(entry, dict) and isinstance(entry.get("file"), str) for entry in entries):
        raise ValueError(f"{manifest} is not a manifest of kind {kind!r}: it is damaged, make it again")
    version = document.get("format", 0)
    if not isinstance(version, int) or version > FORMAT:
        raise ValueError(f"{manifest} has format {version!r}, this devise reads {FORMAT}: upgrade devise")
    return {name: manifest.parent / Path(entry["file"]).name for name, entry in files.items()}


def _sweep(folder, names):
    """Remove the earlier generations of the files called `names`, unless a manifest names them."""
    for path in folder.glob(".partial-*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - DAY:  # a killed writer left it: a live one's is younger
                path.unlink()
    named = _named(folder)
    for name in names if named is not None else ():
        stem, suffix = map(glob.escape, os.path.splitext(name))
        for path in folder.glob(f"{stem}-{'[0-9a-f]' * 12}{suffix}"):
            if path.name not in named:
                path.unlink(missing_ok=True)


def _named(folder):
    """The data files that the manifests in a folder name, or None where one can't be read."""
    named = set()
    for manifest in folder.glob("[!.]*.json"):
        try:
            document = read_json(manifest)
            if isinstance(document, dict) and document.get("kind") == manifest.stem:
                named |= {path.name for path in _paths(manifest, document, manifest.stem).values()}
        except ValueError:
            return None
    return named


def _temporary(folder, suffix):
    """A new empty file; unlike tempfile's it has the permissions of any other new file."""
    path = Path(folder) / f".partial-{os.urandom(6).hex()}{suffix}"
    path.touch(exist_ok=False)
    return path


def _flush(path):
    """Push a file's or a folder's content to the disk, so that a rename after it is safe."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
