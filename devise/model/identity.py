"""Fingerprint of a model: a digest over all that decides its embeddings."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from devise.model.devise import Devise


def fingerprint(model: Devise) -> str:
    """A SHA-256 over the fingerprints of backbone and words, and every space's head and text side.

    Thresholds are not in it: they decide what is a match, not where anything lies.
    """
    words = model.words_record
    content = hashlib.sha256(f"{model.network.record['fingerprint']} {words and words['fingerprint']}".encode())
    for name, space in sorted(model.own_spaces.items()):
        _update(content, name, space.head)
        if space.text is not None:
            _update(content, "text", space.text)
    return content.hexdigest()


def _update(content, name: str, part) -> None:
    content.update(f"{name}{json.dumps(part.config, sort_keys=True)}".encode())
    for name, weight in sorted(part.weights().items()):
        weight = np.ascontiguousarray(weight)
        content.update(f"{name}{weight.dtype.str}{weight.shape}".encode())
        content.update(weight)
