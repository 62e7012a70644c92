"""The code of an autoencoder, from whichever modalities are there."""

import keras
from keras import ops

from mm_keras.checks import check_choice, check_positive_int, check_present, check_ranks
from mm_keras.heads.divergence import Divergence

EXPERTS = ("product", "mixture")
WIDEST = 10.0  # Of a logarithm of a variance, to both sides.


@keras.saving.register_keras_serializable(package="mm_keras")
class Latent(keras.layers.Layer):
    """Lets each modality that is there say what the code may be, and joins what they say.

    Each is an expert: a dense layer gives a mean and, if `variational`, a variance of each of the code's
    units. A product of experts multiplies their normal distributions and the prior's, so that each that is
    there makes the code surer. A mixture draws one of them in training, so that the decoders learn from each
    alone, and takes the mean of them afterwards. The mixture of one expert is the plain variational
    autoencoder.

    Args:
        units: int > 0. Width `U` of the code.
        experts: "product" or "mixture". A product is variational.
        variational: bool. Draw the code in training from the distribution, and tell how far this is from the
            prior, a normal distribution of mean 0 and variance 1; else there are means alone.
        seed: int or None. Seed of what is drawn.

    Call arguments:
        inputs: dict with every modality's embedding, float tensor `(B, D_m)`, and "present", float tensor
            `(B, M)`: 1 where the modality (sorted by name) is there, else 0; without it all are there.

    Returns: dict. "code": float32 `(B, U)`, drawn in training and the mean afterwards. "divergence": float32
        `(B, 1)`, Kullback-Leibler divergence from the prior (nats); of a mixture the mean over its experts.
        0 of means alone.
    Raises: ValueError, if an argument is out of range, an embedding is not `(B, D_m)`, or "present" has
        another width.
    Source: Kingma and Welling 2014, arXiv:1312.6114; product: Wu and Goodman 2018, arXiv:1802.05335, section
        2.2 (MVAE); mixture: Shi et al. 2019, arXiv:1911.03393, section 3.1 (MMVAE), with one expert drawn for
        each row in place of the sum over all, which has the same mean.
    """

    def __init__(self, units, experts="product", variational=True, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("Latent", "units", units)
        self.variational = bool(variational)
        # Means alone have no certainty by which to multiply them.
        self.experts = check_choice("Latent", "experts", experts, EXPERTS if variational else EXPERTS[1:])
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        vectors = {name: shape for name, shape in input_shape.items() if name != "present"}
        check_ranks("Latent", vectors, 2, "Pool sequences over time first.")
        self.names = check_present("Latent", input_shape) if "present" in input_shape else sorted(vectors)
        width = self.units * (2 if self.variational else 1)
        self.dense = {
            name: keras.layers.Dense(width, dtype=self.dtype_policy, name=f"{name}_expert")
            for name in self.names
        }
        for name, layer in self.dense.items():
            layer.build(vectors[name])

    def call(self, inputs, training=False):
        said = [ops.cast(self.dense[name](inputs[name]), "float32") for name in self.names]
        said = ops.stack(said, axis=1)  # (B, M, U or 2 U)
        here = ops.ones_like(said[:, :, 0])
        if "present" in inputs:
            here = ops.cast(ops.cast(inputs["present"], "float32") > 0, "float32")
        here = here[:, :, None]
        mean = said[:, :, : self.units]
        if not self.variational:
            shares = self._draw(here) if training else _shares(here)
            return {"code": ops.sum(shares * mean, axis=1), "divergence": ops.zeros_like(mean[:, 0, :1])}
        log_variance = ops.clip(said[:, :, self.units :], -WIDEST, WIDEST)
        if self.experts == "product":
            surety = here * ops.exp(-log_variance)
            variance = 1.0 / (1.0 + ops.sum(surety, axis=1))  # 1 is the prior's.
            mean, log_variance = variance * ops.sum(surety * mean, axis=1), ops.log(variance)
            divergence = _divergence(mean, log_variance)
        else:
            divergence = ops.sum(_shares(here)[:, :, 0] * _divergence(mean, log_variance), axis=1)
            shares = self._draw(here) if training else _shares(here)
            mean, log_variance = (ops.sum(shares * x, axis=1) for x in (mean, log_variance))
        if training:
            noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
            mean = mean + ops.exp(0.5 * log_variance) * noise
        return {"code": mean, "divergence": divergence[:, None]}

    def compute_output_spec(self, inputs, training=False):
        rows = next(iter(inputs.values())).shape[0]
        return {
            "code": keras.KerasTensor((rows, self.units), "float32"),
            "divergence": keras.KerasTensor((rows, 1), "float32"),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "experts": self.experts,
            "variational": self.variational,
            "seed": self.seed,
        }

    def loss(self):
        return Divergence()

    def metrics_of_output(self):
        return []

    def _draw(self, here):
        """Returns 1 for one of those that are there, any with equal chance, else 0: `(B, M, 1)`."""
        draws = keras.random.uniform(ops.shape(here), seed=self.seed_generator) + here
        return ops.one_hot(ops.argmax(draws[:, :, 0], axis=1), len(self.names))[:, :, None]


def _shares(here):
    """Returns equal shares of those that are there, `(B, M, 1)`."""
    return here / ops.maximum(ops.sum(here, axis=1, keepdims=True), 1.0)


def _divergence(mean, log_variance):
    """Returns the divergence of normal distributions from that of mean 0 and variance 1, over the last
    axis."""
    return 0.5 * ops.sum(ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance, axis=-1)
