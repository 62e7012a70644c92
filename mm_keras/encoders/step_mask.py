"""Which steps of a sequence of feature vectors are no padding."""

import keras

from mm_keras.encoders.standardized_features import steps_before_padding


@keras.saving.register_keras_serializable(package="mm_keras")
class StepMask(keras.layers.Layer):
    """Tells which steps are no padding, which is what follows the last step that is not all zeros.

    Call arguments:
        inputs: float tensor `(B, T, D)`.

    Returns: bool tensor `(B, T)`; the first step is True always.
    """

    def call(self, inputs):
        return steps_before_padding(inputs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape[:2], dtype="bool")
