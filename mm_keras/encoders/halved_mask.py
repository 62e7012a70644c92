"""The mask of a sequence behind layers that halve it."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int


def halve_mask(mask):
    """Returns the mask `(B, ceil(T / 2))` behind a layer that halves the steps of `(B, T)`; None of None."""
    return None if mask is None else mask[:, ::2]


def keep_first(mask):
    """Returns the mask `(B, T)` with the first step shown always; None of None."""
    return None if mask is None else ops.logical_or(mask, ops.arange(ops.shape(mask)[1]) < 1)


@keras.saving.register_keras_serializable(package="mm_keras")
class HalvedMask(keras.layers.Layer):
    """Tells which steps are shown behind layers that each halve their number, rounded up.

    Args:
        times: int > 0. Number of these layers.

    Call arguments:
        inputs: bool tensor `(B, T)`. False hides steps at the end.

    Returns: bool tensor `(B, ceil(T / 2^times))`; the first step is True always.
    Raises: ValueError, if `times` < 1.
    """

    def __init__(self, times, **kwargs):
        super().__init__(**kwargs)
        self.times = check_positive_int("HalvedMask", "times", times)

    def call(self, inputs):
        mask = keep_first(inputs)
        for _ in range(self.times):
            mask = halve_mask(mask)
        return mask

    def compute_output_spec(self, inputs):
        steps = inputs.shape[1]
        steps = None if steps is None else -(-steps // 2**self.times)
        return keras.KerasTensor((inputs.shape[0], steps), dtype="bool")

    def get_config(self):
        return {**super().get_config(), "times": self.times}
