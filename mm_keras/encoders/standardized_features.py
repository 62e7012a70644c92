"""Normalisation of feature vectors and of padded sequences of them."""

import keras
from keras import ops


def steps_before_padding(inputs):
    """Returns which steps of `(B, T, D)` are no padding, bool `(B, T)`.

    Padding is what follows the last step that is not all zeros; the first step is never padding.
    """
    filled = ops.cast(ops.any(ops.not_equal(inputs, 0), axis=-1), "int32")  # (B, T)
    follows = ops.flip(ops.cumsum(ops.flip(filled, axis=1), axis=1), axis=1)
    return ops.logical_or(follows > 0, ops.arange(ops.shape(inputs)[1]) < 1)


@keras.saving.register_keras_serializable(package="mm_keras")
class StandardizedFeatures(keras.layers.Normalization):
    """Normalises feature vectors; the padding of a sequence stays zero.

    Args:
        mean: list of D floats, or None to learn it with `adapt`. Mean of each feature over train.
        variance: list of D floats, likewise.

    Call arguments:
        inputs: float tensor `(B, D)` or `(B, T, D)`. Trailing steps of zeros alone are padding.

    Returns: float32 tensor of the same shape.
    """

    def __init__(self, mean=None, variance=None, **kwargs):
        super().__init__(axis=-1, mean=mean, variance=variance, **{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        values = super().call(inputs)
        if len(inputs.shape) < 3:
            return values
        return ops.where(steps_before_padding(inputs)[:, :, None], values, ops.zeros_like(values))

    def get_config(self):
        config = super().get_config()
        config.pop("axis")
        config.pop("invert")
        return config
