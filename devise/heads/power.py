"""Features raised to a power, as a Keras layer in front of a head."""

import keras
from keras import ops

LEAST = 1e-6  # magnitudes below this count as this: at 0 a root has no slope, and a network that trains needs one


@keras.saving.register_keras_serializable(package="devise")
class SignedPower(keras.layers.Layer):
    """sign(x) |x|^power, value by value; see `ProjectionHead`.

    >>> SignedPower(0.5)(ops.convert_to_tensor([[4.0, -9.0, 0.0]])).numpy()
    array([[ 2., -3.,  0.]], dtype=float32)
    """

    def __init__(self, power: float, **options):
        super().__init__(**options)
        self.power = power

    def call(self, rows: keras.KerasTensor) -> keras.KerasTensor:
        return ops.sign(rows) * ops.power(ops.maximum(ops.abs(rows), LEAST), self.power)

    def compute_output_shape(self, shape: tuple) -> tuple:
        return shape

    def get_config(self) -> dict:
        return super().get_config() | {"power": self.power}
