"""Reads TFRecord shards of tf.train.Example as a table of text; the contents of files stay where they are."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from google.protobuf.message import DecodeError

from mm_keras.checks import listing, message
from mm_keras.data.arrow_text import TEXTS, kind_of, to_text
from mm_keras.data.findings import Finding
from mm_keras.data.records import Records
from mm_keras.data.table import ManifestError
from mm_keras.data.table_arrow import ArrowRows, name_contents

KIND = "TFRecord shards of tf.train.Example"
CHUNK = 256
LOOKED_AT = 64  # Records of each shard that show which features there are.
# TensorFlow's message quotes the record: if that is no text, Python cannot make an error of it.
NO_EXAMPLE = (tf.errors.InvalidArgumentError, UnicodeDecodeError)
DTYPES = {"int64_list": tf.int64, "float_list": tf.float32, "bytes_list": tf.string}


def read_record_files(path, columns=None, root=None, files=None):
    """Reads TFRecord shards once: numbers and texts become cells, bytes that are no text stay there.

    The features are those of the first 64 records of each shard. A feature of several values is a list, its
    values joined by `|`; one that is absent or has no value is missing.

    Args:
        path: Path. What the shards are called in messages.
        columns: list of str or None. The columns to keep; None: all.
        root: str or path, or None. Folder that paths are relative to; None: that of the first shard.
        files: list of Path, or None. The shards in reading order; None: `path` alone.

    Returns: Table with `records`. A record that cannot be read is a row of empty cells and a finding; what
        follows a fault within a shard is lost, which is a finding too.
    Raises: ManifestError, if no shard can be read or there are no records.
    """
    files = [os.path.abspath(file) for file in files or [path]]
    kinds = {file: _compression_of(file) for file in files}
    compressions = set(kinds.values()) - {None}
    if len(compressions) != 1:
        received = "some with GZIP, some without" if compressions else f"{listing(files, 4)}"
        fix = "Compress all of them or none." if compressions else "Check the paths, or write them again."
        raise ManifestError(message(str(path), KIND, received, fix))
    rows = ArrowRows(path, columns, root or os.path.dirname(files[0]))
    scan = _Scan(rows, compressions.pop())
    intact = [file for file in files if kinds[file] is not None]
    scan.find_features(intact)
    for file in files:
        if kinds[file] is None:
            scan.lose(file, "no TFRecord file")
        else:
            scan.read(file)
    table = rows.to_table()
    contents = tuple(name for name in scan.contents if rows.keeps(name))
    counts = tuple(scan.counts[file] for file in intact)
    table.records = Records(tuple(intact), contents, counts, scan.compression, "", scan.intact)
    return table


def _compression_of(file):
    """Returns "" or "GZIP", None if no record of the file can be read."""
    for compression in ("", "GZIP"):
        try:
            next(iter(tf.data.TFRecordDataset(file, compression).take(1)), None)
            return compression
        except tf.errors.DataLossError:
            continue
        except (tf.errors.NotFoundError, tf.errors.PermissionDeniedError, tf.errors.FailedPreconditionError):
            break
    return None


class _Scan:
    """Goes through shards once.

    Args:
        rows: ArrowRows. Gets the cells.
        compression: "" or "GZIP".
    """

    def __init__(self, rows, compression):
        self.rows, self.compression = rows, compression
        self.features, self.contents, self.counts, self.intact = {}, [], {}, True

    def find_features(self, files):
        """Looks at the first records of each shard for the names and types of features."""
        several = {}
        for file in files:
            head = self._open(file).take(LOOKED_AT).ignore_errors()
            for serialized in head.as_numpy_iterator():
                for name, feature in _features_of(serialized):
                    self.features.setdefault(name, DTYPES[feature.WhichOneof("kind")])
                    if feature.WhichOneof("kind") == "bytes_list":
                        several[name] = several.get(name, ()) or tuple(feature.bytes_list.value)
        if not self.features:
            fix = "Write records of tf.train.Example with features."
            raise ManifestError(message(str(self.rows.path), KIND, "no record with a feature", fix))
        self.rows.declare(sorted(self.features))
        for name, values in sorted(several.items()):
            if values and kind_of(pa.array(values, pa.large_binary())) != TEXTS:
                self.contents.append(name)

    def read(self, file):
        """Adds the rows of a shard: batch by batch, from the first fault on record by record."""
        start = self.rows.rows
        try:
            for parsed in self._open(file).batch(CHUNK).map(self._parse, tf.data.AUTOTUNE):
                self._add(parsed)
        except (tf.errors.DataLossError, *NO_EXAMPLE):
            self.intact = False
            self._read_slowly(file, self.rows.rows - start)
        self.counts[file] = self.rows.rows - start

    def lose(self, file, reason):
        """Adds the finding that records of a shard cannot be reached."""
        self.rows.findings.append(
            Finding("damaged_row", self.rows.rows + 1, "", os.path.basename(file), reason)
        )

    def _open(self, file):
        return tf.data.TFRecordDataset(file, self.compression, buffer_size=2**20)

    def _parse(self, serialized):
        """Returns the kept features of serialized records `(B,)`: of contents, their lengths in bytes."""
        kept = [name for name in self.features if self.rows.keeps(name)] or list(self.features)[:1]
        spec = {
            name: tf.io.FixedLenFeature([], tf.string, "")
            if name in self.contents
            else tf.io.RaggedFeature(self.features[name], row_splits_dtype=tf.int64)
            for name in kept
        }
        parsed = tf.io.parse_example(serialized, spec)
        return {
            name: tf.strings.length(value) if name in self.contents else value
            for name, value in parsed.items()
        }

    def _add(self, parsed):
        start, cells = self.rows.rows, {}
        for name, value in parsed.items():
            if name in self.contents:
                lengths = value.numpy()
                count = len(lengths)
                cells[name] = name_contents(name, start, pa.array(lengths > 0))
            else:
                splits = value.row_splits.numpy()
                count = len(splits) - 1
                cells[name] = self._to_text(name, value.values.numpy(), splits)
        self.rows.add(cells, count)

    def _to_text(self, name, values, splits):
        kind = pa.large_binary() if values.dtype == object else None
        lists = pa.LargeListArray.from_arrays(pa.array(splits), pa.array(values, kind))
        texts, wrong = to_text(lists)
        for position, shown in sorted(wrong.items()):
            row = self.rows.rows + position
            reason = "bytes that are no UTF-8 text"
            self.rows.findings.append(Finding("not_text", row + 1, name, shown, reason, row))
        # A feature without values is absent, not an empty list of labels.
        return pc.if_else(pa.array(np.diff(splits) == 0), pa.scalar("", pa.large_string()), texts)

    def _read_slowly(self, file, done):
        stream, pending, read = self._open(file).skip(done).as_numpy_iterator(), [], done
        while True:
            try:
                serialized = next(stream, None)
            except tf.errors.DataLossError:
                self.lose(file, f"the shard is cut off or damaged after {read} records")
                serialized = None
            if pending and (serialized is None or len(pending) == CHUNK):
                self._add(self._parse(tf.constant(pending)))
                pending = []
            if serialized is None:
                return
            pending.append(self._check(serialized, self.rows.rows + len(pending), file))
            read += 1

    def _check(self, serialized, row, file):
        """Returns the record, or an empty one and a finding if it cannot be parsed."""
        try:
            self._parse(tf.constant([serialized]))
        except NO_EXAMPLE:
            reason = f"a record of {os.path.basename(file)} that is no tf.train.Example like the first ones"
            self.rows.findings.append(Finding("damaged_row", row + 1, "", "", reason, row))
            return b""
        return serialized


def _features_of(serialized):
    """Returns the (name, feature) of a record that hold values; none if it is no tf.train.Example."""
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except DecodeError:
        return []
    return [(name, feature) for name, feature in features.items() if feature.WhichOneof("kind")]
