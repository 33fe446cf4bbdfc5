"""How much arithmetic a network is, and how much this machine does in a second."""

import math
import time

import numpy as np

SIDE = 2048  # of the matrices: 34 GFLOP a product, beyond every cache


def flops(model):
    """Floating-point operations of one picture: a multiplication and an addition for each use of a weight.

    Counted are convolutions and dense layers, which is all but a few hundredths of a convolutional network.

    Args:
        model: a Keras model of one picture, its positions known.
    Returns:
        int, or None where another layer holds matrices, such as a transformer's.
    """
    import keras

    total = 0
    for layer in model.layers:
        matrices = [weight for weight in layer.weights if len(weight.shape) > 1]
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            positions = math.prod(layer.output.shape[1:3])
        elif isinstance(layer, keras.layers.Dense):
            positions = math.prod(layer.output.shape[1:-1])
        elif matrices:
            return None
        else:
            continue
        total += 2 * positions * math.prod(matrices[0].shape)
    return total


def matrix_rate(matrices):
    """Floating-point operations a second of one product of two float32 matrices, by NumPy's BLAS.

    >>> matrix_rate(square_matrices(64)) > 0
    True
    """
    started = time.perf_counter()
    matrices[0] @ matrices[1]
    return 2 * len(matrices[0]) ** 3 / (time.perf_counter() - started)


def square_matrices(side=SIDE, seed=0):
    """Two float32 matrices to multiply."""
    random = np.random.default_rng(seed)
    return tuple(random.standard_normal((side, side), dtype=np.float32) for _ in range(2))
