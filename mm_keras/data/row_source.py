"""Where the files of rows come from: paths or record shards; and how a row is decoded."""

import functools
import hashlib
import json
import os

import numpy as np
import pandas as pd
import tensorflow as tf

from mm_keras.data import transforms
from mm_keras.data.cells import as_arrow
from mm_keras.data.decode_batch import decode_batch, decode_few, is_plain, is_small
from mm_keras.data.records import read_records

READERS = 8  # Shards that are read in turn where rows are shuffled.
CHUNK = 65_536  # Strings that are Python objects at one time.
FEW = 8  # Rows that are read and decoded in one step: one by one, a step costs more than a small file.
LOOKED_AT = 8  # Files that tell whether a modality's files are plain.


class RowSource:
    """Reads and decodes the files of a manifest's rows.

    Args:
        manifest: Manifest.
        files: dict, name -> part of the spec, of `Spec.files`.
        limits: Data of the spec; `max_pixels` and `max_samples` of it are used.
    """

    def __init__(self, manifest, files, limits):
        self.manifest = manifest
        names = (name for name in sorted(files) if files[name].kind in transforms.FILE_KINDS)
        self.modalities = {name: files[name] for name in names}
        self.limits = limits
        self.columns = {name: modality.column for name, modality in self.modalities.items()}
        records = manifest.records
        self.in_records = bool(records) and any(c in records.columns for c in self.columns.values())
        self._decode_row = tf.function(self._decode, autograph=False)
        self._fetch_cells = tf.function(self._fetch_few, autograph=False)

    @property
    def names(self):
        """Modalities whose cells are files, sorted."""
        return list(self.modalities)

    @property
    def features(self):
        return [name for name, modality in self.modalities.items() if modality.kind == "features"]

    @property
    def layout(self):
        """Modality -> (shape, NumPy dtype) of one decoded example."""
        return {
            name: (modality.example_shape, np.uint8 if modality.kind == "image" else np.float32)
            for name, modality in self.modalities.items()
        }

    @property
    def row_bytes(self):
        """Bytes of one decoded example."""
        return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in self.layout.values())

    def dataset(self, rows, shuffle=None):
        """Returns a dataset of {"row/index": int64 scalar, modality: path or contents}.

        From paths, the rows come in the order of `rows`; from records, in that of the shards, those of
        `shuffle`, a seed, in an order of their own in each epoch.
        """
        if self.in_records:
            return self._stream(rows, shuffle)
        columns = {name: as_tensor(self.manifest.cells_of(name)[rows]) for name in self.names}
        return tf.data.Dataset.from_tensor_slices({"row/index": np.asarray(rows, np.int64), **columns})

    def taker(self, rows):
        """Returns the function that turns positions in `rows`, int64 `(B,)`, into a dataset's rows."""
        numbers = tf.constant(np.asarray(rows, np.int64))
        columns = {name: as_tensor(self.manifest.cells_of(name)[rows]) for name in self.names}

        @tf.autograph.experimental.do_not_convert
        def take(places):
            taken = {name: tf.gather(column, places) for name, column in columns.items()}
            return {"row/index": tf.gather(numbers, places), **taken}

        return take

    def _stream(self, rows, shuffle):
        wanted = np.zeros(len(self.manifest.lines), bool)
        wanted[rows] = True
        wanted = tf.constant(wanted)
        here = {name: tf.constant(self.manifest.has(name)) for name in self.names}

        def name_contents(records):
            records = _choose(records, tf.gather(wanted, records["row"]))
            contents = {"row/index": records["row"]}
            for name in self.names:
                there = tf.gather(here[name], records["row"])
                contents[name] = _unless_hidden(records[self.columns[name]], there)
            return contents

        readers = 1 if shuffle is None else READERS
        columns = sorted(set(self.columns.values()))
        return read_records(self.manifest.records, columns, readers, seed=shuffle, prepare=name_contents)

    @functools.cached_property
    def plain(self):
        """Modalities whose files, as far as some of them show, `decode_batch` decodes at once; sorted."""
        return [name for name in self.names if self._looks[name][0]]

    @functools.cached_property
    def is_small(self):
        """Whether all files of a row are read so quickly that a step should take a few rows."""
        return all(name in self.plain or self._looks[name][1] for name in self.names)

    def decode(self, row):
        """Decodes a row of `dataset`; its graph is traced once for all splits."""
        return self._decode_but((), row)

    def fetch(self, row):
        """Reads a row of `dataset`, and decodes all but the modalities of `plain`."""
        return self._decode_but(tuple(self.plain), row)

    @tf.autograph.experimental.do_not_convert
    def fetch_few(self, rows):
        """Does with at most `FEW` rows what `fetch` does with one."""
        count = tf.size(rows["row/index"])
        fetched = {"row/index": rows["row/index"]}
        for name in self.names:
            if name in self.plain and self.in_records:
                fetched[name] = rows[name]
                continue
            cells = tf.pad(rows[name], [[0, FEW - count]], constant_values="")
            cells = tf.ensure_shape(cells, [FEW])
            fetched[name] = self._fetch_cells(name, cells)[:count]
        return fetched

    @tf.autograph.experimental.do_not_convert
    def finish(self, batch):
        """Decodes what `fetch` left of the rows of a batch."""
        return {**batch, **{name: self._decode_many(decode_batch, name, batch[name]) for name in self.plain}}

    @tf.autograph.experimental.do_not_convert
    def _decode_but(self, left, row):
        cells = {name: row[name] for name in self.names}
        return {"row/index": row["row/index"], **self._decode_row(left, cells)}

    def _decode(self, left, cells):
        read = tf.identity if self.in_records else transforms.read_unless_empty
        return {
            name: read(cell) if name in left else self.decode_cell(name, cell) for name, cell in cells.items()
        }

    def _fetch_few(self, name, cells):
        contents = cells
        if not self.in_records:
            contents = tf.stack([transforms.read_unless_empty(cell) for cell in tf.unstack(cells)])
        return contents if name in self.plain else self._decode_many(decode_few, name, contents)

    def _decode_many(self, decode, name, contents):
        return decode(contents, self.modalities[name], self.limits.max_pixels, self.limits.max_samples)

    @functools.cached_property
    def _looks(self):
        """Modality -> (whether some of its files all are `is_plain`, whether they all are `is_small`)."""
        looks, limits = {}, self.limits
        with tf.init_scope():  # It may be asked while a graph is traced.
            for name, contents in self._read_some().items():
                modality = self.modalities[name]
                plain = is_plain(contents, modality, limits.max_pixels, limits.max_samples)
                small = is_small(contents, modality, limits.max_pixels)
                looks[name] = [bool(contents) and bool(tf.reduce_all(here)) for here in (plain, small)]
        return looks

    def _read_some(self):
        """Returns the contents of some files, modality -> list of bytes; without those that are missing."""
        if self.in_records:
            rows = self.dataset(np.arange(len(self.manifest.lines))).take(LOOKED_AT)
            rows = list(rows.as_numpy_iterator())
            return {name: [row[name] for row in rows if row[name]] for name in self.names}
        some = {}
        for name in self.names:
            cells = self.manifest.cells_of(name)
            places = np.flatnonzero(cells != "")
            chosen = places[np.linspace(0, len(places) - 1, min(LOOKED_AT, len(places)), dtype=int)]
            some[name] = [tf.io.read_file(cells[place]).numpy() for place in chosen]
        return some

    def decode_cell(self, name, cell):
        """Decodes one path, or contents in records; "" gives zeros."""
        modality, limits = self.modalities[name], self.limits
        read = (lambda contents: contents) if self.in_records else transforms.read_file
        return transforms.decode_unless_empty(
            cell, read, modality, limits.max_pixels, max_samples=limits.max_samples
        )

    def slots(self, rows):
        """Returns (slot of each row `(N,)`, first row of each slot): rows with the same files share one."""
        slots = np.zeros(len(self.manifest.lines), np.int64)
        if self.in_records:
            slots[rows] = np.arange(len(rows))
            return slots, np.asarray(rows)
        codes = np.zeros(len(rows), np.int64)
        for name in self.names:
            part, distinct = pd.factorize(self.manifest.cells_of(name)[rows])
            codes = pd.factorize(codes * (len(distinct) + 1) + part)[0]
        slots[rows] = codes
        first = np.unique(codes, return_index=True)[1]
        return slots, np.asarray(rows)[first]

    def fingerprint(self, *others):
        """Returns a digest of all that decoding depends on: settings, files (path, size, time of change),
        which rows are in which split, and of `others`, texts."""
        digest = hashlib.blake2b("|".join(others).encode(), digest_size=12)
        keys = {"kind", "size", "channels", "rate", "seconds", "shape"}
        settings = {name: modality.model_dump(include=keys) for name, modality in self.modalities.items()}
        digest.update(json.dumps([settings, self.limits.max_pixels, self.limits.max_samples]).encode())
        for name, rows in self.manifest.splits.items():
            digest.update(name.encode() + np.asarray(rows, np.int64).tobytes())
        if self.in_records:
            paths = self.manifest.records.paths
            digest.update(self.manifest.present.tobytes())
            digest.update(b"".join(self.manifest.has(name).tobytes() for name in self.names))
        else:
            paths = []
            for name in self.names:
                codes, distinct = pd.factorize(self.manifest.cells_of(name))
                digest.update(codes.tobytes())
                paths += filter(None, distinct)
        for path in paths:
            stat = os.stat(path)
            digest.update(f"{path}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def _choose(records, chosen):
    """Returns those of records, a dict of tensors `(B,)`, for which `chosen` is True; all without a copy."""
    return tf.cond(
        tf.reduce_all(chosen),
        lambda: {name: tf.identity(x) for name, x in records.items()},
        lambda: {name: tf.boolean_mask(x, chosen) for name, x in records.items()},
    )


def _unless_hidden(contents, here):
    """Returns contents, strings `(B,)`, "" where `here` is False; without a copy if it is nowhere."""
    return tf.cond(tf.reduce_all(here), lambda: tf.identity(contents), lambda: tf.where(here, contents, ""))


def as_tensor(texts):
    """Returns a pandas string array as a string tensor `(N,)`, on the CPU."""
    texts = as_arrow(texts)
    with tf.device("CPU:0"):
        parts = [
            tf.constant(texts.slice(start, CHUNK).to_numpy(zero_copy_only=False), tf.string)
            for start in range(0, max(len(texts), 1), CHUNK)
        ]
        return parts[0] if len(parts) == 1 else tf.concat(parts, axis=0)
