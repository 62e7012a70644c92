"""Rows that the demo page offers to try: of a manifest, or of an export's warm-up requests."""

import io
import statistics
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from pydantic import TypeAdapter

from mm_keras.data.manifest import load_rows
from mm_keras.exporting.warm_up import read_warm_up
from mm_keras.serving.client_inputs import is_missing
from mm_keras.spec_modalities import Modality

MOST_EXAMPLES = 8
TEST = "test"


def examples_of_manifest(path, modalities, root=None, most=MOST_EXAMPLES):
    """Reads rows of a manifest, spread over it: of its test rows, if it has a column `split`.

    Args:
        path: path of the table.
        modalities: dict, name -> what `Client.describe` says of the modality.
        root: path or None. Folder that paths are relative to; None: the manifest's own.
        most: int > 0.

    Returns: list of dict, modality -> path, text or list of numbers; without what is missing.
    Raises: ManifestError, if the table cannot be read.
    """
    rows = load_rows(path, TypeAdapter(dict[str, Modality]).validate_python(modalities), root)
    chosen = np.flatnonzero(rows.present.any(axis=1))
    if "split" in rows.table:
        tested = chosen[(rows.table["split"].to_numpy()[chosen] == TEST)]
        chosen = tested if len(tested) else chosen
    if len(chosen) > most:
        chosen = chosen[np.linspace(0, len(chosen) - 1, most).round().astype(int)]
    return [_row({name: cells[index] for name, cells in rows.cells.items()}) for index in chosen]


def examples_of_export(version, modalities, folder, most=MOST_EXAMPLES):
    """Reads the rows of the warm-up requests of an export.

    Args:
        version: path. Folder of a version, such as `saved_models/NAME/serving/1`.
        modalities: dict, name -> what `Client.describe` says of the modality.
        folder: path. Their images, sounds and features are written there.
        most: int > 0.

    Returns: as of `examples_of_manifest`; [] where there are no warm-up requests.
    """
    examples, seen = [], set()
    for request in read_warm_up(version):
        columns = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        for values in zip(*columns.values(), strict=True):
            key = tuple(value if isinstance(value, bytes) else value.tobytes() for value in values)
            if key in seen or len(examples) == most:
                continue
            seen.add(key)
            row = _row(dict(zip(columns, values, strict=True)))
            examples.append(_written(row, modalities, Path(folder) / f"{len(examples) + 1}"))
    return sorted(examples, key=len, reverse=True)


def files_of(examples, modalities):
    """Returns the paths in rows to try."""
    return [
        value
        for row in examples
        for name, value in row.items()
        if modalities[name]["kind"] not in ("text", "numbers")
    ]


def is_on_black(examples, modalities):
    """Tells whether the border of most example images is dark: then drawings are to be white on black."""
    names = [name for name, modality in modalities.items() if modality["kind"] == "image"]
    dark = [_border(row[name]) < 128 for row in examples for name in names if name in row]
    return sum(dark) > len(dark) / 2


def _border(path):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    return statistics.fmean([pixels[0].mean(), pixels[-1].mean(), pixels[:, 0].mean(), pixels[:, -1].mean()])


def _row(values):
    return {name: value for name, value in values.items() if not is_missing(value)}


def _written(row, modalities, folder):
    """Returns the row with paths of files in place of their contents."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, value in row.items():
        kind = modalities[name]["kind"]
        if kind == "text":
            written[name] = value.decode()
        elif kind == "numbers":
            written[name] = value.tolist()
        elif kind == "features":
            written[name] = str(folder / f"{name}.npy")
            np.save(written[name], value)
        else:
            written[name] = str(folder / f"{name}.{_suffix(kind, value)}")
            Path(written[name]).write_bytes(value)
    return written


def _suffix(kind, contents):
    if kind == "audio":
        return "wav"
    with Image.open(io.BytesIO(contents)) as image:
        return image.format.lower()
