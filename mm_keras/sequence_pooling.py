"""From a masked sequence to one vector."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_rank

TO_ONE = ("last", "mean", "max", "mean_max", "attention")
POOLINGS = (*TO_ONE, "none")


def masked_mean(x, mask):
    """Returns the mean over the visible steps of `(B, T, D)`; zeros where none is."""
    if mask is None:
        return ops.mean(x, axis=1)
    shares = ops.cast(mask, x.dtype)[:, :, None]
    return ops.sum(x * shares, axis=1) / ops.maximum(ops.sum(shares, axis=1), 1)


def masked_maximum(x, mask):
    """Returns the maximum over the visible steps of `(B, T, D)`; zeros where none is."""
    if mask is None:
        return ops.max(x, axis=1)
    visible = ops.cast(mask, "bool")[:, :, None]
    # No constant such as -1e9: it would stretch the range of an int8 model beyond all use.
    highest = ops.max(ops.where(visible, x, ops.min(x, axis=1, keepdims=True)), axis=1)
    return ops.where(ops.any(visible, axis=1), highest, ops.zeros_like(highest))


def masked_last(x, mask):
    """Returns the last visible step of `(B, T, D)`; zeros where none is."""
    if mask is None:
        return x[:, -1]
    places = ops.arange(1, ops.shape(x)[1] + 1, dtype="int32")
    visible = ops.where(ops.cast(mask, "bool"), places, 0)  # (B, T)
    last = ops.logical_and(visible == ops.max(visible, axis=1, keepdims=True), visible > 0)
    return ops.sum(x * ops.cast(last, x.dtype)[:, :, None], axis=1)


@keras.saving.register_keras_serializable(package="mm_keras")
class SequencePooling(keras.layers.Layer):
    """Joins the steps of a sequence to one vector; what a mask hides has no part in it.

    Args:
        pooling: str. "none": the steps stay as they are. "last": the last step. "mean" and "max": over the
            steps. "mean_max": both, side by side. "attention": the sum of the steps `x_t` weighed by
            `softmax_t(v . tanh(W x_t + b))`, in float32.

    Call arguments:
        inputs: float tensor `(B, T, D)`.
        mask: bool tensor `(B, T)` or None. False hides a step; all hidden gives zeros.

    Returns: float tensor `(B, D)`; `(B, 2 D)` of "mean_max", and the inputs `(B, T, D)`, with their mask, of
        "none".
    Raises: ValueError, if `pooling` is another word or the input is not `(B, T, D)`.
    Source: Yang et al. 2016, "Hierarchical Attention Networks for Document Classification", equations 5 to 7
        (attention).
    """

    def __init__(self, pooling="mean", **kwargs):
        super().__init__(**kwargs)
        self.pooling = check_choice("SequencePooling", "pooling", pooling, POOLINGS)

    def build(self, input_shape):
        check_rank("SequencePooling", "inputs", input_shape, 3, "Pass a sequence (B, T, D).")
        width = input_shape[-1]
        if self.pooling == "attention":
            self.kernel = self.add_weight(name="kernel", shape=(width, width))
            self.bias = self.add_weight(name="bias", shape=(width,), initializer="zeros")
            self.query = self.add_weight(name="query", shape=(width, 1))

    def call(self, inputs, mask=None):
        if self.pooling == "none":
            return inputs
        if self.pooling == "mean_max":
            return ops.concatenate([masked_mean(inputs, mask), masked_maximum(inputs, mask)], axis=-1)
        pool = {"last": masked_last, "mean": masked_mean, "max": masked_maximum, "attention": self._attend}
        return pool[self.pooling](inputs, mask)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask if self.pooling == "none" else None

    def compute_output_shape(self, input_shape):
        if self.pooling == "none":
            return tuple(input_shape)
        return (input_shape[0], input_shape[-1] * (2 if self.pooling == "mean_max" else 1))

    def get_config(self):
        return {**super().get_config(), "pooling": self.pooling}

    def _attend(self, x, mask):
        hidden = ops.tanh(ops.matmul(x, self.kernel) + self.bias)
        scores = ops.cast(ops.matmul(hidden, self.query), "float32")  # (B, T, 1)
        if mask is None:
            shares = ops.softmax(scores, axis=1)
        else:
            visible = ops.cast(mask, "float32")[:, :, None]
            highest = masked_maximum(scores, mask)[:, None, :]
            shares = ops.exp(ops.minimum(scores - highest, 0.0)) * visible
            shares = shares / ops.maximum(ops.sum(shares, axis=1, keepdims=True), 1e-6)
        return ops.sum(x * ops.cast(shares, x.dtype), axis=1)
