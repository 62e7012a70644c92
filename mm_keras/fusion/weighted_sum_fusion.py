"""Weighted sum of modalities under an activation."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_ranks


@keras.saving.register_keras_serializable(package="mm_keras")
class WeightedSumFusion(keras.layers.Layer):
    """Computes `sigma(sum_i w_i F_i + b)` over the projected modalities `F_i`.

    Args:
        units: int > 0. Width `D` of the fused embedding.
        weights: "scalar" (one `w_i` a modality) or "vector" (one a modality and unit).
        activation: str. `sigma`, the name of a Keras activation.

    Call arguments:
        inputs: dict, modality name -> float tensor `(B, D_m)`, each projected to `F_i` `(B, D)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if an argument is out of range or an input is not `(B, D_m)`.
    Source: sigma(sum_i w_i F_i + b), with a projection so that the widths may differ; `w_i` begins at 1.
    """

    def __init__(self, units, weights="scalar", activation="sigmoid", **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("WeightedSumFusion", "units", units)
        self.weights_per = check_choice("WeightedSumFusion", "weights", weights, ("scalar", "vector"))
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        check_ranks("WeightedSumFusion", input_shape, 2, "Pool sequences over time first.")
        self.names = sorted(input_shape)
        width = 1 if self.weights_per == "scalar" else self.units
        self.kernels = [
            self.add_weight(name=f"{name}_kernel", shape=(input_shape[name][-1], self.units))
            for name in self.names
        ]
        self.scales = [
            self.add_weight(name=f"{name}_weight", shape=(width,), initializer="ones") for name in self.names
        ]
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        terms = [
            scale * ops.matmul(inputs[name], kernel)
            for name, scale, kernel in zip(self.names, self.scales, self.kernels, strict=True)
        ]
        return self.activation(sum(terms) + self.bias)

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "weights": self.weights_per,
            "activation": keras.activations.serialize(self.activation),
        }
