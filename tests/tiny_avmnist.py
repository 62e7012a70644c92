"""Tiny sources of AV-MNIST-R: digits are ten levels of grey, spoken as tones of ten pitches; and noise."""

import gzip
import struct

import numpy as np
from scipy.io import wavfile

RATE = 8000
IMAGES = {"train": 120, "t10k": 60}
SPEAKERS = ("ann", "bob", "cy")
TAKES = 3


def write_sources(folder, seed=0):
    """Writes the folders mnist (train plain, t10k packed), fsdd and noise; returns name -> path."""
    random = np.random.default_rng(seed)
    paths = {name: folder / name for name in ("mnist", "fsdd", "noise")}
    for path in paths.values():
        path.mkdir(parents=True)
    for part, count in IMAGES.items():
        labels = random.permutation(np.arange(count) % 10).astype(np.uint8)
        images = np.array([draw(label, random) for label in labels])
        write_idx(paths["mnist"] / f"{part}-images-idx3-ubyte{'.gz' if part == 't10k' else ''}", images)
        write_idx(paths["mnist"] / f"{part}-labels-idx1-ubyte{'.gz' if part == 't10k' else ''}", labels)
    for digit in range(10):
        for i, speaker in enumerate(SPEAKERS):
            for take in range(TAKES):
                samples = 800 + 200 * (TAKES * i + take)
                sound = tone(digit, samples) * (0.3 + 0.1 * take) + random.normal(size=samples) * 0.001
                write_wav(paths["fsdd"] / f"{digit}_{speaker}_{take}.wav", sound)
    for i in range(10):
        for take in "AB":
            # Below the lowest tone: heard as noise, never as a digit.
            time = np.arange(2 * RATE) / RATE
            sound = 0.3 * np.sin(2 * np.pi * (40 + 10 * i) * time) + random.normal(size=len(time)) * 0.005
            write_wav(paths["noise"] / f"{i % 5 + 1}-{1000 + i}-{take}-{i % 2}.wav", sound)
    return paths


def draw(label, random):
    """Returns uint8 `(28, 28)`: grey as the label says, with grain that principal components leave out."""
    return (15 + 24 * label + random.integers(-8, 9, (28, 28))).astype(np.uint8)


def see(image):
    """Returns the digit whose grey is the nearest to the mean of an image."""
    return round((image.mean() - 15) / 24)


def tone(digit, samples):
    return np.sin(2 * np.pi * 300 * (1 + digit) * np.arange(samples) / RATE)


def hear(sound):
    """Returns the digit whose tone is the strongest in a sound."""
    powers = [
        np.abs(np.exp(-2j * np.pi * 300 * (1 + d) * np.arange(len(sound)) / RATE) @ sound) for d in range(10)
    ]
    return int(np.argmax(powers))


def write_idx(path, array):
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def write_wav(path, sound, rate=RATE):
    wavfile.write(path, rate, np.rint(np.clip(sound, -1, 1) * 32767).astype(np.int16))


def read_part(folder, part):
    """Returns images and labels of a part, read by plain NumPy."""
    suffix = ".gz" if part == "t10k" else ""
    contents = [
        (folder / f"{part}-{what}-ubyte{suffix}").read_bytes() for what in ("images-idx3", "labels-idx1")
    ]
    images, labels = (gzip.decompress(content) if suffix else content for content in contents)
    return np.frombuffer(images[16:], np.uint8).reshape(-1, 28, 28), np.frombuffer(labels[8:], np.uint8)


def label_of(folder, part, index):
    return int(read_part(folder, part)[1][index])
