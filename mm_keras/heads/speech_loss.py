"""Loss of sounds that are written frame by frame."""

import keras
from keras import ops


def real_groups(y_true):
    """Returns 1 for each group up to the one with which its sound ends, else 0: float32 `(B, G)`."""
    ended = ops.cast(y_true[:, :, -1], "float32")
    return 1.0 - ops.pad(ended, ((0, 0), (1, 0)))[:, :-1]


@keras.saving.register_keras_serializable(package="mm_keras")
class SpeechLoss(keras.losses.Loss):
    """Absolute and squared error of frames, and cross-entropy of the end, over the groups up to the end.

    `y_true` and `y_pred` are float tensors `(B, G, r * F + 1)`: groups of frames as `SpeechFrames` makes
    them, and last, of `y_true` 1 from the group on with which the sound ends, of `y_pred` its logit. A row
    without a sound, all of whose groups end it, has the loss of its first group; weigh it with 0.

    Args:
        groups: int > 0. Number by which the sum over the groups is divided, whatever a sound's own, so that
            each group counts alike.

    Source: Shen et al. 2018, arXiv:1712.05884, section 2.2 (squared error); Wang et al. 2017,
        arXiv:1703.10135, section 3.4 (absolute error).
    """

    def __init__(self, groups=1, **kwargs):
        super().__init__(**{"name": "speech_loss", **kwargs})
        self.groups = groups

    def call(self, y_true, y_pred):
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        apart = ops.abs(y_true[:, :, :-1] - y_pred[:, :, :-1])
        error = ops.mean(apart + ops.square(apart), axis=2)
        end = keras.losses.binary_crossentropy(y_true[:, :, -1:], y_pred[:, :, -1:], from_logits=True)
        return ops.sum((error + end) * real_groups(y_true), axis=1) / self.groups

    def get_config(self):
        return {**super().get_config(), "groups": self.groups}
