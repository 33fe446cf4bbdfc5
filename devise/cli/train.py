"""Pictures, or features made before, → a trained model.

--json prints {"model", "seen", "unseen" (class names), "history": {"loss", "validation_loss", "score",
"best_epoch", "batch_size", "seconds"} (null for the ridge head), "skipped": [{"path", "reason"}]} and
what `devise evaluate` prints: "backbone", "hit_at_k", "n", "candidates", "without_answer". Files that
can't be read are listed and don't change the exit code.
"""

from devise.cli import Answer, WrongUsage, options
from devise.cli.evaluate import figures, figures_text
from devise.cli.text import progress_bar, say_skipped

EXAMPLE = """\
  devise train ~/pictures --unseen elephant,lobster -o model
  devise train caltech37 --head ridge -o model
  devise train features --words glove-6b-300d --epochs 30 -o model"""
BUNDLED = "caltech37"
FRAMEWORK = True
STOPPED = "an older model in the folder is as it was; the features are kept, and the same command goes on from them"


def arguments(command):
    command.add_argument("pictures", metavar="PICTURES",
                         help="a folder a class, a folder of features from `devise extract`, or "
                         f"'{BUNDLED}', the features that come with devise")
    command.add_argument("-o", "--output", type=options.folder, required=True, metavar="MODEL",
                         help="the folder to write")
    options.add_overwrite(command)
    options.add_labels(command)
    command.add_argument("--unseen", type=options.classes, default=(), metavar="A,B",
                         help="classes to keep out of the training, or how many to draw")
    command.add_argument("--test", type=float, default=0.2, metavar="SHARE",
                         help="of each seen class, kept for testing (default: 0.2)")
    command.add_argument("--seed", type=int, default=0, metavar="N",
                         help="of split and training (default: 0)")
    options.add_backbone(command)
    options.add_words(command)
    options.add_training(command)


def run(args):
    from devise import plots
    from devise.model import Devise

    training = options.training(args)
    options.keep_model(args, "model")
    words, synonyms = options.words(args), options.synonyms(args)
    table, backbone, apart = feature_table(args, args.pictures, words, synonyms, args.unseen, test=args.test)
    say_skipped(table.images)
    options.keep_model(args, "model", table.images, table.source)
    model = Devise(words, backbone=backbone, synonyms=synonyms, seed=args.seed)
    with progress_bar("train", unit="epochs") as progress:
        model.fit(table, head=options.head(args, model.words.dim), unseen=apart, test=args.test,
                  progress=progress, **training)
    model.save(args.output, overwrite=args.overwrite)
    if model.history:
        plots.history_curve(model.history.to_json(), args.output / "history.png")
    evaluation = model.evaluate()
    document = {"model": str(args.output), "seen": list(model.split.seen), "unseen": list(model.split.unseen),
                **figures(model, evaluation), "history": model.history and model.history.to_json(),
                "skipped": options.skipped(table.images)}
    return Answer(document, f"{figures_text(model, evaluation)}\n\nthe model is in {args.output}")


def feature_table(args, pictures, words, synonyms, apart, *, test=0.2):
    """(FeatureTable, backbone or its name, unseen classes) of pictures, of a table, or of the bundled set.

    What the training would refuse after a long extraction is refused before it.
    """
    from devise import features
    from devise.datasets import split
    from devise.recipes import bundled_table
    from devise.words import label_vectors, open_words

    if pictures == BUNDLED:
        table, parts = bundled_table()
        return table, _name(args, table), apart or parts.unseen
    if options.is_table(pictures):
        table = features.load(options.is_table(pictures))
        return table, _name(args, table), apart
    found = options.images(pictures, labels=args.labels, class_level=args.class_level)
    if not found.label_names:
        raise ValueError(f"the pictures in {pictures} have no labels: expected a folder a class "
                         "(pictures/elephant/*.jpg), or --labels FILE")
    label_vectors(found.label_names, open_words(words), synonyms=synonyms)
    split(found.labels, found.label_names, unseen=apart, test=test)
    backbone = options.backbone(args)
    with progress_bar("extract") as progress:
        return features.extract(found, backbone, progress=progress), backbone, apart


def _name(args, table):
    """The backbone that a table's features are of; options that are for pictures are refused."""
    name = table.backbone["name"]
    if args.backbone not in ("auto", name):
        raise WrongUsage(f"these features are of {name}, not of {args.backbone}: give the pictures instead")
    options.refuse(args, ("labels", "class_level", "weights", "layer", "runtime"), "the features were made before")
    return name
