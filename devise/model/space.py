"""A named embedding space of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.heads import Head
    from devise.model.text import Text

RAW, LEARNT, SHARED = "raw", "learnt", "shared"
HOW = {SHARED: "train one with devise.train_labels (`devise train`) or devise.train_captions (`devise captions`), or "
               "take devise.pretrained()",
       LEARNT: "devise.train_classes (`devise siamese`) or devise.train_captions (`devise captions`) make a model that "
               "has one",
       "hidden": "a model trained with an MlpHead that has a hidden layer has one"}

@dataclass(frozen=True, eq=False)
class Space:
    """One embedding space: a head for images and, where it has them, a text side and a threshold.

    Attributes:
        head: Head, from features to the space.
        text: Text, from words and sentences to the space; None where the space knows no text.
        threshold: the cosine from which on two images are a match; None where none was chosen.
        calibration: what the threshold rests on, {"false_accept_rate", "classes", "low", "high", …}, see
            `devise.model.calibration.calibrated`; None without a threshold.

    >>> from devise.heads import RawHead
    >>> Space(RawHead(3)).embed(np.array([[3.0, 0.0, 4.0]]))
    array([[0.6, 0. , 0.8]], dtype=float32)
    """

    head: Head
    text: Text | None = None
    threshold: float | None = None
    calibration: dict | None = None

    @property
    def dim(self) -> int | None:
        """Columns of the embeddings; None where the head has no weights yet to decide it."""
        return self.head.dim

    def embed(self, features: NDArray) -> NDArray[np.float32]:
        """Features (n, dim of the backbone) as unit rows (n, dim)."""
        return self.head.embed(features)

    def embed_text(self, texts: str | Sequence[str]) -> NDArray[np.float32]:
        """One text or several as unit rows (n, dim).

        Raises:
            ValueError: if the space has no text side.
            KeyError: if no word of a text has a vector; the message lists near spellings.
        """
        if self.text is None:
            raise ValueError("this space has no text side")
        return self.text.embed(texts)
