"""Models that need no images of one's own: a backbone's ImageNet classes, told in the space of words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from devise.errors import unknown
from devise.heads import ConseHead, LiftHead
from devise.model.devise import Devise
from devise.model.sources import AUTO, Network, Words
from devise.model.space import SHARED, Space
from devise.model.text import LiftText, WordText

if TYPE_CHECKING:
    from devise.backbones.base import Backbone
    from devise.words import WordVectors

DEFAULT = "conse"


def pretrained(name: str = DEFAULT, words: str | Path | WordVectors = "glove-6b-50d", *,
               backbone: str | Backbone = AUTO) -> Devise:
    """A model that is ready without any training: it embeds, tags, and is indexed as a trained one.

    "conse" mixes the word vectors of the backbone's most probable ImageNet classes (Norouzi et al.
    2014); "lift" asks how much more probable a word is for this image than for any.

    Args:
        name: "conse" or "lift".
        words: WordVectors, or a name or path of some.
        backbone: one with ImageNet's 1,000 classes; "auto" takes the best at hand.
    Returns:
        Devise with the spaces "raw" and "shared", which has a text side; it has no labels.
    Raises:
        ValueError: if there is no such model, or the backbone has no classifier on its features.

    >>> pretrained("lift").tag("cat.jpg", k=1)[0]  # doctest: +SKIP
    [Tag(name='tabby', score=0.02)]
    """
    known = {"conse": _conse, "lift": _lift}
    if name not in known:
        raise ValueError(unknown("pretrained model", name, known))
    network, words = Network.of(backbone), Words(words)
    return Devise(network, words, {SHARED: known[name](network.backbone, words)}, record={"pretrained": name})


def _conse(backbone, words):
    return Space(ConseHead.of(backbone, words.vectors), WordText(words))


def _lift(backbone, words):
    return Space(LiftHead.of(backbone), LiftText(words))
