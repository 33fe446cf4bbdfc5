"""What a model stands on: its frozen network and its words, opened on first use."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devise import backbones
from devise.arrays import read_npz
from devise.words import NAMES, open_words

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from devise.backbones.base import Backbone
    from devise.features import FeatureTable
    from devise.words import WordVectors

AUTO = "auto"
_OPENING = threading.RLock()  # whoever asks first opens it, the others wait


class Network:
    """The backbone of a model, loaded when it is needed and refused where it is not that of the training.

    Args:
        backbone: a Backbone, a keras.Model, a name from `devise.backbones.names()`, or "auto": that of the
            features it is trained on, else the best at hand.
        weights, layer, runtime: of the backbone, where it is a name.

    Attributes:
        record: {"name", "layer", "dim", "weights", "trained", "fingerprint"}, what is known of it so far; of a
            fine-tuned one also "base", the record of the network before.
    """

    def __init__(self, backbone: str | Backbone | keras.Model = AUTO, *, weights: str | None = "imagenet",
                 layer: str | None = None, runtime: str = "auto"):
        self._backbone = None if isinstance(backbone, str) else backbones.as_backbone(backbone)
        self._changes: tuple[Path, dict[str, NDArray]] | None = None
        self._runtime = runtime
        self.record: dict[str, Any] = (backbones.describe(self._backbone) if self._backbone else
                       {"name": backbone, "layer": layer, "weights": weights, "fingerprint": None})

    @classmethod
    def of(cls, backbone: str | Backbone | keras.Model | Network, weights: str | None = "imagenet",
           layer: str | None = None) -> Network:
        """The network of whatever says which; a Network is taken as it is."""
        return backbone if isinstance(backbone, cls) else cls(backbone, weights=weights, layer=layer)

    @classmethod
    def recorded(cls, record: dict, changes: Path | None = None) -> Network:
        """The network of a saved model; `changes` is the file of the weights that fine-tuning gave it."""
        network = cls(record["name"], weights=record["weights"], layer=record["layer"])
        network.record = record
        # read at once, since the file goes when the model is saved anew
        network._changes = (changes, read_npz(changes)) if changes else None
        return network

    def changed(self, backbone: Backbone) -> Network:
        """The network after fine-tuning, which keeps the record of what it was."""
        network = Network(backbone)
        network.record["base"] = self.record.get("base", self.record)
        return network

    @property
    def backbone(self) -> Backbone:
        """The frozen network.

        Raises:
            ValueError: if the weights at hand are not those of the training.
        """
        with _OPENING:
            if self._backbone is None:
                self._backbone = self._opened()
                self.record = self.record | backbones.describe(self._backbone)
            return self._backbone

    @property
    def name(self) -> str:
        return self.record["name"]

    def check(self, table: FeatureTable) -> None:
        """Refuse features of another backbone than the one of the training, by name."""
        theirs = table.backbone
        if self.record["fingerprint"] not in (None, theirs["fingerprint"]):
            raise ValueError(f"the model was trained on {self.name} ({self.record['fingerprint'][:12]}), these "
                             f"features are of {theirs['name']} ({theirs['fingerprint'][:12]}): extract them "
                             "with its backbone")

    def adopt(self, table: FeatureTable) -> None:
        """Take the backbone of the features for one's own, or refuse it."""
        self.check(table)
        if self.name not in (AUTO, table.backbone["name"]):
            raise ValueError(f"the features are of {table.backbone['name']}, the model was asked for {self.name}: "
                             f"say backbone={table.backbone['name']!r}")
        self.record = {**self.record, **table.backbone}

    def required(self, record: dict, what: str) -> Network:
        """The network of a record, loaded as this one asks for; "auto" is any.

        Args:
            what: how an error calls what needs it.
        Raises:
            ValueError: if this is another network, or layer or weights are others.
        """
        mine = self.record
        if mine["name"] != AUTO and (mine["name"] != record["name"] or mine["layer"] not in (None, record["layer"]) or
                                     mine["weights"] != record["weights"] or
                                     mine["fingerprint"] not in (None, record["fingerprint"])):
            raise ValueError(f"{what} is made for {record['name']}, layer {record['layer']}, weights "
                             f"{record['weights']}, the network asked for is {mine['name']}, layer "
                             f"{mine['layer'] or 'by default'}, weights {mine['weights']}")
        found = Network(record["name"], runtime=self._runtime)
        found.record, found._backbone = dict(record), self._backbone
        return found

    def _opened(self) -> Backbone:
        base = self.record.get("base", self.record)
        name = backbones.choose()[0] if base["name"] == AUTO else base["name"]
        loaded = backbones.load(name, layer=base["layer"], weights=base["weights"], runtime=self._runtime)
        if self._changes:
            path, weights = self._changes
            try:
                loaded = loaded.with_weights(weights)
            except ValueError as error:
                raise ValueError(f"{path} has no fine-tuned weights of {name} ({error}): fine-tune again") from error
        if self.record["fingerprint"] not in (None, loaded.fingerprint):
            raise ValueError(f"this model was trained on {name} {self.record['layer']} with fingerprint "
                             f"{self.record['fingerprint'][:12]}, the weights at hand have {loaded.fingerprint[:12]}: "
                             "bring the weights of the training, or train again")
        return loaded


class Words:
    """The word vectors of a model, opened when they are needed and refused where they are not those of the training.

    Args:
        words: WordVectors, or what `devise.words.open_words` opens: a name or a path.

    Attributes:
        record: {"source", "name", "n", "dim", "fingerprint"}; source opens them again, None in memory only.
    """

    def __init__(self, words: str | Path | WordVectors):
        self._vectors: WordVectors | None = (vectors := open_words(words))
        source: str | None = vectors.name if vectors.name in NAMES else None
        if isinstance(words, (str, Path)):
            source = str(words if words in NAMES else Path(words).expanduser().resolve())
        self.record: dict[str, Any] = {"source": source, "name": vectors.name, "n": len(vectors),
                                       "dim": vectors.dim, "fingerprint": vectors.fingerprint}

    @classmethod
    def recorded(cls, record: dict, words: WordVectors | str | Path | None = None) -> Words:
        """The words of a saved model; `words` are taken in place of opening them from where they lay."""
        found = cls.__new__(cls)
        found.record = record
        found._vectors = None if words is None else found._checked(open_words(words))
        return found

    @property
    def vectors(self) -> WordVectors:
        """The vectors.

        Raises:
            ValueError: if they were in memory only, or those at hand are not those of the training.
        """
        with _OPENING:
            if self._vectors is None:
                if self.record["source"] is None:
                    raise ValueError(f"the model was trained on word vectors in memory ({self.record['name']}): give "
                                     "them to Devise.load(folder, words=…)")
                self._vectors = self._checked(open_words(self.record["source"]))
            return self._vectors

    def _checked(self, words: WordVectors) -> WordVectors:
        mine = self.record
        if words.fingerprint != mine["fingerprint"]:
            raise ValueError(
                f"the model was trained on {mine['name']} ({mine['n']:,} words, {mine['dim']}-d, "
                f"{mine['fingerprint'][:12]}), these are {words.name} ({len(words):,} words, {words.dim}-d, "
                f"{words.fingerprint[:12]}): bring the words of the training, or train again")
        return words
