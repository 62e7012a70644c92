"""Decoder from the fused embedding to features or numbers."""

import math

import keras
import numpy as np

from mm_keras.checks import check_positive_int, check_positive_ints, message
from mm_keras.heads.standardized_error import StandardizedError


@keras.saving.register_keras_serializable(package="mm_keras")
class VectorDecoder(keras.layers.Layer):
    """Gives features or numbers, in their own units, by two dense layers.

    Args:
        shape: list of ints > 0. Shape of one example: `[D]`, or `[T, D]`.
        mean: list of floats. Mean of the last axis over train: the decoder learns the standardised values.
        variance: list of floats, likewise.
        units: int > 0. Width of the hidden layer.

    Call arguments:
        inputs: float tensor `(B, D)`.

    Returns: float32 tensor `(B, *shape)`.
    Raises: ValueError, if a size is < 1, or mean and variance are not as wide as the last axis.
    """

    def __init__(self, shape, mean, variance, units=128, **kwargs):
        super().__init__(**kwargs)
        self.shape = check_positive_ints("VectorDecoder", "shape", shape)
        self.units = check_positive_int("VectorDecoder", "units", units)
        self.mean, self.variance = list(mean), list(variance)
        if not len(self.mean) == len(self.variance) == self.shape[-1]:
            received = f"{len(self.mean)} means and {len(self.variance)} variances"
            fix = "Pass the statistics of the training rows."
            raise ValueError(message("VectorDecoder", f"{self.shape[-1]} of each", received, fix))
        dtype = self.dtype_policy
        self.hidden = keras.layers.Dense(units, activation="relu", dtype=dtype, name="hidden")
        self.values = keras.layers.Dense(math.prod(self.shape), dtype=dtype, name="values")
        self.float32 = keras.layers.Activation("linear", dtype="float32")
        self.reshape = keras.layers.Reshape(self.shape, dtype="float32")

    def build(self, input_shape):
        self.hidden.build(input_shape)
        self.values.build((input_shape[0], self.units))

    def call(self, inputs):
        x = self.reshape(self.float32(self.values(self.hidden(inputs))))
        deviation = np.sqrt(np.maximum(self.variance, 1e-12)).astype("float32")
        return x * deviation + np.asarray(self.mean, "float32")

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.shape)

    def get_config(self):
        return {
            **super().get_config(),
            "shape": self.shape,
            "mean": self.mean,
            "variance": self.variance,
            "units": self.units,
        }

    def loss(self):
        return StandardizedError(self.variance)

    def metrics_of_output(self):
        return []
