"""Low-rank tensor fusion: the map of tensor fusion, never holding the tensor."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_ranks


@keras.saving.register_keras_serializable(package="mm_keras")
class LowRankFusion(keras.layers.Layer):
    """Computes `sum_r prod_m (W_m^r [x_m; 1]) + b`, products unit by unit.

    Cost grows with the number of modalities as a sum, not as a product.

    Args:
        units: int > 0. Width `D` of the fused embedding.
        rank: int > 0. Number `R` of terms, the rank of the tensor that they stand for.

    Call arguments:
        inputs: dict of at least two modalities, name -> float tensor `x_m` `(B, D_m)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if an argument is < 1, an input is not `(B, D_m)`, or there is one modality alone.
    Source: Liu et al. 2018, arXiv:1806.00064, section 3.2 (the sum over ranks of the products of the
        modalities' own factors). The authors' code scales each term once more by a learned number, which any
        of its factors can hold, so it is left out here. Factors begin with a deviation that gives the sum
        about the variance of the inputs.
    """

    def __init__(self, units, rank=4, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("LowRankFusion", "units", units)
        self.rank = check_positive_int("LowRankFusion", "rank", rank)

    def build(self, input_shape):
        check_ranks("LowRankFusion", input_shape, 2, "Pool sequences over time first.", at_least=2)
        self.names = sorted(input_shape)
        scale = self.rank ** (-1 / len(self.names))
        self.factors = [
            self.add_weight(
                name=f"{name}_factor",
                shape=(input_shape[name][-1] + 1, self.rank * self.units),
                initializer=keras.initializers.VarianceScaling(scale, mode="fan_in"),
            )
            for name in self.names
        ]
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        product = 1
        for name, factor in zip(self.names, self.factors, strict=True):
            # The factor's last row is that of the constant 1.
            product = product * (ops.matmul(inputs[name], factor[:-1]) + factor[-1])
        terms = ops.reshape(product, (-1, self.rank, self.units))  # (B, R, D)
        return ops.sum(terms, axis=1) + self.bias

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "rank": self.rank}
