"""The transformer block of encoders and fusions, and what masked sequences need."""

import math

import keras
from keras import ops

from mm_keras.checks import check_division, check_positive_int, check_rank, check_rate, message


def as_sequence(x, mask):
    """Returns `(B, T, D)`, zero where it is hidden, and its mask `(B, T)` or None; a vector is one step."""
    if len(x.shape) == 2:
        x = x[:, None, :]  # (B, 1, D)
        mask = None if mask is None else ops.reshape(mask, (-1, 1))
    if mask is None:
        return x, None
    mask = ops.cast(mask, "bool")
    return ops.where(mask[:, :, None], x, ops.zeros_like(x)), mask


def sinusoids(x):
    """Returns the position's sines and cosines for a sequence `(B, T, D)`: float32 `(T, D)`.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5; sines fill the first half, cosines the rest.
    """
    return waves(ops.arange(ops.shape(x)[1], dtype="float32"), x.shape[-1])


def waves(places, width):
    """Returns the same for places of any kind, float tensor `(...)`: float32 `(..., width)`."""
    half = (width + 1) // 2
    rates = ops.exp(ops.arange(half, dtype="float32") * (-math.log(10000) / half))
    angles = places[..., None] * rates
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)[..., :width]


def project_steps(x, mask, projection):
    """Returns the steps of a sequence, projected and with their positions, and its mask or None.

    A vector is one step, without a position: it would be the same in every row, and most of what a
    normalisation behind it sees.
    """
    sequence, seen = as_sequence(x, mask)
    sequence = ops.matmul(sequence, projection)
    if len(x.shape) == 3:
        sequence = sequence + ops.cast(sinusoids(sequence), sequence.dtype)
    return sequence, seen


def check_sequences(owner, input_shape):
    """Checks that every modality is `(B, D_m)` or `(B, T, D_m)`."""
    for name in sorted(input_shape):
        if len(input_shape[name]) not in (2, 3):
            expected = f"`inputs[{name!r}]` to be (B, D) or (B, T, D)"
            received = f"inputs[{name!r}].shape={tuple(input_shape[name])}"
            raise ValueError(message(owner, expected, received, "Flatten its steps into one axis."))


@keras.saving.register_keras_serializable(package="mm_keras")
class AttentionBlock(keras.layers.Layer):
    """Reads a context with multi-head attention, then transforms each step: one pre-norm transformer block.

    Computes `y = x + A(LN(x), LN(c))` and `y + F(LN(y))`: `A` attends from `x` to the context `c`, which is
    `x` itself if none is given, and `F` is a dense layer of `4 D` with GELU and one of `D`.

    Args:
        units: int > 0. Width `D` of the steps.
        num_heads: int > 0, a divisor of `units`.
        dropout: float in [0, 1). Dropout on what attention and the dense layers add.

    Call arguments:
        inputs: float tensor `(B, T, D)`.
        context: float tensor `(B, S, D_c)` or None.
        mask: bool tensor `(B, S)`, or `(B, T, S)` for each step of the input, or None: False hides a step of
            the context. Where all of it is hidden, nothing is attended to. A context that is built with one
            step has no queries and keys.

    Returns: float tensor `(B, T, D)`.
    Raises: ValueError, if an argument is out of range or a tensor has another shape.
    Source: Vaswani et al. 2017, arXiv:1706.03762, sections 3.2 and 3.3, with the norm before each part
        (Xiong et al. 2020, arXiv:2002.04745). Queries, keys and values have no bias; GELU is the tanh form.
        Softmax is computed in float32.
    """

    def __init__(self, units, num_heads=4, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("AttentionBlock", "units", units)
        self.num_heads = check_division("AttentionBlock", "num_heads", num_heads, "units", units)
        self.dropout = check_rate("AttentionBlock", "dropout", dropout)
        self.norm = self.context_norm = None
        self.hidden_norm = self._norm("hidden_norm")
        self.drop_attended = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.drop_hidden = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, inputs_shape, context_shape=None):
        check_rank("AttentionBlock", "inputs", inputs_shape, 3, "Pass a sequence (B, T, D).")
        if inputs_shape[-1] != self.units:
            received, fix = f"inputs.shape={tuple(inputs_shape)}", "Project the steps to `units` first."
            expected = f"`inputs` of width `units` ({self.units})"
            raise ValueError(message("AttentionBlock", expected, received, fix))
        self.hidden_norm.build(inputs_shape)
        if context_shape is not None:
            check_rank("AttentionBlock", "context", context_shape, 3, "Pass a sequence (B, S, D).")
            self.context_norm = self._norm("context_norm")
            self.context_norm.build(context_shape)
        _, self.steps, width = context_shape or inputs_shape
        units, hidden = self.units, 4 * self.units
        if context_shape is None or self.steps != 1:
            self.norm = self._norm("norm")
            self.norm.build(inputs_shape)
        if self.steps != 1:
            self.query = self.add_weight(name="query", shape=(units, units))
            self.key = self.add_weight(name="key", shape=(width, units))
        self.value = self.add_weight(name="value", shape=(width, units))
        self.attended = self.add_weight(name="attended", shape=(units, units))
        self.attended_bias = self.add_weight(name="attended_bias", shape=(units,), initializer="zeros")
        self.expand = self.add_weight(name="expand", shape=(units, hidden))
        self.expand_bias = self.add_weight(name="expand_bias", shape=(hidden,), initializer="zeros")
        self.reduce = self.add_weight(name="reduce", shape=(hidden, units))
        self.reduce_bias = self.add_weight(name="reduce_bias", shape=(units,), initializer="zeros")

    def call(self, inputs, context=None, mask=None, training=None):
        x = inputs if self.norm is None else self.norm(inputs)
        context = x if context is None else self.context_norm(context)
        read = self._read_one if self.steps == 1 else self._attend
        attended = ops.matmul(read(x, context, mask), self.attended) + self.attended_bias
        y = inputs + self.drop_attended(attended, training=training)
        hidden = ops.matmul(self.hidden_norm(y), self.expand) + self.expand_bias
        hidden = ops.matmul(ops.gelu(hidden, approximate=True), self.reduce) + self.reduce_bias
        return y + self.drop_hidden(hidden, training=training)

    def compute_output_shape(self, inputs_shape, context_shape=None):
        return inputs_shape

    def compute_mask(self, inputs, previous_mask):
        return None  # `mask` is that of the context.

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "num_heads": self.num_heads,
            "dropout": self.dropout,
        }

    def _norm(self, name):
        return keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy, name=name)

    def _read_one(self, x, context, mask):
        """Returns the value of the only step `(B, 1, D)`, which each step of `x` reads whole."""
        if context.shape[1] not in (1, None):  # It would be added step by step to as many of `x`.
            received, fix = f"a context of {context.shape[1]} steps", "Build another block for it."
            raise ValueError(message("AttentionBlock", "a context of 1 step, as built", received, fix))
        value = ops.matmul(context, self.value)
        if mask is None:
            return value
        mask = mask[:, :, None] if len(mask.shape) == 2 else mask
        return ops.where(ops.cast(mask, "bool"), value, 0)

    def attention(self, inputs, context, mask=None):
        """Returns how much each step attends to each of a context of more than one step: float32 `(B, T, S)`,
        the mean of the heads."""
        return ops.mean(self._weigh(self.norm(inputs), self.context_norm(context), mask), axis=1)

    def _attend(self, x, context, mask):
        attention = self._weigh(x, context, mask)
        value = self._heads(ops.matmul(context, self.value))
        attended = ops.matmul(ops.cast(attention, value.dtype), value)  # (B, heads, T, D / heads)
        length, width = ops.shape(x)[1], self.units
        return ops.reshape(ops.transpose(attended, (0, 2, 1, 3)), (-1, length, width))

    def _weigh(self, x, context, mask):
        query = self._heads(ops.matmul(x, self.query))
        key = self._heads(ops.matmul(context, self.key))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # (B, heads, T, S)
        scores = ops.cast(scores, "float32") * (self.units // self.num_heads) ** -0.5
        if mask is not None:
            mask = ops.cast(mask, "bool")
            mask = mask[:, None, None, :] if len(mask.shape) == 2 else mask[:, None]
            scores = ops.where(mask, scores, -1e9)
        attention = ops.softmax(scores)
        if mask is not None:  # Where all is hidden, softmax spreads over hidden steps.
            attention = ops.where(mask, attention, 0.0)
        return attention

    def _heads(self, x):
        """Returns `(B, T, D)` as `(B, heads, T, D / heads)`."""
        width = self.units // self.num_heads
        return ops.transpose(ops.reshape(x, (-1, ops.shape(x)[1], self.num_heads, width)), (0, 2, 1, 3))
