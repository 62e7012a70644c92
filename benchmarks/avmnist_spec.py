"""The specs that `avmnist.py` trains: one budget and the same encoders for every fusion."""

import copy
import csv
import os
import shutil
from pathlib import Path

from mm_keras.fusion import FUSIONS
from mm_keras.spec_file import make_spec

# Chosen with a few trainings of one seed (preset 4) by accuracy and loss on validation. Concatenate at 30
# epochs in batches of 64: 91.5 % with 40 mel bins each 20 ms, 92.6 % with losses of each modality too,
# 93.0 % with 64 mel bins each 16 ms. Loss of the sound alone after 20 epochs: 0.57 in batches of 32, 0.59
# of 16, and of 64 0.58 with this weight decay, 0.60 with twice the learning rate, 0.62 with PCEN. Less
# noise, more noise with masks of twice the size, mixup, label smoothing, and spectrograms stretched at
# random were no better.
SPEC = {
    "modalities": {
        "image": {
            "kind": "image",
            "size": [28, 28],
            "channels": 1,
            "encoder": {
                "kind": "conv",
                "filters": [16, 32, 32],
                "halving": "stride",
                "units": 32,
                "dropout": 0.1,
            },
        },
        "audio": {
            "kind": "audio",
            "rate": 8000,
            "seconds": 1.0,
            "augment": {"shift": 0.1, "time_mask": 5, "frequency_mask": 6},
            "encoder": {
                "kind": "conv_recurrent",
                "mel_bins": 64,
                "window": 0.032,
                "hop": 0.016,
                "filters": [24, 48, 64],
                "halving": "stride",
                "units": 64,
                "dropout": 0.2,
            },
        },
    },
    "outputs": {"label": {"kind": "classification"}},
    "training": {
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": 0.002,
        "weight_decay": 0.05,
        "patience": 0,
        "strategy": "none",
    },
}
FUSION = {"modality_dropout": 0.2, "dropout": 0.2}
NOISE = {"snr": [-3, 12], "share": 0.5}
UNIMODAL = ("image", "audio")


def model_names():
    """Returns what can be trained: each modality alone, then each fusion of the package."""
    return [*UNIMODAL, *FUSIONS]


def benchmark_spec(name, folder, seed, noise=None, epochs=None):
    """Returns the spec of a model.

    Args:
        name: str. "image" or "audio" alone, or a fusion by its name in `FUSIONS`, with its defaults.
        folder: Path. An AV-MNIST-R.
        seed: int.
        noise: Path or None. Folder of noises to mix into the sounds of train.
        epochs: int or None. Instead of those of `SPEC`.
    """
    parts = copy.deepcopy(SPEC)
    if noise and name != "image":
        parts["modalities"]["audio"]["augment"]["noise"] = {"folder": str(noise), **NOISE}
    if name in UNIMODAL:
        parts["modalities"] = {name: parts["modalities"][name]}
        fusion = {"kind": "concatenate", **FUSION, "modality_dropout": 0.0}
    else:
        fusion = {"kind": name, **FUSION}
        # Without a loss of its own the sound, learned slowly, is left behind by the image.
        parts["training"]["balance"] = {"kind": "auxiliary"}
    data = {"manifest": str(folder / "manifest.csv"), "split": "split"}
    training = {**parts.pop("training"), "seed": seed, **({"epochs": epochs} if epochs else {})}
    return make_spec({"name": name, "data": data, **parts, "fusion": fusion, "training": training})


def copy_train_noise(folder, noise, aside):
    """Copies the noises that rows of train were made with, and no other, and returns their folder.

    Args:
        folder: Path. An AV-MNIST-R.
        noise: Path. The folder of noises that it was built from.
        aside: Path. Where to copy to.
    """
    with open(folder / "provenance.csv", encoding="utf-8", newline="") as file:
        names = sorted({row["noise"] for row in csv.DictReader(file) if row["id"].startswith("train_")})
    for name in names:
        place = Path(aside) / name
        os.makedirs(place.parent, exist_ok=True)
        shutil.copyfile(noise / name, place)
    return Path(aside)
