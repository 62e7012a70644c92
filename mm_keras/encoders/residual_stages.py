"""Stages of residual blocks."""

import keras

from mm_keras.checks import check_positive_int, check_positive_ints, check_rank, check_rate
from mm_keras.encoders.conv_stages import hide
from mm_keras.encoders.halved_mask import halve_mask
from mm_keras.encoders.residual_block import ResidualBlock


@keras.saving.register_keras_serializable(package="mm_keras")
class ResidualStages(keras.layers.Layer):
    """Applies a 3x3 convolution, stages of residual blocks, and a last ReLU.

    Args:
        filters: list of ints > 0. Channels of each stage; each halves both axes, rounded up.
        blocks: int > 0. Residual blocks of each stage.
        dropout: float in [0, 1). Dropout within each block.

    Call arguments:
        inputs: float tensor `(B, H, W, C)`.
        mask: bool tensor `(B, H)` or None. False hides the rows of padding at the end: they are zeros in
            every stage, so that the rest does not depend on how many they are.

    Returns: float tensor `(B, ceil(H / 2^n), ceil(W / 2^n), filters[-1])` for n stages.
    Raises: ValueError, if an argument is out of range or the input is not `(B, H, W, C)`.
    Source: He et al. 2016, arXiv:1512.03385 and arXiv:1603.05027.
    """

    def __init__(self, filters, blocks=1, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.filters = check_positive_ints("ResidualStages", "filters", filters)
        self.blocks = check_positive_int("ResidualStages", "blocks", blocks)
        self.dropout = check_rate("ResidualStages", "dropout", dropout)
        dtype = self.dtype_policy
        self.stem = keras.layers.Conv2D(
            self.filters[0], 3, padding="same", kernel_initializer="he_normal", dtype=dtype, name="stem"
        )
        self.stack = [
            ResidualBlock(size, i == 0, dropout, dtype=dtype, name=f"stage_{stage}_block_{i}")
            for stage, size in enumerate(self.filters)
            for i in range(self.blocks)
        ]
        self.relu = keras.layers.ReLU(dtype=dtype)

    def build(self, input_shape):
        check_rank("ResidualStages", "inputs", input_shape, 4, "Pass maps (B, H, W, C).")
        self.stem.build(input_shape)
        shape = (*input_shape[:3], self.filters[0])
        for block in self.stack:
            block.build(shape)
            shape = block.compute_output_shape(shape)

    def call(self, inputs, mask=None, training=None):
        x = self.stem(hide(inputs, mask))
        for block in self.stack:
            x = block(x, mask=mask, training=training)
            mask = halve_mask(mask) if block.halve else mask
        return hide(self.relu(x), mask)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, input_shape):
        shape = (*input_shape[:3], self.filters[0])
        for block in self.stack:
            shape = block.compute_output_shape(shape)
        return shape

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "blocks": self.blocks,
            "dropout": self.dropout,
        }
