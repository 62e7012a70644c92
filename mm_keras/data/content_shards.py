"""Shards for the contents of files that stand in a table itself: written once, found again by a key."""

import atexit
import hashlib
import importlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

STATES = "cells.parquet"


class ContentShards:
    """Writes the contents of a table's rows into a folder of record shards.

    Each cell has a state, a text: null = missing, "" = its contents are in the shards, else what stands in
    the table without contents, such as a path.

    Args:
        folder: str or path, or None. Where folders of shards are kept from run to run. None: a temporary
            folder, removed when the process ends.
        key: JSON value, or None. Stands for what the table holds. None: nothing is found again.
    """

    def __init__(self, folder=None, key=None):
        self.writer, self.states, self.target = None, {}, None
        if folder is None or key is None:
            return
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
        self.target = Path(folder).absolute() / digest
        if (self.target / STATES).is_file():
            saved = pq.read_table(self.target / STATES)
            self.states = {name: saved[name].combine_chunks() for name in saved.column_names}

    def write(self, start, count, contents):
        """Appends rows: contents is dict, column -> list `(count,)` of bytes or None."""
        if self.writer is None:
            self._open(start)
        self.writer.columns = tuple(sorted({*self.writer.columns, *contents}))
        for position in range(count):
            row = {name: cells[position] for name, cells in contents.items()}
            self.writer.write(start + position, row)

    def finish(self, states):
        """Closes the shards.

        Args:
            states: dict, column -> list of large string arrays. Of each column that was written.

        Returns: (Records, dict of column -> states), or (None, {}) if there are no contents.
        """
        if self.states:
            return _import_records().Records.load(self.target), self.states
        if self.writer is None:
            return None, {}
        self.writer.close()
        states = {name: pa.chunked_array(chunks, pa.large_string()) for name, chunks in states.items()}
        pq.write_table(pa.table(states), self.writer.folder / STATES)
        self.writer.records.save(self.writer.folder)
        folder = self._move() if self.target else self.writer.folder
        whole = {name: state.combine_chunks() for name, state in states.items()}
        return _import_records().Records.load(folder), whole

    def _open(self, rows_before):
        if self.target:
            # Under its own name only when it is whole: a run that is killed leaves nothing to be found.
            folder = self.target.with_name(f"{self.target.name}.{os.getpid()}.partial")
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder = tempfile.mkdtemp(prefix="mm_keras_")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.writer = _import_records().RecordWriter(folder, ())
        for row in range(rows_before):
            self.writer.write(row, {})

    def _move(self):
        try:
            os.rename(self.writer.folder, self.target)
        except OSError:
            if not (self.target / STATES).is_file():
                raise
            # Another process was quicker.
            shutil.rmtree(self.writer.folder, ignore_errors=True)
        return self.target


def _import_records():
    # It brings TensorFlow, which takes seconds: only tables with contents wait for it.
    return importlib.import_module("mm_keras.data.records")


def encode_npy(array):
    """Returns the bytes of a `.npy` file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
