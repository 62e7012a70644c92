"""MUTAN: a bilinear map whose tensor is a Tucker product with a core of low rank."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_ranks


@keras.saving.register_keras_serializable(package="mm_keras")
class MutanFusion(keras.layers.Layer):
    """Computes `sum_r prod_m (M_m^r q_m)`, with `q_m = tanh(W_m x_m + b_m)` and products unit by unit.

    `W_m` are the Tucker factors, `M_m^r` the core, of rank `R` in each unit.

    Args:
        units: int > 0. Width `D` of the fused embedding.
        width: int > 0. Width of each projection `q_m`.
        rank: int > 0. Rank `R` of the core.

    Call arguments:
        inputs: dict of at least two modalities, name -> float tensor `x_m` `(B, D_m)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if an argument is < 1, an input is not `(B, D_m)`, or there is one modality alone.
    Source: Ben-younes et al. 2017, arXiv:1705.06676, section 3 (Tucker decomposition, and the core as a sum
        of `R` terms of rank 1 in each unit), with the product taken over any number of modalities and with
        biases `b_m`. The paper's last factor `W_o` is the head.
    """

    def __init__(self, units, width=64, rank=5, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("MutanFusion", "units", units)
        self.width = check_positive_int("MutanFusion", "width", width)
        self.rank = check_positive_int("MutanFusion", "rank", rank)

    def build(self, input_shape):
        check_ranks("MutanFusion", input_shape, 2, "Pool sequences over time first.", at_least=2)
        self.names = sorted(input_shape)
        scale = self.rank ** (-1 / len(self.names))  # The sum then has about the variance of its inputs.
        self.kernels, self.biases, self.cores = [], [], []
        for name in self.names:
            self.kernels.append(
                self.add_weight(name=f"{name}_kernel", shape=(input_shape[name][-1], self.width))
            )
            self.biases.append(self.add_weight(name=f"{name}_bias", shape=(self.width,), initializer="zeros"))
            self.cores.append(
                self.add_weight(
                    name=f"{name}_core",
                    shape=(self.width, self.rank * self.units),
                    initializer=keras.initializers.VarianceScaling(scale, mode="fan_in"),
                )
            )

    def call(self, inputs):
        product = 1
        for name, kernel, bias, core in zip(self.names, self.kernels, self.biases, self.cores, strict=True):
            product = product * ops.matmul(ops.tanh(ops.matmul(inputs[name], kernel) + bias), core)
        return ops.sum(ops.reshape(product, (-1, self.rank, self.units)), axis=1)  # (B, R, D) -> (B, D)

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "width": self.width, "rank": self.rank}
