"""How much memory training takes as the rows grow, how soon a large table gives its first batch, and how long
training waits for input.

    python benchmarks/input_memory.py --folder /tmp/rows --output memory.json

Each figure is of a fresh process. Rows share 1,000 generated images and sounds, so that writing them does not
take longer than training; the file cache holds each row all the same. Peak memory is VmHWM of /proc after at
least 1,000 steps, whatever the rows: what is mapped and shared with other processes counts too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

FILES = 1000
FLAT = 0.10  # Growth of the peak that the goal allows.
WAITING = 0.05
READY = 50  # Steps on one batch that lies ready.
STEPS = 1000  # Fewest before memory is read: the allocator grows in the first hundreds, however few the rows.
SIDE, RATE, SECONDS = 64, 8000, 0.5  # Of the generated files.


def make_memory_spec(manifest, folder, modalities):
    from mm_keras.spec_file import make_spec

    return make_spec(
        {
            "name": "input_memory",
            "data": {
                "manifest": str(manifest),
                "split": "split",
                "cache": "file",
                "cache_folder": str(Path(folder) / "cache"),
            },
            "modalities": modalities,
            "outputs": {"label": {"kind": "classification"}},
            "training": {"batch_size": 64, "precision": "float32", "strategy": "none"},
        }
    )


def peak_bytes():
    """Returns the largest resident size that this process had."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError(
        "`benchmarks/input_memory.py` expects Linux's /proc/self/status. Received: none. Run it on Linux."
    )


def train_rows(manifest, folder, epochs):
    """Trains by the file cache, and returns peak memory and the share of each epoch spent waiting."""
    import tensorflow as tf

    from mm_keras.data.pipeline import make_datasets
    from mm_keras.model import build_model
    from mm_keras.training import compile_arguments

    encoder = {"kind": "conv_recurrent", "mel_bins": 16, "filters": [16], "units": 32}
    spec = make_memory_spec(
        manifest,
        folder,
        {
            "image": {"kind": "image", "size": [32, 32], "encoder": {"kind": "conv", "filters": [16, 32]}},
            "audio": {"kind": "audio", "rate": RATE, "seconds": SECONDS, "encoder": encoder},
        },
    )
    began = time.perf_counter()
    data = make_datasets(spec)
    decoded = time.perf_counter() - began
    after_decoding = peak_bytes()
    model = build_model(spec, data)
    model.compile(**compile_arguments(spec, data))
    batches = iter(data.endless)
    looks = [_epoch(model, batches, data.steps) for _ in range(epochs)]
    _epoch(model, batches, max(STEPS - epochs * data.steps, 0))
    # What `next` takes on a batch that lies ready is no waiting.
    ready = iter(tf.data.Dataset.from_tensors(next(batches)).repeat().prefetch(2))
    taking = _epoch(model, ready, READY)[0] / READY
    waiting = [max(waited - taking * data.steps, 0.0) / seconds for waited, seconds in looks]
    return {
        "peak_bytes": peak_bytes(),
        "peak_bytes_after_decoding": after_decoding,
        "decode_seconds": decoded,
        "waiting_share": waiting,
    }


def _epoch(model, batches, steps):
    """Trains one epoch as `train` does; returns the seconds that `next` took, and those of the whole."""
    waited, began = 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        model.train_on_batch(*batch)
    return waited, time.perf_counter() - began


def first_batch(manifest, folder):
    """Reads a table of numbers and texts up to its first training batch."""
    import tensorflow  # noqa: F401  Loaded before the clock starts.

    from mm_keras.data.pipeline import make_datasets

    before, began = peak_bytes(), time.perf_counter()
    modalities = {
        "numbers": {"kind": "numbers", "columns": ["a", "b"]},
        "note": {"kind": "text", "length": 8, "vocabulary_size": 256},
    }
    data = make_datasets(make_memory_spec(manifest, folder, modalities))
    next(iter(data.train))
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_bytes": peak_bytes(), "peak_bytes_before": before}


def write_parquet(path, rows, seed=7):
    """Writes a table of two numbers, a text, a label and a split, part by part."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random, words = (
        np.random.default_rng(seed),
        np.array("red green blue round square small large old".split()),
    )
    at_once, writer = 100_000, None
    for start in range(0, rows, at_once):
        count = min(at_once, rows - start)
        chosen = words[random.integers(len(words), size=(count, 3))]
        table = pa.table(
            {
                "a": random.normal(size=count),
                "b": random.normal(size=count),
                "note": [" ".join(note) for note in chosen.tolist()],
                "label": [f"class {value}" for value in random.integers(5, size=count).tolist()],
                "split": [
                    "validation" if value < 0.1 else "train" for value in random.random(count).tolist()
                ],
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()
    return path


def in_fresh_process(task, manifest, folder, epochs):
    command = [sys.executable, __file__, "--task", task, "--manifest", str(manifest), "--folder", str(folder)]
    done = subprocess.run([*command, "--epochs", str(epochs)], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_all(chosen, folder):
    from generated_rows import write_rows

    result = {"cores": os.cpu_count(), "training": {}}
    for rows in chosen.rows:
        manifest = write_rows(folder, rows, SIDE, RATE, SECONDS, files=min(FILES, rows))
        found = result["training"][rows] = in_fresh_process("train", manifest, folder, chosen.epochs)
        waits = ", ".join(f"{share:.1%}" for share in found["waiting_share"])
        print(
            f"{rows:>9,} rows: peak {found['peak_bytes'] / 1e6:,.0f} MB, decoded in "
            f"{found['decode_seconds']:.1f} s, waiting for input in each epoch: {waits}",
            flush=True,
        )
    peaks = [found["peak_bytes"] for found in result["training"].values()]
    result["growth"] = max(peaks) / peaks[0] - 1
    print(f"Peak memory grows by {result['growth']:.1%} (goal: at most {FLAT:.0%}).")
    later = [share for found in result["training"].values() for share in found["waiting_share"][1:]]
    if later:
        result["waiting"] = max(later)
        print(f"Waiting from the second epoch on: at most {max(later):.1%} (goal: under {WAITING:.0%}).")
    if chosen.parquet_rows:
        manifest = write_parquet(Path(folder) / f"rows-{chosen.parquet_rows}.parquet", chosen.parquet_rows)
        found = result["parquet"] = in_fresh_process("first", manifest, folder, 0)
        print(
            f"Parquet of {chosen.parquet_rows:,} rows: first batch after {found['seconds']:.1f} s, peak "
            f"{found['peak_bytes'] / 1e6:,.0f} MB ({found['peak_bytes_before'] / 1e6:,.0f} MB before it)."
        )
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--parquet-rows", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--folder", help="where rows and caches are written and kept")
    parser.add_argument("--output", help="JSON file for all figures")
    parser.add_argument("--task", choices=("train", "first"), help=argparse.SUPPRESS)
    parser.add_argument("--manifest", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.task == "train":
        print(json.dumps(train_rows(chosen.manifest, chosen.folder, chosen.epochs)))
        return
    if chosen.task == "first":
        print(json.dumps(first_batch(chosen.manifest, chosen.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        result = measure_all(chosen, chosen.folder or temporary)
    if chosen.output:
        Path(chosen.output).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
