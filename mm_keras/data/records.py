"""Record shards: the contents of files, a tf.train.Example for each row of a table."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import tensorflow as tf

from mm_keras.checks import listing, message

ROW = "row"
SHARD_BYTES = 128 * 2**20
PARSED = (
    16  # Records that are parsed at once: one by one takes longer, and many at once leave the CPU's cache.
)
INDEX = "records.json"


@dataclass(frozen=True)
class Records:
    """Shards that hold the contents of files for the rows of a table.

    Args:
        paths: tuple of str. TFRecord files, absolute, in reading order.
        columns: tuple of str. Columns of the table whose contents are in the records, a bytes feature each.
        counts: tuple of int. Records of each shard.
        compression: "" or "GZIP".
        row_key: str. The int64 feature with the number of the row, from 0; "": rows are numbered in reading
            order, shard by shard.
        intact: bool. Every record was read once. Else those that cannot be read are passed over, one by one.
    """

    paths: tuple
    columns: tuple
    counts: tuple
    compression: str = ""
    row_key: str = ROW
    intact: bool = True

    def save(self, folder):
        """Writes `records.json` into the folder of the shards, without the folder's own name."""
        mapping = {**asdict(self), "paths": [os.path.basename(path) for path in self.paths]}
        Path(folder, INDEX).write_text(json.dumps(mapping, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder):
        """Reads what `save` wrote."""
        mapping = json.loads(Path(folder, INDEX).read_text(encoding="utf-8"))
        paths = [os.path.join(os.path.abspath(folder), name) for name in mapping["paths"]]
        tuples = {name: tuple(mapping[name]) for name in ("columns", "counts")}
        return cls(**{**mapping, **tuples, "paths": tuple(paths)})


class RecordWriter:
    """Writes contents row by row into shards `shard-00000.tfrecord`, `shard-00001.tfrecord` and so on.

    Args:
        folder: str or path. It is made, with its parents.
        columns: iterable of str. Columns that `write` may name.
        compression: "" or "GZIP".
        shard_bytes: int > 0. A shard is closed once it holds so many bytes.

    Raises: ValueError, if a column is named like the number of the row.

    Example:
        with RecordWriter("shards", ["image"]) as writer:
            writer.write(0, {"image": Path("a.png").read_bytes()})
        records = writer.records
    """

    def __init__(self, folder, columns, compression="", shard_bytes=SHARD_BYTES):
        self.folder, self.columns = Path(folder).absolute(), tuple(columns)
        self.compression, self.shard_bytes = compression, shard_bytes
        if ROW in self.columns:
            fix = "Rename the column."
            raise ValueError(message("RecordWriter", f"`columns` without `{ROW}`", listing(columns), fix))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.paths, self.counts = [], []
        self._shard, self._bytes = None, 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def write(self, row, contents):
        """Appends a row: `contents` is dict, column -> bytes. A column that is empty or absent is missing."""
        if self._shard is None or self._bytes >= self.shard_bytes:
            self._open()
        example = tf.train.Example()
        feature = example.features.feature
        feature[ROW].int64_list.value.append(row)
        for column, content in contents.items():
            if content:
                feature[column].bytes_list.value.append(content)
        serialized = example.SerializeToString()
        self._shard.write(serialized)
        self._bytes += len(serialized)
        self.counts[-1] += 1

    def close(self):
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    @property
    def records(self):
        """The Records of all that was written."""
        paths = tuple(str(path) for path in self.paths)
        return Records(paths, self.columns, tuple(self.counts), self.compression)

    def _open(self):
        self.close()
        self.paths.append(self.folder / f"shard-{len(self.paths):05d}.tfrecord")
        self.counts.append(0)
        self._shard = tf.io.TFRecordWriter(str(self.paths[-1]), self.compression)
        self._bytes = 0


def read_records(records, columns=None, readers=1, batch_size=None, seed=None, prepare=None):
    """Reads the contents of rows.

    Args:
        records: Records.
        columns: iterable of str or None. Some of the records' columns; None: all.
        readers: int > 0. Shards read in turn, `PARSED` records of each. 1: one shard after another. The order
            is the same each time.
        batch_size: int or None. None: single rows.
        seed: int or None. The shards come in another order in each epoch, as the seed says. An int64 tensor
            `(2,)` says the order of a single epoch.
        prepare: callable or None. Takes rows as a dict of tensors `(B,)` and returns others; it is called for
            many at once, in parallel.

    Returns: tf.data.Dataset of {"row": int64, column: string, "" = missing}, scalars or `(B,)`.
    Raises: ValueError, if a column is not in the records.
    """
    columns = records.columns if columns is None else tuple(columns)
    unknown = [column for column in columns if column not in records.columns]
    if unknown:
        fix = f"The records hold {listing(records.columns)}."
        raise ValueError(message("read_records", "`columns` of the records", listing(unknown), fix))
    starts = [sum(records.counts[:shard]) for shard in range(len(records.counts))]
    places = tf.range(len(starts))
    if tf.is_tensor(seed):
        places = tf.random.experimental.stateless_shuffle(places, tf.cast(seed, tf.int32))
    paths, starts = tf.constant(list(records.paths), tf.string), tf.constant(starts, tf.int64)
    shards = tf.data.Dataset.from_tensor_slices((tf.gather(paths, places), tf.gather(starts, places)))
    if seed is not None and not tf.is_tensor(seed):
        shards = shards.shuffle(len(records.paths), seed, reshuffle_each_iteration=True)
    rows = shards.interleave(
        lambda path, start: _read_shard(records, columns, path, start, prepare),
        cycle_length=readers,
        block_length=1,
        num_parallel_calls=readers,
        deterministic=True,
    )
    rows = rows.unbatch()
    return rows if batch_size is None else rows.batch(batch_size)


def _read_shard(records, columns, path, start, prepare):
    """Returns the rows of a shard in batches of at most `PARSED`."""
    spec = {column: tf.io.FixedLenFeature([], tf.string, "") for column in columns}
    if records.row_key:
        spec[records.row_key] = tf.io.FixedLenFeature([], tf.int64)
    serialized = tf.data.TFRecordDataset(path, records.compression, buffer_size=2**20)
    numbered = serialized.enumerate(start)
    parse = tf.io.parse_example
    if not records.intact:
        numbered = _map(numbered, lambda row, value: (row, tf.io.parse_single_example(value, spec)))
        numbered, parse = numbered.ignore_errors(), lambda parsed, _: parsed

    def finish(rows, values):
        found = _name_row(parse(values, spec), rows, records.row_key)
        return found if prepare is None else prepare(found)

    return _map(numbered.batch(PARSED), finish)


def _map(dataset, function):
    function = tf.autograph.experimental.do_not_convert(function)
    return dataset.map(function, tf.data.AUTOTUNE, deterministic=True)


def _name_row(parsed, row, row_key):
    return {ROW: parsed.pop(row_key) if row_key else row, **parsed}
