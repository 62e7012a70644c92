"""From the groups of frames that a decoder wrote to a waveform."""

import math

import keras
from keras import ops

from mm_keras.griffin_lim import GriffinLim
from mm_keras.log_mel import LogMel
from mm_keras.speech_frames import SCALE, SpeechFrames

FADE = 0.004  # Seconds.


@keras.saving.register_keras_serializable(package="mm_keras")
class Vocoder(keras.layers.Layer):
    """Turns groups of frames, as `SpeechFrames` makes them, into a waveform by `GriffinLim`.

    Args:
        samples: int > 0. Longest waveform `S`.
        frames: dict. Arguments of `SpeechFrames`: rate, mel_bins, window, hop, reduction.
        iterations: int > 0. Of `GriffinLim`.

    Call arguments:
        inputs: float tensor `(B, G, r * F + 1)`. The last is a logit: in the first group in which it is above
            0 the sound ends; what comes after it is not read.

    Returns: dict. "sound": float32 `(B, S)` within [-1, 1], faded in and out in 4 ms, 0 behind its end;
        "samples": int32 `(B,)`, its length; "frames": float32 `(B, T, F)`, the log-mel spectrogram that it
        was made of.
    Raises: ValueError, if an argument is out of range or the input does not have these axes.
    """

    def __init__(self, samples, frames, iterations=32, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.samples, self.frames, self.iterations = samples, dict(frames), iterations
        self.grouping = SpeechFrames(**self.frames, name="grouping")
        settings = {key: value for key, value in self.frames.items() if key != "reduction"}
        self.griffin_lim = GriffinLim(samples=samples, iterations=iterations, **settings, name="griffin_lim")

    def build(self, input_shape):
        groups = self.grouping.compute_output_shape((None, self.samples))
        self.count = groups[1]
        self.griffin_lim.build((None, groups[1] * self.grouping.reduction, self.grouping.mel_bins))

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        ended = ops.cast(x[:, :, -1] > 0, "int32")
        heard = ops.cumsum(ended, axis=1) - ended < 1  # (B, G)
        groups = x[:, :, :-1] * ops.cast(heard, "float32")[:, :, None]
        frames = ops.reshape(groups, (-1, self.count * self.grouping.reduction, self.grouping.mel_bins))
        frames = SCALE * frames[:, : self.griffin_lim.frames] + math.log(LogMel.floor)
        count = ops.sum(ops.cast(heard, "int32"), axis=1) * self.grouping.group_samples
        count = ops.minimum(count, self.samples)
        places = ops.arange(self.samples, dtype="int32")
        # Cut off at once, a sound begins and ends with a click.
        edges = ops.minimum(places + 1, count[:, None] - places)
        fade = ops.clip(ops.cast(edges, "float32") / (FADE * self.grouping.rate), 0.0, 1.0)
        sound = self.griffin_lim(frames) * fade
        return {"sound": sound, "samples": count, "frames": frames}

    def compute_output_spec(self, inputs):
        rows, frames = inputs.shape[0], (self.griffin_lim.frames, self.grouping.mel_bins)
        return {
            "sound": keras.KerasTensor((rows, self.samples), "float32"),
            "samples": keras.KerasTensor((rows,), "int32"),
            "frames": keras.KerasTensor((rows, *frames), "float32"),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "samples": self.samples,
            "frames": self.frames,
            "iterations": self.iterations,
        }
