"""Residual encoder of spectrograms."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_positive_ints, check_rank, check_rate
from mm_keras.encoders.halved_mask import HalvedMask, keep_first
from mm_keras.encoders.residual_stages import ResidualStages
from mm_keras.encoders.spectrogram_encoder import normalize
from mm_keras.sequence_pooling import POOLINGS, SequencePooling


@keras.saving.register_keras_serializable(package="mm_keras")
class ResidualSpectrogramEncoder(keras.layers.Layer):
    """Reads a log-mel spectrogram by residual convolutions, then one dense layer a step, pooled over time.

    The spectrogram is first normalised per example to mean 0 and variance 1. The dense layer reads all
    frequencies of a step, each in its place. What a mask hides, the padding at the end, matters nowhere.

    Args:
        filters: list of ints > 0. Channels of each stage; each halves time and frequency.
        blocks: int > 0. Residual blocks of each stage.
        units: int > 0. Width of a step before the pooling.
        dropout: float in [0, 1). Dropout within the blocks, before the dense layer and on the embedding.
        pooling: str. What `SequencePooling` makes of the steps; "mean_max" doubles their width.

    Call arguments:
        inputs: float tensor `(B, T, F)`.
        mask: bool tensor `(B, T)` or None, such as `LogMel` gives. False hides the frames of padding at the
            end; the first frame counts always.

    Returns: float tensor `(B, units)`, or `(B, 2 * units)` with "mean_max".
    Raises: ValueError, if an argument is out of range or the input is not `(B, T, F)`.
    Source: He et al. 2016, arXiv:1603.05027 (blocks); Hershey et al. 2017, arXiv:1609.09430 (residual
        networks on log-mel spectrograms), with maximum beside mean over time.
    """

    def __init__(self, filters=(32, 64), blocks=1, units=64, dropout=0.0, pooling="mean_max", **kwargs):
        super().__init__(**kwargs)
        owner = "ResidualSpectrogramEncoder"
        self.filters = check_positive_ints(owner, "filters", filters)
        self.blocks = check_positive_int(owner, "blocks", blocks)
        self.units = check_positive_int(owner, "units", units)
        self.dropout = check_rate(owner, "dropout", dropout)
        self.pooling = check_choice(owner, "pooling", pooling, POOLINGS)
        dtype = self.dtype_policy
        self.stages = ResidualStages(self.filters, blocks, dropout, dtype=dtype, name="stages")
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)
        self.dense = keras.layers.Dense(units, activation="relu", dtype=dtype, name="dense")
        self.pool = SequencePooling(pooling, dtype=dtype, name="pool")
        self.halved_mask = HalvedMask(len(self.filters), dtype="float32", name=f"{self.name}.mask")

    def build(self, input_shape):
        check_rank("ResidualSpectrogramEncoder", "inputs", input_shape, 3, "Pass spectrograms (B, T, F).")
        self.stages.build((*input_shape, 1))
        batch, steps, bins, filters = self.stages.compute_output_shape((*input_shape, 1))
        self.flatten = keras.layers.Reshape((-1, bins * filters), dtype=self.dtype_policy)
        self.dense.build((batch, steps, bins * filters))
        self.pool.build((batch, steps, self.units))

    def call(self, inputs, mask=None, training=None):
        mask = keep_first(mask)
        x = ops.cast(normalize(inputs, mask), self.compute_dtype)[..., None]
        x = self.flatten(self.stages(x, mask=mask, training=training))  # (B, T', D)
        mask = None if mask is None else self.halved_mask(mask)
        x = self.dense(self.drop(x, training=training))
        return self.drop(self.pool(x, mask=mask), training=training)

    def compute_mask(self, inputs, previous_mask):
        return None if previous_mask is None or self.pooling != "none" else self.halved_mask(previous_mask)

    def compute_output_shape(self, input_shape):
        steps = self.stages.compute_output_shape((*input_shape, 1))[1]
        return self.pool.compute_output_shape((input_shape[0], steps, self.units))

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "blocks": self.blocks,
            "units": self.units,
            "dropout": self.dropout,
            "pooling": self.pooling,
        }
