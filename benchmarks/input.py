"""How fast rows reach a model: from files, from shards and from both caches, against PyTorch's DataLoader.

    python benchmarks/input.py --rows 20000 --torch-python .venv-torch/bin/python --output input.json
    python benchmarks/input.py --rows 2000 --manifest av_digits/manifest.csv --seconds 3

Ours come from files; from TFRecord shards that hold the files as they are; from those that
`mm-keras prepare --resize` writes of them; and from both caches.

Each figure is the better of two looks at an endless run through the shuffled training rows, as batches that
a model takes: images float32 at the model's size, waveforms float32 of one length, labels. PyTorch reads the
same files by PIL and soundfile with 0, 1 and 2 workers, in a process of its own, and its best figure counts.
Its Python is this one, or one of another environment: `pip install torch==2.13.0 pillow soundfile`.
"""

import argparse
import csv
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402
from generated_rows import write_rows  # noqa: E402

from mm_keras.data.pipeline import make_datasets  # noqa: E402
from mm_keras.data.prepare import prepare  # noqa: E402
from mm_keras.spec_file import make_spec  # noqa: E402

WARM = 4  # Batches before the clock starts.
GOAL = 3.0
SHARD_ROWS = 1000
PLACES = {"files": "none", "shards": "none", "prepared": "none", "memory": "memory", "file cache": "file"}


def make_benchmark_spec(manifest, folder, cache, image, audio, batch_size):
    """Returns a spec of an image, a sound and a label."""
    return make_spec(
        {
            "name": "input_benchmark",
            "data": {
                "manifest": str(manifest),
                "split": "split",
                "cache": cache,
                "cache_folder": str(Path(folder) / "cache"),
            },
            "modalities": {"image": {"kind": "image", **image}, "audio": {"kind": "audio", **audio}},
            "outputs": {"label": {"kind": "classification"}},
            "training": {"batch_size": batch_size, "precision": "float32", "strategy": "none"},
        }
    )


def measure(spec, seconds):
    """Returns {"examples_per_second", "first_pass_seconds", "cache"} of a spec's training rows."""
    began = time.perf_counter()
    data = make_datasets(spec)
    first_pass = time.perf_counter() - began
    batches = iter(data.train.repeat())
    for _ in range(WARM):
        next(batches)
    speed = max(_look(batches, seconds) for _ in range(2))
    return {"examples_per_second": speed, "first_pass_seconds": first_pass, "cache": data.cached_in}


def _look(batches, seconds):
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        inputs, _, _ = next(batches)
        count += len(inputs["present"])
    return count / (time.perf_counter() - began)


def write_shards(manifest, folder):
    """Writes the files of a manifest, as they are, and its other cells into TFRecord shards."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(manifest, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for start in range(0, len(rows), SHARD_ROWS):
        with tf.io.TFRecordWriter(str(folder / f"rows-{start // SHARD_ROWS:05}.tfrecord")) as writer:
            for row in rows[start : start + SHARD_ROWS]:
                writer.write(_as_example(row, Path(manifest).parent).SerializeToString())
    return folder / "*.tfrecord"


def _as_example(row, root):
    example = tf.train.Example()
    for column in ("image", "audio", "label", "split"):
        if row[column]:
            content = (
                (root / row[column]).read_bytes() if column in ("image", "audio") else row[column].encode()
            )
            example.features.feature[column].bytes_list.value.append(content)
    return example


def measure_torch(python, manifest, image, audio, batch_size, seconds):
    """Returns what `input_torch.py` prints, or None if that Python has no PyTorch."""
    if subprocess.run([python, "-c", "import torch, PIL, soundfile"], capture_output=True).returncode:
        return None
    command = [python, str(Path(__file__).with_name("input_torch.py")), str(manifest)]
    command += ["--size", *map(str, image["size"]), "--channels", str(image["channels"])]
    command += ["--rate", str(audio["rate"]), "--samples", str(round(audio["rate"] * audio["seconds"]))]
    command += ["--batch-size", str(batch_size), "--seconds", str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def compare(name, manifest, image, audio, chosen, folder):
    """Measures one data set by all ways, prints a line for each, and returns all figures."""
    print(f"\n{name}: {manifest}")
    ours, theirs = {}, None
    for way, cache in PLACES.items():
        source = manifest
        if way == "shards":
            source = write_shards(manifest, Path(folder) / f"shards-{name}")
        elif way == "prepared":
            source = Path(folder) / f"prepared-{name}"
            prepare(make_benchmark_spec(manifest, folder, "none", image, audio, 1), source, resize=True)
        spec = make_benchmark_spec(source, folder, cache, image, audio, chosen.batch_size)
        ours[way] = measure(spec, chosen.seconds)
        gc.collect()
        figures = ours[way]
        print(
            f"  mm_keras from {way:<11}{figures['examples_per_second']:>10,.0f} examples/s "
            f"(ready after {figures['first_pass_seconds']:.1f} s)",
            flush=True,
        )
    if not chosen.no_torch:
        theirs = measure_torch(chosen.torch_python, manifest, image, audio, chosen.batch_size, chosen.seconds)
        if theirs is None:
            print(f"  PyTorch is left out: {chosen.torch_python} has no torch, Pillow and soundfile.")
    ratios = {}
    if theirs:
        speeds = theirs["examples_per_second"]
        for workers, speed in speeds.items():
            print(f"  PyTorch with {workers} workers {speed:>12,.0f} examples/s")
        best = max(speeds.values())
        for way, figures in ours.items():
            ratios[way] = figures["examples_per_second"] / best
            print(f"  from {way:<11} {ratios[way]:>6.2f} times PyTorch's best (goal {GOAL:g})")
    return {"manifest": str(manifest), "ours": ours, "pytorch": theirs, "ratios": ratios}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000, help="rows to generate")
    parser.add_argument("--folder", help="where rows, shards and caches are written and kept")
    parser.add_argument("--manifest", help="also a table of image, audio, label and split, such as av_digits")
    parser.add_argument("--size", type=int, nargs=2, default=[64, 64], help="of the generated rows' images")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each look")
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--output", help="JSON file for all figures")
    chosen = parser.parse_args()
    result = {"tensorflow": tf.__version__, "cores": os.cpu_count(), "batch_size": chosen.batch_size}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(chosen.folder or temporary)
        generated = write_rows(folder, chosen.rows)
        image, audio = {"size": chosen.size, "channels": 3}, {"rate": 16000, "seconds": 2.0}
        result["generated"] = compare("generated", generated, image, audio, chosen, folder)
        if chosen.manifest:
            image, audio = {"size": [28, 28], "channels": 1}, {"rate": 8000, "seconds": 1.0}
            manifest = Path(chosen.manifest).resolve()
            result["manifest"] = compare("manifest", manifest, image, audio, chosen, folder)
    if chosen.output:
        Path(chosen.output).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
