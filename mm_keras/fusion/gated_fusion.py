"""Gated fusion: weigh each modality per example, then add."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_ranks


@keras.saving.register_keras_serializable(package="mm_keras")
class GatedFusion(keras.layers.Layer):
    """Adds projected modalities, each scaled by a learned softmax gate.

    Args:
        units: int > 0. Width `D` of the fused embedding.

    Call arguments:
        inputs: dict, modality name -> float tensor `(B, D_m)`.

    Returns: float tensor `(B, D)`. The gates are unitless and sum to 1.
    Raises: ValueError, if `units` < 1 or an input is not `(B, D_m)`.
    Source: Arevalo et al. 2017, arXiv:1702.01992, with scalar softmax gates and with biases.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("GatedFusion", "units", units)

    def build(self, input_shape):
        check_ranks("GatedFusion", input_shape, 2, "Pool sequences over time first.")
        self.names = sorted(input_shape)  # The key order of SavedModel and TFLite.
        widths = [input_shape[name][-1] for name in self.names]
        self.gate = self.add_weight(name="gate", shape=(sum(widths), len(widths)))
        self.gate_bias = self.add_weight(name="gate_bias", shape=(len(widths),), initializer="zeros")
        self.kernels = [
            self.add_weight(name=f"{name}_kernel", shape=(width, self.units))
            for name, width in zip(self.names, widths, strict=True)
        ]
        self.biases = [
            self.add_weight(name=f"{name}_bias", shape=(self.units,), initializer="zeros")
            for name in self.names
        ]

    def call(self, inputs):
        x = [inputs[name] for name in self.names]
        gates = ops.softmax(ops.matmul(ops.concatenate(x, axis=-1), self.gate) + self.gate_bias)  # (B, M)
        hidden = [
            ops.tanh(ops.matmul(x_m, kernel) + bias)
            for x_m, kernel, bias in zip(x, self.kernels, self.biases, strict=True)
        ]
        return sum(gates[:, i : i + 1] * h for i, h in enumerate(hidden))

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}
