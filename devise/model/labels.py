"""Training onto the word vectors of labels: the model of Frome et al. (DeViSE, 2013)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from devise import features
from devise.datasets import split as draw_split
from devise.errors import MissingDependency, unknown
from devise.heads import ExtendedHead, JointHead
from devise.model.concept_text import ConceptText, ExtendedText
from devise.model.devise import Devise
from devise.model.objective import Objective, labelled, without
from devise.model.pretrained import DEFAULT, pretrained
from devise.model.sources import AUTO, Network, Words
from devise.model.space import SHARED, Space, WordText
from devise.words import doubts, label_vectors, unknown_labels

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from devise.backbones.base import Backbone
    from devise.datasets import ImageSet, Split
    from devise.heads import Head, LinearHead
    from devise.training import History
    from devise.words import LabelTable, WordVectors


def train_labels(images: Any, words: str | Path | WordVectors = "glove-6b-50d", *,
                 backbone: str | Backbone | keras.Model = AUTO, weights: str | None = "imagenet",
                 layer: str | None = None, head: Head | None = None,
                 start: str | Path | Devise | None = AUTO, unseen: int | str | Collection[str] = (),
                 test: float = 0.2, validation: float = 0.1, split: Split | None = None,
                 synonyms: dict[str, str] | None = None, skip_unknown: bool = False, loss: Any = "cosine",
                 folder: str | Path | None = None, seed: int = 0, progress: Callable | None = None,
                 **training: Any) -> Devise:
    """A model that knows the labels of images: learnt beside the model that comes with devise, or from nothing.

    Beside it, other words find and name what they did before, and the classes have columns of their own, see
    `devise.heads.ExtendedHead`. From nothing, images are carried onto the word vectors of their labels, as in Frome
    et al. 2013, and words that are no labels know little.

    Args:
        images: labelled ones: a folder a class, an ImageSet, or a FeatureTable.
        words: WordVectors, or a name or path of some.
        backbone, weights, layer: the frozen network; "auto" takes that of the features, else the best at hand.
        head: MlpHead (from nothing the default, 2000 hidden units) or RidgeHead, not fitted yet.
        start: None trains from nothing; "everyday" beside `devise.pretrained()`, as does a Devise, or a folder, that is
            that model or was trained beside it; "auto" beside it where it is of this backbone and these words, and
            no head, loss or option of a training is given. `record["start"]` says which it was.
        unseen: names of the classes to keep out of training, or how many to draw.
        test: share of each seen class kept for testing; validation: share of the rest.
        split: a Split to use in place of a drawn one.
        synonyms: {label: word or phrase}, for labels that are not words.
        skip_unknown: train without the labels that have no word vector; `record["left_out"]` lists them.
        loss: "cosine", "hinge" (the paper's), "infonce", or a Loss on the seen labels, in their order.
        folder: where the features are cached.
        seed: of the split and of the training.
        training: options of `devise.training.train`: epochs, batch_size, learning_rate …
    Returns:
        Devise with the spaces "raw", "hidden" where the head has a hidden layer, and "shared", which has a text side.
        Only one from nothing can be finetuned.
        What is doubtful about the labels is warned of before the features are made, and in `record["doubts"]`.
    Raises:
        ValueError: if a label has no word vector, there is nothing to train on, or the start doesn't fit.

    >>> from devise.heads import RidgeHead
    >>> from devise.words import WordVectors
    >>> table = features.load("caltech37")
    >>> words = WordVectors(table.images.label_names, np.random.default_rng(0).normal(size=(37, 50)))
    >>> train_labels(table, words, head=RidgeHead(penalty=0.1)).text_space()
    'shared'
    """
    found, table = labelled(images)
    words, plain = Words(words), head is None and loss == "cosine" and not training
    labels = label_vectors(found.label_names, words.vectors, synonyms=synonyms, skip_unknown=skip_unknown)
    left_out = [name for name in found.label_names if name not in labels.names]
    doubtful = doubts(labels, synonyms)
    if left_out:
        doubtful.append(unknown_labels(found.counts(), left_out))
        found, table = found.with_classes(labels.names), table and without(table, left_out)
    for doubt in doubtful:  # said before hours of extraction
        warnings.warn(doubt, stacklevel=2)

    def drawn(images: ImageSet) -> Split:
        return draw_split(images.labels, images.label_names, unseen=unseen, test=test, validation=validation, seed=seed)

    if split is None:
        drawn(found)  # fails before hours of extraction too
    network = Network.of(backbone, weights, layer)
    if table is not None:
        network.adopt(table)
    base, came = _start(start, words, network, plain)
    if table is None:
        table = features.extract(found, network.backbone, folder, progress=progress)
    y = table.images.labels
    split = split or drawn(table.images)
    if base is None:
        head, history = train_head(head, table.matrix, y, labels.vectors, split, loss=loss, seed=seed,
                                   progress=progress, **training)
        space = Space(head, WordText(words))
    else:
        space, history = extended(base, table.matrix, y, labels, split), None
    record = {"seed": seed, "start": came, "loss": loss if isinstance(loss, str) else type(loss).__name__,
              "synonyms": dict(synonyms or {}), "class_level": table.images.class_level, "left_out": left_out,
              "doubts": doubtful}
    return Devise(network, words, {SHARED: space}, labels=labels, split=split,
                  paths=table.images.paths, table=table, record=record,
                  history={SHARED: history} if history else {})


def _start(start: str | Path | Devise | None, words: Words, network: Network, plain: bool
           ) -> tuple[Space | None, str | None]:
    """The space beside which classes are learnt, and its model's name; None for a training from nothing."""
    if start is None or start == AUTO and not plain:
        return None, None
    if not plain:
        raise ValueError("a head, a loss and options of a training are for one from nothing: leave them out, or "
                         "give None for start (`--from none`)")
    try:
        if isinstance(start, str) and start in (AUTO, DEFAULT):
            network = Network.of(network.backbone) if network.name == AUTO else network
            base = pretrained(DEFAULT, words.vectors, backbone=network)
        else:
            base = start if isinstance(start, Devise) else Devise.load(start, words=words.vectors)
            network.required(base.network.record, "the model to start from")
    except (FileNotFoundError, MissingDependency, ValueError):
        if start == AUTO:
            return None, None
        raise
    space = base.spaces.get(SHARED)
    if space is not None and isinstance(space.text, ExtendedText):
        space = Space(cast(ExtendedHead, space.head).base, space.text.base)
    if space is None or not isinstance(space.text, ConceptText):
        raise ValueError(f"{base} knows no concepts to start from: take 'everyday', the model that comes with devise")
    return space, base.record.get("pretrained") or base.record.get("start") or base.fingerprint


def extended(space: Space, matrix: NDArray, y: NDArray[np.int64], labels: LabelTable, split: Split) -> Space:
    """A space of the model that comes with devise, extended by the seen classes of a split of all images (n, d)."""
    assert isinstance(space.head, JointHead) and isinstance(space.text, ConceptText)
    seen = np.unique(y[np.concatenate([split.train, split.validation])])
    mine, held = (np.searchsorted(seen, y[rows]) for rows in (split.train, split.validation))
    validation = (matrix[split.validation], held) if len(held) else None
    head = ExtendedHead.learnt(space.head, matrix[split.train], mine, space.text.background, validation=validation)
    names = [(labels.names[row].replace("_", " "), " ".join(labels.parts[row]), labels.names[row]) for row in seen]
    return Space(head, ExtendedText(space.text, names))


def train_head(head: Head | None, matrix: NDArray, labels: NDArray[np.int64], vectors: NDArray[np.float32],
               split: Split, *, loss: Any = "cosine", seed: int = 0, progress: Callable | None = None,
               **training: Any) -> tuple[Head, History | None]:
    """(head, History or None for a closed form), fitted on the seen classes and chosen by their validation images.

    `matrix` (n, d) and `labels` are of all images, `vectors` (C, dim) of all labels.
    """
    from devise.heads import HeadConfig, MlpHead

    head = head or MlpHead(HeadConfig(dim=vectors.shape[1]))
    x, held = matrix[split.train], matrix[split.validation]
    if not head.trains:
        if training or loss != "cosine":
            raise TypeError(f"the {head.kind} head has a closed form: {', '.join(training) or 'loss'} mean nothing to "
                            "it")
        validation = (held, labels[split.validation]) if len(held) else None
        return cast("LinearHead", head).fit(x, labels[split.train], vectors, validation=validation), None
    return head, objective(labels, vectors, split, loss).train(head, x, held, seed=seed, progress=progress, **training)


def objective(labels: NDArray[np.int64], vectors: NDArray[np.float32], split: Split, loss: Any = "cosine"
              ) -> Objective:
    """Images near the vectors of their labels; hit@1 among the seen labels chooses the epoch."""
    from devise import losses

    # only seen labels are there to be pulled to or pushed from: the unseen ones must not be known
    seen = np.unique(labels[np.concatenate([split.train, split.validation])])
    mine, held = (np.searchsorted(seen, labels[rows]) for rows in (split.train, split.validation))
    vectors = vectors[seen]
    if isinstance(loss, str):
        known: dict[str, Any] = {"cosine": losses.Cosine, "hinge": losses.HingeRank, "infonce": losses.InfoNCE}
        if loss not in known:
            raise ValueError(f"{unknown('loss', loss, known)} Or give a Loss")
        loss = known[loss](vectors)
    return Objective(mine, held, loss, lambda rows: float(((rows @ vectors.T).argmax(axis=1) == held).mean()))
