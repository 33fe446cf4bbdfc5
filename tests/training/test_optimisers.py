import keras
import numpy as np
import pytest

from devise.training import loop

OPTIONS = [
    ("sgd", {"nesterov": True}, lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)),
    ("sgd", {"momentum": 0.5, "nesterov": False}, lambda: keras.optimizers.SGD(0.05, momentum=0.5)),
    ("sgd", {"momentum": 0.0, "nesterov": False}, lambda: keras.optimizers.SGD(0.05)),
    ("adam", {}, lambda: keras.optimizers.Adam(0.05)),
    ("adagrad", {}, lambda: keras.optimizers.Adagrad(0.05)),
]


@pytest.mark.parametrize(("name", "options", "reference"), OPTIONS)
def test_ten_steps_equal_keras(name, options, reference):
    rng = np.random.default_rng(0)
    start = [rng.standard_normal((3, 4)), rng.standard_normal(5)]
    ours = [keras.Variable(value, dtype="float32") for value in start]
    theirs = [keras.Variable(value, dtype="float32") for value in start]
    update, optimiser = loop.optimiser(name, ours, learning_rate=0.05, **options), reference()
    for _ in range(10):
        gradients = [rng.standard_normal(value.shape).astype(np.float32) for value in start]
        update(gradients)
        optimiser.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-4, atol=1e-6)
