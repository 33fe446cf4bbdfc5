"""Pictures → a feature table: each goes through the frozen backbone once, ever.

--json prints {"folder", "n", "dim", "dtype", "computed" (how many pictures went through the network
in this run), "backbone": {"name", "layer", "dim", "weights", "trained", "fingerprint"}, "skipped":
[{"path", "reason"}]}. Files that can't be read are listed and don't change the exit code.
"""

from devise.cli import Answer, options
from devise.cli.text import progress_bar, say_skipped

EXAMPLE = "  devise extract ~/pictures --backbone efficientnet_lite0 -o features"
FRAMEWORK = True
STOPPED = "the pictures that went through the network are kept; the same command goes on with the others"


def arguments(command):
    options.add_pictures(command, nargs="+")
    options.add_backbone(command)
    options.add_labels(command)
    command.add_argument("--dtype", default="float32", choices=("float32", "float16"),
                         help="default: float32")
    command.add_argument("-o", "--output", type=options.folder, metavar="DIR",
                         help="the table's folder (default: one under data/features)")


def run(args):
    from devise import features

    found = options.images(args.pictures, labels=args.labels, class_level=args.class_level)
    backbone = options.backbone(args)
    with progress_bar("extract") as progress:
        table = features.extract(found, backbone, args.output, dtype=args.dtype, progress=progress)
    say_skipped(table.images)
    document = {"folder": str(table.folder), "n": len(table), "dim": backbone.dim, "dtype": args.dtype,
                "computed": table.computed, "backbone": table.backbone,
                "skipped": options.skipped(table.images)}
    text = (f"{len(table):,} × {backbone.dim:,} features in {table.folder} "
            f"({table.computed:,} pictures went through {backbone.name}, the others were there)")
    return Answer(document, text)
