"""Convolutional encoder of waveforms, without a spectrogram."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_positive_ints, check_rank, check_rate
from mm_keras.encoders.conv_stages import hide
from mm_keras.encoders.spectrogram_encoder import normalize
from mm_keras.frame_mask import FrameMask
from mm_keras.sequence_pooling import TO_ONE, SequencePooling

POOL = 4  # Steps that one step of the next stage is made of, as in Dai et al. 2017.
SILENCE = 1e-6  # Added to a variance: a sound much below 60 dB under full scale stays quiet.


@keras.saving.register_keras_serializable(package="mm_keras")
class WaveformEncoder(keras.layers.Layer):
    """Reads a waveform by convolutions over time, then one dense layer a step, pooled over time.

    The waveform is first normalised per example to mean 0 and variance 1, so that the level of a recording
    does not matter. Then each stage is a convolution, a layer normalisation over the channels of each step,
    ReLU and a maximum over every 4 steps. Zeros behind the last sound are padding, as `FrameMask` tells
    it: they matter nowhere, and a sound gives the same however far it is padded.

    Args:
        kernel_size: int > 0. Length of the first convolution (samples); that of the others is 3 steps.
        stride: int > 0. Step of the first convolution (samples); that of the others is 1.
        filters: list of ints > 0. Filters of each convolution. The last stage's steps are
            `stride * 4 ** len(filters)` samples apart.
        units: int > 0. Width of a step before the pooling.
        dropout: float in [0, 1). Dropout before the dense layer and on the embedding.
        pooling: str. What `SequencePooling` makes of the steps; "mean_max" doubles their width.

    Call arguments:
        inputs: float tensor `(B, S)`, samples in [-1, 1].

    Returns: float tensor `(B, units)`, or `(B, 2 * units)` with "mean_max".
    Raises: ValueError, if an argument is out of range or the input is not `(B, S)`.
    Source: Dai et al. 2017, arXiv:1610.00087, table 1 (M5, of 80 samples and a stride of 4 at 8 kHz; its
        128, 128, 256 and 512 filters are quartered here), with the normalisations of Baevski et al. 2020,
        arXiv:2006.11477, section 2, in place of that over the batch, and with a dense layer and a maximum
        beside the mean over time.
    """

    def __init__(
        self,
        kernel_size=80,
        stride=4,
        filters=(32, 32, 64, 128),
        units=64,
        dropout=0.0,
        pooling="mean_max",
        **kwargs,
    ):
        # Samples rounded to bfloat16 would hold noise before the first convolution is reached.
        super().__init__(**kwargs, autocast=False)
        self.kernel_size = check_positive_int("WaveformEncoder", "kernel_size", kernel_size)
        self.stride = check_positive_int("WaveformEncoder", "stride", stride)
        self.filters = check_positive_ints("WaveformEncoder", "filters", filters)
        self.units = check_positive_int("WaveformEncoder", "units", units)
        self.dropout = check_rate("WaveformEncoder", "dropout", dropout)
        self.pooling = check_choice("WaveformEncoder", "pooling", pooling, TO_ONE)
        dtype = self.dtype_policy
        self.sample_mask = FrameMask(1, dtype="float32", name="samples")
        # Padding that follows from the length, as "same" makes it, would move the grid of the steps.
        self.borders = [
            keras.layers.ZeroPadding1D(((size - 1) // 2, size // 2), dtype=dtype)
            for size in (kernel_size, *[3] * (len(self.filters) - 1))
        ]
        self.convs = [
            self._conv(size, f"conv_{i}", *((3, 1) if i else (kernel_size, stride)))
            for i, size in enumerate(self.filters)
        ]
        self.norms = [
            keras.layers.LayerNormalization(dtype=dtype, name=f"norm_{i}") for i in range(len(self.filters))
        ]
        self.relu = keras.layers.ReLU(dtype=dtype)
        self.behind = keras.layers.ZeroPadding1D((0, POOL - 1), dtype=dtype)
        self.shorten = keras.layers.MaxPooling1D(POOL, dtype=dtype)
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)
        self.dense = keras.layers.Dense(units, activation="relu", dtype=dtype, name="dense")
        self.pool = SequencePooling(pooling, dtype=dtype, name="pool")

    def build(self, input_shape):
        check_rank("WaveformEncoder", "inputs", input_shape, 2, "Pass a batch of waveforms (B, S).")
        width = 1
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build((input_shape[0], None, width))
            width = conv.filters
            norm.build((input_shape[0], None, width))
        self.dense.build((input_shape[0], None, width))
        self.pool.build((input_shape[0], None, self.units))

    def call(self, inputs, training=None):
        samples = ops.cast(inputs, "float32")
        mask = self.sample_mask(samples)[:, :-1]  # (B, S)
        x = ops.cast(normalize(samples[:, :, None], mask, SILENCE), self.compute_dtype)
        mask = mask[:, :: self.stride]
        for border, conv, norm in zip(self.borders, self.convs, self.norms, strict=True):
            x = hide(self.relu(norm(conv(border(x)))), mask)
            x = self.shorten(self.behind(x))  # (B, ceil(T / 4), filters)
            mask = mask[:, ::POOL]
        x = self.dense(self.drop(x, training=training))
        return self.drop(self.pool(x, mask=mask), training=training)

    def compute_output_shape(self, input_shape):
        return self.pool.compute_output_shape((input_shape[0], None, self.units))

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "filters": self.filters,
            "units": self.units,
            "dropout": self.dropout,
            "pooling": self.pooling,
        }

    def _conv(self, filters, name, kernel_size, stride):
        return keras.layers.Conv1D(
            filters,
            kernel_size,
            stride,
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name=name,
        )
