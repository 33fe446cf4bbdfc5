"""Retrieval by a learnt distance: a frozen backbone and a head trained on who is of one class."""

from dataclasses import replace

import numpy as np

from devise import features
from devise.datasets import ImageSet, Split, split_classes
from devise.evaluation import choose_threshold, evaluate_galleries, evaluate_open_set, retrieve, threshold_interval
from devise.metrics import paired_difference
from devise.model import siamese_saving
from devise.model.exporting import export
from devise.model.fitting import rows_of
from devise.model.frozen import AUTO, OnBackbone, raw_rows, readable_features
from devise.model.siamese_finetuning import finetune
from devise.model.siamese_fitting import (
    batch_classes,
    checked,
    knows_classes,
    loss_record,
    own_numbers,
    pair_loss,
    scores,
    validation_labels,
)

FAR = 0.01
KS = (1, 10, 50, 1000)
SHRINKAGE = 0.8  # found on folds of 37 classes of Caltech-101, where 0.6 to 0.9 differ little
POWER = 0.5  # MAP@R +2.2, 3.0, 3.0 points on draws of 6, 20, 37 classes of Caltech-101; with 1 it was 1.7, 2.3, 2.3


class Siamese(OnBackbone):
    """Pictures near those of their class, for classes that were never trained on too.

    A head, trained on pairs or triplets of pictures, carries the features of a frozen network into a
    space for picture → picture search (a siamese network: Hadsell et al. 2006, Schroff et al. 2015).
    Training, validation and test share no class. A threshold, chosen on the validation classes, says
    whether a picture has a match at all; new classes are added to an index without training.

    Args:
        backbone: a Backbone, a name from `devise.backbones.names()`, or "auto": that of the features
            given to `fit`, else the best at hand.
        weights: of the backbone: 'imagenet', a path, or None for random ones.
        layer: of the backbone, where it is not the default one.
        seed: of the split and of the training.

    Attributes:
        head, split (Split), history, loss (its name, miner and options), far, thresholds
        ({space: cosine}) and trust ({space: ThresholdInterval}, how far a threshold can be trusted): after `fit`.
    """

    def __init__(self, backbone=AUTO, *, weights="imagenet", layer=None, seed=0):
        super().__init__(backbone, weights=weights, layer=layer)
        self.seed = seed
        self.head = self.split = self.history = self.loss = self.far = self.paths = self.label_names = None
        self.thresholds, self.trust = {}, {}

    def fit(self, data, *, loss="triplet", miner=None, loss_options=None, head=None, validation=0.2, test=0.3,
            parts=None, bank=None, classes=None, per_class=4, epochs=20, optimiser="adam", learning_rate=1e-4,
            far=FAR, folder=None, progress=None, **training):
        """Train the head on some classes, keep the weights that serve others best.

        After each epoch MAP@R is taken on the validation classes, the start included; the best one
        stays, so that a training which helps nothing changes nothing.

        Args:
            data: ImageSet of labelled pictures, or a FeatureTable.
            loss: a name from `devise.losses.pairs.NAMES`, or a Loss.
            miner: a name from `devise.losses.mining.NAMES`; by default semi-hard for triplets,
                distance-weighted for margin, none for the others.
            loss_options: of the loss: margins, temperature …
            head: a ProjectionHead or MlpHead, not fitted yet; by default a projection that starts from
                the features' own geometry, whitened within the training's classes.
            validation, test: classes to keep apart: names, how many, or a share, as `split_classes` has it.
            parts: a Split to use in place of a drawn one.
            bank: a function of the training's row ids to a FeatureBank of them, for features of changed
                copies beside the plain ones.
            classes, per_class: of a batch; by default 8 classes, or all where there are fewer.
            far: the false-accept rate that the thresholds are for.
            folder: where the features of an ImageSet are cached.
            training: further options of `devise.training.train`.
        Returns:
            self.
        Raises:
            ValueError: if there are too few classes, or an option doesn't fit.
        """
        from devise.heads import ProjectionHead
        from devise.training import train

        images = data if isinstance(data, ImageSet) else data.images
        if not images.label_names:
            raise ValueError("the pictures have no labels: expected a folder a class (root/elephant/*.jpg), "
                             "or a label file")
        def draw(images):
            return split_classes(images.labels, images.label_names, validation=validation, test=test, seed=self.seed)

        given, parts = parts, checked(parts or draw(images))  # fails before hours of extraction
        classes = batch_classes(classes, images.labels[parts.train])
        chosen = pair_loss(loss, miner, loss_options, n_labels=len(np.unique(images.labels[parts.train])))
        table = data
        if data is images:
            table = features.extract(data, self.backbone, folder, progress=progress)
        table = features.usable(table)
        if len(table) < len(images):  # a picture that can't be read, or is all black to the network, is in no part
            parts = given.among(images.paths, table.images.paths) if given else checked(draw(table.images))
        self.adopt(table)
        y = table.images.labels
        head = head or ProjectionHead(start="within-class", shrinkage=SHRINKAGE, power=POWER)
        x, held = rows_of(table.matrix, parts.train), rows_of(table.matrix, parts.validation)
        mine, theirs = own_numbers(y[parts.train]), own_numbers(y[parts.validation])
        if head.input_dim is None and head.trains:
            head.begin(x, mine, self.seed)
        chosen = chosen(head.dim or x.shape[1])
        held = held, validation_labels(chosen, theirs, mine.max() + 1)
        history = train(head, bank(parts.train) if bank else x, mine, chosen, validation=held,
                        validate=lambda rows: scores(rows, theirs), classes=classes, per_class=per_class,
                        epochs=epochs, optimiser=optimiser, learning_rate=learning_rate, seed=self.seed,
                        progress=progress, **training)
        self.history = replace(history, validation_loss=()) if knows_classes(chosen) else history
        self.head, self.split, self.paths, self.label_names = head, parts, table.images.paths, images.label_names
        self.loss = loss_record(chosen)
        self.choose_threshold(far)
        return self

    def finetune(self, images=None, **options):
        """A copy with the top of its network trained too; see `devise.model.siamese_finetuning.finetune`."""
        return finetune(self._fitted(), images, **options)

    def spaces(self):
        """{"learnt": …, "raw": …}, functions from features to unit rows; the first is the default."""
        return {"learnt": self.embed_features, "raw": raw_rows}

    def embed_features(self, matrix):
        """Features (n, dim of the backbone) in the learnt space: float32 (n, dim), unit rows."""
        return self._fitted().head.embed(matrix)

    def embed_pictures(self, pictures, *, progress=None):
        """Pictures in the learnt space.

        Args:
            pictures: ImageSet, paths, or one path.
        Returns:
            float32 (n, dim), unit rows, one for each picture.
        Raises:
            ValueError: if a picture can't be read; the message says which and why.
        """
        return self.embed_features(readable_features(self.features_of(pictures, progress=progress)))

    def choose_threshold(self, far=FAR, table=None):
        """Choose the threshold of each space for a wanted false-accept rate, on the validation classes.

        Each validation picture asks the others as if its class were not among them; see
        `devise.evaluation.choose_threshold`. The gallery is the validation part: in a much larger
        index more unknown pictures pass. Few classes say little of others: `trust` has, for each
        space, the interval of the threshold and that of the false-accept rate, see
        `devise.evaluation.threshold_interval`.

        Args:
            far: the wanted share of unknown pictures that are let in, 0 to 1.
            table: the training's features; by default opened from where they lay.
        Returns:
            {"learnt": cosine, "raw": cosine}, kept as `thresholds`.
        """
        rows, labels = self._part("validation", table)
        embedded = {name: space(rows) for name, space in self.spaces().items()}
        self.thresholds = {name: choose_threshold(mine, labels, false_accept_rate=far)
                           for name, mine in embedded.items()}
        self.trust = {name: threshold_interval(mine, labels, false_accept_rate=far, seed=self.seed)
                      for name, mine in embedded.items()}
        self.far = far
        return self.thresholds

    def evaluate(self, table=None, *, ks=KS):
        """Retrieval among the pictures of the test classes, each asking all others.

        Args:
            table: the training's features; by default opened from where they lay.
        Returns:
            {"raw": Retrieval, "learnt": Retrieval}, over the same pictures.
        Raises:
            ValueError: if no class was kept for testing.
        """
        rows, labels = self._part("test", table)
        spaces = self.spaces()
        return {name: retrieve(spaces[name](rows), labels, ks=ks) for name in ("raw", "learnt")}

    def evaluate_galleries(self, sizes, table=None, *, ks=KS):
        """Retrieval among the test classes over galleries of stated sizes, one query a class and draw.

        Args:
            sizes: how many pictures; those that don't fit are left out and named.
            table: the training's features; by default opened from where they lay.
        Returns:
            Galleries of "raw" and "learnt", see `devise.evaluation.evaluate_galleries`.
        """
        rows, labels = self._part("test", table)
        spaces = self.spaces()
        return evaluate_galleries({name: spaces[name](rows) for name in ("raw", "learnt")}, labels, sizes, ks=ks,
                                  seed=self.seed)

    def evaluate_open_set(self, table=None):
        """What the thresholds do on the test classes, half of which are in the gallery.

        Half of the pictures of the known classes are the gallery; the other half, and all pictures
        of the other classes, ask. Classes and pictures are drawn by the model's seed.

        Returns:
            {"raw": OpenSet, "learnt": OpenSet}
        Raises:
            ValueError: if fewer than two classes were kept for testing.
        """
        rows, labels = self._part("test", table)
        random = np.random.default_rng([self.seed, 1])
        names = random.permutation(np.unique(labels))
        if len(names) < 2:
            raise ValueError("one class was kept for testing: expected two or more, so that one is unknown")
        shuffled = [random.permutation(np.flatnonzero(labels == name)) for name in names[:len(names) // 2]]
        gallery = np.sort(np.concatenate([mine[:len(mine) // 2] for mine in shuffled]))
        spaces = self.spaces()
        return {name: evaluate_open_set(spaces[name](rows), labels, gallery=gallery, threshold=self.thresholds[name])
                for name in ("raw", "learnt")}

    def export(self, path, *, overwrite=False):
        """Write backbone and head as a .keras or .onnx file; see `devise.model.exporting.export`."""
        return export(self._fitted(), path, overwrite=overwrite)

    def save(self, folder, *, overwrite=False):
        """Write the model to a folder, whole or not at all.

        Args:
            overwrite: whether a model of another network, or of other words, labels or pictures, may be lost.
        Raises:
            FileExistsError: if one would, or if the folder holds files of somebody else's and no model.
        """
        siamese_saving.save(self._fitted(), folder, overwrite=overwrite)

    @classmethod
    def load(cls, folder):
        """Open a model that `save` wrote; the backbone is loaded when it is needed.

        Raises:
            FileNotFoundError: if there is no such model in the folder.
            ValueError: if it is damaged.
        """
        return siamese_saving.load(cls, folder)

    def _part(self, part, table):
        """(features, labels) of the pictures of a part of the split."""
        table = table or self._fitted().table
        self.check_features(table)
        if table.images.label_names != self.label_names:
            raise ValueError("the features have other classes than the model: give those of the training")
        rows = Split.from_json(self.split.to_json(self.paths), table.images.paths).rows(part)
        if not len(rows):
            raise ValueError(f"no class was kept for {part}: train again with some")
        return rows_of(table.matrix, rows), table.images.labels[rows]

    def _fitted(self):
        if self.head is None:
            raise ValueError("the model is not trained yet: call fit first")
        return self


def difference(runs):
    """How much better MAP@R is in the learnt space than in the raw one, by drawing whole classes again.

    Args:
        runs: what `Siamese.evaluate` gave.
    Returns:
        Comparison, see `devise.metrics.paired_difference`.
    """
    return paired_difference(runs["raw"].map_at_r, runs["learnt"].map_at_r, runs["raw"].labels)
