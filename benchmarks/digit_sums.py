"""Every fusion on sums of digits: label = (digit in an image + digit in a sound) mod 10.

    python benchmarks/digit_sums.py --mnist mnist --fsdd fsdd --output sums.json --readme README.md

Both digits are clean and drawn independently, so that one of them alone says nothing of the label. Images and
recordings of one split are in no other. Sources as for `mm-keras data avmnist`.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Off by default on CPUs without AVX-512.

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from fusion_runs import (  # noqa: E402
    Figures,
    add_arguments,
    existing,
    make_fusion_table,
    measure,
    show,
    task_spec,
)

from mm_keras.data.avmnist_files import encode_png, encode_wav  # noqa: E402
from mm_keras.data.avmnist_sources import RATE, read_mnist, read_recordings  # noqa: E402
from mm_keras.fusion import FUSIONS  # noqa: E402

ROWS = {"train": 48_000, "validation": 1_000, "test": 2_000}
SUBSETS = {"sound missing": "image", "image missing": "audio"}


def write_rows(folder, mnist, fsdd, rows, seed=7):
    """Writes PNG, WAV and manifest.csv; returns the manifest's path.

    Args:
        folder: Path. An empty folder.
        mnist, fsdd: path. Of the sources.
        rows: dict, split -> number of rows. Recordings are parted as 7 : 1 : 2, images by MNIST's own parts.
        seed: int.
    """
    random = np.random.default_rng(seed)
    parts, recordings = read_mnist(mnist), read_recordings(fsdd)
    pools = {"train": random.permutation(len(parts["train"][1])), "test": np.arange(len(parts["t10k"][1]))}
    pools["validation"], pools["train"] = np.split(pools["train"], [rows["validation"]])
    spoken = random.permutation(len(recordings))
    cuts = [round(0.7 * len(spoken)), round(0.8 * len(spoken))]
    spoken = dict(zip(ROWS, np.split(spoken, cuts), strict=True))
    for kind in ("image", "audio"):
        (folder / kind).mkdir()
    for index, recording in enumerate(recordings):
        sound = np.rint(32767 * np.clip(recording.samples, -1, 1)).astype(np.int16)
        (folder / f"audio/{index}.wav").write_bytes(encode_wav(sound))
    table = []
    for split, count in rows.items():
        images, labels = parts["t10k" if split == "test" else "train"]
        seen = random.choice(pools[split], count, replace=count > len(pools[split]))
        for image, sound in zip(seen, random.choice(spoken[split], count), strict=True):
            path = folder / f"image/{split}_{image}.png"
            path.write_bytes(encode_png(images[image]))
            label = (labels[image] + recordings[sound].kind) % 10
            table.append((path.relative_to(folder), f"audio/{sound}.wav", label, split))
    pd.DataFrame(table, columns=["image", "audio", "label", "split"]).to_csv(
        folder / "manifest.csv", index=False
    )
    return folder / "manifest.csv"


def sum_spec(name, manifest, seed, epochs=None):
    """Returns the spec of a fusion: the same encoders and budget for each."""
    stages = {"filters": [16, 32], "halving": "stride", "dropout": 0.0}
    image = {"kind": "conv", "units": 64, **stages}
    audio = {"kind": "conv_recurrent", "mel_bins": 24, "hop": 0.025, "units": 48, **stages}
    modalities = {
        "image": {"kind": "image", "size": [28, 28], "channels": 1, "encoder": image},
        "audio": {
            "kind": "audio",
            "rate": RATE,
            "seconds": 1.0,
            "augment": {"shift": 0.1, "time_mask": 4, "frequency_mask": 3},
            "encoder": audio,
        },
    }
    training = {"epochs": epochs or 6, "batch_size": 64, "learning_rate": 0.002, "seed": seed}
    return task_spec(name, manifest, modalities, {"modality_dropout": 0.0, "dropout": 0.0}, training)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mnist", type=existing, required=True, help="MNIST's four idx files, plain or .gz")
    parser.add_argument("--fsdd", type=existing, required=True, help="recordings digit_speaker_take.wav")
    add_arguments(parser, list(FUSIONS))
    chosen = parser.parse_args()
    figures = Figures(chosen.output)
    header = {"task": "digit_sums", "rows": ROWS}
    result = figures.begin(header)
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_rows(Path(folder), chosen.mnist, chosen.fsdd, ROWS)
        figures.measure_all(
            result,
            chosen.models,
            chosen,
            lambda name, seed: measure(sum_spec(name, manifest, seed, chosen.epochs)),
        )
    show(make_fusion_table(result, SUBSETS), chosen.readme, "digit_sums")


if __name__ == "__main__":
    main()
