"""How fast a machine decodes files with nothing else done to them: a bound of input from large files.

    python benchmarks/input_codecs.py manifest.csv --seconds 4

A process a core decodes files that it read before: images by libjpeg and libpng (Pillow), a JPEG of at least
twice the model's size at half of it; FLAC by dr_flac (miniaudio). WAV is taken as it is. Nothing is resized,
checked, converted or batched. Prints rows a second as JSON.
"""

import argparse
import csv
import io
import json
import multiprocessing
import os
import time
from pathlib import Path

import miniaudio
import numpy as np
from PIL import Image

ROWS = 400  # Files of each process; they fit into memory, and are decoded again and again.


def decode(image, audio, size):
    with Image.open(io.BytesIO(image)) as opened:
        opened.draft(None, tuple(2 * side for side in size[::-1]))  # Concerns JPEG alone.
        opened.load()
    if audio[:4] == b"RIFF":
        np.frombuffer(audio, np.int16)
    else:
        miniaudio.flac_read_s16(audio)


def count_rows(manifest, part, parts, size, seconds, start, speeds):
    """Decodes every `parts`-th row for some seconds, and hands over how many it did in one."""
    with open(manifest, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["image"] and row["audio"]]
    folder = Path(manifest).parent
    chosen = rows[part::parts][:ROWS]
    contents = [[(folder / row[column]).read_bytes() for column in ("image", "audio")] for row in chosen]
    start.wait()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        decode(*contents[done % len(contents)], size)
        done += 1
    speeds.put(done / (time.perf_counter() - began))


def measure(manifest, size, seconds):
    """Returns rows a second of all processes together, at the best of two looks."""
    parts = os.cpu_count()
    context = multiprocessing.get_context("spawn")
    found = []
    for _ in range(2):
        start, speeds = context.Barrier(parts), context.Queue()
        shared = (size, seconds, start, speeds)
        workers = [
            context.Process(target=count_rows, args=(manifest, part, parts, *shared)) for part in range(parts)
        ]
        for worker in workers:
            worker.start()
        found.append(sum(speeds.get() for _ in workers))
        for worker in workers:
            worker.join()
    return max(found)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", help="a table with columns image and audio")
    parser.add_argument("--size", type=int, nargs=2, default=[64, 64], help="of the model's images")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each look")
    chosen = parser.parse_args()
    print(json.dumps({"codecs": measure(chosen.manifest, chosen.size, chosen.seconds)}))


if __name__ == "__main__":
    main()
