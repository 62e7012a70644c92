"""How fast PyTorch's DataLoader, by PIL and soundfile, reads the rows of `benchmarks/input.py`; prints JSON.

Each row gives what ours gives: the image at the model's size (bilinear, antialiased), the waveform as float32
of one length, the label. Images are float32 and channels-last once they are batched.
"""

import argparse
import csv
import json
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # Its threads take the cores from the loader's processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile
import torch
from PIL import Image

PREFETCH = 4
WARM = 4  # Batches before the clock starts.


class Rows(torch.utils.data.Dataset):
    """Decodes the rows of a manifest.

    Args:
        manifest: path of a CSV table.
        split: str.
        size: [height, width].
        channels: 1 or 3.
        rate, samples: of the waveform.
    """

    def __init__(self, manifest, split, size, channels, rate, samples):
        with open(manifest, encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == split]
        labels = {label: index for index, label in enumerate(sorted({row["label"] for row in rows}))}
        self.rows = [(row["image"], row["audio"], labels[row["label"]]) for row in rows]
        self.root = os.path.dirname(os.path.abspath(manifest))
        self.size, self.channels, self.rate, self.samples = size, channels, rate, samples

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        image, audio, label = self.rows[place]
        return self._read_image(image), self._read_audio(audio), label

    def _read_image(self, path):
        if not path:
            return torch.zeros((*self.size, self.channels), dtype=torch.uint8)
        with Image.open(os.path.join(self.root, path)) as file:
            image = file.convert("L" if self.channels == 1 else "RGB")
            if image.size != (self.size[1], self.size[0]):
                image = image.resize((self.size[1], self.size[0]), Image.BILINEAR)
        return torch.from_numpy(np.array(image).reshape(*self.size, self.channels))

    def _read_audio(self, path):
        waveform = np.zeros(self.samples, np.float32)
        if path:
            found, rate = soundfile.read(os.path.join(self.root, path), self.samples, dtype="float32")
            if rate != self.rate:
                raise ValueError(f"{path} has {rate} Hz; give sounds of {self.rate} Hz, or --rate {rate}.")
            found = found.mean(axis=1) if found.ndim > 1 else found
            waveform[: len(found)] = found
        return torch.from_numpy(waveform)


def measure(rows, batch_size, workers, seconds):
    """Returns the examples/s of a loader: best of two looks of so many seconds, after it has started."""
    settings = {"persistent_workers": True, "prefetch_factor": PREFETCH} if workers else {}
    loader = torch.utils.data.DataLoader(
        rows, batch_size, shuffle=True, num_workers=workers, pin_memory=False, **settings
    )
    batches = _endless(loader)
    for _ in range(WARM):
        next(batches)
    # Batches that lie ready when the clock starts were made before: enough must follow them.
    return max(_look(batches, max(seconds, 0.1)) for _ in range(2))


def _look(batches, seconds):
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += next(batches)
    return count / (time.perf_counter() - began)


def _endless(loader):
    """Yields the size of each batch, epoch after epoch, once it is what a model takes."""
    while True:
        for images, waveforms, labels in loader:
            images.permute(0, 3, 1, 2).float()  # Its memory stays channels-last.
            yield min(len(images), len(waveforms), len(labels))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest")
    parser.add_argument("--split", default="train")
    parser.add_argument("--size", type=int, nargs=2, required=True)
    parser.add_argument("--channels", type=int, choices=(1, 3), required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = Rows(chosen.manifest, chosen.split, chosen.size, chosen.channels, chosen.rate, chosen.samples)
    speeds = {
        workers: measure(rows, chosen.batch_size, workers, chosen.seconds) for workers in chosen.workers
    }
    print(json.dumps({"torch": torch.__version__, "examples_per_second": speeds}))


if __name__ == "__main__":
    main()
