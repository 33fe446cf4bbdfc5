"""Questions that add and subtract: "beach -people", "this image, but with a blue hat and without the dog"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import unit_rows
from devise.errors import quoted

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from devise.model.devise import Devise

FORCE, LESS = 1.0, 0.3  # of images that are changed, chosen on dev pictures of Flickr8k, see docs/findings.md
LESS_OF_TEXT = 0.5  # of texts alone, chosen there too
# a minus before a word or a phrase in quotes, and ^ with a number behind it; "t-shirt" has neither
PART = re.compile(r"""(?P<minus>[-−](?=["\w]))?(?:"(?P<phrase>[^"]+)"|(?P<word>\S+?))"""
                  r"""(?:\^(?P<weight>\d+(?:\.\d+)?))?(?=\s|$)""")

NO_WEIGHT = re.compile(r"\w\^[-+−]?[\d.]")  # in a word whose end PART could not read as its weight


def weights_of(text: str) -> dict[str, float]:
    """The parts of a question and their weights: a minus takes away, ^2 counts twice, quotes hold a phrase together.

    Words without a sign stay one text, in their order. A text without any sign is one as it is.

    Raises:
        ValueError: if a weight is 0 or no number.

    >>> weights_of("a dog on the beach -people")
    {'a dog on the beach': 1.0, 'people': -1.0}
    >>> weights_of('dog^2 snow -"red car"^0.5'), weights_of("a black-and-white t-shirt")
    ({'snow': 1.0, 'dog': 2.0, 'red car': -0.5}, {'a black-and-white t-shirt': 1.0})
    """
    parts = list(PART.finditer(text))
    for part in parts:
        if NO_WEIGHT.search(part["word"] or ""):
            raise ValueError(f"{quoted(part[0])} has no number above 0 behind ^: write cat^2 for a word that counts "
                             "twice, -cat for one to take away")
    if not any(part["minus"] or part["weight"] for part in parts):
        return {text: 1.0}
    weights: dict[str, float] = {}
    plain = " ".join(part["word"] for part in parts if part["word"] and not part["minus"] and not part["weight"])
    if plain:
        weights[plain] = 1.0
    for part in parts:
        if part["phrase"] or part["minus"] or part["weight"]:
            name, weight = part["phrase"] or part["word"], float(part["weight"] or 1)
            if not weight:
                raise ValueError(f"{quoted(part[0])} has the weight 0: expected a number above 0, or leave it out")
            weights[name] = weights.get(name, 0) + (-weight if part["minus"] else weight)
    return weights


def mixed(model: Devise, weights: Mapping[str, float], rows: ArrayLike | None = None, *, less: float = LESS_OF_TEXT,
          space: str | None = None) -> NDArray[np.float32]:
    """Weighted texts, and images, as one question.

    q = x + Σ w⁺ · text − less · Σ w⁻ · text, of unit vectors in a space with a text side.

    Args:
        weights: {text: weight}, below 0 for what is taken away.
        rows: float (n, dim), images or sums of images in that space; the texts are added to each. None for none.
        less: how much a text that is taken away weighs against one that is added.
        space: its name; None is the first with a text side.
    Returns:
        float32 (n, dim), unit rows; (1, dim) without images.
    Raises:
        ValueError: if there is nothing to look for, a weight is 0 or not finite, or nothing is left.
        KeyError: if no word of a text has a vector.

    >>> class Compass:
    ...     def embed_text(self, texts, space=None):
    ...         return np.array([{"north": [0, 1], "east": [1, 0]}[text] for text in texts], np.float32)
    >>> mixed(Compass(), {"north": 2, "east": -3}, less=0.5).round(2)
    array([[-0.6,  0.8]], dtype=float32)
    """
    factors = np.array([*weights.values()], np.float32)
    if not np.isfinite(factors).all() or not factors.all():
        raise ValueError(f"the weights are {', '.join(f'{text}: {weight}' for text, weight in weights.items())}: "
                         "expected numbers above or below 0")
    if rows is None and not (factors > 0).any():
        raise ValueError("there is nothing to look for, only what to leave out: add a text, such as beach -people")
    question = np.zeros(1, np.float32) if rows is None else np.array(rows, np.float32)
    if len(factors):
        question = question + np.where(factors > 0, factors, less * factors) @ model.embed_text([*weights], space)
    return unit_rows(np.atleast_2d(question), "mixed questions")


def changed(model: Devise, rows: ArrayLike, *, plus: str | Sequence[str] = (), minus: str | Sequence[str] = (),
            force: float = FORCE, less: float = LESS, space: str | None = None) -> NDArray[np.float32]:
    """Images changed by words: image + words − words.

    q = x + force · (Σ plus − less · Σ minus), of unit vectors in a space with a text side.

    Args:
        rows: float (n, dim), images as unit rows of that space.
        plus, minus: words, phrases, or sentences; one or several.
        force: how much a text weighs against the image, above 0.
        less: how much one that is taken away weighs against one that is added, above 0.
        space: its name; None is the first with a text side.
    Returns:
        float32 (n, dim), unit rows.
    Raises:
        ValueError: if there is no text, nothing is left of an image, or no space has a text side.
        KeyError: if no word of a text has a vector.

    >>> class Compass:
    ...     def embed_text(self, texts, space=None):
    ...         return np.array([{"north": [0, 1], "east": [1, 0]}[text] for text in texts], np.float32)
    >>> changed(Compass(), [[0.6, 0.8]], plus="east", minus="north").round(2)
    array([[0.95, 0.3 ]], dtype=float32)
    """
    plus, minus = ([texts] if isinstance(texts, str) else list(texts) for texts in (plus, minus))
    if not plus and not minus:
        raise ValueError("there is nothing to change: give words to add or to take away")
    if not all(np.isfinite(number) and number > 0 for number in (force, less)):
        raise ValueError(f"force is {force} and less is {less}: expected numbers above 0")
    rows = np.array(rows, np.float32)
    for texts, sign in ((plus, force), (minus, -force * less)):
        if texts:
            rows = rows + sign * model.embed_text(texts, space).sum(axis=0)
    return unit_rows(rows, "changed pictures")
