"""Which frames of a spectrogram hold the sound, and which its padding."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_rank


@keras.saving.register_keras_serializable(package="mm_keras")
class FrameMask(keras.layers.Layer):
    """Tells which frames of a waveform begin before its end: zeros behind its last sound are padding.

    What it tells of a waveform does not change with the number of these zeros.

    Args:
        stride: int > 0. Samples between the frames.

    Call arguments:
        inputs: float tensor `(B, S)`.

    Returns: bool tensor `(B, T)`, `T = 1 + S // stride`. Frame `t` is True if a sample from `t * stride` on
        is not 0; the first one is True always, so that nothing is hidden whole.
    Raises: ValueError, if `stride` < 1 or the input is not `(B, S)`.
    """

    def __init__(self, stride, **kwargs):
        super().__init__(**kwargs)
        self.stride = check_positive_int("FrameMask", "stride", stride)

    def build(self, input_shape):
        check_rank("FrameMask", "inputs", input_shape, 2, "Pass a batch of waveforms (B, S).")

    def call(self, inputs):
        samples = ops.shape(inputs)[1]
        places = ops.arange(1, samples + 1, dtype="int32")
        lengths = ops.max(ops.where(ops.not_equal(inputs, 0), places, 1), axis=1, keepdims=True)  # (B, 1)
        return ops.arange(1 + samples // self.stride, dtype="int32") * self.stride < lengths

    def compute_output_shape(self, input_shape):
        samples = input_shape[1]
        return (input_shape[0], None if samples is None else 1 + samples // self.stride)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="bool")

    def get_config(self):
        return {**super().get_config(), "stride": self.stride}
