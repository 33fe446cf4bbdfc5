"""Models that need no images of one's own: the one that comes with devise, and a backbone's ImageNet classes alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from devise.backbones import efficientnet_lite
from devise.errors import MissingDependency, unknown
from devise.heads import ConseHead, LiftHead, restored
from devise.model.devise import Devise
from devise.model.sources import AUTO, Network, Words
from devise.model.space import SHARED, LiftText, Space, WordText, restored_text
from devise.storage import atomic_path, bundled
from devise.words import open_words
from devise.words.readers import NAMES, at_hand

if TYPE_CHECKING:
    from devise.backbones.base import Backbone
    from devise.words import WordVectors

DEFAULT = "everyday"
OTHERS = "take the pretrained model 'conse', which any backbone with ImageNet's classes and any words have"


def pretrained(name: str = DEFAULT, words: str | Path | WordVectors = "glove-6b-50d", *,
               backbone: str | Backbone | Network = AUTO) -> Devise:
    """A model that is ready without any training: it embeds, tags, and is indexed as a trained one.

    "everyday" comes with devise and knows everyday photographs and things by their names: captions of
    Flickr8k, ImageNet's classes and WordNet are in it, see pretrained/README.md. "conse" mixes the word
    vectors of the backbone's most probable ImageNet classes (Norouzi et al. 2014); "lift" asks how much
    more probable a word is for this image than for any.

    Args:
        name: "everyday", "conse" or "lift".
        words: WordVectors, or a name or path of some; "everyday" has glove-6b-50d alone.
        backbone: one with ImageNet's 1,000 classes; "auto" takes the best at hand. "everyday" has
            efficientnet_lite0 alone.
    Returns:
        Devise with the spaces "raw" and "shared", which has a text side; it has no labels.
    Raises:
        ValueError: if there is no such model, it is not made for the backbone or the words, or the backbone has no
            classifier on its features.
        MissingDependency: if the package with the backbone's weights or that with the words is not installed.

    >>> pretrained().tag("cat.jpg", k=1)[0]  # doctest: +SKIP
    [Tag(name='tabby', score=0.87, weak=False)]
    """
    if name == DEFAULT:
        efficientnet_lite.package_file("efficientnet_lite0")  # raises at once where it is not installed
        if words in NAMES and at_hand(words) is None:
            open_words(words)  # raises, and says how to get them
        return read(bundled(f"{DEFAULT}.npz", "pretrained"), words, Network.of(backbone))
    if name not in ("conse", "lift"):
        raise ValueError(unknown("pretrained model", name, [DEFAULT, "conse", "lift"]))
    network, words = Network.of(backbone), Words(words)
    space = (Space(ConseHead.of(network.backbone, words.vectors), WordText(words)) if name == "conse" else
             Space(LiftHead.of(network.backbone), LiftText(words)))
    return Devise(network, words, {SHARED: space}, record={"pretrained": name})


def unseen_beside(model: Devise) -> dict[str, float] | None:
    """How often a model names its unseen images rightly among its unseen labels, beside "everyday" and chance.

    Returns:
        {"trained", "everyday", "chance"}, fractions; None where the model has no two unseen classes, and where
        "everyday" is not to be had, is of another backbone, or doesn't know a label.
    """
    if model.split is None or len(model.split.unseen) < 2:  # among one label each is right
        return None
    rows, names = model.split.unseen_rows, model.split.unseen
    own = np.array([names.index(model.label_names[label]) for label in model.table.images.labels[rows]])
    try:
        base = pretrained()
        base.network.check(model.table)
        asked = {"trained": (model, model.candidates("unseen").vectors),
                 DEFAULT: (base, base.embed_text([model.record["synonyms"].get(name, name) for name in names]))}
    except (MissingDependency, FileNotFoundError, KeyError, ValueError):
        return None
    features = model.table.matrix[rows]
    spaces = {name: each.spaces[each.text_space()] for name, (each, _) in asked.items()}
    return {name: float(((spaces[name].embed(features) @ texts.T).argmax(axis=1) == own).mean())
            for name, (_, texts) in asked.items()} | {"chance": 1 / len(names)}


def write(model: Devise, path: str | Path) -> None:
    """A model with a text side as one compressed file, without its raw space; the same model gives the same bytes."""
    space = model.own_spaces[SHARED]
    assert space.text is not None
    document = {"backbone": model.network.record, "words": model.words_record, "head": space.head.config,
                "text": space.text.config, "record": model.record}
    arrays: dict[str, Any] = {f"{part}.{name}": array for part, found in
                              (("head", space.head), ("text", space.text)) for name, array in found.weights().items()}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, document=np.array(json.dumps(document, sort_keys=True)), **arrays)


def read(path: str | Path, words: str | Path | WordVectors | None = None, network: Network | None = None) -> Devise:
    """The model in a file that `write` wrote.

    Args:
        words: those to use, where they are not to be opened by their name.
        network: loads the backbone as it is to be; None as it comes.
    Raises:
        ValueError: if words or network are others than the model's.
    """
    with np.load(path, allow_pickle=False) as held:
        document = json.loads(str(held["document"]))
        parts = {part: {name.removeprefix(f"{part}."): held[name] for name in held.files
                        if name.startswith(f"{part}.")} for part in ("head", "text")}
    what = f"the model {document['record']['pretrained']!r} that comes with devise"
    try:
        network = (network or Network()).required(document["backbone"], what)
        known = Words.recorded(document["words"], None if words == document["words"]["source"] else words)
    except ValueError as error:
        raise ValueError(f"{error}; {OTHERS}") from error
    space = Space(restored(path, document["head"], parts["head"]),
                  restored_text(document["text"], parts["text"], known))
    return Devise(network, known, {SHARED: space}, record=document["record"])
