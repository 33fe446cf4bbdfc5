"""Losses of images that are more or less alike, by their captions; no classes.

Labels are rows of a table of captions: row i is what is known of image i. At test time images
alone are given, since the table belongs to the loss.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import KerasTensor as Tensor
from keras import ops, random
from numpy.typing import ArrayLike, NDArray

from devise import arrays
from devise.errors import above
from devise.losses.base import Loss
from devise.losses.pairs.base import aligned, mean_cost

FAR = -1e9


class Graded(Loss):
    """A loss whose pairs are alike by the inner product of their rows in a table.

    Args:
        relevance_vectors: (n, r), unit rows, such as tf-idf or mean word vectors of an image's captions.
    Raises:
        ValueError: if a row is zero, NaN or infinite.
    """

    def __init__(self, relevance_vectors: ArrayLike):
        self.relevance_vectors = arrays.unit_rows(relevance_vectors, "relevance vectors")
        self.n_labels = len(self.relevance_vectors)

    def _compared(self, labels, embeddings):
        """Cosines, relevance and which pairs are two images, (n, n); relevance is NaN for an unknown label."""
        labels, rows = aligned(labels, embeddings)
        known = ops.logical_and(labels >= 0, labels < self.n_labels)
        told = ops.take(self.relevance_vectors, ops.where(known, labels, 0), axis=0)
        told = ops.where(ops.expand_dims(known, 1), told, float("nan"))
        apart = ops.not_equal(ops.expand_dims(labels, 1), ops.expand_dims(labels, 0))
        return ops.matmul(rows, ops.transpose(rows)), ops.matmul(told, ops.transpose(told)), apart


class RelevanceTriplet(Graded):
    """The more alike of two images nearer to the query (Gordo and Larlus 2017, section 4.2, as recalled).

    cost(q, a, b) = max(0, margin - cos(q, a) + cos(q, b)) for all triplets of the batch whose
    relevance differs by `gap` or more, rel(q, a) - rel(q, b) ≥ gap; the loss is the mean of the
    costs above 0. The smaller the gap, the harder the triplets.

    Args:
        margin: of the cosines, above 0.
        gap: of the relevance, above 0, at the start.

    Attributes:
        gap: keras.Variable; a curriculum may lower it.

    >>> loss = RelevanceTriplet([[1, 0], [1, 0.1], [0, 1]], margin=0.1)
    >>> round(float(loss([0, 1, 2], [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])), 3)
    0.1
    """

    name = "relevance triplet"

    def __init__(self, relevance_vectors: ArrayLike, margin: float = 0.1, gap: float = 0.1):
        super().__init__(relevance_vectors)
        above(margin=margin, gap=gap)
        self.margin, self.start = margin, gap
        self.gap = keras.Variable(float(gap), trainable=False, name="gap")

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        cosines, relevance, apart = self._compared(labels, embeddings)
        ordered = ops.expand_dims(relevance, 2) - ops.expand_dims(relevance, 1) >= self.gap
        two = ops.logical_and(ops.expand_dims(apart, 2), ops.expand_dims(apart, 1))
        costs = ops.relu(self.margin - ops.expand_dims(cosines, 2) + ops.expand_dims(cosines, 1))
        return mean_cost(costs, ops.logical_and(ordered, two)) + 0 * ops.sum(relevance)

    def get_config(self) -> dict:
        return super().get_config() | {"gap": self.start}


class RelevanceRanking(Graded):
    """The whole order of the batch as relevance has it, a list at a time.

    loss = mean over queries of KL(softmax(rel / target_temperature) ‖ softmax(cos / temperature)), over
    the other images of the batch; the listwise cross-entropy of ListNet (Cao et al. 2007, section
    4.2) less the entropy of the target, so that the best value is 0.

    Args:
        temperature, target_temperature: above 0; the smaller, the more the first ranks weigh.

    >>> loss = RelevanceRanking([[1, 0], [0.6, 0.8], [0, 1]], temperature=1, target_temperature=1)
    >>> round(abs(float(loss([0, 1, 2], [[2.0, 0.0], [0.6, 0.8], [0.0, 3.0]]))), 5)
    0.0
    """

    name = "relevance ranking"

    def __init__(self, relevance_vectors: ArrayLike, temperature: float = 0.1, target_temperature: float = 0.1):
        super().__init__(relevance_vectors)
        above(temperature=temperature, target_temperature=target_temperature)
        self.temperature, self.target_temperature = temperature, target_temperature

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        cosines, relevance, apart = self._compared(labels, embeddings)
        wanted = ops.log_softmax(ops.where(apart, relevance / self.target_temperature, FAR), axis=1)
        found = ops.log_softmax(ops.where(apart, cosines / self.temperature, FAR), axis=1)
        costs = ops.where(apart, ops.exp(wanted) * (wanted - found), 0.0)
        return ops.mean(ops.sum(costs, axis=1)) + 0 * ops.sum(relevance)


class JointCaptions(Loss):
    """Images and sentences in one space: each image's own sentence ahead of those of the others, and back.

    loss = ½ (cross-entropy over the sentences of the batch for each image + over its images for
    each sentence), of cosines over a temperature, the symmetric InfoNCE of Radford et al. 2021 (section
    2.3). Sentences come in by a linear map that the loss learns; every call draws one caption of
    each image.

    Args:
        text_vectors: (m, t), a row a caption, such as mean word vectors.
        owners: int (m,), the label of the image that each was written for.
        dim: columns of the embeddings.
        temperature: above 0; 0.07 is where Radford et al. start.
        seed: of the map's start, and of the captions drawn.

    Raises:
        ValueError: if rows don't fit, or an image from 0 to the last has no caption.

    >>> loss = JointCaptions(np.eye(3), [0, 1, 1], dim=2)
    >>> loss.embed_text(np.eye(3)).shape
    (3, 2)
    """

    name = "joint captions"

    def __init__(self, text_vectors: ArrayLike, owners: ArrayLike, dim: int, temperature: float = 0.07, *,
                 seed: int = 0):
        above(temperature=temperature)
        self.text_vectors = arrays.unit_rows(text_vectors, "text vectors")
        self._told = ops.convert_to_tensor(self.text_vectors)  # a graph holds an array as a constant, a copy a trace
        self.owners = np.asarray(owners)
        if self.owners.shape != (len(self.text_vectors),) or self.owners.dtype.kind not in "iu":
            raise ValueError(f"owners are {self.owners.dtype} {self.owners.shape}: expected an integer for each of "
                             f"{len(self.text_vectors)} text vectors")
        counts = np.bincount(self.owners)
        if not counts.all():
            raise ValueError(f"{(counts == 0).sum()} images have no caption, the first is {counts.argmin()}: "
                             "leave them out")
        self.n_labels, self.dim, self.temperature, self.seed = len(counts), int(dim), temperature, seed
        self._first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)
        self._counts = counts.astype(np.int32)
        self._sorted = np.argsort(self.owners, kind="stable").astype(np.int32)
        start = keras.initializers.GlorotUniform(seed=seed)((self.text_vectors.shape[1], self.dim))
        self.kernel = keras.Variable(start, name="text_kernel")
        self.trainable_variables = (self.kernel,)
        self._draws = random.SeedGenerator(seed)

    def __call__(self, labels: ArrayLike, embeddings: ArrayLike | Tensor) -> Tensor:
        labels, rows = aligned(labels, embeddings)
        known = ops.logical_and(labels >= 0, labels < self.n_labels)
        labels = ops.where(known, labels, 0)
        counts = ops.cast(ops.take(self._counts, labels), "float32")
        drawn = ops.cast(random.uniform(ops.shape(labels), seed=self._draws) * counts, "int32")
        drawn = ops.minimum(drawn, ops.take(self._counts, labels) - 1)
        captions = ops.take(self._sorted, ops.take(self._first, labels) + drawn)
        told = ops.matmul(ops.take(self._told, captions, axis=0), self.kernel)
        _, told = aligned(labels, told)
        scores = ops.matmul(rows, ops.transpose(told)) / self.temperature
        own = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(labels, 0))
        itself = ops.cast(ops.eye(ops.shape(rows)[0]), "bool")
        twice = ops.logical_and(own, ops.logical_not(itself))  # another copy of the image is no wrong answer
        scores = ops.where(twice, FAR, scores)
        right = ops.sum(ops.where(itself, scores, 0.0), axis=1)
        value = ops.mean(ops.logsumexp(scores, axis=1) + ops.logsumexp(scores, axis=0)) / 2 - ops.mean(right)
        return ops.where(ops.all(known), value, float("nan"))

    def embed_text(self, vectors: ArrayLike) -> NDArray[np.float32]:
        """Sentences (q, t), made as the text vectors of the training, in the images' space: unit rows (q, dim)."""
        rows = arrays.unit_rows(vectors, "text vectors", self.text_vectors.shape[1])
        return arrays.unit_rows(rows @ np.asarray(self.kernel), "embedded text")
