"""What a user hands the client -> the raw columns that a served model reads; without TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mm_keras.checks import closest, listing, message
from mm_keras.serving.client_media import FileFault, read_features, read_image, read_sound

KINDS = ("image", "audio", "text", "features", "numbers")
FILE_KINDS = ("image", "audio", "features")


@dataclass(frozen=True)
class Input:
    """What a modality of a served model reads.

    Args:
        kind: str. "image", "audio", "text", "features" or "numbers".
        rate: int or None. Samples per second (Hz) of sounds that are given as arrays without a rate.
        shape: tuple of int. Of one example of features or numbers; () of all others.
        columns: tuple of str. Names of the numbers.
    """

    kind: str
    rate: int | None = None
    shape: tuple = ()
    columns: tuple = ()


def make_inputs(modalities):
    """Reads what the modalities of a model are.

    Args:
        modalities: dict, name -> kind, or dict with the key kind and, as in a spec, `rate` of audio, `shape`
            of features, `columns` of numbers.

    Returns: dict, name -> Input.
    Raises: ValueError, if a kind is unknown or features have no shape.
    """
    return {name: _make_input(name, entry) for name, entry in sorted(modalities.items())}


def _make_input(name, entry):
    entry = {"kind": entry} if isinstance(entry, str) else dict(entry)
    kind = entry.get("kind")
    owner = f"modalities[{name!r}]"
    if kind not in KINDS:
        fix = f'{closest(kind, KINDS)}Such as {{"kind": "audio", "rate": 8000}}.'
        raise ValueError(message(owner, f"a kind among {listing(KINDS)}", f"{kind!r}", fix))
    columns = tuple(entry.get("columns") or [name]) if kind == "numbers" else ()
    shape = tuple(entry.get("shape") or ()) if kind == "features" else (len(columns),) if columns else ()
    if kind == "features" and not shape:
        fix = 'Such as {"kind": "features", "shape": [128]}.'
        raise ValueError(message(owner, "the `shape` of its features", "none", fix))
    return Input(kind, entry.get("rate"), shape, columns)


def encode_rows(inputs, rows, places=None):
    """Turns rows of values into the raw columns of a request.

    Args:
        inputs: dict, name -> Input.
        rows: list of dict, modality name -> value. See `Client`.
        places: sequence of str or None. What the rows are called in an error, such as "line 7".

    Returns: dict, name -> list of str (texts, and "" for what is missing) and bytes (files), or, of features
        and numbers, float32 array `(B, ...)`, NaN where missing.
    Raises: ValueError, naming the row and its file, if a value cannot be used, a modality is unknown or a row
        holds none.
    """
    check_rows(inputs, rows, places)
    if not places:
        places = [f"row {index + 1}" for index in range(len(rows))] if len(rows) > 1 else [""]
    return {name: _encode_column(name, part, rows, places) for name, part in inputs.items()}


def check_rows(inputs, rows, places=None):
    for index, row in enumerate(rows):
        place = places[index] if places else f"row {index + 1}"
        for name in row:
            if name not in inputs:
                fix = f"{closest(name, inputs)}Name a modality of the model."
                raise ValueError(message("predict", f"modalities among {listing(inputs)}", f"{name!r}", fix))
        if all(is_missing(value) for value in row.values()):
            fix = f"Give at least one of {listing(inputs)}, or leave the row out."
            raise ValueError(
                message("predict", "a modality that is there in each row", f"none in {place}", fix)
            )


def is_missing(value):
    if isinstance(value, (str, bytes)):
        return not value.strip() if isinstance(value, str) else not value
    if isinstance(value, (list, tuple)):
        return bool(value) and all(is_missing(part) for part in value)
    if isinstance(value, (float, np.ndarray, np.floating)):
        array = np.asarray(value)
        return array.size > 0 and array.dtype.kind == "f" and bool(np.isnan(array).all())
    return value is None


def _encode_column(name, part, rows, places):
    values = [row.get(name) for row in rows]
    pairs = zip(values, places, strict=True)
    if part.kind not in ("features", "numbers"):
        return ["" if is_missing(value) else _encode_cell(name, part, value, place) for value, place in pairs]
    column = np.full((len(rows), *part.shape), np.nan, np.float32)
    for index, (value, place) in enumerate(pairs):
        if not is_missing(value):
            column[index] = _encode_cell(name, part, value, place)
    return column


def _encode_cell(name, part, value, place):
    try:
        return ENCODERS[part.kind](value, part)
    except (OSError, ValueError, TypeError, OverflowError) as error:
        expected = getattr(error, "expected", None) or f"a readable file of kind {part.kind}"
        fix = getattr(error, "fix", None) or "Replace it, or leave it out: the modality is then missing."
        before = f"{place}: " if place else ""
        raise ValueError(message("predict", f"{expected} for `{name}`", f"{before}{error}", fix)) from error


def _read_text(value, part):
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str):
        raise FileFault(type(value).__name__, "a text", 'Such as "three".')
    value.encode()
    return value


def _read_numbers(value, part):
    numbers = np.asarray(
        [np.nan if x is None else x for x in np.ravel(np.asarray(value, object))], np.float32
    )
    if len(numbers) != len(part.columns):
        expected = f"{len(part.columns)} numbers ({', '.join(part.columns)})"
        raise FileFault(f"{len(numbers)} numbers", expected, "Write NaN, or None, for one that is not known.")
    return numbers


ENCODERS = {
    "image": lambda value, part: read_image(value),
    "audio": lambda value, part: read_sound(value, part.rate),
    "text": _read_text,
    "features": lambda value, part: read_features(value, part.shape),
    "numbers": _read_numbers,
}


def files_of(inputs, row):
    """Returns the paths in a row, kind -> str."""
    return {
        part.kind: str(row[name])
        for name, part in inputs.items()
        if part.kind in FILE_KINDS and isinstance(row.get(name), (str, Path)) and str(row[name]).strip()
    }
