"""Transposed convolutions from an embedding to a picture of any size."""

import math

import keras

from mm_keras.checks import check_positive_int, check_positive_ints


@keras.saving.register_keras_serializable(package="mm_keras")
class Painter(keras.layers.Layer):
    """Paints a picture from an embedding; each transposed convolution doubles height and width.

    Args:
        height: int > 0. Height `H` of the picture.
        width: int > 0. Width `W` of the picture.
        channels: int > 0. Number of channels `C`.
        filters: list of ints > 0. Filters of each transposed convolution, the coarsest first.

    Call arguments:
        inputs: float tensor `(B, D)`.

    Returns: float tensor `(B, H, W, C)`, no activation.
    Raises: ValueError, if an argument is out of range.
    """

    def __init__(self, height, width, channels, filters=(64, 32), **kwargs):
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.height = check_positive_int(owner, "height", height)
        self.width = check_positive_int(owner, "width", width)
        self.channels = check_positive_int(owner, "channels", channels)
        self.filters = check_positive_ints(owner, "filters", filters)
        dtype = self.dtype_policy
        scale = 2 ** len(self.filters)
        self.grid = (math.ceil(height / scale), math.ceil(width / scale), self.filters[0])
        self.seed = keras.layers.Dense(math.prod(self.grid), activation="relu", dtype=dtype, name="seed")
        self.reshape = keras.layers.Reshape(self.grid, dtype=dtype)
        self.stages = [
            keras.layers.Conv2DTranspose(
                size, 3, strides=2, padding="same", activation="relu", dtype=dtype, name=f"stage_{i}"
            )
            for i, size in enumerate(self.filters)
        ]
        self.paint = keras.layers.Conv2D(channels, 3, padding="same", dtype=dtype, name="paint")

    def build(self, input_shape):
        self.seed.build(input_shape)
        shape = (input_shape[0], *self.grid)
        for stage in self.stages:
            stage.build(shape)
            shape = stage.compute_output_shape(shape)
        self.paint.build(shape)

    def call(self, inputs):
        x = self.reshape(self.seed(inputs))
        for stage in self.stages:
            x = stage(x)
        return self.paint(x)[:, : self.height, : self.width]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.height, self.width, self.channels)

    def get_config(self):
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
            "channels": self.channels,
            "filters": self.filters,
        }
