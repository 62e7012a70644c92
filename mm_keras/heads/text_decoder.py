"""Decoder from the fused embedding to token logits."""

import keras

from mm_keras.checks import check_positive_int
from mm_keras.heads.token_crossentropy import TokenCrossentropy, token_accuracy


@keras.saving.register_keras_serializable(package="mm_keras")
class TextDecoder(keras.layers.Layer):
    """Gives logits for every position of a text at once.

    A position's logits are `dense(relu(z W + p_t))`: the embedding, projected, plus a learned vector for
    the position.

    Args:
        length: int > 0. Number of positions `T`, the start token included.
        vocabulary_size: int > 0. Number of token ids `V`.
        units: int > 0. Width of a position.

    Call arguments:
        inputs: float tensor `(B, D)`.

    Returns: float32 tensor of logits `(B, T, V)`.
    Raises: ValueError, if an argument is < 1.
    """

    def __init__(self, length, vocabulary_size, units=128, **kwargs):
        super().__init__(**kwargs)
        self.length = check_positive_int("TextDecoder", "length", length)
        self.vocabulary_size = check_positive_int("TextDecoder", "vocabulary_size", vocabulary_size)
        self.units = check_positive_int("TextDecoder", "units", units)
        dtype = self.dtype_policy
        self.project = keras.layers.Dense(units, dtype=dtype, name="project")
        self.hidden = keras.layers.Dense(units, activation="relu", dtype=dtype, name="hidden")
        self.logits = keras.layers.Dense(vocabulary_size, dtype=dtype, name="logits")
        self.relu = keras.layers.Activation("relu", dtype=dtype)
        self.float32 = keras.layers.Activation("linear", dtype="float32")

    def build(self, input_shape):
        self.project.build(input_shape)
        self.positions = self.add_weight(
            name="positions", shape=(self.length, self.units), initializer="random_normal"
        )
        self.hidden.build((input_shape[0], self.length, self.units))
        self.logits.build((input_shape[0], self.length, self.units))

    def call(self, inputs):
        x = self.relu(self.project(inputs)[:, None, :] + self.positions)  # (B, T, units)
        return self.float32(self.logits(self.hidden(x)))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.length, self.vocabulary_size)

    def get_config(self):
        return {
            **super().get_config(),
            "length": self.length,
            "vocabulary_size": self.vocabulary_size,
            "units": self.units,
        }

    def loss(self):
        return TokenCrossentropy()

    def metrics_of_output(self):
        return [keras.metrics.MeanMetricWrapper(token_accuracy, name="token_accuracy")]
