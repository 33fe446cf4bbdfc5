"""What several commands share: pictures, backbones, words and heads as arguments."""

import argparse
from functools import partial
from pathlib import Path

from devise.cli import WrongUsage
from devise.cli.text import progress_bar, say
from devise.errors import unknown

SAMPLES = "samples"
DEFAULTS = (None, False, "auto", "imagenet", "first")  # of the options that `refuse` is asked about


def count(value):
    """An argument that is a whole number from 1."""
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from 1")
    return int(value)


def folder(value):
    """An argument that is a folder to write: no file may be in its place."""
    path = Path(value).expanduser()
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{value} is a file: name a folder to write")
    return path


def sizes(value):
    """An argument such as 2000 or 1000,500; nothing for a head without hidden layers."""
    return tuple(count(size.strip()) for size in value.split(",") if size.strip())


def classes(value):
    """An argument that is names between commas, or a number of classes to draw."""
    return int(value) if value.isdecimal() else names(value)


def share(value):
    """An argument that is names between commas, a number of classes, or a share of them."""
    try:
        return int(value) if value.isdecimal() else float(value)
    except ValueError:
        return names(value)


def names(value):
    """An argument that is names between commas."""
    return tuple(name.strip() for name in value.split(",") if name.strip())


def one_of(what, known):
    """A type for arguments that are one of a few names, with a good guess for a mistyped one."""
    def check(value):
        if value not in known:
            raise argparse.ArgumentTypeError(unknown(what, value, known))
        return value
    check.known = tuple(known)  # for the completion of a shell
    return check


def add_overwrite(command):
    """--overwrite, of a command that writes to -o."""
    command.add_argument("--overwrite", action="store_true",
                         help="replace what is in the output by other content; without it that is refused, and only "
                         "the same is written anew")


def keep_model(args, kind, images=None, data=None):
    """Refuse before a training what saving the model would refuse after it.

    Args:
        kind: of model.
        images: ImageSet of the training, where it is known.
        data: where its features lie, where that is known.
    """
    from devise.model.saving import lost
    from devise.storage import Commit

    new = {} if images is None else {"label_names": images.label_names, "parts": {"train": images.paths}, "data": data}
    Commit(args.output, kind, {}, lost=partial(lost, new) if new else None, overwrite=args.overwrite).check()


def add_pictures(command, **options):
    """PICTURES: folders, files, or the word `samples`."""
    command.add_argument("pictures", metavar="PICTURES",
                         help="a folder (a folder a class, or flat), picture files, or the word 'samples' "
                         "for the photographs that scikit-image carries", **options)


def add_labels(command):
    """--labels and --class-level, for folders of pictures."""
    command.add_argument("--labels", type=Path, metavar="FILE",
                         help="CSV or JSON with a label for each picture")
    command.add_argument("--class-level", choices=("first", "last"), default="first",
                         help="of nested folders, the one that names the class: the first or the last "
                         "(default: first)")


def add_backbone(command, default="auto"):
    """--backbone, --weights, --layer and --runtime."""
    auto = ", VGG16 where its weights are at hand, else EfficientNet-Lite0" if default == "auto" else ""
    command.add_argument("--backbone", default=default, metavar="NAME",
                         help=f"vgg16, efficientnet_lite0, … (default: {default}{auto})")
    command.add_argument("--weights", default="imagenet", metavar="W",
                         help="imagenet, a file, or random (default: imagenet)")
    command.add_argument("--layer", metavar="LAYER", help="take the features from this layer")
    command.add_argument("--runtime", default="auto", metavar="NAME",
                         help="auto, function, xla, keras, onnxruntime or openvino (default: auto, the fastest engine "
                         "that is installed, TensorFlow with a GPU; features are the same up to rounding), or, for "
                         "GPUs, mixed_float16 (cosines within 3e-5)")


def add_words(command):
    """--words and --synonyms."""
    command.add_argument("--words", default="glove-6b-50d", metavar="WORDS",
                         help="glove-6b-50d, glove-6b-300d, … or a file of vectors (default: glove-6b-50d)")
    command.add_argument("--synonyms", type=Path, metavar="FILE", help="lines such as 'car_side = car'")


def add_shape(command):
    """The shape of an mlp head."""
    command.add_argument("--sizes", type=sizes, default=(2000,), metavar="N,N",
                         help="hidden layers of the mlp (default: 2000)")
    command.add_argument("--activation", default="relu", metavar="NAME", help="of the mlp (default: relu)")
    command.add_argument("--dropout", type=float, default=0.5, metavar="SHARE",
                         help="of the mlp (default: 0.5)")


def add_training(command):
    """The head and how it is trained; what is not given is the trainer's default."""
    command.add_argument("--head", choices=("mlp", "ridge"), default="mlp",
                         help="mlp: Dense layers trained with a cosine loss; ridge: closed form "
                         "(default: mlp)")
    add_shape(command)
    command.add_argument("--loss", choices=("cosine", "hinge", "infonce"),
                         help="of the mlp: cosine, DeViSE's hinge rank, or InfoNCE over the labels (default: cosine)")
    command.add_argument("--epochs", type=count, metavar="N", help="default: 60")
    command.add_argument("--batch-size", type=count, metavar="N",
                         help="default: 32, or less where that would make fewer than 20 batches")
    command.add_argument("--optimiser", choices=("sgd", "adam", "adagrad"), help="default: sgd")
    command.add_argument("--learning-rate", type=float, metavar="RATE", help="default: 0.01")
    command.add_argument("--momentum", type=float, metavar="M", help="of sgd, Nesterov's (default: 0.9)")
    command.add_argument("--patience", type=count, metavar="N",
                         help="stop after so many epochs without a better validation hit@1")


def images(pictures, *, labels=None, class_level="first"):
    """The ImageSet that PICTURES names."""
    from devise.datasets import from_folder, open_images, samples

    pictures = [pictures] if isinstance(pictures, str) else list(pictures)
    if pictures == [SAMPLES]:
        return samples()
    paths = [Path(picture).expanduser() for picture in pictures]
    if len(paths) == 1 and not paths[0].is_file():
        with progress_bar("look") as progress:
            return from_folder(paths[0], labels=labels, class_level=class_level, progress=progress)
    folders = [path for path in paths if path.is_dir()]
    if folders:
        raise WrongUsage(f"{folders[0]} is a folder among files: give one folder, or files only")
    return open_images(paths)


def is_table(place):
    """The folder, if `devise extract` has written features to it, else None."""
    place = Path(place).expanduser()
    return place if (place / "features.json").is_file() else None


def labelled(args, pictures, *, default="auto"):
    """(FeatureTable or ImageSet, backbone or its name) of a folder a class, of features, or of 'caltech37'.

    `default` is what --backbone is where nobody named one.
    """
    from devise import features

    place = "caltech37" if pictures == "caltech37" else is_table(pictures)
    if not place:
        return images(pictures, labels=args.labels, class_level=args.class_level), backbone(args)
    found = features.load(place)
    name = found.backbone["name"]
    if args.backbone not in (default, name):
        raise WrongUsage(f"these features are of {name}, not of {args.backbone}: give the pictures instead")
    refuse(args, ("labels", "class_level", "weights", "layer", "runtime"), "the features were made before")
    return found, name


def backbone(args):
    """The backbone that was named; for 'auto' the best at hand, and a line that says which and why."""
    network = load_backbone(args)()
    if getattr(network, "pending_export", None):
        say(f"{network.name} is written as ONNX for {network.runtime}, once: {network.pending_export}")
    return network


def load_backbone(args):
    """A function that loads that backbone, here or in another process."""
    from devise import backbones

    name = args.backbone
    if name == "auto":
        name, why = backbones.choose()
        say(f"backbone {name}: {why}")
    weights = str(Path(args.weights).resolve()) if Path(args.weights).is_file() else args.weights
    return partial(backbones.load, name, weights=None if weights == "random" else weights, layer=args.layer,
                   runtime=args.runtime)


def words(args):
    """The name or path in --words, opened once behind a progress bar: that converts a text for good."""
    from devise.words import open_words

    with progress_bar("words", unit="B") as progress:
        open_words(args.words, progress=progress)
    return args.words


def synonyms(args):
    """The table in the --synonyms file, or None."""
    from devise.words import read_synonyms

    return read_synonyms(args.synonyms) if args.synonyms else None


def head(args, dim):
    """A new head of the asked shape."""
    from devise.heads import HeadConfig, MlpHead, RidgeHead

    if args.head == "ridge":
        return RidgeHead()
    return MlpHead(HeadConfig(dim, args.sizes, activation=args.activation, dropout=args.dropout))


def training(args):
    """The options of training that were given."""
    settable = ("loss", "epochs", "batch_size", "optimiser", "learning_rate", "momentum", "patience")
    given = {name: getattr(args, name) for name in settable if getattr(args, name) is not None}
    if args.head == "ridge" and given:
        raise WrongUsage(f"the ridge head has a closed form: leave out {', '.join(map(flag, given))}")
    return given


def refuse(args, meaningless, why):
    """Stop where one of these options has another value than its default, since it would mean nothing."""
    given = [flag(name) for name in meaningless if getattr(args, name) not in DEFAULTS]
    if given:
        raise WrongUsage(f"{', '.join(given)} can't be used here: {why}")


def flag(name):
    """An argument as it is typed.

    >>> flag("batch_size")
    '--batch-size'
    """
    return f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}"


def skipped(images):
    """The pictures that could not be used, for JSON: [{"path", "reason"}]."""
    return [item._asdict() for item in images.skipped]
