"""Recurrent encoder of a sequence of feature vectors."""

import keras

from mm_keras.checks import check_choice, check_positive_int, check_rank, check_rate
from mm_keras.encoders.step_mask import StepMask
from mm_keras.encoders.text_encoder import CELLS, recurrent_layer
from mm_keras.sequence_pooling import POOLINGS, SequencePooling


@keras.saving.register_keras_serializable(package="mm_keras")
class SequenceEncoder(keras.layers.Layer):
    """Reads a sequence of feature vectors with a recurrent layer; by default its last state is the embedding.

    Args:
        units: int > 0. Width of the recurrent state.
        cell: "gru" or "lstm".
        bidirectional: bool. Read both ways; the embedding is then `2 * units` wide.
        dropout: float in [0, 1). Dropout on the embedding.
        pooling: str. "last": the last state, of each direction. Else what `SequencePooling` makes of all
            states; "mean_max" doubles their width.

    Call arguments:
        inputs: float tensor `(B, T, D)`. Trailing steps of zeros alone are padding and masked, but
            never the first step.

    Returns: float tensor `(B, D)`: `units`, twice that if bidirectional, and twice that with "mean_max".
    Raises: ValueError, if an argument is out of range or the input is not `(B, T, D)`.
    Source: Cho et al. 2014, arXiv:1406.1078 (GRU); Hochreiter and Schmidhuber 1997 (LSTM).
    """

    def __init__(self, units=64, cell="gru", bidirectional=False, dropout=0.0, pooling="last", **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("SequenceEncoder", "units", units)
        self.cell = check_choice("SequenceEncoder", "cell", cell, CELLS)
        self.bidirectional = bidirectional
        self.dropout = check_rate("SequenceEncoder", "dropout", dropout)
        self.pooling = check_choice("SequenceEncoder", "pooling", pooling, POOLINGS)
        dtype, states = self.dtype_policy, pooling != "last"
        self.step_mask = StepMask(dtype="float32", name=f"{self.name}.mask")
        self.recurrent = recurrent_layer(cell, units, bidirectional, dtype, "recurrent", states)
        self.pool = SequencePooling(pooling, dtype=dtype, name="pool") if states else None
        self.drop_state = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, input_shape):
        check_rank("SequenceEncoder", "inputs", input_shape, 3, "Pass sequences (B, T, D).")
        self.recurrent.build(input_shape)
        if self.pool:
            self.pool.build(self.recurrent.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        mask = self.step_mask(inputs)
        x = self.recurrent(inputs, mask=mask, training=training)
        if self.pool:
            x = self.pool(x, mask=mask)
        return self.drop_state(x, training=training)

    def compute_mask(self, inputs, previous_mask):
        return self.step_mask(inputs) if self.pooling == "none" else None

    def compute_output_shape(self, input_shape):
        width = self.units * (2 if self.bidirectional else 1)
        if self.pool is None:
            return (input_shape[0], width)
        return self.pool.compute_output_shape((*input_shape[:2], width))

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
            "pooling": self.pooling,
        }
