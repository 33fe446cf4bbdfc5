"""Known data sets, weights and word vectors: `devise fetch`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from devise.cli import Answer, Command, WrongUsage, opening, options
from devise.cli.terminal import progress_bar
from devise.report import Report, Table

if TYPE_CHECKING:
    from devise.datasets.catalog import Entry


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
        from devise.storage import digest

        if not args.name:
            if args.dim or args.source or args.url:
                raise WrongUsage(f"name what to fetch: {', '.join(entry.name for entry in catalog.entries())}")
            return _listing(catalog.entries())
        with progress_bar(args.name, unit="B") as progress:
            place = catalog.fetch(args.name, dim=args.dim, source=args.source, url=args.url, progress=progress)
        vouched = next(entry.checksum for entry in catalog.entries() if entry.name == args.name)
        found = digest(place) if vouched is None and place.is_file() else None
        notes = (f"its sha256 is {found}: no checksum was known to compare it with",) if found else ()
        return Answer(Report(f"{args.name} is in {place}", notes=notes),
                      {"name": args.name, "path": str(place), "sha256": found})


def _listing(entries: tuple[Entry, ...]) -> Answer:
    """What can be fetched, where it goes, and what of it is here."""
    from devise.storage import megabytes

    targets = {entry.name: _targets(entry) for entry in entries}
    keys = [{"name": entry.name, "what": entry.what, "size": entry.size, "licence": entry.licence,
             "checksum": entry.checksum, "established": entry.established, "url": entry.url,
             "targets": targets[entry.name]} for entry in entries]
    rows = [(entry.name, megabytes(entry.size), _here(targets[entry.name])) for entry in entries]
    about = [f"{entry.name}: {entry.what}; licence {entry.licence}; goes to {_place(entry, '<dim>')}"
             for entry in entries]
    return Answer(Report("What can be fetched", tables=(Table(("name", "download", "here"), rows),), notes=about),
                  {"sets": keys})


def _targets(entry: Entry) -> list[dict]:
    """Where a set lies in the end, once for each dim that it comes in."""
    paths = {dim: _place(entry, dim) for dim in entry.dims or (None,)}
    return [{"dim": dim, "path": str(path), "here": path.exists()} for dim, path in paths.items()]


def _place(entry: Entry, dim: int | str | None) -> Path:
    from devise.storage import home

    return home() / entry.root / entry.target.format(dim=dim)


def _here(targets: list[dict]) -> str:
    """Whether a set is on this disk; of one with several dims, which."""
    found = [target["dim"] for target in targets if target["here"]]
    return ", ".join("yes" if dim is None else f"{dim}-d" for dim in found) or "no"
