"""Backbone (a frozen network from images to feature vectors) and its preprocessing."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import threading
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from devise.arrays import as_rows
from devise.backbones import graphs, runtimes
from devise.backbones.onnx import Graph

if TYPE_CHECKING:
    import keras
    from numpy.typing import ArrayLike, NDArray

BATCH = 8  # 16 and 32 are as fast on a CPU, and one picture alone costs a whole batch
RUNTIME = "auto"
STRETCHED = "-stretched"  # after the name of a network: whole pictures are put into its square


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of a network: crop and resize, then scale·x + offset.

    Attributes:
        size: (height, width) of the network's input, in pixels.
        scale, offset: three numbers each, one a channel, in the network's channel order.
        bgr: whether the network wants blue first.
        resampling: a filter of Pillow, in lower case. It is widened to the reduction (antialiased).
        crop: the side of the centre crop as a fraction of the shorter side; 0.875 is the
            "256, then 224" of the field, in proportion. None stretches the whole picture.

    >>> Preprocessing((224, 224), bgr=True).prepare(np.zeros((300, 400, 3), np.uint8)).shape
    (224, 224, 3)
    """

    size: tuple[int, int]
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bgr: bool = False
    resampling: str = "bilinear"
    crop: float | None = 0.875

    @property
    def stretched(self) -> Preprocessing:
        """The same with the whole picture, its nearest pixels taken, as `keras.utils.load_img(target_size=…)` does."""
        return dataclasses.replace(self, crop=None, resampling="nearest")

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The centre of a picture, or all of it, at the network's size: uint8 (height, width, 3)."""
        from PIL import Image

        height, width = image.shape[:2]
        rows, columns = self.size
        box = None
        if self.crop is not None:  # cropping before resizing saves the work on what is cut away
            side = self.crop * min(height / rows, width / columns)
            top, left = (height - side * rows) / 2, (width - side * columns) / 2
            box = (left, top, left + side * columns, top + side * rows)
        resampling = Image.Resampling[self.resampling.upper()]
        picture = Image.fromarray(np.ascontiguousarray(image))
        return np.asarray(picture.resize((columns, rows), resampling, box=box))

    def inputs(self) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """A Keras input for float32 pictures in 0..255, and the scaled tensor made from it."""
        import keras

        pictures = scaled = keras.Input((*self.size, 3), dtype="float32", name="pictures")
        if self.bgr:
            scaled = keras.ops.flip(scaled, axis=-1)
        if set(self.scale) != {1.0} or set(self.offset) != {0.0}:
            scaled = keras.layers.Rescaling(list(self.scale), list(self.offset), name="scaled")(scaled)
        return pictures, scaled


class Backbone:
    """A frozen network, cut at a layer: pictures uint8 (n, h, w, 3) to features float32 (n, dim).

    Pictures go through in batches of one fixed size, the last one padded, so a row depends neither
    on its neighbours nor on n, and one compiled graph serves every call. Any number of threads may call it.

    Args:
        name: its name in the registry.
        network: a Keras model from `preprocessing.inputs()` to class logits, or to features; or a Graph, of
            which the Keras model is made when something needs it.
        layer: where it is cut: the name of a layer, or "pooled", the last global pooling.
            A layer that keeps positions is averaged over them.
        weights: which weights they are, as `load` takes them.
        trained: False for random weights.
        preprocessing: a `Preprocessing`.
        class_names: the classes of the network's logits; empty where it has no classifier.
        runtime: "function" (TensorFlow's compiled graph), "xla", "keras" (`predict_on_batch`), or an
            engine that runs an ONNX file of the network, "onnxruntime" or "openvino". "auto" is the
            first engine that is installed and agrees with Keras, for trained weights as they come
            and without a GPU; else "function". Features differ by float32 rounding only, but for
            "mixed_float16", which multiplies in half precision, as GPUs do faster: features of
            EfficientNet-Lite0 then differ by up to 0.7 % of the largest, their cosines by 3e-5.
        batch: pictures a forward pass; None is 1 of a Graph that an engine runs, which gains nothing from more, else 8.
        changes: {path: array}, the weights of the network that are not those `weights` says, set by
            fine-tuning; kept for saving.
    Raises:
        ValueError: if the network has no such layer, or there is no such runtime.

    >>> from devise.backbones import load
    >>> backbone = load("mobilenet", weights="random")  # doctest: +SKIP
    >>> pictures = np.stack([backbone.prepare(image)])  # doctest: +SKIP
    >>> backbone.features(pictures).shape  # doctest: +SKIP
    (1, 1024)
    """

    def __init__(self, name: str, network: keras.Model | Graph, *, layer: str, weights: str, trained: bool,
                 preprocessing: Preprocessing, class_names: Sequence[str] = (), runtime: str = RUNTIME,
                 batch: int | None = None, changes: Mapping[str, np.ndarray] | None = None):
        self._graph = network if isinstance(network, Graph) else None
        self._source = network
        self.runtime = runtimes.choose(runtime, lasting=trained and not changes, graph=self._graph)
        self._preprocessing = preprocessing
        self.name, self.layer, self.weights, self.trained = name, layer, weights, trained
        self.class_names = tuple(class_names)
        self.size = preprocessing.size
        self.dim = len(self._graph.classifier[0]) if self._graph else self._model.output_shape[-1]
        self.batch = batch or (1 if self._graph and self.runtime in runtimes.ENGINES else BATCH)
        self.changes = dict(changes or {})
        self._given: dict[str, Any] = {"layer": layer, "weights": weights, "trained": trained, "batch": batch,
                                       "preprocessing": preprocessing, "class_names": class_names,
                                       "runtime": runtime, "changes": changes}
        self._turn = threading.RLock()  # engines, and Keras, keep what they work on between two calls

    @cached_property
    def _network(self) -> keras.Model:
        """The whole network, frozen."""
        network = self._source.keras_model() if isinstance(self._source, Graph) else self._source
        network.trainable = False
        return network

    @cached_property
    def _model(self) -> keras.Model:
        return graphs.cut(self._network, self.layer)

    def __repr__(self):
        return f"Backbone({self.name}, layer={self.layer}, dim={self.dim}, weights={self.weights})"

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of a picture uint8 (h0, w0, 3) that the network sees, at its size: uint8 (h, w, 3).

        Raises:
            ValueError: if it is not such an array, or has no pixels.
        """
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"the picture is {image.dtype} {image.shape}: expected uint8 (height, width, 3)")
        return self._preprocessing.prepare(image)

    def features(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The feature vector of each picture, float32 (n, dim).

        Args:
            pictures: uint8 (n, h, w, 3) at the backbone's size; not written to.
        Raises:
            ValueError: if it is another type or size.
        """
        return self._run(lambda block: self._forward(block), pictures, self.dim)

    def logits(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's own class scores before softmax, float32 (n, classes), as in `class_names`.

        Raises:
            ValueError: if the network has no classifier, or as `features` does.
        """
        self._check_classes()
        return self._run(lambda block: self._classify(block), pictures, len(self.class_names))

    def classify(self, features: ArrayLike) -> NDArray[np.float32]:
        """The network's own class scores from features (n, dim): what `logits` gives for the same pictures.

        Raises:
            ValueError: if the network has no classifier, or it does not start at the layer of the cut.
        """
        rows = as_rows(features, "features", self.dim)
        with self._turn:
            return np.asarray(self._classifier(rows))

    def keras_model(self) -> keras.Model:
        """The network up to the layer: float32 (n, h, w, 3) in 0..255 in, features out; frozen.

        Preprocessing is inside and has no weights. It shares its weights with this backbone.
        """
        return self._model

    def with_weights(self, changes: Mapping[str, np.ndarray]) -> Backbone:
        """A copy of this backbone with some of its weights replaced, on a network of its own.

        It has no classifier, as that of the network was trained on what the old weights give.

        Args:
            changes: {path: array}, such as {"head_conv/kernel": …}; the paths of
                `keras_model().weights`.
        Returns:
            Backbone; its `changes` are these, over those that this one has already.
        Raises:
            ValueError: if there is no such weight up to the layer, it has another shape, or it
                holds NaN or infinity.
        """
        model = graphs.replaced(self._model, changes)
        weights = self.weights if self.changes else f"{self.weights}, fine-tuned"
        return Backbone(self.name, model, **self._given | {"weights": weights, "class_names": (),
                                                           "changes": {**self.changes, **changes}})

    def with_runtime(self, runtime: str) -> Backbone:
        """The same backbone run by another engine."""
        return Backbone(self.name, self._source, **self._given | {"runtime": runtime})

    def stretched(self) -> Backbone:
        """The same network on whole pictures (`Preprocessing.stretched`), with a name and a fingerprint of its own."""
        given = self._given | {"preprocessing": self._preprocessing.stretched}
        return Backbone(f"{self.name}{STRETCHED}", self._source, **given)

    @property
    def pending_export(self) -> Path | None:
        """The ONNX file that the first call of `features` will write, or None; it takes seconds to a minute."""
        path = runtimes.file_of(self._stem) if self.runtime in runtimes.ENGINES else None
        return path if path and not path.is_file() else None

    @cached_property
    def fingerprint(self) -> str:
        """A SHA-256 over name, layer, preprocessing and every weight up to the layer, in order."""
        document = {"name": self.name, "layer": self.layer,
                    "preprocessing": dataclasses.asdict(self._preprocessing)}
        checksum = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
        for weight in self._graph.weights if self._graph else self._model.weights:
            values = np.ascontiguousarray(weight)
            checksum.update(f"{values.dtype.str}{values.shape}".encode())
            checksum.update(values.data)
        return checksum.hexdigest()

    @property
    def _stem(self):
        return f"{self.name}-{self.fingerprint[:16]}"

    @cached_property
    def _forward(self):
        if self.runtime in runtimes.ENGINES:
            try:
                return runtimes.compiled(self._graph or self._model, self.runtime, self._shape, self._stem)
            except (ValueError, ImportError, OSError) as error:
                if self._given["runtime"] != "auto":
                    raise
                warnings.warn(f"{self.name} is run by TensorFlow, not by {self.runtime}: {error}", stacklevel=2)
                self.runtime = "function"  # nobody asked for this engine, which can't do it
        return runtimes.compiled(self._model, self.runtime, self._shape)

    @property
    def _shape(self):
        return (self.batch, *self.size, 3)

    @cached_property
    def _classify(self):
        if self.runtime in runtimes.ENGINES:
            with contextlib.suppress(ValueError):  # of a cut elsewhere than before the classes
                classifier = self._classifier
                return lambda pictures: np.asarray(classifier(self._forward(pictures)))
        graph = "function" if self.runtime in runtimes.ENGINES else self.runtime
        return runtimes.compiled(self._network, graph, self._shape)

    @cached_property
    def _classifier(self):
        """The layers behind the cut: features in, class scores out."""
        self._check_classes()
        if self._graph:
            kernel, bias = self._graph.classifier
            return lambda features: features @ kernel + bias
        import keras

        try:
            return keras.Model(self._model.output, self._network.output)
        except ValueError as error:
            raise ValueError(f"{self.name} does not classify from the features of {self.layer}: "
                             "load the backbone with its default layer, or use logits(pictures)") from error

    def _check_classes(self):
        if not self.class_names:
            raise ValueError(f"{self.name} has no classifier: take a backbone with ImageNet classes, "
                             "such as efficientnet_lite0, or tag with a trained model")

    def _run(self, forward, pictures, dim):
        pictures = np.asarray(pictures)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != (*self.size, 3):
            raise ValueError(f"pictures are {pictures.dtype} {pictures.shape}: {self.name} expects uint8 "
                             f"(n, {self.size[0]}, {self.size[1]}, 3); use prepare(image) for each")
        rows = np.empty((len(pictures), dim), np.float32)
        for start in range(0, len(pictures), self.batch):
            block = pictures[start:start + self.batch]
            n = len(block)
            if n < self.batch:
                block = np.concatenate([block, np.zeros((self.batch - n, *block.shape[1:]), np.uint8)])
            with self._turn:
                rows[start:start + n] = forward(block)[:n]
        return rows


def seed_of(weights: str | None, seed: int) -> int | None:
    """The seed that a `weights` argument asks for, as in "random:7", or None if it asks for trained weights."""
    if weights is None or weights == "random":
        return seed
    kind, _, number = str(weights).partition(":")
    if kind != "random":
        return None
    if not number.isdecimal():
        raise ValueError(f"weights are {weights!r}: expected a seed after 'random:', as in 'random:7'")
    return int(number)


def randomise(network: keras.Model, seed: int) -> None:
    """Overwrite a network's matrices and kernels by He's normal initialisation, from a seed.

    The standard deviation is sqrt(2 / fan_in), which keeps the scale of activations through ReLU
    layers (He et al. 2015, section 2.2). Biases and normalisations keep Keras' constants. The same
    seed gives the same weights in every process.
    """
    random = np.random.default_rng(seed)
    for weight in network.weights:
        if len(weight.shape) < 2:
            continue
        # a depthwise kernel is (h, w, channels, 1): each output sees one channel
        seen = weight.shape[:-1] if weight.shape[-1] > 1 else weight.shape[:-2]
        values = random.standard_normal(weight.shape, dtype=np.float32)
        values *= np.sqrt(2 / np.prod(seen), dtype=np.float32)
        weight.assign(values)
