"""Learned tokens in place of absent modalities."""

import warnings

import keras
from keras import ops

from mm_keras.checks import check_present, message
from mm_keras.fusion.shown_steps import ShownSteps


@keras.saving.register_keras_serializable(package="mm_keras")
class MissingModality(keras.layers.Layer):
    """Replaces the embedding of an absent modality by a learned token.

    An absent sequence is one step, the token, whatever stood there: its Keras mask hides the others.

    Call arguments:
        inputs: dict with every modality's embedding, float tensor `(B, D_m)` or `(B, T, D_m)`, and
            "present", float tensor `(B, M)`: 1 where the modality (sorted by name) is there, else 0.

    Returns: dict, modality name -> tensor of the same shape, without "present". A sequence has a Keras mask,
        bool `(B, T)`: its own where the modality is there, which hides nothing if there was none.
    Raises: ValueError, if "present" is not there or has another width.
    Source: Neverova et al. 2016, arXiv:1501.00102, with learned tokens in place of zeros.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def build(self, input_shape):
        self.names = check_present("MissingModality", input_shape)
        self.tokens, self.shown_steps = {}, {}
        for place, name in enumerate(self.names):
            width = input_shape[name][-1]
            self.tokens[name] = self.add_weight(name=f"{name}_token", shape=(width,), initializer="zeros")
            if len(input_shape[name]) == 3:
                self.shown_steps[name] = ShownSteps(place, dtype="float32", name=f"{self.name}.{name}")

    def call(self, inputs):
        outputs = {}
        for place, name in enumerate(self.names):
            x = inputs[name]
            here = ops.reshape(inputs["present"][:, place] > 0, (-1,) + (1,) * (len(x.shape) - 1))
            outputs[name] = ops.where(here, x, ops.cast(self.tokens[name], x.dtype))
        return outputs

    def compute_mask(self, inputs, previous_mask):
        masks = dict.fromkeys(self.names)
        for name, shown_steps in self.shown_steps.items():
            own = (previous_mask or {}).get(name)
            masks[name] = shown_steps(inputs[name] if own is None else own, inputs["present"])
        return masks

    def compute_output_shape(self, input_shape):
        return {name: shape for name, shape in input_shape.items() if name != "present"}

    def get_config(self):
        return super().get_config()

    @classmethod
    def from_config(cls, config):
        # Until 0.1 this layer drew what training hides, which `ModalityDropout` does now.
        rate, _ = config.pop("rate", 0), config.pop("seed", None)
        if rate:
            fix = "It answers as before; to train it further, build it anew."
            received = f"rate={rate!r}, which an earlier version wrote"
            warnings.warn(message("MissingModality", "no `rate`", received, fix), stacklevel=2)
        return cls(**config)
