"""Decoder from the fused embedding to an image."""

import keras

from mm_keras.heads.painter import Painter
from mm_keras.heads.pixel_crossentropy import PixelCrossentropy


@keras.saving.register_keras_serializable(package="mm_keras")
class ImageDecoder(Painter):
    """Paints an image by transposed convolutions, each of which doubles height and width.

    Args:
        height: int > 0. Height `H` of the image (pixels).
        width: int > 0. Width `W` of the image (pixels).
        channels: int > 0. Number of channels `C`.
        filters: list of ints > 0. Filters of each transposed convolution, the coarsest first.

    Call arguments:
        inputs: float tensor `(B, D)`.

    Returns: float32 tensor `(B, H, W, C)` in 0 to 255.
    Raises: ValueError, if an argument is out of range.
    """

    def __init__(self, height, width, channels, filters=(64, 32), **kwargs):
        super().__init__(height, width, channels, filters, **kwargs)
        self.sigmoid = keras.layers.Activation("sigmoid", dtype="float32")

    def call(self, inputs):
        return self.sigmoid(super().call(inputs)) * 255.0

    def loss(self):
        return PixelCrossentropy()

    def metrics_of_output(self):
        return [keras.metrics.MeanAbsoluteError(name="pixel_error")]
