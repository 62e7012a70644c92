"""Mel power spectrogram of a waveform, inside the graph."""

import math

import keras
from keras import ops

from mm_keras.checks import check_positive, check_positive_int, check_rank
from mm_keras.frame_mask import FrameMask


@keras.saving.register_keras_serializable(package="mm_keras")
class MelPower(keras.layers.Layer):
    """Turns a waveform into its mel power spectrogram, which `Pcen` compresses.

    Args:
        rate: int > 0. Samples per second (Hz).
        mel_bins: int > 0. Number of mel bins `F`, from 20 Hz to `rate / 2`.
        window: float > 0. Length of the Hann window (seconds).
        hop: float > 0. Step between windows (seconds).

    Call arguments:
        inputs: float tensor `(B, S)`, samples in [-1, 1].

    Returns: float tensor `(B, T, F)`, `T = 1 + S // hop`, none below 0. Its Keras mask, bool `(B, T)`, hides
        the padding at a waveform's end as `FrameMask` tells it.
    Raises: ValueError, if an argument is not positive or the input is not `(B, S)`.
    Source: `keras.layers.MelSpectrogram` (HTK mel scale).
    """

    def __init__(self, rate, mel_bins=40, window=0.025, hop=0.010, **kwargs):
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.rate = check_positive_int(owner, "rate", rate)
        self.mel_bins = check_positive_int(owner, "mel_bins", mel_bins)
        self.window = check_positive(owner, "window", window)
        self.hop = check_positive(owner, "hop", hop)
        window_samples = max(2, round(window * rate))
        self.stride = max(1, round(hop * rate))
        self.mel = keras.layers.MelSpectrogram(
            fft_length=2 ** math.ceil(math.log2(window_samples)),
            sequence_length=window_samples,
            sequence_stride=self.stride,
            sampling_rate=rate,
            num_mel_bins=mel_bins,
            min_freq=20.0,
            power_to_db=False,
            dtype="float32",
            name="mel",
        )
        self.frame_mask = FrameMask(self.stride, dtype="float32", name=f"{self.name}.frames")

    def build(self, input_shape):
        check_rank(type(self).__name__, "inputs", input_shape, 2, "Pass a batch of waveforms (B, S).")
        self.mel.build(input_shape)

    def call(self, inputs):
        return ops.cast(self.power(inputs), self.compute_dtype)

    def compute_mask(self, inputs, previous_mask=None):
        return self.frame_mask(inputs)

    def compute_output_shape(self, input_shape):
        samples = input_shape[1]
        return (input_shape[0], None if samples is None else 1 + samples // self.stride, self.mel_bins)

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "mel_bins": self.mel_bins,
            "window": self.window,
            "hop": self.hop,
        }

    def power(self, inputs):
        return ops.swapaxes(self.mel(inputs), 1, 2)  # (B, T, F), float32
