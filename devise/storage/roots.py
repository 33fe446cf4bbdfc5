"""Folders of data and weights: in the checkout, under DEVISE_HOME, or in the user's cache."""

import os
from pathlib import Path

import devise

INSTALLED = {"data": "bundled", "pretrained": "bundled_weights"}  # folders of the checkout in an installed package


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
