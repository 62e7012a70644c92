"""Encoder of images from the models of `keras.applications`."""

import contextlib
import sys
from pathlib import Path

import keras
from keras import ops

from mm_keras.applications import SMALLEST_SIZES
from mm_keras.checks import check_choice, check_rank, check_rate, message


@contextlib.contextmanager
def _default_policy(policy):
    """Makes layers under a policy, where no argument passes it on."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@keras.saving.register_keras_serializable(package="mm_keras")
class ApplicationEncoder(keras.layers.Layer):
    """Reads an image with a model of `keras.applications`, its preprocessing included.

    The model has no classifier on top: its last map is averaged over the image. An image of one channel is
    repeated to three. Most of these models normalise over the batch in training, so that rows without an
    image enter their statistics.

    Args:
        model: str. Name of the model, such as "MobileNetV3Small".
        weights: str or None. "imagenet" downloads those that Keras offers, else a file that
            `save_weights` of the same model wrote, also without its top; None draws them. They become
            weights of this layer: its configuration says None, and a written model needs neither.
        trainable: bool. False freezes the model.
        dropout: float in [0, 1). Dropout on the embedding.

    Call arguments:
        inputs: float tensor `(B, H, W, C)`, pixels in 0 to 255, `C` 1 or 3.

    Returns: float tensor `(B, D)`, as wide as the model's last map.
    Raises: ValueError, if the model is unknown, the file of weights is missing or of another model, or the
        input is not `(B, H, W, C)` or smaller than the model reads.
    Source: `keras.applications`, which names the paper of each model.
    """

    def __init__(self, model, weights=None, trainable=True, dropout=0.0, **kwargs):
        super().__init__(trainable=trainable, **kwargs)
        self.model = check_choice("ApplicationEncoder", "model", model, SMALLEST_SIZES)
        self.weights_from = self._check_weights(weights)
        self.dropout = check_rate("ApplicationEncoder", "dropout", dropout)
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        check_rank("ApplicationEncoder", "inputs", input_shape, 4, "Pass images (B, H, W, C).")
        _, height, width, channels = input_shape
        least = SMALLEST_SIZES[self.model]
        if min(height, width) < least or channels not in (1, 3):
            expected = f"images of at least {least}x{least} pixels and 1 or 3 channels for `{self.model}`"
            received = f"inputs.shape={tuple(input_shape)}"
            raise ValueError(message("ApplicationEncoder", expected, received, "Resize the images."))
        make = getattr(keras.applications, self.model)
        self.preprocess = sys.modules[make.__module__].preprocess_input
        shape = (height, width, 3)
        try:
            with _default_policy(self.dtype_policy):
                weights = self.weights_from
                self.network = make(include_top=False, weights=weights, input_shape=shape, pooling="avg")
        except ValueError as error:
            fix = f"Write them with `save_weights` of the model without its top. Keras says: {error}"
            expected = f"weights of `{self.model}`"
            received = f"weights={self.weights_from!r}"
            raise ValueError(message("ApplicationEncoder", expected, received, fix)) from error
        self.network.trainable = self.trainable

    def call(self, inputs, training=None):
        x = ops.concatenate([inputs] * 3, axis=-1) if inputs.shape[-1] == 1 else inputs
        x = self.network(self.preprocess(x), training=training)
        return self.drop(x, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.network.output_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "model": self.model,
            "weights": None,
            "trainable": self.trainable,
            "dropout": self.dropout,
        }

    def _check_weights(self, weights):
        if weights not in (None, "imagenet") and not Path(weights).is_file():
            fix = "Check the path, or write null for weights that are drawn."
            expected = "`weights` to be null, `imagenet` or a file"
            raise ValueError(message("ApplicationEncoder", expected, f"weights={weights!r}", fix))
        return weights
