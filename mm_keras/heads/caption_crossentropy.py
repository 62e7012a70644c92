"""Loss and measures of the tokens of a text that is written one by one."""

import keras
from keras import ops


def token_surprise(y_true, y_pred):
    """Returns -log P of each token, float32 `(B, T)`, and 1 where there is one, else 0."""
    ids = ops.cast(y_true, "int32")
    entropy = keras.losses.sparse_categorical_crossentropy(ids, y_pred, from_logits=True)
    return entropy, ops.cast(ids != 0, "float32")


@keras.saving.register_keras_serializable(package="mm_keras")
def caption_accuracy(y_true, y_pred):
    """Returns the share of the tokens of each text, `(B,)`, that are the likeliest after the true ones."""
    ids = ops.cast(y_true, "int32")
    real = ops.cast(ids != 0, "float32")
    right = ops.cast(ids == ops.cast(ops.argmax(y_pred, axis=-1), "int32"), "float32")
    return ops.sum(right * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1.0)


@keras.saving.register_keras_serializable(package="mm_keras")
class CaptionCrossentropy(keras.losses.Loss):
    """Cross-entropy of token logits: its sum over the tokens of each text, divided by `tokens`.

    Every token counts alike, so that a text is as likely as the model of its tokens says. A mean over each
    text would let the first tokens of short texts, which tell what a text is about, count more than those of
    long ones, and favour short texts where the model is unsure.

    `y_true` is an int tensor `(B, T)`, 0 behind the end token; `y_pred` holds logits `(B, T, V)`. A row of
    zeros, which has no text, has a loss of 0.

    Args:
        label_smoothing: float in [0, 1). Share of the target that is spread over all tokens.
        tokens: int > 0. Number by which the sum is divided, whatever a text's own: of as many tokens the loss
            is in nats a token.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7 (label smoothing).
    """

    def __init__(self, label_smoothing=0.0, tokens=1, **kwargs):
        super().__init__(**{"name": "caption_crossentropy", **kwargs})
        self.label_smoothing, self.tokens = label_smoothing, tokens

    def call(self, y_true, y_pred):
        entropy, real = token_surprise(y_true, y_pred)
        if self.label_smoothing:
            spread = -ops.mean(ops.log_softmax(y_pred, axis=-1), axis=-1)
            entropy = (1 - self.label_smoothing) * entropy + self.label_smoothing * spread
        return ops.sum(entropy * real, axis=1) / self.tokens

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing, "tokens": self.tokens}
