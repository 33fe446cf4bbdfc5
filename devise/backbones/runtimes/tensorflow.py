"""A network run by TensorFlow, as a compiled graph, through XLA, or by Keras itself."""

import numpy as np

RUNTIMES = ("function", "xla", "keras")


def compiled(model, runtime, batch):
    """A function from uint8 pictures (batch, h, w, 3) to a float32 array.

    Args:
        runtime: "function" (a compiled graph), "xla", or "keras" (`predict_on_batch`).
    """
    if runtime == "keras":
        return lambda pictures: model.predict_on_batch(pictures.astype(np.float32))
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((batch, *model.input_shape[1:]), tf.uint8)],
                 jit_compile=runtime == "xla")
    def forward(pictures):
        return model(tf.cast(pictures, tf.float32), training=False)

    return lambda pictures: forward(pictures).numpy()
