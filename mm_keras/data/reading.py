"""Reads any table as text: chooses the reader by what the source is."""

import dataclasses
import glob
import importlib
import os
import re
from pathlib import Path

import pandas as pd

from mm_keras.checks import closest, listing, message
from mm_keras.data.prepare_journal import is_prepared
from mm_keras.data.table import ManifestError, Table
from mm_keras.data.table_csv import read_csv
from mm_keras.data.table_folder import read_folder
from mm_keras.data.table_frame import is_hub_dataset, read_frame, read_hub_dataset
from mm_keras.data.table_jsonl import read_jsonl
from mm_keras.data.table_parquet import find_parquet, read_parquet
from mm_keras.data.table_text import unreadable

TEXT_FILES = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_csv,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
}
PARQUET = (".parquet", ".pq")
# Also as others number their shards: train.tfrecord-00000-of-00010.
RECORDS = re.compile(r"\.tfrec(?:ords?)?(?:-\d+-of-\d+)?(?:\.gz)?$", re.IGNORECASE)
ENDINGS = (*TEXT_FILES, *PARQUET, ".tfrecord")


def read_table(source, columns=None, root=None, folder=None, rates=None):
    """Reads a table of any kind; the readers' docstrings say what becomes of which cell.

    Args:
        source: str or path: a `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.tfrecord` file, each but Parquet
            also as `.gz`; a pattern such as `shards/*.tfrecord`; or a folder of Parquet files, of TFRecord
            shards, per class or per modality. Or a pandas.DataFrame, a Hugging Face data set, a
            tf.data.Dataset of dicts, or a Table.
        columns: list of str or None. The columns to keep; None: all.
        root: str or path, or None. Folder that paths in cells are relative to; None: that of the table.
            A folder per class or per modality is its own.
        folder: str or path, or None. Where the contents of files that stand in the table itself are kept from
            run to run. None: a temporary folder.
        rates: dict, column of waveforms in a tf.data.Dataset -> int > 0, samples per second (Hz), or None.

    Returns: Table.
    Raises: ManifestError, if it cannot be read, is no table or has no rows.
    """
    if isinstance(source, (str, os.PathLike)):
        return _read_path(source, columns, root, folder)
    if isinstance(source, Table):
        return source if root is None else dataclasses.replace(source, root=root)
    if isinstance(source, pd.DataFrame):
        return read_frame(source, columns, root, folder)
    if is_hub_dataset(source):
        return read_hub_dataset(source, columns, root, folder)
    if hasattr(source, "element_spec"):
        return _import("table_dataset").read_dataset(source, columns, root, folder, rates)
    expected = "a path, a pandas.DataFrame, a Hugging Face data set or a tf.data.Dataset"
    fix = "Pass one of these, such as pandas.DataFrame(rows)."
    raise ManifestError(message("read_table", expected, f"source of type {type(source).__name__}", fix))


def read_manifest(path):
    """Reads a table as a pandas.DataFrame of str without spaces around; see `read_table`."""
    return read_table(path).frame


def _read_path(source, columns, root, folder):
    path = Path(source)
    if not path.exists() and glob.has_magic(str(source)):
        return _read_pattern(path, columns, root, folder)
    if path.is_dir():
        return _read_folder(path, columns, root, folder)
    if RECORDS.search(path.name) and path.exists():
        return _import("table_records").read_record_files(path, columns, root)
    ending = _ending(path)
    if ending in PARQUET:
        return read_parquet(path, columns, root, folder)
    if ending not in TEXT_FILES:
        if not path.exists():
            raise unreadable(path, "a table", FileNotFoundError())
        fix = f"{closest(ending, ENDINGS)}Save it as CSV UTF-8 with the ending .csv."
        received = f"the ending `{ending}`" if ending else "no ending"
        raise ManifestError(message(str(path), f"a table that ends in {listing(ENDINGS)}", received, fix))
    table = TEXT_FILES[ending](path, columns)
    return table if root is None else dataclasses.replace(table, root=root)


def _read_folder(path, columns, root, folder):
    if is_prepared(path):
        return _import("table_prepared").read_prepared(path, columns)
    # A table of labels beside folders of files is read with these.
    if files := [file for file in find_parquet(path) if file != path / "labels.parquet"]:
        return read_parquet(path, columns, root, folder, files)
    if files := sorted(file for file in path.iterdir() if RECORDS.search(file.name)):
        return _import("table_records").read_record_files(path, columns, root, files)
    return read_folder(path, lambda labels: _read_path(labels, None, None, None), columns)


def _read_pattern(path, columns, root, folder):
    """Reads the files that a pattern such as `shards/*.tfrecord` names, sorted, as one table."""
    files = [Path(file) for file in sorted(glob.glob(str(path), recursive=True))]
    if files and all(RECORDS.search(file.name) for file in files):
        return _import("table_records").read_record_files(path, columns, root, files)
    if files and all(_ending(file) in PARQUET for file in files):
        return read_parquet(path, columns, root, folder, files)
    received = f"{len(files)}, such as `{files[0]}`" if files else "no such file"
    fix = "Check the pattern; other tables are named one by one."
    raise ManifestError(message(str(path), "a pattern of Parquet files or TFRecord shards", received, fix))


def _ending(path):
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    ending = suffixes[-1] if suffixes else ""
    return suffixes[0] if ending == ".gz" and len(suffixes) == 2 and suffixes[0] in TEXT_FILES else ending


def _import(module):
    # They bring TensorFlow, which takes seconds: only its own tables wait for it.
    return importlib.import_module(f"mm_keras.data.{module}")
