"""Pictures → a feature table: each goes through the frozen backbone once, ever.

--json prints {"folder", "n", "dim", "dtype", "computed" (how many pictures went through the network
in this run), "backbone": {"name", "layer", "dim", "weights", "trained", "fingerprint"}, "skipped":
[{"path", "reason"}]}. Files that can't be read are listed and don't change the exit code.

With --workers, processes of their own share the pictures out, through Ray, on this machine or on the
cluster at --address; PICTURES may then be behind a URL (s3://bucket/photos), or Parquet files with the
columns image and label. Whatever is stopped or dies, the same command goes on with what is missing.
"""

import sys
from contextlib import redirect_stdout

from devise.cli import Answer, WrongUsage, options
from devise.cli.text import progress_bar, say_skipped

EXAMPLE = """\
  devise extract ~/pictures --backbone efficientnet_lite0 -o features
  devise extract s3://bucket/photos --workers 16 --address auto -o features"""
FRAMEWORK = True
STOPPED = "the pictures that went through the network are kept; the same command goes on with the others"


def arguments(command):
    options.add_pictures(command, nargs="+")
    options.add_backbone(command)
    options.add_labels(command)
    command.add_argument("--dtype", default="float32", choices=("float32", "float16"),
                         help="default: float32")
    command.add_argument("--workers", type=options.count, metavar="N", help="processes that share the pictures out")
    command.add_argument("--threads", type=options.count, metavar="N",
                         help="of each worker (default: 1)")
    command.add_argument("--gpus", type=float, metavar="N", help="of each worker, 0.5 for two to share one")
    command.add_argument("--address", metavar="A", help="of a Ray cluster: auto, or ray://host:10001")
    command.add_argument("-o", "--output", type=options.folder, metavar="DIR",
                         help="the table's folder (default: one under data/features)")
    options.add_overwrite(command)


def run(args):
    table = _shared(args) if args.workers else _alone(args)
    say_skipped(table.images)
    name, dim = table.backbone["name"], table.backbone["dim"]
    document = {"folder": str(table.folder), "n": len(table), "dim": dim, "dtype": args.dtype,
                "computed": table.computed, "backbone": table.backbone,
                "skipped": options.skipped(table.images)}
    text = (f"{len(table):,} × {dim:,} features in {table.folder} "
            f"({table.computed:,} pictures went through {name}, the others were there)")
    return Answer(document, text)


def _alone(args):
    """The table, computed in this process."""
    from devise import features

    if given := [name for name in ("threads", "gpus", "address") if getattr(args, name) is not None]:
        raise WrongUsage(f"{', '.join(map(options.flag, given))} can't be used here: add --workers N")
    if _elsewhere(args.pictures):
        raise WrongUsage(f"{args.pictures[0]} is read by workers: add --workers N")
    found = options.images(args.pictures, labels=args.labels, class_level=args.class_level)
    backbone = options.backbone(args)
    with progress_bar("extract") as progress:
        return features.extract(found, backbone, args.output, dtype=args.dtype, overwrite=args.overwrite,
                                progress=progress)


def _shared(args):
    """The table, computed by workers."""
    from devise import distributed

    if _elsewhere(args.pictures):
        options.refuse(args, ("labels",), "the classes are the folders behind the URL, or Parquet's column label")
        place, = args.pictures
        found = (distributed.from_parquet(place) if place.endswith(".parquet") else
                 distributed.from_url(place, class_level=args.class_level))
    else:
        found = options.images(args.pictures, labels=args.labels, class_level=args.class_level)
    given = {name: getattr(args, name) for name in ("threads", "gpus", "address") if getattr(args, name) is not None}
    # Ray tells of a worker that died on stdout, where the answer goes
    with progress_bar("extract") as progress, redirect_stdout(sys.stderr):
        return distributed.extract(found, options.load_backbone(args), args.output, workers=args.workers,
                                   dtype=args.dtype, overwrite=args.overwrite, progress=progress, **given)


def _elsewhere(pictures):
    """Whether PICTURES is a URL or a Parquet file."""
    return len(pictures) == 1 and ("://" in pictures[0] or pictures[0].endswith(".parquet"))
