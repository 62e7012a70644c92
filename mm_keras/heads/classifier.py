"""Classification of the fused embedding."""

import keras

from mm_keras.checks import check_positive_int, check_rate


@keras.saving.register_keras_serializable(package="mm_keras")
class Classifier(keras.layers.Layer):
    """Gives a probability for each class: they sum to 1, or each stands alone with `multi_label`.

    Args:
        num_classes: int > 0. Number of classes `C`.
        multi_label: bool. Any number of classes may hold at once.
        label_smoothing: float in [0, 1). Share of the target that is spread over all classes.

    Call arguments:
        inputs: float tensor `(B, D)`.

    Returns: float32 tensor `(B, C)`.
    Raises: ValueError, if an argument is out of range.
    """

    def __init__(self, num_classes, multi_label=False, label_smoothing=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = check_positive_int("Classifier", "num_classes", num_classes)
        self.multi_label = multi_label
        self.label_smoothing = check_rate("Classifier", "label_smoothing", label_smoothing)
        activation = "sigmoid" if multi_label else "softmax"
        self.logits = keras.layers.Dense(num_classes, dtype=self.dtype_policy, name="logits")
        self.activation = keras.layers.Activation(activation, dtype="float32")

    def build(self, input_shape):
        self.logits.build(input_shape)

    def call(self, inputs):
        return self.activation(self.logits(inputs))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "multi_label": self.multi_label,
            "label_smoothing": self.label_smoothing,
        }

    def loss(self):
        kind = keras.losses.BinaryCrossentropy if self.multi_label else keras.losses.CategoricalCrossentropy
        return kind(label_smoothing=self.label_smoothing)

    def metrics_of_output(self):
        average = {"average": "macro", "name": "macro_f1"}
        if self.multi_label:
            accuracy = keras.metrics.BinaryAccuracy(name="accuracy")
            return [accuracy, keras.metrics.F1Score(threshold=0.5, **average)]
        return [keras.metrics.CategoricalAccuracy(name="accuracy"), keras.metrics.F1Score(**average)]
