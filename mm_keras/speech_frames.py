"""From a waveform to the groups of frames that a decoder learns to write."""

import math

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_rank
from mm_keras.log_mel import LogMel

SCALE = 4.0  # Of the natural logarithm: speech then lies within about 0 and 4, as a layer's units do.


@keras.saving.register_keras_serializable(package="mm_keras")
class SpeechFrames(keras.layers.Layer):
    """Turns a waveform into groups of log-mel frames, silence as 0, and tells with which one it ends.

    Args:
        rate, mel_bins, window, hop: as of `LogMel`.
        reduction: int > 0. Frames `r` of a group.

    Call arguments:
        inputs: float tensor `(B, S)`, samples in [-1, 1]; zeros at the end are padding.

    Returns: float32 tensor `(B, G, r * F + 1)`, `G = ceil((1 + S // hop) / r)`: the `r` frames of a group one
        after another, each mel bin as `(log power - log floor) / 4`, and last 1 from the group on with which
        the sound ends, 0 before it. Groups behind that one are 0.
    Raises: ValueError, if an argument is not positive or the input is not `(B, S)`.
    Source: Wang et al. 2017, arXiv:1703.10135, section 3.3 (several frames at a step).
    """

    def __init__(self, rate, mel_bins=40, window=0.025, hop=0.010, reduction=2, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.log_mel = LogMel(rate, mel_bins, window, hop, dtype="float32", name="log_mel")
        self.rate, self.mel_bins, self.window, self.hop = rate, mel_bins, window, hop
        self.reduction = check_positive_int("SpeechFrames", "reduction", reduction)
        self.group_samples = self.log_mel.stride * reduction

    def build(self, input_shape):
        check_rank("SpeechFrames", "inputs", input_shape, 2, "Pass a batch of waveforms (B, S).")
        self.log_mel.build(input_shape)

    def call(self, inputs):
        frames = (self.log_mel.call(inputs) - math.log(LogMel.floor)) / SCALE
        count = self.compute_output_shape(inputs.shape)[1]
        frames = ops.pad(frames, ((0, 0), (0, count * self.reduction - frames.shape[1]), (0, 0)))
        groups = ops.reshape(frames, (-1, count, self.reduction * self.mel_bins))
        places = ops.arange(1, inputs.shape[1] + 1, dtype="int32")
        lengths = ops.max(ops.where(ops.not_equal(inputs, 0), places, 1), axis=1, keepdims=True)
        last = (lengths - 1) // self.group_samples  # (B, 1)
        numbers = ops.arange(count, dtype="int32")
        groups = groups * ops.cast(numbers <= last, "float32")[:, :, None]
        return ops.concatenate([groups, ops.cast(numbers >= last, "float32")[:, :, None]], axis=2)

    def compute_output_shape(self, input_shape):
        frames = 1 + input_shape[1] // self.log_mel.stride
        return (input_shape[0], -(-frames // self.reduction), self.reduction * self.mel_bins + 1)

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "mel_bins": self.mel_bins,
            "window": self.window,
            "hop": self.hop,
            "reduction": self.reduction,
        }
