"""Learned tokens in place of absent modalities, and modality dropout."""

import keras
from keras import ops

from mm_keras.checks import check_modalities, check_rate, message


@keras.saving.register_keras_serializable(package="mm_keras")
class MissingModality(keras.layers.Layer):
    """Replaces the embedding of an absent modality by a learned token.

    In training it also hides modalities that are there, each with probability `rate` and per example, but
    never all of an example: of those that it drew to hide, one stays.

    Args:
        rate: float in [0, 1). Probability that a modality is hidden in training.
        seed: int or None. Seed of these draws.

    Call arguments:
        inputs: dict with every modality's embedding, float tensor `(B, D_m)` or `(B, T, D_m)`, and
            "present", float tensor `(B, M)`: 1 where the modality (sorted by name) is there, else 0.

    Returns: dict, modality name -> tensor of the same shape, without "present".
    Raises: ValueError, if `rate` is out of range, or "present" is not there or has another width.
    Source: Neverova et al. 2016, arXiv:1501.00102 (ModDrop), with learned tokens in place of zeros.
    """

    def __init__(self, rate=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = check_rate("MissingModality", "rate", rate)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        check_modalities("MissingModality", input_shape, 2)
        self.names = sorted(name for name in input_shape if name != "present")
        present = input_shape.get("present")
        if present is None or len(present) != 2 or present[1] != len(self.names):
            fix = 'Pass {"image": ..., "text": ..., "present": ones of shape (B, 2)}.'
            expected = f'"present" of shape (B, {len(self.names)}), one column a modality'
            raise ValueError(message("MissingModality", expected, f"present.shape={present}", fix))
        self.tokens = {
            name: self.add_weight(name=f"{name}_token", shape=(input_shape[name][-1],), initializer="zeros")
            for name in self.names
        }

    def call(self, inputs, training=None):
        present = ops.cast(inputs["present"], "float32")
        if training and self.rate > 0:
            present = self._hide(present)
        outputs = {}
        for i, name in enumerate(self.names):
            x = inputs[name]
            here = ops.reshape(present[:, i] > 0, (-1,) + (1,) * (len(x.shape) - 1))
            outputs[name] = ops.where(here, x, ops.cast(self.tokens[name], x.dtype))
        return outputs

    def compute_output_shape(self, input_shape):
        return {name: shape for name, shape in input_shape.items() if name != "present"}

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}

    def _hide(self, present):
        draws = keras.random.uniform(ops.shape(present), seed=self.seed_generator) * present
        kept = ops.cast(draws > self.rate, "float32")
        best = ops.one_hot(ops.argmax(draws, axis=-1), len(self.names)) * present
        return ops.where(ops.any(kept > 0, axis=-1, keepdims=True), kept, best)
