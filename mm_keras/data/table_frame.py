"""Reads pandas frames and Hugging Face data sets as tables of text."""

import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mm_keras.checks import message
from mm_keras.data.arrow_text import PATHS, to_text
from mm_keras.data.content_shards import encode_npy
from mm_keras.data.table import ManifestError, text_column
from mm_keras.data.table_arrow import ArrowRows

CHUNK = 8192
HEAVY_CHUNK = 256  # Rows of a Hugging Face data set at once: each may hold a photo.
TEXT = pa.large_string()


def read_frame(frame, columns=None, root=None, folder=None):
    """Reads a pandas.DataFrame; its index is passed over.

    None, NaN and NaT are missing, numbers are as short as they round-trip. Bytes and NumPy arrays are
    contents of files, in record shards.

    Args:
        frame: pandas.DataFrame.
        columns: list of str or None. The columns to keep; None: all.
        root: str or path, or None. Folder that paths are relative to; None: the working folder.
        folder: as in `ContentShards`. Shards of a frame are not used again.

    Returns: Table. Its lines are numbers of rows, from 1.
    Raises: ManifestError, if there are no rows or a cell is no text, number, bytes or array.
    """
    rows = ArrowRows("DataFrame", columns, root or os.getcwd(), folder)
    rows.declare(frame.columns)
    for start in range(0, len(frame), CHUNK):
        part = frame.iloc[start : start + CHUNK]
        cells = {}
        for position, name in enumerate(rows.names):
            if rows.keeps(name):
                cells[name] = _series_to_arrow(part.iloc[:, position], name, start)
        rows.add(cells, len(part))
    return rows.to_table()


def _series_to_arrow(series, name, start):
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, UnicodeEncodeError):
        if all(cell is None or isinstance(cell, np.ndarray) for cell in series):
            return pa.array(
                [None if cell is None else encode_npy(cell) for cell in series], pa.large_binary()
            )
        # Cells of several types in one column.
        cells = [_to_text(cell, name, start + row) for row, cell in enumerate(series.tolist(), start=1)]
        return pa.array(cells, pa.large_binary()).view(TEXT)  # Unchecked: `to_text` finds what is no UTF-8.


def _to_text(cell, name, row):
    """Returns a cell of a column of several types as UTF-8, None = missing."""
    if isinstance(cell, str):
        # A lone surrogate is no text: it goes on as bytes that are no UTF-8 either, and is found there.
        return cell.encode("utf-8", "surrogatepass")
    if isinstance(cell, os.PathLike):
        return os.fspath(cell).encode()
    if isinstance(cell, (bool, np.bool_)):
        return b"true" if cell else b"false"
    if np.ndim(cell) == 0 and (cell is None or pd.isna(cell)):
        return None
    if isinstance(cell, (int, float, np.number)):
        return to_text(pa.array([cell]))[0][0].as_py().encode()
    received = f"{type(cell).__name__} in row {row} of the column `{name}`"
    fix = "Convert it, or write bytes or arrays in all rows of the column."
    raise ManifestError(message("DataFrame", "cells of one type, or texts and numbers", received, fix))


def is_hub_dataset(source):
    """Returns whether an object is of Hugging Face's `datasets`, which need not be installed."""
    return any(kind.__module__.partition(".")[0] == "datasets" for kind in type(source).__mro__)


def read_hub_dataset(dataset, columns=None, root=None, folder=None):
    """Reads a Hugging Face `Dataset`, `IterableDataset`, or a dict of them.

    The names of a dict become the column `split`, unless there is one. Class labels become their names, -1
    is missing. Images and sounds become record shards, or paths where the data set holds paths alone.

    Args:
        dataset: datasets.Dataset, IterableDataset, DatasetDict or IterableDatasetDict.
        columns: list of str or None. The columns to keep; None: all.
        root: str or path, or None. Folder that paths are relative to; None: the one that holds all of them,
            or the working folder.
        folder: as in `ContentShards`. Shards are found again by the data set's fingerprint.

    Returns: Table. Its lines are numbers of rows, from 1.
    Raises: ManifestError, if there are no rows.
    """
    parts = dict(dataset) if isinstance(dataset, dict) else {None: dataset}
    fingerprints = [[name, getattr(part, "_fingerprint", None)] for name, part in parts.items()]
    key = None if any(fingerprint is None for _, fingerprint in fingerprints) else fingerprints
    rows = ArrowRows(type(dataset).__name__, columns, root or os.getcwd(), folder, key)
    for split, part in parts.items():
        _read_part(rows, part, split)
    table = rows.to_table()
    paths = [name for name, kind in rows.kinds.items() if kind == PATHS]
    if paths:
        _make_relative(table, paths, root)
    return table


def _read_part(rows, part, split):
    for index, batch in enumerate(part.with_format("arrow").iter(HEAVY_CHUNK)):
        if index == 0:
            names = {name: name.strip() for name in batch.schema.names}
            rows.declare(batch.schema.names)
            add_split = split is not None and "split" not in names.values()
            if add_split:
                rows.declare(["split"])
        cells = {
            stripped: _name_classes(batch[name], (part.features or {}).get(name))
            for name, stripped in names.items()
            if rows.keeps(stripped)
        }
        if add_split:
            cells["split"] = pa.repeat(pa.scalar(str(split), TEXT), batch.num_rows)
        rows.add(cells, batch.num_rows)


def _name_classes(column, feature):
    """Returns the column with the names of its classes instead of their numbers, alone or in lists."""
    column = column.combine_chunks()
    inner = feature
    while hasattr(inner, "feature"):
        inner = inner.feature
    if type(inner).__name__ != "ClassLabel" or not inner.names:
        return column
    names = pa.array(inner.names, TEXT)
    if inner is feature:
        return _take_names(names, column)
    return pa.LargeListArray.from_arrays(
        *_offsets_and_names(names, column), mask=pc.is_null(column) if column.null_count else None
    )


def _take_names(names, codes):
    known = pc.and_(pc.greater_equal(codes, 0), pc.less(codes, len(names)))
    return names.take(pc.if_else(known, codes, pa.scalar(None, codes.type)))


def _offsets_and_names(names, lists):
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int64())
    return offsets, _take_names(names, pc.list_flatten(lists))


def _make_relative(table, columns, root):
    """Writes absolute paths relative to the root: by default the folder that holds all of them."""
    texts = {name: pa.array(table.frame[name].array, TEXT) for name in columns}
    if root is None:
        distinct = set()
        for paths in texts.values():
            folders = pc.replace_substring_regex(paths, r"[^/\\]*$", "")
            distinct |= set(pc.unique(folders.filter(pc.not_equal(paths, ""))).to_pylist())
        if not distinct or not all(os.path.isabs(folder) for folder in distinct):
            return
        root = os.path.commonpath(distinct)
        table.root = type(table.root)(root)
    prefix = os.path.join(os.path.abspath(root), "")
    for name, paths in texts.items():
        inside = pc.starts_with(paths, prefix)
        relative = pc.if_else(inside, pc.utf8_slice_codeunits(paths, len(prefix)), paths)
        chunks = relative.chunks if isinstance(relative, pa.ChunkedArray) else [relative]
        table.frame[name] = text_column(chunks)
