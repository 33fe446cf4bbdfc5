"""Questions that add and subtract: "this image, but with a blue hat and without the dog"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from devise.arrays import unit_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from devise.model.devise import Devise

FORCE, LESS = 1.0, 0.3  # chosen on dev pictures of Flickr8k, see docs/findings.md


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
