"""Reconstruction loss of sounds."""

import keras
from keras import ops

from mm_keras.log_mel import LogMel
from mm_keras.speech_frames import SCALE


@keras.saving.register_keras_serializable(package="mm_keras")
class LogMelError(keras.losses.Loss):
    """Mean squared error between the log-mel spectrogram of a waveform and a predicted one.

    `y_true` holds waveforms `(B, S)`, `y_pred` log-mel spectrograms `(B, T, F)`. Unit: the square of what
    `SpeechFrames` measures power in, 4 nats (17 dB), by which the error is about as large as that of pixels
    and tokens, beside which it is learned.

    Args:
        log_mel: dict. Arguments of `LogMel`: rate, mel_bins, window, hop.
    """

    def __init__(self, log_mel, **kwargs):
        super().__init__(**{"name": "log_mel_error", **kwargs})
        self.log_mel = dict(log_mel)
        self.transform = LogMel(**self.log_mel, dtype="float32")

    def call(self, y_true, y_pred):
        difference = (self.transform(y_true) - ops.cast(y_pred, "float32")) / SCALE
        return ops.mean(ops.square(difference), axis=(1, 2))

    def get_config(self):
        return {**super().get_config(), "log_mel": self.log_mel}
