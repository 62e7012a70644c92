"""Regression from the fused embedding: numbers in their own units."""

import keras
import numpy as np

from mm_keras.checks import check_choice, message
from mm_keras.heads.standardized_error import ERRORS, StandardizedError


@keras.saving.register_keras_serializable(package="mm_keras")
class Regressor(keras.layers.Layer):
    """Gives numbers in the target's own units: mean + deviation * what one dense layer answers.

    Args:
        mean: list of n floats. Mean of each target column over train: the layer learns standardised values.
        variance: list of n floats, likewise.
        error: "huber", "mse" or "mae". What the loss makes of a standardised error; see `StandardizedError`.

    Call arguments:
        inputs: float tensor `(B, D)`.

    Returns: float32 tensor `(B, n)`.
    Raises: ValueError, if mean and variance are empty or not equally long, or `error` is none of the three.
    """

    def __init__(self, mean, variance, error="huber", **kwargs):
        super().__init__(**kwargs)
        self.mean, self.variance = list(mean), list(variance)
        self.error = check_choice("Regressor", "error", error, ERRORS)
        if not 1 <= len(self.mean) == len(self.variance):
            received = f"{len(self.mean)} means and {len(self.variance)} variances"
            fix = "Pass the statistics of the training rows."
            raise ValueError(message("Regressor", "one of each for each target column", received, fix))
        self.values = keras.layers.Dense(len(self.mean), dtype=self.dtype_policy, name="values")
        self.float32 = keras.layers.Activation("linear", dtype="float32")

    def build(self, input_shape):
        self.values.build(input_shape)

    def call(self, inputs):
        deviation = np.sqrt(np.maximum(self.variance, 1e-12)).astype("float32")
        return self.float32(self.values(inputs)) * deviation + np.asarray(self.mean, "float32")

    def compute_output_shape(self, input_shape):
        return (input_shape[0], len(self.mean))

    def get_config(self):
        return {
            **super().get_config(),
            "mean": self.mean,
            "variance": self.variance,
            "error": self.error,
        }

    def loss(self):
        return StandardizedError(self.variance, self.error)

    def metrics_of_output(self):
        return [keras.metrics.MeanAbsoluteError(name="mae"), keras.metrics.RootMeanSquaredError(name="rmse")]
