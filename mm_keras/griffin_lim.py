"""From a log-mel spectrogram back to a waveform, inside the graph."""

import keras
import numpy as np
from keras import ops

from mm_keras.checks import check_positive, check_positive_int, check_rank, check_rate, message
from mm_keras.log_mel import LogMel


@keras.saving.register_keras_serializable(package="mm_keras")
class GriffinLim(keras.layers.Layer):
    """Finds a waveform whose log-mel spectrogram is as near as may be to the given one.

    First the power of each frequency, not below 0, from that of the mel bins by multiplicative updates, then
    the phases, by which neighbouring windows agree in what they share. The transforms are products with
    matrices, so that phones and all backends compute them, and the phases begin at fixed numbers, so that
    the same spectrogram always gives the same waveform.

    Args:
        rate, mel_bins, window, hop: as of `LogMel`.
        samples: int > 0. Length `S` of the waveform.
        iterations: int > 0. Of the search for phases.
        momentum: float in [0, 1). Share of the last change that is made again; 0 is the plain algorithm.

    Call arguments:
        inputs: float tensor `(B, T, F)`, natural logarithm of mel power, of at least `1 + S // hop` frames;
            what comes after these is not read. Power at or below `LogMel.floor` is silence.

    Returns: float32 tensor `(B, S)`, within [-1, 1].
    Raises: ValueError, if an argument is out of range, `window` is shorter than `hop` or the input does not
        have these axes.
    Source: Griffin and Lim 1984, "Signal estimation from modified short-time Fourier transform"; with
        momentum Perraudin et al. 2013, "A fast Griffin-Lim algorithm", section 3. Powers: Lee and Seung 2001,
        "Algorithms for non-negative matrix factorization", equation 4, with one factor fixed.
    """

    updates = 60  # Of the powers; a tone is then as narrow as its mel bins allow.

    def __init__(
        self, rate, samples, mel_bins=40, window=0.025, hop=0.010, iterations=32, momentum=0.99, **kwargs
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.mel = LogMel(rate, mel_bins, window, hop, dtype="float32", name="mel")
        self.rate, self.mel_bins, self.window, self.hop = rate, mel_bins, window, hop
        self.samples = check_positive_int("GriffinLim", "samples", samples)
        self.iterations = check_positive_int("GriffinLim", "iterations", iterations)
        self.momentum = check_rate("GriffinLim", "momentum", momentum)
        check_positive("GriffinLim", "hop", hop)
        if window < hop:
            fix = "Windows must overlap; take a window of 2 to 4 hops."
            raise ValueError(message("GriffinLim", "`window` of at least `hop`", f"{window}, {hop}", fix))
        self.frames = 1 + samples // self.mel.stride

    def build(self, input_shape):
        check_rank("GriffinLim", "inputs", input_shape, 3, "Pass a log-mel spectrogram (B, T, F).")
        if input_shape[2] != self.mel_bins or (input_shape[1] or self.frames) < self.frames:
            expected = f"inputs (B, T, {self.mel_bins}) of at least {self.frames} frames"
            fix = "Make it with `LogMel` of the same settings."
            raise ValueError(message("GriffinLim", expected, f"shape={tuple(input_shape)}", fix))
        size, length = self.mel.mel.fft_length, self.mel.mel.sequence_length
        bins = size // 2 + 1
        self.mel_matrix = self._mel_matrix(bins)
        # Periodic, as the spectrogram's.
        self.shape_of_window = np.hanning(length + 1)[:-1].astype("float32")
        angles = 2 * np.pi * np.outer(np.arange(length) - length // 2, np.arange(bins)) / size
        self.cosines, self.sines = np.cos(angles).astype("float32"), np.sin(angles).astype("float32")
        # What is not mirrored, the first and the last, counts once.
        self.once = (np.where(np.isin(np.arange(bins), (0, size // 2)), 1, 2) / size).astype("float32")
        phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (self.frames, bins)).astype("float32")
        self.first = [np.cos(phases), np.sin(phases)]

    def call(self, inputs):
        mel = ops.exp(ops.cast(inputs[:, : self.frames], "float32")) - self.mel.floor
        magnitudes = ops.sqrt(self._powers(ops.maximum(mel, 0.0)))
        shares = self._shares()

        def agree(real, imaginary):
            """Returns the spectrum of the waveform that fits a spectrum best."""
            return self._analyse(self._synthesise(real, imaginary, shares))

        def improve(count, real, imaginary, old_real, old_imaginary):
            new_real, new_imaginary = agree(*self._scale(magnitudes, real, imaginary))
            real = new_real + self.momentum * (new_real - old_real)
            imaginary = new_imaginary + self.momentum * (new_imaginary - old_imaginary)
            return count + 1, real, imaginary, new_real, new_imaginary

        real, imaginary = (magnitudes * part for part in self.first)
        zeros = ops.zeros_like(magnitudes)
        _, real, imaginary, *_ = ops.while_loop(
            lambda count, *_: count < self.iterations, improve, (0, real, imaginary, zeros, zeros)
        )
        chunks = self._synthesise(*self._scale(magnitudes, real, imaginary), shares)
        sound = ops.reshape(chunks, (-1, chunks.shape[1] * chunks.shape[2]))
        begin = self.mel.mel.sequence_length // 2  # The first window is centred at the first sample.
        return ops.clip(sound[:, begin : begin + self.samples], -1.0, 1.0)

    def compute_mask(self, inputs, previous_mask=None):
        return None  # Frames behind a sound's end are silent.

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.samples)

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "samples": self.samples,
            "mel_bins": self.mel_bins,
            "window": self.window,
            "hop": self.hop,
            "iterations": self.iterations,
            "momentum": self.momentum,
        }

    def _mel_matrix(self, bins):
        """Returns float32 `(K, F)`: how much of each frequency each mel bin of `LogMel` has.

        In NumPy, because Keras computes its own in the graph, where it cannot be read.
        """
        low, high = self.mel.mel.min_freq, self.mel.mel.max_freq
        hertz = np.linspace(0, self.rate / 2, bins)
        mels, ends = (2595 * np.log10(1 + np.asarray(x) / 700) for x in (hertz, (low, high)))  # HTK
        edges = np.linspace(*ends, self.mel_bins + 2)
        rising = (mels[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - mels[:, None]) / (edges[2:] - edges[1:-1])
        return np.maximum(0, np.minimum(rising, falling)).astype("float32")

    def _powers(self, mel):
        """Returns the power of each frequency, `(B, T, K)`, of which the mel bins `(B, T, F)` are sums."""
        matrix = self.mel_matrix
        # Frequencies outside all bins stay at 0.
        wanted, among = ops.matmul(mel, matrix.T), matrix @ matrix.T

        def update(count, powers):
            return count + 1, powers * wanted / (ops.matmul(powers, among) + 1e-12)

        _, powers = ops.while_loop(lambda count, _: count < self.updates, update, (0, wanted))
        return powers

    def _scale(self, magnitudes, real, imaginary):
        size = ops.sqrt(ops.square(real) + ops.square(imaginary))
        factor = magnitudes / ops.maximum(size, 1e-8)
        return real * factor, imaginary * factor

    @property
    def _overlap(self):
        return -(-self.mel.mel.sequence_length // self.mel.stride)  # Chunks of a hop that a window touches.

    def _analyse(self, chunks):
        """Returns the spectrum `(B, T, K)` of a waveform in chunks of a hop, `(B, T + overlap - 1, hop)`."""
        parts = [chunks[:, place : place + self.frames] for place in range(self._overlap)]
        frames = ops.concatenate(parts, axis=2)[:, :, : len(self.shape_of_window)] * self.shape_of_window
        return ops.matmul(frames, self.cosines), -ops.matmul(frames, self.sines)

    def _synthesise(self, real, imaginary, shares):
        """Returns the waveform, in chunks, whose windows are nearest to those of a spectrum."""
        real, imaginary = real * self.once, imaginary * self.once
        frames = ops.matmul(real, self.cosines.T) - ops.matmul(imaginary, self.sines.T)
        return self._add(frames * self.shape_of_window) * shares

    def _add(self, frames):
        """Adds windows `(B, T, W)` where they overlap; returns chunks `(B, T + overlap - 1, hop)`."""
        hop, overlap = self.mel.stride, self._overlap
        frames = ops.pad(frames, ((0, 0), (0, 0), (0, overlap * hop - frames.shape[2])))
        chunks = ops.reshape(frames, (-1, self.frames, overlap, hop))
        return sum(
            ops.pad(chunks[:, :, place], ((0, 0), (place, overlap - 1 - place), (0, 0)))
            for place in range(overlap)
        )

    def _shares(self):
        """Returns one over the sum of all windows' squares at each sample, as chunks `(1, ...)`."""
        squares = np.tile(np.square(self.shape_of_window), (1, self.frames, 1))
        return 1.0 / ops.maximum(self._add(ops.convert_to_tensor(squares)), 1e-3)
