"""Normalisation of numbers of which some may be missing."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mm_keras")
class StandardizedNumbers(keras.layers.Normalization):
    """Normalises columns of numbers; a missing one (NaN) becomes the mean and is marked.

    Args:
        mean: list of n floats, or None to learn it with `adapt`. Mean of each column over train.
        variance: list of n floats, likewise.

    Call arguments:
        inputs: float tensor `(B, n)`, NaN where a number is missing.

    Returns: float tensor `(B, 2 n)`: the normalised numbers, then 1 where one was missing, else 0.
    """

    def __init__(self, mean=None, variance=None, **kwargs):
        super().__init__(axis=-1, mean=mean, variance=variance, **{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        missing = ops.not_equal(inputs, inputs)
        values = super().call(ops.where(missing, ops.zeros_like(inputs), inputs))
        values = ops.where(missing, ops.zeros_like(values), values)
        return ops.concatenate([values, ops.cast(missing, values.dtype)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2 * input_shape[-1])

    def get_config(self):
        config = super().get_config()
        config.pop("axis")
        config.pop("invert")
        return config
