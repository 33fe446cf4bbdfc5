"""Metric learning: losses of who lies near whom, `loss(labels, embeddings)` over the rows of a batch.

Rows are compared at length 1, whatever length they come in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devise.errors import unknown
from devise.losses.pairs.base import PairLoss
from devise.losses.pairs.contrastive import Contrastive, Margin
from devise.losses.pairs.proxies import NormalisedSoftmax, Proxies, ProxyAnchor
from devise.losses.pairs.range import Range
from devise.losses.pairs.triplet import MultiSimilarity, NPair, Triplet

if TYPE_CHECKING:
    from devise.losses.base import Loss
    from devise.losses.mining import Miner

_PAIRS = {"contrastive": Contrastive, "triplet": Triplet, "soft-triplet": Triplet, "margin": Margin, "range": Range,
          "n-pair": NPair, "multi-similarity": MultiSimilarity}
_PROXIES = {"proxy-anchor": ProxyAnchor, "normalised-softmax": NormalisedSoftmax}
NAMES = (*_PAIRS, *_PROXIES)
MINED = ("contrastive", "triplet", "soft-triplet", "margin")  # those that a miner can choose triplets for

__all__ = ["MINED", "NAMES", "Contrastive", "Margin", "MultiSimilarity", "NPair", "NormalisedSoftmax", "PairLoss",
           "Proxies", "ProxyAnchor", "Range", "Triplet", "make"]


def make(name: str, *, n_labels: int | None = None, dim: int | None = None, miner: str | Miner | None = None,
         **options: Any) -> Loss:
    """The loss of a name.

    Args:
        name: one of NAMES.
        n_labels, dim: classes and columns, which the losses with proxies need.
        miner: a Miner, or the name of one, for those of MINED.
        options: of the loss: margins, temperature …
    Raises:
        ValueError: if there is none of this name, proxies lack their sizes, or the loss has no use
            for a miner.

    >>> make("triplet", miner="semi-hard", margin=0.1).miner.name
    'semi-hard'
    """
    from devise.losses import mining

    if name in _PROXIES:
        if miner is not None:
            raise ValueError(f"the {name} loss compares rows with its proxies, not with one another: "
                             "leave the miner out")
        if n_labels is None or dim is None:
            raise ValueError(f"the {name} loss learns a point for each class: give n_labels and dim")
        return _PROXIES[name](n_labels, dim, **options)
    if name not in _PAIRS:
        raise ValueError(unknown("loss", name, NAMES))
    soft = {"soft": True} if name == "soft-triplet" else {}
    return _PAIRS[name](miner=mining.make(miner) if isinstance(miner, str) else miner, **soft, **options)
