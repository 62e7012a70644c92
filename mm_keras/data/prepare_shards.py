"""Contents of files -> shards: what is written of each column, and shard after shard, whole or not at all."""

import os
import sys

import numpy as np
import tensorflow as tf

from mm_keras.checks import message
from mm_keras.data import transforms
from mm_keras.data.decode_batch import encode_bmp
from mm_keras.data.prepare_journal import BUILDING, Shard, keep_on_disk, no_room, sha256_of
from mm_keras.data.records import RecordWriter

COMPRESSIONS = {"none": "", "gzip": "GZIP"}
AS_IT_WAS, BMP, PCM16 = "as it was", "bmp", "pcm16"  # What is stored of a file.
AT_ONCE = 16  # Rows that pass from the readers to the shard in one step; files may be large.
SHUFFLED = 512  # Rows among which those of a stream, not of single files, are shuffled.


def describe_columns(modalities, resize):
    """Returns what is stored of each column of files, and the settings that it was made with.

    A column that modalities read with different settings keeps its files as they were.

    Args:
        modalities: dict, name -> Modality of the spec whose cells are files.
        resize: bool. Write images at the size of the spec.

    Returns: dict, column -> {"kind", "stored", "modality" and the settings that limit who can read it}.
    """
    columns = {}
    for name in sorted(modalities):
        modality = modalities[name]
        entry = {"kind": modality.kind, "stored": AS_IT_WAS, "modality": name}
        if modality.kind == "audio":
            entry |= {"stored": PCM16, "rate": modality.rate, "samples": modality.samples}
        elif modality.kind == "image" and resize:
            entry |= {"stored": BMP, "size": list(modality.size), "channels": modality.channels}
        known = columns.setdefault(modality.column, entry)
        if {**known, "modality": name} != entry:
            known = {"kind": modality.kind, "stored": AS_IT_WAS, "modality": known["modality"]}
            columns[modality.column] = known
    return columns


def write_shards(manifest, source, columns, kept, journal, options, seed, progress=None):
    """Writes the contents of all rows into shards, and each whole shard into the journal.

    Args:
        manifest: Manifest. All files of the rows in its splits can be decoded.
        source: RowSource.
        columns: dict, of `describe_columns`.
        kept: int array. Rows of all splits, ascending; their places are the rows' numbers in the shards.
        journal: Journal. Its shards are not written again.
        options: dict with `compression` and `shard_size`.
        seed: int. Draws the order of the train rows.
        progress: callable or None, called with the rows that are done.

    Raises: ValueError, if a file cannot be read any more, or the disk is full.
    """
    numbers = np.full(len(manifest.lines), -1)
    numbers[kept] = np.arange(len(kept))
    read = _row_reader(source, columns)
    done = 0
    for split, rows in manifest.splits.items():
        order = np.random.default_rng(seed).permutation(rows) if split == "train" else rows
        begun = journal.rows_of(split)
        done += begun
        contents = _read(source, read, order, begun, seed if split == "train" else None)
        writer = _ShardWriter(journal, split, columns, options)
        for batch in contents:
            writer.add(numbers[batch.pop("row/index")], batch)
            done += len(next(iter(batch.values())))
            if progress:
                progress(done)
        writer.close()
        if journal.rows_of(split) != len(rows):
            received = f"{journal.rows_of(split):,} of {len(rows):,} rows of {split}"
            fix = "Leave the data as it is, and run it again."
            raise ValueError(message("prepare", "records that stay as they are", received, fix))


class _ShardWriter:
    """Writes rows of a split into one shard after another; each gets its name when it is on the disk."""

    def __init__(self, journal, split, columns, options):
        self.journal, self.split, self.columns = journal, split, list(columns)
        self.compression, self.size = COMPRESSIONS[options["compression"]], options["shard_size"]
        self.shard, self.bytes = None, 0

    def add(self, numbers, batch):
        """Appends rows: their numbers `(B,)`, and column -> contents `(B,)`."""
        try:
            for number, *contents in zip(
                numbers.tolist(), *(batch[c].tolist() for c in self.columns), strict=True
            ):
                if self.shard is None:
                    folder = self.journal.folder / BUILDING
                    self.shard = RecordWriter(folder, self.columns, self.compression, sys.maxsize)
                self.shard.write(number, dict(zip(self.columns, contents, strict=True)))
                self.bytes += sum(map(len, contents))
                if self.bytes >= self.size:
                    self.close()
        except (OSError, tf.errors.OpError) as error:
            raise no_room(self.journal.folder / self.journal.next_name(self.split), error) from error

    def close(self):
        """Ends the shard and enters it into the journal."""
        if self.shard is None:
            return
        folder, name = self.journal.folder, self.journal.next_name(self.split)
        try:
            self.shard.close()
            draft = self.shard.paths[0]
            keep_on_disk(draft)
            digest, size = sha256_of(draft), os.path.getsize(draft)
            os.replace(draft, folder / name)
            keep_on_disk(folder)
        except (OSError, tf.errors.OpError) as error:
            raise no_room(folder / name, error) from error
        self.journal.add(Shard(name, self.split, self.shard.counts[0], size, digest))
        self.shard, self.bytes = None, 0


def _read(source, read, order, begun, seed):
    """Yields the contents of rows but the first `begun`, in batches {"row/index", column: array `(B,)`}."""
    if source.in_records:
        rows = source.dataset(order)
        if seed is not None:
            rows = rows.shuffle(SHUFFLED, seed, reshuffle_each_iteration=False)
        rows = rows.skip(begun)
    else:
        rows = source.dataset(order[begun:])
    batches = rows.map(read, tf.data.AUTOTUNE, deterministic=True).batch(AT_ONCE).prefetch(2)
    try:
        yield from batches.as_numpy_iterator()
    except tf.errors.OpError as error:
        fix = "Leave the files as they are until it is done, and run it again with --force."
        received = transforms.reason_of(error)
        raise ValueError(message("prepare", "files that stay readable", received, fix)) from error


def _row_reader(source, columns):
    """Returns the function from a row of the source to {"row/index", column: what is stored of its file}."""
    readers = {column: _reader(source, column, entry) for column, entry in columns.items()}

    def read_files(row):
        return {column: reader(row) for column, reader in readers.items()}

    read_files = tf.function(read_files, autograph=False)  # Traced once for all splits.

    @tf.autograph.experimental.do_not_convert
    def read(row):
        cells = {name: row[name] for name in source.names}
        return {"row/index": row["row/index"], **read_files(cells)}

    return read


def _reader(source, column, entry):
    """Returns the function that gives what is stored of a row's file, "" of none."""
    names = [name for name in source.names if source.columns[name] == column]
    store = {AS_IT_WAS: _keep, BMP: _as_bmp, PCM16: _as_pcm16}[entry["stored"]]

    def read(row):
        cell = row[names[0]]
        for name in names[1:]:  # The file may be hidden from one modality alone.
            cell = tf.where(cell == "", row[name], cell)
        return tf.cond(cell == "", lambda: tf.constant(""), lambda: store(source, entry, cell))

    return read


def _keep(source, entry, cell):
    return cell if source.in_records else transforms.read_file(cell)


def _as_bmp(source, entry, cell):
    # Not packed: of these, as of plain WAV, a batch is decoded at once. A shard may be packed as a whole.
    return encode_bmp(source.decode_cell(entry["modality"], cell))


def _as_pcm16(source, entry, cell):
    """Returns a 16-bit WAV file without the zeros at the end, with which reading fills up again."""
    sound = source.decode_cell(entry["modality"], cell)
    heard = tf.where(sound != 0)[:, 0]
    length = tf.reduce_max(tf.concat([heard, [0]], axis=0)) + 1
    return tf.audio.encode_wav(sound[:length, None], entry["rate"])
