"""A head that nobody trains: the backbone's own classes, mixed in the space of the words (ConSE)."""

import numpy as np

from devise.model.prototypes import imagenet_vectors
from devise.training import Head
from devise.training.heads import check_weights
from devise.words import imagenet_hierarchy
from devise.zeroshot import ConSE

TOP = 10  # of Norouzi et al. 2014


class ConseHead(Head):
    """Features → logits of the backbone's classifier → the mean of its most probable classes' vectors.

    Args:
        kernel, bias: (input_dim, C) and (C,), the classifier behind the features.
        vectors: (C, dim), the classes in the space of the words; zero for a class without a vector.
        top: how many classes are mixed.
    """

    kind = "conse"

    def __init__(self, kernel, bias, vectors, *, top=TOP):
        self._arrays = {"kernel": kernel, "bias": bias, "vectors": vectors}
        self.input_dim, self.dim, self.top = kernel.shape[0], vectors.shape[1], top
        self._conse = ConSE(vectors, top=top, mask=~vectors.any(axis=1))

    @classmethod
    def of(cls, backbone, words, *, top=TOP):
        """The head for a backbone with ImageNet's 1,000 classes and any word vectors."""
        nothing = np.zeros((1, backbone.dim), np.float32)
        bias = backbone.classify(nothing)[0]
        kernel = backbone.classify(np.eye(backbone.dim, dtype=np.float32)) - bias  # the classifier is linear
        return cls(kernel, bias, imagenet_vectors(words, imagenet_hierarchy()), top=top)

    @property
    def config(self):
        return {"kind": self.kind, "input_dim": self.input_dim, "dim": self.dim, "top": self.top,
                "classes": len(self._arrays["bias"])}

    def _forward(self, rows):
        return self._conse.outputs(rows @ self._arrays["kernel"] + self._arrays["bias"])

    def _weights(self):
        return self._arrays

    @classmethod
    def _restore(cls, config, weights):
        classes = config["classes"]
        check_weights(weights, {"kernel": (config["input_dim"], classes), "bias": (classes,),
                                "vectors": (classes, config["dim"])})
        return cls(**weights, top=config["top"])
