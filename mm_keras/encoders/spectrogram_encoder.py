"""Convolutional and recurrent encoder of spectrograms."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_positive_ints, check_rank, check_rate
from mm_keras.encoders.conv_stages import HALVINGS, ConvStages
from mm_keras.encoders.halved_mask import HalvedMask, keep_first
from mm_keras.encoders.text_encoder import CELLS, recurrent_layer
from mm_keras.sequence_pooling import POOLINGS, SequencePooling

EPSILON = 1e-3  # Added to a variance, as Keras's own normalisations do.


def normalize(inputs, mask, epsilon=EPSILON):
    """Returns spectrograms `(B, T, F)` with mean 0 and variance 1 each, over what the mask `(B, T)` keeps."""
    x = ops.cast(inputs, "float32")
    kept = ops.ones_like(x[:, :, :1]) if mask is None else ops.cast(mask, "float32")[:, :, None]
    count = ops.sum(kept, axis=(1, 2), keepdims=True) * x.shape[2]
    centred = (x - ops.sum(x * kept, axis=(1, 2), keepdims=True) / count) * kept
    variance = ops.sum(ops.square(centred), axis=(1, 2), keepdims=True) / count
    return centred * ops.rsqrt(variance + epsilon)


@keras.saving.register_keras_serializable(package="mm_keras")
class SpectrogramEncoder(keras.layers.Layer):
    """Reads a log-mel spectrogram by convolutions that shorten it, then by a recurrent layer over time.

    The spectrogram is first normalised per example to mean 0 and variance 1, so that the level of a
    recording does not matter. What a mask hides, the padding at the end, matters nowhere: a sound gives the
    same however far it is padded.

    Args:
        filters: list of ints > 0. Filters of each 3x3 convolution; each stage halves time and frequency.
        units: int > 0. Width of the recurrent state.
        cell: "gru" or "lstm".
        bidirectional: bool. Read both ways.
        dropout: float in [0, 1). Dropout before the recurrent layer and on the embedding.
        pooling: str. What `SequencePooling` makes of the states; "mean_max" doubles their width.
        halving: "pool" or "stride". How a stage of `ConvStages` halves.

    Call arguments:
        inputs: float tensor `(B, T, F)`.
        mask: bool tensor `(B, T)` or None, such as `LogMel` gives. False hides the frames of padding at the
            end; the first frame counts always.

    Returns: float tensor `(B, D)`: `units`, twice that if bidirectional, and twice that with "mean_max".
    Raises: ValueError, if an argument is out of range or the input is not `(B, T, F)`.
    Source: Choi et al. 2017, arXiv:1609.04243 (CRNN), with mean and maximum over time unless told
        otherwise.
    """

    def __init__(
        self,
        filters=(32, 64),
        units=64,
        cell="gru",
        bidirectional=False,
        dropout=0.0,
        pooling="mean_max",
        halving="pool",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = check_positive_ints("SpectrogramEncoder", "filters", filters)
        self.halving = check_choice("SpectrogramEncoder", "halving", halving, HALVINGS)
        self.units = check_positive_int("SpectrogramEncoder", "units", units)
        self.cell = check_choice("SpectrogramEncoder", "cell", cell, CELLS)
        self.bidirectional = bidirectional
        self.dropout = check_rate("SpectrogramEncoder", "dropout", dropout)
        self.pooling = check_choice("SpectrogramEncoder", "pooling", pooling, POOLINGS)
        dtype = self.dtype_policy
        self.stages = ConvStages(self.filters, halving, dtype=dtype, name="stages")
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)
        self.recurrent = recurrent_layer(
            cell, units, bidirectional, dtype, "recurrent", return_sequences=True
        )
        self.pool = SequencePooling(pooling, dtype=dtype, name="pool")
        self.halved_mask = HalvedMask(len(self.filters), dtype="float32", name=f"{self.name}.mask")

    def build(self, input_shape):
        check_rank("SpectrogramEncoder", "inputs", input_shape, 3, "Pass spectrograms (B, T, F).")
        self.stages.build((*input_shape, 1))
        _, steps, bins, filters = self.stages.compute_output_shape((*input_shape, 1))
        self.flatten = keras.layers.Reshape((-1, bins * filters), dtype=self.dtype_policy)
        self.recurrent.build((input_shape[0], steps, bins * filters))
        self.pool.build((input_shape[0], steps, self._width))

    def call(self, inputs, mask=None, training=None):
        mask = keep_first(mask)
        x = ops.cast(normalize(inputs, mask), self.compute_dtype)[..., None]
        x = self.flatten(self.stages(x, mask=mask))
        mask = None if mask is None else self.halved_mask(mask)
        # What is read from the beginning on has heard nothing of the padding behind.
        hidden = {"mask": mask} if self.bidirectional else {}
        x = self.recurrent(self.drop(x, training=training), training=training, **hidden)  # (B, T', D)
        return self.drop(self.pool(x, mask=mask), training=training)

    def compute_mask(self, inputs, previous_mask):
        return None if previous_mask is None or self.pooling != "none" else self.halved_mask(previous_mask)

    def compute_output_shape(self, input_shape):
        steps = self.stages.compute_output_shape((*input_shape, 1))[1]
        return self.pool.compute_output_shape((input_shape[0], steps, self._width))

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "halving": self.halving,
            "units": self.units,
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
            "pooling": self.pooling,
        }

    @property
    def _width(self):
        return self.units * (2 if self.bidirectional else 1)
