"""Cells of a manifest -> the raw batch that a server is sent."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from mm_keras.checks import message
from mm_keras.data import transforms
from mm_keras.data.decode import audio_as_wav, decode_features


def read_raw(preprocessor, cells, rows):
    """Reads rows of cells into the raw batch of `Preprocessor.raw_spec`.

    Args:
        preprocessor: Preprocessor.
        cells: dict, modality name -> sequence of paths, bytes (a file's contents) or texts ("" = missing), or
            rows of numbers (NaN = missing). A modality that is not in it is missing in every row.
        rows: int array. Which rows to read.

    Returns: dict, modality name -> NumPy array, bytes for images, texts and sounds, else float32. A sound
        in another container (FLAC, OGG, MP3) is sent as WAV.
    Raises: ValueError, naming the row and the file that cannot be read.
    """
    raw = {}
    for name, spec in preprocessor.raw_spec().items():
        modality = preprocessor.modalities[name]
        if name not in cells:
            shape = [len(rows), *spec.shape[1:]]
            text = spec.dtype == tf.string
            raw[name] = np.full(shape, b"", object) if text else np.full(shape, np.nan, np.float32)
        elif modality.kind == "text":
            raw[name] = np.asarray([str(cells[name][row]).encode() for row in rows], object)
        elif modality.kind == "numbers":
            raw[name] = np.asarray(cells[name], np.float32)[rows]
        else:
            values = [_read_file(name, modality, cells[name][row], row) for row in rows]
            raw[name] = np.asarray(values, object if spec.dtype == tf.string else np.float32)
    return raw


def _read_file(name, modality, path, row):
    if not path:
        return np.full(modality.shape, np.nan, np.float32) if modality.kind == "features" else b""
    try:
        contents = path if isinstance(path, bytes) else Path(path).read_bytes()
        if not contents:
            raise ValueError("The file is empty.")
        if modality.kind == "audio":
            return audio_as_wav(contents)
        return decode_features(contents, modality.shape).numpy() if modality.kind == "features" else contents
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise _unreadable(name, modality, path, row, error) from error


def check_contents(preprocessor, raw, cells, rows):
    """Decodes the images and sounds of a raw batch one by one, to name the one that fails.

    Args:
        preprocessor: Preprocessor.
        raw: dict, what `read_raw` returned for `cells` and `rows`.
        cells, rows: as in `read_raw`.

    Raises: ValueError, naming the row and the file that cannot be decoded.
    """
    for name, modality in preprocessor.modalities.items():
        if name not in cells or modality.kind not in ("image", "audio"):
            continue
        for contents, row in zip(raw[name], rows, strict=True):
            try:
                transforms.decode_cell(tf.constant(contents), modality, preprocessor.max_pixels, served=True)
            except tf.errors.OpError as error:
                raise _unreadable(name, modality, cells[name][row], row, error) from error


def _unreadable(name, modality, path, row, error):
    fix = "Replace the file, or leave the cell empty: the modality is then missing."
    expected = f"a readable file of kind {modality.kind} for `{name}`"
    named = f"{len(path):,} bytes" if isinstance(path, bytes) else path
    received = f"row {row + 1}: {named}: {transforms.reason_of(error)}"
    return ValueError(message("predict", expected, received, fix))
