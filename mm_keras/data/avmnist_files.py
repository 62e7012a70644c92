"""The files of a row of AV-MNIST-R: the image without most of its variance, and the digit in noise."""

import io

import numpy as np
from PIL import Image
from scipy.io import wavfile
from sklearn.decomposition import PCA

from mm_keras.data.avmnist_rows import noise_from
from mm_keras.data.avmnist_sources import RATE, SAMPLES, SIZE

PEAK = 0.9  # Of full scale: nothing is clipped, and the level of a row tells nothing.
WINDOW, HOP = 222, 70  # Samples: 222 give 112 frequencies; a second has 112 windows of them.
DECIBELS = 80  # What a spectrogram holds below its loudest value.
FOLDERS = {"image": ("images", "png"), "audio": ("audio", "wav"), "spectrogram": ("spectrograms", "npy")}


class RowFiles:
    """Makes the files of a row from its sources; the same row gives the same bytes.

    Args:
        settings: Settings.
        mnist: dict, part -> (images, labels).
        recordings, clips: list of Sound.
        rows: list of Row. Those of train fit the principal components.
    """

    def __init__(self, settings, mnist, recordings, clips, rows):
        self.columns = [name for name in FOLDERS if name != "spectrogram" or settings.spectrogram]
        self.images = {part: images for part, (images, _) in mnist.items()}
        self.sounds = {"recording": _by_name(recordings), "noise": _by_name(clips)}
        train = [self._pixels(row) for row in rows if row.split == "train"]
        # "full" is exact and has no random start; fewer images than pixels are no hindrance.
        self.components = PCA(settings.preset, svd_solver="full" if len(train) < 1000 else "covariance_eigh")
        self.components.fit(np.array(train))

    @property
    def kept_variance(self):
        return float(self.components.explained_variance_ratio_.sum())

    def paths(self, row):
        """Returns column -> path of the row's file in the folder of the data set."""
        number = row.id.rpartition("_")[2]
        return {name: f"{FOLDERS[name][0]}/{row.split}/{number}.{FOLDERS[name][1]}" for name in self.columns}

    def contents(self, row):
        """Returns column -> bytes of the row's file."""
        sound = self._mix(row)
        makers = {
            "image": lambda: encode_png(self._reduce(row)),
            "audio": lambda: encode_wav(sound),
            "spectrogram": lambda: encode_npy(make_spectrogram(sound)),
        }
        return {name: makers[name]() for name in self.columns}

    def _pixels(self, row):
        return self.images[row.mnist_part][row.mnist_index].reshape(SIZE * SIZE).astype(np.float64)

    def _reduce(self, row):
        kept = self.components.inverse_transform(self.components.transform(self._pixels(row)[None]))
        return np.rint(kept).clip(0, 255).astype(np.uint8).reshape(SIZE, SIZE)

    def _mix(self, row):
        recording = self.sounds["recording"][row.recording].samples
        noise = noise_from(self.sounds["noise"][row.noise].samples, row.noise_start)
        return mix(recording, row.recording_start, noise, row.snr_db)


def mix(recording, start, noise, snr_db):
    """Returns a spoken digit in noise, int16 `(8000,)`, whose loudest sample is 0.9 of full scale.

    Args:
        recording: float array `(S,)`, S <= 8000.
        start: int. The sample at which it begins.
        noise: float array `(8000,)`.
        snr_db: float. 10 log10 of the mean square of the recording over its own samples, so that the silence
            around it does not count, to that of the noise over the whole second.
    """
    recording, noise = recording.astype(np.float64), noise.astype(np.float64)
    level = np.sqrt(np.mean(recording**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    mixture = level * noise
    mixture[start : start + len(recording)] += recording
    return np.rint(mixture * (PEAK * 32767 / np.abs(mixture).max())).astype(np.int16)


def make_spectrogram(sound):
    """Returns the magnitudes of a sound, uint8 `(112, 112)`: time, frequency; 0 is 80 dB below the loudest.

    Args:
        sound: int16 array `(8000,)`.

    Source: size and range are those of AV-MNIST (Vielzeuf et al. 2018, arXiv:1808.07275, and MultiBench,
        arXiv:2107.07502); windows and scale are ours, theirs are not published.
    """
    starts = np.arange(1 + (SAMPLES - WINDOW) // HOP) * HOP
    frames = sound[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    magnitudes = np.abs(np.fft.rfft(frames))
    decibels = 20 * np.log10(np.maximum(magnitudes / magnitudes.max(), 10 ** (-DECIBELS / 20)))
    return np.rint(255 * (1 + decibels / DECIBELS)).astype(np.uint8)


def encode_png(pixels):
    """Returns uint8 `(H, W)` as PNG, stored: packed, the bytes would depend on the version of zlib."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


def encode_wav(sound):
    file = io.BytesIO()
    wavfile.write(file, RATE, sound)
    return file.getvalue()


def encode_npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _by_name(sounds):
    return {sound.name: sound for sound in sounds}
