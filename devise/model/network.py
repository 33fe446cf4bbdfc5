"""Backbone and head joined: the network of the paper, from pixels to the space of the words."""


def whole_model(backbone, head, *, name="devise"):
    """One Keras model: picture in, unit embedding out. It shares its weights with its two parts.

    Args:
        backbone: a Backbone, which stays frozen.
        head: an MlpHead, RidgeHead or ProjectionHead with weights.
        name: of the Keras model.
    Returns:
        keras.Model from float32 (n, h, w, 3), 0 to 255, to float32 (n, dim).
    Raises:
        ValueError: if the head is no network, or takes features of another dim.

    >>> whole_model(backbone, head).output_shape  # doctest: +SKIP
    (None, 300)
    """
    import keras

    layers = head.keras_layers()
    if head.input_dim != backbone.dim:
        raise ValueError(f"the head takes {head.input_dim} features, {backbone.name} {backbone.layer} "
                         f"gives {backbone.dim}")
    frozen = backbone.keras_model()
    outputs = frozen.output
    for layer in layers:
        outputs = layer(outputs)
    [pictures] = frozen.inputs
    return keras.Model(pictures, keras.layers.UnitNormalization(name="unit_embedding")(outputs), name=name)


def parameter_counts(model):
    """How many parameters a Keras model has: {"total", "trainable", "non_trainable"}.

    >>> import keras
    >>> parameter_counts(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
    {'total': 15, 'trainable': 15, 'non_trainable': 0}
    """
    trainable = sum(_size(weight) for weight in model.trainable_weights)
    frozen = sum(_size(weight) for weight in model.non_trainable_weights)
    return {"total": trainable + frozen, "trainable": trainable, "non_trainable": frozen}


def _size(weight):
    size = 1
    for length in weight.shape:
        size *= length
    return size
