"""Loss of features and numbers, reconstructed or learned as a target."""

import keras
import numpy as np
from keras import ops

from mm_keras.checks import check_choice

ERRORS = ("mse", "mae", "huber")


@keras.saving.register_keras_serializable(package="mm_keras")
class StandardizedError(keras.losses.Loss):
    """Mean error in units of each column's deviation; a missing target (NaN) does not count.

    `y_true` and `y_pred` are float tensors `(B, ..., n)` in the user's own units. Of `error="mse"`, 1 is the
    error of always answering with the mean.

    Args:
        variance: list of n floats. Variance of each column over train.
        error: "mse", the square; "mae", the absolute value; or "huber", half the square up to one deviation
            and rising straight from there, so that a few wild targets do not rule.

    Source: Huber 1964, doi:10.1214/aoms/1177703732, with its constant at one deviation.
    """

    def __init__(self, variance, error="mse", **kwargs):
        super().__init__(**{"name": "standardized_error", **kwargs})
        self.variance = list(variance)
        self.error = check_choice("StandardizedError", "error", error, ERRORS)

    def call(self, y_true, y_pred):
        pred = ops.cast(y_pred, "float32")
        known = ops.equal(y_true, y_true)
        true = ops.where(known, ops.cast(y_true, "float32"), pred)
        # Scaled before it is squared: the square of a large unit is beyond float32.
        scaled = (true - pred) / np.sqrt(np.maximum(self.variance, 1e-12)).astype("float32")
        axes = tuple(range(1, len(pred.shape)))
        count = ops.sum(ops.cast(known, "float32"), axis=axes)
        return ops.sum(self._measure(scaled), axis=axes) / ops.maximum(count, 1.0)

    def get_config(self):
        return {**super().get_config(), "variance": self.variance, "error": self.error}

    def _measure(self, scaled):
        if self.error == "mse":
            return ops.square(scaled)
        size = ops.abs(scaled)
        if self.error == "mae":
            return size
        near = ops.minimum(size, 1.0)
        return near * (size - 0.5 * near)
