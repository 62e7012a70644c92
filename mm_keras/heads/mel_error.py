"""How far written frames are away from the true ones."""

import math

import keras
from keras import ops

from mm_keras.heads.speech_loss import real_groups
from mm_keras.speech_frames import SCALE

DECIBELS = SCALE * 10 / math.log(10)  # Of a unit of `SpeechFrames`.


@keras.saving.register_keras_serializable(package="mm_keras")
class MelError(keras.metrics.Mean):
    """Mean absolute error of the power of mel bins (decibels), each group of frames after the true ones."""

    def __init__(self, name="mel_error", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        apart = ops.mean(ops.abs(y_true[:, :, :-1] - y_pred[:, :, :-1]), axis=2) * DECIBELS
        real = real_groups(y_true)
        if sample_weight is not None:
            real = real * ops.cast(ops.reshape(sample_weight, (-1, 1)), "float32")
        return super().update_state(apart, sample_weight=real)
