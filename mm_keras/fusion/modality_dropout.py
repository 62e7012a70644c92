"""Modality dropout: rows of training that lack a modality which they have."""

import keras
from keras import ops

from mm_keras.checks import check_present, check_rates, closest, listing, message


@keras.saving.register_keras_serializable(package="mm_keras")
class ModalityDropout(keras.layers.Layer):
    """Takes modalities that are there as absent, in training, each with probability `rate` and per example.

    Never all of an example: of those that it drew to hide, one stays, any with equal chance.

    Args:
        rate: float in [0, 1), or dict, modality name -> such a float. Probability that a modality is hidden
            in training; one that the dict does not name is never hidden.
        seed: int or None. Seed of these draws.

    Call arguments:
        inputs: dict with every modality's embedding, float tensor `(B, D_m)` or `(B, T, D_m)`, and
            "present", float tensor `(B, M)`: 1 where the modality (sorted by name) is there, else 0.

    Returns: dict, as the inputs, with another "present": what `MissingModality` reads.
    Raises: ValueError, if `rate` is out of range or names a modality that the inputs lack, or "present" is
        not there or has another width.
    Source: Neverova et al. 2016, arXiv:1501.00102 (ModDrop).
    """

    def __init__(self, rate=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = check_rates("ModalityDropout", "rate", rate)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        self.names = check_present("ModalityDropout", input_shape)
        for name in self.rate if isinstance(self.rate, dict) else ():
            if name not in self.names:
                fix = f"{closest(name, self.names)}Name modalities of the inputs."
                expected = f"`rate` of names among {listing(self.names)}"
                raise ValueError(message("ModalityDropout", expected, f"`{name}`", fix))

    def call(self, inputs, training=None):
        if training and any(self._rates()):
            return {**inputs, "present": self._hide(ops.cast(inputs["present"], "float32"))}
        return dict(inputs)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, input_shape):
        return dict(input_shape)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}

    def _rates(self):
        """Returns the rate of each modality, in the order of `present`."""
        if isinstance(self.rate, dict):
            return [self.rate.get(name, 0.0) for name in self.names]
        return [self.rate] * len(self.names)

    def _hide(self, present):
        rates = ops.convert_to_tensor(self._rates(), "float32")
        draws = keras.random.uniform(ops.shape(present), seed=self.seed_generator)
        kept = ops.cast(draws >= rates, "float32") * present
        # Where all are drawn, each draw is uniform below its rate: divided by it, the largest is fair.
        fair = ops.where(present > 0, draws / ops.maximum(rates, 1e-7), -1.0)
        best = ops.one_hot(ops.argmax(fair, axis=-1), len(self.names)) * present
        return ops.where(ops.any(kept > 0, axis=-1, keepdims=True), kept, best)
