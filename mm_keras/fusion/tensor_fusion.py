"""Tensor fusion: the outer product of all modalities, each with a constant 1."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_ranks, message, product_fault


@keras.saving.register_keras_serializable(package="mm_keras")
class TensorFusion(keras.layers.Layer):
    """Computes `relu(W vec([z_1; 1] x ... x [z_M; 1]))`, with `z_m = P_m x_m + p_m` and outer products `x`.

    The constants keep every modality alone, and every product of some of them, beside the product of all.

    Args:
        units: int > 0. Width `D` of the fused embedding.
        width: int > 0. Width of each projection `z_m`; the product has `(width + 1) ** M` numbers.

    Call arguments:
        inputs: dict of at least two modalities, name -> float tensor `x_m` `(B, D_m)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if an argument is < 1, an input is not `(B, D_m)`, there is one modality alone, or
        the product has more than 2 ** 18 numbers.
    Source: Zadeh et al. 2017, arXiv:1707.07250, section 4.2 (tensor fusion layer), which multiplies the
        embeddings whole. Here they are projected first, so that the product stays affordable, and one dense
        layer stands for the paper's inference network; the product's constant 1 carries its bias.
    """

    def __init__(self, units, width=16, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("TensorFusion", "units", units)
        self.width = check_positive_int("TensorFusion", "width", width)

    def build(self, input_shape):
        check_ranks("TensorFusion", input_shape, 2, "Pool sequences over time first.", at_least=2)
        self.names = sorted(input_shape)
        fault = product_fault(self.width, len(self.names))
        if fault:
            raise ValueError(message("TensorFusion", *fault))
        self.projections = [
            self.add_weight(name=f"{name}_projection", shape=(input_shape[name][-1], self.width))
            for name in self.names
        ]
        self.offsets = [
            self.add_weight(name=f"{name}_offset", shape=(self.width,), initializer="zeros")
            for name in self.names
        ]
        size = (self.width + 1) ** len(self.names)
        self.kernel = self.add_weight(name="kernel", shape=(size, self.units))

    def call(self, inputs):
        product = None
        for name, projection, offset in zip(self.names, self.projections, self.offsets, strict=True):
            z = ops.matmul(inputs[name], projection) + offset
            z = ops.concatenate([z, ops.ones_like(z[:, :1])], axis=-1)
            if product is not None:
                size = product.shape[-1] * (self.width + 1)
                z = ops.reshape(product[:, :, None] * z[:, None, :], (-1, size))
            product = z
        return ops.relu(ops.matmul(product, self.kernel))

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "width": self.width}
