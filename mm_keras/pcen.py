"""Per-channel energy normalisation of a mel power spectrogram."""

import math

import keras
from keras import ops

from mm_keras.checks import check_rank, message

BLOCK = 64  # Frames that are smoothed by one matrix product.


def powers_below(size, logarithm):
    """Returns the matrix `(size, size)` of `exp(logarithm * (i - j))` on and below its diagonal, else 0."""
    places = ops.arange(size, dtype="int32")
    gaps = places[:, None] - places[None]
    powers = ops.exp(logarithm * ops.cast(ops.maximum(gaps, 0), "float32"))
    return ops.where(gaps >= 0, powers, 0.0)


def smooth(x, smoothing):
    """Returns `M_t = (1 - s) M_{t-1} + s x_t` of `(B, T, F)` with `M_0 = x_0`, in float32.

    Two products with triangular matrices stand for the loop over time, which TFLite could not run: one
    over the 64 frames of each block, one over the blocks, which carries the last state of each on.
    """
    _, steps, bins = ops.shape(x)
    blocks = -(-steps // BLOCK)
    decay = math.log1p(-smoothing)
    padded = ops.pad(x, ((0, 0), (0, BLOCK - 1), (0, 0)))[:, : blocks * BLOCK]
    parts = ops.reshape(padded, (-1, blocks, BLOCK, bins))
    within = smoothing * ops.matmul(powers_below(BLOCK, decay), parts)
    ends = ops.concatenate([x[:, :1], within[:, :-1, -1]], axis=1)
    before = ops.matmul(powers_below(blocks, BLOCK * decay), ends)  # (B, blocks, F)
    shares = ops.exp(decay * ops.arange(1, BLOCK + 1, dtype="float32"))
    smoothed = within + shares[:, None] * before[:, :, None]
    return ops.reshape(smoothed, (-1, blocks * BLOCK, bins))[:, :steps]


@keras.saving.register_keras_serializable(package="mm_keras")
class Pcen(keras.layers.Layer):
    """Compresses a mel power spectrogram by a gain control and a root, both learned for each mel bin.

    `(E_t / (eps + M_t) ** alpha + delta) ** r - delta ** r`, with the smoothed power
    `M_t = (1 - s) M_{t-1} + s E_t`, `M_0 = E_0`: a steady noise and the level of a recording fall out,
    what begins stays. No frame depends on a later one, and so none on padding at the end. `alpha`, `delta`
    and `r` are learned as the factors `exp(w)` on 0.98, 2 and 0.5, so that they stay above 0.

    Args:
        smoothing: float in (0, 1). Share `s` of a frame in the smoothed power; it is not learned.

    Call arguments:
        inputs: float tensor `(B, T, F)`, mel power, such as `MelPower` gives; below 0 counts as 0.

    Returns: float tensor `(B, T, F)`, computed in float32, with the mask of the input.
    Raises: ValueError, if `smoothing` is out of range or the input is not `(B, T, F)`.
    Source: Wang et al. 2017, arXiv:1607.05666, equations 1 to 3 and the values that the paper begins from.
        `eps` is 1e-4 and not 1e-6, as `LogMel.floor` is: weaker power is rounding. `M_0 = E_0` is from
        Zeghidour et al. 2021, arXiv:2101.08596 (LEAF).
    """

    epsilon = 1e-4
    beginnings = {"alpha": 0.98, "delta": 2.0, "r": 0.5}  # Wang et al. 2017.

    def __init__(self, smoothing=0.025, **kwargs):
        # In bfloat16 a slow average of powers would not move.
        super().__init__(**kwargs, autocast=False)
        if isinstance(smoothing, bool) or not isinstance(smoothing, (int, float)) or not 0 < smoothing < 1:
            fix = "Pass the share of a frame in the smoothed power, such as smoothing=0.025."
            expected = "`smoothing` above 0 and below 1"
            raise ValueError(message("Pcen", expected, f"smoothing={smoothing!r}", fix))
        self.smoothing = smoothing

    def build(self, input_shape):
        check_rank("Pcen", "inputs", input_shape, 3, "Pass mel power spectrograms (B, T, F).")
        self.factors = {
            name: self.add_weight(name=f"log_{name}", shape=(input_shape[-1],), initializer="zeros")
            for name in self.beginnings
        }

    def call(self, inputs):
        energy = ops.maximum(ops.cast(inputs, "float32"), 0.0)
        alpha, delta, r = (
            begin * ops.exp(ops.cast(self.factors[name], "float32"))
            for name, begin in self.beginnings.items()
        )
        level = smooth(energy, self.smoothing) + self.epsilon
        x = energy * ops.exp(-alpha * ops.log(level)) + delta
        return ops.cast(ops.exp(r * ops.log(x)) - ops.exp(r * ops.log(delta)), self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing}
