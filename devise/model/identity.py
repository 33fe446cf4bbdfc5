"""Which model it is: a fingerprint over all that decides what it makes of a picture."""

import hashlib
import json

import numpy as np


def fingerprint(model):
    """A SHA-256 over the backbone's fingerprint and the head: equal for two models that embed alike.

    Args:
        model: a fitted Devise or Siamese, or a CaptionModel with its two heads.

    >>> from devise.heads import RidgeHead
    >>> from types import SimpleNamespace
    >>> head = RidgeHead(penalty=1.0).fit(np.eye(4), [0, 1, 0, 1], np.eye(2))
    >>> model = SimpleNamespace(backbone_record={"fingerprint": "ab12"}, head=head)
    >>> fingerprint(model) == fingerprint(model), len(fingerprint(model))
    (True, 64)
    """
    content = hashlib.sha256(str(model.backbone_record["fingerprint"]).encode())
    for head in getattr(model, "heads", None) or (model.head,):
        content.update(json.dumps(head.config, sort_keys=True).encode())
        for name, weight in sorted(head.weights().items()):
            weight = np.ascontiguousarray(weight)
            content.update(f"{name}{weight.dtype.str}{weight.shape}".encode())
            content.update(weight)
    return content.hexdigest()
