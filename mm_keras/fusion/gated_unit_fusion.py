"""Gated multimodal unit: a sigmoid gate for each unit of each modality."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_ranks


@keras.saving.register_keras_serializable(package="mm_keras")
class GatedUnitFusion(keras.layers.Layer):
    """Computes `sum_m z_m * tanh(W_m x_m + b_m)`, with gates `z_m = sigmoid(V_m [x_1; ...; x_M] + c_m)`.

    `GatedFusion` has one softmax gate a modality; here each unit of each modality has its own gate, and
    gates do not compete.

    Args:
        units: int > 0. Width `D` of the fused embedding.

    Call arguments:
        inputs: dict of at least one modality, name -> float tensor `x_m` `(B, D_m)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if `units` < 1 or an input is not `(B, D_m)`.
    Source: Arevalo et al. 2017, arXiv:1702.01992, figure 2a (the unit for any number of modalities; figure 2b
        ties the gates of two). The biases `b_m` and `c_m` are added here.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("GatedUnitFusion", "units", units)

    def build(self, input_shape):
        check_ranks("GatedUnitFusion", input_shape, 2, "Pool sequences over time first.")
        self.names = sorted(input_shape)
        widths = [input_shape[name][-1] for name in self.names]
        self.kernels = [
            self.add_weight(name=f"{name}_kernel", shape=(width, self.units))
            for name, width in zip(self.names, widths, strict=True)
        ]
        self.biases = [
            self.add_weight(name=f"{name}_bias", shape=(self.units,), initializer="zeros")
            for name in self.names
        ]
        gates = len(self.names) * self.units
        self.gate = self.add_weight(name="gate", shape=(sum(widths), gates))
        self.gate_bias = self.add_weight(name="gate_bias", shape=(gates,), initializer="zeros")

    def call(self, inputs):
        x = [inputs[name] for name in self.names]
        gates = ops.sigmoid(ops.matmul(ops.concatenate(x, axis=-1), self.gate) + self.gate_bias)
        hidden = [
            ops.tanh(ops.matmul(x_m, kernel) + bias)
            for x_m, kernel, bias in zip(x, self.kernels, self.biases, strict=True)
        ]
        gated = gates * ops.concatenate(hidden, axis=-1)
        return ops.sum(ops.reshape(gated, (-1, len(x), self.units)), axis=1)  # (B, M, D) -> (B, D)

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}
