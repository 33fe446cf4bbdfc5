"""Pictures with sentences about them → a model that finds pictures by a sentence, or by a picture as people
would describe it.

PICTURES is a folder in Flickr8k's layout (pictures, a file of captions, lists of the parts), or any folder
with --captions: a token file of Flickr8k or Flickr30k, captions of COCO (JSON), or a CSV of image,caption.
Some pictures train, others (validation) choose the best epoch, others (test) are for the figures. At search time
pictures alone are given.

--json prints {"model", "backbone", "words", "loss", "pictures": {"train", "validation", "test"} (how many),
"figures": {"by_space": {"raw", "learnt", "shared": {"agreement", "ndcg", "area", "pearson", "n", "ties",
"undecided", "triplets"}}, "text" ({"image → text @1": fraction, …}), "pictures", "sentences", "left_out"},
"difference" ({"agreement", "ndcg": {"difference", "low", "high", "p", "n"}} of learnt to raw), "history",
"unlisted" (pictures in no part), "skipped"}. Without test pictures "figures" and "difference" are null.
"""

from pathlib import Path

from devise.cli import Answer, WrongUsage, options
from devise.cli.text import progress_bar, say, say_skipped, table
from devise.figures import percent

EXAMPLE = """\
  devise captions ~/flickr8k -o model
  devise captions ~/pictures --captions captions.csv -o model
  devise captions features --captions results_20130124.token --loss ranking -o model"""
FRAMEWORK = True
STOPPED = "an older model in the folder is as it was; the features are kept, and the same command goes on from them"
COLUMNS = {"triplets": "agreement", "NDCG@32": "ndcg", "NDCG, 1 to 128": "area"}
SHARE = 0.1


def arguments(command):
    command.add_argument("pictures", metavar="PICTURES",
                         help="a folder of pictures, or of features from `devise extract`")
    command.add_argument("-o", "--output", type=options.folder, required=True, metavar="MODEL",
                         help="the folder to write")
    options.add_overwrite(command)
    command.add_argument("--captions", type=Path, metavar="FILE",
                         help="the sentences (default: the usual names in PICTURES, captions.token.txt, …)")
    command.add_argument("--words", default="glove-6b-50d", metavar="WORDS",
                         help="glove-6b-50d, glove-6b-300d, … or a file of vectors (default: glove-6b-50d)")
    options.add_backbone(command)
    command.add_argument("--loss", choices=("triplet", "ranking"), default="triplet",
                         help="of picture → picture: a hinge on triplets, or listwise (default: triplet)")
    command.add_argument("--epochs", type=options.count, metavar="N",
                         help="of either training (default: 30 for pictures, 25 for sentences)")
    command.add_argument("--validation", type=float, metavar="SHARE",
                         help="of the pictures, to choose the best epoch (default: 0.1, or the list in the folder)")
    command.add_argument("--test", type=float, metavar="SHARE",
                         help="of the pictures, for the figures; 0 for none (default: 0.1, or the list)")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of parts and training (default: 0)")


def run(args):
    from devise.datasets import PARTS
    from devise.model.captions import CaptionModel

    options.keep_model(args, "captions")
    data, split, backbone = _data(args)
    images = data.images if hasattr(data, "images") else data
    options.keep_model(args, "captions", images)
    model = CaptionModel(options.words(args), backbone, seed=args.seed)
    epochs = {"epochs": args.epochs} if args.epochs else None
    with progress_bar("train", unit="steps") as progress:
        model.fit(data, split=split, loss=args.loss, progress=progress, visual=epochs, joint=epochs)
    skipped = (*model.table.images.skipped, *model.skipped)
    unlisted = len(images) - sum(len(split.rows(part)) for part in PARTS)
    _say(model, skipped, unlisted)
    model.save(args.output, overwrite=args.overwrite)
    figures, gains = None, None
    if len(model.parts["test"]) > 2:
        figures = model.evaluate()
        gains = {figure: figures.difference(figure) for figure in ("agreement", "ndcg")}
    document = {"model": str(args.output), "backbone": model.backbone_record, "words": model.words_record,
                "loss": model.loss, "pictures": {part: len(paths) for part, paths in model.parts.items()},
                "figures": figures and figures.to_json(),
                "difference": gains and {figure: gain._asdict() for figure, gain in gains.items()},
                "history": {name: found.to_json() for name, found in model.history.items()}, "unlisted": unlisted,
                "skipped": [item._asdict() for item in skipped]}
    return Answer(document, "\n\n".join([*_text(model, figures, gains), f"the model is in {args.output}"]))


def _data(args):
    """(FeatureTable or ImageSet with captions, Split, backbone or its name)."""
    from devise import features
    from devise.datasets import caption_set, read_captions, split_rows, with_captions
    from devise.model.captions import captioned

    shares = {name: getattr(args, name) for name in ("validation", "test") if getattr(args, name) is not None}
    place = options.is_table(args.pictures)
    if place:
        if not args.captions:
            raise WrongUsage("features have no captions beside them: name the file with --captions FILE")
        options.refuse(args, ("weights", "layer"), "the features were made before")
        found = features.load(place)
        backbone = found.backbone["name"]
        if args.backbone not in ("auto", backbone):
            raise WrongUsage(f"these features are of {backbone}, not of {args.backbone}: give the pictures instead")
        data, split = captioned(found, with_captions(found.images, read_captions(args.captions))), None
    else:
        folder = Path(args.pictures).expanduser()
        if not folder.is_dir():
            raise WrongUsage(f"{args.pictures} is no folder: name a folder of pictures")
        found = caption_set(folder, args.captions)
        data, split, backbone = found.images, found.split, options.backbone(args)
    if split and shares:
        raise WrongUsage(f"{', '.join(map(options.flag, shares))} can't be used here: the folder lists its own parts")
    if missing := [part for part in ("train", "validation") if split and not len(split.rows(part))]:
        say(f"the folder has lists and none of {' and '.join(missing)} pictures that are here: a split is drawn")
    if missing or not split:
        split = split_rows(len(data), **{"validation": SHARE, "test": SHARE, **shares}, seed=args.seed)
    return data, split, backbone


def _say(model, skipped, unlisted):
    """What was left out, for a person."""
    from dataclasses import replace

    say_skipped(replace(model.table.images, skipped=skipped))
    if unlisted:
        say(f"{unlisted:,} pictures are in no list and were not used")


def _text(model, figures, gains):
    """The paragraphs for a person."""
    from devise.report import RANDOM

    counts = {part: len(paths) for part, paths in model.parts.items()}
    lines = [] if model.backbone_record["trained"] else [f"{RANDOM}."]
    lines.append(f"{counts['train']:,} pictures trained, {counts['validation']:,} chose the epoch:\n"
                 + _kept("pictures", model.history["visual"], "NDCG@32") + "\n"
                 + _kept("sentences", model.history["joint"], "mean recall at 1, 5 and 10"))
    if figures:
        rows = [[space, *(percent(found.means()[figure]) for figure in COLUMNS.values()),
                 f"{found.means()['pearson']:.3f}", percent(found.ties)] for space, found in figures.by_space.items()]
        lines.append(f"{figures.pictures:,} test pictures, each asking all others; the truth is the tf-idf of their "
                     "captions:\n" + table(rows, ["space", *COLUMNS, "Pearson", "ties"]) + "\n"
                     + "\n".join(f"{name} learnt − raw: {100 * gain.difference:+.1f} points, 95 % interval over "
                                 f"query pictures {100 * gain.low:+.1f} to {100 * gain.high:+.1f}"
                                 for name, gain in zip(("triplets", "NDCG@32"), gains.values(), strict=True)))
        found = figures.text.means()
        rows = [[way, *(percent(found[f"{way} @{k}"]) for k in (1, 5, 10))]
                for way in ("image → text", "text → image")]
        lost = f", {figures.left_out} without a known word left out" if figures.left_out else ""
        lines.append(f"{figures.pictures:,} pictures and {figures.sentences:,} sentences in the shared space{lost}; "
                     "the more there are, the harder:\n" + table(rows, ["", "recall@1", "@5", "@10"]))
    return lines


def _kept(what, history, score):
    best = (f"epoch {history.best_epoch} of {history.epochs}" if history.best_epoch else
            f"the start, which none of {history.epochs} epochs improved on")
    return (f"{what}: kept {best}, by {score} ({percent(history.start_score)} → "
            f"{percent(max([history.start_score, *history.score]))})")
