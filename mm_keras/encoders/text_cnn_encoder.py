"""Convolutional encoder of token ids."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_positive_ints, check_rank, check_rate
from mm_keras.encoders.token_mask import TokenMask
from mm_keras.sequence_pooling import POOLINGS, SequencePooling


@keras.saving.register_keras_serializable(package="mm_keras")
class TextCnnEncoder(keras.layers.Layer):
    """Embeds tokens, convolves windows of several widths over them, and pools each filter over the text.

    Args:
        vocabulary_size: int > 0. Number of token ids `V`; id 0 is padding.
        units: int > 0. Filters of each width.
        embedding: int > 0. Width of a token's embedding.
        windows: list of ints > 0. Widths of the windows (tokens).
        dropout: float in [0, 1). Dropout on the token embeddings and on the result.
        pooling: str. What `SequencePooling` makes of the filters' steps; "mean_max" doubles their width.

    Call arguments:
        inputs: int tensor `(B, T)`, padded with 0 at the end. Padding is masked, but never the first token.

    Returns: float tensor `(B, D)`: `units * len(windows)`, twice that with "mean_max".
    Raises: ValueError, if an argument is out of range or the input is not `(B, T)`.
    Source: Kim 2014, arXiv:1408.5882, with one embedding, learned from the start; a window lies around each
        token and may reach beyond the ends, so that a text may be shorter than it.
    """

    def __init__(
        self,
        vocabulary_size,
        units=64,
        embedding=64,
        windows=(3, 4, 5),
        dropout=0.0,
        pooling="max",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = check_positive_int("TextCnnEncoder", "vocabulary_size", vocabulary_size)
        self.units = check_positive_int("TextCnnEncoder", "units", units)
        self.embedding = check_positive_int("TextCnnEncoder", "embedding", embedding)
        self.windows = check_positive_ints("TextCnnEncoder", "windows", windows)
        self.dropout = check_rate("TextCnnEncoder", "dropout", dropout)
        self.pooling = check_choice("TextCnnEncoder", "pooling", pooling, POOLINGS)
        dtype = self.dtype_policy
        self.token_mask = TokenMask(dtype="float32", name=f"{self.name}.mask")
        self.tokens = keras.layers.Embedding(vocabulary_size, embedding, dtype=dtype, name="tokens")
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)
        self.convs = [
            keras.layers.Conv1D(
                units, size, padding="same", activation="relu", dtype=dtype, name=f"window_{i}"
            )
            for i, size in enumerate(self.windows)
        ]
        self.pool = SequencePooling(pooling, dtype=dtype, name="pool")

    def build(self, input_shape):
        check_rank("TextCnnEncoder", "inputs", input_shape, 2, "Pass token ids (B, T).")
        self.tokens.build(input_shape)
        for conv in self.convs:
            conv.build((*input_shape, self.embedding))
        self.pool.build((*input_shape, self.units * len(self.windows)))

    def call(self, inputs, training=None):
        mask = self.token_mask(inputs)
        x = self.drop(self.tokens(inputs), training=training)
        x = x * ops.cast(mask, x.dtype)[:, :, None]
        x = ops.concatenate([conv(x) for conv in self.convs], axis=-1)  # (B, T, D)
        return self.drop(self.pool(x, mask=mask), training=training)

    def compute_mask(self, inputs, previous_mask):
        return self.token_mask(inputs) if self.pooling == "none" else None

    def compute_output_shape(self, input_shape):
        return self.pool.compute_output_shape((*input_shape, self.units * len(self.windows)))

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "units": self.units,
            "embedding": self.embedding,
            "windows": self.windows,
            "dropout": self.dropout,
            "pooling": self.pooling,
        }
