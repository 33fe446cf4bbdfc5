"""What every loss is: a function of labels and embeddings, with whatever it needs inside it."""

from abc import ABC, abstractmethod


class Loss(ABC):
    """`loss(labels, embeddings)`, a scalar to make small.

    Whatever else it needs (label vectors, a margin, a miner) goes to its constructor. Training
    reads the four attributes below and knows nothing else about a loss; a plain function of labels
    and embeddings serves too, as one with these defaults.

    Attributes:
        name: how reports call it.
        n_labels: labels are in 0..n_labels - 1; None where any label will do.
        dim: the columns that embeddings must have; None where any number will do.
        trainable_variables: what the loss itself learns, such as a classifier's weights; made in
            the constructor, trained and kept with the head's best weights.

    >>> import numpy as np
    >>> class Squares(Loss):
    ...     name = "squares"
    ...     def __call__(self, labels, embeddings):
    ...         return (embeddings ** 2).mean()
    ...     def get_config(self):
    ...         return {}
    >>> float(Squares()([0], np.array([[1.0, 3.0]])))
    5.0
    """

    name = None
    n_labels = None
    dim = None
    trainable_variables = ()

    @abstractmethod
    def __call__(self, labels, embeddings):
        """The loss of a batch.

        Args:
            labels: int (n,).
            embeddings: float (n, d), as the head puts them out: of any length.
        Returns:
            a scalar tensor.
        """

    @abstractmethod
    def get_config(self):
        """The constructor's arguments, ready for JSON."""
