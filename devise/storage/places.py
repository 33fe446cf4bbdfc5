"""Where files lie: the folders of data and weights on this disk, and what is behind a URL.

Data and weights are in the checkout, under DEVISE_HOME, or in the user's cache. URLs are s3://, gs://, file:// and
what else fsspec opens, http:// as pages of links.
"""

import os
import posixpath
from datetime import datetime
from pathlib import Path

import devise
from devise.errors import MissingDependency, require

INSTALLED = {"data": "bundled", "pretrained": "bundled_weights"}  # folders of the checkout in an installed package
TRIES = 3
CHANGED = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")  # as file systems call it


def checkout() -> Path | None:
    """The folder of the source checkout that `devise` runs from, or None when it is installed.

    >>> checkout() is None or (checkout() / "setup.py").is_file()
    True
    """
    folder = Path(devise.__file__).resolve().parent.parent
    return folder if (folder / "setup.py").is_file() and (folder / "data").is_dir() else None


def user_home() -> Path:
    """The user's home; for a user of whom the system knows none, one that is not there.

    >>> user_home().is_absolute()
    True
    """
    found = Path(os.path.expanduser("~"))
    return found if found.is_absolute() else Path("/nonexistent")  # which Debian's policy has for such users


def home() -> Path:
    """The folder under which `data/` and `pretrained/` lie.

    `DEVISE_HOME` where it is set, else the checkout, else `devise` in the user's cache folder.

    >>> home() == data_root().parent == pretrained_root().parent
    True
    """
    if os.environ.get("DEVISE_HOME"):
        return Path(os.path.expanduser(os.environ["DEVISE_HOME"]))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or user_home() / ".cache")
    return checkout() or cache / "devise"


def data_root() -> Path:
    """The folder of data sets and computed features.

    >>> data_root().name
    'data'
    """
    return home() / "data"


def pretrained_root() -> Path:
    """The folder of weights and word vectors.

    >>> pretrained_root().name
    'pretrained'
    """
    return home() / "pretrained"


def bundled(name: str, kind: str = "data") -> Path:
    """What comes with the package: the folder of a data set such as `caltech37`, or a file of weights.

    Args:
        kind: "data" or "pretrained", the folder of the checkout that it lies in.
    Raises:
        FileNotFoundError: if the package does not carry it.

    >>> bundled("caltech37").name, bundled("everyday.npz", "pretrained").is_file()
    ('caltech37', True)
    """
    source = checkout()
    roots = [source / kind] if source else []
    for root in (*roots, Path(devise.__file__).resolve().parent / INSTALLED[kind]):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name!r}, which comes with devise, is not in this installation: reinstall devise")


def is_url(path: str) -> bool:
    """Whether a path is a URL, and so no file of this disk.

    >>> is_url("s3://bucket/cat.jpg"), is_url("cat/1.jpg")
    (True, False)
    """
    return "://" in path


def read_url(url: str, most: int) -> bytes:
    """The file behind a URL, asked for once; its file system takes keys and options from the environment.

    Args:
        most: bytes; a larger file is not read to its end.
    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is larger.
        OSError: if it can't be had for another reason; the message says which.
        MissingDependency: if the package that opens such URLs is not installed.

    >>> read_url("memory://nowhere/cat.jpg", 1000)  # doctest: +SKIP
    Traceback (most recent call last):
    FileNotFoundError: memory://nowhere/cat.jpg does not exist
    """
    try:
        with Place(url).open("") as file:
            content = file.read(most + 1)
    except MissingDependency:
        raise
    except FileNotFoundError:
        raise FileNotFoundError(f"{url} does not exist") from None
    except Exception as error:  # every file system has its own errors
        raise OSError(f"{url} can't be fetched: {str(error) or type(error).__name__}") from error
    if len(content) > most:
        raise ValueError(f"{url} is larger than {most / 1e6:,.0f} MB")
    return content


class Place:
    """A folder or bucket behind a URL.

    Args:
        url: "s3://bucket/photos"; a path without a scheme is one on this disk.
        options: of fsspec's file system, such as {"anon": True}.
    Raises:
        MissingDependency: if fsspec, or its file system for such URLs, is not installed.
    """

    def __init__(self, url, options=None):
        try:
            self._system, self.root = require("fsspec", "ray").core.url_to_fs(str(url), **(options or {}))
        except MissingDependency:
            raise
        except ImportError as error:  # its message says which package opens such URLs
            raise MissingDependency(f"{url} can't be opened: {error}") from error
        self.url, self.options = str(url).rstrip("/"), options

    def files(self):
        """{path below the place: what is known of the file}, in the order of the paths."""
        if self._system.isfile(self.root):
            facts = self._system.info(self.root)
            if facts.get("mimetype") != "text/html":  # over http a folder is a page of links
                return {"": facts}
        if not self._system.exists(self.root):
            raise FileNotFoundError(f"{self.url} does not exist: expected a folder of pictures, or Parquet files")
        found = {path: facts for path, facts in self._system.find(self.root, detail=True).items()
                 if path.startswith(self.root.rstrip("/") + "/")}  # a page links to others too
        start = len(self.root.rstrip("/")) + 1
        return {path[start:]: found[path] for path in sorted(found, key=lambda path: path.split("/"))}

    def has(self, *patterns: str) -> bool:
        """Whether a name below the place matches one of these, such as "*.parquet"."""
        return any(self._system.glob(posixpath.join(self.root, pattern)) for pattern in patterns)

    def name(self, path):
        """The URL of a file of the place."""
        return f"{self.url}/{path}" if path else self.url

    def open(self, path):
        """A file of the place, to be read and sought in."""
        return self._system.open(self._full(path), "rb")

    def read(self, path):
        """A file's bytes; what fails for another reason than that there is no such file is tried again."""
        for left in reversed(range(TRIES)):
            try:
                return self._system.cat_file(self._full(path))
            except FileNotFoundError:
                raise
            except Exception:  # every file system has its own errors
                if not left:
                    raise

    def _full(self, path):
        return posixpath.join(self.root, path) if path else self.root


def stat(facts):
    """(size, time in ns, 0 where none is told) of what a file system says of a file."""
    changed = next((facts[name] for name in CHANGED if facts.get(name)), 0)
    if isinstance(changed, str):
        changed = datetime.fromisoformat(changed)
    seconds = changed.timestamp() if isinstance(changed, datetime) else changed
    return int(facts.get("size") or 0), int(seconds * 10**9)
