"""Which tokens of a text are no padding."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mm_keras")
class TokenMask(keras.layers.Layer):
    """Tells which tokens are no padding; the first one never is.

    Call arguments:
        inputs: int tensor `(B, T)`, padded with 0 at the end.

    Returns: bool tensor `(B, T)`.
    """

    def call(self, inputs):
        return ops.logical_or(ops.not_equal(inputs, 0), ops.arange(ops.shape(inputs)[1]) < 1)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, dtype="bool")
