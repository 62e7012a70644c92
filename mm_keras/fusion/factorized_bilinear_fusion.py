"""Multimodal factorised bilinear pooling (MFB): products of projections, pooled over factors."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_ranks, check_rate
from mm_keras.fusion.compact_bilinear_fusion import signed_sqrt, unit_length


@keras.saving.register_keras_serializable(package="mm_keras")
class FactorizedBilinearFusion(keras.layers.Layer):
    """Computes `sum_k prod_m (U_m x_m + b_m)`, each unit the sum of `factor` products.

    Args:
        units: int > 0. Width `D` of the fused embedding.
        factor: int > 0. Products `k` that are summed into one unit.
        product_dropout: float in [0, 1). Dropout on the products, before their sum.
        signed_sqrt: bool. Take `sign(z) sqrt(|z|)` of the sums, the paper's power normalisation.
        l2: bool. Scale the embedding to an l2 norm of 1 (after the root).

    Call arguments:
        inputs: dict of at least two modalities, name -> float tensor `x_m` `(B, D_m)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if an argument is out of range, an input is not `(B, D_m)`, or there is one modality
        alone.
    Source: Yu et al. 2017, arXiv:1708.01471, section 3 (sum pooling over `k`, dropout, power and l2
        normalisation). The paper has two modalities and no biases; here the product runs over all of them,
        and biases begin at 1, so that an absent modality (zeros) leaves the product of the others. Root and
        norm are smoothed by 1e-6 at 0.
    """

    def __init__(self, units, factor=5, product_dropout=0.0, signed_sqrt=True, l2=True, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("FactorizedBilinearFusion", "units", units)
        self.factor = check_positive_int("FactorizedBilinearFusion", "factor", factor)
        self.product_dropout = check_rate("FactorizedBilinearFusion", "product_dropout", product_dropout)
        self.signed_sqrt = signed_sqrt
        self.l2 = l2
        self.drop = keras.layers.Dropout(product_dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        check_ranks("FactorizedBilinearFusion", input_shape, 2, "Pool sequences over time first.", at_least=2)
        self.names = sorted(input_shape)
        size = self.units * self.factor
        self.kernels = [
            self.add_weight(
                name=f"{name}_kernel", shape=(input_shape[name][-1], size), initializer="lecun_normal"
            )
            for name in self.names
        ]
        self.biases = [
            self.add_weight(name=f"{name}_bias", shape=(size,), initializer="ones") for name in self.names
        ]

    def call(self, inputs, training=None):
        product = 1
        for name, kernel, bias in zip(self.names, self.kernels, self.biases, strict=True):
            product = product * (ops.matmul(inputs[name], kernel) + bias)
        product = self.drop(product, training=training)
        z = ops.sum(ops.reshape(product, (-1, self.units, self.factor)), axis=-1)  # (B, D, k) -> (B, D)
        z = ops.cast(z, "float32")
        z = signed_sqrt(z) if self.signed_sqrt else z
        z = unit_length(z) if self.l2 else z
        return ops.cast(z, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "factor": self.factor,
            "product_dropout": self.product_dropout,
            "signed_sqrt": self.signed_sqrt,
            "l2": self.l2,
        }
