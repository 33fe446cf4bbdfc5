"""The 1,000 classes of ILSVRC 2012, in the standard order of their WordNet ids."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def classes() -> tuple[tuple[str, str], ...]:
    """WordNet id and name of each class.

    >>> classes()[2]
    ('n01484850', 'great white shark')
    """
    text = files("devise.backbones").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines()]
    return tuple((identity, name.replace("_", " ")) for _number, identity, name in rows)


def class_names() -> tuple[str, ...]:
    """The name of each class; two names stand for two classes each, crane and maillot.

    >>> len(class_names())
    1000
    """
    return tuple(name for _identity, name in classes())


def identities() -> tuple[str, ...]:
    """The WordNet id of each class.

    >>> identities()[2]
    'n01484850'
    """
    return tuple(identity for identity, _name in classes())
