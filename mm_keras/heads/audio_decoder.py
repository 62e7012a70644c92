"""Decoder from the fused embedding to a log-mel spectrogram."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int
from mm_keras.heads.log_mel_error import LogMelError
from mm_keras.heads.painter import Painter


@keras.saving.register_keras_serializable(package="mm_keras")
class AudioDecoder(keras.layers.Layer):
    """Paints a log-mel spectrogram by transposed convolutions over time and frequency.

    Args:
        frames: int > 0. Number of frames `T`.
        log_mel: dict. Arguments of `LogMel` (rate, mel_bins, window, hop): what the loss compares with.
        filters: list of ints > 0. Filters of each transposed convolution, the coarsest first.

    Call arguments:
        inputs: float tensor `(B, D)`.

    Returns: float32 tensor `(B, T, F)`, natural logarithm of mel power.
    Raises: ValueError, if an argument is out of range.
    """

    def __init__(self, frames, log_mel, filters=(64, 32), **kwargs):
        super().__init__(**kwargs)
        self.frames = check_positive_int("AudioDecoder", "frames", frames)
        self.log_mel = dict(log_mel)
        self.filters = filters
        self.painter = Painter(
            frames, self.log_mel["mel_bins"], 1, filters, dtype=self.dtype_policy, name="painter"
        )
        self.float32 = keras.layers.Activation("linear", dtype="float32")

    def build(self, input_shape):
        self.painter.build(input_shape)

    def call(self, inputs):
        return ops.squeeze(self.float32(self.painter(inputs)), axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.frames, self.log_mel["mel_bins"])

    def get_config(self):
        return {
            **super().get_config(),
            "frames": self.frames,
            "log_mel": self.log_mel,
            "filters": list(self.filters),
        }

    def loss(self):
        return LogMelError(self.log_mel)

    def metrics_of_output(self):
        return []
