"""Generated photos (JPEG) and sounds (FLAC) with a label: as large and as hard to decode as real ones."""

import csv
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

CLASSES = 7
TOGETHER = 250  # Rows that one task writes.


def write_rows(folder, rows, side=256, rate=16000, seconds=2.0, files=None, seed=7):
    """Writes `image/N.jpg`, `audio/N.flac` and a manifest; what is there already is kept.

    Args:
        folder: path.
        rows: int > 0. Rows of the manifest; one in ten is of validation, the others of train.
        side: int > 0. Height and width of the images in pixels.
        rate, seconds: of the sounds, one channel of 16 bits.
        files: int or None. Distinct files, which rows share in turn; None: each row has its own.
        seed: int.

    Returns: Path of the manifest, `rows-<rows>.csv`: image, audio, label and split.
    """
    folder, files = Path(folder), files or rows
    for name in ("image", "audio"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    starts = range(0, files, TOGETHER)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        tasks = [
            pool.submit(_write_files, folder, start, min(start + TOGETHER, files), side, rate, seconds, seed)
            for start in starts
        ]
        for task in tasks:
            task.result()
    path = folder / f"rows-{rows}.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "audio", "label", "split"])
        for row in range(rows):
            place = row % files
            split = "validation" if row % 10 == 9 else "train"
            writer.writerow([f"image/{place}.jpg", f"audio/{place}.flac", f"class {place % CLASSES}", split])
    return path


def _write_files(folder, start, stop, side, rate, seconds, seed):
    for place in range(start, stop):
        image, audio = folder / f"image/{place}.jpg", folder / f"audio/{place}.flac"
        if image.exists() and audio.exists():
            continue
        random = np.random.default_rng([seed, place])
        # Coarse shapes, finer ones over them and grain: about the bytes of a photo of this size.
        pixels = np.zeros((side, side, 3))
        for parts, strength in ((4, 60), (16, 30), (64, 12)):
            coarse = random.normal(0, strength, (parts, parts, 3)).astype("float32")
            layers = [Image.fromarray(coarse[:, :, c]).resize((side, side), Image.BICUBIC) for c in range(3)]
            pixels += np.stack([np.asarray(layer) for layer in layers], axis=2)
        pixels += 128 + random.normal(0, 4, pixels.shape)
        Image.fromarray(np.clip(pixels, 0, 255).astype("uint8")).save(image, quality=90)
        time = np.arange(round(rate * seconds)) / rate
        tones = random.uniform(100, rate / 4, 4)[:, None]
        sound = (0.15 * np.sin(2 * np.pi * tones * time)).sum(axis=0) * np.exp(-time / seconds)
        soundfile.write(audio, sound + random.normal(0, 0.01, len(time)), rate, subtype="PCM_16")
