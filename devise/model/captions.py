"""Training from captions: images alike as people describe them, and found by sentences.

Every default was chosen on dev pictures of Flickr8k, see docs/findings.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devise import features
from devise.datasets import open_images, split_rows
from devise.errors import unknown
from devise.evaluation.captions import text_retrieval
from devise.features import FeatureTable
from devise.heads import Head, ProjectionHead, RidgeHead
from devise.model.caption_data import NO_CAPTIONS, CaptionData, caption_data, sentences_of
from devise.model.devise import Devise
from devise.model.objective import Objective
from devise.model.sources import AUTO, Network, Words
from devise.model.space import LEARNT, SHARED, SentenceText, Space
from devise.words.sentences import CaptionVectors

if TYPE_CHECKING:
    import keras

    from devise.backbones.base import Backbone
    from devise.datasets import ImageSet, Split
    from devise.training import History
    from devise.words import WordVectors

Told = tuple[NDArray[np.float32], NDArray[np.int64]]
PENALTIES = (1.0, 3.0, 10.0)
SPREAD = 1.0  # penalty of the text's start, in units of its mean variance
GAPS = (0.2, 0.03)  # of relevance between the two of a triplet, in the first and the last epoch
VISUAL: dict[str, Any] = {"optimiser": "adam", "learning_rate": 3e-4, "epochs": 30, "batch_size": 64}
JOINT: dict[str, Any] = {"optimiser": "adam", "learning_rate": 1e-3, "epochs": 15, "batch_size": 256}
MARGIN, TEMPERATURE, TARGET = 0.3, 0.3, 0.1  # of the triplets, and of the lists
CONTRAST = 0.07  # the temperature of the joint loss, as in Radford et al. 2021
VISUAL_LOSSES = ("triplet", "ranking")


def train_captions(images: Any, words: str | Path | WordVectors = "glove-6b-50d", *,
                   backbone: str | Backbone | keras.Model = AUTO, weights: str | None = "imagenet",
                   layer: str | None = None, split: Split | None = None, validation: float = 0.1, test: float = 0.1,
                   loss: str = "triplet", folder: str | Path | None = None, seed: int = 0,
                   progress: Callable | None = None, visual: dict | None = None, joint: dict | None = None) -> Devise:
    """A model that compares images as people describe them, and finds them by sentences; images alone are indexed.

    One head orders images as their captions do (Gordo and Larlus 2017): the space "learnt". The other
    carries images and sentences into one space, "shared".

    Args:
        images: an ImageSet with captions, see `devise.datasets.with_captions`, or a FeatureTable of such.
        words: WordVectors, or a name or path of some.
        backbone, weights, layer: the frozen network; "auto" takes that of the features, else the best at hand.
        split: a Split without classes; None draws one.
        validation, test: shares of the images, where the split is drawn.
        loss: of the visual head, "triplet" (hinge on the difference) or "ranking" (listwise).
        folder: where the features are cached.
        seed: of the split where it is drawn, and of the training.
        progress: called as progress(done, total), in images and then in epochs of both trainings.
        visual, joint: further options of the two trainings, as of `devise.training.train`.
    Returns:
        Devise with the spaces "learnt", "raw" and "shared", which has a text side. `record["skipped"]` lists
        the images whose captions could not be used, and why.
    Raises:
        ValueError: if there are no captions, too few images with usable ones, or an option doesn't fit.

    >>> from devise.datasets import caption_set
    >>> told = caption_set("flickr8k")  # doctest: +SKIP
    >>> model = train_captions(told.images, split=told.split)  # doctest: +SKIP
    >>> model.embed_text("a dog on a beach").shape  # doctest: +SKIP
    (1, 256)
    """
    table = images if isinstance(images, FeatureTable) else None
    found = table.images if table is not None else open_images(images)
    if found.captions is None:
        raise ValueError(NO_CAPTIONS)
    if loss not in VISUAL_LOSSES:
        raise ValueError(unknown("loss", loss, VISUAL_LOSSES))
    split = split or split_rows(len(found), validation=validation, test=test, seed=seed)
    network, words = Network.of(backbone, weights, layer), Words(words)
    if table is None:
        table = features.extract(found, network.backbone, folder, progress=progress)
        split = split.among(found.paths, table.images.paths)
    data, split, skipped = caption_data(table, split, words.vectors)
    visual, joint = VISUAL | (visual or {}), JOINT | (joint or {})
    total = visual["epochs"] + joint["epochs"]
    sentences = CaptionVectors(words.vectors).fit(data.captions)
    learnt, history = train_visual(data, loss=loss, seed=seed, progress=_from(progress, 0, total), **visual)
    shared, kernel, joint_history = train_joint(data, start_joint(data, sentences), seed=seed,
                                                progress=_from(progress, visual["epochs"], total), **joint)
    record = {"seed": seed, "loss": loss, "terms": data.terms.to_json(), "skipped": [list(item) for item in skipped]}
    spaces = {LEARNT: Space(learnt), SHARED: Space(shared, SentenceText(words, sentences, kernel))}
    return Devise(network, words, spaces, split=split, paths=table.images.paths, table=table,
                  record=record, history={LEARNT: history, SHARED: joint_history})


def solve_ridge(data: CaptionData, penalties: tuple[float, ...] = PENALTIES) -> RidgeHead:
    """A RidgeHead from features to the captions' tf-idf, less its mean; the held images choose the penalty."""
    targets = data.vectors[:len(data.features)]
    centred = targets - targets.mean(axis=0)
    heads = [RidgeHead(penalty).fit(data.features, data.labels, centred) for penalty in penalties]
    return max(heads, key=lambda head: data.score(head.embed(data.held)))


def train_visual(data: CaptionData, *, loss: str = "triplet", gap: Any = None, augmented: Any = None, seed: int = 0,
                 progress: Callable | None = None, **training: Any) -> tuple[Head, History]:
    """A ProjectionHead that orders images as their captions do, and its History.

    Args:
        loss: "triplet", the hinge on the difference (Gordo and Larlus 2017), or "ranking", listwise.
        gap: of triplets, a number or a Schedule that is lowered with the epochs; None is GAPS.
        augmented: features of changed copies of the images to learn from, or None.
        seed: of the order of the rows.
        training: options of `devise.training.train`.
    """
    options = VISUAL | training
    head = ProjectionHead(data.dim, start="pca")
    goal = visual_objective(data, loss, gap, epochs=options["epochs"])
    history = goal.train(head, data.features if augmented is None else augmented, data.held, seed=seed,
                         progress=progress, **options)
    return head, history


def visual_objective(data: CaptionData, loss: str = "triplet", gap: Any = None, *, epochs: int) -> Objective:
    """Images near one another whose captions are alike; NDCG@R of the held images chooses the epoch."""
    from devise.losses.graded import RelevanceRanking, RelevanceTriplet
    from devise.training import Schedule

    if loss not in VISUAL_LOSSES:
        raise ValueError(unknown("loss", loss, VISUAL_LOSSES))
    before: Callable[[int], None] | None = None
    if loss == "ranking":
        graded = RelevanceRanking(data.vectors, temperature=TEMPERATURE, target_temperature=TARGET)
    else:
        gap = Schedule(*GAPS, epochs=epochs) if gap is None else gap
        at = gap if callable(gap) else lambda epoch: gap
        graded = RelevanceTriplet(data.vectors, margin=MARGIN, gap=at(1))

        def before(epoch: int) -> None:
            graded.gap.assign(at(epoch))
    return Objective(data.labels, data.held_labels, graded, data.score, before_epoch=before)


class JointStart(NamedTuple):
    """Where a joint training starts, the same for every seed.

    Attributes:
        head: principal components of the features' square roots.
        kernel: float32 (t, dim), a ridge map of sentences onto those of their images.
        told, held: (rows float32 (m, t), owners int64 (m,)), sentences of images to learn from, to choose by.
    """

    head: Head
    kernel: NDArray[np.float32]
    told: Told
    held: Told


def start_joint(data: CaptionData, sentences: CaptionVectors) -> JointStart:
    """The start of `train_joint`."""
    head = ProjectionHead(data.dim, start="pca", power=0.5).fit(data.features)
    told, held = (sentences_of(sentences, captions) for captions in (data.captions, data.held_captions))
    rows, owners = told
    gram = rows.T @ rows
    gram[np.diag_indices_from(gram)] += SPREAD * np.trace(gram) / len(gram)
    kernel = np.linalg.solve(gram, rows.T @ head.embed(data.features)[owners])
    kernel /= np.sqrt(np.mean(np.sum((rows @ kernel) ** 2, axis=1)))  # a learning rate means the same for both sides
    return JointStart(head, kernel.astype(np.float32), told, held)


def train_joint(data: CaptionData, start: JointStart, *, seed: int = 0, progress: Callable | None = None,
                **training: Any) -> tuple[Head, NDArray[np.float32], History]:
    """(head, kernel of the text side, History) of one space, by symmetric InfoNCE from what `start_joint` gives."""
    head = start.head.copy()
    goal = joint_objective(data, start.told, start.held, start.kernel, seed)
    history = goal.train(head, data.features, data.held, seed=seed, progress=progress, **JOINT | training)
    return head, np.asarray(goal.loss.kernel), history


def joint_objective(data: CaptionData, told: Told, held: Told, kernel: NDArray[np.float32], seed: int = 0) -> Objective:
    """Each image near its own sentences; the mean recall at 1, 5 and 10 both ways of the held images chooses the epoch.

    Sentences are as of `JointStart`; the loss holds what becomes of the kernel.
    """
    from devise.losses.graded import JointCaptions

    (rows, owners), (held_rows, held_owners) = told, held
    loss = JointCaptions(np.concatenate([rows, held_rows]), np.concatenate([owners, len(data.features) + held_owners]),
                         kernel.shape[1], temperature=CONTRAST, seed=seed)
    loss.kernel.assign(kernel)

    def score(embeddings):
        return text_retrieval(embeddings @ loss.embed_text(held_rows).T, held_owners).mean_recall()

    return Objective(data.labels, data.held_labels, loss, score)


def captioned(table: FeatureTable, images: ImageSet) -> FeatureTable:
    """A feature table of those of its images that have captions, as `devise.datasets.with_captions` gave them."""
    place = {path: row for row, path in enumerate(table.images.paths)}
    rows = [place[path] for path in images.paths]
    return replace(table, matrix=np.asarray(table.matrix[rows]), images=images)


def _from(progress: Callable | None, first: int, total: int) -> Callable | None:
    """A progress of one training as part of both."""
    return progress and (lambda done, _: progress(first + done, total))
