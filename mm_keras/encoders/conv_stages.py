"""Stages of convolution that both pictures and spectrograms pass."""

import keras
from keras import ops

from mm_keras.checks import check_positive_ints
from mm_keras.encoders.halved_mask import halve_mask


def hide(x, mask):
    """Returns maps `(B, H, W, C)` or steps `(B, H, C)` with zeros where the mask `(B, H)` hides."""
    return x if mask is None else x * ops.cast(mask, x.dtype)[(..., *[None] * (len(x.shape) - 2))]


@keras.saving.register_keras_serializable(package="mm_keras")
class ConvStages(keras.layers.Layer):
    """Applies stages of 3x3 convolution, 2x2 max pooling and ReLU.

    There is no normalisation: over a batch it would mix absent modalities (zeros) into the statistics, and
    over an image it takes away how strong a colour or a level is, on which an answer may rest.

    Args:
        filters: list of ints > 0. Filters of each stage; each halves both axes, rounded up.

    Call arguments:
        inputs: float tensor `(B, H, W, C)`.
        mask: bool tensor `(B, H)` or None. False hides the rows of padding at the end: they are zeros in
            every stage, so that the rest does not depend on how many they are.

    Returns: float tensor `(B, ceil(H / 2^n), ceil(W / 2^n), filters[-1])` for n stages.
    Raises: ValueError, if `filters` is not a list of ints > 0.
    Source: LeCun et al. 1998; He et al. 2015, arXiv:1502.01852 (initialisation).
    """

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = check_positive_ints("ConvStages", "filters", filters)
        dtype = self.dtype_policy
        self.convs = [
            keras.layers.Conv2D(
                size, 3, padding="same", kernel_initializer="he_normal", dtype=dtype, name=f"conv_{i}"
            )
            for i, size in enumerate(self.filters)
        ]
        self.relu = keras.layers.ReLU(dtype=dtype)
        self.pool = keras.layers.MaxPooling2D(2, padding="same", dtype=dtype)

    def build(self, input_shape):
        for conv in self.convs:
            conv.build(input_shape)
            input_shape = self._halve(input_shape, conv.filters)

    def call(self, inputs, mask=None):
        x = hide(inputs, mask)
        for conv in self.convs:
            # ReLU behind the pooling takes a hidden row's zeros for what no row at all would give.
            x = self.relu(self.pool(hide(conv(x), mask)))
            mask = halve_mask(mask)
            x = hide(x, mask)
        return x

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, input_shape):
        for size in self.filters:
            input_shape = self._halve(input_shape, size)
        return input_shape

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}

    def _halve(self, shape, filters):
        return (shape[0], *(None if size is None else -(-size // 2) for size in shape[1:3]), filters)
