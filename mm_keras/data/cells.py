"""Reads the cells of each modality: paths that exist, texts, numbers, and which of them are there."""

import os
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mm_keras.data.findings import find
from mm_keras.data.numbers import NO_NUMBER, wrong_numbers
from mm_keras.data.table import TEXT, text_column

PATH_KINDS = ("image", "audio", "features")
# As RE2 reads it, so that Arrow looks through a column at once.
ADDRESS = r"^[A-Za-z][A-Za-z0-9+.-]*://|^data:"
ABSOLUTE = r"^(?:[A-Za-z]:[\\/]|[/\\~])"
PARENT = r"(?:^|[/\\])\.\.(?:[/\\]|$)"
UNTIDY = r"//|(?:^|/)\.(?:/|$)|/$|\.\."
NOT_LOCAL = re.compile(f"{ADDRESS}|{ABSOLUTE}")


def read_cells(table, modalities, root, partial=False):
    """Reads the columns of every modality.

    Args:
        table: Table.
        modalities: dict, name -> Modality of the spec.
        root: str. Folder that paths are relative to.
        partial: bool. Take a column that the table lacks as missing in each row; one must be there.

    Returns: (cells, present, findings).
        cells: dict, name -> pandas string array `(N,)` of absolute paths or texts ("" = missing), or for
            numbers float32 `(N, n)` with NaN. What a finding is about is as good as missing.
        present: float32 `(N, M)`, modalities sorted by name; 1 = there.
        findings: list of Finding. Cells that cannot be used, and rows of which no cell is there.
    Raises: ManifestError, if a column is not there.
    """
    columns = {name: columns_of(modalities[name], name) for name in sorted(modalities)}
    if partial:
        _require_some(table, columns)
    cells, found = {}, []
    present = np.zeros((len(table.frame), len(columns)), "float32")
    written = np.zeros(len(table.frame), bool)
    for index, (name, names) in enumerate(columns.items()):
        modality = modalities[name]
        owner = f"modalities.{name}.{'columns' if modality.kind == 'numbers' else 'column'}"
        texts = [
            pd.array([""] * len(table.frame), TEXT)
            if partial and column not in table.frame
            else table.column(column, owner)
            for column in names
        ]
        written |= np.any([text != "" for text in texts], axis=0)
        faults = faults_of_table(table, names, name)
        if modality.kind == "numbers":
            cells[name], wrong = _read_numbers(table, names, texts, name)
        elif modality.kind in PATH_KINDS:
            cells[name], wrong = read_paths(table, names[0], texts[0], root, name)
        else:
            cells[name], wrong = texts[0], []
        faults += wrong
        there = np.any([text != "" for text in texts], axis=0)
        there[[finding.row for finding in faults]] = False
        present[:, index] = there
        found += faults
    empty = ~written
    empty[[finding.row for finding in table.findings if finding.row >= 0]] = False
    reason = f"no modality is there: {', '.join(n for group in columns.values() for n in group)} are empty"
    found += find(table, empty, "all_missing", "", reason)
    return cells, present, found


def columns_of(modality, name=""):
    """Returns the columns that a modality reads."""
    if modality.kind == "numbers":
        return modality.columns or [name]
    return [modality.column or name]


def leaves_folder(path):
    """Returns whether a path is absolute, an address, or climbs out of its folder by `..`."""
    if NOT_LOCAL.match(path):
        return True
    return bool(re.search(PARENT, path)) and os.path.normpath(path.replace("\\", "/")).startswith("..")


def faults_of_table(table, names, modality):
    """Returns the findings that reading the table left in these columns, with the modality's name."""
    return [
        type(finding)(**{**vars(finding), "modality": modality})
        for finding in table.findings
        if finding.row >= 0 and finding.column in names
    ]


def _require_some(table, columns):
    names = [name for group in columns.values() for name in group]
    if not any(name in table.frame for name in names):
        table.column(names[0], table.path.name)


def _read_numbers(table, columns, texts, modality):
    """Returns float32 `(N, n)`, NaN where a cell is empty, and the findings."""
    values, found = [], []
    for column, cells in zip(columns, texts, strict=True):
        numbers, wrong = wrong_numbers(cells)
        values.append(numbers)
        found += find(table, wrong, "not_a_number", column, NO_NUMBER, cells, modality)
    return np.stack(values, axis=1), found


def read_paths(table, column, texts, root, modality):
    """Returns the absolute paths of a column `(N,)`, "" where there is none to use, and the findings about
    `modality`, what they are read for."""
    if table.records is not None and column in table.records.columns:
        return texts, []
    paths = as_arrow(texts)
    address, outside = _matches(paths, ADDRESS), _matches(paths, ABSOLUTE)
    climbing = np.flatnonzero(_matches(paths, PARENT) & ~address & ~outside)
    outside[climbing] = [leaves_folder(paths[row].as_py()) for row in climbing.tolist()]
    outside &= ~address
    here = (texts != "") & ~address & ~outside
    missing = here & ~_exist(paths, here, root)
    reasons = (
        ("address", address, "an address; copy the file below the data folder and write its path"),
        (
            "outside",
            outside,
            f"outside the data folder; copy the file below {root} and name it relative to it",
        ),
        ("missing_file", missing, lambda path: _describe_missing(path, root)),
    )
    found = []
    for code, wrong, reason in reasons:
        found += find(table, wrong, code, column, reason, texts, modality)
    whole = pc.binary_join_element_wise(_text(root), paths, _text("/"))
    return text_column([pc.if_else(pa.array(here & ~missing), whole, _text(""))]), found


def as_arrow(texts):
    """Returns a pandas array of `TEXT` as one Arrow array of large strings."""
    whole = pa.array(texts, pa.large_string())
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole


def _text(value):
    return pa.scalar(str(value), pa.large_string())


def _matches(paths, pattern):
    return np.array(pc.match_substring_regex(paths, pattern), bool)


def _describe_missing(path, root):
    hint = "write `/` between folders; " if "\\" in path else ""
    return f"no such file; {hint}paths are relative to {root}, and a missing one is left empty"


def _exist(paths, here, root):
    """Returns which of the paths that are `here` are files: each folder is listed once."""
    tidy = _tidy(paths)
    folders = pc.replace_substring_regex(tidy, r"[^/]*$", "")
    files = []
    for folder in pc.unique(folders.filter(pa.array(here))).to_pylist():
        files += [folder + name for name in _files_in(os.path.join(root, folder))]
    return np.array(pc.is_in(tidy, value_set=pa.array(files, pa.large_string())), bool)


def _tidy(paths):
    """Returns paths without `.`, `..` and doubled slashes, as a listing of folders gives them."""
    untidy = np.flatnonzero(_matches(paths, UNTIDY))
    if not len(untidy):
        return paths
    mended = [os.path.normpath(path) for path in paths.take(pa.array(untidy)).to_pylist()]
    mask = np.zeros(len(paths), bool)
    mask[untidy] = True
    return pc.replace_with_mask(paths, pa.array(mask), pa.array(mended, pa.large_string()))


def _files_in(folder):
    """Returns the names of the files in a folder, none if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file() and _is_unicode(entry.name)]
    except OSError:
        return []


def _is_unicode(name):
    # A name of other bytes cannot be written in a table; Python holds these bytes as lone surrogates.
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)
