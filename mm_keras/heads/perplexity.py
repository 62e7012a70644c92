"""How surprising texts are to a model."""

import keras
from keras import ops

from mm_keras.heads.caption_crossentropy import token_surprise


@keras.saving.register_keras_serializable(package="mm_keras")
class Perplexity(keras.metrics.Mean):
    """exp of the mean of -log P over all tokens of all texts, each after the true ones: 1 is perfect."""

    def __init__(self, name="perplexity", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        entropy, real = token_surprise(y_true, y_pred)
        if sample_weight is not None:
            real = real * ops.cast(ops.reshape(sample_weight, (-1, 1)), "float32")
        return super().update_state(entropy, sample_weight=real)

    def result(self):
        return ops.exp(super().result())
