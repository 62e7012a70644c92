"""Reads the cells of each modality: paths that exist, texts, numbers, and which of them are there."""

import os
import re

import numpy as np
import pandas as pd

from mm_keras.checks import message
from mm_keras.data.table import ManifestError

PATH_KINDS = ("image", "audio", "features")
NOT_LOCAL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z]:[\\/]|[/\\~]|data:")
PARENT = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)")


def read_cells(table, modalities, root, partial=False):
    """Reads the columns of every modality.

    Args:
        table: Table.
        modalities: dict, name -> Modality of the spec.
        root: str. Folder that paths are relative to.
        partial: bool. Take a column that the table lacks as missing in each row; one must be there.

    Returns: (cells, present).
        cells: dict, name -> object array `(N,)` of absolute paths or texts ("" = missing), or for numbers
            float32 `(N, n)` with NaN.
        present: float32 `(N, M)`, modalities sorted by name; 1 = there.
    Raises: ManifestError, if a column is not there or a cell cannot be used.
    """
    columns = {name: _columns_of(modalities[name], name) for name in sorted(modalities)}
    if partial:
        _require_some(table, columns)
    cells, present = {}, np.zeros((len(table.frame), len(columns)), "float32")
    for index, (name, names) in enumerate(columns.items()):
        modality = modalities[name]
        owner = f"modalities.{name}.{'columns' if modality.kind == 'numbers' else 'column'}"
        texts = [
            np.full(len(table.frame), "", object)
            if partial and column not in table.frame
            else table.column(column, owner)
            for column in names
        ]
        if modality.kind == "numbers":
            pairs = zip(names, texts, strict=True)
            cells[name] = np.stack([_read_numbers(table, *pair) for pair in pairs], axis=1)
        elif modality.kind in PATH_KINDS:
            cells[name] = _read_paths(table, names[0], texts[0], root)
        else:
            cells[name] = texts[0]
        present[:, index] = np.any([text != "" for text in texts], axis=0)
    _refuse_empty_rows(table, present, columns)
    return cells, present


def _columns_of(modality, name):
    if modality.kind == "numbers":
        return modality.columns or [name]
    return [modality.column or name]


def _require_some(table, columns):
    names = [name for group in columns.values() for name in group]
    if not any(name in table.frame for name in names):
        table.column(names[0], table.path.name)


def _refuse_empty_rows(table, present, columns):
    empty = ~present.any(axis=1)
    if empty.any():
        words = ", ".join(f"`{name}`" for group in columns.values() for name in group)
        received = f"none in {table.name_lines(empty)}"
        fix = "Fill in a cell of these rows, or remove them."
        raise ManifestError(message(table.path.name, f"in each row at least one of {words}", received, fix))


def _read_numbers(table, column, texts):
    """Returns float32 `(N,)`, NaN where the cell is empty."""
    values = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy("float64")
    with np.errstate(over="ignore"):
        values = values.astype("float32")
    wrong = (texts != "") & ~np.isfinite(values)
    if wrong.any():
        received = f"{texts[wrong][0]!r} in {table.name_lines(wrong)}"
        fix = "Write numbers such as 3 or -0.25 (a point, no comma), and nothing for an unknown one."
        raise ManifestError(message(f"column {column}", "finite numbers or empty cells", received, fix))
    return np.where(texts == "", np.float32(np.nan), values)


def _read_paths(table, column, texts, root):
    """Returns the absolute paths `(N,)`, "" where the cell is empty."""
    codes, distinct = pd.factorize(texts)
    outside = np.array([bool(path) and leaves_folder(path) for path in distinct], bool)
    if outside.any():
        rows = outside[codes]
        received = f"{texts[rows][0]!r} in {table.name_lines(rows)}"
        fix = f"Copy the files below {root} and write their paths relative to it."
        raise ManifestError(message(f"column {column}", "paths inside the manifest's folder", received, fix))
    found = _exist(distinct, root)
    if not found.all():
        _refuse_missing_files(table, column, texts, ~found[codes], root)
    absolute = np.array([path and os.path.join(root, path) for path in distinct], object)
    return absolute[codes]


def leaves_folder(path):
    """Returns whether a path is absolute, an address, or climbs out of its folder by `..`."""
    if NOT_LOCAL.match(path):
        return True
    return bool(PARENT.search(path)) and os.path.normpath(path.replace("\\", "/")).startswith("..")


def _exist(paths, root):
    """Returns which paths are files. Each folder is listed once: far cheaper than asking for each file."""
    parts = [os.path.split(os.path.normpath(path)) for path in paths]
    files = {folder: _files_in(os.path.join(root, folder)) for folder in {folder for folder, _ in parts}}
    return np.array(
        [not path or name in files[folder] for path, (folder, name) in zip(paths, parts, strict=True)], bool
    )


def _files_in(folder):
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        received = error.strerror or str(error)
        raise ManifestError(
            message(folder, "a folder that can be read", received, "Check its permissions.")
        ) from error


def _refuse_missing_files(table, column, texts, wrong, root, most=10):
    rows = np.flatnonzero(wrong)
    shown = "; ".join(f"{texts[row]} (line {table.lines[row]})" for row in rows[:most])
    more = f"; and {rows.size - most} more" if rows.size > most else ""
    received = f"{rows.size} cell{'s' if rows.size > 1 else ''} without a file: {shown}{more}"
    fix = (
        f"Paths are relative to {root}; write them as they stand on the disk, and leave a missing one empty."
    )
    if "\\" in texts[rows[0]]:
        fix = f"Write `/` between folders. {fix}"
    raise ManifestError(message(f"column {column}", "paths of files", received, fix))
