"""Every fusion on easy-VQA: a question about an image, which neither of the two answers alone.

    python benchmarks/easy_vqa.py easy_vqa/manifest.csv --output vqa.json --readme README.md

The manifest has the columns image, text, label and split (train and test, as published). One image in ten of
train, with all its questions, is held out to choose the epoch.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Off by default on CPUs without AVX-512.

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

from mm_keras.fusion import FUSIONS  # noqa: E402

SUBSETS = {"question missing": "image", "image missing": "text"}


def write_manifest(manifest, folder):
    """Writes the table with a validation split of whole images, and copies the images beside it.

    Returns: Path of the table.
    """
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    held_out = table["image"].str.extract(r"(\d+)\.png$")[0].astype(int) % 10 == 0
    table.loc[(table["split"] == "train") & held_out, "split"] = "validation"
    for name in table["image"].unique():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(manifest.parent / name, folder / name)
    table.to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def vqa_spec(name, manifest, seed, epochs=None):
    """Returns the spec of a fusion: the same encoders and budget for each."""
    image = {"kind": "conv", "filters": [16, 32, 32, 32], "halving": "stride", "units": 64, "dropout": 0.0}
    text = {"kind": "gru", "embedding": 32, "units": 64, "dropout": 0.0}
    modalities = {
        "image": {"kind": "image", "size": [64, 64], "encoder": image},
        "text": {"kind": "text", "encoder": text},
    }
    fusion = {"modality_dropout": 0.05, "dropout": 0.0}
    training = {"epochs": epochs or 10, "batch_size": 128, "learning_rate": 0.002, "seed": seed}
    return task_spec(name, manifest, modalities, fusion, training)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=existing)
    add_arguments(parser, list(FUSIONS))
    chosen = parser.parse_args()
    figures = Figures(chosen.output)
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_manifest(chosen.manifest, Path(folder))
        rows = pd.read_csv(manifest)["split"].value_counts()
        header = {"task": "easy_vqa"}
        header["rows"] = {split: int(rows[split]) for split in ("train", "validation", "test")}
        result = figures.begin(header)
        figures.measure_all(
            result,
            chosen.models,
            chosen,
            lambda name, seed: measure(vqa_spec(name, manifest, seed, chosen.epochs)),
        )
    show(make_fusion_table(result, SUBSETS), chosen.readme, "easy_vqa")


if __name__ == "__main__":
    main()
