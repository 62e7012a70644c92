"""A tiny data set of five modalities with cells missing in each, and specs that read it."""

import csv
import json
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from mm_keras.balance import balance_model
from mm_keras.model import build_model
from mm_keras.spec_file import make_spec
from mm_keras.training import build_for_fit, compile_arguments

ROWS = 40
LABELS = ("blau", "grün", "red, dark")
COLOURS = ((30, 40, 220), (40, 200, 30), (200, 30, 20))
TAGS = ("|", "bright", "bright|warm")
HERTZ = (400, 900, 1800)
NAMES = ("audio", "image", "numbers", "text", "vec")  # In the order of `present`.
COLUMNS = ("image", "audio", "text", "vec", "a", "b", "label", "tags", "split")

MODALITIES = {
    "text": {"kind": "text", "length": 6, "vocabulary_size": 64, "encoder": {"embedding": 4, "units": 4}},
    "numbers": {"kind": "numbers", "columns": ["a", "b"], "encoder": {"units": 4, "layers": 1}},
    "image": {"kind": "image", "size": [8, 8], "channels": 3, "encoder": {"filters": [4], "units": 4}},
    "vec": {"kind": "features", "shape": [6], "encoder": {"kind": "dense", "units": 4, "layers": 1}},
    "audio": {
        "kind": "audio",
        "rate": 8000,
        "seconds": 0.1,
        "encoder": {"mel_bins": 8, "filters": [4], "units": 4},
    },
}
OUTPUTS = {
    "label": {"kind": "classification"},
    "tags": {"kind": "classification", "multi_label": True},
    "copy": {"kind": "autoencoder", "weight": 0.1, "units": 8},
}
TRAINING = {"epochs": 2, "batch_size": 7, "learning_rate": 0.01, "strategy": "none", "precision": "float32"}


def split_of(row):
    return {3: "validation", 4: "test"}.get(row % 5, "train")


def is_there(row, name):
    """Tells whether a row has a modality: every split has rows without each of them."""
    return row % 7 != NAMES.index(name)


def write_tiny(folder, rows=ROWS):
    """Writes images, sounds, features and the manifest; returns the manifest's path."""
    random = np.random.default_rng(7)
    for name in ("image", "audio", "vec"):
        (folder / name).mkdir(parents=True)
    table = [_write_row(folder, row, random) for row in range(rows)]
    return write_table(folder / "manifest.csv", table)


def write_table(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write_row(folder, row, random):
    kind = row % 3
    cells = {"label": LABELS[kind], "tags": TAGS[kind], "split": split_of(row)}
    pixels = np.clip(random.normal(COLOURS[kind], 20, (9 + row % 3, 8, 3)), 0, 255)
    Image.fromarray(pixels.astype("uint8")).save(folder / f"image/{row}.png")
    rate, channels = (11025, 2) if row % 4 == 1 else (8000, 1)
    time = np.arange(rate // 10)[:, None] / rate
    sound = 0.5 * np.sin(2 * np.pi * HERTZ[kind] * time) + random.normal(0, 0.05, (len(time), channels))
    soundfile.write(folder / f"audio/{row}.wav", sound, rate, subtype="PCM_16")
    np.save(folder / f"vec/{row}.npy", random.normal(kind, 0.5, 6).astype("float32"))
    place = "zanzibar" if split_of(row) == "test" else "home"
    cells |= {"image": f"image/{row}.png", "audio": f"audio/{row}.wav", "vec": f"vec/{row}.npy"}
    cells |= {"text": f"a {LABELS[kind]} one at {place}", "a": f"{kind + random.normal():.3f}", "b": str(row)}
    if row % 7 == 5:
        cells["b"] = ""
    if row in (10, 14):
        cells["label"] = ""
    if row in (15, 19):
        cells["tags"] = ""
    for name in NAMES:
        if not is_there(row, name):
            cells |= {"a": "", "b": ""} if name == "numbers" else {name: ""}
    return cells


def tiny_spec(
    manifest, modalities=NAMES, outputs=OUTPUTS, training=None, fusion=None, export=None, input=None, **data
):
    """Returns a spec of some of the modalities and outputs above, with changes."""
    outputs = outputs if isinstance(outputs, dict) else {name: OUTPUTS[name] for name in outputs}
    mapping = {
        "name": "tiny",
        "data": {
            "manifest": str(manifest),
            "split": "split",
            "cache_folder": str(Path(manifest).parent / "cache"),
            **data,
        },
        "modalities": {name: part for name, part in MODALITIES.items() if name in modalities},
        "fusion": {"kind": "gated", "units": 8, **(fusion or {})},
        "outputs": outputs,
        "training": {**TRAINING, **(training or {})},
        "export": {"rows": 8, **(export or {})},
        "input": input or {},
    }
    return make_spec(json.loads(json.dumps(mapping)))


def quick_spec(manifest, **changes):
    """Returns a spec of numbers, features and both labels: the quickest to build and to train."""
    return tiny_spec(manifest, **{"modalities": ("numbers", "vec"), "outputs": ["label", "tags"], **changes})


def still_spec(manifest, **changes):
    """Returns a `quick_spec` in whose training nothing is drawn, neither modality dropout nor any other."""
    spec = quick_spec(manifest, fusion={"modality_dropout": 0.0, "dropout": 0.0}, **changes)
    for modality in spec.modalities.values():
        modality.encoder.dropout = 0.0
    return spec


def compiled(spec, data, **changes):
    """Returns the model of a spec, with its balance, compiled with its arguments or those that change."""
    model = balance_model(build_model(spec, data), spec, data)
    model.compile(**{**compile_arguments(spec, data), **changes})
    build_for_fit(model, data.train)
    return model
