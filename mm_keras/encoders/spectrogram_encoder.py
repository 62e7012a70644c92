"""Convolutional and recurrent encoder of spectrograms."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_positive_ints, check_rank, check_rate
from mm_keras.encoders.conv_stages import ConvStages
from mm_keras.encoders.text_encoder import CELLS, recurrent_layer


@keras.saving.register_keras_serializable(package="mm_keras")
class SpectrogramEncoder(keras.layers.Layer):
    """Reads a log-mel spectrogram by convolutions that shorten it, then by a recurrent layer over time.

    The spectrogram is first normalised per example to mean 0 and variance 1, so that the level of a
    recording does not matter.

    Args:
        filters: list of ints > 0. Filters of each 3x3 convolution; each stage halves time and frequency.
        units: int > 0. Width of the recurrent state.
        cell: "gru" or "lstm".
        bidirectional: bool. Read both ways.
        dropout: float in [0, 1). Dropout before the recurrent layer and on the embedding.

    Call arguments:
        inputs: float tensor `(B, T, F)`.

    Returns: float tensor `(B, 2 * units)`, or `(B, 4 * units)` if bidirectional: mean and largest state.
    Raises: ValueError, if an argument is out of range or the input is not `(B, T, F)`.
    Source: Choi et al. 2017, arXiv:1609.04243 (CRNN), with mean and maximum over time.
    """

    def __init__(self, filters=(32, 64), units=64, cell="gru", bidirectional=False, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.filters = check_positive_ints("SpectrogramEncoder", "filters", filters)
        self.units = check_positive_int("SpectrogramEncoder", "units", units)
        self.cell = check_choice("SpectrogramEncoder", "cell", cell, CELLS)
        self.bidirectional = bidirectional
        self.dropout = check_rate("SpectrogramEncoder", "dropout", dropout)
        dtype = self.dtype_policy
        self.normalize = keras.layers.LayerNormalization(
            axis=(1, 2), center=False, scale=False, dtype="float32", name="normalize"
        )
        self.stages = ConvStages(self.filters, dtype=dtype, name="stages")
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)
        self.recurrent = recurrent_layer(
            cell, units, bidirectional, dtype, "recurrent", return_sequences=True
        )

    def build(self, input_shape):
        check_rank("SpectrogramEncoder", "inputs", input_shape, 3, "Pass spectrograms (B, T, F).")
        self.normalize.build(input_shape)
        self.stages.build((*input_shape, 1))
        _, steps, bins, filters = self.stages.compute_output_shape((*input_shape, 1))
        self.flatten = keras.layers.Reshape((steps, bins * filters), dtype=self.dtype_policy)
        self.recurrent.build((input_shape[0], steps, bins * filters))

    def call(self, inputs, training=None):
        x = self.stages(ops.expand_dims(self.normalize(inputs), axis=-1))
        x = self.recurrent(self.drop(self.flatten(x), training=training), training=training)  # (B, T', D)
        pooled = ops.concatenate([ops.mean(x, axis=1), ops.max(x, axis=1)], axis=-1)
        return self.drop(pooled, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 2 * self.units * (2 if self.bidirectional else 1))

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "units": self.units,
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
        }
