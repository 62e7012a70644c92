"""Projections of several modalities into one space, in which those of a row lie close."""

import math

import keras
from keras import ops

from mm_keras.checks import check_positive, check_positive_int, closest, listing, message
from mm_keras.heads.pair_crossentropy import PairCrossentropy

LARGEST_SCALE = math.log(100.0)


@keras.saving.register_keras_serializable(package="mm_keras")
class Matcher(keras.layers.Layer):
    """Projects each modality's embedding to a vector of norm `1 / sqrt(temperature)`.

    The product of two such vectors is their cosine divided by the temperature, so that a loss of the products
    trains the temperature too. Divided by their norms they are embeddings for retrieval.

    Args:
        modalities: list of at least 2 str. Modalities `M` that are projected; they are read in sorted order.
        units: int > 0. Width `D` of the projections.
        temperature: float in [0.01, 1]. Temperature before training, which learns it within these bounds.

    Call arguments:
        inputs: dict with every modality's embedding, float tensor `(B, D_m)`, and "present", float tensor
            with a column for each of them (sorted by name): 1 where the modality is there, else 0.

    Returns: float32 tensor `(B, M, D)`, zeros where a modality is absent.
    Raises: ValueError, if an argument is out of range, or an embedding is not there or not `(B, D_m)`.
    Source: Radford et al. 2021, arXiv:2103.00020, sections 2.3 to 2.5: linear projections of norm 1; the
        logarithm of 1 / temperature is learned, begins at 1 / 0.07 and is clipped at 100. Ours is also kept
        at 1 or above.
    """

    def __init__(self, modalities, units=128, temperature=0.07, **kwargs):
        super().__init__(**kwargs)
        self.modalities = list(modalities)
        self.units = check_positive_int("Matcher", "units", units)
        self.temperature = check_positive("Matcher", "temperature", temperature)
        if not 0.01 <= temperature <= 1:
            fix = "Pass such a number, such as temperature=0.07."
            received = f"temperature={temperature!r}"
            raise ValueError(message("Matcher", "`temperature` in [0.01, 1]", received, fix))
        if len(set(self.modalities)) < max(2, len(self.modalities)):
            fix = 'Pass names such as ["image", "text"].'
            received = f"modalities={self.modalities!r}"
            raise ValueError(message("Matcher", "`modalities` of at least 2 names, each once", received, fix))
        self.projections = {
            name: keras.layers.Dense(
                units, use_bias=False, dtype=self.dtype_policy, name=f"{name}_projection"
            )
            for name in sorted(self.modalities)
        }

    def build(self, input_shape):
        self.places = sorted(name for name in input_shape if name != "present")
        for name, projection in self.projections.items():
            shape = input_shape.get(name)
            if shape is None or len(shape) != 2:
                expected = f"an embedding (B, D) of each of {listing(self.projections)}"
                received = f"{name!r} of shape {shape}" if shape else f"only {listing(self.places)}"
                fix = f"{closest(name, self.places)}Pass them, sequences pooled over time."
                raise ValueError(message("Matcher", expected, received, fix))
            projection.build(shape)
        self.log_scale = self.add_weight(
            name="log_scale",
            shape=(),
            initializer=keras.initializers.Constant(-math.log(self.temperature)),
            constraint=lambda x: ops.clip(x, 0.0, LARGEST_SCALE),
            autocast=False,
        )

    def call(self, inputs):
        parts = []
        for name, projection in self.projections.items():
            x = ops.cast(projection(inputs[name]), "float32")
            square = ops.sum(ops.square(x), axis=-1, keepdims=True)
            place = self.places.index(name)
            here = ops.cast(inputs["present"][:, place : place + 1], "float32")
            parts.append(here * x * ops.rsqrt(ops.maximum(square, 1e-12)))
        return ops.exp(0.5 * self.log_scale) * ops.stack(parts, axis=1)  # (B, M, D)

    def compute_output_shape(self, input_shape):
        return (input_shape["present"][0], len(self.modalities), self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "modalities": self.modalities,
            "units": self.units,
            "temperature": self.temperature,
        }

    def loss(self):
        return PairCrossentropy()

    def metrics_of_output(self):
        return []
