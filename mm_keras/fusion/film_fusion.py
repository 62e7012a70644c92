"""Feature-wise linear modulation: one modality, scaled and shifted by the others."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_ranks, closest, listing, message


@keras.saving.register_keras_serializable(package="mm_keras")
class FilmFusion(keras.layers.Layer):
    """Computes `relu(gamma * F + beta)`: `F` from one modality, `gamma` and `beta` from all the others.

    Args:
        units: int > 0. Width `D` of the fused embedding.
        conditioned: str or None. Name of the modality that the others modulate, such as the image that a
            question is about; None takes the first by name.

    Call arguments:
        inputs: dict of at least two modalities, name -> float tensor `(B, D_m)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if `units` < 1, an input is not `(B, D_m)`, there is one modality alone, or none is
        called `conditioned`.
    Source: Perez et al. 2018, arXiv:1709.07871, equations 1 and 2, with `gamma = 1 + delta`, as in the
        authors' model, so that it begins near 1. `F` is one dense layer on the embedding, where the paper
        has feature maps of a convolution and a batch normalisation.
    """

    def __init__(self, units, conditioned=None, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("FilmFusion", "units", units)
        self.conditioned = conditioned

    def build(self, input_shape):
        check_ranks("FilmFusion", input_shape, 2, "Pool sequences over time first.", at_least=2)
        self.names = sorted(input_shape)
        self.target = self.names[0] if self.conditioned is None else self.conditioned
        if self.target not in self.names:
            fix = f"{closest(self.target, self.names)}Name one of the modalities."
            expected = f"`conditioned` in {listing(self.names)}"
            raise ValueError(message("FilmFusion", expected, f"conditioned={self.conditioned!r}", fix))
        self.others = [name for name in self.names if name != self.target]
        width = sum(input_shape[name][-1] for name in self.others)
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[self.target][-1], self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.modulation = self.add_weight(name="modulation", shape=(width, 2 * self.units))
        self.modulation_bias = self.add_weight(
            name="modulation_bias", shape=(2 * self.units,), initializer="zeros"
        )

    def call(self, inputs):
        features = ops.matmul(inputs[self.target], self.kernel) + self.bias
        others = ops.concatenate([inputs[name] for name in self.others], axis=-1)
        modulation = ops.matmul(others, self.modulation) + self.modulation_bias
        gamma, beta = 1 + modulation[:, : self.units], modulation[:, self.units :]
        return ops.relu(gamma * features + beta)

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "conditioned": self.conditioned}
