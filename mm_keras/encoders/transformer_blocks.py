"""Transformer blocks over a masked sequence."""

import keras

from mm_keras.attention_block import AttentionBlock, sinusoids
from mm_keras.checks import check_division, check_positive_int, check_rank, check_rate


@keras.saving.register_keras_serializable(package="mm_keras")
class TransformerBlocks(keras.layers.Layer):
    """Projects steps, adds sines and cosines of their places, and applies pre-norm transformer blocks.

    Args:
        units: int > 0. Width `D` of the steps.
        num_heads: int > 0, a divisor of `units`.
        layers: int > 0. Number of blocks.
        dropout: float in [0, 1). Dropout on the projected steps and within each block.

    Call arguments:
        inputs: float tensor `(B, T, C)`.
        mask: bool tensor `(B, T)` or None. False hides a step, to which no other attends.

    Returns: float tensor `(B, T, units)`, normalised. What stands at hidden steps means nothing.
    Raises: ValueError, if an argument is out of range or the input is not `(B, T, C)`.
    Source: Vaswani et al. 2017, arXiv:1706.03762, with the norm before each part (Xiong et al. 2020,
        arXiv:2002.04745) and one after the last block.
    """

    def __init__(self, units=64, num_heads=4, layers=2, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("TransformerBlocks", "units", units)
        self.num_heads = check_division("TransformerBlocks", "num_heads", num_heads, "units", units)
        self.layers = check_positive_int("TransformerBlocks", "layers", layers)
        self.dropout = check_rate("TransformerBlocks", "dropout", dropout)
        dtype = self.dtype_policy
        self.project = keras.layers.Dense(units, dtype=dtype, name="project")
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)
        self.blocks = [
            AttentionBlock(units, num_heads, dropout, dtype=dtype, name=f"block_{i}") for i in range(layers)
        ]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=dtype, name="norm")

    def build(self, input_shape):
        check_rank("TransformerBlocks", "inputs", input_shape, 3, "Pass sequences (B, T, C).")
        self.project.build(input_shape)
        # A length that is not known: a block that is built for one step has no queries and keys.
        shape = (input_shape[0], None, self.units)
        for block in self.blocks:
            block.build(shape)
        self.norm.build(shape)

    def call(self, inputs, mask=None, training=None):
        x = self.project(inputs)
        x = self.drop(x + keras.ops.cast(sinusoids(x), x.dtype), training=training)
        for block in self.blocks:
            x = block(x, mask=mask, training=training)
        return self.norm(x)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "num_heads": self.num_heads,
            "layers": self.layers,
            "dropout": self.dropout,
        }
