"""Reconstruction loss of features and numbers."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="mm_keras")
class StandardizedError(keras.losses.Loss):
    """Mean squared error in units of each column's variance; a missing target (NaN) does not count.

    `y_true` and `y_pred` are float tensors `(B, ..., n)` in the user's own units. 1 is the error of
    always answering with the mean.

    Args:
        variance: list of n floats. Variance of each column over train.
    """

    def __init__(self, variance, **kwargs):
        super().__init__(**{"name": "standardized_error", **kwargs})
        self.variance = list(variance)

    def call(self, y_true, y_pred):
        pred = ops.cast(y_pred, "float32")
        known = ops.equal(y_true, y_true)
        true = ops.where(known, ops.cast(y_true, "float32"), pred)
        scaled = ops.square(true - pred) / np.maximum(self.variance, 1e-12).astype("float32")
        axes = tuple(range(1, len(pred.shape)))
        count = ops.sum(ops.cast(known, "float32"), axis=axes)
        return ops.sum(scaled, axis=axes) / ops.maximum(count, 1.0)

    def get_config(self):
        return {**super().get_config(), "variance": self.variance}
