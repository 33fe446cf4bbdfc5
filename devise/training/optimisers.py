"""Optimisers that update each variable by one fused kernel.

The arithmetic is that of keras.optimizers under the same names. Theirs goes through several
passes over the weights and a temporary array for each, which costs as much as a small batch's
matrix products; a fused kernel reads and writes the weights once.
"""

import tensorflow as tf

NAMES = ("adagrad", "adam", "sgd")


def make(name, variables, *, learning_rate, momentum=0.9, nesterov=True):
    """A function that takes a gradient for each variable and updates the variables.

    Args:
        name: one of NAMES; `momentum` and `nesterov` are for "sgd", the others have Keras' defaults.
        variables: list of keras.Variable.
    Raises:
        ValueError: if the name is unknown.
    """
    if name == "sgd":
        return _sgd(variables, learning_rate, momentum, nesterov)
    if name == "adam":
        return _adam(variables, learning_rate)
    if name == "adagrad":
        return _adagrad(variables, learning_rate)
    raise ValueError(f"optimiser is {name!r}: expected one of {', '.join(NAMES)}")


def _sgd(variables, learning_rate, momentum, nesterov):
    """v ← momentum·v - lr·g; w ← w + v, or with Nesterov w + momentum·v - lr·g."""
    velocities = _slots(variables, 0.0)

    def update(gradients):
        for variable, velocity, gradient in zip(variables, velocities, gradients, strict=True):
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.value.handle, accum=velocity.handle, lr=learning_rate, momentum=momentum,
                use_nesterov=nesterov, grad=tf.convert_to_tensor(gradient))

    return update


def _adam(variables, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Kingma and Ba 2015, algorithm 1, with the bias corrections in the step size."""
    means, squares = _slots(variables, 0.0), _slots(variables, 0.0)
    power_1, power_2 = tf.Variable(1.0), tf.Variable(1.0)

    def update(gradients):
        power_1.assign(power_1 * beta_1)
        power_2.assign(power_2 * beta_2)
        for variable, mean, square, gradient in zip(variables, means, squares, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle, m=mean.handle, v=square.handle, lr=learning_rate,
                beta1_power=power_1, beta2_power=power_2, beta1=beta_1, beta2=beta_2, epsilon=epsilon,
                grad=tf.convert_to_tensor(gradient))

    return update


def _adagrad(variables, learning_rate, start=0.1):
    """a ← a + g²; w ← w - lr·g / √a (Duchi et al. 2011). The start of a keeps it off zero."""
    sums = _slots(variables, start)

    def update(gradients):
        for variable, total, gradient in zip(variables, sums, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdagrad(
                var=variable.value.handle, accum=total.handle, lr=learning_rate,
                grad=tf.convert_to_tensor(gradient))

    return update


def _slots(variables, value):
    return [tf.Variable(tf.fill(variable.shape, value)) for variable in variables]
