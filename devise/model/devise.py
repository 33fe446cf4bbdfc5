"""A model: a frozen backbone, word vectors, and named embedding spaces on the backbone's features."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from devise import features
from devise.datasets import open_images
from devise.errors import unknown
from devise.features import FeatureTable
from devise.figures import counted
from devise.heads import RawHead
from devise.model import evaluating, finetuning, saving, tags
from devise.model.sources import AUTO, Network, Words
from devise.model.space import HOW, LEARNT, RAW, SHARED, Space

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from devise.backbones.base import Backbone
    from devise.datasets import Split
    from devise.evaluation import Candidates
    from devise.training import History
    from devise.words import LabelTable, WordVectors


class Devise:
    """Images and words in named spaces over one frozen backbone (DeViSE, Frome et al. 2013).

    `devise.train_labels`, `train_classes`, `train_captions` and `pretrained` return one. What it can do
    follows from its spaces: one with a text side answers text and tags images, one with a threshold
    says whether there is a match at all. The reference's shape is `backbone="vgg16"` (layer fc2, 4096-d)
    with `words="glove-6b-300d"` and an MlpHead of 2000 hidden units.

    Args:
        backbone: a name from `devise.backbones.names()`, a Backbone, a keras.Model, or "auto" for the best at hand.
        words: WordVectors, or what `devise.open_words` opens: a name or a path; None without text.
        spaces: {name: Space}. The first is the one in which images are compared. "raw", the features
            themselves, is added where it is missing: behind "learnt", else in front.
        weights, layer: of the backbone, where it is a name.
        labels: LabelTable of the classes that it was trained on, with their vectors.
        label_names: the names of these classes, where they have no vectors.
        split: Split of the images that it was trained on, and `paths`, theirs.
        table: the features of these images, a FeatureTable.
        record: what else is known of its training, ready for JSON: its loss, seed …
        history: {space: History}.

    Attributes:
        spaces: {name: Space}, the first being the one in which images are compared: its own, and those within its
            heads.
        own_spaces: the first without the second, as `spaces` was given, with "raw".

    >>> import devise
    >>> from devise.heads import RidgeHead
    >>> from devise.words import WordVectors
    >>> table = features.load("caltech37")
    >>> vectors = np.random.default_rng(0).normal(size=(37, 50))
    >>> words = WordVectors(table.images.label_names, vectors)  # or the name of real ones: "glove-6b-50d"
    >>> model = devise.train_labels(table, words, head=RidgeHead(), unseen=["lobster"])
    >>> list(model.spaces), model.evaluate().hit_at_k["test"]["seen"][1] > 0.9
    (['raw', 'shared'], True)
    """

    def __init__(self, backbone: str | Backbone | keras.Model | Network = AUTO,
                 words: str | Path | WordVectors | Words | None = None, spaces: Mapping[str, Space] | None = None, *,
                 weights: str | None = "imagenet", layer: str | None = None, labels: LabelTable | None = None,
                 label_names: Sequence[str] = (), split: Split | None = None, paths: Sequence[str] = (),
                 table: FeatureTable | None = None, data: str | None = None, record: dict | None = None,
                 history: dict[str, History] | None = None):
        self.network = Network.of(backbone, weights, layer)
        self._words = words if isinstance(words, Words) or words is None else Words(words)
        if table is not None:
            self.network.adopt(table)
        self.labels, self.split, self.paths = labels, split, tuple(paths)
        self.label_names = tuple(labels.names if labels else label_names)
        self._table, self.data = table, table.source if table is not None else data
        self.record, self.history = dict(record or {}), dict(history or {})
        self._take(self._with_raw(dict(spaces or {})))

    def _take(self, own: dict[str, Space]) -> None:
        """Stand on these spaces and those within their heads, each in front of its own."""
        found: dict[str, Space] = {}
        for name, space in own.items():
            inner = {inside: Space(head) for inside, head in space.head.inner.items() if inside not in own}
            found |= {**inner, name: space}
        self.own_spaces = own
        self.spaces: Mapping[str, Space] = found
        self.named: dict[tuple[str, int], tags.NearestNames] = {}  # those of the vocabulary, once they were asked for

    def _with_raw(self, spaces: dict[str, Space]) -> dict[str, Space]:
        """The spaces in their order, with "raw"; heads that don't fit the backbone are refused."""
        dim = self.network.record.get("dim") or self.backbone.dim
        for name, space in spaces.items():
            if space.head.input_dim not in (None, dim):
                raise ValueError(f"the head of the space {name!r} takes {space.head.input_dim} features, "
                                 f"{self.network.name} gives {dim}: train it on features of this backbone")
        if RAW in spaces:
            return spaces
        first = {LEARNT: spaces.pop(LEARNT)} if LEARNT in spaces else {}
        return {**first, RAW: Space(RawHead(dim)), **spaces}

    @property
    def backbone(self) -> Backbone:
        """The frozen network, loaded on first use; refused when it is not that of the training."""
        return self.network.backbone

    @property
    def words(self) -> WordVectors:
        """The word vectors, opened on first use; refused when they are not those of the training.

        Raises:
            ValueError: if the model has none.
        """
        if self._words is None:
            raise ValueError("this model has no words: train one with words, devise.train_labels or "
                             "devise.train_captions, or take devise.pretrained()")
        return self._words.vectors

    @property
    def words_record(self) -> dict | None:
        """What is known of the words without opening them: source, name, n, dim, fingerprint; None without words."""
        return None if self._words is None else self._words.record

    @property
    def table(self) -> FeatureTable:
        """The features that it was trained on, opened on first use.

        Raises:
            ValueError: if they are not on this disk.
        """
        if self._table is None:
            if self.data is None:
                raise ValueError("the features of the training are not on disk: give the images, or their features")
            self._table = self._of_its_classes(features.load(self.data))
        return self._table

    def _of_its_classes(self, table: FeatureTable) -> FeatureTable:
        """A table with the classes of the training alone, where others have joined its folder since."""
        names = table.images.label_names
        if names == self.label_names or not self.label_names or set(self.label_names) - set(names):
            return table
        return replace(table, images=table.images.with_classes(self.label_names))

    @property
    def class_level(self) -> str:
        """Which folder names the class of an image, as in the training: the "first" or the "last" level."""
        return self.record.get("class_level") or "first"

    @property
    def fingerprint(self) -> str:
        """A SHA-256 over all that decides embeddings: equal for two models that embed alike."""
        return saving.fingerprint(self)

    def space(self, name: str | None = None) -> Space:
        """A space by name; None is the first, in which images are compared.

        Raises:
            ValueError: if there is no such space; the message says which there are.
        """
        if name is not None and name not in self.spaces:
            raise ValueError(f"{unknown('space', name, self.spaces)}. {HOW.get(name, '')}".rstrip(". ") + ".")
        return self.spaces[next(iter(self.spaces)) if name is None else name]

    def text_space(self, name: str | None = None) -> str:
        """The name of a space with a text side; None is the first that has one.

        Raises:
            ValueError: if the space, or every one, has no text side; the message says how to get one.
        """
        found = [known for known, space in self.spaces.items() if space.text is not None]
        if name is not None:
            self.space(name)
        if name in found:
            return name
        if name is None and found:
            return found[0]
        lacks = f"the space {name!r} has no text side" if name else "no space of this model has a text side"
        there = f"{found[0]!r} has one" if found else HOW[SHARED]
        raise ValueError(f"{lacks} (it has {', '.join(self.spaces)}): {there}")

    def embedding_space(self, name: str | None = None) -> Space:
        """A space by name; None is the first with a text side, or, where there is none, the first."""
        texts = [known for known, space in self.spaces.items() if space.text is not None]
        return self.space(texts[0] if name is None and texts else name)

    def with_space(self, name: str, space: Space, *, first: bool = False) -> Devise:
        """A copy of the model with one space replaced, or added behind the others; `first` puts it in front."""
        new = copy.copy(self)
        new._take({**({name: space} if first else {}), **self.own_spaces, name: space})
        return new

    def features(self, images: Any, *, progress: Callable | None = None) -> FeatureTable:
        """The feature table of images, in memory; of a FeatureTable that of this backbone, as it is.

        Args:
            images: a path, a folder, a list of them, a PIL image, uint8 pixels (h, w, 3), an ImageSet or a
                FeatureTable.
        Raises:
            ValueError: if the features are of another backbone, or no image can be read.
        """
        if isinstance(images, FeatureTable):
            self.network.check(images)
            return images
        opened = open_images(images, class_level=self.class_level)
        return features.compute(opened, self.backbone, progress=progress)

    def embed_images(self, images: Any, space: str | None = None, *, progress: Callable | None = None
                     ) -> NDArray[np.float32]:
        """Images as unit rows of a space, float32 (n, dim), one for each image.

        Args:
            images: as `features` takes them.
            space: its name; None is the one that text shares, or, where there is none, the first.
        Raises:
            ValueError: if an image can't be read; the message says which and why.
        """
        chosen = self.embedding_space(space)
        table = self.features(images, progress=progress)
        if not isinstance(images, FeatureTable) and table.images.skipped:
            lost = "; ".join(f"{item.path}: {item.reason}" for item in table.images.skipped[:3])
            raise ValueError(f"{counted(len(table.images.skipped), 'picture')} can't be read ({lost}): leave them out")
        return chosen.embed(table.matrix)

    def embed_text(self, texts: str | Sequence[str], space: str | None = None) -> NDArray[np.float32]:
        """Words, phrases or sentences as unit rows of a space with a text side, float32 (n, dim).

        Args:
            texts: one text or several.
            space: its name; None is the first that has a text side.
        Raises:
            ValueError: if no space has one.
            KeyError: if no word of a text has a vector; the message lists near spellings.
        """
        return self.spaces[self.text_space(space)].embed_text(texts)

    def similarity(self, first: Any, second: Any, *, space: str | None = None) -> float:
        """The cosine of two images, in [-1, 1]; each as `features` takes one."""
        rows = [self.embed_images(image, space or next(iter(self.spaces))) for image in (first, second)]
        for name, found in zip(("first", "second"), rows, strict=True):
            if len(found) != 1:
                raise ValueError(f"the {name} of two images is {len(found)} images: expected one")
        return float(np.clip(rows[0][0] @ rows[1][0], -1, 1))

    def candidates(self, which: str | Sequence[str] = "words", *, space: str | None = None,
                   first: int = tags.FIRST_WORDS, filtered: bool = False) -> Candidates:
        """A stated set of names to rank over; see `devise.model.tags.candidates`."""
        return tags.candidates(self, which, space=space, first=first, filtered=filtered)

    def tag(self, images: Any, k: int = 10, *, candidates: str | Sequence[str] | Candidates | None = None,
            space: str | None = None, first: int = tags.FIRST_WORDS, progress: Callable | None = None
            ) -> tags.TaggedImages:
        """The best k names of each image, in a space with a text side.

        Args:
            images: as `features` takes them.
            candidates: "concepts", names of what can be seen, where the space knows some, else "words", the first
                words of the vocabulary without stop words, offensive words and plurals, and every label; "seen",
                "unseen" or "all" labels; names of your own; or Candidates.
            space: its name; None is the first that has a text side.
            first: how many words "words" takes.
        Returns:
            TaggedImages: the Tags of each image, best first; a notebook shows them beneath it.
        Raises:
            ValueError: if an image can't be read, no space has a text side, or k is below 1.
        """
        return tags.tag(self, images, k, candidates=candidates, space=space, first=first, progress=progress)

    def evaluate(self, images: Any = None, **options: Any) -> evaluating.Figures:
        """What it retrieves and names, space by space; see `devise.model.evaluating.evaluate`."""
        return evaluating.evaluate(self, images, **options)

    def finetune(self, images: Any = None, **options: Any) -> Devise:
        """A copy whose network is trained too, its top layers; see `devise.model.finetuning.finetune`."""
        return finetuning.finetune(self, images, **options)

    def calibrate(self, images: Any, *, space: str | None = None, false_accept_rate: float = 0.01, seed: int = 0
                  ) -> Devise:
        """A copy with a threshold for a space, chosen on images of classes that it was not trained on.

        Args:
            images: labelled ones, as `features` takes them.
            space: its name; None is the first.
            false_accept_rate: the share of images of other classes that may be taken for a match.
        Raises:
            ValueError: if there are fewer than two classes.
        """
        name = next(iter(self.spaces)) if space is None else space
        table = self.features(images)
        labelled = np.flatnonzero(table.images.labels >= 0)
        return self.with_space(name, self.space(name).calibrated(
            table.matrix[labelled], table.images.labels[labelled], false_accept_rate, seed))

    def export(self, path: str | Path, space: str | None = None, *, overwrite: bool = False) -> Path:
        """Write backbone and head of a space as one .keras or .onnx file; see `devise.model.saving.export`."""
        return saving.export(self, path, space, overwrite=overwrite)

    def keras_model(self, space: str | None = None) -> keras.Model:
        """The whole network of a space: image (n, h, w, 3), 0 to 255, in; unit embedding out."""
        return saving.whole_network(self.backbone, self.embedding_space(space).head)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the model to a folder, whole or not at all.

        Args:
            overwrite: whether a model of another network, or of other words, labels or images, may be lost.
        Raises:
            FileExistsError: if one would, or if the folder holds files of somebody else's and no model.
        """
        saving.save(self, folder, overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path, *, words: WordVectors | str | Path | None = None) -> Devise:
        """Open a model that `save` wrote; words, backbone and heads are opened when they are needed.

        Args:
            words: the word vectors of the training, in place of opening them from where they lay.
        Raises:
            FileNotFoundError: if there is no model in the folder.
            ValueError: if it is damaged, or the words are not those of the training.
        """
        return saving.load(cls, folder, words=words)

    def __repr__(self) -> str:
        words = f", {self._words.record['name']}" if self._words else ""
        return f"Devise({self.network.name}{words}: {', '.join(self.spaces)})"
