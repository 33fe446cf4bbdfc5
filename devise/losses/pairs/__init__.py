"""Metric learning: losses of who lies near whom, `loss(labels, embeddings)` over the rows of a batch.

Rows are compared at length 1, whatever length they come in.
"""

from __future__ import annotations

from typing import Any

from devise.errors import unknown
from devise.losses.base import Loss
from devise.losses.mining import Miner
from devise.losses.pairs.base import PairLoss
from devise.losses.pairs.proxies import NormalisedSoftmax, Proxies, ProxyAnchor
from devise.losses.pairs.rows import Contrastive, Margin, MultiSimilarity, NPair, Range, Triplet

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

    if name not in NAMES:
        raise ValueError(unknown("loss", name, NAMES))
    if name in MINED:
        options |= {"miner": mining.make(miner) if isinstance(miner, str) else miner}
    elif miner is not None:
        raise ValueError(f"the {name} loss weighs all pairs of a batch itself, or compares with proxies: leave the "
                         f"miner out, or take {', '.join(MINED)}")
    if name in _PROXIES:
        if n_labels is None or dim is None:
            raise ValueError(f"the {name} loss learns a point for each class: give n_labels and dim")
        return _PROXIES[name](n_labels, dim, **options)
    return _PAIRS[name](**{"soft": True} if name == "soft-triplet" else {}, **options)
