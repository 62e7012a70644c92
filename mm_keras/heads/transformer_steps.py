"""Transformer over the tokens so far, which attends over a memory."""

import keras
from keras import ops

from mm_keras.attention_block import AttentionBlock, sinusoids
from mm_keras.checks import check_division, check_positive_int, check_rate


@keras.saving.register_keras_serializable(package="mm_keras")
class TransformerSteps(keras.layers.Layer):
    """Reads tokens with layers of two `AttentionBlock`: over the tokens so far, then over a memory.

    A whole text is read at once in training, and token by token by `begin` and `step`, with equal results.

    Args:
        units: int > 0. Width `U` of tokens and memory.
        num_heads: int > 0, a divisor of `units`.
        layers: int > 0. Number of layers.
        dropout: float in [0, 1). Dropout on the tokens and within the blocks.

    Call arguments:
        inputs: dict: "tokens", float tensor `(B, T, U)`; "memory", float tensor `(B, S, U)`; "steps", bool or
            float tensor `(B, S)`: False or 0 hides a step.

    Returns: float tensor `(B, T, U)`.
    Raises: ValueError, if an argument is out of range.
    Source: Vaswani et al. 2017, arXiv:1706.03762, figure 1, decoder, with the norm before each part (Xiong et
        al. 2020, arXiv:2002.04745). Theirs has one feed-forward part a layer, ours one behind each attention.
    """

    def __init__(self, units, num_heads=4, layers=2, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("TransformerSteps", "units", units)
        self.num_heads = check_division("TransformerSteps", "num_heads", num_heads, "units", units)
        self.layers = check_positive_int("TransformerSteps", "layers", layers)
        self.dropout = check_rate("TransformerSteps", "dropout", dropout)
        self.own = [self._block(f"own_{i}") for i in range(layers)]
        self.other = [self._block(f"other_{i}") for i in range(layers)]
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy, name="norm")

    def build(self, input_shape):
        shape = (input_shape["tokens"][0], None, self.units)
        for own, other in zip(self.own, self.other, strict=True):
            own.build(shape, shape)
            other.build(shape, (None, None, self.units))
        self.norm.build(shape)

    def call(self, inputs, training=None):
        return self.norm(self._read(inputs, training)[0])

    def compute_output_shape(self, input_shape):
        return tuple(input_shape["tokens"])

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "num_heads": self.num_heads,
            "layers": self.layers,
            "dropout": self.dropout,
        }

    def read(self, inputs, training=None):
        """Returns what `call` does, and how much each step attends to each of the memory in the last layer,
        as the mean of its heads: float32 `(B, T, S)`."""
        x, before = self._read(inputs, training)
        return self.norm(x), self.other[-1].attention(before, inputs["memory"], inputs["steps"])

    def begin(self, inputs, length):
        """Returns (context, state) before the first of `length` tokens; what each layer read is the state."""
        rows = ops.shape(inputs["memory"])[0]
        empty = ops.zeros((rows, length, self.units), self.compute_dtype)
        return (inputs["memory"], inputs["steps"]), (empty,) * self.layers

    def step(self, context, state, tokens, place):
        """Reads one token more, `(B, U)`, and returns (`(B, U)`, state)."""
        memory, steps = context
        places = ops.arange(state[0].shape[1], dtype="int32")
        position = ops.take(sinusoids(state[0]), place, axis=0)
        x, after = (tokens + ops.cast(position, tokens.dtype))[:, None, :], []
        for own, other, before in zip(self.own, self.other, state, strict=True):
            read = ops.where((places == place)[None, :, None], x, before)
            after.append(read)
            x = own(x, context=read, mask=(places <= place)[None, :])
            x = other(x, context=memory, mask=steps)
        return self.norm(x)[:, 0], tuple(after)

    def _read(self, inputs, training=False):
        """Returns the steps behind the last layer, and before it attends to the memory."""
        tokens = inputs["tokens"]
        places = ops.arange(ops.shape(tokens)[1])
        earlier = (places[None, :] <= places[:, None])[None]  # (1, T, T)
        x = self.drop(tokens + ops.cast(sinusoids(tokens), tokens.dtype), training=training)
        for own, other in zip(self.own, self.other, strict=True):
            before = own(x, context=x, mask=earlier, training=training)
            x = other(before, context=inputs["memory"], mask=inputs["steps"], training=training)
        return x, before

    def _block(self, name):
        return AttentionBlock(self.units, self.num_heads, self.dropout, dtype=self.dtype_policy, name=name)
