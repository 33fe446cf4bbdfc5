"""The facade: a frozen backbone, a trained head and a word space behind one object."""


import numpy as np

from devise import features
from devise.datasets import ImageSet, Split, split
from devise.evaluation import Candidates, evaluate
from devise.model import saving
from devise.model.exporting import export
from devise.model.finetuning import finetune
from devise.model.fitting import rows_of, train_head
from devise.model.frozen import as_images, opened
from devise.model.network import whole_model
from devise.model.tags import TaggedPictures
from devise.words import LabelTable, embed_texts, label_vectors, open_words, tag_rows
from devise.zeroshot import NearestLabel

FIRST_WORDS = 20_000


class Devise:
    """Pictures and words in one space (DeViSE, Frome et al. 2013).

    A frozen network turns pictures into features; a small head, trained with a cosine loss, carries
    them onto the word vectors of their labels.

    Args:
        words: WordVectors, or what `devise.words.open_words` opens: a name or a path.
        backbone: a name from `devise.backbones.names()`, or a Backbone.
        weights: of the backbone: 'imagenet', a path, or None for random ones.
        layer: of the backbone, where it is not the default one.
        synonyms: {label: word or phrase}, for labels that are not words.
        seed: of the split and of the training.

    >>> from devise.heads import RidgeHead
    >>> from devise.words import WordVectors
    >>> table = features.load("caltech37")
    >>> vectors = np.random.default_rng(0).normal(size=(37, 50))
    >>> words = WordVectors(table.images.label_names, vectors)  # or the name of real ones: "glove-6b-50d"
    >>> model = Devise(words, backbone="efficientnet_lite0").fit(table, head=RidgeHead(), unseen=["lobster"])
    >>> model.evaluate().hit_at_k["test"]["seen"][1] > 0.9
    True
    """

    def __init__(self, words, *, backbone="vgg16", weights="imagenet", layer=None, synonyms=None, seed=0):
        self._words = open_words(words)
        self.words_record = {"source": saving.source_of(words), "name": self._words.name,
                             "n": len(self._words), "dim": self._words.dim, "fingerprint": self._words.fingerprint}
        self._backbone = None if isinstance(backbone, str) else backbone
        self.backbone_record = (features.describe(self._backbone) if self._backbone else
                                {"name": backbone, "layer": layer, "weights": weights, "fingerprint": None})
        self.synonyms, self.seed = dict(synonyms or {}), seed
        self._head = self.labels = self.split = self.history = self.paths = self.data_record = None
        self._table = self._head_parts = self._changes = None

    @classmethod
    def untrained(cls, words, *, backbone="efficientnet_lite0", **options):
        """A model that needs no pictures: a backbone with ImageNet's classes, mixed in the space of the words.

        It embeds, tags and is indexed as a trained one (ConSE, Norouzi et al. 2014), and has no labels.

        Raises:
            ValueError: if the backbone has no classifier on its features.
        """
        from devise.heads import ConseHead

        model = cls(words, backbone=backbone, **options)
        model._head = ConseHead.of(model.backbone, model.words)
        nothing = np.empty((0, model.words.dim), np.float32)
        model.labels, model.paths, model.data_record = LabelTable((), nothing, ()), (), None
        model.split = Split(seed=model.seed)
        return model

    @property
    def head(self):
        """The trained head, or None before `fit`; of a loaded model it is made on first use."""
        if self._head is None and self._head_parts:
            from devise.heads import restored

            self._head = restored(*self._head_parts)
            if self._head.dim != self.labels.vectors.shape[1]:
                raise ValueError(f"{self._head_parts[0]} is a head of dim {self._head.dim}, the label vectors have "
                                 f"{self.labels.vectors.shape[1]}: train again")
        return self._head

    @property
    def words(self):
        """The word vectors, opened on first use; refused when they are not those of the training."""
        if self._words is None:
            record = self.words_record
            if record["source"] is None:
                raise ValueError(f"the model was trained on word vectors in memory ({record['name']}): "
                                 "give them to Devise.load(folder, words=…)")
            self._words = saving.fitting(open_words(record["source"]), record)
        return self._words

    @property
    def backbone(self):
        """The frozen network, loaded on first use; refused when it is not that of the training."""
        if self._backbone is None:
            self._backbone = opened(self.backbone_record, self._changes)
            self.backbone_record = self.backbone_record | features.describe(self._backbone)
        return self._backbone

    def fit(self, data, *, head=None, unseen=(), test=0.2, validation=0.1, parts=None, folder=None,
            progress=None, **training):
        """Train the head on the seen classes.

        Args:
            data: ImageSet of labelled pictures, or a FeatureTable.
            head: MlpHead (default) or RidgeHead, not fitted yet.
            unseen: names of the classes to keep out of training, or how many to draw.
            test: share of each seen class kept for testing; validation: share of the rest.
            parts: a Split to use in place of a drawn one.
            folder: where the features of an ImageSet are cached.
            training: `loss` ('cosine', 'hinge', 'infonce'), and options of `devise.training.train`:
                epochs, batch_size, learning_rate …
        Returns:
            self.
        Raises:
            ValueError: if a label has no word vector, or there is nothing to train on.
        """
        images = data if isinstance(data, ImageSet) else data.images
        names = images.label_names
        if not names:
            raise ValueError("the pictures have no labels: expected a folder a class (root/elephant/*.jpg), "
                             "or a label file")
        labels = label_vectors(names, self.words, synonyms=self.synonyms)  # fails before hours of extraction
        table = features.extract(data, self.backbone, folder, progress=progress) if data is images else data
        self._adopt(table)
        y = table.images.labels
        parts = parts or split(y, names, unseen=unseen, test=test, validation=validation, seed=self.seed)
        self._head, self.history = train_head(head, table.matrix, y, labels.vectors, parts, seed=self.seed,
                                             progress=progress, **training)
        self.labels, self.split, self.paths, self._table = labels, parts, table.images.paths, table
        return self

    def finetune(self, images=None, **options):
        """A copy of this model with the top of its network trained too; see `devise.model.finetuning.finetune`."""
        return finetune(self, images, **options)

    def features_of(self, pictures, *, progress=None):
        """The feature table, in memory, of an ImageSet, of paths, or of one path."""
        return features.compute(as_images(pictures), self.backbone, progress=progress)

    def embed_images(self, pictures, *, progress=None):
        """Pictures in the space of the words.

        Args:
            pictures: ImageSet, paths, or one path.
        Returns:
            float32 (n, dim), unit rows, one for each picture.
        Raises:
            ValueError: if a picture can't be read; the message says which and why.
        """
        table = self.features_of(pictures, progress=progress)
        if table.images.skipped:
            lost = "; ".join(f"{item.path}: {item.reason}" for item in table.images.skipped[:3])
            raise ValueError(f"{len(table.images.skipped)} pictures can't be read ({lost}): leave them out")
        return self.embed_features(table.matrix)

    def embed_features(self, matrix):
        """Features (n, dim of the backbone) in the space of the words: float32 (n, dim), unit rows."""
        return self._fitted().head.embed(matrix)

    def embed_words(self, texts):
        """Words or phrases as unit rows of the shared space, float32 (n, dim); rare words of a phrase count more.

        Raises:
            KeyError: if no word of a text has a vector; the message lists near spellings.
        """
        return embed_texts(texts, self.words)

    def candidates(self, which="words", *, first=FIRST_WORDS, filtered=False, merge_plurals=False):
        """A stated set of names to rank over.

        Args:
            which: 'seen', 'unseen', 'all' (labels), 'words' (the first words of the vocabulary and
                every label), or a sequence of words and phrases of your own.
            first: how many words 'words' takes, by frequency rank.
            filtered: leave out stop words, offensive words and tokens that are no words.
            merge_plurals: leave out plurals whose singular is there.
        Returns:
            Candidates.
        """
        table, parts = self._fitted().labels, self.split
        if not isinstance(which, str):
            which = tuple(dict.fromkeys(which))
            return Candidates.from_labels("given", which, self.embed_words(which))
        if which == "words":
            first = min(first, len(self.words))
            rows = np.arange(first)
            if filtered:
                rows = tag_rows(self.words, first, merge_plurals=merge_plurals)
            return Candidates.from_words(f"words{first}", [self.words.words[row] for row in rows],
                                         self.words.matrix[rows], table.names, table.vectors,
                                         [table.word(label) for label in range(len(table.names))])
        chosen = {"seen": parts.seen, "unseen": parts.unseen, "all": table.names}
        if which not in chosen:
            raise ValueError(f"candidates are {which!r}: expected 'seen', 'unseen', 'all', 'words', or a list of words")
        if not chosen[which]:
            raise ValueError(f"this model has no {which} classes: choose other candidates")
        return Candidates.from_labels(which, table.names, table.vectors, chosen[which])

    def tag(self, pictures, k=10, *, candidates="words", **options):
        """The best k names of each picture; see `candidates` for what may be named.

        Returns:
            TaggedPictures: the Tags of each picture, best first; a notebook shows them beneath it.
        Raises:
            ValueError: if a picture can't be read.
        """
        images = as_images(pictures)
        tagged = self.tag_embeddings(self.embed_images(images), k, candidates=candidates, **options)
        for row, tags in enumerate(tagged):
            tags.picture = images.file(row)
        return tagged

    def tag_embeddings(self, embeddings, k=10, *, candidates="words", **options):
        """As `tag`, for pictures that are embedded already, (n, dim)."""
        options.setdefault("filtered", True)
        chosen = candidates if isinstance(candidates, Candidates) else self.candidates(candidates, **options)
        hits = NearestLabel(chosen.vectors).tag(embeddings, min(k, len(chosen)))
        return TaggedPictures.of(chosen.names, hits)

    def parts(self, table=None):
        """{'train' | 'test' | 'unseen': (embeddings, labels)} of the pictures that the model was made with.

        Args:
            table: their FeatureTable; by default the one of the training, opened again from where it lay.
        """
        table = table or self._fitted().table
        self.check_features(table)
        if table.images.label_names != self.labels.names:
            raise ValueError("the features have other classes than the model: give those of the training")
        split_here = Split.from_json(self.split.to_json(self.paths), table.images.paths)
        rows = {"train": split_here.train, "test": split_here.test, "unseen": split_here.unseen_rows}
        return {part: (self.embed_features(rows_of(table.matrix, ids)), table.images.labels[ids])
                for part, ids in rows.items() if len(ids)}

    def evaluate(self, table=None, *, first=FIRST_WORDS):
        """Flat hit@k on train, test and unseen over seen, unseen and all labels and the first words.

        Returns:
            Evaluation; its `to_json()` is the document of `devise evaluate --json`.
        """
        parts = self.parts(table)
        chosen = ["seen", *(["unseen", "all"] if self.split.unseen else []), "words"]
        return evaluate(parts, [self.candidates(which, first=first) for which in chosen])

    def check_features(self, table):
        """Refuse features of another backbone than the one of the training, by name."""
        mine, theirs = self.backbone_record, table.backbone
        if mine["fingerprint"] not in (None, theirs["fingerprint"]):
            raise ValueError(f"the model was trained on {mine['name']} ({mine['fingerprint'][:12]}), these features "
                             f"are of {theirs['name']} ({theirs['fingerprint'][:12]}): extract them with its backbone")

    def keras_model(self):
        """The whole network as one Keras model: picture (n, h, w, 3), 0 to 255, in; unit embedding out."""
        return whole_model(self.backbone, self._fitted().head)

    def export(self, path, *, overwrite=False):
        """Write `keras_model()` as a .keras or .onnx file; see `devise.model.exporting.export`."""
        return export(self._fitted(), path, overwrite=overwrite)

    def _adopt(self, table):
        """Take a table's backbone for one's own, or refuse it."""
        self.check_features(table)
        mine = self.backbone_record
        if mine["fingerprint"] is None and mine["name"] != table.backbone["name"]:
            raise ValueError(f"the features are of {table.backbone['name']}, the model was asked for {mine['name']}: "
                             f"say backbone={table.backbone['name']!r}")
        self.backbone_record = {**mine, **table.backbone}
        self.data_record = table.source

    def _fitted(self):
        if self._head is None and self._head_parts is None:
            raise ValueError("the model is not trained yet: call fit first")
        return self

    @property
    def table(self):
        """The features that the model was trained and is evaluated on, opened on first use."""
        if self._table is None:
            if self.data_record is None:
                raise ValueError("the features of the training are not on disk: give evaluate a feature table")
            self._table = features.load(self.data_record)
        return self._table

    def save(self, folder, *, overwrite=False):
        """Write the model to a folder, whole or not at all.

        Args:
            overwrite: whether a model of another network, or of other words, labels or pictures, may be lost.
        Raises:
            FileExistsError: if one would, or if the folder holds files of somebody else's and no model.
        """
        saving.save(self._fitted(), folder, overwrite=overwrite)

    @classmethod
    def load(cls, folder, *, words=None):
        """Open a model that `save` wrote; words, backbone and head are opened when they are needed.

        Args:
            words: WordVectors of the training, in place of opening them from where they lay.
        Raises:
            FileNotFoundError: if there is no model in the folder.
            ValueError: if it is damaged, or the words are not those of the training.
        """
        return saving.load(cls, folder, words=words)
