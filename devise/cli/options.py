"""Options of the command line: each is said once, and its default is read from the function that takes it."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from devise.cli import WrongUsage
from devise.cli.signatures import MISSING, Parameter, signature
from devise.errors import unknown
from devise.storage import DRAWN, replaceable

NO_DEFAULT = (None, "", (), MISSING)
SOURCES: dict[argparse.Action, tuple[str, str]] = {}  # the function and the parameter of an option
# types and names of code, in a docstring
PYTHON = re.compile(r"\b(?!WordNet|ImageNet)[A-Z][a-z]+[A-Z]\w+|Backbone|callable|`|\(name, ")


def count(value: str) -> int:
    """An argument that is a whole number from 1."""
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from 1")
    return int(value)


def fraction(value: str) -> float:
    """An argument that is a share, 0 to 1."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a share from 0 to 1")
    return number


def path(value: str) -> Path:
    """An argument that is a path, with ~ for the home."""
    return Path(os.path.expanduser(value))


def drawing(value: str) -> Path:
    """An argument that is a file to draw, of one of the formats that are drawn and not in the place of another file."""
    place = path(value)
    if place.suffix.lower() not in DRAWN:
        raise argparse.ArgumentTypeError(f"{value} ends in {place.suffix or 'nothing'!r}: expected {', '.join(DRAWN)}")
    try:
        replaceable(place)
    except FileExistsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return place


def folder(value: str) -> Path:
    """An argument that is a folder to write: no file may be in its place."""
    if os.path.exists(path(value)) and not os.path.isdir(path(value)):
        raise argparse.ArgumentTypeError(f"{value} is a file: name a folder to write")
    return path(value)


def sizes(value: str) -> tuple[int, ...]:
    """An argument such as 2000 or 1000,500; nothing for a head without hidden layers."""
    return tuple(count(size.strip()) for size in value.split(",") if size.strip())


def numbers(value: str) -> tuple[float, ...]:
    """An argument such as 0.25,0.5; nothing for none."""
    return tuple(float(number) for number in value.split(",") if number.strip())


def names(value: str) -> tuple[str, ...]:
    """An argument that is names between commas."""
    return tuple(name.strip() for name in value.split(",") if name.strip())


def classes(value: str) -> int | tuple[str, ...]:
    """An argument that is names between commas, or a number of classes to draw."""
    return int(value) if value.isdecimal() else names(value)


def share(value: str) -> int | float | tuple[str, ...]:
    """An argument that is names between commas, a number of classes, or a share of them."""
    try:
        return int(value) if value.isdecimal() else float(value)
    except ValueError:
        return names(value)


def beside(value: str) -> tuple[str, Path]:
    """An argument such as clip=embeddings.npz."""
    name, _, file = value.partition("=")
    if not name or not file:
        raise argparse.ArgumentTypeError(f"{value!r} is not of the form NAME=FILE, such as clip=embeddings.npz")
    return name, path(file)


def one_of(what: str, known: Collection[str]) -> Callable[[str], str]:
    """A type for arguments that are one of a few names, with a good guess for a mistyped one."""
    def check(value: str) -> str:
        if value not in known:
            raise argparse.ArgumentTypeError(unknown(what, value, known))
        return value
    vars(check)["known"] = tuple(known)  # for the completion of a shell
    return check


Kind = Callable[[str], Any] | tuple[str, ...]  # what reads the argument, or the names that it may be
OPTIONS: dict[str, tuple[Kind, str, str]] = {  # kind, metavar, help; the default is that of the function which takes it
    "images": (str, "PICTURES", "a folder a class, or features from `devise extract`"),
    "labels": (path, "FILE", "CSV or JSON with a label for each picture"),
    "class_level": (("first", "last"), "", "of nested folders, the one that names the class"),
    "captions": (path, "FILE", "the sentences: a token file of Flickr8k, captions of COCO, or a CSV of image,caption"),
    "unseen": (classes, "A,B", "classes to keep out of the training, or how many to draw"),
    "validation": (share, "A,B", "to choose the best epoch by: a share, of `siamese` also how many classes, or names"),
    "test": (share, "A,B", "for the figures: a share, of `siamese` also how many classes, or names"),
    "seed": (int, "N", "of split and training"),
    "model": (str, "MODEL", "a folder that a training wrote, or everyday, conse or lift, which need none"),
    "backbone": (str, "NAME", "vgg16, efficientnet_lite0, …; auto: VGG16 where its weights are at hand, else "
                 "EfficientNet-Lite0; NAME-stretched: whole pictures, as Keras' load_img makes them"),
    "weights": (str, "W", "imagenet, a file, or random"),
    "layer": (str, "LAYER", "take the features from this layer"),
    "runtime": (str, "NAME", "auto (the first installed that can), onnxruntime, openvino, function, xla or keras; the "
                "features are the same up to rounding; or, for GPUs, mixed_float16 (cosines within 3e-5)"),
    "words": (str, "WORDS", "glove-6b-50d, glove-6b-300d, … or a file of vectors"),
    "synonyms": (path, "FILE", "lines such as 'car_side = car' or 'crane = crane (bird)'"),
    "skip_unknown": (bool, "", "train without the labels that have no word vector; they are listed"),
    "space": (str, "SPACE", "raw, hidden, shared or learnt, where the model has it (default: the one for the purpose)"),
    "head": (("mlp", "ridge"), "", "mlp, layers trained with a loss, or ridge, a closed form (default: mlp)"),
    "sizes": (sizes, "N,N", "hidden layers of the mlp"),
    "activation": (str, "NAME", "of the mlp"),
    "dropout": (float, "SHARE", "of the mlp"),
    "dim": (count, "N", "columns of the embeddings"),
    "start": (("within-class", "whitening", "pca", "identity"), "", "what the space is like before the training"),
    "power": (float, "P", "each feature is raised to this before the head: 0.5 for square roots, 1 for none"),
    "loss": (str, "NAME", "see above"),
    "miner": (str, "NAME", "all, hard, hard-positive, hard-negative, semi-hard or distance-weighted (default: that of "
              "the loss)"),
    "classes": (count, "P", "of a batch (default: 8, or all where there are fewer)"),
    "per_class": (count, "K", "pictures of each class in a batch"),
    "epochs": (count, "N", "of the training"),
    "batch_size": (count, "N", "most pictures in a batch (default: 32, or less for few pictures; of `finetune` 8)"),
    "optimiser": (("sgd", "adam", "adagrad"), "", "of the training"),
    "learning_rate": (float, "RATE", "of the optimiser"),
    "momentum": (float, "M", "of sgd, Nesterov's"),
    "patience": (count, "N", "stop after so many epochs without a better score on validation"),
    "layers": (count, "N", "of the network that train, the last ones with weights"),
    "augment": (fraction, "STRENGTH", "change the pictures ever more, cut-outs included, up to this strength in the "
                "last epoch, 0 to 1"),
    "false_accept_rate": (fraction, "SHARE", "of unknown pictures that may be taken for known ones"),
    "k": (count, "N", "how many"),
    "candidates": (str, "C", "concepts (things that can be seen, of the model everyday), words, seen, unseen, all "
                   "(labels), or names between commas (default: concepts, where the model has them, else words)"),
    "first": (count, "N", "how many words the candidates 'words' take, by frequency"),
    "gallery": (sizes, "N,N", "sizes of galleries to draw, such as 100,1000,10000"),
    "save": (drawing, "FILE", "draw the answer: .png, .jpg, .pdf or .svg"),
    "output": (folder, "DIR", "the folder to write"),
    "root": (path, "DIR", "the folder of a published set"),
    "set": (("cub200", "cars196", "sop", "in-shop"), "", "a published set in its own layout and split, in --root"),
    "beside": (beside, "NAME=FILE", "a row for another system; may be given several times"),
    "path": (path, "FILE", "a file of vectors, or an index"),
    "n": (count, "N", "how many"),
    "engines": (names, "A,B", "beside exact"),
}
SAID_ELSEWHERE = ("engine", "workers", "plus", "minus", "overwrite", "plurals", "text", "uri")
AN_INDEX = "a folder that `devise index` wrote"
PICTURES = ("a folder (a folder a class, or flat), picture files, or 'samples' for the photographs that scikit-image "
            "carries")
READ, NETWORK = ("labels", "class_level"), ("backbone", "weights", "layer", "runtime")
SHAPE = ("sizes", "activation", "dropout")
OPEN, LOAD = "devise.datasets.folders:from_folder", "devise.backbones.registry:load"
TRAIN = "devise.training.trainer:train"


def add(parser: argparse.ArgumentParser, source: str, *known: str, **changed: Any) -> None:
    """Add options of OPTIONS to a parser.

    Args:
        source: "module:function", whose signature has their defaults; the help reads them, nothing else does.
            "" where there is none.
        known: their names.
        changed: what argparse gets in place of what OPTIONS says, for each of them.
    """
    for name in known:
        kind, metavar, help = OPTIONS[name]
        settings: dict[str, Any] = {"choices": kind} if isinstance(kind, tuple) else {"type": kind, "metavar": metavar}
        if kind is bool:
            settings = {"action": "store_true"}
        if name == "beside":
            settings["action"] = "append"
        settings = {"default": argparse.SUPPRESS, "help": help, **settings, **changed}
        flags = ("-o", "--output") if name == "output" else (flag(name),)
        action = parser.add_argument(*flags, dest=name, **settings)
        SOURCES[action] = (source, name)


def add_pictures(parser: argparse.ArgumentParser, **settings: Any) -> None:
    """PICTURES, and how the classes of a folder are read."""
    parser.add_argument("pictures", metavar="PICTURES", **{"nargs": "+", "help": PICTURES} | settings)
    add(parser, OPEN, *READ)


def add_index(parser: argparse.ArgumentParser, several: str = "") -> None:
    """INDEX, a folder; of several of one model as one, `several` says what is done with them."""
    many: dict[str, Any] = {"nargs": "+"} if several else {"type": path}
    parser.add_argument("index", metavar="INDEX", **many, help=AN_INDEX + (
        f"; several of one model are {several} as one" if several else ""))


def add_network(parser: argparse.ArgumentParser, source: str = "devise.model.labels:train_labels") -> None:
    """--backbone and how it is loaded, for a function that takes one."""
    add(parser, source, "backbone")
    add(parser, LOAD, *NETWORK[1:])


def add_model(parser: argparse.ArgumentParser) -> None:
    """--model, and --words and --backbone for one that needs no training."""
    add(parser, "", "model", help=f"{OPTIONS['model'][2]} (default: everyday)")
    add(parser, "devise.model.pretrained:pretrained", "words")
    add_network(parser, "devise.model.pretrained:pretrained")


def add_reject(parser: argparse.ArgumentParser) -> None:
    """--reject, to leave weak answers out."""
    parser.add_argument("--reject", action="store_true", default=argparse.SUPPRESS,
                        help="leave out answers that are marked weak; there may be none left")


def add_output(parser: argparse.ArgumentParser, metavar: str = "MODEL", **settings: Any) -> None:
    """-o, what to write, and --overwrite."""
    add(parser, "", "output", **{"metavar": metavar, "required": True} | settings)
    parser.add_argument("--overwrite", action="store_true", help="replace what is there by other content; without it "
                        "that is refused, and only the same is written anew")


def given(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """{name: value} of the options that were given."""
    return {name: vars(args)[name] for name in names if vars(args).get(name) is not None}


def refuse(args: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """Stop where one of these options was given, since it would mean nothing.

    Raises:
        WrongUsage: which says why.
    """
    if found := [flag(name) for name in given(args, names)]:
        raise WrongUsage(f"{', '.join(found)} can't be used here: {why}")


def flag(name: str) -> str:
    """An argument as it is typed.

    >>> flag("batch_size"), flag("k")
    ('--batch-size', '-k')
    """
    return f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}"


def typed(text: str) -> str:
    """A message of Python in the command line's words.

    >>> typed("too few: ask for more with validation=, batch_size=8 or engine='exact' (in Python overwrite=True)")
    'too few: ask for more with --validation, --batch-size 8 or --engine exact'
    """
    known = "|".join(sorted([*OPTIONS, *SAID_ELSEWHERE], key=len, reverse=True))
    text = re.sub(r" \(in Python [^)]*\)", "", text)
    text = re.sub(r"`?\bDevise\.(calibrate|evaluate|export|finetune|tag)\b`?", r"`devise \1`", text)
    call = rf"\w\([^)]*\)|(?<![\w.])({known})=(?:True\b|(['\"])(.*?)\2|(?=(\w?)))"  # what stands in a call stays
    return re.sub(call, lambda found: found[0] if not found[1] else
                  flag(found[1]) + (f" {found[3]}" if found[3] else " " if found[4] else ""), text)


def default(place: str, name: str) -> Any:
    """What the function of "module:function" takes where a parameter is not given."""
    return signature(place).parameters[name].default


def helped(action: argparse.Action) -> str | None:
    """The help of an option, with its function's default."""
    place, name = SOURCES.get(action, ("", ""))
    value = default(place, name) if place else None
    if value in NO_DEFAULT or "(default: " in (action.help or ""):
        return action.help
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"{action.help} (default: {shown.replace('%', '%%')})"


def add_all(parser: argparse.ArgumentParser, place: str) -> tuple[str, ...]:
    """Add an option for each parameter of "module:function" that a command line can give; returns their names.

    A parameter is known by its name in OPTIONS, else by its default or annotation: a number, text, or
    several. Its help is what the docstring says of it. "backbone" is left to `add`.
    """
    found, said = [], signature(place)
    for name, parameter in said.parameters.items():
        kind: Any = OPTIONS[name][0] if name in OPTIONS else _kind(parameter)
        if name == "backbone" or kind is None:
            continue
        settings: dict[str, Any] = {"required": True} if parameter.default is MISSING else {}
        if name in said.told:
            settings["help"] = in_words(name, said.told[name]).replace("%", "%%")
        if parameter.default is False:
            parser.add_argument(flag(name), dest=name, action="store_true", default=argparse.SUPPRESS, **settings)
        elif name in OPTIONS:
            add(parser, place, name, **settings)
        else:
            action = parser.add_argument(flag(name), dest=name, type=kind, default=argparse.SUPPRESS,
                                         metavar=METAVARS.get(kind, "TEXT"), **settings)
            SOURCES[action] = (place, name)
        found.append(name)
    return tuple(found)


def in_words(name: str, told: str) -> str:
    """What a docstring says of a parameter, in the command line's words: types of Python are none of them.

    >>> in_words("images", "pictures in folders (an ImageSet); None takes the bundled set.")
    'pictures in folders (default: the bundled set)'
    >>> in_words("words", "WordVectors, or their name or path.")
    'glove-6b-50d, glove-6b-300d, … or a file of vectors'
    """
    text, _, absent = re.sub(r" \(an? [A-Z]\w+\)", "", told.rstrip(".")).partition("None ")
    text = text.rstrip("; ")
    if name in OPTIONS and (not text or PYTHON.search(text)):
        text = OPTIONS[name][2]
    return text if not absent or "(default: " in text else f"{text} (default: {absent.partition(' ')[2]})"


def _kind(parameter: Parameter) -> Callable | None:
    """What reads a parameter from a word, by its default or by its annotation; None where nothing does."""
    value = parameter.default
    if isinstance(value, bool):
        return None if value else bool
    if isinstance(value, tuple) and value:
        several = {int: sizes, float: numbers, str: names}
        return several.get(type(value[0]))
    for kind, read in ((int, int), (float, float), (str, str)):
        if isinstance(value, kind) or re.match(rf"{kind.__name__}\b", parameter.annotation):
            return read
    return None


METAVARS = {int: "N", float: "X", sizes: "N,N", numbers: "X,X", names: "A,B"}
