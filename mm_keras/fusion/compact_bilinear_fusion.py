"""Multimodal compact bilinear pooling (MCB): a random sketch of the outer product of all modalities."""

import keras
import numpy as np
from keras import ops

from mm_keras.checks import check_positive_int, check_power_of_two, check_ranks


def signed_sqrt(x):
    """Returns `sign(x) sqrt(|x|)`, made smooth at 0, where the root's slope has no bound."""
    return x * ops.rsqrt(ops.abs(x) + 1e-6)


def unit_length(x):
    """Returns the rows of `(B, D)` at an l2 norm of 1; a row of zeros stays one."""
    return x * ops.rsqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + 1e-6)


def circular_convolution(sketches):
    """Returns the circular convolution of float tensors `(B, N)`, `N` a power of two.

    The spectra are multiplied by their real and imaginary parts. The inverse is a Hartley transform, whose
    inverse is itself: it needs a forward transform alone, and TFLite has no other.
    """
    real, imaginary = ops.rfft(sketches[0])
    for sketch in sketches[1:]:
        a, b = ops.rfft(sketch)
        real, imaginary = real * a - imaginary * b, real * b + imaginary * a
    real, imaginary = ops.rfft(_hartley(real, imaginary))
    return _hartley(real, imaginary) / sketches[0].shape[-1]


def _hartley(real, imaginary):
    """Returns the Hartley transform `(B, N)` from the first half `(B, N / 2 + 1)` of a Fourier transform."""
    second = ops.flip((real + imaginary)[:, 1:-1], axis=-1)
    return ops.concatenate([real - imaginary, second], axis=-1)


@keras.saving.register_keras_serializable(package="mm_keras")
class CompactBilinearFusion(keras.layers.Layer):
    """Projects the outer product of all `[x_m; 1]` at random to `sketch` numbers, and those by a dense layer.

    Entry `(i, j, ...)` of the product is added, with the sign `s_1(i) s_2(j) ...`, to the place
    `(h_1(i) + h_2(j) + ...) mod sketch`. That is the circular convolution of the count sketches of each
    `[x_m; 1]`, which a Fourier transform finds without the product.

    Args:
        units: int > 0. Width `D` of the fused embedding.
        sketch: int, a power of two. Places of the sketch; more of them collide less.
        signed_sqrt: bool. Take `sign(z) sqrt(|z|)` of the sketch.
        l2: bool. Scale the sketch to an l2 norm of 1 (after the root).
        seed: int or None. Seed of the places `h_m` and signs `s_m`. They are saved with the layer.

    Call arguments:
        inputs: dict of at least two modalities, name -> float tensor `x_m` `(B, D_m)`.

    Returns: float tensor `(B, D)`.
    Raises: ValueError, if an argument is out of range, an input is not `(B, D_m)`, or there is one modality
        alone.
    Source: Fukui et al. 2016, arXiv:1606.01847, algorithm 1 and section 3.1; sketch after Pham and Pagh 2013.
        The paper has two modalities without the constant 1, which here keeps each modality alone too, and
        16,000 places. Root and norm are smoothed by 1e-6 at 0. The transform is computed in float32.
    """

    def __init__(self, units, sketch=1024, signed_sqrt=True, l2=True, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.units = check_positive_int("CompactBilinearFusion", "units", units)
        self.sketch = check_power_of_two("CompactBilinearFusion", "sketch", sketch)
        self.signed_sqrt = signed_sqrt
        self.l2 = l2
        self.seed = seed

    def build(self, input_shape):
        check_ranks("CompactBilinearFusion", input_shape, 2, "Pool sequences over time first.", at_least=2)
        self.names = sorted(input_shape)
        random = np.random.default_rng(self.seed)
        self.places, self.signs = [], []
        for name in self.names:
            width = input_shape[name][-1] + 1
            places, signs = random.integers(0, self.sketch, width), random.choice((-1.0, 1.0), width)
            self.places.append(self._constant(f"{name}_places", places, "int32"))
            self.signs.append(self._constant(f"{name}_signs", signs, "float32"))
        # A sketch of length 1 has small entries: at a deviation of 1 the outputs have one of 1 too.
        initializer = keras.initializers.RandomNormal(stddev=1.0) if self.l2 else "glorot_uniform"
        self.kernel = self.add_weight(name="kernel", shape=(self.sketch, self.units), initializer=initializer)
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        sketches = [
            self._sketch(ops.cast(inputs[name], "float32"), places, ops.cast(signs, "float32"))
            for name, places, signs in zip(self.names, self.places, self.signs, strict=True)
        ]
        z = circular_convolution(sketches)
        z = signed_sqrt(z) if self.signed_sqrt else z
        z = unit_length(z) if self.l2 else z
        return ops.matmul(ops.cast(z, self.compute_dtype), self.kernel) + self.bias

    def compute_output_shape(self, input_shape):
        return (next(iter(input_shape.values()))[0], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "sketch": self.sketch,
            "signed_sqrt": self.signed_sqrt,
            "l2": self.l2,
            "seed": self.seed,
        }

    def _constant(self, name, values, dtype):
        def initializer(shape, dtype=None):
            return ops.convert_to_tensor(values, dtype=dtype)

        return self.add_weight(
            name=name, shape=values.shape, dtype=dtype, initializer=initializer, trainable=False
        )

    def _sketch(self, x, places, signs):
        spread = ops.one_hot(places, self.sketch, dtype="float32") * signs[:, None]  # (D_m + 1, sketch)
        return ops.matmul(x, spread[:-1]) + spread[-1]
