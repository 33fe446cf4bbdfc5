"""Keras graphs: cut at a layer, copied with other weights or other settings."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras

END = "output"  # where a network is cut whose last layer is wanted, whatever its name


def cut(network: keras.Model, layer: str) -> keras.Model:
    """The model from the network's input to one layer, its positions averaged."""
    import keras

    pooling = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
    if layer == "pooled":
        found = [candidate for candidate in network.layers if isinstance(candidate, pooling)]
    else:
        found = [candidate for candidate in network.layers if candidate.name == layer]
    if not found and layer != END:
        names = [candidate.name for candidate in network.layers]
        near = difflib.get_close_matches(str(layer), names, n=3) or names[-3:]
        raise ValueError(f"{network.name} has no layer {layer!r}: try {', '.join(near)}")
    output = found[-1].output if found else network.output
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D(name="mean_over_positions")(output)
    if len(output.shape) != 2:
        raise ValueError(f"layer {layer!r} gives shape {output.shape}: expected (n, dim) or (n, h, w, dim)")
    return keras.Model(network.inputs, output, name=f"{network.name}_{layer}", trainable=False)


def replaced(model: keras.Model, changes: Mapping[str, np.ndarray]) -> keras.Model:
    """A copy of a model with some of its weights replaced, {path: array}, paths as `model.weights` have them."""
    weights = {weight.path: weight for weight in model.weights}
    for path, values in changes.items():
        if path not in weights:
            raise ValueError(f"{model.name} has no weight {path!r}: the changes are of another network")
        shape = tuple(weights[path].shape)
        if np.shape(values) != shape or not np.isfinite(values).all():
            raise ValueError(f"the new {path} has shape {np.shape(values)}: expected {shape}, all finite")
    copy = copied(model)
    for weight, old in zip(copy.weights, model.weights, strict=True):
        if old.path in changes:
            weight.assign(changes[old.path])
    return copy


def copied(model: keras.Model, inputs: tuple | None = None, **settings) -> keras.Model:
    """A copy of a model with the same weights, its layers made with other settings, such as dtype="mixed_float16".

    With `inputs`, (input, tensor made from it), the copy is given the input and computes from the tensor.
    """
    import keras

    def called(layer, *args, **kwargs):
        pictures, scaled = inputs
        args, kwargs = keras.tree.map_structure(lambda value: scaled if value is pictures else value, (args, kwargs))
        return layer(*args, **kwargs)

    def made(layer):  # an operation that is no layer has no settings
        return type(layer).from_config(layer.get_config() | (settings if isinstance(layer, keras.Layer) else {}))

    copy = keras.models.clone_model(model, clone_function=made, input_tensors=inputs and inputs[0],
                                    call_function=called if inputs else None)
    # by order: of a weight that its layer gave no name the path is another in each copy
    for weight, old in zip(copy.weights, model.weights, strict=True):
        weight.assign(old)
    return copy
