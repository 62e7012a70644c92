"""Log-mel spectrogram of a waveform, inside the graph."""

import keras
from keras import ops

from mm_keras.mel_power import MelPower


@keras.saving.register_keras_serializable(package="mm_keras")
class LogMel(MelPower):
    """Turns a waveform into the natural logarithm of its mel power spectrogram.

    Args:
        rate: int > 0. Samples per second (Hz).
        mel_bins: int > 0. Number of mel bins `F`, from 20 Hz to `rate / 2`.
        window: float > 0. Length of the Hann window (seconds).
        hop: float > 0. Step between windows (seconds).

    Call arguments:
        inputs: float tensor `(B, S)`, samples in [-1, 1].

    Returns: float tensor `(B, T, F)`, `T = 1 + S // hop`, never below `log(1e-4)`. Its Keras mask, bool
        `(B, T)`, hides the padding at a waveform's end as `FrameMask` tells it.
    Raises: ValueError, if an argument is not positive or the input is not `(B, S)`.
    Source: `keras.layers.MelSpectrogram` (HTK mel scale). Its own decibel scale is not used: it cuts at
        80 dB below the loudest sample of the whole batch, so one example would change another.
    """

    floor = 1e-4  # Weaker power drowns in the rounding of the strongest, which differs between devices.

    def call(self, inputs):
        return ops.cast(ops.log(ops.maximum(self.power(inputs), self.floor)), self.compute_dtype)
