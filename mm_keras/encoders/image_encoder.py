"""Convolutional encoder of images."""

import math

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_positive_ints, check_rank, check_rate
from mm_keras.encoders.conv_stages import HALVINGS, ConvStages


@keras.saving.register_keras_serializable(package="mm_keras")
class ImageEncoder(keras.layers.Layer):
    """Reads an image by stages of convolution that halve it, then one dense layer over the whole map.

    Args:
        filters: list of ints > 0. Filters of each 3x3 convolution; each stage halves height and width.
        units: int > 0. Width of the embedding.
        dropout: float in [0, 1). Dropout before and after the dense layer.
        halving: "pool" or "stride". How a stage of `ConvStages` halves.
        pooling: "flatten" or "none". With "none" the dense layer is applied to each place of the map.

    Call arguments:
        inputs: float tensor `(B, H, W, C)`, pixels in 0 to 255.

    Returns: float tensor `(B, units)`; with pooling "none" `(B, places, units)`, row by row.
    Raises: ValueError, if an argument is out of range or the input is not `(B, H, W, C)`.
    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition".
    """

    def __init__(self, filters=(32, 64), units=128, dropout=0.0, halving="pool", pooling="flatten", **kwargs):
        super().__init__(**kwargs)
        self.filters = check_positive_ints("ImageEncoder", "filters", filters)
        self.halving = check_choice("ImageEncoder", "halving", halving, HALVINGS)
        self.pooling = check_choice("ImageEncoder", "pooling", pooling, ("flatten", "none"))
        self.units = check_positive_int("ImageEncoder", "units", units)
        self.dropout = check_rate("ImageEncoder", "dropout", dropout)
        dtype = self.dtype_policy
        self.scale = keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype=dtype)
        self.stages = ConvStages(self.filters, halving, dtype=dtype, name="stages")
        self.flatten = keras.layers.Flatten(dtype=dtype)
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)
        self.dense = keras.layers.Dense(units, activation="relu", dtype=dtype, name="dense")

    def build(self, input_shape):
        check_rank("ImageEncoder", "inputs", input_shape, 4, "Pass images (B, H, W, C).")
        self.stages.build(input_shape)
        shape = self.stages.compute_output_shape(input_shape)
        self.dense.build(self._flat(shape))

    def call(self, inputs, training=None):
        x = self.stages(self.scale(inputs))
        x = self.flatten(x) if self.pooling == "flatten" else ops.reshape(x, (-1, *self._flat(x.shape)[1:]))
        x = self.drop(x, training=training)
        return self.drop(self.dense(x), training=training)

    def compute_output_shape(self, input_shape):
        flat = self._flat(self.stages.compute_output_shape(input_shape))
        return (*flat[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "halving": self.halving,
            "units": self.units,
            "dropout": self.dropout,
            "pooling": self.pooling,
        }

    def _flat(self, shape):
        """Returns the shape of what the dense layer reads, from that of the last map."""
        if self.pooling == "flatten":
            return (shape[0], math.prod(shape[1:]))
        return (shape[0], math.prod(shape[1:3]), shape[3])
