"""Reconstruction loss of texts."""

import keras
from keras import ops


def counted_tokens(ids):
    """Returns 1 for each token and the first padding after them, else 0: float32 `(B, T)`."""
    real = ops.cast(ops.not_equal(ids, 0), "float32")
    before = ops.concatenate([ops.ones_like(real[:, :1]), real[:, :-1]], axis=1)
    return ops.maximum(real, before)


@keras.saving.register_keras_serializable(package="mm_keras")
def token_accuracy(y_true, y_pred):
    """Returns the share of right tokens of each text, `(B,)`; the first padding counts, the rest does not."""
    ids = ops.cast(y_true, "int32")
    counted = counted_tokens(ids)
    right = ops.cast(ops.equal(ids, ops.cast(ops.argmax(y_pred, axis=-1), "int32")), "float32")
    return ops.sum(right * counted, axis=1) / ops.sum(counted, axis=1)


@keras.saving.register_keras_serializable(package="mm_keras")
class TokenCrossentropy(keras.losses.Loss):
    """Cross-entropy of token logits, averaged over the tokens of each text and the first padding after it.

    `y_true` is an int tensor `(B, T)`, 0 = padding; `y_pred` holds logits `(B, T, V)`. The first padding
    counts, so that the decoder learns where a text ends; what follows it does not. Unit: nats a token.
    """

    def call(self, y_true, y_pred):
        ids = ops.cast(y_true, "int32")
        entropy = keras.losses.sparse_categorical_crossentropy(ids, y_pred, from_logits=True)  # (B, T)
        counted = counted_tokens(ids)
        return ops.sum(entropy * counted, axis=1) / ops.sum(counted, axis=1)
