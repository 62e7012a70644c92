"""Reads Parquet files, one or a folder of them, as tables of text: streamed, batch by batch."""

import os
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from mm_keras.checks import message
from mm_keras.data.table import ManifestError
from mm_keras.data.table_arrow import ArrowRows
from mm_keras.data.table_text import unreadable

KIND = "a Parquet file"
MOST_ROWS, LEAST_ROWS, BATCH_BYTES = 65_536, 16, 16 * 2**20
READ_BYTES = 2**20


def read_parquet(path, columns=None, root=None, folder=None, files=None):
    """Reads Parquet.

    Args:
        path: Path. A file; or a folder, whose `.parquet` files are read sorted by name, each folder such as
            `split=train` on the way adding a column.
        columns: list of str or None. The columns to keep, no others are read; None: all.
        root: str or path, or None. Folder that paths are relative to; None: that of `path`.
        folder: str or path, or None. Where the contents of files that stand in cells are kept; see
            `ContentShards`.
        files: list of Path or None. The files, if `path` is only what they are called.

    Returns: Table. Its lines are numbers of rows, from 1.
    Raises: ManifestError, if a file cannot be read or there are no rows.
    """
    files = files or (find_parquet(path) if path.is_dir() else [path])
    opened = [(file, _open(file)) for file in files]
    statuses = [(os.path.abspath(file), os.stat(file)) for file in files]
    key = [[name, status.st_size, status.st_mtime_ns] for name, status in statuses]
    rows = ArrowRows(path, columns, root or (path if path.is_dir() else files[0].parent), folder, key)
    for file, parquet in opened:
        rows.declare([*parquet.schema_arrow.names, *_partitions(file, path)])
    for file, parquet in opened:
        try:
            with parquet:
                _read_file(rows, parquet, _partitions(file, path))
        except (OSError, pa.ArrowException) as error:
            raise _damaged(file, error) from error
    return rows.to_table()


def find_parquet(folder):
    """Returns the `.parquet` files below a folder, sorted; names with a dot or `_` ahead are no data."""
    found = sorted(folder.rglob("*.parquet"))
    return [path for path in found if not any(p[0] in "._" for p in path.relative_to(folder).parts)]


def _open(file):
    try:
        return pq.ParquetFile(file, buffer_size=READ_BYTES, pre_buffer=False)
    except FileNotFoundError as error:
        raise unreadable(file, KIND, error) from error
    except (OSError, pa.ArrowException) as error:
        raise _damaged(file, error) from error


def _damaged(file, error):
    fix = "Write the file again, or name the table itself."
    return ManifestError(message(str(file), KIND, str(error).splitlines()[0].rstrip("."), fix))


def _partitions(file, path):
    """Returns what the folders say: split=train/part.parquet is {"split": "train"}."""
    parts = file.relative_to(path).parts[:-1] if path.is_dir() else ()
    return {unquote(name): unquote(value) for name, _, value in (p.partition("=") for p in parts) if value}


def _read_file(rows, parquet, partitions):
    names = {name: name.strip() for name in parquet.schema_arrow.names}
    kept = [name for name, stripped in names.items() if rows.keeps(stripped)]
    if not kept:
        count = parquet.metadata.num_rows
        rows.add(_repeat(partitions, count), count)
        return
    for batch in parquet.iter_batches(_rows_at_once(parquet.metadata, kept), columns=kept):
        cells = {names[name]: batch.column(name) for name in batch.schema.names}
        rows.add({**cells, **_repeat(partitions, batch.num_rows)}, batch.num_rows)


def _rows_at_once(metadata, names):
    """Returns how many rows of some columns make a batch of `BATCH_BYTES`: cells may hold whole files."""
    sizes = 0
    for group in range(metadata.num_row_groups):
        columns = metadata.row_group(group)
        for index in range(metadata.num_columns):
            column = columns.column(index)
            if any(
                column.path_in_schema == name or column.path_in_schema.startswith(f"{name}.")
                for name in names
            ):
                sizes += column.total_uncompressed_size
    return int(min(max(BATCH_BYTES * metadata.num_rows // max(sizes, 1), LEAST_ROWS), MOST_ROWS))


def _repeat(partitions, count):
    return {name: pa.repeat(pa.scalar(value, pa.large_string()), count) for name, value in partitions.items()}
