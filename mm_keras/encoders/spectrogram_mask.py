"""Bands of a spectrogram hidden at random in training."""

import keras
from keras import ops

from mm_keras.checks import check_positive_int, check_rank, message


@keras.saving.register_keras_serializable(package="mm_keras")
class SpectrogramMask(keras.layers.Layer):
    """Hides bands of time and of frequency in training, drawn anew for each example; else changes nothing.

    A hidden value becomes the mean of its example's spectrogram, which `SpectrogramEncoder` subtracts: a
    band is 0 there. The level of silence instead would change the mean and variance of all that is left.

    Args:
        time_mask: int >= 0. Most frames that one mask hides; each width from 0 on is as likely.
        frequency_mask: int >= 0. Most mel bins that one mask hides, likewise.
        masks: int > 0. Masks of each sort; they may overlap.
        seed: int or None. Seed of these draws.

    Call arguments:
        inputs: float tensor `(B, T, F)`.
        mask: bool tensor `(B, T)` or None. False marks padding at the end, in which no band is drawn.

    Returns: float tensor `(B, T, F)`, with the same mask.
    Raises: ValueError, if an argument is out of range or the input is not `(B, T, F)`.
    Source: Park et al. 2019, arXiv:1904.08779 (SpecAugment, without time warping). The bands are those of
        `tensorflow_io.audio.time_mask` and `freq_mask`, which work on one spectrogram, take no seed and
        need TensorFlow; their widths end below their `param`, ours at it.
    """

    def __init__(self, time_mask=0, frequency_mask=0, masks=1, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.time_mask = _check_width("time_mask", time_mask)
        self.frequency_mask = _check_width("frequency_mask", frequency_mask)
        self.masks = check_positive_int("SpectrogramMask", "masks", masks)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        check_rank("SpectrogramMask", "inputs", input_shape, 3, "Pass spectrograms (B, T, F).")

    def call(self, inputs, mask=None, training=None):
        if not training:
            return inputs
        batch, frames, bins = ops.shape(inputs)
        kept = ops.ones((batch, frames), "float32") if mask is None else ops.cast(mask, "float32")
        lengths = ops.sum(kept, axis=1, keepdims=True)  # (B, 1)
        hidden = ops.logical_or(
            ops.expand_dims(self._bands(batch, frames, lengths, self.time_mask), axis=2),
            ops.expand_dims(
                self._bands(batch, bins, ops.ones_like(lengths) * bins, self.frequency_mask), axis=1
            ),
        )
        total = ops.sum(inputs * ops.cast(kept, inputs.dtype)[:, :, None], axis=(1, 2), keepdims=True)
        mean = total / ops.cast(lengths * bins, inputs.dtype)[:, :, None]
        return ops.where(hidden, mean, inputs)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "time_mask": self.time_mask,
            "frequency_mask": self.frequency_mask,
            "masks": self.masks,
            "seed": self.seed,
        }

    def _bands(self, batch, size, lengths, most):
        """Returns bool `(batch, size)`: which of an axis's first `lengths` `(batch, 1)` places are hidden."""
        draws = keras.random.uniform((2, batch, self.masks, 1), dtype="float32", seed=self.seed_generator)
        lengths = ops.expand_dims(ops.cast(lengths, "float32"), axis=1)  # (B, 1, 1)
        widths = ops.minimum(ops.floor(draws[0] * (most + 1)), lengths)
        starts = ops.floor(draws[1] * (lengths - widths + 1))
        places = ops.arange(size, dtype="float32")
        return ops.any(ops.logical_and(places >= starts, places < starts + widths), axis=1)


def _check_width(name, value):
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        fix = f"Pass the widest mask, such as {name}=8, or 0 for none."
        raise ValueError(message("SpectrogramMask", f"`{name}` to be an int >= 0", f"{name}={value!r}", fix))
    return value
