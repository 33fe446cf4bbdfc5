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

FORMAT = 1
OWN = {"kind", "format", "files"}  # what Commit writes into a manifest beside the document
DAY = 24 * 60 * 60


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
    """`document` as indented UTF-8 JSON, atomically; NaN is refused, since JSON has none."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path):
    """The document in a JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}): it is damaged, make it again") from error


class Commit:
    """Collects the files of an artefact and makes them visible in one step.

    Used as a context manager: `with Commit(folder, "index", document) as commit:` and inside it
    `commit.file("ids.npy")` gives a temporary path to write to. Leaving the block renames every
    file to a name with its digest, writes the manifest, and removes what no manifest names.
    One process at a time may commit to a folder; any number may read it.

    Raises:
        ValueError: if the document has a key that the manifest needs for itself.
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
    whoever reads while another process writes asks again on FileNotFoundError.

    Returns:
        document dict, and {name: Path}.
    Raises:
        FileNotFoundError: if the folder holds no such artefact, or a file of it is gone.
        ValueError: if its manifest is of another kind or of a later format.
    """
    folder = Path(folder)
    manifest = folder / f"{kind}.json"
    if not manifest.is_file():
        raise FileNotFoundError(f"{folder} holds no {kind}: expected the file {manifest.name} in it")
    seen = None
    while True:
        document = read_json(manifest)
        if not isinstance(document, dict) or document.get("kind") != kind or "files" not in document:
            raise ValueError(f"{manifest} is not a manifest of kind {kind!r}: it is damaged, make it again")
        if document.get("format", 0) > FORMAT:
            raise ValueError(f"{manifest} has format {document['format']}, this devise reads {FORMAT}: "
                             "upgrade devise")
        paths = {name: folder / Path(entry["file"]).name for name, entry in document["files"].items()}
        gone = [str(path) for path in paths.values() if not path.is_file()]
        if not gone:
            return document, paths
        if document == seen:  # else a writer has swept between our two reads: look at the new state
            raise FileNotFoundError(f"{folder} lacks {', '.join(gone)}: make the {kind} again")
        seen = document


def digest(path, *, algorithm="sha256"):
    """The hex digest of a file's content, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


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
        except ValueError:
            return None
        if isinstance(document, dict) and document.get("kind") == manifest.stem:
            named |= {entry["file"] for entry in document["files"].values()}
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
