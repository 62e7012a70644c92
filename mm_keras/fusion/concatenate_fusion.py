"""Concatenation of modalities and one dense layer."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_ranks


@keras.saving.register_keras_serializable(package="mm_keras")
class ConcatenateFusion(keras.layers.Layer):
    """Concatenates the modalities, sorted by name, and applies one dense layer with ReLU.

    Args:
        units: int > 0. Width `D` of the fused embedding.

    Call arguments:
        inputs: dict, modality name -> float tensor `(B, D_m)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if `units` < 1 or an input is not `(B, D_m)`.
    Source: Baltrusaitis et al. 2019, arXiv:1705.09406, section 6.1 (early fusion of representations).
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("ConcatenateFusion", "units", units)

    def build(self, input_shape):
        check_ranks("ConcatenateFusion", input_shape, 2, "Pool sequences over time first.")
        self.names = sorted(input_shape)
        width = sum(input_shape[name][-1] for name in self.names)
        self.kernel = self.add_weight(name="kernel", shape=(width, self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        x = ops.concatenate([inputs[name] for name in self.names], axis=-1)
        return ops.relu(ops.matmul(x, self.kernel) + self.bias)

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}
