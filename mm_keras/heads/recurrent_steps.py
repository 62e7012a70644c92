"""Recurrent reader of the tokens so far, which attends over a memory."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_rate

CELLS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


@keras.saving.register_keras_serializable(package="mm_keras")
class RecurrentSteps(keras.layers.Layer):
    """Reads tokens with recurrent layers and joins each step with what it attends to in a memory.

    For the last layer's output `h_t` and the memory's steps `m_s`:

        h_t = cell(x_t, h_(t-1)),   h_0 = tanh(W_0 z + b_0)
        a_t = softmax_s(h_t W_a m_s / sqrt(units)),   c_t = sum_s a_ts m_s
        y_t = tanh(W_c [c_t; h_t] + b_c)

    A whole text is read at once in training, and token by token by `begin` and `step`, with equal results.

    Args:
        units: int > 0. Width `U` of the recurrent layers and of the memory.
        cell: "gru" or "lstm".
        layers: int > 0. Number of recurrent layers.
        dropout: float in [0, 1). Dropout on the tokens and on what is returned.

    Call arguments:
        inputs: dict: "tokens", float tensor `(B, T, E)`; "fused", `z`, float tensor `(B, D)`; "memory", float
            tensor `(B, S, U)`; "steps", bool or float tensor `(B, S)`: False or 0 hides a step.

    Returns: float tensor `(B, T, U)`.
    Raises: ValueError, if an argument is out of range.
    Source: Luong et al. 2015, arXiv:1508.04025, equations 5, 7 and 8 (global attention, "general"), without
        input feeding, so that training does not go step by step; theirs begins from the encoder's last state,
        and does not divide by sqrt(units).
    """

    def __init__(self, units, cell="gru", layers=1, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("RecurrentSteps", "units", units)
        self.cell = check_choice("RecurrentSteps", "cell", cell, CELLS)
        self.layers = check_positive_int("RecurrentSteps", "layers", layers)
        self.dropout = check_rate("RecurrentSteps", "dropout", dropout)
        dtype = self.dtype_policy
        self.readers = [
            CELLS[cell](units, return_sequences=True, dtype=dtype, name=f"reader_{i}") for i in range(layers)
        ]
        states = layers * (2 if cell == "lstm" else 1)
        self.first = keras.layers.Dense(units * states, activation="tanh", dtype=dtype, name="first")
        self.key = keras.layers.Dense(units, use_bias=False, dtype=dtype, name="key")
        self.join = keras.layers.Dense(units, activation="tanh", dtype=dtype, name="join")
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, input_shape):
        shape = tuple(input_shape["tokens"])
        for reader in self.readers:
            reader.build(shape)
            shape = (*shape[:-1], self.units)
        self.first.build(input_shape["fused"])
        self.key.build(input_shape["memory"])
        self.join.build((*shape[:-1], 2 * self.units))

    def call(self, inputs, training=None):
        return self.read(inputs, training)[0]

    def compute_output_shape(self, input_shape):
        return (*input_shape["tokens"][:2], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "cell": self.cell,
            "layers": self.layers,
            "dropout": self.dropout,
        }

    def read(self, inputs, training=None):
        """Returns what `call` does, and how much each step attends to each of the memory: float32 `(B, T,
        S)`, of sum 1."""
        context, state = self.begin(inputs)
        x = self.drop(inputs["tokens"], training=training)
        for reader, first in zip(self.readers, self._by_layer(state), strict=True):
            x = reader(x, initial_state=first, training=training)
        x, attention = self._attend(x, context)
        return self.drop(x, training=training), attention

    def begin(self, inputs, length=None):
        """Returns (context, state) before the first token: the former stays, the latter is a tuple."""
        memory = inputs["memory"]
        first = self.first(inputs["fused"])
        count = first.shape[-1] // self.units
        return (memory, self.key(memory), inputs["steps"]), tuple(ops.split(first, count, axis=-1))

    def step(self, context, state, tokens, place):
        """Reads one token more, `(B, E)`, and returns (`(B, U)`, state)."""
        x, after = tokens, []
        for reader, before in zip(self.readers, self._by_layer(state), strict=True):
            x, new = reader.cell(x, before, training=False)
            after += list(new)
        return self._attend(x[:, None, :], context)[0][:, 0], tuple(after)

    def _by_layer(self, state):
        size = len(state) // self.layers
        return [list(state[i : i + size]) for i in range(0, len(state), size)]

    def _weigh(self, x, context):
        _, keys, steps = context
        scores = ops.cast(ops.matmul(x, ops.transpose(keys, (0, 2, 1))), "float32")  # (B, T, S)
        scores = scores * self.units**-0.5
        return ops.softmax(ops.where(ops.cast(steps, "bool")[:, None, :], scores, -1e9), axis=-1)

    def _attend(self, x, context):
        memory, attention = context[0], self._weigh(x, context)
        attended = ops.matmul(ops.cast(attention, memory.dtype), memory)
        return self.join(ops.concatenate([attended, x], axis=-1)), attention
