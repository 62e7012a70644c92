"""Recurrent encoder of token ids."""

import keras

from mm_keras.checks import check_choice, check_positive_int, check_rank, check_rate
from mm_keras.encoders.token_mask import TokenMask
from mm_keras.sequence_pooling import POOLINGS, SequencePooling

CELLS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


def recurrent_layer(cell, units, bidirectional, dtype, name, return_sequences=False):
    """Returns a recurrent layer for sequences `(B, T, D)`: `units` wide, twice that if bidirectional."""
    layer = CELLS[cell](units, return_sequences=return_sequences, dtype=dtype, name=name)
    return keras.layers.Bidirectional(layer, dtype=dtype, name=name) if bidirectional else layer


@keras.saving.register_keras_serializable(package="mm_keras")
class TextEncoder(keras.layers.Layer):
    """Embeds tokens and reads them with a recurrent layer; by default its last state is the embedding.

    Args:
        vocabulary_size: int > 0. Number of token ids `V`; id 0 is padding.
        units: int > 0. Width of the recurrent state.
        embedding: int > 0. Width of a token's embedding.
        cell: "gru" or "lstm".
        bidirectional: bool. Read both ways.
        dropout: float in [0, 1). Dropout on the token embeddings and on the result.
        pooling: str. "last": the last state, of each direction. Else what `SequencePooling` makes of all
            states; "mean_max" doubles their width.

    Call arguments:
        inputs: int tensor `(B, T)`, padded with 0 at the end. Padding is masked, but never the first
            token: an absent text is all zeros, and cuDNN fails on a fully masked sequence.

    Returns: float tensor `(B, D)`: `units`, twice that if bidirectional, and twice that with "mean_max".
    Raises: ValueError, if an argument is out of range or the input is not `(B, T)`.
    Source: Cho et al. 2014, arXiv:1406.1078 (GRU); Hochreiter and Schmidhuber 1997 (LSTM).
    """

    def __init__(
        self,
        vocabulary_size,
        units=64,
        embedding=64,
        cell="gru",
        bidirectional=False,
        dropout=0.0,
        pooling="last",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = check_positive_int("TextEncoder", "vocabulary_size", vocabulary_size)
        self.units = check_positive_int("TextEncoder", "units", units)
        self.embedding = check_positive_int("TextEncoder", "embedding", embedding)
        self.cell = check_choice("TextEncoder", "cell", cell, CELLS)
        self.bidirectional = bidirectional
        self.dropout = check_rate("TextEncoder", "dropout", dropout)
        self.pooling = check_choice("TextEncoder", "pooling", pooling, POOLINGS)
        dtype, states = self.dtype_policy, pooling != "last"
        self.tokens = keras.layers.Embedding(vocabulary_size, embedding, dtype=dtype, name="tokens")
        self.token_mask = TokenMask(dtype="float32", name=f"{self.name}.mask")
        self.drop_tokens = keras.layers.Dropout(dropout, dtype=dtype)
        self.recurrent = recurrent_layer(cell, units, bidirectional, dtype, "recurrent", states)
        self.pool = SequencePooling(pooling, dtype=dtype, name="pool") if states else None
        self.drop_state = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, input_shape):
        check_rank("TextEncoder", "inputs", input_shape, 2, "Pass token ids (B, T).")
        self.tokens.build(input_shape)
        shape = (*input_shape, self.embedding)
        self.recurrent.build(shape)
        if self.pool:
            self.pool.build(self.recurrent.compute_output_shape(shape))

    def call(self, inputs, training=None):
        mask = self.token_mask(inputs)
        x = self.drop_tokens(self.tokens(inputs), training=training)
        x = self.recurrent(x, mask=mask, training=training)
        if self.pool:
            x = self.pool(x, mask=mask)
        return self.drop_state(x, training=training)

    def compute_mask(self, inputs, previous_mask):
        return self.token_mask(inputs) if self.pooling == "none" else None

    def compute_output_shape(self, input_shape):
        width = self.units * (2 if self.bidirectional else 1)
        if self.pool is None:
            return (input_shape[0], width)
        return self.pool.compute_output_shape((*input_shape[:2], width))

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "units": self.units,
            "embedding": self.embedding,
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
            "pooling": self.pooling,
        }
