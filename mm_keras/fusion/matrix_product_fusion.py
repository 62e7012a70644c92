"""Multiplicative fusion through the outer product of every pair of modalities."""

import itertools

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_ranks


@keras.saving.register_keras_serializable(package="mm_keras")
class MatrixProductFusion(keras.layers.Layer):
    """Computes `relu(sum_{i<j} x_i^T W_ij x_j + sum_i U_i F_i + b)`, with `x_i = P_i F_i + p_i`.

    Args:
        units: int > 0. Width `D` of the fused embedding.
        rank: int > 0. Width `R` of each projection `x_i`; the tensors `W_ij` have `R * R * D` weights.

    Call arguments:
        inputs: dict of at least two modalities, name -> float tensor `F_i` `(B, D_i)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if an argument is < 1, an input is not `(B, D_i)`, or there is one modality alone.
    Source: Jayakumar et al. 2020, "Multiplicative Interactions and Where to Find Them", equation 1,
        taken over every pair, on projections of width `R` so that wide encoders stay affordable.
    """

    def __init__(self, units, rank=16, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("MatrixProductFusion", "units", units)
        self.rank = check_positive_int("MatrixProductFusion", "rank", rank)

    def build(self, input_shape):
        check_ranks("MatrixProductFusion", input_shape, 2, "Pool sequences over time first.", at_least=2)
        self.names = sorted(input_shape)
        self.pairs = list(itertools.combinations(range(len(self.names)), 2))
        widths = [input_shape[name][-1] for name in self.names]
        self.projections = [
            self.add_weight(name=f"{name}_projection", shape=(width, self.rank))
            for name, width in zip(self.names, widths, strict=True)
        ]
        self.offsets = [
            self.add_weight(name=f"{name}_offset", shape=(self.rank,), initializer="zeros")
            for name in self.names
        ]
        products = len(self.pairs) * self.rank**2
        self.product_kernel = self.add_weight(name="product_kernel", shape=(products, self.units))
        self.kernel = self.add_weight(name="kernel", shape=(sum(widths), self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        x = [inputs[name] for name in self.names]
        z = [
            ops.matmul(x_m, projection) + offset
            for x_m, projection, offset in zip(x, self.projections, self.offsets, strict=True)
        ]
        products = [
            ops.reshape(z[i][:, :, None] * z[j][:, None, :], (-1, self.rank**2)) for i, j in self.pairs
        ]
        linear = ops.matmul(ops.concatenate(x, axis=-1), self.kernel)
        bilinear = ops.matmul(ops.concatenate(products, axis=-1), self.product_kernel)
        return ops.relu(bilinear + linear + self.bias)

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "rank": self.rank}
