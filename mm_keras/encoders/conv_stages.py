"""Stages of convolution that both pictures and spectrograms pass."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_ints
from mm_keras.encoders.halved_mask import halve_mask

HALVINGS = ("pool", "stride")


def hide(x, mask):
    """Returns maps `(B, H, W, C)` or steps `(B, H, C)` with zeros where the mask `(B, H)` hides."""
    return x if mask is None else x * ops.cast(mask, x.dtype)[(..., *[None] * (len(x.shape) - 2))]


@keras.saving.register_keras_serializable(package="mm_keras")
class ConvStages(keras.layers.Layer):
    """Applies stages of 3x3 convolution, halving and ReLU.

    There is no normalisation: over a batch it would mix absent modalities (zeros) into the statistics, and
    over an image it takes away how strong a colour or a level is, on which an answer may rest.

    Args:
        filters: list of ints > 0. Filters of each stage; each halves both axes, rounded up.
        halving: "pool" or "stride". 2x2 max pooling, or every second place of the convolution alone: a
            quarter of the work, with a border of one zero on each side.

    Call arguments:
        inputs: float tensor `(B, H, W, C)`.
        mask: bool tensor `(B, H)` or None. False hides the rows of padding at the end: they are zeros in
            every stage, so that the rest does not depend on how many they are.

    Returns: float tensor `(B, ceil(H / 2^n), ceil(W / 2^n), filters[-1])` for n stages.
    Raises: ValueError, if `filters` is not a list of ints > 0 or `halving` is another word.
    Source: LeCun et al. 1998; Springenberg et al. 2015, arXiv:1412.6806 ("stride"); He et al. 2015,
        arXiv:1502.01852 (initialisation).
    """

    def __init__(self, filters, halving="pool", **kwargs):
        super().__init__(**kwargs)
        self.filters = check_positive_ints("ConvStages", "filters", filters)
        self.halving = check_choice("ConvStages", "halving", halving, HALVINGS)
        dtype = self.dtype_policy
        # What "same" pads before a stride of 2 depends on the size.
        how = {"padding": "same"} if halving == "pool" else {"strides": 2}
        self.convs = [
            keras.layers.Conv2D(size, 3, **how, kernel_initializer="he_normal", dtype=dtype, name=f"conv_{i}")
            for i, size in enumerate(self.filters)
        ]
        self.relu = keras.layers.ReLU(dtype=dtype)
        self.border = keras.layers.ZeroPadding2D(1, dtype=dtype)
        self.pool = keras.layers.MaxPooling2D(2, padding="same", dtype=dtype)

    def build(self, input_shape):
        for conv in self.convs:
            conv.build(self.border.compute_output_shape(input_shape))
            input_shape = self._halve(input_shape, conv.filters)

    def call(self, inputs, mask=None):
        x = hide(inputs, mask)
        for conv in self.convs:
            # ReLU behind the pooling takes a hidden row's zeros for what no row at all would give.
            x = conv(self.border(x)) if self.halving == "stride" else self.pool(hide(conv(x), mask))
            mask = halve_mask(mask)
            x = hide(self.relu(x), mask)
        return x

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, input_shape):
        for size in self.filters:
            input_shape = self._halve(input_shape, size)
        return input_shape

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "halving": self.halving}

    def _halve(self, shape, filters):
        return (shape[0], *(None if size is None else -(-size // 2) for size in shape[1:3]), filters)
