"""Reconstruction loss of images."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mm_keras")
class PixelCrossentropy(keras.losses.Loss):
    """Binary cross-entropy between pixels scaled from 0..255 to 0..1, averaged over each image.

    Both `y_true` and `y_pred` are float tensors `(B, H, W, C)` in 0 to 255. Unit: nats a pixel.
    Source: Kingma and Welling 2014, arXiv:1312.6114, appendix C.1 (Bernoulli decoder).
    """

    def call(self, y_true, y_pred):
        true = ops.cast(y_true, "float32") / 255.0
        pred = ops.clip(ops.cast(y_pred, "float32") / 255.0, 1e-6, 1 - 1e-6)
        entropy = -(true * ops.log(pred) + (1 - true) * ops.log(1 - pred))
        return ops.mean(entropy, axis=(1, 2, 3))
