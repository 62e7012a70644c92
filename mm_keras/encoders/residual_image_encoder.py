"""Residual encoder of images."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_positive_ints, check_rank, check_rate
from mm_keras.encoders.residual_stages import ResidualStages


@keras.saving.register_keras_serializable(package="mm_keras")
class ResidualImageEncoder(keras.layers.Layer):
    """Reads an image by stages of residual blocks, averages the last map, and ends in one dense layer.

    Or it gives every place of the last map, row by row from the top, for a fusion that attends to them.

    Args:
        filters: list of ints > 0. Channels of each stage; each halves height and width.
        blocks: int > 0. Residual blocks of each stage.
        units: int > 0. Width of the embedding.
        dropout: float in [0, 1). Dropout within the blocks, and before and after the dense layer.
        pooling: "mean" or "none". "none": the dense layer reads each place of the last map alone.

    Call arguments:
        inputs: float tensor `(B, H, W, C)`, pixels in 0 to 255.

    Returns: float tensor `(B, units)`; with "none" `(B, H' W', units)`, `H' = ceil(H / 2^n)` for n stages.
    Raises: ValueError, if an argument is out of range or the input is not `(B, H, W, C)`.
    Source: He et al. 2016, arXiv:1512.03385 and arXiv:1603.05027.
    """

    def __init__(self, filters=(32, 64), blocks=1, units=128, dropout=0.0, pooling="mean", **kwargs):
        super().__init__(**kwargs)
        self.filters = check_positive_ints("ResidualImageEncoder", "filters", filters)
        self.blocks = check_positive_int("ResidualImageEncoder", "blocks", blocks)
        self.units = check_positive_int("ResidualImageEncoder", "units", units)
        self.dropout = check_rate("ResidualImageEncoder", "dropout", dropout)
        self.pooling = check_choice("ResidualImageEncoder", "pooling", pooling, ("mean", "none"))
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
        x = self.stages(self.scale(inputs), training=training)
        if self.pooling == "none":
            x = ops.reshape(x, (-1, x.shape[1] * x.shape[2], x.shape[3]))  # (B, H' W', D)
        else:
            x = ops.mean(x, axis=(1, 2))  # (B, D)
        return self.drop(self.dense(self.drop(x, training=training)), training=training)

    def compute_output_shape(self, input_shape):
        if self.pooling == "mean":
            return (input_shape[0], self.units)
        _, height, width, _ = self.stages.compute_output_shape(input_shape)
        return (input_shape[0], height * width, self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "blocks": self.blocks,
            "units": self.units,
            "dropout": self.dropout,
            "pooling": self.pooling,
        }
