"""Residual encoder of images."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_positive_ints, check_rank, check_rate
from mm_keras.encoders.residual_stages import ResidualStages


@keras.saving.register_keras_serializable(package="mm_keras")
class ResidualImageEncoder(keras.layers.Layer):
    """Reads an image by stages of residual blocks, averages the last map, and ends in one dense layer.

    Args:
        filters: list of ints > 0. Channels of each stage; each halves height and width.
        blocks: int > 0. Residual blocks of each stage.
        units: int > 0. Width of the embedding.
        dropout: float in [0, 1). Dropout within the blocks, and before and after the dense layer.

    Call arguments:
        inputs: float tensor `(B, H, W, C)`, pixels in 0 to 255.

    Returns: float tensor `(B, units)`.
    Raises: ValueError, if an argument is out of range or the input is not `(B, H, W, C)`.
    Source: He et al. 2016, arXiv:1512.03385 and arXiv:1603.05027.
    """

    def __init__(self, filters=(32, 64), blocks=1, units=128, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.filters = check_positive_ints("ResidualImageEncoder", "filters", filters)
        self.blocks = check_positive_int("ResidualImageEncoder", "blocks", blocks)
        self.units = check_positive_int("ResidualImageEncoder", "units", units)
        self.dropout = check_rate("ResidualImageEncoder", "dropout", dropout)
        dtype = self.dtype_policy
        self.scale = keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype=dtype)
        self.stages = ResidualStages(self.filters, blocks, dropout, dtype=dtype, name="stages")
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)
        self.dense = keras.layers.Dense(units, activation="relu", dtype=dtype, name="dense")

    def build(self, input_shape):
        check_rank("ResidualImageEncoder", "inputs", input_shape, 4, "Pass images (B, H, W, C).")
        self.stages.build(input_shape)
        self.dense.build((input_shape[0], self.filters[-1]))

    def call(self, inputs, training=None):
        x = ops.mean(self.stages(self.scale(inputs), training=training), axis=(1, 2))  # (B, D)
        return self.drop(self.dense(self.drop(x, training=training)), training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "blocks": self.blocks,
            "units": self.units,
            "dropout": self.dropout,
        }
