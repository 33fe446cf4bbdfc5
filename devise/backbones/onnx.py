"""ONNX files of networks, which other engines run without Keras."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from devise.errors import require
from devise.storage import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    from numpy.typing import NDArray

LARGE = 16384  # values; what is smaller, such as a bias, takes part in the converter's own simplifications
INPUT, FREE, FEATURES = "pictures", "n", "features"  # in a file of a backbone: what goes in, how many, what comes out
LIMIT = 2 ** 31  # bytes, of any protocol buffer


@dataclass(frozen=True, eq=False)
class Graph:
    """A network that is known without Keras, which is asked only for what nothing else can do.

    Attributes:
        name: what messages call it.
        weights: those up to the features, in the order of the Keras model's.
        classifier: kernel (dim, C) and bias (C,) behind the features.
        write: writes the network up to the features as an ONNX file.
        keras_model: makes the Keras model from pictures to classes.
    """

    name: str
    weights: Sequence[NDArray[np.float32]]
    classifier: tuple[NDArray[np.float32], NDArray[np.float32]]
    write: Callable[[Path], object]
    keras_model: Callable[[], keras.Model]


def export(model: keras.Model, path: str | os.PathLike, *, name: str = FEATURES) -> str | os.PathLike:
    """Write a Keras model of one input and one output as one ONNX file, and return its path.

    The converter is given the large weights as inputs of the graph, and they are put into the file
    afterwards: it copies constants many times over, which took minutes and gigabytes for VGG16.

    Args:
        model: float32 (n, …) in, (n, …) out; n stays free.
        path: where to write, such as "model.onnx"; a file that exists is replaced in one step.
        name: of the output in the file. The input keeps the model's own name for it.
    Raises:
        MissingDependency: without tf2onnx and onnx.
        ValueError: if the converter knows no equivalent of a layer, or the weights exceed the 2 GB of a file.
    """
    tf2onnx, onnx = require("tf2onnx", "onnx"), require("onnx", "onnx")
    weights = [*model.trainable_variables, *model.non_trainable_variables]
    values = [np.ascontiguousarray(weight) for weight in weights]
    if sum(value.nbytes for value in values) >= LIMIT:
        raise ValueError(f"{model.name} holds {sum(value.nbytes for value in values) / 1e9:.1f} GB of weights: an "
                         "ONNX file takes less than 2.1 GB; take runtime='function'")
    graph, held = _converted(tf2onnx, model, values, name)
    try:
        onnx.checker.check_model(graph)  # an operation that the converter doesn't know is left as it was
    except onnx.checker.ValidationError as error:
        raise _refusal(model, error) from error
    used = {name for node in graph.graph.node for name in node.input}
    given = held | {f"weight_{number}": value for number, value in enumerate(values)}
    for entry in list(graph.graph.input):
        if entry.name in given:  # a weight or a constant: it becomes a number of the graph's own
            graph.graph.input.remove(entry)
            if entry.name in used:
                graph.graph.initializer.append(onnx.numpy_helper.from_array(given[entry.name], entry.name))
    if strange := [entry.name for entry in graph.graph.input if entry.name not in {one.name for one in model.inputs}]:
        raise _refusal(model, f"it asks for {', '.join(strange)}")
    for entry in (*graph.graph.input, *graph.graph.output):
        entry.type.tensor_type.shape.dim[0].dim_param = FREE
    graph.doc_string = model.name
    with atomic_path(path) as temporary:
        onnx.save(graph, str(temporary))
    return path


def _converted(tf2onnx, model, values, name):
    """The ONNX graph of a model whose large weights are inputs named weight_0, weight_1, …; other inputs by name.

    The others are constants that a layer made when it was built, such as the places of a transformer's parts.
    """
    import tensorflow as tf

    large = [number for number, value in enumerate(values) if value.size >= LARGE]
    trainable = len(model.trainable_variables)

    def forward(pictures, *given):
        given = dict(zip(large, given, strict=True))
        state = [given[number] if number in given else tf.constant(value) for number, value in enumerate(values)]
        outputs, _ = model.stateless_call(state[:trainable], state[trainable:], pictures, training=False)
        return {name: outputs}

    signature = [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in model.inputs]
    signature += [tf.TensorSpec(values[number].shape, values[number].dtype, name=f"weight_{number}")
                  for number in large]
    with _quiet():
        try:
            function = tf.function(forward, autograph=False, input_signature=signature)
            held = {inner.name: outer.numpy() for outer, inner in function.get_concrete_function().graph.captures
                    if outer.dtype != tf.resource}
            graph, _ = tf2onnx.convert.from_function(function, input_signature=signature,
                                                     custom_op_handlers={"Erfc": (_erfc, [])})
        except Exception as error:  # the converter raises its own and Python's
            raise _refusal(model, error) from error
    return graph, held


def by_reference(path: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A file as the standard's own evaluator computes it, in NumPy: slow, and the measure of engines."""
    require("onnx", "onnx")
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))
    return lambda pictures: cast(list, evaluator.run(None, {INPUT: pictures}))[0]


def _refusal(model, error):
    return ValueError(f"{model.name} can't be written as ONNX ({' '.join(str(error).split())}): "
                      "take runtime='function'")


def _erfc(graph, node, _name, _arguments):
    """1 - erf(x), of which GELU is made: ONNX has the latter only."""
    one = graph.make_const(f"{node.name}/one", np.array(1, np.float32))
    erf = graph.make_node("Erf", [node.input[0]])
    graph.remove_node(node.name)
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=node.name, outputs=node.output)


@contextlib.contextmanager
def _quiet():
    """Silence the converter, which reports simplifications that it could not make as errors."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
