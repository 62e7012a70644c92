"""Residual block that both pictures and spectrograms pass."""

import keras

from mm_keras.checks import check_positive_int, check_rank, check_rate
from mm_keras.encoders.conv_stages import hide
from mm_keras.encoders.halved_mask import halve_mask


@keras.saving.register_keras_serializable(package="mm_keras")
class ResidualBlock(keras.layers.Layer):
    """Adds to a map what two 3x3 convolutions make of it, each behind ReLU.

    Computes `S(x) + g C2(relu(C1(relu(x))))`. `S` is `x` itself, or a 1x1 convolution of `relu(x)` where the
    block changes the size or the number of channels; `g` is a learned scalar that is 0 at first.

    Args:
        filters: int > 0. Channels of the result.
        halve: bool. Halve height and width, rounded up: the first convolution has a stride of 2.
        dropout: float in [0, 1). Dropout before the second convolution.

    Call arguments:
        inputs: float tensor `(B, H, W, C)`.
        mask: bool tensor `(B, H)` or None. False hides the rows of padding at the end: they are zeros in
            the result, which does not depend on how many they are.

    Returns: float tensor `(B, H, W, filters)`, or `(B, ceil(H / 2), ceil(W / 2), filters)` if it halves.
    Raises: ValueError, if an argument is out of range or the input is not `(B, H, W, C)`.
    Source: He et al. 2016, arXiv:1603.05027, figure 4(e), with the scalar of De and Smith 2020,
        arXiv:2002.10444 (SkipInit), in place of batch normalisation: no other example and no padding enters,
        and how strong a colour or a level is, is kept. The border is one zero on each side, whatever the
        size, so that an end does not move the grid.
    """

    def __init__(self, filters, halve=False, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.filters = check_positive_int("ResidualBlock", "filters", filters)
        self.halve = halve
        self.dropout = check_rate("ResidualBlock", "dropout", dropout)
        dtype, stride = self.dtype_policy, 2 if halve else 1
        self.relu = keras.layers.ReLU(dtype=dtype)
        self.border = keras.layers.ZeroPadding2D(1, dtype=dtype)
        self.convs = [self._conv(3, stride, "conv_0"), self._conv(3, 1, "conv_1")]
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)
        self.shortcut = None

    def build(self, input_shape):
        check_rank("ResidualBlock", "inputs", input_shape, 4, "Pass maps (B, H, W, C).")
        if self.halve or input_shape[-1] != self.filters:
            self.shortcut = self._conv(1, 1, "shortcut")
            self.shortcut.build(input_shape)
        for conv in self.convs:
            conv.build(self.border.compute_output_shape(input_shape))
            input_shape = self.compute_output_shape(input_shape)
        self.gamma = self.add_weight(shape=(), initializer="zeros", name="gamma")

    def call(self, inputs, mask=None, training=None):
        x = hide(self.relu(inputs), mask)
        kept = inputs
        if self.shortcut is not None:
            # By slices, not by a stride of 2: the gradient of such a 1x1 convolution with few channels writes
            # beyond its memory for batches of some sizes, such as 7, in TensorFlow 2.17 with oneDNN.
            kept = self.shortcut(x[:, ::2, ::2] if self.halve else x)
        x = self.convs[0](self.border(x))
        mask = halve_mask(mask) if self.halve else mask
        x = hide(self.relu(x), mask)
        x = self.convs[1](self.border(self.drop(x, training=training)))
        return hide(kept + self.gamma * x, mask)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, input_shape):
        step = 2 if self.halve else 1
        sizes = (None if size is None else -(-size // step) for size in input_shape[1:3])
        return (input_shape[0], *sizes, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "halve": self.halve,
            "dropout": self.dropout,
        }

    def _conv(self, size, stride, name):
        return keras.layers.Conv2D(
            self.filters,
            size,
            stride,
            kernel_initializer="he_normal",
            dtype=self.dtype_policy,
            name=name,
        )
