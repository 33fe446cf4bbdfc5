"""Engines by name: an engine is a file of this folder that holds a class of the same name.

`exact.py` holds `Exact`; a new engine is one new file, and no line anywhere else.
"""

import difflib
import importlib
import inspect
import pkgutil
from pathlib import Path

from devise.storage import digest, open_artefact

OTHERS = {"base", "members", "registry"}  # the files here that are no engines


def engines():
    """The names that `make` knows, whether their packages are installed or not.

    >>> "exact" in engines()
    True
    """
    files = {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])}
    return tuple(sorted(files - OTHERS))


def make(engine, **options):
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
        near = difflib.get_close_matches(str(engine).lower(), engines())
        raise ValueError(f"there is no index engine {engine!r}: "
                         + (f"did you mean {near[0]}?" if near else f"expected {' or '.join(engines())}"))
    kind = getattr(importlib.import_module(f"devise.index.{engine}"), engine.capitalize())
    known = list(inspect.signature(kind).parameters)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"{engine} has no option {', '.join(unknown)}: expected {', '.join(known)}")
    return kind(**options)


def load(folder, *, fingerprint=None, check=True):
    """The index that `Index.save` wrote, of the engine that the folder names.

    Args:
        fingerprint: of the model whose vectors will be searched; None takes any.
        check: compare each file with its digest, at the price of reading it once. A damaged tree
            could crash the process, so leave it on for folders that have travelled.
    Raises:
        FileNotFoundError: if there is no index, or a file of it is gone.
        ValueError: if a file is damaged, or the index was built for another model.
    """
    document, paths = open_artefact(folder, "index")
    lacks = {"engine", "parameters", "dim", "n", "fingerprint", "document"} - set(document)
    if lacks:
        raise ValueError(f"the manifest in {folder} lacks {', '.join(sorted(lacks))}: build the index again")
    made_for = document["fingerprint"]
    if fingerprint is not None and fingerprint != made_for:
        raise ValueError(f"the index in {folder} was built for model {made_for!r}, not for {fingerprint!r}: "
                         "build it again with this model, or load the model it was built for")
    index = make(document["engine"], fingerprint=made_for, **document["parameters"])
    for name, path in paths.items() if check else ():
        if digest(path) != document["files"][name]["sha256"]:
            raise ValueError(f"{path} is damaged, its content is not what was saved: build the index again")
    try:
        index.restore(document, paths)
    except (KeyError, OSError, EOFError, ValueError) as error:
        raise ValueError(f"the index in {folder} is damaged ({error}): build it again") from error
    return index
