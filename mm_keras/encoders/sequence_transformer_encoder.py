"""Transformer encoder of a sequence of feature vectors."""

import keras

from mm_keras.checks import check_choice, check_rank
from mm_keras.encoders.step_mask import StepMask
from mm_keras.encoders.transformer_blocks import TransformerBlocks
from mm_keras.sequence_pooling import POOLINGS, SequencePooling


@keras.saving.register_keras_serializable(package="mm_keras")
class SequenceTransformerEncoder(keras.layers.Layer):
    """Lets each feature vector of a sequence attend to all of them in transformer blocks, and pools them.

    Args:
        units: int > 0. Width of the steps.
        num_heads: int > 0, a divisor of `units`.
        layers: int > 0. Number of blocks.
        dropout: float in [0, 1). Dropout on the steps, within the blocks and on the result.
        pooling: str. What `SequencePooling` makes of the steps; "mean_max" doubles their width.

    Call arguments:
        inputs: float tensor `(B, T, D)`. Trailing steps of zeros alone are padding and masked, but
            never the first step.

    Returns: float tensor `(B, units)`, or `(B, 2 * units)` with "mean_max".
    Raises: ValueError, if an argument is out of range or the input is not `(B, T, D)`.
    Source: Vaswani et al. 2017, arXiv:1706.03762; see `TransformerBlocks`.
    """

    def __init__(self, units=64, num_heads=4, layers=2, dropout=0.0, pooling="mean", **kwargs):
        super().__init__(**kwargs)
        self.pooling = check_choice("SequenceTransformerEncoder", "pooling", pooling, POOLINGS)
        dtype = self.dtype_policy
        self.step_mask = StepMask(dtype="float32", name=f"{self.name}.mask")
        self.blocks = TransformerBlocks(units, num_heads, layers, dropout, dtype=dtype, name="blocks")
        self.units, self.num_heads, self.layers, self.dropout = units, num_heads, layers, dropout
        self.pool = SequencePooling(pooling, dtype=dtype, name="pool")
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, input_shape):
        check_rank("SequenceTransformerEncoder", "inputs", input_shape, 3, "Pass sequences (B, T, D).")
        self.blocks.build(input_shape)
        self.pool.build((*input_shape[:2], self.units))

    def call(self, inputs, training=None):
        mask = self.step_mask(inputs)
        x = self.blocks(inputs, mask=mask, training=training)
        return self.drop(self.pool(x, mask=mask), training=training)

    def compute_mask(self, inputs, previous_mask):
        return self.step_mask(inputs) if self.pooling == "none" else None

    def compute_output_shape(self, input_shape):
        return self.pool.compute_output_shape((*input_shape[:2], self.units))

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "num_heads": self.num_heads,
            "layers": self.layers,
            "dropout": self.dropout,
            "pooling": self.pooling,
        }
