"""The Keras mask of a sequence, as a tensor."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mm_keras")
class SequenceMask(keras.layers.Layer):
    """Gives the mask that a sequence carries along as a tensor of the graph, to be passed on by name.

    Call arguments:
        inputs: float tensor `(B, T, D)`.
        mask: bool tensor `(B, T)` or None; by default the mask that Keras carries along.

    Returns: bool tensor `(B, T)`, True everywhere without a mask.
    """

    def call(self, inputs, mask=None):
        return ops.ones_like(inputs[:, :, 0], dtype="bool") if mask is None else ops.cast(mask, "bool")

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(self, inputs, mask=None):
        return keras.KerasTensor(inputs.shape[:2], dtype="bool")
