"""Pictures through the frozen network: `devise extract`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from devise.cli import Answer, Command, WrongUsage, opening, options
from devise.cli.terminal import progress_bar, say_skipped
from devise.figures import counted
from devise.report import Report

if TYPE_CHECKING:
    from devise.features import FeatureTable

CREW = ("threads", "gpus", "address")


class Extract(Command):
    """Pictures → a feature table: each goes through the frozen backbone once, ever.

    With --workers, processes of their own share the pictures out, through Ray, on this machine or on the
    cluster at --address or in RAY_ADDRESS; PICTURES may then be behind a URL (s3://bucket/photos,
    http://host/photos), or Parquet files, or folders of them, with the columns image and label. Whatever is
    stopped or dies, the same command goes on with what is missing.

    --json prints {"folder", "n", "dim", "dtype", "computed" (how many pictures went through the network
    in this run), "backbone": {"name", "layer", "dim", "weights", "trained", "fingerprint"}, "skipped":
    [{"path", "reason"}]}. Files that can't be read are listed and don't change the exit code.
    """

    example = """\
        devise extract ~/pictures --backbone efficientnet_lite0 -o features
        devise extract s3://bucket/photos --workers 16 --address auto -o features"""
    stopped = "the pictures that went through the network are kept; the same command goes on with the others"

    def arguments(self, parser: ArgumentParser) -> None:
        options.add_pictures(parser)
        options.add_network(parser)
        parser.add_argument("--dtype", default="float32", choices=("float32", "float16"), help="default: float32")
        parser.add_argument("--workers", type=options.count, metavar="N", help="processes that share the pictures out")
        parser.add_argument("--threads", type=options.count, metavar="N", help="of each worker (default: 1)")
        parser.add_argument("--gpus", type=float, metavar="N", help="of each worker, 0.5 for two to share one")
        parser.add_argument("--address", metavar="A", help="of a Ray cluster: auto, or ray://host:10001")
        parser.add_argument("--prune", action="store_true", help="forget the features of pictures that are not among "
                            "these (default: they are kept for when those come back)")
        options.add_output(parser, "DIR", required=False, help="the table's folder (default: one under data/features)")

    def run(self, args: Namespace) -> Answer:
        table = self._shared(args) if args.workers else self._alone(args)
        say_skipped(table.images)
        name, dim = table.backbone["name"], table.backbone["dim"]
        went = counted(table.computed, "picture")
        report = Report(f"{len(table):,} × {dim:,} features in {table.folder} ({went} went through {name}, the others "
                        "were there)", trained=table.backbone["trained"])
        return Answer(report, {"folder": str(table.folder), "n": len(table), "dim": dim, "dtype": args.dtype,
                               "computed": table.computed, "backbone": table.backbone,
                               "skipped": opening.skipped(table.images)})

    def _alone(self, args: Namespace) -> FeatureTable:
        """The table, computed in this process."""
        options.refuse(args, CREW, "add --workers N")
        if elsewhere := list(filter(_is_elsewhere, args.pictures)):
            raise WrongUsage(f"{elsewhere[0]} is read by workers: add --workers N")
        found = opening.classed(args, args.pictures)
        backbone = opening.backbone(args)
        from devise import features

        with progress_bar("extract") as progress:
            return features.extract(found, backbone, vars(args).get("output"), dtype=args.dtype, prune=args.prune,
                                    overwrite=args.overwrite, progress=progress)

    def _shared(self, args: Namespace) -> FeatureTable:
        """The table, computed by workers."""
        if args.prune:
            raise WrongUsage("--prune goes without --workers: run it after them")
        read = options.given(args, options.READ)
        places = args.pictures
        if elsewhere := [place for place in places if _is_elsewhere(place) or _holds_parquet(place)]:
            options.refuse(args, ("labels",), "the classes are the folders behind the URL, or Parquet's column label")
            from devise import distributed

            if all(map(distributed.is_parquet, places)):
                found = distributed.from_parquet(places)
            elif len(places) == 1:
                found = distributed.from_url(places[0], **read)
            else:
                raise WrongUsage(f"{elsewhere[0]} can't be read together with the others: name one URL of pictures, or "
                                 "Parquet files and folders of them alone")
        else:
            found = opening.classed(args, args.pictures)
        from devise import backbones, distributed

        how = opening.loading(args)
        load = partial(backbones.load, how.pop("backbone"), **how)
        # Ray tells of a worker that died on stdout, where the answer goes
        with progress_bar("extract") as progress, redirect_stdout(sys.stderr):
            return distributed.extract(found, load, vars(args).get("output"), workers=args.workers, dtype=args.dtype,
                                       overwrite=args.overwrite, progress=progress, **options.given(args, CREW))


def _is_elsewhere(place: str) -> bool:
    """Whether a place is a URL or a Parquet file."""
    return "://" in place or place.endswith(".parquet")


def _holds_parquet(place: str) -> bool:
    """Whether a folder here is one of Parquet files."""
    return any(next(folder.glob("*.parquet"), None) for folder in (Path(place), Path(place) / "data"))
