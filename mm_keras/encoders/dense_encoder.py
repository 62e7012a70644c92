"""Dense encoder of feature vectors, numbers and flattened sequences."""

import keras

from mm_keras.checks import check_positive_int, check_rate


@keras.saving.register_keras_serializable(package="mm_keras")
class DenseEncoder(keras.layers.Layer):
    """Flattens its input and passes it through dense layers.

    Args:
        units: int > 0. Width of every dense layer.
        layers: int > 0. Number of dense layers.
        dropout: float in [0, 1). Dropout after each of them.

    Call arguments:
        inputs: float tensor `(B, ...)`, every axis known but the first.

    Returns: float tensor `(B, units)`.
    Raises: ValueError, if an argument is out of range.
    """

    def __init__(self, units=64, layers=2, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("DenseEncoder", "units", units)
        self.layers = check_positive_int("DenseEncoder", "layers", layers)
        self.dropout = check_rate("DenseEncoder", "dropout", dropout)
        dtype = self.dtype_policy
        self.flatten = keras.layers.Flatten(dtype=dtype)
        self.stack = [
            keras.layers.Dense(units, activation="relu", dtype=dtype, name=f"dense_{i}")
            for i in range(layers)
        ]
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, input_shape):
        shape = self.flatten.compute_output_shape(input_shape)
        for layer in self.stack:
            layer.build(shape)
            shape = (shape[0], self.units)

    def call(self, inputs, training=None):
        x = self.flatten(inputs)
        for layer in self.stack:
            x = self.drop(layer(x), training=training)
        return x

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "layers": self.layers,
            "dropout": self.dropout,
        }
