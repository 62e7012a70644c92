"""Random changes of waveforms: shift, gain and background noise."""

import math

import tensorflow as tf

from mm_keras.data.draws import uniform
from mm_keras.data.noise import read_noise


class AudioAugmentation:
    """Shifts sounds in time, changes their level and mixes noise in; each sound has its own draws.

    A shift to the right or left lets silence follow; what leaves is lost. Noise is mixed at the drawn ratio
    of the mean square of the sound, without its samples of exactly 0, to that of the noise under it. The
    noise ends where the sound ends: what follows is padding. A silent sound stays silent. The result may
    leave [-1, 1]: it is not clipped, because that would add harmonics that no recording has, and the model
    reads floats.

    Args:
        modality: AudioModality of the spec, with `augment`.
        folder: str or path. `augment.noise.folder` is relative to it.

    Call arguments:
        waveforms: float32 tensor `(B, S)`.
        seed: int tensor `(2,)`.

    Returns: float32 tensor `(B, S)`.
    """

    def __init__(self, modality, folder):
        augment = modality.augment
        self.samples = modality.samples
        self.most_shift = round(augment.shift * modality.rate)
        self.gain_db = augment.gain_db
        self.noise = augment.noise
        self.clips = read_noise(folder / self.noise.folder, modality.rate) if self.noise else None

    def __call__(self, waveforms, seed):
        if self.most_shift:
            waveforms = self._shift(waveforms, seed)
        if self.gain_db:
            waveforms *= _from_decibels(uniform(waveforms, seed, "gain", -self.gain_db, self.gain_db))[
                :, None
            ]
        return self._add_noise(waveforms, seed) if self.noise else waveforms

    def _shift(self, waveforms, seed):
        most = self.most_shift
        shifts = tf.cast(tf.floor(uniform(waveforms, seed, "shift", -most, most + 1)), tf.int32)
        padded = tf.pad(waveforms, [[0, 0], [most, most]])
        rows = tf.range(tf.shape(padded)[0]) * tf.shape(padded)[1]
        begins = rows + most - tf.minimum(shifts, most)
        return _take(tf.reshape(padded, [-1]), begins[:, None] + tf.range(self.samples))

    def _add_noise(self, waveforms, seed):
        places = tf.range(1, self.samples + 1)
        ends = tf.reduce_max(tf.where(waveforms != 0, places, 0), axis=1, keepdims=True)  # (B, 1)
        noise = tf.where(places <= ends, self._draw_noise(waveforms, seed), 0.0)
        noise_power = tf.math.divide_no_nan(tf.reduce_sum(noise**2, axis=1), tf.cast(ends[:, 0], tf.float32))
        ratio = uniform(waveforms, seed, "snr", *self.noise.snr)
        heard = tf.math.count_nonzero(waveforms, axis=1, dtype=tf.float32)
        power = tf.math.divide_no_nan(tf.reduce_sum(waveforms**2, axis=1), heard)
        level = tf.sqrt(tf.math.divide_no_nan(power, noise_power))
        chosen = uniform(waveforms, seed, "share") < self.noise.share
        scale = tf.where(chosen, level * _from_decibels(-ratio), 0.0)
        return waveforms + scale[:, None] * noise

    def _draw_noise(self, waveforms, seed):
        """Returns `(B, S)`: for each sound a clip, from a random place on, repeated where it is too short."""
        clips = self.clips
        number = tf.cast(tf.size(clips.lengths), tf.float32)
        clip = tf.cast(uniform(waveforms, seed, "clip") * number, tf.int32)
        length = tf.gather(clips.lengths, clip)
        offset = tf.cast(uniform(waveforms, seed, "offset") * tf.cast(length, tf.float32), tf.int32)
        places = (offset[:, None] + tf.range(self.samples)) % length[:, None]
        return _take(clips.samples, tf.gather(clips.starts, clip)[:, None] + places)


def _take(values, places):
    """Returns the values `(N,)` at places `(B, S)`, as `tf.gather` would at a third of the speed."""
    return tf.gather_nd(values, places[..., None])


def _from_decibels(decibels):
    return tf.exp(decibels * (math.log(10) / 20))
