"""Which steps of a sequence are seen where the whole of it may be absent."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mm_keras")
class ShownSteps(keras.layers.Layer):
    """Tells which steps of a sequence are shown: those that its mask shows; of an absent one the first alone.

    Args:
        place: int >= 0. Column of the modality in `present`.

    Call arguments:
        inputs: bool tensor `(B, T)`, the mask of the sequence; or float tensor `(B, T, D)`, the sequence
            itself, if it has none.
        present: float tensor `(B, M)`. 1 where a modality is there, else 0.

    Returns: bool tensor `(B, T)`.
    """

    def __init__(self, place, **kwargs):
        super().__init__(**kwargs)
        self.place = place

    def call(self, inputs, present):
        first = ops.arange(ops.shape(inputs)[1]) < 1
        here = present[:, self.place : self.place + 1] > 0  # (B, 1)
        mask = inputs if len(inputs.shape) == 2 else ops.ones_like(inputs[:, :, 0], dtype="bool")
        return ops.where(here, ops.cast(mask, "bool"), first)

    def compute_output_spec(self, inputs, present):
        return keras.KerasTensor(inputs.shape[:2], dtype="bool")

    def get_config(self):
        return {**super().get_config(), "place": self.place}
