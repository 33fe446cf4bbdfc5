"""Pictures, or features made before, → a model for picture → picture search by a learnt distance.

Some classes train, others choose the best epoch and the threshold of a match, and others, which nothing
has seen, are for the figures: the raw features before, the learnt space after.

--json prints {"model", "backbone", "classes": {"train", "validation", "test"} (names), "single"
(classes of one picture, which give no pair), "loss" (its name, miner and options), "before" and "after"
(raw and learnt: {"hit_at_k", "recall_at_k", "precision_at_k", "ceiling_at_k", "r_precision",
"map_at_r", "n", "gallery", "undefined", "ks_left_out"}, fractions), "difference" ({"difference", "low",
"high", "p", "n"} of MAP@R, by drawing whole classes), "far", "thresholds" ({space: cosine}), "trust"
({space: {"low", "high" (of the threshold), "accepted_low", "accepted_high", "accepted" (of the false accepts on other
classes), "classes"}}), "open_set" ({space: {"unknown_accepted", "known_rejected", "identified", …}}),
"galleries" ({"sizes": {size: {space: figures}}, "left_out", "smallest", "largest", "draws"}),
"history", "skipped"}. Without test classes "before", "after", "difference", "open_set" and "galleries"
are null, and without --gallery the last is.
"""

import math

from devise.cli import Answer, WrongUsage, options
from devise.cli.text import progress_bar, say_skipped, table
from devise.figures import percent

EXAMPLE = """\
  devise siamese ~/pictures -o model
  devise siamese ~/pictures --loss triplet --miner semi-hard --epochs 30 --far 0.01 -o model
  devise siamese features --loss multi-similarity --test elephant,lobster,crab --gallery 100,1000 -o model"""
FRAMEWORK = True
STOPPED = "an older model in the folder is as it was; the features are kept, and the same command goes on from them"
COLUMNS = {"hit@1": ("hit_at_k", 1), "hit@10": ("hit_at_k", 10), "recall@10": ("recall_at_k", 10),
           "precision@10": ("precision_at_k", 10), "its ceiling": ("ceiling_at_k", 10)}
COUNTED = ("train", "validation", "test")
SETTABLE = ("loss", "miner", "classes", "per_class", "epochs", "optimiser", "learning_rate", "patience")


def arguments(command):
    command.add_argument("pictures", metavar="PICTURES",
                         help="a folder a class, a folder of features from `devise extract`, or 'caltech37', the "
                         "features that come with devise")
    command.add_argument("-o", "--output", type=options.folder, required=True, metavar="MODEL",
                         help="the folder to write")
    options.add_overwrite(command)
    options.add_labels(command)
    options.add_backbone(command)
    command.add_argument("--loss", metavar="NAME",
                         help="triplet, contrastive, margin, range, n-pair, multi-similarity, … (default: triplet)")
    command.add_argument("--miner", metavar="NAME",
                         help="all, hard, hard-positive, hard-negative, semi-hard, distance-weighted (default: "
                         "semi-hard for triplet, distance-weighted for margin)")
    command.add_argument("--dim", type=options.count, metavar="N",
                         help="of the learnt space (default: that of the features)")
    command.add_argument("--start", choices=("within-class", "whitening", "pca", "identity"), default="within-class",
                         help="what the space is like before the training (default: within-class)")
    command.add_argument("--power", type=float, metavar="P",
                         help="each feature is raised to this before the head: 0.5 for square roots, 1 for none "
                         "(default: 0.5)")
    command.add_argument("--validation", type=options.share, default=0.2, metavar="A,B",
                         help="classes that choose: names, how many, or a share (default: 0.2)")
    command.add_argument("--test", type=options.share, default=0.3, metavar="A,B",
                         help="classes for the figures: names, how many, or a share (default: 0.3)")
    command.add_argument("--classes", type=options.count, metavar="P", help="of a batch (default: 8)")
    command.add_argument("--per-class", type=options.count, metavar="K", help="pictures of each (default: 4)")
    command.add_argument("--epochs", type=options.count, metavar="N", help="default: 20")
    command.add_argument("--optimiser", choices=("sgd", "adam", "adagrad"), help="default: adam")
    command.add_argument("--learning-rate", type=float, metavar="RATE", help="default: 0.0001")
    command.add_argument("--patience", type=options.count, metavar="N",
                         help="stop after so many epochs without a better validation MAP@R")
    command.add_argument("--far", type=float, default=0.01, metavar="SHARE",
                         help="of unknown pictures that may be taken for known ones (default: 0.01)")
    command.add_argument("--gallery", type=options.sizes, metavar="N,N",
                         help="sizes of galleries, such as 100,1000,10000, that are drawn from the test classes' "
                         "pictures, one of each class asking")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of split and training (default: 0)")


def run(args):
    from devise.heads import ProjectionHead
    from devise.model.siamese import POWER, SHRINKAGE, Siamese, difference

    if not 0 <= args.far <= 1:
        raise WrongUsage(f"--far is {args.far}: expected a share from 0 to 1")
    options.keep_model(args, "siamese")
    data, backbone = options.labelled(args, args.pictures)
    options.keep_model(args, "siamese", getattr(data, "images", data))
    model = Siamese(backbone, seed=args.seed)
    head = ProjectionHead(args.dim, start=args.start, shrinkage=SHRINKAGE,
                          power=POWER if args.power is None else args.power)
    training = {name: getattr(args, name) for name in SETTABLE if getattr(args, name) is not None}
    with progress_bar("train", unit="steps") as progress:
        model.fit(data, head=head, validation=args.validation, test=args.test, far=args.far, progress=progress,
                  **training)
    say_skipped(model.table.images)
    model.save(args.output, overwrite=args.overwrite)
    runs = gain = open_set = galleries = None
    names = model.split.names
    if names["test"]:
        runs = model.evaluate()
        gain = difference(runs)
        galleries = model.evaluate_galleries(args.gallery) if args.gallery else None
    if len(names["test"]) > 1:
        open_set = model.evaluate_open_set()
    document = {"model": str(args.output), "backbone": model.backbone_record,
                "classes": {part: list(names[part]) for part in COUNTED}, "single": list(model.table.images.single),
                "loss": model.loss,
                "before": runs and runs["raw"].to_json(), "after": runs and runs["learnt"].to_json(),
                "difference": gain and {name: finite(value) for name, value in gain._asdict().items()},
                "far": model.far,
                "thresholds": {space: finite(value) for space, value in model.thresholds.items()},
                "trust": {space: {name: finite(value) for name, value in found._asdict().items()}
                          for space, found in model.trust.items()},
                "open_set": open_set and {space: figures.to_json() for space, figures in open_set.items()},
                "galleries": galleries and galleries.to_json(),
                "history": model.history.to_json(), "skipped": options.skipped(model.table.images)}
    text = _text(model, runs, gain, open_set, galleries)
    return Answer(document, "\n\n".join([*text, f"the model is in {args.output}"]))


def _text(model, runs, gain, open_set, galleries):
    """The paragraphs for a person."""
    from devise.report import RANDOM

    names, history = model.split.names, model.history
    lines = [] if model.backbone_record["trained"] else [f"{RANDOM}."]
    best = (f"epoch {history.best_epoch} of {history.epochs}" if history.best_epoch else
            f"the start, which none of {history.epochs} epochs improved on")
    lines.append(f"{len(names['train'])} classes trained; kept: {best}, by MAP@R on {len(names['validation'])} "
                 f"validation classes ({percent(history.start_score)} → {percent(max(history.score))})")
    if single := model.table.images.single:
        lines.append(f"{len(single):,} classes have one picture and so no pair to learn from or to find: "
                     f"{', '.join(single[:10])}{', …' if len(single) > 10 else ''}")
    if runs:
        lines.append(f"{runs['raw'].n:,} pictures of {len(names['test'])} untrained classes, each among all others:\n"
                     f"{spaces_text(runs)}\n{gain_text(gain, 'learnt − raw')}")
    if galleries:
        lines.append(_galleries_text(galleries))
    if open_set:
        figures = open_set["learnt"]
        lines.append(f"a match is a cosine of {figures.threshold:.3f} and more (false accepts {percent(model.far)} on "
                     f"validation classes); on untrained ones, {figures.gallery:,} pictures in the gallery:\n"
                     + table([[space, percent(one.unknown_accepted), percent(one.known_rejected),
                               percent(one.identified), percent(one.equal_error_rate)]
                              for space, one in open_set.items()],
                             ["space", "unknown accepted", "known rejected", "known found and right", "EER"]))
    return [*lines, trust_text(model)]


def spaces_text(runs):
    """The figures of each space, a line each."""
    means = {space: found.means() for space, found in runs.items()}
    rows = [[space, *(percent(found[figure].get(k)) for figure, k in COLUMNS.values()),
             percent(found["r_precision"]), percent(found["map_at_r"])] for space, found in means.items()]
    return table(rows, ["space", *COLUMNS, "R-precision", "MAP@R"])


def gain_text(gain, what):
    """A Comparison of MAP@R in a line."""
    return (f"MAP@R {what}: {100 * gain.difference:+.1f} points, 95 % interval over classes {100 * gain.low:+.1f} to "
            f"{100 * gain.high:+.1f}")


def trust_text(model):
    """What the few classes that chose a threshold say of others."""
    return model.trust["learnt"].sentence(model.thresholds["learnt"], model.far)


def _galleries_text(galleries):
    """A line a size, and which sizes don't fit."""
    rows = []
    for size in galleries.runs["raw"]:
        means = {space: runs[size].means() for space, runs in galleries.runs.items()}
        rows.append([f"{size:,}", *(percent(means[space][figure] if k is None else means[space][figure].get(k))
                                    for figure, k in (("hit_at_k", 1), ("map_at_r", None)) for space in means)])
    text = table(rows, ["gallery", *(f"{figure} {space}" for figure in ("hit@1", "MAP@R") for space in galleries.runs)])
    text = (f"one picture of each untrained class asks, the gallery is drawn from the others, {galleries.draws} "
            f"draws:\n{text}")
    if galleries.left_out:
        sizes = ", ".join(f"{size:,}" for size in galleries.left_out)
        text += f"\nleft out: {sizes}; {galleries.smallest:,} to {galleries.largest:,} can be drawn"
    return text


def finite(value):
    """A number as JSON has it."""
    return value if math.isfinite(value) else None
