import keras
import numpy as np
import pytest

from devise import backbones
from devise.bench import extract


def test_operations_are_counted_as_by_hand():
    """Loops over outputs and the weights that each sees."""
    pictures = keras.Input((9, 7, 3))
    x = keras.layers.Conv2D(4, (3, 2), strides=2, padding="same")(pictures)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, padding="valid")(x)
    x = keras.layers.Dense(6)(keras.layers.Flatten()(x))
    model = keras.Model(pictures, x)
    expected = 0
    for _output in np.ndindex(5, 4, 4):  # of the strided convolution, padded
        expected += 2 * 3 * 2 * 3
    for _output in np.ndindex(3, 2, 4):
        expected += 2 * 3 * 3
    for _output in range(6):
        expected += 2 * 3 * 2 * 4
    assert extract.flops(model) == expected


def test_the_published_count_of_efficientnet_lite0():
    """407 million multiplications with their additions, by its authors; ours end before the classes."""
    model = backbones.load("efficientnet_lite0", weights=None).keras_model()
    assert extract.flops(model) / 2 + 1280 * 1000 == pytest.approx(407e6, rel=0.06)


def test_layers_whose_work_is_not_known_give_no_count():
    sentences = keras.Input((5,), dtype="int32")
    assert extract.flops(keras.Model(sentences, keras.layers.Embedding(9, 4)(sentences))) is None
