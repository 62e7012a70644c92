"""Tables that come as batches of Arrow columns: cells become text, the contents of files record shards."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mm_keras.checks import message
from mm_keras.data.arrow_text import CONTENTS, PATHS, UNDECIDED, contents_of, kind_of, to_text
from mm_keras.data.content_shards import ContentShards, encode_npy
from mm_keras.data.findings import Finding
from mm_keras.data.table import ManifestError, Table, text_column
from mm_keras.data.table_text import check_names

TEXT = pa.large_string()


class ArrowRows:
    """Collects a table batch by batch.

    Texts, numbers and lists of them become text. Bytes, `{bytes, path}` and arrays of floats are contents of
    files (the arrays as `.npy`): they are written to record shards at once, and their cells say where.

    Args:
        path: str or path. The table, for messages.
        columns: list of str or None. The columns to keep; None: all.
        root: str or path, or None. Folder that paths are relative to.
        folder, key: as in `ContentShards`.
    """

    def __init__(self, path, columns=None, root=None, folder=None, key=None):
        self.path, self.root = Path(path), root
        self.columns = None if columns is None else set(columns)
        self.names, self.kinds, self.chunks, self.left_out, self.findings = [], {}, {}, {}, []
        self.rows = 0
        self.shards = ContentShards(folder, None if key is None else [key, columns and sorted(columns)])

    @property
    def saved(self):
        """Columns whose shards are there from an earlier run: their cells need not be added."""
        return set(self.shards.states)

    def declare(self, names):
        """Names the columns of the table, before the first batch; refuses a name that is there twice."""
        names = check_names([str(name).strip() for name in names], self.path)
        self.names += [name for name in names if name not in self.names]

    def add(self, cells, count):
        """Appends a batch of `count` rows: cells is dict, column -> pyarrow array; of them, those to keep."""
        contents = {}
        for name, array in cells.items():
            if self.keeps(name) and name not in self.left_out:
                array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
                self._add_column(name, array, contents)
        if contents or self.shards.writer:
            self.shards.write(self.rows, count, contents)
        for name in self.chunks.keys() - cells.keys():
            self.chunks[name].append(pa.nulls(count, TEXT))
        self.rows += count

    def keeps(self, name):
        """Returns whether a column is to be read from the source."""
        return name not in self.saved and (self.columns is None or name in self.columns)

    def _add_column(self, name, array, contents):
        found, known = kind_of(array), self.kinds.get(name, UNDECIDED)
        if found is None:
            self.left_out[name] = str(array.type)
            self.chunks.pop(name, None)
            return
        # What the first values are counts: bytes that were text stay text.
        if known in (UNDECIDED, PATHS) and found != UNDECIDED:
            self.kinds[name] = known = CONTENTS if CONTENTS in (found, known) else found
        chunks = self.chunks.setdefault(name, [pa.nulls(self.rows, TEXT)] if self.rows else [])
        if found == UNDECIDED:
            chunks.append(pa.nulls(len(array), TEXT))
        elif known == CONTENTS:
            contents[name] = self._encode(name, contents_of(array))
            chunks.append(_states_of(array, contents[name]))
        elif known == PATHS:
            chunks.append(_paths_of(array))
        else:
            texts, wrong = to_text(array)
            chunks.append(texts)
            reason = "bytes that are no UTF-8 text"
            for position, shown in sorted(wrong.items()):
                row = self.rows + position
                self.findings.append(Finding("not_text", row + 1, name, shown, reason, row))

    def _encode(self, name, cells):
        """Returns the cells as bytes, arrays among them as `.npy` files."""
        for position, cell in enumerate(cells):
            if isinstance(cell, np.ndarray):
                cells[position] = encode_npy(cell) if cell.size else None
            elif not isinstance(cell, (bytes, type(None))):
                received = f"{cell!r} in row {self.rows + position + 1}"
                fix = "Write bytes, arrays or nothing in all of its rows."
                expected = f"bytes or arrays in the column `{name}`, as in its first rows"
                raise ManifestError(message(str(self.path), expected, received, fix))
        return cells

    def to_table(self):
        """Returns the Table; refuses one without rows."""
        if not self.rows:
            fix = "Write a row for each example."
            raise ManifestError(message(str(self.path), "rows", "none", fix))
        contents = {name: self.chunks[name] for name, kind in self.kinds.items() if kind == CONTENTS}
        records, states = self.shards.finish(contents)
        columns = {}
        for name in self.names:
            if name in states:
                columns[name] = [self._describe(name, states[name])]
            elif name in self.chunks:
                columns[name] = [pc.fill_null(chunk, "") for chunk in self.chunks[name]]
        frame = pd.DataFrame({name: text_column(chunks) for name, chunks in columns.items()})
        lines = np.arange(1, self.rows + 1)
        return Table(
            self.path, frame, lines, self.root, self.findings, records, list(self.names), self.left_out
        )

    def _describe(self, name, states):
        """Returns the cells of a column of contents, such as "image of row 3", and finds those without."""
        there = pc.fill_null(pc.equal(states, ""), False)
        for row in np.flatnonzero(pc.not_equal(pc.fill_null(states, ""), "")).tolist():
            reason = "its contents are not in the table, which holds those of other rows"
            path = states[row].as_py()
            self.findings.append(Finding("missing_file", row + 1, name, path, reason, row))
        return name_contents(name, 0, there)


def name_contents(name, start, there):
    """Returns cells for contents in records, such as "image of row 3", "" where they are not there.

    Args:
        name: str. The column.
        start: int. Number of the first row, from 0.
        there: pyarrow bool array `(N,)`.
    """
    numbers = pa.array(np.arange(start + 1, start + 1 + len(there))).cast(TEXT)
    cells = pc.binary_join_element_wise(pa.scalar(f"{name} of row ", TEXT), numbers, pa.scalar("", TEXT))
    return pc.if_else(there, cells, pa.scalar("", TEXT))


def _paths_of(array):
    """Returns the paths of `{bytes, path}`, null where there is none."""
    texts, _ = to_text(array)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, TEXT), texts)


def _states_of(array, contents):
    """Returns the states of cells, as `ContentShards` has them."""
    missing = pa.array([cell is None or len(cell) == 0 for cell in contents])
    absent = _paths_of(array) if pa.types.is_struct(array.type) else pa.nulls(len(array), TEXT)
    return pc.if_else(missing, absent, pa.scalar("", TEXT))
