"""The threshold of a space: from which cosine on two images are a match, and how far that can be trusted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from devise.evaluation import ThresholdInterval, choose_threshold, threshold_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devise.model.space import Space


def calibrated(space: Space, features: NDArray, labels: NDArray[np.int64], false_accept_rate: float, seed: int = 0
               ) -> Space:
    """A space with the threshold that lets in a wanted share of unknown images.

    Each image asks the others as if its class were not among them; see `devise.evaluation.choose_threshold`.
    In a much larger gallery more unknown images pass. Few classes say little of others: `calibration` has
    the interval of the threshold and that of the false-accept rate on other classes.

    Args:
        features: (n, dim of the backbone), of classes that the head was not trained on.
        labels: int (n,).
        false_accept_rate: 0 to 1.
    Raises:
        ValueError: if it is out of range, or there are fewer than two classes.
    """
    if not 0 <= false_accept_rate <= 1:
        raise ValueError(f"false_accept_rate is {false_accept_rate}: expected a share from 0 to 1")
    rows = space.embed(features)
    threshold = choose_threshold(rows, labels, false_accept_rate=false_accept_rate)
    interval = threshold_interval(rows, labels, false_accept_rate=false_accept_rate, seed=seed)
    return replace(space, threshold=threshold, calibration={"asked": false_accept_rate, **interval._asdict()})


def sentence(space: Space) -> str:
    """What the threshold of a space rests on, for a reader."""
    if space.threshold is None or space.calibration is None:
        raise ValueError("the space has no threshold of its own: choose one by `Devise.calibrate`")
    found = {name: value for name, value in space.calibration.items() if name != "asked"}
    return ThresholdInterval(**found).sentence(space.threshold, space.calibration["asked"])
