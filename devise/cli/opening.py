"""Where PICTURES, MODEL and INDEX of the command line are opened: paths first, frameworks when these are there."""

from __future__ import annotations

import difflib
import os
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devise.cli import WrongUsage, options
from devise.cli.terminal import progress_bar, say

if TYPE_CHECKING:
    from devise.backbones.base import Backbone
    from devise.datasets import ImageSet
    from devise.features import FeatureTable
    from devise.heads import Head
    from devise.model import Devise
    from devise.model.sources import Network
    from devise.search import Search
    from devise.words import WordVectors

SAMPLES, BUNDLED = "samples", "caltech37"
PRETRAINED = ("everyday", "conse", "lift")
A_MODEL = f"the folder of a model, {', '.join(PRETRAINED[:-1])} or {PRETRAINED[-1]}"


def existing(place: str | Path, expected: str, known: Sequence[str] = ()) -> Path:
    """The path of something that is there.

    Args:
        expected: what the message says in place of a guess.
        known: words that would have been taken too.
    Raises:
        FileNotFoundError: if it is not; the message names what is near.
    """
    path = Path(os.path.expanduser(place))
    if not str(place).strip():
        raise FileNotFoundError(f"'{place}' is empty: expected {expected}")
    if path.exists():
        return path
    above = path.parent
    there = [str(found) if above != Path() else found.name for found in above.iterdir()] if above.is_dir() else []
    near = difflib.get_close_matches(str(place), [*known, *there], n=2)
    raise FileNotFoundError(f"{place} does not exist: "
                            + (f"did you mean {' or '.join(near)}?" if near else f"expected {expected}"))


def at_once(args: Namespace) -> None:
    """Look whether the files that options name are there, before anything is opened that takes long.

    Raises:
        FileNotFoundError: if one is not; the message names what is near.
    """
    files = {"labels": "a CSV or JSON file with a label for each picture", "captions": "a file of captions",
             "synonyms": "a file with lines such as 'car_side = car'", "weights": "a file of weights"}
    for name, value in options.given(args, files).items():
        if name != "weights" or os.sep in value or Path(value).suffix:
            existing(value, files[name])
    if (words := vars(args).get("words")) is not None:
        from devise.words import NAMES

        if words not in NAMES:
            existing(words, f"a file of vectors, or {', '.join(NAMES)}", tuple(NAMES))
    if isinstance(place := vars(args).get("index"), Path):
        existing(place, options.AN_INDEX)
    named = vars(args).get("model")
    if named and named not in PRETRAINED:
        existing(named, A_MODEL, PRETRAINED)


def images(pictures: str | Sequence[str], *, labels: Path | None = None, class_level: str | None = None) -> ImageSet:
    """The ImageSet that PICTURES name.

    Raises:
        FileNotFoundError: if one is not there.
    """
    pictures = [pictures] if isinstance(pictures, str) else list(pictures)
    sampled = pictures == [SAMPLES] and not Path(SAMPLES).exists()
    paths = [] if sampled else [existing(picture, options.PICTURES, (SAMPLES, BUNDLED)) for picture in pictures]
    from devise.datasets import open_images, samples

    if sampled:
        return samples()
    with progress_bar("look") as progress:
        return open_images(paths[0] if len(paths) == 1 else paths, labels=labels,
                           class_level=class_level or "first", progress=progress)


def classed(args: Namespace, pictures: str | Sequence[str]) -> ImageSet:
    """The ImageSet that PICTURES name, with their classes; a line says which folders name them where that is in doubt.

    Without --class-level it is that of the model or the index that the pictures are for.
    """
    found = images(pictures, **{"class_level": _remembered(args), **options.given(args, options.READ)})
    for note in found.notes:
        say(options.typed(note))
    return found


def _remembered(args: Namespace) -> str | None:
    """The level of folders that named the classes of the model or the index that is asked for, if that is known."""
    from devise.storage import is_manifest, read_json

    for name, kind in (("model", "model"), ("index", "search")):
        manifest = Path(vars(args).get(name) or "", f"{kind}.json").expanduser()
        if vars(args).get(name) and is_manifest(manifest):
            document = read_json(manifest)
            return document.get("record", document).get("class_level")
    return None


def data(args: Namespace, pictures: str | Sequence[str]) -> ImageSet | FeatureTable:
    """Pictures, or the features of a folder that `devise extract` wrote, or those that come with devise.

    Raises:
        WrongUsage: if options are given that are for pictures, and these are features.
    """
    first = pictures if isinstance(pictures, str) else pictures[0] if len(pictures) == 1 else ""
    bundled = first == BUNDLED and not Path(BUNDLED).exists()
    if not bundled and not (first and is_table(first)):
        return classed(args, pictures)
    options.refuse(args, (*options.READ, "weights", "layer", "runtime"), "the features were made before")
    from devise import features

    found = features.load(BUNDLED if bundled else Path(first).expanduser())
    name = found.backbone["name"]
    if vars(args).get("backbone") not in (None, "auto", name):
        raise WrongUsage(f"these features are of {name}, not of {args.backbone}: give the pictures instead")
    return found


def is_table(place: str | Path) -> bool:
    """Whether `devise extract` has written features to a folder."""
    return (Path(place).expanduser() / "features.json").is_file()


def captioned(args: Namespace, found: ImageSet | FeatureTable) -> ImageSet | FeatureTable:
    """Pictures or features with the sentences of --captions."""
    from devise.datasets import read_captions, with_captions
    from devise.features import FeatureTable
    from devise.model.captions import captioned as table_of

    told = read_captions(args.captions)
    if isinstance(found, FeatureTable):
        return table_of(found, with_captions(found.images, told))
    return with_captions(found, told)


def network(args: Namespace, found: ImageSet | FeatureTable | None = None) -> Network | str:
    """The backbone of --backbone, to be loaded when it is needed; of features theirs.

    Of 'auto' it is the best at hand, and a line says which and why.
    """
    from devise.features import FeatureTable
    from devise.model.sources import Network

    if isinstance(found, FeatureTable):
        return found.backbone["name"]
    return Network(**loading(args))


def backbone(args: Namespace) -> Backbone:
    """The backbone of --backbone, loaded."""
    from devise import backbones

    how = loading(args)
    found = backbones.load(how.pop("backbone"), **how)
    if vars(found).get("pending_export"):
        say(f"{found.name} is written as ONNX for {found.runtime}, once: {found.pending_export}")
    return found


def loading(args: Namespace) -> dict:
    """What --backbone and the options beside it say of loading it."""
    given = options.given(args, options.NETWORK)
    name = given.pop("backbone", "auto")
    if name == "auto":
        from devise import backbones

        name, why = backbones.choose()
        say(f"backbone {name}: {why}")
    weights = given.get("weights", "imagenet")
    weights = str(Path(weights).expanduser().resolve()) if Path(weights).expanduser().is_file() else weights
    return {"backbone": name, "layer": None, "runtime": "auto", **given,
            "weights": None if weights == "random" else weights}


def words(args: Namespace) -> dict[str, Any]:
    """--words for a function that takes them, opened once behind a progress bar: that converts a text for good."""
    given = options.given(args, ("words",))
    for name in given.values():
        word_vectors(name)
    return given


def word_vectors(name: str) -> WordVectors:
    """Word vectors by their name or file, opened behind a progress bar."""
    from devise.words import open_words

    with progress_bar("words", unit="B") as progress:
        return open_words(name, progress=progress)


def synonyms(args: Namespace) -> dict[str, Any]:
    """--synonyms for a function that takes them."""
    if "synonyms" not in args:
        return {}
    from devise.words import read_synonyms

    return {"synonyms": read_synonyms(args.synonyms)}


def head(args: Namespace) -> Head | None:
    """A new head of the asked shape; None for the training's own."""
    from devise.heads import HeadConfig, MlpHead, RidgeHead

    if vars(args).get("head") == "ridge":
        return RidgeHead()
    if not (shape := options.given(args, options.SHAPE)):
        return None
    named = vars(args).get("words", options.default("devise.model.labels:train_labels", "words"))
    return MlpHead(HeadConfig(word_vectors(named).dim, **shape))


def model(args: Namespace) -> Devise:
    """The model of --model or MODEL: that of a folder, or one that needs no training, the one that comes with devise.

    Raises:
        FileNotFoundError: if there is no such folder and no such name; the message has what is near.
        WrongUsage: if --words or --backbone are given with a folder, whose model has its own.
    """
    named = options.given(args, ("model",)).get("model")
    if named and (named not in PRETRAINED or Path(named).is_dir()):
        return saved(named, args)
    from devise.model import pretrained

    about: dict[str, Any] = {"name": named} if named else {}
    if given := options.given(args, options.NETWORK):
        if named in (None, PRETRAINED[0]) and given.get("backbone", "auto") == "auto":
            args.backbone = "efficientnet_lite0"  # it has no other
        about["backbone"] = network(args)
    return pretrained(**about, **words(args))


def saved(folder: str | Path, args: Namespace | None = None) -> Devise:
    """The model in a folder that a training wrote."""
    if args:
        options.refuse(args, ("words", *options.NETWORK), "the model has its own")
    path = existing(folder, A_MODEL, PRETRAINED)
    from devise.model import Devise

    return Devise.load(path)


def of_training(found: ImageSet | FeatureTable) -> tuple[ImageSet, str | None]:
    """The images of what `data` opened, and where their features lie."""
    from devise.features import FeatureTable

    return (found.images, found.source) if isinstance(found, FeatureTable) else (found, None)


def keep(args: Namespace, found: ImageSet | FeatureTable | None = None) -> None:
    """Refuse before a training what saving its model to -o would refuse after it; `found` is what it learns from."""
    from devise.model.saving import KIND, lost
    from devise.storage import Commit

    new: dict[str, Any] = {}
    if found is not None:
        images, source = of_training(found)
        new = {"label_names": images.label_names, "data": source, "split": {"paths": {"train": images.paths}}}
    Commit(args.output, KIND, {}, lost=partial(lost, new), overwrite=args.overwrite).check()


def search(folders: Sequence[str | Path]) -> Search:
    """The index in a folder, or in several as one."""
    paths = [existing(folder, options.AN_INDEX) for folder in folders]
    from devise.search import Search

    return Search.load(*paths)


def skipped(found: ImageSet) -> list[dict]:
    """The pictures that could not be used, for JSON: [{"path", "reason"}]."""
    return [item._asdict() for item in found.skipped]
