"""Transformer encoder of token ids."""

import keras

from mm_keras.checks import check_choice, check_positive_int, check_rank
from mm_keras.encoders.token_mask import TokenMask
from mm_keras.encoders.transformer_blocks import TransformerBlocks
from mm_keras.sequence_pooling import POOLINGS, SequencePooling


@keras.saving.register_keras_serializable(package="mm_keras")
class TextTransformerEncoder(keras.layers.Layer):
    """Embeds tokens, lets each attend to all of them in transformer blocks, and pools the steps.

    Args:
        vocabulary_size: int > 0. Number of token ids `V`; id 0 is padding.
        units: int > 0. Width of the steps.
        embedding: int > 0. Width of a token's embedding.
        num_heads: int > 0, a divisor of `units`.
        layers: int > 0. Number of blocks.
        dropout: float in [0, 1). Dropout on the steps, within the blocks and on the result.
        pooling: str. What `SequencePooling` makes of the steps; "mean_max" doubles their width.

    Call arguments:
        inputs: int tensor `(B, T)`, padded with 0 at the end. Padding is masked, but never the first token.

    Returns: float tensor `(B, units)`, or `(B, 2 * units)` with "mean_max".
    Raises: ValueError, if an argument is out of range or the input is not `(B, T)`.
    Source: Vaswani et al. 2017, arXiv:1706.03762; see `TransformerBlocks`.
    """

    def __init__(
        self,
        vocabulary_size,
        units=64,
        embedding=64,
        num_heads=4,
        layers=2,
        dropout=0.0,
        pooling="mean",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = check_positive_int(
            "TextTransformerEncoder", "vocabulary_size", vocabulary_size
        )
        self.embedding = check_positive_int("TextTransformerEncoder", "embedding", embedding)
        self.pooling = check_choice("TextTransformerEncoder", "pooling", pooling, POOLINGS)
        dtype = self.dtype_policy
        self.token_mask = TokenMask(dtype="float32", name=f"{self.name}.mask")
        # A deviation as that of the positions that are added; Keras draws them 20 times smaller.
        drawn = keras.initializers.RandomNormal(stddev=1.0)
        self.tokens = keras.layers.Embedding(vocabulary_size, embedding, drawn, dtype=dtype, name="tokens")
        self.blocks = TransformerBlocks(units, num_heads, layers, dropout, dtype=dtype, name="blocks")
        self.units, self.num_heads, self.layers, self.dropout = units, num_heads, layers, dropout
        self.pool = SequencePooling(pooling, dtype=dtype, name="pool")
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, input_shape):
        check_rank("TextTransformerEncoder", "inputs", input_shape, 2, "Pass token ids (B, T).")
        self.tokens.build(input_shape)
        self.blocks.build((*input_shape, self.embedding))
        self.pool.build((*input_shape, self.units))

    def call(self, inputs, training=None):
        mask = self.token_mask(inputs)
        x = self.blocks(self.tokens(inputs), mask=mask, training=training)
        return self.drop(self.pool(x, mask=mask), training=training)

    def compute_mask(self, inputs, previous_mask):
        return self.token_mask(inputs) if self.pooling == "none" else None

    def compute_output_shape(self, input_shape):
        return self.pool.compute_output_shape((*input_shape, self.units))

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "units": self.units,
            "embedding": self.embedding,
            "num_heads": self.num_heads,
            "layers": self.layers,
            "dropout": self.dropout,
            "pooling": self.pooling,
        }
