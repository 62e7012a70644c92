"""Which file of a row cannot be decoded, and why."""

from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf

from mm_keras.data.findings import Finding
from mm_keras.data.reasons import code_of
from mm_keras.data.record_damage import damage_error
from mm_keras.data.transforms import reason_of

THREADS = 4
HEAD = 64  # Bytes that tell a file's type.


def find_bad_files(source, rows):
    """Decodes the files of rows one by one and returns a Finding for each that fails.

    Args:
        source: RowSource.
        rows: int array. Rows of which at least one file cannot be decoded.

    Raises: ManifestError, if the shards themselves are damaged.
    """
    if not len(rows):
        return []
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            cells_of_rows = source.dataset(rows).as_numpy_iterator()
            # The first one alone: what it prepares, each thread would prepare anew.
            first = _try_row(source, next(cells_of_rows))
            others = pool.map(lambda cells: _try_row(source, cells), cells_of_rows)
            return [finding for found in (first, *others) for finding in found]
        except tf.errors.DataLossError as error:
            raise damage_error(source.manifest.records) from error


def _try_row(source, cells):
    row = int(cells["row/index"])
    found = []
    for name in source.names:
        if not cells[name]:
            continue
        try:
            source.decode_cell(name, tf.constant(cells[name]))
        except (tf.errors.OpError, ValueError) as error:
            found.append(_finding(source, row, name, cells[name], reason_of(error)))
    return found


def _finding(source, row, name, cell, reason):
    manifest, column = source.manifest, source.columns[name]
    written = str(manifest.table[column].array[row])
    head = cell[:HEAD] if source.in_records else _head_of(manifest.cells_of(name)[row])
    code = code_of(reason, head, written)
    return Finding(code, int(manifest.lines[row]), column, written, reason, row, name)


def _head_of(path):
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""
